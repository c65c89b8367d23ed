//! Renewal: the lease of a task is earned again at its checkpoint, by a person, or by rule as long as nothing unusual happened.
//!
//! What is unusual is not known here: it is stated as facts ([`crate::facts::LeaseFacts`] and those of the credential), and said by norms that name the
//! action `renew`. What is known here is that nobody gets longer than somebody agreed to.

use crate::decide::authenticate_caller;
use crate::decision::{Code, Reason};
use crate::facts::Facts;
use crate::gather;
use crate::moment::Moment;
use crate::name::{PrincipalId, TaskId};
use crate::registration::answering;
use crate::state::{State, TaskState};
use crate::task::{Caller, LEASE_MS_MAX};

/// Why a lease is not renewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewed {
    /// There is no such task, or it ended so long ago that it was forgotten.
    #[error("there is no task `{0}`")]
    Unknown(TaskId),
    /// A person ended it, or what it came out of: that is for good.
    #[error("task `{0}` was ended")]
    Ended(TaskId),
    /// The task that it is a part of has to be renewed first.
    #[error("task `{0}` is a part of another one, whose lease ends before")]
    Part(TaskId),
    /// Not somebody of the directory, or not any more.
    #[error("`{0}` is no active person of the directory")]
    Nobody(PrincipalId),
    /// Somebody else has to say so.
    #[error("`{person}` may not renew this: {who} has to say so")]
    SomebodyElse {
        /// Who tried.
        person: PrincipalId,
        /// Who may.
        who: String,
    },
    /// The lease is empty or too long.
    #[error("a lease of {found_ms} ms, between 1 and {LEASE_MS_MAX} are allowed")]
    Lease {
        /// What was asked for, in milliseconds.
        found_ms: u64,
    },
    /// Whoever wants it could not do anything now: the task is not theirs, or something of it was stopped.
    #[error("{sentence}")]
    Stopped {
        /// What kind of refusal it is.
        code: Code,
        /// Why.
        sentence: String,
    },
    /// Nobody agreed to more than the lease that there is.
    #[error("nobody agreed to more than this lease")]
    Agreed,
    /// Something unusual happened, and a person has to look first.
    #[error("a person has to look first: {}", sentences(.0))]
    Person(Vec<Reason>),
}

fn sentences(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.sentence.as_str()).collect::<Vec<_>>().join("; ")
}

/// Until when a task runs whose lease `by` renews for `lease_ms` from `moment` on: its requester, or whoever answers for its agent, who gives nothing
/// that the requester did not agree to. A part ends with the whole at the latest.
///
/// # Errors
/// [`NotRenewed`].
pub fn by_person(state: &State, task: &TaskId, by: &PrincipalId, lease_ms: u64, moment: Moment) -> Result<Moment, NotRenewed> {
    let found = renewable(state, task)?;
    let directory = state.directory();
    if directory.person(by.as_str()).is_none() {
        return Err(NotRenewed::Nobody(by.clone()));
    }
    let requester = &found.task.requester;
    let agent = directory.agent_record(found.task.agent.as_str());
    let may = |person: &PrincipalId| person == requester || agent.is_some_and(|agent| agent.is_answered_for_by(person));
    if !may(by) {
        let here = Some(requester).filter(|person| directory.person(person.as_str()).is_some());
        let answering = agent.into_iter().flat_map(|agent| answering(directory, agent)).filter(|person| *person != requester);
        let who: Vec<&str> = here.into_iter().chain(answering).map(PrincipalId::as_str).collect();
        let who = if who.is_empty() { "nobody who is here".to_owned() } else { who.join(" or ") };
        return Err(NotRenewed::SomebodyElse { person: by.clone(), who });
    }
    if lease_ms == 0 || lease_ms > LEASE_MS_MAX {
        return Err(NotRenewed::Lease { found_ms: lease_ms });
    }
    let ends = moment.after_ms(lease_ms);
    let ends = if by == requester { ends } else { ends.min(found.task.agreed_until()) };
    if ends <= moment { Err(NotRenewed::Agreed) } else { within_whole(state, task, ends, moment) }
}

/// Until when a task runs whose lease `caller` earns again by rule: for as long as it was when it began, never beyond what was agreed to.
///
/// # Errors
/// [`NotRenewed`].
pub fn by_rule(state: &State, caller: &Caller, moment: Moment) -> Result<Moment, NotRenewed> {
    let unknown = || NotRenewed::Stopped { code: Code::Authentication, sentence: "there is no task to renew".to_owned() };
    let task = caller.task.as_ref().ok_or_else(unknown)?;
    let found = renewable(state, task)?;
    if let Err(refused) = authenticate_caller(state, caller) {
        let sentence = refused.reasons.first().map(|reason| reason.sentence.clone()).unwrap_or_default();
        return Err(NotRenewed::Stopped { code: refused.code().unwrap_or(Code::Authentication), sentence });
    }
    let agreed = found.task.until.filter(|until| moment < *until && found.task.ends < *until).ok_or(NotRenewed::Agreed)?;
    let reasons = objections(state, caller, task, found, moment);
    if !reasons.is_empty() {
        return Err(NotRenewed::Person(reasons));
    }
    let ends = moment.after_ms(found.checkpoint.lease_ms).min(agreed);
    // Nothing is taken away from what runs longer already.
    within_whole(state, task, ends.max(found.task.ends), moment)
}

/// What norms say against it.
fn objections(state: &State, caller: &Caller, id: &TaskId, task: &TaskState, moment: Moment) -> Vec<Reason> {
    let (Some(policies), Some(agent)) = (state.policies(), caller.chain.last()) else {
        let nobody =
            crate::decision::Decision::refusal(Code::Policy, "no policies are in force".to_owned(), None, Facts::default());
        return nobody.reasons;
    };
    let facts = gather::renewal(state, caller, id, task, moment);
    policies.norms_on_renewal(agent, caller.chain.len() > 1, &format!("task:{id}"), &facts).reasons
}

/// A task that nobody ended, nor anything that it is a part of.
fn renewable<'s>(state: &'s State, task: &TaskId) -> Result<&'s TaskState, NotRenewed> {
    let found = state.task(task).ok_or_else(|| NotRenewed::Unknown(task.clone()))?;
    if state.line_of(task).any(|of| of.ended) { Err(NotRenewed::Ended(task.clone())) } else { Ok(found) }
}

/// A part runs on with the whole, and not beyond it.
fn within_whole(state: &State, task: &TaskId, ends: Moment, moment: Moment) -> Result<Moment, NotRenewed> {
    let whole = state.line_of(task).skip(1).map(|of| of.task.ends).min();
    let ends = whole.map_or(ends, |whole| whole.min(ends));
    if ends <= moment { Err(NotRenewed::Part(task.clone())) } else { Ok(ends) }
}
