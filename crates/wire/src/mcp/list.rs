//! Lists: items are kept or left out as they came, and a list that was made for one caller says that it is for nobody else.

use serde_json::value::RawValue;

use crate::frame::{Edit, Frame, Limits, SpliceError};

/// A list that a server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `tools/list`
    Tools,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
    /// `prompts/list`
    Prompts,
    /// `tasks/list`, up to 2025-11-25
    Tasks,
}

impl List {
    /// The member of `result` that holds the items.
    pub fn member(self) -> &'static str {
        match self {
            List::Tools => "tools",
            List::Resources => "resources",
            List::ResourceTemplates => "resourceTemplates",
            List::Prompts => "prompts",
            List::Tasks => "tasks",
        }
    }

    fn pointer(self) -> String {
        format!("/result/{}", self.member())
    }
}

/// Why a list cannot be filtered. It is then not to be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The result has no such array.
    #[error("expected an array `{member}` in the result")]
    NoItems {
        /// Its name.
        member: &'static str,
    },
    /// The edit failed.
    #[error(transparent)]
    Edit(#[from] SpliceError),
}

/// Keeps the items for which `keep` answers with a text: the item's own, or an edited one (a tool's name with its namespace, say). Every
/// byte outside of the array stays, `nextCursor` and unknown members included.
pub fn keep_items(
    frame: &Frame,
    list: List,
    limits: &Limits,
    mut keep: impl FnMut(&str) -> Option<String>,
) -> Result<Frame, ListError> {
    let no_items = ListError::NoItems { member: list.member() };
    let pointer = list.pointer();
    let array = frame.at(&pointer).ok_or_else(|| no_items.clone())?;
    let items: Vec<&RawValue> = serde_json::from_str(array).map_err(|_| no_items)?;
    let kept: Vec<String> = items.into_iter().filter_map(|item| keep(item.get())).collect();
    Ok(frame.splice(&pointer, &format!("[{}]", kept.join(",")), limits)?)
}

/// Says that a result is for this caller alone and already stale (2026-07-28 `server/utilities/caching`): `cacheScope: "private"`,
/// `ttlMs: 0`. For a frame without a result, or one that only asks for input, nothing changes.
///
/// Older revisions have no such members; there an unknown member of a result is passed over by its readers, so the caller may leave this out.
pub fn make_private(frame: &Frame, limits: &Limits) -> Result<Frame, SpliceError> {
    match super::result_type(frame).as_deref() {
        Some("complete") => {
            frame.edit(&[Edit::Set("/result/cacheScope", r#""private""#), Edit::Set("/result/ttlMs", "0")], limits)
        }
        Some(_) | None => Ok(frame.clone()),
    }
}
