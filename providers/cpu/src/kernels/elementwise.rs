//! Elementwise operators on f32, and on f16 and bf16 computed in f32.

use remuda_ir::{Attrs, Node, OpError, Val};
use remuda_kernels::elementwise::{Binary, Step, Unary, View, binary, chain_in_place, unary};
use remuda_simd::Element as Fast;
use remuda_tensor::index::broadcast;
use remuda_tensor::{DType, Element, Tensor, bf16, f16};

use crate::kernel::{Kernel, Needs, Preparation, Run, tensor, writable};

/// The function of a unary node; `None` where the fast kernels do not have it.
pub(super) fn unary_function(preparation: &Preparation<'_>) -> Option<Unary> {
    let node = preparation.node;
    let float = |name: &str, default: f32| node.attrs.float_or(name, default).ok();
    Some(match &*node.op.name {
        "Neg" => Unary::Neg,
        "Abs" => Unary::Abs,
        "Sign" => Unary::Sign,
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::Round,
        "Sqrt" => Unary::Sqrt,
        "Reciprocal" => Unary::Reciprocal,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        "Tanh" => Unary::Tanh,
        "Sigmoid" => Unary::Sigmoid,
        "Erf" => Unary::Erf,
        "Relu" => Unary::Relu,
        "Gelu" => match node.attrs.text_or("approximate", "none").ok()? {
            "tanh" => Unary::GeluTanh,
            "none" => Unary::Gelu,
            _ => return None,
        },
        "FastGelu" if node.input(1).is_none() => Unary::GeluTanh,
        "QuickGelu" => Unary::Swish(float("alpha", 1.702)?),
        "Swish" => Unary::Swish(float("alpha", 1.0)?),
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Mish" => Unary::Mish,
        "HardSwish" => Unary::HardSwish,
        "HardSigmoid" => Unary::HardSigmoid(float("alpha", 0.2)?, float("beta", 0.5)?),
        "Elu" => Unary::Elu(float("alpha", 1.0)?),
        "Celu" => Unary::Celu(float("alpha", 1.0)?),
        "Selu" => Unary::Selu(float("alpha", 1.673_263_2)?, float("gamma", 1.050_701)?),
        "LeakyRelu" => Unary::LeakyRelu(float("alpha", 0.01)?),
        "ThresholdedRelu" => Unary::ThresholdedRelu(float("alpha", 1.0)?),
        "Clip" => clip(preparation, node)?,
        _ => return None,
    })
}

/// A clip with constant bounds.
fn clip(preparation: &Preparation<'_>, node: &Node) -> Option<Unary> {
    let bound = |at: usize, default: f32| match node.input(at) {
        None => Some(default),
        Some(_) => match preparation.constant(at)?.to_f32_vec().ok()?[..] {
            [value] => Some(value),
            _ => None,
        },
    };
    // The limits of the dtype stand for bounds that are absent.
    let most = match preparation.dtype(0)? {
        DType::F16 => f16::MAX.to_f32(),
        DType::BF16 => bf16::MAX.to_f32(),
        _ => f32::MAX,
    };
    let (low, high) = (bound(1, -most)?, bound(2, most)?);
    (low <= high).then_some(Unary::Clip(low, high))
}

pub(super) fn binary_function(name: &str) -> Option<Binary> {
    Some(match name {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Pow" => Binary::Pow,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        "PRelu" => Binary::PRelu,
        _ => return None,
    })
}

/// Whether the fast kernels compute in this dtype.
pub(super) fn is_fast(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
}

struct UnaryKernel(Unary);
struct BinaryKernel(Binary);

pub(super) fn prepare_unary(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let fast = is_fast(preparation.dtype(0)?);
    Some(Box::new(UnaryKernel(unary_function(preparation).filter(|_| fast)?)))
}

