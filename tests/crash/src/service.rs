//! A `herald serve` process: started, watched, killed. Knows its command line and its first line, not its
//! interface.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::CrashError;
use crate::limits::{BEYOND_MEMORY, EXIT_MAX, MEMORY, RETENTION, START_MAX, STOP_MAX};
use crate::shim::Shim;

/// What the program ends with when it cannot do its work now (`EX_UNAVAILABLE` of sysexits).
pub(crate) const EXIT_UNAVAILABLE: i32 = 69;

/// The signal of `kill -9`.
const SIGKILL: i32 = 9;

/// How the process is to be started.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) durability: &'static str,
    pub(crate) retention: Duration,
    /// Whether it lets placements leave its memory, and puts none back after a restart.
    pub(crate) goes_beyond: bool,
    /// Whether it is told to bear the signal that comes with files over their limit.
    pub(crate) bears_file_limit: bool,
    /// What its environment holds besides ours: the shim, if it runs under one.
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

/// Where a service can be asked.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) url: String,
    pub(crate) roots: Vec<u8>,
}

/// A process that serves. Killed when dropped.
pub(crate) struct Service {
    pub(crate) address: Address,
    /// From the start of the process to its line.
    pub(crate) opened_in: Duration,
    process: Child,
    complaints: Option<JoinHandle<Vec<String>>>,
}

/// What a process left when it ended.
pub(crate) struct Ended {
    /// Just before it was asked to.
    pub(crate) asked_at: Instant,
    /// When it was gone for certain.
    pub(crate) gone_at: Instant,
    pub(crate) status: ExitStatus,
    /// What it had written to standard error.
    pub(crate) reports: Vec<String>,
}

impl Ended {
    /// The same, if it was killed with -9. Anything else ended it otherwise than was meant.
    pub(crate) fn by_kill(self) -> Result<Self, CrashError> {
        if self.status.signal() == Some(SIGKILL) {
            return Ok(self);
        }
        let (status, reports) = (self.status, self.reports.join("; "));
        Err(CrashError::Answer(format!("it ends with {status} and says: {reports}")))
    }

    /// Reports of warnings and errors.
    pub(crate) fn complaints(&self) -> impl Iterator<Item = &String> {
        self.reports.iter().filter(|line| !line.starts_with("info: "))
    }
}

impl Launch {
    /// A service on a folder that is in the best of health.
    pub(crate) fn new(program: &Path, data: &Path, durability: &'static str) -> Self {
        Self {
            program: program.to_owned(),
            data: data.to_owned(),
            durability,
            retention: RETENTION,
            goes_beyond: false,
            bears_file_limit: false,
            environment: Vec::new(),
        }
    }

    /// The same under `shim`.
    pub(crate) fn under(mut self, shim: &Shim) -> Self {
        self.environment = shim.environment();
        self
    }

    /// Starts the process and leaves it alone.
    pub(crate) fn spawn(&self) -> Result<Child, CrashError> {
        let mut command = if self.bears_file_limit {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.program);
            shell
        } else {
            Command::new(&self.program)
        };
        command
            .args(self.arguments())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().map_err(CrashError::system("start the service"))
    }

    /// Starts the process and waits for its line.
    pub(crate) fn start(&self) -> Result<Service, CrashError> {
        let began = Instant::now();
        self.try_start()?.map_err(|ended| {
            let (opened_ms, reports) = (began.elapsed().as_millis(), ended.reports.join("; "));
            CrashError::Start(format!(
                "no address after {opened_ms} ms; it ends with {} and says: {reports}",
                ended.status
            ))
        })
    }

    /// Starts the process and waits for its line, or for its end, which a process that says nothing finds by force.
    pub(crate) fn try_start(&self) -> Result<Result<Service, Ended>, CrashError> {
        let began = Instant::now();
        let mut process = self.spawn()?;
        let complaints = read_complaints(&mut process);
        let line = first_line(&mut process, START_MAX);
        let opened_in = began.elapsed();
        let read = line.as_deref().and_then(address);
        let is_open = read.is_some();
        let mut service = Service {
            address: read.unwrap_or(Address::NONE),
            opened_in,
            process,
            complaints: Some(complaints),
        };
        if is_open {
            return Ok(Ok(service));
        }
        // A process that is ending must not be hurried: its status is of interest.
        match wait(&mut service.process, EXIT_MAX)? {
            Some(status) => Ok(Err(service.ended(began, status))),
            None => Ok(Err(service.end()?)),
        }
    }

    /// Starts the process where it should fail, and waits for that. One that does not fail is killed, and its status
    /// says so.
    pub(crate) fn fail(&self) -> Result<(ExitStatus, String), CrashError> {
        let mut process = self.spawn()?;
        let complaints = read_complaints(&mut process);
        let status = match wait(&mut process, START_MAX)? {
            Some(status) => status,
            None => {
                process.kill().map_err(CrashError::system("kill the service"))?;
                process.wait().map_err(CrashError::system("wait for the service"))?
            }
        };
        Ok((status, complaints.join().unwrap_or_default().join("; ")))
    }

    fn arguments(&self) -> Vec<OsString> {
        let retention = format!("{}s", self.retention.as_secs());
        let words = ["serve", "--dev", "--listen", "127.0.0.1:0", "--durability", self.durability];
        let beyond = if self.goes_beyond { BEYOND_MEMORY } else { "0" };
        let words = words
            .into_iter()
            .chain(["--memory", MEMORY, "--beyond-memory", beyond, "--retention", &retention, "--data"])
            .map(OsString::from);
        words.chain([self.data.clone().into_os_string()]).collect()
    }
}

