//! Planning again: part times of real runs are folded into costs when somebody asks for it.

use std::sync::PoisonError;

use remuda_plan::{ClassPlan, Timed};

use crate::error::ExecError;
use crate::session::Session;
use crate::trial::same_placement;

impl Session {
    /// Plans again with the part times of past runs, and follows the new plan if it is clearly better.
    /// Gives whether it does.
    ///
    /// # Errors
    /// As for a new session.
    pub fn replan(&self) -> Result<bool, ExecError> {
        let built = self.current();
        let classes = built.plan.classes.iter().zip(&built.classes).enumerate();
        let costs: Vec<_> = classes
            .flat_map(|(at, (plan, class))| measured_costs(at, plan, &class.times.all()))
            .collect();
        if costs.is_empty() {
            return Ok(false);
        }
        let mut builder = self.builder();
        builder.planner.measured(&costs)?;
        let again = self.judge().judged(builder.build_from(Some(&built.plan))?)?;
        let moved = !same_placement(&again.plan, &built.plan);
        self.follow(again);
        Ok(moved)
    }
}

/// What the nodes of parts of a class cost whose time is known: their predicted costs, scaled to it.
#[expect(clippy::cast_precision_loss, reason = "measurements")]
fn measured_costs(at: usize, class: &ClassPlan, times: &[Option<f64>]) -> Vec<Timed> {
    let mut costs = Vec::new();
    for (part, time) in class.parts.iter().zip(times) {
        let Some(time) = time else { continue };
        let beside = (time - part.launch_ns as f64).max(time * 0.05);
        let scale = beside / (part.compute_ns as f64).max(1.0);
        for &node in &part.nodes {
            let placement = class.placements.get(node.index());
            costs.extend(placement.map(|placed| Timed {
                class: at,
                node,
                provider: placed.provider,
                ns: placed.cost_ns.max(1) as f64 * scale,
            }));
        }
    }
    costs
}

/// A time that follows what is measured, slowly.
#[derive(Debug, Default)]
pub(crate) struct Times(std::sync::Mutex<Vec<Option<f64>>>);

impl Times {
    /// How much a new measurement counts.
    const WEIGHT: f64 = 0.3;

    /// Takes the part times of one run, in nanoseconds.
    pub(crate) fn add(&self, run: impl Iterator<Item = f64>) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, new) in run.enumerate() {
            match times.get_mut(at) {
                Some(Some(old)) => *old += (new - *old) * Self::WEIGHT,
                Some(first) => *first = Some(new),
                // The first run packs weights and does not count.
                None => times.push(None),
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<Option<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn times_follow_measurements_after_the_first() {
        let times = Times::default();
        times.add([100.0, 9.0].into_iter());
        assert_eq!(times.all(), [None, None]);
        times.add([10.0, 9.0].into_iter());
        times.add([20.0, 9.0].into_iter());
        assert_eq!(times.all(), [Some(13.0), Some(9.0)]);
    }
}
