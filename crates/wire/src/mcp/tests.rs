//! Methods and messages of both revisions, as claims.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Completion, Direction, List, ListError, Method, PromptGet, ResourceRead, Revision, TaskRef, ToolCall, Treatment, ViewError,
};
use super::{keep_items, make_private, meta, result_type, subscribed_uris, tool_refusal, tools, unsupported_version};
use crate::frame::{Frame, Kind, Limits};

fn frame(value: &Value) -> Frame {
    Frame::parse(value.to_string(), &Limits::default()).unwrap()
}

fn request(method: &str, params: Value) -> Frame {
    frame(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
}

fn answer(result: Value) -> Frame {
    frame(&json!({ "jsonrpc": "2.0", "id": 1, "result": result }))
}

/// The methods that the published schemas name, by who sends them: `ClientRequest`, `ClientNotification`, `ServerRequest`,
/// `ServerNotification` of schema/2025-11-25 and schema/2026-07-28, and SEP-2663.
const TO_SERVER: [&str; 25] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/call",
    "tools/list",
];
const TO_CLIENT: [&str; 19] = [
    "elicitation/create",
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
    "notifications/tasks",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
    "ping",
    "roots/list",
    "sampling/createMessage",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
];

#[test]
fn every_published_method_is_known_in_its_direction_and_in_no_other() {
    for (direction, names) in [(Direction::ToServer, &TO_SERVER[..]), (Direction::ToClient, &TO_CLIENT[..])] {
        let known = |method: &&Method| method.treatment(direction) != Treatment::Unknown;
        let ours: BTreeSet<&str> = Method::ALL.iter().filter(known).map(|method| method.name()).collect();
        assert_eq!(ours, names.iter().copied().collect(), "{direction:?}");
    }
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.name()), Some(*method));
    }
}

#[test]
fn what_has_effects_or_hands_data_does_not_pass() {
    let to_server = |name: &str| Method::treatment_of(&request(name, json!({})), Direction::ToServer);
    for (name, treatment) in [
        ("tools/call", Treatment::Act),
        ("resources/read", Treatment::Read),
        ("resources/subscribe", Treatment::Read),
        ("subscriptions/listen", Treatment::Read),
        ("prompts/get", Treatment::Read),
        ("completion/complete", Treatment::Read),
        ("tasks/result", Treatment::Follow),
        ("tasks/update", Treatment::Follow),
        ("tools/list", Treatment::Filter(List::Tools)),
        ("server/discover", Treatment::Describe),
        ("ping", Treatment::Pass),
        ("Tools/Call", Treatment::Unknown),
        ("tools/call ", Treatment::Unknown),
        ("sampling/createMessage", Treatment::Unknown),
    ] {
        assert_eq!(to_server(name), Some(treatment), "{name}");
    }
    assert_eq!(Method::treatment_of(&request("tools/call", json!({})), Direction::ToClient), Some(Treatment::Unknown));
    assert_eq!(Method::treatment_of(&answer(json!({})), Direction::ToClient), None);
}

