//! Reads a configuration with all the files that it names, and reports everything that is wrong with them at once.
//!
//! The way of a file: TOML → the schema of the settings (`shape`) → settings → what the judge says of the directory and the policies,
//! brought back to the place where it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use judge::directory::DirectoryError;
use judge::event::Bundle;
use judge::policy::{PolicySources, Source};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::settings::{DirectorySettings, Settings};
use super::shape;

/// The largest configuration file, in bytes. A directory of a hundred thousand grants fits.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files of one folder of policies.
const POLICY_FILES_MAX: usize = judge::policy::POLICIES_MAX;

/// A configuration that holds together.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it says, with the included directory.
    pub settings: Settings,
    /// What decisions are made under.
    pub bundle: Bundle,
}

impl Loaded {
    /// A path of the settings, seen from the file.
    pub fn beside(&self, path: &str) -> PathBuf {
        beside(&self.path, path)
    }
}

/// Reads the configuration at `path`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    load_with(path, true)
}

/// The same, where the contract files that it names need not be there yet.
///
/// # Errors
/// Everything else that is wrong with it.
pub fn load_before_contracts(path: &Path) -> Result<Loaded, Problems> {
    load_with(path, false)
}

fn load_with(path: &Path, contracts: bool) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let main_text = Text::read(path, None, &mut problems);
    let main = main_text.as_ref().and_then(|text| TomlFile::parse(text, &mut problems));
    let settings = main.as_ref().and_then(|file| file.settings::<Settings>(&super::schema(), &mut problems));
    let (Some(main), Some(mut settings)) = (main, settings) else { return Err(problems) };

    let included = settings.directory.clone().map(|name| {
        let place = (main.text, main.span(&["directory"]));
        Text::read(&beside(path, &name), Some(place), &mut problems)
    });
    let mut files = vec![main];
    if let Some(text) = &included {
        let directory = text.as_ref().and_then(|text| TomlFile::parse(text, &mut problems));
        let parsed =
            directory.as_ref().and_then(|file| file.settings::<DirectorySettings>(&super::directory_schema(), &mut problems));
        let (Some(directory), Some(parsed)) = (directory, parsed) else { return Err(problems) };
        settings.include(parsed);
        files.push(directory);
    }
    check_server(&settings, &files[0], &mut problems);
    check_upstreams(contracts.then_some(path), &settings, &files[0], &mut problems);
    let policies = policies(path, &settings, &files[0], &mut problems);
    let bundle = Bundle { directory: settings.document(), policies, ..Bundle::default() };
    if let Err(errors) = judge::state::check(&bundle) {
        for error in &errors.directory {
            let (file, span) = files
                .iter()
                .find_map(|file| place_of(error, file, &files).map(|span| (file, Some(span))))
                .unwrap_or((&files[0], None));
            problems.add(&file.text.name, &file.text.text, vec![directory_problem(error, &settings).at(span)]);
        }
        policy_problems(&errors.policies, &bundle.policies, &mut problems);
    }
    if problems.count() == 0 { Ok(Loaded { path: path.to_owned(), settings, bundle }) } else { Err(problems) }
}

