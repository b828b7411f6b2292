//! The model inside the program: it reads handwritten digits, and proves an installation.

use std::path::Path;
use std::sync::Arc;

use remuda::{Memory, Model, Runtime, Tensor};

use crate::failure::Failure;
use crate::npy;

/// The bytes of its file.
pub(crate) const MODEL: &[u8] = include_bytes!("../assets/digits.onnx");
const SEVEN: &[u8] = include_bytes!("../assets/seven.npy");

struct Static(&'static [u8]);

impl Memory for Static {
    fn bytes(&self) -> &[u8] {
        self.0
    }
}

/// Whether this argument names the bundled model. A file of that name wins.
pub(crate) fn is_named(model: &Path) -> bool {
    model == Path::new("digits") && !model.exists()
}

/// Loads the model that an argument names: a file, or the bundled one.
pub(crate) fn load(runtime: &Runtime, model: &Path) -> Result<Model, Failure> {
    if is_named(model) {
        return Ok(runtime.load_bytes(Arc::new(Static(MODEL)))?);
    }
    runtime.load(model).map_err(|error| Failure::loading(model, error))
}

/// The image of a seven.
pub(crate) fn seven() -> Result<Tensor, Failure> {
    npy::read(SEVEN).map_err(|source| Failure::Npy {
        action: "read",
        path: "seven.npy".into(),
        source,
    })
}
