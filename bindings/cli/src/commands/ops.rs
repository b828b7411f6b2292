//! `remuda ops`: the operators, from the table that the runtime itself uses.

use remuda::operators::{LEGACY, NEWEST_OPSET, TABLE, fast_operators};
use serde_json::json;

use super::print_table;

/// Arguments of `remuda ops`.
#[derive(Debug, clap::Args)]
pub(super) struct OpsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists the operators.
pub(super) fn run(args: &OpsArgs) {
    let domain = |domain: &'static str| if domain.is_empty() { "ai.onnx" } else { domain };
    let kernel = |of: &str, name: &str| {
        if fast_operators().any(|fast| fast == (of, name)) { "fast" } else { "reference" }
    };
    if args.json {
        let operators = TABLE.iter().map(|def| {
            json!({
                "domain": domain(def.domain),
                "name": def.name,
                "since": def.since,
                "cpu": kernel(def.domain, def.name),
            })
        });
        let legacy = LEGACY
            .iter()
            .map(|legacy| json!({ "domain": domain(legacy.domain), "name": legacy.name }));
        outln!(
            "{:#}",
            json!({
                "newest_opset": NEWEST_OPSET,
                "operators": operators.collect::<Vec<_>>(),
                "replaced_on_import": legacy.collect::<Vec<_>>(),
            })
        );
        return;
    }
    let mut rows = vec![["domain", "operator", "since", "cpu"].map(str::to_owned).to_vec()];
    rows.extend(TABLE.iter().map(|def| {
        let since = def.since.to_string();
        let texts = [domain(def.domain), def.name, &since, kernel(def.domain, def.name)];
        texts.map(str::to_owned).to_vec()
    }));
    rows.extend(LEGACY.iter().map(|legacy| {
        [domain(legacy.domain), legacy.name, "", "replaced on import"].map(str::to_owned).to_vec()
    }));
    print_table(&rows);
}
