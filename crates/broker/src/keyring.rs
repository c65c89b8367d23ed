//! The keys under which credentials are kept, from outside of the store: a file that only its owner can read, or a text that the system
//! hands over. The first seals; all of them open, so that a key can be exchanged while a server runs.
//!
//! AES-256-GCM-SIV (RFC 8452) with random nonces: a nonce that came twice would show that two secrets are equal, and nothing more.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A key, in bytes.
const KEY_BYTES: usize = 32;
/// RFC 8452 §4.
const NONCE_BYTES: usize = 12;
/// Keys that open: the one that seals, and those that did before it.
const KEYS_MAX: usize = 4;
/// The largest key file, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 10;
/// The mode of a key file: its owner reads and writes it, nobody else does anything.
const OWNER_ONLY: u32 = 0o600;

/// Where the keys come from.
#[derive(Clone)]
pub enum KeySource {
    /// A file of mode 600.
    File(PathBuf),
    /// What stood in an environment variable.
    Text(Zeroizing<String>),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(..)"),
        }
    }
}

/// Why there are no keys. Says where, never what.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A file cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("`{}` has the mode `{mode:03o}`, expected `600`: others than its owner can read it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something else than keys.
    #[error("{place}: expected one to {KEYS_MAX} lines of 64 hexadecimal digits, the key that seals first")]
    NotKeys {
        /// Where.
        place: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes, and without them there are no keys")]
    Random,
}

impl KeyringError {
    /// What would help, on a line of its own.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Open { path, .. } => Some(format!("chmod 600 {}; if it may have been copied, rotate it", path.display())),
            Self::File { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                Some("`prudence upstream rotate-key` makes one".to_owned())
            }
            Self::File { .. } | Self::NotKeys { .. } | Self::Random => None,
        }
    }
}

/// What was sealed, and under which key.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key's id.
    pub key: String,
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
}

/// The keys.
pub struct Keyring(Vec<(String, RandomizedNonceKey)>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl KeySource {
    /// The keys as they are now.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn read(&self) -> Result<Keyring, KeyringError> {
        match self {
            Self::File(path) => Keyring::parse(&read_private(path)?, &format!("`{}`", path.display())),
            Self::Text(text) => Keyring::parse(text, "the key of the upstreams' credentials"),
        }
    }
}

impl Keyring {
    /// Reads keys, one a line.
    fn parse(text: &str, place: &str) -> Result<Self, KeyringError> {
        let wrong = || KeyringError::NotKeys { place: place.to_owned() };
        let lines = || text.split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty());
        if !(1..=KEYS_MAX).contains(&lines().count()) {
            return Err(wrong());
        }
        let keys = lines().map(|line| {
            let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
            hex::decode_to_slice(line, &mut key[..]).map_err(|_| wrong())?;
            let sealing = RandomizedNonceKey::new(&AES_256_GCM_SIV, &key[..]).map_err(|_| wrong())?;
            Ok((id_of(&key), sealing))
        });
        keys.collect::<Result<Vec<_>, KeyringError>>().map(Self)
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0[0].0
    }

    /// Seals a secret for what `about` says, and for nothing else.
    pub(crate) fn seal(&self, about: &[u8], secret: &[u8]) -> Result<Sealed, KeyringError> {
        let (id, key) = &self.0[0];
        let mut sealed = Vec::with_capacity(NONCE_BYTES + secret.len() + AES_256_GCM_SIV.tag_len());
        // With room for the tag from the start: growing would leave the secret where it was.
        let mut text = Zeroizing::new(Vec::with_capacity(secret.len() + AES_256_GCM_SIV.tag_len()));
        text.extend_from_slice(secret);
        let nonce = key.seal_in_place_append_tag(Aad::from(about), &mut *text).map_err(|_| KeyringError::Random)?;
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        Ok(Sealed { key: id.clone(), bytes: sealed })
    }

    /// Opens what was sealed for exactly what `about` says. `None`: none of the keys did it, or something was changed.
    pub(crate) fn open(&self, about: &[u8], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (_, key) = self.0.iter().find(|(id, _)| *id == sealed.key)?;
        let (nonce, text) = sealed.bytes.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = key.open_in_place(nonce, Aad::from(about), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    /// Whether it holds this key.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(known, _)| known == id)
    }
}

/// Makes a key file with one key. An existing file is never overwritten.
///
/// # Errors
/// [`KeyringError`].
pub fn generate(path: &Path) -> Result<(), KeyringError> {
    write_private(path, &format!("{}\n", *fresh()?))
}

/// Puts a new key before those of the file. The one that sealed until now still opens, so that a running server reads on; older ones are gone.
///
/// # Errors
/// [`KeyringError`]; then the file is as it was.
pub fn rotate(path: &Path) -> Result<(), KeyringError> {
    let text = read_private(path)?;
    Keyring::parse(&text, &format!("`{}`", path.display()))?;
    let former = text.split(['\n', ',']).map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let new = path.with_extension("new");
    // What an attempt left behind that broke off.
    match std::fs::remove_file(&new) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(KeyringError::File { path: new, error }),
    }
    let text = Zeroizing::new(format!("{}\n{former}\n", *fresh()?));
    write_private(&new, &text)?;
    std::fs::rename(&new, path).map_err(|error| KeyringError::File { path: path.to_owned(), error })
}

/// A random key, in hexadecimal.
fn fresh() -> Result<Zeroizing<String>, KeyringError> {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    aws_lc_rs::rand::fill(&mut key[..]).map_err(|_| KeyringError::Random)?;
    Ok(Zeroizing::new(hex::encode(&key[..])))
}

/// What a key is called in the store: it says nothing about the key.
fn id_of(key: &[u8; KEY_BYTES]) -> String {
    const ID_BYTES: usize = 8;
    let digest = Sha256::new_with_prefix(b"prudence upstream credentials key\0").chain_update(key).finalize();
    hex::encode(&digest[..ID_BYTES])
}

/// Creates the file, which must not be there, so that nobody but its owner can read it at any time.
fn write_private(path: &Path, text: &str) -> Result<(), KeyringError> {
    let fail = |error| KeyringError::File { path: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, OWNER_ONLY);
    let mut file = options.open(path).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)
}

/// Reads the file, which nobody but its owner may be able to read.
fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyringError> {
    let fail = |error| KeyringError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(fail)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(fail)?.permissions().mode() & 0o777;
        if mode & !OWNER_ONLY != 0 {
            return Err(KeyringError::Open { path: path.to_owned(), mode });
        }
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(fail)?;
    Ok(text)
}
