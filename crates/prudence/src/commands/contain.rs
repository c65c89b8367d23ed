//! `prudence kill` and `prudence reset`: a person stops something, or lets it go on. Both are recorded before they hold.
//!
//! A server that runs is told over its API, which holds at once however busy it is; when nothing answers that can prove that it holds our
//! key, it is written into the ledger, where a server that could not be reached finds it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use authority::Issuer;
use authority::contain::{self, Word};
use engine::ContainError;
use judge::contain::{NotContained, Right};
use serde_json::{Value, json};

use super::{Context, now, print, print_json};
use crate::assemble::{self, configuration};
use crate::cli::{Kill, Output, Reset};
use crate::config::Loaded;
use crate::failure::Failure;
use crate::render::{BAD, BOLD, GOOD, printable};

/// How long the server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Stops something with everything that was derived from it.
///
/// # Errors
/// When whoever decides is nobody, there is nothing of this name, or it could not be recorded.
pub async fn kill(context: &Context, Kill { target, by, why }: Kill) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let word = Word { target: target.word(), by: Some(by.clone()), why };
    if !told(&loaded, contain::KILL, &word).await? {
        let house = assemble::open(loaded)?;
        house.engine.kill(&target, &by, Right::Operator, &word.why).await.map_err(helpless)?;
    }
    match context.output {
        Output::Json => print_json(&json!({ "killed": target, "by": by }))?,
        Output::Text => print(&format!(
            "{BAD}stopped{BAD:#} {BOLD}{}{BOLD:#}: no call of it is let through any more\n",
            printable(&target.to_string())
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes a kill back, or lets go on what a breaker froze.
///
/// # Errors
/// As [`kill`], and when it is not stopped.
pub async fn reset(context: &Context, Reset { target, by }: Reset) -> anyhow::Result<ExitCode> {
    let loaded = configuration(&context.config)?;
    let word = Word { target: target.word(), by: Some(by.clone()), why: String::new() };
    if !told(&loaded, contain::RESET, &word).await? {
        let house = assemble::open(loaded)?;
        house.engine.reset(&target, &by, Right::Operator).await.map_err(helpless)?;
    }
    match context.output {
        Output::Json => print_json(&json!({ "reset": target, "by": by }))?,
        Output::Text => {
            print(&format!("{GOOD}reset{GOOD:#} {BOLD}{}{BOLD:#}: it may go on\n", printable(&target.to_string())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells the server that runs here. False when none answers, when what answers does not prove that it holds our key, or when it refuses, for
/// the ledger then says why.
async fn told(loaded: &Loaded, path: &str, word: &Word) -> anyhow::Result<bool> {
    let Some(listens) = loaded.settings.server.api_listen else { return Ok(false) };
    let issuer: Issuer = crate::door::issuer(&loaded.settings, &assemble::keys(loaded)?);
    let body = serde_json::to_vec(word)?;
    let token = contain::seal(&issuer, path, &body, now())?;
    let scheme = crate::door::scheme(&loaded.settings);
    // Its certificate is for the name by which others reach it. That the answer is our server's is shown by its key, below, and what is sent is
    // sealed for this one word.
    let client = straight().tls_danger_accept_invalid_certs(scheme == "https").build()?;
    let request = client.post(format!("{scheme}://{}{path}", reached_at(listens))).bearer_auth(&token).body(body);
    let Ok(answer) = request.send().await else { return Ok(false) };
    let said: Value = answer.json().await.unwrap_or_default();
    Ok(contain::is_done(&issuer, &token, &said, now()))
}

/// Straight to the address, for what listens on this machine: no proxy, no redirect, and an answer within seconds.
pub fn straight() -> reqwest::ClientBuilder {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).tcp_nodelay(true);
    client.redirect(reqwest::redirect::Policy::none())
}

/// Who listens everywhere is reached on this machine.
fn reached_at(listens: SocketAddr) -> SocketAddr {
    if listens.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listens.port()) } else { listens }
}

fn helpless(error: ContainError) -> anyhow::Error {
    match error {
        ContainError::Not(not) => refused(NotContained::to_string(&not)),
        ContainError::Unavailable(error) => error.into(),
    }
}

fn refused(sentence: String) -> anyhow::Error {
    let help = "`--by` names an active person of the directory; `prudence task list` shows the tasks of the last day, and \
                `prudence ledger show` what was stopped and when";
    Failure::Helpless { sentence, help: help.to_owned() }.into()
}
