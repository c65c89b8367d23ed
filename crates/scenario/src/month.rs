//! A month of fifty agents, played from a seed: does anything fire on ordinary work, and how much is lost before an incident is found?
//!
//! The judge decides every call and folds what happened, in the order of their moments. The breakers alone are in force, so that whatever is found is found
//! by its tempo: what other norms would have asked about or denied (a deletion that nobody named, a mail to strangers) goes through here.

mod attack;
mod dice;
mod work;

#[cfg(test)]
mod tests;

use attack::Attack;
use judge::act::Act;
use judge::content::ContentKey;
use judge::decide::decide;
use judge::decision::{Outcome, Reason};
use judge::digest::Digest;
use judge::directory::{AgentRecord, DirectoryDocument, GrantRecord, PersonRecord, STANDING};
use judge::effect::Effect;
use judge::event::{ActRecord, Bundle, Decided, Ended, Event, Observed, Record};
use judge::moment::Moment;
use judge::name::{DecisionId, PrincipalId, ResourceId, TaskId, ToolId};
use judge::policy::PolicySources;
use judge::standing::Target;
use judge::state::State;
use judge::task::{Budget, Caller, Task};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use work::{AGENTS, Kind};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2026-06-01T00:00:00Z, a Monday.
const START: Moment = Moment(1_780_272_000_000);
/// Persons who own agents.
const OWNERS: u64 = 12;
/// Sub-agents that others may hand work to.
const HELPERS: u64 = 30;
/// How long after a trip somebody has looked, and lets the agents go on.
const LOOKED_MS: u64 = 30 * MINUTE_MS;
/// How long a task lives.
const LEASE_MS: u64 = 12 * HOUR_MS;

/// How to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// What chance begins with.
    pub seed: u64,
    /// How many days.
    pub days: u64,
    /// Whether anything goes wrong.
    pub incidents: bool,
    /// The policies in force; of the shipped ones, the breakers.
    pub policies: PolicySources,
}

impl Options {
    /// A whole month under the shipped breakers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut policies = PolicySources::shipped();
        policies.norms.retain(|norm| norm.name.ends_with("tempo.cedar"));
        Self { seed, days: 30, incidents: false, policies }
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcomes {
    /// What chance began with.
    pub seed: u64,
    /// Calls of ordinary work.
    pub ordinary_calls: u64,
    /// Of those, how many were refused.
    pub ordinary_refused: u64,
    /// Breakers that tripped on ordinary work while no incident was under way with the same agents.
    pub false_alarms: Vec<TripSeen>,
    /// Breakers that tripped on ordinary work of agents whose incident was under way or had just been found.
    pub beside: Vec<TripSeen>,
    /// The incidents.
    pub incidents: Vec<Found>,
}

/// A breaker that tripped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TripSeen {
    /// The day, from 0, and the hour.
    pub day: u64,
    /// The hour of the day.
    pub hour: u64,
    /// Whose call it was.
    pub agent: String,
    /// Why.
    pub sentence: String,
}

/// An incident, found or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name.
    pub name: &'static str,
    /// What happened.
    pub about: &'static str,
    /// Whether it is beyond the ten that have to be found.
    pub is_beyond: bool,
    /// How long after its first call the first breaker tripped, in milliseconds; nothing when none did.
    pub after_ms: Option<u64>,
    /// Calls of the incident that went through.
    pub lost: u64,
    /// Calls that it wanted to make.
    pub wanted: u64,
    /// What was said when it was found.
    pub sentence: String,
}

/// One call.
#[derive(Debug, Clone)]
struct Call {
    at_ms: u64,
    agent: u64,
    /// The sub-agent that does it.
    helper: Option<u64>,
    session: u64,
    tool: String,
    effect: Effect,
    resources: Vec<String>,
    recipients: Vec<String>,
    /// The incident that it is a part of.
    attack: Option<usize>,
}

/// Plays the month.
#[must_use]
pub fn play(options: &Options) -> Outcomes {
    Playing::new(options).plays()
}

struct Playing<'a> {
    options: &'a Options,
    kinds: Vec<Kind>,
    state: State,
    attacks: Vec<Attack>,
    outcomes: Outcomes,
    decisions: u64,
    begun: BTreeSet<TaskId>,
    /// Agents that somebody will have looked at, by when.
    looks: BTreeMap<u64, BTreeSet<u64>>,
    /// The first and the last call of an incident with this agent, and somewhat beyond.
    troubled: Vec<(u64, std::ops::Range<u64>)>,
}

