//! A reader of Rust sources that is just good enough for the rules of this house: which rooms a
//! file names, and whether a word occurs in its code, as opposed to its comments, strings and
//! tests.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The top folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_path_buf()
}

/// A source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path below the folder that was searched.
    pub path: PathBuf,
    /// Its text as it is.
    pub text: String,
    /// Its code, see [`code`].
    pub code: String,
}

/// All Rust files below a folder of the repository, in the order of their paths; none if there is
/// no such folder.
#[must_use]
pub fn files(folder: &str) -> Vec<Source> {
    let root = repository().join(folder);
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("readable").path()) {
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                let code = code(&text);
                sources.push(Source {
                    path: path.strip_prefix(&root).expect("below").to_path_buf(),
                    text,
                    code,
                });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// Folders of the core whose files and folders are rooms.
const HALVES: [&str; 2] = ["session", "functions"];

impl Source {
    /// The file's module path: `session/p0.rs` is `session`, `p0`.
    #[must_use]
    pub fn module(&self) -> Vec<String> {
        let mut module: Vec<String> = self
            .path
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        module
    }

    /// The room that the file belongs to, empty for the crate's root. In the core's two halves a
    /// room is what lies in them: `session/gate`.
    #[must_use]
    pub fn room(&self) -> String {
        let module = self.module();
        let depth = if module.first().is_some_and(|first| HALVES.contains(&first.as_str())) {
            2
        } else {
            1
        };
        module[..depth.min(module.len())].join("/")
    }

    /// Lines of the file's code in which `word` stands alone.
    #[must_use]
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        (1..)
            .zip(self.code.lines())
            .filter(|(_, line)| words(line, word).next().is_some())
            .map(|(number, _)| number)
            .collect()
    }
}

/// The code of a source: comments, string contents and test modules are blanked out, line breaks
/// stay.
#[must_use]
pub fn code(text: &str) -> String {
    without_tests(&without_comments(text))
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (blank, len) = if rest.starts_with("//") {
            (true, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (true, rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else if let Some(hashes) = raw_string(rest).filter(|_| !out.ends_with(is_word)) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = 2 + hashes;
            (true, rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len()))
        } else if next == '"' {
            (true, quoted(rest, '"'))
        } else if next == '\'' && is_char_literal(rest) {
            (true, quoted(rest, '\''))
        } else {
            (false, next.len_utf8())
        };
        let (now, later) = rest.split_at(len);
        if blank {
            out.extend(now.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(now);
        }
        rest = later;
    }
    out
}

/// The number of hashes if a raw string begins here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// A quote that closes again after one character is a literal, otherwise it begins a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Length of a quoted literal that begins here.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = block_end(&out, start).unwrap_or(out.len());
        let blank: String =
            out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// Where the item or statement ends that follows position `start`: after its block, or after its
/// semicolon.
fn block_end(code: &str, start: usize) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (at, c) in code.char_indices().skip_while(|&(at, _)| at < start) {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces == 1 => return Some(at + 1),
            '}' => braces = braces.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands alone.
fn words<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let goes_on = word.ends_with(is_word) && code[at + word.len()..].starts_with(is_word);
        !code[..at].ends_with(is_word) && !goes_on
    })
}

/// The paths within the crate that code of module `module` names, wherever it names them:
/// `network::Layer`.
#[must_use]
pub fn crate_paths(module: &[String], code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for at in words(code, "crate::") {
        tree(&code[at + "crate::".len()..], String::new(), &mut paths);
    }
    for at in words(code, "super::").filter(|&at| !code[..at].ends_with("super::")) {
        let mut rest = &code[at..];
        let mut base = module.to_vec();
        while let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            rest = after;
        }
        tree(rest, base.iter().map(|part| format!("{part}::")).collect(), &mut paths);
    }
    paths
}

/// Unfolds a path with its groups in braces; returns what follows it.
fn tree<'c>(code: &'c str, prefix: String, paths: &mut Vec<String>) -> &'c str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let before = rest.len();
            rest = tree(rest, prefix.clone(), paths).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
            if rest.len() == before {
                return rest;
            }
        }
    }
    let len = code.find(|c| !is_word(c)).unwrap_or(code.len());
    let (name, rest) = code.split_at(len);
    if let Some(after) = rest.strip_prefix("::") {
        return tree(after, format!("{prefix}{name}::"), paths);
    }
    paths.push(format!("{prefix}{name}"));
    // `Layer as L`
    rest.trim_start()
        .strip_prefix("as ")
        .map_or(rest, |renamed| renamed.trim_start_matches(is_word))
}

/// An arrow between rooms that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The room that names the other.
    pub from: String,
    /// The room that is named.
    pub to: String,
}

