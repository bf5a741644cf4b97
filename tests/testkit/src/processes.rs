//! The programs themselves, in a folder of their own: command lines as text, servers that are
//! killed when dropped. Whoever connects gets an identity, and is paired with whom it meets.

mod cast;

use core::cell::Cell;
use core::time::Duration;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use tempfile::TempDir;

/// How long a program may take for anything.
const SOON: Duration = Duration::from_secs(120);
/// How long a program may take to stop when it is told to.
const GRACE: Duration = Duration::from_secs(10);

/// A folder in which programs run.
#[derive(Debug)]
pub struct Programs {
    binary: PathBuf,
    folder: TempDir,
    started: Cell<u32>,
}

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// Fails if it did not end with this code, and said this on its standard error.
    #[track_caller]
    pub fn expect(self, code: i32, says: &str) -> Self {
        assert!(self.code == Some(code) && self.err.contains(says), "{code}, `{says}`: {self:#?}");
        self
    }
}

impl Programs {
    /// An empty folder for the program `binary`.
    pub fn new(binary: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { binary: binary.into(), folder, started: Cell::default() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("writes");
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.binary);
        let keys = cast::keys(self.folder(), line);
        let words = line.split_whitespace().chain(keys.split_whitespace());
        command.current_dir(self.folder()).args(words).env_remove("RUST_LOG");
        command
    }

    /// Runs a command line to its end; its words have no spaces in them.
    pub fn run(&self, line: &str) -> Ended {
        self.command(line).output().expect("runs").into()
    }

    /// Runs a command line that must succeed.
    #[track_caller]
    pub fn works(&self, line: &str) -> Ended {
        let ended = self.run(line);
        assert!(ended.code == Some(0), "{line}: {}", ended.err);
        ended
    }

    /// Runs a command line that must end with this code, and say this.
    #[track_caller]
    pub fn refuses(&self, line: &str, code: i32, says: &str) -> Ended {
        println!("{line}");
        self.run(line).expect(code, says)
    }

    /// Starts a command line beside the test.
    pub fn start(&self, line: &str) -> Program {
        self.start_command(line, &mut self.command(line))
    }

    fn start_command(&self, line: &str, command: &mut Command) -> Program {
        let number = self.started.replace(self.started.get() + 1);
        let log = self.path(&format!("{number}.log"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("starts");
        let (to, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        // Read to the end: what it prints must not stop it.
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = to.send(line);
            }
        });
        Program { child, lines, log, line: line.to_owned() }
    }

    /// Starts a command line that listens, on a free port if it says none, and waits until it does.
    pub fn serve(&self, line: &str) -> Server {
        let listen = if line.contains("--listen") { "" } else { " --listen 127.0.0.1:0" };
        Self::listening(self.start(&format!("{line}{listen}")))
    }

    /// Starts a command line that listens, as `nohup` does: told to ignore SIGHUP.
    #[must_use]
    pub fn serve_ignoring_hang_up(&self, line: &str) -> Server {
        let mut shell = Command::new("sh");
        let line = format!("{line} --listen 127.0.0.1:0");
        let keys = cast::keys(self.folder(), &line);
        let script = format!("trap '' HUP; exec \"$0\" {line} {keys}");
        shell.current_dir(self.folder()).arg("-c").arg(script).arg(&self.binary);
        Self::listening(self.start_command(&line, shell.env_remove("RUST_LOG")))
    }

    fn listening(program: Program) -> Server {
        let said = program.next_line();
        let address = said.as_deref().and_then(|said| said.strip_prefix("listening on "));
        let Some(address) = address.map(str::to_owned) else {
            panic!("{}: {said:?}, {}", program.line, program.said())
        };
        Server { program, address }
    }

    /// Starts the two parties that collect, with the states `server-0` and `server-1`, for both to
    /// be named as `share --to`.
    pub fn collectors(&self) -> ([Server; 2], String) {
        let servers = [0, 1]
            .map(|party| self.serve(&format!("collect --party {party} --state server-{party}")));
        let to = format!("{},{}", servers[0].address, servers[1].address);
        (servers, to)
    }
}

/// A program that runs; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
    line: String,
}

impl Program {
    /// The next line of its standard output, in time; `None` at its end.
    pub fn next_line(&self) -> Option<String> {
        self.lines.recv_timeout(SOON).ok()
    }

    /// What is on its standard error so far.
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// Whether it has not ended by itself.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Ends it at once, by SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    pub fn end(self) -> Ended {
        self.end_within(SOON)
    }

    /// Sends a signal, and waits for the end, which must come soon.
    pub fn stop(self, signal: &str) -> Ended {
        self.signal(signal);
        self.end_within(GRACE)
    }

    fn end_within(mut self, limit: Duration) -> Ended {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                let out: Vec<String> = self.lines.iter().collect();
                return Ended { code: status.code(), out: out.join("\n"), err: self.said() };
            }
            assert!(start.elapsed() < limit, "`{}` does not end: {}", self.line, self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that listens; killed when dropped.
#[derive(Debug)]
pub struct Server {
    /// The program.
    pub program: Program,
    /// Where it listens.
    pub address: String,
}

/// Waits until something has happened.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
