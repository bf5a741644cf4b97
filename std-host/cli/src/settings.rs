//! Settings from a file and from the environment, for who runs a service: what the command line
//! does not say is looked for in variables, and then in the file.
//!
//! The file is TOML, with a table for each command; a key is the name of the command's option. A
//! variable is `SHARELET_`, the command and the option: `SHARELET_HOST_LISTEN`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Parser};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The option that names the file.
const FILE: &str = "settings";
/// What variables begin with.
const PREFIX: &str = "SHARELET";

/// Why there are no arguments.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in the file is no setting.
    #[error("{path}, line {line}: {what}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// From 1 on.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The value of a variable is none.
    #[error("the variable {name} {what}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// What clap says; where the value comes from, if it is not the command line.
    #[error("{error}")]
    Arguments {
        /// Its error.
        error: Box<clap::Error>,
        /// A place.
        origin: Option<Origin>,
    },
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A variable.
    Variable(String),
    /// A line of the file.
    Line(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Line(path, line) => write!(f, "{}, line {line}", path.display()),
        }
    }
}

/// Parses the command line, with what variables and the file add to it.
///
/// # Errors
/// [`SettingsError`].
pub fn parse<P: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<P, SettingsError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let own = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        name.starts_with(&format!("{PREFIX}_")).then_some((name, value))
    };
    let mut variables: Vec<_> = variables.into_iter().filter_map(own).collect();
    variables.sort();
    let mut command = P::command();
    // What clap says of an argument is known once all of them are put together.
    command.build();
    let added = Added::find(&command, &arguments, &variables)?;
    let (arguments, origins) = added.into_arguments(arguments);
    P::try_parse_from(arguments).map_err(|error| {
        let about = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(about)) => about.clone(),
            _ => String::new(),
        };
        let origin = origins.get(option_of(&about)).cloned();
        SettingsError::Arguments { error: Box::new(error), origin }
    })
}

/// `listen` of `--listen <ADDRESS>`, and `MODEL.slt` of `<MODEL.slt>`.
fn option_of(about: &str) -> &str {
    let name = about.strip_prefix("--").unwrap_or(about);
    let name = name.split([' ', '=']).next().unwrap_or(name);
    name.trim_matches(['<', '>', '[', ']', '.'])
}

/// What is added to a command's arguments.
#[derive(Debug, Default)]
struct Added {
    /// The command, as it stands among the arguments.
    command: String,
    /// Options, each with its value if it takes one.
    options: Vec<OsString>,
    /// The other arguments, in order.
    others: Vec<OsString>,
    origins: BTreeMap<String, Origin>,
}

