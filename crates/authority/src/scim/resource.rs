//! Between the directory and SCIM: a person, a group or an agent as a resource, and a resource as the changes that make it so.
//!
//! The directory keeps what decisions need: who is here, addresses, attributes, members, owners. What a client sent beside that is kept
//! with the record as its profile, and given back as it came. What the configuration or an import states is shown as well.

use judge::digest::Digest;
use judge::directory::{
    AgentRecord, Attributes, Directory, DirectoryChange, GroupView, PROFILE_BYTES_MAX, PersonRecord, Registration, Status, Values,
};
use judge::moment::Moment;
use judge::name::{GroupId, PrincipalId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use roaring::RoaringBitmap;
use scim_v2::filter::{AttrExp, CompValue, CompareOp, ValFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::time::rfc3339;

use super::error::{Refusal, ScimType};
use super::filter::{holds_for, value_terms};
use super::patch::MemberEdit;
use super::query::COMPARISONS_MAX;
use super::schema::{ENTERPRISE, Kind, Part};

/// The longest id that is made of a name: it has to fit into tokens.
const ID_BYTES_MAX: usize = 256;
/// How much of a digest makes a version, in hexadecimal characters.
const VERSION_CHARS: usize = 32;
/// The core attributes of a user that clearance by rule may look at.
const CORE_ATTRIBUTES: [&str; 4] = ["title", "userType", "roles", "entitlements"];
/// Those of the enterprise extension.
const ENTERPRISE_ATTRIBUTES: [&str; 5] = ["department", "division", "costCenter", "organization", "employeeNumber"];
/// What stands as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// What is kept of a resource beside its record.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Profile {
    /// When it was made, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
    /// When it changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<u64>,
    /// The client deleted it, and something else still names it: it is nobody's any more, and is not shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// What the client sent.
    #[serde(default)]
    resource: Map<String, Value>,
}

/// How the profile of something deleted begins, so that a list need not be parsed to leave it out.
const DELETED: &str = r#"{"deleted":true,"#;

fn is_deleted(profile: Option<&str>) -> bool {
    profile.is_some_and(|profile| profile.starts_with(DELETED))
}

/// The profile of something deleted.
fn deleted() -> Arc<str> {
    format!("{DELETED}\"resource\":{{}}}}").into()
}

fn read_profile(profile: Option<&str>) -> Option<Profile> {
    profile.and_then(|profile| serde_json::from_str(profile).ok())
}

/// Something in the directory that is a resource.
#[derive(Clone, Copy)]
pub enum Found<'d> {
    /// A person.
    User(&'d PersonRecord),
    /// A group.
    Group(GroupView<'d>),
    /// An agent.
    Agent(&'d AgentRecord),
}

/// Which parts of a resource are computed.
#[derive(Clone, Copy)]
pub struct Shown {
    /// A group's members.
    pub members: bool,
    /// A user's groups.
    pub groups: bool,
    /// `meta`, with the version.
    pub meta: bool,
}

/// The resource of this kind and id.
pub fn find<'d>(directory: &'d Directory, kind: Kind, id: &str) -> Option<Found<'d>> {
    let found = match kind {
        Kind::User => Found::User(directory.person_record(id)?),
        Kind::Group => Found::Group(directory.group_named(&GroupId::parse(id).ok()?)?),
        Kind::Agent => Found::Agent(directory.agent_record(id)?),
    };
    (!is_deleted(found.profile())).then_some(found)
}

/// The resource that a client knows by this name: a `userName` or an `agentUserName`, whatever its case.
pub fn find_named<'d>(directory: &'d Directory, kind: Kind, name: &str) -> Option<Found<'d>> {
    let by_handle = directory.by_handle(name).and_then(|id| find(directory, kind, id.as_str()));
    // What has no other name goes by its id, as it is written or in lower case: no index has every spelling of it.
    let by_id = |id: &str| find(directory, kind, id).filter(|found| found.handle().is_none());
    by_handle.or_else(|| by_id(name)).or_else(|| by_id(&name.to_lowercase()))
}

