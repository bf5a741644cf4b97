//! `cargo xtask learn`: the page "one gate, two views", one file that needs nothing else.
//!
//! The core and what the page asks of it are compiled to WebAssembly, compressed, and put into the
//! page together with styles and scripts. Links to lines of the core are made here, from the text
//! that stands in the line: `@{core/src/share.rs|pub fn expand}`. A text that is not there, or in
//! several lines, fails the build.

use core::fmt::Write as _;
use core::time::Duration;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::files;
use crate::process;
use crate::setup::Setup;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// What the page's program is compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// The largest page, in bytes.
const MOST_BYTES: usize = 300_000;
const BUILD_LIMIT: Duration = Duration::from_secs(1800);
/// Where the page's parts are.
const FOLDER: &str = "learn/page/page";
/// Scripts in the order in which they run.
const SCRIPTS: [&str; 11] = [
    "ask.js",
    "parts.js",
    "gate.js",
    "knows.js",
    "layer.js",
    "network.js",
    "train.js",
    "bits.js",
    "transfer.js",
    "trace.js",
    "main.js",
];

/// What to do with the page.
#[derive(Args, Clone, Copy, Debug)]
pub struct LearnArgs {
    /// Makes the page, and does not open it.
    #[arg(long)]
    no_open: bool,
}

/// Makes the page and opens it.
pub fn run(args: LearnArgs) -> Result<()> {
    let workspace = Workspace::here();
    let steps = Steps::new();
    let logs = workspace.target().join("learn");
    let page = build(&Setup { workspace: &workspace, steps: &steps, logs })?;
    println!("{}", page.display());
    if !args.no_open {
        open(&page)?;
    }
    Ok(())
}

/// Makes the page; gives its file.
pub fn build(setup: &Setup<'_>) -> Result<PathBuf> {
    setup.rustup_target(TARGET)?;
    let workspace = setup.workspace;
    let mut cargo = workspace.cargo();
    // A program for the browser here alone: elsewhere the core may come with defmt, whose symbols a
    // PC's linker does not take in a library of C's kind.
    cargo.args(["rustc", "--package", "sharelet-page", "--lib", "--crate-type", "cdylib"]);
    cargo
        .args(["--profile", "page", "--target", TARGET])
        .arg("--target-dir")
        .arg(workspace.target());
    setup.steps.step("compiling the core to WebAssembly", || {
        setup.run("cargo build of the page's program", &mut cargo, "build-page.log", BUILD_LIMIT)
    })?;
    let folder = workspace.target().join(TARGET).join("page");
    let program = files::read(&folder.join("sharelet_page.wasm"))?;
    let page = assemble(workspace.root(), &program)?;
    let file = workspace.target().join("learn/one-gate.html");
    files::write(&file, &page)?;
    setup.steps.note(&format!(
        "one-gate.html: {} bytes, of which the program takes {} ({} as it runs)",
        page.len(),
        packed(&program)?.len(),
        program.len(),
    ));
    ensure!(
        page.len() <= MOST_BYTES,
        "the page has {} bytes, and may have {MOST_BYTES}: take something out",
        page.len()
    );
    Ok(file)
}

/// The page's text.
fn assemble(root: &Path, program: &[u8]) -> Result<String> {
    let folder = root.join(FOLDER);
    let text = |name: &str| -> Result<String> {
        String::from_utf8(files::read(&folder.join(name))?)
            .with_context(|| format!("{FOLDER}/{name} is not UTF-8"))
    };
    let mut script = String::new();
    for name in SCRIPTS {
        writeln!(script, "{}", flush_left(&text(name)?))?;
    }
    let page = text("index.html")?;
    let page = put(&page, "/*{style}*/", &flush_left(&text("style.css")?))?;
    let page = put(&page, "/*{script}*/", script.trim())?;
    let page = with_lines(root, &page)?;
    // Last: it is long, and nothing in it is looked for.
    put(&page, "/*{wasm}*/", &packed(program)?)
}

/// A part without what its lines begin with: a browser does not read it.
fn flush_left(part: &str) -> String {
    part.lines().map(str::trim_start).collect::<Vec<_>>().join("\n")
}

