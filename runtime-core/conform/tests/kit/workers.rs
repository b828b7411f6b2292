//! What becomes of crashes, skips, and files that are no providers.

use remuda_conform::{KitError, Outcome, Skips, Subject};

use crate::{built_in, example, failed, folder, kit, outcome, report, with};

#[test]
fn a_crash_is_one_failed_case_and_the_others_go_on() {
    let crash = (
        "const float *left = data[step->left],",
        "if (step->op == 'R') __builtin_trap(); const float *left = data[step->left],",
    );
    let only = ["ops/Add/*", "ops/Mul/*", "ops/Relu/*"];
    let report = report(&with(example(&folder("crash"), "crash", &[crash]), &[], &only));
    let failed = failed(&report);
    assert!(!failed.is_empty());
    for told in &failed {
        assert!(told.starts_with("ops/Relu/"), "{told}");
        assert!(told.contains("the process crashed: signal 4 (SIGILL"), "{told}");
    }
    assert_eq!(outcome(&report, "ops/Add/11"), Outcome::Passed);
    assert_eq!(outcome(&report, "ops/Mul/10"), Outcome::Passed);
}

#[test]
fn skips_need_a_name_that_is_there_and_the_right_provider() {
    let folder = folder("skips");
    let skips = |text: &str| {
        let file = folder.join("conformance.toml");
        std::fs::write(&file, text).unwrap();
        Skips::read(&file)
    };
    let text = "provider = \"fake\"\n[[skip]]\ncase = \"ops/Add/*\"\nreason = \"adds oddly\"\n";
    let mut kit = with(built_in("fake"), &[("fail", "error@1")], &["ops/Add/*", "ops/Mul/10"]);
    kit.skips = Some(skips(text).unwrap());
    let report = report(&kit);
    assert_eq!(outcome(&report, "ops/Add/11"), Outcome::Skipped("adds oddly".to_owned()));
    assert!(matches!(outcome(&report, "ops/Mul/10"), Outcome::Failed(_)));

    kit.skips = Some(skips(&text.replace("ops/Add/*", "ops/Ad/*")).unwrap());
    assert!(matches!(kit.run(&mut |_| ()), Err(KitError::IdleSkip(case)) if case == "ops/Ad/*"));
    kit.skips = Some(skips(&text.replace("fake", "npu")).unwrap());
    assert!(matches!(kit.run(&mut |_| ()), Err(KitError::OtherProvider { .. })));
    let error = skips(&text.replace("adds oddly", "")).unwrap_err().to_string();
    assert!(error.ends_with("the skip of `ops/Add/*` gives no reason"), "{error}");
    kit.skips = None;
    kit.only = vec!["ops/Ad/*".to_owned()];
    assert!(matches!(kit.run(&mut |_| ()), Err(KitError::NoCase(_))));
}

#[test]
fn what_is_no_provider_is_one_failed_case() {
    let file = folder("file").join("text.so");
    std::fs::write(&file, "no library").unwrap();
    let report = report(&kit(Subject::Library(file)));
    assert_eq!(report.cases.len(), 1);
    let Outcome::Failed(message) = outcome(&report, "library/accepted") else { panic!() };
    assert!(message.starts_with("it is not a shared library"), "{message}");
    assert!(!report.conforms());
}
