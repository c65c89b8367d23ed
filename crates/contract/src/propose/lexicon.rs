//! Words of requests, and what they mean for tools: a small table that anyone can read, with no rule for any product.
//!
//! Verbs are looked up in the form in which something is asked for (`send`, never `sent`): what somebody else did is no request.

use judge::effect::Effect;

/// What is wanted, as far as a verb says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    Send,
    Publish,
    Create,
    Update,
    Delete,
    Share,
    Pay,
    Reserve,
    Run,
}

const WISHES: [(Wish, &[&str]); 9] = [
    (
        Wish::Send,
        &[
            "send",
            "email",
            "e-mail",
            "mail",
            "message",
            "text",
            "dm",
            "write",
            "forward",
            "reply",
            "respond",
            "answer",
            "tell",
            "notify",
            "inform",
            "contact",
            "ask",
            "congratulate",
            "thank",
            "remind",
        ],
    ),
    (
        Wish::Publish,
        &["post", "publish", "announce", "reply", "write", "comment", "broadcast", "tweet", "share", "respond", "send"],
    ),
    (
        Wish::Create,
        &[
            "create",
            "make",
            "add",
            "schedule",
            "set",
            "put",
            "open",
            "start",
            "write",
            "draft",
            "generate",
            "register",
            "log",
            "save",
            "record",
            "plan",
            "organize",
            "organise",
            "arrange",
            "book",
            "note",
            "insert",
            "append",
            "include",
            "store",
            "upload",
            "remind",
            "invite",
            "copy",
            "duplicate",
            "leave",
        ],
    ),
    (
        Wish::Update,
        &[
            "update",
            "change",
            "modify",
            "edit",
            "adjust",
            "set",
            "move",
            "reschedule",
            "postpone",
            "shift",
            "correct",
            "fix",
            "replace",
            "rename",
            "reset",
            "extend",
            "increase",
            "decrease",
            "mark",
            "assign",
            "add",
            "append",
            "insert",
            "close",
            "reopen",
            "resolve",
            "solve",
            "complete",
            "archive",
            "label",
            "tag",
            "hand",
            "merge",
        ],
    ),
    (
        Wish::Delete,
        &["delete", "remove", "cancel", "erase", "drop", "clear", "trash", "discard", "purge", "unsubscribe", "kick", "revoke"],
    ),
    (Wish::Share, &["share", "invite", "add", "grant", "give", "allow", "open", "include"]),
    (
        Wish::Pay,
        &[
            "pay",
            "send",
            "transfer",
            "refund",
            "wire",
            "reimburse",
            "repay",
            "buy",
            "purchase",
            "order",
            "donate",
            "settle",
            "schedule",
            "set",
        ],
    ),
    (Wish::Reserve, &["reserve", "book", "reservation", "booking", "rent", "order"]),
    (
        Wish::Run,
        &[
            "run", "execute", "start", "launch", "deploy", "install", "restart", "call", "invoke", "merge", "rerun", "retry",
            "trigger", "release", "approve",
        ],
    ),
];

/// Verbs that say by themselves what they are about.
const IMPLIED: [(&str, &[&str]); 15] = [
    ("email", &["email"]),
    ("e-mail", &["email"]),
    ("mail", &["email"]),
    ("message", &["message"]),
    ("dm", &["message"]),
    ("text", &["message"]),
    ("pay", &["money"]),
    ("refund", &["money"]),
    ("reimburse", &["money"]),
    ("repay", &["money"]),
    ("transfer", &["money"]),
    ("tell", &["message", "email"]),
    ("notify", &["message", "email"]),
    ("inform", &["message", "email"]),
    ("contact", &["message", "email"]),
];

/// Verbs so particular that a tool of the same name is meant whatever it is about.
const PARTICULAR: [&str; 11] =
    ["reschedule", "invite", "reserve", "refund", "rename", "deploy", "restart", "unsubscribe", "share", "merge", "rerun"];

/// Nouns that stand for one another where something is asked for.
const SAME: [&[&str]; 15] = [
    &["email", "e-mail", "mail", "message", "letter"],
    &["message", "dm", "note", "question", "answer", "summary", "feedback", "comment", "reply", "text", "announcement", "post"],
    &[
        "money",
        "payment",
        "bill",
        "invoice",
        "rent",
        "refund",
        "transaction",
        "transfer",
        "difference",
        "amount",
        "fee",
        "fund",
        "salary",
        "debt",
        "price",
        "cash",
        "sum",
    ],
    &["transaction", "payment", "order", "rent", "subscription", "transfer", "bill", "invoice"],
    &[
        "event",
        "meeting",
        "appointment",
        "calendar",
        "call",
        "lunch",
        "dinner",
        "breakfast",
        "reminder",
        "check-up",
        "checkup",
        "party",
        "session",
        "reunion",
        "trip",
        "interview",
        "invitation",
    ],
    &["file", "document", "doc", "list", "spreadsheet", "sheet", "note", "drive", "attachment", "report", "minutes"],
    &["info", "information", "detail", "profile", "address", "account", "data", "record"],
    &["participant", "attendee", "guest", "invitee", "people", "person"],
    &["user", "member", "person", "people", "colleague", "employee", "everyone", "everybody"],
    &["webpage", "website", "site", "page", "web"],
    &["car", "vehicle", "rental"],
    &["hotel", "room", "accommodation", "place"],
    &["restaurant", "table", "dinner", "lunch"],
    &["issue", "ticket", "bug", "task"],
    &["workflow", "pipeline", "run", "job", "build"],
];

