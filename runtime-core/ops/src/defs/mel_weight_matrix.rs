//! `MelWeightMatrix`: weights that sum the bins of a spectrum into triangular bands of equal width on the
//! mel scale.

use remuda_ir::{
    AttrDef, AttrKind, InferCtx, Inferred, InputDef, KernelCtx, OpDef, OpError, OutputDef,
    Tolerance, Traits, Types, Val,
};
use remuda_tensor::{DType, Dim};

use crate::support::array::Array;
use crate::support::dtypes::dtype_attr;
use crate::support::quantize::scalar_f64;
use crate::support::signal::size_input;

pub(crate) static OP: OpDef = OpDef {
    domain: "",
    name: "MelWeightMatrix",
    since: 17,
    upgrades: &[],
    inputs: &[
        InputDef::new("num_mel_bins", Types::INDEX),
        InputDef::new("dft_length", Types::INDEX),
        InputDef::new("sample_rate", Types::INDEX),
        InputDef::new("lower_edge_hertz", Types::FLOATS).tied("T2"),
        InputDef::new("upper_edge_hertz", Types::FLOATS).tied("T2"),
    ],
    outputs: &[OutputDef::new("output")],
    attrs: &[AttrDef::new("output_datatype", AttrKind::Int)],
    traits: Traits::PURE,
    tolerance: Tolerance::Float(1.0),
    infer,
    reference,
    cases: include_str!("mel_weight_matrix.cases"),
};

fn infer(ctx: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    let dtype = dtype_attr(ctx.attrs(), "output_datatype")?.unwrap_or(DType::F32);
    let first = |at: usize| ctx.content(at).and_then(|content| content.first().cloned());
    let bins = first(1).map(|length| length.floor_div(&Dim::Known(2)).add(&Dim::Known(1)));
    let bands = first(0).unwrap_or(Dim::Unknown);
    Ok(vec![Inferred::tensor(dtype, [bins.unwrap_or(Dim::Unknown), bands])])
}

/// The bin of the spectrum at each edge of the bands: two more than there are bands.
fn edges(bands: usize, length: usize, rate: f64, [low, high]: [f64; 2]) -> Vec<f64> {
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let step = (mel(high) - mel(low)) / (bands + 2) as f64;
    let hertz = |edge: usize| 700.0 * (10f64.powf((mel(low) + step * edge as f64) / 2595.0) - 1.0);
    (0..bands + 2).map(|edge| ((length + 1) as f64 * hertz(edge) / rate).floor()).collect()
}

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    let dtype = dtype_attr(ctx.attrs(), "output_datatype")?.unwrap_or(DType::F32);
    let bands = size_input(ctx.tensor(0)?, "num_mel_bins")?;
    let length = size_input(ctx.tensor(1)?, "dft_length")?;
    let rate = size_input(ctx.tensor(2)?, "sample_rate")?.max(1) as f64;
    let hertz = [
        scalar_f64(ctx.tensor(3)?, "lower_edge_hertz")?,
        scalar_f64(ctx.tensor(4)?, "upper_edge_hertz")?,
    ];
    let bins = length / 2 + 1;
    let mut out = Array::filled([bins, bands], 0.0)?;
    let edges = edges(bands, length, rate, hertz);
    let valid = edges.iter().all(|edge| (0.0..bins as f64).contains(edge));
    if bands > 0 && !valid {
        return Err(OpError::invalid("an edge lies outside the spectrum"));
    }
    for band in 0..bands {
        let [low, center, high] = [edges[band], edges[band + 1], edges[band + 2]];
        for bin in low as usize..=(high as usize).max(center as usize) {
            let at = bin as f64;
            let weight = match () {
                () if at == center => 1.0,
                () if at < center => (at - low) / (center - low),
                () if at < high => (high - at) / (high - center),
                () => 0.0,
            };
            out.values[bin * bands + band] = weight;
        }
    }
    Ok(vec![out.to_numbers(dtype)?.into()])
}