/// Every resource of a kind, in an order that stays.
pub fn all<'d>(directory: &'d Directory, kind: Kind) -> Box<dyn Iterator<Item = Found<'d>> + 'd> {
    let all: Box<dyn Iterator<Item = Found<'d>>> = match kind {
        Kind::User => Box::new(directory.people().map(Found::User)),
        Kind::Group => Box::new(directory.groups().map(Found::Group)),
        Kind::Agent => Box::new(directory.agents().map(Found::Agent)),
    };
    Box::new(all.filter(|found| !is_deleted(found.profile())))
}

impl<'d> Found<'d> {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Found::User(_) => Kind::User,
            Found::Group(_) => Kind::Group,
            Found::Agent(_) => Kind::Agent,
        }
    }

    /// Its id.
    pub fn id(&self) -> &'d str {
        match self {
            Found::User(person) => person.id.as_str(),
            Found::Group(group) => group.id.as_str(),
            Found::Agent(agent) => agent.id.as_str(),
        }
    }

    /// What is kept for the client.
    pub fn profile(&self) -> Option<&'d str> {
        match self {
            Found::User(person) => person.profile.as_deref(),
            Found::Group(group) => group.profile(),
            Found::Agent(agent) => agent.profile.as_deref(),
        }
    }

    fn handle(&self) -> Option<&'d str> {
        match self {
            Found::User(person) => person.handle.as_deref(),
            Found::Agent(agent) => agent.handle.as_deref(),
            Found::Group(_) => None,
        }
    }

    /// How many members it has by themselves.
    pub fn members(&self) -> u64 {
        match self {
            Found::Group(group) => group.members().len() + group.nested().count() as u64,
            Found::User(_) | Found::Agent(_) => 0,
        }
    }

    /// Everything that a client may change of it, members apart.
    pub fn resource(&self) -> Map<String, Value> {
        self.stored().resource
    }

    fn stored(&self) -> Profile {
        let mut stored =
            read_profile(self.profile()).unwrap_or_else(|| Profile { resource: self.unstated(), ..Profile::default() });
        let is_active = match self {
            Found::User(person) => person.status.is_active(),
            Found::Agent(agent) => agent.status.is_active(),
            Found::Group(_) => return stored,
        };
        // The record counts. Where a client took it away, there is no value and nobody is here.
        if is_active {
            stored.resource.insert("active".to_owned(), true.into());
        } else if self.profile().is_none() {
            stored.resource.insert("active".to_owned(), false.into());
        }
        stored
    }

    /// What a client would have said of something that no client made.
    fn unstated(&self) -> Map<String, Value> {
        let json = match self {
            Found::User(person) => {
                let emails: Vec<_> = person
                    .addresses
                    .iter()
                    .filter(|address| address.contains('@'))
                    .map(|address| json!({ "value": address }))
                    .collect();
                let mut json = json!({ "userName": self.handle().unwrap_or(self.id()), "emails": emails });
                for (name, Values(values)) in &person.attributes.0 {
                    let plural = matches!(name.as_ref(), "roles" | "entitlements");
                    let value = match (plural, values.first()) {
                        (true, _) => values.iter().map(|value| json!({ "value": value })).collect(),
                        (false, Some(value)) => json!(value),
                        (false, None) => continue,
                    };
                    if CORE_ATTRIBUTES.contains(&name.as_ref()) {
                        json[name.as_ref()] = value;
                    } else if ENTERPRISE_ATTRIBUTES.contains(&name.as_ref()) {
                        json[ENTERPRISE][name.as_ref()] = value;
                    }
                }
                json
            }
            Found::Group(group) => json!({ "displayName": group.id }),
            Found::Agent(agent) => json!({
                "agentUserName": self.handle().unwrap_or(self.id()),
                "description": agent.purpose,
                "owners": [{ "value": agent.owner }],
            }),
        };
        let Value::Object(mut resource) = json else { return Map::new() };
        resource.retain(|_, value| !super::schema::is_unassigned(value) && value != "");
        resource
    }

    /// Its version: the same as long as its representation is (RFC 7644 §3.14).
    pub fn version(&self, directory: &Directory) -> String {
        let mut bytes = serde_json::to_vec(&self.resource()).expect("a JSON object is plain data");
        match self {
            Found::User(_) => bytes.extend(serde_json::to_vec(&directory.groups_of(self.id())).expect("names are plain data")),
            Found::Group(group) => {
                group.members().serialize_into(&mut bytes).expect("memory takes what it is given");
                bytes.extend(serde_json::to_vec(&group.nested().collect::<Vec<_>>()).expect("names are plain data"));
            }
            Found::Agent(_) => {}
        }
        let digest = Digest::of(&bytes).to_string();
        format!("W/\"{}\"", digest.chars().take(VERSION_CHARS).collect::<String>())
    }

    /// Where it is.
    pub fn location(&self, base: &str) -> String {
        location(base, self.kind(), self.id())
    }

    /// The resource as a client sees it.
    pub fn represent(&self, directory: &Directory, base: &str, with_members: bool) -> Map<String, Value> {
        self.partly(directory, base, Shown { members: with_members, groups: true, meta: true })
    }

    /// The resource with those parts that have to be computed, and no others.
    pub fn partly(&self, directory: &Directory, base: &str, shown: Shown) -> Map<String, Value> {
        let kind = self.kind();
        let Profile { created, modified, mut resource, .. } = self.stored();
        let extensions = resource.keys().filter(|name| name.contains(':')).cloned();
        let schemas: Vec<String> = std::iter::once(kind.schema().to_owned()).chain(extensions).collect();
        resource.insert("schemas".to_owned(), json!(schemas));
        resource.insert("id".to_owned(), self.id().into());
        if shown.meta {
            let version = self.version(directory);
            let mut meta = json!({ "resourceType": kind.name(), "location": self.location(base), "version": version });
            for (name, moment) in [("created", created), ("lastModified", modified)] {
                if let Some(moment) = moment.map(rfc3339) {
                    meta[name] = moment.into();
                }
            }
            resource.insert("meta".to_owned(), meta);
        }
        match self {
            Found::User(_) if shown.groups => {
                let groups = groups_json(directory, self.id(), base);
                if !groups.is_empty() {
                    resource.insert("groups".to_owned(), groups.into());
                }
            }
            Found::Group(group) if shown.members => {
                let members: Vec<Value> = members(directory, group, base).collect();
                if !members.is_empty() {
                    resource.insert("members".to_owned(), members.into());
                }
            }
            Found::User(_) | Found::Group(_) | Found::Agent(_) => {}
        }
        resource
    }
}

