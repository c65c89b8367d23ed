//! Ordinary work: kinds of agents with their hours, their sessions, and what they touch. The numbers are chosen to be awkward: long tails, weekly jobs, a
//! month's end, holidays, a launch, an outage at night, a project that nobody had touched before.

use super::dice::Dice;
use super::{Call, DAY_MS, HOUR_MS, MINUTE_MS};
use judge::effect::Effect;

/// The day of the month (from 0, a Monday) that is a holiday for most.
pub(crate) const HOLIDAY: u64 = 9;
/// The days of the launch week.
pub(crate) const LAUNCH: std::ops::Range<u64> = 14..19;
/// The last days of the month, for those who close the books.
const CLOSING: std::ops::Range<u64> = 27..30;

/// A kind of agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Support,
    Coding,
    Nightly,
    Sales,
    Finance,
    OnCall,
    Research,
    Calendar,
}

/// How many agents there are of each kind: fifty.
pub(crate) const AGENTS: [(Kind, u64); 8] = [
    (Kind::Support, 10),
    (Kind::Coding, 10),
    (Kind::Nightly, 4),
    (Kind::Sales, 6),
    (Kind::Finance, 4),
    (Kind::OnCall, 6),
    (Kind::Research, 6),
    (Kind::Calendar, 4),
];

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Support => "support",
            Kind::Coding => "coding",
            Kind::Nightly => "nightly",
            Kind::Sales => "sales",
            Kind::Finance => "finance",
            Kind::OnCall => "oncall",
            Kind::Research => "research",
            Kind::Calendar => "calendar",
        }
    }

    /// The region in which it mostly reads: `n` is its number among all agents.
    pub(crate) fn region(self, n: u64, project: u64) -> String {
        match self {
            Kind::Support => format!("tickets:team-{}/queue-{project}", n % 3),
            Kind::Coding => format!("code:repo-{}-{project}/src", n % 7),
            Kind::Nightly => format!("warehouse:mart-{n}/table-{project}"),
            Kind::Sales => format!("crm:accounts/area-{n}-{project}"),
            Kind::Finance => format!("invoices:book-{n}/month-{project}"),
            Kind::OnCall => format!("logs:service-{}-{project}", n % 4),
            Kind::Research => format!("wiki:space-{n}-{project}"),
            Kind::Calendar => format!("calendar:team-{n}-{project}"),
        }
    }
}

/// One session: some calls within some minutes, as one task.
struct Session {
    /// From the beginning of the day.
    from_ms: u64,
    long_ms: u64,
    reads: u64,
    /// Resources of one call.
    page: u64,
    writes: u64,
    sends: u64,
    spends: u64,
    region: String,
}

/// The calls of agent `n` on `day`.
pub(crate) fn day(seed: u64, n: u64, kind: Kind, day: u64) -> Vec<Call> {
    let mut dice = Dice::of(seed, [n, day, 1]);
    let weekend = day % 7 >= 5;
    let launch = LAUNCH.contains(&day);
    let sessions = match kind {
        Kind::Nightly => nightly(n, day, &mut dice),
        Kind::OnCall => on_call(n, weekend, &mut dice),
        // Somebody is on holiday for a week, and a few work at the weekend before a launch.
        _ if on_holiday(n, day) || (weekend && !(day == LAUNCH.start - 1 && n.is_multiple_of(4))) => Vec::new(),
        Kind::Support => support(n, launch, day, &mut dice),
        Kind::Coding => coding(n, launch, day, &mut dice),
        Kind::Sales => sales(n, launch, day, &mut dice),
        Kind::Finance => finance(n, day, &mut dice),
        Kind::Research => research(n, day, &mut dice),
        Kind::Calendar => calendar(n, day, &mut dice),
    };
    let number = |at: usize| n * 1_000_000 + day * 1_000 + at as u64;
    sessions.iter().enumerate().flat_map(|(at, session)| calls(session, n, kind, number(at), day, &mut dice)).collect()
}

fn on_holiday(n: u64, day: u64) -> bool {
    let week = n % 9;
    day == HOLIDAY || (week < 4 && day / 7 == week)
}

/// How much more there is to do than on an ordinary day.
fn rhythm(day: u64, launch: bool, more: f64) -> f64 {
    let of_week = [1.3, 1.1, 1.0, 1.0, 0.8, 0.3, 0.3][(day % 7) as usize];
    let after_holiday = if day == HOLIDAY + 1 { 1.5 } else { 1.0 };
    of_week * after_holiday * if launch { more } else { 1.0 }
}

