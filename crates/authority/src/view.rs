//! Asks and tasks as people and programs are shown them: one shape for the API and for the command line.
//!
//! Nothing here decides. What a person sees is what the judge had computed when it asked, and who may answer now.

use std::collections::BTreeSet;
use std::sync::Arc;

use judge::decide::{approvers, may_answer};
use judge::decision::{Approver, Outcome};
use judge::directory::{AgentRecord, DirectoryChange, Mark};
use judge::effect::Effect;
use judge::moment::Moment;
use judge::registration;
use judge::state::{Answer, AskState, State, TaskState};
use judge::task::{Budget, Caller};
use serde::Serialize;

/// How many of those who may answer are named.
pub const MAY_ANSWER_MAX: usize = 50;

/// How an ask stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Standing {
    /// It waits for an answer.
    Open,
    /// Nobody answered in time, or the answer was not used in time.
    Expired,
    /// A person said yes; not used yet.
    Approved {
        /// Who.
        by: String,
    },
    /// A person said no.
    Denied {
        /// Who.
        by: String,
    },
    /// What it was about was stopped.
    Withdrawn,
    /// The yes was used.
    Used {
        /// Who had said yes.
        by: String,
    },
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Standing::Open => "open",
            Standing::Expired => "expired",
            Standing::Approved { .. } => "approved",
            Standing::Denied { .. } => "denied",
            Standing::Withdrawn => "withdrawn",
            Standing::Used { .. } => "used",
        }
    }

    fn of(ask: &AskState, now: Moment) -> Self {
        let expired = now >= ask.expires;
        match &ask.answer {
            Answer::Open | Answer::Approved { .. } if expired => Standing::Expired,
            Answer::Open => Standing::Open,
            Answer::Approved { by } => Standing::Approved { by: by.to_string() },
            Answer::Denied { by } => Standing::Denied { by: by.to_string() },
            Answer::Withdrawn => Standing::Withdrawn,
            Answer::Used { by } => Standing::Used { by: by.to_string() },
        }
    }
}

/// The exact call.
#[derive(Debug, Clone, Serialize)]
pub struct CallView {
    /// With which tool.
    pub tool: String,
    /// What it does.
    pub effects: BTreeSet<Effect>,
    /// To what.
    pub resources: Vec<String>,
    /// Named recipients.
    pub recipients: Vec<String>,
    /// Money.
    pub amount: Option<u64>,
    /// How much text would leave, in bytes.
    pub content_bytes: u64,
    /// SHA-256 over the canonical JSON of the call (RFC 8785): what the answer is bound to.
    pub digest: String,
}

