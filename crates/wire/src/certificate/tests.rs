//! Certificates as authorities and attackers make them. What is refused here is what a TLS stack lets in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use serde_json::json;

use super::*;

/// A moment at which the certificates here hold: the first of January 2027.
const NOW_S: u64 = 1_798_761_600;
const WORKLOAD: &str = "spiffe://example.org/agents/robot";

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("ascii"))
}

/// An X.509-SVID as it should be, but for `change`.
fn svid(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2028, 1, 1);
    params.subject_alt_names = vec![uri(WORKLOAD)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    Certificate::read(&made(&params)).expect("a certificate")
}

fn made(params: &CertificateParams) -> Vec<u8> {
    params.self_signed(&KeyPair::generate().expect("random bytes")).expect("it signs").der().to_vec()
}

fn peer(certificate: Certificate, trust: Trust) -> Peer {
    Peer { certificate, trust }
}

fn domain() -> Trust {
    Trust::Domain("example.org".to_owned())
}

fn workload() -> Known {
    Known::Workload(WORKLOAD.to_owned())
}

#[test]
fn a_workload_is_admitted_by_its_svid() {
    assert_eq!(workload().admits(&peer(svid(|_| {}), domain()), NOW_S), Ok(()));
    assert_eq!(workload().admits(&peer(svid(|_| {}), Trust::Authority), NOW_S), Ok(()));
    let without_purpose = svid(|params| params.extended_key_usages.clear());
    assert_eq!(workload().admits(&peer(without_purpose, domain()), NOW_S), Ok(()), "which an SVID need not have");
    let with_more_names =
        svid(|params| params.subject_alt_names.push(SanType::DnsName("robot.example.org".try_into().expect("ascii"))));
    assert_eq!(workload().admits(&peer(with_more_names, domain()), NOW_S), Ok(()));
}

