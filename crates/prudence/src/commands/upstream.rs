//! `prudence upstream`: what upstreams want to see, linked, set, shown without its secret, and taken away. A running server sees it at once.

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::{RawQuery, State};
use axum::response::Html;
use broker::{Broker, KeySource, Kind, Linked, Per, Place, SECRET_BYTES_MAX, Scheme, Secret, Standing};
use judge::name::PrincipalId;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Context, now, print, print_json};
use crate::assemble::configuration;
use crate::cli::{Output, UpstreamCommand};
use crate::config::Loaded;
use crate::credentials::{KEY_VARIABLE, LOOPBACK_REDIRECT, broker_for_commands, key_source};
use crate::failure::Failure;
use crate::render::{BAD, BOLD, DIM, GOOD, Table, WARN, count, moment};

/// How long a person has to agree.
const AGREE_TIME_MAX: Duration = Duration::from_secs(10 * 60);

/// Runs the command.
///
/// # Errors
/// When it cannot be done; nothing of a secret is in it.
pub async fn run(context: &Context, command: UpstreamCommand) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    match command {
        UpstreamCommand::Link { upstream, person, paste } => link(context, &loaded, &upstream, &person, paste).await?,
        UpstreamCommand::Unlink { upstream, person } => {
            known(&loaded, &upstream, Some(&person))?;
            forget(context, &loaded, &upstream, Some(&person)).await?;
        }
        UpstreamCommand::SetKey { upstream, person } => set_key(context, &loaded, &upstream, person.as_ref()).await?,
        UpstreamCommand::UnsetKey { upstream, person } => forget(context, &loaded, &upstream, person.as_ref()).await?,
        UpstreamCommand::List => list(context, &loaded)?,
        UpstreamCommand::RotateKey => rotate_key(context, &loaded).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// That the upstream is configured, and the person registered: a slip of the pen links nobody.
fn known(loaded: &Loaded, upstream: &str, person: Option<&PrincipalId>) -> anyhow::Result<()> {
    let settings = &loaded.settings;
    if !settings.upstreams.iter().any(|known| known.name == upstream && known.credential.is_some()) {
        return Err(Failure::Helpless {
            sentence: format!("no upstream `{upstream}` has a credential"),
            help: "say what it wants to see under `[upstreams.credential]`; docs/upstreams.md tells how".to_owned(),
        }
        .into());
    }
    if let Some(person) = person
        && !settings.people.iter().any(|known| known.id == *person)
    {
        tracing::warn!(%person, "is none of `[[people]]`: it works when the directory has them");
    }
    Ok(())
}

async fn link(context: &Context, loaded: &Loaded, upstream: &str, person: &PrincipalId, paste: bool) -> anyhow::Result<()> {
    known(loaded, upstream, Some(person))?;
    let broker = broker_for_commands(loaded)?;
    let configured = loaded.settings.upstreams.iter().find(|known| known.name == upstream);
    let redirect = configured.and_then(|known| known.credential.as_ref()?.redirect.clone());
    let redirect = redirect.unwrap_or_else(|| LOOPBACK_REDIRECT.to_owned());
    let linked = if paste {
        let (linking, url) = broker.begin_link(upstream, person.as_str(), &redirect)?;
        say_where(context, person, &url)?;
        anstream::eprintln!("{DIM}then paste the address to which the browser was sent:{DIM:#}");
        let answer = first_line()?;
        broker.finish_link(linking, query_of(&answer)).await?
    } else {
        link_by_loopback(context, &broker, upstream, person, &redirect).await?
    };
    show_linked(context, upstream, person, &linked)
}

/// Takes the answer at a port of this machine (RFC 8252 §7.3).
async fn link_by_loopback(
    context: &Context,
    broker: &Broker,
    upstream: &str,
    person: &PrincipalId,
    redirect: &str,
) -> anyhow::Result<Linked> {
    let wanted: axum::http::Uri = redirect.parse().context("`redirect`")?;
    // Whatever the name says: only this machine can come back.
    let host = if wanted.host() == Some("[::1]") { "[::1]" } else { "127.0.0.1" };
    let listener = TcpListener::bind(format!("{host}:{}", wanted.port_u16().unwrap_or(0))).await;
    let listener = listener.with_context(|| format!("cannot listen at `{redirect}`"))?;
    let (shown_host, port) = (wanted.host().unwrap_or(host), listener.local_addr()?.port());
    let redirect = format!("http://{shown_host}:{port}{}", wanted.path());
    let (linking, url) = broker.begin_link(upstream, person.as_str(), &redirect)?;
    say_where(context, person, &url)?;
    let (answers, mut answered) = mpsc::channel(1);
    let router = axum::Router::new().route(wanted.path(), axum::routing::get(come_back)).with_state(Arc::new(answers));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let answer = tokio::time::timeout(AGREE_TIME_MAX, answered.recv()).await;
    let query = answer.ok().flatten().ok_or_else(|| Failure::Helpless {
        sentence: format!("nobody came back within {} min", AGREE_TIME_MAX.as_secs() / 60),
        help: "run it again; with --paste the browser may be on another machine".to_owned(),
    })?;
    let linked = broker.finish_link(linking, &query).await;
    // The page that says so is still on its way to the browser.
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.abort();
    Ok(linked?)
}

/// The browser is back. Who brings another answer first is told no, and the command ends: a link is never finished with what a stranger sends.
async fn come_back(State(answers): State<Arc<mpsc::Sender<String>>>, RawQuery(query): RawQuery) -> Html<&'static str> {
    // A second answer has nobody to go to.
    let _ = answers.try_send(query.unwrap_or_default());
    Html("<!doctype html><title>prudence</title><p>Prudence has the answer. You can close this page, and go back to the command.")
}

