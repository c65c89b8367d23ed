//! Registration, as claims: who may say what of an agent, and what the judge makes of it.

use super::{Scene, act, caller, expect, name, scene, world};
use crate::decision::Outcome;
use crate::delegation::{NotHandedOn, Part, delegate};
use crate::directory::{AgentRecord, Directory, DirectoryChange, DirectoryError, PersonRecord, Status};
use crate::effect::Effect;
use crate::event::{Event, Issued};
use crate::moment::Moment;
use crate::name::TaskId;
use crate::registration::{
    NotFor, NotRegistered, REGISTRATION_MS_MAX, REGISTRATION_MS_MIN, Terms, Used, hand_over, is_for, register, renew, resume,
    suspend,
};
use crate::task::Caller;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: Moment = Moment(5_000);
const HOUR_MS: u64 = 60 * 60 * 1000;

fn directory() -> Directory {
    Directory::of(&world()).expect("a directory")
}

fn terms() -> Terms {
    Terms {
        owner: name("ann"),
        sponsor: Some(name("cy")),
        about: "answers the forum".to_owned(),
        purposes: Some([Arc::from("engineering")].into()),
        effects: Some([Effect::Read, Effect::Publish].into()),
        tools: Some([Arc::from("forum__*"), Arc::from("test__tool")].into()),
        keys: None,
        clients: None,
        lease_ms: HOUR_MS,
    }
}

fn with(directory: &Directory, agent: AgentRecord) -> Directory {
    directory.change(&[DirectoryChange::PutAgent(agent.into())]).expect("it fits").0
}

/// A directory in which ann and cy answer for `scribe`.
fn registered() -> (Directory, AgentRecord) {
    let directory = directory();
    let agent = register(&directory, &name("scribe"), &terms(), &name("ann"), NOW).expect("it is right");
    (with(&directory, agent.clone()), agent)
}

fn used(effects: &[Effect], tools: &[&str], purposes: &[&str]) -> Used {
    let words = |words: &[&str]| words.iter().map(|word| Arc::from(*word)).collect();
    Used { effects: effects.iter().copied().collect(), tools: words(tools), purposes: words(purposes) }
}

#[test]
fn a_registration_says_who_answers_for_what_until_when() {
    let (directory, agent) = registered();
    assert_eq!(directory.agent("scribe"), Some(&agent));
    let registration = &agent.registration;
    assert_eq!(registration.ends, Some(NOW.after_ms(HOUR_MS)));
    assert_eq!(registration.registered.as_ref().map(|mark| (&mark.by, mark.at)), Some((&name("ann"), NOW)));
    assert_eq!((agent.owner.as_str(), agent.purpose.as_str()), ("ann", "answers the forum"));
}

#[test]
fn nobody_is_registered_by_or_for_whoever_cannot_answer() {
    let directory = directory();
    let id = name("scribe");
    let refused = |terms: Terms, by: &str| register(&directory, &id, &terms, &name(by), NOW).expect_err("it is wrong");
    let owned = |owner: &str| Terms { owner: name(owner), ..terms() };
    let sponsored = |sponsor: &str| Terms { sponsor: Some(name(sponsor)), ..terms() };
    let lasting = |lease_ms| Terms { lease_ms, ..terms() };
    assert_eq!(refused(owned("scribe"), "ann"), NotRegistered::Itself(id.clone()));
    assert_eq!(refused(sponsored("scribe"), "ann"), NotRegistered::Itself(id.clone()));
    assert_eq!(refused(owned("helper"), "ann"), NotRegistered::Agent(name("helper")));
    assert_eq!(refused(owned("mallory"), "ann"), NotRegistered::Nobody(name("mallory")));
    assert_eq!(refused(owned("hal"), "ann"), NotRegistered::Nobody(name("hal")), "who has left answers for nothing");
    assert_eq!(refused(sponsored("hal"), "ann"), NotRegistered::Nobody(name("hal")));
    assert_eq!(refused(sponsored("ann"), "ann"), NotRegistered::OnePerson(name("ann")));
    assert_eq!(refused(terms(), "hal"), NotRegistered::Nobody(name("hal")));
    assert_eq!(refused(terms(), "helper"), NotRegistered::Agent(name("helper")), "no agent registers another");
    for found_ms in [0, REGISTRATION_MS_MIN - 1, REGISTRATION_MS_MAX + 1, u64::MAX] {
        assert_eq!(refused(lasting(found_ms), "ann"), NotRegistered::Lease { found_ms });
    }
    let known = |id: &str| register(&directory, &name(id), &terms(), &name("ann"), NOW).expect_err("it is known");
    assert_eq!(known("dee"), NotRegistered::Known(name("dee")), "a person's name is taken");
    let (owner, found) = (name("bo"), name("ann"));
    assert_eq!(known("helper"), NotRegistered::OtherOwner { agent: name("helper"), owner, found });
    let (directory, _) = registered();
    let again = register(&directory, &id, &terms(), &name("ann"), NOW);
    assert_eq!(again, Err(NotRegistered::Known(id)), "it is reviewed, and not registered twice");
}

