//! Claims of the modules above, the guarantee first.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::*;

fn key() -> ContentKey {
    ContentKey::new(*b"0123456789abcdef")
}

fn found(items: &[&str], parts: &[&str]) -> Vec<(u32, Kind, View)> {
    let key = key();
    let mut index = Index::default();
    for (number, text) in items.iter().enumerate() {
        index.add(u32::try_from(number).unwrap(), &sketch(&key, text));
    }
    let found = index.search(&key, parts);
    assert!(!found.truncated);
    found.items().into_iter().map(|(item, evidence)| (item, evidence.kind, evidence.view)).collect()
}

fn is_found(item: &str, parts: &[&str]) -> bool {
    !found(&[item], parts).is_empty()
}

const PLAN: &str =
    "Project Heron closes the Lisbon plant in October; 412 people are affected, and the works council is not yet informed.";

// --- the guarantee -----------------------------------------------------------------------------------------------------------

/// Ways of writing a text that all count as the text.
#[derive(Clone, Copy, Debug)]
enum Disguise {
    None,
    Upper,
    Lower,
    Spaced,
    Wrapped,
    Decomposed,
    Composed,
    ZeroWidth,
    Marked,
    FullWidth,
}

const DISGUISES: [Disguise; 10] = [
    Disguise::None,
    Disguise::Upper,
    Disguise::Lower,
    Disguise::Spaced,
    Disguise::Wrapped,
    Disguise::Decomposed,
    Disguise::Composed,
    Disguise::ZeroWidth,
    Disguise::Marked,
    Disguise::FullWidth,
];

fn disguise(how: Disguise, text: &str) -> String {
    match how {
        Disguise::None => text.to_owned(),
        Disguise::Upper => text.to_uppercase(),
        Disguise::Lower => text.to_lowercase(),
        Disguise::Spaced => text.chars().flat_map(|c| [c, ' ']).collect(),
        Disguise::Wrapped => {
            text.chars().enumerate().flat_map(|(at, c)| if at % 7 == 0 { vec!['\r', '\n', c] } else { vec![c] }).collect()
        }
        Disguise::Decomposed => text.nfd().collect(),
        Disguise::Composed => text.nfkc().collect(),
        Disguise::ZeroWidth => text.chars().flat_map(|c| [c, '\u{200B}']).collect(),
        Disguise::Marked => text.chars().flat_map(|c| [c, '\u{323}', '\u{301}']).collect(),
        Disguise::FullWidth => text
            .chars()
            .map(|c| if ('!'..='~').contains(&c) { char::from_u32(u32::from(c) + 0xFEE0).unwrap() } else { c })
            .collect(),
    }
}

/// Encodings that may lie over each other.
#[derive(Clone, Copy, Debug)]
enum Code {
    Plain,
    Base64,
    Base64Url,
    Base64Lines,
    Base64Utf16,
    HexLower,
    HexSpaced,
    HexC,
    Percent,
    PercentAll,
    Json,
    JsonAll,
    Html,
}

const CODES: [Code; 13] = [
    Code::Plain,
    Code::Base64,
    Code::Base64Url,
    Code::Base64Lines,
    Code::Base64Utf16,
    Code::HexLower,
    Code::HexSpaced,
    Code::HexC,
    Code::Percent,
    Code::PercentAll,
    Code::Json,
    Code::JsonAll,
    Code::Html,
];

fn encode(code: Code, text: &str) -> String {
    let hex = |separator: &str, prefix: &str| {
        text.bytes().map(|byte| format!("{prefix}{byte:02x}")).collect::<Vec<_>>().join(separator)
    };
    match code {
        Code::Plain => text.to_owned(),
        Code::Base64 => STANDARD.encode(text),
        Code::Base64Url => URL_SAFE_NO_PAD.encode(text),
        Code::Base64Lines => STANDARD
            .encode(text)
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect::<Vec<_>>()
            .join("\r\n"),
        Code::Base64Utf16 => STANDARD.encode(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        Code::HexLower => hex("", ""),
        Code::HexSpaced => hex(" ", "").to_uppercase(),
        Code::HexC => hex("", "\\x"),
        Code::Percent => text
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else if byte == b' ' {
                    "+".to_owned()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect(),
        Code::PercentAll => text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        Code::Json => serde_json::to_string(text).unwrap(),
        Code::JsonAll => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        Code::Html => text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("&#x{:X};", u32::from(c)) })
            .collect(),
    }
}

