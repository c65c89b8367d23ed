//! Where the authorization server meets the engine: tasks begin, are looked up and end here, and nowhere else in it.

use engine::{DelegateError, Engine, NewTask, RenewError, StartTaskError};
use judge::decision::Code;
use judge::delegation::{NotHandedOn, Part};
use judge::event::{Issued, Refused};
use judge::moment::Moment;
use judge::name::{PrincipalId, TaskId};
use judge::registration;
use judge::renewal::{NotRenewed, by_rule};
use judge::task::{Caller, Task};
use wire::assertion::Identity;

use super::config::{Config, PersonBy};
use super::details::TaskDetails;
use super::error::Refusal;

/// The purpose of a task of which nobody said one.
const NO_PURPOSE: &str = "general help";

/// Begins a task of `requester` for `agent`: what `details` say, for no longer than is configured, with checkpoints as configured.
///
/// # Errors
/// When the engine refuses it, or cannot record it.
pub async fn start(
    engine: &Engine,
    requester: &PrincipalId,
    agent: &PrincipalId,
    details: TaskDetails,
    config: &Config,
) -> Result<Task, Refusal> {
    let new = NewTask {
        requester: requester.clone(),
        agent: agent.clone(),
        purpose: details.purpose.unwrap_or_else(|| NO_PURPOSE.to_owned()),
        words: details.words,
        address: details.address,
        effects: details.effects,
        resources: details.resources,
        tools: details.tools,
        address_open: false,
        budget: details.budget,
        lease_ms: details.lease_ms.unwrap_or(config.lease_ms_max).min(config.lease_ms_max),
        checkpoint_ms: Some(config.checkpoint_ms),
    };
    engine.start_task(new).await.map_err(|error| match error {
        StartTaskError::Unavailable(error) => error.into(),
        StartTaskError::Requester(_)
        | StartTaskError::Agent(_)
        | StartTaskError::Registration(_)
        | StartTaskError::Stopped(_)
        | StartTaskError::Lease { .. } => Refusal::Grant(error.to_string()),
    })
}

/// A task that still runs at `now`.
#[must_use]
pub fn running(engine: &Engine, task: &str) -> Option<(Task, Moment)> {
    let task = TaskId::parse(task).ok()?;
    engine.view(|state, now| {
        // What a task came out of has to run as well.
        let runs = state.line_of(&task).all(|task| !task.ended && now < task.task.ends);
        state.task(&task).filter(|_| runs).map(|task| (task.task.clone(), now))
    })
}

/// A task that nobody ended, nor anything that it came out of, whether their leases run or not.
#[must_use]
pub fn unended(engine: &Engine, task: &str) -> Option<Task> {
    let task = TaskId::parse(task).ok()?;
    engine.view(|state, _| {
        let is_ended = state.line_of(&task).any(|task| task.ended);
        state.task(&task).filter(|_| !is_ended).map(|task| task.task.clone())
    })
}

/// Whether the lease of the caller's task runs, or can be earned again by rule.
///
/// # Errors
/// [`Refusal::Checkpoint`]: a person has to look first.
pub fn may_renew(engine: &Engine, caller: &Caller, task: &Task) -> Result<(), Refusal> {
    engine.view(|state, now| {
        if now < task.ends {
            return Ok(());
        }
        by_rule(state, caller, now).map(drop).map_err(not_renewed)
    })
}

/// The caller's task, with its lease earned again by rule where it would end within `soon_ms`. What is left of a lease is theirs all the same.
///
/// # Errors
/// [`Refusal::Checkpoint`]: it is over, and a person has to look first.
pub async fn renewed(engine: &Engine, caller: &Caller, task: Task, soon_ms: u64) -> Result<Task, Refusal> {
    if engine.now().after_ms(soon_ms) < task.ends {
        return Ok(task);
    }
    match engine.renew_by_rule(caller).await {
        Ok(renewed) => Ok(renewed),
        Err(RenewError::Unavailable(error)) => Err(error.into()),
        Err(RenewError::Not(_)) if engine.now() < task.ends => Ok(task),
        Err(RenewError::Not(why)) => Err(not_renewed(why)),
    }
}

