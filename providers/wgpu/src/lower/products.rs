//! Products of matrices.

use remuda_sdk::ir::{Node, ValueId};
use remuda_sdk::tensor::DType;

use super::activations::activated;
use super::{Bound, Form, Lowering, Origin, Part, Refusal, attribute, number, refuse};
use crate::shaders::{Binary, Blocks, Elem, Expr, Extra, Factor, Left, Product, Rows};

/// The right matrix of a product: one row of `sums` elements per column.
enum Right {
    /// Any tensor, `[batch.., sums, columns]`.
    Part(Part),
    Weight(Weight),
}

/// A constant of `[columns, sums]`, which may be larger than what one kernel sees.
struct Weight {
    id: ValueId,
    stored: Stored,
    columns: usize,
    sums: usize,
}

/// How a weight is stored.
#[derive(Clone, Copy)]
enum Stored {
    Plain(Elem),
    Blocks(Blocks),
}

impl Stored {
    fn row_bytes(self, sums: usize) -> usize {
        match self {
            Self::Plain(Elem::F16 | Elem::BF16) => sums * 2,
            Self::Plain(_) => sums * 4,
            Self::Blocks(blocks) => sums / blocks.elements() * blocks.bytes(),
        }
    }
}

/// What is done with sums before they are stored.
struct Epilogue {
    extras: Vec<Part>,
    expr: Expr,
}

impl Epilogue {
    fn none() -> Self {
        Self { extras: Vec::new(), expr: Expr::Input(0) }
    }

    fn add(&mut self, part: Part, factor: f32) {
        self.extras.push(part);
        let added = Expr::Input(self.extras.len());
        let added = if factor == 1.0 { added } else { added.times(number(factor)) };
        self.expr = self.expr.clone().binary(Binary::Add, added);
    }
}

/// Rows times the transposed weights, which may be in a block format, plus a bias.
pub(super) fn linear(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let x = lowering.float_part(node, 0)?;
    let mut epilogue = Epilogue::none();
    if node.input(2).is_some() {
        epilogue.add(lowering.float_part(node, 2)?, 1.0);
    }
    let right = match lowering.weight(node, 1)? {
        Some(weight) => weight,
        None => {
            let weight = lowering.float_part(node, 1)?;
            Right::Part(weight.permuted(&[1, 0])?)
        }
    };
    lowering.product(node, x, right, epilogue)
}

pub(super) fn mat_mul(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let (a, b) = (lowering.float_part(node, 0)?, lowering.float_part(node, 1)?);
    lowering.product(node, a, Right::Part(b), Epilogue::none())
}

/// A product, then bias, residual and activation.
pub(super) fn fused_linear(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let (a, b) = (lowering.float_part(node, 0)?, lowering.float_part(node, 1)?);
    let mut epilogue = Epilogue::none();
    for at in [2, 3] {
        if node.input(at).is_some() {
            epilogue.add(lowering.float_part(node, at)?, 1.0);
        }
    }
    epilogue.expr = activated(node, epilogue.expr)?;
    lowering.product(node, a, Right::Part(b), epilogue)
}

pub(super) fn gemm(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let flag = |name: &str| node.attrs.bool_or(name, false).map_err(attribute);
    let float = |name: &str| node.attrs.float_or(name, 1.0).map_err(attribute);
    let mut a = lowering.float_part(node, 0)?;
    if flag("transA")? {
        a = a.permuted(&[1, 0])?;
    }
    let turned = flag("transB")?;
    let weight = if turned { lowering.weight(node, 1)? } else { None };
    let b = match weight {
        Some(weight) => weight,
        None => {
            let b = lowering.float_part(node, 1)?;
            Right::Part(if turned { b.permuted(&[1, 0])? } else { b })
        }
    };
    let (alpha, beta) = (float("alpha")?, float("beta")?);
    let mut epilogue = Epilogue::none();
    if alpha != 1.0 {
        epilogue.expr = epilogue.expr.times(number(alpha));
    }
    if node.input(2).is_some() && beta != 0.0 {
        epilogue.add(lowering.float_part(node, 2)?, beta);
    }
    lowering.product(node, a, b, epilogue)
}

/// The stride over all axes but the last `behind`, where one stride reaches all their elements in order.
fn joined_stride(part: &Part, behind: usize) -> Option<isize> {
    let axes = part.dims.len().checked_sub(behind)?;
    let mut joined: Option<(isize, usize)> = None;
    for (&dim, &stride) in part.dims[..axes].iter().zip(&part.view.strides).rev() {
        if dim == 1 {
            continue;
        }
        joined = match joined {
            None => Some((stride, dim)),
            Some((inner, count)) => {
                let next = inner.checked_mul(isize::try_from(count).ok()?)?;
                if stride != next {
                    return None;
                }
                Some((inner, count * dim))
            }
        };
    }
    Some(joined.map_or(0, |(stride, _)| stride))
}

