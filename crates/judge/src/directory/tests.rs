//! The directory and the preview against a twin that computes everything anew, without any index.

use super::*;
use crate::content::ContentKey;
use crate::event::{Bundle, DirectoryChanged, Event, Record};
use crate::name::GroupId;
use crate::policy::PolicySources;
use crate::preview::{Exposure, preview};
use crate::state::State;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

/// The same, as plainly as it can be said.
#[derive(Debug, Clone, Default)]
struct Naive {
    people: BTreeMap<String, PersonRecord>,
    groups: BTreeMap<String, BTreeSet<String>>,
    destinations: BTreeMap<String, BTreeSet<String>>,
    items: BTreeMap<String, ItemRecord>,
    rules: Vec<ClearanceRule>,
}

impl Naive {
    fn make(&mut self, change: &DirectoryChange) {
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
        match change {
            DirectoryChange::PutPerson(person) => drop(self.people.insert(person.id.to_string(), person.clone())),
            DirectoryChange::PutGroup { id, members, .. } => drop(self.groups.insert(id.to_string(), set(members))),
            DirectoryChange::AddMembers { group, members } => {
                self.groups.get_mut(group.as_str()).expect("it is there").extend(set(members));
            }
            DirectoryChange::RemoveMembers { group, members } => {
                self.groups.get_mut(group.as_str()).expect("it is there").retain(|member| !members.contains(member));
            }
            DirectoryChange::PutDestination(record) => {
                drop(self.destinations.insert(record.id.to_string(), set(&record.audience)))
            }
            DirectoryChange::SetAudience { destination, audience } => {
                self.destinations.insert(destination.to_string(), set(audience));
            }
            DirectoryChange::AddAudience { destination, audience } => {
                self.destinations.get_mut(destination.as_str()).expect("it is there").extend(set(audience));
            }
            DirectoryChange::RemoveAudience { destination, audience } => {
                self.destinations.get_mut(destination.as_str()).expect("it is there").retain(|name| !audience.contains(name));
            }
            DirectoryChange::PutItem(record) => drop(self.items.insert(record.id.to_string(), record.clone())),
            DirectoryChange::SetReaders { item, readers } => {
                self.items.get_mut(item.as_str()).expect("it is there").readers = Some(readers.clone());
            }
            DirectoryChange::AddReaders { item, readers } => {
                let known = self.items.get_mut(item.as_str()).expect("it is there").readers.as_mut();
                if let Some(known) = known {
                    known.extend(readers.iter().cloned());
                }
            }
            DirectoryChange::RemoveReaders { item, readers } => {
                let known = self.items.get_mut(item.as_str()).expect("it is there").readers.as_mut();
                if let Some(known) = known {
                    known.retain(|reader| !readers.contains(reader));
                }
            }
            other => panic!("the twin does not know {other:?}"),
        }
    }

    /// Who that is; `None` is the public.
    fn people_of(&self, names: &BTreeSet<String>, depth: usize) -> Option<BTreeSet<String>> {
        assert!(depth < 50, "the twin was given a cycle");
        let mut all = BTreeSet::new();
        for name in names {
            if name == "public" {
                return None;
            } else if let Some(group) = name.strip_prefix('@') {
                all.extend(self.people_of(&self.groups[group], depth + 1)?);
            } else if let Some(audience) = self.destinations.get(name) {
                all.extend(self.people_of(audience, depth + 1)?);
            } else if self.people.get(name).is_some_and(|person| person.status == Status::Active) {
                all.insert(name.clone());
            }
        }
        Some(all)
    }

    fn readers(&self, item: &ItemRecord) -> Option<BTreeSet<String>> {
        self.people_of(&item.readers.iter().flatten().cloned().collect(), 0)
    }

    fn audience(&self, item: &ItemRecord) -> Option<BTreeSet<String>> {
        item.container.as_ref().map_or(Some(BTreeSet::new()), |place| self.people_of(&self.destinations[place.as_str()], 0))
    }

    /// Active people who can see an item, and whether everyone can.
    fn sees(&self, item: &ItemRecord) -> (BTreeSet<String>, bool) {
        match (self.readers(item), self.audience(item)) {
            (Some(readers), Some(audience)) => (&readers | &audience, false),
            _ => (self.active(), true),
        }
    }

    fn active(&self) -> BTreeSet<String> {
        self.people.values().filter(|person| person.status == Status::Active).map(|person| person.id.to_string()).collect()
    }

    fn is_cleared(&self, person: &str, item: &ItemRecord) -> bool {
        let record = &self.people[person];
        let rules = self.rules.iter().filter(|rule| rule.when.iter().all(|(name, value)| record.attributes.has(name, value)));
        let levels = record.clearance.into_iter().chain(rules.clone().filter_map(|rule| rule.level));
        let categories: BTreeSet<_> = rules.flat_map(|rule| &rule.categories).chain(&record.categories).cloned().collect();
        let by_level = record.status == Status::Active
            && levels.max().is_some_and(|level| level >= item.classification)
            && item.categories.is_subset(&categories);
        let readers = match (&item.readers, &item.container) {
            (Some(_), _) => self.readers(item),
            (None, Some(_)) => self.audience(item),
            (None, None) => Some(BTreeSet::new()),
        };
        by_level || readers.is_none_or(|readers| readers.contains(person))
    }

