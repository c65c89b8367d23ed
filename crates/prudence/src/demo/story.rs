//! The story: what is played, and what came of it. Everything that is told is in [`Story`], and [`Story::check`] says whether it went as told.

use super::credential::Credential;
use super::login::Program;
use super::tell::Teller;
use super::world::{self, AGENT, SCOUT, SCOUT_KEYS};
use crate::assemble::{self, House};
use anyhow::{Context as _, Result, bail, ensure};
use authority::keys::{KeyPaths, Keys, made_up_password};
use authority::oauth::accounts::password_hash;
use engine::NewTask;
use gateway::{Gateway, GatewayConfig, TransportConfig, UpstreamConfig};
use judge::decision::{Outcome, Reason};
use judge::directory::DirectoryChange;
use judge::effect::Effect;
use judge::event::{Decided, Event, Record};
use judge::name::{DecisionId, PrincipalId, ResourceId};
use judge::preview::{Exposure, judge_changes};
use judge::task::Task;
use ledger::{Seq, Source as _, SqliteSource};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use workplace::agent::{Agent, Revision, Taken};
use workplace::person::{Narrator, Person};
use workplace::script::{DATASET, OPENED_TO, REQUEST, REQUESTER, RUNBOOK, Script, Step, THREAD, benign_script, incident_script};
use workplace::{ApiKey, key_of};

/// The task's lease in the demonstration, in milliseconds.
pub const LEASE_MS: u64 = 15 * 60 * 1000;
/// How many customers the workplace has.
pub const CUSTOMERS: u32 = 4_000;
/// How long the agent runs through them.
const RACE: Duration = Duration::from_secs(1);
/// How long it goes on when nothing stops it before: on a machine that is busy with something else the pace is lower.
const RACE_MAX: Duration = Duration::from_secs(5);
/// How long a server may take to end.
const STOP_MAX: Duration = Duration::from_secs(3);
/// More than this may not leave before the agent is stopped: a minute's worth at which nobody would look up.
const RECORDS_STOPPED_MAX: u32 = 100;
/// The configuration, for the commands as well.
const CONFIGURATION: &str = "prudence.toml";
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
    /// The agent's token: how it comes by it, what a copy of it is worth, and how it ends.
    pub credential: Credential,
    /// An agent at full speed, with a grant that is too wide.
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
    /// `allowed`, or the decision, or what the ledger says in its place.
    pub answer: &'static str,
    /// Why, when it did not simply go through.
    pub reasons: Vec<Why>,
    /// What it led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence: Option<String>,
}

impl Told {
    /// Whether it went through.
    pub fn is_let_through(&self) -> bool {
        matches!(self.answer, "permit" | "allowed" | "granted" | "reset")
    }
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
        self.credential.check()
    }
}

/// What goes on running until it is stopped.
pub struct Running {
    /// Where the gateway listens.
    pub url: String,
    /// Where the authorization server listens.
    pub api: String,
    /// The password with which the requester signs in there.
    pub password: String,
    /// A task token that can be used.
    pub token: String,
    /// The configuration for the commands.
    pub configuration: PathBuf,
    shutdown: CancellationToken,
    servers: [tokio::task::JoinHandle<()>; 2],
    house: House,
}

impl Running {
    /// Stops the servers and closes the ledger.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for server in self.servers {
            // It ends when its connections do: programs of ours have left by now, others have a moment.
            let _ = tokio::time::timeout(STOP_MAX, server).await;
        }
        let house = self.house;
        // Closing waits for the disk.
        let _ = tokio::task::spawn_blocking(move || drop(house)).await;
    }
}

/// Plays everything, telling as it goes.
pub async fn play(folder: &Path, workplace: &str, teller: &mut Teller) -> Result<(Story, Running)> {
    let (stage, scout) = Stage::set(folder, workplace).await?;
    let people = stage.narrator.truth().await?.people;
    teller.opening(people, REQUESTER, AGENT, REQUEST);

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

    teller.act("4", "What it holds", &format!("{REQUESTER} asks once more, and this time we watch {AGENT} log in"));
    let credential = Credential::play(&stage, scout, teller).await?;

    teller.act("5", "At machine speed", &format!("{SCOUT} is asked for one customer, with a grant for all {CUSTOMERS}"));
    let race = stage.race(teller).await?;

    let verified = ledger::verify(&stage.ledger, Seq(1), None, &mut |_| {}).map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
    let story = Story { request: REQUEST, plain, prudence, benign, credential, race, ledger_entries: verified.entries };
    teller.ending(&story);
    let running = stage.leave_running().await?;
    Ok((story, running))
}

