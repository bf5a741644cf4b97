//! Chapter 8 names the tests that do its attacks again: each is where it says.

use std::fs;

use super::pages::root;

#[test]
fn each_attack_names_tests_that_exist() {
    let path = root().join("learn/book/chapters/08-what-can-go-wrong.md");
    let text = fs::read_to_string(path).unwrap();
    let mut found = 0;
    for paragraph in text.split("\n\n").filter(|paragraph| paragraph.starts_with("Held by ")) {
        let mut waiting = Vec::new();
        let named = paragraph.split('`').skip(1).step_by(2);
        for name in named {
            if !name.ends_with(".rs") {
                waiting.push(name);
                continue;
            }
            let source = fs::read_to_string(root().join(name)).unwrap_or_else(|_| panic!("{name}"));
            for test in waiting.drain(..) {
                assert!(source.contains(&format!("fn {test}(")), "{name} has no test {test}");
                found += 1;
            }
        }
        assert!(waiting.is_empty(), "no file is named for {waiting:?}");
    }
    assert!(found > 15, "{found} tests are named");
}
