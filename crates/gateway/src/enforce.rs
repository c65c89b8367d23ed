//! The way of one decided call: read by its contract, ruled on by the engine, carried out with the permit, and its result observed before
//! anybody sees it. What is permitted is not known here.

use std::borrow::Cow;
use std::sync::Arc;

use broker::Lack;
use contract::{Contracts, ReadResult, Standing};
use engine::{Released, Ruled, Seen, Spent, Unavailable};
use http::{HeaderMap, StatusCode};
use judge::act::Act;
use judge::alarm::Alarm;
use judge::decision::{Code, Decision, Outcome};
use judge::event::{Ended, Refused};
use judge::moment::Moment;
use judge::name::ToolId;
use judge::observe::KeptBack;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing::{error, warn};
use wire::frame::{Edit, Frame, Kind};

use crate::Core;
use crate::answer::Answer;
use crate::call::{Call, NoCall, Target};
use crate::config::Mode;
use crate::door::Challenge;
use crate::exchange::{Caller, Upward};
use crate::follow::{FollowKey, created_task};
use crate::mcp_fields::INPUT_REQUIRED;
use crate::record::Recorded;
use crate::refusal::Refusal;
use crate::upstream::{Failure, Permitted};

/// A call that went out and whose result is not there yet. Dropping it leaves the act ambiguous, and the engine records that.
#[derive(Debug)]
pub struct UnderWay {
    call: Call,
    contracts: Arc<Contracts>,
    spent: Spent,
}

/// How many requests of strangers are recorded in a span of time.
#[derive(Default)]
pub struct Strangers {
    span: Mutex<(u64, u32)>,
}

impl Strangers {
    /// Whether one more may be recorded in this span.
    fn takes(&self, now: Moment) -> bool {
        let number = now.0 / STRANGERS_SPAN_MS;
        let mut span = self.span.lock();
        if span.0 != number {
            *span = (number, 0);
        }
        span.1 += 1;
        span.1 <= STRANGERS_MAX
    }
}

/// The norm that a task with more effects would satisfy.
const SCOPE_NORM: &str = "scope-edge";
const STRANGERS_SPAN_MS: u64 = 10_000;
const STRANGERS_MAX: u32 = 200;

impl UnderWay {
    /// Its parts, for whoever waits longer than a request does.
    pub fn into_parts(self) -> (Call, Arc<Contracts>, Spent) {
        (self.call, self.contracts, self.spent)
    }
}

/// Why a call is refused before it is ruled on.
struct Early {
    code: Code,
    sentence: String,
    remedy: Option<Cow<'static, str>>,
}

impl Early {
    fn contract(sentence: String) -> Self {
        Self { code: Code::Contract, sentence, remedy: Some("the operator accepts a contract that covers it".into()) }
    }
}

impl From<Lack> for Early {
    fn from(lack: Lack) -> Self {
        let remedy = Some(lack.remedy().to_owned().into());
        Self { code: Code::Credential, sentence: lack.to_string(), remedy }
    }
}

impl From<NoCall> for Early {
    fn from(no_call: NoCall) -> Self {
        let code = match no_call {
            NoCall::TooMuch => Code::Bounds,
            NoCall::Parameters { .. } | NoCall::Number(_) | NoCall::Name => Code::Contract,
        };
        Self { code, sentence: no_call.to_string(), remedy: None }
    }
}

