//! Links a person's account with an upstream: the address at which the person agrees, and what comes back (RFC 6749 §4.1 with RFC 7636,
//! RFC 8252 §7.3, RFC 8707 and RFC 9207). How the person gets there, and how the answer gets here, is not known here.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use judge::moment::Moment;
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::keyring::KeyringError;
use crate::scheme::{Scheme, TokenClient};
use crate::store::{Kind, Place, StoreError};
use crate::token::{self, NoTokens, is_code};
use crate::{Broker, Lack};

const RANDOM_BYTES: usize = 32;
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// A link under way. It ends with its process: whoever comes back later begins again.
pub struct Linking {
    upstream: String,
    person: String,
    redirect: String,
    state: Zeroizing<String>,
    verifier: Zeroizing<String>,
}

/// Why an account is not linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The upstream takes no accounts of people by OAuth.
    #[error("upstream `{0}` has no credential of kind `oauth`, so there is nothing to link")]
    NotLinkable(String),
    /// The address in the configuration is none.
    #[error("the authorization endpoint of upstream `{0}` is no address")]
    Endpoint(String),
    /// What came back answers another question.
    #[error("what came back is no answer to this: {0}")]
    Answer(&'static str),
    /// The person, or the authorization server, said no.
    #[error("it was not agreed to: `{0}`")]
    Denied(String),
    /// The code was not exchanged.
    #[error(transparent)]
    NoTokens(#[from] NoTokens),
    /// What the exchange needs is not there.
    #[error(transparent)]
    Lack(#[from] Lack),
    /// The tokens could not be sealed.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The tokens could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Until when the access token is good, where that was said.
    pub expires: Option<Moment>,
    /// Whether it is renewed without the person.
    pub renewable: bool,
}

impl std::fmt::Debug for Linking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linking").field("upstream", &self.upstream).field("person", &self.person).finish_non_exhaustive()
    }
}

impl Broker {
    /// Begins a link: the address at which `person` agrees. The answer comes to `redirect`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn begin_link(&self, upstream: &str, person: &str, redirect: &str) -> Result<(Linking, String), LinkError> {
        let (client, endpoint, _) = self.linkable(upstream)?;
        let linking = Linking {
            upstream: upstream.to_owned(),
            person: person.to_owned(),
            redirect: redirect.to_owned(),
            state: random()?,
            verifier: random()?,
        };
        let mut url = Url::parse(endpoint).map_err(|_| LinkError::Endpoint(upstream.to_owned()))?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(linking.verifier.as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("state", &linking.state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if !client.scopes.is_empty() {
            url.query_pairs_mut().append_pair("scope", &client.scopes.join(" "));
        }
        if let Some(resource) = &client.resource {
            url.query_pairs_mut().append_pair("resource", resource);
        }
        Ok((linking, url.into()))
    }

    /// Ends a link with the query of the address to which the person came back.
    ///
    /// # Errors
    /// [`LinkError`]; what was linked before stays as it was.
    pub async fn finish_link(&self, linking: Linking, query: &str) -> Result<Linked, LinkError> {
        let (client, _, issuer) = self.linkable(&linking.upstream)?;
        let code = code_of(query, &linking.state, issuer)?;
        let secret = self.client_secret(&linking.upstream)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &linking.redirect),
            ("code_verifier", &linking.verifier),
        ];
        let tokens = token::ask(self.http(), client, secret.as_ref(), &form).await?;
        let place = Place { upstream: linking.upstream, person: Some(linking.person), kind: Kind::Tokens };
        let stored = self.sealed_tokens(&place, &tokens)?;
        self.put(place, stored.clone()).await?;
        Ok(Linked { expires: stored.standing.expires, renewable: stored.standing.renewable })
    }

    fn linkable(&self, upstream: &str) -> Result<(&TokenClient, &str, Option<&str>), LinkError> {
        match self.scheme(upstream) {
            Some(Scheme::AuthorizationCode { client, authorization_endpoint, issuer }) => {
                Ok((client, authorization_endpoint, issuer.as_deref()))
            }
            Some(Scheme::ApiKey { .. } | Scheme::ClientCredentials(_)) | None => Err(LinkError::NotLinkable(upstream.to_owned())),
        }
    }
}

/// The code in an answer, if it answers this question (RFC 6749 §4.1.2, RFC 9207 §2.4).
fn code_of(query: &str, state: &str, issuer: Option<&str>) -> Result<Zeroizing<String>, LinkError> {
    if query.len() > ANSWER_BYTES_MAX {
        return Err(LinkError::Answer("it is too long"));
    }
    let mut answer = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // RFC 6749 §3.1: no parameter comes twice.
        if answer.insert(name, Zeroizing::new(value.into_owned())).is_some() {
            return Err(LinkError::Answer("something stands in it twice"));
        }
    }
    let is_ours = answer
        .get("state")
        .is_some_and(|found| aws_lc_rs::constant_time::verify_slices_are_equal(found.as_bytes(), state.as_bytes()).is_ok());
    if !is_ours {
        return Err(LinkError::Answer("its `state` is not the one that was sent along"));
    }
    if let Some(expected) = issuer
        && answer.get("iss").is_none_or(|found| found.as_str() != expected)
    {
        return Err(LinkError::Answer("another authorization server gave it"));
    }
    if let Some(error) = answer.get("error") {
        return Err(LinkError::Denied(if is_code(error) { error.to_string() } else { "unknown".to_owned() }));
    }
    answer.remove("code").filter(|code| !code.is_empty()).ok_or(LinkError::Answer("it has no `code`"))
}

/// 256 random bits, base64url: what RFC 7636 §4.1 asks of a verifier, and more than a state needs.
fn random() -> Result<Zeroizing<String>, KeyringError> {
    let mut bytes = Zeroizing::new([0_u8; RANDOM_BYTES]);
    aws_lc_rs::rand::fill(&mut bytes[..]).map_err(|_| KeyringError::Random)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes[..])))
}
