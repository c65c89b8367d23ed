//! The whole program is killed at any moment, again and again: what reached the server was permitted before, what nobody knows the end of is
//! ambiguous, nothing is done twice, and what a task has read still weighs on what it sends.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use judge::event::Ended;
use ledger::{Seq, Source as _, SqliteLedger};
use serde_json::json;

use crate::done;
use crate::house::{House, PATIENCE, SECRET, codes, permits, text};

const ROUNDS: u64 = 14;
const CLIENTS: u64 = 6;
/// The same moments in every run, as far as a scheduler lets them be.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Numbers that look like chance (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Where in its life the program is killed.
enum Moment {
    /// Before it listens, perhaps in the middle of settling what the one before left open.
    Starting,
    /// When so many more posts have been carried out: a call is between its effect and its outcome.
    Posts(u64),
    /// When the ledger has so many more entries: a call is between its decision and its effect, or its outcome and its answer.
    Entries(u64),
}

#[test]
fn killed_at_any_moment_it_has_permitted_all_that_happened_and_repeats_nothing() {
    let house = House::new("prudence.db", "");
    let store = house.path().join("prudence.db");
    let tokens = [house.task("bo,ann"), house.task("bo,ann")];
    house.upstream.look_into(&store);
    let mut chance = Chance(SEED);
    let next = AtomicU64::new(0);

    // Bo's first task knows the secret from the first round on.
    let serving = house.serve();
    let read = serving.client(&tokens[0]).call("read", &json!({ "note": "note:secret" })).expect("it runs");
    assert_eq!(text(&read), SECRET);
    drop(serving);

    let mut answered = BTreeSet::new();
    for round in 0..ROUNDS {
        let moment = match round % 5 {
            4 => Moment::Starting,
            0 | 2 => Moment::Posts(chance.below(40)),
            _ => Moment::Entries(chance.below(120)),
        };
        if let Moment::Starting = moment {
            house.begin(Command::new(env!("CARGO_BIN_EXE_prudence")).args(["-o", "json", "serve"])).kill();
            continue;
        }
        let mut serving = house.serve();
        let refused = serving.client(&tokens[0]).post("board", SECRET).expect("it runs");
        assert!(!codes(&refused).is_empty(), "what the first task read was forgotten in round {round}: {refused}");
        let head = SqliteLedger::open_read_only(&store).expect("it is there").head().expect("readable").seq;
        let before = house.upstream.posts().len();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let client = serving.client(&tokens[client as usize % tokens.len()]);
                    let (next, is_over) = (&next, &is_over);
                    scope.spawn(move || {
                        let mut answered = Vec::new();
                        while !is_over.load(Ordering::Relaxed) {
                            let thread = format!("thread:{}", next.fetch_add(1, Ordering::Relaxed));
                            let Some(result) = client.post(&thread, "a few words") else { break };
                            assert_eq!(text(&result), "posted", "{result}");
                            answered.push(thread);
                        }
                        answered
                    })
                })
                .collect();
            match moment {
                Moment::Starting => {}
                Moment::Posts(more) => house.upstream.wait_for(before + more as usize + 1),
                Moment::Entries(more) => {
                    let source = SqliteLedger::open_read_only(&store).expect("it is there");
                    let grown = source.wait_past(Seq(head.0 + more), PATIENCE).expect("readable");
                    assert!(grown.seq > Seq(head.0 + more), "nothing is recorded");
                }
            }
            assert!(serving.is_running(), "it died by itself: {}", serving.errors());
            drop(serving);
            is_over.store(true, Ordering::Relaxed);
            for client in clients {
                answered.extend(client.join().expect("no client was answered wrongly"));
            }
        });
    }

    let serving = house.serve();
    let refused = serving.client(&tokens[0]).post("board", SECRET).expect("it runs");
    assert!(!codes(&refused).is_empty(), "{refused}");
    let passes = serving.client(&tokens[1]).post("thread:last", SECRET).expect("it runs");
    assert_eq!(text(&passes), "posted", "the other task has read nothing");
    serving.stop();

    assert!(done(house.path(), &["ledger", "verify"]).contains("entries"));
    assert_eq!(house.upstream.undecided(), Vec::<String>::new(), "carried out before it was permitted");
    let posts = house.upstream.posts();
    let once: BTreeSet<&String> = posts.iter().collect();
    assert_eq!(once.len(), posts.len(), "something was carried out twice");
    assert!(!posts.iter().any(|thread| thread == "board"));

    let permits = permits(&store);
    let ended: BTreeMap<&String, &Vec<Ended>> = permits.iter().map(|(thread, ended)| (thread, ended)).collect();
    assert_eq!(ended.len(), permits.len(), "something was permitted twice");
    for (thread, ended) in &ended {
        assert_eq!(ended.len(), 1, "{thread} ended {ended:?}");
    }
    for thread in &posts {
        let ended = ended.get(thread).unwrap_or_else(|| panic!("{thread} was carried out, and is in no record"));
        assert_ne!(ended[0], Ended::Failed, "{thread} was carried out");
    }
    for thread in &answered {
        assert_eq!(*ended[thread], [Ended::Ok], "{thread} was answered");
    }
    let ambiguous = permits.iter().filter(|(_, ended)| ended[0] == Ended::Ambiguous).count();
    assert!(ambiguous > 0, "no kill came while a call was under way, so this showed nothing");
}
