//! The rooms of every crate from the ground up, each with those that it may name; and no circle
//! between files anywhere.

use super::source::{self, Arrow, Source};

/// Crates, and their rooms from the ground up: rooms, a colon, the rooms that each of them may
/// name, and perhaps why.
///
/// In the core first the ground, on which both halves stand; then a device and its host; then
/// functions on shares. Neither half names the other.
const CRATES: &str = "

[core/src]
ring: # words, and nothing else
cost: # a leaf: sums of messages and bytes
transport: # a leaf: counts bytes of any transport, knows no session
opened: ring # where a word becomes public
fixed: ring opened # reals as words
keystream: ring # words from blocks
share: ring keystream # a share may be a seed
shape: ring # which inputs an output adds up
correlation: keystream # a place in the keystream, and the right to spend it
binding: ring keystream correlation # the keystream of one program, and of its sessions
step: ring # what a step refuses
gate: ring share step # the formula of ReLU and truncation
session/piece: # a leaf: the unit of what travels
session/packed: ring # words of fewer bits than the ring's, as bytes
session/linear: ring cost keystream shape correlation step session/piece # a layer's products, \
    their correlation beside their steps
session/gate: ring opened cost keystream share correlation step gate session/piece \
    session/packed # ReLU and truncation in two messages, their correlation beside their steps
session/phases: keystream shape correlation session/linear session/gate # what P0 spends when
session/network: fixed shape gate session/linear session/gate # shapes and digits of layers, \
    and the twin of the steps
session/wire: keystream binding session/network # a key's public name, an order and a description \
    travel in it
session: correlation step session/network session/wire # what all drivers need: frames, \
    errors, the counter
session/cost: ring cost binding shape session/linear session/gate session/network session/wire # \
    the costs of the steps, added up
session/deal: binding keystream correlation session/linear session/gate session/network # the \
    dealer's side
session/keep: keystream shape correlation session/piece session/linear session/network # E of \
    layers where a board has room
session/p0: ring keystream share shape correlation binding step session/piece session/packed \
    session/linear session/gate session/phases session/network session/keep session/wire session # \
    the device
session/p1: ring share correlation step session/piece session/packed session/linear session/gate \
    session/network session/wire session # the host
session/servers: ring session/wire session session/p1 # greetings between two servers
session/data_party: ring keystream share session/piece session/wire session session/p0 # \
    shares its input with two servers, under a device's name and key
functions: # names nothing itself
functions/spline: # a leaf: pieces of polynomials, and their plaintext twin
functions/tables: functions/spline # fitted pieces
functions/record: ring keystream share correlation # correlations by element
functions/cut: ring functions/record # comparison by tables
functions/tree: share functions/record # comparison by bits
functions/transfer: ring share functions/record # what oblivious transfers give
functions/carries: share functions/record functions/transfer # comparison of what parties hold
functions/protocol: ring share gate step correlation functions/spline functions/record \
    functions/cut functions/tree functions/transfer functions/carries # steps spend correlations
functions/engine: ring keystream share correlation step functions/record functions/protocol # \
    runs protocols, whatever they are
functions/program: ring gate correlation step functions/spline functions/tables functions/cut \
    functions/protocol functions/engine # functions of several protocols, whoever runs them

[channel/src]
cipher party serial:
fingerprint: party
error: party
ratchet: error
hello: party error ratchet
io: error
key: fingerprint party
pairing: party key
record: cipher error
symmetric: cipher
noise: cipher key symmetric
pins: party error key ratchet
handshake: cipher key ratchet symmetric noise
channel: cipher error io record
accept: cipher party error hello io key ratchet record symmetric pins handshake
connect: cipher party error hello io key ratchet record symmetric pins handshake

[flash/src]
error page:
log: error
counter ratchets: error page log

[std-host/link/src]
error fault files hex keyring monitor pauses places system timeout wan warnings:
known: keyring places
connection: timeout
frame: connection
exchange: frame
route: error wan connection keyring
serial: error
tcp: error connection route serial warnings
service: error connection known places route system tcp warnings

