//! What can happen to a file: strangers, replacement, loss, other handles, a queue that nobody empties.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ledger::{AppendError, Bounds, OpenError, ReadError, Seq, Source, SqliteLedger, Store, verify};
use rusqlite::Connection;

use crate::{body, put, texts, verified};

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("ledger.db");
    (directory, path)
}

#[test]
fn a_file_of_somebody_else_is_refused_and_left_as_it_is() {
    let (_directory, path) = place();
    let cases: [(&str, &dyn Fn()); 3] = [
        ("text", &|| std::fs::write(&path, "dear diary, this is no database at all".repeat(99)).expect("written")),
        ("a foreign table", &|| {
            Connection::open(&path).and_then(|c| c.execute_batch("CREATE TABLE diary (day TEXT)")).expect("made")
        }),
        ("a foreign id", &|| {
            Connection::open(&path).and_then(|c| c.execute_batch("PRAGMA application_id = 42; VACUUM")).expect("made")
        }),
    ];
    for (name, make) in cases {
        let _ = std::fs::remove_file(&path);
        make();
        let before = std::fs::read(&path).expect("it is there");
        let refused = SqliteLedger::open(&path).err();
        assert!(matches!(refused, Some(OpenError::NotALedger { .. })), "{name}: {refused:?}");
        let refused = SqliteLedger::open_read_only(&path).err();
        assert!(matches!(refused, Some(OpenError::NotALedger { .. })), "{name}: {refused:?}");
        assert_eq!(std::fs::read(&path).expect("it is there"), before, "{name}");
    }
}

#[test]
fn a_ledger_of_a_later_release_is_refused_with_both_versions() {
    let (_directory, path) = place();
    drop(SqliteLedger::open(&path).expect("a new ledger opens"));
    Connection::open(&path).and_then(|c| c.execute_batch("PRAGMA user_version = 99")).expect("changed");
    let refused = SqliteLedger::open(&path).err();
    assert!(matches!(refused, Some(OpenError::Version { found: 99, expected: 1, .. })), "{refused:?}");
}

#[test]
fn a_missing_file_is_not_created_by_a_reader() {
    let (_directory, path) = place();
    assert!(matches!(SqliteLedger::open_read_only(&path).err(), Some(OpenError::Unavailable { .. })));
    assert!(!path.exists());
}

#[test]
fn a_ledger_reopens_with_everything_in_it() {
    let (_directory, path) = place();
    let first = SqliteLedger::open(&path).expect("a new ledger opens");
    let receipt = put(&first, 0, "kept").expect("it is stored");
    drop(first);
    assert!(!path.with_extension("db-wal").exists(), "closed, it is one file that can be copied");
    let second = SqliteLedger::open(&path).expect("it reopens");
    assert_eq!(second.head().map(|head| head.hash), Ok(receipt.hash));
    put(&second, 1, "more").expect("it goes on");
    assert_eq!(texts(&second), ["kept", "more"]);
}

#[test]
fn what_is_queued_when_the_ledger_is_dropped_is_still_answered() {
    let (_directory, path) = place();
    let ledger = SqliteLedger::open(&path).expect("a new ledger opens");
    let pending: Vec<_> = (0..100).map(|n| ledger.append(Seq(n), vec![body("queued")])).collect();
    drop(ledger);
    for pending in pending {
        pending.wait().expect("it is stored");
    }
}

#[test]
fn a_reader_sees_what_a_writer_of_another_handle_appends() {
    let (_directory, path) = place();
    let writer = SqliteLedger::open(&path).expect("a new ledger opens");
    let reader = SqliteLedger::open_read_only(&path).expect("it opens beside the writer");
    put(&writer, 0, "one").expect("it is stored");
    assert_eq!(reader.wait_past(Seq(0), Duration::from_secs(60)).map(|head| head.seq), Ok(Seq(1)));
    drop(writer);
    assert_eq!(reader.read(Seq(1), 9, 99).map(|entries| entries.len()), Ok(1));
    assert_eq!(verify(&reader, Seq(1), None, |_| ()).map(|verified| verified.entries), Ok(1));
}

