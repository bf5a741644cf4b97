//! Private inference on a NUCLEO-H743ZI: the built-in model on an accelerometer, answers to a lamp.
#![no_std]
#![no_main]

mod clocks;
mod flash;

use armv7m::ChaCha12;
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Ipv4Address, Runner, StackResources};
use embassy_stm32::bind_interrupts;
use embassy_stm32::dma;
use embassy_stm32::eth::{Ethernet, GenericPhy, InterruptHandler, PacketQueue, Sma};
use embassy_stm32::flash::Flash;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::{DMA1_CH0, DMA1_CH1, ETH, ETH_SMA, RNG};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::spi::{self, Spi};
use embassy_stm32::time::mhz;
use embassy_time::{Delay, Timer};
use embedded_hal_bus::spi::ExclusiveDevice;
use flash::EccFlash;
use panic_probe as _;
use sharelet_firmware::board::{AnswerSink, NoMeter, NoRandom};
use sharelet_firmware::device::{Device, Inference, Keys, Memory, Settings};
use sharelet_firmware::flash::Sectors;
use sharelet_firmware::flash::counter::Counter;
use sharelet_firmware::flash::page::{KeyPage, PAGE_BYTES};
use sharelet_firmware::tcp::Tcp;
use static_cell::{ConstStaticCell, StaticCell};
use vibration::{Accelerometer, Window};

/// Where the program `sharelet host` listens.
const HOST: (Ipv4Address, u16) = (Ipv4Address::new(192, 168, 1, 10), 7101);
/// A locally administered address; no two boards in a network may share it.
const MAC: [u8; 6] = [0x02, 0x53, 0x4C, 0x54, 0x00, 0x01];
/// Offsets into flash, beyond the program's bank.
const COUNTER: Sectors = Sectors { first: 0x1A_0000, count: 2 };
const KEY_PAGE: u32 = 0x1E_0000;

/// For readings of 64 values, answers of 16, and networks of 32 layers.
type Bounded = Memory<64, 16, 32, ChaCha12>;
/// Masked weights that are kept in RAM: 384 KB.
const KEPT_WORDS: usize = 96 * 1024;

type Driver = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

bind_interrupts!(struct Irqs {
    ETH => InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
    DMA1_STREAM0 => dma::InterruptHandler<DMA1_CH0>;
    DMA1_STREAM1 => dma::InterruptHandler<DMA1_CH1>;
});

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Driver>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_stm32::init(clocks::clocks());

    // Ports and sequence numbers of the network stack should not be guessable.
    let mut rng = Rng::new(p.RNG, Irqs);
    let mut seed = [0; 8];
    while let Err(error) = rng.async_fill_bytes(&mut seed).await {
        defmt::warn!("the random number generator reports {}; trying again", error);
    }

    static PACKETS: StaticCell<PacketQueue<4, 4>> = StaticCell::new();
    let queue = PACKETS.init_with(PacketQueue::new);
    let ethernet = Ethernet::new(
        queue, p.ETH, Irqs, p.PA1, p.PA7, p.PC4, p.PC5, p.PG13, p.PB13, p.PG11, MAC, p.ETH_SMA,
        p.PA2, p.PC1,
    );
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let config = embassy_net::Config::dhcpv4(embassy_net::DhcpConfig::default());
    let (stack, runner) = embassy_net::new(
        ethernet,
        config,
        RESOURCES.init_with(StackResources::new),
        u64::from_le_bytes(seed),
    );

    let mut flash = EccFlash(Flash::new_blocking(p.FLASH));
    let mut page = [0; PAGE_BYTES];
    if let Err(error) = flash.blocking_read(KEY_PAGE, &mut page) {
        // What was read is then no page.
        defmt::error!("the key page cannot be read: {}", defmt::Debug2Format(&error));
    }
    let page = match KeyPage::parse(&page) {
        Ok(page) => page,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    let random = async |bytes: &mut [u8]| {
        let filled = rng.async_fill_bytes(bytes).await;
        filled.map_err(|error| {
            defmt::warn!("the random number generator reports {}", error);
            NoRandom
        })
    };
    let mut config = spi::Config::default();
    config.frequency = mhz(4);
    let (clock, output, input) = (p.PA5, p.PB5, p.PA6);
    let spi = Spi::new(p.SPI1, clock, output, input, p.DMA1_CH0, p.DMA1_CH1, Irqs, config);
    let select = Output::new(p.PD14, Level::High, Speed::VeryHigh);
    let Ok(mut spi) = ExclusiveDevice::new(spi, select, Delay);
    static WINDOW: ConstStaticCell<Window> = ConstStaticCell::new(Window::new());
    let window = WINDOW.take();
    let sensor = loop {
        match Accelerometer::start(&mut spi, &mut *window).await {
            Ok(sensor) => break sensor,
            Err(error) => defmt::warn!("{}", defmt::Display2Format(&error)),
        }
        Timer::after_secs(1).await;
    };
    static SOCKET: ConstStaticCell<[u8; 8192]> = ConstStaticCell::new([0; 8192]);
    let device = Device {
        connector: Tcp::new(stack, HOST, SOCKET.take()),
        settings: Settings::default(),
        sensor,
        counter: Counter::new(flash, COUNTER, page.key_id()),
        keys: Keys::new(page, random),
        sink: Lamp(Output::new(p.PB0, Level::Low, Speed::Low)),
        meter: NoMeter,
    };
    static MEMORY: ConstStaticCell<Bounded> = ConstStaticCell::new(Bounded::new());
    // Spawned once, so it is not refused.
    let _ = network(runner).map(|task| spawner.spawn(task));
    static ROOM: ConstStaticCell<[u32; KEPT_WORDS]> = ConstStaticCell::new([0; KEPT_WORDS]);
    device.run(MEMORY.take(), &mut ROOM.take()[..]).await
}

/// Lights up for the classes from the third on: of the built-in model, `imbalance` and
/// `bearing-fault`.
struct Lamp(Output<'static>);

impl AnswerSink for Lamp {
    fn answer(&mut self, inference: &Inference<'_>) {
        match inference.class() {
            Some(0 | 1) | None => self.0.set_low(),
            Some(_) => self.0.set_high(),
        }
    }
}
