//! An owner's data for two servers, as the program `sharelet share` sends it.

use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use pyo3::prelude::*;
use sharelet_cli::common::{CONNECT, LinkArgs};
use sharelet_cli::units::parse_servers;
use sharelet_host::data::description::UploadId;
use sharelet_host::data::keys::KeySecret;
use sharelet_host::data::name::Name;
use sharelet_host::data::openings::{Opening, Openings};
use sharelet_host::data::shares;
use sharelet_host::upload::owner::{self, Outcome, OwnerError, Upload};
use sharelet_link::{Role, tcp};

use crate::errors::{failed, input};
use crate::table::{Choice, Data};
use crate::work::{block_on, interruptible, runtime};

/// The longest silence within a message.
const STALL: Duration = Duration::from_secs(30);

/// Who shares, and with whom; the fields have the names of the program's options.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Recipients {
    to: [String; 2],
    dataset: String,
    owner: String,
    id: PathBuf,
    key_secret: Option<PathBuf>,
    frac_bits: u8,
    allow: Vec<String>,
    least_rows: u32,
    upload_id: Option<String>,
}

/// Text as an option of this name.
fn option<T: FromStr<Err = &'static str>>(name: &str, text: &str) -> PyResult<T> {
    text.parse().map_err(|reason| input(format!("{name} `{text}`: {reason}")))
}

/// Shares; returns the upload's id, its rows and columns, and what became of it.
#[pyfunction]
pub fn share(
    py: Python<'_>,
    data: Data,
    labels: Option<Data>,
    no_label: bool,
    choice: Choice,
    recipients: Recipients,
) -> PyResult<(String, usize, usize, &'static str)> {
    let Recipients { to, dataset, owner, id, key_secret, frac_bits, .. } = recipients;
    let to = parse_servers(&to.join(",")).map_err(|reason| input(format!("to: {reason}")))?;
    if to[0] == to[1] {
        return Err(input("to: give two different servers, such as (\"s0:7200\", \"s1:7201\")"));
    }
    let [dataset, owner]: [Name; 2] = [option("dataset", &dataset)?, option("owner", &owner)?];
    let allow: Vec<Opening> =
        recipients.allow.iter().map(|text| option("allow", text)).collect::<PyResult<_>>()?;
    let openings = Openings::of(&allow, recipients.least_rows);
    let openings = openings.map_err(|reason| input(format!("allow: {reason}")))?;
    if no_label == (choice.is_labelled() || labels.is_some()) {
        return Err(input(
            "say which column is the label with label, or give labels; or no_label=True, if \
             another owner gives them",
        ));
    }
    let upload = recipients.upload_id.map(|text| option("upload_id", &text)).transpose()?;
    let upload: UploadId = upload.map_or_else(UploadId::random, Ok).map_err(failed)?;
    let table = choice.table(data, labels)?;
    let encoded = shares::encode(&table, frac_bits).map_err(input)?;
    let keys = match (&key_secret, &table.keys) {
        (Some(secret), Some(keys)) => KeySecret::load(secret).map_err(input)?.hash(&dataset, keys),
        (None, None) => Vec::new(),
        _ => return Err(input("key and key_secret go together; give both")),
    };
    let description = owner::describe(&table, upload, dataset, owner, frac_bits, openings);
    let (rows, columns) = (table.rows, table.columns.len());
    drop(table);
    let link = LinkArgs { id: Some(id), insecure_plaintext: false, wan: None };
    let route = link.route(Role::Owner).map_err(input)?;
    let outcome = interruptible(py, move |stop| {
        block_on(&runtime()?, stop, async {
            let [first, second] = &to;
            let connections = tokio::try_join!(
                tcp::connect(first, Role::Server0, &route, CONNECT, STALL),
                tcp::connect(second, Role::Server1, &route, CONNECT, STALL)
            );
            let connections = connections.map_err(failed)?;
            let servers = [(first.clone(), connections.0), (second.clone(), connections.1)];
            let upload = Upload { description: &description, encoded: &encoded, keys: &keys };
            let shared = owner::share(upload, servers, &mut |_| ()).await;
            route.drained().await;
            shared.map_err(|error| match error {
                OwnerError::Data(error) => input(error),
                error => failed(error),
            })
        })
    })?;
    let outcome = match outcome {
        Outcome::Sent => "sent",
        Outcome::Completed => "completed",
        Outcome::AlreadyRegistered => "already registered",
    };
    Ok((upload.to_string(), rows, columns, outcome))
}
