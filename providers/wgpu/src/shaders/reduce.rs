//! Reductions along any axes.

use super::lines::{Sharing, THREADS};
use super::source::{Bindings, Dispatch, Elem, Filling, word};
use super::view::{View, Walk, place_text, split_text};

/// What becomes of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reduction {
    /// The first four are of integers too.
    Sum,
    Prod,
    Max,
    Min,
    Mean,
    /// The sum of sizes.
    L1,
    /// The root of the sum of squares.
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

/// How a reduction is written.
struct Words {
    begin: &'static str,
    combine: &'static str,
    element: &'static str,
    finish: &'static str,
}

impl Reduction {
    /// Whether integers are reduced.
    pub(crate) fn takes_integers(self) -> bool {
        matches!(self, Self::Sum | Self::Prod | Self::Max | Self::Min)
    }

    fn words(self, integers: bool) -> Words {
        let (begin, combine) = match (self, integers) {
            (Self::Prod, true) => ("1", "a * b"),
            (Self::Prod, false) => ("1.0", "a * b"),
            (Self::Max, true) => ("-2147483647i - 1i", "max(a, b)"),
            (Self::Max, false) => ("-infinity()", "greater(a, b)"),
            (Self::Min, true) => ("2147483647i", "min(a, b)"),
            (Self::Min, false) => ("infinity()", "lesser(a, b)"),
            (_, true) => ("0", "a + b"),
            (_, false) => ("0.0", "a + b"),
        };
        let element = match self {
            Self::L1 => "abs(x)",
            Self::L2 | Self::SumSquare => "x * x",
            Self::LogSumExp => "exp_of(x - most)",
            _ => "x",
        };
        let finish = match self {
            Self::Mean => "all / f32(size)",
            Self::L2 => "sqrt_of(all)",
            Self::LogSum => "log_of(all)",
            Self::LogSumExp => "select(most + log_of(all), most, is_nan(most) || is_inf(most))",
            _ => "all",
        };
        Words { begin, combine, element, finish }
    }
}

/// An input: what it holds and where it begins, with sizes and strides of the axes that are kept and of
/// those that are reduced.
#[derive(Clone, Debug)]
pub(crate) struct Reduced {
    pub(crate) elem: Elem,
    pub(crate) offset: usize,
    pub(crate) kept: (Vec<usize>, Vec<isize>),
    pub(crate) reduced: (Vec<usize>, Vec<isize>),
}

impl Reduced {
    /// A tensor of these dimensions, reduced along the axes marked.
    pub(crate) fn of(view: &View, dims: &[usize], reduced: &[bool]) -> Self {
        let mut parts = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for ((&dim, &stride), &marked) in dims.iter().zip(&view.strides).zip(reduced) {
            let part = &mut parts[usize::from(marked)];
            part.0.push(dim);
            part.1.push(stride);
        }
        let [kept, reduced] = parts;
        Self { elem: view.elem, offset: view.offset, kept, reduced }
    }
}

const TOGETHER: &str = "
var<workgroup> shared_parts: array<{{type}}, 64>;

fn all_together(lane: u32, value: {{type}}) -> {{type}} {
    shared_parts[lane] = value;
    workgroupBarrier();
    for (var half = {{threads}} / 2u; half > 0u; half >>= 1u) {
        if lane < half {
            shared_parts[lane] = combine(shared_parts[lane], shared_parts[lane + half]);
        }
        workgroupBarrier();
    }
    return shared_parts[0];
}
";

/// The greatest comes first.
const MOST: &str = "    var most = -infinity();
    for (var i = {{first}}; i < size; i += {{step}}) {
{{split_reduced}}        most = greater(most, x_at(u32(origin + {{place_reduced}})));
    }
    most = {{all_greatest}};
";

/// Reduces to elements that lie in order: integers to integers, floats to floats.
pub(crate) fn reduce(kind: Reduction, input: &Reduced) -> Dispatch {
    let integers = input.elem == Elem::I32 && kind.takes_integers();
    let words = kind.words(integers);
    let walks = walks(input);
    let nearest = walks[1].strides[0].last().map_or(1, |stride| stride.unsigned_abs());
    let lines = walks[0].count();
    let sharing = Sharing::of(walks[1].count(), nearest);
    let mut filling = Filling::default();
    filling.text("before", if kind == Reduction::LogSumExp { MOST } else { "" });
    filling.text("type", if integers { "i32" } else { "f32" });
    let (together, all) = match sharing {
        Sharing::Together => (TOGETHER, "all_together(lane, all)"),
        Sharing::Alone => ("", "all"),
    };
    let shared = if kind == Reduction::LogSumExp { "{{shared}}" } else { "" };
    filling.text("together", format!("{shared}{together}"));
    filling.text("type", if integers { "i32" } else { "f32" });
    filling.text("all", all);
    filling.text("begin", words.begin);
    filling.text("combine", words.combine);
    filling.text("element", words.element);
    filling.text("finish", words.finish);
    places(&mut filling, input, &walks);
    sharing.fill(&mut filling);
    let (elem, out) = if integers { (Elem::I32, Elem::I32) } else { (input.elem, Elem::F32) };
    let bindings = Bindings::new().input("x", elem).output("y", out);
    let kernel = bindings.kernel(THREADS, include_str!("reduce.wgsl"), &filling);
    Dispatch { kernel, launch: filling.launch(sharing.groups(lines)) }
}

/// Axes that are kept, and those that are reduced.
fn walks(input: &Reduced) -> [Walk; 2] {
    [&input.kept, &input.reduced].map(|(dims, strides)| Walk::merged(dims, &[&strides[..]]))
}

fn places(filling: &mut Filling, input: &Reduced, walks: &[Walk; 2]) {
    filling.param("lines", word(walks[0].count()));
    filling.param("size", word(walks[1].count()));
    filling.param("offset", word(input.offset));
    let parts =
        [("split_kept", "place_kept", "k", "line"), ("split_reduced", "place_reduced", "r", "i")];
    for (walk, (split, place, prefix, from)) in walks.iter().zip(parts) {
        let sizes = filling.row(walk.dim_words());
        let strides = filling.row(walk.stride_words(0));
        filling.text(split, split_text(prefix, from, walk.rank(), sizes));
        filling.text(place, place_text(prefix, walk.rank(), strides));
    }
}
