//! Attention to a cache.
//!
//! A cache is a row of keys and a row of values per position, in no order: a mask says which rows a
//! token sees. What a step adds is written first, by a `set_rows` that the attention reads through.

use remuda_sdk::ir::Node;

use super::{CacheUse, Lowering, Upload, attribute};
use crate::api::{Kind, Refusal, T, refuse};

pub(super) fn cached(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.inputs.get(6).is_some_and(Option::is_some) {
        return Err(refuse("attribute", "a bias by distance is not added to scores"));
    }
    let state = lowering.required(node, 3)?;
    let (ty, tables, cells) = lowering.cache(state)?;
    let heads = node.attrs.required_int("num_heads").map_err(attribute)?;
    let [kv_heads, key_dim, value_dim] =
        [ty.heads, ty.key_dim, ty.value_dim].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    if heads < 1 || heads % kv_heads != 0 {
        return Err(refuse("attribute", format!("{heads} heads over {kv_heads} of keys")));
    }
    let given = node.attrs.float("scale").map_err(attribute)?;
    let scale = given.unwrap_or_else(|| 1.0 / (key_dim as f32).sqrt());
    let cap = node.attrs.float_or("softcap", 0.0).map_err(attribute)?;
    let query = lowering.float(node, 0)?;
    let tokens = query.ne()[1];
    let added = [lowering.float(node, 1)?, lowering.float(node, 2)?];
    let slot = lowering.cache_slot(node, state)?;
    let (places, mask) = lowering.cache_inputs(slot, tokens, cells)?;
    let context = &lowering.context;
    let mut rows = tables;
    for (table, added) in rows.iter_mut().zip(added) {
        *table = context.set_rows(*table, context.together(added)?, places)?;
    }
    let keys = heads_of(lowering, rows[0], [key_dim, cells, kv_heads])?;
    let values = heads_of(lowering, rows[1], [value_dim, cells, kv_heads])?;
    let context = &lowering.context;
    let query = context.reshape(query, [key_dim, heads, tokens, 1])?;
    let query = context.permute(query, [0, 2, 1, 3])?;
    let y = context.attention([query, keys, values], mask, (scale, cap))?;
    lowering.effects.extend(rows);
    lowering.set_shaped(node, 0, y)
}

/// The first rows of a table, a head at a time: `[size, cells, heads]`.
fn heads_of(
    lowering: &Lowering<'_>,
    table: T,
    [size, cells, heads]: [i64; 3],
) -> Result<T, Refusal> {
    let context = &lowering.context;
    let (block, bytes) = context.block(table.kind());
    if table.ne()[0] != size * heads || size % block != 0 || cells > table.ne()[1] {
        return Err(refuse("shape", format!("{:?} holds no {heads} heads of {size}", table.ne())));
    }
    let head_bytes = usize::try_from(size / block * bytes).unwrap_or(0);
    context.heads(table, [size, cells, heads], head_bytes)
}

impl Lowering<'_> {
    /// Notes a use of a cache, and gives its number.
    fn cache_slot(
        &mut self,
        node: &Node,
        state: remuda_sdk::ir::ValueId,
    ) -> Result<usize, Refusal> {
        if self.caches.iter().any(|used| used.state == state) {
            return Err(refuse("attribute", "a cache is used twice"));
        }
        let [sequences, positions] = [self.required(node, 4)?, self.required(node, 5)?];
        self.caches.push(CacheUse { state, sequences, positions });
        Ok(self.caches.len() - 1)
    }

    /// Where new positions go, and who sees which.
    fn cache_inputs(&mut self, slot: usize, tokens: i64, cells: i64) -> Result<(T, T), Refusal> {
        let places = self.context.tensor(Kind::I64, [tokens, 1, 1, 1])?;
        let mask = self.context.tensor(Kind::F16, [cells, tokens, 1, 1])?;
        for (t, upload) in [(places, Upload::Places(slot)), (mask, Upload::Mask(slot))] {
            self.context.set_input(t);
            self.uploads.push((t, upload));
        }
        Ok((places, mask))
    }
}
