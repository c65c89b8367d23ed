//! What an alarm says: names, numbers and a norm's sentence; no content, no requester's words, no secret. The same for every channel, each in its own form.

use judge::incident::{Incident, IncidentId, Kind, Severity};
use judge::moment::Moment;
use serde_json::{Value, json};

use crate::render::{printable, rfc3339};

/// The version of OCSF that [`Message::ocsf`] follows.
const OCSF: &str = "1.5.0";
/// Digits of the hash in an id: enough to tell ledgers apart.
const HASH_DIGITS: usize = 16;
/// The longest sentence, in characters.
const SENTENCE_MAX: usize = 500;

/// An alarm about one incident.
#[derive(Debug, Clone)]
pub struct Message {
    /// About which.
    pub incident: IncidentId,
    /// The same in every attempt, and different for every incident of every ledger.
    pub id: String,
    kind: Kind,
    severity: Severity,
    sentence: String,
    opened: Moment,
    last: Moment,
    subject: String,
    who: Vec<String>,
    task: Option<String>,
    tool: Option<String>,
    norm: Option<String>,
    times: u64,
    is_open: bool,
}

impl Message {
    /// What is said about `incident`, which the entry with this hash began.
    pub fn new(incident: &Incident, hash: &str) -> Self {
        let digits = hash.get(..HASH_DIGITS).unwrap_or(hash);
        Self {
            incident: incident.id,
            id: format!("{}-{digits}", incident.id),
            kind: incident.kind,
            severity: incident.severity,
            sentence: printable(&incident.sentence).chars().take(SENTENCE_MAX).collect(),
            opened: incident.opened,
            last: incident.last,
            subject: printable(&incident.subject.to_string()),
            who: incident.chain.iter().map(|id| printable(id.as_str())).collect(),
            task: incident.task.as_ref().map(ToString::to_string),
            tool: incident.tool.as_ref().map(|tool| printable(tool.as_str())),
            norm: incident.norm.as_ref().map(ToString::to_string),
            times: incident.times,
            is_open: incident.is_open(),
        }
    }

    /// The body of a webhook (Standard Webhooks: `type`, `timestamp`, `data`).
    pub fn webhook(&self) -> Value {
        json!({
            "type": "incident.opened",
            "timestamp": rfc3339(self.opened),
            "data": {
                "incident": self.incident,
                "kind": self.kind,
                "severity": self.severity,
                "status": if self.is_open { "open" } else { "resolved" },
                "sentence": self.sentence,
                "subject": self.subject,
                "who": self.who,
                "task": self.task,
                "tool": self.tool,
                "norm": self.norm,
                "times": self.times,
                "look": self.look(),
            }
        })
    }

    /// The subject of a mail.
    pub fn headline(&self) -> String {
        format!("[prudence] {} {}: {} {}", self.incident, self.severity.word(), self.kind.word(), self.subject)
    }

    /// The text of a mail.
    pub fn text(&self) -> String {
        let optional =
            |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}: {value}\n")).unwrap_or_default();
        format!(
            "{}\n\nbegan: {}\nabout: {}\nwho: {}\n{}{}{}\n{}\n",
            self.sentence,
            rfc3339(self.opened),
            self.subject,
            if self.who.is_empty() { "–".to_owned() } else { self.who.join(" → ") },
            optional("task", &self.task),
            optional("tool", &self.tool),
            optional("breaker", &self.norm),
            self.look()
        )
    }

    fn look(&self) -> String {
        format!("prudence incidents show {}", self.incident)
    }

    /// A Detection Finding (OCSF, class 2004).
    pub fn ocsf(&self) -> Value {
        let severity_id = match self.severity {
            Severity::Medium => 3,
            Severity::High => 4,
            Severity::Critical => 5,
        };
        let severity = ["Medium", "High", "Critical"][severity_id - 3];
        let title = match self.kind {
            Kind::Tempo => "A breaker tripped",
            Kind::Key => "A call came with somebody else's key",
            Kind::Boundary => "A server gave out what was not for the requester",
            Kind::Kill => "A person stopped something",
            Kind::Notice => "A norm wants somebody to know of a call",
        };
        // What is critical was only observed; everything else was stopped, unless nobody wanted to.
        let (action_id, action, disposition_id, disposition) = match (self.kind, self.severity) {
            (Kind::Notice, _) => (1, "Allowed", 1, "Allowed"),
            (_, Severity::Critical) => (3, "Observed", 17, "Logged"),
            (_, Severity::Medium | Severity::High) => (2, "Denied", 2, "Blocked"),
        };
        let (status_id, status) = if self.is_open { (1, "New") } else { (4, "Resolved") };
        let resources: Vec<Value> = [("Tool", &self.tool), ("Task", &self.task)]
            .into_iter()
            .filter_map(|(kind, name)| Some(json!({ "type": kind, "name": name.as_ref()?, "uid": name.as_ref()? })))
            .collect();
        json!({
            "activity_id": 1,
            "activity_name": "Create",
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": 2004,
            "class_name": "Detection Finding",
            "type_uid": 200_401,
            "type_name": "Detection Finding: Create",
            "time": self.opened.0,
            "start_time": self.opened.0,
            "end_time": self.last.0,
            "count": self.times,
            "severity_id": severity_id,
            "severity": severity,
            "status_id": status_id,
            "status": status,
            "action_id": action_id,
            "action": action,
            "disposition_id": disposition_id,
            "disposition": disposition,
            "is_alert": self.kind != Kind::Notice,
            "message": self.sentence,
            "metadata": {
                "version": OCSF,
                "uid": self.id,
                "profiles": ["security_control"],
                "product": { "name": "Prudence", "vendor_name": "Prudence", "version": env!("CARGO_PKG_VERSION") }
            },
            "finding_info": {
                "uid": self.id,
                "title": title,
                "desc": self.sentence,
                "types": [self.kind.word()],
                "created_time": self.opened.0,
                "first_seen_time": self.opened.0,
                "last_seen_time": self.last.0,
                // A rule over what is usual: a norm, or for the other kinds the check itself.
                "analytic": { "type_id": 1, "type": "Rule", "name": self.norm.as_deref().unwrap_or(self.kind.word()), "uid": self.norm.as_deref().unwrap_or(self.kind.word()) }
            },
            "resources": resources,
            "unmapped": { "incident": self.incident, "who": self.who, "subject": self.subject, "look": self.look() }
        })
    }
}
