//! A long table in pages, by number. Cloning it shares every page, and a change copies the page that it touches and the way there.
//!
//! A look-up follows three references whatever the length, and all but the last of them stay in the processor's cache. Entries are only ever
//! added at the end.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Entries of a page: what a change copies.
const PAGE: usize = 64;
/// Pages of a chapter.
const CHAPTER: usize = 256;

type Page<T> = Arc<[Option<T>; PAGE]>;

#[derive(Debug, Clone)]
pub(super) struct Pages<T> {
    chapters: Arc<Vec<Arc<Vec<Page<T>>>>>,
    len: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { chapters: Arc::default(), len: 0 }
    }
}

impl<T> Pages<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.chapters.get(at / PAGE / CHAPTER)?.get(at / PAGE % CHAPTER)?[at % PAGE].as_ref()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chapters.iter().flat_map(|chapter| chapter.iter()).flat_map(|page| page.iter().flatten())
    }
}

impl<T: Clone> Pages<T> {
    pub(super) fn push(&mut self, entry: T) {
        let at = self.len;
        if at.is_multiple_of(PAGE) {
            let chapters = Arc::make_mut(&mut self.chapters);
            if at.is_multiple_of(PAGE * CHAPTER) {
                chapters.push(Arc::default());
            }
            Arc::make_mut(&mut chapters[at / PAGE / CHAPTER]).push(Arc::new([const { None }; PAGE]));
        }
        *self.slot(at) = Some(entry);
        self.len += 1;
    }

    /// Puts another entry in place of one, and gives that back.
    pub(super) fn set(&mut self, at: usize, entry: T) -> T {
        std::mem::replace(&mut self[at], entry)
    }

    fn slot(&mut self, at: usize) -> &mut Option<T> {
        let chapter = &mut Arc::make_mut(&mut self.chapters)[at / PAGE / CHAPTER];
        let page = &mut Arc::make_mut(chapter)[at / PAGE % CHAPTER];
        &mut Arc::make_mut(page)[at % PAGE]
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        self.get(at).expect("there is such an entry")
    }
}

impl<T: Clone> IndexMut<usize> for Pages<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        self.slot(at).as_mut().expect("there is such an entry")
    }
}
