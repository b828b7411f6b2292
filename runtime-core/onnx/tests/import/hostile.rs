//! Bad input: every refusal says where and what.

use std::sync::Arc;

use remuda_onnx::{ImportOptions, import};

use crate::pb::{
    Attribute, File, INITIALIZER, INPUT, NODE, OUTPUT, Pb, attribute, floats, function, graph,
    info, model, model_of, node, node_in, one_node, refusal, refusal_with, tensor,
};

fn add(inputs: &[&str], outputs: &[&str]) -> Pb {
    node("Add", inputs, outputs, &[])
}

#[test]
fn files_that_are_no_models_are_refused() {
    assert_eq!(refusal(&Pb::new()), "invalid: the file holds no graph");
    let text = Pb(b"GGUF\x03\0\0\0 and more".to_vec());
    assert_eq!(refusal(&text), "invalid: byte 0 (ModelProto): field 8 has the unknown wire type 7");
}

#[test]
fn a_model_cut_off_anywhere_is_refused() {
    let tensor = floats("w", &[2], &[1.0, 2.0]);
    let body = one_node(node("Add", &["x", "w"], &["z"], &[]));
    let whole = model(&body.add(INITIALIZER, &tensor)).0;
    for length in 0..whole.len() {
        let cut = File(whole[..length].to_vec());
        let result = import(Arc::new(cut), &ImportOptions::default());
        assert!(result.is_err(), "{length} of {} bytes are no model", whole.len());
    }
}

#[test]
fn any_changed_byte_is_refused_or_read() {
    let tensor = floats("w", &[2], &[1.0, 2.0]);
    let body = one_node(node("Add", &["x", "w"], &["z"], &[]));
    let whole = model(&body.add(INITIALIZER, &tensor)).0;
    for at in 0..whole.len() {
        for change in [1, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            drop(import(Arc::new(File(changed)), &ImportOptions::default()));
        }
    }
}

#[test]
fn cycles_are_refused() {
    let cyclic = graph(&[
        (NODE, add(&["a", "a"], &["b"])),
        (NODE, add(&["b", "b"], &["a"])),
        (OUTPUT, info("b", 1, &["n"])),
    ]);
    assert_eq!(
        refusal(&model(&cyclic)),
        "invalid: graph `main`, node `Add` that makes `b`: it needs its own outputs: the nodes form a cycle"
    );
    assert_eq!(
        refusal(&model(&one_node(add(&["z", "y"], &["z"])))),
        "invalid: graph `main`, node `Add` that makes `z`: it needs its own outputs: the nodes form a cycle"
    );
}

#[test]
fn names_that_are_made_twice_are_refused() {
    let twice = one_node(add(&["x", "y"], &["z"])).add(NODE, &add(&["x", "x"], &["z"]));
    assert_eq!(
        refusal(&model(&twice)),
        "invalid: graph `main`, node `Add` that makes `z`: output `z` is also made by node `Add` that makes `z`"
    );
    let input = one_node(add(&["x", "y"], &["z"])).add(INPUT, &info("x", 1, &[]));
    assert_eq!(
        refusal(&model(&input)),
        "invalid: graph `main`, input `x`: value `x` is made more than once"
    );
    let shadow = one_node(add(&["x", "y"], &["x"]));
    assert_eq!(
        refusal(&model(&shadow)),
        "invalid: graph `main`, node `Add` that makes `x`: it needs its own outputs: the nodes form a cycle"
    );
    let weight = floats("w", &[1], &[0.0]);
    let weights = one_node(add(&["x", "y"], &["z"])).add(INITIALIZER, &weight);
    assert_eq!(
        refusal(&model(&weights.add(INITIALIZER, &weight))),
        "invalid: graph `main`: initializer `w` is there twice"
    );
}

#[test]
fn names_that_nothing_makes_are_refused() {
    assert_eq!(
        refusal(&model(&one_node(add(&["x", "lost"], &["z"])))),
        "invalid: graph `main`, node `Add` that makes `z`: value `lost` is used, but nothing makes it"
    );
    assert_eq!(
        refusal(&model(&graph(&[(OUTPUT, info("lost", 1, &[]))]))),
        "invalid: graph `main`, output `lost`: value `lost` is used, but nothing makes it"
    );
}