#[test]
fn a_handle_that_was_overtaken_by_another_builds_nothing_on_its_old_view() {
    let (_directory, path) = place();
    let ours = SqliteLedger::open(&path).expect("a new ledger opens");
    let theirs = SqliteLedger::open(&path).expect("it opens twice");
    put(&ours, 0, "ours").expect("it is stored");
    put(&theirs, 1, "theirs").expect("it follows ours");
    let first = ours.append(Seq(1), vec![body("on ours")]);
    let second = ours.append(Seq(2), vec![body("on the one before")]);
    for pending in [first, second] {
        assert!(matches!(pending.wait(), Err(AppendError::Stale { head }) if head.seq == Seq(2)));
    }
    put(&ours, 2, "on theirs").expect("we have read up");
    assert_eq!(texts(&theirs), ["ours", "theirs", "on theirs"]);
}

#[test]
fn two_handles_racing_for_one_file_store_one_chain_and_lose_nothing() {
    const EACH: usize = 200;
    let (_directory, path) = place();
    let racers: Vec<_> = (0..2)
        .map(|_| {
            let ledger = SqliteLedger::open(&path).expect("it opens");
            std::thread::spawn(move || {
                let mut expected = Seq(0);
                let mut receipts = Vec::new();
                while receipts.len() < EACH {
                    match ledger.append(expected, vec![body("raced")]).wait() {
                        Ok(receipt) => {
                            expected = receipt.last;
                            receipts.push(receipt);
                        }
                        Err(AppendError::Stale { head }) => expected = head.seq,
                        Err(AppendError::Unavailable(_)) => {}
                        Err(AppendError::Refused(why)) => panic!("{why}"),
                    }
                }
                receipts
            })
        })
        .collect();
    let mut receipts: Vec<_> = racers.into_iter().flat_map(|racer| racer.join().expect("a racer lives")).collect();
    receipts.sort_by_key(|receipt| receipt.last);
    let ledger = SqliteLedger::open(&path).expect("it opens");
    assert_eq!(verified(&ledger).entries, 2 * EACH as u64);
    let entries = ledger.read(Seq(1), usize::MAX, usize::MAX).expect("it is readable");
    for (receipt, entry) in receipts.iter().zip(&entries) {
        assert_eq!((receipt.last, receipt.hash), (entry.seq, entry.hash), "each receipt is its own entry");
    }
}

#[test]
fn a_ledger_that_is_moved_away_is_unavailable_until_it_is_back() {
    let (directory, path) = place();
    let ledger = SqliteLedger::open(&path).expect("a new ledger opens");
    put(&ledger, 0, "before").expect("it is stored");
    let away = directory.path().join("away.db");
    std::fs::rename(&path, &away).expect("moved");
    assert!(matches!(put(&ledger, 1, "into the void"), Err(AppendError::Unavailable(_))));
    assert!(matches!(ledger.head(), Err(ReadError::Unavailable(_))));
    assert!(!path.exists(), "no empty ledger takes its place");
    std::fs::rename(&away, &path).expect("moved back");
    put(&ledger, 1, "after").expect("it goes on by itself");
    assert_eq!(texts(&ledger), ["before", "after"]);
}

