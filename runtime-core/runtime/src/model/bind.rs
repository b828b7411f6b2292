//! Checks what a run is given and asked for against what the model says.

use remuda_base::{Map, nearest};
use remuda_ir::{Val, ValueType};
use remuda_tensor::{Dim, Tensor, TensorType};

use crate::{Error, Port};

/// The values in the order of the model's inputs.
pub(super) fn inputs(ports: &[Port], given: Vec<(String, Val)>) -> Result<Vec<Val>, Error> {
    let mut by_name: Map<String, Val> = Map::new();
    for (name, val) in given {
        if !ports.iter().any(|port| port.name == name) {
            return Err(Error::Input(unknown("input", &name, ports)));
        }
        if by_name.contains_key(&name) {
            return Err(Error::Input(format!("input `{name}` is given twice")));
        }
        by_name.insert(name, val);
    }
    let mut sizes = Map::new();
    ports
        .iter()
        .map(|port| {
            let val = by_name.remove(&port.name).ok_or_else(|| {
                let ty =
                    port.ty.as_ref().map_or_else(|| "anything".to_owned(), ToString::to_string);
                Error::Input(format!("input `{}` is missing, expected {ty}", port.name))
            })?;
            if let Some(ty) = &port.ty {
                fits(ty, &val, &mut sizes)
                    .map_err(|problem| Error::Input(format!("input `{}`: {problem}", port.name)))?;
            }
            Ok(val)
        })
        .collect()
}

/// The places of the wanted outputs.
pub(super) fn outputs(ports: &[Port], wanted: Option<&[&str]>) -> Result<Vec<usize>, Error> {
    let Some(wanted) = wanted else { return Ok((0..ports.len()).collect()) };
    let place = |name: &&str| {
        let at = ports.iter().position(|port| port.name == **name);
        at.ok_or_else(|| Error::Input(unknown("output", name, ports)))
    };
    wanted.iter().map(place).collect()
}

fn unknown(what: &str, name: &str, ports: &[Port]) -> String {
    let names = || ports.iter().map(|port| port.name.as_str());
    let hint =
        nearest(name, names()).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    let list: Vec<_> = names().collect();
    format!("the model has no {what} `{name}`, only: {}{hint}", list.join(", "))
}

/// Sizes that symbols were bound to, and by which dimension text.
type Sizes = Map<Dim, usize>;

fn fits(ty: &ValueType, val: &Val, sizes: &mut Sizes) -> Result<(), String> {
    match (ty, val) {
        (ValueType::Tensor(ty), Val::Tensor(tensor)) => tensor_fits(ty, tensor, sizes),
        (ValueType::Sequence(item), Val::Sequence(items)) => {
            // Items of a sequence may differ in their dimensions.
            items.iter().try_for_each(|val| fits(item, val, &mut Sizes::new()))
        }
        (ValueType::Optional(item), Val::Optional(val)) => {
            val.as_ref().map_or(Ok(()), |val| fits(item, val, sizes))
        }
        // A caller need not wrap a value that is there.
        (ValueType::Optional(item), val) => fits(item, val, sizes),
        _ => Err(format!("expected {ty}, got {}", val.kind())),
    }
}

fn tensor_fits(ty: &TensorType, tensor: &Tensor, sizes: &mut Sizes) -> Result<(), String> {
    let got = || format!("{}{:?}", tensor.dtype(), tensor.dims());
    if ty.dtype != tensor.dtype() {
        return Err(format!("expected {ty}, got {}", got()));
    }
    let Some(dims) = &ty.dims else { return Ok(()) };
    if dims.len() != tensor.rank() {
        return Err(format!("expected {ty} of {} dimensions, got {}", dims.len(), got()));
    }
    for (axis, (dim, &size)) in dims.iter().zip(tensor.dims()).enumerate() {
        match dim {
            Dim::Known(_) if dim.as_usize() != Some(size) => {
                return Err(format!(
                    "expected {ty}, got {} (axis {axis} is {size}, not {dim})",
                    got()
                ));
            }
            Dim::Expr(_) => {
                let bound = *sizes.entry(dim.clone()).or_insert(size);
                if bound != size {
                    return Err(format!(
                        "expected {ty}, got {} (`{dim}` is {bound} elsewhere)",
                        got()
                    ));
                }
            }
            Dim::Known(_) | Dim::Unknown => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{inputs, outputs};
    use crate::{DType, Dim, Port, Tensor, TensorType};

    fn port(name: &str, dims: &[Dim]) -> Port {
        Port {
            name: name.to_owned(),
            ty: Some(TensorType::new(DType::F32, dims.iter().cloned()).into()),
        }
    }

    fn message(given: Vec<(&str, Tensor)>) -> String {
        let ports = [
            port("image", &[Dim::symbol("batch"), Dim::Known(2)]),
            port("mask", &[Dim::symbol("batch")]),
        ];
        let given =
            given.into_iter().map(|(name, tensor)| (name.to_owned(), tensor.into())).collect();
        inputs(&ports, given).unwrap_err().to_string()
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_was_expected() {
        let zeros = |dims: &[usize]| Tensor::zeros(DType::F32, dims).unwrap();
        let cases = [
            (
                vec![("imag", zeros(&[1, 2]))],
                "the model has no input `imag`, only: image, mask, did you mean `image`?",
            ),
            (vec![("image", zeros(&[1, 2]))], "input `mask` is missing, expected f32[batch]"),
            (
                vec![("image", zeros(&[1, 2])), ("image", zeros(&[1, 2]))],
                "input `image` is given twice",
            ),
            (
                vec![("image", zeros(&[1, 3])), ("mask", zeros(&[1]))],
                "input `image`: expected f32[batch, 2], got f32[1, 3] (axis 1 is 3, not 2)",
            ),
            (
                vec![("image", zeros(&[3, 2])), ("mask", zeros(&[1]))],
                "input `mask`: expected f32[batch], got f32[1] (`batch` is 3 elsewhere)",
            ),
            (
                vec![("image", zeros(&[2])), ("mask", zeros(&[1]))],
                "input `image`: expected f32[batch, 2] of 2 dimensions, got f32[2]",
            ),
            (
                vec![("image", Tensor::zeros(DType::I64, [1, 2]).unwrap()), ("mask", zeros(&[1]))],
                "input `image`: expected f32[batch, 2], got i64[1, 2]",
            ),
        ];
        for (given, want) in cases {
            assert_eq!(message(given), want);
        }
    }

    #[test]
    fn an_unknown_output_is_refused() {
        let error = outputs(&[port("y", &[])], Some(&["z"])).unwrap_err();
        assert_eq!(error.to_string(), "the model has no output `z`, only: y, did you mean `y`?");
    }
}
