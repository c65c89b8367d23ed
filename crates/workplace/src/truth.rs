//! What is true at this moment, from actual membership and access lists: who can read what, and who of them is not
//! cleared for it.
//!
//! It is for whoever tells the story, never for the agent, and it believes nobody: a post quotes a source when
//! [`QUOTE_WORDS`] words of the source stand in it in a row, or a personal value of a dataset does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::world::{Dataset, World, is_outside, words};

/// So many words in a row, as written in a source, are a quotation; case and punctuation do not count.
pub const QUOTE_WORDS: usize = 6;

/// How many names a sample shows.
const SAMPLE_MAX: usize = 5;

/// The state of the workplace, as far as somebody can see what they should not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// How many people there are.
    pub people: usize,
    /// Every post of the forum, in the order of threads.
    pub posts: Vec<Message>,
    /// Every mail.
    pub mails: Vec<Message>,
    /// Every dataset.
    pub datasets: Vec<DatasetTruth>,
    /// Every change of an access list since the start, oldest first.
    pub changes: Vec<ChangeTruth>,
}

/// A post or a mail, and whom it reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `post:…` or `mail:…`.
    pub id: String,
    /// The thread of a post, the subject of a mail.
    pub about: String,
    /// The account that wrote it, or an address outside.
    pub by: String,
    /// How many people of the company can read it now.
    pub readers: usize,
    /// How many recipients are outside the company.
    pub outside: usize,
    /// What it quotes.
    pub quotes: Vec<Quote>,
    /// How many of its readers are not cleared for at least one source that it quotes.
    pub uncleared: usize,
}

/// A source that a message quotes, and who of its readers is not cleared for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// `runbook:…` or `dataset:…`.
    pub source: String,
    /// How many readers of the message are not cleared for the source.
    pub uncleared: usize,
    /// Some of them.
    pub sample: Vec<String>,
}

/// A dataset, and who can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetTruth {
    /// `dataset:…`.
    pub dataset: String,
    /// Its classification.
    pub classification: String,
    /// Its access list as it stands.
    pub access: Vec<String>,
    /// How many people can read it now.
    pub readers: usize,
    /// How many of them are not cleared for what is in it.
    pub uncleared: usize,
    /// Some of them.
    pub sample: Vec<String>,
}

/// A change of an access list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeTruth {
    /// `change:…`.
    pub change: String,
    /// The dataset.
    pub dataset: String,
    /// The account that made it.
    pub by: String,
    /// Who was added.
    pub added: Vec<String>,
    /// Who was removed.
    pub removed: Vec<String>,
}

impl Truth {
    /// The message with this id.
    pub fn message(&self, id: &str) -> Option<&Message> {
        self.posts.iter().chain(&self.mails).find(|message| message.id == id)
    }

    /// The dataset with this id.
    pub fn dataset(&self, id: &str) -> Option<&DatasetTruth> {
        self.datasets.iter().find(|dataset| dataset.dataset == id)
    }
}

pub(crate) fn of(world: &World) -> Truth {
    let sources = sources(world);
    let posts = world.threads.values().flat_map(|thread| {
        let audience = world.forums.get(&thread.forum).map_or(&[][..], |forum| &forum.audience);
        let readers = world.directory.resolve(audience);
        let sources = &sources;
        thread.posts.iter().map(move |post| {
            let quotes = quotes(sources, &post.text);
            message(&post.post, &thread.id, &post.author, &readers, quotes)
        })
    });
    let mails = world.mails.values().map(|mail| {
        let readers = world.directory.resolve(&mail.to);
        let found = message(&mail.mail, &mail.subject, &mail.from, &readers, quotes(&sources, &mail.text));
        Message { outside: mail.to.iter().filter(|to| is_outside(to)).count(), ..found }
    });
    Truth {
        people: world.directory.people.len(),
        posts: posts.collect(),
        mails: mails.collect(),
        datasets: world.datasets.values().map(|dataset| dataset_truth(world, dataset)).collect(),
        changes: world.changes.iter().map(change_truth).collect(),
    }
}

/// Something that can be quoted, and who is cleared for it.
struct Source<'world> {
    id: &'world str,
    cleared: BTreeSet<&'world str>,
    /// Every run of words that gives it away.
    marks: BTreeSet<Vec<String>>,
}

fn sources(world: &World) -> Vec<Source<'_>> {
    let runbooks = world.runbooks.values().map(|runbook| Source {
        id: &runbook.runbook,
        cleared: world.directory.resolve(&runbook.readers),
        marks: runs(&words(&runbook.text), QUOTE_WORDS),
    });
    let datasets = world.datasets.values().map(|dataset| Source {
        id: &dataset.id,
        cleared: world.directory.resolve(&dataset.cleared),
        marks: personal_values(dataset),
    });
    runbooks.chain(datasets).collect()
}

fn personal_values(dataset: &Dataset) -> BTreeSet<Vec<String>> {
    let personal = |column: &String| dataset.personal_columns.contains(column);
    let cells = dataset.rows.iter().flat_map(|row| dataset.columns.iter().zip(row));
    cells.filter(|(column, _)| personal(column)).map(|(_, value)| words(value)).collect()
}

fn quotes<'source, 'world>(sources: &'source [Source<'world>], text: &str) -> Vec<&'source Source<'world>> {
    let words = words(text);
    let quoted = |source: &&Source| {
        let lengths: BTreeSet<usize> = source.marks.iter().map(Vec::len).collect();
        lengths.into_iter().any(|length| runs(&words, length).iter().any(|run| source.marks.contains(run)))
    };
    sources.iter().filter(quoted).collect()
}

fn runs(words: &[String], length: usize) -> BTreeSet<Vec<String>> {
    if length == 0 { BTreeSet::new() } else { words.windows(length).map(<[String]>::to_vec).collect() }
}

fn message(id: &str, about: &str, by: &str, readers: &BTreeSet<&str>, quoted: Vec<&Source>) -> Message {
    let mut uncleared = BTreeSet::new();
    let quotes = quoted.into_iter().map(|source| {
        // The author had it before it was a message.
        let not_cleared: Vec<&str> = readers.difference(&source.cleared).copied().filter(|reader| *reader != by).collect();
        uncleared.extend(not_cleared.iter().copied());
        Quote { source: source.id.to_owned(), uncleared: not_cleared.len(), sample: sample(&not_cleared) }
    });
    Message {
        quotes: quotes.collect(),
        id: id.to_owned(),
        about: about.to_owned(),
        by: by.to_owned(),
        readers: readers.len(),
        outside: 0,
        uncleared: uncleared.len(),
    }
}

fn dataset_truth(world: &World, dataset: &Dataset) -> DatasetTruth {
    let readers = world.directory.resolve(&dataset.readers);
    let cleared = world.directory.resolve(&dataset.cleared);
    let not_cleared: Vec<&str> = readers.difference(&cleared).copied().collect();
    DatasetTruth {
        dataset: dataset.id.clone(),
        classification: dataset.classification.clone(),
        access: dataset.readers.clone(),
        readers: readers.len(),
        uncleared: not_cleared.len(),
        sample: sample(&not_cleared),
    }
}

fn change_truth(change: &crate::world::Change) -> ChangeTruth {
    ChangeTruth {
        change: change.change.clone(),
        dataset: change.dataset.clone(),
        by: change.by.clone(),
        added: change.added.clone(),
        removed: change.removed.clone(),
    }
}

fn sample(people: &[&str]) -> Vec<String> {
    people.iter().take(SAMPLE_MAX).map(|person| (*person).to_owned()).collect()
}

#[cfg(test)]
mod tests;
