//! A first contract file from what a server says of itself, for a person to correct. Every guess is marked, and leans to the strict side:
//! a hint of the server may add an effect, and never takes one away.

use crate::layout::is_field_name;
use judge::effect::Effect;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How many tools a draft covers.
const TOOLS_MAX: usize = 1_000;
/// How much of a description is quoted, in characters.
const QUOTE_CHARS_MAX: usize = 160;
/// An amount that no budget covers: the largest whole number that every reader of JSON agrees on.
const AMOUNT_UNKNOWN: &str = "9007199254740991";

/// Words in names and descriptions of tools, and what they mean when they mean the worst.
const VERBS: [(&[&str], &[Effect]); 9] = [
    (
        &[
            "get", "list", "read", "search", "find", "fetch", "show", "describe", "query", "lookup", "view", "count", "tree",
            "info", "download",
        ],
        &[Effect::Read],
    ),
    (&["calculate", "compute", "convert", "format", "validate", "hash"], &[Effect::Compute]),
    (
        &[
            "create", "add", "update", "edit", "set", "write", "put", "append", "upload", "save", "insert", "rename", "copy",
            "patch", "mark", "close", "open",
        ],
        &[Effect::Write],
    ),
    (&["move", "replace", "overwrite"], &[Effect::Write, Effect::Destroy]),
    (&["send", "mail", "email", "message", "notify", "forward", "invite", "dm"], &[Effect::Send]),
    (&["post", "publish", "reply", "comment", "announce", "broadcast", "tweet"], &[Effect::Publish]),
    (
        &["share", "grant", "permit", "invite", "member", "members", "role", "access", "permission", "permissions", "visibility"],
        &[Effect::Widen],
    ),
    (
        &["delete", "remove", "drop", "purge", "destroy", "truncate", "clear", "wipe", "kill", "cancel", "revoke"],
        &[Effect::Destroy],
    ),
    (&["run", "exec", "execute", "shell", "command", "eval", "script", "deploy", "invoke", "call"], &[Effect::Execute]),
];
const SPENDING: [&str; 8] = ["pay", "buy", "purchase", "transfer", "order", "charge", "refund", "checkout"];
const DELEGATING: [&str; 3] = ["delegate", "spawn", "assign"];

const RECIPIENTS: [&str; 11] =
    ["to", "cc", "bcc", "recipients", "recipient", "attendees", "invitees", "email", "emails", "user", "users"];
const DESTINATIONS: [&str; 7] = ["channel", "channel_id", "forum", "room", "topic", "space", "thread"];
const OBJECTS: [&str; 18] = [
    "path",
    "file",
    "uri",
    "url",
    "id",
    "repo",
    "repository",
    "project",
    "database",
    "table",
    "dataset",
    "document",
    "page",
    "mailbox",
    "calendar",
    "folder",
    "key",
    "name",
];
const AMOUNTS: [&str; 6] = ["amount", "price", "total", "sum", "cost", "budget"];
const VALUES: [(&str, &str); 12] = [
    ("url", "url"),
    ("uri", "url"),
    ("path", "path"),
    ("source", "path"),
    ("destination", "path"),
    ("file", "file"),
    ("account", "account"),
    ("iban", "account"),
    ("channel", "channel"),
    ("id", "id"),
    ("command", "command"),
    ("thread", "id"),
];
const CHANGES: [(&str, &[&str]); 5] = [
    ("add_readers", &["add_readers", "readers", "viewers"]),
    ("remove_readers", &["remove_readers"]),
    ("add_members", &["add_members", "members", "member", "add"]),
    ("remove_members", &["remove_members"]),
    ("audience", &["audience"]),
];

/// A contract file for the tools and resources (or resource templates) that a server lists. It is well formed, and nothing in it is accepted.
#[must_use]
pub fn draft(upstream: &str, tools: &[Value], resources: &[Value]) -> String {
    let mut text = format!(
        "# What the tools of {} do. This is a draft: nobody has accepted it, so every call is refused.\n# Check each `guess`, correct it, and accept it.\n",
        quoted_in_comment(upstream)
    );
    let mut seen = BTreeSet::new();
    for tool in tools.iter().take(TOOLS_MAX) {
        let Some(name) = tool.get("name").and_then(Value::as_str).filter(|name| !name.is_empty() && seen.insert(*name)) else {
            continue;
        };
        ToolDraft::new(upstream, name, tool).write(&mut text);
    }
    let uris = resources.iter().filter_map(|resource| resource.get("uriTemplate").or_else(|| resource.get("uri"))?.as_str());
    let schemes: BTreeSet<&str> =
        uris.filter_map(|uri| uri.split_once("://")).map(|(scheme, _)| scheme).filter(|scheme| is_field_name(scheme)).collect();
    for scheme in schemes {
        let _ = writeln!(text, "\n# guess: one kind of item for each scheme\n[[resource]]");
        line(&mut text, "uri", &quoted(&format!("{scheme}://{{}}")), None);
        line(&mut text, "item", &quoted(&format!("{scheme}:{{}}")), None);
        line(&mut text, "form", &quoted("path"), Some("what stands there may be a path, and a path must not climb"));
    }
    text
}

