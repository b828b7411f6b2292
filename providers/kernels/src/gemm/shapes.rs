//! Which tiles an instruction set computes, and the compiled kernel of each.
//!
//! The main shape fills the registers; products of few rows take shapes of fewer rows and more
//! strips, which read the right-hand side as several streams and come nearer to the bandwidth of
//! memory.

use remuda_simd::Isa;

use super::tile::{MAX_ROWS, MAX_STRIPS, Tile, TileKernel};

/// A compiled tile; see [`TileKernel::new`] for what the tile must fulfil.
pub(super) type TileFn = unsafe fn(Isa, &Tile);

/// The shapes of an instruction set.
#[derive(Debug)]
pub(super) struct Shapes {
    /// `strips[r - 1]`: the most strips that a tile of `r` rows may have.
    pub(super) strips: &'static [usize],
    /// Rows of the main shape.
    pub(super) rows: usize,
    kernels: &'static [[TileFn; MAX_STRIPS]; MAX_ROWS],
}

impl Shapes {
    pub(super) fn of(isa: Isa) -> &'static Self {
        match isa {
            Isa::Avx512(_) => &AVX512,
            Isa::Avx2(_) => &AVX2,
            Isa::Neon(_) => &NEON,
            Isa::Portable(_) => &PORTABLE,
        }
    }

    /// The most strips of a tile of `rows` rows.
    pub(super) fn strips(&self, rows: usize) -> usize {
        self.strips[rows - 1]
    }

    pub(super) fn kernel(&self, rows: usize, strips: usize) -> TileFn {
        debug_assert!(strips <= self.strips(rows));
        self.kernels[rows - 1][strips - 1]
    }
}

unsafe fn run<const R: usize, const S: usize>(isa: Isa, tile: &Tile) {
    // SAFETY: passed on from the caller.
    isa.run(unsafe { TileKernel::<R, S>::new(tile) });
}

const fn row<const R: usize>() -> [TileFn; MAX_STRIPS] {
    [run::<R, 1>, run::<R, 2>, run::<R, 3>, run::<R, 4>]
}

static KERNELS: [[TileFn; MAX_STRIPS]; MAX_ROWS] = [
    row::<1>(),
    row::<2>(),
    row::<3>(),
    row::<4>(),
    row::<5>(),
    row::<6>(),
    row::<7>(),
    row::<8>(),
];

static AVX512: Shapes = Shapes { strips: &[4, 4, 4, 4, 4, 4, 3, 3], rows: 8, kernels: &KERNELS };
static AVX2: Shapes = Shapes { strips: &[4, 2, 2, 1, 1, 1], rows: 6, kernels: &KERNELS };
static NEON: Shapes = Shapes { strips: &[4, 2, 2, 1, 1, 1], rows: 6, kernels: &KERNELS };
static PORTABLE: Shapes = Shapes { strips: &[2, 1, 1], rows: 3, kernels: &KERNELS };
