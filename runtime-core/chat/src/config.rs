//! Templates in the `tokenizer_config.json` of folders as HuggingFace keeps models.

use serde_json::Value as Json;

use crate::error::ChatError;
use crate::template::ChatTemplate;

/// The one to take where there are several.
const DEFAULT: &str = "default";

impl ChatTemplate {
    /// The template that a `tokenizer_config.json` holds, if it holds one, with the texts of the
    /// start and end tokens.
    ///
    /// # Errors
    /// When the file is no JSON object, or holds something that is no template.
    pub fn from_config(config: &[u8]) -> Result<Option<Self>, ChatError> {
        let broken = |message: String| ChatError::Conversation(message);
        let config: Json = serde_json::from_slice(config)
            .map_err(|error| broken(format!("`tokenizer_config.json`: {error}")))?;
        let source = match config.get("chat_template") {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Array(several)) => several
                .iter()
                .find(|one| one.get("name").and_then(Json::as_str) == Some(DEFAULT))
                .and_then(|one| one.get("template")),
            one => one,
        };
        let source = source.and_then(Json::as_str).ok_or_else(|| {
            broken(
                "`chat_template`: expected a text, or a list with one named `default`".to_owned(),
            )
        })?;
        let text = |key: &str| {
            let token = config.get(key);
            let text =
                token.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
            text.unwrap_or_default()
        };
        Ok(Some(Self::new(source)?.with_tokens(text("bos_token"), text("eos_token"))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Chat, ChatTemplate};

    fn read(config: &serde_json::Value) -> Result<Option<ChatTemplate>, crate::ChatError> {
        ChatTemplate::from_config(config.to_string().as_bytes())
    }

    #[test]
    fn the_default_template_comes_with_its_tokens() {
        let source = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}";
        let chat = Chat::new(json!([{"role": "user", "content": "x"}]));
        let several =
            json!([{"name": "tools", "template": "-"}, {"name": "default", "template": source}]);
        for template in [json!(source), several] {
            let config = json!({
                "chat_template": template, "bos_token": "<s>", "eos_token": {"content": "</s>"},
            });
            assert_eq!(read(&config).unwrap().unwrap().render(&chat).unwrap(), "<s>x</s>");
        }
        assert!(read(&json!({})).unwrap().is_none());
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert!(read(&json!({"chat_template": 1})).is_err());
        assert!(read(&json!({"chat_template": "{% if %}"})).is_err());
        assert!(ChatTemplate::from_config(b"{").is_err());
    }
}
