//! `prudence trace record`: what the gateway kept, put together with what requesters said, as the ledger has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::trace::format::{Step, Trace, Version};
use ::trace::import::mcp;
use judge::event::Event;
use judge::name::TaskId;
use judge::task::Task;
use ledger::Seq;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{print_raw, read, wrong_file};
use crate::assemble::{configuration, ledger_to_read};
use crate::cli::TraceRecord;
use crate::commands::{Context, history};
use crate::config::{Loaded, Problem};
use crate::failure::Failure;
use crate::gate;
use crate::render::{DIM, count};

/// A call as the gateway wrote it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    task: Option<TaskId>,
    #[serde(rename = "at")]
    _at: u64,
    tool: String,
    args: Option<Map<String, Value>>,
    result: Value,
}

/// Runs the command.
///
/// # Errors
/// When nothing was recorded, or the ledger cannot be read.
pub fn run(context: &Context, command: &TraceRecord) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let path = file(&loaded, command)?;
    let mut calls = calls(&path)?;
    if !command.tasks.is_empty() {
        let meant: BTreeSet<&TaskId> = command.tasks.iter().collect();
        calls.retain(|task, _| task.as_ref().is_some_and(|task| meant.contains(task)));
    }
    let tasks = tasks(&loaded)?;
    let mut lines = String::new();
    let (mut traces, mut orphans) = (0, 0);
    for (id, steps) in calls {
        match id.and_then(|id| tasks.get(&id)) {
            Some(task) => {
                traces += 1;
                lines.push_str(&trace(task, steps).line());
                lines.push('\n');
            }
            // A person's own call, or a task of another ledger: nobody's words say what it was for.
            None => orphans += steps.len(),
        }
    }
    print_raw(&lines)?;
    anstream::eprintln!("{}", count(traces, "trace", "traces"));
    if orphans > 0 {
        anstream::eprintln!("{DIM}left out: {} of no task of this ledger{DIM:#}", count(orphans as u64, "call", "calls"));
    }
    Ok(ExitCode::SUCCESS)
}

fn file(loaded: &Loaded, command: &TraceRecord) -> anyhow::Result<PathBuf> {
    command.file.clone().or_else(|| gate::recording(loaded)).ok_or_else(|| {
        Failure::Helpless {
            sentence: "nothing is recorded: the configuration names no file for it".to_owned(),
            help: "`recording = \"calls.jsonl\"` under `[server]`; see `prudence trace record --help` for what it holds"
                .to_owned(),
        }
        .into()
    })
}

/// The steps of each task, in the order in which their results came.
fn calls(path: &Path) -> anyhow::Result<BTreeMap<Option<TaskId>, Vec<Step>>> {
    let text = read(path, "file of recorded calls")?;
    let mut calls: BTreeMap<Option<TaskId>, Vec<Step>> = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let call: Call = serde_json::from_str(line).map_err(|error| {
            wrong_file(path, "", vec![Problem::new(format!("line {}: this is no recorded call: {error}", at + 1))])
        })?;
        calls.entry(call.task).or_default().push(mcp::step(call.tool, call.args.unwrap_or_default(), &call.result));
    }
    Ok(calls)
}

fn tasks(loaded: &Loaded) -> anyhow::Result<BTreeMap<TaskId, Task>> {
    let mut tasks = BTreeMap::new();
    history::each(&ledger_to_read(loaded)?, Seq::FIRST, |_, record| {
        if let Event::TaskStarted(task) = &record.event {
            tasks.insert(task.id.clone(), (**task).clone());
        }
        Ok(())
    })?;
    Ok(tasks)
}

fn trace(task: &Task, steps: Vec<Step>) -> Trace {
    Trace { version: Version::V1, id: task.id.to_string(), requester: task.requester.clone(), prompt: task.words.clone(), steps }
}
