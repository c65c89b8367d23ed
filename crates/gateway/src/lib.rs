//! Enforces: an MCP gateway on raw frames.
//!
//! What is decided (tool calls, reads) reaches a server only with the engine's permit; what is not decided passes as it came. Names of
//! people, labels and policies are not known here: contracts read a call, the engine rules, this crate carries out.

mod aggregate;
mod answer;
mod auth;
mod config;
mod downstream;
mod exchange;
mod filter;
mod lines;
mod listener;
mod mcp_fields;
mod relay;
mod route;
mod session;
mod sse;
mod upstream;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wire::frame::Limits as FrameLimits;

pub use auth::TokenKeys;
pub use config::{ConfigError, GatewayConfig, Limits, Mode, NAME_SEPARATOR, RefusalForm, TransportConfig, UpstreamConfig};

use auth::Tokens;
use session::Scopes;
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
    request_frames: FrameLimits,
    result_frames: FrameLimits,
}

impl Gateway {
    /// A gateway as configured. Nothing is reached or started yet.
    ///
    /// # Errors
    /// All that is wrong with the configuration.
    pub fn new(config: GatewayConfig, keys: TokenKeys) -> Result<Self, Vec<ConfigError>> {
        let prefixes = config.prefixes()?;
        let mut upstreams = Vec::new();
        let mut errors = Vec::new();
        for (upstream, prefix) in config.upstreams.iter().zip(prefixes) {
            match Upstream::new(upstream, prefix, &config.limits) {
                Ok(upstream) => upstreams.push(upstream),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let scopes = Scopes::new(upstreams.len(), &config.limits);
        let (request_frames, result_frames) = (config.limits.requests(), config.limits.results());
        Ok(Self { core: Arc::new(Core { config, upstreams, scopes, tokens: Tokens::new(keys), request_frames, result_frames }) })
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
        let caller = self.core.tokens.caller(token);
        let caller = caller.map_err(|refused| std::io::Error::new(std::io::ErrorKind::PermissionDenied, refused.to_string()))?;
        downstream::stdio::serve(&self.core, caller, stdin, stdout).await
    }

    /// Serves `/mcp` and `/healthz` until `shutdown` is cancelled; then lets running requests end, for a bounded time.
    pub async fn serve_http(&self, listener: TcpListener, shutdown: CancellationToken) {
        listener::serve(Arc::clone(&self.core), listener, shutdown).await;
    }
}