/// Texts as people write them, in several scripts.
fn writing() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        12 => proptest::char::range('a', 'z'),
        3 => proptest::char::range('A', 'Z'),
        4 => Just(' '),
        2 => proptest::char::range('0', '9'),
        2 => proptest::sample::select(vec!['é', 'ü', 'ß', 'Ş', 'ą', 'İ', 'ς', 'Σ', 'ﬁ', '．', 'ｅ', '½', '\u{301}', 'Å', 'ệ', '…', ',', '.', '&', '"', '\\', '%', '+', '/', '\n']),
        1 => proptest::char::range('а', 'я'),
        1 => proptest::char::range('一', '丿'),
        1 => proptest::char::range('가', '갛'),
        1 => proptest::sample::select(vec!['😀', '🏳', 'न', 'म', 'ि', '्', 'ع', 'ש']),
    ];
    proptest::collection::vec(letter, 60..200).prop_map(|letters| letters.into_iter().collect())
}

/// A stretch of a text that has at least 24 normalised characters, by an independent count.
fn stretch(text: &str, start: prop::sample::Index) -> Option<String> {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let from = places[start.index(places.len())];
    let mut stretch = String::new();
    for c in text[from..].chars() {
        stretch.push(c);
        if stretch.nfkc().filter(|c| !c.is_whitespace() && !c.is_control() && canonical_combining_class(*c) == 0).count()
            >= COPY_CHARS_MIN
        {
            return Some(stretch);
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 100 } else { 20_000 }))]

    /// The guarantee of semantics §3, with up to two layers of encoding over a disguise.
    #[test]
    fn every_copy_of_24_characters_is_found(
        item in writing(), start: prop::sample::Index, before in "[ -~é]{0,40}", after in "[ -~é]{0,40}",
        how in proptest::sample::select(&DISGUISES[..]), codes in proptest::collection::vec(proptest::sample::select(&CODES[..]), 0..3),
    ) {
        let Some(copy) = stretch(&item, start) else { return Ok(()) };
        let mut text = format!("{before} {} {after}", disguise(how, &copy));
        for code in &codes {
            text = encode(*code, &text);
        }
        prop_assert!(is_found(&item, &[&text]), "{how:?} {codes:?}\n{copy:?}\n{text}");
        prop_assert!(is_found(&item, &["title", &format!("a = '{text}';")]), "quoted {how:?} {codes:?}\n{copy:?}\n{text}");
    }

    /// Split over two to four arguments in any order, plain or encoded as one.
    #[test]
    fn a_copy_split_over_arguments_is_found(
        item in writing(), start: prop::sample::Index, cuts in proptest::collection::vec(any::<prop::sample::Index>(), 1..4),
        order in any::<prop::sample::Index>(), code in proptest::sample::select(&CODES[..]), split_first: bool,
    ) {
        let Some(copy) = stretch(&item, start) else { return Ok(()) };
        let whole = if split_first { copy } else { encode(code, &copy) };
        let mut places: Vec<usize> = cuts.iter().map(|cut| { let places: Vec<usize> = whole.char_indices().map(|(at, _)| at).collect(); places[cut.index(places.len())] }).collect();
        places.extend([0, whole.len()]);
        places.sort_unstable();
        let mut parts: Vec<&str> = places.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
        let turn = order.index(parts.len());
        parts.rotate_left(turn);
        prop_assert!(is_found(&item, &parts), "{code:?} {parts:?}");
    }

    /// The fast normal form is the defined one, however gaps and what is dropped lie between each other.
    #[test]
    fn the_fast_normal_form_is_the_defined_one(text in "([a-zA-Z \n]|[é\u{301}\u{323}\u{200B}\u{FF9E}\u{344}½ﷺ´\u{FFFD}한ǖΐ]|\\PC){0,40}") {
        let normal = normalise(&text);
        prop_assert_eq!(&normal.dense, &defined(&text).chars().map(normal::byte_of).collect::<Vec<_>>());
        prop_assert_eq!(normal.words().map(|(word, _)| word.len()).sum::<usize>(), normal.dense.len());
        prop_assert!(normal.words().all(|(word, mixed)| mixed || word.iter().all(u8::is_ascii_lowercase)));
    }

    /// A naive twin that keeps both texts says the same about plain text, but for copies of 20 to 23 characters, which are luck.
    #[test]
    fn a_naive_comparison_agrees(item in "[abAB ]{0,80}", outgoing in "[abAB ]{0,80}") {
        let normal = |text: &str| text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_lowercase()).collect::<String>();
        let (item_normal, outgoing_normal) = (normal(&item), normal(&outgoing));
        let longest = (0..item_normal.len()).flat_map(|from| (from..=item_normal.len()).map(move |to| (from, to)))
            .filter(|(from, to)| outgoing_normal.contains(&item_normal[*from..*to])).map(|(from, to)| to - from).max().unwrap_or(0);
        let copies = found(&[&item], &[&outgoing]).iter().any(|(_, kind, _)| *kind == Kind::Copy);
        if longest >= COPY_CHARS_MIN {
            prop_assert!(copies);
        }
        if longest < GRAM_CHARS {
            prop_assert!(!copies);
        }
        let whole = (WHOLE_CHARS_MIN..COPY_CHARS_MIN).contains(&item_normal.len()) && outgoing_normal.contains(&item_normal);
        prop_assert_eq!(found(&[&item], &[&outgoing]).iter().any(|(_, kind, _)| *kind == Kind::Whole), whole && !copies);
    }

    #[test]
    fn any_text_is_sketched_and_searched_without_panic(item in "\\PC{0,60}", parts in proptest::collection::vec("\\PC{0,60}|[\\\\u0-9a-f%&#x;+=]{0,40}", 0..6)) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let _ = found(&[&item], &parts);
        let _ = secret_shapes(&item);
    }
}