#[test]
fn operators_are_checked_against_their_definitions() {
    let softmax = |attributes: &[Pb]| {
        refusal(&model(&one_node(
            node("Softmax", &["x"], &["z"], attributes).bytes(3, "blk.3/attn"),
        )))
    };
    assert_eq!(
        softmax(&[attribute("axsi", &Attribute::Int(0))]),
        "invalid: graph `main`, node `blk.3/attn` (Softmax): unknown attribute `axsi`, did you mean `axis`?"
    );
    let int = info("i", 7, &["n"]);
    let mixed = one_node(add(&["x", "i"], &["z"])).add(INPUT, &int);
    assert_eq!(
        refusal(&model(&mixed)),
        "invalid: graph `main`, node `Add`: input 1 (`b`) is `i64`, expected `f32` as input 0"
    );
    assert_eq!(
        refusal(&model(&one_node(add(&["x"], &["z"])))),
        "invalid: graph `main`, node `Add`: input `b` is missing"
    );
    assert_eq!(
        refusal(&model(&one_node(node(
            "Add",
            &["x", "y"],
            &["z"],
            &[attribute("axis", &Attribute::Text(b"\xff"))]
        )))),
        "invalid: graph `main`, node `Add` that makes `z`, attribute `axis`: the text is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0"
    );
}

#[test]
fn names_that_are_no_texts_are_refused() {
    let broken = Pb::new().bytes(2, b"main").bytes(10, b"\xc3\x28");
    assert_eq!(
        refusal(&model(&broken)),
        "invalid: byte 18 (GraphProto): the text in field 10 is not UTF-8"
    );
}

#[test]
fn an_operator_without_a_name_is_refused() {
    assert_eq!(
        refusal(&model(&one_node(Pb::new().bytes(3, "n").bytes(1, "x")))),
        "invalid: node `n` (?): the operator has no name"
    );
}

#[test]
fn deep_nesting_is_refused() {
    let mut nested = graph(&[]);
    for _ in 0..10_000 {
        let body = attribute("then_branch", &Attribute::Graph(&nested));
        nested = graph(&[(NODE, node("If", &["c"], &["z"], &[body]))]);
    }
    let error = refusal(&model(&nested));
    let end = ": bodies of control flow nest deeper than 32";
    assert!(error.starts_with("unsupported: ") && error.ends_with(end), "{error}");

    let mut ty = Pb::new();
    for _ in 0..10_000 {
        ty = Pb::new().add(4, &Pb::new().add(1, &ty));
    }
    let input = graph(&[(INPUT, Pb::new().bytes(1, "x").add(2, &ty))]);
    assert_eq!(
        refusal(&model(&input)),
        "unsupported: graph `main`, input `x`: types nest deeper than 8"
    );
}

#[test]
fn repeated_fields_without_end_are_refused() {
    let options =
        ImportOptions { max_fields: 1 << 20, max_structure_bytes: 1 << 22, ..Default::default() };
    let inputs = Pb([0x0a, 0].repeat(1 << 19));
    assert_eq!(
        refusal_with(&model(&graph(&[(NODE, inputs)])), &options),
        "resource: the model's structure takes more memory than it may"
    );
    let skipped = Pb([0x98, 0x06, 0].repeat(1 << 20));
    assert_eq!(
        refusal_with(&model(&skipped), &options),
        "resource: the file has more fields than a model may have"
    );
    let numbers = Pb::new().bytes(1, "axes").bytes(8, vec![0; 1 << 20]).int(20, 7);
    assert_eq!(
        refusal_with(&model(&one_node(node("Add", &[], &["z"], &[numbers]))), &options),
        "resource: node `Add` that makes `z`: the model's structure takes more memory than it may"
    );
}

