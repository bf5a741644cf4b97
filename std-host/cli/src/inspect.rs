//! `sharelet inspect`: what a model costs, before it is run.

use core::time::Duration;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use sharelet_core::session::network::{Activation, Layer};

use super::common::{Answer, WrongArguments, output};
use super::terminal::width;
use super::units::{parse_bandwidth, parse_duration, parse_svg_path};
use crate::plot::{Bars, Panel};
use sharelet_model::Model;

const EXAMPLES: &str = include_str!("examples/inspect.txt");

/// What a board's TCP buffers and fixed buffers take, in bytes: `firmware` has 4 KB each way.
const SOCKET_BYTES: usize = 8192;

/// Arguments of `sharelet inspect`.
#[derive(Args, Debug, Clone)]
#[command(about = "Show what a model costs, before running it", after_help = EXAMPLES)]
pub struct InspectArgs {
    /// The model.
    #[arg(value_name = "MODEL.slt")]
    pub model: PathBuf,
    /// Round-trip time between device and host.
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_duration)]
    pub rtt: Duration,
    /// Bandwidth each way, in bits per second.
    #[arg(long, value_name = "BITS", default_value = "10mbit", value_parser = parse_bandwidth)]
    pub bandwidth: f64,
    /// Who learns the answers.
    #[arg(long, value_enum, default_value_t = Answer::Device)]
    pub answer: Answer,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Also show the cost per layer as bars, or write them to a file.
    #[arg(long, value_name = "FILE.svg", num_args = 0..=1, value_parser = parse_svg_path)]
    #[allow(clippy::option_option)]
    pub plot: Option<Option<PathBuf>>,
}

/// A layer; the fields are those of the JSON.
#[derive(Serialize)]
struct Row {
    inputs: u16,
    outputs: u16,
    shape: String,
    skip_from: Option<u8>,
    weight_frac_bits: u8,
    shift: u8,
    /// Width of the gate; 0 where there is none.
    gate_bits: u8,
    relu: bool,
    digits: Vec<u8>,
    prepare_bytes: u64,
    up_bytes: u64,
    down_bytes: u64,
    dealer_bytes: u64,
    prepare_blocks: u64,
    online_blocks: u64,
}

/// A model; the fields are those of the JSON. Times are on the network that was asked for.
#[derive(Serialize)]
struct Costs<'m> {
    name: &'m str,
    inputs: usize,
    outputs: usize,
    layers: Vec<Row>,
    prepare_up_bytes: u64,
    online_up_bytes: u64,
    online_down_bytes: u64,
    round_trips: u32,
    dealer_bytes: u64,
    prepare_blocks: u64,
    online_blocks: u64,
    device_buffer_bytes: usize,
    prepare_seconds: f64,
    online_seconds: f64,
    #[serde(skip)]
    device_dealer_bytes: u64,
}

impl Row {
    fn of((index, layer): (usize, &Layer), model: &Model) -> Self {
        let cost = model.network.layer_cost(index);
        let digits = model.network.gate(index).map(|digits| digits.widths().to_vec());
        Self {
            inputs: layer.inputs(),
            outputs: layer.outputs(),
            shape: layer.shape.to_string(),
            skip_from: layer.skip.map(|skip| skip.from),
            weight_frac_bits: layer.weight_frac_bits,
            shift: layer.shift,
            gate_bits: if digits.is_some() { layer.gate_bits } else { 0 },
            relu: layer.activation == Activation::Relu,
            digits: digits.unwrap_or_default(),
            prepare_bytes: cost.prepare.bytes,
            up_bytes: cost.up.bytes,
            down_bytes: cost.down.bytes,
            dealer_bytes: cost.dealer_bytes,
            prepare_blocks: cost.prepare_blocks,
            online_blocks: cost.online_blocks,
        }
    }

    /// The shape, and what is carried over.
    fn label(&self) -> String {
        let skip = self.skip_from.map(|from| format!(" + input of {from}")).unwrap_or_default();
        format!("{}{skip}", self.shape)
    }
}

impl<'m> Costs<'m> {
    /// Every round trip waits once, and every byte passes the link. The firmware's device task
    /// holds buffers for readings, input and answer, and the sockets'.
    #[allow(clippy::cast_precision_loss)]
    fn of(model: &'m Model, args: &InspectArgs) -> Self {
        let network = &model.network;
        let cost = network.session_cost(args.answer.into());
        let rtt = args.rtt.as_secs_f64();
        let pass = |bytes: u64| bytes as f64 * 8.0 / args.bandwidth;
        Self {
            name: &model.name,
            inputs: network.inputs(),
            outputs: network.outputs(),
            layers: network.layers().iter().enumerate().map(|row| Row::of(row, model)).collect(),
            prepare_up_bytes: cost.prepare_up_bytes,
            online_up_bytes: cost.online_up_bytes,
            online_down_bytes: cost.online_down_bytes,
            round_trips: cost.round_trips,
            dealer_bytes: cost.dealer_bytes,
            prepare_blocks: cost.prepare_blocks,
            online_blocks: cost.online_blocks,
            device_buffer_bytes: SOCKET_BYTES + 4 * (2 * network.inputs() + network.outputs()),
            prepare_seconds: rtt + pass(cost.prepare_up_bytes),
            online_seconds: rtt * f64::from(cost.round_trips)
                + pass(cost.online_up_bytes + cost.online_down_bytes),
            device_dealer_bytes: cost.device_dealer_bytes,
        }
    }
}

