//! Tempo: how fast, how much, and how unlike before (semantics §6). A fold of what happened; time is an argument.
//!
//! Everything is counted in two buckets a span, so that a meter has the same size whatever it counts, and nothing is ever scanned. What is usual
//! for an agent is learnt from its own past and moves slowly: an hour cannot teach what a week did not. The clock never takes anything back: a moment
//! before the last one counts as the last one.

use crate::effect::Effect;
use crate::moment::Moment;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const TEN_MINUTES_MS: u64 = 10 * MINUTE_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const WEEK_MS: u64 = 7 * DAY_MS;

/// How many tools, regions and domains of one agent are remembered; what comes after them is not called new any more.
pub const KNOWN_MAX: usize = 1_024;
/// How many distinct recipients of a task are remembered one by one; every further one counts as another.
pub const DISTINCT_MAX: usize = 256;
/// Hours in which something was done before what is usual is spoken of.
const HOURS_MIN: u32 = 2;
/// Days in which something was done before what is usual by the day is spoken of, and before anything is held to be unusual by its kind.
const DAYS_MIN: u32 = 5;
/// The same in whole weeks.
const WEEKS_MIN: u32 = 2;
/// Days of an ordinary week on which something is done.
const DAYS_OF_WEEK: u64 = 5;
/// What is usual is kept in parts of one, so that small numbers can move slowly.
const PARTS: u64 = 64;

/// A count over one span that moves with time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Window {
    bucket: u64,
    now: u32,
    before: u32,
}

impl Window {
    fn rolled(mut self, bucket: u64) -> Self {
        match bucket.saturating_sub(self.bucket) {
            0 => {}
            1 => self = Self { bucket, now: 0, before: self.now },
            _ => self = Self { bucket, now: 0, before: 0 },
        }
        self
    }

    fn add(&mut self, at: Moment, span_ms: u64, count: u32) {
        *self = self.rolled(at.0 / span_ms);
        self.now = self.now.saturating_add(count);
    }

    /// What was counted in the span before `at`. Of the bucket before, as much as the span still covers, rounded up.
    fn count(&self, at: Moment, span_ms: u64) -> u64 {
        let rolled = self.rolled(at.0 / span_ms);
        let gone_ms = at.0.saturating_sub(rolled.bucket.saturating_mul(span_ms)).min(span_ms);
        u64::from(rolled.now) + (u64::from(rolled.before) * (span_ms - gone_ms)).div_ceil(span_ms)
    }
}

/// One kind of thing, counted over all spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Meter {
    minute: Window,
    ten_minutes: Window,
    hour: Window,
    day: Window,
    week: Window,
}

/// Counts over all spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) minute: u64,
    pub(crate) ten_minutes: u64,
    pub(crate) hour: u64,
    pub(crate) day: u64,
    pub(crate) week: u64,
}

impl Meter {
    pub(crate) fn add(&mut self, at: Moment, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.minute.add(at, MINUTE_MS, count);
        self.ten_minutes.add(at, TEN_MINUTES_MS, count);
        self.hour.add(at, HOUR_MS, count);
        self.day.add(at, DAY_MS, count);
        self.week.add(at, WEEK_MS, count);
    }

    pub(crate) fn counts(&self, at: Moment) -> Counts {
        Counts {
            minute: self.minute.count(at, MINUTE_MS),
            ten_minutes: self.ten_minutes.count(at, TEN_MINUTES_MS),
            hour: self.hour.count(at, HOUR_MS),
            day: self.day.count(at, DAY_MS),
            week: self.week.count(at, WEEK_MS),
        }
    }
}

/// What is usual in a period in which anything is done at all: it follows upwards by half of the way and never beyond the double, and downwards
/// slowly, so that quiet periods do not make the next ordinary one look wild.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Usual {
    period: u64,
    count: u32,
    periods: u32,
    /// In parts of one.
    usual: u64,
}

impl Usual {
    fn add(&mut self, period: u64, count: u64) {
        if period > self.period {
            self.learn();
            self.period = period;
            self.count = 0;
        }
        self.count = self.count.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn learn(&mut self) {
        if self.count == 0 {
            return;
        }
        let seen = u64::from(self.count) * PARTS;
        self.usual = match self.usual {
            0 => seen,
            usual if seen > usual => usual + (seen.min(usual.saturating_mul(2)) - usual).div_ceil(2),
            usual => usual - (usual - seen) / 16,
        };
        self.periods = self.periods.saturating_add(1);
    }

    /// What is usual, where enough periods were seen; at least one.
    fn known(&self, periods_min: u32) -> Option<u64> {
        (self.periods >= periods_min).then(|| self.usual.div_ceil(PARTS).max(1))
    }
}

/// The busiest hour of a day. An agent that does its work in one hour of the day has mostly quiet hours, and its busy one is no less ordinary for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Busiest {
    hour: u64,
    count: u32,
    today: u32,
    day: u64,
    usual: Usual,
}

