//! Claims about credentials, against an authorization server that records what it was asked and answers what the test says.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use url::{Url, form_urlencoded};

use super::*;

const REDIRECT: &str = "http://127.0.0.1:1/callback";

/// What a token endpoint was asked, and what it answers.
#[derive(Clone, Default)]
struct Endpoint {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Mutex<Option<(u16, String)>>>,
    issued: Arc<AtomicU64>,
    slow: Arc<std::sync::atomic::AtomicBool>,
}

#[derive(Clone, Debug)]
struct Asked {
    form: BTreeMap<String, String>,
    authorization: Option<String>,
}

impl Endpoint {
    async fn start() -> (Self, String) {
        let endpoint = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/token", listener.local_addr().expect("bound"));
        let router = axum::Router::new().route("/token", post(issue)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, url)
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock() = Some((status, body.to_owned()));
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

async fn issue(State(endpoint): State<Endpoint>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let form = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let authorization = headers.get("authorization").map(|value| value.to_str().expect("ascii").to_owned());
    endpoint.asked.lock().push(Asked { form, authorization });
    if endpoint.slow.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if let Some((status, body)) = endpoint.answer.lock().clone() {
        return (StatusCode::from_u16(status).expect("a status"), body);
    }
    let number = endpoint.issued.fetch_add(1, Ordering::Relaxed);
    let body = format!(
        r#"{{"access_token":"access-{number}","token_type":"bearer","expires_in":600,"refresh_token":"refresh-{number}"}}"#
    );
    (StatusCode::OK, body)
}

struct House {
    folder: tempfile::TempDir,
    now: Arc<AtomicU64>,
    schemes: BTreeMap<String, Scheme>,
}

impl House {
    fn new(token_endpoint: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = TokenClient {
            token_endpoint: token_endpoint.to_owned(),
            client_id: "prudence".to_owned(),
            secret_in: SecretIn::Header,
            scopes: vec!["read".to_owned(), "write".to_owned()],
            resource: Some("https://crm.example/mcp".to_owned()),
        };
        let key = |per, prefix: &str| Scheme::ApiKey { per, header: HeaderName::from_static("x-key"), prefix: prefix.to_owned() };
        let schemes = BTreeMap::from([
            (
                "crm".to_owned(),
                Scheme::AuthorizationCode {
                    client: client.clone(),
                    authorization_endpoint: "https://login.example/authorize?tenant=1".to_owned(),
                    issuer: Some("https://login.example".to_owned()),
                },
            ),
            ("bare".to_owned(), Scheme::ClientCredentials(client)),
            ("own".to_owned(), key(Per::Person, "")),
            ("all".to_owned(), key(Per::Upstream, "key=")),
        ]);
        let folder = tempfile::tempdir().expect("a temporary directory");
        generate(&folder.path().join("key")).expect("a key");
        Self { folder, now: Arc::new(AtomicU64::new(1_000_000_000)), schemes }
    }

    fn source(&self) -> KeySource {
        KeySource::File(self.folder.path().join("key"))
    }

    fn broker(&self) -> Arc<Broker> {
        let store = Store::open(&self.folder.path().join("store.db")).expect("a store");
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || Moment(now.load(Ordering::Relaxed)));
        Arc::new(Broker::new(self.schemes.clone(), store, self.source(), clock).expect("a broker"))
    }

    fn later_s(&self, seconds: u64) {
        self.now.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Everything that is on the disk.
    fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for file in std::fs::read_dir(self.folder.path()).expect("own folder") {
            all.extend(std::fs::read(file.expect("a file").path()).expect("own file"));
        }
        all
    }
}

fn secret(text: &str) -> Secret {
    Secret::parse(text.to_owned()).expect("a secret")
}

fn place(upstream: &str, person: Option<&str>, kind: Kind) -> Place {
    Place { upstream: upstream.to_owned(), person: person.map(str::to_owned), kind }
}

async fn shown(broker: &Arc<Broker>, upstream: &str, person: &str) -> Result<String, Lack> {
    let presented = broker.account(upstream).expect("it wants something").credential(person).await?;
    let mut headers = HeaderMap::new();
    presented.put(&mut headers);
    let (name, value) = headers.iter().next().expect("one header");
    Ok(format!("{name}: {}", value.to_str().expect("ascii")))
}

/// Links `person` as a browser would: the answer to the address that was printed.
async fn link(broker: &Broker, person: &str) -> Linked {
    let (linking, url) = broker.begin_link("crm", person, REDIRECT).expect("it can be linked");
    let state = parameter(&url, "state").expect("a state");
    let query = format!("code=c-{person}&state={state}&iss=https%3A%2F%2Flogin.example");
    broker.finish_link(linking, &query).await.expect("tokens")
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).expect("an address");
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn each_person_shows_their_own_key_and_nobody_anothers() {
    let house = House::new("http://127.0.0.1:1/token");
    let broker = house.broker();
    broker.set(place("own", Some("bo"), Kind::Key), &secret("key-of-bo")).await.expect("set");
    broker.set(place("own", Some("ann"), Kind::Key), &secret("key-of-ann")).await.expect("set");
    broker.set(place("all", None, Kind::Key), &secret("key-of-all")).await.expect("set");
    assert_eq!(shown(&broker, "own", "bo").await.as_deref(), Ok("x-key: key-of-bo"));
    assert_eq!(shown(&broker, "own", "ann").await.as_deref(), Ok("x-key: key-of-ann"));
    assert_eq!(shown(&broker, "all", "ann").await.as_deref(), Ok("x-key: key=key-of-all"));
    let lack = shown(&broker, "own", "cy").await.expect_err("cy has none");
    assert_eq!(lack.to_string(), "`cy` has no account linked with the upstream `own`");
    assert!(lack.remedy().contains("prudence upstream set-key own --person cy"));
    assert!(broker.account("none").is_none());
    let on_disk = house.bytes();
    for key in ["key-of-bo", "key-of-ann", "key-of-all"] {
        assert!(memchr::memmem::find(&on_disk, key.as_bytes()).is_none(), "{key} is sealed");
    }
}

#[tokio::test]
async fn what_is_taken_away_by_another_process_is_gone_at_once() {
    let house = House::new("http://127.0.0.1:1/token");
    let (server, command) = (house.broker(), house.broker());
    command.set(place("own", Some("bo"), Kind::Key), &secret("key-of-bo")).await.expect("set");
    assert_eq!(shown(&server, "own", "bo").await.as_deref(), Ok("x-key: key-of-bo"));
    command.set(place("own", Some("bo"), Kind::Key), &secret("newer-key")).await.expect("set");
    assert_eq!(shown(&server, "own", "bo").await.as_deref(), Ok("x-key: newer-key"));
    assert!(command.forget("own", Some("bo")).await.expect("forgotten"));
    assert!(matches!(shown(&server, "own", "bo").await, Err(Lack::NotLinked { .. })));
    assert!(!command.forget("own", Some("bo")).await.expect("forgotten"));
}

#[tokio::test]
async fn what_is_moved_to_another_person_or_upstream_does_not_open() {
    let house = House::new("http://127.0.0.1:1/token");
    let broker = house.broker();
    broker.set(place("own", Some("ann"), Kind::Key), &secret("key-of-ann")).await.expect("set");
    let file = rusqlite::Connection::open(house.folder.path().join("store.db")).expect("the file");
    for change in [
        "UPDATE credentials SET holder = 'bo'",
        "UPDATE credentials SET upstream = 'all', holder = ''",
        "UPDATE credentials SET upstream = 'own', holder = 'ann', sealed = zeroblob(3)",
    ] {
        file.execute(change, []).expect("an attacker can write");
        let at = file.query_row("SELECT upstream, holder FROM credentials", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        });
        let (upstream, holder) = at.expect("a row");
        let lack = shown(&broker, &upstream, if holder.is_empty() { "bo" } else { &holder }).await;
        assert!(matches!(lack, Err(Lack::Sealed { .. })), "{change}: {lack:?}");
    }
}

