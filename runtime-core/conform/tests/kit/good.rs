//! Providers that keep to the contract.

use remuda_conform::Outcome;

use crate::{built_in, example, failed, folder, outcome, report, with};

#[test]
fn the_cpu_conforms() {
    let report = report(&built_in("cpu"));
    assert_eq!(failed(&report), Vec::<String>::new());
    let total = report.total();
    assert!(total.passed > 1000, "{total:?}");
    assert_eq!(outcome(&report, "states/attention"), Outcome::Passed);
}

#[test]
fn the_reference_conforms() {
    let report = report(&built_in("reference"));
    assert_eq!(failed(&report), Vec::<String>::new());
    assert!(report.total().passed > 1000, "{:?}", report.total());
}

#[test]
fn the_fake_conforms_with_memory_of_its_own_and_in_that_of_the_host() {
    for kind in ["own", "host"] {
        let report = report(&with(built_in("fake"), &[("memory_kind", kind)], &[]));
        assert_eq!(failed(&report), Vec::<String>::new(), "{kind}");
        assert!(report.total().passed > 900, "{:?}", report.total());
    }
}

#[test]
fn two_devices_are_both_tried() {
    let options = [("devices", "gpu,npu"), ("npu.ops", "Add,Mul")];
    let report = report(&with(built_in("fake"), &options, &["ops/Sub/*", "runs/*", "query/*"]));
    assert_eq!(failed(&report), Vec::<String>::new());
    assert_eq!(report.devices, ["gpu:0", "npu:1"]);
    let of_npu = report.cases.iter().filter(|case| case.device.as_deref() == Some("npu:1"));
    let subtractions: Vec<_> = of_npu.filter(|case| case.name.starts_with("ops/Sub")).collect();
    assert!(!subtractions.is_empty());
    assert!(subtractions.iter().all(|case| matches!(case.outcome, Outcome::NotTaken(_))));
}

#[test]
fn the_example_in_c_conforms() {
    let report = report(&example(&folder("good"), "example", &[]));
    assert_eq!(failed(&report), Vec::<String>::new());
    for case in ["library/accepted", "abi/entry", "abi/references", "ops/Add/11", "runs/chain"] {
        assert_eq!(outcome(&report, case), Outcome::Passed, "{case}");
    }
    assert!(matches!(outcome(&report, "ops/Conv/1"), Outcome::NotTaken(_)));
    assert!(matches!(outcome(&report, "memory/copy"), Outcome::NotTaken(_)));
}