impl<'a> Playing<'a> {
    fn new(options: &'a Options) -> Self {
        let kinds: Vec<Kind> = AGENTS.iter().flat_map(|(kind, count)| (0..*count).map(|_| *kind)).collect();
        let first = |kind: Kind| kinds.iter().position(|other| *other == kind).unwrap_or_default() as u64;
        let attacks = if options.incidents { attack::all(first) } else { Vec::new() };
        let incidents = attacks
            .iter()
            .map(|attack| Found {
                name: attack.name,
                about: attack.about,
                is_beyond: attack.is_beyond,
                after_ms: None,
                lost: 0,
                wanted: attack.calls.len() as u64,
                sentence: String::new(),
            })
            .collect();
        let mut troubled = Vec::new();
        for attack in &attacks {
            let mut spans: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for call in &attack.calls {
                let span = spans.entry(call.agent).or_insert((call.at_ms, call.at_ms));
                *span = (span.0.min(call.at_ms), span.1.max(call.at_ms));
            }
            troubled.extend(spans.into_iter().map(|(agent, (from, to))| (agent, from..to + DAY_MS)));
        }
        let mut state = State::new(ContentKey::new(*b"a month of work!"));
        let bundle = Bundle { directory: directory(&kinds), policies: options.policies.clone(), content_key: String::new() };
        state.apply(&Record::new(START, Event::Configured(Box::new(bundle))));
        let outcomes = Outcomes {
            seed: options.seed,
            ordinary_calls: 0,
            ordinary_refused: 0,
            false_alarms: Vec::new(),
            beside: Vec::new(),
            incidents,
        };
        Self { options, kinds, state, attacks, outcomes, decisions: 0, begun: BTreeSet::new(), looks: BTreeMap::new(), troubled }
    }

    fn plays(mut self) -> Outcomes {
        for day in 0..self.options.days {
            for call in self.calls_of(day) {
                self.looked_until(call.at_ms);
                self.call(&call);
            }
        }
        self.outcomes
    }

    /// All calls of a day in order: ordinary ones, and those of incidents.
    fn calls_of(&self, day: u64) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        for (n, kind) in (0..).zip(&self.kinds) {
            calls.extend(work::day(self.options.seed, n, *kind, day));
        }
        let today = |call: &&Call| call.at_ms / DAY_MS == day;
        if self.options.incidents {
            calls.extend(attack::before_young().iter().filter(today).map(|call| Call { attack: None, ..call.clone() }));
        }
        for (number, attack) in self.attacks.iter().enumerate() {
            calls.extend(attack.calls.iter().filter(today).map(|call| Call { attack: Some(number), ..call.clone() }));
        }
        calls.sort_by_key(|call| (call.at_ms, call.agent, call.session));
        calls
    }

    /// Somebody has looked at what tripped: the task stays frozen, and the agent is not held to what happened in it.
    fn looked_until(&mut self, at_ms: u64) {
        while let Some(entry) = self.looks.first_entry().filter(|entry| *entry.key() <= at_ms) {
            let at = *entry.key();
            for agent in entry.remove() {
                let by = name("operator");
                let owner = owner_of(agent);
                for target in [Target::Agent(self.agent(agent)), Target::Owner(owner)] {
                    self.state.apply(&Record::new(START.after_ms(at), Event::Reset { target, by: by.clone() }));
                }
            }
        }
    }

    fn call(&mut self, call: &Call) {
        let moment = START.after_ms(call.at_ms);
        // An incident that was found is over: its task is frozen, and somebody is looking.
        if call.attack.is_some_and(|attack| self.outcomes.incidents[attack].after_ms.is_some()) {
            return;
        }
        let caller = self.caller(call, moment);
        let act = act(call);
        let ruling = decide(&self.state, &caller, &act, moment);
        self.decisions += 1;
        let decision = DecisionId::parse(&format!("d{:09}", self.decisions)).expect("a short word");
        let goes = ruling.decision.outcome == Outcome::Permit;
        let tripped = ruling.trip.is_some().then(|| sentence(&ruling.decision.reasons));
        let decided = Decided {
            id: decision.clone(),
            caller: caller.clone(),
            act: ActRecord::new(&act, None, Vec::new()),
            decision: ruling.decision,
            ask: None,
            approved_by: None,
            node: String::new(),
            enforced: true,
            trip: ruling.trip,
            made: None,
            sets: Vec::new(),
            answered: None,
        };
        self.state.apply(&Record::new(moment, Event::Decided(Box::new(decided))));
        if goes {
            let observed = Observed::nothing(decision, caller.task.clone(), Ended::Ok);
            self.state.apply(&Record::new(moment, Event::Observed(Box::new(observed))));
        }
        self.note(call, goes, tripped);
    }

    fn note(&mut self, call: &Call, goes: bool, tripped: Option<String>) {
        match call.attack {
            Some(attack) => {
                let first = self.attacks[attack].calls.first().map_or(0, |call| call.at_ms);
                let found = &mut self.outcomes.incidents[attack];
                found.lost += u64::from(goes);
                if let Some(sentence) = &tripped {
                    found.after_ms = Some(call.at_ms - first);
                    found.sentence.clone_from(sentence);
                }
            }
            None => {
                self.outcomes.ordinary_calls += 1;
                self.outcomes.ordinary_refused += u64::from(!goes);
                if let Some(sentence) = &tripped {
                    let seen = TripSeen {
                        day: call.at_ms / DAY_MS,
                        hour: call.at_ms % DAY_MS / HOUR_MS,
                        agent: self.agent(call.agent).to_string(),
                        sentence: sentence.clone(),
                    };
                    // A breaker of an agent that is misused may meet its own work first: then the incident is found as well.
                    let owner = owner_of(call.agent);
                    let is_troubled = |(agent, span): &(u64, std::ops::Range<u64>)| {
                        (*agent == call.agent || owner_of(*agent) == owner) && span.contains(&call.at_ms)
                    };
                    if self.troubled.iter().any(is_troubled) {
                        self.outcomes.beside.push(seen);
                    } else {
                        self.outcomes.false_alarms.push(seen);
                    }
                }
            }
        }
        if tripped.is_some() {
            self.looks.entry(call.at_ms + LOOKED_MS).or_default().insert(call.agent);
        }
    }

    /// Who calls; the task begins with its first call.
    fn caller(&mut self, call: &Call, moment: Moment) -> Caller {
        let root = task_id(&format!("t{}", call.session));
        let mut chain = vec![owner_of(call.agent), self.agent(call.agent)];
        self.begin(&root, None, &chain, moment);
        let Some(helper) = call.helper else { return Caller::new(chain, Some(root)) };
        chain.push(name(&format!("helper-{helper}")));
        let part = task_id(&format!("t{}-{helper}", call.session));
        self.begin(&part, Some(&root), &chain, moment);
        Caller::new(chain, Some(part))
    }

    fn begin(&mut self, id: &TaskId, parent: Option<&TaskId>, chain: &[PrincipalId], moment: Moment) {
        if !self.begun.insert(id.clone()) {
            return;
        }
        let task = Task {
            id: id.clone(),
            requester: chain[0].clone(),
            agent: chain[chain.len() - 1].clone(),
            purpose: "work".to_owned(),
            words: "work".to_owned(),
            address: Vec::new(),
            effects: None,
            resources: None,
            tools: None,
            address_open: false,
            budget: Budget::default(),
            starts: moment,
            ends: moment.after_ms(LEASE_MS * 2),
            until: None,
            parent: parent.cloned(),
            isolated: false,
            chain: if parent.is_some() { chain.to_vec() } else { Vec::new() },
        };
        self.state.apply(&Record::new(moment, Event::TaskStarted(Box::new(task))));
    }

    fn agent(&self, n: u64) -> PrincipalId {
        let kind = self.kinds.get(n as usize).map_or("young", |kind| kind.word());
        name(&format!("{kind}-{n}"))
    }
}

