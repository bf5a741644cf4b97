//! A device on the UART of an nRF52840-DK, which its USB connector shows to a PC as a serial port.
#![no_std]
#![no_main]
use core::panic::PanicInfo;
use embassy_embedded_hal::adapter::BlockingAsync;
use embassy_nrf::gpio::{AnyPin, Level, Output, OutputDrive};
use embassy_nrf::{
    Peri, bind_interrupts, buffered_uarte as uarte, nvmc::Nvmc, peripherals, rng, spim,
};
use embassy_time::{Delay, Timer};
use embedded_hal_bus::spi::ExclusiveDevice;
use embedded_storage::nor_flash::ReadNorFlash as _;
use sharelet_firmware::board::{NoMeter, NoRandom, NoRoom};
use sharelet_firmware::device::{Device, Inference, Keys, Memory, Settings};
use sharelet_firmware::flash::page::{KeyPage, PAGE_BYTES};
use sharelet_firmware::flash::{Sectors, counter::Counter};
use sharelet_firmware::serial::Serial;
use static_cell::ConstStaticCell;
use vibration::{Accelerometer, Window};

const COUNTER: Sectors = Sectors { first: 0xF_C000, count: 2 }; // where `device.born` was written
const KEY_PAGE: u32 = 0xF_E000; // where `device.page` was written
bind_interrupts!(struct Irqs {
    UARTE0 => uarte::InterruptHandler<peripherals::UARTE0>;
    RNG => rng::InterruptHandler<peripherals::RNG>;
    SPIM3 => spim::InterruptHandler<peripherals::SPI3>;
});

#[embassy_executor::main]
async fn main(_spawner: embassy_executor::Spawner) {
    let p = embassy_nrf::init(embassy_nrf::config::Config::default());
    // Lamps light up when their pin is low: the first one means that no key page is there.
    let lamp = |pin: Peri<'static, AnyPin>| Output::new(pin, Level::High, OutputDrive::Standard);
    let (mut no_page, mut alarm) = (lamp(p.P0_13.into()), lamp(p.P0_14.into()));
    let (mut flash, mut page) = (Nvmc::new(p.NVMC), [0; PAGE_BYTES]);
    let read = flash.read(KEY_PAGE, &mut page).ok().and_then(|()| KeyPage::parse(&page).ok());
    let Some(page) = read else {
        no_page.set_low();
        core::future::pending().await
    };
    let mut generator = rng::Rng::new(p.RNG, Irqs);
    generator.set_bias_correction(true);
    let random = async |bytes: &mut [u8]| -> Result<(), NoRandom> {
        generator.fill_bytes(bytes).await;
        Ok(())
    };
    static RECEIVED: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; 4096]);
    static TO_SEND: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
    let mut config = embassy_nrf::uarte::Config::default();
    config.baudrate = embassy_nrf::uarte::Baudrate::Baud1m;
    let (timer, ppi) = (p.TIMER0, (p.PPI_CH0, p.PPI_CH1, p.PPI_GROUP0));
    let (rxd, txd, cts, rts) = (p.P0_08, p.P0_06, p.P0_07, p.P0_05);
    let (received, to_send) = (RECEIVED.take(), TO_SEND.take());
    let uart = uarte::BufferedUarte::new_with_rtscts(
        p.UARTE0, timer, ppi.0, ppi.1, ppi.2, rxd, txd, cts, rts, Irqs, config, received, to_send,
    );
    let (reader, writer) = uart.split();
    let spi = spim::Spim::new(p.SPI3, Irqs, p.P1_15, p.P1_14, p.P1_13, spim::Config::default());
    let select = Output::new(p.P1_12, Level::High, OutputDrive::Standard);
    let Ok(mut spi) = ExclusiveDevice::new(spi, select, Delay);
    static WINDOW: ConstStaticCell<Window> = ConstStaticCell::new(Window::new());
    let window = WINDOW.take();
    let sensor = loop {
        match Accelerometer::start(&mut spi, &mut *window).await {
            Ok(sensor) => break sensor,
            Err(_) => Timer::after_secs(1).await,
        }
    };
    // For readings of 64 values, answers of 16, and networks of 16 layers.
    static MEMORY: ConstStaticCell<Memory<64, 16, 16>> = ConstStaticCell::new(Memory::new());
    let device = Device {
        connector: Serial::new(reader, writer),
        settings: Settings::default(),
        sensor,
        counter: Counter::new(BlockingAsync::new(flash), COUNTER, page.key_id()),
        keys: Keys::new(page, random),
        // Of the built-in model: `imbalance` and `bearing-fault`.
        sink: |inference: &Inference<'_>| match inference.class() {
            Some(0 | 1) | None => alarm.set_high(),
            Some(_) => alarm.set_low(),
        },
        meter: NoMeter,
    };
    device.run(MEMORY.take(), &mut NoRoom).await
}

/// Nobody reads a log here: the device begins anew.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
