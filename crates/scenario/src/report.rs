//! What was expected, what was found, and whether that is the same: for programs and for people.
//!
//! A right answer for a wrong reason is a difference.

use judge::decision::Outcome;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// What a file expects of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// The answer; of a repeated step the last one.
    pub decision: Outcome,
    /// Norms and codes that must be among the reasons.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub norms: BTreeSet<String>,
    /// Exactly the items that are withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<BTreeSet<String>>,
    /// Pairs of a person and an item that become visible to somebody who is not cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncleared_pairs: Option<u64>,
    /// How many times a repeated step goes through before it is stopped, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// Obligations that must be among those found.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub obligations: BTreeSet<String>,
    /// Whether the task is frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
    /// The alarm that is raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
}

impl Expected {
    pub(crate) fn just(decision: Outcome) -> Self {
        Self {
            decision,
            norms: BTreeSet::new(),
            withheld: None,
            uncleared_pairs: None,
            at_most: None,
            obligations: BTreeSet::new(),
            frozen: None,
            alarm: None,
        }
    }

    /// Whether the file says `permit` and nothing else.
    fn is_just_permit(&self) -> bool {
        *self == Self::just(Outcome::Permit)
    }

    /// What of this was not found.
    pub(crate) fn differences(&self, found: &Found) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differ = |text: String| differences.push(text);
        if self.decision != found.decision {
            differ(format!("expected {}, found {}", self.decision.word(), found.decision.word()));
        }
        for norm in self.norms.difference(&found.norms) {
            differ(format!("`{norm}` is not among the reasons"));
        }
        if let Some(withheld) = &self.withheld
            && *withheld != found.withheld
        {
            differ(format!("withheld expected: {}; found: {}", list(withheld), list(&found.withheld)));
        }
        if let Some(pairs) = self.uncleared_pairs
            && found.uncleared_pairs != Some(pairs)
        {
            let found = found.uncleared_pairs.map_or_else(|| "no preview".to_owned(), |pairs| pairs.to_string());
            differ(format!("uncleared pairs expected: {pairs}; found: {found}"));
        }
        for obligation in self.obligations.difference(&found.obligations) {
            differ(format!("obligation `{obligation}` is missing"));
        }
        let is_as_expected = match self.alarm.as_deref() {
            None => true,
            Some("true") => found.alarm.is_some(),
            Some("false") => found.alarm.is_none(),
            Some(word) => found.alarm == Some(word),
        };
        if !is_as_expected {
            let expected = self.alarm.as_deref().unwrap_or_default();
            differ(format!("alarm expected: {expected}; found: {}", found.alarm.unwrap_or("none")));
        }
        if let Some(frozen) = self.frozen
            && found.frozen != frozen
        {
            differ(if frozen { "the task is not frozen".to_owned() } else { "the task is frozen".to_owned() });
        }
        if let Some(most) = self.at_most
            && found.permits > most
        {
            differ(format!("went through {} times, at most {most} expected", found.permits));
        }
        if self.is_just_permit() {
            if found.asked {
                differ("a person was asked, and nobody should be".to_owned());
            }
            if found.permits < found.times {
                differ(format!("went through {} of {} times", found.permits, found.times));
            }
            if !found.withheld.is_empty() {
                differ(format!("withheld: {}", list(&found.withheld)));
            }
        }
        differences
    }
}

/// What was found at a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The answer; of a repeated step the last one.
    pub decision: Outcome,
    /// Norms and codes among the reasons.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub norms: BTreeSet<String>,
    /// Items that the chain did not get.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<String>,
    /// Pairs of a person and an item that would become visible to somebody who is not cleared, where the act changes who may see something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncleared_pairs: Option<u64>,
    /// What must be done when it goes through.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub obligations: BTreeSet<String>,
    /// The alarm that was raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<&'static str>,
    /// Whether a breaker keeps the chain from going on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// Whether a question to a person came of it.
    pub asked: bool,
    /// How many times it was tried.
    pub times: u64,
    /// How many times it went through.
    pub permits: u64,
}

impl Found {
    /// Nothing but an answer, to something that is no act.
    pub(crate) fn answer(decision: Outcome, norms: BTreeSet<String>) -> Self {
        Self {
            decision,
            norms,
            withheld: BTreeSet::new(),
            uncleared_pairs: None,
            obligations: BTreeSet::new(),
            alarm: None,
            frozen: false,
            asked: false,
            times: 1,
            permits: u64::from(decision == Outcome::Permit),
        }
    }
}

