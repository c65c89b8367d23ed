//! What a large directory costs: loading, memory, previews, and who is within whom. `cargo run --release -p judge --example directory_scale --
//! 1000000` is an organisation of a million people, a tenth as many groups nested ten deep, and ten times as many items with shared access
//! lists. Each group holds one group of the level below beside the next of its chain, which puts a person into some two hundred groups; a
//! second argument says how many instead of one.

use judge::content::ContentKey;
use judge::directory::{DestinationRecord, Directory, DirectoryChange, ItemRecord, PersonRecord, Status};
use judge::event::{DirectoryChanged, Ended, Event, LabelRecord, Observed, ReadRecord, Record, SetRecord};
use judge::label::{Classification, Integrity, Label, Purposes};
use judge::moment::Moment;
use judge::name::{DecisionId, GroupId, PrincipalId, ResourceId, TaskId};
use judge::preview::preview;
use judge::reach::Reach;
use judge::state::State;
use roaring::RoaringBitmap;
use serde_json::json;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The same as the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 50_000;
const DEPTH: u64 = 10;
/// How many reads a flow is measured with.
const READS: u64 = 10_000;

fn main() {
    let argument = |at: usize| std::env::args().nth(at).and_then(|text| text.parse::<u64>().ok());
    let scale = Scale::of(argument(1).unwrap_or(100_000), argument(2).unwrap_or(1));
    let Scale { people, groups, items, lists, places, .. } = scale;
    println!("{people} people, {groups} groups, {items} items on {lists} lists of readers, {places} destinations");
    let mut state = State::new(ContentKey::new([7; 16]));
    let started = Instant::now();
    load(&mut state, (0..people).map(person));
    report("people", people, started);
    let named = |number| DirectoryChange::PutGroup { id: group_id(number), members: Vec::new(), owner: None };
    load(&mut state, (0..groups).map(named));
    load(&mut state, (0..groups).map(|number| scale.group(number)));
    report("groups", groups, started);
    load(&mut state, (0..places).map(|number| scale.place(number)));
    load(&mut state, (0..items).map(|number| scale.item(number)));
    report("items", items, started);

    let large = members(state.directory(), 0);
    previews(&state, &scale);
    within(state.directory(), &scale);
    changes(&mut state, &scale);
    reads(&mut state, large);
    report("in all", people + groups + items, started);
}

/// How much there is of everything.
#[derive(Clone, Copy)]
struct Scale {
    people: u64,
    groups: u64,
    items: u64,
    lists: u64,
    places: u64,
    /// How many groups a group holds beside the next of its chain.
    beside: u64,
}

impl Scale {
    fn of(people: u64, beside: u64) -> Self {
        Self { people, groups: people / 10, items: people * 10, lists: people / 10, places: people / 100, beside }
    }
}

fn joins(member: &str, group: u64) -> [DirectoryChange; 1] {
    [DirectoryChange::AddMembers { group: group_id(group), members: vec![member.to_owned()] }]
}

