//! Telling the story to a person: coloured on a terminal, plain when piped, silent when a machine reads it.

use super::credential::{Holds, READ_ALOUD};
use super::login::{call_body, call_headers};
use super::story::{Act, Race, Running, Story, Taking, Told, Why};
use serde_json::{Value, json};
use std::time::Duration;

/// Tells, or keeps silent.
pub struct Teller {
    voice: Voice,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Silent,
    Plain,
    Coloured,
}

/// Lines are no longer than this, in characters.
const WIDTH: usize = 100;
/// What is said about a step begins here.
const MARGIN: usize = 14;
/// Its further lines begin so much further in.
const HANG: usize = 2;
/// What stands beside a name in a list begins so far behind it.
const NAME: usize = 19;
/// So much is told of the thumbprint of a key.
const KEY_CHARS: usize = 12;

/// SGR parameters (ECMA-48 §8.3.117).
mod colour {
    pub const BOLD: &str = "1";
    pub const DIM: &str = "2";
    pub const RED: &str = "31";
    pub const GREEN: &str = "32";
    pub const YELLOW: &str = "33";
}

impl Teller {
    /// For machines.
    pub fn silent() -> Self {
        Self { voice: Voice::Silent }
    }

    /// For people; coloured on a terminal.
    pub fn on(is_terminal: bool) -> Self {
        let coloured = is_terminal && std::env::var_os("NO_COLOR").is_none();
        Self { voice: if coloured { Voice::Coloured } else { Voice::Plain } }
    }

    fn say(&self, line: &str) {
        if self.voice != Voice::Silent {
            println!("{line}");
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.voice {
            Voice::Coloured if !code.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            Voice::Coloured | Voice::Plain | Voice::Silent => text.to_owned(),
        }
    }

    /// Who is there, and what was asked.
    pub fn opening(&self, people: usize, requester: &str, agent: &str, request: &str) {
        self.say(&self.paint(colour::BOLD, "The forum post of March 2026, and what stops it"));
        self.say("");
        self.say(&format!("A workplace of {people} people runs beside this, as a real MCP server in a process of its own."));
        self.say(&format!("{requester} asks the agent {agent}:"));
        self.say(&format!("   \"{request}\""));
    }

    /// The beginning of an act.
    pub fn act(&self, number: &str, title: &str, about: &str) {
        self.say("");
        self.say(&format!("{} {}", self.paint(colour::BOLD, &format!("{number}. {title}:")), about));
    }

    /// One step.
    pub fn step(&self, number: usize, told: &Told) {
        let colour = match told.answer {
            _ if told.is_let_through() => colour::GREEN,
            "ask" => colour::YELLOW,
            _ => colour::RED,
        };
        let answer = self.paint(colour, &format!("{:<8}", told.answer));
        self.say(&format!("{number:>4}  {:<7} {:<52} {answer} {}", told.who, told.intent, self.paint(colour::DIM, &told.tool)));
        self.reasons(colour, &told.reasons);
        if let Some(consequence) = &told.consequence {
            self.note([colour::RED; 2], "=>", consequence, HANG);
        }
    }

    /// Why, and what would make it allowed.
    fn reasons(&self, colour: &str, reasons: &[Why]) {
        for why in reasons {
            self.note([colour, ""], &format!("{}:", why.norm), &why.sentence, HANG);
        }
        let mut remedies: Vec<&str> = reasons.iter().filter_map(|why| why.remedy.as_deref()).collect();
        remedies.dedup();
        for (at, remedy) in remedies.iter().enumerate() {
            self.note([colour::DIM; 2], if at == 0 { "what would make it allowed:" } else { "and:" }, remedy, HANG);
        }
    }

    /// Something about a step: a name and a text in these colours, the text broken into lines, of which the others begin `hang` further in.
    fn note(&self, [of_name, of_text]: [&str; 2], name: &str, text: &str, hang: usize) {
        let rest = WIDTH - MARGIN;
        for (at, line) in broken(text, rest - name.chars().count() - 1, rest - hang).iter().enumerate() {
            let begins = if at == 0 { format!("{} ", self.paint(of_name, name)) } else { " ".repeat(hang) };
            self.say(&format!("{:MARGIN$}{begins}{}", "", self.paint(of_text, line)));
        }
    }

    /// A name, and what stands beside it.
    fn beside(&self, name: &str, text: &str) {
        self.note([colour::DIM, ""], &format!("{name:<0$}", NAME - 1), text, NAME);
    }

    /// What a person reads on the page of consent, as far as it says more than that it is about this agent and them.
    pub fn consent(&self, who: &str, page: &[(String, String)]) {
        self.say(&format!("      {who:<7} signs in there with a browser, and reads:"));
        for (name, text) in page.iter().filter(|(name, _)| READ_ALOUD.contains(&name.as_str())) {
            self.beside(name, text);
        }
    }

    /// What a token says, and what came with it.
    pub fn holds(&self, who: &str, holds: &Holds) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
        let Holds { claims, task, .. } = holds;
        let key: String = text(&claims["cnf"]["jkt"]).chars().take(KEY_CHARS).collect();
        let mut granted = list(&task["effects"]);
        if task["resources"].is_array() {
            granted.push_str(&format!(" {}", list(&task["resources"])));
        }
        if let Some(calls) = task["budget"]["calls"].as_u64() {
            granted.push_str(&format!(", in {calls} calls"));
        }
        self.beside("act, sub", &holds.chain().join(" for "));
        self.beside("task", &format!("{}: {granted}", holds.task_id()));
        self.beside("cnf.jkt", &format!("{key}…, a key that {who}'s program alone has"));
        self.beside("exp", &format!("in {} minutes", holds.minutes()));
    }

