//! Who may stop what, and let it go on.
//!
//! Stopping is for everybody who answers for something; letting go is for those who answer for it and did not profit from it.

use crate::name::PrincipalId;
use crate::standing::Target;
use crate::state::State;

/// By whose right something is stopped or let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Whoever runs this installation, in the name of a person.
    Operator,
    /// The person themself.
    Own,
}

/// Why something is not stopped, or not let go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotContained {
    /// Whoever decides it is not here.
    #[error("`{0}` is no active person of the directory")]
    Nobody(PrincipalId),
    /// There is nothing of this name.
    #[error("there is no {0}")]
    Unknown(Target),
    /// It is not theirs to decide.
    #[error("`{0}` does not answer for {1}, so others have to decide this")]
    NotTheirs(PrincipalId, Target),
    /// It goes on anyway.
    #[error("{0} is not stopped")]
    NotStopped(Target),
}

/// Whether `by` may stop `target`: those who asked for it, own an agent of it or vouched for one.
///
/// # Errors
/// Why not.
pub fn may_kill(state: &State, target: &Target, by: &PrincipalId, right: Right) -> Result<(), NotContained> {
    is_known(state, target, by)?;
    let is_theirs = match target {
        Target::Task(task) => state.task(task).is_some_and(|task| task.task.requester == *by) || answers_for(state, target, by),
        Target::Owner(person) => person == by,
        Target::Agent(_) | Target::Key(_) | Target::Client(_) => answers_for(state, target, by),
    };
    allowed(right == Right::Operator || is_theirs, target, by)
}

/// Whether `by` may let `target` go on. What a person stopped only that person or the operator lets go; what a breaker froze, those who answer
/// for an agent of it, except the one for whom it ran away.
///
/// # Errors
/// Why not.
pub fn may_reset(state: &State, target: &Target, by: &PrincipalId, right: Right) -> Result<(), NotContained> {
    is_known(state, target, by)?;
    let killer = state.kills().find(|(killed, _)| *killed == target).map(|(_, killer)| killer);
    let is_frozen = state.freezes().any(|(frozen, _)| frozen == *target);
    let is_theirs = match killer {
        Some(killer) => killer == by,
        None if is_frozen => !asked_for(state, target, by) && answers_for(state, target, by),
        None => return Err(NotContained::NotStopped(target.clone())),
    };
    allowed(right == Right::Operator || is_theirs, target, by)
}

fn allowed(is_allowed: bool, target: &Target, by: &PrincipalId) -> Result<(), NotContained> {
    if is_allowed { Ok(()) } else { Err(NotContained::NotTheirs(by.clone(), target.clone())) }
}

/// A person who is here decides, and what is named exists. Keys and clients are known to those who issued to them, and a stolen key to nobody.
fn is_known(state: &State, target: &Target, by: &PrincipalId) -> Result<(), NotContained> {
    let directory = state.directory();
    if directory.person(by.as_str()).is_none() {
        return Err(NotContained::Nobody(by.clone()));
    }
    let is_there = match target {
        Target::Task(task) => state.task(task).is_some(),
        Target::Agent(agent) => directory.agent_record(agent.as_str()).is_some(),
        Target::Owner(person) => directory.knows_person(person.as_str()),
        Target::Key(_) | Target::Client(_) => true,
    };
    if is_there { Ok(()) } else { Err(NotContained::Unknown(target.clone())) }
}

fn asked_for(state: &State, target: &Target, person: &PrincipalId) -> bool {
    matches!(target, Target::Task(task) if state.task(task).is_some_and(|task| task.task.requester == *person))
}

/// Whether this person owns an agent of the target, or vouched for it.
fn answers_for(state: &State, target: &Target, person: &PrincipalId) -> bool {
    let answers = |agent: &PrincipalId| {
        let record = state.directory().agent_record(agent.as_str());
        record.is_some_and(|record| record.owner == *person || record.registration.sponsor.as_ref() == Some(person))
    };
    match target {
        Target::Task(task) => {
            state.task(task).is_some_and(|state| answers(&state.task.agent) || state.task.chain.iter().any(answers))
        }
        Target::Agent(agent) => answers(agent),
        Target::Key(key) => state.holders_of(key).any(answers),
        Target::Owner(_) | Target::Client(_) => false,
    }
}
