//! Hosts that claim numbers of one store beyond their machine, killed with it at moments that a
//! seed draws: no number is claimed twice.
//!
//! Each claim is written to a file of its host after it was made, so what a kill takes is a number
//! that nobody uses; what two files have is a number that was used twice.

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use sharelet_core::DeviceId;
use sharelet_core::keystream::KeyId;
use sharelet_host::store::StoreError;
use sharelet_host::store::host::{Counted, HostStore};
use sharelet_host::store::identity::Own;
use sharelet_link::{Party, Role};
use sharelet_nats::{Access, Nats, Room, make};
use sharelet_testkit::Rng;
use sharelet_testkit::nats::NatsServer;

use crate::figure::Figure;

/// The key under which all numbers are.
const KEY: KeyId = [1; 8];
/// Devices whose numbers are claimed.
const DEVICES: usize = 32;
/// Bytes of a line: a device, a number.
const LINE_BYTES: u64 = 16;
/// Where nothing is claimed for so long, something hangs.
const STALLED: Duration = Duration::from_secs(120);
/// Between two looks at what was claimed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much is claimed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Programs that claim.
    pub hosts: usize,
    /// Numbers, of all of them together.
    pub numbers: u64,
    /// Kills, of one of them or of the store.
    pub kills: u64,
    /// Draws the moments.
    pub seed: u64,
}

fn device(at: usize) -> DeviceId {
    DeviceId::new(&format!("pump-{at}")).expect("a name")
}

/// Claims numbers until it is killed.
///
/// # Errors
/// What the store says at the beginning; later errors are waited out.
pub fn claim(url: &str, folder: &Path, host: usize) -> Result<(), StoreError> {
    let own = Own::load(&folder.join("host.id"))?;
    let access = Access::new(url).expect("an address");
    let open = || Nats::open(&access, &own, Some(&folder.join(format!("state-{host}"))));
    let store = loop {
        match open() {
            // The server is not up yet.
            Err(StoreError::Remote { .. }) => std::thread::sleep(LOOK_EVERY),
            opened => break HostStore::shared(Arc::new(opened?)),
        }
    };
    let mut options = File::options();
    let mut file = options.create(true).append(true).open(claimed(folder, host)).expect("opens");
    for at in (host..).map(|at| at % DEVICES) {
        let next = match store.next_session(device(at), KEY) {
            Ok(next) => next,
            Err(StoreError::Remote { .. }) => continue,
            Err(error) => return Err(error),
        };
        let counted = Counted { key: KEY, session: next, counter: None, model: [1; 8] };
        match store.consume(device(at), counted) {
            // In one write: a line is there whole, or not at all.
            Ok(()) => file.write_all(format!("{at:02} {next:012}\n").as_bytes()).expect("writes"),
            Err(StoreError::SessionUsed { .. } | StoreError::Remote { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a host has claimed.
fn claimed(folder: &Path, host: usize) -> PathBuf {
    folder.join(format!("claimed-{host}"))
}

/// Starts `program`, which is this one, as a host.
fn start(program: &Path, url: &str, folder: &Path, host: usize) -> Child {
    let mut command = Command::new(program);
    command.args(["--sharelet", "-", "--figures", "-", "claimer", "--url", url]);
    command.arg("--folder").arg(folder).args(["--host", &host.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("starts")
}

/// Hosts that run, and end with this value, also where something is wrong.
struct Hosts(Vec<Child>);

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in &mut self.0 {
            let _ = host.kill();
            let _ = host.wait();
        }
    }
}

/// Runs hosts and kills them; `None` where there is no server.
///
/// # Panics
/// Something cannot be set up, or hangs.
#[must_use]
pub fn run(program: &Path, settings: &Settings) -> Option<Vec<Figure>> {
    let Settings { hosts, numbers, kills, seed } = *settings;
    let mut server = NatsServer::start(false)?;
    let (folder, mut rng) = (tempfile::tempdir().expect("a folder"), Rng(seed));
    let own = Own::generate(Party::new(Role::Host, "hall").expect("a name")).expect("random");
    own.save(&folder.path().join("host.id")).expect("writes");
    let (url, access) = (server.url(), Access::new(&server.url()).expect("an address"));
    make(&access, &own, Room::default()).expect("makes a store");
    let begun = Instant::now();
    let mut running =
        Hosts((0..hosts).map(|host| start(program, &url, folder.path(), host)).collect());
    let count = || {
        let bytes = |host| fs::metadata(claimed(folder.path(), host)).map_or(0, |file| file.len());
        (0..hosts).map(bytes).sum::<u64>() / LINE_BYTES
    };
    let until = |wanted: u64, running: &mut Hosts| {
        let (mut last, mut seen) = (0, Instant::now());
        while last < wanted {
            let now = count();
            if now > last {
                (last, seen) = (now, Instant::now());
            }
            assert!(seen.elapsed() < STALLED, "only {now} of {wanted} numbers are claimed");
            for (host, child) in running.0.iter_mut().enumerate() {
                assert!(child.try_wait().expect("asks").is_none(), "host {host} has ended");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    };
    for kill in 0..kills {
        until(numbers * (kill + 1) / (kills + 1), &mut running);
        // Somewhere within a claim.
        std::thread::sleep(Duration::from_micros(rng.next() % 3000));
        let victim = rng.below(hosts + hosts.div_ceil(3));
        match running.0.get_mut(victim) {
            Some(host) => {
                host.kill().expect("kills");
                host.wait().expect("ends");
                *host = start(program, &url, folder.path(), victim);
            }
            None => {
                server.kill();
                server.begin();
            }
        }
    }
    until(numbers, &mut running);
    let seconds = begun.elapsed().as_secs().max(1);
    drop(running);
    let state = folder.path().join("state-of-none");
    let store = Nats::open(&access, &own, Some(&state)).expect("opens");
    Some(figures(&HostStore::shared(Arc::new(store)), folder.path(), settings, seconds))
}

fn figures(store: &HostStore, folder: &Path, settings: &Settings, seconds: u64) -> Vec<Figure> {
    let (mut all, mut count, mut twice) = (BTreeSet::new(), 0, 0);
    for host in 0..settings.hosts {
        let text = fs::read_to_string(claimed(folder, host)).unwrap_or_default();
        for line in text.lines() {
            let (at, number) = line.split_once(' ').expect("a line");
            let claim: (usize, u64) =
                (at.parse().expect("a device"), number.parse().expect("a number"));
            count += 1;
            twice += u64::from(!all.insert(claim));
        }
    }
    let spent: u64 =
        (0..DEVICES).map(|at| store.next_session(device(at), KEY).expect("reads")).sum();
    let beyond = |(at, number): &&(usize, u64)| {
        *number >= store.next_session(device(*at), KEY).expect("reads")
    };
    // The highest of each device tells of the others.
    let highest = (0..DEVICES).filter_map(|at| all.range(..(at + 1, 0)).next_back());
    let unrecorded = highest.filter(beyond).count() as u64;
    vec![
        Figure::new("claims/hosts", settings.hosts as u64, "programs"),
        Figure::new("claims/kills", settings.kills, "kills"),
        Figure::new("claims/numbers", count, "numbers"),
        Figure::new("claims/reused", twice, "numbers"),
        Figure::new("claims/lost", unrecorded, "numbers"),
        Figure::new("claims/skipped", spent.saturating_sub(count), "numbers"),
        Figure::new("claims/per_second", count / seconds, "numbers/s"),
    ]
}
