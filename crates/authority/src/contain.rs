//! `POST /v1/kill` and `POST /v1/reset`: something is stopped, or let go on, on the node that decides, at once.
//!
//! Three may say so: a person with their own token about what they answer for; a program with the operator's secret; and whoever holds the
//! signing key, with a token that is good for this very request only. The last is the command line beside the server: what listens on a port
//! of the machine need not be ours, so it gets nothing with which it could do anything else.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use engine::ContainError;
use judge::contain::{NotContained, Right};
use judge::digest::Digest;
use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::standing::Target;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Api, Refusal};
use crate::bearer::bearer;
use crate::tokens::{IssueError, Issuer};

/// Where things are stopped.
pub const KILL: &str = "/v1/kill";
/// Where they are let go on.
pub const RESET: &str = "/v1/reset";
/// The longest reason, in bytes.
pub const WHY_BYTES_MAX: usize = 2_000;
/// How long a sealed request is good for, in milliseconds.
const SEAL_MS: u64 = 10_000;
/// Who asks, in the token of a sealed request.
const COMMAND_LINE: &str = "command-line";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// As in `task:ID`, `agent:NAME`, `owner:PERSON`, `key:THUMBPRINT` or `client:ID`.
    pub target: String,
    /// The person who decides it. Left out by people, whose token says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalId>,
    /// Why, for the record.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The token with which `body` may be sent to `path` once, within seconds.
///
/// # Errors
/// When none can be made.
pub fn seal(issuer: &Issuer, path: &str, body: &[u8], now: Moment) -> Result<String, IssueError> {
    let who = PrincipalId::parse(COMMAND_LINE).expect("it is a name");
    issuer.client_token(&who, &door(path, body), now, SEAL_MS)
}

/// The audience of a sealed request: its path and the digest of its body.
fn door(path: &str, body: &[u8]) -> String {
    format!("{path}#{}", Digest::of(body))
}

pub(crate) async fn kill(
    api: Shared<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let (target, by, right, why) = heard(&api, &headers, KILL, body)?;
    api.engine.kill(&target, &by, right, &why).await?;
    Ok(Json(json!({ "killed": target, "by": by })))
}

pub(crate) async fn reset(
    api: Shared<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let (target, by, right, _) = heard(&api, &headers, RESET, body)?;
    api.engine.reset(&target, &by, right).await?;
    Ok(Json(json!({ "reset": target, "by": by })))
}

/// Who says what, and by whose right. Who may ask comes before what is asked.
fn heard(
    api: &Api,
    headers: &HeaderMap,
    path: &str,
    body: Result<Bytes, BytesRejection>,
) -> Result<(Target, PrincipalId, Right, String), Refusal> {
    let body = body.map_err(|error| Refusal::Body(error.body_text()))?;
    let token = bearer(headers).ok_or(Refusal::Unauthenticated)?;
    let is_sealed = || api.issuer.client(token, &door(path, &body), api.engine.now()).is_ok();
    let person = if api.operator.is(token) || is_sealed() { None } else { Some(api.person(headers)?) };
    let Word { target, by, why } = serde_json::from_slice(&body).map_err(|error| Refusal::Body(error.to_string()))?;
    let target = target.parse().map_err(Refusal::Body)?;
    if why.len() > WHY_BYTES_MAX {
        return Err(Refusal::Body(format!("`why` is longer than {WHY_BYTES_MAX} bytes")));
    }
    match (person, by) {
        (Some(person), Some(by)) if by != person => Err(Refusal::Body("`by` is another person than the token's".to_owned())),
        (Some(person), _) => Ok((target, person, Right::Own, why)),
        (None, Some(by)) => Ok((target, by, Right::Operator, why)),
        (None, None) => Err(Refusal::Body("`by` is missing: the person who decides this".to_owned())),
    }
}

impl From<ContainError> for Refusal {
    fn from(error: ContainError) -> Self {
        let sentence = error.to_string();
        match error {
            ContainError::Unavailable(_) => Self::Ledger(sentence),
            ContainError::Not(NotContained::NotTheirs(..)) => Self::NotTheirs(sentence),
            ContainError::Not(NotContained::Unknown(_)) => Self::Unknown(sentence),
            ContainError::Not(NotContained::Nobody(_) | NotContained::NotStopped(_)) => Self::Contain(sentence),
        }
    }
}