struct ToolDraft<'a> {
    upstream: &'a str,
    name: &'a str,
    tool: &'a Value,
    properties: Vec<&'a str>,
    required: BTreeSet<&'a str>,
    effects: BTreeSet<Effect>,
    why: Vec<String>,
}

impl<'a> ToolDraft<'a> {
    fn new(upstream: &'a str, name: &'a str, tool: &'a Value) -> Self {
        let schema = tool.get("inputSchema");
        let properties = schema
            .and_then(|schema| schema.get("properties")?.as_object())
            .into_iter()
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        let required = schema
            .and_then(|schema| schema.get("required")?.as_array())
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut draft = Self { upstream, name, tool, properties, required, effects: BTreeSet::new(), why: Vec::new() };
        draft.guess_effects();
        draft
    }

    fn guess_effects(&mut self) {
        let description = self.tool.get("description").and_then(Value::as_str).unwrap_or_default();
        let title = self.tool.get("title").and_then(Value::as_str).unwrap_or_default();
        let mut words = words(self.name);
        words.extend(self::words(title));
        words.extend(self::words(description).into_iter().take(1));
        for word in words {
            let mut found: Vec<Effect> = VERBS
                .iter()
                .filter(|(verbs, _)| verbs.contains(&word.as_str()))
                .flat_map(|(_, effects)| effects.iter().copied())
                .collect();
            found.extend(SPENDING.contains(&word.as_str()).then_some(Effect::Spend));
            found.extend(DELEGATING.contains(&word.as_str()).then_some(Effect::Delegate));
            for effect in found {
                if self.effects.insert(effect) {
                    self.why.push(format!("`{word}` → {}", effect.word()));
                }
            }
        }
        if self.effects.is_empty() {
            self.effects.extend([Effect::Write, Effect::Send, Effect::Destroy, Effect::Execute]);
            self.why.push("no word that is understood, so the strictest that is plausible".to_owned());
        }
        let reaches = self.properties.iter().find(|name| RECIPIENTS.contains(&plain(name).as_str()));
        if let Some(name) = reaches.filter(|_| self.effects.iter().any(|effect| *effect != Effect::Read)) {
            self.why.extend(self.effects.insert(Effect::Send).then(|| format!("`{name}` may be recipients → send")));
        }
        for (hint, says, effect) in [
            ("destructiveHint", true, Effect::Destroy),
            ("openWorldHint", true, Effect::Send),
            ("readOnlyHint", false, Effect::Write),
        ] {
            let said = self.tool.get("annotations").and_then(|hints| hints.get(hint)?.as_bool());
            if said == Some(says) && self.effects.insert(effect) {
                self.why.push(format!("{hint} is {says} → {}", effect.word()));
            }
        }
    }

