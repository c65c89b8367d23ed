//! A folder with a configuration, a real server behind it, and the built program between that server and clients: for tests that kill it,
//! starve it of disk, or change its files while it runs.
//!
//! Nothing here sleeps for the sake of sleeping: what is waited for is named, and has a bound.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::post;
use judge::event::{Decided, Ended, Event, Record};
use judge::name::DecisionId;
use ledger::{Seq, Source as _, SqliteLedger};
use serde_json::{Value, json};

/// Whatever is waited for is there by then, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at that nobody signals.
const LOOK: Duration = Duration::from_millis(5);
/// What only Bo may have.
pub const SECRET: &str = "the launch was moved to the ninth of May, and nobody outside may know";

/// Waits until `is_so` yields something.
pub fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}

/// A real MCP server: `read` answers with the secret, `post` puts something into a thread.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    _runtime: tokio::runtime::Runtime,
}

/// What reached the server.
#[derive(Default)]
struct Seen {
    posts: Mutex<Vec<String>>,
    grown: Condvar,
    /// Looked at before a call is carried out: what is not decided there must not come here.
    ledger: Mutex<Option<(PathBuf, Seq, Vec<String>)>>,
    undecided: Mutex<Vec<String>>,
}

/// The tools as the server lists them.
pub fn definitions() -> Value {
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    json!([tool("read"), tool("post")])
}

impl Upstream {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let seen = Arc::new(Seen::default());
        let app = axum::Router::new().route("/mcp", post(answer)).with_state(seen.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, seen, _runtime: runtime }
    }

    /// From now on every call is looked up in this ledger before it is carried out.
    pub fn look_into(&self, ledger: &Path) {
        *lock(&self.seen.ledger) = Some((ledger.to_owned(), Seq(0), Vec::new()));
    }

    /// Every post that was carried out, in order.
    pub fn posts(&self) -> Vec<String> {
        lock(&self.seen.posts).clone()
    }

    /// Posts that came without a durable permit.
    pub fn undecided(&self) -> Vec<String> {
        lock(&self.seen.undecided).clone()
    }

    /// Waits until so many posts were carried out.
    pub fn wait_for(&self, posts: usize) {
        let (carried, waited) = self
            .seen
            .grown
            .wait_timeout_while(lock(&self.seen.posts), PATIENCE, |carried| carried.len() < posts)
            .expect("nobody panicked");
        assert!(!waited.timed_out(), "{} of {posts} posts within {PATIENCE:?}", carried.len());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panicked")
}

async fn answer(State(seen): State<Arc<Seen>>, Json(frame): Json<Value>) -> axum::response::Response {
    let (Some(method), Some(id)) = (frame["method"].as_str(), frame.get("id")) else {
        return StatusCode::ACCEPTED.into_response();
    };
    let arguments = &frame["params"]["arguments"];
    let result = match (method, frame["params"]["name"].as_str()) {
        ("tools/list", _) => json!({ "tools": definitions() }),
        ("tools/call", Some("read")) => json!({ "content": [{ "type": "text", "text": SECRET }] }),
        ("tools/call", Some("post")) => {
            seen.post(arguments["thread"].as_str().unwrap_or_default());
            json!({ "content": [{ "type": "text", "text": "posted" }] })
        }
        _ => json!({}),
    };
    Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
}

impl Seen {
    fn post(&self, thread: &str) {
        if let Some((path, read, permitted)) = lock(&self.ledger).as_mut() {
            let source = SqliteLedger::open_read_only(path).expect("the ledger is there");
            for entry in source.read(read.plus(1), usize::MAX, usize::MAX).expect("it can be read") {
                *read = entry.seq;
                permitted.extend(decided(&entry.body).filter(is_permit).map(|decided| thread_of(&decided)));
            }
            if !permitted.iter().any(|permitted| permitted == thread) {
                lock(&self.undecided).push(thread.to_owned());
            }
        }
        lock(&self.posts).push(thread.to_owned());
        self.grown.notify_all();
    }
}

