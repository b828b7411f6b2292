//! The negative log likelihood of target classes, which two losses share.

use remuda_ir::{Attrs, InferCtx, OpError};
use remuda_tensor::{Dim, Tensor};

use super::array::Array;
use super::normalize::{channel_vector, channels_of};

/// The losses of targets among classes along axis 1 of the logarithms of probabilities, reduced.
pub(crate) fn negative_log_likelihood(
    attrs: &Attrs,
    logs: &Array,
    target: &Tensor,
    weights: Option<&Tensor>,
) -> Result<Array, OpError> {
    let classes = channels_of(logs)?;
    let mut expected = logs.dims.clone();
    expected.remove(1);
    if target.dims() != expected {
        return Err(OpError::Invalid(format!(
            "the target expected {expected:?}, got {:?}",
            target.dims()
        )));
    }
    let weights = weights.map(|weights| channel_vector(weights, "weight", classes)).transpose()?;
    let ignored = attrs.int("ignore_index")?;
    let plane: usize = logs.dims[2..].iter().product();
    let (mut losses, mut total) = (Vec::with_capacity(target.len()), 0.0);
    for (at, &class) in target.to_i64_vec()?.iter().enumerate() {
        if Some(class) == ignored {
            losses.push(0.0);
            continue;
        }
        let class =
            usize::try_from(class).ok().filter(|&class| class < classes).ok_or_else(|| {
                OpError::Invalid(format!("target {class} is outside {classes} classes"))
            })?;
        let weight = weights.as_ref().map_or(1.0, |weights| weights[class]);
        losses.push(-weight * logs.values[(at / plane * classes + class) * plane + at % plane]);
        total += weight;
    }
    let sum: f64 = losses.iter().sum();
    match attrs.text_or("reduction", "mean")? {
        "none" => Ok(Array { dims: expected, values: losses }),
        "sum" => Ok(Array { dims: Vec::new(), values: vec![sum] }),
        "mean" => Ok(Array { dims: Vec::new(), values: vec![sum / total] }),
        other => Err(OpError::Invalid(format!("`reduction` has no value `{other}`"))),
    }
}

/// The dimensions of the reduced loss of targets, which are input 1.
pub(crate) fn loss_dims(ctx: &InferCtx<'_>) -> Result<Option<Vec<Dim>>, OpError> {
    if ctx.attrs().text_or("reduction", "mean")? == "none" {
        return Ok(ctx.dims(1)?.map(<[_]>::to_vec));
    }
    Ok(Some(Vec::new()))
}
