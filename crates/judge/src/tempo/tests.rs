//! Counters, and what is usual.

use super::*;
use proptest::prelude::*;

fn at(hours: u64) -> Moment {
    Moment(1_767_225_600_000 + hours * HOUR_MS)
}

/// `days` of work, `per_hour` times an hour from eight to six.
fn worked(days: u64, per_hour: u64) -> History {
    let mut history = History::default();
    for day in 0..days {
        for hour in 8..18 {
            history.add(at(day * 24 + hour), Effect::Read, per_hour);
        }
    }
    history
}

#[test]
fn a_window_forgets_what_is_older_than_its_span() {
    let mut window = Window::default();
    window.add(Moment(0), MINUTE_MS, 10);
    assert_eq!(window.count(Moment(30 * SECOND_MS), MINUTE_MS), 10);
    assert_eq!(window.count(Moment(90 * SECOND_MS), MINUTE_MS), 5);
    assert_eq!(window.count(Moment(120 * SECOND_MS), MINUTE_MS), 0);
}

#[test]
fn a_clock_that_goes_back_takes_nothing_away() {
    let mut window = Window::default();
    window.add(at(5), HOUR_MS, 10);
    window.add(at(1), HOUR_MS, 1);
    assert_eq!(window.count(at(1), HOUR_MS), 11);
    assert_eq!(window.count(at(5), HOUR_MS), 11);
}

#[test]
fn nothing_overflows() {
    let mut meter = Meter::default();
    meter.add(at(0), u64::MAX);
    meter.add(at(0), u64::MAX);
    assert_eq!(meter.counts(at(0)).week, u64::from(u32::MAX));
    let mut history = worked(10, u64::MAX);
    history.add(Moment(u64::MAX), Effect::Read, u64::MAX);
    assert!(
        history.pace(Moment(u64::MAX), Effect::Read, 1, Some(0)).hour_ratio > 0,
        "nothing is usual, so anything is beyond it"
    );
}

#[test]
fn what_is_usual_is_known_after_days_and_moves_slowly() {
    let history = worked(10, 40);
    let pace = history.pace(at(10 * 24 + 9), Effect::Read, 1, None);
    assert!(pace.seasoned && pace.usual == Some(40), "{pace:?}");
    let mut taught = history.clone();
    // One wild hour, then the next ordinary one, teaches less than the double.
    taught.add(at(10 * 24 + 9), Effect::Read, 100_000);
    taught.add(at(10 * 24 + 10), Effect::Read, 1);
    assert!(taught.pace(at(10 * 24 + 10), Effect::Read, 1, None).usual <= Some(80));
    assert!(!worked(2, 40).pace(at(3 * 24), Effect::Read, 1, None).seasoned);
    assert_eq!(History::default().pace(at(0), Effect::Read, 1, None).usual, None);
}

#[test]
fn work_at_night_is_noticed_and_overtime_is_not() {
    let history = worked(10, 40);
    assert!(history.is_off_hours(at(10 * 24 + 3)));
    assert!(!history.is_off_hours(at(10 * 24 + 18)));
    assert!(!worked(2, 40).is_off_hours(at(3 * 24 + 3)), "of two days nothing is known");
}

#[test]
fn what_was_done_at_night_adds_up_over_the_night() {
    let mut history = worked(10, 40);
    let night = 10 * 24;
    (0..5).for_each(|hour| history.add(at(night + hour), Effect::Read, 20));
    assert_eq!(history.off_hours(at(night + 5), 1), 101);
    assert!(history.is_off_hours(at(night + 5)), "the hours before it in the same night make it no more ordinary");
    assert_eq!(history.usual_day(), 400);
    history.forgive();
    assert_eq!(history.off_hours(at(night + 5), 1), 1);
}

#[test]
fn a_busy_hour_a_day_is_no_less_usual_for_the_quiet_ones_around_it() {
    let mut history = History::default();
    for day in 0..10 {
        history.add(at(day * 24 + 2), Effect::Read, 300);
        (8..18).for_each(|hour| history.add(at(day * 24 + hour), Effect::Read, 5));
    }
    let pace = history.pace(at(10 * 24 + 2), Effect::Read, 300, None);
    assert!(pace.usual >= Some(300) && pace.hour_ratio <= 1, "{pace:?}");
}

#[test]
fn a_part_of_a_week_teaches_nothing_about_weeks() {
    // It begins on a Thursday, as the weeks that are counted do; so a day later.
    let mut history = History::default();
    for day in 6..22 {
        history.add(at(day * 24), Effect::Read, 100);
    }
    assert_eq!(history.pace(at(22 * 24), Effect::Read, 1, None).week_ratio, 1);
}

