//! From settings to a gateway: upstreams with their secrets, contracts, limits, and which tokens are believed.

use std::path::Path;
use std::sync::Arc;

use contract::{Contracts, Standing};
use engine::{Clock, Engine, NewTask, Node, Options};
use gateway::authzen::AuthzenConfig;
use gateway::{Gateway, GatewayConfig, RefusalForm, TokenKeys, TransportConfig, UpstreamConfig};
use judge::directory::{AgentRecord, DirectoryDocument, PersonRecord};
use judge::event::Bundle;
use judge::name::PrincipalId;
use judge::policy::PolicySources;
use ledger::MemoryLedger;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::assemble::House;
use crate::config::settings::{Authzen, Limits, Mode, Refusal, Settings, Upstream};
use crate::config::{Loaded, Problem, Problems, contract_problems};
use crate::failure::Failure;
use authority::{Clients, Issuer, Keys};

#[cfg(test)]
mod tests;

/// How long a server may take to list what it has.
const LIST_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(60);
/// Pages of a list that are read.
const PAGES_MAX: usize = 100;
/// Bytes on their way between the gateway and its list's reader.
const PIPE_BYTES: usize = 64 << 10;
/// JSON-RPC 2.0 §5.1.
const METHOD_NOT_FOUND: i64 = -32601;
/// The revision in which a server is asked for its lists.
const REVISION: &str = "2025-11-25";

/// The gateway's configuration, with the secrets that the settings name.
///
/// # Errors
/// A variable of the environment that is not there.
pub fn config(settings: &Settings) -> anyhow::Result<GatewayConfig> {
    let upstreams: Result<Vec<UpstreamConfig>, _> = settings.upstreams.iter().map(upstream).collect();
    Ok(GatewayConfig {
        upstreams: upstreams?,
        recording: None,
        refusal: match settings.policies.refusal {
            Refusal::ToolResult => RefusalForm::ToolResult,
            Refusal::JsonRpcError => RefusalForm::JsonRpcError,
        },
        observed_agents: settings
            .agents
            .iter()
            .filter(|agent| agent.mode == Mode::Observe)
            .map(|agent| agent.id.to_string())
            .collect(),
        hosts: settings.server.hosts.clone(),
        origins: settings.server.origins.clone(),
        door: crate::door::door(settings),
        broker: None,
        limits: limits(&settings.limits),
    })
}

/// Where calls are kept in clear, if they are.
pub fn recording(loaded: &Loaded) -> Option<std::path::PathBuf> {
    loaded.settings.server.recording.as_deref().map(|file| loaded.beside(file))
}

/// One upstream of the settings.
///
/// # Errors
/// A variable of the environment that is not there.
pub fn upstream(settings: &Upstream) -> anyhow::Result<UpstreamConfig> {
    let name = &settings.name;
    let variable = |variable: &String| {
        std::env::var(variable).map_err(|_| Failure::Helpless {
            sentence: format!("upstream `{name}` needs the environment variable `{variable}`, which is not set"),
            help: format!("export {variable}=…"),
        })
    };
    let transport = match (&settings.url, &settings.command) {
        (Some(url), _) => {
            let headers: Result<Vec<_>, Failure> =
                settings.headers_from_env.iter().map(|(header, from)| Ok((header.clone(), variable(from)?))).collect();
            TransportConfig::Http { url: url.clone(), headers: headers? }
        }
        (None, command) => {
            let mut env: Vec<(String, String)> = settings.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            for name in &settings.env_from {
                env.push((name.clone(), variable(name)?));
            }
            TransportConfig::Stdio { command: command.clone().unwrap_or_default(), args: settings.args.clone(), env }
        }
    };
    Ok(UpstreamConfig {
        name: name.clone(),
        prefix: settings.prefix.clone(),
        transport,
        mode: match settings.mode {
            Mode::Enforce => gateway::Mode::Enforce,
            Mode::Observe => gateway::Mode::Observe,
        },
        uri_prefixes: settings.uri_prefixes.clone(),
    })
}

/// The bounds of the settings, as the gateway takes them.
pub fn limits(limits: &Limits) -> gateway::Limits {
    gateway::Limits {
        body_bytes_max: limits.body_bytes_max,
        header_bytes_max: limits.header_bytes_max,
        connections_max: limits.connections_max,
        sessions_max: limits.sessions_max,
        session_idle: limits.session_idle.duration(),
        read_time_max: limits.read_time_max.duration(),
        result_bytes_max: limits.result_bytes_max,
        answer_time_max: limits.answer_time_max.duration(),
        shutdown_time_max: limits.shutdown_time_max.duration(),
        definitions_age_max: limits.definitions_age_max.duration(),
        ..gateway::Limits::default()
    }
}

