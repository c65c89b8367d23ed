//! Tasks: why a chain acts at all, for whom the answer is, and within which bounds.

use crate::effect::Effect;
use crate::moment::Moment;
use crate::name::{PrincipalId, TaskId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many links a chain may have: the person, and agents below.
pub const CHAIN_DEPTH_MAX: usize = 8;
/// The longest lease of a task, in milliseconds.
pub const LEASE_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// What a task may use up. `None` is without a bound; for a sub-task, whatever its parent has left.
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

/// What a budget bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Calls that went through.
    Calls,
    /// Items read.
    Items,
    /// Distinct recipients.
    Recipients,
    /// Money.
    Amount,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Quantity; 4] = [Quantity::Calls, Quantity::Items, Quantity::Recipients, Quantity::Amount];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Quantity::Calls => "calls",
            Quantity::Items => "items",
            Quantity::Recipients => "recipients",
            Quantity::Amount => "amount",
        }
    }
}

impl Budget {
    /// The bound of this quantity.
    #[must_use]
    pub fn of(&self, quantity: Quantity) -> Option<u64> {
        match quantity {
            Quantity::Calls => self.calls,
            Quantity::Items => self.items,
            Quantity::Recipients => self.recipients,
            Quantity::Amount => self.amount,
        }
    }
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
    /// The requester agreed that it runs until then, if its lease is earned again at each checkpoint; `None`: it ends with its lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// The task that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// Whether it has flow state of its own, apart from its parent's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
    /// Of a sub-task: the chain through which it was handed on, the person first and its own agent last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<PrincipalId>,
}

impl Task {
    /// Until when it runs at most, unless a person renews it for longer.
    #[must_use]
    pub fn agreed_until(&self) -> Moment {
        self.until.map_or(self.ends, |until| until.max(self.ends))
    }

    /// Whether calls of this chain may be for this task: it begins with those through whom the task came.
    #[must_use]
    pub fn is_for(&self, chain: &[PrincipalId]) -> bool {
        match self.chain.as_slice() {
            [] => chain.first() == Some(&self.requester) && chain.get(1) == Some(&self.agent),
            through => chain.starts_with(through),
        }
    }
}

/// Who calls: the chain, outermost (a person) first, and the task that the credential names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The chain: a person, then agents.
    pub chain: Vec<PrincipalId>,
    /// The task; a person acting directly has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The key that the caller proved to hold, as its thumbprint (RFC 7638). A bearer of a token proves none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// The client to which the credential was issued (RFC 6749, section 2), where that is not the agent itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Arc<str>>,
}

impl Caller {
    /// A caller who proved no key.
    #[must_use]
    pub fn new(chain: Vec<PrincipalId>, task: Option<TaskId>) -> Self {
        Self { chain, task, key: None, client: None }
    }
}
