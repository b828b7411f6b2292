//! A small language model with seeded weights, as a GGUF file.

use remuda_gguf::{ArrayBuf, Builder, Value, ValueType};
use remuda_tensor::DType;

/// Entries of the vocabulary.
pub(crate) const VOCABULARY: usize = 264;
const FEATURES: usize = 64;
const INNER: usize = 96;
const LAYERS: usize = 2;

/// The names and shapes of weights.
pub(crate) type Weights = Vec<(String, Vec<usize>)>;

/// Numbers that look random and are the same on every run, in -0.2..0.2.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0) * 0.2
    };
    (0..count).flat_map(|_| next().to_le_bytes()).collect()
}

fn weights() -> Weights {
    let mut list = vec![
        ("token_embd.weight".to_owned(), vec![VOCABULARY, FEATURES]),
        ("output_norm.weight".to_owned(), vec![FEATURES]),
    ];
    for layer in 0..LAYERS {
        let shapes: [(&str, Vec<usize>); 9] = [
            ("attn_norm", vec![FEATURES]),
            ("attn_q", vec![FEATURES, FEATURES]),
            ("attn_k", vec![FEATURES / 2, FEATURES]),
            ("attn_v", vec![FEATURES / 2, FEATURES]),
            ("attn_output", vec![FEATURES, FEATURES]),
            ("ffn_norm", vec![FEATURES]),
            ("ffn_gate", vec![INNER, FEATURES]),
            ("ffn_up", vec![INNER, FEATURES]),
            ("ffn_down", vec![FEATURES, INNER]),
        ];
        list.extend(
            shapes.into_iter().map(|(name, shape)| (format!("blk.{layer}.{name}.weight"), shape)),
        );
    }
    list
}

/// A vocabulary of all bytes, a few letters and the marks `<s>` and `</s>`, and a chat template.
fn describe_text(builder: &mut Builder) {
    let named =
        ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "ab", "\u{2581}a"].map(str::to_owned);
    let bytes = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"));
    let texts: Vec<String> = named.into_iter().chain(bytes).collect();
    let mut kinds = ArrayBuf::new(ValueType::I32);
    let mut scores = ArrayBuf::new(ValueType::F32);
    for index in 0..texts.len() {
        let kind = [2, 3, 3].get(index).copied().unwrap_or(if index < 8 { 1 } else { 6 });
        kinds.push(Value::I32(kind)).unwrap();
        scores.push(Value::F32(-f32::from(u16::try_from(index).unwrap()))).unwrap();
    }
    let texts = ArrayBuf::of_texts(texts.iter().map(String::as_str));
    let template = "{{ bos_token }}{% for m in messages %}{{ m.content }}</s>{% endfor %}";
    let entries = [
        ("tokenizer.ggml.model", Value::Text("llama")),
        ("tokenizer.ggml.tokens", texts.value()),
        ("tokenizer.ggml.token_type", kinds.value()),
        ("tokenizer.ggml.scores", scores.value()),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.chat_template", Value::Text(template)),
    ];
    for (key, value) in entries {
        builder.set(key, value).unwrap();
    }
}

/// The bytes of the model, with its weights changed if asked for.
pub(crate) fn bytes(change: impl Fn(&mut Weights)) -> Vec<u8> {
    with_metadata(change, |_| ())
}

/// The same with more metadata.
pub(crate) fn with_metadata(
    change: impl Fn(&mut Weights),
    describe: impl Fn(&mut Builder),
) -> Vec<u8> {
    let mut list = weights();
    change(&mut list);
    let mut builder = Builder::new();
    builder.set("general.architecture", Value::Text("llama")).unwrap();
    for (key, value) in [
        ("block_count", LAYERS),
        ("context_length", 128),
        ("embedding_length", FEATURES),
        ("feed_forward_length", INNER),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
    ] {
        let value = u32::try_from(value).unwrap();
        builder.set(&format!("llama.{key}"), Value::U32(value)).unwrap();
    }
    builder.set("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)).unwrap();
    describe_text(&mut builder);
    describe(&mut builder);
    for (name, shape) in &list {
        builder.add_tensor(name, shape, DType::F32).unwrap();
    }
    let mut file = Vec::new();
    builder
        .write(&mut file, |name, out| {
            let at = list.iter().position(|(known, _)| known == name).unwrap();
            out.write_all(&noise(list[at].1.iter().product(), at as u64 + 1))
        })
        .unwrap();
    file
}
