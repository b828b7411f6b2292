//! Equations in Einstein's notation: their terms, and the sizes that operands give to the axes.

use remuda_ir::OpError;
use remuda_tensor::Dim;

/// An axis: one that a letter names, or one of those behind `...`, counted from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    Rest(usize),
    Letter(char),
}

/// A term: its letters, and how many of them stand in front of `...`, if that is there.
#[derive(Clone, Debug)]
struct Term {
    text: String,
    letters: Vec<char>,
    rest: Option<usize>,
}

/// An equation: a term for each operand, and that of the output if it is written.
#[derive(Clone, Debug)]
pub(crate) struct Equation {
    terms: Vec<Term>,
    output: Option<Term>,
}

/// The axes of each operand and of the output, and the size of each axis.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    known: Vec<(Label, Dim)>,
    pub(crate) operands: Vec<Vec<Label>>,
    pub(crate) output: Vec<Label>,
}

impl Term {
    fn parse(text: &str) -> Result<Self, OpError> {
        let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let (front, back) = match text.split_once("...") {
            None => (text.as_str(), None),
            Some((front, back)) => (front, Some(back)),
        };
        let letters: Vec<char> = front.chars().chain(back.unwrap_or("").chars()).collect();
        if let Some(stranger) = letters.iter().find(|letter| !letter.is_ascii_alphabetic()) {
            return Err(OpError::Invalid(format!("`{stranger}` names no axis in term `{text}`")));
        }
        let rest = back.map(|_| front.len());
        Ok(Self { letters, rest, text })
    }

    /// The axes, with so many behind `...`.
    fn labels(&self, rest: usize) -> Vec<Label> {
        let mut labels: Vec<Label> = self.letters.iter().copied().map(Label::Letter).collect();
        if let Some(at) = self.rest {
            labels.splice(at..at, (0..rest).rev().map(Label::Rest));
        }
        labels
    }

    /// The axes of an operand of this rank.
    fn labels_of(&self, operand: usize, rank: usize) -> Result<Vec<Label>, OpError> {
        let named = self.letters.len();
        if named > rank || (self.rest.is_none() && named != rank) {
            let text = &self.text;
            return Err(OpError::Invalid(format!(
                "term `{text}` names {named} axes, operand {operand} has {rank}"
            )));
        }
        Ok(self.labels(rank - named))
    }
}

impl Equation {
    pub(crate) fn parse(text: &str) -> Result<Self, OpError> {
        let (left, right) = match text.split_once("->") {
            None => (text, None),
            Some((left, right)) => (left, Some(right)),
        };
        let terms = left.split(',').map(Term::parse).collect::<Result<_, _>>()?;
        Ok(Self { terms, output: right.map(Term::parse).transpose()? })
    }

    /// What operands of these dimensions say of the axes.
    pub(crate) fn sizes(&self, operands: &[Vec<Dim>]) -> Result<Sizes, OpError> {
        if operands.len() != self.terms.len() {
            let (terms, operands) = (self.terms.len(), operands.len());
            return Err(OpError::Invalid(format!(
                "the equation has {terms} terms for {operands} operands"
            )));
        }
        let labelled = self.terms.iter().zip(operands).enumerate();
        let labels = labelled
            .map(|(at, (term, dims))| term.labels_of(at, dims.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sizes = Sizes { known: Vec::new(), operands: labels, output: Vec::new() };
        for (at, dims) in operands.iter().enumerate() {
            for (place, dim) in dims.iter().enumerate() {
                let label = sizes.operands[at][place];
                sizes.join(label, dim)?;
            }
        }
        sizes.output = self.output_labels(&sizes)?;
        Ok(sizes)
    }

    fn output_labels(&self, sizes: &Sizes) -> Result<Vec<Label>, OpError> {
        let is_rest = |label: &Label| matches!(label, Label::Rest(_));
        let rest = sizes.known.iter().filter(|(label, _)| is_rest(label)).count();
        let Some(output) = &self.output else {
            // Without an output term: what `...` stands for, then the letters that occur once.
            let once = |label: &Label| {
                sizes.operands.iter().flatten().filter(|l| *l == label).count() == 1
            };
            let mut letters: Vec<Label> = sizes.known.iter().map(|(label, _)| *label).collect();
            letters.retain(|label| !is_rest(label) && once(label));
            letters.sort_unstable();
            return Ok((0..rest).rev().map(Label::Rest).chain(letters).collect());
        };
        for (at, letter) in output.letters.iter().enumerate() {
            if !sizes.known.iter().any(|(label, _)| *label == Label::Letter(*letter)) {
                let text = format!("the output names `{letter}`, which is in no term");
                return Err(OpError::Invalid(text));
            }
            if output.letters[..at].contains(letter) {
                return Err(OpError::Invalid(format!("the output names `{letter}` twice")));
            }
        }
        Ok(output.labels(rest))
    }
}

impl Sizes {
    /// Takes note of the size that an operand gives to an axis; an axis of one fits any size.
    fn join(&mut self, label: Label, dim: &Dim) -> Result<(), OpError> {
        let Some((_, known)) = self.known.iter_mut().find(|(other, _)| *other == label) else {
            self.known.push((label, dim.clone()));
            return Ok(());
        };
        match (known.as_i64(), dim.as_i64()) {
            (_, Some(1)) => {}
            (Some(a), Some(b)) if a != 1 && a != b => {
                let name = match label {
                    Label::Letter(letter) => letter.to_string(),
                    Label::Rest(_) => "...".to_owned(),
                };
                return Err(OpError::Invalid(format!("axis `{name}` is {a} and {b}")));
            }
            (Some(1), _) | (None, Some(_)) => *known = dim.clone(),
            (Some(_), _) => {}
            (None, None) if known.same(dim) => {}
            (None, None) => *known = Dim::Unknown,
        }
        Ok(())
    }

    pub(crate) fn of(&self, label: Label) -> Dim {
        let found = self.known.iter().find(|(other, _)| *other == label);
        found.map_or(Dim::Unknown, |(_, dim)| dim.clone())
    }

    /// The axes that are not in the output.
    pub(crate) fn summed(&self) -> impl Iterator<Item = Label> + '_ {
        self.known.iter().map(|(label, _)| *label).filter(|label| !self.output.contains(label))
    }
}
