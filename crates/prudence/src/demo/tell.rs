//! Telling the story to a person: coloured on a terminal, plain when piped, silent when a machine reads it.

use super::story::{Act, Race, Running, Story, Taking, Told};
use std::path::Path;
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
            Voice::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
            Voice::Plain | Voice::Silent => text.to_owned(),
        }
    }

    /// Who is there, and what was asked.
    pub fn opening(&self, people: usize, requester: &str, request: &str) {
        self.say(&self.paint(colour::BOLD, "The forum post of March 2026, and what stops it"));
        self.say("");
        self.say(&format!("A workplace of {people} people runs beside this, as a real MCP server in a process of its own."));
        self.say(&format!("{requester} asks the agent: \"{request}\""));
    }

    /// The beginning of an act.
    pub fn act(&self, number: &str, title: &str, about: &str) {
        self.say("");
        self.say(&format!("{} {}", self.paint(colour::BOLD, &format!("{number}. {title}:")), about));
    }

    /// One step.
    pub fn step(&self, number: usize, told: &Told) {
        let colour = match told.answer {
            "permit" | "allowed" => colour::GREEN,
            "ask" => colour::YELLOW,
            _ => colour::RED,
        };
        let answer = self.paint(colour, &format!("{:<8}", told.answer));
        self.say(&format!("   {number}  {:<7} {:<52} {answer} {}", told.who, told.intent, self.paint(colour::DIM, &told.tool)));
        for why in &told.reasons {
            self.say(&format!("              {} {}", self.paint(colour, &format!("{}:", why.norm)), why.sentence));
        }
        let mut remedies: Vec<&str> = told.reasons.iter().filter_map(|why| why.remedy.as_deref()).collect();
        remedies.dedup();
        for (at, remedy) in remedies.iter().enumerate() {
            let lead = if at == 0 { "what would make it allowed: " } else { "                       and: " };
            self.say(&format!("              {}", self.paint(colour::DIM, &format!("{lead}{remedy}"))));
        }
        if let Some(consequence) = &told.consequence {
            self.say(&format!("              {}", self.paint(colour::RED, &format!("=> {consequence}"))));
        }
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
            format!("{} customers in {}, then {frozen}: {refused} more calls got nothing", prudence.records, seconds(prudence)),
        );
        for why in reasons {
            self.say(&format!("              {} {}", self.paint(colour::RED, &format!("{}:", why.norm)), why.sentence));
            if let Some(remedy) = &why.remedy {
                self.say(&format!("              {}", self.paint(colour::DIM, &format!("what would make it allowed: {remedy}"))));
            }
        }
        line("the one asked for", format!("{} customer, and nobody asked", benign.records));
    }

    /// The sum of it.
    pub fn ending(&self, story: &Story) {
        self.say("");
        self.say(&self.paint(colour::BOLD, "What came of it"));
        self.say(&format!("   {:<34} {:>22} {:>14} {:>13}", "", "plain access control", "Prudence", "benign twin"));
        let numbers = |name: &str, numbers: [usize; 3]| {
            self.say(&format!("   {name:<34} {:>22} {:>14} {:>13}", numbers[0], numbers[1], numbers[2]));
        };
        let row = |name: &str, count: fn(&Act) -> usize| {
            numbers(name, [count(&story.plain), count(&story.prudence), count(&story.benign)]);
        };
        row("not cleared, and read the post", |act| act.post_uncleared);
        row("not cleared, and can read the data", |act| act.dataset_uncleared);
        row("times a person was asked", |act| act.asked);
        numbers("customers taken in a minute", story.race.in_a_minute());
        self.say("");
        self.say(&format!(
            "Every decision was in the ledger before its effect: {} entries, chain verified.",
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
    pub fn keep(&self, running: &Running, folder: &Path, configuration: &Path, workplace: &str) {
        self.say("");
        self.say(&self.paint(colour::BOLD, "Still running; interrupt to stop"));
        self.say(&format!("   gateway     {}  (MCP, streamable HTTP)", running.url));
        self.say(&format!("   workplace   {workplace}/mcp  (without Prudence)"));
        self.say(&format!("   ledger      {}", folder.join("ledger.db").display()));
        self.say("");
        self.say("   In another terminal, a task of bo and helper, for 15 minutes:");
        self.say(&format!("   TOKEN={}", running.token));
        self.say("");
        self.call(
            &running.url,
            "runbook_read",
            r#"{"runbook":"runbook:dataset-acl"}"#,
            "Let it read what the storage on-call knows:",
        );
        self.call(
            &running.url,
            "forum_post_reply",
            r#"{"forum":"forum:eng-help","thread":"thread:4811","text":"I am on it."}"#,
            "Let it answer on the forum, which is asked about (after a yes, send the same again):",
        );
        self.say("   And be the person who answers, and the auditor:");
        self.say(&format!("   export PRUDENCE_CONFIG={}", configuration.display()));
        let prudence = program();
        for command in ["approvals list", "approvals approve ASK --as ann", "incidents list", "ledger show", "ledger report"] {
            self.say(&format!("   {prudence} {command}"));
        }
    }

    /// One call that can be pasted into a shell.
    fn call(&self, url: &str, tool: &str, arguments: &str, about: &str) {
        self.say(&format!("   {about}"));
        self.say(&format!("   curl -s {url} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\"));
        self.say("        -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' \\");
        self.say(&format!("        -H 'Mcp-Method: tools/call' -H 'Mcp-Name: {tool}' \\"));
        self.say(&format!(
            "        -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments},\
             \"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
             \"io.modelcontextprotocol/clientInfo\":{{\"name\":\"curl\",\"version\":\"0\"}},\
             \"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}'",
        ));
        self.say("");
    }
}

/// This program as it was called, so that what is printed can be pasted before anything is installed.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "prudence".to_owned())
}
