//! What a terminal shows of the log, where `script` is there to be one.

use std::process::Command;

use sharelet_testkit::processes::Programs;

#[test]
fn colours_are_for_terminals_that_want_them() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    let shown = |line: &str, no_color: &str| {
        let shown = Command::new("script")
            .current_dir(room.folder())
            .args(["-q", "-e", "-c", &format!("{} {line}", env!("CARGO_BIN_EXE_sharelet"))])
            .arg("/dev/null")
            .env("NO_COLOR", no_color)
            .env_remove("RUST_LOG")
            .output();
        shown.ok().filter(|shown| shown.status.success()).map(|shown| shown.stdout)
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let Some(coloured) = shown("provision a --role data-party", "").map(text) else {
        println!("skipped: colours (there is no `script` that runs a command in a terminal)");
        return;
    };
    assert!(coloured.contains("\x1b[") && coloured.contains("INFO"), "{coloured:?}");
    let plain = shown("provision b --role data-party", "1").map(text).expect("as before");
    assert!(!plain.contains('\x1b') && plain.contains("INFO"), "{plain:?}");
    let quiet = shown("-q provision c --role data-party", "1").map(text).expect("as before");
    assert!(quiet.contains("data-party c") && !quiet.contains("INFO"), "{quiet:?}");
}
