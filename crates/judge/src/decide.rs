//! Deciding: from an act and the state to an answer. One path, read from top to bottom.
//!
//! The order is authenticate, grants, facts, norms, and what an approval adds (semantics §8). Nothing here waits, logs or fails.

use crate::act::{Act, RESOURCES_MAX, Stated, ValuePrint};
use crate::decision::{Approver, Code, Decision, Ground, Obligation, Outcome, Reason};
use crate::directory::Directory;
use crate::effect::Effect;
use crate::event::Trip;
use crate::facts::{Facts, TempoFacts};
use crate::gather::{Flows, Gathered, gather};
use crate::label::{Classification, Label};
use crate::moment::Moment;
use crate::name::{AskId, PrincipalId, ResourceId};
use crate::policy::Granted;
use crate::reach::Reach;
use crate::state::{ASKS_MAX, Answer, AskState, State};
use crate::task::{CHAIN_DEPTH_MAX, Caller};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// The answer to an act, and what the record of it needs.
#[derive(Debug)]
pub struct Ruling {
    /// The answer.
    pub decision: Decision,
    /// Who would see what leaves.
    pub audience: Reach,
    /// The label of what the act makes, where it makes something.
    pub made: Option<Label>,
    /// How the answer stands to an ask about this very call.
    pub ask: AskStanding,
    /// Where its consequential values were chosen, for the record.
    pub values: Vec<ValuePrint>,
    /// What is frozen from here on, where a breaker tripped.
    pub trip: Option<Trip>,
}

/// How an answer stands to asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskStanding {
    /// It asks nobody.
    None,
    /// It is an ask that nobody was asked yet.
    New,
    /// It is an ask that waits for an answer already.
    Waiting(AskId),
    /// A person's yes lets it through, and is used up by it.
    Approved(AskId),
}

/// Decides `act` by `caller` at `moment`.
#[must_use]
pub fn decide(state: &State, caller: &Caller, act: &Act, moment: Moment) -> Ruling {
    if let Err(decision) = authenticate(state, caller, act) {
        return refused(*decision);
    }
    let Some(policies) = state.policies() else {
        return refused(refuse(Code::Policy, "no policies are in force", "an operator has to load them"));
    };
    let gathered = gather(state, caller, act, moment);
    let resources = resources_of(act);
    if let Some(decision) = ungranted(state, caller, act, &resources, &gathered.facts) {
        return refused(decision);
    }

    let caller_id = caller.chain.last().expect("authenticate refused an empty chain");
    let mut reasons = Vec::new();
    let mut obliged = Obliged::default();
    let mut trip = None;
    for &effect in &act.effects {
        let facts = gathered.for_effect(effect);
        let findings = policies.norms(caller_id, caller.chain.len() > 1, effect, resources[0].as_str(), &facts);
        reasons.extend(findings.reasons);
        obliged.obligations.extend(findings.obligations);
        obliged.limit = obliged.limit.into_iter().chain(findings.limit).min();
        trip = trip.max(findings.trip);
    }
    let ruling = conclude(state, caller, act, gathered, reasons, obliged, moment);
    Ruling { trip, ..ruling }
}

/// What has to be done when an act goes through.
#[derive(Default)]
struct Obliged {
    obligations: BTreeSet<Obligation>,
    limit: Option<u64>,
}

