//! Worker processes: a child of the host does one job with a library, so that one that crashes or hangs
//! takes the child down and not the host.
//!
//! The job comes on standard input. The child tells of it in lines of JSON on standard output; each
//! carries a token, so that whatever a library prints itself is not taken for an answer.

mod child;
mod parent;

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use child::{Job, Teller};
pub use parent::{Heard, Worker, how_it_ended};

/// How a worker process is started: a program that takes a [`Job`] and does it, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prober {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// What standard input carries.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    token: String,
    job: String,
    body: serde_json::Value,
}
