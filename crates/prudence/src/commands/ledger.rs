//! `prudence ledger`: what happened, whether the chain holds, and what it adds up to. Opens the ledger for reading only.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use judge::decision::{Outcome, Reason};
use judge::event::{Ended, Event, Record};
use judge::moment::Moment;
use judge::name::{AskId, DecisionId};
use judge::standing::Target;
use judge::task::Caller;
use ledger::{Entry, Head, Seq, Source, verify};
use serde_json::{Value, json};

use super::history::{self, History};
use super::{Context, now, print, print_json};
use crate::assemble::{configuration, ledger_to_read};
use crate::cli::{LedgerCommand, LedgerShow, OutcomeWord, Output};
use crate::failure::{Failure, code};
use crate::render::{self, BAD, BOLD, DIM, GOOD, Table, WARN};

/// How long a follower waits at a time.
const FOLLOW_WAIT: Duration = Duration::from_millis(500);
/// Grounds that a report lists.
const GROUNDS_MAX: usize = 100;

/// Runs the command.
///
/// # Errors
/// When the ledger cannot be read.
pub fn run(context: &Context, command: LedgerCommand) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let source = ledger_to_read(&loaded)?;
    match command {
        LedgerCommand::Show(LedgerShow { decision: Some(id), .. }) => one(context, &source, &id),
        LedgerCommand::Show(show) => many(context, &source, &show),
        LedgerCommand::Verify { head } => check(context, &source, head.as_deref()),
        LedgerCommand::Report { since } => report(context, &source, since.map(|since| since.ms())),
    }
}

/// What belongs to what: observations and answers name a decision or an ask, filters name a task.
#[derive(Default)]
struct Threads {
    of_decision: BTreeMap<DecisionId, Caller>,
    of_ask: BTreeMap<AskId, DecisionId>,
}

impl Threads {
    fn learn(&mut self, record: &Record) {
        if let Event::Decided(decided) = &record.event {
            self.of_decision.insert(decided.id.clone(), decided.caller.clone());
            if let Some(ask) = &decided.ask {
                self.of_ask.insert(ask.id.clone(), decided.id.clone());
            }
        }
    }

    fn caller<'a>(&'a self, record: &'a Record) -> Option<&'a Caller> {
        match &record.event {
            Event::Decided(decided) => Some(&decided.caller),
            Event::Observed(observed) => self.of_decision.get(&observed.decision),
            Event::Answered { ask, .. } => self.of_ask.get(ask).and_then(|decision| self.of_decision.get(decision)),
            Event::Refused(refused) => refused.caller.as_ref(),
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. } => None,
        }
    }
}

fn many(context: &Context, source: &dyn Source, show: &LedgerShow) -> anyhow::Result<ExitCode> {
    let from = show.since.map(|since| Moment(now().0.saturating_sub(since.ms())));
    let mut threads = Threads::default();
    let mut show_one = |entry: &Entry, record: &Record| {
        threads.learn(record);
        if from.is_none_or(|from| record.at >= from) && wanted(show, &threads, record) {
            match context.output {
                Output::Text => print(&format!("{}\n", render::line(entry, record)))?,
                Output::Json => print_json(&entry_json(entry, record)?)?,
            }
        }
        Ok(())
    };
    let mut last = history::each(source, Seq::FIRST, &mut show_one)?;
    if !show.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        if source.wait_past(last, FOLLOW_WAIT)?.seq > last {
            last = history::each(source, last.plus(1), &mut show_one)?;
        }
    }
}

