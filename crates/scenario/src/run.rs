//! Running: the judge in a small world of its own, with a ledger in memory and the time of the file.
//!
//! Whatever the judge answers here comes from its public functions alone, in the order in which every caller has to use them: decide,
//! record, carry out, observe, record. At the end the ledger is read back and must give the same state.

use crate::report::{Found, Report, StepReport, Verdict};
use crate::step::{ActStep, Scenario, Step, What};
use crate::world::{self, START};
use judge::act::{Act, Change, Observation, ObservedItem, Stated, Value};
use judge::alarm::Alarm;
use judge::content::ContentKey;
use judge::decide::{AskStanding, decide, may_answer};
use judge::decision::{Outcome, Reason};
use judge::delegation::{Part, delegate};
use judge::digest::Digest;
use judge::directory::{Directory, DirectoryDocument};
use judge::effect::Effect;
use judge::event::{ActRecord, Asked, Bundle, Decided, Ended, Event, Issued, LabelRecord, Record};
use judge::moment::Moment;
use judge::name::{AskId, DecisionId, PrincipalId, ResourceId, TaskId, ToolId};
use judge::observe::observe;
use judge::policy::{Policies, PolicyError, PolicySources};
use judge::standing::Target;
use judge::state::State;
use judge::task::{Caller, Task};
use ledger::{Bounds, MemoryLedger, Seq, Source as _, Store as _};
use std::collections::{BTreeMap, BTreeSet};

/// How long an ask can be answered, in milliseconds; never longer than its task.
const ASK_MS: u64 = 60 * 60 * 1000;
/// Entries of the ledger that are read back at once.
const REPLAY_ENTRIES: usize = 1_024;
/// Bytes of the ledger that are read back at once.
const REPLAY_BYTES: usize = 8 << 20;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The policies in force.
    pub norms: PolicySources,
    /// Grants alone: what ordinary access control would let through.
    pub baseline: bool,
}

impl Default for Options {
    /// The shipped norms.
    fn default() -> Self {
        Self { norms: PolicySources::shipped(), baseline: false }
    }
}

/// Why a scenario could not be run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The policies are no policies.
    #[error("{} of the policies cannot be used, the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Policies(Vec<PolicyError>),
    /// A step makes a world that cannot be: a group that contains itself.
    #[error("step {step} leaves a world that cannot be: {message}")]
    World {
        /// Which step; 0 is the beginning.
        step: usize,
        /// What cannot be.
        message: String,
    },
    /// The ledger in memory refused an entry, or did not give it back.
    #[error("the ledger in memory: {0}")]
    Ledger(String),
    /// Reading the ledger back gave another state: a fault of the judge, whatever the steps say.
    #[error("the ledger, read back, gives another state than the run had")]
    Replay,
}