    /// Pairs of a person and an item that the person is newly cleared for by level, and was not among the readers of.
    fn clears(&self, after: &Naive) -> u64 {
        let alone = |item: &ItemRecord| ItemRecord { readers: None, container: None, ..item.clone() };
        let is_new = |person: &str, item: &ItemRecord| {
            let by_level = |naive: &Naive| naive.people.contains_key(person) && naive.is_cleared(person, &alone(item));
            by_level(after) && !by_level(self) && !self.is_cleared(person, item)
        };
        let items = self.items.values();
        items.map(|item| after.people.keys().filter(|person| is_new(person, item)).count() as u64).sum()
    }

    /// Pairs that become visible, those of them that are not cleared, and everyone who is new somewhere.
    fn exposes(&self, after: &Naive) -> (u64, u64, BTreeSet<String>) {
        let (mut pairs, mut uncleared, mut newcomers) = (0, 0, BTreeSet::new());
        for (id, item) in &self.items {
            let (before, was_public) = self.sees(item);
            let (now, _) = after.sees(&after.items[id]);
            // Where everyone can see it, those who are known count, unless everyone could before.
            let new = if was_public { BTreeSet::new() } else { &now - &before };
            pairs += new.len() as u64;
            uncleared += new.iter().filter(|person| !self.is_cleared(person, item)).count() as u64;
            newcomers.extend(new);
        }
        (pairs, uncleared, newcomers)
    }
}

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a name")
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn state(directory: DirectoryDocument) -> State {
    let mut state = State::new(ContentKey::new([7; 16]));
    let bundle = Bundle { directory, policies: PolicySources::shipped(), content_key: String::new() };
    state.apply(&Record::new(Moment(1), Event::Configured(Box::new(bundle))));
    state
}

const PEOPLE: u32 = 12;
const GROUPS: u32 = 8;
const PLACES: u32 = 4;
const ITEMS: u32 = 10;

/// Groups hold groups with a higher number only, and places hold such places, so that nothing contains itself.
fn members(of: u32) -> impl Strategy<Value = Vec<String>> {
    let person = (0..PEOPLE).prop_map(|number| format!("p{number}"));
    let group = (of + 1..GROUPS + 1).prop_map(|number| if number < GROUPS { format!("@g{number}") } else { "p0".to_owned() });
    proptest::collection::vec(prop_oneof![3 => person, 2 => group], 0..5)
}

fn readers(above_place: u32) -> impl Strategy<Value = Vec<String>> {
    let person = (0..PEOPLE).prop_map(|number| format!("p{number}"));
    let group = (0..GROUPS).prop_map(|number| format!("@g{number}"));
    let place =
        (above_place..PLACES + 1).prop_map(|number| if number < PLACES { format!("channel:{number}") } else { "p1".to_owned() });
    proptest::collection::vec(prop_oneof![6 => person, 6 => group, 3 => place, 1 => Just("public".to_owned())], 0..4)
}

fn person() -> impl Strategy<Value = DirectoryChange> {
    let level = prop_oneof![Just(None), Just(Some(Classification::Internal)), Just(Some(Classification::Restricted))];
    let department = prop_oneof![Just(json!({})), Just(json!({"department": "data"})), Just(json!({"department": "sales"}))];
    (0..PEOPLE, level, department, any::<bool>(), proptest::bool::weighted(0.2)).prop_map(
        |(number, clearance, attributes, categories, left)| {
            DirectoryChange::PutPerson(PersonRecord {
                attributes: serde_json::from_value(attributes).expect("attributes"),
                clearance,
                categories: categories.then(|| Arc::from("user-data")).into_iter().collect(),
                status: if left { Status::Left } else { Status::Active },
                ..PersonRecord::new(name(&format!("p{number}")))
            })
        },
    )
}

fn item() -> impl Strategy<Value = DirectoryChange> {
    let classification =
        prop_oneof![Just(Classification::Internal), Just(Classification::Confidential), Just(Classification::Restricted)];
    (0..ITEMS, proptest::option::weighted(0.8, readers(0)), classification, any::<bool>(), proptest::option::of(0..PLACES))
        .prop_map(|(number, readers, classification, categories, place)| {
            DirectoryChange::PutItem(ItemRecord {
                id: name(&format!("doc:{number}")),
                readers,
                classification,
                categories: categories.then(|| Arc::from("user-data")).into_iter().collect(),
                purposes: None,
                integrity: crate::label::Integrity::Untrusted,
                owner: None,
                container: place.map(|place| name(&format!("channel:{place}"))),
            })
        })
}

