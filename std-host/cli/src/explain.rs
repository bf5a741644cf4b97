//! `sharelet explain`: a real session of a model, message by message.

use core::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;
use sharelet_core::session::wire::control;
use sharelet_core::session::wire::frame::Kind;
use sharelet_host::trace::{self, Message, Side, Trace};
use sharelet_model::Model;
use sharelet_model::readings::{ReadOptions, Readings};

use super::answers::decimal;
use super::common::{Answer, WrongArguments, output, runtime};

const EXAMPLES: &str = include_str!("examples/explain.txt");
/// Of the JSON: another one when a field changes its meaning.
const VERSION: u32 = 1;
/// Bytes of a message that are shown.
const SHOWN_BYTES: usize = 8;

/// Arguments of `sharelet explain`.
#[derive(Args, Debug, Clone)]
#[command(about = "Walk through a session, message by message", after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// The model file.
    #[arg(value_name = "MODEL.slt")]
    pub model: PathBuf,
    /// Readings, as for `sharelet twin`; zeros if none are given.
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// The reading, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "inputs")]
    pub reading: usize,
    /// Only messages of this layer, counted from 0.
    #[arg(long, value_name = "N")]
    pub layer: Option<usize>,
    /// Who learns the answer.
    #[arg(long, value_enum, default_value_t = Answer::Device)]
    pub answer: Answer,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// A session, as JSON.
#[derive(Serialize)]
struct Session {
    version: u32,
    model: String,
    layers: usize,
    dealt_bytes: usize,
    messages: Vec<Line>,
    device_bytes: usize,
    host_bytes: usize,
    answer: Vec<f64>,
    twin: Vec<f64>,
}

/// A message, as JSON.
#[derive(Serialize)]
struct Line {
    number: usize,
    phase: &'static str,
    from: &'static str,
    to: &'static str,
    name: String,
    layer: Option<u8>,
    bytes: usize,
    first_bytes: String,
    carries: &'static str,
    hides: &'static str,
}

/// Runs a session, compares its answer with the twin's, and prints it.
///
/// # Errors
/// The model or the readings are refused; there is no such reading or layer.
pub fn run(args: &ExplainArgs) -> Result<()> {
    let model = Model::load(&args.model)?;
    let network = &model.network;
    let input = match &args.inputs {
        None => vec![0; network.inputs()],
        Some(file) => {
            let options = ReadOptions { width: Some(network.inputs()), divide: None };
            let readings = Readings::load(file, options)?;
            let wanted = args.reading;
            let row = readings.rows().nth(wanted).ok_or_else(|| {
                let found = readings.len();
                WrongArguments(format!("--reading {wanted}: there are {found}, counted from 0"))
            })?;
            model.encode(row).map_err(|error| anyhow!("reading {wanted}: {error}"))?
        }
    };
    let layers = network.layers().len();
    if let Some(layer) = args.layer.filter(|layer| *layer >= layers) {
        let wrong = format!("--layer {layer}: the model has {layers} layers, counted from 0");
        return Err(WrongArguments(wrong).into());
    }
    let answer: control::Answer = args.answer.into();
    let trace = runtime()?.block_on(trace::session(&model, &input, answer))?;
    let twin = model.infer(&input).map_err(|error| anyhow!("{error}"))?;
    if answer.to_device() && trace.answer != twin {
        return Err(anyhow!("the session and the twin differ: please report the model"));
    }
    let session = session(args, &model, trace, &twin);
    if args.json {
        return output(&(serde_json::to_string(&session)? + "\n"));
    }
    output(&text(&session, args.layer, &model))
}

fn session(args: &ExplainArgs, model: &Model, trace: Trace, twin: &[u32]) -> Session {
    let bits = model.network.output_frac_bits();
    let number = |word: &u32| decimal(i64::from(word.cast_signed()), bits).parse().unwrap_or(0.0);
    let bytes = |side: Side| {
        let own = trace.messages.iter().filter(|message| message.from == side);
        own.map(|message| message.body.len()).sum()
    };
    let wanted =
        |message: &Message| args.layer.is_none_or(|layer| of_layer(message) == Some(layer));
    let all = (1..).zip(&trace.messages).filter(|(_, message)| wanted(message));
    let messages = all.map(|(number, message)| line(number, message)).collect();
    Session {
        version: VERSION,
        model: args.model.display().to_string(),
        layers: model.network.layers().len(),
        dealt_bytes: trace.dealt_bytes,
        messages,
        device_bytes: bytes(Side::Device),
        host_bytes: bytes(Side::Host),
        answer: trace.answer.iter().map(number).collect(),
        twin: twin.iter().map(number).collect(),
    }
}

/// The layer of a message, if it belongs to one.
fn of_layer(message: &Message) -> Option<usize> {
    let bulk = matches!(
        message.kind,
        Kind::Prepared | Kind::Input | Kind::Gate | Kind::Output | Kind::Answer
    );
    bulk.then_some(message.layer.into())
}

