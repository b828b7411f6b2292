//! Values across the contract, without copies.

use std::ffi::c_void;
use std::sync::Arc;

use remuda_abi::{self as abi, Value};
use remuda_ir::{OpError, Val};
use remuda_tensor::{DType, Memory, Tensor};

use crate::keep::{Keep, Plain};
use crate::{borrow_text, dtype_code, dtype_from_code, read_slice, read_text};

/// What hangs on an exported value.
struct Exported {
    val: Val,
    _keep: Keep,
}

pub(crate) unsafe extern "C" fn retain(owner: *mut c_void) {
    // SAFETY: `owner` came from `Arc::into_raw` in `export` and is alive: its holder says so.
    unsafe { Arc::increment_strong_count(owner.cast::<Exported>()) };
}

pub(crate) unsafe extern "C" fn release(owner: *mut c_void) {
    // SAFETY: as above; the reference that is given up was counted.
    unsafe { Arc::decrement_strong_count(owner.cast::<Exported>()) };
}

/// A value as the contract carries it, with one reference that `release(owner)` gives up.
#[must_use]
pub fn export(val: &Val) -> Value {
    let mut keep = Keep::default();
    let mut value = describe(val, &mut keep);
    value.owner =
        Arc::into_raw(Arc::new(Exported { val: contiguous(val), _keep: keep })).cast_mut().cast();
    value.retain = Some(retain);
    value.release = Some(release);
    value
}

/// The same of a result: says whether its memory is the receiver's alone.
#[must_use]
pub fn export_result(mut val: Val) -> Value {
    let unshared = match &mut val {
        Val::Tensor(tensor) => tensor.is_contiguous() && tensor.is_unshared(),
        _ => false,
    };
    Value { flags: if unshared { abi::VALUE_UNSHARED } else { 0 }, ..export(&val) }
}

/// The value with the elements of every tensor together: what raw pointers can describe.
fn contiguous(val: &Val) -> Val {
    match val {
        Val::Tensor(tensor) => tensor.together().into(),
        Val::Sequence(items) => Val::sequence(items.iter().map(contiguous).collect()),
        Val::Optional(item) => Val::Optional(item.as_ref().map(|item| contiguous(item).into())),
        Val::State(_) => val.clone(),
    }
}

/// Describes a value; what the description points to is in `keep` or in the value itself.
pub(crate) fn describe(val: &Val, keep: &mut Keep) -> Value {
    match val {
        Val::Tensor(tensor) => describe_tensor(tensor, keep),
        Val::Sequence(items) => with_items(abi::KIND_SEQUENCE, items, keep),
        Val::Optional(None) => with_items(abi::KIND_OPTIONAL, &[], keep),
        Val::Optional(Some(item)) => {
            with_items(abi::KIND_OPTIONAL, std::slice::from_ref(item), keep)
        }
        // States cross as handles of their own; as a value there is nothing to see.
        Val::State(_) => Value { kind: abi::KIND_STATE, ..Value::none() },
    }
}

fn with_items(kind: u32, items: &[Val], keep: &mut Keep) -> Value {
    let described: Vec<Value> = items.iter().map(|item| describe(item, keep)).collect();
    let mut value = Value { kind, item_count: described.len(), ..Value::none() };
    value.items = keep.structs(described);
    value
}

fn describe_tensor(tensor: &Tensor, keep: &mut Keep) -> Value {
    let tensor = tensor.together();
    let dims: Vec<i64> =
        tensor.dims().iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
    let mut value = Value {
        kind: abi::KIND_TENSOR,
        dtype: dtype_code(tensor.dtype()),
        rank: u32::try_from(dims.len()).unwrap_or(u32::MAX),
        ..Value::none()
    };
    value.dims = keep.slice(dims);
    if tensor.dtype() == DType::String {
        value.texts = keep.structs(tensor.texts().into_iter().map(borrow_text).collect());
    } else if let Some(bytes) = tensor.bytes() {
        value.data = bytes.as_ptr().cast_mut().cast();
        value.bytes = bytes.len() as u64;
    }
    // The tensor that the pointers point into.
    keep.slice(vec![tensor]);
    value
}

/// Memory of the other side: a reference that is given up on drop.
struct Foreign {
    value: Plain<Value>,
    bytes: Plain<(*mut u8, usize)>,
}

impl Memory for Foreign {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the exporter keeps the bytes alive and unchanged while the reference is held.
        unsafe { read_slice(self.bytes.0.0.cast_const(), self.bytes.0.1) }
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let (data, len) = self.bytes.0;
        if self.value.0.flags & abi::VALUE_UNSHARED == 0 || data.is_null() {
            return None;
        }
        // SAFETY: the exporter says that the bytes are ours alone while the reference is held, and `self` is
        // borrowed exclusively.
        Some(unsafe { std::slice::from_raw_parts_mut(data, len) })
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(release) = self.value.0.release {
            // SAFETY: the reference was taken when this was made and is given up once.
            unsafe { release(self.value.0.owner) };
        }
    }
}

