//! The engine itself: one state, one order of events, and the calls that move it.

use crate::clock::Clock;
use crate::ids;
use crate::limit::{CutDown, decide_within};
use crate::node::Node;
use crate::permit::{Abandoned, Permit, Spent};
use judge::act::{Act, Attested, Observation, ObservedItem};
use judge::contain::{NotContained, Right, may_kill, may_reset};
use judge::content::ContentKey;
use judge::decide::{AskStanding, MayNotAnswer, decide, may_answer};
use judge::decision::{Decision, Outcome, Reason};
use judge::delegation::{NotHandedOn, Part, delegate};
use judge::directory::{Directory, DirectoryError};
use judge::effect::Effect;
use judge::event::{
    ActRecord, Asked, Bundle, Decided, DirectoryChanged, Ended, Event, Issued, LabelRecord, Observed, Record, Refused, VERSION,
};
use judge::incident::{IncidentId, Verdict};
use judge::moment::Moment;
use judge::name::{AskId, DecisionId, PrincipalId, ResourceId, TaskId};
use judge::observe::{KeptBack, observe_sketched, sketches};
use judge::registration::{NotFor, is_for};
use judge::renewal::{NotRenewed, by_person, by_rule};
use judge::standing::Target;
use judge::state::{BundleErrors, State, check};
pub use judge::task::LEASE_MS_MAX;
use judge::task::{Budget, Caller, Task};
use ledger::{AppendError, Entry, ReadError, Receipt, Seq, Store};
use parking_lot::Mutex;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often one call is decided again because somebody else wrote to the ledger in between.
const STALE_RETRIES_MAX: usize = 16;
/// Entries that are read at once when the state is rebuilt.
const READ_ENTRIES_MAX: usize = 4096;
/// Bytes that are read at once when the state is rebuilt.
const READ_BYTES_MAX: usize = 16 << 20;
/// Pages that are read and parsed ahead of the state.
const PAGES_AHEAD: usize = 2;
/// How often the ledger is looked at for what other processes wrote.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(25);
/// How often, after what was abandoned could not be recorded: every attempt on a failed ledger costs a replay.
const FOLLOW_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long the ledger is left alone after it failed, in milliseconds: every look at it costs a replay.
const RETRY_AFTER_MS: u64 = 250;

/// What an installation sets.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long an ask can be answered, and the answer used, in milliseconds; never longer than its task.
    pub ask_lifetime_ms: u64,
    /// How long a permit can be used, in milliseconds.
    pub permit_lifetime_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { ask_lifetime_ms: 60 * 60 * 1000, permit_lifetime_ms: 30 * 1000 }
    }
}

/// Whether a refusal stops the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It is recorded, and the call goes through.
    Observe,
}

/// The ledger cannot take or give a record: nothing may happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger is unavailable, so nothing can be decided: {0}")]
pub struct Unavailable(pub String);

/// Why an engine cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ReadError),
    /// An entry is not an event that this version knows.
    #[error("entry {seq} of the ledger is no event of version {VERSION} or before: {why}")]
    Entry {
        /// Which.
        seq: Seq,
        /// Why.
        why: String,
    },
    /// Text that was read could not be recognised any more.
    #[error("the content key is not the one that this ledger was written with")]
    WrongKey,
}

