//! `prudence account`: who can sign in at the authorization server. A running server sees changes at once.

use std::io::BufRead as _;
use std::process::ExitCode;

use authority::keys::made_up_password;
use authority::oauth::accounts::password_hash;
use judge::name::PrincipalId;
use serde_json::json;

use super::{Context, now, print, print_json};
use crate::assemble::configuration;
use crate::cli::{AccountCommand, Output};
use crate::failure::Failure;
use crate::render::{BOLD, DIM, GOOD, Table, WARN, moment};

/// Runs the command.
///
/// # Errors
/// When there is no authorization server, or its store cannot be opened.
pub async fn run(context: &Context, command: AccountCommand) -> anyhow::Result<ExitCode> {
    match command {
        AccountCommand::Add { person, password_stdin } => add(context, &person, password_stdin).await?,
        AccountCommand::List => list(context).await?,
        AccountCommand::Remove { person } => remove(context, &person).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(context: &Context, person: &PrincipalId, password_stdin: bool) -> anyhow::Result<()> {
    let loaded = configuration(&context.config)?;
    let store = crate::door::store(&loaded)?;
    let made_up = if password_stdin { None } else { Some(made_up_password()?) };
    let password = match &made_up {
        Some(password) => password.clone(),
        None => first_line()?,
    };
    let hash = password_hash(&password).map_err(|error| Failure::Refused { sentence: error.to_string(), help: None })?;
    store.put_account(person.as_str(), hash, now()).await?;
    let is_here = loaded.settings.people.iter().any(|known| known.id == *person);
    if context.output == Output::Json {
        return print_json(&json!({ "person": person, "password": made_up }));
    }
    let mut out = format!("{GOOD}{person}{GOOD:#} can sign in");
    match &made_up {
        Some(password) => {
            out.push_str(&format!(" with the password {BOLD}{password}{BOLD:#}\n{DIM}it is not shown again{DIM:#}\n"))
        }
        None => out.push('\n'),
    }
    if !is_here {
        out.push_str(&format!("{WARN}`{person}` is none of `[[people]]`{WARN:#}: it works when the directory has them\n"));
    }
    print(&out)
}

fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let accounts = crate::door::store(&configuration(&context.config)?)?.accounts().await?;
    if context.output == Output::Json {
        let of = |account: &authority::oauth::store::Account| json!({ "person": account.person, "admin": account.is_admin, "created_ms": account.created });
        return print_json(&json!({ "accounts": accounts.iter().map(of).collect::<Vec<_>>() }));
    }
    if accounts.is_empty() {
        return print("nobody has an account (`prudence account add PERSON`)\n");
    }
    let mut table = Table::new(&["person", "", "since"]);
    for account in accounts {
        let role = if account.is_admin { "manages others" } else { "" };
        table.row(vec![(account.person, BOLD), (role.to_owned(), DIM), (moment(account.created), anstyle::Style::new())]);
    }
    print(&table.render())
}

async fn remove(context: &Context, person: &PrincipalId) -> anyhow::Result<()> {
    let removed = crate::door::store(&configuration(&context.config)?)?.remove_account(person.as_str()).await?;
    match context.output {
        Output::Json => print_json(&json!({ "person": person, "removed": removed })),
        Output::Text if removed => print(&format!("{GOOD}removed{GOOD:#} {person}\n")),
        Output::Text => print(&format!("{person} has no account\n")),
    }
}
