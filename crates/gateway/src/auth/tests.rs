//! Who is let in, as claims: a stolen token, a stolen proof and everything between.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use http::HeaderValue;
use wire::dpop::{ProofKey, Proving};
use wire::token::{Binding, Claims, SigningKey, sign};

use super::*;

const NOW: Moment = Moment(1_800_000_000_000);
const URL: &str = "https://gate.example/mcp";

fn door() -> Door {
    Door {
        resource: URL.to_owned(),
        authorization_servers: vec!["https://auth.example".to_owned()],
        scopes: vec!["read".to_owned()],
        bearer: true,
        certificates: false,
        nonces: true,
        step_up: false,
    }
}

fn signing() -> SigningKey {
    SigningKey::from_seed("k", &[7; 32]).expect("a seed")
}

fn tokens(door: Option<&Door>) -> Tokens {
    let keys = VerifyingKeys::new().with(&signing()).expect("one key");
    let believed = TokenKeys { keys, issuer: "https://auth.example".into(), audience: URL.into(), leeway_s: 5 };
    Tokens::new(believed, door)
}

fn client_key() -> ProofKey {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("random bytes");
    ProofKey::from_pkcs8(pkcs8.as_ref()).expect("a key")
}

fn token(bound_to: Option<&ProofKey>) -> String {
    sign(&signing(), &claims(bound_to)).expect("good claims")
}

fn claims(bound_to: Option<&ProofKey>) -> Claims {
    Claims {
        issuer: "https://auth.example".into(),
        audience: URL.into(),
        expires_s: NOW.0 / 1000 + 600,
        issued_s: NOW.0 / 1000,
        not_before_s: None,
        id: "t".into(),
        requester: "bo".into(),
        actors: vec!["helper".into()],
        client: None,
        task: "task-1".into(),
        binding: bound_to.map(|key| Binding::Key(key.thumbprint().to_owned())),
    }
}

