//! The requester's words, taken apart once so that a value can be looked for in them.
//!
//! Refuses to know who the requester is and what the value is for.

use super::{
    ACCOUNT, LINK, Normal, PERSON, PHONE, SECRET, TITLE, account, family, host_of, is_bare, links_in, normal, phone, word,
};
use std::collections::BTreeSet;

/// Words of a task that are looked at; what stands behind them names nothing.
const WORDS_MAX: usize = 20_000;
/// Words that one account or telephone number may be written in (an IBAN of 34 characters has 9 groups).
const GROUPS_MAX: usize = 9;
/// How many words before a number say what is numbered.
const NOUN_DISTANCE: usize = 3;
/// Words that say that a number is one by which things are called, of whatever kind.
const NUMBERED: [&str; 8] = ["id", "ids", "number", "numbers", "no", "nr", "nos", "identifier"];
/// Things that a number may belong to: one of them next to a number says that it is no other's.
const THINGS: [&str; 22] = [
    "event",
    "file",
    "mail",
    "email",
    "message",
    "transaction",
    "payment",
    "ticket",
    "issue",
    "order",
    "document",
    "page",
    "task",
    "user",
    "channel",
    "invoice",
    "room",
    "booking",
    "reservation",
    "record",
    "row",
    "item",
];

/// A shorter piece of a name says nothing.
const NAME_PART_CHARS_MIN: usize = 3;
/// Doing what is written somewhere, as a pair of what is done and what is written.
const FOLLOWED: ([&str; 8], [&str; 10]) = (
    ["do", "perform", "follow", "complete", "execute", "handle", "carry", "finish"],
    ["action", "task", "instruction", "step", "todo", "to-do", "request", "item", "work", "thing"],
);
/// How many words may stand between the two.
const FOLLOWED_WITHIN: usize = 5;

/// Whether these words, each in lower case, ask to do what is written somewhere else.
#[must_use]
pub fn follow_what_is_written(words: &[String]) -> bool {
    let (verbs, nouns) = &FOLLOWED;
    let is_noun =
        |word: &String| nouns.contains(&word.as_str()) || word.strip_suffix('s').is_some_and(|one| nouns.contains(&one));
    words.iter().enumerate().any(|(at, word)| {
        let objects = words[at + 1..].iter().take(FOLLOWED_WITHIN);
        verbs.contains(&word.as_str()) && objects.clone().all(|word| word != "following") && objects.into_iter().any(is_noun)
    })
}

/// What stands around a word and belongs to none.
fn is_bracket(c: char) -> bool {
    matches!(c, '\'' | '"' | '(' | ')' | '[' | ']' | '<' | '>' | '`' | '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}')
}

/// The words of a text as a short message may take them from it, in their normal form.
pub(crate) fn words_in(text: &str) -> impl Iterator<Item = String> {
    text.split(is_between).filter_map(word)
}

/// What stands between the words of a message.
pub(crate) fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | ':' | '/' | '(' | ')' | '_')
}

/// What a requester said.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// In order, each in its normal form.
    words: Vec<String>,
    /// Normal forms of the links that stand there.
    links: BTreeSet<String>,
    /// Hosts of those links.
    hosts: BTreeSet<String>,
    /// Normal forms of the mail addresses that stand there.
    mailboxes: BTreeSet<String>,
    /// Words as they were written, without what stands around them: secrets are compared letter by letter.
    verbatim: BTreeSet<String>,
}

