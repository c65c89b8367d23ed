//! Handshakes with clients that are who they say, with such that are not, and with such that say nothing.

use std::net::SocketAddr;

use rcgen::{
    BasicConstraints, Certificate as Made, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::ClientConfig;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use wire::certificate::Known;

use super::*;

const WORKLOAD: &str = "spiffe://example.org/robot";
/// A moment within the certificates: the first of January 2027.
const NOW_S: u64 = 1_798_761_600;

fn key() -> KeyPair {
    KeyPair::generate().expect("random bytes")
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("ascii"))
}

/// An authority, with these names of its own.
struct Authority {
    made: Made,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn params(names: Vec<SanType>, called: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, called);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = names;
        params
    }

    fn new(names: Vec<SanType>) -> Self {
        let (params, key) = (Self::params(names, "root"), key());
        let made = params.self_signed(&key).expect("it signs");
        Self { made, issuer: Issuer::new(params, key) }
    }

    /// One that this one lets issue.
    fn below(&self, names: Vec<SanType>) -> Self {
        let (params, key) = (Self::params(names, "between"), key());
        let made = params.signed_by(&key, &self.issuer).expect("it signs");
        Self { made, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let (params, key) = (leaf(change), key());
        let made = params.signed_by(&key, &self.issuer).expect("it signs");
        Shown { chain: vec![made.der().clone()], key }
    }
}

/// What a client shows.
pub(crate) struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Shown {
    fn below(mut self, between: &Authority) -> Self {
        self.chain.push(between.made.der().clone());
        self
    }

    fn itself(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (leaf(change), key());
        Self { chain: vec![params.self_signed(&key).expect("it signs").der().clone()], key }
    }
}

fn leaf(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "robot");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    params
}

fn named(name: &str) -> impl FnOnce(&mut CertificateParams) {
    let name = uri(name);
    |params| params.subject_alt_names = vec![name]
}

/// A server's own certificate, and TLS with it.
pub(crate) fn server(clients: ClientCertificates) -> (Tls, CertificateDer<'static>) {
    let (config, own) = config(clients);
    (Tls::new(&config).expect("the test's configuration is good"), own)
}

fn config(clients: ClientCertificates) -> (TlsConfig, CertificateDer<'static>) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("it signs");
    let key = own.signing_key.serialize_pem().into_bytes();
    (TlsConfig { certificate: own.cert.pem().into_bytes(), key, clients }, own.cert.der().clone())
}

fn trusting(authorities: &[&Authority]) -> ClientCertificates {
    let pem: String = authorities.iter().map(|authority| authority.made.pem()).collect();
    ClientCertificates::Any { authorities: Some(pem.into_bytes()), others: true }
}

type Accepted = io::Result<(TlsStream<TcpStream>, Option<Arc<Peer>>)>;

/// Accepts one connection.
async fn listening(tls: &Tls) -> (SocketAddr, JoinHandle<Accepted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let tls = tls.clone();
    (address, tokio::spawn(async move { tls.accept(listener.accept().await.expect("a connection").0).await }))
}

