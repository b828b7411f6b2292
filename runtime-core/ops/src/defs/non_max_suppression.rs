//! `NonMaxSuppression`: for each batch and class the best boxes by score, leaving out those that overlap a
//! better one too much.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim, Tensor};

use crate::support::array::{positions, with_rank};
use crate::support::quantize::{scalar_f64, scalar_or};
use crate::support::scalar_i64;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "NonMaxSuppression",
    since: 10,
    upgrades: &[],
    inputs: &[
        InputDef::new("boxes", Types::one(DType::F32)),
        InputDef::new("scores", Types::one(DType::F32)),
        InputDef::optional("max_output_boxes_per_class", Types::I64).tied(""),
        InputDef::optional("iou_threshold", Types::one(DType::F32)),
        InputDef::optional("score_threshold", Types::one(DType::F32)),
    ],
    outputs: &[OutputDef::new("selected_indices")],
    attrs: &[AttrDef::new("center_point_box", AttrKind::Int)],
    traits: Traits::DATA_DEPENDENT,
    tolerance: Tolerance::Exact,
    infer,
    reference,
    cases: include_str!("non_max_suppression.cases"),
};

fn infer(_ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Ok(vec![Inferred::tensor(DType::I64, [Dim::Unknown, Dim::Known(3)])])
}

/// A box by its corners, the lesser first.
#[derive(Clone, Copy)]
struct Corners {
    y: (f32, f32),
    x: (f32, f32),
}

impl Corners {
    fn of(numbers: &[f32], by_center: bool) -> Self {
        let [a, b, c, d] = [numbers[0], numbers[1], numbers[2], numbers[3]];
        if by_center {
            return Self { x: (a - c / 2.0, a + c / 2.0), y: (b - d / 2.0, b + d / 2.0) };
        }
        Self { y: (a.min(c), a.max(c)), x: (b.min(d), b.max(d)) }
    }

    fn area(self) -> f32 {
        (self.y.1 - self.y.0) * (self.x.1 - self.x.0)
    }

    /// The area of the intersection over that of the union.
    fn overlap(self, other: Self) -> f32 {
        let height = self.y.1.min(other.y.1) - self.y.0.max(other.y.0);
        let width = self.x.1.min(other.x.1) - self.x.0.max(other.x.0);
        let shared = height.max(0.0) * width.max(0.0);
        let union = self.area() + other.area() - shared;
        if shared > 0.0 && union > 0.0 { shared / union } else { 0.0 }
    }
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let (boxes, scores) = (ctx.tensor(0)?, ctx.tensor(1)?);
    let [batches, count, four] = with_rank(boxes.dims(), "boxes")?;
    let [batches_s, classes, count_s] = with_rank(scores.dims(), "scores")?;
    if (batches, count) != (batches_s, count_s) || four != 4 {
        let text = format!(
            "boxes {:?} and scores {:?} do not fit each other",
            boxes.dims(),
            scores.dims()
        );
        return Err(OpError::Invalid(text));
    }
    let by_center = ctx.attrs().bool_or("center_point_box", false)?;
    let (boxes, scores) = (boxes.to_vec::<f32>()?, scores.to_vec::<f32>()?);
    let most = ctx.opt_tensor(2)?.map_or(Ok(0), scalar_i64)?;
    let most = usize::try_from(most).unwrap_or(0);
    let overlap = scalar_or(ctx.opt_tensor(3)?, "iou_threshold", 0.0)? as f32;
    let least =
        ctx.opt_tensor(4)?.map(|tensor| scalar_f64(tensor, "score_threshold")).transpose()?;
    let mut chosen: Vec<i64> = Vec::new();
    for place in positions(&[batches, classes]) {
        let (batch, class) = (place[0], place[1]);
        let scores = &scores[(batch * classes + class) * count..][..count];
        let boxes = &boxes[batch * count * 4..][..count * 4];
        let mut order: Vec<usize> = (0..count).collect();
        order.retain(|&at| least.is_none_or(|least| scores[at] > least as f32));
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut kept: Vec<Corners> = Vec::new();
        for at in order {
            if kept.len() >= most {
                break;
            }
            let corners = Corners::of(&boxes[at * 4..][..4], by_center);
            if kept.iter().all(|better| corners.overlap(*better) <= overlap) {
                kept.push(corners);
                chosen.extend([batch as i64, class as i64, at as i64]);
            }
        }
    }
    Ok(vec![Tensor::from_vec([chosen.len() / 3, 3], chosen)?.into()])
}
