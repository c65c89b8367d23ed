//! Every setting, once: name, type, default, bounds and sentence. The parser, the JSON Schema and the reference page are made from this file.
//!
//! Plain values as they are written down. What they mean together is checked in `load`; what they become is in `super::assemble`.

use std::collections::{BTreeMap, BTreeSet};

use judge::directory::{
    Attributes, ClearanceRule, DestinationRecord, DirectoryDocument, FreezeRecord, GrantRecord, ItemRecord, PersonRecord,
    Registration, RelationRecord, STANDING, Status, Values,
};
use judge::effect::Effect;
use judge::label::{Classification, Integrity};
use judge::moment::Moment;
use judge::name::{GroupId, PrincipalId, ResourceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::span::Span;

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "prudence.toml", extend("$id" = "prudence.toml"))]
pub struct Settings {
    /// Another TOML file, beside this one, with people, groups, agents, items, destinations, grants, freezes and rules of clearance.
    pub directory: Option<String>,
    /// Where Prudence listens, and where it keeps things.
    pub server: Server,
    /// The MCP servers behind the gateway, in the order in which their tools are listed.
    pub upstreams: Vec<Upstream>,
    /// Programs that use the API.
    pub clients: Vec<Client>,
    /// What decisions are made by.
    pub policies: Policies,
    /// A decision point for enforcement points elsewhere (OpenID AuthZEN), at `server.api_listen`. Left out: there is none.
    pub authzen: Option<Authzen>,
    /// The authorization server, from which agents get task tokens when a person agrees (OAuth), at `server.api_listen`. Left out: there is none.
    pub authorization: Option<Authorization>,
    /// Programs that are known to the authorization server, each with the agent for which it asks.
    pub oauth_clients: Vec<OauthClient>,
    /// Identity providers that say to programs for whom they may ask the authorization server (ID-JAG), without the person being asked again.
    pub identity_providers: Vec<IdentityProvider>,
    /// Who is told of incidents (`prudence incidents`), each by one way: `webhook`, `mail` or `ocsf`. Nobody is, where there is none.
    pub alarms: Vec<Alarm>,
    /// Bounds on everything that a peer can make grow.
    pub limits: Limits,
    /// Who there is.
    pub people: Vec<Person>,
    /// Groups of people; members are people, agents and other groups as `@group`.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub groups: BTreeMap<GroupId, Vec<String>>,
    /// Registered agents.
    pub agents: Vec<Agent>,
    /// Data with its access list and classification.
    pub items: Vec<Item>,
    /// Whatever makes data visible: forums, mailboxes, channels.
    pub destinations: Vec<Destination>,
    /// What plain access control allows. What nobody granted is denied.
    pub grants: Vec<Grant>,
    /// Times in which nothing irreversible and no change happens without a person.
    pub freezes: Vec<Freeze>,
    /// Clearance that follows from people's attributes.
    pub clearance: Vec<Clearance>,
    /// The organisation's own domains, of mail and of the web, as in `["example.org"]`; what is below one of them is its own too.
    pub domains: BTreeSet<String>,
    /// Established relations: whom and what people have dealt with before. Beside these, whom somebody reached through Prudence is one.
    pub relations: Vec<Relation>,
}

/// What the file named by `directory` may hold: the part of the settings that says who and what there is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "directory.toml")]
pub struct DirectorySettings {
    /// Who there is.
    pub people: Vec<Person>,
    /// Groups of people; members are people, agents and other groups as `@group`.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub groups: BTreeMap<GroupId, Vec<String>>,
    /// Registered agents.
    pub agents: Vec<Agent>,
    /// Data with its access list and classification.
    pub items: Vec<Item>,
    /// Whatever makes data visible: forums, mailboxes, channels.
    pub destinations: Vec<Destination>,
    /// What plain access control allows. What nobody granted is denied.
    pub grants: Vec<Grant>,
    /// Times in which nothing irreversible and no change happens without a person.
    pub freezes: Vec<Freeze>,
    /// Clearance that follows from people's attributes.
    pub clearance: Vec<Clearance>,
    /// The organisation's own domains, of mail and of the web, as in `["example.org"]`; what is below one of them is its own too.
    pub domains: BTreeSet<String>,
    /// Established relations: whom and what people have dealt with before. Beside these, whom somebody reached through Prudence is one.
    pub relations: Vec<Relation>,
}

