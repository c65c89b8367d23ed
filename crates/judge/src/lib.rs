//! The judge decides. Every function here is total over values: no clock, no randomness, no I/O, no logging, and no other
//! crate of the workspace. The same state, act and moment give the same answer years later.
//!
//! Where to start: [`decide::decide`] for an act, [`observe::observe`] for a result, [`state::State::apply`] for what happened.

pub mod act;
pub mod alarm;
mod condition;
pub mod contain;
pub mod content;
pub mod decide;
pub mod decision;
pub mod delegation;
pub mod digest;
pub mod directory;
pub mod effect;
pub mod event;
pub mod facts;
mod gather;
pub mod incident;
pub mod label;
pub mod moment;
pub mod name;
pub mod observe;
pub mod pattern;
pub mod policy;
pub mod preview;
pub mod provenance;
pub mod reach;
pub mod registration;
mod release;
pub mod renewal;
pub mod replay;
pub mod standing;
pub mod state;
pub mod task;
pub mod tempo;
#[cfg(test)]
mod tests;
pub mod value;
