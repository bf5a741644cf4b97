//! What an operator writes for the programs: the file of settings, variables, and a list of
//! devices. The first byte says which, and for which command.

use std::ffi::OsString;
use std::fs;

use sharelet_cli::settings::{SettingsError, parse};
use sharelet_cli::{Cli, provision};
use tempfile::TempDir;

use crate::seeds::{tagged, untagged};

const COMMANDS: [&str; 3] = ["host", "dealer", "server"];

thread_local! {
    static FOLDER: TempDir = TempDir::new().expect("a folder");
}

fn written(text: &[u8]) -> std::path::PathBuf {
    FOLDER.with(|folder| {
        let path = folder.path().join("text");
        fs::write(&path, text).expect("writes");
        path
    })
}

/// A command whose settings are in a file.
fn of_file(command: &str, text: &[u8]) -> Result<Cli, SettingsError> {
    let path = written(text).into_os_string();
    parse(["sharelet".into(), command.into(), "--settings".into(), path], [])
}

/// A command with a variable in each line, `NAME=VALUE`.
fn of_variables(command: &str, text: &str) -> Result<Cli, SettingsError> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    // Another file would be read.
    let lines = lines.filter(|(name, _)| *name != "SHARELET_SETTINGS");
    let variables = lines.map(|(name, value)| (name.into(), value.into()));
    parse(["sharelet", command].map(OsString::from), variables)
}

fn of_names(text: &[u8]) -> Option<Vec<sharelet_core::DeviceId>> {
    let names = provision::names(&[], Some(&written(text))).ok()?;
    let again: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    let again = provision::names(&[], Some(&written(again.join("\n").as_bytes())));
    assert_eq!(again.expect("names are names again"), names);
    Some(names)
}

pub fn run(bytes: &[u8]) {
    let Some((tag, bytes)) = untagged(bytes, 3 * COMMANDS.len()) else { return };
    let command = COMMANDS[tag % COMMANDS.len()];
    match tag / COMMANDS.len() {
        0 => drop(of_file(command, bytes).map_err(|error| error.to_string())),
        1 => {
            let Ok(text) = core::str::from_utf8(bytes) else { return };
            drop(of_variables(command, text).map_err(|error| error.to_string()));
        }
        _ => drop(of_names(bytes)),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let files = [
        "[host]\nmodel = \"a.slt\"\nlisten = \"127.0.0.1:7000\"\nid = \"h.id\"\n\
         dealer = \"d:1\"\nstate = \"s\"\n# why\n[dealer]\nlisten = \"[::]:7\"\n",
        "[dealer]\nstate = \"d\"\nid = \"d.id\"\nlisten = '127.0.0.1:0'\n",
        "[server]\nparty = 1\nid = \"s.id\"\nlisten = \"a:1\"\nmodel = \"m\"\n\
         insecure-plaintext = true\n",
    ];
    let variables = [
        "SHARELET_HOST_LISTEN=127.0.0.1:7000\nSHARELET_HOST_STATE=s\nOTHER=1\n",
        "SHARELET_DEALER_STATE=d\nSHARELET_DEALER_LISTEN=\n",
        "SHARELET_SERVER_PARTY=0\nSHARELET_SERVER_INSECURE_PLAINTEXT=true\n",
    ];
    let names = "pump-1 # the first\n\n pump-2\nA.b_c\n";
    assert_eq!(of_names(names.as_bytes()).map(|names| names.len()), Some(3));
    let texts = files.iter().chain(&variables).copied().chain([names]);
    let seeds: Vec<_> = texts.enumerate().map(|(tag, text)| tagged(tag, text.as_bytes())).collect();
    for (at, text) in files.iter().enumerate() {
        // Whatever else there is to say of it, it is a file of settings.
        let parsed = of_file(COMMANDS[at], text.as_bytes());
        let is_file = !matches!(parsed, Err(SettingsError::File { .. }));
        assert!(is_file, "{:?}", parsed.map_err(|error| error.to_string()).err());
    }
    for (command, text) in COMMANDS.iter().zip(variables) {
        let parsed = of_variables(command, text);
        let is_known = !matches!(parsed, Err(SettingsError::Variable { .. }));
        assert!(is_known, "{:?}", parsed.map_err(|error| error.to_string()).err());
    }
    seeds
}
