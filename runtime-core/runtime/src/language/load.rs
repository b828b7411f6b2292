//! Loading a language model: its files, how much memory it may take, its engine.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use remuda_engine::{Budget, Engine, Memory as Plan, Runner};
use remuda_exec::Target;
use remuda_models::{Adapter, LanguageModel as Built, ModelFile, Options};
use remuda_sample::Candidate;
use remuda_tensor::Memory;

use super::{LanguageModel, LanguageOptions, Loaded, model_error, run_error};
use crate::demo::demo;
use crate::{Error, ErrorKind, Runtime};

/// Of the memory that is free, so much is left to others.
const SPARE: u64 = 10;

/// No context is cut below this, and contexts that are cut are multiples of it.
const LEAST_CONTEXT: usize = 512;

impl LanguageModel {
    pub(crate) fn open(
        runtime: &Runtime,
        path: &Path,
        options: &LanguageOptions,
    ) -> Result<Self, Error> {
        Self::prepare(runtime, file(path)?, options)
    }

    pub(crate) fn from_memory(
        runtime: &Runtime,
        bytes: Arc<dyn Memory>,
        options: &LanguageOptions,
    ) -> Result<Self, Error> {
        Self::prepare(runtime, ModelFile::from_memory(bytes), options)
    }

    fn prepare(
        runtime: &Runtime,
        file: ModelFile,
        options: &LanguageOptions,
    ) -> Result<Self, Error> {
        let alone;
        let runtime = if options.deterministic {
            alone = deterministic(runtime)?;
            &alone
        } else {
            runtime
        };
        let adapters = options.adapters.iter();
        let adapters =
            adapters.map(|(path, scale)| Ok(Adapter { file: self::file(path)?, scale: *scale }));
        let adapters = adapters.collect::<Result<Vec<_>, Error>>()?;
        let draft = options.draft.as_deref().map(self::file).transpose()?;
        let wish = Wish { runtime, options };
        let mut model = wish.build(&file, options.context, &adapters)?;
        let mut guesses = draft.as_ref().map(|file| wish.build(file, options.context, &[]));
        let context =
            wish.context(&model, guesses.as_ref().and_then(|built| built.as_ref().ok()))?;
        if context != options.context.unwrap_or(model.info.context) {
            model = wish.build(&file, Some(context), &adapters)?;
            guesses = draft.as_ref().map(|file| wish.build(file, Some(context), &[]));
        }
        let cut = context < options.context.unwrap_or(model.info.context);
        let mut memory = wish.plan(&model, context)?;
        let runner = wish.runner(model, context)?;
        memory.packed_bytes = runner.packed_bytes();
        let draft = match guesses.transpose()? {
            Some(guesses) => {
                let own = wish.plan(&guesses, context)?;
                let draft = wish.runner(guesses, context)?;
                memory = sum(memory, Plan { packed_bytes: draft.packed_bytes(), ..own });
                Some(draft)
            }
            None => None,
        };
        let engine = Engine::start(runner, draft).map_err(run_error)?;
        Ok(Self(Arc::new(Loaded {
            engine,
            memory,
            cut,
            file,
            tokenizer: OnceLock::new(),
            template: OnceLock::new(),
            compiler: OnceLock::new(),
            threads: runtime.threads(),
        })))
    }
}

/// The model of this path.
fn file(path: &Path) -> Result<ModelFile, Error> {
    match demo(path) {
        Some(carried) => Ok(ModelFile::from_memory(carried)),
        None => ModelFile::open(path).map_err(model_error),
    }
}

/// The same runtime with the CPU alone, unless somebody asked for another backend.
fn deterministic(runtime: &Runtime) -> Result<Runtime, Error> {
    let others = |name: &&String| !matches!(name.as_str(), "auto" | "cpu");
    match runtime.backends().iter().find(others) {
        None => runtime.with_backends(["cpu"]),
        Some(other) => Err(Error::Setup(format!(
            "answers cannot be deterministic on backend `{other}`: only `cpu` promises results that \
             depend on neither batch nor threads"
        ))),
    }
}

fn sum(one: Plan, other: Plan) -> Plan {
    Plan {
        weight_bytes: one.weight_bytes + other.weight_bytes,
        cache_bytes: one.cache_bytes + other.cache_bytes,
        packed_bytes: one.packed_bytes + other.packed_bytes,
        work_bytes: one.work_bytes + other.work_bytes,
    }
}

