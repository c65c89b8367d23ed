//! The promises of the port, asked of both stores.

use std::sync::Arc;
use std::time::Duration;

use ledger::{AppendError, Bounds, Head, Ledger, MemoryLedger, Pending, Seq, SqliteLedger};

use crate::{body, put, texts, verified};

/// A store, how to set its quota, and what keeps its file alive.
struct Case {
    name: &'static str,
    ledger: Ledger,
    set_quota_bytes: Box<dyn Fn(Option<u64>)>,
    _directory: Option<tempfile::TempDir>,
}

fn each_store(bounds: Bounds, claim: impl Fn(&Case)) {
    let memory = Arc::new(MemoryLedger::new(bounds));
    let quota = Arc::clone(&memory);
    claim(&Case {
        name: "memory",
        ledger: memory,
        set_quota_bytes: Box::new(move |bytes| quota.set_quota_bytes(bytes)),
        _directory: None,
    });

    let directory = tempfile::tempdir().expect("a temporary directory");
    let sqlite = SqliteLedger::open_with(directory.path().join("ledger.db"), bounds).expect("a new ledger opens");
    let sqlite = Arc::new(sqlite);
    let quota = Arc::clone(&sqlite);
    claim(&Case {
        name: "sqlite",
        ledger: sqlite,
        set_quota_bytes: Box::new(move |bytes| quota.set_quota_bytes(bytes)),
        _directory: Some(directory),
    });
}

fn stale_at(outcome: Result<ledger::Receipt, AppendError>) -> Option<u64> {
    match outcome {
        Err(AppendError::Stale { head }) => Some(head.seq.0),
        Ok(_) | Err(AppendError::Unavailable(_) | AppendError::Refused(_)) => None,
    }
}

#[test]
fn an_empty_ledger_has_head_zero_and_the_first_entry_is_one() {
    each_store(Bounds::default(), |case| {
        assert_eq!(case.ledger.head(), Ok(Head::EMPTY), "{}", case.name);
        assert_eq!(case.ledger.read(Seq(0), 10, 10), Ok(vec![]), "{}", case.name);
        let receipt = put(&*case.ledger, 0, "first").expect("it is stored");
        assert_eq!((receipt.first, receipt.last), (Seq(1), Seq(1)), "{}", case.name);
        assert_eq!(case.ledger.head(), Ok(Head { seq: receipt.last, hash: receipt.hash }), "{}", case.name);
    });
}

#[test]
fn pipelined_batches_are_stored_in_call_order_and_each_gets_its_receipt() {
    each_store(Bounds::default(), |case| {
        let pending: Vec<Pending> =
            (0..500).map(|n| case.ledger.append(Seq(2 * n), vec![body(&format!("{n}a")), body(&format!("{n}b"))])).collect();
        for (n, pending) in pending.into_iter().enumerate() {
            let receipt = pending.wait().expect("it is stored");
            let n = n as u64;
            assert_eq!((receipt.first, receipt.last), (Seq(2 * n + 1), Seq(2 * n + 2)), "{}", case.name);
            let last = &case.ledger.read(receipt.last, 1, 0).expect("it is readable")[0];
            assert_eq!(last.hash, receipt.hash, "{}", case.name);
        }
        let wanted: Vec<String> = (0..500).flat_map(|n| [format!("{n}a"), format!("{n}b")]).collect();
        assert_eq!(texts(&*case.ledger), wanted, "{}", case.name);
        assert_eq!(verified(&*case.ledger).entries, 1000, "{}", case.name);
    });
}

#[test]
fn a_dropped_pending_is_stored_all_the_same() {
    each_store(Bounds::default(), |case| {
        drop(case.ledger.append(Seq(0), vec![body("dropped")]));
        put(&*case.ledger, 1, "kept").expect("it follows the dropped one");
        assert_eq!(texts(&*case.ledger), ["dropped", "kept"], "{}", case.name);
    });
}

#[test]
fn a_batch_on_another_head_is_stale_and_says_where_the_head_is() {
    each_store(Bounds::default(), |case| {
        put(&*case.ledger, 0, "one").expect("it is stored");
        assert_eq!(stale_at(put(&*case.ledger, 0, "behind")), Some(1), "{}", case.name);
        assert_eq!(stale_at(put(&*case.ledger, 7, "ahead")), Some(1), "{}", case.name);
        assert_eq!(stale_at(put(&*case.ledger, u64::MAX, "absurd")), Some(1), "{}", case.name);
        put(&*case.ledger, 1, "two").expect("whoever knows the head goes on");
        assert_eq!(texts(&*case.ledger), ["one", "two"], "{}", case.name);
    });
}

