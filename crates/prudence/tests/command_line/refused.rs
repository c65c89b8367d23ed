//! What must not pass although somebody meant it to: answers that came too late, and norms that cannot be computed. And what changes while
//! the program runs: files that are read again, wholly or not at all.

use std::sync::Arc;

use authority::keys::{KeyPaths, Keys};
use engine::{Clock, Engine, ManualClock, Mode, NewTask, Node, Options};
use judge::decision::Outcome;
use judge::digest::Digest;
use judge::event::{Bundle, Event, Record};
use judge::moment::Moment;
use judge::name::{AskId, PrincipalId, ToolId};
use judge::policy::PolicySources;
use judge::task::Caller;
use ledger::{Seq, Source as _, SqliteLedger};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::house::{House, codes, contract, free_port, http, text, until};
use crate::{done, prudence};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

#[expect(clippy::disallowed_methods, reason = "the program under test has its own clock, and this must be before it")]
fn now() -> Moment {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Moment(u64::try_from(since.as_millis()).expect("before the year 500 million"))
}

/// What was asked, before the program of the test was started.
struct Past {
    token: String,
    asks: Vec<AskId>,
}

/// Leaves a ledger in which Bo's helper asked, at the moments given, whether it may post these words to the board, and Ann said yes where
/// it says so.
async fn past(house: &House, asked: &[(&str, Moment, bool)]) -> Past {
    let at = |file: &str| house.path().join(file);
    let paths =
        KeyPaths { signing: at("keys/signing.pem"), content: at("keys/content.key"), operator: at("keys/operator.secret") };
    let keys = Keys::load(&paths).expect("init made them");
    let clock = ManualClock::at(asked[0].1);
    let store = Arc::new(SqliteLedger::open(at("prudence.db")).expect("a new ledger"));
    let engine =
        Engine::open(store.clone(), keys.content.clone(), Clock::Manual(clock.clone()), Node::alone(), Options::default())
            .expect("new");
    let directory = json!({
        "people": [{"id": "bo"}, {"id": "ann"}],
        "agents": [{"id": "helper", "owner": "bo"}],
        "destinations": [{"id": "board", "audience": ["bo", "ann"]}],
        "grants": [{"to": "public", "may": ["publish"], "on": ["*"]}, {"to": "helper", "may": ["publish"], "on": ["*"]}]
    });
    let directory = serde_json::from_value(directory).expect("a directory");
    engine.configure(Bundle { directory, policies: PolicySources::shipped(), ..Bundle::default() }).await.expect("sound");
    let new = NewTask::new(name("bo"), name("helper"), "work", 24 * HOUR_MS);
    let task = engine.start_task(new).await.expect("bo and helper are known");
    let caller = Caller::new(vec![name("bo"), name("helper")], Some(task.id.clone()));
    let contracts = contract::Contracts::parse("forum", &contract()).expect("it is right");
    let mut asks = Vec::new();
    for (words, moment, yes) in asked {
        clock.set(*moment);
        let arguments = json!({ "thread": "board", "text": words });
        let params = wire::canonical::text(&json!({ "name": "post", "arguments": arguments })).expect("plain");
        let digest = Digest::of_parts([&b"forum"[..], b"tools/call", params.as_bytes()]);
        let tool = ToolId::parse("forum__post").expect("a name");
        let act = contracts.tool("post").expect("it is there").act(tool, &arguments, digest).expect("it fits");
        let ruled = engine.rule(&caller, &act, Mode::Enforce).await.expect("durable");
        assert_eq!(ruled.decision.outcome, Outcome::Ask, "{:?}", ruled.decision.reasons);
        let ask = ruled.ask.expect("somebody is asked");
        if *yes {
            engine.answer(&ask, &name("ann"), true).await.expect("ann may");
        }
        asks.push(ask);
    }
    let issuer = authority::Issuer::new("prudence", &keys);
    let token = issuer.task_token(&task, &[name("helper")], now()).expect("it runs");
    drop(engine);
    tokio::task::spawn_blocking(move || drop(store)).await.expect("closed");
    Past { token, asks }
}

