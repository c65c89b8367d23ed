//! Alarms, as claims: against a webhook that hangs, one that fails, one that is away over a restart, and a mail server of a few lines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use judge::event::{Event, Record};
use judge::moment::Moment;
use judge::name::PrincipalId;
use judge::standing::Target;
use ledger::{MemoryLedger, Source as _, Store as _};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::message::Message;
use super::{Channel, Pauses, Way, mail, run, webhook};
use crate::config::settings;
use judge::incident::{Incidents, Severity};

/// The example of the specification of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PAUSES: Pauses = Pauses { min: Duration::from_millis(5), max: Duration::from_millis(20) };
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it came.
#[derive(Debug, Clone)]
struct Asked {
    headers: BTreeMap<String, String>,
    body: String,
}

/// Answers each request with the next of `answers`, and with the last again and again; 0 hangs.
async fn receiver(answers: &'static [u16]) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let heard = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, answers, heard.clone()));
        }
    });
    (format!("http://{address}/alarms"), asked)
}

async fn answer(stream: TcpStream, answers: &'static [u16], heard: Arc<Mutex<Vec<Asked>>>) {
    let mut stream = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_lowercase(), value.to_owned())),
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("as long as it says");
    let turn = {
        let mut heard = heard.lock();
        heard.push(Asked { headers, body: String::from_utf8(body).expect("text") });
        heard.len() - 1
    };
    let status = answers.get(turn).or(answers.last()).copied().unwrap_or(200);
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let _ = stream.write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
}

fn webhook_to(name: &str, url: &str) -> Channel {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let url = webhook::address(url, true).expect("an address of this machine");
    let way = Way::Webhook(Box::new(webhook::Webhook::with(url, true, SECRET).expect("a sound secret")));
    Channel { name: name.to_owned(), at_least: Severity::Medium, way }
}

/// A ledger that grows.
#[derive(Clone)]
struct Ledger(Arc<MemoryLedger>);

impl Ledger {
    fn new() -> Self {
        Self(Arc::new(MemoryLedger::default()))
    }

    /// A person kills an agent: one more incident.
    async fn kill(&self, agent: &str) {
        let name = |text: &str| PrincipalId::parse(text).expect("a name");
        let event = Event::Killed { target: Target::Agent(name(agent)), by: name("ann"), why: String::new() };
        let body = serde_json::to_vec(&Record::new(Moment(1_767_225_600_000), event)).expect("plain data");
        let head = self.0.head().expect("it can be read");
        self.0.append(head.seq, vec![body]).await.expect("durable");
    }
}

struct Sending {
    stop: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

impl Sending {
    fn begin(channels: Vec<Channel>, ledger: &Ledger, file: &std::path::Path) -> Self {
        let stop = CancellationToken::new();
        let done = tokio::spawn(run(channels, ledger.0.clone(), PathBuf::from(file), PAUSES, stop.clone()));
        Self { stop, done }
    }

