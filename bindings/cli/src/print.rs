//! What the program writes: answers to standard output, everything else to standard error.
//!
//! The macros of the standard library panic when a write fails. Here a reader that has gone
//! (`remuda ops | head`) ends the program quietly, as it ends others, and an answer that cannot be written
//! is told of and leaves with exit code 1. What nobody reads on standard error is no reason to stop.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Prints a part of an answer.
macro_rules! out {
    ($($text:tt)*) => { crate::print::answer(format_args!($($text)*)) };
}

/// Prints a line of an answer.
macro_rules! outln {
    () => { crate::print::answer(format_args!("\n")) };
    ($($text:tt)*) => { crate::print::answer(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a part of a note.
macro_rules! note {
    ($($text:tt)*) => { crate::print::note(format_args!($($text)*)) };
}

/// Prints a line that is no answer: an error, a warning, what goes on.
macro_rules! noteln {
    () => { crate::print::note(format_args!("\n")) };
    ($($text:tt)*) => { crate::print::note(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes to standard output.
pub(crate) fn answer(text: Arguments<'_>) {
    written(io::stdout().lock().write_fmt(text));
}

/// Writes to standard error.
pub(crate) fn note(text: Arguments<'_>) {
    let mut errors = io::stderr().lock();
    let _ = errors.write_fmt(text).and_then(|()| errors.flush());
}

/// Ends the program where an answer could not be written.
#[expect(clippy::exit, reason = "there is nobody left to print for")]
pub(crate) fn written(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            note(format_args!("error: cannot write the answer\n  caused by: {error}\n"));
            std::process::exit(1);
        }
    }
}
