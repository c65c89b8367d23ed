//! `prudence tempo report`: each agent's envelope against its use, from the recorded past; and what other rules would have done in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use judge::content::ContentKey;
use judge::event::{Decided, Event};
use judge::facts::TempoFacts;
use judge::moment::Moment;
use judge::name::{PrincipalId, TaskId};
use judge::policy::{Policies, PolicySources, Source as PolicyFile};
use judge::replay;
use judge::standing::Target;
use judge::state::State;
use judge::task::Quantity;
use ledger::{Seq, Source};
use serde::Serialize;
use serde_json::json;

use super::{Context, history, now, print, print_json};
use crate::assemble::{configuration, ledger_to_read};
use crate::cli::{Output, TempoCommand, TempoReport};
use crate::config::{Problem, Problems, policy_problems, read_policies};
use crate::failure::Failure;
use crate::render::{self, BAD, BOLD, DIM, GOOD, Table, WARN, count, head, printable};

/// By how much a call's tempo is multiplied, in tenths, to see how far it was from a breaker.
const MARGINS_TENTHS: [u64; 7] = [10, 12, 15, 20, 30, 50, 100];
/// At this margin and below, a limit is close to firing.
const CLOSE_TENTHS: u64 = 15;
/// Tasks of an agent with the same kind of budget, before anything is said about tightening it.
const TASKS_MIN: u64 = 5;
/// Parts of a hundred of a budget that were never used beyond: then it could be tightened.
const SLACK_PERCENT: u64 = 50;
/// Trips that are told one by one.
const TRIPS_MAX: usize = 200;

/// Runs the command.
///
/// # Errors
/// When the ledger cannot be read, or the rules are wrong.
pub fn run(context: &Context, TempoCommand::Report(command): TempoCommand) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let other = command.simulate.as_deref().map(rules).transpose()?;
    let from = command.since.map(|since| Moment(now().0.saturating_sub(since.ms())));
    let report = replayed(&ledger_to_read(&loaded)?, from, other.as_ref())?;
    match context.output {
        Output::Json => print_json(&json!(report))?,
        Output::Text => print(&told(&report, &command))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The norms of a folder, or of one file.
fn rules(path: &Path) -> anyhow::Result<Policies> {
    let mut problems = Problems::default();
    let wrong = |problem: Problem, mut problems: Problems| {
        problems.add(&path.display().to_string(), &"".into(), vec![problem]);
        Failure::from(problems)
    };
    let norms = if path.is_dir() {
        read_policies(path).map_err(|problem| wrong(problem, Problems::default()))?
    } else {
        let text = std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
        vec![PolicyFile { name: path.display().to_string(), text }]
    };
    let sources = PolicySources { norms, ..PolicySources::shipped() };
    Policies::compile(&sources).map_err(|errors| {
        policy_problems(&errors, &sources, &mut problems);
        Failure::from(problems).into()
    })
}

/// What the past says.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    agents: BTreeMap<PrincipalId, AgentUse>,
    simulated: Option<Simulated>,
}

/// How one agent stands to its envelope.
#[derive(Debug, Default, Serialize)]
struct AgentUse {
    calls: u64,
    trips: u64,
    /// The most of each that was seen with one call.
    most: Most,
    /// What is usual in a busy hour, at the last call where that was known.
    usual_in_a_busy_hour: Option<u64>,
    usual_in_a_day: Option<u64>,
    /// At how many tenths of its tempo some call would have tripped; nothing when none would have at ten times its tempo. 10: it did.
    margin_tenths: Option<u64>,
    /// What the breaker would have said there.
    nearest: String,
    /// Budgets of its tasks.
    budgets: BTreeMap<&'static str, BudgetUse>,
}

#[derive(Debug, Default, Clone, Serialize)]
struct Most {
    minute: u64,
    ten_minutes: u64,
    hour: u64,
    day: u64,
    week: u64,
    recipients: u64,
    irreversible: u64,
    denials: u64,
    new_kind_items: u64,
    new_domains: u64,
    off_hours_items: u64,
}

