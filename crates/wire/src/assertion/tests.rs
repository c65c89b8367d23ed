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

/// RFC 7515 A.2.1: the key of the specification's own RS256 example.
fn rsa() -> Value {
    json!({
        "kty": "RSA", "use": "sig", "kid": "rsa",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    })
}

#[test]
fn the_rsa_example_of_the_specification_is_verified() {
    let keys = PublicKey::set_of_issuer(&json!({ "keys": [rsa()] })).unwrap();
    // RFC 7515 A.2.1.
    let (message, signature) = (
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    assert!(keys[0].verifies(message, signature));
    assert!(!keys[0].verifies(message, &signature.replace("cC4", "cC5")));
    assert!(PublicKey::of(&rsa()).is_err(), "clients and proofs have none");
}

#[test]
fn a_provider_is_believed_about_what_it_said_to_this_client_and_this_server() {
    let (provider, other) = (key(), key());
    let keys = PublicKey::set_of_issuer(&json!({ "keys": [rsa(), provider.public()] })).unwrap();
    let header = json!({ "alg": "EdDSA", "typ": "oauth-id-jag+jwt" });
    let claims = || {
        json!({
            "iss": "https://idp.example", "sub": "u-1", "email": "bo@example.com", "aud": SERVER, "client_id": "agent", "jti": "one",
            "exp": NOW_S + 60, "iat": NOW_S, "scope": "read",
        })
    };
    let read = |assertion: &str| verify_identity(&keys, assertion, "https://idp.example", &expected());
    let good = provider.sign(&header, &claims()).unwrap();
    assert_eq!(claimed_issuer(&good).unwrap(), "https://idp.example");
    let identity = read(&good).unwrap();
    assert_eq!(
        (identity.subject.as_str(), identity.email.as_deref(), identity.scope.as_deref()),
        ("u-1", Some("bo@example.com"), Some("read"))
    );
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        provider.sign(&header, &claims).unwrap()
    };
    let cases = [
        ("another provider", with("iss", "https://evil.example".into()), AssertionRefusal::Client),
        ("said to another client", with("client_id", "other".into()), AssertionRefusal::Client),
        ("for another server", with("aud", "https://evil.example".into()), AssertionRefusal::Audience),
        ("for us and another", with("aud", json!([SERVER, "https://evil.example"])), AssertionRefusal::Audience),
        ("over", with("exp", (NOW_S - 60).into()), AssertionRefusal::Time),
        ("for ever", with("exp", (NOW_S + 86_400).into()), AssertionRefusal::Time),
        ("without a time", with("iat", Value::Null), AssertionRefusal::Identity),
        ("without an id", with("jti", "".into()), AssertionRefusal::Identity),
        ("about nobody", with("sub", "".into()), AssertionRefusal::Identity),
        ("by another's key", other.sign(&header, &claims()).unwrap(), AssertionRefusal::Signature),
        ("a client's own word", provider.assert_client("agent", SERVER, "one", NOW_S).unwrap(), AssertionRefusal::Kind),
        ("an id token", provider.sign(&json!({ "alg": "EdDSA", "typ": "JWT" }), &claims()).unwrap(), AssertionRefusal::Kind),
        (
            "unsigned",
            provider.sign(&json!({ "alg": "none", "typ": "oauth-id-jag+jwt" }), &claims()).unwrap(),
            AssertionRefusal::Algorithm,
        ),
        (
            "as if by RSA",
            provider.sign(&json!({ "alg": "RS256", "typ": "oauth-id-jag+jwt" }), &claims()).unwrap(),
            AssertionRefusal::Signature,
        ),
    ];
    for (what, assertion, refusal) in cases {
        assert_eq!(read(&assertion).unwrap_err(), refusal, "{what}");
    }
}

#[test]
fn a_workload_is_believed_by_the_keys_of_its_trust_domain() {
    let (domain, other) = (key(), key());
    let bundle = |signer: &ProofKey, usage: &str| {
        let mut jwk = signer.public().clone();
        jwk["use"] = usage.into();
        jwk["kid"] = "k".into();
        jwk
    };
    let keys =
        PublicKey::set_of_trust_domain(&json!({ "keys": [bundle(&domain, "jwt-svid"), bundle(&other, "x509-svid")] })).unwrap();
    assert_eq!(keys.len(), 1, "keys for certificates sign no tokens");
    let expected = Expected { client: "spiffe://example.org/helper", ..expected() };
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k" });
    let claims = || json!({ "sub": "spiffe://example.org/helper", "aud": [SERVER], "exp": NOW_S + 300, "iat": NOW_S });
    let good = domain.sign(&header, &claims()).unwrap();
    assert_eq!(claimed_workload(&good).unwrap(), "spiffe://example.org/helper");
    assert_eq!(verify_svid(&keys, &good, &expected), Ok(()));
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        domain.sign(&header, &claims).unwrap()
    };
    let cases = [
        ("another workload", with("sub", "spiffe://example.org/other".into()), AssertionRefusal::Client),
        ("a workload below it", with("sub", "spiffe://example.org/helper/more".into()), AssertionRefusal::Client),
        ("another trust domain", with("sub", "spiffe://example.com/helper".into()), AssertionRefusal::Client),
        ("another server", with("aud", json!(["https://evil.example"])), AssertionRefusal::Audience),
        ("us and another", with("aud", json!([SERVER, "https://evil.example"])), AssertionRefusal::Audience),
        ("nobody", with("aud", json!([])), AssertionRefusal::Audience),
        ("over", with("exp", (NOW_S - 60).into()), AssertionRefusal::Time),
        ("for ever", with("exp", (NOW_S + 86_400).into()), AssertionRefusal::Time),
        ("endless", with("exp", Value::Null), AssertionRefusal::Svid),
        ("a certificate's key", other.sign(&header, &claims()).unwrap(), AssertionRefusal::Signature),
        ("no key's name", domain.sign(&json!({ "alg": "EdDSA" }), &claims()).unwrap(), AssertionRefusal::Signature),
        (
            "another key's name",
            domain.sign(&json!({ "alg": "EdDSA", "kid": "x" }), &claims()).unwrap(),
            AssertionRefusal::Signature,
        ),
        ("unsigned", domain.sign(&json!({ "alg": "none", "kid": "k" }), &claims()).unwrap(), AssertionRefusal::Algorithm),
        (
            "another kind",
            domain.sign(&json!({ "alg": "EdDSA", "kid": "k", "typ": "at+jwt" }), &claims()).unwrap(),
            AssertionRefusal::Kind,
        ),
    ];
    for (what, svid, refusal) in cases {
        assert_eq!(verify_svid(&keys, &svid, &expected).unwrap_err(), refusal, "{what}");
    }
}
