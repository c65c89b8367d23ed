//! `prudence serve`: the gateway, until it is told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use authority::Clients;
use contract::Standing;
use gateway::listener::InTime;
use gateway::tls::Tls;
use gateway::{Gateway, GatewayConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Context, print, print_json};
use crate::assemble::{self, House};
use crate::cli::Output;
use crate::config::Loaded;
use crate::config::settings::{Credential, Door, Mode, Settings, Upstream};
use crate::failure::Failure;
use crate::gate;
use crate::render::{BAD, BOLD, DIM, GOOD, Table, WARN, count};

/// Runs the command.
///
/// # Errors
/// When something that it needs cannot be opened.
pub async fn run(context: &Context, listen: Option<SocketAddr>) -> anyhow::Result<ExitCode> {
    let loaded = with_contracts(&context.config)?;
    if loaded.settings.upstreams.is_empty() {
        return Err(Failure::Helpless {
            sentence: format!("`{}` has no upstream, so there is nothing to stand in front of", loaded.path.display()),
            help: "add an `[[upstreams]]` block; `prudence init` shows two".to_owned(),
        }
        .into());
    }
    let contracts = gate::contracts(&loaded)?;
    let config = GatewayConfig { recording: gate::recording(&loaded), ..gate::config(&loaded.settings)? };
    let listen = match listen {
        Some(listen) => listen,
        None => loaded.settings.server.listen.parse().context("`server.listen`")?,
    };
    let tls = tls(&loaded)?;
    let alarms = crate::alarms::channels(&loaded.settings.alarms, false)?;
    let house = assemble::open(loaded)?;
    house.configure().await?;
    house.engine.settle().await?;
    let clock = house.engine.clone();
    let broker = crate::credentials::broker(&house.loaded, std::sync::Arc::new(move || clock.now()))?;
    let config = GatewayConfig { broker, ..config };
    let gateway = Gateway::new(config, house.engine.clone(), contracts, gate::believed(&house.issuer))
        .map_err(|errors| gate::wrong(&errors))?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen at {listen}"))?;
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_signal(shutdown.clone())?);
    let settings = &house.loaded.settings;
    if !alarms.is_empty() {
        let store = house.loaded.beside(&settings.server.store);
        crate::alarms::start(alarms, std::sync::Arc::new(assemble::ledger_to_read(&house.loaded)?), &store, &shutdown);
    }
    let clients_at = |door: Door| Clients::at(door.audience(), settings.clients_of(door));
    let (provisioning, enforcing) = (clients_at(Door::Scim), clients_at(Door::Authzen));
    if let Some(api) = settings.server.api_listen {
        let listener = TcpListener::bind(api).await.with_context(|| format!("cannot listen at {api}"))?;
        let directory = authority::scim::router(
            house.engine.clone(),
            house.issuer.clone(),
            provisioning.clone(),
            settings.server.api_url.clone(),
        );
        let router =
            authority::api::router(house.engine.clone(), house.issuer.clone(), house.keys.operator.clone()).merge(directory);
        let router = match &settings.authzen {
            Some(authzen) => router.merge(gate::decision_point(authzen, &house, enforcing.clone())),
            None => router,
        };
        let router = match crate::door::server(&house)? {
            Some(oauth) => router.merge(oauth.router()),
            None => router,
        };
        let (limits, tls, stop) = (gate::limits(&settings.limits), tls.clone(), shutdown.clone());
        let time_max = limits.read_time_max;
        let respond = move |request| router.clone().oneshot(InTime::of(request, time_max));
        tokio::spawn(async move { gateway::listener::serve(listener, tls, &limits, respond, stop).await });
    }
    let address = listener.local_addr()?;
    let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let serving = async {
        match tls.clone() {
            Some(tls) => gateway.serve_https(listener, tls, shutdown.clone()).await,
            None => gateway.serve_http(listener, shutdown.clone()).await,
        }
    };
    // The gateway answers while the servers behind it are still being asked what they have.
    let running =
        Running { house: &house, gateway: &gateway, tls: tls.as_ref(), provisioning: &provisioning, enforcing: &enforcing };
    tokio::join!(serving, banner(context, &house, address, &shutdown), reload_on(hangup, context, &running, &shutdown));
    Ok(ExitCode::SUCCESS)
}

/// TLS for both listeners, if they speak it.
fn tls(loaded: &Loaded) -> anyhow::Result<Option<Tls>> {
    let config = crate::door::tls(&loaded.settings, |file| loaded.beside(file)).map_err(|(error, _)| error)?;
    Ok(config.map(|config| Tls::new(&config)).transpose()?)
}

