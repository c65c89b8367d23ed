//! Speaks to a child process on its standard streams, one frame a line (2026-07-28, transports, "stdio").
//!
//! Each session has a process of its own, and each task that works without a session: what one task told a process is not there for
//! another. Ids and progress tokens go through unchanged unless two requests under way would share them. What a frame asks for is not
//! known here.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use wire::frame::{Edit, Frame, IdKey, Kind, Limits as FrameLimits};

use crate::config::Limits;
use crate::lines::{Line, next_line};
use crate::mcp_fields::{PROGRESS_TOKEN, PROTOCOL_VERSION_FIELD, SUBSCRIPTION_ID};
use crate::session::Link;
use crate::sse::Event;
use crate::upstream::{Failure, Reply, ReplyBody};

/// What a program needs to start at all; everything else of the gateway's environment stays with the gateway.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "SYSTEMROOT", "TERM"];
const QUEUE_FRAMES_MAX: usize = 64;
const UNDER_WAY_MAX: usize = 1024;
const STDERR_LINE_BYTES_MAX: usize = 4096;
/// A consumer that takes nothing for so long loses its place; the others of the same process wait behind it until then.
const STALL_TIME_MAX: Duration = Duration::from_secs(30);
/// After its standard input was closed, a process may take so long to end.
const EXIT_TIME_MAX: Duration = Duration::from_secs(2);
/// A process of the older era may stay silent when asked what it is (2026-07-28, stdio, "Backward Compatibility").
const DISCOVER_TIME_MAX: Duration = Duration::from_secs(5);
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// A process that lived so long did not fail at its start.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// How to start the process.
pub struct StdioUpstream {
    name: String,
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    answer_time_max: Duration,
    result_bytes_max: usize,
    frames: FrameLimits,
    running: TaskTracker,
}

/// The process of one link, and what is known about its predecessors.
#[derive(Default)]
pub struct ChildSlot {
    child: Option<Arc<Child>>,
    failures: u32,
    not_before: Option<Instant>,
}

/// One running process.
struct Child {
    name: String,
    lines: mpsc::Sender<Bytes>,
    talk: Mutex<Talk>,
    dead: AtomicBool,
    started: Instant,
    stop: CancellationToken,
    frames: FrameLimits,
}

/// What is under way with a process.
#[derive(Default)]
struct Talk {
    under_way: BTreeMap<IdKey, UnderWay>,
    next: u64,
}

struct UnderWay {
    sink: mpsc::Sender<Heard>,
    number: u64,
    /// The client's id, if the process was given another.
    id: Option<String>,
    /// The token that the process was given, as text, and the client's, if it was given another.
    progress: Option<(String, Option<String>)>,
    /// A subscription stays open; what belongs to no request must not end in it.
    is_subscription: bool,
}

enum Heard {
    Before(Frame),
    Answer(Frame),
}

/// A request under way; dropping it gives up the answer.
struct Asked {
    child: Arc<Child>,
    key: IdKey,
    wire_id: String,
    heard: mpsc::Receiver<Heard>,
    /// In the newer era, going away is cancelling (2026-07-28, "Cancellation"); in the older it is not.
    cancels: bool,
    answered: bool,
}

impl StdioUpstream {
    /// A process to be started when it is first needed.
    pub fn new(name: &str, command: &str, args: &[String], env: &[(String, String)], limits: &Limits) -> Self {
        Self {
            name: name.to_owned(),
            command: command.to_owned(),
            args: args.to_vec(),
            env: env.to_vec(),
            answer_time_max: limits.answer_time_max,
            result_bytes_max: limits.result_bytes_max,
            frames: limits.results(),
            running: TaskTracker::new(),
        }
    }

    /// Waits until all processes have ended, for a bounded time. Their links are gone by now.
    pub async fn ended(&self) {
        self.running.close();
        if tokio::time::timeout(2 * EXIT_TIME_MAX, self.running.wait()).await.is_err() {
            warn!(upstream = self.name, "some processes did not end in time");
        }
        self.running.reopen();
    }

    /// Sends one frame to the link's process, starting it if there is none.
    pub async fn send(&self, frame: &Frame, link: &Arc<Link>) -> Result<Reply, Failure> {
        let child = self.child(link).await?;
        match frame.kind() {
            Kind::Request => {
                if frame.method() == Some("initialize") {
                    link.handshake.lock().initialize = Some(frame.clone());
                }
                self.ask(child, frame).await
            }
            Kind::Notification => {
                if frame.method() == Some("notifications/initialized") {
                    link.handshake.lock().initialized = Some(frame.clone());
                }
                let frame = child.as_the_process_knows_it(frame);
                child.tell(&frame).await?;
                Ok(accepted())
            }
            Kind::Result | Kind::Error => {
                child.tell(frame).await?;
                Ok(accepted())
            }
        }
    }

