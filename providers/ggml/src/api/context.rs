//! Contexts, which own descriptions of tensors, and what can be asked of a tensor.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr::NonNull;

use remuda_sdk::tensor::DType;

use super::Library;
use super::raw::{Head, InitParams, Raw, Ten};

/// Why something is not handed to ggml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

/// A [`Refusal`].
pub(crate) fn refuse(code: &'static str, text: impl Into<String>) -> Refusal {
    Refusal { code, text: text.into() }
}

/// The element type of a tensor of ggml.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind(c_int);

impl Kind {
    pub(crate) const F32: Self = Self(0);
    pub(crate) const F16: Self = Self(1);
    pub(crate) const I32: Self = Self(26);
    pub(crate) const I64: Self = Self(27);
    const BF16: Self = Self(30);
    /// `q8_1` and `q8_k`: what rows are rounded to while ggml multiplies. It has no functions that read
    /// them as weights, and calls what it has not.
    const INTERMEDIATE: [c_int; 2] = [9, 15];

    /// The type of ggml for a dtype, if it has one that this crate uses.
    pub(crate) fn of(dtype: DType) -> Option<Self> {
        Some(match dtype {
            DType::F32 => Self::F32,
            DType::F16 => Self::F16,
            DType::BF16 => Self::BF16,
            DType::I32 => Self::I32,
            DType::I64 => Self::I64,
            DType::Block(block) => {
                let number = c_int::try_from(block.format().ggml_type).ok()?;
                (!Self::INTERMEDIATE.contains(&number)).then_some(Self(number))?
            }
            _ => return None,
        })
    }

    pub(super) fn number(self) -> c_int {
        self.0
    }
}

/// A tensor's description. It is used with the context that made it and those that live no longer than
/// that, and never after it: whoever keeps one keeps its context beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct T(pub(super) NonNull<Head>);

// SAFETY: what it points to is a description that belongs to no thread; see above for how long.
unsafe impl Send for T {}
// SAFETY: descriptions are written before a second thread sees them.
unsafe impl Sync for T {}

impl T {
    pub(super) fn head(&self) -> &Head {
        // SAFETY: the context that made it is alive, as `T` asks of its users, and only functions of
        // this module write to a head, before anybody else sees the tensor.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn raw(self) -> Ten {
        self.0.as_ptr()
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind(self.head().ty)
    }

    /// Its sizes, the fastest dimension first.
    pub(crate) fn ne(&self) -> [i64; 4] {
        self.head().ne
    }

    /// Its strides in bytes.
    pub(crate) fn nb(&self) -> [usize; 4] {
        self.head().nb
    }

    pub(crate) fn elements(&self) -> i64 {
        self.ne().iter().product()
    }
}

/// Owns descriptions of tensors and graphs of them.
pub(crate) struct Context {
    pub(crate) library: &'static Library,
    raw: Raw,
    /// Tensors that still fit.
    left: Cell<usize>,
    work: Cell<u64>,
}

// SAFETY: nothing in a context belongs to a thread.
unsafe impl Send for Context {}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({} tensors left)", self.left.get())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by `ggml_init` and released once.
        unsafe { (self.library.raw.ggml_free)(self.raw) };
    }
}

impl Context {
    /// A context for so many tensors and, beside them, a graph of as many nodes if `graph` says so.
    pub(crate) fn new(
        library: &'static Library,
        tensors: usize,
        graph: bool,
    ) -> Result<Self, Refusal> {
        // SAFETY: no arguments.
        let each = unsafe { (library.raw.ggml_tensor_overhead)() };
        let beside = if graph {
            // SAFETY: a number.
            unsafe { (library.raw.ggml_graph_overhead_custom)(tensors, false) }
        } else {
            0
        };
        /// What rounding of sizes takes.
        const SLACK: usize = 4096;
        let bytes = each.checked_mul(tensors).and_then(|all| all.checked_add(beside + SLACK));
        let bytes = bytes.ok_or_else(|| refuse("memory", "the graph is too large"))?;
        let params = InitParams { bytes, memory: std::ptr::null_mut(), no_alloc: true };
        // SAFETY: ggml allocates; nothing is read.
        let raw = unsafe { (library.raw.ggml_init)(params) };
        if raw.is_null() {
            return Err(refuse("memory", format!("no memory for a context of {bytes} bytes")));
        }
        Ok(Self { library, raw, left: Cell::new(tensors), work: Cell::new(0) })
    }

    pub(super) fn raw(&self) -> Raw {
        self.raw
    }

