//! What upstreams want to see: from settings to a broker, and what can be wrong with them together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::{HeaderName, Uri};
use broker::{Broker, Clock, KeySource, Per, Scheme, SecretIn, Store, TokenClient};

use crate::config::Loaded;
use crate::config::settings::{ClientAuth, Credential, CredentialKind, CredentialPer, Settings, Upstream};
use crate::failure::Failure;

/// The variable that holds the keys, in place of a file.
pub const KEY_VARIABLE: &str = "PRUDENCE_CREDENTIALS_KEY";
/// What systemd calls the file that holds them, in place of the configured one (`LoadCredential=`, systemd.exec(5)).
const SYSTEMD_CREDENTIAL: &str = "prudence-credentials-key";
/// Where a person comes back to, on any free port of this machine (RFC 8252 §7.3).
pub const LOOPBACK_REDIRECT: &str = "http://127.0.0.1/callback";
/// Headers that are the gateway's, the protocol's or HTTP's own.
const OWN_HEADERS: [&str; 8] =
    ["host", "accept", "content-type", "content-length", "connection", "transfer-encoding", "last-event-id", "te"];

/// Where the keys are under which credentials are kept.
pub fn key_source(loaded: &Loaded) -> KeySource {
    if let Ok(text) = std::env::var(KEY_VARIABLE) {
        return KeySource::Text(text.into());
    }
    let systemd = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(SYSTEMD_CREDENTIAL));
    KeySource::File(
        systemd.filter(|file| file.exists()).unwrap_or_else(|| loaded.beside(&loaded.settings.server.credentials_key)),
    )
}

/// The broker, if any upstream wants to see anything.
///
/// # Errors
/// When its keys or its store cannot be opened.
pub fn broker(loaded: &Loaded, clock: Clock) -> anyhow::Result<Option<Arc<Broker>>> {
    let schemes = schemes(&loaded.settings);
    if schemes.is_empty() { Ok(None) } else { Ok(Some(Arc::new(opened(loaded, schemes, clock)?))) }
}

/// The broker for commands, which have no engine to ask for the time.
///
/// # Errors
/// When no upstream wants to see anything, or something cannot be opened.
pub fn broker_for_commands(loaded: &Loaded) -> anyhow::Result<Arc<Broker>> {
    broker(loaded, Arc::new(crate::commands::now))?.ok_or_else(|| {
        Failure::Helpless {
            sentence: format!("no upstream of `{}` has a credential", loaded.path.display()),
            help: "say what it wants to see under `[upstreams.credential]`; docs/upstreams.md tells how".to_owned(),
        }
        .into()
    })
}

fn opened(loaded: &Loaded, schemes: BTreeMap<String, Scheme>, clock: Clock) -> anyhow::Result<Broker> {
    let store = Store::open(&loaded.beside(&loaded.settings.server.credentials_store))?;
    Broker::new(schemes, store, key_source(loaded), clock).map_err(|error| {
        let help = match &error {
            broker::OpenError::Keys(keys) => keys.help(),
            broker::OpenError::Store(_) | broker::OpenError::Tls(_) => None,
        };
        match help {
            Some(help) => Failure::Helpless { sentence: error.to_string(), help }.into(),
            None => error.into(),
        }
    })
}

/// What each upstream wants to see. The settings were checked.
fn schemes(settings: &Settings) -> BTreeMap<String, Scheme> {
    let with = settings.upstreams.iter().filter_map(|upstream| Some((upstream, upstream.credential.as_ref()?)));
    with.map(|(upstream, credential)| (upstream.name.clone(), scheme(upstream, credential))).collect()
}

fn scheme(upstream: &Upstream, credential: &Credential) -> Scheme {
    let client = || TokenClient {
        token_endpoint: credential.token_endpoint.clone().unwrap_or_default(),
        client_id: credential.client_id.clone().unwrap_or_default(),
        secret_in: match credential.client_auth.unwrap_or_default() {
            ClientAuth::Header => SecretIn::Header,
            ClientAuth::Form => SecretIn::Form,
        },
        scopes: credential.scopes.clone(),
        resource: match &credential.resource {
            Some(resource) => Some(resource.clone()).filter(|resource| !resource.is_empty()),
            None => upstream.url.clone(),
        },
    };
    match credential.kind {
        CredentialKind::ApiKey => {
            let header = header(credential).unwrap_or(axum::http::header::AUTHORIZATION);
            let usual = if header == axum::http::header::AUTHORIZATION { "Bearer " } else { "" };
            Scheme::ApiKey {
                per: match credential.per.unwrap_or_default() {
                    CredentialPer::Person => Per::Person,
                    CredentialPer::Upstream => Per::Upstream,
                },
                header,
                prefix: credential.prefix.clone().unwrap_or_else(|| usual.to_owned()),
            }
        }
        CredentialKind::ClientCredentials => Scheme::ClientCredentials(client()),
        CredentialKind::Oauth => Scheme::AuthorizationCode {
            client: client(),
            authorization_endpoint: credential.authorization_endpoint.clone().unwrap_or_default(),
            issuer: credential.issuer.clone(),
        },
    }
}