/// Where Prudence listens, and where it keeps things.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port for agents (`/mcp`). Keep it on the loopback address unless `tls`, or something in front of it, speaks TLS.
    pub listen: String,
    /// Address and port for people and programs (`/v1`: approvals, tasks; `/scim/v2`: the directory). Left out: there is no such door. Keep it on the loopback address likewise.
    #[schemars(with = "Option<String>")]
    pub api_listen: Option<std::net::SocketAddr>,
    /// Where clients reach `api_listen`, as in `https://prudence.example.com`, for the addresses in answers. Left out: the host that a request names.
    pub api_url: Option<String>,
    /// TLS at `listen` and `api_listen`. Left out: they speak plain HTTP.
    pub tls: Option<Tls>,
    /// The name under which tokens are issued, and for which they must be meant.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The ledger: one SQLite file, beside this one unless the path is absolute.
    pub store: String,
    /// The Ed25519 key that signs tokens, in PEM.
    pub signing_key: String,
    /// Public halves of keys that sign no more and whose tokens are believed until they end, in PEM (`prudence key rotate` writes them).
    pub retired_keys: Vec<String>,
    /// The key under which text of what was read is recognised in what is about to leave.
    pub content_key: String,
    /// The secret by which a program may start tasks over HTTP.
    pub operator_secret: String,
    /// What upstreams want to see (`[upstreams.credential]`), sealed. One SQLite file.
    pub credentials_store: String,
    /// The key under which it is sealed; in its place counts the variable `PRUDENCE_CREDENTIALS_KEY`, or the systemd credential `prudence-credentials-key`.
    pub credentials_key: String,
    /// A file to which every tool call that was carried out is appended with its arguments and its result, **in clear**, for `prudence trace record`. Left out: nothing is kept.
    pub recording: Option<String>,
    /// `Host` values let in beside the loopback names, without or with a port.
    pub hosts: Vec<String>,
    /// `Origin` values let in beside those whose host is let in.
    pub origins: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".to_owned(),
            api_listen: None,
            api_url: None,
            tls: None,
            name: "prudence".to_owned(),
            store: "prudence.db".to_owned(),
            signing_key: "keys/signing.pem".to_owned(),
            retired_keys: Vec::new(),
            content_key: "keys/content.key".to_owned(),
            operator_secret: "keys/operator.secret".to_owned(),
            credentials_store: "prudence-credentials.db".to_owned(),
            credentials_key: "keys/credentials.key".to_owned(),
            recording: None,
            hosts: Vec::new(),
            origins: Vec::new(),
        }
    }
}

/// TLS 1.2 and 1.3. The files are read again at a hangup signal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by those between it and its authority, in PEM.
    pub certificate: String,
    /// The key of the certificate, in PEM, without a password.
    pub key: String,
    /// Authorities that are trusted with the names of clients, in PEM: clients may show a certificate of theirs (`tls_client_auth_…`, `spiffe` of `[[oauth_clients]]`) and need not. One that names a trust domain of SPIFFE is trusted with the workloads of that domain alone.
    #[serde(default)]
    pub client_authorities: Option<String>,
}

/// Whether decisions are enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What is not permitted does not happen.
    #[default]
    Enforce,
    /// Everything is decided and recorded, nothing is stopped.
    Observe,
}

/// An MCP server behind the gateway: either `url` (streamable HTTP) or `command` (a child process on its standard streams).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its name in contracts, approvals and the ledger.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// What its tools and prompts are prefixed with, as in `forum__post`. Left out: nothing when it is the only upstream, its name otherwise.
    #[serde(default)]
    pub prefix: Option<String>,
    /// An absolute `http` or `https` URL.
    #[serde(default)]
    pub url: Option<String>,
    /// Headers that are added to every request, each with the environment variable that holds its value, as in `{ Authorization = "FORUM_TOKEN" }`.
    #[serde(default)]
    pub headers_from_env: BTreeMap<String, String>,
    /// What it wants to see, kept by Prudence and shown to it alone. With `url`.
    #[serde(default)]
    pub credential: Option<Credential>,
    /// The program to start.
    #[serde(default)]
    pub command: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment, beside the few variables that programs need to start at all.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables that are handed on from Prudence's own environment, for secrets that do not belong into a file.
    #[serde(default)]
    pub env_from: Vec<String>,
    /// Whether decisions are enforced. `observe` decides and records everything and stops nothing.
    #[serde(default)]
    pub mode: Mode,
    /// The contract file, which says what its tools do. Without one every call is refused.
    #[serde(default)]
    pub contract: Option<String>,
    /// Resource URIs that begin with one of these are its own, besides those that it listed.
    #[serde(default)]
    pub uri_prefixes: Vec<String>,
}

