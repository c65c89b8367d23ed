//! Incidents, as claims about records.

use super::{IncidentId, Incidents, Kind, Severity, Subject, Verdict};
use crate::decision::{Code, Decision, Ground, Obligation, Outcome, Reason};
use crate::digest::Digest;
use crate::event::{ActRecord, Decided, Ended, Event, LabelRecord, Observed, ReadRecord, Record, Trip};
use crate::facts::Facts;
use crate::label::Label;
use crate::moment::Moment;
use crate::name::{DecisionId, NormId, PrincipalId, ResourceId, TaskId, ToolId};
use crate::standing::{Scope, Target};
use crate::task::{Budget, Caller, Task};

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

fn task_id(text: &str) -> TaskId {
    TaskId::parse(text).expect("a name")
}

fn task(id: &str, parent: Option<&str>) -> Event {
    Event::TaskStarted(Box::new(Task {
        id: task_id(id),
        requester: name("bo"),
        agent: name("helper"),
        purpose: "work".to_owned(),
        words: "work".to_owned(),
        address: Vec::new(),
        effects: None,
        resources: None,
        tools: None,
        address_open: false,
        budget: Budget::default(),
        starts: Moment(0),
        ends: Moment(1_000_000),
        until: None,
        parent: parent.map(task_id),
        isolated: false,
        chain: Vec::new(),
    }))
}

/// A call of the helper for this task, with this key, as it was decided.
fn decided(task: &str, key: &str, make: impl FnOnce(&mut Decided)) -> Event {
    let mut caller = Caller::new(vec![name("bo"), name("helper")], Some(task_id(task)));
    caller.key = Some(key.into());
    let mut decided = Decided {
        id: DecisionId::parse("d1").expect("a name"),
        caller,
        act: ActRecord {
            tool: ToolId::parse("crm__read").expect("a name"),
            effects: [crate::effect::Effect::Read].into(),
            resources: Vec::new(),
            recipients: Vec::new(),
            amount: None,
            reads: None,
            audience: None,
            values: Vec::new(),
            content_bytes: 0,
            digest: Digest([0; 32]),
        },
        decision: Decision {
            outcome: Outcome::Permit,
            reasons: Vec::new(),
            limit: None,
            obligations: Default::default(),
            withheld: Default::default(),
            facts: Facts::default(),
        },
        ask: None,
        approved_by: None,
        node: String::new(),
        enforced: true,
        trip: None,
        made: None,
        sets: Vec::new(),
        answered: None,
    };
    make(&mut decided);
    Event::Decided(Box::new(decided))
}

fn trip(decided: &mut Decided) {
    let norm = NormId::parse("tempo").expect("a name");
    decided.decision.outcome = Outcome::Deny;
    decided.decision.reasons = vec![Reason {
        ground: Ground::Norm(norm.clone()),
        outcome: Outcome::Deny,
        sentence: "600 times read in an hour, where 40 are usual".to_owned(),
        remedy: None,
        approver: None,
    }];
    decided.trip = Some(Trip { scope: Scope::Task, norm });
}

fn frozen(decided: &mut Decided) {
    decided.decision = Decision::refusal(Code::Frozen, "frozen".to_owned(), None, Facts::default());
}

fn foreign(decided: &mut Decided) {
    decided.decision.outcome = Outcome::Deny;
    decided.decision.facts.credential.foreign_key = true;
}

fn killed(target: Target) -> Event {
    Event::Killed { target, by: name("ann"), why: "odd".to_owned() }
}

fn folded(events: Vec<Event>) -> Incidents {
    let mut incidents = Incidents::default();
    for (number, event) in (1..).zip(events) {
        incidents.apply(number, &Record::new(Moment(number * 10), event));
    }
    incidents
}

fn ids(incidents: &Incidents) -> Vec<(u64, Kind)> {
    incidents.all().map(|incident| (incident.id.0, incident.kind)).collect()
}

#[test]
fn a_trip_of_a_sub_task_is_an_incident_of_the_root_and_counts_what_is_refused_since() {
    let incidents = folded(vec![
        task("t1", None),
        task("t2", Some("t1")),
        decided("t2", "k", trip),
        decided("t1", "k", frozen),
        decided("t2", "k", frozen),
    ]);
    assert_eq!(ids(&incidents), [(3, Kind::Tempo)]);
    let incident = incidents.get(IncidentId(3)).expect("it began with entry 3");
    assert_eq!(incident.subject, Subject::Stopped(Target::Task(task_id("t1"))));
    assert_eq!((incident.times, incident.refused_since, incident.severity), (1, 2, Severity::High));
    assert_eq!(incident.sentence, "600 times read in an hour, where 40 are usual");
    assert!(incident.is_open());
}

#[test]
fn a_thief_who_tries_a_thousand_times_is_one_incident() {
    let mut events = vec![task("t1", None)];
    events.extend((0..1_500).map(|_| decided("t1", "stolen", foreign)));
    let incidents = folded(events);
    assert_eq!(ids(&incidents), [(2, Kind::Key)]);
    let incident = incidents.all().next().expect("there is one");
    assert_eq!((incident.times, incident.entries.len(), incident.entries_beyond), (1_500, super::ENTRIES_MAX, 500));
}

