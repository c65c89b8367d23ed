//! The story of one incident, gathered from the ledger: what was done in its tasks, what was seen and sent and who could see it, what is stopped, and
//! what to do next. Only names, numbers and labels: records hold no content, and what the requester said stays where it is.

use std::collections::{BTreeMap, BTreeSet};

use judge::content::ContentKey;
use judge::decision::Outcome;
use judge::directory::DirectoryChange;
use judge::effect::Effect;
use judge::event::{Decided, Ended, Event, LabelRecord, Observed, Record};
use judge::incident::{Incident, Kind, Subject, family};
use judge::label::{Classification, Integrity};
use judge::moment::Moment;
use judge::name::{DecisionId, PrincipalId, ResourceId, TaskId};
use judge::reach::ReachRecord;
use judge::standing::Target;
use judge::state::State;
use judge::task::{Caller, Task};
use ledger::{Entry, EntryHash, Seq, Source};
use serde::Serialize;
use serde_json::Value;

use crate::commands::history::{self, History};
use crate::render;

/// Entries that a story holds with what they say.
const RECEIPTS_MAX: usize = 50_000;
/// Items that are named one by one.
const ITEMS_MAX: usize = 50_000;
/// Sendings that are told one by one.
const SENT_MAX: usize = 10_000;
/// Lines of the timeline. What is beyond is left out of the middle.
const LINES_MAX: usize = 1_000;
/// Names that may hold what the requester said, or prints of what was read: left out of what is handed on.
const NOT_HANDED_ON: [&str; 7] = ["words", "purpose", "sketch", "values", "attested", "sets", "stated"];

/// Everything about one incident.
#[derive(Debug, Default, Serialize)]
pub struct Story {
    /// What was usual for whoever did it, in one sentence.
    pub usual: String,
    /// What is stopped now because of it.
    pub frozen: Vec<Target>,
    /// The root task and everything that was handed on from it.
    pub tasks: Vec<TaskLine>,
    /// Keys that have credentials for these tasks.
    pub keys: Vec<KeyLine>,
    /// Calls that were let through and have not ended.
    pub in_flight: u64,
    /// What happened when. Calls of a kind in a row are one line.
    pub timeline: Vec<Line>,
    /// Lines that are left out of the middle.
    pub lines_left_out: u64,
    /// What was done, by whom, with which tool, and how it was answered.
    pub did: Vec<Did>,
    /// What was read, by label.
    pub seen: Vec<Seen>,
    /// What was made visible to somebody, and to whom.
    pub sent: Vec<Sent>,
    /// Sendings beyond those.
    pub sent_beyond: u64,
    /// What a responder would do now.
    pub next: Vec<String>,
    /// The entries of the ledger that all of this rests on.
    #[serde(skip)]
    pub receipts: Vec<ReceiptLine>,
}

/// A task of the incident.
#[derive(Debug, Serialize)]
pub struct TaskLine {
    pub task: TaskId,
    pub parent: Option<TaskId>,
    pub agent: PrincipalId,
    pub requester: PrincipalId,
    pub starts: String,
    pub ends: String,
    /// `frozen`, `ended`, `over` or `running`.
    pub stands: &'static str,
}

/// A key of the incident.
#[derive(Debug, Serialize)]
pub struct KeyLine {
    pub agent: PrincipalId,
    pub task: TaskId,
    /// Its thumbprint (RFC 7638); nothing for a bearer's token.
    pub key: Option<String>,
    pub credential: String,
    pub expires: String,
}

/// What happened when.
#[derive(Debug, Serialize)]
pub struct Line {
    pub from: String,
    pub to: String,
    pub first_entry: u64,
    pub last_entry: u64,
    pub times: u64,
    pub what: String,
}

/// What was done with one tool.
#[derive(Debug, Default, Serialize)]
pub struct Did {
    pub who: String,
    pub tool: String,
    pub effects: Vec<&'static str>,
    pub let_through: u64,
    pub asked: u64,
    pub denied: u64,
    /// Denied, but the gate only observed.
    pub only_observed: u64,
    pub amount: u64,
}

