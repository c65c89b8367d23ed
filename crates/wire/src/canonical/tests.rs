//! Canonical JSON, against the vectors of RFC 8785.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CanonicalError, WHOLE_MAX, digest, text, written};

#[test]
fn the_example_of_rfc_8785_is_written_as_it_says() {
    // §3.2.2, canonical form in §3.2.3.
    let value: Value = serde_json::from_str(
        r#"{
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"#,
    )
    .unwrap();
    let canonical =
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(written(&value), canonical);
    // What is offered is narrower: 1E30 is beyond what all readers agree on.
    assert_eq!(text(&value), Err(CanonicalError::Number { number: "1e+30".into() }));
}

#[test]
fn members_are_sorted_by_utf_16() {
    // §3.2.3.
    let value: Value = serde_json::from_str(
        r#"{
          "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
          "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#,
    )
    .unwrap();
    let order = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ];
    let canonical = text(&value).unwrap();
    let places = order.map(|name| canonical.find(name).unwrap());
    assert!(places.is_sorted(), "{canonical}");
}

#[test]
fn numbers_are_written_as_in_appendix_b() {
    for (bits, expected) in [
        (0x0000000000000000_u64, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7fefffffffffffff, "1.7976931348623157e+308"),
        (0xffefffffffffffff, "-1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0xc340000000000000, "-9007199254740992"),
        (0x4430000000000000, "295147905179352830000"),
        (0x44b52d02c7e14af5, "9.999999999999997e+22"),
        (0x44b52d02c7e14af6, "1e+23"),
        (0x44b52d02c7e14af7, "1.0000000000000001e+23"),
        (0x444b1ae4d6e2ef4e, "999999999999999700000"),
        (0x444b1ae4d6e2ef4f, "999999999999999900000"),
        (0x444b1ae4d6e2ef50, "1e+21"),
        (0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"),
        (0x3eb0c6f7a0b5ed8d, "0.000001"),
        (0x41b3de4355555553, "333333333.3333332"),
        (0x41b3de4355555554, "333333333.33333325"),
        (0x41b3de4355555555, "333333333.3333333"),
        (0x41b3de4355555556, "333333333.3333334"),
        (0x41b3de4355555557, "333333333.33333343"),
        (0xbecbf647612f3696, "-0.0000033333333333333333"),
        (0x43143ff3c1cb0959, "1424953923781206.2"),
    ] {
        assert_eq!(written(&json!(f64::from_bits(bits))), expected, "{bits:016x}");
    }
}

#[test]
fn a_number_that_readers_would_round_is_refused() {
    for good in ["9007199254740991", "-9007199254740991", "0.1", "-0.0", "1e15", "9007199254740991.0"] {
        assert!(digest(&serde_json::from_str(good).unwrap()).is_ok(), "{good}");
    }
    for bad in [
        "9007199254740992",
        "-9007199254740992",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551617",
        "1e16",
        "-1e300",
    ] {
        let value = json!({ "deep": [{ "in": serde_json::from_str::<Value>(bad).unwrap() }] });
        assert!(matches!(digest(&value), Err(CanonicalError::Number { .. })), "{bad}");
    }
}

#[test]
fn the_digest_is_sha_256_of_the_text() {
    // SHA-256 of `{}`.
    let expected = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(digest(&json!({})).unwrap().to_string(), expected);
}

proptest! {
    #[test]
    fn spelling_does_not_change_the_digest(names in proptest::collection::btree_map(".{0,4}", -WHOLE_MAX..=WHOLE_MAX, 0..8)) {
        let forward: Vec<String> = names.iter().map(|(name, number)| format!("{}:{number}", json!(name))).collect();
        let escaped = |name: &str| name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        let backward: Vec<String> = names.iter().rev().map(|(name, number)| format!(" \"{}\" :\n{number}", escaped(name))).collect();
        let read = |members: Vec<String>| serde_json::from_str::<Value>(&format!("{{{}}}", members.join(","))).unwrap();
        prop_assert_eq!(digest(&read(forward)), digest(&read(backward)));
    }
}
