//! `prudence scenario run`: every step with what was expected and found.

use std::path::PathBuf;
use std::process::ExitCode;

use judge::policy::PolicySources;
use scenario::{Options, ParseError, Report, RunError};
use serde_json::json;

use super::{Context, print, print_json};
use crate::cli::{Output, ScenarioCommand};
use crate::config::{Problem, Problems, policy_problems, read_policies};
use crate::failure::{Failure, code};

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, or is no scenario.
pub fn run(context: &Context, command: ScenarioCommand) -> anyhow::Result<ExitCode> {
    let ScenarioCommand::Run { files, baseline, norms } = command;
    let mut options = Options { norms: PolicySources::shipped(), baseline };
    if let Some(folder) = norms {
        options.norms.norms = read_policies(&folder).map_err(|problem| one(&folder.display().to_string(), "", vec![problem]))?;
    }
    let mut same = true;
    let mut reports: Vec<Report> = Vec::new();
    let mut wrong = Problems::default();
    for file in &files {
        match play(file, &options) {
            Ok(report) => {
                same &= report.failed().next().is_none();
                if context.output == Output::Text {
                    print(&format!("{report}\n"))?;
                }
                reports.push(report);
            }
            // What is wrong in one file does not hide what is found in another.
            Err(error) => match error.downcast::<Failure>() {
                Ok(Failure::Wrong(problems)) => {
                    problems.0.into_iter().for_each(|file| wrong.add(&file.name, &file.text, file.problems))
                }
                Ok(error) => return Err(error.into()),
                Err(error) => return Err(error),
            },
        }
    }
    if wrong.count() > 0 {
        return Err(Failure::from(wrong).into());
    }
    if context.output == Output::Json {
        print_json(&json!({ "scenarios": reports }))?;
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(code::FOUND) })
}

fn play(file: &PathBuf, options: &Options) -> anyhow::Result<Report> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        let sentence = Problem::unreadable("scenario", file, &error).message;
        Failure::Helpless { sentence, help: "scenarios are YAML files; those of this repository are in `scenarios/`".to_owned() }
    })?;
    let scenario = scenario::parse(&name, &text)
        .map_err(|errors| one(&name, &text, errors.iter().map(|error| at_line(error, &text)).collect()))?;
    scenario::run(&scenario, options).map_err(|error| match error {
        RunError::Policies(errors) => {
            let mut problems = Problems::default();
            policy_problems(&errors, &options.norms, &mut problems);
            Failure::from(problems).into()
        }
        RunError::World { .. } => one(&name, &text, vec![Problem::new(error.to_string())]).into(),
        RunError::Ledger(_) | RunError::Replay => error.into(),
    })
}

fn at_line(error: &ParseError, text: &str) -> Problem {
    problem_at_line(usize::try_from(error.line).unwrap_or(usize::MAX), &error.message, text)
}

/// A problem with a line of a file, from 1; the first one where the whole file is meant.
pub fn problem_at_line(line: usize, message: &str, text: &str) -> Problem {
    let number = line.max(1);
    let mut start = 0;
    let span = text.split_inclusive('\n').enumerate().find_map(|(at, line)| {
        let from = start;
        start += line.len();
        (at + 1 == number).then(|| from + (line.len() - line.trim_start().len())..from + line.trim_end().len())
    });
    Problem::new(message).at(span.filter(|span| span.start <= span.end))
}

fn one(name: &str, text: &str, found: Vec<Problem>) -> Failure {
    let mut problems = Problems::default();
    problems.add(name, &text.into(), found);
    problems.into()
}
