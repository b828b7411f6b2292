//! A provider in a worker process keeps to the contract as the provider itself does.
#![cfg(target_os = "linux")]

use std::time::Duration;

use remuda_conform::{Kit, Outcome, Subject};
use remuda_host::process::{Job, Prober};
use remuda_isolate::{Isolated, Source};

/// Not a test: the worker process of the kit, and that of the provider which the kit tries there.
#[test]
#[ignore = "the worker process of the other tests"]
fn worker_process() {
    let job = Job::receive().unwrap();
    let known = match job.name() {
        remuda_conform::JOB => {
            remuda_conform::serve(&job, &[("isolated", remuda_isolate::table("cpu", "1.0.0"))])
        }
        _ => remuda_isolate::serve(&job, &[("cpu", remuda_cpu::table())]),
    };
    assert!(known);
}

#[test]
fn the_cpu_in_a_process_of_its_own_conforms() {
    let arguments = ["worker_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let program = std::env::current_exe().unwrap();
    let prober = Prober { program, arguments: arguments.map(Into::into).to_vec() };
    let kit = Kit {
        subject: Subject::BuiltIn("isolated".to_owned()),
        options: vec![Isolated::new(Source::BuiltIn("cpu".to_owned()), &prober).option()],
        prober,
        only: Vec::new(),
        skips: None,
        deadline: Duration::from_secs(120),
    };
    let report = kit.run(&mut |_| ()).unwrap();
    assert!(report.conforms(), "{report}");
    assert!(report.total().passed > 1000, "{:?}", report.total());
    let attention = report.cases.iter().find(|case| case.name == "states/attention").unwrap();
    assert_eq!(attention.outcome, Outcome::Passed);
}
