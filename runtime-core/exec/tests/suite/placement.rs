//! Who runs what, what is moved, and that the result is the CPU's.

use remuda_exec::{RunRequest, Selection, Session, Target};
use remuda_ir::Val;
use remuda_tensor::Tensor;

use crate::common::{cpu, fake, graph, options, run, select};

/// Two chains that meet; `Softmax` stands between.
const SOURCE: &str = r#"graph "g" {
  input %x: f32[n, 4]
  const %w: f32[1] = x0000003f
  %a = Neg(%x)
  %b = Add(%a, %w)
  %c = Softmax(%b)
  %d = Mul(%c, %b)
  %e = Abs(%d)
  output %e, %b
}"#;

fn input() -> Val {
    Tensor::from_vec([2, 4], vec![1.0f32, -2.0, 3.0, 0.5, 0.0, 1.0, 2.0, -1.0])
        .expect("a sound test")
        .into()
}

fn on_cpu() -> Vec<Val> {
    remuda_ops::interpret(&graph(SOURCE), &[input()]).expect("a sound test")
}

fn close(got: &[Val], want: &[Val]) {
    for (got, want) in got.iter().zip(want) {
        let (got, want) =
            (got.tensor().expect("a sound test"), want.tensor().expect("a sound test"));
        assert_eq!(got.dims(), want.dims());
        let pairs = got
            .to_f32_vec()
            .expect("a sound test")
            .into_iter()
            .zip(want.to_f32_vec().expect("a sound test"));
        pairs.for_each(|(got, want)| assert!((got - want).abs() < 1e-6, "{got} {want}"));
    }
}

#[test]
fn what_the_device_refuses_runs_on_the_cpu_between_its_parts() {
    let fake = fake(&[("ops", "all,-Softmax")]);
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake"]), &options()).unwrap();
    let (outputs, receipt) = run(&session, &[input()]);
    close(&outputs, &on_cpu());
    let parts: Vec<(&str, usize)> =
        receipt.parts.iter().map(|part| (&*part.target, part.nodes)).collect();
    assert_eq!(parts, [("fake:gpu", 2), ("cpu", 1), ("fake:gpu", 2)]);
    // `x` goes up, `b` comes down for Softmax and is still up for Mul; `c` goes up, `e` comes down.
    let moved = receipt.moved;
    assert_eq!((moved.uploaded, moved.downloaded, moved.between), (64, 64, 0));
    assert_eq!(receipt.plan, session.plan().id);
    assert!(receipt.failovers.is_empty() && receipt.warnings.is_empty());
}

#[test]
fn nothing_is_moved_where_memory_is_shared() {
    let fake = fake(&[("ops", "all,-Softmax"), ("memory_kind", "host")]);
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake"]), &options()).unwrap();
    let (outputs, receipt) = run(&session, &[input()]);
    close(&outputs, &on_cpu());
    assert_eq!((receipt.parts.len(), receipt.moved.total()), (3, 0));
}

#[test]
fn one_target_takes_all_in_one_part() {
    let fake = fake(&[]);
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake:gpu"]), &options()).unwrap();
    let (outputs, receipt) = run(&session, &[input()]);
    close(&outputs, &on_cpu());
    assert_eq!(receipt.parts.len(), 1);
    let only_cpu = Selection::new(&["cpu"], &[], cpu()).unwrap();
    let session = Session::new(graph(SOURCE), &only_cpu, &options()).unwrap();
    let (outputs, receipt) = run(&session, &[input()]);
    close(&outputs, &on_cpu());
    assert_eq!((&*receipt.parts[0].target, receipt.moved.total()), ("cpu", 0));
}

#[test]
fn two_devices_of_a_provider_copy_without_the_host() {
    let fake = fake(&[("devices", "gpu,npu"), ("gpu.ops", "Neg,Add"), ("npu.ops", "all")]);
    let session = Session::new(graph(SOURCE), &select(&fake, &["gpu", "npu"]), &options()).unwrap();
    let (outputs, receipt) = run(&session, &[input()]);
    close(&outputs, &on_cpu());
    assert_eq!(receipt.parts.len(), 2);
    assert_eq!((receipt.moved.uploaded, receipt.moved.between), (32, 32));
}

#[test]
fn cost_decides_for_auto_and_unknown_costs_never_win() {
    let targets = |cost: &str| {
        let options: &[(&str, &str)] = if cost.is_empty() { &[] } else { &[("cost", cost)] };
        let fake = fake(options);
        let selection = select(&fake, &["auto"]);
        let session = Session::new(graph(SOURCE), &selection, &crate::common::options()).unwrap();
        let plan = session.plan();
        plan.classes[0].parts.iter().map(|part| part.provider.index()).collect::<Vec<_>>()
    };
    assert_eq!(targets(""), [1], "an unknown device gets nothing");
    assert_eq!(targets("*=1000000"), [1], "a slow device gets nothing");
    let big = "graph \"big\" {\n  input %x: f32[2048, 2048]\n  %y = MatMul(%x, %x)\n  output %y\n}";
    let fake = fake(&[("cost", "*=1000")]);
    let session = Session::new(graph(big), &select(&fake, &["auto"]), &options()).unwrap();
    assert_eq!(session.plan().classes[0].parts[0].provider.index(), 0, "a fast one does");
}