/// The tokens that a gateway of this issuer believes.
pub fn believed(issuer: &Issuer) -> TokenKeys {
    TokenKeys {
        keys: issuer.verifying().clone(),
        issuer: issuer.name().to_owned(),
        audience: issuer.audience().to_owned(),
        leeway_s: authority::tokens::LEEWAY_S,
    }
}

/// The routes of the decision point, for the enforcement points that the configuration lists.
pub fn decision_point(settings: &Authzen, house: &House, enforcing: Clients) -> axum::Router {
    let Authzen { actions, people } = settings.clone();
    let public_url = house.loaded.settings.server.api_url.clone().unwrap_or_default();
    let config = AuthzenConfig { public_url, actions, people };
    let let_in = Arc::new(move |client: &str| enforcing.has(client));
    gateway::authzen::router(config, house.engine.clone(), believed(&house.issuer), let_in)
}

/// The contracts of all upstreams that have one.
///
/// # Errors
/// Everything that is wrong in any of the files.
pub fn contracts(loaded: &Loaded) -> anyhow::Result<Vec<Contracts>> {
    let mut problems = Problems::default();
    let mut contracts = Vec::new();
    for upstream in &loaded.settings.upstreams {
        if let Some(file) = &upstream.contract {
            contracts.extend(contract(&upstream.name, &loaded.beside(file), &mut problems)?);
        }
    }
    if problems.count() == 0 { Ok(contracts) } else { Err(Failure::from(problems).into()) }
}

/// One contract file; nothing when it has problems, which are noted.
///
/// # Errors
/// When it cannot be read.
pub fn contract(upstream: &str, path: &Path, problems: &mut Problems) -> anyhow::Result<Option<Contracts>> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::Helpless {
        sentence: Problem::unreadable("contract", path, &error).message,
        help: format!("`prudence contract draft {upstream} --out FILE` writes one from the server's list of tools"),
    })?;
    match Contracts::parse(upstream, &text) {
        Ok(contracts) => Ok(Some(contracts)),
        Err(errors) => {
            problems.add(&path.display().to_string(), &text.into(), contract_problems(errors));
            Ok(None)
        }
    }
}

/// What a server shows: tools, and resources with their templates, each as it sent it.
pub struct Shown {
    /// Definitions of tools.
    pub tools: Vec<Value>,
    /// Resources and templates.
    pub resources: Vec<Value>,
}

impl Shown {
    /// How each tool stands to its contract, by name.
    pub fn standings(&self, contracts: &Contracts) -> Vec<(String, Standing)> {
        self.tools.iter().map(|tool| (tool["name"].as_str().unwrap_or_default().to_owned(), contracts.check(tool))).collect()
    }
}

/// Asks a server for its lists, through a gateway of its own that only observes and forgets everything: so that every transport is
/// the same, and every definition comes as the server sent it. `person`: with whose credential.
///
/// # Errors
/// When the server cannot be reached, or does not answer in time.
pub async fn shown(settings: &Upstream, loaded: &Loaded, person: Option<&PrincipalId>) -> anyhow::Result<Shown> {
    let mut upstream = upstream(settings)?;
    upstream.prefix = Some(String::new());
    upstream.mode = gateway::Mode::Observe;
    let name = upstream.name.clone();
    let (engine, issuer, token) = observer(person).await?;
    let broker = match settings.credential {
        Some(_) => crate::credentials::broker(loaded, Arc::new(crate::commands::now))?,
        None => None,
    };
    let limits = limits(&loaded.settings.limits);
    let config = GatewayConfig { upstreams: vec![upstream], limits, broker, ..GatewayConfig::default() };
    let gateway = Gateway::new(config, engine, Vec::new(), believed(&issuer)).map_err(|errors| wrong(&errors))?;
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let (their_in, their_out) = tokio::io::split(theirs);
    let serving = tokio::spawn(async move { gateway.serve_stdio(their_in, their_out, &token).await });
    let asked = tokio::time::timeout(LIST_TIME_MAX, ask(ours)).await;
    serving.abort();
    let sentence = match asked {
        Ok(Ok(shown)) => return Ok(shown),
        Ok(Err(error)) => format!("upstream `{name}`: {error:#}"),
        Err(_) => format!("upstream `{name}` did not list its tools within {} s", LIST_TIME_MAX.as_secs()),
    };
    Err(Failure::Helpless {
        sentence,
        help: "the same with PRUDENCE_LOG=info shows what the server says on its standard error".to_owned(),
    }
    .into())
}