#[test]
fn no_bad_svid_is_admitted() {
    type Change = Box<dyn FnOnce(&mut CertificateParams)>;
    let named = |names: Vec<SanType>| -> Change { Box::new(move |params| params.subject_alt_names = names) };
    let used = |usages: Vec<KeyUsagePurpose>| -> Change { Box::new(move |params| params.key_usages = usages) };
    let purposes =
        |purposes: Vec<ExtendedKeyUsagePurpose>| -> Change { Box::new(move |params| params.extended_key_usages = purposes) };
    let sign = KeyUsagePurpose::DigitalSignature;
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    let cases: Vec<(&str, Change, NotKnown)> = vec![
        ("no name at all", named(Vec::new()), NotKnown::WorkloadNames),
        (
            "the id as a DNS name",
            named(vec![SanType::DnsName("example.org".try_into().expect("ascii"))]),
            NotKnown::WorkloadNames,
        ),
        (
            "the id as a mail address",
            named(vec![SanType::Rfc822Name("robot@example.org".try_into().expect("ascii"))]),
            NotKnown::WorkloadNames,
        ),
        ("two ids", named(vec![uri(WORKLOAD), uri("spiffe://example.org/other")]), NotKnown::WorkloadNames),
        ("an id and another URI", named(vec![uri(WORKLOAD), uri("https://example.org/")]), NotKnown::WorkloadNames),
        ("the same id twice", named(vec![uri(WORKLOAD), uri(WORKLOAD)]), NotKnown::WorkloadNames),
        ("another scheme", named(vec![uri("https://example.org/agents/robot")]), NotKnown::WorkloadName),
        ("no trust domain", named(vec![uri("spiffe:///agents/robot")]), NotKnown::WorkloadName),
        ("a trust domain and nothing more", named(vec![uri("spiffe://example.org")]), NotKnown::WorkloadName),
        ("a path that is one slash", named(vec![uri("spiffe://example.org/")]), NotKnown::WorkloadName),
        ("a slash at the end", named(vec![uri("spiffe://example.org/agents/robot/")]), NotKnown::WorkloadName),
        ("an empty segment", named(vec![uri("spiffe://example.org/agents//robot")]), NotKnown::WorkloadName),
        ("a way up", named(vec![uri("spiffe://example.org/x/../agents/robot")]), NotKnown::WorkloadName),
        ("a dot", named(vec![uri("spiffe://example.org/./agents/robot")]), NotKnown::WorkloadName),
        ("capitals in the trust domain", named(vec![uri("spiffe://Example.org/agents/robot")]), NotKnown::WorkloadName),
        ("capitals in the scheme", named(vec![uri("SPIFFE://example.org/agents/robot")]), NotKnown::WorkloadName),
        ("a port", named(vec![uri("spiffe://example.org:443/agents/robot")]), NotKnown::WorkloadName),
        ("a user", named(vec![uri("spiffe://robot@example.org/agents/robot")]), NotKnown::WorkloadName),
        ("a query", named(vec![uri("spiffe://example.org/agents/robot?a=b")]), NotKnown::WorkloadName),
        ("a fragment", named(vec![uri("spiffe://example.org/agents/robot#a")]), NotKnown::WorkloadName),
        ("an escaped character", named(vec![uri("spiffe://example.org/agents/rob%6ft")]), NotKnown::WorkloadName),
        ("an id that is too long", named(vec![uri(&long)]), NotKnown::WorkloadName),
        (
            "an authority",
            Box::new(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            NotKnown::WorkloadAuthority,
        ),
        ("no key usage", used(Vec::new()), NotKnown::WorkloadUsage),
        ("a key that signs nothing", used(vec![KeyUsagePurpose::KeyEncipherment]), NotKnown::WorkloadUsage),
        ("a key that signs certificates", used(vec![sign, KeyUsagePurpose::KeyCertSign]), NotKnown::WorkloadUsage),
        ("a key that signs revocations", used(vec![sign, KeyUsagePurpose::CrlSign]), NotKnown::WorkloadUsage),
        (
            "a key usage that may be passed over",
            Box::new(|params| {
                params.key_usages.clear();
                // BIT STRING of `digitalSignature` alone, not critical.
                params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80]));
            }),
            NotKnown::WorkloadUsage,
        ),
        ("for servers alone", purposes(vec![ExtendedKeyUsagePurpose::ServerAuth]), NotKnown::WorkloadPurpose),
        ("for clients alone", purposes(vec![ExtendedKeyUsagePurpose::ClientAuth]), NotKnown::WorkloadPurpose),
        ("for signing code", purposes(vec![ExtendedKeyUsagePurpose::CodeSigning]), NotKnown::WorkloadPurpose),
        ("over", Box::new(|params| params.not_after = date_time_ymd(2026, 12, 31)), NotKnown::Time),
        ("not yet", Box::new(|params| params.not_before = date_time_ymd(2027, 1, 2)), NotKnown::Time),
        ("another workload", named(vec![uri("spiffe://example.org/agents/other")]), NotKnown::Workload),
        ("a workload below", named(vec![uri("spiffe://example.org/agents/robot/child")]), NotKnown::Workload),
        ("another trust domain", named(vec![uri("spiffe://example.com/agents/robot")]), NotKnown::Untrusted),
    ];
    for (what, change, why) in cases {
        assert_eq!(workload().admits(&peer(svid(change), domain()), NOW_S), Err(why), "{what}");
    }
    assert_eq!(workload().admits(&peer(svid(|_| {}), Trust::Nobody), NOW_S), Err(NotKnown::Untrusted), "of nobody");
    let other = Trust::Domain("example.com".to_owned());
    assert_eq!(workload().admits(&peer(svid(|_| {}), other), NOW_S), Err(NotKnown::Untrusted), "another domain's authority");
}

fn named_robot() -> Certificate {
    svid(|params| {
        let mut subject = rcgen::DistinguishedName::new();
        subject.push(DnType::CountryName, "CH");
        subject.push(DnType::OrganizationName, "Example, Inc. + Sons");
        subject.push(DnType::CommonName, "#robot ");
        params.distinguished_name = subject;
        params.subject_alt_names =
            vec![SanType::DnsName("Robot.example.org".try_into().expect("ascii")), uri("https://example.org/robot")];
    })
}

