//! Less, and never more.

use super::*;
use proptest::prelude::*;

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn effects_of_a_part_are_among_those_of_the_whole() {
    // Every set over three effects, for the parent, what is asked for, and what the agent is registered for.
    let all = [Effect::Read, Effect::Send, Effect::Destroy];
    let set = |bits: usize| -> Option<BTreeSet<Effect>> {
        (bits < 8).then(|| all.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, effect)| *effect).collect())
    };
    for (parent, asked, most) in
        (0..9_usize).flat_map(|a| (0..9).flat_map(move |b| (0..9).map(move |c| (set(a), set(b), set(c)))))
    {
        let Ok(given) = effects(parent.as_ref(), asked.as_ref(), most.as_ref()) else { continue };
        for bound in [&parent, &most, &asked].into_iter().flatten() {
            assert!(given.as_ref().is_some_and(|given| given.is_subset(bound)), "{given:?} of {parent:?}, {asked:?}, {most:?}");
        }
    }
}

#[test]
fn a_pattern_covers_what_is_narrower() {
    let parent = list(&["note:a*", "file:1"]);
    for narrower in ["note:a*", "note:ab*", "note:abc", "file:1"] {
        assert!(is_covered(&parent, narrower), "{narrower}");
    }
    for wider in ["note:*", "*", "file:1*", "file:2", "note:b"] {
        assert!(!is_covered(&parent, wider), "{wider}");
    }
}

proptest! {
    /// Whatever a part matches, the whole matches.
    #[test]
    fn a_part_matches_nothing_that_the_whole_does_not(
        parent in prop::collection::vec("[ab]{0,3}\\*?", 1..4), asked in prop::collection::vec("[ab]{0,3}\\*?", 1..4), name in "[ab]{0,4}",
    ) {
        if let Ok(Some(given)) = resources(Some(&parent), Some(&asked)) {
            let is_in = |patterns: &[String]| patterns.iter().any(|pattern| pattern::matches(pattern, &name));
            prop_assert!(!is_in(&given) || is_in(&parent));
        }
    }
}
