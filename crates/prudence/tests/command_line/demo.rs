//! The demonstration, as a reader and as a program gets it. It checks itself that it goes as it is told to go.

use serde_json::Value;

use crate::{done, prudence};

/// A token in three parts begins so: `{"typ":` in base64url.
const TOKEN_BEGINS: &str = "eyJ0eXAi";

#[test]
fn it_tells_the_whole_story_plainly_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let told = done(folder.path(), &["demo"]);
    for act in ["1. Plain access control", "2. Under Prudence", "3. The benign twin", "4. What it holds", "5. At machine speed"] {
        assert!(told.contains(act), "{told}");
    }
    let steps = told.lines().take_while(|line| !line.starts_with("Look next"));
    assert!(steps.clone().all(|line| line.chars().count() <= 100), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains(TOKEN_BEGINS), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[test]
fn a_copied_token_a_wider_part_and_a_stopped_agent_get_nothing() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let output = prudence(folder.path(), &["-o", "json", "demo"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(!text.contains(TOKEN_BEGINS), "a token is in it: {text}");
    let story: Value = serde_json::from_str(&text).expect("one document");
    let credential = &story["credential"];
    let answers = |list: &str| -> Vec<&str> {
        let tried = credential[list].as_array().expect("a list").iter();
        tried.filter_map(|told| told["answer"].as_str()).collect()
    };
    assert_eq!(answers("copied_key"), ["allowed"], "plain access control lets a copy in");
    assert_eq!(answers("copied_token"), ["refused"; 3]);
    assert_eq!(answers("beyond"), ["refused", "ask"]);
    assert_eq!(answers("stopped"), ["deny"; 2]);
    let page = credential["consent"].as_array().expect("a list");
    let read = |name: &str| page.iter().find(|row| row[0] == name).map(|row| row[1].as_str().unwrap_or_default());
    assert_eq!(read("Answer goes to"), Some("bo, you alone"));
    assert!(read("Agent").is_some_and(|agent| agent.starts_with("helper")) && read("Until").is_some());
    let (token, part) = (&credential["token"], &credential["part"]);
    assert_eq!(token["claims"]["act"]["sub"], "helper");
    assert_eq!(part["claims"]["act"]["act"]["sub"], "helper");
    assert_eq!(part["task"]["effects"], serde_json::json!(["read"]));
    assert!(token["claims"]["cnf"]["jkt"].is_string() && token["claims"]["cnf"] != part["claims"]["cnf"]);
}
