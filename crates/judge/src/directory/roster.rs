//! What a directory service shows and looks for: people, agents and groups one by one, by name and in an order that stays.
//!
//! Nothing here is asked when something is decided.

use super::groups::Group;
use super::{AgentRecord, Directory, PersonRecord};
use crate::name::{GroupId, PrincipalId};
use roaring::RoaringBitmap;

/// A group as it was put, not as it resolves.
#[derive(Clone, Copy)]
pub struct GroupView<'a> {
    directory: &'a Directory,
    /// Which.
    pub id: &'a GroupId,
    group: &'a Group,
}

impl Directory {
    /// Every person, here or not, in the order in which they were first named.
    pub fn people(&self) -> impl Iterator<Item = &PersonRecord> {
        self.people.iter().map(|(_, person)| person)
    }

    /// Every agent, in use or not, in order of their names.
    pub fn agents(&self) -> impl Iterator<Item = &AgentRecord> {
        self.agents.values().map(AsRef::as_ref)
    }

    /// The agent's registration, in use or not.
    #[must_use]
    pub fn agent_record(&self, id: &str) -> Option<&AgentRecord> {
        self.agents.get(id).map(AsRef::as_ref)
    }

    /// Every group, in order of their names.
    pub fn groups(&self) -> impl Iterator<Item = GroupView<'_>> {
        self.groups.iter().map(|(id, group)| GroupView { directory: self, id, group })
    }

    /// A group by its name.
    #[must_use]
    pub fn group_named(&self, id: &GroupId) -> Option<GroupView<'_>> {
        let (id, number) = self.groups.named_with_id(id.as_str())?;
        Some(GroupView { directory: self, id, group: self.groups.get(number) })
    }

    /// Whom a provisioning service knows by this name, whatever its case.
    #[must_use]
    pub fn by_handle(&self, handle: &str) -> Option<&PrincipalId> {
        self.principals.name(*self.handles.get(handle.to_lowercase().as_str())?)
    }

    /// The person who is here and has this address, whatever its case.
    #[must_use]
    pub fn by_address(&self, address: &str) -> Option<&PrincipalId> {
        self.principals.name(self.people.at_address(&address.to_lowercase())?)
    }

    /// The groups that this principal is in: by themselves, and then through any nesting.
    #[must_use]
    pub fn groups_of(&self, principal: &str) -> (Vec<&str>, Vec<&str>) {
        let Some(number) = self.principals.number(principal) else { return (Vec::new(), Vec::new()) };
        let direct = self.groups.direct(number).len();
        let mut names: Vec<&str> = self.groups.around(number).map(|group| &group.handle[1..]).collect();
        let nested = names.split_off(direct.min(names.len()));
        (names, nested)
    }
}

impl<'a> GroupView<'a> {
    /// Who decides about it.
    #[must_use]
    pub fn owner(&self) -> Option<&'a PrincipalId> {
        self.group.owner.as_ref()
    }

    /// What a provisioning service wanted kept.
    #[must_use]
    pub fn profile(&self) -> Option<&'a str> {
        self.group.profile.as_deref()
    }

    /// People and agents who are in it by themselves, as numbers of [`Directory::principals`].
    #[must_use]
    pub fn members(&self) -> &'a RoaringBitmap {
        &self.group.members
    }

    /// The groups in it.
    pub fn nested(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let directory = self.directory;
        self.group.nested.iter().map(move |group| &directory.groups.get(*group).handle[1..])
    }

    /// The groups that it is in.
    pub fn parents(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let directory = self.directory;
        self.group.parents.iter().map(move |group| &directory.groups.get(*group).handle[1..])
    }
}
