//! What every store promises, asked of every store; then what only a file can be asked.

#[path = "suite/conformance.rs"]
mod conformance;
#[path = "suite/disk.rs"]
mod disk;
#[path = "suite/process.rs"]
mod process;
#[path = "suite/tamper.rs"]
mod tamper;
#[path = "suite/twin.rs"]
mod twin;

use ledger::{AppendError, Receipt, Seq, Store};

fn body(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn put(store: &dyn Store, expected: u64, text: &str) -> Result<Receipt, AppendError> {
    store.append(Seq(expected), vec![body(text)]).wait()
}

fn texts(store: &dyn Store) -> Vec<String> {
    let entries = store.read(Seq(1), usize::MAX, usize::MAX).expect("the store is readable");
    entries.into_iter().map(|entry| String::from_utf8(entry.body).expect("tests append text")).collect()
}

fn verified(store: &dyn Store) -> ledger::Verified {
    ledger::verify(store, Seq(1), None, |_| ()).expect("the chain holds")
}
