//! How a refusal looks: a code for programs, a sentence for the agent, and what would make it allowed. Nothing here decides.

use http::StatusCode;
use judge::decision::{Code, Outcome, Reason};
use judge::name::{AskId, DecisionId};
use serde_json::{Value, json};
use wire::frame::{Frame, Limits};
use wire::mcp::tool_refusal;

use crate::answer::Answer;
use crate::config::RefusalForm;

/// The JSON-RPC code of a refusal that is no tool result.
pub const REFUSED: i64 = -32001;
const SENTENCES_MAX: usize = 8;

/// Why a call does not go through.
pub struct Refusal {
    outcome: Outcome,
    codes: Vec<String>,
    sentences: Vec<String>,
    remedies: Vec<String>,
    decision: Option<DecisionId>,
    ask: Option<AskId>,
}

impl Refusal {
    /// Refused before it became an act.
    #[must_use]
    pub fn early(code: Code, sentence: &str, remedy: Option<&str>) -> Self {
        Self {
            outcome: Outcome::Deny,
            codes: vec![code.word().to_owned()],
            sentences: vec![sentence.to_owned()],
            remedies: remedy.into_iter().map(str::to_owned).collect(),
            decision: None,
            ask: None,
        }
    }

    /// The ledger cannot record, so nothing may happen.
    #[must_use]
    pub fn ledger() -> Self {
        Self::early(
            Code::Ledger,
            "the ledger is unavailable, so nothing can be decided",
            Some("send the call again when it has recovered"),
        )
    }

    /// What came back may not be released, because that cannot be recorded.
    #[must_use]
    pub fn ledger_after() -> Self {
        let sentence = "the call was carried out, but its result cannot be recorded and is therefore not released";
        Self::early(Code::Ledger, sentence, Some("find out what happened before the call is sent again"))
    }

    /// The chain was stopped while the tool worked: what the call did stands, and what it brought is not released.
    #[must_use]
    pub fn stopped(why: &Reason) -> Self {
        let sentence = format!("the call was under way when this happened: {}; what came of it is not released", why.sentence);
        Self::early(Code::Frozen, &sentence, why.remedy.as_deref())
    }

    /// Decided.
    #[must_use]
    pub fn decided(decision: DecisionId, outcome: Outcome, reasons: &[Reason], ask: Option<AskId>) -> Self {
        let against = || reasons.iter().filter(|reason| reason.outcome != Outcome::Permit);
        let mut refusal =
            Self { outcome, codes: Vec::new(), sentences: Vec::new(), remedies: Vec::new(), decision: Some(decision), ask };
        for reason in against() {
            push_once(&mut refusal.codes, reason.ground.word());
            push_once(&mut refusal.sentences, &reason.sentence);
            if let Some(remedy) = &reason.remedy {
                push_once(&mut refusal.remedies, remedy);
            }
        }
        refusal
    }

    /// The refusal in words that a model can act on.
    #[must_use]
    pub fn text(&self) -> String {
        let reasons = self.sentences.join("; ");
        let mut text = match (&self.ask, self.outcome) {
            (Some(_), _) | (None, Outcome::Ask) => {
                format!("Not carried out: a person must approve this call first. {}.", capital(&reasons))
            }
            (None, Outcome::Permit | Outcome::Deny) => format!("Refused: {reasons}."),
        };
        if !self.remedies.is_empty() {
            text.push_str(&format!(" What would make it allowed: {}.", self.remedies.join("; or ")));
        }
        if let Some(ask) = &self.ask {
            text.push_str(&format!(
                " Approval {ask} waits for an answer; once it is approved, send exactly the same call again."
            ));
        }
        text
    }

    /// The same for programs.
    #[must_use]
    pub fn detail(&self) -> Value {
        json!({
            "outcome": self.outcome.word(),
            "codes": self.codes,
            "reasons": self.sentences,
            "remedies": self.remedies,
            "decision": self.decision.as_ref().map(DecisionId::as_str),
            "approval": self.ask.as_ref().map(AskId::as_str),
        })
    }

    /// The frame that answers the request.
    #[must_use]
    pub fn frame(&self, request: &Frame, form: RefusalForm, limits: &Limits) -> Frame {
        let as_error = || Frame::error(request.id(), REFUSED, &self.text(), Some(&self.detail()));
        match (form, request.method(), request.id()) {
            (RefusalForm::ToolResult, Some("tools/call"), Some(id)) => {
                tool_refusal(id, &self.text(), Some(&self.detail()), limits).unwrap_or_else(|_| as_error())
            }
            // Only a tool's result has a form for errors.
            (RefusalForm::ToolResult | RefusalForm::JsonRpcError, _, _) => as_error(),
        }
    }

    /// The answer to the request.
    #[must_use]
    pub fn answer(&self, request: &Frame, form: RefusalForm, limits: &Limits) -> Answer {
        Answer::frame(StatusCode::OK, &self.frame(request, form, limits))
    }
}

fn push_once(into: &mut Vec<String>, text: &str) {
    let text = text.trim_end_matches('.');
    if into.len() < SENTENCES_MAX && !into.iter().any(|present| present == text) {
        into.push(text.to_owned());
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