    /// What the process says without being asked.
    pub fn listen(&self, link: &Arc<Link>) -> Reply {
        let link = Arc::clone(link);
        let events = stream::unfold(link, |link| async move {
            let frame = link.outbox.next().await;
            Some((Ok(Event::of_frame(&frame.line())), link))
        });
        Reply { status: StatusCode::OK, headers: of_type("text/event-stream"), body: ReplyBody::Events(events.boxed()) }
    }

    /// Ends the link's process.
    pub async fn close(&self, link: &Link) -> Reply {
        link.child.lock().await.child = None;
        Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: ReplyBody::Empty }
    }

    async fn ask(&self, child: Arc<Child>, frame: &Frame) -> Result<Reply, Failure> {
        let is_modern = frame.at(PROTOCOL_VERSION_FIELD).is_some();
        let is_discover = frame.method() == Some("server/discover");
        let mut asked = child.ask(frame, is_modern).await?;
        let time_max = if is_discover { DISCOVER_TIME_MAX } else { self.answer_time_max };
        match tokio::time::timeout(time_max, asked.next()).await {
            Ok(Some(Heard::Answer(answer))) => Ok(whole(&answer, is_modern, is_discover)),
            Ok(Some(Heard::Before(first))) => {
                let first = stream::iter([Ok(Event::of_frame(&first.line()))]);
                let rest = stream::unfold(asked, |mut asked| async move {
                    if asked.answered {
                        return None;
                    }
                    match asked.next().await {
                        Some(Heard::Before(frame) | Heard::Answer(frame)) => Some((Ok(Event::of_frame(&frame.line())), asked)),
                        None => {
                            asked.answered = true;
                            Some((Err(asked.child.lost()), asked))
                        }
                    }
                });
                let body = ReplyBody::Events(first.chain(rest).boxed());
                Ok(Reply { status: StatusCode::OK, headers: of_type("text/event-stream"), body })
            }
            // Some end at whatever precedes `initialize`: to a client that looks for the newer era, that is an answer.
            Ok(None) | Err(_) if is_discover => {
                Ok(whole(&Frame::error(frame.id(), -32601, "no answer to server/discover", None), true, true))
            }
            Ok(None) => Err(child.lost()),
            Err(_) => Err(Failure::Lost(format!("no answer within {} s", time_max.as_secs()))),
        }
    }

    async fn child(&self, link: &Arc<Link>) -> Result<Arc<Child>, Failure> {
        let mut slot = link.child.lock().await;
        if let Some(child) = &slot.child {
            if !child.dead.load(Ordering::Acquire) {
                return Ok(Arc::clone(child));
            }
            slot.failures = if child.started.elapsed() > HEALTHY_AFTER { 0 } else { slot.failures + 1 };
            slot.not_before = Some(Instant::now() + back_off(slot.failures));
            slot.child = None;
        }
        if let Some(not_before) = slot.not_before {
            let wait = not_before.saturating_duration_since(Instant::now());
            if wait > BACK_OFF_MIN {
                return Err(Failure::NotSent(format!(
                    "the process ended {} times in a row, next start in {} ms",
                    slot.failures,
                    wait.as_millis()
                )));
            }
            tokio::time::sleep(wait).await;
        }
        let started = self.start(link);
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                slot.failures += 1;
                slot.not_before = Some(Instant::now() + back_off(slot.failures));
                return Err(Failure::NotSent(format!("cannot start `{}`: {error}", self.command)));
            }
        };
        slot.child = Some(Arc::clone(&child));
        slot.not_before = None;
        // A new process knows nothing of the handshake that its predecessor had; the client will not repeat it.
        let (initialize, initialized) = {
            let handshake = link.handshake.lock();
            (handshake.initialize.clone(), handshake.initialized.clone())
        };
        if let (Some(initialize), Some(initialized)) = (initialize, initialized) {
            let mut asked = child.ask(&initialize, false).await?;
            let answer = tokio::time::timeout(self.answer_time_max, async {
                while let Some(heard) = asked.next().await {
                    if let Heard::Answer(answer) = heard {
                        return Some(answer);
                    }
                }
                None
            });
            match answer.await {
                Ok(Some(answer)) if answer.kind() == Kind::Result => child.tell(&initialized).await?,
                Ok(Some(_) | None) | Err(_) => {
                    child.stop.cancel();
                    return Err(Failure::NotSent("the restarted process refused the handshake".to_owned()));
                }
            }
        }
        Ok(child)
    }

    fn start(&self, link: &Arc<Link>) -> std::io::Result<Arc<Child>> {
        let mut command = Command::new(&self.command);
        command.args(&self.args).env_clear().kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(INHERITED.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        // A group of its own, so that what it starts ends with it.
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn()?;
        info!(upstream = self.name, pid = process.id(), "started");
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(std::io::Error::other("the process has no standard streams"));
        };
        let (lines, queue) = mpsc::channel(QUEUE_FRAMES_MAX);
        let stop = CancellationToken::new();
        let child = Arc::new(Child {
            name: self.name.clone(),
            lines,
            talk: Mutex::default(),
            dead: AtomicBool::new(false),
            started: Instant::now(),
            stop: stop.clone(),
            frames: self.frames.clone(),
        });
        tokio::spawn(write(stdin, queue, stop.clone()));
        tokio::spawn(log(self.name.clone(), stderr));
        // The reader holds the child weakly: when the link lets go of it, it ends.
        let reader = Reader {
            child: Arc::downgrade(&child),
            link: Arc::downgrade(link),
            bytes_max: self.result_bytes_max,
            name: self.name.clone(),
        };
        let heard_all = tokio::spawn(reader.run(stdout));
        self.running.spawn(supervise(process, stop, heard_all, Arc::downgrade(&child), self.name.clone()));
        Ok(child)
    }
}

