//! What runs on a Pico with Wi-Fi, which brings its chip's interrupts and its random bytes.

use core::net::SocketAddrV4;

use cyw43::{A4, Aligned, JoinOptions, NetDriver, PowerManagementMode, SpiBus};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use defmt_rtt as _;
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_executor::Spawner;
use embassy_net::{Runner, StackResources};
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{
    DMA_CH0, DMA_CH1, DMA_CH2, FLASH, PIN_16, PIN_17, PIN_18, PIN_19, PIN_23, PIN_24, PIN_25,
    PIN_29, PIO0, SPI0,
};
use embassy_rp::pio::Pio;
use embassy_rp::spi::{self, Spi};
use embassy_rp::{Peri, dma};
use embassy_time::{Delay, Timer};
use embedded_hal_bus::spi::ExclusiveDevice;
use panic_probe as _;
use sharelet_firmware::board::{NoMeter, NoRoom, Random};
use sharelet_firmware::device::{Device, Inference, Keys, Memory, Settings};
use sharelet_firmware::flash::Sectors;
use sharelet_firmware::flash::counter::Counter;
use sharelet_firmware::flash::page::{KeyPage, PAGE_BYTES};
use sharelet_firmware::tcp::Tcp;
use static_cell::{ConstStaticCell, StaticCell};
use vibration::{Accelerometer, Window};

use crate::{FLASH_BYTES, Irqs};

include!(concat!(env!("OUT_DIR"), "/blobs.rs"));

/// Where `sharelet host` listens, and the Wi-Fi network: said when the program is built.
const HOST: &str = env_or(option_env!("SHARELET_HOST"), "192.168.1.10:7101");
const NETWORK: &str = env_or(option_env!("WIFI_NETWORK"), "");
const PASSWORD: &str = env_or(option_env!("WIFI_PASSWORD"), "");

/// The last four sectors of flash: counter, key page, and one that Bluetooth would use.
const SECTOR: u32 = 4096;
const COUNTER: Sectors = Sectors { first: FLASH_BYTES as u32 - 4 * SECTOR, count: 2 };
const KEY_PAGE: u32 = FLASH_BYTES as u32 - 2 * SECTOR;

const fn env_or(given: Option<&'static str>, otherwise: &'static str) -> &'static str {
    match given {
        Some(given) => given,
        None => otherwise,
    }
}

/// The pins and devices that the program uses.
pub struct Parts {
    /// To the radio: its clock, data, select and power.
    pub radio: (
        Peri<'static, PIN_29>,
        Peri<'static, PIN_24>,
        Peri<'static, PIN_25>,
        Peri<'static, PIN_23>,
    ),
    /// What speaks with it.
    pub pio: (Peri<'static, PIO0>, Peri<'static, DMA_CH0>),
    /// To the accelerometer: clock, data out, data in, select.
    pub sensor: (
        Peri<'static, PIN_18>,
        Peri<'static, PIN_19>,
        Peri<'static, PIN_16>,
        Peri<'static, PIN_17>,
    ),
    /// What speaks with it.
    pub spi: (Peri<'static, SPI0>, Peri<'static, DMA_CH1>, Peri<'static, DMA_CH2>),
    /// The program's own flash.
    pub flash: Peri<'static, FLASH>,
}

/// Takes the parts out of a chip's peripherals.
macro_rules! parts {
    ($p:ident) => {
        $crate::pico::Parts {
            radio: ($p.PIN_29, $p.PIN_24, $p.PIN_25, $p.PIN_23),
            pio: ($p.PIO0, $p.DMA_CH0),
            sensor: ($p.PIN_18, $p.PIN_19, $p.PIN_16, $p.PIN_17),
            spi: ($p.SPI0, $p.DMA_CH1, $p.DMA_CH2),
            flash: $p.FLASH,
        }
    };
}
pub(crate) use parts;

type Radio = SpiBus<Output<'static>, PioSpi<'static, PIO0, 0>>;

#[embassy_executor::task]
async fn radio(runner: cyw43::Runner<'static, Radio>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, NetDriver<'static>>) -> ! {
    runner.run().await
}

/// Starts the radio, the network stack and the device.
pub async fn run(spawner: Spawner, parts: Parts, mut random: impl Random) -> ! {
    if FIRMWARE.is_empty() || NETWORK.is_empty() {
        defmt::panic!(
            "this image is built without the radio's firmware or without a network; build it with \
             CYW43_FIRMWARE, WIFI_NETWORK and WIFI_PASSWORD (see the board's README)"
        );
    }
    let Ok(host) = HOST.parse::<SocketAddrV4>() else {
        defmt::panic!("SHARELET_HOST={=str} is not an IPv4 address and a port", HOST);
    };
    let mut flash = Flash::<_, Blocking, FLASH_BYTES>::new_blocking(parts.flash);
    let mut page = [0; PAGE_BYTES];
    if flash.blocking_read(KEY_PAGE, &mut page).is_err() {
        defmt::panic!("the key page cannot be read");
    }
    let page = match KeyPage::parse(&page) {
        Ok(page) => page,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    // Ports and sequence numbers of the network stack should not be guessable.
    let mut seed = [0; 8];
    while random.fill(&mut seed).await.is_err() {}

    let (clock, data, select, power) = parts.radio;
    let mut pio = Pio::new(parts.pio.0, Irqs);
    let spi = PioSpi::new(
        &mut pio.common,
        pio.sm0,
        DEFAULT_CLOCK_DIVIDER,
        pio.irq0,
        Output::new(select, Level::High),
        data,
        clock,
        dma::Channel::new(parts.pio.1, Irqs),
    );
    static RADIO: StaticCell<cyw43::State> = StaticCell::new();
    let state = RADIO.init_with(cyw43::State::new);
    let power = Output::new(power, Level::Low);
    let (driver, mut control, runner) = cyw43::new(state, power, spi, FIRMWARE, NVRAM).await;
    // Spawned once, so it is not refused.
    let _ = radio(runner).map(|task| spawner.spawn(task));
    control.init(CLM).await;
    control.set_power_management(PowerManagementMode::PowerSave).await;
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        driver,
        embassy_net::Config::dhcpv4(embassy_net::DhcpConfig::default()),
        RESOURCES.init_with(StackResources::new),
        u64::from_le_bytes(seed),
    );
    // As above.
    let _ = network(runner).map(|task| spawner.spawn(task));
    while control.join(NETWORK, JoinOptions::new(PASSWORD.as_bytes())).await.is_err() {
        defmt::warn!("the network {=str} does not let the board in; trying again", NETWORK);
        Timer::after_secs(1).await;
    }

    let mut config = spi::Config::default();
    config.frequency = 4_000_000;
    let (clock, output, input, select) = parts.sensor;
    let (spi, to, from) = parts.spi;
    let spi = Spi::new(spi, clock, output, input, to, from, Irqs, config);
    let Ok(mut spi) = ExclusiveDevice::new(spi, Output::new(select, Level::High), Delay);
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
    // For readings of 64 values, answers of 16, and networks of 16 layers.
    static MEMORY: ConstStaticCell<Memory<64, 16, 16>> = ConstStaticCell::new(Memory::new());
    let device = Device {
        connector: Tcp::new(stack, host, SOCKET.take()),
        settings: Settings::default(),
        sensor,
        counter: Counter::new(BlockingAsync::new(flash), COUNTER, page.key_id()),
        keys: Keys::new(page, random),
        sink: |inference: &Inference<'_>| {
            defmt::info!("reading {=u32}: class {}", inference.index, inference.class());
        },
        meter: NoMeter,
    };
    device.run(MEMORY.take(), &mut NoRoom).await
}
