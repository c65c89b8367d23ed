//! Reading: from the text of a file to a checked [`Scenario`], or to everything that is wrong with it, each with its line.
//!
//! The YAML parser stops at the first thing that has the wrong shape; whatever has the right shape is then checked
//! as a whole, so that one run shows all names, times and numbers that do not fit.

use crate::format;
use crate::format::{Scalar, WordOr};
use crate::report::Expected;
use crate::step::{ActStep, Scenario, Step, What, WorldEvent};
use crate::world;
use judge::decision::Outcome;
use judge::delegation::Part;
use judge::directory::{
    AgentRecord, DestinationRecord, Directory, DirectoryDocument, DirectoryError, GrantRecord, ItemRecord, PersonRecord,
    Registration, STANDING,
};
use judge::effect::Effect;
use judge::name::{GroupId, NameError, PrincipalId, ResourceId, TaskId};
use judge::pattern::PatternMap;
use judge::task::{Caller, Task};
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// The largest scenario file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// How many steps a scenario may have.
pub const STEPS_MAX: usize = 5_000;
/// How often one step may be repeated.
pub const REPEATS_MAX: u64 = 100_000;
/// How many acts all steps of a file may make together.
pub const ACTS_MAX: u64 = 200_000;
/// The longest content of one item or step, in bytes.
pub const CONTENT_BYTES_MAX: usize = 256 * 1024;
/// How many people, groups, agents, items, destinations, grants or tasks a file may have, each.
pub const WORLD_MAX: usize = 10_000;
/// The latest moment of a scenario: one year after its start.
pub const SPAN_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// What is wrong in a scenario file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ParseError {
    /// The name that was given for the file.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: u64,
    /// What was expected, and what was found.
    pub message: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads a scenario. `name` is what messages call the file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the lines; the first thing only where it is no YAML of the right shape.
pub fn parse(name: &str, text: &str) -> Result<Scenario, Vec<ParseError>> {
    let file: format::File = read(name, text)?;
    let mut checker = Checker { file: name, errors: Vec::new(), tasks: BTreeSet::new() };
    let scenario = checker.scenario(file);
    checker.done(scenario)
}

/// Reads a world by itself: what stands under `world` in a scenario, as a file. What comes with it are names that it uses and does not
/// introduce, in words.
///
/// # Errors
/// As [`parse`].
pub fn parse_world(name: &str, text: &str) -> Result<(DirectoryDocument, Vec<String>), Vec<ParseError>> {
    let world: format::World = read(name, text)?;
    let mut checker = Checker { file: name, errors: Vec::new(), tasks: BTreeSet::new() };
    let read = checker.directory(&world, &[]);
    checker.done(read)
}

/// The YAML of a file, in its shape.
fn read<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, Vec<ParseError>> {
    let whole = |message: String| vec![ParseError { file: name.to_owned(), line: 0, message }];
    if text.len() > FILE_BYTES_MAX {
        return Err(whole(format!("the file has {} bytes, at most {FILE_BYTES_MAX} are allowed", text.len())));
    }
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        // What the parser says beyond the fault itself is its place, which stands in front, and advice to those who call it.
        let message = error.without_snippet().to_string();
        let message =
            [" at line ", ", set ", "; use "].iter().fold(&*message, |text, end| text.split(end).next().unwrap_or(text));
        let message = message.trim_end_matches([',', ':']).to_owned();
        vec![ParseError { file: name.to_owned(), line, message }]
    })
}

/// Milliseconds of a span: `0s`, `250ms`, `15m`, `1h30m`, `30d`.
fn span_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let factor = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        rest = &rest[unit..];
        total = total.checked_add(number.checked_mul(factor)?)?;
    }
    Some(total)
}

struct Checker<'a> {
    file: &'a str,
    errors: Vec<ParseError>,
    /// Tasks of the file, and those that a step hands on.
    tasks: BTreeSet<String>,
}

fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

