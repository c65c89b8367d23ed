//! Months, as claims. The whole ones, from many seeds, are in `bench/month`.

use super::{Options, play};

#[test]
fn a_week_of_ordinary_work_trips_nothing_and_is_the_same_every_time() {
    let options = Options { days: 4, ..Options::new(7) };
    let outcomes = play(&options);
    assert!(outcomes.ordinary_calls > 5_000, "{}", outcomes.ordinary_calls);
    assert!(outcomes.false_alarms.is_empty(), "{:?}", outcomes.false_alarms);
    assert_eq!(outcomes.ordinary_calls, play(&options).ordinary_calls);
}
