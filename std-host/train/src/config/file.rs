//! From the text of a file to a configuration, with lines and fields in errors.

use core::ops::Range;
use std::path::Path;

use serde::Deserialize as _;
use sharelet_link::files::FileError;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::ConfigError;
use super::fields::Config;
use super::model::LayerEntry;

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Names the file, the line, the field, and what is allowed.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path))?;
        Self::parse(&text, path)
    }

    /// Reads and checks the text of a file; `path` names it in errors.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let syntax = |start: usize, field: String, error: &toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line(text, start),
            field,
            reason: error.message().trim_end().replace('\n', ", "),
        };
        let span = |error: &toml::de::Error| error.span().unwrap_or(0..0);
        let root = DeTable::parse(text)
            .map_err(|error| syntax(span(&error).start, String::new(), &error))?;
        let config: Self = toml::from_str(text).map_err(|error| {
            let field = field_at(root.get_ref(), &span(&error));
            match layer_error(root.get_ref()).filter(|_| field.starts_with("model.layer")) {
                Some((start, index, error)) => {
                    syntax(start, format!("model.layer[{index}]"), &error)
                }
                None => syntax(span(&error).start, field, &error),
            }
        })?;
        config.validate().map_err(|source| {
            let start = start_of(root.get_ref(), &source.field);
            ConfigError::Field { path: path.to_owned(), line: line(text, start), source }
        })?;
        Ok(config)
    }
}

/// The first layer that is not one: where it starts, its number from 1, and why. (serde reads a
/// tagged enum before it knows which fields it may have, and has lost their places by then: its
/// errors point at the first of all layers.)
fn layer_error(root: &DeTable<'_>) -> Option<(usize, usize, toml::de::Error)> {
    let DeValue::Table(model) = root.get("model")?.get_ref() else { return None };
    let DeValue::Array(layers) = model.get("layer")?.get_ref() else { return None };
    layers.iter().enumerate().find_map(|(index, layer)| {
        let error = LayerEntry::deserialize(ValueDeserializer::from(layer.clone())).err()?;
        Some((layer.span().start, index + 1, error))
    })
}

/// The line of a byte, from 1.
fn line(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|&byte| byte == b'\n').count() + 1
}

/// The deepest field whose key or value covers a place in the text.
fn field_at(table: &DeTable<'_>, place: &Range<usize>) -> String {
    let covers = |span: Range<usize>| span.start <= place.start && place.end <= span.end;
    let mut found = String::new();
    for (key, value) in table {
        let name = key.get_ref();
        if covers(key.span()) {
            return name.to_string();
        }
        let inner = below(value, place);
        // The span of a table that has a header is the header's: its fields are looked at as well.
        if !inner.is_empty() || covers(value.span()) {
            found = format!("{name}{inner}");
            if !inner.is_empty() {
                break;
            }
        }
    }
    found
}

/// As [`field_at`], with the dot or index before it.
fn below(value: &Spanned<DeValue<'_>>, place: &Range<usize>) -> String {
    match value.get_ref() {
        DeValue::Table(table) => {
            let inner = field_at(table, place);
            if inner.is_empty() { inner } else { format!(".{inner}") }
        }
        DeValue::Array(items) => {
            let within = |item: &Spanned<DeValue<'_>>| {
                item.span().start <= place.start && place.end <= item.span().end
            };
            let mut places =
                items.iter().enumerate().map(|(index, item)| (index, item, below(item, place)));
            places
                .find(|(_, item, inner)| !inner.is_empty() || within(item))
                .map(|(index, _, inner)| format!("[{}]{inner}", index + 1))
                .unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Where a field is in the text; of one that is not there, the table that it belongs to.
fn start_of(root: &DeTable<'_>, field: &str) -> usize {
    let mut table = root;
    let mut start = 0;
    for step in field.split('.') {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
        let item = match (value.get_ref(), index.and_then(|index| index.checked_sub(1))) {
            (DeValue::Array(items), Some(index)) => items.get(index).unwrap_or(value),
            _ => value,
        };
        start = if core::ptr::eq(item, value) { key.span().start } else { item.span().start };
        match item.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    start
}
