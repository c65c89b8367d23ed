//! The port and its bounds, as claims.

use super::*;

#[test]
fn work_built_on_a_failed_batch_fails_once_and_then_is_forgotten() {
    let mut lineage = Lineage::default();
    assert!(!lineage.is_broken_at(Seq(0)), "nothing failed yet");
    lineage.break_after(Seq(5), 2);
    assert!(lineage.is_broken_at(Seq(7)), "it would have followed the failed one");
    lineage.break_after(Seq(7), 1);
    assert!(!lineage.is_broken_at(Seq(7)), "whoever goes back has read up");
    assert!(!lineage.is_broken_at(Seq(8)), "and the failure is over");
}

#[test]
fn a_batch_is_refused_at_each_bound_and_admitted_just_below() {
    let bounds = Bounds { entry_bytes_max: 4, batch_entries_max: 2, batch_bytes_max: 6, ..Bounds::default() };
    assert_eq!(bounds.admit(&[vec![0; 4], vec![0; 2]]), Ok(6));
    for batch in [vec![], vec![vec![]; 3], vec![vec![0; 5]], vec![vec![0; 4], vec![0; 3]]] {
        assert!(matches!(bounds.admit(&batch), Err(AppendError::Refused(_))), "{batch:?}");
    }
}
