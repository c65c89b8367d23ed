//! What a request asks for, read from its words: which tools, for whom. A proposal, shown to a person and editable; it grants nothing that was not granted.
//!
//! The reading is deterministic and says why. A tool is proposed where one sentence has a verb for what it does and a noun for what it does it to; for
//! anything beyond reading, what no sentence asks for is not proposed, and the norm scope-edge asks about it later. It knows English.
//!
//! It refuses to know: who asks, what was granted, and any tool by name.

mod lexicon;
#[cfg(test)]
mod tests;

use crate::Tool;
use judge::effect::Effect;
use lexicon::Wish;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a request that are read.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// How much of a sentence is quoted as the reason, in characters.
const QUOTE_CHARS_MAX: usize = 80;
/// Words after which somebody stands who is addressed.
const TOWARDS: [&str; 14] =
    ["to", "with", "for", "at", "email", "mail", "message", "tell", "notify", "inform", "invite", "ask", "contact", "and"];
/// Words that may stand between.
const BETWEEN: [&str; 8] = ["the", "my", "our", "user", "colleague", "friend", "channel", "all"];

/// How many words before a verb may take it back.
const NEGATED_WITHIN: usize = 3;

/// Who and what the words may name.
pub trait Names {
    /// The person, or whoever stands for several, whom this word names; as the directory calls them.
    fn person(&self, word: &str) -> Option<String>;
    /// Whether the directory knows this place, by its whole id.
    fn is_place(&self, id: &str) -> bool;
}

impl Names for judge::directory::Directory {
    fn person(&self, word: &str) -> Option<String> {
        self.person_named(word).map(ToString::to_string)
    }

    fn is_place(&self, id: &str) -> bool {
        self.audience_of(id).is_some()
    }
}

/// What a task would name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Effects: reading and computing, and those of the tools.
    pub effects: BTreeSet<Effect>,
    /// Tools for anything beyond reading, by their whole name, each with the sentence that asks for it.
    pub tools: BTreeMap<String, String>,
    /// Who the answer is for, beside the requester.
    pub address: BTreeSet<String>,
    /// Whether something is to be sent or published, and the words do not say to whom.
    pub address_open: bool,
    /// The sentence that asks to do what is written elsewhere. Then what can be undone is proposed, and nothing that destroys, spends or widens.
    pub follows: Option<String>,
}

/// Reads a request against tools, each by the name under which an agent calls it.
#[must_use]
pub fn propose<'t>(request: &str, tools: impl IntoIterator<Item = (&'t str, &'t Tool)>, names: &dyn Names) -> Proposal {
    let request = &request[..request.floor_char_boundary(REQUEST_BYTES_MAX)];
    let sentences = sentences(request);
    let mut proposal = Proposal { effects: BTreeSet::from([Effect::Read, Effect::Compute]), ..Proposal::default() };
    let following = sentences.iter().position(|sentence| judge::value::follow_what_is_written(&sentence.words));
    proposal.follows = following.map(|at| sentences[at].quoted());
    let all: Vec<&str> = sentences.iter().flat_map(|sentence| sentence.words.iter().map(String::as_str)).collect();
    let acting = tools.into_iter().filter(|(_, tool)| tool.effects().iter().any(|effect| effect.acts()));
    let mut outward: Vec<Vec<usize>> = Vec::new();
    let mut addressed_in: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (name, tool) in acting {
        let trade = Trade::of(tool);
        let mut asking: Vec<usize> = (0..sentences.len()).filter(|at| trade.is_asked_for_in(&sentences[*at], &all)).collect();
        let asked = asking.first().map(|at| sentences[*at].quoted());
        asking.extend(following);
        let followed = || proposal.follows.clone().filter(|_| tool.effects().iter().all(|effect| can_be_undone(*effect)));
        if let Some(why) = asked.or_else(followed) {
            proposal.effects.extend(tool.effects());
            proposal.tools.insert(name.to_owned(), why);
            if tool.effects().iter().any(|effect| effect.is_outward()) {
                let places: BTreeSet<String> = tool.resource_prefixes().map(str::to_owned).collect();
                for &at in &asking {
                    addressed_in.entry(at).or_default().extend(addressed(&sentences[at], &trade, &places, names));
                }
                if !asking.iter().all(|at| trade.is_for_whoever_asks(&sentences[*at])) {
                    outward.push(asking);
                }
            }
        }
    }
    // Where one way of telling is addressed, so are the others that the same words ask for.
    proposal.address_open = outward.iter().any(|asking| asking.iter().all(|at| addressed_in[at].is_empty()));
    proposal.address = addressed_in.into_values().flatten().collect();
    proposal.address_open |= proposal.follows.is_some() && proposal.effects.iter().any(|effect| effect.is_outward());
    proposal
}

fn can_be_undone(effect: Effect) -> bool {
    matches!(effect, Effect::Read | Effect::Compute | Effect::Write | Effect::Send | Effect::Publish)
}

/// A sentence: as it was written, and its words in lower case.
struct Sentence<'a> {
    text: &'a str,
    words: Vec<String>,
    /// The same words as they were written.
    written: Vec<&'a str>,
}

