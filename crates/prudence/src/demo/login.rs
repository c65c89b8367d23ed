//! A program as it logs in and calls (OAuth 2.1, DPoP, MCP), and a person with a browser: the outside of an authorization server. Both know
//! addresses and what is sent to them, and nothing of what is behind.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;
use wire::dpop::{ProofKey, Proving, hash};
use workplace::script::Step;

use crate::commands::contain::straight;
use crate::commands::now;

/// Where the browser brings the answer. Nobody has to listen there: this program reads it off the browser.
const REDIRECT: &str = "http://127.0.0.1:5000/callback";
const FORM: &str = "application/x-www-form-urlencoded";

/// The headers of a tool call of MCP 2026-07-28, beside the one that says who calls.
pub fn call_headers(tool: &str) -> [(&'static str, &str); 5] {
    [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ]
}

/// The body of one, which stands for itself: there is no session.
pub fn call_body(program: &str, tool: &str, arguments: &Value) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": program, "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

/// An answer, read whole.
pub struct Answer {
    status: StatusCode,
    headers: header::HeaderMap,
    text: String,
}

impl Answer {
    /// Its status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Whether it holds the result of a tool, and no refusal.
    pub fn is_result(&self) -> bool {
        let said: Value = serde_json::from_str(&self.text).unwrap_or_default();
        self.status == StatusCode::OK && said["result"]["isError"] != true && said["result"]["content"].is_array()
    }

    /// Its JSON, when it has this status.
    pub fn json(&self, status: StatusCode) -> Result<Value> {
        let said: Value = serde_json::from_str(&self.text).unwrap_or_default();
        // Not the whole: a token may be in it.
        let why = said["error_description"].as_str().or(said["error"].as_str()).unwrap_or_default();
        ensure!(self.status == status, "expected the status {status}, found {} {why}", self.status);
        Ok(said)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether the server wants its nonce in the proof (RFC 9449 §8 and §9).
    fn wants_nonce(&self) -> bool {
        self.header("www-authenticate").contains("use_dpop_nonce") || self.text.contains("use_dpop_nonce")
    }
}

/// Sends something with a body to `url`, or asks for what is there.
pub async fn send(http: &Client, url: &str, headers: &[(&str, &str)], body: Option<String>) -> Result<Answer> {
    let request = if body.is_some() { http.post(url) } else { http.get(url) };
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.body(body.unwrap_or_default()).send().await.with_context(|| format!("asking `{url}`"))?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}

/// An authorization server as its metadata describes it (RFC 8414).
pub struct Server {
    /// Its name.
    pub issuer: String,
    authorize: String,
    push: String,
    token: String,
}

/// A request that was pushed, and what turns its answer into a token.
pub struct Asked {
    /// Where the program sends the person's browser.
    pub authorize: Url,
    verifier: String,
    state: String,
}

/// A token and what came with it. Never printed.
pub struct Granted {
    /// The token.
    pub token: String,
    /// What it says, as anybody can read who has it.
    pub claims: Value,
    /// The task for which it is (RFC 9396 §7).
    pub task: Value,
}

impl Granted {
    fn of(answer: &Answer) -> Result<Self> {
        let mut said = answer.json(StatusCode::OK)?;
        ensure!(said["token_type"] == "DPoP", "the token is bound to no key");
        let token = said["access_token"].as_str().context("a token")?.to_owned();
        let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok()).context("a JWT")?;
        Ok(Self { claims: serde_json::from_slice(&claims)?, task: said["authorization_details"][0].take(), token })
    }
}

/// A program that holds a key: it proves it with every request, and remembers the nonces that servers gave it.
pub struct Program {
    /// Its `client_id`, which is the name of its agent as well.
    pub id: &'static str,
    /// The proof that it sent last: whoever listens on the way has it too.
    pub sent: String,
    http: Client,
    key: ProofKey,
    nonces: BTreeMap<String, String>,
}

impl Program {
    /// A program with a key that nobody else has.
    pub fn new(id: &'static str) -> Result<Self> {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok().context("a key")?;
        let key = ProofKey::from_pkcs8(der.as_ref())?;
        Ok(Self { id, sent: String::new(), http: straight().build()?, key, nonces: BTreeMap::new() })
    }

    /// Its public key, as a set (RFC 7517 §5).
    pub fn public_keys(&self) -> Value {
        json!({ "keys": [self.key.public()] })
    }

    /// The thumbprint of its key.
    pub fn thumbprint(&self) -> &str {
        self.key.thumbprint()
    }

    /// Calls without a token, and finds out where one is to be had: the answer names its metadata (RFC 9728 §5.1), which names the
    /// authorization server, which describes itself.
    pub async fn discover(&mut self, gateway: &str, step: &Step) -> Result<(Answer, Server)> {
        let refused = self.call_with(gateway, step, &[]).await?;
        self.remember(gateway, &refused)?;
        let metadata =
            between(refused.header("www-authenticate"), "resource_metadata=\"", "\"").context("where the metadata is")?;
        let resource = send(&self.http, metadata, &[], None).await?.json(StatusCode::OK)?;
        ensure!(resource["resource"] == gateway, "the metadata is of another resource");
        let issuer = resource["authorization_servers"][0].as_str().context("an authorization server")?.to_owned();
        let url = format!("{issuer}/.well-known/oauth-authorization-server");
        let described = send(&self.http, &url, &[], None).await?.json(StatusCode::OK)?;
        ensure!(described["issuer"] == issuer.as_str(), "the metadata is of another server");
        let at = |name: &str| described[name].as_str().map(str::to_owned).with_context(|| format!("`{name}` of the server"));
        let server = Server {
            authorize: at("authorization_endpoint")?,
            push: at("pushed_authorization_request_endpoint")?,
            token: at("token_endpoint")?,
            issuer,
        };
        Ok((refused, server))
    }

    /// Asks for a task: pushes the request (RFC 9126) with the task in it (RFC 9396), PKCE, and a proof that binds the answer to the key.
    pub async fn ask(&mut self, server: &Server, gateway: &str, task: &Value) -> Result<Asked> {
        let (verifier, state) = (secret()?, secret()?);
        // SHA-256 in base64url: S256 (RFC 7636 §4.2) is what proofs have for tokens.
        let challenge = hash(&verifier);
        let details = json!([task]).to_string();
        let form = [
            ("client_id", self.id),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", &state),
            ("resource", gateway),
            ("authorization_details", &details),
        ];
        let pushed = self.post_form(&server.push, &form).await?.json(StatusCode::CREATED)?;
        let request = pushed["request_uri"].as_str().context("the name of the request")?;
        let authorize = Url::parse_with_params(&server.authorize, [("client_id", self.id), ("request_uri", request)])?;
        Ok(Asked { authorize, verifier, state })
    }

    /// Turns what the browser came back with into a token.
    pub async fn redeem(&mut self, server: &Server, asked: &Asked, back: &Url) -> Result<Granted> {
        let said: BTreeMap<_, _> = back.query_pairs().collect();
        let is = |name: &str, expected: &str| said.get(name).is_some_and(|value| value == expected);
        ensure!(is("state", &asked.state) && is("iss", &server.issuer), "the answer is not of this request and this server");
        let code = said.get("code").with_context(|| format!("a code: {}", back.query().unwrap_or_default()))?;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", self.id),
            ("redirect_uri", REDIRECT),
            ("code", code),
            ("code_verifier", &asked.verifier),
        ];
        Granted::of(&self.post_form(&server.token, &form).await?)
    }

    /// Hands a part of its task on to another program, which signs for it with its own key (RFC 8693). The answer when it is refused.
    pub async fn hand_on(
        &mut self,
        server: &Server,
        own: &Granted,
        to: &Program,
        part: &Value,
    ) -> Result<Result<Granted, Answer>> {
        let signed = to.key.assert_client(to.id, &server.issuer, &secret()?, now().0 / 1000)?;
        let details = json!([part]).to_string();
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", self.id),
            ("subject_token", &own.token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("actor_token", &signed),
            ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("authorization_details", &details),
        ];
        let answer = self.post_form(&server.token, &form).await?;
        if answer.status == StatusCode::OK { Ok(Ok(Granted::of(&answer)?)) } else { Ok(Err(answer)) }
    }

    /// Calls a tool with a token, and a proof for this very call.
    pub async fn call(&mut self, gateway: &str, token: &str, step: &Step) -> Result<Answer> {
        let body = call_body(self.id, step.tool, &step.arguments);
        self.post(gateway, Some(token), &call_headers(step.tool), &body).await
    }

    /// Calls a tool with these headers and no more.
    pub async fn call_with(&self, gateway: &str, step: &Step, headers: &[(&str, &str)]) -> Result<Answer> {
        let body = call_body(self.id, step.tool, &step.arguments);
        send(&self.http, gateway, &[&call_headers(step.tool), headers].concat(), Some(body)).await
    }

    async fn post_form(&mut self, url: &str, form: &[(&str, &str)]) -> Result<Answer> {
        self.post(url, None, &[("content-type", FORM)], &encoded(form)).await
    }

    /// Sends something with a proof of the key; again when the server wants its nonce in it.
    async fn post(&mut self, url: &str, token: Option<&str>, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let first = self.post_once(url, token, headers, body).await?;
        if first.wants_nonce() { self.post_once(url, token, headers, body).await } else { Ok(first) }
    }

    async fn post_once(&mut self, url: &str, token: Option<&str>, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let nonce = self.nonces.get(&origin(url)?).map(String::as_str);
        let id = secret()?;
        let for_body = token.map(|_| body.as_bytes());
        let proving = Proving { method: "POST", url, access_token: token, nonce, body: for_body, id: &id, now_s: now().0 / 1000 };
        self.sent = self.key.prove(&proving)?;
        let authorization = token.map(|token| format!("DPoP {token}"));
        let mut headers = headers.to_vec();
        headers.push(("dpop", &self.sent));
        headers.extend(authorization.iter().map(|value| ("authorization", value.as_str())));
        let answer = send(&self.http, url, &headers, Some(body.to_owned())).await?;
        self.remember(url, &answer)?;
        Ok(answer)
    }

    fn remember(&mut self, url: &str, answer: &Answer) -> Result<()> {
        let nonce = answer.header("dpop-nonce");
        if !nonce.is_empty() {
            self.nonces.insert(origin(url)?, nonce.to_owned());
        }
        Ok(())
    }
}

