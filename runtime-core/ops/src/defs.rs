//! The table of operators. Both lists are sorted: modules by name, definitions by domain and name.

use remuda_ir::{LegacyOp, OpDef};

mod abs;
mod add;
mod r#if;
mod reshape;
mod shape;
mod softmax;
mod trilu;
mod upsample;

/// Every definition, by domain and name.
#[rustfmt::skip]
pub static TABLE: &[&OpDef] = &[
    &abs::OP,
    &add::OP,
    &r#if::OP,
    &reshape::OP,
    &shape::OP,
    &softmax::OP,
    &trilu::OP,
];

/// Operators that newer opsets no longer have.
#[rustfmt::skip]
pub static LEGACY: &[&LegacyOp] = &[
    &upsample::OP,
];
