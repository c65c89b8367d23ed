//! Claims about a decision point: the certification scenario of AuthZEN 1.0 (all four levels), and what it leaves open.

use super::*;
use axum::body::{Body, to_bytes};
use engine::{Clock, NewTask, Node, Options};
use judge::content::ContentKey;
use judge::directory::DirectoryDocument;
use judge::event::Bundle;
use judge::moment::Moment;
use judge::name::{AskId, PrincipalId};
use judge::policy::{PolicySources, Source};
use ledger::{MemoryLedger, Source as _};
use tower::ServiceExt as _;
use wire::token::{AUTHZEN_AUDIENCE, Claims, ClientClaims, SCIM_AUDIENCE, SigningKey, VerifyingKeys, sign, sign_client};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const SUBJECTS: &str = "/access/v1/search/subject";
const RESOURCES: &str = "/access/v1/search/resource";
const ACTIONS: &str = "/access/v1/search/action";
const REQUESTS: &str = "/access/v1/requests";

/// The policies of the certification fixture (§1.4): what was granted under a kind holds on a condition.
const KINDS: &str = r#"
@id("editor")
permit (principal, action == Action::"write", resource)
when { context.grants.contains("editor") && context.action.contains("name=write") && !context.resource.contains("status=archived") };

@id("archivist")
permit (principal, action == Action::"write", resource)
when { context.grants.contains("archivist") && context.action.contains("name=write") && context.subject.contains("role=admin") };

@id("soft-delete")
permit (principal, action == Action::"write", resource)
when { context.grants.contains("editor") && context.action.contains("name=delete") && context.action.contains("soft=true") };
"#;
const TELL: &str = r#"
@id("tell")
@norm("tell")
@outcome("notify")
@reason("somebody wants to know")
forbid (principal, action == Action::"compute", resource)
when { true };
"#;

struct Desk {
    router: Router,
    engine: Engine,
    ledger: Arc<MemoryLedger>,
    key: SigningKey,
    credential: String,
}

async fn desk() -> Desk {
    let ledger = Arc::new(MemoryLedger::default());
    let engine = Engine::open(ledger.clone(), ContentKey::new([1; 16]), Clock::System, Node::alone(), Options::default());
    let engine = engine.expect("a new ledger");
    let directory: DirectoryDocument = serde_json::from_value(json!({
        "people": [
            { "id": "alice", "addresses": ["alice@example.com"] },
            { "id": "bob", "attributes": { "role": "admin" } },
            { "id": "carol" },
            { "id": "dan", "status": "left" },
        ],
        "agents": [{ "id": "helper", "owner": "carol" }],
        "groups": { "all": ["alice", "bob", "carol", "dan"] },
        "items": [
            { "id": "record:record-1", "readers": ["@all"] },
            { "id": "record:record-2", "readers": ["@all"] },
            { "id": "record:secret", "readers": ["carol"], "classification": "restricted", "owner": "carol" },
        ],
        "destinations": [{ "id": "forum:all", "audience": ["@all"] }],
        "grants": [
            { "to": "@all", "may": ["read", "compute"], "on": ["record:*"] },
            { "to": "alice", "may": ["write"], "on": ["record:*"], "kind": "editor" },
            { "to": "bob", "may": ["write"], "on": ["record:record-2"], "kind": "archivist" },
            { "to": "carol", "may": ["read", "widen", "destroy", "send"], "on": ["record:*"] },
            { "to": "alice", "may": ["destroy", "widen"], "on": ["record:*"] },
            { "to": "alice", "may": ["send"], "on": ["record:record-2"] },
            { "to": "helper", "may": ["read", "write", "send", "destroy"], "on": ["record:*"] },
        ],
    }))
    .expect("a directory");
    let mut policies = PolicySources::shipped();
    policies.grants.push(Source { name: "kinds".to_owned(), text: KINDS.to_owned() });
    policies.norms.push(Source { name: "tell".to_owned(), text: TELL.to_owned() });
    engine.configure(Bundle { directory, policies, ..Bundle::default() }).await.expect("it is right");
    let key = SigningKey::from_seed("1", &[7; 32]).expect("a seed");
    let keys = VerifyingKeys::new().with(&key).expect("one key");
    let config = AuthzenConfig {
        public_url: "https://pdp.example.com".to_owned(),
        actions: BTreeMap::from([("delete".to_owned(), Effect::Write)]),
        people: BTreeSet::from(["user".to_owned()]),
    };
    let keys = TokenKeys { keys, issuer: "here".to_owned(), audience: "here".to_owned(), leeway_s: 5 };
    let credential = client_token(&key, engine.now(), "files", AUTHZEN_AUDIENCE);
    Desk {
        router: router(config, engine.clone(), keys, Arc::new(|client| ["files", "web"].contains(&client))),
        engine,
        ledger,
        key,
        credential,
    }
}

