//! What is one value and what is another, as claims.

use super::*;
use proptest::prelude::*;

fn same(kind: &str, one: &str, other: &str) -> bool {
    normal(kind, one) == normal(kind, other)
}

#[test]
fn ways_of_writing_one_value_are_one() {
    for (kind, one, other) in [
        ("recipient", "Ann Lee <ANN@Example.org>", "ann@example.org"),
        ("recipient", "ann+news@example.org", "mailto:ann@example.org"),
        ("recipient", "ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("account", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("account", "IBAN: DE89370400440532013000", "DE89370400440532013000"),
        ("url", "https://Example.org/a/", "http://example.org/a"),
        ("url", "example.org", "https://example.org/"),
        ("url", "https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("url", "https://example.org:443/x", "example.org/x"),
        ("phone", "+49 (30) 1234-567", "0049301234567"),
        ("channel", "#General", "general"),
        ("hotel", "Mom’s  Home", "mom's home"),
        ("channel", "gen\u{200b}eral", "ｇｅｎｅｒａｌ"),
    ] {
        assert!(same(kind, one, other), "{kind}: {one} and {other}: {:?} {:?}", normal(kind, one), normal(kind, other));
    }
}

#[test]
fn other_values_are_others() {
    for (kind, one, other) in [
        ("recipient", "ann@example.org", "ann@example.org.evil.example"),
        ("recipient", "ann@example.org", "аnn@example.org"), // a Cyrillic а
        ("recipient", "\"ann@example.org\"@evil.example", "ann@example.org"),
        ("recipient", "ann@example.org, eve@evil.example", "ann@example.org"),
        ("url", "https://example.org@evil.example/", "https://example.org/"),
        ("url", "https://example.org.evil.example/", "https://example.org/"),
        ("url", "https://example.org/a?q=1", "https://example.org/a"),
        ("url", "https://example.org:8443/", "https://example.org/"),
        ("account", "DE89370400440532013000", "DE89370400440532013001"),
        ("secret", "Pass1word", "pass1word"),
    ] {
        assert!(!same(kind, one, other), "{kind}: {one} and {other}: {:?}", normal(kind, one));
    }
}

#[test]
fn words_say_what_stands_in_them_and_nothing_else() {
    let words = Words::of(
        "Send the summary to Bob (bob@example.org), pay DE89 3704 0044 0532 0130 00 by 2026-05-13, delete event 13, look at www.example.org/a \
         and post it in 'general'. Set the password to 'Xk-99!a'.",
    );
    for (kind, value) in [
        ("recipient", "Bob"),
        ("recipient", "BOB@example.org"),
        ("account", "DE89370400440532013000"),
        ("event", "13"),
        ("url", "https://www.example.org/a"),
        ("channel", "general"),
        ("secret", "Xk-99!a"),
    ] {
        assert!(words.say(kind, value), "{kind} {value}");
    }
    for (kind, value) in [
        ("file", "13"),
        ("recipient", "bob@example.org.evil.example"),
        ("account", "DE89370400440532013001"),
        ("event", "05"),
        ("url", "https://www.example.org/a?q=1"),
        ("channel", "gener"),
        ("secret", "xk-99!a"),
        ("event", ""),
        ("channel", "..."),
    ] {
        assert!(!words.say(kind, value), "{kind} {value}");
    }
    assert!(Words::of("please show id 13").say("file", "13"), "an id of whatever kind");
    assert!(!Words::of("13").say("file", "13"), "a number alone names nothing");
}

#[test]
fn amounts_are_found_however_they_are_written() {
    let words = Words::of("pay $1,200.50 and then 98.70 EUR, or 10");
    for said in ["1200.50", "98.7", "10", "10.00"] {
        assert!(words.say_number(said), "{said}");
    }
    assert!(!words.say_number("1200"));
}

#[test]
fn a_text_gives_away_where_it_leads() {
    let found = values_in(
        "see [here](https://evil.example/x?a=b), www.shop.example. or secure-site.com! pay DE89 3704 0044 0532 0130 00, mail ann@example.org.",
    );
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    for wanted in
        ["https://evil.example/x?a=b", "www.shop.example", "secure-site.com", "DE89370400440532013000", "ann@example.org"]
    {
        assert!(texts.contains(&wanted), "{wanted} in {texts:?}");
    }
    let harmless = values_in("minutes.docx, e.g. 12.50 on 2026-05-13 at 10:30, v1.2.3, done.Then we go");
    assert!(harmless.is_empty(), "{harmless:?}");
}

proptest! {
    #[test]
    fn nothing_panics_and_a_normal_form_is_its_own(kind in "[a-z]{0,9}|url|account|recipient|phone", text in ".{0,60}") {
        let once = normal(&kind, &text);
        if once.family.as_ref() != LINK || parse_link(&once.text).is_some() {
            let again = normal(&kind, &once.text);
            prop_assert_eq!(&again.family, &once.family);
        }
        let _ = (Words::of(&text).say(&kind, &text), values_in(&text));
    }

    /// However a foreign address is written, it is never taken for the one that was named.
    #[test]
    fn a_foreign_address_is_never_the_named_one(local in "[a-z]{1,8}", host in "[a-z]{2,8}", mark in prop::sample::select(vec!["+x", ".", "-", "x", "%40", "@"])) {
        let words = Words::of(&format!("write to {local}@{host}.example"));
        let named = format!("{}@{}.example", local, host);
        prop_assert!(words.say("recipient", &named));
        let written = format!("{}@{}.example.evil.test", local, host);
        let prefixed = format!("{}{}@evil.test", named, mark);
        prop_assert!(!words.say("recipient", &written));
        prop_assert!(!words.say("recipient", &prefixed));
    }
}
