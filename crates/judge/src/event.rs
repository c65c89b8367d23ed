//! Events: the only things of the judge that are persisted. Versioned, and frozen by golden files.
//!
//! The state is a fold of these ([`crate::state::State::apply`]); what is not in an event did not happen.

use crate::act::{Act, Stated, ValuePrint, items_of};
use crate::content::Sketch;
use crate::decision::{Code, Decision, Outcome};
use crate::digest::Digest;
use crate::directory::{DirectoryChange, DirectoryDocument};
use crate::effect::Effect;
use crate::incident::{IncidentId, Verdict};
use crate::label::{Classification, Integrity, Label, Purposes};
use crate::moment::Moment;
use crate::name::{AskId, DecisionId, NormId, PrincipalId, ResourceId, TaskId, ToolId};
use crate::policy::PolicySources;
use crate::reach::{PeopleSet, Reach, ReachRecord};
use crate::standing::{Scope, Target};
use crate::task::{Caller, Task};
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The version that [`Record::new`] writes.
pub const VERSION: u8 = 1;

/// An event with its moment, as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format.
    pub v: u8,
    /// When.
    pub at: Moment,
    /// What.
    pub event: Event,
}

impl Record {
    /// `event` at `at`, in the present version.
    #[must_use]
    pub fn new(at: Moment, event: Event) -> Self {
        Self { v: VERSION, at, event }
    }
}

/// The configuration that decisions are made under.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bundle {
    /// Who and what there is.
    pub directory: DirectoryDocument,
    /// Grants' and norms' policies.
    pub policies: PolicySources,
    /// The fingerprint of the key under which text is recognised: under another key nothing that was read is found again.
    #[serde(default)]
    pub content_key: String,
}

impl Bundle {
    /// What a record calls this configuration.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("a bundle is plain data with text keys"))
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The configuration from here on.
    Configured(Box<Bundle>),
    /// The directory changed beside its configuration.
    DirectoryChanged(Box<DirectoryChanged>),
    /// A task began.
    TaskStarted(Box<Task>),
    /// A task was ended by a person before its lease.
    TaskEnded {
        /// Which.
        task: TaskId,
    },
    /// The lease of a task was earned again.
    TaskRenewed {
        /// Which.
        task: TaskId,
        /// The lease ends here now.
        ends: Moment,
        /// The person who looked; by rule when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<PrincipalId>,
    },
    /// A credential was issued.
    CredentialIssued(Box<Issued>),
    /// A person stopped something, with everything that was derived from it.
    Killed {
        /// What.
        target: Target,
        /// Who.
        by: PrincipalId,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A person took a kill back, or looked at what a breaker froze and let it go on.
    Reset {
        /// What.
        target: Target,
        /// Who.
        by: PrincipalId,
    },
    /// A person looked into an incident, and says what it was. It lets nothing go on.
    IncidentResolved {
        /// Which.
        incident: IncidentId,
        /// Who.
        by: PrincipalId,
        /// What it was.
        verdict: Verdict,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// An act was decided.
    Decided(Box<Decided>),
    /// An effect ended, and what it brought was judged.
    Observed(Box<Observed>),
    /// A person answered an ask.
    Answered {
        /// Which.
        ask: AskId,
        /// Who.
        by: PrincipalId,
        /// Yes or no.
        yes: bool,
    },
    /// A call was refused before it could become an act.
    Refused(Box<Refused>),
}

/// A credential without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Its own id.
    pub id: String,
    /// For whom: the chain, the task, and the key that has to be proved.
    pub caller: Caller,
    /// Until when.
    pub expires: Moment,
    /// The credential that it was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// A batch of changes of the directory, which holds as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryChanged {
    /// Where it came from: a file, a provisioning service.
    pub source: String,
    /// The person or service that made it, where a verified credential says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalId>,
    /// The changes.
    pub changes: Vec<DirectoryChange>,
}

/// A decided act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Which.
    pub id: DecisionId,
    /// Who called.
    pub caller: Caller,
    /// What for.
    pub act: ActRecord,
    /// The answer.
    pub decision: Decision,
    /// The ask that this is, when the answer is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Asked>,
    /// The approval that this used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<AskId>,
    /// The node that holds the permit: when it is gone, so is whoever knew how the effect ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// False when the gate only observed: the act went through whatever the answer was.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub enforced: bool,
    /// How much this froze, when a breaker tripped; where the gate only observed, how much it would have frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip: Option<Trip>,
    /// The label of what the act makes, where it makes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<LabelRecord>,
    /// Sets of people that are named here for the first time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetRecord>,
    /// Set where an enforcement point elsewhere asked and carries it out: nobody here has a permit for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
}

impl Decided {
    /// Whether the act was let through: permitted, or only observed, whatever the answer was.
    #[must_use]
    pub fn went_through(&self) -> bool {
        self.decision.outcome == Outcome::Permit || !self.enforced
    }

    /// What a tripped breaker did, in words.
    #[must_use]
    pub fn froze(&self) -> Option<String> {
        let scope = self.trip.as_ref()?.scope.word();
        Some(if self.enforced { format!("this froze the {scope}") } else { format!("this would have frozen the {scope}") })
    }
}

/// An answer to an enforcement point elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Which one asked, by its verified credential.
    pub to: String,
    /// Until when a person can be asked about it, where one could say yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requestable_until: Option<Moment>,
    /// What it stated beside names, on which a grant may rest.
    #[serde(default, skip_serializing_if = "Stated::is_empty")]
    pub stated: Stated,
}