/// A person signs in, reads what is asked, and says yes to what is ticked. What they read, line by line, and where the browser ends.
pub async fn agree(authorize: &Url, person: &str, password: &str) -> Result<(Vec<(String, String)>, Url)> {
    let mut browser = Browser { http: straight().build()?, origin: origin(authorize.as_str())?, cookie: String::new() };
    let consent = browser.go(authorize.as_str(), None).await?.1.context("the way to the page")?;
    let (sign_in, _) = browser.go(consent.as_str(), None).await?;
    let entered = [("name", person), ("password", password)];
    let consent = browser.submit("/oauth/sign-in", &sign_in, &entered).await?.context("the way back to the page")?;
    let (page, _) = browser.go(consent.as_str(), None).await?;
    let read = what_it_says(&page);
    let lease = page.split("<option value=\"").skip(1).find(|option| option.contains("\" selected>"));
    let lease = lease.and_then(|option| option.split('"').next()).context("a lease")?;
    let mut answer = vec![("answer", "yes"), ("purpose", purpose(&page)), ("words", words(&page)), ("lease", lease)];
    let ticked: Vec<String> = ticked(&page).map(|(effect, _)| format!("effect.{effect}")).collect();
    answer.extend(ticked.iter().map(|effect| (effect.as_str(), "yes")));
    let back = browser.submit("/oauth/consent", &page, &answer).await?.context("the way back to the program")?;
    Ok((read, back))
}

