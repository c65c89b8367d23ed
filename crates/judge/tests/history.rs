//! The preview on the history of a real organisation, against a naive computation that resolves everybody anew.
//!
//! `history/README.md` says where the changes come from. The naive side knows the judge's records and nothing else of it: plain maps of
//! names, no index, and every item looked at for every change.

use judge::content::ContentKey;
use judge::directory::{ClearanceRule, DirectoryChange, DirectoryDocument, ItemRecord, PersonRecord, Status};
use judge::event::{Bundle, DirectoryChanged, Event, Record};
use judge::label::Classification;
use judge::moment::Moment;
use judge::policy::PolicySources;
use judge::preview::{Exposure, NAMED_PEOPLE_MAX, WORST_MAX, Worst, preview};
use judge::state::State;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// One batch of changes a line.
const CHANGES: &str = include_str!("history/changes.jsonl");
/// More than people were ever numbered.
const PEOPLE_MAX: usize = 3000;
/// Batches that begin an organisation are not taken apart: few of their changes stand alone.
const TAKEN_APART_MAX: usize = 40;
/// The source names no repositories before this batch.
const REPOSITORIES_FROM: usize = 1716;

#[test]
fn every_batch_shows_what_a_naive_difference_shows() {
    let mut tally = Tally::default();
    let mut last = None;
    replay(|number, state, before, batch| {
        let seen = last.take().unwrap_or_else(|| Resolved::of(before));
        let after = before.after(batch);
        let then = Resolved::of(&after);
        tally.compare(&format!("batch {number}"), state, batch, (before, &seen), (&after, &then));
        last = Some(then);
    });
    tally.assert_at_least(Tally { previews: 2700, showing: 2000, uncleared: 1800, clearing: 400 });
}

#[test]
fn every_change_of_a_batch_shows_by_itself_what_a_naive_difference_shows() {
    let mut tally = Tally::default();
    replay(|number, state, before, batch| {
        if !(2..=TAKEN_APART_MAX).contains(&batch.len()) {
            return;
        }
        let alone: Vec<_> = batch.iter().filter(|change| before.has_all_of(change)).step_by(6).collect();
        if alone.is_empty() {
            return;
        }
        let seen = Resolved::of(before);
        for (part, change) in alone.into_iter().enumerate() {
            tally.look(&format!("batch {number}, part {part}"), state, (before, &seen), std::slice::from_ref(change));
        }
    });
    tally.assert_at_least(Tally { previews: 1000, showing: 250, uncleared: 200, clearing: 100 });
}

#[test]
fn a_batch_undone_shows_what_a_naive_difference_shows() {
    let mut tally = Tally::default();
    let mut undo: Option<Vec<DirectoryChange>> = None;
    replay(|number, state, now, batch| {
        if let Some(undo) = undo.take() {
            tally.look(&format!("batch {} undone", number - 1), state, (now, &Resolved::of(now)), &undo);
        }
        undo = if number % 3 == 0 { now.undo(batch) } else { None };
    });
    tally.assert_at_least(Tally { previews: 700, showing: 100, uncleared: 90, clearing: 5 });
}

#[test]
fn openings_that_nobody_made_show_what_a_naive_difference_shows() {
    let mut tally = Tally::default();
    replay(|number, state, now, _| {
        if number % 10 != 9 || number < REPOSITORIES_FROM {
            return;
        }
        let seen = Resolved::of(now);
        let openings = now.openings(number);
        for (kind, opening) in openings.iter().enumerate() {
            tally.look(&format!("before batch {number}, opening {kind}"), state, (now, &seen), std::slice::from_ref(opening));
        }
        tally.look(&format!("before batch {number}, all openings"), state, (now, &seen), &openings);
    });
    tally.assert_at_least(Tally { previews: 800, showing: 600, uncleared: 600, clearing: 150 });
}

