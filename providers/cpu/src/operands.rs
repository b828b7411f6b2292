//! Rows made ready for products with block formats, once for all products that have them as input:
//! queries, keys and values come of the same rows, as do gates and what they let through.

use remuda_ir::OpError;
use remuda_kernels::Context;
use remuda_kernels::block::{Activations, Grain};
use remuda_tensor::Tensor;

/// The rows that were made ready last. Holding on to their tensor keeps anyone from writing to it.
#[derive(Debug, Default)]
pub(crate) struct Operands {
    rows: Option<Tensor>,
    activations: Activations,
}

impl Operands {
    /// Makes the rows of a contiguous tensor ready, `depth` values each, unless they are; gives back
    /// the tensor whose rows they take the place of.
    ///
    /// # Errors
    /// When it is no tensor of f32.
    pub(crate) fn replace(
        &mut self,
        cx: Context<'_>,
        grain: Grain,
        depth: usize,
        rows: &Tensor,
    ) -> Result<Option<Tensor>, OpError> {
        let values = rows.as_slice::<f32>()?;
        let ready = self.activations.grain() == grain && self.activations.depth() == depth;
        if ready && self.holds(values) {
            return Ok(None);
        }
        self.activations.fill(cx, grain, depth, values);
        Ok(self.rows.replace(rows.clone()))
    }

    /// What the rows were made into.
    pub(crate) fn activations(&self) -> &Activations {
        &self.activations
    }

    fn holds(&self, values: &[f32]) -> bool {
        let held = self.rows.as_ref().and_then(|rows| rows.as_slice::<f32>().ok());
        held.is_some_and(|held| std::ptr::eq(held, values))
    }

    /// Lets go of the rows, whose memory others may then write to.
    pub(crate) fn forget(&mut self) -> Option<Tensor> {
        self.rows.take()
    }
}