#[test]
fn an_agent_that_was_provisioned_keeps_what_it_was_called() {
    let directory = directory();
    let provisioned = AgentRecord { handle: Some("Helper".into()), ..directory.agent("helper").expect("it is there").clone() };
    let directory = with(&directory, provisioned);
    let own = Terms { owner: name("bo"), about: String::new(), ..terms() };
    let agent = register(&directory, &name("helper"), &own, &name("bo"), NOW).expect("nobody registered it yet");
    assert_eq!((agent.handle.as_deref(), agent.purpose.as_str()), (Some("Helper"), "engineering help"));
}

#[test]
fn a_lease_is_renewed_by_those_who_answer_and_by_nobody_else() {
    let (directory, agent) = registered();
    let later = NOW.after_ms(2 * HOUR_MS);
    for by in ["ann", "cy"] {
        let renewed = renew(&directory, &agent, None, HOUR_MS, &name(by), later).expect("they answer for it");
        assert_eq!(renewed.registration.ends, Some(later.after_ms(HOUR_MS)), "from now on, though it was over");
        assert_eq!(renewed.registration.reviewed.map(|mark| mark.by), Some(name(by)));
        assert_eq!(renewed.registration.effects, agent.registration.effects);
    }
    let refused = |by: &str| renew(&directory, &agent, None, HOUR_MS, &name(by), later).expect_err("they do not");
    let who = "ann or cy".to_owned();
    assert_eq!(refused("bo"), NotRegistered::SomebodyElse { person: name("bo"), agent: name("scribe"), who });
    assert_eq!(refused("scribe"), NotRegistered::Agent(name("scribe")), "no agent renews itself");
    let seen = AgentRecord { purpose: "something else".to_owned(), ..agent.clone() };
    let stale = renew(&directory, &seen, None, HOUR_MS, &name("ann"), later);
    assert_eq!(stale, Err(NotRegistered::Changed(name("scribe"))), "what was looked at is what is renewed");
    let never = renew(&directory, &agent, None, 0, &name("ann"), later);
    assert_eq!(never, Err(NotRegistered::Lease { found_ms: 0 }));
}

#[test]
fn a_renewal_tightens_to_what_was_used_and_widens_nothing() {
    let (directory, agent) = registered();
    let tightened = |used: &Used| renew(&directory, &agent, Some(used), HOUR_MS, &name("ann"), NOW);
    let beyond = used(&[Effect::Read, Effect::Destroy], &["forum__read", "shell__run"], &["engineering", "revenge"]);
    let registration = tightened(&beyond).expect("something was used").registration;
    assert_eq!(registration.effects, Some([Effect::Read].into()));
    assert_eq!(registration.tools, Some([Arc::from("forum__read")].into()));
    assert_eq!(registration.purposes, Some([Arc::from("engineering")].into()));
    assert_eq!(tightened(&Used::default()), Err(NotRegistered::Unused(name("scribe"))));
}

