//! Tokens, as claims; the attacker is a first-class actor here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    ACTORS_MAX, Binding, Claims, ClientClaims, Expected, KeyError, PersonClaims, SigningKey, TOKEN_BYTES_MAX, TokenRefusal,
};
use super::{VerifyingKeys, sign, sign_client, sign_person, thumbprint, verify, verify_client, verify_person};

const NOW_S: u64 = 1_800_000_000;
const EXPECTED: Expected = Expected { issuer: "https://prudence.example", audience: "gateway", now_s: NOW_S, leeway_s: 5 };

fn key(id: &str) -> SigningKey {
    SigningKey::from_seed(id, &[id.len() as u8; 32]).unwrap()
}

fn keys() -> VerifyingKeys {
    VerifyingKeys::new().with(&key("k1")).unwrap()
}

fn claims() -> Claims {
    Claims {
        issuer: "https://prudence.example".into(),
        audience: "gateway".into(),
        expires_s: NOW_S + 900,
        issued_s: NOW_S,
        not_before_s: None,
        id: "t-1".into(),
        requester: "bo".into(),
        actors: vec!["helper".into(), "subhelper".into()],
        client: None,
        task: "task-9".into(),
        binding: None,
    }
}

fn person() -> PersonClaims {
    PersonClaims {
        issuer: "https://prudence.example".into(),
        expires_s: NOW_S + 900,
        issued_s: NOW_S,
        id: "p-1".into(),
        person: "ada".into(),
    }
}

fn client(audience: &str) -> ClientClaims {
    ClientClaims {
        issuer: "https://prudence.example".into(),
        audience: audience.into(),
        expires_s: NOW_S + 900,
        issued_s: NOW_S,
        id: "c-1".into(),
        client: "okta".into(),
    }
}

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn refused(token: &str) -> TokenRefusal {
    verify(&keys(), token, &EXPECTED).expect_err("an attack must not be believed")
}

/// A token with any header and body, signed with the trusted key.
fn forged(header: Value, body: &Value) -> String {
    let message = [header, body.clone()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    signed(&message)
}

fn signed(message: &str) -> String {
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key("k1").encoding(), Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn body() -> Value {
    part(&sign(&key("k1"), &claims()).unwrap(), 1)
}

#[test]
fn a_signed_token_says_the_same_after_verification() {
    let token = sign(&key("k1"), &claims()).unwrap();
    let read = verify(&keys(), &token, &EXPECTED).unwrap();
    assert_eq!(read, claims());
    assert_eq!(read.chain(), ["bo", "helper", "subhelper"]);
    assert_eq!(read.caller(), "subhelper");
}

#[test]
fn on_the_wire_it_is_rfc_9068_with_the_actors_of_rfc_8693() {
    let token =
        sign(&key("k1"), &Claims { not_before_s: Some(NOW_S), binding: Some(Binding::Key("thumb".into())), ..claims() }).unwrap();
    assert_eq!(part(&token, 0), json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "k1" }));
    let expected = json!({
        "iss": "https://prudence.example", "aud": "gateway", "exp": NOW_S + 900, "iat": NOW_S, "nbf": NOW_S, "jti": "t-1", "sub": "bo",
        "client_id": "subhelper", "act": { "sub": "subhelper", "act": { "sub": "helper" } }, "task": "task-9", "cnf": { "jkt": "thumb" },
    });
    assert_eq!(part(&token, 1), expected);
}

#[test]
fn only_the_named_algorithm_is_believed() {
    let none = json!({ "alg": "none", "typ": "at+jwt", "kid": "k1" });
    let unsigned = [none, body()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".") + ".";
    assert_eq!(refused(&unsigned), TokenRefusal::Algorithm);

    // The public key used as an HMAC secret.
    let mut header = Header::new(Algorithm::HS256);
    (header.typ, header.kid) = (Some("at+jwt".into()), Some("k1".into()));
    let hmac = jsonwebtoken::encode(&header, &body(), &EncodingKey::from_secret(key("k1").public())).unwrap();
    assert_eq!(refused(&hmac), TokenRefusal::Algorithm);
    for alg in [json!("eddsa"), json!("ES256"), json!(["EdDSA"]), Value::Null] {
        assert_eq!(refused(&forged(json!({ "alg": alg, "typ": "at+jwt", "kid": "k1" }), &body())), TokenRefusal::Algorithm);
    }
}

