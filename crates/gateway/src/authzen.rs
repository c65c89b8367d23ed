//! Answers to enforcement points elsewhere: OpenID AuthZEN Authorization API 1.0 over HTTP, with its profiles for obligations and for
//! access requests. A question becomes an act, and the engine decides it as it decides a tool call; only the effect is not ours.
//!
//! Who the enforcement point is comes from its credential, and who acts for whom from the task token alone: what a question says of a
//! chain is not believed. How credentials are issued is not known here.

mod question;
mod request;
mod respond;
mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use engine::{Engine, Question};
use futures_util::future::join_all;
use judge::effect::Effect;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use wire::authzen::{self, Answer, BODY_BYTES_MAX, Evaluation, Evaluations, Semantic};

use crate::auth::{Clients, LetIn, TokenKeys, Tokens};
use respond::{Refusal, json_response};

/// How many searches run at a time; each takes a processor for itself.
const SEARCHES_MAX: usize = 2;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How questions are read, and where they are asked.
#[derive(Debug, Clone)]
pub struct AuthzenConfig {
    /// The identifier of this decision point (§9.1): an `https` URL without query and fragment, as enforcement points reach it.
    pub public_url: String,
    /// What actions do, by name; the words of the effects mean themselves.
    pub actions: BTreeMap<String, Effect>,
    /// Types of subject that are people.
    pub people: BTreeSet<String>,
}

#[derive(Clone)]
struct Pdp(Arc<Inner>);

struct Inner {
    config: AuthzenConfig,
    engine: Engine,
    tokens: Tokens,
    clients: Clients,
    searches: Semaphore,
}

/// The routes of a decision point, for those who are let in and have a client token. Its paths begin with the path of its public URL.
pub fn router(config: AuthzenConfig, engine: Engine, keys: TokenKeys, let_in: LetIn) -> Router {
    let base = path_of(&config.public_url).to_owned();
    let at = |path: &str| format!("{base}{path}");
    let well_known = format!("/.well-known/authzen-configuration{base}");
    let clients = Clients::new(keys.clone(), let_in);
    let pdp =
        Pdp(Arc::new(Inner { config, engine, tokens: Tokens::new(keys, None), clients, searches: Semaphore::new(SEARCHES_MAX) }));
    Router::new()
        .route(&at("/access/v1/evaluation"), post(evaluation))
        .route(&at("/access/v1/evaluations"), post(evaluations))
        .route(&at("/access/v1/search/subject"), post(search::subjects))
        .route(&at("/access/v1/search/resource"), post(search::resources))
        .route(&at("/access/v1/search/action"), post(search::actions))
        .route(&at("/access/v1/requests"), post(request::submit))
        .route(&at("/access/v1/requests/{handle}"), get(request::status))
        .route(&well_known, get(metadata))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(echo_request_id))
        .with_state(pdp)
}

/// Whether a URL can be the identifier of a decision point (§9.1): `https`, with a host, and without query and fragment.
///
/// # Errors
/// A sentence that says what was expected.
pub fn check_public_url(url: &str) -> Result<(), &'static str> {
    let uri: axum::http::Uri = url.parse().map_err(|_| "expected a URL")?;
    if uri.scheme_str() != Some("https") || uri.host().is_none_or(str::is_empty) {
        return Err("expected an `https` URL with a host");
    }
    if url.contains(['?', '#', '{', '}', '*']) { Err("expected a URL without query, fragment and placeholders") } else { Ok(()) }
}

/// The path of a URL, without a slash at its end; empty for the root.
fn path_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url[after_scheme..].find('/').map_or("", |at| &url[after_scheme + at..]);
    path.trim_end_matches('/')
}

/// §10.1.3: the same identifier comes back, whatever the answer is.
async fn echo_request_id(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

impl Pdp {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.config.public_url.trim_end_matches('/'))
    }

    /// The name of the enforcement point.
    fn asker(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        self.0.clients.client_of(headers, self.0.engine.now()).map_err(|_| Refusal::Unauthenticated)
    }

    /// The enforcement point, and what it sent. Who asks comes before what is asked.
    fn read<T>(
        &self,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
        parse: impl FnOnce(&[u8]) -> Result<T, authzen::BadRequest>,
    ) -> Result<(String, T), Refusal> {
        let asker = self.asker(headers)?;
        let body = body.map_err(|error| Refusal::Body(error.status(), error.body_text()))?;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let sentence = "expected the content type `application/json`".to_owned();
            return Err(Refusal::Body(StatusCode::BAD_REQUEST, sentence));
        }
        let parsed = parse(&body).map_err(|error| Refusal::Body(StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok((asker, parsed))
    }

    fn read_as<T: DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<(String, T), Refusal> {
        self.read(headers, body, authzen::read)
    }

    async fn answer(&self, asker: &str, question: &Evaluation) -> Result<Answer, Refusal> {
        let (caller, act) = match self.act(asker, question) {
            Ok(found) => found,
            Err(refused) => return Ok(refused),
        };
        let carries = question.context.supported_obligations.as_ref().map(question::carried);
        let asker = engine::Asker { name: asker, carries: carries.as_ref() };
        let evaluated = self.0.engine.evaluate(&caller, &act, asker, Question::May).await?;
        Ok(self.answer_of(question, evaluated))
    }
}

async fn evaluation(
    Shared(pdp): Shared<Pdp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (asker, question) = pdp.read(&headers, body, authzen::evaluation)?;
    Ok(json_response(StatusCode::OK, &pdp.answer(&asker, &question).await?))
}

async fn evaluations(
    Shared(pdp): Shared<Pdp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (asker, read) = pdp.read(&headers, body, authzen::evaluations)?;
    let (questions, semantic) = match read {
        Evaluations::One(question) => return Ok(json_response(StatusCode::OK, &pdp.answer(&asker, &question).await?)),
        Evaluations::Many { questions, semantic } => (questions, semantic),
    };
    let answer = async |question: &Result<Evaluation, String>| match question {
        Ok(question) => pdp.answer(&asker, question).await,
        Err(error) => Ok(Answer::error(400, error)),
    };
    let mut answers = Vec::with_capacity(questions.len());
    match semantic {
        // All at once: they are decided in their order, and share a commit.
        Semantic::ExecuteAll => {
            for answered in join_all(questions.iter().map(answer)).await {
                answers.push(answered?);
            }
        }
        Semantic::DenyOnFirstDeny | Semantic::PermitOnFirstPermit => {
            let last = semantic == Semantic::PermitOnFirstPermit;
            for question in &questions {
                let answered = answer(question).await?;
                let is_last = answered.decision == last;
                answers.push(answered);
                if is_last {
                    break;
                }
            }
        }
    }
    Ok(json_response(StatusCode::OK, &json!({ "evaluations": answers })))
}

async fn metadata(Shared(pdp): Shared<Pdp>) -> Response {
    let document: Value = json!({
        "policy_decision_point": pdp.0.config.public_url,
        "access_evaluation_endpoint": pdp.url("/access/v1/evaluation"),
        "access_evaluations_endpoint": pdp.url("/access/v1/evaluations"),
        "search_subject_endpoint": pdp.url("/access/v1/search/subject"),
        "search_resource_endpoint": pdp.url("/access/v1/search/resource"),
        "search_action_endpoint": pdp.url("/access/v1/search/action"),
        "access_request_endpoint": pdp.url("/access/v1/requests"),
        "capabilities": ["urn:openid:authzen:capability:access-request"],
        "supported_obligations": question::OBLIGATIONS,
    });
    (StatusCode::OK, [(header::CACHE_CONTROL, "max-age=300")], axum::Json(document)).into_response()
}
