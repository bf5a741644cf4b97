//! What every program with a network begins with: its arguments, its keys, its network stack.

use embassy_net::driver::Driver;
use embassy_net::{Config, DhcpConfig, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use sharelet_firmware::board::Keys;
use sharelet_firmware::flash::page::KeyPage;
#[cfg(any(feature = "cuts", not(feature = "static-keys")))]
use sharelet_firmware::flash::ratchets::Ratchets;
use static_cell::StaticCell;

use crate::args::{Address, Args, open};
#[cfg(any(feature = "cuts", not(feature = "static-keys")))]
use crate::file_flash::{FileFlash, SECTORS};
use crate::files::{FileSensor, PageAt, PcRandom};
use crate::report::Report;

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
#[must_use]
pub fn read_arguments(board: &str) -> (Args, Report, FileSensor) {
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
#[cfg(all(feature = "static-keys", not(feature = "cuts")))]
pub type PcKeys = Keys<PcRandom>;
/// The keys of an emulated board, static ones or ratchets.
#[cfg(feature = "cuts")]
pub type PcKeys = Keys<PcRandom, Option<Ratchets<FileFlash>>>;
/// The keys of an emulated board without public keys.
#[cfg(not(feature = "static-keys"))]
pub type PcKeys = Keys<PcRandom, Ratchets<FileFlash>>;

/// The keys, from the page and the arguments. Without them the program ends.
pub fn read_keys(args: &mut Args, report: &mut Report, page: PageAt) -> PcKeys {
    let page = match page.read() {
        Ok(page) => page,
        Err(error) => report.fail("Key", &error),
    };
    let Some(random) = args.random.take().or_else(|| open("/dev/urandom")) else {
        report.fail("Random", &"the PC has no /dev/urandom; give random=PATH")
    };
    let random = PcRandom::new(random);
    #[cfg(all(feature = "static-keys", not(feature = "cuts")))]
    return Keys::new(page, random);
    #[cfg(feature = "cuts")]
    {
        let file = args.ratchets.take().map(FileFlash::new);
        let ratchets = file.map(|flash| Ratchets::new(flash, SECTORS, &page));
        Keys { page, random, ratchets }
    }
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
pub(crate) fn start<D: Driver>(
    args: Args,
    report: Report,
    ethernet: D,
    page: &KeyPage,
) -> Started<D> {
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
