//! `prudence contract`: what a server's tools do, written down, read by a person, accepted, and compared with what it shows now.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use contract::{AcceptError, Acceptance, Standing};
use judge::name::PrincipalId;
use serde_json::json;

use super::{Context, print, print_json};
use crate::assemble::configuration;
use crate::cli::{ContractCommand, Output};
use crate::config::settings::Upstream;
use crate::config::{Loaded, Problems};
use crate::failure::{Failure, code};
use crate::gate;
use crate::render::{BAD, BOLD, DIM, GOOD, Table, WARN, count, printable};

/// Runs the command.
///
/// # Errors
/// When a server cannot be reached, or a file is wrong.
pub async fn run(context: &Context, command: ContractCommand) -> anyhow::Result<ExitCode> {
    match command {
        ContractCommand::Draft { upstream, out, person } => draft(context, &upstream, out, person.as_ref()).await,
        ContractCommand::Accept { upstream, names, by, person } => accept(context, &upstream, names, &by, person.as_ref()).await,
        ContractCommand::Diff { upstream, person } => diff(context, &upstream, person.as_ref()).await,
        ContractCommand::Check { files } => check(context, files),
    }
}

async fn draft(context: &Context, name: &str, out: Option<PathBuf>, person: Option<&PrincipalId>) -> anyhow::Result<ExitCode> {
    let loaded = configuration_without_contracts(context)?;
    let upstream = find(&loaded, name)?;
    let shown = gate::shown(upstream, &loaded, person).await?;
    let text = contract::draft(name, &shown.tools, &shown.resources);
    let Some(path) = out else {
        print(&text)?;
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => anyhow::Error::from(Failure::Helpless {
            sentence: format!("`{}` is there already, and is not overwritten", path.display()),
            help: format!("write the draft elsewhere and compare, or see with `prudence contract diff {name}` what changed"),
        }),
        _ => anyhow::Error::from(error).context(format!("`{}`", path.display())),
    })?;
    file.write_all(text.as_bytes())?;
    match context.output {
        Output::Json => print_json(&json!({ "contract": path, "tools": shown.tools.len() }))?,
        Output::Text => print(&format!(
            "{GOOD}wrote{GOOD:#} {}: {}, every guess marked\n{DIM}read it, correct it, name it as `contract` of the upstream, then: prudence contract accept {name}{DIM:#}\n",
            path.display(),
            count(shown.tools.len() as u64, "tool", "tools")
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn accept(
    context: &Context,
    name: &str,
    names: Vec<String>,
    by: &str,
    person: Option<&PrincipalId>,
) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let upstream = find(&loaded, name)?;
    let path = file_of(&loaded, upstream)?;
    // Problems are shown with their place before a server is asked anything.
    parsed(name, &path)?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
    let shown = gate::shown(upstream, &loaded, person).await?;
    let only: Option<BTreeSet<String>> = (!names.is_empty()).then(|| names.into_iter().collect());
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let accepted =
        contract::accept(&text, &shown.tools, Acceptance { at: &at, by, only: only.as_ref() }).map_err(|error| match &error {
            AcceptError::File(_) => anyhow::Error::from(error),
            AcceptError::NoContract(_) | AcceptError::NoDefinition(_) => Failure::Helpless {
                sentence: error.to_string(),
                help: format!("`prudence contract diff {name}` compares the two"),
            }
            .into(),
        })?;
    replace(&path, &accepted)?;
    match context.output {
        Output::Json => print_json(&json!({ "contract": path, "accepted_by": by, "accepted_at": at }))?,
        Output::Text => print(&format!(
            "{GOOD}accepted{GOOD:#} {} by {by}\n{DIM}a tool whose definition changes from now on is refused until it is accepted again{DIM:#}\n",
            path.display()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn diff(context: &Context, name: &str, person: Option<&PrincipalId>) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let upstream = find(&loaded, name)?;
    let contracts = parsed(name, &file_of(&loaded, upstream)?)?;
    let shown = gate::shown(upstream, &loaded, person).await?;
    let standings = shown.standings(&contracts);
    let gone: Vec<&str> =
        contracts.tools().map(contract::Tool::name).filter(|name| !standings.iter().any(|(shown, _)| shown == name)).collect();
    let same = gone.is_empty() && standings.iter().all(|(_, standing)| standing.is_accepted());
    match context.output {
        Output::Json => {
            let tools: Vec<_> = standings.iter().map(|(name, standing)| json!({ "tool": name, "accepted": standing.is_accepted(), "why": standing.sentence(name) })).collect();
            print_json(&json!({ "tools": tools, "gone": gone }))?;
        }
        Output::Text => {
            let mut table = Table::new(&["tool", "", ""]);
            for (name, standing) in &standings {
                let (style, word) = match standing {
                    Standing::Accepted => (GOOD, "accepted"),
                    Standing::Changed { .. } => (BAD, "changed"),
                    Standing::Draft => (WARN, "draft"),
                    Standing::Unknown => (WARN, "no contract"),
                };
                table.row(vec![
                    (name.clone(), BOLD),
                    (word.to_owned(), style),
                    (standing.sentence(name).unwrap_or_default(), DIM),
                ]);
            }
            for name in &gone {
                table.row(vec![
                    ((*name).to_owned(), BOLD),
                    ("gone".to_owned(), DIM),
                    ("the server shows it no more".to_owned(), DIM),
                ]);
            }
            print(&table.render())?;
        }
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(code::FOUND) })
}

fn check(context: &Context, files: Vec<PathBuf>) -> anyhow::Result<ExitCode> {
    let files: Vec<(String, PathBuf)> = if files.is_empty() {
        let loaded = configuration(&context.config)?;
        let of = |upstream: &Upstream| upstream.contract.as_ref().map(|file| (upstream.name.clone(), loaded.beside(file)));
        loaded.settings.upstreams.iter().filter_map(of).collect()
    } else {
        files
            .into_iter()
            .map(|file| (file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned()), file))
            .collect()
    };
    let mut problems = Problems::default();
    let mut tools = 0;
    let mut warnings = Vec::new();
    for (name, path) in &files {
        let Some(contracts) = gate::contract(name, path, &mut problems)? else { continue };
        tools += contracts.tools().count();
        warnings.extend(contracts.server_named().map(|sentence| format!("{}: {sentence}", path.display())));
    }
    if problems.count() > 0 {
        return Err(Failure::from(problems).into());
    }
    match context.output {
        Output::Json => print_json(&json!({ "problems": [], "files": files.len(), "tools": tools, "warnings": warnings }))?,
        Output::Text => {
            let right = format!(
                "{GOOD}right{GOOD:#}: {} with {}\n",
                count(files.len() as u64, "contract", "contracts"),
                count(tools as u64, "tool", "tools")
            );
            let warned: String =
                warnings.iter().map(|warning| format!("{WARN}warning{WARN:#}: {}\n", printable(warning))).collect();
            let help = if warnings.is_empty() {
                String::new()
            } else {
                format!(
                    "{DIM}take the name from the call where the call has it: `{{ argument = \"$.…\" }}` (docs/contracts.md){DIM:#}\n"
                )
            };
            print(&format!("{right}{warned}{help}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A draft is written before the file that the configuration already names is there.
fn configuration_without_contracts(context: &Context) -> anyhow::Result<Loaded> {
    Ok(crate::config::load_before_contracts(&context.config).map_err(Failure::from)?)
}

fn find<'l>(loaded: &'l Loaded, name: &str) -> anyhow::Result<&'l Upstream> {
    loaded.settings.upstreams.iter().find(|upstream| upstream.name == name).ok_or_else(|| {
        let known = loaded.settings.upstreams.iter().map(|upstream| upstream.name.as_str()).collect::<Vec<_>>().join(", ");
        let help =
            if known.is_empty() { "the configuration has no `[[upstreams]]`".to_owned() } else { format!("there are: {known}") };
        Failure::Helpless { sentence: format!("there is no upstream `{name}`"), help }.into()
    })
}

fn file_of(loaded: &Loaded, upstream: &Upstream) -> anyhow::Result<PathBuf> {
    upstream.contract.as_ref().map(|file| loaded.beside(file)).ok_or_else(|| {
        Failure::Helpless {
            sentence: format!("upstream `{}` has no contract", upstream.name),
            help: format!(
                "`prudence contract draft {} --out FILE` writes one; name it as `contract` of the upstream",
                upstream.name
            ),
        }
        .into()
    })
}

fn parsed(name: &str, path: &Path) -> anyhow::Result<contract::Contracts> {
    let mut problems = Problems::default();
    gate::contract(name, path, &mut problems)?.ok_or_else(|| Failure::from(problems).into())
}

/// Replaces a file whole, or not at all.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