/// Whether what follows these words is asked for by making it: `make a reservation`, `leave a new comment`.
fn is_made(before: &[String]) -> bool {
    let before = before.strip_suffix(&["new".to_owned()]).unwrap_or(before);
    matches!(before, [.., verb, article] if matches!(article.as_str(), "a" | "an" | "another") && lexicon::is_making(verb))
}

/// What a question begins with that only wants to know.
const QUESTIONS: [&str; 17] = [
    "what", "which", "who", "whom", "whose", "how", "when", "where", "why", "did", "does", "is", "are", "was", "were", "am",
    "has",
];

impl Sentence<'_> {
    fn is_question(&self) -> bool {
        self.text.trim_end().ends_with('?') && self.words.first().is_some_and(|first| QUESTIONS.contains(&first.as_str()))
    }

    /// Whether the word at this place may be a verb that asks for something: what follows `her` or `by` is none, and what follows `not` asks for nothing.
    fn is_verb(&self, at: usize) -> bool {
        let before = &self.words[at.saturating_sub(NEGATED_WITHIN)..at];
        let is_taken_back =
            before.iter().any(|word| lexicon::is_negation(word)) && !before.iter().any(|word| lexicon::is_reminder(word));
        let is_noun = before.last().is_some_and(|word| lexicon::is_before_nouns(word));
        (!is_noun || is_made(before)) && !is_taken_back
    }

    /// Whether what the verb at this place says is for whoever asks: `tell me`.
    fn is_for_whoever_asks(&self, at: usize) -> bool {
        self.words.get(at + 1).is_some_and(|next| lexicon::is_asking(next))
    }

    fn quoted(&self) -> String {
        let mut quoted: String = self.text.trim().chars().take(QUOTE_CHARS_MAX).collect();
        if self.text.trim().chars().count() > QUOTE_CHARS_MAX {
            quoted.push('…');
        }
        quoted
    }
}

/// Sentences end at `.`, `!` or `?` before white space, at a semicolon, and at the end of a line.
fn sentences(text: &str) -> Vec<Sentence<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    let ends = text.char_indices().filter(|(at, c)| match c {
        '\n' | ';' => true,
        '.' | '!' | '?' => {
            text[at + c.len_utf8()..].chars().next().is_none_or(|next| next.is_whitespace() || next.is_uppercase())
        }
        _ => false,
    });
    for (at, c) in ends.chain([(text.len(), ' ')]) {
        let end = (at + c.len_utf8()).min(text.len());
        let sentence = &text[from..end];
        from = end;
        let written: Vec<&str> = sentence
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | '/'))
            .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '@'))
            .filter(|word| !word.is_empty())
            .collect();
        let words = written.iter().map(|word| word.to_lowercase()).collect();
        if !written.is_empty() {
            found.push(Sentence { text: sentence, words, written });
        }
    }
    found
}

/// What a tool does, in words.
struct Trade {
    verbs: BTreeSet<String>,
    wishes: BTreeSet<Wish>,
    nouns: BTreeSet<String>,
}

impl Trade {
    /// From its name, the first sentence of what its server says about it, and its effects.
    fn of(tool: &Tool) -> Self {
        let name = crate::words::of(tool.name());
        let about = tool.about().unwrap_or_default();
        let about = about.split_once(". ").map_or(about, |(first, _)| first);
        let is_grave = tool.effects().iter().any(|effect| lexicon::is_grave(*effect));
        let counts = |effect: &&Effect| !is_grave || lexicon::is_grave(**effect);
        let mut trade = Self { verbs: BTreeSet::new(), wishes: BTreeSet::new(), nouns: BTreeSet::new() };
        let verb = name.iter().position(|word| lexicon::wishes(word).next().is_some());
        for (at, word) in name.iter().enumerate() {
            if Some(at) == verb {
                let is_light = |wish: &Wish| matches!(wish, Wish::Send | Wish::Publish | Wish::Create);
                let wishes = lexicon::wishes(word).filter(|wish| is_of_verb(*wish, word) && !(is_grave && is_light(wish)));
                trade.wishes.extend(wishes);
                trade.verbs.insert(word.clone());
            } else if word.len() > 2 {
                trade.nouns.insert(word.clone());
            }
        }
        // What a grave tool does is what its verb says: who may be let in may also be thrown out, and asking for one is not asking for the other.
        if !is_grave || trade.wishes.is_empty() {
            trade.wishes.extend(tool.effects().iter().filter(counts).filter_map(|effect| lexicon::wish_of(*effect)));
        }
        // What stands between backticks is the name of an argument.
        let about = about.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        for word in crate::words::of(&about).into_iter().skip(1).filter(|word| word.len() > 3 && !lexicon::is_plain(word)) {
            trade.nouns.insert(word);
        }
        trade
    }

    fn is_asked_for_in(&self, sentence: &Sentence<'_>, all: &[&str]) -> bool {
        !sentence.is_question() && self.asked_at(sentence, all).next().is_some()
    }