    fn write(&self, text: &mut String) {
        let description = self.tool.get("description").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "\n# {}\n[[tool]]", quoted_in_comment(description));
        line(text, "name", &quoted(self.name), None);
        let effects: Vec<String> = self.effects.iter().map(|effect| quoted(effect.word())).collect();
        line(text, "effects", &format!("[{}]", effects.join(", ")), Some(&self.why.join("; ")));
        let names: Vec<String> = self.properties.iter().map(|name| quoted(name)).collect();
        line(text, "arguments", &format!("[{}]", names.join(", ")), None);
        let object = self.write_resource(text);
        self.write_recipients(text);
        self.write_values(text);
        self.write_amount(text);
        self.write_change(text);
        self.write_result(text, object);
    }

    fn write_resource(&self, text: &mut String) -> Option<&'a str> {
        let outward = self.effects.contains(&Effect::Publish) || self.effects.contains(&Effect::Send);
        let order: Vec<&str> = if outward {
            DESTINATIONS.iter().chain(&OBJECTS).copied().collect()
        } else {
            OBJECTS.iter().chain(&DESTINATIONS).copied().collect()
        };
        let named = order
            .iter()
            .find_map(|wanted| self.properties.iter().find(|name| self.required.contains(*name) && plain(name) == *wanted));
        let singled = named
            .or_else(|| self.properties.iter().find(|name| self.required.contains(*name) && name.to_lowercase().ends_with("id")));
        match singled {
            Some(name) => {
                let source =
                    format!("{{ at = {}, as = {}{} }}", quoted(&path(name)), quoted(&format!("{}:{{}}", kind(name))), form(name));
                line(
                    text,
                    "resource",
                    &source,
                    Some("a required argument that names what this is done to; the ids must be those of the directory"),
                );
                Some(name)
            }
            None => {
                let source = format!("{{ is = {} }}", quoted(&format!("tool:{}/{}", self.upstream, self.name)));
                line(
                    text,
                    "resource",
                    &source,
                    Some(
                        "no argument names what this is done to, so the tool stands for it, and nobody knows who sees what goes there",
                    ),
                );
                None
            }
        }
    }

    fn write_recipients(&self, text: &mut String) {
        if !self.effects.contains(&Effect::Send) {
            return;
        }
        let found: Vec<&&str> = self.properties.iter().filter(|name| RECIPIENTS.contains(&plain(name).as_str())).collect();
        if !found.is_empty() {
            let sources: Vec<String> = found
                .iter()
                .map(|name| match self.required.contains(**name) {
                    true => quoted(&path(name)),
                    false => format!("{{ at = {}, required = false }}", quoted(&path(name))),
                })
                .collect();
            line(text, "recipients", &format!("[{}]", sources.join(", ")), Some("arguments with names of recipients"));
        }
    }

    fn write_values(&self, text: &mut String) {
        let values: Vec<String> = self
            .properties
            .iter()
            .filter_map(|name| {
                let (_, kind) =
                    VALUES.iter().find(|(wanted, _)| plain(name) == *wanted || plain(name).ends_with(&format!("_{wanted}")))?;
                Some(format!("{{ at = {}, kind = {} }}", quoted(&path(name)), quoted(kind)))
            })
            .collect();
        if !values.is_empty() {
            line(
                text,
                "values",
                &format!("[{}]", values.join(", ")),
                Some("arguments that decide where it goes or what it hits"),
            );
        }
    }

    fn write_amount(&self, text: &mut String) {
        if self.effects.contains(&Effect::Spend) {
            match self.properties.iter().find(|name| AMOUNTS.contains(&plain(name).as_str())) {
                Some(name) => {
                    line(text, "amount", &format!("{{ at = {}, decimals = 2 }}", quoted(&path(name))), Some("counted in cents"))
                }
                None => line(
                    text,
                    "amount",
                    &format!("{{ is = {} }}", quoted(AMOUNT_UNKNOWN)),
                    Some("no argument is an amount, so it is more than any budget"),
                ),
            }
        }
    }

    fn write_change(&self, text: &mut String) {
        if !self.effects.contains(&Effect::Widen) {
            return;
        }
        let found: Vec<String> = CHANGES
            .iter()
            .filter_map(|(key, names)| {
                let name = self.properties.iter().find(|name| names.contains(&plain(name).as_str()))?;
                Some(format!("{key} = {}", quoted(&path(name))))
            })
            .collect();
        if found.is_empty() {
            line(text, "change", "{ audience = { is = \"public\" } }", Some("no argument says who, so it is everybody"));
        } else {
            line(text, "change", &format!("{{ {} }}", found.join(", ")), Some("arguments with such names"));
        }
    }

    fn write_result(&self, text: &mut String, object: Option<&str>) {
        if let Some(name) = object.filter(|_| self.effects.contains(&Effect::Read)) {
            let _ = writeln!(text, "\n# guess: the whole result is what the call names\n[[tool.result.item]]");
            line(text, "at", &quoted("$"), None);
            line(
                text,
                "id",
                &format!(
                    "{{ argument = {}, as = {}{} }}",
                    quoted(&path(name)),
                    quoted(&format!("{}:{{}}", kind(name))),
                    form(name)
                ),
                None,
            );
        } else {
            let _ =
                writeln!(text, "# guess: the label of the result is unknown; [[tool.result.item]] says which part is which item");
        }
    }
}

fn line(text: &mut String, key: &str, value: &str, guess: Option<&str>) {
    let comment = guess.map(|why| format!("  # guess: {}", quoted_in_comment(why))).unwrap_or_default();
    let _ = writeln!(text, "{key} = {value}{comment}");
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}

/// A server's words in a comment: one line, so that they cannot become part of the contract.
fn quoted_in_comment(text: &str) -> String {
    let one_line: String =
        text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect();
    match one_line.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// The JSONPath of an argument (RFC 9535 §2.3.1).
fn path(name: &str) -> String {
    let mut characters = name.chars();
    let is_shorthand = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_shorthand { format!("$.{name}") } else { format!("$[{}]", Value::from(name)) }
}

/// What an argument names: `page` for `pageId` and `page_id`.
fn kind(name: &str) -> String {
    let plain = plain(name);
    let kind = plain.strip_suffix("_id").unwrap_or(&plain);
    if kind.is_empty() || kind.contains(['{', '}']) { "object".to_owned() } else { kind.to_owned() }
}

fn form(name: &str) -> &'static str {
    if matches!(plain(name).as_str(), "path" | "file" | "folder") { ", form = \"path\"" } else { "" }
}

fn plain(name: &str) -> String {
    words(name).join("_")
}

/// Lower-case words of `snake_case`, `kebab-case`, `camelCase` and plain text.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in text.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}
