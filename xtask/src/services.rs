//! The programs of `sharelet`, run in a throw-away folder: provisioning, dealer, host, a device on
//! the PC.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::files::{create_folder, read, write};
use crate::process::{self, Running};
use crate::report::{Line, forget_report};
use crate::workspace::Workspace;

const READY_LIMIT: Duration = Duration::from_secs(60);
const COMMAND_LIMIT: Duration = Duration::from_secs(300);
const READY: &str = "listening on ";

/// Bytes of a sector of a board's flash, and how many of them a log has.
pub const SECTOR_BYTES: usize = 1024;
const FLASH_SECTORS: usize = 2;

/// What a board proves who it is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKeys {
    /// A key pair of its own.
    Static,
    /// A secret for each peer, which moves forward with every connection.
    Psk,
}

impl ChannelKeys {
    /// As `sharelet provision` takes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Psk => "psk",
        }
    }
}

/// A folder in which one set of parties keeps its state, its files and its logs.
#[derive(Debug)]
pub struct Room {
    sharelet: PathBuf,
    folder: PathBuf,
    plaintext: bool,
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
        create_folder(folder)?;
        Ok(Self { sharelet: workspace.sharelet(), folder: folder.to_owned(), plaintext: false })
    }

    /// The same with programs that are built for speed.
    pub fn released(self, workspace: &Workspace) -> Self {
        Self { sharelet: workspace.released_sharelet(), ..self }
    }

    /// The same, whose dealer and host have no channels.
    pub fn plaintext(self) -> Self {
        Self { plaintext: true, ..self }
    }

    /// The room's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in the room.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes identities of dealer and host, if there are none, and the device's keys: a page for a
    /// board, or files for a program.
    pub fn provision(&self, board: bool) -> Result<()> {
        if !self.path("host.id").exists() {
            self.lines(&["keygen dealer dealer", "keygen host host", "pair host.id dealer.id"])?;
        }
        let page = if board { " --page" } else { "" };
        self.lines(&[&format!("provision device --state dealer --peer host.id --force{page}")])
    }

    /// Makes identities, the keys of a board, and the flash that they are used from: the first
    /// records, and the rest erased.
    pub fn provision_flash(&self, channel: ChannelKeys) -> Result<()> {
        self.lines(&["keygen dealer dealer", "keygen host host", "pair host.id dealer.id"])?;
        let line = "provision device --state dealer --peer host.id --page --channel";
        self.lines(&[&format!("{line} {}", channel.word())])?;
        let logs: &[&str] = match channel {
            ChannelKeys::Static => &["device.born"],
            ChannelKeys::Psk => &["device.born", "device.ratchets"],
        };
        for log in logs {
            let mut bytes = read(&self.path(log))?;
            bytes.resize(FLASH_SECTORS * SECTOR_BYTES, 0xFF);
            write(&self.path(log), bytes)?;
        }
        Ok(())
    }

    /// Provisions the device anew at a dealer of its own, which the room's does not know.
    pub fn provision_elsewhere(&self) -> Result<()> {
        self.lines(&["provision device --state elsewhere --peer host.id --force --page"])
    }

    /// The plaintext answers for the first `count` readings; the readings go to `inputs.f32`, as a
    /// board takes them.
    pub fn twin(&self, model: &Path, inputs: &Path, count: Option<usize>) -> Result<Vec<Line>> {
        let count_of = count.map_or_else(String::new, |count| format!(" --count {count}"));
        let line = format!("twin --raw --save-readings inputs.f32{count_of}");
        let mut command = self.sharelet(&line);
        command.arg("--inputs").args([inputs, model]);
        let log = self.path("twin.log");
        let output = process::run("sharelet twin", &mut command, &log, COMMAND_LIMIT)?;
        let answers: Vec<_> =
            output.lines().map(Line::parse).filter(|line| line.text("values").is_some()).collect();
        match answers.len() {
            0 => bail!("sharelet twin gave no answers; see {}", log.display()),
            found if count.is_some_and(|count| found < count) => {
                bail!("{} has {found} readings; ask for fewer with --count", inputs.display())
            }
            _ => Ok(answers),
        }
    }

    /// Writes the model's twin for a board to measure, as `twin`.
    pub fn export_twin(&self, model: &Path) -> Result<()> {
        self.run("twin --export twin", &[model])
    }

    /// Imports a float model.
    pub fn import(&self, model: &Path, calibrate: &Path, output: &Path) -> Result<()> {
        self.import_with("", model, calibrate, output)
    }

    /// The same with `options`.
    pub fn import_with(
        &self,
        options: &str,
        model: &Path,
        calibrate: &Path,
        output: &Path,
    ) -> Result<()> {
        let files = [model, Path::new("--calibrate"), calibrate, Path::new("-o"), output];
        self.run(&format!("import --force {options}"), &files)
    }

    /// Starts a dealer.
    pub fn dealer(&self) -> Result<Server> {
        let line = format!("dealer {} --state dealer --listen 127.0.0.1:0", self.own("dealer.id"));
        self.serve("dealer", &line, &[])
    }

    /// Starts a host; `port` 0 takes a free one.
    pub fn host(&self, model: &Path, dealer: u16, port: u16, answer: &str) -> Result<Server> {
        let line = format!(
            "host -v {} --dealer 127.0.0.1:{dealer} --state host --listen 127.0.0.1:{port} --raw \
             --answer {answer}",
            self.own("host.id")
        );
        self.serve("host", &line, &[model])
    }

    /// Starts a host that also serves the device on the serial line `path`.
    pub fn serial_host(&self, model: &Path, dealer: u16, path: &str) -> Result<Server> {
        let line = format!(
            "host -v {} --dealer 127.0.0.1:{dealer} --state host --listen 127.0.0.1:0 --raw \
             --serial {path}",
            self.own("host.id")
        );
        self.serve("host", &line, &[model])
    }

    /// What a service is who it is by.
    fn own(&self, identity: &str) -> String {
        if self.plaintext { "--insecure-plaintext".to_owned() } else { format!("--id {identity}") }
    }

    /// Starts a dealer and a host.
    pub fn services(&self, model: &Path, answer: &str) -> Result<Services> {
        let dealer = self.dealer()?;
        let host = self.host(model, dealer.port, 0, answer)?;
        Ok(Services { host, dealer })
    }

    /// Makes identities of dealer and servers, the keys of a board that is a data party, and the
    /// task of `model`.
    pub fn provision_queries(&self, model: &Path) -> Result<()> {
        self.lines(&[
            "keygen dealer dealer",
            "keygen server-0 server-0",
            "keygen server-1 server-1",
            "pair server-1.id dealer.id",
            "pair server-0.id server-1.id",
            "provision server-0 --role server-0 --state dealer",
            "provision device --role data-party --peer server-0.id --peer server-1.id --page \
             --channel psk",
        ])?;
        self.run("task -o task.bin", &[model])
    }

    /// Starts a dealer and the two servers of a model.
    pub fn servers(&self, model: &Path) -> Result<Servers> {
        let dealer = self.dealer()?;
        let line = format!(
            "server --party 1 --id server-1.id --listen 127.0.0.1:0 --state server-1 --dealer \
             127.0.0.1:{} --model",
            dealer.port
        );
        let server_1 = self.serve("server-1", &line, &[model])?;
        let line = format!(
            "server --party 0 --id server-0.id --listen 127.0.0.1:0 --task task.bin \
             --key server-0.key --peer 127.0.0.1:{}",
            server_1.port
        );
        let server_0 = self.serve("server-0", &line, &[])?;
        Ok(Servers { server_0, server_1, dealer })
    }

    /// Starts a device on the PC, with the room's key, counter and readings.
    pub fn device(&self, host: u16, count: usize, answer: &str) -> Result<Running> {
        forget_report(&self.folder)?;
        let mut command = self.sharelet(&format!(
            "device --id device.id --key device.key --inputs inputs.f32 --report report \
             --answer {answer} --host 127.0.0.1:{host} --count {count}"
        ));
        Running::start("device", &mut command, &self.path("device.log"))
    }

    /// A command line, whose words have no spaces in them.
    fn sharelet(&self, line: &str) -> Command {
        let mut command = Command::new(&self.sharelet);
        command.current_dir(&self.folder).args(line.split_whitespace());
        command
    }

    /// Runs command lines, one after the other.
    fn lines(&self, lines: &[&str]) -> Result<()> {
        lines.iter().try_for_each(|line| self.run(line, &[]))
    }

    /// Runs a command line, with `files` behind it, to its end; its log is that of its first word.
    fn run(&self, line: &str, files: &[&Path]) -> Result<()> {
        let command = line.split(' ').next().unwrap_or(line);
        let log = self.path(&format!("{command}.log"));
        let name = format!("sharelet {command}");
        process::run(&name, self.sharelet(line).args(files), &log, COMMAND_LIMIT).map(|_| ())
    }

    /// Starts a command line, with `files` behind it, that listens.
    fn serve(&self, name: &str, line: &str, files: &[&Path]) -> Result<Server> {
        let log = self.path(&format!("{name}.log"));
        let mut process = Running::start(name, self.sharelet(line).args(files), &log)?;
        let address = process.wait_for_line(READY, READY_LIMIT)?;
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port =
            port.with_context(|| format!("{name} listens on `{address}`, which has no port"))?;
        Ok(Server { process, port })
    }
}
