//! People and groups from LDIF (RFC 2849), as directory servers export them: inetOrgPerson (RFC 2798) and Active Directory people,
//! groupOfNames, groupOfUniqueNames (RFC 4519), posixGroup (RFC 2307) and Active Directory groups.
//!
//! What else an export holds (units, computers, services) is left out. Passwords, pictures and whatever is not on the list of attributes
//! never leaves the file.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use judge::directory::{Attributes, DirectoryChange, PersonRecord, Status, Values};
use judge::name::{GroupId, PrincipalId};
use ldap_acis::dn::normalize_dn;
use ldif_parser::{LdapEntry, LdifParser};

use super::directory::Place;

/// The largest record, in bytes; a group names its members in one.
const RECORD_BYTES_MAX: usize = 8 << 20;
/// Attributes of people that are kept: what rules of clearance and permit policies may look at.
const ATTRIBUTES: [(&str, &str); 12] = [
    ("title", "title"),
    ("department", "department"),
    ("departmentnumber", "departmentNumber"),
    ("division", "division"),
    ("company", "company"),
    ("o", "organization"),
    ("ou", "ou"),
    ("employeetype", "employeeType"),
    ("businesscategory", "businessCategory"),
    ("l", "locality"),
    ("st", "region"),
    ("c", "country"),
];
const PEOPLE: [&str; 6] = ["person", "organizationalperson", "inetorgperson", "user", "account", "posixaccount"];
const GROUPS: [&str; 6] = ["group", "groupofnames", "groupofuniquenames", "groupofmembers", "posixgroup", "ipausergroup"];
/// Active Directory calls a computer a user, too.
const NO_PEOPLE: [&str; 3] = ["computer", "msds-groupmanagedserviceaccount", "foreignsecurityprincipal"];
/// `ACCOUNTDISABLE` of `userAccountControl` (MS-ADTS §2.2.16).
const ACCOUNT_DISABLED: u32 = 0x2;
/// A lock that does not end by itself (draft-behera-ldap-password-policy §5.3.3).
const LOCKED_FOR_EVER: &str = "000001010000Z";

/// What the files hold, before members are known by name.
#[derive(Default)]
pub struct Export {
    /// By normalised distinguished name: as whom lists name them; nothing for what is no person and no group.
    names: BTreeMap<String, Option<String>>,
    people: Vec<(Place, PersonRecord)>,
    groups: Vec<(Place, Group)>,
}

struct Group {
    id: GroupId,
    /// Distinguished names, of people and of groups.
    members: Vec<String>,
    /// Of a posixGroup, by their `uid`.
    uids: Vec<String>,
    /// Distinguished names.
    owners: Vec<String>,
}

impl Export {
    /// Reads a file, record by record. `problem` is told what is wrong with a record; `advance` the bytes that were read.
    ///
    /// # Errors
    /// When it cannot be read as text.
    pub fn read(
        &mut self,
        file: &Path,
        reader: impl BufRead,
        mut problem: impl FnMut(Place, String),
        mut advance: impl FnMut(u64),
    ) -> std::io::Result<()> {
        let mut record = String::new();
        let mut place = Place { file: file.to_owned(), line: 1 };
        let end = std::iter::once(Ok(String::new()));
        for (number, line) in (1..).zip(reader.lines().chain(end)) {
            let line = line?;
            advance(line.len() as u64 + 1);
            if !line.trim().is_empty() {
                if record.len() < RECORD_BYTES_MAX {
                    record.push_str(&line);
                    record.push('\n');
                }
                continue;
            }
            if let Err(what) = self.record(&place, &record) {
                problem(place.clone(), what);
            }
            record.clear();
            place.line = number + 1;
        }
        Ok(())
    }

    fn record(&mut self, place: &Place, record: &str) -> Result<(), String> {
        if record.len() >= RECORD_BYTES_MAX {
            return Err(format!("expected a record of at most {RECORD_BYTES_MAX} bytes"));
        }
        let parsed = LdifParser::parse_with_warnings(record).map_err(|error| error.to_string())?;
        if parsed.skipped_entries > 0 {
            return Err("expected a record with a `dn`".to_owned());
        }
        if parsed.skipped_url_references > 0 {
            return Err("a value is a reference to another file; export the values themselves".to_owned());
        }
        for entry in &parsed.entries {
            let name = normalize_dn(&entry.dn);
            let listed = self.entry(place, entry)?;
            if self.names.insert(name, listed).is_some() {
                return Err(format!("`{}` stands in the files twice", entry.dn));
            }
        }
        Ok(())
    }

