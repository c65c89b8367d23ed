//! Incidents: what a person has to look into. A fold of what is recorded, beside the state and never read by a decision, so that every
//! reader of a ledger finds the same ones under the same names.
//!
//! What counts: a breaker that tripped, a call with somebody else's key, a server that gave out what was not for the requester, and whatever a
//! person killed. A single refusal is none: it is what Prudence is for, and many of them in a row are what the norm `tempo.probing` is for.
//! What is of one kind about one thing is one incident until a person lets that thing go on, or says what the incident was.

use crate::alarm::Alarm;
use crate::decision::{Code, Ground, Obligation};
use crate::directory::DirectoryChange;
use crate::event::{Decided, Event, Observed, Record, Trip};
use crate::facts::TempoFacts;
use crate::moment::Moment;
use crate::name::{DecisionId, NormId, PrincipalId, TaskId, ToolId};
use crate::standing::{Scope, Target};
use crate::state::TASK_RETENTION_MS;
use crate::task::{CHAIN_DEPTH_MAX, Caller};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// How many incidents are remembered. Beyond it those are forgotten first that were resolved, and the oldest of them.
pub const INCIDENTS_MAX: usize = 10_000;
/// How many entries of the ledger one incident names; of further ones only the number is known.
pub const ENTRIES_MAX: usize = 1_000;
/// How many acts that have not ended are remembered, to know whose a result is.
const OPEN_MAX: usize = 100_000;

/// The name of an incident: the number of the entry that began it, as `inc-1042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inc-{}", self.0)
    }
}

impl std::str::FromStr for IncidentId {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("inc-").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).map(Self).ok_or("expected an incident as `inc-NUMBER`")
    }
}

impl TryFrom<String> for IncidentId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<IncidentId> for String {
    fn from(id: IncidentId) -> String {
        id.to_string()
    }
}

/// What began an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A breaker tripped.
    Tempo,
    /// A call came with a key that is not its holder's, or that two agents have.
    Key,
    /// A server gave out what the requester is not cleared for.
    Boundary,
    /// A person stopped something.
    Kill,
    /// A norm lets something through and wants a person to know of it.
    Notice,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Tempo, Kind::Key, Kind::Boundary, Kind::Kill, Kind::Notice];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Tempo => "tempo",
            Kind::Key => "key",
            Kind::Boundary => "boundary",
            Kind::Kill => "kill",
            Kind::Notice => "notice",
        }
    }
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It was stopped, or meant to go through, and what was at stake was small.
    Medium,
    /// It was stopped, and somebody has to look today.
    High,
    /// Nothing stopped it: the gate only observes.
    Critical,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// What is, or can be, stopped.
    Stopped(Target),
    /// A tool whose server's own boundaries do not hold.
    Tool(ToolId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Stopped(target) => target.fmt(f),
            Subject::Tool(tool) => write!(f, "tool {tool}"),
        }
    }
}

/// What a person says that an incident was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Ordinary work.
    FalseAlarm,
    /// It was real, and nothing got where it must not be.
    Contained,
    /// It was real, and something did.
    Harm,
    /// Somebody tried whether it works.
    Exercise,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::FalseAlarm => "false-alarm",
            Verdict::Contained => "contained",
            Verdict::Harm => "harm",
            Verdict::Exercise => "exercise",
        }
    }
}

/// What a person found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// When.
    pub at: Moment,
    /// The entry that says so.
    pub entry: u64,
    /// Who.
    pub by: PrincipalId,
    /// What it was.
    pub verdict: Verdict,
    /// In their words.
    pub why: String,
}

