//! An attacker with the file, and what the verifier sees of each thing that they can do.

use ledger::{Broken, EntryHash, Fault, Head, MemoryLedger, Seq, Source, SqliteLedger, Store, link, verify};
use rusqlite::Connection;

use crate::body;

const ENTRIES: u64 = 9;

/// Edits a ledger of nine entries past every guard of the schema, and verifies it.
fn tampered(sql: &str, trusted: bool) -> Result<ledger::Verified, Broken> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).expect("a new ledger opens");
    let batch = (1..=ENTRIES).map(|n| body(&format!("entry {n}"))).collect();
    ledger.append(Seq(0), batch).wait().expect("it is stored");
    let head = ledger.head().expect("it is readable");
    drop(ledger);

    let editor = Connection::open(&path).expect("it opens");
    let guards = "DROP TRIGGER entry_stays; DROP TRIGGER entry_stays_as_it_is; PRAGMA ignore_check_constraints = ON;";
    editor.execute_batch(guards).expect("the guards fall");
    editor.execute_batch(sql).expect("the edit works");
    drop(editor);
    let source = SqliteLedger::open_read_only(&path).expect("it opens");
    verify(&source, Seq(1), trusted.then_some(head), |_| ())
}

#[test]
fn every_edit_is_found_where_it_was_made() {
    let edits = [
        ("a changed byte", "UPDATE entry SET body = CAST('entry X' AS BLOB) WHERE seq = 4", 4),
        ("a longer body", "UPDATE entry SET body = CAST('entry 44' AS BLOB) WHERE seq = 4", 4),
        ("a changed hash", "UPDATE entry SET hash = zeroblob(32) WHERE seq = 4", 4),
        ("a short hash", "UPDATE entry SET hash = x'00' WHERE seq = 4", 4),
        ("a removed row", "DELETE FROM entry WHERE seq = 4", 4),
        ("a removed first row", "DELETE FROM entry WHERE seq = 1", 1),
        ("a removed row with the gap closed", "DELETE FROM entry WHERE seq = 4; UPDATE entry SET seq = seq - 1 WHERE seq > 4", 4),
        (
            "an inserted row",
            "UPDATE entry SET seq = -seq - 1 WHERE seq >= 4; UPDATE entry SET seq = -seq WHERE seq < 0;
             INSERT INTO entry SELECT 4, hash, body FROM entry WHERE seq = 3",
            4,
        ),
        (
            "two exchanged rows",
            "UPDATE entry SET seq = 99 WHERE seq = 4; UPDATE entry SET seq = 4 WHERE seq = 6;
             UPDATE entry SET seq = 6 WHERE seq = 99",
            4,
        ),
        (
            "two exchanged bodies",
            "UPDATE entry SET body = (SELECT body FROM entry AS other WHERE other.seq = 10 - entry.seq)
             WHERE seq IN (4, 6)",
            4,
        ),
        ("a forged last row", "INSERT INTO entry VALUES (10, zeroblob(32), x'00')", 10),
        ("a forged row far off", "INSERT INTO entry VALUES (1000, zeroblob(32), x'00')", 10),
    ];
    assert_eq!(tampered("", true).map(|verified| verified.entries), Ok(ENTRIES), "untouched, it holds");
    for (name, sql, seq) in edits {
        let broken = tampered(sql, false).expect_err(name);
        assert_eq!(broken.seq, Seq(seq), "{name}: {broken}");
    }
}

#[test]
fn a_cut_end_is_found_with_a_trusted_head_and_only_then() {
    let cut = "DELETE FROM entry WHERE seq > 7";
    let broken = tampered(cut, true).expect_err("the trusted head is gone");
    assert_eq!(broken, Broken { seq: Seq(8), fault: Fault::Missing { found: None } });
    assert_eq!(tampered(cut, false).map(|verified| verified.entries), Ok(7), "a chain cannot know its end");
    assert!(tampered("DELETE FROM entry", true).is_err());
}

#[test]
fn a_recomputed_chain_is_found_with_a_trusted_head() {
    let honest = filled(&["one", "two", "three"]);
    let trusted = honest.head().expect("it is readable");
    let forged = filled(&["one", "TWO", "three", "four"]);
    assert!(verify(&forged, Seq(1), None, |_| ()).is_ok(), "it is consistent with itself");
    let broken = verify(&forged, Seq(1), Some(trusted), |_| ()).expect_err("it is not the trusted one");
    assert!(matches!(broken, Broken { seq: Seq(3), fault: Fault::Rewritten { .. } }), "{broken}");
    let late = verify(&forged, Seq(4), Some(trusted), |_| ()).expect_err("it starts early enough to meet it");
    assert_eq!(late, broken);
}

#[test]
fn a_trusted_head_further_back_vouches_for_a_longer_ledger() {
    let ledger = filled(&["one", "two"]);
    let trusted = ledger.head().expect("it is readable");
    ledger.append(Seq(2), vec![body("three")]).wait().expect("it is stored");
    assert_eq!(verify(&ledger, Seq(1), Some(trusted), |_| ()).map(|verified| verified.entries), Ok(3));
    assert_eq!(verify(&ledger, Seq(3), Some(trusted), |_| ()).map(|verified| verified.entries), Ok(2));
    assert_eq!(verify(&ledger, Seq(3), Some(Head::EMPTY), |_| ()).map(|verified| verified.entries), Ok(3));
    let lie = Head { seq: Seq(0), hash: EntryHash([1; 32]) };
    assert!(verify(&ledger, Seq(1), Some(lie), |_| ()).is_err());
}

#[test]
fn progress_ends_at_the_verified_head() {
    let ledger = filled(&["one", "two"]);
    let mut heard = Vec::new();
    let verified = verify(&ledger, Seq(1), None, |head| heard.push(head)).expect("the chain holds");
    assert_eq!(heard, [verified.head]);
    assert_eq!(verified.head.hash, link(Seq(2), link(Seq(1), EntryHash::ZERO, b"one"), b"two"));
}

fn filled(texts: &[&str]) -> MemoryLedger {
    let ledger = MemoryLedger::default();
    ledger.append(Seq(0), texts.iter().map(|text| body(text)).collect()).wait().expect("it is stored");
    ledger
}
