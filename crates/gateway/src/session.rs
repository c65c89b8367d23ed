//! What is remembered between two requests: sessions of the older era, and tasks that work without one.
//!
//! A session belongs to the task that opened it, and to the person for whom it acts; to any other it does not exist. Nothing that decides anything is kept here: flow state
//! hangs on the task and lives in the engine.

mod memory;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;
use wire::frame::Frame;

pub use memory::{Memory, Recent};

use crate::definitions::Definitions;
use crate::exchange::Caller;
use crate::upstream::http::{PROTOCOL_VERSION, SESSION};
use crate::upstream::stdio::ChildSlot;

const SESSION_ID_BYTES: usize = 32;
/// Messages of a process that wait for somebody to listen.
const OUTBOX_FRAMES_MAX: usize = 256;

/// Names a session: 256 random bits, base64url. Whoever holds it still needs the task's token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

/// Everything remembered for one session, or for one task without a session.
pub struct Scope {
    /// The task that it belongs to.
    pub task: Arc<str>,
    /// The person for whom the task acts.
    person: Arc<str>,
    /// The session's id; `None` for a task without one.
    pub id: Option<SessionId>,
    /// One for each upstream, in configured order.
    pub links: Vec<Arc<Link>>,
    memory: Mutex<Memory>,
    admitted: AtomicBool,
    streams: AtomicUsize,
    last_used: Mutex<Instant>,
}

/// One upstream as seen from one scope. What it opened for one person is never used for another.
pub struct Link {
    /// The person for whom everything on it happens.
    pub person: Arc<str>,
    session: Mutex<Option<HeaderValue>>,
    left_out: AtomicBool,
    protocol_version: Mutex<Option<HeaderValue>>,
    /// The process, if the upstream is one.
    pub child: tokio::sync::Mutex<ChildSlot>,
    /// What a restarted process must be told first.
    pub handshake: Mutex<Handshake>,
    /// What a process said without being asked.
    pub outbox: Outbox,
    /// What is known of the server's tools.
    pub definitions: Mutex<Definitions>,
    /// Held while they are asked for.
    pub reading_definitions: tokio::sync::Mutex<()>,
}

/// The opening of a session of the older era.
#[derive(Default)]
pub struct Handshake {
    /// The `initialize` request.
    pub initialize: Option<Frame>,
    /// The `notifications/initialized` that followed.
    pub initialized: Option<Frame>,
}

/// Messages that wait for a listener, bounded; the oldest gives way.
#[derive(Default)]
pub struct Outbox {
    frames: Mutex<VecDeque<Frame>>,
    arrived: Notify,
}

/// All scopes, bounded; the one that was idle longest gives way when it has been idle for long enough.
pub struct Scopes {
    by_key: RwLock<HashMap<Key, Arc<Scope>>>,
    links: usize,
    sessions_max: usize,
    streams_max: usize,
    idle: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Session(SessionId),
    Task(Arc<str>, Arc<str>),
}

/// No room for another session or stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// An open stream; counts against the scope's bound and keeps it from being forgotten.
pub struct OpenStream(Arc<Scope>);

impl SessionId {
    fn random() -> Self {
        let mut bytes = [0; SESSION_ID_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).expect("the operating system's randomness does not end");
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// The id as a header value.
    #[must_use]
    pub fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("base64url is visible ascii")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

impl Scope {
    /// Opens a stream in this scope.
    ///
    /// # Errors
    /// [`Full`] when there are too many.
    pub fn open_stream(self: &Arc<Self>, streams_max: usize) -> Result<OpenStream, Full> {
        if self.streams.fetch_add(1, Ordering::AcqRel) >= streams_max {
            self.streams.fetch_sub(1, Ordering::AcqRel);
            return Err(Full);
        }
        Ok(OpenStream(Arc::clone(self)))
    }

    /// Whether it is this caller's.
    fn is_of(&self, caller: &Caller) -> bool {
        self.task == caller.task && self.person == caller.person
    }

    /// Whether the client may name this session.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Acquire)
    }

    fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    fn idle_since(&self) -> Option<Instant> {
        (self.streams.load(Ordering::Acquire) == 0).then(|| *self.last_used.lock())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.touch();
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Link {
    fn new(person: &Arc<str>) -> Self {
        Self {
            person: Arc::clone(person),
            session: Mutex::default(),
            left_out: AtomicBool::new(false),
            protocol_version: Mutex::default(),
            child: tokio::sync::Mutex::default(),
            handshake: Mutex::default(),
            outbox: Outbox::default(),
            definitions: Mutex::default(),
            reading_definitions: tokio::sync::Mutex::default(),
        }
    }

    /// Remembers the session that the upstream opened with its answer to `initialize`.
    pub fn opened(&self, headers: &HeaderMap) {
        *self.session.lock() = headers.get(SESSION).cloned();
    }

    /// Remembers the revision that this upstream chose in its answer to `initialize`: with several, each may choose another.
    pub fn speaks_as_answered(&self, answer: &Frame) {
        let version = answer.at("/result/protocolVersion").and_then(|raw| serde_json::from_str::<String>(raw).ok());
        *self.protocol_version.lock() = version.and_then(|version| HeaderValue::from_str(&version).ok());
    }

    /// The upstream takes no part in this session.
    pub fn leave_out(&self) {
        self.left_out.store(true, Ordering::Release);
    }

    /// Whether the upstream takes no part in this session.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        self.left_out.load(Ordering::Acquire)
    }

    /// Whether the upstream gave a session id.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.session.lock().is_some()
    }

    /// Puts the upstream's own session id on a request, and its own revision where that was negotiated apart.
    pub fn put_session(&self, headers: &mut HeaderMap) {
        if let Some(session) = &*self.session.lock() {
            headers.insert(SESSION, session.clone());
        }
        if let Some(version) = &*self.protocol_version.lock() {
            headers.insert(PROTOCOL_VERSION, version.clone());
        }
    }
}

impl Outbox {
    /// Adds a message; the oldest gives way when there are too many.
    pub fn put(&self, frame: Frame) {
        let mut frames = self.frames.lock();
        if frames.len() >= OUTBOX_FRAMES_MAX {
            frames.pop_front();
        }
        frames.push_back(frame);
        drop(frames);
        self.arrived.notify_one();
    }

