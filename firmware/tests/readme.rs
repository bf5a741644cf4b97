//! The program in the README is the one that is built.

const README: &str = include_str!("../README.md");
const MINIMAL: &str = include_str!("../boards/stm32h743/src/bin/minimal.rs");

#[test]
fn the_readme_shows_the_program_that_is_built() {
    assert!(README.contains(MINIMAL), "copy boards/stm32h743/src/bin/minimal.rs into README.md");
}

#[test]
fn a_complete_program_has_at_most_90_lines() {
    assert!(MINIMAL.lines().count() <= 90);
}