    async fn end(self) {
        self.stop.cancel();
        self.done.await.expect("it ends");
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}"));
}

/// The file is there once it is known from which entry on everybody is told.
async fn begun(file: &std::path::Path) {
    until("it begins", || file.exists()).await;
}

fn ids(asked: &Mutex<Vec<Asked>>) -> Vec<String> {
    asked.lock().iter().map(|asked| asked.headers["webhook-id"].split('-').take(2).collect::<Vec<_>>().join("-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_incident_is_sent_once_signed_and_without_what_the_ledger_does_not_say() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("alarms");
    let ledger = Ledger::new();
    ledger.kill("old").await;
    let (url, asked) = receiver(&[200]).await;
    let sending = Sending::begin(vec![webhook_to("pager", &url)], &ledger, &file);
    begun(&file).await;
    ledger.kill("one").await;
    ledger.kill("two").await;
    until("both are sent", || asked.lock().len() == 2).await;
    assert_eq!(ids(&asked), ["inc-2", "inc-3"], "what was before the channel is not sent");
    let first = asked.lock()[0].clone();
    let key = webhook::key(SECRET).expect("a secret");
    let signature = webhook::signature(&key, &first.headers["webhook-id"], &first.headers["webhook-timestamp"], &first.body);
    assert_eq!(first.headers["webhook-signature"], signature);
    let body: Value = serde_json::from_str(&first.body).expect("json");
    assert_eq!(body["type"], "incident.opened");
    assert_eq!(body["data"]["sentence"], "ann stopped agent one");
    sending.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_sent_again_under_the_same_id() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("alarms");
    let ledger = Ledger::new();
    let (url, asked) = receiver(&[500, 500, 200]).await;
    let sending = Sending::begin(vec![webhook_to("pager", &url)], &ledger, &file);
    begun(&file).await;
    ledger.kill("one").await;
    until("it is taken", || std::fs::read_to_string(&file).is_ok_and(|kept| kept.contains("\"sent\":[1]"))).await;
    assert_eq!(ids(&asked), ["inc-1", "inc-1", "inc-1"]);
    let whole: Vec<String> = asked.lock().iter().map(|asked| asked.headers["webhook-id"].clone()).collect();
    assert!(whole.iter().all(|id| *id == whole[0]), "{whole:?}");
    sending.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_hangs_holds_up_nobody_else() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("alarms");
    let ledger = Ledger::new();
    let (hangs, waiting) = receiver(&[0]).await;
    let (answers, asked) = receiver(&[200]).await;
    let sending = Sending::begin(vec![webhook_to("hangs", &hangs), webhook_to("answers", &answers)], &ledger, &file);
    begun(&file).await;
    let before = std::time::Instant::now();
    for agent in ["one", "two", "three"] {
        ledger.kill(agent).await;
    }
    until("the other one has all", || asked.lock().len() == 3).await;
    assert!(before.elapsed() < super::SEND_TIME_MAX, "nobody waited for the one that hangs");
    assert_eq!(waiting.lock().len(), 1, "it has one at a time");
    sending.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing_and_repeats_nothing_that_was_taken() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("alarms");
    let ledger = Ledger::new();
    let (url, asked) = receiver(&[200, 500]).await;
    let sending = Sending::begin(vec![webhook_to("pager", &url)], &ledger, &file);
    begun(&file).await;
    ledger.kill("one").await;
    until("the first is taken", || std::fs::read_to_string(&file).is_ok_and(|kept| kept.contains("\"sent\":[1]"))).await;
    ledger.kill("two").await;
    until("the second is tried", || asked.lock().len() >= 2).await;
    sending.end().await;
    ledger.kill("three").await;

    let (url, asked) = receiver(&[200]).await;
    let sending = Sending::begin(vec![webhook_to("pager", &url)], &ledger, &file);
    until("both are sent", || asked.lock().len() == 2).await;
    assert_eq!(ids(&asked), ["inc-2", "inc-3"]);
    sending.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_with_one_ledger_one_sends() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("alarms");
    let ledger = Ledger::new();
    let (url, asked) = receiver(&[200]).await;
    let one = Sending::begin(vec![webhook_to("pager", &url)], &ledger, &file);
    begun(&file).await;
    let other = Sending::begin(vec![webhook_to("pager", &url)], &ledger, &file);
    ledger.kill("one").await;
    ledger.kill("two").await;
    until("both are sent", || asked.lock().len() >= 2).await;
    assert_eq!(ids(&asked), ["inc-1", "inc-2"]);
    one.end().await;
    other.end().await;
}

/// A mail server of a few lines, which keeps what it is given.
async fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it listens").port();
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = mails.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let _ = stream.write_all(b"220 sink\r\n").await;
                let (mut mail, mut is_data, mut line) = (String::new(), false, String::new());
                while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
                    let said = line.trim_end().to_owned();
                    line.clear();
                    let answer = match (is_data, said.as_str()) {
                        (true, ".") => {
                            is_data = false;
                            kept.lock().push(std::mem::take(&mut mail));
                            "250 taken"
                        }
                        (true, text) => {
                            mail.push_str(text);
                            mail.push('\n');
                            continue;
                        }
                        (false, "DATA") => {
                            is_data = true;
                            "354 go on"
                        }
                        (false, "QUIT") => "221 bye",
                        (false, text) if text.starts_with("RCPT") => {
                            mail.push_str(text);
                            mail.push('\n');
                            "250 ok"
                        }
                        (false, _) => "250 ok",
                    };
                    let _ = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
                }
            });
        }
    });
    (port, mails)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_says_what_happened_to_everybody_who_is_named() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("alarms");
    let ledger = Ledger::new();
    let (port, mails) = mail_server().await;
    let settings = settings::Mail {
        server: format!("smtp://127.0.0.1:{port}"),
        from: "prudence@example.com".to_owned(),
        to: vec!["ann@example.com".to_owned(), "Bo <bo@example.com>".to_owned()],
        user: None,
        password_from_env: None,
    };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let way = Way::Mail(Box::new(mail::Mail::new("mail", &settings).expect("sound settings")));
    let channel = Channel { name: "mail".to_owned(), at_least: Severity::Medium, way };
    let sending = Sending::begin(vec![channel], &ledger, &file);
    begun(&file).await;
    ledger.kill("helper").await;
    until("it is taken", || mails.lock().len() == 1).await;
    let mail = mails.lock()[0].clone();
    for said in [
        "RCPT TO:<ann@example.com>",
        "RCPT TO:<bo@example.com>",
        "Subject: [prudence] inc-1 high: kill agent helper",
        "ann stopped agent helper",
        "Message-ID: <inc-1-",
        "prudence incidents show inc-1",
    ] {
        assert!(mail.contains(said), "{said}: {mail}");
    }
    sending.end().await;
}

