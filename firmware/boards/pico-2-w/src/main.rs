//! Private inference on a Raspberry Pi Pico 2 W: the built-in model on an accelerometer.
#![no_std]
#![no_main]

#[path = "../../pico.rs"]
mod pico;

use embassy_executor::Spawner;
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, DMA_CH2, PIO0, TRNG};
use embassy_rp::trng::{self, Trng};
use embassy_rp::{bind_interrupts, dma, pio as rp_pio};
use sharelet_firmware::board::NoRandom;

const FLASH_BYTES: usize = 4096 * 1024;

bind_interrupts!(struct Irqs {
    PIO0_IRQ_0 => rp_pio::InterruptHandler<PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>,
        dma::InterruptHandler<DMA_CH2>;
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
});

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    // Its driver repeats what fails its tests.
    let mut trng = Trng::new(p.TRNG, Irqs, trng::Config::default());
    let random = async move |bytes: &mut [u8]| -> Result<(), NoRandom> {
        trng.fill_bytes(bytes).await;
        Ok(())
    };
    pico::run(spawner, pico::parts!(p), random).await
}