fn headers(lines: &[(&'static str, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).expect("ascii"));
    }
    headers
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    Presented { headers, method: "POST", url: URL, peer: None }
}

#[test]
fn a_bound_token_is_worth_nothing_without_its_key() {
    let (ours, theirs) = (client_key(), client_key());
    let (bound, bearer) = (token(Some(&ours)), token(None));
    let door = door();
    let tokens = tokens(Some(&door));
    let nonce = tokens.next_nonce(None, NOW).expect("nonces are given out");
    let good = Proving {
        method: "POST",
        url: URL,
        access_token: Some(&bound),
        nonce: Some(&nonce),
        body: None,
        id: "1",
        now_s: NOW.0 / 1000,
    };
    let proof = |key: &ProofKey, proving: Proving| ("dpop", key.prove(&proving).expect("it signs"));
    let dpop = ("authorization", format!("DPoP {bound}"));
    let cases = [
        ("nothing", vec![], "token_missing"),
        ("as a bearer token", vec![("authorization", format!("Bearer {bound}"))], "token_bound"),
        (
            "as a bearer token with a proof",
            vec![("authorization", format!("Bearer {bound}")), proof(&ours, Proving { id: "2", ..good })],
            "token_bound",
        ),
        ("without a proof", vec![dpop.clone()], "token_bound"),
        ("with the proof of another key", vec![dpop.clone(), proof(&theirs, good)], "proof_other_key"),
        ("with two proofs", vec![dpop.clone(), proof(&ours, good), proof(&ours, good)], "proof_malformed"),
        (
            "with the proof of another token",
            vec![dpop.clone(), proof(&ours, Proving { access_token: Some("x"), ..good })],
            "proof_access_token",
        ),
        (
            "with the proof of no token",
            vec![dpop.clone(), proof(&ours, Proving { access_token: None, ..good })],
            "proof_access_token",
        ),
        ("with a proof for another method", vec![dpop.clone(), proof(&ours, Proving { method: "GET", ..good })], "proof_method"),
        (
            "with a proof for another server",
            vec![dpop.clone(), proof(&ours, Proving { url: "https://evil.example/mcp", ..good })],
            "proof_url",
        ),
        ("with an old proof", vec![dpop.clone(), proof(&ours, Proving { now_s: NOW.0 / 1000 - 301, ..good })], "proof_time"),
        ("without a nonce", vec![dpop.clone(), proof(&ours, Proving { nonce: None, ..good })], "proof_nonce"),
        ("with a nonce of its own", vec![dpop.clone(), proof(&ours, Proving { nonce: Some("mine"), ..good })], "proof_nonce"),
        ("a bearer token as a bound one", vec![("authorization", format!("DPoP {bearer}")), proof(&ours, good)], "token_unbound"),
        ("two tokens", vec![dpop.clone(), dpop.clone()], "token_malformed"),
        ("another scheme", vec![("authorization", format!("Basic {bound}"))], "token_missing"),
    ];
    for (what, lines, code) in cases {
        let headers = headers(&lines);
        let Err(refused) = tokens.believe(&presented(&headers), NOW) else { panic!("{what} was let in") };
        assert_eq!(refused.code(), code, "{what}");
    }
    // After all of that the first good proof still counts, and only once.
    let lines = headers(&[dpop.clone(), proof(&ours, good)]);
    let Ok(believed) = tokens.believe(&presented(&lines), NOW) else { panic!("the right key was refused") };
    assert_eq!(believed.caller.claims.caller(), "helper");
    let Err(again) = tokens.believe(&presented(&lines), NOW) else { panic!("a proof counted twice") };
    assert_eq!(again.code(), "proof_replayed");
    let lines = headers(&[("authorization", format!("Bearer {bearer}"))]);
    assert!(tokens.believe(&presented(&lines), NOW).is_ok(), "bearer tokens are a class of their own");
}

#[test]
fn where_only_bound_tokens_are_taken_a_bearer_token_is_refused() {
    let door = Door { bearer: false, ..door() };
    let lines = headers(&[("authorization", format!("Bearer {}", token(None)))]);
    let Err(refused) = tokens(Some(&door)).believe(&presented(&lines), NOW) else { panic!("it was let in") };
    assert_eq!(refused.code(), "token_bearer");
    let answer = refused.answer(Some(&door));
    let challenges: Vec<_> =
        answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().expect("ascii")).collect();
    assert!(challenges.len() == 1 && challenges[0].starts_with("DPoP "), "{challenges:?}");
}

#[test]
fn a_nonce_is_handed_on_before_the_old_one_is_over() {
    let door = door();
    let tokens = tokens(Some(&door));
    let key = client_key();
    let bound = token(Some(&key));
    let first = tokens.next_nonce(None, NOW).expect("nonces are given out");
    let later = NOW.after_ms(NONCE_SPAN_S * 1000);
    let believed = |id: &str, now: Moment| {
        let proving = Proving {
            method: "POST",
            url: URL,
            access_token: Some(&bound),
            nonce: Some(&first),
            body: None,
            id,
            now_s: now.0 / 1000,
        };
        let lines = headers(&[("authorization", format!("DPoP {bound}")), ("dpop", key.prove(&proving).expect("it signs"))]);
        tokens.believe(&presented(&lines), now)
    };
    let Ok(now) = believed("1", NOW) else { panic!("a new nonce was refused") };
    assert_eq!(tokens.next_nonce(now.proof.as_ref(), NOW), None, "it has the newest");
    let Ok(then) = believed("2", later) else { panic!("the nonce before was refused") };
    assert!(tokens.next_nonce(then.proof.as_ref(), later).is_some_and(|next| next != first));
    let Err(over) = believed("3", later.after_ms(NONCE_SPAN_S * 1000)) else { panic!("an old nonce was taken") };
    assert_eq!(over.code(), "proof_nonce");
    assert!(!over.is_recorded(), "a client that needs a new nonce tries nothing");
}

