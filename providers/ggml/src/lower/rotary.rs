//! Rotations of pairs of features.
//!
//! ONNX gives tables of cosines and sines, ggml computes both from positions. Where a table holds what
//! ggml would compute, its own operator is used, else the rotation is written out.

use remuda_sdk::ir::{Def, Graph, Node, ValueId};
use remuda_sdk::tensor::{DType, Tensor};

use super::constants::Form;
use super::{Lowering, Rows, attribute};
use crate::api::{Binary, Refusal, Rope, T, refuse};

/// What is turned: `[features, heads, tokens]`, of which `size` features.
struct Turned {
    x: T,
    size: i64,
    neighbours: bool,
}

pub(super) fn rotary(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let dims = lowering.dims_in(node, 0)?;
    let x = lowering.float(node, 0)?;
    let ne = x.ne();
    let (x, flat) = match dims.len() {
        3 => {
            let heads = node.attrs.int_or("num_heads", 0).map_err(attribute)?;
            if heads < 1 || ne[0] % heads != 0 {
                return Err(refuse("attribute", format!("{} features of {heads} heads", ne[0])));
            }
            (lowering.context.reshape(x, [ne[0] / heads, heads, ne[1] * ne[2], 1])?, true)
        }
        4 => {
            // Batch, heads, tokens, features: tokens of one sequence after the other.
            let moved = lowering.context.permute(x, [0, 2, 1, 3])?;
            let moved = lowering.context.together(moved)?;
            (lowering.context.reshape(moved, [ne[0], ne[2], ne[1] * ne[3], 1])?, false)
        }
        other => return Err(refuse("rank", format!("a rotation of {other} dimensions"))),
    };
    let size = match node.attrs.int_or("rotary_embedding_dim", 0).map_err(attribute)? {
        0 => x.ne()[0],
        size => size,
    };
    if size < 2 || size % 2 != 0 || size > x.ne()[0] {
        return Err(refuse("attribute", format!("{size} of {} features are turned", x.ne()[0])));
    }
    let neighbours = node.attrs.bool_or("interleaved", false).map_err(attribute)?;
    let turned = Turned { x, size, neighbours };
    let y = match lowering.by_operator(node, &turned)? {
        Some(y) => y,
        None => lowering.by_tables(node, &turned)?,
    };
    if flat {
        return lowering.set_shaped(node, 0, y);
    }
    let y = lowering.context.reshape(y, [ne[0], ne[2], ne[1], ne[3]])?;
    let y = lowering.context.permute(y, [0, 2, 1, 3])?;
    let y = lowering.context.together(y)?;
    lowering.set(node, 0, y)
}

