//! Measures containment: how long a client at full speed still gets something after a person's word, and after a breaker has tripped.
//!
//! `cargo build --release && cargo run --release --example contain [-- PRUDENCE CONNECTIONS SECONDS]`. The program under test is the shipped one,
//! `target/release/prudence` unless told. The clients are of two kinds, half each: the agent with the task's token, and another agent with the
//! token of a part of the task that was handed on. Each connection reads one record a call, as fast as it gets answers.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use authority::keys::{KeyPaths, Keys};
use authority::tokens::{Issuer, TaskToken};
use engine::{Clock, Engine, NewTask, Node, Options};
use judge::delegation::Part;
use judge::event::{Event, Record};
use judge::name::PrincipalId;
use judge::task::{Budget, Caller};
use ledger::{Seq, Source as _, SqliteLedger};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const HOUR_MS: u64 = 60 * 60 * 1000;
const CONNECTIONS: u64 = 64;
/// What the task may read before the breaker trips.
const ENVELOPE: u64 = 20_000;
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// A client that was refused so often in a row has seen enough.
const REFUSALS_MAX: u32 = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|word| word == "upstream") {
        return upstream().await;
    }
    let program = PathBuf::from(args.first().map_or("target/release/prudence", String::as_str)).canonicalize()?;
    let number = |index: usize, otherwise: u64| args.get(index).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (connections, seconds) = (number(1, CONNECTIONS), number(2, 5));
    let house = House::new(&program)?;

    println!("a person's word, {connections} connections");
    let tokens = house.tokens(None).await?;
    let serving = house.serve()?;
    let clients = Clients::start(&serving, &tokens, connections);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let word = Instant::now();
    let said = house.kill().await?;
    let results = clients.results().await?;
    let before = results.iter().flat_map(|client| &client.accepted).filter(|at| **at <= word).count();
    println!("  calls a second before it           {:.0}", before as f64 / seconds as f64);
    println!("  from the word to its answer        {:.1} ms", ms(said - word));
    println!(
        "  from the word to the last accepted {:.1} ms",
        last(&results).map_or(0.0, |at| ms(at.saturating_duration_since(word)))
    );
    println!(
        "  accepted after the word's answer   {}",
        results.iter().flat_map(|client| &client.accepted).filter(|at| **at > said).count()
    );
    drop(serving);
    let serving = house.serve()?;
    println!(
        "  accepted after a restart           {}",
        accepted(&Clients::start(&serving, &tokens, connections).results().await?)
    );
    drop(serving);
    house.reset()?;

    println!("a breaker, {connections} connections, {ENVELOPE} records in the envelope");
    let tokens = house.tokens(Some(ENVELOPE)).await?;
    let serving = house.serve()?;
    let clients = Clients::start(&serving, &tokens, connections);
    let results = clients.results().await?;
    let got = accepted(&results) as u64;
    let tripped = house.tripped()?;
    println!("  records that left                  {got}, {} after the envelope was crossed", got.saturating_sub(ENVELOPE));
    let last = last(&results).map_or(0.0, |at| ms(unix_now()) - ms(at.elapsed()) - tripped as f64);
    println!("  from the trip to the last accepted {last:.1} ms");
    drop(serving);
    let serving = house.serve()?;
    println!(
        "  accepted after a restart           {}",
        accepted(&Clients::start(&serving, &tokens, connections).results().await?)
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::disallowed_methods, reason = "compared with the moments in the ledger")]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

fn accepted(results: &[Client]) -> usize {
    results.iter().map(|client| client.accepted.len()).sum()
}

fn last(results: &[Client]) -> Option<Instant> {
    results.iter().filter_map(|client| client.accepted.last()).max().copied()
}

/// A folder with a configuration, a server behind it, and the program.
struct House {
    program: PathBuf,
    folder: tempfile::TempDir,
    api: u16,
    _upstream: Serving,
}

/// A process that listens. Dropping it kills it.
struct Serving {
    child: Child,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
        out.read_line(&mut line)?;
        // It must not stop at a full pipe.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let said: serde_json::Value = serde_json::from_str(&line)?;
        let url = said["listening"].as_str().expect("it says where it listens");
        Ok(Self { child, address: url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned() })
    }
}

