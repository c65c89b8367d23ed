//! A client on standard streams, one frame a line. What a message means is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use wire::frame::{Frame, IdKey, Kind};
use wire::headers as agreement;
use wire::mcp::Method;

use crate::Core;
use crate::answer::{Answer, AnswerBody};
use crate::exchange::{Caller, Upward};
use crate::lines::{Line, next_line};
use crate::mcp_fields::is_modern;
use crate::route::id_key;
use crate::session::Scope;

const QUEUE_FRAMES_MAX: usize = 64;
const REQUESTS_MAX: usize = 256;
/// After a cancellation of the older era an answer may still be under way.
const CANCELLED_TIME_MAX: Duration = Duration::from_secs(5);
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// What one client has under way.
struct Conversation {
    core: Arc<Core>,
    caller: Caller,
    scope: Arc<Scope>,
    out: mpsc::Sender<Bytes>,
    under_way: Mutex<BTreeMap<IdKey, UnderWay>>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    over: CancellationToken,
}

struct UnderWay {
    stop: CancellationToken,
    is_modern: bool,
}

/// Serves until the client closes its side.
pub async fn serve(
    core: &Arc<Core>,
    caller: Caller,
    stdin: impl AsyncRead + Send + Unpin,
    stdout: impl AsyncWrite + Send + Unpin + 'static,
) -> std::io::Result<()> {
    let (out, queue) = mpsc::channel(QUEUE_FRAMES_MAX);
    let writer = tokio::spawn(write(stdout, queue));
    let scope = core.scopes.prepare(&caller);
    let talk = Arc::new(Conversation {
        core: Arc::clone(core),
        caller,
        scope,
        out,
        under_way: Mutex::default(),
        places: Arc::new(Semaphore::new(REQUESTS_MAX)),
        tasks: TaskTracker::new(),
        over: CancellationToken::new(),
    });
    for index in 0..core.upstreams.len() {
        if core.upstreams[index].is_child() {
            talk.tasks.spawn(Arc::clone(&talk).relay_unasked(index));
        }
    }
    let mut stdin = BufReader::new(stdin);
    let read = loop {
        match next_line(&mut stdin, core.config.limits.body_bytes_max).await {
            Ok(Line::Whole(line)) => talk.take(line).await,
            Ok(Line::TooLong) => {
                let message = format!("expected a line of at most {} bytes", core.config.limits.body_bytes_max);
                talk.say(Frame::error(None, -32600, &message, None).line()).await;
            }
            Ok(Line::End) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // What runs may end; then everybody who could still write is gone and so is the writer.
    talk.over.cancel();
    talk.tasks.close();
    if tokio::time::timeout(core.config.limits.shutdown_time_max, talk.tasks.wait()).await.is_err() {
        warn!("some requests did not end in time");
        for under_way in talk.under_way.lock().values() {
            under_way.stop.cancel();
        }
    }
    for (upstream, link) in core.upstreams.iter().zip(&talk.scope.links) {
        // A server that cannot be told finds out by itself.
        let _ = upstream.close(HeaderMap::new(), link).await;
    }
    drop(talk);
    let _ = tokio::time::timeout(core.config.limits.shutdown_time_max, writer).await;
    read
}

impl Conversation {
    async fn say(&self, line: Bytes) {
        // The client is gone: nobody is left to tell.
        let _ = self.out.send(line).await;
    }

    async fn take(self: &Arc<Self>, line: Bytes) {
        let frame = match Frame::parse(line, &self.core.request_frames) {
            Ok(frame) => frame,
            Err(error) => return self.say(Frame::error(None, error.rpc_code(), &error.to_string(), None).line()).await,
        };
        match frame.kind() {
            Kind::Request => self.start(frame).await,
            // In order: what follows may depend on it.
            Kind::Notification if Method::of(&frame) == Some(Method::Cancelled) => self.cancel(frame).await,
            Kind::Notification => {
                let opened = Method::of(&frame) == Some(Method::Initialized);
                self.pass(frame).await;
                if opened {
                    self.listen();
                }
            }
            Kind::Result | Kind::Error => {
                self.pass(frame).await;
            }
        }
    }

    async fn start(self: &Arc<Self>, frame: Frame) {
        let Some(key) = frame.id_key() else { return };
        let stop = CancellationToken::new();
        let is_taken = self.under_way.lock().contains_key(&key);
        if is_taken {
            let answer = Frame::error(frame.id(), -32600, "a request with this id is under way", None);
            return self.say(answer.line()).await;
        }
        // Only this reader adds, so nobody took the id in between.
        self.under_way.lock().insert(key.clone(), UnderWay { stop: stop.clone(), is_modern: is_modern(&frame) });
        let place = Arc::clone(&self.places).acquire_owned().await;
        let talk = Arc::clone(self);
        self.tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = talk.answer(frame) => {}
                () = stop.cancelled() => {}
            }
            talk.under_way.lock().remove(&key);
        });
    }

    async fn answer(&self, frame: Frame) {
        let id = frame.id().map(str::to_owned);
        match self.pass(frame).await.body {
            AnswerBody::Empty => {
                let answer = Frame::error(id.as_deref(), -32603, "the upstream server gave an empty answer", None);
                self.say(answer.line()).await;
            }
            AnswerBody::Whole(body) => match Frame::parse(body, &self.core.result_frames) {
                Ok(frame) if frame.id().is_some() => self.say(frame.line()).await,
                // Over HTTP the status says to whom an answer without id belongs; here only the id does.
                Ok(_) | Err(_) => {
                    let answer = Frame::error(id.as_deref(), -32603, "the upstream server refused the request", None);
                    self.say(answer.line()).await;
                }
            },
            AnswerBody::Events(mut events) => {
                while let Some(event) = events.next().await {
                    let frame = event.data().and_then(|data| Frame::parse(data, &self.core.result_frames).ok());
                    if let Some(frame) = frame {
                        self.say(frame.line()).await;
                    }
                }
            }
        }
    }

    async fn pass(&self, frame: Frame) -> Answer {
        let headers = headers_of(&frame);
        self.core.pass(Upward { caller: &self.caller, scope: &self.scope, frame, headers }).await
    }

    async fn cancel(self: &Arc<Self>, frame: Frame) {
        let found = frame.at("/params/requestId").and_then(id_key).and_then(|key| {
            let under_way = self.under_way.lock();
            under_way.get(&key).map(|under_way| (under_way.stop.clone(), under_way.is_modern))
        });
        match found {
            // Going away is cancelling (2026-07-28, "Cancellation"): each upstream is told in its own way.
            Some((stop, true)) => stop.cancel(),
            Some((stop, false)) => {
                self.pass(frame).await;
                self.tasks.spawn(async move {
                    tokio::time::sleep(CANCELLED_TIME_MAX).await;
                    stop.cancel();
                });
            }
            // Too late, which is normal.
            None => {}
        }
    }

    /// What a process says without being asked.
    async fn relay_unasked(self: Arc<Self>, index: usize) {
        loop {
            let listened = tokio::select! {
                answer = self.core.listen_to(&self.scope, index, HeaderMap::new()) => answer,
                () = self.over.cancelled() => return,
            };
            let AnswerBody::Events(mut events) = listened.body else {
                if listened.status.is_client_error() {
                    debug!(upstream = self.core.upstreams[index].name, status = %listened.status, "offers no stream");
                    return;
                }
                tokio::time::sleep(LISTEN_PAUSE).await;
                continue;
            };
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = self.over.cancelled() => return,
                };
                let Some(event) = event else { break };
                if let Some(frame) = event.data().and_then(|data| Frame::parse(data, &self.core.result_frames).ok()) {
                    self.say(frame.line()).await;
                }
            }
            tokio::time::sleep(LISTEN_PAUSE).await;
        }
    }

    /// A session of the older era is open: servers over HTTP may speak by themselves from now on.
    fn listen(self: &Arc<Self>) {
        for (index, upstream) in self.core.upstreams.iter().enumerate() {
            if !upstream.is_child() && !self.scope.links[index].is_left_out() {
                self.tasks.spawn(Arc::clone(self).relay_unasked(index));
            }
        }
    }
}

/// The headers that a client over HTTP would have sent with this frame.
fn headers_of(frame: &Frame) -> HeaderMap {
    if !is_modern(frame) {
        return HeaderMap::new();
    }
    let pairs = agreement::standard(frame).into_iter();
    pairs.filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))).collect()
}

async fn write(mut stdout: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(line) = queue.recv().await {
        let mut out = Vec::with_capacity(line.len() + 1);
        out.extend_from_slice(&line);
        out.push(b'\n');
        if stdout.write_all(&out).await.is_err() || stdout.flush().await.is_err() {
            return;
        }
    }
}
