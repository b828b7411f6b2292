//! Tensors across the library's border, without copies: inputs are borrowed, outputs stay in the memory
//! that the library gave them. Only texts are copied.

use std::ffi::CString;
use std::sync::Arc;

use ort_sys::{
    ONNXTensorElementDataType, OrtAllocator, OrtMemType, OrtMemoryInfo, OrtTensorTypeAndShapeInfo,
    OrtValue,
};
use remuda_sdk::tensor::{DType, Memory, Tensor};

use super::{Api, Handle, OrtError};

/// The dtypes that both sides know. The library's numbers are ONNX's.
const DTYPES: &[(DType, ONNXTensorElementDataType)] = {
    use ONNXTensorElementDataType as Ort;
    &[
        (DType::F32, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT),
        (DType::U8, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8),
        (DType::I8, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8),
        (DType::U16, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16),
        (DType::I16, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16),
        (DType::I32, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32),
        (DType::I64, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64),
        (DType::String, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING),
        (DType::Bool, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL),
        (DType::F16, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16),
        (DType::F64, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE),
        (DType::U32, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32),
        (DType::U64, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64),
        (DType::BF16, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16),
        (DType::F8E4M3FN, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN),
        (DType::F8E4M3FNUZ, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ),
        (DType::F8E5M2, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2),
        (DType::F8E5M2FNUZ, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ),
        (DType::U4, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4),
        (DType::I4, Ort::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4),
    ]
};

/// Whether tensors of this dtype can be handed over.
pub(crate) fn is_known(dtype: DType) -> bool {
    element_type(dtype).is_some()
}

/// The number of a dtype in ONNX's files; 0 for what is not known.
pub(crate) fn dtype_number(dtype: DType) -> i64 {
    element_type(dtype).map_or(0, |kind| i64::from(kind as i32))
}

/// The library's word for a dtype.
pub(super) fn element_type(dtype: DType) -> Option<ONNXTensorElementDataType> {
    DTYPES.iter().find(|(known, _)| *known == dtype).map(|&(_, ort)| ort)
}

fn unknown(dtype: &dyn std::fmt::Display) -> OrtError {
    OrtError { code: 9, text: format!("tensors of `{dtype}` cannot be handed over") }
}

/// The library's view of a tensor of ours, which it keeps alive.
pub(crate) struct InputValue {
    pub(super) handle: Handle<OrtValue>,
    /// What it looks at.
    pub(super) tensor: Tensor,
}

impl Api {
    fn host_memory(&self) -> Result<Handle<OrtMemoryInfo>, OrtError> {
        let kind = ort_sys::OrtAllocatorType::OrtDeviceAllocator;
        self.make(self.raw.ReleaseMemoryInfo, |out| {
            // SAFETY: a place to be written.
            unsafe { (self.raw.CreateCpuMemoryInfo)(kind, OrtMemType::OrtMemTypeDefault, out) }
        })
    }

    /// A tensor as the library sees it.
    pub(crate) fn input(&self, tensor: &Tensor) -> Result<InputValue, OrtError> {
        let dtype = tensor.dtype();
        let kind = element_type(dtype).ok_or_else(|| unknown(&dtype.name()))?;
        let dims: Vec<i64> =
            tensor.dims().iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
        if dtype == DType::String {
            let handle = self.text_value(tensor, &dims, kind)?;
            return Ok(InputValue { handle, tensor: tensor.clone() });
        }
        let tensor = tensor.contiguous();
        let bytes = tensor.bytes().unwrap_or(&[]);
        let info = self.host_memory()?;
        // SAFETY: the bytes live as long as the tensor beside the handle; inputs are not written to.
        let handle = self.make(self.raw.ReleaseValue, |out| unsafe {
            (self.raw.CreateTensorWithDataAsOrtValue)(
                info.raw,
                bytes.as_ptr().cast_mut().cast(),
                bytes.len(),
                dims.as_ptr(),
                dims.len(),
                kind,
                out,
            )
        })?;
        Ok(InputValue { handle, tensor })
    }

    fn text_value(
        &self,
        tensor: &Tensor,
        dims: &[i64],
        kind: ONNXTensorElementDataType,
    ) -> Result<Handle<OrtValue>, OrtError> {
        let mut allocator: *mut OrtAllocator = std::ptr::null_mut();
        // SAFETY: a place to be written.
        self.check(unsafe { (self.raw.GetAllocatorWithDefaultOptions)(&raw mut allocator) })?;
        // SAFETY: the allocator is the library's and static.
        let value = self.make(self.raw.ReleaseValue, |out| unsafe {
            (self.raw.CreateTensorAsOrtValue)(allocator, dims.as_ptr(), dims.len(), kind, out)
        })?;
        let zero = |_| OrtError { code: 9, text: "a text holds a zero".to_owned() };
        let texts = tensor.texts().into_iter().map(CString::new);
        let texts = texts.collect::<Result<Vec<_>, _>>().map_err(zero)?;
        let pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
        // SAFETY: as many texts as the value has elements.
        self.check(unsafe {
            (self.raw.FillStringTensor)(value.raw, pointers.as_ptr(), pointers.len())
        })?;
        Ok(value)
    }