/// A browser with one person in front of it.
struct Browser {
    http: Client,
    origin: String,
    cookie: String,
}

impl Browser {
    /// A page, and where the browser is sent.
    async fn go(&mut self, url: &str, form: Option<String>) -> Result<(String, Option<Url>)> {
        let cookie = self.cookie.clone();
        let mut headers = vec![("cookie", cookie.as_str())];
        let origin = self.origin.clone();
        if form.is_some() {
            headers.extend([("content-type", FORM), ("origin", &origin), ("sec-fetch-site", "same-origin")]);
        }
        let answer = send(&self.http, url, &headers, form).await?;
        if let Some(set) = answer.header("set-cookie").split(';').next().filter(|set| !set.is_empty()) {
            self.cookie = set.to_owned();
        }
        let to = answer.header("location");
        let to = if to.is_empty() { None } else { Some(Url::parse(url)?.join(to)?) };
        if to.is_none() && !answer.status.is_success() {
            bail!("`{url}` answered {}", answer.status);
        }
        Ok((answer.text, to))
    }

    /// Fills in the form of a page.
    async fn submit(&mut self, path: &str, page: &str, filled: &[(&str, &str)]) -> Result<Option<Url>> {
        let hidden = ["request", "csrf"].map(|name| (name, between(page, &format!("name=\"{name}\" value=\""), "\"")));
        let mut form: Vec<(&str, &str)> = hidden.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
        form.extend(filled);
        let url = format!("{}{path}", self.origin);
        Ok(self.go(&url, Some(encoded(&form))).await?.1)
    }
}