    /// Where a sentence has the verbs that ask for it.
    fn asked_at<'s>(&'s self, sentence: &'s Sentence<'_>, all: &'s [&'s str]) -> impl Iterator<Item = usize> + 's {
        (0..sentence.words.len()).filter(move |at| sentence.is_verb(*at) && self.is_asked_for_by(*at, sentence, all))
    }

    fn is_asked_for_by(&self, at: usize, sentence: &Sentence<'_>, all: &[&str]) -> bool {
        let about_it = |nouns: &mut dyn Iterator<Item = &str>| {
            let mut nouns = nouns;
            (&mut nouns).any(|noun| self.nouns.iter().any(|own| lexicon::mean_the_same(own, noun)))
        };
        let verb = sentence.words[at].as_str();
        if self.verbs.contains(verb) && lexicon::is_particular(verb) {
            return true;
        }
        let objects = sentence.words.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, word)| word.as_str());
        let speaks_of = |noun: &str| objects.clone().any(|word| lexicon::mean_the_same(noun, word));
        if self.wishes.contains(&Wish::Publish)
            && lexicon::may_publish(verb)
            && speaks_of("post")
            && about_it(&mut objects.clone())
        {
            return true;
        }
        let is_meant =
            |wish: &Wish| *wish != Wish::Pay || !lexicon::may_pay(verb) || speaks_of("money") || speaks_of("transaction");
        let Some(wish) = lexicon::wishes(verb).find(|wish| self.wishes.contains(wish) && is_meant(wish)) else { return false };
        if matches!(wish, Wish::Send | Wish::Publish | Wish::Share) && sentence.is_for_whoever_asks(at) {
            // To be told something is no wish for a message, unless the message is what is wished for.
            return sentence.words[at + 1..].iter().any(|noun| self.nouns.contains(lexicon::singular(noun)));
        }
        let is_file = sentence.written.iter().any(|word| names_a_file(word)) && self.nouns.contains("file");
        is_file
            || about_it(&mut objects.clone())
            || about_it(&mut lexicon::implied(verb).iter().copied())
            || (matches!(wish, Wish::Send | Wish::Publish) && objects.clone().any(lexicon::is_pointing))
            || (wish == Wish::Reserve
                && (about_it(&mut all.iter().copied()) || !all.iter().any(|word| RESERVED.contains(&lexicon::singular(word)))))
    }

    /// Whether all that is asked for goes to whoever asks.
    fn is_for_whoever_asks(&self, sentence: &Sentence<'_>) -> bool {
        let mut asked = self.asked_at(sentence, &[]).peekable();
        asked.peek().is_some() && asked.all(|at| sentence.is_for_whoever_asks(at))
    }
}

/// What is reserved, where it is said.
const RESERVED: [&str; 8] = ["hotel", "room", "restaurant", "table", "car", "flight", "seat", "train"];

/// Whether a verb of a tool's name stands for this wish: `send` is of sending, though one may also ask to send money.
fn is_of_verb(wish: Wish, verb: &str) -> bool {
    match wish {
        Wish::Pay | Wish::Publish => !matches!(verb, "send" | "schedule" | "set" | "share" | "write" | "order"),
        Wish::Create => !matches!(verb, "invite" | "remind" | "append" | "insert"),
        Wish::Send => !matches!(verb, "return" | "remind"),
        Wish::Update => !matches!(verb, "add" | "set"),
        Wish::Share => !matches!(verb, "open"),
        Wish::Delete | Wish::Reserve | Wish::Run => true,
    }
}

fn names_a_file(word: &str) -> bool {
    word.rsplit_once('.').is_some_and(|(name, ending)| {
        !name.is_empty()
            && (2..=4).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && ending.bytes().any(|byte| byte.is_ascii_lowercase())
            && !name.contains('@')
            && !name.starts_with("www")
    })
}

/// Whom a sentence addresses: mail addresses, people after a word like `to`, and places that the directory knows; those behind the verb, where there are any,
/// because `what Ann posted in news` is before it.
fn addressed(sentence: &Sentence<'_>, trade: &Trade, places: &BTreeSet<String>, names: &dyn Names) -> Vec<String> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_towards = false;
    for (at, (word, written)) in sentence.words.iter().zip(&sentence.written).enumerate() {
        let bare = written.strip_suffix("'s").unwrap_or(written);
        if written.contains('@') {
            found.push((at, (*written).to_owned()));
        } else if let Some(person) = names.person(bare).filter(|_| is_towards) {
            found.push((at, person));
        } else {
            found
                .extend(places.iter().map(|prefix| format!("{prefix}{bare}")).filter(|id| names.is_place(id)).map(|id| (at, id)));
            is_towards = TOWARDS.contains(&word.as_str()) || (is_towards && BETWEEN.contains(&word.as_str()));
        }
    }
    let verb = trade.asked_at(sentence, &[]).next().unwrap_or(0);
    let is_behind = found.iter().any(|(at, _)| *at > verb);
    found.into_iter().filter(|(at, _)| *at > verb || !is_behind).map(|(_, name)| name).collect()
}