impl Added {
    fn find(
        root: &Command,
        arguments: &[OsString],
        variables: &[(String, OsString)],
    ) -> Result<Self, SettingsError> {
        // What is wrong is said when everything is there.
        let lenient = root.clone().ignore_errors(true);
        let Ok(matches) = lenient.try_get_matches_from(arguments) else {
            return Ok(Self::default());
        };
        let Some((name, own)) = matches.subcommand() else { return Ok(Self::default()) };
        let Some(command) = root.find_subcommand(name) else { return Ok(Self::default()) };
        let mut added = Self { command: name.to_owned(), ..Self::default() };
        let mut present = Present::of(command, own);
        for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(arg) = meant(root, command, name)? else { continue };
            let wrong = |what: String| SettingsError::Variable { name: name.clone(), what };
            let value = value.clone().into_string();
            let value = value.map_err(|_| wrong("is not text".to_owned()))?;
            let values = values_of_text(arg, &value).map_err(wrong)?;
            if present.admits(command, arg) {
                present.decided(arg, !values.is_empty());
                added.push(arg, values, Origin::Variable(name.clone()));
            }
        }
        // Those of one source are judged by clap.
        present.conclude();
        let of_name = |wanted: &str| variables.iter().find(|(name, _)| name == wanted);
        let from_variable = || of_name(&format!("{PREFIX}_SETTINGS")).map(|(_, value)| value);
        let from_variable = || from_variable().filter(|value| !value.is_empty()).map(PathBuf::from);
        let file = matches.get_one::<PathBuf>(FILE).cloned();
        if let Some(path) = file.or_else(from_variable) {
            let read = std::fs::read_to_string(&path);
            let text =
                read.map_err(|source| SettingsError::Unread { path: path.clone(), source })?;
            added.read(root, command, &present, (&path, &text))?;
        }
        Ok(added)
    }

    fn push(&mut self, arg: &Arg, values: Vec<String>, origin: Origin) {
        match arg.get_long() {
            Some(long) if takes_value(arg) => {
                self.options.extend(values.iter().map(|value| format!("--{long}={value}").into()));
            }
            Some(long) => self.options.extend(values.iter().map(|_| format!("--{long}").into())),
            None => self.others.extend(values.into_iter().map(Into::into)),
        }
        self.origins.insert(option_of(&shown(arg)).to_owned(), origin);
    }

    /// Takes the table of the command out of the file; every other table is looked at, too.
    fn read(
        &mut self,
        root: &Command,
        command: &Command,
        present: &Present,
        (path, text): (&Path, &str),
    ) -> Result<(), SettingsError> {
        let line =
            |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let wrong = |at: usize, what: String| SettingsError::File {
            path: path.to_owned(),
            line: line(at),
            what,
        };
        let tables = DeTable::parse(text).map_err(|error| {
            wrong(error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        for (name, table) in tables.get_ref() {
            let DeValue::Table(table) = table.get_ref() else {
                let what =
                    format!("`{}` stands outside of a table, such as [host]", name.get_ref());
                return Err(wrong(name.span().start, what));
            };
            let Some(of) = root.find_subcommand(name.get_ref().as_ref()) else {
                let what = format!("`sharelet` has no command `{}`", name.get_ref());
                return Err(wrong(name.span().start, what));
            };
            for (key, value) in table {
                let is_meant = |arg: &&Arg| key_of(arg) == *key.get_ref();
                let Some(arg) = settable(of).find(is_meant) else {
                    let known: Vec<String> = settable(of).map(key_of).collect();
                    let what = format!(
                        "`sharelet {}` has no setting `{}`; it has {}",
                        of.get_name(),
                        key.get_ref(),
                        known.join(", ")
                    );
                    return Err(wrong(key.span().start, what));
                };
                let values = values_of(arg, value).map_err(|what| {
                    wrong(value.span().start, format!("`{}` {what}", key.get_ref()))
                })?;
                if of.get_name() == command.get_name() && present.admits(command, arg) {
                    let origin = Origin::Line(path.to_owned(), line(key.span().start));
                    self.push(arg, values, origin);
                }
            }
        }
        Ok(())
    }

    /// The arguments with the additions, which follow the command.
    fn into_arguments(
        self,
        mut arguments: Vec<OsString>,
    ) -> (Vec<OsString>, BTreeMap<String, Origin>) {
        let Self { command, mut options, others, origins } = self;
        let is_named = |(at, argument): (usize, &OsString)| {
            let before = at.checked_sub(1).and_then(|before| arguments.get(before));
            at > 0
                && argument == OsStr::new(&command)
                && before.is_none_or(|before| before != OsStr::new("--settings"))
        };
        if let Some(at) = arguments.iter().enumerate().position(is_named) {
            options.extend(others);
            arguments.splice(at + 1..=at, options);
        }
        (arguments, origins)
    }
}

/// What stronger sources have said: neither it nor what conflicts with it is taken from a weaker
/// one.
#[derive(Default)]
struct Present {
    /// What was said, and whether it is there: a switch may be said to be off.
    said: Vec<(String, bool)>,
    /// What the source that is read has said so far.
    saying: Vec<(String, bool)>,
}

impl Present {
    fn of(command: &Command, matches: &ArgMatches) -> Self {
        let given = |arg: &&Arg| {
            matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        let said = settable(command).filter(given).map(|arg| (arg.get_id().to_string(), true));
        Self { said: said.collect(), saying: Vec::new() }
    }

    /// Something is there, or is not to be.
    fn decided(&mut self, arg: &Arg, is_there: bool) {
        self.saying.push((arg.get_id().to_string(), is_there));
    }

    /// The source is read: what follows is weaker.
    fn conclude(&mut self) {
        self.said.append(&mut self.saying);
    }

    fn admits(&self, command: &Command, arg: &Arg) -> bool {
        let said = |of: &Arg| self.said.iter().find(|(id, _)| of.get_id() == id.as_str());
        let is_there = |of: &Arg| said(of).is_some_and(|(_, is_there)| *is_there);
        let conflicts = |present: &Arg| {
            let others = command.get_arg_conflicts_with(present);
            others.iter().any(|other| other.get_id() == arg.get_id())
        };
        // Those without a name have an order: all of them come from one source.
        let other = |present: &Arg| arg.get_long().is_none() && present.get_long().is_none();
        said(arg).is_none()
            && !command.get_arg_conflicts_with(arg).into_iter().any(is_there)
            && !settable(command)
                .filter(|present| is_there(present))
                .any(|present| conflicts(present) || other(present))
    }
}

/// The option that a variable is meant for; `None` if it is for another command, or for none.
fn meant<'c>(
    root: &Command,
    command: &'c Command,
    name: &str,
) -> Result<Option<&'c Arg>, SettingsError> {
    let begins = |of: &Command| {
        let begin = format!("{PREFIX}_{}_", of.get_name()).replace('-', "_").to_uppercase();
        name.starts_with(&begin).then_some(begin.len())
    };
    // `SHARELET_TRAIN_PLAIN_DATA` belongs to `train-plain`, and not to `train`.
    let owner = root.get_subcommands().max_by_key(|of| begins(of));
    if owner.is_none_or(|of| of.get_name() != command.get_name() || begins(of).is_none()) {
        return Ok(None);
    }
    let is_it = |arg: &&Arg| variable_of(command.get_name(), arg) == name;
    settable(command).find(is_it).map(Some).ok_or_else(|| SettingsError::Variable {
        name: name.to_owned(),
        what: format!("is for no option of `sharelet {}`", command.get_name()),
    })
}

/// What may be set: what belongs to the command alone.
fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let is_action =
            matches!(arg.get_action(), ArgAction::Set | ArgAction::Append | ArgAction::SetTrue);
        is_action && !arg.is_global_set()
    })
}

