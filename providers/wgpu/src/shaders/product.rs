//! Products of matrices: few rows by one pass over the other matrix, many by tiles.
//!
//! Either side may be transposed, broadcast over batches or lie in the middle of something else, which
//! strides say; the right one may be in a block format. What becomes of the sums, with other tensors such
//! as a bias, is an expression, computed before anything is stored.

use super::blocks::Blocks;
use super::expr::{Expr, ExprError, Statements};
use super::source::{Bindings, Dispatch, Elem, Filling, signed, word};
use super::view::{place_text, split_text};

mod few;
mod patches;
mod tiled;

use few::MOST_ROWS;
pub(crate) use patches::{Convolution, Patches, convolution};

/// The left matrix.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) elem: Elem,
    pub(crate) offset: usize,
    /// From row to row, and along the sums: from run to run where they go in runs.
    pub(crate) strides: [isize; 2],
    /// How many elements of a sum follow each other, where only so many do.
    pub(crate) run: Option<usize>,
    /// From product to product along each axis of the batch.
    pub(crate) batch: Vec<isize>,
}

/// The right matrix.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    pub(crate) rows: Rows,
    /// From product to product along each axis of the batch: elements, or bytes of blocks.
    pub(crate) batch: Vec<isize>,
}

/// How the right matrix lies.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// Strides along the sums, and from column to column of the product.
    Plain { elem: Elem, offset: usize, strides: [isize; 2] },
    /// A row of blocks per column of the product; the first begins at a byte, an even one.
    Blocks { blocks: Blocks, offset_bytes: usize },
    /// Patches of images: see [`Patches`].
    Patches { elem: Elem, offset: usize, patches: Patches },
}

/// Another tensor that the epilogue reads: `Input(1)` is the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Extra {
    pub(crate) elem: Elem,
    pub(crate) offset: usize,
    /// From row to row, and from column to column of the product.
    pub(crate) strides: [isize; 2],
    pub(crate) batch: Vec<isize>,
}

/// What is computed. The inputs of the kernel are the left matrix, the right one, and the extras.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    /// Rows, columns, and how many products each sum has.
    pub(crate) sizes: [usize; 3],
    /// Sizes of the axes of the batch.
    pub(crate) batch: Vec<usize>,
    pub(crate) left: Left,
    pub(crate) right: Factor,
    pub(crate) extras: Vec<Extra>,
    /// What is stored, of the sum (`Input(0)`) and the extras.
    pub(crate) epilogue: Expr,
    /// Where the result begins, its stride from row to row, and those of the batch.
    pub(crate) out: (usize, isize, Vec<isize>),
}

impl Product {
    /// A kernel and its launch.
    ///
    /// # Errors
    /// When the types of the epilogue do not fit.
    pub(crate) fn dispatch(&self) -> Result<Dispatch, ExprError> {
        if self.sizes[0] <= MOST_ROWS { few::dispatch(self) } else { tiled::dispatch(self) }
    }

    fn products(&self) -> usize {
        self.batch.iter().product()
    }

