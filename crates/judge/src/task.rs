//! Tasks: why a chain acts at all, for whom the answer is, and within which bounds.

use crate::effect::Effect;
use crate::moment::Moment;
use crate::name::{PrincipalId, TaskId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many links a chain may have: the person, and agents below.
pub const CHAIN_DEPTH_MAX: usize = 8;

/// What a task may use up. `None` is without a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Calls.
    pub calls: Option<u64>,
    /// Items read.
    pub items: Option<u64>,
    /// Distinct recipients.
    pub recipients: Option<u64>,
    /// Money, in the unit of the amounts that contracts report.
    pub amount: Option<u64>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Which.
    pub id: TaskId,
    /// The person who asked.
    pub requester: PrincipalId,
    /// The agent who was asked.
    pub agent: PrincipalId,
    /// What for: one word that labels' purposes are compared with, or a sentence.
    pub purpose: String,
    /// What the requester said.
    pub words: String,
    /// Who the answer is for, as names; the requester alone when nothing was said.
    pub address: Vec<String>,
    /// The effects that the task names; `None` when it names none in particular.
    pub effects: Option<BTreeSet<Effect>>,
    /// The resources that the task names, as names and patterns; `None` when it names none in particular.
    pub resources: Option<Vec<String>>,
    /// The tools that it names for anything beyond reading, as names and patterns; `None` when it names none in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeSet<String>>,
    /// Whether the requester left open who the answer goes to: then those count as well whom an established relation or the system of record names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub address_open: bool,
    /// What it may use up.
    pub budget: Budget,
    /// The lease starts here.
    pub starts: Moment,
    /// The lease ends here.
    pub ends: Moment,
    /// The task that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// Whether it has flow state of its own, apart from its parent's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
}

/// Who calls: the chain, outermost (a person) first, and the task that the credential names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The chain: a person, then agents.
    pub chain: Vec<PrincipalId>,
    /// The task; a person acting directly has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}
