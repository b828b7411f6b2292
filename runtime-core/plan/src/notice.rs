//! What the planner did not believe, and what it used instead.

use crate::ids::ProviderId;

/// What was wrong with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// A cost was not a number.
    NotANumber,
    /// A cost was below zero.
    Negative,
    /// A cost was longer than can be believed.
    TooLong,
    /// A bandwidth was not a positive number.
    Bandwidth,
    /// No cost of copying was given.
    NoLink,
    /// A size was larger than can be believed.
    TooLarge,
    /// A shape class was weighted out of bounds.
    Runs,
    /// A group had to be widened by nodes on a path between its members.
    GroupWidened,
}

impl Doubt {
    /// Every doubt.
    pub const ALL: &'static [Self] = &[
        Self::NotANumber,
        Self::Negative,
        Self::TooLong,
        Self::Bandwidth,
        Self::NoLink,
        Self::TooLarge,
        Self::Runs,
        Self::GroupWidened,
    ];

    /// The stable spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotANumber => "not-a-number",
            Self::Negative => "negative",
            Self::TooLong => "too-long",
            Self::Bandwidth => "bandwidth",
            Self::NoLink => "no-link",
            Self::TooLarge => "too-large",
            Self::Runs => "runs",
            Self::GroupWidened => "group-widened",
        }
    }

    /// The doubt with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|doubt| doubt.as_str() == text)
    }

    /// What the planner did about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NotANumber | Self::Negative => "taken as unknown",
            Self::TooLong => "taken as the longest believable time",
            Self::Bandwidth | Self::NoLink => "taken as a slow copy",
            Self::TooLarge => "taken as the largest believable size",
            Self::Runs => "taken as the nearest allowed weight",
            Self::GroupWidened => "nodes on the path were added to the group",
        }
    }
}

/// One kind of doubt about one provider's numbers, with how often and where first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose number it was; none if it was the problem's own.
    pub provider: Option<ProviderId>,
    /// What was wrong.
    pub doubt: Doubt,
    /// How often.
    pub count: u32,
    /// The first place and value.
    pub first: String,
}

impl Notice {
    /// The notice as a sentence; `name` is the provider's.
    #[must_use]
    pub fn sentence(&self, name: Option<&str>) -> String {
        let who = name.map_or(String::new(), |name| format!("`{name}`: "));
        let (doubt, remedy) = (self.doubt.as_str(), self.doubt.remedy());
        format!("{who}{doubt} at {} ({} in all), {remedy}", self.first, self.count)
    }
}

/// Collects notices, one per provider and doubt.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    found: Vec<Notice>,
}

impl Notices {
    pub(crate) fn note(
        &mut self,
        provider: Option<ProviderId>,
        doubt: Doubt,
        place: impl FnOnce() -> String,
    ) {
        let known = self.found.iter_mut().find(|n| n.provider == provider && n.doubt == doubt);
        match known {
            Some(notice) => notice.count = notice.count.saturating_add(1),
            None => self.found.push(Notice { provider, doubt, count: 1, first: place() }),
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Notice> {
        self.found.sort_by_key(|notice| (notice.provider, notice.doubt));
        self.found
    }
}
