//! One commit of 64 rows: the ledger (64 callers with one entry each, hash-chained) beside plain SQLite with full sync.
//! `cargo bench -p ledger`. Rates under steady load, and the longest wait: `examples/rates.rs`.

use divan::{Bencher, counter::ItemsCount};
use ledger::{Head, MemoryLedger, Seq, SqliteLedger, Store};
use rusqlite::{Connection, TransactionBehavior};

const WRITERS: usize = 64;
const BODY: [u8; 300] = [b'x'; 300];

fn main() {
    divan::main();
}

#[divan::bench]
fn plain_sqlite(bencher: Bencher) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut connection = Connection::open(directory.path().join("plain.db")).expect("it opens");
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").expect("it is configured");
    connection.execute_batch("CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)").expect("it is created");
    bencher.counter(ItemsCount::new(WRITERS)).bench_local(|| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("it begins");
        for _ in 0..WRITERS {
            let mut insert = transaction.prepare_cached("INSERT INTO entry (body) VALUES (?1)").expect("it is SQL");
            insert.execute([&BODY[..]]).expect("it is stored");
        }
        transaction.commit().expect("it commits");
    });
}

#[divan::bench]
fn sqlite_ledger(bencher: Bencher) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = SqliteLedger::open(directory.path().join("ledger.db")).expect("it opens");
    appends(bencher, &ledger);
}

#[divan::bench]
fn memory_ledger(bencher: Bencher) {
    appends(bencher, &MemoryLedger::default());
}

/// What hashing alone costs.
#[divan::bench]
fn chain(bencher: Bencher) {
    bencher
        .counter(ItemsCount::new(WRITERS))
        .bench_local(|| (0..WRITERS).fold(Head::EMPTY, |head, _| head.followed_by(divan::black_box(&BODY))));
}

fn appends(bencher: Bencher, store: &dyn Store) {
    bencher.counter(ItemsCount::new(WRITERS)).bench_local(|| {
        let head = store.head().expect("it is readable").seq;
        let pending: Vec<_> = (0..WRITERS as u64).map(|n| store.append(Seq(head.0 + n), vec![BODY.to_vec()])).collect();
        for pending in pending {
            pending.wait().expect("it is stored");
        }
    });
}
