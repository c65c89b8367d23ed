//! One incident for people: the answer first, then what it rests on. Programs get the same from `--output json`.

use std::fmt::Write as _;

use anstyle::Style;
use judge::event::Ended;
use judge::incident::Incident;
use judge::name::{PrincipalId, ResourceId};

use super::story::{Audience, Line, Seen, Sent, Story};
use crate::render::{BAD, BOLD, DIM, GOOD, Table, WARN, count, head, moment, names, pairs, printable};

/// Lines of the timeline that are shown from its beginning and from its end.
const LINES_SHOWN: usize = 15;
/// Rows of what was seen and sent.
const ROWS_SHOWN: usize = 30;
/// Names of one audience.
const NAMES_SHOWN: usize = 8;

/// Everything about it.
pub fn everything(incident: &Incident, story: &Story, (word, style): (&str, Style)) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{BOLD}{}{BOLD:#}  {style}{word}{style:#}  {} {}\n{}",
        incident.id,
        incident.severity.word(),
        incident.kind.word(),
        printable(&incident.sentence)
    );
    began(&mut out, incident);
    head(&mut out, "What was usual");
    let _ = writeln!(out, "  {}", printable(&story.usual));
    happened(&mut out, incident, story);
    frozen(&mut out, incident, story);
    timeline(&mut out, story);
    seen(&mut out, &story.seen);
    sent(&mut out, story);
    head(&mut out, "What to do next");
    for step in &story.next {
        let _ = writeln!(out, "  {}", printable(step));
    }
    let _ = writeln!(
        out,
        "\n{DIM}it rests on {} of the ledger; `prudence incidents export {}` hands all of it on{DIM:#}",
        count(story.receipts.len() as u64, "entry", "entries"),
        incident.id
    );
    out
}

fn began(out: &mut String, incident: &Incident) {
    head(out, "Record");
    let mut said = vec![
        ("began", moment(incident.opened)),
        ("last", moment(incident.last)),
        ("about", printable(&incident.subject.to_string())),
    ];
    if !incident.chain.is_empty() {
        said.push(("who", names(incident.chain.iter().map(PrincipalId::as_str)).replace(", ", " → ")));
    }
    if let Some(norm) = &incident.norm {
        said.push(("breaker", norm.to_string()));
    }
    if let Some(decision) = &incident.decision {
        said.push(("decision", decision.to_string()));
    }
    if let Some(go) = &incident.let_go {
        said.push(("let go on", format!("by {} at {}", go.by, moment(go.at))));
    }
    if let Some(resolution) = &incident.resolved {
        let why = if resolution.why.is_empty() { String::new() } else { format!(": {}", printable(&resolution.why)) };
        said.push(("resolved", format!("{} by {} at {}{why}", resolution.verdict.word(), resolution.by, moment(resolution.at))));
    }
    pairs(out, &said);
}

fn happened(out: &mut String, incident: &Incident, story: &Story) {
    head(out, "What happened");
    let _ = writeln!(
        out,
        "  {}; {} refused because of it since",
        count(incident.times, "time", "times"),
        count(incident.refused_since, "call was", "calls were")
    );
    if story.did.is_empty() {
        return;
    }
    let mut table = Table::new(&["who", "tool", "effects", "let through", "asked", "denied", "only observed"]);
    for did in story.did.iter().take(ROWS_SHOWN) {
        let plain = Style::new();
        table.row(vec![
            (printable(&did.who), BOLD),
            (printable(&did.tool), plain),
            (names(&did.effects), plain),
            (did.let_through.to_string(), GOOD),
            (did.asked.to_string(), WARN),
            (did.denied.to_string(), BAD),
            (did.only_observed.to_string(), WARN),
        ]);
    }
    indented(out, &table.render());
}

fn frozen(out: &mut String, incident: &Incident, story: &Story) {
    head(out, "What is stopped now");
    if story.frozen.is_empty() && story.tasks.iter().all(|task| task.stands != "ended" && task.stands != "frozen") {
        let why = if incident.let_go.is_some() { ": a person let it go on" } else { "" };
        let _ = writeln!(out, "  {WARN}nothing{WARN:#}{why}");
    }
    for target in &story.frozen {
        let _ = writeln!(out, "  {BAD}{}{BAD:#}", printable(&target.to_string()));
    }
    for task in story.tasks.iter().take(ROWS_SHOWN) {
        let of = task.parent.as_ref().map(|parent| format!(", from {parent}")).unwrap_or_default();
        let _ = writeln!(out, "  task {} {} ({} for {}{of})", task.task, task.stands, task.agent, task.requester);
    }
    more(out, story.tasks.len(), "tasks");
    for key in story.keys.iter().take(ROWS_SHOWN) {
        let bound = key.key.as_ref().map_or_else(|| "no key: whoever has it can use it".to_owned(), |key| format!("key {key}"));
        let _ = writeln!(out, "  credential of {} for {}, {bound}, until {}", key.agent, key.task, key.expires);
    }
    more(out, story.keys.len(), "credentials");
    if story.in_flight > 0 {
        let _ = writeln!(
            out,
            "  {WARN}{} under way, and nobody has said how it ended{WARN:#}",
            count(story.in_flight, "call", "calls")
        );
    }
}

