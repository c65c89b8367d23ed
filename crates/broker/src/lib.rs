//! Keeps what upstreams want to see (API keys, tokens of programs, tokens of people), and shows it to them alone: agents never hold it.
//!
//! The only way out is [`Presented`], a header that prints nothing; it is made for one upstream and one person, when something is about to
//! be sent there. Who may send what, and what a frame is, is not known here.

mod keyring;
mod link;
mod scheme;
mod secret;
mod store;
mod token;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use judge::moment::Moment;
use parking_lot::Mutex;
use zeroize::Zeroizing;

pub use keyring::{KeySource, Keyring, KeyringError, generate, rotate};
pub use link::{LinkError, Linked, Linking};
pub use scheme::{Per, Scheme, SecretIn, TokenClient};
pub use secret::{NotASecret, SECRET_BYTES_MAX, Secret};
pub use store::{Kind, Place, Standing, Store, StoreError};
pub use token::NoTokens;

use store::Stored;
use token::Tokens;

/// A token is renewed so long before its end, in milliseconds, and at most a quarter of its life.
const LEEWAY_MS: u64 = 30_000;
/// An upstream that refuses what is this new does not get another one, in milliseconds: it would refuse that too, and so on.
const RENEWED_AGAIN_MS: u64 = 60_000;
/// Who renews has so long, in milliseconds, until another process may try: longer than the authorization server may take.
const CLAIM_MS: u64 = 30_000;
/// How often it is looked whether another process has renewed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 400;
/// Credentials that are held open at a time; when there are more, all are opened again.
const HELD_MAX: usize = 10_000;

/// What time it is, from whoever may know.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// The broker. It is shared by [`Arc`].
pub struct Broker {
    schemes: BTreeMap<String, Scheme>,
    store: Arc<Store>,
    source: KeySource,
    keys: Mutex<Arc<Keyring>>,
    http: reqwest::Client,
    clock: Clock,
    held: Mutex<HashMap<Place, Held>>,
    /// One renewal at a time for each.
    flights: Mutex<HashMap<Place, Arc<tokio::sync::Mutex<()>>>>,
}

/// A credential that is open, and what it was made from.
#[derive(Clone)]
struct Held {
    /// The store was at this when it was looked at last.
    version: i64,
    from: Stored,
    presented: Presented,
    renewal: Option<Secret>,
    set: Moment,
    expires: Option<Moment>,
}

/// One upstream's credentials: what a gateway gets to see of a broker.
#[derive(Clone, Debug)]
pub struct Account {
    broker: Arc<Broker>,
    upstream: Arc<str>,
}

/// A header to be shown to one upstream. Its value prints nothing.
#[derive(Clone)]
pub struct Presented {
    name: HeaderName,
    value: HeaderValue,
    person: Option<Arc<str>>,
}

/// Why there is no credential, for the agent and the person to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// The person has none.
    #[error("`{person}` has no account linked with the upstream `{upstream}`")]
    NotLinked {
        /// Whose.
        person: String,
        /// Where.
        upstream: String,
        /// The command that links it.
        remedy: String,
    },
    /// Nobody gave the upstream's own.
    #[error("the upstream `{upstream}` has no {what}")]
    NotSet {
        /// Where.
        upstream: String,
        /// What is missing.
        what: &'static str,
        /// The command that sets it.
        remedy: String,
    },
    /// It was good once.
    #[error("the account of `{person}` with the upstream `{upstream}` can be used no more ({why})")]
    Ended {
        /// Whose.
        person: String,
        /// Where.
        upstream: String,
        /// The authorization server's code.
        why: String,
        /// The command that links it again.
        remedy: String,
    },
    /// It has to be renewed, and cannot be now.
    #[error("the credential for the upstream `{upstream}` cannot be renewed: {why}")]
    NotRenewed {
        /// Where.
        upstream: String,
        /// Why.
        why: String,
    },
    /// It was sealed under another key, or for another place.
    #[error("the credential for the upstream `{upstream}` cannot be opened with the key that is here")]
    Sealed {
        /// Where.
        upstream: String,
    },
    /// The store cannot be read.
    #[error("the store of the upstreams' credentials cannot be used")]
    Store,
}

impl Lack {
    /// What helps.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match self {
            Self::NotLinked { remedy, .. } | Self::NotSet { remedy, .. } | Self::Ended { remedy, .. } => remedy,
            Self::NotRenewed { .. } => "send the call again in a moment",
            Self::Sealed { .. } | Self::Store => "the operator looks after it",
        }
    }
}