#[tokio::test]
async fn a_link_asks_as_the_specifications_say_and_takes_only_its_own_answer() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    broker.set(place("crm", None, Kind::ClientSecret), &secret("s:e cret")).await.expect("set");
    let (_, asked) = broker.begin_link("crm", "bo", REDIRECT).expect("it can be linked");
    let value = |name| parameter(&asked, name).expect("it is there");
    assert!(asked.starts_with("https://login.example/authorize?tenant=1&"));
    assert_eq!((value("response_type"), value("code_challenge_method")), ("code".to_owned(), "S256".to_owned()));
    assert_eq!((value("scope"), value("resource")), ("read write".to_owned(), "https://crm.example/mcp".to_owned()));
    assert_eq!(value("redirect_uri"), REDIRECT);
    let wrong = [
        "code=c&iss=https%3A%2F%2Flogin.example".to_owned(),
        "code=c&state=another&iss=https%3A%2F%2Flogin.example".to_owned(),
        "code=c&state=STATE".to_owned(),
        "code=c&state=STATE&iss=https%3A%2F%2Fevil.example".to_owned(),
        "code=c&code=d&state=STATE&iss=https%3A%2F%2Flogin.example".to_owned(),
        "state=STATE&iss=https%3A%2F%2Flogin.example".to_owned(),
        "error=access_denied&state=STATE&iss=https%3A%2F%2Flogin.example".to_owned(),
    ];
    for query in wrong {
        let (linking, url) = broker.begin_link("crm", "bo", REDIRECT).expect("it can be linked");
        let query = query.replace("STATE", &parameter(&url, "state").expect("a state"));
        let refused = broker.finish_link(linking, &query).await;
        assert!(matches!(refused, Err(LinkError::Answer(_) | LinkError::Denied(_))), "{query}: {refused:?}");
    }
    assert_eq!(endpoint.asked().len(), 0, "no code of a stranger is exchanged");
    let linked = link(&broker, "bo").await;
    assert!(linked.renewable);
    let exchange = &endpoint.asked()[0];
    assert_eq!(exchange.authorization.as_deref(), Some("Basic cHJ1ZGVuY2U6cyUzQWUrY3JldA=="), "RFC 6749 §2.3.1");
    assert_eq!(exchange.form["grant_type"], "authorization_code");
    assert_eq!(exchange.form["resource"], "https://crm.example/mcp");
    assert_eq!((exchange.form["code"].as_str(), exchange.form["redirect_uri"].as_str()), ("c-bo", REDIRECT));
    assert_eq!(exchange.form["code_verifier"].len(), 43);
    assert_eq!(shown(&broker, "crm", "bo").await.as_deref(), Ok("authorization: Bearer access-0"));
    let on_disk = house.bytes();
    for text in ["access-0", "refresh-0", "s:e cret"] {
        assert!(memchr::memmem::find(&on_disk, text.as_bytes()).is_none(), "{text} is sealed");
    }
}

