//! What the documentation shows is what the programs take and print.

use std::path::{Path, PathBuf};

use sharelet_testkit::processes::Programs;
use sharelet_train::config::Config;

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of a language in a page.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(page)).expect(page);
    let begin = format!("\n```{language}\n");
    let parts = text.split(&begin).skip(1).filter_map(|rest| rest.split_once("\n```"));
    parts.map(|(block, _)| format!("{block}\n")).collect()
}

#[test]
fn configurations_are_valid() {
    let whole = |block: &str| {
        if block.contains("[data]") {
            return block.to_owned();
        }
        format!(
            "[data]\ntrain = \"d\"\n[training]\nepochs = 1\nbatch = 1\nlearning_rate = 0.1\n\
             [model]\nkind = \"network\"\ninput = [1, 28, 28]\n{block}"
        )
    };
    let (config, readme) = (blocks("docs/config.md", "toml"), blocks("README.md", "toml"));
    assert_eq!((config.len(), readme.len()), (3, 1));
    for block in config.iter().chain(&readme) {
        let parsed = Config::parse(&whole(block), Path::new("config.toml"));
        assert!(parsed.is_ok(), "{block}: {parsed:?}");
    }
}

#[test]
fn answers_are_as_shown() {
    let room = Programs::new(env!("CARGO_BIN_EXE_sharelet"));
    std::os::unix::fs::symlink(repository().join("demo"), room.path("demo")).expect("links");
    let blocks = blocks("docs/answers.md", "console");
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        let (command, shown) = block.split_once('\n').expect("a command");
        let line = command.strip_prefix("$ sharelet ").expect("a command");
        assert_eq!(room.works(line).out, shown, "{command}");
    }
}
