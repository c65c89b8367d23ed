//! What is not decided passes as it came.

use http::{Method, StatusCode};

use crate::peer::{Running, Upstream, json, next_chunk, status, stream};

#[tokio::test]
async fn a_frame_passes_byte_for_byte_both_ways() {
    let question = "{ \"id\" : \"a\\u0062\", \"method\":\"x/unknown\",\n \"jsonrpc\":\"2.0\", \"params\":{\"n\":1.0, \"u\":null}, \"extra\":[1e2] }";
    let answer = "{\"extra\":{\"é\":\"\\u00e9\"},\"result\":{ \"k\": 1.50 },\"id\":\"a\\u0062\",\"jsonrpc\":\"2.0\"}";
    let upstream = Upstream::start(move |_| json(answer)).await;
    let gateway = Running::before(&upstream).await;
    let (status, _, body) = gateway.client().post(question).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, answer));
    assert_eq!(upstream.asked()[0].body, question);
}

#[tokio::test]
async fn protocol_headers_pass_and_credentials_do_not() {
    let upstream = Upstream::start(|_| {
        let mut answer = json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        answer.headers_mut().insert("mcp-future", "down".parse().expect("a header"));
        answer.headers_mut().insert("set-cookie", "a=b".parse().expect("a header"));
        answer
    })
    .await;
    let gateway = Running::before(&upstream).await;
    let client =
        gateway.client().with("mcp-param-region", "eu").with("mcp-protocol-version", "2025-11-25").with("cookie", "secret=1");
    let (_, headers, _) = client.with("traceparent", "00-1-1-00").post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    let asked = &upstream.asked()[0];
    assert_eq!(asked.headers["mcp-param-region"], "eu");
    assert_eq!(asked.headers["mcp-protocol-version"], "2025-11-25");
    assert_eq!(asked.headers["traceparent"], "00-1-1-00");
    assert!(!asked.headers.contains_key("cookie") && !asked.headers.contains_key("authorization"));
    assert_eq!(headers["mcp-future"], "down");
    assert!(!headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn events_pass_as_they_come_and_an_answer_to_nothing_is_dropped() {
    let (send, response) = stream();
    let response = parking_lot::Mutex::new(Some(response));
    let upstream = Upstream::start(move |_| response.lock().take().expect("asked once")).await;
    let gateway = Running::before(&upstream).await;
    let progress =
        "id: 1\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"x\":1}}\n\n";
    send.send(progress.to_owned()).expect("the gateway listens");
    let mut answer = gateway.client().send(Method::POST, r#"{"jsonrpc":"2.0","id":7,"method":"x/long"}"#).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(next_chunk(&mut answer).await.as_deref(), Some(progress), "before the answer exists");
    send.send("data: {\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{}}\n\n".to_owned()).expect("the gateway listens");
    send.send(": quiet\n\nid: 2\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n".to_owned())
        .expect("the gateway listens");
    assert_eq!(next_chunk(&mut answer).await.as_deref(), Some(": quiet\n\n"));
    assert_eq!(next_chunk(&mut answer).await.as_deref(), Some("id: 2\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n"));
    drop(send);
    assert_eq!(next_chunk(&mut answer).await, None);
}

#[tokio::test]
async fn a_session_is_the_gateways_own_and_the_upstreams_stays_behind() {
    let upstream = Upstream::start(|asked| match asked.method {
        Method::POST if asked.body.contains("initialize") => {
            let mut answer = json(r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}"#);
            answer.headers_mut().insert("mcp-session-id", "guessable".parse().expect("a header"));
            answer
        }
        Method::DELETE => status(StatusCode::NO_CONTENT),
        _ => json(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#),
    })
    .await;
    let gateway = Running::before(&upstream).await;
    let (_, headers, _) = gateway.client().post(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#).await;
    let session = headers["mcp-session-id"].to_str().expect("visible ascii").to_owned();
    assert_ne!(session, "guessable");
    assert_eq!(session.len(), 43);
    let client = gateway.client().with("mcp-session-id", &session);
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    assert_eq!(client.post(ping).await.0, StatusCode::OK);
    assert_eq!(upstream.asked()[1].headers["mcp-session-id"], "guessable");
    assert_eq!(client.send(Method::DELETE, "").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(client.post(ping).await.0, StatusCode::NOT_FOUND);
    assert_eq!(gateway.client().with("mcp-session-id", "guessable").post(ping).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bad_input_is_refused_before_it_reaches_anything() {
    let upstream = Upstream::start(|_| json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)).await;
    let gateway = Running::before(&upstream).await;
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}1{}}}}}"#, "[".repeat(200), "]".repeat(200));
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":"{}"}}}}"#, "x".repeat(5 << 20));
    let cases: [(&str, StatusCode); 6] = [
        ("{", StatusCode::BAD_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#, StatusCode::BAD_REQUEST),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"x"}]"#, StatusCode::BAD_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, StatusCode::BAD_REQUEST),
        (&deep, StatusCode::BAD_REQUEST),
        (&large, StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (body, expected) in cases {
        assert_eq!(gateway.client().post(body).await.0, expected, "{}", &body[..body.len().min(60)]);
    }
    let named =
        gateway.client().with("mcp-protocol-version", "2026-07-28").with("mcp-method", "tools/call").with("mcp-name", "harmless");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"harmful","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let (status, _, answer) = named.post(body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer.contains("-32020"), "{answer}");
    for (name, value) in [("host", "evil.example"), ("origin", "http://evil.example"), ("origin", "null")] {
        let (status, _, _) = gateway.client().with(name, value).post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    assert_eq!(upstream.asked().len(), 0);
}
