//! Structural checks of a problem: every index in range, every table of the right shape, the graph
//! acyclic. What passes is relied on by everything after it.

use remuda_base::Set;

use crate::error::PlanError;
use crate::problem::{Node, Problem, Tensor};

/// Provider sets are kept in one machine word.
pub(crate) const MAX_PROVIDERS: usize = 64;

/// Checks the shape of `problem`.
pub(crate) fn validate(problem: &Problem) -> Result<(), PlanError> {
    providers(problem)?;
    names(problem.nodes.iter().map(|node| node.name.as_str()), "nodes")?;
    for (at, node) in problem.nodes.iter().enumerate() {
        check_node(problem, at, node)?;
    }
    for (at, tensor) in problem.tensors.iter().enumerate() {
        check_tensor(problem, at, tensor)?;
    }
    Ok(())
}

fn malformed(
    place: impl Into<String>,
    expected: impl Into<String>,
    got: impl ToString,
) -> PlanError {
    PlanError::Malformed { place: place.into(), expected: expected.into(), got: got.to_string() }
}

fn in_range(place: impl FnOnce() -> String, index: usize, len: usize) -> Result<(), PlanError> {
    if index < len {
        Ok(())
    } else {
        Err(malformed(place(), format!("an index below {len}"), index))
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>, list: &str) -> Result<(), PlanError> {
    let mut seen = Set::new();
    for name in names {
        if !seen.insert(name) {
            return Err(malformed(list, "unique names", format!("`{name}` twice")));
        }
    }
    Ok(())
}

fn providers(problem: &Problem) -> Result<(), PlanError> {
    let count = problem.providers.len();
    if count == 0 || count > MAX_PROVIDERS {
        return Err(malformed("providers", format!("1 to {MAX_PROVIDERS}"), count));
    }
    names(problem.providers.iter().map(|provider| provider.name.as_str()), "providers")?;
    in_range(|| "home".into(), problem.home.index(), count)?;
    if let Some(fallback) = problem.fallback {
        in_range(|| "fallback".into(), fallback.index(), count)?;
    }
    for (at, link) in problem.links.iter().enumerate() {
        in_range(|| format!("links[{at}].from"), link.from.index(), count)?;
        in_range(|| format!("links[{at}].to"), link.to.index(), count)?;
    }
    Ok(())
}

fn check_node(problem: &Problem, at: usize, node: &Node) -> Result<(), PlanError> {
    let classes = problem.classes.len().max(1);
    if node.answers.len() != 1 && node.answers.len() != classes {
        let place = format!("nodes[{at}].answers of `{}`", node.name);
        return Err(malformed(place, format!("1 or {classes} rows"), node.answers.len()));
    }
    for row in &node.answers {
        if row.len() != problem.providers.len() {
            let place = format!("nodes[{at}].answers of `{}`", node.name);
            return Err(malformed(place, "one answer per provider", row.len()));
        }
    }
    for weight in &node.weights {
        in_range(|| format!("nodes[{at}].weights"), weight.index(), problem.weights.len())?;
    }
    Ok(())
}

fn check_tensor(problem: &Problem, at: usize, tensor: &Tensor) -> Result<(), PlanError> {
    let classes = problem.classes.len().max(1);
    if tensor.bytes.len() != 1 && tensor.bytes.len() != classes {
        let place = format!("tensors[{at}].bytes of `{}`", tensor.name);
        return Err(malformed(place, format!("1 or {classes} sizes"), tensor.bytes.len()));
    }
    for node in tensor.producer.iter().chain(&tensor.consumers) {
        in_range(|| format!("tensors[{at}]"), node.index(), problem.nodes.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::validate;
    use crate::ids::{NodeId, ProviderId};
    use crate::problem::{Answer, Cost, Node, Problem, Provider, Tensor};

    fn small() -> Problem {
        let mut problem = Problem::default();
        problem.add_provider(Provider { name: "cpu".into(), ..Default::default() });
        problem.add_node(Node {
            name: "a".into(),
            answers: vec![vec![Answer::yes(Cost::measured(1.0))]],
            ..Default::default()
        });
        problem
    }

    #[test]
    fn a_sound_problem_passes() {
        assert_eq!(validate(&small()), Ok(()));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let mut problem = small();
        let producer = Some(NodeId(7));
        problem.add_tensor(Tensor { producer, bytes: vec![1], ..Default::default() });
        let message = validate(&problem).unwrap_err().to_string();
        assert_eq!(message, "malformed problem at tensors[0]: expected an index below 1, got 7");
        let mut problem = small();
        problem.home = ProviderId(3);
        assert!(validate(&problem).unwrap_err().to_string().contains("home"));
        let mut problem = small();
        problem.nodes.push(problem.nodes[0].clone());
        assert!(validate(&problem).unwrap_err().to_string().contains("`a` twice"));
    }
}