/// Who could see something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audience {
    pub public: bool,
    pub external: Vec<String>,
    /// Nothing where the ledger never spelt them out.
    pub people: Option<Vec<String>>,
}

/// Items with one label that one agent read.
#[derive(Debug, Serialize)]
pub struct Seen {
    pub who: String,
    pub items: u64,
    pub withheld: u64,
    pub classification: Classification,
    pub categories: Vec<String>,
    pub trusted: bool,
    /// Who may have it, as it stood when it was read.
    pub readers: Audience,
    pub readers_known: bool,
    pub first: String,
    pub last: String,
    /// Which, as far as they are named.
    pub names: Vec<ResourceId>,
}

/// Something that was made visible.
#[derive(Debug, Serialize)]
pub struct Sent {
    pub at: String,
    pub entry: u64,
    pub decision: DecisionId,
    pub who: String,
    pub tool: String,
    pub effects: Vec<&'static str>,
    pub resources: Vec<ResourceId>,
    pub recipients: Vec<String>,
    pub amount: Option<u64>,
    pub bytes: u64,
    /// Who could see it then.
    pub audience: Audience,
    /// Who can see it now beside those, because they joined the place where it went.
    pub joined_since: Vec<String>,
    /// How many of the audience were not cleared for something that is found in it, word for word.
    pub not_cleared_for_shown: u64,
    /// How many were not cleared for something that the task had read by then.
    pub not_cleared_for_possible: u64,
    /// Pairs of a person and an item that became visible, where it changed who may see something, and how many of those were not cleared.
    pub newly_visible_pairs: u64,
    pub newly_visible_uncleared: u64,
    pub only_observed: bool,
    /// How it ended; nothing while nobody knows.
    pub ended: Option<Ended>,
}

/// An entry of the ledger.
#[derive(Debug, Serialize)]
pub struct ReceiptLine {
    pub seq: Seq,
    pub hash: EntryHash,
    pub at: String,
    pub event: Value,
}

/// What of the state is stopped, of what the incident is about.
pub fn frozen_by(state: &State, incident: &Incident) -> Vec<Target> {
    let is_of_it = |target: &Target| {
        incident.subject == Subject::Stopped(target.clone())
            || match target {
                Target::Task(task) => incident.task.as_ref() == Some(task),
                Target::Agent(agent) => incident.chain.get(1..).unwrap_or_default().contains(agent),
                Target::Key(key) => incident.key.as_ref() == Some(key),
                Target::Owner(_) | Target::Client(_) => incident.stopped.iter().any(|handled| handled.target == *target),
            }
    };
    let frozen = state.freezes().map(|(target, _)| target);
    let all: BTreeSet<Target> = frozen.chain(state.kills().map(|(target, _)| target.clone())).filter(is_of_it).collect();
    all.into_iter().collect()
}

/// Reads the ledger for everything that belongs to `incident`.
///
/// # Errors
/// When the ledger cannot be read.
pub fn gather(source: &dyn Source, incident: &Incident, now: Moment) -> anyhow::Result<Story> {
    let scope = Scope::of(source, incident)?;
    let mut gathering = Gathering::new(incident, scope);
    history::each(source, Seq::FIRST, |entry, record| {
        gathering.known.learn(entry, record);
        gathering.take(entry, record);
        gathering.state.apply(record);
        Ok(())
    })?;
    Ok(gathering.story(now))
}

/// What belongs to an incident.
struct Scope {
    tasks: BTreeSet<TaskId>,
    records: BTreeMap<TaskId, Task>,
    /// Calls of other tasks whose results the incident names.
    calls: BTreeSet<DecisionId>,
    key: Option<std::sync::Arc<str>>,
    client: Option<std::sync::Arc<str>>,
}

