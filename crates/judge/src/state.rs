//! The state: a fold of events. Replaying the ledger rebuilds it byte for byte ([`State::digest`]).
//!
//! What is derived (resolved sets, compiled policies, the text index) is kept beside what is folded, and can be thrown away.
//! Applying never fails: an event that does not fit leaves the state as it was, because the ledger is what happened.

use crate::act::{ITEMS_MAX, REST, reads_of};
use crate::content::{ContentKey, Index};
use crate::decision::Outcome;
use crate::decision::Reason;
use crate::digest::Digest;
use crate::directory::{Directory, DirectoryError, Post, PrincipalTable};
use crate::effect::Effect;
use crate::event::{
    ActRecord, Answered, Asked, Bundle, Decided, DirectoryChanged, Ended, Event, Issued, LabelRecord, Observed, Record,
    SetRecord, Trip,
};
use crate::facts::Facts;
use crate::label::{Classification, Label};
use crate::moment::Moment;
use crate::name::{AskId, DecisionId, NormId, PrincipalId, ResourceId, TaskId, ToolId};
use crate::policy::{Policies, PolicyError};
use crate::provenance::{Origin, families_named};
use crate::reach::{PeopleSet, Reach, ReachRecord};
use crate::standing::{Frozen, Holders, Scope, Stopped, Target};
use crate::task::{Budget, CHAIN_DEPTH_MAX, Caller, Quantity, Task};
use crate::tempo::{Distinct, History, Measures, TaskTempo};
use crate::value::{Words, normal};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many different things one flow remembers to have read. Beyond it the task cannot read any more.
pub const READS_MAX: usize = 50_000;
/// How many asks one task may make. Somebody who is asked more often than this answers without reading.
pub const ASKS_MAX: u64 = 1_000;
/// How many acts of agents are remembered as something that a change may rest on.
pub const ADVICE_MAX: usize = 100_000;
/// How many refused answers to enforcement points can be asked about at once; the oldest are forgotten first.
pub const REQUESTABLE_MAX: usize = 100_000;
/// How many counterparts of the past are remembered; what comes after them stays unknown, and is asked about.
pub const PAST_MAX: usize = 1_000_000;
/// How many values that the system of record stated one flow remembers.
pub const ATTESTED_MAX: usize = 200_000;
/// How many keys one agent may have for one task; a further one is foreign.
pub const KEYS_OF_TASK_MAX: usize = 64;
/// How long after its end a task, its flow and its asks are still known, in milliseconds.
pub const TASK_RETENTION_MS: u64 = 24 * 60 * 60 * 1000;

/// A label that is in use, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelId(u32);

#[derive(Debug)]
struct LabelEntry {
    label: Label,
    /// Derived: everyone cleared for it under the present directory.
    cleared: Reach,
}

/// Labels in use, each once.
#[derive(Debug, Default)]
struct LabelTable {
    entries: Vec<LabelEntry>,
    numbers: BTreeMap<LabelRecord, LabelId>,
}

/// What one task (with all its sub-tasks that are not isolated) has read.
#[derive(Default)]
pub struct Flow {
    reads: Vec<(ResourceId, LabelId)>,
    seen: BTreeSet<(ResourceId, LabelId, Digest)>,
    labels: BTreeSet<LabelId>,
    items: BTreeSet<ResourceId>,
    /// Values that the system of record stated, by family and print, each with whether the requester's words name it.
    attested: BTreeMap<Arc<str>, BTreeMap<u64, bool>>,
    attested_count: usize,
    partial: bool,
    index: Index,
    derived: FlowSummary,
    /// Labels of what the requester did not own when it was read.
    foreign: BTreeSet<LabelId>,
    /// Derived: the same for those alone.
    derived_foreign: FlowSummary,
}

/// Derived: what a flow could put into anything that leaves it.
#[derive(Debug, Clone)]
pub(crate) struct FlowSummary {
    pub(crate) cleared: Reach,
    /// The join of all labels: what is made from any of it has this one.
    pub(crate) label: Label,
    pub(crate) unknown: u64,
    pub(crate) purpose_uncovered: u64,
    pub(crate) classification: Classification,
    pub(crate) categories: BTreeSet<Arc<str>>,
}

impl Default for FlowSummary {
    fn default() -> Self {
        Self {
            cleared: Reach::everyone(),
            label: Label::bottom(),
            unknown: 0,
            purpose_uncovered: 0,
            classification: Classification::Public,
            categories: BTreeSet::new(),
        }
    }
}

impl Flow {
    /// How many items were read.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items.len() as u64
    }

    /// Whether the system of record stated this value of this family.
    pub(crate) fn attests(&self, family: &str, print: u64) -> bool {
        self.attested.get(family).is_some_and(|values| values.contains_key(&print))
    }

    /// Whether it did, and the requester's words name what it belongs to.
    pub(crate) fn is_named(&self, family: &str, print: u64) -> bool {
        self.attested.get(family).and_then(|values| values.get(&print)).is_some_and(|named| *named)
    }

    /// Whether the requester's words name anything of this family that was stated.
    pub(crate) fn names_some(&self, family: &str) -> bool {
        self.attested.get(family).is_some_and(|values| values.values().any(|named| *named))
    }

    fn attest(&mut self, family: &Arc<str>, print: u64, named: bool) {
        let values = self.attested.entry(family.clone()).or_default();
        match values.get_mut(&print) {
            Some(known) => *known |= named,
            None if self.attested_count < ATTESTED_MAX => {
                values.insert(print, named);
                self.attested_count += 1;
            }
            None => {}
        }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Whether something that was read is too large to be recognised in full.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    pub(crate) fn summary(&self) -> &FlowSummary {
        &self.derived
    }

    /// Whether something with this label was read that the requester does not own.
    pub(crate) fn is_foreign(&self, label: LabelId) -> bool {
        self.foreign.contains(&label)
    }

    /// The same without what the requester owns.
    pub(crate) fn summary_of_foreign(&self) -> &FlowSummary {
        &self.derived_foreign
    }

    pub(crate) fn read(&self, number: u32) -> Option<&(ResourceId, LabelId)> {
        self.reads.get(number as usize)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.reads.len() >= READS_MAX
    }
}

/// A task as it stands.
#[derive(Debug)]
pub struct TaskState {
    /// The task.
    pub task: Task,
    /// Whether a person ended it.
    pub ended: bool,
    /// What was used of budgets that are this task's own.
    pub(crate) usage: Usage,
    /// The breaker that has tripped, where this is a root task.
    pub frozen: Option<Frozen>,
    /// How fast it goes with all its sub-tasks, where this is a root task.
    pub(crate) tempo: TaskTempo,
    /// Sub-tasks of all depths, where this is a root task.
    pub(crate) subtasks: u64,
    /// What happened in it and its sub-tasks since a person last looked.
    pub checkpoint: Checkpoint,
    /// The keys that were given credentials for it, by agent; `None` for a bearer's.
    pub(crate) keys: BTreeMap<PrincipalId, BTreeSet<Option<Arc<str>>>>,
    /// Calls decided so far.
    pub calls: u64,
    /// Asks made so far.
    pub asks: u64,
    /// Prints of the values that a person said yes to, which stay approved for this task.
    pub(crate) approved: BTreeSet<u64>,
    /// Prints of what the task itself made.
    pub(crate) made: BTreeSet<u64>,
    /// Tools that a person said yes to, though the task did not name them.
    pub(crate) approved_tools: BTreeSet<ToolId>,
    /// Derived: who the answer is for.
    pub(crate) address: Reach,
    /// Derived: what the requester said, taken apart.
    pub(crate) words: Words,
    /// Derived: families of which those words name somebody or something that the directory knows.
    pub(crate) named: BTreeSet<Arc<str>>,
}

