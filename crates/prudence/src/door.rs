//! From settings to the authorization server, and to what the gateway tells clients about it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use authority::oauth::Oauth;
use authority::oauth::client::{Client, Method, Origin, redirect};
use authority::oauth::config::{Config, PersonBy, Provider, Standing, is_address};
use authority::oauth::details::{TASK_TYPE, TaskDetails};
use authority::oauth::store::Store;
use authority::{Issuer, Keys};
use gateway::Door;
use gateway::tls::{ClientCertificates, Tls, TlsConfig, TlsError};
use wire::jwk::{JwkError, PublicKey};

use crate::assemble::House;
use crate::config::Loaded;
use crate::config::settings::{self, Authorization, IdentityProvider, OauthClient, Settings};
use crate::failure::Failure;

/// The largest file of keys or certificates, in bytes.
const KEYS_BYTES_MAX: u64 = 256 << 10;

/// Who issues tokens, and for whom: without an authorization server both go by one name.
pub fn issuer(settings: &Settings, keys: &Keys) -> Issuer {
    match &settings.authorization {
        Some(authorization) => {
            Issuer::new(issuer_url(settings, authorization), keys).for_gateway(resource_url(settings, authorization))
        }
        None => Issuer::new(&settings.server.name, keys),
    }
}

/// The address of the authorization server.
pub fn issuer_url(settings: &Settings, authorization: &Authorization) -> String {
    let server = &settings.server;
    let said = authorization.issuer.as_ref().or(server.api_url.as_ref());
    let listening = || server.api_listen.map(|address| format!("{}://{address}", scheme(settings))).unwrap_or_default();
    said.map_or_else(listening, |url| url.trim_end_matches('/').to_owned())
}

/// The address of the gateway.
pub fn resource_url(settings: &Settings, authorization: &Authorization) -> String {
    authorization.resource.clone().unwrap_or_else(|| format!("{}://{}/mcp", scheme(settings), settings.server.listen))
}

/// How both listeners are reached, where nothing stands in front of them.
pub fn scheme(settings: &Settings) -> &'static str {
    if settings.server.tls.is_some() { "https" } else { "http" }
}

/// TLS for the listeners, as configured.
///
/// # Errors
/// A file that cannot be read or used, with its place in the settings.
pub fn tls(settings: &Settings, beside: impl Fn(&str) -> PathBuf) -> Result<Option<TlsConfig>, (anyhow::Error, &'static str)> {
    let Some(tls) = &settings.server.tls else { return Ok(None) };
    let read = |file: &str, setting| short_file(&beside(file)).map_err(|error| (error, setting));
    let authorities = tls.client_authorities.as_ref().map(|file| read(file, "client_authorities")).transpose()?;
    let clients = match authorities {
        None => ClientCertificates::Unasked,
        Some(authorities) => ClientCertificates::Any { authorities: Some(authorities), others: false },
    };
    Ok(Some(TlsConfig { certificate: read(&tls.certificate, "certificate")?, key: read(&tls.key, "key")?, clients }))
}

/// What is wrong with TLS: the sentence, what would help, and the setting.
fn tls_problem(settings: &Settings, beside: impl Fn(&str) -> PathBuf) -> Option<(String, &'static str, &'static str)> {
    let not_readable =
        |(error, setting): (anyhow::Error, _)| (format!("{error:#}"), "name a file in PEM, seen from this one", setting);
    let config = match tls(settings, beside) {
        Ok(config) => config?,
        Err(error) => return Some(not_readable(error)),
    };
    let error = Tls::new(&config).err()?;
    let (help, setting) = match &error {
        TlsError::Certificate => {
            ("the file begins with the server's own certificate; those between it and its authority follow", "certificate")
        }
        TlsError::Key => ("`openssl pkey -in KEY -out key.pem` writes a key in PEM without a password", "key"),
        TlsError::Pair(_) => {
            ("the key has to be that of the first certificate in the file, of P-256, P-384, Ed25519 or RSA", "key")
        }
        TlsError::Authorities => ("the file holds certificates of authorities in PEM, and nothing else", "client_authorities"),
    };
    Some((error.to_string(), help, setting))
}

/// What the gateway tells clients that have no token.
pub fn door(settings: &Settings) -> Option<Door> {
    let authorization = settings.authorization.as_ref()?;
    Some(Door {
        resource: resource_url(settings, authorization),
        authorization_servers: vec![issuer_url(settings, authorization)],
        scopes: authorization.scopes.iter().map(|effect| effect.word().to_owned()).collect(),
        // `prudence task start` hands out such tokens too: whether they are issued to programs is another question.
        bearer: true,
        nonces: true,
        step_up: authorization.step_up,
    })
}

