//! Renewal, as claims: by whom, by which rule, for how long at most.

use super::{Scene, act, caller, expect, name, scene};
use crate::decision::Outcome;
use crate::delegation::{Part, delegate};
use crate::directory::{AgentRecord, DirectoryChange, PersonRecord, Status};
use crate::effect::Effect;
use crate::event::{Event, Issued};
use crate::moment::Moment;
use crate::name::TaskId;
use crate::renewal::{NotRenewed, by_person, by_rule};
use crate::standing::{Scope, Target};
use crate::task::{Caller, LEASE_MS_MAX};
use serde_json::json;

const MINUTE_MS: u64 = 60_000;
const BEGIN: Moment = Moment(1_000);

fn t1() -> TaskId {
    TaskId::parse("t1").expect("a name")
}

/// A task with a lease of 15 minutes, of which bo said that it may run for two hours.
fn checked() -> Scene {
    scene(json!({"ends": BEGIN.after_ms(15 * MINUTE_MS), "until": BEGIN.after_ms(120 * MINUTE_MS)}))
}

fn renews(scene: &mut Scene, ends: Moment, by: Option<&str>) {
    scene.happens(Event::TaskRenewed { task: t1(), ends, by: by.map(name) });
}

fn denied(scene: &mut Scene, times: u32) {
    for number in 0..times {
        // Nobody granted it.
        let ruling = scene.decides(&act(Effect::Execute, &[&format!("job:{number}")], &[], &[]));
        expect(&ruling, Outcome::Deny, &["grant"]);
    }
}

/// Why it is not renewed by rule, as a sentence.
#[track_caller]
fn objection(scene: &Scene) -> String {
    match by_rule(&scene.state, &caller(), scene.now) {
        Err(NotRenewed::Person(reasons)) => {
            assert!(reasons.iter().all(|reason| reason.ground.word() == "checkpoint"), "{reasons:?}");
            NotRenewed::Person(reasons).to_string()
        }
        other => panic!("a person is needed: {other:?}"),
    }
}

#[test]
fn a_lease_is_earned_again_by_rule_and_never_beyond_what_was_agreed_to() {
    let mut scene = checked();
    let read = act(Effect::Read, &["runbook:acl"], &[], &[]);
    let mut ends = scene.now.after_ms(15 * MINUTE_MS);
    for _ in 0..7 {
        scene.now = ends;
        expect(&scene.decides(&read), Outcome::Deny, &["lease"]);
        let renewed = by_rule(&scene.state, &caller(), scene.now).expect("nothing unusual happened");
        assert_eq!(renewed, scene.now.after_ms(15 * MINUTE_MS), "for as long as it was when it began");
        renews(&mut scene, renewed, None);
        assert_eq!(scene.decides(&read).decision.outcome, Outcome::Permit);
        ends = renewed;
    }
    scene.now = Moment(ends.0 - 1);
    assert_eq!(by_rule(&scene.state, &caller(), scene.now), Err(NotRenewed::Agreed), "two hours are over");
    assert_eq!(scene.state.task(&t1()).map(|task| task.checkpoint.renewals), Some(7));
    let early = checked();
    assert_eq!(by_rule(&early.state, &caller(), BEGIN.after_ms(110 * MINUTE_MS)), Ok(BEGIN.after_ms(120 * MINUTE_MS)));
    let plain = scene_without();
    assert_eq!(by_rule(&plain.state, &caller(), plain.now), Err(NotRenewed::Agreed), "nobody agreed to any more");
}

fn scene_without() -> Scene {
    scene(json!({"ends": BEGIN.after_ms(15 * MINUTE_MS)}))
}

#[test]
fn what_is_unusual_needs_a_person_and_is_forgotten_when_one_has_looked() {
    let mut scene = checked();
    denied(&mut scene, 5);
    assert!(by_rule(&scene.state, &caller(), scene.now).is_ok(), "a few denials are ordinary");
    denied(&mut scene, 1);
    assert!(objection(&scene).contains("6 calls of this task were denied"), "{}", objection(&scene));
    let renewed = by_person(&scene.state, &t1(), &name("bo"), 15 * MINUTE_MS, scene.now).expect("it is bo's task");
    renews(&mut scene, renewed, Some("bo"));
    assert!(by_rule(&scene.state, &caller(), scene.now).is_ok(), "bo has looked");
    denied(&mut scene, 6);
    let renewed = scene.now.after_ms(15 * MINUTE_MS);
    renews(&mut scene, renewed, None);
    assert!(objection(&scene).contains("6 calls"), "a rule looks at nothing, so that nothing is forgotten by it");
}

#[test]
fn calls_after_the_lease_are_not_unusual() {
    let mut scene = checked();
    scene.now = BEGIN.after_ms(16 * MINUTE_MS);
    for _ in 0..20 {
        expect(&scene.decides(&act(Effect::Read, &["runbook:acl"], &[], &[])), Outcome::Deny, &["lease"]);
    }
    assert!(by_rule(&scene.state, &caller(), scene.now).is_ok(), "they only came late");
}