/// How a client that shows this connects.
pub(crate) fn connector(
    own: &CertificateDer<'static>,
    shown: Option<&Shown>,
    version: &'static rustls::SupportedProtocolVersion,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(own.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("a version");
    let builder = builder.with_root_certificates(roots);
    let config = match shown {
        Some(Shown { chain, key }) => {
            let key = PrivatePkcs8KeyDer::from(key.serialize_der());
            builder.with_client_auth_cert(chain.clone(), key.into()).expect("a key of its certificate")
        }
        None => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

/// Who the server takes the client for.
async fn met(tls: &Tls, own: &CertificateDer<'static>, shown: Option<&Shown>) -> Option<Arc<Peer>> {
    let mut met = Vec::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (address, accepted) = listening(tls).await;
        let stream = TcpStream::connect(address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = connector(own, shown, version).connect(name, stream).await.expect("hands are shaken");
        stream.write_all(b"x").await.expect("it is open");
        met.push(accepted.await.expect("nobody panicked").expect("hands are shaken").1);
    }
    let trusts: Vec<_> = met.iter().map(|met| met.as_ref().map(|met| met.trust.clone())).collect();
    assert_eq!(trusts[0], trusts[1], "both versions say the same");
    met.swap_remove(0)
}

#[tokio::test]
async fn who_stands_behind_a_certificate_is_found_after_the_handshake() {
    let authority = Authority::new(Vec::new());
    let domain = Authority::new(vec![uri("spiffe://example.org")]);
    let elsewhere = Authority::new(vec![uri("spiffe://example.com")]);
    let unknown = Authority::new(Vec::new());
    let (tls, own) = server(trusting(&[&authority, &domain, &elsewhere]));
    let of_domain = || Some(Trust::Domain("example.org".to_owned()));
    let over = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    };
    let not_for_clients = |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let between = domain.below(vec![uri("spiffe://example.org")]);
    let astray = domain.below(vec![uri("spiffe://example.com")]);
    let workload = domain.below(vec![uri("spiffe://example.org/robot")]);
    let cases = [
        ("an authority's", authority.issue(|_| {}), Some(Trust::Authority)),
        ("an unknown authority's", unknown.issue(|_| {}), Some(Trust::Nobody)),
        ("its own", Shown::itself(|_| {}), Some(Trust::Nobody)),
        ("over", authority.issue(over), Some(Trust::Nobody)),
        ("not for clients", authority.issue(not_for_clients), Some(Trust::Nobody)),
        ("a workload's", domain.issue(named(WORKLOAD)), of_domain()),
        ("a workload's, by way of another authority", between.issue(named(WORKLOAD)).below(&between), of_domain()),
        ("a workload's, by way of another domain", astray.issue(named(WORKLOAD)).below(&astray), Some(Trust::Nobody)),
        ("a workload's, by way of a workload", workload.issue(named(WORKLOAD)).below(&workload), Some(Trust::Nobody)),
        ("a workload's, of another domain", elsewhere.issue(named(WORKLOAD)), Some(Trust::Nobody)),
        ("a workload's, of an authority for names", authority.issue(named(WORKLOAD)), Some(Trust::Nobody)),
        ("a name's, of an authority for workloads", domain.issue(|_| {}), Some(Trust::Nobody)),
        (
            "a workload's, of a domain without an authority of its own",
            authority.issue(named("spiffe://example.net/robot")),
            Some(Trust::Authority),
        ),
    ];
    for (what, shown, trust) in cases {
        assert_eq!(met(&tls, &own, Some(&shown)).await.map(|peer| peer.trust.clone()), trust, "{what}");
    }
    assert!(met(&tls, &own, None).await.is_none(), "nobody has to show one");
}

#[tokio::test]
async fn a_client_that_only_copied_a_certificate_gets_no_connection() {
    let authority = Authority::new(Vec::new());
    let (tls, own) = server(trusting(&[&authority]));
    let stolen = Shown { chain: authority.issue(|_| {}).chain, key: key() };
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (address, accepted) = listening(&tls).await;
        let stream = TcpStream::connect(address).await.expect("it listens");
        // The client library refuses such a pair too, so that the key is put beside the certificate by hand.
        let mut roots = RootCertStore::empty();
        roots.add(own.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let signer = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(stolen.key.serialize_der()).into());
        let pair = rustls::sign::CertifiedKey::new(stolen.chain.clone(), signer.expect("a key"));
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("a version");
        let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(pair));
        let config = builder.with_root_certificates(roots).with_client_cert_resolver(resolver);
        let name = ServerName::try_from("localhost").expect("a name");
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        drop(connected);
        assert!(accepted.await.expect("nobody panicked").is_err(), "{version:?}");
    }
}

#[tokio::test]
async fn nobody_is_asked_for_what_nobody_is_known_by() {
    let (tls, own) = server(ClientCertificates::Unasked);
    assert!(met(&tls, &own, Some(&Shown::itself(|_| {}))).await.is_none());
    let (tls, own) = server(ClientCertificates::Any { authorities: None, others: true });
    let robot = Shown::itself(|_| {});
    let known = Known::Thumbprints(vec![Certificate::read(&robot.chain[0]).expect("a certificate").thumbprint().to_owned()]);
    let peer = met(&tls, &own, Some(&robot)).await.expect("it was asked");
    assert_eq!((&peer.trust, known.admits(&peer, NOW_S)), (&Trust::Nobody, Ok(())));
}

