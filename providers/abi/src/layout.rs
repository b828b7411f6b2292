//! The layout of every struct, as text and as a hash: how host and provider see at load time whether
//! they were built from the same contract.

use core::fmt;
use core::mem::{align_of, offset_of, size_of};

use crate::{
    Attr, CompileOptions, Cost, DeviceInfo, Graph, Host, KeyValue, MemoryInfo, Node, ProgramInfo,
    Proposal, Provider, RunArgs, StateDesc, Status, StepTime, Str, Support, Value, ValueInfo,
    ValueType,
};

/// One struct: its name, size, alignment, and the name and offset of each field.
type Layout = (&'static str, usize, usize, &'static [(&'static str, usize)]);

macro_rules! layouts {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        &[$((
            stringify!($name),
            size_of::<$name>(),
            align_of::<$name>(),
            &[$((stringify!($field), offset_of!($name, $field))),*],
        )),*]
    };
}

#[rustfmt::skip]
const LAYOUTS: &[Layout] = layouts! {
    Str { ptr, len }
    Status { code, node, needed, free, message, owner, release }
    Value { kind, dtype, rank, flags, dims, data, bytes, buffer, buffer_offset, texts, items, item_count, owner, retain, release }
    ValueType { kind, dtype, rank, reserved, dims, symbols, item, state }
    ValueInfo { name, source, reserved, ty, content }
    Attr { name, kind, float, int, text, count, ints, floats, texts, tensor, graph, captures, ty }
    Node { name, domain, op, inputs, input_count, outputs, output_count, attrs, attr_count }
    Graph { struct_size, name, opset, reserved, values, value_count, nodes, node_count, inputs, input_count, outputs, output_count, captures, capture_count, states, state_count }
    Host { struct_size, abi_major, abi_minor, context, threads, reserved, log, parallel }
    KeyValue { key, value }
    DeviceInfo { struct_size, index, usable, kind, name, unique_id, driver, reason, total_bytes, flags }
    Cost { source, reserved, nanoseconds, bytes }
    Support { struct_size, answer, reserved, cost, code, text, bounds }
    Proposal { struct_size, accepted, refused_node, cost, workspace_bytes, compile_nanoseconds, code, text }
    CompileOptions { struct_size, context, progress, cancel, engine, engine_bytes }
    ProgramInfo { struct_size, resident_bytes, workspace_bytes }
    RunArgs { struct_size, inputs, input_count, outputs, output_count, states, state_count, stream, cancel, context, profile }
    StepTime { struct_size, name, op, kernel, rank, dims, start_nanoseconds, nanoseconds }
    StateDesc { struct_size, dtype, heads, key_dim, value_dim, sequences, reserved, capacity, window }
    MemoryInfo { struct_size, total_bytes, free_bytes }
    Provider {
        struct_size, abi_major, abi_minor, layout_hash, name, version, score, open, close, devices, query, propose,
        compile, program_info, export_engine, free_program, run, synchronize, memory_info, allocate, import_host,
        free_buffer, upload, download, copy, create_stream, free_stream, record_event, wait_event, free_event,
        state_bytes, create_state, free_state, state_length, truncate_state, copy_state, export_state, import_state,
    }
};

/// FNV-1a over the layouts of this major version on this target. A struct that may grow counts with
/// its fields and not with its size; fields that a later minor version appends do not count, so that
/// hosts and providers of one major version always have the same hash.
pub const LAYOUT_HASH: u64 = hash(LAYOUTS);

const fn hash(layouts: &[Layout]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < layouts.len() {
        let (name, size, align, fields) = layouts[at];
        let size = if may_grow(fields) { 0 } else { size as u64 };
        state = hash_entry(state, name, [size, align as u64]);
        let mut field = 0;
        while field < fields.len() {
            state = hash_entry(state, fields[field].0, [fields[field].1 as u64, 0]);
            field += 1;
        }
        at += 1;
    }
    state
}

/// Whether the first field is `struct_size`.
const fn may_grow(fields: &[(&str, usize)]) -> bool {
    let (name, wanted) = (fields[0].0.as_bytes(), b"struct_size");
    let mut at = 0;
    while at < wanted.len() && at < name.len() && name[at] == wanted[at] {
        at += 1;
    }
    at == wanted.len() && at == name.len()
}

const fn hash_entry(mut state: u64, name: &str, numbers: [u64; 2]) -> u64 {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        state = (state ^ bytes[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    state = (state ^ numbers[0]).wrapping_mul(0x100_0000_01b3);
    (state ^ numbers[1]).wrapping_mul(0x100_0000_01b3)
}

/// Writes the layouts, one line per struct and field, for the snapshot that is kept in the
/// repository.
///
/// # Errors
/// When `out` fails.
pub fn layout_text(out: &mut dyn fmt::Write) -> fmt::Result {
    for (name, size, align, fields) in LAYOUTS {
        writeln!(out, "{name}: {size} bytes, align {align}")?;
        for (field, offset) in *fields {
            writeln!(out, "  {offset:>4} {field}")?;
        }
    }
    Ok(())
}
