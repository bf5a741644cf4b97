//! The programs of `sharelet`, run in a throw-away folder: provisioning, dealer, host, a device on
//! the PC.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Running};
use crate::report::{Line, forget_report};
use crate::workspace::Workspace;

const READY_LIMIT: Duration = Duration::from_secs(60);
const COMMAND_LIMIT: Duration = Duration::from_secs(300);
const READY: &str = "listening on ";

/// A folder in which one set of parties keeps its state, its files and its logs.
#[derive(Debug)]
pub struct Room {
    sharelet: PathBuf,
    folder: PathBuf,
}

/// A dealer or a host, and the port that it listens on.
#[derive(Debug)]
pub struct Server {
    /// The program.
    pub process: Running,
    /// Its port on the loopback interface.
    pub port: u16,
}

/// The dealer and the host of one model. Dropping them ends them.
#[derive(Debug)]
pub struct Services {
    /// The host.
    pub host: Server,
    /// The dealer; ends after the host.
    pub dealer: Server,
}

/// Two servers and their dealer. Dropping them ends them.
#[derive(Debug)]
pub struct Servers {
    /// Server 0.
    pub server_0: Server,
    /// Server 1, which has the model.
    pub server_1: Server,
    /// The dealer; ends after the servers.
    pub dealer: Server,
}

impl Room {
    /// An empty room at `folder`; what was there is removed.
    pub fn new(workspace: &Workspace, folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)
                .with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be created", folder.display()))?;
        Ok(Self { sharelet: workspace.sharelet(), folder: folder.to_owned() })
    }

    /// The room's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in the room.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the device's key, known to the room's dealer.
    pub fn provision(&self, device: &str) -> Result<()> {
        let mut command = self.sharelet(&["provision", device]);
        command
            .arg("--state")
            .arg(self.path("dealer"))
            .arg("-o")
            .arg(self.path("device.key"))
            .arg("--force");
        self.run("sharelet provision", &mut command, "provision.log").map(|_| ())
    }

    /// The plaintext answers for the first `count` readings; the readings go to `inputs.f32`, as a
    /// board takes them.
    pub fn twin(&self, model: &Path, inputs: &Path, count: Option<usize>) -> Result<Vec<Line>> {
        let mut command = self.sharelet(&["twin"]);
        command.arg(model).arg("--inputs").arg(inputs).arg("--raw").arg(self.path("inputs.f32"));
        if let Some(count) = count {
            command.arg("--count").arg(count.to_string());
        }
        let output = self.run("sharelet twin", &mut command, "twin.log")?;
        let answers: Vec<_> =
            output.lines().map(Line::parse).filter(|line| line.text("values").is_some()).collect();
        match answers.len() {
            0 => bail!("sharelet twin gave no answers; see {}", self.path("twin.log").display()),
            found if count.is_some_and(|count| found < count) => {
                bail!("{} has {found} readings; ask for fewer with --count", inputs.display())
            }
            _ => Ok(answers),
        }
    }

    /// Writes the model's twin for a board to measure, as `twin`.
    pub fn export_twin(&self, model: &Path) -> Result<()> {
        let mut command = self.sharelet(&["twin"]);
        command.arg(model).arg("--export").arg(self.path("twin"));
        self.run("sharelet twin --export", &mut command, "twin-export.log").map(|_| ())
    }

    /// Imports a float model.
    pub fn import(&self, model: &Path, calibrate: &Path, output: &Path) -> Result<()> {
        let mut command = self.sharelet(&["import"]);
        command.arg(model).arg("--calibrate").arg(calibrate).arg("-o").arg(output);
        self.run("sharelet import", &mut command, "import.log").map(|_| ())
    }

    /// Starts a dealer.
    pub fn dealer(&self) -> Result<Server> {
        let mut command = self.sharelet(&["dealer", "--listen", "127.0.0.1:0"]);
        command.arg("--state").arg(self.path("dealer"));
        self.serve("dealer", &mut command)
    }

    /// Starts a host; `port` 0 takes a free one.
    pub fn host(&self, model: &Path, dealer: u16, port: u16, answer: &str) -> Result<Server> {
        let mut command = self.sharelet(&["host"]);
        command
            .arg(model)
            .arg("--dealer")
            .arg(format!("127.0.0.1:{dealer}"))
            .arg("--state")
            .arg(self.path("host"));
        command.arg("--listen").arg(format!("127.0.0.1:{port}")).args(["--answer", answer]);
        self.serve("host", &mut command)
    }

    /// Starts a dealer and a host.
    pub fn services(&self, model: &Path, answer: &str) -> Result<Services> {
        let dealer = self.dealer()?;
        let host = self.host(model, dealer.port, 0, answer)?;
        Ok(Services { host, dealer })
    }

    /// Makes a data party's key, the task of `model`, and server 0's key.
    pub fn provision_queries(&self, model: &Path) -> Result<()> {
        let mut command =
            self.sharelet(&["provision", "check", "--outsource", "-o", "device.key", "--force"]);
        self.run("sharelet provision --outsource", &mut command, "provision.log")?;
        let mut command =
            self.sharelet(&["provision", "server-0", "-o", "server-0.key", "--force"]);
        command.arg("--state").arg(self.path("dealer"));
        self.run("sharelet provision", &mut command, "provision-server-0.log")?;
        let mut command = self.sharelet(&["task"]);
        command.arg(model).args(["-o", "task.bin"]);
        self.run("sharelet task", &mut command, "task.log").map(|_| ())
    }

    /// Starts a dealer and the two servers of a model.
    pub fn servers(&self, model: &Path) -> Result<Servers> {
        let dealer = self.dealer()?;
        let mut command = self.sharelet(&[
            "server",
            "--party",
            "1",
            "--listen",
            "127.0.0.1:0",
            "--state",
            "server-1",
        ]);
        command.arg("--model").arg(model).arg("--dealer").arg(format!("127.0.0.1:{}", dealer.port));
        let server_1 = self.serve("server-1", &mut command)?;
        let mut command = self.sharelet(&[
            "server",
            "--party",
            "0",
            "--listen",
            "127.0.0.1:0",
            "--task",
            "task.bin",
        ]);
        command.args(["--key", "server-0.key", "--counter", "server-0.counter"]);
        command.arg("--peer").arg(format!("127.0.0.1:{}", server_1.port));
        let server_0 = self.serve("server-0", &mut command)?;
        Ok(Servers { server_0, server_1, dealer })
    }

    /// Starts a device on the PC, with the room's key, counter and readings.
    pub fn device(&self, host: u16, count: usize, answer: &str) -> Result<Running> {
        forget_report(&self.folder)?;
        let mut command = self.sharelet(&["device", "--key", "device.key", "--counter", "counter"]);
        command.args(["--inputs", "inputs.f32", "--report", "report", "--answer", answer]);
        command.args(["--host", &format!("127.0.0.1:{host}"), "--count", &count.to_string()]);
        Running::start("device", &mut command, &self.path("device.log"))
    }

    fn sharelet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.sharelet);
        command.current_dir(&self.folder).args(arguments);
        command
    }

    fn run(&self, name: &str, command: &mut Command, log: &str) -> Result<String> {
        process::run(name, command, &self.path(log), COMMAND_LIMIT)
    }

    fn serve(&self, name: &str, command: &mut Command) -> Result<Server> {
        let mut process = Running::start(name, command, &self.path(&format!("{name}.log")))?;
        let address = process.wait_for_line(READY, READY_LIMIT)?;
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port =
            port.with_context(|| format!("{name} listens on `{address}`, which has no port"))?;
        Ok(Server { process, port })
    }
}
