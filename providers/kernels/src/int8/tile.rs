//! The microkernel of bytes: a few rows by a few strips over the whole depth.
#![expect(clippy::needless_range_loop, reason = "indices run over registers and addresses at once")]

use remuda_simd::Isa;

use super::bytes::QUAD;
use super::dot::{Dot, Plain};
use crate::gemm::STRIP;

/// The largest tile.
pub(super) const MAX_ROWS: usize = 8;
/// As [`MAX_ROWS`], in strips.
pub(super) const MAX_STRIPS: usize = 4;

/// Vectors of a strip where they are shortest.
const MAX_VECTORS: usize = 4;

/// Sums of a tile, row after row of all its strips.
pub(super) type Sums = [i32; MAX_ROWS * MAX_STRIPS * STRIP];

/// The operands of a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile<'a> {
    /// Rows, whole quads, one after the other.
    pub(super) rows: &'a [u8],
    /// Bytes of a row.
    pub(super) depth: usize,
    /// Strips, one after the other.
    pub(super) strips: &'a [u8],
    pub(super) strip_signed: bool,
}

/// How an instruction set multiplies bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2(remuda_simd::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni(remuda_simd::Avx2Vnni),
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(remuda_simd::Avx512Vnni),
}

impl Method {
    pub(super) fn of(isa: Isa) -> Self {
        #[cfg(target_arch = "x86_64")]
        match isa {
            Isa::Avx512(token) => {
                return token.vnni().map_or(Self::of_avx2(token.avx2()), Self::Avx512Vnni);
            }
            Isa::Avx2(token) => return Self::of_avx2(token),
            Isa::Neon(_) | Isa::Portable(_) => {}
        }
        let _ = isa;
        Self::Plain
    }

    #[cfg(target_arch = "x86_64")]
    fn of_avx2(token: remuda_simd::Avx2) -> Self {
        token.vnni().map_or(Self::Avx2(token), Self::Avx2Vnni)
    }

    /// `strips(r)[r - 1]`: the most strips of a tile of `r` rows.
    pub(super) fn strips(self) -> &'static [usize] {
        match self {
            Self::Plain => &[1],
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => &[1, 1],
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Vnni(_) => &[4, 2, 2, 1, 1, 1],
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => &[4, 4, 4, 4, 4, 4, 3, 3],
        }
    }

    /// Writes the sums of a tile of `rows` rows and `strips` strips, `[rows][strips][STRIP]`.
    pub(super) fn run(self, tile: &Tile<'_>, [rows, strips]: [usize; 2], sums: &mut Sums) {
        assert!(tile.rows.len() >= rows * tile.depth, "rows are within their slice");
        assert!(tile.strips.len() >= strips * tile.depth * STRIP, "strips are within their slice");
        assert!(strips <= self.strips()[rows - 1], "a tile fits the registers");
        self.dispatch(tile, [rows, strips], sums);
    }
}