impl Lowering<'_> {
    /// By ggml's own operator, if it computes the same angles.
    fn by_operator(&mut self, node: &Node, turned: &Turned) -> Result<Option<T>, Refusal> {
        let (Some(cos), Some(sin)) = (node.input(1), node.input(2)) else { return Ok(None) };
        if node.input(3).is_none() {
            return match computed_angles(self.graph, cos, sin) {
                Some(angles) => self.by_computed(turned, &angles),
                None => Ok(None),
            };
        }
        let (Some(cosines), Some(sines)) = (self.constant(cos), self.constant(sin)) else {
            return Ok(None);
        };
        let Some((divisors, factor)) = divisors(cosines, sines) else { return Ok(None) };
        let pairs = usize::try_from(turned.size / 2).unwrap_or(0);
        if divisors.len() != pairs {
            return Ok(None);
        }
        let rows = cosines.dims()[0];
        let make = &mut || Ok(Tensor::vector(divisors.clone()));
        let divisors = self.made_constant((cos, Form::Divisors), (DType::F32, &[pairs]), make)?;
        let positions = self.indices(node, 3, Rows { count: rows, wraps: false })?;
        let rope = Rope { size: turned.size, neighbours: turned.neighbours, factor };
        let x = self.context.rows(turned.x)?;
        self.context.rope(x, positions, divisors, rope).map(Some)
    }

    /// As [`Lowering::by_operator`], of angles that the graph computes from positions.
    fn by_computed(&mut self, turned: &Turned, angles: &Angles) -> Result<Option<T>, Refusal> {
        /// Positions that a float counts without loss.
        const MOST: usize = 1 << 24;
        let pairs = usize::try_from(turned.size / 2).unwrap_or(0);
        let count: usize = self.dims(angles.positions)?.iter().product();
        if angles.frequencies.len() != pairs || i64::try_from(count) != Ok(turned.x.ne()[2]) {
            return Ok(None);
        }
        let make = &mut || {
            let divisors = angles.frequencies.iter().map(|frequency| 1.0 / frequency);
            Ok(Tensor::vector(divisors.collect()))
        };
        let key = (angles.constant, Form::Divisors);
        let divisors = self.made_constant(key, (DType::F32, &[pairs]), make)?;
        let positions = self.indices_of(angles.positions, Rows { count: MOST, wraps: false })?;
        let rope = Rope { size: turned.size, neighbours: turned.neighbours, factor: angles.factor };
        let x = self.context.rows(turned.x)?;
        self.context.rope(x, positions, divisors, rope).map(Some)
    }

    /// Written out: `[a, b]` becomes `[a cos - b sin, b cos + a sin]`.
    fn by_tables(&mut self, node: &Node, turned: &Turned) -> Result<T, Refusal> {
        let (x, pairs) = (turned.x, turned.size / 2);
        let [features, heads, tokens, _] = x.ne();
        let cos = self.angles(node, 1, [pairs, tokens])?;
        let sin = self.angles(node, 2, [pairs, tokens])?;
        let context = &self.context;
        let cut = |from: i64, size: i64| {
            context.cut(x, [from, 0, 0, 0], [size, heads, tokens, 1], [1; 4])
        };
        let (a, b, wide) = if turned.neighbours {
            let turning = context.together(cut(0, turned.size)?)?;
            let wide = context.reshape(turning, [2, pairs, heads, tokens])?;
            let half =
                |from: i64| context.cut(wide, [from, 0, 0, 0], [1, pairs, heads, tokens], [1; 4]);
            (half(0)?, half(1)?, [1, pairs, 1, tokens])
        } else {
            (cut(0, pairs)?, cut(pairs, pairs)?, [pairs, 1, tokens, 1])
        };
        let (cos, sin) = (context.reshape(cos, wide)?, context.reshape(sin, wide)?);
        let (a, b) = (context.together(a)?, context.together(b)?);
        let times = |x: T, by: T| context.binary(Binary::Mul, x, by);
        let first = context.binary(Binary::Sub, times(a, cos)?, times(b, sin)?)?;
        let second = context.binary(Binary::Add, times(b, cos)?, times(a, sin)?)?;
        let joined = context.concat(first, second, 0)?;
        let joined = context.reshape(joined, [turned.size, heads, tokens, 1])?;
        if turned.size == features {
            return Ok(joined);
        }
        context.concat(joined, cut(turned.size, features - turned.size)?, 0)
    }

    /// The rows of a table for all tokens.
    fn angles(&mut self, node: &Node, at: usize, ne: [i64; 2]) -> Result<T, Refusal> {
        let dims = self.dims_in(node, at)?;
        let table = self.float(node, at)?;
        let rows = if node.input(3).is_some() {
            let [count, _] = dims[..] else {
                return Err(refuse("rank", "tables of angles have 2 dimensions"));
            };
            let positions = self.indices(node, 3, Rows { count, wraps: false })?;
            self.context.get_rows(table, positions)?
        } else {
            self.as_rows(table)?
        };
        if rows.ne()[..2] == ne {
            return Ok(rows);
        }
        Err(refuse("shape", format!("angles of {:?} for {ne:?}", rows.ne())))
    }
}

/// Angles that the graph computes: positions times frequencies.
struct Angles {
    positions: ValueId,
    /// The value that holds the frequencies.
    constant: ValueId,
    frequencies: Vec<f32>,
    /// What cosines and sines are multiplied by.
    factor: f32,
}