    /// The next message, when there is one. Each goes to one listener only.
    pub async fn next(&self) -> Frame {
        loop {
            if let Some(frame) = self.frames.lock().pop_front() {
                return frame;
            }
            self.arrived.notified().await;
        }
    }
}

impl Scopes {
    /// No scopes yet; each will have `links` links.
    #[must_use]
    pub fn new(links: usize, limits: &crate::config::Limits) -> Self {
        Self {
            by_key: RwLock::default(),
            links,
            sessions_max: limits.sessions_max,
            streams_max: limits.streams_per_session_max,
            idle: limits.session_idle,
        }
    }

    /// Streams allowed in one scope.
    #[must_use]
    pub fn streams_max(&self) -> usize {
        self.streams_max
    }

    /// The session that the client names, if it is this caller's.
    #[must_use]
    pub fn session(&self, id: &str, caller: &Caller) -> Option<Arc<Scope>> {
        let key = Key::Session(SessionId(id.into()));
        let scope = self.by_key.read().get(&key).cloned()?;
        if !scope.is_of(caller) {
            return None;
        }
        scope.touch();
        Some(scope)
    }

    /// Whether the client names a session that is another caller's.
    #[must_use]
    pub fn is_anothers(&self, id: &str, caller: &Caller) -> bool {
        let key = Key::Session(SessionId(id.into()));
        self.by_key.read().get(&key).is_some_and(|scope| !scope.is_of(caller))
    }

    /// A new session, not yet known to anybody.
    #[must_use]
    pub fn prepare(&self, caller: &Caller) -> Arc<Scope> {
        self.scope(caller, Some(SessionId::random()))
    }

    /// Makes a session known.
    ///
    /// # Errors
    /// [`Full`] when there are too many.
    pub fn admit(&self, scope: &Arc<Scope>) -> Result<(), Full> {
        let Some(id) = &scope.id else { return Ok(()) };
        self.insert(Key::Session(id.clone()), scope)?;
        scope.admitted.store(true, Ordering::Release);
        Ok(())
    }

    /// What is remembered for a task without a session.
    ///
    /// # Errors
    /// [`Full`] when there are too many.
    pub fn of_task(&self, caller: &Caller) -> Result<Arc<Scope>, Full> {
        let key = Key::Task(Arc::clone(&caller.task), Arc::clone(&caller.person));
        if let Some(scope) = self.by_key.read().get(&key) {
            scope.touch();
            return Ok(Arc::clone(scope));
        }
        let scope = self.scope(caller, None);
        self.insert(key.clone(), &scope)?;
        // Somebody else may have been faster; then theirs is the one.
        self.by_key.read().get(&key).cloned().ok_or(Full)
    }

    /// Forgets a session.
    pub fn forget(&self, scope: &Scope) {
        if let Some(id) = &scope.id {
            self.by_key.write().remove(&Key::Session(id.clone()));
        }
    }

    /// Forgets everything: the gateway ends.
    pub fn clear(&self) {
        let _dropped_outside_of_the_lock = std::mem::take(&mut *self.by_key.write());
    }

    /// Forgets what was idle for too long, and returns it.
    pub fn sweep(&self) -> Vec<Arc<Scope>> {
        let now = Instant::now();
        let mut swept = Vec::new();
        self.by_key.write().retain(|_, scope| {
            let stays = scope.idle_since().is_none_or(|since| now.duration_since(since) < self.idle);
            if !stays {
                swept.push(Arc::clone(scope));
            }
            stays
        });
        swept
    }

    fn scope(&self, caller: &Caller, id: Option<SessionId>) -> Arc<Scope> {
        Arc::new(Scope {
            task: Arc::clone(&caller.task),
            person: Arc::clone(&caller.person),
            id,
            links: (0..self.links).map(|_| Arc::new(Link::new(&caller.person))).collect(),
            memory: Mutex::default(),
            admitted: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
        })
    }

    fn insert(&self, key: Key, scope: &Arc<Scope>) -> Result<(), Full> {
        let mut by_key = self.by_key.write();
        if by_key.contains_key(&key) {
            return Ok(());
        }
        if by_key.len() >= self.sessions_max {
            return Err(Full);
        }
        by_key.insert(key, Arc::clone(scope));
        Ok(())
    }
}