impl Most {
    /// Whether any of it is more than ever before.
    fn grow(&mut self, tempo: &TempoFacts) -> bool {
        let pairs = [
            (&mut self.minute, tempo.minute),
            (&mut self.ten_minutes, tempo.ten_minutes),
            (&mut self.hour, tempo.hour),
            (&mut self.day, tempo.day),
            (&mut self.week, tempo.week),
            (&mut self.recipients, tempo.recipients),
            (&mut self.irreversible, tempo.irreversible),
            (&mut self.denials, tempo.denials),
            (&mut self.new_kind_items, tempo.new_kind_items),
            (&mut self.new_domains, tempo.new_domains),
            (&mut self.off_hours_items, tempo.off_hours_items),
        ];
        let mut has_grown = false;
        for (most, seen) in pairs {
            has_grown |= seen > *most;
            *most = (*most).max(seen);
        }
        has_grown
    }
}

/// How much of one budget tasks of one agent used.
#[derive(Debug, Default, Serialize)]
struct BudgetUse {
    tasks: u64,
    smallest_bound: u64,
    most_used: u64,
    most_percent: u64,
    #[serde(skip)]
    by_task: BTreeMap<TaskId, (u64, u64)>,
}

/// What other rules would have done.
#[derive(Debug, Default, Serialize)]
struct Simulated {
    /// Trips that would be new.
    new: Vec<TripLine>,
    /// Trips that would not have been.
    gone: Vec<TripLine>,
    /// Trips of the same task under both, with what the other rules would have said, and when.
    both: Vec<TripLine>,
    left_out: u64,
}

#[derive(Debug, Clone, Serialize)]
struct TripLine {
    at: String,
    entry: u64,
    task: TaskId,
    agent: String,
    norm: String,
    sentence: String,
}

struct Replaying<'a> {
    other: Option<&'a Policies>,
    report: Report,
    /// Ratios change slowly, so the largest of them since a breaker was last looked at.
    looked: BTreeMap<PrincipalId, (u64, u64)>,
    recorded: BTreeMap<TaskId, TripLine>,
    simulated: BTreeMap<TaskId, TripLine>,
    done: Simulated,
}

fn replayed(source: &dyn Source, from: Option<Moment>, other: Option<&Policies>) -> anyhow::Result<Report> {
    let mut state = State::new(ContentKey::new([0; 16]));
    let mut replaying = Replaying {
        other,
        report: Report::default(),
        looked: BTreeMap::new(),
        recorded: BTreeMap::new(),
        simulated: BTreeMap::new(),
        done: Simulated::default(),
    };
    history::each(source, Seq::FIRST, |entry, record| {
        let is_wanted = from.is_none_or(|from| record.at >= from);
        match &record.event {
            Event::Decided(decided) if is_wanted => replaying.decided(&state, entry.seq.0, decided, record.at),
            Event::Reset { target: Target::Task(task), .. } => {
                let root = state.top_of(task).unwrap_or_else(|| task.clone());
                replaying.settle(&root);
            }
            _ => {}
        }
        state.apply(record);
        if let (Event::Decided(decided), true) = (&record.event, is_wanted) {
            replaying.budgets(&state, decided);
        }
        Ok(())
    })?;
    Ok(replaying.ended())
}