/// The normal form by its definition, without a fast way.
fn defined(text: &str) -> String {
    text.chars().flat_map(normal::folded).collect()
}

#[test]
fn the_normal_form_of_every_character_survives_case_and_itself() {
    for c in (0..=0x10FFFF).filter_map(char::from_u32) {
        let form = defined(&c.to_string());
        assert_eq!(defined(&form), form, "{c:?} again");
        assert_eq!(defined(&c.to_uppercase().to_string()), form, "{c:?} in upper case");
        assert_eq!(defined(&c.to_lowercase().to_string()), form, "{c:?} in lower case");
        assert_eq!(normalise(&c.to_string()).dense, form.chars().map(normal::byte_of).collect::<Vec<_>>(), "{c:?}, its bytes");
    }
}

// --- what does not count -----------------------------------------------------------------------------------------------------

#[test]
fn unrelated_texts_with_common_phrases_share_nothing() {
    let texts = [
        "Thank you for your message. As discussed, please find attached the minutes of the meeting on 14 March 2026. Kind regards, Ana",
        "As discussed on the phone, the new printer is on the second floor. Thank you for your patience. Best regards, the helpdesk",
        "Minutes of the meeting: the budget was agreed, the date is open. Please let me know if you have any questions.",
        "The weather in Porto on 14 March 2026 at 12:30 was 17 degrees. Tickets are $1,250.00 or 1.250,00 EUR; see you in 2026!",
        PLAN,
    ];
    for (at, item) in texts.iter().enumerate() {
        for (other, outgoing) in texts.iter().enumerate().filter(|(other, _)| *other != at) {
            assert_eq!(found(&[item], &[outgoing]), [], "{at} {other}");
        }
    }
}

#[test]
fn dates_times_years_prices_and_plain_words_are_no_tokens() {
    for common in [
        "2026",
        "12:30",
        "2026-03-14",
        "14.03.2026",
        "03/14/2026",
        "2026-03-14T10:15Z",
        "20260314",
        "$1,250.00",
        "1.250.000",
        "12345.67",
        "EUR 99",
        "17 people",
        "v1.2.3",
        "2025-2026",
        "Q3-2026",
        "ISO27001",
        "1 234 567",
        "confidentiality",
        "well-known",
        "10-11 March",
    ] {
        let item = format!("In the long report about everything we read {common} and then went on to other things entirely.");
        assert_eq!(found(&[&item], &[&format!("Lunch: {common}, ok?")]), [], "{common}");
    }
}

// --- tokens ------------------------------------------------------------------------------------------------------------------