#[test]
fn on_any_day_of_the_history_everyone_sees_what_is_resolved_anew() {
    let mut days = 0;
    replay(|number, state, now, _| {
        if number % 100 != 99 {
            return;
        }
        days += 1;
        let resolved = Resolved::of(now);
        let directory = state.directory();
        let counts = directory.counts();
        assert_eq!((counts.people, counts.groups), (now.people.len(), now.groups.len()), "batch {number}");
        assert_eq!((counts.items, counts.destinations), (now.items.len(), now.destinations.len()), "batch {number}");
        for (id, sees) in &resolved.sees {
            let found = directory.who_can_see(id).expect("the item is there");
            let names = found.people.bits().iter().map(|number| directory.principals().name(number).expect("it has a name"));
            let people: BTreeSet<usize> = names.map(|name| number_of(name.as_str())).collect();
            assert_eq!((found.public, people), (sees.public, sees.numbers().collect()), "batch {number}: {id}");
        }
    });
    assert!(days > 20);
}

/// Goes through the history, and shows each batch before it is made.
fn replay(mut look: impl FnMut(usize, &State, &Organisation, &[DirectoryChange])) {
    let mut state = State::new(ContentKey::new([7; 16]));
    let directory = DirectoryDocument { clearance: rules(), ..DirectoryDocument::default() };
    let bundle = Bundle { directory, policies: PolicySources::shipped(), content_key: String::new() };
    state.apply(&Record::new(Moment(0), Event::Configured(Box::new(bundle))));
    let mut organisation = Organisation { rules: rules(), ..Organisation::default() };
    for (number, line) in CHANGES.lines().enumerate() {
        let batch: Vec<DirectoryChange> = serde_json::from_str(line).expect("a line is a batch of changes");
        look(number, &state, &organisation, &batch);
        batch.iter().for_each(|change| organisation.make(change));
        let changed = DirectoryChanged { source: "history".to_owned(), by: None, changes: batch };
        state.apply(&Record::new(Moment(1 + number as u64), Event::DirectoryChanged(Box::new(changed))));
    }
}

/// Administrators are cleared by their role; the rest of the clearances stand in the changes.
fn rules() -> Vec<ClearanceRule> {
    let rules = json!([
        {"when": {"role": "admin"}, "level": "restricted", "categories": ["keys", "money"]},
        {"when": {"role": "admin"}, "level": "internal", "categories": ["embargo"]}
    ]);
    serde_json::from_value(rules).expect("rules")
}

/// How many previews were compared, and how many of them had something to say.
#[derive(Debug, Default)]
struct Tally {
    previews: usize,
    showing: usize,
    uncleared: usize,
    clearing: usize,
}

impl Tally {
    /// Compares the preview of changes with the naive difference.
    fn look(&mut self, what: &str, state: &State, before: (&Organisation, &Resolved), changes: &[DirectoryChange]) {
        let after = before.0.after(changes);
        self.compare(what, state, changes, before, (&after, &Resolved::of(&after)));
    }

    fn compare(
        &mut self,
        what: &str,
        state: &State,
        changes: &[DirectoryChange],
        before: (&Organisation, &Resolved),
        after: (&Organisation, &Resolved),
    ) {
        let found = preview(state, changes).unwrap_or_else(|errors| panic!("{what}: {errors:?}"));
        let (expected, shown) = difference(before, after);
        self.previews += 1;
        self.showing += usize::from(expected.pairs > 0);
        self.uncleared += usize::from(expected.uncleared_pairs > 0);
        self.clearing += usize::from(expected.newly_cleared > 0);
        let worst = found.worst.clone();
        assert_eq!(Exposure { worst: Vec::new(), ..found }, expected, "{what}: {changes:?}");
        compare_worst(what, &worst, &shown);
    }

    fn assert_at_least(&self, least: Tally) {
        let Tally { previews, showing, uncleared, clearing } = least;
        let is_enough =
            self.previews >= previews && self.showing >= showing && self.uncleared >= uncleared && self.clearing >= clearing;
        assert!(is_enough, "the history says too little: {self:?}");
    }
}

/// An item that somebody would newly see who is not cleared for it, and all of those.
struct Shown {
    worst: Worst,
    uncleared: BTreeSet<usize>,
}

