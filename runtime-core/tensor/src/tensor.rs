//! The tensor: a read-only, strided view of shared memory.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::index::{Offsets, contiguous_strides};
use crate::storage::{AlignedBytes, Memory, Storage, VecMemory, cast, cast_mut};
use crate::{DType, Element, TensorError, packed};

mod views;

/// A read-only, strided view of shared memory. Cloning copies no elements.
///
/// Elements of packed dtypes, block formats and contiguous views lie in row-major order; other views
/// may stride. Offsets and strides count elements.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    dims: Vec<usize>,
    strides: Vec<isize>,
    offset: usize,
    storage: Storage,
}

/// The number of elements of these dimensions, if it can be addressed. Those beside a zero count
/// too, so that no product of some of the dimensions ever overflows.
fn element_count(dtype: DType, dims: &[usize]) -> Result<usize, TensorError> {
    dims.iter()
        .try_fold(1usize, |count, &dim| count.checked_mul(dim.max(1)))
        .filter(|&count| isize::try_from(count).is_ok())
        .ok_or_else(|| TensorError::TooLarge { dtype, dims: dims.to_vec() })?;
    Ok(dims.iter().product())
}

/// The number of bytes of these dimensions, if it can be addressed.
fn byte_count(dtype: DType, dims: &[usize]) -> Result<usize, TensorError> {
    let too_large = || TensorError::TooLarge { dtype, dims: dims.to_vec() };
    let count = element_count(dtype, dims)?;
    if let DType::Block(block) = dtype {
        let per_block = block.format().elements;
        if !dims.last().is_some_and(|row| row.is_multiple_of(per_block)) {
            let text = format!(
                "rows of `{dtype}` hold a multiple of {per_block} elements, got dimensions {dims:?}"
            );
            return Err(TensorError::Shape(text));
        }
    }
    dtype.bytes_for(count).filter(|&bytes| isize::try_from(bytes).is_ok()).ok_or_else(too_large)
}

impl Tensor {
    fn contiguous_view(dtype: DType, dims: Vec<usize>, storage: Storage) -> Self {
        Self { dtype, strides: contiguous_strides(&dims), dims, offset: 0, storage }
    }

    /// A tensor of these values.
    ///
    /// # Errors
    /// When there are more or fewer values than `dims` says.
    pub fn from_vec<T: Element>(
        dims: impl Into<Vec<usize>>,
        values: Vec<T>,
    ) -> Result<Self, TensorError> {
        let dims = dims.into();
        let (expected, got) = (byte_count(T::DTYPE, &dims)?, size_of_val(&values[..]));
        if expected != got {
            return Err(TensorError::Length { dtype: T::DTYPE, dims, expected, got });
        }
        Ok(Self::contiguous_view(T::DTYPE, dims, Storage::Shared(Arc::new(VecMemory(values)))))
    }

    /// A tensor of one value and no dimensions.
    pub fn scalar<T: Element>(value: T) -> Self {
        let memory = Storage::Shared(Arc::new(VecMemory(vec![value])));
        Self::contiguous_view(T::DTYPE, Vec::new(), memory)
    }

    /// A one-dimensional tensor of these values.
    pub fn vector<T: Element>(values: Vec<T>) -> Self {
        let dims = vec![values.len()];
        Self::contiguous_view(T::DTYPE, dims, Storage::Shared(Arc::new(VecMemory(values))))
    }

    /// A tensor of these texts.
    ///
    /// # Errors
    /// When there are more or fewer texts than `dims` says.
    pub fn from_strings(
        dims: impl Into<Vec<usize>>,
        texts: Vec<String>,
    ) -> Result<Self, TensorError> {
        let (dims, got) = (dims.into(), texts.len());
        let expected = element_count(DType::String, &dims)?;
        if expected != got {
            return Err(TensorError::Length { dtype: DType::String, dims, expected, got });
        }
        Ok(Self::contiguous_view(DType::String, dims, Storage::Strings(texts.into())))
    }

