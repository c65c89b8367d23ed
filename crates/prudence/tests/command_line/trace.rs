//! Recorded runs, judged from the command line: the table, JSON, the page, and files that are not what they must be.

use std::path::Path;

use serde_json::{Value, json};

use crate::{begun, done, prudence, text};

const WORLD: &str = "people: [{ id: bo, addresses: [bo@example.com] }, ann]
agents: [{ id: helper, owner: bo }]
items: [{ id: 'note:*', readers: [bo] }]
grants: [{ to: public, may: [read, send], on: ['*'] }]
";

const CONTRACT: &str = r#"[[tool]]
name = "send_mail"
effects = ["send"]
recipients = "$.to"
"#;

fn desk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let at = folder.path();
    std::fs::create_dir(at.join("contracts")).expect("own folder");
    let tools = json!({ "tools": [{ "name": "send_mail", "description": "Sends a mail.",
        "inputSchema": { "properties": { "to": {}, "body": {} }, "required": ["to"] } }] });
    let send = |to: &str| json!({ "tool": "send_mail", "args": { "to": to, "body": "hello" }, "result_text": "sent" });
    let run =
        |id: &str, steps: Value| json!({ "trace": "v1", "id": id, "requester": "bo", "prompt": "Write to me", "steps": steps });
    let injected = |to: &str| {
        let mut step = send(to);
        step["by"] = "injected".into();
        step
    };
    let runs = [
        run("free", json!([send("bo@example.com")])),
        run("asked", json!([send("bo@example.com"), send("ann")])),
        run("silent", json!([injected("bo")])),
        run("stopped", json!([injected("eve@evil.example")])),
    ];
    let lines: Vec<String> = runs.iter().map(Value::to_string).collect();
    for (name, text) in [
        ("world.yaml", WORLD),
        ("contracts/desk.toml", CONTRACT),
        ("tools.json", &tools.to_string()),
        ("runs.jsonl", &lines.join("\n")),
    ] {
        std::fs::write(at.join(name), text).expect("own file");
    }
    folder
}

fn judged(at: &Path, more: &[&str]) -> Value {
    let mut args = vec!["-o", "json", "trace", "run", "runs.jsonl", "--world", "world.yaml", "--grants", "none"];
    args.extend(more);
    serde_json::from_str(&done(at, &args)).expect("json")
}

