//! What a channel takes in memory, as the first page says.

use sharelet_channel::{Channel, Opener, Sealer};

#[test]
fn the_sizes_are_those_of_the_first_page() {
    let page = include_str!("../../README.md");
    let sizes = [
        ("Channel", size_of::<Channel<()>>()),
        ("Opener", size_of::<Opener<()>>()),
        ("Sealer", size_of::<Sealer<()>>()),
    ];
    for (name, bytes) in sizes {
        println!("{name}: {bytes} bytes");
        assert!(page.contains(&format!("`{name}` {bytes}")), "{name} has {bytes} bytes");
    }
}