/// Something that a person did about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handled {
    /// When.
    pub at: Moment,
    /// The entry that says so.
    pub entry: u64,
    /// What was stopped, or let go on.
    pub target: Target,
    /// Who.
    pub by: PrincipalId,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// What began it.
    pub kind: Kind,
    /// What it is about.
    pub subject: Subject,
    /// How urgent it is.
    pub severity: Severity,
    /// What happened, in one sentence.
    pub sentence: String,
    /// When it began.
    pub opened: Moment,
    /// When something was last added to it.
    pub last: Moment,
    /// The root task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Who acted for whom; empty where a person stopped something by name.
    pub chain: Vec<PrincipalId>,
    /// The key that was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// The tool of the call that began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolId>,
    /// The decision that began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// The breaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<NormId>,
    /// What was usual, and what was seen, as far as the record says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tempo: Option<Box<TempoFacts>>,
    /// How often it happened.
    pub times: u64,
    /// Items that were withheld.
    pub withheld: u64,
    /// Calls that were refused because of it since.
    pub refused_since: u64,
    /// Entries of the ledger that it rests on.
    pub entries: Vec<u64>,
    /// How many more there are.
    pub entries_beyond: u64,
    /// What people stopped because of it, or what they stopped and began it with.
    pub stopped: Vec<Handled>,
    /// That a person let it go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub let_go: Option<Handled>,
    /// What it was; nobody has said so while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolution>,
}

impl Incident {
    /// Whether nobody has said what it was.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.resolved.is_none()
    }

    /// Whether this was stopped, or let go on, as a part of it.
    fn is_about(&self, target: &Target, root: Option<&TaskId>, owner: Option<&PrincipalId>) -> bool {
        self.subject == Subject::Stopped(target.clone())
            || match target {
                Target::Task(_) => root.is_some() && root == self.task.as_ref(),
                Target::Agent(agent) => self.chain.get(1..).unwrap_or_default().contains(agent),
                Target::Owner(person) => self.chain.first() == Some(person) || owner == Some(person),
                Target::Key(key) => self.key.as_ref() == Some(key),
                Target::Client(_) => false,
            }
    }

    fn add(&mut self, entry: u64, at: Moment) {
        self.last = self.last.max(at);
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push(entry);
        } else {
            self.entries_beyond = self.entries_beyond.saturating_add(1);
        }
    }
}

struct Known {
    parent: Option<TaskId>,
    ends: Moment,
}

/// All incidents of a ledger.
#[derive(Default)]
pub struct Incidents {
    all: BTreeMap<IncidentId, Incident>,
    /// Those to which more of the same is added.
    growing: BTreeMap<(Kind, Subject), IncidentId>,
    tasks: BTreeMap<TaskId, Known>,
    owners: BTreeMap<PrincipalId, PrincipalId>,
    open_acts: BTreeMap<DecisionId, (ToolId, Caller)>,
}

