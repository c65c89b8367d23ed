//! Clients: which programs may ask for tokens, for which agent, and where answers may go.
//!
//! A client is known from the configuration, registered itself (RFC 7591), or is the address of a document that describes it. Only the
//! first kind stands for an agent of its own; the others all stand for the guest agent, and people see that nobody knew them before.

#[cfg(test)]
mod tests;

use judge::name::PrincipalId;
use serde_json::{Value, json};
use url::{Host, Url};
use wire::certificate::{Certificate, Known};
use wire::jwk::PublicKey;

use super::config::Standing;
use super::error::Refusal;
use super::form::is_plain;

const REDIRECTS_MAX: usize = 16;
const REDIRECT_BYTES_MAX: usize = 2048;
const NAME_CHARS_MAX: usize = 80;
const CERTIFICATE_NAME_BYTES_MAX: usize = 1024;

/// How a client shows that it is the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all: anybody may say its name (`none`). PKCE and the person's consent are what there is.
    None,
    /// By an assertion signed with its key (`private_key_jwt`).
    PrivateKey,
    /// As a workload with this SPIFFE id, by a JWT-SVID of its trust domain (`spiffe_jwt`).
    Spiffe,
    /// By a certificate of an authority, with a name that was registered (`tls_client_auth`, RFC 8705 §2.1).
    Tls,
    /// By a certificate that was registered itself (`self_signed_tls_client_auth`, RFC 8705 §2.2).
    SelfSignedTls,
    /// As a workload with this SPIFFE id, by an X.509-SVID (`spiffe_x509`).
    SpiffeTls,
}

impl Method {
    /// Its name in metadata.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Method::None => "none",
            Method::PrivateKey => "private_key_jwt",
            Method::Spiffe => "spiffe_jwt",
            Method::Tls => "tls_client_auth",
            Method::SelfSignedTls => "self_signed_tls_client_auth",
            Method::SpiffeTls => "spiffe_x509",
        }
    }

    /// The one for a client that is known by such a certificate.
    #[must_use]
    pub fn by(certificate: &Known) -> Self {
        match certificate {
            Known::Subject(_) | Known::Dns(_) | Known::Uri(_) => Method::Tls,
            Known::Thumbprints(_) => Method::SelfSignedTls,
            Known::Workload(_) => Method::SpiffeTls,
        }
    }
}

/// How a client came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The configuration names it.
    Configured,
    /// It registered itself: its name is its own word.
    Registered,
    /// A document at its address describes it: its host is known, the rest is its own word.
    Document,
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// The agent for which it stands.
    pub agent: PrincipalId,
    /// What people read.
    pub name: String,
    /// Where answers may go.
    pub redirects: Vec<String>,
    /// Its keys, where it has some; of a workload those of its trust domain.
    pub keys: Vec<PublicKey>,
    /// The SPIFFE id of the workload that it is.
    pub workload: Option<String>,
    /// The certificate by which it is known, where it is by one.
    pub certificate: Option<Known>,
    /// How it shows that it is the one.
    pub method: Method,
    /// How it came to be known.
    pub origin: Origin,
    /// A task that it works on without a person asking each time.
    pub standing: Option<Standing>,
    /// Whether it may ask about tokens of others (RFC 7662).
    pub introspects: bool,
    /// Whether its assertions may be meant for the token endpoint instead of the issuer: what some libraries send.
    pub asserts_to_endpoint: bool,
}

impl Client {
    /// Reads the metadata of a client that nobody knew before (RFC 7591 §2). What is not supported is replaced (§3.2.1), so that the
    /// answer says what holds.
    ///
    /// # Errors
    /// [`Refusal::RedirectUri`] and [`Refusal::Metadata`].
    pub fn of_metadata(id: &str, agent: &PrincipalId, origin: Origin, metadata: &Value) -> Result<Client, Refusal> {
        let wrong = |sentence: &str| Refusal::Metadata(sentence.to_owned());
        let redirects =
            metadata.get("redirect_uris").and_then(Value::as_array).ok_or_else(|| wrong("expected 'redirect_uris'"))?;
        if redirects.is_empty() || redirects.len() > REDIRECTS_MAX {
            return Err(Refusal::RedirectUri(format!("expected 1 to {REDIRECTS_MAX} redirect URIs")));
        }
        let redirects: Vec<String> =
            redirects.iter().map(|uri| redirect(uri.as_str().unwrap_or_default())).collect::<Result<_, _>>()?;
        // What cannot be kept must not be there (draft-ietf-oauth-client-id-metadata-document §4.1).
        if metadata.get("client_secret").is_some() {
            return Err(wrong("expected no 'client_secret': clients have keys, or nothing"));
        }
        if metadata.get("jwks_uri").is_some() {
            return Err(wrong("expected 'jwks' in place of 'jwks_uri': keys are not fetched"));
        }
        let (method, certificate) = match metadata.get("token_endpoint_auth_method").and_then(Value::as_str) {
            Some("private_key_jwt") => (Method::PrivateKey, None),
            Some("tls_client_auth") => (Method::Tls, Some(named_certificate(metadata)?)),
            Some("self_signed_tls_client_auth") => (Method::SelfSignedTls, Some(own_certificates(metadata)?)),
            // Nobody keeps a secret of theirs here.
            _ => (Method::None, None),
        };
        let keys = match (method, metadata.get("jwks")) {
            (Method::PrivateKey, Some(jwks)) => PublicKey::set(jwks).map_err(|error| wrong(&error.to_string()))?,
            (Method::PrivateKey, None) => return Err(wrong("expected 'jwks' for the method 'private_key_jwt'")),
            (Method::None | Method::Spiffe | Method::Tls | Method::SelfSignedTls | Method::SpiffeTls, _) => Vec::new(),
        };
        let name = metadata.get("client_name").and_then(Value::as_str).map(shown).filter(|name| !name.is_empty());
        Ok(Client {
            id: id.to_owned(),
            agent: agent.clone(),
            name: name.unwrap_or_else(|| "a client without a name".to_owned()),
            redirects,
            keys,
            workload: None,
            certificate,
            method,
            origin,
            standing: None,
            introspects: false,
            asserts_to_endpoint: false,
        })
    }

