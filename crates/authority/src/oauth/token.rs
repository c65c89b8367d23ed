//! The token endpoint (RFC 6749 §3.2): a client shows who it is, proves a key, and turns a code, a refresh token, its standing task or the
//! task of a parent into an access token that carries a task.
//!
//! Every token of a task ends with the lease of the task. A refresh renews the credential, and at a checkpoint the lease, by rule and never beyond
//! what the person agreed to; when something unusual happened, a person has to look first.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use judge::effect::Effect;
use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::state::TASK_RETENTION_MS;
use judge::task::{Caller, Task};
use serde_json::{Value, json};
use wire::assertion::{self, AssertionRefusal, Expected};
use wire::certificate::Peer;
use wire::dpop::{self, AGE_S_MAX, Demanded, NotTaken, ProofRefusal};
use wire::token::Binding;

use super::client::{Client, Method};
use super::details::{TaskDetails, scope};
use super::error::Refusal;
use super::form::Form;
use super::request::{Redeemed, is_resource, is_verifier};
use super::store::{Family, Rotated, hash};
use super::{Oauth, OnConnection, Sender, authenticate, exchange, secret, tasks};
use crate::tokens::TaskToken;

/// RFC 9449 §8.1.
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// RFC 9449 §4.1.
const PROOF: HeaderName = HeaderName::from_static("dpop");
/// The grants that the metadata lists.
pub const GRANTS: [&str; 5] = ["authorization_code", "refresh_token", "client_credentials", JWT_BEARER, exchange::GRANT];
/// RFC 7523 §2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// `POST /oauth/token`
pub async fn token(Shared(oauth): Shared<Oauth>, peer: OnConnection, headers: HeaderMap, body: Bytes) -> Response {
    let answered = answer(&oauth, Sender::of(&headers, &peer), &body).await;
    let is_refused = answered.is_err();
    let mut response = match answered {
        Ok(granted) => (
            [
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (header::PRAGMA, HeaderValue::from_static("no-cache")),
            ],
            Json(granted),
        )
            .into_response(),
        Err(refusal) => {
            oauth.note(&refusal).await;
            refusal.into_response()
        }
    };
    // The next proof needs it, whether this one was good or not (RFC 9449 §8.2).
    if headers.contains_key(PROOF) || is_refused {
        give_nonce(&oauth, &mut response);
    }
    response
}

/// Hands out the nonce for the next proof.
pub fn give_nonce(oauth: &Oauth, response: &mut Response) {
    if let Ok(nonce) = HeaderValue::from_str(&oauth.nonces().at(oauth.now().0 / 1000)) {
        response.headers_mut().insert(NONCE, nonce);
    }
}

async fn answer(oauth: &Oauth, sender: Sender<'_>, body: &[u8]) -> Result<Value, Refusal> {
    let form = Form::body(sender.headers, body)?;
    let grant = form.demand("grant_type")?;
    let client = authenticate(oauth, sender, &form).await?;
    let binding = bound(&client, proved(oauth, sender.headers, "/oauth/token")?, sender.peer);
    if form.get("resource").is_some_and(|resource| !is_resource(oauth.config(), resource)) {
        return Err(Refusal::Target);
    }
    let asking = Asking { oauth, client: &client, binding: binding.as_ref(), peer: sender.peer, form: &form };
    match grant {
        "authorization_code" => asking.code().await,
        "refresh_token" => asking.refresh().await,
        "client_credentials" => asking.credentials().await,
        JWT_BEARER => asking.identity().await,
        exchange::GRANT => asking.exchange().await,
        _ => Err(Refusal::GrantType),
    }
}

/// To what tokens for this request are bound: the key that it proved, or else the certificate by which its client showed who it is (RFC 8705 §3).
fn bound(client: &Client, key: Option<String>, peer: Option<&Peer>) -> Option<Binding> {
    let certificate = || {
        let peer = peer.filter(|_| client.certificate.is_some())?;
        Some(Binding::Certificate(peer.certificate.thumbprint().to_owned()))
    };
    key.map(Binding::Key).or_else(certificate)
}

