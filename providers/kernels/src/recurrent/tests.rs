//! Recurrent layers against plain f64 loops, one sequence and one direction at a time.

use super::*;
use crate::context::testing::{assert_close, everywhere, noise};

const CELLS: [Cell; 5] = [
    Cell::Rnn,
    Cell::Gru { linear_before_reset: false },
    Cell::Gru { linear_before_reset: true },
    Cell::Lstm { coupled: false },
    Cell::Lstm { coupled: true },
];

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The weights of a direction as they were before packing.
struct Plain {
    data: Vec<f32>,
    state: Vec<f32>,
    bias: Vec<f32>,
    peepholes: Vec<f32>,
}

impl Plain {
    fn new(cell: Cell, sizes: Sizes, seed: u64) -> Self {
        let rows = cell.gates() * sizes.hidden;
        // Small enough that rounding errors do not grow from step to step.
        let scale = 1.0 / (sizes.hidden as f32).sqrt();
        let scaled = |count, seed| noise(count, seed).into_iter().map(|x| x * scale).collect();
        Self {
            data: noise(rows * sizes.input, seed),
            state: scaled(rows * sizes.hidden, seed + 1),
            bias: noise(2 * rows, seed + 2),
            peepholes: noise(3 * sizes.hidden, seed + 3),
        }
    }

    /// Row `row` of the weights times `by`, with one of the two biases.
    fn product(&self, of_state: bool, row: usize, by: &[f64]) -> f64 {
        let weights = if of_state { &self.state } else { &self.data };
        let weights = &weights[row * by.len()..][..by.len()];
        let bias = self.bias[row + if of_state { self.bias.len() / 2 } else { 0 }];
        weights.iter().zip(by).map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(bias)
    }

    /// One step: the state and the cell afterwards.
    fn step(&self, cell: Cell, x: &[f64], h: &[f64], c: &[f64], clip: f64) -> [Vec<f64>; 2] {
        let hidden = h.len();
        let cut = |x: f64| x.clamp(-clip, clip);
        let sum = |gate: usize, at: usize| {
            let row = gate * hidden + at;
            self.product(false, row, x) + self.product(true, row, h)
        };
        let peep =
            |gate: usize, at: usize, c: f64| f64::from(self.peepholes[gate * hidden + at]) * c;
        let each = |value: &dyn Fn(usize) -> f64| (0..hidden).map(value).collect::<Vec<_>>();
        match cell {
            Cell::Rnn => [each(&|at| cut(sum(0, at)).tanh()), c.to_vec()],
            Cell::Gru { linear_before_reset } => {
                let reset = each(&|at| sigmoid(cut(sum(1, at))));
                let scaled: Vec<_> = reset.iter().zip(h).map(|(r, h)| r * h).collect();
                let new = each(&|at| {
                    let row = 2 * hidden + at;
                    let state = if linear_before_reset {
                        reset[at] * self.product(true, row, h)
                    } else {
                        self.product(true, row, &scaled)
                    };
                    cut(self.product(false, row, x) + state).tanh()
                });
                let update = each(&|at| sigmoid(cut(sum(0, at))));
                [each(&|at| (1.0 - update[at]) * new[at] + update[at] * h[at]), c.to_vec()]
            }
            Cell::Lstm { coupled } => {
                let input = each(&|at| sigmoid(cut(sum(0, at) + peep(0, at, c[at]))));
                let forget = each(&|at| match coupled {
                    true => 1.0 - input[at],
                    false => sigmoid(cut(sum(2, at) + peep(2, at, c[at]))),
                });
                let new = each(&|at| forget[at] * c[at] + input[at] * cut(sum(3, at)).tanh());
                let output = each(&|at| sigmoid(cut(sum(1, at) + peep(1, at, new[at]))));
                [each(&|at| output[at] * cut(new[at]).tanh()), new]
            }
        }
    }
}

/// The whole layer; results in the layout of [`Outputs`].
fn exact(layer: &Layer<'_>, x: &[f32], weights: &[Plain], start: &[f32]) -> [Vec<f64>; 3] {
    let Sizes { length, batch, input, hidden, batch_first } = layer.sizes;
    let count = weights.len();
    let mut y = vec![0.0; length * count * batch * hidden];
    let mut last = [vec![], vec![]];
    for (direction, plain) in weights.iter().enumerate() {
        for sequence in 0..batch {
            let steps = layer.lengths.map_or(length, |lengths| lengths[sequence]);
            let own = (direction * batch + sequence) * hidden;
            let state: Vec<f64> = start[own..][..hidden].iter().map(|&x| x.into()).collect();
            let [mut h, mut c] = [state.clone(), state];
            for step in 0..steps {
                let at = if direction == 1 { steps - 1 - step } else { step };
                let row = if batch_first { sequence * length + at } else { at * batch + sequence };
                let x: Vec<f64> = x[row * input..][..input].iter().map(|&x| x.into()).collect();
                [h, c] = plain.step(layer.cell, &x, &h, &c, f64::from(layer.clip));
                let to = match batch_first {
                    true => row * count + direction,
                    false => (at * count + direction) * batch + sequence,
                };
                y[to * hidden..][..hidden].copy_from_slice(&h);
            }
            last[0].extend(h);
            last[1].extend(c);
        }
    }
    let [h, c] = last;
    [y, h, c]
}