#[test]
fn challenges_say_where_tokens_are_to_be_had() {
    let door = door();
    let challenges = |no_caller: NoCaller| -> Vec<String> {
        let answer = no_caller.answer(Some(&door));
        answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().expect("ascii").to_owned()).collect()
    };
    let metadata = "resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource/mcp\"";
    let algs = "algs=\"ES256 EdDSA Ed25519\"";
    assert_eq!(
        challenges(NoCaller::Missing),
        [
            format!("Bearer realm=\"prudence\", scope=\"read\", {metadata}"),
            format!("DPoP realm=\"prudence\", {algs}, scope=\"read\", {metadata}"),
        ]
    );
    let nonce = challenges(NoCaller::Nonce);
    assert_eq!(nonce.len(), 1);
    assert!(nonce[0].starts_with(&format!("DPoP realm=\"prudence\", {algs}, error=\"use_dpop_nonce\"")), "{nonce:?}");
    assert!(door.metadata_at("/.well-known/oauth-protected-resource").is_some());
    assert!(door.metadata_at("/.well-known/oauth-protected-resource/mcp").is_some());
    assert!(door.metadata_at("/.well-known/oauth-protected-resource/other").is_none());
    assert!(door.metadata_at("/mcp").is_none());
}

/// A certificate of nobody's, as a peer shows it, and its thumbprint.
fn certificate(until: rcgen::CertificateParams) -> (Peer, String) {
    let key = rcgen::KeyPair::generate().expect("random bytes");
    let made = until.self_signed(&key).expect("it signs");
    let certificate = wire::certificate::Certificate::read(made.der()).expect("a certificate");
    let thumbprint = certificate.thumbprint().to_owned();
    (Peer { certificate, trust: wire::certificate::Trust::Nobody }, thumbprint)
}

#[test]
fn a_token_of_a_certificate_is_worth_nothing_on_another_connection() {
    let good = || rcgen::CertificateParams::new(vec!["robot.example".to_owned()]).expect("a name");
    let (robot, thumbprint) = certificate(good());
    let (thief, _) = certificate(good());
    let door = door();
    let tokens = tokens(Some(&door));
    let mut claims = claims(None);
    claims.binding = Some(Binding::Certificate(thumbprint));
    let token = sign(&signing(), &claims).expect("good claims");
    let bearer = headers(&[("authorization", format!("Bearer {token}"))]);
    let dpop = headers(&[("authorization", format!("DPoP {token}"))]);
    let believe = |headers, peer| tokens.believe(&Presented { peer, ..presented(headers) }, NOW);
    let believed = believe(&bearer, Some(&robot)).expect("its own connection");
    let key = believed.caller.judged.key.as_deref().map(str::to_owned);
    assert_eq!(key.as_deref(), Some(robot.certificate.thumbprint()), "by it the chain is known, and stopped");
    for (what, headers, peer) in [
        ("without a certificate, or without TLS", &bearer, None),
        ("with another certificate", &bearer, Some(&thief)),
        ("as a token of a key", &dpop, Some(&robot)),
        ("as a token of a key, stolen", &dpop, None),
    ] {
        assert_eq!(believe(headers, peer).err(), Some(NoCaller::Certificate), "{what}");
    }
    assert_eq!(tokens.caller(&token, NOW).err(), Some(NoCaller::Bound), "where there is no connection");
    let mut over = good();
    (over.not_before, over.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let (over, thumbprint) = certificate(over);
    claims.binding = Some(Binding::Certificate(thumbprint));
    let token = sign(&signing(), &claims).expect("good claims");
    let bearer = headers(&[("authorization", format!("Bearer {token}"))]);
    assert_eq!(believe(&bearer, Some(&over)).err(), Some(NoCaller::Certificate), "with one that is over");
}
