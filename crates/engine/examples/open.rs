//! How long a start takes: an engine opened on a ledger of ordinary work, which is replayed from its first entry.
//!
//! `cargo run --release -p engine --example open -- [ENTRIES]`, 200,000 unless told. Tasks of 50 reads of a kilobyte each, every tenth call
//! a post. The ledger is a SQLite file in a temporary folder; making it takes longer than opening it.

use engine::{Clock, Engine, ManualClock, Mode, NewTask, Node, Options, Seen};
use judge::act::{Act, ObservedItem};
use judge::content::ContentKey;
use judge::digest::Digest;
use judge::effect::Effect;
use judge::event::{Bundle, Ended, Record};
use judge::moment::Moment;
use judge::name::{PrincipalId, ResourceId, ToolId};
use judge::policy::PolicySources;
use judge::state::State;
use judge::task::Caller;
use ledger::{MemoryLedger, Seq, Source as _, SqliteLedger, Store};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const CALLS_PER_TASK: u64 = 50;
const BATCH: usize = 2_000;
const MS_PER_CALL: u64 = 100;

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

fn key() -> ContentKey {
    ContentKey::new([1; 16])
}

fn open(store: Arc<dyn Store>, clock: &ManualClock) -> Engine {
    Engine::open(store, key(), Clock::Manual(clock.clone()), Node::alone(), Options::default()).expect("a sound ledger")
}

/// About a kilobyte of words that differ from call to call.
fn words(number: u64) -> String {
    (0..150).map(|word| format!("{:06x} ", (number * 150 + word).wrapping_mul(0x9E37_79B9) & 0xFF_FFFF)).collect()
}

/// One call: a read of something, or a post of its own words.
async fn call(engine: &Engine, caller: &Caller, number: u64) {
    let is_post = number % 10 == 9;
    let (effect, on) =
        if is_post { (Effect::Publish, "board".to_owned()) } else { (Effect::Read, format!("note:{}", number % 1_000)) };
    let on = ResourceId::parse(&on).expect("a name");
    let act = Act {
        content: vec![format!("words of call {number}")],
        ..Act::new(
            ToolId::parse("notes__tool").expect("a name"),
            [effect].into(),
            vec![on.clone()],
            Digest::of(&number.to_be_bytes()),
        )
    };
    let ruled = engine.rule(caller, &act, Mode::Observe).await.expect("recorded");
    let spent = ruled.permit.expect("only observed").spend(act.digest, engine.now()).expect("in time");
    let item = ObservedItem::new(on, words(number));
    let items = if is_post { Vec::new() } else { vec![item] };
    engine.observe(spent, Seen { items, created: Vec::new(), attested: Vec::new() }, Ended::Ok).await.expect("recorded");
}

async fn work(entries: u64) -> (Arc<MemoryLedger>, ManualClock) {
    let store = Arc::new(MemoryLedger::default());
    let clock = ManualClock::at(Moment(1_000));
    let engine = open(store.clone(), &clock);
    let people: Vec<_> = (0..1_000).map(|number| json!({"id": format!("p{number}")})).chain([json!({"id": "bo"})]).collect();
    let directory = json!({
        "people": people,
        "agents": [{"id": "helper", "owner": "bo"}],
        "items": [{"id": "note:*", "readers": ["bo", "p1", "p2"]}],
        "destinations": [{"id": "board", "audience": ["bo"]}],
        "grants": [{"to": "bo", "may": ["read", "publish"], "on": ["*"]}, {"to": "helper", "may": ["read", "publish"], "on": ["*"]}]
    });
    let directory = serde_json::from_value(directory).expect("a directory");
    engine.configure(Bundle { directory, policies: PolicySources::shipped(), ..Bundle::default() }).await.expect("sound");
    let mut caller = None;
    for number in 0..entries / 2 {
        clock.set(Moment(1_000 + number * MS_PER_CALL));
        if number % CALLS_PER_TASK == 0 {
            let new = NewTask::new(name("bo"), name("helper"), "work", 15 * 60 * 1000);
            let task = engine.start_task(new).await.expect("bo and helper are known");
            caller = Some(Caller::new(vec![name("bo"), name("helper")], Some(task.id)));
        }
        call(&engine, caller.as_ref().expect("the first call has begun one"), number).await;
    }
    (store, clock)
}

fn main() {
    let entries: u64 = std::env::args().nth(1).map_or(200_000, |text| text.parse().expect("a number of entries"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (memory, clock) = runtime.block_on(work(entries));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ledger.db");
    let store = Arc::new(SqliteLedger::open(&path).expect("a new ledger"));
    let mut head = Seq(0);
    let mut bytes = 0;
    loop {
        let batch = memory.read(head.plus(1), BATCH, 8 << 20).expect("memory can be read");
        let Some(last) = batch.last().map(|entry| entry.seq) else { break };
        bytes += batch.iter().map(|entry| entry.body.len()).sum::<usize>();
        store.append(head, batch.into_iter().map(|entry| entry.body).collect()).wait().expect("there is space");
        head = last;
    }
    drop(memory);
    println!("{} entries, {} MB", head.0, bytes >> 20);

    let begun = Instant::now();
    let engine = open(store.clone(), &clock);
    println!("opened in {:.2} s", begun.elapsed().as_secs_f64());
    drop(engine);

    // The same in parts, one after the other.
    let (mut read, mut parsed, mut applied) = (0.0, 0.0, 0.0);
    let mut state = State::new(key());
    let mut from = Seq::FIRST;
    loop {
        let begun = Instant::now();
        let page = store.read(from, 4_096, 16 << 20).expect("it can be read");
        read += begun.elapsed().as_secs_f64();
        let Some(last) = page.last() else { break };
        from = last.seq.plus(1);
        let begun = Instant::now();
        let records: Vec<Record> = page.iter().map(|entry| serde_json::from_slice(&entry.body).expect("an event")).collect();
        parsed += begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        records.iter().for_each(|record| state.apply(record));
        applied += begun.elapsed().as_secs_f64();
    }
    println!("in parts: {read:.2} s to read, {parsed:.2} s to parse, {applied:.2} s to apply");
}