impl TaskState {
    /// Money that was spent of its own budget.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.usage.amount
    }

    /// Whether it is known which things the requester named: by words of their own, or by tools. A task with a bare purpose names none in particular.
    pub(crate) fn names_things(&self) -> bool {
        self.task.tools.is_some() || self.task.words != self.task.purpose
    }
}

/// What happened in a task, and in all that is a part of it, since a person last looked: since it began, or somebody renewed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// When that was.
    pub looked: Moment,
    /// How long its lease was when it began, in milliseconds.
    pub lease_ms: u64,
    /// How often it was renewed by rule.
    pub renewals: u64,
    /// Calls that were denied. Those that came after the lease are not among them.
    pub denials: u64,
    /// Asks that a person said no to.
    pub noes: u64,
    /// Alarms.
    pub alarms: u64,
}

impl Checkpoint {
    /// Somebody looked just now.
    fn at(looked: Moment, lease_ms: u64) -> Self {
        Self { looked, lease_ms, renewals: 0, denials: 0, noes: 0, alarms: 0 }
    }
}

/// What was used of a task's budgets.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Usage {
    calls: u64,
    items: u64,
    amount: u64,
    recipients: Distinct,
    /// Recipients that were handed on to sub-tasks.
    recipients_given: u64,
}

impl Usage {
    fn of(&self, quantity: Quantity) -> u64 {
        match quantity {
            Quantity::Calls => self.calls,
            Quantity::Items => self.items,
            Quantity::Recipients => self.recipients.count().saturating_add(self.recipients_given),
            Quantity::Amount => self.amount,
        }
    }

    fn add(&mut self, quantity: Quantity, more: u64) {
        let used = match quantity {
            Quantity::Calls => &mut self.calls,
            Quantity::Items => &mut self.items,
            Quantity::Recipients => &mut self.recipients_given,
            Quantity::Amount => &mut self.amount,
        };
        *used = used.saturating_add(more);
    }

    /// Gives back what a sub-task had and did not use.
    fn give_back(&mut self, quantity: Quantity, unused: u64) {
        let used = match quantity {
            Quantity::Calls => &mut self.calls,
            Quantity::Items => &mut self.items,
            Quantity::Recipients => &mut self.recipients_given,
            Quantity::Amount => &mut self.amount,
        };
        *used = used.saturating_sub(unused);
    }
}

/// How an ask stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody has answered.
    Open,
    /// What it was about was stopped before anybody answered.
    Withdrawn,
    /// A person said yes; not used yet.
    Approved {
        /// Who.
        by: PrincipalId,
    },
    /// A person said no.
    Denied {
        /// Who.
        by: PrincipalId,
    },
    /// The yes was used.
    Used {
        /// Who had said yes.
        by: PrincipalId,
    },
}

/// An answer to an enforcement point about which a person can be asked.
#[derive(Debug, Clone)]
pub struct Requestable {
    /// The enforcement point that was answered.
    pub to: String,
    /// About whom.
    pub caller: Caller,
    /// The digest of the exact question.
    pub act: Digest,
    /// Until then.
    pub until: Moment,
}

/// An ask.
#[derive(Debug, Clone)]
pub struct AskState {
    /// Which.
    pub id: AskId,
    /// The decision that asked.
    pub decision: DecisionId,
    /// Who called.
    pub caller: Caller,
    /// The exact act.
    pub act: ActRecord,
    /// Why it was asked.
    pub reasons: Vec<Reason>,
    /// What was known.
    pub facts: Facts,
    /// When it was asked.
    pub asked: Moment,
    /// Until when it can be answered and used.
    pub expires: Moment,
    /// How it stands.
    pub answer: Answer,
}

impl AskState {
    /// The norms and codes that asked.
    #[must_use]
    pub fn grounds(&self) -> BTreeSet<&str> {
        self.reasons.iter().filter(|reason| reason.outcome == Outcome::Ask).map(|reason| reason.ground.word()).collect()
    }
}

/// A permitted act whose effect has not ended.
#[derive(Debug)]
pub struct OpenAct {
    /// Who called.
    pub caller: Caller,
    /// To what.
    pub resources: Vec<ResourceId>,
    /// Whether it writes.
    pub writes: bool,
    /// The node that holds the permit.
    pub node: String,
    /// Destinations that it puts something into.
    places: Vec<ResourceId>,
    /// Prints of the counterparts that the requester has dealt with once it has happened, and the money.
    counterparts: Vec<u64>,
    amount: Option<u64>,
    made: Option<Made>,
    /// Items for which room was kept when it was decided, if it reads.
    reads: Option<u64>,
}

/// Labels of what an act makes.
#[derive(Debug, Clone, Copy)]
struct Made {
    /// Of what it was made from.
    source: LabelId,
    /// The same, for nobody but those who see the place where it is put.
    placed: LabelId,
}

/// Something that an agent put into a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PostState {
    place: ResourceId,
    source: LabelId,
}

/// What an agent did that somebody may rest a change on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Whether a person approved it.
    pub reviewed: bool,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleErrors {
    /// In the directory.
    pub directory: Vec<DirectoryError>,
    /// In the policies.
    pub policies: Vec<PolicyError>,
}

/// Checks a configuration before it is recorded.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(bundle: &Bundle) -> Result<(), BundleErrors> {
    let directory = Directory::of(&bundle.directory).err().unwrap_or_default();
    let policies = Policies::compile(&bundle.policies).err().unwrap_or_default();
    if directory.is_empty() && policies.is_empty() { Ok(()) } else { Err(BundleErrors { directory, policies }) }
}

/// Everything that decisions depend on.
pub struct State {
    key: ContentKey,
    bundle: Option<Digest>,
    content_key: String,
    directory: Directory,
    /// Digest over all changes of the directory beside its configuration, in order.
    recorded: Digest,
    policies: Option<Policies>,
    sets: BTreeMap<Digest, PeopleSet>,
    labels: LabelTable,
    tasks: BTreeMap<TaskId, TaskState>,
    flows: BTreeMap<TaskId, Flow>,
    written: BTreeMap<ResourceId, LabelId>,
    posts: BTreeMap<ResourceId, PostState>,
    /// Derived: what stands in a destination, by label.
    in_place: BTreeMap<ResourceId, BTreeMap<LabelId, BTreeSet<ResourceId>>>,
    advice: BTreeMap<DecisionId, Advice>,
    asks: BTreeMap<AskId, AskState>,
    /// Asks by what they are about, so that the same call finds its ask without a scan. The newest one counts.
    asks_by_act: BTreeMap<(Option<TaskId>, Digest), AskId>,
    /// Refused answers about which a person can still be asked.
    requestable: BTreeMap<DecisionId, Requestable>,
    open: BTreeMap<DecisionId, OpenAct>,
    /// By person: prints of those they have dealt with through Prudence, and the most that was paid.
    past: BTreeMap<PrincipalId, BTreeMap<u64, Option<u64>>>,
    past_count: usize,
    stopped: Stopped,
    holders: Holders,
    /// The past of agents and of everything of one owner, by what tempo is measured for.
    histories: BTreeMap<Actor, History>,
}

/// Whose tempo is measured beside the task's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Actor {
    Agent(PrincipalId),
    Owner(PrincipalId),
}

impl State {
    /// The state before the first event. Text is recognised by sketches under `key`.
    #[must_use]
    pub fn new(key: ContentKey) -> Self {
        Self {
            key,
            bundle: None,
            content_key: String::new(),
            directory: Directory::default(),
            recorded: Digest([0; 32]),
            policies: None,
            sets: BTreeMap::new(),
            labels: LabelTable::default(),
            tasks: BTreeMap::new(),
            flows: BTreeMap::new(),
            written: BTreeMap::new(),
            posts: BTreeMap::new(),
            in_place: BTreeMap::new(),
            advice: BTreeMap::new(),
            asks: BTreeMap::new(),
            asks_by_act: BTreeMap::new(),
            requestable: BTreeMap::new(),
            open: BTreeMap::new(),
            past: BTreeMap::new(),
            past_count: 0,
            stopped: Stopped::default(),
            holders: Holders::default(),
            histories: BTreeMap::new(),
        }
    }