fn with_contracts(path: &Path) -> anyhow::Result<Loaded> {
    Ok(crate::config::load_with_contracts(path).map_err(Failure::from)?)
}

/// What takes another configuration while it runs.
struct Running<'a> {
    house: &'a House,
    gateway: &'a Gateway,
    tls: Option<&'a Tls>,
    provisioning: &'a Clients,
    enforcing: &'a Clients,
}

/// Takes the configuration again at every hangup signal, until `shutdown`.
async fn reload_on(
    mut hangup: tokio::signal::unix::Signal,
    context: &Context,
    running: &Running<'_>,
    shutdown: &CancellationToken,
) {
    loop {
        tokio::select! {
            signal = hangup.recv() => if signal.is_none() { return },
            () = shutdown.cancelled() => return,
        }
        let path = running.house.loaded.path.display();
        if let Err(error) = reload(context, running).await {
            tracing::error!("`{path}` was not taken, and what was in force stays in force");
            // The code is for a command that ends; this one does not.
            let _ = crate::failure::report(&error, Output::Text);
        }
    }
}

/// Puts directory, policies, contracts and clients of the files in force, all or none of them: nothing is touched before everything was read and
/// found right, and the one thing that can still fail, the record of it, comes first.
async fn reload(context: &Context, running: &Running<'_>) -> anyhow::Result<()> {
    let Running { house, gateway, tls, provisioning, enforcing } = running;
    let path = house.loaded.path.clone();
    let (loaded, contracts, shown) = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let loaded = with_contracts(&path)?;
        let contracts = gate::contracts(&loaded)?;
        let tls = crate::door::tls(&loaded.settings, |file| loaded.beside(file)).map_err(|(error, _)| error)?;
        Ok((loaded, contracts, tls))
    })
    .await??;
    // Other files wait for the start, as whatever else the settings say of TLS; the same files may hold newer certificates.
    let is_same_tls = loaded.settings.server.tls == house.loaded.settings.server.tls;
    let shown = shown.filter(|_| is_same_tls);
    house.configure_as(&loaded).await?;
    if let (Some(tls), Some(shown)) = (tls, shown) {
        tls.renew(&shown)?;
    }
    gateway.set_contracts(contracts);
    provisioning.set(loaded.settings.clients_of(Door::Scim));
    enforcing.set(loaded.settings.clients_of(Door::Authzen));
    if started_with(&loaded.settings) != started_with(&house.loaded.settings) {
        tracing::warn!(
            "`[server]`, `[authzen]`, `[authorization]`, `[[oauth_clients]]`, `[[identity_providers]]`, `[[alarms]]`, `[limits]`, `[[upstreams]]`, the mode of an agent, \
             `ask_lifetime` and `refusal` changed: they hold when the gateway is started again"
        );
    }
    let digest = loaded.bundle.digest();
    // Nobody has to read it.
    let _ = match context.output {
        Output::Json => print_json(&serde_json::json!({ "reloaded": loaded.path, "digest": digest })),
        Output::Text => print(&format!("{GOOD}took{GOOD:#} {} again\n", loaded.path.display())),
    };
    Ok(())
}

/// What a running gateway was built with, and does not change.
fn started_with(settings: &Settings) -> String {
    let modes: Vec<_> = settings.agents.iter().filter(|agent| agent.mode == Mode::Observe).map(|agent| &agent.id).collect();
    let upstreams: Vec<_> = settings.upstreams.iter().map(|upstream| Upstream { contract: None, ..upstream.clone() }).collect();
    let policies = (&settings.policies.ask_lifetime, &settings.policies.refusal);
    let doors = (&settings.authzen, &settings.authorization, &settings.oauth_clients, &settings.identity_providers);
    format!("{:?}", (&settings.server, doors, &settings.limits, upstreams, modes, policies, &settings.alarms))
}

/// Cancels on the first interrupt or termination; a second one ends the program at once.
fn stop_on_signal(shutdown: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(130);
            }
            shutdown.cancel();
        }
    })
}

