//! `prudence kill` and `prudence reset`: a person stops something, or lets it go on. Both are recorded before they hold, and a running server sees
//! them at once.

use std::process::ExitCode;

use judge::name::PrincipalId;
use judge::standing::Target;
use serde_json::json;

use super::{Context, print, print_json};
use crate::assemble::{self, House, configuration};
use crate::cli::{Kill, Output, Reset};
use crate::failure::Failure;
use crate::render::{BAD, BOLD, GOOD, printable};

/// Stops something with everything that was derived from it.
///
/// # Errors
/// When whoever decides is nobody, there is nothing of this name, or it could not be recorded.
pub async fn kill(context: &Context, Kill { target, by, why }: Kill) -> anyhow::Result<ExitCode> {
    let house = assemble::open(configuration(&context.config)?)?;
    known(&house, &target, &by)?;
    house.engine.kill(&target, &by, &why).await?;
    match context.output {
        Output::Json => print_json(&json!({ "killed": target, "by": by }))?,
        Output::Text => print(&format!(
            "{BAD}stopped{BAD:#} {BOLD}{}{BOLD:#}: no call of it is let through any more\n",
            printable(&target.to_string())
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes a kill back, or lets go on what a breaker froze.
///
/// # Errors
/// As [`kill`], and when it is not stopped.
pub async fn reset(context: &Context, Reset { target, by }: Reset) -> anyhow::Result<ExitCode> {
    let house = assemble::open(configuration(&context.config)?)?;
    known(&house, &target, &by)?;
    if !house.engine.reset(&target, &by).await? {
        return Err(Failure::Helpless {
            sentence: format!("{target} is not stopped"),
            help: "`prudence ledger show` tells what was stopped, and when; a task that was ended stays ended".to_owned(),
        }
        .into());
    }
    match context.output {
        Output::Json => print_json(&json!({ "reset": target, "by": by }))?,
        Output::Text => {
            print(&format!("{GOOD}reset{GOOD:#} {BOLD}{}{BOLD:#}: it may go on\n", printable(&target.to_string())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A person who is here decides, and what is named exists; keys and clients are known only to those who issued to them.
fn known(house: &House, target: &Target, by: &PrincipalId) -> anyhow::Result<()> {
    house.engine.view(|state, _| {
        let directory = state.directory();
        let is_there = match target {
            Target::Task(task) => state.task(task).is_some(),
            Target::Agent(agent) => directory.agent_record(agent.as_str()).is_some(),
            Target::Owner(person) => directory.knows_person(person.as_str()),
            Target::Key(_) | Target::Client(_) => true,
        };
        let helpless = |sentence: String, help: &str| Err(Failure::Helpless { sentence, help: help.to_owned() }.into());
        if directory.person(by.as_str()).is_none() {
            helpless(format!("`{by}` is no active person of the directory"), "`--by` names the person who decides this")
        } else if !is_there {
            helpless(format!("there is no {target}"), "`prudence task list` shows the tasks of the last day")
        } else {
            Ok(())
        }
    })
}
