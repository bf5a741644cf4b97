//! `cargo xtask book`: the book as pages for a browser.
//!
//! Chapters and documentation lie in `target/book/tree` at the paths that they have in the
//! repository, with the files that they link to: a link that works in one works in the other.

use core::time::Duration;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::files;
use crate::process;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// What names all pages, in their order.
const SUMMARY: &str = "learn/book/chapters/SUMMARY.md";
/// What `cargo xtask learn` makes, and chapters link to.
const PAGE: &str = "target/learn/one-gate.html";
/// The program, and the version that is installed where there is none.
const MDBOOK: &str = "mdbook";
const VERSION: &str = "0.5.4";
const INSTALL_LIMIT: Duration = Duration::from_secs(3600);
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// How the book is made.
#[derive(Args, Clone, Copy, Debug)]
pub struct BookArgs {
    /// Opens it in a browser.
    #[arg(long)]
    open: bool,
}

/// Builds the book, and says where it is.
///
/// # Errors
///
/// If a page is missing, a link leads nowhere, or `mdbook` can be neither found nor installed.
pub fn run(args: BookArgs) -> Result<()> {
    let (workspace, steps) = (Workspace::here(), Steps::new());
    let mdbook = match installed(&workspace) {
        Some(mdbook) => mdbook,
        None => install(&workspace, &steps)?,
    };
    let page = steps.step("building the book", || build(&workspace, &mdbook, args.open))?;
    if !source(&workspace, Path::new(PAGE)).exists() {
        steps.note(&format!("links to {PAGE} lead nowhere yet: cargo xtask learn makes it"));
    }
    println!("{}", page.display());
    Ok(())
}

/// Lays the pages out and builds the book; gives its first page.
///
/// # Errors
///
/// If a page is missing, or a link leads nowhere.
pub fn build(workspace: &Workspace, mdbook: &Path, open: bool) -> Result<PathBuf> {
    let folder = workspace.target().join("book");
    lay_out(workspace, &folder)?;
    let mut build = Command::new(mdbook);
    build.arg("build").arg(&folder);
    if open {
        build.arg("--open");
    }
    process::run(MDBOOK, &mut build, &folder.join("mdbook.log"), BUILD_LIMIT)?;
    let html = folder.join("html");
    check_links(&html)?;
    Ok(html.join("index.html"))
}

/// Where the project's own `mdbook` is installed.
fn tools(workspace: &Workspace) -> PathBuf {
    workspace.target().join("tools")
}

/// `mdbook`, that of the machine or the project's own.
pub fn installed(workspace: &Workspace) -> Option<PathBuf> {
    let name = format!("{MDBOOK}{}", env::consts::EXE_SUFFIX);
    [PathBuf::from(MDBOOK), tools(workspace).join("bin").join(name)]
        .into_iter()
        .find(|program| process::succeeds(Command::new(program).arg("--version")))
}

/// Installs the project's own.
fn install(workspace: &Workspace, steps: &Steps) -> Result<PathBuf> {
    let tools = tools(workspace);
    let what = format!("installing mdbook {VERSION} to {}, a few minutes", tools.display());
    steps.step(&what, || {
        let mut cargo = workspace.cargo();
        cargo.args(["install", "--locked", "--version", VERSION, "--no-default-features"]);
        cargo.args(["--features", "search", "--root"]).arg(&tools).arg(MDBOOK);
        let log = workspace.target().join("book/install.log");
        process::run("cargo install mdbook", &mut cargo, &log, INSTALL_LIMIT)
    })?;
    installed(workspace).context("mdbook was installed, and does not start")
}

/// Copies all pages and what they link to, each to its own path.
fn lay_out(workspace: &Workspace, folder: &Path) -> Result<()> {
    let (root, tree) = (workspace.root(), folder.join("tree"));
    for old in [&tree, &folder.join("html")] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("{} stays", old.display()))?;
        }
    }
    for name in ["book.toml", "book.css"] {
        files::write(&folder.join(name), files::read(&root.join("learn/book").join(name))?)?;
    }

    let text = |path: &Path| -> Result<String> {
        String::from_utf8(files::read(&root.join(path))?)
            .with_context(|| format!("{} is not UTF-8", path.display()))
    };
    let summary = text(Path::new(SUMMARY))?;
    let mut moved = summary.clone();
    let mut linked = BTreeSet::new();
    for link in links(&summary) {
        let page =
            target(Path::new(SUMMARY), link).with_context(|| format!("{link} is outside"))?;
        // Paths of a summary begin at the tree.
        let place = page.to_string_lossy().replace('\\', "/");
        moved = moved.replace(&format!("]({link})"), &format!("]({place})"));
        let text = text(&page)?;
        linked.extend(links(&text).filter_map(|link| target(&page, link)));
        linked.insert(page);
    }
    files::write(&tree.join("SUMMARY.md"), moved)?;
    for path in linked {
        let file = source(workspace, &path);
        if file.is_file() {
            files::write(&tree.join(path), files::read(&file)?)?;
        }
    }
    Ok(())
}

/// Where a file lies that has `path` in the repository: the build folder may be elsewhere.
fn source(workspace: &Workspace, path: &Path) -> PathBuf {
    match path.strip_prefix("target") {
        Ok(path) => workspace.target().join(path),
        Err(_) => workspace.root().join(path),
    }
}

/// The links of a page to other files, without those in blocks of code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("\n```").step_by(2);
    let links = blocks.flat_map(|block| block.split("](").skip(1));
    links
        .filter_map(|link| link.split([')', '#']).next())
        .filter(|link| !link.is_empty() && !link.contains("://"))
}

/// Where a page's link leads, below the repository.
fn target(page: &Path, link: &str) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in page.parent()?.join(link).components() {
        match part {
            Component::ParentDir => plain.pop().then_some(())?,
            part => plain.push(part),
        }
    }
    Some(plain)
}

/// Every reference of every page leads to a file; but for the interactive page, which may come
/// later.
fn check_links(html: &Path) -> Result<()> {
    let (mut folders, mut wrong, mut count) = (vec![html.to_owned()], Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let (tree, page) = (path.strip_prefix(html)?, html.join(PAGE));
            if path.extension().is_none_or(|extension| extension != "html") || path == page {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            for attribute in ["href=\"", "src=\""] {
                for link in text.split(attribute).skip(1) {
                    let link = link.split(['"', '#']).next().unwrap_or("");
                    // Outside of the book, or drawn by a script.
                    if link.is_empty() || link.contains(':') || link.contains('$') {
                        continue;
                    }
                    count += 1;
                    let found = target(tree, link).map(|at| html.join(at));
                    if found.is_none_or(|at| !at.exists() && at != page) {
                        wrong.push(format!("{}: {link}", tree.display()));
                    }
                }
            }
        }
    }
    ensure!(count > 0, "the book has no links");
    ensure!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
    Ok(())
}