#[test]
fn an_answer_that_came_too_late_lets_nothing_through() {
    let port = free_port();
    let house = House::new("prudence.db", &format!("api_listen = \"127.0.0.1:{port}\""));
    let (long_ago, now) = (Moment(now().0 - 2 * HOUR_MS), now());
    let asked = [("unanswered", long_ago, false), ("approved, and not used in time", long_ago, true), ("approved", now, true)];
    let past = tokio::runtime::Runtime::new().expect("a runtime").block_on(self::past(&house, &asked));
    let serving = house.serve();
    let client = serving.client(&past.token);

    let unanswered = past.asks[0].as_str();
    let approved = prudence(house.path(), &["approvals", "approve", unanswered, "--as", "ann"]);
    assert_eq!(approved.status.code(), Some(5));
    let said = String::from_utf8_lossy(&approved.stderr).into_owned();
    assert!(said.contains("expired"), "{said}");
    assert!(!done(house.path(), &["approvals", "list"]).contains(unanswered), "it waits for nobody");
    assert!(done(house.path(), &["approvals", "list", "--all"]).contains("expired"));

    let person = done(house.path(), &["approvals", "token", "--as", "ann"]);
    let api = ([127, 0, 0, 1], port).into();
    let path = format!("/v1/approvals/{unanswered}/approve");
    let (status, said) = http(api, "POST", &path, person.trim(), "").expect("it answers");
    assert_eq!(status, 403, "{said}");
    assert!(said.contains("may_not_answer") && said.contains("expired"), "{said}");

    for (words, _, _) in &asked[..2] {
        let refused = client.post("board", words).expect("it runs");
        assert!(text(&refused).starts_with("Not carried out: a person must approve this call first."), "{refused}");
        let again = refused["_meta"]["prudence/refusal"]["approval"].as_str().expect("it is asked again");
        assert!(past.asks.iter().all(|ask| ask.as_str() != again), "the old ask is over");
    }
    assert_eq!(house.upstream.posts(), Vec::<String>::new());
    // The same in time: what made the difference is the time.
    assert_eq!(text(&client.post("board", "approved").expect("it runs")), "posted");
    let refused = client.post("board", "approved").expect("it runs");
    assert!(!codes(&refused).is_empty(), "once: {refused}");
    assert_eq!(house.upstream.posts(), ["board"]);
    serving.stop();
}

/// Cedar knows no division; what it cannot compute is a sum that is too large.
#[test]
fn a_norm_that_cannot_be_computed_asks_and_is_never_skipped() {
    let house = House::new("prudence.db", "");
    std::fs::create_dir(house.path().join("norms")).expect("own folder");
    let norm = "@id(\"sum\")\n@norm(\"sum\")\n@outcome(\"deny\")\n@reason(\"too much\")\nforbid (principal, action, resource)\n\
                when { 9223372036854775807 + context.chain.depth < 0 };\n";
    house.write("norms/sum.cedar", norm);
    house.write("prudence.toml", &(house.read("prudence.toml") + "\n[policies]\nnorms = \"norms\"\n"));
    done(house.path(), &["norm", "check", "norms"]);
    let token = house.task("bo");
    let serving = house.serve();
    let refused = serving.client(&token).post("thread:1", "a few words").expect("it runs");
    assert_eq!(refused["isError"], true);
    assert!(text(&refused).starts_with("Not carried out: a person must approve this call first."), "{refused}");
    assert_eq!(refused["_meta"]["prudence/refusal"]["outcome"], "ask");
    assert_eq!(house.upstream.posts(), Vec::<String>::new());
    serving.stop();
    assert!(done(house.path(), &["approvals", "list"]).contains("thread:1"));
}

fn configured(house: &House) -> usize {
    let source = SqliteLedger::open_read_only(house.path().join("prudence.db")).expect("it is there");
    let entries = source.read(Seq(1), usize::MAX, usize::MAX).expect("readable");
    let events = entries.iter().map(|entry| serde_json::from_slice::<Record>(&entry.body).expect("an event").event);
    events.filter(|event| matches!(event, Event::Configured(_))).count()
}

