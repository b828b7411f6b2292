//! What the user may demand, and what is said when it is not met.

use remuda_exec::{Contract, ExecError, RunRequest, Session, Strictness};
use remuda_ir::Val;
use remuda_tensor::Tensor;

use crate::common::{fake, graph, options, run, select};

const SOURCE: &str = "graph \"g\" {\n  input %x: f32[n]\n  %a = Neg(%x)\n  %b = Exp(%a)\n  %c = Abs(%b)\n  output %c\n}";

fn input() -> Val {
    Tensor::vector(vec![1.0f32, -2.0]).into()
}

fn session(
    fake_options: &[(&str, &str)],
    wishes: &[&str],
    contract: Contract,
) -> Result<Session, ExecError> {
    let fake = fake(fake_options);
    let mut options = options();
    options.contract = contract;
    Session::new(graph(SOURCE), &select(&fake, wishes), &options)
}

fn message(contract: Contract) -> String {
    let made = session(&[("ops", "all,-Exp")], &["fake"], contract);
    made.expect_err("a broken contract").to_string()
}

#[test]
fn a_fallback_that_is_forbidden_is_an_error_with_the_reason() {
    let contract = Contract { fallback: Strictness::Error, ..Contract::default() };
    let error = message(contract.clone());
    assert!(error.contains("`b`") && error.contains("the fake gpu does not take `Exp`"), "{error}");
    let listed = session(&[("ops", "all,-Exp")], &["fake", "cpu"], contract);
    assert!(listed.is_ok(), "the CPU was asked for: {listed:?}");
}

#[test]
fn a_fallback_to_be_warned_of_is_in_the_receipt() {
    let contract = Contract { fallback: Strictness::Warn, ..Contract::default() };
    let session = session(&[("ops", "all,-Exp")], &["fake"], contract).unwrap();
    let (_, receipt) = run(&session, &[input()]);
    let warning = &receipt.warnings[0];
    assert!(
        warning.starts_with("1 of 3 nodes fall back to the CPU, the first is `b`: "),
        "{warning}"
    );
}

#[test]
fn a_backend_that_is_not_there_is_told_of_whatever_is_allowed() {
    let session = session(&[], &["cuda", "fake"], Contract::default()).unwrap();
    let want = "backend `cuda` is not available, only: auto, cpu, fake, fake:gpu, gpu";
    assert_eq!(session.plan_warnings()[..], [want]);
    assert_eq!(run(&session, &[input()]).1.warnings[..], [want]);
}

#[test]
fn demands_on_parts_shares_and_targets_are_checked() {
    let parts = Contract { max_parts: Some(2), ..Contract::default() };
    let want =
        "the placement contract is broken: the graph falls into 3 parts, at most 2 are allowed";
    assert_eq!(message(parts.clone()), want);
    let share = message(Contract { max_cpu_share: Some(0.01), ..Contract::default() });
    assert!(
        share.contains("the CPU runs 33.3 % of the nodes, at most 1.0 % are allowed"),
        "{share}"
    );
    let require = Contract { require: vec!["npu".to_owned()], ..Contract::default() };
    assert!(message(require).contains("`npu` is required and runs nothing"));
    let warned = Contract { fallback: Strictness::Warn, ..parts };
    let session = session(&[("ops", "all,-Exp")], &["fake"], warned).unwrap();
    // The parts, and that the CPU was not asked for.
    assert_eq!(run(&session, &[input()]).1.warnings.len(), 2);
}

#[test]
fn a_failing_device_is_an_error_where_no_fallback_is_allowed() {
    let contract = Contract { fallback: Strictness::Error, ..Contract::default() };
    let session = session(&[("fail", "lost@2")], &["fake"], contract).unwrap();
    run(&session, &[input()]);
    let error = session.run(&[input()], &RunRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "`fake:gpu`: the device is lost: the fake gpu is gone");
}