fn takes_value(arg: &Arg) -> bool {
    !matches!(arg.get_action(), ArgAction::SetTrue)
}

/// How clap shows it.
fn shown(arg: &Arg) -> String {
    arg.to_string()
}

/// How a file calls it.
fn key_of(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_id().as_str().replace('_', "-"), str::to_owned)
}

fn variable_of(command: &str, arg: &Arg) -> String {
    format!("{PREFIX}_{command}_{}", key_of(arg)).replace('-', "_").to_uppercase()
}

/// The values of text: one, or for a switch whether there is one.
fn values_of_text(arg: &Arg, text: &str) -> Result<Vec<String>, String> {
    if takes_value(arg) {
        return expect_no_option(arg, vec![text.to_owned()]);
    }
    match text {
        "true" | "1" => Ok(vec![String::new()]),
        "false" | "0" => Ok(Vec::new()),
        _ => Err("is neither `true` nor `false`".to_owned()),
    }
}

/// What has no name must not look like an option.
fn expect_no_option(arg: &Arg, values: Vec<String>) -> Result<Vec<String>, String> {
    if arg.get_long().is_none() && values.iter().any(|value| value.starts_with('-')) {
        return Err("begins with a dash".to_owned());
    }
    Ok(values)
}

fn values_of(arg: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        _ => Err("is neither text nor a number".to_owned()),
    };
    match value.get_ref() {
        DeValue::Boolean(is_set) if !takes_value(arg) => {
            Ok(if *is_set { vec![String::new()] } else { Vec::new() })
        }
        _ if !takes_value(arg) => Err("is neither `true` nor `false`".to_owned()),
        DeValue::Array(values) => {
            let values = values.iter().map(|value| text(value.get_ref()));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            // Several of one option, or one with commas.
            let many = matches!(arg.get_action(), ArgAction::Append);
            expect_no_option(arg, if many { values } else { vec![values.join(",")] })
        }
        value => expect_no_option(arg, vec![text(value)?]),
    }
}

