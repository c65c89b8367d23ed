//! `prudence key`: the key that signs tokens, exchanged for another.

use std::process::ExitCode;

use authority::Keys;
use serde_json::json;

use super::{Context, print, print_json};
use crate::assemble::configuration;
use crate::cli::{KeyCommand, Output};
use crate::render::{BOLD, DIM, GOOD};

/// Runs the command.
///
/// # Errors
/// When a key cannot be read or written.
pub fn run(context: &Context, command: KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Rotate => rotate(context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn rotate(context: &Context) -> anyhow::Result<()> {
    let loaded = configuration(&context.config)?;
    let retired = Keys::rotate(&loaded.beside(&loaded.settings.server.signing_key))?;
    // As the configuration names it: seen from its folder.
    let folder = loaded.path.parent().unwrap_or(std::path::Path::new(""));
    let shown = retired.strip_prefix(folder).unwrap_or(&retired).display().to_string();
    match context.output {
        Output::Json => print_json(&json!({ "retired_key": shown })),
        Output::Text => print(&format!(
            "{GOOD}made{GOOD:#} a new signing key; the old one signs no more\n\n\
             {BOLD}Next{BOLD:#}\n  1. under [server]: retired_keys = [\"{shown}\"]\n  2. start the server again\n\
             {DIM}take it out again when its last token has ended; without it they end now{DIM:#}\n"
        )),
    }
}
