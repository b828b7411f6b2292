//! WordPiece: words are cut into the longest tokens that fit, from the left. A word that cannot be
//! cut so is unknown as a whole.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::Role;
use crate::vocab::{TokenId, Vocabulary};

/// Words of more characters are unknown, as BERT has it. It also bounds the work per word.
const MAX_CHARACTERS: usize = 100;
/// Before the first token of a word, so that it differs from the tokens inside words.
const WORD_START: &str = "▁";

/// How text is made uniform before it is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WordPiece {
    pub(crate) lower_case: bool,
    pub(crate) strip_accents: bool,
}

impl WordPiece {
    pub(crate) fn encode(self, text: &str, vocabulary: &Vocabulary, out: &mut Vec<TokenId>) {
        for word in self.words(text) {
            let start = out.len();
            if !cut(&word, vocabulary, out) {
                out.truncate(start);
                out.extend(vocabulary.role(Role::Unknown));
            }
        }
    }

    fn words(self, text: &str) -> Vec<String> {
        let mut words = Words::default();
        if self.strip_accents {
            text.chars()
                .filter(is_kept)
                .nfd()
                .for_each(|character| self.add(character, &mut words));
        } else {
            text.chars().filter(is_kept).for_each(|character| self.add(character, &mut words));
        }
        words.finish()
    }

    fn add(self, character: char, words: &mut Words) {
        if character.is_whitespace() {
            words.end();
        } else if self.strip_accents
            && character.general_category() == GeneralCategory::NonspacingMark
        {
            // Dropped.
        } else if is_alone(character) {
            words.end();
            self.push(character, words);
            words.end();
        } else {
            self.push(character, words);
        }
    }

    fn push(self, character: char, words: &mut Words) {
        if self.lower_case {
            words.last.extend(character.to_lowercase());
        } else {
            words.last.push(character);
        }
    }
}

#[derive(Default)]
struct Words {
    done: Vec<String>,
    last: String,
}

impl Words {
    fn end(&mut self) {
        if !self.last.is_empty() {
            self.done.push(std::mem::take(&mut self.last));
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.end();
        self.done
    }
}

/// Cuts a word into tokens; says whether that worked.
fn cut(word: &str, vocabulary: &Vocabulary, out: &mut Vec<TokenId>) -> bool {
    if word.chars().nth(MAX_CHARACTERS).is_some() {
        return false;
    }
    let word = format!("{WORD_START}{word}");
    let mut rest = word.as_str();
    let mut starts = true;
    while !rest.is_empty() {
        let ends = rest.char_indices().map(|(at, character)| at + character.len_utf8()).rev();
        let tokens = ends.filter(|end| starts || continues(rest, *end));
        let found = tokens.filter_map(|end| Some((vocabulary.find(rest.get(..end)?)?, end))).next();
        let Some((id, end)) = found else { return false };
        out.push(id);
        rest = rest.get(end..).unwrap_or_default();
        starts = false;
    }
    true
}

/// Whether the first `end` bytes may be a token inside a word: a mark that the text itself holds is one
/// only alone, because with more behind it it would be found as the start of a word.
fn continues(rest: &str, end: usize) -> bool {
    end == WORD_START.len() || !rest.starts_with(WORD_START)
}

/// Control characters are dropped, but not those that are white space.
fn is_kept(character: &char) -> bool {
    let control = character.general_category_group() == GeneralCategoryGroup::Other;
    match *character {
        '\0' | char::REPLACEMENT_CHARACTER => false,
        '\t' | '\n' | '\r' => true,
        _ => !control,
    }
}

/// Punctuation and Chinese characters are words of their own.
fn is_alone(character: char) -> bool {
    character.is_ascii_punctuation()
        || character.general_category_group() == GeneralCategoryGroup::Punctuation
        || is_chinese(character)
}

/// The blocks that BERT counts as Chinese. One of them starts 256 later than it should, there too.
fn is_chinese(character: char) -> bool {
    matches!(u32::from(character),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x2_0000..=0x2_A6DF | 0x2_A700..=0x2_B73F
        | 0x2_B740..=0x2_B81F | 0x2_B920..=0x2_CEAF | 0xF900..=0xFAFF | 0x2_F800..=0x2_FA1F)
}
