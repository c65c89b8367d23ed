//! Nobody gets in without a task token, and a session stays with the task that opened it.

use http::{HeaderMap, Method, StatusCode};

use crate::peer::{Running, Upstream, json, now_s, token};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;

async fn upstream() -> Upstream {
    Upstream::start(|asked| {
        let mut answer = json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        if asked.body.contains("initialize") {
            answer.headers_mut().insert("mcp-session-id", "theirs".parse().expect("a header"));
        }
        answer
    })
    .await
}

#[tokio::test]
async fn a_wrong_token_is_refused_with_a_challenge_and_reaches_nothing() {
    let upstream = upstream().await;
    let gateway = Running::before(&upstream).await;
    let task = gateway.world.tasks[0].clone();
    let good = token(&task, |_| {});
    let tampered = format!("{}A{}", &good[..good.len() - 10], &good[good.len() - 9..]);
    let cases = [
        "Basic YTpi".to_owned(),
        "Bearer".to_owned(),
        "Bearer nonsense".to_owned(),
        format!("Bearer {tampered}"),
        format!("Bearer {}", token(&task, |claims| (claims.issued_s, claims.expires_s) = (now_s() - 100, now_s() - 1))),
        format!("Bearer {}", token(&task, |claims| claims.audience = "somebody-else".to_owned())),
        format!("Bearer {}", token(&task, |claims| claims.issuer = "https://evil.example".to_owned())),
        format!(
            "Bearer {}",
            token(&task, |claims| claims.key_thumbprint = Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned()))
        ),
    ];
    for case in cases {
        let (status, headers, body) = gateway.client().with("authorization", &case).post(PING).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{case}");
        assert!(headers["www-authenticate"].to_str().expect("ascii").starts_with("Bearer realm="));
        assert!(!body.contains(&good[..20]), "no part of a token comes back");
    }
    assert_eq!(upstream.asked().len(), 0);
    assert_eq!(gateway.world.events(), vec!["refused authentication"; 8]);
    let (status, _, _) = gateway.client().with("authorization", &format!("Bearer {good}")).post(PING).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!upstream.asked()[0].headers.contains_key("authorization"), "the token stays here");
}

#[tokio::test]
async fn another_tasks_session_does_not_exist() {
    let upstream = upstream().await;
    let gateway = Running::before(&upstream).await;
    let (_, headers, _): (_, HeaderMap, _) = gateway.client_of(0).post(INITIALIZE).await;
    let session = headers["mcp-session-id"].to_str().expect("ascii").to_owned();
    let thief = gateway.client_of(1).with("mcp-session-id", &session);
    assert_eq!(thief.post(PING).await.0, StatusCode::NOT_FOUND);
    assert_eq!(thief.send(Method::GET, "").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(thief.send(Method::DELETE, "").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(gateway.client_of(0).with("mcp-session-id", &session).post(PING).await.0, StatusCode::OK);
    assert_eq!(gateway.world.events(), vec!["refused authentication"; 3]);
}

#[tokio::test]
async fn an_ended_task_gets_nothing_more_although_its_token_still_runs() {
    let upstream = upstream().await;
    let gateway = Running::before(&upstream).await;
    let (status, headers, _) = gateway.client().post(INITIALIZE).await;
    assert_eq!(status, StatusCode::OK);
    let session = headers["mcp-session-id"].to_str().expect("ascii").to_owned();
    let ended = judge::name::TaskId::parse(&gateway.world.tasks[0]).expect("an id");
    assert!(gateway.world.engine.end_task(&ended).await.expect("the ledger works"));
    let before = upstream.asked().len();
    for client in [gateway.client(), gateway.client().with("mcp-session-id", &session)] {
        for request in [
            PING,
            INITIALIZE,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"of/another/kind","params":{"text":"out"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/of/another/kind"}"#,
        ] {
            let (status, _, body) = client.post(request).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{request}: {body}");
            assert!(body.contains("this task was ended; start a new task"), "{body}");
        }
        assert_eq!(client.send(Method::GET, "").await.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(upstream.asked().len(), before, "nothing reaches a server");
    assert_eq!(gateway.world.events(), vec!["refused authentication"; 12]);
    assert_eq!(gateway.client_of(1).post(PING).await.0, StatusCode::OK, "the other task goes on");
}