/// The header, where one is named that can be.
fn header(credential: &Credential) -> Option<HeaderName> {
    HeaderName::from_bytes(credential.header.as_ref()?.as_bytes()).ok()
}

/// What is wrong: the sentence, what would help, and the setting.
pub fn problems(settings: &Settings) -> Vec<(String, &'static str, Vec<String>)> {
    let mut found = Vec::new();
    for (number, upstream) in settings.upstreams.iter().enumerate() {
        let Some(credential) = &upstream.credential else { continue };
        let number = number.to_string();
        let mut report = |sentence: String, help: &'static str, setting: &str| {
            let place = ["upstreams", &number, "credential", setting].map(str::to_owned);
            found.push((sentence, help, place.into()));
        };
        problems_of(upstream, credential, &mut report);
    }
    found
}

fn problems_of(upstream: &Upstream, credential: &Credential, report: &mut impl FnMut(String, &'static str, &str)) {
    let name = &upstream.name;
    match &upstream.url {
        None => {
            let help = "a process gets what it needs by `env_from`; only what is reached by `url` is shown a credential";
            report(format!("upstream `{name}` is a command, so `credential` means nothing"), help, "kind");
        }
        Some(url) if url.starts_with("http://") && !is_safe(url) => {
            let help = "use https; http is for this machine alone";
            report(format!("the credential of upstream `{name}` would go to `{url}` in clear"), help, "kind");
        }
        Some(_) => {}
    }
    let kind = credential.kind;
    let (is_key, is_oauth) = (kind == CredentialKind::ApiKey, kind == CredentialKind::Oauth);
    let known = [
        ("per", credential.per.is_some(), is_key, false),
        ("header", credential.header.is_some(), is_key, false),
        ("prefix", credential.prefix.is_some(), is_key, false),
        ("client_id", credential.client_id.is_some(), !is_key, true),
        ("client_auth", credential.client_auth.is_some(), !is_key, false),
        ("token_endpoint", credential.token_endpoint.is_some(), !is_key, true),
        ("scopes", !credential.scopes.is_empty(), !is_key, false),
        ("resource", credential.resource.is_some(), !is_key, false),
        ("authorization_endpoint", credential.authorization_endpoint.is_some(), is_oauth, true),
        ("issuer", credential.issuer.is_some(), is_oauth, false),
        ("redirect", credential.redirect.is_some(), is_oauth, false),
    ];
    for (setting, is_set, has_meaning, is_needed) in known {
        if is_set && !has_meaning {
            let sentence =
                format!("the credential of upstream `{name}` is of kind `{}`, so `{setting}` means nothing", kind.word());
            report(sentence, "take it out, or choose another `kind`", setting);
        }
        if !is_set && has_meaning && is_needed {
            let sentence = format!("the credential of upstream `{name}` is of kind `{}` and has no `{setting}`", kind.word());
            report(sentence, "the documentation of the upstream's authorization server says it", "kind");
        }
    }
    if let Some(text) = &credential.header {
        let is_own = |header: &HeaderName| OWN_HEADERS.contains(&header.as_str()) || header.as_str().starts_with("mcp-");
        match header(credential) {
            Some(header) if !is_own(&header) => {}
            Some(_) | None => {
                report(format!("`{text}` is no header for a key"), "like `Authorization` or `X-Api-Key`", "header");
            }
        }
    }
    let shown = header(credential).unwrap_or(axum::http::header::AUTHORIZATION);
    if upstream.headers_from_env.keys().any(|header| header.eq_ignore_ascii_case(shown.as_str())) {
        let sentence = format!("upstream `{name}` gets `{shown}` both from `headers_from_env` and as its credential");
        report(sentence, "one of them says what it is shown", "kind");
    }
    if credential.prefix.as_ref().is_some_and(|prefix| !prefix.bytes().all(|byte| (b' '..=b'~').contains(&byte))) {
        report("`prefix` holds characters that no header has".to_owned(), "like `Bearer `, or `token=`", "prefix");
    }
    for (setting, endpoint) in
        [("token_endpoint", &credential.token_endpoint), ("authorization_endpoint", &credential.authorization_endpoint)]
    {
        if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| !is_safe(endpoint)) {
            report(format!("`{endpoint}` is no https address"), "http is for this machine alone", setting);
        }
    }
    if let Some(redirect) = credential.redirect.as_ref().filter(|redirect| !is_loopback(redirect)) {
        let help = "like `http://127.0.0.1:8765/callback`; without a port, any free one is taken";
        report(format!("`{redirect}` is no address of this machine to which people come back"), help, "redirect");
    }
    if credential.scopes.iter().any(|scope| scope.is_empty() || !scope.bytes().all(|byte| byte.is_ascii_graphic())) {
        report("a scope is one word".to_owned(), "as in `[\"read\", \"write\"]`", "scopes");
    }
}

/// Whether what goes there cannot be read on the way: https, or this machine.
fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => is_loopback(url),
        Some(_) | None => false,
    }
}

/// Whether it is an http address of this machine by its number (RFC 8252 §8.3), or by its name.
fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    uri.scheme_str() == Some("http") && matches!(uri.host(), Some("127.0.0.1" | "[::1]" | "localhost"))
}
