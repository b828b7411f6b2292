//! Values in shared memory: the elements of all tensors of a call in one file that lives in memory.
//!
//! The sender writes the file and removes it when the call is over; the receiver maps it and uses the
//! elements where they are.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remuda_bridge::Failure;
use remuda_ir::{Graph, Val, text};
use remuda_mapped::MappedFile;
use remuda_tensor::{DType, Memory, Tensor};
use serde::{Deserialize, Serialize};

use crate::message::SentGraph;

/// Tensors start at multiples of this.
const ALIGN: u64 = 64;

/// Values, their elements in a file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parcel {
    file: PathBuf,
    values: Vec<Shape>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Tensor { dtype: String, dims: Vec<usize>, start: u64, bytes: u64 },
    Texts { dims: Vec<usize>, texts: Vec<String> },
    Sequence(Vec<Shape>),
    Optional(Option<Box<Shape>>),
}

/// A file that is removed with this.
#[derive(Debug)]
pub(crate) struct Lent(Option<PathBuf>);

impl Lent {
    /// Leaves the file to whoever takes it over.
    pub(crate) fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Where files live in memory; where a system has no such place, in the folder of temporary files.
fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

fn prefix(process: u32) -> String {
    format!("remuda-isolated-{process}-")
}

/// Removes what a process left behind.
pub(crate) fn clear(process: u32) {
    let prefix = prefix(process);
    for entry in std::fs::read_dir(folder()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn create() -> std::io::Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = folder().join(format!("{}{count}", prefix(std::process::id())));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok((options.open(&path)?, path))
}

struct Packer {
    file: BufWriter<File>,
    at: u64,
}

impl Packer {
    fn pack(&mut self, val: &Val) -> Result<Shape, Failure> {
        match val {
            Val::Tensor(tensor) if tensor.dtype() == DType::String => {
                let texts = tensor.texts().into_iter().map(str::to_owned).collect();
                Ok(Shape::Texts { dims: tensor.dims().to_vec(), texts })
            }
            Val::Tensor(tensor) => self.tensor(tensor),
            Val::Sequence(items) => {
                let items = items.iter().map(|item| self.pack(item));
                Ok(Shape::Sequence(items.collect::<Result<_, _>>()?))
            }
            Val::Optional(item) => {
                let item = item.as_ref().map(|item| self.pack(item)).transpose()?;
                Ok(Shape::Optional(item.map(Box::new)))
            }
            Val::State(_) => Err(Failure::Internal("a state is no value".to_owned())),
        }
    }

    fn tensor(&mut self, tensor: &Tensor) -> Result<Shape, Failure> {
        let together = tensor.contiguous();
        let bytes = together.bytes().unwrap_or(&[]);
        let start = self.at.next_multiple_of(ALIGN);
        let gap = [0u8; 64];
        let missing = usize::try_from(start - self.at).unwrap_or(0);
        let written =
            self.file.write_all(&gap[..missing]).and_then(|()| self.file.write_all(bytes));
        written.map_err(|error| no_room(&error, bytes.len()))?;
        self.at = start + bytes.len() as u64;
        let (dtype, dims) = (tensor.dtype().name().to_owned(), tensor.dims().to_vec());
        Ok(Shape::Tensor { dtype, dims, start, bytes: bytes.len() as u64 })
    }
}

fn no_room(error: &std::io::Error, bytes: usize) -> Failure {
    let text = format!("shared memory: {error}");
    Failure::OutOfMemory { needed: bytes as u64, free: 0, text }
}

/// Puts values into shared memory.
pub(crate) fn pack(vals: &[Val]) -> Result<(Parcel, Lent), Failure> {
    let (file, path) = create().map_err(|error| no_room(&error, 0))?;
    let lent = Lent(Some(path.clone()));
    let mut packer = Packer { file: BufWriter::new(file), at: 0 };
    let values = vals.iter().map(|val| packer.pack(val)).collect::<Result<_, _>>()?;
    packer.file.flush().map_err(|error| no_room(&error, 0))?;
    Ok((Parcel { file: path, values }, lent))
}

impl Parcel {
    /// The values, over the shared memory.
    pub(crate) fn unpack(&self) -> Result<Vec<Val>, Failure> {
        let map = MappedFile::open(&self.file)
            .map_err(|error| Failure::Internal(format!("shared memory cannot be read: {error}")))?;
        let map = Arc::new(map);
        self.values.iter().map(|shape| shape.val(&map)).collect()
    }

    /// As [`Parcel::unpack`], and takes the file over from a sender who does not remove it.
    pub(crate) fn take(self) -> Result<Vec<Val>, Failure> {
        let _lent = Lent(Some(self.file.clone()));
        self.unpack()
    }
}

/// A part of a mapped file.
struct View {
    map: Arc<MappedFile>,
    range: Range<usize>,
}

impl Memory for View {
    fn bytes(&self) -> &[u8] {
        self.map.bytes().get(self.range.clone()).unwrap_or(&[])
    }
}

impl Shape {
    fn val(&self, map: &Arc<MappedFile>) -> Result<Val, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::Internal(format!("a value in shared memory is damaged: {error}"))
        };
        Ok(match self {
            Self::Texts { dims, texts } => {
                let tensor = Tensor::from_strings(dims.clone(), texts.clone());
                tensor.map_err(|error| wrong(&error))?.into()
            }
            Self::Tensor { dtype, dims, start, bytes } => {
                let dtype =
                    DType::from_name(dtype).ok_or_else(|| wrong(&"no such element type"))?;
                let place = |at: u64| usize::try_from(at).map_err(|error| wrong(&error));
                let start = place(*start)?;
                let range = start..start.saturating_add(place(*bytes)?);
                let memory = Arc::new(View { map: Arc::clone(map), range });
                let tensor = Tensor::from_memory(dtype, dims.clone(), memory);
                tensor.map_err(|error| wrong(&error))?.into()
            }
            Self::Sequence(items) => {
                let items = items.iter().map(|item| item.val(map));
                Val::sequence(items.collect::<Result<_, _>>()?)
            }
            Self::Optional(item) => {
                let item = item.as_ref().map(|item| item.val(map)).transpose()?;
                Val::Optional(item.map(Arc::new))
            }
        })
    }
}

