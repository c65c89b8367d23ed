//! What a server is asked when its lists are read, and what it is answered.

use super::*;

#[tokio::test]
async fn a_server_that_asks_before_it_lists_is_answered_and_shows_what_only_able_clients_see() {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let server = tokio::spawn(particular_server(theirs));
    let shown = ask(ours).await.expect("the lists");
    let names: Vec<_> = shown.tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["plain", "ask-model", "ask-person", "ask-roots"]);
    let answer = server.await.expect("the server").expect("an answer to its question");
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("q"), &json!(METHOD_NOT_FOUND)));
}

/// Shows a tool only to clients that can do what it will ask of them, and asks for roots before it lists anything. Hands back what it was answered.
async fn particular_server(stream: tokio::io::DuplexStream) -> Option<Value> {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(read).lines();
    let (mut tools, mut answered) = (vec![json!({ "name": "plain" })], None);
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).expect("JSON");
        let mut say = async |message: Value| write.write_all(format!("{message}\n").as_bytes()).await.expect("a reader");
        match message["method"].as_str() {
            Some("initialize") => {
                let able = &message["params"]["capabilities"];
                for (capability, tool) in [("sampling", "ask-model"), ("elicitation", "ask-person"), ("roots", "ask-roots")] {
                    if able.get(capability).is_some() {
                        tools.push(json!({ "name": tool }));
                    }
                }
                say(json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "capabilities": { "tools": {} } } })).await;
            }
            Some("tools/list") => {
                say(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "" } }))
                    .await;
                say(json!({ "jsonrpc": "2.0", "id": "q", "method": "roots/list" })).await;
                let answer = lines.next_line().await.expect("a line").expect("an answer");
                answered = Some(serde_json::from_str(&answer).expect("JSON"));
                say(json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "tools": tools } })).await;
            }
            _ => {}
        }
    }
    answered
}
