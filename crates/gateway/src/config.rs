//! What the caller says about the gateway: upstreams, names that are let in, and every bound.
//!
//! Plain values. How they are written down (TOML, flags, a test) is not known here; what can be wrong with them together is.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use thiserror::Error;

use crate::door::Door;

/// Separates an upstream's prefix from the name of its tool or prompt: `forum__post`.
pub const NAME_SEPARATOR: &str = "__";

/// Everything that a gateway needs to know before it listens.
#[derive(Clone, Debug, Default)]
pub struct GatewayConfig {
    /// The servers behind the gateway, in the order in which their tools are listed.
    pub upstreams: Vec<UpstreamConfig>,
    /// Agents whose calls are decided and recorded but not stopped, at every upstream.
    pub observed_agents: Vec<String>,
    /// How a refused call looks to the client.
    pub refusal: RefusalForm,
    /// `Host` values let in beside the loopback names, without or with a port (`gate.example`, `gate.example:8443`).
    pub hosts: Vec<String>,
    /// `Origin` values let in beside those whose host is let in (`https://console.example`).
    pub origins: Vec<String>,
    /// A file to which every call that was carried out is appended, with arguments and result in clear. `None`: nothing is kept.
    pub recording: Option<PathBuf>,
    /// How clients get tokens. `None`: tokens are handed to them.
    pub door: Option<Door>,
    /// What upstreams want to see, for the person for whom something is done. `None`: no more than their fixed headers.
    pub broker: Option<Arc<Broker>>,
    /// Bounds on everything that a peer can make grow.
    pub limits: Limits,
}

/// One server behind the gateway.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Its name in configuration, contracts and ledger.
    pub name: String,
    /// What its tools and prompts are prefixed with. `None`: nothing when it is the only upstream, its name otherwise.
    pub prefix: Option<String>,
    /// How it is reached.
    pub transport: TransportConfig,
    /// Whether decisions are enforced.
    pub mode: Mode,
    /// Resource URIs that begin with one of these are its own, besides those that it listed.
    pub uri_prefixes: Vec<String>,
}

impl UpstreamConfig {
    /// An upstream with nothing but a name and a way to reach it.
    #[must_use]
    pub fn new(name: impl Into<String>, transport: TransportConfig) -> Self {
        Self { name: name.into(), prefix: None, transport, mode: Mode::default(), uri_prefixes: Vec::new() }
    }
}

/// How an upstream is reached.
#[derive(Clone)]
pub enum TransportConfig {
    /// Streamable HTTP at `url`; `headers` are added to every request (what is the same for everybody, and no secret of a person, goes here).
    Http {
        /// An absolute `http` or `https` URL.
        url: String,
        /// Names and values.
        headers: Vec<(String, String)>,
    },
    /// A child process that speaks on its standard streams.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment, beside the few variables that programs need to start at all.
        env: Vec<(String, String)>,
    },
}

// Header and environment values are secrets until proven otherwise.
impl fmt::Debug for TransportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        match self {
            Self::Http { url, headers } => f.debug_struct("Http").field("url", url).field("headers", &names(headers)).finish(),
            Self::Stdio { command, args, env } => {
                f.debug_struct("Stdio").field("command", command).field("args", &args.len()).field("env", &names(env)).finish()
            }
        }
    }
}

/// Whether decisions are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What is not permitted does not happen.
    #[default]
    Enforce,
    /// Everything is decided and recorded, nothing is stopped.
    Observe,
}

/// How a refused call looks to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusalForm {
    /// A tool result with `isError: true`: the form that reaches the model in every framework.
    #[default]
    ToolResult,
    /// The JSON-RPC error -32001.
    JsonRpcError,
}

