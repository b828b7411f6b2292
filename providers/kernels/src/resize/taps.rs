//! Which source elements an output element is made of.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "coordinates are within the image, and cut to it"
)]

use crate::memory::NoMemory;

/// How an output coordinate becomes an input coordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Coordinates {
    /// Centres of elements coincide.
    HalfPixel,
    /// The same, except that an output of one element is the first element.
    PytorchHalfPixel,
    /// The same, corrected for an output size that was rounded from the scale.
    HalfPixelSymmetric,
    /// First and last elements coincide.
    AlignCorners,
    /// First edges coincide.
    Asymmetric,
}

/// Which element a coordinate between two names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// The nearer, the lower of two equally near.
    PreferFloor,
    /// The nearer, the upper of two equally near.
    PreferCeil,
    /// The lower.
    Floor,
    /// The upper.
    Ceil,
}

/// How elements are weighted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Filter {
    /// One element.
    Nearest(Rounding),
    /// The two around the coordinate.
    Linear,
    /// The four around the coordinate, by the cubic with this coefficient.
    Cubic(f32),
}

/// Everything that makes taps of sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The weights.
    pub filter: Filter,
    /// The coordinates.
    pub coordinates: Coordinates,
    /// Whether taps outside the image weigh nothing, instead of being the edge.
    pub exclude_outside: bool,
    /// Whether a shrinking filter is widened so that no element is skipped.
    pub antialias: bool,
}

/// The taps of every output element of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Taps {
    input: usize,
    starts: Vec<usize>,
    taps: Vec<(usize, f32)>,
}

impl Taps {
    /// The size of the axis before.
    #[must_use]
    pub const fn input(&self) -> usize {
        self.input
    }

    /// The size of the axis after.
    #[must_use]
    pub const fn output(&self) -> usize {
        self.starts.len() - 1
    }

    /// The index and weight of each source element of an output element.
    #[must_use]
    pub fn of(&self, output: usize) -> &[(usize, f32)] {
        &self.taps[self.starts[output]..self.starts[output + 1]]
    }

    pub(super) fn all(&self) -> &[(usize, f32)] {
        &self.taps
    }

    /// How many taps every output has, if all have as many.
    pub(super) fn uniform(&self) -> Option<usize> {
        let count = self.starts.get(1).copied()?;
        let steps = self.starts.iter().enumerate();
        steps.into_iter().all(|(at, &start)| start == at * count).then_some(count)
    }

    pub(super) fn per_output(&self) -> usize {
        self.taps.len() / self.output().max(1)
    }

    pub(super) fn growth(&self) -> f64 {
        self.output() as f64 / self.input.max(1) as f64
    }
}

impl Sampling {
    /// The taps that make `output` of `input` elements, which is `scale` times as many, roughly.
    ///
    /// # Errors
    /// When there is no memory for them.
    ///
    /// # Panics
    /// When there is output but no input.
    pub fn taps(&self, input: usize, output: usize, scale: f64) -> Result<Taps, NoMemory> {
        assert!(input > 0 || output == 0, "expected an input element");
        let each = match self.filter {
            Filter::Nearest(_) => 1,
            Filter::Linear => 2,
            Filter::Cubic(_) => 4,
        };
        let mut taps = Taps { input, starts: Vec::new(), taps: Vec::new() };
        let reserved = taps.starts.try_reserve_exact(output.saturating_add(1));
        let reserved = reserved.and(taps.taps.try_reserve(output.saturating_mul(each)));
        reserved.map_err(|_| NoMemory(output))?;
        taps.starts.push(0);
        for at in 0..output {
            let x = self.coordinate(at as f64, input as f64, output as f64, scale);
            match self.filter {
                Filter::Nearest(rounding) => {
                    let last = input.saturating_sub(1);
                    taps.taps.push((clamped(nearest(x, rounding), last), 1.0));
                }
                Filter::Linear => self.weigh(&mut taps, x, scale, 1.0, |d| (1.0 - d).max(0.0)),
                Filter::Cubic(a) => {
                    self.weigh(&mut taps, x, scale, 2.0, |d| cubic(d, f64::from(a)));
                }
            }
            taps.starts.push(taps.taps.len());
        }
        Ok(taps)
    }

    fn coordinate(&self, at: f64, input: f64, output: f64, scale: f64) -> f64 {
        let scaled = |at: f64| match self.filter {
            // As in f32, so that a scale like 0.7, which f32 does not hold, still meets whole places.
            Filter::Nearest(_) => f64::from((at / scale) as f32),
            _ => at / scale,
        };
        let half = scaled(at + 0.5) - 0.5;
        match self.coordinates {
            Coordinates::HalfPixel => half,
            Coordinates::PytorchHalfPixel => {
                if output > 1.0 {
                    half
                } else {
                    0.0
                }
            }
            Coordinates::HalfPixelSymmetric => {
                let adjusted = output / (scale * input);
                input / 2.0 * (1.0 - adjusted) + half
            }
            // By the scale, not the size that it was rounded to.
            Coordinates::AlignCorners if scale * input == 1.0 => 0.0,
            Coordinates::AlignCorners => at * (input - 1.0) / (scale * input - 1.0),
            Coordinates::Asymmetric => scaled(at),
        }
    }

    /// Adds the taps within `radius` of `x`, stretched where it shrinks and is asked to.
    fn weigh(&self, taps: &mut Taps, x: f64, scale: f64, radius: f64, weight: impl Fn(f64) -> f64) {
        let squeeze = if self.antialias { scale.min(1.0) } else { 1.0 };
        let reach = radius / squeeze;
        let (first, end) = if squeeze < 1.0 {
            ((x - reach).floor() as i64 + 1, (x + reach).ceil() as i64)
        } else {
            let base = x.floor() as i64;
            (base + 1 - radius as i64, base + 1 + radius as i64)
        };
        let last = taps.input - 1;
        let inside = |index: i64| index == clamped(index, last) as i64;
        let raw: Vec<(i64, f64)> = (first..end)
            .map(|index| (index, weight(((index as f64 - x) * squeeze).abs())))
            .map(|(index, weight)| {
                (index, if self.exclude_outside && !inside(index) { 0.0 } else { weight })
            })
            .collect();
        let sum: f64 = raw.iter().map(|tap| tap.1).sum();
        let normalised = self.exclude_outside || squeeze < 1.0;
        // A tap without weight must not bring in an infinity: it repeats one that counts.
        let counts = raw.iter().find(|tap| tap.1 != 0.0).map_or(0, |tap| tap.0);
        for (index, weight) in raw {
            let index = if weight == 0.0 { counts } else { index };
            let weight = if normalised { weight / sum } else { weight };
            taps.taps.push((clamped(index, last), weight as f32));
        }
    }
}

fn clamped(index: i64, last: usize) -> usize {
    usize::try_from(index.max(0)).map_or(last, |index| index.min(last))
}

fn nearest(x: f64, rounding: Rounding) -> i64 {
    let rounded = match rounding {
        Rounding::PreferFloor => (x - 0.5).ceil(),
        Rounding::PreferCeil => (x + 0.5).floor(),
        Rounding::Floor => x.floor(),
        Rounding::Ceil => x.ceil(),
    };
    rounded as i64
}

/// Keys' convolution kernel.
fn cubic(d: f64, a: f64) -> f64 {
    match d {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
        _ => 0.0,
    }
}