impl Core {
    /// Rules on a call for upstream number `index`. `frame` is the one that the server would get.
    ///
    /// # Errors
    /// The answer that the client gets instead. Nothing waits for a person here: an ask is answered at once.
    pub async fn rule(
        self: &Arc<Self>,
        up: &Upward<'_>,
        index: usize,
        frame: &Frame,
        headers: &HeaderMap,
    ) -> Result<Permitted, Box<Answer>> {
        let mode = self.mode_of(up.caller, index);
        let call = match Call::of(&self.upstreams[index].name, frame) {
            Ok(call) => call,
            Err(no_call) => return Err(self.refuse_early(up, None, &no_call.into()).await),
        };
        // First of all: nothing can be sent, whatever is decided.
        if let Err(lack) = self.upstreams[index].has_credential(&up.scope.links[index]).await {
            return Err(self.refuse_early(up, Some(&call.tool), &lack.into()).await);
        }
        let read = self.read(up, index, &call, headers).await;
        let act = match (read, mode) {
            (Ok(act), Mode::Enforce | Mode::Observe) => act,
            (Err(early), Mode::Enforce) => return Err(self.refuse_early(up, Some(&call.tool), &early).await),
            (Err(early), Mode::Observe) => {
                // It is recorded what would have been refused, and the call goes on as an act that nobody can read.
                self.record(up.caller, Some(&call.tool), early.code, format!("only observed: {}", early.sentence)).await;
                call.unread_act()
            }
        };
        let cut_down = |items| Some(self.cut_down(index, &call, items, headers)?.1);
        let ruled = self.engine.rule_within(&up.caller.judged, &act, mode.into(), &cut_down).await;
        match ruled {
            Ok(Ruled { permit: Some(permit), .. }) if permit.is_for(call.digest()) => Ok(Permitted { call, permit }),
            Ok(Ruled { permit: Some(permit), decision, .. }) => {
                let cut = decision.limit.and_then(|items| self.cut_down(index, &call, items, headers));
                // Without it the permit is for no call that there is, and is not spent.
                Ok(Permitted { call: cut.map_or(call, |(cut, _)| cut), permit })
            }
            Ok(Ruled { id, decision, ask, permit: None }) => {
                let missing = self.missing_scope(up.caller, &act, &decision);
                let refusal = Refusal::decided(id, decision.outcome, &decision.reasons, ask);
                let mut answer = refusal.answer(&up.frame, self.config.refusal, &self.result_frames);
                if let Some(scope) = missing {
                    // MCP 2025-11-25 and 2026-07-28, "Runtime Insufficient Scope Errors"; RFC 6750 §3.1.
                    answer.status = StatusCode::FORBIDDEN;
                    let sentence = Some("the task does not name this kind of effect");
                    let challenge = Challenge { error: Some("insufficient_scope"), description: sentence, scope: Some(&scope) };
                    challenge.write(self.config.door.as_ref(), &mut answer.headers);
                }
                Err(Box::new(answer))
            }
            Err(unavailable) => {
                error!(%unavailable, "a call was refused");
                Err(Box::new(Refusal::ledger().answer(&up.frame, self.config.refusal, &self.result_frames)))
            }
        }
    }

    /// The scope with which a refused call would have gone through, where nothing but that stands against it and clients are told so: what
    /// the task names, and what the call does beyond it.
    fn missing_scope(&self, caller: &Caller, act: &Act, decision: &Decision) -> Option<String> {
        self.config.door.as_ref().filter(|door| door.step_up)?;
        let mut against = decision.reasons.iter().filter(|reason| reason.outcome != Outcome::Permit);
        if !against.all(|reason| reason.ground.word() == SCOPE_NORM) {
            return None;
        }
        let task = caller.judged.task.as_ref()?;
        let named = self.engine.view(|state, _| state.task(task).and_then(|task| task.task.effects.clone()))?;
        if act.effects.is_subset(&named) {
            return None;
        }
        Some(named.union(&act.effects).map(|effect| effect.word()).collect::<Vec<_>>().join(" "))
    }

    /// The call went out: what is needed when its result comes.
    #[must_use]
    pub fn under_way(&self, index: usize, call: Call, spent: Spent) -> UnderWay {
        UnderWay { call, contracts: self.contracts(index), spent }
    }

    /// Nothing was done, and that is known.
    pub async fn nothing_done(&self, under_way: UnderWay) {
        if let Err(unavailable) = self.engine.observe(under_way.spent, Seen::default(), Ended::Failed).await {
            error!(%unavailable, "a failed call could not be recorded");
        }
    }

    /// How a call ended that has no usable answer.
    pub async fn ended_without_answer(&self, under_way: UnderWay, failure: &Failure) {
        match failure {
            Failure::NotSent(_) | Failure::NoCredential(_) | Failure::NotTaken(_) => self.nothing_done(under_way).await,
            // It did happen, or may have: what came back is not used, and nobody knows what it did.
            Failure::Lost(_) | Failure::Unusable(_) => drop(under_way),
        }
    }