/// Puts a part in its place, of which there is one.
fn put(page: &str, place: &str, part: &str) -> Result<String> {
    ensure!(page.matches(place).count() == 1, "the page has not one place {place}");
    Ok(page.replace(place, part))
}

/// The program as text: compressed, and in base 85.
fn packed(program: &[u8]) -> Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(program)?;
    Ok(base_85(&encoder.finish()?))
}

/// Five letters for four bytes, where base 64 has five and a third; `ask.js` reads it. As in
/// Ascii85 the last group is cut to a letter more than it has bytes. Letters begin at `(`; `}`
/// stands for `<`, which would begin a tag.
fn base_85(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() / 4 * 5 + 5);
    for group in bytes.chunks(4) {
        let word = (0..4).fold(0_u32, |word, index| {
            word << 8 | u32::from(group.get(index).copied().unwrap_or(0))
        });
        let letters = (0..5).rev().map(|place| {
            let digit = word / 85_u32.pow(place) % 85;
            match char::from_u32(digit + u32::from(b'(')) {
                Some(letter) if letter != '<' => letter,
                _ => '}',
            }
        });
        text.extend(letters.take(group.len() + 1));
    }
    text
}

/// Replaces `@{file|text}` by `file#L<line>|text`.
fn with_lines(root: &Path, page: &str) -> Result<String> {
    let mut pieces = page.split("@{");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (place, rest) = piece.split_once('}').context("a link to a line does not end")?;
        let (file, text) = place.split_once('|').context("a link to a line has no text")?;
        write!(out, "{file}#L{}|{text}", line_of(root, file, text)?)?;
        out.push_str(rest);
    }
    Ok(out)
}

/// The line, from 1 on, in which a text stands: in one alone.
fn line_of(root: &Path, file: &str, text: &str) -> Result<usize> {
    let source = fs::read_to_string(root.join(file))
        .with_context(|| format!("{file}, which the page links to, cannot be read"))?;
    let mut lines = (1..).zip(source.lines()).filter(|(_, line)| line.contains(text));
    match (lines.next(), lines.next()) {
        (Some((line, _)), None) => Ok(line),
        (None, _) => bail!("the page links to `{text}` in {file}, which is not there"),
        (Some(_), Some(_)) => bail!("the page links to `{text}` in {file}, which is in two lines"),
    }
}

/// Opens a file with whatever the system has for it.
fn open(page: &Path) -> Result<()> {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("cmd", &["/C", "start", ""])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(page).stdout(Stdio::null()).stderr(Stdio::null());
    if process::succeeds(&mut command) {
        return Ok(());
    }
    bail!("no browser could be opened: open {} yourself", page.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_the_line_that_has_the_text() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.rs"), "one\nfn two() {\nfn three() {\nthree\n").unwrap();
        let linked = |page: &str| with_lines(root.path(), page);
        assert_eq!(linked("see @{a.rs|fn two}.").unwrap(), "see a.rs#L2|fn two.");
        for (page, said) in [
            ("@{a.rs|four}", "not there"),
            ("@{a.rs|three}", "two lines"),
            ("@{b.rs|one}", "cannot be read"),
            ("@{a.rs|one", "does not end"),
        ] {
            let error = format!("{:#}", linked(page).unwrap_err());
            assert!(error.contains(said), "{page}: {error}");
        }
    }

    #[test]
    fn four_bytes_are_five_letters() {
        assert_eq!(base_85(&[]), "");
        assert_eq!(base_85(&[0; 5]), "(((((((");
        // 2^32 - 1 is 82 23 54 12 0 in base 85.
        assert_eq!(base_85(&[255; 4]), "z?^4(");
        // 20 is the digit of the letter that would begin a tag.
        assert_eq!(base_85(&[0, 0, 0, 20]), "((((}");
        let all: Vec<u8> = (0..=255).cycle().take(4099).collect();
        let text = base_85(&all);
        assert_eq!(text.len(), 4096 / 4 * 5 + 4);
        assert!(text.bytes().all(|letter| (b'('..=b'}').contains(&letter) && letter != b'<'));
    }

    #[test]
    fn a_part_has_one_place() {
        assert_eq!(put("a {} b", "{}", "c").unwrap(), "a c b");
        assert!(put("a {} {}", "{}", "c").is_err() && put("a", "{}", "c").is_err());
    }
}