impl House {
    fn new(program: &Path) -> anyhow::Result<Self> {
        let upstream = Serving::start(Command::new(std::env::current_exe()?).arg("upstream"))?;
        let folder = tempfile::tempdir()?;
        let init = Command::new(program).arg("init").current_dir(folder.path()).stdout(Stdio::null()).status()?;
        anyhow::ensure!(init.success(), "`prudence init` failed");
        let api = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = format!(
            r#"
[server]
listen = "127.0.0.1:0"
api_listen = "127.0.0.1:{api}"
store = "prudence.db"
[[upstreams]]
name = "crm"
url = "http://{}/mcp"
contract = "crm.toml"
[[people]]
id = "bo"
[[agents]]
id = "helper"
owner = "bo"
[[agents]]
id = "second"
owner = "bo"
[[grants]]
to = "bo"
may = ["read"]
on = ["*"]
[[grants]]
to = "helper"
may = ["read"]
on = ["*"]
[[grants]]
to = "second"
may = ["read"]
on = ["*"]
"#,
            upstream.address
        );
        std::fs::write(folder.path().join("prudence.toml"), config)?;
        let pin = contract::definition_digest(&definition());
        let contract = format!(
            "[[tool]]\nname = \"record\"\npin = \"sha256:{pin}\"\naccepted_at = \"2026-11-23\"\naccepted_by = \"bo\"\neffects = [\"read\"]\n\
             arguments = [\"id\"]\nresource = \"$.id\"\n[[tool.result.item]]\nat = \"$\"\nid = {{ argument = \"$.id\" }}\nlabel = {{ readers = [\"bo\"] }}\n"
        );
        std::fs::write(folder.path().join("crm.toml"), contract)?;
        Ok(Self { program: program.to_owned(), folder, api, _upstream: upstream })
    }

    /// The tokens of a new task, and of a part of it that another agent was given.
    async fn tokens(&self, items: Option<u64>) -> anyhow::Result<[String; 2]> {
        let first = ["task", "start", "--requester", "bo", "--agent", "helper", "--purpose", "work", "--token-only"];
        let status = Command::new(&self.program).args(first).current_dir(self.folder.path()).stdout(Stdio::null()).status()?;
        anyhow::ensure!(status.success(), "no task could be started");
        let at = |file: &str| self.folder.path().join(file);
        let paths =
            KeyPaths { signing: at("keys/signing.pem"), content: at("keys/content.key"), operator: at("keys/operator.secret") };
        let keys = Keys::load(&paths)?;
        let store = Arc::new(SqliteLedger::open(at("prudence.db"))?);
        let engine = Engine::open(store, keys.content.clone(), Clock::System, Node::alone(), Options::default())?;
        let name = |text: &str| PrincipalId::parse(text).expect("a name");
        let new = NewTask {
            budget: Budget { items, ..Budget::default() },
            ..NewTask::new(name("bo"), name("helper"), "work", HOUR_MS)
        };
        let task = engine.start_task(new).await?;
        let caller = Caller::new(vec![name("bo"), name("helper")], Some(task.id.clone()));
        let part = Part::whole(name("second"));
        let handed_on = engine.delegate(&caller, &part).await?;
        let issuer = Issuer::new("prudence", &keys);
        let token = |task, actors: &[PrincipalId]| {
            issuer.token_of(&TaskToken { task, actors, client: None, binding: None, life_ms: HOUR_MS }, engine.now())
        };
        Ok([token(&task, &[name("helper")])?.token, token(&handed_on, &[name("helper"), name("second")])?.token])
    }

    fn serve(&self) -> anyhow::Result<Serving> {
        Serving::start(
            Command::new(&self.program).args(["-o", "json", "serve"]).current_dir(self.folder.path()).stderr(Stdio::null()),
        )
    }

    /// Stops the agent, as a program that the security team runs. The moment of the answer.
    async fn kill(&self) -> anyhow::Result<Instant> {
        let secret = std::fs::read_to_string(self.folder.path().join("keys/operator.secret"))?;
        let body = json!({ "target": "agent:helper", "by": "bo", "why": "it runs away" }).to_string();
        let request = request("/v1/kill", secret.trim(), &body);
        let mut stream = TcpStream::connect(("127.0.0.1", self.api)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        let answer = message(&mut stream, &mut buffer).await.unwrap_or_default();
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "the word was not taken: {answer}");
        let said = Instant::now();
        Ok(said)
    }

