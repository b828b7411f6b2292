//! Plugins whose code crashes, hangs, lies or breaks the contract: the trial process finds out.

use std::time::Duration;

use remuda_host::loading::{KernelTrial, Registry, Verdict};

use crate::support::{config, folder, look, plugin, told};

/// Plugins by the piece that is replaced, and what is said of each.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str)] = &[
    // loading
    ("FILE_LEVEL", "__attribute__((constructor)) static void early(void) { *(volatile int *)16 = 1; }", "a trial process crashed while loading it: signal 11 (SIGSEGV, a bad pointer)"),
    ("TABLE", "return 0", "while loading it: the provider does not speak contract version 1"),
    ("TABLE", "return (remuda_provider *)16", "a trial process crashed while loading it: signal 11 (SIGSEGV, a bad pointer)"),
    ("TABLE", "abort()", "a trial process crashed while loading it: signal 6 (SIGABRT, it gave up by itself)"),
    ("TABLE", "table.abi_major = 7", "while loading it: the provider was built for contract version 7, this host speaks 1"),
    ("TABLE", "table.struct_size = 8", "while loading it: the provider's table has 8 bytes, expected at least {table}"),
    ("TABLE", "table.layout_hash = 1", "while loading it: the provider's structs differ from those of contract version 1 (layout 0000000000000001, expected {layout})"),
    ("TABLE", "table.run = 0", "while loading it: the provider's table lacks the function `run`"),
    ("TABLE", "table.memory_info = 0", "while loading it: the provider's table lacks the function `memory_info`"),
    ("TABLE", "table.name.ptr = (const uint8_t *)16", "a trial process crashed while reading its name: signal 11 (SIGSEGV, a bad pointer)"),
    ("TABLE", "table.name = remuda_text(\"other\")", "it does not keep to the contract: its manifest says name `odd`, its table `other`"),
    ("TABLE", "table.version = remuda_text(\"2\")", "it does not keep to the contract: its manifest says version `1.0.0`, its table `2`"),
    ("SCORE", "abort()", "a trial process crashed while asking how well it fits: signal 6 (SIGABRT, it gave up by itself)"),
    // opening
    ("OPEN", "return remuda_status_of(REMUDA_INVALID, \"the licence has run out\")", "while opening it: the licence has run out"),
    ("OPEN", "return remuda_status_of(99, \"whatever\")", "while opening it: a bug of the provider: status 99 is none of the contract: whatever"),
    ("OPEN", "*out = 0", "while opening it: a bug of the provider: it opened and gave no instance"),
    ("OPEN", "_exit(3)", "a trial process crashed while opening it: it left with exit code 3"),
    ("OPEN", "raise(SIGILL)", "a trial process crashed while opening it: signal 4 (SIGILL, an instruction that this CPU lacks)"),
    ("OPEN", "fprintf(stderr, \"driver says: no!\\n\"); abort()", "a trial process crashed while opening it: signal 6 (SIGABRT, it gave up by itself); its last words: driver says: no!"),
    // devices
    ("DEVICES", "(void)info", "it does not keep to the contract: it tells of no device, and of no reason why"),
    ("DEVICES", "emit(context, 0)", "it does not keep to the contract: it tells of no device, and of no reason why"),
    ("DEVICES", "info.struct_size = 4; emit(context, &info)", "it does not keep to the contract: it tells of no device, and of no reason why"),
    ("DEVICES", "info.usable = 0; info.reason = remuda_text(\"there is no such card\"); emit(context, &info)", "it has no device that can be used: gpu `Odd 1`: there is no such card"),
    ("DEVICES", "info.usable = 0; emit(context, &info)", "it has no device that can be used: gpu `Odd 1`: the provider gives no reason"),
    ("DEVICES", "*(volatile int *)16 = 1", "a trial process crashed while asking for its devices: signal 11 (SIGSEGV, a bad pointer)"),
    // capability
    ("QUERY", "raise(SIGBUS)", "a trial process crashed while asking what device 0 can run: signal 7 (SIGBUS, a bad address)"),
    ("QUERY", "support.answer = REMUDA_SUPPORT_YES", "it does not keep to the contract: device 0 says that it can run `NoSuchOperatorOfAnyProvider`, an operator that does not exist"),
    // compiling and running
    ("COMPILE", "return remuda_status_of(REMUDA_UNSUPPORTED, \"not today\")", "it has no device that can be used: gpu `Odd 1`: it says that it can run `Add` and does not compile it: not today"),
    ("COMPILE", "*out = 0", "it has no device that can be used: gpu `Odd 1`: it says that it can run `Add` and does not compile it: a bug of the provider: it compiled and gave no program"),
    ("COMPILE", "raise(SIGFPE)", "a trial process crashed while compiling `Add` for device 0: signal 8 (SIGFPE, a division by zero)"),
    ("RUN", "*(volatile int *)16 = 1", "a trial process crashed while running `Add` on device 0: signal 11 (SIGSEGV, a bad pointer)"),
    ("RUN", "return remuda_status_of(REMUDA_DEVICE_LOST, \"the card fell off\")", "it has no device that can be used: gpu `Odd 1`: it cannot run `Add`: the device is lost: the card fell off"),
    ("RUN", "return ok()", "it has no device that can be used: gpu `Odd 1`: it cannot run `Add`: a bug of the provider: its output 0 cannot be read: expected a value, got kind 0"),
    ("RESULT", "sum[2] = 9", "it has no device that can be used: gpu `Odd 1`: its `Add` gave [6.0, 4.0, 9.0, 4.0], expected [6.0, 4.0, -4.0, 4.0]"),
    ("RESULT", "out->data = (void *)16", "a trial process crashed while running `Add` on device 0: signal 11 (SIGSEGV, a bad pointer)"),
    ("RESULT", "out->kind = 77", "{unreadable}"),
    ("RESULT", "out->dtype = 9999", "{unreadable}"),
    ("RESULT", "out->rank = 0x7fffffff", "{unreadable}"),
    ("RESULT", "out->bytes = 3", "{unreadable}"),
    // closing
    ("CLOSE", "*(volatile int *)16 = 1", "a trial process crashed while closing it: signal 11 (SIGSEGV, a bad pointer)"),
];

