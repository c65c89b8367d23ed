//! What people write down: the directory as a document, and changes of it, one by one.
//!
//! A change is the same thing wherever it comes from: a line of an import, a SCIM request, an edited configuration, or something that is
//! only proposed and looked at before it happens ([`crate::preview`]).

use crate::effect::Effect;
use crate::label::{Classification, Integrity};
use crate::moment::Moment;
use crate::name::{GroupId, NameError, PrincipalId, ResourceId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How deep groups and destinations may be nested.
pub const NESTING_DEPTH_MAX: usize = 32;
/// The longest profile, in bytes.
pub const PROFILE_BYTES_MAX: usize = 64 << 10;
/// How many attributes a person has at most, and how many values each.
pub const ATTRIBUTES_MAX: usize = 64;
/// The longest name or value of an attribute, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 512;
/// How many purposes, tools, keys or clients an agent is registered for at most, each.
pub const REGISTRATION_NAMES_MAX: usize = 256;
/// The longest of them, and the longest word of a [`Mark`], in bytes.
pub const REGISTRATION_NAME_BYTES_MAX: usize = 512;
/// How many rules give clearance at most: each is looked at for every person.
pub const CLEARANCE_RULES_MAX: usize = 256;

/// Whether a person still belongs to the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Yes.
    #[default]
    Active,
    /// No: they are in no audience, and agents that they own have nobody to answer for them.
    Left,
}

impl Status {
    /// Whether it is [`Status::Active`].
    #[must_use]
    pub fn is_active(&self) -> bool {
        *self == Self::Active
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRecord {
    /// Who.
    pub id: PrincipalId,
    /// Mail addresses and other handles by which tools name this person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The level up to which they are cleared; without one, only named readers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearance: Option<Classification>,
    /// The categories they are cleared for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<Arc<str>>,
    /// Still here?
    #[serde(default)]
    pub status: Status,
    /// What clearance by rule looks at: the department, the title, roles.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// The name by which a provisioning service knows them, where it is another than `id`: nobody else's, whatever its case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Arc<str>>,
    /// What a provisioning service wants kept: JSON that nothing here reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Arc<str>>,
}

impl PersonRecord {
    /// Somebody who is here, of whom nothing else is known.
    #[must_use]
    pub fn new(id: PrincipalId) -> Self {
        Self {
            id,
            addresses: Vec::new(),
            clearance: None,
            categories: BTreeSet::new(),
            status: Status::Active,
            attributes: Attributes::default(),
            handle: None,
            profile: None,
        }
    }
}

/// A person's attributes: each with its values, as the directory that they come from has them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(pub BTreeMap<Arc<str>, Values>);

impl Attributes {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the attribute's values is this one, letter by letter.
    #[must_use]
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|values| values.0.contains(value))
    }
}

/// The values of an attribute; one alone is written as itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "OneOrMany", into = "OneOrMany")]
pub struct Values(pub BTreeSet<Arc<str>>);

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Arc<str>),
    Many(BTreeSet<Arc<str>>),
}

impl From<OneOrMany> for Values {
    fn from(read: OneOrMany) -> Self {
        match read {
            OneOrMany::One(value) => Self(BTreeSet::from([value])),
            OneOrMany::Many(values) => Self(values),
        }
    }
}

impl From<Values> for OneOrMany {
    fn from(values: Values) -> Self {
        let mut all = values.0.iter();
        match (all.next(), all.next()) {
            (Some(only), None) => Self::One(only.clone()),
            _ => Self::Many(values.0),
        }
    }
}

/// Clearance that follows from attributes. All rules that match a person are joined with what the person has by themselves: the
/// highest level, and all categories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearanceRule {
    /// Attributes that the person must have with this value, all of them.
    pub when: BTreeMap<Arc<str>, Arc<str>>,
    /// The level up to which they are cleared. Left out: only what else clears them counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Classification>,
    /// The categories they are cleared for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<Arc<str>>,
}

impl ClearanceRule {
    /// Whether it speaks of this person.
    #[must_use]
    pub fn matches(&self, person: &PersonRecord) -> bool {
        self.when.iter().all(|(name, value)| person.attributes.has(name, value))
    }
}

/// An agent: registered, with somebody who answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRecord {
    /// Which.
    pub id: PrincipalId,
    /// The person who answers for it.
    pub owner: PrincipalId,
    /// What it is for.
    #[serde(default)]
    pub purpose: String,
    /// In use? What is not is as if it were not registered.
    #[serde(default, skip_serializing_if = "Status::is_active")]
    pub status: Status,
    /// Under which terms it is registered.
    #[serde(default, skip_serializing_if = "Registration::is_open")]
    pub registration: Registration,
    /// As [`PersonRecord::handle`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Arc<str>>,
    /// As [`PersonRecord::profile`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Arc<str>>,
}

