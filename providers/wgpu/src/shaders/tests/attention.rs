//! Attention against its reference, and over the cells of a cache.

use remuda_sdk::tensor::dtype::BlockId;

use super::*;

fn size(of: usize) -> isize {
    isize::try_from(of).unwrap()
}

/// Heads that lie one after the other.
fn heads(elem: Elem, [count, rows, dim]: [usize; 3]) -> Heads {
    Heads { elem, offset: 0, strides: [size(count * rows * dim), size(rows * dim), size(dim)] }
}

const BATCH: usize = 2;
const HEADS: [usize; 2] = [4, 2];

fn plain(tokens: usize, keys: usize, dims: [usize; 2]) -> Attention {
    Attention {
        batch: BATCH,
        heads: HEADS,
        tokens,
        dims,
        scale: 0.3,
        softcap: 0.0,
        query: heads(Elem::F32, [HEADS[0], tokens, dims[0]]),
        keys: heads(Elem::F32, [HEADS[1], keys, dims[0]]),
        values: heads(Elem::F32, [HEADS[1], keys, dims[1]]),
        seen: Seen::Keys { count: keys, causal: None, mask: None },
        to: [size(HEADS[0] * tokens * dims[1]), size(tokens * dims[1]), size(dims[1])],
    }
}

/// Runs it and its reference on the same numbers, perhaps with a mask.
fn expect_same(what: &str, of: &Attention, keys: usize, mask: Option<(Tensor, Data)>) {
    let [d, v] = of.dims;
    let shapes = [[HEADS[0], of.tokens, d], [HEADS[1], keys, d], [HEADS[1], keys, v]];
    let data: Vec<Vec<f32>> = shapes
        .iter()
        .zip(1..)
        .map(|(shape, seed)| numbers(BATCH * shape.iter().product::<usize>(), seed))
        .map(|numbers| numbers.into_iter().map(|x| x * 3.0).collect())
        .collect();
    let mut inputs: Vec<Tensor> = shapes
        .iter()
        .zip(&data)
        .map(|(&[heads, rows, dim], data)| tensor(&[BATCH, heads, rows, dim], data))
        .collect();
    let mut given: Vec<Data> = data.into_iter().map(Data::F32).collect();
    if let Some((tensor, data)) = mask {
        inputs.push(tensor);
        given.push(data);
    }
    let causal = matches!(of.seen, Seen::Keys { causal: Some(_), .. });
    let attrs = [
        ("scale", Attr::Float(of.scale)),
        ("softcap", Attr::Float(of.softcap)),
        ("is_causal", Attr::Int(i64::from(causal))),
    ];
    let want = reference(OpName::onnx("Attention"), &attrs, &inputs);
    let Some(got) = run(&of.dispatch(), &given, want.len()) else { return };
    expect_close(what, &floats(&got), &want, 4.0);
}

#[test]
fn all_sizes_of_heads() {
    for (tokens, keys, dims) in
        [(1, 1, [2, 3]), (3, 70, [8, 65]), (5, 200, [7, 4]), (2, 64, [64, 130])]
    {
        expect_same(&format!("{dims:?}"), &plain(tokens, keys, dims), keys, None);
    }
}

#[test]
fn later_keys_are_not_seen_and_scores_are_capped() {
    let mut of = plain(7, 7, [8, 8]);
    of.seen = Seen::Keys { count: 7, causal: Some(0), mask: None };
    of.softcap = 1.5;
    expect_same("causal", &of, 7, None);
}

#[test]
fn masks_are_added_or_hide() {
    let (tokens, keys) = (3, 130);
    let strides = [0, 0, size(keys), 1];
    let mut of = plain(tokens, keys, [8, 8]);
    let seen = |elem: Elem| Seen::Keys {
        count: keys,
        causal: None,
        mask: Some(Mask { elem, offset: 0, strides }),
    };
    let mut added = numbers(tokens * keys, 9);
    added[..100].fill(f32::NEG_INFINITY);
    // All of it as little as can be: the same as nothing.
    added[keys..2 * keys].fill(f32::MIN);
    of.seen = seen(Elem::F32);
    let mask = tensor(&[tokens, keys], &added);
    expect_same("added", &of, keys, Some((mask, Data::F32(added.clone()))));
    let shown: Vec<bool> = added.iter().map(|&x| x > -0.2).collect();
    let shown: Vec<bool> = shown.iter().enumerate().map(|(i, &on)| on || i % keys == 5).collect();
    of.seen = seen(Elem::Bool);
    expect_same("hidden", &of, keys, Some((tensor(&[tokens, keys], &shown), Data::Bool(shown))));
}

/// What a token's head gets of some cells, written out.
fn attended(query: &[f32], cells: &[(&[f32], &[f32])], scale: f64, cap: f64) -> Vec<f32> {
    let score = |key: &[f32]| {
        let dot: f64 = query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
        if cap > 0.0 { cap * (dot * scale / cap).tanh() } else { dot * scale }
    };
    let weights: Vec<f64> = cells.iter().map(|(key, _)| score(key).exp()).collect();
    let total: f64 = weights.iter().sum();
    let feature = |at: usize| {
        let terms = cells.iter().zip(&weights).map(|((_, value), w)| w * f64::from(value[at]));
        (terms.sum::<f64>() / total) as f32
    };
    (0..cells[0].1.len()).map(feature).collect()
}

