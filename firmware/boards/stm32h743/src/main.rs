//! Private inference on a NUCLEO-H743ZI: the built-in model on an accelerometer, answers to a lamp.
#![no_std]
#![no_main]

mod clocks;
mod features;
mod sensor;

use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Ipv4Address, Runner, StackResources};
use embassy_stm32::adc::{Adc, AdcChannel};
use embassy_stm32::bind_interrupts;
use embassy_stm32::eth::{Ethernet, GenericPhy, InterruptHandler, PacketQueue, Sma};
use embassy_stm32::flash::Flash;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rng::{self, Rng};
use features::Window;
use panic_probe as _;
use sensor::Accelerometer;
use sharelet_firmware::board::{AnswerSink, NoMeter};
use sharelet_firmware::counter::FlashCounter;
use sharelet_firmware::device::{Device, Inference, Memory, Settings};
use sharelet_firmware::key;
use static_cell::{ConstStaticCell, StaticCell};

/// Where the program `sharelet host` listens.
const HOST: (Ipv4Address, u16) = (Ipv4Address::new(192, 168, 1, 10), 7101);
/// A locally administered address; no two boards in a network may share it.
const MAC: [u8; 6] = [0x02, 0x53, 0x4C, 0x54, 0x00, 0x01];
/// Offsets into flash, beyond the program's bank.
const COUNTER_SECTORS: u32 = 0x1A_0000;
const KEY_PAGE: u32 = 0x1E_0000;

type Driver = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

bind_interrupts!(struct Irqs {
    ETH => InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
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

    let mut flash = Flash::new_blocking(p.FLASH);
    let mut key = key::Page([0; key::PAGE_BYTES]);
    if let Err(error) = flash.blocking_read(KEY_PAGE, &mut key.0) {
        // The device task reports it as missing.
        defmt::error!("the key page cannot be read: {}", error);
    }
    let channels = [p.PA3.degrade_adc(), p.PC0.degrade_adc(), p.PB1.degrade_adc()];
    static WINDOW: ConstStaticCell<Window> = ConstStaticCell::new(Window::new());
    let device = Device {
        stack,
        settings: Settings::new(HOST),
        sensor: Accelerometer { adc: Adc::new(p.ADC1), channels, window: WINDOW.take() },
        keys: key,
        counter: FlashCounter::new(flash, COUNTER_SECTORS),
        sink: Lamp(Output::new(p.PB0, Level::Low, Speed::Low)),
        meter: NoMeter,
    };
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    // Spawned once, so it is not refused.
    let _ = network(runner).map(|task| spawner.spawn(task));
    device.run(MEMORY.take()).await
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
