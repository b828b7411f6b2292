//! Support vector machines: kernels, duels between classes, and probabilities from duels.

use remuda_ir::{Attrs, OpError};

use super::activations::sigmoid;
use super::ml::{best, reals};

/// The sum of products.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The similarity of a row to a support vector.
#[derive(Clone, Copy)]
enum Kernel {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

/// Support vectors and their kernel.
pub(crate) struct Machine {
    kernel: Kernel,
    gamma: f64,
    offset: f64,
    degree: f64,
    vectors: Vec<Vec<f64>>,
}

impl Machine {
    /// The machine of `count` support vectors of `width` features.
    pub(crate) fn read(attrs: &Attrs, count: usize, width: usize) -> Result<Self, OpError> {
        let kernel = match attrs.text_or("kernel_type", "LINEAR")? {
            "LINEAR" => Kernel::Linear,
            "POLY" => Kernel::Poly,
            "RBF" => Kernel::Rbf,
            "SIGMOID" => Kernel::Sigmoid,
            other => {
                let text = format!("attribute `kernel_type` of `{other}` is not known");
                return Err(OpError::Invalid(text));
            }
        };
        let parameters = reals(attrs, "kernel_params")?;
        let parameter = |at: usize| parameters.get(at).copied().unwrap_or(0.0);
        let values = reals(attrs, "support_vectors")?;
        if count > 0 && count.checked_mul(width) != Some(values.len()) {
            return Err(OpError::Invalid(format!(
                "attribute `support_vectors` expected {count} vectors of {width} features, got {} values",
                values.len()
            )));
        }
        let vectors = (0..count).map(|at| values[at * width..(at + 1) * width].to_vec()).collect();
        let (gamma, offset, degree) = (parameter(0), parameter(1), parameter(2));
        Ok(Self { kernel, gamma, offset, degree, vectors })
    }

    /// The kernel value of a row with each support vector.
    pub(crate) fn kernels(&self, row: &[f64]) -> Vec<f64> {
        self.vectors.iter().map(|vector| self.kernel(row, vector)).collect()
    }

    fn kernel(&self, row: &[f64], vector: &[f64]) -> f64 {
        let scaled = || self.gamma * dot(row, vector) + self.offset;
        match self.kernel {
            Kernel::Linear => dot(row, vector),
            Kernel::Poly => scaled().powf(self.degree),
            Kernel::Sigmoid => scaled().tanh(),
            Kernel::Rbf => {
                let square: f64 = row.iter().zip(vector).map(|(a, b)| (a - b) * (a - b)).sum();
                (-self.gamma * square).exp()
            }
        }
    }
}

/// Pairs of different classes.
pub(crate) fn duel_count(classes: usize) -> usize {
    classes.saturating_mul(classes.saturating_sub(1)) / 2
}

/// A classifier: duels of support vectors, or one weighted sum for each class.
pub(crate) struct Judge {
    machine: Machine,
    classes: usize,
    /// Rows of `stride` weights: of the duels' opponents, or of the classes.
    weights: Vec<f64>,
    stride: usize,
    /// The first support vector of each class and how many it has; empty for a linear model.
    spans: Vec<(usize, usize)>,
    rho: Vec<f64>,
    /// Slope and offset of each duel's probability.
    chances: Vec<(f64, f64)>,
}

impl Judge {
    /// The classifier of the attributes.
    pub(crate) fn read(attrs: &Attrs, classes: usize, width: usize) -> Result<Self, OpError> {
        let counts = attrs.ints("vectors_per_class")?.unwrap_or(&[]);
        let mut spans = Vec::with_capacity(counts.len());
        let mut vectors = 0usize;
        for &count in counts {
            let count = usize::try_from(count).map_err(|_| {
                OpError::invalid("attribute `vectors_per_class` holds a negative count")
            })?;
            spans.push((vectors, count));
            vectors = vectors.saturating_add(count);
        }
        let machine = Machine::read(attrs, vectors, width)?;
        let is_linear = spans.is_empty();
        let (rows, stride) =
            if is_linear { (classes, width) } else { (classes.saturating_sub(1), vectors) };
        let weights = reals(attrs, "coefficients")?;
        let rho = reals(attrs, "rho")?;
        let (slopes, offsets) = (reals(attrs, "prob_a")?, reals(attrs, "prob_b")?);
        let duels = if is_linear { 1 } else { duel_count(classes) };
        expect("coefficients", weights.len(), rows.checked_mul(stride))?;
        expect("rho", rho.len(), Some(duels.max(1)))?;
        if !is_linear {
            expect("vectors_per_class", spans.len(), Some(classes))?;
        }
        if !slopes.is_empty() && !is_linear {
            expect("prob_a", slopes.len(), Some(duels))?;
            expect("prob_b", offsets.len(), Some(duels))?;
        }
        let chances = slopes.into_iter().zip(offsets).collect();
        Ok(Self { machine, classes, weights, stride, spans, rho, chances })
    }

