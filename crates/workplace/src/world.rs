//! What there is in the workplace, and what can be done with it.
//!
//! Every operation takes who asks and answers with what they get or a [`Refusal`]. It knows neither MCP nor HTTP, and
//! its clock moves one minute with each write, so that a run is the same every time.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    access::{Account, Accounts, Caller, Role},
    directory::{Directory, Record, expand},
};

/// The longest text of a post or a mail, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 20_000;
/// The longest title, subject or search, in bytes.
pub(crate) const TITLE_BYTES_MAX: usize = 300;
/// How many entries a list of recipients, readers or attendees may have.
pub(crate) const LIST_MAX: usize = 100;
/// How many writes the world takes before it must be reset: it lives in memory.
pub(crate) const WRITES_MAX: u32 = 10_000;
/// How many rows one reading returns.
pub(crate) const ROWS_MAX: usize = 1_000;

/// The seeded company and its accounts.
pub(crate) struct Seeded {
    pub accounts: Accounts,
    pub world: World,
}

/// The company as the data file describes it.
pub(crate) fn seeded() -> &'static Seeded {
    static SEEDED: LazyLock<Seeded> = LazyLock::new(|| {
        // The file is part of the program, and a test loads it.
        load(include_str!("../data/workplace.toml")).expect("the embedded data file is well formed")
    });
    &SEEDED
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("forbidden: {0}")]
    Forbidden(String),
    #[error("not found: {0}")]
    NotFound(String),
    #[error("invalid: {0}")]
    Invalid(String),
    #[error("full: the workplace has taken {WRITES_MAX} writes and must be reset")]
    Full,
}

#[derive(Clone)]
pub(crate) struct World {
    pub directory: Directory,
    pub forums: BTreeMap<String, Forum>,
    pub threads: BTreeMap<String, Thread>,
    pub runbooks: BTreeMap<String, Runbook>,
    pub datasets: BTreeMap<String, Dataset>,
    pub customers: Customers,
    pub mails: BTreeMap<String, Mail>,
    pub events: BTreeMap<String, Event>,
    pub changes: Vec<Change>,
    services: Vec<String>,
    clock: Timestamp,
    writes: u32,
}

// ---- the forum

impl World {
    pub fn forum_list_threads(&self, who: &Caller, forum: Option<&str>) -> Result<ThreadList, Refusal> {
        if let Some(forum) = forum {
            self.open_forum(who, forum)?;
        }
        let threads = self
            .threads
            .values()
            .filter(|thread| forum.is_none_or(|forum| thread.forum == forum))
            .filter(|thread| self.open_forum(who, &thread.forum).is_ok())
            .map(|thread| ThreadEntry {
                thread: thread.id.clone(),
                forum: thread.forum.clone(),
                title: thread.title.clone(),
                posts: thread.posts.len(),
            })
            .collect();
        Ok(ThreadList { threads })
    }

    pub fn forum_read_thread(&self, who: &Caller, thread: &str) -> Result<ThreadPage, Refusal> {
        let found = self.open_thread(who, thread)?;
        Ok(ThreadPage {
            thread: found.id.clone(),
            forum: found.forum.clone(),
            title: found.title.clone(),
            posts: found.posts.clone(),
        })
    }

    pub fn forum_post_reply(&mut self, who: &Caller, forum: &str, thread: &str, text: &str) -> Result<Posted, Refusal> {
        bounded("text", text, TEXT_BYTES_MAX)?;
        let found = self.open_thread(who, thread)?;
        // Both are asked for, and must agree: who names a forum and means another's thread is mistaken or worse.
        if found.forum != forum {
            return Err(Refusal::Invalid(format!("`{thread}` is not a thread of `{forum}`")));
        }
        let (number, at) = self.write()?;
        let post = Post { post: format!("post:{number}"), author: who.account.clone(), at, text: text.to_owned() };
        let posted = Posted { post: post.post.clone(), thread: thread.to_owned(), forum: forum.to_owned() };
        if let Some(found) = self.threads.get_mut(thread) {
            found.posts.push(post);
        }
        Ok(posted)
    }

