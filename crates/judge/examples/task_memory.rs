//! What an active task and an idle agent keep in memory: the acceptance is at most 4 KiB a task. Linux only.
//! `cargo run --release -p judge --example task_memory`.

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

const AGENTS: u32 = 1_000;
const TASKS: u32 = 100_000;
const CALLS: u32 = 3;

fn main() {
    let mut state = world();
    let empty = resident_bytes();
    for task in 0..TASKS {
        start(&mut state, task);
    }
    let started = resident_bytes();
    println!("{:>7} tasks begun                 {:>6} bytes each", TASKS, (started - empty) / u64::from(TASKS));
    for task in 0..TASKS {
        (0..CALLS).for_each(|call| reads(&mut state, task, call));
    }
    let used = resident_bytes();
    println!(
        "{TASKS:>7} tasks with {CALLS} calls each     {:>6} bytes each, with what the past of {AGENTS} agents takes",
        (used - empty) / u64::from(TASKS)
    );
    std::hint::black_box(&state);
}

/// What the process has in memory (`proc_pid_statm(5)`: pages, the second number).
fn resident_bytes() -> u64 {
    const PAGE: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux says what a process takes");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number of pages") * PAGE
}

fn world() -> State {
    let agents: Vec<_> = (0..AGENTS).map(|n| json!({"id": format!("a{n}"), "owner": "bo"})).collect();
    let directory = json!({
        "people": [{"id": "bo"}], "agents": agents, "items": [{"id": "note:*", "readers": ["bo"]}],
        "grants": [{"to": "public", "may": ["read"], "on": ["*"]}]
    });
    let mut state = State::new(ContentKey::new([7; 16]));
    let bundle = Bundle {
        directory: serde_json::from_value(directory).expect("a directory"),
        policies: PolicySources::shipped(),
        content_key: String::new(),
    };
    state.apply(&Record::new(Moment(1_000), Event::Configured(Box::new(bundle))));
    state
}

fn id_of(task: u32) -> TaskId {
    TaskId::parse(&format!("t-{task:032x}")).expect("a name")
}

fn agent_of(task: u32) -> PrincipalId {
    PrincipalId::parse(&format!("a{}", task % AGENTS)).expect("a name")
}

fn start(state: &mut State, task: u32) {
    let started = json!({
        "id": id_of(task), "requester": "bo", "agent": agent_of(task), "purpose": "work",
        "words": "look at my notes and tell me what is new in them", "address": ["bo"], "effects": ["read"], "resources": null,
        "budget": {"items": 100}, "starts": 1_000, "ends": 900_000
    });
    let task = serde_json::from_value(started).expect("a task");
    state.apply(&Record::new(Moment(1_000), Event::TaskStarted(Box::new(task))));
}

fn reads(state: &mut State, task: u32, call: u32) {
    let caller = Caller::new(vec![PrincipalId::parse("bo").expect("a name"), agent_of(task)], Some(id_of(task)));
    let note = ResourceId::parse(&format!("note:{call}")).expect("a name");
    let tool = ToolId::parse("notes__read").expect("a name");
    let act = Act::new(tool, [Effect::Read].into(), vec![note.clone()], Digest::of(&call.to_le_bytes()));
    let ruling = decide(state, &caller, &act, Moment(2_000));
    let decision = DecisionId::parse(&format!("d-{task:024x}{call:08x}")).expect("a name");
    let decided = Decided {
        id: decision.clone(),
        caller: caller.clone(),
        act: ActRecord::new(&act, Some(&ruling.audience), ruling.values),
        decision: ruling.decision,
        ask: None,
        approved_by: None,
        node: "here".to_owned(),
        enforced: true,
        trip: ruling.trip,
        made: None,
        sets: Vec::new(),
        answered: None,
    };
    assert!(decided.went_through(), "{:?}", decided.decision.reasons);
    state.apply(&Record::new(Moment(2_000), Event::Decided(Box::new(decided))));
    let observation = Observation {
        caller,
        decision,
        items: vec![ObservedItem::new(note, "a short note about what was said on Tuesday, and by whom".to_owned())],
        created: Vec::new(),
        attested: Vec::new(),
    };
    let observed = observe(state, &observation, true).record(&observation, Ended::Ok);
    state.apply(&Record::new(Moment(2_001), Event::Observed(Box::new(observed))));
}