    /// The class of a row and its scores.
    pub(crate) fn decide(&self, row: &[f64]) -> (usize, Vec<f64>) {
        if self.spans.is_empty() {
            let score = |class: usize| self.rho[0] + dot(self.weights_of(class), row);
            let scores: Vec<f64> = (0..self.classes).map(score).collect();
            return (best(&scores), scores);
        }
        let kernels = self.machine.kernels(row);
        let mut wins = vec![0.0; self.classes];
        let mut scores = Vec::with_capacity(self.rho.len());
        for (duel, (a, b)) in duels(self.classes).enumerate() {
            // The weights of a class's vectors against each opponent stand in the opponent's row.
            let score =
                self.rho[duel] + self.weighted(&kernels, a, b - 1) + self.weighted(&kernels, b, a);
            wins[if score > 0.0 { a } else { b }] += 1.0;
            scores.push(score);
        }
        if !self.chances.is_empty() {
            scores = self.probabilities(&scores);
        }
        (best(&wins), scores)
    }

    fn weights_of(&self, row: usize) -> &[f64] {
        &self.weights[row * self.stride..(row + 1) * self.stride]
    }

    fn weighted(&self, kernels: &[f64], class: usize, row: usize) -> f64 {
        let (start, count) = self.spans[class];
        dot(&self.weights_of(row)[start..start + count], &kernels[start..start + count])
    }

    /// The probability of each class from the scores of the duels.
    fn probabilities(&self, scores: &[f64]) -> Vec<f64> {
        const SURE: f64 = 1e-7;
        let mut wins = vec![vec![0.0; self.classes]; self.classes];
        for ((a, b), (score, (slope, offset))) in
            duels(self.classes).zip(scores.iter().zip(&self.chances))
        {
            let chance = 1.0 - sigmoid(score * slope + offset);
            wins[a][b] = chance.clamp(SURE, 1.0 - SURE);
            wins[b][a] = 1.0 - wins[a][b];
        }
        couple(&wins)
    }
}

/// The pairs of classes in the order of their duels.
fn duels(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |a| (a + 1..classes).map(move |b| (a, b)))
}

fn expect(name: &str, got: usize, expected: Option<usize>) -> Result<(), OpError> {
    if expected == Some(got) {
        return Ok(());
    }
    let expected = expected.map_or("more".to_owned(), |expected| expected.to_string());
    Err(OpError::Invalid(format!("attribute `{name}` expected {expected} values, got {got}")))
}

/// Probabilities of classes from those of winning each duel: the fixed point of Wu, Lin and Weng's
/// pairwise coupling (their second method), approached as libsvm does.
fn couple(wins: &[Vec<f64>]) -> Vec<f64> {
    let count = wins.len();
    let tie = |a: usize, b: usize| {
        if a == b {
            (0..count).filter(|&other| other != a).map(|other| wins[other][a].powi(2)).sum()
        } else {
            -wins[b][a] * wins[a][b]
        }
    };
    let ties: Vec<Vec<f64>> = (0..count).map(|a| (0..count).map(|b| tie(a, b)).collect()).collect();
    let mut shares = vec![1.0 / count as f64; count];
    for _ in 0..count.max(100) {
        let mut pulls: Vec<f64> = ties.iter().map(|row| dot(row, &shares)).collect();
        let mut mean = dot(&shares, &pulls);
        let farthest = pulls.iter().map(|pull| (pull - mean).abs()).fold(0.0, f64::max);
        if farthest < 0.005 / count as f64 {
            break;
        }
        for at in 0..count {
            let step = (mean - pulls[at]) / ties[at][at];
            mean += step * (step * ties[at][at] + 2.0 * pulls[at]);
            mean /= (1.0 + step).powi(2);
            shares[at] += step;
            for other in 0..count {
                pulls[other] = (pulls[other] + step * ties[at][other]) / (1.0 + step);
                shares[other] /= 1.0 + step;
            }
        }
    }
    shares
}
