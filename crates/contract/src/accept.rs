//! Accepting: a person's yes to a contract, written into its file as a pin of the definition that they read. Comments stay.

use crate::definition::{definition_digest, part_digests};
use crate::format;
use serde_json::Value;
use std::collections::BTreeSet;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

/// A person's yes.
#[derive(Debug, Clone, Copy)]
pub struct Acceptance<'a> {
    /// When, as the person would write it.
    pub at: &'a str,
    /// Who.
    pub by: &'a str,
    /// Which tools (by name) and resources (by their URI pattern); left out, all of them.
    pub only: Option<&'a BTreeSet<String>>,
}

/// Why nothing was accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The file is no contract file.
    #[error("the contract file has {} errors, the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    File(Vec<format::ContractError>),
    /// A name that is not in the file.
    #[error("the contract file has no `{0}`")]
    NoContract(String),
    /// A tool that its server does not show.
    #[error("the server shows no tool `{0}`, so there is no definition to accept")]
    NoDefinition(String),
}

/// The contract file with pins for the tools that were accepted. `definitions` is what the server shows now.
///
/// # Errors
/// [`AcceptError`]; nothing is accepted then.
pub fn accept(text: &str, definitions: &[Value], acceptance: Acceptance<'_>) -> Result<String, AcceptError> {
    format::parse("", text).map_err(AcceptError::File)?;
    let mut document: DocumentMut = text.parse().expect("the same text was just read as TOML");
    let mut open: BTreeSet<&str> = acceptance.only.into_iter().flatten().map(String::as_str).collect();
    let is_meant = |name: &str| acceptance.only.is_none_or(|only| only.contains(name));
    for table in tables(&mut document, "tool") {
        let name = text_of(table, "name");
        if !is_meant(&name) {
            continue;
        }
        open.remove(name.as_str());
        match definitions.iter().find(|definition| definition.get("name").and_then(Value::as_str) == Some(&name)) {
            Some(definition) => pin(table, definition, acceptance),
            // All means all that there is: a tool that the server stopped showing cannot be called anyway.
            None if acceptance.only.is_none() => {}
            None => return Err(AcceptError::NoDefinition(name)),
        }
    }
    for table in tables(&mut document, "resource") {
        let uri = text_of(table, "uri");
        if is_meant(&uri) {
            open.remove(uri.as_str());
            sign(table, acceptance);
        }
    }
    match open.first() {
        Some(name) => Err(AcceptError::NoContract((*name).to_owned())),
        None => Ok(document.to_string()),
    }
}

fn tables<'d>(document: &'d mut DocumentMut, key: &str) -> impl Iterator<Item = &'d mut Table> {
    document.get_mut(key).and_then(Item::as_array_of_tables_mut).into_iter().flat_map(ArrayOfTables::iter_mut)
}

fn text_of(table: &Table, key: &str) -> String {
    table.get(key).and_then(Item::as_str).unwrap_or_default().to_owned()
}

fn pin(table: &mut Table, definition: &Value, acceptance: Acceptance<'_>) {
    table.insert("pin", value(format!("sha256:{}", definition_digest(definition))));
    let parts: InlineTable = part_digests(definition).into_iter().collect();
    table.insert("pinned_parts", value(parts));
    sign(table, acceptance);
}

fn sign(table: &mut Table, acceptance: Acceptance<'_>) {
    table.insert("accepted_at", value(acceptance.at));
    table.insert("accepted_by", value(acceptance.by));
}
