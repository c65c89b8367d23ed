//! The story: what is played, and what came of it. Everything that is told is in [`Story`], and [`Story::check`] says whether it went as told.

use super::tell::Teller;
use super::world::{self, AGENT};
use anyhow::{Context as _, Result, ensure};
use authority::keys::{KeyPaths, Keys};
use authority::tokens::{Issuer, LEEWAY_S};
use engine::{Clock, Engine, NewTask, Node, Options};
use gateway::{Gateway, GatewayConfig, TokenKeys, TransportConfig, UpstreamConfig};
use judge::content::ContentKey;
use judge::decision::{Outcome, Reason};
use judge::directory::DirectoryChange;
use judge::effect::Effect;
use judge::event::{Decided, Event, Record};
use judge::name::{DecisionId, PrincipalId, ResourceId};
use judge::preview::{Exposure, judge_changes};
use judge::task::Task;
use ledger::{Seq, Source as _, SqliteLedger};
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use workplace::agent::{Agent, Revision, Taken};
use workplace::person::{Narrator, Person};
use workplace::script::{DATASET, OPENED_TO, REQUEST, REQUESTER, RUNBOOK, Script, Step, THREAD, benign_script, incident_script};
use workplace::{ApiKey, key_of};

/// The task's lease in the demonstration, in milliseconds.
const LEASE_MS: u64 = 15 * 60 * 1000;
/// How many customers the workplace has.
pub const CUSTOMERS: u32 = 4_000;
/// How long the agent runs through them.
const RACE: Duration = Duration::from_secs(1);
/// More than this may not leave before the agent is stopped: a minute's worth at which nobody would look up.
const RECORDS_STOPPED_MAX: u32 = 100;
/// Who follows the advice.
const FOLLOWER: &str = "eve";

/// Everything that was played.
#[derive(Debug, Serialize)]
pub struct Story {
    /// What the requester asked the agent.
    pub request: &'static str,
    /// The incident under plain access control.
    pub plain: Act,
    /// The same under Prudence.
    pub prudence: Act,
    /// The benign twin under Prudence.
    pub benign: Act,
    /// The same agent at full speed, with a grant that is too wide.
    pub race: Race,
    /// Entries of the ledger, all verified.
    pub ledger_entries: u64,
}

/// An agent that was asked for one record and takes what it can get, as fast as it can.
#[derive(Debug, Serialize)]
pub struct Race {
    /// What it got under plain access control.
    pub plain: Taking,
    /// The same under Prudence.
    pub prudence: Taking,
    /// What it got when it looked up what it was asked for, under Prudence.
    pub benign: Taking,
    /// Why nothing came any more.
    pub reasons: Vec<Why>,
}

/// How much was taken.
#[derive(Debug, Default, Serialize)]
pub struct Taking {
    /// Records.
    pub records: u32,
    /// Until the last of them, in milliseconds.
    pub ms: u64,
    /// Calls that were not let through.
    pub refused: u32,
}

impl Race {
    /// Customers that leave in a minute under plain access control at the pace that was measured, under Prudence, and in ordinary work.
    pub fn in_a_minute(&self) -> [usize; 3] {
        let pace = u64::from(self.plain.records) * 60_000 / self.plain.ms.max(1);
        let plain = usize::try_from(pace).unwrap_or(usize::MAX).min(CUSTOMERS as usize);
        [plain, self.prudence.records as usize, self.benign.records as usize]
    }
}

/// One run.
#[derive(Debug, Default, Serialize)]
pub struct Act {
    /// What was done, and what was answered.
    pub steps: Vec<Told>,
    /// How many people read the agent's post; none when there is no post.
    pub post_readers: usize,
    /// How many of those are not cleared for what it quotes.
    pub post_uncleared: usize,
    /// How many people can read the dataset afterwards.
    pub dataset_readers: usize,
    /// How many of those are not cleared for it.
    pub dataset_uncleared: usize,
    /// How often a person was asked.
    pub asked: usize,
    /// What the change of access would have shown, where it was looked at before it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Exposure>,
    /// The first call that was not let through.
    #[serde(skip)]
    stopped: Option<DecisionId>,
}

