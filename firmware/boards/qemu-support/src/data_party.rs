//! The data party of two servers, on an emulated board.

use embassy_net::Runner;
use embassy_net::driver::Driver;
use semihosting::fs::File;
use semihosting::io::Read as _;
use sharelet_core::session::wire::query::Recipient;
use sharelet_core::session::wire::task::{TASK_BYTES, Task, TaskError};
use sharelet_firmware::data_party::{self, DataParty, Settings};
use sharelet_firmware::tcp::Tcp;
use static_cell::ConstStaticCell;

use crate::files::{FileCounter, FileSensor, PageAt, RoomAt, VirtualTime};
use crate::report::Report;
use crate::started::{PcKeys, Started, read_arguments, read_keys, start};

/// Values of a reading and of an answer that the board takes.
const BOUNDS: (usize, usize) = if cfg!(feature = "large") { (27_648, 1024) } else { (1024, 1024) };

static SOCKET_0: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
static SOCKET_1: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);

/// The memory of the task.
pub type Memory = data_party::Memory<{ BOUNDS.0 }, { BOUNDS.1 }>;

/// The task.
pub type Program = DataParty<Tcp<'static>, FileSensor, PcKeys, FileCounter, Report, VirtualTime>;

/// The data party as a task. It is here, and not with the boards, to be compiled for speed with
/// the types that it is made of; the network stack is compiled with the boards, for size.
#[embassy_executor::task]
pub async fn run(program: Program, memory: &'static mut Memory) -> ! {
    program.run(memory).await
}

/// Reads the arguments, then builds the network stack on `ethernet` and the data party on the
/// stack.
///
/// Does not return if the arguments are wrong.
pub fn boot<D: Driver>(
    board: &str,
    ethernet: D,
    page: PageAt,
    _: RoomAt,
) -> (Program, Runner<'static, D>) {
    let (mut args, mut report, sensor) = read_arguments(board);
    let ([Some(server_0), Some(server_1)], Some(counter), Some(task)) =
        (args.servers, args.counter.take(), args.task.take())
    else {
        report.fail(
            "Arguments",
            &"server0=ADDRESS:PORT, server1=ADDRESS:PORT, counter=PATH and task=PATH are needed",
        )
    };
    let task = match read_task(task) {
        Some(Ok(task)) => task,
        Some(Err(error)) => report.fail("Task", &error),
        None => report.fail("Task", &"task=PATH is too short; make one with `sharelet task`"),
    };
    let keys = read_keys(&mut args, &mut report, page);
    let Started { args, report, stack, runner } = start(args, report, ethernet, &keys.page);
    let recipient = if args.to_console { Recipient::Console } else { Recipient::DataParty };
    let mut settings = Settings { recipient, ..Settings::default() };
    settings.timeout = args.phase_timeout.unwrap_or(settings.timeout);
    let counter = FileCounter::new(counter, keys.page.key_id());
    let meter = VirtualTime;
    let connectors =
        [Tcp::new(stack, server_0, SOCKET_0.take()), Tcp::new(stack, server_1, SOCKET_1.take())];
    (DataParty { connectors, settings, task, sensor, keys, counter, sink: report, meter }, runner)
}

fn read_task(mut file: File) -> Option<Result<Task, TaskError>> {
    let mut bytes = [0; TASK_BYTES];
    file.read_exact(&mut bytes).ok()?;
    Some(Task::from_bytes(&bytes))
}