/// The parts, started and connected.
pub struct Stage {
    /// Where the workplace listens.
    pub workplace: String,
    /// Where the gateway listens.
    pub url: String,
    /// Where the authorization server listens.
    pub api: String,
    /// The password of the requester.
    pub password: String,
    /// The issuer, and the engine.
    pub house: House,
    ledger: SqliteSource,
    narrator: Narrator,
    shutdown: CancellationToken,
    servers: [tokio::task::JoinHandle<()>; 2],
}

impl Stage {
    /// Everything, and the program of the agent to which a part is handed on.
    async fn set(folder: &Path, workplace: &str) -> Result<(Self, Program)> {
        let narrator = Narrator::at(workplace, key("operator")?)?;
        let bundle = world::bundle(&narrator.directory().await?, &narrator.records().await?)?;
        let [gate, api] = [TcpListener::bind(("127.0.0.1", 0)).await?, TcpListener::bind(("127.0.0.1", 0)).await?];
        let [gate_at, api_at] = [gate.local_addr()?, api.local_addr()?];
        let scout = Program::new(SCOUT)?;
        std::fs::write(folder.join(SCOUT_KEYS), scout.public_keys().to_string())?;
        std::fs::write(folder.join(CONFIGURATION), world::configuration(gate_at, api_at))?;
        Keys::generate(&KeyPaths {
            signing: folder.join("signing-key.pem"),
            content: folder.join("content.key"),
            operator: folder.join("operator.secret"),
        })?;
        let house = assemble::open(assemble::configuration(&folder.join(CONFIGURATION))?)?;
        house.engine.configure(bundle).await?;
        let password = made_up_password()?;
        let accounts = crate::door::store(&house.loaded)?;
        accounts.put_account(REQUESTER, password_hash(&password)?, house.engine.now()).await?;
        let shutdown = CancellationToken::new();
        let (gateway, stop) = (new_gateway(workplace, &house)?, shutdown.clone());
        let gateway = tokio::spawn(async move { gateway.serve_http(gate, stop).await });
        let oauth = crate::door::server(&house)?.context("the authorization server")?;
        let router = authority::api::router(house.engine.clone(), house.issuer.clone(), house.keys.operator.clone());
        let serving = axum::serve(api, router.merge(oauth.router())).with_graceful_shutdown(shutdown.clone().cancelled_owned());
        // It ends when it is told to.
        let authority = tokio::spawn(async move { drop(serving.await) });
        let stage = Self {
            workplace: workplace.to_owned(),
            url: format!("http://{gate_at}/mcp"),
            api: format!("http://{api_at}"),
            password,
            ledger: assemble::ledger_to_read(&house.loaded)?,
            house,
            narrator,
            shutdown,
            servers: [gateway, authority],
        };
        Ok((stage, scout))
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
        let task = self.start_task(AGENT).await?;
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
        let before = self.head()?;
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
        let looked = self.house.engine.view(|state, _| judge_changes(state, &who, &[change], act.stopped.as_ref()));
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
        let plain = take(&direct, CUSTOMERS, RACE).await?;
        direct.leave().await;
        let benign = self.take_guarded_customers(1).await?;
        let before = self.head()?;
        let prudence = self.take_guarded_customers(CUSTOMERS).await?;
        let tripped = self.decided_after(before)?.into_iter().find(|decided| decided.trip.is_some());
        let race = Race { plain, prudence, benign, reasons: tripped.as_ref().map(reasons).unwrap_or_default() };
        teller.race(&race);
        Ok(race)
    }

    async fn take_guarded_customers(&self, most: u32) -> Result<Taking> {
        // Not the one of the other acts: what runs away here is looked at before its agent goes on.
        let token = self.token(&self.start_task(SCOUT).await?)?;
        let agent = Agent::connect(&self.url, &ApiKey::from(token.as_str()), "", Revision::V2026_07_28).await?;
        let taking = take(&agent, most, RACE_MAX).await?;
        agent.leave().await;
        Ok(taking)
    }

