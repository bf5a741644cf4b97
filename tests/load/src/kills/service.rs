//! A program that listens, is killed, and listens again at the same place; and copies of its state.

use std::fs;
use std::path::{Path, PathBuf};

use sharelet_testkit::processes::{Programs, Server};

use super::seen::Seen;

/// A program that is started again.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    line: String,
    server: Server,
}

impl Service {
    /// Starts `line`, which says nothing of where to listen.
    pub(super) fn start(room: &Programs, name: &'static str, line: String) -> Self {
        let server = room.serve(&line);
        Self { name, line, server }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn address(&self) -> &str {
        &self.server.address
    }

    /// Kills it; what it has said is taken in.
    pub(super) fn kill(&mut self, seen: &mut Seen) {
        self.server.program.kill();
        seen.log(self.name, &self.server.program.said());
    }

    /// Starts it again, where it was.
    pub(super) fn start_again(&mut self, room: &Programs) {
        self.server = room.serve(&format!("{} --listen {}", self.line, self.server.address));
    }
}

/// A copy of a folder, as it is; the one before is removed.
pub(super) fn copied(room: &Programs, folder: &str) -> PathBuf {
    let copy = room.path("copy");
    if copy.exists() {
        fs::remove_dir_all(&copy).expect("removes");
    }
    copy_into(&room.path(folder), &copy);
    copy
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir(to).expect("makes");
    for entry in fs::read_dir(from).expect("reads").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_into(&path, &to);
        } else if let Err(error) = fs::copy(&path, &to) {
            // A program that still runs removes what it has used.
            assert!(!path.exists(), "{}: {error}", path.display());
        }
    }
}