/// Where the resource of this kind and id is.
pub fn location(base: &str, kind: Kind, id: &str) -> String {
    format!("{base}/{}/{}", kind.endpoint(), utf8_percent_encode(id, SEGMENT))
}

fn groups_json(directory: &Directory, id: &str, base: &str) -> Vec<Value> {
    let (direct, indirect) = directory.groups_of(id);
    let json = |group: &str, how: &str| json!({ "value": group, "$ref": location(base, Kind::Group, group), "type": how });
    direct.iter().map(|group| json(group, "direct")).chain(indirect.iter().map(|group| json(group, "indirect"))).collect()
}

fn members<'d>(directory: &'d Directory, group: &GroupView<'d>, base: &'d str) -> impl Iterator<Item = Value> + use<'d> {
    let json = move |kind: Kind, id: &str| json!({ "value": id, "$ref": location(base, kind, id), "type": kind.name() });
    let people = group.members().iter().filter_map(|number| directory.principals().name(number));
    // What was deleted and is named all the same is shown nowhere.
    let people = people.filter_map(move |id| {
        let kind = if directory.knows_person(id.as_str()) { Kind::User } else { Kind::Agent };
        find(directory, kind, id.as_str()).map(|_| json(kind, id.as_str()))
    });
    let groups = group.nested().filter(move |id| find(directory, Kind::Group, id).is_some());
    people.chain(groups.map(move |id| json(Kind::Group, id)))
}

/// The members of a group while a request changes them.
#[derive(Clone, PartialEq)]
struct Members {
    principals: RoaringBitmap,
    groups: BTreeSet<String>,
}

impl Members {
    fn none() -> Self {
        Self { principals: RoaringBitmap::new(), groups: BTreeSet::new() }
    }

