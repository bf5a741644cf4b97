//! `sharelet keygen`: a program gets an identity.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use sharelet_core::DeviceId;

use super::common::{WrongArguments, expect_none, output};
use sharelet_host::store::identity::{Own, card_of};
use sharelet_link::{Party, Role};

const EXAMPLES: &str = include_str!("examples/keygen.txt");

/// Arguments of `sharelet keygen`.
#[derive(Args, Debug, Clone)]
#[command(about = "Make an identity: a name, and the key that proves it", after_help = EXAMPLES)]
pub struct KeygenArgs {
    /// What the program is.
    #[arg(value_name = "ROLE", value_parser = parse_role)]
    pub role: Role,
    /// Its name: 1 to 16 letters, digits, `.`, `-` and `_`.
    #[arg(value_name = "NAME", value_parser = super::units::parse_name)]
    pub name: DeviceId,
    /// Where the identity is written, NAME.id if not given; its card lies beside it.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace an existing identity: its peers are to be paired anew.
    #[arg(long)]
    pub force: bool,
}

fn parse_role(text: &str) -> Result<Role, String> {
    let known = Role::ALL.map(Role::word).join(", ");
    Role::from_word(text).ok_or_else(|| format!("give one of {known}"))
}

/// Makes the identity and its card, and prints the fingerprint.
///
/// # Errors
/// A file cannot be written; an existing identity stays unless `--force` is given.
pub fn run(args: &KeygenArgs) -> Result<()> {
    let path = args.output.clone().unwrap_or_else(|| format!("{}.id", args.name).into());
    if path.extension().is_none_or(|ending| ending != "id") {
        let wrong = format!("{}: the name of an identity ends in .id", path.display());
        return Err(WrongArguments(wrong).into());
    }
    expect_none(&path, args.force)?;
    expect_none(&card_of(&path), args.force)?;
    let own = Own::generate(Party { role: args.role, name: args.name })?;
    own.save(&path)?;
    let (card, path_of_card) = (own.card(), card_of(&path));
    card.save(&path_of_card)?;
    tracing::info!(
        "wrote {}, to be kept secret, and the card for its peers, {}",
        path.display(),
        path_of_card.display()
    );
    output(&format!("{}  {}\n", card.fingerprint(), card.party))
}
