//! The configuration: one TOML file, and what it becomes.
//!
//! `settings` says every setting once; `shape` holds a file against them; `load` reads and checks; `problem` shows what is wrong;
//! `reference` writes the page about them.

mod load;
mod problem;
mod reference;
pub mod settings;
mod shape;
mod span;
#[cfg(test)]
mod tests;

pub use load::{Loaded, contract_problems, load, load_before_contracts, load_with_contracts, policy_problems, read_policies};
pub use problem::{Problem, Problems};
pub use reference::reference;
pub use span::Span;

/// The JSON Schema of `prudence.toml`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(settings::Settings).to_value()
}

/// The JSON Schema of a file that `directory` names.
pub fn directory_schema() -> serde_json::Value {
    schemars::schema_for!(settings::DirectorySettings).to_value()
}
