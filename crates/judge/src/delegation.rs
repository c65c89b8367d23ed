//! Delegation: a sub-task is within its parent's, carved out of what is left, and ends with it.
//!
//! Less is checked here and nowhere else, when the sub-task is made; what a sub-task does is then judged by its own lists, and what it uses is
//! charged to whoever has the budget for it ([`crate::state::State::budget_left`]).

use crate::decision::Code;
use crate::effect::Effect;
use crate::moment::Moment;
use crate::name::{PrincipalId, TaskId};
use crate::pattern;
use crate::registration::{NotFor, is_for};
use crate::state::State;
use crate::task::{Budget, CHAIN_DEPTH_MAX, Caller, Quantity, Task};
use std::collections::BTreeSet;

/// How many sub-tasks one task may have, of all depths, those that ended included.
pub const SUBTASKS_MAX: u64 = 1_000;

/// What is handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// To whom.
    pub agent: PrincipalId,
    /// The effects; `None` for all of the parent's.
    pub effects: Option<BTreeSet<Effect>>,
    /// The resources, as names and patterns; `None` for all of the parent's.
    pub resources: Option<Vec<String>>,
    /// The tools, as names and patterns; `None` for all of the parent's.
    pub tools: Option<BTreeSet<String>>,
    /// What is taken out of what the parent has left. What is not said is shared with it.
    pub budget: Budget,
    /// Until then; `None` for as long as the parent.
    pub ends: Option<Moment>,
    /// Whether it has flow state of its own.
    pub isolated: bool,
}

impl Part {
    /// Everything that the parent has, for `agent`.
    #[must_use]
    pub fn whole(agent: PrincipalId) -> Self {
        Self { agent, effects: None, resources: None, tools: None, budget: Budget::default(), ends: None, isolated: false }
    }
}

/// Why nothing was handed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHandedOn {
    /// Whoever hands on has no task that could be used now.
    #[error("{sentence}")]
    Parent {
        /// What kind of refusal it is.
        code: Code,
        /// Why.
        sentence: String,
    },
    /// The agent is not registered, or nobody answers for it.
    #[error("`{0}` is no registered agent whose owner is here")]
    Agent(PrincipalId),
    /// The agent is not registered for it.
    #[error(transparent)]
    Registration(#[from] NotFor),
    /// The chain would be too long.
    #[error("a chain has at most {CHAIN_DEPTH_MAX} links")]
    Depth,
    /// Too many sub-tasks.
    #[error("this task had {SUBTASKS_MAX} sub-tasks already")]
    Many,
    /// An effect that the parent does not have.
    #[error("the task does not have the effect {}", .0.word())]
    Effect(Effect),
    /// A resource that the parent does not have.
    #[error("the task does not have the resource `{0}`")]
    Resource(String),
    /// A tool that the parent does not have.
    #[error("the task does not have the tool `{0}`")]
    Tool(String),
    /// More than is left.
    #[error("{asked} {what} are asked for, and the task has {left} left")]
    Budget {
        /// Of what.
        what: &'static str,
        /// How much.
        asked: u64,
        /// How much there is.
        left: u64,
    },
    /// It would be over before it begins, or outlive its parent.
    #[error("a sub-task ends with its task at the latest, and not before it begins")]
    Lease,
}

impl NotHandedOn {
    /// The code of the refusal.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Parent { code, .. } => *code,
            Self::Agent(_)
            | Self::Registration(_)
            | Self::Depth
            | Self::Many
            | Self::Effect(_)
            | Self::Resource(_)
            | Self::Tool(_)
            | Self::Budget { .. }
            | Self::Lease => Code::Delegation,
        }
    }
}

