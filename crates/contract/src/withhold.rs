//! Taking exactly what is kept back out of a result, items and sensitive fields of items, wherever they stand in it, and leaving a notice that a model
//! can read.

use crate::layout::{Block, Document, Layout, Node, ReadResult, emptied};
use judge::observe::KeptBack;
use serde_json::{Value, json};

/// What was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// How many items.
    pub parts: usize,
    /// How many items are left without their sensitive fields.
    pub masked: usize,
    /// Whether anything of the result is left.
    pub is_empty: bool,
    /// The notice that stands in the result.
    pub notice: String,
}

impl ReadResult {
    /// Takes what is kept back out of `result`, which must be the one that was read, and leaves a notice that names `person`. Where that is nothing,
    /// nothing changes. A sensitive field is replaced by [`MASKED`].
    ///
    /// A text block that is the same JSON is cut the same way; one that merely may repeat what is withheld is replaced as a whole.
    /// Structured content that no longer is what the tool's output schema promises is dropped, and the result marked as an error (which is
    /// exempt from the schema, MCP 2025-11-25, tools, structured content): its text then holds what is left.
    pub fn withhold(&self, result: &mut Value, kept: &KeptBack, person: &str) -> Redaction {
        let is_withheld: Vec<bool> = self.items.iter().map(|item| kept.withheld.contains(&item.id)).collect();
        let is_masked: Vec<bool> = self.items.iter().map(|item| kept.masked.contains(&item.id)).collect();
        let count = |items: &[bool]| items.iter().filter(|is_kept| **is_kept).count();
        let (parts, masked) = (count(&is_withheld), count(&is_masked));
        let notice = [
            match parts {
                0 => None,
                1 => Some(format!("1 part withheld: {person} is not cleared for it")),
                more => Some(format!("{more} parts withheld: {person} is not cleared for them")),
            },
            match masked {
                0 => None,
                1 => Some("1 part is shown without its sensitive fields".to_owned()),
                more => Some(format!("{more} parts are shown without their sensitive fields")),
            },
        ];
        let notice = notice.into_iter().flatten().collect::<Vec<_>>().join("; ");
        if notice.is_empty() {
            return Redaction { parts, masked, is_empty: false, notice };
        }
        let is_withheld = self.by_owner(&is_withheld);
        let own = self.items.len() - self.layout.also.len();
        let is_empty = is_withheld[..own].iter().all(|withheld| *withheld);
        let cut = Cut { read: self, is_withheld, is_masked: self.by_owner(&is_masked) };
        cut.envelope(result);
        if self.layout.document == Document::Contents {
            cut.contents(result, &notice);
        } else {
            cut.tool_result(result, &notice);
        }
        Redaction { parts, masked, is_empty, notice }
    }

    /// What holds of items, of the parts that they are: one with several ids is as sensitive as each of them.
    fn by_owner(&self, items: &[bool]) -> Vec<bool> {
        let Layout { rest, also, .. } = &self.layout;
        let mut owners = vec![false; rest + 1];
        let own = items.len() - also.len();
        owners[..own].copy_from_slice(&items[..own]);
        for (owner, item) in also {
            owners[*owner] |= items[*item];
        }
        owners
    }
}

/// What stands in the place of a sensitive field.
pub const MASKED: &str = "[masked]";

struct Cut<'r> {
    read: &'r ReadResult,
    /// By owner.
    is_withheld: Vec<bool>,
    is_masked: Vec<bool>,
}

