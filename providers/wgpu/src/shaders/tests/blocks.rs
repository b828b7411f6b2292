//! Block formats against their plain decoding.

use remuda_sdk::tensor::quant;

use super::*;

/// Rows of a format, and their values.
fn rows_of(blocks: Blocks, rows: usize, width: usize) -> (Vec<u8>, Vec<f32>) {
    let format = quant::ALL.iter().find(|format| format.name == blocks.name()).unwrap();
    assert_eq!((format.elements, format.bytes), (blocks.elements(), blocks.bytes()));
    let bytes = rows * width / blocks.elements() * blocks.bytes();
    let mut packed = vec![0; bytes];
    format.quantize_into(&numbers(rows * width, 7), &mut packed).unwrap();
    let mut values = vec![0.0; rows * width];
    (format.dequantize)(&packed, &mut values);
    (packed, values)
}

#[test]
fn names_are_those_of_the_formats() {
    for blocks in Blocks::ALL {
        let format = quant::ALL.iter().find(|format| format.name == blocks.name()).unwrap();
        assert_eq!(Blocks::of(format), Some(blocks));
    }
}

#[test]
fn chosen_rows_are_decoded_as_they_are_in_files() {
    for blocks in Blocks::ALL {
        let (rows, width) = (5, 512);
        let (packed, values) = rows_of(blocks, rows, width);
        let indices = vec![4, 0, -2, 4];
        let dispatch = gather_blocks(blocks, [rows, width], 0, indices.len());
        let given = [Data::Bytes(packed), Data::I32(indices)];
        let Some(got) = run(&dispatch, &given, 4 * width) else { return };
        let want: Vec<f32> =
            [4, 0, 3, 4].iter().flat_map(|row| values[row * width..][..width].to_vec()).collect();
        expect_close(blocks.name(), &floats(&got), &tensor(&[4 * width], &want), 0.1);
    }
}

#[test]
fn every_byte_of_a_block_counts() {
    // Any bytes at all, but for scales that are finite.
    for blocks in Blocks::ALL {
        let format = quant::ALL.iter().find(|format| format.name == blocks.name()).unwrap();
        let (rows, width) = (3, blocks.elements());
        let mut packed: Vec<u8> =
            (0..rows * blocks.bytes()).map(|at| (at * 151 + at / 7 * 13 + 5) as u8).collect();
        for block in packed.chunks_mut(blocks.bytes()) {
            let scales: &[usize] = match blocks {
                Blocks::Q4_0 | Blocks::Q8_0 => &[1],
                Blocks::Q4K => &[1, 3],
                Blocks::Q6K => &[209],
            };
            scales.iter().for_each(|&at| block[at] = block[at] & 0x8f | 0x20);
        }
        let mut want = vec![0.0; rows * width];
        (format.dequantize)(&packed, &mut want);
        let dispatch = gather_blocks(blocks, [rows, width], 0, rows);
        let given = [Data::Bytes(packed), Data::I32(vec![0, 1, 2])];
        let Some(got) = run(&dispatch, &given, rows * width) else { return };
        expect_close(blocks.name(), &floats(&got), &tensor(&[rows * width], &want), 0.1);
    }
}

#[test]
fn products_with_blocks_are_those_with_their_values() {
    for blocks in Blocks::ALL {
        for (m, n, k) in [(1, 9, 512), (5, 70, 256), (19, 70, 512)] {
            let (packed, values) = rows_of(blocks, n, k);
            let row_bytes = k / blocks.elements() * blocks.bytes();
            let x = numbers(m * k, 3);
            // The first row of weights is left out, as where a large matrix is bound in parts.
            let (first, all) = (1, n + 2);
            let product = Product {
                sizes: [m, n - first, k],
                batch: Vec::new(),
                left: Left {
                    elem: Elem::F32,
                    offset: 0,
                    strides: [isize::try_from(k).unwrap(), 1],
                    run: None,
                    batch: Vec::new(),
                },
                right: Factor {
                    rows: Rows::Blocks { blocks, offset_bytes: row_bytes * first },
                    batch: Vec::new(),
                },
                extras: Vec::new(),
                epilogue: Expr::Input(0),
                out: (first, isize::try_from(all).unwrap(), Vec::new()),
            };
            let given = [Data::F32(x.clone()), Data::Bytes(packed)];
            let Some(got) = run(&product.dispatch().unwrap(), &given, m * all) else { return };
            let want: Vec<f32> = (0..m * all)
                .map(|i| {
                    let (row, column) = (i / all, i % all);
                    if column < first || column >= n {
                        return 0.0;
                    }
                    let terms = x[row * k..][..k].iter().zip(&values[column * k..][..k]);
                    terms.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
                })
                .collect();
            let what = format!("{} {m}", blocks.name());
            expect_close(&what, &floats(&got), &tensor(&[m * all], &want), 8.0);
        }
    }
}