/// The sub-task `id` that `caller` hands on out of its own at `moment`.
///
/// # Errors
/// [`NotHandedOn`]: it would be more than the caller has.
pub fn delegate(state: &State, caller: &Caller, id: TaskId, part: &Part, moment: Moment) -> Result<Task, NotHandedOn> {
    if let Err(refused) = crate::decide::authenticate_caller(state, caller) {
        let sentence = refused.reasons.first().map(|reason| reason.sentence.clone()).unwrap_or_default();
        let code = refused.code().unwrap_or(Code::Authentication);
        return Err(NotHandedOn::Parent { code, sentence });
    }
    let parent = caller.task.as_ref().and_then(|task| state.task(task)).ok_or_else(|| NotHandedOn::Parent {
        code: Code::Authentication,
        sentence: "only what has a task can hand a part of it on".to_owned(),
    })?;
    if state.subtasks_of(&parent.task.id) >= SUBTASKS_MAX {
        return Err(NotHandedOn::Many);
    }
    let parent = &parent.task;
    if moment < parent.starts || moment >= parent.ends {
        return Err(NotHandedOn::Lease);
    }
    let directory = state.directory();
    let agent = directory.agent(part.agent.as_str()).filter(|agent| directory.person(agent.owner.as_str()).is_some());
    let agent = agent.ok_or_else(|| NotHandedOn::Agent(part.agent.clone()))?;
    let mut chain = caller.chain.clone();
    chain.push(part.agent.clone());
    if chain.len() > CHAIN_DEPTH_MAX {
        return Err(NotHandedOn::Depth);
    }
    is_for(directory, agent, &parent.purpose, None, moment)?;
    let most = agent.registration.effects.as_ref();
    let ends = part.ends.unwrap_or(parent.ends);
    if ends <= moment || ends > parent.ends {
        return Err(NotHandedOn::Lease);
    }
    for what in Quantity::ALL {
        let (Some(asked), Some(left)) = (part.budget.of(what), state.budget_left(&parent.id, what)) else { continue };
        if asked > left {
            return Err(NotHandedOn::Budget { what: what.word(), asked, left });
        }
    }
    Ok(Task {
        id,
        requester: parent.requester.clone(),
        agent: part.agent.clone(),
        purpose: parent.purpose.clone(),
        words: parent.words.clone(),
        address: parent.address.clone(),
        effects: effects(parent.effects.as_ref(), part.effects.as_ref(), most)?,
        resources: resources(parent.resources.as_deref(), part.resources.as_deref())?,
        tools: tools(parent.tools.as_ref(), part.tools.as_ref())?,
        address_open: parent.address_open,
        budget: part.budget,
        starts: moment,
        ends,
        // What was handed on for a time of its own ends then; the rest runs on with the whole.
        until: parent.until.filter(|_| part.ends.is_none()),
        parent: Some(parent.id.clone()),
        isolated: part.isolated,
        chain,
    })
}

/// What is asked for where the parent has all of it, else everything that the parent has; never more than the agent is registered for.
fn effects(
    parent: Option<&BTreeSet<Effect>>,
    asked: Option<&BTreeSet<Effect>>,
    most: Option<&BTreeSet<Effect>>,
) -> Result<Option<BTreeSet<Effect>>, NotHandedOn> {
    let beyond = |bound: Option<&BTreeSet<Effect>>| {
        asked.zip(bound).and_then(|(asked, bound)| asked.iter().find(|effect| !bound.contains(effect)).copied())
    };
    if let Some(effect) = beyond(parent).or_else(|| beyond(most)) {
        return Err(NotHandedOn::Effect(effect));
    }
    let all = asked.or(parent).or(most).cloned();
    Ok(all.map(|all| match most {
        Some(most) => all.intersection(most).copied().collect(),
        None => all,
    }))
}

fn resources(parent: Option<&[String]>, asked: Option<&[String]>) -> Result<Option<Vec<String>>, NotHandedOn> {
    match (parent, asked) {
        (Some(parent), Some(asked)) => match asked.iter().find(|asked| !is_covered(parent, asked)) {
            Some(beyond) => Err(NotHandedOn::Resource(beyond.clone())),
            None => Ok(Some(asked.to_vec())),
        },
        (_, Some(all)) | (Some(all), None) => Ok(Some(all.to_vec())),
        (None, None) => Ok(None),
    }
}

fn tools(parent: Option<&BTreeSet<String>>, asked: Option<&BTreeSet<String>>) -> Result<Option<BTreeSet<String>>, NotHandedOn> {
    match (parent, asked) {
        (Some(parent), Some(asked)) => match asked.iter().find(|asked| !is_covered(parent, asked)) {
            Some(beyond) => Err(NotHandedOn::Tool(beyond.clone())),
            None => Ok(Some(asked.clone())),
        },
        (_, Some(all)) | (Some(all), None) => Ok(Some(all.clone())),
        (None, None) => Ok(None),
    }
}

/// Whether everything that `asked` matches is matched by one of `patterns`.
fn is_covered<'a>(patterns: impl IntoIterator<Item = &'a String>, asked: &str) -> bool {
    patterns.into_iter().any(|pattern| pattern::covers(pattern, asked))
}

#[cfg(test)]
mod tests;