impl Part {
    /// All axes but the last in one, where one stride reaches them.
    fn as_matrix(&self) -> Option<Self> {
        let (&last, front) = self.dims.split_last()?;
        let stride = joined_stride(self, 1)?;
        let mut part = self.clone();
        part.dims = vec![front.iter().product(), last];
        part.view.strides = vec![stride, *self.view.strides.last()?];
        Some(part)
    }

    /// An axis of one element in front of this one.
    fn unsqueezed(mut self, axis: usize) -> Self {
        self.dims.insert(axis, 1);
        self.view.strides.insert(axis, 0);
        self
    }

    fn is_shared(&self) -> bool {
        let front = self.dims.len().saturating_sub(2);
        let mut axes = self.dims[..front].iter().zip(&self.view.strides);
        axes.all(|(&dim, &stride)| dim == 1 || stride == 0)
    }
}

impl Lowering<'_> {
    /// An input of floats, however it lies.
    pub(super) fn float_part(&mut self, node: &Node, at: usize) -> Result<Part, Refusal> {
        let part = self.part(node, at)?;
        if matches!(part.view.elem, Elem::F32 | Elem::F16 | Elem::BF16) {
            return Ok(part);
        }
        Err(refuse("dtype", format!("input {at} of `{}` is no float", node.op)))
    }

    /// A constant matrix with one row per column of the product.
    fn weight(&mut self, node: &Node, at: usize) -> Result<Option<Right>, Refusal> {
        let id = self.required(node, at)?;
        let Some(tensor) = self.constant(id) else { return Ok(None) };
        let &[columns, sums] = tensor.dims() else {
            return Err(refuse("rank", "weights have 2 dimensions"));
        };
        let dtype = tensor.dtype();
        let stored = match dtype {
            DType::F32 => Stored::Plain(Elem::F32),
            DType::F16 => Stored::Plain(Elem::F16),
            DType::BF16 => Stored::Plain(Elem::BF16),
            DType::Block(id) => {
                let blocks = Blocks::of(id.format());
                Stored::Blocks(blocks.ok_or_else(|| no_kernel(dtype))?)
            }
            _ => return Err(no_kernel(dtype)),
        };
        Ok(Some(Right::Weight(Weight { id, stored, columns, sums })))
    }

    /// Names the first output: rows times columns.
    fn product(
        &mut self,
        node: &Node,
        a: Part,
        right: Right,
        epilogue: Epilogue,
    ) -> Result<(), Refusal> {
        let out = self.dims_out(node, 0)?;
        let (a, right, full) = with_both_axes(a, right, &out);
        let y = self.work(Elem::F32, full.clone())?;
        let mut extras = Vec::with_capacity(epilogue.extras.len());
        for extra in &epilogue.extras {
            extras.push(extra.broadcast(&full)?);
        }
        let job = Job { a, y: y.clone(), extras, epilogue: epilogue.expr };
        match right {
            Right::Part(b) => self.part_product(job, b)?,
            Right::Weight(weight) => self.weight_product(job, &weight)?,
        }
        self.set_part(node, 0, y)
    }

    fn part_product(&mut self, mut job: Job, b: Part) -> Result<(), Refusal> {
        let (batch, matrix) = job.y.dims.split_at(job.y.dims.len() - 2);
        let (&[rows, columns], Some(&sums)) = (matrix, job.a.dims.last()) else {
            return Err(refuse("rank", "a product of no matrices"));
        };
        let with = |sizes: [usize; 2]| [batch, &sizes[..]].concat();
        let (a_dims, b_dims) = (with([rows, sums]), with([sums, columns]));
        job.a = job.a.broadcast(&a_dims)?;
        let b = b.broadcast(&b_dims)?;
        let flat = if b.is_shared() { job.flattened() } else { None };
        let job = flat.unwrap_or(job);
        let (b_batch, b_own) = b.view.strides.split_at(b.view.strides.len() - 2);
        let strides = [b_own[0], b_own[1]];
        let rows = Rows::Plain { elem: b.view.elem, offset: b.view.offset, strides };
        let batch = if job.y.dims.len() == 2 { Vec::new() } else { b_batch.to_vec() };
        let product = job.described(Factor { rows, batch }, (0, columns));
        self.launch(product.dispatch()?, &job.reads(b.bound()), &[job.y.bound()])
    }

    /// Rows times a weight, in as many launches as it takes to see all of it.
    fn weight_product(&mut self, job: Job, weight: &Weight) -> Result<(), Refusal> {
        let job = match job.flattened() {
            Some(flat) => flat,
            None => {
                let mut dense = Job { a: self.dense(job.a)?, extras: Vec::new(), ..job };
                for extra in job.extras {
                    dense.extras.push(self.dense(extra)?);
                }
                let ordered = || refuse("shape", "rows of a product do not follow each other");
                dense.flattened().ok_or_else(ordered)?
            }
        };
        let row_bytes = weight.stored.row_bytes(weight.sums);
        let space = self.plan.space(Origin::Constant(weight.id, Form::Plain), 0);
        let most = self.columns_at_once(weight, row_bytes)?;
        for first in (0..weight.columns).step_by(most.max(1)) {
            let count = most.min(weight.columns - first);
            let factor = Factor { rows: weight.rows(), batch: Vec::new() };
            let product = job.described(factor, (first, count));
            let seen = Bound {
                space,
                offset: (first * row_bytes) as u64,
                bytes: Some(((count * row_bytes) as u64).next_multiple_of(4)),
            };
            self.launch(product.dispatch()?, &job.reads(seen), &[job.y.bound()])?;
        }
        Ok(())
    }

    /// How many rows of a weight one kernel sees, where the next ones begin at a place that may be bound.
    fn columns_at_once(&self, weight: &Weight, row_bytes: usize) -> Result<usize, Refusal> {
        let all = weight.columns.saturating_mul(row_bytes);
        let seen = usize::try_from(self.limits.binding_bytes).unwrap_or(usize::MAX);
        if all <= seen {
            return Ok(weight.columns);
        }
        let alignment = usize::try_from(self.limits.alignment).unwrap_or(256);
        let step = alignment / greatest_divisor(row_bytes, alignment);
        let most = seen / row_bytes.max(1) / step * step;
        let too_large = all as u64 > self.limits.buffer_bytes;
        if most == 0 || too_large {
            let text = format!("a weight of {all} bytes, a kernel sees {seen} at most");
            return Err(refuse("memory", text));
        }
        Ok(most)
    }
}