/// A moment of a working day: mornings and afternoons, rarely over lunch.
fn working_hour(dice: &mut Dice, from: u64, to: u64) -> u64 {
    loop {
        let at = from * HOUR_MS + dice.below((to - from) * HOUR_MS);
        if at / HOUR_MS != 12 || dice.happens(0.3) {
            return at;
        }
    }
}

fn support(n: u64, launch: bool, day: u64, dice: &mut Dice) -> Vec<Session> {
    let sessions = dice.around(14.0 * rhythm(day, launch, 2.2), 0.25);
    let one = |dice: &mut Dice| Session {
        from_ms: working_hour(dice, 8, 18),
        // A machine reads as fast as it is let.
        long_ms: dice.around(6.0, 0.6) * MINUTE_MS,
        reads: dice.around(18.0, 0.6),
        page: 1,
        writes: dice.around(2.0, 0.5),
        sends: dice.around(2.0, 0.7),
        spends: 0,
        region: Kind::Support.region(n, dice.below(3)),
    };
    (0..sessions).map(|_| one(dice)).collect()
}

/// Bursts of reading; a new project in the launch week; and some come back after dinner.
fn coding(n: u64, launch: bool, day: u64, dice: &mut Dice) -> Vec<Session> {
    let sessions = dice.around(5.0 * rhythm(day, launch, 1.6), 0.3);
    let new_project = launch && (day - LAUNCH.start) == n % 5;
    let mut all: Vec<Session> = (0..sessions)
        .map(|at| Session {
            from_ms: working_hour(dice, 9, 18),
            long_ms: dice.around(50.0, 0.5) * MINUTE_MS,
            reads: dice.around(if new_project && at == 0 { 130.0 } else { 45.0 }, 0.8),
            page: 1,
            writes: dice.around(9.0, 0.8),
            sends: 0,
            spends: 0,
            region: Kind::Coding.region(n, if new_project { 40 } else { dice.below(3) }),
        })
        .collect();
    if launch && n.is_multiple_of(3) && dice.happens(0.5) {
        all.push(Session {
            from_ms: 21 * HOUR_MS + dice.below(HOUR_MS),
            long_ms: 60 * MINUTE_MS,
            reads: dice.around(50.0, 0.5),
            page: 1,
            writes: 12,
            sends: 0,
            spends: 0,
            region: Kind::Coding.region(n, 1),
        });
    }
    all
}

/// A report at two in the night, a larger one on Sundays, and the month's end.
fn nightly(n: u64, day: u64, dice: &mut Dice) -> Vec<Session> {
    // On Sundays everything is read anew, so there is no more to read at the month's end.
    let more = match (day % 7 == 6, CLOSING.contains(&day)) {
        (true, _) => 3.0,
        (false, true) => 2.5,
        (false, false) => 1.0,
    };
    vec![Session {
        from_ms: 2 * HOUR_MS + dice.below(10 * MINUTE_MS),
        long_ms: dice.around(25.0, 0.2) * MINUTE_MS,
        reads: dice.around(16.0 * more, 0.2),
        page: 20,
        writes: 3,
        sends: 2,
        spends: 0,
        region: Kind::Nightly.region(n, dice.below(4)),
    }]
}

/// Looking up customers and writing to them; a mailing once a week.
fn sales(n: u64, launch: bool, day: u64, dice: &mut Dice) -> Vec<Session> {
    let sessions = dice.around(8.0 * rhythm(day, launch, 2.0), 0.3);
    let mut all: Vec<Session> = (0..sessions)
        .map(|_| Session {
            from_ms: working_hour(dice, 8, 18),
            long_ms: dice.around(30.0, 0.4) * MINUTE_MS,
            reads: dice.around(25.0, 0.6),
            page: 1,
            writes: dice.around(3.0, 0.5),
            sends: dice.around(4.0, 0.6),
            spends: 0,
            region: Kind::Sales.region(n, dice.below(4)),
        })
        .collect();
    if day % 7 == 2 || (launch && day % 7 == 1) {
        all.push(Session {
            from_ms: 10 * HOUR_MS,
            long_ms: 40 * MINUTE_MS,
            reads: 60,
            page: 1,
            writes: 0,
            sends: dice.around(45.0, 0.25).min(90),
            spends: 0,
            region: Kind::Sales.region(n, 0),
        });
    }
    all
}

/// A few payments a day, and a run of them at the month's end.
fn finance(n: u64, day: u64, dice: &mut Dice) -> Vec<Session> {
    let closing = CLOSING.contains(&day);
    let sessions = dice.around(if closing { 9.0 } else { 5.0 } * rhythm(day, false, 1.0), 0.3);
    (0..sessions)
        .map(|_| Session {
            from_ms: working_hour(dice, 8, 17),
            long_ms: dice.around(40.0, 0.4) * MINUTE_MS,
            reads: dice.around(if closing { 60.0 } else { 25.0 }, 0.5),
            page: 1,
            writes: dice.around(4.0, 0.5),
            sends: 1,
            spends: dice.around(if closing { 5.0 } else { 1.2 }, 0.6).min(15),
            region: Kind::Finance.region(n, day / 15),
        })
        .collect()
}

