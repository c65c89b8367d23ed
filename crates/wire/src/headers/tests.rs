//! Headers against bodies, as claims.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    HeaderMismatch, METHOD, NAME, PARAM_PREFIX, PROTOCOL_VERSION, ParamError, check, check_params, encode, params, standard,
};
use crate::frame::{Frame, Limits};

fn frame(value: &Value) -> Frame {
    Frame::parse(value.to_string(), &Limits::default()).unwrap()
}

fn call(name: &str) -> Frame {
    frame(
        &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": {}, "_meta": meta("2026-07-28") } }),
    )
}

fn meta(version: &str) -> Value {
    json!({ "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {} })
}

/// Headers one a line, checked against a frame.
fn checked(headers: &str, frame: &Frame) -> Result<(), HeaderMismatch> {
    let headers = headers.lines().map(|line| line.split_once(':').unwrap()).map(|(name, value)| (name, value.as_bytes()));
    check(headers, frame)
}

const VERSION: &str = "MCP-Protocol-Version: 2026-07-28\n";

#[test]
fn a_modern_call_says_in_its_headers_what_its_body_says() {
    let missing = |header| Err(HeaderMismatch::Missing { header });
    let differs = |header| Err(HeaderMismatch::Differs { header });
    let twice = |header| Err(HeaderMismatch::Twice { header });
    let unreadable = |header| Err(HeaderMismatch::Unreadable { header });
    let cases = [
        ("Mcp-Method: tools/call\nMcp-Name: post", Ok(())),
        ("mcp-method: tools/call\nMCP-NAME:  post ", Ok(())),
        ("Mcp-Method: tools/call\nMcp-Name: =?base64?cG9zdA==?=", Ok(())),
        ("Mcp-Method: tools/call\nMcp-Name: read", differs(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: Post", differs(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: =?base64?cmVhZA==?=", differs(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: =?BASE64?cG9zdA==?=", differs(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: =?base64?cG9zdA?=", unreadable(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: =?base64?/w==?=", unreadable(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: p\u{7}ost", unreadable(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: pöst", unreadable(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: post\nMcp-Name: post", twice(NAME)),
        ("Mcp-Method: tools/call\nMcp-Name: post\nmcp-name: read", twice(NAME)),
        ("Mcp-Method: tools/call", missing(NAME)),
        ("Mcp-Name: post", missing(METHOD)),
        ("Mcp-Method: tools/list\nMcp-Name: post", differs(METHOD)),
        ("Mcp-Method: TOOLS/CALL\nMcp-Name: post", differs(METHOD)),
        ("Mcp-Method: =?base64?dG9vbHMvY2FsbA==?=\nMcp-Name: post", differs(METHOD)),
        ("Mcp-Method: tools/call\nMcp-Method: tools/call\nMcp-Name: post", twice(METHOD)),
    ];
    for (headers, outcome) in cases {
        assert_eq!(checked(&format!("{VERSION}{headers}"), &call("post")), outcome, "{headers}");
        assert_eq!(checked(&format!("{headers}\n{VERSION}"), &call("post")), outcome, "{headers}");
    }
    assert_eq!(HeaderMismatch::Missing { header: NAME }.rpc_code(), -32020);
    assert_eq!(HeaderMismatch::Missing { header: NAME }.http_status(), 400);
}

#[test]
fn the_version_stands_in_both_places_or_in_neither() {
    let rest = "Mcp-Method: tools/call\nMcp-Name: post";
    let of = |version: Option<&str>| {
        let meta = version.map_or(json!({}), meta);
        frame(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "post", "_meta": meta } }))
    };
    let version = |version: &str| format!("MCP-Protocol-Version: {version}\n{rest}");
    assert_eq!(checked(&version("2026-07-28"), &of(Some("2026-07-28"))), Ok(()));
    // One that nobody knows agrees with itself; whether it is spoken is another question.
    assert_eq!(checked(&version("1900-01-01"), &of(Some("1900-01-01"))), Ok(()));
    assert_eq!(
        checked(&version("2025-11-25"), &of(Some("2026-07-28"))),
        Err(HeaderMismatch::Differs { header: PROTOCOL_VERSION })
    );
    assert_eq!(
        checked(&version("2026-07-28"), &of(Some("2025-11-25"))),
        Err(HeaderMismatch::Differs { header: PROTOCOL_VERSION })
    );
    assert_eq!(checked(rest, &of(Some("2026-07-28"))), Err(HeaderMismatch::Missing { header: PROTOCOL_VERSION }));
    assert_eq!(checked(&version("2026-07-28"), &of(None)), Err(HeaderMismatch::BodyVersionMissing));
    assert_eq!(checked(&version("2099-01-01"), &of(None)), Err(HeaderMismatch::BodyVersionMissing));
    assert_eq!(HeaderMismatch::BodyVersionMissing.rpc_code(), -32602);
    assert_eq!(
        checked(&format!("{VERSION}{VERSION}{rest}"), &of(Some("2026-07-28"))),
        Err(HeaderMismatch::Twice { header: PROTOCOL_VERSION })
    );
}

#[test]
fn a_legacy_client_owes_no_headers_but_may_not_lie_in_them() {
    let old = frame(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "post" } }));
    assert_eq!(checked("MCP-Protocol-Version: 2025-11-25", &old), Ok(()));
    assert_eq!(checked("", &old), Ok(()));
    assert_eq!(checked("Mcp-Name: post", &old), Ok(()));
    assert_eq!(checked("Mcp-Name: read", &old), Err(HeaderMismatch::Differs { header: NAME }));
    assert_eq!(checked("Mcp-Method: tools/list", &old), Err(HeaderMismatch::Differs { header: METHOD }));
}