    fn of(group: &GroupView<'_>) -> Self {
        Self { principals: group.members().clone(), groups: group.nested().map(str::to_owned).collect() }
    }

    /// `compared` counts the terms of filters that were held against members.
    fn edit(&mut self, directory: &Directory, edit: &MemberEdit, compared: &mut usize) -> Result<(), Refusal> {
        match edit {
            MemberEdit::Add(given) => given.iter().try_for_each(|member| self.put(directory, member)),
            MemberEdit::Replace(given) => {
                *self = Self::none();
                given.iter().try_for_each(|member| self.put(directory, member))
            }
            MemberEdit::Remove(given) => {
                // Who is no member stays none.
                for member in given.iter().filter_map(|member| member_of(directory, member)) {
                    self.take(member);
                }
                Ok(())
            }
            // By far the most usual, and the group may have a hundred thousand others.
            MemberEdit::RemoveWhere(ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, CompValue::Str(id))))
                if path.name.eq_ignore_ascii_case("value") =>
            {
                if let Some(number) = directory.principals().number(id) {
                    self.principals.remove(number);
                }
                self.groups.remove(id);
                Ok(())
            }
            MemberEdit::RemoveWhere(filter) => {
                let members = self.groups.len() + usize::try_from(self.principals.len()).unwrap_or(usize::MAX);
                *compared = compared.saturating_add(value_terms(filter).saturating_mul(members));
                if *compared > COMPARISONS_MAX {
                    let why = format!("expected at most {COMPARISONS_MAX} comparisons of terms with members");
                    return Err(Refusal::bad(ScimType::TooMany, why));
                }
                let attribute = Part::core(Kind::Group).attribute("members");
                let json = |kind: Kind, id: &str| json!({ "value": id, "type": kind.name() });
                let holds = |member: &Value| holds_for(filter, attribute, member);
                self.groups.retain(|group| !holds(&json(Kind::Group, group)));
                let gone: RoaringBitmap = self
                    .principals
                    .iter()
                    .filter(|number| {
                        directory.principals().name(*number).is_some_and(|id| {
                            let kind = if directory.knows_person(id.as_str()) { Kind::User } else { Kind::Agent };
                            holds(&json(kind, id.as_str()))
                        })
                    })
                    .collect();
                self.principals -= gone;
                Ok(())
            }
        }
    }

    fn put(&mut self, directory: &Directory, member: &Value) -> Result<(), Refusal> {
        let unknown = || {
            let id = member["value"].as_str().unwrap_or_default();
            Refusal::bad(ScimType::InvalidValue, format!("`members`: `{id}` is no user, agent or group"))
        };
        match member_of(directory, member).ok_or_else(unknown)? {
            Member::Principal(number) => drop(self.principals.insert(number)),
            Member::Group(group) => drop(self.groups.insert(group)),
        }
        Ok(())
    }

    fn take(&mut self, member: Member) {
        match member {
            Member::Principal(number) => drop(self.principals.remove(number)),
            Member::Group(group) => drop(self.groups.remove(&group)),
        }
    }

    /// As the directory writes them, without those.
    fn names_beside(&self, directory: &Directory, others: &Members) -> Vec<String> {
        let principals = (&self.principals - &others.principals).into_iter();
        let principals = principals.filter_map(|number| directory.principals().name(number)).map(ToString::to_string);
        principals.chain(self.groups.difference(&others.groups).map(|group| format!("@{group}"))).collect()
    }
}

enum Member {
    Principal(u32),
    Group(String),
}

/// Whom a member names, by its id, and where two have that one by what else it says.
fn member_of(directory: &Directory, member: &Value) -> Option<Member> {
    let id = member["value"].as_str()?;
    let said = member["type"].as_str().or_else(|| {
        let reference = member["$ref"].as_str()?;
        reference.rsplit('/').nth(1)?.strip_suffix('s')
    });
    let principal = || {
        let found = find(directory, Kind::User, id).or_else(|| find(directory, Kind::Agent, id))?;
        directory.principals().number(found.id()).map(Member::Principal)
    };
    let group = || find(directory, Kind::Group, id).map(|_| Member::Group(id.to_owned()));
    if said.is_some_and(|said| said.eq_ignore_ascii_case("Group")) {
        group().or_else(principal)
    } else {
        principal().or_else(group)
    }
}

