//! What an installation says about its authorization server. Plain values; how they are written down is not known here.

use std::collections::BTreeSet;

use judge::effect::Effect;
use judge::name::PrincipalId;
use url::Url;
use wire::jwk::PublicKey;

use super::client::{Client, Method, is_loopback};
use super::details::TaskDetails;

/// Everything that the authorization server needs to know before it answers.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name and address, as in `https://auth.example.com`, without a path.
    pub issuer: String,
    /// The gateway's address: the one resource that tokens are for.
    pub resource: String,
    /// How long an access token is good for, in milliseconds; never longer than its task.
    pub token_ms: u64,
    /// The same for one that is bound to no key.
    pub bearer_token_ms: u64,
    /// The longest lease that a person can consent to here, in milliseconds.
    pub lease_ms_max: u64,
    /// How often a task has to earn its lease again, in milliseconds: by rule when its token is refreshed, else by a person.
    pub checkpoint_ms: u64,
    /// Effects that a client gets which asks for none in particular.
    pub scopes: BTreeSet<Effect>,
    /// Effects of tasks whose tokens are bound to no key; none where such tokens are not issued.
    pub bearer_effects: BTreeSet<Effect>,
    /// Clients that are known beforehand.
    pub clients: Vec<Client>,
    /// Identity providers whose word for who a person is counts here.
    pub providers: Vec<Provider>,
    /// The agent for which clients stand that nobody knew before. `None`: there are none such.
    pub guest_agent: Option<PrincipalId>,
    /// Which certificates clients can show on their connections.
    pub certificates: Certificates,
    /// Whether clients may register themselves (RFC 7591).
    pub registration: bool,
    /// Whether the address of a document with a client's metadata may be its id.
    pub client_documents: bool,
}

impl Config {
    /// An address of this server.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Whether pages go over the wire in clear, which they may on this machine alone.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.issuer.starts_with("http://")
    }

    /// Whether tokens without a key are issued at all.
    #[must_use]
    pub fn issues_bearer(&self) -> bool {
        !self.bearer_effects.is_empty()
    }
}

/// Which certificates clients can show on their connections to this server and to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificates {
    /// None: nobody asks for them.
    None,
    /// Those that are registered themselves.
    Registered,
    /// Those of authorities too.
    OfAuthorities,
}

impl Certificates {
    /// The methods by which clients can show who they are with them.
    #[must_use]
    pub fn methods(self) -> &'static [Method] {
        match self {
            Certificates::None => &[],
            Certificates::Registered => &[Method::SelfSignedTls],
            Certificates::OfAuthorities => &[Method::Tls, Method::SelfSignedTls, Method::SpiffeTls],
        }
    }
}

/// An identity provider: it says to a client for whom it may ask here, and its organisation has agreed to that beforehand (ID-JAG).
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name (`iss`).
    pub issuer: String,
    /// Its public keys.
    pub keys: Vec<PublicKey>,
    /// How it names people.
    pub person: PersonBy,
}

/// How an identity provider names people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonBy {
    /// By their mail address (`email`).
    Email,
    /// By their id in the directory (`sub`).
    Subject,
}

/// A task that a client works on without a person asking each time: its owner asked once, in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub task: TaskDetails,
}

/// Whether an address can be the one of a server: https, or http on this machine; nothing but host, port and a path that ends so, and
/// spelt as everybody spells it.
#[must_use]
pub fn is_address(text: &str, path_end: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let spelt = url.as_str();
    let is_whole = if path_end.is_empty() { spelt.strip_suffix('/') == Some(text) && url.path() == "/" } else { spelt == text };
    is_safe && is_plain && is_whole && text.ends_with(path_end)
}
