//! Recorded runs of agents, judged after the fact: what would Prudence have said to each call, and how often would it have asked somebody?
//!
//! [`format`] reads `trace/v1`; [`import`] makes it of what others record; [`run`] judges a trace in a world of its own; [`Figures`] sum up
//! what was found. Nothing here can carry anything out: there is no connector, no permit and no engine to make one. It refuses to know the
//! ledger, a gateway, HTTP, files, and a clock: who wants to know how long a decision took brings a stopwatch.
//!
//! Where to start: [`format::parse`], then [`run::Judge`].

mod figures;
pub mod format;
pub mod import;
pub mod rewrite;
pub mod run;
#[cfg(test)]
mod tests;
mod toolbox;
mod words;

pub use figures::{Attacked, Benign, Decisions, Figures, NormFigures};
pub use toolbox::{NoTool, Toolbox};