fn say_where(context: &Context, person: &PrincipalId, url: &str) -> anyhow::Result<()> {
    match context.output {
        Output::Json => print_json(&json!({ "url": url })),
        Output::Text => print(&format!("{BOLD}{person}{BOLD:#} opens this address and agrees:\n\n  {url}\n\n")),
    }
}

fn show_linked(context: &Context, upstream: &str, person: &PrincipalId, linked: &Linked) -> anyhow::Result<()> {
    match context.output {
        Output::Json => print_json(&json!({
            "upstream": upstream, "person": person, "expires_ms": linked.expires, "renewable": linked.renewable,
        })),
        Output::Text => {
            let until = match (linked.renewable, linked.expires) {
                (true, _) => "it is renewed by itself".to_owned(),
                (false, Some(expires)) => format!("it ends {} and cannot be renewed", moment(expires)),
                (false, None) => "no end was said".to_owned(),
            };
            print(&format!("{GOOD}linked{GOOD:#} {person} with {upstream}\n{DIM}{until}{DIM:#}\n"))
        }
    }
}

/// What stands behind the `?` of an address, or all of it.
fn query_of(answer: &str) -> &str {
    let answer = answer.trim();
    let query = answer.split_once('?').map_or(answer, |(_, query)| query);
    query.split('#').next().unwrap_or(query)
}

fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}

async fn set_key(context: &Context, loaded: &Loaded, upstream: &str, person: Option<&PrincipalId>) -> anyhow::Result<()> {
    known(loaded, upstream, person)?;
    let broker = broker_for_commands(loaded)?;
    let place = key_place(&broker, upstream, person)?;
    let kind = place.kind;
    let mut text = String::with_capacity(SECRET_BYTES_MAX + 2);
    std::io::stdin().take(SECRET_BYTES_MAX as u64 + 2).read_to_string(&mut text).context("standard input")?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    broker.set(place, &Secret::parse(text)?).await?;
    match context.output {
        Output::Json => print_json(&json!({ "upstream": upstream, "person": person, "kind": kind.word() })),
        Output::Text => {
            let whose = person.map(|person| format!(" of {person}")).unwrap_or_default();
            print(&format!("{GOOD}set{GOOD:#} the {} for {upstream}{whose}\n", kind.word()))
        }
    }
}

/// Where a secret lies that somebody types.
fn key_place(broker: &Broker, upstream: &str, person: Option<&PrincipalId>) -> anyhow::Result<Place> {
    let refuse = |sentence: String, help: String| Err(Failure::Helpless { sentence, help }.into());
    let scheme = broker.scheme(upstream);
    let of_person = matches!(scheme, Some(Scheme::ApiKey { per: Per::Person, .. }));
    let kind = if matches!(scheme, Some(Scheme::ApiKey { .. })) { Kind::Key } else { Kind::ClientSecret };
    match (of_person, person) {
        (true, None) => refuse(
            format!("each person has a key of their own for upstream `{upstream}`"),
            format!("prudence upstream set-key {upstream} --person WHO"),
        ),
        (false, Some(_)) => refuse(
            format!("the {} for upstream `{upstream}` is everybody's", kind.word()),
            format!("prudence upstream set-key {upstream}"),
        ),
        (_, person) => Ok(Place { upstream: upstream.to_owned(), person: person.map(ToString::to_string), kind }),
    }
}

