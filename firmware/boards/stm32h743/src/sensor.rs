//! An analogue three-axis accelerometer on A0, A1 and A3. Replace it with your own.

use core::convert::Infallible;

use embassy_stm32::adc::{Adc, AnyAdcChannel, SampleTime};
use embassy_stm32::peripherals::ADC1;
use embassy_time::{Duration, Ticker};
use sharelet_firmware::board::Sensor;

use crate::features::{AXES, COUNT, RATE, SAMPLES, Window};

/// An ADXL335 at 3.3 V: 16 bits of the converter over 3.3 V, 330 mV per g.
const G_PER_COUNT: f32 = 3.3 / 65_536.0 / 0.33;
/// A tick of the clock is a microsecond, which makes the rate 0.2 % too high.
const PERIOD: Duration = Duration::from_micros((1e6 / RATE) as u64);

/// The converter and its channels.
pub struct Accelerometer {
    /// The converter.
    pub adc: Adc<'static, ADC1>,
    /// x, y and z.
    pub channels: [AnyAdcChannel<'static, ADC1>; AXES],
    /// Where samples are collected.
    pub window: &'static mut Window,
}

impl Sensor for Accelerometer {
    type Error = Infallible;

    fn width(&self) -> Option<usize> {
        Some(COUNT)
    }

    async fn read(&mut self, features: &mut [f32]) -> Result<(), Infallible> {
        let mut ticker = Ticker::every(PERIOD);
        for sample in 0..SAMPLES {
            for (channel, axis) in self.channels.iter_mut().zip(&mut self.window.axes) {
                axis[sample] = f32::from(self.adc.blocking_read(channel, SampleTime::CYCLES64_5))
                    * G_PER_COUNT;
            }
            ticker.next().await;
        }
        self.window.features(features);
        Ok(())
    }
}
