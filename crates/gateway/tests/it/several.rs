//! Several servers behind one endpoint.

use gateway::GatewayConfig;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::peer::{Asked, Body, Client, Running, Upstream, json as body, next_chunk, status};
use crate::world::{accepted, contracts};

fn server(name: &'static str, version: &'static str) -> impl Fn(Asked) -> http::Response<Body> + Send + Sync + 'static {
    move |asked: Asked| {
        if asked.method == Method::GET {
            let (send, response) = crate::peer::stream();
            let request = format!(
                "id: 9\ndata: {{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"elicitation/create\",\"params\":{{\"from\":\"{name}\"}}}}\n\n"
            );
            send.send(request).expect("the response is open");
            return response;
        }
        let frame: Value = serde_json::from_str(&asked.body).expect("the gateway sends json");
        let Some(id) = frame.get("id").filter(|_| frame.get("method").is_some()) else { return status(StatusCode::ACCEPTED) };
        let result = match frame["method"].as_str().expect("a method") {
            "initialize" => {
                json!({"protocolVersion": version, "capabilities": {"tools": {"listChanged": name == "a"}, name: {}}, "instructions": format!("use {name}")})
            }
            "tools/list" if frame["params"]["cursor"] == "more" => json!({"tools": [{"name": "last", "inputSchema": {}}]}),
            "tools/list" => {
                json!({"tools": [{"inputSchema": {}, "name": "do", "x-unknown": 1.0}], "nextCursor": if name == "a" { "more" } else { "" }})
            }
            "resources/list" => json!({"resources": [{"uri": format!("x://{name}/1"), "name": "n"}]}),
            _ => json!({"from": name, "asked": frame["params"]}),
        };
        let mut result = result;
        if result["nextCursor"] == "" {
            result.as_object_mut().expect("an object").remove("nextCursor");
        }
        let mut answer = body(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
        answer.headers_mut().insert("mcp-session-id", format!("session-of-{name}").parse().expect("a header"));
        answer
    }
}

/// The tools of both, and their resources.
fn contract() -> String {
    let says = "effects = [\"compute\"]\narguments = [\"k\"]\n[tool.result]\nlabel = { readers = [\"bo\"] }";
    let (first, last) = (json!({"name": "do", "inputSchema": {}}), json!({"name": "last", "inputSchema": {}}));
    let uris = ["x://{}", "b-only://{}"].map(|uri| {
        format!("[[resource]]\nuri = \"{uri}\"\nitem = \"uri:{{}}\"\naccepted_at = \"2026-11-23\"\naccepted_by = \"ann\"\nlabel = {{ readers = [\"bo\"] }}\n")
    });
    [accepted(&first, says), accepted(&last, says), uris.concat()].concat()
}

async fn both() -> (Upstream, Upstream, Running) {
    let (a, b) = (Upstream::start(server("a", "2025-11-25")).await, Upstream::start(server("b", "2025-06-18")).await);
    let mut with_prefix = b.config("b");
    with_prefix.uri_prefixes = vec!["b-only://".to_owned()];
    let config = GatewayConfig { upstreams: vec![a.config("a"), with_prefix], ..GatewayConfig::default() };
    let gateway = Running::with(config, ["a", "b"].map(|name| contracts(name, &contract())).into()).await;
    (a, b, gateway)
}

async fn open(gateway: &Running) -> (Client, Value) {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let (status, headers, answer): (_, HeaderMap, _) = gateway.client().post(initialize).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let client = gateway.client().with("mcp-session-id", headers["mcp-session-id"].to_str().expect("ascii"));
    (client.with("mcp-protocol-version", "2025-06-18"), serde_json::from_str(&answer).expect("json"))
}

async fn ask(client: &Client, method: &str, params: Value) -> Value {
    let (_, _, answer) = client.post(&json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params}).to_string()).await;
    serde_json::from_str(&answer).expect("json")
}