    fn open_forum(&self, who: &Caller, forum: &str) -> Result<&Forum, Refusal> {
        let found = self.forums.get(forum).ok_or_else(|| missing("forum", forum))?;
        self.admit(who, &found.audience, forum)?;
        Ok(found)
    }

    fn open_thread(&self, who: &Caller, thread: &str) -> Result<&Thread, Refusal> {
        let found = self.threads.get(thread).ok_or_else(|| missing("thread", thread))?;
        self.open_forum(who, &found.forum)?;
        Ok(found)
    }
}

// ---- runbooks

impl World {
    pub fn runbook_search(&self, who: &Caller, query: &str) -> Result<RunbookHits, Refusal> {
        bounded("query", query, TITLE_BYTES_MAX)?;
        let wanted = words(query);
        let mut hits: Vec<(usize, RunbookHit)> = self
            .runbooks
            .values()
            .filter(|runbook| self.admit(who, &runbook.readers, &runbook.runbook).is_ok())
            .filter_map(|runbook| {
                let (found, passage) = best_passage(runbook, &wanted)?;
                let hit =
                    RunbookHit { runbook: runbook.runbook.clone(), title: runbook.title.clone(), passage: passage.to_owned() };
                Some((found, hit))
            })
            .collect();
        hits.sort_by(|(left, a), (right, b)| right.cmp(left).then_with(|| a.runbook.cmp(&b.runbook)));
        Ok(RunbookHits { hits: hits.into_iter().map(|(_, hit)| hit).collect() })
    }

    pub fn runbook_read(&self, who: &Caller, runbook: &str) -> Result<Runbook, Refusal> {
        let found = self.runbooks.get(runbook).ok_or_else(|| missing("runbook", runbook))?;
        self.admit(who, &found.readers, runbook)?;
        Ok(found.clone())
    }

    pub fn runbooks_of(&self, who: &Caller) -> impl Iterator<Item = &Runbook> {
        self.runbooks.values().filter(|runbook| self.admit(who, &runbook.readers, &runbook.runbook).is_ok())
    }
}

// ---- datasets

impl World {
    /// All datasets and their access lists: the catalogue is open to every employee, the rows are not.
    pub fn dataset_list(&self) -> DatasetList {
        let entry = |dataset: &Dataset| DatasetEntry {
            dataset: dataset.id.clone(),
            title: dataset.title.clone(),
            owner: dataset.owner.clone(),
            classification: dataset.classification.clone(),
            categories: dataset.categories.clone(),
            readers: dataset.readers.clone(),
        };
        DatasetList { datasets: self.datasets.values().map(entry).collect() }
    }

    pub fn dataset_read(&self, who: &Caller, dataset: &str, limit: Option<usize>) -> Result<DatasetRows, Refusal> {
        let found = self.datasets.get(dataset).ok_or_else(|| missing("dataset", dataset))?;
        self.admit(who, &found.readers, dataset)?;
        let named = |row: &Vec<String>| found.columns.iter().cloned().zip(row.iter().cloned()).collect();
        let limit = limit.unwrap_or(ROWS_MAX).min(ROWS_MAX);
        Ok(DatasetRows {
            dataset: found.id.clone(),
            classification: found.classification.clone(),
            categories: found.categories.clone(),
            rows: found.rows.iter().take(limit).map(named).collect(),
            total: found.rows.len(),
        })
    }

    pub fn dataset_share(&mut self, who: &Caller, dataset: &str, add: &[String], remove: &[String]) -> Result<Change, Refusal> {
        listed("add_readers", add)?;
        listed("remove_readers", remove)?;
        if add.is_empty() && remove.is_empty() {
            return Err(Refusal::Invalid("`add_readers` or `remove_readers` must name somebody".to_owned()));
        }
        let found = self.datasets.get(dataset).ok_or_else(|| missing("dataset", dataset))?;
        self.admit(who, &found.admins, dataset)?;
        if let Some(unknown) = add.iter().find(|reader| !self.directory.knows(reader)) {
            return Err(missing("person or group", unknown));
        }
        let (number, at) = self.write()?;
        // Looked up again because `write` borrows the world; nothing removes datasets.
        let found = self.datasets.get_mut(dataset).ok_or_else(|| missing("dataset", dataset))?;
        found.readers.retain(|reader| !remove.contains(reader));
        for reader in add {
            if !found.readers.contains(reader) {
                found.readers.push(reader.clone());
            }
        }
        let change = Change {
            change: format!("change:{number}"),
            dataset: dataset.to_owned(),
            by: who.account.clone(),
            at,
            added: add.to_vec(),
            removed: remove.to_vec(),
            readers: found.readers.clone(),
        };
        self.changes.push(change.clone());
        Ok(change)
    }
}

