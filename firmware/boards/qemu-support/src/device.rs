//! The device of a session with a host, on an emulated board; or the plaintext twin, if the
//! arguments ask for it.

use armv7m::ChaCha12;
use embassy_net::Runner;
use embassy_net::driver::Driver;
#[cfg(feature = "cuts")]
use embassy_time::Duration;
use sharelet_firmware::device::{self, Device, Settings};
#[cfg(feature = "cuts")]
use sharelet_firmware::flash::counter::Counter;
use sharelet_firmware::tcp::Tcp;
use static_cell::ConstStaticCell;

#[cfg(feature = "cuts")]
use crate::cuts::{FlashCounter, Watched};
#[cfg(feature = "cuts")]
use crate::file_flash::{FileFlash, SECTORS};
#[cfg(not(feature = "cuts"))]
use crate::files::FileCounter;
use crate::files::{FileSensor, Kept, PageAt, RoomAt, VirtualTime};
#[cfg(feature = "cuts")]
use crate::power;
#[cfg(not(feature = "cuts"))]
use crate::report::Report;
use crate::started::{PcKeys, Started, read_arguments, read_keys, start};
use crate::twin;

/// Values of a reading and of an answer, and layers, that the board takes.
const BOUNDS: (usize, usize, usize) =
    if cfg!(feature = "large") { (4096, 1024, 32) } else { (784, 640, 16) };

/// Most work of a session, in keystream blocks.
pub const MOST_BLOCKS: u64 = if cfg!(feature = "large") { 1 << 22 } else { 1 << 18 };

/// The memory of the task.
pub type Memory = device::Memory<{ BOUNDS.0 }, { BOUNDS.1 }, { BOUNDS.2 }, ChaCha12>;

static SOCKET: ConstStaticCell<[u8; 8192]> = ConstStaticCell::new([0; 8192]);

/// Between two attempts to connect.
#[cfg(feature = "cuts")]
const SHORT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(not(feature = "cuts"))]
type Task = Device<Tcp<'static>, FileSensor, PcKeys, FileCounter, Report, VirtualTime>;
/// On flash.
#[cfg(feature = "cuts")]
type Task = Device<Tcp<'static>, FileSensor, PcKeys, FlashCounter, Watched, VirtualTime>;

/// The device, and where it keeps masked weights.
pub struct Program {
    device: Task,
    room: Kept,
}

/// The device as a task. It is here, and not with the boards, to be compiled for speed with
/// the types that it is made of; the network stack is compiled with the boards, for size.
#[embassy_executor::task]
pub async fn run(mut program: Program, memory: &'static mut Memory) -> ! {
    program.device.run(memory, &mut program.room).await
}

/// Reads the arguments, then builds the network stack on `ethernet` and the device on the stack.
///
/// Does not return if the arguments are wrong, or ask for the plaintext twin instead.
pub fn boot<D: Driver>(
    board: &str,
    ethernet: D,
    page: PageAt,
    room: RoomAt,
) -> (Program, Runner<'static, D>) {
    let (mut args, mut report, mut sensor) = read_arguments(board);
    #[cfg(feature = "cuts")]
    power::begin(&mut args.power);
    if let Some(twin) = args.twin.take() {
        match twin::run(twin, &mut sensor, args.count, &mut report) {
            Ok(()) => report.done(args.count),
            Err(text) => report.fail("Twin", &text),
        }
    }
    let (Some(host), Some(counter)) = (args.host, args.counter.take()) else {
        report.fail("Arguments", &"host=ADDRESS:PORT and counter=PATH are needed")
    };
    let Some(room) = room.take(args.keep_bytes / size_of::<u32>()) else {
        report.fail("Arguments", &"keep=BYTES: the board has less further RAM than that")
    };
    let keys = read_keys(&mut args, &mut report, page);
    let Started { args, report, stack, runner } = start(args, report, ethernet, &keys.page);
    let mut settings =
        Settings { answer: args.answer, max_blocks: MOST_BLOCKS, ..Settings::default() };
    settings.phase_timeout = args.phase_timeout.unwrap_or(settings.phase_timeout);
    let key = keys.page.key_id();
    #[cfg(not(feature = "cuts"))]
    let (counter, sink) = (FileCounter::new(counter, key), report);
    #[cfg(feature = "cuts")]
    let (counter, sink) = {
        settings.shortest_pause = SHORT_PAUSE;
        let counter = Counter::new(FileFlash::new(counter), SECTORS, key);
        (FlashCounter::new(counter, args.power.drop), Watched(report))
    };
    let connector = Tcp::new(stack, host, SOCKET.take());
    let device = Device { connector, settings, sensor, keys, counter, sink, meter: VirtualTime };
    (Program { device, room }, runner)
}
