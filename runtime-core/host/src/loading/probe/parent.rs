//! The host's side of a probe: starts the child, listens, ends it at the deadline.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::{ENDING, Line, Prober, Report, Request};
use crate::loading::Verdict;

/// What came of a probe.
pub(in crate::loading) enum Probed {
    /// The child used the library and lived.
    Passed {
        /// What it found.
        report: Report,
        /// What is still worth knowing.
        note: Option<String>,
    },
    /// It must not be loaded.
    Failed(Verdict),
    /// There was no child to try it.
    Impossible(String),
}

/// A line of more bytes is none of the child's.
const MAX_LINE_BYTES: usize = 4 << 20;
/// So much is kept of what the child said last on standard error.
const LAST_WORDS_BYTES: usize = 300;
/// How often the child is looked at.
const PATIENCE: Duration = Duration::from_millis(2);
/// How long the last lines of a child that has ended may take.
const LAST_LINES: Duration = Duration::from_millis(200);

/// Tries a library.
pub(in crate::loading) fn run(
    prober: &Prober,
    library: &Path,
    options: &[(String, String)],
    deadline: Duration,
) -> Probed {
    let token = token();
    let request =
        Request { token: token.clone(), library: library.to_owned(), options: options.to_vec() };
    let mut watch = match start(prober, &request, deadline) {
        Ok(watch) => watch,
        Err(error) => {
            let program = prober.program.display();
            return Probed::Impossible(format!("`{program}` cannot be started: {error}"));
        }
    };
    watch.listen(&token);
    watch.judge(prober)
}

/// Not a secret: it only tells the child's lines from those that a library prints.
fn token() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("remuda-{}-{}", std::process::id(), now.map_or(0, |now| now.subsec_nanos()))
}

fn start(prober: &Prober, request: &Request, deadline: Duration) -> std::io::Result<Watch> {
    let mut command = Command::new(&prober.program);
    command.args(&prober.arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that does not read is noticed by its silence.
        let _ = stdin.write_all(&serde_json::to_vec(request)?);
    }
    let (send, lines) = channel();
    let (send_words, words) = channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || read_lines(stdout, &send));
    }
    if let Some(stderr) = child.stderr.take() {
        std::thread::spawn(move || drop(send_words.send(read_tail(stderr))));
    }
    let (end, started) = (Instant::now() + deadline, None);
    Ok(Watch { child, lines, words, end, deadline, stage: started, answer: None, status: None })
}

/// A running child.
struct Watch {
    child: Child,
    lines: Receiver<Vec<u8>>,
    words: Receiver<String>,
    end: Instant,
    deadline: Duration,
    /// What it said it would do next; nothing before its first line.
    stage: Option<String>,
    /// Its answer, and what it did when it gave it.
    answer: Option<(Line, String)>,
    /// How it ended; nothing if it had to be ended.
    status: Option<ExitStatus>,
}

impl Watch {
    /// Listens until the child has ended or its time is over. What the library started may live on and
    /// keep the pipe open: the end of the child is what counts.
    fn listen(&mut self, token: &str) {
        while Instant::now() < self.end {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.hear(&line, token),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PATIENCE),
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.status = Some(status);
                while let Ok(line) = self.lines.recv_timeout(LAST_LINES) {
                    self.hear(&line, token);
                }
                return;
            }
        }
        self.kill();
    }

    fn hear(&mut self, line: &[u8], token: &str) {
        let Some(json) = str::from_utf8(line).ok().and_then(|line| line.strip_prefix(token)) else {
            return;
        };
        match serde_json::from_str(json) {
            Ok(Line::Stage(stage)) => self.stage = Some(stage),
            Ok(answer) => self.answer = Some((answer, self.stage.clone().unwrap_or_default())),
            Err(_) => {}
        }
    }

    /// Ends the child and what it started. One that not even this ends is left behind.
    fn kill(&mut self) {
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

    fn judge(self, prober: &Prober) -> Probed {
        let Some(stage) = self.stage.clone() else {
            let program = prober.program.display();
            return Probed::Impossible(format!(
                "`{program}` does not answer as a trial process does"
            ));
        };
        let Some(status) = self.status else {
            let seconds = self.deadline.as_secs_f64().to_string();
            return Probed::Failed(Verdict::Hung { stage, seconds });
        };
        let failed = |verdict| Probed::Failed(verdict);
        match self.answer {
            Some((Line::Done(report), _)) => {
                let note = (!status.success())
                    .then(|| format!("its trial process crashed while {ENDING}: {}", how(status)));
                Probed::Passed { report, note }
            }
            Some((Line::NotLoaded(reason), _)) => failed(Verdict::NotLoaded { reason }),
            Some((Line::Refused(reason), stage)) => failed(Verdict::Refused { stage, reason }),
            Some((Line::Lies(what), _)) => failed(Verdict::Lies { what }),
            Some((Line::Stage(_), _)) | None => {
                let words = self.words.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
                failed(Verdict::Crashed { stage, how: how(status), words })
            }
        }
    }
}

fn how(status: ExitStatus) -> String {
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

fn read_lines(mut from: impl Read, to: &Sender<Vec<u8>>) {
    let mut line = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            return;
        }
        for &byte in &buffer[..count] {
            if byte == b'\n' {
                if !line.is_empty() && to.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
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
