//! A network stack with the two sockets of a data party, readings and a report, and nothing between
//! them.
//!
//! What a data party takes is measured as the difference to this program. It uses all that the
//! board brings (readings, key page, counter, meter, report) and both sockets: it connects, sends
//! each server a packet, waits for a reply, and reports.

use embassy_net::driver::Driver;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpEndpoint, Runner, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_io_async::Write as _;
use sharelet_firmware::board::{
    AnswerSink as _, Counts, Inference, InstructionMeter as _, Sensor as _, SessionCounter as _,
};

use crate::files::{FileCounter, FileSensor, PageAt, RoomAt, VirtualTime};
use crate::report::Report;
use crate::started::{Started, read_arguments, read_keys, start};

const SOCKET_BYTES: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(10);

/// The memory that the task works in.
pub struct Memory {
    sockets: [[[u8; SOCKET_BYTES]; 2]; 2],
    features: [f32; 32],
}

impl Memory {
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self { sockets: [[[0; SOCKET_BYTES]; 2]; 2], features: [0.0; 32] }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The task.
pub struct Program {
    stack: Stack<'static>,
    servers: [IpEndpoint; 2],
    sensor: FileSensor,
    counter: FileCounter,
    sink: Report,
}

/// The program as a task. It is here, and not with the boards, to be compiled for speed with
/// the types that it is made of; the network stack is compiled with the boards, for size.
#[embassy_executor::task]
pub async fn run(program: Program, memory: &'static mut Memory) -> ! {
    program.run(memory).await
}

/// Reads the arguments, then builds the network stack on `ethernet`.
///
/// Does not return if the arguments are wrong.
pub fn boot<D: Driver>(
    board: &str,
    ethernet: D,
    page: PageAt,
    _: RoomAt,
) -> (Program, Runner<'static, D>) {
    let (mut args, mut report, sensor) = read_arguments(board);
    let ([Some(server_0), Some(server_1)], Some(counter)) = (args.servers, args.counter.take())
    else {
        report.fail(
            "Arguments",
            &"server0=ADDRESS:PORT, server1=ADDRESS:PORT and counter=PATH are needed",
        )
    };
    let keys = read_keys(&mut args, &mut report, page);
    let Started { report, stack, runner, .. } = start(args, report, ethernet, &keys.page);
    let counter = FileCounter::new(counter, keys.page.key_id());
    let servers = [server_0.into(), server_1.into()];
    (Program { stack, servers, sensor, counter, sink: report }, runner)
}

impl Program {
    /// Sends and receives for ever.
    pub async fn run(mut self, memory: &mut Memory) -> ! {
        let mut index = 0;
        loop {
            match self.once(memory, index).await {
                Some(()) => index += 1,
                None => self.sink.failed("Network", &"a socket failed"),
            }
            Timer::after(TIMEOUT).await;
        }
    }

    async fn once(&mut self, memory: &mut Memory, index: u32) -> Option<()> {
        let Memory { sockets, features } = memory;
        self.sensor.read(features).await.ok()?;
        with_timeout(TIMEOUT, self.stack.wait_config_up()).await.ok()?;
        let [[received_0, to_send_0], [received_1, to_send_1]] = sockets;
        let mut sockets = (
            TcpSocket::new(self.stack, received_0, to_send_0),
            TcpSocket::new(self.stack, received_1, to_send_1),
        );
        for socket in [&mut sockets.0, &mut sockets.1] {
            socket.set_timeout(Some(TIMEOUT));
            socket.set_nagle_enabled(false);
        }
        let [server_0, server_1] = self.servers;
        let number = self.counter.next().await.ok()?;
        self.counter.consume(number).await.ok()?;
        let mut values = [0; 4];
        for (socket, server) in [(&mut sockets.0, server_0), (&mut sockets.1, server_1)] {
            let mut reply = [0; 16];
            let exchange = async {
                socket.connect(server).await.ok()?;
                socket.write_all(&[0; 16]).await.ok()?;
                socket.read(&mut reply).await.ok()
            };
            with_timeout(TIMEOUT, exchange).await.ok()??;
            for (value, bytes) in values.iter_mut().zip(reply.as_chunks().0) {
                *value ^= u32::from_le_bytes(*bytes);
            }
            socket.close();
            let _ = with_timeout(TIMEOUT, socket.flush()).await;
        }
        let instructions = VirtualTime.instructions();
        self.sink.answer(&Inference {
            index,
            values: &values,
            frac_bits: 0,
            traffic: Counts::default(),
            instructions,
        });
        Some(())
    }
}
