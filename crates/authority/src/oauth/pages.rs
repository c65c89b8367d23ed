//! The pages that people see: sign in, consent, and what cannot go on. They work without script, and none is let in.
//!
//! A browser brings its cookie to whatever page sends it here, so that every form carries a token that only a page of ours can know, and
//! must come from our own address.

use askama::Template;
use aws_lc_rs::hmac;
use axum::body::Bytes;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use judge::effect::Effect;
use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::task::Budget;
use url::Url;
use wire::time::rfc3339;

use super::accounts::{SESSION_MS, SignInError};
use super::client::{Client, Origin, is_loopback};
use super::error::Refusal;
use super::form::{Form, QUERY_BYTES_MAX, is_plain};
use super::request::{Asked, Consented, REQUEST_URI, back};
use super::{Oauth, secret, tasks};

const STYLE: &str = include_str!("../../templates/oauth/style.css");
/// Leases that a person can choose, in minutes.
const LEASES_MINUTES: [u64; 6] = [15, 60, 4 * 60, 8 * 60, 24 * 60, 7 * 24 * 60];
/// The one that is chosen already, in minutes.
const LEASE_MINUTES: u64 = 60;
const WORDS_CHARS_MAX: usize = 2_000;
const PURPOSE_CHARS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "oauth/sign_in.html")]
struct SignInPage<'a> {
    client: &'a str,
    request: &'a str,
    csrf: &'a str,
    name: &'a str,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "oauth/consent.html")]
struct ConsentPage<'a> {
    client: &'a str,
    stranger: Option<String>,
    problem: Option<String>,
    agent: &'a str,
    agent_purpose: String,
    owner: String,
    person: &'a str,
    address: Vec<String>,
    audience: String,
    resources: Option<&'a Vec<String>>,
    tools: Option<Vec<&'a String>>,
    budget: String,
    back_to: String,
    request: &'a str,
    csrf: &'a str,
    purpose: String,
    words: &'a str,
    words_of_client: bool,
    effects: Vec<EffectRow>,
    leases: Vec<LeaseRow>,
    checkpoint: String,
}

#[derive(Template)]
#[template(path = "oauth/problem.html")]
struct ProblemPage {
    problem: String,
}

struct EffectRow {
    word: &'static str,
    sentence: &'static str,
    is_grave: bool,
    is_checked: bool,
}

struct LeaseRow {
    ms: u64,
    label: String,
    is_chosen: bool,
}

/// `GET /oauth/style.css`
pub async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (kind, STYLE).into_response()
}

/// `GET /oauth/authorize` (RFC 6749 §4.1.1): keeps a request that is in order, and sends the person's browser to it.
pub async fn authorize(Shared(oauth): Shared<Oauth>, RawQuery(query): RawQuery) -> Response {
    match begin(&oauth, query.unwrap_or_default().as_bytes()).await {
        Ok(request) => see_other(&format!("/oauth/consent?request={request}")),
        Err(Begun::Back(to, refusal)) => {
            oauth.note(&refusal).await;
            see_other(&to)
        }
        Err(Begun::Page(refusal)) => {
            oauth.note(&refusal).await;
            problem(&refusal)
        }
    }
}

/// Why a request goes nowhere.
enum Begun {
    /// Whom to tell is known.
    Back(String, Refusal),
    /// Nobody is told but the person: an address that is not the client's must not get anything (RFC 6749 §4.1.2.1).
    Page(Refusal),
}

