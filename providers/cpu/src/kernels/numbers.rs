//! Operators on numbers of one type and on truth values: comparisons, logic, the choice between two
//! tensors, and whole-number arithmetic.

use remuda_ir::{OpError, Val};
use remuda_kernels::elementwise::View;
use remuda_kernels::elementwise::numbers::{map, select, zip};
use remuda_tensor::{DType, Element, Tensor};

use super::elementwise::joined;
use super::layout::{bits, bits_mut, by_width, finish, new_bits, width};
use crate::kernel::{Kernel, Preparation, Run, tensor};

/// Runs `$body` with the element type bound to `T`, for the types that these kernels have.
macro_rules! with_number {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        with_number!(@ $dtype, $T, $body, $other,
            F32 f32, F64 f64, I8 i8, I32 i32, I64 i64, U8 u8)
    };
    (@ $dtype:expr, $T:ident, $body:expr, $other:expr, $($name:ident $type:ty),*) => {
        match $dtype {
            $(DType::$name => {
                type $T = $type;
                $body
            })*
            _ => $other,
        }
    };
}

fn is_number(dtype: DType) -> bool {
    with_number!(dtype, T => <T as Element>::DTYPE == dtype, else false)
}

fn refused(dtype: DType) -> OpError {
    OpError::Bug(format!("a kernel for numbers got `{dtype}`"))
}

/// How two numbers compare.
#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
}

struct Compare {
    kind: Comparison,
    swapped: bool,
}

pub(super) fn prepare_compare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let (kind, swapped) = match &*preparation.node.op.name {
        "Equal" => (Comparison::Equal, false),
        "Greater" => (Comparison::Less, true),
        "GreaterOrEqual" => (Comparison::LessOrEqual, true),
        "Less" => (Comparison::Less, false),
        "LessOrEqual" => (Comparison::LessOrEqual, false),
        _ => return None,
    };
    let dtype = preparation.dtype(0)?;
    let fits = is_number(dtype) && preparation.dtype(1) == Some(dtype);
    fits.then(|| Box::new(Compare { kind, swapped }) as Box<dyn Kernel>)
}

impl Kernel for Compare {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (a, b) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let (a, b) = if self.swapped { (b, a) } else { (a, b) };
        let dims = joined(&a, &b)?;
        let mut out = new_bits(run, DType::Bool, &dims)?;
        let to = bits_mut::<u8>(&mut out)?;
        with_number!(a.dtype(), T => compare::<T>(run, self.kind, (&a, &b), to, &dims),
            else Err(refused(a.dtype())))?;
        Ok(vec![finish(out, DType::Bool)?])
    }
}

fn compare<T: Element + PartialOrd>(
    run: &Run<'_>,
    kind: Comparison,
    (a, b): (&Tensor, &Tensor),
    out: &mut [u8],
    dims: &[usize],
) -> Result<(), OpError> {
    let (x, y) = (a.as_slice::<T>()?, b.as_slice::<T>()?);
    let (x, y) = (View::new(x, a.dims()), View::new(y, b.dims()));
    match kind {
        Comparison::Equal => zip(run.context(), x, y, out, dims, |x, y| u8::from(x == y)),
        Comparison::Less => zip(run.context(), x, y, out, dims, |x, y| u8::from(x < y)),
        Comparison::LessOrEqual => zip(run.context(), x, y, out, dims, |x, y| u8::from(x <= y)),
    }
    Ok(())
}

/// A function of two truth values, which are bytes of zero and one.
#[derive(Clone, Copy)]
enum Logic {
    And,
    Or,
    Xor,
    Same,
}

pub(super) fn prepare_logic(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let logic = match &*preparation.node.op.name {
        "And" => Logic::And,
        "Equal" => Logic::Same,
        "Or" => Logic::Or,
        "Xor" => Logic::Xor,
        _ => return None,
    };
    let truths = (0..2).all(|at| preparation.dtype(at) == Some(DType::Bool));
    truths.then(|| Box::new(logic) as Box<dyn Kernel>)
}