/// Reads all `.cedar` files of a folder, in order of their names.
///
/// # Errors
/// What cannot be read.
pub fn read_policies(folder: &Path) -> Result<Vec<Source>, Problem> {
    let fail = |path: &Path, error: &dyn std::fmt::Display| Problem::new(format!("`{}`: {error}", path.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| fail(folder, &error))? {
        let path = entry.map_err(|error| fail(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Problem::new(format!("`{}` has no `.cedar` file", folder.display())));
    }
    if paths.len() > POLICY_FILES_MAX {
        return Err(Problem::new(format!(
            "`{}` has {} policy files, at most {POLICY_FILES_MAX} are allowed",
            folder.display(),
            paths.len()
        )));
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let text = bounded(&path).map_err(|error| fail(&path, &error))?;
        // Files are named within their folder: the same policies are the same wherever they lie.
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        sources.push(Source { name, text });
    }
    Ok(sources)
}

/// Brings what is wrong in policies to the files in which it stands. What is wrong at one place for several actions is said once.
pub fn policy_problems(errors: &[judge::policy::PolicyError], sources: &PolicySources, problems: &mut Problems) {
    let mut at_place: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for error in errors {
        // Without a span, nothing says that two are the same.
        let apart = if error.span.is_none() { error.message.as_str() } else { "" };
        at_place.entry((&error.source_name, error.span, &error.help, apart)).or_default().insert(&error.message);
    }
    for ((name, span, help, _), messages) in at_place {
        let source = sources.grants.iter().chain(&sources.norms).find(|source| source.name == *name);
        let text: Arc<str> = Arc::from(source.map_or("", |source| source.text.as_str()));
        let span = span.map(|(start, length)| start..start + length).filter(|span| span.end <= text.len());
        let more = match messages.len() {
            1 => String::new(),
            many => format!(" (and for {} more)", many - 1),
        };
        let message = messages.first().map_or_else(String::new, |message| format!("{message}{more}"));
        problems.add(name, &text, vec![Problem { message, help: help.clone(), span }]);
    }
}

/// A file's text under the name by which people know it.
struct Text {
    name: String,
    text: Arc<str>,
}

impl Text {
    /// Reads the file; what goes wrong is reported at `named`, the place that names it, where there is one.
    fn read(path: &Path, named: Option<(&Text, Option<Range<usize>>)>, problems: &mut Problems) -> Option<Text> {
        let name = path.display().to_string();
        match bounded(path) {
            Ok(text) => Some(Text { name, text: text.into() }),
            Err(error) => {
                match named {
                    Some((by, span)) => {
                        problems.add(&by.name, &by.text, vec![Problem::new(format!("`{name}`: {error}")).at(span)])
                    }
                    None => {
                        let problem =
                            Problem::new(unreadable(&error)).help("`prudence init` writes a configuration to begin with");
                        problems.add(&name, &Arc::from(""), vec![problem]);
                    }
                }
                None
            }
        }
    }
}

/// A file's values with their places.
struct TomlFile<'t> {
    text: &'t Text,
    table: Spanned<DeTable<'t>>,
}

impl<'t> TomlFile<'t> {
    fn parse(text: &'t Text, problems: &mut Problems) -> Option<TomlFile<'t>> {
        let (table, errors) = DeTable::parse_recoverable(&text.text);
        if errors.is_empty() {
            return Some(TomlFile { text, table });
        }
        let found = errors
            .iter()
            .take(shape::PROBLEMS_MAX)
            .map(|error| Problem::new(format!("not TOML: {}", error.message())).at(error.span()));
        problems.add(&text.name, &text.text, found.collect());
        None
    }

    fn settings<T: DeserializeOwned>(&self, schema: &serde_json::Value, problems: &mut Problems) -> Option<T> {
        let found = shape::check(schema, &self.table);
        if !found.is_empty() {
            problems.add(&self.text.name, &self.text.text, found);
            return None;
        }
        match T::deserialize(toml::de::Deserializer::from(self.table.clone())) {
            Ok(settings) => Some(settings),
            // What only a type can say: a name with a control character, say.
            Err(error) => {
                problems.add(&self.text.name, &self.text.text, vec![Problem::new(error.message()).at(error.span())]);
                None
            }
        }
    }

    /// The value at this path of keys and numbers (from 0).
    fn value(&self, path: &[&str]) -> Option<&Spanned<DeValue<'t>>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.table.get_ref().iter().find(|(key, _)| key.get_ref() == first)?.1;
        for step in rest {
            value = match value.get_ref() {
                DeValue::Table(table) => table.iter().find(|(key, _)| key.get_ref() == step)?.1,
                DeValue::Array(array) => array.get(step.parse::<usize>().ok()?)?,
                DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                    return None;
                }
            };
        }
        Some(value)
    }

    fn span(&self, path: &[&str]) -> Option<Range<usize>> {
        self.value(path).map(Spanned::span)
    }

    /// How many elements a list of tables has.
    fn length(&self, section: &str) -> usize {
        self.value(&[section]).and_then(|value| value.get_ref().as_array()).map_or(0, |array| array.len())
    }

    /// The element of a list of tables that has this `id`.
    fn with_id(&self, section: &str, id: &str) -> Option<&Spanned<DeValue<'t>>> {
        let array = self.value(&[section])?.get_ref().as_array()?;
        array.iter().find(|value| value.get_ref().get("id").is_some_and(|found| found.get_ref().as_str() == Some(id)))
    }

    fn report(&self, problem: Problem, problems: &mut Problems) {
        problems.add(&self.text.name, &self.text.text, vec![problem]);
    }
}