// ---- customers

impl World {
    pub fn customer_read(&self, who: &Caller, customer: &str) -> Result<Customer, Refusal> {
        self.admit(who, &self.customers.readers, customer)?;
        let number = customer.strip_prefix("customer:").and_then(|number| number.parse().ok());
        let number = number.filter(|number| (1..=self.customers.count).contains(number));
        let number: u32 = number.ok_or_else(|| missing("customer", customer))?;
        let pick = |from: &[&str], step: u32| from[(number / step) as usize % from.len()].to_owned();
        let (first, last) = (pick(&FIRST_NAMES, 1), pick(&LAST_NAMES, 7));
        Ok(Customer {
            customer: customer.to_owned(),
            mail: format!("{first}.{last}{number}@mail.example").to_lowercase(),
            name: format!("{first} {last}"),
            plan: pick(&["free", "team", "business"], 3),
        })
    }
}

const FIRST_NAMES: [&str; 7] = ["Ada", "Ben", "Cleo", "Dan", "Esther", "Finn", "Grace"];
const LAST_NAMES: [&str; 5] = ["Abel", "Brandt", "Castro", "Dietrich", "Engel"];

// ---- mail and calendar

impl World {
    pub fn mail_list(&self, who: &Caller, mailbox: Option<&str>) -> Result<MailList, Refusal> {
        let mailbox = self.own_or_any(who, mailbox, "mailbox")?;
        let mails = self
            .mails
            .values()
            .filter(|mail| self.is_in(mail, &mailbox))
            .map(|mail| MailEntry {
                mail: mail.mail.clone(),
                from: mail.from.clone(),
                at: mail.at.clone(),
                subject: mail.subject.clone(),
            })
            .collect();
        Ok(MailList { mailbox, mails })
    }

    pub fn mail_read(&self, who: &Caller, mail: &str) -> Result<Mail, Refusal> {
        let found = self.mails.get(mail).ok_or_else(|| missing("mail", mail))?;
        if who.opens_everything() || self.is_in(found, &who.account) {
            Ok(found.clone())
        } else {
            Err(Refusal::Forbidden(format!("`{mail}` is in another person's mailbox")))
        }
    }

    pub fn mail_send(&mut self, who: &Caller, to: &[String], subject: &str, text: &str) -> Result<Sent, Refusal> {
        listed("to", to)?;
        bounded("subject", subject, TITLE_BYTES_MAX)?;
        bounded("text", text, TEXT_BYTES_MAX)?;
        if to.is_empty() {
            return Err(Refusal::Invalid("`to` must name somebody".to_owned()));
        }
        if let Some(unknown) = to.iter().find(|name| !self.has_mailbox(name) && !is_outside(name)) {
            return Err(missing("recipient", unknown));
        }
        let (number, at) = self.write()?;
        let mail = Mail {
            mail: format!("mail:{number}"),
            from: who.account.clone(),
            to: to.to_vec(),
            at,
            subject: subject.to_owned(),
            text: text.to_owned(),
        };
        let sent = Sent { mail: mail.mail.clone(), to: mail.to.clone() };
        self.mails.insert(mail.mail.clone(), mail);
        Ok(sent)
    }

    pub fn calendar_list(&self, who: &Caller, calendar: Option<&str>) -> Result<EventList, Refusal> {
        let calendar = self.own_or_any(who, calendar, "calendar")?;
        let attends = |event: &&Event| self.directory.reaches(&event.attendees, &calendar);
        let events = self.events.values().filter(attends).cloned().collect();
        Ok(EventList { calendar, events })
    }

