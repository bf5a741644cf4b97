//! Figures as text: JSON for programs, tables for people, the page in `docs/`.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Figure, write};
use crate::process::answer;

const HEAD: &str = "\
# Benchmarks

This page is written by `cargo xtask bench`; each section names the command that measured it, when, and on what.

*Instructions* are counted by QEMU (`-icount shift=6`), not cycles of a real part: they are repeatable, and say nothing about
caches, wait states or long multiplies. *Preparation* is everything that does not depend on the reading, done while the
device is idle; *online* is from the reading to the answer; *plaintext twin* is the same network on the same integers, on the
same board, with the weights in the clear. Bytes are those of a whole session, from its request to the answer.
";

/// The figures as a JSON list.
pub fn json(figures: &[Figure]) -> String {
    let rows: Vec<_> =
        figures.iter().map(|figure| json!({ "name": figure.name, "value": number(figure.value), "unit": figure.unit })).collect();
    format!("{:#}\n", Value::Array(rows))
}

fn number(value: f64) -> Value {
    #[allow(clippy::cast_possible_truncation)]
    let whole = value as i64;
    #[allow(clippy::cast_precision_loss)]
    if (whole as f64 - value).abs() < f64::EPSILON { json!(whole) } else { json!(value) }
}

/// Figures from a JSON list.
pub fn parse(text: &str) -> Result<Vec<Figure>> {
    let list: Value = serde_json::from_str(text)?;
    let figure = |row: &Value| {
        Some(Figure {
            name: row.get("name")?.as_str()?.to_owned(),
            value: row.get("value")?.as_f64()?,
            unit: row.get("unit")?.as_str()?.to_owned(),
        })
    };
    let rows = list.as_array().context("not a list")?;
    rows.iter().map(|row| figure(row).with_context(|| format!("not a figure: {row}"))).collect()
}

