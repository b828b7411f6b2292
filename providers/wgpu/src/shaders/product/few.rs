//! Few rows: the right matrix is read once, and not kept.

use super::{ExprError, Product, Rows};
use crate::shaders::source::{Bindings, Dispatch, Filling};

/// Rows that are computed this way.
pub(crate) const MOST_ROWS: usize = 8;
/// Columns of a workgroup where invocations share the sums.
const COLUMNS: usize = 4;
/// Columns of a workgroup where each invocation has its own.
const WIDE: usize = 64;

pub(super) fn dispatch(product: &Product) -> Result<Dispatch, ExprError> {
    let (bindings, own) = product.prepare()?;
    let mut filling = Filling::default();
    filling.text("functions", product.right.functions());
    if product.right.along_sums() {
        along(product, bindings, (filling, own))
    } else {
        across(product, bindings, (filling, own))
    }
}

/// Statements for each row.
fn each(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

fn along(
    product: &Product,
    bindings: Bindings,
    (mut filling, own): (Filling, Filling),
) -> Result<Dispatch, ExprError> {
    const THREADS: u32 = 64;
    let [rows, columns, _] = product.sizes;
    let of_blocks = matches!(product.right.rows, Rows::Blocks { .. });
    let kept = rows * COLUMNS;
    let value = |row: usize, at: &str| product.left.element(&row.to_string(), at);
    let mut text = each(rows, |row| {
        if !of_blocks {
            return format!("        let a{row} = {};\n", value(row, "at"));
        }
        let four: Vec<String> = (0..4).map(|i| value(row, &format!("at + {i}u"))).collect();
        format!("        let a{row} = vec4<f32>({});\n", four.join(", "))
    });
    text += &each(COLUMNS, |side| {
        let sums = each(rows, |row| {
            let term =
                if of_blocks { format!("dot(a{row}, weight)") } else { format!("a{row} * weight") };
            format!("            sum{row}_{side} += {term};\n")
        });
        format!(
            "        {{\n            let column = min(first_column + {side}u, {{{{n}}}} - 1u);\n            \
             let weight = {{{{b}}}};\n{sums}        }}\n"
        )
    });
    let sums = |text: &dyn Fn(usize, usize) -> String| {
        each(rows, |row| each(COLUMNS, |side| text(row, side)))
    };
    filling.text("declare", sums(&|row, side| format!("    var sum{row}_{side} = 0.0;\n")));
    filling.text("accumulate", text);
    let keep = |row: usize, side: usize| {
        format!(
            "    partial[{}u * {{{{threads}}}} + lane] = sum{row}_{side};\n",
            row * COLUMNS + side
        )
    };
    filling.text("keep", sums(&keep));
    filling.text("held", (kept * THREADS as usize).to_string());
    filling.text("kept", format!("{kept}u"));
    filling.text("columns", format!("{COLUMNS}u"));
    filling.text("width", if of_blocks { "4u" } else { "1u" });
    filling.then(own);
    let groups = columns.div_ceil(COLUMNS) * product.products() * usize::from(rows > 0);
    let kernel = bindings.kernel(THREADS, include_str!("along.wgsl"), &filling);
    Ok(Dispatch { kernel, launch: filling.launch(groups) })
}

fn across(
    product: &Product,
    bindings: Bindings,
    (mut filling, own): (Filling, Filling),
) -> Result<Dispatch, ExprError> {
    const THREADS: u32 = 256;
    let [rows, columns, _] = product.sizes;
    filling.text("declare", each(rows, |row| format!("    var sum{row} = 0.0;\n")));
    filling.text(
        "accumulate",
        each(rows, |row| {
            let value = product.left.element(&row.to_string(), "at");
            format!("            sum{row} += {value} * weight;\n")
        }),
    );
    filling.text(
        "keep",
        each(rows, |row| format!("    partial[{row}u * {{{{threads}}}} + lane] = sum{row};\n")),
    );
    filling.text("held", (rows.max(1) * THREADS as usize).to_string());
    filling.text("kept", format!("{rows}u"));
    filling.then(own);
    let groups = columns.div_ceil(WIDE) * product.products() * usize::from(rows > 0);
    let kernel = bindings.kernel(THREADS, include_str!("across.wgsl"), &filling);
    Ok(Dispatch { kernel, launch: filling.launch(groups) })
}