/// What the page says about the task, as a reader sees it: each name and what stands beside it.
fn what_it_says(page: &str) -> Vec<(String, String)> {
    let fact = |fact: &str| Some((text(fact.split("</dt>").next()?), text(between(fact, "<dd>", "</dd>")?)));
    let mut said: Vec<(String, String)> = page.split("<dt>").skip(1).filter_map(fact).collect();
    let allowed = ticked(page).map(|(_, sentence)| sentence).collect::<Vec<_>>().join("; ");
    let until = between(page, "\" selected>", "</option>").unwrap_or_default();
    let filled_in =
        [("What for", purpose(page)), ("In your own words", words(page)), ("What it may do", &allowed), ("Until", until)];
    said.extend(filled_in.map(|(name, value)| (name.to_owned(), text(value))));
    said
}

fn purpose(page: &str) -> &str {
    between(page, "name=\"purpose\"", ">").and_then(|tag| between(tag, "value=\"", "\"")).unwrap_or_default()
}

fn words(page: &str) -> &str {
    between(page, "<textarea", "</textarea>").and_then(|area| area.split_once('>')).map_or("", |(_, words)| words)
}

/// The effects that are ticked, each with its sentence.
fn ticked(page: &str) -> impl Iterator<Item = (&str, String)> {
    let rows =
        page.split("name=\"effect.").skip(1).filter(|row| row.split('>').next().is_some_and(|tag| tag.ends_with(" checked")));
    rows.filter_map(|row| Some((row.split('"').next()?, text(between(row, "<span class=\"soft\">", "</span>")?))))
}

/// The text between tags, piece by piece.
fn text(html: &str) -> String {
    let pieces = format!(">{html}");
    let pieces = pieces.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.trim());
    pieces.filter(|text| !matches!(*text, "" | ",")).collect::<Vec<_>>().join(", ")
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

fn encoded(form: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(form).finish()
}

fn origin(url: &str) -> Result<String> {
    Ok(Url::parse(url)?.origin().ascii_serialization())
}

/// 32 random bytes, as they travel.
fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok().context("random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