/// Among items that are equally bad any may be named; all else is exact.
fn compare_worst(what: &str, found: &[Worst], shown: &BTreeMap<String, Shown>) {
    let weight = |worst: &Worst| (worst.classification, worst.uncleared, worst.newcomers);
    let mut weights: Vec<_> = shown.values().map(|shown| weight(&shown.worst)).collect();
    weights.sort_by(|a, b| b.cmp(a));
    weights.truncate(WORST_MAX);
    assert_eq!(found.iter().map(weight).collect::<Vec<_>>(), weights, "{what}");
    let distinct: BTreeSet<&str> = found.iter().map(|worst| worst.item.as_str()).collect();
    assert_eq!(distinct.len(), found.len(), "{what}");
    for worst in found {
        let Shown { worst: expected, uncleared } = &shown[worst.item.as_str()];
        assert_eq!(&Worst { sample: Vec::new(), ..worst.clone() }, expected, "{what}");
        let sample: BTreeSet<usize> = worst.sample.iter().map(|person| number_of(person.as_str())).collect();
        assert!(sample.is_subset(uncleared), "{what}: {worst:?}");
        assert_eq!(sample.len(), uncleared.len().min(NAMED_PEOPLE_MAX), "{what}: {worst:?}");
        assert_eq!(sample.len(), worst.sample.len(), "{what}: {worst:?}");
    }
}

/// What becomes visible between two organisations: of everything that is there before and after, who sees it after and not before.
fn difference(
    (before, was): (&Organisation, &Resolved),
    (after, is): (&Organisation, &Resolved),
) -> (Exposure, BTreeMap<String, Shown>) {
    let mut exposure = Exposure { newly_cleared: newly_cleared((before, was), after), ..Exposure::default() };
    let (mut newcomers, mut at_risk, mut shown) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for (id, item) in before.items.iter().filter(|(id, _)| after.items.contains_key(*id)) {
        let (then, now) = (&was.sees[id], &is.sees[id]);
        // Nearly everything stays as it is.
        if then.public || then == now {
            continue;
        }
        let sees_now = |person: &usize| now.people[*person] || (now.public && is.here[*person]);
        let new: BTreeSet<usize> = (0..PEOPLE_MAX).filter(|person| sees_now(person) && !then.people[*person]).collect();
        let outside: BTreeSet<Arc<str>> = now.external.difference(&then.external).cloned().collect();
        if new.is_empty() && outside.is_empty() && !now.public {
            continue;
        }
        let uncleared: BTreeSet<usize> =
            new.iter().copied().filter(|person| !before.is_cleared(*person, item, &was.readers[id])).collect();
        exposure.items += 1;
        exposure.pairs += new.len() as u64;
        exposure.unknown += u64::from(item.readers.is_none() && item.container.is_none());
        let opens = (now.public || !outside.is_empty()) && item.classification != Classification::Public;
        if opens {
            exposure.public |= now.public;
            exposure.external.extend(outside);
        }
        if opens || !uncleared.is_empty() {
            exposure.uncleared_items += 1;
            exposure.uncleared_pairs += uncleared.len() as u64;
            exposure.classification = exposure.classification.max(item.classification);
            exposure.categories.extend(item.categories.iter().cloned());
            exposure.owners.extend(item.owner.clone());
            at_risk.extend(uncleared.iter().copied());
            let worst = Worst {
                item: item.id.clone(),
                classification: item.classification,
                categories: item.categories.clone(),
                owner: item.owner.clone(),
                newcomers: new.len() as u64,
                uncleared: uncleared.len() as u64,
                sample: Vec::new(),
            };
            shown.insert(id.clone(), Shown { worst, uncleared });
        }
        newcomers.extend(new);
    }
    exposure.newcomers = newcomers.len() as u64;
    exposure.uncleared_people = at_risk.len() as u64;
    (exposure, shown)
}

/// Pairs of a person and an item, there before and after, that the person is cleared for only by what their clearance is after.
fn newly_cleared((before, was): (&Organisation, &Resolved), after: &Organisation) -> u64 {
    let mut pairs = 0;
    for (id, person) in &after.people {
        let (old, new) = (before.people.get(id).and_then(|old| before.clearance(old)), after.clearance(person));
        if old == new {
            continue;
        }
        let covered = |item: &&Rc<ItemRecord>| covers(new.as_ref(), item) && !covers(old.as_ref(), item);
        let stays = before.items.values().filter(|item| after.items.contains_key(item.id.as_str()));
        pairs += stays.filter(covered).filter(|item| !was.readers[item.id.as_str()].has(number_of(id))).count() as u64;
    }
    pairs
}

