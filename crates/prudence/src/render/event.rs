//! The ledger's events: one line each, and one decision in full for the auditor.

use std::fmt::Write as _;

use judge::decision::{Decision, Obligation, Outcome};
use judge::event::{Asked, Decided, Ended, Event, LabelRecord, Observed, Record};
use judge::facts::Facts;
use judge::label::{Integrity, Purposes};
use judge::reach::ReachRecord;
use ledger::Entry;

use super::{BAD, BOLD, DIM, GOOD, WARN, bytes, chain, count, head, moment, names, pairs, printable, style};
use crate::commands::history::History;

/// One event on one line: number, moment, what.
pub fn line(entry: &Entry, record: &Record) -> String {
    let (word, style, text) = match &record.event {
        Event::Configured(bundle) => {
            let directory = &bundle.directory;
            let text = format!(
                "{}, {}, {} in force (configuration {})",
                count(directory.people.len() as u64, "person", "people"),
                count(directory.agents.len() as u64, "agent", "agents"),
                count(directory.grants.len() as u64, "grant", "grants"),
                &bundle.digest().to_string()[..12]
            );
            ("configured", DIM, text)
        }
        Event::DirectoryChanged(changed) => {
            let by = changed.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let changes = count(changed.changes.len() as u64, "change", "changes");
            ("directory", DIM, format!("{changes} from {}{by}", printable(&changed.source)))
        }
        Event::TaskStarted(task) => (
            "task",
            BOLD,
            format!(
                "{} started: {} for {}, {}, until {}",
                task.id,
                task.agent,
                task.requester,
                printable(&task.purpose),
                moment(task.ends)
            ),
        ),
        Event::TaskEnded { task } => ("task", BOLD, format!("{task} ended")),
        Event::TaskRenewed { task, ends, by } => {
            let by = by.as_ref().map_or_else(|| "by rule".to_owned(), |by| format!("by {by}"));
            ("renewed", BOLD, format!("{task} until {} {by}", moment(*ends)))
        }
        Event::CredentialIssued(issued) => {
            ("issued", BOLD, format!("a credential for {} until {}", chain(&issued.caller), moment(issued.expires)))
        }
        Event::Killed { target, by, why } => {
            let why = if why.is_empty() { String::new() } else { format!(": {}", printable(why)) };
            ("killed", BAD, format!("{} by {by}{why}", printable(&target.to_string())))
        }
        Event::Reset { target, by } => ("reset", GOOD, format!("{} by {by}", printable(&target.to_string()))),
        Event::IncidentResolved { incident, by, verdict, why } => {
            let why = if why.is_empty() { String::new() } else { format!(": {}", printable(why)) };
            ("resolved", GOOD, format!("{incident} as {} by {by}{why}", verdict.word()))
        }
        Event::Decided(decided) => {
            let outcome = decided.decision.outcome;
            (outcome.word(), style(outcome), decided_text(decided))
        }
        Event::Observed(observed) => {
            let (style, word) = match observed.ended {
                Ended::Ok => (GOOD, "ok"),
                Ended::Failed => (WARN, "failed"),
                Ended::Ambiguous => (BAD, "ambiguous"),
            };
            (word, style, observed_text(observed))
        }
        Event::Answered { ask, by, yes } => {
            let (style, word) = if *yes { (GOOD, "approved") } else { (BAD, "denied") };
            (word, style, format!("{ask} by {by}"))
        }
        Event::Refused(refused) => {
            let by = refused.caller.as_ref().map_or_else(|| "nobody known".to_owned(), chain);
            let tool = refused.tool.as_ref().map_or_else(|| "a call".to_owned(), |tool| printable(tool.as_str()));
            ("refused", BAD, format!("{tool} by {by}: {} ({})", printable(&refused.sentence), refused.code.word()))
        }
    };
    format!("{DIM}{:>6}  {}{DIM:#}  {style}{word:<10}{style:#}  {text}", entry.seq.0, moment(record.at))
}