#[test]
fn recorded_runs_give_their_three_figures() {
    let folder = desk();
    for more in [&["--contracts", "contracts", "--accept-drafts"], &["--tools", "tools.json", "--accept-drafts"] as &[&str]] {
        let figures = &judged(folder.path(), more)["together"];
        assert_eq!(figures["benign"]["traces"], 2, "{figures}");
        assert_eq!((&figures["benign"]["prompt_free"], &figures["benign"]["prompts"]), (&json!(1), &json!(1)), "{figures}");
        assert_eq!((&figures["attacked"]["traces"], &figures["attacked"]["silent"]), (&json!(2), &json!(1)), "{figures}");
    }
    let shown = done(
        folder.path(),
        &[
            "trace",
            "run",
            "runs.jsonl",
            "--world",
            "world.yaml",
            "--grants",
            "none",
            "--contracts",
            "contracts",
            "--accept-drafts",
        ],
    );
    for part in ["1 (50 %)", "asked: step 2, send_mail approved", "address", "silent: send_mail", "99 of 100 within"] {
        assert!(shown.contains(part), "`{part}` is in:\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "plain where the output is no terminal");
}

#[test]
fn a_draft_is_refused_unless_it_is_measured() {
    let folder = desk();
    let figures = &judged(folder.path(), &["--contracts", "contracts"])["together"];
    assert_eq!((&figures["benign"]["prompt_free"], &figures["benign"]["refusals"]), (&json!(0), &json!(3)), "{figures}");
    assert_eq!(figures["attacked"]["silent"], 0);
}

#[test]
fn the_page_needs_nothing_and_runs_nothing() {
    let folder = desk();
    let at = folder.path();
    judged(at, &["--contracts", "contracts", "--accept-drafts", "--html", "report.html"]);
    let page = std::fs::read_to_string(at.join("report.html")).expect("a report");
    assert!(page.contains("1 of 2 runs would have gone on without a question, and 1 of 2 attacks"), "{page}");
    assert!(page.contains("<svg") && page.contains("default-src 'none'"));
    for never in ["<script", "http://", "https://", "<img", "<link"] {
        assert!(!page.contains(never), "`{never}` is in the page");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let folder = desk();
    let at = folder.path();
    let run = |file: &str, world: &str, folder: &str| {
        let output = prudence(at, &["trace", "run", file, "--world", world, "--contracts", folder]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    std::fs::write(at.join("broken.jsonl"), "\n{\"trace\":\"v1\",\"id\":1}").expect("own file");
    std::fs::write(at.join("broken.yaml"), "peple: []\n").expect("own file");
    std::fs::write(at.join("agentless.yaml"), "people: [bo]\n").expect("own file");
    for (file, world, contracts, part) in [
        ("broken.jsonl", "world.yaml", "contracts", "line 2: invalid type"),
        ("nothing.jsonl", "world.yaml", "contracts", "there is no trace `nothing.jsonl`"),
        ("runs.jsonl", "broken.yaml", "contracts", "peple"),
        ("runs.jsonl", "agentless.yaml", "contracts", "0 agents, expected one"),
        ("runs.jsonl", "world.yaml", "nowhere", "there is no folder of contracts"),
    ] {
        let (code, said) = run(file, world, contracts);
        assert_eq!(code, Some(3), "{file} {world}: {said}");
        assert!(said.contains(part), "`{part}` is in:\n{said}");
    }
    let without = prudence(at, &["trace", "run", "runs.jsonl", "--world", "world.yaml"]);
    assert_eq!(without.status.code(), Some(2), "neither contracts nor tools");
}

#[test]
fn what_others_recorded_becomes_a_run_that_is_judged() {
    let folder = desk();
    let at = folder.path();
    let frames = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "send_mail", "arguments": { "to": "bo" } } }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [{ "type": "text", "text": "sent" }] } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ];
    let log: Vec<String> = frames.iter().map(Value::to_string).collect();
    std::fs::write(at.join("session.jsonl"), log.join("\n")).expect("own file");
    let output = prudence(at, &["trace", "import", "--from", "mcp", "--requester", "bo", "session.jsonl"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("1 trace with 1 call") && told.contains("1 × notifications/initialized"), "{told}");
    std::fs::write(at.join("runs.jsonl"), text(&output)).expect("own file");
    assert_eq!(judged(at, &["--contracts", "contracts", "--accept-drafts"])["together"]["benign"]["prompt_free"], 1);
    let wrong = prudence(at, &["trace", "import", "--from", "otel", "--requester", "bo", "session.jsonl"]);
    assert_eq!(wrong.status.code(), Some(3), "{}", String::from_utf8_lossy(&wrong.stderr));
}

#[test]
fn what_the_gateway_kept_becomes_a_run_with_the_words_of_who_asked() {
    let folder = begun();
    let at = folder.path();
    let none = prudence(at, &["trace", "record"]);
    assert_eq!(none.status.code(), Some(1), "nothing is recorded unless a file is named");
    let args = ["task", "start", "--requester", "bo", "--agent", "helper", "--purpose", "x", "--words", "Tell Ann"];
    let started: Value = serde_json::from_str(&done(at, &[&["-o", "json"], &args[..]].concat())).expect("json");
    let result = json!({ "content": [{ "type": "text", "text": "sent" }], "structuredContent": { "id": 1 } });
    let call =
        |task: &Value| json!({ "task": task, "at": 1, "tool": "desk__send_mail", "args": { "to": "ann" }, "result": result });
    let lines = format!("{}\n{}\n", call(&started["task"]), call(&Value::Null));
    std::fs::write(at.join("calls.jsonl"), lines).expect("own file");
    let output = prudence(at, &["trace", "record", "--file", "calls.jsonl"]);
    let run: Value = serde_json::from_str(&text(&output)).expect("one run");
    assert_eq!((&run["requester"], &run["prompt"], &run["id"]), (&json!("bo"), &json!("Tell Ann"), &started["task"]));
    assert_eq!((&run["steps"][0]["tool"], &run["steps"][0]["result"]), (&json!("desk__send_mail"), &json!({ "id": 1 })));
    assert!(String::from_utf8_lossy(&output.stderr).contains("left out: 1 call"));
}
