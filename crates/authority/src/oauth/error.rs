//! Every refusal of the authorization server, with the code and the status that its specification gives it. One list, one mapping.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::store::StoreError;

/// Why a request is refused. The sentence is for whoever writes the client; nothing of a secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// RFC 6749 §5.2: a parameter is missing, twice, or not what it must be.
    Request(String),
    /// RFC 6749 §5.2: the client is not known, or did not show that it is the one.
    Client(String),
    /// RFC 6749 §5.2: the code, the refresh token or the task does not count (any more).
    Grant(String),
    /// The lease of the task is over, and only a person can renew it. The refresh token is as good as before, so that this is not `invalid_grant`;
    /// the code is OpenID Connect's (Core §3.1.2.6), which clients know as one that sends for a person.
    Checkpoint(String),
    /// RFC 6749 §5.2: this client may not do that.
    Unauthorized(String),
    /// RFC 6749 §5.2.
    GrantType,
    /// RFC 6749 §4.1.2.1.
    ResponseType,
    /// RFC 6749 §5.2.
    Scope(String),
    /// RFC 8707 §2: tokens are for another resource.
    Target,
    /// RFC 9396 §5.
    Details(String),
    /// RFC 6749 §4.1.2.1: the person said no.
    Denied,
    /// OpenID Connect Core §3.1.2.6: a person is needed, and the client wants none.
    Interaction,
    /// RFC 9101 §6.2: requests as JWT are not read.
    RequestObject,
    /// RFC 9449 §5: the proof is not believed.
    Proof(String),
    /// RFC 9449 §8: the proof needs this server's nonce.
    Nonce,
    /// RFC 7591 §3.2.2.
    RedirectUri(String),
    /// RFC 7591 §3.2.2.
    Metadata(String),
    /// RFC 6749 §4.1.2.1: more than is held at a time.
    Busy,
    /// The ledger or the store cannot record it.
    Unavailable,
    /// RFC 6749 §4.1.2.1: something that should not happen.
    Server,
}

impl Refusal {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Request(_) => "invalid_request",
            Refusal::Client(_) => "invalid_client",
            Refusal::Grant(_) => "invalid_grant",
            Refusal::Unauthorized(_) => "unauthorized_client",
            Refusal::GrantType => "unsupported_grant_type",
            Refusal::ResponseType => "unsupported_response_type",
            Refusal::Scope(_) => "invalid_scope",
            Refusal::Target => "invalid_target",
            Refusal::Details(_) => "invalid_authorization_details",
            Refusal::Denied => "access_denied",
            Refusal::Interaction | Refusal::Checkpoint(_) => "interaction_required",
            Refusal::RequestObject => "request_not_supported",
            Refusal::Proof(_) => "invalid_dpop_proof",
            Refusal::Nonce => "use_dpop_nonce",
            Refusal::RedirectUri(_) => "invalid_redirect_uri",
            Refusal::Metadata(_) => "invalid_client_metadata",
            Refusal::Busy | Refusal::Unavailable => "temporarily_unavailable",
            Refusal::Server => "server_error",
        }
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Refusal::Request(sentence)
            | Refusal::Client(sentence)
            | Refusal::Grant(sentence)
            | Refusal::Checkpoint(sentence)
            | Refusal::Unauthorized(sentence)
            | Refusal::Scope(sentence)
            | Refusal::Details(sentence)
            | Refusal::Proof(sentence)
            | Refusal::RedirectUri(sentence)
            | Refusal::Metadata(sentence) => sentence.clone(),
            Refusal::GrantType => "expected a grant type that the metadata lists".to_owned(),
            Refusal::ResponseType => "expected the response type 'code'".to_owned(),
            Refusal::Target => "expected the one resource that tokens are issued for here".to_owned(),
            Refusal::Denied => "the person said no".to_owned(),
            Refusal::Interaction => "a person has to consent to each task".to_owned(),
            Refusal::RequestObject => "requests as JWT are not read; push them instead".to_owned(),
            Refusal::Nonce => "expected the nonce of the header 'DPoP-Nonce' in the proof".to_owned(),
            Refusal::Busy => "more is under way than can be held; try again in a moment".to_owned(),
            Refusal::Unavailable => "this cannot be recorded now, so it does not happen".to_owned(),
            Refusal::Server => "something that should not happen; the operator's log says what".to_owned(),
        }
    }

    /// The status of a direct answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::Client(_) => StatusCode::UNAUTHORIZED,
            Refusal::Denied => StatusCode::FORBIDDEN,
            Refusal::Busy | Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Server => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Request(_)
            | Refusal::Grant(_)
            | Refusal::Checkpoint(_)
            | Refusal::Unauthorized(_)
            | Refusal::GrantType
            | Refusal::ResponseType
            | Refusal::Scope(_)
            | Refusal::Target
            | Refusal::Details(_)
            | Refusal::Interaction
            | Refusal::RequestObject
            | Refusal::Proof(_)
            | Refusal::Nonce
            | Refusal::RedirectUri(_)
            | Refusal::Metadata(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether it says that somebody tried something, or asked for what is not to be had: what belongs into the ledger.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        !matches!(self, Refusal::Nonce | Refusal::Busy | Refusal::Unavailable | Refusal::Server)
    }

    /// The sentence with the characters that it may have in JSON answers and redirects (RFC 6749 §5.2).
    #[must_use]
    pub fn description(&self) -> String {
        let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        self.sentence().chars().map(|c| if allowed(c) { c } else { '\'' }).take(DESCRIPTION_CHARS_MAX).collect()
    }
}

/// Of a sentence, in characters.
const DESCRIPTION_CHARS_MAX: usize = 300;

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the authorization server cannot keep something");
        match error {
            StoreError::Busy => Refusal::Busy,
            StoreError::File(_) | StoreError::Version { .. } => Refusal::Unavailable,
        }
    }
}

impl From<engine::Unavailable> for Refusal {
    fn from(error: engine::Unavailable) -> Self {
        tracing::error!(%error, "the authorization server cannot record something");
        Refusal::Unavailable
    }
}

impl From<crate::KeysError> for Refusal {
    fn from(error: crate::KeysError) -> Self {
        tracing::error!(%error, "no random bytes");
        Refusal::Server
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code(), "error_description": self.description() });
        let mut response = (self.status(), axum::Json(body)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
