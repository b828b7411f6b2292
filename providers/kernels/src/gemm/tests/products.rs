//! Single products: shapes, strides, epilogues, odd values.

use proptest::prelude::*;
use remuda_simd::Isa;

use super::{Numbers, check, expected};
use crate::gemm::{Activation, Epilogue, GemmError, Matrix, PackedB, Product, Residual, Rhs};
use crate::{Context, ThreadPool};

/// Around the sizes of tiles, strips and blocks.
const EDGES: [usize; 16] = [0, 1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 47, 48, 49, 65];

/// A matrix of random values in one of three layouts.
fn matrix(
    numbers: &mut Numbers,
    layout: usize,
    [rows, columns]: [usize; 2],
) -> (Vec<f32>, [usize; 2]) {
    let strides = match layout {
        0 => [columns, 1],
        1 => [1, rows],
        _ => [2 * columns + 3, 2],
    };
    (numbers.floats(rows * strides[0] + columns * strides[1]), strides)
}

fn run_case([rows, depth, columns]: [usize; 3], layouts: [usize; 2], seed: u64, threads: usize) {
    let mut numbers = Numbers::new(seed);
    let (a, a_strides) = matrix(&mut numbers, layouts[0], [rows, depth]);
    let (b, b_strides) = matrix(&mut numbers, layouts[1], [depth, columns]);
    let (bias, row_bias) = (numbers.floats(columns), numbers.floats(rows));
    let residual = numbers.floats(rows * columns);
    let pick = numbers.next();
    let epilogue = Epilogue {
        alpha: [1.0, -0.5][(pick & 1) as usize],
        beta: [0.0, 2.0][(pick >> 1 & 1) as usize],
        column_bias: (pick >> 2 & 1 == 1).then_some(&bias),
        row_bias: (pick >> 3 & 1 == 1).then_some(&row_bias),
        residual: (pick >> 4 & 1 == 1)
            .then_some(Residual { data: &residual, after_activation: pick >> 5 & 1 == 1 }),
        activation: ACTIVATIONS[(pick >> 8) as usize % ACTIVATIONS.len()],
    };
    let lhs = Matrix::strided(&a, [rows, depth], a_strides).unwrap();
    let rhs = Matrix::strided(&b, [depth, columns], b_strides).unwrap();
    let pool = ThreadPool::new(threads).unwrap();
    for isa in Isa::available() {
        check(isa, &pool, lhs, rhs, epilogue);
    }
}

const ACTIVATIONS: [Activation; 12] = [
    Activation::None,
    Activation::Relu,
    Activation::Clip { low: -0.25, high: 0.75 },
    Activation::LeakyRelu { alpha: 0.1 },
    Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Activation::HardSwish,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Swish { alpha: 1.0 },
    Activation::Swish { alpha: 1.702 },
    Activation::Gelu,
    Activation::GeluTanh,
];