/// The terms of an agent's registration. What is left out bounds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    /// The person who vouched for it beside its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<PrincipalId>,
    /// The purposes for which tasks may be started with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purposes: Option<BTreeSet<Arc<str>>>,
    /// The most that a task of it may name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effects: Option<BTreeSet<Effect>>,
    /// The tools that it may use, as names and patterns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeSet<Arc<str>>>,
    /// The keys that it may prove itself with, by thumbprint (RFC 7638). A call that proves none is not one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<BTreeSet<Arc<str>>>,
    /// The clients through which it may get credentials (RFC 6749, section 2); the agent's own name where it is its own client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<BTreeSet<Arc<str>>>,
    /// Until then; afterwards its owner has to earn it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Moment>,
    /// How often it usually does something, by effect, per hour. What is not stated is learnt from what it did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub usual: BTreeMap<Effect, u64>,
    /// Who registered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<Mark>,
    /// Who last looked at what it did, and renewed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<Mark>,
    /// Who suspended it: as long as this stands it is as if it were not registered, whatever a provisioning service says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Mark>,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Who.
    pub by: PrincipalId,
    /// When.
    pub at: Moment,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Registration {
    /// Whether it bounds nothing.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Whether its lease has run out at `moment`.
    #[must_use]
    pub fn is_over(&self, moment: Moment) -> bool {
        self.ends.is_some_and(|ends| moment >= ends)
    }

    /// Everything in it that is a list of names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &BTreeSet<Arc<str>>> {
        [&self.purposes, &self.tools, &self.keys, &self.clients].into_iter().flatten()
    }
}

impl AgentRecord {
    /// An agent in use, of which nothing else is known.
    #[must_use]
    pub fn new(id: PrincipalId, owner: PrincipalId) -> Self {
        Self {
            id,
            owner,
            purpose: String::new(),
            status: Status::Active,
            registration: Registration::default(),
            handle: None,
            profile: None,
        }
    }

    /// Whether it may be used at all: nobody took it out of use, and nobody suspended it.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.status.is_active() && self.registration.suspended.is_none()
    }

    /// Whether this person answers for it: as its owner, or as its sponsor.
    #[must_use]
    pub fn is_answered_for_by(&self, person: &PrincipalId) -> bool {
        self.owner == *person || self.registration.sponsor.as_ref() == Some(person)
    }
}

/// Data with its access list and classification, as the system of record has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemRecord {
    /// Which; a name, or a pattern ending in `*`.
    pub id: ResourceId,
    /// Who may have it: people, `@groups`, `public`, `external:DOMAIN`, destinations. Left out: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<Vec<String>>,
    /// How sensitive.
    #[serde(default)]
    pub classification: Classification,
    /// Kinds of sensitive data.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<Arc<str>>,
    /// What it may be used for. Left out: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purposes: Option<BTreeSet<Arc<str>>>,
    /// How far it is trusted.
    #[serde(default)]
    pub integrity: Integrity,
    /// Who decides about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PrincipalId>,
    /// The destination it stands in (a post in a channel): those who see that, see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ResourceId>,
}

/// Whatever an act makes data visible to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationRecord {
    /// Which; a name, or a pattern ending in `*`.
    pub id: ResourceId,
    /// Who sees what is put there: people, `@groups`, `public`, `external:DOMAIN`, other destinations.
    pub audience: Vec<String>,
    /// Who decides about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PrincipalId>,
    /// An established relation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
}

/// What plain access control allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRecord {
    /// A principal, a `@group`, or `public` for everyone.
    pub to: String,
    /// The effects.
    pub may: BTreeSet<Effect>,
    /// Resources: names, or patterns ending in `*`.
    pub on: Vec<String>,
    /// Which permit policy carries it (`context.grants` holds this word). Left out: `standing`.
    #[serde(default = "standing", skip_serializing_if = "is_standing")]
    pub kind: String,
}

/// The kind of a grant that holds whenever it matches.
pub const STANDING: &str = "standing";
fn standing() -> String {
    STANDING.to_owned()
}
fn is_standing(kind: &str) -> bool {
    kind == STANDING
}

/// A time in which nothing irreversible and no change happens without a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeRecord {
    /// Resources: names, or patterns ending in `*`.
    pub on: Vec<String>,
    /// From this moment.
    pub from: Moment,
    /// Until this moment.
    pub until: Moment,
}

/// The directory as people write it down.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirectoryDocument {
    /// People.
    pub people: Vec<PersonRecord>,
    /// Groups: members are people, agents, and `@groups`.
    pub groups: BTreeMap<GroupId, Vec<String>>,
    /// Agents.
    pub agents: Vec<AgentRecord>,
    /// Items.
    pub items: Vec<ItemRecord>,
    /// Destinations.
    pub destinations: Vec<DestinationRecord>,
    /// Grants.
    pub grants: Vec<GrantRecord>,
    /// Freeze windows.
    pub freezes: Vec<FreezeRecord>,
    /// Clearance by rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clearance: Vec<ClearanceRule>,
    /// The organisation's own domains, of mail and of the web; what is below one of them is its own too.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub domains: BTreeSet<String>,
    /// Established relations: whom and what people have dealt with before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<RelationRecord>,
}

