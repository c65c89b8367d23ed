//! Both stores against a plainer one: a vector and a rule.

use ledger::{AppendError, Bounds, MemoryLedger, Seq, SqliteLedger, Store, verify};
use proptest::prelude::*;

/// What a caller does next: append after a number near the head.
#[derive(Clone, Debug)]
struct Step {
    expected: u64,
    batch: Vec<Vec<u8>>,
}

/// The rule, with the failures of this caller's own past written out instead of folded into one number.
#[derive(Default)]
struct Twin {
    entries: Vec<Vec<u8>>,
    doubtful: Option<u64>,
}

impl Twin {
    fn append(&mut self, step: &Step) -> bool {
        let built_on_failure = self.doubtful == Some(step.expected);
        let stored = !built_on_failure && step.expected == self.entries.len() as u64;
        if stored {
            self.entries.extend(step.batch.iter().cloned());
            self.doubtful = None;
        } else {
            self.doubtful = Some(step.expected + step.batch.len() as u64);
        }
        stored
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let batch = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..4);
    prop::collection::vec((0..12u64, batch).prop_map(|(expected, batch)| Step { expected, batch }), 1..30)
}

fn agrees(store: &dyn Store, steps: &[Step]) {
    let mut twin = Twin::default();
    let pending: Vec<_> = steps.iter().map(|step| store.append(Seq(step.expected), step.batch.clone())).collect();
    for (step, pending) in steps.iter().zip(pending) {
        let wanted = twin.append(step);
        match pending.wait() {
            Ok(receipt) => assert!(wanted && receipt.first == Seq(step.expected + 1), "{step:?} {receipt:?}"),
            Err(AppendError::Stale { head }) => {
                assert!(!wanted && head.seq.0 == twin.entries.len() as u64, "{step:?} {head:?}");
            }
            Err(error @ (AppendError::Unavailable(_) | AppendError::Refused(_))) => {
                panic!("{error}")
            }
        }
    }
    let entries = store.read(Seq(1), usize::MAX, usize::MAX).expect("it is readable");
    let bodies: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.body).collect();
    assert_eq!(bodies, twin.entries);
    verify(store, Seq(1), None, |_| ()).expect("the chain holds");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_do_what_a_vector_would(steps in steps()) {
        agrees(&MemoryLedger::default(), &steps);
        let directory = tempfile::tempdir().expect("a temporary directory");
        // Groups of every size, also of one.
        for group_entries_max in [1, 5, 1000] {
            let bounds = Bounds { group_entries_max, ..Bounds::default() };
            let path = directory.path().join(format!("{group_entries_max}.db"));
            agrees(&SqliteLedger::open_with(path, bounds).expect("a new ledger opens"), &steps);
        }
    }
}