/// A level and categories.
type Clearance = (Classification, BTreeSet<Arc<str>>);

fn covers(clearance: Option<&Clearance>, item: &ItemRecord) -> bool {
    clearance.is_some_and(|(level, categories)| *level >= item.classification && item.categories.is_subset(categories))
}

/// `p12` is 12.
fn number_of(person: &str) -> usize {
    person.strip_prefix('p').and_then(|number| number.parse().ok()).expect("people are numbered")
}

/// The organisation as plainly as it can be said.
#[derive(Debug, Clone, Default)]
struct Organisation {
    people: BTreeMap<String, Rc<PersonRecord>>,
    groups: BTreeMap<String, Rc<BTreeSet<String>>>,
    destinations: BTreeMap<String, Rc<BTreeSet<String>>>,
    items: BTreeMap<String, Rc<ItemRecord>>,
    rules: Vec<ClearanceRule>,
}

impl Organisation {
    fn after(&self, changes: &[DirectoryChange]) -> Self {
        let mut after = self.clone();
        changes.iter().for_each(|change| after.make(change));
        after
    }

    fn make(&mut self, change: &DirectoryChange) {
        fn known<'a>(sets: &'a mut BTreeMap<String, Rc<BTreeSet<String>>>, id: &str) -> &'a mut BTreeSet<String> {
            Rc::make_mut(sets.get_mut(id).expect("the history changes what is there"))
        }
        fn gone<T>(removed: Option<T>) {
            assert!(removed.is_some(), "the history removes what is there");
        }
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
        match change {
            DirectoryChange::PutPerson(person) => drop(self.people.insert(person.id.to_string(), Rc::new(person.clone()))),
            DirectoryChange::RemovePerson { id } => gone(self.people.remove(id.as_str())),
            DirectoryChange::PutGroup { id, members, .. } => drop(self.groups.insert(id.to_string(), Rc::new(set(members)))),
            DirectoryChange::RemoveGroup { id } => gone(self.groups.remove(id.as_str())),
            DirectoryChange::AddMembers { group, members } => known(&mut self.groups, group.as_str()).extend(set(members)),
            DirectoryChange::RemoveMembers { group, members } => {
                known(&mut self.groups, group.as_str()).retain(|member| !members.contains(member));
            }
            DirectoryChange::PutDestination(record) => {
                drop(self.destinations.insert(record.id.to_string(), Rc::new(set(&record.audience))));
            }
            DirectoryChange::RemoveDestination { id } => gone(self.destinations.remove(id.as_str())),
            DirectoryChange::SetAudience { destination, audience } => {
                *known(&mut self.destinations, destination.as_str()) = set(audience);
            }
            DirectoryChange::AddAudience { destination, audience } => {
                known(&mut self.destinations, destination.as_str()).extend(set(audience));
            }
            DirectoryChange::RemoveAudience { destination, audience } => {
                known(&mut self.destinations, destination.as_str()).retain(|name| !audience.contains(name));
            }
            DirectoryChange::PutItem(record) => drop(self.items.insert(record.id.to_string(), Rc::new(record.clone()))),
            DirectoryChange::RemoveItem { id } => gone(self.items.remove(id.as_str())),
            DirectoryChange::SetReaders { item, readers } => *self.readers(item.as_str()) = readers.clone(),
            DirectoryChange::AddReaders { item, readers } => self.readers(item.as_str()).extend(readers.iter().cloned()),
            DirectoryChange::RemoveReaders { item, readers } => {
                self.readers(item.as_str()).retain(|name| !readers.contains(name));
            }
            DirectoryChange::PutAgent(_)
            | DirectoryChange::RemoveAgent { .. }
            | DirectoryChange::DescribeGroup { .. }
            | DirectoryChange::PutGrant(_)
            | DirectoryChange::RemoveGrant(_) => panic!("the history has no {change:?}"),
        }
    }

    fn readers(&mut self, item: &str) -> &mut Vec<String> {
        let item = self.items.get_mut(item).expect("the history changes what is there");
        Rc::make_mut(item).readers.as_mut().expect("the history edits readers that are known")
    }

    fn clearance(&self, person: &PersonRecord) -> Option<Clearance> {
        if person.status == Status::Left {
            return None;
        }
        let rules = self.rules.iter().filter(|rule| rule.when.iter().all(|(name, value)| person.attributes.has(name, value)));
        let level = rules.clone().filter_map(|rule| rule.level).chain(person.clearance).max()?;
        Some((level, rules.flat_map(|rule| &rule.categories).chain(&person.categories).cloned().collect()))
    }

    /// Among the readers, or by clearance; who was not known was cleared for nothing.
    fn is_cleared(&self, person: usize, item: &ItemRecord, readers: &Crowd) -> bool {
        let record = self.people.get(&format!("p{person}"));
        readers.has(person) || covers(record.and_then(|record| self.clearance(record)).as_ref(), item)
    }

    /// Whether everything that a change names is there, and nothing goes.
    fn has_all_of(&self, change: &DirectoryChange) -> bool {
        let has = |name: &String| match name.strip_prefix('@') {
            Some(group) => self.groups.contains_key(group),
            None => name == "public" || self.people.contains_key(name) || self.destinations.contains_key(name),
        };
        match change {
            DirectoryChange::PutPerson(_) => true,
            DirectoryChange::AddMembers { group, members } | DirectoryChange::RemoveMembers { group, members } => {
                self.groups.contains_key(group.as_str()) && members.iter().all(has)
            }
            DirectoryChange::AddReaders { item, readers }
            | DirectoryChange::RemoveReaders { item, readers }
            | DirectoryChange::SetReaders { item, readers } => self.items.contains_key(item.as_str()) && readers.iter().all(has),
            DirectoryChange::AddAudience { destination, audience }
            | DirectoryChange::RemoveAudience { destination, audience }
            | DirectoryChange::SetAudience { destination, audience } => {
                self.destinations.contains_key(destination.as_str()) && audience.iter().all(has)
            }
            _ => false,
        }
    }

    /// What makes a batch of memberships and people as if it had never been; `None` for any other batch.
    fn undo(&self, batch: &[DirectoryChange]) -> Option<Vec<DirectoryChange>> {
        let undone = batch.iter().rev().map(|change| match change {
            DirectoryChange::AddMembers { group, members } => {
                Some(DirectoryChange::RemoveMembers { group: group.clone(), members: members.clone() })
            }
            DirectoryChange::RemoveMembers { group, members } => {
                Some(DirectoryChange::AddMembers { group: group.clone(), members: members.clone() })
            }
            DirectoryChange::PutPerson(person) => {
                let before = self.people.get(person.id.as_str());
                let never = || PersonRecord { status: Status::Left, ..person.clone() };
                Some(DirectoryChange::PutPerson(before.map_or_else(never, |before| before.as_ref().clone())))
            }
            _ => None,
        });
        undone.collect()
    }

    /// Openings as somebody might think of them: one of each kind, others each time.
    fn openings(&self, number: usize) -> Vec<DirectoryChange> {
        fn pick<'a, T>(from: impl Iterator<Item = T> + 'a, number: usize) -> T {
            let mut all: Vec<T> = from.collect();
            let at = number * 31 % all.len();
            all.swap_remove(at)
        }
        let items = |part: &'static str| self.items.values().filter(move |item| item.id.as_str().ends_with(part));
        let groups = |letter: char| self.groups.keys().filter(move |id| id.starts_with(letter));
        let organisation = format!("@{}", pick(groups('o'), number));
        let team = pick(groups('t'), number);
        let person = pick(self.people.values(), number);
        let board = pick(self.destinations.keys().filter(|id| id.starts_with("board")), number);
        let openings = json!([
            {"add_members": {"group": team, "members": [organisation]}},
            // Of another organisation: together they make no circle.
            {"add_members": {"group": pick(groups('a'), number + 1), "members": [format!("@{team}")]}},
            {"add_readers": {"item": pick(items("/keys"), number).id, "readers": [format!("@{}", pick(groups('c'), number))]}},
            {"set_readers": {"item": pick(items("/code"), number).id, "readers": ["public"]}},
            {"add_readers": {"item": pick(items("/drafts"), number + 1).id, "readers": ["external:example.org", board]}},
            {"add_audience": {"destination": board, "audience": ["public"]}},
            {"put_person": PersonRecord {
                clearance: Some(Classification::Restricted),
                categories: BTreeSet::from([Arc::from("keys")]),
                status: Status::Active,
                ..person.as_ref().clone()
            }},
            {"remove_item": {"id": pick(items("/plans"), number).id}}
        ]);
        serde_json::from_value(openings).expect("changes")
    }
}

