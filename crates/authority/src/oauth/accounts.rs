//! People sign in: local accounts with passwords, and the sessions of their browsers. What they may do is not known here; an account only
//! says that somebody is a person of the directory. OpenID Connect, SAML and passkeys will stand beside it, and end in a session as well.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Engine;
use judge::moment::Moment;
use judge::name::PrincipalId;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::store::{Store, StoreError, hash};
use crate::keys::{KeysError, random};

/// The shortest password (NIST SP 800-63B-4 §3.1.1.2, where it is the only thing that is asked).
pub const PASSWORD_CHARS_MIN: usize = 15;
/// The longest: each character costs the one who checks it.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// How long a person stays signed in, in milliseconds.
pub const SESSION_MS: u64 = 8 * 60 * 60 * 1000;

/// Argon2id as OWASP and RFC 9106 §4 (second choice, less memory) have it: 19 MiB, two passes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Passwords that are checked at a time: each takes memory and a core.
const CHECKS_MAX: usize = 2;
/// Who waits for a check, at most.
const WAITING_MAX: usize = 32;
/// After so many wrong passwords of one account there is a pause, doubled with each further one.
const WRONG_MAX: u32 = 5;
const PAUSE_MS: u64 = 30 * 1000;
const PAUSE_DOUBLED_MAX: u32 = 7;
/// Wrong passwords are forgotten after this time.
const FORGOTTEN_MS: u64 = 60 * 60 * 1000;
/// Names of which wrong passwords are remembered.
const NAMES_MAX: usize = 10_000;

/// Signs people in.
pub struct Accounts {
    store: Store,
    engine: Engine,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
    wrong: Mutex<BTreeMap<String, Wrong>>,
    /// What an unknown name's password is compared with, so that it takes as long as a known one's.
    nobody: String,
}

#[derive(Clone, Copy)]
struct Wrong {
    times: u32,
    last: Moment,
}

/// Why nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Name or password; not which.
    #[error("the name or the password is not right")]
    Wrong,
    /// Too many wrong passwords.
    #[error("there were too many wrong passwords; try again in a while")]
    Pause,
    /// Too many sign in at a time.
    #[error("too many sign in right now; try again in a moment")]
    Busy,
    /// Accounts cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl From<KeysError> for SignInError {
    fn from(_: KeysError) -> Self {
        SignInError::Random
    }
}

/// Why a password is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("expected a password of at least {PASSWORD_CHARS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes")]
    Length,
    /// It cannot be hashed.
    #[error("the password cannot be hashed")]
    Hash,
}

/// The hash of a password, as a PHC string with a salt of its own.
///
/// # Errors
/// [`PasswordError`].
pub fn password_hash(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::Length);
    }
    hasher().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| PasswordError::Hash)
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("these parameters are within the algorithm's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl Accounts {
    /// Accounts of the store, for people of the engine's directory.
    ///
    /// # Errors
    /// [`SignInError::Random`] when the system gives no random bytes.
    pub fn new(store: Store, engine: Engine) -> Result<Self, SignInError> {
        let stranger = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let nobody = password_hash(&stranger).map_err(|_| SignInError::Random)?;
        Ok(Self {
            store,
            engine,
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
            wrong: Mutex::default(),
            nobody,
        })
    }

    /// Signs a person in, and returns the secret of the session.
    ///
    /// # Errors
    /// [`SignInError`]. Whether a name is known is told by neither the answer nor the time that it takes.
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<(PrincipalId, String), SignInError> {
        let now = self.engine.now();
        let person = PrincipalId::parse(name).map_err(|_| SignInError::Wrong)?;
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(SignInError::Wrong);
        }
        // Counted before it is checked: who sends many at once is not checked many times.
        self.count(person.as_str(), now)?;
        let account = self.store.account(person.as_str()).await?;
        let is_known = account.is_some();
        let kept = account.map_or_else(|| self.nobody.clone(), |account| account.password);
        let is_right = self.is_right(kept, password.to_owned()).await?;
        let is_here = self.engine.view(|state, _| state.directory().person(person.as_str()).is_some());
        if !(is_known && is_right && is_here) {
            return Err(SignInError::Wrong);
        }
        self.wrong.lock().remove(person.as_str());
        let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
        self.store.add_session(hash(&secret), person.as_str(), now.after_ms(SESSION_MS)).await?;
        // A quiet moment to clear away what is over.
        self.store.clear(now).await?;
        Ok((person, secret))
    }

    /// Who is signed in with this secret, if they are still here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn signed_in(&self, secret: &str) -> Result<Option<PrincipalId>, StoreError> {
        let person = self.store.session(hash(secret), self.engine.now()).await?;
        let person = person.and_then(|person| PrincipalId::parse(&person).ok());
        Ok(person.filter(|person| self.engine.view(|state, _| state.directory().person(person.as_str()).is_some())))
    }

    /// Signs out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_out(&self, secret: &str) -> Result<(), StoreError> {
        self.store.end_session(hash(secret)).await
    }

    async fn is_right(&self, kept: String, password: String) -> Result<bool, SignInError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| SignInError::Busy)?;
        let place = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| SignInError::Busy)?;
        // It takes tens of milliseconds, in which nothing else would be answered.
        let checked = tokio::task::spawn_blocking(move || {
            let _place = place;
            let kept = PasswordHash::new(&kept);
            kept.is_ok_and(|kept| hasher().verify_password(password.as_bytes(), &kept).is_ok())
        });
        checked.await.map_err(|_| SignInError::Busy)
    }

    /// Counts an attempt as wrong until it turns out to be right.
    fn count(&self, name: &str, now: Moment) -> Result<(), SignInError> {
        let mut wrong = self.wrong.lock();
        if wrong.len() >= NAMES_MAX && !wrong.contains_key(name) {
            wrong.retain(|_, wrong| now < wrong.last.after_ms(FORGOTTEN_MS));
            if wrong.len() >= NAMES_MAX {
                return Err(SignInError::Busy);
            }
        }
        let wrong = wrong.entry(name.to_owned()).or_insert(Wrong { times: 0, last: now });
        if now >= wrong.last.after_ms(FORGOTTEN_MS) {
            wrong.times = 0;
        }
        if let Some(beyond) = wrong.times.checked_sub(WRONG_MAX) {
            let pause_ms = PAUSE_MS << beyond.min(PAUSE_DOUBLED_MAX);
            if now < wrong.last.after_ms(pause_ms) {
                return Err(SignInError::Pause);
            }
        }
        *wrong = Wrong { times: wrong.times.saturating_add(1), last: now };
        Ok(())
    }
}
