//! Claims about what is the same call.

use judge::digest::Digest;
use wire::frame::{Frame, Limits};

use super::{Call, NoCall, must_be_decided};

fn frame(text: &str) -> Frame {
    Frame::parse(text.to_owned(), &Limits::default()).expect("a frame")
}

fn digest(params: &str) -> Digest {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    Call::of("up", &frame(&text)).expect("a call").digest()
}

#[test]
fn the_same_call_has_the_same_digest_however_it_is_written() {
    let one = digest(r#"{"name":"n","arguments":{"a":1,"b":"\u0041"},"_meta":{"progressToken":1}}"#);
    assert_eq!(one, digest(r#"{ "arguments": {"b":"A", "a":1.0}, "name":"n" }"#));
}

#[test]
fn another_call_has_another_digest() {
    let calls = [
        r#"{"name":"n","arguments":{"a":1}}"#,
        r#"{"name":"n","arguments":{"a":"1"}}"#,
        r#"{"name":"m","arguments":{"a":1}}"#,
        r#"{"name":"n","arguments":{"a":1},"inputResponses":{}}"#,
        r#"{"name":"n","arguments":{"a":1},"task":{}}"#,
    ];
    let digests: std::collections::BTreeSet<Digest> = calls.iter().map(|call| digest(call)).collect();
    assert_eq!(digests.len(), calls.len());
}

#[test]
fn a_call_must_be_decided_whatever_it_is_dressed_as() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools\/c\u0061ll"}"#,
        r#"{"jsonrpc":"2.0","method":"resources/read"}"#,
    ] {
        assert!(must_be_decided(&frame(text)), "{text}");
    }
}

#[test]
fn a_number_that_readers_disagree_about_makes_no_call() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","arguments":{"a":18446744073709551617}}}"#;
    assert!(matches!(Call::of("up", &frame(text)), Err(NoCall::Number(_))));
}
