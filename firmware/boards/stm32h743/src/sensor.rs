//! An analogue three-axis accelerometer on A0, A1 and A3, as windows of statistics. Replace it with your own.

use core::convert::Infallible;

use embassy_stm32::adc::{Adc, AnyAdcChannel, SampleTime};
use embassy_stm32::peripherals::ADC1;
use embassy_time::{Duration, Ticker};
use sharelet_firmware::board::Sensor;

const AXES: usize = 3;
const STATISTICS: usize = 8;
const WINDOW: usize = 256;
const SAMPLE_PERIOD: Duration = Duration::from_millis(1);
/// An ADXL335 at 3.3 V: 16 bits of the converter over 3.3 V, 330 mV per g.
const G_PER_COUNT: f32 = 3.3 / 65_536.0 / 0.33;

/// The converter and its channels.
pub struct Accelerometer {
    adc: Adc<'static, ADC1>,
    channels: [AnyAdcChannel<'static, ADC1>; AXES],
    window: [[f32; WINDOW]; AXES],
}

impl Accelerometer {
    /// Samples `channels` with `adc`.
    pub fn new(adc: Adc<'static, ADC1>, channels: [AnyAdcChannel<'static, ADC1>; AXES]) -> Self {
        Self { adc, channels, window: [[0.0; WINDOW]; AXES] }
    }
}

impl Sensor for Accelerometer {
    type Error = Infallible;

    fn width(&self) -> Option<usize> {
        Some(AXES * STATISTICS)
    }

    async fn read(&mut self, features: &mut [f32]) -> Result<(), Infallible> {
        let mut ticker = Ticker::every(SAMPLE_PERIOD);
        for sample in 0..WINDOW {
            for (channel, window) in self.channels.iter_mut().zip(&mut self.window) {
                window[sample] = f32::from(self.adc.blocking_read(channel, SampleTime::CYCLES64_5)) * G_PER_COUNT;
            }
            ticker.next().await;
        }
        for (feature, value) in features.iter_mut().zip(self.window.iter().flat_map(statistics)) {
            *feature = value;
        }
        Ok(())
    }
}

/// Mean, mean deviation, lowest, highest, crossings of the mean per sample, and energy of the first to third difference.
fn statistics(window: &[f32; WINDOW]) -> [f32; STATISTICS] {
    let count = WINDOW as f32;
    let mean = window.iter().sum::<f32>() / count;
    let deviation = window.iter().map(|v| (v - mean).abs()).sum::<f32>() / count;
    let lowest = window.iter().copied().fold(f32::MAX, f32::min);
    let highest = window.iter().copied().fold(f32::MIN, f32::max);
    let crossings = window.windows(2).filter(|pair| (pair[0] < mean) != (pair[1] < mean)).count() as f32 / count;
    let mut difference = *window;
    let energy = [1, 2, 3].map(|order| {
        let length = WINDOW - order;
        for index in 0..length {
            difference[index] = difference[index + 1] - difference[index];
        }
        difference[..length].iter().map(|v| v * v).sum::<f32>() / length as f32
    });
    [mean, deviation, lowest, highest, crossings, energy[0], energy[1], energy[2]]
}