#[test]
fn a_ledger_that_forgot_an_acknowledged_entry_is_not_continued() {
    let (directory, path) = place();
    let old = directory.path().join("old.db");
    let ledger = SqliteLedger::open(&path).expect("a new ledger opens");
    put(&ledger, 0, "one").expect("it is stored");
    Connection::open(&path).and_then(|c| c.execute("VACUUM INTO ?1", [old.to_str()])).expect("copied");
    put(&ledger, 1, "two").expect("it is stored");
    for end in ["", "-wal", "-shm"] {
        let part = directory.path().join(format!("ledger.db{end}"));
        std::fs::remove_file(part).expect("the parts of an open ledger are there");
    }
    std::fs::rename(&old, &path).expect("the old copy takes its place");
    for expected in [1, 2] {
        let outcome = put(&ledger, expected, "rewriting history");
        assert!(matches!(&outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
    }
    assert_eq!(texts(&ledger), ["one"], "nothing was added to the copy");
}

#[test]
fn another_process_in_a_long_transaction_makes_it_unavailable_and_then_it_recovers() {
    let (_directory, path) = place();
    let ledger = SqliteLedger::open(&path).expect("a new ledger opens");
    let other = Connection::open(&path).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("it takes the lock");
    assert!(matches!(put(&ledger, 0, "locked out"), Err(AppendError::Unavailable(_))));
    other.execute_batch("ROLLBACK").expect("it lets go");
    put(&ledger, 0, "back").expect("it goes on by itself");
}

#[test]
fn a_full_queue_answers_at_once_and_nothing_behind_the_gap_is_stored() {
    let (_directory, path) = place();
    let bounds = Bounds { queue_batches_max: 4, ..Bounds::default() };
    let ledger = Arc::new(SqliteLedger::open_with(&path, bounds).expect("a new ledger opens"));
    let other = Connection::open(&path).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("it holds the writer up");
    // At most one group of four is with the writer and four wait, so that one of these meets a full queue.
    let pending: Vec<_> = (0..20).map(|n| ledger.append(Seq(n), vec![body("x")])).collect();
    other.execute_batch("ROLLBACK").expect("it lets go");
    let stored: Vec<bool> = pending.into_iter().map(|pending| pending.wait().is_ok()).collect();
    let gap = stored.iter().position(|stored| !stored).expect("the queue was full");
    assert!(stored[gap..].iter().all(|stored| !stored), "{stored:?}");
    assert_eq!(ledger.head().map(|head| head.seq.0), Ok(gap as u64));
}

/// How long the log gets depends on how long a checkpoint takes, which on a busy disk is anything. That it starts over does not: then what
/// was appended leaves it behind, sooner or later.
#[test]
fn the_write_ahead_log_starts_over_under_load() {
    const ROUND_ENTRIES: u64 = 8 * 16;
    const APPENDED_MAX: u64 = 1 << 30;
    let (directory, path) = place();
    let ledger = SqliteLedger::open(&path).expect("a new ledger opens");
    let log = directory.path().join("ledger.db-wal");
    let (mut head, mut appended) = (Seq(0), 0);
    loop {
        // 8 MiB, and never more than that on the way.
        for _ in 0..ROUND_ENTRIES / 16 {
            drop(ledger.append(head, vec![vec![0; 64 << 10]; 16]));
            head = head.plus(16);
            appended += 1 << 20;
        }
        let reached = ledger.wait_past(head.before(), Duration::from_secs(60)).expect("it is readable");
        assert_eq!(reached.seq, head);
        // Files do not shrink: this is the longest that it ever was.
        let log = std::fs::metadata(&log).expect("the log is there").len();
        if appended >= 60 << 20 && log < appended * 2 / 3 {
            break;
        }
        assert!(appended < APPENDED_MAX, "the log has {log} bytes of {appended} that were appended");
    }
}

/// As root: `mount -t tmpfs -o size=8m none DIRECTORY`, then with `LEDGER_SMALL_DISK=DIRECTORY` and `--ignored`.
#[test]
#[ignore = "needs a file system of 8 MiB in LEDGER_SMALL_DISK; the quota is the test without privileges"]
fn a_full_disk_makes_it_unavailable_and_room_makes_it_work_again() {
    let parent = std::env::var_os("LEDGER_SMALL_DISK").expect("LEDGER_SMALL_DISK names a directory");
    let directory = tempfile::tempdir_in(parent).expect("a temporary directory");
    let ballast = directory.path().join("ballast");
    std::fs::write(&ballast, vec![0; 3 << 20]).expect("there is room for ballast");
    let ledger = SqliteLedger::open(directory.path().join("ledger.db")).expect("a new ledger opens");
    let mut stored = 0;
    let full = loop {
        match ledger.append(Seq(stored), vec![vec![7; 100 << 10]]).wait() {
            Ok(receipt) => stored = receipt.last.0,
            Err(error) => break error,
        }
        assert!(stored < 200, "the disk never fills");
    };
    assert!(matches!(full, AppendError::Unavailable(_)), "{full:?}");
    assert_eq!(verified(&ledger).entries, stored, "what was acknowledged is there, and no more");
    std::fs::remove_file(&ballast).expect("the ballast is there");
    ledger.append(Seq(stored), vec![vec![7; 100 << 10]]).wait().expect("it goes on by itself");
    assert_eq!(verified(&ledger).entries, stored + 1);
}
