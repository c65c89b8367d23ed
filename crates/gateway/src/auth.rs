//! Who sends a request: the task token of an agent, or the client token of an enforcement point, verified once and remembered by its hash
//! until it ends. What a task may do is not known here.
//!
//! A token that is bound to a key (`cnf.jkt`) is taken only with a proof of that key (`Authorization: DPoP`, RFC 9449 §7), and each proof
//! once; as a bearer token it is worth nothing, to whoever stole it too. One that is bound to a certificate (`cnf.x5t#S256`, RFC 8705 §3) is taken
//! only on a connection with that certificate. Who is not let in is told where tokens are to be had ([`Door`]).

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, StatusCode};
use judge::moment::Moment;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use wire::certificate::Peer;
use wire::dpop::{self, AGE_S_MAX, Demanded, Nonces, NotTaken, Proof, ProofRefusal, Replays};
use wire::token::{AUTHZEN_AUDIENCE, Binding, Expected, TOKEN_BYTES_MAX, TokenRefusal, VerifyingKeys, verify, verify_client};

use crate::answer::Answer;
use crate::door::{Challenge, Door};
use crate::exchange::Caller;

/// Verified tokens that are remembered; when there are more, all are verified again.
const REMEMBERED_MAX: usize = 4096;
/// How long a nonce is given out, in seconds; it is good for twice as long.
const NONCE_SPAN_S: u64 = 60;
/// Proofs that are remembered in the time in which one could be used again: at 5,000 calls a second with room.
const PROOFS_MAX: usize = 1 << 20;
/// The proof's header (RFC 9449 §4.1).
const PROOF: HeaderName = HeaderName::from_static("dpop");

/// Which task tokens are believed.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    /// The issuer's public keys.
    pub keys: VerifyingKeys,
    /// The one issuer that is believed.
    pub issuer: String,
    /// The name under which tokens mean this gateway.
    pub audience: String,
    /// How far the issuer's clock may be off, in seconds.
    pub leeway_s: u64,
}

/// Why a request has no caller. Nothing of the token is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCaller {
    /// No token came.
    Missing,
    /// Something came that is not one bearer token.
    Malformed,
    /// The token is not believed.
    Refused(TokenRefusal),
    /// The token is bound to a key, and came without a proof of it.
    Bound,
    /// The token is bound to a certificate, and did not come as a bearer token on a connection with that certificate.
    Certificate,
    /// The token came with a proof, and is bound to no key.
    Unbound,
    /// A bearer token, and only bound ones are taken here.
    Bearer,
    /// The proof is not believed.
    Proof(ProofRefusal),
    /// The proof is of another key than the token's.
    OtherKey,
    /// The proof is for another body.
    OtherBody,
    /// The proof was used before.
    Replayed,
    /// More proofs came than can be remembered.
    Busy,
    /// The proof holds no nonce of ours that still counts.
    Nonce,
}

/// Who sends a request, and what stays to be compared and answered.
pub struct Believed {
    /// Who.
    pub caller: Caller,
    /// How the key was proved, where the token is bound to one.
    pub proof: Option<Proof>,
}

/// A request as far as it takes part in who sends it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its method.
    pub method: &'a str,
    /// Its address as clients know it.
    pub url: &'a str,
    /// Who is at the other side of its connection, where that showed a certificate.
    pub peer: Option<&'a Peer>,
}

/// Verifies tokens and proofs, and remembers them.
pub struct Tokens {
    believed: TokenKeys,
    remembered: Remembered<Caller>,
    nonces: Option<Nonces>,
    replays: Mutex<Replays>,
    is_bearer_taken: bool,
}

/// What tokens say that were verified, each until its token ends.
struct Remembered<T>(Mutex<HashMap<[u8; 32], (T, u64)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    /// What a token says: as it was verified before, or as `verified` says now, with the first second in which it no longer holds.
    fn or(&self, token: &str, now_s: u64, verified: impl FnOnce() -> Result<(T, u64), NoCaller>) -> Result<T, NoCaller> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(NoCaller::Refused(TokenRefusal::TooBig { bytes: token.len() }));
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut remembered = self.0.lock();
        if let Some((said, until_s)) = remembered.get(&hash) {
            if now_s < *until_s {
                return Ok(said.clone());
            }
            remembered.remove(&hash);
        }
        drop(remembered);
        let (said, until_s) = verified()?;
        let mut remembered = self.0.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, (said.clone(), until_s));
        Ok(said)
    }
}

/// Whether an enforcement point with this name may ask, now.
pub type LetIn = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The enforcement points that may ask, by their client tokens.
pub struct Clients {
    believed: TokenKeys,
    let_in: LetIn,
    remembered: Remembered<String>,
}

impl Clients {
    /// Lets those in, each with a token of its own.
    pub fn new(believed: TokenKeys, let_in: LetIn) -> Self {
        Self { believed, let_in, remembered: Remembered::default() }
    }