#[test]
fn a_no_and_a_foreign_key_and_a_breaker_need_a_person() {
    let mut scene = checked();
    let publish = act(Effect::Publish, &["forum:eng-help"], &[], &["hello"]);
    expect(&scene.decides(&publish), Outcome::Ask, &["address"]);
    let ask = scene.state.asks().next().expect("somebody was asked").id.clone();
    scene.happens(Event::Answered { ask, by: name("cy"), yes: false });
    assert!(objection(&scene).contains("said no"), "{}", objection(&scene));

    let mut scene = checked();
    let own = Caller { key: Some("own".into()), ..caller() };
    let issued = Issued { id: "i1".to_owned(), caller: own.clone(), expires: Moment(800_000), parent: None };
    scene.happens(Event::CredentialIssued(Box::new(issued)));
    let stolen = Caller { key: Some("other".into()), ..caller() };
    expect(&scene.decides_for(&stolen, &act(Effect::Read, &["runbook:acl"], &[], &[])), Outcome::Deny, &["lease"]);
    let found = by_rule(&scene.state, &own, scene.now).expect_err("somebody has its token").to_string();
    assert!(found.contains("there was an alarm"), "{found}");

    // Frozen is refused outright; after the reset it goes on, and is looked at before it goes on for longer.
    let mut scene = super::scene(json!({"until": Moment(10_000_000), "budget": {"calls": 1}}));
    let target = Target::Task(t1());
    let read = act(Effect::Read, &["runbook:acl"], &[], &[]);
    assert_eq!(scene.decides(&read).decision.outcome, Outcome::Permit);
    assert_eq!(scene.decides(&read).trip.map(|trip| trip.scope), Some(Scope::Task));
    assert!(matches!(by_rule(&scene.state, &caller(), scene.now), Err(NotRenewed::Stopped { .. })));
    scene.happens(Event::Reset { target, by: name("bo") });
    assert!(objection(&scene).contains("a breaker has tripped"), "{}", objection(&scene));
}

/// What happens to a scene, without anything of the test around it.
type Happens = fn(&mut Scene);

#[test]
fn nothing_stopped_lapsed_or_left_is_renewed_by_rule() {
    let cases: [(&str, Happens); 5] = [
        ("killed", |scene| {
            scene.happens(Event::Killed { target: Target::Agent(name("helper")), by: name("bo"), why: String::new() })
        }),
        ("ended", |scene| scene.happens(Event::TaskEnded { task: t1() })),
        ("lapsed", |scene| helper(scene, |agent| agent.registration.ends = Some(Moment(500)))),
        ("for other purposes", |scene| helper(scene, |agent| agent.registration.purposes = Some(["sales".into()].into()))),
        ("left", |scene| {
            scene.put(DirectoryChange::PutPerson(PersonRecord { status: Status::Left, ..PersonRecord::new(name("bo")) }));
        }),
    ];
    for (what, happens) in cases {
        let mut scene = checked();
        happens(&mut scene);
        let found = by_rule(&scene.state, &caller(), scene.now).expect_err(what);
        let is_stopped = matches!(found, NotRenewed::Stopped { .. } | NotRenewed::Ended(_));
        assert!(is_stopped || matches!(found, NotRenewed::Person(_)), "{what}: {found}");
    }
    let mut shared = checked();
    let own = |agent: &str| Caller { chain: vec![name("bo"), name(agent)], key: Some("one".into()), ..caller() };
    for agent in ["helper", "orphan"] {
        let task = Some(t1()).filter(|_| agent == "helper");
        let issued =
            Issued { id: agent.to_owned(), caller: Caller { task, ..own(agent) }, expires: Moment(800_000), parent: None };
        shared.happens(Event::CredentialIssued(Box::new(issued)));
    }
    let found = by_rule(&shared.state, &own("helper"), shared.now).expect_err("two agents have one key").to_string();
    assert!(found.contains("is not this agent's own"), "{found}");
    let another = Caller { chain: vec![name("ann"), name("helper")], ..caller() };
    assert!(matches!(by_rule(&checked().state, &another, BEGIN), Err(NotRenewed::Stopped { .. })), "the task of another");
    let nothing = Caller { task: None, ..caller() };
    assert!(matches!(by_rule(&checked().state, &nothing, BEGIN), Err(NotRenewed::Stopped { .. })));
}

fn helper(scene: &mut Scene, change: impl FnOnce(&mut AgentRecord)) {
    let mut agent = scene.state.directory().agent_record("helper").expect("it is there").clone();
    change(&mut agent);
    scene.put(DirectoryChange::PutAgent(agent.into()));
}