/// Kept sealed beside the ledger, and put on a request when it leaves: agents never hold it. No secret stands in this file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// `api-key`: a key in a header (`prudence upstream set-key`). `client-credentials`: a token for Prudence itself (OAuth 2.0). `oauth`: a token for each person, who agrees once (`prudence upstream link`).
    pub kind: CredentialKind,
    /// Whose key an `api-key` is.
    #[serde(default)]
    pub per: Option<CredentialPer>,
    /// The header of an `api-key`. Left out: `Authorization`.
    #[serde(default)]
    pub header: Option<String>,
    /// What stands before the key in it. Left out: `Bearer ` in `Authorization`, and nothing in any other header.
    #[serde(default)]
    pub prefix: Option<String>,
    /// By which Prudence is known to the upstream's authorization server. Its secret, if it has one, is set with `prudence upstream set-key`.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Where that secret goes. Left out: `header`.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Where people agree: https, or http on this machine.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where tokens are issued and renewed: https, or http on this machine.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Who must say that it answered (`iss`, RFC 9207), when a person comes back. Left out: it is not looked at.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// For which server the tokens are (RFC 8707). Left out: `url`; `""`: the authorization server is not told.
    #[serde(default)]
    pub resource: Option<String>,
    /// Where people come back to, on this machine. Left out: `http://127.0.0.1/callback`, at any free port.
    #[serde(default)]
    pub redirect: Option<String>,
}

impl Credential {
    /// Whether each person has their own.
    pub fn is_of_person(&self) -> bool {
        match self.kind {
            CredentialKind::ApiKey => self.per.unwrap_or_default() == CredentialPer::Person,
            CredentialKind::ClientCredentials => false,
            CredentialKind::Oauth => true,
        }
    }
}

/// What an upstream wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A key in a header.
    ApiKey,
    /// A token for Prudence itself.
    ClientCredentials,
    /// A token for each person.
    Oauth,
}

impl CredentialKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::ClientCredentials => "client-credentials",
            Self::Oauth => "oauth",
        }
    }
}

/// Whose a key is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CredentialPer {
    /// Each person has their own.
    #[default]
    Person,
    /// One is everybody's.
    Upstream,
}

/// Where a client's secret goes (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// `client_secret_basic`
    #[default]
    Header,
    /// `client_secret_post`
    Form,
}

/// A way by which somebody is told of incidents: once of each, and again until it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// Its name, in the log and in the file that says what was sent.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Only incidents that are at least this urgent.
    #[serde(default)]
    pub at_least: Urgency,
    /// An address to which each incident is posted, signed as Standard Webhooks says.
    #[serde(default)]
    pub webhook: Option<Webhook>,
    /// A mail for each incident.
    #[serde(default)]
    pub mail: Option<Mail>,
    /// A line of JSON for each incident: a Detection Finding of OCSF (class 2004).
    #[serde(default)]
    pub ocsf: Option<Ocsf>,
}

/// How urgent an incident is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Everything.
    #[default]
    Medium,
    /// Breakers, keys and kills.
    High,
    /// What nothing stopped.
    Critical,
}

/// Where a webhook is posted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// An absolute `https` URL; `http` to this machine.
    pub url: String,
    /// The variable of the environment that holds the receiver's secret: `whsec_` and base64 of 24 to 64 bytes.
    pub secret_from_env: String,
    /// Whether it may stand on this machine or in a network of one's own. Otherwise only addresses of the open network are asked.
    #[serde(default)]
    pub private: bool,
}

/// Where mails go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server: `smtps://HOST` (TLS) or `smtp://HOST:PORT` (STARTTLS, which is required; in clear to this machine alone).
    pub server: String,
    /// The address of the sender.
    pub from: String,
    /// Who gets it: one address at least.
    pub to: Vec<String>,
    /// The account at the mail server.
    #[serde(default)]
    pub user: Option<String>,
    /// The variable of the environment that holds its password.
    #[serde(default)]
    pub password_from_env: Option<String>,
}

