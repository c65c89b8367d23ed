//! Resource patterns: an exact name, or a prefix ending in `*`. Looked up by length, never scanned.

use std::collections::{BTreeSet, HashMap};

/// Whether a star, if there is one, stands at the end.
#[must_use]
pub fn is_valid(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.find('*').is_none_or(|at| at + 1 == pattern.len())
}

/// Whether `name` is what `pattern` says.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

/// Values by pattern.
#[derive(Debug, Clone)]
pub struct PatternMap<T> {
    exact: HashMap<Box<str>, T>,
    prefixes: HashMap<Box<str>, T>,
    /// Lengths of the prefixes in bytes: a look-up tries each once, longest first.
    lengths: BTreeSet<usize>,
}

impl<T> Default for PatternMap<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), prefixes: HashMap::new(), lengths: BTreeSet::new() }
    }
}

impl<T> PatternMap<T> {
    /// Adds a value; false when the pattern has one already (which is replaced).
    pub fn insert(&mut self, pattern: &str, value: T) -> bool {
        match pattern.strip_suffix('*') {
            Some(prefix) => {
                self.lengths.insert(prefix.len());
                self.prefixes.insert(prefix.into(), value).is_none()
            }
            None => self.exact.insert(pattern.into(), value).is_none(),
        }
    }

    /// The value of the exact name, else of the longest prefix.
    #[must_use]
    pub fn best(&self, name: &str) -> Option<&T> {
        self.exact.get(name).or_else(|| self.prefixes_of(name).next())
    }

    /// Every value whose pattern the name matches.
    pub fn each<'a>(&'a self, name: &str, found: impl FnMut(&'a T)) {
        self.exact.get(name).into_iter().chain(self.prefixes_of(name)).for_each(found);
    }

    fn prefixes_of(&self, name: &str) -> impl Iterator<Item = &T> {
        self.lengths.iter().rev().filter_map(|&length| name.get(..length)).filter_map(|prefix| self.prefixes.get(prefix))
    }
}

impl<T: Default> PatternMap<T> {
    /// The value of this very pattern, made when there is none.
    pub fn entry(&mut self, pattern: &str) -> &mut T {
        match pattern.strip_suffix('*') {
            Some(prefix) => {
                self.lengths.insert(prefix.len());
                self.prefixes.entry(prefix.into()).or_default()
            }
            None => self.exact.entry(pattern.into()).or_default(),
        }
    }
}