#[test]
fn every_fault_of_code_gets_its_words_and_the_host_lives() {
    let folder = folder("code");
    let table = size_of::<remuda_abi::Provider>().to_string();
    let layout = format!("{:016x}", remuda_abi::LAYOUT_HASH);
    let unreadable = "it has no device that can be used: gpu `Odd 1`: it cannot run `Add`: a bug of the provider: its output 0 cannot be read";
    let mut wrong = Vec::new();
    for (at, (piece, code, expected)) in CASES.iter().enumerate() {
        let got = told(&plugin(&folder, &format!("case{at}"), &[(piece, code)]));
        let expected = expected.replace("{table}", &table).replace("{layout}", &layout);
        let fits = match expected.as_str() {
            "{unreadable}" => got.starts_with(unreadable),
            expected => got == expected,
        };
        if !fits {
            wrong.push(format!("{piece} = {code}\n  expected: {expected}\n  got:      {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_hanging_plugin_is_ended_at_the_deadline() {
    let folder = folder("hang");
    let cases = [
        (
            "FILE_LEVEL",
            "__attribute__((constructor)) static void early(void) { for (;;) pause(); }",
            "loading it",
        ),
        ("OPEN", "for (;;)", "opening it"),
        ("RUN", "for (;;) pause()", "running `Add` on device 0"),
        (
            "FILE_LEVEL",
            "__attribute__((destructor)) static void late(void) { for (;;) pause(); }",
            "ending the process",
        ),
    ];
    for (at, (piece, code, stage)) in cases.iter().enumerate() {
        let library = plugin(&folder, &format!("case{at}"), &[(piece, code)]);
        let mut config = config(&[&library]);
        config.probe_deadline = Duration::from_secs(2);
        let told = Registry::discover(&config).looked[0].verdict.to_string();
        let expected =
            format!("a trial process still did not answer after 2 s while {stage}; it was ended");
        assert_eq!(told, expected);
    }
}

#[test]
fn what_the_system_refuses_is_told_in_its_words() {
    let folder = folder("loader");
    let library = plugin(
        &folder,
        "symbol",
        &[("SCORE", "extern int no_such_function(void); return no_such_function()")],
    );
    let told = told(&library);
    assert!(told.starts_with("the system's loader refuses it: "), "{told}");
    assert!(told.ends_with("undefined symbol: no_such_function"), "{told}");
}

#[test]
fn what_is_odd_but_works_is_used_and_noted() {
    let folder = folder("odd");
    let noisy = "for (int i = 0; i < 20000; i++) puts(\"{\\\"done\\\":null} and other noise without an end\"); fflush(stdout)";
    assert_eq!(told(&plugin(&folder, "noisy", &[("OPEN", noisy)])), "ready");
    assert_eq!(
        told(&plugin(&folder, "helper", &[("OPEN", "if (!fork()) { sleep(20); _exit(0); }")])),
        "ready"
    );

    let late = look(&plugin(&folder, "late", &[("CLOSE", "atexit(abort)")]));
    assert_eq!(late.verdict, Verdict::Ready);
    assert_eq!(
        late.notes,
        [
            "its trial process crashed while ending the process: signal 6 (SIGABRT, it gave up by itself)"
        ]
    );
    let picky = look(&plugin(&folder, "picky", &[("QUERY", "support.answer = 12345")]));
    assert_eq!(picky.verdict, Verdict::Ready);
    assert_eq!(picky.report.unwrap().devices[0].trial, Some(KernelTrial::NoneTaken));

    let nothing = ("DEVICES", "info.flags |= REMUDA_DEVICE_NO_RESULTS; emit(context, &info)");
    let all = ("QUERY", "support.answer = REMUDA_SUPPORT_YES");
    let idle = look(&plugin(&folder, "idle", &[nothing, all, ("RUN", "abort()")]));
    assert_eq!(idle.verdict, Verdict::Ready);
    assert_eq!(idle.report.unwrap().devices[0].trial, Some(KernelTrial::NoResults));

    assert_eq!(look(&plugin(&folder, "unfit", &[("SCORE", "return 0")])).verdict, Verdict::Unfit);
}

#[test]
fn without_a_trial_process_that_is_said() {
    let folder = folder("alone");
    let library = plugin(&folder, "odd", &[]);
    let mut alone = config(&[&library]);
    alone.prober = None;
    let looked = Registry::discover(&alone).looked.remove(0);
    assert_eq!(looked.verdict, Verdict::Ready);
    assert_eq!(
        looked.notes,
        ["it was not tried in a process of its own: this program cannot start one"]
    );
    let mut silent = config(&[&library]);
    silent.prober.as_mut().unwrap().program = "/bin/true".into();
    let looked = Registry::discover(&silent).looked.remove(0);
    assert_eq!(
        looked.notes,
        [
            "it was not tried in a process of its own: `/bin/true` does not answer as a trial process does"
        ]
    );
}