async fn begin(oauth: &Oauth, query: &[u8]) -> Result<String, Begun> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(Begun::Page(Refusal::Request("the request is too long; push it instead".to_owned())));
    }
    let form = Form::parse(query).map_err(Begun::Page)?;
    let id = form.demand("client_id").map_err(Begun::Page)?;
    if let Some(uri) = form.get("request_uri") {
        let unknown = || Begun::Page(Refusal::Request("the pushed request is not known, or over".to_owned()));
        let name = uri.strip_prefix(REQUEST_URI).ok_or_else(unknown)?;
        let asked = oauth.waiting().request(name, oauth.now()).ok_or_else(unknown)?;
        // RFC 9126 §4: whoever got hold of the name may not use it as somebody else.
        return if asked.client.id == id { Ok(name.to_owned()) } else { Err(unknown()) };
    }
    let client = oauth.client(id).await.map_err(Begun::Page)?;
    let redirect = form.demand("redirect_uri").map_err(Begun::Page)?;
    if !client.may_redirect_to(redirect) {
        return Err(Begun::Page(Refusal::Request("the address to go back to is not one of the program's".to_owned())));
    }
    let state = form.get("state");
    let told = |refusal: Refusal| {
        let parts = [("error", refusal.code()), ("error_description", &refusal.description())];
        Begun::Back(back(redirect, state, oauth.config(), &parts), refusal.clone())
    };
    let asked = Asked::read(oauth.config(), client, redirect, &form).map_err(told)?;
    let name = secret().map_err(|error| told(error.into()))?;
    oauth.waiting().keep(&name, asked, oauth.now()).map_err(told)?;
    Ok(name)
}

/// `GET /oauth/consent?request=…`: the page for whoever is signed in, or the way there.
pub async fn consent(Shared(oauth): Shared<Oauth>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let form = Form::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let request = form.get("request").unwrap_or_default();
    shown(&oauth, &headers, request, None).await.unwrap_or_else(|refusal| problem(&refusal))
}

async fn shown(oauth: &Oauth, headers: &HeaderMap, request: &str, wrong: Option<String>) -> Result<Response, Refusal> {
    let now = oauth.now();
    let asked = oauth.waiting().request(request, now).ok_or_else(over)?;
    let Some((person, session)) = signed_in(oauth, headers).await? else {
        return Ok(sign_in_page(oauth, &asked, request, "", None));
    };
    let csrf = oauth.csrf(&session, request);
    Ok(consent_page(oauth, &asked, &person, request, &csrf, wrong, now))
}

