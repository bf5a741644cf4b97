//! `cargo xtask test` that is ended by a signal ends what it has started, stubborn ones included.

use core::time::Duration;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(60);

/// In place of cargo: starts a program that does not end when asked to, and waits. Both hold the
/// pipe open as long as they live.
const CARGO: &str = "\
#!/bin/sh
exec 3> \"$ALIVE\"
sh -c 'trap \"\" TERM HUP INT; echo started >&3; while :; do sleep 1; done' &
wait
";

#[test]
fn nothing_is_left_running() {
    for signals in [&[Signal::INT][..], &[Signal::TERM, Signal::TERM], &[Signal::HUP]] {
        let folder = tempfile::tempdir().unwrap();
        let (cargo, alive) = (folder.path().join("cargo"), folder.path().join("alive"));
        fs::write(&cargo, CARGO).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Command::new("mkfifo").arg(&alive).status().unwrap().success());
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["test", "host"])
            .env("CARGO", &cargo)
            .env("ALIVE", &alive)
            .env("CARGO_TARGET_DIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(File::open(alive).unwrap());
            let mut text = String::new();
            pipe.read_line(&mut text).unwrap();
            sender.send(text.clone()).unwrap();
            pipe.read_to_string(&mut text).unwrap();
            sender.send("ended".to_owned()).unwrap();
        });
        assert_eq!(events.recv_timeout(LIMIT).as_deref(), Ok("started\n"));
        for &signal in signals {
            kill_process(Pid::from_child(&xtask), signal).unwrap();
        }
        assert_eq!(xtask.wait().unwrap().code(), Some(130), "after {signals:?}");
        assert_eq!(events.recv_timeout(LIMIT).as_deref(), Ok("ended"), "after {signals:?}");
    }
}