fn no_kernel(dtype: DType) -> Refusal {
    refuse("dtype", format!("no kernel multiplies with weights of `{dtype}`"))
}

fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { greatest_divisor(b, a % b) }
}

/// Vectors as matrices, and the dimensions of the product with both axes.
fn with_both_axes(a: Part, right: Right, out: &[usize]) -> (Part, Right, Vec<usize>) {
    let mut full = out.to_vec();
    let (a_rank, right) = match right {
        Right::Part(b) if b.dims.len() == 1 => {
            full.push(1);
            (a.dims.len(), Right::Part(b.unsqueezed(1)))
        }
        other => (a.dims.len(), other),
    };
    if a_rank > 1 {
        return (a, right, full);
    }
    let axis = full.len().saturating_sub(1);
    full.insert(axis, 1);
    (a.unsqueezed(0), right, full)
}

/// A product but for its right matrix, with the axes of the batch in front.
struct Job {
    a: Part,
    y: Part,
    extras: Vec<Part>,
    epilogue: Expr,
}

impl Job {
    /// The same with all rows along one axis, where everything lies so.
    fn flattened(&self) -> Option<Self> {
        let extras = self.extras.iter().map(Part::as_matrix).collect::<Option<Vec<_>>>()?;
        let (a, y) = (self.a.as_matrix()?, self.y.as_matrix()?);
        Some(Self { a, y, extras, epilogue: self.epilogue.clone() })
    }

    /// What its kernel reads.
    fn reads(&self, right: Bound) -> Vec<Bound> {
        let extras = self.extras.iter().map(Part::bound);
        [self.a.bound(), right].into_iter().chain(extras).collect()
    }

    /// Some columns of it.
    fn described(&self, right: Factor, (first, count): (usize, usize)) -> Product {
        let axes = self.y.dims.len() - 2;
        let split = |part: &Part| {
            let (batch, own) = part.view.strides.split_at(axes);
            (batch.to_vec(), [own[0], own[1]])
        };
        let (a_batch, a_own) = split(&self.a);
        let (y_batch, y_own) = split(&self.y);
        let extra = |part: &Part| {
            let (batch, strides) = split(part);
            let moved = strides[1] * isize::try_from(first).unwrap_or(0);
            let offset = part.view.offset.saturating_add_signed(moved);
            Extra { elem: part.view.elem, offset, strides, batch }
        };
        let a = &self.a.view;
        Product {
            sizes: [self.y.dims[axes], count, self.a.dims[axes + 1]],
            batch: self.y.dims[..axes].to_vec(),
            left: Left {
                elem: a.elem,
                offset: a.offset,
                strides: a_own,
                run: None,
                batch: a_batch,
            },
            right,
            extras: self.extras.iter().map(extra).collect(),
            epilogue: self.epilogue.clone(),
            out: (self.y.view.offset + first, y_own[0], y_batch),
        }
    }
}

impl Weight {
    fn rows(&self) -> Rows {
        match self.stored {
            Stored::Plain(elem) => {
                let along = isize::try_from(self.sums).unwrap_or(isize::MAX);
                Rows::Plain { elem, offset: 0, strides: [1, along] }
            }
            Stored::Blocks(blocks) => Rows::Blocks { blocks, offset_bytes: 0 },
        }
    }
}