/// A graph on its way: its constants become inputs behind the others.
pub(crate) fn send_graph(graph: &Graph, opset: u32) -> Result<(SentGraph, Lent), Failure> {
    let mut outline = graph.clone();
    let mut constants = Vec::new();
    for (id, value) in graph.values() {
        if let Some(tensor) = value.constant() {
            constants.push(Val::from(tensor.clone()));
            outline.set_def(id, remuda_ir::Def::Input);
            outline.inputs.push(id);
        }
    }
    let (constants, lent) = pack(&constants)?;
    Ok((SentGraph { text: text::print(&outline), opset, constants }, lent))
}

impl SentGraph {
    /// The graph, its constants in shared memory.
    pub(crate) fn graph(&self) -> Result<Graph, Failure> {
        let mut graph = text::parse(&self.text)
            .map_err(|error| Failure::Internal(format!("a graph did not arrive: {error}")))?;
        let constants = self.constants.unpack()?;
        let from = graph.inputs.len().checked_sub(constants.len());
        let from = from.ok_or_else(|| Failure::Internal("constants did not arrive".to_owned()))?;
        for (id, constant) in graph.inputs.split_off(from).into_iter().zip(constants) {
            graph.set_const(id, constant.tensor()?.clone());
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::{pack, send_graph};
    use remuda_ir::{Val, text};
    use remuda_tensor::Tensor;

    #[test]
    fn values_cross_and_leave_nothing_behind() {
        let texts = Tensor::from_strings(vec![2], vec!["a".to_owned(), "ü".to_owned()]).unwrap();
        let vals = [
            Val::from(Tensor::vector(vec![1.0f32, 2.0, 3.0])),
            Val::from(Tensor::vector(vec![true, false])),
            Val::from(texts),
            Val::sequence(vec![Tensor::vector(vec![7i64]).into()]),
            Val::Optional(None),
            Val::from(Tensor::from_vec([0, 3], Vec::<f32>::new()).unwrap()),
        ];
        let (parcel, lent) = pack(&vals).unwrap();
        let file = lent.0.clone().unwrap();
        let got = parcel.unpack().unwrap();
        drop(lent);
        assert!(!file.exists());
        assert_eq!(format!("{got:?}"), format!("{vals:?}"));
    }

    #[test]
    fn graphs_keep_their_order_and_their_constants() {
        let source = "graph \"g\" {\n  input %x: f32[2]\n  const %w: f32[2] = x0000803f00000040\n  %y: f32[2] = Mul(%x, %w)\n  %z: f32[2] = Add(%y, %w)\n  output %z\n}";
        let graph = text::parse(source).unwrap();
        let (sent, _lent) = send_graph(&graph, 25).unwrap();
        assert_eq!(text::print(&sent.graph().unwrap()), text::print(&graph));
    }
}
