//! Every block of code in a chapter is compiled and run: it is Rust without an exception, and the
//! library shows its chapter to the compiler. Formulas are no code.

use super::pages::all;

const SHOWN: &str = include_str!("../../src/lib.rs");

#[test]
fn every_block_of_code_is_run() {
    let mut blocks = 0;
    for page in all().iter().skip(1).filter(|page| page.path.starts_with("learn/book")) {
        let name = page.path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(SHOWN.contains(&format!("../chapters/{name}")), "{name} is not in lib.rs");
        for block in page.text.split("\n```").skip(1).step_by(2) {
            let (kind, text) = block.split_once('\n').unwrap();
            match kind {
                "rust" => blocks += 1,
                "text" => {
                    let code =
                        ["let ", "fn ", "use ", ";\n"].iter().any(|word| text.contains(word));
                    assert!(!code, "{name} has code that is not run:\n{text}");
                }
                kind => panic!("{name} has a block of {kind:?}"),
            }
        }
    }
    assert!(blocks > 20, "{blocks} blocks of code");
}
