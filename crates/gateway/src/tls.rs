//! TLS on our own listeners (1.2 and 1.3): a handshake within its bounds, and who is at the other side. What a certificate is good for is not
//! known here.
//!
//! Clients may show a certificate and need not (RFC 8705 §5 has it so for one address with clients of both kinds). In the handshake a client
//! proves that it holds the key of its certificate, and no more: who stands behind it is asked afterwards, at every connection, a resumed one
//! too, and is told to whoever answers requests. That is how certificates that no authority issued can be registered (RFC 8705 §2.2), and how a
//! wrong one is refused where refusals are recorded.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wire::certificate::{Certificate, Peer, Trust};

/// How long a handshake may take, with the wait for its turn.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Handshakes at a time: each costs a signature. Who has not said anything yet is in none.
const HANDSHAKES_MAX: usize = 256;
/// Authorities of clients, and certificates between one of them and a client.
const AUTHORITIES_MAX: usize = 64;
const INTERMEDIATES_MAX: usize = 8;

/// What a server shows of itself, and whom it wants to see. All in PEM.
pub struct TlsConfig {
    /// Its certificate, and those between it and its authority.
    pub certificate: Vec<u8>,
    /// The key of the certificate.
    pub key: Vec<u8>,
    /// Whether clients are asked for a certificate.
    pub clients: ClientCertificates,
}

/// Which certificates clients are asked for.
pub enum ClientCertificates {
    /// None.
    Unasked,
    /// Any: who holds which one was agreed beforehand.
    Any {
        /// The authorities that are trusted with the names of clients, in PEM.
        authorities: Option<Vec<u8>>,
        /// Whether there are clients with certificates that none of them issued.
        others: bool,
    },
}

/// Why there is no TLS. Nothing of a key is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate.
    #[error("expected a certificate in PEM (`-----BEGIN CERTIFICATE-----`)")]
    Certificate,
    /// The key.
    #[error("expected one private key in PEM (`-----BEGIN PRIVATE KEY-----`), without a password")]
    Key,
    /// They do not go together, or are of a kind that is not spoken.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(rustls::Error),
    /// The authorities.
    #[error("expected 1 to {AUTHORITIES_MAX} certificates of authorities in PEM")]
    Authorities,
}

/// TLS for listeners. Cloning shares it.
#[derive(Clone)]
pub struct Tls {
    current: Arc<RwLock<Arc<Current>>>,
    handshakes: Arc<Semaphore>,
    handshake_time_max: Duration,
}

struct Current {
    config: Arc<ServerConfig>,
    authorities: Authorities,
}

impl Tls {
    /// # Errors
    /// [`TlsError`].
    pub fn new(config: &TlsConfig) -> Result<Tls, TlsError> {
        let current = Arc::new(RwLock::new(Arc::new(Current::new(config)?)));
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Ok(Tls { current, handshakes, handshake_time_max: HANDSHAKE_TIME_MAX })
    }

    /// Shows another certificate, and trusts other authorities, for connections from now on.
    ///
    /// # Errors
    /// [`TlsError`]; then everything stays as it was.
    pub fn renew(&self, config: &TlsConfig) -> Result<(), TlsError> {
        let renewed = Arc::new(Current::new(config)?);
        *self.current.write() = renewed;
        Ok(())
    }

    /// Shakes hands, within [`HANDSHAKE_TIME_MAX`], and says who is at the other side, where that showed a certificate.
    ///
    /// # Errors
    /// What went wrong: nobody spoke, not TLS, or not for us.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Arc<Peer>>)> {
        let current = Arc::clone(&self.current.read());
        let shaken = tokio::time::timeout(self.handshake_time_max, async {
            // Whoever says nothing takes nobody's turn.
            stream.readable().await?;
            let _turn = self.handshakes.acquire().await.map_err(io::Error::other)?;
            TlsAcceptor::from(Arc::clone(&current.config)).accept(stream).await
        });
        let stream = shaken.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let peer = current.peer(stream.get_ref().1.peer_certificates().unwrap_or_default())?;
        Ok((stream, peer))
    }
}

