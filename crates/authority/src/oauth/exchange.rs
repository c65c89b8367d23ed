//! Token exchange (RFC 8693): an agent hands a part of its task on, to itself or to another agent, and gets a token for that part.
//!
//! Both tokens are bound. The one who hands on proves the key of its own token, or shows its certificate, so that a stolen one hands nothing on; the one who
//! gets the part has signed for it with a key of its own (`actor_token`, an assertion of its client), and the new token is bound to that key.
//! How much can be handed on is the judge's to say; what comes out ends with what it came out of.

use judge::delegation::Part;
use judge::name::{PrincipalId, TaskId};
use judge::task::Caller;
use serde_json::Value;
use wire::token::{Binding, Claims};

use super::client::Client;
use super::details::TaskDetails;
use super::error::Refusal;
use super::request::is_resource;
use super::token::{Asking, Granting};
use super::{asserted, tasks};

/// The grant's name.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693 §3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// RFC 8693 §3.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Who gets the part, and what it holds.
struct Actor {
    client: std::sync::Arc<Client>,
    agent: PrincipalId,
    binding: Binding,
}

impl Asking<'_> {
    /// A token for a part of the task of the subject token.
    pub(super) async fn exchange(&self) -> Result<Value, Refusal> {
        let Self { oauth, form, .. } = *self;
        if form.get("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
            return Err(wrong("expected an access token to be requested"));
        }
        if form.get("audience").is_some_and(|audience| !is_resource(oauth.config(), audience)) {
            return Err(Refusal::Target);
        }
        let (subject, bound) = self.subject()?;
        self.holds(&bound)?;
        let actor = self.actor(&subject, &bound).await?;
        let asked = TaskDetails::read(form.get("authorization_details"), form.get("scope"))?;
        if asked.purpose.is_some() || asked.words.is_some() || !asked.address.is_empty() {
            return Err(Refusal::Details("a part of a task has the purpose, the words and the address of the whole".to_owned()));
        }
        let now = oauth.now();
        let part = Part {
            agent: actor.agent.clone(),
            effects: asked.effects,
            resources: asked.resources,
            tools: asked.tools,
            budget: asked.budget,
            ends: asked.lease_ms.map(|lease_ms| now.after_ms(lease_ms)),
            isolated: false,
        };
        let caller = caller_of(&subject, &bound)?;
        let task = tasks::hand_on(oauth.engine(), &caller, &part).await?;
        let actors = &task.chain[1..];
        let getting = Asking { client: &actor.client, binding: Some(&actor.binding), ..*self };
        let refresh = getting.begin(&task, actors).await?;
        // The first token ends with the one that it came out of; the task behind it ends with the whole in any case.
        let life_ms_max = subject.expires_s.saturating_mul(1000).saturating_sub(now.0);
        let granting = Granting { refresh: Some(refresh), life_ms_max: Some(life_ms_max), parent: Some(subject.id) };
        let mut answer = getting.granted(&task, actors, now, granting).await?;
        answer["issued_token_type"] = ACCESS_TOKEN.into();
        Ok(answer)
    }

    /// Holds the one who hands on to what its token is bound to: RFC 9449 §5 asks it of refresh tokens, and what hands authority on is no less.
    fn holds(&self, bound: &Binding) -> Result<(), Refusal> {
        let now_s = self.oauth.now().0 / 1000;
        match bound {
            Binding::Key(_) if self.binding == Some(bound) => Ok(()),
            Binding::Key(_) => Err(Refusal::Proof("expected a proof of the key to which the subject token is bound".to_owned())),
            Binding::Certificate(thumbprint) if self.peer.is_some_and(|peer| peer.is(thumbprint, now_s)) => Ok(()),
            Binding::Certificate(_) => {
                Err(wrong("expected the certificate to which the subject token is bound on the connection"))
            }
        }
    }

    /// The token whose task is handed on, with what it is bound to. It has to be this client's own.
    fn subject(&self) -> Result<(Claims, Binding), Refusal> {
        let Self { oauth, client, form, .. } = *self;
        if form.demand("subject_token_type")? != ACCESS_TOKEN {
            return Err(wrong("expected the subject token to be an access token"));
        }
        let read = oauth.issuer().task(form.demand("subject_token")?, oauth.now());
        let claims = read.map_err(|refusal| Refusal::Request(format!("the subject token: {refusal}")))?;
        if claims.client.as_deref().unwrap_or(claims.caller()) != client.id {
            return Err(wrong("the subject token is of another client"));
        }
        let bound = claims.binding.clone();
        let bound = bound.ok_or_else(|| wrong("expected a subject token that is bound to a key or to a certificate"))?;
        Ok((claims, bound))
    }

    /// Who gets the part: the client that signed the actor token, or the caller itself.
    async fn actor(&self, subject: &Claims, bound: &Binding) -> Result<Actor, Refusal> {
        let Self { oauth, client, form, .. } = *self;
        let Some(signed) = form.get("actor_token") else {
            // RFC 8693 §2.1.
            if form.has("actor_token_type") {
                return Err(wrong("expected no 'actor_token_type' without an 'actor_token'"));
            }
            let agent = PrincipalId::parse(subject.caller()).map_err(|_| Refusal::Server)?;
            return Ok(Actor { client: std::sync::Arc::new(client.clone()), agent, binding: bound.clone() });
        };
        if form.get("actor_token_type") != Some(JWT) {
            return Err(wrong("expected the actor token to be a JWT: an assertion of the client that gets the part"));
        }
        let (client, proved) = asserted(oauth, signed).await.map_err(|refusal| match refusal {
            Refusal::Client(sentence) => Refusal::Request(format!("the actor token: {sentence}")),
            other => other,
        })?;
        // The key that it will prove with each call: the one that it names, or the one with which it signed.
        let binding = Binding::Key(proved.confirmed.unwrap_or(proved.key_thumbprint));
        Ok(Actor { agent: client.agent.clone(), client, binding })
    }
}

fn wrong(sentence: &str) -> Refusal {
    Refusal::Request(sentence.to_owned())
}

fn caller_of(claims: &Claims, bound: &Binding) -> Result<Caller, Refusal> {
    let chain: Option<Vec<_>> = claims.chain().into_iter().map(|name| PrincipalId::parse(name).ok()).collect();
    let task = TaskId::parse(&claims.task).map_err(|_| Refusal::Server)?;
    let caller = Caller::new(chain.ok_or(Refusal::Server)?, Some(task));
    Ok(Caller { key: Some(bound.thumbprint().into()), client: claims.client.as_deref().map(Into::into), ..caller })
}
