//! Functions are replaced by their nodes.

use remuda_ir::Attr;

use crate::pb::{
    Attribute, NODE, OUTPUT, Pb, attr, attribute, function, graph, import_model, info, model, node,
    node_in, one_node, only, operators, refusal,
};

fn call(name: &str, inputs: &[&str], attributes: &[Pb]) -> Pb {
    model(&one_node(node_in("f", name, inputs, &["z"], attributes)))
}

/// `Softmax` along the function's attribute `dim`.
fn softmax() -> Pb {
    let along = attribute("axis", &Attribute::Reference("dim"));
    function("soft", &["a", "b"], &["r"], &[node("Softmax", &["a"], &["r"], &[along])])
}

#[test]
fn a_call_is_replaced_by_the_function() {
    let body = [node("Neg", &["a"], &["t"], &[]), node("Add", &["t", "b"], &["r"], &[])];
    let model = call("mix", &["x", "y"], &[]).add(25, &function("mix", &["a", "b"], &["r"], &body));
    let graph = import_model(&model).graph;
    assert_eq!(operators(&graph), ["Neg", "Add"]);
    assert!(graph.find_value("mix/t").is_some(), "inner names say where they come from");
    assert_eq!(graph.value(graph.outputs[0]).name, "z", "outputs keep the names of the call");
}

#[test]
fn nodes_refer_to_attributes_of_the_call() {
    let given = call("soft", &["x"], &[attribute("dim", &Attribute::Int(0))])
        .add(25, &softmax().bytes(6, "dim"));
    let graph = import_model(&given).graph;
    assert_eq!(attr(only(&graph, "Softmax"), "axis"), Some(&Attr::Int(0)));

    let absent = call("soft", &["x"], &[]).add(25, &softmax().bytes(6, "dim"));
    let graph = import_model(&absent).graph;
    assert_eq!(attr(only(&graph, "Softmax"), "axis"), None);

    let default = softmax().add(11, &attribute("dim", &Attribute::Int(-1)));
    let graph = import_model(&call("soft", &["x"], &[]).add(25, &default)).graph;
    assert_eq!(attr(only(&graph, "Softmax"), "axis"), Some(&Attr::Int(-1)));
}

#[test]
fn functions_call_functions_whatever_their_order() {
    let outer = function(
        "outer",
        &["a"],
        &["r"],
        &[node_in("f", "inner", &["t"], &["r"], &[]), node("Neg", &["a"], &["t"], &[])],
    );
    let inner = function("inner", &["a"], &["r"], &[node("Abs", &["a"], &["r"], &[])]);
    let model = call("outer", &["x"], &[]).add(25, &outer).add(25, &inner);
    assert_eq!(operators(&import_model(&model).graph), ["Neg", "Abs"]);
}

#[test]
fn overloads_are_told_apart() {
    let of = |overload: &str, op: &str| {
        function("pick", &["a"], &["r"], &[node(op, &["a"], &["r"], &[])]).bytes(13, overload)
    };
    let node = node_in("f", "pick", &["x"], &["z"], &[]).bytes(8, "second");
    let model = model(&one_node(node)).add(25, &of("first", "Abs")).add(25, &of("second", "Neg"));
    assert_eq!(operators(&import_model(&model).graph), ["Neg"]);
}

#[test]
fn bodies_in_functions_see_the_function_and_not_the_caller() {
    let branch = graph(&[(NODE, node("Neg", &["a"], &["q"], &[])), (OUTPUT, info("q", 1, &["n"]))]);
    let branches = [
        attribute("then_branch", &Attribute::Graph(&branch)),
        attribute("else_branch", &Attribute::Graph(&branch)),
    ];
    let choose = function("choose", &["c", "a"], &["r"], &[node("If", &["c"], &["r"], &branches)]);
    let main =
        one_node(node_in("f", "choose", &["c", "x"], &["z"], &[])).add(11, &info("c", 9, &[]));
    let graph = import_model(&model(&main).add(25, &choose)).graph;
    let Some(Attr::Graph(body)) = attr(only(&graph, "If"), "then_branch") else { panic!() };
    assert_eq!(graph.value(body.captures[0]).name, "x");

    let peeking = function("peek", &["a"], &["r"], &[node("Add", &["a", "y"], &["r"], &[])]);
    assert_eq!(
        refusal(&call("peek", &["x"], &[]).add(25, &peeking)),
        "invalid: graph `main`, node `peek` that makes `z`, function `f::peek`, node `Add` that makes `r`: value `y` is used, but nothing makes it"
    );
}