/// What a request wants of a resource: what it holds, and what becomes of a group's members.
pub struct Wanted {
    /// Everything that a client may say, members apart.
    pub resource: Map<String, Value>,
    /// What becomes of its members.
    pub members: Vec<MemberEdit>,
}

impl Wanted {
    /// A whole resource as a client sent it: a group has the members that it names, and no others. Of `active` nothing said is as it was
    /// before; somebody new is here.
    pub fn whole(kind: Kind, mut resource: Map<String, Value>, before: Option<Found<'_>>) -> Self {
        if kind != Kind::Group && !resource.contains_key("active") {
            let active = before.map_or(Some(true.into()), |before| before.resource().remove("active"));
            resource.extend(active.map(|active| ("active".to_owned(), active)));
        }
        let members = match (kind, resource.remove("members")) {
            (Kind::Group, Some(Value::Array(members))) => vec![MemberEdit::Replace(members)],
            (Kind::Group, _) => vec![MemberEdit::Replace(Vec::new())],
            (Kind::User | Kind::Agent, _) => Vec::new(),
        };
        Self { resource, members }
    }
}

/// The changes by which something new comes to be, and its id: its name where that is a good one and nobody's, else `otherwise`.
///
/// # Errors
/// What stands against it.
pub fn create(
    directory: &Directory,
    now: Moment,
    kind: Kind,
    wanted: &Wanted,
    otherwise: &str,
) -> Result<(Vec<DirectoryChange>, String), Refusal> {
    let name = naming(kind, &wanted.resource)?;
    let id = if is_free(directory, kind, name) { name } else { otherwise };
    let profile = Profile { created: Some(now.0), ..Profile::default() };
    Ok((put(directory, now, kind, id, None, profile, wanted)?, id.to_owned()))
}

/// The changes by which something there becomes what is wanted; none where it is so already.
///
/// # Errors
/// What stands against it.
pub fn update(directory: &Directory, now: Moment, found: Found<'_>, wanted: &Wanted) -> Result<Vec<DirectoryChange>, Refusal> {
    let before = found.stored();
    let is_same = before.resource == wanted.resource;
    if is_same && wanted.members.is_empty() {
        return Ok(Vec::new());
    }
    let changes = put(directory, now, found.kind(), found.id(), Some(found), before, wanted)?;
    // What is kept of a group is one change; without another, and with the same in it, nothing changed.
    let is_only_a_moment = is_same && matches!(changes.as_slice(), [DirectoryChange::DescribeGroup { .. }]);
    Ok(if is_only_a_moment { Vec::new() } else { changes })
}

