//! People and nested groups, and who is in a list at this moment.
//!
//! It knows nothing about what the lists protect.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How many people a range such as `eng-001..eng-110` may stand for.
const RANGE_MAX: u32 = 1_000;

/// The people of the company, by id, and its groups; a member of a group is a person or `@group`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Directory {
    /// Person id to role in the company.
    pub people: BTreeMap<String, String>,
    /// Group name, without `@`, to its direct members.
    pub groups: BTreeMap<String, Vec<String>>,
}

impl Directory {
    /// Everybody whom a list of people and `@groups` reaches now. Unknown entries reach nobody.
    pub fn resolve(&self, list: &[String]) -> BTreeSet<&str> {
        let mut people = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&str> = list.iter().map(String::as_str).collect();
        while let Some(entry) = waiting.pop() {
            match entry.strip_prefix('@') {
                // A group that was seen is not opened again, so a cycle ends here.
                Some(group) if seen.insert(group) => {
                    waiting.extend(self.groups.get(group).into_iter().flatten().map(String::as_str));
                }
                Some(_) => {}
                None => people.extend(self.people.get_key_value(entry).map(|(person, _)| person.as_str())),
            }
        }
        people
    }

    /// Whether `person` is reached by `list` now.
    pub fn reaches(&self, list: &[String], person: &str) -> bool {
        list.iter().any(|entry| entry == person) || self.resolve(list).contains(person)
    }

    /// Whether `entry` is a person or an `@group` of this company.
    pub fn knows(&self, entry: &str) -> bool {
        match entry.strip_prefix('@') {
            Some(group) => self.groups.contains_key(group),
            None => self.people.contains_key(entry),
        }
    }
}

/// What the system of record says about one thing: who may read it, and how sensitive it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `forum:…`, `thread:…`, `runbook:…` or `dataset:…`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The person who answers for it; forums and threads have none.
    pub owner: Option<String>,
    /// People and `@groups` that can read it: the audience of a forum and of its threads, the access list of the rest.
    pub readers: Vec<String>,
    /// `internal`, `confidential` or `restricted`; forums and threads have none.
    pub classification: Option<String>,
    /// Such as `user-data`.
    pub categories: Vec<String>,
}

/// Writes out `a-001..a-110`; anything else is itself. `None` when it looks like a range and is not one.
pub(crate) fn expand(entry: &str) -> Option<Vec<String>> {
    let Some((first, last)) = entry.split_once("..") else {
        return Some(vec![entry.to_owned()]);
    };
    let (prefix, from) = first.rsplit_once('-')?;
    let (same_prefix, to) = last.rsplit_once('-')?;
    let width = from.len();
    let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
    if prefix != same_prefix || from > to || to - from >= RANGE_MAX {
        return None;
    }
    Some((from..=to).map(|number| format!("{prefix}-{number:0width$}")).collect())
}
