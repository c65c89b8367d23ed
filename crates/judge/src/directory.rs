//! The directory: who there is, in which groups, what data there is, who may have it, and what was granted to whom.
//!
//! A [`DirectoryDocument`] is what people write down; a [`Directory`] is the same, resolved so that a decision
//! never walks a group or scans grants. Resolved sets hold active people only: who has left is in no audience.

use crate::effect::Effect;
use crate::label::{Classification, Integrity, Label, Purposes};
use crate::moment::Moment;
use crate::name::{GroupId, NameError, PrincipalId, ResourceId};
use crate::pattern::PatternMap;
use crate::reach::{PeopleSet, Reach};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How deep groups and destinations may be nested.
pub const NESTING_DEPTH_MAX: usize = 32;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Principals as dense numbers. A number, once given, keeps its principal for good, so that recorded sets stay readable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<PrincipalId>", into = "Vec<PrincipalId>")]
pub struct PrincipalTable {
    names: Vec<PrincipalId>,
    numbers: HashMap<PrincipalId, u32>,
}

impl PrincipalTable {
    fn intern(&mut self, id: &PrincipalId) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer than 2^32 principals fit in memory");
        self.names.push(id.clone());
        self.numbers.insert(id.clone(), number);
        number
    }

    /// The number of a principal that was ever in the directory.
    #[must_use]
    pub fn number(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The principal with this number.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<&PrincipalId> {
        self.names.get(number as usize)
    }
}

impl From<Vec<PrincipalId>> for PrincipalTable {
    fn from(names: Vec<PrincipalId>) -> Self {
        let mut table = Self::default();
        for name in &names {
            table.intern(name);
        }
        table
    }
}

impl From<PrincipalTable> for Vec<PrincipalId> {
    fn from(table: PrincipalTable) -> Self {
        table.names
    }
}

#[derive(Debug, Clone)]
struct ItemEntry {
    label: Arc<Label>,
    owner: Option<PrincipalId>,
}

#[derive(Debug, Clone)]
struct DestinationEntry {
    audience: Reach,
    owner: Option<PrincipalId>,
    known: bool,
}

/// Of one principal or group: kinds of grants by effect and resource.
type EffectGrants = BTreeMap<Effect, PatternMap<BTreeSet<Arc<str>>>>;

/// The directory, resolved.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    people: HashMap<PrincipalId, u32>,
    active: RoaringBitmap,
    agents: HashMap<PrincipalId, AgentRecord>,
    addresses: HashMap<String, u32>,
    groups: BTreeMap<GroupId, RoaringBitmap>,
    /// By principal: the groups they are in through any nesting, as grants name them.
    groups_of: HashMap<u32, Vec<String>>,
    groups_with_agents: BTreeSet<GroupId>,
    cleared: Vec<(u32, Classification, BTreeSet<Arc<str>>)>,
    items: PatternMap<ItemEntry>,
    destinations: PatternMap<DestinationEntry>,
    /// By whom it was given to.
    grants: HashMap<String, EffectGrants>,
    freezes: Vec<FreezeRecord>,
}

