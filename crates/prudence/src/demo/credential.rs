//! The act about what the agent holds: it logs in, a person agrees to its task, a copy of its token is worth nothing, a sub-agent gets less,
//! and one word ends both.

use super::login::{Answer, Granted, Program, Server, agree, send};
use super::story::{LEASE_MS, Stage, Told, key};
use super::tell::Teller;
use super::world::{AGENT, SCOUT};
use crate::commands::contain::straight;
use anyhow::{Result, anyhow, ensure};
use authority::contain::{KILL, RESET, Word};
use authority::oauth::details::TASK_TYPE;
use judge::name::PrincipalId;
use ledger::Seq;
use reqwest::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Instant;
use workplace::agent::{Agent, Revision};
use workplace::script::{REQUEST, REQUESTER, Step, THREAD, benign_script};

/// What is told of the page of consent: it has to say so much at least.
pub const READ_ALOUD: [&str; 6] = ["Agent", "Answer goes to", "What for", "In your own words", "What it may do", "Until"];
/// Who has a copy of whatever the agent holds.
const THIEF: &str = "thief";
/// The lease of the part, in milliseconds.
const PART_MS: u64 = 5 * 60 * 1000;
/// How many calls are in the part.
const PART_CALLS: u64 = 3;
/// What the agent says that the task is for.
const PURPOSE: &str = "engineering";
/// From the word to a refusal it may take so long at most, in milliseconds: one node under full load is held to 50, a laptop that is busy with
/// something else gets more.
const STOPPED_MS_MAX: u64 = 1_000;
/// How long the owner's own token is good for, in milliseconds.
const OWN_TOKEN_MS: u64 = 60 * 1000;

/// What was played, and what came of it.
#[derive(Debug, Default, Serialize)]
pub struct Credential {
    /// The authorization server, as the gateway names it to whoever comes without a token.
    pub server: String,
    /// What the person read before saying yes.
    pub consent: Vec<(String, String)>,
    /// What the agent's token says.
    pub token: Holds,
    /// What the sub-agent's token says.
    pub part: Holds,
    /// Without a token, with one, and a part handed on: as it should be.
    pub own: Vec<Told>,
    /// With a copy of the agent's key, at the workplace itself.
    pub copied_key: Vec<Told>,
    /// With a copy of the agent's token, at Prudence.
    pub copied_token: Vec<Told>,
    /// Beyond what there was to hand on.
    pub beyond: Vec<Told>,
    /// The words of the owner.
    pub words: Vec<Told>,
    /// What was tried after the first of them.
    pub stopped: Vec<Told>,
    /// From the word to each of these refusals, in milliseconds.
    pub stopped_after_ms: Vec<u64>,
}

/// A token, without the token.
#[derive(Debug, Default, Serialize)]
pub struct Holds {
    /// Its claims.
    pub claims: Value,
    /// The task that came with it.
    pub task: Value,
    /// Whether the key that it names is the one that its program holds.
    pub is_of_its_key: bool,
}

impl Holds {
    fn of(granted: &Granted, program: &Program) -> Self {
        let Granted { claims, task, .. } = granted;
        Self { claims: claims.clone(), task: task.clone(), is_of_its_key: claims["cnf"]["jkt"] == program.thumbprint() }
    }

    /// Who acts for whom: the agents from the caller back, then the person.
    pub fn chain(&self) -> Vec<&str> {
        let actors = std::iter::successors(self.claims.get("act"), |act| act.get("act"));
        actors.chain([&self.claims]).filter_map(|link| link["sub"].as_str()).collect()
    }

    /// The task that it carries.
    pub fn task_id(&self) -> &str {
        self.claims["task"].as_str().unwrap_or_default()
    }

    /// How long it is good for, in minutes, begun ones counted.
    pub fn minutes(&self) -> u64 {
        let at = |name: &str| self.claims[name].as_u64().unwrap_or_default();
        at("exp").saturating_sub(at("iat")).div_ceil(60)
    }

