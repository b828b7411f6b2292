//! Resizing along an axis: weighted sums of elements, which a table lists for each place.

use super::source::{Bindings, Dispatch, Elem, Filling, word};

const THREADS: u32 = 64;

const TEMPLATE: &str = "\
{{main}} {
    let i = (group.y * groups.x + group.x) * {{threads}} + lane;
    if i >= {{count}} {
        return;
    }
    let line = i / {{inner}};
    let place = line % {{places}};
    let origin = (line / {{places}}) * {{size}} * {{inner}} + i % {{inner}};
    let first = params[{{starts}} + place];
    let end = params[{{starts}} + place + 1u];
    if first == end {
        y[i] = float_of({{outside}});
        return;
    }
    var sum = 0.0;
    for (var at = first; at < end; at += 1u) {
        let tap = {{starts}} + {{places}} + 1u + 2u * at;
        sum += float_of(params[tap + 1u]) * x_at(origin + params[tap] * {{inner}});
    }
    y[i] = sum;
}
";

/// A tensor of so many lines along an axis of a size, with so many elements behind it, in order. Each place
/// of the result is the sum of some elements of its line, each so many times, or `outside`.
pub(crate) fn resize(
    elem: Elem,
    [lines, size, inner]: [usize; 3],
    places: &[Option<Vec<(usize, f64)>>],
    outside: f32,
) -> Dispatch {
    let count = lines * places.len() * inner;
    let outside = if places.iter().any(Option::is_none) { outside } else { 0.0 };
    let mut filling = Filling::default();
    filling.param("count", word(count));
    filling.param("size", word(size));
    filling.param("inner", word(inner));
    filling.param("places", word(places.len()));
    filling.param("outside", outside.to_bits());
    let starts = filling.row([0]);
    filling.text("starts", format!("{starts}u"));
    let mut end = 0;
    for taps in places {
        end += taps.as_ref().map_or(0, Vec::len);
        filling.row([word(end)]);
    }
    for &(at, share) in places.iter().flatten().flatten() {
        #[expect(clippy::cast_possible_truncation, reason = "the device has floats")]
        let share = share as f32;
        filling.row([word(at), share.to_bits()]);
    }
    let bindings = Bindings::new().input("x", elem).output("y", Elem::F32);
    let kernel = bindings.kernel(THREADS, TEMPLATE, &filling);
    Dispatch { kernel, launch: filling.launch(count.div_ceil(THREADS as usize)) }
}
