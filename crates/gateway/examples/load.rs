//! Measures whole tool calls through a gateway: calls a second, latency, CPU and memory of the gateway's process alone.
//!
//! `cargo run --release -p gateway --example load -- [connections] [seconds]`. The upstream, the gateway and the clients are separate
//! processes; the gateway's CPU time is read from `/proc` before and after. The same clients against the upstream directly are the witness
//! for what the machine gives at that moment.

use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::{Contracts, definition_digest};
use engine::{Clock, Engine, NewTask, Node, Options};
use gateway::{Gateway, GatewayConfig, TokenKeys, TransportConfig, UpstreamConfig};
use judge::content::ContentKey;
use judge::event::Bundle;
use judge::name::PrincipalId;
use judge::policy::PolicySources;
use judge::task::Budget;
use ledger::SqliteLedger;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wire::token::{Claims, SigningKey, VerifyingKeys, sign};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a short text of the size that a tool call usually has"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"a short text of the size that a tool result often has, in one block"}],"isError":false}}"#;
/// Clock ticks a second on Linux, whatever the machine (`man 7 time`).
const TICKS_A_SECOND: f64 = 100.0;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    match args.first().map(String::as_str) {
        Some("upstream") => runtime.block_on(upstream()),
        Some("gateway") => runtime.block_on(serve(&args[1], &args[2])),
        _ => {
            let connections = args.first().and_then(|text| text.parse().ok()).unwrap_or(64);
            let seconds = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(5);
            runtime.block_on(compare(connections, Duration::from_secs(seconds)));
        }
    }
    ExitCode::SUCCESS
}

/// A part of the measurement in a process of its own; ends with this one.
struct Part {
    process: Child,
    address: String,
    /// What else it said: the gateway, a token.
    said: String,
}

impl Part {
    fn start(args: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process =
            Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts again");
        let mut address = String::new();
        let out = process.stdout.take().expect("its output is ours");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut address).expect("it says its address");
        let (address, said) = address.trim().split_once(' ').unwrap_or((address.trim(), ""));
        let (address, said) = (address.to_owned(), said.to_owned());
        Self { process, address, said }
    }

    /// CPU seconds so far, user and system.
    fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        // The name may hold spaces; what follows its closing parenthesis does not.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
        (ticks(11) + ticks(12)) / TICKS_A_SECOND
    }

    fn memory_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().map_or(f64::NAN, |kb| kb / 1024.0)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn compare(connections: usize, time: Duration) {
    let upstream = Part::start(&["upstream"]);
    let folder = tempfile::tempdir().expect("a place for the ledger");
    let gateway = Part::start(&["gateway", &upstream.address, &folder.path().join("ledger").to_string_lossy()]);
    let token = gateway.said.clone();
    for (name, part, connections) in [
        ("direct", &upstream, 1),
        ("gateway", &gateway, 1),
        ("direct", &upstream, connections),
        ("gateway", &gateway, connections),
    ] {
        drive(&part.address, &token, connections, Duration::from_millis(500)).await;
        let (before, started) = (part.cpu_s(), Instant::now());
        let mut latencies = drive(&part.address, &token, connections, time).await;
        let (cpu, elapsed) = (part.cpu_s() - before, started.elapsed().as_secs_f64());
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_micros();
        let calls = latencies.len() as f64;
        println!(
            "{name:8} {connections:3} connections: {:7.0} calls/s, p50 {:5} us, p99 {:5} us, cpu of its process {:6.1} us/call, memory {:.0} MB",
            calls / elapsed,
            at(0.5),
            at(0.99),
            cpu / calls * 1e6,
            part.memory_mb()
        );
    }
}

async fn drive(address: &str, token: &str, connections: usize, time: Duration) -> Vec<Duration> {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: application/json, text/event-stream\r\n\
         content-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n\
         content-length: {}\r\n\r\n{CALL}",
        CALL.len()
    );
    let end = Instant::now() + time;
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let (address, request) = (address.to_owned(), request.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(TcpStream::connect(&address).await.expect("it listens"));
                stream.get_ref().set_nodelay(true).expect("a socket");
                let mut latencies = Vec::new();
                while Instant::now() < end {
                    let started = Instant::now();
                    stream.write_all(request.as_bytes()).await.expect("it reads");
                    let (head, body) = message(&mut stream).await.expect("it answers");
                    assert!(
                        head.starts_with("HTTP/1.1 200") && body.starts_with(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\""),
                        "{head}{}",
                        String::from_utf8_lossy(&body)
                    );
                    latencies.push(started.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await.expect("no client failed"));
    }
    all
}

