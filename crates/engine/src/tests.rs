//! The engine, as claims.

use crate::{AnswerError, Clock, ContainError, Engine, ManualClock, Mode, NewTask, Node, Options, PermitRefused, Seen};
use judge::act::{Act, ObservedItem};
use judge::contain::{NotContained, Right};
use judge::content::ContentKey;
use judge::decide::MayNotAnswer;
use judge::decision::{Code, Outcome};
use judge::digest::Digest;
use judge::effect::Effect;
use judge::event::{Bundle, Ended, Event, Record, Refused};
use judge::moment::Moment;
use judge::name::{PrincipalId, ResourceId, ToolId};
use judge::policy::{PolicySources, Source as PolicySource};
use judge::standing::Target;
use judge::task::Caller;
use ledger::{MemoryLedger, Seq, Source, SqliteLedger, Store};
use serde_json::json;
use std::sync::Arc;

const TEXT: &str = "what the runbook says about opening a dataset to a group";

fn bundle() -> Bundle {
    Bundle {
        directory: serde_json::from_value(json!({
            "people": [{"id": "bo"}, {"id": "cy"}, {"id": "ann"}],
            "agents": [{"id": "helper", "owner": "bo"}],
            "items": [{"id": "runbook:acl", "readers": ["bo", "cy"]}],
            "destinations": [{"id": "forum:all", "audience": ["bo", "cy", "ann"]}],
            "grants": [
                {"to": "bo", "may": ["read", "publish"], "on": ["*"]},
                {"to": "helper", "may": ["read", "publish"], "on": ["*"]},
                {"to": "cy", "may": ["publish"], "on": ["*"]}
            ]
        }))
        .expect("a directory"),
        policies: PolicySources::shipped(),
        content_key: String::new(),
    }
}

struct World {
    store: Arc<MemoryLedger>,
    clock: ManualClock,
    engine: Engine,
    caller: Caller,
}

fn key() -> ContentKey {
    ContentKey::new([1; 16])
}

fn open(store: Arc<dyn Store>, clock: &ManualClock) -> Engine {
    Engine::open(store, key(), Clock::Manual(clock.clone()), Node::alone(), Options::default()).expect("the ledger is sound")
}

async fn world() -> World {
    let store = Arc::new(MemoryLedger::default());
    let clock = ManualClock::at(Moment(1_000));
    let engine = open(store.clone(), &clock);
    engine.configure(bundle()).await.expect("a sound configuration");
    let caller = start(&engine).await;
    World { store, clock, engine, caller }
}

async fn start(engine: &Engine) -> Caller {
    let name = |text| PrincipalId::parse(text).expect("a name");
    let new = NewTask::new(name("bo"), name("helper"), "engineering", 60_000);
    let task = engine.start_task(new).await.expect("bo and helper are known");
    Caller::new(vec![name("bo"), name("helper")], Some(task.id))
}

fn act(effect: Effect, on: &str, content: &str) -> Act {
    Act {
        content: vec![content.to_owned()],
        ..Act::new(
            ToolId::parse("test__tool").expect("a name"),
            [effect].into(),
            vec![ResourceId::parse(on).expect("a name")],
            Digest::of(format!("{effect:?}{on}{content}").as_bytes()),
        )
    }
}

fn seen(id: &str) -> Seen {
    let item = ObservedItem::new(ResourceId::parse(id).expect("a name"), TEXT.to_owned());
    Seen { items: vec![item], created: Vec::new(), attested: Vec::new() }
}

fn records(store: &dyn Source) -> Vec<Record> {
    let entries = store.read(Seq(1), 10_000, usize::MAX).expect("it can be read");
    entries.iter().map(|entry| serde_json::from_slice(&entry.body).expect("an event")).collect()
}

fn endings(store: &dyn Source) -> Vec<Ended> {
    records(store)
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Observed(observed) => Some(observed.ended),
            _ => None,
        })
        .collect()
}

async fn read(engine: &Engine, caller: &Caller) {
    let act = act(Effect::Read, "runbook:acl", "");
    let permit = engine.rule(caller, &act, Mode::Enforce).await.expect("durable").permit.expect("bo may read it");
    let spent = permit.spend(act.digest, engine.now()).expect("the same call, in time");
    engine.observe(spent, seen("runbook:acl"), Ended::Ok).await.expect("durable");
}

