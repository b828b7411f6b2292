//! Parts that do not need each other run at the same time.

use std::cell::Cell;
use std::time::Duration;

use remuda_exec::{Options, Receipt, RunRequest, Session};
use remuda_host::Provider;
use remuda_ir::Val;
use remuda_tensor::Tensor;

use crate::common::{await_no_leak, fake, graph, options, run, same, select};

/// Two chains that begin with the same value, one for each device, and meet on the CPU.
const BRANCHES: &str = r#"graph "g" {
  input %x: f32[n, 4]
  %a = Neg(%x)
  %b = Exp(%a)
  %c = Abs(%x)
  %d = Sqrt(%c)
  %e = Add(%b, %d)
  output %e
}"#;

fn input() -> Val {
    let values = vec![1.0f32, -2.0, 3.0, 0.5, 0.0, 1.0, 2.0, -1.0];
    Tensor::from_vec([2, 4], values).expect("a sound test").into()
}

/// A device for each chain; what they take is worth a thread.
fn devices(others: &[(&str, &str)]) -> Provider {
    let own = [
        ("devices", "gpu,npu"),
        ("gpu.ops", "Neg,Exp"),
        ("npu.ops", "Abs,Sqrt"),
        ("cost", "*=1000000"),
    ];
    fake(&[&own[..], others].concat())
}

fn session(fake: &Provider, options: &Options) -> Session {
    Session::new(graph(BRANCHES), &select(fake, &["fake"]), options).expect("a sound test")
}

fn turns(receipt: &Receipt) -> Vec<(&str, usize)> {
    receipt.parts.iter().map(|part| (&*part.target, part.turn)).collect()
}

fn right(outputs: &[Val]) {
    let want = remuda_ops::interpret(&graph(BRANCHES), &[input()]).expect("a sound test");
    let close = |(got, want): (f32, f32)| assert!((got - want).abs() < 1e-5, "{got} {want}");
    let floats = |val: &Val| val.tensor().expect("a tensor").to_f32_vec().expect("floats");
    floats(&outputs[0]).into_iter().zip(floats(&want[0])).for_each(close);
}

const TOGETHER: [(&str, usize); 3] = [("fake:gpu", 0), ("fake:npu", 0), ("cpu", 1)];

#[test]
fn runs_that_wait_for_each_other_meet() {
    for memory in ["own", "host"] {
        let fake = devices(&[("meet", "2"), ("memory_kind", memory)]);
        let mut watched = options();
        watched.deadline = Some(Duration::from_secs(60));
        for options in [options(), watched] {
            let session = session(&fake, &options);
            for _ in 0..3 {
                let (outputs, receipt) = run(&session, &[input()]);
                right(&outputs);
                assert_eq!(turns(&receipt), TOGETHER, "{memory}");
                assert!(receipt.failovers.is_empty(), "{receipt:?}");
            }
        }
    }
}

#[test]
fn steps_are_told_of_wherever_they_run() {
    let fake = devices(&[("meet", "2")]);
    let told = Cell::new(0);
    let note = |_| told.set(told.get() + 1);
    let request = RunRequest { profile: Some(&note), ..RunRequest::default() };
    session(&fake, &options()).run(&[input()], &request).expect("a sound test");
    assert_eq!(told.get(), 5);
}

#[test]
fn what_is_needed_or_short_waits_its_turn() {
    let chain = BRANCHES.replace("%c = Abs(%x)", "%c = Abs(%b)");
    let fake = devices(&[]);
    let session = Session::new(graph(&chain), &select(&fake, &["fake"]), &options()).unwrap();
    let (_, receipt) = run(&session, &[input()]);
    assert_eq!(turns(&receipt), [("fake:gpu", 0), ("fake:npu", 1), ("cpu", 2)]);
    let quick = devices(&[("cost", "*=10")]);
    let (_, receipt) = run(&self::session(&quick, &options()), &[input()]);
    assert_eq!(turns(&receipt), [("fake:gpu", 0), ("fake:npu", 1), ("cpu", 2)]);
}

#[test]
fn one_that_fails_beside_another_is_set_aside() {
    let want = run(&session(&devices(&[]), &options()), &[input()]).0;
    let mut failed = 0;
    for fail in ["lost@2", "panic@2", "error@2", "count@2", "oom@3"] {
        for device in ["gpu.fail", "npu.fail"] {
            let fake = devices(&[(device, fail)]);
            let session = session(&fake, &options());
            for _ in 0..3 {
                let (outputs, receipt) = run(&session, &[input()]);
                failed += receipt.failovers.len();
                assert!(same(&outputs[0], &want[0]), "{device} {fail}");
            }
            drop(session);
            await_no_leak(&fake, 2);
        }
    }
    assert!(failed >= 10, "{failed}");
}

/// A value that only the second device needs, and large.
const LATER: &str = r#"graph "g" {
  input %x: f32[n, 1]
  input %y: f32[n, m]
  %a = Neg(%x)
  %b = Exp(%a)
  %c = Mul(%b, %y)
  output %c
}"#;

#[test]
fn what_comes_next_is_copied_beside_a_run() {
    let large = 512 << 10;
    let fake = fake(&[
        ("devices", "gpu,npu"),
        ("gpu.ops", "Neg,Exp"),
        ("npu.ops", "Mul"),
        ("cost", "*=1000000"),
        ("gpu.meet", "2"),
        ("npu.copies_meet", &large.to_string()),
    ]);
    let session = Session::new(graph(LATER), &select(&fake, &["fake"]), &options()).unwrap();
    let x: Val = Tensor::from_vec([2, 1], vec![0.0f32, 1.0]).unwrap().into();
    let y: Val = Tensor::from_vec([2, large / 8], vec![2.0f32; large / 4]).unwrap().into();
    let inputs = [x, y];
    let want = remuda_ops::interpret(&graph(LATER), &inputs).unwrap();
    for _ in 0..3 {
        let (outputs, receipt) = run(&session, &inputs);
        let same = outputs[0].tensor().unwrap().to_f32_vec().unwrap();
        let want = want[0].tensor().unwrap().to_f32_vec().unwrap();
        assert!(same.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-5));
        assert!(receipt.failovers.is_empty(), "{receipt:?}");
        assert_eq!(turns(&receipt), [("fake:gpu", 0), ("fake:npu", 1)]);
        assert!(receipt.parts[1].moved.uploaded >= large as u64, "{receipt:?}");
    }
}
