//! Attention of ONNX's own domain, in f32, f16 or bf16: heads in their own axis or side by side, a past that keys
//! and values are appended to, masks, causality and windows.

pub(super) mod cache;
pub(super) mod mask;

use remuda_ir::{OpError, Val};
use remuda_kernels::attention::{Heads, Inputs, Mask, Options, Order, Sizes, Window, attention};
use remuda_simd::Element as Fast;
use remuda_tensor::{DType, Element, Tensor, bf16, f16};

use super::elementwise::{is_fast, with_fast};
use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Attention {
    heads: Option<usize>,
    kv_heads: Option<usize>,
    causal: bool,
    left: Option<usize>,
    right: Option<usize>,
    scale: Option<f32>,
    softcap: Option<f32>,
    /// Whether keys and values, the past included, are results too.
    presents: [bool; 2],
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let dtype = preparation.dtype(0).filter(|&dtype| is_fast(dtype))?;
    let typed = [1, 2, 4, 5]
        .iter()
        .all(|&at| node.input(at).is_none() || preparation.dtype(at) == Some(dtype));
    let masked = match node.input(3) {
        None => true,
        Some(_) => preparation.dtype(3).is_some_and(|of| of == DType::Bool || is_fast(of)),
    };
    // The products themselves are never in memory.
    let fused = node.output(3).is_none();
    let count = |name: &str| match node.attrs.int_or(name, 0).ok()? {
        0 => Some(None),
        heads => usize::try_from(heads).ok().map(Some),
    };
    let window = |name: &str| match node.attrs.int_or(name, -1).ok()? {
        -1 => Some(None),
        size => usize::try_from(size).ok().map(Some),
    };
    let positive = |name: &str| Some(node.attrs.float(name).ok()?.filter(|&value| value != 0.0));
    let kernel = Attention {
        heads: count("q_num_heads")?,
        kv_heads: count("kv_num_heads")?,
        causal: node.attrs.bool_or("is_causal", false).ok()?,
        left: window("left_window_size")?,
        right: window("right_window_size")?,
        scale: positive("scale")?,
        softcap: positive("softcap")?.filter(|&cap| cap > 0.0),
        presents: [1, 2].map(|at| node.output(at).is_some()),
    };
    (typed && masked && fused).then(|| Box::new(kernel) as Box<dyn Kernel>)
}

/// An input and where its heads lie: batch, heads, positions, size.
pub(super) struct Headed {
    pub(super) tensor: Tensor,
    pub(super) dims: [usize; 4],
    /// Whether the heads of a position lie side by side.
    pub(super) merged: bool,
}

impl Headed {
    pub(super) fn new(tensor: &Tensor, heads: Option<usize>) -> Result<Self, OpError> {
        let tensor = tensor.contiguous();
        let (dims, merged) = match (tensor.dims(), heads) {
            (&[batch, heads, positions, size], _) => ([batch, heads, positions, size], false),
            (&[batch, positions, features], Some(heads)) if features.is_multiple_of(heads) => {
                ([batch, heads, positions, features / heads], true)
            }
            (dims, heads) => {
                let text = format!("dimensions {dims:?} do not hold {heads:?} heads");
                return Err(OpError::Invalid(text));
            }
        };
        Ok(Self { tensor, dims, merged })
    }

    fn view<T: Element>(&self) -> Result<Heads<'_, T>, OpError> {
        let [_, heads, positions, size] = self.dims;
        let (head, position) =
            if self.merged { (size, heads * size) } else { (positions * size, size) };
        let batch = heads * positions * size;
        Ok(Heads { data: self.tensor.as_slice()?, batch, head, position })
    }
}

impl Kernel for Attention {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let query = Headed::new(tensor(inputs, 0)?, self.heads)?;
        let mut key = Headed::new(tensor(inputs, 1)?, self.kv_heads)?;
        let mut value = Headed::new(tensor(inputs, 2)?, self.kv_heads)?;
        let new_keys = key.dims[2];
        match (optional(inputs, 4)?, optional(inputs, 5)?) {
            (Some(past_key), Some(past_value)) => {
                key = cache::append(run, past_key, &key)?;
                value = cache::append(run, past_value, &value)?;
            }
            (None, None) => {}
            _ => {
                let text = "`past_key` and `past_value` come together".to_owned();
                return Err(OpError::Invalid(text));
            }
        }
        let sizes = sizes(&query, &key, &value)?;
        let past = sizes.keys - new_keys;
        let counts = optional(inputs, 6)?.map(Tensor::to_i64_vec).transpose()?;
        let reach = Reach::new(counts, past, &sizes)?;
        let mask = optional(inputs, 3)?
            .filter(|_| sizes.keys > 0)
            .map(|mask| mask::Prepared::new(mask, &sizes))
            .transpose()?;
        let window = self.window(&reach);
        let options = Options {
            scale: self.scale.unwrap_or_else(|| 1.0 / (sizes.size as f32).sqrt()),
            softcap: self.softcap,
            window,
            mask: mask.as_ref().map_or(Ok(Mask::None), mask::Prepared::view)?,
            key_counts: reach.counts.as_deref(),
        };
        let out = attend(run, sizes, [&query, &key, &value], options)?;
        let mut results = vec![out.into()];
        if self.presents != [false; 2] {
            results.push(cache::separate(run, key)?.into());
            results.push(cache::separate(run, value)?.into());
        }
        Ok(results)
    }
}

