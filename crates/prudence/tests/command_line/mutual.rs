//! TLS as operators and clients meet it: the built program with files of certificates, clients that show theirs, and such that show another's.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;

use judge::event::{Event, Record};
use ledger::{Seq, Source as _, SqliteLedger};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd};
use reqwest::{Certificate, Identity, StatusCode};
use serde_json::{Value, json};

use crate::done;
use crate::house::{House, PATIENCE, SECRET, Serving, free_port, until};

/// Somebody who issues certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(names: &[&str]) -> Self {
        let mut params = named("an authority", names);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("random bytes");
        let pem = params.self_signed(&key).expect("it signs").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, params: &CertificateParams) -> Holder {
        let key = KeyPair::generate().expect("random bytes");
        Holder { certificate: params.signed_by(&key, &self.issuer).expect("it signs").pem(), key: key.serialize_pem() }
    }
}

/// Somebody with a certificate and its key.
struct Holder {
    certificate: String,
    key: String,
}

impl Holder {
    fn alone(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().expect("random bytes");
        Self { certificate: params.self_signed(&key).expect("it signs").pem(), key: key.serialize_pem() }
    }
}

fn named(subject: &str, uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ascii"))).collect();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn of_server() -> Holder {
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
    Holder::alone(&params)
}

/// A house with TLS at both doors, and clients that are known by certificates.
struct Mutual {
    house: House,
    port: u16,
    api: u16,
    server: Holder,
    authority: Authority,
    domain: Authority,
    itself: Holder,
    runtime: tokio::runtime::Runtime,
}

const WORKLOAD: &str = "spiffe://example.org/robot";

impl Mutual {
    fn new() -> Self {
        // The tests are programs of their own, and nothing else installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (port, api) = (free_port(), free_port());
        let client = |id: &str, known: &str| {
            format!(
                "[[oauth_clients]]\nid = \"{id}\"\nagent = \"helper\"\npurpose = \"nightly\"\neffects = [\"read\"]\n{known}\n"
            )
        };
        let clients = [
            client("by-subject", "tls_client_auth_subject_dn = \"CN=robot\""),
            client("by-itself", "certificates = \"robot.pem\""),
            client("workload", &format!("spiffe = \"{WORKLOAD}\"")),
        ];
        let more = format!(
            "api_listen = \"127.0.0.1:{api}\"\n[server.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             client_authorities = \"clients.pem\"\n[authorization]\nresource = \"https://127.0.0.1:{port}/mcp\"\nbearer_effects = []\n{}",
            clients.concat()
        );
        let house = House::new("prudence.db", &more);
        let (server, authority, domain) = (of_server(), Authority::new(&[]), Authority::new(&["spiffe://example.org"]));
        let itself = Holder::alone(&named("itself", &[]));
        house.write("server.pem", &server.certificate);
        house.write("server.key", &server.key);
        house.write("clients.pem", &[authority.pem.as_str(), &domain.pem].concat());
        house.write("robot.pem", &itself.certificate);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { house, port, api, server, authority, domain, itself, runtime }
    }

    fn serve(&self) -> Serving {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_prudence"));
        self.house.begin(command.args(["-o", "json", "serve", "--listen", &listen])).ready()
    }