impl Busiest {
    fn add(&mut self, at: Moment, count: u64) {
        let (hour, day) = (at.0 / HOUR_MS, at.0 / DAY_MS);
        if day > self.day {
            self.usual.add(self.day, u64::from(self.today));
            (self.day, self.today) = (day, 0);
        }
        if hour > self.hour {
            (self.hour, self.count) = (hour, 0);
        }
        self.count = self.count.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.today = self.today.max(self.count);
    }

    /// As of the days before the last one on which anything was done.
    fn known(&self) -> Option<u64> {
        let mut usual = self.usual;
        usual.learn();
        usual.known(1)
    }
}

/// How often one effect was had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Course {
    meter: Meter,
    hour: Usual,
    busiest: Busiest,
    day: Usual,
    week: Usual,
    /// The week in which it began: a part of one, from which nothing is learnt.
    first_week: Option<u64>,
}

impl Course {
    /// What is usual in a busy hour; on the first days, in an hour in which anything was done.
    fn usual_hour(&self) -> Option<u64> {
        self.hour.known(HOURS_MIN).max(self.busiest.known())
    }

    fn add(&mut self, at: Moment, count: u64) {
        self.meter.add(at, count);
        self.hour.add(at.0 / HOUR_MS, count);
        self.busiest.add(at, count);
        self.day.add(at.0 / DAY_MS, count);
        let week = at.0 / WEEK_MS;
        if week > *self.first_week.get_or_insert(week) {
            self.week.add(week, count);
        }
    }
}

/// The past of an agent, or of everything of one owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct History {
    effects: BTreeMap<Effect, Course>,
    /// What left, in kibibytes.
    volume: Course,
    /// What was spent, in hundreds of the minor unit.
    spent: Course,
    /// The last day on which something was done, and how many such days there were.
    day: u64,
    days: u32,
    /// On how many days before the last one something was done in this hour of the day (UTC).
    hours: [u8; 24],
    /// In which hours of the last day something was done, one bit an hour.
    hours_of_day: u32,
    /// What was done today in hours in which nothing was done on any day before.
    off_hours: Window,
    /// Prints of tools, regions and domains, with the day on which each was first touched.
    known: BTreeMap<u64, u64>,
    /// Items of regions that were first touched on the same day.
    new_items: Window,
    /// Items of kinds that were first touched on the same day.
    new_kind_items: Window,
    /// What was sent to domains that were first written to on the same day.
    new_domains: Usual,
}

/// How something stands to what is usual for whoever does it. Ratios are whole, and rounded down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// What is usual in an hour, where that is known.
    pub(crate) usual: Option<u64>,
    /// Whether what is usual rests on enough days, or was stated.
    pub(crate) seasoned: bool,
    /// Whether it was stated.
    pub(crate) stated: bool,
    pub(crate) counts: Counts,
    pub(crate) minute_ratio: u64,
    pub(crate) ten_minutes_ratio: u64,
    pub(crate) hour_ratio: u64,
    pub(crate) day_ratio: u64,
    pub(crate) week_ratio: u64,
}

impl History {
    /// Adds `count` times `effect`.
    pub(crate) fn add(&mut self, at: Moment, effect: Effect, count: u64) {
        let day = at.0 / DAY_MS;
        if day > self.day {
            self.day = day;
            self.days = self.days.saturating_add(1);
            for (hour, days) in (0..).zip(&mut self.hours) {
                *days = days.saturating_add(u8::from(self.hours_of_day & (1_u32 << hour) != 0));
            }
            self.hours_of_day = 0;
        }
        if self.is_off_hours(at) {
            self.off_hours.add(at, DAY_MS, u32::try_from(count).unwrap_or(u32::MAX));
        }
        self.hours_of_day |= 1 << ((at.0 / HOUR_MS) % 24);
        self.effects.entry(effect).or_default().add(at, count);
    }

    /// Adds what left with an act, and what was spent by it.
    pub(crate) fn add_measures(&mut self, at: Moment, measures: Measures) {
        let Measures { volume, spent } = measures;
        [(&mut self.volume, volume), (&mut self.spent, spent)]
            .into_iter()
            .filter(|(_, more)| *more > 0)
            .for_each(|(course, more)| course.add(at, more));
    }

