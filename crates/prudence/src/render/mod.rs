//! How things look on a terminal. Colours are written as escapes and taken out again by `anstream` wherever the output is no terminal.

mod ask;
mod event;

pub use ask::ask;
pub use event::{decision, line, observed};

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};
use judge::decision::Outcome;
use judge::moment::Moment;
use judge::task::Caller;

/// What went through.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What waits for somebody.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// What was stopped, or is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is there to be looked up.
pub const DIM: Style = Style::new().dimmed();
/// What to see first.
pub const BOLD: Style = Style::new().bold();

/// Whether standard error takes colours.
pub fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// The colour of an answer.
pub fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Permit => GOOD,
        Outcome::Ask => WARN,
        Outcome::Deny => BAD,
    }
}

/// A moment, to the second, in UTC.
pub fn moment(moment: Moment) -> String {
    timestamp(moment).map_or_else(|| format!("{} ms", moment.0), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A moment as RFC 3339, for programs.
pub fn rfc3339(moment: Moment) -> String {
    wire::time::rfc3339(moment.0)
}

fn timestamp(moment: Moment) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(moment.0).ok()?).ok()
}

/// How far `end` is from `now`, in its largest unit.
pub fn distance(now: Moment, end: Moment) -> String {
    let (ms, past) = if end >= now { (now.ms_until(end), false) } else { (end.ms_until(now), true) };
    let text = match ms / 1000 {
        s if s < 120 => format!("{s} s"),
        s if s < 7200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    };
    if past { format!("{text} ago") } else { format!("in {text}") }
}

/// Bytes as people read them.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=9_999_999 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// The chain, with who acts for whom: `bo → helper`.
pub fn chain(caller: &Caller) -> String {
    caller.chain.iter().map(|id| printable(id.as_str())).collect::<Vec<_>>().join(" → ")
}

/// `1 thing`, `2 things`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Names in a row; nothing is a dash.
pub fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let list = names.into_iter().map(|name| printable(name.as_ref())).collect::<Vec<_>>().join(", ");
    if list.is_empty() { "–".to_owned() } else { list }
}

/// Text that others wrote, with what would steer a terminal made visible. What it says was checked elsewhere, but a record can be old.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_direction(c) { '\u{fffd}' } else { c }).collect()
}

/// Characters that change the order in which text is shown, so that it reads as what it is not.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns, aligned by what is seen: each cell has its text and its style.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// A table with these heads.
    pub fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<(String, Style)>) {
        self.rows.push(cells);
    }

    /// As text, one line a row; the last column is as long as it is.
    pub fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| text.chars().count());
            cells.chain([self.head[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut out = String::new();
        let mut line = |cells: Vec<(&str, Style)>| {
            for (column, (text, style)) in cells.iter().enumerate() {
                let _ = write!(out, "{style}{text}{style:#}");
                if column + 1 < cells.len() {
                    let pad = widths[column].saturating_sub(text.chars().count()) + 2;
                    let _ = write!(out, "{:pad$}", "");
                }
            }
            out.push('\n');
        };
        line(self.head.iter().map(|head| (*head, DIM)).collect());
        for row in &self.rows {
            line(row.iter().map(|(text, style)| (text.as_str(), *style)).collect());
        }
        out
    }
}

/// A block of named values, aligned, indented by two.
pub fn pairs(out: &mut String, pairs: &[(&str, String)]) {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in pairs {
        let pad = width - name.chars().count();
        let _ = writeln!(out, "  {DIM}{name}{DIM:#}{:pad$}  {value}", "");
    }
}

/// A head of a part.
pub fn head(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n{BOLD}{text}{BOLD:#}");
}