#[test]
fn a_region_that_is_refused_goes_elsewhere_with_the_reason() {
    let fake = fake(&[("fail", "refuse@1")]);
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake"]), &options()).unwrap();
    close(&run(&session, &[input()]).0, &on_cpu());
    let plan = session.plan();
    let text = plan.explain(plan.node_named("a").unwrap());
    assert!(text.contains("compile-failed") && text.contains("as configured"), "{text}");
}

#[test]
fn a_claim_that_is_no_truth_costs_one_node() {
    let fake = fake(&[("ops", "all,-Softmax"), ("claims", "all")]);
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake"]), &options()).unwrap();
    let (outputs, receipt) = run(&session, &[input()]);
    close(&outputs, &on_cpu());
    assert_eq!(receipt.parts.iter().filter(|part| &*part.target == "cpu").count(), 1);
}

#[test]
fn pins_and_forbids_are_kept() {
    let fake = fake(&[]);
    let selection = select(&fake, &["fake", "cpu"]);
    let mut wishes = options();
    wishes.pins = vec![("b".to_owned(), "cpu".to_owned())];
    wishes.forbids = vec![(Some("e".to_owned()), "gpu".to_owned())];
    let session = Session::new(graph(SOURCE), &selection, &wishes).unwrap();
    let plan = session.plan();
    let at = |name: &str| {
        plan.classes[0].placements[plan.node_named(name).unwrap().index()].provider.index()
    };
    assert_eq!((at("a"), at("b"), at("e")), (0, 1, 1));
    wishes.pins = vec![("bb".to_owned(), "cpu".to_owned())];
    let error = Session::new(graph(SOURCE), &selection, &wishes).unwrap_err().to_string();
    assert_eq!(error, "there is no node `bb`, did you mean `b`?");
}

#[test]
fn the_cpu_goes_by_its_name_beside_another_device_of_its_kind() {
    let fake = fake(&[("devices", "cpu")]);
    let selection = select(&fake, &["fake", "cpu"]);
    let mut wishes = options();
    wishes.pins = vec![("b".to_owned(), "cpu".to_owned()), ("d".to_owned(), "fake:cpu".to_owned())];
    wishes.forbids = vec![(Some("e".to_owned()), "cpu".to_owned())];
    let (_, receipt) = run(&Session::new(graph(SOURCE), &selection, &wishes).unwrap(), &[input()]);
    let parts: Vec<(&str, usize)> =
        receipt.parts.iter().map(|part| (&*part.target, part.nodes)).collect();
    assert_eq!(parts, [("fake:cpu", 1), ("cpu", 1), ("fake:cpu", 3)]);
}

#[test]
fn bad_inputs_are_no_reason_to_give_a_device_up() {
    let fake = fake(&[]);
    let session = Session::new(graph(SOURCE), &select(&fake, &["fake"]), &options()).unwrap();
    let none = session.run(&[], &RunRequest::default());
    assert!(none.is_err());
    let (_, receipt) = run(&session, &[input()]);
    assert_eq!(&*receipt.parts[0].target, "fake:gpu");
}

#[test]
fn a_graph_without_nodes_gives_what_it_was_given() {
    let source =
        "graph \"g\" {\n  input %x: f32[n]\n  const %w: f32[1] = x0000003f\n  output %x, %w\n}";
    let fake = fake(&[]);
    let session = Session::new(graph(source), &select(&fake, &["fake"]), &options()).unwrap();
    let x = Val::from(Tensor::vector(vec![1.0f32, 2.0]));
    let (outputs, _) = run(&session, std::slice::from_ref(&x));
    assert_eq!(outputs, [x, Tensor::vector(vec![0.5f32]).into()]);
    assert_eq!(Target::all_of(&fake).unwrap().len(), 1);
}

/// A chain over a dimension that a device takes only while it is small.
const BOUNDED: &str =
    "graph \"g\" {\n  input %x: f32[tokens, 2]\n  %a = Neg(%x)\n  %b = Abs(%a)\n  output %b\n}";

fn rows(count: usize) -> Val {
    Tensor::from_vec([count, 2], vec![1.5f32; 2 * count]).expect("a sound test").into()
}

#[test]
fn a_yes_under_bounds_holds_within_them_and_another_plan_is_followed_outside() {
    let fake = fake(&[("bounds", "tokens<=4")]);
    let mut options = options();
    options.sizes.insert("tokens".to_owned(), 2);
    let session = Session::new(graph(BOUNDED), &select(&fake, &["fake"]), &options).unwrap();
    for (count, target, outside) in [
        (3, "fake:gpu", None),
        (5, "cpu", Some("`tokens` is 5, the plan needs tokens<=4")),
        (4, "fake:gpu", None),
        (6, "cpu", Some("`tokens` is 6, the plan needs tokens<=4")),
    ] {
        let (outputs, receipt) = run(&session, &[rows(count)]);
        assert_eq!(outputs, [rows(count)]);
        assert_eq!((&*receipt.parts[0].target, receipt.outside.as_deref()), (target, outside));
        assert!(receipt.failovers.is_empty(), "{receipt:?}");
    }
}

#[test]
fn bounds_that_the_planned_sizes_leave_are_a_refusal() {
    let fake = fake(&[("bounds", "tokens<=4")]);
    let session = Session::new(graph(BOUNDED), &select(&fake, &["fake"]), &options()).unwrap();
    let plan = session.plan();
    let text = plan.explain(plan.node_named("a").unwrap());
    let want = "only while tokens<=4: the sizes planned for leave tokens<=4";
    assert!(text.contains(want) && text.contains("shape-dynamic"), "{text}");
}
