//! Claims about questions: what is read, what is refused, and what binds.

use proptest::prelude::{any, proptest};

use super::*;

const ONE: &str =
    r#"{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}"#;

fn without(member: &str) -> String {
    let mut whole: Map<String, Value> = serde_json::from_str(ONE).expect("JSON");
    whole.remove(member);
    Value::Object(whole).to_string()
}

#[test]
fn a_question_needs_all_three_and_ignores_what_it_does_not_know() {
    let with_more = ONE.replacen('{', r#"{"foo":"bar","later":{"nested":true},"context":{"time":"x","ip":"y"},"#, 1);
    assert_eq!(evaluation(with_more.as_bytes()).expect("it is whole").subject.id, "alice");
    for member in ["subject", "action", "resource"] {
        let error = evaluation(without(member).as_bytes()).expect_err("one is missing");
        assert!(error.to_string().contains(member), "{error}");
    }
}

#[test]
fn types_are_held_and_members_stand_once() {
    for bad in [
        ONE.replace(r#"{"type":"user","id":"alice"}"#, r#""alice""#),
        ONE.replace(r#""read""#, "123"),
        ONE.replace(r#""id":"alice""#, r#""id":"alice","id":"bob""#),
        ONE.replace('}', ""),
        String::new(),
        "[]".to_owned(),
    ] {
        assert!(evaluation(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_default_is_replaced_as_a_whole_and_one_bad_question_spoils_no_other() {
    let body = r#"{"subject":{"type":"user","id":"alice"},"action":{"name":"read","properties":{"a":1}},
        "resource":{"type":"record","id":"record-1","properties":{"status":"active"}},
        "evaluations":[{}, {"resource":{"type":"record","id":"record-2"}}, {"resource":{"type":"record"}}, 7]}"#;
    let Ok(Evaluations::Many { questions, semantic }) = evaluations(body.as_bytes()) else { panic!("four questions") };
    assert_eq!(semantic, Semantic::ExecuteAll);
    let first = questions[0].as_ref().expect("all from the defaults");
    assert_eq!(first.resource.properties["status"], "active");
    assert!(questions[1].as_ref().expect("its own resource").resource.properties.is_empty());
    assert!(questions[2].is_err() && questions[3].is_err());
}

#[test]
fn without_evaluations_it_is_one_question() {
    for body in [ONE.to_owned(), ONE.replacen('{', r#"{"evaluations":[],"#, 1)] {
        assert!(matches!(evaluations(body.as_bytes()), Ok(Evaluations::One(_))));
    }
    assert!(evaluations(without("subject").as_bytes()).is_err());
    let many = vec![json!({}); EVALUATIONS_MAX + 1];
    let body = json!({ "evaluations": many }).to_string();
    assert_eq!(evaluations(body.as_bytes()), Err(BadRequest::Evaluations { found: EVALUATIONS_MAX + 1 }));
    let large = json!({ "subject": { "type": "user", "id": "alice", "properties": { "x": "y".repeat(INHERITED_BYTES_MAX / 400) } },
        "evaluations": vec![json!({}); 500] });
    assert!(evaluations(large.to_string().as_bytes()).is_err(), "every question would have a copy");
    let unknown = ONE.replacen('{', r#"{"evaluations":[{}],"options":{"evaluations_semantic":"guess"},"#, 1);
    assert!(evaluations(unknown.as_bytes()).is_err());
}

#[test]
fn attributes_say_one_thing_in_one_way() {
    let of = |value: Value| attributes("resource", value.as_object().expect("an object"));
    let found = of(json!({ "status": "active", "soft": true, "n": 3, "roles": ["a", "b"], "geo": { "eu": "de" }, "none": null }));
    let words: Vec<String> = found.expect("they are few").iter().map(ToString::to_string).collect();
    assert_eq!(words, ["geo.eu=de", "n=3", "roles=a", "roles=b", "soft=true", "status=active"]);
    assert!(of(json!({ "role=admin": "x" })).is_err(), "it would read as role, admin=x");
    assert!(of(json!({ "geo.eu": "de" })).is_err(), "it would read as nested");
    assert!(of(json!({ "many": (0..=ATTRIBUTES_MAX).collect::<Vec<_>>() })).is_err());
    assert!(of(json!({ "long": "x".repeat(ATTRIBUTE_BYTES_MAX) })).is_err());
    assert!(of(json!({ "a": { "a": { "a": { "a": { "a": { "a": { "a": { "a": {} } } } } } } } })).is_err());
}

#[test]
fn an_approval_binds_to_the_question_and_not_to_its_environment() {
    let digest = |text: &str| evaluation(text.as_bytes()).expect("a question").digest().expect("exact numbers");
    let later = ONE.replacen('{', r#"{"context":{"time":"later"},"#, 1);
    assert_eq!(digest(ONE), digest(&later));
    assert_ne!(digest(ONE), digest(&ONE.replace("record-1", "record-2")));
    assert_ne!(digest(ONE), digest(&ONE.replace(r#""id":"record-1""#, r#""id":"record-1","properties":{"a":"b"}"#)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzzing::authzen(&bytes);
    }

    #[test]
    fn nearly_questions_are_read_or_refused(text in r#"\{"subject":\{"type":"u","id":"[ab]"(,"properties":\{("a":[0-9]{1,3}|"b":\[1,"x",\{\}\])\})?\},"action":\{"name":"[rw]"\},"resource":\{"type":"r","id":"1"\}(,"evaluations":\[(\{\}|7|\{"action":\{"name":"w"\}\})?\])?\}?"#) {
        crate::fuzzing::authzen(text.as_bytes());
    }
}