impl Cut<'_> {
    fn is_withheld(&self, owner: usize) -> bool {
        self.is_withheld.get(owner).copied().unwrap_or(false)
    }

    fn outermost(&self) -> usize {
        self.read.layout.root.owner.unwrap_or(self.read.layout.rest)
    }

    /// Members beside the data belong to nobody in particular: only what the protocol itself needs stays.
    fn envelope(&self, result: &mut Value) {
        let Some(members) = result.as_object_mut() else { return };
        members.retain(|name, _| {
            matches!(name.as_str(), "content" | "contents" | "structuredContent" | "isError" | "resultType" | "_meta")
        });
        if let Some(meta) = members.get_mut("_meta").and_then(Value::as_object_mut) {
            meta.retain(|name, _| name == "io.modelcontextprotocol/related-task");
        }
    }

    fn contents(&self, result: &mut Value, notice: &str) {
        let mut is_whole = true;
        let uri = result.pointer("/contents/0/uri").cloned().unwrap_or_else(|| json!("withheld:"));
        let contents = result.get_mut("contents").map(Value::take).unwrap_or_default();
        let left = self.pruned(contents, Some(&self.read.layout.root), self.outermost(), &mut is_whole);
        let mut parts = match left {
            Some(Value::Array(parts)) => parts,
            Some(_) | None => Vec::new(),
        };
        parts.push(json!({ "uri": uri, "mimeType": "text/plain", "text": notice }));
        result["contents"] = Value::Array(parts);
    }

    fn tool_result(&self, result: &mut Value, notice: &str) {
        let mut is_whole = true;
        let document = match self.read.layout.document {
            Document::Structured => result.get_mut("structuredContent").map(Value::take),
            Document::Block(index) => {
                result.pointer(&format!("/content/{index}/text")).and_then(Value::as_str).and_then(crate::strict::document)
            }
            Document::Words | Document::Contents => None,
        };
        let left = document.map(|document| {
            let nothing = emptied(&document);
            self.pruned(document, Some(&self.read.layout.root), self.outermost(), &mut is_whole).unwrap_or_else(|| {
                is_whole = false;
                nothing
            })
        });
        let text = left.as_ref().map(Value::to_string);
        let blocks = match result.get_mut("content").map(Value::take) {
            Some(Value::Array(blocks)) => blocks,
            Some(_) | None => Vec::new(),
        };
        let mut kept: Vec<Value> = Vec::new();
        for (block, owner) in blocks.into_iter().zip(&self.read.layout.blocks) {
            match (owner, &text) {
                (Block::Copy, Some(text)) => kept.push(json!({ "type": "text", "text": text })),
                (Block::Copy, None) => {}
                (Block::Of(owner), _) if self.is_exact(*owner) => kept.push(block),
                (Block::Of(_), _) => {}
            }
        }
        let structured = self.read.layout.document == Document::Structured;
        if structured && !is_whole {
            let is_told = self.read.layout.blocks.contains(&Block::Copy);
            if let Some(text) = text.filter(|_| !is_told) {
                kept.push(json!({ "type": "text", "text": text }));
            }
            if let Some(members) = result.as_object_mut() {
                members.remove("structuredContent");
                members.insert("isError".to_owned(), Value::Bool(true));
            }
        } else if let Some(left) = left.filter(|_| structured) {
            result["structuredContent"] = left;
        }
        kept.push(json!({ "type": "text", "text": notice }));
        result["content"] = Value::Array(kept);
    }

    /// A block beside the document may repeat, in other words, what is kept back. It stays only where it is a verbatim part of an item of which
    /// nothing is.
    fn is_exact(&self, owner: usize) -> bool {
        !self.is_withheld(owner) && !self.is_masked(owner) && owner != self.outermost()
    }

    fn is_masked(&self, owner: usize) -> bool {
        self.is_masked.get(owner).copied().unwrap_or(false)
    }

    fn pruned(&self, value: Value, node: Option<&Node>, around: usize, is_whole: &mut bool) -> Option<Value> {
        let owner = node.and_then(|node| node.owner).unwrap_or(around);
        let is_withheld = self.is_withheld(owner);
        if node.and_then(|node| node.field_of).is_some_and(|item| self.is_masked(item)) && !is_withheld {
            // A schema that promises a number is not kept by this.
            *is_whole &= value.is_string();
            return Some(json!(MASKED));
        }
        match value {
            Value::Array(entries) => {
                let left: Vec<Value> = entries
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, entry)| {
                        self.pruned(entry, node.and_then(|node| node.entries.get(&index)), owner, is_whole)
                    })
                    .collect();
                (!is_withheld || !left.is_empty()).then_some(Value::Array(left))
            }
            Value::Object(members) => {
                let before = members.len();
                let left: serde_json::Map<String, Value> = members
                    .into_iter()
                    .filter_map(|(name, value)| {
                        let value = self.pruned(value, node.and_then(|node| node.members.get(&name)), owner, is_whole)?;
                        Some((name, value))
                    })
                    .collect();
                if is_withheld && left.is_empty() {
                    return None;
                }
                *is_whole &= left.len() == before;
                Some(Value::Object(left))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (!is_withheld).then_some(value),
        }
    }
}
