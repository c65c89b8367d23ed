//! Certificates of TLS peers: who the holder is, as far as it was agreed with it beforehand (RFC 8705 §2, SPIFFE X509-SVID).
//!
//! A peer here has proved that it holds the key of its certificate, and whoever spoke TLS with it says which authority stands behind it: that is
//! signatures, and none are looked at here. What TLS does not ask is asked here: a correct TLS stack lets in most of the certificates that
//! are no X.509-SVID. No clock, no network; the moment is an argument.

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use spiffe::SpiffeId;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name, X509Version};

/// The most certificates of one client.
pub const CERTIFICATES_MAX: usize = 16;
/// The longest certificate, in bytes.
pub const BYTES_MAX: usize = 16 << 10;
/// The most names in a certificate.
const NAMES_MAX: usize = 64;
/// The longest SPIFFE ID, in bytes (SPIFFE-ID §2.3).
const WORKLOAD_BYTES_MAX: usize = 2048;
/// SHA-256 in base64url.
const THUMBPRINT_CHARS: usize = 43;

/// A certificate as it was read. That it says something makes nothing of it true.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    thumbprint: String,
    /// `None` when there is none, or it cannot be said in characters.
    subject: Option<String>,
    dns: Vec<String>,
    uris: Vec<String>,
    from_s: i64,
    until_s: i64,
    is_authority: bool,
    usage: Option<Usage>,
    purposes: Option<Purposes>,
}

/// What the key may be used for (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Usage {
    is_critical: bool,
    signs: bool,
    signs_certificates: bool,
    signs_revocations: bool,
}

/// What the certificate may be used for (RFC 5280 §4.2.1.12).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Purposes {
    client: bool,
    server: bool,
}

/// Names tell of people; the thumbprint tells one certificate from another.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

/// Among the extensions of a request that came over TLS; whoever accepts connections puts it there, with the [`Peer`] where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Secure;

/// The other side of a TLS connection, which proved that it holds the key of its certificate.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its certificate.
    pub certificate: Certificate,
    /// Who stands behind it.
    pub trust: Trust,
}

/// Who stands behind a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// An authority that is trusted with every name.
    Authority,
    /// An authority of this trust domain of SPIFFE, which is trusted with the workloads of that domain and with nothing else.
    Domain(String),
    /// Nobody who is trusted.
    Nobody,
}

/// By which certificate a client is known. Names count as they stand in the certificate, and each client is known by one (RFC 8705 §2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// One of an authority, with this subject, as RFC 4514 writes it.
    Subject(String),
    /// One of an authority, with this DNS name among its alternative names.
    Dns(String),
    /// One of an authority, with this URI among its alternative names.
    Uri(String),
    /// One with one of these thumbprints, whoever issued it (RFC 8705 §2.2).
    Thumbprints(Vec<String>),
    /// An X.509-SVID of this workload.
    Workload(String),
}

impl Certificate {
    /// Reads a certificate (RFC 5280 §4.1, DER).
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(der: &[u8]) -> Result<Certificate, CertificateError> {
        if der.len() > BYTES_MAX {
            return Err(CertificateError::Malformed);
        }
        let (rest, read) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() || read.version() != X509Version::V3 {
            return Err(CertificateError::Malformed);
        }
        // An extension that is there twice, or cannot be read, is an error of each of these.
        let twice = |_| CertificateError::Malformed;
        let (mut dns, mut uris) = (Vec::new(), Vec::new());
        if let Some(names) = read.subject_alternative_name().map_err(twice)? {
            if names.value.general_names.len() > NAMES_MAX {
                return Err(CertificateError::Malformed);
            }
            for name in &names.value.general_names {
                match name {
                    GeneralName::DNSName(name) => dns.push((*name).to_owned()),
                    GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                    GeneralName::Invalid(..) => return Err(CertificateError::Malformed),
                    _ => {}
                }
            }
        }
        let usage = read.key_usage().map_err(twice)?.map(|usage| Usage {
            is_critical: usage.critical,
            signs: usage.value.digital_signature(),
            signs_certificates: usage.value.key_cert_sign(),
            signs_revocations: usage.value.crl_sign(),
        });
        let purposes = read.extended_key_usage().map_err(twice)?;
        Ok(Certificate {
            thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
            subject: distinguished(read.subject()),
            dns,
            uris,
            from_s: read.validity().not_before.timestamp(),
            until_s: read.validity().not_after.timestamp(),
            is_authority: read.basic_constraints().map_err(twice)?.is_some_and(|constraints| constraints.value.ca),
            usage,
            purposes: purposes
                .map(|purposes| Purposes { client: purposes.value.client_auth, server: purposes.value.server_auth }),
        })
    }

