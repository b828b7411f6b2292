//! LoRA adapters: files with two small factors for some of a model's weights.
//!
//! A weight's product gets a second one beside it, through the two factors: the weight itself stays as
//! its file has it, in whatever type. What an adapter holds beside factors of the model's weights is
//! an error, as is an adapter made for another architecture.

use std::cell::RefCell;

use remuda_base::Set;
use remuda_gguf::Parts;
use remuda_tensor::Tensor;

use crate::{ModelError, ModelFile};

/// An adapter, and how much of it is wanted.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its file.
    pub file: ModelFile,
    /// What its part of every product is multiplied with, beside what it says itself.
    pub scale: f64,
}

/// An adapter that was read.
pub(crate) struct Opened<'a> {
    file: &'a ModelFile,
    parts: Parts<'a>,
    scale: f64,
    /// What it is scaled with once more, less a rank.
    alpha: f64,
    used: RefCell<Set<String>>,
}

/// The factors for one weight: rows times `narrow` times `widen`, both transposed.
pub(crate) struct Factors {
    pub(crate) narrow: Tensor,
    pub(crate) widen: Tensor,
    pub(crate) scale: f64,
}

const NARROW: &str = ".lora_a";
const WIDEN: &str = ".lora_b";

impl<'a> Opened<'a> {
    /// Reads adapters for a model of this architecture.
    pub(crate) fn all(
        adapters: &'a [Adapter],
        architecture: &str,
    ) -> Result<Vec<Self>, ModelError> {
        adapters.iter().map(|adapter| Self::new(adapter, architecture)).collect()
    }

    fn new(adapter: &'a Adapter, architecture: &str) -> Result<Self, ModelError> {
        let parts = adapter.file.parse()?;
        let expected = [
            ("general.type", "adapter"),
            ("adapter.type", "lora"),
            ("general.architecture", architecture),
        ];
        for (key, expected) in expected {
            let got = parts.metadata().optional::<&str>(key)?.unwrap_or("nothing");
            if got != expected {
                return Err(ModelError::Adapter {
                    key,
                    expected: expected.to_owned(),
                    got: got.chars().take(100).collect(),
                });
            }
        }
        let alpha = parts.metadata().optional::<f64>("adapter.lora.alpha")?.unwrap_or(0.0);
        if !alpha.is_finite() || !adapter.scale.is_finite() {
            return Err(ModelError::Adapter {
                key: "adapter.lora.alpha",
                expected: "finite numbers for it and the scale".to_owned(),
                got: format!("{alpha} and {}", adapter.scale),
            });
        }
        let (file, scale) = (&adapter.file, adapter.scale);
        Ok(Self { file, parts, scale, alpha, used: RefCell::default() })
    }

    /// The factors for a weight, if it has any.
    pub(crate) fn factors(&self, weight: &str) -> Result<Option<Factors>, ModelError> {
        let names = [NARROW, WIDEN].map(|ending| format!("{weight}{ending}"));
        if !names.iter().any(|name| self.file.has(&self.parts, name)) {
            return Ok(None);
        }
        let [narrow, widen] = names.each_ref().map(|name| self.file.tensor(&self.parts, name));
        let (narrow, widen) = (narrow?, widen?);
        self.used.borrow_mut().extend(names);
        let rank = widen.dims().last().copied().unwrap_or(0).max(1);
        let own = if self.alpha == 0.0 { 1.0 } else { self.alpha / rank as f64 };
        Ok(Some(Factors { narrow, widen, scale: self.scale * own }))
    }

    /// Fails if it has a tensor that nobody asked for.
    pub(crate) fn expect_all_used(&self) -> Result<(), ModelError> {
        let used = self.used.borrow();
        let mut tensors = self.parts.tensors().map(|(_, tensor)| tensor.name);
        let unused = tensors.find(|name| !used.contains(*name)).map(str::to_owned);
        unused.map_or(Ok(()), |name| Err(ModelError::Unused { name }))
    }
}
