//! Language models asked with texts and conversations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::Poll;
use std::time::Duration;

use remuda_chat::{Chat, ChatTemplate};
use remuda_engine::Request;
use remuda_grammar::{Compiler, Source};
use remuda_text::{Encode, Role, Tokenizer};

use super::ask::{Ask, Constraint, Outcome, Piece};
use super::voice::{Event, Voice};
use super::{LanguageModel, run_error, source};
use crate::{Error, ErrorKind};

/// What ends a turn where a model without a template is given `ChatML`.
const CHATML_END: &str = "<|im_end|>";

fn invalid(message: &str) -> Error {
    Error::Model { kind: ErrorKind::Invalid, message: message.to_owned(), hint: None }
}

/// A text as it comes. Dropping it ends the answer at its next step.
#[derive(Debug)]
pub struct Answer {
    /// Keeps the engine running.
    _model: LanguageModel,
    events: Receiver<Event>,
    cancel: Arc<AtomicBool>,
    outcome: Option<Outcome>,
    ended: bool,
}

impl LanguageModel {
    /// The tokenizer of the file.
    ///
    /// # Errors
    /// When the file has none, or one that is not known.
    pub fn tokenizer(&self) -> Result<&Arc<Tokenizer>, Error> {
        let tokenizer = self.0.tokenizer.get_or_init(|| {
            let tokenizer = source::tokenizer(&self.0.file);
            tokenizer.map(Arc::new).map_err(|error| error.to_string())
        });
        tokenizer.as_ref().map_err(|message| invalid(message))
    }

    /// The chat template of the file, if it has one.
    ///
    /// # Errors
    /// When it has one that cannot be read.
    pub fn template(&self) -> Result<Option<&ChatTemplate>, Error> {
        let tokenizer = self.tokenizer()?;
        let template = self.0.template.get_or_init(|| {
            source::template(&self.0.file, tokenizer).map_err(|error| error.to_string())
        });
        template.as_ref().map(Option::as_ref).map_err(|message| invalid(message))
    }

    /// The tokens of a prompt, with those that the model wants around one.
    ///
    /// # Errors
    /// As for [`Self::tokenizer`], or when the text is too long for it.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.tokenizer()?.encode(text, Encode::PROMPT)?)
    }

    /// The tokens of a conversation, as the model's template writes it; `ChatML` if it has none.
    ///
    /// # Errors
    /// When the template refuses the conversation, the model knows none
    /// ([`Self::reads_prompts_apart`]), or as for [`Self::tokenize`].
    pub fn tokenize_chat(&self, chat: &Chat) -> Result<Vec<u32>, Error> {
        if self.reads_prompts_apart() {
            let architecture = &self.info().architecture;
            let message = format!("`{architecture}` answers texts and knows no conversations");
            return Err(Error::Input(message));
        }
        let text = match self.template()? {
            Some(template) => template.render(chat)?,
            None => ChatTemplate::chatml()?.render(chat)?,
        };
        let tokenizer = self.tokenizer()?;
        let vocabulary = tokenizer.vocabulary();
        let start = vocabulary.role(Role::Bos).and_then(|id| vocabulary.text(id));
        // Most templates write the token that starts a text themselves.
        let started = start.is_some_and(|start| !start.is_empty() && text.starts_with(start));
        Ok(tokenizer.encode(&text, Encode { affixes: !started, special: true })?)
    }

    /// Goes on from a text.
    ///
    /// # Errors
    /// As for [`Self::tokenize`], or when something that is asked is not valid.
    pub fn answer(&self, prompt: &str, ask: &Ask) -> Result<Answer, Error> {
        self.answer_tokens(self.tokenize(prompt)?, ask)
    }

    /// Answers a conversation.
    ///
    /// # Errors
    /// As for [`Self::tokenize_chat`], or when something that is asked is not valid.
    pub fn chat(&self, chat: &Chat, ask: &Ask) -> Result<Answer, Error> {
        let prompt = self.tokenize_chat(chat)?;
        if self.template()?.is_some() {
            return self.answer_tokens(prompt, ask);
        }
        let mut ask = ask.clone();
        ask.stops.push(CHATML_END.to_owned());
        self.answer_tokens(prompt, &ask)
    }

    /// Goes on from tokens.
    ///
    /// # Errors
    /// When something that is asked is not valid, or the engine has stopped.
    pub fn answer_tokens(&self, prompt: Vec<u32>, ask: &Ask) -> Result<Answer, Error> {
        let (events, receiver) = channel();
        let constraint = ask.constraint.as_ref().map(|wish| self.constraint(wish)).transpose()?;
        let cancel = ask.cancel.clone().unwrap_or_default();
        let mut voice = Voice::new(self.tokenizer()?, constraint, ask, (events, &cancel))?;
        // What an encoder reads is no part of what must not be repeated.
        if !self.reads_prompts_apart() {
            voice.hear(&prompt);
        }
        let request = Request {
            most: ask.most,
            priority: ask.priority,
            cancel: Arc::clone(&cancel),
            ..Request::new(prompt, Box::new(voice))
        };
        self.0.engine.handle().submit(request).map_err(run_error)?;
        let model = self.clone();
        Ok(Answer { _model: model, events: receiver, cancel, outcome: None, ended: false })
    }

    fn constraint(&self, wish: &Constraint) -> Result<remuda_grammar::Constraint, Error> {
        let source = match wish {
            Constraint::JsonObject => Source::JsonObject,
            Constraint::JsonSchema(text) => Source::JsonSchema(text),
            Constraint::Regex(text) => Source::Regex(text),
            Constraint::Gbnf(text) => Source::Gbnf(text),
            Constraint::Lark(text) => Source::Lark(text),
        };
        let tokenizer = self.tokenizer()?;
        let compiler = self.0.compiler.get_or_init(|| {
            Compiler::new(Arc::clone(tokenizer)).map_err(|error| error.to_string())
        });
        let compiler = compiler.as_ref().map_err(|message| invalid(message))?;
        compiler.compile(source).map_err(|error| Error::Input(error.to_string()))
    }
}

impl Answer {
    /// What it came to, once it has ended.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.clone()
    }

    /// Ends it at its next step.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// The next piece, if it comes in so much time.
    pub fn poll(&mut self, within: Duration) -> Poll<Option<Result<Piece, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.events.recv_timeout(within) {
            Ok(event) => Poll::Ready(self.receive(Some(event))),
            Err(RecvTimeoutError::Timeout) => Poll::Pending,
            Err(RecvTimeoutError::Disconnected) => Poll::Ready(self.receive(None)),
        }
    }

    fn receive(&mut self, event: Option<Event>) -> Option<Result<Piece, Error>> {
        match event {
            Some(Event::Piece(piece)) => return Some(Ok(piece)),
            Some(Event::Ended(Ok(outcome))) => self.outcome = Some(outcome),
            Some(Event::Ended(Err(error))) => {
                self.ended = true;
                return Some(Err(error));
            }
            None => {}
        }
        self.ended = true;
        None
    }

    /// All of the text that is still to come.
    ///
    /// # Errors
    /// When the run fails.
    pub fn text(&mut self) -> Result<String, Error> {
        self.map(|piece| piece.map(|piece| piece.text)).collect()
    }
}

impl Iterator for Answer {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().ok();
        self.receive(event)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel();
        }
    }
}
