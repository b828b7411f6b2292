//! Rotations of pairs of features by tables of cosines and sines.

use remuda_sdk::ir::Node;

use super::{Lowering, Part, Refusal, Rows, attribute, refuse};
use crate::shaders::{Elem, Rotary, contiguous_strides};

/// What is turned: batch, heads, tokens, features, and the strides of the first three of the data and of
/// the result.
struct Heads {
    sizes: [usize; 4],
    from: [isize; 3],
    to: [isize; 3],
}

impl Heads {
    fn of(node: &Node, x: &Part) -> Result<Self, Refusal> {
        let to = contiguous_strides(&x.dims);
        match (&x.dims[..], &x.view.strides[..], &to[..]) {
            (&[b, s, all], &[sb, ss, _], &[tb, ts, _]) => {
                let heads = node.attrs.int_or("num_heads", 0).map_err(attribute)?;
                let heads = usize::try_from(heads).ok().filter(|&h| h > 0 && all % h == 0);
                let wrong = || refuse("attribute", format!("{all} features of unknown heads"));
                let heads = heads.ok_or_else(wrong)?;
                let size = isize::try_from(all / heads).map_err(|_| wrong())?;
                Ok(Self {
                    sizes: [b, heads, s, all / heads],
                    from: [sb, size, ss],
                    to: [tb, size, ts],
                })
            }
            (&[b, h, s, d], &[sb, sh, ss, _], &[tb, th, ts, _]) => {
                Ok(Self { sizes: [b, h, s, d], from: [sb, sh, ss], to: [tb, th, ts] })
            }
            (other, ..) => Err(refuse("rank", format!("a rotation of {} dimensions", other.len()))),
        }
    }
}

pub(super) fn rotary(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float_part(node, 0)?;
    let x = lowering.with_neighbours(x)?;
    let Heads { sizes, from, to } = Heads::of(node, &x)?;
    let [batch, _, tokens, features] = sizes;
    let turned = match node.attrs.int_or("rotary_embedding_dim", 0).map_err(attribute)? {
        0 => features,
        size => usize::try_from(size).unwrap_or(0),
    };
    if turned < 2 || turned % 2 != 0 || turned > features {
        return Err(refuse("attribute", format!("{turned} of {features} features are turned")));
    }
    let (cos, sin) = (lowering.floats(node, 1)?, lowering.floats(node, 2)?);
    let chosen = node.input(3).is_some();
    let rows = if chosen { cos.dims[0] } else { batch * tokens };
    if cos.dims != sin.dims || cos.count() != rows * (turned / 2) {
        let text = format!("angles of {:?} and {:?} for {sizes:?}", cos.dims, sin.dims);
        return Err(refuse("shape", text));
    }
    let mut reads = vec![x.bound(), cos.bound(), sin.bound()];
    if chosen {
        let positions = lowering.indices(node, 3, Rows { count: rows, wraps: false })?;
        if positions.count() != batch * tokens {
            return Err(refuse("shape", "there is no position for each token"));
        }
        reads.push(positions.bound());
    }
    let y = lowering.work(Elem::F32, x.dims.clone())?;
    let rotary = Rotary {
        sizes,
        turned,
        neighbours: node.attrs.bool_or("interleaved", false).map_err(attribute)?,
        elem: x.view.elem,
        offset: x.view.offset,
        strides: from,
        to,
        tables: cos.view.elem,
        rows: chosen.then_some(rows),
    };
    lowering.launch(rotary.dispatch(), &reads, &[y.bound()])?;
    lowering.set_part(node, 0, y)
}

impl Lowering<'_> {
    /// The part with the elements of its last axis side by side.
    pub(super) fn with_neighbours(&mut self, part: Part) -> Result<Part, Refusal> {
        match (part.dims.last(), part.view.strides.last()) {
            (_, Some(1)) | (Some(1), _) => Ok(part),
            _ => self.dense(part),
        }
    }
}
