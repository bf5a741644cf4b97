//! `sharelet share`: an owner gives two servers shares of its data.

use core::time::Duration;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::common::{CONNECT, LinkArgs, WrongArguments, runtime};
use super::table::TableArgs;
use super::terminal::progress;
use super::units::parse_servers;
use sharelet_host::data::description::UploadId;
use sharelet_host::data::description::{DEFAULT_FRAC_BITS, MAX_FRAC_BITS};
use sharelet_host::data::keys::KeySecret;
use sharelet_host::data::name::Name;
use sharelet_host::data::openings::{DEFAULT_LEAST_ROWS, Opening, Openings};
use sharelet_host::data::shares;
use sharelet_host::data::{DataError, Table};
use sharelet_host::upload::owner::{self, Outcome, Upload};
use sharelet_link::{Role, tcp};

const EXAMPLES: &str = include_str!("examples/share.txt");

/// The longest silence within a message.
const STALL: Duration = Duration::from_secs(30);

/// Arguments of `sharelet share`.
#[derive(Args, Debug, Clone)]
#[command(about = "Give two servers shares of training data", after_help = EXAMPLES)]
pub struct ShareArgs {
    /// The data.
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    /// The two servers: server 0, then server 1.
    #[arg(long, value_name = "HOST:PORT,HOST:PORT", value_parser = parse_different)]
    pub to: [String; 2],
    /// The dataset that the data is a part of.
    #[arg(long, value_name = "NAME")]
    pub dataset: Name,
    /// Who gives the data.
    #[arg(long, value_name = "NAME")]
    pub owner: Name,
    #[command(flatten)]
    table: TableArgs,
    /// The data has no label: another owner gives it.
    #[arg(long, conflicts_with = "labelled")]
    pub no_label: bool,
    /// The column by which columns of several owners are joined.
    #[arg(long, value_name = "COLUMN", requires = "key_secret")]
    pub key: Option<String>,
    /// A file that all owners have and no server: keys are hashed under it.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub key_secret: Option<PathBuf>,
    /// Fraction bits; the same for all owners. Magnitudes end at 2^(32 - N).
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_FRAC_BITS,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_FRAC_BITS)),
    )]
    pub frac_bits: u8,
    /// What the servers may open of what they compute on it: `loss`, `accuracy`, `model=NAME` (the
    /// model, to that owner). Nothing, if not given; a run that opens more is refused.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub allow: Vec<Opening>,
    /// The fewest rows that a loss or an accuracy may be a mean of.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LEAST_ROWS, requires = "allow")]
    pub least_rows: u32,
    /// End an upload that was interrupted, with the same data and options.
    #[arg(long, value_name = "ID")]
    pub upload_id: Option<UploadId>,
    #[command(flatten)]
    link: LinkArgs,
}

fn parse_different(text: &str) -> Result<[String; 2], String> {
    let [first, second] = parse_servers(text)?;
    if first == second {
        return Err("give two different servers, such as s0:7200,s1:7201".to_owned());
    }
    Ok([first, second])
}

/// Reads, encodes, splits and sends.
///
/// # Errors
/// The data cannot be read or encoded, or a server not be reached or refuses it.
pub fn run(args: ShareArgs) -> Result<()> {
    let openings = Openings::of(&args.allow, args.least_rows);
    let openings = openings.map_err(|reason| WrongArguments(format!("--allow: {reason}")))?;
    if !args.no_label && !args.table.is_labelled() {
        return Err(WrongArguments(
            "say which column is the label with --label, or which file has them with --labels; or \
             --no-label, if another owner gives them"
                .to_owned(),
        )
        .into());
    }
    let table = Table::load(&args.data, &args.table.options(args.key.clone()))?;
    let encoded = shares::encode(&table, args.frac_bits)?;
    let keys = match (&args.key_secret, &table.keys) {
        (Some(secret), Some(keys)) => KeySecret::load(secret)?.hash(&args.dataset, keys),
        _ => Vec::new(),
    };
    let id = args.upload_id.map_or_else(UploadId::random, Ok).map_err(DataError::Randomness)?;
    let names = (args.dataset.clone(), args.owner.clone());
    let description = owner::describe(&table, id, names.0, names.1, args.frac_bits, openings);
    let (rows, columns, labels) = (table.rows, table.columns.len(), table.labels);
    drop(table);
    tracing::info!("upload {id}: {rows} rows of {columns} columns, {labels}");
    tracing::info!("the servers may open, of what they compute on it: {}", description.openings);
    let route = args.link.route(Role::Owner)?;
    let outcome = runtime()?.block_on(async {
        route.announce();
        let [first, second] = &args.to;
        let connections = tokio::try_join!(
            tcp::connect(first, Role::Server0, &route, CONNECT, STALL),
            tcp::connect(second, Role::Server1, &route, CONNECT, STALL)
        )?;
        let servers = [(first.clone(), connections.0), (second.clone(), connections.1)];
        let bar = progress("sharing", encoded.words().len() as u64 * 8, true);
        let upload = Upload { description: &description, encoded: &encoded, keys: &keys };
        let shared = owner::share(upload, servers, &mut |bytes| bar.inc(bytes)).await;
        bar.finish_and_clear();
        route.drained().await;
        Ok::<_, anyhow::Error>(shared?)
    })?;
    let dataset = &description.dataset;
    match outcome {
        Outcome::Sent => {
            tracing::info!("both servers have registered {rows} rows in dataset {dataset}")
        }
        Outcome::Completed => tracing::info!(
            "both servers have registered the upload that was interrupted in dataset {dataset}"
        ),
        Outcome::AlreadyRegistered => {
            tracing::info!("both servers had registered upload {id} in dataset {dataset} already")
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_servers() {
        assert_eq!(parse_different("a:1,b:2"), Ok(["a:1".to_owned(), "b:2".to_owned()]));
        for wrong in ["a:1", "a:1,a:1", "a:1,b:2,c:3", "a,b", ""] {
            assert!(parse_different(wrong).is_err(), "{wrong}");
        }
    }
}
