//! `GroupQueryAttention` of com.microsoft: each sequence says how many tokens it has; its new keys and
//! values go behind those in the cache, perhaps turned by their positions first.

use remuda_ir::{OpError, Val};
use remuda_kernels::attention::{Mask, Options, Window};
use remuda_kernels::layout::split;
use remuda_kernels::rotary::Pairing;
use remuda_tensor::Tensor;

use super::attention::{Headed, attend, mask, sizes};
use super::elementwise::is_fast;
use super::layout::{bits, bits_mut, by_width};
use super::rotary::{Turn, cached_rows};
use crate::kernel::{Kernel, Preparation, Run, optional, tensor};

struct GroupQuery {
    heads: usize,
    kv_heads: usize,
    /// How keys and queries are turned, if they are.
    rotary: Option<Pairing>,
    /// How many keys a query sees, its own included, if not all.
    window: Option<usize>,
    scale: Option<f32>,
    softcap: Option<f32>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let (node, attrs) = (preparation.node, &preparation.node.attrs);
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    let typed = [1, 2, 3, 4, 7, 8, 10]
        .iter()
        .all(|&at| node.input(at).is_none() || preparation.dtype(at) == Some(dtype));
    let count = |name: &str| {
        let count = usize::try_from(attrs.required_int(name).ok()?).ok()?;
        (count > 0).then_some(count)
    };
    let pairs = |of_neighbours| if of_neighbours { Pairing::Neighbours } else { Pairing::Halves };
    let rotary = attrs.bool_or("do_rotary", false).ok()?;
    let kernel = GroupQuery {
        heads: count("num_heads")?,
        kv_heads: count("kv_num_heads")?,
        rotary: rotary.then_some(pairs(attrs.bool_or("rotary_interleaved", false).ok()?)),
        window: usize::try_from(attrs.int_or("local_window_size", -1).ok()?).ok(),
        scale: attrs.float("scale").ok()?.filter(|&scale| scale != 0.0),
        softcap: attrs.float("softcap").ok()?.filter(|&cap| cap > 0.0),
    };
    // Scores that take part in the sums without a value are for the reference.
    let plain = attrs.int_or("smooth_softmax", 0).ok()? <= 0
        && !attrs.bool_or("qk_output", false).ok()?
        && node.input(11).is_none()
        && node.input(1).is_some() == node.input(2).is_some()
        && kernel.window != Some(0);
    let angles = !rotary || (node.input(7).is_some() && node.input(8).is_some());
    let fits = kernel.heads.is_multiple_of(kernel.kv_heads);
    (typed && plain && angles && fits).then(|| Box::new(kernel) as Box<dyn Kernel>)
}

impl Kernel for GroupQuery {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let [mut query, mut key, value] = self.projections(run, inputs)?;
        let &[batch, length, _] = query.dims() else {
            let text = format!("`query` expected 3 dimensions, got {:?}", query.dims());
            return Err(OpError::Invalid(text));
        };
        let reach = Reach::new(inputs, [batch, length])?;
        if let Some(pairing) = self.rotary {
            let (cosines, sines) = (tensor(inputs, 7)?, tensor(inputs, 8)?);
            let rows = reach.rows(optional(inputs, 9)?, [batch, length], cosines)?;
            let turn = Turn { pairing, cosines, sines, rows: &rows };
            query = turn.run(run, &query, self.heads)?;
            key = turn.run(run, &key, self.kv_heads)?;
        }
        let query = Headed::new(&query, Some(self.heads))?;
        let key =
            reach.extend(run, optional(inputs, 3)?, &Headed::new(&key, Some(self.kv_heads))?)?;
        let value =
            reach.extend(run, optional(inputs, 4)?, &Headed::new(&value, Some(self.kv_heads))?)?;
        let sizes = sizes(&query, &key, &value)?;
        let added = optional(inputs, 10)?.map(|added| lengthened(added, sizes.keys)).transpose()?;
        let mask = added
            .filter(|_| sizes.keys > 0)
            .map(|added| mask::Prepared::new(&added, &sizes))
            .transpose()?;
        let options = Options {
            scale: self.scale.unwrap_or_else(|| 1.0 / (sizes.size as f32).sqrt()),
            softcap: self.softcap,
            window: Some(Window {
                offsets: &reach.past.iter().map(|past| past.cast_signed()).collect::<Vec<_>>(),
                left: self.window.map(|keys| keys - 1),
                right: Some(0),
            }),
            mask: mask.as_ref().map_or(Ok(Mask::None), mask::Prepared::view)?,
            key_counts: None,
        };
        let out = attend(run, sizes, [&query, &key, &value], options)?;
        Ok(vec![out.into(), key.tensor.into(), value.tensor.into()])
    }
}

