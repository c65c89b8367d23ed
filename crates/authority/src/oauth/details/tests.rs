//! Tasks as clients ask for them.

use super::*;

#[test]
fn a_task_is_read_with_all_that_it_names() {
    let text = r#"[{"type":"prudence_task","purpose":"report","words":"mail it to ann","effects":["read","send"],"resources":["mail:*"],
        "tools":["mail/*"],"address":["ann"],"budget":{"calls":5},"lease_ms":60000}]"#;
    let task = TaskDetails::read(Some(text), None).expect("it is right");
    assert_eq!(task.effects, Some([Effect::Read, Effect::Send].into()));
    assert_eq!(task.budget.calls, Some(5));
    assert_eq!(task.lease_ms, Some(60_000));
    let task = TaskDetails::read(None, Some("send  read")).expect("it is right");
    assert_eq!(scope(&task.effects.expect("effects")), "read send");
    assert!(TaskDetails::read(Some(text), Some("send read")).is_ok(), "the same twice");
}

#[test]
fn what_is_no_task_or_goes_beyond_its_bounds_is_refused() {
    let long = |field: &str, chars: usize| format!(r#"[{{"type":"prudence_task","{field}":"{}"}}]"#, "x".repeat(chars));
    let many = format!(r#"[{{"type":"prudence_task","address":[{}]}}]"#, vec!["\"a\""; NAMES_MAX + 1].join(","));
    let cases = [
        ("no JSON", "task".to_owned()),
        ("no list", r#"{"type":"prudence_task"}"#.to_owned()),
        ("nothing", "[]".to_owned()),
        ("two", r#"[{"type":"prudence_task"},{"type":"prudence_task"}]"#.to_owned()),
        ("another type", r#"[{"type":"payment"}]"#.to_owned()),
        ("no type", r#"[{"purpose":"x"}]"#.to_owned()),
        ("an unknown member", r#"[{"type":"prudence_task","root":true}]"#.to_owned()),
        ("a member twice", r#"[{"type":"prudence_task","purpose":"a","purpose":"b"}]"#.to_owned()),
        ("an unknown effect", r#"[{"type":"prudence_task","effects":["everything"]}]"#.to_owned()),
        ("no effect", r#"[{"type":"prudence_task","effects":[]}]"#.to_owned()),
        ("no time", r#"[{"type":"prudence_task","lease_ms":0}]"#.to_owned()),
        ("an empty purpose", r#"[{"type":"prudence_task","purpose":" "}]"#.to_owned()),
        ("a long purpose", long("purpose", PURPOSE_CHARS_MAX + 1)),
        ("long words", long("words", TEXT_CHARS_MAX + 1)),
        ("too much", long("words", DETAILS_BYTES_MAX)),
        ("too many names", many),
        ("a name written backwards", "[{\"type\":\"prudence_task\",\"address\":[\"ann\u{202e}moc\"]}]".to_owned()),
        ("words that nobody sees", "[{\"type\":\"prudence_task\",\"words\":\"hello\u{e0070}\u{e0061}\u{e0079}\"}]".to_owned()),
        ("a purpose with a gap of no width", "[{\"type\":\"prudence_task\",\"purpose\":\"re\u{200b}port\"}]".to_owned()),
        ("a name in two lines", r#"[{"type":"prudence_task","address":["a\nb"]}]"#.to_owned()),
    ];
    for (what, text) in cases {
        let refused = TaskDetails::read(Some(&text), None).expect_err(what);
        assert_eq!(refused.code(), "invalid_authorization_details", "{what}");
    }
    for scope in ["everything", "openid", "READ"] {
        assert_eq!(TaskDetails::read(None, Some(scope)).expect_err(scope).code(), "invalid_scope");
    }
    let read = r#"[{"type":"prudence_task","effects":["read"]}]"#;
    assert_eq!(TaskDetails::read(Some(read), Some("read spend")).expect_err("two answers").code(), "invalid_scope");
}