impl Child {
    async fn tell(&self, frame: &Frame) -> Result<(), Failure> {
        self.lines.send(frame.line()).await.map_err(|_| Failure::NotSent("the process has ended".to_owned()))
    }

    /// Registers a request and writes it.
    async fn ask(self: &Arc<Self>, frame: &Frame, cancels: bool) -> Result<Asked, Failure> {
        let garbled = |_| Failure::NotSent("the request cannot be numbered".to_owned());
        let (Some(id), Some(mut key)) = (frame.id(), frame.id_key()) else {
            return Err(Failure::NotSent("a request without id".to_owned()));
        };
        let (sink, heard) = mpsc::channel(QUEUE_FRAMES_MAX);
        let mut wire_id = id.to_owned();
        let mut edits: Vec<(&str, String)> = Vec::new();
        {
            let mut talk = self.talk.lock();
            if self.dead.load(Ordering::Acquire) {
                return Err(Failure::NotSent("the process has ended".to_owned()));
            }
            if talk.under_way.len() >= UNDER_WAY_MAX {
                return Err(Failure::NotSent(format!("more than {UNDER_WAY_MAX} requests under way")));
            }
            talk.next += 1;
            let number = talk.next;
            let mut client_id = None;
            if talk.under_way.contains_key(&key) {
                let fresh = format!("prudence-{number}");
                key = IdKey::Text(fresh.clone());
                wire_id = format!("\"{fresh}\"");
                edits.push(("/id", wire_id.clone()));
                client_id = Some(id.to_owned());
            }
            let progress = frame.at(PROGRESS_TOKEN).map(|token| {
                let taken = talk.under_way.values().any(|other| other.progress.as_ref().is_some_and(|(given, _)| given == token));
                if !taken {
                    return (token.to_owned(), None);
                }
                let fresh = format!("\"prudence-{number}\"");
                edits.push((PROGRESS_TOKEN, fresh.clone()));
                (fresh, Some(token.to_owned()))
            });
            let is_subscription = frame.method() == Some("subscriptions/listen");
            talk.under_way.insert(key.clone(), UnderWay { sink, number, id: client_id, progress, is_subscription });
        }
        let asked = Asked { child: Arc::clone(self), key, wire_id, heard, cancels, answered: false };
        if edits.is_empty() {
            self.tell(frame).await?;
        } else {
            let edits: Vec<Edit> = edits.iter().map(|(pointer, value)| Edit::Replace(pointer, value)).collect();
            self.tell(&frame.edit(&edits, &self.frames).map_err(garbled)?).await?;
        }
        Ok(asked)
    }

    /// A cancellation names a request by the id that the process was given.
    fn as_the_process_knows_it(&self, frame: &Frame) -> Frame {
        const REQUEST_ID: &str = "/params/requestId";
        if frame.method() != Some("notifications/cancelled") {
            return frame.clone();
        }
        let Some(id) = frame.at(REQUEST_ID) else { return frame.clone() };
        let renamed = {
            let talk = self.talk.lock();
            talk.under_way.iter().find_map(|(key, under_way)| match (&under_way.id, key) {
                (Some(client_id), IdKey::Text(text)) if client_id == id => Some(format!("\"{text}\"")),
                (Some(_) | None, _) => None,
            })
        };
        renamed.and_then(|id| frame.splice(REQUEST_ID, &id, &self.frames).ok()).unwrap_or_else(|| frame.clone())
    }

