//! Registration: who may say what of an agent, and what the agent is registered for.
//!
//! Every function here looks at the directory and gives the record as it would be; the caller records it as a change of the directory, with
//! who made it. What a registration means for a call is gathered as facts ([`crate::facts::CredentialFacts`]) and judged by norms.

use crate::directory::{AgentRecord, Directory, Mark, REGISTRATION_NAME_BYTES_MAX, Registration};
use crate::effect::Effect;
use crate::moment::Moment;
use crate::name::PrincipalId;
use crate::task::Caller;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The shortest lease of a registration, in milliseconds: what is over before anybody has used it is a slip of the pen.
pub const REGISTRATION_MS_MIN: u64 = 60 * 1000;
/// The longest, in milliseconds: a year. What nobody looks at for longer, nobody answers for.
pub const REGISTRATION_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// What an agent is registered with. What is left out bounds nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The person who owns it.
    pub owner: PrincipalId,
    /// The person who vouches for it beside its owner.
    pub sponsor: Option<PrincipalId>,
    /// What it is for, in a sentence.
    pub about: String,
    /// The purposes for which tasks may be started with it.
    pub purposes: Option<BTreeSet<Arc<str>>>,
    /// The most that it may do.
    pub effects: Option<BTreeSet<Effect>>,
    /// The tools that it may use, as names and patterns.
    pub tools: Option<BTreeSet<Arc<str>>>,
    /// The keys that it may prove itself with.
    pub keys: Option<BTreeSet<Arc<str>>>,
    /// The clients through which it may get credentials.
    pub clients: Option<BTreeSet<Arc<str>>>,
    /// How long it is registered, in milliseconds.
    pub lease_ms: u64,
}

/// What an agent used, to which its registration can be tightened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Effects of what went through.
    pub effects: BTreeSet<Effect>,
    /// Tools with which it went through.
    pub tools: BTreeSet<Arc<str>>,
    /// Purposes of the tasks for which it went through.
    pub purposes: BTreeSet<Arc<str>>,
}

/// Why a registration does not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRegistered {
    /// Not somebody of the directory, or not any more.
    #[error("`{0}` is no active person of the directory")]
    Nobody(PrincipalId),
    /// Agents answer for nobody, themselves least of all.
    #[error("`{0}` is an agent, and a person has to answer for one")]
    Agent(PrincipalId),
    /// Its own owner or sponsor.
    #[error("`{0}` cannot answer for itself")]
    Itself(PrincipalId),
    /// One person in both places.
    #[error("`{0}` owns it already, and somebody else has to vouch for it")]
    OnePerson(PrincipalId),
    /// It is registered, or the name is a person's.
    #[error("`{0}` is known already")]
    Known(PrincipalId),
    /// The directory says that another person owns it.
    #[error("`{agent}` is owned by `{owner}`, not by `{found}`")]
    OtherOwner {
        /// Which.
        agent: PrincipalId,
        /// Whose it is.
        owner: PrincipalId,
        /// Who was named.
        found: PrincipalId,
    },
    /// There is no such agent.
    #[error("there is no agent `{0}`")]
    Unknown(PrincipalId),
    /// Somebody else has to say so.
    #[error("`{person}` does not answer for `{agent}`: {who} has to say so")]
    SomebodyElse {
        /// Who tried.
        person: PrincipalId,
        /// For which.
        agent: PrincipalId,
        /// Who may.
        who: String,
    },
    /// Too short, or too long.
    #[error(
        "a registration of {found_ms} ms, between {REGISTRATION_MS_MIN} (a minute) and {REGISTRATION_MS_MAX} (366 days) are allowed"
    )]
    Lease {
        /// What was asked for, in milliseconds.
        found_ms: u64,
    },
    /// A long word.
    #[error("a reason of {found} bytes, at most {REGISTRATION_NAME_BYTES_MAX} are allowed")]
    Why {
        /// Its bytes.
        found: usize,
    },
    /// It was changed since somebody looked.
    #[error("`{0}` was changed meanwhile; look at it again")]
    Changed(PrincipalId),
    /// Nothing would be left.
    #[error("`{0}` used nothing, so nothing would be left of what it may do")]
    Unused(PrincipalId),
    /// It is suspended already.
    #[error("`{agent}` was suspended by {by} before")]
    Suspended {
        /// Which.
        agent: PrincipalId,
        /// By whom.
        by: PrincipalId,
    },
    /// Nobody suspended it.
    #[error("`{0}` is not suspended")]
    NotSuspended(PrincipalId),
}