/// Why a configuration was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigureError {
    /// It is wrong; the one before stays in force.
    #[error("the configuration has {} errors", .0.directory.len() + .0.policies.len())]
    Bad(BundleErrors),
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why the directory was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeDirectoryError {
    /// The changes are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Bad(Vec<DirectoryError>),
    /// They could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a task was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartTaskError {
    /// The requester is not here.
    #[error("`{0}` is no active person of the directory")]
    Requester(PrincipalId),
    /// The agent is not registered, or nobody answers for it.
    #[error("`{0}` is no registered agent whose owner is here")]
    Agent(PrincipalId),
    /// The agent is not registered for it.
    #[error(transparent)]
    Registration(#[from] NotFor),
    /// A person or a breaker stopped the agent, or everything of its owner or of the requester.
    #[error("{0} is stopped")]
    Stopped(Target),
    /// The lease is empty or too long.
    #[error("a lease of {found} ms, between 1 and {LEASE_MS_MAX} are allowed")]
    Lease {
        /// Milliseconds found.
        found: u64,
    },
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why an answer did not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// This person may not answer this ask now.
    #[error(transparent)]
    MayNot(#[from] MayNotAnswer),
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why nothing was handed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelegateError {
    /// It would be more than the caller has.
    #[error(transparent)]
    Beyond(#[from] NotHandedOn),
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why something was not stopped, or not let go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainError {
    /// It cannot be, or not by this person.
    #[error(transparent)]
    Not(#[from] NotContained),
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a lease was not renewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// It may not be.
    #[error(transparent)]
    Not(#[from] NotRenewed),
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a task is started with, as it is also sent to `POST /v1/tasks`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// Who asks.
    pub requester: PrincipalId,
    /// Who is asked.
    pub agent: PrincipalId,
    /// What for.
    pub purpose: String,
    /// What the requester said; the purpose when nothing is said.
    pub words: Option<String>,
    /// Who the answer is for; the requester when nothing is said.
    #[serde(default)]
    pub address: Vec<String>,
    /// The effects that it names.
    pub effects: Option<BTreeSet<Effect>>,
    /// The resources that it names.
    pub resources: Option<Vec<String>>,
    /// The tools that it names for anything beyond reading.
    pub tools: Option<BTreeSet<String>>,
    /// Whether the requester left open who the answer goes to.
    #[serde(default)]
    pub address_open: bool,
    /// What it may use up.
    #[serde(default)]
    pub budget: Budget,
    /// How long it runs, in milliseconds.
    pub lease_ms: u64,
    /// How often it has to earn its lease again within that time, in milliseconds; `None`: it runs through.
    pub checkpoint_ms: Option<u64>,
}

impl NewTask {
    /// A task that names nothing but its purpose, and whose answer is for the requester alone.
    #[must_use]
    pub fn new(requester: PrincipalId, agent: PrincipalId, purpose: impl Into<String>, lease_ms: u64) -> Self {
        Self {
            requester,
            agent,
            purpose: purpose.into(),
            words: None,
            address: Vec::new(),
            effects: None,
            resources: None,
            tools: None,
            address_open: false,
            budget: Budget::default(),
            lease_ms,
            checkpoint_ms: None,
        }
    }
}

/// A decided act.
#[derive(Debug)]
pub struct Ruled {
    /// Which.
    pub id: DecisionId,
    /// The answer.
    pub decision: Decision,
    /// The ask that waits for a person, new or from before.
    pub ask: Option<AskId>,
    /// The right to carry it out, where there is one.
    pub permit: Option<Permit>,
}

/// What a tool brought.
#[derive(Clone, Default)]
pub struct Seen {
    /// What was read.
    pub items: Vec<ObservedItem>,
    /// What was made, by the tool's word.
    pub created: Vec<ResourceId>,
    /// Values that the system of record states, by the contract's word.
    pub attested: Vec<Attested>,
}

/// What may be released of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// What the chain does not get of it.
    pub kept: KeptBack,
    /// Why.
    pub reasons: Vec<Reason>,
    /// The chain was stopped while the tool worked: it gets nothing of the result, and this is why.
    pub stopped: Option<Reason>,
}

struct Core {
    state: State,
    /// The last entry that the state has seen, durable or in flight.
    head: Seq,
    /// The last entry that is known to be durable.
    durable: Seq,
    /// Grows with every rebuild, so that a failure is not blamed on the state that came after it.
    generation: u64,
    /// Something that the state has seen did not become durable.
    lost: bool,
    /// The ledger failed, and is not asked again before this moment.
    retry_at: Moment,
    latest: Moment,
}

struct Inner {
    store: Arc<dyn Store>,
    key: ContentKey,
    clock: Clock,
    node: Node,
    options: Options,
    core: Mutex<Core>,
    /// The latest moment that was told outside, in milliseconds.
    told: AtomicU64,
    abandoned: Abandoned,
}

/// The engine. Cloning shares it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// Opens on a ledger and replays it. Acts that a process which is gone left open are recorded as ambiguous with the first batch.
    ///
    /// # Errors
    /// [`OpenError`] when the ledger cannot be read, holds what is no event, or was written under another content key.
    pub fn open(store: Arc<dyn Store>, key: ContentKey, clock: Clock, node: Node, options: Options) -> Result<Self, OpenError> {
        let mut core = Core {
            state: State::new(key.clone()),
            head: Seq(0),
            durable: Seq(0),
            generation: 0,
            lost: false,
            retry_at: Moment(0),
            latest: Moment(0),
        };
        core.read_up(store.as_ref())?;
        if !core.state.is_key_right() {
            return Err(OpenError::WrongKey);
        }
        let left_open: Vec<_> = core
            .state
            .open_acts()
            .filter(|(_, act)| node.is_gone(&act.node))
            .map(|(id, _)| (id.clone(), Ended::Ambiguous))
            .collect();
        let inner = Arc::new(Inner {
            store,
            key,
            clock,
            node,
            options,
            told: AtomicU64::new(core.latest.0),
            core: Mutex::new(core),
            abandoned: Arc::new(Mutex::new(left_open)),
        });
        follow(&inner);
        Ok(Self(inner))
    }

    /// Records what processes before left open. Called once by whoever serves; otherwise the first batch does it.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn settle(&self) -> Result<(), Unavailable> {
        self.commit(|_, _| (Vec::new(), ())).await.map(drop)
    }

    /// The moment now: never before one that was told already, however the machine's clock is set.
    #[must_use]
    pub fn now(&self) -> Moment {
        let now = self.0.clock.now();
        now.max(Moment(self.0.told.fetch_max(now.0, Ordering::Relaxed)))
    }

    /// Looks at the state. Short looks only: decisions wait meanwhile.
    pub fn view<T>(&self, look: impl FnOnce(&State, Moment) -> T) -> T {
        let core = self.0.core.lock();
        look(&core.state, self.0.clock.now().max(core.latest))
    }

    /// Reads what other processes wrote, if nothing of our own is in flight. For command lines that look once.
    ///
    /// # Errors
    /// [`OpenError`] when the ledger cannot be read.
    pub fn refresh(&self) -> Result<(), OpenError> {
        let mut core = self.0.core.lock();
        if core.is_idle() { core.read_up(self.0.store.as_ref()) } else { Ok(()) }
    }

    /// Puts a configuration in force. It is recorded only when it differs from the one before.
    ///
    /// # Errors
    /// [`ConfigureError::Bad`] with everything that is wrong; the configuration before stays in force.
    pub async fn configure(&self, mut bundle: Bundle) -> Result<(), ConfigureError> {
        check(&bundle).map_err(ConfigureError::Bad)?;
        // What was recorded beside the configuration has to fit to it as well.
        self.view(|state, _| state.directory().configured(&bundle.directory).map(drop))
            .map_err(|directory| ConfigureError::Bad(BundleErrors { directory, policies: Vec::new() }))?;
        bundle.content_key = format!("{:?}", self.0.key);
        let digest = bundle.digest();
        self.commit(|state, _| {
            let is_new = state.bundle() != Some(digest);
            (is_new.then(|| Event::Configured(Box::new(bundle.clone()))).into_iter().collect(), ())
        })
        .await?;
        Ok(())
    }

    /// Changes the directory beside its configuration: all batches, or none of them. Each batch is one record, so large imports come in
    /// several; later ones may rest on earlier ones.
    ///
    /// # Errors
    /// [`ChangeDirectoryError::Bad`] with everything that is wrong with the first batch that is; nothing was changed.
    pub async fn change_directory(&self, batches: Vec<DirectoryChanged>) -> Result<(), ChangeDirectoryError> {
        let (_, checked) = self
            .commit(|state, _| match fits(state, &batches) {
                Ok(()) => (batches.iter().map(|batch| Event::DirectoryChanged(Box::new(batch.clone()))).collect(), Ok(())),
                Err(errors) => (Vec::new(), Err(ChangeDirectoryError::Bad(errors))),
            })
            .await?;
        checked
    }

    /// Changes the directory by what `edit` makes of the present one: what it found there is still so when the change is recorded. `edit`
    /// may be asked several times, and what it gives beside the batches comes back with the last.
    ///
    /// # Errors
    /// What `edit` refuses, or as [`Self::change_directory`].
    pub async fn edit_directory<T, E: From<ChangeDirectoryError>>(
        &self,
        edit: impl Fn(&Directory, Moment) -> Result<(Vec<DirectoryChanged>, T), E>,
    ) -> Result<T, E> {
        let committed = self.commit(|state, now| match edit(state.directory(), now) {
            Ok((batches, out)) => match fits(state, &batches) {
                Ok(()) => (batches.into_iter().map(|batch| Event::DirectoryChanged(Box::new(batch))).collect(), Ok(out)),
                Err(errors) => (Vec::new(), Err(ChangeDirectoryError::Bad(errors).into())),
            },
            Err(refusal) => (Vec::new(), Err(refusal)),
        });
        committed.await.map_err(|error| E::from(error.into()))?.1
    }

    /// Whether [`Self::change_directory`] would take these batches now.
    ///
    /// # Errors
    /// [`ChangeDirectoryError::Bad`] with everything that is wrong with the first batch that is.
    pub fn check_directory(&self, batches: &[DirectoryChanged]) -> Result<(), ChangeDirectoryError> {
        self.view(|state, _| fits(state, batches)).map_err(ChangeDirectoryError::Bad)
    }

    /// Starts a task.
    ///
    /// # Errors
    /// [`StartTaskError`].
    pub async fn start_task(&self, new: NewTask) -> Result<Task, StartTaskError> {
        if new.lease_ms == 0 || new.lease_ms > LEASE_MS_MAX {
            return Err(StartTaskError::Lease { found: new.lease_ms });
        }
        let checkpoint_ms = new.checkpoint_ms.unwrap_or(new.lease_ms);
        if checkpoint_ms == 0 {
            return Err(StartTaskError::Lease { found: checkpoint_ms });
        }
        let (_, started) = self
            .commit(|state, now| {
                let directory = state.directory();
                if directory.person(new.requester.as_str()).is_none() {
                    return (Vec::new(), Err(StartTaskError::Requester(new.requester.clone())));
                }
                let agent = directory.agent(new.agent.as_str());
                let Some(agent) = agent.filter(|agent| directory.person(agent.owner.as_str()).is_some()) else {
                    return (Vec::new(), Err(StartTaskError::Agent(new.agent.clone())));
                };
                if let Err(why) = is_for(directory, agent, &new.purpose, new.effects.as_ref(), now) {
                    return (Vec::new(), Err(why.into()));
                }
                let caller = Caller::new(vec![new.requester.clone(), new.agent.clone()], None);
                let killed = state.killed(&caller).map(|(target, _)| target);
                if let Some(target) = killed.or_else(|| state.frozen(&caller).map(|(target, _)| target)) {
                    return (Vec::new(), Err(StartTaskError::Stopped(target)));
                }
                let task = Task {
                    id: ids::task(now),
                    requester: new.requester.clone(),
                    agent: new.agent.clone(),
                    purpose: new.purpose.clone(),
                    words: new.words.clone().unwrap_or_else(|| new.purpose.clone()),
                    address: if new.address.is_empty() { vec![new.requester.to_string()] } else { new.address.clone() },
                    effects: new.effects.clone(),
                    resources: new.resources.clone(),
                    tools: new.tools.clone(),
                    address_open: new.address_open,
                    budget: new.budget,
                    starts: now,
                    ends: now.after_ms(new.lease_ms.min(checkpoint_ms)),
                    until: (checkpoint_ms < new.lease_ms).then(|| now.after_ms(new.lease_ms)),
                    parent: None,
                    isolated: false,
                    chain: Vec::new(),
                };
                (vec![Event::TaskStarted(Box::new(task.clone()))], Ok(task))
            })
            .await?;
        started
    }

    /// Ends a task before its lease. True when it was running.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn end_task(&self, task: &TaskId) -> Result<bool, Unavailable> {
        let (_, ended) = self
            .commit(|state, _| {
                let runs = state.task(task).is_some_and(|state| !state.ended);
                (runs.then(|| Event::TaskEnded { task: task.clone() }).into_iter().collect(), runs)
            })
            .await?;
        Ok(ended)
    }

    /// Renews the lease of a task, because a person says so.
    ///
    /// # Errors
    /// [`RenewError`].
    pub async fn renew_task(&self, task: &TaskId, by: &PrincipalId, lease_ms: u64) -> Result<Task, RenewError> {
        self.renew(task, Some(by), |state, now| by_person(state, task, by, lease_ms, now)).await
    }

    /// Renews the lease of the caller's task by rule, if no norm objects.
    ///
    /// # Errors
    /// [`RenewError`].
    pub async fn renew_by_rule(&self, caller: &Caller) -> Result<Task, RenewError> {
        let task = caller.task.clone().ok_or(NotRenewed::Agreed)?;
        self.renew(&task, None, |state, now| by_rule(state, caller, now)).await
    }

    async fn renew(
        &self,
        task: &TaskId,
        by: Option<&PrincipalId>,
        ends: impl Fn(&State, Moment) -> Result<Moment, NotRenewed>,
    ) -> Result<Task, RenewError> {
        let (_, renewed) = self
            .commit(|state, now| {
                let renewed = ends(state, now).and_then(|ends| {
                    let found = state.task(task).ok_or_else(|| NotRenewed::Unknown(task.clone()))?;
                    Ok(Task { ends, ..found.task.clone() })
                });
                let event = |renewed: &Task| Event::TaskRenewed { task: task.clone(), ends: renewed.ends, by: by.cloned() };
                (renewed.as_ref().map(event).into_iter().collect(), renewed)
            })
            .await?;
        Ok(renewed?)
    }

    /// Hands a part of a task on: the sub-task is within what the caller has, and ends with it. What is refused is recorded.
    ///
    /// # Errors
    /// [`DelegateError`].
    pub async fn delegate(&self, caller: &Caller, part: &Part) -> Result<Task, DelegateError> {
        let (_, task) = self
            .commit(|state, now| match delegate(state, caller, ids::task(now), part, now) {
                Ok(task) => (vec![Event::TaskStarted(Box::new(task.clone()))], Ok(task)),
                Err(why) => {
                    let refused =
                        Refused { code: why.code(), sentence: why.to_string(), caller: Some(caller.clone()), tool: None };
                    (vec![Event::Refused(Box::new(refused))], Err(DelegateError::Beyond(why)))
                }
            })
            .await?;
        task
    }

    /// Records that a credential was issued. Whoever presents another key for its task is noticed from then on.
    ///
    /// # Errors
    /// [`Unavailable`]: the credential must not be handed out.
    pub async fn credential_issued(&self, issued: Issued) -> Result<(), Unavailable> {
        self.commit(|_, _| (vec![Event::CredentialIssued(Box::new(issued.clone()))], ())).await.map(drop)
    }

    /// Stops something with everything that was derived from it: it holds for every call that is decided from then on.
    ///
    /// # Errors
    /// [`ContainError`].
    pub async fn kill(&self, target: &Target, by: &PrincipalId, right: Right, why: &str) -> Result<(), ContainError> {
        let (_, killed) = self
            .commit(|state, _| match may_kill(state, target, by, right) {
                Ok(()) => (vec![Event::Killed { target: target.clone(), by: by.clone(), why: why.to_owned() }], Ok(())),
                Err(why) => (Vec::new(), Err(why.into())),
            })
            .await?;
        killed
    }

    /// Takes back a kill, or lets go on what a breaker froze. An ended task stays ended.
    ///
    /// # Errors
    /// [`ContainError`].
    pub async fn reset(&self, target: &Target, by: &PrincipalId, right: Right) -> Result<(), ContainError> {
        let (_, reset) = self
            .commit(|state, _| match may_reset(state, target, by, right) {
                Ok(()) => (vec![Event::Reset { target: target.clone(), by: by.clone() }], Ok(())),
                Err(why) => (Vec::new(), Err(why.into())),
            })
            .await?;
        reset
    }

    /// Records what `by` found an incident to be. Whether it waits for that is for the caller to know: of two words about one incident, the first holds.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn resolve_incident(
        &self,
        incident: IncidentId,
        by: &PrincipalId,
        verdict: Verdict,
        why: &str,
    ) -> Result<(), Unavailable> {
        let event = Event::IncidentResolved { incident, by: by.clone(), verdict, why: why.to_owned() };
        self.commit(|_, _| (vec![event.clone()], ())).await.map(drop)
    }

    /// Decides an act. Returns when the decision is durable; a permit comes with it where the act may be carried out.
    ///
    /// # Errors
    /// [`Unavailable`]: the call must be refused with the code `ledger`.
    pub async fn rule(&self, caller: &Caller, act: &Act, mode: Mode) -> Result<Ruled, Unavailable> {
        self.rule_within(caller, act, mode, &|_| None).await
    }

    /// [`Self::rule`] for a call that can be cut down. Where a norm limits it, the permit is for what `cut_down` made of it, and for nothing else.
    ///
    /// # Errors
    /// As [`Self::rule`].
    pub async fn rule_within(&self, caller: &Caller, act: &Act, mode: Mode, cut_down: CutDown<'_>) -> Result<Ruled, Unavailable> {
        let enforced = mode == Mode::Enforce;
        let (receipt, mut ruled) = self
            .commit(|state, now| {
                let (ruling, act) = match mode {
                    Mode::Enforce => decide_within(state, caller, act, now, cut_down),
                    Mode::Observe => (decide(state, caller, act, now), Cow::Borrowed(act)),
                };
                let id = ids::decision(now);
                let asked = (ruling.ask == AskStanding::New)
                    .then(|| Asked { id: ids::ask(state), expires: self.ask_expires(state, caller, now) });
                let (ask, approved_by) = match &ruling.ask {
                    AskStanding::None => (None, None),
                    AskStanding::New => (asked.as_ref().map(|asked| asked.id.clone()), None),
                    AskStanding::Waiting(ask) => (Some(ask.clone()), None),
                    AskStanding::Approved(ask) => (None, Some(ask.clone())),
                };
                let permit = (ruling.decision.outcome == Outcome::Permit || !enforced).then(|| {
                    let expires = now.after_ms(self.0.options.permit_lifetime_ms);
                    Permit::mint(id.clone(), caller.clone(), act.digest, expires, enforced, self.0.abandoned.clone())
                });
                let readers = ruling.made.iter().map(|label| &label.readers);
                let decided = Decided {
                    id: id.clone(),
                    caller: caller.clone(),
                    act: ActRecord::new(&act, Some(&ruling.audience), ruling.values),
                    decision: ruling.decision.clone(),
                    ask: asked,
                    approved_by,
                    node: self.0.node.name().to_owned(),
                    enforced,
                    trip: ruling.trip,
                    made: ruling.made.as_ref().map(LabelRecord::from),
                    sets: state.new_sets(readers.chain([&ruling.audience])),
                    answered: None,
                };
                (vec![Event::Decided(Box::new(decided))], Ruled { id, decision: ruling.decision, ask, permit })
            })
            .await?;
        ruled.permit = match (ruled.permit, receipt) {
            (Some(permit), Some(receipt)) => Some(permit.with_receipt(receipt)),
            (Some(permit), None) => {
                permit.void();
                None
            }
            (None, _) => None,
        };
        Ok(ruled)
    }

    /// Judges and records what a carried-out act brought, before the agent sees any of it.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing of the result may be released; the act is recorded as ambiguous as soon as that is possible.
    pub async fn observe(&self, spent: Spent, seen: Seen, ended: Ended) -> Result<Released, Unavailable> {
        let observation = Observation {
            caller: spent.caller().clone(),
            decision: spent.decision().clone(),
            items: seen.items,
            created: seen.created,
            attested: seen.attested,
        };
        let sketches = sketches(&self.0.key, &observation);
        let enforced = spent.is_enforced();
        let (_, released) = self
            .commit(|state, _| {
                let mut verdict = observe_sketched(state, &observation, &sketches, enforced);
                let observed = verdict.record(&observation, ended);
                let kept = KeptBack { withheld: verdict.withheld, masked: verdict.masked };
                let kept = if enforced { kept } else { KeptBack::default() };
                (vec![Event::Observed(Box::new(observed))], Released { kept, reasons: verdict.reasons, stopped: verdict.stopped })
            })
            .await?;
        spent.settled();
        Ok(released)
    }

    /// Records a call that never became an act.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn refuse(&self, refused: Refused) -> Result<(), Unavailable> {
        self.commit(|_, _| (vec![Event::Refused(Box::new(refused.clone()))], ())).await.map(drop)
    }

    /// A person answers an ask.
    ///
    /// # Errors
    /// [`AnswerError`] when this person may not answer it now.
    pub async fn answer(&self, ask: &AskId, by: &PrincipalId, yes: bool) -> Result<(), AnswerError> {
        let (_, answered) = self
            .commit(|state, now| match may_answer(state, ask, by, now) {
                Ok(()) => (vec![Event::Answered { ask: ask.clone(), by: by.clone(), yes }], Ok(())),
                Err(why) => (Vec::new(), Err(why)),
            })
            .await?;
        Ok(answered?)
    }

    /// One turn of whoever follows. Acts whose holders let go of them are recorded here, so that one which nobody knows the end of is
    /// ambiguous in the ledger soon, and not only when the next call comes.
    ///
    /// # Errors
    /// [`Unavailable`] when an abandoned act could not be recorded; it is kept for the next turn.
    pub(crate) async fn follow_once(&self) -> Result<(), Unavailable> {
        {
            let mut core = self.0.core.lock();
            if core.is_idle() {
                // What cannot be read now is read, or refused, by the next call.
                let _ = core.read_up(self.0.store.as_ref());
            }
        }
        let has_abandoned = !self.0.abandoned.lock().is_empty();
        if has_abandoned { self.settle().await } else { Ok(()) }
    }

    pub(crate) fn node_name(&self) -> &str {
        self.0.node.name()
    }

    pub(crate) fn ask_expires(&self, state: &State, caller: &Caller, now: Moment) -> Moment {
        let lifetime = now.after_ms(self.0.options.ask_lifetime_ms);
        let task = caller.task.as_ref().and_then(|id| state.task(id));
        task.map_or(lifetime, |state| lifetime.min(state.task.ends))
    }

    /// The one way by which anything happens: decide on the present state, queue the record, move the state, wait for the disk.
    /// When somebody else wrote in between, decide again on what is true now. Events of abandoned acts go along.
    pub(crate) async fn commit<T>(
        &self,
        decide: impl Fn(&State, Moment) -> (Vec<Event>, T),
    ) -> Result<(Option<Receipt>, T), Unavailable> {
        for _ in 0..STALE_RETRIES_MAX {
            let (pending, generation, out, abandoned) = {
                let mut core = self.0.core.lock();
                if core.lost {
                    core.recover(self.0.clock.now(), self.0.store.as_ref(), &self.0.key)?;
                }
                let now = self.now().max(core.latest);
                core.latest = now;
                let abandoned = std::mem::take(&mut *self.0.abandoned.lock());
                let mut events: Vec<Event> = abandoned.iter().filter_map(|(id, ended)| core.ending(id, *ended)).collect();
                let (decided, out) = decide(&core.state, now);
                events.extend(decided);
                if events.is_empty() {
                    return Ok((None, out));
                }
                let records: Vec<Record> = events.into_iter().map(|event| Record::new(now, event)).collect();
                let bodies = records.iter().map(|record| serde_json::to_vec(record).expect("an event is plain data")).collect();
                let pending = self.0.store.append(core.head, bodies);
                core.head = core.head.plus(records.len() as u64);
                for record in &records {
                    core.state.apply(record);
                }
                (pending, core.generation, out, abandoned)
            };
            match pending.await {
                Ok(receipt) => {
                    let mut core = self.0.core.lock();
                    core.durable = core.durable.max(receipt.last);
                    return Ok((Some(receipt), out));
                }
                Err(error) => {
                    let mut core = self.0.core.lock();
                    core.lose(generation);
                    self.0.abandoned.lock().extend(abandoned);
                    match error {
                        AppendError::Stale { .. } => {}
                        AppendError::Unavailable(why) => {
                            core.retry_at = self.0.clock.now().after_ms(RETRY_AFTER_MS);
                            return Err(Unavailable(why));
                        }
                        AppendError::Refused(why) => return Err(Unavailable(why)),
                    }
                }
            }
        }
        Err(Unavailable("others write to it faster than this call can be decided".to_owned()))
    }
}

/// Whether batches of changes can be made one after the other.
fn fits(state: &State, batches: &[DirectoryChanged]) -> Result<(), Vec<DirectoryError>> {
    let mut directory = state.directory().clone();
    for batch in batches {
        directory.may_record(&batch.changes)?;
        directory = directory.change(&batch.changes)?.0;
    }
    Ok(())
}

impl Core {
    fn is_idle(&self) -> bool {
        !self.lost && self.durable == self.head
    }

    /// Applies what the ledger has beyond the state.
    fn read_up(&mut self, store: &dyn Store) -> Result<(), OpenError> {
        loop {
            let page = page_after(store, self.head)?;
            if page.is_empty() {
                self.durable = self.head;
                return Ok(());
            }
            let is_much = page.len() >= READ_ENTRIES_MAX;
            self.take(page)?;
            if is_much {
                self.read_ahead(store)?;
            }
        }
    }

    /// The same for a long way: the next pages are read and parsed while this one is applied, which halves the time of a start.
    fn read_ahead(&mut self, store: &dyn Store) -> Result<(), OpenError> {
        std::thread::scope(|scope| {
            let (send, pages) = sync_channel(PAGES_AHEAD);
            let mut head = self.head;
            scope.spawn(move || {
                loop {
                    let page = page_after(store, head);
                    let next = page.as_ref().ok().and_then(|page| page.last()).map(|(seq, _)| *seq);
                    // Nobody takes it when an entry before was no event.
                    let (Ok(()), Some(next)) = (send.send(page), next) else { return };
                    head = next;
                }
            });
            pages.into_iter().try_for_each(|page| self.take(page?))
        })
    }

    fn take(&mut self, page: Page) -> Result<(), OpenError> {
        for (seq, record) in page {
            let record = record.map_err(|why| OpenError::Entry { seq, why })?;
            self.latest = self.latest.max(record.at);
            self.state.apply(&record);
            self.head = seq;
        }
        Ok(())
    }

    /// Notes that something which the state of this generation has seen did not become durable.
    fn lose(&mut self, generation: u64) {
        self.lost |= self.generation == generation;
    }

    /// Rebuilds what was lost, unless the ledger failed a moment ago: a replay for every refused call would be a flood of them.
    fn recover(&mut self, now: Moment, store: &dyn Store, key: &ContentKey) -> Result<(), Unavailable> {
        // A moment further away than that was noted before the clock was set back.
        if now < self.retry_at && self.retry_at <= now.after_ms(RETRY_AFTER_MS) {
            return Err(Unavailable("it failed just now".to_owned()));
        }
        self.rebuild(store, key).map_err(|error| {
            self.retry_at = now.after_ms(RETRY_AFTER_MS);
            Unavailable(error.to_string())
        })
    }

    fn rebuild(&mut self, store: &dyn Store, key: &ContentKey) -> Result<(), OpenError> {
        self.state = State::new(key.clone());
        self.head = Seq(0);
        self.generation += 1;
        self.read_up(store)?;
        self.lost = false;
        Ok(())
    }

    /// The event by which an abandoned act ends, if it has not ended.
    fn ending(&self, id: &DecisionId, ended: Ended) -> Option<Event> {
        let act = self.state.open_act(id)?;
        let observed = Observed::nothing(id.clone(), act.caller.task.clone(), ended);
        Some(Event::Observed(Box::new(observed)))
    }
}

/// Entries as events, or why one is none.
type Page = Vec<(Seq, Result<Record, String>)>;

/// The page after this entry; empty at the end.
fn page_after(store: &dyn Store, seq: Seq) -> Result<Page, ReadError> {
    let entries = store.read(seq.plus(1), READ_ENTRIES_MAX, READ_BYTES_MAX)?;
    let parsed = |entry: Entry| {
        let record = serde_json::from_slice::<Record>(&entry.body).map_err(|error| error.to_string());
        let is_known =
            |record: Record| if record.v > VERSION { Err(format!("it is of version {}", record.v)) } else { Ok(record) };
        (entry.seq, record.and_then(is_known))
    };
    Ok(entries.into_iter().map(parsed).collect())
}

/// Keeps the state up with what other processes write, and records what was abandoned where no call does. The thread ends with the engine.
fn follow(inner: &Arc<Inner>) {
    let weak: Weak<Inner> = Arc::downgrade(inner);
    if matches!(inner.clock, Clock::Manual(_)) {
        return;
    }
    let spawned = std::thread::Builder::new().name("engine-follow".to_owned()).spawn(move || {
        // It waits for receipts only, which need no driver.
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
        let mut pause = FOLLOW_INTERVAL;
        loop {
            std::thread::sleep(pause);
            let Some(engine) = weak.upgrade().map(Engine) else { return };
            pause = match runtime.block_on(engine.follow_once()) {
                Ok(()) => FOLLOW_INTERVAL,
                Err(_) => FOLLOW_AGAIN_AFTER,
            };
        }
    });
    // Without the thread every foreign entry is found by the append that it makes stale, and what was abandoned goes along with the next.
    drop(spawned);
}