#[test]
fn each_method_has_its_own_name() {
    for (method, params, name) in [
        ("prompts/get", json!({ "name": "p" }), Some("p")),
        ("resources/read", json!({ "uri": "file:///ä" }), Some("file:///ä")),
        ("tasks/get", json!({ "taskId": "t" }), Some("t")),
        ("tools/list", json!({ "name": "not a name" }), None),
        ("subscriptions/listen", json!({}), None),
    ] {
        let mut params = params;
        params["_meta"] = meta("2026-07-28");
        let frame = frame(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        let own = standard(&frame);
        assert_eq!(own.iter().find(|(header, _)| *header == NAME).map(|(_, value)| value.clone()), name.map(encode), "{method}");
        assert_eq!(check(own.iter().map(|(name, value)| (*name, value.as_bytes())), &frame), Ok(()));
        if let Some(name) = name.filter(|_| method != "tasks/get") {
            let without = own.iter().filter(|(header, _)| *header != NAME).map(|(name, value)| (*name, value.as_bytes()));
            assert_eq!(check(without, &frame), Err(HeaderMismatch::Missing { header: NAME }), "{name}");
        }
    }
    let nameless = frame(
        &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": 7, "_meta": meta("2026-07-28") } }),
    );
    assert_eq!(
        checked(&format!("{VERSION}Mcp-Method: tools/call\nMcp-Name: 7"), &nameless),
        Err(HeaderMismatch::Differs { header: NAME })
    );
}

#[test]
fn notifications_and_responses_owe_nothing() {
    let told = frame(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {} }));
    assert_eq!(checked(VERSION, &told), Ok(()));
    assert_eq!(checked(&format!("{VERSION}Mcp-Method: tools/call"), &told), Err(HeaderMismatch::Differs { header: METHOD }));
    let answer = frame(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
    assert_eq!(checked("MCP-Protocol-Version: 2025-11-25", &answer), Ok(()));
}

#[test]
fn values_are_encoded_as_the_specification_shows() {
    for (text, header) in [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ] {
        assert_eq!(encode(text), header);
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "size": { "type": "integer", "x-mcp-header": "Size" },
            "deep": { "type": "object", "properties": { "dry": { "type": "boolean", "x-mcp-header": "Dry-Run" } } },
            "x-mcp-header": { "type": "string" },
            "plain": { "type": "string", "default": { "x-mcp-header": "data" } },
        },
    })
}

