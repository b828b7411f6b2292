//! Operators that only a provider knows: a model may have them, and whoever brings them gets them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::sync::Arc;

use remuda::{Error, ErrorKind, Memory, Runtime, Table, Tensor};
use remuda_sdk::ir::{Graph, Node, OpName, Val};
use remuda_sdk::{
    Backend, CompileRequest, Compiled, Cost, Device, Failure, HostServices, MemoryInfo, RunRequest,
    Support, no_options,
};

/// A provider of one operator: `acme::Twice`.
struct Acme {
    dies: bool,
}

impl Backend for Acme {
    const NAME: &'static str = "acme";
    const VERSION: &'static str = "1.0.0";

    fn open(_: HostServices, options: &[(String, String)]) -> Result<Self, Failure> {
        match options {
            [(key, _)] if key == "dies" => Ok(Self { dies: true }),
            others => no_options(others).map(|()| Self { dies: false }),
        }
    }

    fn devices(&self) -> Vec<Device> {
        let (kind, name) = ("npu".to_owned(), "doubler".to_owned());
        vec![Device {
            kind,
            name,
            unique_id: "acme".to_owned(),
            host_memory: true,
            ..Device::default()
        }]
    }

    fn supported_ops(&self) -> Vec<OpName> {
        vec![OpName::new("acme", "Twice")]
    }

    fn supports_operation(&self, _: u32, _: &Graph, node: &Node) -> Support {
        if node.op == OpName::new("acme", "Twice") {
            return Support::Yes(Cost::default());
        }
        Support::No { code: "op-unsupported", text: "only `acme::Twice`".to_owned() }
    }

    fn compile_subgraph(
        &self,
        _: u32,
        region: Graph,
        _: &CompileRequest<'_>,
    ) -> Result<Box<dyn Compiled>, Failure> {
        let nodes = region.nodes().count();
        assert_eq!((nodes, region.inputs.len(), region.outputs.len()), (1, 1, 1));
        Ok(Box::new(Doubler { dies: self.dies }))
    }

    fn memory_info(&self, _: u32) -> Result<MemoryInfo, Failure> {
        Ok(MemoryInfo::default())
    }
}

struct Doubler {
    dies: bool,
}

impl Compiled for Doubler {
    fn execute(&self, inputs: Vec<Val>, _: &RunRequest<'_>) -> Result<Vec<Val>, Failure> {
        if self.dies {
            return Err(Failure::DeviceLost("the doubler is gone".to_owned()));
        }
        let input = inputs[0].tensor()?;
        let twice = input.to_vec::<f32>().unwrap().into_iter().map(|x| 2.0 * x).collect();
        Ok(vec![Tensor::from_vec::<f32>(input.dims(), twice).unwrap().into()])
    }
}

struct Bytes(Vec<u8>);

impl Memory for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A protobuf field of bytes or a message, all shorter than 128 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

fn node(domain: &str, op: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| field(1, input.as_bytes()));
    let (output, op) = (field(2, output.as_bytes()), field(4, op.as_bytes()));
    let node = inputs.chain(output).chain(op).chain(field(7, domain.as_bytes()));
    field(1, &node.collect::<Vec<u8>>())
}

fn port(number: u8, name: &str) -> Vec<u8> {
    let shape = field(2, &field(1, &field(2, b"n")));
    let f32s = field(2, &field(1, &[&[1 << 3, 1], &shape[..]].concat()));
    field(number, &[field(1, name.as_bytes()), f32s].concat())
}

/// `z = x + Twice(Abs(x))`. Nothing tells the type of what `Twice` gives.
fn model() -> Arc<dyn Memory> {
    let nodes = [
        node("", "Abs", &["x"], "a"),
        node("acme", "Twice", &["a"], "m"),
        node("", "Add", &["x", "m"], "z"),
    ];
    let graph = field(7, &[nodes.concat(), port(11, "x"), port(12, "z")].concat());
    let opset = field(8, &[16, 18]);
    Arc::new(Bytes([vec![8, 10], opset, graph].concat()))
}

fn acme(options: &[(&str, &str)]) -> Runtime {
    let table = Table::linked(remuda_sdk::table::<Acme>()).unwrap();
    let builder = Runtime::builder().threads(1).link(table).backends(["acme", "cpu"]);
    let set = |builder: remuda::Builder, (key, value): &(&str, &str)| {
        builder.provider_option("acme", *key, *value)
    };
    options.iter().fold(builder, set).build().unwrap()
}

fn input() -> [(&'static str, Tensor); 1] {
    [("x", Tensor::from_vec::<f32>(vec![3], vec![1.0, -2.0, 3.0]).unwrap())]
}

#[test]
fn the_provider_that_knows_an_operator_gets_it() {
    let model = acme(&[]).load_bytes(model()).unwrap();
    let outputs = model.run(input()).unwrap();
    let sums = outputs.get("z").unwrap().tensor().unwrap().to_vec::<f32>().unwrap();
    assert_eq!(sums, [3.0, 2.0, 9.0]);
    let plan = model.placement();
    let owners: Vec<&str> = plan.classes[0]
        .parts
        .iter()
        .map(|part| plan.providers[part.provider.index()].name.as_str())
        .collect();
    assert_eq!(owners.len(), 3, "{owners:?}");
    assert!(owners[1].starts_with("acme"), "{owners:?}");
}

#[test]
fn without_it_the_operator_is_refused_with_every_reason() {
    let alone = Runtime::builder().threads(1).build().unwrap();
    let Err(Error::Model { kind, message, hint }) = alone.load_bytes(model()) else {
        panic!("the CPU has no kernel for it")
    };
    assert_eq!(kind, ErrorKind::Unsupported);
    assert_eq!(
        message,
        "no provider supports node `m` (acme::Twice): `cpu`: op-unsupported operator `acme::Twice` is not known"
    );
    assert!(hint.unwrap().contains("remuda ops"));
}

#[test]
fn when_it_dies_the_run_ends_with_a_reason() {
    let model = acme(&[("dies", "yes")]).load_bytes(model()).unwrap();
    let error = model.run(input()).unwrap_err().to_string();
    assert!(error.contains("acme::Twice"), "{error}");
}
