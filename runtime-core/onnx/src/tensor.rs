//! `TensorProto` to [`Tensor`]: views of the file where the bytes lie as they are needed, decoded
//! copies where they do not.

mod sparse;
mod typed;

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::Arc;

use remuda_base::Map;
use remuda_tensor::{DType, Memory, Tensor, TensorError};

use crate::ImportOptions;
use crate::error::{At, ImportError, Result};
use crate::proto::{DataLocation, SparseProto, TensorProto};
use crate::types::dtype;
use crate::wire::Budget;

/// Makes tensors of one model.
pub(crate) struct Loader<'a> {
    file: &'a Arc<dyn Memory>,
    options: &'a ImportOptions,
    /// External files by location, so that each is mapped once.
    opened: RefCell<Map<String, Arc<dyn Memory>>>,
    pub(crate) budget: &'a Budget,
    copies_left: Cell<usize>,
}

/// A range of somebody's memory.
struct Part {
    whole: Arc<dyn Memory>,
    range: Range<usize>,
}

impl Part {
    /// Where a range of the part lies in the whole.
    fn inner(&self, range: Range<usize>) -> Range<usize> {
        let from = |at: usize| self.range.start.saturating_add(at).min(self.range.end);
        from(range.start)..from(range.end)
    }
}

impl Memory for Part {
    fn bytes(&self) -> &[u8] {
        self.whole.bytes().get(self.range.clone()).unwrap_or_default()
    }

    fn discard(&self, range: Range<usize>) {
        self.whole.discard(self.inner(range));
    }

    fn origin(&self, range: Range<usize>) -> Option<String> {
        self.whole.origin(self.inner(range))
    }
}

/// Bytes that were decoded.
struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Dimensions and how many elements and bytes they need.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) dtype: DType,
    pub(crate) dims: Vec<usize>,
    pub(crate) elements: usize,
}

/// Misaligned tensors up to this size are copied at once, so that whoever looks at a shape or an axis
/// finds it ready. Larger ones are weights: who reads them decides.
const MAX_ALIGNED_BYTES: usize = 1 << 14;

/// More dimensions than any operator makes sense of.
const MAX_RANK: usize = 64;

impl Extent {
    fn new(dtype: DType, dims: &[i64]) -> Result<Self> {
        if dims.len() > MAX_RANK {
            let text = format!("{} dimensions, expected at most {MAX_RANK}", dims.len());
            return Err(ImportError::unsupported(text));
        }
        let sizes: Result<Vec<usize>> = dims
            .iter()
            .map(|&dim| {
                usize::try_from(dim)
                    .map_err(|_| ImportError::invalid(format!("dimensions {dims:?} are no sizes")))
            })
            .collect();
        let dims = sizes?;
        let elements = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        let bytes = elements.and_then(|count| count.checked_mul(dtype.bits().max(8)));
        match (elements, bytes) {
            (Some(elements), Some(_)) => Ok(Self { dtype, dims, elements }),
            _ => Err(TensorError::TooLarge { dtype, dims }.into()),
        }
    }

    /// Bytes that the elements take; texts count one each.
    fn bytes(&self) -> usize {
        self.dtype.bytes_for(self.elements).unwrap_or(self.elements)
    }