/// Who would see it.
#[derive(Debug, Clone, Serialize)]
pub struct AudienceView {
    /// Known people.
    pub people: u64,
    /// Outside addresses and domains.
    pub external: u64,
    /// Everyone.
    pub public: bool,
    /// How many are not among those the answer is for.
    pub beyond_address: u64,
    /// The known people by name, where they were looked up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// What is in what leaves, or could be.
#[derive(Debug, Clone, Serialize)]
pub struct FlowView {
    /// Items.
    pub items: u64,
    /// How many of the audience are not cleared for one of them.
    pub uncleared: u64,
    /// Some of those.
    pub sample: Vec<String>,
    /// Items with unknown readers.
    pub unknown: u64,
    /// The highest classification.
    pub classification: &'static str,
    /// All categories.
    pub categories: Vec<String>,
    /// Items that are not meant for the task's purpose.
    pub purpose_uncovered: u64,
}

/// What a change of access would newly show to whom (the exposure preview).
#[derive(Debug, Clone, Serialize)]
pub struct ChangeView {
    /// People who would newly see something.
    pub newcomers: u64,
    /// Items that somebody would newly see.
    pub items: u64,
    /// Pairs of a person and an item that would become visible.
    pub pairs: u64,
    /// How many of those are not cleared.
    pub uncleared_pairs: u64,
    /// How many people would see something that they are not cleared for.
    pub uncleared: u64,
    /// Some of those.
    pub sample: Vec<String>,
    /// The highest classification of what they would see.
    pub classification: &'static str,
    /// All categories of it.
    pub categories: Vec<String>,
    /// The worst of it.
    pub worst: Vec<String>,
    /// Everyone would see something that is not for everyone.
    pub public: bool,
    /// Outside addresses and domains that would see something that is not for everyone.
    pub external: u64,
    /// Items of which nobody knows who may see them.
    pub unknown: u64,
    /// Whether it rests on what an agent wrote.
    pub advised: bool,
    /// Whether a person approved what the agent wrote.
    pub reviewed: bool,
}

/// Why it is asked.
#[derive(Debug, Clone, Serialize)]
pub struct ReasonView {
    /// The norm, or the code.
    pub ground: String,
    /// One sentence.
    pub sentence: String,
    /// What would make it allowed without a yes.
    pub remedy: Option<String>,
    /// Who may answer.
    pub approver: Option<String>,
}

/// An ask.
#[derive(Debug, Clone, Serialize)]
pub struct AskView {
    /// Which.
    pub id: String,
    /// How it stands.
    pub standing: Standing,
    /// The decision that asked.
    pub decision: String,
    /// Who calls: the person first.
    pub chain: Vec<String>,
    /// The task.
    pub task: Option<String>,
    /// The task's purpose.
    pub purpose: String,
    /// Who the answer is for.
    pub address: Vec<String>,
    /// The exact call.
    pub call: CallView,
    /// Who would see it.
    pub audience: AudienceView,
    /// Found word for word in what would leave.
    pub shown: FlowView,
    /// Read by the task, and possibly in it.
    pub possible: FlowView,
    /// What it would newly show to whom, where it changes who may see something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeView>,
    /// Why it is asked.
    pub reasons: Vec<ReasonView>,
    /// Who may answer now, by name.
    pub may_answer: Vec<String>,
    /// Whether more than those may.
    pub may_answer_more: bool,
    /// When it was asked, in milliseconds since 1970.
    pub asked: Moment,
    /// Until when it can be answered and used, in milliseconds since 1970.
    pub expires: Moment,
}

impl AskView {
    /// `ask` as it stands at `now`.
    #[must_use]
    pub fn of(state: &State, ask: &AskState, now: Moment) -> Self {
        let facts = &ask.facts;
        let standing = Standing::of(ask, now);
        let mut may: Vec<String> = Vec::new();
        if standing == Standing::Open {
            let people = state.directory().active().iter().filter_map(|number| state.principals().name(number));
            may = people
                .filter(|person| may_answer(state, &ask.id, person, now).is_ok())
                .take(MAY_ANSWER_MAX + 1)
                .map(ToString::to_string)
                .collect();
        }
        let may_answer_more = may.len() > MAY_ANSWER_MAX;
        may.truncate(MAY_ANSWER_MAX);
        may.sort();
        Self {
            id: ask.id.to_string(),
            standing,
            decision: ask.decision.to_string(),
            chain: strings(&ask.caller.chain),
            task: ask.caller.task.as_ref().map(ToString::to_string),
            purpose: facts.task.purpose.clone(),
            address: strings(&facts.task.address),
            call: CallView {
                tool: ask.act.tool.to_string(),
                effects: ask.act.effects.clone(),
                resources: strings(&ask.act.resources),
                recipients: ask.act.recipients.clone(),
                amount: ask.act.amount,
                content_bytes: ask.act.content_bytes,
                digest: ask.act.digest.to_string(),
            },
            audience: AudienceView {
                people: facts.audience.people,
                external: facts.audience.external,
                public: facts.audience.public,
                beyond_address: facts.audience.beyond_address,
                names: Vec::new(),
            },
            shown: FlowView {
                items: facts.shown.items,
                uncleared: facts.shown.uncleared,
                sample: strings(&facts.shown.sample),
                unknown: facts.shown.unknown,
                classification: facts.shown.classification.word(),
                categories: strings(&facts.shown.categories),
                purpose_uncovered: facts.shown.purpose_uncovered,
            },
            possible: FlowView {
                items: facts.possible.items,
                uncleared: facts.possible.uncleared,
                sample: strings(&facts.possible.sample),
                unknown: facts.possible.unknown,
                classification: facts.possible.classification.word(),
                categories: strings(&facts.possible.categories),
                purpose_uncovered: facts.possible.purpose_uncovered,
            },
            change: ask.act.effects.contains(&Effect::Widen).then(|| ChangeView {
                newcomers: facts.change.newcomers,
                items: facts.change.items,
                pairs: facts.change.pairs,
                uncleared_pairs: facts.change.uncleared_pairs,
                uncleared: facts.change.uncleared,
                sample: strings(&facts.change.sample),
                classification: facts.change.classification.word(),
                categories: strings(&facts.change.categories),
                worst: strings(&facts.change.worst),
                public: facts.change.public,
                external: facts.change.external,
                unknown: facts.change.unknown,
                advised: facts.change.advised,
                reviewed: facts.change.reviewed,
            }),
            reasons: ask
                .reasons
                .iter()
                .filter(|reason| reason.outcome == Outcome::Ask)
                .map(|reason| ReasonView {
                    ground: reason.ground.word().to_owned(),
                    sentence: reason.sentence.clone(),
                    remedy: reason.remedy.clone(),
                    approver: reason.approver.as_ref().map(who),
                })
                .collect(),
            may_answer: may,
            may_answer_more,
            asked: ask.asked,
            expires: ask.expires,
        }
    }

