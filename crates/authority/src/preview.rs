//! Proposed changes of who may see what, and what they would show to whom: one shape for the API, for the command line and for the report.
//!
//! Nothing here decides, and nothing is recorded: what a change would do is the judge's to compute.

#[cfg(test)]
mod tests;

use askama::Template;
use judge::decision::{Outcome, Reason};
use judge::directory::{DirectoryChange, DirectoryError};
use judge::moment::Moment;
use judge::name::{DecisionId, PrincipalId};
use judge::preview::{Exposure, Worst, judge_changes};
use judge::state::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::time::rfc3339;

/// Dots in the picture of people; when there are more people, each stands for several.
const DOTS_MAX: u64 = 240;
const DOTS_A_ROW: u64 = 30;
const DOT_STEP: u64 = 18;
/// Changes that the report spells out.
const CHANGES_SHOWN_MAX: usize = 50;
/// The longest value of a change in the report, in characters.
const VALUE_CHARS_MAX: usize = 300;

/// What is proposed, and the act of an agent whose words it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Taken together, in their order.
    pub changes: Vec<DirectoryChange>,
    /// The act, where there is one.
    pub because: Option<DecisionId>,
}

impl Proposal {
    /// Reads a list of changes, or an object with `changes` and `because`.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and where.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Because {
            changes: Vec<DirectoryChange>,
            because: Option<DecisionId>,
        }
        let is_object = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let said = |error: serde_json::Error| error.to_string();
        if is_object {
            let Because { changes, because } = serde_json::from_slice(text).map_err(said)?;
            return Ok(Self { changes, because });
        }
        Ok(Self { changes: serde_json::from_slice(text).map_err(said)?, because: None })
    }
}

/// Who proposes when nobody says.
#[must_use]
pub fn pipeline() -> PrincipalId {
    PrincipalId::parse("pipeline").expect("a short name")
}

/// What a proposal would show to whom, and what the norms say of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// Permit where no norm holds against it; otherwise a person decides, or nobody can allow it.
    pub decision: Outcome,
    /// Who would newly see what.
    pub exposure: Exposure,
    /// What the norms say.
    pub reasons: Vec<Reason>,
}

impl Preview {
    /// Looks at a proposal of `who`.
    ///
    /// # Errors
    /// Everything that is wrong with the changes.
    pub fn of(state: &State, who: &PrincipalId, proposal: &Proposal) -> Result<Self, Vec<DirectoryError>> {
        let (exposure, reasons) = judge_changes(state, who, &proposal.changes, proposal.because.as_ref())?;
        let decision = reasons.iter().map(|reason| reason.outcome).max().unwrap_or(Outcome::Permit);
        Ok(Self { decision, exposure, reasons })
    }

    /// The report: one page of HTML that needs nothing else, and runs nothing.
    #[must_use]
    pub fn html(&self, who: &PrincipalId, proposal: &Proposal, at: Moment) -> String {
        let Exposure { newcomers, uncleared_people, worst, .. } = &self.exposure;
        let report = Report {
            preview: self,
            exposure: &self.exposure,
            verdict: match self.decision {
                Outcome::Permit => "No norm holds against it",
                Outcome::Ask => "A person has to decide",
                Outcome::Deny => "It is refused",
            },
            who: who.as_str(),
            at: rfc3339(at.0),
            because: proposal.because.as_ref().map(ToString::to_string),
            people: Crowd::of(*newcomers, *uncleared_people),
            items: worst.iter().map(|worst| Bar::of(worst, *newcomers)).collect(),
            changes: proposal.changes.iter().take(CHANGES_SHOWN_MAX).map(Line::of).collect(),
            changes_left: proposal.changes.len().saturating_sub(CHANGES_SHOWN_MAX),
        };
        report.render().expect("it is written into memory, by what cannot fail")
    }
}

#[derive(Template)]
#[template(path = "preview.html")]
struct Report<'a> {
    preview: &'a Preview,
    exposure: &'a Exposure,
    verdict: &'static str,
    who: &'a str,
    at: String,
    because: Option<String>,
    people: Crowd,
    items: Vec<Bar<'a>>,
    changes: Vec<Line>,
    changes_left: usize,
}

impl Report<'_> {
    /// A number and its noun.
    fn count(&self, number: &u64, one: &str, many: &str) -> String {
        format!("{} {}", grouped(*number), if *number == 1 { one } else { many })
    }

    fn grouped(&self, number: &u64) -> String {
        grouped(*number)
    }
}

/// People as dots: who is not cleared comes first.
struct Crowd {
    dots: Vec<Dot>,
    /// How many people a dot stands for.
    each: u64,
    width: u64,
    height: u64,
}

struct Dot {
    x: u64,
    y: u64,
    is_cleared: bool,
}

impl Crowd {
    fn of(people: u64, uncleared: u64) -> Self {
        let each = people.div_ceil(DOTS_MAX).max(1);
        let (all, red) = (people.div_ceil(each), uncleared.div_ceil(each));
        let at = |number: u64| (number % DOTS_A_ROW * DOT_STEP + DOT_STEP / 2, number / DOTS_A_ROW * DOT_STEP + DOT_STEP / 2);
        let dots = (0..all).map(|number| Dot { x: at(number).0, y: at(number).1, is_cleared: number >= red }).collect();
        Self { dots, each, width: DOTS_A_ROW * DOT_STEP, height: all.div_ceil(DOTS_A_ROW).max(1) * DOT_STEP }
    }
}

/// One of the worst items, as a bar of those who would newly see it.
struct Bar<'a> {
    worst: &'a Worst,
    owner: &'a str,
    /// Of the whole width, in percent: who is not cleared, and who is.
    red: f64,
    blue: f64,
    sample: Vec<&'a str>,
    more: u64,
}

impl<'a> Bar<'a> {
    fn of(worst: &'a Worst, most: u64) -> Self {
        let percent = |part: u64| (part as f64 / most.max(1) as f64 * 1000.0).round() / 10.0;
        let sample: Vec<&str> = worst.sample.iter().map(PrincipalId::as_str).collect();
        Self {
            owner: worst.owner.as_ref().map_or("nobody", PrincipalId::as_str),
            red: percent(worst.uncleared),
            blue: percent(worst.newcomers.saturating_sub(worst.uncleared)),
            more: worst.uncleared.saturating_sub(sample.len() as u64),
            sample,
            worst,
        }
    }
}

/// A change, as its name and what it names.
struct Line {
    verb: String,
    parts: Vec<(String, String)>,
}

impl Line {
    fn of(change: &DirectoryChange) -> Self {
        let whole = serde_json::to_value(change).unwrap_or_default();
        let Some((verb, said)) = whole.as_object().and_then(|whole| whole.iter().next()) else {
            return Self { verb: whole.to_string(), parts: Vec::new() };
        };
        let parts = match said {
            Value::Object(said) => {
                let told = said.iter().filter(|(_, value)| !is_nothing(value));
                told.map(|(name, value)| (name.replace('_', " "), words(value))).collect()
            }
            other => vec![(String::new(), words(other))],
        };
        Self { verb: verb.replace('_', " "), parts }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// With a thin space between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