    fn expect(&self, elements: usize) -> Result<()> {
        if elements == self.elements {
            return Ok(());
        }
        let Self { dtype, dims, elements: expected } = self;
        Err(ImportError::invalid(format!(
            "dimensions {dims:?} expected {expected} elements of type `{dtype}`, got {elements}"
        )))
    }
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        file: &'a Arc<dyn Memory>,
        options: &'a ImportOptions,
        budget: &'a Budget,
    ) -> Self {
        Self {
            file,
            options,
            budget,
            opened: RefCell::default(),
            copies_left: Cell::new(options.max_copied_bytes),
        }
    }

    /// The tensor.
    pub(crate) fn load(&self, proto: &TensorProto<'_>) -> Result<Tensor> {
        self.load_unnamed(proto).at(|| proto.label())
    }

    /// The dense tensor of a sparse one.
    pub(crate) fn load_sparse(&self, proto: &SparseProto<'_>) -> Result<Tensor> {
        sparse::expand(self, proto).at(|| format!("sparse tensor `{}`", proto.values.name))
    }

    fn load_unnamed(&self, proto: &TensorProto<'_>) -> Result<Tensor> {
        let extent = Extent::new(dtype(proto.data_type)?, &proto.dims)?;
        match &proto.location {
            DataLocation::Typed => {
                self.charge_copy(extent.bytes())?;
                typed::decode(proto.message, extent)
            }
            _ if extent.dtype == DType::String => {
                Err(ImportError::invalid("texts cannot be stored as raw bytes"))
            }
            DataLocation::Raw(raw) => {
                let file = self.file.bytes();
                let start = raw.as_ptr().addr().saturating_sub(file.as_ptr().addr());
                let range = start..start.saturating_add(raw.len());
                self.view(extent, Part { whole: Arc::clone(self.file), range })
            }
            DataLocation::External(entries) => self.external(extent, entries),
        }
    }

    fn external(&self, extent: Extent, entries: &[(&str, &str)]) -> Result<Tensor> {
        let entry = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|pair| pair.1);
        let location = entry("location")
            .ok_or_else(|| ImportError::invalid("its external data has no `location`"))?;
        let number = |key: &str| -> Result<Option<usize>> {
            let Some(text) = entry(key) else { return Ok(None) };
            let number = text.trim().parse().map_err(|_| {
                ImportError::invalid(format!("`{key}` of external data is `{text}`, no size"))
            });
            number.map(Some)
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let length = length.unwrap_or_else(|| extent.bytes());
        let whole = self.open(location)?;
        let size = whole.bytes().len();
        let end = offset.checked_add(length).filter(|&end| end <= size).ok_or_else(|| {
            ImportError::invalid(format!(
                "external data `{location}` has {size} bytes, expected {length} from {offset} on"
            ))
        })?;
        self.view(extent, Part { whole, range: offset..end })
    }

    fn open(&self, location: &str) -> Result<Arc<dyn Memory>> {
        if let Some(memory) = self.opened.borrow().get(location) {
            return Ok(Arc::clone(memory));
        }
        let Some(folder) = &self.options.external else {
            return Err(ImportError::unsupported(format!(
                "its data is in the file `{location}`, and the model was not opened from a folder"
            )));
        };
        let memory = folder.open(location)?;
        self.opened.borrow_mut().insert(location.to_owned(), Arc::clone(&memory));
        Ok(memory)
    }

    /// A view of these bytes; a copy where they are misaligned and few.
    fn view(&self, extent: Extent, part: Part) -> Result<Tensor> {
        let bytes = part.bytes();
        if bytes.len() != extent.bytes() {
            let (expected, got) = (extent.bytes(), bytes.len());
            let Extent { dtype, dims, .. } = extent;
            return Err(TensorError::Length { dtype, dims, expected, got }.into());
        }
        let needed = extent.dtype.element_bytes().unwrap_or(1).min(8);
        if bytes.as_ptr().align_offset(needed) == 0 || bytes.len() > MAX_ALIGNED_BYTES {
            return Ok(Tensor::over_memory(extent.dtype, extent.dims, Arc::new(part))?);
        }
        self.charge_copy(bytes.len())?;
        let mut tensor = Tensor::zeros(extent.dtype, extent.dims)?;
        if let Some(target) = tensor.bytes_mut() {
            target.copy_from_slice(bytes);
        }
        Ok(tensor)
    }

    /// Zeroed bytes for elements that cannot stay where they are.
    fn buffer(&self, bytes: usize) -> Result<Vec<u8>> {
        self.charge_copy(bytes)?;
        let mut buffer = Vec::new();
        let reserved = buffer.try_reserve_exact(bytes);
        reserved.map_err(|_| ImportError::resource(format!("{bytes} bytes cannot be had")))?;
        buffer.resize(bytes, 0);
        Ok(buffer)
    }

    /// Charges memory for elements that cannot stay where they are.
    fn charge_copy(&self, bytes: usize) -> Result<()> {
        let Some(left) = self.copies_left.get().checked_sub(bytes) else {
            return Err(ImportError::resource(format!(
                "decoding it needs {bytes} bytes, {} of {} are left",
                self.copies_left.get(),
                self.options.max_copied_bytes
            ))
            .hint(
                "raise `max_copied_bytes` in the import options if the file is what it should be",
            ));
        };
        self.copies_left.set(left);
        Ok(())
    }
}
