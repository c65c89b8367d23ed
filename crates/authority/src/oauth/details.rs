//! A task as a client asks for it: an `authorization_details` of type `prudence_task` (RFC 9396), or a `scope` that names effects.
//!
//! Whether the person may have it done, and the agent do it, is decided at each call; here a request is only read, and held to its bounds.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use judge::effect::Effect;
use judge::task::{Budget, Task};
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::form::is_plain;

/// The type of ours.
pub const TASK_TYPE: &str = "prudence_task";
const DETAILS_BYTES_MAX: usize = 12 << 10;
const TEXT_CHARS_MAX: usize = 2_000;
const PURPOSE_CHARS_MAX: usize = 200;
const NAMES_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 512;

/// What a task shall be. What is left out is for the person, or the parent, to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDetails {
    /// [`TASK_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// What for, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// What the requester said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The effects that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<BTreeSet<Effect>>,
    /// The resources that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// The tools that it names for anything beyond reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeSet<String>>,
    /// Who the answer is for; the requester alone when nobody is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address: Vec<String>,
    /// What it may use up.
    #[serde(default)]
    pub budget: Budget,
    /// How long it may run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

impl TaskDetails {
    /// Reads `authorization_details` and `scope`, of which each may be left out.
    ///
    /// # Errors
    /// [`Refusal::Details`] and [`Refusal::Scope`].
    pub fn read(details: Option<&str>, scope: Option<&str>) -> Result<TaskDetails, Refusal> {
        let mut task = match details {
            Some(text) => TaskDetails::parse(text)?,
            None => TaskDetails { kind: TASK_TYPE.to_owned(), ..TaskDetails::default() },
        };
        if let Some(scope) = scope {
            let named = effects(scope)?;
            match &task.effects {
                // Two answers to one question: the one who asks has to say which.
                Some(effects) if *effects != named => {
                    return Err(Refusal::Scope("the effects of 'scope' and of 'authorization_details' differ".to_owned()));
                }
                Some(_) => {}
                None => task.effects = Some(named),
            }
        }
        Ok(task)
    }

    fn parse(text: &str) -> Result<TaskDetails, Refusal> {
        let wrong = |sentence: String| Refusal::Details(sentence);
        if text.len() > DETAILS_BYTES_MAX {
            return Err(wrong(format!("expected at most {DETAILS_BYTES_MAX} bytes of authorization details")));
        }
        let [task]: [TaskDetails; 1] = serde_json::from_str(text)
            .map_err(|error| wrong(format!("expected a list of one task of type '{TASK_TYPE}': {error}")))?;
        task.is_bounded().map_err(wrong)?;
        Ok(task)
    }

    fn is_bounded(&self) -> Result<(), String> {
        if self.kind != TASK_TYPE {
            return Err(format!("expected the type '{TASK_TYPE}'"));
        }
        let is_text = |text: &Option<String>, most: usize| {
            text.as_ref().is_none_or(|text| !text.trim().is_empty() && text.chars().count() <= most)
        };
        let is_seen = |text: &Option<String>| text.iter().flat_map(|text| text.chars()).all(|c| is_plain(c) || c == '\n');
        if !is_seen(&self.purpose) || !is_seen(&self.words) {
            return Err("expected purpose and words without hidden characters".to_owned());
        }
        if !is_text(&self.purpose, PURPOSE_CHARS_MAX) {
            return Err(format!("expected a purpose of 1 to {PURPOSE_CHARS_MAX} characters"));
        }
        if !is_text(&self.words, TEXT_CHARS_MAX) {
            return Err(format!("expected words of 1 to {TEXT_CHARS_MAX} characters"));
        }
        let names = self.resources.iter().flatten().chain(self.tools.iter().flatten()).chain(&self.address);
        let is_name = |name: &String| !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_plain);
        if names.clone().count() > NAMES_MAX || !names.clone().all(is_name) {
            return Err(format!("expected at most {NAMES_MAX} names of 1 to {NAME_BYTES_MAX} printable bytes"));
        }
        if self.effects.as_ref().is_some_and(BTreeSet::is_empty) || self.lease_ms == Some(0) {
            return Err("expected at least one effect, and a lease of at least a millisecond".to_owned());
        }
        Ok(())
    }

    /// A running task in the same words, as answers repeat it (RFC 9396 §7).
    #[must_use]
    pub fn of(task: &Task) -> TaskDetails {
        TaskDetails {
            kind: TASK_TYPE.to_owned(),
            purpose: Some(task.purpose.clone()),
            words: None,
            effects: task.effects.clone(),
            resources: task.resources.clone(),
            tools: task.tools.clone(),
            address: task.address.clone(),
            budget: task.budget,
            lease_ms: Some(task.starts.ms_until(task.agreed_until())),
        }
    }
}

/// The effects that a scope names.
///
/// # Errors
/// A word that is none.
pub fn effects(scope: &str) -> Result<BTreeSet<Effect>, Refusal> {
    let effect = |word: &str| {
        let shown: String = word.chars().take(32).collect();
        Effect::ALL
            .into_iter()
            .find(|effect| effect.word() == word)
            .ok_or_else(|| Refusal::Scope(format!("expected effects as scope (read, write, send, ...), found '{shown}'")))
    };
    scope.split(' ').filter(|word| !word.is_empty()).map(effect).collect()
}

/// The scope that names these effects.
#[must_use]
pub fn scope(effects: &BTreeSet<Effect>) -> String {
    effects.iter().map(|effect| effect.word()).collect::<Vec<_>>().join(" ")
}