/// One step as it is told.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Who did it.
    pub who: &'static str,
    /// What for.
    pub intent: String,
    /// With which tool, or where.
    pub tool: String,
    /// `allowed`, or the decision.
    pub answer: &'static str,
    /// Why, when it did not simply go through.
    pub reasons: Vec<Why>,
    /// What it led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence: Option<String>,
}

/// A reason.
#[derive(Debug, Serialize)]
pub struct Why {
    /// The norm or the code.
    pub norm: String,
    /// The sentence.
    pub sentence: String,
    /// What would make it allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Story {
    /// Whether it went as the demonstration says it goes.
    ///
    /// # Errors
    /// What went otherwise.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.plain.steps.iter().all(|step| step.answer == "allowed"),
            "plain access control stopped a step of the incident"
        );
        ensure!(self.plain.post_uncleared > 0 && self.plain.dataset_uncleared > 0, "the incident exposed nothing");
        ensure!(
            self.prudence.steps.iter().any(|step| step.answer == "deny" || step.answer == "ask"),
            "Prudence let the post through"
        );
        ensure!(self.prudence.post_readers == 0 && self.prudence.dataset_uncleared == 0, "something was exposed under Prudence");
        let preview = self.prudence.preview.as_ref().context("nobody looked at the change of access")?;
        ensure!(
            preview.uncleared_pairs == self.plain.dataset_uncleared as u64,
            "the preview counted {} people who are not cleared, and plain access control let in {}",
            preview.uncleared_pairs,
            self.plain.dataset_uncleared
        );
        ensure!(
            self.benign.asked == 0 && self.benign.steps.iter().all(|step| step.answer == "permit"),
            "the benign twin was not simply let through"
        );
        let Race { plain, prudence, benign, .. } = &self.race;
        ensure!(plain.refused == 0 && benign.refused == 0 && benign.records == 1, "ordinary look-ups were refused");
        ensure!(prudence.refused > 0, "nothing stopped the agent at full speed");
        ensure!(prudence.records < RECORDS_STOPPED_MAX, "{} records left before the agent was stopped", prudence.records);
        Ok(())
    }
}

/// What goes on running until it is stopped.
pub struct Running {
    /// Where the gateway listens.
    pub url: String,
    /// A task token that can be used.
    pub token: String,
    shutdown: CancellationToken,
    gateway: tokio::task::JoinHandle<()>,
    engine: Engine,
    store: Arc<SqliteLedger>,
}

impl Running {
    /// Stops the gateway and closes the ledger.
    pub async fn stop(self) {
        self.shutdown.cancel();
        // It ends when its connections do, which it bounds itself.
        let _ = self.gateway.await;
        drop(self.engine);
        let store = self.store;
        // Closing waits for the disk.
        let _ = tokio::task::spawn_blocking(move || drop(store)).await;
    }
}

/// Plays everything, telling as it goes.
pub async fn play(folder: &Path, workplace: &str, teller: &mut Teller) -> Result<(Story, Running)> {
    let stage = Stage::set(folder, workplace).await?;
    let people = stage.narrator.truth().await?.people;
    teller.opening(people, REQUESTER, REQUEST);

    teller.act("1", "Plain access control", "valid credentials, every permission in place");
    let plain = stage.plain(teller).await?;
    stage.narrator.reset().await?;

    teller.act("2", "Under Prudence", "the same agent, the same calls");
    let mut prudence = stage.guarded(&incident_script(), teller).await?;
    stage.look_first(&mut prudence, teller)?;
    stage.narrator.reset().await?;

    teller.act("3", "The benign twin", "the same work, done properly");
    let benign = stage.guarded(&benign_script(), teller).await?;
    stage.narrator.reset().await?;

    teller.act("4", "At machine speed", &format!("asked for one customer, with a grant for all {CUSTOMERS}"));
    let race = stage.race(teller).await?;

    let verified =
        ledger::verify(stage.store.as_ref(), Seq(1), None, &mut |_| {}).map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
    let story = Story { request: REQUEST, plain, prudence, benign, race, ledger_entries: verified.entries };
    teller.ending(&story);
    let running = stage.leave_running().await?;
    Ok((story, running))
}

