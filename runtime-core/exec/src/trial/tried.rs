//! What came of trying plans, as it is kept for later sessions: a line per plan.

use std::time::Duration;

use remuda_plan::PlanId;

/// What came of trying one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// The targets that it may use, by their places.
    pub(crate) among: Vec<usize>,
    pub(crate) plan: PlanId,
    /// The shape classes that were tried.
    pub(crate) classes: Vec<Timing>,
    pub(crate) kept: bool,
}

/// What runs of a shape class took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Its place.
    pub(crate) class: usize,
    pub(crate) predicted: Duration,
    pub(crate) measured: Duration,
}

/// All of them, as text.
pub(crate) fn print(tried: &[Tried]) -> String {
    tried.iter().map(line).collect()
}

/// What [`print`] wrote; none if it makes no sense for so many targets and classes.
pub(crate) fn parse(text: &str, targets: usize, classes: usize) -> Option<Vec<Tried>> {
    let tried: Vec<Tried> = text.lines().map(parse_line).collect::<Option<_>>()?;
    let sound = |one: &Tried| {
        let rising = one.among.windows(2).all(|pair| pair[0] < pair[1]);
        let known = one.classes.iter().all(|timing| timing.class < classes);
        rising && known && one.among.last().is_some_and(|&last| last < targets)
    };
    let kept = tried.iter().filter(|one| one.kept).count();
    (kept == 1 && tried.iter().all(sound)).then_some(tried)
}

fn line(tried: &Tried) -> String {
    let among: Vec<String> = tried.among.iter().map(ToString::to_string).collect();
    let timing = |timing: &Timing| {
        let [predicted, measured] = [timing.predicted, timing.measured].map(|time| time.as_nanos());
        format!("{},{predicted},{measured}", timing.class)
    };
    let classes: Vec<String> = tried.classes.iter().map(timing).collect();
    let kept = if tried.kept { "kept" } else { "" };
    format!("{kept}\t{}\t{}\t{}\n", tried.plan, among.join(","), classes.join(";"))
}

fn parse_line(line: &str) -> Option<Tried> {
    let mut fields = line.split('\t');
    let kept = match fields.next()? {
        "kept" => true,
        "" => false,
        _ => return None,
    };
    let plan = PlanId(u128::from_str_radix(fields.next()?, 16).ok()?);
    let among = fields.next()?.split(',').map(|at| at.parse().ok()).collect::<Option<_>>()?;
    let classes = fields.next()?.split(';').map(parse_timing).collect::<Option<_>>()?;
    fields.next().is_none().then_some(Tried { among, plan, classes, kept })
}

fn parse_timing(text: &str) -> Option<Timing> {
    let mut numbers = text.split(',').map(|number| number.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let class = usize::try_from(next()?).ok()?;
    let [predicted, measured] = [next()?, next()?].map(Duration::from_nanos);
    next().is_none().then_some(Timing { class, predicted, measured })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use remuda_plan::PlanId;

    use super::{Timing, Tried, parse, print};

    fn tried() -> Vec<Tried> {
        let timing = |class, ms| Timing {
            class,
            predicted: Duration::from_millis(ms),
            measured: Duration::from_nanos(7),
        };
        let all = Tried {
            among: vec![0, 1, 2],
            plan: PlanId(7),
            classes: vec![timing(0, 3), timing(1, 4)],
            kept: false,
        };
        let one = Tried { among: vec![1, 2], plan: PlanId(u128::MAX), kept: true, ..all.clone() };
        vec![all, one]
    }

    #[test]
    fn what_was_tried_is_read_as_it_was_written() {
        let text = print(&tried());
        assert_eq!(parse(&text, 3, 2), Some(tried()));
    }

    #[test]
    fn what_makes_no_sense_is_as_good_as_nothing() {
        let text = print(&tried());
        assert_eq!(parse(&text, 2, 2), None, "a target that is not there");
        assert_eq!(parse(&text, 3, 1), None, "a class that is not there");
        assert_eq!(parse(&text.replace("kept", ""), 3, 2), None, "nothing is kept");
        for damage in ["", "x", "kept\t1\t0", "kept\tq\t0\t0,1,2", "kept\t1\t\t0,1,2"] {
            assert_eq!(parse(damage, 3, 2), None, "{damage:?}");
        }
        for damage in ["kept\t1\t0\t0,1", "kept\t1\t0\t0,1,2,3", "kept\t1\t1,0\t0,1,2"] {
            assert_eq!(parse(damage, 3, 2), None, "{damage:?}");
        }
    }
}
