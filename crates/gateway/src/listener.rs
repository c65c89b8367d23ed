//! Accepts connections, holds them to their bounds, and lets them end in order. HTTP beyond a connection is not known here: whoever answers
//! gets requests, with the other side of the connection ([`wire::certificate::Peer`]) among their extensions where it showed a certificate.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use wire::certificate::{Peer, Secure};

use crate::config::Limits;
use crate::tls::Tls;

/// After an accept failed (usually: no file descriptors left), others get a moment to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The body of a request, all of which has to be there in time: whoever sends one slowly holds a connection that others need.
pub struct InTime {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

impl InTime {
    /// A request whose body breaks off when it is not whole after `time_max`.
    #[must_use]
    pub fn of(request: Request<Incoming>, time_max: Duration) -> Request<InTime> {
        request.map(|body| InTime { body, late: Box::pin(tokio::time::sleep(time_max)) })
    }
}

impl Body for InTime {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => self.late.as_mut().poll(context).map(|()| Some(Err("the body did not arrive in time".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves until `shutdown`, over TLS where there is one; then lets what runs end, for a bounded time.
pub async fn serve<A, F, B>(listener: TcpListener, tls: Option<Tls>, limits: &Limits, respond: A, shutdown: CancellationToken)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let serving = Serving { head: Arc::new(head(limits)), respond, shutdown };
    let tasks = TaskTracker::new();
    loop {
        // A place first: who finds none waits in the listener's queue.
        let place = tokio::select! {
            place = Arc::clone(&connections).acquire_owned() => place.expect("the semaphore is never closed"),
            () = serving.shutdown.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Without it an answer in two writes waits for the client's delayed acknowledgement: 40 ms a call.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "no tcp_nodelay");
        }
        let (serving, tls) = (serving.clone(), tls.clone());
        tasks.spawn(async move {
            serving.connection(stream, tls).await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(limits.shutdown_time_max, tasks.wait()).await.is_err() {
        warn!("some requests did not end in time");
    }
}

/// How the head of a request is read.
fn head(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_time_max)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max.max(8 << 10));
    builder
}

/// What every connection needs.
#[derive(Clone)]
struct Serving<A> {
    head: Arc<http1::Builder>,
    respond: A,
    shutdown: CancellationToken,
}

impl<A> Serving<A> {
    async fn connection<F, B>(&self, stream: TcpStream, tls: Option<Tls>)
    where
        A: Fn(Request<Incoming>) -> F,
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let Some(tls) = tls else { return self.requests(stream, &self.respond).await };
        let shaken = tokio::select! {
            shaken = tls.accept(stream) => shaken,
            () = self.shutdown.cancelled() => return,
        };
        match shaken {
            Ok((stream, peer)) => {
                let respond = |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(Secure);
                    if let Some(peer) = &peer {
                        request.extensions_mut().insert::<Arc<Peer>>(Arc::clone(peer));
                    }
                    (self.respond)(request)
                };
                self.requests(stream, &respond).await;
            }
            Err(error) => debug!(%error, "no handshake"),
        }
    }

    async fn requests<S, R, F, B>(&self, stream: S, respond: &R)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        R: Fn(Request<Incoming>) -> F,
        F: Future<Output = Result<Response<B>, Infallible>>,
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let mut connection = std::pin::pin!(self.head.serve_connection(TokioIo::new(stream), service_fn(respond)));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection ended early");
        }
    }
}
