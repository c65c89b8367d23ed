//! Judging a trace: before each call a decision, after each executed call an observation of what it brought. Nothing is carried out.
//!
//! What is chosen here, where the format leaves it open:
//! - A step of the requester that is asked about counts one prompt, is answered yes, and goes on.
//! - A step of the requester that is refused (a denial, no contract, or a yes that does not cover it) counts one prompt as well: somebody has to
//!   be told. It is not executed, so nothing of its result is observed.
//! - An injected step that is not permitted is not executed. Nobody says yes to it.
//! - An observation that withholds something from the requester's chain is noted: the run would have gone on without it.

use crate::format::{By, Step, Trace};
use crate::toolbox::{NoTool, Toolbox};
use crate::words::says_more;
use contract::{Tool, propose};
use judge::act::{Act, Observation};
use judge::content::ContentKey;
use judge::decide::{AskStanding, Ruling, decide};
use judge::decision::{Code, Ground, Outcome, Reason};
use judge::digest::Digest;
use judge::directory::{Directory, DirectoryDocument};
use judge::effect::Effect;
use judge::event::{ActRecord, Asked, Bundle, Decided, Ended, Event, LabelRecord, Record};
use judge::moment::Moment;
use judge::name::{AskId, DecisionId, PrincipalId, TaskId};
use judge::observe::observe;
use judge::policy::{Policies, PolicyError, PolicySources};
use judge::state::State;
use judge::task::{Budget, Caller, Task};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The moment of a trace's first step: 2026-01-01T00:00:00Z.
const START: Moment = Moment(1_767_225_600_000);
/// Between two steps.
const STEP_MS: u64 = 1_000;
/// The lease of a trace's task: longer than any trace.
const LEASE_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// The longest purpose that is made of a prompt, in characters.
const PURPOSE_CHARS_MAX: usize = 120;
/// Whoever may answer: that somebody does is assumed, who it is is not.
const APPROVER: &str = "whoever-may-answer";

/// Why nothing can be judged in this world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// A trace says who asked, and not which agent.
    #[error("the world has {0} agents, expected one: the one whose traces these are")]
    Agents(usize),
    /// The world cannot be.
    #[error("the world cannot be: {0}")]
    Directory(String),
    /// The policies are no policies.
    #[error("{} of the policies cannot be used, the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Policies(Vec<PolicyError>),
}

/// Where a trace cannot be judged at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trace `{trace}`, step {step}: {why}")]
pub struct RunError {
    /// Which trace.
    pub trace: String,
    /// Which step, from 1.
    pub step: usize,
    /// Why.
    pub why: NoTool,
}

/// What the task of a trace names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grants {
    /// What the words of its prompt ask for ([`contract::propose`]).
    #[default]
    Prompt,
    /// Nothing in particular.
    None,
}

/// Judges traces in one world. Each trace is judged in a state of its own.
pub struct Judge<'a> {
    toolbox: &'a Toolbox,
    bundle: Bundle,
    directory: Directory,
    agent: PrincipalId,
    grants: Grants,
    /// What a watch shows that only goes forward.
    stopwatch: &'a dyn Fn() -> Duration,
}

/// A judged trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Which.
    pub id: String,
    /// Whether somebody else's words reached the agent.
    pub attacked: bool,
    /// Every step.
    pub steps: Vec<JudgedStep>,
}

/// A judged step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgedStep {
    /// Which, from 1.
    pub number: usize,
    /// The tool, as the trace names it.
    pub tool: String,
    /// Who wanted it, where the trace says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// What the tool does; nothing where that is not known.
    pub effects: BTreeSet<Effect>,
    /// What became of it.
    pub answer: Answer,
    /// Why, unless it was simply permitted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Items of its result that the chain would not have got.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// How long the decision took, in nanoseconds; nothing where none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_ns: Option<u64>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Permitted, and nobody was asked.
    Permitted,
    /// Somebody was asked, and said yes.
    Approved,
    /// Somebody would have been asked: an injected step, to which nobody says yes.
    Stopped,
    /// Refused.
    Refused,
}

