//! What the two emulated boards share: time, an executor, and the PC's files in place of sensor,
//! flash and display.
//!
//! A board adds its memory map, its Ethernet controller, the timer that wakes it, and a `main`.
#![no_std]

pub mod args;
pub mod clock;
#[cfg(feature = "data-party")]
pub mod data_party;
#[cfg(feature = "device")]
pub mod device;
pub mod ethernet;
pub mod executor;
#[cfg(not(feature = "static-keys"))]
pub mod file_flash;
pub mod files;
#[cfg(feature = "idle")]
pub mod idle;
pub mod memory;
pub mod report;
#[cfg(feature = "device")]
pub mod twin;

use core::panic::PanicInfo;

use args::{Address, Args};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use defmt_semihosting as _;
use embassy_net::driver::Driver;
use embassy_net::{Config, DhcpConfig, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
#[cfg(not(feature = "static-keys"))]
use file_flash::{FileFlash, SECTORS};
use files::{FileSensor, PageAt, PcRandom};
use report::Report;
use sharelet_firmware::board::Keys;
use sharelet_firmware::flash::page::KeyPage;
#[cfg(not(feature = "static-keys"))]
use sharelet_firmware::flash::ratchets::Ratchets;
use static_cell::StaticCell;

/// Sockets: one for the device or two for a data party, and one for DHCP.
const SOCKETS: usize = if cfg!(feature = "device") { 2 } else { 3 };
/// The gateway of QEMU's user network, which is also the PC.
const GATEWAY: u8 = 2;

/// What every program begins with: the arguments, the readings, the network stack on `ethernet`,
/// and its runner.
pub struct Started<D: Driver> {
    /// The arguments.
    pub args: Args,
    /// The report.
    pub report: Report,
    /// The network stack.
    pub stack: Stack<'static>,
    /// What runs it.
    pub runner: Runner<'static, D>,
}

/// The arguments, the report that was begun, and the readings.
fn read_arguments(board: &str) -> (Args, Report, FileSensor) {
    let (mut args, mut report) = match Args::read() {
        Ok(read) => read,
        Err((mut report, text)) => report.fail("Arguments", &text),
    };
    report.boot(board);
    report.stop_after(args.count, args.retries);
    match args.inputs.take() {
        Some(inputs) => (args, report, FileSensor::new(inputs)),
        None => report.fail("Arguments", &"inputs=PATH is missing"),
    }
}

/// The keys of an emulated board.
#[cfg(feature = "static-keys")]
pub type PcKeys = Keys<PcRandom>;
/// The keys of an emulated board without public keys.
#[cfg(not(feature = "static-keys"))]
pub type PcKeys = Keys<PcRandom, Ratchets<FileFlash>>;

/// The keys, from the page and the arguments. Without them the program ends.
fn read_keys(args: &mut Args, report: &mut Report, page: PageAt) -> PcKeys {
    let page = match page.read() {
        Ok(page) => page,
        Err(error) => report.fail("Key", &error),
    };
    let Some(random) = args.random.take().or_else(|| args::open("/dev/urandom")) else {
        report.fail("Random", &"the PC has no /dev/urandom; give random=PATH")
    };
    let random = PcRandom::new(random);
    #[cfg(feature = "static-keys")]
    return Keys::new(page, random);
    #[cfg(not(feature = "static-keys"))]
    {
        let Some(file) = args.ratchets.take() else {
            report.fail("Arguments", &"ratchets=PATH is missing")
        };
        let ratchets = Ratchets::new(FileFlash::new(file), SECTORS, &page);
        Keys { page, random, ratchets }
    }
}

/// Builds the network stack on `ethernet`.
fn start<D: Driver>(args: Args, report: Report, ethernet: D, page: &KeyPage) -> Started<D> {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let config = match args.address {
        Address::Dhcp => Config::dhcpv4(DhcpConfig::default()),
        Address::Static(address) => {
            let [a, b, c, _] = address.octets();
            let gateway = Some([a, b, c, GATEWAY].into());
            let address = Ipv4Cidr::new(address, 24);
            Config::ipv4_static(StaticConfigV4 {
                address,
                gateway,
                dns_servers: heapless::Vec::new(),
            })
        }
    };
    // These boards have no random source. The seed picks ports and sequence numbers, nothing that
    // has to be secret.
    let name = page.party().name.as_bytes();
    let seed = name.iter().fold(0_u64, |seed, byte| seed.rotate_left(5) ^ u64::from(*byte));
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(ethernet, config, resources, seed);
    Started { args, report, stack, runner }
}

/// Lets interrupt `number` through.
pub fn enable_interrupt(number: u8) {
    #[derive(Clone, Copy)]
    struct Number(u8);
    // SAFETY: `Number` is used here alone, with the numbers that the boards' manuals give.
    unsafe impl InterruptNumber for Number {
        fn number(self) -> u16 {
            self.0.into()
        }
    }
    // SAFETY: the boards call this before their executor runs, outside critical sections.
    unsafe { NVIC::unmask(Number(number)) };
}

/// Ends the emulator after an interrupt that no one handles.
pub fn unexpected_interrupt(number: i16) -> ! {
    defmt::error!("interrupt {=i16} has no handler", number);
    semihosting::process::exit(1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) =
        info.location().map_or(("?", 0), |location| (location.file(), location.line()));
    defmt::error!("panic at {=str}:{=u32}", file, line);
    semihosting::process::exit(1)
}