fn change() -> impl Strategy<Value = DirectoryChange> {
    let group = |number: u32| name::<GroupId>(&format!("g{number}"));
    let place = |number: u32| name::<ResourceId>(&format!("channel:{number}"));
    let doc = |number: u32| name::<ResourceId>(&format!("doc:{number}"));
    let of_group = (0..GROUPS).prop_flat_map(|of| (Just(of), members(of), 0..3_u8));
    let of_place = (0..PLACES).prop_flat_map(|of| (Just(of), readers(of + 1), 0..3_u8));
    prop_oneof![
        1 => person(),
        4 => of_group.prop_map(move |(of, members, what)| match what {
            0 => DirectoryChange::PutGroup { id: group(of), members, owner: None },
            1 => DirectoryChange::AddMembers { group: group(of), members },
            _ => DirectoryChange::RemoveMembers { group: group(of), members },
        }),
        3 => of_place.prop_map(move |(of, audience, what)| match what {
            0 => DirectoryChange::SetAudience { destination: place(of), audience },
            1 => DirectoryChange::AddAudience { destination: place(of), audience },
            _ => DirectoryChange::RemoveAudience { destination: place(of), audience },
        }),
        2 => item(),
        3 => (0..ITEMS, readers(0), 0..3_u8).prop_map(move |(of, readers, what)| match what {
            0 => DirectoryChange::SetReaders { item: doc(of), readers },
            1 => DirectoryChange::AddReaders { item: doc(of), readers },
            _ => DirectoryChange::RemoveReaders { item: doc(of), readers },
        }),
    ]
}

/// Everyone and everything, with nothing in anything, and clearance that follows from a department.
fn beginning() -> DirectoryDocument {
    serde_json::from_value(json!({
        "people": (0..PEOPLE).map(|n| json!({"id": format!("p{n}")})).collect::<Vec<_>>(),
        "groups": (0..GROUPS).map(|n| (format!("g{n}"), json!([]))).collect::<serde_json::Map<_, _>>(),
        "destinations": (0..PLACES).map(|n| json!({"id": format!("channel:{n}"), "audience": []})).collect::<Vec<_>>(),
        "items": (0..ITEMS).map(|n| json!({"id": format!("doc:{n}")})).collect::<Vec<_>>(),
        "clearance": [
            {"when": {"department": "data"}, "level": "confidential", "categories": ["user-data"]},
            {"when": {"department": "sales"}, "categories": ["user-data"]}
        ]
    }))
    .expect("a document")
}

fn naive(document: &DirectoryDocument) -> Naive {
    let mut naive = Naive { rules: document.clearance.clone(), ..Naive::default() };
    difference_from_nothing(document).iter().for_each(|change| naive.make(change));
    naive
}

fn difference_from_nothing(document: &DirectoryDocument) -> Vec<DirectoryChange> {
    let people = document.people.iter().cloned().map(DirectoryChange::PutPerson);
    let groups = document.groups.iter().map(|(id, members)| DirectoryChange::PutGroup {
        id: id.clone(),
        members: members.clone(),
        owner: None,
    });
    let places = document.destinations.iter().cloned().map(DirectoryChange::PutDestination);
    people.chain(groups).chain(places).chain(document.items.iter().cloned().map(DirectoryChange::PutItem)).collect()
}