#[test]
fn a_client_is_known_by_one_name_of_its_certificate() {
    // As `openssl x509 -noout -subject -nameopt RFC2253` writes it.
    let subject = Known::Subject("CN=\\#robot\\ ,O=Example\\, Inc. \\+ Sons,C=CH".to_owned());
    let names = [subject, Known::Dns("robot.EXAMPLE.org".to_owned()), Known::Uri("https://example.org/robot".to_owned())];
    for known in &names {
        assert_eq!(known.admits(&peer(named_robot(), Trust::Authority), NOW_S), Ok(()), "{known:?}");
        for trust in [Trust::Nobody, domain()] {
            assert_eq!(known.admits(&peer(named_robot(), trust.clone()), NOW_S), Err(NotKnown::Untrusted), "{known:?} {trust:?}");
        }
        assert_eq!(known.admits(&peer(named_robot(), Trust::Authority), NOW_S + 400 * 86_400), Err(NotKnown::Time));
    }
    for (known, why) in [
        (Known::Subject("C=CH,O=Example\\, Inc. \\+ Sons,CN=\\#robot\\ ".to_owned()), NotKnown::Subject),
        (Known::Subject("CN=\\#robot\\ ".to_owned()), NotKnown::Subject),
        (Known::Subject(String::new()), NotKnown::Subject),
        (Known::Dns("example.org".to_owned()), NotKnown::Name),
        (Known::Dns("*.example.org".to_owned()), NotKnown::Name),
        (Known::Uri("https://example.org/Robot".to_owned()), NotKnown::Name),
    ] {
        assert_eq!(known.admits(&peer(named_robot(), Trust::Authority), NOW_S), Err(why), "{known:?}");
    }
}

#[test]
fn what_stands_within_a_name_is_not_taken_for_its_end() {
    let subject = |parts: &[(DnType, &str)]| {
        svid(|params| {
            let mut subject = rcgen::DistinguishedName::new();
            parts.iter().for_each(|(kind, text)| subject.push(kind.clone(), *text));
            params.distinguished_name = subject;
        })
        .subject
    };
    let honest = subject(&[(DnType::OrganizationName, "Example"), (DnType::CommonName, "robot")]);
    assert_eq!(honest.as_deref(), Some("CN=robot,O=Example"));
    assert_eq!(subject(&[(DnType::CommonName, "robot,O=Example")]).as_deref(), Some("CN=robot\\,O=Example"));
    assert_eq!(subject(&[(DnType::CommonName, "robot\0")]), None, "a name of no characters is nobody's");
    assert_eq!(subject(&[]), None, "no name is nobody's");
    let numbered = subject(&[(DnType::CustomDnType(vec![2, 5, 4, 5]), "7")]);
    assert_eq!(numbered.as_deref(), Some("2.5.4.5=#0c0137"), "a serial number has no short name in RFC 4514");
}

#[test]
fn a_certificate_that_is_registered_needs_no_authority() {
    let robot = svid(|_| {});
    let known = Known::Thumbprints(vec![robot.thumbprint().to_owned()]);
    assert_eq!(known.admits(&peer(robot.clone(), Trust::Nobody), NOW_S), Ok(()));
    assert_eq!(known.admits(&peer(robot.clone(), Trust::Nobody), NOW_S + 400 * 86_400), Err(NotKnown::Time));
    assert_eq!(
        known.admits(&peer(svid(|_| {}), Trust::Authority), NOW_S),
        Err(NotKnown::Thumbprint),
        "the same names, another key"
    );
    let shown = peer(robot.clone(), Trust::Nobody);
    assert!(shown.is(robot.thumbprint(), NOW_S) && !shown.is(robot.thumbprint(), 0) && !shown.is("", NOW_S));
}