#[test]
fn a_body_given_to_a_function_keeps_what_it_captures() {
    let branch = graph(&[(NODE, node("Neg", &["y"], &["q"], &[])), (OUTPUT, info("q", 1, &["n"]))]);
    let mut refer = Pb::new().bytes(1, "then_branch").bytes(21, "body").int(20, 5);
    let then = refer.clone();
    refer = Pb::new().bytes(1, "else_branch").bytes(21, "body").int(20, 5);
    let twice = function("twice", &["c"], &["r"], &[node("If", &["c"], &["r"], &[then, refer])])
        .bytes(6, "body");
    let given = attribute("body", &Attribute::Graph(&branch));
    let main =
        one_node(node_in("f", "twice", &["c"], &["z"], &[given])).add(11, &info("c", 9, &[]));
    let graph = import_model(&model(&main).add(25, &twice)).graph;
    for name in ["then_branch", "else_branch"] {
        let Some(Attr::Graph(body)) = attr(only(&graph, "If"), name) else { panic!() };
        assert_eq!(graph.value(body.captures[0]).name, "y");
    }
}

#[test]
fn left_out_inputs_and_passed_through_ones_work() {
    let pass = function("pass", &["a", "b"], &["a"], &[]);
    let graph = import_model(&call("pass", &["x"], &[]).add(25, &pass)).graph;
    assert_eq!(operators(&graph), ["Identity"], "the output needs a value of its own");

    let clip = function("clip", &["a", "low"], &["r"], &[node("Add", &["a", "low"], &["r"], &[])]);
    assert_eq!(
        refusal(&call("clip", &["x"], &[]).add(25, &clip)),
        "invalid: graph `main`, node `clip/Add` (Add): input `b` is missing"
    );
}

/// A function that replaces an operator by `Neg`.
fn replacing(domain: &str, name: &str) -> Pb {
    let negative = Pb::new().bytes(1, "a").bytes(2, "r").bytes(4, "Neg");
    let opset = Pb::new().bytes(1, "").int(2, 28);
    let function = Pb::new().bytes(1, name).bytes(10, domain).bytes(4, "a").bytes(5, "r");
    function.add(7, &negative).add(9, &opset)
}

#[test]
fn in_the_standard_domain_the_function_is_what_the_model_means() {
    let model = model(&one_node(node("Abs", &["x"], &["z"], &[])));
    let graph = import_model(&model.add(25, &replacing("", "Abs"))).graph;
    assert_eq!(operators(&graph), ["Neg"]);
}

#[test]
fn calls_that_do_not_fit_are_refused() {
    let place = "invalid: graph `main`, node `soft` that makes `z`, function `f::soft`: ";
    let many = call("soft", &["x", "y", "x"], &[]).add(25, &softmax());
    assert_eq!(refusal(&many), format!("{place}expected at most 2 inputs, got 3"));
    let unknown =
        call("soft", &["x"], &[attribute("axis", &Attribute::Int(1))]).add(25, &softmax());
    assert_eq!(refusal(&unknown), format!("{place}it has no attribute `axis`"));
    let nothing = call("none", &["x"], &[]).add(25, &function("none", &["a"], &["r"], &[]));
    assert_eq!(
        refusal(&nothing),
        "invalid: graph `main`, node `none` that makes `z`, function `f::none`: nothing makes its output `r`"
    );
    let twice = call("soft", &["x"], &[]).add(25, &softmax()).add(25, &softmax());
    assert_eq!(refusal(&twice), "invalid: function `f::soft`: it is there more than once");
    let outside = one_node(node(
        "Softmax",
        &["x"],
        &["z"],
        &[attribute("axis", &Attribute::Reference("dim"))],
    ));
    assert_eq!(
        refusal(&model(&outside)),
        "invalid: graph `main`, node `Softmax` that makes `z`, attribute `axis`: it refers to attribute `dim` of a function, but is in none"
    );
}