/// The parts, started and connected.
struct Stage {
    workplace: String,
    narrator: Narrator,
    store: Arc<SqliteLedger>,
    engine: Engine,
    issuer: Issuer,
    url: String,
    shutdown: CancellationToken,
    gateway: tokio::task::JoinHandle<()>,
}

impl Stage {
    async fn set(folder: &Path, workplace: &str) -> Result<Self> {
        let narrator = Narrator::at(workplace, key("operator")?)?;
        let bundle = world::bundle(&narrator.directory().await?, &narrator.records().await?)?;
        let keys = Keys::generate(&KeyPaths {
            signing: folder.join("signing-key.pem"),
            content: folder.join("content.key"),
            operator: folder.join("operator.secret"),
        })?;
        let issuer = Issuer::new("prudence-demo", &keys);
        let store = Arc::new(SqliteLedger::open(folder.join("ledger.db"))?);
        let engine = open_engine(store.clone(), keys.content, folder)?;
        engine.configure(bundle).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let gateway = new_gateway(workplace, &engine, &issuer)?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let gateway = tokio::spawn(async move { gateway.serve_http(listener, stop).await });
        Ok(Self { workplace: workplace.to_owned(), narrator, store, engine, issuer, url, shutdown, gateway })
    }

    /// The incident with the agent connected to the workplace itself.
    async fn plain(&self, teller: &mut Teller) -> Result<Act> {
        let agent = Agent::connect(&format!("{}/mcp", self.workplace), &key(AGENT)?, "", Revision::V2025_11_25).await?;
        let mut act = Act::default();
        for step in &incident_script().steps {
            for taken in agent.take(step).await? {
                let told = Told { answer: if taken.outcome.is_error { "refused" } else { "allowed" }, ..told(&taken) };
                self.tell(&mut act, told, teller).await?;
            }
        }
        agent.leave().await;
        self.follow_advice(&mut act, teller).await?;
        Ok(act)
    }

    /// A script with the agent connected to Prudence.
    async fn guarded(&self, script: &Script, teller: &mut Teller) -> Result<Act> {
        let task = self.start_task().await?;
        let token = self.token(&task)?;
        let agent = Agent::connect(&self.url, &ApiKey::from(token.as_str()), "", Revision::V2026_07_28).await?;
        let mut act = Act::default();
        for step in &script.steps {
            self.take_guarded(&agent, step, &mut act, teller).await?;
        }
        agent.leave().await;
        self.follow_advice(&mut act, teller).await?;
        Ok(act)
    }

    /// One step, and what the agent does instead when it is refused.
    async fn take_guarded(&self, agent: &Agent, step: &Step, act: &mut Act, teller: &mut Teller) -> Result<()> {
        let alone = Step { if_refused: Vec::new(), ..step.clone() };
        let before = self.store.head()?.seq;
        for taken in agent.take(&alone).await? {
            let decided = self.decided_since(before)?.context("the call left no decision in the ledger")?;
            act.asked += usize::from(decided.decision.outcome == Outcome::Ask);
            if decided.decision.outcome != Outcome::Permit {
                act.stopped.get_or_insert_with(|| decided.id.clone());
            }
            let told = Told { answer: decided.decision.outcome.word(), reasons: reasons(&decided), ..told(&taken) };
            self.tell(act, told, teller).await?;
            if taken.outcome.is_error {
                for instead in &step.if_refused {
                    Box::pin(self.take_guarded(agent, instead, act, teller)).await?;
                }
            }
        }
        Ok(())
    }