    /// Judges and records what a call brought, and takes out what the chain may not have.
    pub async fn observe(&self, owner: &Arc<str>, index: usize, under_way: UnderWay, frame: Frame) -> Frame {
        let mut result = match frame.kind() {
            Kind::Result => frame.result(),
            // The words of an error are a text that nobody labelled.
            Kind::Error | Kind::Request | Kind::Notification => {
                json!({ "isError": true, "content": [{ "type": "text", "text": frame.error_raw().unwrap_or_default() }] })
            }
        };
        if let Some(id) = created_task(&under_way.call, &result) {
            self.follow(FollowKey { owner: Arc::clone(owner), index, id }, under_way);
            return frame;
        }
        let UnderWay { call, contracts, spent } = under_way;
        let person = spent.caller().chain.first().map(ToString::to_string).unwrap_or_default();
        let (read, Released { kept, stopped, .. }) = match self.observe_result(&call, &contracts, spent, &result).await {
            Ok(observed) => observed,
            Err(unavailable) => {
                error!(%unavailable, "a result was not released");
                return self.instead(call.frame(), &frame, &Refusal::ledger_after());
            }
        };
        if let Some(why) = stopped {
            return self.instead(call.frame(), &frame, &Refusal::stopped(&why));
        }
        if kept.is_nothing() {
            return frame;
        }
        let redaction = read.withhold(&mut result, &kept, &person);
        if redaction.parts > 0 {
            warn!(
                alarm = Alarm::Boundary { items: kept.withheld.len() as u64 }.word(), tool = %call.tool, parts = redaction.parts,
                "the server gave out what the requester is not cleared for; it was withheld"
            );
        }
        let replaced = match frame.kind() {
            Kind::Result => frame.splice("/result", &result.to_string(), &self.result_frames).ok(),
            Kind::Error | Kind::Request | Kind::Notification => Some(Frame::error(frame.id(), -32603, &redaction.notice, None)),
        };
        replaced.unwrap_or_else(|| {
            let refusal = Refusal::early(Code::Bounds, "the result cannot be cut down to what may be released", None);
            self.instead(call.frame(), &frame, &refusal)
        })
    }

    /// Judges and records a result: how it was read, and what of it the chain gets.
    pub async fn observe_result(
        &self,
        call: &Call,
        contracts: &Contracts,
        spent: Spent,
        result: &Value,
    ) -> Result<(ReadResult, Released), Unavailable> {
        let read = call.target.observe(contracts, result);
        // A question of the server: nothing was done yet, and the client sends the call again with its answers.
        let asks = result["resultType"] == INPUT_REQUIRED;
        let ended = if read.failed || asks { Ended::Failed } else { Ended::Ok };
        let seen = Seen { items: read.items.clone(), created: read.created.clone(), attested: read.attested.clone() };
        let caller = self.recorder.is_some().then(|| spent.caller().clone());
        let released = self.engine.observe(spent, seen, ended).await?;
        if let (Some(caller), None) = (caller, &released.stopped) {
            self.keep(&caller, call, &read, &released.kept, result);
        }
        Ok((read, released))
    }

    /// Records a call with what the agent gets of its result, where that is configured.
    fn keep(&self, caller: &judge::task::Caller, call: &Call, read: &ReadResult, kept: &KeptBack, result: &Value) {
        let (Some(recorder), Target::Tool { arguments, .. }) = (&self.recorder, &call.target) else { return };
        let mut result = std::borrow::Cow::Borrowed(result);
        if !kept.is_nothing() {
            let person = caller.chain.first().map(ToString::to_string).unwrap_or_default();
            read.withhold(result.to_mut(), kept, &person);
        }
        let at = self.engine.now();
        recorder.add(&Recorded { task: caller.task.as_ref(), at, tool: &call.tool, args: arguments, result: &result });
    }

    /// Whether refusals stop this caller's calls to upstream number `index`.
    pub fn mode_of(&self, caller: &Caller, index: usize) -> Mode {
        let observed = self.config.observed_agents.iter().any(|agent| agent == caller.claims.caller());
        if observed { Mode::Observe } else { self.upstreams[index].mode }
    }

    /// Records what never became an act.
    pub async fn record(&self, caller: &Caller, tool: Option<&ToolId>, code: Code, sentence: String) -> bool {
        let refused = Refused { code, sentence, caller: Some(caller.judged.clone()), tool: tool.cloned() };
        let recorded = self.engine.refuse(refused).await;
        if let Err(unavailable) = &recorded {
            error!(%unavailable, "a refusal could not be recorded");
        }
        recorded.is_ok()
    }