/// The store of the authorization server.
///
/// # Errors
/// When it cannot be opened.
pub fn store(loaded: &Loaded) -> anyhow::Result<Store> {
    let authorization = loaded.settings.authorization.as_ref().ok_or_else(|| Failure::Helpless {
        sentence: format!("`{}` has no authorization server", loaded.path.display()),
        help: "add `[authorization]`; docs/authorization.md tells how".to_owned(),
    })?;
    Ok(Store::open(&loaded.beside(&authorization.store))?)
}

/// The authorization server of a house, if it has one.
///
/// # Errors
/// When something that it needs cannot be opened or read.
pub fn server(house: &House) -> anyhow::Result<Option<Oauth>> {
    let settings = &house.loaded.settings;
    let Some(authorization) = &settings.authorization else { return Ok(None) };
    let clients: anyhow::Result<Vec<Client>> = settings.oauth_clients.iter().map(|client| of(client, &house.loaded)).collect();
    let provider = |provider: &IdentityProvider| -> anyhow::Result<Provider> {
        let keys = keys_at(&house.loaded.beside(&provider.keys), PublicKey::set_of_issuer)?;
        let person = match provider.person {
            settings::PersonBy::Email => PersonBy::Email,
            settings::PersonBy::Subject => PersonBy::Subject,
        };
        Ok(Provider { issuer: provider.issuer.clone(), keys, person })
    };
    let providers: anyhow::Result<Vec<Provider>> = settings.identity_providers.iter().map(provider).collect();
    let config = Config {
        issuer: issuer_url(settings, authorization),
        resource: resource_url(settings, authorization),
        token_ms: authorization.token_life.ms(),
        bearer_token_ms: authorization.bearer_token_life.ms(),
        lease_ms_max: authorization.lease_max.ms(),
        checkpoint_ms: authorization.checkpoint.ms(),
        scopes: authorization.scopes.clone(),
        bearer_effects: authorization.bearer_effects.clone(),
        clients: clients?,
        providers: providers?,
        guest_agent: authorization.guest_agent.clone(),
        registration: authorization.registration,
        client_documents: authorization.client_documents,
    };
    warn_of_unknown_agents(house, &config);
    Ok(Some(Oauth::new(config, house.issuer.clone(), house.engine.clone(), store(&house.loaded)?)?))
}

/// Agents may come later, over SCIM; until then their clients get nothing.
fn warn_of_unknown_agents(house: &House, config: &Config) {
    let named = config.clients.iter().map(|client| &client.agent).chain(&config.guest_agent);
    house.engine.view(|state, _| {
        for agent in named.filter(|agent| state.directory().agent(agent.as_str()).is_none()) {
            tracing::warn!(%agent, "a program stands for an agent that is not registered");
        }
    });
}

/// A client of the settings.
fn of(client: &OauthClient, loaded: &Loaded) -> anyhow::Result<Client> {
    let OauthClient { id, agent, name, redirects, introspects, asserts_to_endpoint, spiffe, .. } = client.clone();
    let keys = client.keys.as_ref().map(|file| keys_of(client, &loaded.beside(file))).transpose()?;
    Ok(Client {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        agent,
        redirects,
        method: match (&keys, &spiffe) {
            (Some(_), Some(_)) => Method::Spiffe,
            (Some(_), None) => Method::PrivateKey,
            (None, _) => Method::None,
        },
        keys: keys.unwrap_or_default(),
        workload: spiffe,
        origin: Origin::Configured,
        standing: client.purpose.is_some().then(|| Standing { task: standing(client) }),
        introspects,
        asserts_to_endpoint,
    })
}

fn standing(client: &OauthClient) -> TaskDetails {
    TaskDetails {
        kind: TASK_TYPE.to_owned(),
        purpose: client.purpose.clone(),
        effects: client.effects.clone(),
        resources: client.resources.clone(),
        tools: client.tools.clone(),
        address: client.address.clone(),
        lease_ms: client.lease.map(|lease| lease.ms()),
        ..TaskDetails::default()
    }
}

/// The keys of a client, or of the trust domain of the workload that it is.
fn keys_of(client: &OauthClient, path: &Path) -> anyhow::Result<Vec<PublicKey>> {
    keys_at(path, if client.spiffe.is_some() { PublicKey::set_of_trust_domain } else { PublicKey::set })
}

/// Public keys in a file.
fn keys_at(path: &Path, read: impl Fn(&serde_json::Value) -> Result<Vec<PublicKey>, JwkError>) -> anyhow::Result<Vec<PublicKey>> {
    let wrong = || format!("the keys in `{}` cannot be used", path.display());
    let jwks: serde_json::Value = serde_json::from_slice(&short_file(path)?).with_context(wrong)?;
    read(&jwks).with_context(wrong)
}