[std-host/model/src]
readings scores:
file: scores

[std-host/import/src]
array function half onnx_proto tflite_schema:
cell: array function
error: function
steps: error
spline: function
layer: function spline steps
form: array
graph: array cell error form function layer steps
kernel pad: graph
scales: layer
ranges: layer scales spline
stress:
write: onnx_proto
onnx_window: error graph onnx_proto form kernel
onnx_order: onnx_proto
onnx_ml: error graph onnx_proto
onnx_opset: error onnx_proto onnx_ml
onnx_external: error onnx_proto
onnx_tensor: array error graph half onnx_proto
onnx_fold: array error graph onnx_proto onnx_opset onnx_tensor onnx_window steps
onnx_steps: error onnx_proto onnx_fold steps
onnx_sizes: graph onnx_proto onnx_fold onnx_tensor
onnx_batch: error graph
onnx_pick: error graph onnx_proto onnx_fold onnx_opset onnx_tensor
onnx_recurrent: cell error function graph onnx_proto onnx_fold onnx_opset
onnx_node: error function graph pad onnx_proto onnx_fold onnx_opset onnx_window
tflite_options: error function graph tflite_schema
tflite_steps: error steps tflite_schema
tflite_tensor: array error graph half tflite_schema tflite_steps
tflite_window: graph kernel tflite_schema error
walk: function graph error steps
window: graph form
dims: graph error form window
onnx: cell graph pad onnx_proto error onnx_batch onnx_external onnx_fold onnx_ml onnx_node \
    onnx_opset onnx_order onnx_pick onnx_recurrent onnx_sizes onnx_steps onnx_tensor
narrow: scales
pool_first: layer
tflite: function graph pad tflite_schema error steps tflite_options tflite_steps tflite_tensor \
    tflite_window
fold: graph layer error dims
pieces: fold function layer spline
report: layer pieces scales
compare: layer report
counted: layer ranges steps stress fold
quantise: error layer scales ranges narrow stress report counted steps
knots: compare error function layer pieces quantise report scales stress
choose: error knots layer scales pool_first quantise counted stress report compare steps
columns: choose error layer quantise report scales
maps: graph layer error form window dims
stack: graph layer dims
pointwise: function graph
rows:
rewrite: graph dims
products: function graph layer form dims maps rewrite
joins: graph layer form dims fold rewrite
recurrent: cell function graph form dims products rewrite rows
softmax: function graph layer form rewrite rows
means: graph layer form dims rewrite
check: graph error form dims maps joins products recurrent softmax
leaky: layer error fold
lower: graph layer error form walk dims fold maps joins means pointwise products recurrent softmax \
    stack check leaky steps

[std-host/ot/src]
block error:
digest hash stream transpose universal: block # oracles; hash of rows; streams of seeds; rows of \
    columns; sums
tree: block digest # all leaves of a tree, or all but one
base: digest error # base OTs, kept
ots: block error hash # random OTs, as either extension has them
extension: block digest error stream transpose universal tree base ots # random OTs of base OTs
silent: block digest error hash stream universal ots # many random OTs of some

[std-host/prepare/src]
error words:
plan: error
kept: error
cursor:
exchange: error
strings: plan cursor
fill: cursor words
silent: error exchange plan cursor # calls of many transfers, and what is left of them
pair: error plan kept cursor fill strings silent
link: error exchange plan kept pair silent

[std-host/train/src]
curve draw labels network scale sizes:
config kernel parameters: network
initial: draw network parameters
model: network parameters
schedule: draw scale config
tensor: kernel
range: tensor
maps: network kernel
float: curve network kernel parameters schedule maps
value: tensor
normalise: kernel network parameters tensor maps value
forward: network parameters tensor maps value normalise
loss: network tensor range
update: parameters model tensor normalise
backward: network parameters tensor maps value normalise forward
scaling: kernel network parameters model tensor range
room: network config schedule loss scaling sizes
course: curve labels network config schedule normalise loss update sizes room
step: network parameters model tensor value normalise forward loss update backward
serving: network config model tensor value step scaling
state: curve network parameters initial model tensor forward loss course step range scaling
plain: curve labels parameters initial model tensor float course state scaling
plans: network tensor course state

