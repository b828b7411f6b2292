//! Batches and the layouts they may have.

use remuda_simd::Isa;

use super::{Numbers, assert_close, expected};
use crate::gemm::{GemmError, Matrix, Offsets, Product, Rhs};
use crate::{Context, ThreadPool};

#[test]
fn a_batch_with_a_broadcast_side_equals_its_items() {
    let (rows, depth, columns, batch) = (7, 33, 21, 5);
    let mut numbers = Numbers::new(5);
    let a = numbers.floats(batch * rows * depth);
    let b = numbers.floats(2 * depth * columns);
    let items: Vec<_> = (0..batch)
        .map(|i| Offsets {
            lhs: i * rows * depth,
            rhs: i % 2 * depth * columns,
            out: i * rows * columns,
            row_bias: 0,
        })
        .collect();
    let lhs = Matrix::new(&a, rows, depth).unwrap();
    let rhs = Matrix::new(&b, depth, columns).unwrap();
    let product = Product { items: &items, ..Product::new(lhs, Rhs::Matrix(rhs)) };
    for threads in 1..=3 {
        let pool = ThreadPool::new(threads).unwrap();
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; batch * rows * columns];
            product.run(Context::new(isa, &pool), &mut out, columns).unwrap();
            for (item, out) in items.iter().zip(out.chunks(rows * columns)) {
                let lhs = Matrix::new(&a[item.lhs..], rows, depth).unwrap();
                let rhs = Matrix::new(&b[item.rhs..], depth, columns).unwrap();
                let single = Product::new(lhs, Rhs::Matrix(rhs));
                assert_close(out, &expected(&single, rhs, &[]), depth, &format!("{item:?}"));
            }
        }
    }
}

/// Heads of an attention layer: outputs side by side within shared rows.
#[test]
fn outputs_may_interleave_but_not_overlap() {
    let (rows, depth, columns, heads) = (4, 8, 5, 3);
    let mut numbers = Numbers::new(6);
    let (a, b) = (numbers.floats(rows * depth), numbers.floats(depth * columns));
    let lhs = Matrix::new(&a, rows, depth).unwrap();
    let rhs = Matrix::new(&b, depth, columns).unwrap();
    let pool = ThreadPool::single();
    let context = Context::new(Isa::best(), &pool);
    let run = |distance: usize, out_row: usize| {
        let items: Vec<_> =
            (0..heads).map(|head| Offsets { out: head * distance, ..Offsets::default() }).collect();
        let product = Product { items: &items, ..Product::new(lhs, Rhs::Matrix(rhs)) };
        let mut out = vec![0.0; 1000];
        product.run(context, &mut out, out_row).map(|()| out)
    };
    let out = run(columns, heads * columns).unwrap();
    for row in out.chunks(heads * columns).take(rows) {
        assert_eq!(row[..columns], row[columns..2 * columns]);
        assert_eq!(row[..columns], row[2 * columns..]);
    }
    assert!(run(rows * columns, columns).is_ok());
    for (distance, out_row) in [(columns - 1, 3 * columns), (0, 3 * columns), (5, 14), (15, 5)] {
        assert_eq!(run(distance, out_row), Err(GemmError::BatchOverlap), "{distance} {out_row}");
    }
}
