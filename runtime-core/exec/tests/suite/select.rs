//! Names of backends mean the same everywhere.

use remuda_exec::plan::Policy;
use remuda_exec::{Selection, Target};

use crate::common::{cpu, fake};

fn names(wishes: &[&str]) -> Result<Vec<String>, String> {
    let fake = fake(&[("devices", "gpu,npu,gpu")]);
    let available = Target::all_of(&fake).expect("a sound test");
    let selection = Selection::new(wishes, &available, cpu()).map_err(|error| error.to_string())?;
    Ok(selection.targets.iter().map(|target| target.name.to_string()).collect())
}

#[test]
fn a_name_is_a_provider_a_kind_both_or_one_device() {
    let all = ["fake:gpu", "fake:npu", "fake:gpu:1", "cpu"];
    assert_eq!(names(&["auto"]).unwrap(), all);
    assert_eq!(names(&["fake"]).unwrap(), all);
    assert_eq!(names(&["gpu"]).unwrap(), ["fake:gpu", "fake:gpu:1", "cpu"]);
    assert_eq!(names(&["fake:npu"]).unwrap(), ["fake:npu", "cpu"]);
    assert_eq!(names(&["fake:gpu:0"]).unwrap(), ["fake:gpu", "cpu"]);
    assert_eq!(names(&["FAKE:GPU:1", "npu"]).unwrap(), ["fake:gpu:1", "fake:npu", "cpu"]);
    assert_eq!(names(&["cpu"]).unwrap(), ["cpu"]);
    assert_eq!(
        names(&["cpu", "gpu"]).unwrap(),
        ["fake:gpu", "fake:gpu:1", "cpu"],
        "the CPU is last"
    );
}

#[test]
fn cost_decides_where_the_list_says_auto_and_its_order_elsewhere() {
    let fake = fake(&[]);
    let available = Target::all_of(&fake).unwrap();
    let policy = |wishes: &[&str]| Selection::new(wishes, &available, cpu()).unwrap().policy;
    assert_eq!((policy(&["auto"]), policy(&["gpu", "cpu"])), (Policy::Cost, Policy::Priority));
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let error = names(&["npv"]).unwrap_err();
    let want = "backend `npv` is not available, expected one of: auto, cpu, fake, fake:gpu, \
                fake:gpu:1, fake:npu, gpu, npu, did you mean `npu`?";
    assert_eq!(error, want);
    assert_eq!(names(&[]).unwrap_err(), "expected at least one backend, got an empty list");
    assert!(names(&["cudda"]).unwrap_err().ends_with("did you mean `cuda`?"));
}

#[test]
fn one_list_does_for_machines_that_lack_some_of_it() {
    let fake = fake(&[]);
    let mut available = Target::all_of(&fake).unwrap();
    let missing = |wishes: &[&str], available: &[Target]| {
        let unopened = [("ggml".to_owned(), "no backend library lies beside it".to_owned())];
        let chosen = Selection::among(wishes, available, &unopened, cpu()).unwrap();
        let names: Vec<String> = chosen.targets.iter().map(|t| t.name.to_string()).collect();
        (names.join(" "), chosen.missing.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (names, reasons) =
        missing(&["cuda", "onnxruntime:tensorrt", "ggml:metal", "gpu"], &available);
    assert_eq!(names, "fake:gpu cpu");
    let known = "only: auto, cpu, fake, fake:gpu, gpu";
    assert_eq!(
        reasons,
        [
            format!("backend `cuda` is not available, {known}"),
            format!("backend `onnxruntime:tensorrt` is not available, {known}"),
            "backend `ggml:metal` cannot be used: no backend library lies beside it".to_owned(),
        ]
    );
    available[0].device.unusable = Some("the driver is too old".to_owned());
    let broken = ["backend `gpu` cannot be used: the driver is too old".to_owned()];
    assert_eq!(missing(&["gpu"], &available), ("cpu".to_owned(), broken.to_vec()));
}
