//! How fast a device is, measured: what estimates are drawn from where its provider states no costs.
//!
//! A few small graphs are run, one for each sort of work: a node, a chain, a layer of a network, a softmax, a
//! long vector; and bytes are copied both ways. Of each the fastest of some rounds counts, since whatever
//! else the machine does only makes them slower. All of it takes well below a second. Whoever calls keeps the
//! result: it changes only with the provider, the device, its driver or the number of threads.

use std::time::Instant;

use remuda_host::{DeviceTensor, Failure, Operand, Program, RunOptions};
use remuda_ir::{Attrs, Graph, OpName, Val};
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::target::{Place, Target};

/// How fast a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Speeds {
    /// Nanoseconds of a run beside its nodes.
    pub launch_ns: f64,
    /// Nanoseconds of a node beside its arithmetic.
    pub node_ns: f64,
    /// Arithmetic operations of products per nanosecond.
    pub ops_per_ns: f64,
    /// Elements of exponentials and the like per nanosecond.
    pub functions_per_ns: f64,
    /// Bytes per nanosecond that nodes read and write.
    pub bytes_per_ns: f64,
    /// Copies to the device; nothing where it works in host memory.
    pub upload: Option<Copying>,
    /// Copies from it.
    pub download: Option<Copying>,
}

/// How fast copies are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Copying {
    /// Nanoseconds of an empty one.
    pub latency_ns: f64,
    /// Bytes per nanosecond beside that.
    pub bytes_per_ns: f64,
}

/// Rounds of each measurement.
const ROUNDS: usize = 9;
const CHAIN: usize = 32;
/// Rows of a layer, and what it has of inputs and outputs.
const ROWS: usize = 128;
const SIDE: usize = 512;
const LONG: usize = 1 << 20;
/// Operators that take many instructions per element; the first that the device takes is measured.
const FUNCTIONS: &[&str] = &["Softmax", "Tanh", "Exp"];
/// How many steps of a product a function is taken as where the device takes none of them.
const FUNCTION_OPS: f64 = 32.0;

impl Speeds {
    /// Measures a device. Operators are of this opset.
    ///
    /// # Errors
    /// When the device fails, or does not take the operators that are measured with.
    #[expect(clippy::cast_precision_loss, reason = "measurements")]
    pub fn measure(target: &Target, opset: u32) -> Result<Self, Failure> {
        let bench = Bench { target, opset };
        let one = bench.time(chain("Neg", 1, &[16]), &[16])?;
        let many = bench.time(chain("Neg", 1 + CHAIN, &[16]), &[16])?;
        let node_ns = ((many - one) / CHAIN as f64).max(1.0);
        let launch_ns = (one - node_ns).max(1.0);
        let beside = launch_ns + node_ns;
        let layer = bench.time(layer()?, &[ROWS, SIDE])?;
        let long = bench.time(chain("Neg", 1, &[LONG]), &[LONG])?;
        let ops_per_ns = 2.0 * (ROWS * SIDE * SIDE) as f64 / (layer - beside).max(1.0);
        let dims = [ROWS, SIDE];
        let function = |op: &&str| bench.time(chain(op, 1, &dims), &dims).ok();
        let function = FUNCTIONS.iter().find_map(function);
        let (upload, download) = bench.copies()?;
        Ok(Self {
            launch_ns,
            node_ns,
            ops_per_ns,
            functions_per_ns: function.map_or(ops_per_ns / FUNCTION_OPS, |function| {
                (ROWS * SIDE) as f64 / (function - beside).max(1.0)
            }),
            bytes_per_ns: (LONG * 8) as f64 / (long - beside).max(1.0),
            upload,
            download,
        })
    }

    /// The numbers as text, to be kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        let &Self { launch_ns, node_ns, ops_per_ns, functions_per_ns, bytes_per_ns, .. } = self;
        let own = [launch_ns, node_ns, ops_per_ns, functions_per_ns, bytes_per_ns];
        let copies = [self.upload, self.download].into_iter().flatten();
        let copies = copies.flat_map(|copy| [copy.latency_ns, copy.bytes_per_ns]);
        let numbers: Vec<String> = own.into_iter().chain(copies).map(|n| n.to_string()).collect();
        numbers.join(" ")
    }

    /// Reads what [`Speeds::to_text`] wrote; nothing if it is something else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let numbers: Vec<f64> =
            text.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
        if !numbers.iter().all(|number| number.is_finite() && *number > 0.0) {
            return None;
        }
        let copying = |[latency_ns, bytes_per_ns]: [f64; 2]| Copying { latency_ns, bytes_per_ns };
        let (upload, download) = match numbers[..] {
            [_, _, _, _, _] => (None, None),
            [_, _, _, _, _, a, b, c, d] => (Some(copying([a, b])), Some(copying([c, d]))),
            _ => return None,
        };
        let [launch_ns, node_ns, ops_per_ns, functions_per_ns, bytes_per_ns] = numbers[..5] else {
            return None;
        };
        Some(Self {
            launch_ns,
            node_ns,
            ops_per_ns,
            functions_per_ns,
            bytes_per_ns,
            upload,
            download,
        })
    }
}

