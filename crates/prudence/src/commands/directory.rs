//! `prudence directory`: people, groups, items and destinations from files. A whole import holds, or nothing of it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use engine::ChangeDirectoryError;
use indicatif::{ProgressBar, ProgressStyle};
use judge::directory::{
    Attributes, DestinationRecord, Directory, DirectoryChange, DirectoryError, GrantRecord, ItemRecord, PersonRecord, STANDING,
    Status, Values,
};
use judge::event::DirectoryChanged;
use judge::label::{Classification, Integrity};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ldif::Export;
use super::{Context, print, print_json};
use crate::assemble::{self, configuration};
use crate::cli::{DirectoryCommand, Import, ImportKind, Output};
use crate::failure::code;
use crate::render::{BAD, BOLD, DIM, GOOD, count};

/// How many problems are shown; their number is always said.
const PROBLEMS_MAX: usize = 100;
/// How much of an import is one record of the ledger, in bytes of JSON.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// What stands between names inside of one field of a table.
const LIST_SEPARATOR: char = ';';

/// Runs the command.
///
/// # Errors
/// When files cannot be read, or hold what is wrong.
pub async fn run(context: &Context, command: DirectoryCommand) -> anyhow::Result<ExitCode> {
    match command {
        DirectoryCommand::Import(command) => import(context, &command).await,
        DirectoryCommand::Show => show(context),
    }
}

/// Where a change was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub file: PathBuf,
    pub line: u64,
}

/// What was read, and what could not be.
#[derive(Default)]
struct Read {
    changes: Vec<DirectoryChange>,
    /// By what a change states, as errors name it: `people.bo`.
    places: BTreeMap<String, Place>,
    problems: Vec<(Place, String)>,
}

async fn import(context: &Context, command: &Import) -> anyhow::Result<ExitCode> {
    let mut read = Read::default();
    let mut export = Export::default();
    for file in &command.files {
        let bar = progress(file)?;
        match command.kind {
            Some(ImportKind::Ldif) => export
                .read(file, open(file)?, |place, what| read.problem(&place, what), |bytes| bar.inc(bytes))
                .with_context(|| format!("`{}` cannot be read as text", file.display()))?,
            Some(ImportKind::People) => read.table(file, row::<PersonRow>, &bar)?,
            Some(ImportKind::Members) => read.table(file, row::<MemberRow>, &bar)?,
            Some(ImportKind::Items) => read.table(file, row::<ItemRow>, &bar)?,
            Some(ImportKind::Destinations) => read.table(file, row::<DestinationRow>, &bar)?,
            Some(ImportKind::Grants) => read.table(file, row::<GrantRow>, &bar)?,
            None => read.lines(file, &bar)?,
        }
        bar.finish_and_clear();
    }
    // Members are named by where they stand in the tree, perhaps in another file.
    for (place, change) in export.changes(|place, what| read.problem(&place, what)) {
        read.add(place, change);
    }
    let found = read.changes.len() as u64;
    if read.problems.is_empty() {
        let house = assemble::open_for_import(configuration(&context.config)?)?;
        house.configure().await?;
        let batches = batches(&house, std::mem::take(&mut read.changes), &command.files)?;
        let result =
            if command.dry_run { house.engine.check_directory(&batches) } else { house.engine.change_directory(batches).await };
        match result {
            Ok(()) => {}
            Err(ChangeDirectoryError::Bad(errors)) => errors.iter().for_each(|error| read.blame(error, &command.files)),
            Err(error @ ChangeDirectoryError::Unavailable(_)) => return Err(error.into()),
        }
    }
    report(context, command, found, &read.problems)
}

