//! Decodes or encodes blocks from standard input to standard output, for comparison with other
//! implementations: `blocks dequantize q4_0`, `blocks quantize q4_0`.

use std::error::Error;
use std::io::{Read, Write};

use remuda_tensor::quant::{self, BlockFormat};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, name] = arguments.as_slice() else {
        return Err("expected `dequantize FORMAT` or `quantize FORMAT`".into());
    };
    let format = quant::by_name(name).ok_or_else(|| format!("no block format `{name}`"))?;
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let output = match verb.as_str() {
        "dequantize" => dequantize(format, &input)?,
        "quantize" => quantize(format, &input)?,
        _ => return Err(format!("no verb `{verb}`").into()),
    };
    std::io::stdout().write_all(&output)?;
    Ok(())
}

fn dequantize(format: &BlockFormat, blocks: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut values = vec![0.0; blocks.len() / format.bytes * format.elements];
    format.dequantize_into(blocks, &mut values)?;
    Ok(values.iter().flat_map(|value: &f32| value.to_le_bytes()).collect())
}

fn quantize(format: &BlockFormat, floats: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let values: Vec<f32> =
        floats.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let mut blocks = vec![0; values.len() / format.elements * format.bytes];
    format.quantize_into(&values, &mut blocks)?;
    Ok(blocks)
}