fn agrees(cx: Context<'_>, layer: Layer<'_>, count: usize) {
    let Sizes { length, batch, input, hidden, .. } = layer.sizes;
    let what = format!("{layer:?}, {count} directions");
    let x = noise(length * batch * input, 1);
    let plain: Vec<_> =
        (0..count).map(|at| Plain::new(layer.cell, layer.sizes, 10 * at as u64 + 2)).collect();
    let packed: Vec<_> = plain
        .iter()
        .map(|plain| {
            PackedWeights::new(layer.cell, &plain.data, &plain.state, [input, hidden]).unwrap()
        })
        .collect();
    let functions = match layer.cell {
        Cell::Rnn => [Function::Tanh; 3],
        _ => [Function::Sigmoid, Function::Tanh, Function::Tanh],
    };
    let directions: Vec<_> = packed
        .iter()
        .zip(&plain)
        .enumerate()
        .map(|(at, (weights, plain))| Direction {
            weights,
            bias: Some(&plain.bias),
            peepholes: Some(&plain.peepholes),
            functions,
            backward: at == 1,
        })
        .collect();
    let start = noise(count * batch * hidden, 5);
    let (mut h, mut c) = (start.clone(), start.clone());
    let mut y = vec![0.0; count * length * batch * hidden];
    let cell = if let Cell::Lstm { .. } = layer.cell { &mut c[..] } else { &mut [] };
    let out = Outputs { y: &mut y, hidden: &mut h, cell };
    layer.run(cx, &x, &directions, out).unwrap();
    let [exact_y, exact_h, exact_c] = exact(&layer, &x, &plain, &start);
    assert_close(&y, &exact_y, 1e-4, 1.0, &what);
    assert_close(&h, &exact_h, 1e-4, 1.0, &what);
    assert_close(&c, &exact_c, 1e-4, 1.0, &what);
}

#[test]
fn layers_agree_with_plain_loops() {
    everywhere(|cx| {
        for cell in CELLS {
            for (length, batch, input, hidden) in [(1, 1, 1, 1), (5, 3, 4, 19), (7, 2, 20, 32)] {
                for batch_first in [false, true] {
                    let sizes = Sizes { length, batch, input, hidden, batch_first };
                    let lengths = vec![length - length / 2; batch - 1];
                    let lengths = [&[length][..], &lengths].concat();
                    for lengths in [None, Some(&lengths[..])] {
                        let layer = Layer { cell, sizes, clip: 0.8, lengths };
                        agrees(cx, layer, 1);
                        agrees(cx, layer, 2);
                    }
                }
            }
        }
    });
}

#[test]
fn gates_of_many_steps_are_made_in_parts() {
    let pool = crate::ThreadPool::new(2).unwrap();
    let isa = remuda_simd::Isa::detect().unwrap();
    let sizes = Sizes { length: 20, batch: 40, input: 3, hidden: 100, batch_first: true };
    let layer =
        Layer { cell: Cell::Lstm { coupled: false }, sizes, clip: f32::INFINITY, lengths: None };
    assert!(layer.steps_ahead() < 20);
    agrees(Context::new(isa, &pool), layer, 2);
}

#[test]
fn short_weights_and_biases_are_refused() {
    let sizes = Sizes { length: 1, batch: 1, input: 2, hidden: 2, batch_first: false };
    let cell = Cell::Gru { linear_before_reset: false };
    assert!(PackedWeights::new(cell, &[0.0; 11], &[0.0; 12], [2, 2]).is_err());
    assert!(PackedWeights::new(cell, &[0.0; 12], &[0.0; 11], [2, 2]).is_err());
    let weights = PackedWeights::new(cell, &[0.0; 12], &[0.0; 12], [2, 2]).unwrap();
    let functions = [Function::Sigmoid, Function::Tanh, Function::Tanh];
    let (bias, peepholes, backward) = (Some(&[0.0; 11][..]), None, false);
    let direction = Direction { weights: &weights, bias, peepholes, functions, backward };
    let layer = Layer { cell, sizes, clip: f32::INFINITY, lengths: None };
    let pool = crate::ThreadPool::single();
    let cx = Context::new(remuda_simd::Isa::detect().unwrap(), &pool);
    let out = Outputs { y: &mut [0.0; 2], hidden: &mut [0.0; 2], cell: &mut [] };
    assert!(layer.run(cx, &[0.0; 2], &[direction], out).is_err());
}