/// A value of the other side; its memory stays where it is, held by a reference. Memory that cannot
/// be held is copied.
///
/// # Safety
/// `value` must be as the contract says and alive during the call.
///
/// # Errors
/// When it contradicts itself.
pub unsafe fn import(value: &Value) -> Result<Val, OpError> {
    // Who gave it holds a reference, too.
    let value = Value { flags: 0, ..*value };
    // SAFETY: handed on to the caller.
    unsafe { import_within(&value, &value) }
}

/// As [`import`], for a value that comes with a reference: that is taken over.
///
/// # Safety
/// As for [`import`]; the caller gives up its reference.
///
/// # Errors
/// When it contradicts itself.
pub unsafe fn import_owned(value: &Value) -> Result<Val, OpError> {
    // SAFETY: handed on to the caller.
    let result = unsafe { import_within(value, value) };
    if let Some(release) = value.release {
        // SAFETY: the caller's reference, given up once.
        unsafe { release(value.owner) };
    }
    result
}

/// `outer` is the value that owns the memory: items have no owner of their own.
unsafe fn import_within(value: &Value, outer: &Value) -> Result<Val, OpError> {
    // A value of this very library: no wrapping, so that a value that goes to and fro stays itself.
    let ours = outer.release.is_some_and(|found| {
        std::ptr::fn_addr_eq(found, release as unsafe extern "C" fn(*mut c_void))
    });
    if ours && std::ptr::eq(value, outer) {
        // SAFETY: `owner` came from `export` and is alive during the call.
        return Ok(unsafe { &*outer.owner.cast::<Exported>() }.val.clone());
    }
    match value.kind {
        // SAFETY: handed on to the caller.
        abi::KIND_TENSOR => unsafe { import_tensor(value, outer) }.map(Val::from),
        abi::KIND_SEQUENCE | abi::KIND_OPTIONAL => {
            // SAFETY: handed on to the caller.
            let items = unsafe { read_slice(value.items, value.item_count) };
            // SAFETY: handed on to the caller.
            let mut items = items.iter().map(|item| unsafe { import_within(item, outer) });
            if value.kind == abi::KIND_SEQUENCE {
                return Ok(Val::sequence(items.collect::<Result<_, _>>()?));
            }
            Ok(Val::Optional(items.next().transpose()?.map(Arc::new)))
        }
        other => Err(OpError::Invalid(format!("expected a value, got kind {other}"))),
    }
}

unsafe fn import_tensor(value: &Value, outer: &Value) -> Result<Tensor, OpError> {
    let dtype = dtype_from_code(value.dtype).ok_or_else(|| {
        OpError::Invalid(format!("element type {} is none of the contract", value.dtype))
    })?;
    // SAFETY: handed on to the caller.
    let dims = unsafe { read_slice(value.dims, value.rank as usize) };
    let dims = dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| OpError::invalid("a dimension is negative"))?;
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    if dtype == DType::String {
        let count = count.ok_or_else(|| OpError::invalid("dimensions overflow"))?;
        if value.texts.is_null() && count > 0 {
            return Err(OpError::invalid("a tensor of texts has no texts"));
        }
        // SAFETY: handed on to the caller: there are as many texts as elements.
        let texts = unsafe { read_slice(value.texts, count) };
        // SAFETY: handed on to the caller.
        let texts = texts.iter().map(|&text| unsafe { read_text(text) }).collect();
        return Ok(Tensor::from_strings(dims, texts)?);
    }
    let len =
        usize::try_from(value.bytes).map_err(|_| OpError::invalid("a tensor is too large"))?;
    if value.data.is_null() && len > 0 {
        return Err(OpError::invalid("a tensor has no data in host memory"));
    }
    let (Some(keep), Some(_)) = (outer.retain, outer.release) else {
        // SAFETY: handed on to the caller.
        let bytes = unsafe { read_slice(value.data.cast_const().cast::<u8>(), len) };
        return Ok(Tensor::from_bytes(dtype, dims, bytes)?);
    };
    // SAFETY: the value is alive during the call, so a reference may be taken.
    unsafe { keep(outer.owner) };
    // Whatever is said of the whole is said of a part of it only by itself.
    let owner = Value { flags: value.flags, ..*outer };
    let foreign = Foreign { value: Plain(owner), bytes: Plain((value.data.cast(), len)) };
    Ok(Tensor::from_memory(dtype, dims, Arc::new(foreign))?)
}