[std-host/rlwe/src]
error modulus scaled:
bits ntt: modulus
ring: modulus ntt
poly: modulus ring
pair: modulus ring poly
sample: modulus ring poly
noise: error ring sample
fresh: error bits ring poly pair sample
keys: error ring poly pair sample fresh
reply: error modulus bits ring poly pair sample
layout: error ring sample
product: error ring poly sample fresh reply layout
respond: error poly pair sample fresh reply product
matrix: error ring noise keys layout product respond
weights: error modulus ring noise keys layout product respond
batch: error modulus scaled ring poly pair sample noise fresh keys reply

[std-host/alone/src]
error rows:
gate: rows # its steps, of either party
network: gate
layers: network # private weights times masks, of one session
batch: layers # of many
task: error network layers batch
half: error rows gate network layers task
session: error network layers task half # makes halves
filling: error layers task half session # many, part by part
online: error task half # spends them

[std-host/host/src]
data meter:
store: data
dealer: store meter
upload: data store
host: store dealer meter
alone: store host meter
trace: dealer store host
device: store alone
console: device host
server: data store dealer meter host alone

[std-host/nats/src]
error names:
seal:
bridge: error
access: error bridge
blobs: error bridge seal
store: error bridge access names seal blobs

[std-host/cli/src]
plot table terminal units versions:
chart: plot
common: units terminal
answers: common
twin: answers common terminal
explain: answers common
man reload:
collect completions: common
console: answers units common
settings:
monitor: versions
models: units common
top: units common monitor
store: common
store_none: common
dealer: common monitor store
host: answers terminal units common monitor reload store
prepare: terminal units common
device: answers terminal units common prepare
inspect: plot terminal units common
import: answers common terminal
open: common
doctor: units common monitor store versions
keygen pair: units common
provision: terminal units common pair store
devices: units common monitor top store provision
share: table terminal units common
task: common
train: terminal units chart common
server: units common monitor host
train_plain: table common train

[python/src]
errors program:
arrays table work: errors
device model: arrays errors work
loopback: errors work model
share train: errors table work

[firmware/src]
board log:
random: board
connector: random
nal serial: connector
tcp: random connector
link: board log random connector
data_party device: board log connector link

[learn/page/src]
refusal line json:
fields word: refusal
seed: refusal fields
model: refusal
gate: refusal fields word seed
worlds layer bits transfer: refusal fields word seed gate
network: refusal line fields seed model
train: refusal line fields seed
trace: refusal json
question: refusal fields gate worlds layer bits transfer network train trace # by chapter
export: question # what the page calls

[xtask/src]
files report steps workspace:
process: files
boards: process report
fit: process workspace
inference: process report
services: files process report workspace
book: files process steps workspace
case: boards workspace services
setup: process steps workspace boards
board_runs: process boards inference services case
counted: files boards report inference
cuts: files report boards services case workspace
demo: files process report steps workspace boards inference services setup
dist learn: files process steps workspace setup
bench: files process steps workspace boards inference services case setup board_runs counted cuts \
    demo
check: files process report steps workspace boards book inference services case setup board_runs \
    counted cuts demo learn

[learn/book/src]
bin draws pair:
line: pair
figures: draws line pair

[learn/exercises/src]
colluding_dealer counter_reuse cut_into_digits given layer_kind max_program price_a_network \
    prove_a_bound share_and_open toy_compare truncation_error:
beaver_product find_the_leak: given

[learn/solutions/src]
beaver_product colluding_dealer counter_reuse cut_into_digits find_the_leak layer_kind max_program \
    price_a_network prove_a_bound share_and_open toy_compare truncation_error:

[measure/src]
function others:
run: function
exact: function run
parties: run
about inputs: function run exact
errors: function run exact inputs
report: function run parties errors
page: function others run parties about errors report

