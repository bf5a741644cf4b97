//! The pages of the book: chapters, and the reference, which are files of the repository.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The top folder of the repository.
pub fn root() -> PathBuf {
    let book = Path::new(env!("CARGO_MANIFEST_DIR"));
    book.ancestors().nth(2).expect("learn/book lies in the repository").to_path_buf()
}

/// A page: its path below the repository, and its text.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// Where a link of a page leads, below the repository, and its fragment.
pub fn target(page: &Path, link: &str) -> (PathBuf, String) {
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let folder = page.parent().unwrap_or(Path::new(""));
    let joined = if path.is_empty() { page.to_path_buf() } else { folder.join(path) };
    let mut plain = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{link} leaves the repository"),
            part => plain.push(part),
        }
    }
    (plain, fragment.to_owned())
}

/// The links in a text, but for those in code, and those to elsewhere.
pub fn links(text: &str) -> Vec<String> {
    let mut code = false;
    let mut links = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for part in line.split("](").skip(1) {
            let link = part.split(')').next().unwrap_or("");
            if !link.contains("://") {
                links.push(link.to_owned());
            }
        }
    }
    links
}

/// All pages that the summary names, and the summary itself, first.
pub fn all() -> Vec<Page> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path));
        Page { text: text.unwrap_or_else(|_| panic!("{} is no page", path.display())), path }
    };
    let summary = read("learn/book/chapters/SUMMARY.md".into());
    let pages: Vec<Page> =
        links(&summary.text).iter().map(|link| read(target(&summary.path, link).0)).collect();
    assert!(pages.len() > 20, "{} pages", pages.len());
    [summary].into_iter().chain(pages).collect()
}
