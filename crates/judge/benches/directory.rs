//! What the directory costs. Acceptance: "is this audience within these readers" takes at most 5 µs when both are at hand and 100 µs when
//! neither is, at 100,000 members; a change of one person is previewed in at most 5 ms. How it grows: `examples/directory_scale.rs`.

use divan::{Bencher, black_box};
use judge::content::ContentKey;
use judge::directory::{Directory, DirectoryChange, DirectoryDocument};
use judge::event::{Bundle, DirectoryChanged, Event, Record};
use judge::moment::Moment;
use judge::policy::PolicySources;
use judge::preview::preview;
use judge::reach::{PeopleSet, Reach};
use judge::state::State;
use roaring::RoaringBitmap;
use serde_json::json;

fn main() {
    divan::main();
}

const PEOPLE: u32 = 1_000_000;
const MEMBERS: u32 = 100_000;

/// Members who are spread over everyone.
fn members(seed: u32) -> RoaringBitmap {
    (0..MEMBERS).map(|number| (number * 10 + (number.wrapping_mul(seed) >> 7) % 10) % PEOPLE).collect()
}

#[divan::bench]
fn within_readers_that_hold_them(bencher: Bencher) {
    let audience = Reach::of_people(members(2_654_435_761));
    let readers = audience.union(&Reach::of_people(members(40_503)));
    bencher.bench(|| black_box(&audience).beyond(black_box(&readers)).count());
}

#[divan::bench]
fn within_readers_that_lack_one(bencher: Bencher) {
    let audience = Reach::of_people(members(2_654_435_761));
    let last = audience.people.bits().max().expect("there are members");
    let readers = Reach::of_people(audience.people.bits() - RoaringBitmap::from([last]));
    bencher.bench(|| black_box(&audience).beyond(black_box(&readers)).count());
}

/// Everyone as a range is a run, and everyone but a few is many of them: neither may be slower than any other set.
#[divan::bench]
fn within_everyone_but_a_few(bencher: Bencher) {
    let mut everyone = RoaringBitmap::new();
    everyone.insert_range(0..PEOPLE);
    let everyone = Reach::of_people(everyone);
    let few: RoaringBitmap = (0..PEOPLE).step_by(1_009).collect();
    let but_few = Reach { people: PeopleSet::new(everyone.people.bits() - few), ..Reach::nobody() };
    let audience = Reach::of_people(members(2_654_435_761));
    bencher.bench(|| black_box(&audience).beyond(black_box(&everyone)).count() + audience.beyond(black_box(&but_few)).count());
}

/// A thousand people in a hundred groups, with ten thousand items behind them.
fn document() -> DirectoryDocument {
    let groups = (0..100).map(|group| {
        let people = (0..10).map(|turn| format!("p{}", (group * 7 + turn * 83) % 1_000));
        let nested = (1..3).map(|turn| group * 2 + turn).filter(|inner| *inner < 100).map(|inner| format!("@g{inner}"));
        (format!("g{group}"), json!(people.chain(nested).collect::<Vec<_>>()))
    });
    serde_json::from_value(json!({
        "people": (0..1_000).map(|person| json!({"id": format!("p{person}")})).collect::<Vec<_>>(),
        "groups": groups.collect::<serde_json::Map<_, _>>(),
        "items": (0..10_000).map(|item| json!({
            "id": format!("doc:{item}"), "readers": [format!("@g{}", item % 100), format!("p{}", item % 900)]
        })).collect::<Vec<_>>()
    }))
    .expect("a document")
}

#[divan::bench(sample_count = 20)]
fn resolve_10_000_items(bencher: Bencher) {
    let document = document();
    bencher.bench(|| Directory::of(black_box(&document)).expect("it is right"));
}

fn state() -> State {
    let mut state = State::new(ContentKey::new([7; 16]));
    let bundle = Bundle { directory: document(), policies: PolicySources::shipped(), content_key: String::new() };
    state.apply(&Record::new(Moment(1), Event::Configured(Box::new(bundle))));
    state
}

fn joins(group: &str) -> [DirectoryChange; 1] {
    [DirectoryChange::AddMembers { group: group.parse().expect("a name"), members: vec!["p999".to_owned()] }]
}

#[divan::bench(args = ["g0", "g99"])]
fn preview_one_person_joining(bencher: Bencher, group: &str) {
    let state = state();
    bencher.bench(|| preview(black_box(&state), &joins(group)).expect("it is right"));
}

#[divan::bench]
fn one_person_joins_and_leaves(bencher: Bencher) {
    let mut state = state();
    let leaves = [DirectoryChange::RemoveMembers { group: "g0".parse().expect("a name"), members: vec!["p999".to_owned()] }];
    bencher.bench_local(|| {
        for changes in [joins("g0"), leaves.clone()] {
            let changed = DirectoryChanged { source: "bench".to_owned(), by: None, changes: changes.to_vec() };
            state.apply(&Record::new(Moment(2), Event::DirectoryChanged(Box::new(changed))));
        }
    });
}