    /// The certificates of a file of one client: in PEM, or in the members `x5c` of a JWK set (RFC 8705 §2.2.2), whose first is the client's own
    /// (RFC 7517 §4.7). As their thumbprints.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn thumbprints(file: &[u8]) -> Result<Vec<String>, CertificateError> {
        if file.trim_ascii_start().starts_with(b"{") {
            let jwks = serde_json::from_slice(file).map_err(|_| CertificateError::Malformed)?;
            return Certificate::thumbprints_of_keys(&jwks);
        }
        let read = |pem: Result<Pem, _>| {
            let pem = pem.map_err(|_| CertificateError::Malformed)?;
            // A private key does not belong here; whoever puts one here should learn of it.
            if pem.label != "CERTIFICATE" {
                return Err(CertificateError::Kind);
            }
            Certificate::read(&pem.contents).map(|certificate| certificate.thumbprint)
        };
        counted(Pem::iter_from_buffer(file).take(CERTIFICATES_MAX + 1).map(read).collect::<Result<_, _>>()?)
    }

    /// The same of a JWK set that was read.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn thumbprints_of_keys(jwks: &Value) -> Result<Vec<String>, CertificateError> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(CertificateError::Count)?;
        let chains = keys.iter().take(CERTIFICATES_MAX + 1).filter_map(|key| key.get("x5c"));
        let read = |chain: &Value| {
            let own = chain.get(0).and_then(Value::as_str).ok_or(CertificateError::Malformed)?;
            let der = STANDARD.decode(own).map_err(|_| CertificateError::Malformed)?;
            Certificate::read(&der).map(|certificate| certificate.thumbprint)
        };
        counted(chains.map(read).collect::<Result<_, _>>()?)
    }

    /// Its SHA-256 thumbprint (`x5t#S256`, RFC 8705 §3.1).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether the moment, in seconds since 1970, is within its time.
    #[must_use]
    pub fn holds_at(&self, now_s: u64) -> bool {
        i64::try_from(now_s).is_ok_and(|now_s| self.from_s <= now_s && now_s <= self.until_s)
    }

    /// The trust domain of SPIFFE that it speaks of, rightly or not.
    #[must_use]
    pub fn claimed_domain(&self) -> Option<String> {
        let claimed = self.uris.iter().find(|uri| speaks_of_a_workload(uri))?;
        Some(SpiffeId::new(claimed).map_or_else(|_| String::new(), |id| id.trust_domain_name().to_owned()))
    }

    /// Whether it may stand between a trust domain and its workloads: one that names a workload, or another domain, may not (SPIFFE X509-SVID §3.1).
    #[must_use]
    pub fn may_issue_for(&self, domain: &str) -> bool {
        let own = format!("spiffe://{domain}");
        self.uris.iter().filter(|uri| speaks_of_a_workload(uri)).all(|uri| *uri == own)
    }

    /// The workload of which it is an X.509-SVID (SPIFFE X509-SVID §2, §4 and §5.2).
    ///
    /// # Errors
    /// [`NotKnown`].
    pub fn workload(&self) -> Result<&str, NotKnown> {
        let [id] = self.uris.as_slice() else { return Err(NotKnown::WorkloadNames) };
        if !is_workload(id) {
            return Err(NotKnown::WorkloadName);
        }
        if self.is_authority {
            return Err(NotKnown::WorkloadAuthority);
        }
        let usage = self.usage.ok_or(NotKnown::WorkloadUsage)?;
        if !usage.is_critical || !usage.signs || usage.signs_certificates || usage.signs_revocations {
            return Err(NotKnown::WorkloadUsage);
        }
        if self.purposes.is_some_and(|purposes| !(purposes.client && purposes.server)) {
            return Err(NotKnown::WorkloadPurpose);
        }
        Ok(id)
    }
}

fn speaks_of_a_workload(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("spiffe"))
}

/// Whether this is the SPIFFE ID of a workload, as it has to be written: small letters, a path, nothing else (SPIFFE-ID §2).
#[must_use]
pub fn is_workload(id: &str) -> bool {
    // The library takes a trust domain in capitals too, and makes it small: two spellings would be two names of one workload.
    let read = SpiffeId::new(id).ok().filter(|_| id.len() <= WORKLOAD_BYTES_MAX);
    read.is_some_and(|read| !read.path().is_empty() && read.to_string() == id)
}

impl Peer {
    /// Whether it shows this very certificate, and may.
    #[must_use]
    pub fn is(&self, thumbprint: &str, now_s: u64) -> bool {
        self.certificate.thumbprint == thumbprint && self.certificate.holds_at(now_s)
    }
}

impl Known {
    /// Whether a peer is the one that is known so, at this moment in seconds since 1970.
    ///
    /// # Errors
    /// [`NotKnown`].
    pub fn admits(&self, peer: &Peer, now_s: u64) -> Result<(), NotKnown> {
        let Peer { certificate, trust } = peer;
        if !certificate.holds_at(now_s) {
            return Err(NotKnown::Time);
        }
        match self {
            Known::Thumbprints(known) => held(known.contains(&certificate.thumbprint), NotKnown::Thumbprint),
            Known::Subject(_) | Known::Dns(_) | Known::Uri(_) if *trust != Trust::Authority => Err(NotKnown::Untrusted),
            Known::Subject(subject) => held(certificate.subject.as_ref() == Some(subject), NotKnown::Subject),
            Known::Dns(name) => held(certificate.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name)), NotKnown::Name),
            Known::Uri(uri) => held(certificate.uris.contains(uri), NotKnown::Name),
            Known::Workload(workload) => {
                let named = certificate.workload()?;
                let is_trusted = match trust {
                    Trust::Authority => true,
                    Trust::Domain(domain) => certificate.claimed_domain().as_ref() == Some(domain),
                    Trust::Nobody => false,
                };
                held(is_trusted, NotKnown::Untrusted)?;
                held(named == workload, NotKnown::Workload)
            }
        }
    }
}

