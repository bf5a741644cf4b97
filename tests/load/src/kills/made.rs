//! Keys that are being made for a device while whoever makes them is killed: the dealer knows no
//! key whose files are not there.

use core::time::Duration;
use std::time::Instant;

use sharelet_core::DeviceId;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::engine::Registry as _;
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::keys::KeysFolder;
use sharelet_testkit::Rng;
use sharelet_testkit::processes::Programs;

use super::outcome::Outcome;

/// A dealer's folder of keys, and one for the devices' files.
#[derive(Debug)]
pub(super) struct Made {
    room: Programs,
    devices: usize,
    /// How long one takes.
    span: Duration,
}

impl Made {
    pub(super) fn new(binary: &str) -> Self {
        let mut made = Self { room: Programs::new(binary), devices: 0, span: Duration::ZERO };
        // The first one makes what is there for all of them.
        for _ in 0..2 {
            let (_, line) = made.next();
            let start = Instant::now();
            made.room.works(&line);
            made.span = start.elapsed();
        }
        made
    }

    /// The next device, and the command that makes its keys.
    fn next(&mut self) -> (String, String) {
        self.devices += 1;
        let device = format!("pump-{}", self.devices);
        let line = format!("provision {device} --state dealer --output keys");
        (device, line)
    }

    /// What the dealer knows of a device, and the device's own key beside its counter.
    fn keys(&self, device: &str) -> (Option<DeviceKey>, Option<DeviceKey>) {
        let name = DeviceId::new(device).expect("a name");
        let known = KeysFolder::of(&self.room.path("dealer")).key(name).expect("whole, or none");
        let file = |end| self.room.path(&format!("keys/{device}.{end}"));
        let counted = || FileCounter::open(&file("counter"), &file("key"), false).is_ok();
        (known, DeviceKey::load(&file("key")).ok().filter(|_| counted()))
    }

    /// Kills it at some moment; `false` if it was done before.
    pub(super) fn point(&mut self, rng: &mut Rng, outcome: &mut Outcome) -> bool {
        let (device, line) = self.next();
        let mut making = self.room.start(&line);
        let micros = u64::try_from(self.span.as_micros()).unwrap_or(u64::MAX);
        let pause = Duration::from_micros(rng.next() % micros.max(1));
        std::thread::sleep(pause);
        let at_work = making.runs();
        making.kill();
        let place = format!("keys of a device, killed after {pause:?}");
        let same = |keys: &(Option<DeviceKey>, Option<DeviceKey>)| match keys {
            (Some(known), Some(own)) => known.key_id() == own.key_id(),
            _ => false,
        };
        let keys = self.keys(&device);
        if keys.0.is_some() && !same(&keys) {
            outcome.lost += 1;
            outcome.say(format!("{place}: the dealer knows a key that the device has not"));
        }
        // Once more; with `--force` where something is left of the first time.
        let again = self.room.run(&line);
        if again.code != Some(0) {
            let forced = self.room.run(&format!("{line} --force"));
            if forced.code != Some(0) {
                outcome.say(format!("{place}: {}, with --force: {}", again.err, forced.err));
            }
        }
        outcome.results += 1;
        if !same(&self.keys(&device)) {
            outcome.lost += 1;
            outcome.say(format!("{place}: made again, device and dealer have no key in common"));
        }
        at_work
    }
}