#[tokio::test]
async fn what_was_read_weighs_on_what_is_sent_even_after_a_restart() {
    let world = world().await;
    read(&world.engine, &world.caller).await;
    let again = open(world.store.clone(), &world.clock);
    assert_eq!(again.view(|state, _| state.digest()), world.engine.view(|state, _| state.digest()));
    let ruled = again.rule(&world.caller, &act(Effect::Publish, "forum:all", TEXT), Mode::Enforce).await.expect("durable");
    assert_eq!(ruled.decision.outcome, Outcome::Deny);
    assert!(ruled.permit.is_none());
}

/// A limit that nobody can keep is a refusal, and so is an obligation that nobody carries out.
#[tokio::test]
async fn what_cannot_be_cut_down_or_carried_out_does_not_go_through() {
    let world = world().await;
    let norm = |id: &str, outcome: &str, more: &str| {
        format!(
            "@id(\"{id}\")\n@norm(\"{id}\")\n@outcome(\"{outcome}\")\n{more}@reason(\"a test\")\n\
             forbid (principal, action == Action::\"read\", resource) when {{ context.tempo.reads > 5 }};\n"
        )
    };
    let configured = async |text: String| {
        let mut bundle = bundle();
        bundle.policies.norms.push(PolicySource { name: "own.cedar".to_owned(), text });
        world.engine.configure(bundle).await
    };
    configured(norm("page", "limit", "@limit(\"5\")\n")).await.expect("a sound norm");
    let page = |items: u64| Act { reads: Some(items), ..act(Effect::Read, "runbook:acl", &items.to_string()) };
    let small = world.engine.rule(&world.caller, &page(5), Mode::Enforce).await.expect("durable");
    assert!(small.permit.is_some() && small.decision.obligations.is_empty());
    let whole = world.engine.rule(&world.caller, &page(6), Mode::Enforce).await.expect("durable");
    assert_eq!(whole.decision.code(), Some(Code::Obligation));
    assert!(whole.permit.is_none());
    let lies = world.engine.rule_within(&world.caller, &page(6), Mode::Enforce, &|_| Some(page(7))).await.expect("durable");
    assert_eq!(lies.decision.code(), Some(Code::Obligation), "it is not smaller");
    let cut =
        world.engine.rule_within(&world.caller, &page(6), Mode::Enforce, &|items| Some(page(items))).await.expect("durable");
    assert_eq!((cut.decision.outcome, cut.decision.limit, cut.decision.obligations.len()), (Outcome::Permit, Some(5), 1));
    assert!(cut.permit.expect("it goes through").is_for(page(5).digest), "it is for the smaller call and no other");
    let observed = world.engine.rule(&world.caller, &page(6), Mode::Observe).await.expect("durable");
    assert!(observed.permit.is_some_and(|permit| permit.is_for(page(6).digest)), "nothing is stopped where it is only observed");

    configured(norm("hide", "mask", "")).await.expect("a sound norm");
    let masked = world.engine.rule(&world.caller, &page(6), Mode::Enforce).await.expect("durable");
    assert_eq!(masked.decision.code(), Some(Code::Obligation));
    for wrong in [norm("page", "limit", ""), norm("page", "limit", "@limit(\"few\")\n"), norm("page", "ask", "@limit(\"5\")\n")] {
        assert!(configured(wrong.clone()).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn two_tasks_never_mix() {
    let world = world().await;
    read(&world.engine, &world.caller).await;
    let other = start(&world.engine).await;
    let ruled = world.engine.rule(&other, &act(Effect::Publish, "forum:all", TEXT), Mode::Enforce).await.expect("durable");
    assert!(!ruled.decision.grounds().contains("readers"), "{:?}", ruled.decision.reasons);
}

#[tokio::test]
async fn a_permit_is_for_one_call_and_for_a_while() {
    let world = world().await;
    let act = act(Effect::Read, "runbook:acl", "");
    let permit = async || world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("durable").permit.expect("granted");
    assert_eq!(permit().await.spend(Digest([0; 32]), world.engine.now()).expect_err("another call"), PermitRefused::AnotherCall);
    let late = permit().await;
    world.clock.set(Moment(40_000));
    assert_eq!(late.spend(act.digest, world.engine.now()).expect_err("too late"), PermitRefused::Expired);
    world.engine.settle().await.expect("durable");
    assert_eq!(endings(world.store.as_ref()), [Ended::Failed, Ended::Failed], "nothing was done, and that is recorded");
}

#[tokio::test]
async fn an_effect_whose_end_nobody_saw_is_ambiguous() {
    let world = world().await;
    let act = act(Effect::Read, "runbook:acl", "");
    let permit = world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("durable").permit.expect("granted");
    drop(permit.spend(act.digest, world.engine.now()).expect("in time"));
    world.engine.settle().await.expect("durable");
    assert_eq!(endings(world.store.as_ref()), [Ended::Ambiguous]);
}

/// The client is gone, and no other call comes: whoever follows the ledger records it.
#[tokio::test]
async fn an_abandoned_act_is_recorded_without_another_call() {
    let world = world().await;
    let act = act(Effect::Read, "runbook:acl", "");
    let permit = async || world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("durable").permit.expect("granted");
    drop(permit().await.spend(act.digest, world.engine.now()).expect("in time"));
    assert_eq!(endings(world.store.as_ref()), []);
    world.engine.follow_once().await.expect("durable");
    assert_eq!(endings(world.store.as_ref()), [Ended::Ambiguous]);
    let head = world.store.head().expect("readable");
    world.engine.follow_once().await.expect("durable");
    assert_eq!(world.store.head().expect("readable"), head, "once is enough");

    let unused = permit().await;
    world.store.set_quota_bytes(Some(1));
    drop(unused);
    world.engine.follow_once().await.expect_err("nothing can be recorded");
    world.store.set_quota_bytes(None);
    world.clock.set(Moment(2_000));
    world.engine.follow_once().await.expect("recovered");
    assert_eq!(endings(world.store.as_ref()), [Ended::Ambiguous, Ended::Failed], "what could not be recorded was kept");
}

/// The call was under way when a person stopped its agent: what it brought reaches nobody, and does not count as read.
#[tokio::test]
async fn what_comes_back_after_a_kill_is_released_to_nobody() {
    let world = world().await;
    let bo = PrincipalId::parse("bo").expect("a name");
    let helper = Target::Agent(PrincipalId::parse("helper").expect("a name"));
    let act = act(Effect::Read, "runbook:acl", "");
    let permit = world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("durable").permit.expect("granted");
    let spent = permit.spend(act.digest, world.engine.now()).expect("in time");
    world.engine.kill(&helper, &bo, Right::Own, "it runs away").await.expect("bo owns it");
    let released = world.engine.observe(spent, seen("runbook:acl"), Ended::Ok).await.expect("durable");
    assert!(released.stopped.is_some_and(|why| why.sentence.contains("bo has stopped agent helper")));
    assert_eq!(released.kept.withheld.len(), 1);

    world.engine.reset(&helper, &bo, Right::Own).await.expect("bo did it");
    let again = start(&world.engine).await;
    let ruled = world.engine.rule(&again, &self::act(Effect::Read, "runbook:acl", ""), Mode::Enforce).await.expect("durable");
    assert!(ruled.permit.is_some());
}

#[tokio::test]
async fn who_does_not_answer_for_it_neither_stops_it_nor_lets_it_go() {
    let world = world().await;
    let name = |text| PrincipalId::parse(text).expect("a name");
    let helper = Target::Agent(name("helper"));
    let not_theirs = |who| Err(ContainError::Not(NotContained::NotTheirs(name(who), helper.clone())));
    assert_eq!(world.engine.kill(&helper, &name("ann"), Right::Own, "").await, not_theirs("ann"));
    assert_eq!(
        world.engine.kill(&helper, &name("eve"), Right::Operator, "").await,
        Err(ContainError::Not(NotContained::Nobody(name("eve"))))
    );
    assert_eq!(
        world.engine.reset(&helper, &name("bo"), Right::Own).await,
        Err(ContainError::Not(NotContained::NotStopped(helper.clone())))
    );
    world.engine.kill(&helper, &name("ann"), Right::Operator, "").await.expect("the operator's word");
    assert_eq!(world.engine.reset(&helper, &name("bo"), Right::Own).await, not_theirs("bo"), "another person stopped it");
    world.engine.reset(&helper, &name("bo"), Right::Operator).await.expect("the operator's word");
}

/// The machine's clock was set back: what is recorded stays in order, and nothing that had ended begins again.
#[tokio::test]
async fn a_clock_that_jumps_back_does_not_turn_time_back() {
    let world = world().await;
    world.clock.set(Moment(50_000));
    read(&world.engine, &world.caller).await;
    let act = act(Effect::Read, "runbook:acl", "");
    let late = world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("durable").permit.expect("granted");
    world.clock.set(Moment(90_000));
    let ended = world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("durable");
    assert_ne!(ended.decision.outcome, Outcome::Permit, "the lease has ended at 61 s");
    world.clock.set(Moment(1_500));
    let again = world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("durable");
    assert_ne!(again.decision.outcome, Outcome::Permit, "an ended lease does not run again");
    assert_eq!(world.engine.now(), Moment(90_000));
    assert_eq!(late.spend(act.digest, world.engine.now()).expect_err("30 s have passed"), PermitRefused::Expired);
    world.store.set_quota_bytes(Some(1));
    world.engine.settle().await.expect_err("nothing can be recorded");
    world.clock.set(Moment(10));
    world.store.set_quota_bytes(None);
    world.engine.settle().await.expect("a ledger that failed is not left alone until the clock has caught up");
    let at: Vec<Moment> = records(world.store.as_ref()).into_iter().map(|record| record.at).collect();
    assert!(at.is_sorted(), "{at:?}");
    let reopened = open(world.store.clone(), &world.clock);
    let after = reopened.rule(&world.caller, &act, Mode::Enforce).await.expect("durable");
    assert_ne!(after.decision.outcome, Outcome::Permit, "nor after a restart");
}

#[tokio::test]
async fn after_a_crash_open_effects_are_ambiguous() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(SqliteLedger::open(folder.path().join("ledger.db")).expect("a new ledger"));
    let clock = ManualClock::at(Moment(1_000));
    let nodes = folder.path().join("nodes");
    let open = |node| Engine::open(store.clone(), key(), Clock::Manual(clock.clone()), node, Options::default()).expect("sound");
    let first = open(Node::among(&nodes).expect("a lock"));
    first.configure(bundle()).await.expect("sound");
    let caller = start(&first).await;
    let act = act(Effect::Read, "runbook:acl", "");
    let spent =
        first.rule(&caller, &act, Mode::Enforce).await.expect("durable").permit.expect("granted").spend(act.digest, first.now());

    let beside = open(Node::among(&nodes).expect("a lock"));
    beside.settle().await.expect("durable");
    assert_eq!(endings(store.as_ref()), [], "its process still lives");

    std::mem::forget(spent);
    drop(first);
    let after = open(Node::among(&nodes).expect("a lock"));
    after.settle().await.expect("durable");
    assert_eq!(endings(store.as_ref()), [Ended::Ambiguous]);
    drop((beside, after));
    tokio::task::spawn_blocking(move || drop(store)).await.expect("closed");
}

#[tokio::test]
async fn without_a_ledger_nothing_is_permitted_and_it_recovers_by_itself() {
    let world = world().await;
    read(&world.engine, &world.caller).await;
    let before = world.engine.view(|state, _| state.digest());
    world.store.set_quota_bytes(Some(1));
    let act = act(Effect::Read, "runbook:acl", "");
    world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect_err("nothing can be recorded");
    world.engine.rule(&world.caller, &act, Mode::Observe).await.expect_err("observing is recording as well");
    world.store.set_quota_bytes(None);
    world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect_err("it is left alone for a moment");
    world.clock.set(Moment(2_000));
    world.engine.settle().await.expect("recovered");
    let ruled = world.engine.rule(&world.caller, &act, Mode::Enforce).await.expect("recovered");
    drop(ruled);
    world.engine.settle().await.expect("durable");
    let after = world.engine.view(|state, _| state.tasks().map(|task| task.calls).sum::<u64>());
    assert_eq!(after, 2, "what was not recorded did not happen");
    assert_ne!(before, world.engine.view(|state, _| state.digest()));
}

#[tokio::test]
async fn engines_that_share_a_ledger_decide_again_on_what_is_true() {
    let world = world().await;
    let other = open(world.store.clone(), &world.clock);
    for _ in 0..3 {
        read(&world.engine, &world.caller).await;
        read(&other, &world.caller).await;
    }
    world.engine.settle().await.expect("durable");
    let ruled = world.engine.rule(&world.caller, &act(Effect::Publish, "forum:all", ""), Mode::Enforce).await.expect("durable");
    let ask = ruled.ask.expect("beyond the address");
    let name = |text| PrincipalId::parse(text).expect("a name");
    assert!(matches!(other.answer(&ask, &name("bo"), true).await, Err(AnswerError::MayNot(_))));
    let refreshed = other.refresh();
    assert_eq!(refreshed, Ok(()));
    assert_eq!(other.answer(&ask, &name("bo"), true).await, Err(MayNotAnswer::InChain(name("bo")).into()));
    other.answer(&ask, &name("cy"), true).await.expect("cy may");
    let ruled = world.engine.rule(&world.caller, &act(Effect::Publish, "forum:all", ""), Mode::Enforce).await.expect("durable");
    assert_eq!(ruled.decision.outcome, Outcome::Permit, "{:?}", ruled.decision.reasons);
    assert_eq!(
        open(world.store.clone(), &world.clock).view(|state, _| state.digest()),
        world.engine.view(|state, _| state.digest())
    );
}

#[tokio::test]
async fn observing_stops_nothing_and_records_everything() {
    let world = world().await;
    let act = act(Effect::Publish, "forum:all", "");
    let ruled = world.engine.rule(&world.caller, &act, Mode::Observe).await.expect("durable");
    assert_eq!(ruled.decision.outcome, Outcome::Ask);
    assert!(ruled.permit.is_some());
    let decided = records(world.store.as_ref()).into_iter().find_map(|record| match record.event {
        Event::Decided(decided) => Some(decided),
        _ => None,
    });
    assert!(!decided.expect("recorded").enforced);
}

/// Longer than several pages, which are read ahead.
#[tokio::test]
async fn a_long_ledger_is_read_whole_and_in_order() {
    let world = world().await;
    read(&world.engine, &world.caller).await;
    let head = world.store.head().expect("readable").seq;
    let refused = Refused { code: Code::Contract, sentence: "no contract".to_owned(), caller: None, tool: None };
    let more = |from: u64, to: u64| {
        let body =
            |at| serde_json::to_vec(&Record::new(Moment(at), Event::Refused(Box::new(refused.clone())))).expect("plain data");
        (from..to).map(|number| body(10_000 + number)).collect::<Vec<_>>()
    };
    for batch in 0..5 {
        let expected = head.plus(batch * 4_000);
        world.store.append(expected, more(batch * 4_000, (batch + 1) * 4_000)).await.expect("there is space");
    }
    world.engine.refresh().expect("sound");
    read(&world.engine, &world.caller).await;
    let again = open(world.store.clone(), &world.clock);
    assert_eq!(again.view(|state, _| state.digest()), world.engine.view(|state, _| state.digest()));
    assert_eq!(again.now(), Moment(29_999), "no later moment is in it");

    let end = world.store.head().expect("readable").seq;
    world.store.append(end, vec![b"no event".to_vec()]).await.expect("there is space");
    world.store.append(end.plus(1), more(0, 4_000)).await.expect("there is space");
    let opened = Engine::open(world.store.clone(), key(), Clock::Manual(world.clock.clone()), Node::alone(), Options::default());
    assert!(matches!(opened, Err(crate::OpenError::Entry { seq, .. }) if seq == end.plus(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_leave_one_order() {
    let world = world().await;
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let (engine, caller) = (world.engine.clone(), world.caller.clone());
            tokio::spawn(async move { read(&engine, &caller).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic");
    }
    assert_eq!(endings(world.store.as_ref()).len(), 64);
    assert_eq!(
        open(world.store.clone(), &world.clock).view(|state, _| state.digest()),
        world.engine.view(|state, _| state.digest())
    );
}