    /// Adds what happened.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::Configured(bundle) => self.configure(bundle),
            Event::DirectoryChanged(changed) => self.change_directory(changed),
            Event::TaskStarted(task) => self.start_task(task, record.at),
            Event::TaskEnded { task } => self.end_tasks(|id, _| id == task),
            Event::TaskRenewed { task, ends, by } => self.renew(task, *ends, by.is_some(), record.at),
            Event::CredentialIssued(issued) => self.issued(issued),
            Event::Killed { target, by, .. } => self.kill(target, by),
            Event::Reset { target, .. } => self.reset(target),
            Event::Decided(decided) => self.decided(decided, record.at),
            Event::Observed(observed) => self.observed(observed, record.at),
            Event::Answered { ask, by, yes } => {
                let Some(ask) = self.asks.get_mut(ask).filter(|ask| ask.answer == Answer::Open) else { return };
                ask.answer = if *yes { Answer::Approved { by: by.clone() } } else { Answer::Denied { by: by.clone() } };
                if let Some(task) = ask.caller.task.clone().filter(|_| !yes) {
                    self.note(&task, |checkpoint| checkpoint.noes += 1);
                }
            }
            // What an incident was changes no decision; `crate::incident` folds it.
            Event::IncidentResolved { .. } | Event::Refused(_) => {}
        }
    }

    fn configure(&mut self, bundle: &Bundle) {
        self.bundle = Some(bundle.digest());
        self.content_key.clone_from(&bundle.content_key);
        self.directory = match self.directory.configured(&bundle.directory) {
            Ok(directory) => directory,
            // Only reachable when this program reads a ledger that another version wrote: then nobody is anybody.
            Err(_) => self.directory.emptied(),
        };
        self.policies = Policies::compile(&bundle.policies).ok();
        self.follow_directory(true);
    }

    /// Makes changes of the directory that were checked before they were recorded; changes that do not fit leave it as it was.
    fn change_directory(&mut self, changed: &DirectoryChanged) {
        let Ok((directory, touched)) = self.directory.change(&changed.changes) else { return };
        let changes = serde_json::to_vec(&changed.changes).expect("plain data");
        self.recorded = Digest::of_parts([self.recorded.0.as_slice(), &changes]);
        self.directory = directory;
        self.follow_directory(touched.changes_clearance());
    }

    /// Brings up to date what was derived from the directory.
    fn follow_directory(&mut self, clearance: bool) {
        for state in self.tasks.values_mut() {
            state.address = self.directory.reach_of_all(state.task.address.iter().map(String::as_str));
        }
        if !clearance {
            return;
        }
        for entry in &mut self.labels.entries {
            entry.cleared = self.directory.cleared_for(&entry.label);
        }
        for (id, flow) in &mut self.flows {
            flow.derived = FlowSummary::default();
            flow.derived_foreign = FlowSummary::default();
            if let Some(state) = self.tasks.get(id) {
                for label in &flow.labels {
                    flow.derived.add(&self.labels.entries[label.0 as usize], &state.task, self.directory.principals());
                }
                for label in &flow.foreign {
                    flow.derived_foreign.add(&self.labels.entries[label.0 as usize], &state.task, self.directory.principals());
                }
            }
        }
    }

    fn start_task(&mut self, task: &Task, at: Moment) {
        self.forget_before(at);
        let address = self.directory.reach_of_all(task.address.iter().map(String::as_str));
        let words = Words::of(&task.words);
        let named = families_named(self, &task.requester, &words, &task.words);
        if self.tasks.contains_key(&task.id) {
            return;
        }
        if let Some(parent) = &task.parent {
            self.hand_on(parent, &task.budget);
        }
        self.tasks.entry(task.id.clone()).or_insert_with(|| TaskState {
            task: task.clone(),
            ended: false,
            usage: Usage::default(),
            frozen: None,
            tempo: TaskTempo::default(),
            subtasks: 0,
            checkpoint: Checkpoint::at(task.starts, task.starts.ms_until(task.ends)),
            keys: BTreeMap::new(),
            calls: 0,
            asks: 0,
            approved: BTreeSet::new(),
            made: BTreeSet::new(),
            approved_tools: BTreeSet::new(),
            address,
            words,
            named,
        });
    }

    /// A lease was earned again. Where a person looked, what happened before is looked at.
    fn renew(&mut self, task: &TaskId, ends: Moment, by_person: bool, at: Moment) {
        let Some(state) = self.tasks.get_mut(task) else { return };
        state.task.ends = ends;
        let checkpoint = &mut state.checkpoint;
        if by_person {
            *checkpoint = Checkpoint::at(at, checkpoint.lease_ms);
        } else {
            checkpoint.renewals += 1;
        }
    }

    /// Notes something for a task, and for all that it is a part of.
    fn note(&mut self, task: &TaskId, what: impl Fn(&mut Checkpoint)) {
        let line: Vec<TaskId> = self.line_of(task).map(|of| of.task.id.clone()).collect();
        for task in line {
            if let Some(state) = self.tasks.get_mut(&task) {
                what(&mut state.checkpoint);
            }
        }
    }

    /// Ends every task that `is_meant`, with its sub-tasks and the asks that wait for an answer.
    fn end_tasks(&mut self, is_meant: impl Fn(&TaskId, &Task) -> bool) {
        let tasks = &self.tasks;
        let is_over = |id: &TaskId| {
            let mut at = Some(id);
            for _ in 0..=CHAIN_DEPTH_MAX {
                let Some((id, state)) = at.and_then(|id| tasks.get_key_value(id)) else { return false };
                if is_meant(id, &state.task) {
                    return true;
                }
                at = state.task.parent.as_ref();
            }
            false
        };
        let over: Vec<TaskId> =
            tasks.iter().filter(|(id, state)| !state.ended && is_over(id)).map(|(id, _)| id.clone()).collect();
        for id in &over {
            let Some(state) = self.tasks.get_mut(id) else { continue };
            state.ended = true;
            let (parent, budget, usage) = (state.task.parent.clone(), state.task.budget, state.usage.clone());
            for what in Quantity::ALL {
                let unused = budget.of(what).map_or(0, |bound| bound.saturating_sub(usage.of(what)));
                if let Some(holder) = parent.as_ref().filter(|_| unused > 0).and_then(|parent| self.holder_of(parent, what)) {
                    self.tasks.get_mut(&holder).into_iter().for_each(|holder| holder.usage.give_back(what, unused));
                }
            }
        }
        let is_open = |ask: &&mut AskState| ask.answer == Answer::Open;
        for ask in self.asks.values_mut().filter(is_open) {
            if ask.caller.task.as_ref().is_some_and(|task| over.contains(task)) {
                ask.answer = Answer::Withdrawn;
            }
        }
    }

    /// Takes what a sub-task was given out of what its parent has.
    fn hand_on(&mut self, parent: &TaskId, budget: &Budget) {
        for what in Quantity::ALL {
            if let (Some(given), Some(holder)) = (budget.of(what), self.holder_of(parent, what))
                && let Some(holder) = self.tasks.get_mut(&holder)
            {
                holder.usage.add(what, given);
            }
        }
        if let Some(root) = self.top_of(parent).and_then(|root| self.tasks.get_mut(&root)) {
            root.subtasks = root.subtasks.saturating_add(1);
        }
    }

    fn issued(&mut self, issued: &Issued) {
        let caller = &issued.caller;
        let Some(agent) = caller.chain.last().filter(|_| caller.chain.len() > 1) else { return };
        if let Some(key) = &caller.key {
            self.holders.add(key, agent);
        }
        if let Some(state) = caller.task.as_ref().and_then(|task| self.tasks.get_mut(task)) {
            let keys = state.keys.entry(agent.clone()).or_default();
            if keys.len() < KEYS_OF_TASK_MAX {
                keys.insert(caller.key.clone());
            }
        }
    }

    fn kill(&mut self, target: &Target, by: &PrincipalId) {
        match target {
            Target::Task(task) => return self.end_tasks(|id, _| id == task),
            Target::Agent(agent) => self.end_tasks(|_, task| task.agent == *agent || task.chain.contains(agent)),
            Target::Owner(person) => {
                let directory = self.directory.clone();
                let owns = |agent: &PrincipalId| directory.agent_record(agent.as_str()).is_some_and(|of| of.owner == *person);
                self.end_tasks(|_, task| task.requester == *person || owns(&task.agent) || task.chain.iter().any(owns));
            }
            Target::Key(_) | Target::Client(_) => {}
        }
        self.stopped.kill(target.clone(), by.clone());
    }

    fn reset(&mut self, target: &Target) {
        self.stopped.release(target);
        match target {
            Target::Task(task) => {
                let Some(root) = self.top_of(task) else { return };
                let Some(state) = self.tasks.get_mut(&root).filter(|state| state.frozen.is_some()) else { return };
                state.frozen = None;
                state.tempo.reset();
                // Otherwise what is over would stop the very next call. Half-open, the task has a smaller envelope from here on.
                self.workers_of(&root).into_iter().for_each(|actor| self.forget_pace(&actor));
            }
            Target::Agent(agent) => self.forget_pace(&Actor::Agent(agent.clone())),
            Target::Owner(person) => self.forget_pace(&Actor::Owner(person.clone())),
            Target::Key(_) | Target::Client(_) => {}
        }
    }

    /// Every agent of a root task and of its sub-tasks, with its owner.
    fn workers_of(&self, root: &TaskId) -> BTreeSet<Actor> {
        let tasks = self.tasks.values().filter(|state| self.top_of(&state.task.id).as_ref() == Some(root));
        let agents: BTreeSet<&PrincipalId> =
            tasks.flat_map(|state| state.task.chain.iter().skip(1).chain([&state.task.agent])).collect();
        let owner = |agent: &PrincipalId| Some(Actor::Owner(self.directory.agent_record(agent.as_str())?.owner.clone()));
        agents.into_iter().flat_map(|agent| owner(agent).into_iter().chain([Actor::Agent(agent.clone())])).collect()
    }

    fn forget_pace(&mut self, actor: &Actor) {
        if let Some(history) = self.histories.get_mut(actor) {
            history.forgive();
        }
    }

    fn freeze(&mut self, decided: &Decided, trip: &Trip, at: Moment) {
        let frozen = Frozen { at, norm: trip.norm.clone(), decision: decided.id.clone() };
        let Some(root) = decided.caller.task.as_ref().and_then(|task| self.top_of(task)) else { return };
        let agent = decided.caller.chain.last().filter(|_| decided.caller.chain.len() > 1);
        let owner = agent.and_then(|agent| self.directory.agent_record(agent.as_str())).map(|agent| agent.owner.clone());
        match (trip.scope, agent, owner) {
            (Scope::Agent, Some(agent), _) => self.stopped.freeze(Target::Agent(agent.clone()), frozen.clone()),
            (Scope::Owner, _, Some(owner)) => self.stopped.freeze(Target::Owner(owner), frozen.clone()),
            (Scope::Task, ..) | (Scope::Agent, None, _) | (Scope::Owner, _, None) => {}
        }
        // However much is frozen, the task itself is, and stays so when the rest is let go.
        if let Some(root) = self.tasks.get_mut(&root) {
            root.frozen.get_or_insert(frozen);
        }
    }

    /// Counts an act that goes through: for the task that has the budget, for the root task, and for every agent of the chain with its owner.
    fn count(&mut self, decided: &Decided, at: Moment) {
        let Some(task) = &decided.caller.task else { return };
        let act = &decided.act;
        let recipients: Vec<u64> = act.recipients.iter().map(|name| tempo_print("recipient", name)).collect();
        for (what, more) in [(Quantity::Calls, 1), (Quantity::Items, kept_for(act)), (Quantity::Amount, act.amount.unwrap_or(0))]
        {
            if let Some(holder) = self.holder_of(task, what).filter(|_| more > 0).and_then(|holder| self.tasks.get_mut(&holder)) {
                holder.usage.add(what, more);
            }
        }
        if let Some(holder) = self.holder_of(task, Quantity::Recipients).and_then(|holder| self.tasks.get_mut(&holder)) {
            recipients.iter().for_each(|print| holder.usage.recipients.add(*print));
        }
        if let Some(root) = self.top_of(task).and_then(|root| self.tasks.get_mut(&root)) {
            if act.effects.contains(&Effect::Destroy) || act.effects.contains(&Effect::Spend) {
                root.tempo.add_irreversible(at, reads_of(&act.resources));
            }
            recipients.iter().for_each(|print| root.tempo.add_recipient(*print));
        }
        let touched = Touched::of(act);
        let measures = Measures::of(&act.effects, act.content_bytes, act.amount);
        for actor in self.actors(&decided.caller) {
            let history = self.histories.entry(actor).or_default();
            history.add_measures(at, measures);
            touched.prints().for_each(|print| history.touch(at, print));
            for effect in act.effects.iter().filter(|effect| **effect != Effect::Compute) {
                history.add(at, *effect, reads_of(&act.resources));
            }
            let things = touched.regions.iter().zip(&touched.kinds);
            things.for_each(|(region, kind)| history.add_new_items(at, *region, *kind, 1));
            touched.domains.iter().for_each(|domain| history.add_new_domain(at, *domain));
        }
    }

    /// Counts what a result held: of the budget against what was kept for it, and of the pace beyond what the call named.
    fn count_items(&mut self, act: &OpenAct, observed: &Observed, at: Moment) {
        let (Some(task), Some(kept)) = (&act.caller.task, act.reads) else { return };
        let (read, _) = observed.read_and_withheld();
        let named = reads_of(&act.resources);
        if let Some(holder) = self.holder_of(task, Quantity::Items).and_then(|holder| self.tasks.get_mut(&holder)) {
            holder.usage.add(Quantity::Items, read.saturating_sub(kept));
            if is_counted(observed) {
                holder.usage.give_back(Quantity::Items, kept.saturating_sub(read.max(named)));
            }
        }
        let more = read.saturating_sub(named);
        if more == 0 {
            return;
        }
        let place = act.resources.first().map(|resource| (region_of(resource), kind_of(resource)));
        for actor in self.actors(&act.caller) {
            let history = self.histories.entry(actor).or_default();
            history.add(at, Effect::Read, more);
            place.into_iter().for_each(|(region, kind)| history.add_new_items(at, region, kind, more));
        }
    }

    /// Whose past a call adds to: every agent of the chain, and the owner of the first.
    fn actors(&self, caller: &Caller) -> Vec<Actor> {
        let agents = caller.chain.get(1..).unwrap_or_default();
        let owner = agents.first().and_then(|agent| self.directory.agent_record(agent.as_str())).map(|agent| agent.owner.clone());
        agents.iter().cloned().map(Actor::Agent).chain(owner.map(Actor::Owner)).collect()
    }

    /// Lets go of tasks that ended long ago, with their flows and asks, so that memory stays bounded by the tasks of a day.
    fn forget_before(&mut self, at: Moment) {
        let tasks = &self.tasks;
        let over = |id: &TaskId| tasks.get(id).is_none_or(|state| state.task.ends.after_ms(TASK_RETENTION_MS) < at);
        self.flows.retain(|id, _| !over(id));
        self.asks.retain(|_, ask| match &ask.caller.task {
            Some(id) => !over(id),
            None => ask.expires.after_ms(TASK_RETENTION_MS) >= at,
        });
        let asks = &self.asks;
        self.asks_by_act.retain(|_, id| asks.contains_key(id));
        self.requestable.retain(|_, requestable| requestable.until >= at);
        self.tasks.retain(|_, state| state.task.ends.after_ms(TASK_RETENTION_MS) >= at);
    }

    fn decided(&mut self, decided: &Decided, at: Moment) {
        self.learn_sets(&decided.sets);
        if let Some(trip) = decided.trip.as_ref().filter(|_| decided.enforced) {
            self.freeze(decided, trip, at);
        }
        if decided.decision.outcome == Outcome::Deny
            && let Some(root) = decided.caller.task.as_ref().and_then(|task| self.top_of(task))
            && let Some(root) = self.tasks.get_mut(&root)
        {
            root.tempo.add_denial(at);
        }
        if let Some(task) = &decided.caller.task {
            if decided.decision.outcome == Outcome::Deny && !decided.decision.facts.task.lapsed {
                self.note(task, |checkpoint| checkpoint.denials += 1);
            }
            if decided.alarm().is_some() {
                self.note(task, |checkpoint| checkpoint.alarms += 1);
            }
        }
        if let Some(state) = decided.caller.task.as_ref().and_then(|id| self.tasks.get_mut(id)) {
            state.calls = state.calls.saturating_add(1);
            state.asks = state.asks.saturating_add(u64::from(decided.ask.is_some()));
        }
        if let Some(used) = &decided.approved_by
            && let Some(ask) = self.asks.get_mut(used)
            && let Answer::Approved { by } = &ask.answer
        {
            ask.answer = Answer::Used { by: by.clone() };
            if let Some(state) = decided.caller.task.as_ref().and_then(|id| self.tasks.get_mut(id)) {
                state.approved.extend(decided.act.values.iter().map(|value| value.print));
                state.approved_tools.insert(decided.act.tool.clone());
            }
        }
        if let Some(Asked { id, expires }) = &decided.ask
            && !self.asks.contains_key(id)
        {
            self.asks_by_act.insert((decided.caller.task.clone(), decided.act.digest), id.clone());
            let ask = AskState {
                id: id.clone(),
                decision: decided.id.clone(),
                caller: decided.caller.clone(),
                act: decided.act.clone(),
                reasons: decided.decision.reasons.clone(),
                facts: decided.decision.facts.clone(),
                asked: at,
                expires: *expires,
                answer: Answer::Open,
            };
            self.asks.insert(id.clone(), ask);
        }
        if decided.caller.chain.len() > 1 && decided.made.is_some() {
            self.advice.insert(decided.id.clone(), Advice { reviewed: decided.approved_by.is_some() });
            if self.advice.len() > ADVICE_MAX {
                self.advice.pop_first();
            }
        }
        if let Some(Answered { to, requestable_until: Some(until), .. }) = &decided.answered {
            let requestable =
                Requestable { to: to.clone(), caller: decided.caller.clone(), act: decided.act.digest, until: *until };
            self.requestable.insert(decided.id.clone(), requestable);
            if self.requestable.len() > REQUESTABLE_MAX {
                self.requestable.pop_first();
            }
        }
        // What a person does elsewhere, outside of any task, leaves nothing here that waits for its end.
        let is_open = decided.answered.is_none() || decided.caller.task.is_some();
        if is_open && decided.went_through() {
            let made = decided.made.as_ref().map(|record| self.made(record, decided.act.audience.as_ref()));
            self.count(decided, at);
            let act = OpenAct {
                caller: decided.caller.clone(),
                resources: decided.act.resources.clone(),
                writes: decided.act.effects.contains(&Effect::Write),
                node: decided.node.clone(),
                places: self.places(&decided.act),
                counterparts: counterparts(decided),
                amount: decided.act.amount,
                made,
                reads: decided.act.effects.contains(&Effect::Read).then(|| kept_for(&decided.act)),
            };
            self.open.insert(decided.id.clone(), act);
        }
    }

    fn observed(&mut self, observed: &Observed, at: Moment) {
        self.learn_sets(&observed.sets);
        let act = self.open.remove(&observed.decision);
        if let Some(act) = &act {
            self.count_items(act, observed, at);
        }
        if let Some(act) = act.as_ref().filter(|_| observed.ended == Ended::Ok) {
            self.remember(act);
        }
        // What may have happened is treated as having happened: its label holds.
        if let Some(act) = act
            && let (Some(made), Ended::Ok | Ended::Ambiguous) = (act.made, observed.ended)
        {
            let targets = act.resources.iter().filter(|id| act.writes && self.directory.audience_of(id.as_str()).is_none());
            for id in targets.chain(&observed.created).cloned().collect::<Vec<_>>() {
                // What was there before may still be there in part: writing over it does not make it anybody else's.
                let joined = match self.written.get(&id) {
                    Some(before) if *before != made.placed => {
                        let label = |id: LabelId| &self.labels.entries[id.0 as usize].label;
                        self.intern_label(label(*before).join(label(made.placed)))
                    }
                    Some(_) | None => made.placed,
                };
                self.written.insert(id, joined);
            }
            for place in &act.places {
                self.put_posts(place, made.source, observed);
            }
        }
        if let Some(state) = observed.task.as_ref().and_then(|task| self.tasks.get_mut(task)) {
            // What the task made is its own to go on with.
            let made: Vec<u64> = observed.created.iter().filter_map(|id| own_print(&self.key, id)).collect();
            state.made.extend(made);
        }
        // What was read was read, whatever became of the record of the act.
        let Some(root) = observed.task.as_ref().and_then(|task| self.root_of(task)) else { return };
        if !observed.attested.is_empty() && self.tasks.contains_key(&root) {
            let flow = self.flows.entry(root.clone()).or_default();
            observed.attested.iter().for_each(|value| flow.attest(&value.family, value.print, value.named));
        }
        for item in observed.items.iter().filter(|item| !item.withheld) {
            let label = self.intern(&item.label);
            let Some(state) = self.tasks.get(&root) else { continue };
            let flow = self.flows.entry(root.clone()).or_default();
            let print = item.sketch.as_ref().map_or(Digest([0; 32]), |sketch| sketch.digest());
            if flow.is_full() || !flow.seen.insert((item.id.clone(), label, print)) {
                continue;
            }
            let number = u32::try_from(flow.reads.len()).expect("READS_MAX fits");
            flow.reads.push((item.id.clone(), label));
            flow.items.insert(item.id.clone());
            if let Some(sketch) = &item.sketch {
                flow.partial |= sketch.is_partial();
                flow.index.add(number, sketch);
            }
            if flow.labels.insert(label) {
                flow.derived.add(&self.labels.entries[label.0 as usize], &state.task, self.directory.principals());
            }
            // What nobody else may have is the requester's to give, whoever made it; but not what is for the few who are named.
            let requester = &state.task.requester;
            let known = &self.labels.entries[label.0 as usize].label;
            let is_own = known.classification <= Classification::Internal
                && (self.directory.owner_of(item.id.as_str()) == Some(requester)
                    || known.is_for_only(self.directory.principals().number(requester.as_str())));
            if !is_own && flow.foreign.insert(label) {
                flow.derived_foreign.add(&self.labels.entries[label.0 as usize], &state.task, self.directory.principals());
            }
        }
    }

    /// Notes whom the requester has dealt with.
    fn remember(&mut self, act: &OpenAct) {
        let Some(person) = act.caller.chain.first() else { return };
        for print in &act.counterparts {
            let known = self.past.get(person).is_some_and(|past| past.contains_key(print));
            if known || self.past_count < PAST_MAX {
                self.past_count += usize::from(!known);
                let most = self.past.entry(person.clone()).or_default().entry(*print).or_default();
                *most = (*most).max(act.amount);
            }
        }
    }

    /// The most that a person paid to a counterpart, by its print, in what went through here; the outer `None` when they never dealt with it.
    #[must_use]
    pub fn past(&self, person: &PrincipalId, print: u64) -> Option<Option<u64>> {
        self.past.get(person)?.get(&print).copied()
    }

    /// What an act makes: from what it was made from, and for nobody but those who will see it.
    fn made(&mut self, record: &LabelRecord, audience: Option<&ReachRecord>) -> Made {
        let source = self.intern(record);
        let audience = audience.map(|audience| self.reach(audience).unwrap_or_else(Reach::nobody));
        let placed = match audience {
            Some(audience) => {
                let label = &self.labels.entries[source.0 as usize].label;
                let readers = audience.intersect(&label.readers);
                self.intern_label(Label { readers, ..label.clone() })
            }
            None => source,
        };
        Made { source, placed }
    }

    /// Destinations that an act puts something into.
    fn places(&self, act: &ActRecord) -> Vec<ResourceId> {
        let puts = act.effects.iter().any(|effect| matches!(effect, Effect::Write | Effect::Send | Effect::Publish));
        let recipients = act.recipients.iter().filter_map(|name| ResourceId::parse(name).ok());
        let all = act
            .resources
            .iter()
            .cloned()
            .chain(recipients)
            .filter(|id| puts && self.directory.audience_of(id.as_str()).is_some());
        all.collect()
    }

    /// Everything that was created in a destination, or the act itself where the tool does not say what it created.
    fn put_posts(&mut self, place: &ResourceId, source: LabelId, observed: &Observed) {
        let unnamed = || ResourceId::parse(&format!("{place}#{}", observed.decision)).ok();
        let ids = if observed.created.is_empty() { unnamed().into_iter().collect() } else { observed.created.clone() };
        for id in ids {
            let post = PostState { place: place.clone(), source };
            if let Some(PostState { place, source }) = self.posts.insert(id.clone(), post)
                && let Some(there) = self.in_place.get_mut(&place).and_then(|labels| labels.get_mut(&source))
            {
                there.remove(&id);
            }
            self.in_place.entry(place.clone()).or_default().entry(source).or_default().insert(id);
        }
    }

    /// What agents put into these destinations, which may be patterns.
    pub(crate) fn posts_in(&self, places: &BTreeSet<ResourceId>) -> Vec<Post<'_>> {
        let exact = places.iter().filter_map(|place| self.in_place.get_key_value(place));
        let patterns = places.iter().filter(|place| place.as_str().ends_with('*'));
        let matching = patterns.flat_map(|pattern| {
            self.in_place.iter().filter(|(place, _)| crate::pattern::matches(pattern.as_str(), place.as_str()))
        });
        let found: BTreeMap<_, _> = exact.chain(matching).collect();
        let mut posts = Vec::new();
        for (place, labels) in found {
            posts.extend(labels.iter().map(|(label, ids)| Post {
                place,
                label: self.label(*label).0,
                ids: ids.iter().collect(),
            }));
        }
        posts
    }

    /// What is known of an act that a change rests on; `None` when no agent did it, as far as is remembered.
    #[must_use]
    pub fn advice(&self, decision: &DecisionId) -> Option<Advice> {
        self.advice.get(decision).copied()
    }

    fn learn_sets(&mut self, sets: &[SetRecord]) {
        for SetRecord(set) in sets {
            self.sets.entry(set.digest()).or_insert_with(|| set.clone());
        }
    }

    fn intern(&mut self, record: &LabelRecord) -> LabelId {
        if let Some(&id) = self.labels.numbers.get(record) {
            return id;
        }
        // A set that was never spelt out is unknown, and nobody at most.
        let readers = self.reach(&record.readers);
        let label = Label {
            unknown: record.unknown || readers.is_none(),
            readers: readers.unwrap_or_else(Reach::nobody),
            classification: record.classification,
            categories: record.categories.clone(),
            purposes: record.purposes.clone(),
            integrity: record.integrity,
            origins: record.origins.clone(),
        };
        self.add_label(record.clone(), label)
    }

    fn intern_label(&mut self, label: Label) -> LabelId {
        let record = LabelRecord::from(&label);
        match self.labels.numbers.get(&record) {
            Some(&id) => id,
            None => self.add_label(record, label),
        }
    }

    fn add_label(&mut self, record: LabelRecord, label: Label) -> LabelId {
        let id = LabelId(u32::try_from(self.labels.entries.len()).expect("fewer than 2^32 labels fit in memory"));
        let cleared = self.directory.cleared_for(&label);
        self.labels.entries.push(LabelEntry { label, cleared });
        self.labels.numbers.insert(record, id);
        id
    }

    /// A recorded reach; `None` (unknown) when its set was never spelt out.
    fn reach(&self, record: &ReachRecord) -> Option<Reach> {
        let people = if record.people == PeopleSet::empty().digest() {
            PeopleSet::empty()
        } else {
            self.sets.get(&record.people)?.clone()
        };
        Some(Reach { people, public: record.public, external: record.external.clone() })
    }

    /// Whether everybody of `reach` was among those of the record; no when the record's set was never spelt out.
    pub(crate) fn is_within(&self, reach: &Reach, record: Option<&ReachRecord>) -> bool {
        match record {
            Some(record) => self.reach(record).is_some_and(|before| reach.beyond(&before).count() == 0),
            None => reach.is_nobody(),
        }
    }

    /// The sets among `reaches` that no record has spelt out yet.
    #[must_use]
    pub fn new_sets<'a>(&self, reaches: impl IntoIterator<Item = &'a Reach>) -> Vec<SetRecord> {
        let mut new = BTreeMap::new();
        for reach in reaches {
            let people = &reach.people;
            if !people.bits().is_empty() && !self.sets.contains_key(&people.digest()) {
                new.entry(people.digest()).or_insert_with(|| SetRecord(people.clone()));
            }
        }
        new.into_values().collect()
    }

    /// The task whose flow state this task has: itself when it is isolated or has no parent.
    #[must_use]
    pub fn root_of(&self, task: &TaskId) -> Option<TaskId> {
        let mut id = task.clone();
        for _ in 0..CHAIN_DEPTH_MAX {
            let task = &self.tasks.get(&id)?.task;
            match &task.parent {
                Some(parent) if !task.isolated => id = parent.clone(),
                Some(_) | None => return Some(id),
            }
        }
        None
    }

    /// The root of a task, through isolated sub-tasks as well.
    #[must_use]
    pub fn top_of(&self, task: &TaskId) -> Option<TaskId> {
        self.line_of(task).last().map(|state| state.task.id.clone())
    }

    /// A task, its parent, and so on up to the root.
    pub fn line_of(&self, task: &TaskId) -> impl Iterator<Item = &TaskState> {
        let parent = |state: &&TaskState| state.task.parent.as_ref().and_then(|parent| self.tasks.get(parent));
        std::iter::successors(self.tasks.get(task), parent).take(CHAIN_DEPTH_MAX + 1)
    }

    /// The task that has the budget which a task uses: itself, or the nearest above it that has one.
    fn holder_of(&self, task: &TaskId, quantity: Quantity) -> Option<TaskId> {
        self.line_of(task).find(|state| state.task.budget.of(quantity).is_some()).map(|state| state.task.id.clone())
    }

    /// What is left of the budget that a task uses; `None` without a bound. After a person has reset the task there is half of it more, each time.
    #[must_use]
    pub fn budget_left(&self, task: &TaskId, quantity: Quantity) -> Option<u64> {
        let (holder, bound) = self.line_of(task).find_map(|state| Some((state, state.task.budget.of(quantity)?)))?;
        let resets = u64::from(holder.tempo.resets);
        let bound = bound.saturating_add((bound / 2).saturating_mul(resets));
        Some(bound.saturating_sub(holder.usage.of(quantity)))
    }

    /// Distinct recipients that are not among those whom the task has dealt with under its budget.
    pub(crate) fn new_recipients(&self, task: &TaskId, prints: &[u64]) -> u64 {
        let holder = self.line_of(task).find(|state| state.task.budget.recipients.is_some());
        holder.map_or(0, |holder| holder.usage.recipients.count_with(prints) - holder.usage.recipients.count())
    }

    /// Sub-tasks of the root of this task, of all depths.
    #[must_use]
    pub fn subtasks_of(&self, task: &TaskId) -> u64 {
        self.line_of(task).last().map_or(0, |root| root.subtasks)
    }

    /// The breaker that keeps a chain from going on, with what it froze.
    #[must_use]
    pub fn frozen(&self, caller: &Caller) -> Option<(Target, &Frozen)> {
        let root = caller.task.as_ref().and_then(|task| self.line_of(task).last());
        if let Some((root, frozen)) = root.and_then(|root| Some((root, root.frozen.as_ref()?))) {
            return Some((Target::Task(root.task.id.clone()), frozen));
        }
        self.stopping(caller, |stopped, target| stopped.frozen(target))
    }

    /// Who stopped a part of the chain, its key or its client, with what that is.
    #[must_use]
    pub fn killed(&self, caller: &Caller) -> Option<(Target, &PrincipalId)> {
        self.stopping(caller, |stopped, target| stopped.killed(target))
    }

    /// What of a caller is stopped, as `find` says.
    fn stopping<'a, T>(&'a self, caller: &Caller, find: impl Fn(&'a Stopped, &Target) -> Option<T>) -> Option<(Target, T)> {
        if self.stopped.is_empty() {
            return None;
        }
        let agents = caller.chain.get(1..).unwrap_or_default();
        let owners = agents.iter().filter_map(|agent| Some(self.directory.agent_record(agent.as_str())?.owner.clone()));
        let people = caller.chain.first().filter(|_| !agents.is_empty()).cloned();
        let targets = agents
            .iter()
            .cloned()
            .map(Target::Agent)
            .chain(owners.chain(people).map(Target::Owner))
            .chain(caller.key.clone().map(Target::Key))
            .chain(caller.client.clone().map(Target::Client));
        targets.into_iter().find_map(|target| find(&self.stopped, &target).map(|found| (target, found)))
    }

    /// Everything that is killed beside single tasks, and by whom.
    pub fn kills(&self) -> impl Iterator<Item = (&Target, &PrincipalId)> {
        self.stopped.kills()
    }

    /// Everything that is frozen, with the breaker.
    pub fn freezes(&self) -> impl Iterator<Item = (Target, &Frozen)> {
        let tasks = self.tasks.values().filter_map(|state| Some((Target::Task(state.task.id.clone()), state.frozen.as_ref()?)));
        tasks.chain(self.stopped.freezes().map(|(target, frozen)| (target.clone(), frozen)))
    }

    /// The agents with a credential that is bound to this key.
    pub fn holders_of(&self, key: &str) -> impl Iterator<Item = &PrincipalId> {
        self.holders.of(key)
    }

    /// Whether the key that the caller proved is none of those that were given credentials for this task.
    #[must_use]
    pub fn is_foreign_key(&self, caller: &Caller) -> bool {
        let keys = caller.task.as_ref().and_then(|task| self.tasks.get(task)).zip(caller.chain.last());
        keys.and_then(|(state, agent)| state.keys.get(agent)).is_some_and(|keys| !keys.contains(&caller.key))
    }

    /// Whether the key that the caller proved is also that of an agent outside of its chain.
    #[must_use]
    pub fn is_shared_key(&self, caller: &Caller) -> bool {
        caller.key.as_ref().is_some_and(|key| self.holders.is_shared(key, &caller.chain))
    }

    /// The past of an agent.
    pub(crate) fn history(&self, actor: &Actor) -> Option<&History> {
        self.histories.get(actor)
    }

    /// The label of an item: what the directory says, joined with what it was made from when it was written through Prudence.
    #[must_use]
    pub fn label_of(&self, item: &ResourceId) -> Option<Label> {
        let label = |id: &LabelId| &self.labels.entries[id.0 as usize].label;
        // Those who see the place now are those who may have what stands in it.
        let post = self.posts.get(item).map(|post| (label(&post.source), self.directory.audience_of(post.place.as_str())));
        let written = match post {
            Some((label, Some(audience))) => {
                Some(Cow::Owned(Label { readers: audience.intersect(&label.readers), ..label.clone() }))
            }
            Some((_, None)) | None => self.written.get(item).map(|id| Cow::Borrowed(label(id))),
        };
        let written = written.as_deref();
        match (self.directory.label_of(item), written) {
            // Replaced by something known: the unknown readers of the old content are not those of the new.
            (Some(stated), Some(written)) if stated.unknown => Some(written.clone()),
            (Some(stated), Some(written)) => Some(stated.join(written)),
            (Some(stated), None) => Some(Label::clone(stated)),
            (None, Some(written)) => Some(written.clone()),
            (None, None) => None,
        }
    }

    pub(crate) fn label(&self, id: LabelId) -> (&Label, &Reach) {
        let entry = &self.labels.entries[id.0 as usize];
        (&entry.label, &entry.cleared)
    }

    /// The digest of the configuration in force.
    #[must_use]
    pub fn bundle(&self) -> Option<Digest> {
        self.bundle
    }

    /// Whether the text that was read can be recognised under the key of this state.
    #[must_use]
    pub fn is_key_right(&self) -> bool {
        self.content_key.is_empty() || self.content_key == format!("{:?}", self.key)
    }

    /// The directory in force.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The policies in force; `None` before the first configuration.
    #[must_use]
    pub fn policies(&self) -> Option<&Policies> {
        self.policies.as_ref()
    }

    /// The key under which text is recognised.
    #[must_use]
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// Principals by number.
    #[must_use]
    pub fn principals(&self) -> &PrincipalTable {
        self.directory.principals()
    }

    /// A task.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&TaskState> {
        self.tasks.get(id)
    }

    /// All tasks that are still known.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskState> {
        self.tasks.values()
    }

    /// What a task has read, sub-tasks included.
    #[must_use]
    pub fn flow(&self, root: &TaskId) -> Option<&Flow> {
        self.flows.get(root)
    }

    /// An ask.
    #[must_use]
    pub fn ask(&self, id: &AskId) -> Option<&AskState> {
        self.asks.get(id)
    }

    /// What an enforcement point was told about this decision, where a person could still say yes.
    #[must_use]
    pub fn requestable(&self, decision: &DecisionId) -> Option<&Requestable> {
        self.requestable.get(decision)
    }

    /// All asks that are still known, by id (which is by time).
    pub fn asks(&self) -> impl Iterator<Item = &AskState> {
        self.asks.values()
    }

    /// The newest ask about this very call of this task.
    #[must_use]
    pub fn ask_about(&self, task: Option<&TaskId>, act: Digest) -> Option<&AskState> {
        self.asks_by_act.get(&(task.cloned(), act)).and_then(|id| self.asks.get(id))
    }

    /// Acts that were permitted and have not ended.
    pub fn open_acts(&self) -> impl Iterator<Item = (&DecisionId, &OpenAct)> {
        self.open.iter()
    }

    /// A permitted act that has not ended.
    #[must_use]
    pub fn open_act(&self, id: &DecisionId) -> Option<&OpenAct> {
        self.open.get(id)
    }

    /// The ids of all norms in force.
    #[must_use]
    pub fn norm_ids(&self) -> BTreeSet<NormId> {
        self.policies
            .iter()
            .flat_map(Policies::norm_ids)
            .map(|id| NormId::parse(id).expect("it was a norm id when it was compiled"))
            .collect()
    }

    /// A digest over everything that is folded, for comparing a replay with the original.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let labels: Vec<&LabelRecord> = {
            let mut by_number: Vec<_> = self.labels.numbers.iter().collect();
            by_number.sort_by_key(|(_, id)| **id);
            by_number.into_iter().map(|(record, _)| record).collect()
        };
        let tasks: Vec<_> =
            self.tasks.values().map(|state| (&state.task, state.ended, &state.usage, state.calls, state.asks)).collect();
        let flows: Vec<_> = self
            .flows
            .iter()
            .map(|(id, flow)| {
                (id, flow.partial, flow.seen.iter().map(|(item, label, print)| (item, label.0, print)).collect::<Vec<_>>())
            })
            .collect();
        let written: Vec<_> = self.written.iter().map(|(id, label)| (id, label.0)).collect();
        let asks: Vec<_> =
            self.asks.values().map(|ask| (&ask.id, &ask.decision, &ask.act, ask.expires, format!("{:?}", ask.answer))).collect();
        let open: Vec<_> =
            self.open.iter().map(|(id, act)| (id, &act.caller, act.made.map(|made| (made.source.0, made.placed.0)))).collect();
        let sets: Vec<&Digest> = self.sets.keys().collect();
        let posts: Vec<_> = self.posts.iter().map(|(id, post)| (id, &post.place, post.source.0)).collect();
        let requestable: Vec<_> = self.requestable.iter().map(|(id, of)| (id, &of.to, &of.caller, &of.act, of.until)).collect();
        let approved: Vec<_> = self.tasks.values().map(|state| (&state.approved, &state.approved_tools)).collect();
        let attested: Vec<_> = self.flows.values().map(|flow| &flow.attested).collect();
        let written = (written, posts, &self.advice, approved, attested, &self.past);
        let contained: Vec<_> = self
            .tasks
            .values()
            .map(|state| (&state.frozen, &state.tempo, state.subtasks, key_list(&state.keys), &state.checkpoint))
            .collect();
        let histories: Vec<_> = self.histories.iter().collect();
        let all = (
            (&self.bundle, &self.recorded),
            Vec::<PrincipalId>::from(self.principals().clone()),
            sets,
            labels,
            tasks,
            flows,
            written,
            (asks, requestable),
            open,
            (contained, self.stopped.list(), &self.holders, histories),
        );
        Digest::of(&serde_json::to_vec(&all).expect("plain data"))
    }
}