    /// What left in the last hour with `more`, and how many times what is usual in a busy hour that is; 0 times while that is not known.
    pub(crate) fn volume(&self, at: Moment, more: u64) -> (u64, u64) {
        let pace = self.pace_of(&self.volume, at, more, None);
        (pace.counts.hour, if pace.seasoned { pace.hour_ratio } else { 0 })
    }

    /// What was spent in the last day with `more`, and how many times what is usual in a day that is; 0 times while that is not known.
    pub(crate) fn spent(&self, at: Moment, more: u64) -> (u64, u64) {
        let pace = self.pace_of(&self.spent, at, more, None);
        (pace.counts.day, if pace.seasoned { pace.day_ratio } else { 0 })
    }

    /// A person has looked: what was done just now does not count against it any more.
    pub(crate) fn forgive(&mut self) {
        let measures = [&mut self.volume, &mut self.spent];
        self.effects.values_mut().chain(measures).for_each(|course| course.meter = Meter::default());
        self.new_items = Window::default();
        self.new_kind_items = Window::default();
        self.off_hours = Window::default();
        self.new_domains.count = 0;
    }

    /// Notes that something was touched, by its print.
    pub(crate) fn touch(&mut self, at: Moment, print: u64) {
        if self.known.len() < KNOWN_MAX {
            self.known.entry(print).or_insert(at.0 / DAY_MS);
        }
    }

    /// Adds items of a region, and of a kind, that were first touched today.
    pub(crate) fn add_new_items(&mut self, at: Moment, region: u64, kind: u64, count: u64) {
        let (today, count) = (Some(at.0 / DAY_MS), u32::try_from(count).unwrap_or(u32::MAX));
        if self.known.get(&region).copied() == today {
            self.new_items.add(at, DAY_MS, count);
        }
        if self.known.get(&kind).copied() == today {
            self.new_kind_items.add(at, DAY_MS, count);
        }
    }

    /// Whether this was never touched before, as far as can be told.
    pub(crate) fn is_new(&self, print: u64) -> bool {
        self.known.len() < KNOWN_MAX && !self.known.contains_key(&print)
    }

    /// Items read today in regions that were first touched today; none while everything is new.
    pub(crate) fn new_items(&self, at: Moment) -> u64 {
        if self.is_seasoned() { u64::from(self.new_items.rolled(at.0 / DAY_MS).now) } else { 0 }
    }

    /// Adds something that was sent to a domain, if it was first written to today.
    pub(crate) fn add_new_domain(&mut self, at: Moment, domain: u64) {
        if self.known.get(&domain).copied() == Some(at.0 / DAY_MS) {
            self.new_domains.add(at.0 / DAY_MS, 1);
        }
    }

    /// What was sent today to domains that were first written to today, with `more`; and what is usual of that on a day on which it happens.
    pub(crate) fn new_domains(&self, at: Moment, more: u64) -> (u64, u64) {
        if !self.is_seasoned() {
            return (0, 0);
        }
        let today = if self.new_domains.period == at.0 / DAY_MS { u64::from(self.new_domains.count) } else { 0 };
        (today.saturating_add(more), self.new_domains.known(1).unwrap_or_default())
    }

    /// The same for kinds of things.
    pub(crate) fn new_kind_items(&self, at: Moment) -> u64 {
        if self.is_seasoned() { u64::from(self.new_kind_items.rolled(at.0 / DAY_MS).now) } else { 0 }
    }

    /// What was done today, with `more`, in hours of the day in which nothing was done before.
    pub(crate) fn off_hours(&self, at: Moment, more: u64) -> u64 {
        let seen = u64::from(self.off_hours.rolled(at.0 / DAY_MS).now);
        if self.is_off_hours(at) { seen.saturating_add(more) } else { seen }
    }

    /// What is usual in a day, over all effects; 0 while it is not known.
    pub(crate) fn usual_day(&self) -> u64 {
        self.effects.values().filter_map(|course| course.day.known(DAYS_MIN)).fold(0, u64::saturating_add)
    }

    /// Whether there are days enough to call something unusual.
    #[must_use]
    pub(crate) fn is_seasoned(&self) -> bool {
        self.days > DAYS_MIN
    }

    /// Whether nothing was done about this time of the day, an hour more or less, on any day before.
    pub(crate) fn is_off_hours(&self, at: Moment) -> bool {
        let hour = at.0 / HOUR_MS;
        self.is_seasoned() && [hour + 23, hour, hour + 1].iter().all(|hour| self.hours[(hour % 24) as usize] == 0)
    }

    /// How `more` of an effect would stand to what is usual: as stated per hour, or as learnt.
    pub(crate) fn pace(&self, at: Moment, effect: Effect, more: u64, stated: Option<u64>) -> Pace {
        self.pace_of(self.effects.get(&effect).unwrap_or(&Course::default()), at, more, stated)
    }

