//! Importing a model of 500 MB of external weights touches almost none of it.
#![cfg(target_os = "linux")]

#[path = "import/pb.rs"]
#[expect(dead_code, clippy::cast_possible_truncation, reason = "shared with the other tests")]
mod pb;

use std::fs::{self, File};

use pb::{INITIALIZER, INPUT, NODE, OUTPUT, Pb, graph, info, model, node, tensor};
use remuda_onnx::{ImportOptions, import_file};

/// Bytes of this process that lie in memory.
fn resident_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("the process knows its memory");
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0usize) * 4096
}

#[test]
fn half_a_gigabyte_of_weights_is_not_read() {
    const LAYERS: usize = 125;
    const LAYER_BYTES: usize = 4_000_000;
    let folder = std::env::temp_dir().join(format!("remuda-big-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    // A sparse file: no disk is needed either.
    File::create(folder.join("weights")).unwrap().set_len((LAYERS * LAYER_BYTES) as u64).unwrap();
    let mut main = graph(&[(INPUT, info("x0", 1, &["n", "1000"]))]);
    for layer in 0..LAYERS {
        let entry = |key: &str, value: &str| Pb::new().bytes(1, key).bytes(2, value);
        let name = format!("w{layer}");
        let weight = tensor(&name, 1, &[1000, 1000])
            .int(14, 1)
            .add(13, &entry("location", "weights"))
            .add(13, &entry("offset", &(layer * LAYER_BYTES).to_string()))
            .add(13, &entry("length", &LAYER_BYTES.to_string()));
        let (from, to) = (format!("x{layer}"), format!("x{}", layer + 1));
        main =
            main.add(INITIALIZER, &weight).add(NODE, &node("MatMul", &[&from, &name], &[&to], &[]));
    }
    main = main.add(OUTPUT, &info(&format!("x{LAYERS}"), 1, &["n", "1000"]));
    fs::write(folder.join("model.onnx"), model(&main).0).unwrap();

    let before = resident_bytes();
    let imported = import_file(&folder.join("model.onnx"), &ImportOptions::default()).unwrap();
    let touched = resident_bytes().saturating_sub(before);
    fs::remove_dir_all(&folder).unwrap();

    let weights = imported.graph.values().filter_map(|(_, value)| value.constant());
    assert_eq!(weights.map(|weight| weight.byte_len()).sum::<usize>(), LAYERS * LAYER_BYTES);
    assert!(before > 0 && touched < 50_000_000, "{touched} bytes were touched");
}
