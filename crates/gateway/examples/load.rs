//! Measures whole tool calls through a gateway: calls a second, latency, CPU and memory of the gateway's process alone.
//!
//! `cargo run --release -p gateway --example load [-- CONNECTIONS SECONDS]`, and `-- endure CALLS` for what memory does over many calls.
//! The upstream, the gateway and the clients are separate processes, and each connection has a task and a token of its own; CPU time
//! is read from `/proc` before and after. Clients and upstream write prepared bytes from one thread each, so that on a small machine they
//! leave the processor to the gateway. The same clients against the upstream directly are the witness for what the machine gives at that moment, and
//! appends to a ledger of their own for what a commit costs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contract::{Contracts, definition_digest};
use engine::{Clock, Engine, NewTask, Node, Options};
use gateway::{Gateway, GatewayConfig, TokenKeys, TransportConfig, UpstreamConfig};
use judge::content::ContentKey;
use judge::event::Bundle;
use judge::name::PrincipalId;
use judge::policy::PolicySources;
use ledger::{Source as _, SqliteLedger, Store as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wire::token::{Claims, SigningKey, VerifyingKeys, sign};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a short text of the size that a tool call usually has"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"a short text of the size that a tool result often has, in one block"}],"isError":false}}"#;
/// What the gateway is told when it asks for the tools; its request has this id.
const LIST: &str = r#"{"jsonrpc":"2.0","id":"prudence-definitions","result":{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}],"ttlMs":0,"cacheScope":"private"}}"#;
/// Clock ticks a second on Linux, whatever the machine (`man 7 time`).
const TICKS_A_SECOND: f64 = 100.0;
const CONNECTIONS: usize = 64;
/// Calls between two looks at the memory.
const LOOK_CALLS: u64 = 100_000;
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, otherwise: u64| args.get(index).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let one_thread = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match args.first().map(String::as_str) {
        Some("upstream") => one_thread().block_on(upstream()),
        Some("gateway") => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(&args[1], Path::new(&args[2]), number(3, 1)));
        }
        Some("endure") => one_thread().block_on(endure(number(1, 1_000_000))),
        _ => {
            let connections = usize::try_from(number(0, CONNECTIONS as u64)).expect("it fits");
            one_thread().block_on(compare(connections, Duration::from_secs(number(1, 5))));
        }
    }
    ExitCode::SUCCESS
}

/// A part of the measurement in a process of its own; ends with this one.
struct Part {
    process: Child,
    address: String,
    /// The gateway's tokens; the upstream needs none.
    tokens: Vec<String>,
}

impl Part {
    fn start(args: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process =
            Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts again");
        let mut said = String::new();
        let out = process.stdout.take().expect("its output is ours");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said).expect("it says its address");
        let mut words = said.split_whitespace().map(str::to_owned);
        let address = words.next().expect("it says its address");
        Self { process, address, tokens: words.collect() }
    }

    fn gateway(upstream: &Part, folder: &Path, tokens: usize) -> Self {
        Self::start(&["gateway", &upstream.address, &folder.join("ledger").to_string_lossy(), &tokens.to_string()])
    }

    fn cpu_s(&self) -> [f64; 2] {
        cpu_s(&self.process.id().to_string())
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

/// CPU seconds of a process so far: in the program, and in the kernel for it.
fn cpu_s(process: &str) -> [f64; 2] {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name may hold spaces; what follows its closing parenthesis does not.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].map(|index| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN) / TICKS_A_SECOND)
}

async fn compare(connections: usize, time: Duration) {
    let upstream = Part::start(&["upstream"]);
    let folder = tempfile::tempdir().expect("a place for the ledger");
    let gateway = Part::gateway(&upstream, folder.path(), connections);
    println!("a commit of one entry, nothing else running: p50 {} us", commit_us(&folder.path().join("other"), time / 5).await);
    for (name, part, connections) in [
        ("direct", &upstream, 1),
        ("gateway", &gateway, 1),
        ("direct", &upstream, connections),
        ("gateway", &gateway, connections),
    ] {
        let _warm = drive(part, connections, u64::MAX, Duration::from_millis(500)).await;
        let processes = [cpu_s("self"), upstream.cpu_s(), part.cpu_s()];
        let started = Instant::now();
        let mut latencies = drive(part, connections, u64::MAX, time).await;
        let elapsed = started.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_micros();
        let calls = latencies.len() as f64;
        let per_call = |after: [f64; 2], before: [f64; 2]| [0, 1].map(|kind| (after[kind] - before[kind]) / calls * 1e6);
        let [user, kernel] = per_call(part.cpu_s(), processes[2]);
        let around = per_call(cpu_s("self"), processes[0]).iter().sum::<f64>()
            + if part.process.id() == upstream.process.id() {
                0.0
            } else {
                per_call(upstream.cpu_s(), processes[1]).iter().sum()
            };
        println!(
            "{name:8} {connections:3} connections: {:7.0} calls/s, p50 {:5} us, p99 {:5} us, cpu of its process {:5.1} us/call ({user:.0} program, \
             {kernel:.0} kernel), of the others {around:.0}, memory {:.0} MB",
            calls / elapsed,
            at(0.5),
            at(0.99),
            user + kernel,
            part.memory_mb()
        );
    }
}

