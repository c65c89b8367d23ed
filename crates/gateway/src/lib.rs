//! Enforces: an MCP gateway on raw frames.
//!
//! What is decided (tool calls, reads) reaches a server only with the engine's permit; what is not decided passes as it came. Names of
//! people, labels and policies are not known here: contracts read a call, the engine rules, this crate carries out.

mod config;
mod downstream;
mod exchange;
mod lines;
mod listener;
mod mcp_fields;
mod session;
mod sse;
mod upstream;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wire::frame::Limits as FrameLimits;

pub use config::{ConfigError, GatewayConfig, Limits, Mode, NAME_SEPARATOR, RefusalForm, TransportConfig, UpstreamConfig};

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
    request_frames: FrameLimits,
    result_frames: FrameLimits,
}

impl Gateway {
    /// A gateway as configured. Nothing is reached or started yet.
    ///
    /// # Errors
    /// All that is wrong with the configuration.
    pub fn new(config: GatewayConfig) -> Result<Self, Vec<ConfigError>> {
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
        Ok(Self { core: Arc::new(Core { config, upstreams, scopes, request_frames, result_frames }) })
    }

    /// Serves `/mcp` and `/healthz` until `shutdown` is cancelled; then lets running requests end, for a bounded time.
    pub async fn serve_http(&self, listener: TcpListener, shutdown: CancellationToken) {
        listener::serve(Arc::clone(&self.core), listener, shutdown).await;
    }
}