fn held(does_hold: bool, otherwise: NotKnown) -> Result<(), NotKnown> {
    if does_hold { Ok(()) } else { Err(otherwise) }
}

fn counted(thumbprints: Vec<String>) -> Result<Vec<String>, CertificateError> {
    debug_assert!(thumbprints.iter().all(|thumbprint| thumbprint.len() == THUMBPRINT_CHARS));
    if thumbprints.is_empty() || thumbprints.len() > CERTIFICATES_MAX { Err(CertificateError::Count) } else { Ok(thumbprints) }
}

/// A name as RFC 4514 §2 writes it: the last part first. What has no short name of §3 is written by its number, with its value in hexadecimal.
/// `None` when there is none, or a value is
/// no printable text: two names must not be written alike.
fn distinguished(name: &X509Name<'_>) -> Option<String> {
    let parts = name.iter_rdn().map(|part| Some(part.iter().map(attribute).collect::<Option<Vec<_>>>()?.join("+")));
    let mut parts = parts.collect::<Option<Vec<String>>>()?;
    parts.reverse();
    // SVIDs have none, and nobody is known by it.
    (!parts.is_empty()).then(|| parts.join(","))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let number = attribute.attr_type().to_id_string();
    let text = attribute.as_str().ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    let named = SHORT_NAMES.iter().find(|(known, _)| *known == number);
    Some(match named {
        Some((_, name)) => format!("{name}={}", escaped(text)),
        None => {
            // A text of up to 127 bytes has a length of one byte (X.690 §8.1.3.4); nobody registers a longer one here.
            let length = u8::try_from(text.len()).ok().filter(|length| *length < 0x80)?;
            let tag = u8::try_from(attribute.attr_value().tag().0).ok()?;
            let hex: String = [tag, length].iter().chain(text.as_bytes()).map(|byte| format!("{byte:02x}")).collect();
            format!("{number}=#{hex}")
        }
    })
}

/// RFC 4514 §3.
const SHORT_NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// A value with the characters escaped that would end it (RFC 4514 §2.4).
fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_first = at == 0;
        let is_last = at + c.len_utf8() == text.len();
        if matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') || is_first && matches!(c, '#' | ' ') || is_last && c == ' ' {
            written.push('\\');
        }
        written.push(c);
    }
    written
}

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is no certificate of version 3, or too long.
    #[error("expected X.509 certificates (version 3) of at most {BYTES_MAX} bytes")]
    Malformed,
    /// Something else stands beside the certificates.
    #[error("expected certificates and nothing else, found another kind of PEM block")]
    Kind,
    /// None, or too many.
    #[error("expected 1 to {CERTIFICATES_MAX} certificates")]
    Count,
}

/// Why a peer is not the one. Nothing of its certificate is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// Its time is over, or has not come.
    #[error("expected a certificate that holds now")]
    Time,
    /// Nobody who is trusted with this name stands behind it.
    #[error("expected a certificate of an authority that is trusted here with this client")]
    Untrusted,
    /// It is none of the registered ones.
    #[error("expected a certificate that is registered for this client, found another")]
    Thumbprint,
    /// The subject is another.
    #[error("expected a certificate with the subject that is registered for this client, found another")]
    Subject,
    /// The name is not among the alternative names.
    #[error("expected a certificate with the alternative name that is registered for this client, found others")]
    Name,
    /// The workload is another.
    #[error("expected an X.509-SVID of the workload that is registered for this client, found another")]
    Workload,
    /// No URI, or more than one (SPIFFE X509-SVID §2).
    #[error("expected exactly one URI among the alternative names of an X.509-SVID")]
    WorkloadNames,
    /// The URI is not the SPIFFE ID of a workload.
    #[error("expected the SPIFFE ID of a workload in an X.509-SVID")]
    WorkloadName,
    /// It may issue certificates (SPIFFE X509-SVID §4.1).
    #[error("expected an X.509-SVID that is not an authority's")]
    WorkloadAuthority,
    /// SPIFFE X509-SVID §4.3.
    #[error("expected a critical key usage with `digitalSignature`, without `keyCertSign` and `cRLSign`, in an X.509-SVID")]
    WorkloadUsage,
    /// SPIFFE X509-SVID §4.4.
    #[error("expected `clientAuth` and `serverAuth` in the extended key usage of an X.509-SVID, where it has one")]
    WorkloadPurpose,
}
