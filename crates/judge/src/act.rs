//! Acts and observations: a tool call, and its result, after the contract was applied.
//!
//! Nothing here comes from the agent's word: a contract said which argument is what.

use crate::digest::Digest;
use crate::effect::Effect;
use crate::label::{Classification, Integrity};
use crate::name::{DecisionId, PrincipalId, ResourceId, ToolId};
use crate::provenance::Origin;
use crate::task::Caller;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many resources one act may name.
pub const RESOURCES_MAX: usize = 1_000;
/// How many items one observation may hold.
pub const ITEMS_MAX: usize = 10_000;

/// What stands before the colon in the name of the rest of a result: what no item of its contract selects.
pub const REST: &str = "result";

/// A consequential value: a recipient, an account, a URL, a path, an id, an amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// What kind of value: `recipient`, `account`, `url`, `channel`, `file`, `event`, …
    pub kind: Arc<str>,
    /// The value itself.
    pub text: String,
}

/// A value as a record keeps it: what tells it from others under the organisation's key, and where it was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuePrint {
    /// [`crate::value::family`] of its kind.
    pub family: Arc<str>,
    /// Its print under the content key.
    #[serde(with = "hexadecimal")]
    pub print: u64,
    /// Where it was chosen.
    pub origin: Origin,
}

/// Prints in JSON: sixteen hexadecimal digits, because not every reader of JSON has whole numbers of 64 bits.
pub(crate) mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
    use std::borrow::Cow;

    pub(crate) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{number:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(|_| D::Error::custom("expected hexadecimal digits"))
    }
}

/// A value in a field of a result that the system of record fills, by the contract's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The value.
    pub value: Value,
    /// What the same thing is called otherwise: an event by its title, a file by its name.
    pub names: Vec<String>,
}

/// A change of who may see or do something.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Readers that are added to the resource.
    pub add_readers: Vec<String>,
    /// Readers that are taken away.
    pub remove_readers: Vec<String>,
    /// Members that are added to the group or channel.
    pub add_members: Vec<String>,
    /// Members that are taken away.
    pub remove_members: Vec<String>,
    /// The audience that replaces the present one.
    pub audience: Option<Vec<String>>,
}

/// What an enforcement point states of a question beside its names, each as `name=value`. Permit policies may speak of it; what it says is
/// as good as the enforcement point that says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stated {
    /// Of the one who acts.
    pub subject: BTreeSet<Arc<str>>,
    /// Of how it is done.
    pub action: BTreeSet<Arc<str>>,
    /// Of what it is done to.
    pub resource: BTreeSet<Arc<str>>,
}

impl Stated {
    /// Whether nothing is stated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { subject, action, resource } = self;
        subject.is_empty() && action.is_empty() && resource.is_empty()
    }
}

/// What is about to be done.
#[derive(Clone, PartialEq, Eq)]
pub struct Act {
    /// With which tool.
    pub tool: ToolId,
    /// What it does.
    pub effects: BTreeSet<Effect>,
    /// To what.
    pub resources: Vec<ResourceId>,
    /// Named recipients.
    pub recipients: Vec<String>,
    /// All text that leaves by it: every string of every argument that is not known to be something else.
    pub content: Vec<String>,
    /// Its consequential values.
    pub values: Vec<Value>,
    /// Money, in the unit of the contract.
    pub amount: Option<u64>,
    /// How many items it reads at most, where the call says so (a page size); `None`: one for each thing that it names.
    pub reads: Option<u64>,
    /// Who may newly see or do something.
    pub change: Option<Change>,
    /// The act whose words this one rests on.
    pub because: Option<DecisionId>,
    /// What an enforcement point says beside it; nothing for a tool call.
    pub stated: Stated,
    /// Digest over the canonical JSON (RFC 8785) of the exact call: what an approval and a permit bind to.
    pub digest: Digest,
}

impl Act {
    /// An act that reaches nobody, carries nothing out and costs nothing. What reads a call fills in every field instead, so that a new one is not
    /// forgotten there.
    #[must_use]
    pub fn new(tool: ToolId, effects: BTreeSet<Effect>, resources: Vec<ResourceId>, digest: Digest) -> Self {
        Self {
            tool,
            effects,
            resources,
            recipients: Vec::new(),
            content: Vec::new(),
            values: Vec::new(),
            amount: None,
            reads: None,
            change: None,
            because: None,
            stated: Stated::default(),
            digest,
        }
    }