    fn lost(&self) -> Failure {
        Failure::Lost(format!("the process of `{}` ended before it answered", self.name))
    }

    fn end(&self) {
        let mut talk = self.talk.lock();
        self.dead.store(true, Ordering::Release);
        talk.under_way.clear();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Asked {
    async fn next(&mut self) -> Option<Heard> {
        let heard = self.heard.recv().await;
        if matches!(heard, Some(Heard::Answer(_)) | None) {
            self.answered = true;
        }
        heard
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let was_under_way = self.child.talk.lock().under_way.remove(&self.key).is_some();
        if was_under_way && self.cancels && !self.answered {
            let line =
                format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{}}}}}"#, self.wire_id);
            // Best effort: a process that does not read will not stop working either.
            let _ = self.child.lines.try_send(Bytes::from(line));
        }
    }
}

/// Reads what the process says and hands it to whom it concerns.
struct Reader {
    child: std::sync::Weak<Child>,
    link: std::sync::Weak<Link>,
    bytes_max: usize,
    name: String,
}

impl Reader {
    async fn run(self, stdout: ChildStdout) {
        let mut stdout = BufReader::new(stdout);
        loop {
            let line = match next_line(&mut stdout, self.bytes_max).await {
                Ok(Line::Whole(line)) => line,
                Ok(Line::TooLong) => {
                    warn!(upstream = self.name, bytes_max = self.bytes_max, "a line is too long and was dropped");
                    continue;
                }
                Ok(Line::End) | Err(_) => break,
            };
            let Some(child) = self.child.upgrade() else { break };
            match Frame::parse(line, &child.frames) {
                Ok(frame) => self.hand_over(&child, frame).await,
                Err(error) => warn!(upstream = self.name, %error, "a line is no message and was dropped"),
            }
        }
        if let Some(child) = self.child.upgrade() {
            child.end();
        }
    }

    async fn hand_over(&self, child: &Child, frame: Frame) {
        if frame.method() == Some("notifications/tools/list_changed")
            && let Some(link) = self.link.upgrade()
        {
            // Whether or not somebody listens.
            link.forget_definitions();
        }
        let place = |found: Option<(mpsc::Sender<Heard>, Heard)>| found;
        let delivery = {
            let mut talk = child.talk.lock();
            match frame.kind() {
                Kind::Result | Kind::Error => {
                    let Some(under_way) = frame.id_key().and_then(|key| talk.under_way.remove(&key)) else {
                        warn!(upstream = self.name, "an answer to nothing that was asked was dropped");
                        return;
                    };
                    let frame = restored(frame, &under_way, &child.frames);
                    place(frame.map(|frame| (under_way.sink, Heard::Answer(frame))))
                }
                Kind::Request | Kind::Notification => {
                    let concerned = concerned(&talk, &frame);
                    let Some(under_way) = concerned else {
                        drop(talk);
                        if let Some(link) = self.link.upgrade() {
                            link.outbox.put(frame);
                        }
                        return;
                    };
                    let frame = restored(frame, under_way, &child.frames);
                    place(frame.map(|frame| (under_way.sink.clone(), Heard::Before(frame))))
                }
            }
        };
        let Some((sink, heard)) = delivery else { return };
        if tokio::time::timeout(STALL_TIME_MAX, sink.send(heard)).await.is_err() {
            warn!(upstream = self.name, "a message was dropped: its reader takes nothing");
        }
    }
}

/// The request that a message of the process belongs to: by progress token or subscription, else the newest one.
fn concerned<'talk>(talk: &'talk Talk, frame: &Frame) -> Option<&'talk UnderWay> {
    if let Some(subscription) = frame.at(SUBSCRIPTION_ID) {
        return talk
            .under_way
            .values()
            .zip(talk.under_way.keys())
            .find(|(_, key)| is_key(key, subscription))
            .map(|(under_way, _)| under_way);
    }
    if frame.method() == Some("notifications/progress")
        && let Some(token) = frame.at("/params/progressToken")
    {
        return talk.under_way.values().find(|under_way| under_way.progress.as_ref().is_some_and(|(given, _)| given == token));
    }
    talk.under_way.values().filter(|under_way| !under_way.is_subscription).max_by_key(|under_way| under_way.number)
}