fn client_token(key: &SigningKey, now: Moment, client: &str, audience: &str) -> String {
    let claims = ClientClaims {
        issuer: "here".to_owned(),
        audience: audience.to_owned(),
        expires_s: now.0 / 1000 + 60,
        issued_s: now.0 / 1000,
        id: "2".to_owned(),
        client: client.to_owned(),
    };
    sign_client(key, &claims).expect("a token")
}

impl Desk {
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, HeaderMap, Value) {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).expect("a request")).await;
        let (parts, body) = response.expect("it answers").into_parts();
        let bytes = to_bytes(body, 1 << 20).await.expect("it is short");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        (parts.status.as_u16(), parts.headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let authorization = format!("Bearer {}", self.credential);
        let headers = [("content-type", "application/json; charset=utf-8"), ("authorization", authorization.as_str())];
        let (status, _, answer) = self.send("POST", path, &headers, &body.to_string()).await;
        (status, answer)
    }

    async fn ok(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, &body).await;
        assert_eq!(status, 200, "{body}: {answer}");
        answer
    }

    async fn decision(&self, body: Value) -> bool {
        self.ok(EVALUATION, body).await["decision"].as_bool().expect("a decision")
    }

    /// A token of a task that alice gives to helper.
    async fn task_token(&self) -> String {
        let name = |text| PrincipalId::parse(text).expect("a name");
        let new = NewTask::new(name("alice"), name("helper"), "work", 60_000);
        let task = self.engine.start_task(new).await.expect("both are known");
        let now_s = self.engine.now().0 / 1000;
        let claims = Claims {
            issuer: "here".to_owned(),
            audience: "here".to_owned(),
            expires_s: now_s + 60,
            issued_s: now_s,
            not_before_s: None,
            id: "1".to_owned(),
            requester: "alice".to_owned(),
            actors: vec!["helper".to_owned()],
            client: None,
            task: task.id.to_string(),
            binding: None,
        };
        sign(&self.key, &claims).expect("a token")
    }
}

fn user(id: &str) -> Value {
    json!({ "type": "user", "id": id })
}

fn admin() -> Value {
    json!({ "type": "user", "id": "bob", "properties": { "role": "admin" } })
}

fn record(id: &str) -> Value {
    json!({ "type": "record", "id": id })
}

fn archived() -> Value {
    json!({ "type": "record", "id": "record-2", "properties": { "status": "archived" } })
}

fn named(action: &str) -> Value {
    json!({ "name": action })
}

fn soft(soft: bool) -> Value {
    json!({ "name": "delete", "properties": { "soft": soft } })
}

