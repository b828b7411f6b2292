//! Tests of the planner from outside: properties over generated problems, a brute-force oracle, and
//! named cases.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "generated problems are small"
)]

#[cfg(test)]
mod chains;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod named;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
