//! What is decided: nothing reaches a server without a permit, and nothing reaches the agent unobserved.

use engine::NewTask;
use gateway::{GatewayConfig, Mode, RefusalForm};
use http::StatusCode;
use judge::name::{AskId, PrincipalId};
use judge::task::Budget;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::peer::{Asked, Body, Running, Upstream, json as body, status};
use crate::world::{accepted, contracts};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;

/// A server with a tool that reads notes, one that posts to a board, and one that nobody knows.
#[derive(Clone)]
struct Notes {
    definitions: Arc<Mutex<Value>>,
    answer: Arc<Mutex<Value>>,
}

impl Notes {
    fn new() -> Self {
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
        let definitions = json!([tool("read"), tool("post"), tool("unknown"), tool("search")]);
        let answer = json!({"content": [{"type": "text", "text": "done"}]});
        Self { definitions: Arc::new(Mutex::new(definitions)), answer: Arc::new(Mutex::new(answer)) }
    }

    async fn start(&self) -> Upstream {
        let notes = self.clone();
        Upstream::start(move |asked| notes.respond(&asked)).await
    }

    fn respond(&self, asked: &Asked) -> http::Response<Body> {
        let frame: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let result = match frame["method"].as_str() {
            Some("tools/list") => json!({"tools": *self.definitions.lock()}),
            Some("tools/call" | "resources/read" | "tasks/result") => self.answer.lock().clone(),
            Some("broken") => return status(StatusCode::INTERNAL_SERVER_ERROR),
            _ => json!({}),
        };
        if result == json!("broken") {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        body(&json!({"jsonrpc": "2.0", "id": frame["id"], "result": result}).to_string())
    }

    fn contract(&self) -> String {
        let definitions = self.definitions.lock().clone();
        let read = r#"
effects = ["read"]
arguments = ["id"]
resource = "$.id"
[[tool.result.item]]
at = "$.notes[*]"
id = "$.id"
"#;
        let post = r#"
effects = ["publish"]
arguments = ["board", "text"]
resource = "$.board"
[tool.result]
label = { readers = ["bo"] }
"#;
        let search = r#"
effects = ["read"]
arguments = ["limit"]
resource = { is = "notes" }
reads = { at = "$.limit", otherwise = 50 }
[[tool.result.item]]
at = "$.notes[*]"
id = "$.id"
"#;
        let resource =
            "[[resource]]\nuri = \"note://{}\"\nitem = \"note:{}\"\naccepted_at = \"2026-11-23\"\naccepted_by = \"ann\"\n";
        [accepted(&definitions[0], read), accepted(&definitions[1], post), accepted(&definitions[3], search), resource.to_owned()]
            .concat()
    }
}

async fn before(notes: &Notes, upstream: &Upstream, change: impl FnOnce(&mut GatewayConfig)) -> Running {
    let mut config = GatewayConfig { upstreams: vec![upstream.config("notes")], ..GatewayConfig::default() };
    change(&mut config);
    Running::with(config, vec![contracts("notes", &notes.contract())]).await
}

fn call(name: &str, arguments: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}).to_string()
}