/// `POST /oauth/sign-in`
pub async fn sign_in(Shared(oauth): Shared<Oauth>, headers: HeaderMap, body: Bytes) -> Response {
    let entered = async {
        let form = Form::body(&headers, &body)?;
        let request = form.demand("request")?;
        is_ours(&oauth, &headers, &form, "", request)?;
        let asked = oauth.waiting().request(request, oauth.now()).ok_or_else(over)?;
        let (name, password) = (form.get("name").unwrap_or_default(), form.get("password").unwrap_or_default());
        match oauth.accounts().sign_in(name, password).await {
            Ok((person, session)) => {
                tracing::info!(%person, "signed in");
                let mut response = see_other(&format!("/oauth/consent?request={request}"));
                response.headers_mut().insert(header::SET_COOKIE, cookie(&oauth, &session, SESSION_MS / 1000)?);
                Ok(response)
            }
            Err(error @ (SignInError::Wrong | SignInError::Pause | SignInError::Busy)) => {
                if error != SignInError::Busy {
                    oauth.note(&Refusal::Client(format!("sign in: {error}"))).await;
                }
                let mut page = sign_in_page(&oauth, &asked, request, name, Some(sentence(&error.to_string())));
                *page.status_mut() =
                    if error == SignInError::Wrong { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
                Ok(page)
            }
            Err(SignInError::Store(error)) => Err(error.into()),
            Err(SignInError::Random) => Err(Refusal::Server),
        }
    };
    entered.await.unwrap_or_else(|refusal: Refusal| problem(&refusal))
}

/// `POST /oauth/sign-out`
pub async fn sign_out(Shared(oauth): Shared<Oauth>, headers: HeaderMap, body: Bytes) -> Response {
    let left = async {
        let form = Form::body(&headers, &body)?;
        let request = form.demand("request")?;
        let session = session(&oauth, &headers).unwrap_or_default();
        is_ours(&oauth, &headers, &form, &session, request)?;
        oauth.accounts().sign_out(&session).await?;
        let mut response = see_other(&format!("/oauth/consent?request={request}"));
        response.headers_mut().insert(header::SET_COOKIE, cookie(&oauth, "", 0)?);
        Ok(response)
    };
    left.await.unwrap_or_else(|refusal: Refusal| problem(&refusal))
}

/// `POST /oauth/consent`: the person's answer. A yes begins the task.
pub async fn answer(Shared(oauth): Shared<Oauth>, headers: HeaderMap, body: Bytes) -> Response {
    let answered = async {
        let form = Form::body(&headers, &body)?;
        let request = form.demand("request")?;
        let Some((person, session)) = signed_in(&oauth, &headers).await? else {
            return shown(&oauth, &headers, request, None).await;
        };
        is_ours(&oauth, &headers, &form, &session, request)?;
        match form.get("answer") {
            Some("yes") => agreed(&oauth, &headers, &form, request, &person).await,
            _ => {
                let asked = oauth.waiting().take_request(request, oauth.now()).ok_or_else(over)?;
                let parts = [("error", Refusal::Denied.code()), ("error_description", &Refusal::Denied.description())];
                Ok(see_other(&asked.back(oauth.config(), &parts)))
            }
        }
    };
    answered.await.unwrap_or_else(|refusal: Refusal| problem(&refusal))
}

async fn agreed(
    oauth: &Oauth,
    headers: &HeaderMap,
    form: &Form,
    request: &str,
    person: &PrincipalId,
) -> Result<Response, Refusal> {
    let now = oauth.now();
    let asked = oauth.waiting().request(request, now).ok_or_else(over)?;
    let mut task = asked.task.clone();
    let requested = task.effects.clone().unwrap_or_default();
    // A person may take away; what was not asked for is not there to be ticked.
    let chosen = requested.into_iter().filter(|effect| form.has(&format!("effect.{}", effect.word()))).collect();
    task.effects = Some(chosen);
    if task.effects.as_ref().is_none_or(std::collections::BTreeSet::is_empty) {
        return shown(oauth, headers, request, Some("Choose at least one thing that it may do, or say no.".to_owned())).await;
    }
    task.purpose = form.get("purpose").map(|text| cut(text, PURPOSE_CHARS_MAX)).filter(|text| !text.is_empty());
    task.words = form.get("words").map(|text| cut(text, WORDS_CHARS_MAX)).filter(|text| !text.is_empty());
    let most_ms = task.lease_ms.unwrap_or(oauth.config().lease_ms_max);
    let lease_ms = form.get("lease").and_then(|lease| lease.parse::<u64>().ok()).filter(|lease| *lease > 0);
    task.lease_ms = Some(lease_ms.unwrap_or(LEASE_MINUTES * 60_000).min(most_ms));
    // The request is answered now: a second click finds nothing.
    let asked = oauth.waiting().take_request(request, now).ok_or_else(over)?;
    let started = tasks::start(oauth.engine(), person, &asked.client.agent, task, oauth.config()).await;
    let started = match started {
        Ok(started) => started,
        Err(refusal) => {
            oauth.note(&refusal).await;
            let parts = [("error", "access_denied"), ("error_description", &refusal.description())];
            return Ok(see_other(&asked.back(oauth.config(), &parts)));
        }
    };
    let code = secret()?;
    let consented = Consented { asked: asked.clone(), task: started.id };
    oauth.waiting().issue(&code, consented, oauth.now())?;
    Ok(see_other(&asked.back(oauth.config(), &[("code", &code)])))
}

fn over() -> Refusal {
    Refusal::Request("what was asked for is not known, or over".to_owned())
}

/// A form counts only when it is of a page of ours: its token says so, and the browser does not say otherwise.
fn is_ours(oauth: &Oauth, headers: &HeaderMap, form: &Form, session: &str, request: &str) -> Result<(), Refusal> {
    let expected = oauth.csrf(session, request);
    let token = form.get("csrf").unwrap_or_default();
    let is_token = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), token.as_bytes()).is_ok();
    let said = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    let is_from_here = said("origin").is_none_or(|origin| origin == oauth.config().issuer)
        && said("sec-fetch-site").is_none_or(|site| site == "same-origin");
    if is_token && is_from_here { Ok(()) } else { Err(Refusal::Request("the form did not come from this page".to_owned())) }
}

async fn signed_in(oauth: &Oauth, headers: &HeaderMap) -> Result<Option<(PrincipalId, String)>, Refusal> {
    let Some(session) = session(oauth, headers) else { return Ok(None) };
    let person = oauth.accounts().signed_in(&session).await?;
    Ok(person.map(|person| (person, session)))
}

