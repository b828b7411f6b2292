//! From the rows of a file to groups of sixteen rows: a pure function of bytes, whose result can be
//! kept in a file and mapped.

use super::format::{record_bytes, with_recipe};
use super::lanes::ROWS;
use super::recipe::{BLOCK, BLOCKS, RECORD, Recipe};
use super::{BlockError, Format};
use crate::{Context, Schedule};

/// Raised with every change of the packed bytes of any format: those that are kept in files are then made anew.
pub const PACKED_LAYOUT: u64 = 1;

/// Packs `rows` rows of `depth` values, as a file has them, into `packed`.
///
/// # Errors
/// When `depth` is no whole number of blocks or a slice has another length than its sizes say.
pub fn pack(
    cx: Context<'_>,
    format: Format,
    [rows, depth]: [usize; 2],
    source: &[u8],
    packed: &mut [u8],
) -> Result<(), BlockError> {
    let needed = format.source_bytes(rows, depth);
    BlockError::check_length("bytes in the file", needed, source.len())?;
    BlockError::check_length("packed bytes", format.packed_bytes(rows, depth), packed.len())?;
    let row_bytes = source.len() / rows.max(1);
    let group_bytes = packed.len() / rows.div_ceil(ROWS).max(1);
    if row_bytes == 0 {
        return Ok(());
    }
    cx.pool.parallel_pieces(packed, group_bytes, Schedule::Static, |group, packed| {
        packed.fill(0);
        let rows = source.chunks_exact(row_bytes).skip(group * ROWS).take(ROWS);
        for (lane, row) in rows.enumerate() {
            with_recipe!(
                format,
                R => pack_row::<R>(row, lane, packed),
                F => float::pack::<F>(row, lane, packed)
            );
        }
    });
    Ok(())
}

fn pack_row<R: Recipe>(row: &[u8], lane: usize, group: &mut [u8]) {
    let [values, bytes] = R::SOURCE;
    let records = row.chunks(RECORD / values * bytes);
    for (source, record) in records.zip(group.chunks_mut(record_bytes::<R>(BLOCKS))) {
        R::pack(source, lane, record);
    }
    debug_assert!(BLOCK.is_multiple_of(values) || values == RECORD, "blocks fill records");
}