    /// Lets the agent go on, for the next measurement.
    fn reset(&self) -> anyhow::Result<()> {
        let args = ["reset", "agent:helper", "--by", "bo"];
        let status = Command::new(&self.program).args(args).current_dir(self.folder.path()).stdout(Stdio::null()).status()?;
        anyhow::ensure!(status.success(), "it could not be reset");
        Ok(())
    }

    /// When the last breaker tripped, in milliseconds of the ledger's clock.
    fn tripped(&self) -> anyhow::Result<u64> {
        let source = SqliteLedger::open_read_only(self.folder.path().join("prudence.db"))?;
        let mut tripped = None;
        for entry in source.read(Seq(1), usize::MAX, usize::MAX)? {
            let record: Record = serde_json::from_slice(&entry.body)?;
            if matches!(&record.event, Event::Decided(decided) if decided.trip.is_some()) {
                tripped = Some(record.at.0);
            }
        }
        tripped.ok_or_else(|| anyhow::anyhow!("no breaker tripped"))
    }
}

/// The clients at work.
struct Clients(Vec<tokio::task::JoinHandle<Client>>);

/// What one of them saw.
#[derive(Default)]
struct Client {
    /// When it got something, in order.
    accepted: Vec<Instant>,
}

impl Clients {
    fn start(serving: &Serving, tokens: &[String; 2], connections: u64) -> Self {
        let start = |number: u64| {
            let token = &tokens[usize::from(number % 2 == 1)];
            tokio::spawn(Client::run(serving.address.clone(), token.clone(), number))
        };
        Self((0..connections).map(start).collect())
    }

    /// What they saw, when all of them were refused often enough.
    async fn results(self) -> anyhow::Result<Vec<Client>> {
        let mut results = Vec::new();
        for client in self.0 {
            results.push(client.await?);
        }
        Ok(results)
    }
}

impl Client {
    async fn run(address: String, token: String, number: u64) -> Self {
        let mut seen = Self::default();
        let mut stream = TcpStream::connect(&address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        let (mut call, mut refusals) = (0, 0);
        while refusals < REFUSALS_MAX {
            call += 1;
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{call},"method":"tools/call","params":{{"name":"record","arguments":{{"id":"crm:{number}/{call}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
            );
            let headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: record\r\n";
            let request = request("/mcp", &token, &body).replacen("\r\n", &format!("\r\n{headers}"), 1);
            if stream.write_all(request.as_bytes()).await.is_err() {
                return seen;
            }
            let Some(answer) = message(&mut stream, &mut buffer).await else { return seen };
            if answer.contains("a customer") {
                seen.accepted.push(Instant::now());
                refusals = 0;
            } else {
                refusals += 1;
            }
        }
        seen
    }
}

fn request(path: &str, token: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The next message, which says its length; nothing at the end of the connection.
async fn message<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> Option<&'a str> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.ok().filter(|read| *read > 0)?;
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled]).ok()?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return std::str::from_utf8(&buffer[..filled]).ok();
        }
    }
}

fn definition() -> serde_json::Value {
    json!({ "name": "record", "inputSchema": { "type": "object" } })
}

/// An MCP server that gives out a customer a call.
async fn upstream() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({ "listening": format!("http://{}/mcp", listener.local_addr()?) }));
    let answer = |result: serde_json::Value, id: serde_json::Value| {
        let body = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut buffer = vec![0; MESSAGE_BYTES_MAX];
            while let Some(request) = message(&mut stream, &mut buffer).await {
                let body = request.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
                let frame: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
                let result = if frame["method"] == "tools/list" {
                    json!({ "resultType": "complete", "tools": [definition()], "ttlMs": 0, "cacheScope": "private" })
                } else {
                    json!({ "resultType": "complete", "content": [{ "type": "text", "text": "a customer, with an address and a birthday" }] })
                };
                if stream.write_all(answer(result, frame["id"].clone()).as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}
