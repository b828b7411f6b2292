//! Attention to a cache.
//!
//! A cache is a row of keys and a row of values per position, in no order: a list says which rows a token
//! sees. What a step adds is written to the tables first.

use remuda_sdk::ir::{Node, StateType, ValueId, ValueType};
use remuda_sdk::tensor::DType;

use super::{Bound, CacheUse, Lowering, Origin, Part, Refusal, attribute, refuse};
use crate::shaders::{Attention, Elem, Heads, Seen, store_rows};

pub(super) fn cached(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.inputs.get(6).is_some_and(Option::is_some) {
        return Err(refuse("attribute", "no kernel adds a bias to scores"));
    }
    let state = lowering.required(node, 3)?;
    let ty = lowering.state_type(state)?;
    let elem = cache_elem(&ty)?;
    let heads = node.attrs.required_int("num_heads").map_err(attribute)?;
    let heads = usize::try_from(heads).ok().filter(|&heads| heads > 0 && heads % ty.heads == 0);
    let heads =
        heads.ok_or_else(|| refuse("attribute", format!("heads over {} of keys", ty.heads)))?;
    let given = node.attrs.float("scale").map_err(attribute)?;
    let scale = given.unwrap_or_else(|| 1.0 / (ty.key_dim as f32).sqrt());
    let softcap = node.attrs.float_or("softcap", 0.0).map_err(attribute)?;
    let query = lowering.float_part(node, 0)?;
    let query = lowering.with_neighbours(query)?;
    let &[tokens, _] = &query.dims[..] else {
        return Err(refuse("rank", "queries have 2 dimensions"));
    };
    let slot = lowering.cache_slot(node, state)?;
    let keys = lowering.stored(node, 1, slot, &ty, elem)?;
    let values = lowering.stored(node, 2, slot, &ty, elem)?;
    let cells = Bound::whole(lowering.plan.space(Origin::Cells(slot), 0));
    let spans = Bound::whole(lowering.space(Origin::Spans(slot), tokens * 8)?);
    let y = lowering.work(Elem::F32, vec![tokens, heads * ty.value_dim])?;
    let size = |size: usize| isize::try_from(size).unwrap_or(isize::MAX);
    let attention = Attention {
        batch: 1,
        heads: [heads, ty.heads],
        tokens,
        dims: [ty.key_dim, ty.value_dim],
        scale,
        softcap,
        query: Heads {
            elem: query.view.elem,
            offset: query.view.offset,
            strides: [0, size(ty.key_dim), query.view.strides[0]],
        },
        keys: Heads::cells(elem, ty.heads, ty.key_dim),
        values: Heads::cells(elem, ty.heads, ty.value_dim),
        seen: Seen::Cells,
        to: [0, size(ty.value_dim), size(heads * ty.value_dim)],
    };
    let reads = [query.bound(), keys, values, cells, spans];
    lowering.launch(attention.dispatch(), &reads, &[y.bound()])?;
    lowering.set_part(node, 0, y)
}

/// How a cache is stored on the device.
pub(crate) fn cache_elem(ty: &StateType) -> Result<Elem, Refusal> {
    ty.check().map_err(attribute)?;
    let even = (ty.heads * ty.key_dim).is_multiple_of(2)
        && (ty.heads * ty.value_dim).is_multiple_of(2)
        && ty.key_dim.is_multiple_of(2)
        && ty.value_dim.is_multiple_of(2);
    // Rows are written and copied by whole words.
    let whole =
        (ty.heads * ty.key_dim).is_multiple_of(64) && (ty.heads * ty.value_dim).is_multiple_of(64);
    match ty.dtype {
        DType::F32 => Ok(Elem::F32),
        DType::F16 if even => Ok(Elem::F16),
        DType::BF16 if even => Ok(Elem::BF16),
        DType::F16 | DType::BF16 => {
            Err(refuse("rank", "heads of an odd size are kept as `f32` only"))
        }
        DType::Block(id) if id.format().name == "q8_0" && whole => Ok(Elem::Q8_0),
        DType::Block(id) if id.format().name == "q8_0" => {
            Err(refuse("rank", "keys and values of `q8_0` have a multiple of 64 numbers"))
        }
        other => Err(refuse("dtype", format!("no kernel reads a cache of `{other}`"))),
    }
}

impl Lowering<'_> {
    fn state_type(&self, id: ValueId) -> Result<StateType, Refusal> {
        match &self.graph.value(id).ty {
            Some(ValueType::State(ty)) => Ok(ty.clone()),
            _ => Err(refuse("dtype", "the cache is no state")),
        }
    }

    /// Notes a use of a cache, and gives its number.
    fn cache_slot(&mut self, node: &Node, state: ValueId) -> Result<usize, Refusal> {
        if self.plan.caches.iter().any(|used| used.state == state) {
            return Err(refuse("attribute", "a cache is used twice"));
        }
        let [sequences, positions] = [self.required(node, 4)?, self.required(node, 5)?];
        if self.is_computed(sequences) || self.is_computed(positions) {
            return Err(refuse("dtype", "sequences or positions are computed on the device"));
        }
        self.plan.caches.push(CacheUse { state, sequences, positions });
        Ok(self.plan.caches.len() - 1)
    }

    /// Writes the new keys (input 1) or values (input 2) to their table.
    fn stored(
        &mut self,
        node: &Node,
        at: usize,
        slot: usize,
        ty: &StateType,
        elem: Elem,
    ) -> Result<Bound, Refusal> {
        let (origin, dim) = match at {
            1 => (Origin::Keys(slot), ty.key_dim),
            _ => (Origin::Values(slot), ty.value_dim),
        };
        let rows: Part = self.floats(node, at)?;
        let &[tokens, width] = &rows.dims[..] else {
            return Err(refuse("rank", "keys and values have 2 dimensions"));
        };
        if width != ty.heads * dim {
            return Err(refuse("shape", format!("{width} features of {} heads", ty.heads)));
        }
        let table = Bound::whole(self.plan.space(origin, 0));
        let places = Bound::whole(self.space(Origin::Places(slot), tokens * 4)?);
        let dispatch = store_rows(elem, [tokens, width], (0, width));
        self.launch(dispatch, &[rows.bound(), places], &[table])?;
        Ok(table)
    }
}