    pub fn calendar_create_event(&mut self, title: &str, start: &str, end: &str, attendees: &[String]) -> Result<Event, Refusal> {
        bounded("title", title, TITLE_BYTES_MAX)?;
        listed("attendees", attendees)?;
        if let Some(unknown) = attendees.iter().find(|name| !self.directory.knows(name)) {
            return Err(missing("person or group", unknown));
        }
        let (from, until) = (moment("start", start)?, moment("end", end)?);
        if until <= from {
            return Err(Refusal::Invalid("`end` must be after `start`".to_owned()));
        }
        let (number, _) = self.write()?;
        let event = Event {
            event: format!("event:{number}"),
            title: title.to_owned(),
            start: from.to_string(),
            end: until.to_string(),
            attendees: attendees.to_vec(),
        };
        self.events.insert(event.event.clone(), event.clone());
        Ok(event)
    }

    /// A person's own mailbox or calendar, or, for accounts without limits, anybody's.
    fn own_or_any(&self, who: &Caller, asked: Option<&str>, what: &str) -> Result<String, Refusal> {
        let asked = asked.unwrap_or(&who.account);
        if !self.has_mailbox(asked) || asked.starts_with('@') {
            return Err(missing(what, asked));
        }
        if who.opens_everything() || asked == who.account {
            Ok(asked.to_owned())
        } else {
            Err(Refusal::Forbidden(format!("the {what} of `{asked}` belongs to somebody else")))
        }
    }

    fn is_in(&self, mail: &Mail, mailbox: &str) -> bool {
        mail.from == mailbox || self.directory.reaches(&mail.to, mailbox)
    }

    fn has_mailbox(&self, name: &str) -> bool {
        self.directory.knows(name) || self.services.iter().any(|service| service == name)
    }
}

// ---- the system of record

impl World {
    /// Every forum, thread, runbook and dataset as its access list stands now. A thread is seen by those who see its forum.
    pub fn records(&self) -> Vec<Record> {
        let forums = self.forums.values().map(|forum| Record {
            id: forum.id.clone(),
            title: forum.title.clone(),
            owner: None,
            readers: forum.audience.clone(),
            classification: None,
            categories: Vec::new(),
        });
        let threads = self.threads.values().map(|thread| Record {
            id: thread.id.clone(),
            title: thread.title.clone(),
            owner: None,
            readers: self.forums.get(&thread.forum).map(|forum| forum.audience.clone()).unwrap_or_default(),
            classification: None,
            categories: Vec::new(),
        });
        let runbooks = self.runbooks.values().map(|runbook| Record {
            id: runbook.runbook.clone(),
            title: runbook.title.clone(),
            owner: Some(runbook.owner.clone()),
            readers: runbook.readers.clone(),
            classification: Some(runbook.classification.clone()),
            categories: Vec::new(),
        });
        let datasets = self.datasets.values().map(|dataset| Record {
            id: dataset.id.clone(),
            title: dataset.title.clone(),
            owner: Some(dataset.owner.clone()),
            readers: dataset.readers.clone(),
            classification: Some(dataset.classification.clone()),
            categories: dataset.categories.clone(),
        });
        forums.chain(threads).chain(runbooks).chain(datasets).collect()
    }
}

// ---- what the operations lean on

impl World {
    fn admit(&self, who: &Caller, list: &[String], item: &str) -> Result<(), Refusal> {
        if who.opens_everything() || self.directory.reaches(list, &who.account) {
            Ok(())
        } else {
            Err(Refusal::Forbidden(format!("`{}` is not on the access list of `{item}`", who.account)))
        }
    }

    /// The number and the moment of one more write.
    fn write(&mut self) -> Result<(u32, String), Refusal> {
        if self.writes >= WRITES_MAX {
            return Err(Refusal::Full);
        }
        self.writes += 1;
        self.clock += SignedDuration::from_mins(1);
        // Far above the seeded numbers, so that what was made since the start can be told at a glance.
        Ok((90_000 + self.writes, self.clock.to_string()))
    }
}