#[test]
fn only_the_named_key_is_believed() {
    let other = SigningKey::from_seed("k1", &[9; 32]).unwrap();
    assert_eq!(refused(&sign(&other, &claims()).unwrap()), TokenRefusal::Signature);
    assert_eq!(refused(&sign(&key("other"), &claims()).unwrap()), TokenRefusal::UnknownKey);
    assert_eq!(refused(&forged(json!({ "alg": "EdDSA", "typ": "at+jwt" }), &body())), TokenRefusal::UnknownKey);
}

#[test]
fn a_header_brings_no_key_and_no_rules() {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key("k1").public()) });
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["AA=="])),
        ("x5t", json!("AA")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("b64", json!(false)),
    ] {
        let mut header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" });
        header[name] = value;
        assert_eq!(refused(&forged(header, &body())), TokenRefusal::Header { name: name.into() });
    }
}

#[test]
fn a_header_is_read_strictly() {
    for header in [
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1","typ":"person+jwt"}"#,
        r#"{"alg":"none","\u0061lg":"EdDSA","typ":"at+jwt","kid":"k1"}"#,
        "[]",
        "x",
    ] {
        let message = [header.to_owned(), body().to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        assert_eq!(refused(&signed(&message)), TokenRefusal::Malformed);
    }
}

#[test]
fn a_client_token_opens_one_door_and_is_no_other_kind_of_token() {
    let at = |audience: &'static str| Expected { audience, ..EXPECTED };
    let scim = sign_client(&key("k1"), &client("scim")).unwrap();
    assert_eq!(verify_client(&keys(), &scim, &at("scim")), Ok(client("scim")));
    assert_eq!(verify_client(&keys(), &scim, &at("another")), Err(TokenRefusal::Audience));
    for audience in ["gateway", "approvals"] {
        let token = sign_client(&key("k1"), &client(audience)).unwrap();
        assert_eq!(refused(&token), TokenRefusal::Kind { expected: "at+jwt" });
        assert_eq!(verify_person(&keys(), &token, &EXPECTED), Err(TokenRefusal::Kind { expected: "person+jwt" }));
    }
    for token in [sign(&key("k1"), &claims()).unwrap(), sign_person(&key("k1"), &person()).unwrap()] {
        assert_eq!(verify_client(&keys(), &token, &EXPECTED), Err(TokenRefusal::Kind { expected: "client+jwt" }));
    }
    let ended = sign_client(&key("k1"), &ClientClaims { issued_s: NOW_S - 900, expires_s: NOW_S - 6, ..client("scim") }).unwrap();
    assert!(matches!(verify_client(&keys(), &ended, &at("scim")), Err(TokenRefusal::Expired { .. })));
    assert_eq!(sign_client(&key("k1"), &client("")), Err(TokenRefusal::Name));
}

#[test]
fn the_two_kinds_are_never_taken_for_each_other() {
    let as_person = |token: &str| verify_person(&keys(), token, &EXPECTED).unwrap_err();
    let task_token = sign(&key("k1"), &claims()).unwrap();
    let person_token = sign_person(&key("k1"), &person()).unwrap();
    assert_eq!(verify_person(&keys(), &person_token, &EXPECTED), Ok(person()));
    assert_eq!(as_person(&task_token), TokenRefusal::Kind { expected: "person+jwt" });
    assert_eq!(refused(&person_token), TokenRefusal::Kind { expected: "at+jwt" });

    // Even where the type lies, the claims and the audience do not fit.
    let lying = forged(json!({ "alg": "EdDSA", "typ": "person+jwt", "kid": "k1" }), &body());
    assert_eq!(as_person(&lying), TokenRefusal::Claims { expected: "person+jwt" });
    let lying = forged(json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" }), &part(&person_token, 1));
    assert_eq!(refused(&lying), TokenRefusal::Claims { expected: "at+jwt" });
    let approvals = sign(&key("k1"), &Claims { audience: "approvals".into(), ..claims() }).unwrap();
    assert_eq!(refused(&approvals), TokenRefusal::Audience);
    let mut elsewhere = part(&person_token, 1);
    elsewhere["aud"] = json!("gateway");
    assert_eq!(
        as_person(&forged(json!({ "alg": "EdDSA", "typ": "person+jwt", "kid": "k1" }), &elsewhere)),
        TokenRefusal::Audience
    );

    for typ in [json!("JWT"), json!("AT+JWT"), json!("application/at+jwt"), json!("at+jwt "), Value::Null] {
        assert_eq!(
            refused(&forged(json!({ "alg": "EdDSA", "typ": typ, "kid": "k1" }), &body())),
            TokenRefusal::Kind { expected: "at+jwt" }
        );
    }
}

#[test]
fn issuer_and_audience_must_be_the_expected_ones() {
    assert_eq!(
        refused(&sign(&key("k1"), &Claims { issuer: "https://evil.example".into(), ..claims() }).unwrap()),
        TokenRefusal::Issuer
    );
    assert_eq!(refused(&sign(&key("k1"), &Claims { audience: "elsewhere".into(), ..claims() }).unwrap()), TokenRefusal::Audience);
}

#[test]
fn a_token_holds_from_its_beginning_to_its_end() {
    let token = sign(&key("k1"), &Claims { not_before_s: Some(NOW_S + 60), ..claims() }).unwrap();
    let at = |now_s| verify(&keys(), &token, &Expected { now_s, ..EXPECTED });
    assert_eq!(at(NOW_S + 54), Err(TokenRefusal::NotYet { from_s: NOW_S + 60 }));
    assert!(at(NOW_S + 55).is_ok());
    assert!(at(NOW_S + 904).is_ok());
    assert_eq!(at(NOW_S + 905), Err(TokenRefusal::Expired { expired_s: NOW_S + 900 }));
    assert_eq!(at(u64::MAX), Err(TokenRefusal::Expired { expired_s: NOW_S + 900 }));
    let early = sign(&key("k1"), &Claims { issued_s: NOW_S + 6, ..claims() }).unwrap();
    assert_eq!(refused(&early), TokenRefusal::NotYet { from_s: NOW_S + 6 });
    assert_eq!(sign(&key("k1"), &Claims { expires_s: NOW_S, ..claims() }), Err(TokenRefusal::Lifetime));
}

#[test]
fn claims_are_all_there_known_and_of_their_types() {
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" });
    for name in ["iss", "aud", "exp", "iat", "jti", "sub", "client_id", "act", "task"] {
        let mut body = body();
        body.as_object_mut().unwrap().remove(name);
        assert_eq!(refused(&forged(header.clone(), &body)), TokenRefusal::Claims { expected: "at+jwt" }, "{name}");
    }
    for (name, value) in [
        ("exp", json!("1800000900")),
        ("exp", json!(1.8e18)),
        ("exp", json!(-1)),
        ("aud", json!(["gateway", "elsewhere"])),
        ("scope", json!("everything")),
        ("act", json!({ "sub": "subhelper", "iss": "https://evil.example" })),
        ("cnf", json!({ "jkt": "a", "x5t#S256": "b" })),
        ("cnf", json!({ "x5t": "a" })),
        ("cnf", json!({})),
        ("cnf", json!("jkt")),
    ] {
        let mut body = body();
        body[name] = value;
        assert_eq!(refused(&forged(header.clone(), &body)), TokenRefusal::Claims { expected: "at+jwt" }, "{name}");
    }
    let twice = body().to_string().replacen('{', r#"{"sub":"eve","#, 1);
    let message = [header.to_string(), twice].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    assert_eq!(refused(&signed(&message)), TokenRefusal::Claims { expected: "at+jwt" });
}

#[test]
fn a_token_says_whether_a_key_or_a_certificate_is_to_be_shown() {
    for (binding, cnf) in [
        (Binding::Key("thumb".into()), json!({ "jkt": "thumb" })),
        (Binding::Certificate("thumb".into()), json!({ "x5t#S256": "thumb" })),
    ] {
        let bound = Claims { binding: Some(binding), ..claims() };
        let token = sign(&key("k1"), &bound).unwrap();
        let body: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
        assert_eq!(body["cnf"], cnf);
        assert_eq!(verify(&keys(), &token, &EXPECTED).unwrap(), bound);
    }
}

#[test]
fn a_client_with_another_name_than_its_agent_is_named() {
    let token = sign(&key("k1"), &Claims { client: Some("https://app.example/client".into()), ..claims() }).unwrap();
    assert_eq!(part(&token, 1)["client_id"], "https://app.example/client");
    let read = verify(&keys(), &token, &EXPECTED).unwrap();
    assert_eq!((read.client.as_deref(), read.caller()), (Some("https://app.example/client"), "subhelper"));
    assert_eq!(sign(&key("k1"), &Claims { client: Some("x".repeat(257)), ..claims() }), Err(TokenRefusal::Name));
}

#[test]
fn chain_names_and_size_are_bounded() {
    let with = |actors: usize| Claims { actors: vec!["a".repeat(200); actors], ..claims() };
    assert_eq!(sign(&key("k1"), &with(0)), Err(TokenRefusal::Chain { actors: 0 }));
    assert_eq!(sign(&key("k1"), &with(ACTORS_MAX + 1)), Err(TokenRefusal::Chain { actors: ACTORS_MAX + 1 }));
    let longest = sign(&key("k1"), &with(ACTORS_MAX)).unwrap();
    assert!(verify(&keys(), &longest, &EXPECTED).is_ok());

    let mut body = body();
    body["act"] = (0..=ACTORS_MAX).fold(Value::Null, |inner, _| {
        if inner.is_null() { json!({ "sub": "subhelper" }) } else { json!({ "sub": "subhelper", "act": inner }) }
    });
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" });
    assert_eq!(refused(&forged(header, &body)), TokenRefusal::Chain { actors: ACTORS_MAX + 1 });
    for name in [String::new(), "x".repeat(257), "a\nb".into()] {
        assert_eq!(sign(&key("k1"), &Claims { requester: name, ..claims() }), Err(TokenRefusal::Name));
    }
    assert_eq!(refused(&"x".repeat(TOKEN_BYTES_MAX + 1)), TokenRefusal::TooBig { bytes: TOKEN_BYTES_MAX + 1 });
}

#[test]
fn a_changed_token_is_refused() {
    let token = sign(&key("k1"), &claims()).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        refused(&String::from_utf8(changed).unwrap());
    }
    for changed in [
        format!("{token}."),
        format!("{token}="),
        format!(" {token}"),
        token.replacen('.', "..", 1),
        token[..token.len() - 1].to_owned(),
    ] {
        refused(&changed);
    }
}

#[test]
fn keys_are_read_as_pem_with_or_without_their_public_half() {
    // RFC 8410 §10.3 and §10.1: one pair.
    let v1 = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let public =
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let signing = SigningKey::from_pem("k", v1).unwrap();
    let mut keys = VerifyingKeys::new();
    keys.add_pem("k", public).unwrap();
    let token = sign(&signing, &claims()).unwrap();
    assert!(verify(&keys, &token, &EXPECTED).is_ok());
    assert_eq!(keys.add_pem("k", public), Err(KeyError::Twice { id: "k".into() }));

    use aws_lc_rs::signature::Ed25519KeyPair;
    let v2 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let signing = SigningKey::from_der("v2", v2.as_ref()).unwrap();
    let keys = VerifyingKeys::new().with(&signing).unwrap();
    assert!(verify(&keys, &sign(&signing, &claims()).unwrap(), &EXPECTED).is_ok());
    assert_eq!(SigningKey::from_pem("k", public).unwrap_err(), KeyError::Private);
    assert_eq!(SigningKey::from_der("k", &[1, 2, 3]).unwrap_err(), KeyError::Private);
}

#[test]
fn debug_shows_no_secret() {
    let seen = format!(
        "{:?} {:?} {:?} {:?}",
        key("k1"),
        keys(),
        Claims { binding: Some(Binding::Key("thumb".into())), ..claims() },
        person()
    );
    assert_eq!(
        seen,
        r#"SigningKey { id: "k1", .. } {"k1"} Claims { chain: ["bo", "helper", "subhelper"], task: "task-9", expires_s: 1800000900, .. } PersonClaims { person: "ada", expires_s: 1800000900, .. }"#
    );
}

#[test]
fn thumbprints_are_those_of_rfc_7638_and_rfc_8037() {
    // RFC 7638 §3.1.
    let rsa = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
    });
    assert_eq!(thumbprint(&rsa).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 A.3.
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(thumbprint(&ed).unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    // RFC 8037 A.1: the private half.
    let mut private = ed;
    private["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    assert_eq!(thumbprint(&private), Err(KeyError::PrivateInPublic));
}

#[test]
fn signatures_are_those_of_rfc_8037() {
    // A.1 and A.4.
    let seed: [u8; 32] = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap().try_into().unwrap();
    let key = SigningKey::from_seed("a", &seed).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(key.public()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(jsonwebtoken::crypto::sign(message.as_bytes(), key.encoding(), Algorithm::EdDSA).unwrap(), signature);
}

proptest! {
    #[test]
    fn any_bytes_are_no_token(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzzing::token(&bytes);
    }

    #[test]
    fn nearly_tokens_are_none(text in r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{86}") {
        crate::fuzzing::token(text.as_bytes());
    }
}