fn not_renewed(why: NotRenewed) -> Refusal {
    match why {
        NotRenewed::Person(_) | NotRenewed::Agreed | NotRenewed::Part(_) => Refusal::Checkpoint(format!(
            "the lease is over: {why}; once somebody has renewed it ('prudence task renew'), refresh again"
        )),
        NotRenewed::Unknown(_)
        | NotRenewed::Ended(_)
        | NotRenewed::Nobody(_)
        | NotRenewed::SomebodyElse { .. }
        | NotRenewed::Lease { .. }
        | NotRenewed::Stopped { .. } => Refusal::Grant(why.to_string()),
    }
}

/// Hands a part of the caller's task on.
///
/// # Errors
/// When it would be more than there is, or cannot be recorded.
pub async fn hand_on(engine: &Engine, caller: &Caller, part: &Part) -> Result<Task, Refusal> {
    engine.delegate(caller, part).await.map_err(|error| match error {
        DelegateError::Unavailable(error) => error.into(),
        DelegateError::Beyond(why @ NotHandedOn::Effect(_)) => Refusal::Scope(why.to_string()),
        DelegateError::Beyond(
            why @ (NotHandedOn::Parent { .. }
            | NotHandedOn::Agent(_)
            | NotHandedOn::Registration(_)
            | NotHandedOn::Depth
            | NotHandedOn::Many),
        ) => {
            // RFC 8693 §2.2.2.
            Refusal::Request(why.to_string())
        }
        DelegateError::Beyond(
            why @ (NotHandedOn::Resource(_) | NotHandedOn::Tool(_) | NotHandedOn::Budget { .. } | NotHandedOn::Lease),
        ) => Refusal::Details(why.to_string()),
    })
}

/// Whether a chain may have a credential: nothing of it was stopped by a person or by a breaker, and its agents are registered for it.
///
/// # Errors
/// [`Refusal::Grant`].
pub fn may_go_on(engine: &Engine, caller: &Caller) -> Result<(), Refusal> {
    engine.view(|state, now| {
        let killed = state.killed(caller).map(|(target, _)| target);
        if let Some(target) = killed.or_else(|| state.frozen(caller).map(|(target, _)| target)) {
            return Err(Refusal::Grant(format!("stopped: {target}")));
        }
        let task = caller.task.as_ref().and_then(|task| state.task(task));
        let purpose = task.map_or("", |task| task.task.purpose.as_str());
        registration::may_hold(state.directory(), caller, purpose, now).map_err(|why| Refusal::Grant(why.to_string()))
    })
}

/// Records that a credential was issued, before anybody has it.
///
/// # Errors
/// When it cannot be recorded.
pub async fn issued(engine: &Engine, issued: Issued) -> Result<(), Refusal> {
    engine.credential_issued(issued).await.map_err(Refusal::from)
}

/// Ends a task: whoever holds a token of it has nothing from now on.
///
/// # Errors
/// When it cannot be recorded.
pub async fn end(engine: &Engine, task: &str) -> Result<(), Refusal> {
    let Ok(task) = TaskId::parse(task) else { return Ok(()) };
    engine.end_task(&task).await.map(drop).map_err(Refusal::from)
}

/// Whether an agent is registered, and somebody who is here answers for it.
#[must_use]
pub fn owner_of(engine: &Engine, agent: &PrincipalId) -> Option<PrincipalId> {
    engine.view(|state, _| {
        let owner = &state.directory().agent(agent.as_str())?.owner;
        state.directory().person(owner.as_str()).is_some().then(|| owner.clone())
    })
}

/// The person of the directory whom an identity provider names.
#[must_use]
pub fn person(engine: &Engine, by: PersonBy, identity: &Identity) -> Option<PrincipalId> {
    engine.view(|state, _| {
        let directory = state.directory();
        let person = match by {
            PersonBy::Subject => PrincipalId::parse(&identity.subject).ok()?,
            PersonBy::Email => directory.by_address(identity.email.as_deref()?)?.clone(),
        };
        directory.person(person.as_str()).is_some().then_some(person)
    })
}

/// How many people of the directory these names are, and whether somebody from outside is among them.
#[must_use]
pub fn audience(engine: &Engine, names: &[String]) -> (u64, bool) {
    engine.view(|state, _| {
        let reach = state.directory().reach_of_all(names.iter().map(String::as_str));
        (reach.people.bits().len(), reach.public || !reach.external.is_empty())
    })
}

/// Records what was refused here.
pub async fn refused(engine: &Engine, sentence: String) {
    let refused = Refused { code: Code::Authentication, sentence, caller: None, tool: None };
    if let Err(unavailable) = engine.refuse(refused).await {
        tracing::error!(%unavailable, "a refusal could not be recorded");
    }
}