impl Directory {
    /// Resolves `document`. Principals get numbers in `table`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn resolve(document: &DirectoryDocument, table: &mut PrincipalTable) -> Result<Directory, Vec<DirectoryError>> {
        Resolver::new(document, table).run()
    }

    /// Whether this is an active person.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<u32> {
        self.people.get(id).copied().filter(|&number| self.active.contains(number))
    }

    /// Whether this person is known, here still or not.
    #[must_use]
    pub fn knows_person(&self, id: &str) -> bool {
        self.people.contains_key(id)
    }

    /// The agent's registration.
    #[must_use]
    pub fn agent(&self, id: &str) -> Option<&AgentRecord> {
        self.agents.get(id)
    }

    /// Whether this names an agent, or a group with one among its members.
    #[must_use]
    pub fn has_agents(&self, name: &str) -> bool {
        match name.strip_prefix('@') {
            Some(group) => self.groups_with_agents.contains(group),
            None => self.agents.contains_key(name),
        }
    }

    /// Everyone who is here.
    #[must_use]
    pub fn active(&self) -> &RoaringBitmap {
        &self.active
    }

    /// The label that the system of record gives this item; `None` when it does not know the item.
    #[must_use]
    pub fn label_of(&self, item: &ResourceId) -> Option<&Arc<Label>> {
        self.items.best(item.as_str()).map(|entry| &entry.label)
    }

    /// Who sees what is put into this destination; `None` when it is none.
    #[must_use]
    pub fn audience_of(&self, destination: &str) -> Option<&Reach> {
        self.destinations.best(destination).map(|entry| &entry.audience)
    }

    /// Whether the directory states a relation with this destination.
    #[must_use]
    pub fn is_established(&self, destination: &str) -> bool {
        self.destinations.best(destination).is_some_and(|entry| entry.known)
    }

    /// Who decides about this item or destination.
    #[must_use]
    pub fn owner_of(&self, resource: &str) -> Option<&PrincipalId> {
        self.items
            .best(resource)
            .and_then(|entry| entry.owner.as_ref())
            .or_else(|| self.destinations.best(resource).and_then(|entry| entry.owner.as_ref()))
    }

    /// The members of a group who are people and here.
    #[must_use]
    pub fn group(&self, id: &str) -> Option<&RoaringBitmap> {
        self.groups.get(id)
    }

    /// Who is reached by a recipient as a tool names one: a person, one of their addresses, `@group`, a destination,
    /// `public`, `external:DOMAIN`. Anything else is somebody outside, by that very text.
    #[must_use]
    pub fn reach_of_recipient(&self, recipient: &str) -> Reach {
        let recipient = recipient.trim();
        if let Some(reach) = self.reach_of_known(recipient) {
            return reach;
        }
        let lower = recipient.to_lowercase();
        let address = mail_address(&lower);
        if let Some(&number) = self.addresses.get(address) {
            let mut bits = RoaringBitmap::new();
            if self.active.contains(number) {
                bits.insert(number);
                return Reach::of_people(bits);
            }
        }
        Reach { external: BTreeSet::from([Arc::from(address)]), ..Reach::nobody() }
    }

    fn reach_of_known(&self, name: &str) -> Option<Reach> {
        if name == "public" {
            return Some(Reach::everyone());
        }
        if let Some(domain) = name.strip_prefix("external:") {
            return Some(Reach { external: BTreeSet::from([Arc::from(domain.to_lowercase())]), ..Reach::nobody() });
        }
        if let Some(group) = name.strip_prefix('@') {
            return self.groups.get(group).map(|bits| Reach::of_people(bits.clone()));
        }
        if let Some(&number) = self.people.get(name) {
            return Some(Reach::of_people(self.active.contains(number).then_some(number).into_iter().collect()));
        }
        self.audience_of(name).cloned()
    }

    /// The union of several, each as [`Self::reach_of_recipient`] reads it.
    #[must_use]
    pub fn reach_of_all<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Reach {
        names.into_iter().map(|name| self.reach_of_recipient(name)).reduce(|a, b| a.union(&b)).unwrap_or_else(Reach::nobody)
    }

    /// Everyone who may have an item with this label: its readers, and those whose clearance says so.
    /// Unknown readers are nobody.
    #[must_use]
    pub fn cleared_for(&self, label: &Label) -> Reach {
        let readers = if label.unknown { Reach::nobody() } else { label.readers.clone() };
        if readers.public || self.cleared.is_empty() {
            return readers;
        }
        let by_clearance: RoaringBitmap = self
            .cleared
            .iter()
            .filter(|(_, level, categories)| *level >= label.classification && label.categories.is_subset(categories))
            .map(|(number, ..)| *number)
            .collect();
        readers.union(&Reach::of_people(by_clearance))
    }

    /// The kinds of grant by which this principal may do this to this resource; empty when nothing is granted.
    #[must_use]
    pub fn grants(&self, principal: &PrincipalId, number: Option<u32>, effect: Effect, resource: &str) -> BTreeSet<Arc<str>> {
        let mut kinds = BTreeSet::new();
        let mut look = |subject: &str| {
            if let Some(patterns) = self.grants.get(subject).and_then(|effects| effects.get(&effect)) {
                patterns.each(resource, |found| kinds.extend(found.iter().cloned()));
            }
        };
        look(principal.as_str());
        look("public");
        for group in number.and_then(|number| self.groups_of.get(&number)).into_iter().flatten() {
            look(group);
        }
        kinds
    }

    /// Whether the principal has any grant for this effect at all, on whatever resource.
    #[must_use]
    pub fn has_any_grant(&self, principal: &PrincipalId, number: Option<u32>, effect: Effect) -> bool {
        let has = |subject: &str| self.grants.get(subject).is_some_and(|effects| effects.contains_key(&effect));
        has(principal.as_str())
            || has("public")
            || number.and_then(|number| self.groups_of.get(&number)).into_iter().flatten().any(|group| has(group))
    }

    /// Whether a freeze window is open for this resource.
    #[must_use]
    pub fn is_frozen(&self, resource: &str, moment: Moment) -> bool {
        self.freezes.iter().any(|freeze| {
            freeze.from <= moment
                && moment < freeze.until
                && freeze.on.iter().any(|pattern| crate::pattern::matches(pattern, resource))
        })
    }
}

