//! A text as a graph: refused with a place, or a graph that prints to a text of the same meaning.
//! Whatever it is, verifier and inference answer without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_ir::{infer_graph, text, verify};
use remuda_ops::Ops;

fuzz_target!(|source: &str| {
    let Ok(graph) = text::parse(source) else { return };
    let printed = text::print(&graph);
    let again = text::parse(&printed).unwrap();
    assert_eq!(text::print(&again), printed);
    let mut typed = graph;
    if verify(&typed, &Ops).is_ok() {
        let _ = infer_graph(&mut typed, &Ops);
    }
});