/// An established relation: a counterpart, a destination or a thing that a person has dealt with before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationRecord {
    /// Whose.
    pub of: PrincipalId,
    /// What kind of value: `recipient`, `account`, `url`, …
    pub kind: Arc<str>,
    /// The value.
    pub value: String,
    /// The most that was paid, in the unit of the amounts that contracts report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
}

/// One change of the directory. In a batch, what is put comes before what is removed; apart from that the order counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DirectoryChange {
    /// A person, new or in place of what was known of them.
    PutPerson(PersonRecord),
    /// A person who is no longer known at all. Who leaves is put with another status instead.
    RemovePerson {
        /// Who.
        id: PrincipalId,
    },
    /// An agent, new or in place of what was registered.
    PutAgent(Box<AgentRecord>),
    /// An agent that is no longer registered.
    RemoveAgent {
        /// Which.
        id: PrincipalId,
    },
    /// A group, new or with other members than before. What [`Self::DescribeGroup`] said of it stays.
    PutGroup {
        /// Which.
        id: GroupId,
        /// People, agents and `@groups`.
        #[serde(default)]
        members: Vec<String>,
        /// Who decides about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<PrincipalId>,
    },
    /// What a provisioning service wants kept of a group, in place of what it was.
    DescribeGroup {
        /// Of which group.
        group: GroupId,
        /// As [`PersonRecord::profile`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<Arc<str>>,
    },
    /// A group that is no more. It may not be named by anything any longer.
    RemoveGroup {
        /// Which.
        id: GroupId,
    },
    /// More members.
    AddMembers {
        /// Of which group.
        group: GroupId,
        /// People, agents and `@groups`.
        members: Vec<String>,
    },
    /// Fewer members.
    RemoveMembers {
        /// Of which group.
        group: GroupId,
        /// People, agents and `@groups`; who is no member stays none.
        members: Vec<String>,
    },
    /// An item, new or in place of what was known of it.
    PutItem(ItemRecord),
    /// An item that is no more.
    RemoveItem {
        /// Which.
        id: ResourceId,
    },
    /// Other readers.
    SetReaders {
        /// Of which item.
        item: ResourceId,
        /// As in [`ItemRecord::readers`].
        readers: Vec<String>,
    },
    /// More readers. Unknown readers stay unknown.
    AddReaders {
        /// Of which item.
        item: ResourceId,
        /// As in [`ItemRecord::readers`].
        readers: Vec<String>,
    },
    /// Fewer readers.
    RemoveReaders {
        /// Of which item.
        item: ResourceId,
        /// As in [`ItemRecord::readers`]; who is no reader stays none.
        readers: Vec<String>,
    },
    /// A destination, new or in place of what was known of it.
    PutDestination(DestinationRecord),
    /// A destination that is no more. It may not be named by anything any longer.
    RemoveDestination {
        /// Which.
        id: ResourceId,
    },
    /// Another audience.
    SetAudience {
        /// Of which destination.
        destination: ResourceId,
        /// As in [`DestinationRecord::audience`].
        audience: Vec<String>,
    },
    /// A larger audience.
    AddAudience {
        /// Of which destination.
        destination: ResourceId,
        /// As in [`DestinationRecord::audience`].
        audience: Vec<String>,
    },
    /// A smaller audience.
    RemoveAudience {
        /// Of which destination.
        destination: ResourceId,
        /// As in [`DestinationRecord::audience`]; who is not in it stays out.
        audience: Vec<String>,
    },
    /// A grant.
    PutGrant(GrantRecord),
    /// A grant that is no more.
    RemoveGrant(GrantRecord),
}

/// What is wrong in a directory document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The same identifier twice.
    #[error("{place}: `{id}` is there twice")]
    Twice {
        /// Where.
        place: String,
        /// What.
        id: String,
    },
    /// Something names nobody and nothing.
    #[error("{place}: `{name}` is no person, agent, @group or destination of this directory")]
    Unknown {
        /// Where.
        place: String,
        /// What.
        name: String,
    },
    /// A group or destination contains itself, or is nested too deep.
    #[error("{place}: `{name}` contains itself, or is nested more than {NESTING_DEPTH_MAX} deep")]
    Cycle {
        /// Where.
        place: String,
        /// What.
        name: String,
    },
    /// Something is to be changed or removed that is not there.
    #[error("{place}: there is no such thing to change or remove")]
    Absent {
        /// What.
        place: String,
    },
    /// Something is to be removed that is still named elsewhere.
    #[error("{place}: still named by {by}; take it out there first")]
    InUse {
        /// What.
        place: String,
        /// By what, the first that was found.
        by: String,
    },
    /// The configuration states it, so it is changed there.
    #[error("{place}: the configuration file states this; change it there")]
    Declared {
        /// What.
        place: String,
    },
    /// Too long, too many, or without meaning.
    #[error("{place}: {why}")]
    Unfit {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// A star anywhere but at the end.
    #[error("{place}: `{pattern}`: a `*` may only stand at the end")]
    Pattern {
        /// Where.
        place: String,
        /// What.
        pattern: String,
    },
    /// Not a name.
    #[error("{place}: {error}")]
    Name {
        /// Where.
        place: String,
        /// Why.
        error: NameError,
    },
}
