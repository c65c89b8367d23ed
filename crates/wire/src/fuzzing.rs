//! What a fuzzer calls, and what must hold for any bytes at all. The targets in `fuzz/` and a bounded run in the tests share these.

use crate::certificate::{Certificate, Known, Peer, Trust, is_workload};
use crate::dpop::{self, Demanded};
use crate::frame::{Frame, Kind, Limits};
use crate::jwk::PublicKey;
use crate::token::{Expected, SigningKey, VerifyingKeys, verify, verify_client, verify_person};
use crate::{assertion, authzen, canonical, headers, mcp};

/// Any bytes as a frame: what is accepted reads the same to an ordinary JSON reader, survives being put on one line, and every view of
/// it comes back.
pub fn frame(bytes: &[u8]) {
    let limits = Limits { bytes_max: 1 << 16, ..Limits::default() };
    let Ok(frame) = Frame::parse(bytes.to_vec(), &limits) else {
        return;
    };
    let tree: serde_json::Value = serde_json::from_slice(bytes).expect("an accepted frame is JSON");
    assert_eq!(tree.get("method").and_then(|method| method.as_str()), frame.method());
    assert_eq!(tree.get("params").cloned().unwrap_or_default(), frame.params());
    assert_eq!(frame.kind() == Kind::Notification, frame.method().is_some() && frame.id().is_none());
    let line = Frame::parse(frame.line(), &limits).expect("one line says the same");
    assert_eq!(serde_json::from_str::<serde_json::Value>(line.text()).expect("an accepted frame is JSON"), tree);
    let _ = (
        mcp::meta(&frame),
        mcp::tools(&frame),
        mcp::ToolCall::of(&frame),
        mcp::ResourceRead::of(&frame),
        mcp::subscribed_uris(&frame),
    );
    let _ = canonical::digest(&frame.params());
    if frame.params_raw().is_some() {
        let edited = frame.splice("/params", "{}", &limits).expect("params are there");
        assert_eq!(edited.params_raw(), Some("{}"));
        assert_eq!(edited.id(), frame.id());
    }
}

/// A frame and headers made of the bytes: an agreement means that no present header says anything else than the body.
pub fn headers(bytes: &[u8]) {
    let (head, body) = bytes.split_at(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    let Ok(frame) = Frame::parse(body.get(1..).unwrap_or_default().to_vec(), &Limits::default()) else {
        return;
    };
    let lines = head.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((std::str::from_utf8(&line[..colon]).ok()?, &line[colon + 1..]))
    });
    let pairs: Vec<(&str, &[u8])> = lines.collect();
    if headers::check(pairs.iter().copied(), &frame).is_ok() {
        for (_, value) in pairs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(headers::METHOD)) {
            let value = std::str::from_utf8(value).expect("an accepted header is text").trim_ascii();
            assert!(frame.method().is_none_or(|method| method == value));
        }
    }
    let _ = headers::params(&frame.params());
    let own = headers::standard(&frame);
    let own = own.iter().map(|(name, value)| (*name, value.as_bytes()));
    let agreed = headers::check(own, &frame);
    assert!(!matches!(agreed, Err(headers::HeaderMismatch::Twice { .. })));
}

/// Any bytes as a token: nothing that the key did not sign is believed.
pub fn token(bytes: &[u8]) {
    let key = SigningKey::from_seed("fuzz", &[7; 32]).expect("a seed is any 32 bytes");
    let keys = VerifyingKeys::new().with(&key).expect("one key");
    let expected = Expected { issuer: "i", audience: "a", now_s: 0, leeway_s: 0 };
    let token = String::from_utf8_lossy(bytes);
    assert!(verify(&keys, &token, &expected).is_err());
    assert!(verify_person(&keys, &token, &expected).is_err());
    assert!(verify_client(&keys, &token, &expected).is_err());
}

/// Any bytes as a proof, as a key and as a client's assertion: nothing is believed that no key signed, and a key has one thumbprint.
pub fn dpop(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let demanded =
        Demanded { method: "POST", url: "https://gate.example/mcp", access_token: None, now_s: 0, age_s_max: dpop::AGE_S_MAX };
    // Only who holds a private key gets through, and no fuzzer finds one.
    assert!(dpop::verify(&text, &demanded).is_err());
    let expected = assertion::Expected { client: "c", audiences: &["https://gate.example"], now_s: 0 };
    assert!(assertion::verify(&[], &text, &expected).is_err());
    assert!(assertion::verify_identity(&[], &text, "i", &expected).is_err());
    assert!(assertion::verify_svid(&[], &text, &expected).is_err());
    let Ok(jwk) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    if let Ok(key) = PublicKey::of(&jwk) {
        assert!(jwk.get("d").is_none());
        assert_eq!(PublicKey::of(&jwk).expect("it was read before").thumbprint(), key.thumbprint());
    }
    let _ = (PublicKey::set(&jwk), PublicKey::set_of_issuer(&jwk));
}

/// Any bytes as a question of an enforcement point: what is read alone is read the same among others, and every bound holds.
pub fn authzen(bytes: &[u8]) {
    let _ = authzen::read::<authzen::SubjectSearch>(bytes);
    let _ = authzen::read::<authzen::ResourceSearch>(bytes);
    let _ = authzen::read::<authzen::ActionSearch>(bytes);
    let _ = authzen::read::<authzen::AccessRequest>(bytes);
    let one = authzen::evaluation(bytes);
    match authzen::evaluations(bytes) {
        Ok(authzen::Evaluations::One(question)) => assert_eq!(one.as_ref().ok(), Some(&*question)),
        Ok(authzen::Evaluations::Many { questions, .. }) => assert!(questions.len() <= authzen::EVALUATIONS_MAX),
        Err(_) => {}
    }
    let Ok(question) = one else { return };
    let _ = question.digest();
    if let Ok(attributes) = authzen::attributes("subject", &question.subject.properties) {
        assert!(attributes.len() <= authzen::ATTRIBUTES_MAX);
        assert!(attributes.iter().all(|attribute| attribute.contains('=') && attribute.len() <= authzen::ATTRIBUTE_BYTES_MAX));
    }
}

/// Any bytes as a certificate: whatever is read, nobody is who the registration does not say.
pub fn certificate(bytes: &[u8]) {
    let _ = Certificate::thumbprints(bytes);
    let Ok(certificate) = Certificate::read(bytes) else { return };
    let _ = (certificate.claimed_domain(), certificate.may_issue_for("example.org"));
    let workload = certificate.workload().map(str::to_owned);
    assert!(workload.as_ref().is_ok_and(|id| is_workload(id)) || workload.is_err());
    let peer = Peer { certificate, trust: Trust::Nobody };
    assert!(!peer.is("", 0));
    for known in
        [Known::Subject(String::new()), Known::Dns(String::new()), Known::Uri(String::new()), Known::Thumbprints(Vec::new())]
    {
        assert!(known.admits(&peer, 0).is_err());
    }
}