/// The thumbprint of the key that a request proves, if it proves one (RFC 9449 §5).
///
/// # Errors
/// [`Refusal::Proof`] and [`Refusal::Nonce`].
pub fn proved(oauth: &Oauth, headers: &HeaderMap, path: &str) -> Result<Option<String>, Refusal> {
    let wrong = |refusal: ProofRefusal| Refusal::Proof(refusal.to_string());
    let mut proofs = headers.get_all(PROOF).iter();
    let proof = match (proofs.next(), proofs.next()) {
        (None, _) => return Ok(None),
        (Some(proof), None) => proof.to_str().map_err(|_| wrong(ProofRefusal::Malformed))?,
        (Some(_), Some(_)) => return Err(wrong(ProofRefusal::Malformed)),
    };
    let now_s = oauth.now().0 / 1000;
    let url = oauth.config().at(path);
    let demanded = Demanded { method: "POST", url: &url, access_token: None, now_s, age_s_max: AGE_S_MAX };
    let proof = dpop::verify(proof, &demanded).map_err(wrong)?;
    if !proof.nonce.as_ref().is_some_and(|nonce| oauth.nonces().holds(nonce, now_s)) {
        return Err(Refusal::Nonce);
    }
    oauth.proofs().take(&proof.key_thumbprint, &proof.id, now_s).map_err(|not| match not {
        NotTaken::Used => Refusal::Proof("this proof was used before; make one for each request".to_owned()),
        NotTaken::Full => Refusal::Busy,
    })?;
    Ok(Some(proof.key_thumbprint))
}

/// A request for a token, of a client that is who it says.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) oauth: &'a Oauth,
    pub(super) client: &'a Client,
    /// What it showed that it holds, to which tokens are bound.
    pub(super) binding: Option<&'a Binding>,
    /// The other side of its connection.
    pub(super) peer: Option<&'a Peer>,
    pub(super) form: &'a Form,
}

/// What goes with an access token.
#[derive(Default)]
pub(super) struct Granting {
    /// The refresh token.
    pub(super) refresh: Option<String>,
    /// How long the access token is good for at most, in milliseconds; as configured when nothing is said.
    pub(super) life_ms_max: Option<u64>,
    /// The id of the token that it came out of.
    pub(super) parent: Option<String>,
}

