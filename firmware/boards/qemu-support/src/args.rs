//! The program's arguments: `key=value`, separated by blanks, handed over by semihosting.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::str::FromStr;

use embassy_time::Duration;
use heapless::CString;
use semihosting::experimental::env;
use semihosting::fs::{File, OpenOptions};
use sharelet_core::session::wire::control::Answer;

#[cfg(feature = "cuts")]
use crate::power::Plan;
use crate::report::Report;

const ARGUMENT_BYTES: usize = 1024;
const PATH_BYTES: usize = 256;

/// How the board gets its address.
#[derive(Clone, Copy, Debug)]
pub enum Address {
    /// From a DHCP server.
    Dhcp,
    /// This one, in a network of 24 bits whose gateway ends in 2, as QEMU's user network has it.
    Static(Ipv4Addr),
}

/// What the program is to do.
#[derive(Debug)]
pub struct Args {
    /// The host's address.
    pub host: Option<SocketAddrV4>,
    /// The addresses of two servers.
    pub servers: [Option<SocketAddrV4>; 2],
    /// What is asked of two servers.
    pub task: Option<File>,
    /// Whether their console gets the answers.
    pub to_console: bool,
    /// The board's address.
    pub address: Address,
    /// Readings: rows of little-endian `f32`.
    pub inputs: Option<File>,
    /// Who learns the answer.
    pub answer: Answer,
    /// How many readings to infer before exiting.
    pub count: u32,
    /// How many failed attempts are forgiven.
    pub retries: u32,
    /// Time that the host has for each phase.
    pub phase_timeout: Option<Duration>,
    /// The session counter.
    pub counter: Option<File>,
    /// Random bytes, in place of the PC's own.
    pub random: Option<File>,
    /// Ratchets of provisioned keys.
    pub ratchets: Option<File>,
    /// Bytes of the board's further RAM in which masked weights are kept.
    pub keep_bytes: usize,
    /// The model in the clear, if the plaintext twin is to be measured.
    pub twin: Option<File>,
    /// How many handshakes of each pattern are counted.
    #[cfg(feature = "constant")]
    pub handshakes: u32,
    /// When the power fails.
    #[cfg(feature = "cuts")]
    pub power: Plan,
}

impl Args {
    /// Reads the arguments; the report file, which problems are written to, comes with them.
    ///
    /// # Errors
    /// The report, and a sentence that names the argument.
    pub fn read() -> Result<(Self, Report), (Report, &'static str)> {
        let mut report = Report::new();
        // The report first, so that the rest can complain in it. An iterator is used up by its
        // first pass.
        let (Ok(first_pass), Ok(second_pass)) =
            (env::args::<ARGUMENT_BYTES>(), env::args::<ARGUMENT_BYTES>())
        else {
            return Err((report, "the arguments cannot be read, or are longer than 1024 bytes"));
        };
        for argument in &first_pass {
            if let Some(path) = argument.ok().and_then(|text| text.strip_prefix("report=")) {
                match create(path) {
                    Some(file) => report = Report::to(file),
                    None => return Err((report, "report=PATH: the file cannot be created")),
                }
            }
        }
        let mut args = Self {
            host: None,
            servers: [None; 2],
            task: None,
            to_console: false,
            address: Address::Dhcp,
            inputs: None,
            answer: Answer::Device,
            count: 1,
            retries: 0,
            phase_timeout: None,
            counter: None,
            random: None,
            ratchets: None,
            keep_bytes: 0,
            twin: None,
            #[cfg(feature = "constant")]
            handshakes: 1,
            #[cfg(feature = "cuts")]
            power: Plan::default(),
        };
        for argument in (&second_pass).skip(1) {
            let Some((key, value)) = argument.ok().and_then(|text| text.split_once('=')) else {
                return Err((report, "an argument is not of the form key=value"));
            };
            if let Err(expected) = args.set(key, value) {
                return Err((report, expected));
            }
        }
        Ok((args, report))
    }