fn ask(subject: Value, action: Value, resource: Value) -> Value {
    json!({ "subject": subject, "action": action, "resource": resource })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn ids(answer: &Value) -> BTreeSet<&str> {
    let of = |result: &'_ Value| result.get("id").or(result.get("name")).cloned();
    let results = answer["results"].as_array().expect("results");
    assert!(results.iter().all(|result| of(result).is_some_and(|id| id.is_string())));
    results.iter().filter_map(|result| result.get("id").or(result.get("name"))?.as_str()).collect()
}

#[tokio::test]
async fn the_eight_decisions_of_the_fixture_hold() {
    let desk = desk().await;
    let cases = [
        (ask(user("alice"), named("read"), record("record-1")), true),
        (ask(user("alice"), named("write"), record("record-1")), true),
        (ask(user("bob"), named("read"), record("record-1")), true),
        (ask(user("bob"), named("write"), record("record-1")), false),
        (ask(user("alice"), named("write"), archived()), false),
        (ask(admin(), named("write"), archived()), true),
        (ask(user("alice"), soft(true), record("record-1")), true),
        (ask(user("alice"), soft(false), record("record-1")), false),
    ];
    for (question, expected) in cases {
        for _ in 0..2 {
            assert_eq!(desk.decision(question.clone()).await, expected, "{question}");
        }
        let context = json!({ "time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1" });
        assert_eq!(
            desk.decision(with(with(question.clone(), "context", context), "foo", json!(1))).await,
            expected,
            "{question}"
        );
    }
    let more = json!({ "type": "user", "id": "alice", "properties": { "department": "Sales", "role": "manager" } });
    let on = json!({ "type": "record", "id": "record-1", "properties": { "status": "active", "owner": "bob" } });
    assert!(desk.decision(ask(more, json!({ "name": "read", "properties": { "method": "GET" } }), on)).await);
}

#[tokio::test]
async fn a_bad_request_is_told_apart_from_a_refusal() {
    let desk = desk().await;
    let good = ask(user("alice"), named("read"), record("record-1"));
    let mut bad: Vec<Value> = ["subject", "action", "resource"]
        .map(|member| {
            let mut body = good.clone();
            body.as_object_mut().expect("an object").remove(member);
            body
        })
        .into();
    for (member, value) in [
        ("subject", json!({ "id": "alice" })),
        ("subject", json!({ "type": "user" })),
        ("subject", json!("alice")),
        ("action", json!({})),
        ("action", json!({ "name": 123 })),
        ("resource", json!({ "id": "record-1" })),
        ("resource", json!({ "type": "record" })),
    ] {
        bad.push(with(good.clone(), member, value));
    }
    for body in &bad {
        let (status, answer) = desk.post(EVALUATION, body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer.is_string(), "{answer}");
    }
    let authorization = format!("Bearer {}", desk.credential);
    let text = good.to_string();
    let with_id = |kind| [("content-type", kind), ("authorization", authorization.as_str()), ("x-request-id", "r-1")];
    for (kind, body, expected) in [
        ("text/plain", text.as_str(), 400),
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("application/json", r#"{"subject":1,"subject":2}"#, 400),
        ("application/json", text.as_str(), 200),
    ] {
        let (status, headers, _) = desk.send("POST", EVALUATION, &with_id(kind), body).await;
        assert_eq!((status, headers["x-request-id"].to_str().expect("text")), (expected, "r-1"), "{kind} {body}");
    }
    let now = desk.engine.now();
    let other_door = format!("Bearer {}", client_token(&desk.key, now, "files", SCIM_AUDIENCE));
    let unlisted = format!("Bearer {}", client_token(&desk.key, now, "mail", AUTHZEN_AUDIENCE));
    let basic = format!("Basic {}", desk.credential);
    let of_an_agent = format!("Bearer {}", desk.task_token().await);
    for token in ["", "Bearer wrong", &basic, &other_door, &unlisted, &of_an_agent] {
        let token = Some(token).filter(|token| !token.is_empty());
        let headers: Vec<_> = token.map(|token| ("authorization", token)).into_iter().chain([("x-request-id", "r-2")]).collect();
        let (status, headers, _) = desk.send("POST", EVALUATION, &headers, &text).await;
        assert_eq!((status, headers["x-request-id"].to_str().expect("text")), (401, "r-2"));
        assert!(headers.contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn batches_answer_in_order_with_defaults_and_all_three_semantics() {
    let desk = desk().await;
    let decisions = async |body: Value| -> Vec<bool> {
        let answer = desk.ok(EVALUATIONS, body).await;
        answer["evaluations"].as_array().expect("answers").iter().map(|one| one["decision"] == true).collect()
    };
    let both = |body: Value, items: Value| with(body, "evaluations", items);
    let bob = json!({ "subject": user("bob"), "resource": record("record-1") });
    assert_eq!(decisions(both(bob, json!([{ "action": named("read") }, { "action": named("write") }]))).await, [true, false]);
    let write = json!({ "subject": user("alice"), "action": named("write") });
    let active = json!({ "type": "record", "id": "record-1", "properties": { "status": "active" } });
    let items = json!([{ "resource": active }, { "resource": archived() }]);
    assert_eq!(decisions(both(write.clone(), items)).await, [true, false]);
    let to_archived = json!({ "action": named("write"), "resource": archived() });
    assert_eq!(decisions(both(to_archived, json!([{ "subject": user("alice") }, { "subject": admin() }]))).await, [false, true]);
    let whole = with(write.clone(), "resource", active);
    assert_eq!(decisions(both(whole.clone(), json!([{}, { "resource": archived() }]))).await, [true, false]);
    // A question that is none is refused in its place.
    assert_eq!(decisions(both(write, json!([{ "resource": record("record-1") }, {}, 5]))).await, [true, false, false]);
    for (semantic, expected) in
        [("execute_all", &[true, false, true][..]), ("deny_on_first_deny", &[true, false]), ("permit_on_first_permit", &[true])]
    {
        let body = both(whole.clone(), json!([{}, { "resource": archived() }, {}]));
        let body = with(body, "options", json!({ "evaluations_semantic": semantic, "another": 1 }));
        assert_eq!(decisions(body).await, expected, "{semantic}");
    }
    let single = with(ask(user("alice"), named("read"), record("record-1")), "evaluations", json!([]));
    assert_eq!(desk.ok(EVALUATIONS, single).await["decision"], true);
    assert_eq!(desk.post(EVALUATIONS, &json!({ "action": named("read") })).await.0, 400);
}

#[tokio::test]
async fn searches_find_what_would_be_permitted_and_nothing_else() {
    let desk = desk().await;
    let people = json!({ "subject": { "type": "user" }, "action": named("read"), "resource": record("record-1") });
    let found = desk.ok(SUBJECTS, people.clone()).await;
    assert_eq!(ids(&found), BTreeSet::from(["alice", "bob", "carol"]), "who has left is in no audience");
    // An id of what is sought is ignored.
    assert_eq!(desk.ok(SUBJECTS, with(people.clone(), "subject", user("alice"))).await, found);
    assert_eq!(desk.ok(SUBJECTS, with(people.clone(), "context", json!({ "ip": "::1" }))).await, found);
    let of_secret = with(people.clone(), "resource", record("secret"));
    assert_eq!(ids(&desk.ok(SUBJECTS, of_secret).await), BTreeSet::from(["carol"]));
    let of_archived = json!({ "subject": { "type": "user" }, "action": named("write"), "resource": archived() });
    assert_eq!(ids(&desk.ok(SUBJECTS, of_archived).await), BTreeSet::from(["bob"]));

    let records = json!({ "subject": user("alice"), "action": named("read"), "resource": { "type": "record" } });
    let found = desk.ok(RESOURCES, records.clone()).await;
    assert_eq!(ids(&found), BTreeSet::from(["record-1", "record-2"]));
    assert_eq!(desk.ok(RESOURCES, with(records.clone(), "resource", record("record-1"))).await, found);
    let by_admin = json!({ "subject": admin(), "action": named("write"), "resource": { "type": "record" } });
    assert_eq!(ids(&desk.ok(RESOURCES, by_admin).await), BTreeSet::from(["record-2"]));

    let actions = json!({ "subject": user("alice"), "resource": record("record-1") });
    assert_eq!(ids(&desk.ok(ACTIONS, actions).await), BTreeSet::from(["compute", "read", "write"]));
    let by_admin = json!({ "subject": admin(), "resource": archived() });
    assert!(ids(&desk.ok(ACTIONS, by_admin).await).contains("write"));

    for (path, body) in [
        (ACTIONS, json!({ "subject": user("nobody"), "resource": record("record-1") })),
        (RESOURCES, json!({ "subject": user("nobody"), "action": named("read"), "resource": { "type": "record" } })),
        (
            SUBJECTS,
            with(
                people.clone(),
                "resource",
                record("nothing-granted").as_object().map(|_| json!({ "type": "no", "id": "x" })).expect("an object"),
            ),
        ),
        (SUBJECTS, with(people.clone(), "subject", json!({ "type": "spaceship" }))),
        (RESOURCES, with(records.clone(), "resource", json!({ "type": "spaceship" }))),
        (SUBJECTS, with(people.clone(), "action", named("fly"))),
    ] {
        assert_eq!(desk.ok(path, body.clone()).await["results"], json!([]), "{path} {body}");
    }
    for (path, body) in [
        (SUBJECTS, json!({ "subject": { "type": "user" }, "resource": record("record-1") })),
        (RESOURCES, json!({ "action": named("read"), "resource": { "type": "record" } })),
        (ACTIONS, json!({ "subject": user("alice") })),
        (SUBJECTS, json!({ "subject": { "type": "user" }, "action": named("read"), "resource": { "type": "record" } })),
        (RESOURCES, json!({ "subject": { "type": "user" }, "action": named("read"), "resource": { "type": "record" } })),
        (ACTIONS, json!({ "subject": { "type": "user" }, "resource": record("record-1") })),
    ] {
        assert_eq!(desk.post(path, &body).await.0, 400, "{path} {body}");
    }
}

#[tokio::test]
async fn pages_hold_everything_once_and_a_token_is_for_its_own_search() {
    let desk = desk().await;
    let searches = [
        (SUBJECTS, json!({ "subject": { "type": "user" }, "action": named("read"), "resource": record("record-1") })),
        (RESOURCES, json!({ "subject": user("carol"), "action": named("read"), "resource": { "type": "record" } })),
        (ACTIONS, json!({ "subject": user("alice"), "resource": record("record-1") })),
    ];
    let mut tokens = Vec::new();
    for (path, search) in &searches {
        let all = desk.ok(path, search.clone()).await;
        assert_eq!(all["page"]["next_token"], "");
        let (mut pages, mut page) = (Vec::new(), json!({ "limit": 1 }));
        loop {
            let answer = desk.ok(path, with(search.clone(), "page", page)).await;
            assert!(answer["results"].as_array().expect("results").len() <= 1);
            pages.extend(answer["results"].as_array().expect("results").clone());
            let token = answer["page"]["next_token"].as_str().expect("a token").to_owned();
            if token.is_empty() {
                break;
            }
            page = json!({ "token": token });
            tokens.push(token);
        }
        assert_eq!(Value::Array(pages), all["results"], "{path}");
    }
    for token in [tokens[0].as_str(), "nonsense"] {
        let (path, search) = &searches[1];
        assert_eq!(desk.post(path, &with(search.clone(), "page", json!({ "token": token }))).await.0, 400);
    }
}

#[tokio::test]
async fn the_metadata_names_every_endpoint_below_the_identifier() {
    let desk = desk().await;
    let (status, headers, document) = desk.send("GET", "/.well-known/authzen-configuration", &[], "").await;
    assert_eq!((status, &headers["content-type"]), (200, &"application/json".parse().expect("a value")));
    assert_eq!(document["policy_decision_point"], "https://pdp.example.com");
    let endpoints = document.as_object().expect("an object").iter().filter(|(name, _)| name.ends_with("_endpoint"));
    let urls: Vec<&str> = endpoints.filter_map(|(_, url)| url.as_str()).collect();
    assert_eq!(urls.len(), 6);
    assert!(urls.iter().all(|url| url.starts_with("https://pdp.example.com/access/v1/")));
    assert_eq!(path_of("https://pdp.example.com/tenant1/"), "/tenant1");
}

#[tokio::test]
async fn an_obligation_that_cannot_be_carried_out_there_is_a_refusal() {
    let desk = desk().await;
    let question = ask(user("alice"), named("compute"), record("record-1"));
    let silent = desk.ok(EVALUATION, question.clone()).await;
    assert_eq!(silent["decision"], true);
    assert_eq!(silent["context"]["obligations"][0]["type"], "notification");
    for (types, decision) in [(json!(["notification"]), true), (json!(["step-up", "unheard-of"]), false), (json!([]), false)] {
        let body = with(question.clone(), "context", json!({ "supported_obligations": types }));
        let answer = desk.ok(EVALUATION, body).await;
        assert_eq!(answer["decision"], decision, "{answer}");
    }
    // What was told is what was recorded.
    let head = desk.ledger.head().expect("readable").seq;
    let last = desk.ledger.read(head, 1, usize::MAX).expect("readable");
    let last: Value = serde_json::from_slice(&last[0].body).expect("JSON");
    assert_eq!(last["event"]["decided"]["decision"]["outcome"], "deny");
    assert_eq!(last["event"]["decided"]["answered"]["to"], "files");
}

#[tokio::test]
async fn an_actor_counts_only_by_its_token() {
    let desk = desk().await;
    let agent = json!({ "type": "agent", "id": "helper", "properties": { "act": { "sub": "alice" } } });
    let question = ask(agent.clone(), named("read"), record("record-1"));
    let answer = desk.ok(EVALUATION, question.clone()).await;
    assert_eq!((answer["decision"].clone(), answer["context"]["reason"].clone()), (json!(false), json!("task_token_required")));
    let token = desk.task_token().await;
    let by_token = |subject: Value, action: &str, on: &str| {
        with(ask(subject, named(action), record(on)), "context", json!({ "task_token": token }))
    };
    assert!(desk.decision(by_token(agent.clone(), "read", "record-1")).await);
    assert!(desk.decision(by_token(user("alice"), "read", "record-1")).await);
    assert!(!desk.decision(by_token(user("carol"), "read", "secret")).await, "carol is not of this chain");
    assert!(!desk.decision(by_token(agent.clone(), "read", "secret")).await, "alice is not cleared, so helper is not");
    let forged = with(question, "context", json!({ "task_token": "ey.not.one" }));
    assert!(!desk.decision(forged).await);
}

#[tokio::test]
async fn what_a_task_reads_elsewhere_counts_here() {
    let desk = desk().await;
    let carol_reads_nothing = ask(user("carol"), named("read"), record("secret"));
    assert!(desk.decision(carol_reads_nothing).await);
    let token = desk.task_token().await;
    let agent = json!({ "type": "agent", "id": "helper" });
    let send = json!({ "name": "send", "properties": { "recipients": ["stranger@example.org"], "content": "all is well" } });
    let context = json!({ "task_token": token });
    let mail = with(ask(agent.clone(), send, record("record-2")), "context", context.clone());
    let before = desk.ok(EVALUATION, mail.clone()).await;
    let grounds = |answer: &Value| -> BTreeSet<String> {
        let reasons = answer["context"]["reasons"].as_array().cloned().unwrap_or_default();
        reasons.iter().filter_map(|reason| Some(reason["ground"].as_str()?.to_owned())).collect()
    };
    assert!(!grounds(&before).contains("readers"), "{before}");
    let read = with(ask(agent, named("read"), record("record-2")), "context", context);
    assert!(desk.decision(read).await);
    let after = desk.ok(EVALUATION, mail).await;
    assert!(grounds(&after).contains("readers"), "the stranger is no reader of what was read: {after}");
}

#[tokio::test]
async fn a_person_says_yes_and_the_same_question_passes_once() {
    let desk = desk().await;
    let question = ask(user("alice"), named("destroy"), record("record-1"));
    let refused = desk.ok(EVALUATION, question.clone()).await;
    assert_eq!((refused["decision"].clone(), refused["context"]["reason"].clone()), (json!(false), json!("approval_required")));
    assert!(refused["context"]["access_request"]["expires_at"].is_string());
    assert_eq!(desk.engine.view(|state, _| state.asks().count()), 0, "nobody is asked before somebody wants it");

    let denial = json!({ "evaluation_id": refused["context"]["evaluation_id"], "expires_at": refused["context"]["access_request"]["expires_at"] });
    let about_another = with(ask(user("alice"), named("destroy"), record("record-2")), "denial", denial.clone());
    let (status, problem) = desk.post(REQUESTS, &about_another).await;
    assert_eq!((status, problem["type"].as_str()), (400, Some("urn:openid:authzen:access-request:error:invalid_denial_binding")));
    let (status, accepted) = desk.post(REQUESTS, &with(question.clone(), "denial", denial.clone())).await;
    assert_eq!((status, accepted["task"]["status"].as_str()), (202, Some("pending")));
    let again = desk.post(REQUESTS, &with(question.clone(), "denial", denial)).await.1;
    assert_eq!(again["task"]["id"], accepted["task"]["id"], "asked again, it is the same ask");

    let handle = accepted["task"]["id"].as_str().expect("a handle").to_owned();
    let path = format!("{REQUESTS}/{handle}");
    let authorization = format!("Bearer {}", desk.credential);
    let (_, headers, pending) = desk.send("GET", &path, &[("authorization", &authorization)], "").await;
    assert_eq!(pending["task"]["status"], "pending");
    assert!(headers.contains_key("retry-after"));
    assert_eq!(desk.send("GET", &format!("{path}x"), &[("authorization", &authorization)], "").await.0, 404);
    assert_eq!(desk.send("GET", &path, &[], "").await.0, 401);

    let ask_id = AskId::parse(handle.split('.').next().expect("two parts")).expect("an id");
    let name = |text| PrincipalId::parse(text).expect("a name");
    assert!(desk.engine.answer(&ask_id, &name("alice"), true).await.is_err(), "nobody approves for themselves");
    desk.engine.answer(&ask_id, &name("carol"), true).await.expect("carol may");
    let (_, _, approved) = desk.send("GET", &path, &[("authorization", &authorization)], "").await;
    assert_eq!(
        (approved["task"]["status"].clone(), approved["result"]["mode"].clone()),
        (json!("approved"), json!("reevaluate"))
    );

    let web = format!("Bearer {}", client_token(&desk.key, desk.engine.now(), "web", AUTHZEN_AUDIENCE));
    let headers = [("content-type", "application/json"), ("authorization", web.as_str())];
    let by_another = desk.send("POST", EVALUATION, &headers, &question.to_string()).await.2;
    assert_eq!(by_another["decision"], false, "a person said yes to one enforcement point");
    assert_eq!(desk.send("GET", &path, &headers, "").await.0, 404);

    let with_approval = |id: &str| with(question.clone(), "context", json!({ "approval": { "id": id } }));
    let through = desk.ok(EVALUATION, with_approval(&handle)).await;
    assert_eq!((through["decision"].clone(), through["context"]["approval"]["id"].clone()), (json!(true), json!(handle)));
    let second = desk.ok(EVALUATION, with_approval(&handle)).await;
    assert_eq!((second["decision"].clone(), second["context"]["next_action"].clone()), (json!(false), json!("request")));
    let made_up = desk.ok(EVALUATION, with_approval("ask-0000-0000.d-1")).await;
    assert_eq!(
        (made_up["context"]["reason"].clone(), made_up["context"]["next_action"].clone()),
        (json!("approval_unverifiable"), json!("none"))
    );
}

#[tokio::test]
async fn a_change_of_access_is_previewed_here_as_well() {
    let desk = desk().await;
    let widen = json!({ "name": "widen", "properties": { "change": { "add_readers": ["bob"] } } });
    let answer = desk.ok(EVALUATION, ask(user("alice"), widen, record("secret"))).await;
    assert_eq!(answer["context"]["reasons"][0]["ground"], "widen", "{answer}");
    let many: Vec<String> = (0..2_000).map(|number| format!("p{number}@example.org")).collect();
    let send = json!({ "name": "send", "properties": { "recipients": many } });
    let answer = desk.ok(EVALUATION, ask(user("alice"), send, record("record-2"))).await;
    assert_eq!((answer["decision"].clone(), answer["context"]["error"]["status"].clone()), (json!(false), json!(400)));
    let bad = json!({ "name": "widen", "properties": { "change": { "readers": "bob" } } });
    let answer = desk.ok(EVALUATION, ask(user("alice"), bad, record("secret"))).await;
    assert_eq!((answer["decision"].clone(), answer["context"]["error"]["status"].clone()), (json!(false), json!(400)));
}
