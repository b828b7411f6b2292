//! Types and constants of the contract in C.

use anyhow::{Result, bail};
use syn::{BinOp, Expr, GenericArgument, Lit, PathArguments, ReturnType, Type, UnOp};

/// The C name of a type: `DeviceInfo` is `remuda_device_info`, `StreamHandle` is `remuda_stream`.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::from("remuda");
    for letter in name.trim_end_matches("Handle").chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The last name of a path: `Str` of `crate::Str`.
fn last(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last().map(|segment| segment.ident.to_string())
}

/// What is in an `Option`.
pub(super) fn option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

/// The struct that a field holds by value, or the item of an array of such.
pub(super) fn embedded(ty: &Type) -> Option<String> {
    match ty {
        Type::Array(array) => embedded(&array.elem),
        Type::Path(_) if option(ty).is_none() => last(ty),
        _ => None,
    }
}

/// A declaration of `name` as a `ty`.
pub(super) fn declare(ty: &Type, name: &str) -> Result<String> {
    match ty {
        Type::Ptr(pointer) => {
            let spot = format!("*{name}");
            if pointer.const_token.is_none() {
                return declare(&pointer.elem, &spot);
            }
            match &*pointer.elem {
                Type::Ptr(_) => declare(&pointer.elem, &format!("const {spot}")),
                inner => Ok(format!("const {}", declare(inner, &spot)?)),
            }
        }
        Type::Array(array) => {
            let Some(length) = number(&array.len) else { bail!("an array has no plain length") };
            declare(&array.elem, &format!("{name}[{length}]"))
        }
        Type::BareFn(function) => {
            let mut inputs = Vec::new();
            for input in &function.inputs {
                let name =
                    input.name.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default();
                inputs.push(declare(&input.ty, &name)?);
            }
            if inputs.is_empty() {
                inputs.push("void".to_owned());
            }
            let spot = format!("(*{name})({})", inputs.join(", "));
            match &function.output {
                ReturnType::Default => Ok(format!("void {spot}")),
                ReturnType::Type(_, output) => declare(output, &spot),
            }
        }
        _ => {
            let Some(rust) = last(ty) else { bail!("`{name}` is of a kind that has no rule in C") };
            let plain = match rust.as_str() {
                "u8" => "uint8_t",
                "u32" => "uint32_t",
                "u64" => "uint64_t",
                "i64" => "int64_t",
                "usize" => "size_t",
                "f32" => "float",
                "f64" => "double",
                "c_void" => "void",
                other => &snake(other),
            };
            Ok(format!("{plain} {name}").trim_end().to_owned())
        }
    }
}

/// The value of a constant, in C; none for texts.
pub(super) fn constant(ty: &Type, value: &Expr) -> Option<String> {
    let ty = last(ty)?;
    let suffixed = |number: &str| match ty.as_str() {
        "u64" => format!("UINT64_C({number})"),
        "u32" => format!("UINT32_C({number})"),
        "i64" => format!("INT64_C({number})"),
        _ => number.to_owned(),
    };
    match value {
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            Some(format!("(-{})", suffixed(&number(&unary.expr)?)))
        }
        Expr::Binary(binary) => {
            let sign = match binary.op {
                BinOp::Shl(_) => "<<",
                BinOp::Mul(_) => "*",
                _ => return None,
            };
            Some(format!(
                "({} {sign} {})",
                suffixed(&number(&binary.left)?),
                number(&binary.right)?
            ))
        }
        Expr::Path(path) if path.path.segments.last()?.ident == "MAX" => {
            Some(format!("{}_MAX", ty.replace('u', "UINT")))
        }
        literal => Some(suffixed(&number(literal)?)),
    }
}

fn number(value: &Expr) -> Option<String> {
    let Expr::Lit(literal) = value else { return None };
    let Lit::Int(number) = &literal.lit else { return None };
    let digits = number.to_string().replace('_', "");
    Some(digits)
}