/// Prints the cost.
///
/// # Errors
/// The model cannot be read, or the chart not be written; `--json` beside a chart on the terminal.
pub fn run(args: &InspectArgs) -> Result<()> {
    if args.json && args.plot == Some(None) {
        let both = "--json and --plot both print; give --plot a file, such as --plot cost.svg";
        return Err(WrongArguments(both.to_owned()).into());
    }
    let model = Model::load(&args.model)?;
    let costs = Costs::of(&model, args);
    let mut text = if args.json {
        format!("{}\n", serde_json::to_string(&costs)?)
    } else {
        table(&costs, args)
    };
    match &args.plot {
        None => {}
        Some(Some(path)) => bars(&costs).save_svg(path)?,
        Some(None) => text.push_str(&format!("\n{}", bars(&costs).terminal(width()))),
    }
    output(&text)
}

/// The cost per layer, a panel for each quantity.
#[allow(clippy::cast_precision_loss)]
fn bars(costs: &Costs<'_>) -> Bars {
    let panel = |name: &str, cost: fn(&Row) -> u64| {
        let bar =
            |(index, row): (usize, &Row)| (format!("{index}: {}", row.label()), cost(row) as f64);
        Panel { name: name.to_owned(), bars: costs.layers.iter().enumerate().map(bar).collect() }
    };
    Bars {
        title: format!("{}: cost per layer", costs.name),
        panels: vec![
            panel("preparation: bytes up", |row| row.prepare_bytes),
            panel("online: bytes up", |row| row.up_bytes),
            panel("online: bytes down", |row| row.down_bytes),
            panel("dealer to host: bytes", |row| row.dealer_bytes),
            panel("preparation: keystream blocks on the device", |row| row.prepare_blocks),
            panel("online: keystream blocks on the device", |row| row.online_blocks),
        ],
    }
}

fn table(costs: &Costs<'_>, args: &InspectArgs) -> String {
    let mut text = format!("{}\n\n", costs.name);
    text.push_str(
        "layer                                shape  w.frac  shift  act   gate  digits        \
         prepare B      up B    down B    dealer B   blocks prep    online\n",
    );
    for (index, row) in costs.layers.iter().enumerate() {
        let shape = row.label();
        let digits = row.digits.iter().map(u8::to_string).collect::<Vec<_>>().join("/");
        let digits = if digits.is_empty() { "-".to_owned() } else { digits };
        let gate = if row.gate_bits == 0 { "-".to_owned() } else { row.gate_bits.to_string() };
        let act = if row.relu { "relu" } else { "-" };
        text.push_str(&format!(
            "{index:>5} {shape:>36}  {:>6}  {:>5}  {act:<4}  {gate:>4}  {digits:<12} {:>10} {:>9} \
             {:>9} {:>11} {:>13} {:>9}\n",
            row.weight_frac_bits,
            row.shift,
            row.prepare_bytes,
            row.up_bytes,
            row.down_bytes,
            row.dealer_bytes,
            row.prepare_blocks,
            row.online_blocks,
        ));
    }
    text.push_str(&format!(
        "\nper inference, frames included, without the session's request and grant (14 bytes):\n  \
         preparation        {} bytes up, {} keystream blocks on the device\n  online             \
         {} bytes up, {} down, {} round trips, {} keystream blocks\n  dealer to host     {} \
         bytes\n  dealer to device   {} bytes (a key and a counter)\n  device memory      {} \
         bytes in buffers, whatever the hidden layers\n  time on a network of {:?} and {:.3} \
         Mbit/s: preparation {:.1} ms, online {:.1} ms\n",
        costs.prepare_up_bytes,
        costs.prepare_blocks,
        costs.online_up_bytes,
        costs.online_down_bytes,
        costs.round_trips,
        costs.online_blocks,
        costs.dealer_bytes,
        costs.device_dealer_bytes,
        costs.device_buffer_bytes,
        args.rtt,
        args.bandwidth / 1e6,
        costs.prepare_seconds * 1e3,
        costs.online_seconds * 1e3,
    ));
    text
}
