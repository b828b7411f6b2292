//! Graphs that break one rule each: which rule it is, where, and what the message says.

use remuda_tensor::{DType, Dim, TensorType};

use super::verify;
use crate::{
    AttrDef, AttrKind, Def, Graph, InferCtx, Inferred, InputDef, KernelCtx, NodeId, OpDef, OpError,
    OpTable, OutputDef, Tolerance, Traits, Types, Val, ValueId, text,
};

/// Operators with a bit of everything: nothing here is run or typed.
struct Ops;

fn no_types(_: &InferCtx<'_>) -> Result<Vec<Inferred>, OpError> {
    Err(OpError::unsupported("types"))
}

fn no_kernel(_: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {
    Err(OpError::unsupported("kernels"))
}

const PLAIN: OpDef = OpDef {
    domain: "",
    name: "",
    since: 1,
    upgrades: &[],
    inputs: &[],
    outputs: &[OutputDef::new("y")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: no_types,
    reference: no_kernel,
    cases: "",
};

static ADD: OpDef = OpDef {
    name: "Add",
    inputs: &[InputDef::new("a", Types::FLOATS), InputDef::new("b", Types::FLOATS)],
    attrs: &[AttrDef::new("axis", AttrKind::Int), AttrDef::new("names", AttrKind::Texts)],
    ..PLAIN
};

static CLIP: OpDef = OpDef {
    name: "Clip",
    inputs: &[InputDef::new("x", Types::FLOATS), InputDef::optional("low", Types::FLOATS)],
    outputs: &[OutputDef::new("y"), OutputDef::optional("mask")],
    ..PLAIN
};

static JOIN: OpDef = OpDef {
    name: "Join",
    inputs: &[InputDef::new("first", Types::ANY), InputDef::variadic("rest", Types::ANY)],
    attrs: &[AttrDef::required("axis", AttrKind::Int)],
    ..PLAIN
};

static CHOOSE: OpDef = OpDef {
    name: "Choose",
    inputs: &[InputDef::new("x", Types::ANY)],
    attrs: &[AttrDef::new("body", AttrKind::Graph)],
    ..PLAIN
};

impl OpTable for Ops {
    fn find(&self, domain: &str, name: &str) -> Option<&'static OpDef> {
        let all = [&ADD, &CLIP, &JOIN, &CHOOSE];
        all.into_iter().find(|op| op.domain == domain && op.name == name)
    }
}

/// A graph of two inputs of f32 and one of i64 around these statements.
fn graph(statements: &str) -> Graph {
    let inputs = "input %a: f32[2]\ninput %b: f32[2]\ninput %n: i64[2]\n";
    let source = format!("graph \"g\" {{\n{inputs}{statements}\n}}");
    text::parse(&source).unwrap_or_else(|error| panic!("{source}\n{error}"))
}

fn value(graph: &Graph, name: &str) -> ValueId {
    graph.find_value(name).unwrap()
}

fn first_node(graph: &Graph) -> NodeId {
    graph.order()[0]
}

#[track_caller]
fn breaks(graph: &Graph, rule: u8, message: &str) {
    let error = verify(graph, &Ops).unwrap_err();
    assert_eq!((error.rule, error.to_string().as_str()), (rule, message));
}

#[test]
fn graphs_that_keep_the_rules_pass() {
    let sources = [
        "%y = Add(%a, %b) {axis = 1}\noutput %y",
        "%y, _ = Clip(%a, _)\n%z, %mask = Clip(%y, %b)\noutput %z, %mask",
        "%y = Join(%n) {axis = 0}\n%z = Join(%y, %y, %n) {axis = 0}\noutput %z",
        "%y = Choose(%a) {body = graph \"b\" {\ncapture %o: f32[2]\n%r = Add(%o, %o)\noutput %r\n} (%b)}\noutput %y",
        "%y = far.away::Anything(%a, _, %n) {whatever = ints[1, 2]}\noutput %y",
        "const %w: f32[1] = x0000803f\n%y = Add(%a, %w)\noutput %y, %w",
    ];
    for source in sources {
        verify(&graph(source), &Ops).unwrap_or_else(|error| panic!("{source}: {error}"));
    }
}

#[test]
fn rule_1_everything_used_is_made_before() {
    let late = "graph `g`, node `Add`: value `y` is used before anything makes it";
    let mut swapped = graph("%y = Add(%a, %b)\n%z = Add(%y, %y)\noutput %z");
    let nodes = [swapped.order()[0], swapped.order()[1]];
    let nodes = nodes.map(|id| swapped.node(id).unwrap().clone());
    swapped.retain(|_| false);
    for node in nodes.into_iter().rev() {
        swapped.push(node);
    }
    breaks(&swapped, 1, late);

    let mut cut = graph("%y = Add(%a, %b)\n%z = Add(%y, %y)\noutput %y, %z");
    let first = first_node(&cut);
    cut.retain(|id| id != first);
    breaks(&cut, 1, late);
    cut.retain(|_| false);
    breaks(&cut, 1, "graph `g`, the outputs: value `y` is used before anything makes it");

    let mut unlisted = graph("%y = Add(%a, %b)\noutput %y");
    unlisted.inputs.remove(0);
    let text = "graph `g`, value `a`: it is an input or a capture that its graph does not list";
    breaks(&unlisted, 1, text);
}

#[test]
fn rule_2_everything_is_made_once() {
    let mut twice = graph("%y = Add(%a, %b)\n%z = Add(%b, %a)\noutput %z");
    let (y, second) = (value(&twice, "y"), twice.order()[1]);
    twice.node_mut(second).unwrap().outputs[0] = Some(y);
    twice.outputs = vec![y];
    breaks(&twice, 2, "graph `g`, node `Add`: output `y` is also made elsewhere");

    let mut input = graph("%y = Add(%a, %b)\noutput %y");
    let y = value(&input, "y");
    input.set_def(y, Def::State);
    breaks(&input, 2, "graph `g`, node `Add`: output `y` is also made elsewhere");
}

#[test]
fn rule_3_operators_have_the_inputs_and_outputs_that_they_allow() {
    let cases = [
        ("%y = Add(%a)", "`Add`: input `b` is missing"),
        ("%y = Add(_, %b)", "`Add`: input `a` is missing"),
        ("%y = Add(%a, %b, %a)", "`Add`: expected at most 2 inputs, got 3"),
        ("%y = Join() {axis = 0}", "`Join`: input `first` is missing"),
        ("_, %y = Clip(%a)", "`Clip`: output `y` is missing"),
        ("%y, %z = Add(%a, %b)", "`Add`: expected at most 1 outputs, got 2"),
    ];
    for (node, message) in cases {
        breaks(&graph(node), 3, &format!("graph `g`, node {message}"));
    }
}

#[test]
fn rule_4_inputs_hold_what_the_operator_takes() {
    let taken = Types::FLOATS.to_string();
    let message =
        format!("graph `g`, node `Add`: input 0 (`a`) is `i64`, expected one of: {taken}");
    breaks(&graph("%y = Add(%n, %b)"), 4, &message);
    let tied = "graph `g`, node `Join`: input 2 (`rest`) is `i64`, expected `f32` as input 0";
    breaks(&graph("%y = Join(%a, %b, %n) {axis = 0}"), 4, tied);
}

#[test]
fn rule_5_attributes_are_known_and_of_their_kind() {
    let cases = [
        ("%y = Add(%a, %b) {axes = 1}", "`Add`: unknown attribute `axes`, did you mean `axis`?"),
        ("%y = Add(%a, %b) {zzzzzzzz = 1}", "`Add`: unknown attribute `zzzzzzzz`"),
        ("%y = Join(%a)", "`Join`: attribute `axis` is missing"),
        (
            "%y = Add(%a, %b) {axis = 1.0f}",
            "`Add`: attribute `axis` expected an integer, got a float",
        ),
        (
            "%y = Add(%a, %b) {names = \"x\"}",
            "`Add`: attribute `names` expected strings, got a string",
        ),
        (
            "%y = Choose(%a) {body = tensor f32[1] = x00000000;}",
            "`Choose`: attribute `body` expected a graph, got a tensor",
        ),
    ];
    for (node, message) in cases {
        breaks(&graph(node), 5, &format!("graph `g`, node {message}"));
    }
}

#[test]
fn messages_do_not_grow_with_what_they_refuse() {
    let many = vec!["1"; 100_000].join(", ");
    let long = graph(&format!("%y = Add(%a, %b) {{axis = ints[{many}]}}"));
    let got = "graph `g`, node `Add`: attribute `axis` expected an integer, got integers";
    breaks(&long, 5, got);
    let body = "graph \"b\" {\ninput %i: f32[2]\n%r = Add(%i, %i)\noutput %r\n} ()";
    let got = "graph `g`, node `Add`: attribute `axis` expected an integer, got a graph";
    breaks(&graph(&format!("%y = Add(%a, %b) {{axis = {body}}}")), 5, got);
}

#[test]
fn rule_6_bodies_capture_what_they_declare() {
    let body = "graph \"b\" {\ncapture %o: f32[2]\n%r = Add(%o, %o)\noutput %r\n}";
    for (given, count) in [("", 0), ("%a, %b", 2)] {
        let node = format!("%y = Choose(%a) {{body = {body} ({given})}}");
        let message =
            format!("graph `g`, node `Choose`: body `body` captures 1 values, is given {count}");
        breaks(&graph(&node), 6, &message);
    }
}

#[test]
fn rule_7_constants_are_of_their_types() {
    let source = "const %w: f32[1] = x0000803f\n%y = Add(%a, %w)\noutput %y";
    let others = [
        (TensorType::new(DType::F32, [Dim::Known(2)]), "f32[2]"),
        (TensorType::new(DType::I32, [Dim::Known(1)]), "i32[1]"),
        (TensorType::unranked(DType::F32), "f32[..]"),
    ];
    for (ty, shown) in others {
        let mut graph = graph(source);
        graph.set_type(value(&graph, "w"), ty.into());
        let message =
            format!("graph `g`, value `w`: the constant is `f32[1]`, declared as `{shown}`");
        breaks(&graph, 7, &message);
    }
}

#[test]
fn rule_8_bodies_keep_the_rules() {
    let inner = "graph \"inner\" {\ninput %i: f32[2]\n%r = Add(%i)\noutput %r\n} ()";
    let node = format!("%y = Choose(%a) {{body = {inner}}}\noutput %y");
    breaks(&graph(&node), 3, "graph `inner`, node `Add`: input `b` is missing");
    let outer = format!(
        "graph \"outer\" {{\ninput %i: f32[2]\n%r = Choose(%i) {{body = {inner}}}\noutput %r\n}} ()"
    );
    let node = format!("%y = Choose(%a) {{body = {outer}}}\noutput %y");
    breaks(&graph(&node), 3, "graph `inner`, node `Add`: input `b` is missing");
}
