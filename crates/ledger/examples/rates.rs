//! Rows a second, beside plain SQLite on the same disk in the same run:
//! `cargo run --release -p ledger --example rates [-- SECONDS BODY_BYTES DIRECTORY]`.
//!
//! Plain SQLite: one thread, WAL, full sync, as many rows in each transaction as there are writers, no hashes. The ledger: that many
//! asynchronous writers, each with one entry at a time, each waiting for its receipt before the next. They take turns, so that a
//! disk that drifts drifts for both.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::{Seq, Source, SqliteLedger, Store};
use rusqlite::{Connection, TransactionBehavior};

const WRITERS: usize = 64;
const TURNS: u32 = 12;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(4, |text| text.parse().expect("seconds, a whole number"));
    let bytes = arguments.next().map_or(300, |text| text.parse().expect("bytes of a body, a whole number"));
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(parent).expect("a temporary directory");
    let span = Duration::from_secs(seconds) / TURNS;
    let (plain_file, ledger_file) = (directory.path().join("plain.db"), directory.path().join("ledger.db"));

    println!("{WRITERS} writers, bodies of {bytes} bytes, {seconds} s each in {TURNS} turns");
    let (mut plain, mut ledger, mut ratios) = (Run::default(), Run::default(), Vec::new());
    for _ in 0..TURNS {
        let peer = plain.turn(|waits| insert_plainly(&plain_file, bytes, span, waits));
        let ours = ledger.turn(|waits| append(&ledger_file, bytes, span, waits));
        ratios.push(ours / peer);
    }
    plain.report("plain SQLite, each commit");
    ledger.report("ledger, each receipt");
    ratios.sort_by(f64::total_cmp);
    let (low, median, high) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    println!("ledger / plain, by turn: median {median:.2}, from {low:.2} to {high:.2}");
}

#[derive(Default)]
struct Run {
    rows: usize,
    time: Duration,
    processor: Duration,
    waits: Vec<Duration>,
}

impl Run {
    /// Rows a second of this turn. Opening is not counted, closing (the last checkpoint) is not either.
    fn turn(&mut self, work: impl FnOnce(&mut Vec<Duration>) -> (usize, Duration)) -> f64 {
        let before = processor_time();
        let (rows, time) = work(&mut self.waits);
        self.processor += processor_time() - before;
        self.rows += rows;
        self.time += time;
        rows as f64 / time.as_secs_f64()
    }

    fn report(&mut self, name: &str) {
        self.waits.sort();
        let at = |share: f64| self.waits[((self.waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "{name:>26}: {:>8.0} rows/s, {:.1} µs of CPU a row; p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
            self.rows as f64 / self.time.as_secs_f64(),
            self.processor.as_secs_f64() * 1e6 / self.rows as f64,
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

fn insert_plainly(path: &Path, bytes: usize, span: Duration, waits: &mut Vec<Duration>) -> (usize, Duration) {
    let mut connection = Connection::open(path).expect("it opens");
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").expect("it is configured");
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        .expect("it is created");
    let (body, start) = (vec![b'x'; bytes], Instant::now());
    let mut rows = 0;
    while start.elapsed() < span {
        let begun = Instant::now();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("it begins");
        {
            let mut insert = transaction.prepare_cached("INSERT INTO entry (body) VALUES (?1)").expect("it is SQL");
            for _ in 0..WRITERS {
                insert.execute([&body]).expect("it is stored");
            }
        }
        transaction.commit().expect("it commits");
        waits.push(begun.elapsed());
        rows += WRITERS;
    }
    (rows, start.elapsed())
}

fn append(path: &Path, bytes: usize, span: Duration, waits: &mut Vec<Duration>) -> (usize, Duration) {
    let ledger = Arc::new(SqliteLedger::open(path).expect("it opens"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let head = Arc::new(Mutex::new(ledger.head().expect("it is readable").seq));
    let start = Instant::now();
    let writer = || {
        let (ledger, head) = (Arc::clone(&ledger), Arc::clone(&head));
        async move {
            let mut waits = Vec::new();
            while start.elapsed() < span {
                let begun = Instant::now();
                next(&*ledger, &head, bytes).await.expect("it is stored");
                waits.push(begun.elapsed());
            }
            waits
        }
    };
    let before = waits.len();
    runtime.block_on(async {
        let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(writer())).collect();
        for writer in writers {
            waits.extend(writer.await.expect("no writer panics"));
        }
    });
    (waits.len() - before, start.elapsed())
}

/// What the engine does under its lock: queue behind the head that it knows, and know the next.
fn next(ledger: &dyn Store, head: &Mutex<Seq>, bytes: usize) -> ledger::Pending {
    let batch = vec![vec![b'x'; bytes]];
    let mut head = head.lock().expect("no writer panics");
    let pending = ledger.append(*head, batch);
    *head = head.plus(1);
    pending
}

/// Of all threads of this process, where the system tells (Linux, in hundredths of a second); zero elsewhere.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}