/// Whether a step went as the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "because")]
pub enum Verdict {
    /// It did.
    Passed,
    /// It did not, for each of these differences.
    Failed(Vec<String>),
    /// It is not judged: something that happens to the world, or a run with the grants alone.
    Unjudged,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// From 1.
    pub number: usize,
    /// Milliseconds from the start of the scenario.
    pub at_ms: u64,
    /// What was done, in one line.
    pub what: String,
    /// What the file expects.
    pub expected: Expected,
    /// What was found; nothing where the step was not carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// The sentences behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// How the two compare.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// A run of one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The scenario's id.
    pub scenario: String,
    /// What it is about.
    pub about: String,
    /// Whether the grants decided alone.
    pub baseline: bool,
    /// What a reader should know about the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Every step.
    pub steps: Vec<StepReport>,
}

impl Report {
    /// Steps that differ from what the file expects.
    pub fn failed(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| matches!(step.verdict, Verdict::Failed(_)))
    }

    /// Steps that went as the file says.
    pub fn passed(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| step.verdict == Verdict::Passed)
    }

    /// Acts that went through although the file expects that they do not, or that gave out what the file expects to be withheld.
    pub fn let_through(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| {
            step.found.as_ref().is_some_and(|found| {
                let gives_out = step.expected.withheld.as_ref().is_some_and(|withheld| !withheld.is_subset(&found.withheld));
                found.decision == Outcome::Permit && (step.expected.decision != Outcome::Permit || gives_out)
            })
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grants = if self.baseline { " (grants alone)" } else { "" };
        writeln!(f, "{}{grants}: {}", self.scenario, self.about)?;
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        for step in &self.steps {
            step.fmt(f)?;
        }
        if self.baseline {
            let count = self.let_through().count();
            return writeln!(
                f,
                "  {count} {} let through that Prudence is expected to stop",
                plural(count, "step was", "steps were")
            );
        }
        writeln!(f, "  {} passed, {} failed", self.passed().count(), self.failed().count())
    }
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match &self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "FAILED",
            Verdict::Unjudged => "",
        };
        let line = format!("{:>4}  {:>8}  {:<7}  {}", self.number, span(self.at_ms), mark, self.what);
        writeln!(f, "{}", line.trim_end())?;
        const INDENT: &str = "                         ";
        if let Some(found) = &self.found {
            let same = self.expected.decision == found.decision
                && self.expected.norms == found.norms
                && self.expected.withheld.is_none();
            if !same {
                writeln!(f, "{INDENT}expected {}", self.expected)?;
            }
            writeln!(f, "{INDENT}found    {found}")?;
        } else if matches!(self.verdict, Verdict::Failed(_)) {
            writeln!(f, "{INDENT}expected {}", self.expected)?;
        }
        for reason in &self.reasons {
            writeln!(f, "{INDENT}· {reason}")?;
        }
        match &self.verdict {
            Verdict::Failed(differences) => {
                for difference in differences {
                    writeln!(f, "{INDENT}≠ {difference}")?;
                }
            }
            Verdict::Passed | Verdict::Unjudged => {}
        }
        Ok(())
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.decision.word())?;
        named(f, &self.norms)?;
        if let Some(withheld) = &self.withheld {
            write!(f, "; withheld: {}", list(withheld))?;
        }
        if let Some(pairs) = self.uncleared_pairs {
            write!(f, "; uncleared pairs: {pairs}")?;
        }
        if let Some(most) = self.at_most {
            write!(f, "; through at most {most} times")?;
        }
        if !self.obligations.is_empty() {
            write!(f, "; obligations: {}", list(&self.obligations))?;
        }
        if let Some(frozen) = self.frozen {
            write!(f, "; {}", if frozen { "frozen" } else { "not frozen" })?;
        }
        if let Some(alarm) = &self.alarm {
            write!(f, "; alarm: {alarm}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.decision.word())?;
        named(f, &self.norms)?;
        if !self.withheld.is_empty() {
            write!(f, "; withheld: {}", list(&self.withheld))?;
        }
        if self.times > 1 {
            write!(f, "; through {} of {} times", self.permits, self.times)?;
        }
        if !self.obligations.is_empty() {
            write!(f, "; obligations: {}", list(&self.obligations))?;
        }
        if let Some(alarm) = self.alarm {
            write!(f, "; alarm: {alarm}")?;
        }
        Ok(())
    }
}

fn named(f: &mut fmt::Formatter<'_>, norms: &BTreeSet<String>) -> fmt::Result {
    if norms.is_empty() { Ok(()) } else { write!(f, " ({})", list(norms)) }
}

fn list(words: &BTreeSet<String>) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.iter().map(String::as_str).collect::<Vec<_>>().join(", ") }
}

fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

fn span(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}
