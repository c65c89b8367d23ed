//! What is wrong in a file, and how it is shown: the message, the place with its line, and what would help.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde_json::{Value, json};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was expected and what was found.
    pub message: String,
    /// What would help.
    pub help: Option<String>,
    /// Where in the file, in bytes; nothing when it is about the file as a whole, or about another.
    pub span: Option<Range<usize>>,
}

impl Problem {
    /// A problem without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: None }
    }

    /// That a file (`what` says which) cannot be read, in words instead of the system's where it is the usual reason.
    pub fn unreadable(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.display();
        Self::new(match error.kind() {
            ErrorKind::NotFound => format!("there is no {what} `{path}`"),
            ErrorKind::PermissionDenied => format!("the {what} `{path}` may not be read by this user"),
            ErrorKind::NotADirectory | ErrorKind::IsADirectory => format!("`{path}` is no {what}"),
            ErrorKind::InvalidData => format!("the {what} `{path}` is not text in UTF-8"),
            _ => format!("the {what} `{path}` cannot be read: {error}"),
        })
    }

    /// With its place.
    #[must_use]
    pub fn at(self, span: Option<Range<usize>>) -> Self {
        Self { span, ..self }
    }

    /// With what would help.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A file, and everything that is wrong in it.
#[derive(Debug, Clone)]
pub struct Troubled {
    /// Its name, as people know it.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
    /// What is wrong, in the order in which it stands there.
    pub problems: Vec<Problem>,
}

/// Everything that is wrong with a configuration, file by file.
#[derive(Debug, Clone, Default)]
pub struct Problems(pub Vec<Troubled>);

impl Problems {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.iter().map(|file| file.problems.len()).sum()
    }

    /// Notes what is wrong in a file, if anything is.
    pub fn add(&mut self, name: &str, text: &Arc<str>, mut problems: Vec<Problem>) {
        if problems.is_empty() {
            return;
        }
        problems.sort_by_key(|problem| problem.span.as_ref().map_or(usize::MAX, |span| span.start));
        match self.0.iter_mut().find(|file| file.name == name) {
            Some(file) => {
                file.problems.extend(problems);
                file.problems.sort_by_key(|problem| problem.span.as_ref().map_or(usize::MAX, |span| span.start));
            }
            None => self.0.push(Troubled { name: name.to_owned(), text: Arc::clone(text), problems }),
        }
    }

    /// For people: each with the lines around it.
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(120).with_context_lines(1);
        let mut out = String::new();
        for file in &self.0 {
            let source = NamedSource::new(&file.name, file.text.to_string());
            for problem in &file.problems {
                let shown = Shown { problem, source: &source };
                // Writing to a string does not fail; a report that could not be drawn still says what it is about.
                if handler.render_report(&mut out, &shown).is_err() {
                    out.push_str(&problem.message);
                    out.push('\n');
                }
            }
        }
        let count = self.count();
        out.push_str(&format!("{count} problem{}\n", if count == 1 { "" } else { "s" }));
        out
    }

    /// For programs: file, line, column (both from 1), message, help.
    pub fn json(&self) -> Value {
        let problems: Vec<Value> = self
            .0
            .iter()
            .flat_map(|file| {
                file.problems.iter().map(|problem| {
                    let place = problem.span.as_ref().map(|span| line_and_column(&file.text, span.start));
                    json!({
                        "file": file.name,
                        "line": place.map(|(line, _)| line),
                        "column": place.map(|(_, column)| column),
                        "message": problem.message,
                        "help": problem.help,
                    })
                })
            })
            .collect();
        json!({ "problems": problems })
    }
}

/// The line and the column of a byte, both from 1; columns count characters.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    (line, column)
}

struct Shown<'p> {
    problem: &'p Problem,
    source: &'p NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)?;
        match self.problem.span {
            Some(_) => Ok(()),
            None => write!(f, " ({})", self.source.name()),
        }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problem.span.as_ref().map(|_| self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone()?;
        // A whole table is pointed at by its first line.
        let text = self.source.inner();
        let length = text.get(span.clone()).map_or(0, |inside| inside.lines().next().map_or(0, str::len));
        Some(Box::new(std::iter::once(LabeledSpan::underline((span.start, length)))))
    }
}
