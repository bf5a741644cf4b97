//! What the two emulated boards share: time, an executor, and the PC's files in place of sensor, flash and display.
//!
//! A board adds its memory map, its Ethernet controller, the timer that wakes it, and a `main`.
#![no_std]

pub mod args;
pub mod clock;
pub mod executor;
pub mod files;
pub mod memory;
pub mod report;
pub mod twin;

use core::panic::PanicInfo;

use args::{Address, Args};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use defmt_semihosting as _;
use embassy_net::driver::Driver;
use embassy_net::{Config, DhcpConfig, Ipv4Cidr, Runner, StackResources, StaticConfigV4};
use files::{FileCounter, FileSensor, KeyPage, VirtualTime};
use report::Report;
use sharelet_firmware::board::KeyStore;
use sharelet_firmware::device::{Device, Settings};
use static_cell::StaticCell;

/// Sockets: one for the device, one for DHCP.
const SOCKETS: usize = 2;
/// The gateway of QEMU's user network, which is also the PC.
const GATEWAY: u8 = 2;

/// The device task of an emulated board.
pub type EmulatedDevice = Device<FileSensor, KeyPage, FileCounter, Report, VirtualTime>;

/// Reads the arguments, then builds the network stack on `ethernet` and the device on the stack.
///
/// Does not return if the arguments are wrong, or ask for the plaintext twin instead.
pub fn boot<D: Driver>(board: &str, ethernet: D, mut keys: KeyPage) -> (EmulatedDevice, Runner<'static, D>) {
    let (args, mut report) = match Args::read() {
        Ok(read) => read,
        Err((mut report, text)) => report.fail("Arguments", text),
    };
    report.boot(board);
    report.stop_after(args.count, args.retries);
    let mut sensor = FileSensor::new(args.inputs);
    if let Some(twin) = args.twin {
        match twin::run(twin, &mut sensor, args.count, &mut report) {
            Ok(()) => report.done(args.count),
            Err(text) => report.fail("Twin", text),
        }
    }
    let Some(counter) = args.counter else { report.fail("Arguments", "counter=PATH is missing") };

    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let config = match args.address {
        Address::Dhcp => Config::dhcpv4(DhcpConfig::default()),
        Address::Static(address) => {
            let [a, b, c, _] = address.octets();
            let gateway = Some([a, b, c, GATEWAY].into());
            let address = Ipv4Cidr::new(address, 24);
            Config::ipv4_static(StaticConfigV4 { address, gateway, dns_servers: heapless::Vec::new() })
        }
    };
    // These boards have no random source. The seed picks ports and sequence numbers, nothing that has to be secret.
    let name = keys.identity().map_or([0; 16], |identity| *identity.id().as_bytes());
    let seed = name.iter().fold(0_u64, |seed, byte| seed.rotate_left(5) ^ u64::from(*byte));
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(ethernet, config, resources, seed);
    let mut settings = Settings { answer: args.answer, ..Settings::new(args.host) };
    settings.phase_timeout = args.phase_timeout.unwrap_or(settings.phase_timeout);
    let device = Device { stack, settings, sensor, keys, counter: FileCounter::new(counter), sink: report, meter: VirtualTime };
    (device, runner)
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
    let (file, line) = info.location().map_or(("?", 0), |location| (location.file(), location.line()));
    defmt::error!("panic at {=str}:{=u32}", file, line);
    semihosting::process::exit(1)
}