    /// Everyone who has to say yes, in words.
    #[must_use]
    pub fn approvers(ask: &AskState) -> Vec<String> {
        approvers(ask).iter().map(who).collect()
    }
}

/// Who may answer, in words.
#[must_use]
pub fn who(approver: &Approver) -> String {
    match approver {
        Approver::OutsideChain => "somebody outside the chain with a grant for it".to_owned(),
        Approver::Owner => "the owner of what is touched".to_owned(),
        Approver::Named(name) => name.clone(),
    }
}

/// A task as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct TaskView {
    /// Which.
    pub id: String,
    /// `running`, `ended` (by a person) or `over` (the lease).
    pub standing: &'static str,
    /// The person who asked.
    pub requester: String,
    /// The agent who was asked.
    pub agent: String,
    /// What for.
    pub purpose: String,
    /// What the requester said.
    pub words: String,
    /// Who the answer is for.
    pub address: Vec<String>,
    /// The effects that it names.
    pub effects: Option<BTreeSet<Effect>>,
    /// The resources that it names.
    pub resources: Option<Vec<String>>,
    /// The tools that it names for anything beyond reading.
    pub tools: Option<BTreeSet<String>>,
    /// Whether the requester left open who the answer goes to.
    pub address_open: bool,
    /// What it may use up.
    pub budget: Budget,
    /// Calls decided so far.
    pub calls: u64,
    /// Items read so far.
    pub items: u64,
    /// Money spent so far.
    pub spent: u64,
    /// When it began, in milliseconds since 1970.
    pub starts: Moment,
    /// When its lease ends, in milliseconds since 1970.
    pub ends: Moment,
    /// Until when its lease may be earned again by rule, in milliseconds since 1970; nothing: a person alone can renew it.
    pub until: Option<Moment>,
    /// How often it was renewed by rule since a person last looked.
    pub renewals: u64,
}

impl TaskView {
    /// `task` as it stands at `now`.
    #[must_use]
    pub fn of(state: &State, task: &TaskState, now: Moment) -> Self {
        let TaskState { task: of, ended, calls, .. } = task;
        let items = state.root_of(&of.id).and_then(|root| state.flow(&root)).map_or(0, judge::state::Flow::items);
        Self {
            id: of.id.to_string(),
            standing: if *ended {
                "ended"
            } else if now >= of.ends {
                "over"
            } else {
                "running"
            },
            requester: of.requester.to_string(),
            agent: of.agent.to_string(),
            purpose: of.purpose.clone(),
            words: of.words.clone(),
            address: of.address.clone(),
            effects: of.effects.clone(),
            resources: of.resources.clone(),
            tools: of.tools.clone(),
            address_open: of.address_open,
            budget: of.budget,
            calls: *calls,
            items,
            spent: task.spent(),
            starts: of.starts,
            ends: of.ends,
            until: of.until.filter(|until| *until > of.ends),
            renewals: task.checkpoint.renewals,
        }
    }
}

fn strings<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