    /// A client that believes the server with this certificate, and shows that of `holder`.
    fn client(&self, server: &Holder, holder: Option<&Holder>) -> reqwest::Client {
        let server = Certificate::from_pem(server.certificate.as_bytes()).expect("a certificate");
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).tls_certs_only([server]);
        let shown = holder.map(|Holder { certificate, key }| [certificate.as_str(), key].concat());
        let shown = shown.map(|pem| Identity::from_pem(pem.as_bytes()).expect("a certificate with its key"));
        let client = match shown {
            Some(shown) => client.identity(shown),
            None => client,
        };
        client.build().expect("a client")
    }

    /// What a request is answered with; nothing when it is not.
    fn sent(&self, request: reqwest::RequestBuilder) -> Option<(StatusCode, String)> {
        self.runtime.block_on(async {
            let answer = request.send().await.ok()?;
            Some((answer.status(), answer.text().await.expect("a body")))
        })
    }

    fn ask(&self, id: &str, holder: Option<&Holder>) -> (StatusCode, Value) {
        let request = self.client(&self.server, holder).post(format!("https://127.0.0.1:{}/oauth/token", self.api));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let (status, body) = self.sent(request.body(format!("grant_type=client_credentials&client_id={id}"))).expect("an answer");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// A token for the certificate of `holder`.
    fn token(&self, id: &str, holder: &Holder) -> String {
        let (status, granted) = self.ask(id, Some(holder));
        assert_eq!((status, &granted["token_type"]), (StatusCode::OK, &json!("Bearer")), "{granted}");
        granted["access_token"].as_str().expect("a token").to_owned()
    }

    /// Reads what only Bo may have.
    fn call(&self, authorization: &str, holder: Option<&Holder>) -> (StatusCode, String) {
        let frame = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "read", "arguments": { "note": "note:secret" } } });
        let request = self.client(&self.server, holder).post(format!("https://127.0.0.1:{}/mcp", self.port));
        let request = request.header("authorization", authorization).header("accept", "application/json, text/event-stream");
        self.sent(request.json(&frame)).expect("an answer")
    }
}

/// What was refused so far, as it is on record.
fn refusals(folder: &Path) -> Vec<String> {
    let source = SqliteLedger::open_read_only(folder.join("prudence.db")).expect("the ledger is there");
    let entries = source.read(Seq(1), usize::MAX, usize::MAX).expect("it can be read");
    let read = entries.iter().map(|entry| serde_json::from_slice::<Record>(&entry.body).expect("an event"));
    let refused = |record: Record| match record.event {
        Event::Refused(refused) => Some(refused.sentence),
        _ => None,
    };
    read.filter_map(refused).collect()
}

#[test]
fn a_token_of_a_certificate_works_on_its_connections_and_on_no_other() {
    let mutual = Mutual::new();
    let serving = mutual.serve();
    // They say nothing until the end of the test.
    let silent = [mutual.port, mutual.api].map(|port| TcpStream::connect(("127.0.0.1", port)).expect("it listens"));

    let robot = mutual.authority.issue(&named("robot", &[]));
    let token = mutual.token("by-subject", &robot);
    let bearer = format!("Bearer {token}");
    let (status, body) = mutual.call(&bearer, Some(&robot));
    assert!(status == StatusCode::OK && body.contains(SECRET), "{status}: {body}");

    let namesake = mutual.authority.issue(&named("robot", &[]));
    for (what, authorization, holder) in [
        ("without a certificate", bearer.clone(), None),
        ("with another certificate of the same name", bearer.clone(), Some(&namesake)),
        ("with a certificate that is registered for another", bearer.clone(), Some(&mutual.itself)),
        ("as a token of a key", format!("DPoP {token}"), Some(&robot)),
    ] {
        let (status, body) = mutual.call(&authorization, holder);
        assert!(status == StatusCode::UNAUTHORIZED && !body.contains(SECRET), "{what}: {status} {body}");
        assert!(body.contains("the certificate to which this token is bound"), "{what}: {body}");
    }
    let refused = refusals(mutual.house.path());
    assert_eq!(refused.iter().filter(|sentence| sentence.contains("token_certificate")).count(), 4, "{refused:?}");
    for port in [mutual.port, mutual.api] {
        let plain = mutual.client(&mutual.server, None).get(format!("http://127.0.0.1:{port}/healthz"));
        assert!(mutual.sent(plain).is_none(), "nothing is answered in plain");
    }

    let metadata = format!("https://127.0.0.1:{}/.well-known/oauth-protected-resource", mutual.port);
    let (_, metadata) = mutual.sent(mutual.client(&mutual.server, None).get(metadata)).expect("an answer");
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!(metadata["authorization_servers"], json!([format!("https://127.0.0.1:{}", mutual.api)]));

    // What is said on the command line reaches the server over TLS, and the certificate counts as the key of the chain.
    let der = pem_der(&robot.certificate);
    let thumbprint = wire::certificate::Certificate::read(&der).expect("a certificate").thumbprint().to_owned();
    done(mutual.house.path(), &["kill", &format!("key:{thumbprint}"), "--by", "ann", "--why", "it was lost"]);
    let (_, body) = mutual.call(&bearer, Some(&robot));
    assert!(!body.contains(SECRET), "{body}");

    for mut stream in silent {
        stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
        assert_eq!(stream.read(&mut [0; 1]).expect("it was closed"), 0, "who says nothing is let go");
    }
    serving.stop();
}