/// The strictest reason is the answer, unless it is an ask that a person has answered.
fn conclude(
    state: &State,
    caller: &Caller,
    act: &Act,
    gathered: Gathered,
    mut reasons: Vec<Reason>,
    obliged: Obliged,
    moment: Moment,
) -> Ruling {
    let mut standing = AskStanding::None;
    let mut outcome = strictest(&reasons);
    if outcome == Outcome::Ask {
        let earlier =
            state.ask_about(caller.task.as_ref(), act.digest).filter(|ask| ask.caller == *caller && moment < ask.expires);
        standing = AskStanding::New;
        if let Some(ask) = earlier {
            match &ask.answer {
                Answer::Open => standing = AskStanding::Waiting(ask.id.clone()),
                Answer::Approved { .. } if covers(state, ask, &reasons, &gathered) => {
                    outcome = Outcome::Permit;
                    standing = AskStanding::Approved(ask.id.clone());
                }
                Answer::Denied { by } => {
                    outcome = Outcome::Deny;
                    standing = AskStanding::None;
                    for reason in &mut reasons {
                        reason.outcome = Outcome::Deny;
                        reason.sentence = format!("{}; {by} was asked, and decided against it", reason.sentence);
                        reason.approver = None;
                    }
                }
                Answer::Approved { .. } | Answer::Used { .. } | Answer::Withdrawn => {}
            }
        }
    }
    if standing == AskStanding::New
        && caller.task.as_ref().and_then(|id| state.task(id)).is_some_and(|task| task.asks >= ASKS_MAX)
    {
        outcome = Outcome::Deny;
        standing = AskStanding::None;
        reasons.push(Reason {
            ground: Ground::Code(Code::Bounds),
            outcome: Outcome::Deny,
            sentence: format!("this task has asked {ASKS_MAX} times already"),
            remedy: Some("start a new task that names what it is for".to_owned()),
            approver: None,
        });
    }
    reasons.sort_by(|a, b| b.outcome.cmp(&a.outcome).then_with(|| a.cmp(b)));
    reasons.dedup();
    let Gathered { mut facts, audience, flows, withheld, effect_facts: _, values } = gathered;
    let Obliged { obligations, limit } = obliged;
    if outcome == Outcome::Permit {
        // What goes through at an ordinary pace is not worth its place in every record; a replay finds it again.
        facts.tempo = TempoFacts::default();
    }
    // A person who writes outside of any task leaves the labels as they stand.
    let made = (makes(act) && caller.task.is_some()).then(|| made(state, &flows, &audience));
    Ruling {
        decision: Decision { outcome, reasons, obligations, limit, withheld, facts },
        audience,
        made,
        ask: standing,
        values,
        trip: None,
    }
}

fn strictest(reasons: &[Reason]) -> Outcome {
    reasons.iter().map(|reason| reason.outcome).max().unwrap_or(Outcome::Permit)
}

/// Whether a person's yes covers what is asked now: no other reason, nobody else who would see it, nothing more that it could hold.
fn covers(state: &State, ask: &AskState, reasons: &[Reason], gathered: &Gathered) -> bool {
    let approved = ask.grounds();
    let (now, then) = (&gathered.facts, &ask.facts);
    reasons.iter().all(|reason| approved.contains(reason.ground.word()))
        && state.is_within(&gathered.audience, ask.act.audience.as_ref())
        && now.audience.beyond_address <= then.audience.beyond_address
        && now.shown.uncleared <= then.shown.uncleared
        && now.possible.uncleared <= then.possible.uncleared
        && (now.possible.uncleared == 0 || now.possible.items <= then.possible.items)
        && now.possible.classification <= then.possible.classification
}

/// Whether the act leaves something behind that can be read later.
fn makes(act: &Act) -> bool {
    act.effects.iter().any(|effect| matches!(effect, Effect::Write | Effect::Send | Effect::Publish | Effect::Execute))
}

/// The label of what an act makes: what is shown in it, else everything that could be in it. That nobody but those who see its place may
/// have it is added where the place is known. What was made from nothing that is known has unknown readers.
fn made(state: &State, flows: &Flows, audience: &Reach) -> Label {
    let mut label = if !flows.shown.is_empty() {
        flows.shown.iter().fold(Label::bottom(), |label, id| label.join(state.label(*id).0))
    } else if let Some(possible) = &flows.possible {
        possible.clone()
    } else if audience.is_nobody() {
        Label::unknown()
    } else {
        Label::bottom()
    };
    label.classification = label.classification.max(Classification::Internal);
    label
}

