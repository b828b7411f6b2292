//! Placement through the facade: the bundled model over the CPU and a made-up accelerator.

use std::path::Path;

use remuda::placement::{Contract, Demands, Strictness};
use remuda::{Builder, Error, Model, Runtime, Table, Tensor};

fn digits() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bindings/cli/assets/digits.onnx")
}

fn fake(options: &[(&str, &str)]) -> Builder {
    let table = Table::linked(remuda_fake::table()).expect("a good table");
    let builder = Runtime::builder().threads(1).link(table);
    options
        .iter()
        .fold(builder, |builder, (key, value)| builder.provider_option("fake", *key, *value))
}

fn load(builder: Builder) -> Result<Model, Error> {
    builder.build()?.load(digits())
}

fn answer(model: &Model) -> remuda::Outputs {
    let port = &model.inputs()[0];
    let ty = port.ty.as_ref().and_then(remuda::ValueType::as_tensor).expect("a tensor");
    let dims: Vec<usize> =
        ty.dims.as_ref().expect("a rank").iter().map(|dim| dim.as_usize().unwrap_or(1)).collect();
    let count = dims.iter().product();
    let image = Tensor::from_vec(dims, vec![0.5f32; count]).expect("a tensor");
    model.run([(port.name.as_str(), image)]).expect("a run")
}

#[test]
fn any_division_of_the_model_gives_the_same_answer() {
    let want = answer(&load(Runtime::builder().threads(1)).unwrap());
    for seed in ["1", "2", "3", "4"] {
        let model = load(fake(&[("cuts", seed)]).backends(["fake", "cpu"])).unwrap();
        assert_eq!(answer(&model), want);
        let receipt = model.last_receipt().unwrap();
        assert_eq!(receipt.plan, model.placement().id);
        assert!(receipt.parts.len() > 1 && receipt.moved.total() > 0, "{receipt:?}");
    }
}

#[test]
fn a_lost_device_is_told_and_the_answer_stays() {
    let want = answer(&load(Runtime::builder().threads(1)).unwrap());
    let model = load(fake(&[("fail", "lost@1")]).backends(["gpu"])).unwrap();
    assert_eq!(answer(&model), want);
    let receipt = model.last_receipt().unwrap();
    assert_eq!(receipt.failovers[0].code, "device-lost");
}

#[test]
fn a_runtime_can_be_told_to_use_another_backend() {
    let runtime = fake(&[]).backends(["fake"]).build().unwrap();
    let on = |runtime: &Runtime| {
        let plan = runtime.load(digits()).unwrap().placement();
        plan.providers[plan.classes[0].parts[0].provider.index()].name.clone()
    };
    assert_eq!(on(&runtime), "fake:gpu");
    assert_eq!(on(&runtime.with_backends(["cpu"]).unwrap()), "cpu");
    let error = runtime.with_backends(["fakr"]).unwrap_err().to_string();
    assert!(error.ends_with("did you mean `fake`?"), "{error}");
}

#[test]
fn a_strict_contract_names_what_falls_back() {
    let contract = Contract { fallback: Strictness::Error, ..Contract::default() };
    let builder = fake(&[("ops", "all,-Softmax")]).backends(["fake"]).contract(contract);
    let error = load(builder).unwrap_err();
    assert!(matches!(error, Error::Placement(_)), "{error}");
    assert!(error.to_string().contains("does not take `Softmax`"), "{error}");
}

#[test]
fn demands_of_the_program_leave_the_others_of_the_file() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demands.toml");
    let text = "folders = []\n[contract]\nfallback = \"error\"\nmax_parts = 1\n";
    std::fs::write(&file, text).expect("a file");
    let told = |demands: Demands| {
        let builder = fake(&[("ops", "all,-Softmax")]).backends(["fake"]).plugins(&file);
        load(builder.demand(demands)).map_err(|error| error.to_string())
    };
    let allow = Demands { fallback: Some(Strictness::Allow), ..Demands::default() };
    let strict = told(Demands::default()).unwrap_err();
    assert!(strict.contains("does not take `Softmax`"), "{strict}");
    let parts = told(allow.clone()).unwrap_err();
    assert!(parts.contains("at most 1 are allowed"), "{parts}");
    assert!(told(Demands { max_parts: Some(9), ..allow }).is_ok());
}

#[test]
fn a_backend_that_is_not_there_is_left_out_and_told_of() {
    let model = load(fake(&[]).backends(["cuda", "fake"])).unwrap();
    let want = "backend `cuda` is not available, only: auto, cpu, fake, fake:gpu, gpu";
    assert_eq!(model.placement_warnings()[..], [want]);
    let strict = Demands { fallback: Some(Strictness::Error), ..Demands::default() };
    let error = fake(&[]).backends(["cuda", "fake"]).demand(strict).build().unwrap_err();
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_budget_is_for_a_backend_by_any_of_its_names_and_others_are_told_of() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("budgets.toml");
    let planned = |budgets: &str| {
        let text = format!("folders = []\n[budget]\n{budgets}\n");
        std::fs::write(&file, text).expect("a file");
        let model = load(fake(&[]).backends(["fake", "cpu"]).plugins(&file)).unwrap();
        let budgets: Vec<_> =
            model.placement().providers.iter().map(|provider| provider.budget_bytes).collect();
        (budgets, model.placement_warnings().to_vec())
    };
    let free = planned("").0[0].expect("the device says what is free");
    for name in ["fake", "gpu", "\"fake:gpu\"", "\"fake:gpu:0\""] {
        let budgets = vec![Some(1_000_000), None];
        assert_eq!(planned(&format!("{name} = 1_000_000")), (budgets, Vec::new()), "{name}");
    }
    assert_eq!(planned("cpu = \"1 GiB\"").0, [Some(free), Some(1 << 30)]);
    let (budgets, told) = planned("\"fake:gpus\" = 1_000_000");
    assert_eq!(budgets, [Some(free), None]);
    let want = "the budget of `fake:gpus` limits nothing, the devices are: cpu, fake:gpu, did you \
                mean `fake:gpu`?";
    assert_eq!(told, [want]);
}

#[test]
fn options_of_a_provider_that_is_not_there_are_refused() {
    let error = Runtime::builder().provider_option("fake", "ops", "all").build().unwrap_err();
    let want = "provider `fake` is not available and takes no options, expected one of: cpu";
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_provider_that_cannot_be_opened_is_an_error_only_for_who_wants_it() {
    let broken = || fake(&[("opps", "all")]);
    assert!(broken().build().is_ok() && broken().backends(["cpu"]).build().is_ok());
    let error = broken().backends(["fake:gpu"]).build().unwrap_err().to_string();
    let want = "backend `fake:gpu` cannot be used: unknown option `opps`, did you mean `ops`?";
    assert_eq!(error, want);
}