impl GroupQuery {
    /// Queries, keys and values with their heads side by side, from three inputs or from one.
    fn projections(
        &self,
        run: &mut Run<'_>,
        inputs: &[Option<Val>],
    ) -> Result<[Tensor; 3], OpError> {
        let query = tensor(inputs, 0)?.contiguous();
        if let (Some(key), Some(value)) = (optional(inputs, 1)?, optional(inputs, 2)?) {
            return Ok([query, key.contiguous(), value.contiguous()]);
        }
        let all = self.heads + 2 * self.kv_heads;
        let &[batch, length, width] = query.dims() else {
            let text = format!("`query` expected 3 dimensions, got {:?}", query.dims());
            return Err(OpError::Invalid(text));
        };
        if !width.is_multiple_of(all) {
            let text = format!("{width} features of `query` do not divide into {all} heads");
            return Err(OpError::Invalid(text));
        }
        let widths = [self.heads, self.kv_heads, self.kv_heads].map(|heads| heads * (width / all));
        let mut part = |width: usize| run.arena.tensor(query.dtype(), &[batch, length, width]);
        let mut parts = [part(widths[0])?, part(widths[1])?, part(widths[2])?];
        if query.len() > 0 {
            by_width!(query.dtype(), T => {
                let places = parts.iter_mut().zip(widths);
                let places = places.map(|(part, width)| Ok((bits_mut::<T>(part)?, width)));
                let mut places = places.collect::<Result<Vec<_>, OpError>>()?;
                split(run.context(), bits(&query)?, &mut places);
                Ok(())
            })?;
        }
        Ok(parts)
    }
}

/// The summands of the scores with zeros for keys that they do not name.
fn lengthened(added: &Tensor, keys: usize) -> Result<Tensor, OpError> {
    let Some((&given, outer)) = added.dims().split_last() else {
        return Err(OpError::invalid("`attention_bias` expected 4 dimensions, got 0"));
    };
    if given > keys {
        let text = format!("`attention_bias` {:?} names more than {keys} keys", added.dims());
        return Err(OpError::Invalid(text));
    }
    if given == keys {
        return Ok(added.contiguous());
    }
    let values = added.to_f32_vec()?;
    let rows = values
        .chunks(given.max(1))
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, keys - given)));
    Ok(Tensor::from_vec([outer, &[keys]].concat(), rows.collect())?)
}

/// How many tokens of each sequence stand in the cache, and how many keys it then holds.
struct Reach {
    past: Vec<usize>,
    present: usize,
}