fn is_key(key: &IdKey, raw: &str) -> bool {
    match key {
        IdKey::Number(number) => raw.parse() == Ok(*number),
        IdKey::Text(text) => serde_json::from_str::<String>(raw).is_ok_and(|raw| raw == *text),
    }
}

/// The frame with the client's own id, token and subscription where the process was given others.
fn restored(frame: Frame, under_way: &UnderWay, limits: &FrameLimits) -> Option<Frame> {
    const RESULT_SUBSCRIPTION: &str = "/result/_meta/io.modelcontextprotocol~1subscriptionId";
    let mut edits: Vec<Edit> = Vec::new();
    if let Some(id) = &under_way.id {
        if frame.kind().is_response() {
            edits.push(Edit::Replace("/id", id));
        }
        for pointer in [SUBSCRIPTION_ID, RESULT_SUBSCRIPTION] {
            if frame.at(pointer).is_some() {
                edits.push(Edit::Replace(pointer, id));
            }
        }
    }
    if let Some((given, Some(token))) = &under_way.progress
        && frame.at("/params/progressToken") == Some(given)
    {
        edits.push(Edit::Replace("/params/progressToken", token));
    }
    if edits.is_empty() { Some(frame) } else { frame.edit(&edits, limits).ok() }
}

fn whole(answer: &Frame, is_modern: bool, is_discover: bool) -> Reply {
    let code: Option<i64> = answer.at("/error/code").and_then(|code| code.parse().ok());
    // The statuses that a server of the newer era would have used (2026-07-28, streamable HTTP, "Protocol Version Header" and "Server
    // Validation"). An older process that does not know `server/discover` must not look like one of the newer era.
    let status = match code {
        Some(-32022..=-32020) if is_modern => StatusCode::BAD_REQUEST,
        Some(_) if is_discover => StatusCode::BAD_REQUEST,
        Some(-32601) if is_modern => StatusCode::NOT_FOUND,
        Some(_) | None => StatusCode::OK,
    };
    Reply { status, headers: of_type("application/json"), body: ReplyBody::Whole(answer.bytes().clone()) }
}

fn accepted() -> Reply {
    Reply { status: StatusCode::ACCEPTED, headers: HeaderMap::new(), body: ReplyBody::Empty }
}

fn of_type(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

fn back_off(failures: u32) -> Duration {
    (BACK_OFF_MIN * 2_u32.saturating_pow(failures.saturating_sub(1).min(16))).min(BACK_OFF_MAX)
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Bytes>, stop: CancellationToken) {
    loop {
        let line = tokio::select! {
            line = queue.recv() => line,
            () = stop.cancelled() => None,
        };
        let Some(line) = line else { return };
        let mut out = Vec::with_capacity(line.len() + 1);
        out.extend_from_slice(&line);
        out.push(b'\n');
        if stdin.write_all(&out).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn log(upstream: String, stderr: ChildStderr) {
    let mut stderr = BufReader::new(stderr);
    loop {
        match next_line(&mut stderr, STDERR_LINE_BYTES_MAX).await {
            Ok(Line::Whole(line)) => info!(upstream, stderr = %String::from_utf8_lossy(&line)),
            Ok(Line::TooLong) => info!(upstream, stderr = "(a long line)"),
            Ok(Line::End) | Err(_) => return,
        }
    }
}

/// Waits for the end of a process, its own or ours.
async fn supervise(
    mut process: tokio::process::Child,
    stop: CancellationToken,
    heard_all: tokio::task::JoinHandle<()>,
    child: std::sync::Weak<Child>,
    name: String,
) {
    let pid = process.id();
    let ended = tokio::select! {
        ended = process.wait() => Some(ended),
        () = stop.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => {
            // What it said before it died still counts, unless something that it started holds the pipe open.
            let _ = tokio::time::timeout(EXIT_TIME_MAX, heard_all).await;
            ended
        }
        // The writer has closed its standard input: that asks it to end.
        None => match tokio::time::timeout(EXIT_TIME_MAX, process.wait()).await {
            Ok(ended) => ended,
            Err(_) => process.kill().await.and(process.wait().await),
        },
    };
    kill_group(pid);
    if let Some(child) = child.upgrade() {
        child.end();
    }
    match ended {
        Ok(status) if stop.is_cancelled() => debug!(upstream = name, %status, "ended"),
        Ok(status) => warn!(upstream = name, %status, "ended by itself"),
        Err(error) => warn!(upstream = name, %error, "lost"),
    }
}

#[cfg(unix)]
fn kill_group(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Nobody left in the group is the usual case.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_pid: Option<u32>) {}
