//! From settings to running parts: keys, ledger, engine.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use authority::Issuer;
use authority::keys::{KeyPaths, Keys};
use engine::{Clock, ConfigureError, Engine, Node, Options};
use ledger::{Bounds, SqliteLedger, SqliteSource};

use crate::config::{Loaded, Problems, load, policy_problems};
use crate::failure::Failure;

/// Everything that commands which change something need.
pub struct House {
    /// The configuration.
    pub loaded: Loaded,
    /// Issues tokens.
    pub issuer: Issuer,
    /// The keys.
    pub keys: Keys,
    /// Decides and records.
    pub engine: Engine,
}

/// Reads and checks the configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub fn configuration(path: &Path) -> anyhow::Result<Loaded> {
    Ok(load(path).map_err(Failure::from)?)
}

/// Opens keys, ledger and engine. Other processes may have the same ledger open.
///
/// # Errors
/// What cannot be opened.
pub fn open(loaded: Loaded) -> anyhow::Result<House> {
    open_with(loaded, Bounds::default())
}

/// The same, for changes of the directory that are larger than what a gateway writes at once: an import holds as a whole, so it is one
/// batch of the ledger.
///
/// # Errors
/// What cannot be opened.
pub fn open_for_import(loaded: Loaded) -> anyhow::Result<House> {
    const IMPORT_BYTES_MAX: usize = 2 << 30;
    let bounds = Bounds::default();
    open_with(loaded, Bounds { batch_bytes_max: IMPORT_BYTES_MAX, queue_bytes_max: IMPORT_BYTES_MAX, ..bounds })
}

fn open_with(loaded: Loaded, bounds: Bounds) -> anyhow::Result<House> {
    let keys = keys(&loaded)?;
    let store = loaded.beside(&loaded.settings.server.store);
    let ledger = SqliteLedger::open_with(&store, bounds).context("the ledger cannot be opened")?;
    let node = Node::among(&nodes_of(&store)).context("the ledger's folder cannot be written to")?;
    let options = Options { ask_lifetime_ms: loaded.settings.policies.ask_lifetime.ms(), ..Options::default() };
    let engine = Engine::open(Arc::new(ledger), keys.content.clone(), Clock::System, node, options)?;
    let issuer = crate::door::issuer(&loaded.settings, &keys);
    Ok(House { loaded, issuer, keys, engine })
}

impl House {
    /// Puts the configuration in force, if it is not.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn configure(&self) -> anyhow::Result<()> {
        self.configure_as(&self.loaded).await
    }

    /// Puts another configuration in force, for the directory and the policies in it.
    ///
    /// # Errors
    /// When it cannot be recorded; then the one before stays in force.
    pub async fn configure_as(&self, loaded: &Loaded) -> anyhow::Result<()> {
        match self.engine.configure(loaded.bundle.clone()).await {
            Ok(()) => Ok(()),
            Err(ConfigureError::Bad(errors)) => {
                // Loading it has found the same before; a place is better than none.
                let mut problems = Problems::default();
                policy_problems(&errors.policies, &loaded.bundle.policies, &mut problems);
                // What does not fit to what was recorded beside the configuration has no place in it.
                if errors.policies.is_empty() {
                    Err(crate::commands::exposure::wrong(&errors.directory))
                } else {
                    Err(Failure::from(problems).into())
                }
            }
            Err(error @ ConfigureError::Unavailable(_)) => Err(error.into()),
        }
    }
}

/// Opens the ledger for reading, as commands that only look do. Works while a server writes it, and makes no file.
///
/// # Errors
/// When it is not there, or is no ledger.
pub fn ledger_to_read(loaded: &Loaded) -> anyhow::Result<SqliteSource> {
    let store = loaded.beside(&loaded.settings.server.store);
    if !store.exists() {
        return Err(Failure::Helpless {
            sentence: format!("there is no ledger at `{}` yet", store.display()),
            help: "`prudence serve` or `prudence task start` begins one".to_owned(),
        }
        .into());
    }
    SqliteLedger::open_read_only(&store).context("the ledger cannot be opened")
}

/// Loads the keys.
///
/// # Errors
/// The first that cannot be used.
pub fn keys(loaded: &Loaded) -> anyhow::Result<Keys> {
    let server = &loaded.settings.server;
    let paths = KeyPaths {
        signing: loaded.beside(&server.signing_key),
        content: loaded.beside(&server.content_key),
        operator: loaded.beside(&server.operator_secret),
    };
    let retired = server.retired_keys.iter().map(|file| loaded.beside(file));
    let loading = Keys::load(&paths).and_then(|keys| retired.into_iter().try_fold(keys, |keys, file| keys.retire(&file)));
    loading.map_err(|error| match error.help() {
        Some(help) => Failure::Helpless { sentence: error.to_string(), help }.into(),
        None => error.into(),
    })
}

/// Where processes that share a ledger say that they are alive.
fn nodes_of(store: &Path) -> std::path::PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".nodes");
    name.into()
}
