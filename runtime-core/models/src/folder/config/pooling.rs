//! How the rows of a text become one vector, as the files beside `config.json` say it.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::super::{bad, read_json};
use crate::ModelError;

/// The list of what a text goes through: rows from the model, then one vector of them.
const MODULES: &str = "modules.json";

/// Kinds of pooling: theirs, and the number in GGUF.
const KINDS: &[(&str, u32)] = &[
    ("pooling_mode_mean_tokens", 1),
    ("pooling_mode_cls_token", 2),
    ("pooling_mode_lasttoken", 3),
];

/// The number of a folder's pooling in GGUF, if its files say any.
pub(super) fn read(config: &Path) -> Result<Option<u32>, ModelError> {
    let list = config.with_file_name(MODULES);
    if !list.exists() {
        return Ok(None);
    }
    let modules = read_json(&list)?;
    let modules = modules.as_array().ok_or_else(|| bad(&list, "expected a list of modules"))?;
    let mut found = None;
    for module in modules {
        let text = |key: &str| module.get(key).and_then(Json::as_str).unwrap_or_default();
        match text("type").rsplit('.').next() {
            // Vectors have length 1 anyway.
            Some("Transformer" | "Normalize") => {}
            Some("Pooling") => found = Some(kind(&of_module(&list, text("path"))?)?),
            _ => {
                return Err(ModelError::Unsupported {
                    key: MODULES.to_owned(),
                    expected: "the modules Transformer, Pooling and Normalize".to_owned(),
                    got: text("type").chars().take(100).collect(),
                });
            }
        }
    }
    Ok(found)
}

/// The configuration of a module. Its path comes from a stranger: it leads nowhere else.
fn of_module(list: &Path, path: &str) -> Result<PathBuf, ModelError> {
    if Path::new(path).components().count() != 1 || path.starts_with('.') || path.starts_with('/') {
        return Err(bad(list, format!("expected the name of a folder, got `{path}`")));
    }
    Ok(list.with_file_name(path).join("config.json"))
}

fn kind(path: &Path) -> Result<u32, ModelError> {
    let pooling = read_json(path)?;
    let settings = pooling.as_object().ok_or_else(|| bad(path, "expected an object"))?;
    let chosen = settings.iter().filter(|(_, value)| value.as_bool() == Some(true));
    let chosen = chosen.map(|(key, _)| key.as_str()).filter(|key| key.starts_with("pooling_mode"));
    let chosen: Vec<&str> = chosen.collect();
    let known = KINDS.iter().find(|(theirs, _)| chosen == [*theirs]);
    known.map(|(_, number)| *number).ok_or_else(|| ModelError::Unsupported {
        key: "pooling_mode".to_owned(),
        expected: "the mean, the first or the last token alone".to_owned(),
        got: chosen.join(", ").chars().take(100).collect(),
    })
}
