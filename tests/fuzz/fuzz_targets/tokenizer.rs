//! A vocabulary and a text: an error, or tokens that exist, and that decode.

#![no_main]

use std::panic;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use remuda_gguf::Gguf;
use remuda_text::{Encode, Tokenizer};

/// The library behind `tokenizer.json` panics at some broken files; the crate catches that and says so. libFuzzer's own
/// hook would end the process at once; a panic that is not caught still does.
static CAUGHT_PANICS_PASS: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    CAUGHT_PANICS_PASS.call_once(|| panic::set_hook(Box::new(|_| {})));
    let Some((&cut, data)) = data.split_first() else { return };
    let at = data.len().saturating_sub(usize::from(cut));
    let (file, text) = data.split_at(at);
    let text = String::from_utf8_lossy(text);
    if let Ok(tokenizer) = Tokenizer::from_json(file, None) {
        check(&tokenizer, &text);
    }
    let Ok(gguf) = Gguf::parse(file) else { return };
    if let Ok(tokenizer) = Tokenizer::from_gguf(gguf.metadata()) {
        check(&tokenizer, &text);
    }
});

fn check(tokenizer: &Tokenizer, text: &str) {
    for how in [Encode::TEXT, Encode::PROMPT] {
        let Ok(tokens) = tokenizer.encode(text, how) else { continue };
        let count = tokenizer.vocabulary().len();
        assert!(tokens.iter().all(|&token| (token as usize) < count));
        let _ = tokenizer.decode(&tokens);
        let mut stream = tokenizer.stream().with_special();
        for &token in &tokens {
            stream.push(tokenizer, token);
        }
        stream.finish();
    }
}
