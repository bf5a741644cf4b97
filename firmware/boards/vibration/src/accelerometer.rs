//! An ADXL355 on SPI: an accelerometer for vibration, of 20 bits, 4,000 samples per second.

use core::fmt;

use adi_adxl355_async::{Adxl355, Config, Odr, Range, SpiProtocol};
use embassy_time::{Duration, Ticker};
use embedded_hal_async::spi::SpiDevice;
use sharelet_firmware::board::Sensor;

use crate::features::{COUNT, RATE, SAMPLES, Window};

/// A tick of the clock is a microsecond, which makes the rate 0.2 % too high; or a
/// thirty-thousandth of a second, which makes it 2.4 % too high.
const PERIOD: Duration = Duration::from_micros((1e6 / RATE) as u64);

/// The accelerometer gives no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReading;

impl fmt::Display for NoReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the accelerometer does not answer; check its wiring and its power")
    }
}

/// The accelerometer, and where its samples are collected.
pub struct Accelerometer<'w, S: SpiDevice> {
    device: Adxl355<SpiProtocol<S>>,
    window: &'w mut Window,
}

impl<'w, S: SpiDevice> Accelerometer<'w, S> {
    /// Starts it: 2 g either way, as many samples as it gives. SPI runs at up to 10 MHz, mode 0.
    ///
    /// # Errors
    /// [`NoReading`].
    pub async fn start(spi: S, window: &'w mut Window) -> Result<Self, NoReading> {
        let config = Config { range: Range::_2G, odr: Odr::_4000Hz, ..Config::default() };
        let device = Adxl355::new_spi_with_config(spi, config).await;
        let mut device = device.map_err(|_| NoReading)?;
        device.set_measurement_mode().await.map_err(|_| NoReading)?;
        Ok(Self { device, window })
    }
}

impl<S: SpiDevice> Sensor for Accelerometer<'_, S> {
    type Error = NoReading;

    fn width(&self) -> Option<usize> {
        Some(COUNT)
    }

    async fn read(&mut self, features: &mut [f32]) -> Result<(), NoReading> {
        let mut ticker = Ticker::every(PERIOD);
        for sample in 0..SAMPLES {
            let g = self.device.get_accel_sample().await.map_err(|_| NoReading)?;
            for (axis, value) in self.window.axes.iter_mut().zip([g.x, g.y, g.z]) {
                axis[sample] = value;
            }
            ticker.next().await;
        }
        self.window.features(features);
        Ok(())
    }
}
