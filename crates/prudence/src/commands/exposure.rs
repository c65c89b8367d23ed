//! `prudence preview`, `who-can-see` and `can-see`: who sees what, and who would, before anything happens. Only looks; nothing is recorded.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use authority::preview::{Preview as Looked, Proposal, pipeline};
use judge::content::ContentKey;
use judge::decision::{Outcome, Reason};
use judge::directory::{Directory, DirectoryError};
use judge::event::{Event, Record};
use judge::name::{PrincipalId, ResourceId};
use judge::preview::Exposure;
use judge::reach::Reach;
use judge::state::State;
use ledger::Seq;
use serde_json::json;

use super::{Context, history, now, print, print_json};
use crate::assemble::{configuration, ledger_to_read};
use crate::cli::{CanSee, Output, Preview, WhoCanSee};
use crate::failure::{Failure, code};
use crate::render::{BAD, BOLD, DIM, GOOD, Table, WARN, count, head, names, style};

/// The largest file of changes.
const CHANGES_BYTES_MAX: u64 = 64 << 20;
/// How many names a list shows to people; programs get all.
const NAMES_MAX: usize = 50;

/// Shows what changes would newly show to whom. The exit code says whether a norm holds against them.
///
/// # Errors
/// When the changes cannot be read, or are wrong.
pub fn preview(context: &Context, command: &Preview) -> anyhow::Result<ExitCode> {
    let text = read(&command.changes)?;
    let mut proposal = Proposal::parse(text.as_bytes()).map_err(|error| Failure::Helpless {
        sentence: format!("`{}` is no list of changes: {error}", command.changes.display()),
        help: CHANGES_HELP.to_owned(),
    })?;
    proposal.because = command.because.clone().or(proposal.because);
    let state = state(context, None)?;
    let who = command.person.clone().unwrap_or_else(pipeline);
    let preview = Looked::of(&state, &who, &proposal).map_err(|errors| wrong(&errors))?;
    if let Some(path) = &command.html {
        std::fs::write(path, preview.html(&who, &proposal, now()))
            .with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    match context.output {
        Output::Json => print_json(&json!(preview))?,
        Output::Text => print(&shown(&preview.exposure, &preview.reasons, preview.decision))?,
    }
    Ok(if preview.decision == Outcome::Permit { ExitCode::SUCCESS } else { ExitCode::from(code::FOUND) })
}

const CHANGES_HELP: &str = r#"a list like [{"add_readers": {"item": "dataset:users", "readers": ["@eng-all"]}}]; `prudence preview --help` shows all changes"#;

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(CHANGES_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("`{}` cannot be opened", path.display()))?;
        file.take(CHANGES_BYTES_MAX + 1).read_to_string(&mut text)
    };
    read.with_context(|| format!("`{}` cannot be read as text", path.display()))?;
    anyhow::ensure!(text.len() as u64 <= CHANGES_BYTES_MAX, "`{}` has more than {CHANGES_BYTES_MAX} bytes", path.display());
    Ok(text)
}

/// What is wrong with changes, all of it.
pub fn wrong(errors: &[DirectoryError]) -> anyhow::Error {
    let mut sentence = count(errors.len() as u64, "change cannot be made", "changes cannot be made");
    for error in errors.iter().take(NAMES_MAX) {
        let _ = write!(sentence, "\n  {error}");
    }
    if errors.len() > NAMES_MAX {
        let _ = write!(sentence, "\n  and {} more", errors.len() - NAMES_MAX);
    }
    Failure::Helpless {
        sentence,
        help: "nothing was changed; every name has to exist, and no group may contain itself".to_owned(),
    }
    .into()
}

fn shown(exposure: &Exposure, reasons: &[Reason], outcome: Outcome) -> String {
    let mut out = String::new();
    let styled = style(outcome);
    let (people, items) = (count(exposure.newcomers, "person", "people"), count(exposure.items, "item", "items"));
    if exposure.items == 0 && exposure.newly_cleared == 0 {
        let _ = writeln!(out, "{GOOD}nobody{GOOD:#} would see anything that they cannot see now");
    } else {
        let _ = writeln!(out, "{BOLD}{people}{BOLD:#} would newly see {BOLD}{items}{BOLD:#} ({} pairs)", exposure.pairs);
    }
    if exposure.uncleared_pairs > 0 {
        let _ = writeln!(
            out,
            "{BAD}{} of these pairs are not cleared{BAD:#}: {} for {}, up to {}{}",
            exposure.uncleared_pairs,
            count(exposure.uncleared_people, "person", "people"),
            count(exposure.uncleared_items, "item", "items"),
            exposure.classification.word(),
            if exposure.categories.is_empty() { String::new() } else { format!(" ({})", names(&exposure.categories)) },
        );
    }
    if exposure.public {
        let _ = writeln!(out, "{BAD}everyone{BAD:#}, known or not, would see something that is not for everyone");
    }
    if !exposure.external.is_empty() {
        let _ = writeln!(out, "{BAD}outside{BAD:#}: {}", names(&exposure.external));
    }
    if exposure.unknown > 0 {
        let _ =
            writeln!(out, "{WARN}{} of which nobody knows who may see them{WARN:#}", count(exposure.unknown, "item", "items"));
    }
    if exposure.newly_cleared > 0 {
        let _ = writeln!(
            out,
            "{WARN}{} would be cleared by a raised clearance{WARN:#}",
            count(exposure.newly_cleared, "pair", "pairs")
        );
    }
    if !exposure.worst.is_empty() {
        head(&mut out, "the worst of it");
        let mut table = Table::new(&["item", "classification", "owner", "newly see it", "not cleared", "among them"]);
        for worst in &exposure.worst {
            let plain = |text: String| (text, DIM);
            table.row(vec![
                (worst.item.to_string(), BOLD),
                plain(worst.classification.word().to_owned()),
                plain(worst.owner.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string)),
                plain(worst.newcomers.to_string()),
                (worst.uncleared.to_string(), if worst.uncleared > 0 { BAD } else { DIM }),
                plain(names(worst.sample.iter().map(PrincipalId::as_str))),
            ]);
        }
        out.push_str(&table.render());
    }
    head(&mut out, "decision");
    let _ = writeln!(out, "{styled}{}{styled:#}", outcome.word());
    for reason in reasons {
        let _ = writeln!(out, "  {}: {}", reason.ground.word(), reason.sentence);
        if let Some(remedy) = &reason.remedy {
            let _ = writeln!(out, "  {DIM}what would make it allowed: {remedy}{DIM:#}");
        }
    }
    if !exposure.owners.is_empty() {
        let _ = writeln!(out, "  {DIM}who decides:{DIM:#} {}", names(exposure.owners.iter().map(PrincipalId::as_str)));
    }
    out
}