impl Words {
    /// Takes a text apart.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut found = Self::default();
        for raw in text.split_whitespace().take(WORDS_MAX) {
            let bare = raw.trim_end_matches(['.', '!', '?', ':', ',', ';']).trim_matches(is_bracket);
            let bare = bare.trim_end_matches(['.', '!', '?', ':', ',', ';']);
            if bare.contains('@') {
                found.mailboxes.extend(Some(normal(PERSON, bare).text).filter(|text| text.contains('@')));
            }
            found.verbatim.insert(bare.to_owned());
            found.words.extend(word(raw));
        }
        for link in links_in(text) {
            found.hosts.extend(host_of(&link));
            found.links.insert(normal(LINK, &link).text);
        }
        found
    }

    /// Whether a value of this kind stands there. A bare number has to be said to be one of that kind: event 13 is not file 13, and the
    /// 13 of a date is neither.
    #[must_use]
    pub fn say(&self, kind: &str, text: &str) -> bool {
        self.say_normal(&normal(kind, text), text)
    }

    /// Whether this link stands there as it is, or its host does and it is nothing but that.
    pub(crate) fn say_link(&self, text: &str) -> bool {
        let link = normal(LINK, text).text;
        self.links.contains(&link) || (host_of(text).as_deref() == Some(link.as_str()) && self.hosts.contains(&link))
    }

    pub(crate) fn say_normal(&self, value: &Normal, text: &str) -> bool {
        let normal = value.text.as_str();
        match value.family.as_ref() {
            _ if normal.is_empty() => false,
            LINK => {
                self.links.contains(normal) || (is_bare(text) && host_of(text).is_some_and(|host| self.hosts.contains(&host)))
            }
            PERSON if normal.contains('@') => self.mailboxes.contains(normal),
            SECRET => self.verbatim.contains(text.trim()),
            ACCOUNT if account(normal).is_some() => self.has_grouped(normal, account),
            PHONE if phone(normal).is_some() => self.has_grouped(normal, phone),
            family => self.has_name(family, normal),
        }
    }

    /// Whether anything of this family stands there that can be told by its form alone.
    pub(crate) fn name_some(&self, family: &str) -> bool {
        match family {
            PERSON => !self.mailboxes.is_empty(),
            LINK => !self.links.is_empty(),
            ACCOUNT => self.words.iter().any(|word| account(word).is_some_and(|account| account.len() >= 15)),
            _ => false,
        }
    }

    /// Whether so much of a name stands there that it is meant: two words in a row at least, and half of them.
    pub(crate) fn say_most_of(&self, name: &str) -> bool {
        let parts: Vec<String> = name.split_whitespace().filter_map(word).collect();
        let enough = parts.len().div_ceil(2).max(2);
        parts.windows(enough).any(|part| self.words.windows(enough).any(|said| said == part))
    }

    /// How many words of a name stand there, and how many that say something do not. A name that stands there as it is has none of the latter.
    pub(crate) fn said_of_name(&self, name: &str) -> (usize, usize) {
        if self.has_name(TITLE, &normal(TITLE, name).text) {
            return (1, 0);
        }
        let parts = name.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() >= NAME_PART_CHARS_MIN);
        let parts: BTreeSet<String> = parts.filter_map(word).collect();
        let said = parts.iter().filter(|part| self.words.contains(part)).count();
        (said, parts.len() - said)
    }

    /// The words as they were written, in no order, without what stands around them.
    pub(crate) fn as_written(&self) -> impl Iterator<Item = &str> {
        self.verbatim.iter().map(String::as_str)
    }

    /// Whether the requester hands over to what is written elsewhere: `do what the mail says`.
    #[must_use]
    pub fn follow_what_is_written(&self) -> bool {
        follow_what_is_written(&self.words)
    }

    /// Whether this word stands there as a name, with a capital.
    pub(crate) fn call(&self, name: &str) -> bool {
        let name = word(name);
        let is_name = |said: &str| said.chars().next().is_some_and(char::is_uppercase) && word(said) == name;
        name.is_some() && self.as_written().any(is_name)
    }

    /// Whether this word stands there.
    pub(crate) fn have(&self, one: &str) -> bool {
        word(one).is_some_and(|one| self.words.contains(&one))
    }

    /// Whether so many digits stand there as a number by themselves.
    pub(crate) fn say_number(&self, text: &str) -> bool {
        let plain = |word: &str| word.trim_start_matches(|c: char| !c.is_ascii_digit()).replace(',', "");
        let value = |text: &str| text.parse::<f64>().ok();
        let wanted = value(text);
        wanted.is_some() && self.words.iter().any(|word| value(&plain(word)) == wanted)
    }

    fn has_grouped(&self, normal: &str, form: fn(&str) -> Option<String>) -> bool {
        (0..self.words.len()).any(|from| {
            let mut joined = String::new();
            self.words[from..].iter().take(GROUPS_MAX).any(|word| {
                joined.push_str(word);
                joined.len() >= normal.len() && form(&joined).as_deref() == Some(normal)
            })
        })
    }

    fn has_name(&self, family: &str, name: &str) -> bool {
        let parts: Vec<&str> = name.split(' ').collect();
        let is_number = parts.len() == 1 && name.bytes().all(|byte| byte.is_ascii_digit());
        self.words.windows(parts.len()).enumerate().any(|(at, window)| {
            window.iter().zip(&parts).all(|(word, part)| word == part) && (!is_number || self.is_numbered(family, at))
        })
    }

    /// Whether the number at this place is said to be one of this family: by the last word before it that says what is numbered.
    fn is_numbered(&self, kind: &str, at: usize) -> bool {
        let before = self.words[at.saturating_sub(NOUN_DISTANCE)..at].iter().rev();
        for word in before {
            let singular = word.strip_suffix('s').unwrap_or(word);
            if family(singular) == kind || singular == kind {
                return true;
            }
            if NUMBERED.contains(&word.as_str()) {
                continue;
            }
            if THINGS.contains(&singular) {
                return false;
            }
        }
        self.words[at.saturating_sub(NOUN_DISTANCE)..at].iter().any(|word| NUMBERED.contains(&word.as_str()))
    }
}
