//! A server of NATS with JetStream, on this machine, for a test.

use core::time::Duration;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

/// The variable that names the program; else it is looked for where programs are.
pub const PROGRAM: &str = "SHARELET_NATS_SERVER";
/// How long it may take to answer.
const SOON: Duration = Duration::from_secs(30);

/// A server, killed when it is dropped.
#[derive(Debug)]
pub struct NatsServer {
    program: String,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}

impl NatsServer {
    /// Starts one; `None`, and a printed line, where there is no such program.
    ///
    /// With `durable` each record is on the disk before it is acknowledged, as it should be where
    /// a power cut must take nothing.
    #[must_use]
    pub fn start(durable: bool) -> Option<Self> {
        Self::start_with(durable, "")
    }

    /// The same, with more settings.
    #[must_use]
    #[allow(clippy::print_stdout)]
    pub fn start_with(durable: bool, settings: &str) -> Option<Self> {
        let program = env::var(PROGRAM).unwrap_or_else(|_| "nats-server".to_owned());
        let is_there =
            Command::new(&program).arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_there {
            println!("skipped: there is no nats-server, and {PROGRAM} names none");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Self { program, folder, port: free_port(), child: None };
        let (store, sync) =
            (server.folder.path().join("jetstream"), if durable { "always" } else { "2m" });
        let text = format!(
            "listen: \"127.0.0.1:{}\"\njetstream {{ store_dir: {store:?}, sync_interval: {sync}, \
             max_file_store: 16GB }}\n{settings}\n",
            server.port
        );
        fs::write(server.folder.path().join("nats.conf"), text).expect("writes");
        server.begin();
        Some(server)
    }

    /// Starts it, if it does not run.
    ///
    /// # Panics
    /// It does not listen.
    pub fn begin(&mut self) {
        let log = fs::File::create(self.folder.path().join("nats.log")).expect("a log");
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("nats.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child.get_or_insert_with(|| command.spawn().expect("starts"));
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let said = || fs::read_to_string(self.folder.path().join("nats.log"));
            assert!(begun.elapsed() < SOON, "{:?}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, as a power cut of its machine would not: what the system has, it writes.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its files, as they are; it must not run.
    ///
    /// # Panics
    /// A file cannot be copied.
    #[must_use]
    pub fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(&self.folder.path().join("jetstream"), copy.path());
        copy
    }

    /// Puts files back; it must not run.
    ///
    /// # Panics
    /// A file cannot be copied.
    pub fn restore(&self, copy: &TempDir) {
        let store = self.folder.path().join("jetstream");
        fs::remove_dir_all(&store).expect("removes");
        copy_folder(copy.path(), &store);
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).expect("reads").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copies");
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
