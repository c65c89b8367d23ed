//! The way from a request to a token, and everybody who tries to get there some other way.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use engine::{Clock, ManualClock, Mode, RenewError};
use judge::act::Act;
use judge::decision::Outcome;
use judge::digest::Digest;
use judge::directory::{Mark, Registration};
use judge::effect::Effect;
use judge::moment::Moment;
use judge::name::{ResourceId, TaskId, ToolId};
use judge::renewal::NotRenewed;
use serde_json::{Value, json};
use wire::certificate::{Certificate, Known, Peer, Trust};
use wire::dpop::{ProofKey, Proving};
use wire::token::Binding;

use super::client::Client;
use super::request::REQUEST_URI;
use super::testing::{
    Answer, Browser, ISSUER, PASSWORD, REDIRECT, RESOURCE, VERIFIER, World, client, key, name, redeeming, request, standing,
};

/// Parameters of a request.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn is_running(world: &World, task: &str) -> bool {
    super::tasks::running(&world.engine, task).is_some()
}

fn task_of(world: &World, token: &Value) -> String {
    world.issuer.task(token["access_token"].as_str().expect("a token"), world.engine.now()).expect("a good token").task
}

#[tokio::test]
async fn a_person_agrees_and_the_client_gets_a_token_that_carries_the_task() {
    let world = World::new().await;
    let metadata = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    let key = key();
    let mut browser = Browser::new(&world);
    let details = r#"[{"type":"prudence_task","purpose":"mail","words":"write to ann","effects":["read","send"],"address":["bo","ann"],"lease_ms":900000}]"#;
    let page = browser.page(&request(&[("authorization_details", details)]), "bo").await;
    for shown in [
        "May The App work on a task for you?",
        "<code>helper</code>",
        "bo answers for it",
        "2 people",
        "write to ann",
        "app.example",
    ] {
        assert!(page.text.contains(shown), "{shown} is on the page: {}", page.text);
    }
    let back = browser.say_yes(&page).await.back();
    assert_eq!((back["state"].as_str(), back["iss"].as_str()), ("xyz", ISSUER), "RFC 9207");
    let answer = world.post_proved("/oauth/token", &redeeming(&back["code"]), &key).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let granted = answer.json();
    assert_eq!((granted["token_type"].as_str(), granted["scope"].as_str()), (Some("DPoP"), Some("read send")));
    assert_eq!(granted["authorization_details"][0]["address"], json!(["bo", "ann"]));
    let claims = world.issuer.task(granted["access_token"].as_str().expect("a token"), world.engine.now()).expect("a good token");
    assert_eq!((claims.issuer.as_str(), claims.audience.as_str()), (ISSUER, RESOURCE));
    assert_eq!(claims.chain(), ["bo", "helper"]);
    assert_eq!(claims.client.as_deref(), Some("app"));
    assert_eq!(claims.binding.as_ref().map(Binding::thumbprint), Some(key.thumbprint()));
    let task = TaskId::parse(&claims.task).expect("an id");
    world.engine.view(|state, _| {
        let task = &state.task(&task).expect("it began").task;
        assert_eq!(task.effects, Some(BTreeSet::from([Effect::Read, Effect::Send])));
        assert_eq!((task.requester.as_str(), task.purpose.as_str()), ("bo", "testing"), "the person's word counts");
        assert!(claims.expires_s <= task.ends.0 / 1000, "a token ends with its task");
    });
    let refresh = granted["refresh_token"].as_str().expect("a refresh token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "app")];
    let renewed = world.post_proved("/oauth/token", &form, &key).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text);
    assert_eq!(task_of(&world, &renewed.json()), claims.task);
    assert_ne!(renewed.json()["refresh_token"], refresh, "rotated");
    assert_eq!(world.refusals(), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_that_is_not_in_order_is_sent_back_with_its_error() {
    let world = World::new().await;
    let long = "x".repeat(2_049);
    let cases: [(&str, Pairs, &str); 17] = [
        ("a token at once", &[("response_type", "token")], "unsupported_response_type"),
        ("a hybrid", &[("response_type", "code id_token")], "unsupported_response_type"),
        ("no response type", &[("response_type", "")], "invalid_request"),
        ("no PKCE", &[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        ("no challenge", &[("code_challenge", "")], "invalid_request"),
        ("plain", &[("code_challenge_method", "plain")], "invalid_request"),
        ("plain by silence", &[("code_challenge_method", "")], "invalid_request"),
        ("another method", &[("code_challenge_method", "S512")], "invalid_request"),
        ("a challenge that is none", &[("code_challenge", "abc")], "invalid_request"),
        ("another resource", &[("resource", "https://evil.example/mcp")], "invalid_target"),
        ("a part of the resource", &[("resource", "https://gate.example/")], "invalid_target"),
        ("an effect that is none", &[("scope", "everything")], "invalid_scope"),
        ("details that are none", &[("authorization_details", "[]")], "invalid_authorization_details"),
        ("a request as JWT", &[("request", "a.b.c")], "request_not_supported"),
        ("an answer in the fragment", &[("response_mode", "fragment")], "invalid_request"),
        ("nobody to ask", &[("prompt", "none")], "interaction_required"),
        ("an endless state", &[("state", &long)], "invalid_request"),
    ];
    for (what, more, code) in cases {
        let answer = world.get(&request(more)).await;
        assert!(answer.location().starts_with(REDIRECT), "{what}: {answer:?}");
        let back = answer.back();
        assert_eq!(back["error"], code, "{what}");
        assert_eq!(back["iss"], ISSUER, "{what}: RFC 9207");
        assert!(!back.contains_key("code"), "{what}");
    }
    assert_eq!(world.refusals().len(), cases.len(), "all recorded");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_the_clients() {
    let world = World::new().await;
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", request(&[]));
    let cases = [
        ("an unknown client", request(&[("client_id", "nobody")])),
        ("no client", request(&[("client_id", "")])),
        ("another address", request(&[("redirect_uri", "https://evil.example/callback")])),
        ("an address that begins alike", request(&[("redirect_uri", "https://app.example/callback/../evil")])),
        ("a query more", request(&[("redirect_uri", "https://app.example/callback?next=evil")])),
        ("no address", request(&[("redirect_uri", "")])),
        ("two addresses", twice),
        ("a pushed request that is none", request(&[("request_uri", "urn:ietf:params:oauth:request_uri:guess")])),
        ("a request from elsewhere", request(&[("request_uri", "https://evil.example/request")])),
        ("a client's document on this machine", request(&[("client_id", "https://127.0.0.1/client")])),
    ];
    for (what, path) in &cases {
        let answer = world.get(path).await;
        assert!(answer.status.is_client_error(), "{what}: {answer:?}");
        assert_eq!(answer.location(), "", "{what}");
    }
    assert_eq!(world.refusals().len(), cases.len(), "all recorded");
}

#[tokio::test]
async fn a_pushed_request_is_of_its_client_and_answered_once() {
    let world = World::new().await;
    let pushed = |more: Vec<(&'static str, String)>| {
        let query = request(&[]);
        let query = query.split_once('?').expect("a query").1.to_owned();
        let mut form: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (name, value) in more {
            form.retain(|(present, _)| present != name);
            form.push((name.to_owned(), value));
        }
        form
    };
    let push = async |form: Vec<(String, String)>, headers: &[(&str, &str)]| {
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        world.post("/oauth/par", &form, headers).await
    };
    let answer = push(pushed(vec![]), &[]).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let uri = answer.json()["request_uri"].as_str().expect("a name").to_owned();
    assert!(uri.starts_with(REQUEST_URI));
    let at = |client: &str| {
        let pairs = [("client_id", client), ("request_uri", uri.as_str())];
        format!("/oauth/authorize?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    };
    assert!(world.get(&at("other")).await.status.is_client_error(), "another client's");
    let back = Browser::new(&world).consent(&at("app"), "bo").await;
    assert!(back.contains_key("code"));
    assert!(world.get(&at("app")).await.status.is_client_error(), "answered once");

    let proof = world.proof("/oauth/par", &key());
    let cases = [
        ("another address", pushed(vec![("redirect_uri", "https://evil.example/cb".into())]), "invalid_request"),
        ("a pushed request in it", pushed(vec![("request_uri", uri.clone())]), "invalid_request"),
        ("plain", pushed(vec![("code_challenge_method", "plain".into())]), "invalid_request"),
        ("a client with a key, without it", pushed(vec![("client_id", "robot".into())]), "invalid_client"),
        ("a secret", pushed(vec![("client_secret", "x".into())]), "invalid_client"),
    ];
    for (what, form, code) in cases {
        assert_eq!(push(form, &[]).await.error(), code, "{what}");
    }
    let other_key = pushed(vec![("dpop_jkt", key().thumbprint().to_owned())]);
    assert_eq!(push(other_key, &[("dpop", &proof)]).await.error(), "invalid_dpop_proof", "RFC 9449 §10.1");
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing_and_leaves_nothing_behind() {
    let world = World::new().await;
    let (ours, theirs) = (key(), key());
    let bound = ours.thumbprint().to_owned();
    let cases: [(&str, Pairs, &str); 6] = [
        ("with a verifier that is none", &[("code_verifier", "short")], "invalid_request"),
        ("without the verifier", &[("code_verifier", "")], "invalid_request"),
        ("with another verifier", &[("code_verifier", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")], "invalid_grant"),
        ("as another client", &[("client_id", "other")], "invalid_grant"),
        ("for another address", &[("redirect_uri", "https://evil.example/cb")], "invalid_grant"),
        ("for another resource", &[("resource", "https://evil.example/mcp")], "invalid_target"),
    ];
    for (what, change, code) in cases {
        let stolen = world.code(&[]).await;
        let mut form = redeeming(&stolen);
        for (name, value) in change {
            form.retain(|(present, _)| present != name);
            form.push((name, value));
        }
        assert_eq!(world.post_proved("/oauth/token", &form, &theirs).await.error(), code, "{what}");
    }
    let stolen = world.code(&[("dpop_jkt", &bound)]).await;
    assert_eq!(
        world.post_proved("/oauth/token", &redeeming(&stolen), &theirs).await.error(),
        "invalid_grant",
        "with another key"
    );
    assert_eq!(world.post_proved("/oauth/token", &redeeming(&stolen), &ours).await.error(), "invalid_grant", "it is used now");
    assert_eq!(world.post_proved("/oauth/token", &redeeming("guess"), &ours).await.error(), "invalid_grant", "a guess");
    let left = world.engine.view(|state, now| state.tasks().filter(|task| !task.ended && now < task.task.ends).count());
    assert_eq!(left, 2, "but for the two requests that never reached the code");
}

#[tokio::test]
async fn a_code_that_is_used_twice_ends_what_came_out_of_it() {
    let world = World::new().await;
    let (ours, theirs) = (key(), key());
    let code = world.code(&[]).await;
    let granted = world.post_proved("/oauth/token", &redeeming(&code), &ours).await.json();
    let task = task_of(&world, &granted);
    assert!(is_running(&world, &task));
    assert_eq!(world.post_proved("/oauth/token", &redeeming(&code), &theirs).await.error(), "invalid_grant");
    assert!(!is_running(&world, &task), "RFC 6749 §4.1.2");
    let refresh = granted["refresh_token"].as_str().expect("a refresh token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "app")];
    assert_eq!(world.post_proved("/oauth/token", &form, &ours).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_stolen_refresh_token_is_worth_nothing_and_its_second_use_ends_the_task() {
    let world = World::new().await;
    let (ours, theirs) = (key(), key());
    let granted = world.tokens(&ours).await;
    let task = task_of(&world, &granted);
    let first = granted["refresh_token"].as_str().expect("a refresh token").to_owned();
    let form = |refresh: &str, client: &str| {
        [("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh.to_owned()), ("client_id", client.to_owned())]
    };
    let send = async |form: [(&'static str, String); 3], key: Option<&wire::dpop::ProofKey>| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match key {
            Some(key) => world.post_proved("/oauth/token", &form, key).await,
            None => world.post("/oauth/token", &form, &[]).await,
        }
    };
    assert_eq!(send(form(&first, "app"), Some(&theirs)).await.error(), "invalid_grant", "another key");
    assert_eq!(send(form(&first, "app"), None).await.error(), "invalid_grant", "no key");
    assert_eq!(send(form(&first, "other"), Some(&ours)).await.error(), "invalid_grant", "another client");
    assert!(is_running(&world, &task), "nothing of that did any harm");
    let second = send(form(&first, "app"), Some(&ours)).await.json();
    let second = second["refresh_token"].as_str().expect("rotated").to_owned();
    let wider =
        [("grant_type", "refresh_token"), ("refresh_token", second.as_str()), ("client_id", "app"), ("scope", "read spend")];
    assert_eq!(world.post_proved("/oauth/token", &wider, &ours).await.error(), "invalid_scope", "wider");
    let third = send(form(&second, "app"), Some(&ours)).await.json();
    assert!(third["refresh_token"].is_string(), "that did not use it up: {third}");
    let second = third["refresh_token"].as_str().expect("rotated").to_owned();
    assert_eq!(send(form(&first, "app"), Some(&ours)).await.error(), "invalid_grant", "the first again");
    assert!(!is_running(&world, &task), "the task ended");
    assert_eq!(send(form(&second, "app"), Some(&ours)).await.error(), "invalid_grant", "and with it the second");
    assert!(world.refusals().iter().any(|refusal| refusal.contains("used before")));
}

#[tokio::test]
async fn a_task_that_ended_is_not_refreshed() {
    let world = World::new().await;
    let key = key();
    let granted = world.tokens(&key).await;
    let task = TaskId::parse(&task_of(&world, &granted)).expect("an id");
    world.engine.end_task(&task).await.expect("the ledger works");
    let refresh = granted["refresh_token"].as_str().expect("a refresh token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "app")];
    assert_eq!(world.post_proved("/oauth/token", &form, &key).await.error(), "invalid_grant");
}

const MINUTE_MS: u64 = 60_000;

/// A world in which every task stops every two minutes, tokens live for one, and time moves only when it is told to. Bo agrees to ten.
async fn checked() -> (World, ManualClock) {
    let clock = ManualClock::at(Moment(1_800_000_000_000));
    let shorter = |config: &mut super::config::Config| {
        config.checkpoint_ms = 2 * MINUTE_MS;
        config.token_ms = MINUTE_MS;
    };
    (World::at(Clock::Manual(clock.clone()), shorter).await, clock)
}

async fn refreshed(world: &World, key: &ProofKey, granted: &Value) -> Answer {
    let refresh = granted["refresh_token"].as_str().expect("a refresh token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "app")];
    world.post_proved("/oauth/token", &form, key).await
}

/// Whoever got the last token tries so often what nobody granted.
async fn denied(world: &World, times: usize) {
    let caller = world.issued().pop().expect("somebody has a token").caller;
    for number in 0..times {
        let job = ResourceId::parse(&format!("job:{number}")).expect("a name");
        let shell = ToolId::parse("shell__run").expect("a name");
        let act = Act::new(shell, [Effect::Execute].into(), vec![job], Digest::of(&number.to_le_bytes()));
        let ruled = world.engine.rule(&caller, &act, Mode::Enforce).await.expect("the ledger works");
        assert_eq!(ruled.decision.outcome, Outcome::Deny);
    }
}

#[tokio::test]
async fn a_refresh_earns_the_lease_again_and_never_beyond_what_the_person_agreed_to() {
    let (world, clock) = checked().await;
    let (key, start) = (key(), world.engine.now());
    let mut granted = world.tokens(&key).await;
    assert_eq!(granted["authorization_details"][0]["lease_ms"], 10 * MINUTE_MS, "what was agreed to: {granted}");
    let task = task_of(&world, &granted);
    for (minute, ends) in [(1, 3), (3, 5), (6, 8), (9, 10)] {
        clock.set(start.after_ms(minute * MINUTE_MS));
        let answer = refreshed(&world, &key, &granted).await;
        assert_eq!(answer.status, StatusCode::OK, "minute {minute}: {}", answer.text);
        granted = answer.json();
        let (running, _) = super::tasks::running(&world.engine, &task).expect("it runs");
        assert_eq!(running.ends, start.after_ms(ends * MINUTE_MS), "minute {minute}");
    }
    clock.set(start.after_ms(10 * MINUTE_MS));
    let over = refreshed(&world, &key, &granted).await;
    assert_eq!((over.status, over.error().as_str()), (StatusCode::BAD_REQUEST, "interaction_required"), "{}", over.text);
    let id = TaskId::parse(&task).expect("an id");
    world.engine.renew_task(&id, &name("bo"), 5 * MINUTE_MS).await.expect("it is bo's");
    let again = refreshed(&world, &key, &granted).await;
    assert_eq!(again.status, StatusCode::OK, "the refusal used nothing up: {}", again.text);
    assert_eq!(task_of(&world, &again.json()), task);
    clock.set(start.after_ms(40 * 60 * MINUTE_MS));
    assert_eq!(refreshed(&world, &key, &again.json()).await.error(), "invalid_grant", "after a day nobody remembers it");
}

#[tokio::test]
async fn after_something_unusual_a_person_has_to_look_before_the_lease_goes_on() {
    let (world, clock) = checked().await;
    let (key, start) = (key(), world.engine.now());
    let granted = world.tokens(&key).await;
    let task = TaskId::parse(&task_of(&world, &granted)).expect("an id");
    denied(&world, 6).await;
    clock.set(start.after_ms(MINUTE_MS + 30_000));
    let rest = refreshed(&world, &key, &granted).await.json();
    assert_eq!(rest["expires_in"], 30, "what is left of the lease is still theirs: {rest}");
    clock.set(start.after_ms(2 * MINUTE_MS));
    let over = refreshed(&world, &key, &rest).await;
    assert_eq!(over.error(), "interaction_required", "{}", over.text);
    assert!(over.text.contains("6 calls of this task were denied"), "{}", over.text);
    assert!(world.refusals().iter().any(|refusal| refusal.starts_with("interaction_required")));
    let stolen = super::testing::key();
    assert_eq!(refreshed(&world, &stolen, &rest).await.error(), "invalid_grant", "who has no business with it learns nothing");
    assert!(matches!(
        world.engine.renew_task(&task, &name("ann"), MINUTE_MS).await,
        Err(RenewError::Not(NotRenewed::SomebodyElse { .. }))
    ));
    world.engine.renew_task(&task, &name("bo"), 2 * MINUTE_MS).await.expect("bo has looked");
    let going_on = refreshed(&world, &key, &rest).await.json();
    clock.set(start.after_ms(4 * MINUTE_MS));
    assert_eq!(refreshed(&world, &key, &going_on).await.status, StatusCode::OK, "by rule again, since bo has looked");
}

#[tokio::test]
async fn a_registration_that_comes_back_finds_its_refresh_token_as_it_was() {
    let (world, _) = checked().await;
    let key = key();
    let granted = world.tokens(&key).await;
    world.registered(Registration { ends: Some(world.engine.now()), ..Registration::default() }).await;
    let refused = refreshed(&world, &key, &granted).await;
    assert_eq!(refused.error(), "invalid_grant");
    assert!(refused.text.contains("bo has to look at what it did"), "{}", refused.text);
    world.registered(Registration::default()).await;
    assert_eq!(refreshed(&world, &key, &granted).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_standing_task_that_waits_for_a_person_is_not_left_behind_for_another() {
    let (world, clock) = checked().await;
    let (key, start) = (key(), world.engine.now());
    let ask = async || {
        let assertion = world.assertion();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", wire::assertion::TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        world.post_proved("/oauth/token", &form, &key).await
    };
    let task = task_of(&world, &ask().await.json());
    clock.set(start.after_ms(3 * MINUTE_MS));
    assert_eq!(task_of(&world, &ask().await.json()), task, "by rule");
    denied(&world, 6).await;
    clock.set(start.after_ms(6 * MINUTE_MS));
    assert_eq!(ask().await.error(), "interaction_required");
    world.engine.renew_task(&TaskId::parse(&task).expect("an id"), &name("ann"), MINUTE_MS).await.expect("ann owns it");
    assert_eq!(task_of(&world, &ask().await.json()), task);
    clock.set(start.after_ms(11 * MINUTE_MS));
    assert_ne!(task_of(&world, &ask().await.json()), task, "what was agreed to is over, and another begins");
}

#[tokio::test]
async fn nobody_gets_a_credential_that_the_agent_is_not_registered_for() {
    let world = World::new().await;
    let now = world.engine.now();
    let only = |names: &[&str]| Some(names.iter().map(|name| Arc::from(*name)).collect());
    let mark = Mark { by: name("ann"), at: now, why: String::new() };
    for (what, registration) in [
        ("lapsed", Registration { ends: Some(now), ..Registration::default() }),
        ("suspended", Registration { suspended: Some(mark), ..Registration::default() }),
        ("another client", Registration { clients: only(&["other"]), ..Registration::default() }),
        ("another key", Registration { keys: only(&["k1"]), ..Registration::default() }),
        ("another purpose", Registration { purposes: only(&["sales"]), ..Registration::default() }),
    ] {
        let key = key();
        world.registered(Registration::default()).await;
        let granted = world.tokens(&key).await;
        let refresh = granted["refresh_token"].as_str().expect("a refresh token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "app")];
        world.registered(registration).await;
        assert_eq!(world.post_proved("/oauth/token", &form, &key).await.error(), "invalid_grant", "{what}");
    }
}

#[tokio::test]
async fn proofs_at_the_token_endpoint_are_held_to_the_letter() {
    let world = World::new().await;
    let key = key();
    let now_s = world.engine.now().0 / 1000;
    let url = format!("{ISSUER}/oauth/token");
    let nonce = world.oauth.nonces().at(now_s);
    let good = Proving { method: "POST", url: &url, access_token: None, nonce: Some(&nonce), body: None, id: "1", now_s };
    let prove = |proving: Proving| key.prove(&proving).expect("it signs");
    let (used, elsewhere) = (prove(good), format!("{ISSUER}/oauth/par"));
    let form = [("grant_type", "refresh_token"), ("refresh_token", "guess"), ("client_id", "app")];
    assert_eq!(world.post("/oauth/token", &form, &[("dpop", &used)]).await.error(), "invalid_grant", "a good proof");
    let cases = [
        ("twice", used, "invalid_dpop_proof"),
        ("without a nonce", prove(Proving { nonce: None, id: "2", ..good }), "use_dpop_nonce"),
        ("with another's nonce", prove(Proving { nonce: Some("mine"), id: "3", ..good }), "use_dpop_nonce"),
        ("for another endpoint", prove(Proving { url: &elsewhere, id: "4", ..good }), "invalid_dpop_proof"),
        ("for another server", prove(Proving { url: "https://evil.example/oauth/token", id: "5", ..good }), "invalid_dpop_proof"),
        ("for another method", prove(Proving { method: "GET", id: "6", ..good }), "invalid_dpop_proof"),
        ("of long ago", prove(Proving { now_s: now_s - 301, id: "7", ..good }), "invalid_dpop_proof"),
        ("that is none", "none".to_owned(), "invalid_dpop_proof"),
    ];
    for (what, proof, code) in cases {
        let answer = world.post("/oauth/token", &form, &[("dpop", &proof)]).await;
        assert_eq!(answer.error(), code, "{what}");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
        assert!(answer.headers.contains_key("dpop-nonce"), "{what}: the next one is handed out");
    }
    let (one, two) = (prove(Proving { id: "8", ..good }), prove(Proving { id: "9", ..good }));
    let answer = world.post("/oauth/token", &form, &[("dpop", &one), ("dpop", &two)]).await;
    assert_eq!(answer.error(), "invalid_dpop_proof", "two proofs");
}

#[tokio::test]
async fn a_token_without_a_key_is_for_what_does_little_harm() {
    let world = World::new().await;
    let code = world.code(&[("scope", "read compute")]).await;
    let granted = world.post("/oauth/token", &redeeming(&code), &[]).await.json();
    assert_eq!(granted["token_type"], "Bearer");
    assert!(granted["expires_in"].as_u64().is_some_and(|seconds| seconds <= 300), "and short: {granted}");
    let code = world.code(&[("scope", "read send")]).await;
    assert_eq!(world.post("/oauth/token", &redeeming(&code), &[]).await.error(), "invalid_dpop_proof");
    let strict = World::with(|config| config.bearer_effects.clear()).await;
    let code = strict.code(&[("scope", "read")]).await;
    assert_eq!(strict.post("/oauth/token", &redeeming(&code), &[]).await.error(), "invalid_dpop_proof", "there are none such");
}

#[tokio::test]
async fn a_client_is_believed_by_its_key_only_and_each_assertion_once() {
    let world = World::new().await;
    let key = key();
    let assertion = world.assertion();
    let now_s = world.engine.now().0 / 1000;
    let of = |signer: &wire::dpop::ProofKey, client: &str, audience: &str, id: &str| {
        signer.assert_client(client, audience, id, now_s).expect("it signs")
    };
    let endpoint = format!("{ISSUER}/oauth/token");
    let form = |assertion: &str, more: &[(&'static str, &str)]| {
        let mut form = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_assertion_type", wire::assertion::TYPE.to_owned()),
            ("client_assertion", assertion.to_owned()),
        ];
        for (name, value) in more {
            form.retain(|(present, _)| present != name);
            form.push((name, (*value).to_owned()));
        }
        form
    };
    let send = async |form: Vec<(&'static str, String)>, headers: &[(&str, &str)]| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let proof = world.proof("/oauth/token", &key);
        world.post("/oauth/token", &form, &[&[("dpop", proof.as_str())], headers].concat()).await
    };
    assert_eq!(send(form(&assertion, &[]), &[]).await.status, StatusCode::OK);
    let cases = [
        ("the same again", form(&assertion, &[])),
        ("another's key", form(&of(&key, "robot", ISSUER, "1"), &[])),
        ("another server", form(&of(&world.robot, "robot", "https://evil.example", "2"), &[])),
        ("the endpoint, where the issuer is agreed", form(&of(&world.robot, "robot", &endpoint, "3"), &[])),
        ("a client without a key", form(&of(&world.robot, "app", ISSUER, "4"), &[])),
        ("an unknown client", form(&of(&world.robot, "nobody", ISSUER, "5"), &[])),
        ("two clients", form(&world.assertion(), &[("client_id", "app")])),
        (
            "another type",
            form(&world.assertion(), &[("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")]),
        ),
        ("no assertion", form("", &[("client_id", "robot")])),
        ("a secret beside it", form(&world.assertion(), &[("client_secret", "x")])),
        ("nobody", vec![("grant_type", "client_credentials".to_owned())]),
    ];
    for (what, form) in cases {
        let answer = send(form, &[]).await;
        assert_eq!((answer.error().as_str(), answer.status), ("invalid_client", StatusCode::UNAUTHORIZED), "{what}");
    }
    let basic = [("authorization", "Basic cm9ib3Q6eA==")];
    assert_eq!(send(form(&world.assertion(), &[]), &basic).await.error(), "invalid_client", "a secret in the header");
}

#[tokio::test]
async fn a_workload_shows_its_svid_and_gets_a_token_for_a_key() {
    let domain = key();
    let mut jwk = domain.public().clone();
    (jwk["use"], jwk["kid"]) = ("jwt-svid".into(), "k".into());
    let keys = wire::jwk::PublicKey::set_of_trust_domain(&json!({ "keys": [jwk] })).expect("a bundle");
    let world = World::with(|config| {
        let workload = Some("spiffe://example.org/robot".to_owned());
        let standing = Some(standing());
        config.clients.push(Client {
            keys,
            workload,
            standing,
            method: super::client::Method::Spiffe,
            ..client("svid", "robot")
        });
        config.bearer_effects.clear();
    })
    .await;
    let now_s = world.engine.now().0 / 1000;
    let svid = |id: &str, kind: &str| {
        let claims = json!({ "sub": id, "aud": [ISSUER], "exp": now_s + 300 });
        (domain.sign(&json!({ "alg": "ES256", "kid": "k" }), &claims).expect("it signs"), kind.to_owned())
    };
    let send = async |(svid, kind): (String, String), key: Option<&wire::dpop::ProofKey>| {
        let form =
            [("grant_type", "client_credentials"), ("client_assertion_type", kind.as_str()), ("client_assertion", svid.as_str())];
        match key {
            Some(key) => world.post_proved("/oauth/token", &form, key).await,
            None => world.post("/oauth/token", &form, &[]).await,
        }
    };
    let key = key();
    let good = svid("spiffe://example.org/robot", wire::assertion::SVID_TYPE);
    let granted = send(good.clone(), Some(&key)).await.json();
    assert_eq!(granted["token_type"], "DPoP", "{granted}");
    assert_eq!(send(good, None).await.error(), "invalid_dpop_proof", "whoever sees it could use it");
    for (what, attempt) in [
        ("an unknown workload", svid("spiffe://example.org/other", wire::assertion::SVID_TYPE)),
        ("as an assertion of its own", svid("spiffe://example.org/robot", wire::assertion::TYPE)),
        ("the client's id", svid("svid", wire::assertion::SVID_TYPE)),
        ("another client's assertion", (world.assertion(), wire::assertion::SVID_TYPE.to_owned())),
    ] {
        assert_eq!(send(attempt, Some(&key)).await.error(), "invalid_client", "{what}");
    }
}

#[tokio::test]
async fn a_standing_task_is_begun_once_and_follows_the_configuration() {
    let world = World::new().await;
    let key = key();
    let ask = async |client: &str, assertion: Option<String>| {
        let assertion = assertion.unwrap_or_default();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_assertion_type", if assertion.is_empty() { "" } else { wire::assertion::TYPE }),
            ("client_assertion", &assertion),
        ];
        world.post_proved("/oauth/token", &form, &key).await
    };
    let granted = ask("robot", Some(world.assertion())).await.json();
    let claims = world.issuer.task(granted["access_token"].as_str().expect("a token"), world.engine.now()).expect("good");
    assert_eq!(claims.chain(), ["ann", "robot"], "its owner asked for it");
    assert!(granted.get("refresh_token").is_none(), "RFC 6749 §4.4.3");
    let again = ask("robot", Some(world.assertion())).await.json();
    assert_eq!(task_of(&world, &again), claims.task, "what it read stays with it");
    world.engine.end_task(&TaskId::parse(&claims.task).expect("an id")).await.expect("the ledger works");
    let anew = ask("robot", Some(world.assertion())).await.json();
    assert_ne!(task_of(&world, &anew), claims.task);
    assert_eq!(ask("app", None).await.error(), "unauthorized_client", "a person has to agree");
    let keyless =
        World::with(|config| config.clients.push(Client { standing: Some(standing()), ..client("open", "helper") })).await;
    let form = [("grant_type", "client_credentials"), ("client_id", "open")];
    assert_eq!(
        keyless.post_proved("/oauth/token", &form, &key).await.error(),
        "unauthorized_client",
        "anybody could say its name"
    );
}

#[tokio::test]
async fn an_identity_provider_speaks_for_its_people_to_the_client_that_it_names() {
    let provider = key();
    let keys = wire::jwk::PublicKey::set_of_issuer(&json!({ "keys": [provider.public()] })).expect("keys");
    let world = World::with(|config| {
        let issuer = "https://idp.example".to_owned();
        config.providers.push(super::config::Provider { issuer, keys, person: super::config::PersonBy::Email });
    })
    .await;
    let now_s = world.engine.now().0 / 1000;
    let said = |id: &str, more: Value| {
        let mut claims = json!({
            "iss": "https://idp.example", "sub": "00u1", "email": "bo@example.com", "aud": ISSUER, "client_id": "robot", "jti": id,
            "iat": now_s, "exp": now_s + 120, "scope": "read send", "resource": RESOURCE,
        });
        claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        provider.sign(&json!({ "alg": "ES256", "typ": "oauth-id-jag+jwt" }), &claims).expect("it signs")
    };
    let robots = key();
    let ask = async |assertion: &str, more: Pairs<'_>| {
        let client = world.assertion();
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion),
            ("client_assertion_type", wire::assertion::TYPE),
            ("client_assertion", &client),
        ];
        form.extend(more);
        world.post_proved("/oauth/token", &form, &robots).await
    };
    let good = said("1", json!({}));
    let granted = ask(&good, &[("scope", "read")]).await.json();
    assert_eq!((granted["scope"].as_str(), granted.get("refresh_token")), (Some("read"), None), "{granted}");
    let claims = world.issuer.task(granted["access_token"].as_str().expect("a token"), world.engine.now()).expect("good");
    assert_eq!(claims.chain(), ["bo", "robot"]);
    assert_eq!(claims.binding.as_ref().map(Binding::thumbprint), Some(robots.thumbprint()));
    let again = ask(&said("2", json!({})), &[("scope", "read")]).await.json();
    assert_eq!(task_of(&world, &again), claims.task, "what it read stays with it");
    let cases: [(&str, String, Pairs, &str); 9] = [
        ("the same again", good, &[], "invalid_grant"),
        ("more than it said", said("3", json!({})), &[("scope", "read spend")], "invalid_scope"),
        ("about nobody here", said("4", json!({ "email": "eve@example.com" })), &[], "invalid_grant"),
        ("another provider", said("5", json!({ "iss": "https://evil.example" })), &[], "invalid_grant"),
        ("said to another client", said("6", json!({ "client_id": "app" })), &[], "invalid_grant"),
        ("for another server", said("7", json!({ "aud": "https://evil.example" })), &[], "invalid_grant"),
        ("for another resource", said("8", json!({ "resource": "https://evil.example/mcp" })), &[], "invalid_target"),
        (
            "with words in somebody's mouth",
            said("9", json!({})),
            &[("authorization_details", r#"[{"type":"prudence_task","words":"pay eve"}]"#)],
            "invalid_authorization_details",
        ),
        ("the client's own word", world.assertion(), &[], "invalid_grant"),
    ];
    for (what, assertion, more, code) in cases {
        assert_eq!(ask(&assertion, more).await.error(), code, "{what}");
    }
    let open = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", "x"), ("client_id", "app")];
    assert_eq!(world.post("/oauth/token", &open, &[]).await.error(), "unauthorized_client", "anybody could say its name");
}

/// The parameters of an exchange.
type Exchange<'a> = Vec<(&'a str, &'a str)>;

/// An exchange of `token` by the client `app`, with `more`.
fn exchanging<'a>(token: &'a str, more: &[(&'a str, &'a str)]) -> Exchange<'a> {
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("client_id", "app"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    for pair in more {
        form.retain(|(present, _)| *present != pair.0);
        form.push(*pair);
    }
    form
}

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

#[tokio::test]
async fn a_part_of_a_task_is_handed_on_to_another_agent_and_ends_with_the_whole() {
    let world = World::new().await;
    let ours = key();
    let whole = world.tokens(&ours).await;
    let token = whole["access_token"].as_str().expect("a token");
    let actor = world.assertion();
    let details = r#"[{"type":"prudence_task","effects":["read"],"budget":{"calls":3},"lease_ms":60000}]"#;
    let more = [("actor_token", actor.as_str()), ("actor_token_type", JWT), ("authorization_details", details)];
    let answer = world.post_proved("/oauth/token", &exchanging(token, &more), &ours).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let part = answer.json();
    assert_eq!(part["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!((part["token_type"].as_str(), part["scope"].as_str()), (Some("DPoP"), Some("read")));
    let claims = world.issuer.task(part["access_token"].as_str().expect("a token"), world.engine.now()).expect("good");
    assert_eq!(claims.chain(), ["bo", "helper", "robot"], "who handed on stays in the chain");
    assert_eq!(
        claims.binding.as_ref().map(Binding::thumbprint),
        Some(world.robot.thumbprint()),
        "bound to the key of who got it"
    );
    let task = TaskId::parse(&claims.task).expect("an id");
    world.engine.view(|state, _| {
        let (part, whole) = (&state.task(&task).expect("it began").task, task_of(&world, &whole));
        assert_eq!(part.parent.as_ref().map(TaskId::as_str), Some(whole.as_str()));
        assert_eq!(part.budget.calls, Some(3));
        assert!(claims.expires_s <= part.ends.0 / 1000);
    });
    // The one who got it renews it with its own key and its own assertion, and hands a part of the part on.
    let renew = async |refresh: &str| {
        let assertion = world.assertion();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh),
            ("client_assertion_type", wire::assertion::TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        world.post_proved("/oauth/token", &form, &world.robot).await
    };
    let renewed = renew(part["refresh_token"].as_str().expect("a refresh token")).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text);
    let renewed = renewed.json();
    world.engine.end_task(&TaskId::parse(&task_of(&world, &whole)).expect("an id")).await.expect("the ledger works");
    let after = renew(renewed["refresh_token"].as_str().expect("a refresh token")).await;
    assert_eq!(after.error(), "invalid_grant", "a part does not outlive the whole");
}

#[tokio::test]
async fn nobody_hands_on_more_than_they_have_or_what_is_not_theirs() {
    let world = World::new().await;
    let (ours, theirs) = (key(), key());
    let whole = world.tokens(&ours).await;
    let token = whole["access_token"].as_str().expect("a token");
    let code = world.code(&[]).await;
    let unbound = world.post("/oauth/token", &redeeming(&code), &[]).await.json();
    let unbound = unbound["access_token"].as_str().expect("a token");
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    let (wide, long) = (
        r#"[{"type":"prudence_task","effects":["read","spend"]}]"#,
        r#"[{"type":"prudence_task","effects":["read"],"lease_ms":999999999}]"#,
    );
    let (words, elsewhere) =
        (r#"[{"type":"prudence_task","words":"pay eve"}]"#, r#"[{"type":"prudence_task","address":["eve"]}]"#);
    let used = world.assertion();
    let first = exchanging(token, &[("actor_token", &used), ("actor_token_type", JWT)]);
    assert_eq!(world.post_proved("/oauth/token", &first, &ours).await.status, StatusCode::OK);
    let foreign = theirs.assert_client("robot", ISSUER, "1", world.engine.now().0 / 1000).expect("it signs");
    let keyless = theirs.assert_client("other", ISSUER, "2", world.engine.now().0 / 1000).expect("it signs");
    let refresh = whole["refresh_token"].as_str().expect("a refresh token");
    let cases: [(&str, Exchange, &str); 16] = [
        ("a token of another client", exchanging(token, &[("client_id", "other")]), "invalid_request"),
        ("a forged token", exchanging(&forged, &[]), "invalid_request"),
        ("a refresh token", exchanging(refresh, &[]), "invalid_request"),
        ("a token for everybody", exchanging(unbound, &[]), "invalid_request"),
        ("another kind of token", exchanging(token, &[("subject_token_type", JWT)]), "invalid_request"),
        ("another kind wanted", exchanging(token, &[("requested_token_type", JWT)]), "invalid_request"),
        ("for somebody else", exchanging(token, &[("audience", "https://evil.example")]), "invalid_target"),
        ("more effects", exchanging(token, &[("scope", "read spend")]), "invalid_scope"),
        ("more effects in details", exchanging(token, &[("authorization_details", wide)]), "invalid_scope"),
        ("a longer time", exchanging(token, &[("authorization_details", long)]), "invalid_authorization_details"),
        ("other words", exchanging(token, &[("authorization_details", words)]), "invalid_authorization_details"),
        ("another address", exchanging(token, &[("authorization_details", elsewhere)]), "invalid_authorization_details"),
        ("an actor that was there before", first, "invalid_request"),
        (
            "an actor by another's key",
            exchanging(token, &[("actor_token", &foreign), ("actor_token_type", JWT)]),
            "invalid_request",
        ),
        ("an actor without a key", exchanging(token, &[("actor_token", &keyless), ("actor_token_type", JWT)]), "invalid_request"),
        (
            "an actor of another kind",
            exchanging(token, &[("actor_token", token), ("actor_token_type", "urn:ietf:params:oauth:token-type:access_token")]),
            "invalid_request",
        ),
    ];
    for (what, form, code) in cases {
        assert_eq!(world.post_proved("/oauth/token", &form, &ours).await.error(), code, "{what}");
    }
    let stolen = exchanging(token, &[]);
    assert_eq!(world.post_proved("/oauth/token", &stolen, &theirs).await.error(), "invalid_dpop_proof", "a thief's key");
    assert_eq!(world.post("/oauth/token", &stolen, &[]).await.error(), "invalid_dpop_proof", "no key");
    world.engine.end_task(&TaskId::parse(&task_of(&world, &whole)).expect("an id")).await.expect("the ledger works");
    assert_eq!(world.post_proved("/oauth/token", &stolen, &ours).await.error(), "invalid_request", "a task that ended");
}

#[tokio::test]
async fn what_was_killed_gets_no_credential_and_what_was_issued_is_recorded() {
    use judge::standing::Target;
    let bo = super::testing::name("bo");
    let targets = |key: &str| {
        [
            Target::Agent(super::testing::name("helper")),
            Target::Owner(bo.clone()),
            Target::Key(key.into()),
            Target::Client("app".into()),
        ]
    };
    for number in 0..4 {
        let world = World::new().await;
        let ours = key();
        let granted = world.tokens(&ours).await;
        let target = targets(ours.thumbprint())[number].clone();
        world.engine.kill(&target, &bo, judge::contain::Right::Operator, "testing").await.expect("the ledger works");
        let refresh = granted["refresh_token"].as_str().expect("a refresh token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "app")];
        assert_eq!(world.post_proved("/oauth/token", &form, &ours).await.error(), "invalid_grant", "{target}");
        let token = granted["access_token"].as_str().expect("a token");
        let handed_on = world.post_proved("/oauth/token", &exchanging(token, &[]), &ours).await;
        assert_eq!(handed_on.error(), "invalid_request", "{target}: {}", handed_on.text);
        assert_eq!(world.issued().len(), 1, "one token was issued, and it is on record");
    }
}

#[tokio::test]
async fn a_chain_has_an_end() {
    let world = World::new().await;
    let ours = key();
    let mut token = world.tokens(&ours).await["access_token"].as_str().expect("a token").to_owned();
    let mut depth = 2;
    let refused = loop {
        // To itself, narrower each time.
        let answer = world.post_proved("/oauth/token", &exchanging(&token, &[]), &ours).await;
        if answer.status != StatusCode::OK {
            break answer.error();
        }
        token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        depth += 1;
        assert!(depth <= judge::task::CHAIN_DEPTH_MAX, "it does not end");
    };
    assert_eq!((refused.as_str(), depth), ("invalid_request", judge::task::CHAIN_DEPTH_MAX));
}

#[tokio::test]
async fn a_form_from_elsewhere_does_not_count() {
    let world = World::new().await;
    let mut browser = Browser::new(&world);
    let page = browser.page(&request(&[]), "bo").await;
    let (name, csrf) = (page.field("request"), page.field("csrf"));
    let cookie = browser.cookie.clone().expect("signed in");
    let mut anothers = Browser::new(&world);
    let anothers_csrf = anothers.page(&request(&[]), "ann").await.field("csrf");
    let form = |csrf: &str| {
        [("request", name.clone()), ("csrf", csrf.to_owned()), ("answer", "yes".to_owned()), ("effect.read", "yes".to_owned())]
    };
    let cases = [
        ("no token", form(""), ISSUER, "same-origin"),
        ("another session's token", form(&anothers_csrf), ISSUER, "same-origin"),
        ("another site", form(&csrf), "https://evil.example", "cross-site"),
        ("no origin at all", form(&csrf), "null", "same-origin"),
        ("a neighbour", form(&csrf), ISSUER, "same-site"),
    ];
    for (what, form, origin, site) in cases {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = [("cookie", cookie.as_str()), ("origin", origin), ("sec-fetch-site", site)];
        let answer = world.post("/oauth/consent", &form, &headers).await;
        assert_eq!((answer.status, answer.location().as_str()), (StatusCode::BAD_REQUEST, ""), "{what}");
    }
    let signing_in = [("request", name.as_str()), ("csrf", "guess"), ("name", "ann"), ("password", PASSWORD)];
    let entered = world.post("/oauth/sign-in", &signing_in, &[("origin", ISSUER)]).await;
    assert!(!entered.headers.contains_key("set-cookie"), "nobody is signed in by a form from elsewhere");
    assert!(browser.say_yes(&page).await.back().contains_key("code"), "and the page itself still works");
    assert_eq!(browser.say_yes(&page).await.status, StatusCode::BAD_REQUEST, "once");
}

#[tokio::test]
async fn a_person_may_say_no_or_less_but_nobody_gets_more() {
    let world = World::new().await;
    let mut browser = Browser::new(&world);
    let page = browser.page(&request(&[("scope", "read destroy")]), "bo").await;
    assert!(page.text.contains("name=\"effect.read\" value=\"yes\" checked"));
    assert!(page.text.contains("name=\"effect.destroy\" value=\"yes\"><b>"), "what is grave is not ticked: {}", page.text);
    let (name, csrf) = (page.field("request"), page.field("csrf"));
    let nothing =
        browser.post("/oauth/consent", &[("request", &name), ("csrf", &csrf), ("answer", "yes"), ("purpose", "x")]).await;
    assert!(nothing.text.contains("Choose at least one thing"), "{}", nothing.text);
    let more = [
        ("request", name.as_str()),
        ("csrf", &csrf),
        ("answer", "yes"),
        ("effect.read", "yes"),
        ("effect.spend", "yes"),
        ("lease", "99999999999999"),
    ];
    let back = browser.post("/oauth/consent", &more).await.back();
    let granted = world.post_proved("/oauth/token", &redeeming(&back["code"]), &key()).await.json();
    assert_eq!(granted["scope"], "read");
    assert_eq!(granted["authorization_details"][0]["lease_ms"], 8 * 60 * 60 * 1000, "and not for ever");

    let page = browser.get(&browser.get(&request(&[])).await.location()).await;
    let (name, csrf) = (page.field("request"), page.field("csrf"));
    let back = browser.post("/oauth/consent", &[("request", &name), ("csrf", &csrf), ("answer", "no")]).await.back();
    assert_eq!((back["error"].as_str(), back["state"].as_str(), back["iss"].as_str()), ("access_denied", "xyz", ISSUER));
}

#[tokio::test]
async fn pages_let_in_no_script_no_frame_and_no_cache() {
    let evil = "<script>alert(1)</script>\"><img src=x>";
    let world = World::with(|config| config.clients[0].name = evil.to_owned()).await;
    let mut browser = Browser::new(&world);
    let sent = browser.get(&request(&[])).await;
    let sign_in = browser.get(&sent.location()).await;
    let details = json!([{ "type": "prudence_task", "purpose": evil, "words": evil, "resources": [evil], "address": [evil], "tools": [evil] }]);
    let consent = browser.page(&request(&[("authorization_details", &details.to_string())]), "bo").await;
    let problem = world.get("/oauth/authorize?client_id=%3Cscript%3E").await;
    for page in [&sign_in, &consent, &problem] {
        assert!(!page.text.contains("<script>") && !page.text.contains("<img"), "{}", page.text);
        let policy = page.headers["content-security-policy"].to_str().expect("ascii");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["x-frame-options"], "DENY");
    }
    let policy = consent.headers["content-security-policy"].to_str().expect("ascii");
    assert!(policy.contains("form-action 'self' https://app.example;"), "browsers hold the way back to it too: {policy}");
    let form = [
        ("request", sign_in.field("request")),
        ("csrf", sign_in.field("csrf")),
        ("name", "bo".to_owned()),
        ("password", PASSWORD.to_owned()),
    ];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let entered = world.post("/oauth/sign-in", &form, &[]).await;
    let cookie = entered.headers["set-cookie"].to_str().expect("ascii");
    for part in ["__Host-prudence-session=", "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[tokio::test]
async fn who_registers_itself_is_a_guest_and_people_are_told() {
    let world = World::new().await;
    let register = async |world: &World, body: Value| {
        let request = axum::http::Request::post("/oauth/register").header("content-type", "application/json");
        world.send(request.body(body.to_string().into()).expect("a request")).await
    };
    let answer = register(&world, json!({ "redirect_uris": ["http://localhost/cb"], "client_name": "Friendly" })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let id = answer.json()["client_id"].as_str().expect("an id").to_owned();
    let mut browser = Browser::new(&world);
    let path = request(&[("client_id", &id), ("redirect_uri", "http://localhost:5000/cb")]);
    let page = browser.page(&path, "ann").await;
    assert!(page.text.contains("registered itself") && page.text.contains("<code>guest</code>"), "{}", page.text);
    let code = browser.say_yes(&page).await.back()["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("client_id", &id),
        ("redirect_uri", "http://localhost:5000/cb"),
    ];
    let granted = world.post_proved("/oauth/token", &form, &key()).await.json();
    let claims = world.issuer.task(granted["access_token"].as_str().expect("a token"), world.engine.now()).expect("good");
    assert_eq!(claims.chain(), ["ann", "guest"]);
    assert_eq!(claims.client.as_deref(), Some(id.as_str()));
    assert_eq!(register(&world, json!({ "redirect_uris": ["http://evil.example/cb"] })).await.error(), "invalid_redirect_uri");
    assert_eq!(register(&world, json!("x")).await.error(), "invalid_client_metadata");
    let closed = World::with(|config| config.registration = false).await;
    assert_eq!(register(&closed, json!({ "redirect_uris": ["http://localhost/cb"] })).await.error(), "unauthorized_client");
    assert!(closed.get("/.well-known/oauth-authorization-server").await.json().get("registration_endpoint").is_none());
    let nobody = World::with(|config| config.guest_agent = None).await;
    assert_eq!(register(&nobody, json!({ "redirect_uris": ["http://localhost/cb"] })).await.error(), "unauthorized_client");
}

#[tokio::test]
async fn a_client_learns_of_its_own_tokens_and_gives_them_back() {
    let world = World::with(|config| {
        let robot = config.clients.remove(2);
        config.clients.push(Client { id: "watcher".to_owned(), introspects: true, ..robot.clone() });
        config.clients.push(robot);
    })
    .await;
    let key = key();
    let granted = world.tokens(&key).await;
    let token = granted["access_token"].as_str().expect("a token");
    let now_s = world.engine.now().0 / 1000;
    let ask = async |client: &str, id: &str, token: &str| {
        let assertion = world.robot.assert_client(client, ISSUER, id, now_s).expect("it signs");
        let form = [("client_assertion_type", wire::assertion::TYPE), ("client_assertion", &assertion), ("token", token)];
        world.post("/oauth/introspect", &form, &[]).await.json()
    };
    let about = ask("watcher", "1", token).await;
    assert_eq!((&about["active"], &about["sub"], &about["aud"]), (&json!(true), &json!("bo"), &json!(RESOURCE)));
    assert_eq!((&about["act"], &about["cnf"]["jkt"]), (&json!({ "sub": "helper" }), &json!(key.thumbprint())));
    assert_eq!(ask("robot", "2", token).await, json!({ "active": false }), "none of its business");
    assert_eq!(ask("watcher", "3", "guess").await, json!({ "active": false }));
    assert_eq!(
        ask("watcher", "4", granted["refresh_token"].as_str().expect("one")).await,
        json!({ "active": false }),
        "not its own"
    );
    let open = world.post("/oauth/introspect", &[("client_id", "app"), ("token", token)], &[]).await;
    assert_eq!(open.error(), "invalid_client", "nobody tries tokens here");

    let task = task_of(&world, &granted);
    let refresh = granted["refresh_token"].as_str().expect("a refresh token");
    for (what, form) in [
        ("another client", [("client_id", "other"), ("token", refresh)]),
        ("another client's access token", [("client_id", "other"), ("token", token)]),
        ("a guess", [("client_id", "app"), ("token", "guess")]),
    ] {
        assert_eq!(world.post("/oauth/revoke", &form, &[]).await.status, StatusCode::OK, "{what}: RFC 7009 §2.2");
        assert!(is_running(&world, &task), "{what}");
    }
    assert_eq!(world.post("/oauth/revoke", &[("client_id", "app"), ("token", refresh)], &[]).await.status, StatusCode::OK);
    assert!(!is_running(&world, &task));
    assert_eq!(ask("watcher", "5", token).await, json!({ "active": false }));
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let world = World::new().await;
    let send = async |kind: &str, body: &str| {
        let request = axum::http::Request::post("/oauth/token").header("content-type", kind);
        world.send(request.body(body.to_owned().into()).expect("a request")).await
    };
    let form = "application/x-www-form-urlencoded";
    let cases = [
        ("JSON", send("application/json", "{}").await),
        ("a parameter twice", send(form, "grant_type=refresh_token&client_id=app&client_id=other").await),
        ("no grant", send(form, "client_id=app").await),
        ("too many", send(form, &(0..65).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&")).await),
    ];
    for (what, answer) in cases {
        assert_eq!(answer.error(), "invalid_request", "{what}");
    }
    let unknown = send(form, "grant_type=password&username=bo&password=x&client_id=app").await;
    assert_eq!(unknown.error(), "unsupported_grant_type", "the password grant is gone");
    assert_eq!(send(form, &"x".repeat(70_000)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// A certificate of the robot's, with this trust.
fn shown(change: impl FnOnce(&mut rcgen::CertificateParams), trust: Trust) -> Arc<Peer> {
    let mut params = rcgen::CertificateParams::new(vec!["robot.example.org".to_owned()]).expect("a name");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "robot");
    params.subject_alt_names.push(rcgen::SanType::URI(WORKLOAD.try_into().expect("ascii")));
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    change(&mut params);
    let made = params.self_signed(&rcgen::KeyPair::generate().expect("random bytes")).expect("it signs");
    Arc::new(Peer { certificate: Certificate::read(made.der()).expect("a certificate"), trust })
}

const WORKLOAD: &str = "spiffe://example.org/robot";

/// A client that is known by its certificate, and has a standing task and a place to which people are sent back.
fn by_certificate(id: &str, known: Known) -> Client {
    Client {
        method: super::client::Method::by(&known),
        certificate: Some(known),
        standing: Some(standing()),
        ..client(id, "robot")
    }
}

async fn with_certificates(more: Vec<Client>) -> World {
    World::with(|config| {
        config.certificates = super::config::Certificates::OfAuthorities;
        config.bearer_effects.clear();
        config.clients.extend(more);
    })
    .await
}

#[tokio::test]
async fn a_client_shows_its_certificate_and_gets_a_token_for_it_alone() {
    let own = shown(|_| {}, Trust::Nobody);
    let registered = Known::Thumbprints(vec![own.certificate.thumbprint().to_owned()]);
    let clients = [
        ("by-subject", Known::Subject("CN=robot".to_owned()), shown(|_| {}, Trust::Authority)),
        ("by-dns", Known::Dns("robot.example.org".to_owned()), shown(|_| {}, Trust::Authority)),
        ("by-uri", Known::Uri(WORKLOAD.to_owned()), shown(|_| {}, Trust::Authority)),
        ("by-itself", registered, own),
        ("workload", Known::Workload(WORKLOAD.to_owned()), shown(|_| {}, Trust::Domain("example.org".to_owned()))),
    ];
    let world = with_certificates(clients.iter().map(|(id, known, _)| by_certificate(id, known.clone())).collect()).await;
    for (id, _, peer) in &clients {
        let form = [("grant_type", "client_credentials"), ("client_id", id)];
        let answer = world.post_shown("/oauth/token", &form, peer, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{id}: {}", answer.text);
        let granted = answer.json();
        assert_eq!(granted["token_type"], "Bearer", "RFC 8705 §3");
        let claims = world.issuer.task(granted["access_token"].as_str().expect("a token"), world.engine.now()).expect("good");
        assert_eq!(claims.binding, Some(Binding::Certificate(peer.certificate.thumbprint().to_owned())), "{id}");
        let issued = world.issued().pop().expect("it is on record");
        assert_eq!(issued.caller.key.as_deref(), Some(peer.certificate.thumbprint()), "by it the chain is known, and stopped");
        let key = key();
        let proof = world.proof("/oauth/token", &key);
        let proved = world.post_shown("/oauth/token", &form, peer, &[("dpop", &proof)]).await.json();
        assert_eq!(proved["token_type"], "DPoP", "a key that is proved goes before: {proved}");
        let about = [("client_id", *id), ("token", granted["access_token"].as_str().expect("a token"))];
        let about = world.post_shown("/oauth/introspect", &about, peer, &[]).await.json();
        assert_eq!(
            (&about["cnf"], &about["token_type"]),
            (&json!({ "x5t#S256": peer.certificate.thumbprint() }), &json!("Bearer"))
        );
    }
    let described = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(described["tls_client_certificate_bound_access_tokens"], true);
    for endpoint in ["token", "introspection", "revocation"] {
        let methods = described[format!("{endpoint}_endpoint_auth_methods_supported")].to_string();
        assert!(methods.contains("\"tls_client_auth\",\"self_signed_tls_client_auth\",\"spiffe_x509\""), "{methods}");
    }
    assert_eq!(described.get("mtls_endpoint_aliases"), None);
    let plain = World::new().await.get("/.well-known/oauth-authorization-server").await;
    assert!(!plain.text.contains("tls_client_auth") && plain.json()["tls_client_certificate_bound_access_tokens"] == false);
}

#[tokio::test]
async fn nobody_is_a_client_by_a_certificate_that_is_not_the_clients() {
    let own = shown(|_| {}, Trust::Authority);
    let known = [
        ("by-subject", Known::Subject("CN=robot".to_owned())),
        ("by-dns", Known::Dns("robot.example.org".to_owned())),
        ("by-itself", Known::Thumbprints(vec![own.certificate.thumbprint().to_owned()])),
        ("workload", Known::Workload(WORKLOAD.to_owned())),
    ];
    let world = with_certificates(known.iter().map(|(id, known)| by_certificate(id, known.clone())).collect()).await;
    let over = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let other = |params: &mut rcgen::CertificateParams| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example.org".try_into().expect("ascii"))];
    };
    let authority =
        |params: &mut rcgen::CertificateParams| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let by_subject = "expected a certificate with the subject that is registered for this client, found another";
    let untrusted = "expected a certificate of an authority that is trusted here with this client";
    let cases = [
        ("by-subject", "of nobody", shown(|_| {}, Trust::Nobody), untrusted),
        ("by-subject", "of a trust domain", shown(|_| {}, Trust::Domain("example.org".to_owned())), untrusted),
        ("by-subject", "with another subject", shown(other, Trust::Authority), by_subject),
        ("by-subject", "that is over", shown(over, Trust::Authority), "expected a certificate that holds now"),
        (
            "by-dns",
            "with another name",
            shown(other, Trust::Authority),
            "expected a certificate with the alternative name that is registered for this client, found others",
        ),
        (
            "by-itself",
            "that is not registered",
            shown(|_| {}, Trust::Nobody),
            "expected a certificate that is registered for this client, found another",
        ),
        ("workload", "of another domain", shown(|_| {}, Trust::Domain("example.com".to_owned())), untrusted),
        ("workload", "of nobody", shown(|_| {}, Trust::Nobody), untrusted),
        (
            "workload",
            "without an id",
            shown(other, Trust::Authority),
            "expected exactly one URI among the alternative names of an X.509-SVID",
        ),
        (
            "workload",
            "of an authority itself",
            shown(authority, Trust::Authority),
            "expected an X.509-SVID that is not an authority's",
        ),
        ("app", "where none was agreed on", own.clone(), ""),
    ];
    for (id, what, peer, why) in cases {
        let form = [("grant_type", "client_credentials"), ("client_id", id)];
        let before = world.refusals().len();
        let answer = world.post_shown("/oauth/token", &form, &peer, &[]).await;
        if why.is_empty() {
            assert_eq!(answer.error(), "unauthorized_client", "{id}, {what}: a certificate does not make a client another");
            continue;
        }
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{id}, {what}");
        let recorded = world.refusals().split_off(before);
        assert_eq!(recorded.len(), 1, "{id}, {what}: on record, once");
        let said: String = why.chars().map(|c| if c == '`' { '\'' } else { c }).collect();
        assert!(recorded[0].contains(&said), "{id}, {what}: {recorded:?}");
    }
    let form = [("grant_type", "client_credentials"), ("client_id", "by-subject")];
    let none = world.post("/oauth/token", &form, &[]).await;
    assert_eq!(none.error(), "invalid_client", "without a certificate, or on a plain connection");
    let pem = own.certificate.thumbprint();
    for header in ["x-ssl-client-cert", "x-forwarded-client-cert", "client-cert", "x-ssl-cert"] {
        let said = world.post("/oauth/token", &form, &[(header, pem)]).await;
        assert_eq!(said.error(), "invalid_client", "a header is nobody's certificate: {header}");
    }
    let asserted = world.assertion();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "by-subject"),
        ("client_assertion_type", wire::assertion::TYPE),
        ("client_assertion", &asserted),
    ];
    assert_eq!(world.post_shown("/oauth/token", &form, &own, &[]).await.error(), "invalid_client", "two ways at once");
    for path in ["/oauth/introspect", "/oauth/revoke", "/oauth/par"] {
        let answer = world.post(path, &[("client_id", "by-subject"), ("token", "x")], &[]).await;
        assert_eq!(answer.error(), "invalid_client", "{path}");
    }
}

#[tokio::test]
async fn a_refresh_goes_on_with_a_newer_certificate_of_the_client_and_no_other() {
    let mut app = by_certificate("mutual", Known::Subject("CN=robot".to_owned()));
    app.standing = None;
    let world = with_certificates(vec![app]).await;
    let code = world.code(&[("client_id", "mutual")]).await;
    let (first, newer) = (shown(|_| {}, Trust::Authority), shown(|_| {}, Trust::Authority));
    let mut form = redeeming(&code);
    form.retain(|(name, _)| *name != "client_id");
    form.push(("client_id", "mutual"));
    let granted = world.post_shown("/oauth/token", &form, &first, &[]).await.json();
    let refresh = async |refresh: &Value, peer: &Arc<Peer>| {
        let refresh = refresh["refresh_token"].as_str().expect("a refresh token").to_owned();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("client_id", "mutual")];
        world.post_shown("/oauth/token", &form, peer, &[]).await
    };
    let stranger = shown(|params| params.distinguished_name.push(rcgen::DnType::OrganizationName, "x"), Trust::Authority);
    assert_eq!(refresh(&granted, &stranger).await.error(), "invalid_client");
    let next = refresh(&granted, &newer).await.json();
    let claims = world.issuer.task(next["access_token"].as_str().expect("a token"), world.engine.now()).expect("good");
    let bound = Binding::Certificate(newer.certificate.thumbprint().to_owned());
    assert_eq!(claims.binding, Some(bound), "RFC 8705 §7.1: certificates are replaced while tasks run");
}

#[tokio::test]
async fn a_token_of_a_certificate_hands_nothing_on_without_it() {
    let world = with_certificates(vec![by_certificate("mutual", Known::Subject("CN=robot".to_owned()))]).await;
    let own = shown(|_| {}, Trust::Authority);
    // The client's too, as after a renewal: the token is the other one's all the same.
    let newer = shown(|_| {}, Trust::Authority);
    let form = [("grant_type", "client_credentials"), ("client_id", "mutual")];
    let whole = world.post_shown("/oauth/token", &form, &own, &[]).await.json();
    let token = whole["access_token"].as_str().expect("a token");
    let form = exchanging(token, &[("client_id", "mutual"), ("scope", "read")]);
    let refused = world.post_shown("/oauth/token", &form, &newer, &[]).await;
    assert_eq!(refused.error(), "invalid_request", "{}", refused.text);
    let proof = world.proof("/oauth/token", &key());
    let refused = world.post_shown("/oauth/token", &form, &newer, &[("dpop", &proof)]).await;
    assert_eq!(refused.error(), "invalid_request", "a key is not the certificate: {}", refused.text);
    let part = world.post_shown("/oauth/token", &form, &own, &[]).await;
    assert_eq!(part.status, StatusCode::OK, "{}", part.text);
    let claims = world.issuer.task(part.json()["access_token"].as_str().expect("a token"), world.engine.now()).expect("good");
    assert_eq!(claims.binding, Some(Binding::Certificate(own.certificate.thumbprint().to_owned())));
}

proptest::proptest! {
    /// Whatever comes is read or refused, and what is read is within its bounds.
    #[test]
    fn any_request_is_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = super::form::Form::parse(&bytes);
        let _ = super::client::redirect(&text);
        let _ = super::details::TaskDetails::read(Some(&text), Some(&text));
        let _ = super::request::is_verifier(&text, "challenge");
    }

    #[test]
    fn nearly_redirects_never_reach_another_host(path in r"[a-z/.%@:?#\\\\0-9-]{0,40}") {
        let app = client("app", "helper");
        for begins in ["https://app.example", "http://127.0.0.1", "http://localhost"] {
            let uri = format!("{begins}{path}");
            if app.may_redirect_to(&uri) {
                let url = url::Url::parse(&uri).expect("it was read before");
                proptest::prop_assert!(matches!(url.host_str(), Some("app.example" | "127.0.0.1")), "{uri}");
                proptest::prop_assert_eq!(url.path(), "/callback");
            }
        }
    }
}