/// Why an agent is not for a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFor {
    /// It is not registered, was suspended or taken out of use, or nobody who is here owns it.
    #[error("`{agent}` is no agent in use whose owner is here")]
    OutOfUse {
        /// Which.
        agent: PrincipalId,
    },
    /// It is registered with others.
    #[error("`{agent}` is not registered with this key, or not with this client")]
    Credential {
        /// Which.
        agent: PrincipalId,
    },
    /// Its registration has run out.
    #[error("the registration of `{agent}` has run out: {who} has to look at what it did, and to renew it")]
    Lapsed {
        /// Which.
        agent: PrincipalId,
        /// Who has to.
        who: String,
    },
    /// It is registered for other purposes.
    #[error("`{agent}` is not registered for the purpose `{purpose}`")]
    Purpose {
        /// Which.
        agent: PrincipalId,
        /// What for.
        purpose: String,
    },
    /// It is registered for less.
    #[error("`{agent}` is not registered for the effect {}", .effect.word())]
    Effect {
        /// Which.
        agent: PrincipalId,
        /// Which.
        effect: Effect,
    },
}

/// The record of an agent that `by` registers. One that a provisioning service made, and nobody registered yet, keeps what that said of it.
///
/// # Errors
/// [`NotRegistered`].
pub fn register(
    directory: &Directory,
    id: &PrincipalId,
    terms: &Terms,
    by: &PrincipalId,
    now: Moment,
) -> Result<AgentRecord, NotRegistered> {
    answers(directory, id, &terms.owner)?;
    if let Some(sponsor) = &terms.sponsor {
        answers(directory, id, sponsor)?;
        if *sponsor == terms.owner {
            return Err(NotRegistered::OnePerson(sponsor.clone()));
        }
    }
    is_person(directory, by)?;
    if directory.knows_person(id.as_str()) {
        return Err(NotRegistered::Known(id.clone()));
    }
    let before = match directory.agent_record(id.as_str()) {
        Some(agent) if !agent.registration.is_open() || !agent.status.is_active() => {
            return Err(NotRegistered::Known(id.clone()));
        }
        Some(agent) if agent.owner != terms.owner => {
            let (agent, owner, found) = (id.clone(), agent.owner.clone(), terms.owner.clone());
            return Err(NotRegistered::OtherOwner { agent, owner, found });
        }
        Some(agent) => agent.clone(),
        None => AgentRecord::new(id.clone(), terms.owner.clone()),
    };
    let registration = Registration {
        sponsor: terms.sponsor.clone(),
        purposes: terms.purposes.clone(),
        effects: terms.effects.clone(),
        tools: terms.tools.clone(),
        keys: terms.keys.clone(),
        clients: terms.clients.clone(),
        ends: Some(ends(terms.lease_ms, now)?),
        registered: Some(mark(by, "", now)?),
        ..Registration::default()
    };
    let purpose = if terms.about.is_empty() { before.purpose.clone() } else { terms.about.clone() };
    Ok(AgentRecord { purpose, registration, ..before })
}

/// The record of an agent whose lease `by` renews after having looked at `seen`, where wanted for no more than it `used`.
///
/// # Errors
/// [`NotRegistered`].
pub fn renew(
    directory: &Directory,
    seen: &AgentRecord,
    used: Option<&Used>,
    lease_ms: u64,
    by: &PrincipalId,
    now: Moment,
) -> Result<AgentRecord, NotRegistered> {
    let agent = answered_for(directory, &seen.id, by)?;
    if agent != seen {
        return Err(NotRegistered::Changed(seen.id.clone()));
    }
    let mut registration = agent.registration.clone();
    if let Some(used) = used {
        if used.effects.is_empty() {
            return Err(NotRegistered::Unused(seen.id.clone()));
        }
        // What it used beyond its registration was only observed, and gives it nothing.
        registration.effects = Some(tightened(registration.effects.as_ref(), &used.effects, BTreeSet::contains));
        registration.purposes = Some(tightened(registration.purposes.as_ref(), &used.purposes, BTreeSet::contains));
        let is_covered =
            |tools: &BTreeSet<Arc<str>>, tool: &Arc<str>| tools.iter().any(|pattern| crate::pattern::matches(pattern, tool));
        registration.tools = Some(tightened(registration.tools.as_ref(), &used.tools, is_covered));
    }
    registration.ends = Some(ends(lease_ms, now)?);
    registration.reviewed = Some(mark(by, "", now)?);
    Ok(AgentRecord { registration, ..agent.clone() })
}