impl SettingsError {
    /// Says what is wrong, and ends the program: help is no error.
    pub fn exit(&self) -> ! {
        const WRONG_ARGUMENTS: i32 = 2;
        // A terminal that is gone is no reason to panic.
        let say = |what: &str| drop(writeln!(std::io::stderr(), "{what}"));
        match self {
            Self::Arguments { error, origin } => {
                let is_help =
                    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
                let _ = error.print();
                if let Some(origin) = origin.as_ref().filter(|_| !is_help) {
                    say(&format!("\nThe value comes from {origin}."));
                }
                std::process::exit(error.exit_code())
            }
            error => {
                say(&format!("error: {error}"));
                std::process::exit(WRONG_ARGUMENTS)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;

    fn run(line: &str, variables: &[(&str, &str)], file: &str) -> Result<Cli, SettingsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sharelet.toml");
        std::fs::write(&path, file).expect("writes");
        let words = line.split_whitespace().map(OsString::from);
        let file = ["--settings".into(), path.into_os_string()];
        let arguments = [OsString::from("sharelet")].into_iter().chain(file).chain(words);
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        parse(arguments, variables)
    }

    fn refused(line: &str, variables: &[(&str, &str)], file: &str) -> String {
        match run(line, variables, file) {
            Ok(_) => panic!("nothing is wrong"),
            Err(SettingsError::Arguments { error, origin }) => {
                format!("{error} from {}", origin.map(|at| at.to_string()).unwrap_or_default())
            }
            Err(error) => error.to_string(),
        }
    }

    const ALL: &str = "[dealer]\nstate = \"of-dealer\"\n\n[host]\nmodel = \"a.slt\"\n\
                       dealer = \"127.0.0.1:7100\"\nid = \"hall.id\"\nstate = \"of-file\"\n\
                       ahead = 8\n";

    fn host(cli: Result<Cli, SettingsError>) -> crate::host::HostArgs {
        match cli.expect("parses").command {
            crate::Command::Host(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_weaker_than_a_variable_and_that_weaker_than_the_command_line() {
        let args = host(run("host", &[], ALL));
        assert_eq!((args.model, args.ahead), (Some("a.slt".into()), 8));
        let variables = [("SHARELET_HOST_STATE", "of-variable"), ("SHARELET_HOST_AHEAD", "9")];
        let args = host(run("host", &variables, ALL));
        assert_eq!((args.state, args.ahead), ("of-variable".into(), 9));
        let args = host(run("host b.slt --state of-line", &variables, ALL));
        assert_eq!(args.model, Some("b.slt".into()));
        assert_eq!((args.state, args.ahead), ("of-line".into(), 9));
        // What conflicts with something stronger is left out.
        let args = host(run("host --insecure-plaintext", &[], ALL));
        assert!(args.link.insecure_plaintext && args.link.id.is_none());
        let with_switch = "[host]\nmodel = \"a\"\nstate = \"s\"\ninsecure-plaintext = true\n";
        assert!(host(run("host", &[], with_switch)).link.insecure_plaintext);
        let args = host(run("host --id x", &[("SHARELET_HOST_KEEP", "true")], with_switch));
        assert!(args.keep && !args.link.insecure_plaintext);
        // What is off is in nobody's way; what belongs to others is left alone.
        let off = [
            ("SHARELET_HOST_INSECURE_PLAINTEXT", "false"),
            ("SHARELET_SETTINGS", ""),
            ("SHARELET_TRAIN_PLAIN_DATA", "x"),
            ("SHARELET_DATA", "y"),
        ];
        let args = host(run("host", &off, ALL));
        assert!(args.link.id.is_some() && !args.link.insecure_plaintext);
    }

    #[test]
    fn what_is_wrong_has_a_file_a_line_and_a_field() {
        let said = refused("host", &[], "[host]\nlisten = 7101\nports = 3\n");
        assert!(
            said.contains("sharelet.toml, line 3: `sharelet host` has no setting `ports`"),
            "{said}"
        );
        let said = refused("host", &[], "[host]\nmodel = \n");
        assert!(said.contains("sharelet.toml, line 2"), "{said}");
        let said = refused("host", &[], "\nstate = 3\n");
        assert!(said.contains("line 2: `state` stands outside of a table"), "{said}");
        let said = refused("host", &[], "[host]\nkeep = 3\n");
        assert!(said.contains("line 2: `keep` is neither `true` nor `false`"), "{said}");
        let said = refused("host", &[], &ALL.replace("ahead = 8", "ahead = 0"));
        assert!(said.contains("'0'") && said.contains("toml, line 9"), "{said}");
        let said = refused("host", &[("SHARELET_HOST_AHEAD", "many")], ALL);
        assert!(said.contains("many") && said.contains("SHARELET_HOST_AHEAD"), "{said}");
        let said = refused("host", &[("SHARELET_HOST_KEEP", "perhaps")], ALL);
        assert!(said.contains("the variable SHARELET_HOST_KEEP is neither"), "{said}");
        let said = refused("host", &[("SHARELET_HOST_SESSIONS_PER_DAYS", "1")], ALL);
        assert!(said.contains("SHARELET_HOST_SESSIONS_PER_DAYS is for no option"), "{said}");
        let said = refused("host", &[], "[hosts]\nstate = \"a\"\n");
        assert!(said.contains("line 1: `sharelet` has no command `hosts`"), "{said}");
        let said = refused("host", &[], &(ALL.to_owned() + "[dealer.more]\n"));
        assert!(said.contains("has no setting `more`"), "{said}");
        let said = refused("host", &[], "[host]\nmodel = \"--keep\"\n");
        assert!(said.contains("line 2: `model` begins with a dash"), "{said}");
        // Two of one source that do not go together are refused.
        let both = [("SHARELET_HOST_MODELS", "m"), ("SHARELET_HOST_MODEL", "a.slt")];
        let said = refused("host --state s --id x", &both, "");
        assert!(said.contains("cannot be used with"), "{said}");
        // The command line's own mistakes stay what they are.
        let said = refused("host --ahead none", &[], ALL);
        assert!(said.contains("none") && said.ends_with("from "), "{said}");
        let missing = parse::<Cli>(
            ["sharelet", "host", "--settings", "nowhere.toml"].map(OsString::from),
            [],
        );
        assert!(matches!(missing, Err(SettingsError::Unread { .. })), "{missing:?}");
    }

    #[test]
    fn every_option_has_one_variable() {
        let command = <Cli as clap::CommandFactory>::command();
        for command in command.get_subcommands() {
            let mut names: Vec<String> =
                settable(command).map(|arg| variable_of(command.get_name(), arg)).collect();
            let all = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all, "{}", command.get_name());
        }
    }
}