#[tokio::test]
async fn what_is_about_to_end_is_renewed_once_however_many_wait() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    link(&broker, "bo").await;
    link(&broker, "ann").await;
    house.later_s(569);
    assert_eq!(shown(&broker, "crm", "bo").await.as_deref(), Ok("authorization: Bearer access-0"), "31 s are left");
    house.later_s(2);
    endpoint.slow.store(true, Ordering::Relaxed);
    let waiting = (0..20).map(|_| {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move { shown(&broker, "crm", "bo").await })
    });
    for waited in waiting.collect::<Vec<_>>() {
        assert_eq!(waited.await.expect("it ends").as_deref(), Ok("authorization: Bearer access-2"));
    }
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 3, "two links and one renewal");
    assert_eq!((asked[2].form["grant_type"].as_str(), asked[2].form["refresh_token"].as_str()), ("refresh_token", "refresh-0"));
    assert_eq!(house.broker().list().expect("a list").len(), 2);
    assert_eq!(shown(&house.broker(), "crm", "bo").await.as_deref(), Ok("authorization: Bearer access-2"), "it was kept");
}

#[tokio::test]
async fn two_processes_renew_once() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let (one, other) = (house.broker(), house.broker());
    link(&one, "bo").await;
    house.later_s(580);
    endpoint.slow.store(true, Ordering::Relaxed);
    let (a, b) = tokio::join!(shown(&one, "crm", "bo"), shown(&other, "crm", "bo"));
    assert_eq!((a.as_deref(), b.as_deref()), (Ok("authorization: Bearer access-1"), Ok("authorization: Bearer access-1")));
    assert_eq!(endpoint.asked().len(), 2, "one link and one renewal");
}

#[tokio::test]
async fn a_renewal_that_nobody_waits_for_any_more_is_kept_all_the_same() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    link(&broker, "bo").await;
    house.later_s(601);
    endpoint.slow.store(true, Ordering::Relaxed);
    let left = tokio::time::timeout(Duration::from_millis(30), shown(&broker, "crm", "bo")).await;
    assert!(left.is_err(), "who waited went away");
    assert_eq!(shown(&broker, "crm", "bo").await.as_deref(), Ok("authorization: Bearer access-1"));
    assert_eq!(endpoint.asked().len(), 2);
}

