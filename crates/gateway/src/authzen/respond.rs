//! Statuses and bodies of answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{RequestError, Unavailable};
use serde::Serialize;
use serde_json::json;

/// Every answer that is no decision (§10.1.2).
pub enum Refusal {
    /// The enforcement point did not say who it is.
    Unauthenticated,
    /// The body is no request.
    Body(StatusCode, String),
    /// A problem of the access request profile (RFC 9457): its name, and why.
    Problem(StatusCode, &'static str, String),
    /// The ledger cannot record it, so nothing was decided.
    Ledger(String),
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let sentence = error.to_string();
        match error {
            RequestError::NotRequestable => Self::Problem(StatusCode::BAD_REQUEST, "not_requestable", sentence),
            RequestError::NotRefused => Self::Problem(StatusCode::BAD_REQUEST, "invalid_denial_binding", sentence),
            RequestError::Expired => Self::Problem(StatusCode::GONE, "expired_denial", sentence),
            RequestError::Unavailable(Unavailable(_)) => Self::Ledger(sentence),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthenticated => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"prudence\"")];
                (StatusCode::UNAUTHORIZED, challenge, "expected the credential of an enforcement point").into_response()
            }
            Self::Body(status, sentence) => (status, sentence).into_response(),
            Self::Ledger(sentence) => (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response(),
            Self::Problem(status, name, sentence) => {
                let kind = format!("urn:openid:authzen:access-request:error:{name}");
                let title = name.replace('_', " ");
                let problem = json!({ "type": kind, "title": title, "status": status.as_u16(), "detail": sentence });
                let mut response = json_response(status, &problem);
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
                response
            }
        }
    }
}

pub fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}