    /// A tensor whose elements are a copy of these little-endian bytes.
    ///
    /// # Errors
    /// When the number of bytes is not what `dims` says, or a boolean is neither 0 nor 1.
    pub fn from_bytes(
        dtype: DType,
        dims: impl Into<Vec<usize>>,
        bytes: &[u8],
    ) -> Result<Self, TensorError> {
        let dims = dims.into();
        check_bytes(dtype, &dims, bytes)?;
        let mut memory = AlignedBytes::zeroed(bytes.len());
        memory.bytes_mut().copy_from_slice(bytes);
        Ok(Self::contiguous_view(dtype, dims, Storage::Owned(Arc::new(memory))))
    }

    /// A tensor over memory of somebody else, without a copy where the alignment allows.
    ///
    /// # Errors
    /// When the memory is not as long as `dims` says, or a boolean is neither 0 nor 1.
    pub fn from_memory(
        dtype: DType,
        dims: impl Into<Vec<usize>>,
        memory: Arc<dyn Memory>,
    ) -> Result<Self, TensorError> {
        Ok(Self::over_memory(dtype, dims, memory)?.contiguous())
    }

    /// A tensor over memory of somebody else, wherever that lies: [`Tensor::contiguous`] copies
    /// elements at odd addresses, [`Tensor::as_slice`] refuses them.
    ///
    /// # Errors
    /// When the memory is not as long as `dims` says, or a boolean is neither 0 nor 1.
    pub fn over_memory(
        dtype: DType,
        dims: impl Into<Vec<usize>>,
        memory: Arc<dyn Memory>,
    ) -> Result<Self, TensorError> {
        let dims = dims.into();
        check_bytes(dtype, &dims, memory.bytes())?;
        Ok(Self::contiguous_view(dtype, dims, Storage::Shared(memory)))
    }

    /// A tensor of zeros (of empty texts).
    ///
    /// # Errors
    /// When `dims` cannot be addressed.
    pub fn zeros(dtype: DType, dims: impl Into<Vec<usize>>) -> Result<Self, TensorError> {
        let dims = dims.into();
        if dtype == DType::String {
            let count = element_count(dtype, &dims)?;
            return Self::from_strings(dims, vec![String::new(); count]);
        }
        let too_large = || TensorError::TooLarge { dtype, dims: dims.clone() };
        let bytes = byte_count(dtype, &dims)?;
        let memory = AlignedBytes::try_zeroed(bytes).ok_or_else(too_large)?;
        Ok(Self::contiguous_view(dtype, dims, Storage::Owned(Arc::new(memory))))
    }

    /// A tensor in the first bytes of this memory, whatever they hold (zeros for booleans).
    ///
    /// # Errors
    /// When the memory is too short, or for texts.
    pub fn from_aligned(
        dtype: DType,
        dims: impl Into<Vec<usize>>,
        mut memory: AlignedBytes,
    ) -> Result<Self, TensorError> {
        let dims = dims.into();
        let (expected, got) = (byte_count(dtype, &dims)?, memory.len());
        if expected > got || dtype == DType::String {
            return Err(TensorError::Length { dtype, dims, expected, got });
        }
        if dtype == DType::Bool {
            memory.bytes_mut().fill(0);
        }
        Ok(Self::contiguous_view(dtype, dims, Storage::Owned(Arc::new(memory))))
    }