/// The address inside `Name <address>`, else the text itself.
fn mail_address(recipient: &str) -> &str {
    match (recipient.rfind('<'), recipient.ends_with('>')) {
        (Some(open), true) => recipient[open + 1..recipient.len() - 1].trim(),
        _ => recipient,
    }
}

struct Resolver<'a> {
    document: &'a DirectoryDocument,
    table: &'a mut PrincipalTable,
    directory: Directory,
    members: BTreeMap<&'a str, RoaringBitmap>,
    specs: HashMap<&'a [String], Reach>,
    audiences: BTreeMap<&'a str, &'a DestinationRecord>,
    /// What is being resolved right now: meeting it again is a cycle.
    open: Vec<&'a str>,
    errors: Vec<DirectoryError>,
}

impl<'a> Resolver<'a> {
    fn new(document: &'a DirectoryDocument, table: &'a mut PrincipalTable) -> Self {
        Self {
            document,
            table,
            directory: Directory::default(),
            members: BTreeMap::new(),
            specs: HashMap::new(),
            audiences: document.destinations.iter().map(|record| (record.id.as_str(), record)).collect(),
            open: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Directory, Vec<DirectoryError>> {
        self.principals();
        self.groups();
        self.destinations();
        self.items();
        self.grants();
        self.directory.freezes = self.document.freezes.clone();
        if self.errors.is_empty() { Ok(self.directory) } else { Err(self.errors) }
    }

    fn principals(&mut self) {
        for person in &self.document.people {
            let number = self.table.intern(&person.id);
            if self.directory.people.insert(person.id.clone(), number).is_some() {
                self.twice("people", person.id.as_str());
            }
            if person.status == Status::Left {
                continue;
            }
            self.directory.active.insert(number);
            if let Some(level) = person.clearance {
                self.directory.cleared.push((number, level, person.categories.clone()));
            }
            for address in &person.addresses {
                if self.directory.addresses.insert(address.to_lowercase(), number).is_some() {
                    self.twice("people", address);
                }
            }
        }
        for agent in &self.document.agents {
            self.table.intern(&agent.id);
            if self.directory.people.contains_key(&agent.id)
                || self.directory.agents.insert(agent.id.clone(), agent.clone()).is_some()
            {
                self.twice("agents", agent.id.as_str());
            }
            if !self.directory.people.contains_key(&agent.owner) {
                self.unknown(format!("agents.{}.owner", agent.id), agent.owner.as_str());
            }
        }
    }

    fn groups(&mut self) {
        for id in self.document.groups.keys() {
            let all = self.members_of(id.as_str());
            for number in &all {
                self.directory.groups_of.entry(number).or_default().push(format!("@{id}"));
            }
            let numbers_agent = |number| self.table.name(number).is_some_and(|name| self.directory.agents.contains_key(name));
            if all.iter().any(numbers_agent) {
                self.directory.groups_with_agents.insert(id.clone());
            }
            self.directory.groups.insert(id.clone(), all & &self.directory.active);
        }
    }

    /// Every member through any nesting, people and agents.
    fn members_of(&mut self, group: &'a str) -> RoaringBitmap {
        if let Some(known) = self.members.get(group) {
            return known.clone();
        }
        let place = format!("groups.{group}");
        if !self.enter(&place, group) {
            return RoaringBitmap::new();
        }
        let document = self.document;
        let mut all = RoaringBitmap::new();
        for member in document.groups.get(group).into_iter().flatten() {
            match member.strip_prefix('@') {
                Some(nested) if document.groups.contains_key(nested) => {
                    all |= self.members_of(nested);
                }
                None if self.directory.people.contains_key(member.as_str())
                    || self.directory.agents.contains_key(member.as_str()) =>
                {
                    all.extend(self.table.number(member));
                }
                _ => self.unknown(place.clone(), member),
            }
        }
        self.open.pop();
        self.members.insert(group, all.clone());
        all
    }

    /// Notes that `name` is being resolved; false, with an error, when it is already or the nesting is too deep.
    fn enter(&mut self, place: &str, name: &'a str) -> bool {
        if self.open.contains(&name) || self.open.len() >= NESTING_DEPTH_MAX {
            self.errors.push(DirectoryError::Cycle { place: place.to_owned(), name: name.to_owned() });
            return false;
        }
        self.open.push(name);
        true
    }

    fn destinations(&mut self) {
        for record in &self.document.destinations {
            let place = format!("destinations.{}", record.id);
            let audience = self.reach(&place, &record.audience);
            let entry = DestinationEntry { audience, owner: record.owner.clone(), known: record.known };
            self.owner(&place, record.owner.as_ref());
            if !crate::pattern::is_valid(record.id.as_str()) {
                self.errors.push(DirectoryError::Pattern { place, pattern: record.id.to_string() });
            } else if !self.directory.destinations.insert(record.id.as_str(), entry) {
                self.twice("destinations", record.id.as_str());
            }
        }
    }

    fn items(&mut self) {
        for record in &self.document.items {
            let place = format!("items.{}", record.id);
            let readers = record.readers.as_ref().map(|spec| self.reach(&place, spec));
            let label = Label {
                unknown: readers.is_none(),
                readers: readers.unwrap_or_else(Reach::everyone),
                classification: record.classification,
                categories: record.categories.clone(),
                purposes: record.purposes.clone().map_or(Purposes::Any, Purposes::Only),
                integrity: record.integrity,
                origins: BTreeSet::new(),
            };
            self.owner(&place, record.owner.as_ref());
            let entry = ItemEntry { label: Arc::new(label), owner: record.owner.clone() };
            if !crate::pattern::is_valid(record.id.as_str()) {
                self.errors.push(DirectoryError::Pattern { place, pattern: record.id.to_string() });
            } else if !self.directory.items.insert(record.id.as_str(), entry) {
                self.twice("items", record.id.as_str());
            }
        }
    }

    fn grants(&mut self) {
        for (at, grant) in self.document.grants.iter().enumerate() {
            let place = format!("grants[{at}]");
            let known = match grant.to.strip_prefix('@') {
                Some(group) => self.document.groups.contains_key(group),
                None => {
                    grant.to == "public"
                        || self.directory.people.contains_key(grant.to.as_str())
                        || self.directory.agents.contains_key(grant.to.as_str())
                }
            };
            if !known {
                self.unknown(place.clone(), &grant.to);
            }
            let kind: Arc<str> = Arc::from(grant.kind.as_str());
            for pattern in &grant.on {
                if !crate::pattern::is_valid(pattern) {
                    self.errors.push(DirectoryError::Pattern { place: place.clone(), pattern: pattern.clone() });
                    continue;
                }
                for effect in &grant.may {
                    self.directory
                        .grants
                        .entry(grant.to.clone())
                        .or_default()
                        .entry(*effect)
                        .or_default()
                        .entry(pattern)
                        .insert(kind.clone());
                }
            }
        }
    }

    /// Resolves a list of readers or an audience.
    fn reach(&mut self, place: &str, spec: &'a [String]) -> Reach {
        if let Some(known) = self.specs.get(spec) {
            return known.clone();
        }
        let mut people = RoaringBitmap::new();
        let mut reach = Reach::nobody();
        for name in spec {
            let known = if let Some(group) = name.strip_prefix('@') {
                self.directory.groups.get(group).map(|bits| people |= bits)
            } else if name == "public" {
                reach.public = true;
                Some(())
            } else if let Some(domain) = name.strip_prefix("external:") {
                reach.external.insert(Arc::from(domain.to_lowercase()));
                Some(())
            } else if let Some(&number) = self.directory.people.get(name.as_str()) {
                if self.directory.active.contains(number) {
                    people.insert(number);
                }
                Some(())
            } else if self.directory.agents.contains_key(name.as_str()) {
                // An agent sees nothing for itself: what it reads is seen by whoever it acts for.
                Some(())
            } else if let Some(record) = self.audiences.get(name.as_str()).copied() {
                if self.enter(place, record.id.as_str()) {
                    let nested = self.reach(place, &record.audience);
                    self.open.pop();
                    people |= nested.people.bits();
                    reach.public |= nested.public;
                    reach.external.extend(nested.external);
                }
                Some(())
            } else {
                None
            };
            if known.is_none() {
                self.unknown(place.to_owned(), name);
            }
        }
        reach.people = PeopleSet::new(people);
        self.specs.insert(spec, reach.clone());
        reach
    }

    fn owner(&mut self, place: &str, owner: Option<&PrincipalId>) {
        if let Some(owner) = owner.filter(|owner| !self.directory.people.contains_key(*owner)) {
            self.unknown(format!("{place}.owner"), owner.as_str());
        }
    }

    fn twice(&mut self, place: &str, id: &str) {
        self.errors.push(DirectoryError::Twice { place: place.to_owned(), id: id.to_owned() });
    }

    fn unknown(&mut self, place: String, name: &str) {
        self.errors.push(DirectoryError::Unknown { place, name: name.to_owned() });
    }
}
