//! Floats of 16 bits for kernels that compute in f32: the data is widened in front of the kernel and its
//! results are rounded behind it, once. Weights are widened once, before the first run, and packed like
//! those of f32.

use std::sync::OnceLock;

use remuda_ir::{OpError, Val, ValueId};
use remuda_kernels::Context;
use remuda_kernels::convert::{narrow, widen};
use remuda_tensor::{DType, Tensor, bf16, f16};

use crate::Packing;
use crate::kernel::{Kernel, Preparation, Run, writable};

struct Halves {
    kernel: Box<dyn Kernel>,
    /// The places of inputs of 16 bits.
    halves: Vec<usize>,
    /// The inputs that are known before the first run: those of 16 bits, and what the kernel packs.
    packs: Vec<usize>,
    /// Those that the kernel does not pack, widened.
    weights: OnceLock<Vec<Option<Tensor>>>,
    /// The dtype of each output that is to be rounded.
    outputs: Vec<Option<DType>>,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let node = preparation.node;
    let half = |id: Option<ValueId>| {
        let ty = preparation.graph.value(id?).ty.as_ref()?.as_tensor()?;
        Some(ty.dtype).filter(|&dtype| is_half(dtype))
    };
    let halves: Vec<usize> =
        (0..node.inputs.len()).filter(|&at| half(node.input(at)).is_some()).collect();
    if halves.is_empty() || preparation.widened {
        return None;
    }
    let kernel = super::prepare(&Preparation { widened: true, ..*preparation })?;
    let own = halves.iter().copied().filter(|&at| preparation.is_fixed(at));
    let mut packs: Vec<usize> = own.chain(kernel.packs().iter().copied()).collect();
    packs.sort_unstable();
    packs.dedup();
    let outputs = node.outputs.iter().map(|&output| half(output)).collect();
    let weights = OnceLock::new();
    Some(Box::new(Halves { kernel, halves, packs, weights, outputs }))
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Widens a contiguous tensor.
fn widen_into(cx: Context<'_>, x: &Tensor, wide: &mut Tensor) -> Result<(), OpError> {
    match x.dtype() {
        DType::F16 => widen::<f16>(cx, x.as_slice()?, writable(wide)?),
        _ => widen::<bf16>(cx, x.as_slice()?, writable(wide)?),
    }
    Ok(())
}

impl Halves {
    fn widened(run: &mut Run<'_>, x: &Tensor) -> Result<Tensor, OpError> {
        let mut wide = run.arena.tensor(DType::F32, x.dims())?;
        widen_into(run.context(), &x.contiguous(), &mut wide)?;
        Ok(wide)
    }

    fn rounded(run: &mut Run<'_>, val: Val, dtype: DType) -> Result<Val, OpError> {
        let wide = val.tensor()?.contiguous();
        let mut out = run.arena.tensor(dtype, wide.dims())?;
        match dtype {
            DType::F16 => narrow::<f16>(run.context(), wide.as_slice()?, writable(&mut out)?),
            _ => narrow::<bf16>(run.context(), wide.as_slice()?, writable(&mut out)?),
        }
        drop(wide);
        run.arena.reclaim(val);
        Ok(out.into())
    }
}

impl Kernel for Halves {
    fn packs(&self) -> &[usize] {
        &self.packs
    }

    fn pack(&self, packing: &Packing<'_>, inputs: &[Option<Tensor>]) -> Result<(), OpError> {
        let wide = |input: &Option<Tensor>| match input {
            Some(x) if is_half(x.dtype()) => {
                let mut wide = Tensor::zeros(DType::F32, x.dims())?;
                widen_into(packing.cx, x, &mut wide)?;
                Ok(Some(wide))
            }
            other => Ok(other.clone()),
        };
        let mut wide = inputs.iter().map(wide).collect::<Result<Vec<_>, OpError>>()?;
        self.kernel.pack(packing, &wide)?;
        for &at in self.kernel.packs() {
            wide[at] = None;
        }
        let _ = self.weights.set(wide);
        Ok(())
    }

    fn reads_unaligned(&self, at: usize) -> bool {
        !self.halves.contains(&at) && self.kernel.reads_unaligned(at)
    }

    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        for &at in self.halves.iter().filter(|at| !self.kernel.packs().contains(at)) {
            let Some(Some(given)) = inputs.get(at) else { continue };
            let kept = self.weights.get().and_then(|weights| weights.get(at)?.clone());
            let wide = match kept {
                Some(kept) => kept,
                None => Self::widened(run, given.tensor()?)?,
            };
            if let Some(given) = inputs[at].replace(wide.into()) {
                run.arena.reclaim(given);
            }
        }
        let made = self.kernel.run(run, inputs)?;
        let dtypes = self.outputs.iter().copied().chain(std::iter::repeat(None));
        let results = made.into_iter().zip(dtypes).map(|(val, dtype)| match dtype {
            Some(dtype) => Self::rounded(run, val, dtype),
            None => Ok(val),
        });
        results.collect()
    }
}
