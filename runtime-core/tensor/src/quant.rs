//! The block formats of quantised weights, one file each.
//!
//! A format packs a fixed number of elements into a fixed number of bytes: small integers or
//! codebook indices that share one or more scales. What is here is the plain, exact meaning of every
//! format that a GGUF file may hold; the fast kernels of the providers are compared with it.
//! Decoding gives the same bits as ggml's reference, and so does encoding finite values (numbers too
//! small for their block's scale to be a normal float excepted).
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "quanta are clamped to their few bits first; floats that are not saturate"
)]

mod codec;
mod grids;
mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod nvfp4;
mod q1_0;
mod q2_0;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod q8_1;
mod q8_k;
mod scale6;
mod search;
mod tq1_0;
mod tq2_0;

/// Every format, sorted by name.
pub static ALL: &[&BlockFormat] = &[
    &iq1_m::FORMAT,
    &iq1_s::FORMAT,
    &iq2_s::FORMAT,
    &iq2_xs::FORMAT,
    &iq2_xxs::FORMAT,
    &iq3_s::FORMAT,
    &iq3_xxs::FORMAT,
    &iq4_nl::FORMAT,
    &iq4_xs::FORMAT,
    &mxfp4::FORMAT,
    &nvfp4::FORMAT,
    &q1_0::FORMAT,
    &q2_0::FORMAT,
    &q2_k::FORMAT,
    &q3_k::FORMAT,
    &q4_0::FORMAT,
    &q4_1::FORMAT,
    &q4_k::FORMAT,
    &q5_0::FORMAT,
    &q5_1::FORMAT,
    &q5_k::FORMAT,
    &q6_k::FORMAT,
    &q8_0::FORMAT,
    &q8_1::FORMAT,
    &q8_k::FORMAT,
    &tq1_0::FORMAT,
    &tq2_0::FORMAT,
];

/// Decodes whole blocks into values; the lengths match.
pub type Decode = fn(&[u8], &mut [f32]);
/// Encodes values into whole blocks; the lengths match.
pub type Encode = fn(&[f32], &mut [u8]);

/// One block format: what a block holds and how it is decoded and encoded.
#[derive(Debug, Clone, Copy)]
pub struct BlockFormat {
    /// The name in text, lower case: `q4_k`.
    pub name: &'static str,
    /// The type number in GGUF files.
    pub ggml_type: u32,
    /// Elements of one block.
    pub elements: usize,
    /// Bytes of one block.
    pub bytes: usize,
    /// Decodes whole blocks; the caller has matched the lengths. See [`Self::dequantize_into`].
    pub dequantize: Decode,
    /// Encodes whole blocks, if this project knows how; the caller has matched the lengths. See
    /// [`Self::quantize_into`].
    pub quantize: Option<Encode>,
}

/// Why blocks could not be decoded or encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantError {
    /// The elements are no whole number of blocks.
    #[error(
        "`{format}` packs {per_block} elements to a block, expected a multiple of that, got {got}"
    )]
    Elements {
        /// The format.
        format: &'static str,
        /// Elements of one block.
        per_block: usize,
        /// Elements that were given.
        got: usize,
    },
    /// The bytes do not match the elements.
    #[error("{elements} elements of `{format}` take {expected} bytes, got {got}")]
    Bytes {
        /// The format.
        format: &'static str,
        /// Elements that were given.
        elements: usize,
        /// Bytes that they take.
        expected: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// The format can only be decoded.
    #[error("`{format}` can be read but not written: its codebook search is not implemented")]
    DecodeOnly {
        /// The format.
        format: &'static str,
    },
}

/// The format of this name (`q4_k`, any case).
#[must_use]
pub fn by_name(name: &str) -> Option<&'static BlockFormat> {
    ALL.iter().copied().find(|format| format.name.eq_ignore_ascii_case(name))
}

/// The format of this GGUF type number.
#[must_use]
pub fn by_ggml_type(ggml_type: u32) -> Option<&'static BlockFormat> {
    ALL.iter().copied().find(|format| format.ggml_type == ggml_type)
}

impl BlockFormat {
    /// Bytes that `elements` take; `None` if they are no whole number of blocks or it overflows.
    #[must_use]
    pub fn bytes_for(&self, elements: usize) -> Option<usize> {
        let whole = elements.is_multiple_of(self.elements);
        whole.then(|| (elements / self.elements).checked_mul(self.bytes)).flatten()
    }

    /// Decodes `blocks` into `values`.
    ///
    /// # Errors
    /// When `values` is no whole number of blocks or `blocks` is not exactly what it takes.
    pub fn dequantize_into(&self, blocks: &[u8], values: &mut [f32]) -> Result<(), QuantError> {
        self.check(values.len(), blocks.len())?;
        (self.dequantize)(blocks, values);
        Ok(())
    }

    /// Encodes `values` into `blocks`, which need not be cleared.
    ///
    /// # Errors
    /// When the format can only be decoded, `values` is no whole number of blocks, or `blocks` is
    /// not exactly what it takes.
    pub fn quantize_into(&self, values: &[f32], blocks: &mut [u8]) -> Result<(), QuantError> {
        let quantize = self.quantize.ok_or(QuantError::DecodeOnly { format: self.name })?;
        self.check(values.len(), blocks.len())?;
        quantize(values, blocks);
        Ok(())
    }

    fn check(&self, elements: usize, got: usize) -> Result<(), QuantError> {
        let format = self.name;
        let per_block = self.elements;
        let expected = self.bytes_for(elements).ok_or(QuantError::Elements {
            format,
            per_block,
            got: elements,
        })?;
        if expected == got {
            return Ok(());
        }
        Err(QuantError::Bytes { format, elements, expected, got })
    }
}