/// What is wrong with a gateway's configuration, in one error.
pub fn wrong(errors: &[gateway::ConfigError]) -> anyhow::Error {
    anyhow::anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// An engine that keeps nothing, in which one person's agent runs one task.
async fn observer(person: Option<&PrincipalId>) -> anyhow::Result<(Engine, Issuer, String)> {
    let person = person.cloned().map_or_else(|| PrincipalId::parse("operator"), Ok)?;
    let agent = PrincipalId::parse("prudence-observer")?;
    let directory = DirectoryDocument {
        people: vec![PersonRecord::new(person.clone())],
        agents: vec![AgentRecord::new(agent.clone(), person.clone())],
        ..DirectoryDocument::default()
    };
    let keys = Keys::ephemeral()?;
    let engine =
        Engine::open(Arc::new(MemoryLedger::default()), keys.content.clone(), Clock::System, Node::alone(), Options::default())?;
    engine.configure(Bundle { directory, policies: PolicySources::shipped(), ..Bundle::default() }).await?;
    let task = engine.start_task(NewTask::new(person, agent.clone(), "reading lists", 10 * 60 * 1000)).await?;
    let issuer = Issuer::new("prudence", &keys);
    let token = issuer.task_token(&task, &[agent], engine.now())?;
    Ok((engine, issuer, token))
}

/// Everything that a client of this revision can declare: some servers show a tool only to clients that can do what it will ask of
/// them, and what is not shown here could never be accepted.
fn whole() -> Value {
    json!({ "sampling": { "tools": {}, "context": {} }, "elicitation": { "form": {}, "url": {} }, "roots": { "listChanged": true } })
}

/// What a server is told that asks a client who only wants lists.
fn unanswered(id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": METHOD_NOT_FOUND, "message": "this client only reads lists" } })
}

/// The few requests of a client that only wants lists.
async fn ask(stream: tokio::io::DuplexStream) -> anyhow::Result<Shown> {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(read).lines();
    let mut next = 0_u64;
    let mut request = async |method: &str, params: Value| -> anyhow::Result<Result<Value, Value>> {
        next += 1;
        let id = next;
        write
            .write_all(format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).as_bytes())
            .await?;
        while let Some(line) = lines.next_line().await? {
            let mut answer: Value = serde_json::from_str(&line)?;
            if answer.get("method").is_some() {
                // A question must not wait for ever; a notification has no id and is owed nothing.
                if let Some(question) = answer.get("id") {
                    write.write_all(format!("{}\n", unanswered(question)).as_bytes()).await?;
                }
                continue;
            }
            if answer["id"] == id {
                if method == "initialize" {
                    write.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n").await?;
                }
                return Ok(if answer.get("error").is_some() { Err(answer["error"].take()) } else { Ok(answer["result"].take()) });
            }
        }
        anyhow::bail!("it ended before it answered `{method}`")
    };
    let client = json!({ "name": "prudence", "version": env!("CARGO_PKG_VERSION") });
    let server =
        request("initialize", json!({ "protocolVersion": REVISION, "capabilities": whole(), "clientInfo": client })).await?;
    let server = server
        .map_err(|error| anyhow::anyhow!("it refused to begin: {}", error["message"].as_str().unwrap_or("it did not say why")))?;
    let mut shown = Shown { tools: Vec::new(), resources: Vec::new() };
    let lists = [
        ("tools", "tools/list", "tools"),
        ("resources", "resources/list", "resources"),
        ("resources", "resources/templates/list", "resourceTemplates"),
    ];
    for (capability, method, member) in lists {
        if server["capabilities"].get(capability).is_none() {
            continue;
        }
        let mut cursor = Value::Null;
        for _ in 0..PAGES_MAX {
            let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
            let mut page = match request(method, params).await? {
                Ok(page) => page,
                // A server with resources need not have templates.
                Err(error) if capability == "tools" => anyhow::bail!("it refused `{method}`: {}", error["message"]),
                Err(_) => break,
            };
            if let Value::Array(items) = page[member].take() {
                if member == "tools" { &mut shown.tools } else { &mut shown.resources }.extend(items);
            }
            cursor = page["nextCursor"].take();
            if cursor.is_null() {
                break;
            }
        }
    }
    Ok(shown)
}