#[test]
fn everybody_may_suspend_and_only_those_who_answer_let_it_go_on() {
    let (directory, agent) = registered();
    let id = name("scribe");
    let stopped = suspend(&directory, &id, "it answers everybody", &name("bo"), NOW).expect("bo is here");
    let directory = with(&directory, stopped);
    assert_eq!(directory.agent("scribe"), None, "it is as if it were not registered");
    let again = suspend(&directory, &id, "", &name("dee"), NOW);
    assert_eq!(again, Err(NotRegistered::Suspended { agent: id.clone(), by: name("bo") }));
    let who = "ann or cy".to_owned();
    let refused = resume(&directory, &id, &name("bo"));
    assert_eq!(refused, Err(NotRegistered::SomebodyElse { person: name("bo"), agent: id.clone(), who }));
    assert_eq!(resume(&directory, &id, &name("cy")), Ok(agent.clone()), "all else is as it was");
    assert_eq!(resume(&with(&directory, agent), &id, &name("cy")), Err(NotRegistered::NotSuspended(id.clone())));
    assert_eq!(
        suspend(&directory, &id, &"why ".repeat(1_000), &name("bo"), NOW),
        Err(NotRegistered::Suspended { agent: id, by: name("bo") })
    );
    let long = suspend(&super::registration::directory(), &name("helper"), &"why ".repeat(1_000), &name("bo"), NOW);
    assert_eq!(long, Err(NotRegistered::Why { found: 4_000 }));
    let unknown = suspend(&directory, &name("nothing"), "", &name("bo"), NOW);
    assert_eq!(unknown, Err(NotRegistered::Unknown(name("nothing"))));
}

#[test]
fn an_agent_is_handed_over_by_those_who_answer_or_by_anybody_when_all_of_them_left() {
    let (directory, _) = registered();
    let id = name("scribe");
    let handed = hand_over(&directory, &id, &name("cy"), &name("ann")).expect("ann owns it");
    assert_eq!((handed.owner.as_str(), handed.registration.sponsor), ("cy", None), "nobody vouches for what they own");
    assert!(matches!(hand_over(&directory, &id, &name("bo"), &name("bo")), Err(NotRegistered::SomebodyElse { .. })));
    assert_eq!(hand_over(&directory, &id, &id, &name("ann")), Err(NotRegistered::Itself(id.clone())));
    assert_eq!(hand_over(&directory, &id, &name("hal"), &name("ann")), Err(NotRegistered::Nobody(name("hal"))));
    let taken = hand_over(&directory, &name("orphan"), &name("bo"), &name("bo")).expect("its owner has left");
    assert_eq!(taken.owner, name("bo"));
}

#[test]
fn a_registration_is_within_its_bounds_wherever_it_comes_from() {
    let directory = directory();
    let put = |change: &dyn Fn(&mut AgentRecord)| {
        let mut agent = AgentRecord::new(name("scribe"), name("ann"));
        change(&mut agent);
        directory.change(&[DirectoryChange::PutAgent(agent.into())]).map(drop).expect_err("it does not fit")
    };
    let unknown = put(&|agent| agent.registration.sponsor = Some(name("mallory")));
    assert!(matches!(&unknown[..], [DirectoryError::Unknown { name, .. }] if name == "mallory"), "{unknown:?}");
    let many = put(&|agent| agent.registration.keys = Some((0..300).map(|key| Arc::from(format!("{key}"))).collect()));
    assert!(matches!(&many[..], [DirectoryError::Unfit { .. }]), "{many:?}");
    let long = put(&|agent| agent.registration.clients = Some([Arc::from("c".repeat(600))].into()));
    assert!(matches!(&long[..], [DirectoryError::Unfit { .. }]), "{long:?}");
    let star = put(&|agent| agent.registration.tools = Some([Arc::from("*__drop")].into()));
    assert!(matches!(&star[..], [DirectoryError::Pattern { .. }]), "{star:?}");
    let (directory, _) = registered();
    let gone = directory.change(&[DirectoryChange::RemovePerson { id: name("cy") }]).map(drop).expect_err("cy vouches for it");
    assert!(matches!(&gone[..], [DirectoryError::InUse { .. }]), "{gone:?}");
}

/// Puts `helper` as `change` makes it.
fn changed(scene: &mut Scene, change: impl FnOnce(&mut AgentRecord)) {
    let mut agent = scene.state.directory().agent_record("helper").expect("it is there").clone();
    change(&mut agent);
    scene.put(DirectoryChange::PutAgent(agent.into()));
}

