//! Nodes: which process holds a permit, so that after a crash it is known whose effects nobody can tell the end of.
//!
//! A node keeps a lock on a file of its name for as long as it lives; a lock that can be taken belonged to a process that is gone.

use std::fs::{File, OpenOptions, create_dir_all, remove_file};
use std::io;
use std::path::{Path, PathBuf};

/// A process that may hold permits.
#[derive(Debug)]
pub struct Node {
    name: String,
    folder: Option<PathBuf>,
    _lock: Option<File>,
}

impl Node {
    /// A node of its own, known to no other process: for tests, scenarios and replays.
    #[must_use]
    pub fn alone() -> Self {
        Self { name: String::new(), folder: None, _lock: None }
    }

    /// A node among those that keep their locks in `folder`.
    ///
    /// # Errors
    /// When the folder or the lock file cannot be made.
    #[expect(clippy::disallowed_methods, reason = "a node's name is drawn once, and names no record's order")]
    pub fn among(folder: &Path) -> io::Result<Self> {
        create_dir_all(folder)?;
        let name = uuid::Uuid::new_v4().simple().to_string();
        let lock = OpenOptions::new().create_new(true).write(true).open(path(folder, &name))?;
        lock.lock()?;
        Ok(Self { name, folder: Some(folder.to_owned()), _lock: Some(lock) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the process that was this node is gone.
    pub(crate) fn is_gone(&self, name: &str) -> bool {
        if name == self.name {
            return false;
        }
        let Some(folder) = &self.folder else { return true };
        let path = path(folder, name);
        match File::open(&path) {
            Ok(file) if file.try_lock().is_ok() => {
                // Nobody holds it, and the name is never used again.
                let _ = remove_file(path);
                true
            }
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = remove_file(path(folder, &self.name));
        }
    }
}

/// The lock file of a node. A name comes out of the ledger, and is reduced to what a node's name can be.
fn path(folder: &Path, name: &str) -> PathBuf {
    let safe: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    folder.join(format!("{safe}.lock"))
}
