//! The boards, and how QEMU runs those that are emulated; and two cores that have no board here.

use core::time::Duration;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{self, Running};
use crate::report::{Line, forget_report};

/// Instructions take `2^6` ns of virtual time each: counts are repeatable, and equal to what the
/// firmware reports.
const ICOUNT: &str = "shift=6";
/// For programs that count to one instruction: several ticks of every board's clock each.
const EXACT_ICOUNT: &str = "shift=8";
/// What a core has for a session.
const CORE_LIMIT: Duration = Duration::from_secs(60);
/// What QEMU says before the name of a pseudo-terminal.
const PTY: &str = "char device redirected to ";
const PTY_LIMIT: Duration = Duration::from_secs(30);
/// The PC's loopback interface, as the boards see it.
const PC: &str = "10.0.2.2";

/// A board.
#[derive(Debug)]
pub struct Board {
    /// Its name, also that of its package.
    pub name: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// How it is emulated.
    pub emulator: Option<Emulator>,
}

/// What QEMU is told about a board.
#[derive(Debug)]
pub struct Emulator {
    ethernet: &'static str,
    key_address: &'static str,
    large: bool,
}

/// Every board there is firmware for.
pub const BOARDS: [Board; 7] = [
    Board {
        name: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        about: "Cortex-M4F, 1 MB flash, 256 KB RAM",
        emulator: Some(Emulator { ethernet: "lan9118", key_address: "0xFF000", large: true }),
    },
    Board {
        name: "lm3s6965evb",
        target: "thumbv7m-none-eabi",
        about: "Cortex-M3, 256 KB flash, 64 KB RAM",
        emulator: Some(Emulator { ethernet: "stellaris", key_address: "0x3FC00", large: false }),
    },
    Board {
        name: "stm32h743",
        target: "thumbv7em-none-eabihf",
        about: "Cortex-M7, built and not run",
        emulator: None,
    },
    Board {
        name: "nrf52840-dk",
        target: "thumbv7em-none-eabihf",
        about: "Cortex-M4F, UART and USB, built and not run",
        emulator: None,
    },
    Board {
        name: "pico-w",
        target: "thumbv6m-none-eabi",
        about: "Cortex-M0+, Wi-Fi, built and not run",
        emulator: None,
    },
    Board {
        name: "pico-2-w",
        target: "thumbv8m.main-none-eabihf",
        about: "Cortex-M33, Wi-Fi, built and not run",
        emulator: None,
    },
    Board {
        name: "esp32-c3",
        target: "riscv32imc-unknown-none-elf",
        about: "riscv32imc, Wi-Fi, built and not run",
        emulator: None,
    },
];

/// A core that a session whose bytes are known is played to.
#[derive(Debug)]
pub struct Core {
    /// QEMU's machine.
    pub machine: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// The emulator, and what it is told beside the usual.
    qemu: (&'static str, &'static [&'static str]),
}

/// The cores of boards that no emulator has.
pub const CORES: [Core; 2] = [
    Core {
        machine: "microbit",
        about: "Cortex-M0, as of the Pico W",
        target: "thumbv6m-none-eabi",
        qemu: ("qemu-system-arm", &[]),
    },
    Core {
        machine: "virt",
        about: "riscv32imc, as of the ESP32-C3",
        target: "riscv32imc-unknown-none-elf",
        qemu: ("qemu-system-riscv32", &["-bios", "none"]),
    },
];

impl Core {
    /// Runs `image` to its end; its line about instructions.
    pub fn run(&self, image: &Path, folder: &Path) -> Result<Line> {
        let (program, options) = self.qemu;
        let mut qemu = Command::new(program);
        qemu.args(["-machine", self.machine, "-icount", ICOUNT])
            .args(options)
            .args(["-display", "none", "-monitor", "none", "-serial", "none"])
            .args(["-semihosting-config", "enable=on,target=native"])
            .arg("-kernel")
            .arg(image);
        let log = folder.join(format!("vectors-{}.log", self.machine));
        let output = process::run(self.machine, &mut qemu, &log, CORE_LIMIT)?;
        let line = output.lines().map(Line::parse).find(|line| line.tag == "vectors");
        line.with_context(|| format!("{} says nothing; see {}", self.machine, log.display()))
    }
}

/// The boards that QEMU runs.
pub fn emulated() -> impl Iterator<Item = &'static Board> {
    BOARDS.iter().filter(|board| board.emulator.is_some())
}

/// The names of the boards that QEMU runs.
pub fn find(name: &str) -> Result<&'static Board> {
    let known: Vec<_> = emulated().map(|board| board.name).collect();
    let found = emulated().find(|board| board.name == name);
    found.with_context(|| {
        format!("no emulated board is called {name}; there are {}", known.join(", "))
    })
}

/// What a board is told when it starts. Paths are relative to the run's folder.
#[derive(Clone, Debug)]
pub struct Arguments(Vec<String>);

