//! A small T5 with seeded weights, as a GGUF file.

use remuda_gguf::{Builder, Value};
use remuda_tensor::DType;

/// Entries of the vocabulary.
pub(crate) const VOCABULARY: usize = 96;
/// Tokens that a prompt or an answer may have.
pub(crate) const CONTEXT: usize = 64;
/// The token that answers start with.
pub(crate) const START: u32 = 3;
const FEATURES: usize = 48;
const WIDTH: usize = 32;
const INNER: usize = 64;
const BUCKETS: usize = 8;
const HEADS: usize = 4;
const ENCODER: usize = 2;
const DECODER: usize = 3;

/// Numbers that look random and are the same on every run, within 0.4 of a mean.
fn noise(count: usize, seed: u64, mean: f32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0) * 0.4 + mean
    };
    (0..count).flat_map(|_| next().to_le_bytes()).collect()
}

/// The parts of a layer that attend, by what GGUF puts in front of their names.
fn attention(layer: &str, name: &str) -> Vec<(String, Vec<usize>)> {
    let mut list = vec![(format!("{layer}.{name}_norm.weight"), vec![FEATURES])];
    list.extend(
        ["q", "k", "v"]
            .map(|part| (format!("{layer}.{name}_{part}.weight"), vec![WIDTH, FEATURES])),
    );
    list.push((format!("{layer}.{name}_o.weight"), vec![FEATURES, WIDTH]));
    list
}

fn weights() -> Vec<(String, Vec<usize>)> {
    let mut list = vec![
        ("token_embd.weight".to_owned(), vec![VOCABULARY, FEATURES]),
        ("output.weight".to_owned(), vec![VOCABULARY, FEATURES]),
    ];
    for (half, layers) in [("enc", ENCODER), ("dec", DECODER)] {
        for at in 0..layers {
            let layer = format!("{half}.blk.{at}");
            list.extend(attention(&layer, "attn"));
            if half == "dec" {
                list.extend(attention(&layer, "cross_attn"));
            }
            list.extend([
                (format!("{layer}.ffn_norm.weight"), vec![FEATURES]),
                (format!("{layer}.ffn_up.weight"), vec![INNER, FEATURES]),
                (format!("{layer}.ffn_down.weight"), vec![FEATURES, INNER]),
            ]);
        }
        list.push((format!("{half}.blk.0.attn_rel_b.weight"), vec![BUCKETS, HEADS]));
        list.push((format!("{half}.output_norm.weight"), vec![FEATURES]));
    }
    // What old files have beside them.
    list.push(("dec.blk.0.cross_attn_rel_b.weight".to_owned(), vec![BUCKETS, HEADS]));
    list
}

/// The bytes of the model.
pub(crate) fn bytes() -> Vec<u8> {
    let list = weights();
    let mut builder = Builder::new();
    builder.set("general.architecture", Value::Text("t5")).unwrap();
    for (key, value) in [
        ("block_count", ENCODER),
        ("decoder_block_count", DECODER),
        ("context_length", CONTEXT),
        ("embedding_length", FEATURES),
        ("feed_forward_length", INNER),
        ("attention.head_count", HEADS),
        ("attention.key_length", WIDTH / HEADS),
        ("attention.value_length", WIDTH / HEADS),
        ("attention.relative_buckets_count", BUCKETS),
        ("decoder_start_token_id", START as usize),
    ] {
        let value = u32::try_from(value).unwrap();
        builder.set(&format!("t5.{key}"), Value::U32(value)).unwrap();
    }
    builder.set("t5.attention.layer_norm_rms_epsilon", Value::F32(1e-6)).unwrap();
    builder.set("tokenizer.ggml.model", Value::Text("no_vocab")).unwrap();
    for (name, shape) in &list {
        builder.add_tensor(name, shape, DType::F32).unwrap();
    }
    let mut file = Vec::new();
    builder
        .write(&mut file, |name, out| {
            let at = list.iter().position(|(known, _)| known == name).unwrap();
            let shape = &list[at].1;
            // Vectors are the scales of norms.
            let mean = if shape.len() == 1 { 1.0 } else { 0.0 };
            out.write_all(&noise(shape.iter().product(), at as u64 + 1, mean))
        })
        .unwrap();
    file
}
