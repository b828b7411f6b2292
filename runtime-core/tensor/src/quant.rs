//! The block formats of quantised weights, one file each, and the table of them.

/// A block format: how many elements a block holds, in how many bytes, and what they mean.
#[derive(Debug)]
pub struct BlockFormat {
    /// The name, lower case: `q4_0`.
    pub name: &'static str,
    /// The type number in GGUF files.
    pub ggml_type: u32,
    /// Elements per block.
    pub elements: usize,
    /// Bytes per block.
    pub bytes: usize,
    /// Decodes whole blocks.
    pub dequantize: fn(&[u8], &mut [f32]),
    /// Encodes whole blocks, where the format can be made by plain rounding.
    pub quantize: Option<fn(&[f32], &mut [u8])>,
}

/// Every format, by type number.
pub static ALL: &[&BlockFormat] = &[];