impl Current {
    fn new(config: &TlsConfig) -> Result<Current, TlsError> {
        let chain = certificates(&config.certificate).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&config.key).map_err(|_| TlsError::Key)?;
        // The library that the rest of the program uses, and not whichever was installed first.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(TlsError::Pair)?;
        let (verifier, authorities) = match &config.clients {
            ClientCertificates::Unasked => (WebPkiClientVerifier::no_client_auth(), Authorities::default()),
            ClientCertificates::Any { authorities, others } => {
                let authorities = authorities.as_deref().map(|pem| Authorities::read(pem, &provider)).transpose()?;
                let authorities = authorities.unwrap_or_default();
                // A client with a certificate of no authority would not show it to a server that names some; and a browser asks its person
                // which one to show, unless it has none of these.
                let named = if *others { Vec::new() } else { authorities.names.clone() };
                let algorithms = provider.signature_verification_algorithms;
                let verifier: Arc<dyn ClientCertVerifier> = Arc::new(HoldsKey { algorithms, named });
                (verifier, authorities)
            }
        };
        let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed connection speaks for the client of the first one, so the two must not be confused (RFC 7627 §1).
        config.require_ems = true;
        Ok(Current { config: Arc::new(config), authorities })
    }

    /// Who showed these certificates, its own first.
    fn peer(&self, shown: &[CertificateDer<'_>]) -> io::Result<Option<Arc<Peer>>> {
        let Some((own, between)) = shown.split_first() else { return Ok(None) };
        let certificate = Certificate::read(own).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let now = self.config.time_provider.current_time().ok_or_else(|| io::Error::other("there is no clock"))?;
        let trust = self.authorities.behind(&certificate, own, between, now);
        Ok(Some(Arc::new(Peer { certificate, trust })))
    }
}

/// All certificates of a text in PEM; `None` when there is none, or too many, or something that is none.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(AUTHORITIES_MAX + 1).collect();
    read.ok().filter(|read| !read.is_empty() && read.len() <= AUTHORITIES_MAX)
}

/// Who is trusted with the names of clients.
///
/// An authority whose certificate names a trust domain of SPIFFE is trusted with that domain alone, and such a domain trusts no other: two
/// domains that are both let in cannot speak for each other.
#[derive(Default)]
struct Authorities {
    /// What they are called.
    names: Vec<DistinguishedName>,
    of_names: Option<Arc<dyn ClientCertVerifier>>,
    of_domains: BTreeMap<String, Arc<dyn ClientCertVerifier>>,
}

impl Authorities {
    fn read(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Authorities, TlsError> {
        let mut roots: BTreeMap<Option<String>, RootCertStore> = BTreeMap::new();
        for der in certificates(pem).ok_or(TlsError::Authorities)? {
            let read = Certificate::read(&der).map_err(|_| TlsError::Authorities)?;
            let store = roots.entry(read.claimed_domain()).or_insert_with(RootCertStore::empty);
            store.add(der).map_err(|_| TlsError::Authorities)?;
        }
        let mut authorities = Authorities::default();
        for (domain, roots) in roots {
            authorities.names.extend(roots.subjects());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            let verifier = verifier.map_err(|_| TlsError::Authorities)?;
            match domain {
                Some(domain) => {
                    authorities.of_domains.insert(domain, verifier);
                }
                None => authorities.of_names = Some(verifier),
            }
        }
        Ok(authorities)
    }

    fn behind(&self, read: &Certificate, own: &CertificateDer<'_>, between: &[CertificateDer<'_>], now: UnixTime) -> Trust {
        let domain = read.claimed_domain();
        let (verifier, trust) = match domain.as_ref().and_then(|domain| self.of_domains.get(domain)) {
            Some(verifier) => (Some(verifier), Trust::Domain(domain.clone().unwrap_or_default())),
            None => (self.of_names.as_ref(), Trust::Authority),
        };
        let may_issue = |der: &CertificateDer<'_>| {
            let domain = domain.as_deref().unwrap_or_default();
            Certificate::read(der).is_ok_and(|between| between.may_issue_for(domain))
        };
        let is_behind = between.len() <= INTERMEDIATES_MAX
            && between.iter().all(may_issue)
            && verifier.is_some_and(|verifier| verifier.verify_client_cert(own, between, now).is_ok());
        if is_behind { trust } else { Trust::Nobody }
    }
}

/// Asks clients for a certificate, and holds them to its key.
#[derive(Debug)]
struct HoldsKey {
    algorithms: WebPkiSupportedAlgorithms,
    /// The authorities that are named to clients; with none, any certificate is welcome.
    named: Vec<DistinguishedName>,
}

impl ClientCertVerifier for HoldsKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.named
    }

    /// Trust is not decided here: see the head of this file.
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