#[tokio::test]
async fn one_session_is_opened_with_each_and_capabilities_are_joined() {
    let (a, b, gateway) = both().await;
    let (client, answer) = open(&gateway).await;
    let result = &answer["result"];
    assert_eq!(result["protocolVersion"], "2025-06-18", "the older of the two");
    assert_eq!(result["capabilities"], json!({"tools": {"listChanged": true}, "a": {}, "b": {}}));
    assert_eq!(result["instructions"], "a: use a\n\nb: use b");
    ask(&client, "tools/call", json!({"name": "a__do"})).await;
    let last = a.asked().pop().expect("asked");
    assert!(last.body.contains("tools/call"), "{}", last.body);
    assert_eq!(last.headers["mcp-session-id"], "session-of-a");
    assert_eq!(last.headers["mcp-protocol-version"], "2025-11-25", "each hears the revision that it chose");
    assert_eq!(b.asked().len(), 1, "b was only asked to open the session");
}

#[tokio::test]
async fn lists_are_joined_page_by_page_and_items_keep_what_they_have() {
    let (_a, _b, gateway) = both().await;
    let (client, _) = open(&gateway).await;
    let first = ask(&client, "tools/list", json!({})).await;
    let tools =
        json!([{"inputSchema": {}, "name": "a__do", "x-unknown": 1.0}, {"inputSchema": {}, "name": "b__do", "x-unknown": 1.0}]);
    assert_eq!(first["result"]["tools"], tools);
    let second = ask(&client, "tools/list", json!({"cursor": first["result"]["nextCursor"]})).await;
    assert_eq!(second["result"], json!({"tools": [{"name": "a__last", "inputSchema": {}}]}));
    assert_eq!(ask(&client, "tools/list", json!({"cursor": "forged"})).await["error"]["code"], -32602);
}

#[tokio::test]
async fn names_and_uris_find_their_server() {
    let (_a, _b, gateway) = both().await;
    let (client, _) = open(&gateway).await;
    let called = ask(&client, "tools/call", json!({"name": "b__do", "arguments": {"k": 1.0}})).await;
    assert_eq!(called["result"], json!({"from": "b", "asked": {"name": "do", "arguments": {"k": 1.0}}}));
    assert_eq!(ask(&client, "tools/call", json!({"name": "do"})).await["error"]["code"], -32602);
    assert_eq!(ask(&client, "resources/read", json!({"uri": "b-only://1"})).await["result"]["from"], "b", "configured");
    assert_eq!(ask(&client, "resources/read", json!({"uri": "x://b/1"})).await["error"]["code"], -32602, "not listed yet");
    ask(&client, "resources/list", json!({})).await;
    assert_eq!(ask(&client, "resources/read", json!({"uri": "x://b/1"})).await["result"]["from"], "b", "listed");
    assert_eq!(ask(&client, "x/unknown", json!({})).await["error"]["code"], -32601);
}

#[tokio::test]
async fn requests_of_servers_get_ids_of_their_own_and_answers_find_back() {
    let (a, b, gateway) = both().await;
    let (client, _) = open(&gateway).await;
    let mut unasked = client.send(Method::GET, "").await;
    for _ in 0..2 {
        let event = next_chunk(&mut unasked).await.expect("an event");
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        let request: Value = serde_json::from_str(data).expect("json");
        let (from, upstream, prefix) = if request["params"]["from"] == "a" { ("a", &a, "id: 0~9") } else { ("b", &b, "id: 1~9") };
        assert!(event.starts_with(prefix), "{event}");
        assert_ne!(request["id"], 5);
        let (status, _, _) =
            client.post(&json!({"jsonrpc": "2.0", "id": request["id"], "result": {"action": "accept"}}).to_string()).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let answer: Value = serde_json::from_str(&upstream.asked().pop().expect("told").body).expect("json");
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 5, "result": {"action": "accept"}}), "{from}");
        let again = client.post(&json!({"jsonrpc": "2.0", "id": request["id"], "result": {}}).to_string()).await;
        assert_eq!(again.0, StatusCode::BAD_REQUEST, "an answer counts once");
    }
}
