//! `prudence norm`: policies of one's own, checked before they decide anything.

use std::path::Path;
use std::process::ExitCode;

use judge::facts::Facts;
use judge::policy::{Kind, Policies, PolicySources, schema_text};
use serde_json::json;

use super::{Context, print, print_json};
use crate::assemble::configuration;
use crate::cli::{NormCommand, Output};
use crate::config::{Problems, policy_problems, read_policies};
use crate::failure::Failure;
use crate::render::{BOLD, DIM, GOOD, Table, count, printable};

/// Runs the command.
///
/// # Errors
/// Everything that is wrong with the policies.
pub fn run(context: &Context, command: NormCommand) -> anyhow::Result<ExitCode> {
    match command {
        NormCommand::Check { folder, grants } => check(context, &folder, grants)?,
        NormCommand::List => list(context)?,
        NormCommand::Facts => facts(context)?,
        NormCommand::Schema { grants } => print(&schema_text(if grants { Kind::Grant } else { Kind::Norm }))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(context: &Context, folder: &Path, grants: bool) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let mut sources = PolicySources::default();
    match read_policies(folder) {
        Ok(read) if grants => sources.grants = read,
        Ok(read) => sources.norms = read,
        Err(problem) => {
            problems.add(&folder.display().to_string(), &"".into(), vec![problem]);
            return Err(Failure::from(problems).into());
        }
    }
    let files = (sources.grants.len() + sources.norms.len()) as u64;
    match Policies::compile(&sources) {
        Ok(policies) => {
            let ids: Vec<&str> = policies.norm_ids().into_iter().collect();
            match context.output {
                Output::Json => print_json(&json!({ "problems": [], "files": files, "norms": ids })),
                Output::Text if grants => {
                    print(&format!("{GOOD}{} is right{GOOD:#}: {}\n", folder.display(), count(files, "file", "files")))
                }
                Output::Text => print(&format!(
                    "{GOOD}{} is right{GOOD:#}: {}, norms {}\n",
                    folder.display(),
                    count(files, "file", "files"),
                    ids.join(", ")
                )),
            }
        }
        Err(errors) => {
            policy_problems(&errors, &sources, &mut problems);
            Err(Failure::from(problems).into())
        }
    }
}

/// The configured norms; where there is no configuration, the shipped ones.
fn list(context: &Context) -> anyhow::Result<()> {
    let sources =
        if context.config.exists() { configuration(&context.config)?.bundle.policies } else { PolicySources::shipped() };
    let norms: Vec<(&str, String)> =
        sources.norms.iter().map(|source| (source.name.as_str(), first_comment(&source.text))).collect();
    if context.output == Output::Json {
        let norms: Vec<_> = sources.norms.iter().map(|source| json!({ "file": source.name, "text": source.text })).collect();
        return print_json(&json!({ "norms": norms }));
    }
    let mut table = Table::new(&["file", "says"]);
    for (file, says) in norms {
        table.row(vec![(file.to_owned(), BOLD), (says, anstyle::Style::new())]);
    }
    print(&format!("{}\n{DIM}each file tells the incident behind it; `--output json` prints them whole{DIM:#}\n", table.render()))
}

/// The first sentence of a file's first comment.
fn first_comment(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("//")).unwrap_or("").trim();
    printable(line.split_once(": ").map_or(line, |(_, says)| says))
}

fn facts(context: &Context) -> anyhow::Result<()> {
    let types = Facts::cedar_context_type();
    let named = Facts::default().table();
    let type_of = |path: &str| fact_type(&types, path);
    if context.output == Output::Json {
        let facts: Vec<_> = named.iter().map(|(path, _)| json!({ "fact": path, "type": type_of(path) })).collect();
        return print_json(&json!({ "facts": facts }));
    }
    let mut table = Table::new(&["fact", "type"]);
    for (path, _) in &named {
        table.row(vec![((*path).to_owned(), BOLD), (type_of(path), anstyle::Style::new())]);
    }
    print(&format!(
        "{}\n{DIM}in a norm: context.{}; in a sentence: {{{}}}. `prudence norm schema` prints the Cedar schema{DIM:#}\n",
        table.render(),
        named[0].0,
        named[0].0
    ))
}

/// The type of a fact, out of the generated Cedar type: sections are indented by two, facts by four.
fn fact_type(types: &str, path: &str) -> String {
    let (section, fact) = path.split_once('.').unwrap_or((path, ""));
    let mut lines = types.lines().skip_while(|line| line.trim() != format!("{section}: {{"));
    let found =
        lines.find_map(|line| line.trim().strip_prefix(&format!("{fact}: ")).map(|rest| rest.trim_end_matches(',').to_owned()));
    found.unwrap_or_default()
}
