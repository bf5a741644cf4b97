//! Private inference on a Raspberry Pi Pico W: the built-in model on an accelerometer.
#![no_std]
#![no_main]

#[path = "../../pico.rs"]
mod pico;
mod ring;

use embassy_executor::Spawner;
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, DMA_CH2, PIO0};
use embassy_rp::{bind_interrupts, dma, pio as rp_pio};
use ring::Ring;

const FLASH_BYTES: usize = 2048 * 1024;

bind_interrupts!(struct Irqs {
    PIO0_IRQ_0 => rp_pio::InterruptHandler<PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>,
        dma::InterruptHandler<DMA_CH2>;
});

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    pico::run(spawner, pico::parts!(p), Ring).await
}