#[test]
fn the_signature_is_that_of_the_specification() {
    // The example in the specification and in the libraries of Standard Webhooks.
    let key = webhook::key(SECRET).expect("a secret");
    let signature = webhook::signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!"] {
        assert!(webhook::key(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn only_addresses_that_may_be_asked_are_taken() {
    for (url, private, is_taken) in [
        ("https://alarms.example.com/x", false, true),
        ("http://alarms.example.com/x", false, false),
        ("https://bo:secret@alarms.example.com/", false, false),
        ("https://127.0.0.1/", false, false),
        ("https://10.0.0.5/", false, false),
        ("https://10.0.0.5/", true, true),
        ("https://[fd00::5]/", true, true),
        ("http://127.0.0.1:9/", true, true),
        ("http://10.0.0.5/", true, false),
        ("https://169.254.169.254/latest/meta-data", true, false),
        ("https://2852039166/", true, false),
        ("https://[fe80::1]/", true, false),
        ("https://[::ffff:169.254.169.254]/", true, false),
        ("https://0.0.0.0/", true, false),
        ("alarms", false, false),
    ] {
        assert_eq!(webhook::address(url, private).is_ok(), is_taken, "{url} {private}");
    }
    for (server, security) in [
        ("smtps://mail.example.com", Some(mail::Security::Tls)),
        ("smtp://mail.example.com:587", Some(mail::Security::StartTls)),
        ("smtp://127.0.0.1:25", Some(mail::Security::ClearToThisMachine)),
        ("smtp://localhost", Some(mail::Security::ClearToThisMachine)),
        ("smtp://[::1]:25", Some(mail::Security::ClearToThisMachine)),
        ("smtps://bo:secret@mail.example.com", None),
        ("https://mail.example.com", None),
        ("mail.example.com", None),
    ] {
        assert_eq!(mail::server(server).ok().map(|(_, security)| security), security, "{server}");
    }
}

#[test]
fn a_finding_has_what_ocsf_requires() {
    let mut incidents = Incidents::default();
    let name = |text: &str| PrincipalId::parse(text).expect("a name");
    let event = Event::Killed { target: Target::Agent(name("helper")), by: name("ann"), why: String::new() };
    incidents.apply(7, &Record::new(Moment(1_767_225_600_000), event));
    let finding = Message::new(incidents.all().next().expect("there is one"), "00112233445566778899").ocsf();
    for (pointer, value) in [
        ("/activity_id", Value::from(1)),
        ("/category_uid", 2.into()),
        ("/class_uid", 2004.into()),
        ("/type_uid", 200_401.into()),
        ("/severity_id", 4.into()),
        ("/time", 1_767_225_600_000_u64.into()),
        ("/status_id", 1.into()),
        ("/finding_info/uid", "inc-7-0011223344556677".into()),
        ("/metadata/product/vendor_name", "Prudence".into()),
        ("/metadata/profiles/0", "security_control".into()),
    ] {
        assert_eq!(finding.pointer(pointer), Some(&value), "{pointer}");
    }
}
