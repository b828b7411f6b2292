//! The C header says the same as the Rust: a C compiler lays every struct out as the snapshot does.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// `DeviceInfo` is `remuda_device_info` in C.
fn snake(name: &str) -> String {
    let mut out = String::from("remuda");
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// A C program that prints the layouts as the snapshot has them.
fn program(snapshot: &str) -> String {
    let mut body = String::new();
    let mut current = String::new();
    for line in snapshot.lines() {
        if let Some((name, _)) = line.split_once(": ") {
            current = snake(name);
            writeln!(
                body,
                "    struct align_{current} {{ char c; {current} s; }};\n    printf(\"{name}: %zu bytes, align %zu\\n\", sizeof({current}), offsetof(struct align_{current}, s));"
            )
            .expect("a String takes everything");
        } else if let Some(field) = line.split_whitespace().nth(1) {
            let own = if matches!(field, "int" | "float") { "_" } else { "" };
            let name = format!("{field}{own}");
            writeln!(body, "    printf(\"  %4zu {field}\\n\", offsetof({current}, {name}));")
                .expect("a String takes everything");
        }
    }
    format!(
        "#include <stdio.h>\n#include \"remuda_provider.h\"\nint main(void) {{\n{body}    return 0;\n}}\n"
    )
}

fn compile(compiler: &str, standard: &str, source: &Path, out: &Path) {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let output = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"])
        .arg(include)
        .arg(source)
        .arg("-o")
        .arg(out)
        .output()
        .expect("a C compiler is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[cfg(all(target_pointer_width = "64", target_endian = "little", target_os = "linux"))]
fn a_c_compiler_sees_the_same_layouts() {
    let snapshot = include_str!("layout.txt");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, out) = (folder.join("layout.c"), folder.join("layout"));
    std::fs::write(&source, program(snapshot)).unwrap();
    compile("gcc", "-std=c99", &source, &out);
    let printed = Command::new(&out).output().unwrap().stdout;
    assert_eq!(String::from_utf8(printed).unwrap(), snapshot);
}

#[test]
#[cfg(target_os = "linux")]
fn a_cpp_compiler_takes_the_header_and_a_manifest() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, out) = (folder.join("manifest.cpp"), folder.join("manifest"));
    let text = "#include \"remuda_provider.h\"\nREMUDA_MANIFEST(\"x\", \"1\", \"\");\nint main() { return 0; }\n";
    std::fs::write(&source, text).unwrap();
    compile("g++", "-std=c++11", &source, &out);
}
