//! Every link of every page leads to a file, and to a heading of it; every chapter ends at a step
//! of the interactive page, and every page of the documentation is in the book.

use std::fs;
use std::path::Path;

use super::pages::{all, links, root, target};

/// What `cargo xtask learn` makes; it is not in the repository.
const STEPS_OF: &str = "target/learn/one-gate.html";

/// The names of its chapters.
fn steps() -> Vec<String> {
    let page = fs::read_to_string(root().join("learn/page/page/index.html")).unwrap();
    let pieces = page.split("<section class=\"chapter\" id=\"").skip(1);
    let steps: Vec<String> = pieces.map(|piece| piece.split('"').next().unwrap().into()).collect();
    assert!(steps.len() > 7, "{steps:?}");
    steps
}

/// The name under which a heading is linked.
fn slug(heading: &str) -> String {
    let letters = heading.trim().to_lowercase().replace(' ', "-");
    letters.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}

fn headings(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| slug(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_link_resolves() {
    let (steps, mut wrong) = (steps(), Vec::new());
    let mut count = 0;
    let pages = all();
    // A link to Markdown becomes one to a page, so there must be that page.
    let is_in_the_book = |path: &Path| pages.iter().skip(1).any(|page| page.path == path);
    for page in &pages {
        for link in links(&page.text) {
            count += 1;
            let (path, fragment) = target(&page.path, &link);
            let found = if path == Path::new(STEPS_OF) {
                steps.contains(&fragment)
            } else {
                let is_page = path.extension().is_some_and(|extension| extension == "md");
                let text = || fs::read_to_string(root().join(&path)).unwrap_or_default();
                root().join(&path).exists()
                    && (!is_page || is_in_the_book(&path))
                    && (fragment.is_empty() || is_page && headings(&text()).contains(&fragment))
            };
            if !found {
                wrong.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
    assert!(count > 60, "{count} links");
}

#[test]
fn every_chapter_ends_at_a_step_of_the_page() {
    let mut led = Vec::new();
    let chapters = all().into_iter().filter(|page| page.path.starts_with("learn/book/chapters"));
    for page in chapters.skip(1) {
        let last = page.text.trim_end().rsplit("\n\n").next().unwrap_or_default().to_owned();
        assert!(last.starts_with("On the page: "), "{} ends otherwise", page.path.display());
        let found = links(&last);
        assert!(!found.is_empty(), "{} has no step", page.path.display());
        led.extend(found.iter().map(|link| target(&page.path, link).1));
    }
    for step in steps() {
        assert!(led.contains(&step), "no chapter leads to {step}");
    }
}

#[test]
fn the_documentation_is_the_books_reference() {
    let pages = all();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name();
        let path = Path::new("docs").join(name);
        let found = pages.iter().any(|page| page.path == path);
        assert!(found, "{} is not in learn/book/chapters/SUMMARY.md", path.display());
    }
}
