//! Resource patterns: an exact name, or a prefix ending in `*`. Looked up by length, never scanned.

use imbl::{HashMap, OrdSet};
use std::sync::Arc;

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

/// Whether everything that `narrower` matches is matched by `pattern`.
#[must_use]
pub fn covers(pattern: &str, narrower: &str) -> bool {
    match (pattern.strip_suffix('*'), narrower.strip_suffix('*')) {
        (Some(prefix), Some(narrower)) => narrower.starts_with(prefix),
        (None, Some(_)) => false,
        (_, None) => matches(pattern, narrower),
    }
}

/// Values by pattern. Cloning shares everything; a change copies only what it touches.
#[derive(Debug, Clone)]
pub struct PatternMap<T> {
    exact: HashMap<Arc<str>, T>,
    prefixes: HashMap<Arc<str>, T>,
    /// Lengths of the prefixes in bytes: a look-up tries each once, longest first.
    lengths: OrdSet<usize>,
}

impl<T> Default for PatternMap<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), prefixes: HashMap::new(), lengths: OrdSet::new() }
    }
}

impl<T: Clone> PatternMap<T> {
    /// Adds a value; the one that the pattern had is given back.
    pub fn insert(&mut self, pattern: Arc<str>, value: T) -> Option<T> {
        match pattern.strip_suffix('*') {
            Some(prefix) => {
                self.lengths.insert(prefix.len());
                self.prefixes.insert(prefix.into(), value)
            }
            None => self.exact.insert(pattern, value),
        }
    }

    /// Takes the value of this very pattern away.
    pub fn remove(&mut self, pattern: &str) -> Option<T> {
        match pattern.strip_suffix('*') {
            Some(prefix) => self.prefixes.remove(prefix),
            None => self.exact.remove(pattern),
        }
    }

    /// The value of this very pattern.
    #[must_use]
    pub fn get(&self, pattern: &str) -> Option<&T> {
        match pattern.strip_suffix('*') {
            Some(prefix) => self.prefixes.get(prefix),
            None => self.exact.get(pattern),
        }
    }

    /// The value of this very pattern, to be changed.
    pub fn get_mut(&mut self, pattern: &str) -> Option<&mut T> {
        match pattern.strip_suffix('*') {
            Some(prefix) => self.prefixes.get_mut(prefix),
            None => self.exact.get_mut(pattern),
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

    /// How many patterns have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.prefixes.len()
    }

    /// Whether no pattern has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn prefixes_of(&self, name: &str) -> impl Iterator<Item = &T> {
        self.lengths.iter().rev().filter_map(|&length| name.get(..length)).filter_map(|prefix| self.prefixes.get(prefix))
    }
}

impl<T: Clone + Default> PatternMap<T> {
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