/// Attention of inputs that fit each other; the result has its heads where the queries have them.
pub(super) fn attend(
    run: &mut Run<'_>,
    sizes: Sizes,
    [query, key, value]: [&Headed; 3],
    options: Options<'_>,
) -> Result<Tensor, OpError> {
    let Sizes { batches, heads, queries, value_size, .. } = sizes;
    let (order, dims) = if query.merged {
        (Order::PositionsFirst, vec![batches, queries, heads * value_size])
    } else {
        (Order::HeadsFirst, vec![batches, heads, queries, value_size])
    };
    let mut out = run.arena.tensor(query.tensor.dtype(), &dims)?;
    if out.len() > 0 {
        with_fast!(query.tensor.dtype(), T => {
            let inputs = (query.view::<T>()?, key.view::<T>()?, value.view::<T>()?);
            attend_typed::<T>(run, sizes, inputs, options, (&mut out, order))
        })?;
    }
    Ok(out)
}

fn attend_typed<T: Element + Fast>(
    run: &Run<'_>,
    sizes: Sizes,
    (query, key, value): (Heads<'_, T>, Heads<'_, T>, Heads<'_, T>),
    options: Options<'_>,
    (out, order): (&mut Tensor, Order),
) -> Result<(), OpError> {
    let inputs = Inputs { query, key, value };
    attention(run.context(), sizes, inputs, options, (writable(out)?, order));
    Ok(())
}

pub(super) fn sizes(query: &Headed, key: &Headed, value: &Headed) -> Result<Sizes, OpError> {
    let [batches, heads, queries, size] = query.dims;
    let [key_batches, kv_heads, keys, key_size] = key.dims;
    let [value_batches, value_heads, values, value_size] = value.dims;
    let fits = [key_batches, value_batches] == [batches; 2]
        && (value_heads, values, key_size) == (kv_heads, keys, size)
        && kv_heads > 0
        && size > 0
        && heads.is_multiple_of(kv_heads);
    if !fits {
        return Err(OpError::Invalid(format!(
            "query {:?}, key {:?} and value {:?} do not fit each other",
            query.dims, key.dims, value.dims
        )));
    }
    Ok(Sizes { batches, heads, kv_heads, queries, keys, size, value_size })
}

/// Where the queries stand among the keys, and how many keys each batch entry has.
struct Reach {
    offsets: Vec<isize>,
    counts: Option<Vec<usize>>,
}

impl Reach {
    fn new(counts: Option<Vec<i64>>, past: usize, sizes: &Sizes) -> Result<Self, OpError> {
        let Some(counts) = counts else {
            return Ok(Self { offsets: vec![past.cast_signed()], counts: None });
        };
        if past > 0 || counts.len() != sizes.batches {
            return Err(OpError::Invalid(format!(
                "`nonpad_kv_seqlen` expected {} elements and no past key, got {}",
                sizes.batches,
                counts.len()
            )));
        }
        // Beyond these bounds no key is or every key is.
        let most = isize::try_from(sizes.keys.saturating_add(sizes.queries)).unwrap_or(isize::MAX);
        let bounded = |count: i64| isize::try_from(count).unwrap_or(most).clamp(-most, most);
        let offset = |&count: &i64| bounded(count).saturating_sub_unsigned(sizes.queries);
        let count = |&count: &i64| bounded(count).max(0).unsigned_abs();
        Ok(Self {
            offsets: counts.iter().map(offset).collect(),
            counts: Some(counts.iter().map(count).collect()),
        })
    }
}

impl Attention {
    fn window<'a>(&self, reach: &'a Reach) -> Option<Window<'a>> {
        let right = if self.causal { Some(0) } else { self.right };
        let bounded = right.is_some() || self.left.is_some();
        bounded.then_some(Window { offsets: &reach.offsets, left: self.left, right })
    }
}