    /// A tensor over what a run made.
    pub(super) fn output(&self, value: Handle<OrtValue>) -> Result<Tensor, OrtError> {
        let (dtype, dims) = self.type_of(&value)?;
        let failed = |error: &dyn std::fmt::Display| OrtError { code: 1, text: error.to_string() };
        let count: usize = dims.iter().product();
        if dtype == DType::String {
            let texts = self.texts_of(&value, count)?;
            return Tensor::from_strings(dims, texts).map_err(|error| failed(&error));
        }
        let mut data = std::ptr::null_mut();
        // SAFETY: the value is a tensor; a place to be written.
        self.check(unsafe { (self.raw.GetTensorMutableData)(value.raw, &raw mut data) })?;
        let bytes = dtype.bytes_for(count).unwrap_or(0);
        let memory = Output { data: data.cast(), bytes, _value: value };
        Tensor::from_memory(dtype, dims, Arc::new(memory)).map_err(|error| failed(&error))
    }

    fn type_of(&self, value: &Handle<OrtValue>) -> Result<(DType, Vec<usize>), OrtError> {
        let info: Handle<OrtTensorTypeAndShapeInfo> =
            self.make(self.raw.ReleaseTensorTypeAndShapeInfo, |out| {
                // SAFETY: the value lives; anything but a tensor is an error.
                unsafe { (self.raw.GetTensorTypeAndShape)(value.raw, out) }
            })?;
        let mut kind: i32 = 0;
        // SAFETY: newer libraries have types that the enumeration lacks, so the type is read as a
        // number, which has its representation.
        self.check(unsafe { (self.raw.GetTensorElementType)(info.raw, (&raw mut kind).cast()) })?;
        let dtype = DTYPES.iter().find(|&&(_, known)| known as i32 == kind);
        let dtype = dtype.ok_or_else(|| unknown(&kind))?.0;
        let mut rank = 0;
        // SAFETY: a place to be written.
        self.check(unsafe { (self.raw.GetDimensionsCount)(info.raw, &raw mut rank) })?;
        let mut dims = vec![0i64; rank];
        // SAFETY: `rank` places to be written.
        self.check(unsafe { (self.raw.GetDimensions)(info.raw, dims.as_mut_ptr(), rank) })?;
        Ok((dtype, dims.into_iter().map(|dim| usize::try_from(dim).unwrap_or(0)).collect()))
    }

    fn texts_of(&self, value: &Handle<OrtValue>, count: usize) -> Result<Vec<String>, OrtError> {
        let mut bytes = 0;
        // SAFETY: the value is a tensor of texts; a place to be written.
        self.check(unsafe { (self.raw.GetStringTensorDataLength)(value.raw, &raw mut bytes) })?;
        let (mut data, mut starts) = (vec![0u8; bytes], vec![0usize; count]);
        // SAFETY: as many places as are told.
        self.check(unsafe {
            (self.raw.GetStringTensorContent)(
                value.raw,
                data.as_mut_ptr().cast(),
                bytes,
                starts.as_mut_ptr(),
                count,
            )
        })?;
        let ends = starts.iter().skip(1).copied().chain([bytes]);
        let text = |(start, end): (usize, usize)| {
            String::from_utf8_lossy(data.get(start..end).unwrap_or(&[])).into_owned()
        };
        Ok(starts.iter().copied().zip(ends).map(text).collect())
    }
}

/// Memory of a value that a run made, and that nobody else has.
struct Output {
    data: *mut u8,
    bytes: usize,
    _value: Handle<OrtValue>,
}

// SAFETY: the memory is plain, and the run that wrote it has ended.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

impl Memory for Output {
    fn bytes(&self) -> &[u8] {
        if self.bytes == 0 || self.data.is_null() {
            return &[];
        }
        // SAFETY: the value holds so many bytes as its type and dimensions say, and lives.
        unsafe { std::slice::from_raw_parts(self.data, self.bytes) }
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if self.data.is_null() {
            return None;
        }
        // SAFETY: as above, and `self`, which alone has the value, is borrowed exclusively.
        Some(unsafe { std::slice::from_raw_parts_mut(self.data, self.bytes) })
    }
}