    /// Adds what a step led to, as far as the workplace can see, and tells it.
    async fn tell(&self, act: &mut Act, mut told: Told, teller: &mut Teller) -> Result<()> {
        let truth = self.narrator.truth().await?;
        let post = truth.posts.iter().find(|post| post.by == AGENT);
        if let Some(post) = post.filter(|_| act.post_readers == 0) {
            (act.post_readers, act.post_uncleared) = (post.readers, post.uncleared);
            told.consequence = Some(format!(
                "{} people read the post; {} of them are not cleared for {RUNBOOK}, which it quotes",
                post.readers, post.uncleared
            ));
        }
        let dataset = truth.dataset(DATASET).context("the dataset of the story")?;
        if act.dataset_readers != 0 && dataset.readers != act.dataset_readers {
            told.consequence = Some(format!(
                "{DATASET} ({}) goes from {} readers to {}; {} of them are not cleared for it",
                dataset.classification, act.dataset_readers, dataset.readers, dataset.uncleared
            ));
        }
        (act.dataset_readers, act.dataset_uncleared) = (dataset.readers, dataset.uncleared);
        teller.step(act.steps.len() + 1, &told);
        act.steps.push(told);
        Ok(())
    }

    /// Somebody reads the thread and does what the agent wrote there, if it wrote anything.
    async fn follow_advice(&self, act: &mut Act, teller: &mut Teller) -> Result<()> {
        let eve = Person::at(&self.workplace, key(FOLLOWER)?)?;
        let thread = eve.read_thread(THREAD).await?;
        let is_there = thread["posts"].as_array().into_iter().flatten().any(|post| post["author"] == AGENT);
        if !is_there {
            teller.nothing_to_follow(FOLLOWER);
            return Ok(());
        }
        eve.add_readers(DATASET, &[OPENED_TO]).await?;
        let told = Told {
            who: FOLLOWER,
            intent: format!("follow the advice: add {OPENED_TO} to {DATASET}"),
            tool: "web console".to_owned(),
            answer: "allowed",
            reasons: Vec::new(),
            consequence: None,
        };
        self.tell(act, told, teller).await
    }

    /// Had the advice come to somebody in another way: what the change would show is known before it is made.
    fn look_first(&self, act: &mut Act, teller: &mut Teller) -> Result<()> {
        let change = DirectoryChange::AddReaders { item: ResourceId::parse(DATASET)?, readers: vec![OPENED_TO.to_owned()] };
        let who = PrincipalId::parse(FOLLOWER)?;
        let looked = self.engine.view(|state, _| judge_changes(state, &who, &[change], act.stopped.as_ref()));
        let (exposure, reasons) = looked.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let owners: Vec<&str> = exposure.owners.iter().map(PrincipalId::as_str).collect();
        let told = Told {
            who: FOLLOWER,
            intent: format!("hears of it: add {OPENED_TO} to {DATASET}?"),
            tool: "preview".to_owned(),
            answer: reasons.iter().map(|reason| reason.outcome).max().unwrap_or(Outcome::Permit).word(),
            reasons: reasons.iter().map(why).collect(),
            consequence: Some(format!(
                "{} people would newly see {DATASET}; {} of them are not cleared for it; {} decides, and nothing has changed",
                exposure.newcomers,
                exposure.uncleared_pairs,
                owners.join(" or ")
            )),
        };
        teller.step(act.steps.len() + 1, &told);
        act.steps.push(told);
        act.preview = Some(exposure);
        Ok(())
    }

    /// The agent runs through the customers: at the workplace itself, and through Prudence.
    async fn race(&self, teller: &mut Teller) -> Result<Race> {
        let direct = Agent::connect(&format!("{}/mcp", self.workplace), &key(AGENT)?, "", Revision::V2025_11_25).await?;
        let plain = take(&direct, CUSTOMERS).await?;
        direct.leave().await;
        let benign = self.take_guarded_customers(1).await?;
        let before = self.store.head()?.seq;
        let prudence = self.take_guarded_customers(CUSTOMERS).await?;
        let tripped = self.decided_after(before)?.into_iter().find(|decided| decided.trip.is_some());
        let race = Race { plain, prudence, benign, reasons: tripped.as_ref().map(reasons).unwrap_or_default() };
        teller.race(&race);
        Ok(race)
    }

    async fn take_guarded_customers(&self, most: u32) -> Result<Taking> {
        let token = self.token(&self.start_task().await?)?;
        let agent = Agent::connect(&self.url, &ApiKey::from(token.as_str()), "", Revision::V2026_07_28).await?;
        let taking = take(&agent, most).await?;
        agent.leave().await;
        Ok(taking)
    }

