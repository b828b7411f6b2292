//! Graphs: names, bodies, order, defaults, upgrades, types.

use remuda_ir::{Attr, ValueType};
use remuda_onnx::ImportOptions;
use remuda_tensor::{DType, Dim, Tensor, TensorType};

use crate::pb::{
    Attribute, INITIALIZER, INPUT, NODE, OUTPUT, Pb, attr, attribute, floats, graph, import_model,
    import_with, info, model, model_of, node, node_in, one_node, only, operators, refusal, tensor,
};

fn add(inputs: &[&str], outputs: &[&str]) -> Pb {
    node("Add", inputs, outputs, &[])
}

#[test]
fn nodes_are_brought_into_order() {
    let unsorted = graph(&[
        (INPUT, info("x", 1, &["n"])),
        (OUTPUT, info("z", 1, &["n"])),
        (NODE, node("Abs", &["a"], &["z"], &[])),
        (NODE, node("Neg", &["x"], &["a"], &[])),
    ]);
    assert_eq!(operators(&import_model(&model(&unsorted)).graph), ["Neg", "Abs"]);
}

#[test]
fn initializers_of_inputs_are_constants_unless_the_caller_wants_to_give_them() {
    let body = one_node(add(&["x", "y"], &["z"])).add(INITIALIZER, &floats("y", &[1], &[2.0]));
    let model = model(&body);
    let constant = import_model(&model);
    assert_eq!(constant.inputs.len(), 1);
    let y = constant.graph.find_value("y").unwrap();
    assert_eq!(constant.graph.value(y).constant(), Some(&Tensor::vector(vec![2.0f32])));

    let options = ImportOptions { overridable: vec!["y".into()], ..Default::default() };
    let overridable = import_with(&model, &options).unwrap();
    let names: Vec<&str> = overridable.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["x", "y"]);
    assert_eq!(overridable.defaults["y"], Tensor::vector(vec![2.0f32]));
}

/// `If` on `c` with this body for both branches.
fn with_body(body: &Pb) -> Pb {
    let branches = [
        attribute("then_branch", &Attribute::Graph(body)),
        attribute("else_branch", &Attribute::Graph(body)),
    ];
    one_node(node("If", &["c"], &["z"], &branches)).add(INPUT, &info("c", 9, &[]))
}

#[test]
fn bodies_capture_what_they_use_of_the_graphs_around() {
    let inner = graph(&[(NODE, add(&["x", "y"], &["r"])), (OUTPUT, info("r", 1, &["n"]))]);
    let branches = [
        attribute("then_branch", &Attribute::Graph(&inner)),
        attribute("else_branch", &Attribute::Graph(&inner)),
    ];
    let outer = graph(&[
        (NODE, node("If", &["c"], &["q"], &branches)),
        (NODE, add(&["q", "x"], &["s"])),
        (OUTPUT, info("s", 1, &["n"])),
    ]);
    let main = import_model(&model(&with_body(&outer))).graph;
    let Some(Attr::Graph(body)) = attr(only(&main, "If"), "then_branch") else { panic!() };
    let captured: Vec<&str> =
        body.captures.iter().map(|&id| main.value(id).name.as_str()).collect();
    assert_eq!(captured, ["c", "x", "y"], "each once, though `x` is used twice");
    let Some(Attr::Graph(deeper)) = attr(only(&body.graph, "If"), "then_branch") else { panic!() };
    assert_eq!(deeper.captures.len(), 2);
    let z = main.value(main.outputs[0]).ty.clone().unwrap();
    assert_eq!(z.to_string(), "f32[n]");
}

#[test]
fn a_name_of_the_body_itself_hides_the_outer_one() {
    let body = graph(&[
        (NODE, node("Abs", &["x"], &["r"], &[])),
        (NODE, node("Neg", &["y"], &["x"], &[])),
        (OUTPUT, info("r", 1, &["n"])),
    ]);
    let main = import_model(&model(&with_body(&body))).graph;
    let Some(Attr::Graph(body)) = attr(only(&main, "If"), "then_branch") else { panic!() };
    assert_eq!(operators(&body.graph), ["Neg", "Abs"]);
    assert_eq!(body.captures.len(), 1, "only `y` comes from outside");
}