#[test]
fn certificates_are_read_from_pem_and_from_keys() {
    let der = made(&CertificateParams::new(vec!["a.example".to_owned()]).expect("a name"));
    let thumbprint = Certificate::read(&der).expect("a certificate").thumbprint().to_owned();
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(&der));
    let keys = json!({ "keys": [{ "kty": "EC", "x5c": [STANDARD.encode(&der)] }, { "kty": "EC" }] }).to_string();
    for file in [pem("CERTIFICATE"), keys] {
        assert_eq!(Certificate::thumbprints(file.as_bytes()), Ok(vec![thumbprint.clone()]));
    }
    for (what, file, why) in [
        ("nothing", String::new(), CertificateError::Count),
        ("keys without certificates", json!({ "keys": [{ "kty": "EC" }] }).to_string(), CertificateError::Count),
        ("no keys", "{}".to_owned(), CertificateError::Count),
        ("a private key", pem("PRIVATE KEY"), CertificateError::Kind),
        ("too many", pem("CERTIFICATE").repeat(CERTIFICATES_MAX + 1), CertificateError::Count),
        ("no DER", json!({ "keys": [{ "x5c": ["AAAA"] }] }).to_string(), CertificateError::Malformed),
        ("no base64", json!({ "keys": [{ "x5c": ["?"] }] }).to_string(), CertificateError::Malformed),
        ("an empty chain", json!({ "keys": [{ "x5c": [] }] }).to_string(), CertificateError::Malformed),
        ("no JSON", "{".to_owned(), CertificateError::Malformed),
    ] {
        assert_eq!(Certificate::thumbprints(file.as_bytes()), Err(why), "{what}");
    }
    let mut longer = der.clone();
    longer.push(0);
    assert_eq!(Certificate::read(&longer), Err(CertificateError::Malformed), "what follows is not passed over");
    assert_eq!(Certificate::read(&der[..der.len() - 1]), Err(CertificateError::Malformed));
}

#[test]
fn an_extension_that_is_there_twice_makes_no_certificate() {
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
    // GeneralNames with one URI: another reader could take the other extension.
    let names = [&[0x30, 35, 0x86, 33][..], WORKLOAD.as_bytes()].concat();
    params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], names));
    assert_eq!(Certificate::read(&made(&params)), Err(CertificateError::Malformed));
}

#[test]
fn an_authority_between_speaks_for_its_own_domain_alone() {
    let named = |name: &str| svid(|params| params.subject_alt_names = vec![uri(name)]);
    assert!(named("spiffe://example.org").may_issue_for("example.org"));
    assert!(named("https://example.org/ca").may_issue_for("example.org"), "which names no domain");
    for other in ["spiffe://example.com", "spiffe://example.org/agents/robot", "spiffe://example.org/", "SPIFFE://example.com"] {
        assert!(!named(other).may_issue_for("example.org"), "{other}");
    }
    assert_eq!(svid(|_| {}).claimed_domain().as_deref(), Some("example.org"));
    assert_eq!(named("https://example.org").claimed_domain(), None);
    assert_eq!(named("Spiffe://a:b/c").claimed_domain().as_deref(), Some(""), "a domain that nobody has");
}

#[test]
fn nothing_of_a_name_is_in_what_is_logged() {
    let shown = format!("{:?}", peer(named_robot(), Trust::Authority));
    assert!(!shown.contains("robot") && shown.contains("thumbprint"), "{shown}");
}

proptest::proptest! {
    /// A certificate with some bytes changed, and any bytes.
    #[test]
    fn whatever_comes_nobody_is_let_in_by_it(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..256),
        changes in proptest::collection::vec((0..700_usize, proptest::num::u8::ANY), 0..4),
    ) {
        crate::fuzzing::certificate(&bytes);
        let mut der = GOOD.with(Clone::clone);
        for (at, byte) in changes {
            if let Some(changed) = der.get_mut(at) {
                *changed = byte;
            }
        }
        crate::fuzzing::certificate(&der);
    }
}

thread_local! {
    static GOOD: Vec<u8> = made(&CertificateParams::new(vec!["a.example".to_owned()]).expect("a name"));
}
