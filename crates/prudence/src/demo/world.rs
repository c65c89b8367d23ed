//! What Prudence is told: where to listen and who may log in, and of the workplace its people, groups, access lists and classifications, as
//! the workplace's own records have them.

use anyhow::{Context as _, Result};
use judge::directory::{AgentRecord, DestinationRecord, DirectoryDocument, GrantRecord, ItemRecord, PersonRecord, Registration};
use judge::effect::Effect;
use judge::event::Bundle;
use judge::label::Integrity;
use judge::name::{GroupId, PrincipalId, ResourceId};
use judge::policy::PolicySources;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use workplace::{Directory, Record};

/// The agent of the story.
pub const AGENT: &str = "helper";
/// The agent to which it hands a part on.
pub const SCOUT: &str = "scout";
/// The keys of that one's program, beside the configuration.
pub const SCOUT_KEYS: &str = "scout.jwks.json";
/// How many things it usually reads in an hour, as its owner has stated.
pub const USUAL_READS: u64 = 20;
/// The group of everyone in the workplace.
const EVERYONE: &str = "@everyone";

/// Where the gateway and the authorization server listen, and which programs may ask for tasks. Who there is stands in the ledger.
pub fn configuration(gateway: SocketAddr, api: SocketAddr) -> String {
    format!(
        r#"[server]
name = "prudence-demo"
listen = "{gateway}"
api_listen = "{api}"
store = "ledger.db"
signing_key = "signing-key.pem"
content_key = "content.key"
operator_secret = "operator.secret"

[authorization]
store = "accounts.db"

[[oauth_clients]]
id = "{AGENT}"
agent = "{AGENT}"
name = "Helper"
redirects = ["http://127.0.0.1/callback"]

[[oauth_clients]]
id = "{SCOUT}"
agent = "{SCOUT}"
keys = "{SCOUT_KEYS}"
"#
    )
}

/// The directory and the policies for a workplace with this directory and these records.
pub fn bundle(directory: &Directory, records: &[Record]) -> Result<Bundle> {
    let mut document = DirectoryDocument::default();
    for id in directory.people.keys() {
        document.people.push(PersonRecord::new(principal(id)?));
    }
    for (name, members) in &directory.groups {
        document.groups.insert(GroupId::parse(name)?, members.clone());
    }
    for (agent, purpose) in [(AGENT, "engineering help"), (SCOUT, "reading for others")] {
        document.agents.push(AgentRecord {
            purpose: purpose.to_owned(),
            registration: Registration { usual: [(Effect::Read, USUAL_READS)].into(), ..Registration::default() },
            ..AgentRecord::new(principal(agent)?, principal(workplace::script::REQUESTER)?)
        });
    }
    for record in records {
        let id = ResourceId::parse(&record.id)?;
        let owner = record.owner.as_deref().map(principal).transpose()?;
        match record.classification.as_deref() {
            None => document.destinations.push(DestinationRecord { id, audience: record.readers.clone(), owner, known: true }),
            Some(level) => document.items.push(ItemRecord {
                id,
                readers: Some(record.readers.clone()),
                classification: serde_json::from_value(level.into()).with_context(|| format!("the classification `{level}`"))?,
                categories: record.categories.iter().map(|category| Arc::from(category.as_str())).collect(),
                purposes: None,
                integrity: Integrity::Untrusted,
                owner,
                container: None,
            }),
        }
    }
    // Plain access control, as the workplace has it: every employee and the assistants may use everything the tools offer.
    let all: BTreeSet<Effect> = Effect::ALL.into();
    for to in [EVERYONE, AGENT, SCOUT] {
        document.grants.push(GrantRecord {
            to: to.to_owned(),
            may: all.clone(),
            on: vec!["*".to_owned()],
            kind: judge::directory::STANDING.to_owned(),
        });
    }
    Ok(Bundle { directory: document, policies: PolicySources::shipped(), content_key: String::new() })
}

fn principal(id: &str) -> Result<PrincipalId> {
    PrincipalId::parse(id).with_context(|| format!("`{id}` as a name"))
}