fn report(context: &Context, command: &Import, found: u64, problems: &[(Place, String)]) -> anyhow::Result<ExitCode> {
    let holds = problems.is_empty();
    match context.output {
        Output::Json => {
            let problems: Vec<_> =
                problems.iter().map(|(place, what)| json!({ "file": place.file, "line": place.line, "problem": what })).collect();
            print_json(&json!({ "changes": found, "imported": holds && !command.dry_run, "problems": problems }))?;
        }
        Output::Text => {
            let mut out = String::new();
            for (place, what) in problems.iter().take(PROBLEMS_MAX) {
                let _ = writeln!(out, "{BAD}{}:{}{BAD:#}: {what}", place.file.display(), place.line);
            }
            let changes = count(found, "change", "changes");
            let _ = match (holds, command.dry_run) {
                (true, false) => writeln!(out, "{GOOD}imported{GOOD:#} {BOLD}{changes}{BOLD:#}; the next decision knows them"),
                (true, true) => {
                    writeln!(out, "{GOOD}right{GOOD:#}: {BOLD}{changes}{BOLD:#} could be imported; nothing was changed")
                }
                (false, _) => writeln!(
                    out,
                    "{}{DIM}; nothing was imported{DIM:#}",
                    count(problems.len() as u64, "line is wrong", "lines are wrong")
                ),
            };
            print(&out)?;
        }
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(code::WRONG) })
}