#[test]
fn a_tool_call_is_read_without_losing_its_text() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"p\u006fst","arguments":{"n":1.0, "m":"x"},"requestState":"s","task":{"ttl":1}}}"#;
    let frame = Frame::parse(text, &Limits::default()).unwrap();
    let call = ToolCall::of(&frame).unwrap();
    assert_eq!((&*call.name, call.arguments_raw), ("post", Some(r#"{"n":1.0, "m":"x"}"#)));
    assert_eq!((call.task_raw, call.request_state.as_deref(), call.input_responses_raw), (Some(r#"{"ttl":1}"#), Some("s"), None));
    assert_eq!(call.arguments(), json!({ "n": 1.0, "m": "x" }));
    let bare = request("tools/call", json!({ "name": "now" }));
    assert_eq!(ToolCall::of(&bare).unwrap().arguments(), json!({}));
    for params in
        [json!({}), json!({ "name": 1 }), json!({ "name": "x", "arguments": [] }), json!({ "name": "x", "arguments": "{}" })]
    {
        assert_eq!(ToolCall::of(&request("tools/call", params)).unwrap_err(), ViewError::Params { method: "tools/call" });
    }
    assert_eq!(
        ToolCall::of(&request("tools/list", json!({ "name": "x" }))).unwrap_err(),
        ViewError::Other { method: "tools/call" }
    );
}

#[test]
fn other_reads_are_views_too() {
    let read = request("resources/read", json!({ "uri": "file:///a", "inputResponses": { "k": 1 } }));
    let read = ResourceRead::of(&read).unwrap();
    assert_eq!((&*read.uri, read.input_responses.unwrap().get()), ("file:///a", r#"{"k":1}"#));
    assert!(ResourceRead::of(&request("resources/subscribe", json!({ "uri": "file:///a" }))).is_ok());
    assert!(ResourceRead::of(&request("tools/call", json!({ "uri": "file:///a" }))).is_err());
    assert_eq!(PromptGet::of(&request("prompts/get", json!({ "name": "p" }))).unwrap().name, "p");
    assert_eq!(TaskRef::of(&request("tasks/update", json!({ "taskId": "t" }))).unwrap().task_id, "t");
    for (reference, target) in
        [(json!({ "type": "ref/prompt", "name": "p" }), "p"), (json!({ "type": "ref/resource", "uri": "f:///{x}" }), "f:///{x}")]
    {
        let complete = request("completion/complete", json!({ "ref": reference, "argument": { "name": "a", "value": "v" } }));
        assert_eq!(Completion::of(&complete).unwrap().target().unwrap(), target);
    }
    let listen = request(
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["a", "\u{e9}\""] } }),
    );
    assert_eq!(subscribed_uris(&listen).unwrap(), ["a", "é\""]);
    assert!(subscribed_uris(&request("subscriptions/listen", json!({ "notifications": {} }))).unwrap().is_empty());
    assert!(subscribed_uris(&request("subscriptions/listen", json!({}))).is_err());
}

#[test]
fn per_request_metadata_is_read() {
    let modern = request(
        "tools/list",
        json!({ "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": { "roots": {} },
            "io.modelcontextprotocol/logLevel": "info", "progressToken": 3, "traceparent": "x",
        } }),
    );
    let read = meta(&modern).unwrap();
    assert_eq!((read.protocol_version.as_deref(), read.log_level.as_deref()), (Some("2026-07-28"), Some("info")));
    assert_eq!((read.client_capabilities.unwrap().get(), read.progress_token.unwrap().get()), (r#"{"roots":{}}"#, "3"));
    assert!(meta(&request("ping", json!({}))).unwrap().protocol_version.is_none());
    assert_eq!(meta(&request("ping", json!({ "_meta": 3 }))).unwrap_err(), ViewError::Meta);
    assert_eq!(
        meta(&request("ping", json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": 3 } }))).unwrap_err(),
        ViewError::Meta
    );
}

#[test]
fn revisions_are_told_apart() {
    for revision in Revision::ALL {
        assert_eq!(Revision::from_text(revision.text()), Some(revision));
        let negotiated = Revision::negotiated(revision.text());
        assert_eq!(negotiated == revision, !revision.is_modern());
        assert!(!negotiated.is_modern());
    }
    assert_eq!(Revision::negotiated("1999-01-01"), Revision::V2025_11_25);
    assert_eq!(Revision::from_text("2026-07-28 "), None);
    let refusal = unsupported_version(Some("1"), "1900-01-01", &[Revision::V2026_07_28, Revision::V2025_11_25]);
    let expected = json!({ "jsonrpc": "2.0", "id": 1, "error": {
        "code": -32022, "message": "Unsupported protocol version", "data": { "supported": ["2026-07-28", "2025-11-25"], "requested": "1900-01-01" },
    } });
    assert_eq!(serde_json::from_str::<Value>(refusal.text()).unwrap(), expected);
}

const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools": [ {"name":"a","inputSchema":{"type":"object"},"x":1.0},
 {"name":"b","title":"B","description":"d","inputSchema":{},"outputSchema":{"k":1},"annotations":{"readOnlyHint":true}} ],"nextCursor":"n","y":{}}}"#;

#[test]
fn a_list_of_tools_is_read_and_filtered_as_text() {
    let limits = Limits::default();
    let list = Frame::parse(TOOLS, &limits).unwrap();
    let read = tools(&list).unwrap();
    assert_eq!(read.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(read[0].raw, r#"{"name":"a","inputSchema":{"type":"object"},"x":1.0}"#);
    assert_eq!(
        (read[1].annotations.unwrap().get(), read[1].output_schema.unwrap().get()),
        (r#"{"readOnlyHint":true}"#, r#"{"k":1}"#)
    );

    let kept = keep_items(&list, List::Tools, &limits, |item| item.contains(r#""a""#).then(|| item.to_owned())).unwrap();
    let array = list.at("/result/tools").unwrap();
    assert_eq!(kept.text(), TOOLS.replace(array, &format!("[{}]", read[0].raw)));
    let none = keep_items(&list, List::Tools, &limits, |_| None).unwrap();
    assert_eq!(none.at("/result/tools"), Some("[]"));
    assert_eq!(keep_items(&list, List::Prompts, &limits, |_| None).unwrap_err(), ListError::NoItems { member: "prompts" });
    assert!(tools(&answer(json!({ "tools": [{ "name": "a" }] }))).is_err());
    assert!(tools(&answer(json!({ "tools": {} }))).is_err());
}

#[test]
fn a_private_list_is_nobody_elses() {
    let limits = Limits::default();
    for before in
        [json!({ "tools": [] }), json!({}), json!({ "resultType": "complete", "ttlMs": 300000, "cacheScope": "public" })]
    {
        let after = make_private(&answer(before), &limits).unwrap();
        assert_eq!((after.at("/result/cacheScope"), after.at("/result/ttlMs")), (Some(r#""private""#), Some("0")));
    }
    // What asks for input carries no hints.
    let asking = answer(json!({ "resultType": "input_required", "requestState": "s" }));
    assert_eq!(make_private(&asking, &limits).unwrap().text(), asking.text());
    let error = Frame::error(Some("1"), -1, "no", None);
    assert_eq!(make_private(&error, &limits).unwrap().text(), error.text());
}

#[test]
fn a_refusal_is_a_tool_result_that_a_model_can_read() {
    let refusal = tool_refusal("1e0", "not for \"them\"\n", Some(&json!({ "approval": "a-1" })), &Limits::default()).unwrap();
    assert_eq!((refusal.kind(), refusal.id()), (Kind::Result, Some("1e0")));
    let expected = json!({
        "resultType": "complete", "isError": true, "content": [{ "type": "text", "text": "not for \"them\"\n" }],
        "_meta": { "prudence/refusal": { "approval": "a-1" } },
    });
    assert_eq!(refusal.result(), expected);
    assert_eq!(result_type(&refusal).as_deref(), Some("complete"));
    assert_eq!(result_type(&answer(json!({}))).as_deref(), Some("complete"));
    assert_eq!(result_type(&answer(json!({ "resultType": "input_required" }))).as_deref(), Some("input_required"));
    assert_eq!(result_type(&request("ping", json!({}))), None);
}