/// The text, lower case, cut into words.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether a recipient is a mail address outside the company.
pub(crate) fn is_outside(recipient: &str) -> bool {
    recipient.split_once('@').is_some_and(|(user, domain)| {
        !user.is_empty() && domain.contains('.') && !domain.contains('@') && !recipient.contains(char::is_whitespace)
    })
}

/// The paragraph with most of the wanted words, and how many of them the page has.
fn best_passage<'page>(runbook: &'page Runbook, wanted: &[String]) -> Option<(usize, &'page str)> {
    let count = |text: &str| {
        let there = words(text);
        wanted.iter().filter(|word| there.contains(word)).count()
    };
    let found = count(&runbook.title) + count(&runbook.text);
    let passage = runbook.text.rsplit("\n\n").max_by_key(|paragraph| count(paragraph))?;
    (found > 0).then_some((found, passage))
}

fn missing(what: &str, id: &str) -> Refusal {
    let shown: String = id.chars().take(80).collect();
    Refusal::NotFound(format!("there is no {what} `{shown}`"))
}

fn bounded(name: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    match text.len() {
        0 => Err(Refusal::Invalid(format!("`{name}` is empty"))),
        length if length > bytes_max => {
            Err(Refusal::Invalid(format!("`{name}` has {length} bytes, at most {bytes_max} are taken")))
        }
        _ => Ok(()),
    }
}

fn listed(name: &str, list: &[String]) -> Result<(), Refusal> {
    if list.len() > LIST_MAX {
        return Err(Refusal::Invalid(format!("`{name}` has {} entries, at most {LIST_MAX} are taken", list.len())));
    }
    Ok(())
}

fn moment(name: &str, text: &str) -> Result<Timestamp, Refusal> {
    text.parse().map_err(|_| Refusal::Invalid(format!("`{name}` must be a moment such as `2026-03-13T09:00:00Z` (RFC 3339)")))
}

// ---- the things themselves, as they are stored and shown

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forum {
    pub id: String,
    title: String,
    pub audience: Vec<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thread {
    pub id: String,
    pub forum: String,
    pub title: String,
    pub posts: Vec<Post>,
}

/// One post of a thread.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Post {
    #[serde(alias = "id")]
    pub post: String,
    pub author: String,
    pub at: String,
    pub text: String,
}

/// A runbook page with its access list.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runbook {
    #[serde(alias = "id")]
    pub runbook: String,
    pub title: String,
    pub owner: String,
    pub readers: Vec<String>,
    pub classification: String,
    pub text: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dataset {
    pub id: String,
    pub title: String,
    pub owner: String,
    pub classification: String,
    pub categories: Vec<String>,
    pub readers: Vec<String>,
    /// Who is cleared for what is in it, whatever the access list says.
    pub cleared: Vec<String>,
    pub admins: Vec<String>,
    pub personal_columns: Vec<String>,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The customers, who are made when they are looked up.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customers {
    pub readers: Vec<String>,
    pub count: u32,
}

/// One customer.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Customer {
    pub customer: String,
    pub name: String,
    pub mail: String,
    pub plan: String,
}

/// One mail.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    #[serde(alias = "id")]
    pub mail: String,
    pub from: String,
    pub to: Vec<String>,
    pub at: String,
    pub subject: String,
    pub text: String,
}

/// One event of a calendar.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    #[serde(alias = "id")]
    pub event: String,
    pub title: String,
    pub start: String,
    pub end: String,
    pub attendees: Vec<String>,
}

/// A change of an access list, and the list as it is since.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Change {
    pub change: String,
    pub dataset: String,
    pub by: String,
    pub at: String,
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub readers: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ThreadList {
    threads: Vec<ThreadEntry>,
}