    /// Whether this one has an effect less than `whole`, none beside its, and ends no later.
    fn is_less_than(&self, whole: &Holds) -> bool {
        let effects = |holds: &Holds| holds.task["effects"].as_array().cloned().unwrap_or_default();
        let (less, more) = (effects(self), effects(whole));
        let ends = |holds: &Holds| holds.claims["exp"].as_u64();
        less.len() < more.len() && less.iter().all(|effect| more.contains(effect)) && ends(self) <= ends(whole)
    }
}

impl Credential {
    /// Plays it, telling as it goes.
    pub async fn play(stage: &Stage, mut scout: Program, teller: &Teller) -> Result<Self> {
        let mut helper = Program::new(AGENT)?;
        let mut scene = Scene { stage, teller, told: 0, played: Credential::default() };
        let script = benign_script();
        let [read, other] = [&script.steps[0], &script.steps[1]];
        let (server, token) = scene.log_in(&mut helper, read).await?;
        scene.steal(&helper, &token, read).await?;
        let part = scene.hand_on(&mut helper, &server, &token, &mut scout, [read, other]).await?;
        scene.stop([(&mut helper, &token), (&mut scout, &part)], read).await?;
        Ok(scene.played)
    }

    /// How often somebody was let in with a copy: of the key under plain access control, and of the token under Prudence.
    pub fn copies_let_in(&self) -> [usize; 2] {
        [&self.copied_key, &self.copied_token].map(|tried| tried.iter().filter(|told| told.is_let_through()).count())
    }

    /// Whether it went as it is told to go.
    ///
    /// # Errors
    /// What went otherwise.
    pub fn check(&self) -> Result<()> {
        let Self { consent, token, part, own, copied_key, copied_token, beyond, words, stopped, stopped_after_ms, .. } = self;
        let row = |name: &str| consent.iter().any(|(of, text)| of == name && !text.is_empty());
        ensure!(READ_ALOUD.into_iter().all(row), "the page leaves out one of {READ_ALOUD:?}");
        let says = |part: &str| consent.iter().any(|(_, text)| text.contains(part));
        ensure!(says(AGENT) && says(REQUEST) && says(REQUESTER), "the page does not say which agent, which task, for whom");
        ensure!(token.chain() == [AGENT, REQUESTER] && part.chain() == [SCOUT, AGENT, REQUESTER], "a token names another chain");
        ensure!(!token.task_id().is_empty() && token.is_of_its_key && part.is_of_its_key, "a token is of no task or key");
        ensure!(part.is_less_than(token), "the sub-agent's token is no less than the agent's");
        let answers = |told: &[Told]| told.iter().map(|told| told.answer).collect::<Vec<_>>();
        let expected = ["refused", "granted", "permit", "granted", "permit"];
        ensure!(answers(own) == expected, "expected the agents' own tries to end as {expected:?}, found {:?}", answers(own));
        ensure!(answers(copied_key) == ["allowed"], "plain access control stopped a copied key");
        let why = |told: &[Told]| told.iter().filter_map(|told| Some(told.reasons.first()?.norm.clone())).collect::<Vec<_>>();
        ensure!(answers(copied_token) == ["refused"; 3], "a copied token was let in: {:?}", answers(copied_token));
        let expected = ["token_bound", "proof_replayed", "proof_other_key"];
        ensure!(why(copied_token) == expected, "a copied token was refused because of {:?}", why(copied_token));
        ensure!(beyond.len() == 2 && !beyond.iter().any(Told::is_let_through), "a part went beyond the whole");
        ensure!(why(beyond) == ["delegation", "scope-edge"], "more was refused because of {:?}", why(beyond));
        ensure!(answers(words) == ["stopped", "reset"], "a word was not taken: {:?}", answers(words));
        ensure!(answers(stopped) == ["deny"; 2], "something went on after the word: {:?}", answers(stopped));
        ensure!(stopped_after_ms.iter().all(|ms| *ms <= STOPPED_MS_MAX), "it took {stopped_after_ms:?} ms from the word");
        Ok(())
    }
}

struct Scene<'a> {
    stage: &'a Stage,
    teller: &'a Teller,
    told: usize,
    played: Credential,
}

