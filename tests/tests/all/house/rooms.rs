//! The rooms of every crate beside the core, from the ground up, each with those that it may name;
//! and no circle between files anywhere.

use super::source::{self, Arrow, Source};

type Rooms = &'static [(&'static str, &'static [&'static str])];

const CRATES: &[(&str, Rooms)] = &[
    (
        "channel/src",
        &[
            ("cipher", &[]),
            ("fingerprint", &[]),
            ("party", &[]),
            ("error", &["party"]),
            ("hello", &["party", "error"]),
            ("io", &["error"]),
            ("key", &["fingerprint"]),
            ("ratchet", &["error"]),
            ("record", &["cipher", "error"]),
            ("symmetric", &["cipher"]),
            ("noise", &["cipher", "key", "symmetric"]),
            ("pins", &["party", "error", "key", "ratchet"]),
            ("handshake", &["cipher", "key", "ratchet", "symmetric", "noise"]),
            ("channel", &["cipher", "error", "io", "record"]),
            (
                "accept",
                &[
                    "cipher",
                    "party",
                    "error",
                    "hello",
                    "io",
                    "key",
                    "ratchet",
                    "record",
                    "symmetric",
                    "pins",
                    "handshake",
                ],
            ),
            (
                "connect",
                &[
                    "cipher",
                    "party",
                    "error",
                    "hello",
                    "io",
                    "key",
                    "ratchet",
                    "record",
                    "pins",
                    "handshake",
                ],
            ),
        ],
    ),
    (
        "std-host/link/src",
        &[
            ("error", &[]),
            ("fault", &[]),
            ("files", &[]),
            ("hex", &[]),
            ("pauses", &[]),
            ("places", &[]),
            ("timeout", &[]),
            ("wan", &[]),
            ("warnings", &[]),
            ("connection", &["timeout"]),
            ("frame", &["connection"]),
            ("exchange", &["frame"]),
            ("route", &["error", "wan", "connection"]),
            ("tcp", &["error", "connection", "route", "warnings"]),
            ("service", &["connection", "places", "tcp", "warnings"]),
        ],
    ),
    ("std-host/model/src", &[("file", &[]), ("readings", &[])]),
    (
        "std-host/import/src",
        &[
            ("error", &[]),
            ("layer", &[]),
            ("onnx_proto", &[]),
            ("tflite_schema", &[]),
            ("graph", &["error"]),
            ("form", &["graph"]),
            ("scales", &["layer"]),
            ("write", &["onnx_proto"]),
            ("onnx_window", &["error", "graph", "onnx_proto", "form"]),
            ("report", &["layer", "scales"]),
            ("tflite_window", &["graph", "tflite_schema", "error"]),
            ("walk", &["graph", "error"]),
            ("window", &["graph", "form"]),
            ("dims", &["graph", "error", "form", "window"]),
            ("onnx", &["graph", "onnx_proto", "error", "onnx_window"]),
            ("quantise", &["layer", "scales", "report"]),
            ("tflite", &["graph", "tflite_schema", "error", "tflite_window"]),
            ("fold", &["graph", "layer", "error", "dims"]),
            ("lower", &["graph", "layer", "error", "form", "walk", "window", "dims", "fold"]),
        ],
    ),
    (
        "std-host/train/src",
        &[
            ("curve", &[]),
            ("draw", &[]),
            ("labels", &[]),
            ("network", &[]),
            ("scale", &[]),
            ("config", &["network"]),
            ("kernel", &["network"]),
            ("parameters", &["network"]),
            ("initial", &["draw", "network", "parameters"]),
            ("model", &["network", "parameters"]),
            ("schedule", &["draw", "scale", "config"]),
            ("tensor", &["kernel"]),
            ("float", &["network", "parameters", "schedule"]),
            ("forward", &["network", "kernel", "parameters", "tensor"]),
            ("loss", &["network", "tensor"]),
            ("update", &["parameters", "model", "tensor"]),
            ("backward", &["network", "kernel", "parameters", "tensor", "forward"]),
            ("course", &["curve", "labels", "network", "config", "schedule", "loss", "update"]),
            ("step", &["network", "model", "tensor", "forward", "loss", "update", "backward"]),
            ("serving", &["network", "config", "model", "tensor", "forward", "step"]),
            (
                "state",
                &[
                    "curve",
                    "network",
                    "parameters",
                    "initial",
                    "model",
                    "tensor",
                    "forward",
                    "loss",
                    "course",
                    "step",
                ],
            ),
            (
                "plain",
                &[
                    "curve",
                    "network",
                    "parameters",
                    "initial",
                    "model",
                    "tensor",
                    "float",
                    "course",
                    "state",
                ],
            ),
            ("plans", &["network", "tensor", "course", "state"]),
        ],
    ),
    (
        "std-host/host/src",
        &[
            ("data", &[]),
            ("store", &["data"]),
            ("dealer", &["store"]),
            ("device", &["store"]),
            ("upload", &["data", "store"]),
            ("host", &["store", "dealer"]),
            ("console", &["store", "device", "host"]),
            ("server", &["store", "dealer", "host"]),
        ],
    ),
    (
        "std-host/cli/src",
        &[
            ("plot", &[]),
            ("table", &[]),
            ("terminal", &[]),
            ("units", &[]),
            ("chart", &["plot"]),
            ("twin", &[]),
            ("common", &["units"]),
            ("collect", &["common"]),
            ("console", &["units", "common"]),
            ("dealer", &["common"]),
            ("device", &["terminal", "units", "common"]),
            ("host", &["terminal", "units", "common"]),
            ("inspect", &["plot", "terminal", "units", "common"]),
            ("import", &["common"]),
            ("open", &["common"]),
            ("provision", &["common"]),
            ("share", &["table", "terminal", "units", "common"]),
            ("task", &["common"]),
            ("train", &["terminal", "units", "chart", "common"]),
            ("server", &["units", "common", "host"]),
            ("train_plain", &["table", "train"]),
        ],
    ),
    (
        "firmware/src",
        &[
            ("board", &[]),
            ("stream", &[]),
            ("counter", &["board"]),
            ("data_party", &["board", "stream"]),
            ("device", &["board", "stream"]),
            ("key", &["board"]),
        ],
    ),
    (
        "xtask/src",
        &[
            ("process", &[]),
            ("report", &[]),
            ("steps", &[]),
            ("workspace", &[]),
            ("boards", &["process", "report"]),
            ("fit", &["process", "workspace"]),
            ("inference", &["process", "report"]),
            ("services", &["process", "report", "workspace"]),
            ("case", &["workspace", "services"]),
            ("setup", &["process", "steps", "workspace", "boards"]),
            ("board_runs", &["boards", "inference", "services", "case"]),
            (
                "demo",
                &[
                    "process",
                    "report",
                    "steps",
                    "workspace",
                    "boards",
                    "inference",
                    "services",
                    "setup",
                ],
            ),
            (
                "bench",
                &[
                    "process",
                    "steps",
                    "workspace",
                    "boards",
                    "inference",
                    "services",
                    "case",
                    "setup",
                    "board_runs",
                    "demo",
                ],
            ),
            (
                "check",
                &[
                    "process",
                    "report",
                    "steps",
                    "workspace",
                    "boards",
                    "inference",
                    "services",
                    "case",
                    "setup",
                    "board_runs",
                    "demo",
                ],
            ),
        ],
    ),
    (
        "measure/src",
        &[
            ("function", &[]),
            ("others", &[]),
            ("run", &["function"]),
            ("exact", &["function", "run"]),
            ("parties", &["run"]),
            ("about", &["function", "run", "exact"]),
            ("inputs", &["function", "run", "exact"]),
            ("errors", &["function", "run", "exact", "inputs"]),
            ("report", &["function", "run", "parties", "errors"]),
            ("page", &["function", "others", "run", "parties", "about", "errors", "report"]),
        ],
    ),
    (
        "fit/src",
        &[
            ("minimax", &[]),
            ("reference", &[]),
            ("plan", &["reference"]),
            ("table", &["minimax", "plan"]),
            ("text", &["plan", "table"]),
        ],
    ),
    (
        "demo/src",
        &[
            ("bin", &[]),
            ("rng", &[]),
            ("simulate", &["rng"]),
            ("tabular", &["rng"]),
            ("features", &["simulate"]),
            ("train", &["rng", "features"]),
            ("export", &["train"]),
        ],
    ),
    (
        "tests/testkit/src",
        &[
            ("asserting", &[]),
            ("chi_square", &[]),
            ("delay", &[]),
            ("frames", &[]),
            ("graphs", &[]),
            ("hex", &[]),
            ("model", &[]),
            ("onnx", &[]),
            ("pipe", &[]),
            ("processes", &[]),
            ("room", &[]),
            ("seed", &[]),
            ("shared_data", &[]),
            ("steps", &[]),
            ("tflite", &[]),
            ("party", &["model", "pipe"]),
            ("programs", &["pipe"]),
            ("training", &["room"]),
            ("outsource", &["delay", "model", "pipe", "party"]),
        ],
    ),
];

#[test]
fn imports_of_every_crate_run_one_way() {
    for (folder, rooms) in CRATES {
        let sources = source::files(folder);
        assert!(sources.len() > 1, "{folder} has moved");
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
    let boards = ["lm3s6965evb", "mps2-an386", "qemu-support", "stm32h743"];
    let boards = boards.map(|board| format!("firmware/boards/{board}/src"));
    let folders = CRATES.iter().map(|(folder, _)| (*folder).to_owned());
    for folder in folders.chain(boards).chain(["core/src".to_owned()]) {
        let sources = source::files(&folder);
        assert!(!sources.is_empty(), "{folder} has moved");
        assert_eq!(source::circles(&sources), [], "{folder}");
    }
}
