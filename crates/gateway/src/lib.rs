//! Enforces: an MCP gateway on raw frames.
//!
//! What is decided (tool calls, reads) reaches a server only with the engine's permit; what is not decided passes as it came. Names of
//! people, labels and policies are not known here: contracts read a call, the engine rules, this crate carries out.

mod aggregate;
mod answer;
mod auth;
pub mod authzen;
mod call;
mod config;
mod definitions;
mod door;
mod downstream;
mod enforce;
mod exchange;
mod filter;
mod follow;
mod lines;
pub mod listener;
mod mcp_fields;
mod record;
mod refusal;
mod relay;
mod route;
mod session;
mod sse;
pub mod tls;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contract::Contracts;
use engine::Engine;
use parking_lot::{Mutex, RwLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use wire::frame::Limits as FrameLimits;

pub use auth::TokenKeys;
pub use config::{ConfigError, GatewayConfig, Limits, Mode, NAME_SEPARATOR, RefusalForm, TransportConfig, UpstreamConfig};
pub use door::Door;

use auth::Tokens;
use enforce::Strangers;
use follow::{FollowKey, Followed};
use record::Recorder;
use session::{Recent, Scopes};
use tls::Tls;
use upstream::Upstream;

/// An MCP gateway in front of one or more servers. Cloning shares it.
#[derive(Clone)]
pub struct Gateway {
    core: Arc<Core>,
}

/// What every part of the gateway sees.
pub(crate) struct Core {
    config: GatewayConfig,
    upstreams: Vec<Upstream>,
    scopes: Scopes,
    tokens: Tokens,
    engine: Engine,
    contracts: RwLock<Vec<Arc<Contracts>>>,
    followed: Mutex<Recent<FollowKey, Followed>>,
    strangers: Strangers,
    recorder: Option<Recorder>,
    request_frames: FrameLimits,
    result_frames: FrameLimits,
}

impl Gateway {
    /// A gateway as configured. Nothing is reached or started yet.
    ///
    /// `contracts` are found by the name of their upstream; one without contracts has all its tools refused.
    ///
    /// # Errors
    /// All that is wrong with the configuration.
    pub fn new(
        config: GatewayConfig,
        engine: Engine,
        contracts: Vec<Contracts>,
        keys: TokenKeys,
    ) -> Result<Self, Vec<ConfigError>> {
        let prefixes = config.prefixes()?;
        let mut upstreams = Vec::new();
        let mut errors = Vec::new();
        for (upstream, prefix) in config.upstreams.iter().zip(prefixes) {
            match Upstream::new(upstream, prefix, &config) {
                Ok(upstream) => upstreams.push(upstream),
                Err(error) => errors.push(error),
            }
        }
        let recorder = match config.recording.as_deref().map(Recorder::open).transpose() {
            Ok(recorder) => recorder,
            Err(error) => {
                errors.push(ConfigError::Recording(error.to_string()));
                None
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let scopes = Scopes::new(upstreams.len(), &config.limits);
        let (request_frames, result_frames) = (config.limits.requests(), config.limits.results());
        let contracts = RwLock::new(in_order(&upstreams, contracts));
        let followed = Mutex::new(Recent::new(FOLLOWED_MAX));
        let tokens = Tokens::new(keys, config.door.as_ref());
        let core = Core {
            config,
            upstreams,
            scopes,
            tokens,
            engine,
            contracts,
            followed,
            strangers: Strangers::default(),
            recorder,
            request_frames,
            result_frames,
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// Puts other contracts in force, for calls from now on.
    pub fn set_contracts(&self, contracts: Vec<Contracts>) {
        *self.core.contracts.write() = in_order(&self.core.upstreams, contracts);
    }

    /// Serves one client on its streams, one frame a line, until it closes its side; for clients that start their servers themselves.
    ///
    /// `token` is the task token under which everything happens.
    ///
    /// # Errors
    /// The streams' own, and a token that is not believed (`PermissionDenied`).
    pub async fn serve_stdio(
        &self,
        stdin: impl AsyncRead + Send + Unpin,
        stdout: impl AsyncWrite + Send + Unpin + 'static,
        token: &str,
    ) -> std::io::Result<()> {
        let caller = self.core.tokens.caller(token, self.core.engine.now());
        let caller = caller.map_err(|refused| std::io::Error::new(std::io::ErrorKind::PermissionDenied, refused.to_string()))?;
        let served = downstream::stdio::serve(&self.core, caller, stdin, stdout).await;
        self.core.end().await;
        served
    }

    /// Says loudly, in the log, what is not stopped here, and what is kept in clear. [`Self::serve_http`] does it by itself.
    pub fn warn_of_observing(&self) {
        if let Some(path) = &self.core.config.recording {
            warn!(file = %path.display(), "RECORDED IN CLEAR: the arguments and results of every call, passwords and letters included");
        }
        for upstream in self.core.upstreams.iter().filter(|upstream| upstream.mode == Mode::Observe) {
            warn!(upstream = upstream.name, "ONLY OBSERVED: every call is decided and recorded, and NOTHING IS STOPPED");
        }
        for agent in &self.core.config.observed_agents {
            warn!(agent, "ONLY OBSERVED: every call of this agent is decided and recorded, and NOTHING IS STOPPED");
        }
    }

    /// Serves `/mcp` and `/healthz` until `shutdown` is cancelled; then lets running requests end, for a bounded time.
    pub async fn serve_http(&self, listener: TcpListener, shutdown: CancellationToken) {
        self.serve(listener, None, shutdown).await;
    }

    /// The same over TLS.
    pub async fn serve_https(&self, listener: TcpListener, tls: Tls, shutdown: CancellationToken) {
        self.serve(listener, Some(tls), shutdown).await;
    }

    async fn serve(&self, listener: TcpListener, tls: Option<Tls>, shutdown: CancellationToken) {
        self.warn_of_observing();
        tokio::spawn(sweep(Arc::clone(&self.core), shutdown.clone()));
        let core = Arc::clone(&self.core);
        let respond = move |request| {
            let core = Arc::clone(&core);
            async move { downstream::http::respond(&core, request).await }
        };
        listener::serve(listener, tls, &self.core.config.limits, respond, shutdown).await;
        self.core.end().await;
    }
}

/// Lets go of what nobody used for a while, until `shutdown`.
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

const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Calls that became tasks and are remembered until their results are fetched.
const FOLLOWED_MAX: usize = 4096;

impl Core {
    /// Lets go of everything, and has the engine record what was under way.
    async fn end(&self) {
        self.scopes.clear();
        for upstream in &self.upstreams {
            upstream.ended().await;
        }
        if let Err(unavailable) = self.engine.settle().await {
            error!(%unavailable, "what was under way is recorded when the gateway starts again");
        }
    }

    fn contracts(&self, index: usize) -> Arc<Contracts> {
        Arc::clone(&self.contracts.read()[index])
    }
}

fn in_order(upstreams: &[Upstream], contracts: Vec<Contracts>) -> Vec<Arc<Contracts>> {
    let mut by_name: HashMap<String, Contracts> =
        contracts.into_iter().map(|contracts| (contracts.upstream().to_owned(), contracts)).collect();
    let of = |upstream: &Upstream| by_name.remove(&upstream.name).unwrap_or_else(|| Contracts::none(&upstream.name));
    upstreams.iter().map(of).map(Arc::new).collect()
}
