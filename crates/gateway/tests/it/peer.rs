//! Both neighbours of a gateway, in the raw: an upstream that answers what the test says, and a client that shows what came.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use contract::Contracts;
use futures_util::StreamExt as _;
use gateway::{Gateway, GatewayConfig, TokenKeys, TransportConfig, UpstreamConfig};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::token::{Claims, SigningKey, VerifyingKeys, sign};

use crate::world::World;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What an upstream was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The other end of the connection.
    pub peer: SocketAddr,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: String,
}

/// An upstream that records what it is asked.
pub struct Upstream {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _stop: DropGuard,
}

impl Upstream {
    pub async fn start(answer: impl Fn(Asked) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let stop = CancellationToken::new();
        let (answer, recorded, stopped) = (Arc::new(answer), Arc::clone(&asked), stop.clone());
        tokio::spawn(async move {
            loop {
                let (stream, peer) = tokio::select! {
                    accepted = listener.accept() => accepted.expect("accepting on loopback works"),
                    () = stopped.cancelled() => return,
                };
                let (answer, recorded) = (Arc::clone(&answer), Arc::clone(&recorded));
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answer, recorded) = (Arc::clone(&answer), Arc::clone(&recorded));
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                            let body = String::from_utf8(body.to_vec()).expect("the gateway forwards utf-8");
                            let asked = Asked { peer, method: head.method, headers: head.headers, body };
                            recorded.lock().push(asked.clone());
                            Ok::<_, Infallible>(answer(asked))
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, asked, _stop: stop.drop_guard() }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    pub fn config(&self, name: &str) -> UpstreamConfig {
        UpstreamConfig::new(name, TransportConfig::Http { url: format!("http://{}/mcp", self.address), headers: Vec::new() })
    }
}

pub fn json(body: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_owned())).boxed_unsync();
    Response::builder().header("content-type", "application/json").body(body).expect("valid headers")
}

pub fn status(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(Full::default().boxed_unsync()).expect("valid headers")
}

/// A stream whose chunks arrive when the test sends them.
pub fn stream() -> (tokio::sync::mpsc::UnboundedSender<String>, Response<Body>) {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<String>();
    let chunks = futures_util::stream::unfold(receive, |mut receive| async move {
        let chunk = receive.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))), receive))
    });
    let body = StreamBody::new(chunks.boxed()).boxed_unsync();
    let response = Response::builder().header("content-type", "text/event-stream").body(body).expect("valid headers");
    (send, response)
}

/// A gateway in a world of its own, without any contract.
pub async fn gateway(config: GatewayConfig) -> (Gateway, World) {
    let world = World::new().await;
    (gateway_in(&world, config, Vec::new()), world)
}

pub fn gateway_in(world: &World, config: GatewayConfig, contracts: Vec<Contracts>) -> Gateway {
    let keys = VerifyingKeys::new().with(&signing_key()).expect("one key");
    let keys = TokenKeys { keys, issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), leeway_s: 0 };
    Gateway::new(config, world.engine.clone(), contracts, keys).expect("the test's configuration is good")
}

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "prudence";

fn signing_key() -> SigningKey {
    SigningKey::from_seed("test", &[7; 32]).expect("a seed")
}

#[expect(clippy::disallowed_methods, reason = "tokens are made outside of the engine")]
pub fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A token of one task, valid for a minute unless `change` says otherwise.
pub fn token(task: &str, change: impl FnOnce(&mut Claims)) -> String {
    let now = now_s();
    let mut claims = Claims {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        expires_s: now + 60,
        issued_s: now,
        not_before_s: None,
        id: format!("token-of-{task}"),
        requester: "bo".to_owned(),
        actors: vec!["helper".to_owned()],
        client: None,
        task: task.to_owned(),
        binding: None,
    };
    change(&mut claims);
    sign(&signing_key(), &claims).expect("good claims")
}

pub fn token_of(task: &str) -> String {
    token(task, |_| {})
}

/// A gateway on a port of its own.
pub struct Running {
    pub address: SocketAddr,
    pub world: World,
    _stop: DropGuard,
}

impl Running {
    pub async fn start(config: GatewayConfig) -> Self {
        Self::with(config, Vec::new()).await
    }

    pub async fn with(config: GatewayConfig, contracts: Vec<Contracts>) -> Self {
        let world = World::new().await;
        let gateway = gateway_in(&world, config, contracts);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { gateway.serve_http(listener, stopped).await });
        Self { address, world, _stop: stop.drop_guard() }
    }

    pub async fn before(upstream: &Upstream) -> Self {
        Self::start(GatewayConfig { upstreams: vec![upstream.config("only")], ..GatewayConfig::default() }).await
    }

    /// What is to be had without a token.
    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let http: HyperClient<_, Full<Bytes>> = HyperClient::builder(TokioExecutor::new()).build_http();
        let address = format!("http://{}{path}", self.address).parse().expect("an address");
        let (head, body) = http.get(address).await.expect("the gateway answers").into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        (head.status, String::from_utf8(body.to_vec()).expect("the gateway answers in utf-8"))
    }

    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A client of Ann's aide, beside those of Bo's helper.
    pub async fn client_of_ann(&self) -> Client {
        let task = self.world.start_for("ann", "aide", None).await;
        let of_ann = token(&task, |claims| (claims.requester, claims.actors) = ("ann".to_owned(), vec!["aide".to_owned()]));
        self.client().with("authorization", &format!("Bearer {of_ann}"))
    }

    pub fn client_of(&self, task: usize) -> Client {
        let headers = vec![("authorization".to_owned(), format!("Bearer {}", token_of(&self.world.tasks[task])))];
        Client { address: self.address, headers, http: HyperClient::builder(TokioExecutor::new()).build_http() }
    }
}

/// A client that sends what it is told.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    headers: Vec<(String, String)>,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub async fn send(&self, method: Method, body: &str) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(format!("http://{}/mcp", self.address));
        request = request.header("accept", "application/json, text/event-stream").header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("valid headers");
        self.http.request(request).await.expect("the gateway answers")
    }

    pub async fn post(&self, body: &str) -> (StatusCode, HeaderMap, String) {
        let (head, body) = self.send(Method::POST, body).await.into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        (head.status, head.headers, String::from_utf8(body.to_vec()).expect("the gateway answers in utf-8"))
    }
}

/// The next piece of a streamed answer, as text.
pub async fn next_chunk(response: &mut Response<Incoming>) -> Option<String> {
    let frame = response.body_mut().frame().await?.expect("the stream holds");
    Some(String::from_utf8(frame.into_data().expect("no trailers").to_vec()).expect("the gateway streams utf-8"))
}

/// One process-wide provider of cryptography, as `main` installs it.
pub fn install_provider() {
    // The second test that installs it is told so; that is all.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