    /// Keeps an entry, and says by which name lists speak of it.
    fn entry(&mut self, place: &Place, entry: &LdapEntry) -> Result<Option<String>, String> {
        let is_any = |classes: &[&str]| classes.iter().any(|class| entry.has_object_class(class));
        if is_any(&GROUPS) {
            let id = first(entry, &["cn", "samaccountname"]).ok_or("expected a group with a `cn`")?;
            let id = GroupId::parse(id).map_err(|error| format!("`{id}`: {error}"))?;
            let listed = format!("@{id}");
            let members = all(entry, &["member", "uniquemember"]).map(normalize_dn).filter(|name| !name.is_empty()).collect();
            let uids = all(entry, &["memberuid"]).map(str::to_owned).collect();
            let owners = all(entry, &["managedby", "owner"]).map(normalize_dn).collect();
            self.groups.push((place.clone(), Group { id, members, uids, owners }));
            return Ok(Some(listed));
        }
        if is_any(&PEOPLE) && !is_any(&NO_PEOPLE) {
            let person = person(entry)?;
            let listed = person.id.to_string();
            self.people.push((place.clone(), person));
            return Ok(Some(listed));
        }
        Ok(None)
    }

    /// The changes that all files together are. `problem` is told of members that no file holds.
    pub fn changes(self, mut problem: impl FnMut(Place, String)) -> Vec<(Place, DirectoryChange)> {
        let Self { names, people, groups } = self;
        let mut changes: Vec<(Place, DirectoryChange)> = Vec::with_capacity(people.len() + groups.len());
        changes.extend(people.into_iter().map(|(place, person)| (place, DirectoryChange::PutPerson(person))));
        for (place, group) in groups {
            let mut members = BTreeSet::from_iter(group.uids);
            for member in group.members {
                match names.get(&member) {
                    Some(listed) => members.extend(listed.clone()),
                    None => problem(place.clone(), format!("the member `{member}` stands in none of the files")),
                }
            }
            let is_person = |name: &String| !name.starts_with('@');
            let owners = group.owners.iter().filter_map(|name| names.get(name)?.clone()).filter(is_person);
            let owner = owners.filter_map(|name| PrincipalId::parse(&name).ok()).next();
            let change = DirectoryChange::PutGroup { id: group.id, members: members.into_iter().collect(), owner };
            changes.push((place, change));
        }
        changes
    }
}

fn person(entry: &LdapEntry) -> Result<PersonRecord, String> {
    let id = first(entry, &["uid", "samaccountname", "cn"]).ok_or("expected a person with a `uid`, `sAMAccountName` or `cn`")?;
    let id = PrincipalId::parse(id).map_err(|error| format!("`{id}`: {error}"))?;
    let proxies = all(entry, &["proxyaddresses"]).filter_map(|address| {
        let (scheme, address) = address.split_once(':')?;
        scheme.eq_ignore_ascii_case("smtp").then_some(address)
    });
    let addresses: BTreeSet<String> =
        all(entry, &["mail", "mailalternateaddress"]).chain(proxies).map(str::to_lowercase).collect();
    let attributes = ATTRIBUTES.iter().filter_map(|(theirs, ours)| {
        let values: BTreeSet<Arc<str>> = all(entry, &[theirs]).map(Into::into).collect();
        (!values.is_empty()).then(|| (Arc::from(*ours), Values(values)))
    });
    Ok(PersonRecord {
        addresses: addresses.into_iter().collect(),
        attributes: Attributes(attributes.collect()),
        status: if is_disabled(entry) { Status::Left } else { Status::Active },
        ..PersonRecord::new(id)
    })
}

/// Whether the directory server lets this person in no more.
fn is_disabled(entry: &LdapEntry) -> bool {
    let control = first(entry, &["useraccountcontrol"]).and_then(|control| control.parse::<u32>().ok());
    control.is_some_and(|control| control & ACCOUNT_DISABLED != 0)
        || all(entry, &["nsaccountlock", "logindisabled"]).any(|value| value.eq_ignore_ascii_case("true"))
        || all(entry, &["pwdaccountlockedtime"]).any(|value| value == LOCKED_FOR_EVER)
}

/// All values of attributes; what is not text is none.
fn all<'e>(entry: &'e LdapEntry, names: &[&str]) -> impl Iterator<Item = &'e str> {
    let values: Vec<&Vec<String>> = names.iter().filter_map(|name| entry.get_attr(name)).collect();
    values.into_iter().flatten().map(String::as_str).filter(|value| !value.starts_with("base64:"))
}

fn first<'e>(entry: &'e LdapEntry, names: &[&str]) -> Option<&'e str> {
    names.iter().find_map(|name| all(entry, &[name]).next())
}
