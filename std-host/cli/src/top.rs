//! `sharelet top`: a service that runs, live.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use console::Term;
use sharelet_link::monitor::{self, DeviceFigures};

use super::common::{output, print, until_stopped};
use super::monitor::address_of;

const EXAMPLES: &str = include_str!("examples/top.txt");

/// Arguments of `sharelet top`.
#[derive(Args, Debug, Clone)]
#[command(about = "Watch a dealer or a host that runs", after_help = EXAMPLES)]
pub struct TopArgs {
    /// Where the service tells its figures: what was given to its `--monitor`.
    #[arg(value_name = "[ADDRESS:]PORT")]
    pub monitor: String,
    /// Print once, and fail if the service is not ready.
    #[arg(long)]
    pub once: bool,
    /// How often to look.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "2s",
        value_parser = super::units::parse_duration,
        conflicts_with = "once",
    )]
    pub every: Duration,
}

/// Prints until it is stopped, or once.
///
/// # Errors
/// Nobody answers; with `--once` a service that is not ready.
pub fn run(args: &TopArgs) -> Result<()> {
    let address = address_of(&args.monitor);
    until_stopped(async |stop| {
        let mut before: Option<(Instant, f64)> = None;
        loop {
            let (ready, why) = monitor::ask(&address, "/readyz").await.context(address.clone())?;
            let (_, text) = monitor::ask(&address, "/metrics").await?;
            let (_, devices) = monitor::ask(&address, "/devices").await?;
            let (figures, devices) = (Figures::read(&text), serde_json::from_str(&devices)?);
            let (now, done) = (Instant::now(), figures.sum("sharelet_sessions_total"));
            let rate = before.map(|(then, so_far)| {
                (done - so_far).max(0.0) / now.duration_since(then).as_secs_f64().max(1e-3)
            });
            before = Some((now, done));
            let page = page(&address, why.trim(), &figures, &devices, rate);
            if args.once {
                output(&page)?;
                if !ready {
                    bail!("{address} is not ready: {}", why.trim());
                }
                return Ok(());
            }
            let term = Term::stdout();
            if term.is_term() {
                term.clear_screen()?;
            }
            print(&page)?;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(args.every) => {}
            }
        }
    })
}

/// Figures by name and labels.
#[derive(Debug)]
struct Figures(BTreeMap<String, f64>);

impl Figures {
    fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let figure = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(lines.filter_map(figure).collect())
    }

    /// Those of a name, with their labels.
    fn of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = (&'f str, f64)> {
        self.0.iter().filter_map(move |(of, value)| {
            let labels = of.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, *value))
        })
    }

    fn sum(&self, name: &str) -> f64 {
        self.of(name).map(|(_, value)| value).sum()
    }

    /// The upper bound of the bucket in which a quantile of a part's times lies, in seconds.
    fn quantile(&self, part: &str, quantile: f64) -> Option<f64> {
        let label = format!("part=\"{part}\"");
        let bound = |labels: &str| -> Option<f64> {
            let bound = labels.split("le=\"").nth(1)?.split('"').next()?;
            if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() }
        };
        let mut buckets: Vec<(f64, f64)> = self
            .of("sharelet_session_seconds_bucket")
            .filter(|(labels, _)| labels.contains(&label))
            .filter_map(|(labels, count)| Some((bound(labels)?, count)))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = buckets.last()?.1;
        buckets.into_iter().find(|(_, count)| *count >= all * quantile).map(|(bound, _)| bound)
    }
}

fn page(
    address: &str,
    state: &str,
    figures: &Figures,
    devices: &Vec<DeviceFigures>,
    rate: Option<f64>,
) -> String {
    let mut page = format!("{address}  {state}\n");
    let mut line = |text: String| page += &(text + "\n");
    line(format!(
        "connections {}, sessions ready {}, memory {} MB",
        figures.sum("sharelet_connections_open"),
        figures.sum("sharelet_sessions_ready"),
        (figures.sum("sharelet_resident_bytes") / 1e6).round(),
    ));
    for (labels, count) in figures.of("sharelet_sessions_total") {
        let part = labels.split('"').nth(1).unwrap_or_default();
        let shown = |quantile| match figures.quantile(part, quantile) {
            Some(bound) if bound.is_finite() => format!("{} ms", (bound * 1e3).round()),
            _ => "-".to_owned(),
        };
        let (half, most) = (shown(0.5), shown(0.99));
        line(format!("{part:<8} {count:>9}   half within {half}, 99 of 100 within {most}"));
    }
    if let Some(rate) = rate {
        line(format!("{rate:.1} parts of sessions each second"));
    }
    for (labels, count) in figures.of("sharelet_refusals_total") {
        let reason = labels.split('"').nth(1).unwrap_or_default();
        line(format!("refused  {count:>9}   {reason}"));
    }
    if !devices.is_empty() {
        line(format!("{:<16}  connected  ready  evaluated  seen", "device"));
    }
    for device in devices {
        let connected = if device.connected { "yes" } else { "no" };
        let mut row = format!("{:<16}  {connected:<9}", device.name);
        // A string takes everything.
        let _ = write!(row, "  {:>5}  {:>9}", device.ready, device.evaluated);
        line(format!("{row}  {}", ago(device.seen_unix_seconds)));
    }
    page
}

/// How long ago something was.
pub(super) fn ago(unix_seconds: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs()).saturating_sub(unix_seconds);
    match seconds {
        _ if unix_seconds == 0 => "never".to_owned(),
        0..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        let text = "# HELP x y\nsharelet_sessions_total{part=\"infer\"} 10\n\
                    sharelet_session_seconds_bucket{le=\"0.001\",part=\"infer\"} 5\n\
                    sharelet_session_seconds_bucket{le=\"0.002\",part=\"infer\"} 9\n\
                    sharelet_session_seconds_bucket{le=\"+Inf\",part=\"infer\"} 10\n\
                    sharelet_refusals_total{reason=\"Quota\"} 3\n# EOF\n";
        let figures = Figures::read(text);
        assert_eq!(figures.quantile("infer", 0.5), Some(0.001));
        assert_eq!(figures.quantile("infer", 0.6), Some(0.002));
        assert_eq!(figures.quantile("infer", 0.99), Some(f64::INFINITY));
        assert_eq!(figures.quantile("deal", 0.5), None);
        let device =
            DeviceFigures { connected: true, evaluated: 12, ready: 4, ..DeviceFigures::of("pump") };
        let page = page("a:1", "ready", &figures, &vec![device], Some(1.25));
        for said in ["a:1  ready", "half within 1 ms, 99 of 100 within -", "3   Quota", "never"] {
            assert!(page.contains(said), "{said}: {page}");
        }
    }
}