impl Scene<'_> {
    /// A call without a token leads to the authorization server, and there to the person.
    async fn log_in(&mut self, helper: &mut Program, read: &Step) -> Result<(Server, Granted)> {
        let (url, before) = (&self.stage.url, self.stage.head()?);
        let (refused, server) = helper.discover(url, read).await?;
        let leads_to = Some(format!("tokens are to be had from {}", server.issuer));
        let told = self.verdict(AGENT, &format!("{}, without a token", read.intent), &status(&refused), before)?;
        self.tell(Told { consequence: leads_to, reasons: Vec::new(), ..told }, |played| &mut played.own);
        self.played.server.clone_from(&server.issuer);

        let (effects, before) = (["read", "send"], self.stage.head()?);
        let task = json!({ "type": TASK_TYPE, "purpose": PURPOSE, "words": REQUEST, "effects": effects, "lease_ms": LEASE_MS });
        let asked = helper.ask(&server, url, &task).await?;
        let (consent, back) = agree(&asked.authorize, REQUESTER, &self.stage.password).await?;
        self.teller.consent(REQUESTER, &consent);
        self.played.consent = consent;
        let token = helper.redeem(&server, &asked, &back).await?;
        let told = self.verdict(REQUESTER, "says yes to that", "a token", before)?;
        self.tell(told, |played| &mut played.own);
        self.played.token = Holds::of(&token, helper);
        self.teller.holds(AGENT, &self.played.token);
        self.call(helper, &token, read, |played| &mut played.own).await?;
        Ok((server, token))
    }

    /// A copy of the key of plain access control, and of the token.
    async fn steal(&mut self, helper: &Program, token: &Granted, read: &Step) -> Result<()> {
        let thief = Agent::connect(&format!("{}/mcp", self.stage.workplace), &key(AGENT)?, "", Revision::V2025_11_25).await?;
        let outcome = thief.call(read.tool, read.arguments.clone()).await?;
        thief.leave().await;
        let told = Told {
            who: THIEF,
            intent: format!("plain access control, with a copy of {AGENT}'s key"),
            tool: read.tool.to_owned(),
            answer: if outcome.is_error { "refused" } else { "allowed" },
            reasons: Vec::new(),
            consequence: None,
        };
        self.tell(told, |played| &mut played.copied_key);

        let mut thief = Program::new(THIEF)?;
        let [bearer, bound] = ["Bearer", "DPoP"].map(|scheme| format!("{scheme} {}", token.token));
        let url = &self.stage.url;
        let before = self.stage.head()?;
        let answer = thief.call_with(url, read, &[("authorization", &bearer)]).await?;
        self.copied(&format!("under Prudence, with a copy of {AGENT}'s token"), &answer, before)?;
        let before = self.stage.head()?;
        let answer = thief.call_with(url, read, &[("authorization", &bound), ("dpop", &helper.sent)]).await?;
        self.copied("the same, with a proof that was used", &answer, before)?;
        let before = self.stage.head()?;
        let answer = thief.call(url, &token.token, read).await?;
        self.copied("the same, with a proof by another key", &answer, before)
    }

    fn copied(&mut self, how: &str, answer: &Answer, before: Seq) -> Result<()> {
        ensure!(!answer.is_result(), "{how}: a result came back");
        let told = self.verdict(THIEF, how, &status(answer), before)?;
        self.tell(told, |played| &mut played.copied_token);
        Ok(())
    }

    /// A part for a sub-agent: refused where it is more than there is, and held to where it is not.
    async fn hand_on(
        &mut self,
        helper: &mut Program,
        server: &Server,
        token: &Granted,
        scout: &mut Program,
        [read, other]: [&Step; 2],
    ) -> Result<Granted> {
        let mut part = Err("nothing was asked for".to_owned());
        let tried: [(&[&str], List); 2] =
            [(&["read", "publish"], |played| &mut played.beyond), (&["read"], |played| &mut played.own)];
        for (effects, list) in tried {
            let before = self.stage.head()?;
            let budget = json!({ "calls": PART_CALLS });
            let asked =
                json!({ "type": TASK_TYPE, "effects": effects, "resources": [THREAD], "budget": budget, "lease_ms": PART_MS });
            part = helper.hand_on(server, token, scout, &asked).await?.map_err(|answer| status(&answer));
            let tool = part.as_ref().map_or_else(Clone::clone, |_| "a token".to_owned());
            let told =
                self.verdict(AGENT, &format!("hands {SCOUT} a part: {} {THREAD}", effects.join(" and ")), &tool, before)?;
            self.tell(told, list);
        }
        let part = part.map_err(|status| anyhow!("nothing was handed on: {status}"))?;
        self.played.part = Holds::of(&part, scout);
        self.teller.holds(SCOUT, &self.played.part);
        self.call(scout, &part, read, |played| &mut played.own).await?;
        self.call(scout, &part, other, |played| &mut played.beyond).await?;
        Ok(part)
    }

    /// The owner of the agent says stop, with a token of their own, and both try again.
    async fn stop(&mut self, both: [(&mut Program, &Granted); 2], read: &Step) -> Result<()> {
        let before = self.stage.head()?;
        let said = Instant::now();
        self.word(KILL, "that is enough").await?;
        let mut tried = Vec::new();
        for (program, token) in both {
            let before = self.stage.head()?;
            let answer = program.call(&self.stage.url, &token.token, read).await?;
            ensure!(!answer.is_result(), "{} got a result after the word", program.id);
            tried.push((program.id, before, u64::try_from(said.elapsed().as_millis()).unwrap_or(u64::MAX)));
        }
        let told = self.verdict(REQUESTER, &format!("says stop, as the owner of {AGENT}"), &format!("POST {KILL}"), before)?;
        self.tell(told, |played| &mut played.words);
        for (who, before, ms) in tried {
            let told = self.verdict(who, read.intent, read.tool, before)?;
            self.tell(Told { consequence: Some(format!("refused within {ms} ms of the word")), ..told }, |played| {
                &mut played.stopped
            });
            self.played.stopped_after_ms.push(ms);
        }
        let before = self.stage.head()?;
        self.word(RESET, "").await?;
        let told = self.verdict(REQUESTER, "lets it go on, with other tasks", &format!("POST {RESET}"), before)?;
        self.tell(told, |played| &mut played.words);
        Ok(())
    }

    /// What the owner says of the agent over the API.
    async fn word(&self, path: &str, why: &str) -> Result<()> {
        let Stage { house, api, .. } = self.stage;
        let owner = PrincipalId::parse(REQUESTER)?;
        let own = format!("Bearer {}", house.issuer.person_token(&owner, house.engine.now(), OWN_TOKEN_MS)?);
        let headers = [("authorization", own.as_str()), ("content-type", "application/json")];
        let word = serde_json::to_string(&Word { target: format!("agent:{AGENT}"), by: None, why: why.to_owned() })?;
        send(&straight().build()?, &format!("{api}{path}"), &headers, Some(word)).await?.json(StatusCode::OK).map(drop)
    }

    /// Calls a tool, and tells what was decided.
    async fn call(&mut self, program: &mut Program, token: &Granted, step: &Step, list: List) -> Result<()> {
        let before = self.stage.head()?;
        let answer = program.call(&self.stage.url, &token.token, step).await?;
        let told = self.verdict(program.id, step.intent, step.tool, before)?;
        ensure!(answer.is_result() == told.is_let_through(), "the answer is not what the ledger says: {}", told.answer);
        self.tell(told, list);
        Ok(())
    }

    /// What the ledger says of what was tried after `before`.
    fn verdict(&self, who: &'static str, intent: &str, tool: &str, before: Seq) -> Result<Told> {
        let (answer, reasons) = self.stage.verdict(before)?;
        Ok(Told { who, intent: intent.to_owned(), tool: tool.to_owned(), answer, reasons, consequence: None })
    }

    fn tell(&mut self, told: Told, list: List) {
        self.told += 1;
        self.teller.step(self.told, &told);
        list(&mut self.played).push(told);
    }
}

/// Where among what was played something belongs.
type List = fn(&mut Credential) -> &mut Vec<Told>;

fn status(answer: &Answer) -> String {
    format!("HTTP {}", answer.status())
}