#[tokio::test]
async fn a_failed_renewal_is_a_clear_refusal_and_says_nothing_of_the_answer() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    link(&broker, "bo").await;
    house.later_s(580);
    endpoint.answers(503, "refresh-0 was sent to us");
    assert_eq!(shown(&broker, "crm", "bo").await.as_deref(), Ok("authorization: Bearer access-0"), "it is not over yet");
    house.later_s(21);
    let lack = shown(&broker, "crm", "bo").await.expect_err("it is over");
    assert!(matches!(&lack, Lack::NotRenewed { why, .. } if why.ends_with("it answered with status 503")), "{lack}");
    endpoint.answers(400, r#"{"error":"invalid_client","error_description":"refresh-0"}"#);
    let lack = shown(&broker, "crm", "bo").await.expect_err("it is over");
    assert!(lack.to_string().contains("`invalid_client`") && !lack.to_string().contains("refresh-0"), "{lack}");
    endpoint.answers(400, r#"{"error":"invalid_grant"}"#);
    let lack = shown(&broker, "crm", "bo").await.expect_err("it is over");
    assert!(matches!(&lack, Lack::Ended { why, .. } if why == "invalid_grant"), "{lack}");
    assert!(lack.remedy().contains("prudence upstream link crm --person bo"));
    let asked = endpoint.asked().len();
    assert!(matches!(shown(&broker, "crm", "bo").await, Err(Lack::Ended { .. })));
    assert_eq!(endpoint.asked().len(), asked, "nobody asks again");
    assert_eq!(broker.list().expect("a list")[0].1.ended.as_deref(), Some("invalid_grant"));
    *endpoint.answer.lock() = None;
    link(&broker, "bo").await;
    assert_eq!(shown(&broker, "crm", "bo").await.as_deref(), Ok("authorization: Bearer access-1"), "linked again");
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_not_again_at_once() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    link(&broker, "bo").await;
    house.later_s(120);
    let account = broker.account("crm").expect("it wants something");
    let first = account.credential("bo").await.expect("linked");
    assert_eq!(account.refused("bo", &first).await, Renewed::Yes);
    let second = account.credential("bo").await.expect("renewed");
    assert_eq!(account.refused("bo", &first).await, Renewed::Yes, "that was done already");
    assert_eq!(account.refused("bo", &second).await, Renewed::No, "it is too new");
    assert_eq!(endpoint.asked().len(), 2, "one link and one renewal");
    broker.set(place("own", Some("bo"), Kind::Key), &secret("key-of-bo")).await.expect("set");
    let own = broker.account("own").expect("it wants something");
    let key = own.credential("bo").await.expect("set");
    assert_eq!(own.refused("bo", &key).await, Renewed::No, "a key cannot be renewed");
}

#[tokio::test]
async fn prudences_own_token_is_asked_for_once_and_again_when_its_secret_changes() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    assert!(matches!(shown(&broker, "bare", "bo").await, Err(Lack::NotSet { what: "client secret", .. })));
    broker.set(place("bare", None, Kind::ClientSecret), &secret("first")).await.expect("set");
    for person in ["bo", "ann"] {
        assert_eq!(shown(&broker, "bare", person).await.as_deref(), Ok("authorization: Bearer access-0"));
    }
    broker.set(place("own", Some("bo"), Kind::Key), &secret("something-else")).await.expect("set");
    assert_eq!(shown(&broker, "bare", "bo").await.as_deref(), Ok("authorization: Bearer access-0"));
    house.later_s(580);
    assert_eq!(shown(&broker, "bare", "bo").await.as_deref(), Ok("authorization: Bearer access-1"));
    broker.set(place("bare", None, Kind::ClientSecret), &secret("second")).await.expect("set");
    assert_eq!(shown(&broker, "bare", "bo").await.as_deref(), Ok("authorization: Bearer access-2"));
    let asked = endpoint.asked();
    assert!(asked.iter().all(|asked| asked.form["grant_type"] == "client_credentials" && asked.form["scope"] == "read write"));
}