    /// What holds of it, in the words of RFC 7591 §3.2.1.
    #[must_use]
    pub fn metadata(&self) -> Value {
        let mut metadata = json!({
            "client_id": self.id,
            "client_name": self.name,
            "redirect_uris": self.redirects,
            "token_endpoint_auth_method": self.method.word(),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        });
        match &self.certificate {
            Some(Known::Subject(subject)) => metadata[SUBJECT] = subject.as_str().into(),
            Some(Known::Dns(name)) => metadata[SAN_DNS] = name.as_str().into(),
            Some(Known::Uri(uri)) => metadata[SAN_URI] = uri.as_str().into(),
            Some(Known::Thumbprints(_) | Known::Workload(_)) | None => {}
        }
        metadata
    }

    /// The registered address to which this one belongs: the same, letter by letter (RFC 9700 §2.1), but for the port of a loopback
    /// address, which a native client cannot know beforehand (RFC 8252 §7.3).
    #[must_use]
    pub fn may_redirect_to(&self, uri: &str) -> bool {
        self.redirects.iter().any(|registered| registered == uri || is_same_loopback(registered, uri))
    }
}

/// RFC 8705 §2.1.2.
const SUBJECT: &str = "tls_client_auth_subject_dn";
const SAN_DNS: &str = "tls_client_auth_san_dns";
const SAN_URI: &str = "tls_client_auth_san_uri";

/// The one name of RFC 8705 §2.1.2 by which a client wants to be known.
fn named_certificate(metadata: &Value) -> Result<Known, Refusal> {
    let wrong = |sentence: String| Refusal::Metadata(sentence);
    for other in ["tls_client_auth_san_ip", "tls_client_auth_san_email"] {
        if metadata.get(other).is_some() {
            return Err(wrong(format!("expected no '{other}': it is not looked at here")));
        }
    }
    let mut named = [SUBJECT, SAN_DNS, SAN_URI].into_iter().filter_map(|name| metadata.get(name).map(|value| (name, value)));
    let (Some((name, value)), None) = (named.next(), named.next()) else {
        return Err(wrong(format!("expected exactly one of '{SUBJECT}', '{SAN_DNS}' and '{SAN_URI}'")));
    };
    let value = value.as_str().filter(|value| !value.is_empty() && value.len() <= CERTIFICATE_NAME_BYTES_MAX);
    let value = value.ok_or_else(|| wrong(format!("expected a text as '{name}'")))?.to_owned();
    Ok(match name {
        SAN_DNS => Known::Dns(value),
        SAN_URI => Known::Uri(value),
        _ => Known::Subject(value),
    })
}

/// The certificates of a client's own keys (RFC 8705 §2.2.2).
fn own_certificates(metadata: &Value) -> Result<Known, Refusal> {
    let keys = metadata.get("jwks").ok_or_else(|| Refusal::Metadata("expected 'jwks' with certificates in 'x5c'".to_owned()))?;
    let thumbprints = Certificate::thumbprints_of_keys(keys);
    thumbprints.map(Known::Thumbprints).map_err(|error| Refusal::Metadata(format!("'jwks' with 'x5c': {error}")))
}

/// Reads a redirect URI that somebody wants to have (OAuth 2.1 §2.3.1, RFC 8252 §7).
///
/// # Errors
/// [`Refusal::RedirectUri`].
pub fn redirect(uri: &str) -> Result<String, Refusal> {
    let wrong = |sentence: &str| Refusal::RedirectUri(sentence.to_owned());
    if uri.len() > REDIRECT_BYTES_MAX || !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(wrong("expected a redirect URI of printable characters without blanks and backslashes"));
    }
    let url = Url::parse(uri).map_err(|_| wrong("expected absolute redirect URIs"))?;
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("expected redirect URIs without a fragment and without user names"));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(wrong("expected https, or http on this machine, in a redirect URI")),
        // RFC 8252 §7.1: the reverse of a domain; it also keeps out `javascript`, `data` and their kind.
        scheme if scheme.contains('.') => {}
        _ => return Err(wrong("expected https, http on this machine, or a scheme like 'com.example.app' in a redirect URI")),
    }
    Ok(uri.to_owned())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_same_loopback(registered: &str, uri: &str) -> bool {
    let read = |text: &str| redirect(text).ok().and_then(|text| Url::parse(&text).ok());
    let (Some(mut registered), Some(uri)) = (read(registered), read(uri)) else { return false };
    if registered.scheme() != "http" || !is_loopback(&registered) || !is_loopback(&uri) {
        return false;
    }
    registered.set_port(uri.port()).is_ok() && registered == uri
}

/// A name that somebody gave themselves, as people may be shown it.
fn shown(name: &str) -> String {
    name.chars().filter(|c| is_plain(*c)).take(NAME_CHARS_MAX).collect::<String>().trim().to_owned()
}