    async fn start_task(&self, agent: &str) -> Result<Task> {
        let new = NewTask {
            words: Some(REQUEST.to_owned()),
            effects: Some([Effect::Read, Effect::Send].into()),
            ..NewTask::new(PrincipalId::parse(REQUESTER)?, PrincipalId::parse(agent)?, "engineering", LEASE_MS)
        };
        Ok(self.house.engine.start_task(new).await?)
    }

    fn token(&self, task: &Task) -> Result<String> {
        Ok(self.house.issuer.task_token(task, std::slice::from_ref(&task.agent), self.house.engine.now())?)
    }

    /// The last entry of the ledger.
    pub fn head(&self) -> Result<Seq> {
        Ok(self.ledger.head()?.seq)
    }

    /// What was recorded after this entry, in order.
    pub fn events_after(&self, before: Seq) -> Result<Vec<Event>> {
        let entries = self.ledger.read(before.plus(1), usize::MAX, usize::MAX)?;
        entries.iter().map(|entry| Ok(serde_json::from_slice::<Record>(&entry.body)?.event)).collect()
    }

    /// The newest decision after this entry.
    fn decided_since(&self, before: Seq) -> Result<Option<Decided>> {
        Ok(self.decided_after(before)?.pop())
    }

    /// The decisions after this entry, in order.
    fn decided_after(&self, before: Seq) -> Result<Vec<Decided>> {
        let decided = |event| match event {
            Event::Decided(decided) => Some(*decided),
            _ => None,
        };
        Ok(self.events_after(before)?.into_iter().filter_map(decided).collect())
    }

    /// What the ledger says of what was tried first after this entry, and why.
    pub fn verdict(&self, before: Seq) -> Result<(&'static str, Vec<Why>)> {
        for event in self.events_after(before)? {
            match event {
                Event::Decided(decided) => return Ok((decided.decision.outcome.word(), reasons(&decided))),
                Event::CredentialIssued(_) => return Ok(("granted", Vec::new())),
                Event::Killed { target, by, why } => {
                    let sentence = format!("{by} has stopped {target}: {why}");
                    return Ok(("stopped", vec![Why { norm: "kill".to_owned(), sentence, remedy: None }]));
                }
                Event::Reset { .. } => return Ok(("reset", Vec::new())),
                Event::Refused(refused) => {
                    // The edges put a code of their own before the sentence.
                    let (norm, sentence) = refused.sentence.split_once(": ").unwrap_or((refused.code.word(), &refused.sentence));
                    let why = Why { norm: norm.to_owned(), sentence: sentence.to_owned(), remedy: None };
                    return Ok(("refused", vec![why]));
                }
                _ => {}
            }
        }
        bail!("nothing of it is in the ledger")
    }

    async fn leave_running(self) -> Result<Running> {
        let token = self.token(&self.start_task(AGENT).await?)?;
        let Self { url, api, password, house, shutdown, servers, .. } = self;
        let configuration = house.loaded.path.clone();
        Ok(Running { url, api, password, token, configuration, shutdown, servers, house })
    }
}

/// Looks up customers one after the other: for [`RACE`], or for `longest` where nothing was refused by then.
async fn take(agent: &Agent, most: u32, longest: Duration) -> Result<Taking> {
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
        if started.elapsed() >= if taking.refused > 0 { RACE } else { longest } {
            break;
        }
    }
    Ok(taking)
}

/// A gateway with the workplace behind it, as `prudence serve` would be configured.
fn new_gateway(workplace: &str, house: &House) -> Result<Gateway> {
    let headers = vec![("authorization".to_owned(), format!("Bearer {}", key(AGENT)?.reveal()))];
    let transport = TransportConfig::Http { url: format!("{workplace}/mcp"), headers };
    let upstreams = vec![UpstreamConfig::new("workplace", transport)];
    let config = GatewayConfig { upstreams, ..crate::gate::config(&house.loaded.settings)? };
    let contracts = contract::Contracts::parse("workplace", include_str!("../../demo/contracts/workplace.toml"))
        .map_err(|errors| anyhow::anyhow!("the demonstration's contracts: {errors:?}"))?;
    let believed = crate::gate::believed(&house.issuer);
    Gateway::new(config, house.engine.clone(), vec![contracts], believed).map_err(|errors| crate::gate::wrong(&errors))
}

/// The key of an account of the workplace.
pub fn key(account: &str) -> Result<ApiKey> {
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
