//! A GGUF file small enough to be shown whole.

use remuda::DType;
use remuda_gguf::{ArrayBuf, Builder, Value, ValueType};

/// A vocabulary of a few tokens, one tensor and a template that cannot render two questions.
pub(crate) fn tiny_gguf(tokenizer: &str) -> Vec<u8> {
    let bytes = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"));
    let named =
        ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "ab", "\u{2581}a"].map(str::to_owned);
    let texts: Vec<String> = named.into_iter().chain(bytes).collect();
    let mut kinds = ArrayBuf::new(ValueType::I32);
    let mut scores = ArrayBuf::new(ValueType::F32);
    for index in 0..texts.len() {
        let kind = [2, 3, 3].get(index).copied().unwrap_or(if index < 8 { 1 } else { 6 });
        kinds.push(Value::I32(kind)).unwrap();
        scores.push(Value::F32(-f32::from(u16::try_from(index).unwrap()))).unwrap();
    }
    let template = "{% if messages | length > 1 %}{{ raise_exception('one message only') }}{% endif %}\
        {{ messages[0].content }}";
    let texts = ArrayBuf::of_texts(texts.iter().map(String::as_str));
    let mut builder = Builder::new();
    let entries = [
        ("general.architecture", Value::Text("llama")),
        ("general.name", Value::Text("Tiny")),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("tokenizer.ggml.model", Value::Text(tokenizer)),
        ("tokenizer.ggml.tokens", texts.value()),
        ("tokenizer.ggml.token_type", kinds.value()),
        ("tokenizer.ggml.scores", scores.value()),
        ("tokenizer.chat_template", Value::Text(template)),
    ];
    for (key, value) in entries {
        builder.set(key, value).unwrap();
    }
    builder.add_tensor("token_embd.weight", &[264, 2], DType::F16).unwrap();
    let mut file = Vec::new();
    builder.write(&mut file, |_, out| out.write_all(&[0; 264 * 2 * 2])).unwrap();
    file
}
