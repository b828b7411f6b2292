//! The bundled model through the facade: the same answer optimised, unoptimised and by the reference
//! kernels, from many threads, and the errors that a caller meets.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use remuda::{DType, Error, ErrorKind, Model, RunOptions, Runtime, Tensor};

fn digits() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bindings/cli/assets/digits.onnx")
}

fn load(optimize: bool, reference: bool) -> Model {
    let runtime = Runtime::builder()
        .threads(2)
        .optimize(optimize)
        .reference(reference)
        .build()
        .expect("a runtime");
    runtime.load(digits()).expect("the bundled model")
}

/// A ramp in the shape that the model wants.
fn input(model: &Model) -> (String, Tensor) {
    let port = &model.inputs()[0];
    let ty = port.ty.as_ref().and_then(remuda::ValueType::as_tensor).expect("a tensor");
    let dims: Vec<usize> =
        ty.dims.as_ref().expect("a rank").iter().map(|dim| dim.as_usize().unwrap_or(1)).collect();
    let count = dims.iter().product::<usize>();
    let ramp = (0..count)
        .map(|at| f32::from(u16::try_from(at % 17).expect("small")))
        .collect::<Vec<f32>>();
    (port.name.clone(), Tensor::from_vec(dims, ramp).expect("a tensor"))
}

#[test]
fn every_way_of_running_gives_the_same_answer() {
    let models = [load(true, false), load(false, false), load(true, true), load(false, true)];
    let answers: Vec<_> = models
        .iter()
        .map(|model| {
            model
                .run([input(model)])
                .expect("a run")
                .into_iter()
                .map(|(_, val)| val)
                .collect::<Vec<_>>()
        })
        .collect();
    for answer in &answers {
        for (got, want) in answer.iter().zip(&answers[3]) {
            let (got, want) = (got.tensor().expect("a tensor"), want.tensor().expect("a tensor"));
            assert_eq!((got.dtype(), got.dims()), (want.dtype(), want.dims()));
            match (got.to_f64_vec(), want.to_f64_vec()) {
                (Ok(got), Ok(want)) => {
                    let close = got
                        .iter()
                        .zip(&want)
                        .all(|(got, want)| (got - want).abs() <= 1e-4 * (1.0 + want.abs()));
                    assert!(close, "{got:?} is not {want:?}");
                }
                _ => assert_eq!(got.texts(), want.texts()),
            }
        }
    }
}

#[test]
fn many_threads_share_one_model() {
    let model = load(true, false);
    let want = model.run([input(&model)]).expect("a run");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(model.run([input(&model)]).expect("a run"), want);
                }
            });
        }
    });
}

#[test]
fn a_profile_names_the_nodes_and_a_cancelled_run_ends() {
    let model = load(true, false);
    let report = model
        .run_with([input(&model)], &RunOptions { profile: true, ..RunOptions::default() })
        .expect("a run");
    assert!(
        !report.steps.is_empty() && report.steps.iter().any(|step| step.kernel == "fast"),
        "{:?}",
        report.steps
    );
    let cancel = AtomicBool::new(true);
    let options = RunOptions { cancel: Some(&cancel), ..RunOptions::default() };
    let error = model.run_with([input(&model)], &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn errors_say_what_and_where() {
    let runtime = Runtime::builder().build().expect("a runtime");
    let missing = runtime.load("no-such-model.onnx").unwrap_err();
    assert!(missing.to_string().starts_with("cannot read `no-such-model.onnx`: "), "{missing}");
    let model = load(true, false);
    let name = model.inputs()[0].name.clone();
    let wrong = Tensor::zeros(DType::I64, [1]).expect("a tensor");
    let error = model.run([(name.as_str(), wrong)]).unwrap_err();
    assert!(matches!(error, Error::Input(_)), "{error}");
    assert!(error.to_string().contains("i64[1]"), "{error}");
    let unknown = Runtime::builder().backends(["cqu"]).build().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "backend `cqu` is not available, expected one of: auto, cpu, did you mean `cpu`?"
    );
}
