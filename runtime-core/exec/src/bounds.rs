//! Bounds under which a target takes a node: `batch<=8, tokens<=512`.
//!
//! A yes under bounds counts as a yes while the sizes that are planned for keep them. The plan then
//! holds for runs within the bounds; a run whose inputs leave them follows another plan, in which the
//! nodes in question run elsewhere.

use std::fmt;

use remuda_ir::{Graph, Val};
use remuda_tensor::Dim;

use crate::cost::Sizes;

/// One comparison of a named dimension with a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    symbol: String,
    relation: Relation,
    number: usize,
    /// An input and an axis of it that show the size.
    shown: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtMost,
    AtLeast,
    Below,
    Above,
    Equal,
}

impl Relation {
    /// Longer spellings come first.
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("<", Self::Below),
        (">", Self::Above),
        ("=", Self::Equal),
    ];

    fn holds(self, size: usize, number: usize) -> bool {
        match self {
            Self::AtMost => size <= number,
            Self::AtLeast => size >= number,
            Self::Below => size < number,
            Self::Above => size > number,
            Self::Equal => size == number,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (spelling, _) = Relation::ALL
            .iter()
            .find(|(_, relation)| *relation == self.relation)
            .unwrap_or(&Relation::ALL[0]);
        write!(f, "{}{spelling}{}", self.symbol, self.number)
    }
}

/// Reads bounds on dimensions that the graph's inputs show. The error says what cannot be watched.
pub(crate) fn parse(text: &str, graph: &Graph) -> Result<Vec<Bound>, String> {
    text.split(',').map(|bound| parse_one(bound.trim(), graph)).collect()
}

fn parse_one(text: &str, graph: &Graph) -> Result<Bound, String> {
    let split = Relation::ALL.iter().find_map(|(spelling, relation)| {
        let (symbol, number) = text.split_once(spelling)?;
        Some((symbol.trim(), *relation, number.trim().parse().ok()?))
    });
    let (symbol, relation, number) =
        split.ok_or_else(|| format!("the bound `{text}` is not understood"))?;
    let shown = shown(symbol, graph)
        .ok_or_else(|| format!("no input shows the dimension `{symbol}` of its bound `{text}`"))?;
    Ok(Bound { symbol: symbol.to_owned(), relation, number, shown })
}

/// The bound that a dimension is at most so large; nothing if no input shows it.
pub(crate) fn at_most(symbol: &str, number: usize, graph: &Graph) -> Option<Bound> {
    let shown = shown(symbol, graph)?;
    Some(Bound { symbol: symbol.to_owned(), relation: Relation::AtMost, number, shown })
}

/// The first input and axis whose dimension has this name.
fn shown(symbol: &str, graph: &Graph) -> Option<(usize, usize)> {
    let wanted = Dim::symbol(symbol);
    graph.inputs.iter().enumerate().find_map(|(input, &id)| {
        let dims = graph.value(id).ty.as_ref()?.as_tensor()?.dims.as_ref()?;
        Some((input, dims.iter().position(|dim| dim.same(&wanted))?))
    })
}

impl Bound {
    /// Whether the size that is planned for keeps it.
    pub(crate) fn is_planned(&self, sizes: &Sizes) -> bool {
        self.relation.holds(sizes.named(&self.symbol), self.number)
    }

    /// How inputs leave it, in words; nothing if they keep it.
    pub(crate) fn left_by(&self, inputs: &[Val]) -> Option<String> {
        let (input, axis) = self.shown;
        let size = match inputs.get(input) {
            Some(Val::Tensor(tensor)) => tensor.dims().get(axis).copied(),
            _ => None,
        };
        match size {
            Some(size) if self.relation.holds(size, self.number) => None,
            Some(size) => Some(format!("`{}` is {size}, the plan needs {self}", self.symbol)),
            None => Some(format!("`{}` is not known, the plan needs {self}", self.symbol)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::cost::Sizes;
    use remuda_base::Map;
    use remuda_ir::{Graph, Val, text};
    use remuda_tensor::Tensor;

    fn graph() -> Graph {
        let source =
            "graph \"g\" {\n  input %x: f32[2 * n, tokens]\n  %y = Neg(%x)\n  output %y\n}";
        text::parse(source).unwrap()
    }

    #[test]
    fn bounds_hold_for_plans_and_for_inputs() {
        let [most, least] = &parse("tokens<=512, tokens > 1", &graph()).unwrap()[..] else {
            panic!("two bounds");
        };
        let sizes = |tokens| Sizes(Map::from([("tokens".to_owned(), tokens)]));
        assert!(most.is_planned(&sizes(512)) && !most.is_planned(&sizes(513)));
        assert!(least.is_planned(&sizes(2)) && !least.is_planned(&sizes(1)));
        let input =
            |tokens| [Val::from(Tensor::from_vec([2, tokens], vec![0f32; 2 * tokens]).unwrap())];
        assert_eq!(most.left_by(&input(3)), None);
        let left = least.left_by(&input(1));
        assert_eq!(left.as_deref(), Some("`tokens` is 1, the plan needs tokens>1"));
        assert!(most.left_by(&[]).is_some());
    }

    #[test]
    fn what_cannot_be_watched_is_said() {
        let error = |text| parse(text, &graph()).unwrap_err();
        assert_eq!(error("tokens"), "the bound `tokens` is not understood");
        assert_eq!(error("tokens<=many"), "the bound `tokens<=many` is not understood");
        assert_eq!(error("n<=4"), "no input shows the dimension `n` of its bound `n<=4`");
    }
}