impl Incidents {
    /// Adds what the entry with this number says.
    pub fn apply(&mut self, entry: u64, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::Configured(bundle) => {
                // Those that were recorded beside the configuration stay.
                self.owners.extend(bundle.directory.agents.iter().map(|agent| (agent.id.clone(), agent.owner.clone())));
            }
            Event::DirectoryChanged(changed) => {
                for change in &changed.changes {
                    if let DirectoryChange::PutAgent(agent) = change {
                        self.owners.insert(agent.id.clone(), agent.owner.clone());
                    }
                }
            }
            Event::TaskStarted(task) => {
                self.tasks.retain(|_, known| known.ends.after_ms(TASK_RETENTION_MS) >= at);
                self.tasks.insert(task.id.clone(), Known { parent: task.parent.clone(), ends: task.ends });
            }
            Event::TaskRenewed { task, ends, .. } => {
                if let Some(known) = self.tasks.get_mut(task) {
                    known.ends = *ends;
                }
            }
            Event::Decided(decided) => self.decided(entry, decided, at),
            Event::Observed(observed) => self.observed(entry, observed, at),
            Event::Killed { target, by, why } => self.killed(entry, target, by, why, at),
            Event::Reset { target, by } => self.reset(entry, target, by, at),
            Event::IncidentResolved { incident, by, verdict, why } => {
                if let Some(incident) = self.all.get_mut(incident).filter(|incident| incident.is_open()) {
                    incident.resolved = Some(Resolution { at, entry, by: by.clone(), verdict: *verdict, why: why.clone() });
                    incident.add(entry, at);
                    self.growing.retain(|_, id| *id != incident.id);
                }
            }
            Event::TaskEnded { .. } | Event::CredentialIssued(_) | Event::Answered { .. } | Event::Refused(_) => {}
        }
    }

    /// All that are remembered, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.all.values()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: IncidentId) -> Option<&Incident> {
        self.all.get(&id)
    }

    /// Those that began after this entry, oldest first.
    pub fn after(&self, entry: u64) -> impl Iterator<Item = &Incident> {
        self.all.range(IncidentId(entry.saturating_add(1))..).map(|(_, incident)| incident)
    }

    /// The root of a task, as far as it is known.
    fn root(&self, task: &TaskId) -> TaskId {
        let parent = |task: &TaskId| self.tasks.get(task).and_then(|known| known.parent.clone());
        std::iter::successors(Some(task.clone()), parent).take(CHAIN_DEPTH_MAX + 1).last().unwrap_or_else(|| task.clone())
    }

    fn decided(&mut self, entry: u64, decided: &Decided, at: Moment) {
        let caller = &decided.caller;
        let root = caller.task.as_ref().map(|task| self.root(task));
        match decided.alarm() {
            Some(Alarm::Tempo) => {
                if let (Some(trip), Some(root)) = (&decided.trip, &root) {
                    self.tripped(entry, decided, trip, root, at);
                }
            }
            Some(Alarm::Key) => {
                let facts = &decided.decision.facts.credential;
                let sentence = if facts.foreign_key {
                    "a call came with a key to which no credential for this task was given"
                } else {
                    "a call came with a key to which an agent outside of the chain has credentials too"
                };
                let target = match (&caller.key, &root) {
                    (Some(key), _) => Target::Key(key.clone()),
                    (None, Some(root)) => Target::Task(root.clone()),
                    (None, None) => return,
                };
                let new = Incident::new(entry, Kind::Key, Subject::Stopped(target), sentence.to_owned(), at);
                self.open_or_add(new.of(decided, root.clone()));
            }
            Some(Alarm::Boundary { .. }) | None => self.refused_since(decided, root.as_ref(), at),
        }
        if decided.went_through() {
            self.noticed(entry, decided, root.as_ref(), at);
            self.open_acts.insert(decided.id.clone(), (decided.act.tool.clone(), caller.clone()));
            if self.open_acts.len() > OPEN_MAX {
                self.open_acts.pop_first();
            }
        }
    }

    /// What goes through under a norm that wants somebody to know of it: one incident for each norm and task.
    fn noticed(&mut self, entry: u64, decided: &Decided, root: Option<&TaskId>, at: Moment) {
        let norms = decided.decision.obligations.iter().filter_map(|obligation| match obligation {
            Obligation::Notify(norm) => Some(norm),
            Obligation::Redact(_) | Obligation::Mask(_) | Obligation::Limit(_) => None,
        });
        let (Some(norm), Some(root)) = (norms.min(), root) else { return };
        let agent = decided.caller.chain.last().map(PrincipalId::as_str).unwrap_or_default();
        let sentence = format!("the norm `{norm}` wants somebody to know that {agent} called {}", decided.act.tool);
        let new = Incident::new(entry, Kind::Notice, Subject::Stopped(Target::Task(root.clone())), sentence, at);
        let new = Incident { norm: Some(norm.clone()), ..new.of(decided, Some(root.clone())) };
        self.open_or_add(Incident { severity: Severity::Medium, ..new });
    }

    fn tripped(&mut self, entry: u64, decided: &Decided, trip: &Trip, root: &TaskId, at: Moment) {
        let agents = decided.caller.chain.get(1..).unwrap_or_default();
        let owner = agents.last().and_then(|agent| self.owners.get(agent));
        let target = match (trip.scope, agents.last(), owner) {
            (Scope::Agent, Some(agent), _) => Target::Agent(agent.clone()),
            (Scope::Owner, _, Some(owner)) => Target::Owner(owner.clone()),
            (Scope::Task, ..) | (Scope::Agent, None, _) | (Scope::Owner, _, None) => Target::Task(root.clone()),
        };
        let ground = Ground::Norm(trip.norm.clone());
        let reason = decided.decision.reasons.iter().find(|reason| reason.ground == ground);
        let sentence = reason.map_or_else(|| format!("the breaker {} tripped", trip.norm), |reason| reason.sentence.clone());
        let new = Incident {
            norm: Some(trip.norm.clone()),
            tempo: Some(Box::new(decided.decision.facts.tempo.clone())),
            ..Incident::new(entry, Kind::Tempo, Subject::Stopped(target), sentence, at)
        };
        self.open_or_add(new.of(decided, Some(root.clone())));
    }

    /// A call that was refused because something is frozen belongs to what froze it.
    fn refused_since(&mut self, decided: &Decided, root: Option<&TaskId>, at: Moment) {
        if decided.decision.code() != Some(Code::Frozen) {
            return;
        }
        let agents = decided.caller.chain.get(1..).unwrap_or_default();
        let owners = agents.iter().filter_map(|agent| self.owners.get(agent)).cloned().map(Target::Owner);
        let mut targets =
            root.cloned().map(Target::Task).into_iter().chain(agents.iter().cloned().map(Target::Agent)).chain(owners);
        let found = targets.find_map(|target| self.growing.get(&(Kind::Tempo, Subject::Stopped(target))).copied());
        if let Some(incident) = found.and_then(|id| self.all.get_mut(&id)) {
            incident.refused_since = incident.refused_since.saturating_add(1);
            incident.last = incident.last.max(at);
        }
    }

    fn observed(&mut self, entry: u64, observed: &Observed, at: Moment) {
        let act = self.open_acts.remove(&observed.decision);
        let (Some(Alarm::Boundary { items }), Some((tool, caller))) = (observed.alarm(), act) else { return };
        let person = caller.chain.first().map_or_else(String::new, ToString::to_string);
        let count = if items == 1 { "an item".to_owned() } else { format!("{items} items") };
        let sentence = format!("{tool} gave out {count} that {person} is not cleared for; it was withheld");
        let new = Incident {
            task: caller.task.as_ref().map(|task| self.root(task)),
            chain: caller.chain.clone(),
            key: caller.key.clone(),
            tool: Some(tool.clone()),
            decision: Some(observed.decision.clone()),
            withheld: items,
            ..Incident::new(entry, Kind::Boundary, Subject::Tool(tool), sentence, at)
        };
        self.open_or_add(new);
    }

    fn killed(&mut self, entry: u64, target: &Target, by: &PrincipalId, why: &str, at: Moment) {
        let handled = Handled { at, entry, target: target.clone(), by: by.clone() };
        let about = self.about(target);
        for id in &about {
            let Some(incident) = self.all.get_mut(id) else { continue };
            incident.stopped.push(handled.clone());
            incident.add(entry, at);
        }
        if !about.is_empty() {
            return;
        }
        let because = if why.is_empty() { String::new() } else { format!(": {why}") };
        let mut new =
            Incident::new(entry, Kind::Kill, Subject::Stopped(target.clone()), format!("{by} stopped {target}{because}"), at);
        new.stopped.push(handled);
        match target {
            Target::Task(task) => new.task = Some(self.root(task)),
            Target::Key(key) => new.key = Some(key.clone()),
            Target::Agent(_) | Target::Owner(_) | Target::Client(_) => {}
        }
        self.open_or_add(new);
    }

    fn reset(&mut self, entry: u64, target: &Target, by: &PrincipalId, at: Moment) {
        for id in self.about(target) {
            let Some(incident) = self.all.get_mut(&id) else { continue };
            incident.let_go = Some(Handled { at, entry, target: target.clone(), by: by.clone() });
            incident.add(entry, at);
            // Whatever comes after somebody has looked is another one.
            self.growing.retain(|_, growing| *growing != id);
        }
    }

    /// Growing incidents that a stop or a reset of `target` is a part of. A boundary that does not hold is no matter of one task.
    fn about(&self, target: &Target) -> Vec<IncidentId> {
        let root = match target {
            Target::Task(task) => Some(self.root(task)),
            Target::Agent(_) | Target::Owner(_) | Target::Key(_) | Target::Client(_) => None,
        };
        let growing = self.growing.values().filter_map(|id| self.all.get(id)).filter(|incident| incident.kind != Kind::Boundary);
        let owner = |incident: &Incident| incident.chain.get(1).and_then(|agent| self.owners.get(agent));
        growing.filter(|one| one.is_about(target, root.as_ref(), owner(one))).map(|incident| incident.id).collect()
    }

    /// Adds to the incident that grows about the same thing, or begins one.
    fn open_or_add(&mut self, new: Incident) {
        let growing = self.growing.get(&(new.kind, new.subject.clone())).copied();
        if let Some(known) = growing.and_then(|id| self.all.get_mut(&id)) {
            known.times = known.times.saturating_add(1);
            known.withheld = known.withheld.saturating_add(new.withheld);
            known.severity = known.severity.max(new.severity);
            known.add(new.id.0, new.opened);
            return;
        }
        self.growing.insert((new.kind, new.subject.clone()), new.id);
        self.all.insert(new.id, new);
        if self.all.len() > INCIDENTS_MAX {
            let resolved = self.all.values().find(|incident| !incident.is_open()).map(|incident| incident.id);
            let Some(oldest) = resolved.or_else(|| self.all.keys().next().copied()) else { return };
            self.all.remove(&oldest);
            self.growing.retain(|_, id| *id != oldest);
        }
    }
}