    /// Records a request of nobody that is known, unless there were too many of late: strangers must not fill the ledger.
    pub async fn record_stranger(&self, sentence: String) {
        if !self.strangers.takes(self.engine.now()) {
            warn!(sentence, "refused, not recorded: there are too many");
            return;
        }
        let refused = Refused { code: Code::Authentication, sentence, caller: None, tool: None };
        if let Err(unavailable) = self.engine.refuse(refused).await {
            error!(%unavailable, "a refusal could not be recorded");
        }
    }

    async fn refuse_early(&self, up: &Upward<'_>, tool: Option<&ToolId>, early: &Early) -> Box<Answer> {
        let recorded = self.record(up.caller, tool, early.code, early.sentence.clone()).await;
        let refusal =
            if recorded { Refusal::early(early.code, &early.sentence, early.remedy.as_deref()) } else { Refusal::ledger() };
        Box::new(refusal.answer(&up.frame, self.config.refusal, &self.result_frames))
    }

    /// Applies the contract.
    async fn read(self: &Arc<Self>, up: &Upward<'_>, index: usize, call: &Call, headers: &HeaderMap) -> Result<Act, Early> {
        let contracts = self.contracts(index);
        let mut act = match &call.target {
            Target::Tool { name, arguments } => {
                let Some(tool) = contracts.tool(name) else {
                    return Err(Early::contract(Standing::Unknown.sentence(name).unwrap_or_default()));
                };
                let standing = self.standing(up, index, name, headers).await.map_err(|failure| {
                    warn!(upstream = self.upstreams[index].name, %failure, "the definitions of its tools cannot be read");
                    Early {
                        code: Code::Contract,
                        sentence: format!("the definition of `{name}` cannot be compared with its contract now"),
                        remedy: Some("send the call again when the server answers".into()),
                    }
                })?;
                if let Some(sentence) = standing.sentence(name) {
                    return Err(Early::contract(sentence));
                }
                tool.act(call.tool.clone(), arguments, call.digest())
            }
            Target::Resource { uri } => {
                let Some(resource) = contracts.resource(uri) else {
                    return Err(Early::contract(format!("no contract says what the resource `{}` is", shown(uri))));
                };
                resource.act(call.tool.clone(), uri, call.digest())
            }
        }
        .map_err(|error| Early { code: error.code(), sentence: error.to_string(), remedy: None })?;
        call.add_the_rest(&mut act, headers)?;
        Ok(act)
    }

    /// The call as it would be for at most `items`, and the act that it then is.
    fn cut_down(&self, index: usize, call: &Call, items: u64, headers: &HeaderMap) -> Option<(Call, Act)> {
        let Target::Tool { name, arguments } = &call.target else { return None };
        let contracts = self.contracts(index);
        let tool = contracts.tool(name)?;
        let (pointer, value) = tool.cut_down(arguments, items)?;
        let pointer = format!("/params/arguments{pointer}");
        let frame = call.frame().edit(&[Edit::Set(&pointer, &value.to_string())], &self.result_frames).ok()?;
        let cut = Call::of(&self.upstreams[index].name, &frame).ok()?;
        let Target::Tool { arguments, .. } = &cut.target else { return None };
        let mut act = tool.act(cut.tool.clone(), arguments, cut.digest()).ok()?;
        cut.add_the_rest(&mut act, headers).ok()?;
        Some((cut, act))
    }

    /// An answer that stands in for one that may not be released.
    fn instead(&self, request: &Frame, answer: &Frame, refusal: &Refusal) -> Frame {
        // The answer has the id under which the client waits; the request may have been renamed.
        let frame = refusal.frame(request, self.config.refusal, &self.result_frames);
        match answer.id() {
            Some(id) if frame.id().is_some() => frame.splice("/id", id, &self.result_frames).unwrap_or(frame),
            Some(_) | None => frame,
        }
    }
}

impl Target {
    /// Reads what it brought.
    pub fn observe(&self, contracts: &Contracts, result: &Value) -> ReadResult {
        match self {
            Self::Tool { name, arguments } => match contracts.tool(name) {
                Some(tool) => tool.observe(arguments, result),
                // Only observed: no contract says what it is, so it is one item of which nothing is known.
                None => contracts.observe_resource(name, result),
            },
            Self::Resource { uri } => contracts.observe_resource(uri, result),
        }
    }
}

impl From<Mode> for engine::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Observe => Self::Observe,
        }
    }
}

fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    text.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}