fn pem_der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate").to_vec()
}

#[test]
fn the_token_endpoint_takes_the_certificates_that_were_agreed_on_and_records_every_other() {
    let mutual = Mutual::new();
    let serving = mutual.serve();
    let elsewhere = Authority::new(&["spiffe://example.com"]);
    let unknown = Authority::new(&[]);
    let over = || {
        let mut params = named("robot", &[]);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        params
    };
    for (id, holder) in [
        ("by-subject", &mutual.authority.issue(&named("robot", &[]))),
        ("by-itself", &mutual.itself),
        ("workload", &mutual.domain.issue(&named("anything", &[WORKLOAD]))),
    ] {
        let token = mutual.token(id, holder);
        let (status, body) = mutual.call(&format!("Bearer {token}"), Some(holder));
        assert!(status == StatusCode::OK && body.contains(SECRET), "{id}: {status}: {body}");
    }
    let before = refusals(mutual.house.path()).len();
    let mut signs = named("anything", &[WORKLOAD]);
    signs.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let cases = [
        ("by-subject", "no certificate", None),
        ("by-subject", "another authority's", Some(unknown.issue(&named("robot", &[])))),
        ("by-subject", "a trust domain's", Some(mutual.domain.issue(&named("robot", &[])))),
        ("by-subject", "over", Some(mutual.authority.issue(&over()))),
        ("by-subject", "another subject", Some(mutual.authority.issue(&named("other", &[])))),
        ("by-subject", "its own", Some(Holder::alone(&named("robot", &[])))),
        ("by-itself", "not registered", Some(Holder::alone(&named("itself", &[])))),
        ("by-itself", "not registered, of an authority", Some(mutual.authority.issue(&named("itself", &[])))),
        ("workload", "no certificate", None),
        ("workload", "another workload", Some(mutual.domain.issue(&named("anything", &["spiffe://example.org/other"])))),
        ("workload", "another domain's authority", Some(elsewhere.issue(&named("anything", &[WORKLOAD])))),
        ("workload", "an authority for names", Some(mutual.authority.issue(&named("anything", &[WORKLOAD])))),
        ("workload", "a key that signs certificates", Some(mutual.domain.issue(&signs))),
        ("workload", "two ids", Some(mutual.domain.issue(&named("anything", &[WORKLOAD, "spiffe://example.org/other"])))),
    ];
    for (id, what, holder) in &cases {
        let (status, body) = mutual.ask(id, holder.as_ref());
        assert_eq!((status, &body["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")), "{id}, {what}");
    }
    let refused = refusals(mutual.house.path()).split_off(before);
    assert_eq!(refused.len(), cases.len(), "each is on record: {refused:?}");
    serving.stop();
}

#[test]
fn newer_certificates_are_taken_at_a_signal_and_wrong_ones_are_not() {
    let mutual = Mutual::new();
    let serving = mutual.serve();
    let newer = of_server();
    let health = format!("https://127.0.0.1:{}/healthz", mutual.port);
    let reached = |server: &Holder| mutual.sent(mutual.client(server, None).get(&health)).is_some();
    assert!(reached(&mutual.server) && !reached(&newer));
    mutual.house.write("server.pem", &newer.certificate);
    serving.signal(rustix::process::Signal::HUP);
    until("it complains", || serving.errors().contains("certificate and key cannot be used together").then_some(()));
    assert!(reached(&mutual.server), "what was in force stays in force");
    mutual.house.write("server.key", &newer.key);
    serving.signal(rustix::process::Signal::HUP);
    assert!(serving.line().contains("reloaded"));
    assert!(reached(&newer) && !reached(&mutual.server));
    serving.stop();
}
