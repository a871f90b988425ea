//! storm as its user meets it: what it refuses, and that nothing of it stays behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A storm that writes its reports into a folder of its own.
fn storm(test: &str, args: &[&str]) -> Command {
    let folder = folder(test);
    fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_storm"));
    command.args(args).current_dir(folder);
    command
}

fn folder(test: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test)
}

fn reports(test: &str) -> PathBuf {
    folder(test).join("target/storm")
}

#[cfg(unix)]
fn report(test: &str) -> serde_json::Value {
    let json = fs::read_to_string(reports(test).join("report.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// The one line by which storm refuses to run.
fn refusal(test: &str, args: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = storm(test, args).output().unwrap();
    let line = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{args:?}: {line}");
    assert!(
        stdout.is_empty(),
        "{args:?}: {}",
        String::from_utf8_lossy(&stdout)
    );
    assert_eq!(line.lines().count(), 1, "{args:?}: {line}");
    line
}

/// The first of two ports in a row, of which the one at `offset` is taken while the listener lives.
fn taken(offset: u16) -> (TcpListener, u16) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = listener.local_addr().unwrap().port() - offset;
        if offset == 0 || TcpListener::bind(("127.0.0.1", first)).is_ok() {
            return (listener, first);
        }
    }
}

/// A storm under way, with the addresses of its four upstreams.
struct Running {
    child: Child,
    upstreams: Vec<SocketAddr>,
}

impl Running {
    /// Starts a storm and returns once it sends calls.
    fn start(test: &str) -> Self {
        let mut command = storm(test, &["--seconds", "15"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let upstreams: Vec<SocketAddr> = lines
            .by_ref()
            .filter_map(|line| {
                line.split_once("upstreams: ")
                    .map(|(_, upstreams)| upstreams.to_owned())
            })
            .take(2)
            .flat_map(|upstreams| addresses(&upstreams))
            .collect();
        assert_eq!(upstreams.len(), 4, "{upstreams:?}");
        assert!(upstreams.iter().all(|upstream| accepts(*upstream)));
        // Whoever reads no further must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, upstreams }
    }

    /// Stops it as its user would, and waits until it has written its reports.
    #[cfg(unix)]
    fn interrupt(&mut self) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-INT", &pid]).status();
        assert!(kill.unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    fn left_behind(&self) -> Vec<SocketAddr> {
        self.upstreams
            .iter()
            .copied()
            .filter(|upstream| accepts(*upstream))
            .collect()
    }
}

fn addresses(text: &str) -> Vec<SocketAddr> {
    text.split([' ', ','])
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

#[test]
fn a_wrong_flag_is_refused_in_one_line_with_code_2() {
    let wrong: [&[&str]; 5] = [
        &["--seconds", "14"],
        &["--rate", "0"],
        &["--rate", "99999999"],
        &["--bounds", "none"],
        &["--no-such-flag"],
    ];
    for args in wrong {
        let line = refusal("wrong_flag", args);
        assert!(
            line.starts_with("storm: ") && line.contains(args[0]),
            "{line}"
        );
    }
}

#[test]
fn a_taken_port_is_named_in_one_line_with_code_2() {
    for offset in [0, 1] {
        let (listener, port) = taken(offset);
        let line = refusal("taken_port", &["--port", &port.to_string()]);
        let taken = listener.local_addr().unwrap().port();
        assert_eq!(line, format!("storm: port {taken} is taken\n"));
    }
}

#[test]
fn a_killed_storm_leaves_no_upstream_behind() {
    let mut running = Running::start("killed");
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    while !running.left_behind().is_empty() {
        assert!(
            Instant::now() < patience,
            "{:?} still serve",
            running.left_behind()
        );
        sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
#[test]
fn a_greedy_client_is_limited_after_the_calm_and_nobody_else_is() {
    let mut running = Running::start("greedy");
    // Three seconds of calm, and two and a half with a client that makes 40 calls in each.
    sleep(Duration::from_millis(5_500));
    running.interrupt();
    let report = report("greedy");
    for side in ["protected", "bare"] {
        let greed =
            |of: &serde_json::Value, field: &str| of["greed"][side][field].as_u64().unwrap();
        assert_eq!(greed(&report["phases"][0], "calls"), 0, "in the calm phase");
        assert_eq!(greed(&report, "others_limited"), 0, "{side}");
        let (limited, served) = (greed(&report, "limited"), greed(&report, "served"));
        assert_eq!(limited > 0, side == "protected", "{side}: {limited}");
        assert!(served > 0, "{side}");
    }
    for others in ["without_greed", "with_greed"] {
        assert!(report["others"][others]["served"].as_u64().unwrap() > 0);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_every_upstream_and_still_writes_the_reports() {
    let mut running = Running::start("interrupted");
    sleep(Duration::from_secs(1));
    running.interrupt();
    assert_eq!(running.left_behind(), []);

    let report = report("interrupted");
    assert!(report["cut_short_after_ms"].as_f64().unwrap() < 10_000.0);
    assert!(
        report["phases"][0]["protected"]["inventory"]["served"]
            .as_u64()
            .unwrap()
            > 0
    );
    for side in ["protected", "bare"] {
        for class in ["checkout", "rest", "browse"] {
            let figures = &report["phases"][0]["classes"][side][class];
            assert!(
                figures["served"].as_u64().unwrap() > 0 && figures["p99_ms"].is_number(),
                "{side}, {class}: {figures}"
            );
        }
    }
    for side in ["protected", "bare"] {
        for upstream in ["inventory", "payments"] {
            let calm = &report["phases"][0][side][upstream]["attempts"];
            let run = &report["load"]["run"][side][upstream];
            for attempts in [calm, run] {
                let amplification = attempts["amplification"].as_f64().unwrap();
                assert!(
                    attempts["first"].as_u64().unwrap() > 0 && amplification >= 1.0,
                    "{side}, {upstream}: {attempts}"
                );
            }
        }
    }
    let bounds = report["bounds"].as_array().unwrap();
    let not_judged = |bound: &serde_json::Value| bound["verdict"]["not_judged"].is_string();
    assert!(
        !bounds.is_empty() && bounds.iter().all(not_judged),
        "{bounds:#?}"
    );
    let page = fs::read_to_string(reports("interrupted").join("report.html")).unwrap();
    assert!(page.contains("cut short after") && page.ends_with("</html>\n"));
}
