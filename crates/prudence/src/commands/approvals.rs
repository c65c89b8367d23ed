//! `prudence approvals`: what agents ask of people. The rules about who may answer are the judge's.

use std::process::ExitCode;

use authority::view::{AskView, Standing};
use engine::AnswerError;
use judge::name::{AskId, PrincipalId};
use serde_json::{Value, json};

use super::history::History;
use super::{Context, print, print_json};
use crate::assemble::{self, configuration};
use crate::cli::{ApprovalsCommand, Output};
use crate::failure::Failure;
use crate::render::{self, BAD, BOLD, DIM, GOOD, Table, WARN, distance, names};

/// Runs the command.
///
/// # Errors
/// When there is no such ask, or this person may not answer it.
pub async fn run(context: &Context, command: ApprovalsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ApprovalsCommand::List { all } => list(context, all)?,
        ApprovalsCommand::Show { ask } => show(context, &ask)?,
        ApprovalsCommand::Approve { ask, person } => answer(context, &ask, &person, true).await?,
        ApprovalsCommand::Deny { ask, person } => answer(context, &ask, &person, false).await?,
        ApprovalsCommand::Token { person, lease } => token(context, &person, lease.ms())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(context: &Context, all: bool) -> anyhow::Result<()> {
    let (state, now) = super::reading(context)?;
    let asks: Vec<AskView> =
        state.asks().map(|ask| AskView::of(&state, ask, now)).filter(|ask| all || ask.standing == Standing::Open).collect();
    if context.output == Output::Json {
        return print_json(&json!({ "approvals": asks.iter().map(ask_json).collect::<Vec<_>>() }));
    }
    if asks.is_empty() {
        return print(if all { "nothing was asked in the last day\n" } else { "nothing waits for an answer\n" });
    }
    let mut table = Table::new(&["ask", "", "who", "wants to", "on", "because of", "until"]);
    for ask in &asks {
        let style = match &ask.standing {
            Standing::Open => WARN,
            Standing::Approved { .. } => GOOD,
            Standing::Denied { .. } => BAD,
            Standing::Expired | Standing::Withdrawn | Standing::Used { .. } => DIM,
        };
        let plain = anstyle::Style::new();
        table.row(vec![
            (ask.id.clone(), BOLD),
            (ask.standing.word().to_owned(), style),
            (names(&ask.chain).replace(", ", " → "), plain),
            (names(ask.call.effects.iter().map(|effect| effect.word())), plain),
            (names(if ask.call.resources.is_empty() { &ask.call.recipients } else { &ask.call.resources }), plain),
            (names(ask.reasons.iter().map(|reason| reason.ground.as_str())), plain),
            (distance(now, ask.expires), plain),
        ]);
    }
    print(&format!("{}\n{DIM}prudence approvals show ASK tells everything about one{DIM:#}\n", table.render()))
}

fn show(context: &Context, id: &AskId) -> anyhow::Result<()> {
    let (state, now, known) = super::reading_with_history(context)?;
    let Some(ask) = state.ask(id) else { return Err(no_such(id)) };
    let mut view = AskView::of(&state, ask, now);
    view.audience.names = audience(&known, ask);
    match context.output {
        Output::Json => print_json(&ask_json(&view)),
        Output::Text => print(&render::ask(&view, now)),
    }
}

/// The people of the audience by name, as long as that is readable.
fn audience(known: &History, ask: &judge::state::AskState) -> Vec<String> {
    /// More names than a person would read.
    const NAMES_MAX: usize = 20;
    let people = ask.act.audience.as_ref().and_then(|reach| known.people(&reach.people)).unwrap_or_default();
    if people.len() > NAMES_MAX { Vec::new() } else { people }
}

async fn answer(context: &Context, id: &AskId, person: &PrincipalId, yes: bool) -> anyhow::Result<()> {
    let house = assemble::open(configuration(&context.config)?)?;
    match house.engine.answer(id, person, yes).await {
        Ok(()) => {}
        Err(AnswerError::MayNot(judge::decide::MayNotAnswer::Unknown)) => return Err(no_such(id)),
        Err(AnswerError::MayNot(why)) => {
            return Err(Failure::Refused {
                sentence: why.to_string(),
                help: Some(format!("`prudence approvals show {id}` names those who may answer")),
            }
            .into());
        }
        Err(AnswerError::Unavailable(error)) => return Err(error.into()),
    }
    match context.output {
        Output::Json => print_json(&json!({ "approval": id, "by": person, "answer": if yes { "yes" } else { "no" } })),
        Output::Text if yes => print(&format!(
            "{GOOD}approved{GOOD:#} {id} by {person}: the same call, sent again, is decided again and goes through once\n"
        )),
        Output::Text => print(&format!("{BAD}denied{BAD:#} {id} by {person}\n")),
    }
}

fn token(context: &Context, person: &PrincipalId, span_ms: u64) -> anyhow::Result<()> {
    let house = assemble::open(configuration(&context.config)?)?;
    house.loaded.settings.people.iter().find(|known| known.id == *person).ok_or_else(|| Failure::Refused {
        sentence: format!("`{person}` is no person of the directory"),
        help: Some("people are `[[people]]` of the configuration".to_owned()),
    })?;
    let token = house.issuer.person_token(person, house.engine.now(), span_ms)?;
    match context.output {
        Output::Json => print_json(&json!({ "person": person, "token": token })),
        Output::Text => print(&format!("{token}\n")),
    }
}

fn no_such(id: &AskId) -> anyhow::Error {
    Failure::Helpless {
        sentence: format!("there is no ask `{id}`"),
        help: "`prudence approvals list --all` shows those of the last day".to_owned(),
    }
    .into()
}

fn ask_json(view: &AskView) -> Value {
    let mut value = serde_json::to_value(view).expect("a view is plain data");
    value["asked"] = render::rfc3339(view.asked).into();
    value["expires"] = render::rfc3339(view.expires).into();
    value
}