impl Kernel for Logic {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (a, b) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let dims = joined(&a, &b)?;
        let mut out = new_bits(run, DType::Bool, &dims)?;
        let (cx, to) = (run.context(), bits_mut::<u8>(&mut out)?);
        let (x, y) = (View::new(bits::<u8>(&a)?, a.dims()), View::new(bits(&b)?, b.dims()));
        match self {
            Self::And => zip(cx, x, y, to, &dims, |x, y| x & y),
            Self::Or => zip(cx, x, y, to, &dims, |x, y| x | y),
            Self::Xor => zip(cx, x, y, to, &dims, |x, y| x ^ y),
            Self::Same => zip(cx, x, y, to, &dims, |x, y| u8::from(x == y)),
        }
        Ok(vec![finish(out, DType::Bool)?])
    }
}

struct Not;

pub(super) fn prepare_not(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    (preparation.dtype(0)? == DType::Bool).then(|| Box::new(Not) as Box<dyn Kernel>)
}

impl Kernel for Not {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let x = tensor(inputs, 0)?.contiguous();
        let mut out = new_bits(run, DType::Bool, x.dims())?;
        map(run.context(), bits::<u8>(&x)?, bits_mut::<u8>(&mut out)?, |x| x ^ 1);
        Ok(vec![finish(out, DType::Bool)?])
    }
}

struct Where;

pub(super) fn prepare_where(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    width(preparation, 1)?;
    let fits = preparation.dtype(0)? == DType::Bool && preparation.dtype(1) == preparation.dtype(2);
    fits.then(|| Box::new(Where) as Box<dyn Kernel>)
}

impl Kernel for Where {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let condition = tensor(inputs, 0)?.contiguous();
        let (a, b) = (tensor(inputs, 1)?.contiguous(), tensor(inputs, 2)?.contiguous());
        let dims = remuda_tensor::index::broadcast(&joined(&a, &b)?, condition.dims());
        let dims = dims.ok_or_else(|| {
            let text = format!("the condition's {:?} do not broadcast", condition.dims());
            OpError::Invalid(text)
        })?;
        let mut out = new_bits(run, a.dtype(), &dims)?;
        if out.len() > 0 {
            let truths = View::new(bits::<u8>(&condition)?, condition.dims());
            by_width!(a.dtype(), T => {
                let (x, y) = (View::new(bits::<T>(&a)?, a.dims()), View::new(bits(&b)?, b.dims()));
                select(run.context(), truths, (x, y), bits_mut(&mut out)?, &dims);
                Ok(())
            })?;
        }
        Ok(vec![finish(out, a.dtype())?])
    }
}

/// Arithmetic of whole numbers that wraps.
#[derive(Clone, Copy)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
}

pub(super) fn prepare_arithmetic(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let kind = match &*preparation.node.op.name {
        "Add" => Arithmetic::Add,
        "Mul" => Arithmetic::Mul,
        "Sub" => Arithmetic::Sub,
        _ => return None,
    };
    let dtype = preparation.dtype(0)?;
    let whole = matches!(dtype, DType::I32 | DType::I64) && preparation.dtype(1) == Some(dtype);
    whole.then(|| Box::new(kind) as Box<dyn Kernel>)
}

impl Kernel for Arithmetic {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (a, b) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let dims = joined(&a, &b)?;
        let mut out = new_bits(run, a.dtype(), &dims)?;
        let operands = (&a, &b, &dims[..]);
        match (self, a.dtype()) {
            (Self::Add, DType::I32) => combine(run, operands, &mut out, u32::wrapping_add),
            (Self::Sub, DType::I32) => combine(run, operands, &mut out, u32::wrapping_sub),
            (Self::Mul, DType::I32) => combine(run, operands, &mut out, u32::wrapping_mul),
            (Self::Add, _) => combine(run, operands, &mut out, u64::wrapping_add),
            (Self::Sub, _) => combine(run, operands, &mut out, u64::wrapping_sub),
            (Self::Mul, _) => combine(run, operands, &mut out, u64::wrapping_mul),
        }?;
        Ok(vec![finish(out, a.dtype())?])
    }
}

fn combine<T: Element + Copy>(
    run: &Run<'_>,
    (a, b, dims): (&Tensor, &Tensor, &[usize]),
    out: &mut Tensor,
    f: impl Fn(T, T) -> T + Copy + Sync,
) -> Result<(), OpError> {
    let (x, y) = (View::new(bits::<T>(a)?, a.dims()), View::new(bits(b)?, b.dims()));
    zip(run.context(), x, y, bits_mut(out)?, dims, f);
    Ok(())
}