async fn forget(context: &Context, loaded: &Loaded, upstream: &str, person: Option<&PrincipalId>) -> anyhow::Result<()> {
    // Also of an upstream that is configured no more, as long as there is another.
    let removed = broker_for_commands(loaded)?.forget(upstream, person.map(PrincipalId::as_str)).await?;
    let whose = person.map_or_else(|| "everybody".to_owned(), ToString::to_string);
    match context.output {
        Output::Json => print_json(&json!({ "upstream": upstream, "person": person, "removed": removed })),
        Output::Text if removed => print(&format!(
            "{GOOD}removed{GOOD:#} what was kept of {whose} for {upstream}\n{DIM}what the upstream itself knows of it is not changed: revoke it there too{DIM:#}\n"
        )),
        Output::Text => print(&format!("nothing was kept of {whose} for {upstream}\n")),
    }
}

fn list(context: &Context, loaded: &Loaded) -> anyhow::Result<()> {
    let all = broker_for_commands(loaded)?.list()?;
    if context.output == Output::Json {
        let of = |(place, standing): &(Place, Standing)| {
            json!({
                "upstream": place.upstream, "person": place.person, "kind": place.kind.word(), "since_ms": standing.set,
                "expires_ms": standing.expires, "renewable": standing.renewable, "ended": standing.ended,
            })
        };
        return print_json(&json!({ "credentials": all.iter().map(of).collect::<Vec<_>>() }));
    }
    if all.is_empty() {
        return print("nothing is linked or set (`prudence upstream link`, `prudence upstream set-key`)\n");
    }
    let mut table = Table::new(&["upstream", "person", "", "since", "until"]);
    for (place, standing) in all {
        let (until, style) = match (&standing.ended, standing.renewable, standing.expires) {
            (Some(why), _, _) => (format!("ended: {why}"), BAD),
            (None, true, _) => ("renewed by itself".to_owned(), GOOD),
            (None, false, Some(expires)) if expires <= now() => ("over".to_owned(), BAD),
            (None, false, Some(expires)) => (moment(expires), WARN),
            (None, false, None) => ("no end".to_owned(), DIM),
        };
        let person = place.person.unwrap_or_else(|| "everybody".to_owned());
        let plain = anstyle::Style::new();
        let (kind, since) = (place.kind.word().to_owned(), moment(standing.set));
        table.row(vec![(place.upstream, BOLD), (person, plain), (kind, DIM), (since, plain), (until, style)]);
    }
    print(&table.render())
}

async fn rotate_key(context: &Context, loaded: &Loaded) -> anyhow::Result<()> {
    let source = key_source(loaded);
    match &source {
        KeySource::File(path) if path.exists() => broker::rotate(path)?,
        KeySource::File(path) => broker::generate(path)?,
        // The one who sets the variable puts the new key first.
        KeySource::Text(_) => {}
    }
    let (done, lost) = match crate::credentials::broker(loaded, Arc::new(now))? {
        Some(broker) => broker.reseal().await?,
        None => (0, 0),
    };
    match context.output {
        Output::Json => print_json(&json!({ "resealed": done, "unreadable": lost }))?,
        Output::Text => {
            let what = match source {
                KeySource::File(_) => "a new key seals from now on",
                KeySource::Text(_) => "the first key seals from now on",
            };
            let kept = match source {
                KeySource::File(_) => {
                    "the former key stays in the file until the next time, so that a running server goes on".to_owned()
                }
                KeySource::Text(_) => {
                    format!("the former key can leave {KEY_VARIABLE} when every server was started with the new one")
                }
            };
            print(&format!(
                "{GOOD}{what}{GOOD:#}; {} sealed anew\n{DIM}{kept}{DIM:#}\n",
                count(done as u64, "credential is", "credentials are")
            ))?;
        }
    }
    if lost > 0 {
        tracing::warn!(lost, "credentials cannot be opened with any key that is here: link or set them again");
    }
    Ok(())
}
