//! The fitted tables, each with its proven bound. `cargo xtask fit` makes the files of this folder.
