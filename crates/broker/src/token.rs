//! Asks an authorization server for tokens (RFC 6749 §4.1.3, §4.4.2 and §6). Who asks, and what becomes of them, is not known here.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::scheme::{SecretIn, TokenClient};
use crate::secret::{SECRET_BYTES_MAX, Secret};

/// How long an authorization server may take.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(15);
/// The largest answer, in bytes: two tokens, and what stands around them.
const ANSWER_BYTES_MAX: usize = 4 * SECRET_BYTES_MAX;
/// The longest error code that is repeated, in characters.
const CODE_CHARS_MAX: usize = 64;

/// What an authorization server gave.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub access: Secret,
    pub refresh: Option<Secret>,
    pub life_s: Option<u64>,
}

/// Tokens as they are sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept<'t> {
    pub access: &'t str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<&'t str>,
}

/// Why there are no tokens. Nothing of a token, a secret or an answer's words is in it: only the error's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTokens {
    /// The authorization server said no (RFC 6749 §5.2).
    #[error("the authorization server refused: `{0}`")]
    Refused(String),
    /// It cannot be reached, or failed.
    #[error("the authorization server cannot be asked now: {0}")]
    Unreachable(String),
    /// It answered with something else than tokens that can be used.
    #[error("the authorization server's answer cannot be used: {0}")]
    Unusable(&'static str),
}

/// A client for authorization servers: no redirects, no proxies, little time.
pub(crate) fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIME_MAX)
        .connect_timeout(TIME_MAX)
        .user_agent("prudence")
        .build()
}

/// Asks for tokens with a form.
pub(crate) async fn ask(
    http: &reqwest::Client,
    client: &TokenClient,
    secret: Option<&Secret>,
    form: &[(&str, &str)],
) -> Result<Tokens, NoTokens> {
    let request = request(http, client, secret, form);
    let mut answer = request.send().await.map_err(|error| unreachable_because(&error))?;
    let status = answer.status();
    let mut text = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable_because(&error))? {
        if text.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(NoTokens::Unusable("it is too long"));
        }
        text.extend_from_slice(&chunk);
    }
    if status.is_success() { tokens(&text) } else { Err(refusal(status.as_u16(), &text)) }
}

/// The request of a client that says who it is (RFC 6749 §2.3.1).
fn request(
    http: &reqwest::Client,
    client: &TokenClient,
    secret: Option<&Secret>,
    form: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    if let Some(resource) = &client.resource {
        body.append_pair("resource", resource);
    }
    let mut request = http.post(&client.token_endpoint).header(ACCEPT, "application/json");
    match (secret, client.secret_in) {
        (Some(secret), SecretIn::Header) => request = request.header(AUTHORIZATION, basic(&client.client_id, secret)),
        (Some(secret), SecretIn::Form) => {
            body.append_pair("client_id", &client.client_id).append_pair("client_secret", secret.expose());
        }
        (None, _) => {
            body.append_pair("client_id", &client.client_id);
        }
    }
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.finish())
}

/// The header of RFC 6749 §2.3.1: both halves are encoded as in a form first.
fn basic(client_id: &str, secret: &Secret) -> HeaderValue {
    let encoded = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encoded(client_id), *encoded(secret.expose())));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).expect("base64 is visible ascii");
    value.set_sensitive(true);
    value
}

/// Reads an answer (RFC 6749 §5.1).
fn tokens(text: &[u8]) -> Result<Tokens, NoTokens> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: Option<String>,
        token_type: Option<String>,
        expires_in: Option<serde_json::Value>,
        refresh_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(text).map_err(|_| NoTokens::Unusable("expected a JSON object"))?;
    let secret = |text: String| Secret::parse(text).map_err(|_| NoTokens::Unusable("a token has characters that none has"));
    let access = answer.access_token.map(secret).transpose()?;
    let refresh = answer.refresh_token.map(secret).transpose()?;
    if !answer.token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(NoTokens::Unusable("expected a `token_type` of `Bearer`"));
    }
    // Some write the number as a text.
    let life_s = answer.expires_in.and_then(|life| life.as_u64().or_else(|| life.as_str()?.parse().ok()));
    Ok(Tokens { access: access.ok_or(NoTokens::Unusable("it has no `access_token`"))?, refresh, life_s })
}

fn refusal(status: u16, text: &[u8]) -> NoTokens {
    #[derive(Deserialize)]
    struct Answer {
        error: String,
    }
    // RFC 6749 §5.2: printable, without quotes and backslashes. Descriptions are not repeated: nobody knows what stands in them.
    let code = serde_json::from_slice::<Answer>(text).ok().map(|answer| answer.error).filter(|code| is_code(code));
    match (status, code) {
        (400..500, Some(code)) if status != 429 => NoTokens::Refused(code),
        _ => NoTokens::Unreachable(format!("it answered with status {status}")),
    }
}

/// Whether this is an error code, and no prose.
pub(crate) fn is_code(code: &str) -> bool {
    (1..=CODE_CHARS_MAX).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The innermost cause: the outer ones name the address, which may hold what is nobody's business.
fn unreachable_because(error: &reqwest::Error) -> NoTokens {
    if error.is_timeout() {
        return NoTokens::Unreachable(format!("no answer within {} s", TIME_MAX.as_secs()));
    }
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    NoTokens::Unreachable(cause.to_string())
}