/// What the judge says to a read, in one line: reason and remedy.
#[track_caller]
fn refusal(scene: &mut Scene, caller: &Caller, ground: &str) -> (String, String) {
    let ruling = scene.decides_for(caller, &act(Effect::Read, &["runbook:acl"], &[], &[]));
    expect(&ruling, Outcome::Deny, &[ground]);
    let reason = &ruling.decision.reasons[0];
    (reason.sentence.clone(), reason.remedy.clone().expect("there is somebody who can do something"))
}

#[test]
fn a_registration_that_ran_out_is_refused_with_who_has_to_renew_it() {
    let mut scene = scene(json!({}));
    changed(&mut scene, |agent| {
        agent.registration.ends = Some(Moment(2_000));
        agent.registration.sponsor = Some(name("cy"));
    });
    scene.now = Moment(1_999);
    assert_eq!(scene.decides(&act(Effect::Read, &["runbook:acl"], &[], &[])).decision.outcome, Outcome::Permit);
    scene.now = Moment(2_000);
    let (reason, remedy) = refusal(&mut scene, &caller(), "lease");
    assert_eq!(reason, "the registration of helper has run out");
    assert_eq!(remedy, "bo, cy has to look at what it did, and to renew it: `prudence agent review helper`");
    let seen = scene.state.directory().agent("helper").expect("it is there").clone();
    let renewed = renew(scene.state.directory(), &seen, None, HOUR_MS, &name("cy"), scene.now).expect("cy vouches for it");
    scene.put(DirectoryChange::PutAgent(renewed.into()));
    assert_eq!(scene.decides(&act(Effect::Read, &["runbook:acl"], &[], &[])).decision.outcome, Outcome::Permit);
}

#[test]
fn an_owner_who_left_ends_it_until_somebody_who_is_here_takes_it_over() {
    let mut scene = scene(json!({"requester": "ann", "address": ["ann"]}));
    let ann = Caller { chain: vec![name("ann"), name("helper")], ..caller() };
    let grant = json!({"to": "ann", "may": ["read"], "on": ["*"]});
    scene.put(DirectoryChange::PutGrant(serde_json::from_value(grant).expect("a grant")));
    scene.put(DirectoryChange::PutItem(
        serde_json::from_value(json!({"id": "runbook:acl", "readers": ["ann"]})).expect("an item"),
    ));
    changed(&mut scene, |agent| agent.registration.sponsor = Some(name("cy")));
    let read = act(Effect::Read, &["runbook:acl"], &[], &[]);
    assert_eq!(scene.decides_for(&ann, &read).decision.outcome, Outcome::Permit);
    scene.put(DirectoryChange::PutPerson(PersonRecord { status: Status::Left, ..PersonRecord::new(name("bo")) }));
    let (reason, remedy) = refusal(&mut scene, &ann, "lease");
    assert_eq!(reason, "nobody who is here owns helper");
    assert!(remedy.starts_with("cy has to hand it over to somebody who is here"), "{remedy}");
    changed(&mut scene, |agent| agent.registration.sponsor = None);
    assert!(refusal(&mut scene, &ann, "lease").1.starts_with("an administrator has to hand it over"));
    let taken = hand_over(scene.state.directory(), &name("helper"), &name("dee"), &name("dee")).expect("nobody else is left");
    scene.put(DirectoryChange::PutAgent(taken.into()));
    assert_eq!(scene.decides_for(&ann, &read).decision.outcome, Outcome::Permit);
}

#[test]
fn a_suspended_agent_is_refused_with_who_can_let_it_go_on() {
    let mut scene = scene(json!({}));
    let stopped = suspend(scene.state.directory(), &name("helper"), "too eager", &name("ann"), scene.now).expect("ann is here");
    scene.put(DirectoryChange::PutAgent(stopped.into()));
    let (reason, remedy) = refusal(&mut scene, &caller(), "authentication");
    assert_eq!(reason, "ann has suspended helper");
    assert_eq!(remedy, "ask bo, who owns it and can let it go on (`prudence agent resume helper`)");
    let going_on = resume(scene.state.directory(), &name("helper"), &name("bo")).expect("bo owns it");
    scene.put(DirectoryChange::PutAgent(going_on.into()));
    assert_eq!(scene.decides(&act(Effect::Read, &["runbook:acl"], &[], &[])).decision.outcome, Outcome::Permit);
    changed(&mut scene, |agent| agent.status = Status::Left);
    assert_eq!(refusal(&mut scene, &caller(), "authentication").0, "helper was taken out of use");
}