/// Where findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ocsf {
    /// Standard output; of `prudence wrap`, whose standard output is the protocol's, standard error.
    Stdout,
}

/// A program that uses the API with tokens of its own (`prudence client token`). One that is no longer here is let in no more, whatever token it has.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name, in the ledger and in its tokens.
    #[schemars(with = "String")]
    pub id: PrincipalId,
    /// The doors that it may use: `scim` reads and writes people, groups and agents under `/scim/v2`; `authzen` asks for decisions under `/access/v1`.
    pub doors: BTreeSet<Door>,
}

/// A door of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// The directory, under `/scim/v2`.
    Scim,
    /// Decisions, under `/access/v1`.
    Authzen,
}

impl Door {
    /// The audience of its tokens.
    pub fn audience(self) -> &'static str {
        match self {
            Door::Scim => wire::token::SCIM_AUDIENCE,
            Door::Authzen => wire::token::AUTHZEN_AUDIENCE,
        }
    }
}

/// How a refused call looks to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// A tool result with `isError: true`, which reaches the model in every framework.
    #[default]
    ToolResult,
    /// The JSON-RPC error -32001.
    JsonRpcError,
}

/// What decisions are made by.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// A folder of Cedar files with norms, in place of the shipped ones. `prudence norm list` shows those in force.
    pub norms: Option<String>,
    /// A folder of Cedar files with permit policies over grants, in place of the shipped one.
    pub grants: Option<String>,
    /// How a refused call looks to the client.
    pub refusal: Refusal,
    /// How long a person has to answer an ask, and the agent to use the answer.
    #[schemars(extend("x-min" = "1m", "x-max" = "7d"))]
    pub ask_lifetime: Span,
}

impl Default for Policies {
    fn default() -> Self {
        Self { norms: None, grants: None, refusal: Refusal::default(), ask_lifetime: Span::minutes(60) }
    }
}

/// It is known by `server.api_url`. Each enforcement point is one of `[[clients]]`, with a token of its own (`prudence client token NAME --door authzen`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authzen {
    /// What actions do, by their name, as in `{ delete = "destroy" }`. An action that has the name of an effect does that; any other is refused.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, EffectWord>")]
    pub actions: BTreeMap<String, Effect>,
    /// Types of subject that are people of the directory.
    #[serde(default = "people_types")]
    pub people: BTreeSet<String>,
}

fn people_types() -> BTreeSet<String> {
    BTreeSet::from(["user".to_owned()])
}

/// It is known by `issuer`, and issues tokens for one gateway, `resource`. People sign in with accounts (`prudence account add`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// Its address as browsers and clients know it, without a path: https, or http on this machine. Left out: `server.api_url`, or `server.api_listen`.
    pub issuer: Option<String>,
    /// The gateway's address as clients know it: https, or http on this machine. Left out: `server.listen` and `/mcp`.
    pub resource: Option<String>,
    /// What it keeps: accounts, sessions, clients that registered themselves, and hashes of refresh tokens. One SQLite file.
    pub store: String,
    /// How long an access token is good for; never longer than its task.
    #[schemars(extend("x-min" = "10s", "x-max" = "1h"))]
    pub token_life: Span,
    /// Effects of tasks that a client may have whose token is bound to no key, so that whoever sees it can use it. `[]`: none, every client proves a key (DPoP).
    #[schemars(with = "Vec<EffectWord>")]
    pub bearer_effects: BTreeSet<Effect>,
    /// How long a token is good for that is bound to no key.
    #[schemars(extend("x-min" = "10s", "x-max" = "1h"))]
    pub bearer_token_life: Span,
    /// The longest lease that a person can agree to.
    #[schemars(extend("x-min" = "1m", "x-max" = "30d"))]
    pub lease_max: Span,
    /// How often a task has to earn its lease again within that: by rule when its token is refreshed and nothing unusual happened (norm `checkpoint`), else by a person (`prudence task renew`).
    #[schemars(extend("x-min" = "1m", "x-max" = "30d"))]
    pub checkpoint: Span,
    /// Effects for which a client asks that does not know what it needs.
    #[schemars(with = "Vec<EffectWord>")]
    pub scopes: BTreeSet<Effect>,
    /// The agent for which programs stand that nobody knew before. Left out: only `[[oauth_clients]]` are let in.
    #[schemars(with = "Option<String>")]
    pub guest_agent: Option<PrincipalId>,
    /// Whether such a program may register itself (RFC 7591).
    pub registration: bool,
    /// Whether such a program may be known by the address of a document that describes it; the document is fetched, from the open network only.
    pub client_documents: bool,
    /// Whether a call with an effect that the task does not name is answered with HTTP 403 and the missing scope, so that the program asks the person again. Otherwise the model reads a refusal, and a person may approve the one call.
    pub step_up: bool,
}

