//! Conditions against Cedar itself, which is the twin: what is told must be what Cedar says.

use super::Condition;
use crate::effect::Effect;
use crate::facts::{Facts, Wanted};
use crate::name::PrincipalId;
use crate::policy::{Policies, PolicySources};
use cedar_policy::{Authorizer, Context, Entities, Policy, PolicySet, Request};
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

/// Facts of every type, of which few have the same value twice.
fn facts() -> impl Strategy<Value = Facts> {
    (proptest::collection::vec(0u64..3, 14), any::<[bool; 10]>(), prop_oneof![Just(0), Just(2), Just(u64::MAX)]).prop_map(
        |(counts, flags, many)| {
            let mut facts = Facts::default();
            let words = ["", "engineering", "sales"];
            facts.chain.person = words[counts[0] as usize].to_owned();
            facts.task.purpose = words[counts[1] as usize].to_owned();
            facts.task.address = words[1..].iter().take(counts[2] as usize).map(|&word| word.into()).collect();
            [facts.task.present, facts.task.effect_named, facts.task.resources_named, facts.task.objects_named] =
                [flags[0], flags[1], flags[2], flags[3]];
            [facts.task.amount_within, facts.task.lapsed, facts.task.owners_here] = [flags[4], flags[5], flags[6]];
            [facts.act.governance, facts.act.freeze_window, facts.item.cleared] = [flags[7], flags[8], flags[9]];
            [facts.audience.people, facts.audience.beyond_address] = [many, counts[3]];
            [facts.shown.items, facts.shown.uncleared, facts.shown.purpose_uncovered] = [counts[4], counts[5], counts[6]];
            [facts.possible.items, facts.possible.uncleared, facts.possible.purpose_uncovered] =
                [counts[7], counts[8], counts[9]];
            [facts.reading.items, facts.reading.uncleared] = [counts[10], counts[11]];
            facts.shown.unsearched = counts[12] == 0;
            if counts[13] == 0 {
                facts.shown.classification = crate::label::Classification::Restricted;
            }
            facts
        },
    )
}

fn long() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "0",
        "1",
        "2",
        "-1",
        "context.audience.people",
        "context.shown.uncleared",
        "context.possible.items",
        "context.shown.classification",
    ])
    .prop_map(str::to_owned)
}

/// A condition in Cedar's language; `others` are leaves that are not understood here, or have errors.
fn condition(others: &'static [&'static str]) -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => proptest::sample::select(vec![
            "true",
            "false",
            "context.task.present",
            "context.task.lapsed",
            "principal is Agent",
            "principal is Person",
            "context.task.purpose == \"engineering\"",
            "context.chain.person != context.task.purpose",
            "context.task.address.contains(\"sales\")",
        ]).prop_map(str::to_owned),
        3 => (long(), proptest::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]), long())
            .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        if others.is_empty() { 0 } else { 1 } => proptest::sample::select(if others.is_empty() { &["true"] } else { others }).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) && ({right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) || ({right})")),
            inner.clone().prop_map(|inner| format!("!({inner})")),
            (inner.clone(), inner).prop_map(|(left, right)| format!("({left}) == ({right})")),
        ]
    })
}

const OTHERS: [&str; 7] = [
    "context.task.purpose like \"e*\"",
    "context has task",
    "context.audience.people + 1 > 0",
    "context.audience.people * 3 == 6",
    "if context.task.present then context.task.lapsed else true",
    "context.task.address == context.shown.categories",
    "resource == Resource::\"doc:1\"",
];
const SCOPES: [&str; 5] = [
    "principal, action, resource",
    "principal, action in [Action::\"send\", Action::\"read\"], resource",
    "principal is Agent, action == Action::\"send\", resource",
    "principal == Person::\"bo\", action, resource",
    "principal, action, resource == Resource::\"doc:2\"",
];

