//! Files that are refused before any of their code runs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use remuda_host::loading::{Registry, Verdict};

use crate::support::{config, folder, gcc, plugin, plugin_linked, told};

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The good plugin with some bytes of its file changed.
fn patched(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(plugin(folder, "good", &[])).unwrap();
    change(&mut bytes);
    write(folder, name, &bytes)
}

/// The name of a file, what its source is put together from, and what is said of it.
type Case<'a> = (&'a str, Vec<(&'a str, String)>, String);

#[test]
fn files_that_are_no_library_are_told_apart() {
    let folder = folder("files");
    let damaged = "it is not a shared library: it is damaged or of an unknown kind";
    assert_eq!(
        told(&folder.join("absent.so")),
        "it cannot be read: No such file or directory (os error 2)"
    );
    let starts = [
        write(&folder, "empty.so", b""),
        write(&folder, "text.so", b"#!/bin/sh\necho this is no library\n"),
        patched(&folder, "magic.so", |bytes| bytes[0] = b'!'),
        patched(&folder, "cut.so", |bytes| bytes.truncate(bytes.len() / 2)),
        patched(&folder, "head.so", |bytes| bytes.truncate(64)),
        patched(&folder, "sections.so", |bytes| bytes[0x28..0x30].fill(0xf0)),
        patched(&folder, "names.so", |bytes| bytes[0x3e..0x40].fill(0xee)),
    ];
    for file in starts {
        let told = told(&file);
        assert!(told.starts_with(damaged), "{}: {told}", file.display());
    }
    let object = folder.join("object.so");
    gcc(&["-c", "-fno-pic", "-r"], &[&write(&folder, "nothing.c", b"int nothing;\n")], &object);
    let unlinked = "it is not a shared library: it is an object file, not linked yet";
    assert_eq!(told(&object), unlinked);
    let inner = folder.join("folder.so");
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(told(&inner), "it is not a shared library: it is not a file");
}

#[test]
fn files_that_others_can_write_or_that_changed_are_not_used() {
    let folder = folder("trust");
    let file = plugin(&folder, "odd", &[]);
    assert_eq!(told(&file), "ready");
    chmod(&file, 0o777);
    let real = file.canonicalize().unwrap();
    assert_eq!(
        told(&file),
        format!(
            "it is not trusted: it can be written by everybody; `chmod o-w {}` ends that",
            real.display()
        )
    );
    chmod(&file, 0o755);
    let home = real.parent().unwrap().display();
    chmod(&folder, 0o777);
    assert_eq!(
        told(&file),
        format!(
            "it is not trusted: its folder `{home}` can be written by everybody; `chmod o-w {home}` ends that"
        )
    );
    chmod(&folder, 0o755);

    let mut only = config(&[&file]);
    only.allow = Some(vec!["0".repeat(64)]);
    let looked = Registry::discover(&only).looked.remove(0);
    let Verdict::NotAllowed { sha256 } = looked.verdict.clone() else { panic!("{looked:?}") };
    assert_eq!(
        looked.verdict.to_string(),
        format!("its SHA-256 {sha256} is not in the list of those that may be loaded")
    );
    only.allow = Some(vec![sha256.clone()]);
    assert_eq!(Registry::discover(&only).verdict(&file), Some(&Verdict::Ready));
    only.allow = None;
    only.providers[0].sha256 = Some("1".repeat(64));
    assert_eq!(
        Registry::discover(&only).looked[0].verdict.to_string(),
        format!("its SHA-256 is {sha256}, expected {}", "1".repeat(64))
    );
}

#[test]
fn what_the_file_says_decides_before_it_is_loaded() {
    let folder = folder("manifests");
    let hash = format!("{:016x}", remuda_abi::LAYOUT_HASH);
    let section = "static const char m[] __attribute__((used, section(\".remuda_manifest\")))";
    let manifest =
        |text: &str| format!("{section} = \"{}\";", text.replace('\n', "\\n").replace('"', "\\\""));
    let head = |abi: &str, layout: &str, name: &str, target: &str| {
        manifest(&format!(
            "abi = \"{abi}\"\nlayout = \"{layout}\"\nname = \"{name}\"\nversion = \"1\"\ntarget = \"{target}\"\n"
        ))
    };
    let target = "x86_64-linux-gnu";
    let own = if cfg!(target_arch = "x86_64") { target } else { "aarch64-linux-gnu" };
    let broken = "its manifest cannot be used: ";
    let cases: Vec<Case<'_>> = vec![
        ("none", vec![("MANIFEST", String::new())], "it is a library, but not a provider: it has no manifest".into()),
        ("entry", vec![("NO_ENTRY", "1".into())], "it has a manifest, but does not export `remuda_provider_entry`".into()),
        ("bytes", vec![("MANIFEST", format!("{section} = \"\\377\\376\\001\";"))], format!("{broken}it is not text (UTF-8)")),
        ("words", vec![("MANIFEST", manifest("once upon a time"))], format!("{broken}line 1: key with no value, expected `=`")),
        ("large", vec![("MANIFEST", "static const char m[20000] __attribute__((used, section(\".remuda_manifest\"))) = \"x\";".into())], format!("{broken}it has 20000 bytes, at most 16384")),
        ("lacks", vec![("MANIFEST", manifest("abi = \"1.0\""))], format!("{broken}line 1: missing field `layout`")),
        ("type", vec![("MANIFEST", manifest("abi = 1"))], format!("{broken}line 1: invalid type: integer `1`, expected a string")),
        ("version", vec![("MANIFEST", head("one", &hash, "odd", own))], format!("{broken}`abi` is `one`, expected a version like `1.0`")),
        ("name", vec![("MANIFEST", head("1.0", &hash, "a b", own))], format!("{broken}`name` is `a b`, expected up to 64 letters, digits, `-`, `_` and `.`")),
        ("newer", vec![("MANIFEST", head("9.3", &hash, "odd", own))], "it was built for contract version 9, this host speaks 1".into()),
        ("older", vec![("MANIFEST", head("0.9", &hash, "odd", own))], "it was built for contract version 0, this host speaks 1".into()),
        ("layout", vec![("MANIFEST", head("1.0", "00000000deadbeef", "odd", own))], format!("its structs differ from those of contract version 1 (layout 00000000deadbeef, expected {hash})")),
        ("target", vec![("MANIFEST", head("1.0", &hash, "odd", "x86_64-linux-musl"))], format!("it was built for x86_64-linux-musl, this is {own}")),
        ("requires", vec![("EXTRA", "\"requires = ['time-travel']\\n\"".into())], "it asks for `time-travel`, which this host does not have".into()),
        ("needs", vec![("EXTRA", "\"needs = [{ library = 'libc.so.99', cure = 'pip install c' }]\\n\"".into())], "it needs `libc.so.99`, which is not there; there is `libc.so.6`".into()),
        ("driver", vec![("EXTRA", "\"drivers = [{ name = 'no_such_driver' }]\\n\"".into())], "it needs the driver `no_such_driver`, which is not loaded".into()),
        ("loaded", vec![("EXTRA", "\"conflicts = [{ library = 'libc.so.6', reason = 'two of them' }]\\n\"".into())], "it conflicts with the library `libc.so.6`, which is loaded: two of them".into()),
        ("both", vec![("EXTRA", "\"conflicts = [{ }]\\n\"".into())], format!("{broken}a conflict names either a `provider` or a `library`")),
    ];
    for (name, pieces, expected) in cases {
        let pieces: Vec<(&str, &str)> =
            pieces.iter().map(|(piece, code)| (*piece, code.as_str())).collect();
        assert_eq!(told(&plugin(&folder, name, &pieces)), expected, "{name}");
    }
    // The machine that the file itself names: 243 is RISC-V.
    let other = patched(&folder, "machine.so", |bytes| {
        bytes[0x12..0x14].copy_from_slice(&243u16.to_le_bytes());
    });
    assert_eq!(told(&other), format!("it was built for riscv64-linux, this is {own}"));
}

