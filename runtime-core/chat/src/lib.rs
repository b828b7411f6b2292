//! Chat templates: a conversation to the text that a model was trained on.
//!
//! A template is a program in Jinja that came with a model file, so it is hostile until it has run.
//! It runs without files, without a loader and without attributes of host objects, and everything
//! that can grow is charged to a [budget](Limits): instructions, recursion, and the bytes of every
//! text that it makes. What it prints equals what transformers' `apply_chat_template` prints.
//!
//! ```
//! use remuda_chat::{Chat, ChatTemplate};
//! use serde_json::json;
//!
//! let template = ChatTemplate::new("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}")?;
//! let chat = Chat::new(json!([{"role": "user", "content": "Hello"}]));
//! assert_eq!(template.render(&chat)?, "[user] Hello\n");
//! # Ok::<(), remuda_chat::ChatError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod budget;
mod calendar;
mod config;
mod engine;
mod error;
mod filters;
mod methods;
mod operators;
mod probe;
mod python;
mod source;
mod template;

pub use budget::Limits;
pub use error::ChatError;
pub use probe::{Finding, Report};
pub use template::{Chat, ChatTemplate};