#[test]
fn nodes_of_foreign_domains_survive_with_their_declared_types() {
    let foreign = node_in(
        "acme",
        "Mix",
        &["x", "", "y", ""],
        &["m"],
        &[attribute("mode", &Attribute::Text(b"fast"))],
    );
    let main = graph(&[
        (INPUT, info("x", 1, &["n"])),
        (INPUT, info("y", 1, &["n"])),
        (NODE, foreign),
        (NODE, add(&["m", "x"], &["z"])),
        (OUTPUT, info("z", 1, &["n"])),
        (13, info("m", 1, &["n"])),
    ]);
    let graph = import_model(&model(&main)).graph;
    assert_eq!(operators(&graph), ["acme::Mix", "Add"]);
    let mix = only(&graph, "acme::Mix");
    assert_eq!(mix.inputs.len(), 3, "trailing left-out inputs are dropped, inner ones are kept");
    assert_eq!(attr(mix, "mode"), Some(&Attr::Text("fast".into())));
    let made = mix.output(0).unwrap();
    assert_eq!(graph.value(made).ty.as_ref().unwrap().to_string(), "f32[n]");
}

#[test]
fn constant_nodes_are_constants() {
    let values = [
        (attribute("value_int", &Attribute::Int(3)), Tensor::scalar(3i64)),
        (attribute("value_ints", &Attribute::Ints(&[1, 2])), Tensor::vector(vec![1i64, 2])),
        (
            attribute("value_string", &Attribute::Text(b"a")),
            Tensor::from_strings(Vec::new(), vec!["a".into()]).unwrap(),
        ),
        (
            attribute("value", &Attribute::Tensor(&floats("", &[1], &[4.0]))),
            Tensor::vector(vec![4f32]),
        ),
    ];
    for (value, expected) in values {
        let constant = node("Constant", &[], &["c"], &[value]);
        let main =
            import_model(&model(&one_node(add(&["x", "y"], &["z"])).add(NODE, &constant))).graph;
        let c = main.find_value("c").unwrap();
        assert_eq!(main.value(c).constant(), Some(&expected));
        assert_eq!(operators(&main), ["Add"]);
    }
    let empty = one_node(node("Constant", &[], &["z"], &[]));
    assert_eq!(
        refusal(&model(&empty)),
        "invalid: graph `main`, node `Constant` that makes `z`: expected one attribute, got 0"
    );
}

#[test]
fn every_output_has_a_value_of_its_name() {
    let main = graph(&[
        (INPUT, info("x", 1, &["n"])),
        (NODE, node("Abs", &["x"], &["z"], &[])),
        (OUTPUT, info("z", 1, &["n"])),
        (OUTPUT, info("x", 1, &["n"])),
        (OUTPUT, info("z", 1, &["n"])),
    ]);
    let graph = import_model(&model(&main)).graph;
    assert_eq!(operators(&graph), ["Abs", "Identity"]);
    assert_eq!(graph.outputs.len(), 3);
    assert_ne!(graph.outputs[0], graph.outputs[2]);
}

#[test]
fn nodes_of_older_operator_sets_are_upgraded() {
    let softmax = one_node(node("Softmax", &["x"], &["z"], &[]));
    assert_eq!(operators(&import_model(&model_of(13, &softmax)).graph), ["Softmax"]);
    let old = import_model(&model_of(9, &softmax)).graph;
    assert!(operators(&old).contains(&"Flatten".to_owned()), "{:?}", operators(&old));
    assert_eq!(old.value(old.outputs[0]).name, "z");

    let reshape = graph(&[
        (INPUT, info("x", 1, &["4"])),
        (NODE, node("Reshape", &["x"], &["z"], &[attribute("shape", &Attribute::Ints(&[2, 2]))])),
        (OUTPUT, info("z", 1, &["2", "2"])),
    ]);
    let graph = import_model(&model_of(1, &reshape)).graph;
    let shape = only(&graph, "Reshape").input(1).unwrap();
    assert_eq!(graph.value(shape).constant(), Some(&Tensor::vector(vec![2i64, 2])));
}