#[test]
fn edge_sizes_match_the_plain_loop() {
    let mut case: usize = 0;
    for rows in EDGES {
        for columns in EDGES {
            let depth = EDGES[(rows + columns + case) % EDGES.len()];
            let layouts = [case % 3, case / 3 % 3];
            run_case([rows, depth, columns], layouts, case as u64, 1);
            case += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn random_sizes_match_the_plain_loop(
        sizes in (0..70_usize, 0..700_usize, 0..200_usize),
        layouts in (0..3_usize, 0..3_usize),
        seed in any::<u64>(),
        threads in 1..5_usize,
    ) {
        run_case([sizes.0, sizes.1, sizes.2], [layouts.0, layouts.1], seed, threads);
    }
}

#[test]
fn many_rows_cross_the_row_blocks() {
    run_case([1100, 40, 50], [0, 0], 3, 3);
    run_case([1030, 20, 100], [1, 1], 4, 2);
}

#[test]
fn nan_and_infinity_reach_exactly_the_elements_that_depend_on_them() {
    let (rows, depth, columns) = (9, 300, 37);
    let mut a = vec![1.0; rows * depth];
    let mut b = vec![1.0; depth * columns];
    a[2 * depth + 17] = f32::NAN;
    b[5 * columns + 30] = f32::INFINITY;
    let (lhs, rhs) =
        (Matrix::new(&a, rows, depth).unwrap(), Matrix::new(&b, depth, columns).unwrap());
    let pool = ThreadPool::single();
    for isa in Isa::available() {
        for activation in ACTIVATIONS {
            let epilogue = Epilogue { activation, ..Epilogue::default() };
            let product = Product { epilogue, ..Product::new(lhs, Rhs::Matrix(rhs)) };
            let mut out = vec![0.0; rows * columns];
            product.run(Context::new(isa, &pool), &mut out, columns).unwrap();
            for (index, (got, want)) in out.iter().zip(expected(&product, rhs, &[])).enumerate() {
                assert_eq!(got.is_nan(), index / columns == 2, "{isa} {activation:?} {index}");
                let finite = got.is_finite() == want.0.is_finite();
                assert!(finite, "{isa} {activation:?} {index}: {got}, {want:?}");
            }
        }
    }
}

#[test]
fn a_padded_output_keeps_what_lies_between_its_rows() {
    let (a, b) = (vec![1.0; 6], vec![1.0; 15]);
    let product =
        Product::new(Matrix::new(&a, 2, 3).unwrap(), Rhs::Matrix(Matrix::new(&b, 3, 5).unwrap()));
    let pool = ThreadPool::single();
    for isa in Isa::available() {
        let mut out = vec![-7.0; 13];
        product.run(Context::new(isa, &pool), &mut out, 8).unwrap();
        let row = [3.0; 5];
        assert_eq!(out, [&row[..], &[-7.0; 3], &row].concat());
    }
}

#[test]
fn operands_that_do_not_fit_are_errors() {
    let (a, b) = (vec![0.0; 12], vec![0.0; 12]);
    assert!(matches!(Matrix::new(&a, 4, 4), Err(GemmError::TooShort { .. })));
    assert!(Matrix::strided(&a, [2, 2], [usize::MAX, 2]).is_err());
    let lhs = Matrix::new(&a, 3, 4).unwrap();
    let rhs = Matrix::new(&b, 4, 3).unwrap();
    let pool = ThreadPool::single();
    let context = Context::new(Isa::best(), &pool);
    let run = |product: Product<'_>, length: usize, stride: usize| {
        product.run(context, &mut vec![0.0; length], stride).unwrap_err()
    };
    let product = Product::new(lhs, Rhs::Matrix(rhs));
    assert_eq!(
        run(Product::new(lhs, Rhs::Matrix(rhs.transposed())), 9, 3),
        GemmError::Depth { expected: 4, got: 3 }
    );
    assert_eq!(run(product, 9, 2), GemmError::Overlap { columns: 3, stride: 2 });
    assert_eq!(run(product, 8, 3), GemmError::TooShort { what: "output", needed: Some(9), got: 8 });
    let epilogue = Epilogue { column_bias: Some(&a[..2]), ..Epilogue::default() };
    assert_eq!(
        run(Product { epilogue, ..product }, 9, 3).to_string(),
        "expected a column bias of 3 elements, got 2"
    );
}

#[test]
fn packed_weights_serve_many_threads_at_once() {
    let mut numbers = Numbers::new(1);
    let (a, b) = (numbers.floats(20 * 300), numbers.floats(300 * 90));
    let lhs = Matrix::new(&a, 20, 300).unwrap();
    let packed = PackedB::new(&Matrix::new(&b, 300, 90).unwrap());
    let pool = ThreadPool::new(3).unwrap();
    let run = || {
        let mut out = vec![0.0; 20 * 90];
        let product = Product::new(lhs, Rhs::Packed(&packed));
        product.run(Context::new(Isa::best(), &pool), &mut out, 90).unwrap();
        out
    };
    let first = run();
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..6).map(|_| scope.spawn(run)).collect();
        assert!(others.into_iter().all(|other| other.join().unwrap() == first));
    });
}
