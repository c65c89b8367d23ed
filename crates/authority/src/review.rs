//! What an agent did since somebody last looked, and what of its permissions it used: what a person reads before they renew its registration.
//!
//! A fold over the ledger's records, so that everybody who reads the same ledger finds the same. It decides nothing and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use judge::decision::Outcome;
use judge::directory::{AgentRecord, Directory};
use judge::effect::Effect;
use judge::event::{Decided, Event, Record};
use judge::moment::Moment;
use judge::name::{AskId, PrincipalId, TaskId};
use judge::pattern;
use judge::registration::Used;
use judge::standing::Target;
use judge::task::Task;
use serde::Serialize;

/// How many different names of one kind are told apart; what comes after them is counted together.
const NAMES_MAX: usize = 10_000;
/// Under this name.
const OTHERS: &str = "(others)";

/// How often something was wanted, and what was answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Went through.
    pub used: u64,
    /// A person was asked.
    pub asked: u64,
    /// Denied.
    pub denied: u64,
}

impl Count {
    fn add(&mut self, decided: &Decided) {
        match decided.decision.outcome {
            // What was only observed went through, whatever the answer was.
            _ if decided.went_through() => self.used += 1,
            Outcome::Permit => {}
            Outcome::Ask => self.asked += 1,
            Outcome::Deny => self.denied += 1,
        }
    }
}

/// What an agent did in a span of time.
#[derive(Debug, Clone, Serialize)]
pub struct Review {
    /// Which.
    pub agent: PrincipalId,
    /// From here on.
    pub since: Moment,
    /// All of its calls.
    pub calls: Count,
    /// By effect.
    pub effects: BTreeMap<Effect, Count>,
    /// By tool.
    pub tools: BTreeMap<Arc<str>, Count>,
    /// By the purpose of their task.
    pub purposes: BTreeMap<Arc<str>, Count>,
    /// By the person for whom they were made.
    pub requesters: BTreeMap<Arc<str>, Count>,
    /// What was objected to, by the norm or the code that did.
    pub grounds: BTreeMap<Arc<str>, u64>,
    /// Tasks that were started with it, sub-tasks among them.
    pub tasks: u64,
    /// How many of those made no call.
    pub idle_tasks: u64,
    /// Items that it read.
    pub items: u64,
    /// Items that were withheld from it.
    pub withheld: u64,
    /// Asks of its that a person said yes to.
    pub approved: u64,
    /// Asks of its that a person said no to.
    pub refused: u64,
    /// Alarms, by kind.
    pub alarms: BTreeMap<&'static str, u64>,
    /// How often a breaker tripped.
    pub trips: u64,
    /// How often a person stopped it or something of it.
    pub kills: u64,
    /// Credentials that were issued to it.
    pub credentials: u64,
    /// The last moment at which it called.
    pub last: Option<Moment>,
    /// What went through, as effect and resource, for telling which grants it used.
    #[serde(skip)]
    touched: BTreeMap<Effect, BTreeSet<Arc<str>>>,
    /// Whether there was more than could be told apart.
    pub is_partial: bool,
    /// Its tasks by id: the purpose, and whether they were used.
    #[serde(skip)]
    known: BTreeMap<TaskId, Arc<str>>,
    #[serde(skip)]
    started: BTreeSet<TaskId>,
    #[serde(skip)]
    asks: BTreeSet<AskId>,
    #[serde(skip)]
    decisions: BTreeSet<judge::name::DecisionId>,
}

/// A permission, and how often it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// Its name.
    pub name: String,
    /// How often; nothing when it never was.
    pub used: u64,
}

/// A grant, and what of it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantUse {
    /// The effects that were used.
    pub used: BTreeSet<Effect>,
    /// The effects that never were.
    pub unused: BTreeSet<Effect>,
    /// On what.
    pub on: Vec<String>,
}

impl Review {
    /// Nothing yet, of `agent` since `since`.
    #[must_use]
    pub fn new(agent: PrincipalId, since: Moment) -> Self {
        Self {
            agent,
            since,
            calls: Count::default(),
            effects: BTreeMap::new(),
            tools: BTreeMap::new(),
            purposes: BTreeMap::new(),
            requesters: BTreeMap::new(),
            grounds: BTreeMap::new(),
            tasks: 0,
            idle_tasks: 0,
            items: 0,
            withheld: 0,
            approved: 0,
            refused: 0,
            alarms: BTreeMap::new(),
            trips: 0,
            kills: 0,
            credentials: 0,
            last: None,
            touched: BTreeMap::new(),
            is_partial: false,
            known: BTreeMap::new(),
            started: BTreeSet::new(),
            asks: BTreeSet::new(),
            decisions: BTreeSet::new(),
        }
    }