fn put(
    directory: &Directory,
    now: Moment,
    kind: Kind,
    id: &str,
    before: Option<Found<'_>>,
    profile: Profile,
    wanted: &Wanted,
) -> Result<Vec<DirectoryChange>, Refusal> {
    let mut resource = wanted.resource.clone();
    let status = match resource.get("active") {
        Some(Value::Bool(true)) => Status::Active,
        Some(_) | None => Status::Left,
    };
    // The record says so.
    resource.retain(|name, value| name != "active" || *value != true);
    let profile = Profile { modified: Some(now.0), resource, ..profile };
    let text = serde_json::to_string(&profile).expect("a profile is plain data");
    if text.len() > PROFILE_BYTES_MAX {
        let why = format!("the resource has {} bytes, at most {PROFILE_BYTES_MAX} are kept", text.len());
        return Err(Refusal::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let resource = &profile.resource;
    let text: Arc<str> = text.into();
    match kind {
        Kind::User => {
            let handle = handle(directory, kind, id, resource)?;
            let known = match before {
                Some(Found::User(person)) => person.clone(),
                _ => PersonRecord::new(principal(id)?),
            };
            let record = PersonRecord {
                addresses: addresses(id, &handle, resource),
                status,
                attributes: attributes(&known.attributes, resource),
                handle: Some(handle),
                profile: Some(text),
                ..known
            };
            Ok(vec![DirectoryChange::PutPerson(record)])
        }
        Kind::Agent => {
            let handle = handle(directory, kind, id, resource)?;
            let owner = owner(directory, resource)?;
            let purpose = resource.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
            let registration = match before {
                Some(Found::Agent(agent)) => agent.registration.clone(),
                _ => Registration::default(),
            };
            let (handle, profile) = (Some(handle), Some(text));
            let record = AgentRecord { id: principal(id)?, owner, purpose, status, registration, handle, profile };
            Ok(vec![DirectoryChange::PutAgent(record.into())])
        }
        Kind::Group => {
            let id = GroupId::parse(id).map_err(|error| Refusal::bad(ScimType::InvalidValue, error.to_string()))?;
            let is_new = before.is_none();
            let old = match before {
                Some(Found::Group(group)) => Members::of(&group),
                _ => Members::none(),
            };
            let mut new = old.clone();
            let mut compared = 0;
            wanted.members.iter().try_for_each(|edit| new.edit(directory, edit, &mut compared))?;
            let (come, gone) = (new.names_beside(directory, &old), old.names_beside(directory, &new));
            let mut changes = Vec::new();
            if is_new {
                changes.push(DirectoryChange::PutGroup { id: id.clone(), members: come, owner: None });
            } else {
                if !come.is_empty() {
                    changes.push(DirectoryChange::AddMembers { group: id.clone(), members: come });
                }
                if !gone.is_empty() {
                    changes.push(DirectoryChange::RemoveMembers { group: id.clone(), members: gone });
                }
            }
            changes.push(DirectoryChange::DescribeGroup { group: id, profile: Some(text) });
            Ok(changes)
        }
    }
}

/// The changes by which something goes for good.
pub fn removal(directory: &Directory, found: Found<'_>) -> Vec<DirectoryChange> {
    let id = found.id();
    let outer: Vec<String> = match found {
        Found::Group(group) => group.parents().map(str::to_owned).collect(),
        Found::User(_) | Found::Agent(_) => directory.groups_of(id).0.into_iter().map(str::to_owned).collect(),
    };
    let member = if found.kind() == Kind::Group { format!("@{id}") } else { id.to_owned() };
    let leave = |group: String| {
        Some(DirectoryChange::RemoveMembers { group: GroupId::parse(&group).ok()?, members: vec![member.clone()] })
    };
    let gone = match found {
        Found::User(person) => DirectoryChange::RemovePerson { id: person.id.clone() },
        Found::Agent(agent) => DirectoryChange::RemoveAgent { id: agent.id.clone() },
        Found::Group(group) => DirectoryChange::RemoveGroup { id: group.id.clone() },
    };
    outer.into_iter().filter_map(leave).chain([gone]).collect()
}

/// The changes by which something that others still name is there for nobody: a person who has left, an agent out of use, a group without
/// members.
pub fn retirement(directory: &Directory, found: Found<'_>) -> Vec<DirectoryChange> {
    match found {
        Found::User(person) => {
            let record = PersonRecord { status: Status::Left, profile: Some(deleted()), ..PersonRecord::new(person.id.clone()) };
            vec![DirectoryChange::PutPerson(record)]
        }
        Found::Agent(agent) => {
            let new = AgentRecord::new(agent.id.clone(), agent.owner.clone());
            let retired = AgentRecord { status: Status::Left, profile: Some(deleted()), ..new };
            vec![DirectoryChange::PutAgent(retired.into())]
        }
        Found::Group(group) => {
            let members = Members::of(&group).names_beside(directory, &Members::none());
            vec![
                DirectoryChange::RemoveMembers { group: group.id.clone(), members },
                DirectoryChange::DescribeGroup { group: group.id.clone(), profile: Some(deleted()) },
            ]
        }
    }
}

fn principal(id: &str) -> Result<PrincipalId, Refusal> {
    PrincipalId::parse(id).map_err(|error| Refusal::bad(ScimType::InvalidValue, error.to_string()))
}

fn naming(kind: Kind, resource: &Map<String, Value>) -> Result<&str, Refusal> {
    let name = resource.get(kind.naming()).and_then(Value::as_str).filter(|name| !name.trim().is_empty());
    name.ok_or_else(|| Refusal::bad(ScimType::InvalidValue, format!("expected `{}`", kind.naming())))
}

/// The name of a user or an agent, which is nobody else's.
fn handle(directory: &Directory, kind: Kind, id: &str, resource: &Map<String, Value>) -> Result<Arc<str>, Refusal> {
    let name = naming(kind, resource)?;
    let kinds = [Kind::User, Kind::Agent];
    let other = kinds.iter().find_map(|kind| find_named(directory, *kind, name)).filter(|other| other.id() != id);
    match other {
        Some(_) => Err(Refusal::taken(format!("`{}` `{name}` is somebody else's", kind.naming()))),
        None => Ok(name.into()),
    }
}

/// Whether a name can be the id of something new: nobody ever had it, and nothing else is meant by it.
fn is_free(directory: &Directory, kind: Kind, name: &str) -> bool {
    let is_plain = name.len() <= ID_BYTES_MAX
        && name.trim() == name
        && !name.starts_with(['@', '.'])
        && !name.contains(['/', ':', '*', '?', '#', '%', '\\', ';', ','])
        && !name.chars().any(char::is_control)
        && !["public", "bulkId"].iter().any(|word| name.eq_ignore_ascii_case(word));
    let is_group = GroupId::parse(name).is_ok_and(|id| directory.group_named(&id).is_some());
    let is_principal = directory.principals().number(name).is_some();
    let is_handle = directory.by_handle(name).is_some_and(|_| kind == Kind::Group);
    is_plain && !is_group && !is_principal && !is_handle && directory.audience_of(name).is_none()
}

/// By what tools name a person: their mail addresses, and their user name where it is one, or is not their id.
fn addresses(id: &str, handle: &str, resource: &Map<String, Value>) -> Vec<String> {
    let emails = resource.get("emails").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let emails = emails.iter().filter_map(|email| email["value"].as_str());
    let mut seen = BTreeSet::new();
    let names = std::iter::once(handle)
        .filter(|name| *name != id || name.contains('@'))
        .chain(emails)
        .filter(|name| !name.trim().is_empty());
    names.filter(|name| seen.insert(name.to_lowercase())).map(str::to_owned).collect()
}

/// The attributes that clearance by rule looks at; what others than clients stated beside these stays.
fn attributes(before: &Attributes, resource: &Map<String, Value>) -> Attributes {
    let is_ours = |name: &str| CORE_ATTRIBUTES.contains(&name) || ENTERPRISE_ATTRIBUTES.contains(&name);
    let mut all = before.0.clone();
    all.retain(|name, _| !is_ours(name));
    let core = CORE_ATTRIBUTES.iter().map(|name| (*name, resource.get(*name)));
    let enterprise = resource.get(ENTERPRISE);
    let enterprise = ENTERPRISE_ATTRIBUTES.iter().map(|name| (*name, enterprise.and_then(|of| of.get(name))));
    for (name, value) in core.chain(enterprise) {
        let values: BTreeSet<Arc<str>> = match value {
            Some(Value::String(text)) => BTreeSet::from([Arc::from(text.as_str())]),
            Some(Value::Array(many)) => many.iter().filter_map(|one| one["value"].as_str()).map(Arc::from).collect(),
            Some(_) | None => BTreeSet::new(),
        };
        if !values.is_empty() {
            all.insert(name.into(), Values(values));
        }
    }
    Attributes(all)
}

/// The person who answers for an agent: the primary owner, else the first.
fn owner(directory: &Directory, resource: &Map<String, Value>) -> Result<PrincipalId, Refusal> {
    let owners = resource.get("owners").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for owner in owners {
        let id = owner["value"].as_str().unwrap_or_default();
        if find(directory, Kind::User, id).is_none() {
            return Err(Refusal::bad(ScimType::InvalidValue, format!("`owners`: `{id}` is no user")));
        }
    }
    let owner = owners.iter().find(|owner| owner["primary"] == true).or_else(|| owners.first());
    match owner.and_then(|owner| owner["value"].as_str()) {
        Some(id) => principal(id),
        None => Err(Refusal::bad(ScimType::InvalidValue, "expected `owners`: somebody answers for an agent")),
    }
}
