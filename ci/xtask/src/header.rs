//! The C header of the provider contract, made from the Rust that defines it.
//!
//! The sources of `remuda-abi` are read as syntax: structs, opaque handles, function types and
//! constants become C, documentation included. A kind of item that has no rule here is an error, so that
//! the header never lacks anything. The one part that is not in the Rust, macros that write a manifest,
//! is kept beside the header.

mod types;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use syn::{Attribute, Expr, Fields, Item, ItemConst, ItemMacro, ItemStruct, ItemType, Lit, Type};

use types::{constant, declare, embedded, snake};

/// The files in which definitions stand, in the order of the header.
const SOURCES: &[&str] = &["lib", "value", "graph", "host", "provider"];

/// Everything that becomes C.
#[derive(Default)]
struct Parts {
    constants: String,
    handles: Vec<(String, String)>,
    functions: Vec<ItemType>,
    structs: Vec<ItemStruct>,
}

/// The text of the header.
pub(crate) fn text(root: &Path) -> Result<String> {
    let mut parts = Parts::default();
    for name in SOURCES {
        let path = root.join(format!("providers/abi/src/{name}.rs"));
        let source = fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let file = syn::parse_file(&source)?;
        if *name != "lib" {
            writeln!(parts.constants, "\n{}", comment(&docs(&file.attrs), ""))?;
        }
        for item in file.items {
            parts.take(item, "")?;
        }
    }
    let macros = fs::read_to_string(root.join("providers/abi/include/manifest.h.in"))?;
    parts.print(&macros)
}

impl Parts {
    fn take(&mut self, item: Item, prefix: &str) -> Result<()> {
        match item {
            Item::Const(item) => self.constant(&item, prefix)?,
            Item::Struct(item) => self.structs.push(item),
            Item::Type(item) => self.functions.push(item),
            Item::Macro(item) if item.mac.path.is_ident("handles") => self.take_handles(&item)?,
            Item::Mod(item) => {
                let prefix = format!("{}_", item.ident.to_string().to_uppercase());
                if let Some((_, items)) = item.content {
                    writeln!(self.constants, "\n{}", comment(&docs(&item.attrs), ""))?;
                    items.into_iter().try_for_each(|item| self.take(item, &prefix))?;
                }
            }
            Item::Impl(_) | Item::Use(_) | Item::Macro(_) => {}
            _ => bail!("an item of the contract has no rule in ci/xtask/src/header.rs"),
        }
        Ok(())
    }

    fn constant(&mut self, item: &ItemConst, prefix: &str) -> Result<()> {
        // Texts are for hosts; the manifest's macros have their own.
        let Some(value) = constant(&item.ty, &item.expr) else { return Ok(()) };
        let name = format!("REMUDA_{prefix}{}", item.ident);
        let docs = docs(&item.attrs);
        if !docs.is_empty() {
            writeln!(self.constants, "{}", comment(&docs, ""))?;
        }
        writeln!(self.constants, "#define {name} {value}")?;
        Ok(())
    }

    fn take_handles(&mut self, item: &ItemMacro) -> Result<()> {
        let parser = |input: syn::parse::ParseStream<'_>| {
            let mut found = Vec::new();
            while !input.is_empty() {
                let attrs = input.call(Attribute::parse_outer)?;
                let name: syn::Ident = input.parse()?;
                found.push((name.to_string(), docs(&attrs).join(" ")));
                input.parse::<Option<syn::Token![,]>>()?;
            }
            Ok(found)
        };
        self.handles.extend(syn::parse::Parser::parse2(parser, item.mac.tokens.clone())?);
        Ok(())
    }

    fn print(&self, macros: &str) -> Result<String> {
        let mut out = String::from(HEAD);
        out.push_str(&self.constants);
        let hash = format!("{:016x}", remuda_abi::LAYOUT_HASH);
        let (major, minor) = (remuda_abi::ABI_MAJOR, remuda_abi::ABI_MINOR);
        writeln!(out, "#define REMUDA_ABI_TEXT \"{major}.{minor}\"")?;
        writeln!(out, "\n{}", comment(&["The hash of the layouts below.".to_owned()], ""))?;
        writeln!(out, "#define REMUDA_LAYOUT_HASH UINT64_C(0x{hash})")?;
        writeln!(out, "#define REMUDA_LAYOUT_HASH_TEXT \"{hash}\"\n")?;
        for (name, docs) in &self.handles {
            let name = snake(name);
            writeln!(out, "/** {docs} */\ntypedef struct {name} {name};")?;
        }
        out.push('\n');
        for item in &self.structs {
            let name = snake(&item.ident.to_string());
            writeln!(out, "typedef struct {name} {name};")?;
        }
        let structs = self.structs_in_order()?;
        // A function type may return a struct by value: declarations do for that.
        for item in &self.functions {
            let name = snake(&item.ident.to_string());
            let declaration = declare(&item.ty, &name)?;
            writeln!(out, "\n{}\ntypedef {declaration};", comment(&docs(&item.attrs), ""))?;
        }
        for item in structs {
            print_struct(item, &mut out)?;
        }
        out.push_str(ENTRY);
        out.push_str(macros);
        out.push_str(TAIL);
        Ok(out)
    }

    /// Structs, each after those that it holds by value.
    fn structs_in_order(&self) -> Result<Vec<&ItemStruct>> {
        let mut left: Vec<&ItemStruct> = self.structs.iter().collect();
        let mut ordered = Vec::new();
        while !left.is_empty() {
            let names: Vec<String> = left.iter().map(|item| item.ident.to_string()).collect();
            let is_ready = |item: &&ItemStruct| {
                item.fields
                    .iter()
                    .filter_map(|field| embedded(&field.ty))
                    .all(|held| !names.contains(&held))
            };
            let (ready, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(is_ready);
            if ready.is_empty() {
                bail!("structs of the contract hold each other by value");
            }
            ordered.extend(ready);
            left = rest;
        }
        Ok(ordered)
    }
}