fn previews(state: &State, scale: &Scale) {
    let directory = state.directory();
    // Group 0 has a tenth of all people, and a tenth of all items are shown to it.
    let large = 0;
    let outsider = (0..scale.people).rev().map(|number| format!("p{number}"));
    let is_outside = |name: &String| directory.person(name).is_some_and(|number| !directory.is_member("g0", number));
    let outsider = outsider.into_iter().find(is_outside).unwrap_or_default();
    // Another that is as large, where there is one; else the largest top of a chain.
    let tops = (DEPTH..scale.groups).step_by(DEPTH as usize);
    let other = tops.max_by_key(|number| members(directory, *number)).unwrap_or(1);
    let top = (DEPTH..scale.groups).step_by(DEPTH as usize).find(|number| members(directory, *number) < scale.people / 50);
    let top = top.unwrap_or(DEPTH);
    let open = [DirectoryChange::AddReaders { item: item_id(5), readers: vec![format!("@{}", group_id(large))] }];
    let cleared = DirectoryChange::PutPerson(PersonRecord {
        clearance: Some(Classification::Restricted),
        categories: BTreeSet::from(["finance".into()]),
        ..person_record(scale.people - 1)
    });
    let cases: [(String, u32, &[DirectoryChange]); 8] = [
        (
            format!("a group of {} joins the one of {}", members(directory, other), members(directory, large)),
            5,
            &joins(&format!("@{}", group_id(other)), large),
        ),
        (
            format!("a group of {} joins the one of {}", members(directory, top), members(directory, large)),
            5,
            &joins(&format!("@{}", group_id(top)), large),
        ),
        (format!("one person joins the group of {}", members(directory, large)), 50, &joins(&outsider, large)),
        (format!("one person joins a group of {}, level 8", members(directory, 7)), 50, &joins(&outsider, 7)),
        (format!("one person joins a group of {}, level 10", members(directory, 9)), 50, &joins(&outsider, 9)),
        (format!("one person joins a group of {}, the top", members(directory, top)), 50, &joins(&outsider, top)),
        (format!("an item is opened to {}", members(directory, large)), 50, &open),
        ("one person is cleared higher".to_owned(), 10, std::slice::from_ref(&cleared)),
    ];
    for (what, rounds, changes) in cases {
        let shown = preview(state, changes).expect("it is right");
        measure(&format!("preview: {what}"), rounds, || preview(state, changes));
        println!(
            "{:>12} items, {} pairs, {} not cleared, {} newly cleared",
            shown.items, shown.pairs, shown.uncleared_pairs, shown.newly_cleared
        );
    }
}

/// Whether an audience of a tenth of all is within readers: at once, and for the first time.
fn within(directory: &Directory, scale: &Scale) {
    let reach = |number: u64| directory.reach_of_recipient(&format!("@{}", group_id(number)));
    let audience = reach(0);
    let all = Reach::of_people(directory.active().clone());
    let mut but_few = all.clone();
    but_few.people =
        judge::reach::PeopleSet::new(all.people.bits() - audience.people.bits().iter().step_by(1000).collect::<RoaringBitmap>());
    let readers = audience.union(&reach(1));
    let size = audience.people.bits().len();
    measure(&format!("{size} within readers that hold them, hot"), 10_000, || audience.beyond(&readers).count());
    measure(&format!("{size} within everyone, hot"), 10_000, || audience.beyond(&all).count());
    measure(&format!("{size} within everyone but a few, hot"), 10_000, || audience.beyond(&but_few).count());
    measure("everyone within everyone but a few, hot", 10_000, || all.beyond(&but_few).count());
    // Every item is looked at once: its list was never resolved before, nor its label made.
    let mut number = 0;
    measure(&format!("{size} within the readers of an item, cold"), 10_000.min(scale.items as u32 / 10), || {
        number += 1;
        let label = directory.label_of(&item_id(number * 7 % scale.items)).expect("it is there");
        audience.beyond(&label.readers).count()
    });
    let mut number = 0;
    measure(&format!("{size} within the readers of an item, again"), 10_000.min(scale.items as u32 / 10), || {
        number += 1;
        let label = directory.label_of(&item_id(number * 7 % scale.items)).expect("it is there");
        audience.beyond(&label.readers).count()
    });
}