impl Scope {
    fn of(source: &dyn Source, incident: &Incident) -> anyhow::Result<Self> {
        let mut records: BTreeMap<TaskId, Task> = BTreeMap::new();
        let named: BTreeSet<u64> = incident.entries.iter().copied().collect();
        let mut calls = BTreeSet::new();
        let mut owners: BTreeMap<PrincipalId, PrincipalId> = BTreeMap::new();
        history::each(source, Seq::FIRST, |entry, record| {
            match &record.event {
                Event::TaskStarted(task) => drop(records.insert(task.id.clone(), Task::clone(task))),
                Event::Configured(bundle) => {
                    owners.extend(bundle.directory.agents.iter().map(|agent| (agent.id.clone(), agent.owner.clone())));
                }
                Event::DirectoryChanged(changed) => {
                    for change in &changed.changes {
                        if let DirectoryChange::PutAgent(agent) = change {
                            owners.insert(agent.id.clone(), agent.owner.clone());
                        }
                    }
                }
                Event::Observed(observed) if named.contains(&entry.seq.0) => drop(calls.insert(observed.decision.clone())),
                _ => {}
            }
            Ok(())
        })?;
        let parents = records.iter().map(|(id, task)| (id.clone(), task.parent.clone())).collect();
        let mut tasks = incident.task.as_ref().map(|root| family(root, &parents)).unwrap_or_default();
        let mut scope = (None, None);
        if let Subject::Stopped(target) = &incident.subject {
            let is_alive = |task: &Task| task.starts <= incident.opened && task.ends >= incident.opened;
            let alive = |is_its: &dyn Fn(&Task) -> bool| {
                let its = records.values().filter(|task| is_alive(task) && is_its(task));
                its.map(|task| task.id.clone()).collect::<Vec<_>>()
            };
            match target {
                Target::Task(task) => tasks.extend(family(task, &parents)),
                Target::Agent(agent) => tasks.extend(alive(&|task| task.agent == *agent || task.chain.contains(agent))),
                Target::Owner(person) => {
                    let owns = |agent: &PrincipalId| owners.get(agent) == Some(person);
                    tasks.extend(alive(&|task| task.requester == *person || owns(&task.agent) || task.chain.iter().any(owns)));
                }
                Target::Key(key) => scope.0 = Some(key.clone()),
                Target::Client(client) => scope.1 = Some(client.clone()),
            }
        }
        Ok(Self { tasks, records, calls, key: scope.0, client: scope.1 })
    }

    fn has_call(&self, decided: &Decided) -> bool {
        self.calls.contains(&decided.id) || self.has(&decided.caller)
    }

    fn has(&self, caller: &Caller) -> bool {
        caller.task.as_ref().is_some_and(|task| self.tasks.contains(task))
            || (self.key.is_some() && caller.key == self.key)
            || (self.client.is_some() && caller.client == self.client)
    }

    fn is_about(&self, target: &Target, incident: &Incident) -> bool {
        match target {
            Target::Task(task) => self.tasks.contains(task),
            Target::Agent(_) | Target::Owner(_) | Target::Key(_) | Target::Client(_) => {
                incident.stopped.iter().chain(&incident.let_go).any(|handled| handled.target == *target)
            }
        }
    }
}

struct Gathering<'a> {
    incident: &'a Incident,
    entries: BTreeSet<u64>,
    scope: Scope,
    known: History,
    state: State,
    story: Story,
    did: BTreeMap<(String, String), Did>,
    seen: BTreeMap<(String, LabelRecord), Shelf>,
    items: usize,
    callers: BTreeMap<DecisionId, Caller>,
    sent: BTreeMap<DecisionId, usize>,
    last_line: Option<String>,
    /// The audience of each sending, as the record has it.
    places: Vec<ReachRecord>,
}

struct Shelf {
    names: BTreeSet<ResourceId>,
    items: u64,
    withheld: u64,
    first: Moment,
    last: Moment,
}

