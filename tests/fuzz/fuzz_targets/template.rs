//! A template: an error, or texts of conversations; never more memory than its budget.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_chat::{ChatTemplate, Limits};

fuzz_target!(|source: &str| {
    let limits = Limits { instructions: 50_000, bytes_per_byte: 16, bytes: 1 << 20 };
    if let Ok(template) = ChatTemplate::new(source) {
        let _ = template.with_tokens("<s>", "</s>").with_limits(limits).probe();
    }
});