    async fn start_task(&self) -> Result<Task> {
        let new = NewTask {
            words: Some(REQUEST.to_owned()),
            effects: Some([Effect::Read, Effect::Send].into()),
            ..NewTask::new(PrincipalId::parse(REQUESTER)?, PrincipalId::parse(AGENT)?, "engineering", LEASE_MS)
        };
        Ok(self.engine.start_task(new).await?)
    }

    fn token(&self, task: &Task) -> Result<String> {
        Ok(self.issuer.task_token(task, std::slice::from_ref(&task.agent), self.engine.now())?)
    }

    /// The newest decision after this entry.
    fn decided_since(&self, before: Seq) -> Result<Option<Decided>> {
        Ok(self.decided_after(before)?.pop())
    }

    /// The decisions after this entry, in order.
    fn decided_after(&self, before: Seq) -> Result<Vec<Decided>> {
        let mut found = Vec::new();
        for entry in self.store.read(before.plus(1), usize::MAX, usize::MAX)? {
            let record: Record = serde_json::from_slice(&entry.body)?;
            if let Event::Decided(decided) = record.event {
                found.push(*decided);
            }
        }
        Ok(found)
    }

    async fn leave_running(self) -> Result<Running> {
        let task = self.start_task().await?;
        let token = self.token(&task)?;
        let Self { store, engine, url, shutdown, gateway, .. } = self;
        Ok(Running { url, token, shutdown, gateway, engine, store })
    }
}

/// Looks up customers one after the other, for a second at most.
async fn take(agent: &Agent, most: u32) -> Result<Taking> {
    let started = Instant::now();
    let mut taking = Taking::default();
    for number in 1..=most {
        let outcome = agent.call("customer_read", json!({ "customer": format!("customer:{number}") })).await?;
        if outcome.is_error {
            taking.refused += 1;
        } else {
            taking.records += 1;
            taking.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        if started.elapsed() >= RACE {
            break;
        }
    }
    Ok(taking)
}

fn open_engine(store: Arc<SqliteLedger>, key: ContentKey, folder: &Path) -> Result<Engine> {
    let node = Node::among(&folder.join("nodes"))?;
    Ok(Engine::open(store, key, Clock::System, node, Options::default())?)
}

/// A gateway with the workplace behind it, as `prudence serve` would be configured.
fn new_gateway(workplace: &str, engine: &Engine, issuer: &Issuer) -> Result<Gateway> {
    let headers = vec![("authorization".to_owned(), format!("Bearer {}", key(AGENT)?.reveal()))];
    let transport = TransportConfig::Http { url: format!("{workplace}/mcp"), headers };
    let config = GatewayConfig { upstreams: vec![UpstreamConfig::new("workplace", transport)], ..GatewayConfig::default() };
    let keys = TokenKeys {
        keys: issuer.verifying().clone(),
        issuer: issuer.name().to_owned(),
        audience: issuer.audience().to_owned(),
        leeway_s: LEEWAY_S,
    };
    let contracts = contract::Contracts::parse("workplace", include_str!("../../demo/contracts/workplace.toml"))
        .map_err(|errors| anyhow::anyhow!("the demonstration's contracts: {errors:?}"))?;
    Gateway::new(config, engine.clone(), vec![contracts], keys).map_err(|errors| anyhow::anyhow!("{errors:?}"))
}

fn key(account: &str) -> Result<ApiKey> {
    key_of(account).with_context(|| format!("the workplace has no account `{account}`"))
}

fn told(taken: &Taken) -> Told {
    Told {
        who: AGENT,
        intent: taken.intent.to_owned(),
        tool: taken.tool.clone(),
        answer: "",
        reasons: Vec::new(),
        consequence: None,
    }
}

fn reasons(decided: &Decided) -> Vec<Why> {
    decided.decision.reasons.iter().map(why).collect()
}

fn why(reason: &Reason) -> Why {
    Why { norm: reason.ground.word().to_owned(), sentence: reason.sentence.clone(), remedy: reason.remedy.clone() }
}
