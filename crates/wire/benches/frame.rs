//! What it costs to read a frame and to change one value in it.
//!
//! `cargo bench -p wire` (a few seconds)

use wire::canonical;
use wire::frame::{Frame, Limits};
use wire::headers;
use wire::token::{Claims, Expected, SigningKey, VerifyingKeys, sign, verify};

fn main() {
    divan::main();
}

/// A `tools/call` of about this many bytes, of records rather than one long string: names and numbers are what costs.
fn call(bytes: usize) -> String {
    let record = r#"{"id":12345,"title":"Quarterly numbers","tags":["a","b"],"open":true,"score":0.75}"#;
    let records = vec![record; bytes / record.len()].join(",");
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}"#;
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"post","arguments":{{"records":[{records}]}},"_meta":{meta}}}}}"#
    )
}

const SIZES: [usize; 2] = [1_000, 100_000];

#[divan::bench(args = SIZES)]
fn parse(bencher: divan::Bencher, bytes: usize) {
    let text = bytes::Bytes::from(call(bytes));
    let limits = Limits::default();
    bencher
        .counter(divan::counter::BytesCount::new(text.len()))
        .bench(|| Frame::parse(text.clone(), &limits).expect("a good frame"));
}

#[divan::bench(args = SIZES)]
fn splice(bencher: divan::Bencher, bytes: usize) {
    let limits = Limits::default();
    let frame = Frame::parse(call(bytes), &limits).expect("a good frame");
    bencher.bench(|| frame.splice("/params/name", r#""forum.post""#, &limits).expect("a good edit"));
}

/// The peer beside it: an ordinary reader building its tree.
#[divan::bench(args = SIZES)]
fn tree(bencher: divan::Bencher, bytes: usize) {
    let text = call(bytes);
    bencher
        .counter(divan::counter::BytesCount::new(text.len()))
        .bench(|| serde_json::from_str::<serde_json::Value>(&text).expect("JSON"));
}

#[divan::bench(args = SIZES)]
fn digest(bencher: divan::Bencher, bytes: usize) {
    let frame = Frame::parse(call(bytes), &Limits::default()).expect("a good frame");
    let params = frame.params();
    bencher.bench(|| canonical::digest(&params).expect("exact numbers"));
}

#[divan::bench]
fn check_headers(bencher: divan::Bencher) {
    let frame = Frame::parse(call(1_000), &Limits::default()).expect("a good frame");
    let own = headers::standard(&frame);
    bencher.bench(|| headers::check(own.iter().map(|(name, value)| (*name, value.as_bytes())), &frame));
}

#[divan::bench]
fn verify_token(bencher: divan::Bencher) {
    let key = SigningKey::from_seed("k", &[1; 32]).expect("a seed");
    let keys = VerifyingKeys::new().with(&key).expect("one key");
    let claims = Claims {
        issuer: "i".into(),
        audience: "a".into(),
        expires_s: 900,
        issued_s: 0,
        not_before_s: None,
        id: "t".into(),
        requester: "bo".into(),
        actors: vec!["helper".into()],
        client: None,
        task: "task".into(),
        binding: None,
    };
    let token = sign(&key, &claims).expect("good claims");
    let expected = Expected { issuer: "i", audience: "a", now_s: 1, leeway_s: 0 };
    bencher.bench(|| verify(&keys, &token, &expected).expect("a good token"));
}
