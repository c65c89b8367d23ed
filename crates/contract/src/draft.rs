//! A first contract file from what a server says of itself, for a person to correct. Every guess is marked, and leans to the strict side:
//! a hint of the server may add an effect, and never takes one away.

use crate::layout::is_field_name;
use crate::words::singular;
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
const VERBS: [(&[&str], &[Effect]); 10] = [
    (
        &[
            "get", "list", "read", "search", "find", "fetch", "show", "describe", "query", "lookup", "view", "count", "tree",
            "info", "download", "retrieve", "check", "browse", "visit", "inspect", "compare", "diff", "stat", "whoami", "scan",
        ],
        &[Effect::Read],
    ),
    (
        &["calculate", "compute", "convert", "format", "validate", "hash", "think", "summarize", "summarise", "translate"],
        &[Effect::Compute],
    ),
    (
        &[
            "create",
            "add",
            "update",
            "edit",
            "set",
            "write",
            "put",
            "append",
            "upload",
            "save",
            "insert",
            "rename",
            "copy",
            "patch",
            "mark",
            "close",
            "open",
            "schedule",
            "reschedule",
            "modify",
            "change",
            "adjust",
            "label",
            "tag",
            "star",
            "pin",
            "archive",
            "restore",
            "resolve",
            "reopen",
            "complete",
            "record",
            "register",
            "log",
            "draft",
            "link",
            "submit",
            "commit",
            "fork",
            "clone",
            "import",
            "sync",
            "react",
            "rate",
            "snooze",
            "lock",
            "unlock",
            "enable",
            "disable",
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
    (
        &[
            "run", "exec", "execute", "shell", "command", "eval", "script", "deploy", "invoke", "call", "trigger", "rerun",
            "retry", "restart", "merge", "release", "rollback", "approve",
        ],
        &[Effect::Execute],
    ),
    (&["reserve", "book", "rent"], &[Effect::Spend]),
];
/// Verbs that are nouns behind another one: `get_email` mails nothing, `delete_comment` comments on nothing.
const OR_NOUNS: [&str; 38] = [
    "mail",
    "email",
    "message",
    "comment",
    "post",
    "reply",
    "order",
    "transfer",
    "charge",
    "share",
    "access",
    "role",
    "member",
    "members",
    "permission",
    "permissions",
    "visibility",
    "call",
    "command",
    "script",
    "shell",
    "copy",
    "mark",
    "count",
    "view",
    "format",
    "hash",
    "query",
    "log",
    "record",
    "label",
    "tag",
    "draft",
    "link",
    "release",
    "book",
    "rate",
    "info",
];
/// Verbs behind which those are nouns.
const BEFORE_NOUNS: [Effect; 3] = [Effect::Read, Effect::Compute, Effect::Destroy];
/// Verbs that let somebody in or out, where people and a place are spoken of.
const ADMITTING: [&str; 4] = ["add", "invite", "join", "admit"];
const EXPELLING: [&str; 3] = ["remove", "kick", "ban"];
/// Places and groups that have members.
const MEMBERED: [&str; 13] = [
    "channel",
    "group",
    "team",
    "workspace",
    "organization",
    "organisation",
    "org",
    "project",
    "repo",
    "repository",
    "room",
    "space",
    "board",
];
/// Things that people are let into one by one.
const READ: [&str; 6] = ["event", "meeting", "calendar", "file", "document", "folder"];
/// Spending of which the price is not in the call: it is paid later.
const RESERVING: [&str; 3] = ["reserve", "book", "rent"];
const SPENDING: [&str; 8] = ["pay", "buy", "purchase", "transfer", "order", "charge", "refund", "checkout"];
/// Nouns that make spending of whatever is done to them, but reading.
const MONEY: [&str; 4] = ["money", "payment", "transaction", "invoice"];
const DELEGATING: [&str; 3] = ["delegate", "spawn", "assign"];

const RECIPIENTS: [&str; 18] = [
    "to",
    "cc",
    "bcc",
    "recipients",
    "recipient",
    "attendees",
    "invitees",
    "participants",
    "participant",
    "guests",
    "email",
    "emails",
    "user",
    "users",
    "user_email",
    "user_emails",
    "assignee",
    "assignees",
];
/// Those of them that are told something by whatever the tool does; the others may be a part of what is written.
const TOLD: [&str; 11] =
    ["to", "cc", "bcc", "recipients", "recipient", "attendees", "invitees", "participants", "participant", "guests", "emails"];
/// Words of tools that list people.
const PEOPLE: [&str; 8] = ["user", "contact", "people", "person", "member", "participant", "attendee", "collaborator"];
/// Arguments that are written freely, or that say how and when: they decide neither where something goes nor what it hits.
const FREE: [&str; 62] = [
    "subject",
    "body",
    "content",
    "contents",
    "text",
    "message",
    "title",
    "description",
    "query",
    "note",
    "notes",
    "comment",
    "comments",
    "summary",
    "name",
    "first_name",
    "last_name",
    "filename",
    "file_name",
    "file_type",
    "location",
    "reason",
    "format",
    "type",
    "status",
    "language",
    "currency",
    "unit",
    "sort",
    "order",
    "color",
    "priority",
    "label",
    "labels",
    "tags",
    "tag",
    "permission",
    "role",
    "mode",
    "date",
    "day",
    "time",
    "start",
    "end",
    "start_time",
    "end_time",
    "start_day",
    "end_day",
    "start_date",
    "end_date",
    "new_start_time",
    "new_end_time",
    "duration",
    "timezone",
    "recurring",
    "limit",
    "count",
    "attachments",
    "data",
    "value",
    "prompt",
    "code",
];
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
/// What the size of a page is called.
const PAGE_SIZES: [&str; 14] = [
    "limit",
    "pagesize",
    "perpage",
    "maxresults",
    "maxitems",
    "maxrecords",
    "maxrows",
    "maxcount",
    "numresults",
    "top",
    "first",
    "count",
    "take",
    "size",
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
    let named = tools.iter().take(TOOLS_MAX).filter_map(|tool| {
        let name = tool.get("name").and_then(Value::as_str).filter(|name| !name.is_empty() && seen.insert(*name))?;
        Some(ToolDraft::new(upstream, name, tool))
    });
    let drafts: Vec<ToolDraft<'_>> = named.collect();
    let kinds: BTreeSet<String> = drafts
        .iter()
        .filter(|draft| draft.acts())
        .flat_map(|draft| draft.values().map(|(_, kind)| kind).collect::<Vec<_>>())
        .collect();
    for draft in &drafts {
        draft.write(&mut text, &kinds);
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
        let mut words = verbs(&crate::words::of(self.name));
        words.extend(verbs(&crate::words::of(title)));
        let first = crate::words::of(description).into_iter().take(1);
        // `Deletes` may make it stricter; `Returns` alone is no reason to believe that it only reads.
        words.extend(first.map(|word| if is_verb(&word) || !acts(singular(&word)) { word } else { singular(&word).to_owned() }));
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
        let money = crate::words::of(self.name).into_iter().find(|word| MONEY.contains(&singular(word)));
        if let Some(noun) =
            money.filter(|_| !self.effects.is_empty() && self.effects.iter().any(|effect| *effect != Effect::Read))
        {
            self.why.extend(self.effects.insert(Effect::Spend).then(|| format!("`{noun}` → spend")));
            // Money is sent, and no message.
            self.effects.remove(&Effect::Send);
        }
        if self.effects.is_empty() {
            self.effects.extend([Effect::Write, Effect::Send, Effect::Destroy, Effect::Execute]);
            self.why.push("no word that is understood, so the strictest that is plausible".to_owned());
        }
        self.guess_membership();
        let reaches = self.properties.iter().find(|name| TOLD.contains(&plain(name).as_str()));
        if let Some(name) = reaches.filter(|_| self.may_reach()) {
            self.why.extend(self.effects.insert(Effect::Send).then(|| format!("`{name}` may be recipients → send")));
        }
        let place = self.properties.iter().find(|name| DESTINATIONS.contains(&plain(name).as_str()));
        if let Some(name) = place.filter(|_| reaches.is_none() && self.effects.contains(&Effect::Send)) {
            self.effects.remove(&Effect::Send);
            self.effects.insert(Effect::Publish);
            self.why.push(format!("whoever is in `{name}` sees it → publish"));
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

    /// Whether people it names may be those that something goes to. Who is paid is named for that.
    fn may_reach(&self) -> bool {
        let is_other = |effect: &Effect| !matches!(effect, Effect::Read | Effect::Compute);
        self.effects.iter().any(is_other) && !self.effects.contains(&Effect::Spend)
    }

    /// The member of `change` that says who is let in or out, where a tool does that.
    fn membership(&self) -> Option<(&'static str, &'a str)> {
        let words = crate::words::of(self.name);
        let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
        let names: Vec<String> = self.properties.iter().flat_map(|name| crate::words::of(name)).collect();
        let is_one_of = |places: &[&str]| words.iter().chain(&names).any(|word| places.contains(&singular(word)));
        let person = MEMBERS.iter().find_map(|wanted| self.properties.iter().copied().find(|name| plain(name) == *wanted));
        let is_thing = is_one_of(&READ);
        let key = match (has(&ADMITTING), has(&EXPELLING)) {
            (true, _) => {
                if is_thing {
                    "add_readers"
                } else {
                    "add_members"
                }
            }
            (false, true) => {
                if is_thing {
                    "remove_readers"
                } else {
                    "remove_members"
                }
            }
            (false, false) => return None,
        };
        let speaks_of_people = words.iter().any(|word| PEOPLE.contains(&singular(word)));
        let is_let_in = has(&["invite", "admit"]) || is_thing || is_one_of(&MEMBERED);
        (is_let_in && speaks_of_people).then_some(key).zip(person)
    }

    fn guess_membership(&mut self) {
        let Some((_, name)) = self.membership() else { return };
        self.effects.remove(&Effect::Write);
        self.why.extend(self.effects.insert(Effect::Widen).then(|| format!("`{name}` is let in or out → widen")));
    }

    fn write(&self, text: &mut String, kinds: &BTreeSet<String>) {
        let description = self.tool.get("description").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "\n# {}\n[[tool]]", quoted_in_comment(description));
        line(text, "name", &quoted(self.name), None);
        let first = description.split(['\n', '\r']).next().unwrap_or_default();
        let about: String = first.split_inclusive(". ").next().unwrap_or_default().trim().chars().take(QUOTE_CHARS_MAX).collect();
        if !about.is_empty() {
            line(text, "about", &quoted(&about), None);
        }
        let effects: Vec<String> = self.effects.iter().map(|effect| quoted(effect.word())).collect();
        line(text, "effects", &format!("[{}]", effects.join(", ")), Some(&self.why.join("; ")));
        let names: Vec<String> = self.properties.iter().map(|name| quoted(name)).collect();
        line(text, "arguments", &format!("[{}]", names.join(", ")), None);
        let object = self.write_resource(text);
        self.write_recipients(text);
        self.write_values(text);
        self.write_amount(text);
        self.write_reads(text);
        self.write_change(text);
        self.write_result(text, object);
        self.write_attested(text, kinds);
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
        let words = crate::words::of(self.name);
        let is_own = |name: &str| words.contains(&plain(name)) && !RECIPIENTS.contains(&plain(name).as_str());
        let singled = named
            .or_else(|| self.properties.iter().find(|name| self.required.contains(*name) && name.to_lowercase().ends_with("id")))
            .or_else(|| self.properties.iter().find(|name| self.required.contains(*name) && is_own(name)));
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
        if !self.effects.contains(&Effect::Send) && !self.effects.contains(&Effect::Spend) {
            return;
        }
        let mut found: Vec<&&str> = self.properties.iter().filter(|name| RECIPIENTS.contains(&plain(name).as_str())).collect();
        // Who has an address is reached by it, and called by the name beside it.
        if found.iter().any(|name| plain(name).contains("email")) {
            found.retain(|name| !matches!(plain(name).as_str(), "user" | "users"));
        }
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
            .values()
            .map(|(name, kind)| match self.required.contains(name) {
                true => format!("{{ at = {}, kind = {} }}", quoted(&path(name)), quoted(&kind)),
                false => format!("{{ at = {}, kind = {}, required = false }}", quoted(&path(name)), quoted(&kind)),
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

    /// Arguments that decide where something goes or what it hits, each with its kind.
    fn values(&self) -> impl Iterator<Item = (&'a str, String)> {
        let acts = self.acts();
        self.properties.iter().filter_map(move |name| Some((*name, self.value_kind(name, acts)?)))
    }

    fn acts(&self) -> bool {
        self.effects.iter().any(|effect| effect.acts())
    }

    fn value_kind(&self, name: &str, acts: bool) -> Option<String> {
        let plain = plain(name);
        if plain == "id" {
            return self.head();
        }
        if self.effects.contains(&Effect::Spend) && (PAYEES.contains(&plain.as_str()) || self.speaks_of_accounts(name)) {
            return Some("account".to_owned());
        }
        if RECIPIENTS.contains(&plain.as_str()) {
            // Who is asked about is nobody's choice of where something goes.
            return acts.then(|| "recipient".to_owned());
        }
        if let Some((_, kind)) = VALUES
            .iter()
            .filter(|(wanted, _)| *wanted != "id" && !(*wanted == "file" && plain.ends_with("_id")))
            .find(|(wanted, _)| plain == *wanted || plain.ends_with(&format!("_{wanted}")))
        {
            return Some((*kind).to_owned());
        }
        if let Some(thing) = plain.strip_suffix("_id").filter(|thing| !SIDES.contains(thing)) {
            return Some(if thing.is_empty() { "object".to_owned() } else { kind(name) });
        }
        if plain.ends_with("_id") {
            return self.head();
        }
        if let Some(thing) = ["_number", "_no", "_num", "_key"].iter().find_map(|ending| plain.strip_suffix(ending)) {
            return acts.then(|| thing.to_owned()).filter(|thing| !thing.is_empty() && !NUMBERS.contains(&thing.as_str()));
        }
        if acts && self.makes() && TITLES.contains(&plain.as_str()) {
            return Some("title".to_owned());
        }
        (acts && !FREE.contains(&plain.as_str()) && self.is_text(name)).then(|| singular(&plain).to_owned())
    }

    /// What the tool is about: the last word of its name before one like `by` or `in`.
    fn head(&self) -> Option<String> {
        let words = crate::words::of(self.name);
        let end =
            words.iter().position(|word| BEHIND_HEADS.contains(&word.as_str())).filter(|end| *end > 0).unwrap_or(words.len());
        words[..end].last().map(|head| singular(head).to_owned())
    }

    /// Whether something new comes of it.
    fn makes(&self) -> bool {
        self.membership().is_none() && crate::words::of(self.name).iter().any(|word| MAKING.contains(&word.as_str()))
    }

    fn speaks_of_accounts(&self, name: &str) -> bool {
        let about = self.tool.pointer("/inputSchema/properties").and_then(|all| all.get(name)?.get("description")?.as_str());
        about.is_some_and(|about| crate::words::of(about).iter().any(|word| matches!(word.as_str(), "iban" | "account")))
    }

    /// Whether an argument is a text, or a list of them, by its schema.
    fn is_text(&self, name: &str) -> bool {
        fn is_text(schema: &Value) -> bool {
            let of = |key: &str| schema.get(key).and_then(Value::as_array).is_some_and(|any| any.iter().any(is_text));
            match schema.get("type").and_then(Value::as_str) {
                Some("string") => schema.get("enum").is_none() && schema.get("format").is_none(),
                Some("array") => schema.get("items").is_some_and(is_text),
                Some(_) => false,
                None => of("anyOf") || of("oneOf"),
            }
        }
        self.tool.pointer("/inputSchema/properties").and_then(|properties| properties.get(name)).is_some_and(is_text)
    }

    /// Fields that the server itself may fill with what other tools take: ids, and lists of names. What an author may have written is none.
    fn write_attested(&self, text: &mut String, kinds: &BTreeSet<String>) {
        if self.acts() {
            return;
        }
        let Some(head) = self.head() else { return };
        for kind in kinds {
            let is_of = match kind.as_str() {
                "recipient" => PEOPLE.contains(&head.as_str()),
                "mail" => matches!(head.as_str(), "mail" | "email"),
                kind => head == kind || (kind == "event" && head == "appointment"),
            };
            if kind == "recipient" && EVENTS.contains(&head.as_str()) {
                let _ = writeln!(text, "\n# guess: whoever takes part is told by the server; whose it is, too");
                for field in TAKING_PART {
                    let _ = writeln!(text, "[[tool.result.value]]");
                    line(text, "at", &quoted(&format!("$..{field}[*]")), None);
                    line(text, "kind", &quoted("recipient"), None);
                }
            }
            if !is_of {
                continue;
            }
            let mut fields: Vec<(String, Option<String>, &str)> = Vec::new();
            let _ =
                writeln!(text, "\n# guess: fields that the server fills itself; take out what an author of content can write");
            if kind == "recipient" {
                fields.push(("$..[?@.email]".to_owned(), Some("$.email".to_owned()), "[\"$.name\"]"));
            } else {
                for id in ["id", "id_", &format!("{kind}_id")] {
                    for at in ["$".to_owned(), format!("$..[?@.{id}]")] {
                        fields.push((at, Some(format!("$.{id}")), "[\"$.title\", \"$.name\", \"$.filename\", \"$.subject\"]"));
                    }
                }
            }
            fields.push(("$[*]".to_owned(), None, ""));
            for (at, value, names) in fields {
                let _ = writeln!(text, "[[tool.result.value]]");
                line(text, "at", &quoted(&at), None);
                line(text, "kind", &quoted(kind), None);
                if let Some(value) = value {
                    line(text, "value", &format!("{{ at = {}, required = false }}", quoted(&value)), None);
                    line(text, "names", &format!("[{}]", optional(names)), None);
                }
            }
            let asks_for_it = self.values().any(|(_, own)| own == *kind)
                || self.properties.iter().any(|name| plain(name).contains(kind.as_str()));
            if !asks_for_it {
                let _ = writeln!(text, "[[tool.result.value]]");
                line(text, "at", &quoted("$"), None);
                line(text, "kind", &quoted(kind), None);
                line(text, "each", &quoted("line"), None);
            }
        }
    }

    fn write_amount(&self, text: &mut String) {
        if self.effects.contains(&Effect::Spend) {
            match self.properties.iter().find(|name| AMOUNTS.contains(&plain(name).as_str())) {
                Some(name) => {
                    line(text, "amount", &format!("{{ at = {}, decimals = 2 }}", quoted(&path(name))), Some("counted in cents"))
                }
                None if crate::words::of(self.name).iter().any(|word| RESERVING.contains(&word.as_str())) => line(
                    text,
                    "amount",
                    "{ at = \"$.price\", decimals = 2, required = false }",
                    Some("what is reserved is paid later, and the call has no price"),
                ),
                None => line(
                    text,
                    "amount",
                    &format!("{{ is = {} }}", quoted(AMOUNT_UNKNOWN)),
                    Some("no argument is an amount, so it is more than any budget"),
                ),
            }
        }
    }

    /// The size of a page, with what the schema says of it (JSON Schema 2020-12, `default` and `maximum`).
    fn write_reads(&self, text: &mut String) {
        let size = |name: &&&str| {
            PAGE_SIZES.contains(&plain(name).replace('_', "").as_str()) && crate::Reads::names(&path(name)).is_some()
        };
        let Some(name) = self.properties.iter().find(size).filter(|_| self.effects.contains(&Effect::Read)) else { return };
        let Some(schema) = self.tool.pointer("/inputSchema/properties").and_then(|all| all.get(*name)) else { return };
        if schema.get("type").and_then(Value::as_str) != Some("integer") {
            return;
        }
        let mut reads = format!("{{ at = {}", quoted(&path(name)));
        for (key, said) in [("otherwise", "default"), ("max", "maximum")] {
            if let Some(number) = schema.get(said).and_then(Value::as_u64) {
                let _ = write!(reads, ", {key} = {number}");
            }
        }
        line(text, "reads", &(reads + " }"), Some("by its name it is how many are read at most"));
    }

    fn write_change(&self, text: &mut String) {
        if !self.effects.contains(&Effect::Widen) {
            return;
        }
        if let Some((key, name)) = self.membership() {
            line(text, "change", &format!("{{ {key} = {} }}", quoted(&path(name))), Some("who is let in or out"));
            return;
        }
        let found: Vec<String> = CHANGES
            .iter()
            .filter_map(|(key, names)| {
                let name = self.properties.iter().find(|name| names.contains(&plain(name).as_str()))?;
                Some(format!("{key} = {}", quoted(&path(name))))
            })
            .collect();
        let person = MEMBERS.iter().find_map(|wanted| self.properties.iter().copied().find(|name| plain(name) == *wanted));
        if let Some(name) = person.filter(|_| found.is_empty()) {
            line(
                text,
                "change",
                &format!("{{ add_readers = {} }}", quoted(&path(name))),
                Some("who is named sees it from then on"),
            );
        } else if found.is_empty() {
            line(text, "change", "{ audience = { is = \"public\" } }", Some("no argument says who, so it is everybody"));
        } else {
            line(text, "change", &format!("{{ {} }}", found.join(", ")), Some("arguments with such names"));
        }
    }

    fn write_result(&self, text: &mut String, object: Option<&str>) {
        if let Some(name) = object.filter(|_| self.effects.contains(&Effect::Read)) {
            let _ = writeln!(text, "\n# guess: the whole result is what the call names\n[[tool.result.item]]");
            line(text, "at", &quoted("$"), None);
            line(text, "label", OWN_LABEL, Some(OWN_LABEL_WHY));
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
            let _ = writeln!(text, "\n[tool.result]");
            line(text, "label", OWN_LABEL, Some(OWN_LABEL_WHY));
            self.write_created(text);
            let _ = writeln!(text, "# guess: [[tool.result.item]] says which part is which item");
        }
    }
}

impl ToolDraft<'_> {
    /// Ids of what is made: what a task made itself it may go on with.
    fn write_created(&self, text: &mut String) {
        let Some(head) = self.head().filter(|head| self.makes() && is_field_name(head) && !is_verb(head)) else { return };
        let noun = if head == "email" { "mail" } else { &head };
        let ids = ["id".to_owned(), "id_".to_owned(), format!("{noun}_id")];
        let sources: Vec<String> = ids
            .iter()
            .map(|id| format!("{{ at = {}, as = {}, required = false }}", quoted(&path(id)), quoted(&format!("{noun}:{{}}"))))
            .collect();
        line(text, "created", &format!("[{}]", sources.join(", ")), Some("what the call makes"));
    }
}

/// What nobody labelled was read with the requester's own account.
const OWN_LABEL: &str = "{ readers = [\"@requester\"] }";
const OWN_LABEL_WHY: &str = "read for the requester, so it is held to be for nobody else";
/// Verbs that make something.
const MAKING: [&str; 7] = ["create", "add", "new", "upload", "insert", "copy", "make"];
/// Arguments that name people who are let in or out.
const MEMBERS: [&str; 16] = [
    "user_email",
    "email",
    "emails",
    "user",
    "username",
    "user_id",
    "member",
    "members",
    "users",
    "person",
    "people",
    "collaborator",
    "participants",
    "participant",
    "attendees",
    "guests",
];
/// Words of a name behind which stands what it is done with, and not what it is about.
const BEHIND_HEADS: [&str; 10] = ["in", "of", "for", "from", "by", "to", "on", "with", "at", "as"];
/// What says which side of a call a thing is on, and not which thing.
const SIDES: [&str; 12] =
    ["", "source", "target", "parent", "from", "to", "old", "new", "first", "second", "other", "destination"];
/// Numbers that name nothing.
const NUMBERS: [&str; 6] = ["page", "phone", "line", "account", "version", "api"];
/// What a new thing is called.
const TITLES: [&str; 5] = ["title", "filename", "file_name", "name", "new_name"];
/// What people take part in.
const EVENTS: [&str; 4] = ["event", "meeting", "appointment", "invitation"];
const TAKING_PART: [&str; 3] = ["participants", "attendees", "invitees"];
/// Arguments that name who is paid.
const PAYEES: [&str; 6] = ["recipient", "to", "payee", "beneficiary", "account", "iban"];

/// Words of a name that count as verbs, as far as they are any.
fn verbs(words: &[String]) -> Vec<String> {
    let first = words.iter().position(|word| is_verb(word) && !OR_NOUNS.contains(&word.as_str()));
    let takes_nouns = first.filter(|at| {
        let mut meanings = VERBS.iter().filter(|(verbs, _)| verbs.contains(&words[*at].as_str()));
        meanings.all(|(_, effects)| effects.iter().all(|effect| BEFORE_NOUNS.contains(effect)))
    });
    let is_noun = |(at, word): (usize, &String)| takes_nouns.is_some_and(|first| at > first && OR_NOUNS.contains(&word.as_str()));
    let does_two_things = words.iter().any(|word| word == "and" || word == "or");
    words.iter().enumerate().filter(|entry| does_two_things || !is_noun(*entry)).map(|(_, word)| word.clone()).collect()
}

fn acts(word: &str) -> bool {
    let mut meanings = VERBS.iter().filter(|(verbs, _)| verbs.contains(&word)).flat_map(|(_, effects)| *effects);
    meanings.any(|effect| effect.acts()) || SPENDING.contains(&word) || DELEGATING.contains(&word)
}

fn is_verb(word: &str) -> bool {
    VERBS.iter().any(|(verbs, _)| verbs.contains(&word)) || SPENDING.contains(&word) || DELEGATING.contains(&word)
}

/// Paths that need not match, from a list of them.
fn optional(paths: &str) -> String {
    let paths = paths.trim_matches(['[', ']']).split(", ").filter(|path| !path.is_empty());
    paths.map(|path| format!("{{ at = {path}, required = false }}")).collect::<Vec<_>>().join(", ")
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
    // A kind `email` is an address, and this is a letter.
    let kind = if kind == "email" && plain != kind { "mail" } else { kind };
    if kind.is_empty() || kind.contains(['{', '}']) { "object".to_owned() } else { kind.to_owned() }
}

fn form(name: &str) -> &'static str {
    if matches!(plain(name).as_str(), "path" | "file" | "folder") { ", form = \"path\"" } else { "" }
}

fn plain(name: &str) -> String {
    crate::words::of(name).join("_")
}
