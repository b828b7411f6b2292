//! Models in several files: `name-00001-of-00006.gguf` and its siblings.
//!
//! The first part carries the metadata; every part says its number, how many parts there are and
//! how many tensors all parts have together.

use crate::error::{GgufError, Place, Problem};
use crate::file::Gguf;
use crate::metadata::Metadata;
use crate::names::{Names, Twice};
use crate::tensors::TensorInfo;

/// The key of a part's number, counted from 0.
pub(crate) const NUMBER_KEY: &str = "split.no";
/// The key of how many parts there are.
pub(crate) const COUNT_KEY: &str = "split.count";
/// The key of how many tensors all parts have together.
pub(crate) const TENSORS_KEY: &str = "split.tensors.count";

/// The file name of a part: `prefix-00001-of-00006.gguf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartName<'a> {
    /// What comes before the number, path and all.
    pub prefix: &'a str,
    /// The part's number, counted from 1.
    pub number: usize,
    /// How many parts there are.
    pub count: usize,
}

impl<'a> PartName<'a> {
    /// The parts of a path that names a part; `None` if it names a whole file.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let (stem, count) = path.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (prefix, number) = stem.rsplit_once('-')?;
        let (number, count) = (five_digits(number)?, five_digits(count)?);
        (1..=count).contains(&number).then_some(Self { prefix, number, count })
    }

    /// The path of part `number` of the same model.
    #[must_use]
    pub fn sibling(&self, number: usize) -> String {
        format!("{}-{number:05}-of-{:05}.gguf", self.prefix, self.count)
    }
}

fn five_digits(text: &str) -> Option<usize> {
    let plain = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// All parts of a model, checked to belong together. A whole file is a model of one part.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    parts: Vec<Gguf<'a>>,
    /// Those of the first part.
    metadata: Metadata<'a>,
    /// Part and place in it of every tensor of all parts, and their names in the same order.
    places: Vec<(usize, usize)>,
    names: Names<'a>,
}

impl<'a> Parts<'a> {
    /// Joins the parts of a model, in order.
    ///
    /// # Errors
    /// When one is missing, out of order or of another model, or a tensor occurs twice.
    pub fn join(parts: Vec<Gguf<'a>>) -> Result<Self, GgufError> {
        for (at, part) in parts.iter().enumerate() {
            check_numbers(part.metadata(), at, parts.len())?;
        }
        let Some(first) = parts.first() else {
            return Err(mismatch(1, "at least one part", "none"));
        };
        let metadata = first.metadata().clone();
        let announced = metadata.optional::<usize>(TENSORS_KEY)?;
        let found: usize = parts.iter().map(|part| part.tensors().len()).sum();
        if announced.is_some_and(|announced| announced != found) {
            let expected = format!("{} tensors in all parts", announced.unwrap_or_default());
            return Err(mismatch(1, &expected, &found.to_string()));
        }
        let (places, names) = index_of(&parts)?;
        Ok(Self { parts, metadata, places, names })
    }

    /// How many parts the file says its model has; 1 for a whole file.
    ///
    /// # Errors
    /// When it says so in no integer.
    pub fn announced(first: &Gguf<'_>) -> Result<usize, GgufError> {
        Ok(first.metadata().optional::<usize>(COUNT_KEY)?.unwrap_or(1).max(1))
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Gguf<'a>] {
        &self.parts
    }

    /// The keys and values of the first part, which are those of the model.
    #[must_use]
    pub fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }

    /// Every tensor with its part, counted from 0.
    pub fn tensors(&self) -> impl Iterator<Item = (usize, &TensorInfo<'a>)> {
        let numbered = self.parts.iter().enumerate();
        numbered.flat_map(|(at, part)| part.tensors().iter().map(move |tensor| (at, tensor)))
    }

    /// The tensor of this name and its part, counted from 0.
    ///
    /// # Errors
    /// When there is none.
    pub fn tensor(&self, name: &str) -> Result<(usize, &TensorInfo<'a>), GgufError> {
        let place = self.names.find(name).and_then(|at| self.places.get(at));
        let found = place.and_then(|&(part, at)| {
            self.parts.get(part).and_then(|file| file.tensors().get(at)).map(|info| (part, info))
        });
        found.ok_or_else(|| {
            let nearest = self.names.nearest(name);
            GgufError::new(Place::Tensor(name.into()), None, Problem::Missing { nearest })
        })
    }

    /// The data of the tensor of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn data(&self, name: &str) -> Result<&'a [u8], GgufError> {
        let (part, tensor) = self.tensor(name)?;
        Ok(self.parts.get(part).map(|file| file.data(tensor)).unwrap_or_default())
    }
}

fn check_numbers(metadata: &Metadata<'_>, at: usize, given: usize) -> Result<(), GgufError> {
    let announced = metadata.optional::<usize>(COUNT_KEY)?;
    let number = metadata.optional::<usize>(NUMBER_KEY)?;
    let whole = given == 1 && announced.unwrap_or(1) <= 1;
    if whole {
        return Ok(());
    }
    let position = at.saturating_add(1);
    let Some(announced) = announced else {
        return Err(mismatch(position, &format!("a part of {given}"), "a whole file"));
    };
    if announced != given {
        return Err(mismatch(position, &format!("{announced} parts"), &given.to_string()));
    }
    let number = number.unwrap_or_default();
    if number != at {
        let got = format!("number {}", number.saturating_add(1));
        return Err(mismatch(position, &format!("number {position}"), &got));
    }
    Ok(())
}

fn mismatch(part: usize, expected: &str, got: &str) -> GgufError {
    let problem = Problem::Parts { expected: expected.to_owned(), got: got.to_owned() };
    GgufError::new(Place::Part(part), None, problem)
}

type Index<'a> = (Vec<(usize, usize)>, Names<'a>);

fn index_of<'a>(parts: &[Gguf<'a>]) -> Result<Index<'a>, GgufError> {
    let numbered = parts.iter().enumerate();
    let places: Vec<_> = numbered
        .flat_map(|(part, file)| (0..file.tensors().len()).map(move |at| (part, at)))
        .collect();
    let all = parts.iter().flat_map(Gguf::tensors);
    let names = Names::new(all.clone().map(|tensor| tensor.name));
    let names = names.map_err(|Twice { first, second }| {
        let number_of = |at: usize| places.get(at).map_or(0, |(part, _)| part.saturating_add(1));
        let problem = Problem::Parts {
            expected: "every tensor in one part".to_owned(),
            got: format!("it in parts {} and {}", number_of(first), number_of(second)),
        };
        let name = all.clone().nth(second).map_or("", |tensor| tensor.name);
        GgufError::new(Place::Tensor(name.to_owned()), None, problem)
    })?;
    Ok((places, names))
}