/// The name of the cookie. With `__Host-` no other host and no unprotected page can set it (RFC 6265bis §4.1.3.2).
fn cookie_name(oauth: &Oauth) -> &'static str {
    if oauth.config().is_plain() { "prudence-session" } else { "__Host-prudence-session" }
}

fn session(oauth: &Oauth, headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == cookie_name(oauth) && !value.is_empty()).map(|(_, value)| value.to_owned())
}

fn cookie(oauth: &Oauth, session: &str, age_s: u64) -> Result<HeaderValue, Refusal> {
    let secure = if oauth.config().is_plain() { "" } else { "; Secure" };
    // Lax, because a person comes here from the page of a client.
    let cookie = format!("{}={session}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}", cookie_name(oauth));
    HeaderValue::from_str(&cookie).map_err(|_| Refusal::Server)
}

fn sign_in_page(oauth: &Oauth, asked: &Asked, request: &str, name: &str, problem: Option<String>) -> Response {
    let csrf = oauth.csrf("", request);
    page(&SignInPage { client: &asked.client.name, request, csrf: &csrf, name, problem }, "'self'", StatusCode::OK)
}

fn consent_page(
    oauth: &Oauth,
    asked: &Asked,
    person: &PrincipalId,
    request: &str,
    csrf: &str,
    problem: Option<String>,
    now: Moment,
) -> Response {
    let Asked { client, task, redirect, .. } = asked;
    let address = if task.address.is_empty() { vec![person.to_string()] } else { task.address.clone() };
    let (owner, agent_purpose) = agent(oauth, &client.agent);
    let shown = ConsentPage {
        client: &client.name,
        stranger: stranger(client, redirect),
        problem,
        agent: client.agent.as_str(),
        agent_purpose,
        owner,
        person: person.as_str(),
        audience: audience(oauth, &address, person),
        address,
        resources: task.resources.as_ref(),
        tools: task.tools.as_ref().map(|tools| tools.iter().collect()),
        budget: budget(&task.budget),
        back_to: goal(redirect),
        request,
        csrf,
        purpose: task.purpose.clone().unwrap_or_default(),
        words: task.words.as_deref().unwrap_or_default(),
        words_of_client: task.words.is_some(),
        effects: task.effects.iter().flatten().map(|effect| effect_row(*effect)).collect(),
        leases: leases(task.lease_ms.unwrap_or(u64::MAX).min(oauth.config().lease_ms_max), now),
        checkpoint: span(oauth.config().checkpoint_ms),
    };
    // A browser holds the redirect after a form to this list as well.
    page(&shown, &format!("'self' {}", form_target(redirect)), StatusCode::OK)
}

fn agent(oauth: &Oauth, agent: &PrincipalId) -> (String, String) {
    oauth.engine().view(|state, _| {
        let record = state.directory().agent_record(agent.as_str());
        record
            .map_or_else(|| ("nobody".to_owned(), String::new()), |record| (record.owner.to_string(), record.purpose.to_string()))
    })
}

/// What people have to know about a client that nobody knew before.
fn stranger(client: &Client, redirect: &str) -> Option<String> {
    let said = match client.origin {
        Origin::Configured => return None,
        Origin::Registered => "This program registered itself: its name is its own word.".to_owned(),
        Origin::Document => format!("This program is described by {}. Its name is its own word.", goal(&client.id)),
    };
    let is_here = Url::parse(redirect).is_ok_and(|url| is_loopback(&url));
    // A document says nothing about who listens on this machine (MCP, "Localhost Redirect URI Risks").
    let where_to = if is_here { " Any program on your machine could say the same." } else { "" };
    Some(format!("{said}{where_to} Say yes only if you just started it yourself."))
}

fn audience(oauth: &Oauth, address: &[String], person: &PrincipalId) -> String {
    if *address == [person.to_string()] {
        return "you alone".to_owned();
    }
    let (people, is_outside) = tasks::audience(oauth.engine(), address);
    let people = if people == 1 { "1 person".to_owned() } else { format!("{people} people") };
    if is_outside { format!("{people}, and somebody outside") } else { people }
}