impl Asking<'_> {
    /// RFC 6749 §4.1.3 with RFC 7636 §4.6 and RFC 9449 §10.
    async fn code(&self) -> Result<Value, Refusal> {
        let Self { oauth, client, binding, form, .. } = *self;
        let wrong = |sentence: &str| Refusal::Grant(sentence.to_owned());
        let code = form.demand("code")?;
        let verifier = form.demand("code_verifier")?;
        let redeemed = oauth.waiting().redeem(code, oauth.now());
        let consented = match redeemed {
            Redeemed::Fresh(consented) => consented,
            Redeemed::Again(consented) => {
                // One of the two who present it stole it.
                self.end(consented.task.as_str()).await?;
                return Err(wrong("the code was used before; what came out of it is ended"));
            }
            Redeemed::Unknown => return Err(wrong("the code is not known, or over")),
        };
        let asked = &consented.asked;
        let held = if asked.client.id != client.id {
            Err(wrong("the code is of another client"))
        } else if form.get("redirect_uri").is_some_and(|uri| uri != asked.redirect) {
            Err(wrong("the code was sent to another redirect URI"))
        } else if let Err(refusal) = is_verifier(verifier, &asked.challenge) {
            Err(refusal)
        } else if asked.key.as_deref().is_some_and(|key| !matches!(binding, Some(Binding::Key(proved)) if proved == key)) {
            Err(wrong("the code is bound to another key"))
        } else {
            Ok(())
        };
        if let Err(refusal) = held {
            // Whoever has the code and not the rest may not leave a task behind.
            self.end(consented.task.as_str()).await?;
            return Err(refusal);
        }
        let (task, now) = tasks::running(oauth.engine(), consented.task.as_str()).ok_or_else(|| wrong("the task has ended"))?;
        if let Err(refusal) = self.is_bound_enough(&task) {
            self.end(task.id.as_str()).await?;
            return Err(refusal);
        }
        let actors = vec![asked.client.agent.clone()];
        let refresh = self.begin(&task, &actors).await?;
        self.granted(&task, &actors, now, Granting { refresh: Some(refresh), ..Granting::default() }).await
    }

    /// RFC 6749 §6 with rotation (RFC 9700 §4.14.2), bound to the key as well (RFC 9449 §5).
    async fn refresh(&self) -> Result<Value, Refusal> {
        let Self { oauth, client, binding, form, .. } = *self;
        let wrong = |sentence: &str| Refusal::Grant(sentence.to_owned());
        let presented = hash(form.demand("refresh_token")?);
        let next = secret()?;
        let now = oauth.now();
        // Looked at before the token is used up: who asks for too much may ask again, and what waits for a person goes on when somebody has looked.
        let family = oauth.store().family_of(presented, now).await?.filter(|family| self.is_theirs(family));
        if let Some(family) = family
            && let Some(task) = tasks::unended(oauth.engine(), &family.task)
        {
            self.has_scope(&task)?;
            let caller = self.caller(&task, &actors_of(&family)?);
            tasks::may_go_on(oauth.engine(), &caller)?;
            tasks::may_renew(oauth.engine(), &caller, &task)?;
        }
        match oauth.store().rotate(presented, hash(&next), &client.id, binding.map(Binding::thumbprint), now).await? {
            Rotated::Fresh(family) => {
                let Some(task) = tasks::unended(oauth.engine(), &family.task) else {
                    oauth.store().revoke(&family.id).await?;
                    return Err(wrong("the task has ended; ask its person for another"));
                };
                let actors = actors_of(&family)?;
                let task = tasks::renewed(oauth.engine(), &self.caller(&task, &actors), task, self.life_ms()).await?;
                if refreshable_until(&task) > family.ends {
                    oauth.store().prolong(&family.id, refreshable_until(&task)).await?;
                }
                self.granted(&task, &actors, oauth.now(), Granting { refresh: Some(next), ..Granting::default() }).await
            }
            Rotated::Reused(family) => {
                self.end(&family.task).await?;
                Err(wrong("the refresh token was used before; what came out of it is ended"))
            }
            Rotated::Unknown => Err(wrong("the refresh token is not known, over, or bound to another key")),
        }
    }

    /// RFC 6749 §4.4: a task that the owner of the agent asked for once and for all.
    async fn credentials(&self) -> Result<Value, Refusal> {
        let Self { oauth, client, .. } = *self;
        let may_not = |sentence: &str| Refusal::Unauthorized(sentence.to_owned());
        let standing = client.standing.as_ref().ok_or_else(|| may_not("this client has no task without a person"))?;
        if client.method == Method::None {
            return Err(may_not("a client without a key gets nothing without a person"));
        }
        let owner = tasks::owner_of(oauth.engine(), &client.agent);
        let owner = owner.ok_or_else(|| may_not("nobody who is here answers for the agent"))?;
        let task = self.standing(&client.id, &owner, &standing.task).await?;
        self.has_scope(&task)?;
        // RFC 6749 §4.4.3: no refresh token; it asks again.
        self.granted(&task, std::slice::from_ref(&client.agent), oauth.now(), Granting::default()).await
    }

    /// RFC 7523 §2.1: a task of a person for whom an identity provider speaks to this client. Nobody is asked: the organisation has agreed with
    /// its provider on who may do what for whom, and no effect goes beyond what the provider said.
    async fn identity(&self) -> Result<Value, Refusal> {
        let Self { oauth, client, form, .. } = *self;
        let wrong = |sentence: &str| Refusal::Grant(sentence.to_owned());
        if client.method == Method::None {
            return Err(Refusal::Unauthorized("a client without a key gets nothing without a person".to_owned()));
        }
        let signed = form.demand("assertion")?;
        let refused = |refusal: AssertionRefusal| Refusal::Grant(refusal.to_string());
        let issuer = assertion::claimed_issuer(signed).map_err(refused)?;
        let provider = oauth.config().providers.iter().find(|provider| provider.issuer == issuer);
        let provider = provider.ok_or_else(|| wrong("no such identity provider is believed here"))?;
        let now_s = oauth.now().0 / 1000;
        let expected = Expected { client: &client.id, audiences: &[&oauth.config().issuer], now_s };
        let identity = assertion::verify_identity(&provider.keys, signed, &issuer, &expected).map_err(refused)?;
        if identity.resource.as_deref().is_some_and(|resource| !is_resource(oauth.config(), resource)) {
            return Err(Refusal::Target);
        }
        let most = identity.scope.as_deref().map(super::details::effects).transpose()?;
        let mut details = TaskDetails::read(form.get("authorization_details"), form.get("scope"))?;
        let effects = details.effects.take().or_else(|| most.clone()).unwrap_or_else(|| oauth.config().scopes.clone());
        if most.is_some_and(|most| !effects.is_subset(&most)) {
            return Err(Refusal::Scope("the identity provider allowed fewer effects".to_owned()));
        }
        details.effects = Some(effects);
        // Said by the program and by nobody whose words they could be.
        if details.words.is_some() {
            return Err(Refusal::Details("expected no 'words': no person has said any".to_owned()));
        }
        oauth.take_assertion(&issuer, &identity.id).map_err(|refusal| match refusal {
            Refusal::Client(sentence) => Refusal::Grant(sentence),
            other => other,
        })?;
        let person = tasks::person(oauth.engine(), provider.person, &identity);
        let person = person.ok_or_else(|| wrong("the identity provider speaks of nobody who is here"))?;
        let task = self.standing(&format!("{}\n{person}", client.id), &person, &details).await?;
        self.granted(&task, std::slice::from_ref(&client.agent), oauth.now(), Granting::default()).await
    }

    /// The task under this name, as long as it runs and is what it shall be; then another.
    async fn standing(&self, name: &str, requester: &PrincipalId, details: &TaskDetails) -> Result<Task, Refusal> {
        let Self { oauth, client, .. } = *self;
        let effects = details.effects.as_ref();
        self.fits(effects)?;
        let known = oauth.store().standing(name).await?;
        let runs = known.and_then(|task| tasks::unended(oauth.engine(), &task));
        // What is wanted now counts, not what was when the task began. One that waits for a person at its checkpoint is not left behind for another.
        let runs = runs.filter(|task| is_of(task, details, requester) && oauth.now() < task.agreed_until());
        if let Some(task) = runs {
            let caller = self.caller(&task, std::slice::from_ref(&client.agent));
            return tasks::renewed(oauth.engine(), &caller, task, self.life_ms()).await;
        }
        let task = tasks::start(oauth.engine(), requester, &client.agent, details.clone(), oauth.config()).await?;
        oauth.store().set_standing(name, task.id.as_str()).await?;
        Ok(task)
    }

    /// A narrower scope may be asked for; a wider one is nobody's to give here.
    fn has_scope(&self, task: &Task) -> Result<(), Refusal> {
        let Some(asked) = self.form.get("scope") else { return Ok(()) };
        let asked = super::details::effects(asked)?;
        match &task.effects {
            Some(effects) if !asked.is_subset(effects) => Err(Refusal::Scope("the task names fewer effects".to_owned())),
            Some(_) | None => Ok(()),
        }
    }

    fn is_bound_enough(&self, task: &Task) -> Result<(), Refusal> {
        self.fits(task.effects.as_ref())
    }

    /// Tokens that anybody could use who sees them are for what does little harm.
    fn fits(&self, effects: Option<&BTreeSet<Effect>>) -> Result<(), Refusal> {
        let config = self.oauth.config();
        // A JWT-SVID can be used again by whoever sees it, so that what comes out of it may not be of that kind too.
        let is_harmless =
            self.client.method != Method::Spiffe && effects.is_some_and(|effects| effects.is_subset(&config.bearer_effects));
        if self.binding.is_some() || is_harmless && config.issues_bearer() {
            return Ok(());
        }
        Err(Refusal::Proof("expected a DPoP proof: a token for this task is bound to a key".to_owned()))
    }

    /// Who the client would be with a token of this task.
    fn caller(&self, task: &Task, actors: &[PrincipalId]) -> Caller {
        Caller {
            chain: std::iter::once(&task.requester).chain(actors).cloned().collect(),
            task: Some(task.id.clone()),
            key: self.binding.map(|binding| binding.thumbprint().into()),
            client: Some(self.client.id.as_str()).filter(|id| *id != self.client.agent.as_str()).map(Into::into),
        }
    }

    /// How long an access token is good for, in milliseconds.
    fn life_ms(&self) -> u64 {
        let config = self.oauth.config();
        if self.binding.is_some() { config.token_ms } else { config.bearer_token_ms }
    }

    /// Whether a family of refresh tokens is this client's, with its key.
    fn is_theirs(&self, family: &Family) -> bool {
        family.client == self.client.id
            && family.key.as_ref().is_none_or(|key| Some(key.as_str()) == self.binding.map(Binding::thumbprint))
    }

    /// Begins a family of refresh tokens, which ends when nobody can renew the task any more.
    pub(super) async fn begin(&self, task: &Task, actors: &[PrincipalId]) -> Result<String, Refusal> {
        let refresh = secret()?;
        // Whoever shows a certificate shows one at each refresh, and it may be a newer one (RFC 8705 §7.1).
        let is_shown_each_time = self.client.certificate.is_some() && matches!(self.binding, Some(Binding::Certificate(_)));
        let family = Family {
            id: secret()?,
            client: self.client.id.clone(),
            actors: actors.iter().map(ToString::to_string).collect(),
            task: task.id.to_string(),
            key: self.binding.filter(|_| !is_shown_each_time).map(|binding| binding.thumbprint().to_owned()),
            ends: refreshable_until(task),
        };
        self.oauth.store().begin(family, hash(&refresh)).await?;
        Ok(refresh)
    }

    /// What the client gets (RFC 6749 §5.1, RFC 9449 §5, RFC 9396 §7).
    pub(super) async fn granted(
        &self,
        task: &Task,
        actors: &[PrincipalId],
        now: Moment,
        granting: Granting,
    ) -> Result<Value, Refusal> {
        let caller = self.caller(task, actors);
        tasks::may_go_on(self.oauth.engine(), &caller)?;
        let life_ms = granting.life_ms_max.map_or(self.life_ms(), |most_ms| most_ms.min(self.life_ms()));
        let asked = TaskToken { task, actors, client: Some(&self.client.id), binding: self.binding, life_ms };
        let issued = self.oauth.issuer().token_of(&asked, now).map_err(|error| {
            tracing::error!(%error, "a token could not be issued");
            Refusal::Server
        })?;
        let expires = Moment(issued.expires_s.saturating_mul(1000));
        let record = judge::event::Issued { id: issued.id, caller, expires, parent: granting.parent };
        tasks::issued(self.oauth.engine(), record).await?;
        let mut answer = json!({
            "access_token": issued.token,
            "token_type": Binding::token_type(self.binding),
            "expires_in": issued.expires_s.saturating_sub(now.0 / 1000),
            "authorization_details": [TaskDetails::of(task)],
        });
        if let Some(effects) = &task.effects {
            answer["scope"] = scope(effects).into();
        }
        if let Some(refresh) = granting.refresh {
            answer["refresh_token"] = refresh.into();
        }
        Ok(answer)
    }

    /// Ends a task and everything that came out of it.
    async fn end(&self, task: &str) -> Result<(), Refusal> {
        self.oauth.store().revoke_task(task).await?;
        tasks::end(self.oauth.engine(), task).await
    }
}

/// When refresh tokens of a task end: a person has that long to renew it, for as long as it is remembered.
fn refreshable_until(task: &Task) -> Moment {
    task.agreed_until().after_ms(TASK_RETENTION_MS)
}

fn actors_of(family: &Family) -> Result<Vec<PrincipalId>, Refusal> {
    family.actors.iter().map(|actor| PrincipalId::parse(actor).map_err(|_| Refusal::Server)).collect()
}

/// Whether a running task is still what the configuration says.
fn is_of(task: &Task, details: &TaskDetails, owner: &PrincipalId) -> bool {
    task.requester == *owner
        && details.purpose.as_ref().is_none_or(|purpose| *purpose == task.purpose)
        && task.effects == details.effects
        && task.resources == details.resources
        && task.tools == details.tools
        && task.budget == details.budget
        && match details.address.as_slice() {
            [] => task.address.iter().all(|name| name == owner.as_str()),
            address => task.address == address,
        }
}