/// The caller must be somebody, and the act within bounds.
fn authenticate(state: &State, caller: &Caller, act: &Act) -> Result<(), Box<Decision>> {
    authenticate_caller(state, caller)?;
    if act.resources.len() > RESOURCES_MAX {
        let sentence = format!("{} resources in one call, at most {RESOURCES_MAX} are allowed", act.resources.len());
        return Err(Box::new(refuse(Code::Bounds, &sentence, "split the call")));
    }
    if act.effects.contains(&Effect::Read)
        && caller
            .task
            .as_ref()
            .and_then(|task| state.root_of(task))
            .and_then(|root| state.flow(&root))
            .is_some_and(crate::state::Flow::is_full)
    {
        let sentence = "this task has read as many things as can be kept track of";
        return Err(Box::new(refuse(Code::Bounds, sentence, "go on in a new task")));
    }
    Ok(())
}

/// The chain must be a person and registered agents, the task theirs, and nothing of it stopped.
pub(crate) fn authenticate_caller(state: &State, caller: &Caller) -> Result<(), Box<Decision>> {
    let directory = state.directory();
    let bad = |sentence: &str, remedy: &str| Err(Box::new(refuse(Code::Authentication, sentence, remedy)));
    let Some((person, agents)) = caller.chain.split_first() else {
        return bad("the call names nobody who makes it", "call with a task token");
    };
    if caller.chain.len() > CHAIN_DEPTH_MAX {
        return bad("the chain is longer than is allowed", "hand the work on fewer times");
    }
    if !directory.knows_person(person.as_str()) {
        return bad(
            "the first of the chain is no person of the directory",
            "start the task for a person who is in the directory",
        );
    }
    if let Some(agent) = agents.iter().find(|agent| directory.agent(agent.as_str()).is_none()) {
        let (sentence, remedy) = out_of_use(directory, agent);
        return bad(&sentence, &remedy);
    }
    match caller.task.as_ref().map(|id| state.task(id)) {
        None if agents.is_empty() => {}
        None => return bad("an agent calls without a task", "start a task and use its token"),
        Some(None) => return bad("this task is not known here", "start a task and use its token"),
        Some(Some(task)) if !task.task.is_for(&caller.chain) => {
            return bad("this task belongs to another chain", "use the token that was issued for it");
        }
        Some(Some(_)) => {}
    }
    stopped(state, caller).map_or(Ok(()), |decision| Err(Box::new(decision)))
}

/// Why nothing of this caller goes on: the task was ended, or a person or a breaker stopped it or a part of its chain.
pub(crate) fn stopped(state: &State, caller: &Caller) -> Option<Decision> {
    let bad = |sentence: &str, remedy: &str| Some(refuse(Code::Authentication, sentence, remedy));
    if let Some((target, by)) = state.killed(caller) {
        return bad(&format!("{by} has stopped {target}"), &format!("ask {by}, who can take it back"));
    }
    if caller.task.as_ref().is_some_and(|task| state.line_of(task).any(|task| task.ended)) {
        return bad("this task was ended", "start a new task");
    }
    if let Some((target, frozen)) = state.frozen(caller) {
        let sentence = format!("{target} is frozen by the norm {} since {}", frozen.norm, frozen.decision);
        let mut decision = refuse(Code::Frozen, &sentence, "stop here; a person has to look, and to reset it");
        // The breaker is still the reason, however often the call comes back.
        let breaker =
            decision.reasons.first().map(|reason| Reason { ground: Ground::Norm(frozen.norm.clone()), ..reason.clone() });
        decision.reasons.extend(breaker);
        return Some(decision);
    }
    None
}

/// Why an agent cannot be used, and who can change that.
fn out_of_use(directory: &Directory, agent: &PrincipalId) -> (String, String) {
    let Some(record) = directory.agent_record(agent.as_str()) else {
        return ("an agent of the chain is not registered".to_owned(), "register the agent in the directory".to_owned());
    };
    let owner = &record.owner;
    match &record.registration.suspended {
        Some(mark) => (
            format!("{} has suspended {agent}", mark.by),
            format!("ask {owner}, who owns it and can let it go on (`prudence agent resume {agent}`)"),
        ),
        None => (format!("{agent} was taken out of use"), format!("ask {owner}, who owns it, to have it put into use again")),
    }
}