/// The record of an agent that `by` suspends. Everybody who is here may stop one.
///
/// # Errors
/// [`NotRegistered`].
pub fn suspend(
    directory: &Directory,
    id: &PrincipalId,
    why: &str,
    by: &PrincipalId,
    now: Moment,
) -> Result<AgentRecord, NotRegistered> {
    is_person(directory, by)?;
    let agent = known(directory, id)?;
    if let Some(before) = &agent.registration.suspended {
        return Err(NotRegistered::Suspended { agent: id.clone(), by: before.by.clone() });
    }
    let registration = Registration { suspended: Some(mark(by, why, now)?), ..agent.registration.clone() };
    Ok(AgentRecord { registration, ..agent.clone() })
}

/// The record of an agent that `by`, who answers for it, lets go on. Its lease is what it was.
///
/// # Errors
/// [`NotRegistered`].
pub fn resume(directory: &Directory, id: &PrincipalId, by: &PrincipalId) -> Result<AgentRecord, NotRegistered> {
    let agent = answered_for(directory, id, by)?;
    if agent.registration.suspended.is_none() {
        return Err(NotRegistered::NotSuspended(id.clone()));
    }
    let registration = Registration { suspended: None, ..agent.registration.clone() };
    Ok(AgentRecord { registration, ..agent.clone() })
}

/// The record of an agent that another person owns from now on. Its owner or sponsor says so; anybody who is here where neither is. Its
/// lease is what it was. A new owner who vouched for it does not any more.
///
/// # Errors
/// [`NotRegistered`].
pub fn hand_over(
    directory: &Directory,
    id: &PrincipalId,
    to: &PrincipalId,
    by: &PrincipalId,
) -> Result<AgentRecord, NotRegistered> {
    answers(directory, id, to)?;
    let agent = known(directory, id)?;
    let is_left_alone = answering(directory, agent).next().is_none();
    let agent = if is_left_alone { is_person(directory, by).map(|()| agent)? } else { answered_for(directory, id, by)? };
    let sponsor = agent.registration.sponsor.clone().filter(|sponsor| sponsor != to);
    let registration = Registration { sponsor, ..agent.registration.clone() };
    Ok(AgentRecord { owner: to.clone(), registration, ..agent.clone() })
}

/// Whether an agent is registered for a task of this purpose that names these effects.
///
/// # Errors
/// [`NotFor`].
pub fn is_for(
    directory: &Directory,
    agent: &AgentRecord,
    purpose: &str,
    effects: Option<&BTreeSet<Effect>>,
    now: Moment,
) -> Result<(), NotFor> {
    let Registration { purposes, effects: most, .. } = &agent.registration;
    let id = || agent.id.clone();
    if agent.registration.is_over(now) {
        return Err(NotFor::Lapsed { agent: id(), who: who(directory, agent) });
    }
    if purposes.as_ref().is_some_and(|purposes| !purposes.contains(purpose)) {
        return Err(NotFor::Purpose { agent: id(), purpose: purpose.to_owned() });
    }
    let beyond = most.as_ref().zip(effects).and_then(|(most, effects)| effects.difference(most).next());
    beyond.map_or(Ok(()), |effect| Err(NotFor::Effect { agent: id(), effect: *effect }))
}

/// Whether the key and the client of a call, or of a credential, are among those that its agent is registered with.
#[must_use]
pub fn is_registered_with(agent: &AgentRecord, caller: &Caller) -> bool {
    let Registration { keys, clients, .. } = &agent.registration;
    // A credential that names no client was issued to the agent itself.
    let client = caller.client.as_deref().unwrap_or(agent.id.as_str());
    keys.as_ref().is_none_or(|keys| caller.key.as_ref().is_some_and(|key| keys.contains(key)))
        && clients.as_ref().is_none_or(|clients| clients.contains(client))
}