    fn pace_of(&self, course: &Course, at: Moment, more: u64, stated: Option<u64>) -> Pace {
        let seen = course.meter.counts(at);
        let counts = Counts {
            minute: seen.minute + more,
            ten_minutes: seen.ten_minutes + more,
            hour: seen.hour + more,
            day: seen.day + more,
            week: seen.week + more,
        };
        let usual = stated.or_else(|| course.usual_hour());
        let ratio = |count: u64, usual: Option<u64>| usual.map_or(0, |usual| count / usual.max(1));
        let (day, week) = match stated {
            Some(_) => (None, None),
            None => {
                let day = course.day.known(DAYS_MIN);
                // A week of holidays is none to compare with: an ordinary one has at least some ordinary days.
                let least = day.unwrap_or_default().saturating_mul(DAYS_OF_WEEK);
                (day, course.week.known(WEEKS_MIN).map(|week| week.max(least)))
            }
        };
        Pace {
            usual,
            stated: stated.is_some(),
            seasoned: stated.is_some() || (self.is_seasoned() && course.day.known(DAYS_MIN).is_some()),
            counts,
            minute_ratio: ratio(counts.minute, usual),
            ten_minutes_ratio: ratio(counts.ten_minutes, usual),
            hour_ratio: ratio(counts.hour, usual),
            day_ratio: ratio(counts.day, day),
            week_ratio: ratio(counts.week, week),
        }
    }
}

/// What an act moves beside things: rounded up, so that nothing counts as nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Measures {
    /// Text that leaves, in kibibytes.
    pub(crate) volume: u64,
    /// Money, in hundreds of the minor unit.
    pub(crate) spent: u64,
}

impl Measures {
    /// Of an act with these effects.
    pub(crate) fn of(effects: &BTreeSet<Effect>, content_bytes: u64, amount: Option<u64>) -> Self {
        let leaves = effects.iter().any(|effect| effect.is_outward());
        Self {
            volume: if leaves { content_bytes.div_ceil(1_024) } else { 0 },
            spent: if effects.contains(&Effect::Spend) { amount.unwrap_or_default().div_ceil(100) } else { 0 },
        }
    }
}

/// What all agents of one root task do together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskTempo {
    irreversible: Meter,
    denials: Meter,
    recipients: Distinct,
    /// How many recipients there were when a person last looked.
    forgiven: u64,
    /// How often a person has reset it.
    pub(crate) resets: u32,
}

impl TaskTempo {
    pub(crate) fn add_irreversible(&mut self, at: Moment, count: u64) {
        self.irreversible.add(at, count);
    }

    pub(crate) fn add_denial(&mut self, at: Moment) {
        self.denials.add(at, 1);
    }

    pub(crate) fn add_recipient(&mut self, print: u64) {
        self.recipients.add(print);
    }

    /// Irreversible acts of the last ten minutes.
    pub(crate) fn irreversible(&self, at: Moment) -> u64 {
        self.irreversible.counts(at).ten_minutes
    }

    /// Denials of the last ten minutes.
    pub(crate) fn denials(&self, at: Moment) -> u64 {
        self.denials.counts(at).ten_minutes
    }

    /// Distinct recipients with these, since a person last looked.
    pub(crate) fn recipients_with(&self, prints: &[u64]) -> u64 {
        self.recipients.count_with(prints).saturating_sub(self.forgiven)
    }

    /// A person has looked, and lets it go on from zero.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            resets: self.resets.saturating_add(1),
            forgiven: self.recipients.count(),
            recipients: std::mem::take(&mut self.recipients),
            ..Self::default()
        };
    }
}

/// Distinct things by their prints: exactly up to a bound, and too many beyond it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Distinct {
    prints: Vec<u64>,
    beyond: u64,
}

impl Distinct {
    pub(crate) fn add(&mut self, print: u64) {
        if let Err(at) = self.prints.binary_search(&print) {
            if self.prints.len() < DISTINCT_MAX {
                self.prints.insert(at, print);
            } else {
                self.beyond = self.beyond.saturating_add(1);
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        (self.prints.len() as u64).saturating_add(self.beyond)
    }

    pub(crate) fn count_with(&self, prints: &[u64]) -> u64 {
        let mut new: Vec<u64> = prints.iter().copied().filter(|print| self.prints.binary_search(print).is_err()).collect();
        new.sort_unstable();
        new.dedup();
        self.count().saturating_add(new.len() as u64)
    }
}

#[cfg(test)]
mod tests;
