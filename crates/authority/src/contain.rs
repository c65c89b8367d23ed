//! `POST /v1/kill` and `POST /v1/reset`: something is stopped, or let go on, on the node that decides, at once.
//!
//! Three may say so: a person with their own token about what they answer for; a program with the operator's secret; and whoever holds the
//! signing key, with a token that is good for this very request only. The last is the command line beside the server: what listens on a port
//! of the machine need not be ours, so it gets nothing with which it could do anything else, and is believed only with a token of its own.

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
/// Between whom a sealed request and its answer go, in their tokens.
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
    named(issuer, &door(path, body), now)
}

fn named(issuer: &Issuer, audience: &str, now: Moment) -> Result<String, IssueError> {
    let who = PrincipalId::parse(COMMAND_LINE).expect("it is a name");
    issuer.client_token(&who, audience, now, SEAL_MS)
}

/// Whether `answer` says, under the signing key, that the request with this token was carried out.
#[must_use]
pub fn is_done(issuer: &Issuer, token: &str, answer: &Value, now: Moment) -> bool {
    answer["seal"].as_str().is_some_and(|seal| issuer.client(seal, &back(token), now).is_ok())
}

/// The audience of a sealed request: its path and the digest of its body.
fn door(path: &str, body: &[u8]) -> String {
    format!("{path}#{}", Digest::of(body))
}

/// The audience of the answer to the request with this token, of which there is one only.
fn back(token: &str) -> String {
    format!("done#{}", Digest::of(token.as_bytes()))
}

/// What somebody who may say so wants, and by whose right.
struct Heard {
    target: Target,
    by: PrincipalId,
    right: Right,
    why: String,
    /// The answer to a sealed request, to be given once it is carried out.
    seal: Option<String>,
}

impl Heard {
    fn done(&self, what: &str) -> Json<Value> {
        let mut answer = json!({ what: self.target, "by": self.by });
        if let Some(seal) = &self.seal {
            answer["seal"] = json!(seal);
        }
        Json(answer)
    }
}

pub(crate) async fn kill(
    api: Shared<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let heard = heard(&api, &headers, KILL, body)?;
    api.engine.kill(&heard.target, &heard.by, heard.right, &heard.why).await?;
    Ok(heard.done("killed"))
}

pub(crate) async fn reset(
    api: Shared<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let heard = heard(&api, &headers, RESET, body)?;
    api.engine.reset(&heard.target, &heard.by, heard.right).await?;
    Ok(heard.done("reset"))
}

/// Who may ask comes before what is asked.
fn heard(api: &Api, headers: &HeaderMap, path: &str, body: Result<Bytes, BytesRejection>) -> Result<Heard, Refusal> {
    let body = body.map_err(|error| Refusal::Body(error.body_text()))?;
    let token = bearer(headers).ok_or(Refusal::Unauthenticated)?;
    let now = api.engine.now();
    let is_sealed = api.issuer.client(token, &door(path, &body), now).is_ok();
    let person = if is_sealed || api.operator.is(token) { None } else { Some(api.person(headers)?) };
    let Word { target, by, why } = serde_json::from_slice(&body).map_err(|error| Refusal::Body(error.to_string()))?;
    let target = target.parse().map_err(Refusal::Body)?;
    if why.len() > WHY_BYTES_MAX {
        return Err(Refusal::Body(format!("`why` is longer than {WHY_BYTES_MAX} bytes")));
    }
    let (by, right) = match (person, by) {
        (Some(person), Some(by)) if by != person => {
            return Err(Refusal::Body("`by` is another person than the token's".to_owned()));
        }
        (Some(person), _) => (person, Right::Own),
        (None, Some(by)) => (by, Right::Operator),
        (None, None) => return Err(Refusal::Body("`by` is missing: the person who decides this".to_owned())),
    };
    // Without one the command line writes it into the ledger as well, where it may stand twice.
    let seal = is_sealed.then(|| named(&api.issuer, &back(token), now)).and_then(Result::ok);
    Ok(Heard { target, by, right, why, seal })
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