impl<'a> Gathering<'a> {
    fn new(incident: &'a Incident, scope: Scope) -> Self {
        Self {
            incident,
            entries: incident.entries.iter().copied().collect(),
            scope,
            known: History::default(),
            state: State::new(ContentKey::new([0; 16])),
            story: Story::default(),
            did: BTreeMap::new(),
            seen: BTreeMap::new(),
            items: 0,
            callers: BTreeMap::new(),
            sent: BTreeMap::new(),
            last_line: None,
            places: Vec::new(),
        }
    }

    fn take(&mut self, entry: &Entry, record: &Record) {
        let is_named = self.entries.contains(&entry.seq.0);
        let (belongs, line) = match &record.event {
            Event::TaskStarted(task) if self.scope.tasks.contains(&task.id) => {
                let of = task.parent.as_ref().map(|parent| format!(", handed on from {parent}")).unwrap_or_default();
                (true, Some(format!("task {} began: {} for {}{of}", task.id, task.agent, task.requester)))
            }
            Event::TaskEnded { task } if self.scope.tasks.contains(task) => (true, Some(format!("task {task} ended"))),
            Event::TaskRenewed { task, .. } if self.scope.tasks.contains(task) => {
                (true, Some(format!("task {task} was renewed")))
            }
            Event::CredentialIssued(issued) if self.scope.has(&issued.caller) => {
                if let (Some(task), Some(agent)) = (&issued.caller.task, issued.caller.chain.last()) {
                    self.story.keys.push(KeyLine {
                        agent: agent.clone(),
                        task: task.clone(),
                        key: issued.caller.key.as_ref().map(ToString::to_string),
                        credential: issued.id.clone(),
                        expires: render::rfc3339(issued.expires),
                    });
                }
                (true, Some(format!("a credential for {}", render::chain(&issued.caller))))
            }
            Event::Killed { target, by, .. } if is_named || self.scope.is_about(target, self.incident) => {
                (true, Some(format!("{by} stopped {target}")))
            }
            Event::Reset { target, by } if is_named || self.scope.is_about(target, self.incident) => {
                (true, Some(format!("{by} let {target} go on")))
            }
            Event::IncidentResolved { incident, by, verdict, .. } if *incident == self.incident.id => {
                (true, Some(format!("{by}: {}", verdict.word())))
            }
            Event::Decided(decided) if is_named || self.scope.has_call(decided) => {
                (true, Some(self.decided(entry, record.at, decided)))
            }
            Event::Observed(observed) if is_named || self.callers.contains_key(&observed.decision) => {
                (true, self.observed(record.at, observed))
            }
            Event::Refused(refused) if refused.caller.as_ref().is_some_and(|caller| self.scope.has(caller)) => {
                (true, Some(format!("refused before it became an act ({})", refused.code.word())))
            }
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. }
            | Event::Decided(_)
            | Event::Observed(_)
            | Event::Answered { .. }
            | Event::Refused(_) => (false, None),
        };
        if belongs && self.story.receipts.len() < RECEIPTS_MAX {
            self.story.receipts.push(ReceiptLine {
                seq: entry.seq,
                hash: entry.hash,
                at: render::rfc3339(record.at),
                event: handed_on(serde_json::to_value(&record.event).unwrap_or_default()),
            });
        }
        if let Some(what) = line {
            self.line(entry.seq.0, record.at, what);
        }
    }

    fn line(&mut self, entry: u64, at: Moment, what: String) {
        let at = render::rfc3339(at);
        if self.last_line.as_ref() == Some(&what)
            && let Some(line) = self.story.timeline.last_mut()
        {
            line.to = at;
            line.last_entry = entry;
            line.times += 1;
            return;
        }
        self.last_line = Some(what.clone());
        if self.story.timeline.len() >= LINES_MAX {
            self.story.timeline.remove(LINES_MAX / 2);
            self.story.lines_left_out += 1;
        }
        self.story.timeline.push(Line { from: at.clone(), to: at, first_entry: entry, last_entry: entry, times: 1, what });
    }

    fn decided(&mut self, entry: &Entry, at: Moment, decided: &Decided) -> String {
        let act = &decided.act;
        let who = decided.caller.chain.last().map_or_else(String::new, ToString::to_string);
        let did = self.did.entry((who.clone(), act.tool.to_string())).or_default();
        did.who.clone_from(&who);
        act.tool.as_str().clone_into(&mut did.tool);
        did.effects = words(&act.effects);
        match decided.decision.outcome {
            Outcome::Permit => did.let_through += 1,
            Outcome::Ask | Outcome::Deny if !decided.enforced => did.only_observed += 1,
            Outcome::Ask => did.asked += 1,
            Outcome::Deny => did.denied += 1,
        }
        if decided.went_through() {
            did.amount = did.amount.saturating_add(act.amount.unwrap_or(0));
            self.callers.insert(decided.id.clone(), decided.caller.clone());
            self.maybe_sent(entry, at, decided, who.clone());
        }
        let answer = match (decided.decision.outcome, decided.enforced) {
            (Outcome::Permit, _) => "let through".to_owned(),
            (Outcome::Ask, true) => format!("asked ({})", render::names(decided.decision.grounds())),
            (Outcome::Deny, true) => format!("denied ({})", render::names(decided.decision.grounds())),
            (Outcome::Ask | Outcome::Deny, false) => {
                format!("only observed, it went through ({})", render::names(decided.decision.grounds()))
            }
        };
        let froze = decided.froze().map(|froze| format!("; {froze}")).unwrap_or_default();
        format!("{who}: {} {}: {answer}{froze}", act.tool, render::names(words(&act.effects)))
    }

    fn maybe_sent(&mut self, entry: &Entry, at: Moment, decided: &Decided, who: String) {
        let act = &decided.act;
        let reaches = |effect: &Effect| matches!(effect, Effect::Send | Effect::Publish | Effect::Widen | Effect::Spend);
        if act.audience.is_none() && !act.effects.iter().any(reaches) {
            return;
        }
        if self.story.sent.len() >= SENT_MAX {
            self.story.sent_beyond += 1;
            return;
        }
        let facts = &decided.decision.facts;
        self.sent.insert(decided.id.clone(), self.story.sent.len());
        self.places.push(act.audience.clone().unwrap_or_else(|| ReachRecord::from(&judge::reach::Reach::nobody())));
        self.story.sent.push(Sent {
            at: render::rfc3339(at),
            entry: entry.seq.0,
            decision: decided.id.clone(),
            who,
            tool: act.tool.to_string(),
            effects: words(&act.effects),
            resources: act.resources.clone(),
            recipients: act.recipients.clone(),
            amount: act.amount,
            bytes: act.content_bytes,
            audience: act.audience.as_ref().map(|reach| audience(reach, &self.known)).unwrap_or_default(),
            joined_since: Vec::new(),
            not_cleared_for_shown: facts.shown.uncleared,
            not_cleared_for_possible: facts.possible.uncleared,
            newly_visible_pairs: facts.change.pairs,
            newly_visible_uncleared: facts.change.uncleared_pairs,
            only_observed: !decided.enforced && decided.decision.outcome != Outcome::Permit,
            ended: None,
        });
    }

    fn observed(&mut self, at: Moment, observed: &Observed) -> Option<String> {
        let caller = self.callers.remove(&observed.decision);
        if let Some(sent) = self.sent.get(&observed.decision).and_then(|at| self.story.sent.get_mut(*at)) {
            sent.ended = Some(observed.ended);
        }
        let who = caller.as_ref().and_then(|caller| caller.chain.last()).or(self.incident.chain.last());
        let who = who.map_or_else(String::new, ToString::to_string);
        for item in &observed.items {
            let shelf = self.seen.entry((who.clone(), item.label.clone())).or_insert_with(|| Shelf {
                names: BTreeSet::new(),
                items: 0,
                withheld: 0,
                first: at,
                last: at,
            });
            shelf.last = at;
            if item.withheld {
                shelf.withheld += 1;
            }
            if self.items < ITEMS_MAX {
                if shelf.names.insert(item.id.clone()) {
                    self.items += 1;
                    shelf.items += u64::from(!item.withheld);
                }
            } else if !shelf.names.contains(&item.id) {
                shelf.items += u64::from(!item.withheld);
            }
        }
        let (_, withheld) = observed.read_and_withheld();
        match observed.ended {
            _ if withheld > 0 => Some(format!("{} withheld from {who}", render::count(withheld, "item was", "items were"))),
            Ended::Failed => Some("a call failed".to_owned()),
            Ended::Ambiguous => Some("nobody knows how a call ended".to_owned()),
            Ended::Ok => None,
        }
    }

    fn story(mut self, now: Moment) -> Story {
        let incident = self.incident;
        let mut story = std::mem::take(&mut self.story);
        story.usual = usual(incident);
        story.frozen = frozen_by(&self.state, incident);
        story.did = std::mem::take(&mut self.did).into_values().collect();
        story.in_flight = self.state.open_acts().filter(|(id, _)| self.callers.contains_key(*id)).count() as u64;
        for (sent, then) in story.sent.iter_mut().zip(&self.places) {
            sent.joined_since = self.joined_since(sent, then);
        }
        let mut seen: Vec<Seen> = std::mem::take(&mut self.seen)
            .into_iter()
            .map(|((who, label), shelf)| Seen {
                who,
                items: shelf.items,
                withheld: shelf.withheld,
                classification: label.classification,
                categories: label.categories.iter().map(ToString::to_string).collect(),
                trusted: label.integrity == Integrity::Trusted,
                readers: audience(&label.readers, &self.known),
                readers_known: !label.unknown,
                first: render::rfc3339(shelf.first),
                last: render::rfc3339(shelf.last),
                names: shelf.names.into_iter().collect(),
            })
            .collect();
        seen.sort_by_key(|seen| std::cmp::Reverse((seen.classification, seen.items)));
        story.seen = seen;
        story.tasks = self.tasks(now);
        story.next = next(incident, &story);
        story
    }

    /// Who sees the place now, and did not when it was sent.
    fn joined_since(&self, sent: &Sent, then: &ReachRecord) -> Vec<String> {
        let directory = self.state.directory();
        let places = sent.resources.iter().map(ResourceId::as_str).chain(sent.recipients.iter().map(String::as_str));
        let now: BTreeSet<u32> =
            places.filter_map(|place| directory.audience_of(place)).flat_map(|reach| reach.people.bits()).collect();
        let Some(before) = self.known.people(&then.people) else { return Vec::new() };
        let before: BTreeSet<&str> = before.iter().map(String::as_str).collect();
        let names = now.into_iter().filter_map(|number| directory.principals().name(number));
        names.map(ToString::to_string).filter(|name| !before.contains(name.as_str())).collect()
    }

    fn tasks(&self, now: Moment) -> Vec<TaskLine> {
        let frozen = |id: &TaskId| self.state.line_of(id).any(|state| state.frozen.is_some());
        let line = |task: &Task| {
            let state = self.state.task(&task.id);
            TaskLine {
                task: task.id.clone(),
                parent: task.parent.clone(),
                agent: task.agent.clone(),
                requester: task.requester.clone(),
                starts: render::rfc3339(task.starts),
                ends: render::rfc3339(state.map_or(task.ends, |state| state.task.ends)),
                stands: match state {
                    Some(state) if state.ended => "ended",
                    Some(_) if frozen(&task.id) => "frozen",
                    Some(state) if state.task.ends > now => "running",
                    Some(_) | None => "over",
                },
            }
        };
        self.scope.tasks.iter().filter_map(|id| self.scope.records.get(id)).map(line).collect()
    }
}