impl Address {
    const NONE: Self = Self { url: String::new(), roots: Vec::new() };
}

impl Service {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// As `kill -9` does.
    pub(crate) fn kill(mut self) -> Result<Ended, CrashError> {
        self.end()
    }

    /// As `kill` does: it may finish what is under way.
    pub(crate) fn terminate(mut self) -> Result<Ended, CrashError> {
        let asked_at = Instant::now();
        let id = self.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        told.map_err(CrashError::system("send SIGTERM"))?;
        match wait(&mut self.process, STOP_MAX)? {
            Some(status) => Ok(self.ended(asked_at, status)),
            None => {
                let message = format!("it has not ended {} s after SIGTERM", STOP_MAX.as_secs());
                Err(CrashError::Answer(message))
            }
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn await_end(mut self, patience: Duration) -> Result<Ended, CrashError> {
        let asked_at = Instant::now();
        match wait(&mut self.process, patience)? {
            Some(status) => Ok(self.ended(asked_at, status)),
            None => {
                let reports = self.end()?.reports.join("; ");
                let limit_s = patience.as_secs();
                Err(CrashError::Answer(format!("it still runs after {limit_s} s and says: {reports}")))
            }
        }
    }

    fn end(&mut self) -> Result<Ended, CrashError> {
        let asked_at = Instant::now();
        self.process.kill().map_err(CrashError::system("kill the service"))?;
        let status = self.process.wait().map_err(CrashError::system("wait for the service"))?;
        Ok(self.ended(asked_at, status))
    }

    fn ended(&mut self, asked_at: Instant, status: ExitStatus) -> Ended {
        let gone_at = Instant::now();
        let reports = self.complaints.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        Ended { asked_at, gone_at, status, reports }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Collects what the process writes to standard error until it ends.
pub(crate) fn read_complaints(process: &mut Child) -> JoinHandle<Vec<String>> {
    let stderr = process.stderr.take().expect("spawn makes a pipe of it");
    std::thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).collect())
}

/// Waits until the process has ended, at most for `patience`.
fn wait(process: &mut Child, patience: Duration) -> Result<Option<ExitStatus>, CrashError> {
    let began = Instant::now();
    loop {
        let status = process.try_wait().map_err(CrashError::system("wait for the service"))?;
        if status.is_some() || began.elapsed() > patience {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn first_line(process: &mut Child, patience: Duration) -> Option<String> {
    let stdout = process.stdout.take().expect("spawn makes a pipe of it");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Nobody listens any more if it came too late.
        let _ = tell.send(read.is_ok().then_some(line));
    });
    told.recv_timeout(patience).ok().flatten()
}

/// Reads `listening URL ca=FILE`.
fn address(line: &str) -> Option<Address> {
    let (url, roots) = line.trim_end().strip_prefix("listening ")?.split_once(" ca=")?;
    Some(Address { url: url.to_owned(), roots: std::fs::read(roots).ok()? })
}
