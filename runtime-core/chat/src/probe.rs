//! Trying a template on small conversations when a model is loaded, so that what is wrong with it is
//! said then and not in the middle of a conversation.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::error::ChatError;
use crate::template::{Chat, ChatTemplate};

/// What a template does with small conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether the system's message shows in the text.
    pub system: bool,
    /// Whether the names of tools show in the text.
    pub tools: bool,
    /// Whether earlier answers show in the text.
    pub history: bool,
    /// Whether asking for an answer adds anything.
    pub generation_prompt: bool,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// Something that is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It fails on a question.
    Fails(ChatError),
    /// A question does not show in the text.
    DropsQuestion,
    /// It fails on a question after an answer.
    FailsWithHistory(ChatError),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(error) => write!(f, "it cannot render a single question: {error}"),
            Self::DropsQuestion => f.write_str("it leaves out what the user asks"),
            Self::FailsWithHistory(error) => {
                write!(f, "it cannot render a second question: {error}")
            }
        }
    }
}

const QUESTION: &str = "remuda-probe-question";
const SYSTEM: &str = "remuda-probe-system";
const ANSWER: &str = "remuda-probe-answer";
const TOOL: &str = "remuda_probe_tool";

pub(crate) fn probe(template: &ChatTemplate) -> Report {
    let user = || json!({"role": "user", "content": QUESTION});
    let mut findings = Vec::new();
    let plain = Chat::new(json!([user()]));
    let asked = template.render(&plain).or_else(|error| {
        // Some templates take only contents in parts.
        let parts = json!([{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]);
        template.render(&Chat::new(parts)).map_err(|_| error)
    });
    let question = match asked {
        Ok(text) => text,
        Err(error) => {
            findings.push(Finding::Fails(error));
            String::new()
        }
    };
    if findings.is_empty() && !question.contains(QUESTION) {
        findings.push(Finding::DropsQuestion);
    }
    let answer = json!({"role": "assistant", "content": ANSWER});
    let history = shows(template, json!([user(), answer, user()]), None, ANSWER);
    if let (Err(error), true) = (&history, findings.is_empty()) {
        findings.push(Finding::FailsWithHistory(error.clone()));
    }
    let system = json!([{"role": "system", "content": SYSTEM}, user()]);
    let still = template.render(&Chat { add_generation_prompt: false, ..plain });
    Report {
        system: shows(template, system, None, SYSTEM).unwrap_or(false),
        tools: shows(template, json!([user()]), Some(tools()), TOOL).unwrap_or(false),
        history: history.unwrap_or(false),
        generation_prompt: still.is_ok_and(|still| still != question),
        findings,
    }
}

fn shows(
    template: &ChatTemplate,
    messages: Json,
    tools: Option<Json>,
    text: &str,
) -> Result<bool, ChatError> {
    let chat = Chat { tools, ..Chat::new(messages) };
    template.render(&chat).map(|rendered| rendered.contains(text))
}

fn tools() -> Json {
    json!([{"type": "function", "function": {
        "name": TOOL,
        "description": "Nothing.",
        "parameters": {
            "type": "object",
            "properties": {"text": {"type": "string", "description": "Anything."}},
            "required": ["text"],
        },
    }}])
}