/// Tables in Markdown: one per place, with a column for each model; figures without a model in a list of their own.
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::new();
    let mut places: Vec<&str> = Vec::new();
    for figure in figures {
        let place = parts(figure).0;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    for place in places {
        let here: Vec<_> = figures.iter().filter(|figure| parts(figure).0 == place).collect();
        let mut models: Vec<&str> = Vec::new();
        let mut rows: Vec<(&str, &str)> = Vec::new();
        for figure in &here {
            let (_, model, what) = parts(figure);
            if !models.contains(&model) {
                models.push(model);
            }
            if !rows.contains(&(what, &figure.unit)) {
                rows.push((what, &figure.unit));
            }
        }
        // What belongs to the place itself is shown once, in the first column.
        models.retain(|model| !model.is_empty());
        let only_place = models.is_empty();
        if only_place {
            models.push("");
        }
        let columns: Vec<_> = models.iter().map(|model| if only_place { "value" } else { model }).collect();
        let _ = writeln!(text, "| {} | {} |", if place.is_empty() { "reference" } else { place }, columns.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(columns.len()));
        for (what, unit) in rows {
            let cell = |(position, model): (usize, &&str)| {
                let find = |model: &str| here.iter().find(|figure| parts(figure).1 == model && parts(figure).2 == what);
                let own = find(model).or_else(|| if position == 0 { find("") } else { None });
                own.map_or_else(String::new, |figure| shown(figure.value))
            };
            let cells: Vec<_> = models.iter().enumerate().map(cell).collect();
            let _ = writeln!(text, "| {} | {} |", titled(what, unit), cells.join(" | "));
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// Place, model and what: `mps2-an386/ad01/bytes_up`, `mps2-an386/flash_bytes`, or only what.
fn parts(figure: &Figure) -> (&str, &str, &str) {
    match figure.name.split_once('/') {
        Some((place, rest)) => match rest.split_once('/') {
            Some((model, what)) => (place, model, what),
            None => (place, "", rest),
        },
        None => ("", "", &figure.name),
    }
}

fn titled(what: &str, unit: &str) -> String {
    let words = what.replace('_', " ");
    if words.ends_with(unit) || words.contains(unit) { words } else { format!("{words} ({unit})") }
}

fn shown(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if value >= 100.0 {
        crate::demo::grouped(value.round() as u64)
    } else if value.fract() == 0.0 {
        value.to_string()
    } else {
        format!("{value:.2}")
    }
}

/// Replaces the sections of `groups` in the page; other sections stay as they were.
pub fn update(path: &Path, groups: &BTreeMap<&str, Vec<Figure>>) -> Result<()> {
    let old = fs::read_to_string(path).unwrap_or_default();
    let mut text = HEAD.to_owned();
    for (group, title) in [("device", "Device, on emulated boards"), ("host", "Host"), ("dealer", "Dealer")] {
        let section = match groups.get(group) {
            Some(figures) => {
                let limit = if group == "device" { "" } else { LIMITS };
                format!("## {title}\n\n`cargo xtask bench {group}`, {}.\n\n{}\n{limit}", conditions(group), table(figures))
            }
            None => match kept(&old, group) {
                Some(section) => section.to_owned(),
                None => continue,
            },
        };
        let _ = write!(text, "\n{}\n{}\n{}\n", begin(group), section.trim(), end(group));
    }
    write(path, &text)
}

const LIMITS: &str =
    "\n*Reference product* is a fixed plaintext product timed in the same run, so that machines can be compared.\n";

fn begin(group: &str) -> String {
    format!("<!-- begin {group} -->")
}

fn end(group: &str) -> String {
    format!("<!-- end {group} -->")
}

fn kept<'a>(text: &'a str, group: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&begin(group))?;
    rest.split_once(&end(group)).map(|(section, _)| section)
}

/// Date, versions and machine.
fn conditions(group: &str) -> String {
    let date = answer(Command::new("date").args(["-u", "+%Y-%m-%d"])).unwrap_or_else(|| "date unknown".to_owned());
    let commit = answer(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(env!("CARGO_MANIFEST_DIR")));
    let commit = commit.map_or_else(String::new, |commit| format!(", at commit {commit}"));
    let rustc = answer(Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version"));
    let rustc = rustc.map_or_else(|| "unknown compiler".to_owned(), |line| line.split(" (").next().unwrap_or(&line).to_owned());
    let qemu = answer(Command::new("qemu-system-arm").arg("--version"));
    let qemu = qemu.and_then(|text| text.split_whitespace().nth(3).map(str::to_owned));
    let machine = format!("{}, {} cores, {}", processor(), cores(), env::consts::OS);
    match (group, qemu) {
        ("device", Some(qemu)) => format!("{date}{commit}; {rustc}, QEMU {qemu}"),
        _ => format!("{date}{commit}; {rustc}; {machine}"),
    }
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    model.map_or_else(|| env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, core::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, value: f64, unit: &str) -> Figure {
        Figure { name: name.to_owned(), value, unit: unit.to_owned() }
    }

    #[test]
    fn json_is_read_back() {
        let figures = vec![figure("a/b/c_bytes", 12.0, "bytes"), figure("x", 0.5, "us")];
        assert_eq!(parse(&json(&figures)).ok(), Some(figures));
    }

    #[test]
    fn models_are_columns() {
        let figures = [figure("p/m/c_bytes", 1234.0, "bytes"), figure("p/n/c_bytes", 2.0, "bytes"), figure("p/d", 3.0, "us")];
        let table = table(&figures);
        assert_eq!(table, "| p | m | n |\n|---|---:|---:|\n| c bytes | 1,234 | 2 |\n| d (us) | 3 |  |");
    }

    #[test]
    fn other_sections_are_kept() {
        let text = "<!-- begin host -->\n## Host\n<!-- end host -->";
        assert_eq!(kept(text, "host").map(str::trim), Some("## Host"));
        assert_eq!(kept(text, "dealer"), None);
    }
}