impl Default for Authorization {
    fn default() -> Self {
        let harmless = BTreeSet::from([Effect::Read, Effect::Compute, Effect::Write]);
        Self {
            issuer: None,
            resource: None,
            store: "prudence-auth.db".to_owned(),
            token_life: Span::minutes(10),
            bearer_effects: harmless.clone(),
            bearer_token_life: Span::minutes(5),
            lease_max: Span::minutes(8 * 60),
            checkpoint: Span::minutes(60),
            scopes: harmless,
            guest_agent: None,
            registration: false,
            client_documents: false,
            step_up: false,
        }
    }
}

/// The organisation has agreed with it on which programs act for whom; the task gets no more effects than it says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// Its name, as its assertions have it (`iss`).
    #[schemars(length(min = 1, max = 256))]
    pub issuer: String,
    /// A file with its public keys, as a JWK set (RSA, P-256 or Ed25519).
    pub keys: String,
    /// How it names people: by mail address (`email`), or by their id in the directory (`sub`).
    #[serde(default)]
    pub person: PersonBy,
}

/// How an identity provider names people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PersonBy {
    /// `email`
    #[default]
    Email,
    /// `sub`
    Subject,
}

/// With `keys` it shows by its signature that it is the one (`private_key_jwt`), with one of `spiffe`, `tls_client_auth_…` and `certificates` by its certificate; without, anybody may say its name, and only a person's agreement counts. With `purpose` it works on a task of the agent's owner without anybody being asked each time (`client_credentials`), which needs one of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthClient {
    /// Its `client_id`.
    #[schemars(length(min = 1, max = 256))]
    pub id: String,
    /// The agent for which it asks.
    #[schemars(with = "String")]
    pub agent: PrincipalId,
    /// What people read when it asks them. Left out: its id.
    #[serde(default)]
    pub name: Option<String>,
    /// Where its answers go, letter by letter; for `http` on this machine any port. Left out: it never asks a person.
    #[serde(default)]
    pub redirects: Vec<String>,
    /// A file with its public keys, as a JWK set (P-256 or Ed25519).
    #[serde(default)]
    pub keys: Option<String>,
    /// The SPIFFE id of the workload that it is, as in `spiffe://example.org/agents/helper`. With `keys`, the bundle of its trust domain, it shows a JWT-SVID (`spiffe_jwt`); without, an X.509-SVID of one of `server.tls.client_authorities` (`spiffe_x509`).
    #[serde(default)]
    pub spiffe: Option<String>,
    /// The subject of its certificate, as RFC 4514 writes it (`openssl x509 -noout -subject -nameopt RFC2253`): it shows one of `server.tls.client_authorities` (`tls_client_auth`).
    #[serde(default)]
    #[schemars(length(min = 1, max = 1024))]
    pub tls_client_auth_subject_dn: Option<String>,
    /// The same by a DNS name among the alternative names of its certificate.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1024))]
    pub tls_client_auth_san_dns: Option<String>,
    /// The same by a URI among them.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1024))]
    pub tls_client_auth_san_uri: Option<String>,
    /// A file with its certificates, whoever issued them: in PEM, or as a JWK set with `x5c` (`self_signed_tls_client_auth`). With `server.tls`.
    #[serde(default)]
    pub certificates: Option<String>,
    /// Whether it may ask about tokens of others (introspection).
    #[serde(default)]
    pub introspects: bool,
    /// Whether its assertions may name the token endpoint instead of the issuer, as some libraries send them.
    #[serde(default)]
    pub asserts_to_endpoint: bool,
    /// What its standing task is for. Left out: it has none.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The effects that the standing task names.
    #[serde(default)]
    #[schemars(with = "Option<Vec<EffectWord>>")]
    pub effects: Option<BTreeSet<Effect>>,
    /// The resources that the standing task names, as names and patterns.
    #[serde(default)]
    pub resources: Option<Vec<String>>,
    /// The tools that the standing task names for anything beyond reading.
    #[serde(default)]
    pub tools: Option<BTreeSet<String>>,
    /// Who the answer of the standing task is for. Left out: the agent's owner.
    #[serde(default)]
    pub address: Vec<String>,
    /// The lease of the standing task; then another one begins. Left out: `authorization.lease_max`.
    #[serde(default)]
    pub lease: Option<Span>,
}