async fn upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("bound"));
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{RESULT}", RESULT.len());
    let list = list();
    let list = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{list}", list.len());
    loop {
        let (stream, _) = listener.accept().await.expect("accepting on loopback works");
        stream.set_nodelay(true).expect("a socket");
        let (answer, list) = (answer.clone(), list.clone());
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some((_, body)) = message(&mut stream).await {
                let is_list = memchr::memmem::find(&body, b"tools/list").is_some();
                let answer = if is_list { &list } else { &answer };
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// What the gateway is told when it asks for the tools; its request has this id.
fn list() -> String {
    r#"{"jsonrpc":"2.0","id":"prudence-definitions","result":{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}],"ttlMs":0,"cacheScope":"private"}}"#.to_owned()
}

/// The head and body of one HTTP message with `content-length`; nothing at the end of the connection.
async fn message(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
        let line = &head[start..];
        if line == "\r\n" {
            break;
        }
        if line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:") {
            length = line[15..].trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

fn key() -> SigningKey {
    SigningKey::from_seed("load", &[3; 32]).expect("a seed")
}

#[expect(clippy::disallowed_methods, reason = "tokens are made outside of the engine")]
fn token(task: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = Claims {
        issuer: "load".to_owned(),
        audience: "load".to_owned(),
        expires_s: now + 3600,
        issued_s: now,
        not_before_s: None,
        id: "load".to_owned(),
        requester: "bo".to_owned(),
        actors: vec!["helper".to_owned()],
        task: task.to_owned(),
        key_thumbprint: None,
    };
    sign(&key(), &claims).expect("good claims")
}

/// An engine on a ledger on disk, with the shipped norms, and a task.
async fn engine(ledger: &str) -> (Engine, String) {
    let ledger = SqliteLedger::open(ledger).expect("a new ledger");
    let engine = Engine::open(Arc::new(ledger), ContentKey::new([1; 16]), Clock::System, Node::alone(), Options::default())
        .expect("an empty ledger");
    let directory = json!({
        "people": [{"id": "bo"}],
        "agents": [{"id": "helper", "owner": "bo"}],
        "items": [{"id": "echo", "readers": ["bo"]}],
        "grants": [{"to": "bo", "may": ["read"], "on": ["*"]}, {"to": "helper", "may": ["read"], "on": ["*"]}]
    });
    let directory = serde_json::from_value(directory).expect("a directory");
    engine
        .configure(Bundle { directory, policies: PolicySources::shipped(), content_key: String::new() })
        .await
        .expect("a sound configuration");
    let name = |text| PrincipalId::parse(text).expect("a name");
    let new = NewTask {
        requester: name("bo"),
        agent: name("helper"),
        purpose: "load".to_owned(),
        words: None,
        address: Vec::new(),
        effects: None,
        resources: None,
        budget: Budget::default(),
        lease_ms: 3_600_000,
    };
    let task = engine.start_task(new).await.expect("bo and helper are known");
    (engine, task.id.to_string())
}

async fn serve(upstream: &str, ledger: &str) {
    let keys = VerifyingKeys::new().with(&key()).expect("one key");
    let keys = TokenKeys { keys, issuer: "load".to_owned(), audience: "load".to_owned(), leeway_s: 0 };
    let transport = TransportConfig::Http { url: format!("http://{upstream}/mcp"), headers: Vec::new() };
    let config = GatewayConfig { upstreams: vec![UpstreamConfig::new("only", transport)], ..GatewayConfig::default() };
    let definition = json!({"name": "echo", "inputSchema": {"type": "object"}});
    let contract = format!(
        "[[tool]]\nname = \"echo\"\neffects = [\"read\"]\narguments = [\"text\"]\nresource = {{ is = \"echo\" }}\npin = \"sha256:{}\"\n\
         accepted_at = \"2026-11-23\"\naccepted_by = \"bo\"\n[tool.result]\nlabel = {{ readers = [\"bo\"] }}\n",
        definition_digest(&definition)
    );
    let contracts = Contracts::parse("only", &contract).expect("a good contract");
    let (engine, task) = engine(ledger).await;
    let gateway = Gateway::new(config, engine, vec![contracts], keys).expect("a good configuration");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{} {}", listener.local_addr().expect("bound"), token(&task));
    gateway.serve_http(listener, CancellationToken::new()).await;
}