/// The arrows between the rooms of a crate, without those from a room to itself and those from the
/// root.
#[must_use]
pub fn arrows(sources: &[Source]) -> Vec<Arrow> {
    let rooms: Vec<String> = sources.iter().map(Source::room).collect();
    let re_exports = re_exports(sources, &rooms);
    let mut arrows: Vec<Arrow> = sources
        .iter()
        .flat_map(|source| {
            let from = source.room();
            let paths = crate_paths(&source.module(), &source.code);
            let to = paths.into_iter().filter_map(|path| {
                let re_exported = || re_exports.get(path.split("::").next()?).cloned();
                room_of(&path, &rooms).or_else(re_exported)
            });
            to.map(move |to| Arrow { from: from.clone(), to }).collect::<Vec<_>>()
        })
        .filter(|arrow| !arrow.from.is_empty() && arrow.from != arrow.to)
        .collect();
    arrows.sort();
    arrows.dedup();
    arrows
}

/// The names that the root has from rooms: who names one there names its room.
fn re_exports(sources: &[Source], rooms: &[String]) -> HashMap<String, String> {
    let mut paths = Vec::new();
    for root in sources.iter().filter(|source| source.module().is_empty()) {
        for at in words(&root.code, "use ") {
            let path = root.code[at + "use ".len()..].trim_start();
            let below = ["self::", "crate::"].iter().find_map(|own| path.strip_prefix(own));
            tree(below.unwrap_or(path), String::new(), &mut paths);
        }
    }
    let named = |path: &String| Some((path.rsplit("::").next()?.into(), room_of(path, rooms)?));
    paths.iter().filter_map(named).collect()
}

/// The room that a path leads to, if it leads to one.
fn room_of(path: &str, rooms: &[String]) -> Option<String> {
    let parts: Vec<&str> = path.split("::").collect();
    let within = |depth: usize| parts.get(..depth).map(|parts| parts.join("/"));
    [2, 1].into_iter().filter_map(within).find(|room| rooms.contains(room))
}

/// The files on circles of imports, or between two circles, each with those among them that it
/// names; none if all imports run one way. A file names another by `crate::`, `super::`, `self::`,
/// or as its own child; that it declares it does not count.
#[must_use]
pub fn circles(sources: &[Source]) -> Vec<(String, Vec<String>)> {
    let modules: Vec<Vec<String>> = sources.iter().map(Source::module).collect();
    let file_of = |path: &str| {
        let parts: Vec<&str> = path.split("::").collect();
        (0..=parts.len()).rev().find_map(|len| modules.iter().position(|m| *m == parts[..len]))
    };
    let mut names: Vec<(usize, usize)> = Vec::new();
    for (from, source) in sources.iter().enumerate() {
        let own = &modules[from];
        let mut paths = crate_paths(own, &source.code);
        let prefix: String = own.iter().map(|part| format!("{part}::")).collect();
        for at in words(&source.code, "self::").filter(|&at| !source.code[..at].ends_with("::")) {
            tree(&source.code[at + "self::".len()..], prefix.clone(), &mut paths);
        }
        let children = modules.iter().filter(|m| m.len() == own.len() + 1 && m.starts_with(own));
        for child in children.filter_map(|module| module.last()) {
            let named = format!("{child}::");
            for at in words(&source.code, &named).filter(|&at| !source.code[..at].ends_with("::")) {
                tree(&source.code[at..], prefix.clone(), &mut paths);
            }
        }
        let to = paths.iter().filter_map(|path| file_of(path)).filter(|&to| to != from);
        names.extend(to.map(|to| (from, to)));
    }
    names.sort_unstable();
    names.dedup();
    // What names nobody, or is named by nobody, is on no circle.
    loop {
        let before = names.len();
        let (from, to): (HashSet<_>, HashSet<_>) = names.iter().copied().unzip();
        names.retain(|(a, b)| to.contains(a) && from.contains(b));
        if names.len() == before {
            break;
        }
    }
    let name = |file: usize| sources[file].path.display().to_string();
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for (from, to) in names {
        match found.last_mut().filter(|(last, _)| *last == name(from)) {
            Some((_, named)) => named.push(name(to)),
            None => found.push((name(from), vec![name(to)])),
        }
    }
    found
}

