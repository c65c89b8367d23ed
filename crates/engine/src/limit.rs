//! What has to be done when an act goes through, and where that is not possible: nothing goes through (semantics §8).

use judge::act::Act;
use judge::decide::{AskStanding, Ruling, decide};
use judge::decision::{Code, Ground, Obligation, Outcome, Reason};
use judge::moment::Moment;
use judge::state::State;
use judge::task::Caller;
use std::borrow::Cow;

/// The same call for at most so many items; nothing where it cannot be cut down to that.
pub type CutDown<'a> = &'a (dyn Fn(u64) -> Option<Act> + Sync);

/// Decides an act, or what it is cut down to where a norm limits it. Both are decided whole: the act that comes back is the one that the ruling is about.
pub(crate) fn decide_within<'a>(
    state: &State,
    caller: &Caller,
    act: &'a Act,
    now: Moment,
    cut_down: CutDown<'_>,
) -> (Ruling, Cow<'a, Act>) {
    let ruling = decide(state, caller, act, now);
    if let Some(why) = uncarried(&ruling) {
        return (refused(ruling, why), Cow::Borrowed(act));
    }
    let Some(limit) = excess(&ruling, act) else { return (ruling, Cow::Borrowed(act)) };
    let cut = cut_down(limit).map(|cut| (decide(state, caller, &cut, now), cut));
    match cut {
        Some((mut cut_ruling, cut)) if excess(&cut_ruling, &cut).is_none() && uncarried(&cut_ruling).is_none() => {
            // Of the smaller act the norm says nothing any more; the record says why it is smaller.
            cut_ruling.decision.obligations.extend(ruling.decision.obligations);
            cut_ruling.decision.limit = Some(limit);
            (cut_ruling, Cow::Owned(cut))
        }
        Some(_) | None => {
            let sentence =
                format!("this would read more than the {limit} items that are allowed now, and cannot be cut down to them");
            (refused(ruling, because(sentence, "ask for fewer at a time")), Cow::Borrowed(act))
        }
    }
}

/// How many items it may read, where it would go through and read more.
fn excess(ruling: &Ruling, act: &Act) -> Option<u64> {
    let goes = ruling.decision.outcome == Outcome::Permit;
    ruling.decision.limit.filter(|limit| goes && act.items() > *limit)
}

/// Results are redacted item by item, when they are there (`observe`): nobody does that to a whole act.
fn uncarried(ruling: &Ruling) -> Option<Reason> {
    if ruling.decision.outcome != Outcome::Permit {
        return None;
    }
    let found = ruling.decision.obligations.iter().find(|obligation| match obligation {
        Obligation::Redact(_) | Obligation::Mask(_) => true,
        Obligation::Limit(_) | Obligation::Notify(_) => false,
    })?;
    let sentence = format!("this is allowed only with the obligation `{}`, which nobody can carry out on a call", found.word());
    Some(because(sentence, "the operator names the action `observe` in that norm"))
}

fn because(sentence: String, remedy: &str) -> Reason {
    Reason {
        ground: Ground::Code(Code::Obligation),
        outcome: Outcome::Deny,
        sentence,
        remedy: Some(remedy.to_owned()),
        approver: None,
    }
}

fn refused(mut ruling: Ruling, why: Reason) -> Ruling {
    ruling.decision.outcome = Outcome::Deny;
    ruling.decision.reasons.insert(0, why);
    ruling.ask = AskStanding::None;
    ruling.made = None;
    ruling
}