/// Half of all commits of one entry are faster than this.
async fn commit_us(path: &Path, time: Duration) -> u128 {
    let ledger = SqliteLedger::open(path).expect("a new ledger");
    let (end, mut waits) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        let started = Instant::now();
        let head = ledger.head().expect("it is readable").seq;
        ledger.append(head, vec![vec![b'x'; 1000]]).await.expect("it is stored");
        waits.push(started.elapsed());
    }
    waits.sort_unstable();
    waits[waits.len() / 2].as_micros()
}

async fn endure(calls: u64) {
    let upstream = Part::start(&["upstream"]);
    let folder = tempfile::tempdir().expect("a place for the ledger");
    let gateway = Part::gateway(&upstream, folder.path(), CONNECTIONS);
    let mut done = 0;
    println!("{done:8} calls: {:.1} MB", gateway.memory_mb());
    while done < calls {
        let started = Instant::now();
        let some = LOOK_CALLS.min(calls - done);
        drive(&gateway, CONNECTIONS, some, Duration::MAX).await;
        done += some;
        println!("{done:8} calls: {:.1} MB, {:.0} calls/s", gateway.memory_mb(), some as f64 / started.elapsed().as_secs_f64());
    }
}

/// Calls until `calls` were begun or `time` is over; how long each took.
async fn drive(part: &Part, connections: usize, calls: u64, time: Duration) -> Vec<Duration> {
    let (started, begun) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..connections)
        .map(|index| {
            let (begun, address) = (Arc::clone(&begun), part.address.clone());
            let token = part.tokens.get(index).map_or("none", String::as_str);
            let request = format!(
                "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: application/json, text/event-stream\r\n\
                 content-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n\
                 content-length: {}\r\n\r\n{CALL}",
                CALL.len()
            );
            tokio::spawn(async move {
                let mut connection = Connection::new(TcpStream::connect(&address).await.expect("it listens"));
                let mut latencies = Vec::new();
                while started.elapsed() < time && begun.fetch_add(1, Ordering::Relaxed) < calls {
                    let asked = Instant::now();
                    connection.stream.write_all(request.as_bytes()).await.expect("it reads");
                    let (head, body) = connection.message().await.expect("it answers");
                    let text = |bytes| String::from_utf8_lossy(bytes);
                    assert!(
                        head.starts_with(b"HTTP/1.1 200") && body == RESULT.as_bytes(),
                        "{}{}",
                        text(head),
                        text(body)
                    );
                    latencies.push(asked.elapsed());
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
    let answer =
        |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (result, list) = (answer(RESULT), answer(LIST));
    loop {
        let (stream, _) = listener.accept().await.expect("accepting on loopback works");
        let (result, list) = (result.clone(), list.clone());
        tokio::spawn(async move {
            let mut connection = Connection::new(stream);
            while let Some((_, body)) = connection.message().await {
                let is_list = memchr::memmem::find(body, b"tools/list").is_some();
                let answer = if is_list { &list } else { &result };
                if connection.stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A connection on which one message is under way at a time.
struct Connection {
    stream: TcpStream,
    buffer: Box<[u8; MESSAGE_BYTES_MAX]>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Box::new([0; MESSAGE_BYTES_MAX]) }
    }

    /// The head and body of the next message, which has a `content-length` written like this; nothing at the end of the connection.
    async fn message(&mut self) -> Option<(&[u8], &[u8])> {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.ok().filter(|read| *read > 0)?;
            filled += read;
            let Some(end) = memchr::memmem::find(&self.buffer[..filled], b"\r\n\r\n") else { continue };
            let body = end + 4;
            let length = memchr::memmem::find(&self.buffer[..end], b"content-length: ").map_or(0, |at| {
                let digits = self.buffer[at + 16..end].iter().take_while(|byte| byte.is_ascii_digit());
                digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
            });
            if filled >= body + length {
                return Some((&self.buffer[..end], &self.buffer[body..body + length]));
            }
        }
    }
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
        client: None,
        task: task.to_owned(),
        binding: None,
    };
    sign(&key(), &claims).expect("good claims")
}

/// An engine on a ledger on disk, with the shipped norms, and tasks.
async fn engine(ledger: &Path, tasks: u64) -> (Engine, Vec<String>) {
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
    let new = NewTask::new(name("bo"), name("helper"), "load", 3_600_000);
    let mut started = Vec::new();
    for _ in 0..tasks {
        started.push(engine.start_task(new.clone()).await.expect("bo and helper are known").id.to_string());
    }
    (engine, started)
}

async fn serve(upstream: &str, ledger: &Path, tasks: u64) {
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
    let (engine, tasks) = engine(ledger, tasks).await;
    let gateway = Gateway::new(config, engine, vec![contracts], keys).expect("a good configuration");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut said = listener.local_addr().expect("bound").to_string();
    for task in &tasks {
        write!(said, " {}", token(task)).expect("a string takes everything");
    }
    println!("{said}");
    gateway.serve_http(listener, CancellationToken::new()).await;
}
