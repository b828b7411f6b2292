//! A source of a constraint: an error, or a constraint whose masks hold only what it then accepts.

#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use remuda_gguf::{ArrayBuf, Builder, Gguf, Value, ValueType};
use remuda_grammar::{Compiler, GrammarError, Source};
use remuda_text::Tokenizer;

const END: u32 = 256;

/// One token per byte, and one that ends an answer.
fn compiler() -> &'static Compiler {
    static COMPILER: OnceLock<Compiler> = OnceLock::new();
    COMPILER.get_or_init(|| {
        let mut texts: Vec<String> = (0..=255_u8).map(|byte| format!("<0x{byte:02X}>")).collect();
        texts.push("</s>".to_owned());
        let mut kinds = ArrayBuf::new(ValueType::I32);
        (0..256).for_each(|_| kinds.push(Value::I32(6)).unwrap());
        kinds.push(Value::I32(3)).unwrap();
        let texts = ArrayBuf::of_texts(texts.iter().map(String::as_str));
        let mut builder = Builder::new();
        builder.set("tokenizer.ggml.model", Value::Text("llama")).unwrap();
        builder.set("tokenizer.ggml.tokens", texts.value()).unwrap();
        builder.set("tokenizer.ggml.token_type", kinds.value()).unwrap();
        builder.set("tokenizer.ggml.eos_token_id", Value::U32(END)).unwrap();
        let mut file = Vec::new();
        builder.write(&mut file, |_, _| Ok(())).unwrap();
        let tokenizer = Tokenizer::from_gguf(Gguf::parse(&file).unwrap().metadata()).unwrap();
        Compiler::new(Arc::new(tokenizer)).unwrap()
    })
}

fuzz_target!(|input: (u8, &str, &[u8])| {
    let (kind, source, steps) = input;
    let source = match kind % 4 {
        0 => Source::JsonSchema(source),
        1 => Source::Regex(source),
        2 => Source::Gbnf(source),
        _ => Source::Lark(source),
    };
    let Ok(mut constraint) = compiler().compile(source) else { return };
    for &step in steps.iter().take(16) {
        let Ok(mask) = constraint.mask() else { return };
        let allowed: Vec<u32> = (0..=END).filter(|&token| mask.allows(token)).collect();
        let Some(&token) = allowed.get(usize::from(step) % allowed.len().max(1)) else { return };
        match constraint.accept(token) {
            Ok(()) => {}
            Err(GrammarError::Limit { .. }) => return,
            Err(error) => panic!("{error}"),
        }
        if token == END {
            constraint.rollback(1).unwrap();
            let again = constraint.mask().unwrap();
            assert_eq!(again.words(), mask.words());
            return;
        }
    }
});
