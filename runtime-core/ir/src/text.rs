//! The text form: graphs print and parse without loss.
//!
//! ```text
//! graph "g" {
//!   input %x: f32[batch, 3]
//!   const %w: f32[3] = x0000803f…
//!   %y: f32[batch, 3] = Mul(%x, %w)
//!   %z = com.microsoft::Foo(%y, _) {alpha = 0.5f, axis = 1} @"node name"
//!   output %z
//! }
//! ```
//!
//! `_` stands for an input or output that is left out. A body is `{body = graph "b" { … } (%a, %b)}`
//! with the outer values it captures behind it. Names of operators and attributes that are no words
//! are quoted. Constants are bytes in hexadecimal, texts in quotes;
//! [`print_outline`] leaves large ones out, for people.

mod lexer;
mod parse;
mod print;

pub use parse::{ParseError, parse};
pub use print::{print, print_outline};