fn line(number: usize, message: &Message) -> Line {
    let [from, to] = match message.from {
        Side::Device => ["device", "host"],
        Side::Host => ["host", "device"],
    };
    let mut first_bytes = String::new();
    for byte in message.body.iter().take(SHOWN_BYTES) {
        // A string takes everything.
        let _ = write!(first_bytes, "{byte:02x}");
    }
    let [phase, carries, hides] = meaning(message);
    Line {
        number,
        phase,
        from,
        to,
        name: format!("{:?}", message.kind),
        layer: of_layer(message).map(|_| message.layer),
        bytes: message.body.len(),
        first_bytes,
        carries,
        hides,
    }
}

/// When a message is sent, what it carries, and why it tells nothing else.
fn meaning(message: &Message) -> [&'static str; 3] {
    match (message.kind, message.layer) {
        (Kind::Hello, _) => [
            "connect",
            "the device's name, and the public name of its key",
            "nothing secret is in it",
        ],
        (Kind::Welcome, _) => [
            "connect",
            "the network: shapes and scales; and the seed of the weights' mask E",
            "the weights W = A + E: the device can make E, which is random, and the dealer has A",
        ],
        (Kind::Request, _) => [
            "prepare",
            "the next session number, and an order for the dealer",
            "nothing secret is in it",
        ],
        (Kind::Grant, _) => [
            "prepare",
            "the session's number, whose corrections the host has",
            "nothing secret is in it",
        ],
        (Kind::Prepared, _) => [
            "prepare",
            "y_0 + r_0: the device's share of the layer's sum, masked; there is no reading yet",
            "the share: r_0 is fresh keystream of the device's key, and used once",
        ],
        (Kind::Input, 0) => [
            "online",
            "the reading minus a mask, d = x - r, word by word",
            "the reading: r is fresh and uniform, so d is uniform whatever the reading is",
        ],
        (Kind::Input, _) => [
            "online",
            "bits of the comparison before, and the layer's masked input",
            "the activations: each bit and each word is under a fresh mask",
        ],
        (Kind::Gate, _) => [
            "online",
            "z, the sum of the layer under both masks, and the host's bits of its comparison",
            "the sum and its sign: z is uniform, and so is each bit that picks an entry of a table",
        ],
        (Kind::Output, _) => [
            "online",
            "bits of the last layer's comparison, if it has one, and the device's share of the \
             answer, if the host learns it",
            "all but an answer that the host is to learn: each bit is under a fresh mask",
        ],
        (Kind::Answer, _) if message.body.is_empty() => [
            "online",
            "nothing: the session is over",
            "the answer, which the device is not to learn",
        ],
        (Kind::Answer, _) => [
            "online",
            "the host's share of the answer; with its own the device has the answer",
            "everything but the answer: the shares of all layers before stay apart",
        ],
        _ => ["", "", ""],
    }
}

fn text(session: &Session, layer: Option<usize>, model: &Model) -> String {
    let Session { model: name, layers, dealt_bytes, messages, device_bytes, host_bytes, .. } =
        session;
    let mut text = format!("A session of {name}, a network of {layers} layers.\n\n");
    if let Some((number, of)) = layer.and_then(|at| Some((at, model.network.layers().get(at)?))) {
        let (inputs, outputs) = (of.inputs(), of.outputs());
        let _ = writeln!(text, "Layer {number}: {inputs} values in, {outputs} out. {of:?}\n");
    }
    let _ = writeln!(
        text,
        "before     dealer -> host    {dealt_bytes} bytes\n           corrections of this session: \
         what the two will have drawn at random must fit together\n           hides the weights, \
         of which the dealer knows A = W - E, and the device's masks\n"
    );
    for Line { number, phase, from, to, name, layer, bytes, first_bytes, carries, hides } in
        messages
    {
        let layer = layer.map_or_else(String::new, |layer| format!(" {layer}"));
        let begins =
            if first_bytes.is_empty() { String::new() } else { format!(", begins {first_bytes}") };
        let _ = writeln!(
            text,
            "{number:>2} {phase:<7} {from:>6} -> {to:<6}  {name}{layer}, {bytes} bytes{begins}\n\
             {0:11}{carries}\n{0:11}hides {hides}\n",
            ""
        );
    }
    let _ = writeln!(text, "The device sends {device_bytes} bytes, the host {host_bytes}.");
    if session.answer.is_empty() {
        let _ = writeln!(text, "The answer is the host's alone.");
    } else {
        let answer: Vec<String> = session.answer.iter().map(f64::to_string).collect();
        let _ = writeln!(text, "The answer is {}, bit for bit the twin's.", answer.join(", "));
    }
    text
}