#[test]
fn marked_arguments_are_found_where_they_may_stand() {
    let found = params(&schema()).unwrap();
    let mut names: Vec<&str> = found.iter().map(|param| param.header()).collect();
    names.sort();
    assert_eq!(names, ["Dry-Run", "Region", "Size"]);
    let with =
        |property: Value| params(&json!({ "properties": { "a": property, "b": { "type": "string", "x-mcp-header": "B" } } }));
    for (property, refusal) in [
        (json!({ "type": "string", "x-mcp-header": "" }), ParamError::Name { header: String::new() }),
        (json!({ "type": "string", "x-mcp-header": "a b" }), ParamError::Name { header: "a b".into() }),
        (json!({ "type": "string", "x-mcp-header": "a\r\nb" }), ParamError::Name { header: "a\r\nb".into() }),
        (json!({ "type": "string", "x-mcp-header": 7 }), ParamError::Name { header: String::new() }),
        (json!({ "type": "number", "x-mcp-header": "A" }), ParamError::Type),
        (json!({ "x-mcp-header": "A" }), ParamError::Type),
        (json!({ "type": "string", "x-mcp-header": "b" }), ParamError::Twice { header: "B".into() }),
        (json!({ "items": { "type": "string", "x-mcp-header": "A" } }), ParamError::Unreachable),
        (json!({ "anyOf": [{ "properties": { "c": { "type": "string", "x-mcp-header": "A" } } }] }), ParamError::Unreachable),
    ] {
        assert_eq!(with(property.clone()), Err(refusal), "{property}");
    }
}

#[test]
fn marked_arguments_agree_with_their_headers() {
    let marked = params(&schema()).unwrap();
    let missing = Err(HeaderMismatch::Missing { header: PARAM_PREFIX });
    let differs = Err(HeaderMismatch::Differs { header: PARAM_PREFIX });
    for (arguments, headers, outcome) in [
        (json!({}), vec![], Ok(())),
        (json!({ "region": null }), vec![], Ok(())),
        (json!({ "region": "eu" }), vec![("Mcp-Param-Region", "eu")], Ok(())),
        (json!({ "region": "é" }), vec![("MCP-PARAM-REGION", "=?base64?w6k=?=")], Ok(())),
        (json!({ "size": 42, "deep": { "dry": true } }), vec![("mcp-param-size", "42.0"), ("mcp-param-dry-run", "true")], Ok(())),
        (json!({ "region": "eu" }), vec![("mcp-param-region", "eu"), ("mcp-param-unknown", "x"), ("other", "y")], Ok(())),
        (json!({ "region": "eu" }), vec![], missing.clone()),
        (json!({ "region": "eu" }), vec![("mcp-param-region", "us")], differs.clone()),
        (json!({}), vec![("mcp-param-region", "us")], differs.clone()),
        (json!({ "region": null }), vec![("mcp-param-region", "null")], differs.clone()),
        (json!({ "size": 42 }), vec![("mcp-param-size", "43")], differs.clone()),
        (json!({ "size": 42 }), vec![("mcp-param-size", "0x2a")], differs.clone()),
        (json!({ "size": 9007199254740993_i64 }), vec![("mcp-param-size", "9007199254740993")], differs.clone()),
        (json!({ "region": ["eu"] }), vec![("mcp-param-region", "eu")], differs.clone()),
        (
            json!({ "region": "eu" }),
            vec![("mcp-param-region", "eu"), ("Mcp-Param-Region", "eu")],
            Err(HeaderMismatch::Twice { header: PARAM_PREFIX }),
        ),
        (
            json!({ "region": "eu" }),
            vec![("mcp-param-region", "=?base64?!?=")],
            Err(HeaderMismatch::Unreadable { header: PARAM_PREFIX }),
        ),
    ] {
        let call = frame(
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "t", "arguments": arguments } }),
        );
        let given = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        assert_eq!(check_params(given, &call, &marked), outcome, "{arguments} {headers:?}");
    }
}

proptest! {
    #[test]
    fn any_name_survives_its_header(name in ".{1,40}") {
        let call = call(&name);
        let own = standard(&call);
        prop_assert_eq!(check(own.iter().map(|(name, value)| (*name, value.as_bytes())), &call), Ok(()));
    }

    #[test]
    fn two_names_never_share_a_header(one in ".{1,8}", other in ".{1,8}") {
        prop_assume!(one != other);
        let own = standard(&call(&one));
        prop_assert!(check(own.iter().map(|(name, value)| (*name, value.as_bytes())), &call(&other)).is_err());
    }

    #[test]
    fn any_headers_and_bytes_are_checked_or_refused(head in r"((mcp-method|mcp-name|mcp-protocol-version|x):[ -~]{0,20}\n){0,4}", method in "(tools/call|tools/list|x)") {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"x"}}}}"#);
        crate::fuzzing::headers(&[head.as_bytes(), b"\0", body.as_bytes()].concat());
    }

    #[test]
    fn any_bytes_are_checked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::headers(&bytes);
    }
}
