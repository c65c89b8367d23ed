//! The HTTP edge: MCP at `/mcp`, the web console's calls, and the narrator's truth.
//!
//! It checks keys (RFC 6750) and hands over to what knows the workplace; it decides nothing else. The keys stand in the
//! source, so it listens on the loopback interface and refuses any other.

use std::{future::Future, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Extension, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use parking_lot::Mutex;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    access::Caller,
    mcp, tools, truth,
    world::{Refusal, World, seeded},
};

/// The largest request body, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Serves the workplace until `shutdown` completes; `ready` is told the bound address, which matters for port 0.
///
/// MCP is at `/mcp`, without sessions: each request carries its key and is answered by one JSON document.
pub async fn serve_http(
    listen: SocketAddr,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    if !listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(listen));
    }
    let bind_failed = |source| ServeError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(bind_failed)?;
    let bound = listener.local_addr().map_err(bind_failed)?;
    // Without this, a small answer waits for the peer's delayed acknowledgement, some 40 ms.
    let listener = listener.tap_io(|stream| {
        // Only latency is lost when the socket refuses.
        let _ = stream.set_nodelay(true);
    });

    let stopping = CancellationToken::new();
    let router = router(stopping.child_token());
    ready(bound);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            shutdown.await;
            // Ends open MCP streams, which a graceful shutdown would otherwise wait for.
            stopping.cancel();
        })
        .await
        .map_err(ServeError::Serve)
}

/// Why the workplace could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not a loopback address.
    #[error("`{0}` is not a loopback address; the keys of the workplace are public, so it serves this machine only")]
    NotLoopback(SocketAddr),
    /// The address could not be bound.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Serving failed.
    #[error("serving stopped")]
    Serve(#[source] std::io::Error),
}

type Shared = Arc<Mutex<World>>;

fn router(stopping: CancellationToken) -> Router {
    let world: Shared = Arc::new(Mutex::new(seeded().world.clone()));
    let server = mcp::Server { world: world.clone(), pinned: None };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(BODY_BYTES_MAX)
        .with_cancellation_token(stopping);
    let mcp = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config);

    let employees = Router::new()
        .route_service("/mcp", mcp)
        .route("/threads/{thread}", get(read_thread))
        .route("/datasets/{dataset}/readers", post(change_readers))
        .layer(middleware::from_fn(employees_only));
    let narrator = Router::new()
        .route("/truth", get(async |State(world): State<Shared>| Json(truth::of(&world.lock()))))
        .route("/directory", get(async |State(world): State<Shared>| Json(world.lock().directory.clone())))
        .route("/records", get(async |State(world): State<Shared>| Json(world.lock().records())))
        .route("/reset", post(reset))
        .layer(middleware::from_fn(narrator_only));
    employees
        .merge(narrator)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(authenticate))
        .with_state(world)
}

// ---- what people do in the web console

async fn read_thread(State(world): State<Shared>, Extension(who): Extension<Caller>, Path(thread): Path<String>) -> Response {
    answer(&world, &who, "forum_read_thread", json!({ "thread": thread }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Readers {
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

async fn change_readers(
    State(world): State<Shared>,
    Extension(who): Extension<Caller>,
    Path(dataset): Path<String>,
    Json(readers): Json<Readers>,
) -> Response {
    let ask = json!({ "dataset": dataset, "add_readers": readers.add, "remove_readers": readers.remove });
    answer(&world, &who, "dataset_share", ask)
}

/// The console does what the tool does, under the same permission.
fn answer(world: &Shared, who: &Caller, tool: &str, ask: Value) -> Response {
    let Value::Object(ask) = ask else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match tools::call(&mut world.lock(), who, tool, ask) {
        Some(Ok(done)) => Json(done).into_response(),
        Some(Err(refusal)) => (status(&refusal), refusal.to_string()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
        Refusal::NotFound(_) => StatusCode::NOT_FOUND,
        Refusal::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Full => StatusCode::INSUFFICIENT_STORAGE,
    }
}

async fn reset(State(world): State<Shared>) -> StatusCode {
    *world.lock() = seeded().world.clone();
    StatusCode::NO_CONTENT
}

// ---- keys

/// Puts the [`Caller`] into the request, or answers 401 (RFC 6750 §3).
async fn authenticate(mut request: Request, next: Next) -> Response {
    let challenge = |value| {
        let headers = [(header::WWW_AUTHENTICATE, HeaderValue::from_static(value))];
        (StatusCode::UNAUTHORIZED, headers, "a valid API key is needed").into_response()
    };
    let Some(key) = bearer(request.headers()) else {
        return challenge("Bearer realm=\"workplace\"");
    };
    let Some(caller) = seeded().accounts.caller(key) else {
        return challenge("Bearer realm=\"workplace\", error=\"invalid_token\"");
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The one bearer token of a request; two `Authorization` headers are as good as none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key)
}

async fn employees_only(Extension(who): Extension<Caller>, request: Request, next: Next) -> Response {
    if who.role.tools.is_empty() { forbidden(&who) } else { next.run(request).await }
}

async fn narrator_only(Extension(who): Extension<Caller>, request: Request, next: Next) -> Response {
    if who.role.narrator { next.run(request).await } else { forbidden(&who) }
}

fn forbidden(who: &Caller) -> Response {
    (StatusCode::FORBIDDEN, format!("the role of `{}` does not include this", who.account)).into_response()
}
