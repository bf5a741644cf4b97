//! Chapters 4, 5 and 7: where a network's bytes go, how near a table is, what trust costs.

use sharelet_core::functions::engine::offline::{Count, Offline, Usage};
use sharelet_core::functions::engine::{Comparison, Engine, Settings};
use sharelet_core::functions::program::choice;
use sharelet_core::functions::tables;
use sharelet_core::session::network::{Activation, Layer, Network};

use super::canvas::{BACK, Canvas, DEALER, P0, P1, PUBLIC};
use super::sharing::position;
use crate::pair::{Failed, Program};

/// The shapes of the built-in network: 27-32-16-4.
pub fn built_in() -> Result<Network<8>, Failed> {
    let layers = [
        Layer::dense(27, 32, 8, 8, Activation::Relu),
        Layer::dense(32, 16, 8, 8, Activation::Relu),
        Layer::dense(16, 4, 8, 0, Activation::Identity),
    ];
    Ok(Network::new(8, 1 << 12, &layers)?)
}

/// Bytes of each layer, by who sends them.
pub fn bytes() -> Result<String, Failed> {
    let network = built_in()?;
    let mut canvas = Canvas::new(720, 320);
    for (index, layer) in network.layers().iter().enumerate() {
        let cost = network.layer_cost(index);
        let y = 20.0 + 100.0 * position(index)?;
        let name = format!("layer {}: {} to {}", index + 1, layer.inputs(), layer.outputs());
        canvas.words(10.0, y + 12.0, PUBLIC, &name);
        let rows = [
            ("up, prepared", cost.prepare.bytes, P0),
            ("up", cost.up.bytes, P0),
            ("down", cost.down.bytes, P1),
            ("dealt", cost.dealer_bytes, DEALER),
        ];
        for (row, (what, bytes, colour)) in rows.into_iter().enumerate() {
            let y = y + 20.0 * position(row)?;
            // Square roots: small numbers show beside large ones.
            let width = f64::from(u32::try_from(bytes)?).sqrt() * 1.7;
            canvas.ending(260.0, y + 12.0, PUBLIC, what);
            canvas.rect([268.0, y, width, 15.0], colour);
            canvas.words(276.0 + width, y + 12.0, PUBLIC, &bytes.to_string());
        }
    }
    canvas.finish()
}

/// The error of the table of the sigmoid with 8 fraction bits, at every word of its domain.
pub fn sigmoid() -> Result<String, Failed> {
    let table = tables::sigmoid(8).ok_or("a table of 8 bits")?;
    let mut canvas = Canvas::new(720, 260);
    let (middle, unit) = (130.0, 700.0);
    canvas.line([40.0, middle, 700.0, middle], BACK);
    for bound in [table.bound, -table.bound] {
        let y = middle - unit * f64::from(bound);
        canvas.line([40.0, y, 700.0, y], P1);
    }
    canvas.words(44.0, 28.0, P1, &format!("the proven bound: {} units", table.bound));
    let places = f64::from(i32::try_from(table.end() - table.low)?);
    let points = (0..).zip(table.low..table.end()).filter_map(|(at, x)| {
        #[allow(clippy::cast_precision_loss, reason = "2^60 steps to a unit")]
        let value = table.value(x)? as f64 / f64::from(2_u32).powi(table.value_frac_bits.into());
        let real = f64::from(i32::try_from(x).ok()?) / 256.0;
        let error = (value - 1.0 / (1.0 + (-real).exp())) * 256.0;
        Some((40.0 + 660.0 * f64::from(at) / places, middle - unit * error))
    });
    canvas.path(points, P0);
    for whole in [-6_i32, -4, -2, 0, 2, 4, 6] {
        let at = f64::from(whole) + 7.0;
        canvas.centred(40.0 + 660.0 * at / 14.0, 250.0, PUBLIC, &whole.to_string());
    }
    canvas.finish()
}

/// A ReLU that drops 12 bits.
struct Gate;

impl Program for Gate {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        choice::relu_shift(engine, 12, words).await
    }
}

/// What a thousand ReLUs cost with each kind of correlations.
pub fn comparisons() -> Result<[(&'static str, Usage); 3], Failed> {
    let usage = |comparison: Comparison| -> Result<Usage, Failed> {
        let mut counting = Offline::new(Count::default(), Settings::from(comparison));
        embassy_futures::block_on(Gate.run(&mut counting, &mut vec![0; 1000]))?;
        Ok(counting.into_task().0)
    };
    Ok([
        ("tables, by a dealer", usage(Comparison::Tables)?),
        ("bits of the mask", usage(Comparison::Bits)?),
        ("transfers, by two alone", usage(Comparison::Ot)?),
    ])
}

/// The same as bars.
pub fn trust() -> Result<String, Failed> {
    let mut canvas = Canvas::new(720, 190);
    for (index, (name, usage)) in comparisons()?.into_iter().enumerate() {
        let y = 16.0 + 58.0 * position(index)?;
        canvas.ending(210.0, y + 14.0, PUBLIC, name);
        let messages = f64::from(u32::try_from(usage.messages)?);
        canvas.rect([220.0, y, 30.0 * messages, 18.0], P0);
        let words = format!("{} messages", usage.messages);
        canvas.words(228.0 + 30.0 * messages, y + 14.0, PUBLIC, &words);
        let bytes = f64::from(u32::try_from(usage.online_bytes)?) / 1000.0;
        canvas.rect([220.0, y + 22.0, 8.0 * bytes, 18.0], P1);
        let words = format!("{bytes:.1} bytes of either party");
        canvas.words(228.0 + 8.0 * bytes, y + 36.0, PUBLIC, &words);
    }
    canvas.finish()
}