fn budget(budget: &Budget) -> String {
    let Budget { calls, items, recipients, amount } = budget;
    let parts = [(calls, "calls"), (items, "items read"), (recipients, "recipients"), (amount, "spent")];
    parts.into_iter().filter_map(|(most, what)| Some(format!("{} {what}", (*most)?))).collect::<Vec<_>>().join(", ")
}

fn effect_row(effect: Effect) -> EffectRow {
    let sentence = match effect {
        Effect::Read => "read what you and it may read",
        Effect::Compute => "use tools that change nothing",
        Effect::Write => "change things that nobody new will see",
        Effect::Send => "send to people that are named",
        Effect::Publish => "publish to a group or to everyone",
        Effect::Widen => "change who may see or do something",
        Effect::Destroy => "delete things for good",
        Effect::Spend => "spend money",
        Effect::Execute => "run programs",
        Effect::Delegate => "hand parts of the task to other agents",
    };
    let is_grave = matches!(effect, Effect::Widen | Effect::Destroy | Effect::Spend | Effect::Execute);
    // What cannot be undone is ticked by a person, not by the one who asks.
    EffectRow { word: effect.word(), sentence, is_grave, is_checked: !is_grave }
}

fn leases(most_ms: u64, now: Moment) -> Vec<LeaseRow> {
    let mut spans: Vec<u64> = LEASES_MINUTES.iter().map(|minutes| minutes * 60_000).filter(|ms| *ms <= most_ms).collect();
    if spans.last() != Some(&most_ms) && most_ms < LEASES_MINUTES[LEASES_MINUTES.len() - 1] * 60_000 {
        spans.push(most_ms);
    }
    let chosen = spans.iter().rev().find(|ms| **ms <= LEASE_MINUTES * 60_000).copied().or(spans.first().copied());
    let row = |ms: u64| LeaseRow {
        ms,
        label: format!("{} from now ({})", span(ms), minute(now.after_ms(ms))),
        is_chosen: Some(ms) == chosen,
    };
    spans.into_iter().map(row).collect()
}

/// To the minute, as people read it.
fn minute(at: Moment) -> String {
    let text = rfc3339(at.0);
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

fn span(ms: u64) -> String {
    let minutes = ms.div_ceil(60_000);
    let of = |number: u64, word: &str| if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") };
    match minutes {
        minutes if minutes % (24 * 60) == 0 => of(minutes / (24 * 60), "day"),
        minutes if minutes % 60 == 0 => of(minutes / 60, "hour"),
        minutes => of(minutes, "minute"),
    }
}

/// The host of an address, or its scheme where it has none: what a person can judge.
fn goal(address: &str) -> String {
    match Url::parse(address) {
        Ok(url) => match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => format!("the app {}", url.scheme()),
        },
        Err(_) => "?".to_owned(),
    }
}

/// An address as `form-action` takes it: its origin, or its scheme.
fn form_target(redirect: &str) -> String {
    match Url::parse(redirect) {
        // The list knows no hosts in brackets (CSP Level 3 §2.3.1).
        Ok(url) if matches!(url.host(), Some(url::Host::Ipv6(_))) => format!("{}:", url.scheme()),
        Ok(url) if matches!(url.scheme(), "http" | "https") => url.origin().ascii_serialization(),
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    // What was pasted unseen is not what the person said.
    let seen = text.chars().filter(|c| is_plain(*c) || *c == '\n');
    seen.collect::<String>().trim().chars().take(chars_max).collect()
}

/// A message as a sentence.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

fn problem(refusal: &Refusal) -> Response {
    page(&ProblemPage { problem: sentence(&refusal.sentence()) }, "'self'", refusal.status())
}

fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))])
                .into_response()
        }
        Err(_) => problem(&Refusal::Server),
    }
}

fn page(template: &impl Template, form_action: &str, status: StatusCode) -> Response {
    let Ok(html) = template.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let policy =
        format!("default-src 'none'; style-src 'self'; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'");
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // `no-referrer` would make browsers say `Origin: null` for our own forms.
    let fixed = [
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Oauth {
    /// The token of a form: of this session and this request.
    fn csrf(&self, session: &str, request: &str) -> String {
        let said = format!("{}\n{session}\n{request}", session.len());
        URL_SAFE_NO_PAD.encode(hmac::sign(self.form_key(), said.as_bytes()))
    }
}
