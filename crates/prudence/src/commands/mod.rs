//! What the commands do. Each prints for people or for programs, and returns an exit code (`failure` lists them).

mod account;
mod agent;
mod approvals;
mod client;
mod config;
pub mod contain;
mod contract;
mod directory;
pub mod exposure;
pub mod history;
mod incidents;
mod init;
mod key;
mod ldif;
mod ledger;
mod norm;
mod scenario;
mod serve;
mod task;
mod tempo;
mod trace;
mod upstream;
mod wrap;

#[cfg(test)]
pub use init::TEMPLATE;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use ::ledger::Seq;
use clap::CommandFactory as _;
use judge::content::ContentKey;
use judge::moment::Moment;
use judge::state::State;

use crate::cli::{Cli, Command, Global, Output};

/// What holds for every command.
pub struct Context {
    /// The configuration file.
    pub config: PathBuf,
    /// For whom the output is.
    pub output: Output,
}

/// Runs what was typed.
///
/// # Errors
/// Whatever ends the command; `failure::report` shows it.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Global { config, output } = cli.global;
    let context = Context { config, output };
    match cli.command {
        Command::Demo { keep } => crate::demo::run(output == Output::Json, keep).await.map(|()| ExitCode::SUCCESS),
        Command::DemoWorkplace => crate::demo::serve_workplace().await.map(|()| ExitCode::SUCCESS),
        Command::Init { folder } => init::run(&context, &folder),
        Command::Config(command) => config::run(&context, command),
        Command::Serve { listen } => serve::run(&context, listen).await,
        Command::Wrap(wrap) => wrap::run(&context, wrap).await,
        Command::Task(command) => task::run(&context, command).await,
        Command::Agent(command) => agent::run(&context, command).await,
        Command::Kill(kill) => contain::kill(&context, kill).await,
        Command::Reset(reset) => contain::reset(&context, reset).await,
        Command::Incidents(command) => incidents::run(&context, command).await,
        Command::Tempo(command) => tempo::run(&context, command),
        Command::Approvals(command) => approvals::run(&context, command).await,
        Command::Client(command) => client::run(&context, command),
        Command::Key(command) => key::run(&context, command),
        Command::Account(command) => account::run(&context, command).await,
        Command::Upstream(command) => upstream::run(&context, command).await,
        Command::Preview(command) => exposure::preview(&context, &command),
        Command::WhoCanSee(command) => exposure::who_can_see(&context, &command),
        Command::CanSee(command) => exposure::can_see(&context, &command),
        Command::Directory(command) => directory::run(&context, command).await,
        Command::Ledger(command) => ledger::run(&context, command),
        Command::Norm(command) => norm::run(&context, command),
        Command::Contract(command) => contract::run(&context, command).await,
        Command::Scenario(command) => scenario::run(&context, command),
        Command::Trace(command) => trace::run(&context, command),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "prudence", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The state as the ledger tells it now, read only, and the moment. No key is needed: what is shown recognises no text.
///
/// # Errors
/// When the ledger cannot be read.
pub fn reading(context: &Context) -> anyhow::Result<(State, Moment)> {
    reading_with_history(context).map(|(state, now, _)| (state, now))
}

/// The same, with what the ledger spelt out on the way.
///
/// # Errors
/// When the ledger cannot be read.
pub fn reading_with_history(context: &Context) -> anyhow::Result<(State, Moment, history::History)> {
    let loaded = crate::assemble::configuration(&context.config)?;
    let source = crate::assemble::ledger_to_read(&loaded)?;
    let mut state = State::new(ContentKey::new([0; 16]));
    let mut known = history::History::default();
    history::each(&source, Seq::FIRST, |entry, record| {
        known.learn(entry, record);
        state.apply(record);
        Ok(())
    })?;
    Ok((state, now(), known))
}

/// The moment, for commands that look without an engine. Nothing that is recorded is stamped with it.
pub fn now() -> Moment {
    Moment(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0))
}

/// Prints text; escapes are taken out where the output is no terminal.
///
/// # Errors
/// When nobody reads it.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints one JSON document on one line.
///
/// # Errors
/// When nobody reads it.
pub fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    print(&format!("{value}\n"))
}
