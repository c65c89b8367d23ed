//! Where a text comes from: a JSONPath into a JSON value, put into a template, or a constant.
//! It refuses to guess: what is not text, climbs out of its folder, or matches nothing where something must be is an error.

use judge::act::NamedBy;
use serde_json::Value;
use serde_json_path::JsonPath;

/// How many texts one path may yield.
pub(crate) const TEXTS_MAX: usize = 10_000;

/// What a source looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// The part at hand: the arguments of a call, the part of a result that is an item, the result itself for what was made.
    Near,
    /// The arguments of the call.
    Arguments,
    /// The whole result.
    Result,
}

/// The values that sources look into.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) near: &'a Value,
    pub(crate) arguments: &'a Value,
    pub(crate) result: &'a Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Text(String),
    /// `{}`: the text found by the path.
    Found,
    /// `{$.…}`: exactly one more text.
    Path(JsonPath),
}

#[derive(Debug, Clone)]
pub(crate) enum Origin {
    Constant(String),
    Path {
        base: Base,
        path: JsonPath,
        written: String,
    },
    /// Only the template's own paths.
    Template {
        base: Base,
    },
}

/// Where a text, or several, come from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    pub(crate) template: Vec<Piece>,
    pub(crate) is_required: bool,
    /// What stands for it when nothing matches.
    pub(crate) otherwise: Option<String>,
    /// A path in a file system: brought into one form, and refused when it climbs.
    pub(crate) is_path: bool,
}

/// Why a source yields nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PickError {
    #[error("`{path}` matches nothing, and it must match")]
    Nothing { path: String },
    #[error("`{path}` must be text or a number, found {found}")]
    NotText { path: String, found: &'static str },
    #[error("`{path}` matches more than {TEXTS_MAX} texts")]
    TooMany { path: String },
    #[error("`{path}` is a path with `..` in it")]
    Climbs { path: String },
}

impl Source {
    /// Every text that this source yields.
    pub(crate) fn pick(&self, scope: Scope<'_>) -> Result<Vec<String>, PickError> {
        let texts = self.found(scope)?;
        match (texts.is_empty(), &self.otherwise) {
            (false, _) => Ok(texts),
            (true, Some(otherwise)) => Ok(vec![otherwise.clone()]),
            (true, None) if self.is_required => Err(PickError::Nothing { path: self.written() }),
            (true, None) => Ok(texts),
        }
    }

    fn found(&self, scope: Scope<'_>) -> Result<Vec<String>, PickError> {
        match &self.origin {
            Origin::Constant(text) => Ok(vec![text.clone()]),
            Origin::Path { base, path, written } => {
                let root = scope.root(*base);
                let mut texts = Vec::new();
                for node in path.query(root).iter() {
                    self.texts_of(node, root, written, &mut texts, true)?;
                    if texts.len() > TEXTS_MAX {
                        return Err(PickError::TooMany { path: written.clone() });
                    }
                }
                Ok(texts)
            }
            Origin::Template { base } => Ok(self.filled("", scope.root(*base))?.into_iter().collect()),
        }
    }

    /// Every text that the call itself yields: not what stands for it when nothing matches.
    pub(crate) fn called(&self, scope: Scope<'_>) -> Vec<String> {
        match &self.origin {
            Origin::Constant(_) => Vec::new(),
            Origin::Path { .. } | Origin::Template { .. } => self.found(scope).unwrap_or_default(),
        }
    }

    /// Who chooses what it yields, where `near` is a part of a result.
    pub(crate) fn named_by(&self) -> NamedBy {
        match &self.origin {
            Origin::Constant(_) => NamedBy::Contract,
            Origin::Path { base: Base::Arguments, .. } | Origin::Template { base: Base::Arguments } => NamedBy::Call,
            Origin::Path { base: Base::Near | Base::Result, .. } | Origin::Template { base: Base::Near | Base::Result } => {
                NamedBy::Server
            }
        }
    }

    /// The text, where there is no need to look.
    pub(crate) fn constant(&self) -> Option<&str> {
        match &self.origin {
            Origin::Constant(text) => Some(text),
            Origin::Path { .. } | Origin::Template { .. } => None,
        }
    }

