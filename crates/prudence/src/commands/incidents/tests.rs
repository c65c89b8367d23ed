//! The story of an incident, from a ledger that an engine wrote.

use std::sync::Arc;

use engine::{Clock, Engine, ManualClock, Mode, NewTask, Node, Options, Seen};
use judge::act::{Act, ObservedItem};
use judge::contain::Right;
use judge::content::ContentKey;
use judge::digest::Digest;
use judge::effect::Effect;
use judge::event::{Bundle, Ended};
use judge::incident::{Incident, Kind, Severity, Verdict};
use judge::moment::Moment;
use judge::name::{PrincipalId, ResourceId, ToolId};
use judge::policy::PolicySources;
use judge::standing::Target;
use judge::task::{Budget, Caller};
use ledger::MemoryLedger;
use serde_json::{Value, json};

use super::story::{Story, gather};
use super::{fold, standing, tell};

/// What the requester said, and what stood in what was read: neither may be handed on.
const WORDS: &str = "please clean up, my password is hunter2hunter2";
const TEXT: &str = "the salaries of everybody, which nobody else is to know at all";

struct World {
    store: Arc<MemoryLedger>,
    clock: ManualClock,
    engine: Engine,
    caller: Caller,
}

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

async fn world() -> World {
    let store = Arc::new(MemoryLedger::default());
    let clock = ManualClock::at(Moment(1_767_225_600_000));
    let engine =
        Engine::open(store.clone(), ContentKey::new([1; 16]), Clock::Manual(clock.clone()), Node::alone(), Options::default())
            .expect("the ledger is sound");
    let directory = serde_json::from_value(json!({
        "people": [{"id": "bo"}, {"id": "cy"}, {"id": "ann"}],
        "agents": [{"id": "helper", "owner": "bo"}],
        "items": [{"id": "hr:*", "readers": ["bo"], "classification": "confidential"}],
        "destinations": [{"id": "forum:all", "audience": ["bo", "cy"], "known": true}],
        "grants": [
            {"to": "bo", "may": ["read", "publish", "destroy"], "on": ["*"]},
            {"to": "helper", "may": ["read", "publish", "destroy"], "on": ["*"]}
        ]
    }))
    .expect("a directory");
    let bundle = Bundle { directory, policies: PolicySources::shipped(), content_key: String::new() };
    engine.configure(bundle).await.expect("a sound configuration");
    let new = NewTask {
        words: Some(WORDS.to_owned()),
        address: vec!["bo".to_owned(), "cy".to_owned()],
        budget: Budget { calls: Some(3), ..Budget::default() },
        ..NewTask::new(name("bo"), name("helper"), "engineering", 3_600_000)
    };
    let task = engine.start_task(new).await.expect("bo and helper are known");
    let caller = Caller::new(vec![name("bo"), name("helper")], Some(task.id));
    World { store, clock, engine, caller }
}

impl World {
    /// Whether it went through.
    async fn call(&self, effect: Effect, on: &str, mode: Mode) -> bool {
        let id = ResourceId::parse(on).expect("a name");
        let act =
            Act::new(ToolId::parse("test__tool").expect("a name"), [effect].into(), vec![id.clone()], Digest::of(on.as_bytes()));
        let ruled = self.engine.rule(&self.caller, &act, mode).await.expect("durable");
        let Some(permit) = ruled.permit else { return false };
        let spent = permit.spend(act.digest, self.engine.now()).expect("the same call, in time");
        let item = ObservedItem::new(id, TEXT.to_owned());
        let items = if effect == Effect::Read { vec![item] } else { Vec::new() };
        let seen = Seen { items, created: Vec::new(), attested: Vec::new() };
        self.engine.observe(spent, seen, Ended::Ok).await.expect("durable");
        true
    }

    fn incidents(&self) -> Vec<Incident> {
        fold(self.store.as_ref()).expect("it can be read").all().cloned().collect()
    }

