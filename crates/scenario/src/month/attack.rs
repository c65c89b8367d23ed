//! What goes wrong in the month: ten incidents of different kinds, each with the credentials of an agent that does ordinary work beside it, and two
//! that are harder than what is asked for.

use super::work::Kind;
use super::{Call, DAY_MS, HELPERS, HOUR_MS, MINUTE_MS, SECOND_MS};
use judge::effect::Effect;

/// An incident.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it is one of the ten, or beyond them.
    pub(crate) is_beyond: bool,
    pub(crate) calls: Vec<Call>,
}

/// How it is done: so many calls, one every so often, from a moment on.
struct Way<'a> {
    agent: u64,
    day: u64,
    hour: u64,
    calls: u64,
    every_ms: u64,
    effect: Effect,
    region: &'a str,
}

/// The first number that no session of ordinary work has.
const SESSIONS: u64 = 1_000_000_000;

/// All of them; `first` is the number of the first agent of a kind.
pub(crate) fn all(first: impl Fn(Kind) -> u64) -> Vec<Attack> {
    let sales = |n: u64| first(Kind::Sales) + n;
    let crm = |n: u64, area: u64| Kind::Sales.region(sales(n), area);
    let mut attacks = Vec::new();
    let mut add = |name, about, calls: Vec<Call>| attacks.push(Attack { name, about, is_beyond: false, calls });

    let burst = Way { agent: sales(0), day: 16, hour: 11, calls: 5_000, every_ms: 100, effect: Effect::Read, region: &crm(0, 1) };
    add("burst", "a stolen token reads 5,000 accounts, ten a second, in the launch week", plain(&burst));

    let drip = Way {
        agent: sales(1),
        day: 12,
        hour: 0,
        calls: 8_400,
        every_ms: 144 * SECOND_MS,
        effect: Effect::Read,
        region: &crm(1, 2),
    };
    add("slow drip", "25 accounts an hour, day and night, for two weeks", plain(&drip));

    let mails = Way {
        agent: sales(2),
        day: 17,
        hour: 10,
        calls: 400,
        every_ms: 20 * SECOND_MS,
        effect: Effect::Send,
        region: "mail:out",
    };
    add("many recipients", "400 mails to people never written to, fifty a task, three a minute", recipients(&mails));

    let region = Way {
        agent: first(Kind::Support),
        day: 18,
        hour: 9,
        calls: 600,
        every_ms: 45 * SECOND_MS,
        effect: Effect::Read,
        region: "hr:records/people",
    };
    add("new region", "600 records of people, which it may read and never did, at its ordinary pace", plain(&region));

    let night = Way {
        agent: first(Kind::Calendar),
        day: 15,
        hour: 1,
        calls: 400,
        every_ms: 36 * SECOND_MS,
        effect: Effect::Read,
        region: &Kind::Calendar.region(first(Kind::Calendar), 0),
    };
    add("night work", "400 entries at one in the night, a hundred an hour", plain(&night));

    let swarm = Way {
        agent: first(Kind::Coding),
        day: 21,
        hour: 14,
        calls: 1_800,
        every_ms: SECOND_MS / 2,
        effect: Effect::Read,
        region: &Kind::Coding.region(first(Kind::Coding), 1),
    };
    add("sub-agents", "thirty sub-agents, each with sixty reads in a quarter of an hour", sub_agents(&swarm));

    let delete = Way {
        agent: first(Kind::Research),
        day: 22,
        hour: 15,
        calls: 600,
        every_ms: SECOND_MS,
        effect: Effect::Destroy,
        region: &Kind::Research.region(first(Kind::Research), 1),
    };
    add("deletion", "600 pages deleted, one a second", plain(&delete));

    let pay = Way {
        agent: first(Kind::Finance),
        day: 23,
        hour: 11,
        calls: 80,
        every_ms: MINUTE_MS,
        effect: Effect::Spend,
        region: "invoices:book-x/month-0",
    };
    add("small payments", "80 payments, one a minute", plain(&pay));

    let probe = Way {
        agent: first(Kind::Support) + 1,
        day: 24,
        hour: 10,
        calls: 600,
        every_ms: 3 * SECOND_MS,
        effect: Effect::Read,
        region: &Kind::Support.region(first(Kind::Support) + 1, 1),
    };
    add("probing", "300 tries at doors that are shut, and 300 reads where they are open", probing(&probe));

    let owned = [Kind::Support, Kind::Coding, Kind::Sales, Kind::OnCall].into_iter().zip([0, 12, 24, 36]);
    add("one owner", "four agents of one person, each at some three times its ordinary pace, for two hours", one_owner(owned));

    let mut beyond = |name, about, calls: Vec<Call>| attacks.push(Attack { name, about, is_beyond: true, calls });
    let young =
        Way { agent: 50, day: 21, hour: 10, calls: 4_000, every_ms: 200, effect: Effect::Read, region: "crm:accounts/area-x" };
    beyond("new agent", "an agent in its second day reads 4,000 accounts, five a second", plain(&young));
    let patient = Way {
        agent: sales(4),
        day: 14,
        hour: 8,
        calls: 3_000,
        every_ms: 90 * SECOND_MS,
        effect: Effect::Read,
        region: &crm(4, 3),
    };
    beyond(
        "patient thief",
        "forty accounts an hour beside the ordinary ones, in working hours only, for two weeks",
        office_hours(&patient),
    );
    attacks
}