#[test]
fn a_week_with_one_day_of_work_is_none_to_compare_with() {
    let mut history = worked(3, 40);
    // From the seventh day on: one day in each of two weeks, and then whole ones.
    for day in [9, 10, 16, 17, 18, 19, 20, 21, 22] {
        (8..18).for_each(|hour| history.add(at(day * 24 + hour), Effect::Read, 40));
    }
    let pace = history.pace(at(22 * 24 + 18), Effect::Read, 1, None);
    assert!(pace.week_ratio <= 1, "{pace:?}");
}

#[test]
fn what_is_new_is_counted_on_its_day_alone_and_not_while_everything_is_new() {
    let (kind, region, domain) = (1, 2, 3);
    let mut history = worked(10, 40);
    let day = 10 * 24 + 9;
    [kind, region, domain].into_iter().for_each(|print| history.touch(at(day), print));
    history.add_new_items(at(day), region, kind, 70);
    history.add_new_domain(at(day), domain);
    assert_eq!((history.new_items(at(day)), history.new_kind_items(at(day))), (70, 70));
    assert_eq!(history.new_domains(at(day), 2), (3, 0), "of the day itself nothing is learnt yet");
    let tomorrow = day + 24;
    history.add_new_items(at(tomorrow), region, kind, 70);
    history.add_new_domain(at(tomorrow), domain);
    assert_eq!((history.new_items(at(tomorrow)), history.new_kind_items(at(tomorrow))), (0, 0));
    assert_eq!(history.new_domains(at(tomorrow), 0).0, 0);
    let mut young = worked(2, 40);
    young.touch(at(49), kind);
    young.add_new_items(at(49), kind, kind, 70);
    assert_eq!(young.new_kind_items(at(49)), 0);
}

#[test]
fn distinct_things_beyond_the_bound_count_every_time() {
    let mut distinct = Distinct::default();
    (0..DISTINCT_MAX as u64).for_each(|print| distinct.add(print));
    (0..DISTINCT_MAX as u64).for_each(|print| distinct.add(print));
    assert_eq!(distinct.count(), DISTINCT_MAX as u64);
    distinct.add(u64::MAX);
    distinct.add(u64::MAX);
    assert_eq!(distinct.count(), DISTINCT_MAX as u64 + 2);
}

proptest! {
    /// What a window says is never below what was counted in its span, and never beyond what was counted in two.
    #[test]
    fn a_window_never_says_less_than_happened(steps in prop::collection::vec((0_u64..90_000, 1_u32..50), 1..60)) {
        let (mut window, mut now, mut all) = (Window::default(), Moment(10 * MINUTE_MS), Vec::new());
        for (wait_ms, count) in steps {
            now = now.after_ms(wait_ms);
            window.add(now, MINUTE_MS, count);
            all.push((now, u64::from(count)));
            let in_bucket: u64 = all.iter().filter(|(at, _)| at.0 / MINUTE_MS == now.0 / MINUTE_MS).map(|(_, count)| count).sum();
            let in_two: u64 = all.iter().filter(|(at, _)| at.0 / MINUTE_MS + 1 >= now.0 / MINUTE_MS).map(|(_, count)| count).sum();
            let said = window.count(now, MINUTE_MS);
            prop_assert!(in_bucket <= said && said <= in_two, "{in_bucket} <= {said} <= {in_two}");
        }
    }
}

/// A thief who takes everything in one mail, or pays once, makes no more calls than anybody.
#[test]
fn volume_and_money_have_a_pace_of_their_own() {
    let mut history = History::default();
    let ordinary = Measures::of(&[Effect::Send, Effect::Spend].into(), 20_000, Some(5_000));
    assert_eq!(ordinary, Measures { volume: 20, spent: 50 });
    assert_eq!(Measures::of(&[Effect::Write].into(), 20_000, Some(5_000)), Measures::default());
    for day in 0..10 {
        for hour in 8..18 {
            history.add(at(day * 24 + hour), Effect::Send, 1);
            history.add_measures(at(day * 24 + hour), ordinary);
        }
    }
    let now = at(10 * 24 + 9);
    assert_eq!(history.volume(now, 20), (20, 1));
    assert_eq!(history.volume(now, 400), (400, 20));
    let (spent, times) = history.spent(now, 10_000);
    assert!(spent >= 10_000 && times >= 20, "{spent} {times}");
    assert_eq!(History::default().volume(now, 1_000_000).1, 0, "nothing is known of who is new");
    history.add_measures(now, Measures { volume: u64::MAX, spent: u64::MAX });
    assert!(history.volume(now, 1).1 > 1_000, "what is too much to be counted is very much");
}