/// People by their numbers, and whoever is outside.
#[derive(Debug, Clone, PartialEq)]
struct Crowd {
    people: Vec<bool>,
    external: BTreeSet<Arc<str>>,
    public: bool,
}

impl Crowd {
    fn nobody() -> Self {
        Self { people: vec![false; PEOPLE_MAX], external: BTreeSet::new(), public: false }
    }

    fn add(&mut self, other: &Crowd) {
        self.people.iter_mut().zip(&other.people).for_each(|(one, other)| *one |= other);
        self.external.extend(other.external.iter().cloned());
        self.public |= other.public;
    }

    fn has(&self, person: usize) -> bool {
        self.public || self.people[person]
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.people.iter().enumerate().filter(|(_, is_in)| **is_in).map(|(number, _)| number)
    }
}

/// An organisation with everybody looked up.
struct Resolved {
    /// Who is here.
    here: Vec<bool>,
    /// Who reads each item, as its label says: its readers, or who sees its place where no readers are stated.
    readers: BTreeMap<String, Rc<Crowd>>,
    /// Who sees each item: its readers and who sees its place.
    sees: BTreeMap<String, Rc<Crowd>>,
}

impl Resolved {
    fn of(organisation: &Organisation) -> Self {
        let mut here = Crowd::nobody();
        for (id, person) in &organisation.people {
            here.people[number_of(id)] = person.status == Status::Active;
        }
        let mut names = Lookup { organisation, here: &here.people, known: BTreeMap::new() };
        let (mut readers, mut sees) = (BTreeMap::new(), BTreeMap::new());
        for (id, item) in &organisation.items {
            let named = item.readers.as_ref().map(|readers| Rc::new(names.all(readers.iter(), 0)));
            let around = item.container.as_ref().map(|place| names.one(place.as_str(), 0));
            let both = named.iter().chain(&around).cloned().reduce(|one, other| {
                let mut both = one.as_ref().clone();
                both.add(&other);
                Rc::new(both)
            });
            readers.insert(id.clone(), named.or(around).unwrap_or_else(|| Rc::new(Crowd::nobody())));
            sees.insert(id.clone(), both.unwrap_or_else(|| Rc::new(Crowd::nobody())));
        }
        Self { here: here.people, readers, sees }
    }
}

