//! The toy language model that a build may carry (feature `demo`): it answers to the name `demo` wherever the path of
//! a language model is expected.

use std::path::Path;
use std::sync::Arc;

use remuda_tensor::Memory;

const NAME: &str = "demo";

/// Whether a path names the model that this build carries. A file of that name comes first.
#[must_use]
pub fn is_demo(path: &Path) -> bool {
    demo(path).is_some()
}

/// The bytes that a path names, if it is no file.
pub(crate) fn demo(path: &Path) -> Option<Arc<dyn Memory>> {
    carried().filter(|_| path == Path::new(NAME) && !path.exists())
}

#[cfg(feature = "demo")]
fn carried() -> Option<Arc<dyn Memory>> {
    struct Carried;

    impl Memory for Carried {
        fn bytes(&self) -> &[u8] {
            remuda_demo::gguf()
        }
    }
    Some(Arc::new(Carried))
}

#[cfg(not(feature = "demo"))]
fn carried() -> Option<Arc<dyn Memory>> {
    None
}