#[test]
fn a_sensitive_value_is_found_however_it_is_grouped() {
    for (there, here) in [
        ("DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
        ("GB29 NWBK 6016 1331 9268 19", "GB29-NWBK-6016-1331-9268-19"),
        ("GB29NWBK60161331926819", "GB29 NWBK 6016 1331 9268 19 please"),
        ("078-05-1120", "078051120"),
        ("078051120", "078 05 1120"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("4111111111111111", "4111.1111.1111.1111"),
        ("ana.silva@example.com", "<Ana.Silva@example.com>"),
        ("+49 30 901820 77", "+493090182077"),
        ("(555) 010-4477", "555-010-4477"),
        ("account 99887766", "99 88 77 66"),
        ("INV-2041-77", "inv 2041 77 / INV-2041-77"),
        ("EMP-10442", "emp10442"),
        ("AKIAIOSFODNN7EXAMPLE", "key=AKIAIOSFODNN7EXAMPLE;"),
        ("password: Tr0ub4dor&3", "try Tr0ub4dor&3"),
        ("db_password=hunter2!x", "use 'hunter2!x'"),
        ("6f1c2d34-9a5b-4c7e-8f01-23456789abcd", "6F1C2D349A5B4C7E8F0123456789ABCD"),
    ] {
        let item = format!("In the file of the customer we keep {there} and nothing else of any importance.");
        let key = key();
        let mut index = Index::default();
        index.add(0, &sketch(&key, &item));
        for (text, view) in [(format!("hello: {here}"), View::Plain), (STANDARD.encode(format!("hello: {here}")), View::Base64)] {
            let found = index.search(&key, &[&text]);
            assert!(
                found.hits().any(|(kind, how, items)| kind == Kind::Token && how == view && items == [0]),
                "{there} {here} {view:?}"
            );
        }
    }
}

#[test]
fn another_value_of_the_same_shape_is_not_found() {
    for (there, here) in [
        ("DE89370400440532013000", "DE89370400440532013001"),
        ("078-05-1120", "078-05-1121"),
        ("ana@example.com", "bo@example.com"),
        ("99887766", "998877665"),
    ] {
        assert_eq!(found(&[&format!("In the file of the customer: {there} and nothing else.")], &[here]), [], "{there} {here}");
    }
}

#[test]
fn a_short_item_is_found_whole() {
    assert_eq!(found(&["Budget: 4.2 M"], &["so the budget:4.2m it is"]), [(0, Kind::Whole, View::Plain)]);
    assert_eq!(found(&["Budget: 4.2 M"], &["so the budget: 4.3 M it is"]), []);
    assert_eq!(found(&["Budget: 4.2 M"], &["so the bud", "get: 4.2 M it is"]), [(0, Kind::Whole, View::Plain)]);
}

// --- views, evidence and bounds ----------------------------------------------------------------------------------------------

#[test]
fn an_encoded_item_is_found_decoded() {
    assert!(is_found(&format!("attachment: {}", STANDARD.encode(PLAN)), &[PLAN]));
    assert!(is_found(&format!("dump {}", encode(Code::HexLower, PLAN)), &[PLAN]));
}

#[test]
fn the_view_is_reported() {
    for (code, view) in [
        (Code::Plain, View::Plain),
        (Code::Base64, View::Base64),
        (Code::HexLower, View::Hex),
        (Code::PercentAll, View::Url),
        (Code::JsonAll, View::Json),
    ] {
        assert_eq!(found(&[PLAN], &[&encode(code, PLAN)]), [(0, Kind::Copy, view)]);
    }
}

#[test]
fn three_layers_are_taken_off() {
    let text = encode(Code::Base64, &encode(Code::HexLower, &encode(Code::Base64Url, PLAN)));
    assert!(is_found(PLAN, &[&text]));
}

#[test]
fn evidence_in_several_items_names_them_all_and_a_release_drops_it() {
    let key = key();
    let mut index = Index::default();
    for item in [7, 3, 5] {
        index.add(item, &sketch(&key, PLAN));
    }
    index.add(9, &sketch(&key, "something else that is long enough to be an item of its own"));
    let found = index.search(&key, &[PLAN]);
    assert!(found.hits().all(|(_, _, items)| items == [3, 5, 7]));
    assert_eq!(found.items().iter().map(|(item, _)| *item).collect::<Vec<_>>(), [3, 5, 7]);
    assert_eq!(found.items_unless(|item| item == 5), []);
}

#[test]
fn a_search_that_hits_its_bound_says_so() {
    let key = key();
    let mut index = Index::default();
    index.add(1, &sketch(&key, PLAN));
    let long = "! ".repeat(VIEW_BYTES_MAX / 2 + 1);
    assert!(index.search(&key, &[&long]).truncated);
    let parts = vec!["abcdefgh"; 10_000];
    assert!(!index.search(&key, &parts).truncated);
    assert!(!Index::default().search(&key, &[&long]).truncated, "nothing was read, so nothing can be missed");
}

#[test]
fn an_item_that_is_too_long_makes_every_search_truncated() {
    let key = key();
    let mut index = Index::default();
    let sketch = sketch(&key, &"! ".repeat(ITEM_BYTES_MAX));
    assert!(sketch.is_partial());
    index.add(1, &sketch);
    assert!(index.search(&key, &["hello"]).truncated);
}

// --- sketches ----------------------------------------------------------------------------------------------------------------

#[test]
fn a_sketch_is_frozen_by_key_and_text() {
    let text = "Account DE89 3704 0044 0532 0130 00 of Ana Silva is closed.";
    insta::assert_snapshot!(serde_json::to_string(&sketch(&key(), text)).unwrap(), @r#"{"copies":"l9rl0J0MnRiIfwW6p1wuOGDlK6OiD20/frVryn4lJJZPn5E3S2O3r4TvbhzzTdivCPUhUk1O27k","tokens":"Weizf8NVpA8yQxPZ4zOJ+Q","words":"lQPOEQW6sBPISnlUOpu6aXgrsXeFcgen3pzVtTHsULgoxuvFIKm+0I+KN+Fg4W7y"}"#);
    insta::assert_snapshot!(serde_json::to_string(&sketch(&key(), "Budget: 4.2 M")).unwrap(), @r#"{"words":"V1iPZBo5tXHPTZGx","whole":{"chars":11,"head":23897,"hash":7638188108267742428}}"#);
}

#[test]
fn a_sketch_survives_json() {
    let before = sketch(&key(), PLAN);
    let after: Sketch = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    assert_eq!(before, after);
    assert!(serde_json::from_str::<Sketch>(r#"{"copies":"AAAA"}"#).is_err());
}

#[test]
fn sketches_of_another_key_share_nothing() {
    let other = ContentKey::new([7; 16]);
    let mut index = Index::default();
    index.add(0, &sketch(&other, PLAN));
    assert!(index.search(&key(), &[PLAN]).is_empty());
    let (ours, theirs): (BTreeSet<u64>, BTreeSet<u64>) =
        (sketch(&key(), PLAN).copies.into_iter().collect(), sketch(&other, PLAN).copies.into_iter().collect());
    assert!(ours.is_disjoint(&theirs));
}

#[test]
fn debug_shows_neither_key_nor_content() {
    let key = key();
    assert!(!format!("{key:?}").contains("0123"));
    assert_eq!(format!("{:?}", sketch(&key, "Budget: 4.2 M")), "Sketch { copies: 0, tokens: 0, whole: true, partial: false }");
}

// --- credentials -------------------------------------------------------------------------------------------------------------

/// Whether a credential of `item` is found in `outgoing`.
fn is_used(item: &str, outgoing: &[&str]) -> bool {
    let mut index = Index::default();
    index.add(3, &sketch(&key(), item));
    let found = index.secrets(&key(), outgoing);
    assert!(!found.truncated && found.found.values().all(|items| items == &[3]));
    !found.found.is_empty()
}

const TOKEN: &str = "ghp_x7Kq2LmN9pR4sT6vW8yZ1aB3cD5eF7gH9jK0";

#[test]
fn a_credential_that_was_read_is_found_wherever_it_stands_whole() {
    let item = format!("how to set up staging; token: {TOKEN}.");
    let outgoing = [
        TOKEN.to_owned(),
        format!("Authorization: Bearer {TOKEN}"),
        format!("curl -H 'Authorization: token {TOKEN}' https://api.example/x"),
        format!("https://bot:{TOKEN}@git.example/repo.git"),
        format!("https://api.example/?access_token={TOKEN}&page=2"),
        format!(r#"{{"headers": {{"x-key": "{TOKEN}"}}}}"#),
        format!("export GITHUB_TOKEN={TOKEN}; deploy"),
        STANDARD.encode(format!("bot:{TOKEN}")),
        STANDARD.encode(STANDARD.encode(TOKEN)),
        TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for outgoing in &outgoing {
        assert!(is_used(&item, &["something else", outgoing]), "{outgoing}");
    }
    for outgoing in [&TOKEN[..30], &TOKEN.to_uppercase(), "ghp_x7Kq2LmN9pR4sT6vW8yZ1aB3cD5eF7gH9jK1", "token"] {
        assert!(!is_used(&item, &[outgoing]), "{outgoing}");
    }
    assert!(!Index::default().has_secrets());
}

#[test]
fn credentials_are_remembered_by_their_shape_or_by_their_name() {
    let lines = [
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
        "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu",
    ];
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", lines.join("\n"));
    assert!(is_used(&pem, &[&pem]) && is_used(&pem, &[lines[1]]) && is_used(&pem, &[&pem.replace('\n', "\\n")]));
    assert!(is_used(&pem.replace('\n', "\\n"), &[&pem]));
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    for (item, secret) in [
        (format!("log: sent Bearer {jwt} to the api"), jwt),
        ("Authorization: Bearer 9f8e7d6c5b4a39281706".to_owned(), "9f8e7d6c5b4a39281706"),
        ("aws id AKIAIOSFODNN7EXAMPLE".to_owned(), "AKIAIOSFODNN7EXAMPLE"),
        ("db.password = \"Tr0ub4dor&3xyz\"".to_owned(), "Tr0ub4dor"),
        ("the admin password is xK9-mm.Q7z, as always".to_owned(), "xK9-mm.Q7z"),
        ("user\nbo\npassword\nxK9-mm.Q7z\nrole\nadmin".to_owned(), "xK9-mm.Q7z"),
        ("RAILWAY_TOKEN=0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".to_owned(), "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"),
        (r#"{"client_secret":"GOCSPX-aB3dE5fG7hI9"}"#.to_owned(), "GOCSPX-aB3dE5fG7hI9"),
        ("apiKey\nQ7z.mm-xK9!w".to_owned(), "Q7z.mm-xK9!w"),
    ] {
        assert!(is_used(&item, &[secret]), "{item}");
    }
}

#[test]
fn ids_hashes_and_pages_are_no_credentials() {
    for (item, outgoing) in [
        ("id: 550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
        (
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("nextPageToken\nCAUQAhoMCJbX7LkGEPjI3", "CAUQAhoMCJbX7LkGEPjI3"),
        (r#""next_page_token": "CAUQAhoMCJbX7LkGEPjI3""#, "CAUQAhoMCJbX7LkGEPjI3"),
        ("PAGE_TOKEN=CAUQAhoMCJbX7LkGEPjI3", "CAUQAhoMCJbX7LkGEPjI3"),
        ("file_token: doxcnA1b2C3d4E5f6", "doxcnA1b2C3d4E5f6"),
        ("token: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"),
        ("key: PROJ-12345", "PROJ-12345"),
        ("account DE89370400440532013000", "DE89370400440532013000"),
        ("password: changeme", "changeme"),
        ("the password is at the reception", "reception"),
        ("password_hash: 9f8e7d6c5b4a39281706", "9f8e7d6c5b4a39281706"),
        ("SSH_PUBLIC_KEY=AAAAC3NzaC1lZDI1NTE5AAAAIB0", "AAAAC3NzaC1lZDI1NTE5AAAAIB0"),
        ("secret meeting: room-B12.4", "room-B12.4"),
        ("ETag: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"", "33a64df551425fcc55e4d42a148795d9f25f89d4"),
    ] {
        assert!(!is_used(item, &[outgoing]), "{item}");
    }
}

#[test]
fn credentials_are_known_by_their_shape() {
    let body = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0";
    for (text, kind) in [
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE".to_owned(), "private key"),
        ("id AKIAIOSFODNN7EXAMPLE".to_owned(), "aws access key id"),
        (format!("ghp_{body}"), "github token"),
        (format!("github_pat_{body}"), "github token"),
        (format!("xoxb-{body}"), "slack token"),
        (format!("sk-proj-{body}"), "model provider key"),
        (format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{body}"), "json web token"),
        ("db_password=Tr0ub4dor&3xyz".to_owned(), "password or key"),
        (r#""api_key": "9f8e7d6c5b4a39281706""#.to_owned(), "password or key"),
    ] {
        assert_eq!(secret_shapes(&text), [kind], "{text}");
    }
    for text in
        ["the password: ask Bo", "password = ********", "a token: see below", "sk-learn is a library", "token=placeholder", PLAN]
    {
        assert_eq!(secret_shapes(text), [""; 0], "{text}");
    }
}
