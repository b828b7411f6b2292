//! The whole import, from bytes to a verified graph.

use std::sync::Arc;

use remuda_base::{Map, Set};
use remuda_ir::{Graph, ValueType, verify};
use remuda_ops::Ops;
use remuda_tensor::{Memory, Tensor};

use crate::build::{Builder, opset_map};
use crate::error::{At, ImportError, Result};
use crate::proto::{GraphProto, ModelProto, ValueInfoProto};
use crate::types::value_type;
use crate::wire::{Budget, Message};
use crate::{ImportOptions, upgrade};

/// An imported model.
#[derive(Debug, Clone)]
pub struct Model {
    /// The graph: verified, at the newest operator sets, types inferred.
    pub graph: Graph,
    /// What the file says about itself.
    pub metadata: Metadata,
    /// The graph's inputs as declared, in the order of [`Graph::inputs`].
    pub inputs: Vec<Declaration>,
    /// The graph's outputs as declared, in the order of [`Graph::outputs`].
    pub outputs: Vec<Declaration>,
    /// Values of inputs that the caller may leave out, by name: those that were listed in
    /// [`ImportOptions::overridable`].
    pub defaults: Map<String, Tensor>,
    /// What was accepted although it looks wrong.
    pub warnings: Vec<String>,
}

/// An input or output as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// Its name.
    pub name: String,
    /// Its type, if one is declared.
    pub ty: Option<ValueType>,
    /// Its documentation.
    pub doc: String,
}

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// The version of the file format.
    pub ir_version: i64,
    /// The program that wrote the file.
    pub producer_name: String,
    /// Its version.
    pub producer_version: String,
    /// The namespace of the model.
    pub domain: String,
    /// The version of the model.
    pub model_version: i64,
    /// Documentation of the model.
    pub doc: String,
    /// Documentation of the graph.
    pub graph_doc: String,
    /// The operator set of each domain that the model was written for.
    pub opsets: Map<String, i64>,
    /// Properties, in the order of the file.
    pub properties: Vec<(String, String)>,
}

const NO_MODEL: &str = "check that the file is an ONNX model and that its download is complete";

/// Imports a model.
///
/// # Errors
/// When the bytes are no valid model, or it needs what is not implemented or exceeds a limit.
pub fn import(bytes: Arc<dyn Memory>, options: &ImportOptions) -> Result<Model> {
    let budget = Budget::new(bytes.bytes(), options.max_fields, options.max_structure_bytes);
    let proto = ModelProto::decode(Message::of_file(bytes.bytes(), "ModelProto", &budget))
        .map_err(|error| match error {
            ImportError::Invalid(_) => error.hint(NO_MODEL),
            other => other,
        })?;
    let Some(main) = &proto.graph else {
        return Err(ImportError::invalid("the file holds no graph").hint(NO_MODEL));
    };
    let opsets = opset_map(&proto.opsets, proto.ir_version)?;
    let mut builder = Builder::new(&bytes, options, &proto, &budget, opsets)?;
    let (graph, defaults) = builder.main(main)?;
    verify(&graph, &Ops)?;
    let mut warnings = builder.into_warnings();
    warnings.extend(upgrade::newer_opsets(&proto.opsets));
    if proto.has_training {
        warnings.push("the model's training graphs are ignored".to_owned());
    }
    let given: Set<&str> = graph.inputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
    let inputs = declarations(main.inputs.iter().filter(|info| given.contains(info.name)))?;
    let outputs = declarations(main.outputs.iter())?;
    Ok(Model { inputs, outputs, metadata: metadata(&proto, main), graph, defaults, warnings })
}

fn declarations<'a>(
    infos: impl Iterator<Item = &'a ValueInfoProto<'a>>,
) -> Result<Vec<Declaration>> {
    infos
        .map(|info| {
            let ty = info.ty.map(value_type).transpose().at(|| format!("value `{}`", info.name))?;
            Ok(Declaration {
                name: info.name.to_owned(),
                ty: ty.flatten(),
                doc: info.doc.to_owned(),
            })
        })
        .collect()
}

fn metadata(proto: &ModelProto<'_>, main: &GraphProto<'_>) -> Metadata {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Metadata {
        ir_version: proto.ir_version,
        producer_name: proto.producer_name.to_owned(),
        producer_version: proto.producer_version.to_owned(),
        domain: proto.domain.to_owned(),
        model_version: proto.model_version,
        doc: proto.doc.to_owned(),
        graph_doc: main.doc.to_owned(),
        opsets: proto.opsets.iter().map(|(domain, opset)| ((*domain).to_owned(), *opset)).collect(),
        properties: proto.properties.iter().map(owned).collect(),
    }
}