    /// The enforcement point that a request's `Authorization` names (RFC 6750, section 2.1).
    pub fn client_of(&self, headers: &HeaderMap, now: Moment) -> Result<String, NoCaller> {
        let (token, now_s) = (bearer(headers)?, now.0 / 1000);
        let client = self.remembered.or(token, now_s, || {
            let TokenKeys { keys, issuer, leeway_s, .. } = &self.believed;
            let expected = Expected { issuer, audience: AUTHZEN_AUDIENCE, now_s, leeway_s: *leeway_s };
            let claims = verify_client(keys, token, &expected).map_err(NoCaller::Refused)?;
            Ok((claims.client, claims.expires_s.saturating_add(*leeway_s)))
        })?;
        // However long its token is good for.
        if (self.let_in)(&client) { Ok(client) } else { Err(NoCaller::Missing) }
    }
}

/// The one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, NoCaller> {
    match credential(headers)? {
        (Scheme::Bearer, token) => Ok(token),
        (Scheme::Dpop, _) => Err(NoCaller::Missing),
    }
}

/// How a token is presented.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

/// The one token of a request, in the header alone: in an address it would be in logs (RFC 9700 §4.3.2).
fn credential(headers: &HeaderMap) -> Result<(Scheme, &str), NoCaller> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| NoCaller::Malformed)?,
        (None, _) => return Err(NoCaller::Missing),
        (Some(_), Some(_)) => return Err(NoCaller::Malformed),
    };
    let (scheme, token) = value.split_once(' ').ok_or(NoCaller::Malformed)?;
    let scheme = match scheme {
        scheme if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        scheme if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err(NoCaller::Missing),
    };
    Ok((scheme, token.trim_matches(' ')))
}

/// The one proof of a request (RFC 9449 §4.3, number 1).
fn proof(headers: &HeaderMap) -> Result<&str, NoCaller> {
    let mut values = headers.get_all(PROOF).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| NoCaller::Proof(ProofRefusal::Malformed)),
        (None, _) => Err(NoCaller::Bound),
        (Some(_), Some(_)) => Err(NoCaller::Proof(ProofRefusal::Malformed)),
    }
}

impl Tokens {
    /// Nothing is remembered yet. A `door` says whether nonces are demanded, and whether tokens without a key are taken.
    pub fn new(believed: TokenKeys, door: Option<&Door>) -> Self {
        let nonces = door.filter(|door| door.nonces).map(|_| Nonces::new(&random(), NONCE_SPAN_S));
        // A proof is worth nothing when its nonce is over, or when it is too old; and it may come from a clock that is ahead.
        let span_s = nonces.as_ref().map_or(2 * AGE_S_MAX, Nonces::life_s);
        let replays = Mutex::new(Replays::new(span_s, PROOFS_MAX));
        Self {
            believed,
            remembered: Remembered::default(),
            nonces,
            replays,
            is_bearer_taken: door.is_none_or(|door| door.bearer),
        }
    }

    /// The caller that a request's `Authorization` names, with the proof that goes with it.
    pub fn believe(&self, presented: &Presented, now: Moment) -> Result<Believed, NoCaller> {
        let (scheme, token) = credential(presented.headers)?;
        let caller = self.verified(token, now)?;
        match (scheme, &caller.claims.binding) {
            (Scheme::Bearer, None) if self.is_bearer_taken => Ok(Believed { caller, proof: None }),
            (Scheme::Bearer, None) => Err(NoCaller::Bearer),
            // RFC 8705 §3: the certificate of this very connection, and no other's word for it.
            (Scheme::Bearer, Some(Binding::Certificate(thumbprint))) => {
                let is_shown = presented.peer.is_some_and(|peer| peer.is(thumbprint, now.0 / 1000));
                if is_shown { Ok(Believed { caller, proof: None }) } else { Err(NoCaller::Certificate) }
            }
            (Scheme::Dpop, Some(Binding::Certificate(_))) => Err(NoCaller::Certificate),
            // RFC 9449 §7.2: who has the token alone has nothing.
            (Scheme::Bearer, Some(Binding::Key(_))) => Err(NoCaller::Bound),
            (Scheme::Dpop, None) => Err(NoCaller::Unbound),
            (Scheme::Dpop, Some(Binding::Key(key))) => {
                let proof = self.proved(presented, token, key, now)?;
                Ok(Believed { proof: Some(proof), caller })
            }
        }
    }

    /// The caller that a token names, which is all there is of it: a bearer token.
    pub fn caller(&self, token: &str, now: Moment) -> Result<Caller, NoCaller> {
        let caller = self.verified(token, now)?;
        if caller.claims.binding.is_some() { Err(NoCaller::Bound) } else { Ok(caller) }
    }

    /// The nonce that a client shall use next, unless it has it.
    pub fn next_nonce(&self, had: Option<&Proof>, now: Moment) -> Option<String> {
        let next = self.nonces.as_ref()?.at(now.0 / 1000);
        had.is_none_or(|proof| proof.nonce.as_ref() != Some(&next)).then_some(next)
    }

