//! What one session must remember about messages under way, bounded in every direction: what is too much is forgotten, oldest first,
//! and whoever needs it later is refused.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wire::frame::IdKey;

use crate::relay::Asked;
use crate::session::Scope;

const REQUESTS_MAX: usize = 1024;
const PARKED_MAX: usize = 64;
const RESOURCES_MAX: usize = 10_000;

/// A map that forgets its oldest entry when it is full.
pub struct Recent<K, V> {
    entries: BTreeMap<K, V>,
    order: VecDeque<K>,
    entries_max: usize,
}

/// What one session remembers.
pub struct Memory {
    /// Which upstream got a client's request: where a cancellation goes.
    sent: Recent<IdKey, usize>,
    /// Servers' requests under the ids that the client sees.
    server_requests: Recent<u64, ServerRequest>,
    next_server_request: u64,
    /// Requests whose stream was lost and may be continued.
    parked: Recent<IdKey, Asked>,
    /// Listed resources, by URI.
    resources: Recent<Arc<str>, usize>,
    /// Listed templates, by what stands before their first variable.
    templates: Recent<Arc<str>, usize>,
}

struct ServerRequest {
    index: usize,
    id: String,
    progress_token: Option<String>,
}

impl<K: Clone + Ord, V> Recent<K, V> {
    /// Empty.
    pub fn new(entries_max: usize) -> Self {
        Self { entries: BTreeMap::new(), order: VecDeque::new(), entries_max }
    }

    /// Whether there is an entry.
    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// An entry, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Adds an entry.
    pub fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        // Removed keys stay in the order until they come up.
        while self.entries.len() > self.entries_max || self.order.len() > 2 * self.entries_max {
            let Some(oldest) = self.order.pop_front() else { return };
            self.entries.remove(&oldest);
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            sent: Recent::new(REQUESTS_MAX),
            server_requests: Recent::new(REQUESTS_MAX),
            next_server_request: 0,
            parked: Recent::new(PARKED_MAX),
            resources: Recent::new(RESOURCES_MAX),
            templates: Recent::new(RESOURCES_MAX),
        }
    }
}

impl Scope {
    /// A client's request goes to an upstream.
    pub fn sent(&self, key: &IdKey, index: usize) {
        self.memory.lock().sent.insert(key.clone(), index);
    }

    /// Where a client's request went.
    pub fn sent_to(&self, key: &IdKey) -> Option<usize> {
        self.memory.lock().sent.entries.get(key).copied()
    }

    /// A server asks the client: the id, as JSON, under which the client sees it.
    pub fn server_asks(&self, index: usize, id: String, progress_token: Option<String>) -> String {
        let mut memory = self.memory.lock();
        memory.next_server_request += 1;
        let number = memory.next_server_request;
        memory.server_requests.insert(number, ServerRequest { index, id, progress_token });
        format!("\"{SERVER_REQUEST}{number}\"")
    }

    /// Under which id the client sees the request that a server calls `id`.
    pub fn server_asked(&self, index: usize, id: &str) -> Option<String> {
        let memory = self.memory.lock();
        let found = memory.server_requests.entries.iter().find(|(_, request)| request.index == index && request.id == id);
        found.map(|(number, _)| format!("\"{SERVER_REQUEST}{number}\""))
    }

    /// The client answers a server's request: whose it was, and its own id. Once.
    pub fn answered(&self, key: &IdKey) -> Option<(usize, String)> {
        let IdKey::Text(text) = key else { return None };
        let number: u64 = text.strip_prefix(SERVER_REQUEST)?.parse().ok()?;
        self.memory.lock().server_requests.entries.remove(&number).map(|request| (request.index, request.id))
    }

    /// Which upstream asked for progress under this token.
    pub fn progress_wanted_by(&self, token: &str) -> Option<usize> {
        let memory = self.memory.lock();
        memory
            .server_requests
            .entries
            .values()
            .find(|request| request.progress_token.as_deref() == Some(token))
            .map(|request| request.index)
    }

    /// The client may come back for this answer.
    pub fn park(&self, asked: Asked) {
        let key = asked.key.clone();
        self.memory.lock().parked.insert(key, asked);
    }

    /// The client came back for this answer.
    pub fn unpark(&self, key: &IdKey) -> Option<Asked> {
        self.memory.lock().parked.entries.remove(key)
    }

    /// An upstream listed a resource. Whoever was first keeps it.
    pub fn lists_resource(&self, index: usize, uri: &str) {
        let mut memory = self.memory.lock();
        if !memory.resources.entries.contains_key(uri) {
            memory.resources.insert(uri.into(), index);
        }
    }

    /// An upstream listed a template.
    pub fn lists_template(&self, index: usize, template: &str) {
        let fixed = template.split('{').next().unwrap_or_default();
        if fixed.is_empty() {
            return;
        }
        let mut memory = self.memory.lock();
        for known in [fixed, template] {
            if !memory.templates.entries.contains_key(known) {
                memory.templates.insert(known.into(), index);
            }
        }
    }

    /// The upstream that listed the resource, or a template that it may be of.
    pub fn holder_of(&self, uri: &str) -> Option<usize> {
        let memory = self.memory.lock();
        let listed = memory.resources.entries.get(uri).copied();
        listed.or_else(|| {
            let fitting = memory.templates.entries.iter().filter(|(fixed, _)| uri.starts_with(&***fixed));
            fitting.max_by_key(|(fixed, _)| fixed.len()).map(|(_, index)| *index)
        })
    }
}

const SERVER_REQUEST: &str = "prudence-";