    /// The moment since which somebody has to look at an agent: when it was last reviewed, else registered, else from the beginning.
    #[must_use]
    pub fn begins(agent: &AgentRecord) -> Moment {
        let registration = &agent.registration;
        registration.reviewed.as_ref().or(registration.registered.as_ref()).map_or(Moment(0), |mark| mark.at)
    }

    /// Adds what happened. Records come in their order, from the first of the ledger: a task can be older than the span.
    pub fn learn(&mut self, record: &Record) {
        let is_within = record.at >= self.since;
        match &record.event {
            Event::TaskStarted(task) => self.begins_task(task, is_within),
            Event::Decided(decided) if is_within => self.decided(decided, record.at),
            Event::Observed(observed) if self.decisions.remove(&observed.decision) => {
                let (read, withheld) = observed.read_and_withheld();
                self.withheld += withheld;
                self.items += read;
            }
            Event::Answered { ask, yes, .. } if self.asks.remove(ask) => {
                *(if *yes { &mut self.approved } else { &mut self.refused }) += 1;
            }
            Event::CredentialIssued(issued) if is_within => {
                let is_own = issued.caller.chain.len() > 1 && issued.caller.chain.last() == Some(&self.agent);
                self.credentials += u64::from(is_own);
            }
            Event::Killed { target, .. } if is_within => self.kills += u64::from(self.is_of(target)),
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. }
            | Event::Decided(_)
            | Event::Observed(_)
            | Event::Answered { .. }
            | Event::Refused(_) => {}
        }
        if self.has_of(record)
            && let Some(alarm) = record.event.alarm().filter(|_| is_within)
        {
            *self.alarms.entry(alarm.word()).or_default() += 1;
        }
    }

    fn begins_task(&mut self, task: &Task, is_within: bool) {
        if task.agent != self.agent && !task.chain.contains(&self.agent) {
            return;
        }
        self.known.insert(task.id.clone(), Arc::from(task.purpose.as_str()));
        if is_within && task.agent == self.agent {
            self.tasks += 1;
            self.idle_tasks += 1;
            self.started.insert(task.id.clone());
        }
    }

    fn decided(&mut self, decided: &Decided, at: Moment) {
        let Some((requester, agents)) = decided.caller.chain.split_first() else { return };
        if !agents.contains(&self.agent) {
            return;
        }
        self.last = Some(at);
        if decided.went_through() {
            self.decisions.insert(decided.id.clone());
        }
        self.trips += u64::from(decided.trip.is_some());
        if let Some(asked) = &decided.ask {
            self.asks.insert(asked.id.clone());
        }
        let purpose = decided.caller.task.as_ref().and_then(|task| {
            self.idle_tasks -= u64::from(self.started.remove(task));
            self.known.get(task).cloned()
        });
        self.calls.add(decided);
        for effect in &decided.act.effects {
            self.effects.entry(*effect).or_default().add(decided);
        }
        let mut is_partial = self.is_partial;
        let mut add = |names: &mut BTreeMap<Arc<str>, Count>, name: Arc<str>| entry(names, name, &mut is_partial).add(decided);
        add(&mut self.tools, Arc::from(decided.act.tool.as_str()));
        add(&mut self.requesters, requester.shared());
        purpose.into_iter().for_each(|purpose| add(&mut self.purposes, purpose));
        for ground in decided.decision.grounds() {
            *entry(&mut self.grounds, Arc::from(ground), &mut is_partial) += 1;
        }
        if decided.went_through() {
            for effect in &decided.act.effects {
                let touched = self.touched.entry(*effect).or_default();
                for resource in &decided.act.resources {
                    let is_new = touched.len() < NAMES_MAX && touched.insert(Arc::from(resource.as_str()));
                    is_partial |= !is_new && !touched.contains(resource.as_str());
                }
            }
        }
        self.is_partial = is_partial;
    }

    /// Whether what was stopped is this agent, or a task of its.
    fn is_of(&self, target: &Target) -> bool {
        match target {
            Target::Agent(agent) => *agent == self.agent,
            Target::Task(task) => self.known.contains_key(task),
            Target::Owner(_) | Target::Key(_) | Target::Client(_) => false,
        }
    }

    fn has_of(&self, record: &Record) -> bool {
        match &record.event {
            Event::Decided(decided) => decided.caller.chain.iter().skip(1).any(|agent| *agent == self.agent),
            Event::Observed(observed) => observed.task.as_ref().is_some_and(|task| self.known.contains_key(task)),
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. }
            | Event::Answered { .. }
            | Event::Refused(_) => false,
        }
    }

    /// What it used, to which its registration can be tightened.
    #[must_use]
    pub fn used(&self) -> Used {
        let used = |names: &BTreeMap<Arc<str>, Count>| {
            names.iter().filter(|(_, count)| count.used > 0).map(|(name, _)| name.clone()).collect()
        };
        let effects = self.effects.iter().filter(|(_, count)| count.used > 0).map(|(effect, _)| *effect).collect();
        Used { effects, tools: used(&self.tools), purposes: used(&self.purposes) }
    }

    /// The effects that it may have: those of its registration, else those of its own grants.
    #[must_use]
    pub fn effects_of(&self, agent: &AgentRecord, directory: &Directory) -> Vec<Permission> {
        let granted = || directory.grants_to(agent.id.as_str()).flat_map(|grant| &grant.may).copied().collect();
        let effects: BTreeSet<Effect> = agent.registration.effects.clone().unwrap_or_else(granted);
        let used = |effect| self.effects.get(effect).map_or(0, |count| count.used);
        effects.iter().map(|effect| Permission { name: effect.word().to_owned(), used: used(effect) }).collect()
    }

    /// The purposes that it is registered for; those that it was used for when it is registered for any.
    #[must_use]
    pub fn purposes_of(&self, agent: &AgentRecord) -> Vec<Permission> {
        let used = || self.purposes.keys().cloned().collect();
        let purposes: BTreeSet<Arc<str>> = agent.registration.purposes.clone().unwrap_or_else(used);
        let times = |purpose| self.purposes.get(purpose).map_or(0, |count: &Count| count.used);
        purposes.iter().map(|purpose| Permission { name: purpose.to_string(), used: times(purpose) }).collect()
    }

    /// The tools that it is registered for, as they are written there; those that it used when it is registered for any.
    #[must_use]
    pub fn tools_of(&self, agent: &AgentRecord) -> Vec<Permission> {
        let used = || self.tools.iter().filter(|(_, count)| count.used > 0).map(|(tool, _)| tool.clone()).collect();
        let tools: BTreeSet<Arc<str>> = agent.registration.tools.clone().unwrap_or_else(used);
        let times = |wanted: &str| {
            let matching = self.tools.iter().filter(|(tool, _)| pattern::matches(wanted, tool));
            matching.map(|(_, count)| count.used).sum()
        };
        tools.iter().map(|tool| Permission { name: tool.to_string(), used: times(tool) }).collect()
    }

    /// Its own grants, with what of each was used. Several grants for the same thing count as used together.
    #[must_use]
    pub fn grants_of(&self, agent: &AgentRecord, directory: &Directory) -> Vec<GrantUse> {
        let is_on = |resource: &str, on: &[String]| on.iter().any(|pattern| pattern::matches(pattern, resource));
        let is_used = |effect: &Effect, on: &[String]| {
            self.touched.get(effect).is_some_and(|touched| touched.iter().any(|resource| is_on(resource, on)))
        };
        directory
            .grants_to(agent.id.as_str())
            .map(|grant| {
                let (used, unused) = grant.may.iter().copied().partition(|effect| is_used(effect, &grant.on));
                GrantUse { used, unused, on: grant.on.clone() }
            })
            .collect()
    }
}

/// The count of a name, or of all others when there are too many.
fn entry<'a, T: Default>(counts: &'a mut BTreeMap<Arc<str>, T>, name: Arc<str>, is_partial: &mut bool) -> &'a mut T {
    let name = if counts.len() < NAMES_MAX || counts.contains_key(&name) {
        name
    } else {
        *is_partial = true;
        Arc::from(OTHERS)
    };
    counts.entry(name).or_default()
}
