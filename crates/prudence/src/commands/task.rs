//! `prudence task`: why a chain acts at all. Starting and ending are recorded; a running server sees them at once.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use authority::view::TaskView;
use contract::Proposal;
use engine::{NewTask, RenewError, StartTaskError};
use judge::moment::Moment;
use judge::name::{PrincipalId, TaskId};
use judge::renewal::NotRenewed;
use judge::task::{Budget, Caller};
use serde_json::{Value, json};

use super::{Context, print, print_json};
use crate::assemble::{self, House, configuration};
use crate::cli::{Output, TaskCommand, TaskStart};
use crate::config::Span;
use crate::failure::Failure;
use crate::gate;
use crate::render::{self, BOLD, DIM, GOOD, Table, WARN, count, distance, moment, names, pairs, printable};

/// Runs the command.
///
/// # Errors
/// When the task cannot be started, found or ended.
pub async fn run(context: &Context, command: TaskCommand) -> anyhow::Result<ExitCode> {
    match command {
        TaskCommand::Start(start) => begin(context, *start).await?,
        TaskCommand::List => list(context)?,
        TaskCommand::Show { task } => show(context, &task)?,
        TaskCommand::Renew { task, by, lease } => renew(context, &task, &by, lease.ms()).await?,
        TaskCommand::End { task } => end(context, &task).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a task in a house, and issues its token.
///
/// # Errors
/// When it is refused, or cannot be recorded.
pub async fn start(house: &House, new: NewTask) -> anyhow::Result<(judge::task::Task, String)> {
    house.configure().await?;
    let refused = |error: StartTaskError, help: Option<&str>| -> anyhow::Error {
        Failure::Refused { sentence: error.to_string(), help: help.map(str::to_owned) }.into()
    };
    let task = house.engine.start_task(new).await.map_err(|error| match error {
        StartTaskError::Requester(_) => refused(error, Some("people are `[[people]]` of the configuration")),
        StartTaskError::Agent(_) => refused(error, Some("agents are `[[agents]]` of the configuration, each with an owner")),
        StartTaskError::Registration(_) => {
            refused(error, Some("`prudence agent show` says what it is registered for, until when and by whom"))
        }
        StartTaskError::Stopped(_) => {
            refused(error, Some("`prudence ledger show` tells who stopped it; `prudence reset` lets it go on"))
        }
        StartTaskError::Lease { .. } => refused(error, None),
        StartTaskError::Unavailable(error) => error.into(),
    })?;
    let token = house.issuer.task_token(&task, std::slice::from_ref(&task.agent), house.engine.now())?;
    Ok((task, token))
}

async fn begin(context: &Context, start_with: TaskStart) -> anyhow::Result<()> {
    let house = assemble::open(configuration(&context.config)?)?;
    let proposed = match &start_with.prompt {
        Some(prompt) => {
            house.configure().await?;
            let proposal = propose(&house, prompt)?;
            if !confirmed(context, &start_with, prompt, &proposal)? {
                return Ok(());
            }
            Some(proposal)
        }
        None => None,
    };
    let start_with = completed(start_with, proposed.as_ref());
    let new = NewTask {
        tools: (!start_with.tools.is_empty()).then(|| start_with.tools.into_iter().collect()),
        address_open: proposed.is_some_and(|proposal| proposal.address_open),
        requester: start_with.requester,
        agent: start_with.agent,
        purpose: start_with.purpose.unwrap_or_default(),
        words: start_with.words.or(start_with.prompt),
        address: start_with.address,
        effects: (!start_with.effects.is_empty()).then(|| start_with.effects.into_iter().collect()),
        resources: (!start_with.resources.is_empty()).then_some(start_with.resources),
        budget: Budget {
            calls: start_with.calls,
            items: start_with.items,
            recipients: start_with.recipients,
            amount: start_with.amount,
        },
        lease_ms: start_with.lease.ms(),
        checkpoint_ms: start_with.checkpoint.map(Span::ms),
    };
    let (task, token) = start(&house, new).await?;
    if start_with.token_only {
        return print(&format!("{token}\n"));
    }
    match context.output {
        Output::Json => print_json(&json!({ "task": task.id, "token": token, "expires": render::rfc3339(task.ends) })),
        Output::Text => {
            let mut out = format!(
                "{GOOD}started{GOOD:#} {BOLD}{}{BOLD:#}: {} for {}, until {}\n",
                task.id,
                task.agent,
                task.requester,
                moment(task.ends)
            );
            out.push_str(&format!("\n{DIM}the agent presents{DIM:#}\nAuthorization: Bearer {token}\n"));
            let listen = &house.loaded.settings.server.listen;
            let scheme = crate::door::scheme(&house.loaded.settings);
            out.push_str(&format!("\n{DIM}at {scheme}://{listen}/mcp; whoever has the token acts in this task until it ends (`prudence task end {}`){DIM:#}\n", task.id));
            print(&out)
        }
    }
}

/// What the words of a request ask for, of the tools that have an accepted contract.
fn propose(house: &House, prompt: &str) -> anyhow::Result<Proposal> {
    let contracts = gate::contracts(&house.loaded)?;
    let tools = contracts.iter().flat_map(|contracts| {
        contracts
            .tools()
            .filter(|tool| tool.is_accepted())
            .map(|tool| (format!("{}__{}", contracts.upstream(), tool.name()), tool))
    });
    let tools: Vec<_> = tools.collect();
    let tools = tools.iter().map(|(name, tool)| (name.as_str(), *tool));
    Ok(house.engine.view(|state, _| contract::propose(prompt, tools, state.directory())))
}

/// Shows a proposal, and asks whether it is meant. What was given beside the prompt is shown in place of what is proposed.
fn confirmed(context: &Context, given: &TaskStart, prompt: &str, proposal: &Proposal) -> anyhow::Result<bool> {
    if given.token_only || (context.output == Output::Json && !given.dry_run) {
        return match given.yes {
            true => Ok(true),
            false => Err(Failure::Helpless {
                sentence: "nobody is asked here whether the proposal is meant".to_owned(),
                help: "look at it with `--dry-run`, and start it with `--yes`".to_owned(),
            }
            .into()),
        };
    }
    if context.output == Output::Json {
        print_json(&json!({
            "effects": proposal.effects, "tools": proposal.tools, "address": proposal.address,
            "address_open": proposal.address_open, "follows": proposal.follows,
        }))?;
        return Ok(false);
    }
    print(&told(given, prompt, proposal))?;
    if given.dry_run || given.yes {
        return Ok(given.yes);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Helpless {
            sentence: "nothing was started, because nobody is here to say that this is meant".to_owned(),
            help: "start it with `--yes`, or give `--effects`, `--tools` and `--address` yourself".to_owned(),
        }
        .into());
    }
    print("\nStart it? [y/N] ")?;
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn told(given: &TaskStart, prompt: &str, proposal: &Proposal) -> String {
    let mut out = format!("{BOLD}proposed{BOLD:#} from: {}\n\n", printable(prompt));
    let own = |list: &[String]| (!list.is_empty()).then(|| names(list));
    let address = match (proposal.address.is_empty(), proposal.address_open) {
        (_, true) => "whom an established relation or the system of record names, because the words do not say".to_owned(),
        (true, false) => format!("{} alone", given.requester),
        (false, false) => names(&proposal.address),
    };
    let effects = names(proposal.effects.iter().map(|effect| effect.word()));
    let given_effects = (!given.effects.is_empty()).then(|| names(given.effects.iter().map(|effect| effect.word())));
    pairs(
        &mut out,
        &[
            ("effects", given_effects.unwrap_or(effects)),
            (
                "tools",
                own(&given.tools).unwrap_or_else(|| {
                    if proposal.tools.is_empty() { "none but those that read".to_owned() } else { String::new() }
                }),
            ),
        ],
    );
    if given.tools.is_empty() {
        for (tool, why) in &proposal.tools {
            out.push_str(&format!("  {BOLD}{tool}{BOLD:#} {DIM}because of{DIM:#} {}\n", printable(why)));
        }
    }
    pairs(&mut out, &[("answer is for", own(&given.address).unwrap_or(address))]);
    if let Some(follows) = &proposal.follows {
        out.push_str(&format!("{WARN}does what is written elsewhere:{WARN:#} {}\n", printable(follows)));
    }
    out.push_str(&format!(
        "{DIM}everything else beyond reading is asked about; nothing here is allowed that nobody granted{DIM:#}\n"
    ));
    out
}

/// What was given, with what is proposed where nothing was.
fn completed(mut start: TaskStart, proposal: Option<&Proposal>) -> TaskStart {
    if let Some(proposal) = proposal {
        if start.effects.is_empty() {
            start.effects = proposal.effects.iter().copied().collect();
        }
        if start.tools.is_empty() {
            // A task that names no tool may use any; this one names none for anything but reading.
            start.tools =
                if proposal.tools.is_empty() { vec![NO_TOOL.to_owned()] } else { proposal.tools.keys().cloned().collect() };
        }
        if start.address.is_empty() {
            start.address = std::iter::once(start.requester.to_string()).chain(proposal.address.iter().cloned()).collect();
        }
        start.purpose =
            start.purpose.or_else(|| start.prompt.as_ref().map(|prompt| prompt.chars().take(PURPOSE_CHARS_MAX).collect()));
    }
    start
}

/// Names no tool that there is: no name of a tool is this short.
const NO_TOOL: &str = "-";
/// How much of a prompt stands for a purpose, in characters.
const PURPOSE_CHARS_MAX: usize = 200;

fn list(context: &Context) -> anyhow::Result<()> {
    let (state, now) = super::reading(context)?;
    let mut tasks: Vec<TaskView> = state.tasks().map(|task| TaskView::of(&state, task, now)).collect();
    tasks.sort_by_key(|task| std::cmp::Reverse(task.starts));
    match context.output {
        Output::Json => print_json(&json!({ "tasks": tasks.iter().map(task_json).collect::<Vec<_>>() })),
        Output::Text if tasks.is_empty() => print("no task in the last day\n"),
        Output::Text => {
            let mut table = Table::new(&["task", "", "agent for", "purpose", "calls", "read", "lease ends"]);
            for task in &tasks {
                let running = task.standing == "running";
                let style = if running { GOOD } else { DIM };
                let plain = if running { anstyle::Style::new() } else { DIM };
                table.row(vec![
                    (task.id.clone(), BOLD),
                    (task.standing.to_owned(), style),
                    (format!("{} for {}", task.agent, task.requester), plain),
                    (printable(&task.purpose), plain),
                    (task.calls.to_string(), plain),
                    (task.items.to_string(), plain),
                    (distance(now, task.ends), plain),
                ]);
            }
            print(&table.render())
        }
    }
}

fn show(context: &Context, id: &TaskId) -> anyhow::Result<()> {
    let (state, now) = super::reading(context)?;
    let Some(task) = state.task(id) else { return Err(no_such(id)) };
    let view = TaskView::of(&state, task, now);
    if context.output == Output::Json {
        return print_json(&task_json(&view));
    }
    let style = if view.standing == "running" { GOOD } else { WARN };
    let mut out = format!("{BOLD}{}{BOLD:#}  {style}{}{style:#}\n", view.id, view.standing);
    let budget =
        |used: u64, most: Option<u64>| most.map_or_else(|| format!("{used}, no bound"), |most| format!("{used} of {most}"));
    pairs(
        &mut out,
        &[
            ("agent", view.agent.clone()),
            ("for", view.requester.clone()),
            ("purpose", printable(&view.purpose)),
            ("words", printable(&view.words)),
            (
                "answer is for",
                if view.address_open {
                    format!("{}, and whom a relation or the system of record names", names(&view.address))
                } else {
                    names(&view.address)
                },
            ),
            (
                "effects",
                view.effects
                    .as_ref()
                    .map_or_else(|| "none in particular".to_owned(), |effects| names(effects.iter().map(|effect| effect.word()))),
            ),
            ("resources", view.resources.as_ref().map_or_else(|| "none in particular".to_owned(), names)),
            ("tools beyond reading", view.tools.as_ref().map_or_else(|| "none in particular".to_owned(), names)),
            ("calls", budget(view.calls, view.budget.calls)),
            ("items read", budget(view.items, view.budget.items)),
            ("spent", budget(view.spent, view.budget.amount)),
            ("started", moment(view.starts)),
            ("lease ends", format!("{} ({})", moment(view.ends), distance(now, view.ends))),
        ],
    );
    if let Some(until) = view.until {
        let renewed = count(view.renewals, "time", "times");
        pairs(&mut out, &[("may be renewed until", format!("{}; {renewed} by rule since somebody looked", moment(until)))]);
    }
    out.push_str(&format!("\n{DIM}prudence ledger show --task {} tells what happened in it{DIM:#}\n", view.id));
    print(&out)
}

async fn renew(context: &Context, id: &TaskId, by: &PrincipalId, lease_ms: u64) -> anyhow::Result<()> {
    let house = assemble::open(configuration(&context.config)?)?;
    house.configure().await?;
    let task = match house.engine.renew_task(id, by, lease_ms).await {
        Ok(task) => task,
        Err(RenewError::Unavailable(error)) => return Err(error.into()),
        Err(RenewError::Not(NotRenewed::Unknown(id))) => return Err(no_such(&id)),
        Err(RenewError::Not(why)) => return Err(Failure::Refused { sentence: why.to_string(), help: None }.into()),
    };
    let chain = if task.chain.is_empty() { vec![task.requester.clone(), task.agent.clone()] } else { task.chain.clone() };
    // Where a program has a key of its own, a token without one is worth nothing.
    let bearer = Caller::new(chain.clone(), Some(task.id.clone()));
    let is_of_bearer = !house.engine.view(|state, _| state.is_foreign_key(&bearer));
    let token = is_of_bearer.then(|| house.issuer.task_token(&task, &chain[1..], house.engine.now())).transpose()?;
    if context.output == Output::Json {
        return print_json(&json!({ "task": task.id, "by": by, "token": token, "expires": rfc3339(task.ends) }));
    }
    let mut out =
        format!("{GOOD}renewed{GOOD:#} {BOLD}{}{BOLD:#} until {} by {}\n", task.id, moment(task.ends), printable(by.as_str()));
    match token {
        Some(token) => out.push_str(&format!("\n{DIM}the agent presents{DIM:#}\nAuthorization: Bearer {token}\n")),
        None => out.push_str(&format!("{DIM}its program goes on when it refreshes its token{DIM:#}\n")),
    }
    print(&out)
}

async fn end(context: &Context, id: &TaskId) -> anyhow::Result<()> {
    let house = assemble::open(configuration(&context.config)?)?;
    if !house.engine.view(|state, _| state.task(id).is_some()) {
        return Err(no_such(id));
    }
    let ended = house.engine.end_task(id).await?;
    match context.output {
        Output::Json => print_json(&json!({ "task": id, "ended": ended })),
        Output::Text if ended => print(&format!("{GOOD}ended{GOOD:#} {id}: its token is worth nothing any more\n")),
        Output::Text => print(&format!("{id} had ended before\n")),
    }
}

fn no_such(id: &TaskId) -> anyhow::Error {
    Failure::Helpless {
        sentence: format!("there is no task `{id}`"),
        help: "`prudence task list` shows those of the last day".to_owned(),
    }
    .into()
}

fn task_json(view: &TaskView) -> Value {
    let mut value = serde_json::to_value(view).expect("a view is plain data");
    for (key, at) in [("starts", view.starts), ("ends", view.ends)] {
        value[key] = rfc3339(at);
    }
    value["until"] = view.until.map(rfc3339).unwrap_or_default();
    value
}

fn rfc3339(at: Moment) -> Value {
    render::rfc3339(at).into()
}
