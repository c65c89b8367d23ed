//! What it costs to know who calls: a proof of possession for each request, beside the bare signature checks in it.
//!
//! `cargo bench -p wire --bench dpop` (a few seconds). A request with a token that was not seen before is two checks, any other is one.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use divan::counter::ItemsCount;
use wire::dpop::{AGE_S_MAX, Demanded, Nonces, ProofKey, Proving, Replays, verify};
use wire::token::{self, Binding, Claims, Expected, SigningKey, VerifyingKeys};

const NOW_S: u64 = 1_800_000_000;
const URL: &str = "https://gate.example/mcp";
const KINDS: [&str; 2] = ["ES256", "EdDSA"];

fn main() {
    divan::main();
}

fn key(kind: &str) -> ProofKey {
    let pkcs8 = match kind {
        "ES256" => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()),
        _ => Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()),
    };
    ProofKey::from_pkcs8(pkcs8.expect("random bytes").as_ref()).expect("a key")
}

struct Request {
    keys: VerifyingKeys,
    token: String,
    nonces: Nonces,
    key: ProofKey,
}

impl Request {
    fn new(kind: &str) -> Request {
        let signing = SigningKey::from_seed("k", &[7; 32]).expect("a seed");
        let key = key(kind);
        let claims = Claims {
            issuer: "https://auth.example".into(),
            audience: URL.into(),
            expires_s: NOW_S + 600,
            issued_s: NOW_S,
            not_before_s: None,
            id: "0123456789abcdef0123456789abcdef".into(),
            requester: "bo".into(),
            actors: vec!["helper".into()],
            client: None,
            task: "task-0123456789abcdef".into(),
            binding: Some(Binding::Key(key.thumbprint().to_owned())),
        };
        let token = token::sign(&signing, &claims).expect("good claims");
        let keys = VerifyingKeys::new().with(&signing).expect("one key");
        Request { keys, token, nonces: Nonces::new(&[1; 32], 60), key }
    }

    /// A proof as a client sends it.
    fn proof(&self, number: usize) -> String {
        let nonce = self.nonces.at(NOW_S);
        let id = format!("{number:032x}");
        let proving = Proving {
            method: "POST",
            url: URL,
            access_token: Some(&self.token),
            nonce: Some(&nonce),
            body: None,
            id: &id,
            now_s: NOW_S,
        };
        self.key.prove(&proving).expect("it signs")
    }

    /// All that is done for a proof: read, verified, its nonce known, and taken once.
    fn take(&self, proof: &str, replays: &mut Replays) {
        let demanded = Demanded { method: "POST", url: URL, access_token: Some(&self.token), now_s: NOW_S, age_s_max: AGE_S_MAX };
        let read = verify(proof, &demanded).expect("a good proof");
        assert!(read.nonce.as_ref().is_some_and(|nonce| self.nonces.holds(nonce, NOW_S)));
        replays.take(&read.key_thumbprint, &read.id, NOW_S).expect("the first");
    }
}

/// One check, as it is for every request but the first with a token.
#[divan::bench(args = KINDS)]
fn request_with_a_remembered_token(bencher: divan::Bencher, kind: &str) {
    let request = Request::new(kind);
    let mut number = 0;
    let mut replays = Replays::new(120, usize::MAX);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| {
            number += 1;
            request.proof(number)
        })
        .bench_local_values(|proof| request.take(&proof, &mut replays));
}

/// Two checks.
#[divan::bench(args = KINDS)]
fn request_with_a_new_token(bencher: divan::Bencher, kind: &str) {
    let request = Request::new(kind);
    let mut number = 0;
    let mut replays = Replays::new(120, usize::MAX);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| {
            number += 1;
            request.proof(number)
        })
        .bench_local_values(|proof| {
            let expected = Expected { issuer: "https://auth.example", audience: URL, now_s: NOW_S, leeway_s: 5 };
            let claims = token::verify(&request.keys, &request.token, &expected).expect("a good token");
            assert_eq!(claims.binding.as_ref().map(Binding::thumbprint), Some(request.key.thumbprint()));
            request.take(&proof, &mut replays);
        });
}

/// The peer beside it: the signature check alone, of another message each time and as long as a proof.
#[divan::bench]
fn bare_check_es256(bencher: divan::Bencher) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("random bytes");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).expect("a key");
    let public = pair.public_key().as_ref().to_vec();
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            let message = message(number);
            let signature = pair.sign(&random, message.as_bytes()).expect("it signs");
            (message, signature)
        })
        .bench_local_values(|(message, signature)| {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public);
            key.verify(message.as_bytes(), signature.as_ref()).expect("it holds");
        });
}

/// The same.
#[divan::bench]
fn bare_check_eddsa(bencher: divan::Bencher) {
    let pair = Ed25519KeyPair::generate().expect("random bytes");
    let public = pair.public_key().as_ref().to_vec();
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            let message = message(number);
            let signature = pair.sign(message.as_bytes());
            (message, signature)
        })
        .bench_local_values(|(message, signature)| {
            let key = UnparsedPublicKey::new(&ED25519, &public);
            key.verify(message.as_bytes(), signature.as_ref()).expect("it holds");
        });
}

fn message(number: usize) -> String {
    format!("{number:0600}")
}
