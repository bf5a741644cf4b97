//! `sharelet inspect`: what a model costs, before it is run.

use core::time::Duration;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use sharelet_core::session::cost::SessionCost;
use sharelet_core::session::network::Activation;

use super::common::{Answer, CommandError};
use super::terminal::width;
use super::units::{json_text, parse_bandwidth, parse_duration, parse_svg_path};
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

struct Row {
    inputs: u16,
    outputs: u16,
    shape: String,
    skip: Option<u8>,
    frac_bits: u8,
    shift: u8,
    relu: bool,
    digits: Vec<u8>,
    prepare_bytes: u64,
    up_bytes: u64,
    down_bytes: u64,
    dealer_bytes: u64,
    prepare_blocks: u64,
    online_blocks: u64,
}

impl Row {
    /// The shape, and what is carried over.
    fn label(&self) -> String {
        let skip = self.skip.map(|from| format!(" + input of {from}")).unwrap_or_default();
        format!("{}{skip}", self.shape)
    }
}

fn rows(model: &Model) -> Vec<Row> {
    let row = |(index, layer): (usize, &sharelet_core::session::network::Layer)| {
        let cost = model.network.layer_cost(index);
        Row {
            inputs: layer.inputs(),
            outputs: layer.outputs(),
            shape: layer.shape.to_string(),
            skip: layer.skip.map(|skip| skip.from),
            frac_bits: layer.weight_frac_bits,
            shift: layer.shift,
            relu: layer.activation == Activation::Relu,
            digits: model
                .network
                .gate(index)
                .map(|digits| digits.widths().to_vec())
                .unwrap_or_default(),
            prepare_bytes: cost.prepare.bytes,
            up_bytes: cost.up.bytes,
            down_bytes: cost.down.bytes,
            dealer_bytes: cost.dealer_bytes,
            prepare_blocks: cost.prepare_blocks,
            online_blocks: cost.online_blocks,
        }
    };
    model.network.layers().iter().enumerate().map(row).collect()
}

/// Bytes that the firmware's device task holds for a model: buffers for readings, input and answer,
/// and the sockets'.
fn device_bytes(model: &Model) -> usize {
    SOCKET_BYTES + 4 * (2 * model.network.inputs() + model.network.outputs())
}

/// Seconds on the network: every round trip waits once, and every byte passes the link.
#[allow(clippy::cast_precision_loss)]
fn seconds(cost: &SessionCost, rtt: Duration, bandwidth: f64) -> (f64, f64) {
    let pass = |bytes: u64| bytes as f64 * 8.0 / bandwidth;
    let prepare = rtt.as_secs_f64() + pass(cost.prepare_up_bytes);
    let online = rtt.as_secs_f64() * f64::from(cost.round_trips)
        + pass(cost.online_up_bytes + cost.online_down_bytes);
    (prepare, online)
}

/// Prints the cost.
///
/// # Errors
/// [`CommandError`].
pub fn run(args: &InspectArgs) -> Result<(), CommandError> {
    if args.json && args.plot == Some(None) {
        return Err(CommandError::PlotBesideJson);
    }
    let model = Model::load(&args.model)?;
    let mut text = if args.json { json(&model, args) } else { table(&model, args) };
    match &args.plot {
        None => {}
        Some(Some(path)) => bars(&model).save_svg(path)?,
        Some(None) => text.push_str(&format!("\n{}", bars(&model).terminal(width()))),
    }
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// The cost per layer, a panel for each quantity.
#[allow(clippy::cast_precision_loss)]
fn bars(model: &Model) -> Bars {
    let rows = rows(model);
    let panel = |name: &str, cost: fn(&Row) -> u64| {
        let bar =
            |(index, row): (usize, &Row)| (format!("{index}: {}", row.label()), cost(row) as f64);
        Panel { name: name.to_owned(), bars: rows.iter().enumerate().map(bar).collect() }
    };
    Bars {
        title: format!("{}: cost per layer", model.name),
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

fn table(model: &Model, args: &InspectArgs) -> String {
    let cost = model.network.session_cost(args.answer.into());
    let (prepare, online) = seconds(&cost, args.rtt, args.bandwidth);
    let mut text = format!("{}\n\n", model.name);
    text.push_str(concat!(
        "layer                                shape  w.frac  shift  act   digits      ",
        "  prepare B      up B    down B    dealer B   blocks prep    online\n"
    ));
    for (index, row) in rows(model).iter().enumerate() {
        let shape = row.label();
        let digits = row.digits.iter().map(u8::to_string).collect::<Vec<_>>().join("/");
        let digits = if digits.is_empty() { "-".to_owned() } else { digits };
        let act = if row.relu { "relu" } else { "-" };
        text.push_str(&format!(
            "{index:>5} {shape:>36}  {:>6}  {:>5}  {act:<4}  {digits:<12} {:>10} {:>9} {:>9} \
             {:>11} {:>13} {:>9}\n",
            row.frac_bits,
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
        cost.prepare_up_bytes,
        cost.prepare_blocks,
        cost.online_up_bytes,
        cost.online_down_bytes,
        cost.round_trips,
        cost.online_blocks,
        cost.dealer_bytes,
        cost.device_dealer_bytes,
        device_bytes(model),
        args.rtt,
        args.bandwidth / 1e6,
        prepare * 1e3,
        online * 1e3,
    ));
    text
}

fn json(model: &Model, args: &InspectArgs) -> String {
    let cost = model.network.session_cost(args.answer.into());
    let (prepare, online) = seconds(&cost, args.rtt, args.bandwidth);
    let layers: Vec<String> = rows(model)
        .iter()
        .map(|row| {
            format!(
                "{{\"inputs\":{},\"outputs\":{},\"shape\":\"{}\",\"skip_from\":{},\"\
                 weight_frac_bits\":{},\"shift\":{},\"relu\":{},\"digits\":{:?},\"prepare_bytes\":\
                 {},\"up_bytes\":{},\"down_bytes\":{},\"dealer_bytes\":{},\"prepare_blocks\":{},\"\
                 online_blocks\":{}}}",
                row.inputs,
                row.outputs,
                row.shape,
                row.skip.map_or("null".to_owned(), |from| from.to_string()),
                row.frac_bits,
                row.shift,
                row.relu,
                row.digits,
                row.prepare_bytes,
                row.up_bytes,
                row.down_bytes,
                row.dealer_bytes,
                row.prepare_blocks,
                row.online_blocks
            )
        })
        .collect();
    format!(
        "{{\"name\":{},\"inputs\":{},\"outputs\":{},\"layers\":[{}],\"prepare_up_bytes\":{},\"\
         online_up_bytes\":{},\"online_down_bytes\":{},\"round_trips\":{},\"dealer_bytes\":{},\"\
         prepare_blocks\":{},\"online_blocks\":{},\"device_buffer_bytes\":{},\"prepare_seconds\":\
         {prepare},\"online_seconds\":{online}}}\n",
        json_text(&model.name),
        model.network.inputs(),
        model.network.outputs(),
        layers.join(","),
        cost.prepare_up_bytes,
        cost.online_up_bytes,
        cost.online_down_bytes,
        cost.round_trips,
        cost.dealer_bytes,
        cost.prepare_blocks,
        cost.online_blocks,
        device_bytes(model)
    )
}
