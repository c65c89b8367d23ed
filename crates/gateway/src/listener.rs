//! Accepts connections, holds them to their bounds, and lets them end in order. HTTP beyond a connection is not known here.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::Core;
use crate::downstream::http::respond;
use crate::upstream::Upstream;

/// After an accept failed (usually: no file descriptors left), others get a moment to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Serves until `shutdown`; then lets what runs end, for a bounded time.
pub async fn serve(core: Arc<Core>, listener: TcpListener, shutdown: CancellationToken) {
    let limits = &core.config.limits;
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let tasks = TaskTracker::new();
    tasks.spawn(sweep(Arc::clone(&core), shutdown.clone()));
    loop {
        // A place first: who finds none waits in the listener's queue.
        let place = tokio::select! {
            place = Arc::clone(&connections).acquire_owned() => place.expect("the semaphore is never closed"),
            () = shutdown.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
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
        let core = Arc::clone(&core);
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            let limits = &core.config.limits;
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(limits.read_time_max)
                .max_headers(limits.headers_max)
                .max_buf_size(limits.header_bytes_max.max(8 << 10));
            let service = service_fn(|request| respond(&core, request));
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(core.config.limits.shutdown_time_max, tasks.wait()).await.is_err() {
        warn!("some requests did not end in time");
    }
}

async fn sweep(core: Arc<Core>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        core.upstreams.iter().for_each(Upstream::sweep);
        let swept = core.scopes.sweep();
        if !swept.is_empty() {
            debug!(count = swept.len(), "sessions were idle for too long");
        }
    }
}