/// What is wanted of a model, and where.
struct Wish<'a> {
    runtime: &'a Runtime,
    options: &'a LanguageOptions,
}

impl Wish<'_> {
    fn build(
        &self,
        file: &ModelFile,
        context: Option<usize>,
        adapters: &[Adapter],
    ) -> Result<Built, Error> {
        let options = Options { cache: self.options.cache, context, adapters: adapters.to_vec() };
        Built::build(file, &options).map_err(model_error)
    }

    fn budget(&self, context: usize) -> Budget {
        let options = self.options;
        Budget {
            context,
            sequences: options.sequences,
            step_tokens: options.step_tokens,
            lookup: options.lookup,
            mirror: options.mirror,
        }
    }

    fn runner(&self, model: Built, context: usize) -> Result<Runner, Error> {
        let session = self.runtime.session_options();
        let place = (&self.runtime.selection, &session);
        Runner::new(model, self.budget(context), place).map_err(run_error)
    }

    fn cpu(&self) -> Result<&Target, Error> {
        let targets = &self.runtime.selection.targets;
        targets.last().ok_or_else(|| Error::Setup("there is no CPU".to_owned()))
    }

    /// The memory that a model takes, with its weights' copies taken to be as large as they are.
    fn plan(&self, model: &Built, context: usize) -> Result<Plan, Error> {
        let cpu = self.cpu()?;
        let packs = self.runtime.packs && self.runtime.selection.targets.len() == 1;
        let place = (&cpu.provider, cpu.device.index, packs);
        let opset = self.runtime.session_options().opset;
        let plan = Plan::of(model, &self.budget(context), place, opset);
        let plan = plan.map_err(|failure| Error::Run(failure.into()))?;
        let sampled = model.info.vocabulary.saturating_mul(size_of::<Candidate>());
        Ok(Plan { work_bytes: plan.work_bytes.saturating_add(sampled as u64), ..plan })
    }

    /// The context that is asked for, if memory has room for it; else the model's own, or the most that
    /// there is room for.
    fn context(&self, model: &Built, draft: Option<&Built>) -> Result<usize, Error> {
        let need = |context| -> Result<u64, Error> {
            let own = self.plan(model, context)?.taken_bytes();
            let guesses = draft.map(|draft| self.plan(draft, context)).transpose()?;
            Ok(own.saturating_add(guesses.map_or(0, |plan| plan.taken_bytes())))
        };
        let wanted = self.options.context.unwrap_or(model.info.context);
        let cpu = self.cpu()?;
        let Ok(memory) = cpu.provider.memory(cpu.device.index) else { return Ok(wanted) };
        let room = memory.free_bytes - memory.free_bytes / SPARE;
        let needed = need(wanted)?;
        if needed <= room {
            return Ok(wanted);
        }
        let most = most_that_fits(wanted, |context| Ok(need(context)? <= room))?;
        if self.options.context.is_none() {
            return Ok(most.max(LEAST_CONTEXT.min(wanted)));
        }
        let hint = (most > 0).then(|| format!("there is room for {most} positions"));
        Err(Error::Model {
            kind: ErrorKind::Resource,
            message: format!(
                "a context of {wanted} positions needs {needed} bytes of memory, there is room for \
                 {room}"
            ),
            hint,
        })
    }
}

/// The largest context below `wanted` that fits; 0 if even the smallest does not.
fn most_that_fits(
    wanted: usize,
    fits: impl Fn(usize) -> Result<bool, Error>,
) -> Result<usize, Error> {
    let (mut low, mut high) = (0, wanted.div_ceil(LEAST_CONTEXT));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle * LEAST_CONTEXT)? { low = middle } else { high = middle }
    }
    Ok(low * LEAST_CONTEXT)
}

#[cfg(test)]
mod tests {
    use super::most_that_fits;

    #[test]
    fn the_most_that_fits_is_found_to_the_grain() {
        for room in [0, 511, 512, 5000, 131_071] {
            let most = most_that_fits(131_072, |context| Ok(context <= room)).unwrap();
            assert_eq!(most, room / 512 * 512);
        }
    }
}
