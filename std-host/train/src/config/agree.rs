//! What two servers compare before they train, so that the first field that differs is named.

use sha2::{Digest as _, Sha256};
use toml::Value;

use super::error::ConfigError;
use super::fields::Config;

/// A field that two servers have set differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{field}` is {ours} here and {theirs} at the other server; both need the same CONFIG.toml",
    ours = said(.ours),
    theirs = said(.theirs),
)]
pub struct Difference {
    /// The field, with dots.
    pub field: String,
    /// Here; `None` if it is not set.
    pub ours: Option<String>,
    /// There.
    pub theirs: Option<String>,
}

/// At most 80 characters, and none that moves a terminal's cursor: the other server's text is not
/// ours.
fn said(value: &Option<String>) -> String {
    let text = value.as_deref().unwrap_or("not set");
    text.chars().filter(|char| !char.is_control()).take(80).collect()
}

impl Config {
    /// Every field with its value, defaults included, sorted by name. What is not set is left out.
    ///
    /// # Errors
    /// [`ConfigError::Text`] for a configuration that TOML cannot say, which [`Config::validate`]
    /// refuses.
    pub fn fields(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let mut fields = Vec::new();
        flatten(String::new(), &Value::try_from(self)?, &mut fields);
        fields.sort();
        Ok(fields)
    }

    /// The configuration as TOML, for [`Config::parse`].
    ///
    /// # Errors
    /// As [`Config::fields`].
    pub fn text(&self) -> Result<String, ConfigError> {
        Ok(toml::to_string(self)?)
    }

    /// SHA-256 of all fields: equal if and only if the configurations are.
    ///
    /// # Errors
    /// As [`Config::fields`].
    pub fn fingerprint(&self) -> Result<[u8; 32], ConfigError> {
        let mut hash = Sha256::new();
        for (name, value) in self.fields()? {
            for part in [name, value] {
                // Lengths keep the end of one text and the start of the next apart.
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        Ok(hash.finalize().into())
    }

    /// The first field, by name, that differs from the peer's [`Config::fields`], in whatever order
    /// those come.
    ///
    /// # Errors
    /// As [`Config::fields`].
    pub fn difference(
        &self,
        theirs: &[(String, String)],
    ) -> Result<Option<Difference>, ConfigError> {
        let mut theirs = theirs.to_vec();
        theirs.sort();
        Ok(first_difference(&self.fields()?, &theirs))
    }

    /// The first field, by name, that is not as it was `before`, of those that a run cannot go on
    /// without: rates, limits and intervals may change between a checkpoint and its continuation,
    /// so that a run that diverged can go on more slowly.
    ///
    /// # Errors
    /// As [`Config::fields`].
    pub fn changed_since(&self, before: &Self) -> Result<Option<Difference>, ConfigError> {
        let lasting = |config: &Self| {
            let mut fields = config.fields()?;
            fields.retain(|(name, _)| !MAY_CHANGE.iter().any(|part| name.starts_with(part)));
            Ok::<_, ConfigError>(fields)
        };
        Ok(first_difference(&lasting(self)?, &lasting(before)?))
    }
}

/// The beginnings of fields that may change when a run goes on.
const MAY_CHANGE: [&str; 5] = [
    "checkpoint.",
    "stop.",
    "training.learning_rate",
    "training.schedule",
    "training.weight_decay",
];

/// Both are sorted.
fn first_difference(ours: &[(String, String)], theirs: &[(String, String)]) -> Option<Difference> {
    let first = ours.iter().find(|field| !theirs.contains(field));
    let other = theirs.iter().find(|field| !ours.contains(field));
    let name = first.iter().chain(&other).map(|(name, _)| name).min()?;
    let ours_of = ours.iter().find(|field| &field.0 == name);
    // A peer may send a name twice: what counts is the value that is not ours.
    let theirs_of = theirs.iter().find(|field| &field.0 == name && !ours.contains(field));
    let value = |field: Option<&(String, String)>| field.map(|(_, value)| value.clone());
    Some(Difference { field: name.clone(), ours: value(ours_of), theirs: value(theirs_of) })
}

impl Difference {
    /// The difference from what was before, where [`core::fmt::Display`] says that from another
    /// server.
    #[must_use]
    pub fn since(&self) -> String {
        format!("`{}` is {} now and was {} then", self.field, said(&self.ours), said(&self.theirs))
    }
}

fn flatten(name: String, value: &Value, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(
                    if name.is_empty() { key.clone() } else { format!("{name}.{key}") },
                    value,
                    fields,
                );
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (index, value) in items.iter().enumerate() {
                flatten(format!("{name}[{}]", index + 1), value, fields);
            }
        }
        value => fields.push((name, value.to_string())),
    }
}
