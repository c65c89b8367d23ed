//! How the world of a scenario changes: people come and go, and changes that were let through take hold.

use crate::step::WorldEvent;
use judge::act::Change;
use judge::directory::{DirectoryDocument, Status};
use judge::moment::Moment;
use judge::name::ResourceId;

/// Second 0 of every scenario: 2026-01-01T00:00:00Z.
pub(crate) const START: Moment = Moment(1_767_225_600_000);

/// Whether `name` can stand among readers, in an audience or an address.
pub(crate) fn is_known_name(directory: &DirectoryDocument, name: &str) -> bool {
    name == "public"
        || name.starts_with("external:")
        || name.strip_prefix('@').is_some_and(|group| directory.groups.contains_key(group))
        || name.find('@').is_some_and(|at| at > 0)
        || directory.people.iter().any(|person| person.id.as_str() == name)
        || directory.agents.iter().any(|agent| agent.id.as_str() == name)
        || directory.destinations.iter().any(|destination| destination.id.as_str() == name)
}

/// Whether `name` is a group or a destination.
pub(crate) fn has_members(directory: &DirectoryDocument, name: &str) -> bool {
    directory.groups.contains_key(group_name(name))
        || directory.destinations.iter().any(|destination| destination.id.as_str() == name)
}

/// Whether two ways of writing mean the same group: `oncall`, `@oncall`, `group:oncall`.
pub(crate) fn is_same_group(one: &str, other: &str) -> bool {
    group_name(one) == group_name(other)
}

fn group_name(name: &str) -> &str {
    name.strip_prefix('@').or_else(|| name.strip_prefix("group:")).unwrap_or(name)
}

pub(crate) fn happens(directory: &mut DirectoryDocument, event: &WorldEvent) {
    match event {
        WorldEvent::Join { member, group } => {
            if let Some(members) = members(directory, group) {
                add(members, std::slice::from_ref(member));
            }
        }
        WorldEvent::Leave { member, group } => {
            if let Some(members) = members(directory, group) {
                members.retain(|other| other != member);
            }
        }
        WorldEvent::Left(id) => {
            for person in directory.people.iter_mut().filter(|person| person.id == *id) {
                person.status = Status::Left;
            }
        }
    }
}

/// A change that was let through. Unknown readers stay unknown: to add one to nobody-knows-whom is still nobody knows whom.
pub(crate) fn changes(directory: &mut DirectoryDocument, on: &[ResourceId], change: &Change) {
    for resource in on {
        let name = resource.as_str();
        if let Some(members) = members(directory, name) {
            add(members, &change.add_members);
            members.retain(|member| !change.remove_members.contains(member));
        }
        for destination in directory.destinations.iter_mut().filter(|destination| destination.id == *resource) {
            if let Some(audience) = &change.audience {
                destination.audience.clone_from(audience);
            }
            add(&mut destination.audience, &change.add_readers);
            destination.audience.retain(|member| !change.remove_readers.contains(member));
        }
        for item in directory.items.iter_mut().filter(|item| item.id == *resource) {
            if let Some(audience) = &change.audience {
                item.readers = Some(audience.clone());
            }
            if let Some(readers) = &mut item.readers {
                add(readers, &change.add_readers);
                readers.retain(|reader| !change.remove_readers.contains(reader));
            }
        }
    }
}

fn members<'a>(directory: &'a mut DirectoryDocument, name: &str) -> Option<&'a mut Vec<String>> {
    match directory.groups.get_mut(group_name(name)) {
        Some(members) => Some(members),
        None => {
            directory.destinations.iter_mut().find(|destination| destination.id.as_str() == name).map(|found| &mut found.audience)
        }
    }
}

fn add(list: &mut Vec<String>, names: &[String]) {
    for name in names {
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
}