#[test]
fn files_are_taken_again_at_a_hangup_all_of_them_or_none() {
    let house = House::new("prudence.db", "");
    let token = house.task("bo");
    let mut serving = house.serve();
    let client = serving.client(&token);
    let post = || client.post("thread:1", "a few words").expect("it runs");
    assert_eq!(text(&post()), "posted");
    let begun = configured(&house);
    let (config, contracts) = (house.read("prudence.toml"), house.read("forum.toml"));

    // The agent may not post any more.
    let narrower = config.replace("to = \"helper\"\nmay = [\"read\", \"publish\"]", "to = \"helper\"\nmay = [\"read\"]");
    assert_ne!(narrower, config);
    house.write("prudence.toml", &narrower);
    serving.signal(Signal::HUP);
    let said: Value = serde_json::from_str(&serving.line()).expect("json");
    assert!(said["reloaded"].is_string(), "{said}");
    assert_eq!(codes(&post()), ["grant"]);
    assert_eq!(configured(&house), begun + 1, "what is in force is in the ledger");

    // Right in one file and wrong in another: nothing is taken.
    house.write("prudence.toml", &config);
    house.write("forum.toml", &contracts.replace("effects", "efects"));
    serving.signal(Signal::HUP);
    until("it says what is wrong", || {
        let errors = serving.errors();
        (errors.contains("was not taken") && errors.contains("efects") && errors.contains("problem")).then_some(())
    });
    assert!(serving.is_running());
    assert_eq!(codes(&post()), ["grant"]);
    assert_eq!(configured(&house), begun + 1);

    // Right again, with a contract that nobody accepted.
    house.write("forum.toml", &contracts.replace("accepted_by = \"ann\"\n", ""));
    serving.signal(Signal::HUP);
    serving.line();
    assert_eq!(codes(&post()), ["contract"]);
    assert_eq!(configured(&house), begun + 2);
    house.write("forum.toml", &contracts);
    serving.signal(Signal::HUP);
    serving.line();
    assert_eq!(text(&post()), "posted");
    assert_eq!(house.upstream.posts().len(), 2);
    serving.stop();
}

#[test]
fn a_provisioning_client_is_let_in_until_it_is_no_longer_listed() {
    let port = free_port();
    let clients = "[[clients]]\nid = \"okta\"\ndoors = [\"scim\"]\n";
    let house = House::new("prudence.db", &format!("api_listen = \"127.0.0.1:{port}\"\n{clients}"));
    let token = done(house.path(), &["client", "token", "okta", "--door", "scim"]);
    let scim = |method: &str, path: &str, body: &Value| {
        let (status, said) =
            http(([127, 0, 0, 1], port).into(), method, path, token.trim(), &body.to_string()).expect("it answers");
        (status, serde_json::from_str::<Value>(&said).expect("json"))
    };
    let serving = house.serve();
    assert!(!prudence(house.path(), &["can-see", "cy"]).status.success(), "nobody knows cy");
    let cy = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "cy" });
    let (status, made) = scim("POST", "/scim/v2/Users", &cy);
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["meta"]["location"], format!("http://127.0.0.1:{port}/scim/v2/Users/cy"));
    // What was answered is in the ledger, whatever happens then.
    serving.signal(Signal::KILL);
    drop(serving);
    done(house.path(), &["can-see", "cy"]);
    let serving = house.serve();
    assert_eq!(scim("GET", "/scim/v2/Users/cy", &Value::Null), (200, made));

    house.write("prudence.toml", &house.read("prudence.toml").replace(clients, ""));
    serving.signal(Signal::HUP);
    serving.line();
    assert_eq!(scim("GET", "/scim/v2/Users/cy", &Value::Null).0, 401);
    assert_eq!(prudence(house.path(), &["client", "token", "okta", "--door", "scim"]).status.code(), Some(5));
    serving.stop();
}
