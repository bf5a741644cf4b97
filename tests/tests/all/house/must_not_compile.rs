//! What the types forbid: spending a correlation, a session number or a session's state twice,
//! comparing or copying keys.
//!
//! Each file in `must_not_compile/` is compiled twice: without the lines marked `//~ CODE` it must
//! compile, with them the compiler must report exactly the marked codes. The wording of its
//! messages, which differs between compilers, is not looked at.

use core::sync::atomic::{AtomicU32, Ordering};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folder of the compiled dependencies: this test lies in it.
fn dependencies() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_path_buf()
}

/// A compiled library that the cases name, all that lie there: of several feature sets, and of
/// earlier builds.
fn libraries(name: &str) -> Vec<PathBuf> {
    let mut libraries: Vec<PathBuf> = std::fs::read_dir(dependencies())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let file = path.file_name().unwrap().to_string_lossy();
            file.starts_with(&format!("lib{name}-")) && file.ends_with(".rlib")
        })
        .collect();
    libraries.sort_by_key(|path| core::cmp::Reverse(path.metadata().unwrap().modified().unwrap()));
    libraries
}

/// The libraries that the cases name.
struct Libraries {
    core: PathBuf,
    io: PathBuf,
}

impl Libraries {
    /// The newest core that this compiler can read, and the very library of traits that it was
    /// compiled with.
    fn find() -> Self {
        // Both halves are there, and the traits are the same.
        let control = "pub use sharelet_core::{functions::engine::Engine, session::p0}; \
                       pub fn f<T: embedded_io_async::Read>(t: T) -> impl embedded_io_async::Read \
                       { sharelet_core::transport::Counting::new(t) }";
        for core in libraries("sharelet_core") {
            for io in libraries("embedded_io_async") {
                let found = Self { core: core.clone(), io };
                if compile(&found, control).is_ok_and(|codes| codes.is_empty()) {
                    return found;
                }
            }
        }
        panic!(
            "no compiled core that the compiler can read; run `cargo clean -p sharelet-core` and \
             try again"
        );
    }
}

/// The codes of the errors that the compiler reports; its words if it fails without any.
fn compile(libraries: &Libraries, source: &str) -> Result<Vec<String>, String> {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("case.rs");
    std::fs::write(&file, source).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=metadata",
            "--error-format=short",
            "--cap-lints=allow",
        ])
        .arg("--out-dir")
        .arg(&folder)
        .arg("-L")
        .arg(format!("dependency={}", dependencies().display()))
        .arg("--extern")
        .arg(format!("sharelet_core={}", libraries.core.display()))
        .arg("--extern")
        .arg(format!("embedded_io_async={}", libraries.io.display()))
        .arg(&file)
        .output()
        .expect("the compiler runs");
    std::fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = |line: &str| Some(line.split_once("error[")?.1.split_once(']')?.0.to_owned());
    let codes: Vec<String> = text.lines().filter_map(code).collect();
    if output.status.success() || !codes.is_empty() { Ok(codes) } else { Err(text) }
}

/// Splits a case into what compiles, and the codes that its marked lines cause.
fn without_marked(source: &str) -> (String, Vec<String>) {
    let (marked, plain): (Vec<&str>, Vec<&str>) =
        source.lines().partition(|line| line.contains("//~ "));
    (
        plain.join("\n"),
        marked.iter().map(|line| line.split_once("//~ ").unwrap().1.trim().to_owned()).collect(),
    )
}

#[test]
fn what_the_types_forbid() {
    let libraries = Libraries::find();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("must_not_compile");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 5);
    for case in cases {
        let source = std::fs::read_to_string(&case).unwrap();
        let (plain, mut expected) = without_marked(&source);
        assert!(!expected.is_empty(), "{}: nothing is marked", case.display());
        let rest = compile(&libraries, &plain);
        assert_eq!(rest, Ok(vec![]), "{}: the rest must compile", case.display());
        let mut found = compile(&libraries, &source).expect("errors with codes");
        // Borrows and moves are checked only where types are right, so a file marks one kind or the
        // other.
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{}", case.display());
    }
}