/// Runs a scenario and compares every step.
///
/// # Errors
/// [`RunError`] when it could not be run to its end; a difference is no error but a part of the report.
pub fn run(scenario: &Scenario, options: &Options) -> Result<Report, RunError> {
    let mut policies = options.norms.clone();
    if options.baseline {
        policies.norms.clear();
    }
    // A thread of its own, because waiting for a ledger is forbidden on those of an asynchronous caller.
    std::thread::scope(|scope| {
        let running = scope.spawn(|| Run::new(scenario, policies, options.baseline)?.plays());
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A scenario in motion.
struct Run<'a> {
    scenario: &'a Scenario,
    baseline: bool,
    policies: PolicySources,
    directory: DirectoryDocument,
    state: State,
    ledger: MemoryLedger,
    head: Seq,
    now: Moment,
    decisions: u64,
    texts: Texts,
    done: Vec<Done>,
}

/// What a later step may refer to.
#[derive(Default)]
struct Done {
    ask: Option<AskId>,
    decision: Option<DecisionId>,
}

/// What stands where: contents as they were written last, and posts in destinations.
#[derive(Default)]
struct Texts {
    written: BTreeMap<ResourceId, String>,
    posts: BTreeMap<ResourceId, Vec<ResourceId>>,
    gone: BTreeSet<ResourceId>,
}

/// One try of an act.
struct Tried {
    id: DecisionId,
    ask: Option<AskId>,
    outcome: Outcome,
    reasons: Vec<Reason>,
    withheld: BTreeSet<String>,
    uncleared_pairs: Option<u64>,
    obligations: BTreeSet<String>,
    alarm: Option<Alarm>,
    is_new_ask: bool,
}

fn key() -> ContentKey {
    ContentKey::new(*b"scenario/content")
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, policies: PolicySources, baseline: bool) -> Result<Self, RunError> {
        let mut run = Self {
            scenario,
            baseline,
            policies,
            directory: scenario.directory.clone(),
            state: State::new(key()),
            ledger: MemoryLedger::new(Bounds::default()),
            head: Seq(0),
            now: START,
            decisions: 0,
            texts: Texts::default(),
            done: Vec::new(),
        };
        run.configure(0)?;
        if run.state.policies().is_none() {
            return Err(RunError::Policies(Policies::compile(&run.policies).err().unwrap_or_default()));
        }
        for task in &scenario.tasks {
            run.start(task.clone(), vec![task.requester.clone(), task.agent.clone()])?;
        }
        Ok(run)
    }

    fn plays(mut self) -> Result<Report, RunError> {
        let mut steps = Vec::new();
        for step in &self.scenario.steps {
            // A repeated step may have gone on past the moment of the next one; time does not go back.
            self.now = self.now.max(START.after_ms(step.at_ms));
            let mut done = Done::default();
            let (found, reasons, verdict) = self.step(step, &mut done)?;
            self.done.push(done);
            steps.push(StepReport {
                number: step.number,
                at_ms: step.at_ms,
                what: step.what.to_string(),
                expected: step.expected.clone(),
                found,
                reasons,
                verdict,
            });
        }
        self.replays()?;
        let Scenario { id, about, notes, .. } = self.scenario;
        Ok(Report { scenario: id.clone(), about: about.clone(), baseline: self.baseline, notes: notes.clone(), steps })
    }

    fn step(&mut self, step: &Step, done: &mut Done) -> Result<(Option<Found>, Vec<String>, Verdict), RunError> {
        match &step.what {
            What::Event(event) => {
                world::happens(&mut self.directory, event);
                self.configure(step.number)?;
                Ok((None, Vec::new(), Verdict::Unjudged))
            }
            What::Act(act) => self.act(step, act, done),
            What::Answer { by, step: asked, yes } => self.answer(step, by, *asked, *yes),
            What::Delegate { caller, task, part, lease_ms } => self.delegate(step, caller, task, part, *lease_ms),
            What::Kill { task } => {
                // Plain access control knows no tasks that could be stopped.
                if !self.baseline {
                    let by = PrincipalId::parse("operator").expect("a short word");
                    self.record(Event::Killed { target: Target::Task(task.clone()), by, why: String::new() })?;
                }
                Ok((None, Vec::new(), Verdict::Unjudged))
            }
        }
    }

    /// A task begins, and its agent gets a credential that is bound to its key.
    fn start(&mut self, task: Task, chain: Vec<PrincipalId>) -> Result<(), RunError> {
        let key = chain.last().map(PrincipalId::shared);
        let caller = Caller { key, ..Caller::new(chain, Some(task.id.clone())) };
        let issued = Issued { id: task.id.to_string(), caller, expires: task.ends, parent: None };
        self.record(Event::TaskStarted(Box::new(task)))?;
        self.record(Event::CredentialIssued(Box::new(issued)))
    }

    fn delegate(
        &mut self,
        step: &Step,
        caller: &Caller,
        task: &TaskId,
        part: &Part,
        lease_ms: Option<u64>,
    ) -> Result<(Option<Found>, Vec<String>, Verdict), RunError> {
        let part = Part { ends: lease_ms.map(|lease_ms| self.now.after_ms(lease_ms)), ..part.clone() };
        let (found, reasons) = match delegate(&self.state, caller, task.clone(), &part, self.now) {
            Ok(made) => {
                let chain = made.chain.clone();
                self.start(made, chain)?;
                (Found::answer(Outcome::Permit, BTreeSet::new()), Vec::new())
            }
            Err(why) => (Found::answer(Outcome::Deny, BTreeSet::from([why.code().word().to_owned()])), vec![why.to_string()]),
        };
        let verdict = if self.baseline { Verdict::Unjudged } else { verdict(step, &found) };
        Ok((Some(found), reasons, verdict))
    }

    fn answer(
        &mut self,
        step: &Step,
        by: &PrincipalId,
        asked: usize,
        yes: bool,
    ) -> Result<(Option<Found>, Vec<String>, Verdict), RunError> {
        if self.baseline {
            return Ok((None, Vec::new(), Verdict::Unjudged));
        }
        let about = &self.done[asked - 1];
        let Some(ask) = about.ask.clone() else {
            return Ok((None, Vec::new(), Verdict::Failed(vec![format!("step {asked} asked nobody")])));
        };
        let (decision, reasons) = match may_answer(&self.state, &ask, by, self.now) {
            Ok(()) => {
                self.record(Event::Answered { ask, by: by.clone(), yes })?;
                (Outcome::Permit, Vec::new())
            }
            Err(refused) => (Outcome::Deny, vec![refused.to_string()]),
        };
        let found = Found::answer(decision, BTreeSet::new());
        let verdict = verdict(step, &found);
        Ok((Some(found), reasons, verdict))
    }

    fn act(&mut self, step: &Step, act: &ActStep, done: &mut Done) -> Result<(Option<Found>, Vec<String>, Verdict), RunError> {
        let digest = digest_of(act);
        let (mut permits, mut asked) = (0, false);
        let mut last = None;
        for turn in 0..act.times {
            self.now = self.now.max(START.after_ms(step.at_ms).after_ms(act.every_ms.saturating_mul(turn)));
            let tried = self.try_once(step.number, act, digest)?;
            permits += u64::from(tried.outcome == Outcome::Permit);
            asked |= tried.is_new_ask;
            last = Some(tried);
        }
        let Some(last) = last else { return Ok((None, Vec::new(), Verdict::Failed(vec!["it was never tried".to_owned()]))) };
        done.ask.clone_from(&last.ask);
        done.decision = Some(last.id);
        let found = Found {
            decision: last.outcome,
            norms: last.reasons.iter().map(|reason| reason.ground.word().to_owned()).collect(),
            withheld: last.withheld,
            uncleared_pairs: last.uncleared_pairs,
            obligations: last.obligations,
            alarm: last.alarm.map(|alarm| alarm.word()),
            frozen: self.state.frozen(&act.caller).is_some(),
            asked,
            times: act.times,
            permits,
        };
        let reasons = last.reasons.iter().map(|reason| format!("{}: {}", reason.ground.word(), reason.sentence)).collect();
        let verdict = if self.baseline { Verdict::Unjudged } else { verdict(step, &found) };
        Ok((Some(found), reasons, verdict))
    }

    fn try_once(&mut self, number: usize, step: &ActStep, digest: Digest) -> Result<Tried, RunError> {
        let act = self.judged(step, digest);
        let ruling = decide(&self.state, &step.caller, &act, self.now);
        self.decisions += 1;
        let id = DecisionId::parse(&format!("d{}", self.decisions)).expect("a short word without control characters");
        let is_new_ask = ruling.ask == AskStanding::New;
        let ask = match &ruling.ask {
            AskStanding::New => {
                Some(AskId::parse(&format!("a{}", self.decisions)).expect("a short word without control characters"))
            }
            AskStanding::Waiting(ask) => Some(ask.clone()),
            AskStanding::Approved(_) | AskStanding::None => None,
        };
        let decided = Decided {
            id: id.clone(),
            caller: step.caller.clone(),
            act: ActRecord::new(&act, Some(&ruling.audience), ruling.values.clone()),
            decision: ruling.decision.clone(),
            ask: ask.clone().filter(|_| is_new_ask).map(|id| Asked { id, expires: self.ask_expires(&step.caller) }),
            approved_by: match &ruling.ask {
                AskStanding::Approved(ask) => Some(ask.clone()),
                AskStanding::New | AskStanding::Waiting(_) | AskStanding::None => None,
            },
            node: String::new(),
            enforced: true,
            trip: ruling.trip.clone(),
            made: ruling.made.as_ref().map(LabelRecord::from),
            sets: self.state.new_sets(ruling.made.iter().map(|label| &label.readers).chain([&ruling.audience])),
            answered: None,
        };
        let alarm = decided.alarm();
        self.record(Event::Decided(Box::new(decided)))?;
        let decision = ruling.decision;
        let mut tried = Tried {
            id,
            ask,
            outcome: decision.outcome,
            reasons: decision.reasons,
            withheld: BTreeSet::new(),
            uncleared_pairs: (step.effect == Effect::Widen).then_some(decision.facts.change.uncleared_pairs),
            obligations: decision.obligations.iter().map(|obligation| obligation.word().to_owned()).collect(),
            alarm,
            is_new_ask,
        };
        match tried.outcome {
            Outcome::Permit => self.carry_out(number, step, &mut tried)?,
            Outcome::Deny => tried.withheld = decision.withheld.iter().map(ToString::to_string).collect(),
            Outcome::Ask => {}
        }
        Ok(tried)
    }

    /// To fetch is to tell: whatever stands in the address of what is read reaches its host, unless the directory knows the place.
    fn told(&self, step: &ActStep) -> Option<String> {
        let address = step.values.get("url").filter(|_| step.effect == Effect::Read)?;
        let is_established = step.on.iter().all(|on| self.state.directory().is_established(on.as_str()));
        let host = url::Url::parse(address).ok()?.host_str()?.to_owned();
        (step.on.is_empty() || !is_established).then(|| format!("external:{host}"))
    }

    fn ask_expires(&self, caller: &Caller) -> Moment {
        let lifetime = self.now.after_ms(ASK_MS);
        let task = caller.task.as_ref().and_then(|id| self.state.task(id));
        task.map_or(lifetime, |state| lifetime.min(state.task.ends))
    }

    /// The act as a contract would have read it.
    fn judged(&self, step: &ActStep, digest: Digest) -> Act {
        Act {
            stated: Stated::default(),
            tool: ToolId::parse(&format!("scenario__{}", step.effect.word())).expect("a short word without control characters"),
            effects: BTreeSet::from([step.effect]),
            resources: step.on.clone(),
            recipients: step.to.iter().cloned().chain(self.told(step)).collect(),
            content: step.content.iter().cloned().collect(),
            values: step
                .values
                .iter()
                .map(|(kind, text)| Value { kind: kind.as_str().into(), text: text.clone() })
                .chain(destinations(step))
                .collect(),
            amount: step.amount,
            reads: None,
            change: step.change.clone(),
            because: step.because.and_then(|earlier| self.done.get(earlier - 1)?.decision.clone()),
            digest,
        }
    }

    /// What the tool would do, and what the chain then gets to see.
    fn carry_out(&mut self, number: usize, step: &ActStep, tried: &mut Tried) -> Result<(), RunError> {
        let (mut items, mut created) = (Vec::new(), Vec::new());
        match step.effect {
            Effect::Read => items = step.on.iter().flat_map(|resource| self.yields(resource)).collect(),
            Effect::Write | Effect::Send | Effect::Publish => created = self.leaves(number, step),
            Effect::Destroy => self.texts.gone.extend(step.on.iter().cloned()),
            Effect::Widen | Effect::Compute | Effect::Spend | Effect::Execute | Effect::Delegate => {}
        }
        let observation =
            Observation { caller: step.caller.clone(), decision: tried.id.clone(), items, created, attested: Vec::new() };
        let mut seen = observe(&self.state, &observation, true);
        if !seen.withheld.is_empty() {
            tried.withheld = observation
                .items
                .iter()
                .filter(|item| seen.withheld.contains(&item.id))
                .map(|item| item.container.as_ref().unwrap_or(&item.id).to_string())
                .collect();
            tried.reasons.extend(seen.reasons.iter().cloned());
            if observation.items.iter().all(|item| seen.withheld.contains(&item.id)) {
                tried.outcome = Outcome::Deny;
            }
        }
        let observed = Event::Observed(Box::new(seen.record(&observation, Ended::Ok)));
        tried.alarm = observed.alarm().or(tried.alarm);
        self.record(observed)?;
        match &step.change {
            Some(change) => self.change(number, &step.on, change),
            None => Ok(()),
        }
    }

    /// What reading a resource yields: the item, or the posts of a destination.
    fn yields(&self, resource: &ResourceId) -> Vec<ObservedItem> {
        let item = |id: &ResourceId, container: Option<&ResourceId>| {
            let text = self.texts.written.get(id).or_else(|| self.scenario.contents.best(id.as_str()));
            ObservedItem { container: container.cloned(), ..ObservedItem::new(id.clone(), text.cloned().unwrap_or_default()) }
        };
        if self.texts.gone.contains(resource) {
            return Vec::new();
        }
        let posts = self.texts.posts.get(resource).into_iter().flatten().map(|post| item(post, Some(resource)));
        let is_place_only = self.is_destination(resource) && self.scenario.contents.best(resource.as_str()).is_none();
        let itself = (!is_place_only).then(|| item(resource, None));
        itself.into_iter().chain(posts).collect()
    }

    /// What an act leaves behind, where it can be read later: items, and posts in destinations.
    fn leaves(&mut self, number: usize, step: &ActStep) -> Vec<ResourceId> {
        let text = step.content.clone().unwrap_or_default();
        let places = match step.effect {
            Effect::Send => {
                step.to.iter().filter_map(|to| ResourceId::parse(to).ok()).filter(|to| self.is_destination(to)).collect()
            }
            _ => step.on.clone(),
        };
        let mut created = Vec::new();
        for place in places {
            let id = if self.is_destination(&place) {
                let posts = self.texts.posts.entry(place.clone()).or_default();
                let Ok(post) = ResourceId::parse(&format!("{place}/post-{number}-{}", posts.len() + 1)) else { continue };
                posts.push(post.clone());
                post
            } else {
                place
            };
            self.texts.gone.remove(&id);
            self.texts.written.insert(id.clone(), text.clone());
            created.push(id);
        }
        created
    }

    fn is_destination(&self, resource: &ResourceId) -> bool {
        self.directory.destinations.iter().any(|destination| destination.id == *resource)
    }

    fn change(&mut self, number: usize, on: &[ResourceId], change: &Change) -> Result<(), RunError> {
        world::changes(&mut self.directory, on, change);
        self.configure(number)
    }

    fn configure(&mut self, step: usize) -> Result<(), RunError> {
        let bundle = Bundle { directory: self.directory.clone(), policies: self.policies.clone(), content_key: String::new() };
        // Policies that are none show at the beginning, as a state without policies.
        Directory::of(&bundle.directory).map_err(|errors| RunError::World {
            step,
            message: errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        })?;
        self.record(Event::Configured(Box::new(bundle)))
    }

    /// Durable first, then applied: the order in which every owner of a state has to do it.
    fn record(&mut self, event: Event) -> Result<(), RunError> {
        let record = Record::new(self.now, event);
        let body = serde_json::to_vec(&record).map_err(|error| RunError::Ledger(error.to_string()))?;
        let receipt = self.ledger.append(self.head, vec![body]).wait().map_err(|error| RunError::Ledger(error.to_string()))?;
        self.head = receipt.last;
        self.state.apply(&record);
        Ok(())
    }

    /// Reads the ledger back into a new state, which must be the same.
    fn replays(&self) -> Result<(), RunError> {
        let wrong = |error: &dyn std::fmt::Display| RunError::Ledger(error.to_string());
        let mut replayed = State::new(key());
        let mut from = Seq(0).plus(1);
        loop {
            let entries = self.ledger.read(from, REPLAY_ENTRIES, REPLAY_BYTES).map_err(|error| wrong(&error))?;
            let Some(last) = entries.last() else { break };
            from = last.seq.plus(1);
            for entry in &entries {
                let record: Record = serde_json::from_slice(&entry.body).map_err(|error| wrong(&error))?;
                replayed.apply(&record);
            }
        }
        if replayed.digest() == self.state.digest() { Ok(()) } else { Err(RunError::Replay) }
    }
}

fn verdict(step: &Step, found: &Found) -> Verdict {
    let differences = step.expected.differences(found);
    if differences.is_empty() { Verdict::Passed } else { Verdict::Failed(differences) }
}

/// Where something is published is as consequential as what is named as a value.
fn destinations(step: &ActStep) -> impl Iterator<Item = Value> {
    let on = step.on.iter().filter(|_| step.effect == Effect::Publish).map(ResourceId::as_str);
    on.map(|on| on.split_once(':').unwrap_or(("destination", on)))
        .map(|(kind, own)| Value { kind: kind.into(), text: own.to_owned() })
}

/// What an approval binds to: the canonical JSON (RFC 8785) of the call.
fn digest_of(act: &ActStep) -> Digest {
    let call = serde_json::json!({
        "do": act.effect, "on": act.on, "to": act.to, "content": act.content, "values": act.values, "amount": act.amount,
        "change": act.change,
    });
    Digest::of(&serde_json_canonicalizer::to_vec(&call).expect("a call is plain data with text keys"))
}
