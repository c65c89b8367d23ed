//! Assertions, as claims; the attacker is a first-class actor here.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::{Value, json};

use super::*;
use crate::dpop::ProofKey;

const NOW_S: u64 = 1_800_000_000;
const SERVER: &str = "https://auth.example";

fn key() -> ProofKey {
    ProofKey::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
}

fn expected() -> Expected<'static> {
    Expected { client: "agent", audiences: &[SERVER], now_s: NOW_S }
}

#[test]
fn a_client_is_believed_by_its_own_key_only() {
    let (ours, theirs) = (key(), key());
    let keys = [PublicKey::of(ours.public()).unwrap()];
    let assertion = ours.assert_client("agent", SERVER, "one", NOW_S).unwrap();
    assert_eq!(claimed_client(&assertion).unwrap(), "agent");
    assert_eq!(verify(&keys, &assertion, &expected()).unwrap().id, "one");
    let forged = theirs.assert_client("agent", SERVER, "one", NOW_S).unwrap();
    assert_eq!(verify(&keys, &forged, &expected()).unwrap_err(), AssertionRefusal::Signature);
    assert_eq!(verify(&[], &assertion, &expected()).unwrap_err(), AssertionRefusal::Signature);
}

#[test]
fn what_is_not_meant_for_here_and_now_is_refused() {
    let ours = key();
    let keys = [PublicKey::of(ours.public()).unwrap()];
    let header = json!({ "alg": "EdDSA" });
    let with = |name: &str, value: Value| {
        let mut claims = json!({ "iss": "agent", "sub": "agent", "aud": SERVER, "jti": "one", "exp": NOW_S + 60 });
        claims[name] = value;
        ours.sign(&header, &claims).unwrap()
    };
    let cases = [
        ("another's name", with("sub", "other".into()), AssertionRefusal::Client),
        ("another issuer", with("iss", "other".into()), AssertionRefusal::Client),
        ("another server", with("aud", "https://evil.example".into()), AssertionRefusal::Audience),
        ("us and another", with("aud", json!([SERVER, "https://evil.example"])), AssertionRefusal::Audience),
        ("nobody", with("aud", json!([])), AssertionRefusal::Audience),
        ("over", with("exp", (NOW_S - 30).into()), AssertionRefusal::Time),
        ("for ever", with("exp", (NOW_S + 86_400).into()), AssertionRefusal::Time),
        ("not yet", with("nbf", (NOW_S + 60).into()), AssertionRefusal::Time),
        ("from the future", with("iat", (NOW_S + 60).into()), AssertionRefusal::Time),
        ("without an id", with("jti", "".into()), AssertionRefusal::Claims),
        ("with an id that is none", with("jti", Value::Null), AssertionRefusal::Claims),
        ("endless", with("exp", Value::Null), AssertionRefusal::Claims),
    ];
    for (what, assertion, refusal) in cases {
        assert_eq!(verify(&keys, &assertion, &expected()).unwrap_err(), refusal, "{what}");
    }
    assert!(verify(&keys, &with("aud", json!([SERVER])), &expected()).is_ok());
}

#[test]
fn a_header_that_says_too_much_is_refused() {
    let ours = key();
    let keys = [PublicKey::of(ours.public()).unwrap()];
    let claims = json!({ "iss": "agent", "sub": "agent", "aud": SERVER, "jti": "one", "exp": NOW_S + 60 });
    let header = |name: &str| AssertionRefusal::Header { name: name.to_owned() };
    let cases = [
        (json!({ "alg": "EdDSA", "crit": ["b64"] }), header("crit")),
        (json!({ "alg": "EdDSA", "jwk": ours.public() }), header("jwk")),
        (json!({ "alg": "none" }), AssertionRefusal::Algorithm),
        (json!({ "alg": "HS256" }), AssertionRefusal::Algorithm),
        (json!({ "alg": "ES256" }), AssertionRefusal::Signature),
        (json!({ "alg": "EdDSA", "typ": "at+jwt" }), AssertionRefusal::Kind),
        (json!({ "alg": "EdDSA", "typ": "dpop+jwt" }), AssertionRefusal::Kind),
    ];
    for (header, refusal) in cases {
        assert_eq!(verify(&keys, &ours.sign(&header, &claims).unwrap(), &expected()).unwrap_err(), refusal, "{header}");
    }
}