    /// Takes an argument.
    ///
    /// # Errors
    /// What is expected.
    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        const SERVERS: &str = "server0= and server1= expect an IPv4 address and a port";
        match key {
            "host" => {
                let expected = "host=ADDRESS:PORT expects an IPv4 address and a port";
                self.host = Some(parse(value, expected)?);
            }
            "server0" => self.servers[0] = Some(parse(value, SERVERS)?),
            "server1" => self.servers[1] = Some(parse(value, SERVERS)?),
            "task" => self.task = Some(open(value).ok_or("task=PATH: the file cannot be opened")?),
            "to_console" => self.to_console = parse(value, "to_console= expects true or false")?,
            "ip" if value == "dhcp" => {}
            "ip" => {
                let address = parse(value, "ip= expects dhcp or an IPv4 address")?;
                self.address = Address::Static(address);
            }
            "inputs" => {
                self.inputs = Some(open(value).ok_or("inputs=PATH: the file cannot be opened")?);
            }
            "answer" => {
                let expected = "answer= expects device, host or both";
                self.answer = parse_answer(value).ok_or(expected)?;
            }
            "count" => self.count = parse(value, "count= expects a number")?,
            "retries" => self.retries = parse(value, "retries= expects a number")?,
            "timeout" => {
                let seconds = parse(value, "timeout= expects a number of seconds")?;
                self.phase_timeout = Some(Duration::from_secs(seconds));
            }
            "counter" => {
                let expected = "counter=PATH: there is no counter, and none is made; provision the \
                                device anew";
                self.counter = Some(open_to_count(value).ok_or(expected)?);
            }
            "random" => {
                self.random = Some(open(value).ok_or("random=PATH: the file cannot be opened")?);
            }
            "ratchets" => {
                let expected = "ratchets=PATH: there are no ratchets, and none are made; \
                                provision the device anew";
                self.ratchets = Some(open_to_count(value).ok_or(expected)?);
            }
            "keep" => self.keep_bytes = parse(value, "keep= expects a number of bytes")?,
            "twin" => self.twin = Some(open(value).ok_or("twin=PATH: the file cannot be opened")?),
            #[cfg(feature = "cuts")]
            "cut" => self.power.cut = Some(parse(value, "cut=EVENT:TICKS expects two numbers")?),
            #[cfg(feature = "cuts")]
            "tear" => self.power.tear = Some(parse(value, "tear=BYTES:MASK expects two numbers")?),
            #[cfg(feature = "cuts")]
            "drop" => self.power.drop = Some(parse(value, "drop= expects a number")?),
            #[cfg(feature = "cuts")]
            "events" => {
                let expected = "events=PATH: the file cannot be created";
                self.power.events = Some(create(value).ok_or(expected)?);
            }
            #[cfg(feature = "constant")]
            "handshakes" => self.handshakes = parse(value, "handshakes= expects a number")?,
            "report" => {}
            _ => {
                return Err("unknown argument; known are host server0 server1 task to_console ip \
                            inputs answer count retries timeout counter random ratchets report \
                            keep twin");
            }
        }
        Ok(())
    }
}

fn parse<T: FromStr>(text: &str, expected: &'static str) -> Result<T, &'static str> {
    text.parse().map_err(|_| expected)
}

fn parse_answer(text: &str) -> Option<Answer> {
    match text {
        "device" => Some(Answer::Device),
        "host" => Some(Answer::Host),
        "both" => Some(Answer::Both),
        _ => None,
    }
}

fn path(text: &str) -> Option<CString<PATH_BYTES>> {
    let mut path = CString::new();
    path.extend_from_bytes(text.as_bytes()).ok()?;
    Some(path)
}

pub(crate) fn open(text: &str) -> Option<File> {
    File::open(&*path(text)?).ok()
}

fn create(text: &str) -> Option<File> {
    File::create(&*path(text)?).ok()
}

/// A counter that is not there is not made: numbers from 0 on may have been used.
fn open_to_count(text: &str) -> Option<File> {
    OpenOptions::new().read(true).write(true).open(&*path(text)?).ok()
}
