//! Skeletons: `cargo xtask new op Name` writes the file of an operator, its cases and its two lines.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Writes the skeleton of an operator. It compiles and its one case fails until it is filled in.
pub(crate) fn operator(root: &Path, name: &str) -> Result<()> {
    if !name.chars().all(|c| c.is_ascii_alphanumeric())
        || !name.starts_with(|c: char| c.is_ascii_uppercase())
    {
        bail!("expected a name like `Trilu`, got `{name}`");
    }
    let module = snake_case(name);
    let folder = root.join("runtime-core/ops/src");
    let file = folder.join("defs").join(format!("{module}.rs"));
    if file.exists() {
        bail!("`{}` exists", file.display());
    }
    fs::write(&file, skeleton(name, &module))?;
    fs::write(file.with_extension("cases"), "run : f32[1] 1 -> f32[1] 0\n")?;
    let table = folder.join("defs.rs");
    let listed =
        insert(&fs::read_to_string(&table)?, &module).context("`defs.rs` is not as expected")?;
    fs::write(&table, listed)?;
    println!("wrote {}, its cases, and two lines in defs.rs", file.display());
    Ok(())
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Adds the module in order of names, and the definition in front of the first of a later name; the
/// operators' own test says where it belongs if the two orders differ.
fn insert(table: &str, module: &str) -> Option<String> {
    let line = format!("mod {module};");
    let entry = format!("    &{module}::OP,");
    let mut lines: Vec<&str> = table.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("mod "))?;
    let mods = lines[first..].iter().take_while(|line| line.starts_with("mod ")).count();
    let at =
        lines[first..first + mods].iter().position(|other| *other > line.as_str()).unwrap_or(mods);
    lines.insert(first + at, &line);
    let start = lines.iter().position(|line| line.contains("static TABLE"))? + 1;
    let count = lines[start..].iter().take_while(|line| line.starts_with("    &")).count();
    let at = lines[start..start + count]
        .iter()
        .position(|other| *other > entry.as_str())
        .unwrap_or(count);
    lines.insert(start + at, &entry);
    Some(lines.join("\n") + "\n")
}

fn skeleton(name: &str, module: &str) -> String {
    format!(
        "//! {name}: what it does, in one sentence.

use remuda_ir::{{InputDef, KernelCtx, OpDef, OpError, OutputDef, Tolerance, Traits, Types, Val}};

use crate::support::elementwise::same_as_first;

pub(crate) static OP: OpDef = OpDef {{
    domain: \"\",
    name: \"{name}\",
    since: 1,
    upgrades: &[],
    inputs: &[InputDef::new(\"x\", Types::FLOATS)],
    outputs: &[OutputDef::new(\"y\")],
    attrs: &[],
    traits: Traits::PURE,
    tolerance: Tolerance::Exact,
    infer: same_as_first,
    reference,
    cases: include_str!(\"{module}.cases\"),
}};

fn reference(ctx: &KernelCtx<'_>) -> Result<Vec<Val>, OpError> {{
    Ok(vec![ctx.val(0)?.clone()])
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::{insert, snake_case};

    #[test]
    fn names_become_modules_and_find_their_place() {
        assert_eq!(snake_case("ReduceMean"), "reduce_mean");
        let table = "mod abs;\nmod tanh;\n\npub static TABLE: &[&OpDef] = &[\n    &abs::OP,\n    &tanh::OP,\n];\n";
        let want = "mod abs;\nmod sin;\nmod tanh;\n\npub static TABLE: &[&OpDef] = &[\n    &abs::OP,\n    &sin::OP,\n    &tanh::OP,\n];\n";
        assert_eq!(insert(table, "sin").as_deref(), Some(want));
    }
}
