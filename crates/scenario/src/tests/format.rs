//! The format: what is read, what is refused and with which words.

use super::*;

const WORLD: &str = r#"
world:
  people: [bo, ann]
  agents: [{id: helper, owner: bo}]
  items: [{id: "note:1", readers: [bo], content: "a text that is long enough to be told apart"}]
  destinations: [{id: "chat:all", audience: [bo, ann]}]
  grants: [{to: bo, may: [read, publish, widen, send], on: ["*"]}, {to: helper, may: [read, publish, widen, send], on: ["*"]}]
tasks: [{id: t1, requester: bo, agent: helper, purpose: work, lease: 1h}]
"#;

fn with_steps(steps: &str) -> String {
    format!("scenario: test\n{}steps:\n{steps}\n", WORLD.trim_start())
}

#[track_caller]
fn errors_of(text: &str) -> String {
    let errors = parse("bad.yaml", text).expect_err("it is no scenario");
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn the_example_of_the_format_is_read_and_run() {
    let example = r#"
scenario: forum-post            # id
about: one sentence
source: where this was reported
tags: [ASI09]                   # OWASP agentic top 10 / MITRE ATLAS ids
world:
  people:                       # ids; attributes are optional
    - bo
    - {id: dee, clearance: restricted, categories: [user-data], status: active}     # status: active | left
  groups: {eng-all: [bo, "@storage-oncall", ann], storage-oncall: [cy, bo]}         # nesting with @
  agents: [{id: helper, owner: bo, purpose: engineering help, lease: 30d}]
  items:
    - {id: "runbook:acl", readers: ["@storage-oncall"], classification: internal, categories: [], purposes: [engineering],
       integrity: trusted, owner: cy, content: "to open a dataset, add the group to …"}
  destinations:                 # whatever makes data visible; audience may also be [public] or ["external:example.com"]
    - {id: "forum:eng-help", audience: ["@eng-all"], owner: ann, known: true}
  grants:                       # what plain access control allows; every principal of a chain needs its own
    - {to: bo, may: [read, publish], on: ["*"]}
    - {to: helper, may: [read, publish], on: ["runbook:*", "forum:*"]}
    - {to: cy, may: [widen], on: ["dataset:*"]}
tasks:
  - {id: t1, requester: bo, agent: helper, purpose: engineering, words: "look at the thread and tell me what to do", address: [bo],
     effects: [read], resources: ["runbook:*"], budget: {calls: 50, items: 500, recipients: 5, amount: 100}, lease: 15m}
steps:                          # in order, numbered from 1; `as` is the chain, outermost first
  - {at: 0s, as: [bo, helper], task: t1, do: read, on: ["runbook:acl"], expect: permit}
  - {at: 4s, as: [bo, helper], task: t1, do: publish, on: ["forum:eng-help"], content: "add the group to …",
     expect: {decision: ask, norms: [address, readers, scope-edge]}}
  - {at: 9s, as: [cy], do: widen, on: ["dataset:users"], change: {add_readers: ["@eng-all"]}, because: step 2,
     expect: {decision: ask, norms: [widen, advice], uncleared_pairs: 3}}
"#;
    let report = report_of(example, &Options::default());
    assert_eq!((report.passed().count(), report.failed().count()), (3, 0), "{report}");
    assert_eq!(report.notes.len(), 2, "ann and cy are only mentioned");
}

#[test]
fn every_key_of_the_format_is_read() {
    let text = with_steps(
        r#"
  - {at: 0s, event: {join: {member: ann, group: "chat:all"}}}
  - {at: 0s, event: {leave: {member: ann, group: "chat:all"}}}
  - {at: 1s, as: [bo, helper], task: t1, do: read, on: ["note:1"], repeat: {times: 3, every: 10s}, expect: {decision: permit, at_most: 3, obligations: []}}
  - {at: 1m, as: [bo, helper], task: t1, do: publish, on: ["chat:all"], content: x, values: {recipient: ann, amount: 3, event: true}, amount: 3}
  - {at: 2m, as: [bo, helper], task: t1, delegate: {to: helper, task: t2, effects: [read], resources: ["note:*"], lease: 5m, isolated: true}}
  - {at: 3m, as: [bo, helper, helper], task: t2, do: read, on: ["note:1"]}
  - {at: 4m, as: [bo, helper], task: t1, token: {key: other}, do: read, on: ["note:1"], expect: {decision: deny, norms: [lease], alarm: true}}
  - {at: 5m, as: [bo], do: widen, on: ["chat:all"], join: {person: ann, group: "chat:all"}, because: step 4, expect: {decision: ask, norms: [widen, advice], uncleared_pairs: 1}}
  - {at: 6m, as: [bo, helper], task: t1, do: publish, on: ["chat:all"], content: x}
  - {at: 7m, deny: {by: helper, step: 8}, expect: deny}
  - {at: 8m, as: [bo, helper], task: t1, do: read, on: ["note:1"], repeat: {times: 200, every: 10ms}, expect: {decision: deny, norms: [tempo, frozen], frozen: true, at_most: 150}}
  - {at: 9m, kill: t1}
  - {at: 10m, as: [bo, helper], task: t1, do: read, on: ["note:1"], expect: deny}
  - {at: 11m, event: {left: bo}}"#,
    )
    .replace("tasks:", "  baseline: [{agent: helper, effect: read, per_hour: 40}]\ntasks:");
    let report = report_of(&text, &Options::default());
    insta::assert_snapshot!(report);
}

#[test]
fn a_right_answer_for_a_wrong_reason_fails() {
    let step = |expect: &str| {
        let text = with_steps(&format!(
            "  - {{at: 0s, as: [bo, helper], task: t1, do: publish, on: [\"chat:all\"], content: x, expect: {expect}}}"
        ));
        report_of(&text, &Options::default()).failed().count()
    };
    assert_eq!(step("{decision: ask, norms: [address]}"), 0);
    assert_eq!(step("{decision: ask, norms: [readers]}"), 1);
    assert_eq!(step("{decision: ask, norms: [adress]}"), 1, "a norm that is nowhere is a difference, not something to come");
    assert_eq!(step("{decision: deny, norms: [address]}"), 1);
    assert_eq!(step("permit"), 1);
    assert_eq!(step("ask"), 0);
}

#[test]
fn an_answer_to_what_nobody_asked_fails_whatever_is_expected() {
    for expect in ["permit", "deny"] {
        let text = with_steps(&format!(
            "  - {{at: 0s, as: [bo, helper], task: t1, do: read, on: [\"note:1\"]}}\n  - {{at: 1s, approve: {{by: ann, step: 1}}, expect: {expect}}}"
        ));
        let report = report_of(&text, &Options::default());
        assert_eq!(report.failed().count(), 1, "{report}");
    }
}

#[test]
fn a_withheld_item_is_a_difference_unless_it_is_expected() {
    let text = |expect: &str| {
        with_steps(&format!(
            "  - {{at: 0s, as: [bo, helper], task: t1, do: read, on: [\"note:1\", \"note:2\"], expect: {expect}}}"
        ))
        .replace("  destinations:", "    # of somebody else\n  destinations:")
        .replace("told apart\"}]", "told apart\"}, {id: \"note:2\", readers: [ann]}]")
    };
    holds(&text("{decision: permit, norms: [stumble], withheld: [\"note:2\"]}"));
    for wrong in ["permit", "{decision: permit, withheld: []}", "{decision: permit, withheld: [\"note:1\", \"note:2\"]}"] {
        assert_eq!(report_of(&text(wrong), &Options::default()).failed().count(), 1, "{wrong}");
    }
}

#[test]
fn bad_norms_stop_the_run_with_their_place() {
    let scenario = parse("test.yaml", &with_steps("  - {at: 0s, as: [bo], do: read, on: [\"note:1\"]}")).expect("a scenario");
    let mut norms = PolicySources::shipped();
    norms.norms.push(judge::policy::Source { name: "own/mine.cedar".to_owned(), text: "forbid (principal, action".to_owned() });
    let error = run(&scenario, &Options { norms, baseline: false }).expect_err("it is no norm");
    assert!(error.to_string().contains("own/mine.cedar"), "{error}");
}

#[test]
fn a_report_is_plain_data() {
    let text = with_steps("  - {at: 0s, as: [bo, helper], task: t1, do: publish, on: [\"chat:all\"], content: x, expect: ask}");
    insta::assert_snapshot!(serde_json::to_string_pretty(&report_of(&text, &Options::default())).expect("plain data"));
}

#[test]
fn names_and_times_that_do_not_fit_are_all_reported_with_their_lines() {
    let text = r#"scenario: bad
world:
  people: [bo, bo, {id: cy, clearance: restricted}]
  groups:
    a: ["@b"]
    b: ["@a"]
  agents: [{id: helper, owner: bo, lease: soon}]
  items:
    - {id: "note:*x", readers: ["@nobody"]}
  destinations:
    - {id: "chat:all", audience: [whoever]}
  grants:
    - {to: "@none", may: [read], on: ["*"]}
  baseline: [{agent: ghost, effect: read, per_hour: 0}]
tasks:
  - {id: t1, requester: bo, agent: bo, lease: 2y, address: [nowhere]}
  - {id: t1, requester: bo, agent: helper, resources: ["a*b"]}
steps:
  - {at: 5s, as: [bo], do: read, on: ["note:1"]}
  - {at: 4s, as: [bo], task: t9, do: read, on: ["note:1"]}
  - {at: 6s, do: read, on: ["note:1"]}
  - {at: 6s, as: [bo], do: read, on: ["note:1"], kill: t1}
  - {at: 6s, approve: {by: cy, step: 9}}
  - {at: 6s, as: [bo], do: read, on: ["note:1"], change: {add_readers: [bo]}}
  - {at: 6s, as: [bo], do: read, on: ["note:1"], expect: perhaps}
  - {at: 6s, as: [bo], do: read, on: ["note:1"], repeat: {times: 0}}
  - {at: 6s, event: {join: {member: who, group: what}}}
  - {at: 6s, as: [bo], do: read, on: ["note:1"], token: {key: mine}}
  - {at: 6s, kill: t7}
  - {at: 6s, as: [bo], do: widen, on: ["@a"], join: {person: bo, group: b}}
"#;
    insta::assert_snapshot!(errors_of(text));
}

#[test]
fn files_of_another_shape_are_refused_at_their_line() {
    let step = |step: &str| with_steps(step);
    let files = [
        ("no YAML", "scenario: [".to_owned()),
        ("empty", String::new()),
        ("nothing but a word", "hello".to_owned()),
        ("an unknown key", "scenario: x\nworlds: {}\nsteps: []\n".to_owned()),
        (
            "an unknown key deep inside",
            step("  - {at: 0s, as: [bo], do: read, on: [\"note:1\"], expect: {decision: deny, norm: [readers]}}"),
        ),
        (
            "an unknown key of a person",
            "scenario: x\nworld:\n  people:\n    - bo\n    - {id: dee, level: high}\nsteps: []\n".to_owned(),
        ),
        ("an unknown effect", step("  - {at: 0s, as: [bo], do: reed, on: [\"note:1\"]}")),
        ("the same key twice", step("  - {at: 0s, at: 1s, as: [bo], do: read, on: [\"note:1\"]}")),
        ("no moment", step("  - {as: [bo], do: read, on: [\"note:1\"]}")),
        ("an event of another kind", step("  - {at: 0s, event: {marry: ann}}")),
        ("a negative amount", step("  - {at: 0s, as: [bo], do: spend, amount: -4}")),
        ("no steps", format!("scenario: x\n{}steps: []\n", WORLD.trim_start())),
        ("two documents", format!("{}---\nscenario: y\n", step("  - {at: 0s, as: [bo], do: read, on: [\"note:1\"]}"))),
    ];
    let all: String = files.iter().map(|(what, text)| format!("{what}\n  {}", errors_of(text))).collect();
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_too_much_is_refused() {
    let long = "x".repeat(crate::FILE_BYTES_MAX + 1);
    assert!(errors_of(&long).contains("bytes, at most"));
    let content = with_steps(&format!(
        "  - {{at: 0s, as: [bo], do: read, on: [\"note:1\"], content: {}}}",
        "x".repeat(crate::CONTENT_BYTES_MAX + 1)
    ));
    assert!(errors_of(&content).contains("content of"));
    let often = with_steps("  - {at: 0s, as: [bo], do: read, on: [\"note:1\"], repeat: {times: 100001}}");
    assert!(errors_of(&often).contains("`repeat`"));
    let steps = with_steps(&"  - {at: 0s, as: [bo], do: read, on: [\"note:1\"]}\n".repeat(crate::STEPS_MAX + 1));
    assert!(errors_of(&steps).contains("steps, at most"));
    let name = with_steps(&format!("  - {{at: 0s, as: [bo], do: read, on: [\"{}\"]}}", "n".repeat(600)));
    assert!(errors_of(&name).contains("600 bytes"));
    let bomb = format!("scenario: &a [x, x, x, x, x, x, x, x]\nabout: {}\n", "*a ".repeat(3));
    assert!(!errors_of(&bomb).is_empty());
}

#[test]
fn spans_are_read_with_their_unit() {
    let at =
        |at: &str| parse("test.yaml", &with_steps(&format!("  - {{at: {at}, as: [bo], do: read, on: [\"note:1\"]}}"))).is_ok();
    assert!(["0s", "250ms", "4s", "15m", "1h30m", "30d"].into_iter().all(at));
    assert!(!["", "4", "s", "4 s", "-4s", "1y", "99999999999999999999s", "400d", "s4"].into_iter().any(at));
}

#[test]
fn a_world_by_itself_is_read_as_under_world() {
    let text = "people: [{ id: bo, addresses: [bo@example.com] }]\nagents: [{ id: helper, owner: ann }]\n";
    let (world, notes) = crate::parse_world("world.yaml", text).expect("a world");
    assert_eq!(world.people[0].addresses, ["bo@example.com"]);
    assert_eq!((world.agents.len(), notes.len()), (1, 1), "ann is mentioned, and taken as a person: {notes:?}");
    let errors = crate::parse_world("world.yaml", "steps: []\n").expect_err("a scenario is no world");
    assert_eq!(errors[0].line, 1);
}