fn wanted(show: &LedgerShow, threads: &Threads, record: &Record) -> bool {
    let caller = threads.caller(record);
    let task = show.task.as_ref().is_none_or(|wanted| match &record.event {
        Event::TaskStarted(task) => task.id == *wanted,
        Event::TaskEnded { task } | Event::TaskRenewed { task, .. } => task == wanted,
        Event::Killed { target, .. } | Event::Reset { target, .. } => *target == Target::Task(wanted.clone()),
        Event::CredentialIssued(issued) => issued.caller.task.as_ref() == Some(wanted),
        Event::IncidentResolved { .. } => false,
        Event::Configured(_)
        | Event::DirectoryChanged(_)
        | Event::Decided(_)
        | Event::Observed(_)
        | Event::Answered { .. }
        | Event::Refused(_) => caller.is_some_and(|caller| caller.task.as_ref() == Some(wanted)),
    });
    let agent = show.agent.as_ref().is_none_or(|wanted| match &record.event {
        Event::TaskStarted(task) => task.agent == *wanted || task.requester == *wanted,
        Event::CredentialIssued(issued) => issued.caller.chain.contains(wanted),
        Event::Killed { target, by, .. } | Event::Reset { target, by } => {
            by == wanted || matches!(target, Target::Agent(who) | Target::Owner(who) if who == wanted)
        }
        Event::IncidentResolved { by, .. } => by == wanted,
        Event::Configured(_)
        | Event::DirectoryChanged(_)
        | Event::TaskEnded { .. }
        | Event::TaskRenewed { .. }
        | Event::Decided(_)
        | Event::Observed(_)
        | Event::Answered { .. }
        | Event::Refused(_) => caller.is_some_and(|caller| caller.chain.contains(wanted)),
    });
    let tool = show.tool.as_ref().is_none_or(|wanted| match &record.event {
        Event::Decided(decided) => decided.act.tool == *wanted,
        Event::Refused(refused) => refused.tool.as_ref() == Some(wanted),
        Event::Configured(_)
        | Event::DirectoryChanged(_)
        | Event::TaskStarted(_)
        | Event::TaskEnded { .. }
        | Event::TaskRenewed { .. }
        | Event::CredentialIssued(_)
        | Event::Killed { .. }
        | Event::Reset { .. }
        | Event::IncidentResolved { .. }
        | Event::Observed(_)
        | Event::Answered { .. } => false,
    });
    let outcome = show.outcome.is_none_or(|wanted| match &record.event {
        Event::Decided(decided) => decided.decision.outcome == outcome_of(wanted),
        // A call that never became an act was stopped as well.
        Event::Refused(_) => wanted == OutcomeWord::Deny,
        Event::Configured(_)
        | Event::DirectoryChanged(_)
        | Event::TaskStarted(_)
        | Event::TaskEnded { .. }
        | Event::TaskRenewed { .. }
        | Event::CredentialIssued(_)
        | Event::Killed { .. }
        | Event::Reset { .. }
        | Event::IncidentResolved { .. }
        | Event::Observed(_)
        | Event::Answered { .. } => false,
    });
    task && agent && tool && outcome
}

fn outcome_of(word: OutcomeWord) -> Outcome {
    match word {
        OutcomeWord::Permit => Outcome::Permit,
        OutcomeWord::Ask => Outcome::Ask,
        OutcomeWord::Deny => Outcome::Deny,
    }
}

fn entry_json(entry: &Entry, record: &Record) -> anyhow::Result<Value> {
    Ok(
        json!({ "seq": entry.seq, "hash": entry.hash, "at": render::rfc3339(record.at), "event": serde_json::to_value(&record.event)? }),
    )
}

