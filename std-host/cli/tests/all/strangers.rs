//! Strangers at every port, and signals: nobody who connects ends a program or holds it up.

use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use sharelet_testkit::processes::{Programs, Server, until};
use sharelet_testkit::training::table;

/// More than a dealer serves at the same time.
const MANY: usize = 70;
const CONFIG: &str = r#"
[data]
train = "people"
[model]
kind = "logistic-regression"
[training]
epochs = 1
batch = 10
learning_rate = 0.5
"#;

/// A port probe, one that sends noise and one that greets with half a word; and many that say
/// nothing as long as what is returned lives.
fn strangers(address: &str) -> Vec<TcpStream> {
    let connect = || TcpStream::connect(address).expect("connects");
    for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0xA5; 4096], b"\x01\x06"] {
        let mut stream = connect();
        // It may have had enough already.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    (0..MANY).map(|_| connect()).collect()
}

#[test]
fn strangers_end_nothing_and_hold_up_nothing() {
    let room = super::sessions::room();
    room.write("people.csv", table(40, 3, 2, 1));
    room.write("config.toml", CONFIG);
    for line in [
        "provision pump --state dealer",
        "provision outsourced --role data-party",
        "provision server-0 --role server-0 --state dealer",
        "provision trainer-0 --role server-0 --state dealer",
        "task model.slt -o task.bin",
    ] {
        room.works(line);
    }
    let Server { program: _dealer, address: dealer } = room.serve("dealer --state dealer");
    let mut silent = strangers(&dealer);
    let host = room.serve(&format!("host model.slt --dealer {dealer} --state host"));
    silent.extend(strangers(&host.address));
    let device = " --inputs readings.npy";
    let twin = room.works("twin model.slt --inputs readings.npy").out;
    let run = room.works(&format!("device --key pump.key {device} --host {}", host.address));
    assert_eq!(run.out, twin);

    let [one, zero] = {
        let one =
            room.serve(&format!("server --party 1 --model model.slt --dealer {dealer} --state s1"));
        silent.extend(strangers(&one.address));
        let zero = room.serve(&format!(
            "server --party 0 --task task.bin --key server-0.key --peer {}",
            one.address
        ));
        silent.extend(strangers(&zero.address));
        [one, zero]
    };
    let run = room.works(&format!(
        "device --key outsourced.key --inputs readings.npy --outsource {},{} \
         --task task.bin",
        zero.address, one.address
    ));
    assert_eq!(run.out, twin);

    let (collectors, to) = room.collectors();
    collectors.iter().for_each(|collector| silent.extend(strangers(&collector.address)));
    room.works(&format!(
        "share people.csv --label y --binary --dataset people --owner lab --to {to}"
    ));
    drop(collectors);

    let listens =
        room.serve(&format!("train config.toml --party 1 --state server-1 --dealer {dealer}"));
    silent.extend(strangers(&listens.address));
    room.works(&format!(
        "train config.toml --party 0 --state server-0 --key trainer-0.key \
         --peer {}",
        listens.address
    ));
    listens.program.end().expect(0, "no handshake");
    drop(silent);
}

/// A program that crashes leaves no keys behind.
#[cfg(target_os = "linux")]
#[test]
fn programs_leave_no_image_of_their_memory() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let dealer = room.serve("dealer --state dealer");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", dealer.program.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().filter(|word| *word == "0").count(), 2, "{line}");
}

/// Whoever can connect cannot fill the log.
#[test]
fn a_flood_of_strangers_leaves_a_few_lines() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let dealer = room.serve("dealer --state dealer");
    for _ in 0..60 {
        let mut stream = TcpStream::connect(&dealer.address).expect("connects");
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let ended = dealer.program.stop("TERM").expect(0, "stopped");
    let warnings = ended.err.matches("no handshake").count();
    // Ten in ten seconds, and this may have taken longer.
    assert!((1..=30).contains(&warnings), "{}", ended.err);
}

/// Whether the programs that are started here ignore SIGHUP from the beginning.
#[cfg(unix)]
fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

#[cfg(unix)]
#[test]
fn signals_stop_a_program_in_peace() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    for signal in ["INT", "TERM", "HUP"] {
        if signal == "HUP" && hang_ups_are_ignored() {
            println!("skipped: SIGHUP (these tests were started to ignore it, as by nohup)");
            continue;
        }
        let dealer = room.serve("dealer --state dealer");
        let idle = TcpStream::connect(&dealer.address).expect("connects");
        dealer.program.stop(signal).expect(0, "stopped");
        drop(idle);
    }
    // Who was started to ignore SIGHUP, as by `nohup`, goes on.
    let dealer = room.serve_ignoring_hang_up("dealer --state dealer");
    dealer.program.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    until("it still listens", || TcpStream::connect(&dealer.address).is_ok());
    dealer.program.stop("TERM").expect(0, "stopped");
}