/// Bounds on everything that a peer can make grow. Sizes are bytes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A request body or a line from the client, in bytes.
    #[schemars(range(min = 4096, max = 67_108_864))]
    pub body_bytes_max: usize,
    /// The request line and all headers of a request together, in bytes.
    #[schemars(range(min = 4096, max = 1_048_576))]
    pub header_bytes_max: usize,
    /// Client connections at a time.
    #[schemars(range(min = 1, max = 65_536))]
    pub connections_max: usize,
    /// Sessions that are remembered at a time.
    #[schemars(range(min = 1, max = 65_536))]
    pub sessions_max: usize,
    /// A session without traffic is forgotten after this time.
    #[schemars(extend("x-min" = "10s", "x-max" = "1d"))]
    pub session_idle: Span,
    /// How long the head of a request, or its body, may take to arrive.
    #[schemars(extend("x-min" = "1s", "x-max" = "10m"))]
    pub read_time_max: Span,
    /// A result, event or line from an upstream, in bytes.
    #[schemars(range(min = 4096, max = 67_108_864))]
    pub result_bytes_max: usize,
    /// How long an upstream may take until its answer begins.
    #[schemars(extend("x-min" = "1s", "x-max" = "1d"))]
    pub answer_time_max: Span,
    /// How long running requests may take to end when the gateway shuts down.
    #[schemars(extend("x-min" = "0s", "x-max" = "10m"))]
    pub shutdown_time_max: Span,
    /// How long a list of tools is believed before it is asked for again.
    #[schemars(extend("x-min" = "1s", "x-max" = "1d"))]
    pub definitions_age_max: Span,
}

impl Default for Limits {
    fn default() -> Self {
        let of = gateway::Limits::default();
        Self {
            body_bytes_max: of.body_bytes_max,
            header_bytes_max: of.header_bytes_max,
            connections_max: of.connections_max,
            sessions_max: of.sessions_max,
            session_idle: Span::of(of.session_idle),
            read_time_max: Span::of(of.read_time_max),
            result_bytes_max: of.result_bytes_max,
            answer_time_max: Span::of(of.answer_time_max),
            shutdown_time_max: Span::of(of.shutdown_time_max),
            definitions_age_max: Span::of(of.definitions_age_max),
        }
    }
}

/// A person.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Who.
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub id: PrincipalId,
    /// Mail addresses and other handles by which tools name this person.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The level up to which they are cleared for everything; left out, only for what names them among its readers.
    #[serde(default)]
    #[schemars(with = "Option<ClassificationWord>")]
    pub clearance: Option<Classification>,
    /// The categories they are cleared for.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub categories: BTreeSet<std::sync::Arc<str>>,
    /// Whether they still belong to the organisation. Who has left is in no audience.
    #[serde(default)]
    #[schemars(with = "StatusWord")]
    pub status: Status,
    /// Attributes that rules of clearance look at, as in `{ department = ["Finance"] }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub attributes: BTreeMap<String, BTreeSet<std::sync::Arc<str>>>,
}

/// All rules that speak of a person are joined with the person's own clearance: the highest level, and all categories. A change holds from the next decision on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clearance {
    /// Attributes that the person must have with this value, all of them, as in `{ department = "Finance" }`.
    pub when: BTreeMap<String, String>,
    /// The level up to which they are cleared. Left out: only what else clears them counts.
    #[serde(default)]
    #[schemars(with = "Option<ClassificationWord>")]
    pub level: Option<Classification>,
    /// The categories they are cleared for.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub categories: BTreeSet<std::sync::Arc<str>>,
}