#[derive(Serialize, JsonSchema)]
struct ThreadEntry {
    thread: String,
    forum: String,
    title: String,
    posts: usize,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ThreadPage {
    thread: String,
    forum: String,
    title: String,
    posts: Vec<Post>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Posted {
    post: String,
    thread: String,
    forum: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct RunbookHits {
    hits: Vec<RunbookHit>,
}

#[derive(Serialize, JsonSchema)]
struct RunbookHit {
    runbook: String,
    title: String,
    passage: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct DatasetList {
    datasets: Vec<DatasetEntry>,
}

#[derive(Serialize, JsonSchema)]
struct DatasetEntry {
    dataset: String,
    title: String,
    owner: String,
    classification: String,
    categories: Vec<String>,
    readers: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct DatasetRows {
    dataset: String,
    classification: String,
    categories: Vec<String>,
    rows: Vec<BTreeMap<String, String>>,
    total: usize,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct MailList {
    mailbox: String,
    mails: Vec<MailEntry>,
}

#[derive(Serialize, JsonSchema)]
struct MailEntry {
    mail: String,
    from: String,
    at: String,
    subject: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Sent {
    mail: String,
    to: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct EventList {
    calendar: String,
    events: Vec<Event>,
}

// ---- from the data file

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    clock: Timestamp,
    staff: Vec<String>,
    people: BTreeMap<String, String>,
    groups: BTreeMap<String, Vec<String>>,
    roles: BTreeMap<String, Role>,
    accounts: Vec<Account>,
    forums: Vec<Forum>,
    threads: Vec<Thread>,
    runbooks: Vec<Runbook>,
    datasets: Vec<Dataset>,
    customers: Customers,
    mails: Vec<Mail>,
    events: Vec<Event>,
}

/// Reads the data file; every name in a list must exist, because a misspelt group would quietly admit nobody.
fn load(text: &str) -> Result<Seeded, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut people = file.people;
    for id in expand_all(&file.staff)? {
        people.entry(id).or_insert_with(|| "employee".to_owned());
    }
    let groups =
        file.groups.into_iter().map(|(name, members)| Ok((name, expand_all(&members)?))).collect::<Result<_, String>>()?;
    let directory = Directory { people, groups };
    let accounts = Accounts::new(file.roles, file.accounts)?;

    let lists = (directory.groups.values())
        .chain(file.forums.iter().map(|forum| &forum.audience))
        .chain(file.runbooks.iter().map(|runbook| &runbook.readers))
        .chain(file.datasets.iter().flat_map(|dataset| [&dataset.readers, &dataset.cleared, &dataset.admins]))
        .chain(std::iter::once(&file.customers.readers))
        .chain(file.events.iter().map(|event| &event.attendees));
    for entry in lists.flatten() {
        if !directory.knows(entry) {
            return Err(format!("`{entry}` is neither a person nor a group"));
        }
    }
    let services = accounts.services(&directory);
    let world = World {
        directory,
        forums: by_id(file.forums, |forum| &forum.id)?,
        threads: by_id(file.threads, |thread| &thread.id)?,
        runbooks: by_id(file.runbooks, |runbook| &runbook.runbook)?,
        datasets: by_id(file.datasets, |dataset| &dataset.id)?,
        customers: file.customers,
        mails: by_id(file.mails, |mail| &mail.mail)?,
        events: by_id(file.events, |event| &event.event)?,
        changes: Vec::new(),
        services,
        clock: file.clock,
        writes: 0,
    };
    match world.threads.values().find(|thread| !world.forums.contains_key(&thread.forum)) {
        Some(thread) => Err(format!("`{}` is in the unknown forum `{}`", thread.id, thread.forum)),
        None => Ok(Seeded { accounts, world }),
    }
}

fn expand_all(entries: &[String]) -> Result<Vec<String>, String> {
    let expanded: Result<Vec<_>, _> =
        entries.iter().map(|entry| expand(entry).ok_or_else(|| format!("`{entry}` is not a range"))).collect();
    Ok(expanded?.concat())
}

fn by_id<T>(things: Vec<T>, id: impl Fn(&T) -> &String) -> Result<BTreeMap<String, T>, String> {
    let mut map = BTreeMap::new();
    for thing in things {
        let id = id(&thing).clone();
        if map.insert(id.clone(), thing).is_some() {
            return Err(format!("`{id}` is there twice"));
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests;