fn decided(body: &[u8]) -> impl Iterator<Item = Decided> {
    let record: Record = serde_json::from_slice(body).expect("an event");
    match record.event {
        Event::Decided(decided) => Some(*decided),
        _ => None,
    }
    .into_iter()
}

fn is_permit(decided: &Decided) -> bool {
    decided.decision.outcome == judge::decision::Outcome::Permit
}

fn thread_of(decided: &Decided) -> String {
    decided.act.resources.first().map(ToString::to_string).unwrap_or_default()
}

/// What the ledger says of every permitted act: which thread, and how it ended, as often as it did.
pub fn permits(ledger: &Path) -> Vec<(String, Vec<Ended>)> {
    let source = SqliteLedger::open_read_only(ledger).expect("the ledger is there");
    let mut permits: Vec<(DecisionId, String, Vec<Ended>)> = Vec::new();
    for entry in source.read(Seq(1), usize::MAX, usize::MAX).expect("it can be read") {
        let record: Record = serde_json::from_slice(&entry.body).expect("an event");
        match record.event {
            Event::Decided(decided) if is_permit(&decided) => permits.push((decided.id.clone(), thread_of(&decided), Vec::new())),
            Event::Observed(observed) => {
                let permit = permits.iter_mut().find(|(id, _, _)| *id == observed.decision).expect("what ended had begun");
                permit.2.push(observed.ended);
            }
            _ => {}
        }
    }
    permits.into_iter().map(|(_, thread, ended)| (thread, ended)).collect()
}

/// A folder with everything that the program needs.
pub struct House {
    pub folder: tempfile::TempDir,
    pub upstream: Upstream,
}

impl House {
    /// Bo and his helper may read `note:secret`, which only Bo may have, and post into threads that Bo sees, or `board`, which Ann sees too.
    pub fn new(store: &str, more: &str) -> Self {
        let upstream = Upstream::start();
        let folder = tempfile::tempdir().expect("a temporary directory");
        super::done(folder.path(), &["init"]);
        let config = format!(
            r#"
[server]
listen = "127.0.0.1:0"
store = "{store}"
{more}
[[upstreams]]
name = "forum"
url = "http://{}/mcp"
contract = "forum.toml"

[[people]]
id = "bo"
[[people]]
id = "ann"
[[agents]]
id = "helper"
owner = "bo"

[[items]]
id = "note:secret"
readers = ["bo"]
[[destinations]]
id = "thread:*"
audience = ["bo"]
[[destinations]]
id = "board"
audience = ["bo", "ann"]

[[grants]]
to = "bo"
may = ["read", "publish"]
on = ["*"]
[[grants]]
to = "helper"
may = ["read", "publish"]
on = ["*"]
[[grants]]
to = "ann"
may = ["publish"]
on = ["*"]
"#,
            upstream.address
        );
        let house = Self { folder, upstream };
        house.write("prudence.toml", &config);
        house.write("forum.toml", &contract());
        house
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("own file");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect("own file")
    }

    /// A task of Bo's helper whose answer is for those in `address`, and its token.
    pub fn task(&self, address: &str) -> String {
        let arguments = ["task", "start", "--requester", "bo", "--agent", "helper", "--purpose", "work", "--lease", "1h"];
        let token = super::done(self.path(), &[&arguments[..], &["--address", address, "--token-only"]].concat());
        token.trim().to_owned()
    }

    /// `prudence serve`, ready.
    pub fn serve(&self) -> Serving {
        self.begin(Command::new(env!("CARGO_BIN_EXE_prudence")).args(["-o", "json", "serve"])).ready()
    }

    /// `prudence serve`, just started.
    pub fn begin(&self, command: &mut Command) -> Starting {
        let child = command
            .current_dir(self.path())
            .env_remove("PRUDENCE_CONFIG")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        Starting(child)
    }
}

