//! A disk that is full, and one that has space again.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;

use sharelet_testkit::processes::{Programs, until};

/// A small disk of its own, unmounted when dropped.
struct Disk {
    path: PathBuf,
    filled: Arc<AtomicBool>,
    filler: Cell<Option<JoinHandle<()>>>,
}

impl Disk {
    /// `None` where the system does not let the tests mount one.
    fn new(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).expect("makes");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"])
            .arg(&path)
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self { path, filled: Arc::default(), filler: Cell::default() });
        }
        println!("skipped: a disk that is full (mounting one needs a permission)");
        None
    }

    /// Leaves no byte of space, and takes what others give up, until it is freed.
    fn fill(&self) {
        let mut file = File::create(self.path.join("filler")).expect("makes");
        let mut fill = move || {
            for bytes in [1 << 16, 1 << 10, 1] {
                while file.write_all(&vec![0; bytes]).is_ok() {}
            }
        };
        fill();
        self.filled.store(true, Ordering::Relaxed);
        let filled = self.filled.clone();
        self.filler.set(Some(std::thread::spawn(move || {
            while filled.load(Ordering::Relaxed) {
                fill();
            }
        })));
    }

    /// Nothing can be written there any more, by whoever it is.
    fn protect(&self) {
        let mut mount = Command::new("mount");
        let done = mount.args(["-o", "remount,ro"]).arg(&self.path).status().expect("runs");
        assert!(done.success(), "{done}");
    }

    fn free(&self) {
        self.filled.store(false, Ordering::Relaxed);
        // As long as the file is open it takes its space.
        self.filler.take().expect("was filled").join().expect("fills");
        fs::remove_file(self.path.join("filler")).expect("removes");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.filled.store(false, Ordering::Relaxed);
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

fn sessions(report: &str) -> Vec<u64> {
    let numbers = report.lines().filter_map(|line| line.strip_prefix("session number="));
    numbers.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn device(room: &Programs, host: &str, more: &str) -> sharelet_testkit::processes::Ended {
    room.run(&format!(
        "device --key pump.key --inputs readings.npy --report report --host {host} {more}"
    ))
}

/// With space again a host goes on, without having been started anew, and so does a dealer.
#[test]
fn a_disk_that_was_full_is_used_again() {
    let room = super::sessions::room();
    let Some(of_host) = Disk::new(room.path("host")) else { return };
    let of_dealer = Disk::new(room.path("dealer")).expect("as the first one");
    room.works("provision pump --state dealer");
    let twin = room.works("twin model.slt --inputs readings.npy").out;

    // A first start on a full disk leaves nothing that is in the way of the next.
    of_dealer.fill();
    let ended = room.run("dealer --state dealer --listen 127.0.0.1:0");
    assert!(ended.code == Some(1) && ended.err.contains("space on the disk"), "{ended:?}");
    of_dealer.free();
    let dealer = room.serve("dealer --state dealer");
    let host = format!("host model.slt --dealer {} --state host --ahead 2", dealer.address);
    of_host.fill();
    let ended = room.run(&format!("{host} --listen 127.0.0.1:0"));
    assert!(ended.code == Some(1) && ended.err.contains("space on the disk"), "{ended:?}");
    of_host.free();
    let host = room.serve(&host);
    let ended = device(&room, &host.address, "");
    assert!(ended.code == Some(0) && ended.out == twin, "{ended:?}");
    let used = sessions(&room.read("report")).into_iter().max().unwrap();

    for disk in [&of_host, &of_dealer] {
        disk.fill();
        // What is there may do, or may not.
        device(&room, &host.address, "--retries 0");
        disk.free();
        until("there is space again", || {
            let ended = device(&room, &host.address, "--retries 1");
            ended.code == Some(0) && ended.out == twin
        });
    }
    let last = sessions(&room.read("report")).into_iter().max().unwrap();
    assert!(last - used < 100, "{used}, then {last}");
}

/// A state that cannot be written is said to be so, and nothing is begun.
#[test]
fn a_disk_that_is_only_read_is_named() {
    let room = super::sessions::room();
    let Some(of_host) = Disk::new(room.path("host")) else { return };
    let of_dealer = Disk::new(room.path("dealer")).expect("as the first one");
    room.works("provision pump --state dealer");
    let dealer = room.serve("dealer --state dealer");
    let line = format!("host model.slt --dealer {} --state host", dealer.address);
    let host = room.serve(&line);
    let ended = device(&room, &host.address, "--count 1");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let used = sessions(&room.read("report"));
    host.program.stop("INT").expect(0, "stopped");
    dealer.program.stop("INT").expect(0, "stopped");
    of_host.protect();
    of_dealer.protect();
    for (line, state) in [(line.as_str(), "host"), ("dealer --state dealer", "dealer")] {
        let ended = room.run(&format!("{line} --listen 127.0.0.1:0"));
        let path = room.path(state);
        let names = ended.err.contains(path.to_str().unwrap()) || ended.err.contains(state);
        assert!(ended.code == Some(1) && names, "{ended:?}");
        assert!(ended.err.to_lowercase().contains("read-only"), "{ended:?}");
    }
    let ended = room.run("provision fan --state dealer");
    assert!(ended.code == Some(1) && ended.err.to_lowercase().contains("read-only"), "{ended:?}");
    assert!(!room.path("fan.key").exists(), "a device has a key that its dealer does not know");
    assert!(!used.is_empty());
}

/// What cannot be kept is not asked for again and again: no number is spent, and a line is written
/// after each pause.
#[test]
fn corrections_that_cannot_be_kept_are_not_asked_for() {
    let room = super::sessions::room();
    room.works("provision pump --state dealer");
    let dealer = room.serve("dealer --state dealer");
    fs::create_dir_all(room.path("host/spool")).expect("makes");
    let in_the_way = room.path("host/spool/device-pump");
    fs::write(&in_the_way, b"no folder").expect("writes");
    let host =
        room.serve(&format!("host model.slt --dealer {} --state host --ahead 2", dealer.address));
    let ended = device(&room, &host.address, "--retries 0");
    assert_ne!(ended.code, Some(0));
    let said = host.program.said();
    assert!(said.contains("corrections cannot be kept") && said.lines().count() < 50, "{said}");
    fs::remove_file(&in_the_way).expect("removes");
    let ended = device(&room, &host.address, "");
    let twin = room.works("twin model.slt --inputs readings.npy").out;
    assert!(ended.code == Some(0) && ended.out == twin, "{ended:?}");
    let used = sessions(&room.read("report"));
    assert!(used.iter().all(|session| *session < 20), "{used:?}");
}