fn floats(dims: &[usize]) -> TensorType {
    TensorType::new(DType::F32, dims.iter().map(|&dim| Dim::from(dim)).collect::<Vec<_>>())
}

/// Nodes of an operator in a row over a tensor.
fn chain(op: &str, nodes: usize, dims: &[usize]) -> Graph {
    let mut graph = Graph::new("chain");
    let mut value = graph.add_input("x", Some(floats(dims).into()));
    for at in 0..nodes {
        let name = format!("y{at}");
        value = graph.apply(OpName::onnx(op), &[value], Attrs::default(), &name);
        graph.set_type(value, floats(dims).into());
    }
    graph.outputs = vec![value];
    graph
}

/// Rows times the weights of a layer.
fn layer() -> Result<Graph, Failure> {
    let mut graph = Graph::new("layer");
    let x = graph.add_input("x", Some(floats(&[ROWS, SIDE]).into()));
    let weights = graph.add_const("w", ones(&[SIDE, SIDE])?);
    let y = graph.apply(OpName::onnx("MatMul"), &[x, weights], Attrs::default(), "y");
    graph.set_type(y, floats(&[ROWS, SIDE]).into());
    graph.outputs = vec![y];
    Ok(graph)
}

struct Bench<'t> {
    target: &'t Target,
    opset: u32,
}

impl Bench<'_> {
    /// The fastest time of a graph over one input, in nanoseconds.
    fn time(&self, graph: Graph, dims: &[usize]) -> Result<f64, Failure> {
        let Target { provider, device, .. } = self.target;
        let program = provider.compile(device.index, graph, self.opset)?;
        let input = [self.there(&ones(dims)?)?];
        fastest(|| self.run(&program, &input))
    }

    fn run(&self, program: &Program, input: &[Operand]) -> Result<(), Failure> {
        program.run_operands(input, &RunOptions::default())?;
        self.target.provider.synchronize(self.target.device.index)
    }

    fn there(&self, tensor: &Tensor) -> Result<Operand, Failure> {
        if self.target.place() == Place::Own {
            return Ok(Operand::Device(self.upload(tensor)?));
        }
        Ok(Operand::Host(Val::from(tensor.clone())))
    }

    fn upload(&self, tensor: &Tensor) -> Result<DeviceTensor, Failure> {
        DeviceTensor::upload(&self.target.provider, self.target.device.index, tensor)
    }

    fn copies(&self) -> Result<(Option<Copying>, Option<Copying>), Failure> {
        if self.target.place() != Place::Own {
            return Ok((None, None));
        }
        let (small, large) = (ones(&[16])?, ones(&[LONG])?);
        let up = |tensor: &Tensor| fastest(|| self.upload(tensor).map(drop));
        let down = |tensor: &Tensor| {
            let there = self.upload(tensor)?;
            fastest(|| there.to_host().map(drop))
        };
        let upload = copying(up(&small)?, up(&large)?);
        Ok((Some(upload), Some(copying(down(&small)?, down(&large)?))))
    }
}

#[expect(clippy::cast_precision_loss, reason = "measurements")]
fn copying(small: f64, large: f64) -> Copying {
    Copying {
        latency_ns: small.max(1.0),
        bytes_per_ns: (LONG * 4) as f64 / (large - small).max(1.0),
    }
}

fn ones(dims: &[usize]) -> Result<Tensor, Failure> {
    let count = dims.iter().product();
    Tensor::from_vec(dims.to_vec(), vec![1.0f32; count])
        .map_err(|error| Failure::Internal(error.to_string()))
}

/// The time of the fastest of some runs, in nanoseconds, after one that is not counted.
#[expect(clippy::cast_precision_loss, reason = "measurements")]
fn fastest(mut run: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        run()?;
        best = best.min(started.elapsed().as_nanos() as f64);
    }
    Ok(best.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::{Copying, Speeds};

    #[test]
    fn speeds_are_kept_as_text_and_nonsense_is_not_read() {
        let near = Speeds {
            launch_ns: 1500.25,
            node_ns: 300.0,
            ops_per_ns: 12.5,
            functions_per_ns: 0.75,
            bytes_per_ns: 0.1,
            ..Speeds::default()
        };
        let copy = Copying { latency_ns: 1e4, bytes_per_ns: 7.0 };
        let far = Speeds { upload: Some(copy), download: Some(copy), ..near };
        for speeds in [near, far] {
            assert_eq!(Speeds::from_text(&speeds.to_text()), Some(speeds));
        }
        for text in ["", "1 2 3 4", "1 2 3 4 5 6", "1 2 3 4 NaN", "1 2 3 4 -5", "a b c d e"] {
            assert_eq!(Speeds::from_text(text), None, "{text}");
        }
    }
}