fn decided_text(decided: &Decided) -> String {
    let decision = &decided.decision;
    let mut text = format!(
        "{} {} on {} by {}",
        printable(decided.act.tool.as_str()),
        names(decided.act.effects.iter().map(|effect| effect.word())),
        names(decided.act.resources.iter().map(|resource| resource.as_str())),
        chain(&decided.caller)
    );
    if !decided.enforced && decision.outcome != Outcome::Permit {
        let _ = write!(text, " {WARN}(only observed: it went through){WARN:#}");
    }
    if !decision.reasons.is_empty() {
        let _ = write!(text, " [{}]", names(decision.grounds()));
    }
    if let Some(froze) = decided.froze() {
        let _ = write!(text, " {BAD}({froze}){BAD:#}");
    }
    if let Some(Asked { id, .. }) = &decided.ask {
        let _ = write!(text, " {WARN}{id}{WARN:#}");
    }
    if let Some(used) = &decided.approved_by {
        let _ = write!(text, " by the yes to {used}");
    }
    let _ = write!(text, " {DIM}{}{DIM:#}", decided.id);
    text
}

fn observed_text(observed: &Observed) -> String {
    let (read, withheld) = observed.read_and_withheld();
    let mut parts = Vec::new();
    if read > 0 {
        parts.push(format!("{} read", count(read, "item", "items")));
    }
    if withheld > 0 {
        parts.push(format!("{BAD}{} withheld{BAD:#}", count(withheld, "item", "items")));
    }
    if !observed.created.is_empty() {
        parts.push(format!("made {}", names(observed.created.iter().map(|id| id.as_str()))));
    }
    let what = if parts.is_empty() { "done".to_owned() } else { parts.join(", ") };
    format!("{what} {DIM}{}{DIM:#}", observed.decision)
}

/// Everything about one decision.
pub fn decision(entry: &Entry, at: judge::moment::Moment, decided: &Decided, history: &History) -> String {
    let Decision { outcome, reasons, obligations, limit, withheld, facts } = &decided.decision;
    let mut out = String::new();
    let style = style(*outcome);
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}  {style}{}{style:#}", decided.id, outcome.word());
    if !decided.enforced {
        let _ = writeln!(out, "{WARN}only observed: the call went through whatever the answer was{WARN:#}");
    }

    head(&mut out, "Record");
    pairs(
        &mut out,
        &[
            ("entry", entry.seq.0.to_string()),
            ("hash", entry.hash.to_string()),
            ("moment", moment(at)),
            ("configuration", history.bundle_at(entry.seq)),
        ],
    );

    head(&mut out, "Who");
    let task = decided.caller.task.as_ref().map_or_else(|| "none: a person acts directly".to_owned(), ToString::to_string);
    pairs(&mut out, &[("chain", chain(&decided.caller)), ("task", task)]);

    head(&mut out, "What");
    let act = &decided.act;
    let mut what = vec![
        ("tool", printable(act.tool.as_str())),
        ("effects", names(act.effects.iter().map(|effect| effect.word()))),
        ("resources", names(act.resources.iter().map(|resource| resource.as_str()))),
        ("recipients", names(&act.recipients)),
        ("content", bytes(act.content_bytes)),
        ("digest", format!("sha256:{}", act.digest)),
    ];
    if let Some(amount) = act.amount {
        what.push(("amount", amount.to_string()));
    }
    if let Some(audience) = &act.audience {
        what.push(("audience", reach(audience, history)));
    }
    pairs(&mut out, &what);

    head(&mut out, "Why");
    if reasons.is_empty() {
        let _ = writeln!(out, "  granted, and no norm objects");
    }
    for reason in reasons {
        let style = super::style(reason.outcome);
        let _ = writeln!(
            out,
            "  {style}{}{style:#} {}: {}",
            reason.outcome.word(),
            reason.ground.word(),
            printable(&reason.sentence)
        );
        if let Some(remedy) = &reason.remedy {
            let _ = writeln!(out, "    {DIM}remedy:{DIM:#} {}", printable(remedy));
        }
        if let Some(approver) = &reason.approver {
            let _ = writeln!(out, "    {DIM}answers:{DIM:#} {}", authority::view::who(approver));
        }
    }
    for obligation in obligations {
        let items = limit.filter(|_| matches!(obligation, Obligation::Limit(_)));
        let items = items.map(|items| format!(" to {}", count(items, "item", "items"))).unwrap_or_default();
        let _ = writeln!(out, "  {WARN}obligation{WARN:#} {}{items}", obligation.word());
    }
    if !withheld.is_empty() {
        let _ = writeln!(out, "  {WARN}known to be withheld{WARN:#} {}", names(withheld.iter().map(|id| id.as_str())));
    }
    if let Some(Asked { id, expires }) = &decided.ask {
        let _ = writeln!(out, "  asked as {id}, until {}", moment(*expires));
    }
    if let Some(used) = &decided.approved_by {
        let _ = writeln!(out, "  let through by the yes to {used}");
    }

    head(&mut out, "Facts");
    let defaults = Facts::default().table();
    let said: Vec<(&str, String)> = facts
        .table()
        .into_iter()
        .zip(defaults)
        .filter(|(fact, default)| fact.1 != default.1)
        .map(|((name, text), _)| (name, printable(&text)))
        .collect();
    pairs(&mut out, &said);
    let _ = writeln!(out, "  {DIM}every other fact is no, none or 0 (`prudence norm facts`){DIM:#}");

    if let Some(made) = &decided.made {
        head(&mut out, "Label of what it makes");
        pairs(&mut out, &label(made, history));
    }
    out
}