fn sentence(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.sentence.as_str()).collect::<Vec<_>>().join("; ")
}

fn act(call: &Call) -> Act {
    Act {
        recipients: call.recipients.clone(),
        ..Act::new(
            ToolId::parse(&call.tool).expect("two short words"),
            BTreeSet::from([call.effect]),
            call.resources.iter().map(|resource| ResourceId::parse(resource).expect("a short word")).collect(),
            Digest::of_parts([call.tool.as_bytes(), call.resources.join(" ").as_bytes(), &call.at_ms.to_le_bytes()]),
        )
    }
}

fn directory(kinds: &[Kind]) -> DirectoryDocument {
    let mut directory = DirectoryDocument::default();
    let grant = |to: &PrincipalId| GrantRecord {
        to: to.to_string(),
        may: BTreeSet::from([Effect::Read, Effect::Write, Effect::Send, Effect::Destroy, Effect::Spend]),
        on: ["tickets:*", "code:*", "warehouse:*", "crm:*", "invoices:*", "logs:*", "wiki:*", "calendar:*", "hr:*", "mail:*"]
            .map(str::to_owned)
            .to_vec(),
        kind: STANDING.to_owned(),
    };
    for n in 0..OWNERS {
        let owner = owner_of(n);
        directory.grants.push(grant(&owner));
        directory.people.push(PersonRecord::new(owner));
    }
    let agents = (0..).zip(kinds.iter().map(|kind| kind.word()).chain(["young"]));
    let agents = agents.map(|(n, word)| (name(&format!("{word}-{n}")), owner_of(n)));
    let helpers = (0..HELPERS).map(|n| (name(&format!("helper-{n}")), owner_of(n)));
    for (agent, owner) in agents.chain(helpers) {
        directory.grants.push(grant(&agent));
        directory.agents.push(AgentRecord::new(agent, owner));
    }
    directory
}

fn owner_of(agent: u64) -> PrincipalId {
    name(&format!("person-{}", agent % OWNERS))
}

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a short word")
}

fn task_id(text: &str) -> TaskId {
    TaskId::parse(text).expect("a short word")
}
