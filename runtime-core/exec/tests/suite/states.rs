//! Caches that lie on several devices: who keeps them, how they are cut and copied, and what becomes of
//! them when a device is lost.

use remuda_exec::{Options, RunRequest, Selection, Session};
use remuda_ops::Random;

use crate::common::{cpu, fake, options, select};
use crate::decoder::{Feeder, close, decoder, room};

const LAYERS: [Option<usize>; 4] = [None, Some(5), None, Some(5)];

fn with_room(mirror: bool) -> Options {
    let mut options = options();
    options.states = room(LAYERS.len(), 3, mirror);
    options
}

fn on_cpu() -> Session {
    let only_cpu = Selection::new(&["cpu"], &[], cpu()).expect("a sound test");
    Session::new(decoder(&mut Random::new(1), &LAYERS), &only_cpu, &with_room(false))
        .expect("a sound test")
}

/// A decoder over two devices and the CPU: the first layer, the second and the fourth, the third.
fn split(fake_options: &[(&str, &str)], mirror: bool) -> (remuda_host::Provider, Session) {
    let fake = fake(&[&[("devices", "gpu,npu")], fake_options].concat());
    let mut options = with_room(mirror);
    for (node, target) in
        [("a0", "fake:gpu"), ("a1", "fake:npu"), ("a2", "cpu"), ("a3", "fake:npu")]
    {
        options.pins.push((node.to_owned(), target.to_owned()));
    }
    let graph = decoder(&mut Random::new(1), &LAYERS);
    let session = Session::new(graph, &select(&fake, &["fake"]), &options).expect("a sound test");
    (fake, session)
}

fn same_steps(one: &mut Feeder<'_>, other: &mut Feeder<'_>) {
    let all = [
        vec![(0, vec![1, 2, 3])],
        vec![(0, vec![4]), (1, vec![5, 6])],
        vec![(2, vec![7, 8, 9, 1, 2, 3, 4, 5, 6, 7]), (0, vec![3])],
        vec![(0, vec![0]), (1, vec![1]), (2, vec![2])],
    ];
    for step in &all {
        assert!(close(
            &one.step(step).expect("a sound test"),
            &other.step(step).expect("a sound test")
        ));
    }
    cut_and_copy(one);
    cut_and_copy(other);
    for step in &all {
        assert!(close(
            &one.step(step).expect("a sound test"),
            &other.step(step).expect("a sound test")
        ));
    }
}

fn cut_and_copy(feeder: &mut Feeder<'_>) {
    feeder.cut(0, 2);
    feeder.copy(2, 1, 8);
}

#[test]
fn sequences_run_over_several_devices_as_on_the_cpu() {
    let (fake, session) = split(&[], false);
    let cpu = on_cpu();
    let (mut got, mut want) =
        (Feeder::new(&session).expect("a sound test"), Feeder::new(&cpu).expect("a sound test"));
    same_steps(&mut got, &mut want);
    assert_eq!(got.refilled, 0);
    let bytes = got.states.bytes();
    let held: Vec<&str> = bytes.keys().map(String::as_str).collect();
    assert_eq!(held, ["cpu", "fake:gpu", "fake:npu"]);
    assert_eq!(bytes["fake:npu"], 2 * bytes["fake:gpu"]);
    let plan = session.plan();
    let of_gpu =
        plan.providers.iter().find(|provider| provider.name == "fake:gpu").expect("a sound test");
    assert!(of_gpu.weights_bytes >= bytes["fake:gpu"], "{} {bytes:?}", of_gpu.weights_bytes);
    drop(got);
    drop(session);
    let memory = fake.memory(0).expect("a sound test");
    assert_eq!(memory.free_bytes, memory.total_bytes);
}

#[test]
fn a_lost_device_costs_a_refill_or_with_a_mirror_nothing() {
    for mirror in [false, true] {
        let (_fake, session) = split(&[("npu.fail", "lost@6")], mirror);
        let cpu = on_cpu();
        let (mut got, mut want) = (
            Feeder::new(&session).expect("a sound test"),
            Feeder::new(&cpu).expect("a sound test"),
        );
        same_steps(&mut got, &mut want);
        assert_eq!(got.refilled, usize::from(!mirror));
        let lost: Vec<_> = got.receipts.iter().flat_map(|receipt| &receipt.failovers).collect();
        assert_eq!((lost.len(), &*lost[0].target, lost[0].code), (1, "fake:npu", "device-lost"));
        assert!(!got.states.bytes().contains_key("fake:npu"));
    }
}

#[test]
fn caches_of_a_device_that_lives_are_carried_over() {
    let (_fake, session) = split(&[("npu.fail", "error@7")], false);
    let cpu = on_cpu();
    let (mut got, mut want) =
        (Feeder::new(&session).expect("a sound test"), Feeder::new(&cpu).expect("a sound test"));
    same_steps(&mut got, &mut want);
    assert_eq!(got.refilled, 0);
    assert_eq!(got.receipts.iter().map(|receipt| receipt.failovers.len()).sum::<usize>(), 1);
}

#[test]
fn a_device_keeps_as_many_caches_as_it_has_room_for() {
    let fake = fake(&[("memory", "60000")]);
    let graph = decoder(&mut Random::new(1), &LAYERS);
    let session =
        Session::new(graph, &select(&fake, &["fake"]), &with_room(false)).expect("a sound test");
    let bytes = session.states().expect("a sound test").bytes();
    let held = bytes.get("fake:gpu").copied().unwrap_or(0);
    assert!(held > 0 && held <= 60_000 && bytes["cpu"] > 0, "{bytes:?}");
}

#[test]
fn states_and_runs_that_do_not_fit_are_refused() {
    let (_fake, session) = split(&[], false);
    let error = session.run(&[], &RunRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "expected 3 inputs, got 0");
    let inputs = vec![remuda_tensor::Tensor::vector(vec![0i64]).into(); 3];
    let error = session.run(&inputs, &RunRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "the graph has 4 states, got none");
    let mut others = on_cpu().states().expect("a sound test");
    let error = session.step(&mut others, &inputs, &RunRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "the states are of another session");
    let mut own = session.states().expect("a sound test");
    let error = own.cut(3, 0).unwrap_err();
    assert_eq!(error.to_string(), "there is no sequence 3, expected fewer than 3");
    let graph = decoder(&mut Random::new(1), &LAYERS);
    let only_cpu = Selection::new(&["cpu"], &[], cpu()).expect("a sound test");
    let error = Session::new(graph, &only_cpu, &options()).unwrap_err().to_string();
    assert!(error.starts_with("the graph has 4 states: expected a capacity for each"), "{error}");
}