    /// The memory under this tensor, to be used again, if nobody else holds it and it was made by
    /// this crate.
    ///
    /// # Errors
    /// The tensor, if not.
    pub fn reclaim(self) -> Result<AlignedBytes, Self> {
        match self.storage {
            Storage::Owned(memory) => Arc::try_unwrap(memory)
                .map_err(|memory| Self { storage: Storage::Owned(memory), ..self }),
            Storage::Shared(_) | Storage::Strings(_) => Err(self),
        }
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The number of elements.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a count of elements, not of a collection")]
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// The strides, in elements.
    #[must_use]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Where the first element lies, in elements from the start of the memory.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes that the elements take when they lie together; for texts the bytes of the texts.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        match &self.storage {
            Storage::Strings(_) => self.texts().iter().map(|text| text.len()).sum(),
            _ => self.dtype.bytes_for(self.len()).unwrap_or(0),
        }
    }

    /// Whether the elements lie together in row-major order.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1;
        self.dims.iter().zip(&self.strides).rev().all(|(&dim, &stride)| {
            let fits = dim == 1 || stride == step;
            step *= dim.cast_signed();
            fits
        }) || self.len() == 0
    }

    /// Whether the elements lie at addresses that their type allows.
    #[must_use]
    pub fn is_aligned(&self) -> bool {
        let needed = self.dtype.element_bytes().unwrap_or(1).min(8);
        self.storage.bytes().as_ptr().align_offset(needed) == 0
    }

    /// The elements will not be read soon: see [`Memory::discard`].
    pub fn discard(&self) {
        if let Some((memory, range)) = self.range() {
            memory.discard(range);
        }
    }

    /// Where the elements come from, if that is known without reading them: see [`Memory::origin`].
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let (memory, range) = self.range()?;
        memory.origin(range)
    }

    /// The shared memory of a contiguous tensor, and the bytes of it that are the elements.
    fn range(&self) -> Option<(&dyn Memory, Range<usize>)> {
        let Storage::Shared(memory) = &self.storage else { return None };
        let start = self.dtype.bytes_for(self.offset).filter(|_| self.is_contiguous())?;
        Some((&**memory, start..start.saturating_add(self.byte_len())))
    }

    /// The bytes of a contiguous tensor; `None` for other views and for texts.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        if !self.is_contiguous() || self.dtype == DType::String {
            return None;
        }
        let start = self.dtype.bytes_for(self.offset)?;
        self.storage.bytes().get(start..start.checked_add(self.byte_len())?)
    }

    /// The elements of a contiguous tensor.
    ///
    /// # Errors
    /// When the dtype is another or the view is not contiguous.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], TensorError> {
        self.expect_dtype(T::DTYPE)?;
        let bytes =
            self.bytes().ok_or_else(|| TensorError::Shape("the view is not contiguous".into()))?;
        cast(bytes).ok_or_else(|| TensorError::Shape("the memory is misaligned".into()))
    }

    /// The memory from the first element on, for whoever goes by [`Tensor::strides`].
    ///
    /// # Errors
    /// When the dtype is another, the memory is misaligned or elements lie before the first one.
    pub fn as_strided_slice<T: Element>(&self) -> Result<&[T], TensorError> {
        self.expect_dtype(T::DTYPE)?;
        if self.strides.iter().zip(&self.dims).any(|(&stride, &dim)| stride < 0 && dim > 1) {
            return Err(TensorError::Shape("elements lie before the first one".into()));
        }
        let bytes = self.storage.bytes().get(self.offset * size_of::<T>()..).unwrap_or(&[]);
        let whole = bytes.len() / size_of::<T>() * size_of::<T>();
        cast(&bytes[..whole]).ok_or_else(|| TensorError::Shape("the memory is misaligned".into()))
    }

    /// The elements in row-major order, copied.
    ///
    /// # Errors
    /// When the dtype is another.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, TensorError> {
        self.expect_dtype(T::DTYPE)?;
        if self.is_contiguous() {
            return Ok(self.contiguous().as_slice::<T>()?.to_vec());
        }
        let bytes = self.storage.bytes();
        let whole = bytes.len() / size_of::<T>() * size_of::<T>();
        match cast::<T>(bytes.get(..whole).unwrap_or(&[])) {
            Some(all) => Ok(self.offsets().map(|at| all[at]).collect()),
            None => Ok(self.contiguous().as_slice::<T>()?.to_vec()),
        }
    }

    /// The elements converted to another number type (through `f64` unless both are integers), in
    /// row-major order. Works for every numeric dtype, packed ones and block formats included.
    ///
    /// # Errors
    /// For texts and complex numbers.
    pub fn to_f32_vec(&self) -> Result<Vec<f32>, TensorError> {
        if let DType::Block(block) = self.dtype {
            let mut values = vec![0.0; self.len()];
            (block.format().dequantize)(self.bytes().unwrap_or(&[]), &mut values);
            return Ok(values);
        }
        if self.dtype.is_packed() {
            return Ok(packed::unpack_f32(self.dtype, self.bytes().unwrap_or(&[]), self.len()));
        }
        if self.dtype == DType::F32 {
            return self.to_vec();
        }
        #[expect(clippy::cast_possible_truncation, reason = "narrowing is what is asked for")]
        self.map_f64(|value| value as f32)
    }

    /// The elements as `f64`, in row-major order. Large 64-bit integers round.
    ///
    /// # Errors
    /// For texts and complex numbers.
    pub fn to_f64_vec(&self) -> Result<Vec<f64>, TensorError> {
        if self.dtype.is_packed() || matches!(self.dtype, DType::Block(_)) {
            return Ok(self.to_f32_vec()?.into_iter().map(f64::from).collect());
        }
        self.map_f64(|value| value)
    }

    /// The elements of an integer or boolean tensor (packed ones too) as `i64`; `u64` beyond its
    /// range wraps.
    ///
    /// # Errors
    /// For any other dtype.
    #[expect(clippy::cast_possible_wrap, reason = "documented")]
    pub fn to_i64_vec(&self) -> Result<Vec<i64>, TensorError> {
        fn widen<T: Element>(
            tensor: &Tensor,
            widen: impl Fn(T) -> i64,
        ) -> Result<Vec<i64>, TensorError> {
            Ok(tensor.to_vec::<T>()?.into_iter().map(widen).collect())
        }
        match self.dtype {
            DType::I64 => self.to_vec(),
            DType::I32 => widen(self, |value: i32| i64::from(value)),
            DType::I16 => widen(self, |value: i16| i64::from(value)),
            DType::I8 => widen(self, |value: i8| i64::from(value)),
            DType::U64 => widen(self, |value: u64| value as i64),
            DType::U32 => widen(self, |value: u32| i64::from(value)),
            DType::U16 => widen(self, |value: u16| i64::from(value)),
            DType::U8 => widen(self, |value: u8| i64::from(value)),
            DType::Bool => widen(self, |value: bool| i64::from(value)),
            DType::I4 | DType::U4 | DType::I2 | DType::U2 => {
                let bytes = self.bytes().unwrap_or(&[]);
                Ok(packed::unpack(self.dtype, bytes, self.len())
                    .into_iter()
                    .map(i64::from)
                    .collect())
            }
            got => Err(TensorError::DType { expected: DType::I64, got }),
        }
    }

    fn map_f64<R>(&self, map: impl Fn(f64) -> R) -> Result<Vec<R>, TensorError> {
        macro_rules! through {
            ($($dtype:ident $rust:ty),*) => {
                match self.dtype {
                    $(DType::$dtype => {
                        Ok(self.to_vec::<$rust>()?.into_iter().map(|value| map(value.to_f64())).collect())
                    })*
                    got => Err(TensorError::DType { expected: DType::F64, got }),
                }
            };
        }
        through!(
            F32 f32, F64 f64, F16 crate::f16, BF16 crate::bf16, Bool bool,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            F8E4M3FN crate::float8::F8E4M3FN, F8E4M3FNUZ crate::float8::F8E4M3FNUZ,
            F8E5M2 crate::float8::F8E5M2, F8E5M2FNUZ crate::float8::F8E5M2FNUZ,
            F8E8M0 crate::float8::F8E8M0
        )
    }

    /// The texts in row-major order; empty for other dtypes.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        match &self.storage {
            Storage::Strings(texts) => self.offsets().map(|at| texts[at].as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Element offsets in row-major order, counted from the start of the memory.
    #[must_use]
    pub fn offsets(&self) -> Offsets {
        Offsets::new(&self.dims, &self.strides, self.offset)
    }

    fn expect_dtype(&self, expected: DType) -> Result<(), TensorError> {
        if self.dtype == expected {
            return Ok(());
        }
        Err(TensorError::DType { expected, got: self.dtype })
    }

    /// The same bytes read as another dtype of the same width.
    ///
    /// # Errors
    /// When the widths differ or a boolean would be neither 0 nor 1.
    pub fn bit_cast(&self, dtype: DType) -> Result<Self, TensorError> {
        if dtype.bits() != self.dtype.bits() || dtype.bits() == 0 {
            return Err(TensorError::DType { expected: dtype, got: self.dtype });
        }
        let mut view = self.contiguous();
        check_bytes(dtype, &view.dims, view.bytes().unwrap_or(&[]))?;
        view.dtype = dtype;
        Ok(view)
    }

    /// The elements to be written, if nobody else holds this memory and it was made by
    /// [`Tensor::zeros`] or [`Tensor::from_bytes`]; `None` otherwise.
    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        if self.dtype != T::DTYPE || !self.is_contiguous() {
            return None;
        }
        let start = self.offset.checked_mul(size_of::<T>())?;
        let range = start..start.checked_add(self.byte_len())?;
        cast_mut::<T>(self.storage.bytes_mut()?.get_mut(range)?)
    }

    /// The bytes to be written, under the conditions of [`Tensor::as_mut_slice`]; not for booleans,
    /// whose bytes must stay 0 or 1.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if !self.is_contiguous() || self.dtype == DType::Bool {
            return None;
        }
        let start = self.dtype.bytes_for(self.offset)?;
        let range = start..start.checked_add(self.byte_len())?;
        self.storage.bytes_mut()?.get_mut(range)
    }

    /// Whether nobody else holds its memory, which may be written to.
    pub fn is_unshared(&mut self) -> bool {
        self.storage.bytes_mut().is_some()
    }

    /// Whether dtype, dimensions and every element are the same, bit for bit.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        if self.dtype != other.dtype || self.dims != other.dims {
            return false;
        }
        if self.dtype == DType::String {
            return self.texts() == other.texts();
        }
        self.contiguous().bytes() == other.contiguous().bytes()
    }

    /// The little-endian bytes of the elements in row-major order; empty for texts.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.contiguous().bytes().unwrap_or(&[]).to_vec()
    }
}

fn check_bytes(dtype: DType, dims: &[usize], bytes: &[u8]) -> Result<(), TensorError> {
    let expected = byte_count(dtype, dims)?;
    if expected != bytes.len() {
        return Err(TensorError::Length { dtype, dims: dims.to_vec(), expected, got: bytes.len() });
    }
    if dtype == DType::Bool
        && let Some(at) = bytes.iter().position(|&byte| byte > 1)
    {
        return Err(TensorError::Bool { at, value: bytes[at] });
    }
    Ok(())
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        write!(f, "{}{:?}", self.dtype, self.dims)?;
        let more = if self.len() > SHOWN { ", …" } else { "" };
        if self.dtype == DType::String {
            let texts = self.texts();
            return write!(f, " {:?}{more}", &texts[..texts.len().min(SHOWN)]);
        }
        match self.to_f64_vec() {
            Ok(values) => write!(f, " {:?}{more}", &values[..values.len().min(SHOWN)]),
            Err(_) => Ok(()),
        }
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.same_bits(other)
    }
}

#[cfg(test)]
mod tests;