/// What a change costs that really happens, and that it holds for the next question.
fn changes(state: &mut State, scale: &Scale) {
    let directory = state.directory();
    measure("change: one person joins the largest group", 50, || {
        directory.change(&joins(&format!("p{}", scale.people - 2), 0)).map(drop)
    });
    measure("change: one person joins a group at level 8", 50, || {
        directory.change(&joins(&format!("p{}", scale.people - 2), 7)).map(drop)
    });
    let left = DirectoryChange::PutPerson(PersonRecord { status: Status::Left, ..person_record(3) });
    measure("change: one person leaves", 50, || directory.change(std::slice::from_ref(&left)).map(drop));
    let (item, _) = (scale.item(scale.items + 1), ());
    measure("change: one item more", 50, || directory.change(std::slice::from_ref(&item)).map(drop));
    let number = scale.people - 2;
    let person = directory.person(&format!("p{number}")).expect("they are here");
    load(state, joins(&format!("p{number}"), 0).into_iter());
    let reach = state.directory().reach_of_recipient("@g0");
    assert!(reach.people.bits().contains(person), "who joined is in the next audience");
}

/// What a read adds to the running label: each has another label, with readers of its own.
fn reads(state: &mut State, size: u64) {
    let task = json!({
        "id": "t1", "requester": "p0", "agent": "p0", "purpose": "scale", "words": "", "address": ["p0"],
        "effects": null, "resources": null, "budget": {}, "starts": 1, "ends": 900_000
    });
    state.apply(&Record::new(Moment(1), Event::TaskStarted(Box::new(serde_json::from_value(task).expect("a task")))));
    let everyone = state.directory().active().clone();
    // Readers are the large group, but for one who is not the same twice.
    let base = state.directory().group("g0").cloned().unwrap_or(everyone);
    let labels: Vec<Label> = (0..100)
        .map(|number| {
            let without = base.select((number * 31 % size.max(1)) as u32).unwrap_or(0);
            let readers = Reach::of_people(&base - RoaringBitmap::from([without]));
            Label {
                readers,
                unknown: false,
                classification: Classification::Internal,
                categories: BTreeSet::new(),
                purposes: Purposes::Any,
                integrity: Integrity::Untrusted,
                origins: BTreeSet::new(),
            }
        })
        .collect();
    let records: Vec<LabelRecord> = labels.iter().map(LabelRecord::from).collect();
    let sets = labels.iter().map(|label| SetRecord(label.readers.people.clone())).collect();
    let mut sets: Option<Vec<SetRecord>> = Some(sets);
    let mut times = Vec::new();
    for number in 0..READS {
        let item = ReadRecord {
            id: item_id(number),
            label: records[(number % 100) as usize].clone(),
            sketch: None,
            withheld: false,
            masked: false,
        };
        let observed = Observed {
            items: vec![item],
            sets: sets.take().unwrap_or_default(),
            ..Observed::nothing(
                DecisionId::parse(&format!("d{number}")).expect("a name"),
                Some(TaskId::parse("t1").expect("a name")),
                Ended::Ok,
            )
        };
        let record = Record::new(Moment(2), Event::Observed(Box::new(observed)));
        let began = Instant::now();
        state.apply(&record);
        times.push(began.elapsed());
    }
    for (what, part) in [
        ("1 to 100, each with readers of its own", 0..100),
        ("101 to 1,000", 100..1_000),
        ("1,001 to 10,000", 1_000..READS as usize),
    ] {
        show(&format!("reads {what}, of {size}"), times[part].to_vec());
    }
}

fn members(directory: &Directory, number: u64) -> u64 {
    directory.group(group_id(number).as_str()).map_or(0, roaring::RoaringBitmap::len)
}

fn load(state: &mut State, changes: impl Iterator<Item = DirectoryChange>) {
    let mut changes = changes.peekable();
    while changes.peek().is_some() {
        let batch = DirectoryChanged { source: "scale".to_owned(), by: None, changes: changes.by_ref().take(BATCH).collect() };
        state.apply(&Record::new(Moment(1), Event::DirectoryChanged(Box::new(batch))));
    }
}

