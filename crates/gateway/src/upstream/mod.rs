//! The only way to a server behind the gateway: [`Upstream::forward`].
//!
//! A frame whose method is decided leaves only with the engine's permit for exactly that call, by value; nothing else in this crate
//! writes a frame to an upstream. Why a call is permitted is not known here.

pub mod http;
mod pool;
pub mod stdio;

use std::borrow::Cow;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use broker::{Account, Lack, Presented, Renewed};
use bytes::Bytes;
use engine::{Permit, Spent};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use judge::moment::Moment;
use thiserror::Error;
use wire::frame::Frame;
use wire::mcp::{Direction, Method as Asked, Treatment};

use crate::call::{Call, must_be_decided};
use crate::config::{ConfigError, GatewayConfig, Mode, TransportConfig, UpstreamConfig};
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
    /// What it wants to see, for whom something is done.
    account: Option<Account>,
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
    /// Nothing was sent, because there is nothing to show the upstream.
    #[error("not sent: {0}")]
    NoCredential(#[from] Lack),
    /// The upstream did not take what it was shown, and did nothing. With what helps.
    #[error("the credential was not taken: {0}")]
    NotTaken(String),
}

impl Failure {
    /// What the client may know of it: what is known about the effect, and nothing about the network behind.
    #[must_use]
    pub fn for_client(&self) -> Cow<'static, str> {
        match self {
            Self::NotSent(_) => "the upstream server cannot be reached; nothing was sent".into(),
            Self::Lost(_) => "the upstream server did not answer; the outcome is unknown and the call was not repeated".into(),
            Self::Unusable(_) => "the upstream server gave an answer that cannot be used".into(),
            Self::NoCredential(lack) => format!("nothing was sent: {lack}; {}", lack.remedy()).into(),
            Self::NotTaken(remedy) => format!("the upstream server refused, and nothing was done; {remedy}").into(),
        }
    }
}

impl Upstream {
    /// An upstream as configured.
    ///
    /// # Errors
    /// [`ConfigError`] for a URL, header or TLS store that cannot be used.
    pub fn new(config: &UpstreamConfig, prefix: String, gateway: &GatewayConfig) -> Result<Self, ConfigError> {
        let limits = &gateway.limits;
        let transport = match &config.transport {
            TransportConfig::Http { url, headers } => {
                Transport::Http(Box::new(http::HttpUpstream::new(&config.name, url, headers, limits)?))
            }
            TransportConfig::Stdio { command, args, env } => {
                Transport::Stdio(stdio::StdioUpstream::new(&config.name, command, args, env, limits))
            }
        };
        let account = gateway.broker.as_ref().and_then(|broker| broker.account(&config.name));
        let UpstreamConfig { name, mode, uri_prefixes, .. } = config.clone();
        Ok(Self { name, prefix, mode, uri_prefixes, account, transport })
    }

    /// Sees that there is something to show the upstream for the person of this link, before anything is decided.
    ///
    /// # Errors
    /// [`Lack`].
    pub async fn has_credential(&self, link: &Link) -> Result<(), Lack> {
        match &self.account {
            Some(account) => account.credential(&link.person).await.map(drop),
            None => Ok(()),
        }
    }

    /// Whether it is a child process: then the gateway is the end of the HTTP conversation.
    #[must_use]
    pub fn is_child(&self) -> bool {
        matches!(self.transport, Transport::Stdio(_))
    }

    /// Sends one frame: the one place through which a frame reaches an upstream, with what the upstream wants to see.
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
                // What was decided is never sent twice, whatever the answer; nor is what nobody knows.
                let may_repeat = spent.is_none() && only_describes(&frame);
                self.show(upstream, Request { method: Method::POST, headers, body: frame.bytes().clone() }, link, may_repeat)
                    .await
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
                self.show(upstream, Request { method: Method::GET, headers, body: Bytes::new() }, link, true).await
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
                self.show(upstream, Request { method: Method::DELETE, headers, body: Bytes::new() }, link, false).await
            }
            Transport::Stdio(upstream) => Ok(upstream.close(link).await),
        }
    }

    /// Sends a request with what the upstream wants to see for the person of the link. One that is not taken is renewed, once; sent again is
    /// only what can do nothing.
    async fn show(
        &self,
        upstream: &http::HttpUpstream,
        request: Request,
        link: &Link,
        may_repeat: bool,
    ) -> Result<Reply, Failure> {
        let Request { method, headers, body } = request;
        let Some(account) = &self.account else { return upstream.send(method, headers, body, None).await };
        let presented = account.credential(&link.person).await?;
        let reply = upstream.send(method.clone(), headers.clone(), body.clone(), Some(&presented)).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return hidden(reply, presented);
        }
        match account.refused(&link.person, &presented).await {
            Renewed::Yes if may_repeat => {
                let presented = account.credential(&link.person).await?;
                let reply = upstream.send(method, headers, body, Some(&presented)).await?;
                if reply.status == StatusCode::UNAUTHORIZED {
                    return Err(Failure::NotTaken(account.remedy(&link.person)));
                }
                hidden(reply, presented)
            }
            Renewed::Yes => Err(Failure::NotTaken("the credential was renewed: send the call again".to_owned())),
            Renewed::No => Err(Failure::NotTaken(account.remedy(&link.person))),
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

/// A request on its way to an upstream over HTTP.
struct Request {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

/// Whether a frame asks what there is, and does nothing.
fn only_describes(frame: &Frame) -> bool {
    match Asked::treatment_of(frame, Direction::ToServer) {
        Some(Treatment::Describe | Treatment::Filter(_)) => true,
        Some(
            Treatment::Act
            | Treatment::Read
            | Treatment::Pass
            | Treatment::Observe
            | Treatment::Ask
            | Treatment::Follow
            | Treatment::Unknown,
        )
        | None => false,
    }
}

/// An answer in which the upstream does not show what it was shown: agents never hold it.
fn hidden(reply: Reply, presented: Presented) -> Result<Reply, Failure> {
    let shows = || Failure::Unusable("it shows the credential that was sent to it".to_owned());
    let Reply { status, headers, body } = reply;
    let body = match body {
        ReplyBody::Empty => ReplyBody::Empty,
        ReplyBody::Whole(body) if presented.stands_in(&body) => return Err(shows()),
        ReplyBody::Whole(body) => ReplyBody::Whole(body),
        ReplyBody::Events(events) => {
            let hide = move |event: Result<Event, Failure>| {
                event.and_then(|event| if presented.stands_in(event.raw()) { Err(shows()) } else { Ok(event) })
            };
            ReplyBody::Events(events.map(hide).boxed())
        }
    };
    Ok(Reply { status, headers, body })
}