    /// Takes what a call gave that makes one tensor. ggml ends the process when a context is full, so
    /// the call is not made then.
    pub(super) fn made(&self, make: impl FnOnce(Raw) -> Ten) -> Result<T, Refusal> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| refuse("memory", "the graph has too many tensors"))?);
        let t = NonNull::new(make(self.raw)).map(T);
        let t = t.ok_or_else(|| refuse("memory", "ggml made no tensor"))?;
        self.add_work(t.elements());
        Ok(t)
    }

    /// Counts elements that are computed, or products that are added up for them.
    pub(super) fn add_work(&self, count: i64) {
        self.work.set(self.work.get().saturating_add(u64::try_from(count).unwrap_or(0)));
    }

    /// About how many numbers are computed.
    pub(super) fn work(&self) -> u64 {
        self.work.get()
    }

    /// A tensor without memory.
    pub(crate) fn tensor(&self, kind: Kind, ne: [i64; 4]) -> Result<T, Refusal> {
        let block = self.block(kind);
        if ne.iter().any(|&size| size < 1) || ne[0] % block.0 != 0 {
            return Err(refuse(
                "shape",
                format!("{ne:?} elements are no whole blocks of {}", block.0),
            ));
        }
        self.expect_size(ne)?;
        // SAFETY: 4 sizes that were checked.
        self.made(|raw| unsafe {
            (self.library.raw.ggml_new_tensor)(raw, kind.number(), 4, ne.as_ptr())
        })
    }

    /// Refuses sizes that nothing has: ggml ends the process when it cannot count elements or bytes.
    pub(super) fn expect_size(&self, ne: [i64; 4]) -> Result<(), Refusal> {
        const MOST: i64 = 1 << 48;
        let count = ne.iter().try_fold(1i64, |count, &size| count.checked_mul(size));
        if count.is_some_and(|count| count <= MOST) {
            return Ok(());
        }
        Err(refuse("memory", format!("a tensor of {ne:?} elements cannot be addressed")))
    }

    /// Elements and bytes of a block of this type.
    pub(crate) fn block(&self, kind: Kind) -> (i64, i64) {
        let raw = &self.library.raw;
        // SAFETY: `Kind` holds only types that ggml has.
        let elements = unsafe { (raw.ggml_blck_size)(kind.number()) };
        // SAFETY: as above.
        let bytes = unsafe { (raw.ggml_type_size)(kind.number()) };
        (elements.max(1), i64::try_from(bytes).unwrap_or(i64::MAX))
    }

    /// Bytes of the elements.
    pub(crate) fn bytes(&self, t: T) -> usize {
        // SAFETY: a tensor.
        unsafe { (self.library.raw.ggml_nbytes)(t.raw()) }
    }

    pub(crate) fn is_contiguous(&self, t: T) -> bool {
        // SAFETY: a tensor.
        unsafe { (self.library.raw.ggml_is_contiguous)(t.raw()) }
    }

    /// Marks a tensor as given from outside.
    pub(crate) fn set_input(&self, t: T) {
        // SAFETY: a tensor that no graph runs.
        unsafe { (self.library.raw.ggml_set_input)(t.raw()) };
    }

    /// A tensor whose elements stay after a run: `t`, or a copy where it is a view.
    pub(crate) fn output(&self, t: T) -> Result<T, Refusal> {
        // SAFETY: a tensor.
        let view = unsafe { (self.library.raw.ggml_is_view)(t.raw()) };
        let t = if view || !self.is_contiguous(t) { self.copied(t)? } else { t };
        // SAFETY: a tensor that no graph runs.
        unsafe { (self.library.raw.ggml_set_output)(t.raw()) };
        Ok(t)
    }

    /// Refuses what is not f32.
    pub(super) fn expect_f32(&self, t: T) -> Result<(), Refusal> {
        if t.kind() == Kind::F32 {
            return Ok(());
        }
        Err(refuse("dtype", "ggml computes this in f32 only"))
    }

    /// Refuses f32 tensors whose fastest dimension does not lie together.
    pub(super) fn expect_rows(&self, t: T) -> Result<(), Refusal> {
        self.expect_f32(t)?;
        if t.nb()[0] == 4 {
            return Ok(());
        }
        Err(refuse("layout", "ggml reads whole rows only"))
    }
}

impl T {
    /// Whether it lies in memory.
    pub(crate) fn has_memory(&self) -> bool {
        !self.head().buffer.is_null()
    }
}
