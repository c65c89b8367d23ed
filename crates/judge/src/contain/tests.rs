//! Containment where it is tried: bounds of nothing, clocks that jump, too many of everything, and words that cross.

use super::*;
use crate::delegation::{NotHandedOn, Part, SUBTASKS_MAX, delegate};
use crate::directory::DirectoryChange;
use crate::standing::Target;

fn reading() -> Act {
    act(Effect::Read, &["runbook:acl"], &[], &[])
}

fn is_frozen(scene: &Scene) -> bool {
    scene.state.frozen(&caller()).is_some()
}

#[test]
fn a_budget_of_zero_lets_nothing_through_before_and_after_a_reset() {
    for budget in [json!({ "calls": 0 }), json!({ "items": 0 })] {
        let mut scene = scene(json!({ "budget": budget }));
        for _ in 0..3 {
            assert_eq!(scene.decides(&reading()).decision.outcome, Outcome::Deny);
            assert!(is_frozen(&scene));
            scene.happens(Event::Reset { target: Target::Task(TaskId::parse("t1").expect("a name")), by: name("bo") });
        }
    }
}

#[test]
fn a_budget_beyond_counting_neither_overflows_nor_stops() {
    let mut scene =
        scene(json!({ "budget": { "calls": u64::MAX, "items": u64::MAX, "recipients": u64::MAX, "amount": u64::MAX } }));
    scene.reads("runbook:acl", RUNBOOK);
    scene.happens(Event::Reset { target: Target::Task(TaskId::parse("t1").expect("a name")), by: name("bo") });
    let part = Part { budget: Budget { calls: Some(u64::MAX), ..Budget::default() }, ..Part::whole(name("helper")) };
    let more = delegate(&scene.state, &caller(), TaskId::parse("t2").expect("a name"), &part, scene.now);
    assert!(matches!(more, Err(NotHandedOn::Budget { .. })), "one call is gone: {more:?}");
    scene.reads("runbook:acl", RUNBOOK);
}

/// The breaker trips again at once when the reset came first, and what it froze is let go when the reset comes after: in the order of the
/// ledger there is no third.
#[test]
fn a_reset_and_a_trip_come_in_one_order() {
    let mut scene = scene(json!({ "budget": { "calls": 1 } }));
    scene.reads("runbook:acl", RUNBOOK);
    let reset = || Event::Reset { target: Target::Task(TaskId::parse("t1").expect("a name")), by: name("cy") };
    scene.happens(reset());
    scene.decides(&reading());
    assert!(is_frozen(&scene), "nothing had been frozen, and half of one is nothing more");
    scene.happens(reset());
    assert!(!is_frozen(&scene));
    assert_eq!(scene.decides(&reading()).decision.outcome, Outcome::Deny);
    assert!(is_frozen(&scene));
}

/// A person has looked: the work goes on, and is stopped sooner the second time.
#[test]
fn a_task_that_was_let_go_gets_on_and_not_as_far() {
    let mut scene = scene(json!({}));
    let mut helper = scene.state.directory().agent_record("helper").expect("there is one").clone();
    helper.registration.usual = [(Effect::Read, 10)].into();
    scene.put(DirectoryChange::PutAgent(helper.into()));
    let until_frozen = |scene: &mut Scene| {
        let mut through = 0;
        while scene.decides(&reading()).decision.outcome == Outcome::Permit {
            scene.ends(&[], &[]);
            scene.now = scene.now.after_ms(100);
            through += 1;
        }
        through
    };
    assert_eq!(until_frozen(&mut scene), 59, "sixty in a minute, six times what is usual in an hour");
    scene.happens(Event::Reset { target: Target::Task(TaskId::parse("t1").expect("a name")), by: name("cy") });
    assert_eq!(until_frozen(&mut scene), 29);
}

#[test]
fn a_clock_that_jumps_frees_nothing() {
    let mut scene = scene(json!({ "budget": { "calls": 1 } }));
    scene.reads("runbook:acl", RUNBOOK);
    scene.decides(&reading());
    for now in [Moment(0), Moment(1), Moment(899_999), Moment(u64::MAX)] {
        scene.now = now;
        assert_eq!(scene.decides(&reading()).decision.outcome, Outcome::Deny, "{now:?}");
        assert!(is_frozen(&scene));
    }
}

#[test]
fn ten_thousand_sub_tasks_are_not_had_and_share_one_budget() {
    let mut scene = scene(json!({ "budget": { "calls": 50 } }));
    let mut had = 0;
    for number in 0..10_000 {
        let id = TaskId::parse(&format!("s{number}")).expect("a name");
        match delegate(&scene.state, &caller(), id, &Part::whole(name("helper")), scene.now) {
            Ok(task) => scene.happens(Event::TaskStarted(Box::new(task))),
            Err(why) => {
                assert_eq!(why, NotHandedOn::Many);
                break;
            }
        }
        had += 1;
    }
    assert_eq!(had, SUBTASKS_MAX);
    let through = (0..SUBTASKS_MAX).filter(|number| {
        let task = TaskId::parse(&format!("s{number}")).expect("a name");
        let caller = Caller::new(vec![name("bo"), name("helper"), name("helper")], Some(task));
        scene.decides_for(&caller, &reading()).decision.outcome == Outcome::Permit
    });
    assert_eq!(through.count(), 50);
    assert!(is_frozen(&scene), "the root with all of them");
}
