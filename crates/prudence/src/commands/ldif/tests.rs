//! Claims about exports of directory servers.

use super::*;

const PEOPLE_AND_GROUPS: &str = "\
version: 1

# what units there are
dn: ou=People,dc=example,dc=com
objectClass: organizationalUnit
ou: People

dn: uid=ann,ou=People,dc=example,dc=com
objectClass: inetOrgPerson
uid: ann
cn: Ann
mail: Ann@Example.com
departmentNumber: 7
title:: w4RyenRpbg==
userPassword:: e1NTSEF9c2VjcmV0
jpegPhoto:: /9j/4AAQ

dn: CN=Bo \\, the second,OU=People,DC=example,DC=com
objectClass: top
objectClass: user
sAMAccountName: bo
userAccountControl: 514
proxyAddresses: SMTP:bo@example.com
proxyAddresses: X500:/o=x

dn: CN=PC7,OU=People,DC=example,DC=com
objectClass: user
objectClass: computer
sAMAccountName: PC7$

dn: cn=all,ou=Groups,dc=example,dc=com
objectClass: groupOfNames
cn: all
member: UID=ann, ou=People,dc=example,dc=com
member: cn=Bo \\, the sec
 ond,ou=people,dc=example,dc=com
member: cn=pc7,ou=people,dc=example,dc=com
member: cn=inner,ou=groups,dc=example,dc=com
owner: uid=ann,ou=people,dc=example,dc=com

dn: cn=inner,ou=Groups,dc=example,dc=com
objectClass: posixGroup
cn: inner
memberUid: ann
";

type Problems = Vec<(u64, String)>;

fn read(text: &str) -> (Vec<DirectoryChange>, Problems) {
    let mut export = Export::default();
    let mut problems = Vec::new();
    let file = Path::new("people.ldif");
    export.read(file, text.as_bytes(), |place, what| problems.push((place.line, what)), |_| {}).expect("text");
    let changes = export.changes(|place, what| problems.push((place.line, what)));
    (changes.into_iter().map(|(_, change)| change).collect(), problems)
}

fn people(changes: &[DirectoryChange]) -> Vec<&PersonRecord> {
    let mut people = Vec::new();
    for change in changes {
        if let DirectoryChange::PutPerson(person) = change {
            people.push(person);
        }
    }
    people
}

#[test]
fn people_groups_and_who_is_disabled_are_read() {
    let (changes, problems) = read(PEOPLE_AND_GROUPS);
    assert_eq!(problems, []);
    let people = people(&changes);
    assert_eq!(people.iter().map(|person| person.id.as_str()).collect::<Vec<_>>(), ["ann", "bo"], "a computer is nobody");
    assert_eq!(people[0].addresses, ["ann@example.com"]);
    assert_eq!(people[1].addresses, ["bo@example.com"]);
    assert_eq!([people[0].status, people[1].status], [Status::Active, Status::Left]);
    let groups: Vec<_> = changes.iter().filter(|change| matches!(change, DirectoryChange::PutGroup { .. })).collect();
    let DirectoryChange::PutGroup { id, members, owner } = groups[0] else { panic!("a group") };
    assert_eq!((id.as_str(), owner.as_ref().map(PrincipalId::as_str)), ("all", Some("ann")));
    assert_eq!(members, &["@inner", "ann", "bo"], "names are compared as the directory compares them");
}

#[test]
fn only_listed_attributes_leave_the_file() {
    let (changes, _) = read(PEOPLE_AND_GROUPS);
    let text = serde_json::to_string(&changes).expect("plain data");
    assert!(text.contains("Ärztin") && text.contains("departmentNumber"));
    for secret in ["SSHA", "userPassword", "userpassword", "jpeg", "9j/4"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let ann = "dn: uid=ann,dc=x\nobjectClass: person\nuid: ann\n";
    for (text, line, expected) in [
        (format!("\n\n{ann}\n{ann}"), 7, "twice"),
        ("objectClass: person\nuid: ann\n".to_owned(), 1, "`dn`"),
        (format!("{ann}description:< file:///etc/passwd\n"), 1, "reference"),
        (format!("{ann}title:: not base64!\n"), 1, "decode"),
        (format!("{ann}no colon\n"), 1, "':'"),
        ("dn: uid=ann,dc=x\nchangetype: modify\ndelete: uid\n".to_owned(), 1, "modify"),
        ("dn: dc=x\nobjectClass: person\n".to_owned(), 1, "`uid`"),
        ("dn: cn=g,dc=x\nobjectClass: group\ncn: g\nmember: uid=nobody,dc=x\n".to_owned(), 1, "uid=nobody,dc=x"),
    ] {
        let (_, problems) = read(&text);
        let [(at, what)] = problems.as_slice() else { panic!("{text}: {problems:?}") };
        assert!(*at == line && what.contains(expected), "{text}: {at} {what}");
    }
    let huge = format!("{ann}title: {}\n", "x".repeat(RECORD_BYTES_MAX));
    assert!(read(&huge).1[0].1.contains("at most"));
}
