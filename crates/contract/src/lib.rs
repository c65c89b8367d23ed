//! A tool call read the way its contract says: arguments become an [`judge::act::Act`], a result becomes labelled items.
//!
//! A contract is written outside the agent and outside the tool, and reviewed by a person; neither the model's payload nor the server's
//! word can loosen what it says. The crate is pure: it knows a contract, a JSON value and judge's types, and never an agent, the
//! network, a clock or a store.
//!
//! Where to start: [`Contracts::parse`], then [`Tool::act`] on the way out, and [`Tool::observe`] and [`ReadResult::withhold`] on the way back.

mod accept;
mod call;
mod definition;
mod draft;
mod format;
mod layout;
mod propose;
mod reads;
mod source;
mod strict;
#[cfg(test)]
mod tests;
mod withhold;
mod words;

pub use accept::{AcceptError, Acceptance, accept};
pub use call::{ARGUMENT_DEPTH_MAX, ARGUMENT_LEAVES_MAX, CallError, RECIPIENTS_MAX};
pub use definition::{Standing, definition_digest, diff};
pub use draft::draft;
pub use format::{CONTRACT_BYTES_MAX, ContractError};
pub use layout::ReadResult;
pub use propose::{Names, Proposal, propose};
pub use strict::strict_json;
pub use withhold::{MASKED, Redaction};

use judge::act::{LabelSpec, NamedBy};
use judge::digest::Digest;
use judge::effect::Effect;
use judge::name::ResourceId;
use source::{Source, UriPattern};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one upstream's tools and resources do, as a person reviewed it.
#[derive(Debug)]
pub struct Contracts {
    upstream: Arc<str>,
    tools: BTreeMap<String, Tool>,
    /// Longest pattern first: the most specific one speaks.
    resources: Vec<Resource>,
}

impl Contracts {
    /// Reads a contract file.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once, each with its place.
    pub fn parse(upstream: &str, text: &str) -> Result<Self, Vec<ContractError>> {
        format::parse(upstream, text)
    }

    /// A contract file that says nothing: every tool is unknown, and refused.
    #[must_use]
    pub fn none(upstream: &str) -> Self {
        Self { upstream: upstream.into(), tools: BTreeMap::new(), resources: Vec::new() }
    }

    /// Which server these are for.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// The contract of the tool that its server calls `name`.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Every tool, by name.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }

    /// Whether the definition that the server shows now is the one that was accepted.
    #[must_use]
    pub fn check(&self, definition: &serde_json::Value) -> Standing {
        definition::check(self, definition)
    }

    /// The contract that speaks for this resource URI: of those that match, the one with the longest fixed part.
    #[must_use]
    pub fn resource(&self, uri: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.uri.matches(uri))
    }

    /// Where these contracts rely on names that the server chooses in a result, in words. Such a name cannot loosen anything; where the call
    /// names nothing either, as in a search, the label is that of whatever the server says it is.
    pub fn server_named(&self) -> impl Iterator<Item = String> {
        self.tools.values().flat_map(|tool| {
            let is_named = tool.resources.iter().any(|source| source.named_by() != NamedBy::Contract);
            let bound = if is_named {
                "held to what the call names at least"
            } else {
                "the call names nothing, so that it is labelled as what the server says it is"
            };
            tool.result.items.iter().enumerate().flat_map(move |(index, item)| {
                let named = |what: &str, source: &Source| {
                    let path = source.written();
                    format!("tool `{}`, item {}: the server chooses the {what} (`{path}`): {bound}", tool.name, index + 1)
                };
                let id = (item.id.named_by() == NamedBy::Server).then(|| named("id", &item.id));
                let container = item.container.as_ref().filter(|source| source.named_by() == NamedBy::Server);
                id.into_iter().chain(container.map(|source| named("container", source)))
            })
        })
    }

    /// What a `resources/read` of any of this upstream's resources is called where a tool is meant.
    #[must_use]
    pub fn resource_tool_name(&self) -> String {
        format!("{}__resources/read", self.upstream)
    }
}

/// The contract of one tool, compiled.
#[derive(Debug)]
pub struct Tool {
    name: String,
    effects: BTreeSet<Effect>,
    arguments: BTreeSet<String>,
    resources: Vec<Source>,
    recipients: Vec<Source>,
    values: Vec<(Arc<str>, Source)>,
    amount: Option<Amount>,
    reads: Option<Reads>,
    change: Option<ChangeSources>,
    result: ResultContract,
    pin: Option<Digest>,
    /// Digests of the parts of the pinned definition: they only serve to say what changed.
    parts: BTreeMap<String, String>,
    accepted_at: Option<String>,
    accepted_by: Option<String>,
    about: Option<String>,
}

