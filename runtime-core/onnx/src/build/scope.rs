//! Names: where they are looked up, and how bodies capture values of the graphs around them.

use remuda_base::Map;
use remuda_ir::{Attr, Graph, Inference, ValueId};

use super::{Builder, Opsets, no_level};
use crate::attributes::NODE_BYTES;
use crate::error::{ImportError, Result};
use crate::wire::Message;

/// Bodies and functions within each other, deeper than any real model.
const MAX_FRAMES: usize = 64;

/// A graph that is being built.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) graph: Graph,
    pub(super) inference: Inference,
    /// How many nodes of the order are typed.
    pub(super) typed: usize,
    /// The outer values that the graph captures, in the order of [`Graph::captures`].
    pub(super) outer: Vec<ValueId>,
    /// From an outer value to the one that captures it.
    captured: Map<ValueId, ValueId>,
}

impl Level {
    pub(super) fn new(name: &str) -> Self {
        Self {
            graph: Graph::new(name),
            inference: Inference::default(),
            typed: 0,
            outer: Vec::new(),
            captured: Map::new(),
        }
    }
}

/// A place where names are defined: a graph, or one call of a function.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// What names mean; `None` for an optional input of a function that the call leaves out.
    pub(super) names: Map<&'a str, Option<ValueId>>,
    /// Declared types of values, used where the operator is not known.
    pub(super) declared: Map<&'a str, Message<'a>>,
    /// The graph that the values belong to.
    pub(super) level: usize,
    pub(super) opsets: Opsets,
    /// The attributes of the call, if it is one of a function.
    pub(super) call: Option<Map<String, Attr>>,
    /// Stands in front of the names of nodes and values.
    pub(super) prefix: String,
}

impl Frame<'_> {
    pub(super) fn of_graph(level: usize, opsets: Opsets) -> Self {
        Self {
            names: Map::new(),
            declared: Map::new(),
            level,
            opsets,
            call: None,
            prefix: String::new(),
        }
    }
}

impl<'a> Builder<'a> {
    pub(super) fn push_frame(&mut self, frame: Frame<'a>) -> Result<()> {
        if self.frames.len() >= MAX_FRAMES {
            return Err(ImportError::unsupported(format!(
                "bodies and functions nest deeper than {MAX_FRAMES}"
            )));
        }
        self.frames.push(frame);
        Ok(())
    }

    pub(super) fn frame(&mut self) -> Result<&mut Frame<'a>> {
        self.frames.last_mut().ok_or_else(no_level)
    }

    pub(super) fn level(&mut self) -> Result<&mut Level> {
        self.levels.last_mut().ok_or_else(no_level)
    }

    pub(super) fn graph(&mut self) -> Result<&mut Graph> {
        Ok(&mut self.level()?.graph)
    }

    /// Gives a name of the innermost frame its meaning.
    pub(super) fn bind(&mut self, name: &'a str, id: ValueId) -> Result<()> {
        match self.frame()?.names.insert(name, Some(id)) {
            None => Ok(()),
            Some(_) => Err(ImportError::invalid(format!("value `{name}` is made more than once"))),
        }
    }

    /// The value of a name in the innermost graph, captured there if it comes from outside. `None`
    /// for what is left out.
    pub(super) fn resolve(&mut self, name: &str) -> Result<Option<ValueId>> {
        if name.is_empty() {
            return Ok(None);
        }
        let mut found = None;
        for frame in self.frames.iter().rev() {
            if let Some(&id) = frame.names.get(name) {
                found = Some((id, frame.level));
                break;
            }
            if frame.call.is_some() {
                break;
            }
        }
        match found {
            Some((None, _)) => Ok(None),
            Some((Some(id), level)) => self.capture(id, level).map(Some),
            None => {
                Err(ImportError::invalid(format!("value `{name}` is used, but nothing makes it")))
            }
        }
    }

    /// The value in the innermost graph that stands for a value of the graph at `level`.
    pub(super) fn capture(&mut self, mut id: ValueId, level: usize) -> Result<ValueId> {
        let first = level.saturating_add(1);
        for inner in first..self.levels.len() {
            let (outer, rest) = self.levels.split_at_mut(inner);
            let (Some(outer), Some(inner)) = (outer.last(), rest.first_mut()) else {
                return Err(no_level());
            };
            if let Some(&known) = inner.captured.get(&id) {
                id = known;
                continue;
            }
            let value = outer.graph.value(id);
            self.budget.charge(value.name.len().saturating_add(NODE_BYTES))?;
            let copy = inner.graph.add_capture(&value.name, value.ty.clone());
            if let Some(content) = outer.inference.content(&outer.graph, id) {
                inner.inference.set_content(copy, content);
            }
            inner.outer.push(id);
            inner.captured.insert(id, copy);
            id = copy;
        }
        Ok(id)
    }
}
