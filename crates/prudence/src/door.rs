//! From settings to the authorization server, and to what the gateway tells clients about it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use authority::oauth::Oauth;
use authority::oauth::client::{Client, Method, Origin, redirect};
use authority::oauth::config::{Certificates, Config, PersonBy, Provider, Standing, is_address};
use authority::oauth::details::{TASK_TYPE, TaskDetails};
use authority::oauth::store::Store;
use authority::{Issuer, Keys};
use gateway::Door;
use gateway::tls::{ClientCertificates, Tls, TlsConfig, TlsError};
use wire::certificate::{Certificate, Known, is_workload};
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

/// Which certificates clients can show.
fn certificates(settings: &Settings) -> Certificates {
    match &settings.server.tls {
        Some(tls) if tls.client_authorities.is_some() => Certificates::OfAuthorities,
        // Nobody is asked for what nobody is known by: a browser would ask its person which one to show.
        Some(_) if has_registered(settings) => Certificates::Registered,
        Some(_) | None => Certificates::None,
    }
}

/// Whether there are clients whose certificates are registered themselves.
fn has_registered(settings: &Settings) -> bool {
    settings.oauth_clients.iter().any(|client| client.certificates.is_some())
}

/// TLS for the listeners, as configured.
///
/// # Errors
/// A file that cannot be read or used, with its place in the settings.
pub fn tls(settings: &Settings, beside: impl Fn(&str) -> PathBuf) -> Result<Option<TlsConfig>, (anyhow::Error, &'static str)> {
    let Some(tls) = &settings.server.tls else { return Ok(None) };
    let read = |file: &str, setting| short_file(&beside(file)).map_err(|error| (error, setting));
    let authorities = tls.client_authorities.as_ref().map(|file| read(file, "client_authorities")).transpose()?;
    let clients = match certificates(settings) {
        Certificates::None => ClientCertificates::Unasked,
        Certificates::Registered | Certificates::OfAuthorities => {
            ClientCertificates::Any { authorities, others: has_registered(settings) }
        }
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
        certificates: certificates(settings) != Certificates::None,
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
        certificates: certificates(settings),
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
    let certificate = known(client, |file| loaded.beside(file))?;
    Ok(Client {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        agent,
        redirects,
        method: match (&certificate, &keys, &spiffe) {
            (Some(certificate), ..) => Method::by(certificate),
            (None, Some(_), Some(_)) => Method::Spiffe,
            (None, Some(_), None) => Method::PrivateKey,
            (None, None, _) => Method::None,
        },
        workload: spiffe.filter(|_| keys.is_some()),
        keys: keys.unwrap_or_default(),
        certificate,
        origin: Origin::Configured,
        standing: client.purpose.is_some().then(|| Standing { task: standing(client) }),
        introspects,
        asserts_to_endpoint,
    })
}

/// The certificate by which a client is known, where it is by one.
fn known(client: &OauthClient, beside: impl Fn(&str) -> PathBuf) -> anyhow::Result<Option<Known>> {
    let workload = client.spiffe.clone().filter(|_| client.keys.is_none());
    let named = [
        client.tls_client_auth_subject_dn.clone().map(Known::Subject),
        client.tls_client_auth_san_dns.clone().map(Known::Dns),
        client.tls_client_auth_san_uri.clone().map(Known::Uri),
        workload.map(Known::Workload),
    ];
    if let Some(named) = named.into_iter().flatten().next() {
        return Ok(Some(named));
    }
    let Some(file) = client.certificates.as_ref().map(|file| beside(file)) else { return Ok(None) };
    let thumbprints = Certificate::thumbprints(&short_file(&file)?);
    let thumbprints = thumbprints.with_context(|| format!("the certificates in `{}` cannot be used", file.display()))?;
    Ok(Some(Known::Thumbprints(thumbprints)))
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
        for (sentence, help, setting) in certificate_problems(settings, client, &beside) {
            found.push((sentence, help, at(&["oauth_clients", &number, setting])));
        }
        if client.purpose.is_some() && client.keys.is_none() && !is_by_certificate(client) {
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

fn is_by_certificate(client: &OauthClient) -> bool {
    ways(client).iter().any(|(setting, is_there)| *is_there && *setting != "keys")
}

/// In which ways a client shows who it is, each with its setting.
fn ways(client: &OauthClient) -> [(&'static str, bool); 6] {
    let OauthClient { keys, spiffe, certificates, .. } = client;
    [
        // The keys of a workload are those of its trust domain: one way together.
        ("keys", keys.is_some() && spiffe.is_none()),
        ("spiffe", spiffe.is_some()),
        ("tls_client_auth_subject_dn", client.tls_client_auth_subject_dn.is_some()),
        ("tls_client_auth_san_dns", client.tls_client_auth_san_dns.is_some()),
        ("tls_client_auth_san_uri", client.tls_client_auth_san_uri.is_some()),
        ("certificates", certificates.is_some()),
    ]
}

/// What is wrong with how a client is known by its certificate: the sentence, what would help, and the setting.
fn certificate_problems(
    settings: &Settings,
    client: &OauthClient,
    beside: impl Fn(&str) -> PathBuf,
) -> Vec<(String, &'static str, &'static str)> {
    let id = &client.id;
    let mut found = Vec::new();
    let used: Vec<&'static str> = ways(client).iter().filter(|(_, is_there)| *is_there).map(|(setting, _)| *setting).collect();
    if let [first, second, ..] = used.as_slice() {
        let sentence = format!("`{id}` shows who it is in one way, and both `{first}` and `{second}` are there");
        found.push((sentence, "take one of them out; another way is another client (RFC 8705 §2.1.2)", *second));
    }
    let is_of_authority =
        |setting: &&'static str| setting.starts_with("tls_client_auth") || *setting == "spiffe" && client.keys.is_none();
    let has_authorities = settings.server.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
    if let Some(setting) = used.iter().copied().find(is_of_authority).filter(|_| !has_authorities) {
        let sentence = format!("`{id}` shows a certificate, and no `server.tls.client_authorities` say whose certificates count");
        let help = match setting {
            "spiffe" => {
                "name the file of its trust domain's authorities there, or the file of its bundle in `keys` for JWT-SVIDs"
            }
            _ => "name the file of their certificates there",
        };
        found.push((sentence, help, setting));
    }
    if client.certificates.is_some() && settings.server.tls.is_none() {
        let sentence = format!("`{id}` shows a certificate, and there is no `[server.tls]` on which to show it");
        found.push((sentence, "certificates are shown in TLS, which has to end here", "certificates"));
    }
    if let Some(Err(error)) = client.certificates.as_ref().map(|_| known(client, beside)) {
        found.push((format!("{error:#}"), "certificates in PEM, or a JWK set with `x5c`", "certificates"));
    }
    if let Some(spiffe) = client.spiffe.as_ref().filter(|spiffe| !is_workload(spiffe)) {
        let sentence = format!("`{spiffe}` of `{id}` is not the SPIFFE ID of a workload");
        found.push((sentence, "like `spiffe://example.org/agents/helper`, in small letters up to the path", "spiffe"));
    }
    if let Some(subject) = client.tls_client_auth_subject_dn.as_ref().filter(|subject| !is_written_plainly(subject)) {
        let sentence = format!("`{subject}` of `{id}` is not a subject as RFC 4514 writes it");
        let help = "as `openssl x509 -in robot.pem -noout -subject -nameopt RFC2253` writes it after `subject=`, like `CN=robot,O=Example`";
        found.push((sentence, help, "tls_client_auth_subject_dn"));
    }
    found
}

/// Whether a subject could be one that a certificate has: it is compared letter by letter, and a blank after a comma would never be equal.
fn is_written_plainly(subject: &str) -> bool {
    let parts = subject.replace("\\\\", "").replace("\\,", "").replace("\\ ", "");
    parts.split(',').all(|part| part.split_once('=').is_some_and(|(kind, _)| !kind.is_empty() && kind.trim() == kind))
}
