//! What was found, for a terminal.

use std::fmt::Write as _;

use ::trace::Figures;
use ::trace::run::{Judged, JudgedStep};
use anstyle::Style;

use super::Set;
use crate::render::{BAD, BOLD, DIM, GOOD, Table, WARN, count, head, printable};

/// How many traces a list shows; `--output json` has all.
const LISTED_MAX: usize = 60;
/// The longest sentence in a list, in characters.
const SENTENCE_CHARS_MAX: usize = 110;

/// Everything, as text.
pub fn text(sets: &[Set], together: &Figures) -> String {
    let mut out = String::new();
    out.push_str(&sums(sets, together));
    let rewritten: u64 = sets.iter().filter_map(|set| set.rewritten).sum();
    if sets.iter().any(|set| set.rewritten.is_some()) {
        let attacked = together.attacked.traces;
        let _ =
            writeln!(out, "{DIM}in {rewritten} of {attacked} attacked runs the attacker has an address of the carrier's{DIM:#}");
    }
    out.push_str(&norms(together));
    asked(&mut out, sets);
    silent(&mut out, sets);
    let decisions = &together.decisions;
    let _ = writeln!(
        out,
        "\n{DIM}{}: half within {} µs, 99 of 100 within {} µs, the longest {} µs{DIM:#}",
        count(decisions.count, "decision", "decisions"),
        decisions.p50_ns / 1000,
        decisions.p99_ns / 1000,
        decisions.max_ns / 1000
    );
    out
}

fn sums(sets: &[Set], together: &Figures) -> String {
    let mut table = Table::new(&["file", "benign", "prompt-free", "prompts", "refused", "attacked", "silent", "no effect"]);
    let mut row = |name: &str, figures: &Figures, style: Style| {
        let Figures { benign, attacked, .. } = figures;
        let share = |part: u64, of: u64| if of == 0 { "–".to_owned() } else { format!("{part} ({} %)", percent(part, of)) };
        let number = |number: u64, of: u64| if of == 0 { "–".to_owned() } else { number.to_string() };
        table.row(vec![
            (printable(name), style),
            (number(benign.traces, benign.traces), Style::new()),
            (share(benign.prompt_free, benign.traces), GOOD),
            (number(benign.prompts, benign.traces), if benign.prompts == 0 { GOOD } else { WARN }),
            (number(benign.refusals, benign.traces), if benign.refusals == 0 { GOOD } else { WARN }),
            (number(attacked.traces, attacked.traces), Style::new()),
            (share(attacked.silent, attacked.traces), if attacked.silent == 0 { GOOD } else { BAD }),
            (number(attacked.without_effect, attacked.traces), Style::new()),
        ]);
    };
    for set in sets {
        row(&short(&set.file), &set.figures, BOLD);
    }
    if sets.len() > 1 {
        row("together", together, DIM);
    }
    table.render()
}

fn norms(together: &Figures) -> String {
    if together.norms.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["norm", "benign steps", "wanted steps under attack", "injected steps"]);
    let mut rows: Vec<_> = together.norms.iter().collect();
    rows.sort_by_key(|(_, figures)| std::cmp::Reverse((figures.benign, figures.injected)));
    for (norm, figures) in rows {
        table.row(vec![
            (printable(norm), BOLD),
            (figures.benign.to_string(), if figures.benign == 0 { DIM } else { WARN }),
            (figures.wanted.to_string(), Style::new()),
            (figures.injected.to_string(), Style::new()),
        ]);
    }
    format!("\n{}", table.render())
}

fn asked(out: &mut String, sets: &[Set]) {
    let benign = sets.iter().flat_map(|set| &set.traces).filter(|trace| !trace.attacked);
    let found: Vec<(&Judged, &JudgedStep)> = benign.filter_map(|trace| Some((trace, trace.first_prompt()?))).collect();
    if found.is_empty() {
        return;
    }
    head(out, "Runs without an attack in which somebody would have been asked: the first time");
    for (trace, step) in found.iter().take(LISTED_MAX) {
        let _ =
            writeln!(out, "  {}: step {}, {} {}", printable(&trace.id), step.number, printable(&step.tool), step.answer.word());
        for reason in &step.reasons {
            let _ = writeln!(out, "    {WARN}{}{WARN:#} {}", reason.ground.word(), shortened(&reason.sentence));
        }
    }
    more(out, found.len());
}

fn silent(out: &mut String, sets: &[Set]) {
    let found: Vec<&Judged> = sets.iter().flat_map(|set| &set.traces).filter(|trace| trace.is_silent()).collect();
    if found.is_empty() {
        return;
    }
    head(out, "Attacks that nobody would have noticed");
    for trace in found.iter().take(LISTED_MAX) {
        let tools: Vec<String> = trace.attacks().map(|step| printable(&step.tool)).collect();
        let _ = writeln!(out, "  {BAD}{}{BAD:#}: {}", printable(&trace.id), tools.join(", "));
    }
    more(out, found.len());
}

fn more(out: &mut String, found: usize) {
    if found > LISTED_MAX {
        let _ = writeln!(out, "  {DIM}and {} more; --output json has all{DIM:#}", found - LISTED_MAX);
    }
}

/// The last two parts of a path, without its ending: what tells one file from another.
pub fn short(file: &str) -> String {
    let plain = file.strip_suffix(".jsonl").unwrap_or(file);
    let parts: Vec<&str> = plain.rsplit('/').take(2).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// Rounded to a whole percent.
pub fn percent(part: u64, of: u64) -> u64 {
    (part * 100 + of / 2).checked_div(of).unwrap_or(0)
}

/// On one line, and not too long.
pub fn shortened(sentence: &str) -> String {
    let text = printable(sentence);
    match text.char_indices().nth(SENTENCE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
