//! Replaying: how fast a recorded call was, and whether other breakers would have tripped on it. Looks only, and changes no state.

use crate::act::Act;
use crate::effect::Effect;
use crate::event::{Decided, Trip};
use crate::facts::{Facts, TempoFacts};
use crate::gather::tempo_facts;
use crate::moment::Moment;
use crate::policy::Policies;
use crate::state::State;
use crate::tempo::Measures;

/// The tempo of a recorded call, with it counted; `state` is as it was before the call. Nothing for what was done outside of any task.
#[must_use]
pub fn tempo(state: &State, decided: &Decided, at: Moment) -> Option<TempoFacts> {
    let id = decided.caller.task.as_ref()?;
    let task = state.task(id)?;
    let act = &decided.act;
    let measures = Measures::of(&act.effects, act.content_bytes, act.amount);
    let act = Act {
        reads: act.reads,
        recipients: act.recipients.clone(),
        amount: act.amount,
        ..Act::new(act.tool.clone(), act.effects.clone(), act.resources.clone(), act.digest)
    };
    Some(tempo_facts(state, &decided.caller, id, task, &act, measures, at))
}

/// The breaker of these policies that would trip on a recorded call, with what it would say. What else was known of the call is as it was recorded.
#[must_use]
pub fn trip(policies: &Policies, decided: &Decided, tempo: &TempoFacts) -> Option<(Trip, String)> {
    let caller = decided.caller.chain.last()?;
    let resource = decided.act.resources.first().map_or("none", |resource| resource.as_str());
    let facts = Facts { tempo: tempo.clone(), ..decided.decision.facts.clone() };
    let of_effect = |effect: &Effect| {
        let findings = policies.norms(caller, decided.caller.chain.len() > 1, *effect, resource, &facts);
        let trip = findings.trip?;
        let ground = crate::decision::Ground::Norm(trip.norm.clone());
        let said = findings.reasons.into_iter().find(|reason| reason.ground == ground);
        Some((trip, said.map(|reason| reason.sentence).unwrap_or_default()))
    };
    decided.act.effects.iter().filter_map(of_effect).max_by(|one, other| one.0.cmp(&other.0))
}

/// The same call at `tenths` tenths of its tempo: counts and ratios are multiplied, what is usual is not.
#[must_use]
pub fn at_tenths(tempo: &TempoFacts, tenths: u64) -> TempoFacts {
    let scaled = |count: u64| count.saturating_mul(tenths) / 10;
    TempoFacts {
        minute: scaled(tempo.minute),
        minute_ratio: scaled(tempo.minute_ratio),
        ten_minutes: scaled(tempo.ten_minutes),
        ten_minutes_ratio: scaled(tempo.ten_minutes_ratio),
        hour: scaled(tempo.hour),
        hour_ratio: scaled(tempo.hour_ratio),
        day: scaled(tempo.day),
        day_ratio: scaled(tempo.day_ratio),
        week: scaled(tempo.week),
        week_ratio: scaled(tempo.week_ratio),
        owner_hour: scaled(tempo.owner_hour),
        owner_hour_ratio: scaled(tempo.owner_hour_ratio),
        kilobytes: scaled(tempo.kilobytes),
        kilobytes_ratio: scaled(tempo.kilobytes_ratio),
        spent: scaled(tempo.spent),
        spent_ratio: scaled(tempo.spent_ratio),
        recipients: scaled(tempo.recipients),
        irreversible: scaled(tempo.irreversible),
        denials: scaled(tempo.denials),
        new_items: scaled(tempo.new_items),
        new_kind_items: scaled(tempo.new_kind_items),
        new_domains: scaled(tempo.new_domains),
        off_hours_items: scaled(tempo.off_hours_items),
        ..tempo.clone()
    }
}