pub(super) fn prepare_binary(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let (a, b) = (preparation.dtype(0)?, preparation.dtype(1)?);
    let fits = node.inputs.len() == 2 && a == b && is_fast(a) && node.attrs == Attrs::default();
    Some(Box::new(BinaryKernel(binary_function(&node.op.name).filter(|_| fits)?)))
}

/// Runs `$body` with the element type bound to `T`.
macro_rules! with_fast {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F16 => {
                type $T = f16;
                $body
            }
            DType::BF16 => {
                type $T = bf16;
                $body
            }
            other => Err(OpError::Bug(format!("a kernel for floats got `{other}`"))),
        }
    };
}
pub(super) use with_fast;

impl Kernel for UnaryKernel {
    fn needs(&self, _: &Preparation<'_>) -> Needs {
        Needs { in_place: true, ..Needs::default() }
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (dtype, dims) = (tensor(inputs, 0)?.dtype(), tensor(inputs, 0)?.dims().to_vec());
        if let Some(mut out) = run.reuse(inputs, 0, dtype, &dims) {
            with_fast!(dtype, T => {
                let out = writable::<T>(&mut out)?;
                let shape = [out.len()];
                chain_in_place(run.context(), &[Step::Unary(self.0)], out, &shape);
                Ok(())
            })?;
            return Ok(vec![out.into()]);
        }
        let x = tensor(inputs, 0)?.contiguous();
        let mut out = run.arena.tensor(dtype, &dims)?;
        with_fast!(dtype, T => {
            unary::<T>(run.context(), self.0, x.as_slice()?, writable(&mut out)?);
            Ok(())
        })?;
        Ok(vec![out.into()])
    }
}

impl Kernel for BinaryKernel {
    fn needs(&self, _: &Preparation<'_>) -> Needs {
        Needs { in_place: true, ..Needs::default() }
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let dims = joined(tensor(inputs, 0)?, tensor(inputs, 1)?)?;
        let dtype = tensor(inputs, 0)?.dtype();
        for at in [0, 1] {
            let Some(mut out) = run.reuse(inputs, at, dtype, &dims) else { continue };
            let other = tensor(inputs, 1 - at)?.contiguous();
            with_fast!(dtype, T => over::<T>(run, (self.0, at), &other, &mut out, &dims))?;
            return Ok(vec![out.into()]);
        }
        let (a, b) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let mut out = run.arena.tensor(dtype, &dims)?;
        with_fast!(dtype, T => apply::<T>(run, self.0, (&a, &b), &mut out, &dims))?;
        Ok(vec![out.into()])
    }
}

/// Writes over the operand at this place.
fn over<T: Element + Fast>(
    run: &Run<'_>,
    (op, at): (Binary, usize),
    other: &Tensor,
    out: &mut Tensor,
    dims: &[usize],
) -> Result<(), OpError> {
    let view = View::new(other.as_slice::<T>()?, other.dims());
    let step = if at == 0 { Step::Right(op, view) } else { Step::Left(op, view) };
    chain_in_place(run.context(), &[step], writable(out)?, dims);
    Ok(())
}

/// The dimensions that two tensors broadcast to.
pub(super) fn joined(a: &Tensor, b: &Tensor) -> Result<Vec<usize>, OpError> {
    broadcast(a.dims(), b.dims()).ok_or_else(|| {
        OpError::Invalid(format!("dimensions {:?} and {:?} do not broadcast", a.dims(), b.dims()))
    })
}

pub(super) fn apply<T: Element + Fast>(
    run: &Run<'_>,
    op: Binary,
    (a, b): (&Tensor, &Tensor),
    out: &mut Tensor,
    dims: &[usize],
) -> Result<(), OpError> {
    let (x, y) = (a.as_slice::<T>()?, b.as_slice::<T>()?);
    let (x, y) = (View::new(x, a.dims()), View::new(y, b.dims()));
    binary(run.context(), op, x, y, writable(out)?, dims);
    Ok(())
}