/// Lines of code that can panic: what is called so, and indexing where no lint is allowed for it.
#[must_use]
pub fn panics(code: &str) -> Vec<usize> {
    const CALLS: [&str; 9] = [
        "unwrap(",
        "expect_err(",
        "unwrap_err(",
        "panic!",
        "unreachable!",
        "todo!",
        "unimplemented!",
        "assert_eq!",
        "assert_ne!",
    ];
    let mut places: Vec<usize> = CALLS.iter().flat_map(|call| words(code, call)).collect();
    // `Header::expect` returns an error; the method of `Option` and `Result` takes a text, which is
    // blanked here.
    places.extend(
        code.match_indices(".expect(").map(|(at, call)| (at, at + call.len())).filter_map(
            |(at, end)| {
                let text = code[end..].split(')').next().unwrap_or("");
                text.trim().is_empty().then_some(at)
            },
        ),
    );
    // Checked when the code is compiled.
    let constant = |at: usize| {
        ["const {", "const _: () ="].iter().any(|before| code[..at].trim_end().ends_with(before))
    };
    places.extend(words(code, "assert!").filter(|&at| !constant(at)));
    let allowed: Vec<_> = code
        .match_indices("#[allow(")
        .map(|(at, _)| at)
        .filter(|&at| {
            code[at..].lines().next().is_some_and(|line| line.contains("clippy::indexing_slicing"))
        })
        .map(|at| at..block_end(code, at).unwrap_or(code.len()))
        .collect();
    // `to_le_bytes()[0]` is an index that the compiler checks.
    let indexes = |&at: &usize| {
        code[..at].ends_with(|c| is_word(c) || c == ')' || c == ']')
            && !code[..at].ends_with("to_le_bytes()")
    };
    places.extend(
        code.match_indices('[')
            .map(|(at, _)| at)
            .filter(indexes)
            .filter(|at| !allowed.iter().any(|range| range.contains(at))),
    );
    places.sort_unstable();
    places.into_iter().map(|at| code[..at].matches('\n').count() + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into(), code: code(text) }
    }

    #[test]
    fn an_arrow_back_is_seen_however_it_is_written() {
        let to = |from: &str, to: &str| Arrow { from: from.into(), to: to.into() };
        for text in [
            "use crate::session::SessionError;",
            "use crate::{\n    fixed,\n    session::{p0::{self, Policy as P}, p1},\n};",
            "fn f() -> Result<(), crate::session::SessionError> {}",
            "use super::super::session;",
        ] {
            let sources = [
                source("wire/frame.rs", text),
                source("session/mod.rs", ""),
                source("lib.rs", "pub mod wire;"),
            ];
            assert_eq!(arrows(&sources), [to("wire", "session")], "{text}");
        }
    }

    #[test]
    fn an_arrow_over_the_root_is_seen() {
        let sources = [
            source("wire.rs", "use crate::SessionError;"),
            source("session/mod.rs", ""),
            source("lib.rs", "mod wire;\npub use self::session::{Kind, SessionError};"),
        ];
        assert_eq!(arrows(&sources), [Arrow { from: "wire".into(), to: "session".into() }]);
    }

    #[test]
    fn a_circle_of_files_is_seen_and_a_chain_is_not() {
        let chain = [
            source("a/mod.rs", "mod b;\npub use b::{B, C};\nuse self::c::D;"),
            source("a/b.rs", "use super::c::{D, E};"),
            source("a/c.rs", "//! [`super::A`]"),
            source("lib.rs", "mod a;\npub use crate::a::B;"),
        ];
        assert_eq!(circles(&chain), []);
        for back in ["use super::A;", "use crate::a::b::B;", "fn f(x: super::super::a::A) {}"] {
            let mut circle = chain.clone();
            circle[2] = source("a/c.rs", back);
            assert_ne!(circles(&circle), [], "{back}");
        }
    }

    #[test]
    fn comments_strings_and_tests_are_not_arrows() {
        let text = "//! [`crate::session`]\n/* crate::session */ const A: &str = \
                    \"crate::session\"; const B: &str = r#\"crate::session\"#;\nconst C: char = \
                    '\"';\nfn f<'a>(x: &'a str) {}\n#[cfg(test)]\nmod tests {\n    use \
                    crate::session::p0;\n}\n";
        let sources =
            [source("wire/mod.rs", text), source("session/mod.rs", "use crate::wire::Kind;")];
        assert_eq!(arrows(&sources), [Arrow { from: "session".into(), to: "wire".into() }]);
    }

    #[test]
    fn a_place_that_can_panic_is_seen_and_one_that_cannot_is_not() {
        for bad in [
            "x.unwrap();",
            "x.expect(\"text\");",
            "panic!(\"no\");",
            "let y = x[0];",
            "f(a)[1..]",
            "assert!(a > b);",
        ] {
            assert_eq!(panics(&code(&format!("\n{bad}"))), [2], "{bad}");
        }
        for good in [
            "x.unwrap_or(0);",
            "header.expect(due)?;",
            "let y: &[u8] = &[1, 2];",
            "vec![1]",
            "#[derive(Debug)]",
            "// x.unwrap()",
            "const { assert!(L < 3) };",
            "#[allow(clippy::indexing_slicing)]\nfn f(x: [u8; 4]) -> u8 {\n    x[0]\n}",
            "#[cfg(test)]\nmod tests {\n fn f() { x.unwrap(); }\n}",
        ] {
            assert_eq!(panics(&code(good)), [0; 0], "{good}");
        }
    }
}