async fn ask(gateway: &Running, request: &str) -> Value {
    let (status, _, answer) = gateway.client().post(request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_str(&answer).expect("json")
}

fn calls(upstream: &Upstream) -> usize {
    upstream.asked().iter().filter(|asked| asked.body.contains("tools/call") || asked.body.contains("resources/read")).count()
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_permitted_call_goes_through_as_it_came_and_leaves_two_records() {
    let notes = Notes::new();
    *notes.answer.lock() =
        json!({"structuredContent": {"notes": [{"id": "note:mine", "text": "mine"}]}, "content": [], "x": 1.0});
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let request = r#"{"jsonrpc":"2.0","id":"\u0061","method":"tools/call","params":{"arguments":{"id":"note:mine"},"name":"read","extra":1.50}}"#;
    let answer = ask(&gateway, request).await;
    assert_eq!(answer["result"]["structuredContent"]["notes"][0]["text"], "mine");
    assert_eq!(upstream.asked().pop().expect("asked").body, request);
    assert_eq!(gateway.world.events(), ["permit notes__read", "ok"]);
}

/// A task that may read so many items asks for more at once: the server is asked for what is left, and then for nothing.
#[tokio::test]
async fn a_page_is_cut_down_to_what_is_left_of_the_budget() {
    let notes = Notes::new();
    let found = |count: usize| json!({"structuredContent": {"notes": vec![json!({"id": "note:mine"}); count]}, "content": []});
    let upstream = notes.start().await;
    let mut gateway = before(&notes, &upstream, |_| {}).await;
    let name = |text| PrincipalId::parse(text).expect("a name");
    let budget = Budget { items: Some(30), ..Budget::default() };
    let new = NewTask { budget, ..NewTask::new(name("bo"), name("helper"), "testing", 600_000) };
    gateway.world.tasks[0] = gateway.world.engine.start_task(new).await.expect("both are known").id.to_string();
    let asked_for = |upstream: &Upstream| -> Value {
        let sent: Value = serde_json::from_str(&upstream.asked().pop().expect("asked").body).expect("json");
        sent["params"]["arguments"].clone()
    };

    *notes.answer.lock() = found(4);
    ask(&gateway, &call("search", json!({"limit": 10}))).await;
    assert_eq!(asked_for(&upstream), json!({"limit": 10}), "ten are within it");
    *notes.answer.lock() = found(20);
    ask(&gateway, &call("search", json!({"limit": 1_000}))).await;
    assert_eq!(asked_for(&upstream), json!({"limit": 26}), "four of thirty came");
    ask(&gateway, &call("search", json!({}))).await;
    assert_eq!(asked_for(&upstream), json!({"limit": 6}), "what the server would take by itself is too much");
    let before = calls(&upstream);
    let answer = ask(&gateway, &call("search", json!({"limit": 1}))).await;
    assert_eq!(answer["result"]["isError"], true, "the server gave more than it was asked for: {answer}");
    assert_eq!(calls(&upstream), before);
    assert_eq!(gateway.world.events()[..6], ["permit notes__search", "ok"].repeat(3));
}

#[tokio::test]
async fn what_the_chain_may_not_have_is_taken_out_of_the_result() {
    let notes = Notes::new();
    *notes.answer.lock() = json!({"structuredContent": {"notes": [{"id": "note:mine", "text": "mine"}, {"id": "note:theirs", "text": "theirs"}]}, "content": []});
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let answer = ask(&gateway, &call("read", json!({"id": "note:mine"}))).await.to_string();
    assert!(answer.contains("mine") && !answer.contains("\"theirs\"") && answer.contains("withheld"), "{answer}");
}

#[tokio::test]
async fn what_is_kept_in_clear_is_what_the_agent_got_and_nothing_is_kept_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("calls.jsonl");
    let notes = Notes::new();
    *notes.answer.lock() = json!({"structuredContent": {"notes": [{"id": "note:mine", "text": "mine"}, {"id": "note:theirs", "text": "theirs"}]}, "content": []});
    let upstream = notes.start().await;
    let silent = before(&notes, &upstream, |_| {}).await;
    ask(&silent, &call("read", json!({"id": "note:mine"}))).await;
    assert!(!file.exists());
    let keeping = before(&notes, &upstream, |config| config.recording = Some(file.clone())).await;
    ask(&keeping, &call("read", json!({"id": "note:mine"}))).await;
    ask(&keeping, &call("read", json!({"id": "note:theirs"}))).await;
    let kept = loop {
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        if kept.ends_with('\n') {
            break kept;
        }
        tokio::task::yield_now().await;
    };
    let line: Value = serde_json::from_str(&kept).expect("one call: the other one was refused");
    assert_eq!((&line["tool"], &line["args"]["id"]), (&json!("notes__read"), &json!("note:mine")));
    assert_eq!(line["task"], keeping.world.tasks[0].as_str());
    assert!(kept.contains("\"mine\"") && !kept.contains("\"theirs\""), "{kept}");
}

/// Bo alone may have `note:mine`; Bo and Ann may have `work:1`, and both see the board.
#[tokio::test]
async fn a_server_does_not_choose_a_label_by_choosing_a_name() {
    let secret = "the plan that only bo may know, and nobody else at all";
    let tool = |id: &str| json!({"structuredContent": {"notes": [{"id": id, "text": secret}]}, "content": []});
    let hidden = json!({"structuredContent": {"notes": [], "plan": secret}, "content": []});
    let resource = json!({"contents": [{"uri": "work://1", "text": secret}]});
    let read = call("read", json!({"id": "note:mine"}));
    let read_uri = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"note://mine"}}"#.to_owned();
    let lies = [(tool("work:1"), &read), (tool("work:none"), &read), (hidden, &read), (resource, &read_uri)];
    for (lie, request) in lies {
        let notes = Notes::new();
        *notes.answer.lock() = lie.clone();
        let upstream = notes.start().await;
        let work = "[[resource]]\nuri = \"work://{}\"\nitem = \"work:{}\"\naccepted_at = \"2026-11-23\"\naccepted_by = \"ann\"\n";
        let config = GatewayConfig { upstreams: vec![upstream.config("notes")], ..GatewayConfig::default() };
        let gateway = Running::with(config, vec![contracts("notes", &(notes.contract() + work))]).await;
        let answer = ask(&gateway, request).await.to_string();
        assert!(answer.contains(secret), "bo may have it: {answer}");
        let answer = ask(&gateway, &call("post", json!({"board": "board", "text": secret}))).await;
        assert!(text(&answer).contains("not cleared"), "{lie}: {answer}");
        assert_eq!(calls(&upstream), 1, "{lie}");
    }
    // Honestly named, the same words are for both of them.
    let notes = Notes::new();
    *notes.answer.lock() = tool("work:1");
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    ask(&gateway, &call("read", json!({"id": "work:1"}))).await;
    ask(&gateway, &call("post", json!({"board": "board", "text": secret}))).await;
    assert_eq!(calls(&upstream), 2);
}