/// Names looked up in one organisation, each once.
struct Lookup<'a> {
    organisation: &'a Organisation,
    here: &'a [bool],
    known: BTreeMap<String, Rc<Crowd>>,
}

impl Lookup<'_> {
    fn all<'n>(&mut self, names: impl Iterator<Item = &'n String>, depth: usize) -> Crowd {
        let mut all = Crowd::nobody();
        for name in names {
            if name == "public" {
                all.public = true;
            } else if let Some(outside) = name.strip_prefix("external:") {
                all.external.insert(Arc::from(outside));
            } else if name.starts_with('p') {
                all.people[number_of(name)] |= self.here[number_of(name)];
            } else {
                all.add(&self.one(name, depth));
            }
        }
        all
    }

    /// A `@group` or a destination.
    fn one(&mut self, name: &str, depth: usize) -> Rc<Crowd> {
        assert!(depth < 20, "`{name}` contains itself");
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let organisation = self.organisation;
        let within = match name.strip_prefix('@') {
            Some(group) => organisation.groups.get(group),
            None => organisation.destinations.get(name),
        };
        let within = within.unwrap_or_else(|| panic!("`{name}` is named and is not there"));
        let crowd = Rc::new(self.all(within.iter(), depth + 1));
        self.known.insert(name.to_owned(), crowd.clone());
        crowd
    }
}