#[test]
fn cells_of_a_cache_are_read_wherever_they_lie() {
    let (heads, kv_heads, dim, cells, tokens) = (4, 2, 10, 90, 3);
    let width = kv_heads * dim;
    // Cells 7, 8, .. backwards: the list says their order.
    let list: Vec<u32> = (0..80).rev().chain([85, 3]).collect();
    let spans = vec![0, 80, 5, 82, 81, 82];
    let query = numbers(tokens * heads * dim, 1);
    for (elem, cap) in [(Elem::F32, 0.0), (Elem::F16, 2.0), (Elem::BF16, 0.0)] {
        let stored = |seed: u32| -> (Data, Vec<f32>) {
            let values = numbers(cells * width, seed);
            match elem {
                Elem::F16 => {
                    let kept = values.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
                    (Data::F16(values), kept)
                }
                Elem::BF16 => {
                    let kept = values.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
                    (Data::BF16(values), kept)
                }
                _ => (Data::F32(values.clone()), values),
            }
        };
        let ((keys, key_values), (values, value_values)) = (stored(2), stored(3));
        let of = Attention {
            batch: 1,
            heads: [heads, kv_heads],
            tokens,
            dims: [dim, dim],
            scale: 0.7,
            softcap: cap,
            query: Heads { elem: Elem::F32, offset: 0, strides: [0, size(dim), size(heads * dim)] },
            keys: Heads::cells(elem, kv_heads, dim),
            values: Heads::cells(elem, kv_heads, dim),
            seen: Seen::Cells,
            to: [0, size(dim), size(heads * dim)],
        };
        let given = [
            Data::F32(query.clone()),
            keys,
            values,
            Data::Words(list.clone()),
            Data::Words(spans.clone()),
        ];
        let Some(got) = run(&of.dispatch(), &given, query.len()) else { return };
        let part = |cell: u32, head: usize| (cell as usize * width + head / 2 * dim)..;
        let mut want = Vec::new();
        for token in 0..tokens {
            let seen = &list[spans[2 * token] as usize..spans[2 * token + 1] as usize];
            for head in 0..heads {
                let row = |&cell: &u32| {
                    let part = part(cell, head);
                    (&key_values[part.clone()][..dim], &value_values[part][..dim])
                };
                let cells: Vec<_> = seen.iter().map(row).collect();
                let query = &query[(token * heads + head) * dim..][..dim];
                want.extend(attended(query, &cells, 0.7, f64::from(cap)));
            }
        }
        expect_close("cache", &floats(&got), &tensor(&[want.len()], &want), 4.0);
    }
}

#[test]
fn rows_go_to_their_cells_and_nowhere_else() {
    let (rows, width, cells) = (3, 6, 5);
    let x = numbers(rows * width + 4, 1);
    let places = [4u32, 0, 2];
    for elem in [Elem::F32, Elem::F16, Elem::BF16] {
        let dispatch = store_rows(elem, [rows, width], (4, width));
        let before = match elem {
            Elem::F32 => Data::F32(vec![0.0; cells * width]),
            _ => Data::F16(vec![0.0; cells * width]),
        };
        let given = [Data::F32(x.clone()), Data::Words(places.to_vec())];
        let Some(got) = run_over(&dispatch, &given, &[before]) else { return };
        let mut want = vec![0.0; cells * width];
        for (row, &cell) in places.iter().enumerate() {
            want[cell as usize * width..][..width].copy_from_slice(&x[4 + row * width..][..width]);
        }
        let want = match elem {
            Elem::F32 => Data::F32(want),
            Elem::F16 => Data::F16(want),
            _ => Data::BF16(want),
        };
        let got: Vec<u8> = got[0].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(got, want.bytes(), "{elem:?}");
    }
}

#[test]
fn rows_become_the_blocks_that_files_have() {
    let (rows, width, cells) = (3, 128, 4);
    let mut x = numbers(rows * width, 1);
    // Halves of a step to both sides, and a block of zeros.
    x[..4].copy_from_slice(&[127.0, 2.5, -2.5, -0.5]);
    x[4..32].fill(0.0);
    x[64..96].fill(0.0);
    let places = [3u32, 0, 2];
    let format = BlockId::by_name("q8_0").unwrap().format();
    let row_bytes = width / format.elements * format.bytes;
    let mut want = vec![0; cells * row_bytes];
    for (row, &cell) in x.chunks(width).zip(&places) {
        let place = &mut want[cell as usize * row_bytes..][..row_bytes];
        (format.quantize.unwrap())(row, place);
    }
    let dispatch = store_rows(Elem::Q8_0, [rows, width], (0, width));
    let given = [Data::F32(x), Data::Words(places.to_vec())];
    let before = Data::Bytes(vec![0; want.len()]);
    let Some(got) = run_over(&dispatch, &given, &[before]) else { return };
    let got: Vec<u8> = got[0].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(got, want);
}
