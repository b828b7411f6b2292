//! Normalisations of lines: layers, roots of mean squares, groups and instances.

use super::lines::{Sharing, THREADS};
use super::source::{Bindings, Dispatch, Elem, Filling, word};

/// What is normalised: lines that lie one after the other. The inputs of the kernel are the data, what is
/// added to it, the scale and the bias; the outputs are the result and, where it is kept, the sum.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) elem: Elem,
    pub(crate) lines: usize,
    pub(crate) width: usize,
    /// Whether the mean is taken away first.
    pub(crate) centred: bool,
    pub(crate) epsilon: f32,
    /// What is added to the data first: elements, which begin anew after so many.
    pub(crate) added: Vec<(Elem, usize)>,
    pub(crate) keeps_sum: bool,
    pub(crate) scale: Option<Elem>,
    pub(crate) bias: Option<Elem>,
    pub(crate) channels: Channels,
}

/// Which element of scale and bias belongs to which of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channels {
    /// After so many lines they begin anew.
    pub(crate) period: usize,
    /// So many neighbours share one.
    pub(crate) inner: usize,
}

impl Channels {
    /// One for each place of a line.
    pub(crate) const EACH: Self = Self { period: 1, inner: 1 };
}

impl Norm {
    /// A kernel and its launch.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let lines = if self.width == 0 { 0 } else { self.lines };
        let sharing = Sharing::of(self.width, 1);
        let mut filling = Filling::default();
        let mut bindings = Bindings::new().input("x", self.elem);
        let mut element = "x_at(at)".to_owned();
        for (i, (elem, _)) in self.added.iter().enumerate() {
            bindings = bindings.input(&format!("added{i}"), *elem);
        }
        let counts = filling.row(self.added.iter().map(|(_, count)| word((*count).max(1))));
        for i in 0..self.added.len() {
            element += &format!(" + added{i}_at(at % params[{}])", counts + i);
        }
        let mut value =
            if self.centred { "(x - mean) * inverse" } else { "x * inverse" }.to_owned();
        if let Some(elem) = self.scale {
            bindings = bindings.input("scale", elem);
            value += " * scale_at(channel)";
        }
        if let Some(elem) = self.bias {
            bindings = bindings.input("bias", elem);
            value += " + bias_at(channel)";
        }
        bindings = bindings.output("y", Elem::F32);
        if self.keeps_sum {
            bindings = bindings.output("kept", Elem::F32);
        }
        filling.text("element", element);
        filling.text("value", value);
        filling.text("keep", if self.keeps_sum { "        kept[origin + i] = x;\n" } else { "" });
        filling.text("mean", if self.centred { MEAN } else { "    let mean = 0.0;\n" });
        sharing.fill(&mut filling);
        filling.param("lines", word(lines));
        filling.param("width", word(self.width));
        filling.param("epsilon", self.epsilon.to_bits());
        filling.param("period", word(self.channels.period.max(1)));
        filling.param("inner", word(self.channels.inner.max(1)));
        let kernel = bindings.kernel(THREADS, include_str!("norm.wgsl"), &filling);
        Dispatch { kernel, launch: filling.launch(sharing.groups(lines)) }
    }
}

const MEAN: &str = "    for (var i = {{first}}; i < width; i += {{step}}) {
        sum += element(origin + i);
    }
    let mean = {{all_sum}} * inverse_width;
";
