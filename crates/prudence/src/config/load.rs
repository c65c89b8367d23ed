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
use super::settings::{DirectorySettings, Door, Settings};
use super::shape::{self, LeftOut, Unfit};

/// The largest configuration file, in bytes. A directory of a hundred thousand grants fits.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Errors that only a type can find, and that are reported at once: each costs another reading of the whole.
const MISREAD_MAX: usize = 20;
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
    load_with(path, ContractFiles::There)
}

/// The same, with what is wrong in the contract files that it names.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load_with_contracts(path: &Path) -> Result<Loaded, Problems> {
    load_with(path, ContractFiles::Right)
}

/// The same, where the contract files that it names need not be there yet.
///
/// # Errors
/// Everything else that is wrong with it.
pub fn load_before_contracts(path: &Path) -> Result<Loaded, Problems> {
    load_with(path, ContractFiles::Any)
}

/// What is expected of the contract files that a configuration names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ContractFiles {
    Any,
    There,
    Right,
}

fn load_with(path: &Path, contracts: ContractFiles) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let main_text = Text::read(path, None, &mut problems);
    let main = main_text.as_ref().and_then(|text| TomlFile::parse(text, &super::schema(), &mut problems));
    let Some((main, mut settings)) = main.and_then(|file| file.settings::<Settings>(&mut problems)) else { return Err(problems) };

    let included = settings.directory.clone().map(|name| {
        let place = (main.text, main.span(&["directory"]));
        Text::read(&beside(path, &name), Some(place), &mut problems)
    });
    let mut files = vec![main];
    if let Some(text) = &included {
        let directory = text.as_ref().and_then(|text| TomlFile::parse(text, &super::directory_schema(), &mut problems));
        let parsed = directory.and_then(|file| file.settings::<DirectorySettings>(&mut problems));
        // Without it nobody is known, and everybody would be reported.
        let Some((directory, parsed)) = parsed else { return Err(problems) };
        settings.include(parsed);
        files.push(directory);
    }
    check_server(&settings, &files[0], &mut problems);
    let of_doors = crate::door::problems(&settings, |file| beside(path, file));
    for (sentence, help, place) in of_doors.into_iter().chain(crate::credentials::problems(&settings)) {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        // A setting that is left out has the place of its section.
        let span = (1..=place.len()).rev().find_map(|keys| files[0].span(&place[..keys]));
        let problem = Problem::new(sentence).at(span);
        files[0].report(if help.is_empty() { problem } else { problem.help(help) }, &mut problems);
    }
    check_upstreams(&settings, &files[0], &mut problems);
    check_alarms(&settings, &files[0], &mut problems);
    check_contracts(contracts, path, &settings, &files[0], &mut problems);
    let policies = policies(path, &settings, &files[0], &mut problems);
    let bundle = Bundle { directory: settings.document(), policies, ..Bundle::default() };
    if let Err(errors) = judge::state::check(&bundle) {
        let is_caused_by_another = |error: &&DirectoryError| matches!(error, DirectoryError::Unknown { name, .. } if files.iter().any(|file| file.left_out.may_be(name)));
        for error in errors.directory.iter().filter(|error| !is_caused_by_another(error)) {
            let (file, span) = files
                .iter()
                .find_map(|file| place_of(error, file, &files).map(|span| (file, Some(span))))
                .unwrap_or((&files[0], None));
            problems.add(&file.text.name, &file.text.text, vec![directory_problem(error, &settings, &files).at(span)]);
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
    let fail = |path: &Path, error: &std::io::Error| {
        let help = "name a folder of `.cedar` files; without one, the shipped policies hold";
        Problem::unreadable("folder of policies", path, error).help(help)
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| fail(folder, &error))? {
        let path = entry.map_err(|error| fail(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Problem::new(format!("`{}` has no `.cedar` file", folder.display()))
            .help("without a folder, the shipped policies hold; `prudence norm list` shows them"));
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
                        let problem = Problem::unreadable("file", path, &error)
                            .help("a path is meant from the folder of the file that names it");
                        problems.add(&by.name, &by.text, vec![problem.at(span)])
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
    /// As it stands there.
    whole: Spanned<DeTable<'t>>,
    /// Without what does not fit: what the settings were read from.
    table: Spanned<DeTable<'t>>,
    unfit: Unfit,
    left_out: LeftOut,
}

impl<'t> TomlFile<'t> {
    /// Reads the file, and holds it against the schema.
    fn parse(text: &'t Text, schema: &serde_json::Value, problems: &mut Problems) -> Option<TomlFile<'t>> {
        let (whole, errors) = DeTable::parse_recoverable(&text.text);
        if errors.is_empty() {
            let (found, unfit) = shape::check(schema, &whole);
            problems.add(&text.name, &text.text, found);
            let mut left_out = LeftOut::default();
            let table = Spanned::new(whole.span(), unfit.without(whole.get_ref(), &mut left_out));
            return Some(TomlFile { text, whole, table, unfit, left_out });
        }
        let found = errors
            .iter()
            .take(shape::PROBLEMS_MAX)
            .map(|error| Problem::new(format!("not TOML: {}", error.message())).at(error.span()));
        problems.add(&text.name, &text.text, found.collect());
        None
    }

    /// The settings, as far as the file can be read.
    fn settings<T: DeserializeOwned>(mut self, problems: &mut Problems) -> Option<(Self, T)> {
        for _ in 0..MISREAD_MAX {
            match T::deserialize(toml::de::Deserializer::from(self.table.clone())) {
                Ok(settings) => return Some((self, settings)),
                // What only a type can say: a name with a control character, say.
                Err(error) => {
                    self.report(Problem::new(error.message()).at(error.span()), problems);
                    let is_found = error.span().is_some_and(|span| self.unfit.insert_around(self.table.get_ref(), &span));
                    if !is_found {
                        return None;
                    }
                    let without = self.unfit.without(self.table.get_ref(), &mut self.left_out);
                    self.table = Spanned::new(self.table.span(), without);
                }
            }
        }
        None
    }

    /// Which element of a list of tables of the file this is, from 1.
    fn number_of(&self, section: &str, element: &Spanned<DeValue<'_>>) -> Option<usize> {
        let (_, value) = self.whole.get_ref().iter().find(|(key, _)| key.get_ref() == section)?;
        let at = value.get_ref().as_array()?.iter().position(|other| other.span() == element.span())?;
        Some(at + 1)
    }

    /// Whether the file says something there that does not fit.
    fn has_unfit(&self, section: &str, element: &Spanned<DeValue<'_>>, keys: &[&str]) -> bool {
        let whole = self.whole.get_ref().iter().find(|(key, _)| key.get_ref() == section);
        let elements = whole.and_then(|(_, value)| value.get_ref().as_array()).into_iter().flat_map(|array| array.iter());
        let mut same = elements.filter(|other| other.span() == element.span());
        same.any(|other| keys.iter().any(|key| other.get_ref().get(key).is_some() && element.get_ref().get(key).is_none()))
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
        DirectoryError::Name { place, .. }
        | DirectoryError::Absent { place }
        | DirectoryError::InUse { place, .. }
        | DirectoryError::Unfit { place, .. }
        | DirectoryError::Declared { place } => (place, ""),
    };
    // Places are `people`, `groups.NAME`, `items.ID`, `items.ID.owner`, `grants[N]`, `clearance[N]`.
    for section in NUMBERED {
        if let Some(element) = numbered_at(section, place, file, files) {
            return last_text(element, name).or(Some(element.span()));
        }
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

/// What the judge speaks of by its number, because it has no name.
const NUMBERED: [&str; 2] = ["grants", "clearance"];

/// What is at the judge's place `grants[N]`, if it stands in `file`. The judge counts from 0, through all files.
fn numbered_at<'f, 't>(
    section: &str,
    place: &str,
    file: &'f TomlFile<'t>,
    files: &[TomlFile<'_>],
) -> Option<&'f Spanned<DeValue<'t>>> {
    let number = place.strip_prefix(section)?.strip_prefix('[')?.strip_suffix(']')?;
    let mut number: usize = number.parse().ok()?;
    for before in files.iter().take_while(|before| before.text.name != file.text.name) {
        number = number.checked_sub(before.length(section))?;
    }
    file.value(&[section, &number.to_string()])
}

fn directory_problem(error: &DirectoryError, settings: &Settings, files: &[TomlFile<'_>]) -> Problem {
    let mut error = error.clone();
    let (DirectoryError::Twice { place, .. }
    | DirectoryError::Unknown { place, .. }
    | DirectoryError::Cycle { place, .. }
    | DirectoryError::Pattern { place, .. }
    | DirectoryError::Name { place, .. }
    | DirectoryError::Absent { place }
    | DirectoryError::InUse { place, .. }
    | DirectoryError::Unfit { place, .. }
    | DirectoryError::Declared { place }) = &mut error;
    // As the file counts: each list from 1, as everywhere.
    let number_in = |section| files.iter().find_map(|file| file.number_of(section, numbered_at(section, place, file, files)?));
    let number = NUMBERED.iter().find_map(|section| Some((section, number_in(section)?)));
    *place = match number {
        Some((section, number)) => format!("`{section}.{number}`"),
        None => format!("`{place}`"),
    };
    let problem = Problem::new(error.to_string());
    let DirectoryError::Unknown { name, .. } = &error else { return problem };
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
    if settings.authzen.is_none() {
        return;
    }
    let mut report = |sentence: &str, help: &str, place: &[&str]| {
        file.report(Problem::new(sentence.to_owned()).help(help).at(file.span(place)), problems);
    };
    for client in settings.clients_of(Door::Authzen) {
        let is_upstream = settings.upstreams.iter().any(|upstream| upstream.name == client.as_str());
        if is_upstream || client.as_str().contains(gateway::NAME_SEPARATOR) || client.as_str().ends_with('_') {
            // Its acts are named after it, as those of an upstream.
            let sentence = format!("`{client}` of `[[clients]]` cannot be told from an upstream, or from another client");
            let help = "choose an id that is no upstream's name, has no `__` in it, and does not end in `_`";
            report(&sentence, help, &["clients"]);
        }
    }
    if settings.server.api_listen.is_none() {
        let help = "say where programs reach it, as in `api_listen = \"127.0.0.1:8788\"`";
        report("`[authzen]` is there, and `server.api_listen` is not", help, &["authzen"]);
    }
    let help = "say what enforcement points know it by, as in `api_url = \"https://pdp.example.com\"`";
    match &settings.server.api_url {
        None => report("`[authzen]` is there, and `server.api_url` is not", help, &["authzen"]),
        Some(url) => {
            if let Err(sentence) = gateway::authzen::check_public_url(url) {
                report(&format!("`server.api_url`, by which `[authzen]` is known: {sentence}"), help, &["server", "api_url"]);
            }
        }
    }
}

fn check_upstreams(settings: &Settings, file: &TomlFile<'_>, problems: &mut Problems) {
    for (at, upstream) in settings.upstreams.iter().enumerate() {
        let number = at.to_string();
        let span = |key: &str| file.span(&["upstreams", &number, key]).or_else(|| file.span(&["upstreams", &number]));
        let name = &upstream.name;
        let element = file.value(&["upstreams", &number]);
        let mut report = |message: String, help: &str, key: &str| {
            let problem = Problem::new(message).at(span(key));
            file.report(if help.is_empty() { problem } else { problem.help(help) }, problems);
        };
        match (&upstream.url, &upstream.command) {
            (Some(_), Some(_)) => {
                report(format!("upstream `{name}` has both `url` and `command`"), "one of them says how it is reached", "command")
            }
            (None, None) if element.is_some_and(|element| file.has_unfit("upstreams", element, &["url", "command"])) => {}
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
    }
}

fn check_alarms(settings: &Settings, file: &TomlFile<'_>, problems: &mut Problems) {
    for (at, alarm) in settings.alarms.iter().enumerate() {
        let number = at.to_string();
        let name = &alarm.name;
        let mut report = |message: String, help: &str, keys: &[&str]| {
            let place = [&["alarms", number.as_str()], keys].concat();
            let span = (2..=place.len()).rev().find_map(|keys| file.span(&place[..keys]));
            file.report(Problem::new(message).help(help).at(span), problems);
        };
        let ways = [alarm.webhook.is_some(), alarm.mail.is_some(), alarm.ocsf.is_some()];
        if ways.into_iter().filter(|is_there| *is_there).count() != 1 {
            report(
                format!("alarm `{name}` is to have one of `webhook`, `mail` and `ocsf`"),
                "each way is an alarm of its own",
                &["name"],
            );
        }
        if settings.alarms[..at].iter().any(|other| other.name == *name) {
            report(format!("two alarms are called `{name}`"), "what was sent is kept by name", &["name"]);
        }
        if let Some(webhook) = &alarm.webhook
            && let Err(what) = crate::alarms::address(&webhook.url, webhook.private)
        {
            let help = "like `https://alarms.example.com/prudence`";
            report(format!("the webhook of alarm `{name}`: {what}"), help, &["webhook", "url"]);
        }
        if let Some(mail) = &alarm.mail {
            if let Err(what) = crate::alarms::mail_server(&mail.server) {
                let help = "like `smtps://mail.example.com`, or `smtp://mail.example.com:587`";
                report(format!("the mail server of alarm `{name}`: {what}"), help, &["mail", "server"]);
            }
            if mail.to.is_empty() {
                report(
                    format!("the mail of alarm `{name}` goes to nobody"),
                    "as in `to = [\"ann@example.com\"]`",
                    &["mail", "to"],
                );
            }
            if mail.user.is_some() != mail.password_from_env.is_some() {
                let help = "the mail server wants both, or neither";
                report(format!("alarm `{name}` has one of `user` and `password_from_env`"), help, &["mail"]);
            }
        }
    }
}

fn check_contracts(expected: ContractFiles, path: &Path, settings: &Settings, file: &TomlFile<'_>, problems: &mut Problems) {
    if expected == ContractFiles::Any {
        return;
    }
    for (at, upstream) in settings.upstreams.iter().enumerate() {
        let Some(contract) = upstream.contract.as_ref().map(|contract| beside(path, contract)) else { continue };
        let span = file.span(&["upstreams", &at.to_string(), "contract"]);
        let name = &upstream.name;
        if !contract.is_file() {
            let problem = Problem::new(format!("contract `{}` of upstream `{name}` is not there", contract.display()))
                .help("`prudence contract draft` writes one from the server's list of tools");
            file.report(problem.at(span), problems);
        } else if expected == ContractFiles::Right
            && let Some(text) = Text::read(&contract, Some((file.text, span)), problems)
            && let Err(errors) = contract::Contracts::parse(name, &text.text)
        {
            problems.add(&text.name, &text.text, contract_problems(errors));
        }
    }
}

/// What is wrong with a contract file, as problems of it.
pub fn contract_problems(errors: Vec<contract::ContractError>) -> Vec<Problem> {
    let problem = |error: contract::ContractError| Problem {
        message: format!("{}: {}", error.place, error.message),
        help: error.help,
        span: Some(error.span),
    };
    errors.into_iter().map(problem).collect()
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