#[tokio::test]
async fn a_refusal_is_a_tool_result_that_says_why_and_nothing_is_sent() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let answer = ask(&gateway, &call("unknown", json!({}))).await;
    assert_eq!(answer["result"]["isError"], true);
    assert!(text(&answer).starts_with("Refused: no contract says what `unknown` does."), "{answer}");
    assert_eq!(answer["result"]["_meta"]["prudence/refusal"]["codes"], json!(["contract"]));
    assert_eq!(calls(&upstream), 0);
    assert_eq!(gateway.world.events(), ["refused contract"]);
    let as_error = before(&notes, &upstream, |config| config.refusal = RefusalForm::JsonRpcError).await;
    assert_eq!(ask(&as_error, &call("unknown", json!({}))).await["error"]["code"], -32001);
}

#[tokio::test]
async fn a_call_beyond_the_tasks_effects_is_answered_with_the_missing_scope_where_that_is_wanted() {
    let door = |step_up| gateway::Door {
        resource: "https://gate.example/mcp".to_owned(),
        authorization_servers: vec!["https://auth.example".to_owned()],
        scopes: vec!["read".to_owned()],
        bearer: true,
        certificates: false,
        nonces: true,
        step_up,
    };
    let notes = Notes::new();
    let upstream = notes.start().await;
    let post = call("post", json!({"board": "board", "text": "hello"}));
    for (step_up, expected) in [(true, StatusCode::FORBIDDEN), (false, StatusCode::OK)] {
        let gateway = before(&notes, &upstream, |config| config.door = Some(door(step_up))).await;
        let reading = gateway.world.start(Some([judge::effect::Effect::Read].into())).await;
        let client = gateway.client().with("authorization", &format!("Bearer {}", crate::peer::token_of(&reading)));
        let (status, headers, body) = client.post(&post).await;
        assert_eq!(status, expected, "{body}");
        assert!(body.contains("a person must approve this call first"), "the refusal is the same: {body}");
        let challenges: Vec<_> = headers.get_all("www-authenticate").iter().map(|value| value.to_str().expect("ascii")).collect();
        assert_eq!(!challenges.is_empty(), step_up);
        for challenge in challenges {
            assert!(
                challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"read publish\""),
                "{challenge}"
            );
            assert!(challenge.contains("resource_metadata=\"https://gate.example/"), "{challenge}");
        }
        // What another scope would not put right is no question of scope.
        let wide = call("post", json!({"board": "wide", "text": "hello"}));
        let (status, _, body) = gateway.client().post(&wide).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    assert_eq!(calls(&upstream), 0);
}

