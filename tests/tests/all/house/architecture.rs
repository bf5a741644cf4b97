//! The house rules that a compiler does not check, beside the direction of imports (`rooms`): who
//! may write files, where `unsafe` is.
//!
//! `source` has the tests that show that the checker sees a breach.

use super::source::{self, Source};

fn core() -> Vec<Source> {
    let mut sources = source::files("core/src");
    assert!(sources.len() > 15, "core/src has moved");
    // Files that only tests compile.
    sources.retain(|source| !source.path.ends_with("check.rs"));
    sources
}

/// The rooms that know a transport, and the one that waits for a board's memory.
const DRIVERS: [&str; 7] = [
    "transport",
    "session",
    "session/keep",
    "session/p0",
    "session/p1",
    "session/servers",
    "session/data_party",
];

/// A step never waits, and nothing below the sessions knows a transport. Programs over an engine
/// wait for the engine.
#[test]
fn io_is_for_sessions_and_transports() {
    for source in core().iter().filter(|source| !DRIVERS.contains(&source.room().as_str())) {
        let words = ["embedded_io_async", "embassy_futures", "async", "await"];
        let waits = ["functions/engine", "functions/program"].contains(&source.room().as_str());
        for word in &words[..if waits { 2 } else { 4 }] {
            assert_eq!(source.lines_with(word), [0; 0], "{word} in {}", source.path.display());
        }
    }
}

#[test]
fn the_core_has_no_standard_library_no_heap_and_no_unsafe_code() {
    let sources = core();
    let root = sources.iter().find(|source| source.path.ends_with("lib.rs")).unwrap();
    assert!(root.code.contains("#![no_std]") && root.code.contains("#![forbid(unsafe_code)]"));
    for source in &sources {
        for word in ["std", "alloc", "unsafe"] {
            assert_eq!(source.lines_with(word), [0; 0], "{word} in {}", source.path.display());
        }
    }
}

/// No call and no index that can panic, but where a lint is allowed in plain sight: tables with
/// indices that the code fixes.
#[test]
fn the_core_has_nothing_that_panics() {
    for source in core() {
        assert_eq!(source::panics(&source.code), [0; 0], "{}", source.path.display());
    }
}

/// Secrets are redacted by hand: a derived `Debug` or `PartialEq` on a type that holds key bytes,
/// masks or shares would leak.
#[test]
fn secrets_derive_nothing() {
    let secrets = [
        ("keystream.rs", ["Key(", "Keystream<", "Run<", "Block("].as_slice()),
        ("session/phases.rs", &["Offline<", "Online<"]),
        ("functions/record.rs", &["Derived<", "Stored<", "Truth<"]),
        ("functions/protocol/mod.rs", &["Messages<"]),
        ("functions/protocol/comparing.rs", &["Opened<"]),
        ("functions/protocol/activate.rs", &["Activated<", "Kept<"]),
        ("functions/protocol/choose.rs", &["Chosen<"]),
        ("functions/protocol/compare.rs", &["Compared<"]),
        ("functions/protocol/matrix.rs", &["MatrixFactors<", "Masked<", "Vectors<"]),
        ("functions/protocol/piecewise.rs", &["Applied<"]),
        ("functions/protocol/product.rs", &["Factors<"]),
        ("functions/protocol/select.rs", &["Selected<"]),
        ("functions/protocol/rescale.rs", &["Rescaled<"]),
        ("functions/program/mod.rs", &["Scratch<"]),
        ("functions/engine/party.rs", &["Seeded<", "Received<", "Expanded<", "Party<"]),
        ("functions/engine/offline.rs", &["Deal<", "Expand<"]),
        (
            "session/linear/correlation.rs",
            &["Rows<", "RowPiece<", "InputMasks<", "InputMaskPiece<", "Received<"],
        ),
        ("session/gate/correlation.rs", &["Received<"]),
        ("session/gate/pieces.rs", &["Masks<", "MaskPiece<", "Tables<", "TablePiece<"]),
        ("session/data_party.rs", &["Query<"]),
        ("session/p0.rs", &["Identity<", "Connected<", "Prepared<"]),
        ("session/p1.rs", &["Scratch<", "P1<", "Prepared<", "Ready<"]),
    ];
    let sources = core();
    for (path, names) in secrets {
        let code = &sources.iter().find(|source| source.path.ends_with(path)).unwrap().code;
        for name in names {
            let at = code
                .find(&format!("pub struct {name}"))
                .unwrap_or_else(|| panic!("{name} in {path} has moved"));
            let before = code[..at].trim_end();
            assert!(!before.ends_with(']'), "{name} in {path} has an attribute");
        }
    }
}