/// Every principal of the chain needs a grant of its own for every effect on every resource.
fn ungranted(state: &State, caller: &Caller, act: &Act, resources: &[ResourceId], facts: &Facts) -> Option<Decision> {
    for (link, principal) in caller.chain.iter().enumerate() {
        for &effect in &act.effects {
            for resource in resources {
                // What was stated of the subject is not said of those who act for it.
                let stated =
                    if link == 0 { act.stated.clone() } else { Stated { subject: BTreeSet::new(), ..act.stated.clone() } };
                if !is_granted(state, principal, link > 0, effect, resource, &facts.task.purpose, stated) {
                    let sentence = format!("`{principal}` is not granted {} on `{resource}`", effect.word());
                    let remedy = "ask an administrator for the grant, if the work needs it".to_owned();
                    return Some(Decision::refusal(Code::Grant, sentence, Some(remedy), facts.clone()));
                }
            }
        }
    }
    None
}

/// Whether a person who acts for themselves would be permitted this now. What a person would be asked about is not permitted.
#[must_use]
pub fn is_permitted(state: &State, person: &PrincipalId, act: &Act, moment: Moment) -> bool {
    let caller = Caller::new(vec![person.clone()], None);
    decide(state, &caller, act, moment).decision.outcome == Outcome::Permit
}

/// Whether plain access control permits this principal this effect on this resource.
#[must_use]
pub fn is_granted(
    state: &State,
    principal: &PrincipalId,
    is_agent: bool,
    effect: Effect,
    resource: &ResourceId,
    purpose: &str,
    stated: Stated,
) -> bool {
    let kinds = state.directory().grants(principal, effect, resource.as_str());
    let person = if is_agent { None } else { state.directory().person_shared(principal) };
    let granted = Granted { kinds, purpose: purpose.to_owned(), stated, person, subject: OnceCell::new() };
    state.policies().is_some_and(|policies| policies.is_granted(principal, is_agent, effect, resource.as_str(), &granted))
}

/// Whether every principal of a chain has a grant of these effects: on these resources, and, where a call chooses more, on any. What such a grant
/// is good for, only a call can show; without it no call can be permitted.
#[must_use]
pub fn could(state: &State, chain: &[PrincipalId], effects: &BTreeSet<Effect>, resources: &[ResourceId], chooses: bool) -> bool {
    let directory = state.directory();
    chain.iter().all(|principal| {
        effects.iter().all(|effect| {
            resources.iter().all(|resource| !directory.grants(principal, *effect, resource.as_str()).is_empty())
                && (!chooses || directory.has_any_grant(principal, *effect))
        })
    })
}

/// What the act is done to; a call that touches nothing in particular is done to its tool.
fn resources_of(act: &Act) -> Vec<ResourceId> {
    if act.resources.is_empty() {
        vec![
            ResourceId::parse(&format!("tool:{}", act.tool))
                .unwrap_or_else(|_| ResourceId::parse("tool:?").expect("a short name")),
        ]
    } else {
        act.resources.clone()
    }
}

/// Why a person may not answer an ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MayNotAnswer {
    /// There is no such ask.
    #[error("there is no such ask")]
    Unknown,
    /// It was answered.
    #[error("the ask was answered already")]
    Answered,
    /// What it was about was stopped.
    #[error("what was asked about was stopped, so there is nothing to answer")]
    Withdrawn,
    /// It expired.
    #[error("the ask has expired")]
    Expired,
    /// Not somebody of the directory, or not any more.
    #[error("`{0}` is no active person of the directory")]
    Nobody(PrincipalId),
    /// Part of the chain.
    #[error("`{0}` is part of the chain that asks, and nobody approves for themselves")]
    InChain(PrincipalId),
    /// Somebody else decides.
    #[error("`{person}` may not answer this: {who} decides")]
    SomebodyElse {
        /// Who tried.
        person: PrincipalId,
        /// Who may.
        who: String,
    },
}