#[tokio::test]
async fn another_certificate_is_shown_from_now_on() {
    let authority = Authority::new(Vec::new());
    let (tls, own) = server(ClientCertificates::Unasked);
    let (newer, newly) = config(trusting(&[&authority]));
    assert!(tls.renew(&TlsConfig { key: Vec::new(), ..config(ClientCertificates::Unasked).0 }).is_err());
    assert!(met(&tls, &own, None).await.is_none(), "what cannot be used changes nothing");
    tls.renew(&newer).expect("it is good");
    let shown = authority.issue(|_| {});
    assert_eq!(met(&tls, &newly, Some(&shown)).await.expect("it was asked").trust, Trust::Authority);
}

#[tokio::test]
async fn what_is_no_tls_gets_no_connection() {
    let (tls, _) = server(ClientCertificates::Unasked);
    for garbage in
        [&b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n"[..], &[0; 64], &[0x16, 3, 1, 0xff, 0xff, 1], b"\x80\x2e\x01\x00\x02"]
    {
        let (address, accepted) = listening(&tls).await;
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(garbage).await.expect("it is open");
        stream.shutdown().await.expect("it is open");
        assert!(accepted.await.expect("nobody panicked").is_err());
        let mut answered = Vec::new();
        let _ = stream.read_to_end(&mut answered).await;
        assert!(!answered.starts_with(b"HTTP"), "nothing is said in plain");
    }
}

#[tokio::test]
async fn who_says_nothing_or_breaks_off_is_let_go() {
    let (tls, _) = server(ClientCertificates::Unasked);
    let tls = Tls { handshake_time_max: Duration::from_millis(50), ..tls };
    for begun in [&b""[..], b"\x16", &[0x16, 3, 1, 0, 200, 1, 0, 0, 196]] {
        let (address, accepted) = listening(&tls).await;
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(begun).await.expect("it is open");
        let error = accepted.await.expect("nobody panicked").expect_err("it was let go");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(tls.handshakes.available_permits(), HANDSHAKES_MAX, "its turn is over");
    }
}

#[tokio::test]
async fn silent_clients_take_nobodys_turn() {
    let (tls, own) = server(ClientCertificates::Unasked);
    let mut silent = Vec::new();
    for _ in 0..2 * HANDSHAKES_MAX {
        let (address, accepted) = listening(&tls).await;
        silent.push((TcpStream::connect(address).await.expect("it listens"), accepted));
    }
    assert!(met(&tls, &own, None).await.is_none(), "and somebody who speaks is let in");
}

#[test]
fn what_cannot_be_used_is_said_with_its_reason() {
    let good = || config(ClientCertificates::Unasked).0;
    let authorities = |pem: &[u8]| ClientCertificates::Any { authorities: Some(pem.to_vec()), others: false };
    let failed = |config: TlsConfig| Tls::new(&config).err().expect("it cannot be used");
    assert!(matches!(failed(TlsConfig { certificate: Vec::new(), ..good() }), TlsError::Certificate));
    assert!(matches!(failed(TlsConfig { certificate: good().key, ..good() }), TlsError::Certificate));
    assert!(matches!(failed(TlsConfig { key: b"no key".to_vec(), ..good() }), TlsError::Key));
    assert!(matches!(failed(TlsConfig { key: good().key, ..good() }), TlsError::Pair(_)), "another certificate's key");
    assert!(matches!(failed(TlsConfig { clients: authorities(b""), ..good() }), TlsError::Authorities));
    assert!(matches!(failed(TlsConfig { clients: authorities(&good().key), ..good() }), TlsError::Authorities));
    let many = Authority::new(Vec::new()).made.pem().repeat(AUTHORITIES_MAX + 1);
    assert!(matches!(failed(TlsConfig { clients: authorities(many.as_bytes()), ..good() }), TlsError::Authorities));
}