/// The same for what servers hold in training: shares, masks, correlations, data and models.
#[test]
fn secrets_of_training_print_nothing() {
    let secrets = [
        ("tensor/mod.rs", ["Masked", "Bits"].as_slice()),
        ("tensor/words.rs", &["Words"]),
        ("tensor/offline.rs", &["Dealt"]),
        ("tensor/party.rs", &["Prepared"]),
        ("train/src/parameters.rs", &["Parameters<", "LayerParameters<"]),
        ("train/src/model.rs", &["Model"]),
        ("train/src/value.rs", &["Value"]),
        ("train/src/normalise.rs", &["Normalised"]),
        ("train/src/loss.rs", &["Sums", "Outputs<"]),
        ("train/src/state.rs", &["Data", "State"]),
        ("train/src/scaling.rs", &["Coarse", "Column"]),
        ("train/src/serving.rs", &["Opened", "Open<", "Answer<"]),
        ("train/src/step.rs", &["OpenData", "Step<", "Evaluate<"]),
        ("store/training.rs", &["Share"]),
        ("store/datasets/join.rs", &["Dataset"]),
        ("store/key.rs", &["DeviceKey"]),
    ];
    let sources = source::files("std-host");
    for (path, names) in secrets {
        let code = &sources.iter().find(|source| source.path.ends_with(path)).unwrap().code;
        for name in names {
            let place = [" ", "(", ""]
                .iter()
                .find_map(|after| code.find(&format!("pub struct {name}{after}")));
            let before = &code[..place.unwrap_or_else(|| panic!("{name} in {path} has moved"))];
            let attribute = before.rfind("#[derive").map_or("", |at| &before[at..]);
            // Only one that stands right above.
            let derived =
                if attribute.contains('{') || attribute.contains(';') { "" } else { attribute };
            // A key prints itself redacted.
            assert!(
                !derived.contains("Debug") || *name == "DeviceKey",
                "{name} in {path} derives Debug"
            );
            assert!(!derived.contains("Serialize"), "{name} in {path} derives Serialize");
        }
    }
}

/// The firmware's own code is safe; boards touch hardware and say why each time that they may.
#[test]
fn unsafe_code_is_for_boards_and_says_why() {
    let library = source::files("firmware/src");
    assert!(
        library.iter().any(|source| source.path.ends_with("lib.rs")
            && source.code.contains("#![forbid(unsafe_code)]"))
    );
    let boards = source::files("firmware/boards");
    assert!(!boards.is_empty());
    for source in &boards {
        let lines: Vec<&str> = source.text.lines().collect();
        for number in source.lines_with("unsafe") {
            // An attribute such as `#[unsafe(export_name = "..")]` and the head of an unsafe
            // function promise nothing yet.
            let line = lines[number - 1];
            if !["unsafe {", "unsafe impl"].iter().any(|promise| line.contains(promise)) {
                continue;
            }
            let above = &lines[number.saturating_sub(8)..number];
            assert!(
                above.iter().any(|line| line.contains("SAFETY:")),
                "{}:{number}: no `SAFETY:` above",
                source.path.display()
            );
        }
    }
    for folder in [
        "core/src",
        "std-host",
        "firmware/src",
        "learn",
        "tests",
        "xtask",
        "demo",
        "fit",
        "measure",
        "python",
    ] {
        for source in source::files(folder) {
            // What a browser calls must keep its name, which promises nothing about memory.
            if folder == "learn" && source.path.ends_with("page/src/export.rs") {
                let named = source.code.matches("#[unsafe(no_mangle)]").count();
                let allowed = source.code.matches("unsafe_code").count();
                assert_eq!(source.code.matches("unsafe").count(), named + allowed);
                continue;
            }
            let lines = source.lines_with("unsafe");
            assert_eq!(lines, [0; 0], "{folder}/{}", source.path.display());
        }
    }
}

/// The crates of the PC's side.
const HOST_CRATES: [&str; 11] =
    ["link", "model", "ot", "rlwe", "prepare", "alone", "import", "train", "host", "nats", "cli"];

/// Words of the PC's side that belong to one crate or room alone.
#[test]
fn rooms_of_the_host_keep_to_themselves() {
    let rules: [(&[&str], &str, &str); 3] = [
        // Formats of models are read in one place, which the demo does not compile.
        (&["planus", "prost", "onnx_proto", "tflite_schema"], "import", ""),
        // State that must survive a power cut has one keeper.
        (&["redb"], "host", "store"),
        // A secure channel slides in below everything else.
        (&["TcpListener", "TcpSocket", "socket2"], "link", ""),
    ];
    const WRITING: [&str; 6] = [
        "OpenOptions",
        "DirBuilder",
        "File::create",
        "fs::write",
        "fs::rename",
        "fs::create_dir_all",
    ];
    for name in HOST_CRATES {
        let sources = source::files(&format!("std-host/{name}/src"));
        assert!(sources.len() > 2, "std-host/{name} has moved");
        for source in &sources {
            let (path, room) = (source.path.display(), source.room());
            for (words, of, in_room) in rules {
                if of == name && (in_room.is_empty() || in_room == room) {
                    continue;
                }
                for word in words {
                    assert_eq!(source.lines_with(word), [0; 0], "{word} in {name}: {path}");
                }
            }
            // What is written is written by `link::files`, or kept by the store. (A device on a PC
            // also writes the report that it was asked for.)
            let writes = (name == "link" && room == "files")
                || (name == "host" && ["store", "device"].contains(&room.as_str()))
                || name == "cli";
            for word in WRITING.iter().filter(|_| !writes) {
                assert_eq!(source.lines_with(word), [0; 0], "{word} in {name}: {path}");
            }
            if name == "link" {
                assert_eq!(source.lines_with("sharelet_core::session"), [0; 0], "{path}");
            }
        }
    }
}
