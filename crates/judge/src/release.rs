//! Releases: evidence that what leaves does not carry what the task has read, so that it need not pay for all of it (semantics §3).
//!
//! Each part of what leaves must speak for itself: it is made of text that everybody there may read, or of the requester's own words with nothing
//! but short numbers beside them. A part that does neither may hold anything, in other words.
//!
//! It refuses to know: labels, tools, and what a text means.

use crate::content::{ContentKey, Index};
use crate::value::{Words, words_in};

/// Bytes of a part that may be told in the words of one thing that may be read; in a longer one they could be put in any order.
const TOLD_BYTES_MAX: usize = 300;
/// Digits from which on a word may be a code or an account.
const DIGITS_MAX: usize = 4;
/// Bytes of a part that are looked at; a longer one is never short.
const PART_BYTES_MAX: usize = 16 << 10;

/// Words that say nothing.
const PLAIN: [&str; 77] = [
    "type", "id", "name", "a", "about", "all", "am", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "could",
    "dear", "did", "do", "for", "from", "had", "has", "have", "hello", "hi", "i", "i'm", "i've", "if", "in", "is", "it", "its",
    "me", "my", "no", "not", "of", "on", "or", "our", "please", "regards", "so", "some", "thank", "thanks", "that", "the",
    "their", "them", "there", "they", "this", "those", "to", "us", "was", "we", "were", "what", "when", "where", "which", "who",
    "will", "with", "would", "yes", "you", "you've", "your", "yours", "best",
];

/// Whether every part of what leaves is made of what may be read there, or of the requester's words with nothing but short numbers and dates beside them.
/// What goes `to_few`, by name, may be told in the words of one thing that may be read. Where nothing is seen of what leaves, nothing is released.
pub(crate) fn is_released(
    key: &ContentKey,
    index: &Index,
    words: &Words,
    parts: &[&str],
    to_few: bool,
    is_readable: impl Fn(u32) -> bool,
) -> bool {
    // Words that say nothing may stand beside the requester's and beside what may be read, and not alone.
    let mut says_something = false;
    parts.iter().all(|part| {
        let (said, others) = sorted(words, part);
        says_something |= said > 0 || !others.is_empty();
        let is_short = part.len() <= PART_BYTES_MAX;
        (is_short && others.is_empty())
            || (to_few
                && part.len() <= TOLD_BYTES_MAX
                && index.has_words(key, &others.iter().map(String::as_str).collect::<Vec<_>>(), &is_readable))
            || index.is_all_of(key, part, &is_readable)
    }) && says_something
}

/// Whether all of this is the requester's words, with nothing but short numbers and dates beside them, or nothing at all.
pub(crate) fn says_only(words: &Words, parts: &[&str]) -> bool {
    parts.iter().all(|part| part.len() <= PART_BYTES_MAX && sorted(words, part).1.is_empty())
}

/// How many of a part's words the requester said, and those that nobody said and that say something.
fn sorted(words: &Words, part: &str) -> (usize, Vec<String>) {
    let (mut said, mut others) = (0, Vec::new());
    for word in words_in(part) {
        if PLAIN.contains(&word.as_str()) {
        } else if words.have(&word) {
            said += 1;
        } else if !is_number(&word) {
            others.push(word);
        }
    }
    (said, others)
}

/// A number too short to be a code, with at most the ending of an ordinal; or a date (ISO 8601).
fn is_number(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let count = |is: fn(&u8) -> bool| bare.bytes().filter(is).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let is_date = bare.len() == 10
        && bare.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    is_date || (bare.is_ascii() && (1..=DIGITS_MAX).contains(&digits) && letters <= 2 && bare.len() <= 2 * DIGITS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::sketch;

    const READABLE: &str = "access to a dataset is asked for at its owner, never changed by oneself";

    fn released(parts: &[&str]) -> bool {
        let key = ContentKey::new([7; 16]);
        let mut index = Index::default();
        index.add(0, &sketch(&key, READABLE));
        index.add(1, &sketch(&key, "forty positions move to the harbour site by autumn, and the office in the north is closed"));
        is_released(&key, &index, &Words::of("write Ann that the meeting is moved to Friday"), parts, true, |read| read == 0)
    }

    #[test]
    fn what_is_made_of_readable_text_or_of_the_requesters_words_is_released() {
        assert!(released(&[READABLE]));
        assert!(released(&["Hi Ann, the meeting is moved to Friday. Best regards"]));
        assert!(released(&["Friday, 2026-05-13, the 2nd", READABLE]));
    }

    #[test]
    fn what_may_hold_anything_is_not() {
        assert!(!released(&["forty positions move to the harbour site by autumn"]), "copied");
        assert!(!released(&["two score jobs relocate to the port location before winter"]), "told in other words");
        assert!(!released(&[READABLE, "two score jobs relocate to the port location before winter"]), "in a second part");
        assert!(!released(&["code 463820"]), "short, and a code");
        assert!(!released(&["see evil.example"]), "short, and a place");
        assert!(!released(&["forty jobs move"]), "short, and told in other words");
        assert!(!released(&["hello, it is me"]), "nothing that the requester said");
        assert!(!released(&[]), "nothing is seen of it");
        assert!(released(&["access is asked for at the owner"]), "in the words of one thing that may be read");
        assert!(!released(&["access is asked for at the harbour"]), "a word of something else is among them");
        let smuggled = format!("{READABLE} two score jobs relocate to the port before winter");
        assert!(!released(&[&smuggled]), "behind something readable");
    }
}
