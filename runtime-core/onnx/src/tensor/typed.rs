//! Elements in the typed fields of a `TensorProto`.

use std::sync::Arc;

use remuda_tensor::{DType, Tensor, packed};

use super::{Bytes, Extent};
use crate::error::{ImportError, Result};
use crate::wire::{Field, Message};

/// The field in which elements of a dtype lie.
fn field_number(dtype: DType) -> u32 {
    match dtype {
        DType::F32 | DType::C64 => 4,
        DType::String => 6,
        DType::I64 => 7,
        DType::F64 | DType::C128 => 10,
        DType::U32 | DType::U64 => 11,
        _ => 5,
    }
}

/// The tensor whose elements lie in the fields of this message.
pub(super) fn decode(message: Message<'_>, extent: Extent) -> Result<Tensor> {
    let wanted = field_number(extent.dtype);
    let fields =
        message.fields().filter(|field| field.as_ref().map_or(true, |f| f.number == wanted));
    if extent.dtype == DType::String {
        return texts(message, fields, extent);
    }
    if extent.dtype.bits() == 6 {
        return six_bits(fields, extent);
    }
    let mut target = Target { bytes: Vec::new(), expected: extent.bytes() };
    for field in fields {
        append(&mut target, &field?, extent.dtype)?;
    }
    let bits = target.bytes.len().saturating_mul(8);
    let got = bits.checked_div(extent.dtype.bits()).unwrap_or(0);
    // The last byte of packed elements may have room for more.
    if target.bytes.len() != target.expected {
        extent.expect(got)?;
    }
    Ok(Tensor::from_memory(extent.dtype, extent.dims, Arc::new(Bytes(target.bytes)))?)
}

/// Elements of 6 bits have an integer each, unlike those of 4 and 2 bits, which share one.
fn six_bits<'a>(fields: impl Iterator<Item = Result<Field<'a>>>, extent: Extent) -> Result<Tensor> {
    let dtype = extent.dtype;
    let mut target = Target { bytes: Vec::new(), expected: extent.elements };
    for field in fields {
        field?.ints(|value| {
            let [code] = low_bits::<1>(value)
                .filter(|code| code[0] < 1 << 6)
                .ok_or_else(|| out_of_range(value, dtype))?;
            target.push(&[code])
        })?;
    }
    extent.expect(target.bytes.len())?;
    let codes: Vec<i8> = target.bytes.into_iter().map(u8::cast_signed).collect();
    Ok(Tensor::from_bytes(dtype, extent.dims, &packed::pack(dtype, &codes))?)
}

/// The bytes of the elements so far; never more than one element longer than expected.
struct Target {
    bytes: Vec<u8>,
    expected: usize,
}

impl Target {
    fn push(&mut self, element: &[u8]) -> Result<()> {
        if self.bytes.len() > self.expected {
            return Err(ImportError::invalid("it holds more elements than its dimensions say"));
        }
        self.bytes.extend_from_slice(element);
        Ok(())
    }
}

fn append(target: &mut Target, field: &Field<'_>, dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 | DType::C64 => field.fixed32(|bytes| target.push(&bytes)),
        DType::F64 | DType::C128 => field.fixed64(|bytes| target.push(&bytes)),
        DType::I64 | DType::U64 => field.ints(|value| target.push(&value.to_le_bytes())),
        DType::I32 => field.ints(|value| {
            let value =
                i32::try_from(value.cast_signed()).map_err(|_| out_of_range(value, dtype))?;
            target.push(&value.to_le_bytes())
        }),
        DType::U32 => field.ints(|value| {
            let value = u32::try_from(value).map_err(|_| out_of_range(value, dtype))?;
            target.push(&value.to_le_bytes())
        }),
        _ if dtype.bits() == 16 => field.ints(|value| {
            target.push(&low_bits::<2>(value).ok_or_else(|| out_of_range(value, dtype))?)
        }),
        _ => field.ints(|value| {
            target.push(&low_bits::<1>(value).ok_or_else(|| out_of_range(value, dtype))?)
        }),
    }
}

/// The low bytes of a value that fits them, signed or not.
fn low_bits<const N: usize>(value: u64) -> Option<[u8; N]> {
    let low: [u8; N] = *value.to_le_bytes().first_chunk()?;
    let high = value.to_le_bytes();
    let (low_part, rest) = high.split_at_checked(N)?;
    let sign = if low_part.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let fits = rest.iter().all(|&byte| byte == 0) || rest.iter().all(|&byte| byte == sign);
    fits.then_some(low)
}

fn out_of_range(value: u64, dtype: DType) -> ImportError {
    let value = value.cast_signed();
    ImportError::invalid(format!("an element is {value}, which `{dtype}` does not hold"))
}

fn texts<'a>(
    message: Message<'a>,
    fields: impl Iterator<Item = Result<Field<'a>>>,
    extent: Extent,
) -> Result<Tensor> {
    let mut texts: Vec<String> = Vec::new();
    for field in fields {
        let text = field?.text()?;
        message.budget.charge(text.len())?;
        message.budget.push(&mut texts, text.to_owned())?;
    }
    extent.expect(texts.len())?;
    Ok(Tensor::from_strings(extent.dims, texts)?)
}
