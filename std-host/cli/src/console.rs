//! `sharelet console`: prints the answers that data parties gave to the operator.

use anyhow::Result;
use clap::Args;

use sharelet_core::DeviceId;

use super::answers::{AnswerArgs, Asked, Printer};
use super::common::{LinkArgs, given, print, until_stopped};
use sharelet_host::console::{Console, ConsoleAnswer, Settings};
use sharelet_link::Role;

const EXAMPLES: &str = include_str!("examples/console.txt");

/// Arguments of `sharelet console`.
#[derive(Args, Debug, Clone)]
#[command(about = "Print answers that data parties gave to the operator", after_help = EXAMPLES)]
pub struct ConsoleArgs {
    /// The two servers: server 0, then server 1.
    #[arg(long, value_name = "SERVER0,SERVER1", value_parser = super::units::parse_servers)]
    pub from: [String; 2],
    /// The console's name; that of its identity if not given.
    #[arg(long, value_name = "NAME", value_parser = super::units::parse_name)]
    pub name: Option<DeviceId>,
    /// Stop after this many answers.
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
    #[command(flatten)]
    answers: AnswerArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// Prints until the program is told to stop.
///
/// # Errors
/// The identity cannot be used, a server refuses it, or the program was told to stop.
pub fn run(args: ConsoleArgs) -> Result<()> {
    let route = args.link.route(Role::Console)?;
    let own = route.keyring().map(|keyring| keyring.own().party().name);
    let name = *given(args.name.or(own).as_ref(), "name")?;
    let settings = Settings { count: args.count, ..Settings::new(args.from, route.clone()) };
    let mut printer = Printer::new(args.answers, &[], None);
    let sink = move |answer: ConsoleAnswer| {
        print(&printer.line(Asked::Query(answer.id), answer.frac_bits, &answer.values)?)
    };
    route.announce();
    until_stopped(async |stop| {
        let done = Console::new(settings, name, sink).run(&stop).await;
        // The last confirmations, over an emulated link.
        route.drained().await;
        done?;
        Ok(())
    })
}
