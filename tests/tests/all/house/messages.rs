//! docs/troubleshooting.md quotes messages: each is in a program, word for word.

use super::source;

/// Literals that go over several lines, as one.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for part in text.split("\\\n") {
        joined.push_str(if joined.is_empty() { part } else { part.trim_start() });
    }
    joined
}

#[test]
fn every_message_of_the_page_is_in_a_program() {
    let page = std::fs::read_to_string(source::repository().join("docs/troubleshooting.md"));
    let page = page.expect("is there");
    let mut sources = source::files("");
    sources.retain(|source| !source.path.iter().any(|part| part == "tests"));
    let sources: Vec<String> = sources.iter().map(|source| joined(&source.text)).collect();
    let mut found = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let message = row.split('`').nth(1).expect("a message");
        assert!(sources.iter().any(|text| text.contains(message)), "nobody says `{message}`");
        found += 1;
    }
    assert!(found > 30, "{found} messages");
}
