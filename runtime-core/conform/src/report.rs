//! What came of the cases.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "message", rename_all = "kebab-case")]
pub enum Outcome {
    /// It went as the contract says.
    Passed,
    /// It is about something that the provider does not claim or offer, in its words.
    NotTaken(String),
    /// The author skips it, for this reason.
    Skipped(String),
    /// What went wrong.
    Failed(String),
}

/// A case and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// Its name, `ops/Add/3`: the group, then what it is about.
    pub name: String,
    /// The device, `gpu:0`; absent where it is about the provider.
    pub device: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of all cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The provider's name.
    pub provider: String,
    /// Its version.
    pub version: String,
    /// The devices that were tried, `gpu:0`.
    pub devices: Vec<String>,
    /// Every case.
    pub cases: Vec<CaseReport>,
}

/// How many cases of a group came to what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The first part of their names.
    pub name: String,
    /// Those that passed.
    pub passed: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that are about what the provider does not claim.
    pub not_taken: usize,
    /// Those that were skipped.
    pub skipped: usize,
}

impl Report {
    /// Whether no case failed and one at least passed.
    #[must_use]
    pub fn conforms(&self) -> bool {
        let total = self.total();
        total.failed == 0 && total.passed > 0
    }

    /// The failed cases.
    pub fn failures(&self) -> impl Iterator<Item = (&CaseReport, &str)> {
        self.cases.iter().filter_map(|case| match &case.outcome {
            Outcome::Failed(message) => Some((case, message.as_str())),
            _ => None,
        })
    }

    /// Cases by group, in order.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for case in &self.cases {
            let name = case.name.split('/').next().unwrap_or_default();
            if !groups.iter().any(|group| group.name == name) {
                groups.push(Group { name: name.to_owned(), ..Group::default() });
            }
            if let Some(group) = groups.iter_mut().find(|group| group.name == name) {
                group.count(&case.outcome);
            }
        }
        groups
    }

    /// All cases together.
    #[must_use]
    pub fn total(&self) -> Group {
        let mut total = Group { name: "all".to_owned(), ..Group::default() };
        self.cases.iter().for_each(|case| total.count(&case.outcome));
        total
    }
}

impl Group {
    fn count(&mut self, outcome: &Outcome) {
        let place = match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::NotTaken(_) => &mut self.not_taken,
            Outcome::Skipped(_) => &mut self.skipped,
        };
        *place += 1;
    }
}

impl fmt::Display for Report {
    /// For people: cases by group, what failed with its reason, and the sum of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.provider.is_empty() {
            writeln!(f, "{} {}  {}\n", self.provider, self.version, self.devices.join(", "))?;
        }
        let mut groups = self.groups();
        groups.push(self.total());
        let width = groups.iter().map(|group| group.name.len()).max().unwrap_or(0);
        writeln!(f, "{:width$}  passed  failed  not taken  skipped", "")?;
        for Group { name, passed, failed, not_taken, skipped } in groups {
            writeln!(f, "{name:width$}  {passed:6}  {failed:6}  {not_taken:9}  {skipped:7}")?;
        }
        writeln!(f)?;
        for (case, message) in self.failures() {
            let device =
                case.device.as_ref().map_or_else(String::new, |name| format!(" on {name}"));
            writeln!(f, "failed: {}{device}\n  {message}", case.name)?;
        }
        let total = self.total();
        match (self.conforms(), total.failed) {
            (true, _) => writeln!(f, "it keeps to the contract"),
            (false, 0) => writeln!(f, "no case passed"),
            (false, failed) => {
                writeln!(f, "it does not keep to the contract: {failed} cases failed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CaseReport, Outcome, Report};

    fn report(outcomes: &[(&str, Outcome)]) -> Report {
        let case = |(name, outcome): &(&str, Outcome)| CaseReport {
            name: (*name).to_owned(),
            device: name.starts_with("ops").then(|| "gpu:0".to_owned()),
            outcome: outcome.clone(),
        };
        Report {
            provider: "odd".to_owned(),
            version: "1.0.0".to_owned(),
            devices: vec!["gpu:0".to_owned()],
            cases: outcomes.iter().map(case).collect(),
        }
    }

    #[test]
    fn people_read_groups_and_failures() {
        let report = report(&[
            ("abi/entry", Outcome::Passed),
            ("ops/Add/1", Outcome::Failed("it is wrong".to_owned())),
            ("ops/Sub/1", Outcome::NotTaken("op-unsupported: no".to_owned())),
            ("abi/texts", Outcome::Skipped("later".to_owned())),
        ]);
        let expected = "odd 1.0.0  gpu:0\n\n     passed  failed  not taken  skipped\n\
            abi       1       0          0        1\n\
            ops       0       1          1        0\n\
            all       1       1          1        1\n\n\
            failed: ops/Add/1 on gpu:0\n  it is wrong\n\
            it does not keep to the contract: 1 cases failed\n";
        assert_eq!(report.to_string(), expected);
        assert!(!report.conforms());
    }

    #[test]
    fn nothing_tried_is_nothing_proved() {
        assert!(!report(&[("abi/texts", Outcome::Skipped("later".to_owned()))]).conforms());
        assert!(report(&[("abi/texts", Outcome::Passed)]).conforms());
    }
}