/// Says where it is, what is behind it, and where to look next. Nobody has to read it: the gateway serves all the same.
async fn banner(context: &Context, house: &House, address: SocketAddr, shutdown: &CancellationToken) {
    let settings = &house.loaded.settings;
    let scheme = crate::door::scheme(settings);
    let shown = match context.output {
        Output::Json => print_json(
            &serde_json::json!({ "listening": format!("{scheme}://{address}/mcp"), "upstreams": settings.upstreams.len() }),
        ),
        Output::Text => {
            let door = settings.authorization.as_ref().map(|authorization| crate::door::issuer_url(settings, authorization));
            let door = door.map(|url| format!("agents log in at {GOOD}{url}{GOOD:#}\n")).unwrap_or_default();
            print(&format!(
                "{BOLD}prudence{BOLD:#} listens at {GOOD}{scheme}://{address}/mcp{GOOD:#}\n{door}{}",
                observing(house)
            ))
        }
    };
    if shown.is_err() || context.output == Output::Json {
        return;
    }
    let mut table = Table::new(&["upstream", "tools", ""]);
    for upstream in &settings.upstreams {
        let standing = tokio::select! {
            standing = standing(house, upstream) => standing,
            () = shutdown.cancelled() => return,
        };
        let plain = anstyle::Style::new();
        match standing {
            Ok((tools, text, good)) => {
                let tools = tools.map_or_else(|| "–".to_owned(), |tools| tools.to_string());
                table.row(vec![(upstream.name.clone(), BOLD), (tools, plain), (text, if good { GOOD } else { WARN })])
            }
            Err(error) => table.row(vec![(upstream.name.clone(), BOLD), ("–".to_owned(), plain), (format!("{error:#}"), BAD)]),
        }
    }
    let _ = print(&format!(
        "\n{}\n{DIM}prudence task start …        a token for an agent\nprudence approvals list      what waits for a person\nprudence ledger show -f      what happens{DIM:#}\n",
        table.render()
    ));
}

/// Loudly, what is not stopped, and what is kept in clear.
fn observing(house: &House) -> String {
    let settings = &house.loaded.settings;
    let upstreams = settings
        .upstreams
        .iter()
        .filter(|upstream| upstream.mode == Mode::Observe)
        .map(|upstream| format!("upstream {}", upstream.name));
    let agents = settings.agents.iter().filter(|agent| agent.mode == Mode::Observe).map(|agent| format!("agent {}", agent.id));
    let observed: Vec<String> = upstreams.chain(agents).collect();
    let mut said = String::new();
    if !observed.is_empty() {
        said = format!(
            "{BAD}ONLY OBSERVING{BAD:#} {}: everything is decided and recorded, {WARN}nothing is stopped{WARN:#} (`prudence ledger report`)\n",
            observed.join(", ")
        );
    }
    if let Some(file) = gate::recording(&house.loaded) {
        said.push_str(&format!(
            "{BAD}RECORDING IN CLEAR{BAD:#} to {}: arguments and results of {WARN}every call{WARN:#} (`prudence trace record`)\n",
            file.display()
        ));
    }
    said
}

/// How many tools an upstream has, and how they stand to their contract. One without a contract is not even asked: what it has
/// changes nothing.
async fn standing(house: &House, upstream: &Upstream) -> anyhow::Result<(Option<usize>, String, bool)> {
    let Some(file) = &upstream.contract else {
        let what = match upstream.mode {
            Mode::Enforce => "refused",
            Mode::Observe => "recorded as one that nobody can read",
        };
        return Ok((None, format!("no contract: every call is {what} (`prudence contract draft`)"), false));
    };
    if upstream.credential.as_ref().is_some_and(Credential::is_of_person) {
        return Ok((None, "asked with the credential of the person of each call (`prudence upstream list`)".to_owned(), true));
    }
    let shown = gate::shown(upstream, &house.loaded, None).await?;
    let mut problems = crate::config::Problems::default();
    let Some(contracts) = gate::contract(&upstream.name, &house.loaded.beside(file), &mut problems)? else {
        anyhow::bail!("its contract has {} problems", problems.count())
    };
    let (mut accepted, mut draft, mut changed, mut unknown) = (0, 0, 0, 0);
    for (_, standing) in shown.standings(&contracts) {
        match standing {
            Standing::Accepted => accepted += 1,
            Standing::Draft => draft += 1,
            Standing::Changed { .. } => changed += 1,
            Standing::Unknown => unknown += 1,
        }
    }
    let mut parts = vec![format!("{accepted} accepted")];
    for (number, word) in [(draft, "draft"), (changed, "changed"), (unknown, "without a contract")] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    let refused = draft + changed + unknown;
    if refused > 0 {
        parts.push(format!("{} refused (`prudence contract diff {}`)", count(refused, "tool is", "tools are"), upstream.name));
    }
    Ok((Some(shown.tools.len()), parts.join(", "), refused == 0))
}