#[test]
fn what_trips_again_after_a_person_has_looked_is_another_incident() {
    let reset = || Event::Reset { target: Target::Task(task_id("t1")), by: name("ann") };
    let incidents = folded(vec![task("t1", None), decided("t1", "k", trip), reset(), decided("t1", "k", trip)]);
    assert_eq!(ids(&incidents), [(2, Kind::Tempo), (4, Kind::Tempo)]);
    let first = incidents.get(IncidentId(2)).expect("it began with entry 2");
    assert_eq!(first.let_go.as_ref().map(|handled| handled.by.as_str()), Some("ann"));
    assert!(first.is_open(), "nobody has said what it was");
}

#[test]
fn a_kill_belongs_to_the_incident_it_answers_and_is_one_of_its_own_otherwise() {
    let incidents = folded(vec![
        task("t1", None),
        decided("t1", "k", trip),
        killed(Target::Agent(name("helper"))),
        killed(Target::Agent(name("other"))),
    ]);
    assert_eq!(ids(&incidents), [(2, Kind::Tempo), (4, Kind::Kill)]);
    let first = incidents.get(IncidentId(2)).expect("it began with entry 2");
    assert_eq!(first.stopped.len(), 1);
    assert_eq!(first.entries, [2, 3]);
    assert_eq!(incidents.get(IncidentId(4)).expect("it is there").sentence, "ann stopped agent other: odd");
}

#[test]
fn the_first_word_about_an_incident_holds_and_ends_its_growth() {
    let resolved = |verdict| Event::IncidentResolved { incident: IncidentId(2), by: name("ann"), verdict, why: String::new() };
    let incidents = folded(vec![
        task("t1", None),
        decided("t1", "k", foreign),
        resolved(Verdict::Exercise),
        resolved(Verdict::Harm),
        decided("t1", "k", foreign),
    ]);
    assert_eq!(ids(&incidents), [(2, Kind::Key), (5, Kind::Key)]);
    let first = incidents.get(IncidentId(2)).expect("it began with entry 2");
    assert_eq!(first.resolved.as_ref().map(|resolution| (resolution.verdict, resolution.entry)), Some((Verdict::Exercise, 3)));
}

#[test]
fn a_server_that_gives_out_too_much_is_one_incident_however_many_tasks_meet_it() {
    let kept_back = |task: &str, stopped: bool| {
        let item = ReadRecord {
            id: ResourceId::parse("hr:plan").expect("a name"),
            label: LabelRecord::from(&Label::bottom()),
            sketch: None,
            withheld: true,
            masked: false,
        };
        Event::Observed(Box::new(Observed {
            items: vec![item],
            stopped,
            ..Observed::nothing(DecisionId::parse("d1").expect("a name"), Some(task_id(task)), Ended::Ok)
        }))
    };
    let incidents = folded(vec![
        task("t1", None),
        decided("t1", "k", |_| {}),
        kept_back("t1", false),
        task("t2", None),
        decided("t2", "k", |_| {}),
        kept_back("t2", false),
        // That the chain was stopped meanwhile says nothing about what the tool gives out.
        kept_back("t2", true),
        // It is no matter of one task, so ending one is no answer to it.
        killed(Target::Task(task_id("t1"))),
    ]);
    assert_eq!(ids(&incidents), [(3, Kind::Boundary), (8, Kind::Kill)]);
    let incident = incidents.all().next().expect("there is one");
    assert_eq!((incident.times, incident.withheld, incident.severity), (2, 2, Severity::Medium));
    assert_eq!(incident.subject.to_string(), "tool crm__read");
}

#[test]
fn what_a_norm_lets_through_and_wants_known_is_one_incident_of_its_task() {
    let noticed = || {
        decided("t1", "k", |decided| {
            decided.decision.obligations = [Obligation::Notify(NormId::parse("odd").expect("a name"))].into();
        })
    };
    let denied = decided("t1", "k", |decided| {
        decided.decision = Decision::refusal(Code::Grant, "not granted".to_owned(), None, Facts::default());
        decided.decision.obligations = [Obligation::Notify(NormId::parse("odd").expect("a name"))].into();
    });
    let incidents = folded(vec![task("t1", None), denied, noticed(), noticed()]);
    assert_eq!(ids(&incidents), [(3, Kind::Notice)]);
    let incident = incidents.all().next().expect("there is one");
    assert_eq!((incident.times, incident.severity), (2, Severity::Medium));
}

#[test]
fn a_single_refusal_is_no_incident() {
    let denied = decided("t1", "k", |decided| {
        decided.decision = Decision::refusal(Code::Grant, "not granted".to_owned(), None, Facts::default());
    });
    assert_eq!(ids(&folded(vec![task("t1", None), denied])), []);
}

#[test]
fn names_are_read_as_they_are_written_and_nothing_else() {
    assert_eq!("inc-1042".parse(), Ok(IncidentId(1042)));
    assert_eq!(IncidentId(1042).to_string(), "inc-1042");
    for wrong in ["1042", "inc-", "inc-+1", "inc-1 ", "inc-99999999999999999999"] {
        assert!(wrong.parse::<IncidentId>().is_err(), "{wrong}");
    }
}
