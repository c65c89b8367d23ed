//! `prudence config`: is it right, and what can be in it.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::{Context, print, print_json};
use crate::assemble;
use crate::cli::{ConfigCommand, Output};
use crate::config;
use crate::config::settings::Mode;
use crate::failure::Failure;
use crate::render::{DIM, GOOD, WARN, count};

/// Runs the command.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn run(context: &Context, command: ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Check { file } => check(context, file.as_ref().unwrap_or(&context.config))?,
        ConfigCommand::Schema { directory } => {
            let schema = if directory { config::directory_schema() } else { config::schema() };
            print(&format!("{schema:#}\n"))?;
        }
        ConfigCommand::Reference => print(&config::reference(&config::schema()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(context: &Context, file: &Path) -> anyhow::Result<()> {
    let loaded = &config::load_with_contracts(file).map_err(Failure::from)?;
    let settings = &loaded.settings;
    // Keys are no settings, but a configuration without them cannot run.
    let keys = assemble::keys(loaded)?;
    if context.output == Output::Json {
        return print_json(&json!({
            "problems": [],
            "digest": loaded.bundle.digest(),
            "upstreams": settings.upstreams.len(),
            "people": settings.people.len(),
            "agents": settings.agents.len(),
            "grants": settings.grants.len(),
            "signing_key": keys.signing.id(),
        }));
    }
    let parts = [
        count(settings.upstreams.len() as u64, "upstream", "upstreams"),
        count(settings.people.len() as u64, "person", "people"),
        count(settings.agents.len() as u64, "agent", "agents"),
        count(settings.items.len() as u64, "item", "items"),
        count(settings.destinations.len() as u64, "destination", "destinations"),
        count(settings.grants.len() as u64, "grant", "grants"),
        count(loaded.bundle.policies.norms.len() as u64, "file of norms", "files of norms"),
    ];
    print(&format!("{GOOD}{} is right{GOOD:#}: {}\n", loaded.path.display(), parts.join(", ")))?;
    print(&format!("{DIM}tokens are signed with the key {}{DIM:#}\n", keys.signing.id()))?;
    for upstream in &settings.upstreams {
        if upstream.mode == Mode::Observe {
            print(&format!("{WARN}upstream {} is only observed: nothing that it does is stopped{WARN:#}\n", upstream.name))?;
        }
        if upstream.contract.is_none() {
            print(&format!("{WARN}upstream {} has no contract: every call of its tools is refused{WARN:#}\n", upstream.name))?;
        }
    }
    for agent in settings.agents.iter().filter(|agent| agent.mode == Mode::Observe) {
        print(&format!("{WARN}agent {} is only observed: nothing that it does is stopped{WARN:#}\n", agent.id))?;
    }
    Ok(())
}
