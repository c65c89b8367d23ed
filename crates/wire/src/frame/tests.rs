//! Frames, as claims: what is refused, and what an edit leaves alone.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Edit, Frame, FrameError, IdKey, Kind, Limits, SpliceError};

fn parse(text: &str) -> Result<Frame, FrameError> {
    Frame::parse(text.to_owned(), &Limits::default())
}

fn good(text: &str) -> Frame {
    parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const CALL: &str = r#" {"jsonrpc" : "2.0","id":7, "method":"tools/call", "x-unknown":[1, 2],
  "params":{"name":"post","arguments":{"b":1.50,"a":"\u00e9"},"_meta":{"progressToken":"p/1"}}} "#;

#[test]
fn a_frame_is_one_of_four_kinds() {
    for (text, kind) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, Kind::Result),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}"#, Kind::Error),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#, Kind::Error),
        (r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no","data":[1]}}"#, Kind::Error),
    ] {
        assert_eq!(good(text).kind(), kind, "{text}");
    }
}

#[test]
fn what_is_not_a_message_is_refused() {
    let id = FrameError::Id { bytes_max: 256 };
    let method = FrameError::Method { bytes_max: 256 };
    let shape = |found| FrameError::Shape { found };
    for (text, refusal) in [
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, FrameError::Batch),
        ("[]", FrameError::Batch),
        ("3", FrameError::NotAnObject),
        (r#"{"id":1,"method":"ping"}"#, FrameError::Version),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, FrameError::Version),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, FrameError::Version),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, id.clone()),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, id.clone()),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, id.clone()),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, id.clone()),
        (r#"{"jsonrpc":"2.0","id":18446744073709551616,"method":"ping"}"#, id.clone()),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, id),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, method.clone()),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, method),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, FrameError::Params),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, FrameError::Params),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, FrameError::Params),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, FrameError::Result),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, FrameError::Result),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"no"}}"#, FrameError::Error),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, FrameError::Error),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}"#, shape("both `result` and `error`")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, shape("`method` together with `result` or `error`")),
        (r#"{"jsonrpc":"2.0","result":{}}"#, shape("a result without `id`")),
        (r#"{"jsonrpc":"2.0","id":1}"#, shape("none of `method`, `result` and `error`")),
    ] {
        assert_eq!(parse(text).unwrap_err(), refusal, "{text}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        "{",
        "{}{}",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}x"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\nng\"}",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\ud800"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1e999}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}"#,
        r#"{"jsonrpc":"2.0","id":01,"method":"ping"}"#,
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
    ] {
        assert!(matches!(parse(text), Err(FrameError::Malformed { .. })), "{text}");
        assert_eq!(parse(text).unwrap_err().rpc_code(), -32700);
    }
    let latin = Frame::parse(&b"{\"jsonrpc\":\"2.0\",\"method\":\"\xe9\"}"[..], &Limits::default());
    assert_eq!(latin.unwrap_err(), FrameError::NotUtf8 { at: 27 });
}

#[test]
fn a_member_stands_once_at_every_level_however_it_is_spelt() {
    for params in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"x":{"y":[{"name":1,"b":2,"na\u006de":3}]}}"#,
        r#"{"\/":1,"/":2}"#,
        r#"{"":1,"":2}"#,
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        assert!(matches!(parse(&text), Err(FrameError::DuplicateMember { .. })), "{text}");
    }
    for twice in [r#""id":1"#, r#""\u0069d":1"#, r#""method":"m""#, r#""jsonrpc":"2.0""#, r#""params":{}"#] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{}},{twice}}}"#);
        assert!(matches!(parse(&text), Err(FrameError::DuplicateMember { .. })), "{text}");
    }
    good(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":{"a":[{"a":1},{"a":1}]},"A":1,"a ":1}}"#);
}

#[test]
fn every_bound_is_held() {
    let limits = Limits {
        bytes_max: 400,
        depth_max: 5,
        values_max: 20,
        string_bytes_max: 40,
        name_bytes_max: 30,
        method_bytes_max: 8,
        id_bytes_max: 8,
    };
    let of = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
    let check = |text: String| Frame::parse(text, &limits).map(|_| ());
    assert_eq!(check(of(r#"{"a":[[[1]]]}"#)), Ok(()));
    assert_eq!(check(of(r#"{"a":[[[[1]]]]}"#)), Err(FrameError::TooDeep { depth_max: 5 }));
    assert_eq!(check(of(&format!(r#"{{"a":[{}1]}}"#, "1,".repeat(20)))), Err(FrameError::TooManyValues { values_max: 20 }));
    assert_eq!(check(of(&format!(r#"{{"a":"{}"}}"#, "x".repeat(41)))), Err(FrameError::StringTooLong { bytes_max: 40 }));
    assert_eq!(check(of(&format!(r#"{{"{}":1}}"#, "x".repeat(31)))), Err(FrameError::StringTooLong { bytes_max: 30 }));
    assert!(matches!(check(of(&format!(r#"{{"a":"{}"}}"#, "x".repeat(400)))), Err(FrameError::TooBig { .. })));
    assert_eq!(check(r#"{"jsonrpc":"2.0","method":"123456789"}"#.into()), Err(FrameError::Method { bytes_max: 8 }));
    assert_eq!(check(r#"{"jsonrpc":"2.0","method":"m","id":"1234567"}"#.into()), Err(FrameError::Id { bytes_max: 8 }));
    let deep = of(&format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(parse(&deep).unwrap_err(), FrameError::TooDeep { depth_max: 64 });
}

#[test]
fn an_id_is_echoed_as_it_came_and_compared_as_a_value() {
    for (raw, key) in [
        ("1", IdKey::Number(1)),
        ("1e0", IdKey::Number(1)),
        ("-9007199254740993", IdKey::Number(-9007199254740993)),
        (r#""1""#, IdKey::Text("1".into())),
        (r#""\u0031""#, IdKey::Text("1".into())),
        (r#""""#, IdKey::Text(String::new())),
    ] {
        let frame = good(&format!(r#"{{"jsonrpc":"2.0","id": {raw} ,"method":"ping"}}"#));
        assert_eq!(frame.id(), Some(raw));
        assert_eq!(frame.id_key(), Some(key));
        let answer = Frame::answer(raw, "{}", &Limits::default()).unwrap();
        assert_eq!(answer.text(), format!(r#"{{"jsonrpc":"2.0","id":{raw},"result":{{}}}}"#));
        assert_eq!(Frame::error(Some(raw), -1, "no", None).id(), Some(raw));
    }
}

#[test]
fn parts_are_slices_of_what_came() {
    let frame = good(CALL);
    assert_eq!(frame.text(), CALL);
    assert_eq!((frame.kind(), frame.method(), frame.id()), (Kind::Request, Some("tools/call"), Some("7")));
    assert_eq!(frame.at("/params/arguments/b"), Some("1.50"));
    assert_eq!(frame.at("/params/arguments/a"), Some(r#""\u00e9""#));
    assert_eq!(frame.at("/x-unknown/1"), Some("2"));
    assert_eq!(frame.params()["arguments"]["a"], "é");
    for nothing in ["/params/none", "/x-unknown/2", "/x-unknown/01", "/x-unknown/-", "params", "/id/0"] {
        assert_eq!(frame.at(nothing), None, "{nothing}");
    }
    assert_eq!(good(r#"{"jsonrpc":"2.0","method":"tools\/call"}"#).method(), Some("tools/call"));
    assert_eq!(good(r#"{"jsonrpc":"2.0","method":"m","params":{"a/b":{"~":1}}}"#).at("/params/a~1b/~0"), Some("1"));
}

#[test]
fn a_splice_changes_its_subtree_and_nothing_else() {
    let frame = good(CALL);
    let limits = Limits::default();
    for (pointer, old, new) in [
        ("/params/name", r#""post""#, r#""forum.post""#),
        ("/id", ":7,", ":8,"),
        ("/params/_meta/progressToken", r#""p/1""#, "12"),
        ("/x-unknown", "[1, 2]", "{}"),
    ] {
        let value = new.trim_start_matches(':').trim_end_matches(',');
        let spliced = frame.splice(pointer, value, &limits).unwrap();
        assert_eq!(spliced.text(), CALL.replacen(old, new, 1));
    }
    assert_eq!(
        frame.splice("/params/none", "1", &limits).unwrap_err(),
        SpliceError::NothingThere { pointer: "/params/none".into() }
    );
}

#[test]
fn a_splice_cannot_smuggle() {
    let frame = good(CALL);
    let limits = Limits::default();
    for value in [r#""x","name":"y""#, "1}", "", "{", r#"1,"id":2"#, r#"{"a":1,"a":2}"#] {
        assert!(matches!(frame.splice("/params/name", value, &limits), Err(SpliceError::Frame(_))), "{value}");
        assert!(Frame::answer(value, "{}", &limits).is_err());
        assert!(Frame::answer("1", value, &limits).is_err() || value.starts_with(r#"{"a":1}"#));
    }
    assert!(matches!(frame.splice("/id", "null", &limits), Err(SpliceError::Frame(FrameError::Id { .. }))));
}

#[test]
fn a_member_can_be_added_to_an_object_that_is_there() {
    let limits = Limits::default();
    let frame = good(r#"{"jsonrpc":"2.0","id":1,"result":{ }}"#);
    let set = frame
        .edit(&[Edit::Set("/result/ttlMs", "0"), Edit::Set("/result/a~1\"b", "[]"), Edit::Set("/result/ttlMs", "5")], &limits)
        .unwrap();
    assert_eq!(set.text(), r#"{"jsonrpc":"2.0","id":1,"result":{ "ttlMs":5,"a/\"b":[]}}"#);
    assert!(frame.edit(&[Edit::Set("/params/x", "0")], &limits).is_err());
    assert!(frame.edit(&[Edit::Set("/id/x", "0")], &limits).is_err());
}

#[test]
fn one_line_holds_one_message() {
    let inner = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{}}"#;
    let frame = good(&format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{{\"x\":\r\n{inner}\n}}}}"));
    let line = frame.line();
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    let again = Frame::parse(line, &Limits::default()).unwrap();
    assert_eq!(again.params(), frame.params());
}

#[test]
fn an_error_can_always_be_said() {
    let error = Frame::error(Some("not an id"), -32600, "say \"no\"\n", Some(&json!({"a": 1})));
    // The order of members depends on a feature that other crates may switch on; what is said does not.
    let said: Value = serde_json::from_str(error.text()).unwrap();
    assert_eq!(said, json!({"jsonrpc": "2.0", "error": {"code": -32600, "data": {"a": 1}, "message": "say \"no\"\n"}}));
    assert_eq!(error.kind(), Kind::Error);
}

#[test]
fn debug_shows_no_arguments() {
    assert_eq!(
        format!("{:?}", good(CALL)),
        format!(r#"Frame {{ kind: Request, method: Some("tools/call"), bytes: {} }}"#, CALL.len())
    );
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[a-c\"\\\\/~é]{0,3}", inner, 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-c\"\\\\/~é]{0,3}", tree(), 0..6).prop_map(|members| members.into_iter().collect())
}

fn token(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

proptest! {
    #[test]
    fn strict_and_ordinary_readers_agree_on_what_has_no_duplicates(params in object(), id in any::<i64>(), pretty in any::<bool>()) {
        let whole = json!({ "jsonrpc": "2.0", "id": id, "method": "m", "params": params });
        let text = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) }.unwrap();
        let frame = good(&text);
        let ordinary: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(frame.params(), ordinary["params"].clone());
        prop_assert_eq!(frame.id(), Some(&*id.to_string()));
    }

    #[test]
    fn a_splice_keeps_every_other_byte(params in object(), pick in any::<prop::sample::Index>(), value in tree()) {
        let Value::Object(members) = &params else { unreachable!("objects only") };
        prop_assume!(!members.is_empty());
        let name = members.keys().nth(pick.index(members.len())).unwrap();
        let text = format!(" {{\"jsonrpc\":\"2.0\", \"params\": {params}\n,\"method\":\"m\"}} ");
        let frame = good(&text);
        let pointer = format!("/params/{}", token(name));
        let old = frame.at(&pointer).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(old).unwrap(), serde_json::from_str::<Value>(&members[name].to_string()).unwrap());
        let start = old.as_ptr() as usize - frame.text().as_ptr() as usize;
        let spliced = frame.splice(&pointer, &value.to_string(), &Limits::default()).unwrap();
        prop_assert_eq!(spliced.text(), format!("{}{value}{}", &text[..start], &text[start + old.len()..]));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::frame(&bytes);
    }

    #[test]
    fn nearly_frames_are_read_or_refused(text in r#"\{("jsonrpc":"2.0",)?("id":(1|"a"|null),)?"(method|result|error)":("m"|\{\}|1)(,"params":\{("a":[0-9]{1,30},?){0,2}\})?\}"#) {
        crate::fuzzing::frame(text.as_bytes());
    }
}
