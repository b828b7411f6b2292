//! Models, valid and hostile, through the importer.
#![expect(clippy::cast_possible_truncation, reason = "protobuf integers are cut into bytes")]

mod external;
mod functions;
mod graphs;
mod hostile;
mod pb;
mod tensors;