#[test]
fn a_person_renews_what_is_theirs_for_a_time_that_has_an_end() {
    let mut scene = checked();
    helper(&mut scene, |agent| agent.registration.sponsor = Some(name("cy")));
    let renew = |scene: &Scene, by: &str, lease_ms| by_person(&scene.state, &t1(), &name(by), lease_ms, scene.now);
    scene.now = BEGIN.after_ms(100 * MINUTE_MS);
    for (by, ends) in [("bo", 130), ("cy", 120)] {
        let found = renew(&scene, by, 30 * MINUTE_MS);
        assert_eq!(found, Ok(BEGIN.after_ms(ends * MINUTE_MS)), "{by}: an owner gives what bo agreed to, and bo more");
    }
    let later = BEGIN.after_ms(400 * MINUTE_MS);
    scene.now = later;
    assert_eq!(renew(&scene, "bo", MINUTE_MS), Ok(later.after_ms(MINUTE_MS)), "though it was over");
    assert_eq!(renew(&scene, "cy", MINUTE_MS), Err(NotRenewed::Agreed), "bo agreed to no more");
    let who = "bo or cy".to_owned();
    assert_eq!(renew(&scene, "ann", MINUTE_MS), Err(NotRenewed::SomebodyElse { person: name("ann"), who }));
    for nobody in ["hal", "mallory", "helper"] {
        assert_eq!(renew(&scene, nobody, MINUTE_MS), Err(NotRenewed::Nobody(name(nobody))));
    }
    for found_ms in [0, LEASE_MS_MAX + 1, u64::MAX] {
        assert_eq!(renew(&scene, "bo", found_ms), Err(NotRenewed::Lease { found_ms }));
    }
    let t9 = TaskId::parse("t9").expect("a name");
    let unknown = by_person(&scene.state, &t9, &name("bo"), MINUTE_MS, scene.now);
    assert_eq!(unknown, Err(NotRenewed::Unknown(t9)));
    scene.happens(Event::TaskEnded { task: t1() });
    assert_eq!(renew(&scene, "bo", MINUTE_MS), Err(NotRenewed::Ended(t1())), "what was ended stays ended");
}

#[test]
fn a_part_runs_on_with_the_whole_and_not_beyond_it() {
    let mut scene = checked();
    helper(&mut scene, |_| {});
    scene.put(DirectoryChange::PutAgent(AgentRecord::new(name("scribe"), name("bo")).into()));
    let t2 = TaskId::parse("t2").expect("a name");
    let part = delegate(&scene.state, &caller(), t2.clone(), &Part::whole(name("scribe")), scene.now).expect("it is less");
    assert_eq!((part.ends, part.until), (BEGIN.after_ms(15 * MINUTE_MS), Some(BEGIN.after_ms(120 * MINUTE_MS))));
    let short = Part { ends: Some(BEGIN.after_ms(5 * MINUTE_MS)), ..Part::whole(name("scribe")) };
    let short = delegate(&scene.state, &caller(), t2.clone(), &short, scene.now).expect("it is less");
    assert_eq!(short.until, None, "what has a time of its own ends then");
    let sub = Caller { chain: part.chain.clone(), task: Some(t2.clone()), ..caller() };
    scene.happens(Event::TaskStarted(Box::new(part)));
    scene.now = BEGIN.after_ms(10 * MINUTE_MS);
    assert_eq!(by_rule(&scene.state, &sub, scene.now), Ok(BEGIN.after_ms(15 * MINUTE_MS)), "the whole ends then");
    let by_bo = by_person(&scene.state, &t2, &name("bo"), 60 * MINUTE_MS, scene.now);
    assert_eq!(by_bo, Ok(BEGIN.after_ms(15 * MINUTE_MS)));
    let over = BEGIN.after_ms(15 * MINUTE_MS);
    assert_eq!(by_rule(&scene.state, &sub, over), Err(NotRenewed::Part(t2.clone())));
    let renewed = by_rule(&scene.state, &caller(), over).expect("nothing unusual happened");
    renews(&mut scene, renewed, None);
    assert_eq!(by_rule(&scene.state, &sub, over), Ok(renewed));
    scene.now = Moment(over.0 - 1);
    for number in 0..6 {
        scene.decides_for(&sub, &act(Effect::Execute, &[&format!("job:{number}")], &[], &[]));
    }
    assert!(objection(&scene).contains("6 calls"), "what a part does counts for the whole");
}

#[test]
fn norms_about_any_act_say_nothing_about_a_renewal() {
    let mut scene = checked();
    scene.now = BEGIN.after_ms(16 * MINUTE_MS);
    // `lease.lapsed` holds for every call now, and is not what a lease is renewed by.
    expect(&scene.decides(&act(Effect::Read, &["runbook:acl"], &[], &[])), Outcome::Deny, &["lease"]);
    assert!(by_rule(&scene.state, &caller(), scene.now).is_ok());
}
