//! `prudence agent`: who answers for an agent, what it is registered for and until when. Every change is a change of the directory, recorded with
//! who made it; a running server sees it at once. Who may say what is decided in `judge::registration`, and nowhere here.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::Style;
use authority::review::{Count, Permission, Review};
use authority::view::AgentView;
use engine::ChangeDirectoryError;
use judge::directory::{AgentRecord, Directory, DirectoryChange, DirectoryError, Mark};
use judge::effect::Effect;
use judge::event::DirectoryChanged;
use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::registration::{self, NotRegistered, Terms};
use judge::state::State;
use ledger::Seq;
use serde_json::{Value, json};

use super::{Context, history, print, print_json};
use crate::assemble::{self, House, configuration};
use crate::cli::{AgentCommand, AgentRegister, AgentReview, Output};
use crate::failure::Failure;
use crate::render::{BAD, BOLD, DIM, GOOD, Table, WARN, count, distance, head, moment, names, pairs, printable, rfc3339};

/// How many names of one kind are shown in text; JSON has all of them.
const SHOWN_MAX: usize = 12;

/// Runs the command.
///
/// # Errors
/// When an agent cannot be found or changed, or the person may not say so.
pub async fn run(context: &Context, command: AgentCommand) -> anyhow::Result<ExitCode> {
    match command {
        AgentCommand::Register(register) => self::register(context, *register).await?,
        AgentCommand::List => list(context)?,
        AgentCommand::Show { agent } => show(context, &agent)?,
        AgentCommand::Review(review) => self::review(context, review).await?,
        AgentCommand::Suspend { agent, by, why } => {
            let make = |directory: &Directory, now| registration::suspend(directory, &agent, &why, &by, now);
            let house = opened(context).await?;
            change(&house, "suspended", &by, make).await?;
            changed(
                context,
                &house,
                &agent,
                "suspended",
                "no call of it is let through until somebody who answers for it resumes it",
            )?;
        }
        AgentCommand::Resume { agent, by } => {
            let make = |directory: &Directory, _| registration::resume(directory, &agent, &by);
            let house = opened(context).await?;
            change(&house, "resumed", &by, make).await?;
            changed(context, &house, &agent, "resumed", "it may go on, as long as its registration and its tasks last")?;
        }
        AgentCommand::HandOver { agent, to, by } => {
            let make = |directory: &Directory, _| registration::hand_over(directory, &agent, &to, &by);
            let house = opened(context).await?;
            change(&house, "handed over", &by, make).await?;
            changed(context, &house, &agent, "handed over", &format!("{to} answers for it now"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn register(context: &Context, register: AgentRegister) -> anyhow::Result<()> {
    let words = |names: &[String]| -> Option<BTreeSet<Arc<str>>> {
        (!names.is_empty()).then(|| names.iter().map(|name| Arc::from(name.trim())).collect())
    };
    let AgentRegister { agent, owner, sponsor, about, by, .. } = &register;
    let terms = Terms {
        owner: owner.clone(),
        sponsor: sponsor.clone(),
        about: about.clone(),
        purposes: words(&register.purposes),
        effects: (!register.effects.is_empty()).then(|| register.effects.iter().copied().collect()),
        tools: words(&register.tools),
        keys: words(&register.keys),
        clients: words(&register.clients),
        lease_ms: register.lease.ms(),
    };
    let house = opened(context).await?;
    change(&house, "registered", by, |directory, now| registration::register(directory, agent, &terms, by, now)).await?;
    changed(context, &house, agent, "registered", "it may do nothing yet that is not granted to it and to the person it acts for")
}

/// A house whose configuration is in force, so that people who stand in it are known.
async fn opened(context: &Context) -> anyhow::Result<House> {
    let house = assemble::open(configuration(&context.config)?)?;
    house.configure().await?;
    Ok(house)
}

/// Why an agent was not changed.
enum NotChanged {
    Registration(NotRegistered),
    Directory(ChangeDirectoryError),
}

impl From<ChangeDirectoryError> for NotChanged {
    fn from(error: ChangeDirectoryError) -> Self {
        NotChanged::Directory(error)
    }
}

impl From<NotChanged> for anyhow::Error {
    fn from(error: NotChanged) -> Self {
        let refused = |sentence: String, help: Option<&str>| Failure::Refused { sentence, help: help.map(str::to_owned) }.into();
        match error {
            NotChanged::Registration(NotRegistered::Unknown(agent)) => no_such(&agent),
            NotChanged::Registration(why) => {
                let help = match &why {
                    NotRegistered::Nobody(_) => Some("people are `[[people]]` of the configuration, or imported"),
                    NotRegistered::Known(_) => Some("`prudence agent show` says how it is registered; `review` renews it"),
                    NotRegistered::OtherOwner { .. } => Some("`prudence agent hand-over` gives it another owner"),
                    NotRegistered::Unused(_) => Some("`prudence agent suspend` takes it out of use"),
                    _ => None,
                };
                refused(why.to_string(), help)
            }
            NotChanged::Directory(ChangeDirectoryError::Bad(errors)) => {
                let is_declared = errors.iter().any(|error| matches!(error, DirectoryError::Declared { .. }));
                let all = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                refused(
                    all,
                    is_declared
                        .then_some("`[[agents]]` says what it is registered for; `prudence kill agent:NAME` stops it at once"),
                )
            }
            NotChanged::Directory(error @ ChangeDirectoryError::Unavailable(_)) => error.into(),
        }
    }
}

/// Puts an agent as `make` makes it of the directory at that moment, as one entry of the ledger.
async fn change(
    house: &House,
    what: &str,
    by: &PrincipalId,
    make: impl Fn(&Directory, Moment) -> Result<AgentRecord, NotRegistered>,
) -> anyhow::Result<()> {
    let edit = |directory: &Directory, now| {
        let agent = make(directory, now).map_err(NotChanged::Registration)?;
        let source = format!("agent {} {what}", agent.id);
        let changed = DirectoryChanged { source, by: Some(by.clone()), changes: vec![DirectoryChange::PutAgent(agent.into())] };
        Ok((vec![changed], ()))
    };
    house.engine.edit_directory::<(), NotChanged>(edit).await.map_err(anyhow::Error::from)
}

/// Says what became of an agent.
fn changed(context: &Context, house: &House, agent: &PrincipalId, what: &str, so: &str) -> anyhow::Result<()> {
    let view = house.engine.view(|state, now| view(state, agent, now))?;
    if context.output == Output::Json {
        return print_json(&agent_json(&view));
    }
    let until = view.ends.filter(|_| what != "suspended").map(|ends| format!(", until {}", moment(ends))).unwrap_or_default();
    print(&format!("{GOOD}{what}{GOOD:#} {BOLD}{}{BOLD:#}{until}: {}\n", printable(&view.id), printable(so)))
}

fn view(state: &State, agent: &PrincipalId, now: Moment) -> anyhow::Result<AgentView> {
    let record = state.directory().agent_record(agent.as_str()).ok_or_else(|| no_such(agent))?;
    Ok(AgentView::of(state, record, now))
}

fn no_such(agent: &PrincipalId) -> anyhow::Error {
    Failure::Helpless {
        sentence: format!("there is no agent `{agent}`"),
        help: "`prudence agent list` shows all of them".to_owned(),
    }
    .into()
}

fn list(context: &Context) -> anyhow::Result<()> {
    let (state, now) = super::reading(context)?;
    let agents: Vec<AgentView> = state.directory().agents().map(|agent| AgentView::of(&state, agent, now)).collect();
    if context.output == Output::Json {
        return print_json(&json!({ "agents": agents.iter().map(agent_json).collect::<Vec<_>>() }));
    }
    if agents.is_empty() {
        return print("no agent is registered (`prudence agent register --help`)\n");
    }
    let mut table = Table::new(&["agent", "", "owner", "sponsor", "may", "registered until", "tasks"]);
    for agent in &agents {
        let plain = Style::new();
        let may = agent.effects.as_ref().map_or_else(|| "what is granted".to_owned(), effects);
        let until = agent.ends.map_or_else(|| "no end".to_owned(), |ends| distance(now, ends));
        table.row(vec![
            (printable(&agent.id), BOLD),
            (agent.standing.to_owned(), style(agent)),
            (printable(&agent.owner), plain),
            (agent.sponsor.as_deref().map_or_else(|| "–".to_owned(), printable), plain),
            (may, plain),
            (until, if agent.ends.is_none() { WARN } else { plain }),
            (agent.running.to_string(), plain),
        ]);
    }
    let mut out = table.render();
    for agent in &agents {
        if let Some(needs) = &agent.needs {
            let _ =
                writeln!(out, "{WARN}{}{WARN:#} {} {DIM}needs{DIM:#} {}", printable(&agent.id), agent.standing, printable(needs));
        }
    }
    print(&out)
}

fn style(agent: &AgentView) -> Style {
    match (&agent.needs, agent.standing) {
        (None, _) => GOOD,
        (Some(_), "lapsed" | "suspended") => WARN,
        (Some(_), _) => BAD,
    }
}

fn show(context: &Context, agent: &PrincipalId) -> anyhow::Result<()> {
    let (state, now) = super::reading(context)?;
    let view = view(&state, agent, now)?;
    if context.output == Output::Json {
        return print_json(&agent_json(&view));
    }
    print(&told(&view, now))
}

/// An agent in full.
fn told(view: &AgentView, now: Moment) -> String {
    let mut out = format!("{BOLD}{}{BOLD:#}  {}{}{:#}\n", printable(&view.id), style(view), view.standing, style(view));
    let any = |list: &Option<Vec<String>>, any: &str| list.as_ref().map_or_else(|| any.to_owned(), names);
    let gone = |person: &str| if view.answering.iter().any(|here| here == person) { "" } else { " (not here any more)" };
    let person = |person: &str| format!("{}{}", printable(person), gone(person));
    let mark = |mark: &Mark| {
        let why = if mark.why.is_empty() { String::new() } else { format!(": {}", printable(&mark.why)) };
        format!("{} by {}{why}", moment(mark.at), printable(mark.by.as_str()))
    };
    let ends = view.ends.map_or_else(|| "no end".to_owned(), |ends| format!("{} ({})", moment(ends), distance(now, ends)));
    let mut rows = vec![
        ("owner", person(&view.owner)),
        ("sponsor", view.sponsor.as_deref().map_or_else(|| "–".to_owned(), person)),
        ("for", if view.about.is_empty() { "–".to_owned() } else { printable(&view.about) }),
        ("purposes", any(&view.purposes, "any")),
        ("may at most", view.effects.as_ref().map_or_else(|| "what it is granted".to_owned(), effects)),
        ("tools", any(&view.tools, "any")),
        ("keys", any(&view.keys, "any, and none")),
        ("clients", any(&view.clients, "any")),
        ("registered until", ends),
        ("running tasks", view.running.to_string()),
    ];
    let marks = [("registered", &view.registered), ("reviewed", &view.reviewed), ("suspended", &view.suspended)];
    rows.extend(marks.into_iter().filter_map(|(what, said)| said.as_ref().map(|said| (what, mark(said)))));
    if view.declared {
        rows.push(("stated in", "the configuration: it is changed there".to_owned()));
    }
    pairs(&mut out, &rows);
    if let Some(needs) = &view.needs {
        let _ = writeln!(out, "\n{WARN}needs{WARN:#} {}", printable(needs));
    }
    out
}

async fn review(context: &Context, command: AgentReview) -> anyhow::Result<()> {
    let (state, now) = super::reading(context)?;
    let record = state.directory().agent_record(command.agent.as_str()).ok_or_else(|| no_such(&command.agent))?.clone();
    let since = command.since.map_or_else(|| Review::begins(&record), |span| Moment(now.0.saturating_sub(span.ms())));
    let mut review = Review::new(record.id.clone(), since);
    let source = assemble::ledger_to_read(&configuration(&context.config)?)?;
    history::each(&source, Seq::FIRST, |_, entry| {
        review.learn(entry);
        Ok(())
    })?;
    let (Some(lease), Some(by)) = (command.renew_for, &command.by) else {
        let view = AgentView::of(&state, &record, now);
        return match context.output {
            Output::Json => print_json(&json!({ "agent": agent_json(&view), "review": review_json(&review, &record, &state) })),
            Output::Text => print(&(told(&view, now) + &reviewed(&review, &record, &view, &state, now))),
        };
    };
    let used = review.used();
    let house = opened(context).await?;
    let used = command.tighten.then_some(&used);
    let make = |directory: &Directory, now| registration::renew(directory, &record, used, lease.ms(), by, now);
    change(&house, if command.tighten { "renewed for what it used" } else { "renewed" }, by, make).await?;
    let view = house.engine.view(|state, now| view(state, &record.id, now))?;
    match context.output {
        Output::Json => print_json(&json!({ "agent": agent_json(&view), "review": review_json(&review, &record, &state) })),
        Output::Text => {
            let until = view.ends.map(moment).unwrap_or_default();
            print(&format!(
                "{}{}\n{GOOD}renewed{GOOD:#} {BOLD}{}{BOLD:#} until {until} by {}\n",
                told(&view, now),
                reviewed(&review, &record, &view, &state, now),
                printable(&view.id),
                printable(by.as_str())
            ))
        }
    }
}

/// What it did, and what of its permissions it used.
fn reviewed(review: &Review, record: &AgentRecord, view: &AgentView, state: &State, now: Moment) -> String {
    let mut out = String::new();
    let since = match review.since {
        Moment(0) => "since the ledger began: nobody has reviewed it yet".to_owned(),
        since => format!("since {} ({})", moment(since), distance(now, since)),
    };
    head(&mut out, &format!("What it did {since}"));
    let Count { used, asked, denied } = review.calls;
    let mut rows = vec![
        ("calls", format!("{used} went through, {asked} asked about, {denied} denied")),
        (
            "last call",
            review.last.map_or_else(|| "never".to_owned(), |last| format!("{} ({})", moment(last), distance(now, last))),
        ),
        ("tasks", format!("{} started, {} of them never used", review.tasks, review.idle_tasks)),
        ("for", most(review.requesters.iter().map(|(person, count)| (person, count.used + count.asked + count.denied)))),
        ("items", format!("{} read, {} withheld", review.items, review.withheld)),
        ("answers of people", format!("{} yes, {} no", review.approved, review.refused)),
        ("objections", most(review.grounds.iter().map(|(ground, times)| (ground, *times)))),
        ("credentials", count(review.credentials, "was issued", "were issued")),
    ];
    if !review.alarms.is_empty() {
        rows.push(("alarms", most(review.alarms.iter().map(|(alarm, times)| (alarm, *times)))));
    }
    if review.trips + review.kills > 0 {
        rows.push(("stopped", format!("{} by a breaker, {} by a person", review.trips, review.kills)));
    }
    pairs(&mut out, &rows);
    if review.is_partial {
        let _ = writeln!(out, "  {WARN}there is more than can be told apart: what is counted together says `(others)`{WARN:#}");
    }

    head(&mut out, "What it may do, and how often it did");
    let directory = state.directory();
    let effects_used = review.effects_of(record, directory);
    let (purposes, tools) = (review.purposes_of(record), review.tools_of(record));
    pairs(&mut out, &[("effects", used_of(&effects_used)), ("purposes", used_of(&purposes)), ("tools", used_of(&tools))]);
    for grant in review.grants_of(record, directory) {
        let on = names(&grant.on);
        let unused =
            if grant.unused.is_empty() { String::new() } else { format!("  {WARN}{} never{WARN:#}", effects(&grant.unused)) };
        let used = if grant.used.is_empty() { String::new() } else { format!("  {} used", effects(&grant.used)) };
        let _ = writeln!(out, "  {DIM}grant on{DIM:#} {on}{used}{unused}");
    }
    if review.calls.used == 0 {
        let _ = writeln!(out, "  {WARN}nothing of it was used{WARN:#}");
    }

    let id = printable(&view.id);
    match (view.declared, view.answering.first()) {
        (true, _) => {
            let _ = writeln!(out, "\n{DIM}the configuration states it: `registered_until` there is what renews it{DIM:#}");
        }
        (false, None) => {
            let _ =
                writeln!(out, "\n{WARN}nobody who is here answers for it: `prudence agent hand-over {id} --to PERSON`{WARN:#}");
        }
        (false, Some(person)) => {
            let _ = writeln!(
                out,
                "\n{DIM}{} can renew it, for all or for what it used alone:{DIM:#}\n  prudence agent review {id} --by {} --renew-for 90d [--tighten]",
                names(&view.answering),
                printable(person)
            );
        }
    }
    out
}

fn effects(effects: &BTreeSet<Effect>) -> String {
    names(effects.iter().map(|effect| effect.word()))
}

/// Permissions, with how often each was used.
fn used_of(permissions: &[Permission]) -> String {
    let word = |permission: &Permission| match permission.used {
        0 => format!("{WARN}{} never{WARN:#}", printable(&permission.name)),
        used => format!("{} {used}", printable(&permission.name)),
    };
    let more = permissions.len().saturating_sub(SHOWN_MAX);
    let mut words: Vec<String> = permissions.iter().take(SHOWN_MAX).map(word).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}

/// The most frequent first.
fn most<T: AsRef<str>>(counted: impl Iterator<Item = (T, u64)>) -> String {
    let mut counted: Vec<(T, u64)> = counted.collect();
    counted.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.as_ref().cmp(b.as_ref())));
    let more = counted.len().saturating_sub(SHOWN_MAX);
    let mut words: Vec<String> =
        counted.iter().take(SHOWN_MAX).map(|(name, times)| format!("{} {times}", printable(name.as_ref()))).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}

fn agent_json(view: &AgentView) -> Value {
    let mut value = serde_json::to_value(view).expect("a view is plain data");
    value["ends"] = view.ends.map(rfc3339).into();
    for (what, mark) in [("registered", &view.registered), ("reviewed", &view.reviewed), ("suspended", &view.suspended)] {
        if let Some(mark) = mark {
            value[what]["at"] = rfc3339(mark.at).into();
        }
    }
    value
}

fn review_json(review: &Review, record: &AgentRecord, state: &State) -> Value {
    let mut value = serde_json::to_value(review).expect("a review is plain data");
    value["since"] = (review.since != Moment(0)).then(|| rfc3339(review.since)).into();
    value["last"] = review.last.map(rfc3339).into();
    let permissions = json!({
        "effects": review.effects_of(record, state.directory()),
        "purposes": review.purposes_of(record),
        "tools": review.tools_of(record),
        "grants": review.grants_of(record, state.directory()),
    });
    value["permissions"] = permissions;
    value
}
