//! Bytes as an ONNX model: refused with a place and a message, or a graph that verifies and survives
//! being printed and read again.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use remuda_ir::{text, verify};
use remuda_onnx::{ImportError, ImportOptions, import};
use remuda_ops::Ops;

mod input;

fuzz_target!(|bytes: &[u8]| {
    // Small inputs must not ask for much: what a byte may cost is bounded.
    let options = ImportOptions {
        max_fields: 1 << 18,
        max_structure_bytes: 1 << 23,
        max_copied_bytes: 1 << 20,
        ..ImportOptions::default()
    };
    match import(Arc::new(input::Bytes(bytes.to_vec())), &options) {
        Ok(model) => {
            verify(&model.graph, &Ops).unwrap();
            assert_eq!(model.inputs.len(), model.graph.inputs.len());
            assert_eq!(model.outputs.len(), model.graph.outputs.len());
            let printed = text::print(&model.graph);
            let read = text::parse(&printed).unwrap();
            assert_eq!(text::print(&read), printed);
        }
        Err(error) => {
            assert!(!matches!(error, ImportError::Bug(_)), "{error}");
            assert!(!error.problem().message.is_empty());
        }
    }
});