#[tokio::test]
async fn what_was_read_cannot_be_shown_to_others() {
    let notes = Notes::new();
    let secret = "the plan that only bo may know, and nobody else at all";
    *notes.answer.lock() = json!({"structuredContent": {"notes": [{"id": "note:mine", "text": secret}]}, "content": []});
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    ask(&gateway, &call("read", json!({"id": "note:mine"}))).await;
    let posted = calls(&upstream);
    let hidden = json!({"board": "board", "text": "see below"});
    let mut beside: Value = serde_json::from_str(&call("post", hidden)).expect("json");
    for pointer in ["/params/_meta/note", "/params/arguments/text", "/params/inputResponses/a/content", "/params/else"] {
        let mut request = beside.clone();
        let place = pointer.split('/').skip(1).fold(&mut request, |at, member| &mut at[member]);
        *place = json!(format!("fyi: {secret}"));
        let answer = ask(&gateway, &request.to_string()).await;
        assert_eq!(answer["result"]["isError"], true, "{pointer}: {answer}");
    }
    let header = gateway.client().with("baggage", &format!("x={secret}"));
    assert!(header.post(&beside.take().to_string()).await.2.contains("isError\":true"), "a header");
    assert_eq!(calls(&upstream), posted, "nothing was sent");
    let other = gateway.client_of(1).post(&call("post", json!({"board": "board", "text": secret}))).await;
    assert!(!other.2.contains("isError\":true"), "another task has not read it: {}", other.2);
}

#[tokio::test]
async fn an_approved_call_goes_through_once_when_it_is_sent_again() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let wide = call("post", json!({"board": "wide", "text": "hello"}));
    let answer = ask(&gateway, &wide).await;
    assert!(text(&answer).starts_with("Not carried out: a person must approve this call first."), "{answer}");
    let approval = answer["result"]["_meta"]["prudence/refusal"]["approval"].as_str().expect("an approval").to_owned();
    assert!(text(&answer).contains(&approval));
    let (ask_id, ann) = (AskId::parse(&approval).expect("an id"), PrincipalId::parse("ann").expect("a name"));
    gateway.world.engine.answer(&ask_id, &ann, true).await.expect("ann may answer");
    let another = call("post", json!({"board": "wide", "text": "hello, and more"}));
    assert_eq!(ask(&gateway, &another).await["result"]["isError"], true, "another call does not pass on it");
    let again =
        wide.replace("\"id\":1", "\"id\":\"again\"").replace("\"params\":{", "\"params\":{\"_meta\":{\"progressToken\":7},");
    assert!(text(&ask(&gateway, &again).await).contains("done"));
    assert_eq!(ask(&gateway, &wide).await["result"]["isError"], true, "nor the same a second time");
    assert_eq!(calls(&upstream), 1);
}

