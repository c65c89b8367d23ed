//! Standing: who and what was stopped, by a person or by a breaker, and which key belongs to whom.
//!
//! What is stopped is looked up for every call, so everything here is found by name, and nothing is found fast when nothing is stopped.

use crate::moment::Moment;
use crate::name::{DecisionId, NormId, PrincipalId, TaskId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What can be stopped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A task with all its sub-tasks.
    Task(TaskId),
    /// An agent: every task with it in its chain, and no new one.
    Agent(PrincipalId),
    /// A person with all agents that they own and all tasks that they asked for.
    Owner(PrincipalId),
    /// Every credential that is bound to this key, by its thumbprint (RFC 7638).
    Key(Arc<str>),
    /// Every credential that was issued to this client.
    Client(Arc<str>),
}

impl std::str::FromStr for Target {
    type Err = String;

    /// `task:ID`, `agent:NAME`, `owner:PERSON`, `key:THUMBPRINT` or `client:ID`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        // A name has the same bounds whatever it names.
        let id = PrincipalId::parse(name).map_err(|error| error.to_string());
        match kind {
            "task" => TaskId::parse(name).map(Target::Task).map_err(|error| error.to_string()),
            "agent" => id.map(Target::Agent),
            "owner" => id.map(Target::Owner),
            "key" => id.map(|key| Target::Key(key.shared())),
            "client" => id.map(|client| Target::Client(client.shared())),
            _ => Err("expected `task:ID`, `agent:NAME`, `owner:PERSON`, `key:THUMBPRINT` or `client:ID`".to_owned()),
        }
    }
}

impl Target {
    /// The words that [`std::str::FromStr`] reads.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Target::Task(task) => format!("task:{task}"),
            Target::Agent(agent) => format!("agent:{agent}"),
            Target::Owner(person) => format!("owner:{person}"),
            Target::Key(key) => format!("key:{key}"),
            Target::Client(client) => format!("client:{client}"),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Task(task) => write!(f, "task {task}"),
            Target::Agent(agent) => write!(f, "agent {agent}"),
            Target::Owner(person) => write!(f, "everything of {person}"),
            Target::Key(key) => write!(f, "key {key}"),
            Target::Client(client) => write!(f, "client {client}"),
        }
    }
}

/// How much a breaker stops: the root task with its sub-tasks, or everything of the agent or of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The root task.
    Task,
    /// The agent that called.
    Agent,
    /// Everything of the person who owns that agent.
    Owner,
}

impl Scope {
    /// The scope of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Scope::Task, Scope::Agent, Scope::Owner].into_iter().find(|scope| scope.word() == word)
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Scope::Task => "task",
            Scope::Agent => "agent",
            Scope::Owner => "owner",
        }
    }
}

/// A breaker that has tripped and was not reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// When.
    pub at: Moment,
    /// By which norm.
    pub norm: NormId,
    /// At which decision.
    pub decision: DecisionId,
}

/// Everything that is stopped beside single tasks.
#[derive(Debug, Default)]
pub(crate) struct Stopped {
    /// By whom.
    killed: BTreeMap<Target, PrincipalId>,
    frozen: BTreeMap<Target, Frozen>,
}

impl Stopped {
    pub(crate) fn is_empty(&self) -> bool {
        self.killed.is_empty() && self.frozen.is_empty()
    }

    pub(crate) fn kill(&mut self, target: Target, by: PrincipalId) {
        self.killed.entry(target).or_insert(by);
    }

    /// Takes back a kill and a freeze.
    pub(crate) fn release(&mut self, target: &Target) {
        self.killed.remove(target);
        self.frozen.remove(target);
    }

    pub(crate) fn freeze(&mut self, target: Target, frozen: Frozen) {
        self.frozen.entry(target).or_insert(frozen);
    }

    pub(crate) fn killed(&self, target: &Target) -> Option<&PrincipalId> {
        self.killed.get(target)
    }

    pub(crate) fn frozen(&self, target: &Target) -> Option<&Frozen> {
        self.frozen.get(target)
    }

    /// Everything, for a digest.
    pub(crate) fn list(&self) -> impl Serialize {
        (self.killed.iter().collect::<Vec<_>>(), self.frozen.iter().collect::<Vec<_>>())
    }

    /// Everything that is stopped, with who did it.
    pub(crate) fn kills(&self) -> impl Iterator<Item = (&Target, &PrincipalId)> {
        self.killed.iter()
    }

    /// Everything that is frozen beside single tasks.
    pub(crate) fn freezes(&self) -> impl Iterator<Item = (&Target, &Frozen)> {
        self.frozen.iter()
    }
}

/// Which agents hold which keys, as their credentials say.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Holders(BTreeMap<Arc<str>, BTreeSet<PrincipalId>>);

/// How many keys are remembered; later ones count as nobody's, and so as foreign to every task that has one.
const KEYS_MAX: usize = 1_000_000;

impl Holders {
    pub(crate) fn add(&mut self, key: &Arc<str>, agent: &PrincipalId) {
        if self.0.len() < KEYS_MAX || self.0.contains_key(key) {
            self.0.entry(key.clone()).or_default().insert(agent.clone());
        }
    }

    /// The agents with a credential that is bound to this key.
    pub(crate) fn of(&self, key: &str) -> impl Iterator<Item = &PrincipalId> {
        self.0.get(key).into_iter().flatten()
    }

    /// Whether an agent outside of this chain has a credential that is bound to this key. Those of one chain may live in one process.
    pub(crate) fn is_shared(&self, key: &str, chain: &[PrincipalId]) -> bool {
        self.0.get(key).is_some_and(|agents| agents.iter().any(|agent| !chain.contains(agent)))
    }
}
