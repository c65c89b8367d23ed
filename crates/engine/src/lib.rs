//! The engine orders: stamp the moment, gather, decide, append, apply, and only then mint a permit.
//!
//! It knows neither HTTP nor any protocol. It is the only place that asks for the time and draws identifiers, and the only
//! mint of [`Permit`]s, so that reaching an upstream without a recorded decision does not compile.
//!
//! Decisions are made one after the other on one state; the ledger is written behind them in groups. The state is ahead of
//! the disk by what is in flight, and nothing of that leaves the engine: every call returns only when its record is durable.
//! When a record could not be written, the state is rebuilt from the ledger before anything else is decided.

mod clock;
mod engine;
mod evaluate;
mod ids;
mod limit;
mod node;
mod permit;
#[cfg(test)]
mod tests;

pub use clock::{Clock, ManualClock};
pub use engine::{
    AnswerError, ChangeDirectoryError, ConfigureError, ContainError, DelegateError, Engine, Mode, NewTask, OpenError, Options,
    Released, RenewError, Ruled, Seen, StartTaskError, Unavailable,
};
pub use evaluate::{Asker, Evaluated, Question, RequestError};
pub use limit::CutDown;
pub use node::Node;
pub use permit::{Permit, PermitRefused, Spent};
