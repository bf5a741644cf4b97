//! The walks in `docs/architecture.md`: how many files one opens to follow one thing.

use std::path::Path;

/// What is followed, and the most files that it may take.
const LONGEST: [(&str, usize); 7] = [
    ("a dense layer in a session", 4),
    ("a ReLU in a session", 6),
    ("a ReLU on an engine", 7),
    ("a sigmoid", 9),
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
