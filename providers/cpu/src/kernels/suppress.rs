//! `NonMaxSuppression`.

use remuda_ir::{OpError, Val};
use remuda_kernels::suppress::{Limits, Sizes, suppress};
use remuda_tensor::DType;

use crate::kernel::{Kernel, Preparation, Run, optional, tensor, writable};

struct Suppression {
    by_center: bool,
}

pub(super) fn prepare(preparation: &Preparation<'_>) -> Option<Box<dyn Kernel>> {
    let by_center = preparation.node.attrs.bool_or("center_point_box", false).ok()?;
    Some(Box::new(Suppression { by_center }))
}

/// The only element of an optional input.
fn single<T: remuda_tensor::Element>(
    inputs: &[Option<Val>],
    at: usize,
    name: &str,
) -> Result<Option<T>, OpError> {
    let Some(given) = optional(inputs, at)? else { return Ok(None) };
    match given.to_vec::<T>()?[..] {
        [value] => Ok(Some(value)),
        _ => Err(OpError::Invalid(format!(
            "`{name}` expected one element, got dimensions {:?}",
            given.dims()
        ))),
    }
}

impl Kernel for Suppression {
    fn run(&self, run: &mut Run<'_>, inputs: &mut [Option<Val>]) -> Result<Vec<Val>, OpError> {
        let (boxes, scores) = (tensor(inputs, 0)?.contiguous(), tensor(inputs, 1)?.contiguous());
        let sizes = match (boxes.dims(), scores.dims()) {
            (&[batches, count, 4], &[same, classes, scored])
                if (batches, count) == (same, scored) =>
            {
                Sizes { batches, classes, boxes: count }
            }
            (boxes, scores) => {
                let text = format!("boxes {boxes:?} and scores {scores:?} do not fit each other");
                return Err(OpError::Invalid(text));
            }
        };
        let most = single::<i64>(inputs, 2, "max_output_boxes_per_class")?.unwrap_or(0);
        let limits = Limits {
            most: usize::try_from(most).unwrap_or(0),
            overlap: single(inputs, 3, "iou_threshold")?.unwrap_or(0.0),
            least: single(inputs, 4, "score_threshold")?,
            by_center: self.by_center,
        };
        let kept = suppress(run.context(), boxes.as_slice()?, scores.as_slice()?, sizes, limits);
        let mut out = run.arena.tensor(DType::I64, &[kept.len(), 3])?;
        for (out, index) in writable::<i64>(&mut out)?.iter_mut().zip(kept.as_flattened()) {
            *out = i64::try_from(*index).unwrap_or(i64::MAX);
        }
        Ok(vec![out.into()])
    }
}