fn names(directory: &Directory, bits: &RoaringBitmap) -> BTreeSet<String> {
    bits.iter().map(|number| directory.principals().name(number).expect("it has a name").to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_directory_is_the_one_that_is_computed_anew(batches in proptest::collection::vec(proptest::collection::vec(change(), 1..6), 1..8)) {
        let mut directory = Directory::of(&beginning()).expect("it is right");
        let mut twin = naive(&beginning());
        for batch in batches {
            // People first, as a batch is read.
            batch.iter().filter(|change| matches!(change, DirectoryChange::PutPerson(_))).for_each(|change| twin.make(change));
            batch.iter().filter(|change| !matches!(change, DirectoryChange::PutPerson(_))).for_each(|change| twin.make(change));
            directory = directory.change(&batch).expect("it is right").0;
            for (id, members) in &twin.groups {
                let found = names(&directory, directory.group(id).expect("it is there"));
                prop_assert_eq!(Some(found), twin.people_of(members, 0), "group {}", id);
            }
            for (id, item) in &twin.items {
                let (sees, public) = twin.sees(item);
                let found = directory.who_can_see(id).expect("it is there");
                prop_assert_eq!(found.public, public, "{}", id);
                if !public {
                    prop_assert_eq!(names(&directory, found.people.bits()), sees, "{}", id);
                }
                let label = directory.label_of(&name(id)).expect("it is there");
                let cleared = directory.cleared_for(label);
                for person in twin.active() {
                    let number = directory.person(&person).expect("they are here");
                    prop_assert_eq!(cleared.public || cleared.people.bits().contains(number), twin.is_cleared(&person, item), "{} for {}", person, id);
                    let listed = directory.can_see(number).iter().any(|item| item.as_str() == id);
                    prop_assert_eq!(listed, sees_it(&twin, &person, item), "{} sees {}", person, id);
                }
            }
        }
    }

    #[test]
    fn a_preview_is_the_difference_that_is_computed_anew(
        before in proptest::collection::vec(change(), 0..30), proposed in proptest::collection::vec(change(), 1..5)
    ) {
        let mut twin = naive(&beginning());
        let mut state = state(beginning());
        for change in before {
            twin.make(&change);
            let changed = DirectoryChanged { source: "a test".to_owned(), by: None, changes: vec![change] };
            state.apply(&Record::new(Moment(2), Event::DirectoryChanged(Box::new(changed))));
        }
        let mut after = twin.clone();
        proposed.iter().filter(|change| matches!(change, DirectoryChange::PutPerson(_))).for_each(|change| after.make(change));
        proposed.iter().filter(|change| !matches!(change, DirectoryChange::PutPerson(_))).for_each(|change| after.make(change));
        let found = preview(&state, &proposed).expect("it is right");
        let (pairs, uncleared, newcomers) = twin.exposes(&after);
        prop_assert_eq!((found.pairs, found.uncleared_pairs, found.newcomers), (pairs, uncleared, newcomers.len() as u64));
        prop_assert_eq!(found.newly_cleared, twin.clears(&after));
    }
}

fn sees_it(twin: &Naive, person: &str, item: &ItemRecord) -> bool {
    let (sees, public) = twin.sees(item);
    public || sees.contains(person)
}

fn looks(changes: &[DirectoryChange]) -> Exposure {
    let document = serde_json::from_value(json!({
        "people": [
            {"id": "bo"}, {"id": "ann"}, {"id": "cy"}, {"id": "eve"},
            {"id": "dee", "clearance": "restricted", "categories": ["user-data"]}
        ],
        "groups": {"team": ["bo"], "all": ["@team", "ann", "eve", "dee"]},
        "items": [
            {"id": "dataset:users", "readers": ["cy"], "classification": "restricted", "categories": ["user-data"], "owner": "cy"},
            {"id": "page:team", "readers": ["@team"], "owner": "bo"},
            {"id": "post:1", "readers": ["cy"], "container": "channel:team"},
            {"id": "note:unlabelled"}
        ],
        "destinations": [{"id": "channel:team", "audience": ["@team"]}]
    }))
    .expect("a document");
    preview(&state(document), changes).expect("it is right")
}

#[test]
fn opening_a_dataset_to_a_group_counts_those_who_are_not_cleared() {
    let found = looks(&[DirectoryChange::AddReaders { item: name("dataset:users"), readers: strings(&["@all"]) }]);
    assert_eq!((found.newcomers, found.pairs, found.uncleared_pairs, found.uncleared_people), (4, 4, 3, 3));
    assert_eq!(found.owners, BTreeSet::from([name("cy")]));
    assert_eq!(found.worst[0].item.as_str(), "dataset:users");
}

#[test]
fn joining_a_group_shows_everything_behind_it() {
    let found = looks(&[DirectoryChange::AddMembers { group: name("team"), members: strings(&["cy", "ann"]) }]);
    // Cy newly sees the page, and saw the post before; ann sees both.
    assert_eq!((found.newcomers, found.items, found.pairs, found.uncleared_pairs), (2, 2, 3, 3));
}

#[test]
fn what_becomes_public_is_said_and_the_people_known_are_counted() {
    let found = looks(&[DirectoryChange::SetReaders { item: name("page:team"), readers: strings(&["public"]) }]);
    assert!(found.public);
    // Dee is cleared by level for anything of the team.
    assert_eq!((found.newcomers, found.uncleared_pairs), (4, 3));
}

#[test]
fn what_only_a_pattern_speaks_of_is_counted_like_anything_else() {
    let document = serde_json::from_value(json!({
        "people": [{"id": "bo"}, {"id": "cy"}],
        "items": [{"id": "dataset:*", "readers": ["cy"], "classification": "restricted", "owner": "cy"}],
        "destinations": [{"id": "channel:*", "audience": ["cy"]}]
    }))
    .expect("a document");
    let state = state(document);
    let opens = DirectoryChange::AddReaders { item: name("dataset:users"), readers: strings(&["bo"]) };
    let found = preview(&state, &[opens]).expect("it is right");
    assert_eq!((found.pairs, found.uncleared_pairs), (1, 1));
    let put = json!({"id": "dataset:users", "readers": ["cy", "bo"], "classification": "restricted"});
    let put = DirectoryChange::PutItem(serde_json::from_value(put).expect("an item"));
    assert_eq!(preview(&state, &[put]).expect("it is right").uncleared_pairs, 1);
}

#[test]
fn a_raised_clearance_is_said() {
    let cleared = json!({"id": "eve", "clearance": "restricted", "categories": ["user-data"]});
    let found = looks(&[DirectoryChange::PutPerson(serde_json::from_value(cleared).expect("a person"))]);
    // Everything but what she may have already; the unlabelled note is classified too.
    assert_eq!((found.pairs, found.newly_cleared), (0, 4));
}

#[test]
fn nobody_is_cleared_for_what_goes_in_the_same_batch() {
    let cleared = json!({"id": "eve", "clearance": "restricted", "categories": ["user-data"]});
    let cleared = DirectoryChange::PutPerson(serde_json::from_value(cleared).expect("a person"));
    let found = looks(&[cleared, DirectoryChange::RemoveItem { id: name("dataset:users") }]);
    assert_eq!(found.newly_cleared, 3);
}

#[test]
fn changes_that_fit_together_are_taken_together() {
    let joins = DirectoryChange::AddMembers { group: name("team"), members: strings(&["eve"]) };
    let closes = DirectoryChange::SetAudience { destination: name("channel:team"), audience: strings(&["bo"]) };
    assert_eq!(looks(std::slice::from_ref(&joins)).items, 2);
    assert_eq!(looks(&[joins, closes]).items, 1);
}

#[test]
fn a_place_that_was_removed_and_put_again_is_followed_like_any_other() {
    let put = |audience: &str| -> Vec<DirectoryChange> {
        let changes = json!([
            {"put_destination": {"id": "channel:team", "audience": [audience]}},
            {"put_item": {"id": "post:1", "container": "channel:team"}},
            {"put_item": {"id": "page:1", "readers": ["channel:team"]}}
        ]);
        serde_json::from_value(changes).expect("changes")
    };
    let remove: Vec<DirectoryChange> = serde_json::from_value(json!([
        {"remove_item": {"id": "post:1"}}, {"remove_item": {"id": "page:1"}}, {"remove_destination": {"id": "channel:team"}}
    ]))
    .expect("changes");
    let mut state =
        state(serde_json::from_value(json!({"people": [{"id": "ann"}, {"id": "bo"}, {"id": "cy"}]})).expect("a document"));
    for changes in [put("ann"), remove.clone(), put("bo")] {
        let changed = DirectoryChanged { source: "a test".to_owned(), by: None, changes };
        state.apply(&Record::new(Moment(2), Event::DirectoryChanged(Box::new(changed))));
        // What is derived is derived now, for the next change to let go of.
        for id in ["post:1", "page:1"] {
            drop(state.directory().label_of(&name(id)).cloned());
        }
    }
    let readers =
        |id| names(state.directory(), state.directory().label_of(&name(id)).expect("it is there").readers.people.bits());
    assert_eq!([readers("post:1"), readers("page:1")], ["bo", "bo"].map(|person| BTreeSet::from([person.to_owned()])));
    let joins = DirectoryChange::AddAudience { destination: name("channel:team"), audience: strings(&["cy"]) };
    let found = preview(&state, &[joins]).expect("it is right");
    assert_eq!((found.items, found.pairs, found.uncleared_pairs), (2, 2, 2));
    let remove = &remove[2..];
    assert!(state.directory().change(remove).is_err(), "a place that is still named stays");
}

#[test]
fn somebody_whom_the_change_itself_brings_is_named() {
    let comes = DirectoryChange::PutPerson(PersonRecord::new(name("new")));
    let joins = DirectoryChange::AddMembers { group: name("team"), members: strings(&["new"]) };
    let found = looks(&[comes, joins]);
    assert_eq!(found.worst[0].sample, [name("new")]);
}

#[test]
fn a_change_that_names_what_does_not_exist_is_refused_whole() {
    let directory = Directory::of(&beginning()).expect("it is right");
    let errors = directory
        .change(&[
            DirectoryChange::AddMembers { group: name("nobody"), members: strings(&["p1"]) },
            DirectoryChange::AddMembers { group: name("g1"), members: strings(&["p1", "who"]) },
            DirectoryChange::RemoveItem { id: name("doc:none") },
            DirectoryChange::PutGroup { id: name("g2"), members: strings(&["@g2"]), owner: None },
        ])
        .expect_err("it is wrong");
    assert_eq!(errors.len(), 4, "{errors:#?}");
}

#[test]
fn groups_nested_ten_thousand_deep_are_refused() {
    let directory = Directory::of(&beginning()).expect("it is right");
    let changes: Vec<_> = (0..10_000)
        .map(|n| DirectoryChange::PutGroup { id: name(&format!("n{n}")), members: vec![format!("@n{}", n + 1)], owner: None })
        .chain([DirectoryChange::PutGroup { id: name("n10000"), members: Vec::new(), owner: None }])
        .collect();
    let errors = directory.change(&changes).expect_err("it is too deep");
    assert!(errors.iter().all(|error| matches!(error, DirectoryError::Cycle { .. })));
}

#[test]
fn cycles_are_refused_however_they_come_about() {
    let directory = Directory::of(&beginning()).expect("it is right");
    let adds = |group: &str, member: &str| DirectoryChange::AddMembers { group: name(group), members: strings(&[member]) };
    let (once, _) = directory.change(&[adds("g1", "@g2")]).expect("it is right");
    assert!(once.change(&[adds("g2", "@g3"), adds("g3", "@g1")]).is_err());
    let sees = |place: &str, other: &str| DirectoryChange::AddAudience { destination: name(place), audience: strings(&[other]) };
    let (once, _) = directory.change(&[sees("channel:1", "channel:2")]).expect("it is right");
    assert!(once.change(&[sees("channel:2", "channel:1")]).is_err());
}

#[test]
fn who_leaves_is_gone_everywhere_and_what_is_named_is_not_removed() {
    let mut directory = Directory::of(&beginning()).expect("it is right");
    let mut happens = |changes: &[DirectoryChange]| {
        directory.change(changes).map(|(next, _)| directory = next.clone()).map(|()| directory.clone())
    };
    happens(&[
        DirectoryChange::AddMembers { group: name("g1"), members: strings(&["p1", "p2"]) },
        DirectoryChange::SetReaders { item: name("doc:1"), readers: strings(&["@g1", "p1"]) },
    ])
    .expect("it is right");
    assert!(happens(&[DirectoryChange::RemoveGroup { id: name("g1") }]).is_err());
    assert!(happens(&[DirectoryChange::RemovePerson { id: name("p1") }]).is_err());
    let left = json!({"id": "p1", "status": "left"});
    let now = happens(&[DirectoryChange::PutPerson(serde_json::from_value(left).expect("a person"))]).expect("it is right");
    assert_eq!(names(&now, now.who_can_see("doc:1").expect("it is there").people.bits()), BTreeSet::from(["p2".to_owned()]));
    let now = happens(&[
        DirectoryChange::SetReaders { item: name("doc:1"), readers: Vec::new() },
        DirectoryChange::RemoveGroup { id: name("g1") },
        DirectoryChange::RemovePerson { id: name("p1") },
    ])
    .expect("nothing names them any longer");
    assert!(!now.knows_person("p1") && now.group("g1").is_none());
}

#[test]
fn what_is_sent_reaches_whoever_may_be_meant() {
    let person = |id: &str, addresses: &[&str]| PersonRecord { addresses: strings(addresses), ..PersonRecord::new(name(id)) };
    let people = vec![
        person("ann@x.org", &["ann.lee@x.org"]),
        person("new", &["ann@x.org"]),
        person("sly", &["@all", "public", "external:y.org", "mailbox:all"]),
        PersonRecord { status: Status::Left, ..person("gone@x.org", &[]) },
    ];
    let mut document = DirectoryDocument { people, ..DirectoryDocument::default() };
    document.groups.insert(name("all"), strings(&["new", "sly"]));
    document.destinations.push(DestinationRecord {
        id: name("mailbox:all"),
        audience: strings(&["@all"]),
        owner: None,
        known: true,
    });
    let state = state(document);
    let directory = state.directory();
    let reached = |recipient: &str| names(directory, directory.reach_of_recipient(recipient).people.bits());
    assert_eq!(reached("ann.lee@x.org"), BTreeSet::from(["ann@x.org".to_owned()]));
    assert_eq!(reached("ann@x.org").len(), 2, "one person's id is another's address");
    assert_eq!(directory.person_named("ann@x.org"), None);
    assert_eq!((reached("@all").len(), reached("mailbox:all").len()), (2, 2), "an address takes no group's and no place's name");
    assert!(directory.reach_of_recipient("public").public);
    assert!(directory.reach_of_recipient("external:y.org").external.contains("y.org"));
    let gone = directory.reach_of_recipient("gone@x.org");
    assert!(gone.people.bits().is_empty() && gone.external.contains("gone@x.org"), "it goes somewhere, and not to a person here");
}

#[test]
fn a_configuration_that_changes_keeps_what_was_recorded() {
    let mut document = beginning();
    let directory = Directory::of(&document).expect("it is right");
    let recorded = [DirectoryChange::PutGroup { id: name("new"), members: strings(&["p1"]), owner: None }];
    let (directory, _) = directory.change(&recorded).expect("it is right");
    document.groups.insert(name("g1"), strings(&["@new"]));
    document.items.truncate(3);
    let directory = directory.configured(&document).expect("it is right");
    assert_eq!(names(&directory, directory.group("g1").expect("it is there")), BTreeSet::from(["p1".to_owned()]));
    assert_eq!(directory.counts().items, 3);
    document.people.retain(|person| person.id.as_str() != "p1");
    let errors = directory.configured(&document).expect_err("somebody recorded is gone");
    assert!(matches!(errors[..], [DirectoryError::InUse { .. }]), "{errors:#?}");
}

fn with_attributes(id: &str, attributes: serde_json::Value) -> PersonRecord {
    PersonRecord { attributes: serde_json::from_value(attributes).expect("attributes"), ..PersonRecord::new(name(id)) }
}

fn rule(when: &[(&str, &str)], level: Option<Classification>, categories: &[&str]) -> ClearanceRule {
    ClearanceRule {
        when: when.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect(),
        level,
        categories: categories.iter().map(|category| Arc::from(*category)).collect(),
    }
}

fn cleared(directory: &Directory, level: Classification, categories: &[&str]) -> Vec<String> {
    let categories = categories.iter().map(|category| Arc::from(*category)).collect();
    let people = directory.cleared_by_level(level, &categories);
    people.iter().filter_map(|number| directory.principals().name(number)).map(ToString::to_string).collect()
}

#[test]
fn all_rules_that_speak_of_a_person_are_joined_with_their_own_clearance() {
    use Classification::{Confidential, Restricted};
    let own = PersonRecord { clearance: Some(Restricted), ..with_attributes("own", json!({ "department": "Finance" })) };
    let document = DirectoryDocument {
        people: vec![
            own,
            with_attributes("both", json!({ "department": "Finance", "roles": ["auditor", "clerk"] })),
            with_attributes("role", json!({ "roles": "auditor" })),
            with_attributes("case", json!({ "department": "finance" })),
            PersonRecord { status: Status::Left, ..with_attributes("left", json!({ "department": "Finance" })) },
        ],
        clearance: vec![
            rule(&[("department", "Finance")], Some(Confidential), &["payroll"]),
            rule(&[("roles", "auditor")], None, &["audit"]),
            rule(&[("department", "Finance"), ("roles", "auditor")], Some(Restricted), &[]),
        ],
        ..DirectoryDocument::default()
    };
    let directory = Directory::of(&document).expect("right");
    assert_eq!(cleared(&directory, Confidential, &["payroll"]), ["own", "both"]);
    assert_eq!(cleared(&directory, Restricted, &["payroll"]), ["own", "both"]);
    assert_eq!(cleared(&directory, Restricted, &["payroll", "audit"]), ["both"]);
    assert_eq!(cleared(&directory, Classification::Public, &["audit"]), ["both"], "categories alone clear nobody");
}

#[test]
fn other_attributes_and_other_rules_hold_at_once() {
    use Classification::Confidential;
    let mut document = DirectoryDocument {
        clearance: vec![rule(&[("department", "Finance")], Some(Confidential), &[])],
        ..DirectoryDocument::default()
    };
    let directory = Directory::of(&document).expect("right");
    let moves_to = |directory: &Directory, department: &str| {
        let record = with_attributes("bo", json!({ "department": department }));
        directory.change(&[DirectoryChange::PutPerson(record)]).expect("right")
    };
    let (directory, touched) = moves_to(&directory, "Finance");
    assert!(touched.changes_clearance());
    assert_eq!(cleared(&directory, Confidential, &[]), ["bo"]);
    let (elsewhere, touched) = moves_to(&directory, "Sales");
    assert!(touched.changes_clearance());
    assert!(cleared(&elsewhere, Confidential, &[]).is_empty());
    document.clearance = vec![rule(&[("department", "Sales")], Some(Confidential), &[])];
    assert!(cleared(&directory.configured(&document).expect("right"), Confidential, &[]).is_empty());
    assert_eq!(cleared(&elsewhere.configured(&document).expect("right"), Confidential, &[]), ["bo"]);
}

#[test]
fn a_rule_without_a_condition_and_what_is_too_long_are_refused() {
    let unfit = |document: &DirectoryDocument| {
        matches!(Directory::of(document).expect_err("unfit").as_slice(), [DirectoryError::Unfit { .. }])
    };
    let clearance = vec![rule(&[], Some(Classification::Internal), &[])];
    assert!(unfit(&DirectoryDocument { clearance, ..DirectoryDocument::default() }));
    let person = with_attributes("bo", json!({ "title": "x".repeat(ATTRIBUTE_BYTES_MAX + 1) }));
    assert!(unfit(&DirectoryDocument { people: vec![person], ..DirectoryDocument::default() }));
    let profile = Some(Arc::from("x".repeat(PROFILE_BYTES_MAX + 1)));
    let person = PersonRecord { profile, ..PersonRecord::new(name("bo")) };
    assert!(unfit(&DirectoryDocument { people: vec![person], ..DirectoryDocument::default() }));
}

#[test]
fn a_handle_is_one_principals_whatever_its_case() {
    let with = |id: &str, handle: &str| PersonRecord { handle: Some(handle.into()), ..PersonRecord::new(name(id)) };
    let put = |directory: &Directory, record| directory.change(&[DirectoryChange::PutPerson(record)]);
    let (directory, _) = put(&Directory::default(), with("1", "Bo@Example.com")).expect("right");
    assert_eq!(directory.by_handle("bo@example.COM"), Some(&name("1")));
    assert!(matches!(put(&directory, with("2", "BO@example.com")).expect_err("taken")[..], [DirectoryError::Twice { .. }]));
    let (directory, _) = put(&directory, with("1", "bo.b@example.com")).expect("right");
    let (directory, _) = put(&directory, with("2", "bo@example.com")).expect("it is free again");
    let (directory, _) = directory.change(&[DirectoryChange::RemovePerson { id: name("2") }]).expect("right");
    assert_eq!(directory.by_handle("bo@example.com"), None);
    assert_eq!(directory.by_handle("bo.b@example.com"), Some(&name("1")));
}

#[test]
fn an_agent_out_of_use_is_as_if_it_were_not_registered_and_keeps_its_record() {
    let agent = AgentRecord { status: Status::Left, ..AgentRecord::new(name("helper"), name("bo")) };
    let changes = [DirectoryChange::PutPerson(PersonRecord::new(name("bo"))), DirectoryChange::PutAgent(agent.into())];
    let (directory, _) = Directory::default().change(&changes).expect("right");
    assert!(directory.agent("helper").is_none());
    assert_eq!(directory.agent_record("helper").map(|agent| agent.status), Some(Status::Left));
}

#[test]
fn what_is_kept_of_a_group_outlives_other_members() {
    let put = |members: &[&str]| DirectoryChange::PutGroup { id: name("g"), members: strings(members), owner: None };
    let describe = DirectoryChange::DescribeGroup { group: name("g"), profile: Some("{}".into()) };
    let people = DirectoryChange::PutPerson(PersonRecord::new(name("bo")));
    let (directory, _) = Directory::default().change(&[people, put(&[]), describe]).expect("right");
    let (directory, _) = directory.change(&[put(&["bo"])]).expect("right");
    let group = directory.group_named(&name("g")).expect("it is there");
    assert_eq!((group.profile(), group.members().len()), (Some("{}"), 1));
    let (directory, _) = directory.change(&[DirectoryChange::RemoveGroup { id: name("g") }, put(&[])]).expect("right");
    assert_eq!(directory.group_named(&name("g")).map(|group| group.members().len()), None, "removals come last");
}

#[test]
fn a_number_that_is_given_again_shows_nothing_of_what_had_it() {
    let put = |id: &str, readers: &[&str]| {
        let record = json!({"id": id, "readers": readers, "classification": "restricted"});
        DirectoryChange::PutItem(serde_json::from_value(record).expect("an item"))
    };
    let remove = |id: &str| DirectoryChange::RemoveItem { id: name(id) };
    let before = Directory::of(&beginning()).expect("it is right");
    let (gone, _) = before.change(&[remove("doc:3")]).expect("it is right");
    assert_eq!((gone.who_can_see("doc:3"), gone.counts().items), (None, ITEMS as usize - 1));
    let (one, _) = gone.change(&[put("doc:one", &["p1"])]).expect("it is right");
    let (other, _) = gone.change(&[put("doc:other", &["p2"])]).expect("it is right");
    let seen = |directory: &Directory, item: &str| directory.who_can_see(item).map(|reach| names(directory, reach.people.bits()));
    assert_eq!((seen(&one, "doc:one"), seen(&one, "doc:other")), (Some(BTreeSet::from(["p1".to_owned()])), None));
    assert_eq!((seen(&other, "doc:other"), seen(&other, "doc:one")), (Some(BTreeSet::from(["p2".to_owned()])), None));
    assert!(seen(&before, "doc:3").is_some(), "what was before stays as it was");
    let p1 = one.person("p1").expect("they are here");
    assert!(one.can_see(p1).iter().any(|item| item.as_str() == "doc:one") && other.can_see(p1).is_empty());
}

proptest! {
    #[test]
    fn names_keep_their_numbers_until_they_are_let_go(asked in proptest::collection::vec((0..400_u32, any::<bool>()), 0..1_500)) {
        let mut found = names::Names::<ResourceId>::default();
        let mut twin: BTreeMap<u32, u32> = BTreeMap::new();
        let mut shared = Vec::new();
        for (at, (which, stays)) in asked.into_iter().enumerate() {
            let id: ResourceId = name(&format!("doc:{which}"));
            if stays {
                let (number, is_new) = found.intern(&id);
                prop_assert_eq!(twin.insert(which, number).filter(|known| *known == number).is_none(), is_new);
            } else {
                prop_assert_eq!(found.forget(id.as_str()), twin.remove(&which).inspect(|number| found.release(*number)));
            }
            if at % 300 == 0 {
                shared.push((found.clone(), twin.clone()));
            }
        }
        shared.push((found, twin));
        for (found, twin) in shared {
            prop_assert_eq!(found.len(), twin.len());
            prop_assert_eq!(twin.values().collect::<BTreeSet<_>>().len(), twin.len(), "one number each");
            for which in 0..400 {
                let text = format!("doc:{which}");
                prop_assert_eq!(found.number(&text), twin.get(&which).copied());
                prop_assert!(found.number(&text).is_none_or(|number| found.name(number).is_some_and(|id| id.as_str() == text)));
            }
        }
    }
}