/// An agent as its registration has it, and how it stands.
#[derive(Debug, Clone, Serialize)]
pub struct AgentView {
    /// Which.
    pub id: String,
    /// `in use`, `suspended`, `out of use`, `owner left`, `lapsed`, `stopped` or `frozen`: the first that holds it up.
    pub standing: &'static str,
    /// What has to be done, and by whom, before it goes on.
    pub needs: Option<String>,
    /// The person who owns it.
    pub owner: String,
    /// The person who vouches for it beside the owner.
    pub sponsor: Option<String>,
    /// Those of both who are here.
    pub answering: Vec<String>,
    /// What it is for.
    pub about: String,
    /// The purposes for which tasks may be started with it; nothing: any.
    pub purposes: Option<Vec<String>>,
    /// The most that it may do; nothing: whatever it is granted.
    pub effects: Option<BTreeSet<Effect>>,
    /// The tools that it may use; nothing: any.
    pub tools: Option<Vec<String>>,
    /// The keys that it may prove itself with; nothing: any.
    pub keys: Option<Vec<String>>,
    /// The clients through which it gets credentials; nothing: any.
    pub clients: Option<Vec<String>>,
    /// The registration ends here; nothing: never.
    pub ends: Option<Moment>,
    /// Who registered it.
    pub registered: Option<Mark>,
    /// Who last looked at what it did, and renewed it.
    pub reviewed: Option<Mark>,
    /// Who suspended it.
    pub suspended: Option<Mark>,
    /// Whether the configuration states it, so that it is changed there.
    pub declared: bool,
    /// Tasks that run with it.
    pub running: u64,
}

impl AgentView {
    /// The view of `agent` at `now`.
    #[must_use]
    pub fn of(state: &State, agent: &AgentRecord, now: Moment) -> Self {
        let directory = state.directory();
        let terms = &agent.registration;
        let list =
            |names: &Option<BTreeSet<Arc<str>>>| names.as_ref().map(|names| names.iter().map(ToString::to_string).collect());
        let is_of = |task: &TaskState| task.task.agent == agent.id || task.task.chain.contains(&agent.id);
        let (standing, needs) = Self::standing(state, agent, now);
        Self {
            id: agent.id.to_string(),
            standing,
            needs,
            owner: agent.owner.to_string(),
            sponsor: terms.sponsor.as_ref().map(ToString::to_string),
            answering: registration::answering(directory, agent).map(ToString::to_string).collect(),
            about: agent.purpose.clone(),
            purposes: list(&terms.purposes),
            effects: terms.effects.clone(),
            tools: list(&terms.tools),
            keys: list(&terms.keys),
            clients: list(&terms.clients),
            ends: terms.ends,
            registered: terms.registered.clone(),
            reviewed: terms.reviewed.clone(),
            suspended: terms.suspended.clone(),
            declared: directory.may_record(&[DirectoryChange::PutAgent(agent.clone().into())]).is_err(),
            running: state.tasks().filter(|task| is_of(task) && !task.ended && now < task.task.ends).count() as u64,
        }
    }

    fn standing(state: &State, agent: &AgentRecord, now: Moment) -> (&'static str, Option<String>) {
        let directory = state.directory();
        let id = &agent.id;
        let who = registration::who(directory, agent);
        // An agent stands for itself here, and for its owner: both can be stopped.
        let caller = Caller::new(vec![agent.owner.clone(), id.clone()], None);
        if agent.registration.suspended.is_some() {
            ("suspended", Some(format!("{who}: `prudence agent resume {id}`")))
        } else if !agent.is_in_use() {
            ("out of use", Some(format!("{who}: put it into use again where it is provisioned")))
        } else if directory.person(agent.owner.as_str()).is_none() {
            ("owner left", Some(format!("{who}: `prudence agent hand-over {id} --to PERSON`")))
        } else if agent.registration.is_over(now) {
            ("lapsed", Some(format!("{who}: `prudence agent review {id}`")))
        } else if let Some((target, by)) = state.killed(&caller) {
            ("stopped", Some(format!("{by} has stopped {target}: `prudence reset`")))
        } else if let Some((target, frozen)) = state.frozen(&caller) {
            ("frozen", Some(format!("{} has frozen {target}: `prudence reset`", frozen.norm)))
        } else {
            ("in use", None)
        }
    }
}
