//! Kernels as text: what they bind, what all of them share, and the filling of templates.

use std::fmt::Write as _;

/// How the elements of a tensor lie in memory of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Elem {
    F32,
    /// Half floats, two in a word.
    F16,
    /// The upper halves of floats, two in a word.
    BF16,
    I32,
    /// A word each: 0 or 1.
    Bool,
    /// Blocks of 32 signed bytes behind a half that scales them, as in files: only tables of caches.
    Q8_0,
}

impl Elem {
    /// The type of the array in WGSL.
    fn stored(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::F16 | Self::BF16 | Self::Bool | Self::Q8_0 => "u32",
        }
    }

    /// The type of one element in WGSL.
    pub(super) fn value(self) -> &'static str {
        match self {
            Self::F32 | Self::F16 | Self::BF16 | Self::Q8_0 => "f32",
            Self::I32 => "i32",
            Self::Bool => "bool",
        }
    }

    /// What an element is once it is read: halves and blocks become floats.
    pub(crate) fn read_as(self) -> Self {
        match self {
            Self::F16 | Self::BF16 | Self::Q8_0 => Self::F32,
            other => other,
        }
    }

    /// What reads element `i` of an array.
    fn read(self, name: &str) -> String {
        match self {
            Self::F32 | Self::I32 => format!("{name}[i]"),
            Self::Bool => format!("{name}[i] != 0u"),
            Self::F16 => format!("half_value(({name}[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu)"),
            Self::BF16 => {
                format!("float_of((({name}[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu) << 16u)")
            }
            Self::Q8_0 => {
                let (block, at) = ("(i >> 5u) * 34u", "((i >> 5u) * 34u + 2u + (i & 31u))");
                format!(
                    "half_value(({name}[({block}) >> 2u] >> ((({block}) & 2u) * 8u)) & 0xffffu) * \
                     f32(i32({name}[{at} >> 2u] << (24u - ({at} & 3u) * 8u)) >> 24u)"
                )
            }
        }
    }
}

/// The text of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kernel {
    /// WGSL with the entry point `main`.
    pub(crate) source: String,
    /// As in the source.
    pub(crate) workgroup: [u32; 3],
    /// Bindings 0.. that are read: `var<storage, read>`.
    pub(crate) inputs: usize,
    /// The bindings after them, that are written: `var<storage, read_write>`. The one after these holds
    /// the parameters: `var<storage, read> array<u32>`.
    pub(crate) outputs: usize,
}

/// The numbers of one launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) params: Vec<u32>,
    /// Nothing is to be done where one of them is 0.
    pub(crate) groups: [u32; 3],
}

/// A kernel on tensors of given sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub(crate) kernel: Kernel,
    pub(crate) launch: Launch,
}

/// Groups along one axis that every device takes.
pub(crate) const MOST_GROUPS: u32 = 65_535;

/// Groups for so many workgroups in a row, folded where one axis does not hold them. Some at the end may
/// be too many.
pub(crate) fn folded_groups(count: usize) -> [u32; 3] {
    let count = word(count);
    if count <= MOST_GROUPS {
        return [count, 1, 1];
    }
    let rows = count.div_ceil(MOST_GROUPS);
    [count.div_ceil(rows), rows, 1]
}

/// A size as a parameter.
pub(super) fn word(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// A stride or an offset as a parameter.
pub(super) fn signed(stride: isize) -> u32 {
    i32::try_from(stride).unwrap_or(i32::MAX).cast_unsigned()
}

/// Declares the tensors of a kernel in the order of their bindings.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    text: String,
    inputs: usize,
    outputs: usize,
}

impl Bindings {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn declare(&mut self, access: &str, name: &str, stored: &str) {
        let at = self.inputs + self.outputs;
        let _ = writeln!(
            self.text,
            "@group(0) @binding({at}) var<storage, {access}> {name}: array<{stored}>;"
        );
    }

    /// An array that is read, and `NAME_at(i)`.
    pub(super) fn input(mut self, name: &str, elem: Elem) -> Self {
        self.declare("read", name, elem.stored());
        self.inputs += 1;
        let (value, read) = (elem.value(), elem.read(name));
        let _ = writeln!(self.text, "fn {name}_at(i: u32) -> {value} {{ return {read}; }}");
        self
    }

