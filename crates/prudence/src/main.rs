//! Prudence on the command line: reads what is typed, assembles the parts, and maps what went wrong to an exit code.

mod alarms;
mod assemble;
mod cli;
mod commands;
mod config;
mod credentials;
mod demo;
mod door;
mod failure;
mod gate;
mod render;

use std::process::ExitCode;

use clap::Parser as _;

/// A call allocates some hundred times in small pieces; the system's allocator was an eighth of its cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One provider for the process, before anything can open a connection.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anstream::eprintln!("error: another tls provider was installed before");
        return ExitCode::FAILURE;
    }
    let cli = cli::Cli::parse();
    log_to_stderr();
    let output = cli.global.output;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(commands::run(cli));
    // A follower that sleeps in a blocking thread does not hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => failure::report(&error, output),
    }
}

/// Standard output belongs to the command (and, in `wrap`, to the protocol).
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PRUDENCE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let to_stderr = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var("PRUDENCE_LOG_FORMAT").is_ok_and(|format| format == "json") {
        to_stderr.json().init();
    } else {
        to_stderr.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
}
