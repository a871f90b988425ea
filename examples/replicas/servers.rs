//! A PostgreSQL primary and its replica, started for a test under another user than root, and gone after it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, process};

use tokio_postgres::Config;

/// Both servers.
pub(crate) struct Servers {
    binaries: PathBuf,
    folder: PathBuf,
    primary: u16,
    replica: u16,
}

impl Servers {
    /// Starts both; nothing where PostgreSQL is not installed, which is said loudly, and fails in CI.
    pub(crate) fn start() -> Option<Self> {
        let Some(binaries) = binaries() else {
            let missing = "PostgreSQL is not installed: this test was SKIPPED. Get it: apt-get install postgresql";
            assert!(env::var("CI").is_err(), "{missing}");
            eprintln!("\n*** {missing} ***\n");
            return None;
        };
        let folder = env::temp_dir().join(format!("buttress-replicas-{}", process::id()));
        let servers = Self {
            binaries,
            folder,
            primary: free_port(),
            replica: free_port(),
        };
        fs::create_dir_all(&servers.folder).unwrap();
        if is_root() {
            let own = Command::new("chown")
                .arg("postgres")
                .arg(&servers.folder)
                .status();
            assert!(own.unwrap().success(), "there is a user named postgres");
        }
        let primary = servers.data("primary");
        servers.run(
            "initdb",
            &["-D", &primary, "-U", "postgres", "-A", "trust", "--no-sync"],
        );
        servers.start_one("primary", servers.primary);
        let (port, replica) = (servers.primary.to_string(), servers.data("replica"));
        let copy = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-D",
            &replica,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ];
        servers.run("pg_basebackup", &copy);
        servers.start_one("replica", servers.replica);
        Some(servers)
    }

    pub(crate) fn primary(&self) -> Config {
        config(self.primary)
    }

    pub(crate) fn replica(&self) -> Config {
        config(self.replica)
    }

    /// Kills a server: it neither ends its connections nor writes anything down.
    pub(crate) fn kill(&self, which: &str) {
        self.run(
            "pg_ctl",
            &["-D", &self.data(which), "-m", "immediate", "-w", "stop"],
        );
    }

    pub(crate) fn bring_back_primary(&self) {
        self.start_one("primary", self.primary);
    }

    fn start_one(&self, which: &str, port: u16) {
        let folder = self.folder.display();
        let options = format!("-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off");
        let log = format!("{folder}/{which}.log");
        self.run(
            "pg_ctl",
            &[
                "-D",
                &self.data(which),
                "-l",
                &log,
                "-o",
                &options,
                "-w",
                "start",
            ],
        );
    }

    fn data(&self, which: &str) -> String {
        self.folder.join(which).display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(self.try_run(program, arguments), "{program} {arguments:?}");
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
        let program = self.binaries.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // What a server inherits of a pipe keeps it open.
        let command = command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for which in ["replica", "primary"] {
            self.try_run(
                "pg_ctl",
                &["-D", &self.data(which), "-m", "immediate", "-w", "stop"],
            );
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where the newest PostgreSQL has its programs.
fn binaries() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let folders = installed.map(|version| version.path().join("bin"));
    folders
        .filter(|folder| folder.join("initdb").exists())
        .max()
}

/// A server of PostgreSQL refuses to run as root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn config(port: u16) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user("postgres")
        .dbname("postgres");
    config
}
