//! What a large directory costs: loading, memory, and previews. `cargo run --release -p judge --example directory_scale -- 1000000` is an
//! organisation of a million people, a tenth as many groups nested ten deep, and ten times as many items with shared access lists.

use judge::content::ContentKey;
use judge::directory::{Directory, DirectoryChange, ItemRecord, PersonRecord};
use judge::event::{DirectoryChanged, Event, Record};
use judge::label::{Classification, Integrity};
use judge::moment::Moment;
use judge::name::{GroupId, PrincipalId, ResourceId};
use judge::preview::preview;
use judge::state::State;
use std::hint::black_box;
use std::time::{Duration, Instant};

const BATCH: usize = 50_000;
const DEPTH: u64 = 10;

fn main() {
    let people: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let (groups, items) = (people / 10, people * 10);
    let lists = (items / 100).max(1);
    let mut state = State::new(ContentKey::new([7; 16]));
    let started = Instant::now();
    load(&mut state, (0..people).map(person));
    report("people", people, started);
    load(
        &mut state,
        (0..groups).map(|number| DirectoryChange::PutGroup { id: group_id(number), members: Vec::new(), owner: None }),
    );
    load(&mut state, (0..groups).map(|number| group(number, groups, people)));
    report("groups", groups, started);
    load(&mut state, (0..items).map(|number| item(number, lists, groups, people)));
    report("items", items, started);
    let directory = state.directory();

    // The top of a chain of groups with the most people below it.
    let large = (0..groups).step_by(DEPTH as usize).max_by_key(|number| members(directory, *number)).unwrap_or(0);
    println!("the largest group has {} people", members(directory, large));
    let joins = |member: String, group: u64| [DirectoryChange::AddMembers { group: group_id(group), members: vec![member] }];
    let outside = (0..groups).rev().find(|number| members(directory, *number) > 500).unwrap_or(groups - 1);
    measure("a group joins the largest group", 5, || preview(&state, &joins(format!("@{}", group_id(outside)), large)));
    measure("one person joins the largest group", 50, || preview(&state, &joins(format!("p{}", people - 1), large)));
    measure("one person joins a small group", 50, || preview(&state, &joins(format!("p{}", people - 1), 7)));
    let reads = [DirectoryChange::AddReaders { item: item_id(5), readers: vec![format!("@{}", group_id(large))] }];
    measure("an item is opened to the largest group", 50, || preview(&state, &reads));

    let reach = |number: u64| directory.reach_of_recipient(&format!("@{}", group_id(number)));
    let (audience, readers) = (reach(large), reach(large).union(&reach(1)));
    measure("is the largest group within other readers", 1_000, || audience.beyond(&readers).count());
    measure("a membership changes", 20, || directory.change(&joins(format!("p{}", people - 2), large)).map(drop));
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
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            black_box(run());
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{what:<44} first or slowest {:>10.1?}, median {:>10.1?}", times[times.len() - 1], times[times.len() / 2]);
}

/// A number that looks random and is the same every time (SplitMix64, Steele et al. 2014).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn person(number: u64) -> DirectoryChange {
    let is_cleared = number.is_multiple_of(20);
    DirectoryChange::PutPerson(PersonRecord {
        addresses: vec![format!("p{number}@example.com")],
        clearance: is_cleared.then_some(Classification::Confidential),
        categories: is_cleared.then(|| "finance".into()).into_iter().collect(),
        ..PersonRecord::new(name(&format!("p{number}")))
    })
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

/// Chains of ten: each holds the next, and two more chains below; a few people everywhere, and a tenth of all in every thousandth.
fn group(number: u64, groups: u64, people: u64) -> DirectoryChange {
    let level = number % DEPTH;
    let mut members: Vec<String> = (0..10).map(|turn| format!("p{}", mixed(number * 31 + turn) % people)).collect();
    if level + 1 < DEPTH && number + 1 < groups {
        members.push(format!("@{}", group_id(number + 1)));
        for turn in 0..2 {
            let other = mixed(number * 7 + turn) % groups / DEPTH * DEPTH + level + 1;
            if other < groups {
                members.push(format!("@{}", group_id(other)));
            }
        }
    }
    if number.is_multiple_of(1_000) {
        let start = mixed(number) % people;
        members.extend((0..people / 10).map(|turn| format!("p{}", (start + turn) % people)));
    }
    DirectoryChange::PutGroup { id: group_id(number), members, owner: None }
}

/// A tenth of all items are on lists that name the first group; the rest share the others.
fn item(number: u64, lists: u64, groups: u64, people: u64) -> DirectoryChange {
    let list = mixed(number) % lists;
    let first = if list.is_multiple_of(10) { 0 } else { mixed(list) % groups };
    let readers = vec![
        format!("@{}", group_id(first)),
        format!("@{}", group_id(mixed(list * 3) % groups)),
        format!("p{}", mixed(list * 5) % people),
    ];
    DirectoryChange::PutItem(ItemRecord {
        id: item_id(number),
        readers: Some(readers),
        classification: if list.is_multiple_of(3) { Classification::Confidential } else { Classification::Internal },
        categories: list.is_multiple_of(3).then(|| "finance".into()).into_iter().collect(),
        purposes: None,
        integrity: Integrity::Untrusted,
        owner: Some(name(&format!("p{}", mixed(list) % people))),
        container: None,
    })
}