#[test]
fn what_was_built_on_a_stale_batch_is_stale_even_when_its_number_fits() {
    each_store(Bounds::default(), |case| {
        put(&*case.ledger, 0, "somebody else's").expect("it is stored");
        // The caller believes in an empty ledger; its second batch would be entry 2.
        let first = case.ledger.append(Seq(0), vec![body("mine")]);
        let second = case.ledger.append(Seq(1), vec![body("built on mine")]);
        let third = case.ledger.append(Seq(2), vec![body("built on both")]);
        for pending in [first, second, third] {
            assert_eq!(stale_at(pending.wait()), Some(1), "{}", case.name);
        }
        put(&*case.ledger, 1, "decided again").expect("the caller has read up");
        assert_eq!(texts(&*case.ledger), ["somebody else's", "decided again"], "{}", case.name);
    });
}

#[test]
fn a_full_store_refuses_whole_batches_and_works_again_when_there_is_room() {
    each_store(Bounds::default(), |case| {
        put(&*case.ledger, 0, "before").expect("it is stored");
        (case.set_quota_bytes)(Some(40_000));
        let big = vec![vec![0; 20_000]; 4];
        let full = case.ledger.append(Seq(1), big.clone());
        let behind = case.ledger.append(Seq(5), vec![body("behind it")]);
        assert!(matches!(full.wait(), Err(AppendError::Unavailable(_))), "{}", case.name);
        assert!(behind.wait().is_err(), "{}", case.name);
        assert_eq!(case.ledger.head().map(|head| head.seq), Ok(Seq(1)), "{}: nothing of it is stored", case.name);
        put(&*case.ledger, 1, "small").expect("what fits is stored");
        (case.set_quota_bytes)(None);
        case.ledger.append(Seq(2), big).wait().expect("there is room again");
        assert_eq!(verified(&*case.ledger).entries, 6, "{}", case.name);
    });
}

#[test]
fn oversized_and_empty_batches_are_refused_at_the_door() {
    let bounds = Bounds { entry_bytes_max: 8, batch_entries_max: 2, ..Bounds::default() };
    each_store(bounds, |case| {
        for batch in [vec![], vec![vec![0; 9]], vec![vec![]; 3]] {
            let outcome = case.ledger.append(Seq(0), batch).wait();
            assert!(matches!(outcome, Err(AppendError::Refused(_))), "{}: {outcome:?}", case.name);
        }
        put(&*case.ledger, 0, "12345678").expect("the bound itself is allowed");
    });
}

#[test]
fn a_read_stops_at_its_bounds_but_never_stands_still() {
    each_store(Bounds::default(), |case| {
        let batch = (0..10).map(|_| vec![0; 100]).collect();
        case.ledger.append(Seq(0), batch).wait().expect("it is stored");
        let seqs = |from, entries_max, bytes_max| -> Vec<u64> {
            let entries = case.ledger.read(Seq(from), entries_max, bytes_max).expect("it is readable");
            entries.iter().map(|entry| entry.seq.0).collect()
        };
        assert_eq!(seqs(4, 3, usize::MAX), [4, 5, 6], "{}", case.name);
        assert_eq!(seqs(4, 99, 250), [4, 5], "{}", case.name);
        assert_eq!(seqs(4, 99, 1), [4], "{}", case.name);
        assert_eq!(seqs(10, 99, 9999), [10], "{}", case.name);
        assert_eq!(seqs(11, 99, 9999), [0; 0], "{}", case.name);
        assert_eq!(seqs(u64::MAX, 99, 9999), [0; 0], "{}", case.name);
        assert_eq!(seqs(1, 0, 9999), [0; 0], "{}", case.name);
    });
}

#[test]
fn a_follower_wakes_for_an_append_and_gives_up_in_time() {
    each_store(Bounds::default(), |case| {
        let idle = case.ledger.wait_past(Seq(0), Duration::from_millis(1)).expect("it is readable");
        assert_eq!(idle, Head::EMPTY, "{}", case.name);
        let ledger = Arc::clone(&case.ledger);
        let follower = std::thread::spawn(move || ledger.wait_past(Seq(0), Duration::from_secs(60)));
        let receipt = put(&*case.ledger, 0, "news").expect("it is stored");
        let head = follower.join().expect("the follower lives").expect("it is readable");
        assert_eq!(head, Head { seq: receipt.last, hash: receipt.hash }, "{}", case.name);
    });
}

#[test]
fn a_pending_can_be_awaited_on_a_runtime() {
    each_store(Bounds::default(), |case| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let receipt = runtime.block_on(case.ledger.append(Seq(0), vec![body("awaited")]));
        assert_eq!(receipt.expect("it is stored").last, Seq(1), "{}", case.name);
    });
}
