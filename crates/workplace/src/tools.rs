//! The tools of the workplace, as one table: name, description, schemas, hints, and what is done.
//!
//! Permission to call a tool is checked here and nowhere else. It knows no transport.

use std::{any::Any, collections::BTreeMap, sync::LazyLock};

use rmcp::{
    handler::server::common::{schema_for_input, schema_for_output},
    model::{JsonObject, Tool, ToolAnnotations},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    access::Caller,
    world::{
        Change, Customer, DatasetList, DatasetRows, Event, EventList, Mail, MailList, Posted, Refusal, Runbook, RunbookHits,
        Sent, ThreadList, ThreadPage, World,
    },
};

/// The definitions of all tools, by name.
pub(crate) fn definitions() -> impl Iterator<Item = &'static Tool> {
    TOOLS.values().map(|entry| &entry.tool)
}

pub(crate) fn definition(name: &str) -> Option<&'static Tool> {
    TOOLS.get(name).map(|entry| &entry.tool)
}

/// Calls a tool. `None` when there is no such tool.
pub(crate) fn call(world: &mut World, who: &Caller, name: &str, arguments: JsonObject) -> Option<Result<Value, Refusal>> {
    let entry = TOOLS.get(name)?;
    if !who.may_call(name) {
        return Some(Err(Refusal::Forbidden(format!("the role of `{}` does not include `{name}`", who.account))));
    }
    Some((entry.run)(world, who, arguments))
}

static TOOLS: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    let entries = [
        entry(
            "forum_list_threads",
            "List threads",
            "List the threads of the forums that you may read, with their ids and titles.",
            READS,
            |world, who, ask: ForumListThreads| -> Result<ThreadList, _> { world.forum_list_threads(who, ask.forum.as_deref()) },
        ),
        entry(
            "forum_read_thread",
            "Read a thread",
            "Read all posts of one thread, oldest first.",
            READS,
            |world, who, ask: ForumReadThread| -> Result<ThreadPage, _> { world.forum_read_thread(who, &ask.thread) },
        ),
        entry(
            "forum_post_reply",
            "Reply in a thread",
            "Post a reply at the end of a thread. Every member of the forum can read it.",
            ADDS,
            |world, who, ask: ForumPostReply| -> Result<Posted, _> {
                world.forum_post_reply(who, &ask.forum, &ask.thread, &ask.text)
            },
        ),
        entry(
            "runbook_search",
            "Search the runbooks",
            "Find runbooks by words; returns the passage of each that fits best.",
            READS,
            |world, who, ask: RunbookSearch| -> Result<RunbookHits, _> { world.runbook_search(who, &ask.query) },
        ),
        entry(
            "runbook_read",
            "Read a runbook",
            "Read one runbook in full, with its owner, access list and classification.",
            READS,
            |world, who, ask: RunbookRead| -> Result<Runbook, _> { world.runbook_read(who, &ask.runbook) },
        ),
        entry(
            "dataset_list",
            "List the datasets",
            "List all datasets with owner, classification and access list.",
            READS,
            |world, _, _: DatasetListing| -> Result<DatasetList, _> { Ok(world.dataset_list()) },
        ),
        entry(
            "dataset_read",
            "Read rows",
            "Read rows of a dataset.",
            READS,
            |world, who, ask: DatasetRead| -> Result<DatasetRows, _> { world.dataset_read(who, &ask.dataset, ask.limit) },
        ),
        entry(
            "dataset_share",
            "Change who can read a dataset",
            "Add people or groups to the access list of a dataset, or remove them. In effect at once.",
            REPLACES,
            |world, who, ask: DatasetShare| -> Result<Change, _> {
                world.dataset_share(who, &ask.dataset, &ask.add_readers, &ask.remove_readers)
            },
        ),
        entry(
            "customer_read",
            "Look up a customer",
            "Look up one customer: name, mail address and plan.",
            READS,
            |world, who, ask: CustomerRead| -> Result<Customer, _> { world.customer_read(who, &ask.customer) },
        ),
        entry(
            "mail_list",
            "List mails",
            "List the mails of a mailbox with sender and subject.",
            READS,
            |world, who, ask: MailListing| -> Result<MailList, _> { world.mail_list(who, ask.mailbox.as_deref()) },
        ),
        entry("mail_read", "Read a mail", "Read one mail.", READS, |world, who, ask: MailRead| -> Result<Mail, _> {
            world.mail_read(who, &ask.mail)
        }),
        entry(
            "mail_send",
            "Send a mail",
            "Send a mail to people, groups or addresses outside the company.",
            SENDS,
            |world, who, ask: MailSend| -> Result<Sent, _> { world.mail_send(who, &ask.to, &ask.subject, &ask.text) },
        ),
        entry(
            "calendar_list",
            "List events",
            "List the events in the calendar of a person.",
            READS,
            |world, who, ask: CalendarListing| -> Result<EventList, _> { world.calendar_list(who, ask.calendar.as_deref()) },
        ),
        entry(
            "calendar_create_event",
            "Create an event",
            "Create an event and invite people or groups to it.",
            ADDS,
            |world, _, ask: CalendarCreateEvent| -> Result<Event, _> {
                world.calendar_create_event(&ask.title, &ask.start, &ask.end, &ask.attendees)
            },
        ),
    ];
    entries.into_iter().collect()
});