/// For how many items room is kept in the budget while a call is under way: no result holds more than can be observed.
fn kept_for(act: &ActRecord) -> u64 {
    act.items().min(ITEMS_MAX as u64)
}

/// Whether it is known how many items came. In a result of which nothing was selected there may be any number of them.
fn is_counted(observed: &Observed) -> bool {
    let is_selected = |id: &ResourceId| id.as_str().split_once(':').is_none_or(|(kind, _)| kind != REST);
    match observed.ended {
        Ended::Ambiguous => false,
        Ended::Failed if observed.items.is_empty() => true,
        Ended::Ok | Ended::Failed => observed.items.iter().any(|item| is_selected(&item.id)),
    }
}

/// What is held to be touched for the first time, by its print. It needs no key: it says only that two names are the same.
pub(crate) fn tempo_print(kind: &str, name: &str) -> u64 {
    let digest = Digest::of_parts([kind.as_bytes(), name.as_bytes()]);
    u64::from_le_bytes(digest.0[..8].try_into().expect("a digest has 32 bytes"))
}

/// The region of data that a resource is in: what stands before its last `/`, or before its last `:`.
pub(crate) fn region_of(resource: &ResourceId) -> u64 {
    let name = resource.as_str();
    let end = name.rfind('/').or_else(|| name.rfind(':')).unwrap_or(name.len());
    tempo_print("region", &name[..end])
}

