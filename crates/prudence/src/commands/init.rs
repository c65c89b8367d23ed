//! `prudence init`: a configuration to begin with, and keys. Overwrites nothing.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use authority::Keys;
use authority::keys::KeyPaths;
use serde_json::json;

use super::{Context, print, print_json};
use crate::cli::Output;
use crate::config::settings::Server;
use crate::failure::Failure;
use crate::render::{BOLD, DIM, GOOD};

/// The configuration to begin with. A test holds it right.
pub const TEMPLATE: &str = include_str!("prudence.toml");

/// Runs the command.
///
/// # Errors
/// When something is there already, or cannot be written.
pub fn run(context: &Context, folder: &Path) -> anyhow::Result<ExitCode> {
    let server = Server::default();
    let file = folder.join("prudence.toml");
    let paths = KeyPaths {
        signing: folder.join(&server.signing_key),
        content: folder.join(&server.content_key),
        operator: folder.join(&server.operator_secret),
    };
    let credentials = folder.join(&server.credentials_key);
    // Looked at before anything is written, so that a folder is never left half done.
    for path in [&file, &paths.signing, &paths.content, &paths.operator, &credentials, &folder.join(&server.store)] {
        if path.exists() {
            return Err(Failure::Helpless {
                sentence: format!("`{}` is there already, and nothing is overwritten", path.display()),
                help: "choose another folder: `prudence init FOLDER`".to_owned(),
            }
            .into());
        }
    }
    make_private(paths.signing.parent().unwrap_or(folder)).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    let keys = Keys::generate(&paths)?;
    broker::generate(&credentials)?;
    let mut options = OpenOptions::new();
    let mut out =
        options.write(true).create_new(true).open(&file).with_context(|| format!("`{}` cannot be written", file.display()))?;
    out.write_all(TEMPLATE.as_bytes()).with_context(|| format!("`{}` cannot be written", file.display()))?;
    write_ignore(folder)?;
    match context.output {
        Output::Json => print_json(&json!({ "config": file, "signing_key": keys.signing.id() }))?,
        Output::Text => {
            let shown = file.display();
            let option = if folder == Path::new(".") { String::new() } else { format!(" --config {shown}") };
            print(&format!(
                "{GOOD}wrote{GOOD:#} {shown}, and keys that only you can read in {}\n{DIM}tokens are signed with the key {}{DIM:#}\n\n\
                 {BOLD}Next{BOLD:#}\n  1. put your own servers into {shown}\n  2. prudence{option} config check\n  3. prudence{option} serve\n",
                paths.signing.parent().unwrap_or(folder).display(),
                keys.signing.id()
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Keys and the ledger do not belong into a repository.
fn write_ignore(folder: &Path) -> anyhow::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(folder.join(".gitignore")) {
        Ok(mut file) => Ok(file.write_all(b"keys/\nprudence.db*\nprudence-auth.db*\nprudence-credentials.db*\n")?),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    if let Some(parent) = folder.parent() {
        builder.create(parent)?;
    }
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
