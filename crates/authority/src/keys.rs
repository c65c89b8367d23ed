//! Key files: the key that signs tokens, the key under which text is recognised, and the operator's secret.
//!
//! Each is a file of its own that only its owner may read. A file that others can read is not used: a key that leaked signs for everybody.
//! Nothing here prints a key; what is shown is its fingerprint.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use judge::content::ContentKey;
use judge::digest::Digest;
use wire::token::{SigningKey, VerifyingKeys, public_of_pem, thumbprint};

/// The largest key file, in bytes.
pub const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;
/// The content key, in bytes.
const CONTENT_KEY_BYTES: usize = 16;
/// The operator's secret, in bytes before it is spelt out.
const OPERATOR_SECRET_BYTES: usize = 32;
/// How many characters of a digest tell one key from another.
const FINGERPRINT_CHARS: usize = 12;
/// The mode of a key file: its owner reads and writes it, nobody else does anything.
const OWNER_ONLY: u32 = 0o600;

/// Where the keys of an installation are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPaths {
    /// The Ed25519 key that signs tokens, in PEM (PKCS#8, RFC 8410).
    pub signing: PathBuf,
    /// The content key, in hexadecimal.
    pub content: PathBuf,
    /// The operator's secret, as it stands in a header.
    pub operator: PathBuf,
}

/// The keys of an installation.
#[derive(Clone)]
pub struct Keys {
    /// Signs task tokens and person tokens.
    pub signing: SigningKey,
    /// Recognises text.
    pub content: ContentKey,
    /// Lets a program start tasks over HTTP.
    pub operator: OperatorSecret,
    /// Keys that sign no more, and whose tokens are believed until they end.
    pub retired: Vec<RetiredKey>,
}

/// The public half of a key that signs no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredKey {
    /// The id in the headers of its tokens.
    pub id: String,
    /// The public key, raw.
    pub public: [u8; 32],
}

impl Keys {
    /// Makes new keys at `paths`. An existing file is never overwritten.
    ///
    /// # Errors
    /// The first file that could not be written; those written before it stay.
    pub fn generate(paths: &KeyPaths) -> Result<Keys, KeysError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeysError::Random)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeysError::Random)?;
        write_secret(&paths.signing, in_pem("PRIVATE KEY", pkcs8.as_ref()).as_bytes())?;
        write_secret(&paths.content, format!("{}\n", hex::encode(random::<CONTENT_KEY_BYTES>()?)).as_bytes())?;
        let operator = URL_SAFE_NO_PAD.encode(random::<OPERATOR_SECRET_BYTES>()?);
        write_secret(&paths.operator, format!("{operator}\n").as_bytes())?;
        Keys::load(paths)
    }

    /// Reads the keys at `paths`.
    ///
    /// # Errors
    /// The first file that is missing, readable by others, or no key.
    pub fn load(paths: &KeyPaths) -> Result<Keys, KeysError> {
        let signing = signing_key(&paths.signing, &read_secret(&paths.signing)?)?;
        let not = |path: &Path, expected| KeysError::NotAKey { path: path.to_owned(), expected };
        let content: [u8; CONTENT_KEY_BYTES] = hex::decode(read_text(&paths.content)?)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| not(&paths.content, "32 hexadecimal digits"))?;
        let operator = OperatorSecret::parse(&read_text(&paths.operator)?)
            .ok_or_else(|| not(&paths.operator, "a secret of at least 32 characters"))?;
        Ok(Keys { signing, content: ContentKey::new(content), operator, retired: Vec::new() })
    }

    /// Keys that live as long as this program, for what is not meant to be kept.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn ephemeral() -> Result<Keys, KeysError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeysError::Random)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeysError::Random)?;
        let first = SigningKey::from_der("pending", pkcs8.as_ref()).map_err(|_| KeysError::Random)?;
        let signing = SigningKey::from_der(key_id(&first), pkcs8.as_ref()).map_err(|_| KeysError::Random)?;
        let operator = OperatorSecret(URL_SAFE_NO_PAD.encode(random::<OPERATOR_SECRET_BYTES>()?));
        Ok(Keys { signing, content: ContentKey::new(random()?), operator, retired: Vec::new() })
    }

    /// Believes tokens of another key too, whose public half is in this file (`PUBLIC KEY`, RFC 8410).
    ///
    /// # Errors
    /// When it cannot be read, or is no such key.
    pub fn retire(mut self, path: &Path) -> Result<Keys, KeysError> {
        let not = |_| KeysError::NotAKey {
            path: path.to_owned(),
            expected: "an Ed25519 public key in PEM, as `prudence key rotate` writes it",
        };
        let pem = std::fs::read(path).map_err(|error| KeysError::File { path: path.to_owned(), error })?;
        let public = public_of_pem(&pem).map_err(not)?;
        let id = id_of(&public);
        if id != self.signing.id() && self.retired.iter().all(|retired| retired.id != id) {
            self.retired.push(RetiredKey { id, public });
        }
        Ok(self)
    }

    /// Puts a new signing key in the place of the old one, of which the public half stays in a file beside it: nobody can sign with it any
    /// more, and tokens that it signed can be believed until they end. Returns where that is.
    ///
    /// # Errors
    /// When a file cannot be read or written; then the old key is still in its place.
    pub fn rotate(signing: &Path) -> Result<PathBuf, KeysError> {
        let old = signing_key(signing, &read_secret(signing)?)?;
        let retired = signing.with_file_name(format!("signing-{}.pub.pem", &old.id()[..FINGERPRINT_CHARS]));
        /// What stands before the key in a `SubjectPublicKeyInfo` (RFC 8410 §10.1).
        const BEFORE_KEY: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
        // After an attempt that broke off it is there already.
        if !retired.exists() {
            write_secret(&retired, in_pem("PUBLIC KEY", &[&BEFORE_KEY[..], old.public()].concat()).as_bytes())?;
        }
        let pair = Ed25519KeyPair::generate().map_err(|_| KeysError::Random)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeysError::Random)?;
        let new = signing.with_extension("new");
        write_secret(&new, in_pem("PRIVATE KEY", pkcs8.as_ref()).as_bytes())?;
        std::fs::rename(&new, signing).map_err(|error| KeysError::File { path: signing.to_owned(), error })?;
        Ok(retired)
    }

    /// The public halves, for whoever checks tokens.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKeys {
        let mut keys = VerifyingKeys::new().with(&self.signing).expect("one key, with an id that was accepted");
        for RetiredKey { id, public } in &self.retired {
            // When there are more than a verifier takes, the last ones end early.
            if keys.add_raw(id, public).is_err() {
                tracing::warn!(key = id, "too many retired keys: its tokens are not believed");
            }
        }
        keys
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("signing", &self.signing.id())
            .field("retired", &self.retired.iter().map(|key| &key.id).collect::<Vec<_>>())
            .field("content", &self.content)
            .field("operator", &self.operator)
            .finish()
    }
}

