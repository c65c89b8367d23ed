//! Proofs, as claims; the attacker is a first-class actor here.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW_S: u64 = 1_800_000_000;
const URL: &str = "https://gate.example/mcp";
const TOKEN: &str = "an.access.token";

fn es256() -> ProofKey {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    ProofKey::from_pkcs8(pkcs8.as_ref()).unwrap()
}

fn eddsa() -> ProofKey {
    ProofKey::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
}

fn demanded() -> Demanded<'static> {
    Demanded { method: "POST", url: URL, access_token: Some(TOKEN), now_s: NOW_S, age_s_max: 60 }
}

fn proving() -> Proving<'static> {
    Proving { method: "POST", url: URL, access_token: Some(TOKEN), nonce: None, body: None, id: "one", now_s: NOW_S }
}

fn header(key: &ProofKey, alg: &str) -> Value {
    json!({ "typ": "dpop+jwt", "alg": alg, "jwk": key.public() })
}

fn claims() -> Value {
    json!({ "jti": "one", "htm": "POST", "htu": URL, "iat": NOW_S, "ath": hash(TOKEN) })
}

#[test]
fn the_proof_of_the_specification_is_believed() {
    // RFC 9449 §4.1.
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let demanded = Demanded {
        method: "POST",
        url: "https://server.example.com/token",
        access_token: None,
        now_s: 1_562_262_620,
        age_s_max: 60,
    };
    let read = verify(proof, &demanded).unwrap();
    assert_eq!(read.key_thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "RFC 9449 §6.1");
    assert_eq!(read.id, "-BwC3ESc6acc2lTc");
    // RFC 9449 §7.1.
    assert_eq!(hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

#[test]
fn proofs_of_both_algorithms_are_believed_with_all_that_they_hold() {
    for key in [es256(), eddsa()] {
        let proof = key.prove(&Proving { nonce: Some("n"), body: Some(b"{}"), ..proving() }).unwrap();
        let read = verify(&proof, &demanded()).unwrap();
        assert_eq!(read.key_thumbprint, key.thumbprint());
        assert_eq!((read.id.as_str(), read.nonce.as_deref()), ("one", Some("n")));
        assert!(read.is_for_body(b"{}") && !read.is_for_body(b"{ }"));
        assert!(verify(&key.prove(&proving()).unwrap(), &demanded()).unwrap().is_for_body(b"any body at all"));
    }
    let key = eddsa();
    let fully_specified = key.sign(&header(&key, "Ed25519"), &claims()).unwrap();
    assert!(verify(&fully_specified, &demanded()).is_ok(), "RFC 9864");
}

#[test]
fn a_header_that_says_too_much_or_something_else_is_refused() {
    let key = es256();
    let with = |name: &str, value: Value| {
        let mut header = header(&key, "ES256");
        header[name] = value;
        header
    };
    let mut private = key.public().clone();
    private["d"] = "AAAA".into();
    let name = |name: &str| ProofRefusal::Header { name: name.to_owned() };
    let cases = [
        ("crit", with("crit", json!(["exp"])), name("crit")),
        ("a key by reference", with("jku", "https://evil.example/keys".into()), name("jku")),
        ("a certificate", with("x5c", json!([])), name("x5c")),
        ("a key's id", with("kid", "1".into()), name("kid")),
        ("detached", with("b64", false.into()), name("b64")),
        ("compression", with("zip", "DEF".into()), name("zip")),
        ("a private half", with("jwk", private), ProofRefusal::Key(JwkError::Private)),
        ("no key", with("jwk", Value::Null), ProofRefusal::Key(JwkError::Kind)),
        ("another type", with("typ", "at+jwt".into()), ProofRefusal::Kind),
        ("no type", with("typ", Value::Null), ProofRefusal::Kind),
        ("none", with("alg", "none".into()), ProofRefusal::Algorithm),
        ("a keyed hash", with("alg", "HS256".into()), ProofRefusal::Algorithm),
        ("RSA", with("alg", "RS256".into()), ProofRefusal::Algorithm),
        ("another case", with("alg", "es256".into()), ProofRefusal::Algorithm),
        ("the algorithm of another key", with("alg", "EdDSA".into()), ProofRefusal::Signature),
        ("somebody else's key", with("jwk", es256().public().clone()), ProofRefusal::Signature),
    ];
    for (what, header, refusal) in cases {
        let proof = key.sign(&header, &claims()).unwrap();
        assert_eq!(verify(&proof, &demanded()).unwrap_err(), refusal, "{what}");
    }
}

#[test]
fn a_proof_for_another_request_is_refused() {
    let key = es256();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        claims
    };
    let cases = [
        ("another method", with("htm", "GET".into()), ProofRefusal::Method),
        ("the method in small letters", with("htm", "post".into()), ProofRefusal::Method),
        ("another host", with("htu", "https://evil.example/mcp".into()), ProofRefusal::Url),
        ("another path", with("htu", "https://gate.example/mcp/".into()), ProofRefusal::Url),
        ("another scheme", with("htu", "http://gate.example/mcp".into()), ProofRefusal::Url),
        ("another port", with("htu", "https://gate.example:8443/mcp".into()), ProofRefusal::Url),
        ("a name before the host", with("htu", "https://x@gate.example/mcp".into()), ProofRefusal::Url),
        ("backslashes", with("htu", "https:\\\\gate.example\\mcp".into()), ProofRefusal::Url),
        ("a path alone", with("htu", "/mcp".into()), ProofRefusal::Url),
        ("too old", with("iat", (NOW_S - 61).into()), ProofRefusal::Time),
        ("from the future", with("iat", (NOW_S + 61).into()), ProofRefusal::Time),
        ("far away", with("iat", json!(1e300)), ProofRefusal::Time),
        ("another token", with("ath", hash("another").into()), ProofRefusal::AccessToken),
        ("no token", with("ath", Value::Null), ProofRefusal::AccessToken),
        ("no id", with("jti", "".into()), ProofRefusal::Claims),
        ("an endless id", with("jti", "x".repeat(ID_BYTES_MAX + 1).into()), ProofRefusal::Claims),
        ("an endless nonce", with("nonce", "x".repeat(NONCE_BYTES_MAX + 1).into()), ProofRefusal::Claims),
        ("a time in words", with("iat", "now".into()), ProofRefusal::Claims),
        ("a digest that is none", with("content_digest", "sha".into()), ProofRefusal::Claims),
    ];
    for (what, claims, refusal) in cases {
        let proof = key.sign(&header(&key, "ES256"), &claims).unwrap();
        assert_eq!(verify(&proof, &demanded()).unwrap_err(), refusal, "{what}");
    }
}

#[test]
fn addresses_are_compared_after_normalisation_without_query_and_fragment() {
    let key = es256();
    for same in [
        "https://gate.example/mcp?x=1",
        "https://gate.example/mcp#f",
        "HTTPS://GATE.example:443/mcp",
        "https://gate.example/./mcp",
    ] {
        let proof = key.prove(&Proving { url: same, ..proving() }).unwrap();
        assert!(verify(&proof, &demanded()).is_ok(), "{same}");
    }
}

#[test]
fn what_is_no_proof_is_refused() {
    let key = es256();
    let good = key.prove(&proving()).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let twice =
        URL_SAFE_NO_PAD.encode(r#"{"jti":"one","jti":"two","htm":"POST","htu":"https://gate.example/mcp","iat":1800000000}"#);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let deep = encode(&format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000)));
    let listed = encode(r#"["one","POST","https://gate.example/mcp",1800000000,null,null,null]"#);
    let cases = [
        ("nothing", String::new(), ProofRefusal::Malformed),
        ("two parts", parts[..2].join("."), ProofRefusal::Malformed),
        ("four parts", format!("{good}.AAAA"), ProofRefusal::Malformed),
        ("five parts, as of an encrypted one", format!("{good}.AAAA.AAAA"), ProofRefusal::Malformed),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), ProofRefusal::Signature),
        ("another's signature", format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)), ProofRefusal::Signature),
        ("a claim twice", format!("{}.{twice}.{}", parts[0], parts[2]), ProofRefusal::Claims),
        ("endless depth", format!("{}.{deep}.{}", parts[0], parts[2]), ProofRefusal::Claims),
        ("claims as a list", format!("{}.{listed}.{}", parts[0], parts[2]), ProofRefusal::Claims),
        (
            "a header as a list",
            format!("{}.{}.{}", encode(r#"["ES256","dpop+jwt",null,{}]"#), parts[1], parts[2]),
            ProofRefusal::Malformed,
        ),
        (
            "a header's member twice",
            format!("{}.{}.{}", encode(r#"{"typ":"dpop+jwt","alg":"none","alg":"ES256"}"#), parts[1], parts[2]),
            ProofRefusal::Malformed,
        ),
        ("padding", format!("{}=.{}.{}", parts[0], parts[1], parts[2]), ProofRefusal::Malformed),
        ("too long", "A".repeat(PROOF_BYTES_MAX + 1), ProofRefusal::TooBig),
    ];
    for (what, proof, refusal) in cases {
        assert_eq!(verify(&proof, &demanded()).unwrap_err(), refusal, "{what}");
    }
}

#[test]
fn a_nonce_is_good_in_its_span_and_in_the_next() {
    let (ours, theirs) = (Nonces::new(&[1; 32], 60), Nonces::new(&[2; 32], 60));
    let nonce = ours.at(600);
    assert_eq!(nonce, ours.at(659));
    assert!(ours.holds(&nonce, 600) && ours.holds(&nonce, 719));
    assert!(!ours.holds(&nonce, 720), "too old");
    assert!(!ours.holds(&nonce, 599), "not given out yet");
    assert!(!theirs.holds(&nonce, 600), "another server's");
    assert!(!ours.holds("", 600) && !ours.holds(&nonce[1..], 600));
}

#[test]
fn no_proof_counts_twice_while_it_could_be_believed() {
    let mut replays = Replays::new(100, 10);
    for first_s in [0, 99, 100, 1_000] {
        let mut replays = Replays::new(100, 10);
        replays.take("filler", "at the beginning", 0).unwrap();
        replays.take("key", "one", first_s).unwrap();
        for again_s in [first_s, first_s + 1, first_s + 99] {
            assert_eq!(replays.take("key", "one", again_s), Err(NotTaken::Used), "{first_s} {again_s}");
        }
        assert!(replays.take("another", "one", first_s).is_ok(), "ids are of a key");
    }
    for number in 0..10 {
        replays.take("key", &number.to_string(), 5).unwrap();
    }
    assert_eq!(replays.take("key", "one too many", 5), Err(NotTaken::Full), "what cannot be remembered is not taken");
    assert_eq!(replays.take("key", "1", 104), Err(NotTaken::Used));
    assert!(replays.take("key", "room again", 105).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_no_proof(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzzing::dpop(&bytes);
    }

    #[test]
    fn nearly_proofs_are_none(text in r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{86}") {
        crate::fuzzing::dpop(text.as_bytes());
    }

    #[test]
    fn nearly_keys_are_read_alike(x in "[A-Za-z0-9_-]{43}", d in any::<bool>()) {
        let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        if d {
            jwk["d"] = "AAAA".into();
        }
        crate::fuzzing::dpop(jwk.to_string().as_bytes());
    }
}