/// Bounds. Sizes in bytes, times as durations; every one has a name in messages and in this struct only.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A request body or a line from the client.
    pub body_bytes_max: usize,
    /// The request line and all headers of a request together.
    pub header_bytes_max: usize,
    /// The number of header fields of a request.
    pub headers_max: usize,
    /// Client connections at a time.
    pub connections_max: usize,
    /// Sessions (and tasks without one) that are remembered at a time.
    pub sessions_max: usize,
    /// Requests and event streams under way in one session, or in one task without a session, at a time.
    pub streams_per_session_max: usize,
    /// A session without traffic is forgotten after this time.
    pub session_idle: Duration,
    /// How long the head of a request, or its body, may take to arrive.
    pub read_time_max: Duration,
    /// A result, event or line from an upstream.
    pub result_bytes_max: usize,
    /// How long an upstream may take until its answer begins.
    pub answer_time_max: Duration,
    /// How long running requests may take to end when the gateway shuts down.
    pub shutdown_time_max: Duration,
    /// How long a list of tools is believed before it is asked for again.
    pub definitions_age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            header_bytes_max: 32 << 10,
            headers_max: 64,
            connections_max: 1024,
            sessions_max: 1024,
            streams_per_session_max: 256,
            session_idle: Duration::from_secs(30 * 60),
            read_time_max: Duration::from_secs(30),
            result_bytes_max: 16 << 20,
            answer_time_max: Duration::from_secs(10 * 60),
            shutdown_time_max: Duration::from_secs(5),
            definitions_age_max: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// Bounds on a client's frames.
    pub(crate) fn requests(&self) -> wire::frame::Limits {
        wire::frame::Limits { bytes_max: self.body_bytes_max, string_bytes_max: self.body_bytes_max, ..Default::default() }
    }

    /// Bounds on an upstream's frames.
    pub(crate) fn results(&self) -> wire::frame::Limits {
        wire::frame::Limits { bytes_max: self.result_bytes_max, string_bytes_max: self.result_bytes_max, ..Default::default() }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The file of recorded calls.
    #[error("calls cannot be recorded: {0}")]
    Recording(String),
    /// There is nothing to put a gateway in front of.
    #[error("no upstream is configured")]
    NoUpstream,
    /// Contracts and ledger name upstreams.
    #[error("two upstreams are called `{0}`")]
    TwiceNamed(String),
    /// A name `a__b` could then mean either.
    #[error("upstreams `{0}` and `{1}` both have the prefix `{2}`")]
    TwicePrefixed(String, String, String),
    /// A prefix is the part of a name before the first separator, so it cannot hold one, nor end in half of one.
    #[error("prefix `{prefix}` of upstream `{upstream}` holds `__` or ends with `_`")]
    Prefix {
        /// The upstream's name.
        upstream: String,
        /// Its prefix.
        prefix: String,
    },
    /// The URL cannot be reached over HTTP.
    #[error("`{url}` of upstream `{upstream}` is not an absolute http or https url")]
    Url {
        /// The upstream's name.
        upstream: String,
        /// The URL as it was given.
        url: String,
    },
    /// A header that HTTP does not allow. The value is not shown: it may be a secret.
    #[error("header `{header}` of upstream `{upstream}` is not a valid http header")]
    Header {
        /// The upstream's name.
        upstream: String,
        /// The header's name as it was given.
        header: String,
    },
    /// The platform's certificate store cannot be used.
    #[error("no tls: {0}")]
    Tls(String),
}

impl GatewayConfig {
    /// The prefix of each upstream, in order.
    ///
    /// # Errors
    /// All that is wrong with names and prefixes, not only the first.
    pub fn prefixes(&self) -> Result<Vec<String>, Vec<ConfigError>> {
        let alone = self.upstreams.len() == 1;
        let prefixes: Vec<String> = self
            .upstreams
            .iter()
            .map(|upstream| match &upstream.prefix {
                Some(prefix) => prefix.clone(),
                None if alone => String::new(),
                None => upstream.name.clone(),
            })
            .collect();
        let mut errors = Vec::new();
        if self.upstreams.is_empty() {
            errors.push(ConfigError::NoUpstream);
        }
        for (index, upstream) in self.upstreams.iter().enumerate() {
            let prefix = &prefixes[index];
            if prefix.contains(NAME_SEPARATOR) || prefix.ends_with('_') {
                errors.push(ConfigError::Prefix { upstream: upstream.name.clone(), prefix: prefix.clone() });
            }
            for (before, other) in self.upstreams[..index].iter().enumerate() {
                if other.name == upstream.name {
                    errors.push(ConfigError::TwiceNamed(upstream.name.clone()));
                } else if prefixes[before] == *prefix {
                    errors.push(ConfigError::TwicePrefixed(other.name.clone(), upstream.name.clone(), prefix.clone()));
                }
            }
        }
        if errors.is_empty() { Ok(prefixes) } else { Err(errors) }
    }
}