fn print_struct(item: &ItemStruct, out: &mut String) -> Result<()> {
    let Fields::Named(fields) = &item.fields else { bail!("`{}` has no named fields", item.ident) };
    writeln!(out, "\n{}", comment(&docs(&item.attrs), ""))?;
    writeln!(out, "struct {} {{", snake(&item.ident.to_string()))?;
    for field in &fields.named {
        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "{}", comment(&docs(&field.attrs), "    "))?;
        let name = if matches!(name.as_str(), "int" | "float") { format!("{name}_") } else { name };
        writeln!(out, "    {};", declare(function_in_option(&field.ty), &name)?)?;
    }
    writeln!(out, "}};")?;
    Ok(())
}

/// The function of an `Option<fn>`, which may be null in C anyway.
fn function_in_option(ty: &Type) -> &Type {
    types::option(ty).unwrap_or(ty)
}

/// The lines of documentation.
fn docs(attrs: &[Attribute]) -> Vec<String> {
    let line = |attr: &Attribute| {
        let meta = attr.meta.require_name_value().ok()?;
        let Expr::Lit(literal) = &meta.value else { return None };
        let (true, Lit::Str(text)) = (meta.path.is_ident("doc"), &literal.lit) else { return None };
        Some(text.value().trim_start_matches(' ').trim_end().to_owned())
    };
    attrs.iter().filter_map(line).collect()
}

/// Documentation as a C comment. Links lose their brackets, and names become those of C where that is
/// only a matter of the prefix.
fn comment(lines: &[String], indent: &str) -> String {
    let text = lines.join("\n").replace("[`", "`").replace("`]", "`").replace("crate::", "");
    let lines: Vec<&str> = text.lines().collect();
    match lines[..] {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */"),
        _ => {
            let body: Vec<_> = lines
                .iter()
                .map(|line| format!("{indent} * {line}").trim_end().to_owned())
                .collect();
            format!("{indent}/**\n{}\n{indent} */", body.join("\n"))
        }
    }
}

const HEAD: &str = "\
/* Generated by `cargo xtask gen` from providers/abi/src. The rules are in providers/abi/ABI.md.
 *
 * Names in comments are those of the Rust source: `OK` is REMUDA_OK. Fields that would be keywords of C
 * end in `_`.
 */
#ifndef REMUDA_PROVIDER_H
#define REMUDA_PROVIDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if UINTPTR_MAX != UINT64_MAX
#error \"the contract is for 64-bit targets\"
#endif

#ifdef __cplusplus
extern \"C\" {
#endif

";

const ENTRY: &str = "
#if defined(_WIN32)
#define REMUDA_EXPORT __declspec(dllexport)
#else
#define REMUDA_EXPORT __attribute__((visibility(\"default\")))
#endif

/** The entry symbol of a provider library. It returns null for a major version it does not speak. */
REMUDA_EXPORT const remuda_provider *remuda_provider_entry(uint32_t host_abi_major);

";

const TAIL: &str = "
#ifdef __cplusplus
}
#endif

#endif
";