impl Replaying<'_> {
    fn decided(&mut self, state: &State, entry: u64, decided: &Decided, at: Moment) {
        let Some(agent) = decided.caller.chain.last().filter(|_| decided.caller.chain.len() > 1) else { return };
        let Some(tempo) = replay::tempo(state, decided, at) else { return };
        let Some(root) = decided.caller.task.as_ref().and_then(|task| state.top_of(task)) else { return };
        let agent_use = self.report.agents.entry(agent.clone()).or_default();
        agent_use.calls += 1;
        if tempo.known {
            agent_use.usual_in_a_busy_hour = Some(tempo.usual);
        }
        if tempo.usual_day > 0 {
            agent_use.usual_in_a_day = Some(tempo.usual_day);
        }
        let line = |norm: String, sentence: String| TripLine {
            at: render::rfc3339(at),
            entry,
            task: root.clone(),
            agent: agent.to_string(),
            norm,
            sentence,
        };
        if let Some(trip) = &decided.trip {
            agent_use.trips += 1;
            let said = decided.decision.reasons.iter().find(|reason| reason.ground.word() == trip.norm.as_str());
            let sentence = said.map(|reason| reason.sentence.clone()).unwrap_or_default();
            self.recorded.entry(root.clone()).or_insert_with(|| line(trip.norm.to_string(), sentence));
        }
        // What was refused for another reason would not have tripped anything, whatever the breakers.
        if !decided.went_through() && decided.trip.is_none() {
            return;
        }
        let ratios = [tempo.minute_ratio, tempo.ten_minutes_ratio, tempo.hour_ratio, tempo.day_ratio, tempo.week_ratio];
        let ratio = (ratios.into_iter().max().unwrap_or(0), ratios.into_iter().fold(0, u64::saturating_add));
        let looked = self.looked.entry(agent.clone()).or_default();
        if (agent_use.most.grow(&tempo) || ratio > *looked)
            && let Some(policies) = state.policies()
        {
            *looked = (*looked).max(ratio);
            let nearer = |tenths: &u64| agent_use.margin_tenths.is_none_or(|known| *tenths < known);
            let near = MARGINS_TENTHS.into_iter().filter(nearer).find_map(|tenths| {
                let (_, sentence) = replay::trip(policies, decided, &replay::at_tenths(&tempo, tenths))?;
                Some((tenths, sentence))
            });
            if let Some((tenths, sentence)) = near {
                (agent_use.margin_tenths, agent_use.nearest) = (Some(tenths), sentence);
            }
        }
        if let Some(policies) = self.other.filter(|_| !self.simulated.contains_key(&root))
            && let Some((trip, sentence)) = replay::trip(policies, decided, &tempo)
        {
            self.simulated.insert(root.clone(), line(trip.norm.to_string(), sentence));
        }
    }

    fn budgets(&mut self, state: &State, decided: &Decided) {
        let Some(task) = decided.caller.task.as_ref().and_then(|id| state.task(id)) else { return };
        let Some(agent_use) = self.report.agents.get_mut(&task.task.agent) else { return };
        for what in Quantity::ALL {
            let (Some(bound), Some(left)) = (task.task.budget.of(what), state.budget_left(&task.task.id, what)) else { continue };
            let budget = agent_use.budgets.entry(what.word()).or_default();
            budget.by_task.insert(task.task.id.clone(), (bound, bound.saturating_sub(left)));
        }
    }

    /// A person let the task go on, or it is over: what tripped is compared.
    fn settle(&mut self, root: &TaskId) {
        let known = (self.recorded.remove(root), self.simulated.remove(root));
        let list = match known {
            (Some(gone), None) => (&mut self.done.gone, gone),
            (None, Some(new)) => (&mut self.done.new, new),
            (Some(_), Some(both)) => (&mut self.done.both, both),
            (None, None) => return,
        };
        if list.0.len() < TRIPS_MAX {
            list.0.push(list.1);
        } else {
            self.done.left_out += 1;
        }
    }

    fn ended(mut self) -> Report {
        let roots: BTreeSet<TaskId> = self.recorded.keys().chain(self.simulated.keys()).cloned().collect();
        roots.iter().for_each(|root| self.settle(root));
        for budget in self.report.agents.values_mut().flat_map(|agent| agent.budgets.values_mut()) {
            budget.tasks = budget.by_task.len() as u64;
            budget.smallest_bound = budget.by_task.values().map(|(bound, _)| *bound).min().unwrap_or(0);
            budget.most_used = budget.by_task.values().map(|(_, used)| *used).max().unwrap_or(0);
            let percent = |(bound, used): &(u64, u64)| used.saturating_mul(100) / (*bound).max(1);
            budget.most_percent = budget.by_task.values().map(percent).max().unwrap_or(0);
        }
        self.report.simulated = self.other.is_some().then_some(self.done);
        self.report
    }
}