    /// Reads the nodes themselves, for what is not text.
    pub(crate) fn nodes<'a>(&self, scope: Scope<'a>) -> Vec<&'a Value> {
        match &self.origin {
            Origin::Path { base, path, .. } => path.query(scope.root(*base)).all(),
            Origin::Constant(_) | Origin::Template { .. } => Vec::new(),
        }
    }

    /// What the text of a template begins with, before anything of the call.
    pub(crate) fn template_prefix(&self) -> Option<&str> {
        match self.template.first() {
            Some(Piece::Text(text)) if self.template.len() > 1 => Some(text),
            Some(_) | None => None,
        }
    }

    /// The path as it was written, for a message.
    pub(crate) fn written(&self) -> String {
        match &self.origin {
            Origin::Constant(text) => text.clone(),
            Origin::Path { written, .. } => written.clone(),
            Origin::Template { .. } => {
                let piece = |piece: &Piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Found => "{}".to_owned(),
                    Piece::Path(path) => format!("{{{path}}}"),
                };
                self.template.iter().map(piece).collect()
            }
        }
    }

    /// A list stands for its entries: servers take both `"bo"` and `["bo"]`.
    fn texts_of(
        &self,
        node: &Value,
        root: &Value,
        written: &str,
        texts: &mut Vec<String>,
        may_be_list: bool,
    ) -> Result<(), PickError> {
        let refuse = |found| Err(PickError::NotText { path: written.to_owned(), found });
        match node {
            Value::Null => Ok(()),
            Value::String(text) => {
                texts.extend(self.filled(text, root)?);
                Ok(())
            }
            Value::Number(number) => {
                texts.extend(self.filled(&number.to_string(), root)?);
                Ok(())
            }
            Value::Array(entries) if may_be_list => {
                entries.iter().try_for_each(|entry| self.texts_of(entry, root, written, texts, false))
            }
            Value::Array(_) => refuse("a list in a list"),
            Value::Bool(_) => refuse("true or false"),
            Value::Object(_) => refuse("an object"),
        }
    }

    /// The template with `found` put in. Nothing when one of its own paths matches nothing.
    fn filled(&self, found: &str, root: &Value) -> Result<Option<String>, PickError> {
        let found = self.in_form(found)?;
        if self.template.is_empty() {
            return Ok(Some(found));
        }
        let mut text = String::new();
        for piece in &self.template {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Found => text.push_str(&found),
                Piece::Path(path) => match path.query(root).at_most_one() {
                    Ok(Some(Value::String(one))) => text.push_str(&self.in_form(one)?),
                    Ok(Some(Value::Number(one))) => text.push_str(&one.to_string()),
                    Ok(None | Some(Value::Null)) => return Ok(None),
                    Ok(Some(Value::Bool(_) | Value::Array(_) | Value::Object(_))) | Err(_) => {
                        return Err(PickError::NotText { path: path.to_string(), found: "something else, or several" });
                    }
                },
            }
        }
        Ok(Some(text))
    }

    fn in_form(&self, text: &str) -> Result<String, PickError> {
        if self.is_path {
            plain_path(text).ok_or_else(|| PickError::Climbs { path: self.written() })
        } else {
            Ok(text.to_owned())
        }
    }
}

impl<'a> Scope<'a> {
    fn root(self, base: Base) -> &'a Value {
        match base {
            Base::Near => self.near,
            Base::Arguments => self.arguments,
            Base::Result => self.result,
        }
    }
}

/// The path without `.` and empty segments. `None` when a segment is `..`, in clear or percent-encoded (RFC 3986 §2.1), because what it
/// leads to depends on links that only the server sees.
pub(crate) fn plain_path(text: &str) -> Option<String> {
    let decoded = text.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    if decoded.split(['/', '\\']).any(|segment| segment == "..") {
        return None;
    }
    let segments: Vec<&str> = text.split('/').filter(|segment| !matches!(*segment, "" | ".")).collect();
    let root = if text.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", segments.join("/")))
}

/// A URI with at most one gap, written `{}`.
#[derive(Debug, Clone)]
pub(crate) struct UriPattern {
    pub(crate) prefix: String,
    pub(crate) suffix: Option<String>,
}

impl UriPattern {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once("{}") {
            Some((_, suffix)) if suffix.contains("{}") => None,
            Some((prefix, suffix)) => Some(Self { prefix: prefix.to_owned(), suffix: Some(suffix.to_owned()) }),
            None => Some(Self { prefix: text.to_owned(), suffix: None }),
        }
    }

    pub(crate) fn matches(&self, uri: &str) -> bool {
        self.gap(uri).is_some()
    }

    /// What stands in the gap; never nothing.
    pub(crate) fn gap<'u>(&self, uri: &'u str) -> Option<&'u str> {
        match &self.suffix {
            None => (uri == self.prefix).then_some(""),
            Some(suffix) => uri.strip_prefix(self.prefix.as_str())?.strip_suffix(suffix.as_str()).filter(|gap| !gap.is_empty()),
        }
    }

    pub(crate) fn fixed_bytes(&self) -> usize {
        self.prefix.len() + self.suffix.as_ref().map_or(usize::MAX / 2, String::len)
    }
}