/// The contract of both tools, accepted.
pub fn contract() -> String {
    let definitions = definitions();
    let accepted = |index: usize, says: &str| {
        let (definition, pin) = (&definitions[index], contract::definition_digest(&definitions[index]));
        let name = definition["name"].as_str().expect("it has a name");
        format!(
            "[[tool]]\nname = \"{name}\"\npin = \"sha256:{pin}\"\naccepted_at = \"2026-11-23\"\naccepted_by = \"ann\"\n{says}\n"
        )
    };
    let read = "effects = [\"read\"]\narguments = [\"note\"]\nresource = \"$.note\"\n[[tool.result.item]]\nat = \"$\"\nid = { argument = \"$.note\" }\n";
    let post = "effects = [\"publish\"]\narguments = [\"thread\", \"text\"]\nresource = \"$.thread\"\n[tool.result]\nlabel = { readers = [\"bo\"] }\n";
    [accepted(0, read), accepted(1, post)].concat()
}

/// A program that may not listen yet. Dropping it kills it.
pub struct Starting(Child);

impl Starting {
    pub fn kill(mut self) {
        kill(&mut self.0);
    }

    /// Waits until it listens.
    pub fn ready(mut self) -> Serving {
        let (said, lines) = std::sync::mpsc::channel();
        let mut out = BufReader::new(self.0.stdout.take().expect("it is piped"));
        // It ends with the program's output.
        std::thread::spawn(move || {
            let mut line = String::new();
            while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                let _ = said.send(std::mem::take(&mut line));
            }
        });
        let mut err = self.0.stderr.take().expect("it is piped");
        let errors: Arc<Mutex<String>> = Arc::default();
        let into = errors.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = err.read(&mut bytes) {
                lock(&into).push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        let Ok(line) = lines.recv_timeout(PATIENCE) else {
            kill(&mut self.0);
            panic!("it does not listen: {}", lock(&errors))
        };
        let said: Value = serde_json::from_str(&line).expect("json");
        let url = said["listening"].as_str().expect("a url");
        let address = url
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches("/mcp")
            .parse()
            .expect("an address");
        Serving { child: self.0, address, lines, errors }
    }
}

fn kill(child: &mut Child) {
    // SIGKILL. It may be gone already.
    let _ = child.kill();
    let _ = child.wait();
}

/// A program that listens. Dropping it kills it.
pub struct Serving {
    child: Child,
    pub address: SocketAddr,
    lines: std::sync::mpsc::Receiver<String>,
    errors: Arc<Mutex<String>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

impl Serving {
    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The next line that it prints.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it says nothing: {}", self.errors()))
    }

    /// What it wrote on its standard error so far.
    pub fn errors(&self) -> String {
        lock(&self.errors).clone()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("it runs");
    }

    /// Ends it as an operator does.
    pub fn stop(mut self) {
        self.signal(rustix::process::Signal::TERM);
        until("it ends", || self.child.try_wait().expect("it is ours"));
    }

    pub fn client(&self, token: &str) -> Client {
        Client { address: self.address, token: token.to_owned() }
    }
}

/// An agent.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    /// Posts into a thread. Nothing when the program died meanwhile.
    pub fn post(&self, thread: &str, text: &str) -> Option<Value> {
        self.call("post", &json!({ "thread": thread, "text": text }))
    }

    /// Calls a tool: the JSON-RPC result.
    pub fn call(&self, tool: &str, arguments: &Value) -> Option<Value> {
        let frame =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
        let (_, body) = http(self.address, "POST", "/mcp", &self.token, &frame.to_string())?;
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert!(answer.get("result").is_some(), "{answer}");
        Some(answer["result"].take())
    }
}

/// The text of a tool result.
pub fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

/// The codes of a refusal; nothing when it went through.
pub fn codes(result: &Value) -> Vec<&str> {
    let codes = result["_meta"]["prudence/refusal"]["codes"].as_array();
    codes.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// One request on a connection of its own. Nothing when the other side ends before it has answered.
pub fn http(address: SocketAddr, method: &str, path: &str, token: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length: Option<usize> = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").and_then(|length| length.trim().parse().ok()));
    // Cut short by a kill: no answer.
    (length == Some(body.len())).then(|| (status, body.to_owned()))
}

/// A port that nobody uses at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}
