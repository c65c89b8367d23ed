//! What can end a command, and the exit code of each. The codes are documented in `prudence --help`.

use std::process::ExitCode;

use crate::cli::Output;
use crate::config::Problems;

/// The exit codes.
pub mod code {
    /// It could not be done.
    pub const FAILED: u8 = 1;
    /// Something that was written down is wrong.
    pub const WRONG: u8 = 3;
    /// Something was checked and found wrong.
    pub const FOUND: u8 = 4;
    /// Refused.
    pub const REFUSED: u8 = 5;
}

/// A failure with an exit code of its own; everything else is [`code::FAILED`].
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Files with problems.
    #[error("{} problems", .0.count())]
    Wrong(Problems),
    /// Prudence said no.
    #[error("{sentence}")]
    Refused {
        /// Why.
        sentence: String,
        /// What would help.
        help: Option<String>,
    },
    /// It could not be done, and there is something that helps.
    #[error("{sentence}")]
    Helpless {
        /// Why.
        sentence: String,
        /// What would help.
        help: String,
    },
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Failure::Wrong(problems)
    }
}

/// Shows what went wrong on standard error (problems of files as JSON on standard output when that was asked for).
pub fn report(error: &anyhow::Error, output: Output) -> ExitCode {
    // Whoever reads our output may stop: that is no failure.
    if error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe))
    {
        return ExitCode::SUCCESS;
    }
    let (code, help) = match error.downcast_ref::<Failure>() {
        Some(Failure::Wrong(problems)) => {
            match output {
                Output::Json => anstream::println!("{}", problems.json()),
                Output::Text => anstream::eprint!("{}", problems.render(crate::render::colour_on_stderr())),
            }
            return ExitCode::from(code::WRONG);
        }
        Some(Failure::Refused { help, .. }) => (code::REFUSED, help.clone()),
        Some(Failure::Helpless { help, .. }) => (code::FAILED, Some(help.clone())),
        None => (code::FAILED, None),
    };
    let message = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    match output {
        Output::Json => anstream::println!("{}", serde_json::json!({ "error": message, "help": help })),
        Output::Text => {
            let red = crate::render::BAD;
            anstream::eprintln!("{red}error{red:#}: {message}");
            if let Some(help) = help {
                anstream::eprintln!("  help: {help}");
            }
        }
    }
    ExitCode::from(code)
}
