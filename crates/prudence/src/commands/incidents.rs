//! `prudence incidents`: what has to be looked into, what came of it, and who has said what it was. All of it is told from the ledger alone; only
//! `resolve` writes, and it lets nothing go on.

mod story;
mod tell;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use judge::incident::{Incident, IncidentId, Incidents, Kind, Verdict};
use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::standing::Target;
use ledger::{Seq, Source};
use serde_json::{Value, json};

use super::{Context, history, now, print, print_json};
use crate::assemble::{self, configuration, ledger_to_read};
use crate::cli::{IncidentKind, IncidentsCommand, IncidentsList, Output, VerdictWord};
use crate::failure::Failure;
use crate::render::{self, BAD, BOLD, DIM, GOOD, Table, WARN, names, printable};

/// The version of the exported file.
const EXPORT_VERSION: &str = "incident/v1";

/// Runs the command.
///
/// # Errors
/// When there is no such incident, or the ledger cannot be read or written.
pub async fn run(context: &Context, command: IncidentsCommand) -> anyhow::Result<ExitCode> {
    match command {
        IncidentsCommand::List(list) => list_all(context, &list)?,
        IncidentsCommand::Show { incident } => show(context, incident)?,
        IncidentsCommand::Export { incident, out } => export(context, incident, out.as_deref())?,
        IncidentsCommand::Resolve { incident, by, verdict, why } => {
            resolve(context, incident, &by, verdict_of(verdict), &why).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All incidents of a ledger.
fn fold(source: &dyn Source) -> anyhow::Result<Incidents> {
    let mut incidents = Incidents::default();
    history::each(source, Seq::FIRST, |entry, record| {
        incidents.apply(entry.seq.0, record);
        Ok(())
    })?;
    Ok(incidents)
}

fn list_all(context: &Context, list: &IncidentsList) -> anyhow::Result<()> {
    let incidents = fold(&ledger_to_read(&configuration(&context.config)?)?)?;
    let from = list.since.map(|since| Moment(now().0.saturating_sub(since.ms())));
    let mut found: Vec<&Incident> = incidents.all().rev().filter(|incident| is_wanted(incident, list, from)).collect();
    found.sort_by_key(|incident| !incident.is_open());
    if context.output == Output::Json {
        return print_json(&json!({ "incidents": found.iter().map(|incident| as_json(incident)).collect::<Vec<_>>() }));
    }
    if found.is_empty() {
        return print(if list.open { "no incident waits for anybody\n" } else { "there was no incident\n" });
    }
    let mut table = Table::new(&["incident", "stands", "", "kind", "began", "about", "who", "what happened"]);
    let plain = anstyle::Style::new();
    for incident in found {
        let (word, style) = standing(incident);
        table.row(vec![
            (incident.id.to_string(), BOLD),
            (word.to_owned(), style),
            (incident.severity.word().to_owned(), plain),
            (incident.kind.word().to_owned(), plain),
            (render::moment(incident.opened), plain),
            (printable(&incident.subject.to_string()), plain),
            (names(incident.chain.iter().map(PrincipalId::as_str)).replace(", ", " → "), plain),
            (printable(&incident.sentence), DIM),
        ]);
    }
    print(&format!("{}\n{DIM}prudence incidents show INCIDENT tells everything about one{DIM:#}\n", table.render()))
}

fn is_wanted(incident: &Incident, list: &IncidentsList, from: Option<Moment>) -> bool {
    (!list.open || incident.is_open())
        && list.kind.is_none_or(|kind| incident.kind == kind_of(kind))
        && list.agent.as_ref().is_none_or(|who| incident.chain.contains(who))
        && list.task.as_ref().is_none_or(|task| incident.task.as_ref() == Some(task))
        && from.is_none_or(|from| incident.last >= from)
}

/// How it stands, in a word.
fn standing(incident: &Incident) -> (&'static str, anstyle::Style) {
    match (&incident.resolved, &incident.let_go) {
        (Some(resolution), _) => (resolution.verdict.word(), GOOD),
        (None, Some(_)) => ("let go on", WARN),
        (None, None) => ("open", BAD),
    }
}

fn as_json(incident: &Incident) -> Value {
    let mut value = json!(incident);
    value["status"] = if incident.is_open() { "open" } else { "resolved" }.into();
    value["opened"] = render::rfc3339(incident.opened).into();
    value["last"] = render::rfc3339(incident.last).into();
    for handled in ["let_go", "resolved"] {
        if let Some(at) = value[handled]["at"].as_u64() {
            value[handled]["at"] = render::rfc3339(Moment(at)).into();
        }
    }
    for stopped in value["stopped"].as_array_mut().into_iter().flatten() {
        if let Some(at) = stopped["at"].as_u64() {
            stopped["at"] = render::rfc3339(Moment(at)).into();
        }
    }
    value
}

/// The incident and its story, with what of the ledger it rests on.
fn told(context: &Context, id: IncidentId) -> anyhow::Result<(Incident, story::Story, ledger::Head)> {
    let source = ledger_to_read(&configuration(&context.config)?)?;
    let head = source.head()?;
    let incidents = fold(&source)?;
    let Some(incident) = incidents.get(id) else { return Err(no_such(id)) };
    let story = story::gather(&source, incident, now())?;
    Ok((incident.clone(), story, head))
}

fn show(context: &Context, id: IncidentId) -> anyhow::Result<()> {
    let (incident, story, _) = told(context, id)?;
    match context.output {
        Output::Json => print_json(&json!({ "incident": as_json(&incident), "story": story })),
        Output::Text => print(&tell::everything(&incident, &story, standing(&incident))),
    }
}

fn export(context: &Context, id: IncidentId, out: Option<&Path>) -> anyhow::Result<()> {
    let (incident, story, head) = told(context, id)?;
    let file = json!({
        "format": EXPORT_VERSION,
        "written": render::rfc3339(now()),
        "by": concat!("prudence ", env!("CARGO_PKG_VERSION")),
        "incident": as_json(&incident),
        "story": story,
        "ledger": {
            "head": head,
            "entries": story.receipts,
            "how_to_check": "`prudence ledger verify --head NUMBER:HASH` vouches for every entry up to the head; each hash here is that of the whole entry with this number"
        },
    });
    let text = serde_json::to_string_pretty(&file)? + "\n";
    let Some(path) = out else { return print(&text) };
    let mut to = std::fs::File::create_new(path).with_context(|| format!("`{}` cannot be written", path.display()))?;
    to.write_all(text.as_bytes()).with_context(|| format!("`{}` cannot be written", path.display()))?;
    match context.output {
        Output::Json => print_json(&json!({ "exported": id, "entries": story.receipts.len() })),
        Output::Text => print(&format!(
            "{GOOD}written{GOOD:#} {} with {}\n",
            printable(&path.display().to_string()),
            render::count(story.receipts.len() as u64, "entry of the ledger", "entries of the ledger")
        )),
    }
}

async fn resolve(context: &Context, id: IncidentId, by: &PrincipalId, verdict: Verdict, why: &str) -> anyhow::Result<()> {
    let loaded = configuration(&context.config)?;
    let incidents = fold(&ledger_to_read(&loaded)?)?;
    let Some(incident) = incidents.get(id) else { return Err(no_such(id)) };
    if let Some(resolution) = &incident.resolved {
        let help = format!("`prudence incidents show {id}` tells why");
        let sentence = format!("{id} was resolved as {} by {}", resolution.verdict.word(), resolution.by);
        return Err(Failure::Helpless { sentence, help }.into());
    }
    let house = assemble::open(loaded)?;
    house.engine.view(|state, _| {
        if state.directory().person(by.as_str()).is_some() {
            return Ok(());
        }
        let sentence = format!("`{by}` is no active person of the directory");
        Err(Failure::Refused { sentence, help: Some("`--by` names the person who has looked into it".to_owned()) })
    })?;
    house.engine.resolve_incident(id, by, verdict, why).await?;
    let frozen = house.engine.view(|state, _| story::frozen_by(state, incident));
    match context.output {
        Output::Json => print_json(&json!({ "resolved": id, "as": verdict, "by": by, "still_frozen": frozen })),
        Output::Text => {
            let mut text = format!("{GOOD}resolved{GOOD:#} {BOLD}{id}{BOLD:#} as {} by {by}\n", verdict.word());
            for target in &frozen {
                text.push_str(&format!(
                    "{WARN}{} stays stopped{WARN:#}; `prudence reset {} --by {by}` lets it go on\n",
                    printable(&target.to_string()),
                    typed(target)
                ));
            }
            print(&text)
        }
    }
}

/// A target as it is typed.
fn typed(target: &Target) -> String {
    match target {
        Target::Task(task) => format!("task:{task}"),
        Target::Agent(agent) => format!("agent:{agent}"),
        Target::Owner(person) => format!("owner:{person}"),
        Target::Key(key) => format!("key:{key}"),
        Target::Client(client) => format!("client:{client}"),
    }
}

fn kind_of(kind: IncidentKind) -> Kind {
    match kind {
        IncidentKind::Tempo => Kind::Tempo,
        IncidentKind::Key => Kind::Key,
        IncidentKind::Boundary => Kind::Boundary,
        IncidentKind::Kill => Kind::Kill,
        IncidentKind::Notice => Kind::Notice,
    }
}

fn verdict_of(word: VerdictWord) -> Verdict {
    match word {
        VerdictWord::FalseAlarm => Verdict::FalseAlarm,
        VerdictWord::Contained => Verdict::Contained,
        VerdictWord::Harm => Verdict::Harm,
        VerdictWord::Exercise => Verdict::Exercise,
    }
}

fn no_such(id: IncidentId) -> anyhow::Error {
    Failure::Helpless { sentence: format!("there is no incident `{id}`"), help: "`prudence incidents list` shows all".to_owned() }
        .into()
}