/// The kind of a resource: what stands before its first `:`.
fn kind_of(resource: &ResourceId) -> u64 {
    let kind = resource.as_str().split(':').next().unwrap_or_default();
    tempo_print("kind", kind)
}

/// What an act touches, by prints.
pub(crate) struct Touched {
    pub(crate) tool: u64,
    /// Of each resource.
    pub(crate) regions: Vec<u64>,
    /// Of each resource likewise.
    kinds: Vec<u64>,
    pub(crate) domains: Vec<u64>,
}

impl Touched {
    fn of(act: &ActRecord) -> Self {
        Self::new(&act.tool, &act.resources, &act.recipients)
    }

    pub(crate) fn new(tool: &ToolId, resources: &[ResourceId], recipients: &[String]) -> Self {
        let domains = recipients.iter().filter_map(|name| name.rsplit_once('@')).map(|(_, domain)| domain);
        Self {
            tool: tempo_print("tool", tool.as_str()),
            regions: resources.iter().map(region_of).collect(),
            kinds: resources.iter().map(kind_of).collect(),
            domains: domains.map(|domain| tempo_print("domain", &domain.to_lowercase())).collect(),
        }
    }

    fn prints(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.tool).chain(self.regions.iter().chain(&self.kinds).copied()).chain(self.domains.iter().copied())
    }
}

