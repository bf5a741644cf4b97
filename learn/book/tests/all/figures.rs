//! The figures are what the core computes today, and each is shown.

use std::fs;

use super::pages::{all, links, root, target};

#[test]
fn figures_are_fresh_and_shown() {
    let drawn = sharelet_book::figures::all().unwrap();
    let shown: Vec<_> = all()
        .iter()
        .flat_map(|page| links(&page.text).into_iter().map(|link| target(&page.path, &link).0))
        .collect();
    for (name, svg) in &drawn {
        let path = format!("learn/book/figures/{name}");
        let found = fs::read_to_string(root().join(&path)).unwrap_or_default();
        let again = "cargo run -p sharelet-book --bin figures";
        assert!(found == *svg, "{path} is not what the core computes: {again}");
        assert!(shown.contains(&path.into()), "{name} is in no chapter");
    }
    let files = fs::read_dir(root().join("learn/book/figures")).unwrap().count();
    assert_eq!(files, drawn.len(), "figures that nobody draws");
}