    fn verified(&self, token: &str, now: Moment) -> Result<Caller, NoCaller> {
        let now_s = now.0 / 1000;
        self.remembered.or(token, now_s, || {
            let TokenKeys { keys, issuer, audience, leeway_s } = &self.believed;
            let expected = Expected { issuer, audience, now_s, leeway_s: *leeway_s };
            let claims = verify(keys, token, &expected).map_err(NoCaller::Refused)?;
            let until_s = claims.expires_s.saturating_add(*leeway_s);
            Ok((Caller::of(claims).ok_or(NoCaller::Malformed)?, until_s))
        })
    }

    /// The proof that goes with a token which is bound to `key` (RFC 9449 §4.3 and §7.1).
    fn proved(&self, presented: &Presented, token: &str, key: &str, now: Moment) -> Result<Proof, NoCaller> {
        let Presented { headers, method, url, .. } = *presented;
        let now_s = now.0 / 1000;
        let demanded = Demanded { method, url, access_token: Some(token), now_s, age_s_max: AGE_S_MAX };
        let proof = dpop::verify(proof(headers)?, &demanded).map_err(NoCaller::Proof)?;
        if proof.key_thumbprint != key {
            return Err(NoCaller::OtherKey);
        }
        if let Some(nonces) = &self.nonces
            && !proof.nonce.as_ref().is_some_and(|nonce| nonces.holds(nonce, now_s))
        {
            return Err(NoCaller::Nonce);
        }
        // Last, so that nobody fills the memory who could not have got in.
        self.replays.lock().take(key, &proof.id, now_s).map_err(|not| match not {
            NotTaken::Used => NoCaller::Replayed,
            NotTaken::Full => NoCaller::Busy,
        })?;
        Ok(proof)
    }
}

/// A key of this process: nonces need not outlive it.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Without random bytes there are no connections and no tokens either.
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

impl NoCaller {
    /// A stable code for records.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Malformed => "token_malformed",
            Self::Refused(refusal) => refusal.code(),
            Self::Bound => "token_bound",
            Self::Certificate => "token_certificate",
            Self::Unbound => "token_unbound",
            Self::Bearer => "token_bearer",
            Self::Proof(refusal) => refusal.code(),
            Self::OtherKey => "proof_other_key",
            Self::OtherBody => "proof_body",
            Self::Replayed => "proof_replayed",
            Self::Busy => "proof_busy",
            Self::Nonce => "proof_nonce",
        }
    }

    /// Whether it says that somebody tried something: a client without a token, or without the newest nonce, only begins.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        !matches!(self, Self::Nonce)
    }

    /// The error of the challenge (RFC 6750 §3.1, RFC 9449 §7.1 and §9); none for who sent nothing.
    fn error(&self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::Malformed | Self::Refused(_) | Self::Bound | Self::Certificate | Self::Unbound | Self::Bearer => {
                Some("invalid_token")
            }
            Self::Proof(_) | Self::OtherKey | Self::OtherBody | Self::Replayed | Self::Busy => Some("invalid_dpop_proof"),
            Self::Nonce => Some("use_dpop_nonce"),
        }
    }

    /// The answer to the client: why, in words that help nobody to forge, and where tokens are to be had.
    #[must_use]
    pub fn answer(&self, door: Option<&Door>) -> Answer {
        let mut answer = Answer::error(StatusCode::UNAUTHORIZED, None, -32001, &self.to_string());
        let sentence = self.to_string();
        let description = self.error().map(|_| sentence.as_str());
        Challenge { error: self.error(), description, scope: None }.write(door, &mut answer.headers);
        answer
    }
}

impl fmt::Display for NoCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("expected `Authorization: DPoP` or `Authorization: Bearer` with a task token"),
            Self::Malformed => f.write_str("expected one token in the header `authorization`"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Bound => f.write_str("expected `Authorization: DPoP` with a proof of the key to which this token is bound"),
            Self::Certificate => f.write_str(
                "expected `Authorization: Bearer` on a TLS connection with the certificate to which this token is bound",
            ),
            Self::Unbound => f.write_str("expected a token that is bound to a key, found a bearer token"),
            Self::Bearer => f.write_str("expected a token that is bound to a key: bearer tokens are not taken here"),
            Self::Proof(refusal) => refusal.fmt(f),
            Self::OtherKey => f.write_str("expected a proof of the key to which this token is bound, found another key"),
            Self::OtherBody => f.write_str("expected a proof for this body, found another `content_digest`"),
            Self::Replayed => f.write_str("this proof was used before; make one for each request"),
            Self::Busy => f.write_str("more proofs came than can be told apart; send the request again in a moment"),
            Self::Nonce => f.write_str("expected the nonce of the header `dpop-nonce` in the proof"),
        }
    }
}