#[test]
fn loops_in_loops_are_not_inferred_without_end() {
    // Each loop asks for the types of its body with other input types than it declares.
    let mut body = None;
    for depth in 0..24 {
        let inner = body.take().map(|body: Pb| {
            let attributes = [attribute("body", &Attribute::Graph(&body))];
            node("Loop", &["", "more", "s"], &[&format!("r{depth}")], &attributes)
        });
        let mut parts = vec![
            (INPUT, info("i", 7, &[])),
            (INPUT, info("more", 9, &[])),
            (INPUT, info("s", 1, &["declared"])),
            (NODE, node("Identity", &["more"], &["again"], &[])),
            (OUTPUT, info("again", 9, &[])),
        ];
        let result = if inner.is_some() { format!("r{depth}") } else { "s".to_owned() };
        parts.extend(inner.map(|inner| (NODE, inner)));
        parts.push((OUTPUT, info(&result, 1, &["other"])));
        body = Some(graph(&parts));
    }
    let attributes = [attribute("body", &Attribute::Graph(&body.unwrap()))];
    let main = graph(&[
        (INPUT, info("c", 9, &[])),
        (INPUT, info("x", 1, &["n"])),
        (OUTPUT, info("z", 1, &["n"])),
        (NODE, node("Loop", &["", "c", "x"], &["z"], &attributes)),
    ]);
    // Whether it is refused is for the rules to say; that it ends is what counts.
    drop(import(Arc::new(File(model(&main).0)), &ImportOptions::default()));
}

#[test]
fn functions_that_grow_without_end_are_refused() {
    let call = |name: &str, input: &str, output: &str| node_in("f", name, &[input], &[output], &[]);
    let main = |name: &str| model(&one_node(call(name, "x", "z")));
    let own = function("own", &["a"], &["b"], &[call("own", "a", "b")]);
    assert_eq!(
        refusal(&main("own").add(25, &own)),
        "invalid: graph `main`, node `own` that makes `z`, function `f::own`, node `own` that makes `b`, function `f::own`: it calls itself"
    );
    // Each function calls the next one twice.
    let mut doubling = main("f0");
    for at in 0..30 {
        let next = format!("f{}", at + 1);
        let calls = [call(&next, "a", "b"), call(&next, "b", "c")];
        doubling = doubling.add(25, &function(&format!("f{at}"), &["a"], &["c"], &calls));
    }
    let leaf = function("f30", &["a"], &["b"], &[node("Neg", &["a"], &["b"], &[])]);
    let options = ImportOptions { max_structure_bytes: 1 << 22, ..Default::default() };
    let error = refusal_with(&doubling.add(25, &leaf), &options);
    let end = ": the model's structure takes more memory than it may";
    assert!(error.starts_with("resource: graph `main`, ") && error.ends_with(end), "{error}");
}

#[test]
fn what_is_not_supported_is_named() {
    let map = Pb::new().add(5, &Pb::new().int(1, 7));
    let input = graph(&[(INPUT, Pb::new().bytes(1, "m").add(2, &map))]);
    assert_eq!(refusal(&model(&input)), "unsupported: graph `main`, input `m`: map types");
    let newer = model_of(99, &one_node(node("Later", &["x"], &["z"], &[])));
    assert_eq!(
        refusal(&newer),
        "unsupported: graph `main`, node `Later` that makes `z`: the operator is not known, and the model's opset 99 is newer than 28"
    );
    let segment = tensor("w", 1, &[1]).add(3, &Pb::new().int(1, 0));
    assert_eq!(
        refusal(&model(&graph(&[(INITIALIZER, segment)]))),
        "unsupported: tensor `w`: tensors that are cut into segments are not supported"
    );
}

#[test]
fn operator_sets_must_be_there_and_be_versions() {
    let body = one_node(add(&["x", "y"], &["z"]));
    assert_eq!(
        refusal(&Pb::new().int(1, 10).add(7, &body)),
        "invalid: graph `main`, node `Add` that makes `z`: the model imports no operator set of `ai.onnx`"
    );
    assert_eq!(
        refusal(&model_of(-1, &body)),
        "invalid: operator set -1 of domain `` is no version"
    );
}
