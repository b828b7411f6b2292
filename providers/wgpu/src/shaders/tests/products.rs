//! Products of matrices in every layout.

use super::*;

fn size(of: usize) -> isize {
    isize::try_from(of).unwrap()
}

/// A product written out.
fn product(
    [m, n, k]: [usize; 3],
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let sum = |row: usize, column: usize| -> f64 {
        (0..k).map(|at| f64::from(a(row, at)) * f64::from(b(at, column))).sum()
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is compared with floats")]
    let rounded = |i: usize| sum(i / n, i % n) as f32;
    (0..m * n).map(rounded).collect()
}

fn plain(sizes: [usize; 3], transposed: [bool; 2], elems: [Elem; 2]) -> Product {
    let [m, n, k] = sizes.map(size);
    let left = if transposed[0] { [1, m] } else { [k, 1] };
    let right = if transposed[1] { [1, k] } else { [n, 1] };
    Product {
        sizes,
        batch: Vec::new(),
        left: Left { elem: elems[0], offset: 0, strides: left, run: None, batch: Vec::new() },
        right: Factor {
            rows: Rows::Plain { elem: elems[1], offset: 0, strides: right },
            batch: Vec::new(),
        },
        extras: Vec::new(),
        epilogue: Expr::Input(0),
        out: (0, n, Vec::new()),
    }
}

const SIZES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [1, 130, 77],
    [3, 5, 7],
    [8, 65, 300],
    [9, 3, 17],
    [65, 63, 33],
    [70, 130, 16],
    [2, 4, 0],
    [20, 4, 0],
];

#[test]
fn all_sizes_and_both_ways_round() {
    for sizes in SIZES {
        let [m, n, k] = sizes;
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        for transposed in [[false, false], [false, true], [true, false], [true, true]] {
            let dispatch = plain(sizes, transposed, [Elem::F32; 2]).dispatch().unwrap();
            let given = [Data::F32(a.clone()), Data::F32(b.clone())];
            let Some(got) = run(&dispatch, &given, m * n) else { continue };
            let want = product(
                sizes,
                |row, at| if transposed[0] { a[at * m + row] } else { a[row * k + at] },
                |at, column| if transposed[1] { b[column * k + at] } else { b[at * n + column] },
            );
            let what = format!("{sizes:?} {transposed:?}");
            expect_close(&what, &floats(&got), &tensor(&[m, n], &want), 4.0);
        }
    }
}

#[test]
fn halves_are_multiplied_as_floats() {
    for sizes in [[3, 70, 65], [20, 70, 65]] {
        let [m, n, k] = sizes;
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let rounded: Vec<f32> = b.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
        let dispatch = plain(sizes, [false, true], [Elem::F32, Elem::F16]).dispatch().unwrap();
        let Some(got) = run(&dispatch, &[Data::F32(a.clone()), Data::F16(b)], m * n) else {
            return;
        };
        let want = product(sizes, |row, at| a[row * k + at], |at, column| rounded[column * k + at]);
        expect_close("halves", &floats(&got), &tensor(&[m, n], &want), 4.0);
    }
}

#[test]
fn what_follows_is_part_of_the_kernel() {
    for sizes in [[2, 70, 40], [33, 70, 40]] {
        let [m, n, k] = sizes;
        let [a, b, bias, residual] =
            [numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3), numbers(m * n, 4)];
        let extra =
            |strides: [isize; 2]| Extra { elem: Elem::F32, offset: 0, strides, batch: Vec::new() };
        let sum = Expr::Input(0).plus(Expr::Input(1)).plus(Expr::Input(2));
        let product_of = Product {
            extras: vec![extra([0, 1]), extra([size(n), 1])],
            epilogue: sum.unary(Unary::Gelu),
            // In the middle of something wider.
            out: (5, size(n) + 7, Vec::new()),
            ..plain(sizes, [false, false], [Elem::F32; 2])
        };
        let given = [
            Data::F32(a.clone()),
            Data::F32(b.clone()),
            Data::F32(bias.clone()),
            Data::F32(residual.clone()),
        ];
        let all = m * (n + 7);
        let Some(got) = run(&product_of.dispatch().unwrap(), &given, all) else { return };
        let sums = product(sizes, |row, at| a[row * k + at], |at, column| b[at * n + column]);
        let sums: Vec<f32> =
            sums.iter().enumerate().map(|(i, sum)| sum + bias[i % n] + residual[i]).collect();
        let want = reference(OpName::onnx("Gelu"), &[], &[tensor(&[m, n], &sums)]);
        let got = floats(&got);
        let inside: Vec<f32> =
            (0..m).flat_map(|row| got[5 + row * (n + 7)..][..n].to_vec()).collect();
        expect_close("epilogue", &inside, &want, 4.0);
        assert!(got[..5].iter().all(|&x| x == 0.0));
    }
}

#[test]
fn batches_broadcast_and_lie_anywhere() {
    // Heads side by side: rows of 3 heads of 6, times keys of one head, for 2 sequences.
    for tokens in [4, 21] {
        let (batch, heads, dim, keys) = (2, 3, 6, 11);
        let a = numbers(batch * tokens * heads * dim, 1);
        let b = numbers(batch * keys * dim, 2);
        let product_of = Product {
            sizes: [tokens, keys, dim],
            batch: vec![batch, heads],
            left: Left {
                elem: Elem::F32,
                offset: 0,
                strides: [size(heads * dim), 1],
                run: None,
                batch: vec![size(tokens * heads * dim), size(dim)],
            },
            right: Factor {
                rows: Rows::Plain { elem: Elem::F32, offset: 0, strides: [1, size(dim)] },
                batch: vec![size(keys * dim), 0],
            },
            extras: Vec::new(),
            epilogue: Expr::Input(0),
            out: (0, size(keys), vec![size(heads * tokens * keys), size(tokens * keys)]),
        };
        let count = batch * heads * tokens * keys;
        let given = [Data::F32(a.clone()), Data::F32(b.clone())];
        let Some(got) = run(&product_of.dispatch().unwrap(), &given, count) else { return };
        let mut want = Vec::new();
        for of in 0..batch {
            for head in 0..heads {
                want.extend(product(
                    [tokens, keys, dim],
                    |row, at| a[((of * tokens + row) * heads + head) * dim + at],
                    |at, column| b[(of * keys + column) * dim + at],
                ));
            }
        }
        expect_close("batch", &floats(&got), &tensor(&[count], &want), 4.0);
    }
}

#[test]
fn infinities_stay_in_their_rows_and_columns() {
    let sizes = [12, 5, 20];
    let [m, n, k] = sizes;
    let (mut a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    a[3 * k + 4] = f32::INFINITY;
    a[5 * k + 19] = f32::NAN;
    let dispatch = plain(sizes, [false, false], [Elem::F32; 2]).dispatch().unwrap();
    let Some(got) = run(&dispatch, &[Data::F32(a.clone()), Data::F32(b.clone())], m * n) else {
        return;
    };
    let want = product(sizes, |row, at| a[row * k + at], |at, column| b[at * n + column]);
    expect_close("infinities", &floats(&got), &tensor(&[m, n], &want), 4.0);
}
