//! `prudence client`: tokens for the programs that the configuration lets use the API.

use std::process::ExitCode;

use judge::name::PrincipalId;
use serde_json::json;

use super::{Context, now, print, print_json};
use crate::assemble::{self, configuration};
use crate::cli::{ClientCommand, Output};
use crate::config::settings::Door;
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
/// When the configuration does not let the program in there.
pub fn run(context: &Context, command: ClientCommand) -> anyhow::Result<ExitCode> {
    match command {
        ClientCommand::Token { client, door, lease } => token(context, &client, door, lease.ms())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn token(context: &Context, client: &PrincipalId, door: Door, span_ms: u64) -> anyhow::Result<()> {
    let loaded = configuration(&context.config)?;
    let audience = door.audience();
    if !loaded.settings.clients_of(door).contains(client) {
        return Err(Failure::Refused {
            sentence: format!("the configuration does not let `{client}` use `{audience}`"),
            help: Some(format!("add `[[clients]]` with `id = \"{client}\"` and `doors = [\"{audience}\"]`")),
        }
        .into());
    }
    let issuer = crate::door::issuer(&loaded.settings, &assemble::keys(&loaded)?);
    let token = issuer.client_token(client, audience, now(), span_ms)?;
    match context.output {
        Output::Json => print_json(&json!({ "client": client, "door": audience, "token": token })),
        Output::Text => print(&format!("{token}\n")),
    }
}