/// Whether a policy holds by Cedar; nothing when it has an error.
fn by_cedar(policy: &Policy, facts: &Facts, is_agent: bool) -> Option<bool> {
    let mut everything = Wanted::default();
    everything.add_policy(&json!({"Var": "context"}));
    let context = Context::from_pairs(facts.cedar_context(&everything)).expect("facts are a context");
    let principal = if is_agent { "Agent::\"helper\"" } else { "Person::\"bo\"" };
    let [principal, action, resource] =
        [principal, "Action::\"send\"", "Resource::\"doc:1\""].map(|uid| uid.parse().expect("an entity"));
    let request = Request::new(principal, action, resource, context, None).expect("a request");
    let policies = PolicySet::from_policies([policy.clone()]).expect("one policy");
    let response = Authorizer::new().is_authorized(&request, &policies, &Entities::empty());
    let diagnostics = response.diagnostics();
    diagnostics.errors().next().is_none().then(|| diagnostics.reason().next().is_some())
}

fn condition_of(policy: &Policy) -> Condition<Facts> {
    Condition::of(&policy.to_json().expect("it was parsed"), Facts::find)
}

/// What is shipped, and the same in words that are not understood here.
static TWINS: LazyLock<[Policies; 2]> = LazyLock::new(|| {
    let sources = PolicySources::shipped();
    let mut untold = sources.clone();
    for source in &mut untold.norms {
        source.text = source.text.replace("when { ", "when { context has task && (").replace(" };", ") };");
    }
    [sources, untold].map(|sources| Policies::compile(&sources).expect("they are valid"))
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 100 } else { 4_000 }))]

    #[test]
    fn what_is_told_is_what_cedar_says(
        scope in proptest::sample::select(&SCOPES[..]), when in condition(&OTHERS), unless in proptest::option::of(condition(&OTHERS)),
        facts in facts(), is_agent: bool,
    ) {
        let unless = unless.map(|unless| format!("unless {{ {unless} }}")).unwrap_or_default();
        let text = format!("forbid ({scope}) when {{ {when} }} {unless};");
        let policy = Policy::parse(None, &text).expect("it is a policy");
        if let Some(told) = condition_of(&policy).holds(&facts, is_agent) {
            prop_assert_eq!(by_cedar(&policy, &facts, is_agent), Some(told), "{}", text);
        }
    }

    #[test]
    fn what_is_understood_is_told(when in condition(&[]), facts in facts(), is_agent: bool) {
        let policy = Policy::parse(None, format!("forbid (principal, action, resource) when {{ {when} }};")).expect("it is a policy");
        prop_assert_eq!(condition_of(&policy).holds(&facts, is_agent), by_cedar(&policy, &facts, is_agent), "{}", when);
    }

    #[test]
    fn shipped_norms_find_what_cedar_alone_finds(facts in facts(), is_agent: bool) {
        let [policies, by_cedar] = &*TWINS;
        let caller = PrincipalId::parse("helper").expect("a name");
        for effect in Effect::ALL {
            let [found, by_cedar] = [policies, by_cedar].map(|policies| {
                let mut findings = policies.norms(&caller, is_agent, effect, "doc:1", &facts);
                findings.reasons.sort();
                findings
            });
            prop_assert_eq!(found.reasons, by_cedar.reasons);
            prop_assert_eq!(found.obligations, by_cedar.obligations);
        }
        let [found, by_cedar] = [policies, by_cedar].map(|policies| policies.norms_on_item(&caller, is_agent, "doc:1", &facts));
        prop_assert_eq!(found.obligations, by_cedar.obligations);
    }
}

#[test]
fn shipped_norms_need_no_engine() {
    for source in PolicySources::shipped().norms {
        for policy in source.text.parse::<PolicySet>().expect("it is valid").policies() {
            let condition = Condition { is_open: true, ..condition_of(policy) };
            assert!(condition.holds(&Facts::default(), true).is_some(), "{}", policy.id());
        }
    }
}