/// Where texts equal to `text` stand in `value`, but for its own `id`.
fn texts(value: &Spanned<DeValue<'_>>, text: &str, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::String(here) if here == text => found.push(value.span()),
        DeValue::Array(array) => array.iter().for_each(|item| texts(item, text, found)),
        DeValue::Table(table) => table.iter().for_each(|(_, item)| texts(item, text, found)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn last_text(value: &Spanned<DeValue<'_>>, text: &str) -> Option<Range<usize>> {
    let mut found = Vec::new();
    texts(value, text, &mut found);
    found.sort_by_key(|span| span.start);
    found.pop()
}

/// Where in `file`, one of `files`, the judge's complaint has its cause.
fn place_of(error: &DirectoryError, file: &TomlFile<'_>, files: &[TomlFile<'_>]) -> Option<Range<usize>> {
    let (place, name) = match error {
        DirectoryError::Twice { place, id } => (place, id.as_str()),
        DirectoryError::Unknown { place, name } | DirectoryError::Cycle { place, name } => (place, name.as_str()),
        DirectoryError::Pattern { place, pattern } => (place, pattern.as_str()),
        DirectoryError::Name { place, .. } => (place, ""),
    };
    // Places are `people`, `groups.NAME`, `items.ID`, `items.ID.owner`, `grants[N]`.
    if let Some(number) = place.strip_prefix("grants[").and_then(|rest| rest.strip_suffix(']')) {
        let mut number: usize = number.parse().ok()?;
        for before in files.iter().take_while(|before| !std::ptr::eq(*before, file)) {
            number = number.checked_sub(before.length("grants"))?;
        }
        let grant = file.value(&["grants", &number.to_string()])?;
        return last_text(grant, name).or(Some(grant.span()));
    }
    let Some((section, id)) = place.split_once('.') else {
        return file.value(&[place]).and_then(|section| last_text(section, name));
    };
    if section == "groups" {
        let group = file.value(&["groups", id])?;
        return last_text(group, name).or_else(|| last_text(group, &format!("@{name}"))).or(Some(group.span()));
    }
    let element = file.with_id(section, id.strip_suffix(".owner").unwrap_or(id))?;
    last_text(element, name).or(Some(element.span()))
}

fn directory_problem(error: &DirectoryError, settings: &Settings) -> Problem {
    let problem = Problem::new(error.to_string());
    let DirectoryError::Unknown { name, .. } = error else { return problem };
    let groups: Vec<String> = settings.groups.keys().map(|group| format!("@{group}")).collect();
    let known = settings
        .people
        .iter()
        .map(|person| person.id.as_str())
        .chain(settings.agents.iter().map(|agent| agent.id.as_str()))
        .chain(settings.destinations.iter().map(|destination| destination.id.as_str()))
        .chain(groups.iter().map(String::as_str));
    match shape::suggest(name, known) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn check_server(settings: &Settings, file: &TomlFile<'_>, problems: &mut Problems) {
    if settings.server.listen.parse::<std::net::SocketAddr>().is_err() {
        let problem =
            Problem::new(format!("`server.listen`: expected an address and a port, found `{}`", settings.server.listen))
                .help("like `127.0.0.1:8787`, or `[::1]:8787`");
        file.report(problem.at(file.span(&["server", "listen"])), problems);
    }
}

fn check_upstreams(contracts_beside: Option<&Path>, settings: &Settings, file: &TomlFile<'_>, problems: &mut Problems) {
    for (at, upstream) in settings.upstreams.iter().enumerate() {
        let number = at.to_string();
        let span = |key: &str| file.span(&["upstreams", &number, key]).or_else(|| file.span(&["upstreams", &number]));
        let name = &upstream.name;
        let mut report = |message: String, help: &str, key: &str| {
            let problem = Problem::new(message).at(span(key));
            file.report(if help.is_empty() { problem } else { problem.help(help) }, problems);
        };
        match (&upstream.url, &upstream.command) {
            (Some(_), Some(_)) => {
                report(format!("upstream `{name}` has both `url` and `command`"), "one of them says how it is reached", "command")
            }
            (None, None) => {
                report(format!("upstream `{name}` has neither `url` nor `command`"), "one of them says how it is reached", "name")
            }
            (Some(url), None) => {
                if !(url.starts_with("http://") || url.starts_with("https://")) {
                    report(format!("`{url}` of upstream `{name}` is not an absolute http or https url"), "", "url");
                }
                for (key, set) in [
                    ("args", !upstream.args.is_empty()),
                    ("env", !upstream.env.is_empty()),
                    ("env_from", !upstream.env_from.is_empty()),
                ] {
                    if set {
                        report(
                            format!("upstream `{name}` is reached by `url`, so `{key}` means nothing"),
                            "it belongs to `command`",
                            key,
                        );
                    }
                }
            }
            (None, Some(_)) if !upstream.headers_from_env.is_empty() => {
                report(
                    format!("upstream `{name}` is a command, so `headers_from_env` means nothing"),
                    "it belongs to `url`",
                    "headers_from_env",
                );
            }
            (None, Some(_)) => {}
        }
        if settings.upstreams[..at].iter().any(|other| other.name == *name) {
            report(format!("two upstreams are called `{name}`"), "", "name");
        }
        if let Some(prefix) =
            upstream.prefix.as_ref().filter(|prefix| prefix.contains(gateway::NAME_SEPARATOR) || prefix.ends_with('_'))
        {
            report(
                format!("prefix `{prefix}` of upstream `{name}` holds `__` or ends with `_`"),
                "a name like `a__b` could then mean either",
                "prefix",
            );
        }
        if let (Some(path), Some(contract)) = (contracts_beside, &upstream.contract) {
            let at = beside(path, contract);
            if !at.is_file() {
                report(
                    format!("contract `{}` of upstream `{name}` is not there", at.display()),
                    "`prudence contract draft` writes one from the server's list of tools",
                    "contract",
                );
            }
        }
    }
}

fn policies(path: &Path, settings: &Settings, file: &TomlFile<'_>, problems: &mut Problems) -> PolicySources {
    let mut sources = PolicySources::shipped();
    for (key, folder, shipped) in
        [("norms", &settings.policies.norms, &mut sources.norms), ("grants", &settings.policies.grants, &mut sources.grants)]
    {
        let Some(folder) = folder else { continue };
        match read_policies(&beside(path, folder)) {
            Ok(read) => *shipped = read,
            Err(problem) => file.report(problem.at(file.span(&["policies", key])), problems),
        }
    }
    sources
}

/// A path as a file at `file` means it.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// Why the configuration cannot be read, in our words where it is the usual reason.
fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such configuration file".to_owned(),
        _ => error.to_string(),
    }
}

/// Reads a text file of at most [`FILE_BYTES_MAX`].
fn bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}
