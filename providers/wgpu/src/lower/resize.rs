//! Resizing, along one axis after the other.

use remuda_ops::{ResizeInputs, resize_taps};
use remuda_sdk::ir::Node;

use super::{Lowering, Refusal, attribute, refuse};
use crate::shaders::Elem;

/// Places along an axis; what makes each of them is listed.
const MOST_PLACES: usize = 1 << 20;

pub(super) fn resize(lowering: &mut Lowering<'_>, node: &Node) -> Result<(), Refusal> {
    let mut y = lowering.floats(node, 0)?;
    if let Some(size) = lowering.dims_out(node, 0)?.into_iter().find(|&size| size > MOST_PLACES) {
        return Err(refuse("memory", format!("an axis is resized to {size} places")));
    }
    let inputs = ResizeInputs {
        roi: lowering.known(node, 1)?,
        scales: lowering.known(node, 2)?,
        sizes: lowering.known(node, 3)?,
    };
    let taps = resize_taps(&node.attrs, &y.dims, &inputs).map_err(attribute)?;
    let outside = node.attrs.float_or("extrapolation_value", 0.0).map_err(attribute)?;
    for (axis, places) in taps.iter().enumerate() {
        let Some(places) = places else { continue };
        let mut dims = y.dims.clone();
        dims[axis] = places.len();
        let (lines, inner) = (y.dims[..axis].iter().product(), y.dims[axis + 1..].iter().product());
        let sizes = [lines, y.dims[axis], inner];
        let dispatch = crate::shaders::resize(y.view.elem, sizes, places, outside);
        let resized = lowering.work(Elem::F32, dims)?;
        lowering.launch(dispatch, &[y.bound()], &[resized.bound()])?;
        y = resized;
    }
    lowering.set_part(node, 0, y)
}