/// Everything about one decision, with what came of it.
fn one(context: &Context, source: &dyn Source, id: &DecisionId) -> anyhow::Result<ExitCode> {
    let mut known = History::default();
    let mut found: Vec<(Entry, Record)> = Vec::new();
    let mut ask: Option<AskId> = None;
    history::each(source, Seq::FIRST, |entry, record| {
        known.learn(entry, record);
        let belongs = match &record.event {
            Event::Decided(decided) if decided.id == *id => {
                ask = decided.ask.as_ref().map(|asked| asked.id.clone()).or_else(|| decided.approved_by.clone());
                true
            }
            // The ask that this decision made, or that it used up, as it went on.
            Event::Decided(decided) => ask.is_some() && decided.approved_by == ask,
            Event::Observed(observed) => observed.decision == *id,
            Event::Answered { ask: answered, .. } => ask.as_ref() == Some(answered),
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. }
            | Event::Refused(_) => false,
        };
        if belongs {
            found.push((entry.clone(), record.clone()));
        }
        Ok(())
    })?;
    let Some((first, record)) =
        found.iter().find(|(_, record)| matches!(&record.event, Event::Decided(decided) if decided.id == *id))
    else {
        return Err(Failure::Helpless {
            sentence: format!("there is no decision `{id}` in the ledger"),
            help: "`prudence ledger show` lists decisions, with their ids at the end of the line".to_owned(),
        }
        .into());
    };
    if context.output == Output::Json {
        let all: Result<Vec<Value>, _> = found.iter().map(|(entry, record)| entry_json(entry, record)).collect();
        print_json(&json!({ "decision": id, "configuration": known.bundle_at(first.seq), "entries": all? }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Event::Decided(decided) = &record.event {
        print(&render::decision(first, record.at, decided, &known))?;
    }
    let mut later = String::new();
    for (entry, record) in &found {
        match &record.event {
            Event::Observed(observed) => print(&render::observed(entry, record.at, observed, &known))?,
            Event::Decided(decided) if decided.id == *id => {}
            Event::Decided(_) | Event::Answered { .. } => {
                later.push_str(&render::line(entry, record));
                later.push('\n');
            }
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. }
            | Event::Refused(_) => {}
        }
    }
    if !later.is_empty() {
        print(&format!("\n{BOLD}The ask{BOLD:#}\n{later}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(context: &Context, source: &dyn Source, head: Option<&str>) -> anyhow::Result<ExitCode> {
    let trusted = head.map(parse_head).transpose()?;
    match verify(source, Seq::FIRST, trusted, |_| {}) {
        Ok(verified) => {
            match context.output {
                Output::Text => print(&format!(
                    "{GOOD}the chain holds{GOOD:#}: {}\nhead {}\n{DIM}{}{DIM:#}\n",
                    render::count(verified.entries, "entry", "entries"),
                    verified.head,
                    if trusted.is_some() {
                        "it goes on from the head that was given"
                    } else {
                        "without a head that was written down elsewhere, this proves only that it agrees with itself; write this one down"
                    }
                ))?,
                Output::Json => print_json(&json!({ "holds": true, "entries": verified.entries, "head": verified.head }))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            match context.output {
                Output::Text => print(&format!("{BAD}broken{BAD:#}: {broken}\n"))?,
                Output::Json => print_json(&json!({ "holds": false, "seq": broken.seq, "fault": broken.to_string() }))?,
            }
            Ok(ExitCode::from(code::FOUND))
        }
    }
}

fn parse_head(text: &str) -> anyhow::Result<Head> {
    let wrong = || Failure::Helpless {
        sentence: "expected a head as NUMBER:HASH".to_owned(),
        help: "`prudence ledger verify` prints it like that".to_owned(),
    };
    let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
    Ok(Head { seq: Seq(seq.parse().map_err(|_| wrong())?), hash: hash.parse().map_err(|_| wrong())? })
}

/// Decisions with one answer, enforced or only observed.
#[derive(Default)]
struct Tally {
    enforced: u64,
    observed: u64,
}

#[derive(Default)]
struct GroundTally {
    asked: Tally,
    denied: Tally,
    sentence: String,
    tools: BTreeSet<String>,
}

#[derive(Default)]
struct Report {
    first: Option<Moment>,
    last: Option<Moment>,
    permit: Tally,
    ask: Tally,
    deny: Tally,
    refused: BTreeMap<&'static str, u64>,
    approved: u64,
    answered_no: u64,
    read: u64,
    withheld: u64,
    alarms: BTreeMap<&'static str, u64>,
    ok: u64,
    failed: u64,
    ambiguous: u64,
    grounds: BTreeMap<String, GroundTally>,
}

impl Report {
    fn add(&mut self, record: &Record) {
        self.first.get_or_insert(record.at);
        self.last = Some(record.at);
        if let Some(alarm) = record.event.alarm() {
            *self.alarms.entry(alarm.word()).or_default() += 1;
        }
        match &record.event {
            Event::Decided(decided) => {
                let outcome = decided.decision.outcome;
                let tally = match outcome {
                    Outcome::Permit => &mut self.permit,
                    Outcome::Ask => &mut self.ask,
                    Outcome::Deny => &mut self.deny,
                };
                tally.add(decided.enforced);
                for reason in &decided.decision.reasons {
                    self.ground(reason, decided.enforced, decided.act.tool.as_str());
                }
            }
            Event::Observed(observed) => {
                match observed.ended {
                    Ended::Ok => self.ok += 1,
                    Ended::Failed => self.failed += 1,
                    Ended::Ambiguous => self.ambiguous += 1,
                }
                let (read, withheld) = observed.read_and_withheld();
                self.withheld += withheld;
                self.read += read;
            }
            Event::Answered { yes: true, .. } => self.approved += 1,
            Event::Answered { yes: false, .. } => self.answered_no += 1,
            Event::Refused(refused) => *self.refused.entry(refused.code.word()).or_default() += 1,
            Event::Configured(_)
            | Event::DirectoryChanged(_)
            | Event::TaskStarted(_)
            | Event::TaskEnded { .. }
            | Event::TaskRenewed { .. }
            | Event::CredentialIssued(_)
            | Event::Killed { .. }
            | Event::Reset { .. }
            | Event::IncidentResolved { .. } => {}
        }
    }

    fn ground(&mut self, reason: &Reason, enforced: bool, tool: &str) {
        let ground = self.grounds.entry(reason.ground.word().to_owned()).or_default();
        match reason.outcome {
            Outcome::Permit => {}
            Outcome::Ask => ground.asked.add(enforced),
            Outcome::Deny => ground.denied.add(enforced),
        }
        ground.sentence.clone_from(&reason.sentence);
        ground.tools.insert(tool.to_owned());
    }
}

impl Tally {
    fn add(&mut self, enforced: bool) {
        if enforced {
            self.enforced += 1;
        } else {
            self.observed += 1;
        }
    }

    fn json(&self) -> Value {
        json!({ "enforced": self.enforced, "observed": self.observed })
    }
}

fn report(context: &Context, source: &dyn Source, since_ms: Option<u64>) -> anyhow::Result<ExitCode> {
    let from = since_ms.map(|since_ms| Moment(now().0.saturating_sub(since_ms)));
    let mut report = Report::default();
    history::each(source, Seq::FIRST, |_, record| {
        if from.is_none_or(|from| record.at >= from) {
            report.add(record);
        }
        Ok(())
    })?;
    match context.output {
        Output::Text => print(&report_text(&report))?,
        Output::Json => print_json(&report_json(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn report_text(report: &Report) -> String {
    let mut out = String::new();
    let (Some(first), Some(last)) = (report.first, report.last) else { return "nothing happened in this time\n".to_owned() };
    out.push_str(&format!("{BOLD}From {} to {}{BOLD:#}\n\n", render::moment(first), render::moment(last)));
    let mut table = Table::new(&["answer", "enforced", "only observed"]);
    for (word, style, tally) in [("permit", GOOD, &report.permit), ("ask", WARN, &report.ask), ("deny", BAD, &report.deny)] {
        table.row(vec![(word.to_owned(), style), (tally.enforced.to_string(), style), (tally.observed.to_string(), style)]);
    }
    out.push_str(&table.render());
    let (would_ask, would_deny) = (report.ask.observed, report.deny.observed);
    if would_ask + would_deny > 0 {
        out.push_str(&format!(
            "\n{WARN}Under enforcement {} would have waited for a person, and {} would have been stopped.{WARN:#}\n",
            render::count(would_ask, "call", "calls"),
            render::count(would_deny, "call", "calls")
        ));
    } else if report.permit.observed > 0 {
        out.push_str(&format!("\n{GOOD}Under enforcement, everything that was only observed would have gone through.{GOOD:#}\n"));
    }
    if !report.grounds.is_empty() {
        let mut table = Table::new(&["by", "asked", "denied", "would ask", "would deny", "tools", "for instance"]);
        for (ground, tally) in report.grounds.iter().take(GROUNDS_MAX) {
            let plain = anstyle::Style::new();
            table.row(vec![
                (ground.clone(), BOLD),
                (tally.asked.enforced.to_string(), plain),
                (tally.denied.enforced.to_string(), plain),
                (tally.asked.observed.to_string(), WARN),
                (tally.denied.observed.to_string(), WARN),
                (tally.tools.len().to_string(), plain),
                (render::printable(&tally.sentence), DIM),
            ]);
        }
        out.push_str(&format!("\n{}", table.render()));
    }
    out.push_str(&format!(
        "\n{} read, {} withheld; {} ok, {} failed, {} ambiguous; {} approved by people, {} denied by them\n",
        render::count(report.read, "item", "items"),
        report.withheld,
        render::count(report.ok, "effect", "effects"),
        report.failed,
        report.ambiguous,
        render::count(report.approved, "ask", "asks"),
        report.answered_no
    ));
    if !report.alarms.is_empty() {
        let list = report.alarms.iter().map(|(alarm, times)| format!("{times} {alarm}")).collect::<Vec<_>>().join(", ");
        out.push_str(&format!("{BAD}alarms{BAD:#}: {list}\n"));
    }
    if !report.refused.is_empty() {
        let list = report.refused.iter().map(|(code, times)| format!("{times} {code}")).collect::<Vec<_>>().join(", ");
        out.push_str(&format!("refused before they became acts: {list}\n"));
    }
    out
}

fn report_json(report: &Report) -> Value {
    let grounds: Value = report
        .grounds
        .iter()
        .map(|(ground, tally)| {
            let value = json!({ "asked": tally.asked.json(), "denied": tally.denied.json(), "tools": tally.tools, "instance": tally.sentence });
            (ground.clone(), value)
        })
        .collect::<serde_json::Map<String, Value>>()
        .into();
    json!({
        "from": report.first.map(render::rfc3339),
        "to": report.last.map(render::rfc3339),
        "permit": report.permit.json(),
        "ask": report.ask.json(),
        "deny": report.deny.json(),
        "grounds": grounds,
        "refused": report.refused,
        "alarms": report.alarms,
        "items": { "read": report.read, "withheld": report.withheld },
        "effects": { "ok": report.ok, "failed": report.failed, "ambiguous": report.ambiguous },
        "answers": { "yes": report.approved, "no": report.answered_no },
    })
}