/// What the young agent does before: half a day of ordinary work.
pub(crate) fn before_young() -> Vec<Call> {
    let way = Way {
        agent: 50,
        day: 20,
        hour: 9,
        calls: 60,
        every_ms: 4 * MINUTE_MS,
        effect: Effect::Read,
        region: "crm:accounts/area-x",
    };
    plain(&way).into_iter().map(|call| Call { session: call.session + 500, ..call }).collect()
}

fn plain(way: &Way<'_>) -> Vec<Call> {
    (0..way.calls).map(|turn| call(way, turn, way.day * DAY_MS + way.hour * HOUR_MS + turn * way.every_ms)).collect()
}

fn call(way: &Way<'_>, turn: u64, at_ms: u64) -> Call {
    // A task does not live for days: each day has its own.
    let session = SESSIONS + way.agent * 1_000 + at_ms / DAY_MS;
    let tool = format!("stolen__{}", way.effect.word());
    let resources = vec![format!("{}/x-{turn}", way.region)];
    Call {
        at_ms,
        agent: way.agent,
        helper: None,
        session,
        tool,
        effect: way.effect,
        resources,
        recipients: Vec::new(),
        attack: Some(0),
    }
}

fn recipients(way: &Way<'_>) -> Vec<Call> {
    let turn_of = |call: &Call| call.at_ms.saturating_sub(way.day * DAY_MS + way.hour * HOUR_MS) / way.every_ms;
    let calls = plain(way).into_iter().map(|call| {
        let turn = turn_of(&call);
        let recipients = vec![format!("person-{turn}@nowhere-{}.example", turn % 90)];
        Call { session: call.session + 20_000_000 * (turn / 50), resources: vec!["mail:out".to_owned()], recipients, ..call }
    });
    calls.collect()
}

fn sub_agents(way: &Way<'_>) -> Vec<Call> {
    let calls = plain(way).into_iter().enumerate();
    calls.map(|(turn, call)| Call { helper: Some(turn as u64 % HELPERS), ..call }).collect()
}

fn probing(way: &Way<'_>) -> Vec<Call> {
    let calls = plain(way).into_iter().enumerate();
    let shut = |turn: usize| vec![format!("vault:secrets/{turn}")];
    calls.map(|(turn, call)| if turn % 2 == 0 { Call { resources: shut(turn), ..call } } else { call }).collect()
}

fn one_owner(agents: impl Iterator<Item = (Kind, u64)>) -> Vec<Call> {
    let mut calls = Vec::new();
    for (kind, agent) in agents {
        let region = kind.region(agent, 1);
        let way = Way { agent, day: 25, hour: 14, calls: 600, every_ms: 12 * SECOND_MS, effect: Effect::Read, region: &region };
        calls.extend(plain(&way));
    }
    calls.sort_by_key(|call| call.at_ms);
    calls
}

/// Only from eight to six on working days.
fn office_hours(way: &Way<'_>) -> Vec<Call> {
    let is_office = |at_ms: u64| (8..18).contains(&(at_ms % DAY_MS / HOUR_MS)) && (at_ms / DAY_MS) % 7 < 5;
    let from = way.day * DAY_MS + way.hour * HOUR_MS;
    let moments = (0..).map(|turn| from + turn * way.every_ms).take_while(|at| *at < 30 * DAY_MS).filter(|at| is_office(*at));
    moments.take(way.calls as usize).enumerate().map(|(turn, at)| call(way, turn as u64, at)).collect()
}