impl Incident {
    fn new(entry: u64, kind: Kind, subject: Subject, sentence: String, at: Moment) -> Self {
        Self {
            id: IncidentId(entry),
            kind,
            subject,
            severity: match kind {
                Kind::Tempo | Kind::Key | Kind::Kill => Severity::High,
                Kind::Boundary | Kind::Notice => Severity::Medium,
            },
            sentence,
            opened: at,
            last: at,
            task: None,
            chain: Vec::new(),
            key: None,
            tool: None,
            decision: None,
            norm: None,
            tempo: None,
            times: 1,
            withheld: 0,
            refused_since: 0,
            entries: vec![entry],
            entries_beyond: 0,
            stopped: Vec::new(),
            let_go: None,
            resolved: None,
        }
    }

    /// The same, begun by a decided call.
    fn of(self, decided: &Decided, root: Option<TaskId>) -> Self {
        Self {
            severity: if decided.enforced { self.severity } else { Severity::Critical },
            task: root,
            chain: decided.caller.chain.clone(),
            key: decided.caller.key.clone(),
            tool: Some(decided.act.tool.clone()),
            decision: Some(decided.id.clone()),
            ..self
        }
    }
}

/// The tasks below `root`, itself included, among those that `parents` knows.
#[must_use]
pub fn family(root: &TaskId, parents: &BTreeMap<TaskId, Option<TaskId>>) -> BTreeSet<TaskId> {
    let is_below = |task: &TaskId| {
        let parent = |task: &TaskId| parents.get(task).cloned().flatten();
        std::iter::successors(Some(task.clone()), parent).take(CHAIN_DEPTH_MAX + 1).any(|above| above == *root)
    };
    parents.keys().filter(|task| is_below(task)).cloned().chain([root.clone()]).collect()
}

#[cfg(test)]
mod tests;