/// Whether `person` may answer the ask at `moment`.
///
/// # Errors
/// [`MayNotAnswer`] says why not.
pub fn may_answer(state: &State, ask: &AskId, person: &PrincipalId, moment: Moment) -> Result<(), MayNotAnswer> {
    let ask = state.ask(ask).ok_or(MayNotAnswer::Unknown)?;
    match ask.answer {
        Answer::Open => {}
        Answer::Withdrawn => return Err(MayNotAnswer::Withdrawn),
        Answer::Approved { .. } | Answer::Denied { .. } | Answer::Used { .. } => return Err(MayNotAnswer::Answered),
    }
    if moment >= ask.expires {
        return Err(MayNotAnswer::Expired);
    }
    let Some(number) = state.directory().person(person.as_str()) else {
        return Err(MayNotAnswer::Nobody(person.clone()));
    };
    if ask.caller.chain.contains(person) {
        return Err(MayNotAnswer::InChain(person.clone()));
    }
    let owners = owners(state, ask);
    for approver in approvers(ask) {
        let (may, who) = match &approver {
            Approver::Owner if !owners.is_empty() => (owners.contains(person), format!("the owner ({})", join(&owners))),
            Approver::Owner | Approver::OutsideChain => (
                owns_widened(ask, &owners, person) || has_grants(state, ask, person),
                "somebody outside the chain with a grant for it".to_owned(),
            ),
            Approver::Named(name) => {
                let named = match name.strip_prefix('@') {
                    Some(group) => state.directory().is_member(group, number),
                    None => name == person.as_str(),
                };
                (named, name.clone())
            }
        };
        if !may {
            return Err(MayNotAnswer::SomebodyElse { person: person.clone(), who });
        }
    }
    Ok(())
}

/// Who may answer, as the reasons say.
#[must_use]
pub fn approvers(ask: &AskState) -> BTreeSet<Approver> {
    ask.reasons.iter().filter(|reason| reason.outcome == Outcome::Ask).filter_map(|reason| reason.approver.clone()).collect()
}

/// Those who decide about what is done something to, and about what a change would show.
fn owners(state: &State, ask: &AskState) -> BTreeSet<PrincipalId> {
    let of_resources = ask.act.resources.iter().filter_map(|resource| state.directory().owner_of(resource.as_str())).cloned();
    let of_shown = ask.facts.change.owners.iter().filter_map(|owner| PrincipalId::parse(owner).ok());
    of_resources.chain(of_shown).collect()
}

/// Owners decide on a change of who may see what is theirs.
fn owns_widened(ask: &AskState, owners: &BTreeSet<PrincipalId>, person: &PrincipalId) -> bool {
    ask.act.effects.contains(&Effect::Widen) && owners.contains(person)
}

fn has_grants(state: &State, ask: &AskState, person: &PrincipalId) -> bool {
    let purpose = &ask.facts.task.purpose;
    ask.act.effects.iter().all(|&effect| {
        ask.act.resources.iter().all(|resource| is_granted(state, person, false, effect, resource, purpose, Stated::default()))
            && (!ask.act.resources.is_empty() || state.directory().has_any_grant(person, effect))
    })
}

fn join(people: &BTreeSet<PrincipalId>) -> String {
    people.iter().map(PrincipalId::as_str).collect::<Vec<_>>().join(", ")
}

fn refuse(code: Code, sentence: &str, remedy: &str) -> Decision {
    Decision::refusal(code, sentence.to_owned(), Some(remedy.to_owned()), Facts::default())
}

fn refused(decision: Decision) -> Ruling {
    Ruling { decision, audience: Reach::nobody(), made: None, ask: AskStanding::None, values: Vec::new(), trip: None }
}

/// Whether the ground is among those that a decision rests on.
#[must_use]
pub fn rests_on(decision: &Decision, ground: &Ground) -> bool {
    decision.reasons.iter().any(|reason| reason.ground == *ground)
}