/// A file of keys or certificates.
fn short_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let wrong = || format!("`{}` cannot be read", path.display());
    anyhow::ensure!(path.exists(), "`{}` is not there", path.display());
    let length = std::fs::metadata(path).with_context(wrong)?.len();
    anyhow::ensure!(length <= KEYS_BYTES_MAX, "`{}` is larger than {KEYS_BYTES_MAX} bytes", path.display());
    std::fs::read(path).with_context(wrong)
}

/// What is wrong with the authorization server: the sentence, what would help, and the setting. `beside` finds the files that it names.
pub fn problems(settings: &Settings, beside: impl Fn(&str) -> PathBuf) -> Vec<(String, &'static str, Vec<String>)> {
    let at = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let mut found = Vec::new();
    if let Some((sentence, help, setting)) = tls_problem(settings, &beside) {
        found.push((sentence, help, at(&["server", "tls", setting])));
    }
    let Some(authorization) = &settings.authorization else {
        if !settings.oauth_clients.is_empty() {
            let help = "add `[authorization]`, or take them out";
            found.push(("`[[oauth_clients]]` are there, and `[authorization]` is not".to_owned(), help, at(&["oauth_clients"])));
        }
        return found;
    };
    if settings.server.api_listen.is_none() {
        let help = "say where people and programs reach it, as in `api_listen = \"127.0.0.1:8788\"`";
        found.push(("`[authorization]` is there, and `server.api_listen` is not".to_owned(), help, at(&["authorization"])));
    }
    let (issuer, resource) = (issuer_url(settings, authorization), resource_url(settings, authorization));
    if settings.server.api_listen.is_some() && !is_address(&issuer, "") {
        let sentence = format!("`{issuer}`, by which the authorization server is known, is no https address without a path");
        let help = "like `https://auth.example.com`; http is for this machine alone, as in `http://127.0.0.1:8788`";
        found.push((sentence, help, at(&["authorization", "issuer"])));
    }
    if !is_address(&resource, "/mcp") {
        let sentence = format!("`{resource}`, by which the gateway is known, is no https address that ends in `/mcp`");
        let help = "like `https://gate.example.com/mcp`; http is for this machine alone, as in `http://127.0.0.1:8787/mcp`";
        found.push((sentence, help, at(&["authorization", "resource"])));
    }
    if authorization.guest_agent.is_none() && (authorization.registration || authorization.client_documents) {
        let sentence =
            "programs that nobody knew before are let in, and there is no `guest_agent` for which they stand".to_owned();
        found.push((sentence, "name one of `[[agents]]`", at(&["authorization"])));
    }
    for (at_number, client) in settings.oauth_clients.iter().enumerate() {
        let number = at_number.to_string();
        for uri in &client.redirects {
            if let Err(refusal) = redirect(uri) {
                let sentence = format!("`{uri}` of `{}`: {}", client.id, refusal.sentence());
                found.push((sentence, "like `http://127.0.0.1/callback`", at(&["oauth_clients", &number, "redirects"])));
            }
        }
        if let Some(Err(error)) = client.keys.as_deref().map(|file| keys_of(client, &beside(file))) {
            let help = "a JWK set of public keys of P-256 or Ed25519, as in `{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"…\"}]}`";
            found.push((format!("{error:#}"), help, at(&["oauth_clients", &number, "keys"])));
        }
        if client.spiffe.is_some() && client.keys.is_none() {
            let sentence = format!("`{}` is a workload, and no `keys` say which trust domain speaks for it", client.id);
            found.push((sentence, "name the file of its bundle", at(&["oauth_clients", &number, "spiffe"])));
        }
        if client.purpose.is_some() && client.keys.is_none() {
            let sentence = format!("`{}` has a task without a person, and no `keys`", client.id);
            found.push((sentence, "anybody could say its name; give it a key", at(&["oauth_clients", &number, "purpose"])));
        }
        if settings.oauth_clients[..at_number].iter().any(|other| other.id == client.id) {
            found.push((format!("two clients are called `{}`", client.id), "", at(&["oauth_clients", &number, "id"])));
        }
    }
    for (number, provider) in settings.identity_providers.iter().enumerate() {
        if let Err(error) = keys_at(&beside(&provider.keys), PublicKey::set_of_issuer) {
            let help = "the JWK set of the provider, kept in a file";
            found.push((format!("{error:#}"), help, at(&["identity_providers", &number.to_string(), "keys"])));
        }
    }
    found
}