/// Looks after services day and night; every now and then something breaks.
fn on_call(n: u64, weekend: bool, dice: &mut Dice) -> Vec<Session> {
    let routine = dice.around(if weekend { 3.0 } else { 8.0 }, 0.3);
    let mut all: Vec<Session> = (0..routine)
        .map(|_| Session {
            from_ms: if dice.happens(0.25) { dice.below(DAY_MS) } else { working_hour(dice, 8, 20) },
            long_ms: dice.around(20.0, 0.5) * MINUTE_MS,
            reads: dice.around(15.0, 0.6),
            page: 1,
            writes: 1,
            sends: 1,
            spends: 0,
            region: Kind::OnCall.region(n, dice.below(5)),
        })
        .collect();
    if dice.happens(0.08) {
        all.push(Session {
            from_ms: dice.below(22 * HOUR_MS),
            long_ms: 75 * MINUTE_MS,
            reads: dice.around(110.0, 0.3),
            page: 1,
            writes: 10,
            sends: 6,
            spends: 0,
            region: Kind::OnCall.region(n, dice.below(6)),
        });
    }
    all
}

/// Questions as they come, some in the evening; in the third week somebody works from another continent.
fn research(n: u64, day: u64, dice: &mut Dice) -> Vec<Session> {
    let away = n.is_multiple_of(3) && day / 7 == 2;
    let sessions = dice.around(4.0, 0.5);
    (0..sessions)
        .map(|_| Session {
            from_ms: if away {
                working_hour(dice, 14, 24)
            } else if dice.happens(0.1) {
                working_hour(dice, 19, 22)
            } else {
                working_hour(dice, 8, 19)
            },
            long_ms: dice.around(2.0, 0.5) * MINUTE_MS,
            reads: dice.around(28.0, 0.7),
            page: 1,
            writes: 1,
            sends: u64::from(dice.happens(0.4)),
            spends: 0,
            region: Kind::Research.region(n, dice.below(12)),
        })
        .collect()
}

/// Plans the day each morning, and the week on Mondays.
fn calendar(n: u64, day: u64, dice: &mut Dice) -> Vec<Session> {
    let monday = day.is_multiple_of(7);
    vec![Session {
        from_ms: 7 * HOUR_MS + dice.below(HOUR_MS),
        long_ms: 20 * MINUTE_MS,
        reads: dice.around(if monday { 70.0 } else { 25.0 }, 0.3),
        page: 1,
        writes: dice.around(if monday { 20.0 } else { 6.0 }, 0.4),
        sends: dice.around(if monday { 12.0 } else { 3.0 }, 0.4),
        spends: 0,
        region: Kind::Calendar.region(n, 0),
    }]
}

fn calls(session: &Session, n: u64, kind: Kind, number: u64, day: u64, dice: &mut Dice) -> Vec<Call> {
    let all = [
        (Effect::Read, session.reads),
        (Effect::Write, session.writes),
        (Effect::Send, session.sends),
        (Effect::Spend, session.spends),
    ];
    let mut calls = Vec::new();
    for (effect, times) in all {
        for _ in 0..times {
            let at_ms = day * DAY_MS + session.from_ms + dice.below(session.long_ms.max(MINUTE_MS));
            let item = |dice: &mut Dice| format!("{}/{}", session.region, dice.below(4_000));
            let resources = match effect {
                Effect::Send => vec!["mail:out".to_owned()],
                // Now and then an agent tries what it may not.
                Effect::Read if kind == Kind::Support && dice.happens(0.02) => vec!["vault:shared/notes".to_owned()],
                _ if effect == Effect::Read => (0..session.page).map(|_| item(dice)).collect(),
                _ => vec![item(dice)],
            };
            let recipients = match effect {
                Effect::Send if kind == Kind::Sales => {
                    vec![format!("customer-{}@client-{}.example", dice.below(3_000), dice.below(40))]
                }
                Effect::Send => vec![format!("colleague-{}@example.org", dice.below(60))],
                _ => Vec::new(),
            };
            let tool = format!("{}__{}", kind.word(), effect.word());
            calls.push(Call {
                at_ms,
                agent: n,
                helper: None,
                session: number,
                tool,
                effect,
                resources,
                recipients,
                attack: None,
            });
        }
    }
    calls
}
