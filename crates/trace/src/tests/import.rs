//! Records of others, small ones written by hand.

use crate::import::{Defaults, ImportError, Imported, mcp, otel};
use serde_json::{Value, json};

fn defaults() -> Defaults {
    Defaults { requester: "bo".parse().expect("a name"), prompt: "as asked".to_owned(), id: "log".to_owned() }
}

fn of_mcp(lines: &[Value]) -> Result<Imported, Vec<ImportError>> {
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    mcp::parse(&text.join("\n"), &defaults())
}

fn call(id: impl Into<Value>, tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": { "name": tool, "arguments": { "n": 1 } } })
}

fn answer(id: impl Into<Value>, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "result": { "content": [{ "type": "text", "text": text }] } })
}

#[test]
fn calls_and_answers_of_a_session_meet_by_id() {
    let read = of_mcp(&[
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {} }),
        answer(0, "hello"),
        json!({ "direction": "out", "message": call(1, "one") }),
        json!({ "dir": "out", "message": call("1", "two") }),
        json!({ "dir": "in", "message": answer("1", "second") }),
        answer(1, "{\"first\":true}"),
        json!({ "jsonrpc": "2.0", "method": "notifications/progress" }),
        call(2, "three"),
        json!({ "jsonrpc": "2.0", "id": 2, "error": { "code": -32603, "message": "no" } }),
        call(3, "four"),
    ])
    .expect("a log");
    let steps = &read.traces[0].steps;
    assert_eq!((read.traces.len(), read.traces[0].id.as_str(), read.traces[0].prompt.as_str()), (1, "log", "as asked"));
    let told: Vec<_> = steps.iter().map(|step| (step.tool.as_str(), step.result_text.as_str(), step.error.as_deref())).collect();
    assert_eq!(told[0], ("one", "{\"first\":true}", None));
    assert_eq!(told[1], ("two", "second", None));
    assert_eq!((told[2].0, told[2].2), ("three", Some("no")));
    assert_eq!((told[3].0, told[3].2), ("four", Some("the log has no answer to this call")));
    assert_eq!(steps[0].result, Some(json!({ "first": true })));
    assert_eq!(read.beside["initialize"] + read.beside["notifications/progress"] + read.beside["answers to something else"], 3);
    assert_eq!(read.notes.len(), 1);
}

#[test]
fn sessions_of_a_log_are_traces_of_their_own() {
    let in_session = |name: &str, frame: Value| json!({ "session": name, "message": frame });
    let read = of_mcp(&[
        in_session("a", call(1, "x")),
        in_session("b", call(1, "y")),
        in_session("b", answer(1, "of b")),
        in_session("a", answer(1, "of a")),
    ])
    .expect("a log");
    let told: Vec<_> = read.traces.iter().map(|trace| (trace.id.as_str(), trace.steps[0].result_text.as_str())).collect();
    assert_eq!(told, [("a", "of a"), ("b", "of b")]);
}

#[test]
fn what_is_no_frame_is_an_error_with_its_line() {
    let errors =
        mcp::parse("{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":1}\n[]\nnope\n{\"a\":1}\n{\"jsonrpc\":\"1.0\"}", &defaults());
    let lines: Vec<usize> = errors.expect_err("wrong").iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
    let no_object = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "x", "arguments": [1] } });
    assert!(of_mcp(&[no_object]).expect_err("wrong")[0].message.contains("must be an object"));
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn tool_span(start: u64, tool: &str, arguments: &str, result: &str) -> Value {
    json!({ "traceId": "t1", "spanId": format!("s{start}"), "name": format!("execute_tool {tool}"), "startTimeUnixNano": start.to_string(),
        "attributes": [attribute("gen_ai.operation.name", "execute_tool"), attribute("gen_ai.tool.name", tool),
            attribute("gen_ai.tool.call.arguments", arguments), attribute("gen_ai.tool.call.result", result)] })
}

#[test]
fn spans_become_a_trace_in_the_order_of_time() {
    let messages =
        json!([{ "role": "system", "parts": [] }, { "role": "user", "parts": [{ "type": "text", "content": "Do it" }] }]);
    let chat = json!({ "traceId": "t1", "spanId": "s0", "startTimeUnixNano": "1", "attributes": [
        attribute("gen_ai.operation.name", "chat"), attribute("gen_ai.conversation.id", "conv-1"),
        attribute("gen_ai.input.messages", &messages.to_string())] });
    let document = json!({ "resourceSpans": [{ "resource": {}, "scopeSpans": [{ "spans": [
        tool_span(20, "second", "{}", "plain"), tool_span(10, "first", "{\"a\":[1]}", "{\"b\":2}"), chat] }] }] });
    for text in [document.to_string(), serde_json::to_string_pretty(&document).expect("json")] {
        let read = otel::parse(&text, &defaults()).expect("spans");
        let trace = &read.traces[0];
        assert_eq!((trace.id.as_str(), trace.prompt.as_str(), trace.requester.as_str()), ("conv-1", "Do it", "bo"));
        let tools: Vec<&str> = trace.steps.iter().map(|step| step.tool.as_str()).collect();
        assert_eq!(tools, ["first", "second"]);
        assert_eq!((trace.steps[0].args["a"].clone(), trace.steps[0].result.clone()), (json!([1]), Some(json!({ "b": 2 }))));
        assert_eq!((trace.steps[1].result_text.as_str(), trace.steps[1].result.as_ref()), ("plain", None));
        assert_eq!(read.beside["chat"], 1);
    }
}

#[test]
fn one_span_a_line_with_plain_attributes_is_read_too() {
    let span = json!({ "trace_id": "t9", "start_time_unix_nano": 5, "status": { "code": 2, "message": "broken" },
        "attributes": { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "x", "gen_ai.tool.call.arguments": { "n": 1 } } });
    let read = otel::parse(&format!("{span}\n{span}"), &defaults()).expect("spans");
    assert_eq!((read.traces[0].id.as_str(), read.traces[0].steps.len()), ("t9", 2));
    assert_eq!(read.traces[0].steps[0].error.as_deref(), Some("broken"));
    assert_eq!(read.notes, ["`t9`: no words of the requester were recorded"]);
}

#[test]
fn a_call_without_its_content_is_an_error() {
    let mut span = tool_span(1, "x", "{}", "r");
    span["attributes"].as_array_mut().expect("a list").truncate(2);
    let errors = otel::parse(&span.to_string(), &defaults()).expect_err("no arguments");
    assert!(errors[0].message.contains("`gen_ai.tool.call.arguments` was not recorded"), "{errors:?}");
    let errors = otel::parse("{\"attributes\":[]}\n{\"spans\":3}\nno", &defaults()).expect_err("wrong");
    assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 3]);
}
