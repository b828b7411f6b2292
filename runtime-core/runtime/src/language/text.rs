//! Language models asked with texts: the tokenizer and the samplers around a generation.

use remuda_sample::Chain;
pub use remuda_sample::Params as Sampling;
use remuda_text::{Detokenizer, Encode, Tokenizer};

use super::{Generation, LanguageModel};
use crate::{Error, ErrorKind, Usage};

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::Model { kind: ErrorKind::Invalid, message: error.to_string(), hint: None }
}

/// A text as it comes, in pieces that never split a character.
#[derive(Debug)]
pub struct Answer {
    model: LanguageModel,
    tokens: Generation,
    text: Detokenizer,
    ended: bool,
}

impl LanguageModel {
    /// The tokenizer of the file.
    ///
    /// # Errors
    /// When the file has none, or one that is not known.
    pub fn tokenizer(&self) -> Result<&Tokenizer, Error> {
        let tokenizer = self.0.tokenizer.get_or_init(|| {
            let parts = self.0.file.parse().map_err(|error| error.to_string())?;
            Tokenizer::from_gguf(parts.metadata()).map_err(|error| error.to_string())
        });
        tokenizer.as_ref().map_err(invalid)
    }

    /// The tokens of a prompt, with those that the model wants around one.
    ///
    /// # Errors
    /// As for [`Self::tokenizer`], or when the text is too long for it.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.tokenizer()?
            .encode(text, Encode::PROMPT)
            .map_err(|error| Error::Input(error.to_string()))
    }

    /// Goes on from a text; at most `most` tokens.
    ///
    /// # Errors
    /// As for [`Self::tokenize`], or when a sampling parameter is out of its range.
    pub fn answer(
        &self,
        prompt: &str,
        most: Option<usize>,
        sampling: Sampling,
    ) -> Result<Answer, Error> {
        let tokens = self.tokenize(prompt)?;
        let ends: Vec<u32> = self.tokenizer()?.vocabulary().ends().collect();
        let mut chain = Chain::new(sampling).map_err(|error| Error::Input(error.to_string()))?;
        tokens.iter().for_each(|&token| chain.accept(token));
        let pick = Box::new(move |logits: &[f32]| {
            let token = chain.sample(logits)?.token;
            chain.accept(token);
            (!ends.contains(&token)).then_some(token)
        });
        let tokens = self.generate(tokens, most, pick)?;
        Ok(Answer { model: self.clone(), tokens, text: Detokenizer::default(), ended: false })
    }
}

impl Answer {
    /// What it came to, once it has ended.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.tokens.usage()
    }
}

impl Iterator for Answer {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.tokens.next() {
            Some(Ok(token)) => {
                let text = &mut self.text;
                Some(self.model.tokenizer().map(|tokenizer| text.push(tokenizer, token)))
            }
            Some(Err(error)) => Some(Err(error)),
            None => {
                self.ended = true;
                Some(Ok(self.text.finish()))
                    .filter(|rest| !matches!(rest, Ok(text) if text.is_empty()))
            }
        }
    }
}