/// Somebody or something that a person has dealt with before: an agent of theirs may use it without a person being asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// Whose.
    #[schemars(with = "String")]
    pub of: PrincipalId,
    /// What kind of value: `recipient`, `account`, `url`, `phone`, or a kind of the contracts' own.
    pub kind: String,
    /// The value.
    pub value: String,
    /// The most that was paid, in the unit of the amounts that contracts report.
    #[serde(default)]
    pub amount: Option<u64>,
}

/// An agent, with somebody who answers for it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Which.
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub id: PrincipalId,
    /// The person who answers for it.
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub owner: PrincipalId,
    /// What it is for.
    #[serde(default)]
    pub purpose: String,
    /// Another person who vouches for it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub sponsor: Option<PrincipalId>,
    /// The purposes for which tasks may be started with it. Left out: any.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub purposes: Option<BTreeSet<std::sync::Arc<str>>>,
    /// The most that it may do. Left out: whatever it is granted.
    #[serde(default)]
    #[schemars(with = "Option<Vec<EffectWord>>")]
    pub effects: Option<BTreeSet<Effect>>,
    /// The tools that it may use, as names and patterns, as in `forum__*`. Left out: any.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub tools: Option<BTreeSet<std::sync::Arc<str>>>,
    /// The keys that it may prove itself with, by thumbprint (RFC 7638). Left out: any, and none at all.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub keys: Option<BTreeSet<std::sync::Arc<str>>>,
    /// The `[[oauth_clients]]` through which it may get credentials. Left out: any.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub clients: Option<BTreeSet<std::sync::Arc<str>>>,
    /// Its calls are refused from this moment (RFC 3339) on, until somebody has looked at what it did (`prudence agent review`) and changed this. Left out: never.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub registered_until: Option<jiff::Timestamp>,
    /// Whether decisions about its calls are enforced. `observe` decides and records everything and stops nothing.
    #[serde(default)]
    pub mode: Mode,
}

/// Data with its access list and classification, as the system of record has it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Which: `kind:rest`, or a pattern ending in `*`.
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub id: ResourceId,
    /// Who may have it: people, `@groups`, `public`, `external:DOMAIN`, destinations. Left out: unknown, which fails closed.
    #[serde(default)]
    pub readers: Option<Vec<String>>,
    /// How sensitive it is.
    #[serde(default)]
    #[schemars(with = "ClassificationWord")]
    pub classification: Classification,
    /// Kinds of sensitive data in it.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub categories: BTreeSet<std::sync::Arc<str>>,
    /// What it may be used for; a task's purpose is compared with these words. Left out: anything.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub purposes: Option<BTreeSet<std::sync::Arc<str>>>,
    /// How far it is trusted.
    #[serde(default)]
    #[schemars(with = "IntegrityWord")]
    pub integrity: Integrity,
    /// Who decides about it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub owner: Option<PrincipalId>,
    /// The destination it stands in (a post in a channel): those who see that, see it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub container: Option<ResourceId>,
}

/// Whatever an act makes data visible to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Which: `kind:rest`, or a pattern ending in `*`.
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub id: ResourceId,
    /// Who sees what is put there: people, `@groups`, `public`, `external:DOMAIN`, other destinations.
    pub audience: Vec<String>,
    /// Who decides about it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub owner: Option<PrincipalId>,
    /// Whether it is an established relation.
    #[serde(default)]
    pub known: bool,
}

/// What plain access control allows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// A person, an agent, a `@group`, or `public` for everyone.
    pub to: String,
    /// The effects.
    #[schemars(with = "Vec<EffectWord>")]
    pub may: BTreeSet<Effect>,
    /// Resources: names, or patterns ending in `*`.
    pub on: Vec<String>,
    /// Which permit policy carries it (`context.grants` holds this word).
    #[serde(default = "standing")]
    pub kind: String,
}

fn standing() -> String {
    STANDING.to_owned()
}

/// A time in which nothing irreversible and no change happens without a person.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Resources: names, or patterns ending in `*`.
    pub on: Vec<String>,
    /// From this moment (RFC 3339, in quotes).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub from: jiff::Timestamp,
    /// Until this moment (RFC 3339, in quotes).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub until: jiff::Timestamp,
}

// The words of the judge's closed lists. A test holds them against the judge's own.

/// How sensitive data is, from low to high.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, missing_docs, reason = "only its schema is used")]
pub enum ClassificationWord {
    Public,
    Internal,
    Confidential,
    Restricted,
}

