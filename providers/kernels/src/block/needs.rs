//! How much memory products take beside weights and results.

use super::activations::{Chunk, TILE, float_tile};
use super::float::many_floats_length;
use super::lanes::FEW;
use super::many::{MAX_TILES, Panel, TOTALS};
use super::recipe::RECORD;
use super::{Activations, Grain};

impl Activations {
    /// Bytes that so many tokens of so many values take.
    #[must_use]
    pub fn bytes(grain: Grain, [count, depth]: [usize; 2]) -> usize {
        if grain == Grain::Float {
            let places = count.next_multiple_of(float_tile(count).max(1));
            return places * depth * size_of::<f32>();
        }
        let records = depth.div_ceil(RECORD);
        records
            * match count {
                // Whatever their tiles are: alone they take most.
                ..=FEW => (count * size_of::<Chunk<1>>()).max(size_of::<Chunk<FEW>>()),
                _ => count.div_ceil(TILE) * size_of::<Chunk<TILE>>(),
            }
    }
}

/// Bytes that each thread takes to multiply so many tokens with weights that want them in this grain.
#[must_use]
pub fn scratch_bytes(grain: Grain, count: usize) -> usize {
    match grain {
        Grain::Float => many_floats_length(count) * size_of::<f32>(),
        Grain::Block | Grain::Record if count <= FEW => 0,
        Grain::Block | Grain::Record => {
            let tiles = count.div_ceil(TILE).min(MAX_TILES);
            tiles * TOTALS * size_of::<f32>() + size_of::<Panel>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::{Activations, Grain, scratch_bytes};
    use crate::context::testing::{everywhere, noise};

    #[test]
    fn activations_take_at_most_what_is_said() {
        everywhere(|cx| {
            for grain in [Grain::Block, Grain::Record, Grain::Float] {
                for (count, depth) in [(1, 256), (2, 300), (3, 64), (4, 512), (17, 700), (600, 256)]
                {
                    let mut activations = Activations::default();
                    activations.fill(cx, grain, depth, &noise(count * depth, 3));
                    let chunks = size_of_val(activations.ones())
                        + size_of_val(activations.twos())
                        + size_of_val(activations.tiles())
                        + size_of_val(activations.fours());
                    let held = chunks + size_of_val(activations.floats());
                    let said = Activations::bytes(grain, [count, depth]);
                    assert!(held <= said, "{grain:?} {count} {depth}: {held}, said {said}");
                    assert!(count < 5 || held == said, "{grain:?} {count} {depth}");
                }
            }
        });
    }

    #[test]
    fn scratch_stops_growing_where_tokens_are_taken_in_turns() {
        let grain = Format::of_ggml_type(8).map(Format::grain);
        let grain = grain.expect("there are kernels for Q8_0");
        assert_eq!(scratch_bytes(grain, 1), 0);
        assert!(scratch_bytes(grain, 100) < scratch_bytes(grain, 500));
        assert_eq!(scratch_bytes(grain, 1000), scratch_bytes(grain, 2000));
    }
}