fn told(report: &Report, command: &TempoReport) -> String {
    if report.agents.is_empty() {
        return "no agent did anything in this time\n".to_owned();
    }
    let mut out = String::new();
    let plain = anstyle::Style::new();
    let mut table = Table::new(&[
        "agent",
        "calls",
        "usual/hour",
        "usual/day",
        "most in a minute",
        "ten",
        "an hour",
        "a day",
        "a week",
        "trips",
        "a breaker trips at",
    ]);
    let or_dash = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), |number| number.to_string());
    for (agent, one) in &report.agents {
        let (margin, style) = match one.margin_tenths {
            None => ("never near".to_owned(), DIM),
            Some(10) => ("1× (it did, or would now)".to_owned(), BAD),
            Some(tenths) => (format!("{}.{}×", tenths / 10, tenths % 10), if tenths <= CLOSE_TENTHS { WARN } else { GOOD }),
        };
        table.row(vec![
            (printable(agent.as_str()), BOLD),
            (one.calls.to_string(), plain),
            (or_dash(one.usual_in_a_busy_hour), plain),
            (or_dash(one.usual_in_a_day), plain),
            (one.most.minute.to_string(), plain),
            (one.most.ten_minutes.to_string(), plain),
            (one.most.hour.to_string(), plain),
            (one.most.day.to_string(), plain),
            (one.most.week.to_string(), plain),
            (one.trips.to_string(), if one.trips > 0 { BAD } else { DIM }),
            (margin, style),
        ]);
    }
    out.push_str(&table.render());
    let is_close = |one: &&(&PrincipalId, &AgentUse)| one.1.margin_tenths.is_some_and(|tenths| tenths <= CLOSE_TENTHS);
    let close: Vec<_> = report.agents.iter().collect::<Vec<_>>();
    let close: Vec<_> = close.iter().filter(is_close).collect();
    if !close.is_empty() {
        head(&mut out, "Close to firing, or beyond it");
        for (agent, one) in close {
            out.push_str(&format!("  {BOLD}{}{BOLD:#}: {}\n", printable(agent.as_str()), printable(&one.nearest)));
        }
    }
    budgets_told(&mut out, report);
    if let (Some(simulated), Some(rules)) = (&report.simulated, &command.simulate) {
        simulated_told(&mut out, simulated, rules);
    }
    out
}

fn budgets_told(out: &mut String, report: &Report) {
    let all = report.agents.iter().flat_map(|(agent, one)| one.budgets.iter().map(move |(what, budget)| (agent, what, budget)));
    let all: Vec<_> = all.collect();
    if all.is_empty() {
        return;
    }
    head(out, "Budgets of tasks");
    for (agent, what, budget) in all {
        let (style, word) = match budget.most_percent {
            100.. => (BAD, "used up"),
            75.. => (WARN, "close to used up"),
            0..=SLACK_PERCENT if budget.tasks >= TASKS_MIN => (GOOD, "could be tightened"),
            _ => (DIM, "fits"),
        };
        out.push_str(&format!(
            "  {BOLD}{}{BOLD:#}: at most {} {what} in {}, bounds from {} on: {style}{word}{style:#}\n",
            printable(agent.as_str()),
            budget.most_used,
            count(budget.tasks, "task", "tasks"),
            budget.smallest_bound
        ));
    }
}

fn simulated_told(out: &mut String, simulated: &Simulated, rules: &Path) {
    head(out, &format!("Under {}", rules.display()));
    for (list, style, word) in
        [(&simulated.new, BAD, "new"), (&simulated.gone, GOOD, "gone"), (&simulated.both, DIM, "as before")]
    {
        out.push_str(&format!("  {style}{}{style:#} {word}\n", count(list.len() as u64, "trip", "trips")));
        for trip in list {
            out.push_str(&format!(
                "    {DIM}{}{DIM:#} task {} of {}: {} {DIM}({}, entry {}){DIM:#}\n",
                trip.at,
                trip.task,
                printable(&trip.agent),
                printable(&trip.sentence),
                trip.norm,
                trip.entry
            ));
        }
    }
    if simulated.left_out > 0 {
        out.push_str(&format!("  {DIM}and {} more{DIM:#}\n", simulated.left_out));
    }
    out.push_str(&format!(
        "  {DIM}the calls are those that were made: what an agent would have done after a trip that is gone is in no record{DIM:#}\n"
    ));
}

#[cfg(test)]
mod tests;