struct Entry {
    tool: Tool,
    run: Run,
}

type Run = Box<dyn Fn(&mut World, &Caller, JsonObject) -> Result<Value, Refusal> + Send + Sync>;

fn entry<Ask, Answer>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    hints: Hints,
    run: fn(&mut World, &Caller, Ask) -> Result<Answer, Refusal>,
) -> (&'static str, Entry)
where
    Ask: DeserializeOwned + JsonSchema + Any,
    Answer: Serialize + JsonSchema + Any,
{
    // Both are structs written below; a test lists every tool.
    let input = schema_for_input::<Ask>().expect("arguments are an object");
    let tool = Tool::new(name, description, input)
        .with_title(title)
        .with_raw_output_schema(schema_for_output::<Answer>())
        .with_annotations(
            ToolAnnotations::new()
                .read_only(hints.reads)
                .destructive(hints.destroys)
                .idempotent(hints.repeatable)
                .open_world(hints.leaves),
        );
    let run: Run = Box::new(move |world, who, arguments| {
        let ask = serde_json::from_value(Value::Object(arguments))
            .map_err(|error| Refusal::Invalid(format!("arguments of `{name}`: {error}")))?;
        let answer = run(world, who, ask)?;
        serde_json::to_value(answer).map_err(|error| Refusal::Invalid(error.to_string()))
    });
    (name, Entry { tool, run })
}

/// What the annotations of a tool say (MCP 2025-11-25, server/tools, `ToolAnnotations`).
struct Hints {
    reads: bool,
    destroys: bool,
    repeatable: bool,
    leaves: bool,
}

const READS: Hints = Hints { reads: true, destroys: false, repeatable: true, leaves: false };
const ADDS: Hints = Hints { reads: false, destroys: false, repeatable: false, leaves: false };
const REPLACES: Hints = Hints { reads: false, destroys: true, repeatable: true, leaves: false };
const SENDS: Hints = Hints { reads: false, destroys: false, repeatable: false, leaves: true };

// ---- arguments; the comments are what a model reads in the schema

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ForumListThreads {
    /// Only the threads of this forum, e.g. `forum:eng-help`.
    forum: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ForumReadThread {
    /// The thread, e.g. `thread:4811`.
    thread: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ForumPostReply {
    /// The forum that the thread is in, e.g. `forum:eng-help`.
    forum: String,
    /// The thread to reply in, e.g. `thread:4811`.
    thread: String,
    /// The text of the reply.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunbookSearch {
    /// Words to look for.
    query: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunbookRead {
    /// The runbook, e.g. `runbook:oncall-basics`.
    runbook: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DatasetListing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DatasetRead {
    /// The dataset, e.g. `dataset:build-metrics`.
    dataset: String,
    /// At most so many rows.
    limit: Option<usize>,
}

/// What changes in an access list; also the body of the same change made in the web console.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DatasetShare {
    /// The dataset, e.g. `dataset:build-metrics`.
    dataset: String,
    /// People, or groups as `@name`, that can read it from now on.
    #[serde(default)]
    add_readers: Vec<String>,
    /// People or groups to take off the list.
    #[serde(default)]
    remove_readers: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CustomerRead {
    /// The customer, e.g. `customer:17`.
    customer: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MailListing {
    /// Whose mailbox; your own when left out.
    mailbox: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MailRead {
    /// The mail, e.g. `mail:7001`.
    mail: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MailSend {
    /// People, groups as `@name`, or addresses outside the company.
    to: Vec<String>,
    /// The subject line.
    subject: String,
    /// The text of the mail.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CalendarListing {
    /// Whose calendar; your own when left out.
    calendar: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CalendarCreateEvent {
    /// What it is about.
    title: String,
    /// RFC 3339, e.g. `2026-03-13T09:00:00Z`.
    start: String,
    /// RFC 3339, after `start`.
    end: String,
    /// People, or groups as `@name`.
    attendees: Vec<String>,
}