fn report(what: &str, count: u64, started: Instant) {
    println!("{count:>10} {what:<8} after {:>6.1} s, {:>6} MB resident", started.elapsed().as_secs_f64(), resident_mb());
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn measure<T>(what: &str, rounds: u32, mut run: impl FnMut() -> T) {
    let times = (0..rounds).map(|_| {
        let started = Instant::now();
        let made = run();
        let elapsed = started.elapsed();
        drop(black_box(made));
        elapsed
    });
    show(what, times.collect());
}

fn show(what: &str, mut times: Vec<Duration>) {
    let first = times[0];
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 1000];
    println!("{what:<62} first {first:>9.1?}  median {:>9.1?}  99% {:>9.1?}  slowest {:>9.1?}", at(500), at(990), at(1000));
}

/// A number that looks random and is the same every time (SplitMix64, Steele et al. 2014).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn person(number: u64) -> DirectoryChange {
    DirectoryChange::PutPerson(person_record(number))
}

fn person_record(number: u64) -> PersonRecord {
    let is_cleared = number.is_multiple_of(20);
    PersonRecord {
        addresses: vec![format!("p{number}@example.com")],
        clearance: is_cleared.then_some(Classification::Confidential),
        categories: is_cleared.then(|| "finance".into()).into_iter().collect(),
        ..PersonRecord::new(name(&format!("p{number}")))
    }
}

fn group_id(number: u64) -> GroupId {
    GroupId::parse(&format!("g{number}")).expect("a name")
}

fn item_id(number: u64) -> ResourceId {
    ResourceId::parse(&format!("doc:{number}")).expect("a name")
}

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

impl Scale {
    /// Chains of ten: each holds the next, and another chain below; a few people everywhere, and a tenth of all in every thousandth.
    fn group(&self, number: u64) -> DirectoryChange {
        let level = number % DEPTH;
        let mut members: Vec<String> = (0..10).map(|turn| format!("p{}", mixed(number * 31 + turn) % self.people)).collect();
        if level + 1 < DEPTH && number + 1 < self.groups {
            members.push(format!("@{}", group_id(number + 1)));
            for turn in 0..self.beside {
                let other = mixed(number * 7 + turn) % self.groups / DEPTH * DEPTH + level + 1;
                if other < self.groups {
                    members.push(format!("@{}", group_id(other)));
                }
            }
        }
        if number.is_multiple_of(1_000) {
            let start = mixed(number) % self.people;
            members.extend((0..self.people / 10).map(|turn| format!("p{}", (start + turn) % self.people)));
        }
        DirectoryChange::PutGroup { id: group_id(number), members, owner: None }
    }

    /// Places where items stand, each seen by a group.
    fn place(&self, number: u64) -> DirectoryChange {
        DirectoryChange::PutDestination(DestinationRecord {
            id: place_id(number),
            audience: vec![format!("@{}", group_id(mixed(number * 11) % self.groups))],
            owner: None,
            known: true,
        })
    }

    /// Some lists have many items and most have few. A tenth of all lists name the first group; a twentieth is of what stands in a place.
    fn item(&self, number: u64) -> DirectoryChange {
        let part = (mixed(number) >> 11) as f64 / (1_u64 << 53) as f64;
        let list = (part * part * self.lists as f64) as u64;
        let first = if list % 10 == 3 { 0 } else { mixed(list) % self.groups };
        let readers = vec![
            format!("@{}", group_id(first)),
            format!("@{}", group_id(mixed(list * 3) % self.groups)),
            format!("p{}", mixed(list * 5) % self.people),
        ];
        DirectoryChange::PutItem(ItemRecord {
            id: item_id(number),
            readers: Some(readers),
            classification: if list.is_multiple_of(3) { Classification::Confidential } else { Classification::Internal },
            categories: list.is_multiple_of(3).then(|| "finance".into()).into_iter().collect(),
            purposes: None,
            integrity: Integrity::Untrusted,
            owner: Some(name(&format!("p{}", mixed(first) % self.people))),
            container: (list % 20 == 7).then(|| place_id(list % self.places)),
        })
    }
}

fn place_id(number: u64) -> ResourceId {
    ResourceId::parse(&format!("channel:{number}")).expect("a name")
}