/// A compiled tile; the token proves the features that it is compiled with.
#[cfg(target_arch = "x86_64")]
type TileFn<D> = unsafe fn(D, &Tile<'_>, &mut Sums);

/// The kernels of one method, `[signed][rows - 1][strips - 1]`.
#[cfg(target_arch = "x86_64")]
type Table<D> = [[[TileFn<D>; MAX_STRIPS]; MAX_ROWS]; 2];

impl Method {
    fn dispatch(self, tile: &Tile<'_>, [rows, strips]: [usize; 2], sums: &mut Sums) {
        let signed = usize::from(tile.strip_signed);
        match self {
            Self::Plain => {
                if tile.strip_signed {
                    multiply::<_, true, 1, 1>(Plain, tile, sums);
                } else {
                    multiply::<_, false, 1, 1>(Plain, tile, sums);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => {
                // SAFETY: the token proves the features that the kernel is compiled with.
                unsafe { x86::AVX2[signed][rows - 1](token, tile, sums) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Vnni(token) => {
                // SAFETY: as above.
                unsafe { x86::AVX2_VNNI[signed][rows - 1][strips - 1](token, tile, sums) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(token) => {
                // SAFETY: as above.
                unsafe { x86::AVX512_VNNI[signed][rows - 1][strips - 1](token, tile, sums) }
            }
        }
        let _ = (rows, strips, signed);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The kernels compiled with the features of their tokens.

    use remuda_simd::{Avx2, Avx2Vnni, Avx512Vnni};

    use super::{MAX_ROWS, MAX_STRIPS, Sums, Table, Tile, TileFn, multiply};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn avx512_vnni<const SIGNED: bool, const R: usize, const S: usize>(
        token: Avx512Vnni,
        tile: &Tile<'_>,
        sums: &mut Sums,
    ) {
        multiply::<_, SIGNED, R, S>(token, tile, sums);
    }

    #[target_feature(enable = "avx2,fma,avxvnni")]
    fn avx2_vnni<const SIGNED: bool, const R: usize, const S: usize>(
        token: Avx2Vnni,
        tile: &Tile<'_>,
        sums: &mut Sums,
    ) {
        multiply::<_, SIGNED, R, S>(token, tile, sums);
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2<const SIGNED: bool, const R: usize>(token: Avx2, tile: &Tile<'_>, sums: &mut Sums) {
        multiply::<_, SIGNED, R, 1>(token, tile, sums);
    }

    const fn wide<const SIGNED: bool, const R: usize>() -> [TileFn<Avx512Vnni>; MAX_STRIPS] {
        [
            avx512_vnni::<SIGNED, R, 1>,
            avx512_vnni::<SIGNED, R, 2>,
            avx512_vnni::<SIGNED, R, 3>,
            avx512_vnni::<SIGNED, R, 4>,
        ]
    }

    const fn wide_rows<const SIGNED: bool>() -> [[TileFn<Avx512Vnni>; MAX_STRIPS]; MAX_ROWS] {
        [
            wide::<SIGNED, 1>(),
            wide::<SIGNED, 2>(),
            wide::<SIGNED, 3>(),
            wide::<SIGNED, 4>(),
            wide::<SIGNED, 5>(),
            wide::<SIGNED, 6>(),
            wide::<SIGNED, 7>(),
            wide::<SIGNED, 8>(),
        ]
    }

    const fn narrow<const SIGNED: bool, const R: usize>() -> [TileFn<Avx2Vnni>; MAX_STRIPS] {
        [
            avx2_vnni::<SIGNED, R, 1>,
            avx2_vnni::<SIGNED, R, 2>,
            avx2_vnni::<SIGNED, R, 3>,
            avx2_vnni::<SIGNED, R, 4>,
        ]
    }

    const fn narrow_rows<const SIGNED: bool>() -> [[TileFn<Avx2Vnni>; MAX_STRIPS]; MAX_ROWS] {
        [
            narrow::<SIGNED, 1>(),
            narrow::<SIGNED, 2>(),
            narrow::<SIGNED, 3>(),
            narrow::<SIGNED, 4>(),
            narrow::<SIGNED, 5>(),
            narrow::<SIGNED, 6>(),
            narrow::<SIGNED, 7>(),
            narrow::<SIGNED, 8>(),
        ]
    }

    pub(super) static AVX512_VNNI: Table<Avx512Vnni> = [wide_rows::<false>(), wide_rows::<true>()];
    pub(super) static AVX2_VNNI: Table<Avx2Vnni> = [narrow_rows::<false>(), narrow_rows::<true>()];
    pub(super) static AVX2: [[TileFn<Avx2>; 2]; 2] =
        [[avx2::<false, 1>, avx2::<false, 2>], [avx2::<true, 1>, avx2::<true, 2>]];
}

#[inline(always)]
fn multiply<D: Dot, const SIGNED: bool, const R: usize, const S: usize>(
    dot: D,
    tile: &Tile<'_>,
    out: &mut Sums,
) {
    let mut sums = [[[dot.zero(); MAX_VECTORS]; S]; R];
    let vectors = STRIP / D::COLUMNS;
    for quad in (0..tile.depth).step_by(QUAD) {
        let mut strips = [[None; MAX_VECTORS]; S];
        for s in 0..S {
            for v in 0..vectors {
                let start = (s * tile.depth + quad) * STRIP + v * D::COLUMNS * QUAD;
                // SAFETY: `Method::run` has checked that all strips lie within the slice.
                let quads = unsafe { tile.strips.get_unchecked(start..start + D::COLUMNS * QUAD) };
                strips[s][v] = Some(dot.strip::<SIGNED>(quads));
            }
        }
        for r in 0..R {
            let start = r * tile.depth + quad;
            // SAFETY: `Method::run` has checked that all rows lie within the slice.
            let bytes = unsafe { &*tile.rows.as_ptr().add(start).cast::<[u8; QUAD]>() };
            let row = dot.row::<SIGNED>(*bytes);
            for s in 0..S {
                for v in 0..vectors {
                    if let Some(strip) = strips[s][v] {
                        sums[r][s][v] = dot.dot::<SIGNED>(sums[r][s][v], row, strip);
                    }
                }
            }
        }
    }
    for r in 0..R {
        for s in 0..S {
            for v in 0..vectors {
                let start = (r * S + s) * STRIP + v * D::COLUMNS;
                dot.store(sums[r][s][v], &mut out[start..start + D::COLUMNS]);
            }
        }
    }
}

/// The sum of each column of one strip: its product with a row of ones.
pub(super) fn column_sums(isa: Isa, strip: &[u8], strip_signed: bool, out: &mut [i32]) {
    let depth = strip.len() / STRIP;
    let ones = vec![1; depth];
    let tile = Tile { rows: &ones, depth, strips: strip, strip_signed };
    let mut sums = [0; MAX_ROWS * MAX_STRIPS * STRIP];
    Method::of(isa).run(&tile, [1, 1], &mut sums);
    out.copy_from_slice(&sums[..STRIP]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::Numbers;

    /// All methods of this machine, those too that a better one hides.
    fn methods() -> Vec<Method> {
        let mut methods: Vec<_> = Isa::available().into_iter().map(Method::of).collect();
        #[cfg(target_arch = "x86_64")]
        methods.extend(Isa::available().into_iter().filter_map(Isa::avx2).map(Method::Avx2));
        methods
    }

    #[test]
    fn every_shape_of_every_method_is_exact() {
        let depth = 36;
        let mut numbers = Numbers::new(1);
        let mut bytes = |count: usize| -> Vec<u8> {
            (0..count).map(|_| [0, 255, 127, 128][(numbers.next() >> 60) as usize % 4]).collect()
        };
        let (rows, strips) = (bytes(MAX_ROWS * depth), bytes(MAX_STRIPS * depth * STRIP));
        let value = |byte: u8, signed: bool| {
            if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) }
        };
        for method in methods() {
            for strip_signed in [false, true] {
                for (r, &most) in method.strips().iter().enumerate() {
                    for s in 1..=most {
                        let tile = Tile { rows: &rows, depth, strips: &strips, strip_signed };
                        let mut sums = [0; MAX_ROWS * MAX_STRIPS * STRIP];
                        method.run(&tile, [r + 1, s], &mut sums);
                        for (index, sum) in sums[..(r + 1) * s * STRIP].iter().enumerate() {
                            let (row, column) = (index / (s * STRIP), index % (s * STRIP));
                            let want: i32 = (0..depth)
                                .map(|k| {
                                    let place = (k / QUAD * STRIP + column % STRIP) * QUAD;
                                    let start = column / STRIP * depth * STRIP;
                                    let strip = strips[start + place + k % QUAD];
                                    value(rows[row * depth + k], !strip_signed)
                                        * value(strip, strip_signed)
                                })
                                .sum();
                            assert_eq!(*sum, want, "{method:?} {} x {s} {index}", r + 1);
                        }
                    }
                }
            }
        }
    }
}