fn yes() -> bool {
    true
}

/// A breaker that tripped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trip {
    /// How much is frozen.
    pub scope: Scope,
    /// By which norm.
    pub norm: NormId,
}

/// An ask: a question put to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which.
    pub id: AskId,
    /// Until when it can be answered and the answer used.
    pub expires: Moment,
}

/// An act without its content: arguments are secrets until labelled otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActRecord {
    /// With which tool.
    pub tool: ToolId,
    /// What it does.
    pub effects: BTreeSet<Effect>,
    /// To what.
    pub resources: Vec<ResourceId>,
    /// Named recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    /// How many items it reads at most, where the call says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<u64>,
    /// Who would see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<ReachRecord>,
    /// Its consequential values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValuePrint>,
    /// How much text leaves, in bytes.
    #[serde(default)]
    pub content_bytes: u64,
    /// Digest of the exact call.
    pub digest: Digest,
}

impl ActRecord {
    /// The record of `act`, which `audience` would see, with where its values were chosen.
    #[must_use]
    pub fn new(act: &Act, audience: Option<&Reach>, values: Vec<ValuePrint>) -> Self {
        Self {
            tool: act.tool.clone(),
            effects: act.effects.clone(),
            resources: act.resources.clone(),
            recipients: act.recipients.clone(),
            amount: act.amount,
            reads: act.reads,
            audience: audience.filter(|reach| !reach.is_nobody()).map(ReachRecord::from),
            values,
            content_bytes: act.content.iter().map(|text| text.len() as u64).sum(),
            digest: act.digest,
        }
    }

    /// How many items it reads at most.
    #[must_use]
    pub fn items(&self) -> u64 {
        items_of(&self.effects, self.reads, &self.resources)
    }
}

/// How an effect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It happened.
    Ok,
    /// It did not happen, or the tool said that it failed.
    Failed,
    /// Nobody knows; it is never silently tried again.
    Ambiguous,
}

/// An ended effect with what was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The act.
    pub decision: DecisionId,
    /// The task that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// How it ended.
    pub ended: Ended,
    /// What was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ReadRecord>,
    /// What was made, by the tool's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<ResourceId>,
    /// Values that the system of record states, by the contract's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attested: Vec<AttestedPrint>,
    /// Sets of people that are named here for the first time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetRecord>,
    /// The chain was stopped while the tool worked, so that nothing of this reached it, whatever the norms say about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

impl Observed {
    /// An effect that ended and brought nothing.
    #[must_use]
    pub fn nothing(decision: DecisionId, task: Option<TaskId>, ended: Ended) -> Self {
        Self {
            decision,
            task,
            ended,
            items: Vec::new(),
            created: Vec::new(),
            attested: Vec::new(),
            sets: Vec::new(),
            stopped: false,
        }
    }

    /// How many items the chain got, and how many were withheld from it.
    #[must_use]
    pub fn read_and_withheld(&self) -> (u64, u64) {
        let withheld = self.items.iter().filter(|item| item.withheld).count();
        ((self.items.len() - withheld) as u64, withheld as u64)
    }
}

/// A value that the system of record states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedPrint {
    /// [`crate::value::family`] of its kind.
    pub family: Arc<str>,
    /// Its print under the content key.
    #[serde(with = "crate::act::hexadecimal")]
    pub print: u64,
    /// Whether the requester's words name this very thing, by the value or by another of its names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
}

/// An item that was read, or withheld.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadRecord {
    /// Which.
    pub id: ResourceId,
    /// Its label at that moment.
    pub label: LabelRecord,
    /// What its text can be recognised by; nothing for what was withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<Arc<Sketch>>,
    /// Whether the chain did not get it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// Whether it got it without its sensitive fields.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
}

/// A call that never became an act: a bad credential, no contract, a frame that is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, as a code.
    pub code: Code,
    /// Why, for the operator.
    pub sentence: String,
    /// Who, where a verified credential said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// Which tool, where that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolId>,
}

/// A label as a record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LabelRecord {
    /// Who may have it; when that is unknown, who may have it at most.
    pub readers: ReachRecord,
    /// Whether its readers are not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// How sensitive.
    pub classification: Classification,
    /// Kinds of sensitive data.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<Arc<str>>,
    /// What it may be used for.
    #[serde(default)]
    pub purposes: Purposes,
    /// How far it is trusted.
    pub integrity: Integrity,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub origins: BTreeSet<Arc<str>>,
}

impl From<&Label> for LabelRecord {
    fn from(label: &Label) -> Self {
        Self {
            readers: ReachRecord::from(&label.readers),
            unknown: label.unknown,
            classification: label.classification,
            categories: label.categories.clone(),
            purposes: label.purposes.clone(),
            integrity: label.integrity,
            origins: label.origins.clone(),
        }
    }
}

/// A set of people, spelt out once; later records name it by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SetRecord(pub PeopleSet);

impl From<SetRecord> for String {
    fn from(record: SetRecord) -> String {
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(record.0.to_bytes())
    }
}

impl TryFrom<String> for SetRecord {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        base64::engine::general_purpose::STANDARD_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| PeopleSet::from_bytes(&bytes))
            .map(SetRecord)
            .ok_or("a set of people is base64 of a roaring bitmap")
    }
}
