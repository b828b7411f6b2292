//! Forests of decision trees: from the tables of attributes to the votes of the leaves.

use remuda_base::Map;
use remuda_ir::{Attrs, OpError};
use remuda_tensor::Tensor;

use super::array::vec_of;
use super::ml::reals;

/// The question of a branch.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
    Is(f64),
    IsNot(f64),
    OneOf(Vec<f64>),
}

impl Question {
    fn holds(&self, x: f64) -> bool {
        match self {
            Self::AtMost(split) => x <= *split,
            Self::Below(split) => x < *split,
            Self::AtLeast(split) => x >= *split,
            Self::Above(split) => x > *split,
            Self::Is(split) => x == *split,
            Self::IsNot(split) => x != *split,
            Self::OneOf(members) => members.contains(&x),
        }
    }
}

/// Where a branch leads: to another branch or to a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    Branch(usize),
    Leaf(usize),
}

/// A node that asks.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) feature: usize,
    pub(crate) question: Question,
    /// Whether a missing feature counts as yes.
    pub(crate) missing_is_yes: bool,
    pub(crate) yes: Next,
    pub(crate) no: Next,
}

/// What a leaf says of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vote {
    pub(crate) target: usize,
    pub(crate) weight: f64,
}

/// How the votes of all trees for one target become one number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aggregate {
    Average,
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// By number, as `TreeEnsemble` has it.
    pub(crate) const BY_NUMBER: [Self; 4] = [Self::Average, Self::Sum, Self::Min, Self::Max];
}

/// Trees over one table of branches and one of leaves.
#[derive(Debug)]
pub(crate) struct Forest {
    pub(crate) branches: Vec<Branch>,
    pub(crate) leaves: Vec<Vec<Vote>>,
    pub(crate) roots: Vec<Next>,
}

impl Forest {
    /// The votes of the leaf of one tree that a row ends in.
    fn votes(&self, root: Next, row: &[f64]) -> Result<&[Vote], OpError> {
        let mut next = root;
        // A way of more branches than there are has been somewhere twice.
        for _ in 0..=self.branches.len() {
            let branch = match next {
                Next::Leaf(leaf) => {
                    let votes = self.leaves.get(leaf).map(Vec::as_slice);
                    return votes.ok_or_else(|| no_such("leaf", leaf));
                }
                Next::Branch(at) => self.branches.get(at).ok_or_else(|| no_such("node", at))?,
            };
            let x = *row.get(branch.feature).ok_or_else(|| no_such("feature", branch.feature))?;
            let yes = branch.question.holds(x) || (branch.missing_is_yes && x.is_nan());
            next = if yes { branch.yes } else { branch.no };
        }
        Err(OpError::invalid("the branches of a tree form a circle"))
    }

    /// One number for each target; 0 where no leaf says anything.
    pub(crate) fn scores(
        &self,
        row: &[f64],
        targets: usize,
        aggregate: Aggregate,
    ) -> Result<Vec<f64>, OpError> {
        let mut scores: Vec<Option<f64>> = vec_of(&[targets], None)?;
        for &root in &self.roots {
            for &Vote { target, weight } in self.votes(root, row)? {
                let slot = scores.get_mut(target).ok_or_else(|| no_such("target", target))?;
                *slot = Some(match (*slot, aggregate) {
                    (None, _) => weight,
                    (Some(sum), Aggregate::Average | Aggregate::Sum) => sum + weight,
                    (Some(least), Aggregate::Min) => least.min(weight),
                    (Some(most), Aggregate::Max) => most.max(weight),
                });
            }
        }
        let trees = self.roots.len().max(1) as f64;
        let share = if matches!(aggregate, Aggregate::Average) { trees } else { 1.0 };
        Ok(scores.into_iter().map(|score| score.unwrap_or(0.0) / share).collect())
    }

    /// The forest of the older operators: nodes are named by tree and number, and leaves are among
    /// them; `votes` is the prefix of the attributes that hold the votes.
    pub(crate) fn of_named_nodes(attrs: &Attrs, votes: &str) -> Result<Self, OpError> {
        let nodes = NamedNodes::read(attrs)?;
        let mut leaves: Vec<Vec<Vote>> = vec![Vec::new(); nodes.names.len()];
        let votes = VoteColumns::read(attrs, votes)?;
        for at in 0..votes.nodes.len() {
            let name = (votes.trees[at], votes.nodes[at]);
            let node = nodes.find(name)?;
            let target = index("target", votes.targets[at])?;
            leaves[node].push(Vote { target, weight: votes.weights[at] });
        }
        let mut roots: Map<i64, Next> = Map::new();
        let mut order = Vec::new();
        for (at, &(tree, _)) in nodes.names.iter().enumerate() {
            if let std::collections::btree_map::Entry::Vacant(slot) = roots.entry(tree) {
                slot.insert(nodes.next(at));
                order.push(tree);
            }
        }
        let roots = order.iter().map(|tree| roots[tree]).collect();
        Ok(Self { branches: nodes.branches()?, leaves, roots })
    }
}

fn no_such(what: &str, at: impl std::fmt::Display) -> OpError {
    OpError::Invalid(format!("there is no {what} {at}"))
}

pub(crate) fn index(what: &str, number: i64) -> Result<usize, OpError> {
    usize::try_from(number).map_err(|_| no_such(what, number))
}

/// The values of an attribute, which must be as many as the nodes are.
pub(crate) fn column<'a>(attrs: &'a Attrs, name: &str, count: usize) -> Result<&'a [i64], OpError> {
    let values = attrs.ints(name)?.unwrap_or(&[]);
    same_length(name, values.len(), count)?;
    Ok(values)
}