    /// Words that are read.
    pub(super) fn words(mut self, name: &str) -> Self {
        self.declare("read", name, "u32");
        self.inputs += 1;
        self
    }

    /// Integers that are read.
    pub(super) fn integers(mut self, name: &str) -> Self {
        self.declare("read", name, "i32");
        self.inputs += 1;
        self
    }

    /// An array that is written.
    pub(super) fn output(mut self, name: &str, elem: Elem) -> Self {
        self.declare("read_write", name, elem.stored());
        self.outputs += 1;
        self
    }

    /// The kernel whose further text is a template: `{{main}}` begins its entry point with `group`,
    /// `groups` and `lane`, `{{threads}}` is how many invocations a workgroup has, all else is filled in
    /// as given, and functions of the library are added that it calls.
    pub(super) fn kernel(mut self, threads: u32, template: &str, filling: &Filling) -> Kernel {
        let at = self.inputs + self.outputs;
        let _ = writeln!(
            self.text,
            "@group(0) @binding({at}) var<storage, read> params: array<u32>;\n"
        );
        let text = filling.fill(self.text + template).replace("{{main}}", MAIN);
        let source = (library(&text) + &text).replace("{{threads}}", &format!("{threads}u"));
        Kernel { source, workgroup: [threads, 1, 1], inputs: self.inputs, outputs: self.outputs }
    }
}

const MAIN: &str = "\
@compute @workgroup_size({{threads}})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
)";

/// What is put for the names in a template, and the parameters of a launch.
#[derive(Debug, Default)]
pub(super) struct Filling {
    pub(super) params: Vec<u32>,
    named: Vec<(&'static str, usize)>,
    texts: Vec<(&'static str, String)>,
}

impl Filling {
    /// A parameter by name.
    pub(super) fn param(&mut self, name: &'static str, value: u32) {
        self.named.push((name, self.params.len()));
        self.params.push(value);
    }

    /// Parameters in a row: where they begin.
    pub(super) fn row(&mut self, values: impl IntoIterator<Item = u32>) -> usize {
        let at = self.params.len();
        self.params.extend(values);
        at
    }

    /// A text by name, which may name parameters.
    pub(super) fn text(&mut self, name: &'static str, text: impl Into<String>) {
        self.texts.push((name, text.into()));
    }

    /// What another fills in, after this; only the other one has parameters.
    pub(super) fn then(&mut self, other: Self) {
        self.texts.extend(other.texts);
        self.named = other.named;
        self.params = other.params;
    }

    fn fill(&self, mut text: String) -> String {
        for (name, value) in &self.texts {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        for (name, at) in &self.named {
            text = text.replace(&format!("{{{{{name}}}}}"), &format!("params[{at}]"));
        }
        text
    }

    /// The launch of so many workgroups.
    pub(super) fn launch(self, groups: usize) -> Launch {
        Launch { params: self.params, groups: folded_groups(groups) }
    }
}

const LIBRARY: &str = concat!(include_str!("math.wgsl"), "\n", include_str!("together.wgsl"));

/// The functions of the library that a text calls, with those that they call.
fn library(text: &str) -> String {
    let mut taken: Vec<&str> = Vec::new();
    let chunks: Vec<&str> = LIBRARY.split("\n\n").collect();
    for chunk in chunks.into_iter().rev() {
        let Some(name) = function_name(chunk) else { continue };
        let call = format!("{name}(");
        if calls(text, &call) || taken.iter().any(|other| calls(other, &call)) {
            taken.push(chunk);
        }
    }
    taken.reverse();
    taken.iter().map(|chunk| format!("{}\n\n", chunk.trim())).collect()
}

/// The name of the first function in a piece of text.
fn function_name(chunk: &str) -> Option<&str> {
    let line = chunk.lines().find_map(|line| line.strip_prefix("fn "))?;
    line.split('(').next()
}

/// Whether a text has a call, which no longer name ends with.
fn calls(text: &str, call: &str) -> bool {
    text.match_indices(call).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|one| one == '_' || one.is_ascii_alphanumeric())
    })
}
