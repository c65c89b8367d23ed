//! `prudence trace`: recorded runs of agents, judged after the fact, and made of what others record. Only looks: there is no engine here, no
//! ledger, and nothing that could carry anything out.

mod page;
mod recorded;
mod show;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use ::trace::format::Trace;
use ::trace::import::{Defaults, ImportError, Imported};
use ::trace::run::{Judge, Judged, WorldError};
use ::trace::{Figures, Toolbox, format, import, rewrite};
use anyhow::Context as _;
use contract::{Acceptance, Contracts};
use judge::directory::DirectoryDocument;
use judge::policy::PolicySources;
use serde::Serialize;
use serde_json::{Value, json};

use super::scenario::problem_at_line;
use super::{Context, print, print_json};
use crate::cli::{Output, Rewrite, TraceCommand, TraceGrants, TraceImport, TraceRun, TraceSource};
use crate::config::{Problem, Problems, contract_problems, policy_problems, read_policies};
use crate::failure::Failure;
use crate::render::{DIM, count, printable};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What was found in one file.
#[derive(Debug, Serialize)]
pub struct Set {
    /// The file.
    pub file: String,
    /// How many attacked traces had an address of the attacker to give another for, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewritten: Option<u64>,
    /// The sums.
    pub figures: Figures,
    /// Every trace.
    pub traces: Vec<Judged>,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, or is wrong.
pub fn run(context: &Context, command: TraceCommand) -> anyhow::Result<ExitCode> {
    match command {
        TraceCommand::Run(run) => judged(context, &run),
        TraceCommand::Import(import) => imported(context, &import),
        TraceCommand::Record(record) => recorded::run(context, &record),
    }
}

fn judged(context: &Context, command: &TraceRun) -> anyhow::Result<ExitCode> {
    let mut problems = Problems::default();
    let definitions = command.tools.as_deref().map(definitions).transpose()?.unwrap_or_default();
    let contracts = contracts(command, &definitions, &mut problems)?;
    let world = world(&command.world, &mut problems)?;
    let files = traces(&command.files, &mut problems)?;
    let mut policies = PolicySources::shipped();
    if let Some(folder) = &command.norms {
        match read_policies(folder) {
            Ok(norms) => policies.norms = norms,
            Err(problem) => problems.add(&folder.display().to_string(), &"".into(), vec![problem]),
        }
    }
    if problems.count() > 0 {
        return Err(Failure::from(problems).into());
    }
    let toolbox = Toolbox::new(contracts, definitions);
    let begun = Instant::now();
    let stopwatch = || begun.elapsed();
    let judge =
        Judge::new(&toolbox, world, policies.clone(), &stopwatch).map_err(|error| unusable(&error, &policies, &command.world))?;
    let judge = judge.with_grants(match command.grants {
        TraceGrants::Prompt => trace::run::Grants::Prompt,
        TraceGrants::None => trace::run::Grants::None,
    });
    let mut sets = Vec::new();
    for (path, traces) in files {
        sets.push(set_of(&judge, &toolbox, command.rewrite, &path, &traces)?);
    }
    let together = Figures::of(sets.iter().flat_map(|set| &set.traces));
    if let Some(path) = &command.html {
        std::fs::write(path, page::html(&sets, &together)).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    match context.output {
        Output::Json => print_json(&json!({ "sets": sets, "together": together }))?,
        Output::Text => print(&show::text(&sets, &together))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn set_of(judge: &Judge<'_>, toolbox: &Toolbox, rewrite: Option<Rewrite>, path: &Path, traces: &[Trace]) -> anyhow::Result<Set> {
    let mut judged = Vec::new();
    let mut rewritten = rewrite.map(|_| 0);
    for trace in traces {
        let found = match rewrite {
            Some(Rewrite::Carrier) if trace.is_attacked() => {
                let other = rewrite::carrier(trace, toolbox);
                rewritten = rewritten.map(|count| count + u64::from(!other.replaced.is_empty()));
                judge.judge(&other.trace)
            }
            Some(Rewrite::Carrier) | None => judge.judge(trace),
        };
        judged.push(found.map_err(|error| wrong_file(path, "", vec![Problem::new(error.to_string())]))?);
    }
    Ok(Set { file: path.display().to_string(), rewritten, figures: Figures::of(&judged), traces: judged })
}

fn unusable(error: &WorldError, policies: &PolicySources, world: &Path) -> Failure {
    match error {
        WorldError::Policies(errors) => {
            let mut problems = Problems::default();
            policy_problems(errors, policies, &mut problems);
            problems.into()
        }
        WorldError::Agents(_) | WorldError::Directory(_) => wrong_file(world, "", vec![Problem::new(error.to_string())]),
    }
}

// ---- what is read

fn world(path: &Path, problems: &mut Problems) -> anyhow::Result<DirectoryDocument> {
    let text = read(path, "world")?;
    let name = path.display().to_string();
    match scenario::parse_world(&name, &text) {
        Ok((world, _)) => Ok(world),
        Err(errors) => {
            let line = |error: &scenario::ParseError| usize::try_from(error.line).unwrap_or(usize::MAX);
            let found = errors.iter().map(|error| problem_at_line(line(error), &error.message, &text)).collect();
            problems.add(&name, &text.into(), found);
            Ok(DirectoryDocument::default())
        }
    }
}

fn traces(paths: &[PathBuf], problems: &mut Problems) -> anyhow::Result<Vec<(PathBuf, Vec<Trace>)>> {
    let mut files = Vec::new();
    for path in paths {
        let text = read(path, "trace")?;
        match format::parse(&text) {
            Ok(traces) => files.push((path.clone(), traces)),
            Err(errors) => {
                let found = errors.iter().map(|error| Problem::new(error.to_string())).collect();
                problems.add(&path.display().to_string(), &"".into(), found);
            }
        }
    }
    Ok(files)
}

/// The contracts of the folder, or those that are drafted from the tools.
fn contracts(command: &TraceRun, definitions: &[Value], problems: &mut Problems) -> anyhow::Result<Vec<Contracts>> {
    let mut contracts = Vec::new();
    let Some(folder) = &command.contracts else {
        let name = command.tools.as_deref().and_then(Path::file_stem).map_or("tools".into(), |stem| stem.to_string_lossy());
        let text = contract::draft(&name, definitions, &[]);
        contracts.extend(contract_of(&name, &text, command.accept_drafts, definitions, "the draft", problems)?);
        return Ok(contracts);
    };
    let entries = std::fs::read_dir(folder)
        .map_err(|error| wrong_file(folder, "", vec![Problem::unreadable("folder of contracts", folder, &error)]))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        let help = "each `NAME.toml` in it is the contract of the upstream NAME";
        return Err(wrong_file(folder, "", vec![Problem::new("no contract is in this folder").help(help)]).into());
    }
    for path in paths {
        let text = read(&path, "contract")?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let file = path.display().to_string();
        contracts.extend(contract_of(&name, &text, command.accept_drafts, definitions, &file, problems)?);
    }
    Ok(contracts)
}

fn contract_of(
    upstream: &str,
    text: &str,
    accepts_drafts: bool,
    definitions: &[Value],
    file: &str,
    problems: &mut Problems,
) -> anyhow::Result<Option<Contracts>> {
    let parsed = Contracts::parse(upstream, text).and_then(|contracts| {
        let drafts: BTreeSet<String> =
            contracts.tools().filter(|tool| !tool.is_accepted()).map(|tool| tool.name().to_owned()).collect();
        if drafts.is_empty() || !accepts_drafts {
            return Ok(contracts);
        }
        // A tool that nobody showed is accepted as it is in the contract.
        let shown = |name: &String| definitions.iter().find(|definition| definition["name"] == **name).cloned();
        let tools: Vec<Value> = drafts.iter().map(|name| shown(name).unwrap_or_else(|| json!({ "name": name }))).collect();
        let acceptance = Acceptance { at: "never", by: "nobody: a draft, taken as accepted to measure it", only: Some(&drafts) };
        let accepted = contract::accept(text, &tools, acceptance).expect("the same text was just read, and every name is of it");
        Contracts::parse(upstream, &accepted)
    });
    match parsed {
        Ok(contracts) => Ok(Some(contracts)),
        Err(errors) => {
            problems.add(file, &text.into(), contract_problems(errors));
            Ok(None)
        }
    }
}

/// Tools as a server lists them: a list, the result of `tools/list`, or the whole answer.
fn definitions(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = read(path, "list of tools")?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| wrong_file(path, &text, vec![Problem::new(format!("this is no JSON: {error}"))]))?;
    let list = [Some(&value), value.get("tools"), value.pointer("/result/tools")].into_iter().flatten().find_map(Value::as_array);
    let Some(tools) = list.filter(|tools| tools.iter().all(|tool| tool["name"].is_string())) else {
        let problem = Problem::new("expected a list of tools, each with its `name`, as `tools/list` answers it");
        return Err(wrong_file(path, "", vec![problem]).into());
    };
    Ok(tools.clone())
}

fn read(path: &Path, what: &str) -> anyhow::Result<String> {
    let unreadable = |error: &std::io::Error| wrong_file(path, "", vec![Problem::unreadable(what, path, error)]);
    let bytes = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if bytes > FILE_BYTES_MAX {
        let problem = Problem::new(format!("the {what} has {bytes} bytes, at most {FILE_BYTES_MAX} are read"));
        return Err(wrong_file(path, "", vec![problem]).into());
    }
    Ok(std::fs::read_to_string(path).map_err(|error| unreadable(&error))?)
}

fn wrong_file(path: &Path, text: &str, found: Vec<Problem>) -> Failure {
    let mut problems = Problems::default();
    problems.add(&path.display().to_string(), &text.into(), found);
    problems.into()
}

// ---- import

fn imported(context: &Context, command: &TraceImport) -> anyhow::Result<ExitCode> {
    let text = read(&command.file, "record")?;
    let id = command.file.file_stem().map_or_else(|| "imported".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let defaults = Defaults { requester: command.requester.clone(), prompt: command.prompt.clone(), id };
    let read: Result<Imported, Vec<ImportError>> = match command.from {
        TraceSource::Otel => import::otel::parse(&text, &defaults),
        TraceSource::Mcp => import::mcp::parse(&text, &defaults),
    };
    let read = read.map_err(|errors| {
        let found = errors.iter().map(|error| Problem::new(error.to_string())).collect();
        wrong_file(&command.file, "", found)
    })?;
    let mut lines = String::new();
    for trace in &read.traces {
        lines.push_str(&trace.line());
        lines.push('\n');
    }
    print_raw(&lines)?;
    let calls: usize = read.traces.iter().map(|trace| trace.steps.len()).sum();
    let told = json!({ "traces": read.traces.len(), "calls": calls, "beside": read.beside, "notes": read.notes });
    match context.output {
        Output::Json => anstream::eprintln!("{told}"),
        Output::Text => {
            let traces = count(read.traces.len() as u64, "trace", "traces");
            anstream::eprintln!("{traces} with {}", count(calls as u64, "call", "calls"));
            for (what, times) in &read.beside {
                anstream::eprintln!("{DIM}beside them, no tool calls: {times} × {}{DIM:#}", printable(what));
            }
            for note in &read.notes {
                anstream::eprintln!("{DIM}{}{DIM:#}", printable(note));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Data goes out as it is: no escape is taken out of it.
fn print_raw(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