/// Whether a chain may have a credential for its task: every agent of it is in use, owned by somebody who is here and registered for the
/// purpose, and the last one with the key and the client.
///
/// # Errors
/// [`NotFor`], of the first agent that is not.
pub fn may_hold(directory: &Directory, caller: &Caller, purpose: &str, now: Moment) -> Result<(), NotFor> {
    let agents = caller.chain.get(1..).unwrap_or_default();
    for (at, id) in agents.iter().enumerate() {
        let agent = directory.agent(id.as_str()).filter(|agent| directory.person(agent.owner.as_str()).is_some());
        let agent = agent.ok_or_else(|| NotFor::OutOfUse { agent: id.clone() })?;
        is_for(directory, agent, purpose, None, now)?;
        if at + 1 == agents.len() && !is_registered_with(agent, caller) {
            return Err(NotFor::Credential { agent: id.clone() });
        }
    }
    Ok(())
}

/// Those who are here and answer for an agent: its owner, then its sponsor.
pub fn answering<'a>(directory: &'a Directory, agent: &'a AgentRecord) -> impl Iterator<Item = &'a PrincipalId> {
    let people = std::iter::once(&agent.owner).chain(&agent.registration.sponsor);
    people.filter(|person| directory.person(person.as_str()).is_some())
}

/// The same as words.
#[must_use]
pub fn who(directory: &Directory, agent: &AgentRecord) -> String {
    let people: Vec<&str> = answering(directory, agent).map(PrincipalId::as_str).collect();
    if people.is_empty() { "somebody who takes it over".to_owned() } else { people.join(" or ") }
}

fn known<'d>(directory: &'d Directory, id: &PrincipalId) -> Result<&'d AgentRecord, NotRegistered> {
    directory.agent_record(id.as_str()).ok_or_else(|| NotRegistered::Unknown(id.clone()))
}

/// The agent, if this person is here and answers for it.
fn answered_for<'d>(directory: &'d Directory, id: &PrincipalId, by: &PrincipalId) -> Result<&'d AgentRecord, NotRegistered> {
    is_person(directory, by)?;
    let agent = known(directory, id)?;
    if agent.is_answered_for_by(by) {
        return Ok(agent);
    }
    Err(NotRegistered::SomebodyElse { person: by.clone(), agent: id.clone(), who: who(directory, agent) })
}

/// Whether a person who is here, and not the agent itself, would answer for it.
fn answers(directory: &Directory, id: &PrincipalId, person: &PrincipalId) -> Result<(), NotRegistered> {
    if person == id { Err(NotRegistered::Itself(id.clone())) } else { is_person(directory, person) }
}

fn is_person(directory: &Directory, person: &PrincipalId) -> Result<(), NotRegistered> {
    if directory.agent_record(person.as_str()).is_some() {
        return Err(NotRegistered::Agent(person.clone()));
    }
    directory.person(person.as_str()).map(drop).ok_or_else(|| NotRegistered::Nobody(person.clone()))
}

fn ends(lease_ms: u64, now: Moment) -> Result<Moment, NotRegistered> {
    if !(REGISTRATION_MS_MIN..=REGISTRATION_MS_MAX).contains(&lease_ms) {
        return Err(NotRegistered::Lease { found_ms: lease_ms });
    }
    Ok(now.after_ms(lease_ms))
}

fn mark(by: &PrincipalId, why: &str, at: Moment) -> Result<Mark, NotRegistered> {
    if why.len() > REGISTRATION_NAME_BYTES_MAX {
        return Err(NotRegistered::Why { found: why.len() });
    }
    Ok(Mark { by: by.clone(), at, why: why.to_owned() })
}

/// What was used of what was allowed.
fn tightened<T: Ord + Clone>(
    allowed: Option<&BTreeSet<T>>,
    used: &BTreeSet<T>,
    is_in: impl Fn(&BTreeSet<T>, &T) -> bool,
) -> BTreeSet<T> {
    used.iter().filter(|one| allowed.is_none_or(|allowed| is_in(allowed, one))).cloned().collect()
}
