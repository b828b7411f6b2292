//! `Attention`: to keys in order, which may follow on those of a cache that is an input.

use remuda_sdk::ir::Node;

use super::lazy::Lazy;
use super::{Lowering, Part, Refusal, attribute, refuse};
use crate::shaders::{Attention, Elem, Heads, Mask, Seen};

/// A tensor of batch, heads, rows and features.
#[derive(Clone)]
struct Of4 {
    part: Part,
    /// Whether heads lay side by side.
    flat: bool,
}

impl Of4 {
    fn new(part: Part, heads: i64) -> Result<Self, Refusal> {
        match (&part.dims[..], &part.view.strides[..]) {
            (&[_, _, _, _], _) => Ok(Self { part, flat: false }),
            (&[batch, rows, all], &[of_batch, of_row, one]) => {
                let heads = usize::try_from(heads).ok().filter(|&h| h > 0 && all % h == 0);
                let wrong = || refuse("attribute", format!("{all} features of unknown heads"));
                let heads = heads.ok_or_else(wrong)?;
                let size = all / heads;
                let of_head = one * isize::try_from(size).map_err(|_| wrong())?;
                let mut split = part.clone();
                split.dims = vec![batch, heads, rows, size];
                split.view.strides = vec![of_batch, of_head, of_row, one];
                Ok(Self { part: split, flat: true })
            }
            (other, _) => Err(refuse("rank", format!("attention over {other:?}"))),
        }
    }

    fn heads(&self) -> Heads {
        let view = &self.part.view;
        let strides = [view.strides[0], view.strides[1], view.strides[2]];
        Heads { elem: view.elem, offset: view.offset, strides }
    }

    /// Whether a kernel can read it where it lies.
    fn is_readable(&self) -> bool {
        let Part { view, dims, .. } = &self.part;
        let neighbours = view.strides[3] == 1 || dims[3] == 1;
        let even = view.offset.is_multiple_of(2)
            && dims[3].is_multiple_of(2)
            && view.strides[..3].iter().all(|stride| stride % 2 == 0);
        neighbours && (view.elem == Elem::F32 || even)
    }
}

pub(super) fn attention(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    if node.input(6).is_some() {
        return Err(refuse("attribute", "caches that are not full are not read"));
    }
    for name in ["left_window_size", "right_window_size"] {
        if node.attrs.int_or(name, -1).map_err(attribute)? != -1 {
            return Err(refuse("attribute", format!("no kernel has a `{name}`")));
        }
    }
    let q_heads = node.attrs.int_or("q_num_heads", 0).map_err(attribute)?;
    let kv_heads = node.attrs.int_or("kv_num_heads", 0).map_err(attribute)?;
    let query = lowering.of4(node, 0, q_heads)?;
    let new_keys = lowering.of4(node, 1, kv_heads)?;
    let (keys, past) = lowering.appended(node, (4, 1), new_keys)?;
    let new_values = lowering.of4(node, 2, kv_heads)?;
    let (values, _) = lowering.appended(node, (5, 2), new_values)?;
    let &[batch, heads, tokens, key_dim] = &query.part.dims[..] else {
        return Err(refuse("rank", "queries have 4 dimensions"));
    };
    let (shared, count) = (keys.part.dims[1], keys.part.dims[2]);
    let value_dim = values.part.dims[3];
    let fits = keys.part.dims == [batch, shared, count, key_dim]
        && values.part.dims == [batch, shared, count, value_dim]
        && heads.is_multiple_of(shared);
    if !fits {
        let (q, k, v) = (&query.part.dims, &keys.part.dims, &values.part.dims);
        return Err(refuse("shape", format!("queries {q:?}, keys {k:?}, values {v:?}")));
    }
    let mut reads = vec![query.part.bound(), keys.part.bound(), values.part.bound()];
    let mask = lowering.mask(node, &[batch, heads, tokens, count])?;
    reads.extend(mask.as_ref().map(Part::bound));
    let causal = node.attrs.bool_or("is_causal", false).map_err(attribute)?;
    let scale = node.attrs.float("scale").map_err(attribute)?;
    let size = |size: usize| isize::try_from(size).unwrap_or(isize::MAX);
    let to = if query.flat {
        [tokens * heads * value_dim, value_dim, heads * value_dim]
    } else {
        [heads * tokens * value_dim, tokens * value_dim, value_dim]
    };
    let attention = Attention {
        batch,
        heads: [heads, shared],
        tokens,
        dims: [key_dim, value_dim],
        scale: scale.unwrap_or_else(|| 1.0 / (key_dim as f32).sqrt()),
        softcap: node.attrs.float_or("softcap", 0.0).map_err(attribute)?,
        query: query.heads(),
        keys: keys.heads(),
        values: values.heads(),
        seen: Seen::Keys {
            count,
            causal: causal.then_some(size(past)),
            mask: mask.map(|mask| mask_of(&mask)),
        },
        to: to.map(size),
    };
    let y = lowering.work(Elem::F32, lowering.dims_out(node, 0)?)?;
    lowering.launch(attention.dispatch(), &reads, &[y.bound()])?;
    lowering.set_part(node, 0, y)
}

fn mask_of(mask: &Part) -> Mask {
    let mut strides = [0; 4];
    for (to, &from) in strides.iter_mut().zip(&mask.view.strides) {
        *to = from;
    }
    Mask { elem: mask.view.elem, offset: mask.view.offset, strides }
}

impl Lowering<'_> {
    fn of4(&mut self, node: &Node, at: usize, heads: i64) -> Result<Of4, Refusal> {
        let part = self.float_part(node, at)?;
        let of4 = Of4::new(part, heads)?;
        if of4.is_readable() {
            return Ok(of4);
        }
        Ok(Of4 { part: self.dense(of4.part)?, flat: of4.flat })
    }

    /// Keys or values behind those of the past, if there are any, which are an output too; and how many
    /// the past has.
    fn appended(
        &mut self,
        node: &Node,
        (past_at, output): (usize, usize),
        new: Of4,
    ) -> Result<(Of4, usize), Refusal> {
        if node.input(past_at).is_none() && node.output(output).is_none() {
            return Ok((new, 0));
        }
        let past = match node.input(past_at) {
            Some(_) => Some(self.float_part(node, past_at)?),
            None => None,
        };
        let count = past.as_ref().map_or(0, |past| past.dims.get(2).copied().unwrap_or(0));
        let mut dims = new.part.dims.clone();
        dims[2] += count;
        let all = self.work(Elem::F32, dims)?;
        if let Some(past) = past {
            let place = all.cut(2, 0, 1, count)?;
            if place.dims != past.dims {
                return Err(refuse("shape", format!("a past of {:?}", past.dims)));
            }
            self.compute_into(&Lazy::of(past), &place)?;
        }
        let first = i64::try_from(count).unwrap_or(i64::MAX);
        let place = all.cut(2, first, 1, new.part.dims[2])?;
        self.compute_into(&Lazy::of(new.part), &place)?;
        self.set_part(node, output, all.clone())?;
        Ok((Of4 { part: all, flat: new.flat }, count))
    }

    /// What is added to the scores, or says which of them count.
    fn mask(&mut self, node: &Node, scores: &[usize]) -> Result<Option<Part>, Refusal> {
        if node.input(3).is_none() {
            return Ok(None);
        }
        let mask = self.part(node, 3)?;
        if mask.view.elem == Elem::I32 {
            return Err(refuse("dtype", "masks of integers are not read"));
        }
        if mask.dims.last() != scores.last() {
            return Err(refuse("shape", "the mask does not reach all keys"));
        }
        mask.broadcast(scores).map(Some)
    }
}
