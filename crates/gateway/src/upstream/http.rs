//! Speaks streamable HTTP to one upstream. What a frame means is not known here.

use std::sync::Arc;
use std::time::Duration;

use broker::Presented;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::time::Instant;

use crate::config::{ConfigError, Limits};
use crate::sse::Splitter;
use crate::upstream::pool::{self, NoAnswer, Pool};
use crate::upstream::{Events, Failure, Reply, ReplyBody};

/// The session header of revisions up to 2025-11-25 (transports, "Session Management").
pub const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revision that a request is written in (transports, "Protocol Version Header").
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Where a lost stream continues (2025-11-25, transports, "Resumability and Redelivery").
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const BOTH_TYPES: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// One upstream reached over HTTP/1.1, with kept-alive connections.
pub struct HttpUpstream {
    /// Where requests go, in origin form.
    path: Uri,
    host: HeaderValue,
    headers: HeaderMap,
    pub(super) pool: Arc<Pool>,
    result_bytes_max: usize,
    answer_time_max: Duration,
}

/// Whether a header of a client's request goes on to an upstream: protocol and tracing, never credentials.
pub fn goes_up(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("mcp-") && name != "mcp-session-id"
        || matches!(name, "accept" | "content-type" | "last-event-id" | "traceparent" | "tracestate" | "baggage")
}

/// Whether a header of an upstream's answer goes on to the client.
fn goes_down(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("mcp-") || matches!(name, "content-type" | "cache-control" | "x-accel-buffering" | "retry-after" | "allow")
}

impl HttpUpstream {
    /// A client for the upstream called `name` at `url`.
    ///
    /// # Errors
    /// A URL or header that HTTP does not allow, or no usable TLS.
    pub fn new(name: &str, url: &str, headers: &[(String, String)], limits: &Limits) -> Result<Self, ConfigError> {
        let wrong_url = || ConfigError::Url { upstream: name.to_owned(), url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| wrong_url())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(wrong_url());
        }
        let mut fixed = HeaderMap::new();
        for (header, value) in headers {
            let wrong = || ConfigError::Header { upstream: name.to_owned(), header: header.clone() };
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            fixed.append(HeaderName::from_bytes(header.as_bytes()).map_err(|_| wrong())?, value);
        }
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        let tls = rustls::ClientConfig::with_platform_verifier().map_err(|error| ConfigError::Tls(error.to_string()))?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let path = uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        let host = host_of(&uri).ok_or_else(wrong_url)?;
        Ok(Self {
            path,
            host,
            headers: fixed,
            pool: Pool::new(uri, connector),
            result_bytes_max: limits.result_bytes_max,
            answer_time_max: limits.answer_time_max,
        })
    }

    /// Sends one request, with what the upstream wants to see, and returns when the answer's head is there (and its body, unless it is a
    /// stream).
    ///
    /// # Errors
    /// [`Failure`] says whether the upstream may have acted.
    pub async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        presented: Option<&Presented>,
    ) -> Result<Reply, Failure> {
        let mut request = Request::new(Full::new(body));
        let post = method == Method::POST;
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        let to = request.headers_mut();
        *to = headers;
        if post {
            to.entry(ACCEPT).or_insert(BOTH_TYPES);
            to.insert(CONTENT_TYPE, JSON);
        }
        for name in self.headers.keys() {
            to.remove(name);
        }
        for (name, value) in &self.headers {
            to.append(name.clone(), value.clone());
        }
        if let Some(presented) = presented {
            presented.put(to);
        }
        to.entry(HOST).or_insert_with(|| self.host.clone());
        let answer = tokio::time::timeout(self.answer_time_max, self.pool.send(request, presented.and_then(Presented::person)));
        let response = match answer.await {
            Ok(Ok(response)) => response,
            Ok(Err(NoAnswer::NotSent(error))) => return Err(Failure::NotSent(format!("no connection: {}", root_of(&*error)))),
            Ok(Err(NoAnswer::Lost(error))) => return Err(Failure::Lost(format!("connection lost: {}", root_of(&error)))),
            Err(_) => return Err(Failure::Lost(format!("no answer within {} s", self.answer_time_max.as_secs()))),
        };
        let (head, body) = response.into_parts();
        let is_stream = is_event_stream(&head.headers);
        let mut headers = head.headers;
        let dropped: Vec<HeaderName> = headers.keys().filter(|name| !goes_down(name)).cloned().collect();
        for name in dropped {
            headers.remove(name);
        }
        let body = if is_stream && head.status == StatusCode::OK {
            ReplyBody::Events(events(body, self.result_bytes_max))
        } else {
            let read = tokio::time::timeout(self.answer_time_max, Limited::new(body, self.result_bytes_max).collect());
            let bytes = match read.await {
                Ok(Ok(collected)) => collected.to_bytes(),
                Ok(Err(error)) if error.is::<LengthLimitError>() => {
                    return Err(Failure::Unusable(format!("the answer is longer than {} bytes", self.result_bytes_max)));
                }
                Ok(Err(error)) => return Err(Failure::Lost(format!("the answer broke off: {error}"))),
                Err(_) => return Err(Failure::Lost(format!("no whole answer within {} s", self.answer_time_max.as_secs()))),
            };
            if bytes.is_empty() { ReplyBody::Empty } else { ReplyBody::Whole(bytes) }
        };
        Ok(Reply { status: head.status, headers, body })
    }

    /// Closes connections that are idle for too long.
    pub fn sweep(&self) {
        self.pool.sweep(Instant::now());
    }
}

/// The `host` of a URL: without a port that the scheme implies (RFC 9110, section 7.2).
fn host_of(uri: &Uri) -> Option<HeaderValue> {
    let implied = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let host = uri.host()?;
    let host = match uri.port_u16().filter(|port| *port != implied) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_str(&host).ok()
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn events(body: pool::Answer, bytes_max: usize) -> Events {
    let state = (body, Splitter::new(bytes_max), false);
    stream::unfold(state, |(mut body, mut splitter, over)| async move {
        if over {
            return None;
        }
        loop {
            match splitter.next_event() {
                Ok(Some(event)) => return Some((Ok(event), (body, splitter, false))),
                Ok(None) => {}
                Err(error) => return Some((Err(Failure::Unusable(error.to_string())), (body, splitter, true))),
            }
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(chunk) = frame.data_ref() {
                        splitter.push(chunk);
                    }
                }
                Some(Err(error)) => {
                    let failure = Failure::Lost(format!("the stream broke off: {}", root_of(&error)));
                    return Some((Err(failure), (body, splitter, true)));
                }
                None => return None,
            }
        }
    })
    .boxed()
}

/// The innermost cause: the outer ones only say that there was one.
fn root_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