impl Checker<'_> {
    /// What was read, or everything that is wrong with it.
    fn done<T>(mut self, read: T) -> Result<T, Vec<ParseError>> {
        self.errors.sort();
        self.errors.dedup();
        if self.errors.is_empty() { Ok(read) } else { Err(self.errors) }
    }

    fn wrong(&mut self, line: u64, message: impl Into<String>) {
        self.errors.push(ParseError { file: self.file.to_owned(), line, message: message.into() });
    }

    /// A name, or `None` with an error.
    fn name<T: FromStr<Err = NameError>>(&mut self, line: u64, text: &str) -> Option<T> {
        text.parse().map_err(|error: NameError| self.wrong(line, format!("`{}`: {error}", text.escape_debug()))).ok()
    }

    fn names<T: FromStr<Err = NameError>>(&mut self, line: u64, texts: &[String]) -> Vec<T> {
        texts.iter().filter_map(|text| self.name(line, text)).collect()
    }

    fn span(&mut self, line: u64, what: &str, text: &str) -> u64 {
        match span_ms(text) {
            Some(span) if span <= SPAN_MS_MAX => span,
            Some(_) => {
                self.wrong(line, format!("`{what}` is `{text}`, at most a year is allowed"));
                0
            }
            None => {
                self.wrong(line, format!("`{what}` is `{text}`, expected a span like `0s`, `15m`, `1h30m` or `30d`"));
                0
            }
        }
    }

    fn few<T>(&mut self, what: &str, list: &[Spanned<T>]) {
        if list.len() > WORLD_MAX {
            self.wrong(line(&list[WORLD_MAX]), format!("{} {what}, at most {WORLD_MAX} are allowed", list.len()));
        }
    }

    fn content(&mut self, line: u64, text: &str) {
        if text.len() > CONTENT_BYTES_MAX {
            self.wrong(line, format!("content of {} bytes, at most {CONTENT_BYTES_MAX} are allowed", text.len()));
        }
    }

    fn scenario(&mut self, file: format::File) -> Scenario {
        if file.scenario.value.trim().is_empty() {
            self.wrong(line(&file.scenario), "`scenario` is empty, expected an id");
        }
        let contents = self.contents(&file.world.items);
        let (directory, notes) = self.directory(&file.world, &file.tasks);
        let tasks: Vec<Task> = self.tasks(&file.tasks, &directory);
        let steps = self.steps(&file.steps, &directory);
        Scenario {
            id: file.scenario.value,
            about: file.about,
            source: file.source,
            tags: file.tags,
            notes,
            directory,
            contents,
            tasks,
            steps,
        }
    }

    /// When the registration of an agent ends, and how often it usually does what.
    fn registration(&mut self, agent: &Spanned<format::Agent>, rhythms: &[Spanned<format::Rhythm>]) -> Registration {
        let lease = agent.value.lease.as_ref().map(|text| self.span(line(agent), "lease", text));
        let own = rhythms.iter().filter(|rhythm| rhythm.value.agent == agent.value.id);
        Registration {
            ends: lease.map(|lease| world::START.after_ms(lease)),
            usual: own.map(|rhythm| (rhythm.value.effect, rhythm.value.per_hour)).collect(),
            ..Registration::default()
        }
    }

    fn contents(&mut self, items: &[Spanned<format::Item>]) -> PatternMap<String> {
        let mut contents = PatternMap::default();
        for item in items {
            self.content(line(item), &item.value.content);
            contents.insert(item.value.id.as_str().into(), item.value.content.clone());
        }
        contents
    }

    /// The world as a directory. Who is a member, an owner, a requester or is granted something and is not introduced is a person.
    fn directory(&mut self, world: &format::World, tasks: &[Spanned<format::Task>]) -> (DirectoryDocument, Vec<String>) {
        let mut document = DirectoryDocument::default();
        let mut places = Places::default();
        self.few("people", &world.people);
        self.few("agents", &world.agents);
        self.few("items", &world.items);
        self.few("destinations", &world.destinations);
        self.few("grants", &world.grants);
        for rhythm in &world.baseline {
            if !world.agents.iter().any(|agent| agent.value.id == rhythm.value.agent) {
                self.wrong(line(rhythm), format!("`{}` is no agent of this world", rhythm.value.agent));
            }
            if rhythm.value.per_hour == 0 || rhythm.value.effect == Effect::Compute {
                self.wrong(line(rhythm), "a usual rhythm is at least 1 per hour, of an effect that touches something");
            }
        }
        for person in &world.people {
            let spelt = match &person.value {
                WordOr::Word(id) => &format::Person::from(id.as_str()),
                WordOr::Spelt(spelt) => spelt,
            };
            let Some(id) = self.name::<PrincipalId>(line(person), &spelt.id) else { continue };
            places.note(&["people", id.as_str()], line(person));
            document.people.push(PersonRecord {
                addresses: spelt.addresses.clone(),
                clearance: spelt.clearance,
                categories: spelt.categories.clone(),
                status: spelt.status,
                ..PersonRecord::new(id)
            });
        }
        for (id, members) in &world.groups {
            places.note(&["groups", id], line(members));
            let Some(id) = self.name::<GroupId>(line(members), id.trim_start_matches('@')) else { continue };
            document.groups.insert(id, members.value.clone());
        }
        for agent in &world.agents {
            places.note(&["agents", &agent.value.id], line(agent));
            let (Some(id), Some(owner)) = (self.name(line(agent), &agent.value.id), self.name(line(agent), &agent.value.owner))
            else {
                continue;
            };
            let registration = self.registration(agent, &world.baseline);
            let purpose = agent.value.purpose.clone();
            document.agents.push(AgentRecord { purpose, registration, ..AgentRecord::new(id, owner) });
        }
        for item in &world.items {
            places.note(&["items", &item.value.id], line(item));
            let Some(id) = self.name(line(item), &item.value.id) else { continue };
            let owner = item.value.owner.as_ref().and_then(|owner| self.name(line(item), owner));
            let container = item.value.container.as_ref().and_then(|container| self.name(line(item), container));
            let spelt = &item.value;
            document.items.push(ItemRecord {
                id,
                readers: spelt.readers.clone(),
                classification: spelt.classification,
                categories: spelt.categories.clone(),
                purposes: spelt.purposes.clone(),
                integrity: spelt.integrity,
                owner,
                container,
            });
        }
        for destination in &world.destinations {
            places.note(&["destinations", &destination.value.id], line(destination));
            let Some(id) = self.name(line(destination), &destination.value.id) else { continue };
            let owner = destination.value.owner.as_ref().and_then(|owner| self.name(line(destination), owner));
            let audience = destination.value.audience.clone();
            document.destinations.push(DestinationRecord { id, audience, owner, known: destination.value.known });
        }
        for (at, grant) in world.grants.iter().enumerate() {
            places.note_as(format!("grants[{at}]"), line(grant));
            document.grants.push(GrantRecord {
                to: grant.value.to.clone(),
                may: grant.value.may.clone(),
                on: grant.value.on.clone(),
                kind: STANDING.to_owned(),
            });
        }
        document.domains.clone_from(&world.domains);
        self.few("relations", &world.relations);
        document.relations = world.relations.iter().map(|relation| relation.value.clone()).collect();
        let mentioned = self.people_who_are_only_mentioned(world, tasks, &document);
        let notes =
            mentioned.iter().map(|id| format!("`{id}` is mentioned and not listed under `people`; taken as a person")).collect();
        document.people.extend(mentioned.into_iter().map(PersonRecord::new));
        if let Err(errors) = Directory::of(&document) {
            for error in errors {
                self.wrong(places.line_of(&error), error.to_string());
            }
        }
        (document, notes)
    }

    fn people_who_are_only_mentioned(
        &mut self,
        world: &format::World,
        tasks: &[Spanned<format::Task>],
        document: &DirectoryDocument,
    ) -> BTreeSet<PrincipalId> {
        let is_known = |id: &str| {
            document.people.iter().any(|person| person.id.as_str() == id)
                || document.agents.iter().any(|agent| agent.id.as_str() == id)
                || document.destinations.iter().any(|destination| destination.id.as_str() == id)
        };
        let is_special = |id: &str| id.starts_with('@') || id == "public" || id.contains(':');
        let members = world.groups.values().flat_map(|members| members.value.iter().map(move |member| (line(members), member)));
        let owners = (world.agents.iter().map(|agent| (line(agent), &agent.value.owner)))
            .chain(world.items.iter().filter_map(|item| Some((line(item), item.value.owner.as_ref()?))))
            .chain(world.destinations.iter().filter_map(|place| Some((line(place), place.value.owner.as_ref()?))));
        let granted = world.grants.iter().map(|grant| (line(grant), &grant.value.to));
        let requesters = tasks.iter().map(|task| (line(task), &task.value.requester));
        let mut mentioned = BTreeSet::new();
        for (line, id) in members.chain(owners).chain(granted).chain(requesters) {
            if !is_known(id) && !is_special(id) {
                mentioned.extend(self.name::<PrincipalId>(line, id));
            }
        }
        mentioned
    }

    fn tasks(&mut self, tasks: &[Spanned<format::Task>], directory: &DirectoryDocument) -> Vec<Task> {
        self.few("tasks", tasks);
        tasks.iter().filter_map(|task| self.task(line(task), &task.value, directory)).collect()
    }

    fn task(&mut self, line: u64, task: &format::Task, directory: &DirectoryDocument) -> Option<Task> {
        if !self.tasks.insert(task.id.clone()) {
            self.wrong(line, format!("task `{}` is there twice", task.id));
        }
        if !directory.agents.iter().any(|agent| agent.id.as_str() == task.agent) {
            self.wrong(line, format!("`{}` is no agent of this world", task.agent));
        }
        for name in task.address.iter().flatten().filter(|name| !world::is_known_name(directory, name)) {
            self.wrong(
                line,
                format!("address `{name}` is no person, @group, destination, `public`, `external:DOMAIN` or mail address"),
            );
        }
        for pattern in task.resources.iter().flatten().filter(|pattern| !judge::pattern::is_valid(pattern)) {
            self.wrong(line, format!("resource `{pattern}`: a `*` may only stand at the end"));
        }
        let starts = task.starts.as_ref().map_or(0, |text| self.span(line, "starts", text));
        let lease = task.lease.as_ref().map(|text| self.span(line, "lease", text));
        let starts = world::START.after_ms(starts);
        let requester: PrincipalId = self.name(line, &task.requester)?;
        Some(Task {
            tools: None,
            address_open: false,
            id: self.name(line, &task.id)?,
            agent: self.name(line, &task.agent)?,
            purpose: task.purpose.clone(),
            words: task.words.clone().unwrap_or_else(|| task.purpose.clone()),
            address: task.address.clone().unwrap_or_else(|| vec![requester.to_string()]),
            effects: task.effects.clone(),
            resources: task.resources.clone(),
            budget: task.budget,
            starts,
            // No lease in the file: it is not what the scenario is about.
            ends: starts.after_ms(lease.unwrap_or(2 * SPAN_MS_MAX)),
            until: None,
            parent: None,
            isolated: false,
            chain: Vec::new(),
            requester,
        })
    }

    fn steps(&mut self, steps: &[Spanned<format::Step>], directory: &DirectoryDocument) -> Vec<Step> {
        if steps.is_empty() {
            self.wrong(0, "`steps` is empty, expected at least one");
        }
        if steps.len() > STEPS_MAX {
            self.wrong(line(&steps[STEPS_MAX]), format!("{} steps, at most {STEPS_MAX} are allowed", steps.len()));
        }
        for step in steps {
            if let Some(delegate) = &step.value.delegate
                && !self.tasks.insert(delegate.task.clone())
            {
                self.wrong(line(step), format!("task `{}` is there twice", delegate.task));
            }
        }
        let mut checked: Vec<Step> = Vec::new();
        let mut before_ms = 0;
        let mut acts: u64 = 0;
        for (at, step) in steps.iter().enumerate() {
            let number = at + 1;
            let at_ms = self.span(line(step), "at", &step.value.at);
            if at_ms < before_ms {
                self.wrong(line(step), format!("step {number} is at `{}`, before the step in front of it", step.value.at));
            }
            before_ms = before_ms.max(at_ms);
            let expected = self.expected(line(step), step.value.expect.as_ref());
            if let Some(what) = self.what(line(step), number, &step.value, directory, &checked) {
                if let What::Act(act) = &what {
                    acts = acts.saturating_add(act.times);
                }
                checked.push(Step { number, at_ms, what, expected });
            } else {
                // Keeps the numbers of later steps right; the scenario is refused anyway.
                let what = What::Event(WorldEvent::Leave { member: String::new(), group: String::new() });
                checked.push(Step { number, at_ms, what, expected });
            }
        }
        if acts > ACTS_MAX {
            self.wrong(0, format!("{acts} acts in all steps together, at most {ACTS_MAX} are allowed"));
        }
        checked
    }

    fn expected(&mut self, line: u64, expect: Option<&WordOr<format::Expect>>) -> Expected {
        match expect {
            None => Expected::just(Outcome::Permit),
            Some(WordOr::Word(word)) => {
                match [Outcome::Permit, Outcome::Ask, Outcome::Deny].into_iter().find(|outcome| outcome.word() == word) {
                    Some(outcome) => Expected::just(outcome),
                    None => {
                        self.wrong(line, format!("`expect` is `{word}`, expected `permit`, `ask`, `deny` or a mapping"));
                        Expected::just(Outcome::Deny)
                    }
                }
            }
            Some(WordOr::Spelt(spelt)) => Expected {
                decision: spelt.decision,
                norms: spelt.norms.clone(),
                withheld: spelt.withheld.clone(),
                uncleared_pairs: spelt.uncleared_pairs,
                at_most: spelt.at_most,
                obligations: spelt.obligations.clone(),
                frozen: spelt.frozen,
                alarm: spelt.alarm.as_ref().map(|alarm| alarm.0.clone()),
            },
        }
    }

    fn what(
        &mut self,
        line: u64,
        number: usize,
        step: &format::Step,
        directory: &DirectoryDocument,
        before: &[Step],
    ) -> Option<What> {
        let kinds = [
            ("do", step.effect.is_some() && step.delegate.is_none()),
            ("event", step.event.is_some()),
            ("approve", step.approve.is_some()),
            ("deny", step.deny.is_some()),
            ("delegate", step.delegate.is_some()),
            ("kill", step.kill.is_some()),
        ];
        let found: Vec<&str> = kinds.iter().filter(|(_, is_there)| *is_there).map(|(key, _)| *key).collect();
        if found.len() != 1 {
            let found = if found.is_empty() { "none of them".to_owned() } else { found.join(" and ") };
            self.wrong(
                line,
                format!("step {number} has {found}, expected one of `do`, `event`, `approve`, `deny`, `delegate`, `kill`"),
            );
            return None;
        }
        if let Some(event) = &step.event {
            return self.event(line, event, directory).map(What::Event);
        }
        if let Some((answer, yes)) =
            step.approve.as_ref().map(|answer| (answer, true)).or(step.deny.as_ref().map(|answer| (answer, false)))
        {
            let asked = self.earlier(line, number, &answer.step)?;
            if !matches!(before[asked - 1].what, What::Act(_)) {
                self.wrong(line, format!("step {asked} is no act, so it cannot have been asked about"));
            }
            return Some(What::Answer { by: self.name(line, &answer.by)?, step: asked, yes });
        }
        if let Some(task) = &step.kill {
            self.known_task(line, task);
            return Some(What::Kill { task: self.name(line, task)? });
        }
        let chain: Vec<PrincipalId> = self.names(line, &step.chain);
        if chain.is_empty() {
            self.wrong(line, format!("step {number} needs `as`: who acts, outermost first"));
        }
        if let Some(task) = &step.task {
            self.known_task(line, task);
        }
        let task = match &step.task {
            Some(task) => Some(self.name::<TaskId>(line, task)?),
            None => None,
        };
        let mut caller = Caller::new(chain, task);
        // Every agent has a key of its own, which in a file is nothing but its name.
        caller.key = caller.chain.get(1..).and_then(<[PrincipalId]>::last).map(PrincipalId::shared);
        match step.token.as_ref().map(|token| token.key.as_str()) {
            None => {}
            Some("other") => caller.key = Some("another key".into()),
            Some(key) => self.wrong(line, format!("`token` has key `{key}`, expected `other`")),
        }
        if let Some(delegate) = &step.delegate {
            if !directory.agents.iter().any(|agent| agent.id.as_str() == delegate.to) {
                self.wrong(line, format!("`{}` is no agent of this world", delegate.to));
            }
            let lease_ms = delegate.lease.as_ref().map(|text| self.span(line, "lease", text));
            let part = Part {
                effects: delegate.effects.clone(),
                resources: delegate.resources.clone(),
                budget: delegate.budget,
                isolated: delegate.isolated,
                ..Part::whole(self.name(line, &delegate.to)?)
            };
            let task = self.name(line, &delegate.task)?;
            return Some(What::Delegate { caller, task, part: Box::new(part), lease_ms });
        }
        self.act(line, number, step, caller, directory).map(|act| What::Act(Box::new(act)))
    }

    fn act(
        &mut self,
        line: u64,
        number: usize,
        step: &format::Step,
        caller: Caller,
        directory: &DirectoryDocument,
    ) -> Option<ActStep> {
        let effect = step.effect?;
        let mut change = step.change.clone();
        let mut on = step.on.clone();
        if let Some(join) = &step.join {
            change.get_or_insert_default().add_members.push(join.person.clone());
            if on.is_empty() {
                on.push(join.group.clone());
            }
            if !on.iter().any(|on| world::is_same_group(on, &join.group)) {
                self.wrong(line, format!("`on` is `{}`, and `join` is about `{}`", on.join(", "), join.group));
            }
        }
        if let Some(change) = &change {
            if effect != Effect::Widen {
                self.wrong(line, format!("`change` and `join` belong to `do: widen`, and this step does {}", effect.word()));
            }
            if on.is_empty() {
                self.wrong(line, "a change needs `on`: what is changed");
            }
            let added = change.add_readers.iter().chain(&change.add_members).chain(change.audience.iter().flatten());
            for name in added.filter(|name| !world::is_known_name(directory, name)) {
                self.wrong(
                    line,
                    format!("`{name}` is no person, @group, destination, `public` or `external:DOMAIN` of this world"),
                );
            }
        }
        if on.iter().chain(&step.to).any(|name| name.trim().is_empty()) {
            self.wrong(line, format!("step {number} has an empty name in `on` or `to`"));
        }
        if let Some(content) = &step.content {
            self.content(line, content);
        }
        let because = step.because.as_ref().and_then(|text| self.earlier(line, number, text));
        let (times, every_ms) = match &step.repeat {
            None => (1, 0),
            Some(repeat) => {
                if repeat.times == 0 || repeat.times > REPEATS_MAX {
                    self.wrong(line, format!("`repeat` is {} times, expected 1 to {REPEATS_MAX}", repeat.times));
                }
                (repeat.times, repeat.every.as_ref().map_or(0, |text| self.span(line, "every", text)))
            }
        };
        Some(ActStep {
            caller,
            effect,
            on: self.names::<ResourceId>(line, &on),
            to: step.to.clone(),
            content: step.content.clone(),
            values: step.values.iter().map(|(kind, Scalar(text))| (kind.clone(), text.clone())).collect(),
            amount: step.amount,
            change,
            because,
            times,
            every_ms,
        })
    }

    fn event(&mut self, line: u64, event: &format::Event, directory: &DirectoryDocument) -> Option<WorldEvent> {
        match event {
            format::Event::Join(of) => {
                self.membership(line, of, directory);
                Some(WorldEvent::Join { member: of.member.clone(), group: of.group.clone() })
            }
            format::Event::Leave(of) => {
                self.membership(line, of, directory);
                Some(WorldEvent::Leave { member: of.member.clone(), group: of.group.clone() })
            }
            format::Event::Left(person) => {
                let id: PrincipalId = self.name(line, person)?;
                if !directory.people.iter().any(|record| record.id == id) {
                    self.wrong(line, format!("`{person}` is no person of this world"));
                }
                Some(WorldEvent::Left(id))
            }
        }
    }

    fn membership(&mut self, line: u64, of: &format::Membership, directory: &DirectoryDocument) {
        if !world::is_known_name(directory, &of.member) {
            self.wrong(line, format!("`{}` is no person, agent or @group of this world", of.member));
        }
        if !world::has_members(directory, &of.group) {
            self.wrong(line, format!("`{}` is no group or destination of this world", of.group));
        }
    }

    /// The number of an earlier step: `3` or `step 3`.
    fn earlier(&mut self, line: u64, number: usize, text: &Scalar) -> Option<usize> {
        let found =
            text.0.trim().trim_start_matches("step").trim().parse::<usize>().ok().filter(|&found| found >= 1 && found < number);
        if found.is_none() {
            self.wrong(line, format!("`{}` is no step before step {number}", text.0));
        }
        found
    }

    fn known_task(&mut self, line: u64, task: &str) {
        if !self.tasks.contains(task) {
            self.wrong(line, format!("task `{task}` is none of this file"));
        }
    }
}

/// Lines of what a directory's errors speak of.
#[derive(Default)]
struct Places(BTreeMap<String, u64>);

impl Places {
    fn note(&mut self, path: &[&str], line: u64) {
        self.note_as(path.join("."), line);
    }

    fn note_as(&mut self, place: String, line: u64) {
        self.0.insert(place, line);
    }

    fn line_of(&self, error: &DirectoryError) -> u64 {
        let (place, id) = match error {
            DirectoryError::Twice { place, id } => (place, id.as_str()),
            DirectoryError::Unknown { place, name } | DirectoryError::Cycle { place, name } => (place, name.as_str()),
            DirectoryError::Pattern { place, pattern } => (place, pattern.as_str()),
            DirectoryError::Name { place, .. }
            | DirectoryError::Absent { place }
            | DirectoryError::InUse { place, .. }
            | DirectoryError::Unfit { place, .. }
            | DirectoryError::Declared { place } => (place, ""),
        };
        let of = |place: &str| self.0.get(place).copied();
        of(place).or_else(|| of(&format!("{place}.{id}"))).or_else(|| of(place.strip_suffix(".owner")?)).unwrap_or(0)
    }
}