[fit/src]
minimax reference:
plan: reference
table: minimax plan
text: plan table

[demo/src]
bin rng:
simulate tabular: rng
features: simulate
train: rng simulate features

[tests/constant_time/src]
secret:
encrypted functions inputs line training transfers: secret
alone channels sessions: secret line
private: secret line alone

[tests/faults/src]
line parties:
runs: line parties

[tests/fuzz/src]
line memory script seeds served:
dealer: memory served
room: line memory served
upload: seeds served
servers: line room seeds
console: seeds served upload
encrypted files models settings transfers: seeds
flash messages parties: script seeds
serial: script

[tests/load/src]
figure memory services tally:
claims: figure
honest: services tally
hostile: honest tally
kills: figure
load: figure memory services tally honest hostile
fleet shared: figure memory services tally honest load

[tests/testkit/src]
asserting chi_square frames hex model nats onnx owners pipe processes sealed seed shared_data \
    steps tflite:
graphs: seed
room: frames seed
party: frames model pipe
programs: pipe seed
training: asserting owners room seed
outsource: model pipe party
";

type Rooms = Vec<(&'static str, Vec<&'static str>)>;

/// Folders of crates, each with its rooms and those that they may name.
fn crates() -> Vec<(&'static str, Rooms)> {
    let of_row = |row: &'static str| {
        let (rooms, named) = row.split('#').next()?.split_once(':')?;
        let named: Vec<_> = named.split_whitespace().collect();
        Some(rooms.split_whitespace().map(move |room| (room, named.clone())))
    };
    let table = CRATES.split("\n[").skip(1).map(|table| table.split_once(']').expect("a folder"));
    table
        .map(|(folder, rows)| (folder, rows.lines().filter_map(of_row).flatten().collect()))
        .collect()
}

#[test]
fn imports_of_every_crate_run_one_way() {
    assert!(crates().len() > 10, "{} crates", crates().len());
    for (folder, rooms) in crates() {
        let mut sources = source::files(folder);
        assert!(sources.len() > 1, "{folder} has moved");
        // A file that only tests compile.
        sources.retain(|source| folder != "core/src" || !source.path.ends_with("check.rs"));
        let rank = |room: &str| {
            let place = rooms.iter().position(|(name, _)| *name == room);
            place.unwrap_or_else(|| panic!("{folder}: room {room} is new: give it a place"))
        };
        for room in sources.iter().map(Source::room).filter(|room| !room.is_empty()) {
            let _ = rank(&room);
        }
        let allowed: Vec<Arrow> = rooms
            .iter()
            .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
            .inspect(|(from, to)| assert!(rank(to) < rank(from), "{folder}: {from} -> {to}"))
            .map(|(from, to)| Arrow { from: (*from).to_owned(), to: (*to).to_owned() })
            .collect();
        let found = source::arrows(&sources);
        let new: Vec<&Arrow> = found.iter().filter(|arrow| !allowed.contains(arrow)).collect();
        assert_eq!(new, [] as [&Arrow; 0], "{folder}: imports against the order of the rooms");
        let unused: Vec<&Arrow> = allowed.iter().filter(|arrow| !found.contains(arrow)).collect();
        assert_eq!(unused, [] as [&Arrow; 0], "{folder}: allowed but not used");
    }
}

#[test]
fn no_crate_has_a_circle_of_files() {
    let boards = [
        "armv7m",
        "esp32-c3",
        "lm3s6965evb",
        "mps2-an386",
        "nrf52840-dk",
        "pico-2-w",
        "pico-w",
        "qemu-support",
        "stm32h743",
        "vectors",
        "vibration",
    ];
    let boards = boards.map(|board| format!("firmware/boards/{board}/src"));
    let folders = crates().into_iter().map(|(folder, _)| folder.to_owned());
    for folder in folders.chain(boards) {
        let sources = source::files(&folder);
        assert!(!sources.is_empty(), "{folder} has moved");
        assert_eq!(source::circles(&sources), [], "{folder}");
    }
}
