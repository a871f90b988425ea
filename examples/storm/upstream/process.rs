//! The parent's hold on an upstream: start it, tell it how to behave, kill it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::COMMAND;
use super::behaviour::Behaviour;

/// How long a new process may take until its port accepts, on a very busy machine.
const START_LIMIT: Duration = Duration::from_secs(10);

/// One running upstream.
///
/// The process ends with us however we end: its standard input is a pipe that only we hold, and
/// the system closes it when we are gone.
#[derive(Debug)]
pub struct Process {
    child: Child,
    commands: ChildStdin,
    address: SocketAddr,
}

impl Process {
    /// Starts an upstream and returns once its port accepts; port 0 takes a free one.
    pub async fn start(name: &str, seed: u64, port: u16) -> anyhow::Result<Self> {
        let mut child = spawn(name, seed, port).with_context(|| format!("starting {name}"))?;
        let (Some(commands), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name} was started without its pipes");
        };
        let address = timeout(START_LIMIT, announced(output))
            .await
            .with_context(|| format!("{name} did not listen within {START_LIMIT:?}"))?
            .with_context(|| format!("{name} could not listen on port {port}"))?;
        Ok(Self {
            child,
            commands,
            address,
        })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells the process how to behave from now on.
    pub async fn behave(&mut self, behaviour: Behaviour) -> anyhow::Result<()> {
        let line = format!("{}\n", behaviour.word());
        self.commands
            .write_all(line.as_bytes())
            .await
            .context("an upstream has ended by itself")
    }

    /// Kills the process outright and returns once it is gone and its port closed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("killing an upstream")
    }
}

fn spawn(name: &str, seed: u64, port: u16) -> anyhow::Result<Child> {
    let child = Command::new(std::env::current_exe()?)
        .arg(COMMAND)
        .arg(name)
        .args(["--seed", &seed.to_string(), "--port", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

/// Reads the one line by which an upstream says where it listens.
async fn announced(output: ChildStdout) -> anyhow::Result<SocketAddr> {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).await?;
    line.trim().parse().context("it ended before it listened")
}