fn timeline(out: &mut String, story: &Story) {
    head(out, "Timeline");
    let lines = &story.timeline;
    let line = |out: &mut String, line: &Line| {
        let times = if line.times > 1 { format!("{} × ", line.times) } else { String::new() };
        let until = if line.from == line.to { String::new() } else { format!(" – {}", line.to) };
        let entries = if line.first_entry == line.last_entry {
            format!("entry {}", line.first_entry)
        } else {
            format!("entries {} to {}", line.first_entry, line.last_entry)
        };
        let _ = writeln!(out, "  {DIM}{}{until}{DIM:#}  {times}{} {DIM}({entries}){DIM:#}", line.from, printable(&line.what));
    };
    if lines.len() <= 2 * LINES_SHOWN {
        lines.iter().for_each(|one| line(out, one));
        return;
    }
    lines[..LINES_SHOWN].iter().for_each(|one| line(out, one));
    let left_out = lines.len() as u64 - 2 * LINES_SHOWN as u64 + story.lines_left_out;
    let _ = writeln!(out, "  {DIM}… {left_out} more; `--output json` has them …{DIM:#}");
    lines[lines.len() - LINES_SHOWN..].iter().for_each(|one| line(out, one));
}

fn seen(out: &mut String, seen: &[Seen]) {
    head(out, "What was read");
    if seen.is_empty() {
        let _ = writeln!(out, "  nothing");
        return;
    }
    let mut table =
        Table::new(&["who", "items", "withheld", "classification", "categories", "who may have them", "for instance"]);
    for one in seen.iter().take(ROWS_SHOWN) {
        let plain = Style::new();
        let readers = if one.readers_known { audience(&one.readers) } else { "nobody knows".to_owned() };
        table.row(vec![
            (printable(&one.who), BOLD),
            (one.items.to_string(), plain),
            (one.withheld.to_string(), if one.withheld > 0 { BAD } else { DIM }),
            (one.classification.word().to_owned(), plain),
            (names(&one.categories), plain),
            (readers, plain),
            (names(one.names.iter().take(3).map(ResourceId::as_str)), DIM),
        ]);
    }
    indented(out, &table.render());
    more(out, seen.len(), "labels");
}

fn sent(out: &mut String, story: &Story) {
    head(out, "What was sent, and who could see it");
    if story.sent.is_empty() {
        let _ = writeln!(out, "  nothing left the task");
        return;
    }
    for sent in story.sent.iter().take(ROWS_SHOWN) {
        one_sent(out, sent);
    }
    more(out, story.sent.len() + story.sent_beyond as usize, "sendings");
}

fn one_sent(out: &mut String, sent: &Sent) {
    let to = sent.recipients.iter().map(String::as_str).chain(sent.resources.iter().map(ResourceId::as_str));
    let ended = match sent.ended {
        Some(Ended::Ok) => "",
        Some(Ended::Failed) => ", and it failed",
        Some(Ended::Ambiguous) | None => ", and nobody knows how it ended",
    };
    let _ = writeln!(
        out,
        "  {DIM}{}{DIM:#}  {BOLD}{}{BOLD:#} {} with {} to {}{ended} {DIM}(entry {}){DIM:#}",
        sent.at,
        printable(&sent.who),
        names(&sent.effects),
        printable(&sent.tool),
        names(to),
        sent.entry
    );
    let _ = writeln!(out, "    could see it then: {}", audience(&sent.audience));
    if !sent.joined_since.is_empty() {
        let _ = writeln!(out, "    {WARN}can see it now as well{WARN:#}: {}", some(&sent.joined_since));
    }
    if sent.not_cleared_for_shown > 0 {
        let _ = writeln!(
            out,
            "    {BAD}{} not cleared for what stands in it{BAD:#}",
            count(sent.not_cleared_for_shown, "of them is", "of them are")
        );
    }
    if sent.not_cleared_for_possible > 0 {
        let _ = writeln!(
            out,
            "    {BAD}{} not cleared for something that the task had read by then{BAD:#}",
            count(sent.not_cleared_for_possible, "of them is", "of them are")
        );
    }
    if sent.newly_visible_pairs > 0 {
        let _ = writeln!(
            out,
            "    {} of a person and an item became visible, {BAD}{} not cleared{BAD:#}",
            count(sent.newly_visible_pairs, "pair", "pairs"),
            sent.newly_visible_uncleared
        );
    }
}

fn audience(audience: &Audience) -> String {
    let mut parts = Vec::new();
    if audience.public {
        parts.push("everyone".to_owned());
    }
    match &audience.people {
        Some(people) if people.is_empty() => {}
        Some(people) => parts.push(format!("{} ({})", count(people.len() as u64, "person", "people"), some(people))),
        None => parts.push("people who were never spelt out".to_owned()),
    }
    if !audience.external.is_empty() {
        parts.push(format!("outside: {}", some(&audience.external)));
    }
    if parts.is_empty() { "nobody new".to_owned() } else { parts.join("; ") }
}

fn some(all: &[String]) -> String {
    let shown = names(all.iter().take(NAMES_SHOWN));
    if all.len() > NAMES_SHOWN { format!("{shown}, and {} more", all.len() - NAMES_SHOWN) } else { shown }
}

fn more(out: &mut String, all: usize, what: &str) {
    if all > ROWS_SHOWN {
        let _ = writeln!(out, "  {DIM}and {} more {what}; `--output json` has them{DIM:#}", all - ROWS_SHOWN);
    }
}

fn indented(out: &mut String, table: &str) {
    for line in table.lines() {
        let _ = writeln!(out, "  {line}");
    }
}
