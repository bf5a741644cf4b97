//! The walks in `docs/architecture.md`: how many files one opens to follow one thing, and how many
//! lines a newcomer reads for one ReLU.

use std::path::Path;

/// What is followed, and the most files that it may take.
const LONGEST: [(&str, usize); 8] = [
    ("a dense layer in a session", 4),
    ("a ReLU in a session", 6),
    ("a ReLU on an engine", 7),
    ("a sigmoid", 9),
    ("an activation of an imported network", 5),
    ("a query to two servers", 9),
    ("a query to a model that both share", 12),
    ("a training step", 12),
];

#[test]
fn walks_are_as_short_as_they_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    for (followed, most) in LONGEST {
        let row = page.lines().find(|line| line.starts_with(&format!("| {followed} |")));
        let row = row.unwrap_or_else(|| panic!("{followed} has no walk"));
        let mut files: Vec<&str> =
            row.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs")).collect();
        for file in &files {
            let places = ["", "core/src", "std-host"].map(|place| root.join(place).join(file));
            assert!(places.iter().any(|path| path.is_file()), "{followed}: {file} has moved");
        }
        let named = files.len();
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), named, "{followed} names a file twice");
        let said: usize = row.split('|').nth(2).and_then(|said| said.trim().parse().ok()).unwrap();
        assert!(said == named && named <= most, "{followed}: says {said}, names {named} of {most}");
    }
}

/// The most that a newcomer reads for one ReLU.
const MOST_FILES: usize = 6;
const MOST_LINES: usize = 900;

/// What makes a ReLU whole, each with the file of the map that must have it: the formula and the
/// twin, who sends what, the steps, what they spend, how it is dealt.
const PARTS: [(&str, &[&str]); 6] = [
    ("gate.rs", &["fn relu<", "fn twin<"]),
    ("relu.rs", &["gate::deal", "gate::mask", "gate::open_p1", "gate::finish_p0", "finish_p1"]),
    ("mod.rs", &["fn mask<", "fn open_p1<", "fn finish_p0<", "fn finish_p1<", "fn finish<"]),
    ("correlation.rs", &["fn record<", "trait Half<", "for P0Gate<", "for P1Gate<"]),
    ("deal.rs", &["fn deal<", "fn deal_leaves<", "fn deal_table<"]),
    ("branchless.rs", &["fn leaf_word(", "fn moved("]),
];

/// Lines of a file up to its tests, which must be its end.
fn lines_without_tests(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| panic!("{}", path.display()));
    let (read, tests) = text.split_once("\n#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
    let behind = tests.lines().skip(1).filter(|line| line.starts_with(|c: char| c.is_alphabetic()));
    assert_eq!(behind.count(), 0, "{}: code behind the tests", path.display());
    read.lines().count()
}

#[test]
fn a_newcomer_reads_six_files_for_a_relu() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let map = page.split("**One ReLU is six files.**").nth(1).expect("the map has moved");
    let rows = map.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let (mut files, mut lines) = (Vec::new(), 0);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let said: usize = row.split('|').nth(2).and_then(|said| said.trim().parse().ok()).unwrap();
        if row.starts_with("| together |") {
            assert_eq!(said, lines, "the sum of the lines");
            continue;
        }
        let file = row.split('`').nth(1).expect("a file");
        let counted = lines_without_tests(&root.join(file));
        assert_eq!(said, counted, "{file}: the map says {said} lines, there are {counted}");
        lines += counted;
        files.push(file);
    }
    assert!(files.len() <= MOST_FILES, "{files:?}");
    assert!(lines <= MOST_LINES, "{lines} lines, {MOST_LINES} at most");
    for (name, parts) in PARTS {
        let file = files.iter().find(|file| file.ends_with(&format!("/{name}")));
        let file = file.unwrap_or_else(|| panic!("the map has no {name}"));
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for part in parts {
            assert!(text.contains(part), "{file} has no `{part}`: where has it gone?");
        }
    }
}

#[test]
fn the_minimal_example_stays_minimal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("core/examples/minimal.rs");
    assert!(lines_without_tests(&path) <= 60, "more than 60 lines");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains("sharelet_core::session"), "it has a session");
}