fn same_length(name: &str, got: usize, expected: usize) -> Result<(), OpError> {
    if got == expected {
        return Ok(());
    }
    Err(OpError::Invalid(format!("attribute `{name}` expected {expected} values, got {got}")))
}

/// As [`column`], zeros if the attribute is left out.
pub(crate) fn flags(attrs: &Attrs, name: &str, count: usize) -> Result<Vec<bool>, OpError> {
    match attrs.ints(name)? {
        None | Some([]) => Ok(vec![false; count]),
        Some(_) => Ok(column(attrs, name, count)?.iter().map(|&flag| flag != 0).collect()),
    }
}

/// The columns of the older operators' nodes. A node at place `n` is branch `n` and leaf `n`; which
/// of the two it is its mode says.
struct NamedNodes<'a> {
    names: Vec<(i64, i64)>,
    places: Map<(i64, i64), usize>,
    modes: &'a [String],
    splits: Vec<f64>,
    features: &'a [i64],
    yes: &'a [i64],
    no: &'a [i64],
    missing_is_yes: Vec<bool>,
}

impl<'a> NamedNodes<'a> {
    fn read(attrs: &'a Attrs) -> Result<Self, OpError> {
        let modes = attrs.texts("nodes_modes")?.unwrap_or(&[]);
        let count = modes.len();
        let trees = column(attrs, "nodes_treeids", count)?;
        let numbers = column(attrs, "nodes_nodeids", count)?;
        let splits = reals(attrs, "nodes_values")?;
        same_length("nodes_values", splits.len(), count)?;
        let names: Vec<(i64, i64)> = trees.iter().copied().zip(numbers.iter().copied()).collect();
        let places = names.iter().enumerate().map(|(at, &name)| (name, at)).collect();
        Ok(Self {
            names,
            places,
            modes,
            splits,
            features: column(attrs, "nodes_featureids", count)?,
            yes: column(attrs, "nodes_truenodeids", count)?,
            no: column(attrs, "nodes_falsenodeids", count)?,
            missing_is_yes: flags(attrs, "nodes_missing_value_tracks_true", count)?,
        })
    }

    fn find(&self, name: (i64, i64)) -> Result<usize, OpError> {
        let missing = || no_such("node", format!("{} of tree {}", name.1, name.0));
        self.places.get(&name).copied().ok_or_else(missing)
    }

    fn next(&self, at: usize) -> Next {
        if self.modes[at] == "LEAF" { Next::Leaf(at) } else { Next::Branch(at) }
    }

    fn branches(&self) -> Result<Vec<Branch>, OpError> {
        (0..self.names.len()).map(|at| self.branch(at)).collect()
    }

    fn branch(&self, at: usize) -> Result<Branch, OpError> {
        let split = self.splits[at];
        let question = match self.modes[at].as_str() {
            "BRANCH_LEQ" => Question::AtMost(split),
            "BRANCH_LT" => Question::Below(split),
            "BRANCH_GTE" => Question::AtLeast(split),
            "BRANCH_GT" => Question::Above(split),
            "BRANCH_EQ" => Question::Is(split),
            "BRANCH_NEQ" => Question::IsNot(split),
            // A leaf asks nothing: it leads to itself.
            "LEAF" => {
                let (yes, no) = (Next::Leaf(at), Next::Leaf(at));
                let question = Question::AtMost(split);
                return Ok(Branch { feature: 0, question, missing_is_yes: false, yes, no });
            }
            other => return Err(no_such("mode", format!("`{other}`"))),
        };
        let tree = self.names[at].0;
        Ok(Branch {
            feature: index("feature", self.features[at])?,
            question,
            missing_is_yes: self.missing_is_yes[at],
            yes: self.next(self.find((tree, self.yes[at]))?),
            no: self.next(self.find((tree, self.no[at]))?),
        })
    }
}

/// The columns of the older operators' votes.
struct VoteColumns<'a> {
    trees: &'a [i64],
    nodes: &'a [i64],
    targets: &'a [i64],
    weights: Vec<f64>,
}

impl<'a> VoteColumns<'a> {
    fn read(attrs: &'a Attrs, prefix: &str) -> Result<Self, OpError> {
        let name = |column: &str| format!("{prefix}_{column}");
        let weights = reals(attrs, &name("weights"))?;
        let count = weights.len();
        Ok(Self {
            trees: column(attrs, &name("treeids"), count)?,
            nodes: column(attrs, &name("nodeids"), count)?,
            targets: column(attrs, &name("ids"), count)?,
            weights,
        })
    }
}

/// The scores of all rows, with base values added, one row after the other.
pub(crate) fn add_base(scores: &mut [f64], base: &[f64]) -> Result<(), OpError> {
    if !base.is_empty() && base.len() != scores.len() {
        let text =
            format!("attribute `base_values` expected {} values, got {}", scores.len(), base.len());
        return Err(OpError::Invalid(text));
    }
    scores.iter_mut().zip(base).for_each(|(score, base)| *score += base);
    Ok(())
}

/// A required tensor attribute as numbers.
pub(crate) fn numbers(attrs: &Attrs, name: &str) -> Result<Vec<f64>, OpError> {
    let tensor = attrs
        .tensor(name)?
        .ok_or_else(|| OpError::Invalid(format!("attribute `{name}` is missing")))?;
    Ok(Tensor::to_f64_vec(tensor)?)
}