    fn story(&self, incident: &Incident) -> Story {
        gather(self.store.as_ref(), incident, self.engine.now()).expect("it can be read")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trip_tells_what_was_usual_what_was_seen_and_sent_and_who_could_see_it() {
    let world = world().await;
    assert!(world.call(Effect::Read, "hr:plan", Mode::Enforce).await);
    // Cy may not see it; the gate only observes here, so it goes out.
    assert!(world.call(Effect::Publish, "forum:all", Mode::Observe).await);
    assert!(world.call(Effect::Read, "hr:other", Mode::Enforce).await);
    world.clock.set(Moment(world.engine.now().0 + 60_000));
    assert!(!world.call(Effect::Read, "hr:third", Mode::Enforce).await, "the budget of calls is used up");
    assert!(!world.call(Effect::Read, "hr:third", Mode::Enforce).await);

    let incidents = world.incidents();
    let [incident] = incidents.as_slice() else { panic!("{incidents:?}") };
    assert_eq!(incident.refused_since, 1);
    let story = world.story(incident);
    let task = world.caller.task.clone().expect("it has one");
    assert_eq!(story.frozen, [Target::Task(task)]);
    assert_eq!(story.tasks.len(), 1);
    assert_eq!(story.tasks[0].stands, "frozen");
    let [sent] = story.sent.as_slice() else { panic!("one thing was sent: {:?}", story.sent) };
    assert_eq!(sent.audience.people, Some(vec!["bo".to_owned(), "cy".to_owned()]));
    assert!(sent.not_cleared_for_possible > 0, "cy is not cleared for what had been read");
    assert_eq!(sent.ended, Some(Ended::Ok));
    assert_eq!(story.seen.iter().map(|seen| seen.items).sum::<u64>(), 2);
    assert_eq!(story.seen[0].readers.people, Some(vec!["bo".to_owned()]));
    assert!(story.next.iter().any(|step| step.contains("prudence reset task:")), "{:?}", story.next);

    let text = tell::everything(incident, &story, standing(incident));
    for said in ["What was usual", "frozen", "could see it then: 2 people (bo, cy)", "1 of them is not cleared"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_the_place_later_is_told_as_well() {
    let world = world().await;
    assert!(world.call(Effect::Publish, "forum:all", Mode::Enforce).await);
    world.engine.kill(&Target::Agent(name("helper")), &name("ann"), Right::Operator, "odd").await.expect("durable");
    let mut bundle = Bundle { policies: PolicySources::shipped(), ..Bundle::default() };
    bundle.directory = serde_json::from_value(json!({
        "people": [{"id": "bo"}, {"id": "cy"}, {"id": "ann"}],
        "agents": [{"id": "helper", "owner": "bo"}],
        "destinations": [{"id": "forum:all", "audience": ["bo", "cy", "ann"]}]
    }))
    .expect("a directory");
    world.engine.configure(bundle).await.expect("a sound configuration");
    let incidents = world.incidents();
    let story = world.story(&incidents[0]);
    assert_eq!(story.sent[0].joined_since, ["ann"]);
    assert_eq!(story.tasks[0].stands, "ended");
    assert_eq!(story.frozen, [Target::Agent(name("helper"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_on_names_its_entries_and_holds_neither_words_nor_content() {
    let world = world().await;
    assert!(world.call(Effect::Read, "hr:plan", Mode::Enforce).await);
    world.engine.kill(&Target::Agent(name("helper")), &name("ann"), Right::Operator, "").await.expect("durable");
    let incidents = world.incidents();
    let story = world.story(&incidents[0]);
    let receipts: Value = json!(story.receipts);
    let text = format!("{receipts}{}", json!(story));
    for secret in ["hunter2", "salaries", "sketch"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let entries = ledger::Source::read(world.store.as_ref(), ledger::Seq(1), 100, usize::MAX).expect("it can be read");
    for receipt in &story.receipts {
        let entry = entries.iter().find(|entry| entry.seq == receipt.seq).expect("it is in the ledger");
        assert_eq!(entry.hash, receipt.hash);
    }
    let kinds: Vec<&str> =
        story.receipts.iter().filter_map(|one| one.event.as_object()?.keys().next()).map(String::as_str).collect();
    assert_eq!(kinds, ["task_started", "decided", "observed", "killed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_resolved_says_by_whom_and_waits_for_nobody() {
    let world = world().await;
    world.engine.kill(&Target::Agent(name("helper")), &name("ann"), Right::Operator, "").await.expect("durable");
    let id = world.incidents()[0].id;
    world.engine.resolve_incident(id, &name("ann"), Verdict::Exercise, "we tried it").await.expect("durable");
    let incidents = world.incidents();
    assert!(!incidents[0].is_open());
    let text = tell::everything(&incidents[0], &world.story(&incidents[0]), standing(&incidents[0]));
    assert!(text.contains("exercise by ann") && text.contains("we tried it"), "{text}");
}

/// Where the gate only observes, a breaker freezes nothing, and somebody has to know all the more.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_have_been_frozen_is_an_incident_as_well() {
    let world = world().await;
    for number in 0..5 {
        assert!(world.call(Effect::Read, &format!("hr:{number}"), Mode::Observe).await, "nothing is stopped");
    }
    let incidents = world.incidents();
    let [incident] = incidents.as_slice() else { panic!("one, however often: {incidents:?}") };
    assert_eq!((incident.kind, incident.severity, incident.times), (Kind::Tempo, Severity::Critical, 2));
    let story = world.story(incident);
    assert_eq!(story.frozen, [], "{story:?}");
    let text = tell::everything(incident, &story, standing(incident));
    assert!(text.contains("this would have frozen the task"), "{text}");
}