/// Words that point at something said before.
const POINTING: [&str; 6] = ["it", "them", "this", "that", "these", "those"];

/// Words before a word that make a noun of it: `her e-mail`, `a post`, `by mail`.
const BEFORE_NOUNS: [&str; 34] = [
    "a",
    "an",
    "the",
    "my",
    "your",
    "his",
    "her",
    "its",
    "our",
    "their",
    "this",
    "that",
    "these",
    "those",
    "each",
    "every",
    "any",
    "some",
    "no",
    "which",
    "what",
    "of",
    "in",
    "on",
    "at",
    "by",
    "via",
    "from",
    "with",
    "about",
    "new",
    "last",
    "next",
    "following",
];
/// Words of descriptions that stand in any.
const PLAIN: [&str; 48] = [
    "with",
    "given",
    "from",
    "that",
    "this",
    "into",
    "return",
    "returns",
    "specified",
    "which",
    "their",
    "will",
    "your",
    "also",
    "then",
    "using",
    "based",
    "when",
    "where",
    "each",
    "them",
    "they",
    "have",
    "must",
    "only",
    "such",
    "able",
    "about",
    "under",
    "over",
    "current",
    "currently",
    "certain",
    "some",
    "more",
    "make",
    "made",
    "used",
    "uses",
    "another",
    "existing",
    "new",
    "all",
    "any",
    "other",
    "given",
    "optional",
    "optionally",
];
/// Those who ask: what is told to them goes nowhere else.
const ASKING: [&str; 4] = ["me", "us", "myself", "ourselves"];

/// What this word asks for, if anything.
pub(super) fn wishes(verb: &str) -> impl Iterator<Item = Wish> {
    WISHES.iter().filter(move |(_, verbs)| verbs.contains(&verb)).map(|(wish, _)| *wish)
}

/// What a tool with this effect grants.
pub(super) fn wish_of(effect: Effect) -> Option<Wish> {
    match effect {
        Effect::Send => Some(Wish::Send),
        Effect::Publish => Some(Wish::Publish),
        Effect::Widen => Some(Wish::Share),
        Effect::Destroy => Some(Wish::Delete),
        Effect::Spend => Some(Wish::Pay),
        Effect::Execute => Some(Wish::Run),
        Effect::Read | Effect::Compute | Effect::Write | Effect::Delegate => None,
    }
}

/// What a verb is about by itself.
pub(super) fn implied(verb: &str) -> &'static [&'static str] {
    IMPLIED.iter().find(|(own, _)| *own == verb).map_or(&[], |(_, nouns)| nouns)
}

pub(super) fn is_particular(verb: &str) -> bool {
    PARTICULAR.contains(&verb)
}

pub(super) fn is_pointing(word: &str) -> bool {
    POINTING.contains(&word)
}

/// Whether two nouns may mean the same, in whatever number.
pub(super) fn mean_the_same(one: &str, other: &str) -> bool {
    let (one, other) = (singular(one), singular(other));
    one == other || SAME.iter().any(|same| same.contains(&one) && same.contains(&other))
}

/// A noun in the singular; the minutes of a meeting are one thing.
pub(super) fn singular(noun: &str) -> &str {
    if noun == "minutes" { noun } else { crate::words::singular(noun) }
}

/// Verbs that ask for a payment only where money is spoken of.
pub(super) fn may_pay(verb: &str) -> bool {
    matches!(verb, "send" | "schedule" | "set")
}

/// Whether a post, a comment or the like is made by this verb, where one is spoken of.
pub(super) fn may_publish(verb: &str) -> bool {
    matches!(verb, "create" | "make" | "add" | "leave" | "put")
}

/// Whether a word of a description says nothing about what a tool is for.
pub(super) fn is_plain(word: &str) -> bool {
    PLAIN.contains(&word)
}

/// Whether a word behind this one is a noun, whatever else it may be.
pub(super) fn is_before_nouns(word: &str) -> bool {
    BEFORE_NOUNS.contains(&word)
}

/// Whether what follows is asked for by making it: `make a reservation`, `leave a comment`.
pub(super) fn is_making(verb: &str) -> bool {
    matches!(verb, "make" | "do" | "place" | "create" | "leave" | "write" | "add")
}

/// Whether this word takes back what follows it.
pub(super) fn is_negation(word: &str) -> bool {
    matches!(
        word,
        "not" | "don't" | "dont" | "don\u{2019}t" | "never" | "without" | "avoid" | "nor" | "cannot" | "can't" | "shouldn't"
    )
}

/// Whether this word turns a negation around: `do not forget to`.
pub(super) fn is_reminder(word: &str) -> bool {
    matches!(word, "forget" | "hesitate" | "fail" | "only" | "just")
}

/// Whether whoever asks is meant.
pub(super) fn is_asking(word: &str) -> bool {
    ASKING.contains(&word)
}

/// What a tool with one of these effects must be asked for by: they are not granted in passing.
pub(super) fn is_grave(effect: Effect) -> bool {
    matches!(effect, Effect::Widen | Effect::Destroy | Effect::Spend | Effect::Execute | Effect::Delegate)
}
