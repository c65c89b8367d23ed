//! A disk that is really full: calls are refused with the code `ledger`, nothing more is carried out, and when there is space again the
//! program recovers by itself.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use judge::event::Ended;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

use crate::house::{Client, House, Serving, codes, permits, text, until};

/// So many calls are refused before there is space again.
const REFUSED: usize = 25;

/// What a test does to the disk, and takes back.
struct Disk<'d> {
    fill: &'d dyn Fn(),
    free: &'d dyn Fn(),
    /// Where its ledger can be read now.
    ledger: &'d dyn Fn() -> PathBuf,
}

/// Fills the disk under a program that serves, and frees it.
fn starve(house: &House, mut serving: Serving, token: &str, disk: &Disk<'_>) {
    let client = serving.client(token);
    let mut number = 0;
    let mut post = |client: &Client| {
        number += 1;
        let thread = format!("thread:{number}");
        let result = client.post(&thread, "a few words").expect("it runs");
        (thread, result)
    };
    let (_, passed) = post(&client);
    assert_eq!(text(&passed), "posted");
    (disk.fill)();
    let mut refused = BTreeSet::new();
    until("calls are refused", || {
        let (thread, result) = post(&client);
        // Recorded, carried out, and its outcome could not be recorded any more: it is not released.
        let is_undone = text(&result).starts_with("Refused: the ledger is unavailable");
        match codes(&result).as_slice() {
            [] => assert_eq!(text(&result), "posted"),
            codes => assert_eq!(codes, ["ledger"], "{result}"),
        }
        refused.extend(is_undone.then_some(thread));
        (refused.len() >= REFUSED).then_some(())
    });
    let posts: BTreeSet<String> = house.upstream.posts().into_iter().collect();
    assert_eq!(posts.intersection(&refused).collect::<Vec<_>>(), Vec::<&String>::new(), "refused and carried out");
    (disk.free)();
    until("it recovers", || {
        let (_, result) = post(&client);
        (text(&result) == "posted").then_some(())
    });
    assert!(serving.is_running(), "it was not started again");
    assert_eq!(house.upstream.undecided(), Vec::<String>::new(), "carried out before it was permitted");
    let carried_out = house.upstream.posts();
    let settled = until("all is recorded", || {
        let permits = permits(&(disk.ledger)());
        permits.iter().all(|(_, ended)| !ended.is_empty()).then_some(permits)
    });
    assert!(settled.iter().all(|(_, ended)| ended.len() == 1), "{settled:?}");
    for thread in &carried_out {
        assert!(settled.iter().any(|(permitted, ended)| permitted == thread && ended[0] != Ended::Failed), "{thread}");
    }
    serving.stop();
}

/// No file may grow: what the system answers is another word for no space (`EFBIG`), on any machine.
#[test]
fn a_ledger_that_cannot_grow_refuses_calls_and_recovers() {
    let house = House::new("prudence.db", "");
    let store = house.path().join("prudence.db");
    let token = house.task("bo");
    house.upstream.look_into(&store);
    // The signal that comes with it would end any program that does not expect it.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_prudence"), "-o", "json", "serve"]);
    let serving = house.begin(&mut command).ready();
    let pid = serving.pid();
    let bytes = |name: &str| std::fs::metadata(house.path().join(name)).map_or(0, |file| file.len());
    let limit = |current: Option<u64>| {
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(Some(pid), Resource::Fsize, Rlimit { current, maximum }).expect("it is ours");
    };
    let disk = Disk {
        fill: &|| limit(Some(bytes("prudence.db").max(bytes("prudence.db-wal")))),
        free: &|| limit(getrlimit(Resource::Fsize).current),
        ledger: &|| store.clone(),
    };
    starve(&house, serving, &token, &disk);
    crate::done(house.path(), &["ledger", "verify"]);
}

/// A file system of two megabytes, in a mount namespace of the program's own. Where the system lets nobody make one, the test above stands
/// for it.
#[test]
fn a_full_disk_refuses_calls_and_lets_them_through_when_there_is_space() {
    let may = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("no file system can be mounted here: not tried");
        return;
    }
    let house = House::new("disk/prudence.db", "");
    std::fs::create_dir(house.path().join("disk")).expect("own folder");
    let start = "mount -t tmpfs -o size=2m tmpfs disk && \"$0\" task start --requester bo --agent helper --purpose work --lease 1h \
                 --token-only > token && exec \"$0\" -o json serve";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", start, env!("CARGO_BIN_EXE_prudence")]);
    let serving = house.begin(&mut command).ready();
    let token = house.read("token").trim().to_owned();
    // The same folder, as the program sees it.
    let inside = house.path().join("disk");
    let inside = inside.strip_prefix("/").expect("an absolute path");
    let disk = PathBuf::from(format!("/proc/{}/root", serving.pid().as_raw_nonzero())).join(inside);
    let filler = disk.join("filler");
    let fill = || {
        let mut file = OpenOptions::new().create(true).append(true).open(&filler).expect("own file");
        for size in [64 << 10, 4 << 10, 1] {
            let block = vec![0; size];
            while file.write_all(&block).and_then(|()| File::sync_all(&file)).is_ok() {}
        }
    };
    let free = || std::fs::remove_file(&filler).expect("own file");
    // SQLite follows links by itself, and would look for the folder where only the program sees it.
    let ledger = || {
        let copy = house.path().join("copy");
        // Of the last look; there may be none.
        let _ = std::fs::remove_dir_all(&copy);
        std::fs::create_dir(&copy).expect("own folder");
        for name in ["prudence.db", "prudence.db-wal"] {
            std::fs::copy(disk.join(name), copy.join(name)).expect("own file");
        }
        copy.join("prudence.db")
    };
    starve(&house, serving, &token, &Disk { fill: &fill, free: &free, ledger: &ledger });
}