    /// Nobody followed advice that nobody saw.
    pub fn nothing_to_follow(&self, who: &str) {
        self.say(&format!("      {who:<7} finds no advice in the thread, and changes nothing"));
    }

    /// How much left at full speed.
    pub fn race(&self, race: &Race) {
        let seconds = |taking: &Taking| format!("{:.1} s", Duration::from_millis(taking.ms).as_secs_f64());
        let Race { plain, prudence, benign, reasons } = race;
        let line = |who: &str, what: String| self.say(&format!("   {who:<22} {what}"));
        line(
            "plain access control",
            format!("{} customers in {}, and nothing in the way of the rest", plain.records, seconds(plain)),
        );
        let frozen = self.paint(colour::RED, "frozen");
        let refused = prudence.refused;
        line(
            "Prudence",
            format!(
                "{} customers in {}, then {frozen}: {} got nothing",
                prudence.records,
                seconds(prudence),
                crate::render::count(refused.into(), "more call", "more calls")
            ),
        );
        self.reasons(colour::RED, reasons);
        line("the one asked for", format!("{} customer, and nobody asked", benign.records));
    }

    /// The sum of it.
    pub fn ending(&self, story: &Story) {
        self.say("");
        self.say(&self.paint(colour::BOLD, "What came of it"));
        self.say(&format!("   {:<34} {:>22} {:>14} {:>13}", "", "plain access control", "Prudence", "benign twin"));
        let numbers = |name: &str, numbers: [Option<usize>; 3]| {
            let [plain, prudence, benign] = numbers.map(|number| number.map_or("–".to_owned(), |number| number.to_string()));
            self.say(&format!("   {name:<34} {plain:>22} {prudence:>14} {benign:>13}"));
        };
        let row = |name: &str, count: fn(&Act) -> usize| {
            numbers(name, [&story.plain, &story.prudence, &story.benign].map(|act| Some(count(act))));
        };
        row("not cleared, and read the post", |act| act.post_uncleared);
        row("not cleared, and can read the data", |act| act.dataset_uncleared);
        row("times a person was asked", |act| act.asked);
        numbers("customers taken in a minute", story.race.in_a_minute().map(Some));
        let [plain, prudence] = story.credential.copies_let_in();
        numbers("let in with a copied credential", [Some(plain), Some(prudence), None]);
        self.say("");
        self.say(&format!(
            "Every decision was in the ledger before its effect, each refusal too: {} entries, chain verified.",
            story.ledger_entries
        ));
        self.say("");
        self.say("Look next:");
        let prudence = program();
        self.say(&format!("   {prudence} demo --keep                    leave all of this running, and try your own calls"));
        self.say(&format!(
            "   {prudence} scenario run scenarios/*.yaml  the incidents that this is made of, with their benign twins"
        ));
        self.say(&format!("   {prudence} init                           begin with your own servers (docs/getting-started.md)"));
    }

    /// How to use what was left running.
    pub fn keep(&self, running: &Running, workplace: &str) {
        let ledger = running.configuration.with_file_name("ledger.db");
        self.say("");
        self.say(&self.paint(colour::BOLD, "Still running; interrupt to stop"));
        self.say(&format!("   gateway     {}  (MCP, streamable HTTP)", running.url));
        self.say(&format!("   logging in  {}  (OAuth; the client `helper`, without a secret)", running.api));
        self.say(&format!("               bo's password is {}", running.password));
        self.say(&format!("   workplace   {workplace}/mcp  (without Prudence)"));
        self.say(&format!("   ledger      {}", ledger.display()));
        self.say("");
        self.say("   In another terminal, a task of bo and helper, for 15 minutes:");
        self.say(&format!("   TOKEN={}", running.token));
        self.say("");
        self.call(
            &running.url,
            "runbook_read",
            &json!({ "runbook": "runbook:dataset-acl" }),
            "Let it read what the storage on-call knows:",
        );
        self.call(
            &running.url,
            "forum_post_reply",
            &json!({ "forum": "forum:eng-help", "thread": "thread:4811", "text": "I am on it." }),
            "Let it answer on the forum, which is asked about (after a yes, send the same again):",
        );
        self.say("   And be the person who answers, the auditor, and the one who has seen enough:");
        self.say(&format!("   export PRUDENCE_CONFIG={}", running.configuration.display()));
        let prudence = program();
        for command in [
            "approvals list",
            "approvals approve ASK --as ann",
            "incidents list",
            "ledger show",
            "ledger report",
            "kill agent:helper --by bo",
        ] {
            self.say(&format!("   {prudence} {command}"));
        }
    }

    /// One call that can be pasted into a shell.
    fn call(&self, url: &str, tool: &str, arguments: &Value, about: &str) {
        self.say(&format!("   {about}"));
        self.say(&format!("   curl -s {url} -H \"Authorization: Bearer $TOKEN\" \\"));
        for headers in call_headers(tool).chunks(2) {
            let headers: Vec<String> = headers.iter().map(|(name, value)| format!("-H '{name}: {value}'")).collect();
            self.say(&format!("        {} \\", headers.join(" ")));
        }
        self.say(&format!("        -d '{}'", call_body("curl", tool, arguments)));
        self.say("");
    }
}

/// A text in lines of at most so many characters, the first and the others, broken at spaces.
fn broken(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let most = if lines.len() == 1 { first } else { others };
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// This program as it was called, so that what is printed can be pasted before anything is installed.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "prudence".to_owned())
}
