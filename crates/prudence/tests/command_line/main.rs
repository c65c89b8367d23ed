//! The built program, as somebody types it: from an empty folder to a task, and to a ledger that holds.

mod agents;
mod crash;
mod demo;
mod disk;
mod house;
mod mutual;
mod refused;
mod stopped;
mod trace;

use std::path::Path;
use std::process::{Command, Output};

fn prudence(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prudence"))
        .args(args)
        .current_dir(folder)
        .env_remove("PRUDENCE_CONFIG")
        .env("NO_COLOR", "1")
        .output()
        .expect("the program was built")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn done(folder: &Path, args: &[&str]) -> String {
    let output = prudence(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    text(&output)
}

fn begun() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    done(folder.path(), &["init"]);
    folder
}

#[test]
fn from_an_empty_folder_to_a_task_and_a_ledger_that_holds() {
    let folder = begun();
    let at = folder.path();
    assert!(done(at, &["config", "check"]).contains("is right"));
    let started: serde_json::Value = serde_json::from_str(&done(
        at,
        &["-o", "json", "task", "start", "--requester", "bo", "--agent", "helper", "--purpose", "engineering"],
    ))
    .expect("json");
    assert_eq!(started["token"].as_str().expect("a token").split('.').count(), 3);
    let task = started["task"].as_str().expect("an id");
    assert!(done(at, &["task", "list"]).contains("running"));
    assert!(done(at, &["task", "show", task]).contains("engineering"));
    assert_eq!(done(at, &["approvals", "list"]), "nothing waits for an answer\n");
    assert!(done(at, &["task", "end", task]).contains("ended"));
    let verified: serde_json::Value = serde_json::from_str(&done(at, &["-o", "json", "ledger", "verify"])).expect("json");
    assert_eq!(verified["entries"], 3, "configured, started, ended");
    let head = format!("{}:{}", verified["head"]["seq"], verified["head"]["hash"].as_str().expect("a hash"));
    done(at, &["ledger", "verify", "--head", &head]);
    assert_eq!(done(at, &["ledger", "show", "--task", task]).lines().count(), 2);
}

#[test]
fn an_incident_is_listed_shown_handed_on_and_resolved() {
    let folder = begun();
    let at = folder.path();
    let started: serde_json::Value = serde_json::from_str(&done(
        at,
        &["-o", "json", "task", "start", "--requester", "bo", "--agent", "helper", "--purpose", "engineering"],
    ))
    .expect("json");
    let task = started["task"].as_str().expect("an id");
    assert_eq!(done(at, &["incidents", "list"]), "there was no incident\n");
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&done(at, &[&["-o", "json", "incidents"], args].concat())).expect("json")
    };
    done(at, &["kill", &format!("task:{task}"), "--by", "ann", "--why", "it answers everybody"]);
    let listed = json(&["list", "--open"]);
    let incident = listed["incidents"][0]["id"].as_str().expect("an id");
    assert_eq!(listed["incidents"][0]["sentence"], format!("ann stopped task {task}: it answers everybody"));
    assert_eq!(json(&["list", "--kind", "tempo"])["incidents"], serde_json::json!([]));
    let shown = done(at, &["incidents", "show", incident]);
    assert!(shown.contains("ended (helper for bo)") && !shown.contains('\u{1b}'), "{shown}");
    done(at, &["incidents", "export", incident, "--out", "handed-on.json"]);
    let file = std::fs::read_to_string(at.join("handed-on.json")).expect("it was written");
    let handed_on: serde_json::Value = serde_json::from_str(&file).expect("json");
    let head =
        format!("{}:{}", handed_on["ledger"]["head"]["seq"], handed_on["ledger"]["head"]["hash"].as_str().expect("a hash"));
    done(at, &["ledger", "verify", "--head", &head]);
    assert!(handed_on["ledger"]["entries"].as_array().is_some_and(|entries| entries.len() >= 2), "{file}");
    let again = prudence(at, &["incidents", "export", incident, "--out", "handed-on.json"]);
    assert_eq!(again.status.code(), Some(1), "nothing that is there is overwritten");
    let resolve =
        |by: &str| prudence(at, &["incidents", "resolve", incident, "--by", by, "--as", "exercise", "--why", "we tried"]);
    assert_eq!(resolve("nobody").status.code(), Some(5));
    assert!(resolve("ann").status.success());
    assert_eq!(resolve("bo").status.code(), Some(1), "it was resolved");
    assert_eq!(done(at, &["incidents", "list", "--open"]), "no incident waits for anybody\n");
    assert_eq!(json(&["show", incident])["incident"]["resolved"]["verdict"], "exercise");
}

#[test]
fn init_overwrites_nothing() {
    let folder = begun();
    let before = std::fs::read(folder.path().join("keys/signing.pem")).expect("a key");
    let again = prudence(folder.path(), &["init"]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(std::fs::read(folder.path().join("keys/signing.pem")).expect("a key"), before);
}

#[test]
fn exit_codes_are_those_that_the_help_names() {
    let folder = begun();
    let at = folder.path();
    let code = |args: &[&str]| prudence(at, args).status.code();
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["approvals", "show", "nothing"]), Some(1), "there is no ledger yet");
    assert_eq!(code(&["tusk"]), Some(2));
    assert_eq!(code(&["task", "start", "--requester", "nobody", "--agent", "helper", "--purpose", "x"]), Some(5));
    std::fs::write(at.join("wrong.toml"), "[server]\nlisen = 1\n").expect("own file");
    assert_eq!(code(&["config", "check", "wrong.toml"]), Some(3));
    let wrong_head = format!("1:{}", "0".repeat(64));
    assert_eq!(code(&["ledger", "verify", "--head", &wrong_head]), Some(4));
}

