//! What is fast, much, or unlike before about an act: read off counters, never computed by going through what happened.

use crate::act::{Act, reads_of};
use crate::effect::Effect;
use crate::facts::TempoFacts;
use crate::moment::Moment;
use crate::name::TaskId;
use crate::state::{Actor, State, TaskState, Touched, tempo_print};
use crate::task::{Caller, Quantity};
use crate::tempo::{History, Measures, Pace};

/// Facts about the tempo of `act`, which moves `measures`, with it counted.
pub(crate) fn facts(
    state: &State,
    caller: &Caller,
    id: &TaskId,
    task: &TaskState,
    act: &Act,
    measures: Measures,
    moment: Moment,
) -> TempoFacts {
    let mut facts = TempoFacts::default();
    let recipients: Vec<u64> = act.recipients.iter().map(|name| tempo_print("recipient", name)).collect();
    facts.reads = act.reads.unwrap_or_default();
    budget(state, id, act, &recipients, &mut facts);
    let root = state.line_of(id).last().unwrap_or(task);
    let destroys = act.effects.contains(&Effect::Destroy) || act.effects.contains(&Effect::Spend);
    let irreversible = if destroys { reads_of(&act.resources) } else { 0 };
    facts.recipients = root.tempo.recipients_with(&recipients);
    facts.irreversible = root.tempo.irreversible(moment) + irreversible;
    facts.denials = root.tempo.denials(moment);
    facts.subtasks = root.subtasks;
    facts.half_open = root.tempo.resets > 0;
    pace(state, caller, act, measures, moment, &mut facts);
    facts
}

/// Whether this would be more than is left. Money is not looked at here: spending more is asked about, and stops nothing else.
fn budget(state: &State, id: &TaskId, act: &Act, recipients: &[u64], facts: &mut TempoFacts) {
    for what in [Quantity::Calls, Quantity::Items, Quantity::Recipients] {
        let Some(left) = state.budget_left(id, what) else { continue };
        let more = match what {
            Quantity::Calls => 1,
            Quantity::Items => act.items(),
            Quantity::Recipients => state.new_recipients(id, recipients),
            Quantity::Amount => 0,
        };
        if more <= left {
            continue;
        }
        // Fewer items help only where nothing else is used up.
        let fewer_fit = what == Quantity::Items && act.reads.is_some() && !facts.over_budget;
        facts.items_left = if fewer_fit { left } else { 0 };
        facts.over_budget = true;
        facts.budget = what.word().to_owned();
    }
}

/// The pace of the effect, and of the agent or owner, that is furthest from what is usual.
fn pace(state: &State, caller: &Caller, act: &Act, measures: Measures, moment: Moment, facts: &mut TempoFacts) {
    let agents = caller.chain.get(1..).unwrap_or_default();
    let records = || agents.iter().filter_map(|agent| state.directory().agent(agent.as_str()));
    let owner = records().next().map(|agent| agent.owner.clone());
    let actors = agents.iter().cloned().map(Actor::Agent).chain(owner.map(Actor::Owner));
    let touched = Touched::new(&act.tool, &act.resources, &act.recipients);
    let more = reads_of(&act.resources);
    let mut furthest: Option<(Pace, Effect, Actor)> = None;
    for actor in actors {
        let history = state.history(&actor);
        // What different agents do together means something once there are days enough.
        if matches!(actor, Actor::Owner(_)) && !history.is_some_and(History::is_seasoned) {
            continue;
        }
        let usual = match &actor {
            Actor::Agent(agent) => state.directory().agent(agent.as_str()).map(|agent| &agent.registration.usual),
            Actor::Owner(_) => None,
        };
        if let (Actor::Agent(agent), Some(history)) = (&actor, history)
            && Some(agent) == agents.last()
        {
            facts.new_tool = history.is_new(touched.tool);
            facts.new_region = touched.regions.iter().any(|region| history.is_new(*region));
            facts.new_domain = touched.domains.iter().any(|domain| history.is_new(*domain));
            facts.new_items = history.new_items(moment);
            facts.new_kind_items = history.new_kind_items(moment);
            facts.off_hours = history.is_off_hours(moment);
            facts.off_hours_items = history.off_hours(moment, more);
            facts.usual_day = history.usual_day();
            let new_domains = touched.domains.iter().filter(|domain| history.is_new(**domain)).count() as u64;
            (facts.new_domains, facts.usual_new_domains) = history.new_domains(moment, new_domains);
        }
        if let Some(history) = history {
            let (kilobytes, kilobytes_ratio) = history.volume(moment, measures.volume);
            if measures.volume > 0 && kilobytes_ratio >= facts.kilobytes_ratio {
                (facts.kilobytes, facts.kilobytes_ratio) = (kilobytes, kilobytes_ratio);
            }
            let (spent, spent_ratio) = history.spent(moment, measures.spent);
            if measures.spent > 0 && spent_ratio >= facts.spent_ratio {
                (facts.spent, facts.spent_ratio) = (spent, spent_ratio);
            }
        }
        for effect in act.effects.iter().copied().filter(|effect| *effect != Effect::Compute) {
            let stated = usual.and_then(|usual| usual.get(&effect)).copied();
            let pace = match history {
                Some(history) => history.pace(moment, effect, more, stated),
                None => History::default().pace(moment, effect, more, stated),
            };
            if let (Actor::Owner(_), true) = (&actor, pace.seasoned && pace.hour_ratio >= facts.owner_hour_ratio) {
                (facts.owner_hour, facts.owner_hour_ratio) = (pace.counts.hour, pace.hour_ratio);
            }
            if furthest.as_ref().is_none_or(|(other, ..)| further(&pace) > further(other)) {
                furthest = Some((pace, effect, actor.clone()));
            }
        }
    }
    let Some((pace, effect, actor)) = furthest else { return };
    if let (Effect::Read, Some(reads), Some(usual), true) = (effect, act.reads, pace.usual, pace.seasoned) {
        let envelope = usual.saturating_mul(PAGE_RATIO).max(PAGE_MIN);
        if reads > envelope {
            facts.pace_left = envelope.saturating_sub(pace.counts.minute.saturating_sub(more)).max(1);
        }
    }
    facts.known = pace.usual.is_some();
    facts.seasoned = pace.seasoned;
    facts.stated = pace.stated;
    facts.effect = effect.word().to_owned();
    facts.whose = match actor {
        Actor::Agent(agent) => agent.to_string(),
        Actor::Owner(person) => format!("the agents of {person}"),
    };
    facts.usual = pace.usual.unwrap_or_default();
    facts.minute = pace.counts.minute;
    facts.minute_ratio = pace.minute_ratio;
    facts.ten_minutes = pace.counts.ten_minutes;
    facts.ten_minutes_ratio = pace.ten_minutes_ratio;
    facts.hour = pace.counts.hour;
    facts.hour_ratio = pace.hour_ratio;
    facts.day = pace.counts.day;
    facts.day_ratio = pace.day_ratio;
    facts.week = pace.counts.week;
    facts.week_ratio = pace.week_ratio;
}

/// How many times what is usual in a busy hour one call may read, and how much it may read in any case.
const PAGE_RATIO: u64 = 3;
const PAGE_MIN: u64 = 60;

/// How far a pace is from what is usual: the largest of its ratios, then the count.
fn further(pace: &Pace) -> (u64, u64) {
    let ratios = [pace.minute_ratio, pace.ten_minutes_ratio, pace.hour_ratio, pace.day_ratio, pace.week_ratio];
    (ratios.into_iter().max().unwrap_or_default(), pace.counts.hour)
}