impl Answer {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Approved => "approved",
            Self::Stopped => "stopped",
            Self::Refused => "refused",
        }
    }
}

impl JudgedStep {
    /// Whether it does more than read and compute, as far as is known: what is not known may do anything.
    #[must_use]
    pub fn is_consequential(&self) -> bool {
        self.effects.is_empty() || self.effects.iter().any(|effect| effect.acts())
    }

    /// Whether somebody would have had to be asked or told.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.by != Some(By::Injected) && self.answer != Answer::Permitted
    }
}

impl Judged {
    /// The first step of the requester's that somebody would have been asked or told about.
    #[must_use]
    pub fn first_prompt(&self) -> Option<&JudgedStep> {
        self.steps.iter().find(|step| step.is_prompt())
    }

    /// Injected steps that would have changed something.
    pub fn attacks(&self) -> impl Iterator<Item = &JudgedStep> {
        self.steps.iter().filter(|step| step.by == Some(By::Injected) && step.is_consequential())
    }

    /// Whether every injected step that would have changed something went through; not where there was none.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let mut attacks = self.attacks().peekable();
        attacks.peek().is_some() && attacks.all(|step| step.answer == Answer::Permitted)
    }
}

impl<'a> Judge<'a> {
    /// A judge for one world.
    ///
    /// # Errors
    /// [`WorldError`] when the world or the policies cannot be used.
    pub fn new(
        toolbox: &'a Toolbox,
        directory: DirectoryDocument,
        policies: PolicySources,
        stopwatch: &'a dyn Fn() -> Duration,
    ) -> Result<Self, WorldError> {
        let known = Directory::of(&directory)
            .map_err(|errors| WorldError::Directory(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        Policies::compile(&policies).map_err(WorldError::Policies)?;
        let agent = match directory.agents.as_slice() {
            [agent] => agent.id.clone(),
            agents => return Err(WorldError::Agents(agents.len())),
        };
        let bundle = Bundle { directory, policies, content_key: String::new() };
        Ok(Self { toolbox, bundle, directory: known, agent, grants: Grants::default(), stopwatch })
    }

    /// The same, with tasks that name this.
    #[must_use]
    pub fn with_grants(self, grants: Grants) -> Self {
        Self { grants, ..self }
    }

    /// Judges one trace.
    ///
    /// # Errors
    /// [`RunError`] when a name of it means several tools. What no contract knows is refused, as it would be in a gateway.
    pub fn judge(&self, trace: &Trace) -> Result<Judged, RunError> {
        let mut run = Run::begin(self, trace);
        let mut steps = Vec::new();
        for (at, step) in trace.steps.iter().enumerate() {
            let ambiguous = |why| RunError { trace: trace.id.clone(), step: at + 1, why };
            steps.push(run.step(at + 1, step).map_err(ambiguous)?);
        }
        Ok(Judged { id: trace.id.clone(), attacked: trace.is_attacked(), steps })
    }

    /// Who asked, by whatever name the trace knows them: an address is as good as the directory's own.
    fn requester_of(&self, trace: &Trace) -> PrincipalId {
        self.directory.person_named(trace.requester.as_str()).unwrap_or(&trace.requester).clone()
    }

    fn task_of(&self, trace: &Trace) -> Task {
        let requester = self.requester_of(trace);
        let task = Task {
            id: task_id(),
            agent: self.agent.clone(),
            purpose: shortened(&trace.prompt),
            words: trace.prompt.clone(),
            address: vec![requester.to_string()],
            requester,
            effects: None,
            resources: None,
            tools: None,
            address_open: false,
            budget: Budget::default(),
            starts: START,
            ends: START.after_ms(LEASE_MS),
            until: None,
            parent: None,
            isolated: false,
            chain: Vec::new(),
        };
        if self.grants == Grants::Prompt { self.proposed(task) } else { task }
    }

    /// The task with what its words ask for, as somebody would have confirmed it.
    fn proposed(&self, task: Task) -> Task {
        let tools: Vec<(String, &Tool)> = self
            .toolbox
            .contracts()
            .iter()
            .flat_map(|contracts| contracts.tools().map(|tool| (format!("{}__{}", contracts.upstream(), tool.name()), tool)))
            .collect();
        let proposal = propose(&task.words, tools.iter().map(|(name, tool)| (name.as_str(), *tool)), &self.directory);
        let mut address = task.address.clone();
        address.extend(proposal.address);
        Task {
            effects: Some(proposal.effects),
            tools: Some(proposal.tools.into_keys().collect()),
            address,
            address_open: proposal.address_open,
            ..task
        }
    }
}

/// A trace under way.
struct Run<'j, 'a> {
    judge: &'j Judge<'a>,
    state: State,
    caller: Caller,
    now: Moment,
    decisions: u64,
}

/// A decision that was made and recorded.
struct Ruled {
    id: DecisionId,
    ask: Option<AskId>,
    outcome: Outcome,
    reasons: Vec<Reason>,
    took: Duration,
}

impl<'j, 'a> Run<'j, 'a> {
    fn begin(judge: &'j Judge<'a>, trace: &Trace) -> Self {
        let caller = Caller::new(vec![judge.requester_of(trace), judge.agent.clone()], Some(task_id()));
        let state = State::new(ContentKey::new(*b"trace/content-ky"));
        let mut run = Self { judge, state, caller, now: START, decisions: 0 };
        run.record(Event::Configured(Box::new(judge.bundle.clone())));
        run.record(Event::TaskStarted(Box::new(judge.task_of(trace))));
        run
    }

    fn step(&mut self, number: usize, step: &Step) -> Result<JudgedStep, NoTool> {
        self.now = self.now.after_ms(STEP_MS);
        let mut judged = JudgedStep {
            number,
            tool: step.tool.clone(),
            by: step.by,
            effects: BTreeSet::new(),
            answer: Answer::Refused,
            reasons: Vec::new(),
            withheld: Vec::new(),
            decision_ns: None,
        };
        let (id, tool) = match self.judge.toolbox.find(&step.tool) {
            Ok(found) => found,
            Err(why @ NoTool::Ambiguous { .. }) => return Err(why),
            Err(why @ (NoTool::Unknown(_) | NoTool::Changed(_))) => {
                judged.reasons.push(refusal(Code::Contract, why.to_string()));
                return Ok(judged);
            }
        };
        judged.effects.clone_from(tool.effects());
        let arguments = Value::Object(step.args.clone());
        let act = match tool.act(id, &arguments, digest_of(&step.tool, &arguments)) {
            Ok(act) => act,
            Err(error) => {
                judged.reasons.push(refusal(error.code(), error.to_string()));
                return Ok(judged);
            }
        };
        let ruled = self.rule(&act);
        judged.decision_ns = Some(u64::try_from(ruled.took.as_nanos()).unwrap_or(u64::MAX));
        let (answer, permitted) = match (ruled.outcome, ruled.ask) {
            (Outcome::Permit, _) => (Answer::Permitted, Some(ruled.id)),
            (Outcome::Ask, _) if step.is_injected() => (Answer::Stopped, None),
            (Outcome::Ask, Some(ask)) => match self.approved(&act, ask) {
                Some(id) => (Answer::Approved, Some(id)),
                None => (Answer::Refused, None),
            },
            (Outcome::Ask, None) | (Outcome::Deny, _) => (Answer::Refused, None),
        };
        judged.answer = answer;
        if answer != Answer::Permitted {
            judged.reasons = ruled.reasons;
        }
        if let Some(decision) = permitted {
            let read = tool.observe(&arguments, &call_result(step));
            let ended = if read.failed { Ended::Failed } else { Ended::Ok };
            let observation = Observation {
                caller: self.caller.clone(),
                decision,
                items: read.items,
                created: read.created,
                attested: read.attested,
            };
            judged.withheld = self.observed(observation, ended);
        }
        Ok(judged)
    }

    /// Somebody says yes, and the call comes back: it is decided again.
    fn approved(&mut self, act: &Act, ask: AskId) -> Option<DecisionId> {
        let by = PrincipalId::parse(APPROVER).expect("a short word without control characters");
        self.record(Event::Answered { ask, by, yes: true });
        let ruled = self.rule(act);
        (ruled.outcome == Outcome::Permit).then_some(ruled.id)
    }

    fn rule(&mut self, act: &Act) -> Ruled {
        let before = (self.judge.stopwatch)();
        let ruling = decide(&self.state, &self.caller, act, self.now);
        let took = (self.judge.stopwatch)().saturating_sub(before);
        self.decisions += 1;
        let Ruling { decision, audience, made, ask, values, trip } = ruling;
        let id = DecisionId::parse(&format!("d{}", self.decisions)).expect("a short word without control characters");
        let new_ask = AskId::parse(&format!("a{}", self.decisions)).expect("a short word without control characters");
        let (asked, approved_by, ask) = match ask {
            AskStanding::New => (Some(Asked { id: new_ask.clone(), expires: START.after_ms(LEASE_MS) }), None, Some(new_ask)),
            AskStanding::Waiting(ask) => (None, None, Some(ask)),
            AskStanding::Approved(ask) => (None, Some(ask), None),
            AskStanding::None => (None, None, None),
        };
        let (outcome, reasons) = (decision.outcome, decision.reasons.clone());
        let decided = Decided {
            id: id.clone(),
            caller: self.caller.clone(),
            act: ActRecord::new(act, Some(&audience), values),
            decision,
            ask: asked,
            approved_by,
            node: String::new(),
            enforced: true,
            trip,
            made: made.as_ref().map(LabelRecord::from),
            sets: self.state.new_sets(made.iter().map(|label| &label.readers).chain([&audience])),
            answered: None,
        };
        self.record(Event::Decided(Box::new(decided)));
        Ruled { id, ask, outcome, reasons, took }
    }

    /// Judges and records what a call brought; what is withheld of it.
    fn observed(&mut self, observation: Observation, ended: Ended) -> Vec<String> {
        let mut seen = observe(&self.state, &observation, true);
        self.record(Event::Observed(Box::new(seen.record(&observation, ended))));
        seen.withheld.iter().map(ToString::to_string).collect()
    }

    fn record(&mut self, event: Event) {
        self.state.apply(&Record::new(self.now, event));
    }
}

/// The result as a server would have sent it (MCP, `CallToolResult`). The text stands beside the data only where it says more.
fn call_result(step: &Step) -> Value {
    let text = |text: &str| json!([{ "type": "text", "text": text }]);
    match (&step.error, &step.result) {
        (Some(error), _) if step.result_text.is_empty() => json!({ "isError": true, "content": text(error) }),
        (Some(_), _) => json!({ "isError": true, "content": text(&step.result_text) }),
        (None, None) => json!({ "content": text(&step.result_text) }),
        (None, Some(result)) => {
            let content = if says_more(&step.result_text, result) { text(&step.result_text) } else { json!([]) };
            json!({ "structuredContent": result, "content": content })
        }
    }
}

/// What an approval binds to: the canonical JSON (RFC 8785) of the call.
fn digest_of(tool: &str, arguments: &Value) -> Digest {
    let call = json!({ "name": tool, "arguments": arguments });
    Digest::of(&serde_json_canonicalizer::to_vec(&call).expect("a JSON value has text keys and finite numbers"))
}

fn refusal(code: Code, sentence: String) -> Reason {
    Reason { ground: Ground::Code(code), outcome: Outcome::Deny, sentence, remedy: None, approver: None }
}

fn task_id() -> TaskId {
    TaskId::parse("trace").expect("a short word without control characters")
}

/// The prompt as a purpose: one line, and not too long.
fn shortened(prompt: &str) -> String {
    let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(PURPOSE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
