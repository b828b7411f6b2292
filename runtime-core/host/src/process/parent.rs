//! The side of the host: starts the worker, listens, ends it.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Order, Prober};

/// A line of more bytes is none of the child's.
const MAX_LINE_BYTES: usize = 4 << 20;
/// So much is kept of what the child said last on standard error.
const LAST_WORDS_BYTES: usize = 300;
/// How often the child is looked at.
const PATIENCE: Duration = Duration::from_millis(2);
/// How long the last lines of a child that has ended may take.
const LAST_LINES: Duration = Duration::from_millis(200);

/// A running worker process. It is ended when this is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    words: Receiver<String>,
}

/// What comes of listening.
#[derive(Debug)]
pub enum Heard<L> {
    /// The worker told this.
    Line(L),
    /// It ended.
    Ended(ExitStatus),
    /// The time is over.
    Late,
}

impl Drop for Worker {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

impl Worker {
    /// Starts a worker with a job.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(prober: &Prober, job: &str, body: &impl Serialize) -> std::io::Result<Self> {
        let token = token();
        let (job, body) = (job.to_owned(), serde_json::to_value(body)?);
        let mut order = serde_json::to_vec(&Order { token: token.clone(), job, body })?;
        order.push(b'\n');
        let mut command = Command::new(&prober.program);
        command.args(&prober.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take();
        if let Some(stdin) = &mut stdin {
            // A child that does not read is noticed by its silence.
            let _ = stdin.write_all(&order);
        }
        let (send, lines) = channel();
        let (send_words, words) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || read_lines(stdout, token.as_bytes(), &send));
        }
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || drop(send_words.send(read_tail(stderr))));
        }
        Ok(Self { child, stdin, lines, words })
    }

    /// Tells the worker something more, in a line of JSON.
    ///
    /// # Errors
    /// When it does not listen.
    pub fn send(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        let stdin = self.stdin.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        stdin.write_all(&line)?;
        stdin.flush()
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Listens until the worker tells something, has ended, or `end` is over. What a library started
    /// may live on and keep the pipe open: the end of the child is what counts.
    pub fn hear<L: DeserializeOwned>(&mut self, end: Instant) -> Heard<L> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => match serde_json::from_slice(&line) {
                    Ok(line) => return Heard::Line(line),
                    Err(_) => continue,
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PATIENCE),
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                while let Ok(line) = self.lines.recv_timeout(LAST_LINES) {
                    if let Ok(line) = serde_json::from_slice(&line) {
                        return Heard::Line(line);
                    }
                }
                return Heard::Ended(status);
            }
            if Instant::now() >= end {
                return Heard::Late;
            }
        }
    }

    /// Ends the child and what it started. One that not even this ends is left behind.
    pub fn end(&mut self) {
        #[cfg(unix)]
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let end = Instant::now() + Duration::from_secs(1);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(PATIENCE);
        }
    }

    /// What a child that has ended said last on standard error, on one line.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.words.recv_timeout(Duration::from_secs(1)).unwrap_or_default()
    }
}

/// Not a secret: it only tells the child's lines from those that a library prints.
fn token() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanoseconds = now.map_or(0, |now| now.subsec_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("remuda-{}-{nanoseconds}-{count}", std::process::id())
}

/// How a process ended, in words.
#[must_use]
pub fn how_it_ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            4 => "SIGILL, an instruction that this CPU lacks",
            6 => "SIGABRT, it gave up by itself",
            7 => "SIGBUS, a bad address",
            8 => "SIGFPE, a division by zero",
            9 => "SIGKILL, perhaps for want of memory",
            11 => "SIGSEGV, a bad pointer",
            _ => "a signal",
        };
        return format!("signal {signal} ({name})");
    }
    status
        .code()
        .map_or_else(|| "it is gone".to_owned(), |code| format!("it left with exit code {code}"))
}

/// Sends what follows the token in every line that starts with it.
fn read_lines(mut from: impl Read, token: &[u8], to: &Sender<Vec<u8>>) {
    let mut line = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            return;
        }
        for &byte in &buffer[..count] {
            if byte == b'\n' {
                let told = line.strip_prefix(token).map(<[u8]>::to_vec);
                if told.is_some_and(|told| to.send(told).is_err()) {
                    return;
                }
                line.clear();
            } else if line.len() < MAX_LINE_BYTES {
                line.push(byte);
            }
        }
    }
}

/// The last words of a stream, on one line.
fn read_tail(mut from: impl Read) -> String {
    let mut tail = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        tail.extend(&buffer[..count]);
        let surplus = tail.len().saturating_sub(LAST_WORDS_BYTES);
        tail.drain(..surplus);
    }
    let text = String::from_utf8_lossy(&tail);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
