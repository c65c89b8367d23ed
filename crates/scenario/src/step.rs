//! A scenario after it was checked: every name is a name, every moment a number, every step number exists.

use crate::report::Expected;
use judge::act::Change;
use judge::delegation::Part;
use judge::directory::DirectoryDocument;
use judge::effect::Effect;
use judge::name::{PrincipalId, ResourceId, TaskId};
use judge::pattern::PatternMap;
use judge::task::{Caller, Task};
use std::collections::BTreeMap;

/// A scenario that was read and checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its id.
    pub id: String,
    /// What it is about, in one sentence.
    pub about: String,
    /// Where it was reported.
    pub source: String,
    /// Ids of public catalogues of attacks.
    pub tags: Vec<String>,
    /// What a reader should know about the file: names that it uses and does not introduce.
    pub notes: Vec<String>,
    pub(crate) directory: DirectoryDocument,
    pub(crate) contents: PatternMap<String>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) number: usize,
    /// From the start of the scenario.
    pub(crate) at_ms: u64,
    pub(crate) what: What,
    pub(crate) expected: Expected,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Something that happens to the world and is not judged.
    Event(WorldEvent),
    /// An act that is judged.
    Act(Box<ActStep>),
    /// A person answers the ask of an earlier step.
    Answer { by: PrincipalId, step: usize, yes: bool },
    /// A child task is handed on.
    Delegate { caller: Caller, task: TaskId, part: Box<Part>, lease_ms: Option<u64> },
    /// A person stops a task.
    Kill { task: TaskId },
}

#[derive(Debug, Clone)]
pub(crate) enum WorldEvent {
    Join { member: String, group: String },
    Leave { member: String, group: String },
    Left(PrincipalId),
}

#[derive(Debug, Clone)]
pub(crate) struct ActStep {
    pub(crate) caller: Caller,
    pub(crate) effect: Effect,
    pub(crate) on: Vec<ResourceId>,
    pub(crate) to: Vec<String>,
    pub(crate) content: Option<String>,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) amount: Option<u64>,
    pub(crate) change: Option<Change>,
    pub(crate) because: Option<usize>,
    pub(crate) times: u64,
    pub(crate) every_ms: u64,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let chain = |caller: &Caller| caller.chain.iter().map(PrincipalId::as_str).collect::<Vec<_>>().join(" > ");
        match self {
            What::Event(WorldEvent::Join { member, group }) => write!(f, "{member} joins {group}"),
            What::Event(WorldEvent::Leave { member, group }) => write!(f, "{member} leaves {group}"),
            What::Event(WorldEvent::Left(person)) => write!(f, "{person} has left"),
            What::Answer { by, step, yes } => write!(f, "{by} {} step {step}", if *yes { "approves" } else { "denies" }),
            What::Delegate { caller, task, part, .. } => write!(f, "{}: delegate {task} to {}", chain(caller), part.agent),
            What::Kill { task } => write!(f, "kill {task}"),
            What::Act(act) => {
                write!(f, "{}: {}", chain(&act.caller), act.effect.word())?;
                for resource in &act.on {
                    write!(f, " {resource}")?;
                }
                if !act.to.is_empty() {
                    write!(f, " to {}", act.to.join(", "))?;
                }
                if act.times > 1 {
                    write!(f, ", {} times", act.times)?;
                }
                Ok(())
            }
        }
    }
}
