//! The command line, and one clear line for whoever gets it wrong.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::gateway::plan::Plan;
use crate::judge::Bounds;
use crate::schedule::Schedule;
use crate::upstream::server;

/// What this process is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Storm(Options),
    Upstream(server::Options),
    /// Print this and leave.
    Help(String),
}

/// How a storm is run.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Length of the run: the phases share it, a breaker stays open for a fortieth of it
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = seconds)]
    pub seconds: u32,
    /// Calls per second to each gateway, half of them to each upstream; the rush brings more, a greedy client a tenth
    #[arg(long, value_name = "R", default_value_t = 400, value_parser = rate)]
    pub rate: u32,
    /// Repeats arrivals, service times and failures
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Write lines instead of drawing; the default where the output is no terminal
    #[arg(long)]
    pub headless: bool,
    /// Port of the protected gateway; the bare one takes the next [default: two free ports]
    #[arg(long, value_name = "P", value_parser = port)]
    pub port: Option<u16>,
    /// Which bounds are judged
    #[arg(long, value_enum, default_value_t)]
    pub bounds: Bounds,
}

impl Options {
    pub fn schedule(&self) -> Schedule {
        Schedule::new(Duration::from_secs(self.seconds.into()))
    }

    pub fn plan(&self) -> Plan {
        Plan::new(self.schedule(), self.rate)
    }
}

/// Puts two gateways through the same storm: one protected by buttress, one bare
///
/// Inventory stays calm, but for 5 % of its answers, which are 503. Payments is like that, then ten
/// times slower, answers every other call with 503, hangs, dies, and comes back. Then twice as many
/// calls come as the gateway can serve, a fifth of them checkouts, three fifths from those who only
/// browse. Both gateways send again what failed, three times at most; only the protected one has a
/// budget for it. After the calm, one client more calls ten times as often as any other; only the
/// protected gateway limits it. Reports are written to target/storm below the current directory.
/// Exit code: 0 when every bound held, 1 when one broke, 2 when the storm could not be run.
#[derive(Parser)]
#[command(
    name = "storm",
    override_usage = "storm [OPTIONS]",
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Serve as one of the upstreams
    #[command(hide = true)]
    Upstream(server::Options),
}

/// Reads the command line; the error is one line.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    match CommandLine::try_parse_from(args) {
        Ok(CommandLine {
            part: Some(Part::Upstream(options)),
            ..
        }) => Ok(Command::Upstream(options)),
        Ok(CommandLine {
            options,
            part: None,
        }) => Ok(Command::Storm(options)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            Ok(Command::Help(error.render().to_string()))
        }
        Err(error) => Err(one_line(&error)),
    }
}

/// What clap says first says it all; tips and usage follow after an empty line.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    let line = said.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

fn seconds(text: &str) -> Result<u32, String> {
    match number(text)? {
        ..15 => Err("under 15 s the phases are too short to judge".into()),
        seconds @ 15..=600 => Ok(seconds),
        _ => Err("over 600 s nothing more would be learnt".into()),
    }
}

fn rate(text: &str) -> Result<u32, String> {
    match number(text)? {
        ..10 => Err("under 10 calls/s a phase may pass without any".into()),
        rate @ 10..=2_000 => Ok(rate),
        _ => Err("over 2000 calls/s one machine would measure itself".into()),
    }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port @ 1..=65_534) => Ok(port),
        _ => Err("a port from 1 to 65534 is needed, the next one being the bare gateway’s".into()),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a whole number is needed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, String> {
        parse(["storm"].iter().chain(args).map(OsString::from))
    }

    fn options(args: &[&str]) -> Options {
        match parsed(args) {
            Ok(Command::Storm(options)) => options,
            other => panic!("{args:?} gave {other:?}"),
        }
    }

    #[test]
    fn nothing_said_means_forty_seconds_at_four_hundred_a_second() {
        let Options {
            seconds,
            rate,
            port,
            bounds,
            headless,
            ..
        } = options(&[]);
        assert_eq!(
            (seconds, rate, port, bounds, headless),
            (40, 400, None, Bounds::All, false)
        );
    }

    #[test]
    fn every_flag_is_heard() {
        let args = "--seconds 15 --rate 100 --seed 9 --headless --port 8080 --bounds shares";
        let options = options(&args.split(' ').collect::<Vec<_>>());
        let expected = Options {
            seconds: 15,
            rate: 100,
            seed: 9,
            headless: true,
            port: Some(8080),
            bounds: Bounds::Shares,
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn a_wrong_flag_is_refused_in_one_line_that_names_it() {
        let table: [(&[&str], &str); 13] = [
            (&["--seconds", "14"], "--seconds"),
            (&["--seconds", "601"], "--seconds"),
            (&["--seconds", "soon"], "--seconds"),
            (&["--seconds"], "--seconds"),
            (&["--rate", "0"], "--rate"),
            (&["--rate", "9"], "--rate"),
            (&["--rate", "-1"], "-1"),
            (&["--rate", "1000000"], "--rate"),
            (&["--port", "65535"], "--port"),
            (&["--port", "0"], "--port"),
            (&["--bounds", "none"], "shares"),
            (&["--loud"], "--loud"),
            (&["calm"], "calm"),
        ];
        for (args, named) in table {
            let line = parsed(args).expect_err(&format!("{args:?}"));
            assert!(
                line.contains(named) && !line.contains('\n'),
                "{args:?}: {line:?}"
            );
        }
    }

    #[test]
    fn help_is_no_mistake_and_does_not_show_the_hidden_part() {
        let Ok(Command::Help(text)) = parsed(&["--help"]) else {
            panic!("no help")
        };
        assert!(
            text.contains("--seconds") && !text.contains("upstream [OPTIONS]"),
            "{text}"
        );
    }

    #[test]
    fn the_hidden_part_is_understood() {
        let expected = server::Options {
            name: "payments".into(),
            seed: 3,
            port: 80,
        };
        let args = ["upstream", "payments", "--seed", "3", "--port", "80"];
        assert_eq!(parsed(&args), Ok(Command::Upstream(expected)));
    }
}
