//! Identifiers: sortable by time where machines read them, short where people type them.

use judge::moment::Moment;
use judge::name::{AskId, DecisionId, TaskId};
use judge::state::State;
use uuid::{NoContext, Timestamp, Uuid};

/// Crockford's base 32: no letter that can be taken for another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Digits of an ask's id: 40 random bits, drawn again when taken.
const ASK_DIGITS: usize = 8;

fn uuid(at: Moment) -> Uuid {
    let nanos = u32::try_from(at.0 % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, at.0 / 1000, nanos))
}

pub(crate) fn decision(at: Moment) -> DecisionId {
    DecisionId::parse(&format!("d-{}", uuid(at).simple())).expect("hexadecimal digits are a name")
}

pub(crate) fn task(at: Moment) -> TaskId {
    TaskId::parse(&format!("t-{}", uuid(at).simple())).expect("hexadecimal digits are a name")
}

#[expect(clippy::disallowed_methods, reason = "this is the place that the others are sent to")]
pub(crate) fn ask(state: &State) -> AskId {
    loop {
        let random = Uuid::new_v4().into_bytes();
        let digits: String = random[8..].iter().take(ASK_DIGITS).map(|byte| DIGITS[usize::from(byte & 31)] as char).collect();
        let id = AskId::parse(&format!("ask-{}-{}", &digits[..4], &digits[4..])).expect("letters and digits are a name");
        if state.ask(&id).is_none() {
            return id;
        }
    }
}