impl From<StoreError> for Lack {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "credentials cannot be had");
        Self::Store
    }
}

/// What a refusal by the upstream led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// There is another one now.
    Yes,
    /// There is none that would be any better.
    No,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("schemes", &self.schemes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Presented {
    fn new(name: HeaderName, prefix: &str, secret: &Secret, person: Option<&str>) -> Option<Self> {
        let text = Zeroizing::new(format!("{prefix}{}", secret.expose()));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(Self { name, value, person: person.map(Arc::from) })
    }

    /// Puts it on a request, in place of anything of the same name.
    pub fn put(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }

    /// The person whose it is; `None` where it is everybody's.
    #[must_use]
    pub fn person(&self) -> Option<&Arc<str>> {
        self.person.as_ref()
    }

    /// Whether its secret stands in a text, as a server writes it that shows what it was sent.
    #[must_use]
    pub fn stands_in(&self, text: &[u8]) -> bool {
        let value = self.value.as_bytes();
        let secret = value.rsplit(|byte| *byte == b' ').next().unwrap_or(value);
        /// What is shorter stands in texts by chance.
        const SECRET_BYTES_MIN: usize = 8;
        secret.len() >= SECRET_BYTES_MIN && memchr::memmem::find(text, secret).is_some()
    }
}

impl Account {
    /// What the upstream wants to see when something is done for `person`; renewed first, where it is about to end.
    ///
    /// Dropping the future does not break a renewal off.
    ///
    /// # Errors
    /// [`Lack`].
    pub async fn credential(&self, person: &str) -> Result<Presented, Lack> {
        self.broker.credential(&self.upstream, person).await
    }

    /// The upstream did not take `presented`: renews it, unless that was done already, or was just done.
    pub async fn refused(&self, person: &str, presented: &Presented) -> Renewed {
        self.broker.refused(&self.upstream, person, presented).await
    }

    /// What helps when the upstream takes no credential of `person`.
    #[must_use]
    pub fn remedy(&self, person: &str) -> String {
        self.broker.remedy(&self.upstream, person)
    }
}

impl Broker {
    /// A broker for these upstreams.
    ///
    /// # Errors
    /// [`KeyringError`], or what the system says when no connection can be made at all.
    pub fn new(schemes: BTreeMap<String, Scheme>, store: Store, source: KeySource, clock: Clock) -> Result<Self, OpenError> {
        let keys = Mutex::new(Arc::new(source.read()?));
        let http = token::http_client().map_err(|error| OpenError::Tls(error.to_string()))?;
        Ok(Self { schemes, store: Arc::new(store), source, keys, http, clock, held: Mutex::default(), flights: Mutex::default() })
    }

    /// An upstream's part of it, if the upstream wants to see anything.
    #[must_use]
    pub fn account(self: &Arc<Self>, upstream: &str) -> Option<Account> {
        self.schemes.contains_key(upstream).then(|| Account { broker: Arc::clone(self), upstream: upstream.into() })
    }

    /// How an upstream is served.
    #[must_use]
    pub fn scheme(&self, upstream: &str) -> Option<&Scheme> {
        self.schemes.get(upstream)
    }

    /// Keeps a secret that somebody typed: a key, or what shows an authorization server who Prudence is.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn set(&self, place: Place, secret: &Secret) -> Result<(), OpenError> {
        let sealed = self.keys()?.seal(&place.about(), secret.expose().as_bytes())?;
        let standing = Standing { set: (self.clock)(), expires: None, renewable: false, ended: None };
        Ok(self.put(place, Stored { sealed, standing }).await?)
    }

    /// Forgets everything of a person at an upstream; of nobody: what is everybody's. True when there was something.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget(&self, upstream: &str, person: Option<&str>) -> Result<bool, StoreError> {
        let (upstream, person) = (upstream.to_owned(), person.map(str::to_owned));
        self.write(move |store| {
            let mut any = false;
            for kind in [Kind::Key, Kind::ClientSecret, Kind::Tokens] {
                any |= store.remove(&Place { upstream: upstream.clone(), person: person.clone(), kind })?;
            }
            Ok(any)
        })
        .await
    }

    /// What is there, without any secret.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&self) -> Result<Vec<(Place, Standing)>, StoreError> {
        Ok(self.store.all()?.into_iter().map(|(place, stored)| (place, stored.standing)).collect())
    }

    /// Seals everything anew under the key that seals now. Returns how many, and how many could not be opened.
    ///
    /// # Errors
    /// [`OpenError`]; what was sealed anew until then stays so, and everything can still be opened.
    pub async fn reseal(&self) -> Result<(usize, usize), OpenError> {
        let keys = Arc::new(self.source.read()?);
        *self.keys.lock() = Arc::clone(&keys);
        let (mut done, mut lost) = (0, 0);
        for (place, stored) in self.store.all()? {
            if stored.sealed.key == keys.id() {
                continue;
            }
            let Some(text) = keys.open(&place.about(), &stored.sealed) else {
                lost += 1;
                continue;
            };
            let anew = Stored { sealed: keys.seal(&place.about(), &text)?, standing: stored.standing.clone() };
            // Somebody who renewed it in between has sealed it anew too.
            done += usize::from(self.write(move |store| store.replace(&place, &stored.sealed, &anew)).await?);
        }
        Ok((done, lost))
    }

    async fn credential(self: &Arc<Self>, upstream: &str, person: &str) -> Result<Presented, Lack> {
        let Some(scheme) = self.schemes.get(upstream) else { return Err(Lack::Store) };
        let place = place_of(scheme, upstream, person);
        let version = self.store.version()?;
        if let Some(presented) = self.fresh(&place, version) {
            return Ok(presented);
        }
        let flight = Arc::clone(self.flights.lock().entry(place.clone()).or_default());
        let guard = Arc::clone(&flight).lock_owned().await;
        let (broker, upstream, person) = (Arc::clone(self), upstream.to_owned(), person.to_owned());
        // On its own: who waits may go away, and a refresh token that was used and not replaced is lost.
        let renewing = tokio::spawn(async move {
            let got = broker.open(&place, &upstream, &person).await;
            drop(guard);
            broker.land(&place, flight);
            got
        });
        renewing.await.unwrap_or(Err(Lack::Store))
    }

    async fn refused(self: &Arc<Self>, upstream: &str, person: &str, presented: &Presented) -> Renewed {
        let Some(scheme) = self.schemes.get(upstream) else { return Renewed::No };
        if scheme.client().is_none() {
            return Renewed::No;
        }
        let place = place_of(scheme, upstream, person);
        let now = (self.clock)();
        {
            let mut held = self.held.lock();
            match held.get_mut(&place) {
                Some(other) if other.presented.value != presented.value => return Renewed::Yes,
                Some(same) if now.0.saturating_sub(same.set.0) < RENEWED_AGAIN_MS => return Renewed::No,
                // Whatever it says of its end: it is over.
                Some(same) if same.renewal.is_some() || matches!(scheme, Scheme::ClientCredentials(_)) => {
                    same.expires = Some(now);
                }
                Some(_) => return Renewed::No,
                None => {}
            }
        }
        match self.credential(upstream, person).await {
            Ok(other) if other.value != presented.value => Renewed::Yes,
            Ok(_) | Err(_) => Renewed::No,
        }
    }

    /// A credential that is open, unchanged in the store, and good for a while.
    fn fresh(&self, place: &Place, version: i64) -> Option<Presented> {
        let held = self.held.lock();
        let held = held.get(place)?;
        (held.version == version && held.is_good((self.clock)(), true)).then(|| held.presented.clone())
    }

    /// Opens what is in the store, and gets or renews tokens where that is due. One at a time for each place.
    async fn open(&self, place: &Place, upstream: &str, person: &str) -> Result<Presented, Lack> {
        let scheme = &self.schemes[upstream];
        let version = self.store.version()?;
        if let Some(presented) = self.fresh(place, version) {
            return Ok(presented);
        }
        let stored = self.store.get(place)?.ok_or_else(|| self.lack_of(scheme, upstream, person))?;
        if let Some(why) = &stored.standing.ended {
            return Err(self.ended(upstream, person, why));
        }
        // Written by somebody, and not here: what was made from it is still good.
        if let Some(held) = self.held.lock().get_mut(place).filter(|held| held.from == stored) {
            held.version = version;
            if held.is_good((self.clock)(), true) {
                return Ok(held.presented.clone());
            }
        }
        match scheme {
            Scheme::ApiKey { header, prefix, .. } => {
                let secret = self.unsealed(place, &stored)?;
                let presented = Presented::new(header.clone(), prefix, &secret, place.person.as_deref());
                let presented = presented.ok_or_else(|| Lack::Sealed { upstream: upstream.to_owned() })?;
                let set = stored.standing.set;
                Ok(self.hold(place, Held { version, from: stored, presented, renewal: None, set, expires: None }))
            }
            Scheme::ClientCredentials(client) => {
                let secret = self.unsealed(place, &stored)?;
                let scope = client.scopes.join(" ");
                let mut form = vec![("grant_type", "client_credentials")];
                if !scope.is_empty() {
                    form.push(("scope", &scope));
                }
                let tokens = token::ask(&self.http, client, Some(&secret), &form).await;
                let tokens = tokens.map_err(|why| Lack::NotRenewed { upstream: upstream.to_owned(), why: why.to_string() })?;
                let held = self.held_of(place, version, stored, &tokens.access, None, tokens.life_s)?;
                Ok(self.hold(place, held))
            }
            Scheme::AuthorizationCode { client, .. } => self.open_tokens(place, client, version, stored).await,
        }
    }

    /// Opens a person's tokens, and renews them where that is due.
    async fn open_tokens(&self, place: &Place, client: &TokenClient, version: i64, stored: Stored) -> Result<Presented, Lack> {
        let (upstream, person) = (place.upstream.as_str(), place.person.as_deref().unwrap_or_default());
        let kept = self.held.lock().get(place).filter(|held| held.from == stored).cloned();
        let held = match kept {
            // It was held to be over before its time.
            Some(held) => held,
            None => self.held_tokens(place, version, stored.clone())?,
        };
        let now = (self.clock)();
        if held.is_good(now, true) {
            return Ok(self.hold(place, held));
        }
        let Some(renewal) = held.renewal.clone() else {
            return match held.is_good(now, false) {
                true => Ok(self.hold(place, held)),
                false => Err(self.ended(upstream, person, "expired")),
            };
        };
        match self.renew(place, client, &stored, &renewal).await {
            Ok(presented) => Ok(presented),
            // It is not over yet.
            Err(Lack::NotRenewed { .. }) if held.is_good((self.clock)(), false) => Ok(held.presented),
            Err(lack) => Err(lack),
        }
    }

    /// Renews a person's tokens (RFC 6749 §6), unless another process does.
    async fn renew(&self, place: &Place, client: &TokenClient, stored: &Stored, renewal: &Secret) -> Result<Presented, Lack> {
        let (upstream, person) = (place.upstream.as_str(), place.person.as_deref().unwrap_or_default());
        let not_renewed = |why: String| Lack::NotRenewed { upstream: upstream.to_owned(), why };
        let now = (self.clock)();
        let (at, old) = (place.clone(), stored.sealed.clone());
        if !self.write(move |store| store.claim(&at, &old, now, now.after_ms(CLAIM_MS))).await? {
            return self.renewed_elsewhere(place, stored).await;
        }
        let secret = self.client_secret(upstream)?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", renewal.expose())];
        match token::ask(&self.http, client, secret.as_ref(), &form).await {
            Ok(tokens) => {
                // Who gets no other one goes on with the old one (RFC 6749 §6).
                let refresh = tokens.refresh.or_else(|| Some(renewal.clone()));
                let new = self.sealed_tokens(place, &Tokens { refresh, ..tokens })?;
                let (at, old, put) = (place.clone(), stored.sealed.clone(), new.clone());
                if !self.write(move |store| store.replace(&at, &old, &put)).await? {
                    // Unlinked or linked anew meanwhile: that counts, and not what was under way.
                    return Err(not_renewed("it was changed meanwhile".to_owned()));
                }
                let version = self.store.version()?;
                let held = self.held_tokens(place, version, new)?;
                Ok(self.hold(place, held))
            }
            Err(NoTokens::Refused(why)) => {
                // Only this says something about the person's agreement (RFC 6749 §5.2); the rest is the operator's.
                if why != "invalid_grant" {
                    self.give_back(place).await?;
                    return Err(not_renewed(NoTokens::Refused(why).to_string()));
                }
                let mut ended = stored.clone();
                ended.standing.ended = Some(why.clone());
                let (at, old) = (place.clone(), stored.sealed.clone());
                self.write(move |store| store.replace(&at, &old, &ended)).await?;
                Err(self.ended(upstream, person, &why))
            }
            Err(why @ (NoTokens::Unreachable(_) | NoTokens::Unusable(_))) => {
                self.give_back(place).await?;
                Err(not_renewed(why.to_string()))
            }
        }
    }

    /// Waits, for a bounded time, until another process has renewed.
    async fn renewed_elsewhere(&self, place: &Place, old: &Stored) -> Result<Presented, Lack> {
        let upstream = &place.upstream;
        for _ in 0..LOOKS_MAX {
            let version = self.store.version()?;
            let Some(stored) = self.store.get(place)? else { break };
            if let Some(why) = &stored.standing.ended {
                return Err(self.ended(upstream, place.person.as_deref().unwrap_or_default(), why));
            }
            if stored.sealed != old.sealed {
                let held = self.held_tokens(place, version, stored)?;
                return Ok(self.hold(place, held));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Lack::NotRenewed { upstream: upstream.clone(), why: "another process is at it".to_owned() })
    }

    async fn give_back(&self, place: &Place) -> Result<(), StoreError> {
        let place = place.clone();
        self.write(move |store| store.release(&place)).await
    }

    /// The secret by which an authorization server knows Prudence, if there is one.
    pub(crate) fn client_secret(&self, upstream: &str) -> Result<Option<Secret>, Lack> {
        let place = Place { upstream: upstream.to_owned(), person: None, kind: Kind::ClientSecret };
        self.store.get(&place)?.map(|stored| self.unsealed(&place, &stored)).transpose()
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Tokens, sealed for their place.
    pub(crate) fn sealed_tokens(&self, place: &Place, tokens: &Tokens) -> Result<Stored, Lack> {
        let sealed = |_| Lack::Sealed { upstream: place.upstream.clone() };
        let kept = token::Kept { access: tokens.access.expose(), refresh: tokens.refresh.as_ref().map(Secret::expose) };
        // With room for it all from the start: growing would leave parts of it behind.
        let mut text = Zeroizing::new(Vec::with_capacity(4 * SECRET_BYTES_MAX));
        serde_json::to_writer(&mut *text, &kept).map_err(|_| Lack::Store)?;
        let keys = self.keys().map_err(sealed)?;
        let set = (self.clock)();
        let expires = tokens.life_s.map(|life_s| set.after_ms(life_s.saturating_mul(1000)));
        let standing = Standing { set, expires, renewable: tokens.refresh.is_some(), ended: None };
        Ok(Stored { sealed: keys.seal(&place.about(), &text).map_err(sealed)?, standing })
    }

    /// Stores something, durably, off the runtime's threads.
    pub(crate) async fn put(&self, place: Place, stored: Stored) -> Result<(), StoreError> {
        self.write(move |store| store.put(&place, &stored)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || what(&store)).await;
        done.unwrap_or_else(|_| Err(StoreError::File("it ended while it was written to".to_owned())))
    }

    /// Tokens of the store, open.
    fn held_tokens(&self, place: &Place, version: i64, stored: Stored) -> Result<Held, Lack> {
        let wrong = || Lack::Sealed { upstream: place.upstream.clone() };
        let text = self.opened(place, &stored)?;
        let kept: token::Kept<'_> = serde_json::from_slice(&text).map_err(|_| wrong())?;
        let access = Secret::parse(kept.access.to_owned()).map_err(|_| wrong())?;
        let renewal = kept.refresh.map(|refresh| Secret::parse(refresh.to_owned())).transpose().map_err(|_| wrong())?;
        let (set, expires) = (stored.standing.set, stored.standing.expires);
        let presented = Presented::new(header::AUTHORIZATION, BEARER, &access, place.person.as_deref()).ok_or_else(wrong)?;
        Ok(Held { version, from: stored, presented, renewal, set, expires })
    }

    /// A token that is not kept, only held.
    fn held_of(
        &self,
        place: &Place,
        version: i64,
        from: Stored,
        access: &Secret,
        renewal: Option<Secret>,
        life_s: Option<u64>,
    ) -> Result<Held, Lack> {
        let presented = Presented::new(header::AUTHORIZATION, BEARER, access, place.person.as_deref());
        let presented = presented.ok_or_else(|| Lack::Sealed { upstream: place.upstream.clone() })?;
        let set = (self.clock)();
        let expires = life_s.map(|life_s| set.after_ms(life_s.saturating_mul(1000)));
        Ok(Held { version, from, presented, renewal, set, expires })
    }

    fn hold(&self, place: &Place, held: Held) -> Presented {
        let presented = held.presented.clone();
        let mut all = self.held.lock();
        if all.len() >= HELD_MAX {
            all.clear();
        }
        all.insert(place.clone(), held);
        presented
    }

    /// A flight that nobody waits for any more is forgotten.
    fn land(&self, place: &Place, flight: Arc<tokio::sync::Mutex<()>>) {
        let mut flights = self.flights.lock();
        // This one and the map's: nobody else can get at it while the map is locked.
        if Arc::strong_count(&flight) <= 2 {
            flights.remove(place);
        }
    }

    fn unsealed(&self, place: &Place, stored: &Stored) -> Result<Secret, Lack> {
        let text = self.opened(place, stored)?;
        let text = String::from_utf8(text.to_vec()).ok().and_then(|text| Secret::parse(text).ok());
        text.ok_or_else(|| Lack::Sealed { upstream: place.upstream.clone() })
    }

    fn opened(&self, place: &Place, stored: &Stored) -> Result<Zeroizing<Vec<u8>>, Lack> {
        let sealed = || Lack::Sealed { upstream: place.upstream.clone() };
        let mut keys = Arc::clone(&self.keys.lock());
        if !keys.has(&stored.sealed.key) {
            // The key was exchanged while this runs.
            keys = self.keys().map_err(|error| {
                tracing::error!(%error, "credentials cannot be opened");
                sealed()
            })?;
        }
        keys.open(&place.about(), &stored.sealed).ok_or_else(sealed)
    }

    /// The keys as they are now: sealing under one that was exchanged would lose what is sealed.
    fn keys(&self) -> Result<Arc<Keyring>, KeyringError> {
        let keys = Arc::new(self.source.read()?);
        *self.keys.lock() = Arc::clone(&keys);
        Ok(keys)
    }

    fn lack_of(&self, scheme: &Scheme, upstream: &str, person: &str) -> Lack {
        let (upstream, remedy) = (upstream.to_owned(), self.remedy(upstream, person));
        match (scheme, scheme.per()) {
            (_, Per::Person) => Lack::NotLinked { person: person.to_owned(), upstream, remedy },
            (Scheme::ApiKey { .. }, Per::Upstream) => Lack::NotSet { upstream, what: "key", remedy },
            (_, Per::Upstream) => Lack::NotSet { upstream, what: "client secret", remedy },
        }
    }

    fn ended(&self, upstream: &str, person: &str, why: &str) -> Lack {
        let remedy = self.remedy(upstream, person);
        Lack::Ended { person: person.to_owned(), upstream: upstream.to_owned(), why: why.to_owned(), remedy }
    }

    fn remedy(&self, upstream: &str, person: &str) -> String {
        match self.schemes.get(upstream) {
            Some(Scheme::AuthorizationCode { .. }) => {
                format!("`{person}` links it once: `prudence upstream link {upstream} --person {person}`")
            }
            Some(Scheme::ApiKey { per: Per::Person, .. }) => {
                format!("the operator sets the key: `prudence upstream set-key {upstream} --person {person}`")
            }
            Some(Scheme::ApiKey { per: Per::Upstream, .. } | Scheme::ClientCredentials(_)) | None => {
                format!("the operator sets it: `prudence upstream set-key {upstream}`")
            }
        }
    }
}

const BEARER: &str = "Bearer ";

impl Held {
    /// Whether it can be shown; `with_leeway`: for a while yet.
    fn is_good(&self, now: Moment, with_leeway: bool) -> bool {
        let Some(expires) = self.expires else { return true };
        let life_ms = expires.0.saturating_sub(self.set.0);
        let leeway_ms = if with_leeway { LEEWAY_MS.min(life_ms / 4) } else { 0 };
        now.0 < expires.0.saturating_sub(leeway_ms)
    }
}

/// Where the secret lies from which the credential for this person is made.
fn place_of(scheme: &Scheme, upstream: &str, person: &str) -> Place {
    let kind = match scheme {
        Scheme::ApiKey { .. } => Kind::Key,
        Scheme::ClientCredentials(_) => Kind::ClientSecret,
        Scheme::AuthorizationCode { .. } => Kind::Tokens,
    };
    let person = match scheme.per() {
        Per::Upstream => None,
        Per::Person => Some(person.to_owned()),
    };
    Place { upstream: upstream.to_owned(), person, kind }
}

/// Why a broker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No connection can be made.
    #[error("no tls: {0}")]
    Tls(String),
}
