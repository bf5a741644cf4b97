//! Private inference on an ESP32-C3: the built-in model on an accelerometer, over Wi-Fi.
#![no_std]
#![no_main]

use core::net::SocketAddrV4;
use core::panic::PanicInfo;

use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_executor::Spawner;
use embassy_net::{Runner, StackResources};
use embassy_time::{Delay, Timer};
use embedded_hal_bus::spi::ExclusiveDevice;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::rng::Trng;
use esp_hal::spi::Mode;
use esp_hal::spi::master::{Config, Spi};
use esp_hal::time::Rate;
use esp_hal::timer::timg::TimerGroup;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{AuthenticationMethodConfig, Interface, Password, Ssid, WifiController};
use esp_storage::FlashStorage;
use sharelet_firmware::board::{NoMeter, NoRandom, NoRoom};
use sharelet_firmware::device::{Device, Inference, Keys, Memory, Settings};
use sharelet_firmware::flash::Sectors;
use sharelet_firmware::flash::counter::Counter;
use sharelet_firmware::flash::page::{KeyPage, PAGE_BYTES};
use sharelet_firmware::tcp::Tcp;
use static_cell::{ConstStaticCell, StaticCell};
use vibration::{Accelerometer, Window};

/// Where `sharelet host` listens, and the Wi-Fi network: said when the program is built.
const HOST: &str = or(option_env!("SHARELET_HOST"), "192.168.1.10:7101");
const NETWORK: &str = or(option_env!("WIFI_NETWORK"), "");
const PASSWORD: &str = or(option_env!("WIFI_PASSWORD"), "");

/// Offsets into 4 MB of flash, beyond the program's partition.
const COUNTER: Sectors = Sectors { first: 0x3F_C000, count: 2 };
const KEY_PAGE: u32 = 0x3F_E000;

const fn or(given: Option<&'static str>, otherwise: &'static str) -> &'static str {
    match given {
        Some(given) => given,
        None => otherwise,
    }
}

esp_bootloader_esp_idf::esp_app_desc!();

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

/// Says what is missing, now and then: the log may be looked at late.
async fn missing(what: &str) -> ! {
    loop {
        log::error!("{what}");
        Timer::after_secs(10).await;
    }
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    esp_println::logger::init_logger(log::LevelFilter::Info);
    let p = esp_hal::init(esp_hal::Config::default());
    esp_alloc::heap_allocator!(size: 72 * 1024);
    esp_rtos::start(TimerGroup::new(p.TIMG0).timer0, p.FROM_CPU_INTR0);
    if NETWORK.is_empty() {
        missing("this image is built without a network; give WIFI_NETWORK and WIFI_PASSWORD").await;
    }
    let Ok(host) = HOST.parse::<SocketAddrV4>() else {
        missing("SHARELET_HOST is not an IPv4 address and a port").await
    };
    let (mut flash, mut page) = (FlashStorage::new(p.FLASH), [0; PAGE_BYTES]);
    let read = flash.read(KEY_PAGE, &mut page);
    let page = match KeyPage::parse(&page) {
        Ok(page) if read.is_ok() => page,
        _ => missing("there is no key page at 0x3FE000; write device.page there").await,
    };

    // The radio is also what the random number generator takes its noise from.
    let Ok(mut controller) = WifiController::new(p.WIFI, Default::default()) else {
        missing("the radio does not start").await
    };
    let Ok(generator) = Trng::try_new() else {
        missing("the random number generator has no source of noise").await
    };
    let random = async |bytes: &mut [u8]| -> Result<(), NoRandom> {
        generator.read(bytes);
        Ok(())
    };
    let mut seed = [0; 8];
    generator.read(&mut seed);
    let (Ok(ssid), Ok(password)) = (Ssid::try_from(NETWORK), Password::try_from(PASSWORD)) else {
        missing("WIFI_NETWORK or WIFI_PASSWORD is too long").await
    };
    let authentication = AuthenticationMethodConfig::Wpa2Personal(password);
    let station = StationConfig::default().with_ssid(ssid).with_authentication(authentication);
    if controller.set_config(&esp_radio::wifi::Config::Station(station)).is_err() {
        missing("the radio does not take WIFI_NETWORK and WIFI_PASSWORD").await;
    }
    while let Err(error) = controller.connect_async().await {
        log::warn!("the network {NETWORK} does not let the board in: {error:?}");
        Timer::after_secs(1).await;
    }
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        Interface::station(),
        embassy_net::Config::dhcpv4(embassy_net::DhcpConfig::default()),
        RESOURCES.init_with(StackResources::new),
        u64::from_le_bytes(seed),
    );
    // Spawned once, so it is not refused.
    let _ = network(runner).map(|task| spawner.spawn(task));

    let config = Config::default().with_frequency(Rate::from_mhz(4)).with_mode(Mode::_0);
    let spi = match Spi::new(p.SPI2, config) {
        Ok(spi) => spi.with_sck(p.GPIO6).with_mosi(p.GPIO7).with_miso(p.GPIO2).into_async(),
        Err(_) => missing("SPI does not take its frequency").await,
    };
    let select = Output::new(p.GPIO10, Level::High, OutputConfig::default());
    let Ok(mut spi) = ExclusiveDevice::new(spi, select, Delay);
    static WINDOW: ConstStaticCell<Window> = ConstStaticCell::new(Window::new());
    let window = WINDOW.take();
    let sensor = loop {
        match Accelerometer::start(&mut spi, &mut *window).await {
            Ok(sensor) => break sensor,
            Err(error) => log::warn!("{error}"),
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
            log::info!("reading {}: class {:?}", inference.index, inference.class());
        },
        meter: NoMeter,
    };
    device.run(MEMORY.take(), &mut NoRoom).await
}

/// The device begins anew.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    log::error!("{info}");
    esp_hal::system::software_reset()
}