    /// How many items it would read at most: what the call says, else one for each thing that it names.
    #[must_use]
    pub fn items(&self) -> u64 {
        items_of(&self.effects, self.reads, &self.resources)
    }
}

/// How many items an act with these effects reads at most.
pub(crate) fn items_of(effects: &BTreeSet<Effect>, reads: Option<u64>, resources: &[ResourceId]) -> u64 {
    if effects.contains(&Effect::Read) { reads.unwrap_or_else(|| reads_of(resources)) } else { 0 }
}

/// How many things an act is about: at least one.
pub(crate) fn reads_of(resources: &[ResourceId]) -> u64 {
    (resources.len() as u64).max(1)
}

impl std::fmt::Debug for Act {
    /// Arguments are secrets until labelled otherwise: content and values are shown by size only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Act")
            .field("tool", &self.tool)
            .field("effects", &self.effects)
            .field("resources", &self.resources)
            .field("recipients", &self.recipients.len())
            .field("content_bytes", &self.content.iter().map(String::len).sum::<usize>())
            .field("values", &self.values.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// What a contract or a result says of an item's label. From a contract it is a statement; from a result it may only tighten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelSpec {
    /// Who may have it.
    pub readers: Option<Vec<String>>,
    /// How sensitive.
    pub classification: Option<Classification>,
    /// Kinds of sensitive data.
    pub categories: BTreeSet<Arc<str>>,
    /// What it may be used for.
    pub purposes: Option<BTreeSet<Arc<str>>>,
    /// How far it is trusted.
    pub integrity: Option<Integrity>,
}

/// An item of a result.
#[derive(Clone, PartialEq, Eq)]
pub struct ObservedItem {
    /// Which; labels of the directory are looked up by it.
    pub id: ResourceId,
    /// Its text: every string of the part of the result that is this item.
    pub text: String,
    /// The destination it stands in (a post in a forum): those who see that may have it.
    pub container: Option<ResourceId>,
    /// What the contract says where the directory does not know the item.
    pub otherwise: Option<LabelSpec>,
    /// What the result says about itself: it may only tighten.
    pub claimed: Option<LabelSpec>,
    /// Set where `id` or `container` is not taken from the call: such a name may only tighten as well.
    pub chosen: Option<Arc<Chosen>>,
    /// Whether the contract says which of its fields are sensitive, so that it can be shown without them.
    pub maskable: bool,
}

impl ObservedItem {
    /// An item of which nobody says anything but its id.
    #[must_use]
    pub fn new(id: ResourceId, text: String) -> Self {
        Self { id, text, container: None, otherwise: None, claimed: None, chosen: None, maskable: false }
    }
}

/// Who chose the name of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The call: its arguments name what is read.
    Call,
    /// The contract, for a part that always has this name.
    Contract,
    /// The server, in the result.
    Server,
}

/// Who chose the names of an item, and what the call itself names. A server that answers for one thing under the name of another must not
/// choose its label by that: the item is never labelled more loosely than what the call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Who chose the item's name.
    pub id: NamedBy,
    /// Who chose its container's name.
    pub container: NamedBy,
    /// What the arguments of the call name; nothing for a search.
    pub named: Vec<ResourceId>,
    /// What the contract says of those that the directory does not know.
    pub otherwise: Option<LabelSpec>,
}

/// A tool's result, after its contract was applied.
#[derive(Clone, PartialEq, Eq)]
pub struct Observation {
    /// By whom and for which task.
    pub caller: Caller,
    /// The act that this is the result of.
    pub decision: DecisionId,
    /// What was read.
    pub items: Vec<ObservedItem>,
    /// What the act made, by the tool's own word: it inherits the act's label.
    pub created: Vec<ResourceId>,
    /// Values that the system of record states.
    pub attested: Vec<Attested>,
}

/// The chain's person: the first link.
#[must_use]
pub fn person_of(caller: &Caller) -> Option<&PrincipalId> {
    caller.chain.first()
}
