//! The smallest complete program: an analogue sensor on pin A0, answers in the log.
#![no_std]
#![no_main]
use core::convert::Infallible;
use embassy_net::{Config, Ipv4Address, Runner, StackResources};
use embassy_stm32::adc::{Adc, SampleTime};
use embassy_stm32::eth::{Ethernet, GenericPhy, InterruptHandler, PacketQueue, Sma};
use embassy_stm32::{Peri, bind_interrupts, flash::Flash, peripherals::*, rcc::mux::Adcsel, rng};
use sharelet_firmware::board::{NoMeter, NoRandom, NoRoom, Sensor};
use sharelet_firmware::device::{Device, Inference, Keys, Memory, Settings};
use sharelet_firmware::flash::page::{KeyPage, PAGE_BYTES};
use sharelet_firmware::flash::{Sectors, counter::Counter};
use sharelet_firmware::tcp::Tcp;
use static_cell::{ConstStaticCell, StaticCell};
use {defmt_rtt as _, panic_probe as _};
#[path = "../flash.rs"]
mod flash; // reads words whose write was cut

const HOST: (Ipv4Address, u16) = (Ipv4Address::new(192, 168, 1, 10), 7101);
const MAC: [u8; 6] = [0x02, 0x53, 0x4C, 0x54, 0x00, 0x02];
const COUNTER: Sectors = Sectors { first: 0x1A_0000, count: 2 }; // where `device.born` was
const KEY_PAGE: u32 = 0x1E_0000; // where `device.page` was written
bind_interrupts!(struct Irqs { ETH => InterruptHandler; RNG => rng::InterruptHandler<RNG>; });
struct Light(Adc<'static, ADC1>, Peri<'static, PA3>);
impl Sensor for Light {
    type Error = Infallible;
    fn width(&self) -> Option<usize> {
        Some(32) // values of a reading; the host's model must take as many
    }
    async fn read(&mut self, features: &mut [f32]) -> Result<(), Infallible> {
        for feature in features {
            *feature =
                f32::from(self.0.blocking_read(&mut self.1, SampleTime::CYCLES64_5)) / 65_536.0;
            embassy_time::Timer::after_millis(10).await;
        }
        Ok(())
    }
}

#[embassy_executor::task]
async fn network(
    mut runner: Runner<'static, Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>>,
) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: embassy_executor::Spawner) {
    let mut config = embassy_stm32::Config::default();
    config.rcc.mux.adcsel = Adcsel::PER;
    let p = embassy_stm32::init(config);
    let (mut flash, mut rng, mut seed) =
        (flash::EccFlash(Flash::new_blocking(p.FLASH)), rng::Rng::new(p.RNG, Irqs), [0; 8]);
    while rng.async_fill_bytes(&mut seed).await.is_err() {} // until the generator is healthy
    static QUEUE: StaticCell<PacketQueue<4, 4>> = StaticCell::new();
    static SOCKETS: StaticCell<StackResources<2>> = StaticCell::new();
    // For readings of 32 values, answers of 16, and networks of 8 layers.
    static MEMORY: ConstStaticCell<Memory<32, 16, 8>> = ConstStaticCell::new(Memory::new());
    let (queue, sockets) =
        (QUEUE.init_with(PacketQueue::new), SOCKETS.init_with(StackResources::new));
    let (irq, sma, mdio, mdc) = (Irqs, p.ETH_SMA, p.PA2, p.PC1);
    let ethernet = Ethernet::new(
        queue, p.ETH, irq, p.PA1, p.PA7, p.PC4, p.PC5, p.PG13, p.PB13, p.PG11, MAC, sma, mdio, mdc,
    );
    let (stack, runner) = embassy_net::new(
        ethernet,
        Config::dhcpv4(Default::default()),
        sockets,
        u64::from_le_bytes(seed),
    );
    spawner.spawn(defmt::unwrap!(network(runner)));
    let mut page = [0; PAGE_BYTES];
    defmt::unwrap!(flash.blocking_read(KEY_PAGE, &mut page).ok());
    let page = defmt::unwrap!(KeyPage::parse(&page));
    let random = async |bytes: &mut [u8]| rng.async_fill_bytes(bytes).await.map_err(|_| NoRandom);
    let sensor = Light(Adc::new(p.ADC1), p.PA3);
    let counter = Counter::new(flash, COUNTER, page.key_id());
    let keys = Keys::new(page, random);
    let sink = |inference: &Inference<'_>| defmt::info!("the answer: class {}", inference.class());
    static SOCKET: ConstStaticCell<[u8; 8192]> = ConstStaticCell::new([0; 8192]);
    let (connector, settings) = (Tcp::new(stack, HOST, SOCKET.take()), Settings::default());
    Device { connector, settings, sensor, keys, counter, sink, meter: NoMeter }
        .run(MEMORY.take(), &mut NoRoom)
        .await
}
