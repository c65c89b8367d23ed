//! What the format speaks of and the judge cannot say yet. This file shrinks with every issue, and ends empty.
//!
//! Whether a norm exists is asked of the policies in force, so that a norm that arrives is judged without a change here.

use crate::report::{Expected, Found};
use crate::step::ActStep;
use judge::name::NormId;
use std::collections::BTreeSet;

/// Norms that are announced and not shipped. Any other norm that is expected and not in force is a difference.
const NORMS_TO_COME: [&str; 1] = ["tempo"];
/// Codes of refusals that nothing raises yet.
const CODES_TO_COME: [&str; 2] = ["delegation", "frozen"];

/// Why this act cannot be compared with what is expected of it, if so.
pub(crate) fn of_act(
    act: &ActStep,
    expected: &Expected,
    in_force: &BTreeSet<NormId>,
    agent_lease_lapsed: bool,
) -> Option<String> {
    if act.other_key {
        return Some("a token that is bound to a key".to_owned());
    }
    if agent_lease_lapsed && expected.norms.contains("lease") {
        return Some("the lease of an agent's registration".to_owned());
    }
    let missing = |word: &&&str| expected.norms.contains(**word) && !in_force.iter().any(|norm| norm.as_str() == **word);
    if let Some(norm) = NORMS_TO_COME.iter().find(missing) {
        return Some(format!("norm {norm}"));
    }
    if let Some(code) = CODES_TO_COME.iter().find(missing) {
        return Some(format!("code {code}"));
    }
    (expected.frozen == Some(true)).then(|| "the freeze of a task".to_owned())
}

/// Why what was found cannot be compared to the end, if so: the answer does not depend on these, so it is compared first.
pub(crate) fn of_found(expected: &Expected, found: &Found) -> Option<String> {
    if expected.at_most.is_some_and(|most| found.permits > most) && expected.norms.is_empty() {
        return Some("budgets and rates".to_owned());
    }
    None
}