#[test]
fn keys_that_others_can_read_are_refused_with_what_helps() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = begun();
    let key = folder.path().join("keys/signing.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("own file");
    let refused = prudence(folder.path(), &["config", "check"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 600"));
}

/// A secret is read from standard input, lies sealed on the disk, and is shown to nobody.
#[test]
fn what_upstreams_want_to_see_is_set_listed_and_taken_away_and_never_shown() {
    use std::io::Write as _;
    use std::process::Stdio;
    let folder = begun();
    let at = folder.path();
    let mut config = std::fs::read_to_string(at.join("prudence.toml")).expect("a configuration");
    config.push_str("\n[[upstreams]]\nname = \"crm\"\nurl = \"https://crm.example/mcp\"\ncredential = { kind = \"api-key\" }\n");
    std::fs::write(at.join("prudence.toml"), config).expect("own file");
    let set = |args: &[&str], secret: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_prudence"));
        let command = command.args(args).current_dir(at).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(secret.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    assert!(done(at, &["upstream", "list"]).contains("nothing is linked or set"));
    let ok = set(&["upstream", "set-key", "crm", "--person", "bo"], "key-of-bo\n");
    assert!(ok.status.success(), "{}", String::from_utf8_lossy(&ok.stderr));
    for (args, secret) in [
        (&["upstream", "set-key", "crm"][..], "key-of-bo"),
        (&["upstream", "set-key", "crm", "--person", "ann"], ""),
        (&["upstream", "set-key", "crm", "--person", "ann"], "key\nof-ann"),
        (&["upstream", "set-key", "wiki", "--person", "ann"], "key-of-ann"),
        (&["upstream", "link", "crm", "--person", "bo"], ""),
    ] {
        let refused = set(args, secret);
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(!String::from_utf8_lossy(&refused.stderr).contains("key-of"), "{args:?}");
    }
    let listed = done(at, &["-o", "json", "upstream", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("json");
    assert_eq!(listed["credentials"].as_array().expect("a list").len(), 1);
    assert_eq!((&listed["credentials"][0]["person"], &listed["credentials"][0]["kind"]), (&"bo".into(), &"key".into()));
    let rotated: serde_json::Value = serde_json::from_str(&done(at, &["-o", "json", "upstream", "rotate-key"])).expect("json");
    assert_eq!((&rotated["resealed"], &rotated["unreadable"]), (&1.into(), &0.into()));
    for file in ["prudence-credentials.db", "prudence-credentials.db-wal", "keys/credentials.key"] {
        let bytes = std::fs::read(at.join(file)).unwrap_or_default();
        assert!(!bytes.windows(9).any(|window| window == b"key-of-bo"), "{file}");
    }
    assert!(done(at, &["upstream", "unset-key", "crm", "--person", "bo"]).contains("removed"));
    assert!(done(at, &["upstream", "list"]).contains("nothing is linked or set"));
}

#[test]
fn what_is_piped_has_no_escapes() {
    let folder = begun();
    for args in [&["config", "check"][..], &["norm", "list"], &["norm", "facts"], &["--help"]] {
        assert!(!done(folder.path(), args).contains('\u{1b}'), "{args:?}");
    }
}

#[test]
fn the_help_is_worth_reading() {
    let folder = begun();
    insta::assert_snapshot!(done(folder.path(), &["--help"]));
}

#[test]
fn a_file_that_is_not_there_is_said_in_words_with_what_helps() {
    let folder = begun();
    let at = folder.path();
    for (args, sentence, help) in [
        (&["norm", "check", "gone"][..], "there is no folder of policies `gone`", "shipped policies"),
        (&["scenario", "run", "gone.yaml"], "there is no scenario `gone.yaml`", "YAML"),
        (&["contract", "check", "gone.toml"], "there is no contract `gone.toml`", "prudence contract draft gone"),
        (&["config", "check", "gone.toml"], "there is no such configuration file", "prudence init"),
    ] {
        let output = prudence(at, args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(sentence) && said.contains(help), "{args:?}: {said}");
        assert!(!said.contains("os error"), "{said}");
    }
}

#[test]
fn a_wrapped_server_gets_the_environment_that_it_is_given_and_never_the_token() {
    let folder = begun();
    let environment = |args: &[&str]| {
        let task = ["wrap", "--requester", "bo", "--agent", "helper", "--purpose", "engineering"];
        let at = folder.path().join("environment");
        let script = format!("env > '{}'", at.display());
        let output = Command::new(env!("CARGO_BIN_EXE_prudence"))
            .args([&task[..], args, &["--", "sh", "-c", &script]].concat())
            .current_dir(folder.path())
            .env_remove("PRUDENCE_CONFIG")
            .env("WANTED", "yes")
            .env("OTHER", "yes")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                use std::io::Write as _;
                let mut stdin = child.stdin.take().expect("it is piped");
                stdin.write_all(
                    b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\"}}\n",
                )?;
                let _ = house::until("the server is started", || {
                    std::fs::read_to_string(&at).ok().filter(|text| text.contains("PATH="))
                });
                drop(stdin);
                child.wait_with_output()
            })
            .expect("the program was built");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&at).expect("the server wrote it");
        std::fs::remove_file(&at).expect("own file");
        ["WANTED", "OTHER", "PATH"].map(|name| text.lines().any(|line| line.starts_with(&format!("{name}="))))
    };
    assert_eq!(environment(&[]), [true, true, true]);
    assert_eq!(environment(&["--env", "WANTED"]), [true, false, true]);
    assert_eq!(environment(&["--clear-env"]), [false, false, true]);
    let missing = prudence(
        folder.path(),
        &["wrap", "--requester", "bo", "--agent", "helper", "--purpose", "x", "--env", "NOT_THERE", "--", "true"],
    );
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("`NOT_THERE`, which is not set"));
}
