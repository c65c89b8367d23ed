//! Kept-alive connections to one upstream (RFC 9112, section 9.3). What is sent on them is not known here.
//!
//! Whoever waits for an answer moves its connection, so that a call wakes no task but its own. A connection on which nobody waits
//! stands still: that its server closed it, or spoke unasked, is seen when it moves again, before a request leaves on it.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::{TrySendError, http1};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;
use tower::ServiceExt as _;

/// Connections that are kept; there may be more while they are in use.
const IDLE_MAX: usize = 256;
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

type Driver = http1::Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Full<Bytes>>;

/// Connections to one server.
pub struct Pool {
    server: Uri,
    connector: HttpsConnector<HttpConnector>,
    /// Since when each is idle; the one that was used last at the back.
    idle: Mutex<VecDeque<(Instant, Line)>>,
}

/// One connection. Dropping it closes it.
struct Line {
    /// The person whose credential was shown on it. Some servers hold who it was for the connection's own, so it serves nobody else.
    person: Option<Arc<str>>,
    sender: http1::SendRequest<Full<Bytes>>,
    /// What must be polled for anything to move; nothing when the connection is over.
    driver: Option<Driver>,
    bell: Arc<Bell>,
    /// The bell, as the driver rings it.
    ring: Waker,
}

/// Wakes the task that waits for a connection: none while it is idle, and none for what that task does itself.
#[derive(Default)]
struct Bell(AtomicWaker);

/// The body of an answer. Read to its end, it gives its connection back; dropped before, it closes it.
pub struct Answer {
    body: Incoming,
    line: Option<Line>,
    home: Arc<Pool>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nothing was sent.
    NotSent(Box<dyn std::error::Error + Send + Sync>),
    /// It was sent, at least in part.
    Lost(hyper::Error),
}

impl Pool {
    /// No connections yet.
    pub fn new(server: Uri, connector: HttpsConnector<HttpConnector>) -> Arc<Self> {
        Arc::new(Self { server, connector, idle: Mutex::default() })
    }

    /// Sends a request in origin form, which has its `host`, and returns when the head of the answer is there.
    ///
    /// Dropping the future closes the connection if the request may be on it.
    ///
    /// # Errors
    /// [`NoAnswer`] says whether the server may have acted.
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
        person: Option<&Arc<str>>,
    ) -> Result<Response<Answer>, NoAnswer> {
        // Each turn takes one connection out, so that there is an end: a new one is not tried twice.
        loop {
            let kept = self.take(person);
            let is_kept = kept.is_some();
            let mut line = match kept {
                Some(line) => line,
                None => self.connect(person).await.map_err(NoAnswer::NotSent)?,
            };
            match line.send(request).await {
                Ok(response) => {
                    return Ok(response.map(|body| Answer { body, line: Some(line), home: Arc::clone(self) }));
                }
                Err(mut refused) => match refused.take_message() {
                    // It comes back only if not a byte of it was written: the server had closed the connection while it was idle.
                    Some(unsent) if is_kept => request = unsent,
                    Some(_) => return Err(NoAnswer::NotSent(refused.into_error().into())),
                    None => return Err(NoAnswer::Lost(refused.into_error())),
                },
            }
        }
    }

    /// Closes what is idle for too long.
    pub fn sweep(&self, now: Instant) {
        let mut idle = self.idle.lock();
        let old = idle.partition_point(|(since, _)| is_old(*since, now));
        let old: Vec<_> = idle.drain(..old).collect();
        drop(idle);
        drop(old);
    }

    /// How many connections are idle.
    #[cfg(test)]
    pub fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// The connection that was used last, and for this person.
    fn take(&self, person: Option<&Arc<str>>) -> Option<Line> {
        let mut idle = self.idle.lock();
        let at = idle.iter().rposition(|(_, line)| line.person.as_ref() == person)?;
        let (since, line) = idle.remove(at)?;
        drop(idle);
        // The others are older still, and swept.
        (!is_old(since, Instant::now())).then_some(line)
    }

    async fn connect(&self, person: Option<&Arc<str>>) -> Result<Line, Box<dyn std::error::Error + Send + Sync>> {
        let stream = self.connector.clone().oneshot(self.server.clone()).await?;
        let (sender, driver) = http1::handshake(stream).await?;
        let bell = Arc::<Bell>::default();
        Ok(Line { person: person.cloned(), sender, driver: Some(driver), ring: Waker::from(Arc::clone(&bell)), bell })
    }

    fn keep(&self, line: Line) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push_back((Instant::now(), line));
        }
    }
}

fn is_old(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= IDLE_TIME_MAX
}

impl Line {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        // Only the driver can answer, and it is polled right before: nobody needs to be woken for it. Without a budget, because one that
        // is used up says "not yet" and relies on being woken.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        poll_fn(|context| {
            self.advance(context);
            let answer = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if answer.is_ready() {
                self.hush();
            }
            answer
        })
        .await
    }

    /// Moves as far as it can now, and wakes the task of `context` when it can move on.
    fn advance(&mut self, context: &Context<'_>) {
        self.bell.0.register(context.waker());
        // How a connection ends is for the request on it to say.
        if self.driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(&mut Context::from_waker(&self.ring)).is_ready()) {
            self.driver = None;
        }
    }

    /// Wakes nobody until it moves again.
    fn hush(&self) {
        self.bell.0.take();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let unwoken = &mut Context::from_waker(Waker::noop());
        // A piece that is taken rings for the driver, which is polled next time anyway.
        if let Some(line) = &this.line {
            line.hush();
        }
        let mut frame = Pin::new(&mut this.body).poll_frame(unwoken);
        // The body says first that it wants more: only then does its connection read on.
        if let (Poll::Pending, Some(line)) = (&frame, &mut this.line) {
            line.advance(context);
            frame = Pin::new(&mut this.body).poll_frame(unwoken);
        }
        if matches!(frame, Poll::Ready(None))
            && let Some(mut line) = this.line.take()
        {
            if !line.sender.is_ready() {
                line.advance(unwoken);
            }
            line.hush();
            // Not one that its server closes, or that still owes it a part of the request.
            if line.sender.is_ready() {
                this.home.keep(line);
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
