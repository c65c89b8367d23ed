//! Recording: tool calls that were carried out, with arguments and results in clear, for whoever wants to judge them again later.
//!
//! It holds content, so there is none unless somebody says where to put it; the file is for its owner alone, and the log says so loudly. It is no
//! evidence, which is the ledger: a line that cannot be written is told and lost, and no call ever waits for it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use judge::moment::Moment;
use judge::name::{TaskId, ToolId};
use serde::Serialize;
use serde_json::Value;
use tracing::error;

/// Lines that wait to be written; what comes on top is lost.
const LINES_MAX: usize = 1_024;
/// The longest line, in bytes: what a reader of recorded runs takes.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Nobody but its owner.
const MODE: u32 = 0o600;

/// A call as it is written, one a line.
#[derive(Debug, Serialize)]
pub struct Recorded<'a> {
    /// For which task; nothing where a person acted directly.
    pub task: Option<&'a TaskId>,
    /// When its result was released.
    pub at: Moment,
    /// `UPSTREAM__TOOL`.
    pub tool: &'a ToolId,
    /// The arguments.
    pub args: &'a Value,
    /// The result, as the agent got it.
    pub result: &'a Value,
}

/// Writes lines, in a thread of its own.
pub struct Recorder {
    lines: SyncSender<String>,
}

impl Recorder {
    /// Appends to this file, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened, or others may read it.
    pub fn open(path: &Path) -> io::Result<Self> {
        open(path)?;
        let (lines, waiting) = sync_channel::<String>(LINES_MAX);
        let path = path.to_owned();
        std::thread::Builder::new().name("record".to_owned()).spawn(move || {
            for line in waiting {
                if let Err(error) = append(&path, &line) {
                    error!(%error, "a call could not be recorded");
                }
            }
        })?;
        Ok(Self { lines })
    }

    /// Records a call.
    pub fn add(&self, recorded: &Recorded<'_>) {
        let line = match serde_json::to_string(recorded) {
            Ok(line) if line.len() < LINE_BYTES_MAX => line + "\n",
            Ok(line) => return error!(bytes = line.len(), "a call is not recorded: it is too large"),
            Err(error) => return error!(%error, "a call is not recorded"),
        };
        match self.lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => error!("a call is not recorded: the disk does not keep up"),
            Err(TrySendError::Disconnected(_)) => error!("a call is not recorded: nobody writes any more"),
        }
    }
}

/// Opened for each line, so that the file can be moved away while it is written.
fn append(path: &Path, line: &str) -> io::Result<()> {
    // One write for one line: another process may append to the same file.
    open(path)?.write_all(line.as_bytes())
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & !MODE != 0 {
        let message =
            format!("`{}` holds what was said in clear, and others may read it (mode {mode:o}, expected 600)", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{Recorded, Recorder};
    use judge::moment::Moment;
    use serde_json::{Value, json};
    use std::os::unix::fs::PermissionsExt as _;

    fn recorded(recorder: &Recorder, number: u64) {
        let (tool, task) = ("desk__read".parse().expect("a name"), "t-1".parse().expect("a name"));
        let (args, result) = (json!({ "n": number }), json!({ "content": [] }));
        recorder.add(&Recorded { task: Some(&task), at: Moment(number), tool: &tool, args: &args, result: &result });
    }

    /// The lines of the file, as soon as there are so many.
    fn lines(path: &std::path::Path, count: usize) -> Vec<Value> {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= count && text.ends_with('\n') {
                return text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_call_is_a_line_in_a_file_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("calls.jsonl");
        let recorder = Recorder::open(&path).expect("a file");
        (1..=3).for_each(|number| recorded(&recorder, number));
        let lines = lines(&path, 3);
        assert_eq!(
            (&lines[1]["task"], &lines[1]["tool"], &lines[1]["args"]["n"]),
            (&json!("t-1"), &json!("desk__read"), &json!(2))
        );
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("calls.jsonl");
        std::fs::write(&path, "").expect("own file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("own file");
        let refused = Recorder::open(&path).err().expect("refused");
        assert!(refused.to_string().contains("others may read it"), "{refused}");
    }
}