#[test]
fn a_newer_operator_set_of_known_operators_is_a_warning() {
    let newer = import_model(&model_of(29, &one_node(add(&["x", "y"], &["z"]))));
    let warning = "the model's opset 29 is newer than 28; its operators are read as of 28";
    assert_eq!(newer.warnings, [warning]);
}

#[test]
fn declared_outputs_are_compared_with_what_the_graph_makes() {
    let declared = |element: i64, dims: &[&str]| {
        model(&graph(&[
            (INPUT, info("x", 1, &["2"])),
            (NODE, node("Abs", &["x"], &["z"], &[])),
            (OUTPUT, info("z", element, dims)),
        ]))
    };
    assert_eq!(
        refusal(&declared(7, &["2"])),
        "invalid: graph `main`, output `z`: it is declared `i64[2]`, the graph makes `f32[2]`"
    );
    let wrong = import_model(&declared(1, &["3"]));
    assert_eq!(wrong.warnings, ["output `z` is declared `f32[3]`, the graph makes `f32[2]`"]);
    assert_eq!(
        wrong.graph.value(wrong.graph.outputs[0]).ty.as_ref().unwrap().to_string(),
        "f32[2]"
    );
    assert_eq!(wrong.outputs[0].ty.as_ref().unwrap().to_string(), "f32[3]");
    assert!(import_model(&declared(1, &["n"])).warnings.is_empty());
}

#[test]
fn dimensions_are_numbers_symbols_or_unknown() {
    let main = graph(&[
        (INPUT, info("x", 1, &["2", "batch", "past + 1", "-1", "weird name?"])),
        (OUTPUT, info("x", 1, &[])),
    ]);
    let imported = import_model(&model(&main));
    let Some(ValueType::Tensor(TensorType { dtype: DType::F32, dims: Some(dims) })) =
        &imported.inputs[0].ty
    else {
        panic!()
    };
    assert_eq!(dims[0], Dim::Known(2));
    assert_eq!(dims[1], Dim::symbol("batch"));
    assert_eq!(dims[2].to_string(), "past + 1");
    assert_eq!(dims[3], Dim::Unknown);
    assert_eq!(dims[4], Dim::symbol("weird name?"));
}

#[test]
fn what_the_file_says_about_itself_is_kept() {
    let property = Pb::new().bytes(1, "task").bytes(2, "none");
    let bytes = model(&one_node(add(&["x", "y"], &["z"])))
        .bytes(2, "writer")
        .bytes(3, "1.2")
        .bytes(6, "a model")
        .add(14, &property)
        .add(20, &Pb::new());
    let imported = import_model(&bytes);
    let metadata = &imported.metadata;
    assert_eq!((metadata.ir_version, metadata.producer_name.as_str()), (10, "writer"));
    assert_eq!(metadata.properties, [("task".to_owned(), "none".to_owned())]);
    assert_eq!(metadata.opsets[""], 28);
    assert_eq!(imported.warnings, ["the model's training graphs are ignored"]);
}

#[test]
fn shapes_are_followed_through_computations() {
    let main = graph(&[
        (INPUT, info("x", 1, &["n", "4", "5"])),
        (INITIALIZER, tensor("rest", 7, &[2]).packed(7, &[0, -1])),
        (NODE, node("Reshape", &["x", "rest"], &["z"], &[])),
        (OUTPUT, info("z", 1, &["n", "20"])),
    ]);
    let imported = import_model(&model(&main));
    let graph = &imported.graph;
    assert_eq!(graph.value(graph.outputs[0]).ty.as_ref().unwrap().to_string(), "f32[n, 20]");
}
