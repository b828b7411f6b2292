//! A template and the conversations that it is run over.

use std::time::SystemTime;

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json};

use crate::budget::Limits;
use crate::engine;
use crate::error::ChatError;
use crate::probe::{self, Report};
use crate::source::prepare;

/// The format that is used where a model has no template: that of ChatML.
const CHATML: &str = "\
{%- for message in messages -%}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n' -}}
{%- endif -%}";

/// A chat template that was read and may be run over any conversation, from many threads.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    prepared: String,
    bos: String,
    eos: String,
    limits: Limits,
}

/// A conversation, as the chat interfaces of this kind of program have it.
#[derive(Debug, Clone)]
pub struct Chat {
    /// The messages: objects with `role`, `content` and what else a template reads.
    pub messages: Json,
    /// The tools that the model may call, if any.
    pub tools: Option<Json>,
    /// The documents that it may quote, if any.
    pub documents: Option<Json>,
    /// Whether the answer's beginning is added, so that the model answers.
    pub add_generation_prompt: bool,
    /// Further variables of the template, such as `enable_thinking`.
    pub extra: Map<String, Json>,
    /// What `strftime_now` takes for now; the clock's time if there is none.
    pub now: Option<SystemTime>,
}

impl Chat {
    /// A conversation without tools, that shall be answered.
    #[must_use]
    pub fn new(messages: Json) -> Self {
        Self {
            messages,
            tools: None,
            documents: None,
            add_generation_prompt: true,
            extra: Map::new(),
            now: None,
        }
    }
}

impl Chat {
    /// A conversation written as a JSON object with the fields of this structure.
    ///
    /// # Errors
    /// When it is no such object.
    pub fn from_json(text: &str) -> Result<Self, ChatError> {
        let broken = |message: String| ChatError::Conversation(message);
        let fields: Json = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        let Json::Object(mut fields) = fields else {
            return Err(broken("expected an object".to_owned()));
        };
        let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_null());
        let messages = take("messages").filter(Json::is_array);
        let messages = messages.ok_or_else(|| broken("expected a list `messages`".to_owned()))?;
        let extra = match take("extra") {
            None => Map::new(),
            Some(Json::Object(extra)) => extra,
            Some(_) => return Err(broken("expected an object `extra`".to_owned())),
        };
        Ok(Self {
            tools: take("tools"),
            documents: take("documents"),
            add_generation_prompt: take("add_generation_prompt") == Some(Json::Bool(true)),
            extra,
            ..Self::new(messages)
        })
    }
}

impl ChatTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is too long or is no template: says where.
    pub fn new(source: &str) -> Result<Self, ChatError> {
        let prepared = prepare(source, &engine::syntax())?;
        engine::check(&prepared)?;
        let (bos, eos, limits) = (String::new(), String::new(), Limits::default());
        Ok(Self { source: source.to_owned(), prepared, bos, eos, limits })
    }

    /// What models without a template are given.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn chatml() -> Result<Self, ChatError> {
        Self::new(CHATML)
    }

    /// Gives the texts of the model's start and end tokens, which templates print.
    #[must_use]
    pub fn with_tokens(mut self, bos: &str, eos: &str) -> Self {
        self.bos = bos.to_owned();
        self.eos = eos.to_owned();
        self
    }

    /// Sets what a run may use up.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The template as it came.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// When the template refuses the conversation, fails, or uses up too much.
    pub fn render(&self, chat: &Chat) -> Result<String, ChatError> {
        let conversation = [Some(&chat.messages), chat.tools.as_ref(), chat.documents.as_ref()];
        let bytes = conversation.into_iter().flatten().map(bytes_of).fold(0, u64::saturating_add);
        let now = chat.now.unwrap_or_else(SystemTime::now);
        engine::run(&self.prepared, self.context(chat), now, &self.limits, bytes)
    }

    /// Tries the template on small conversations: what it supports, and what is wrong with it.
    #[must_use]
    pub fn probe(&self) -> Report {
        probe::probe(self)
    }

    fn context(&self, chat: &Chat) -> Value {
        let value = |json: &Json| Value::from(Serde(json));
        let or_none = |json: &Option<Json>| json.as_ref().map_or(Value::from(()), value);
        let mut pairs: Vec<(&str, Value)> = vec![
            ("messages", value(&chat.messages)),
            ("tools", or_none(&chat.tools)),
            ("documents", or_none(&chat.documents)),
            ("add_generation_prompt", Value::from(chat.add_generation_prompt)),
            ("bos_token", Value::from(self.bos.as_str())),
            ("eos_token", Value::from(self.eos.as_str())),
        ];
        pairs.extend(chat.extra.iter().map(|(name, json)| (name.as_str(), value(json))));
        Value::from_pairs(pairs)
    }
}

/// About how long a conversation is.
fn bytes_of(json: &Json) -> u64 {
    let mut bytes = 0_u64;
    let mut open = vec![json];
    while let Some(json) = open.pop() {
        bytes = bytes.saturating_add(8);
        match json {
            Json::String(text) => bytes = bytes.saturating_add(text.len() as u64),
            Json::Array(items) => open.extend(items),
            Json::Object(pairs) => {
                let keys = pairs.keys().map(|key| key.len() as u64);
                bytes = keys.fold(bytes, u64::saturating_add);
                open.extend(pairs.values());
            }
            _ => {}
        }
    }
    bytes
}