impl Tool {
    /// The name that its server gives it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    #[must_use]
    pub fn effects(&self) -> &BTreeSet<Effect> {
        &self.effects
    }

    /// Whether a person accepted it: it has a pin, and says when and by whom.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.pin.is_some() && self.accepted_at.is_some() && self.accepted_by.is_some()
    }

    /// What it does, in a sentence, as whoever accepted it read it.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// What stands before the argument in the names of what it is done to: `channel:` of `channel:{}`.
    pub(crate) fn resource_prefixes(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().filter(|source| source.constant().is_none()).filter_map(|source| source.template_prefix())
    }

    /// Whether the contract says what it is done to.
    #[must_use]
    pub fn names_resources(&self) -> bool {
        !self.resources.is_empty()
    }

    /// Whether the call chooses what it is done to, or a part of it.
    #[must_use]
    pub fn chooses_resources(&self) -> bool {
        self.resources.iter().any(|source| source.constant().is_none())
    }

    /// Resources that the contract names whatever the arguments are: what a list of tools can be filtered by.
    pub fn fixed_resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().filter_map(Source::constant)
    }
}

/// The contract of resources with URIs of one pattern.
#[derive(Debug)]
pub struct Resource {
    uri: UriPattern,
    item: String,
    is_path: bool,
    label: Option<LabelSpec>,
    accepted_at: Option<String>,
    accepted_by: Option<String>,
}

impl Resource {
    /// Whether a person accepted it.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.accepted_at.is_some() && self.accepted_by.is_some()
    }
}

#[derive(Debug)]
struct Amount {
    source: Source,
    /// Digits after the point that make the minor unit: 2 for cents.
    decimals: u32,
}

/// Where a call says how many items it reads at most, in whole numbers.
#[derive(Debug)]
struct Reads {
    /// The names that lead to it in the arguments, the outermost first; never none.
    at: Vec<String>,
    /// What the server takes where nothing is said.
    otherwise: Option<u64>,
    /// What it gives at most, however much is asked for.
    max: Option<u64>,
}

#[derive(Debug, Default)]
struct ChangeSources {
    add_readers: Vec<Source>,
    remove_readers: Vec<Source>,
    add_members: Vec<Source>,
    remove_members: Vec<Source>,
    audience: Vec<Source>,
}

#[derive(Debug)]
struct ResultContract {
    items: Vec<ItemContract>,
    /// The label of what no item selects.
    label: Option<LabelSpec>,
    created: Vec<Source>,
    /// Fields that the system of record fills.
    attested: Vec<AttestedContract>,
    /// What the rest is called.
    rest: ResourceId,
}

/// A field of a result that the system of record fills, and not whoever may write text into it.
#[derive(Debug)]
struct AttestedContract {
    /// What the value and its names are looked for in.
    at: serde_json_path::JsonPath,
    kind: Arc<str>,
    /// The value; what `at` selects itself where it is left out.
    value: Option<Source>,
    /// What the same thing is called otherwise.
    names: Vec<Source>,
    parts: Parts,
}

/// What of a selected part is the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// All of it.
    Whole,
    /// The names of its members.
    Members,
    /// Each of its lines, without a heading before a colon on the first.
    Lines,
}

#[derive(Debug)]
struct ItemContract {
    at: serde_json_path::JsonPath,
    id: Source,
    container: Option<Source>,
    label: Option<LabelSpec>,
    claims: Claims,
    /// Its sensitive fields: without them it may be shown where a norm says so.
    mask: Vec<serde_json_path::JsonPath>,
}

impl ItemContract {
    /// Who chooses the names of the item, and of its container.
    fn named_by(&self) -> (NamedBy, NamedBy) {
        (self.id.named_by(), self.container.as_ref().map_or(NamedBy::Call, Source::named_by))
    }
}

/// Where a part of a result says something about its own label. Such words may only tighten.
#[derive(Debug, Default)]
struct Claims {
    readers: Option<Source>,
    classification: Option<Source>,
    categories: Option<Source>,
    purposes: Option<Source>,
    integrity: Option<Source>,
}

impl Claims {
    fn is_empty(&self) -> bool {
        [&self.readers, &self.classification, &self.categories, &self.purposes, &self.integrity].into_iter().all(Option::is_none)
    }
}
