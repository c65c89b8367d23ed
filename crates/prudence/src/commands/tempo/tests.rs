//! Envelopes and other rules, over a ledger that an engine wrote.

use std::sync::Arc;

use engine::{Clock, Engine, ManualClock, Mode, NewTask, Node, Options, Seen};
use judge::act::Act;
use judge::content::ContentKey;
use judge::digest::Digest;
use judge::effect::Effect;
use judge::event::{Bundle, Ended};
use judge::moment::Moment;
use judge::name::{PrincipalId, ResourceId, ToolId};
use judge::policy::{Policies, PolicySources, Source as PolicyFile};
use judge::task::{Budget, Caller};
use ledger::MemoryLedger;
use serde_json::json;

use super::{Report, replayed};

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

/// A ledger in which a task with a budget of so many calls makes five.
async fn ledger(calls: u64) -> Arc<MemoryLedger> {
    let store = Arc::new(MemoryLedger::default());
    let clock = Clock::Manual(ManualClock::at(Moment(1_767_225_600_000)));
    let engine = Engine::open(store.clone(), ContentKey::new([1; 16]), clock, Node::alone(), Options::default())
        .expect("the ledger is sound");
    let directory = serde_json::from_value(json!({
        "people": [{"id": "bo"}],
        "agents": [{"id": "helper", "owner": "bo", "registration": {"usual": {"read": 10}}}],
        "items": [{"id": "note:*", "readers": ["bo"]}],
        "grants": [{"to": "bo", "may": ["read"], "on": ["*"]}, {"to": "helper", "may": ["read"], "on": ["*"]}]
    }))
    .expect("a directory");
    engine
        .configure(Bundle { directory, policies: PolicySources::shipped(), content_key: String::new() })
        .await
        .expect("a sound configuration");
    let new = NewTask {
        budget: Budget { calls: Some(calls), ..Budget::default() },
        ..NewTask::new(name("bo"), name("helper"), "work", 3_600_000)
    };
    let task = engine.start_task(new).await.expect("bo and helper are known");
    let caller = Caller::new(vec![name("bo"), name("helper")], Some(task.id));
    for turn in 0..5 {
        let on = format!("note:{turn}");
        let act = Act::new(
            ToolId::parse("test__tool").expect("a name"),
            [Effect::Read].into(),
            vec![ResourceId::parse(&on).expect("a name")],
            Digest::of(on.as_bytes()),
        );
        let ruled = engine.rule(&caller, &act, Mode::Enforce).await.expect("durable");
        let Some(permit) = ruled.permit else { continue };
        let spent = permit.spend(act.digest, engine.now()).expect("the same call, in time");
        let seen = Seen { items: Vec::new(), created: Vec::new(), attested: Vec::new() };
        engine.observe(spent, seen, Ended::Ok).await.expect("durable");
    }
    store
}

fn rules(when: &str) -> Policies {
    let text = format!(
        "@id(\"own\")\n@norm(\"own\")\n@outcome(\"deny\")\n@freeze(\"task\")\n@reason(\"{{tempo.hour}} in an hour\")\n@remedy(\"stop\")\n\
         forbid (principal, action, resource) when {{ {when} }};"
    );
    let norms = vec![PolicyFile { name: "own.cedar".to_owned(), text }];
    Policies::compile(&PolicySources { norms, ..PolicySources::shipped() }).expect("sound rules")
}

fn over(ledger: &MemoryLedger, other: Option<&Policies>) -> Report {
    replayed(ledger, None, other).expect("it can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_is_told_against_its_use() {
    let ledger = ledger(40).await;
    let report = over(&ledger, None);
    let helper = &report.agents[&name("helper")];
    assert_eq!((helper.calls, helper.trips, helper.most.hour), (5, 0, 5));
    assert_eq!(helper.usual_in_a_busy_hour, Some(10));
    assert_eq!(helper.margin_tenths, None, "at ten times this pace it would still be at rest: {}", helper.nearest);
    let budget = &helper.budgets["calls"];
    assert_eq!((budget.tasks, budget.smallest_bound, budget.most_used, budget.most_percent), (1, 40, 5, 12));
    assert!(report.simulated.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_say_which_trips_would_be_new_and_which_gone() {
    let quiet = ledger(40).await;
    let stricter = over(&quiet, Some(&rules("context.tempo.hour >= 3"))).simulated.expect("it was asked for");
    assert_eq!((stricter.new.len(), stricter.gone.len(), stricter.both.len()), (1, 0, 0));
    assert_eq!(stricter.new[0].sentence, "3 in an hour", "at the first call that they do not let through");

    let tripped = ledger(3).await;
    assert_eq!(over(&tripped, None).agents[&name("helper")].trips, 1);
    assert_eq!(over(&tripped, None).agents[&name("helper")].margin_tenths, Some(10));
    let milder = over(&tripped, Some(&rules("context.tempo.hour >= 1000"))).simulated.expect("it was asked for");
    assert_eq!((milder.new.len(), milder.gone.len(), milder.both.len()), (0, 1, 0));
    let earlier = over(&tripped, Some(&rules("context.tempo.hour >= 2"))).simulated.expect("it was asked for");
    assert_eq!((earlier.new.len(), earlier.gone.len(), earlier.both.len()), (0, 0, 1));
    assert_eq!(earlier.both[0].sentence, "2 in an hour");
}