fn words(effects: &BTreeSet<Effect>) -> Vec<&'static str> {
    effects.iter().map(|effect| effect.word()).collect()
}

fn audience(reach: &ReachRecord, known: &History) -> Audience {
    Audience {
        public: reach.public,
        external: reach.external.iter().map(ToString::to_string).collect(),
        people: known.people(&reach.people),
    }
}

/// The event without what may hold the requester's words, or prints of what was read.
fn handed_on(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            members.retain(|name, _| !NOT_HANDED_ON.contains(&name.as_str()));
            members.values_mut().for_each(|member| *member = handed_on(member.take()));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = handed_on(value.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// What was usual, as the record of the trip says.
fn usual(incident: &Incident) -> String {
    let Some(tempo) = incident.tempo.as_deref().filter(|tempo| tempo.known) else {
        return match incident.kind {
            Kind::Tempo => "what is usual was not known".to_owned(),
            Kind::Key => "each task's calls come with the keys that were given credentials for it".to_owned(),
            Kind::Boundary => "a server gives a requester only what is for them".to_owned(),
            Kind::Kill => "nothing is said about what was usual: a person stopped it".to_owned(),
            Kind::Notice => "nothing is said about what was usual: a norm wants it to be known".to_owned(),
        };
    };
    format!(
        "{}: {} times {} in an hour; seen were {} in a minute, {} in ten, {} in an hour, {} in a day and {} in a week",
        tempo.whose, tempo.usual, tempo.effect, tempo.minute, tempo.ten_minutes, tempo.hour, tempo.day, tempo.week
    )
}

/// What a responder would do now, as commands where there are some.
fn next(incident: &Incident, story: &Story) -> Vec<String> {
    let mut next = Vec::new();
    let id = incident.id;
    if !incident.is_open() {
        next.push("nothing: a person has said what it was".to_owned());
    }
    match incident.kind {
        Kind::Key => {
            if let Some(key) = incident.key.as_ref().filter(|_| story.frozen.is_empty()) {
                next.push(format!("stop the key, wherever it is used: prudence kill key:{key} --by YOU --why {id}"));
            }
            next.push("find out where the key or the token was taken, and give the agent a new key".to_owned());
        }
        Kind::Boundary => {
            next.push(
                "tell whoever runs the server: it gave out what the requester is not cleared for, and did not refuse it itself"
                    .to_owned(),
            );
        }
        Kind::Tempo if incident.is_open() && incident.let_go.is_none() => {
            next.push(format!("if it was wrong: end it for good, prudence kill {} --by YOU --why {id}", target_of(incident)));
            next.push(format!("if it was ordinary work: let it go on, prudence reset {} --by YOU", target_of(incident)));
        }
        Kind::Notice if incident.is_open() => {
            next.push(format!(
                "look at it; if it is not as it should be: prudence kill {} --by YOU --why {id}",
                target_of(incident)
            ));
        }
        Kind::Tempo | Kind::Kill | Kind::Notice => {}
    }
    if story.in_flight > 0 {
        next.push(format!("find out how {} ended: nobody has said so", render::count(story.in_flight, "call", "calls")));
    }
    let got_out = |sent: &&Sent| {
        sent.not_cleared_for_shown + sent.not_cleared_for_possible + sent.newly_visible_uncleared > 0 || sent.audience.public
    };
    let out = story.sent.iter().filter(got_out).count() as u64;
    if out > 0 {
        next.push(format!(
            "take back or delete {} that reached somebody not cleared for what the task had read; their owners decide who has to be told",
            render::count(out, "sending", "sendings")
        ));
    }
    if incident.is_open() {
        next.push(format!("say what it was: prudence incidents resolve {id} --by YOU --as WHAT --why WHY"));
    }
    next
}

/// What is stopped or let go with a command, as it is typed.
fn target_of(incident: &Incident) -> String {
    match &incident.subject {
        Subject::Stopped(target) => super::typed(target),
        Subject::Tool(tool) => tool.to_string(),
    }
}
