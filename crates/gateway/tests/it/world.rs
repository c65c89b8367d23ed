//! What stands behind the gateway in tests: an engine on a ledger in memory, a small directory, and contracts.

use std::collections::BTreeSet;
use std::sync::Arc;

use contract::{Contracts, definition_digest};
use engine::{Clock, Engine, NewTask, Node, Options};
use judge::content::ContentKey;
use judge::effect::Effect;
use judge::event::{Bundle, Event, Record};
use judge::name::PrincipalId;
use judge::policy::PolicySources;
use ledger::{MemoryLedger, Seq, Source as _};
use serde_json::{Value, json};

/// The engine and its ledger.
#[derive(Clone)]
pub struct World {
    pub engine: Engine,
    pub ledger: Arc<MemoryLedger>,
    /// Two tasks of Bo's helper.
    pub tasks: Vec<String>,
}

impl World {
    /// Bo and his helper may do everything; what they answer is for Bo and Ann.
    pub async fn new() -> Self {
        let ledger = Arc::new(MemoryLedger::default());
        let engine = Engine::open(ledger.clone(), ContentKey::new([1; 16]), Clock::System, Node::alone(), Options::default())
            .expect("an empty ledger");
        let directory = json!({
            "people": [{"id": "bo"}, {"id": "ann"}, {"id": "cy"}],
            "agents": [{"id": "helper", "owner": "bo"}, {"id": "aide", "owner": "ann"}],
            "items": [
                {"id": "note:mine", "readers": ["bo"]},
                {"id": "note:theirs", "readers": ["ann"]},
                {"id": "work:*", "readers": ["bo", "ann"]},
                {"id": "uri:*", "readers": ["bo", "ann"]}
            ],
            "destinations": [{"id": "board", "audience": ["bo", "ann"]}, {"id": "wide", "audience": ["bo", "ann", "cy"]}],
            "grants": [
                {"to": "bo", "may": ["read", "publish", "compute"], "on": ["*"]},
                {"to": "helper", "may": ["read", "publish", "compute"], "on": ["*"]},
                {"to": "ann", "may": ["publish"], "on": ["wide"]},
                {"to": "ann", "may": ["read"], "on": ["work:*"]},
                {"to": "aide", "may": ["read"], "on": ["work:*"]}
            ]
        });
        let directory = serde_json::from_value(directory).expect("a directory");
        engine
            .configure(Bundle { directory, policies: PolicySources::shipped(), content_key: String::new() })
            .await
            .expect("a sound configuration");
        let mut world = Self { engine, ledger, tasks: Vec::new() };
        for _ in 0..2 {
            let task = world.start(None).await;
            world.tasks.push(task);
        }
        world
    }

    /// Another task of Bo's helper, which names these effects.
    pub async fn start(&self, effects: Option<BTreeSet<Effect>>) -> String {
        self.start_for("bo", "helper", effects).await
    }

    /// A task of somebody's agent, which names these effects.
    pub async fn start_for(&self, requester: &str, agent: &str, effects: Option<BTreeSet<Effect>>) -> String {
        let name = |text| PrincipalId::parse(text).expect("a name");
        let new = NewTask {
            address: vec!["bo".to_owned(), "ann".to_owned()],
            effects,
            ..NewTask::new(name(requester), name(agent), "testing", 600_000)
        };
        self.engine.start_task(new).await.expect("bo and helper are known").id.to_string()
    }

    /// Everything that was recorded since the tasks began, in words.
    pub fn events(&self) -> Vec<String> {
        let entries = self.ledger.read(Seq(1), 100_000, usize::MAX).expect("it can be read");
        let words = entries.iter().filter_map(|entry| {
            let record: Record = serde_json::from_slice(&entry.body).expect("an event");
            match record.event {
                Event::Decided(decided) => Some(format!("{} {}", decided.decision.outcome.word(), decided.act.tool)),
                Event::Observed(observed) => Some(format!("{:?}", observed.ended).to_lowercase()),
                Event::Refused(refused) => Some(format!("refused {}", refused.code.word())),
                _ => None,
            }
        });
        words.collect()
    }
}

/// An accepted contract of one tool, as its server defines it; `rest` is what the contract says.
pub fn accepted(definition: &Value, rest: &str) -> String {
    let name = definition["name"].as_str().expect("a name");
    let pin = definition_digest(definition);
    format!("[[tool]]\nname = \"{name}\"\npin = \"sha256:{pin}\"\naccepted_at = \"2026-11-23\"\naccepted_by = \"ann\"\n{rest}\n")
}

pub fn contracts(upstream: &str, text: &str) -> Contracts {
    Contracts::parse(upstream, text).unwrap_or_else(|errors| panic!("{errors:?}"))
}