    /// Declares everything, and fills in sizes, places and the epilogue.
    ///
    /// The texts of `{{bases}}` name where things of the product number `batch` begin: `a_base`, `b_base`,
    /// `y_base`. `{{a}}`, `{{b}}` are elements at `row`, `at` and `column`; `{{store}}` is said of `sum`
    /// at `row` and `column`.
    fn prepare(&self) -> Result<(Bindings, Filling), ExprError> {
        let mut filling = Filling::default();
        for (name, size) in ["m", "n", "k"].into_iter().zip(self.sizes) {
            filling.param(name, word(size));
        }
        filling.param("products", word(self.products()));
        let rank = self.batch.len();
        let dims = filling.row(self.batch.iter().map(|&dim| word(dim)));
        let mut bases = split_text("p", "batch", rank, dims);
        bases += &base(&mut filling, "a_base", self.left.offset, &self.left.batch);
        bases += &base(&mut filling, "b_base", self.right.offset(), &self.right.batch);
        bases += &base(&mut filling, "y_base", self.out.0, &self.out.2);
        filling.param("a_row", signed(self.left.strides[0]));
        filling.param("a_step", signed(self.left.strides[1]));
        filling.param("y_row", signed(self.out.1));
        if let Some(run) = self.left.run {
            filling.param("a_run", word(run));
        }
        filling.text("a", self.left.element("row", "at"));
        let mut bindings = Bindings::new().input("a", self.left.elem);
        bindings = self.right.bind(bindings, &mut filling);
        let mut names = vec![("sum".to_owned(), Elem::F32)];
        let mut read = String::new();
        for (at, extra) in self.extras.iter().enumerate() {
            bindings = bindings.input(&format!("x{at}"), extra.elem);
            bases += &base(&mut filling, &format!("x{at}_base"), extra.offset, &extra.batch);
            let strides = filling.row(extra.strides.map(signed));
            read += &format!(
                "    let e{at} = x{at}_at(u32(x{at}_base + i32(row) * i32(params[{strides}]) + \
                 i32(column) * i32(params[{}])));\n",
                strides + 1
            );
            names.push((format!("e{at}"), extra.elem));
        }
        let mut statements = Statements::of(names);
        let value = statements.write_as(&self.epilogue, Elem::F32)?;
        let arguments: String =
            (0..self.extras.len()).map(|at| format!(", x{at}_base: i32")).collect();
        let given: String = (0..self.extras.len()).map(|at| format!(", x{at}_base")).collect();
        filling.text(
            "store",
            format!(
                "fn store(y_base: i32{arguments}, row: u32, column: u32, sum: f32) {{\n{read}{}    \
                 y[u32(y_base + i32(row) * i32({{{{y_row}}}}) + i32(column))] = {value};\n}}\n",
                statements.text
            ),
        );
        filling.text("bases", bases);
        filling.text("given", format!("y_base{given}"));
        Ok((bindings.output("y", Elem::F32), filling))
    }
}

impl Left {
    /// What reads the element of a row at a place of the sums.
    fn element(&self, row: &str, at: &str) -> String {
        let along = match self.run {
            None => format!("i32({at}) * i32({{{{a_step}}}})"),
            Some(_) => format!(
                "i32(({at}) / {{{{a_run}}}}) * i32({{{{a_step}}}}) + i32(({at}) % {{{{a_run}}}})"
            ),
        };
        format!("a_at(u32(a_base + i32({row}) * i32({{{{a_row}}}}) + {along}))")
    }

    /// Whether the elements of a sum are neighbours in it.
    fn along_sums(&self) -> bool {
        self.run.is_some() || self.strides[1] == 1
    }
}

impl Factor {
    fn offset(&self) -> usize {
        match self.rows {
            Rows::Plain { offset, .. } | Rows::Patches { offset, .. } => offset,
            Rows::Blocks { offset_bytes, .. } => offset_bytes,
        }
    }

    /// Whether the elements of a sum are neighbours in it.
    fn along_sums(&self) -> bool {
        match &self.rows {
            Rows::Plain { strides, .. } => strides[0] == 1,
            Rows::Blocks { .. } => true,
            Rows::Patches { .. } => false,
        }
    }

    fn bind(&self, bindings: Bindings, filling: &mut Filling) -> Bindings {
        match &self.rows {
            Rows::Plain { elem, strides, .. } => {
                filling.param("b_step", signed(strides[0]));
                filling.param("b_column", signed(strides[1]));
                filling.text(
                    "b",
                    "b_at(u32(b_base + i32(at) * i32({{b_step}}) + i32(column) * i32({{b_column}})))",
                );
                bindings.input("b", *elem)
            }
            Rows::Blocks { blocks, .. } => {
                filling.param("b_blocks", word(blocks.elements()));
                filling.param("b_bytes", word(blocks.bytes()));
                filling.text(
                    "b",
                    "block4(u32(b_base) + column * ({{k}} / {{b_blocks}}) * {{b_bytes}}, at)",
                );
                bindings.words("b")
            }
            Rows::Patches { elem, patches, .. } => {
                patches.fill(filling);
                filling.text("b", "patch_at(b_base, at, column)");
                bindings.input("b", *elem)
            }
        }
    }

    /// The functions that elements are read by.
    fn functions(&self) -> String {
        match &self.rows {
            Rows::Plain { .. } => String::new(),
            Rows::Blocks { blocks, .. } => blocks.text(),
            Rows::Patches { patches, .. } => patches.text(),
        }
    }
}

/// A statement that names the place where one of a batch begins.
fn base(filling: &mut Filling, name: &str, offset: usize, strides: &[isize]) -> String {
    let offset = filling.row([word(offset)]);
    let at = filling.row(strides.iter().map(|&stride| signed(stride)));
    format!("    let {name} = i32(params[{offset}]) + {};\n", place_text("p", strides.len(), at))
}