impl Reach {
    fn new(inputs: &[Option<Val>], [batch, length]: [usize; 2]) -> Result<Self, OpError> {
        let given = tensor(inputs, 5)?.to_i64_vec()?;
        let longest = match tensor(inputs, 6)?.to_i64_vec()?[..] {
            [longest] => usize::try_from(longest).unwrap_or(0),
            _ => return Err(OpError::invalid("`total_sequence_length` expected 1 element")),
        };
        let buffer = optional(inputs, 3)?.and_then(|past| past.dims().get(2).copied()).unwrap_or(0);
        let totals = given.iter().map(|&last| usize::try_from(last.checked_add(1)?).ok());
        let totals = totals
            .collect::<Option<Vec<usize>>>()
            .filter(|totals| totals.len() == batch && totals.iter().all(|&total| total <= longest));
        let totals = totals.ok_or_else(|| {
            let text = format!("{batch} sequences of up to {longest}");
            OpError::Invalid(format!("`seqlens_k` {given:?} do not fit {text}"))
        })?;
        let prompt = longest == length;
        let before = |total: usize| if prompt { 0 } else { total.saturating_sub(length) };
        let past: Vec<usize> = totals.into_iter().map(before).collect();
        let present = longest.max(buffer);
        if past.iter().any(|&past| past > buffer || past + length > present) {
            let text = format!("{past:?} past tokens do not fit a cache of {buffer}");
            return Err(OpError::Invalid(text));
        }
        Ok(Self { past, present })
    }

    /// The row of angles for every new token.
    fn rows(
        &self,
        ids: Option<&Tensor>,
        [batch, length]: [usize; 2],
        cosines: &Tensor,
    ) -> Result<Vec<usize>, OpError> {
        let ids = match ids {
            Some(ids) => ids.to_i64_vec()?,
            None => self
                .past
                .iter()
                .flat_map(|&past| past..past + length)
                .map(|place| i64::try_from(place).unwrap_or(i64::MAX))
                .collect(),
        };
        if ids.len() != batch * length {
            let text =
                format!("`position_ids` expected {} elements, got {}", batch * length, ids.len());
            return Err(OpError::Invalid(text));
        }
        cached_rows(&ids, cosines)
    }

    /// The old tokens of each sequence and the new ones behind them, then zeros.
    fn extend(
        &self,
        run: &mut Run<'_>,
        old: Option<&Tensor>,
        new: &Headed,
    ) -> Result<Headed, OpError> {
        let [batch, heads, length, size] = new.dims;
        let old = old.map(Tensor::contiguous);
        let buffer = match old.as_ref().map(Tensor::dims) {
            None => 0,
            Some(&[b, h, buffer, s]) if [b, h, s] == [batch, heads, size] => buffer,
            Some(other) => {
                let text = format!("a past of {other:?} does not fit {:?}", new.dims);
                return Err(OpError::Invalid(text));
            }
        };
        let dims = [batch, heads, self.present, size];
        let mut out = run.arena.tensor(new.tensor.dtype(), &dims)?;
        if self.present * size == 0 {
            return Ok(Headed { tensor: out, dims, merged: false });
        }
        by_width!(new.tensor.dtype(), T => {
            let old: &[T] = old.as_ref().map_or(Ok(&[][..]), bits)?;
            let new = bits::<T>(&new.tensor)?;
            for (block, out) in bits_mut::<T>(&mut out)?.chunks_mut(self.present * size).enumerate() {
                let (sequence, head) = (block / heads, block % heads);
                let (kept, rest) = out.split_at_mut(self.past[sequence] * size);
                kept.copy_from_slice(&old[block * buffer * size..][..kept.len()]);
                let (fresh, rest) = rest.split_at_mut(length * size);
                for (at, place) in fresh.chunks_mut(size).enumerate() {
                    let row = (sequence * length + at) * heads + head;
                    place.copy_from_slice(&new[row * size..][..size]);
                }
                rest.fill(0);
            }
            Ok(())
        })?;
        Ok(Headed { tensor: out, dims, merged: false })
    }
}

#[cfg(test)]
mod tests {
    use super::lengthened;
    use remuda_tensor::Tensor;

    #[test]
    fn summands_are_zero_for_keys_that_they_do_not_name() {
        let added = Tensor::from_vec([1, 1, 2, 1], vec![3.0f32, 4.0]).unwrap();
        let longer = lengthened(&added, 2).unwrap();
        assert_eq!(longer.dims(), [1, 1, 2, 2]);
        assert_eq!(longer.to_vec::<f32>().unwrap(), [3.0, 0.0, 4.0, 0.0]);
        assert!(lengthened(&longer, 1).is_err());
    }
}