/// Shows who can see an item, now or then.
///
/// # Errors
/// When nobody knows the item, or the ledger cannot be read.
pub fn who_can_see(context: &Context, command: &WhoCanSee) -> anyhow::Result<ExitCode> {
    let state = state(context, command.at)?;
    let directory = state.directory();
    let item = command.item.as_str();
    let Some(reach) = directory.who_can_see(item).or_else(|| directory.audience_of(item).cloned()) else {
        let sentence = format!("the directory knows no item and no destination `{item}`{}", then(command.at));
        return Err(Failure::Helpless {
            sentence,
            help: "`prudence config check` shows what the configuration states".to_owned(),
        }
        .into());
    };
    let stated = ResourceId::parse(item).ok().and_then(|id| directory.label_of(&id).cloned());
    let people = people_of(directory, &reach);
    match context.output {
        Output::Json => print_json(&json!({
            "item": item, "public": reach.public, "external": reach.external, "people": people,
            "readers_known": !stated.as_ref().is_some_and(|label| label.unknown),
            "classification": stated.as_ref().map(|label| label.classification)
        }))?,
        Output::Text => {
            let mut out = String::new();
            if stated.as_ref().is_some_and(|label| label.unknown) {
                let _ = writeln!(out, "{WARN}its readers are unknown{WARN:#}: nobody said who may see it");
            }
            if reach.public {
                let _ = writeln!(out, "{BAD}everyone{BAD:#}, known or not");
            }
            let _ = writeln!(out, "{BOLD}{}{BOLD:#}{}", count(people.len() as u64, "person", "people"), then(command.at));
            listed(&mut out, &people);
            if !reach.external.is_empty() {
                let _ = writeln!(out, "{BAD}outside{BAD:#}: {}", names(&reach.external));
            }
            print(&out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what a person can see, now or then.
///
/// # Errors
/// When there is no such person, or the ledger cannot be read.
pub fn can_see(context: &Context, command: &CanSee) -> anyhow::Result<ExitCode> {
    let state = state(context, command.at)?;
    let Some(number) = state.directory().person(command.person.as_str()) else {
        let sentence = format!("`{}` is no active person of the directory{}", command.person, then(command.at));
        return Err(
            Failure::Helpless { sentence, help: "people are `[[people]]` of the configuration, or imported".to_owned() }.into()
        );
    };
    let items: Vec<String> = state.directory().can_see(number).into_iter().map(ToString::to_string).collect();
    match context.output {
        Output::Json => print_json(&json!({ "person": command.person, "items": items }))?,
        Output::Text => {
            let mut out = format!("{BOLD}{}{BOLD:#}{}\n", count(items.len() as u64, "item", "items"), then(command.at));
            listed(&mut out, &items);
            print(&out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn then(at: Option<jiff::Timestamp>) -> String {
    at.map(|at| format!(" at {at}")).unwrap_or_default()
}

fn people_of(directory: &Directory, reach: &Reach) -> Vec<String> {
    let mut people: Vec<_> =
        reach.people.bits().iter().filter_map(|number| directory.principals().name(number)).map(ToString::to_string).collect();
    people.sort_unstable();
    people
}

fn listed(out: &mut String, names: &[String]) {
    for name in names.iter().take(NAMES_MAX) {
        let _ = writeln!(out, "  {name}");
    }
    if names.len() > NAMES_MAX {
        let _ = writeln!(out, "  {DIM}and {} more; `--output json` has all{DIM:#}", names.len() - NAMES_MAX);
    }
}

/// The state as the ledger tells it, now under the configuration as it is written, or as it was at a moment.
fn state(context: &Context, at: Option<jiff::Timestamp>) -> anyhow::Result<State> {
    let loaded = configuration(&context.config)?;
    let mut state = State::new(ContentKey::new([0; 16]));
    let until = at.map(|at| u64::try_from(at.as_millisecond()).unwrap_or(0));
    if at.is_some() || loaded.beside(&loaded.settings.server.store).exists() {
        history::each(&ledger_to_read(&loaded)?, Seq::FIRST, |_, record| {
            if until.is_none_or(|until| record.at.0 <= until) {
                state.apply(record);
            }
            Ok(())
        })?;
    }
    if at.is_none() {
        state.directory().configured(&loaded.bundle.directory).map_err(|errors| wrong(&errors))?;
        state.apply(&Record::new(now(), Event::Configured(Box::new(loaded.bundle))));
    }
    Ok(state)
}
