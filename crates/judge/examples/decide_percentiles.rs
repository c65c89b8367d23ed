//! What a decision costs, as percentiles: the acceptance is p50 ≤ 30 µs and p99 ≤ 100 µs with 200 items read and 1,000 grants, and not more
//! than 1.3 times that with 100,000. `cargo run --release -p judge --example decide_percentiles`.

use judge::act::{Act, Observation, ObservedItem};
use judge::content::ContentKey;
use judge::decide::decide;
use judge::digest::Digest;
use judge::effect::Effect;
use judge::event::{ActRecord, Bundle, Decided, Ended, Event, Record};
use judge::moment::Moment;
use judge::name::{DecisionId, PrincipalId, ResourceId, TaskId, ToolId};
use judge::observe::observe;
use judge::policy::PolicySources;
use judge::state::State;
use judge::task::Caller;
use serde_json::json;
use std::time::Instant;

const PEOPLE: u32 = 10_000;
const ITEMS: u32 = 200;
const LABELS: u32 = 20;
const ROUNDS: usize = 5_000;

fn main() {
    for grants in [1_000, 100_000] {
        measure(&format!("{grants:>7} grants"), &world(grants));
    }
    let mut counted = world(1_000);
    live(&mut counted);
    measure(&format!("{COUNTERS:>7} counted"), &counted);
}

/// What is counted for the task's chain in the third measurement: so many tools, regions and recipients.
const COUNTERS: u32 = 1_000;

fn measure(name_of_world: &str, state: &State) {
    for (name, act) in acts() {
        let mut nanos: Vec<u128> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(decide(state, &caller(), &act, Moment(2_000)));
                start.elapsed().as_nanos()
            })
            .collect();
        nanos.sort_unstable();
        let micros = |part: usize| nanos[ROUNDS * part / 1000] as f64 / 1000.0;
        let outcome = decide(state, &caller(), &act, Moment(2_000)).decision.outcome;
        println!("{name_of_world}  {name:<34} p50 {:>7.1} µs  p99 {:>7.1} µs  {outcome:?}", micros(500), micros(990));
    }
}

/// Lets the chain do things of many kinds, each with a tool, a region and a recipient of its own.
fn live(state: &mut State) {
    let [_, send, _] = acts();
    for number in 0..COUNTERS {
        let mut act = send.1.clone();
        act.tool = ToolId::parse(&format!("test__tool{number}")).expect("a name");
        act.resources = vec![resource(&format!("mail{number}:out"))];
        act.recipients = vec![format!("p{number}")];
        let decided = Decided {
            id: DecisionId::parse(&format!("l{number}")).expect("a name"),
            caller: caller(),
            act: ActRecord::new(&act, None, Vec::new()),
            decision: decide(state, &caller(), &act, Moment(1_600)).decision,
            ask: None,
            approved_by: None,
            node: "here".to_owned(),
            enforced: true,
            trip: None,
            made: None,
            sets: Vec::new(),
            answered: None,
        };
        state.apply(&Record::new(Moment(1_600), Event::Decided(Box::new(decided))));
    }
}

fn caller() -> Caller {
    Caller::new(vec![principal("p0"), principal("helper")], Some(TaskId::parse("t1").expect("a name")))
}

fn principal(name: &str) -> PrincipalId {
    PrincipalId::parse(name).expect("a name")
}

/// People in groups of half of them each, items with a label of each kind, and a task that has read them all.
fn world(grants: u32) -> State {
    let people: Vec<_> = (0..PEOPLE).map(|n| json!({"id": format!("p{n}")})).collect();
    let half: Vec<_> = (0..PEOPLE / 2).map(|n| format!("p{n}")).collect();
    let group =
        |label: u32| (0..PEOPLE).filter(|n| n % LABELS <= label || *n < PEOPLE / 2).map(|n| format!("p{n}")).collect::<Vec<_>>();
    let mut groups: serde_json::Map<_, _> = (0..LABELS).map(|label| (format!("g{label}"), json!(group(label)))).collect();
    groups.insert("half".to_owned(), json!(half));
    let items: Vec<_> = (0..ITEMS).map(|n| json!({"id": format!("doc:{n}"), "readers": [format!("@g{}", n % LABELS)], "categories": [format!("c{}", n % 3)]})).collect();
    let mut all: Vec<_> =
        (0..grants).map(|n| json!({"to": format!("p{}", n % PEOPLE), "may": ["read"], "on": [format!("doc:{n}")]})).collect();
    for to in ["@half", "helper"] {
        all.push(json!({"to": to, "may": ["read", "send", "publish"], "on": ["doc:*", "mail:*", "forum:*"]}));
    }
    let directory = serde_json::from_value(json!({
        "people": people, "groups": groups, "agents": [{"id": "helper", "owner": "p0"}], "items": items,
        "destinations": [{"id": "forum:half", "audience": ["@half"], "known": true}], "grants": all
    }))
    .expect("the world is a directory");
    let mut state = State::new(ContentKey::new([7; 16]));
    let mut happens = |event| state.apply(&Record::new(Moment(1_000), event));
    happens(Event::Configured(Box::new(Bundle { directory, policies: PolicySources::shipped(), content_key: String::new() })));
    let task = json!({
        "id": "t1", "requester": "p0", "agent": "helper", "purpose": "engineering", "words": "tell the half of us", "address": ["@half"],
        "effects": ["read", "send", "publish"], "resources": ["doc:*", "mail:*", "forum:*"], "budget": {}, "starts": 1_000, "ends": 900_000
    });
    happens(Event::TaskStarted(Box::new(serde_json::from_value(task).expect("a task"))));
    let items = (0..ITEMS).map(|n| ObservedItem::new(resource(&format!("doc:{n}")), prose(u64::from(n) + 1, 2_000))).collect();
    let observation = Observation {
        caller: caller(),
        decision: DecisionId::parse("d1").expect("a name"),
        items,
        created: Vec::new(),
        attested: Vec::new(),
    };
    let mut verdict = observe(&state, &observation, true);
    assert!(verdict.withheld.is_empty());
    let observed = verdict.record(&observation, Ended::Ok);
    state.apply(&Record::new(Moment(1_500), Event::Observed(Box::new(observed))));
    state
}

fn resource(name: &str) -> ResourceId {
    ResourceId::parse(name).expect("a name")
}

fn acts() -> [(&'static str, Act); 3] {
    let act = |effect, on: &str, to: &[&str], content: &[&str]| Act {
        recipients: to.iter().map(|&name| name.to_owned()).collect(),
        content: content.iter().map(|&text| text.to_owned()).collect(),
        ..Act::new(ToolId::parse("test__tool").expect("a name"), [effect].into(), vec![resource(on)], Digest::of(on.as_bytes()))
    };
    let body = prose(9_999, 300);
    [
        ("read", act(Effect::Read, "doc:7", &[], &[])),
        ("send 300 bytes to two people", act(Effect::Send, "mail:out", &["p1", "p2"], &["Weekly summary", &body])),
        ("publish 300 bytes to 5,000 people", act(Effect::Publish, "forum:half", &[], &["Weekly summary", &body])),
    ]
}

/// Words that no other text has: what is found in an act costs more, and is another measurement.
fn prose(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = (state >> 33) as usize;
        text.extend((0..3 + draw % 6).map(|place| char::from(b'a' + ((draw >> (3 * place)) % 26) as u8)));
        text.push(' ');
    }
    text
}