fn show(context: &Context) -> anyhow::Result<ExitCode> {
    let (state, _) = super::reading(context)?;
    let counts = state.directory().counts();
    match context.output {
        Output::Json => print_json(&json!(counts))?,
        Output::Text => print(&format!(
            "{}, {}, {}, {}\n",
            count(counts.people as u64, "person", "people"),
            count(counts.groups as u64, "group", "groups"),
            count(counts.items as u64, "item", "items"),
            count(counts.destinations as u64, "destination", "destinations"),
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar over the bytes of a file; silent where nobody watches.
fn progress(file: &Path) -> anyhow::Result<ProgressBar> {
    let metadata = std::fs::metadata(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {eta}").expect("the template is right");
    let bar = ProgressBar::new(metadata.len()).with_style(style);
    Ok(bar.with_message(file.display().to_string()))
}

fn open(file: &Path) -> anyhow::Result<std::io::BufReader<std::fs::File>> {
    let opened = std::fs::File::open(file).with_context(|| format!("`{}` cannot be opened", file.display()))?;
    Ok(std::io::BufReader::new(opened))
}

/// One record of the ledger each. Groups and destinations come with their names first, so that what refers to them may come in any order.
fn batches(house: &assemble::House, changes: Vec<DirectoryChange>, files: &[PathBuf]) -> anyhow::Result<Vec<DirectoryChanged>> {
    let rank = |change: &DirectoryChange| match change {
        DirectoryChange::PutPerson(_) => 0,
        DirectoryChange::PutAgent(_) => 1,
        DirectoryChange::PutGroup { .. } | DirectoryChange::PutDestination(_) => 3,
        _ => 4,
    };
    let mut ordered: Vec<(u8, DirectoryChange)> = Vec::with_capacity(changes.len());
    let mut named = BTreeSet::new();
    for change in changes {
        let name = name_only(&change)
            .filter(|name| named.insert(format!("{name:?}")) && house.engine.view(|state, _| !is_known(state.directory(), name)));
        ordered.extend(name.map(|name| (2, name)));
        ordered.push((rank(&change), change));
    }
    ordered.sort_by_key(|(rank, _)| *rank);
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let empty = || DirectoryChanged { source: format!("import of {}", names.join(", ")), by: None, changes: Vec::new() };
    let (mut batches, mut bytes) = (vec![empty()], 0);
    for (_, change) in ordered {
        let size = serde_json::to_vec(&change)?.len();
        if bytes + size > BATCH_BYTES_MAX {
            batches.push(empty());
            bytes = 0;
        }
        bytes += size;
        batches.last_mut().expect("there is one").changes.push(change);
    }
    Ok(batches)
}

/// The group or destination that a change speaks of, with nobody in it.
fn name_only(change: &DirectoryChange) -> Option<DirectoryChange> {
    match change {
        DirectoryChange::PutGroup { id, .. } | DirectoryChange::AddMembers { group: id, .. } => {
            Some(DirectoryChange::PutGroup { id: id.clone(), members: Vec::new(), owner: None })
        }
        DirectoryChange::PutDestination(record) => Some(DirectoryChange::PutDestination(DestinationRecord {
            audience: Vec::new(),
            owner: None,
            known: false,
            id: record.id.clone(),
        })),
        _ => None,
    }
}

fn is_known(directory: &Directory, name: &DirectoryChange) -> bool {
    match name {
        DirectoryChange::PutGroup { id, .. } => directory.group(id.as_str()).is_some(),
        DirectoryChange::PutDestination(record) => directory.audience_of(record.id.as_str()).is_some(),
        _ => false,
    }
}

impl Read {
    fn problem(&mut self, place: &Place, what: impl Into<String>) {
        self.problems.push((place.clone(), what.into()));
    }

    fn add(&mut self, place: Place, change: DirectoryChange) {
        let stated = match &change {
            DirectoryChange::PutPerson(person) => format!("people.{}", person.id),
            DirectoryChange::PutAgent(agent) => format!("agents.{}", agent.id),
            DirectoryChange::PutGroup { id, .. } => format!("groups.{id}"),
            DirectoryChange::PutItem(item) => format!("items.{}", item.id),
            DirectoryChange::PutDestination(destination) => format!("destinations.{}", destination.id),
            _ => String::new(),
        };
        if !stated.is_empty()
            && let Some(before) = self.places.insert(stated, place.clone())
        {
            self.problem(&place, format!("the same was stated before, in line {} of `{}`", before.line, before.file.display()));
        }
        self.changes.push(change);
    }

    /// Finds the line that an error of the directory is about.
    fn blame(&mut self, error: &DirectoryError, files: &[PathBuf]) {
        let text = error.to_string();
        let stated = text.split(": ").next().unwrap_or_default();
        let place = self.places.get(stated).or_else(|| self.places.get(stated.trim_end_matches(".owner"))).cloned();
        let place = place.unwrap_or_else(|| Place { file: files.first().cloned().unwrap_or_default(), line: 0 });
        self.problem(&place, text);
    }

    /// One change a line, as JSON.
    fn lines(&mut self, file: &Path, bar: &ProgressBar) -> anyhow::Result<()> {
        for (line, text) in (1..).zip(open(file)?.lines()) {
            let text = text.with_context(|| format!("`{}` cannot be read as text", file.display()))?;
            bar.inc(text.len() as u64 + 1);
            let place = Place { file: file.to_owned(), line };
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<DirectoryChange>(&text) {
                Ok(change) => self.add(place, change),
                Err(error) => self.problem(&place, error.to_string()),
            }
        }
        Ok(())
    }

    /// A table with a heading (RFC 4180), one record a line.
    fn table(&mut self, file: &Path, row: ReadRow, bar: &ProgressBar) -> anyhow::Result<()> {
        let mut reader = csv::Reader::from_path(file).with_context(|| format!("`{}` cannot be opened", file.display()))?;
        let headers = reader.headers().with_context(|| format!("`{}` has no heading", file.display()))?.clone();
        let mut seen = BTreeSet::new();
        if let Some(twice) = headers.iter().find(|column| !seen.insert(*column)) {
            self.problem(&Place { file: file.to_owned(), line: 1 }, format!("the column `{twice}` is there twice"));
            return Ok(());
        }
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.problem(&Place { file: file.to_owned(), line }, error.to_string());
                    continue;
                }
            };
            let position = record.position();
            bar.set_position(position.map_or(0, csv::Position::byte));
            let place = Place { file: file.to_owned(), line: position.map_or(0, csv::Position::line) };
            match row(&record, &headers) {
                Ok(change) => self.add(place, change),
                Err(what) => self.problem(&place, what),
            }
        }
        Ok(())
    }
}

/// A line of a table.
trait Row: DeserializeOwned {
    fn change(self) -> Result<DirectoryChange, String>;
}

type ReadRow = fn(&csv::StringRecord, &csv::StringRecord) -> Result<DirectoryChange, String>;

fn row<R: Row>(record: &csv::StringRecord, headers: &csv::StringRecord) -> Result<DirectoryChange, String> {
    record.deserialize::<R>(Some(headers)).map_err(|error| error.to_string())?.change()
}

/// Names inside of one field.
fn list<T: FromIterator<String>>(field: &str) -> T {
    field.split(LIST_SEPARATOR).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn name<T: std::str::FromStr<Err = judge::name::NameError>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|error| format!("`{text}`: {error}"))
}

fn owner(text: &str) -> Result<Option<judge::name::PrincipalId>, String> {
    if text.trim().is_empty() { Ok(None) } else { name(text).map(Some) }
}

fn shared(field: &str) -> BTreeSet<std::sync::Arc<str>> {
    list::<Vec<String>>(field).into_iter().map(Into::into).collect()
}

/// A word of a closed list, as configuration files write it; nothing is what it is when nothing is said.
fn word<T: serde::de::DeserializeOwned + Default>(text: &str, what: &str) -> Result<T, String> {
    match text.trim() {
        "" => Ok(T::default()),
        text => serde_json::from_value(json!(text)).map_err(|_| format!("`{text}` is no {what}")),
    }
}

/// Fields by column; those of `attributes.NAME` are attributes, which clearance by rule looks at.
#[derive(Deserialize)]
struct PersonRow(BTreeMap<String, String>);

impl Row for PersonRow {
    fn change(mut self) -> Result<DirectoryChange, String> {
        let mut take = |column: &str| self.0.remove(column).unwrap_or_default();
        let id = take("id");
        let addresses = list(&take("addresses"));
        let clearance = match take("clearance").trim() {
            "" => None,
            text => Some(word::<Classification>(text, "classification")?),
        };
        let categories = shared(&take("categories"));
        let status = word::<Status>(&take("status"), "status")?;
        let mut attributes = Attributes::default();
        for (column, values) in &self.0 {
            // A misspelt `status` must not become an attribute, and leave somebody here who has left.
            let known = column.strip_prefix("attributes.").filter(|name| !name.is_empty());
            let attribute = known.ok_or_else(|| format!("unknown column `{column}`; an attribute's is `attributes.NAME`"))?;
            let values = shared(values);
            if !values.is_empty() {
                attributes.0.insert(attribute.into(), Values(values));
            }
        }
        let person = PersonRecord::new(name(&id)?);
        Ok(DirectoryChange::PutPerson(PersonRecord { addresses, clearance, categories, status, attributes, ..person }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberRow {
    group: String,
    member: String,
}

impl Row for MemberRow {
    fn change(self) -> Result<DirectoryChange, String> {
        Ok(DirectoryChange::AddMembers { group: name(&self.group)?, members: vec![self.member.trim().to_owned()] })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemRow {
    id: String,
    readers: Option<String>,
    #[serde(default)]
    classification: String,
    #[serde(default)]
    categories: String,
    purposes: Option<String>,
    #[serde(default)]
    integrity: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    container: String,
}

impl Row for ItemRow {
    /// An empty field of readers says that they are unknown, which fails closed.
    fn change(self) -> Result<DirectoryChange, String> {
        let said = |field: &Option<String>| field.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(DirectoryChange::PutItem(ItemRecord {
            id: name(&self.id)?,
            readers: said(&self.readers).map(|readers| list(&readers)),
            classification: word(&self.classification, "classification")?,
            categories: shared(&self.categories),
            purposes: said(&self.purposes).map(|purposes| shared(&purposes)),
            integrity: word::<Integrity>(&self.integrity, "integrity")?,
            owner: owner(&self.owner)?,
            container: if self.container.trim().is_empty() { None } else { Some(name(&self.container)?) },
        }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationRow {
    id: String,
    audience: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    known: String,
}

impl Row for DestinationRow {
    fn change(self) -> Result<DirectoryChange, String> {
        let known = match self.known.trim() {
            "" | "false" => false,
            "true" => true,
            other => return Err(format!("`known` is `{other}`, expected `true` or `false`")),
        };
        Ok(DirectoryChange::PutDestination(DestinationRecord {
            id: name(&self.id)?,
            audience: list(&self.audience),
            owner: owner(&self.owner)?,
            known,
        }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantRow {
    to: String,
    may: String,
    on: String,
}

impl Row for GrantRow {
    fn change(self) -> Result<DirectoryChange, String> {
        let may = list::<Vec<String>>(&self.may)
            .iter()
            .map(|effect| serde_json::from_value(json!(effect)).map_err(|_| format!("`{effect}` is no effect")))
            .collect::<Result<_, _>>()?;
        Ok(DirectoryChange::PutGrant(GrantRecord {
            to: self.to.trim().to_owned(),
            may,
            on: list(&self.on),
            kind: STANDING.to_owned(),
        }))
    }
}
