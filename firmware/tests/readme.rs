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

#[test]
fn a_device_on_a_uart_has_at_most_100_lines() {
    for uart in [
        include_str!("../boards/nrf52840-dk/src/uart.rs"),
        include_str!("../boards/mps2-an386/src/uart.rs"),
    ] {
        assert!(uart.lines().count() <= 100);
    }
}