#[test]
fn a_missing_library_is_named_with_who_needs_it() {
    let folder = folder("missing");
    let stub = write(&folder, "stub.c", b"int stub(void) { return 0; }\n");
    let gone = folder.join("libgone.so.7");
    gcc(&["-Wl,-soname,libgone.so.7"], &[&stub], &gone);
    let between = folder.join("libbetween.so.1");
    let path = |path: &Path| path.display().to_string();
    let link = format!("-Wl,--no-as-needed,-soname,libbetween.so.1,-rpath,{}", folder.display());
    gcc(&[&link, &path(&gone)], &[&stub], &between);
    let rpath = format!("-Wl,--no-as-needed,-rpath,{}", folder.display());
    let direct = plugin_linked(&folder, "direct", &[], &[&rpath, &path(&gone)]);
    let through = plugin_linked(&folder, "through", &[], &[&rpath, &path(&between)]);
    assert_eq!(told(&direct), "ready");
    let aside = folder.join("aside");
    std::fs::rename(&gone, &aside).unwrap();
    assert_eq!(told(&direct), "it needs `libgone.so.7`, which is not there");
    // Nothing has loaded `libbetween` yet: what a process holds already is not searched again.
    assert_eq!(
        told(&through),
        "it needs `libgone.so.7` (through `libbetween.so.1`), which is not there"
    );
    std::fs::rename(&aside, &gone).unwrap();
    assert_eq!(told(&through), "ready");
}

#[test]
fn of_two_that_exclude_each_other_the_first_is_used() {
    let folder = folder("conflicts");
    let second = "REMUDA_MANIFEST(\"even\", \"1.0.0\", \"conflicts = [{ provider = 'odd' }]\\n\");";
    let odd = plugin(&folder, "odd", &[]);
    let even = plugin(
        &folder,
        "even",
        &[("MANIFEST", second), ("TABLE", "table.name = remuda_text(\"even\")")],
    );
    let both = |order: [&Path; 2]| {
        let registry = Registry::discover(&config(&order));
        registry.looked.iter().map(|looked| looked.verdict.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(both([&odd, &even]), ["ready", "it conflicts with provider `odd`"]);
    assert_eq!(both([&even, &odd]), ["ready", "it conflicts with provider `even`"]);

    let mut named = config(&[&odd]);
    named.providers[0].name = Some("ggml".to_owned());
    let told = Registry::discover(&named).looked[0].verdict.to_string();
    assert_eq!(told, "it is provider `odd`, expected `ggml`");
}
