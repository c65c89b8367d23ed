//! The only way to a server behind the gateway: [`Upstream::forward`].
//!
//! A frame whose method is decided leaves only with the engine's permit for exactly that call, by value; nothing else in this crate
//! writes a frame to an upstream. Why a call is permitted is not known here.

pub mod http;
mod pool;
pub mod stdio;

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use engine::{Permit, Spent};
use futures_util::stream::BoxStream;
use judge::moment::Moment;
use thiserror::Error;
use wire::frame::Frame;

use crate::call::{Call, must_be_decided};
use crate::config::{ConfigError, Limits, Mode, TransportConfig, UpstreamConfig};
use crate::session::Link;
use crate::sse::Event;

/// A server behind the gateway.
pub struct Upstream {
    /// Its name in configuration, contracts and ledger.
    pub name: String,
    /// What its tools and prompts are prefixed with, without the separator; empty for nothing.
    pub prefix: String,
    /// Whether decisions are enforced.
    pub mode: Mode,
    /// Resource URIs that begin with one of these are its own.
    pub uri_prefixes: Vec<String>,
    transport: Transport,
}

enum Transport {
    Http(Box<http::HttpUpstream>),
    Stdio(stdio::StdioUpstream),
}

/// A frame on its way out.
pub enum Outbound<'a> {
    /// Nobody decides on it. One that must be decided is not sent this way.
    Free(&'a Frame),
    /// It was decided.
    Decided(Box<Permitted>),
}

/// A call and the right to carry out exactly this call, once.
#[derive(Debug)]
pub struct Permitted {
    /// The call.
    pub call: Call,
    /// The right.
    pub permit: Permit,
}

/// What became of a frame that was sent.
pub struct Forwarded {
    /// The answer.
    pub reply: Result<Reply, Failure>,
    /// The call that is now carried out, if it was a decided one.
    pub spent: Option<(Call, Spent)>,
}

/// What an upstream answered.
pub struct Reply {
    /// The HTTP status, or the one that stands for what a child process said.
    pub status: StatusCode,
    /// The headers that the client may see, and the upstream's session id.
    pub headers: HeaderMap,
    /// What came with it.
    pub body: ReplyBody,
}

/// What came with an answer.
pub enum ReplyBody {
    /// Nothing.
    Empty,
    /// One body, usually one frame.
    Whole(Bytes),
    /// A stream of events.
    Events(Events),
}

/// Events as an upstream sends them; a failure ends the stream.
pub type Events = BoxStream<'static, Result<Event, Failure>>;

/// Why there is no usable answer, told apart by what is known about the effect. The text is for the operator.
#[derive(Clone, Debug, Error)]
pub enum Failure {
    /// Nothing was sent: there is no effect.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It was sent and no answer came: nobody knows, and it is not sent again.
    #[error("sent, outcome unknown: {0}")]
    Lost(String),
    /// An answer came and cannot be used.
    #[error("unusable answer: {0}")]
    Unusable(String),
}

impl Failure {
    /// What the client may know of it: what is known about the effect, and nothing about the network behind.
    #[must_use]
    pub fn for_client(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "the upstream server cannot be reached; nothing was sent",
            Self::Lost(_) => "the upstream server did not answer; the outcome is unknown and the call was not repeated",
            Self::Unusable(_) => "the upstream server gave an answer that cannot be used",
        }
    }
}

impl Upstream {
    /// An upstream as configured.
    ///
    /// # Errors
    /// [`ConfigError`] for a URL, header or TLS store that cannot be used.
    pub fn new(config: &UpstreamConfig, prefix: String, limits: &Limits) -> Result<Self, ConfigError> {
        let transport = match &config.transport {
            TransportConfig::Http { url, headers } => {
                Transport::Http(Box::new(http::HttpUpstream::new(&config.name, url, headers, limits)?))
            }
            TransportConfig::Stdio { command, args, env } => {
                Transport::Stdio(stdio::StdioUpstream::new(&config.name, command, args, env, limits))
            }
        };
        Ok(Self { name: config.name.clone(), prefix, mode: config.mode, uri_prefixes: config.uri_prefixes.clone(), transport })
    }

    /// Whether it is a child process: then the gateway is the end of the HTTP conversation.
    #[must_use]
    pub fn is_child(&self) -> bool {
        matches!(self.transport, Transport::Stdio(_))
    }

    /// Sends one frame: the one place through which a frame reaches an upstream.
    ///
    /// Dropping the future or the reply's events abandons the call; the upstream may still act on it.
    pub async fn forward(&self, outbound: Outbound<'_>, mut headers: HeaderMap, link: &Arc<Link>, now: Moment) -> Forwarded {
        let (frame, spent) = match outbound {
            Outbound::Free(frame) if must_be_decided(frame) => {
                return Forwarded {
                    reply: Err(Failure::NotSent("a call that must be decided came without a permit".to_owned())),
                    spent: None,
                };
            }
            Outbound::Free(frame) => (frame.clone(), None),
            Outbound::Decided(permitted) => {
                let Permitted { call, permit } = *permitted;
                match permit.spend(call.digest(), now) {
                    Ok(spent) => (call.frame().clone(), Some((call, spent))),
                    Err(refused) => return Forwarded { reply: Err(Failure::NotSent(refused.to_string())), spent: None },
                }
            }
        };
        let reply = match &self.transport {
            Transport::Http(upstream) => {
                link.put_session(&mut headers);
                upstream.send(Method::POST, headers, frame.bytes().clone()).await
            }
            Transport::Stdio(upstream) => upstream.send(&frame, link).await,
        };
        Forwarded { reply, spent }
    }

    /// Sends a frame that need not be decided.
    ///
    /// # Errors
    /// [`Failure`] says whether the upstream may have acted.
    pub async fn pass(&self, frame: &Frame, headers: HeaderMap, link: &Arc<Link>) -> Result<Reply, Failure> {
        // No permit, so no moment at which one must hold.
        self.forward(Outbound::Free(frame), headers, link, Moment(0)).await.reply
    }

    /// Opens the stream of messages that answer no request (2025-11-25, "Listening for Messages from the Server").
    ///
    /// # Errors
    /// As for [`Upstream::forward`]; there is no effect.
    pub async fn listen(&self, mut headers: HeaderMap, link: &Arc<Link>) -> Result<Reply, Failure> {
        match &self.transport {
            Transport::Http(upstream) => {
                link.put_session(&mut headers);
                headers.insert(::http::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
                upstream.send(Method::GET, headers, Bytes::new()).await
            }
            Transport::Stdio(upstream) => Ok(upstream.listen(link)),
        }
    }

    /// Ends the upstream's side of a session.
    ///
    /// # Errors
    /// As for [`Upstream::forward`].
    pub async fn close(&self, mut headers: HeaderMap, link: &Arc<Link>) -> Result<Reply, Failure> {
        match &self.transport {
            Transport::Http(upstream) => {
                link.put_session(&mut headers);
                upstream.send(Method::DELETE, headers, Bytes::new()).await
            }
            Transport::Stdio(upstream) => Ok(upstream.close(link).await),
        }
    }

    /// Lets go of connections that are idle for too long.
    pub fn sweep(&self) {
        match &self.transport {
            Transport::Http(upstream) => upstream.sweep(),
            Transport::Stdio(_) => {}
        }
    }

    /// Waits, for a bounded time, until what was started for it has ended.
    pub async fn ended(&self) {
        match &self.transport {
            Transport::Http(_) => {}
            Transport::Stdio(upstream) => upstream.ended().await,
        }
    }
}