/// The secret by which a program that may start tasks is known.
#[derive(Clone)]
pub struct OperatorSecret(String);

impl OperatorSecret {
    /// The fewest characters that cannot be guessed.
    const CHARS_MIN: usize = 32;

    /// Takes `text` for a secret, unless it is too short to be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() >= Self::CHARS_MIN && text.chars().all(|c| c.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// Whether `presented` is this secret. Takes as long for a near miss as for a far one.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        // Digests have one length, so that not even the secret's length shows.
        let (ours, theirs) = (Digest::of(self.0.as_bytes()), Digest::of(presented.as_bytes()));
        aws_lc_rs::constant_time::verify_slices_are_equal(&ours.0, &theirs.0).is_ok()
    }
}

impl fmt::Debug for OperatorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorSecret({})", &Digest::of(self.0.as_bytes()).to_string()[..FINGERPRINT_CHARS])
    }
}

/// Why there are no keys. Says where, never what.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Others than its owner may read a key.
    #[error("`{}` has the mode `{mode:03o}`, expected `600`: others than its owner can read it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something else than a key.
    #[error("`{}` is not a key, expected {expected}", path.display())]
    NotAKey {
        /// Which.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes, and without them there are no keys")]
    Random,
}

impl KeysError {
    /// What would help, on a line of its own.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            KeysError::Open { path, .. } => {
                Some(format!("chmod 600 {}; if it may have been copied, make new keys", path.display()))
            }
            KeysError::File { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                Some("`prudence init` makes keys beside a new configuration".to_owned())
            }
            KeysError::File { .. } | KeysError::NotAKey { .. } | KeysError::Random => None,
        }
    }
}

/// A password that nobody has to think of: five groups of four, a hundred random bits.
///
/// # Errors
/// [`KeysError::Random`].
pub fn made_up_password() -> Result<String, KeysError> {
    /// Without those that look alike.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters: String = random::<20>()?.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let groups: Vec<&str> = (0..5).map(|group| &letters[group * 4..group * 4 + 4]).collect();
    Ok(groups.join("-"))
}

/// Fills an array from the system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeysError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| KeysError::Random)?;
    Ok(bytes)
}

fn signing_key(path: &Path, pem: &[u8]) -> Result<SigningKey, KeysError> {
    let not = |_| KeysError::NotAKey { path: path.to_owned(), expected: "an Ed25519 private key in PEM (PKCS#8)" };
    let read = SigningKey::from_pem("pending", pem).map_err(not)?;
    SigningKey::from_pem(key_id(&read), pem).map_err(not)
}

fn in_pem(label: &str, der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new(label, der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

fn key_id(key: &SigningKey) -> String {
    id_of(key.public())
}

/// The id under which verifiers know a key: the thumbprint of its public half (RFC 7638 §3, RFC 8037 §2).
fn id_of(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    thumbprint(&serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": x})).expect("an Ed25519 public key is a JWK")
}

/// Creates the file, which must not be there, so that nobody but its owner can read it at any time.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    let fail = |error| KeysError::File { path: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, OWNER_ONLY);
    let mut file = options.open(path).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)
}

/// Reads the file, which nobody but its owner may be able to read.
fn read_secret(path: &Path) -> Result<Vec<u8>, KeysError> {
    let fail = |error| KeysError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(fail)?;
    private(path, &file)?;
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(KeysError::NotAKey { path: path.to_owned(), expected: "a file of at most 16 KiB" });
    }
    Ok(bytes)
}

fn read_text(path: &Path) -> Result<String, KeysError> {
    let bytes = read_secret(path)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => Err(KeysError::NotAKey { path: path.to_owned(), expected: "text" }),
    }
}

#[cfg(unix)]
fn private(path: &Path, file: &File) -> Result<(), KeysError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|error| KeysError::File { path: path.to_owned(), error })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !OWNER_ONLY == 0 { Ok(()) } else { Err(KeysError::Open { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn private(_: &Path, _: &File) -> Result<(), KeysError> {
    Ok(())
}