/// The node that makes a value.
fn maker(graph: &Graph, id: ValueId) -> Option<&Node> {
    match graph.value(id).def {
        Def::Node(node, _) => graph.node(node),
        _ => None,
    }
}

/// Cosines or sines times a number: what they are of, and the number.
fn function_of(graph: &Graph, id: ValueId, name: &str) -> Option<(ValueId, f32)> {
    let node = maker(graph, id)?;
    if node.op.is_onnx(name) {
        return Some((node.input(0)?, 1.0));
    }
    let factor = graph.value(node.input(1)?).constant()?.to_f32_vec().ok()?;
    let ([factor], true) = (&factor[..], node.op.is_onnx("Mul")) else { return None };
    let inner = maker(graph, node.input(0)?)?;
    inner.op.is_onnx(name).then_some(())?;
    Some((inner.input(0)?, *factor))
}

/// Cosines and sines of positions times constant frequencies, if they are that.
fn computed_angles(graph: &Graph, cos: ValueId, sin: ValueId) -> Option<Angles> {
    let (of, factor) = function_of(graph, cos, "Cos")?;
    if function_of(graph, sin, "Sin")? != (of, factor) {
        return None;
    }
    let product = maker(graph, of)?;
    let constant = product.input(1)?;
    let frequencies = graph.value(constant).constant()?.to_f32_vec().ok()?;
    let mut positions = product.input(0)?;
    while let Some(node) = maker(graph, positions) {
        let moves = ["Cast", "Reshape", "Unsqueeze"].iter().any(|name| node.op.is_onnx(name));
        moves.then_some(())?;
        positions = node.input(0)?;
    }
    let known = product.op.is_onnx("Mul") && frequencies.iter().all(|&one| one > 0.0);
    known.then_some(Angles { positions, constant, frequencies, factor })
}

/// Positions that tell whether a table is what ggml computes: 1 and some further ones.
fn tried(rows: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), |at| Some(at * 2)).take_while(move |&at| at < rows)
}

/// What positions are divided by to give the angles of the tables, and what both tables are multiplied
/// by; none if they are no such tables.
fn divisors(cosines: &Tensor, sines: &Tensor) -> Option<(Vec<f32>, f32)> {
    let (&[rows, pairs], true) = (cosines.dims(), cosines.dims() == sines.dims()) else {
        return None;
    };
    if rows < 2 || cosines.dtype() != DType::F32 || sines.dtype() != DType::F32 {
        return None;
    }
    let (cosines, sines) = (cosines.contiguous(), sines.contiguous());
    let (cos, sin) = (cosines.as_slice::<f32>().ok()?, sines.as_slice::<f32>().ok()?);
    let at = |row: usize, pair: usize| {
        let place = row * pairs + pair;
        (f64::from(cos[place]), f64::from(sin[place]))
    };
    let factor = at(0, 0).0;
    let mut found = Vec::with_capacity(pairs);
    for pair in 0..pairs {
        let mut turn = angle(at(1, pair));
        for row in tried(rows).skip(1) {
            turn = refined(turn, row, angle(at(row, pair)));
        }
        /// Half the distance of two neighbouring floats that an angle of this size makes of it.
        const CLOSE: f64 = 2e-4;
        let fits = |row: usize| {
            let (cos, sin) = at(row, pair);
            let angle = turn * row as f64;
            (angle.cos() * factor - cos).abs() < CLOSE && (angle.sin() * factor - sin).abs() < CLOSE
        };
        let known = tried(rows).chain([0, rows - 1]).all(fits);
        if !known || turn <= 0.0 || !turn.is_finite() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the precision of ggml")]
        found.push((1.0 / turn) as f32);
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was a float")]
    Some((found, factor as f32))
}

fn angle((cos, sin): (f64, f64)) -> f64 {
    sin.atan2(cos)
}

/// The angle of one position, from that of `row` positions, which is known but for whole turns.
fn refined(turn: f64, row: usize, angle: f64) -> f64 {
    let row = row as f64;
    let turns = ((turn * row - angle) / std::f64::consts::TAU).round();
    (angle + turns * std::f64::consts::TAU) / row
}