/// Keys as a list, for what cannot have anything but text before a colon.
fn key_list(keys: &BTreeMap<PrincipalId, BTreeSet<Option<Arc<str>>>>) -> Vec<(&PrincipalId, &BTreeSet<Option<Arc<str>>>)> {
    keys.iter().collect()
}

/// Values of an act that name a counterpart, and that were chosen by somebody who may choose them.
fn counterparts(decided: &Decided) -> Vec<u64> {
    let reaches = |effect: &Effect| matches!(effect, Effect::Send | Effect::Publish | Effect::Spend | Effect::Widen);
    if !decided.enforced || !decided.act.effects.iter().any(reaches) {
        return Vec::new();
    }
    let may_choose = |origin: Origin| origin <= Origin::Directory || decided.approved_by.is_some();
    decided.act.values.iter().filter(|value| may_choose(value.origin)).map(|value| value.print).collect()
}

/// The print of a thing by its id: `file:26` is the file 26.
fn own_print(key: &ContentKey, id: &ResourceId) -> Option<u64> {
    let (kind, text) = id.as_str().split_once(':')?;
    Some(key.value(&normal(kind, text)))
}

impl FlowSummary {
    fn add(&mut self, entry: &LabelEntry, task: &Task, table: &PrincipalTable) {
        let cleared = cleared_for_task(&entry.label, &entry.cleared, &task.requester, table);
        self.cleared = self.cleared.intersect(&cleared);
        self.label = self.label.join(&entry.label);
        self.unknown += u64::from(entry.label.unknown);
        self.purpose_uncovered += u64::from(!entry.label.purposes.cover(&task.purpose));
        self.classification = self.classification.max(entry.label.classification);
        self.categories.extend(entry.label.categories.iter().cloned());
    }
}

/// Who is cleared for something that a task has read. What has unknown readers was read for the requester, who is the only
/// one it is held to be for.
pub(crate) fn cleared_for_task(label: &Label, cleared: &Reach, requester: &PrincipalId, table: &PrincipalTable) -> Reach {
    if label.unknown {
        cleared.union(&Reach::of_people(table.number(requester.as_str()).into_iter().collect()))
    } else {
        cleared.clone()
    }
}
