//! Claims about proposals and the report.

use super::*;
use judge::content::ContentKey;
use judge::event::{Bundle, Event, Record};
use serde_json::json;

const OPENED: &str = r#"[{"add_readers": {"item": "dataset:<b>users</b>", "readers": ["@all"]}}]"#;

fn state(people: usize) -> State {
    let people: Vec<String> = (0..people).map(|number| format!("p{number}")).collect();
    let records: Vec<Value> = people.iter().map(|id| json!({ "id": id })).collect();
    let directory = serde_json::from_value(json!({
        "people": records,
        "groups": { "all": people },
        "items": [{ "id": "dataset:<b>users</b>", "readers": ["p0"], "classification": "restricted", "owner": "p0" }],
    }));
    let bundle = Bundle { directory: directory.expect("a directory"), ..Bundle::default() };
    let mut state = State::new(ContentKey::new([0; 16]));
    state.apply(&Record::new(Moment(0), Event::Configured(Box::new(bundle))));
    state
}

fn looked_at(state: &State, text: &str) -> (Preview, String) {
    let who = PrincipalId::parse("ann & bo").expect("a name");
    let proposal = Proposal::parse(text.as_bytes()).expect("a proposal");
    let preview = Preview::of(state, &who, &proposal).expect("it can be made");
    let page = preview.html(&who, &proposal, Moment(1_773_219_600_000));
    (preview, page)
}

#[test]
fn a_proposal_is_a_list_or_says_what_it_rests_on() {
    let plain = Proposal::parse(OPENED.as_bytes()).expect("a list");
    let object = format!("\n {{\"changes\": {OPENED}, \"because\": null}}");
    assert_eq!(Proposal::parse(object.as_bytes()), Ok(plain));
    for (bad, expected) in [
        ("", "EOF"),
        (r#"[{"ad_readers": {}}]"#, "ad_readers"),
        (r#"{"change": []}"#, "change"),
        (r#"[{"add_readers": {"item": "x"}}]"#, "readers"),
    ] {
        let error = Proposal::parse(bad.as_bytes()).expect_err(bad);
        assert!(error.contains(expected), "{bad}: {error}");
    }
}

#[test]
fn the_page_says_the_numbers_and_believes_no_name() {
    let (preview, page) = looked_at(&state(10), OPENED);
    assert_eq!((preview.exposure.newcomers, preview.exposure.uncleared_people), (9, 9));
    assert!(page.contains("9 people would newly see 1 item, and 9 are not cleared"));
    assert!(page.contains("dataset:&#60;b&#62;users&#60;/b&#62;") && !page.contains("<b>users"), "names are text");
    assert!(page.contains("ann &#38; bo") && page.contains("2026-03-11T09:00:00Z"));
    assert!(page.contains("default-src 'none'") && !page.contains("<script"), "it runs nothing");
    assert_eq!(page.matches("<circle").count(), 9);
}

#[test]
fn a_picture_of_many_people_stays_small_and_does_not_hide_the_few() {
    let crowd = Crowd::of(100_000, 1);
    assert!(crowd.dots.len() as u64 <= DOTS_MAX);
    assert_eq!(crowd.dots.iter().filter(|dot| !dot.is_cleared).count(), 1);
    assert!(crowd.dots.iter().all(|dot| dot.x < crowd.width && dot.y < crowd.height));
    let all = Crowd::of(1_000, 1_000);
    assert!(all.dots.iter().all(|dot| !dot.is_cleared));
}

#[test]
fn nothing_new_is_said_to_be_nothing() {
    let (preview, page) = looked_at(&state(3), r#"[{"remove_readers": {"item": "dataset:<b>users</b>", "readers": ["p0"]}}]"#);
    assert_eq!(preview.exposure.pairs, 0);
    assert!(page.contains("Nobody would see anything that they cannot see now") && !page.contains("<circle"));
}

#[test]
fn thousands_can_be_read() {
    assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    assert_eq!(grouped(999), "999");
}
