//! Where the inputs and outputs of a run lie: in host memory or in buffers of the provider, as the host
//! says. Values lie in the middle of buffers, between margins that must stay as they are.

use remuda_abi::{KIND_TENSOR, Value};
use remuda_ir::Val;
use remuda_tensor::{DType, Tensor};

use super::abi::read_all;
use super::memory::Raw;
use super::raw::{Compiling, Exported, Instance, Program, release};
use crate::bench::{Bench, Refused, Sample, Verdict, claimed, told};

/// Bytes in front of a value in its buffer, and behind it.
const MARGIN: usize = 256;
/// What margins hold.
const FILL: u8 = 0xa5;
/// Sides of the matrices that are run over.
const SIZE: usize = 9;
/// Bytes of such a matrix.
const BYTES: usize = SIZE * SIZE * 4;

/// A buffer with a value in its middle.
struct Framed<'i> {
    buffer: Raw<'i>,
    /// All of the buffer, as it should be.
    content: Vec<u8>,
}

impl<'i> Framed<'i> {
    fn new(instance: &'i Instance, device: u32, value: &[u8]) -> Result<Self, Refused> {
        if instance.table.allocate.is_none() {
            return Err(Refused::NotTaken("it has no memory of its own".to_owned()));
        }
        let margin = [FILL; MARGIN];
        let content = [&margin[..], value, &margin[..]].concat();
        let buffer = Raw::new(instance, device, content.len() as u64);
        let buffer = buffer.map_err(told("it does not allocate"))?;
        buffer.upload(0, &content).map_err(told("it cannot be written to"))?;
        Ok(Self { buffer, content })
    }

    /// A place for `bytes` bytes in the middle.
    fn place(&self, bytes: usize) -> Value {
        Value {
            kind: KIND_TENSOR,
            bytes: bytes as u64,
            buffer: self.buffer.handle(),
            buffer_offset: MARGIN as u64,
            ..Value::none()
        }
    }

    /// What the whole buffer holds now.
    fn read(&self) -> Result<Vec<u8>, String> {
        let mut now = vec![0; self.content.len()];
        self.buffer.download(0, &mut now).map_err(told("a buffer cannot be read"))?;
        Ok(now)
    }
}

/// A compiled chain with its inputs, in host memory and in buffers.
struct Setting<'i> {
    sample: &'i Sample,
    instance: &'i Instance,
    program: Program<'i>,
    host: Exported,
    buffers: Vec<Framed<'i>>,
}

impl<'i> Setting<'i> {
    fn new(instance: &'i Instance, device: u32, sample: &'i Sample) -> Result<Self, Refused> {
        let bytes = |val: &Val| val.tensor().ok().and_then(|t| t.bytes().map(<[u8]>::to_vec));
        let framed = sample.inputs.iter().map(|val| {
            let bytes = bytes(val).ok_or_else(|| "an input has no bytes".to_owned())?;
            Framed::new(instance, device, &bytes)
        });
        let buffers = framed.collect::<Result<_, _>>()?;
        let program = instance.compile(device, &sample.graph, &Compiling::default());
        let program = program.map_err(told("it does not compile"))?;
        Ok(Self { sample, instance, program, host: Exported::new(&sample.inputs), buffers })
    }

    /// The inputs, those in buffers for which the bit of their number is set in `placed`.
    fn inputs(&self, placed: usize) -> Vec<Value> {
        let value = |(at, (host, framed)): (usize, (&Value, &Framed<'_>))| {
            if placed >> at & 1 == 0 {
                return *host;
            }
            let Value { dtype, rank, dims, .. } = *host;
            Value { dtype, rank, dims, ..framed.place(BYTES) }
        };
        self.host.0.iter().zip(&self.buffers).enumerate().map(value).collect()
    }

    /// Whether the inputs in buffers are as they were.
    fn untouched(&self) -> Result<(), String> {
        for (at, framed) in self.buffers.iter().enumerate() {
            if framed.read()? != framed.content {
                return Err(format!("it changed the buffer in which input {at} lies"));
            }
        }
        Ok(())
    }
}

/// Inputs in host memory, in buffers, and some here and some there.
pub(super) fn inputs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = Sample::find(&bench.device(device)?, SIZE, 3)?;
        let instance = Instance::open(bench)?;
        let setting = Setting::new(&instance, device, &sample)?;
        for placed in 0..1 << sample.inputs.len().min(3) {
            let told = |what: String| format!("with inputs {placed:#b} in buffers: {what}");
            let ran = setting.program.run(&setting.inputs(placed));
            let outputs = ran.map_err(|failure| told(failure.to_string()))?;
            let read = read_all(setting.instance, &outputs);
            outputs.iter().for_each(release);
            read.and_then(|got| setting.sample.check(&got)).map_err(&told)?;
            setting.untouched().map_err(&told)?;
        }
        Ok(())
    })
}

/// An output in a buffer of the host's choice: there, and nowhere else in it.
pub(super) fn outputs(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = Sample::find(&bench.device(device)?, SIZE, 3)?;
        let instance = Instance::open(bench)?;
        let setting = Setting::new(&instance, device, &sample)?;
        let framed = Framed::new(&instance, device, &[FILL; BYTES])?;
        for placed in [0, usize::MAX] {
            let mut places = [framed.place(BYTES)];
            let ran = setting.program.run_to(&setting.inputs(placed), &mut places);
            ran.map_err(told("a run fails whose output lies in a buffer"))?;
            if places[0].buffer != framed.buffer.handle() || places[0].bytes != BYTES as u64 {
                return Err("it did not keep to the place of an output".to_owned().into());
            }
            let now = framed.read()?;
            if now[..MARGIN] != framed.content[..MARGIN] || now[MARGIN + BYTES..] != [FILL; MARGIN]
            {
                return Err("it wrote beside the place of an output".to_owned().into());
            }
            let got = Tensor::from_bytes(DType::F32, [SIZE, SIZE], &now[MARGIN..MARGIN + BYTES]);
            let got = got.map_err(|error| error.to_string())?;
            sample.check(&[got.into()])?;
            setting.untouched()?;
        }
        Ok(())
    })
}

/// A place in a buffer that is too small is refused, and nothing is written behind it.
pub(super) fn too_small(bench: &Bench, device: u32) -> Verdict {
    claimed(|| {
        let sample = Sample::find(&bench.device(device)?, SIZE, 3)?;
        let instance = Instance::open(bench)?;
        let setting = Setting::new(&instance, device, &sample)?;
        let framed = Framed::new(&instance, device, &[FILL; BYTES])?;
        let mut places = [framed.place(BYTES - 4)];
        let ran = setting.program.run_to(&setting.inputs(0), &mut places);
        if framed.read()?[MARGIN + BYTES - 4..] != [FILL; MARGIN + 4] {
            return Err("it wrote behind a place that is too small".to_owned().into());
        }
        if ran.is_ok() {
            return Err(format!("an output of {BYTES} bytes fits a place of {}", BYTES - 4).into());
        }
        Ok(())
    })
}