#[tokio::test]
async fn one_yes_lets_one_call_through_however_many_are_sent_at_once() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let wide = call("post", json!({"board": "wide", "text": "hello"}));
    let answer = ask(&gateway, &wide).await;
    let approval = answer["result"]["_meta"]["prudence/refusal"]["approval"].as_str().expect("an approval").to_owned();
    let (ask_id, ann) = (AskId::parse(&approval).expect("an id"), PrincipalId::parse("ann").expect("a name"));
    // Half of them are under way when the answer comes.
    let tries = futures_util::future::join_all((0..32).map(|number| {
        let (gateway, wide, ask_id, ann) = (&gateway, &wide, &ask_id, &ann);
        async move {
            if number == 16 {
                gateway.world.engine.answer(ask_id, ann, true).await.expect("ann may answer");
            }
            ask(gateway, wide).await
        }
    }));
    let through = tries.await.iter().filter(|answer| text(answer) == "done").count();
    assert_eq!((through, calls(&upstream)), (1, 1));
}

#[tokio::test]
async fn a_yes_covers_no_other_words_beside_the_arguments() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let wide = |meta: Value| {
        let mut request: Value = serde_json::from_str(&call("post", json!({"board": "wide", "text": "hello"}))).expect("json");
        request["params"]["_meta"] = meta;
        request.to_string()
    };
    let answer = ask(&gateway, &wide(json!({"client/id": "a1"}))).await;
    let approval = answer["result"]["_meta"]["prudence/refusal"]["approval"].as_str().expect("an approval").to_owned();
    let (ask_id, ann) = (AskId::parse(&approval).expect("an id"), PrincipalId::parse("ann").expect("a name"));
    gateway.world.engine.answer(&ask_id, &ann, true).await.expect("ann may answer");
    let long = "a".repeat(65);
    for other in [json!({"note": "and wire a million"}), json!({"note": {"to": "cy"}}), json!({"note": long}), json!("words")] {
        assert_ne!(text(&ask(&gateway, &wide(other.clone())).await), "done", "{other}");
    }
    let many: serde_json::Map<_, _> = (0..40).map(|number| (format!("m{number}"), json!("word"))).collect();
    assert_ne!(text(&ask(&gateway, &wide(Value::Object(many))).await), "done", "many small ones");
    assert_eq!(calls(&upstream), 0);
    assert_eq!(text(&ask(&gateway, &wide(json!({"client/id": "b2", "progressToken": 3}))).await), "done", "marks may change");
}

#[tokio::test]
async fn a_tool_that_changed_is_left_out_of_lists_and_refused() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let names = |answer: &Value| {
        answer["result"]["tools"].as_array().expect("tools").iter().map(|tool| tool["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ask(&gateway, &list).await), ["read", "post", "search"]);
    assert!(text(&ask(&gateway, &call("post", json!({"board": "board", "text": "hello"}))).await).contains("done"));
    notes.definitions.lock()[1]["description"] = json!("Posts, and now also tells everybody.");
    assert_eq!(names(&ask(&gateway, &list).await), ["read", "search"]);
    let answer = ask(&gateway, &call("post", json!({"board": "board", "text": "hello"}))).await;
    assert!(text(&answer).contains("`post` changed since its contract was accepted"), "{answer}");
}

/// Ann's aide may read what is Ann's work: neither the board nor all notes are hers to touch, and no tool for that is shown.
#[tokio::test]
async fn a_list_shows_what_there_are_grants_for() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let (_, _, answer) = gateway.client_of_ann().await.post(&list).await;
    let answer: Value = serde_json::from_str(&answer).expect("json");
    let tools = answer["result"]["tools"].as_array().expect("tools");
    assert_eq!(tools.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(), ["read"]);
}

#[tokio::test]
async fn observing_stops_nothing_and_records_what_would_have_been_stopped() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |config| config.upstreams[0].mode = Mode::Observe).await;
    assert!(text(&ask(&gateway, &call("unknown", json!({}))).await).contains("done"));
    let events = gateway.world.events();
    assert_eq!(events[0], "refused contract");
    assert_eq!(events[1], "deny notes__unknown");
    assert_eq!(events.len(), 3, "{events:?}");
}

