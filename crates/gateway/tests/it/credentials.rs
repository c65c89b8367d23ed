//! Nobody gets in without a task token, and a session stays with the task that opened it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use gateway::{Door, GatewayConfig};
use http::{HeaderMap, Method, StatusCode};
use wire::dpop::{ProofKey, Proving};
use wire::token::Binding;

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
            token(&task, |claims| claims.binding = Some(Binding::Key("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned())))
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

fn door() -> Door {
    Door {
        resource: "https://gate.example/mcp".to_owned(),
        authorization_servers: vec!["https://auth.example".to_owned()],
        scopes: vec!["read".to_owned()],
        bearer: true,
        certificates: false,
        nonces: true,
        step_up: true,
    }
}

#[tokio::test]
async fn a_client_without_a_token_is_told_where_to_get_one() {
    let upstream = upstream().await;
    let config = GatewayConfig { upstreams: vec![upstream.config("only")], door: Some(door()), ..GatewayConfig::default() };
    let gateway = Running::start(config).await;
    let (status, headers, _) = gateway.client().with("authorization", "").post(PING).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let challenges: Vec<_> = headers.get_all("www-authenticate").iter().map(|value| value.to_str().expect("ascii")).collect();
    let metadata = "resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource/mcp\"";
    assert!(challenges.iter().all(|challenge| challenge.contains(metadata)), "{challenges:?}");
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let (status, body) = gateway.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: nobody needs a token for it");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["resource"], "https://gate.example/mcp");
        assert_eq!(body["authorization_servers"], serde_json::json!(["https://auth.example"]));
    }
    assert_eq!(gateway.get("/.well-known/oauth-authorization-server").await.0, StatusCode::NOT_FOUND, "that is not here");
}

#[tokio::test]
async fn a_bound_token_works_with_a_proof_for_each_request_and_its_body() {
    let upstream = upstream().await;
    let config = GatewayConfig { upstreams: vec![upstream.config("only")], door: Some(door()), ..GatewayConfig::default() };
    let gateway = Running::start(config).await;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("random bytes");
    let key = ProofKey::from_pkcs8(pkcs8.as_ref()).expect("a key");
    let bound = token(&gateway.world.tasks[0], |claims| claims.binding = Some(Binding::Key(key.thumbprint().to_owned())));
    let proving = Proving {
        method: "POST",
        url: "https://gate.example/mcp",
        access_token: Some(&bound),
        nonce: None,
        body: None,
        id: "1",
        now_s: now_s(),
    };
    let client = |proving: Proving| {
        let proof = key.prove(&proving).expect("it signs");
        gateway.client().with("authorization", &format!("DPoP {bound}")).with("dpop", &proof)
    };
    let (status, headers, _) = client(proving).post(PING).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(headers["www-authenticate"].to_str().expect("ascii").contains("use_dpop_nonce"));
    let nonce = headers["dpop-nonce"].to_str().expect("ascii").to_owned();
    let proving = Proving { nonce: Some(&nonce), ..proving };
    let good = client(Proving { id: "2", body: Some(PING.as_bytes()), ..proving });
    assert_eq!(good.post(PING).await.0, StatusCode::OK);
    assert_eq!(good.post(PING).await.0, StatusCode::UNAUTHORIZED, "once");
    let stolen = client(Proving { id: "3", body: Some(PING.as_bytes()), ..proving });
    let (status, headers, _) = stolen.post(INITIALIZE).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "a proof for one call is not good for another");
    assert!(headers["www-authenticate"].to_str().expect("ascii").contains("invalid_dpop_proof"));
    assert_eq!(gateway.client().with("authorization", &format!("Bearer {bound}")).post(PING).await.0, StatusCode::UNAUTHORIZED);
    let asked = upstream.asked();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("dpop"), "the proof stays here");
    assert_eq!(gateway.world.events(), vec!["refused authentication"; 3], "and the missing nonce is nothing to record");
}