/// How far data is trusted.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, missing_docs, reason = "only its schema is used")]
pub enum IntegrityWord {
    Untrusted,
    Trusted,
}

/// Whether a person still belongs to the organisation.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, missing_docs, reason = "only its schema is used")]
pub enum StatusWord {
    Active,
    Left,
}

/// What a tool call does, ordered by consequence.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, missing_docs, reason = "only its schema is used")]
pub enum EffectWord {
    Read,
    Compute,
    Write,
    Send,
    Publish,
    Widen,
    Destroy,
    Spend,
    Execute,
    Delegate,
}

impl Settings {
    /// Moves the people, items and grants of an included file in here.
    pub fn include(&mut self, directory: DirectorySettings) {
        self.people.extend(directory.people);
        self.groups.extend(directory.groups);
        self.agents.extend(directory.agents);
        self.items.extend(directory.items);
        self.destinations.extend(directory.destinations);
        self.grants.extend(directory.grants);
        self.freezes.extend(directory.freezes);
        self.clearance.extend(directory.clearance);
        self.domains.extend(directory.domains);
        self.relations.extend(directory.relations);
    }

    /// The programs that may use a door.
    pub fn clients_of(&self, door: Door) -> BTreeSet<PrincipalId> {
        self.clients.iter().filter(|client| client.doors.contains(&door)).map(|client| client.id.clone()).collect()
    }

    /// The directory as the judge reads it.
    pub fn document(&self) -> DirectoryDocument {
        DirectoryDocument {
            people: self.people.iter().map(Person::record).collect(),
            groups: self.groups.clone(),
            agents: self.agents.iter().map(Agent::record).collect(),
            items: self.items.iter().map(Item::record).collect(),
            destinations: self.destinations.iter().map(Destination::record).collect(),
            grants: self.grants.iter().map(Grant::record).collect(),
            freezes: self.freezes.iter().map(Freeze::record).collect(),
            clearance: self.clearance.iter().map(Clearance::record).collect(),
            domains: self.domains.clone(),
            relations: self.relations.iter().map(Relation::record).collect(),
        }
    }
}

impl Person {
    fn record(&self) -> PersonRecord {
        let Self { id, addresses, clearance, categories, status, attributes } = self.clone();
        let attributes = attributes.into_iter().map(|(name, values)| (name.into(), Values(values)));
        let attributes = Attributes(attributes.collect());
        PersonRecord { addresses, clearance, categories, status, attributes, ..PersonRecord::new(id) }
    }
}

impl Agent {
    fn record(&self) -> judge::directory::AgentRecord {
        let Self { id, owner, purpose, sponsor, purposes, effects, tools, keys, clients, registered_until, mode: _ } =
            self.clone();
        let ends = registered_until.map(moment);
        let registration = Registration { sponsor, purposes, effects, tools, keys, clients, ends, ..Registration::default() };
        judge::directory::AgentRecord { purpose, registration, ..judge::directory::AgentRecord::new(id, owner) }
    }
}

impl Clearance {
    fn record(&self) -> ClearanceRule {
        let Self { when, level, categories } = self.clone();
        let when = when.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        ClearanceRule { when, level, categories }
    }
}

impl Relation {
    fn record(&self) -> RelationRecord {
        let Self { of, kind, value, amount } = self.clone();
        RelationRecord { of, kind: kind.into(), value, amount }
    }
}

impl Item {
    fn record(&self) -> ItemRecord {
        let Self { id, readers, classification, categories, purposes, integrity, owner, container } = self.clone();
        ItemRecord { id, readers, classification, categories, purposes, integrity, owner, container }
    }
}

impl Destination {
    fn record(&self) -> DestinationRecord {
        let Self { id, audience, owner, known } = self.clone();
        DestinationRecord { id, audience, owner, known }
    }
}

impl Grant {
    fn record(&self) -> GrantRecord {
        let Self { to, may, on, kind } = self.clone();
        GrantRecord { to, may, on, kind }
    }
}

impl Freeze {
    fn record(&self) -> FreezeRecord {
        FreezeRecord { on: self.on.clone(), from: moment(self.from), until: moment(self.until) }
    }
}

/// Milliseconds since 1970; what was before is 1970.
fn moment(timestamp: jiff::Timestamp) -> Moment {
    Moment(u64::try_from(timestamp.as_millisecond()).unwrap_or(0))
}
