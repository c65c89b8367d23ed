//! Asking about tokens (RFC 7662), and giving them back (RFC 7009). A client learns of its own tokens only, unless the configuration lets it
//! ask about all.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use wire::token::{Binding, Claims};

use super::client::{Client, Method};
use super::details::{TaskDetails, scope};
use super::error::Refusal;
use super::form::Form;
use super::store::hash;
use super::{Oauth, OnConnection, Sender, authenticate, tasks};

/// `POST /oauth/introspect`
pub async fn introspect(Shared(oauth): Shared<Oauth>, peer: OnConnection, headers: HeaderMap, body: Bytes) -> Response {
    let answered = async {
        let form = Form::body(&headers, &body)?;
        let client = authenticate(&oauth, Sender::of(&headers, &peer), &form).await?;
        // RFC 7662 §2.1: whoever asks is known, so that nobody tries tokens.
        if client.method == Method::None {
            return Err(Refusal::Client("expected a client with a key".to_owned()));
        }
        about(&oauth, &client, form.demand("token")?).await
    };
    match answered.await {
        Ok(about) => ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(about)).into_response(),
        Err(refusal) => {
            oauth.note(&refusal).await;
            refusal.into_response()
        }
    }
}

/// What there is to say of a token; of one that is none, is over, or is none of the client's business: that it is not active, and no more
/// (RFC 7662 §2.2).
async fn about(oauth: &Oauth, client: &Client, token: &str) -> Result<Value, Refusal> {
    let inactive = json!({ "active": false });
    let now = oauth.now();
    if let Ok(claims) = oauth.issuer().task(token, now) {
        let is_theirs = client.introspects || client_of(&claims) == client.id;
        let task = tasks::running(oauth.engine(), &claims.task);
        return Ok(match task.filter(|_| is_theirs) {
            Some((task, _)) => active(oauth, &claims, &task),
            None => inactive,
        });
    }
    let family = oauth.store().family_of(hash(token), now).await?;
    let family = family.filter(|family| family.client == client.id);
    let running = family.and_then(|family| tasks::running(oauth.engine(), &family.task).map(|(task, _)| (family, task)));
    Ok(running.map_or(inactive, |(family, task)| {
        let ends_s = task.agreed_until().0 / 1000;
        json!({
            "active": true, "client_id": family.client, "exp": ends_s, "iss": oauth.config().issuer, "task": family.task,
        })
    }))
}

fn active(oauth: &Oauth, claims: &Claims, task: &judge::task::Task) -> Value {
    let mut about = json!({
        "active": true,
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.requester,
        "client_id": client_of(claims),
        "exp": claims.expires_s,
        "iat": claims.issued_s,
        "jti": claims.id,
        "token_type": Binding::token_type(claims.binding.as_ref()),
        "act": nested(&claims.actors),
        "task": claims.task,
        "authorization_details": [TaskDetails::of(task)],
    });
    if let Some(binding) = &claims.binding {
        about["cnf"] = json!(binding);
    }
    if let Some(effects) = &task.effects {
        about["scope"] = scope(effects).into();
    }
    debug_assert_eq!(claims.issuer, oauth.config().issuer);
    about
}

/// The client of a token: the one that it names, or the agent itself.
fn client_of(claims: &Claims) -> &str {
    claims.client.as_deref().unwrap_or(claims.caller())
}

/// The actors, the caller outermost (RFC 8693 §4.1).
fn nested(actors: &[String]) -> Value {
    actors.iter().fold(
        Value::Null,
        |inner, actor| if inner.is_null() { json!({ "sub": actor }) } else { json!({ "sub": actor, "act": inner }) },
    )
}

/// `POST /oauth/revoke`: a client gives a token back. Its task ends, and everything that came out of it.
pub async fn revoke(Shared(oauth): Shared<Oauth>, peer: OnConnection, headers: HeaderMap, body: Bytes) -> Response {
    let revoked = async {
        let form = Form::body(&headers, &body)?;
        let client = authenticate(&oauth, Sender::of(&headers, &peer), &form).await?;
        let token = form.demand("token")?;
        let now = oauth.now();
        let task = match oauth.issuer().task(token, now) {
            Ok(claims) if client_of(&claims) == client.id => Some(claims.task),
            Ok(_) => None,
            Err(_) => {
                let family = oauth.store().family_of(hash(token), now).await?;
                family.filter(|family| family.client == client.id).map(|family| family.task)
            }
        };
        if let Some(task) = task {
            oauth.store().revoke_task(&task).await?;
            tasks::end(oauth.engine(), &task).await?;
        }
        // RFC 7009 §2.2: a token that is none is as good as revoked.
        Ok(())
    };
    match revoked.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            let refusal: Refusal = refusal;
            oauth.note(&refusal).await;
            refusal.into_response()
        }
    }
}
