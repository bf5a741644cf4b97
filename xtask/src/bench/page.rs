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

use super::figure::Figure;
use super::others;
use crate::files::write;
use crate::process::answer;

const HEAD: &str = include_str!("head.md");

/// The figures as a JSON list.
pub fn json(figures: &[Figure]) -> String {
    let row = |figure: &Figure| {
        let value = number(figure.value);
        json!({ "name": figure.name, "value": value, "unit": figure.unit })
    };
    let rows = figures.iter().map(row).collect();
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

/// Tables in Markdown: one per place, with a column for each model; what belongs to the place
/// itself comes after.
pub fn table(figures: &[Figure]) -> String {
    let tables =
        distinct(figures.iter().map(|figure| path(figure).0)).into_iter().flat_map(|place| {
            let here = move || figures.iter().filter(move |figure| path(figure).0 == place);
            let models = distinct(here().map(|figure| path(figure).1));
            let (whole, models): (Vec<_>, Vec<_>) =
                models.into_iter().partition(|model| model.is_empty());
            [(models, place.to_owned()), (whole, format!("{place}, any model"))]
                .into_iter()
                .filter(|(models, _)| !models.is_empty())
                .map(move |(models, title)| grid(&title, &models, here()))
        });
    tables.collect::<Vec<_>>().join("\n")
}

fn grid<'a>(
    title: &str,
    models: &[&str],
    figures: impl Iterator<Item = &'a Figure> + Clone,
) -> String {
    let rows =
        distinct(figures.clone().filter(|figure| models.contains(&path(figure).1)).map(|figure| {
            let what = path(figure).2;
            (what, figure.unit.as_str())
        }));
    let heads: Vec<_> =
        models.iter().map(|model| if model.is_empty() { "value" } else { model }).collect();
    let mut text =
        format!("| {title} | {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(heads.len()));
    for (what, unit) in rows {
        let cells = models.iter().map(|&model| {
            let figure =
                figures.clone().find(|figure| path(figure).1 == model && path(figure).2 == what);
            figure.map_or_else(String::new, |figure| shown(figure.value))
        });
        let _ = writeln!(
            text,
            "| {} | {} |",
            titled(what, unit),
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    text
}

/// In order of first appearance.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}

/// Place, model and what: `mps2-an386/ad01/bytes_up`, `mps2-an386/flash_bytes`, or only what.
fn path(figure: &Figure) -> (&str, &str, &str) {
    match figure.name.split_once('/') {
        Some((place, rest)) => match rest.split_once('/') {
            Some((model, what)) => (place, model, what),
            None => (place, "", rest),
        },
        None => ("", "", &figure.name),
    }
}

fn titled(what: &str, unit: &str) -> String {
    let words = what.replace('_', " ").replace(" second core", " second and core");
    let said =
        words.contains(unit) || words.contains(" per second") || words.ends_with("microseconds");
    if said { words } else { format!("{words} ({unit})") }
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
    let titles = [
        ("device", "Device, on emulated boards"),
        ("boards", "Boards, their time and energy"),
        ("channel", "Channels, on emulated boards"),
        ("host", "Host"),
        ("dealer", "Dealer"),
        ("servers", "Two servers"),
        ("prepare", "Two parties alone"),
    ];
    for (group, title) in titles {
        let section = match groups.get(group) {
            Some(figures) => {
                let (command, table) = (format!("cargo xtask bench {group}"), table(figures));
                let beside = match group {
                    "servers" => others::beside(figures),
                    "boards" => include_str!("parts.md").to_owned(),
                    _ => limits(figures),
                };
                format!("## {title}\n\n`{command}`, {}.\n\n{table}\n{beside}", conditions(group))
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

/// What limits host and dealer, from the figures themselves.
fn limits(figures: &[Figure]) -> String {
    let find = |model: &str, what: &str| {
        let found = figures.iter().find(|figure| path(figure).1 == model && path(figure).2 == what);
        found.map(|figure| figure.value)
    };
    let mut text = String::new();
    for model in distinct(figures.iter().map(|figure| path(figure).1)) {
        let evaluations = find(model, "evaluations_per_second_core");
        if let Some((evaluations, products)) =
            evaluations.zip(find(model, "products_in_the_clear_per_second_core"))
        {
            let share = 100.0 * evaluations / products;
            let _ = writeln!(
                text,
                "* {model}: the matrix products take {share:.0} % of an evaluation, messages, \
                 corrections and gates the rest."
            );
        }
        if let Some((deals, rate)) =
            find(model, "deals_per_second_core").zip(find(model, "megabytes_per_second_core"))
        {
            let _ = writeln!(
                text,
                "* {model}: a deal is {:.0} KB of corrections; a link below {rate:.0} MB/s limits \
                 before a core does.",
                1000.0 * rate / deals
            );
        }
    }
    if figures.iter().any(|figure| figure.name.ends_with("plain_product_microseconds")) {
        text.push_str(
            "\n*Plain product* is a fixed product in the clear, timed in the same run, so that \
             machines can be compared.\n",
        );
    }
    text
}

/// A row of the table of `place` in the section of a group: models and values, without those that
/// have none.
pub fn row(text: &str, group: &str, place: &str, what: &str) -> Option<Vec<(String, f64)>> {
    fn cells(line: &str) -> Vec<&str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    }
    let mut lines = kept(text, group)?.lines().map(cells);
    let head = lines.find(|cells| cells.first() == Some(&place))?;
    let row =
        lines.take_while(|cells| cells.len() > 1).find(|cells| cells.first() == Some(&what))?;
    let value = |text: &str| text.replace(',', "").parse::<f64>().ok();
    let pairs = head.iter().zip(&row).skip(1);
    Some(pairs.filter_map(|(model, text)| Some(((*model).to_owned(), value(text)?))).collect())
}

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
pub fn conditions(group: &str) -> String {
    let date = answer(Command::new("date").args(["-u", "+%Y-%m-%d"]))
        .unwrap_or_else(|| "date unknown".to_owned());
    let commit = answer(
        Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    let commit = commit.map_or_else(String::new, |commit| format!(", at commit {commit}"));
    let rustc = answer(
        Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version"),
    );
    let rustc = rustc.map_or_else(
        || "unknown compiler".to_owned(),
        |line| line.split(" (").next().unwrap_or(&line).to_owned(),
    );
    let qemu = answer(Command::new("qemu-system-arm").arg("--version"));
    let qemu = qemu.and_then(|text| text.split_whitespace().nth(3).map(str::to_owned));
    let machine = format!("{}, {} cores, {}", processor(), cores(), env::consts::OS);
    match (group, qemu) {
        ("device" | "channel", Some(qemu)) => format!("{date}{commit}; {rustc}, QEMU {qemu}"),
        _ => format!("{date}{commit}; {rustc}; {machine}"),
    }
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'));
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
        let figures = [
            figure("p/m/c_bytes", 1234.0, "bytes"),
            figure("p/n/c_bytes", 2.0, "bytes"),
            figure("p/d", 3.0, "us"),
        ];
        let table = table(&figures);
        let any = "| p, any model | value |\n|---|---:|\n| d (us) | 3 |\n";
        assert_eq!(
            table,
            format!("| p | m | n |\n|---|---:|---:|\n| c bytes | 1,234 | 2 |\n\n{any}")
        );
    }

    #[test]
    fn other_sections_are_kept() {
        let text = "<!-- begin host -->\n## Host\n<!-- end host -->";
        assert_eq!(kept(text, "host").map(str::trim), Some("## Host"));
        assert_eq!(kept(text, "dealer"), None);
    }
}
