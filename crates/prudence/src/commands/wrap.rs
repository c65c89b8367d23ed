//! `prudence wrap`: the gateway around one server, between the standard streams of a client and those of the server.

use std::process::ExitCode;

use engine::NewTask;
use gateway::{Gateway, TransportConfig, UpstreamConfig};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::assemble::{self, configuration};
use crate::cli::Wrap;
use crate::config::Problems;
use crate::config::settings::{Alarm, Settings};
use crate::failure::Failure;
use crate::gate;

/// Runs the command. Standard output belongs to the protocol.
///
/// # Errors
/// When there is no task, or something that it needs cannot be opened.
pub async fn run(context: &Context, wrap: Wrap) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let settings = &loaded.settings;
    let known = settings.upstreams.iter().find(|upstream| upstream.name == wrap.upstream);
    let file =
        wrap.contract.clone().or_else(|| known.and_then(|known| known.contract.as_deref()).map(|file| loaded.beside(file)));
    let mut problems = Problems::default();
    let contracts = match &file {
        Some(file) => gate::contract(&wrap.upstream, file, &mut problems)?,
        None => None,
    };
    if problems.count() > 0 {
        return Err(Failure::from(problems).into());
    }
    let (command, args) = wrap.command.split_first().expect("clap demands one");
    let transport =
        TransportConfig::Stdio { command: command.clone(), args: args.to_vec(), env: environment(&wrap, &settings.alarms)? };
    let mut upstream = UpstreamConfig { prefix: Some(String::new()), ..UpstreamConfig::new(&wrap.upstream, transport) };
    let observed = wrap.observe || known.is_some_and(|known| known.mode == crate::config::settings::Mode::Observe);
    if observed {
        upstream.mode = gateway::Mode::Observe;
        tracing::warn!("only observing: everything is decided and recorded, nothing is stopped");
    }
    upstream.uri_prefixes = known.map(|known| known.uri_prefixes.clone()).unwrap_or_default();
    let config = gateway::GatewayConfig {
        upstreams: vec![upstream],
        recording: gate::recording(&loaded),
        ..gate::config(&Settings { upstreams: Vec::new(), ..settings.clone() })?
    };
    // Standard output is the protocol's.
    let alarms = crate::alarms::channels(&settings.alarms, true)?;
    let house = assemble::open(loaded)?;
    house.configure().await?;
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard();
    if !alarms.is_empty() {
        let store = house.loaded.beside(&house.loaded.settings.server.store);
        crate::alarms::start(alarms, std::sync::Arc::new(assemble::ledger_to_read(&house.loaded)?), &store, &stop);
    }
    let (token, own_task) = token(&house, &wrap).await?;
    let gateway = Gateway::new(config, house.engine.clone(), contracts.into_iter().collect(), gate::believed(&house.issuer))
        .map_err(|errors| gate::wrong(&errors))?;
    gateway.warn_of_observing();
    let served = gateway.serve_stdio(tokio::io::stdin(), tokio::io::stdout(), &token).await;
    if let Some(task) = own_task {
        house.engine.end_task(&task).await?;
    }
    served?;
    Ok(ExitCode::SUCCESS)
}

/// The token of a task is for us, not for the server behind us.
const TASK_TOKEN: &str = "PRUDENCE_TASK_TOKEN";

/// What the server gets of the environment. Without a word about it, the server is started as the client would have started it.
fn environment(wrap: &Wrap, alarms: &[Alarm]) -> anyhow::Result<Vec<(String, String)>> {
    // Nor are the secrets by which people are told of what it does.
    let is_ours = |name: &str| {
        let webhook = |alarm: &Alarm| alarm.webhook.as_ref().is_some_and(|webhook| webhook.secret_from_env == name);
        let mail = |alarm: &Alarm| alarm.mail.as_ref().is_some_and(|mail| mail.password_from_env.as_deref() == Some(name));
        name == TASK_TOKEN || alarms.iter().any(|alarm| webhook(alarm) || mail(alarm))
    };
    if wrap.env.is_empty() && !wrap.clear_env {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        return Ok(variables.filter(|(name, _)| !is_ours(name)).collect());
    }
    let variable = |name: &String| {
        let value = std::env::var(name).map_err(|_| Failure::Helpless {
            sentence: format!("the server is to have the environment variable `{name}`, which is not set"),
            help: "set it where the client names `prudence wrap` as its server, or leave it out of --env".to_owned(),
        })?;
        Ok((name.clone(), value))
    };
    wrap.env.iter().map(variable).collect()
}

/// The token that was given, or that of a task of our own, which ends with the client.
async fn token(house: &assemble::House, wrap: &Wrap) -> anyhow::Result<(String, Option<judge::name::TaskId>)> {
    if let Some(token) = &wrap.task_token {
        return Ok((token.clone(), None));
    }
    let (Some(requester), Some(agent), Some(purpose)) = (&wrap.requester, &wrap.agent, &wrap.purpose) else {
        return Err(Failure::Helpless {
            sentence: "there is no task in which the agent works".to_owned(),
            help: "give --requester, --agent and --purpose, or --task-token (`prudence wrap --help`)".to_owned(),
        }
        .into());
    };
    let new = NewTask {
        address: wrap.address.clone(),
        ..NewTask::new(requester.clone(), agent.clone(), purpose.clone(), wrap.lease.ms())
    };
    let (task, token) = super::task::start(house, new).await?;
    Ok((token, Some(task.id)))
}