#[tokio::test]
async fn a_read_of_a_resource_is_judged_like_any_other() {
    let notes = Notes::new();
    *notes.answer.lock() =
        json!({"contents": [{"uri": "note://mine", "text": "mine"}, {"uri": "note://theirs", "text": "a stowaway"}]});
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let read = |uri: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}).to_string();
    let answer = ask(&gateway, &read("note://mine")).await.to_string();
    assert!(answer.contains("mine") && !answer.contains("stowaway"), "{answer}");
    assert_eq!(ask(&gateway, &read("file:///etc/passwd")).await["error"]["code"], -32001);
    assert_eq!(calls(&upstream), 1);
}

#[tokio::test]
async fn without_a_ledger_nothing_happens_and_it_says_so() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    gateway.world.ledger.set_quota_bytes(Some(0));
    let post = call("post", json!({"board": "board", "text": "hello"}));
    let answer = ask(&gateway, &post).await;
    assert_eq!(answer["result"]["_meta"]["prudence/refusal"]["codes"], json!(["ledger"]), "{answer}");
    assert_eq!(calls(&upstream), 0);
    gateway.world.ledger.set_quota_bytes(None);
    // The engine leaves a ledger that failed alone for a moment.
    let mut said = String::new();
    for _ in 0..100 {
        said = text(&ask(&gateway, &post).await).to_string();
        if said.contains("done") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(said.contains("done"), "it recovers by itself: {said}");
}

#[tokio::test]
async fn a_call_without_an_answer_ends_as_ambiguous_and_is_not_repeated() {
    let notes = Notes::new();
    *notes.answer.lock() = json!("broken");
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let (status, _, _) = gateway.client().post(&call("post", json!({"board": "board", "text": "hello"}))).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(calls(&upstream), 1);
    gateway.world.engine.settle().await.expect("the ledger works");
    assert_eq!(gateway.world.events(), ["permit notes__post", "ambiguous"]);
}

#[tokio::test]
async fn a_call_that_comes_as_a_notification_goes_nowhere() {
    let notes = Notes::new();
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let sneaky = r#"{"jsonrpc":"2.0","method":"tools\/call","params":{"name":"post","arguments":{}}}"#;
    assert_eq!(gateway.client().post(sneaky).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(upstream.asked().len(), 0);
    assert_eq!(gateway.world.events(), ["refused contract"]);
}

#[tokio::test]
async fn the_result_of_a_task_is_observed_when_it_is_fetched() {
    let notes = Notes::new();
    *notes.answer.lock() = json!({"task": {"taskId": "t1", "status": "working"}});
    let upstream = notes.start().await;
    let gateway = before(&notes, &upstream, |_| {}).await;
    let (_, _, _) = gateway.client().post(INITIALIZE).await;
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read", "arguments": {"id": "note:mine"}, "task": {}}});
    assert_eq!(ask(&gateway, &request.to_string()).await["result"]["task"]["taskId"], "t1");
    *notes.answer.lock() = json!({"structuredContent": {"notes": [{"id": "note:theirs", "text": "secret"}]}, "content": []});
    let fetch = |id: &str| json!({"jsonrpc": "2.0", "id": 2, "method": "tasks/result", "params": {"taskId": id}}).to_string();
    for _ in 0..2 {
        let answer = ask(&gateway, &fetch("t1")).await.to_string();
        assert!(!answer.contains("secret") && answer.contains("withheld"), "{answer}");
    }
    assert_eq!(gateway.world.events(), ["permit notes__read", "ok"]);
    assert_eq!(ask(&gateway, &fetch("t2")).await["error"]["code"], -32602);
    let other = gateway.client_of(1).post(&fetch("t1")).await.2;
    assert!(other.contains("-32602"), "{other}");
}