/// How a decision's effect ended, in full.
pub fn observed(entry: &Entry, at: judge::moment::Moment, observed: &Observed, history: &History) -> String {
    let mut out = String::new();
    head(&mut out, "What came of it");
    let ended = match observed.ended {
        Ended::Ok => "ok",
        Ended::Failed => "failed: it did not happen, or the tool said so",
        Ended::Ambiguous => "ambiguous: nobody knows, and it was not tried again",
    };
    pairs(
        &mut out,
        &[
            ("entry", entry.seq.0.to_string()),
            ("moment", moment(at)),
            ("ended", ended.to_owned()),
            ("made", names(observed.created.iter().map(|id| id.as_str()))),
        ],
    );
    for item in &observed.items {
        let note = if item.withheld { format!("  {BAD}withheld{BAD:#}") } else { String::new() };
        let _ = writeln!(out, "\n  {BOLD}{}{BOLD:#}{note}", printable(item.id.as_str()));
        pairs(&mut out, &label(&item.label, history));
    }
    out
}

fn label(label: &LabelRecord, history: &History) -> Vec<(&'static str, String)> {
    let readers = if label.unknown { "unknown".to_owned() } else { reach(&label.readers, history) };
    let purposes = match &label.purposes {
        Purposes::Any => "any".to_owned(),
        Purposes::Only(words) => names(words),
    };
    let trusted = match label.integrity {
        Integrity::Trusted => "trusted",
        Integrity::Untrusted => "untrusted",
    };
    let mut said = vec![("readers", readers), ("classification", label.classification.word().to_owned())];
    if !label.categories.is_empty() {
        said.push(("categories", names(&label.categories)));
    }
    said.push(("purposes", purposes));
    said.push(("integrity", trusted.to_owned()));
    said
}

/// Who could see it then, by name: the record keeps the set, not the group.
fn reach(reach: &ReachRecord, history: &History) -> String {
    let mut parts = Vec::new();
    if reach.public {
        parts.push("the public".to_owned());
    }
    match history.people(&reach.people) {
        Some(people) if people.is_empty() => {}
        Some(people) => parts.push(format!("{} ({})", count(people.len() as u64, "person", "people"), names(people))),
        None => parts.push(format!("people of the set {}", reach.people)),
    }
    if !reach.external.is_empty() {
        parts.push(format!("outside: {}", names(&reach.external)));
    }
    if parts.is_empty() { "nobody".to_owned() } else { parts.join("; ") }
}