#[test]
fn an_agent_does_what_it_is_registered_for_with_keys_and_clients_of_its_own() {
    let words = |words: &[&str]| -> Option<BTreeSet<Arc<str>>> { Some(words.iter().map(|word| Arc::from(*word)).collect()) };
    let mut scene = scene(json!({}));
    changed(&mut scene, |agent| agent.registration.tools = words(&["test__*"]));
    assert_eq!(scene.decides(&act(Effect::Read, &["runbook:acl"], &[], &[])).decision.outcome, Outcome::Permit);
    changed(&mut scene, |agent| agent.registration.tools = words(&["forum__*"]));
    let (reason, remedy) = refusal(&mut scene, &caller(), "lease");
    assert!(reason.starts_with("helper is registered for less"), "{reason}");
    assert!(remedy.ends_with("bo can widen what this one is for"), "{remedy}");
    changed(&mut scene, |agent| {
        agent.registration.tools = None;
        agent.registration.keys = words(&["k1"]);
        agent.registration.clients = words(&["app"]);
    });
    let with =
        |key: Option<&str>, client: Option<&str>| Caller { key: key.map(Arc::from), client: client.map(Arc::from), ..caller() };
    for (key, client) in [(None, Some("app")), (Some("k2"), Some("app")), (Some("k1"), None), (Some("k1"), Some("other"))] {
        assert!(refusal(&mut scene, &with(key, client), "lease").0.contains("not registered with"), "{key:?} {client:?}");
    }
    let own = with(Some("k1"), Some("app"));
    let issued = Issued { id: "i1".to_owned(), caller: own.clone(), expires: Moment(800_000), parent: None };
    scene.happens(Event::CredentialIssued(Box::new(issued)));
    assert_eq!(scene.decides_for(&own, &act(Effect::Read, &["runbook:acl"], &[], &[])).decision.outcome, Outcome::Permit);
}

#[test]
fn nothing_begins_and_nothing_is_handed_on_beyond_a_registration() {
    let (directory, agent) = registered();
    let wanted = |effects: &[Effect]| Some(effects.iter().copied().collect::<BTreeSet<_>>());
    let is = |purpose: &str, effects: Option<BTreeSet<Effect>>, now| is_for(&directory, &agent, purpose, effects.as_ref(), now);
    assert_eq!(is("engineering", None, NOW), Ok(()));
    assert_eq!(is("engineering", wanted(&[Effect::Read]), NOW), Ok(()));
    let id = || name("scribe");
    let beyond = is("engineering", wanted(&[Effect::Read, Effect::Spend]), NOW);
    assert_eq!(beyond, Err(NotFor::Effect { agent: id(), effect: Effect::Spend }));
    assert_eq!(is("sales", None, NOW), Err(NotFor::Purpose { agent: id(), purpose: "sales".to_owned() }));
    let who = "ann or cy".to_owned();
    let over = NotFor::Lapsed { agent: id(), who };
    assert_eq!(is("engineering", None, NOW.after_ms(HOUR_MS)), Err(over.clone()));

    let mut scene = scene(json!({}));
    scene.put(DirectoryChange::PutAgent(agent.into()));
    let part = Part::whole(id());
    let sub = || TaskId::parse("t2").expect("a name");
    assert!(delegate(&scene.state, &caller(), sub(), &part, NOW).is_ok());
    changed(&mut scene, |helper| helper.registration.ends = Some(NOW));
    let mut scribe = scene.state.directory().agent("scribe").expect("it is there").clone();
    scribe.registration.ends = Some(NOW);
    scene.put(DirectoryChange::PutAgent(scribe.into()));
    assert_eq!(delegate(&scene.state, &caller(), sub(), &part, NOW), Err(NotHandedOn::Registration(over)));
}