#[tokio::test]
async fn answers_that_are_no_tokens_are_not_used() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    broker.set(place("bare", None, Kind::ClientSecret), &secret("first")).await.expect("set");
    for answer in [
        "",
        "[]",
        r#"{"token_type":"Bearer"}"#,
        r#"{"access_token":"a"}"#,
        r#"{"access_token":"a","token_type":"DPoP"}"#,
        r#"{"access_token":"a\r\nx: y","token_type":"Bearer"}"#,
        r#"{"access_token":"","token_type":"Bearer"}"#,
    ] {
        endpoint.answers(200, answer);
        assert!(matches!(shown(&broker, "bare", "bo").await, Err(Lack::NotRenewed { .. })), "{answer}");
    }
    endpoint.answers(200, &format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "a".repeat(40 << 10)));
    assert!(matches!(shown(&broker, "bare", "bo").await, Err(Lack::NotRenewed { .. })));
    endpoint.answers(302, "");
    assert!(matches!(shown(&broker, "bare", "bo").await, Err(Lack::NotRenewed { .. })), "nobody follows");
}

#[tokio::test]
async fn the_key_is_exchanged_under_a_running_server() {
    let house = House::new("http://127.0.0.1:1/token");
    let (server, command) = (house.broker(), house.broker());
    command.set(place("own", Some("bo"), Kind::Key), &secret("key-of-bo")).await.expect("set");
    command.set(place("own", Some("ann"), Kind::Key), &secret("key-of-ann")).await.expect("set");
    assert_eq!(shown(&server, "own", "bo").await.as_deref(), Ok("x-key: key-of-bo"));
    rotate(&house.folder.path().join("key")).expect("rotated");
    assert_eq!(command.reseal().await.expect("sealed anew"), (2, 0));
    assert_eq!(shown(&server, "own", "ann").await.as_deref(), Ok("x-key: key-of-ann"));
    assert_eq!(command.reseal().await.expect("sealed anew"), (0, 0), "nothing is left to do");
    let lone =
        House { folder: tempfile::tempdir().expect("a folder"), now: Arc::clone(&house.now), schemes: house.schemes.clone() };
    for file in ["store.db", "store.db-wal"] {
        std::fs::copy(house.folder.path().join(file), lone.folder.path().join(file)).expect("a copy");
    }
    generate(&lone.folder.path().join("key")).expect("another key");
    let lack = shown(&lone.broker(), "own", "bo").await;
    assert!(matches!(lack, Err(Lack::Sealed { .. })), "a copy of the store is worth nothing without the key");
}

#[test]
fn a_key_file_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new("http://127.0.0.1:1/token");
    let path = house.folder.path().join("key");
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("own file");
    assert!(matches!(house.source().read(), Err(KeyringError::Open { .. })));
    for text in ["", "abc", "zz", &"00".repeat(31), &format!("{}\n", "00".repeat(32)).repeat(5)] {
        assert!(KeySource::Text(text.to_owned().into()).read().is_err(), "{text}");
    }
    assert!(KeySource::Text(format!("{},{}", "00".repeat(32), "11".repeat(32)).into()).read().is_ok());
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let (endpoint, url) = Endpoint::start().await;
    let house = House::new(&url);
    let broker = house.broker();
    broker.set(place("crm", None, Kind::ClientSecret), &secret("hush-client")).await.expect("set");
    let (linking, _) = broker.begin_link("crm", "bo", REDIRECT).expect("it can be linked");
    link(&broker, "bo").await;
    let presented = broker.account("crm").expect("it wants something").credential("bo").await.expect("linked");
    let tokens = token::Tokens { access: secret("hush-access"), refresh: Some(secret("hush-refresh")), life_s: None };
    let mut headers = HeaderMap::new();
    presented.put(&mut headers);
    let said = format!("{broker:?} {presented:?} {linking:?} {tokens:?} {headers:?} {:?} {:?}", secret("hush"), house.source());
    assert!(!said.contains("hush") && !said.contains("access-0"), "{said}");
    assert!(presented.stands_in(b"you sent `Bearer access-0`") && !presented.stands_in(b"Bearer access-1"));
    endpoint.answers(400, r#"{"error":"hush hush hush"}"#);
    let (linking, url) = broker.begin_link("crm", "bo", REDIRECT).expect("it can be linked");
    let query = format!("code=hush-code&state={}&iss=https://login.example", parameter(&url, "state").expect("a state"));
    let refused = broker.finish_link(linking, &query).await.expect_err("refused");
    assert!(!format!("{refused} {refused:?}").contains("hush"), "{refused:?}");
}