/// A port of this PC, as a board sees it.
pub fn on_this_pc(port: u16) -> String {
    format!("{PC}:{port}")
}

impl Arguments {
    /// A session with the host that listens on `port` of this PC.
    pub fn session(port: u16, count: usize) -> Self {
        Self(vec![
            format!("host={}", on_this_pc(port)),
            format!("count={count}"),
            "ip=10.0.2.15".to_owned(),
        ])
        .with("inputs", "inputs.f32")
        .with("counter", "device.counter")
    }

    /// A session with the host at the other end of the board's UART, which need not be there yet.
    pub fn serial_session(count: usize) -> Self {
        Self(vec![format!("count={count}"), "retries=100".to_owned()])
            .with("inputs", "inputs.f32")
            .with("counter", "device.counter")
    }

    /// Queries to the two servers that listen on these ports of this PC.
    pub fn queries(server_0: u16, server_1: u16, count: usize) -> Self {
        let servers = [format!("server0={PC}:{server_0}"), format!("server1={PC}:{server_1}")];
        let rest = [format!("count={count}"), "ip=10.0.2.15".to_owned()];
        Self(servers.into_iter().chain(rest).collect())
            .with("inputs", "inputs.f32")
            .with("counter", "device.counter")
            .with("ratchets", "device.ratchets")
            .with("task", "task.bin")
    }

    /// The plaintext twin of the model in the file `twin`.
    pub fn twin(count: usize) -> Self {
        Self(vec![format!("count={count}")]).with("inputs", "inputs.f32").with("twin", "twin")
    }

    /// Instructions on so many secrets, and of so many handshakes of each pattern.
    pub fn counts(secrets: u32, handshakes: u32) -> Self {
        Self(vec![format!("count={secrets}"), format!("handshakes={handshakes}")])
    }

    /// Adds or replaces an argument.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.0.retain(|argument| argument.split_once('=').is_none_or(|(name, _)| name != key));
        self.0.push(format!("{key}={value}"));
        self
    }
}

impl Board {
    /// Whether its programs take wide readings and many layers, and it has RAM beyond its memory
    /// map.
    pub fn is_large(&self) -> bool {
        self.emulator.as_ref().is_some_and(|emulator| emulator.large)
    }

    /// Boots `image` in QEMU. `folder` holds the files that the arguments name, and `device.page`;
    /// the report goes there.
    pub fn boot(&self, image: &Path, folder: &Path, arguments: &Arguments) -> Result<Running> {
        let emulator =
            self.emulator.as_ref().with_context(|| format!("{} is not emulated", self.name))?;
        let nic = format!("user,model={}", emulator.ethernet);
        let page = format!("loader,file=device.page,addr={},force-raw=on", emulator.key_address);
        let options = ["-icount", ICOUNT, "-nic", &nic, "-device", &page, "-serial", "none"];
        self.start(image, folder, arguments, &options)
    }

    /// Boots `image`, whose network is a UART; gives the pseudo-terminal that is its other end.
    pub fn boot_serial(
        &self,
        image: &Path,
        folder: &Path,
        arguments: &Arguments,
    ) -> Result<(Running, String)> {
        let emulator =
            self.emulator.as_ref().with_context(|| format!("{} is not emulated", self.name))?;
        let page = format!("loader,file=device.page,addr={},force-raw=on", emulator.key_address);
        let options = ["-icount", ICOUNT, "-nic", "none", "-device", &page, "-serial", "pty"];
        let mut board = self.start(image, folder, arguments, &options)?;
        let line = board.wait_for_line(PTY, PTY_LIMIT)?;
        let path = line.split(' ').next().unwrap_or(&line).to_owned();
        Ok((board, path))
    }

    /// Boots `image`, which uses neither network nor keys, where instructions are counted exactly.
    pub fn boot_alone(
        &self,
        image: &Path,
        folder: &Path,
        arguments: &Arguments,
    ) -> Result<Running> {
        self.start(
            image,
            folder,
            arguments,
            &["-icount", EXACT_ICOUNT, "-nic", "none", "-serial", "none"],
        )
    }

    fn start(
        &self,
        image: &Path,
        folder: &Path,
        arguments: &Arguments,
        options: &[&str],
    ) -> Result<Running> {
        forget_report(folder)?;
        // Relative paths, because a comma in one would be read as the end of an option.
        let mut semihosting = "enable=on,target=native,arg=fw,arg=report=report".to_owned();
        for argument in &arguments.0 {
            semihosting.push_str(",arg=");
            semihosting.push_str(argument);
        }
        let mut qemu = Command::new("qemu-system-arm");
        qemu.current_dir(folder)
            .args(["-machine", self.name])
            .args(options)
            .args(["-display", "none", "-monitor", "none"])
            .args(["-semihosting-config", &semihosting])
            .arg("-kernel")
            .arg(image);
        Running::start(self.name, &mut qemu, &folder.join("board.log"))
    }
}
