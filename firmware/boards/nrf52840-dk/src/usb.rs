//! A device on the USB connector of an nRF52840's own, as a serial port of a PC; its log goes to a
//! debugger.
#![no_std]
#![no_main]

use defmt_rtt as _;
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_executor::Spawner;
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::usb::vbus_detect::{self, HardwareVbusDetect};
use embassy_nrf::usb::{self, Driver};
use embassy_nrf::{bind_interrupts, peripherals, rng, spim};
use embassy_time::{Delay, Timer};
use embassy_usb::class::cdc_acm::{CdcAcmClass, State};
use embassy_usb::{Builder, Config, UsbDevice};
use embedded_hal_bus::spi::ExclusiveDevice;
use embedded_storage::nor_flash::ReadNorFlash as _;
use panic_probe as _;
use sharelet_firmware::board::{NoMeter, NoRandom, NoRoom};
use sharelet_firmware::device::{Device, Inference, Keys, Memory, Settings};
use sharelet_firmware::flash::Sectors;
use sharelet_firmware::flash::counter::Counter;
use sharelet_firmware::flash::page::{KeyPage, PAGE_BYTES};
use sharelet_firmware::serial::Serial;
use static_cell::{ConstStaticCell, StaticCell};
use vibration::{Accelerometer, Window};

const COUNTER: Sectors = Sectors { first: 0xF_C000, count: 2 };
const KEY_PAGE: u32 = 0xF_E000;
/// Bytes of a packet on a bus of full speed.
const PACKET_BYTES: u16 = 64;

bind_interrupts!(struct Irqs {
    USBD => usb::InterruptHandler<peripherals::USBD>;
    CLOCK_POWER => vbus_detect::InterruptHandler;
    RNG => rng::InterruptHandler<peripherals::RNG>;
    SPIM3 => spim::InterruptHandler<peripherals::SPI3>;
});

type Usb = Driver<'static, HardwareVbusDetect>;

#[embassy_executor::task]
async fn bus(mut device: UsbDevice<'static, Usb>) -> ! {
    device.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let mut config = embassy_nrf::config::Config::default();
    // USB wants the crystal.
    config.hfclk_source = embassy_nrf::config::HfclkSource::ExternalXtal;
    let p = embassy_nrf::init(config);
    let (mut flash, mut page) = (Nvmc::new(p.NVMC), [0; PAGE_BYTES]);
    if flash.read(KEY_PAGE, &mut page).is_err() {
        defmt::panic!("the key page cannot be read");
    }
    let page = match KeyPage::parse(&page) {
        Ok(page) => page,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    let mut generator = rng::Rng::new(p.RNG, Irqs);
    generator.set_bias_correction(true);
    let random = async |bytes: &mut [u8]| -> Result<(), NoRandom> {
        generator.fill_bytes(bytes).await;
        Ok(())
    };

    // A number for tests; a product has one of its own.
    let mut config = Config::new(0xC0DE, 0xCAFE);
    config.product = Some("sharelet device");
    static DESCRIPTORS: ConstStaticCell<[[u8; 256]; 4]> = ConstStaticCell::new([[0; 256]; 4]);
    let [configuration, system, strings, control] = DESCRIPTORS.take();
    let driver = Driver::new(p.USBD, Irqs, HardwareVbusDetect::new(Irqs));
    let mut builder = Builder::new(driver, config, configuration, system, strings, control);
    static STATE: StaticCell<State<'static>> = StaticCell::new();
    let class = CdcAcmClass::new(&mut builder, STATE.init_with(State::new), PACKET_BYTES);
    // Spawned once, so it is not refused.
    let _ = bus(builder.build()).map(|task| spawner.spawn(task));
    let (writer, reader) = class.split();
    static RECEIVED: ConstStaticCell<[u8; 64]> = ConstStaticCell::new([0; 64]);
    let reader = reader.into_buffered(RECEIVED.take());

    let spi = spim::Spim::new(p.SPI3, Irqs, p.P1_15, p.P1_14, p.P1_13, spim::Config::default());
    let select = Output::new(p.P1_12, Level::High, OutputDrive::Standard);
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
    // For readings of 64 values, answers of 16, and networks of 16 layers.
    static MEMORY: ConstStaticCell<Memory<64, 16, 16>> = ConstStaticCell::new(Memory::new());
    let device = Device {
        connector: Serial::new(reader, writer),
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
