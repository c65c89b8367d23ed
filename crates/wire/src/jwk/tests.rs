//! Keys of others, as claims.

use serde_json::{Value, json};

use super::{JwkError, PublicKey};

fn ec() -> Value {
    // RFC 9449 §4.1.
    json!({
        "kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"
    })
}

fn ed() -> Value {
    // RFC 8037 A.2.
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

#[test]
fn thumbprints_are_those_of_the_specifications() {
    assert_eq!(PublicKey::of(&ec()).unwrap().thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "RFC 9449 §6.1");
    assert_eq!(PublicKey::of(&ed()).unwrap().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "RFC 8037 A.3");
}

#[test]
fn what_says_nothing_here_does_not_change_the_thumbprint() {
    let mut key = ec();
    key["use"] = "sig".into();
    key["ext"] = true.into();
    key["kid"] = "one".into();
    key["alg"] = "ES256".into();
    let read = PublicKey::of(&key).unwrap();
    assert_eq!(read.thumbprint(), PublicKey::of(&ec()).unwrap().thumbprint());
    assert_eq!(read.id(), Some("one"));
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let with = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    let x = ed()["x"].as_str().unwrap().to_owned();
    let cases = [
        ("a private half", with(ec(), "d", "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE".into()), JwkError::Private),
        ("an empty private half", with(ed(), "d", Value::Null), JwkError::Private),
        ("a symmetric key", json!({ "kty": "oct", "k": "AAAA" }), JwkError::Private),
        ("an RSA key", json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }), JwkError::Kind),
        ("another curve", with(ec(), "crv", "P-384".into()), JwkError::Kind),
        ("a curve of another type", with(ed(), "kty", "EC".into()), JwkError::Kind),
        ("X25519", with(ed(), "crv", "X25519".into()), JwkError::Kind),
        ("a short coordinate", with(ec(), "x", "AAAA".into()), JwkError::Kind),
        ("a second spelling of the last byte", with(ed(), "x", format!("{}p", &x[..x.len() - 1]).into()), JwkError::Kind),
        ("padding", with(ed(), "x", format!("{x}=").into()), JwkError::Kind),
        ("a number", with(ec(), "y", 1.into()), JwkError::Kind),
        ("another algorithm", with(ec(), "alg", "EdDSA".into()), JwkError::Kind),
        ("a keyed hash", with(ec(), "alg", "HS256".into()), JwkError::Kind),
        ("a long id", with(ec(), "kid", "x".repeat(300).into()), JwkError::Id),
        ("a list", json!([]), JwkError::Kind),
        ("a list of what a key has", json!(["OKP", "Ed25519", x, null, null, null, 0, 0, 0, 0, 0, 0, 0, 0]), JwkError::Kind),
    ];
    for (what, key, refusal) in cases {
        assert_eq!(PublicKey::of(&key).unwrap_err(), refusal, "{what}");
    }
}

#[test]
fn a_set_is_bounded_and_holds_as_a_whole() {
    assert_eq!(PublicKey::set(&json!({ "keys": [ec(), ed()] })).unwrap().len(), 2);
    assert_eq!(PublicKey::set(&json!({ "keys": [] })).unwrap_err(), JwkError::Count);
    assert_eq!(PublicKey::set(&json!({ "keys": vec![ec(); 17] })).unwrap_err(), JwkError::Count);
    assert_eq!(PublicKey::set(&json!({ "keys": [ec(), { "kty": "RSA" }] })).unwrap_err(), JwkError::Kind);
    assert_eq!(PublicKey::set(&ec()).unwrap_err(), JwkError::Count);
}
