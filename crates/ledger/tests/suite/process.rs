//! Processes that die: a child appends and prints its receipts until it is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ledger::{EntryHash, Seq, Source, SqliteLedger, Store};

use crate::{body, verified};

const PATH: &str = "LEDGER_OF_THE_CHILD";
const KILLS: usize = 12;

/// Not a test of its own: the child of those below.
#[test]
#[ignore = "started by the test that kills it"]
fn child_that_appends_for_ever() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let ledger = SqliteLedger::open(path).expect("it opens");
    let mut queued = ledger.head().expect("it is readable").seq;
    let mut pending = std::collections::VecDeque::new();
    let mut out = std::io::stdout().lock();
    loop {
        let batch: Vec<_> = (0..1 + queued.0 % 3).map(|_| body(&"x".repeat(queued.0 as usize % 5000))).collect();
        let after = queued.plus(batch.len() as u64);
        pending.push_back(ledger.append(queued, batch));
        queued = after;
        if pending.len() > 8 {
            let receipt = pending.pop_front().expect("it has nine").wait().expect("nobody else appends");
            writeln!(out, "receipt {} {}", receipt.last, receipt.hash).expect("the parent listens");
            out.flush().expect("the parent listens");
        }
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test has a path"))
        .args(["--exact", "process::child_that_appends_for_ever", "--ignored", "--nocapture"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts")
}

#[test]
fn after_kill_minus_nine_the_chain_holds_and_every_receipt_is_there() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("ledger.db");
    let mut receipts: Vec<(Seq, EntryHash)> = Vec::new();
    for kill in 0..KILLS {
        let mut child = start(&path);
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // Killed after ever more receipts, so at ever other points of a commit or a checkpoint.
        let patience = receipts.len() + 1 + kill * kill * 7;
        while receipts.len() < patience {
            receipts.extend(receipt_in(&lines.next().expect("the child lives").expect("it writes text")));
        }
        child.kill().expect("it can be killed");
        receipts.extend(lines.filter_map(|line| receipt_in(&line.expect("it writes text"))));
        child.wait().expect("it is dead");

        let ledger = SqliteLedger::open(&path).expect("it reopens");
        verified(&ledger);
        for (seq, hash) in &receipts {
            let entries = ledger.read(*seq, 1, 0).expect("it is readable");
            assert_eq!(entries.first().map(|entry| entry.hash), Some(*hash), "receipt {seq} after kill {kill}");
        }
    }
}

/// The receipt in a line of the child; the last line may have been cut off, and libtest writes lines of its own.
fn receipt_in(line: &str) -> Option<(Seq, EntryHash)> {
    let (_, receipt) = line.split_once("receipt ")?;
    let (seq, hash) = receipt.split_once(' ')?;
    Some((Seq(seq.parse().ok()?), hash.parse().ok()?))
}
