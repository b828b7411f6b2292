//! What puts elements elsewhere: gathering, rotations, tables.

use super::*;

#[test]
fn elements_are_gathered_along_an_axis() {
    let [outer, axis, inner] = [3, 5, 4];
    let x = numbers(60, 1);
    let indices = vec![4, -1, 0, 2, -5, 1, 1];
    let table = tensor(&[outer, axis, inner], &x);
    let chosen = Tensor::vector(indices.iter().copied().map(i64::from).collect::<Vec<i64>>());
    let along = [("axis", Attr::Int(1))];
    let want = reference(OpName::onnx("Gather"), &along, &[table, chosen]);
    let dispatch = gather(Elem::F32, [outer, axis, inner], indices.len());
    let given = [Data::F32(x.clone()), Data::I32(indices.clone())];
    let Some(got) = run(&dispatch, &given, want.len()) else { return };
    expect_close("gather", &floats(&got), &want, 0.0);
    let bits: Vec<bool> = x.iter().map(|x| *x > 0.0).collect();
    let dispatch = gather(Elem::Bool, [outer, axis, inner], indices.len());
    let got = run(&dispatch, &[Data::Bool(bits), Data::I32(indices)], want.len()).unwrap();
    let want: Vec<u32> =
        want.to_f32_vec().unwrap().into_iter().map(|x| u32::from(x > 0.0)).collect();
    assert_eq!(got, want);
}

#[test]
fn halves_are_gathered_as_floats() {
    let x = numbers(21, 1);
    let dispatch = gather(Elem::F16, [1, 7, 3], 2);
    let given = [Data::F16(x.clone()), Data::I32(vec![6, 1])];
    let Some(got) = run(&dispatch, &given, 6) else { return };
    let want: Vec<f32> =
        [18, 19, 20, 3, 4, 5].iter().map(|&at: &usize| f16::from_f32(x[at]).to_f32()).collect();
    assert_eq!(floats(&got), want);
}

#[test]
fn pairs_of_features_are_turned() {
    let [batch, heads, tokens, features] = [2, 3, 4, 10];
    let size = |of: usize| isize::try_from(of).unwrap();
    let rows = 9;
    let x = numbers(batch * heads * tokens * features, 1);
    let dims = [batch, heads, tokens, features];
    for turned in [10, 6] {
        let pairs = turned / 2;
        let angles = |seed: u32| numbers(rows * pairs, seed);
        let (cos, sin) = (angles(2), angles(3));
        let positions: Vec<i32> = vec![0, 1, 2, 8, 3, 7, 1, 1];
        for neighbours in [false, true] {
            let rotary = Rotary {
                sizes: dims,
                turned,
                neighbours,
                elem: Elem::F32,
                offset: 0,
                strides: [size(heads * tokens * features), size(tokens * features), size(features)],
                to: [size(heads * tokens * features), size(tokens * features), size(features)],
                tables: Elem::F32,
                rows: Some(rows),
            };
            let given = [
                Data::F32(x.clone()),
                Data::F32(cos.clone()),
                Data::F32(sin.clone()),
                Data::I32(positions.clone()),
            ];
            let Some(got) = run(&rotary.dispatch(), &given, x.len()) else { return };
            let attrs = [
                ("interleaved", Attr::Int(i64::from(neighbours))),
                ("rotary_embedding_dim", Attr::Int(if turned == features { 0 } else { 6 })),
            ];
            let chosen: Vec<i64> = positions.iter().copied().map(i64::from).collect();
            let inputs = [
                tensor(&dims, &x),
                tensor(&[rows, pairs], &cos),
                tensor(&[rows, pairs], &sin),
                tensor(&[batch, tokens], &chosen),
            ];
            let want = reference(OpName::onnx("RotaryEmbedding"), &attrs, &inputs);
            expect_close("rotary", &floats(&got), &want, 1.0);
        }
    }
}

#[test]
fn rows_of_angles_may_be_those_of_the_tokens() {
    // Heads side by side: tokens of 2 heads of 4 features.
    let [heads, tokens, features] = [2, 3, 4];
    let x = numbers(heads * tokens * features, 1);
    let (cos, sin) = (numbers(tokens * 2, 2), numbers(tokens * 2, 3));
    let rotary = Rotary {
        sizes: [1, heads, tokens, features],
        turned: features,
        neighbours: false,
        elem: Elem::F32,
        offset: 0,
        strides: [0, 4, 8],
        to: [0, 4, 8],
        tables: Elem::F32,
        rows: None,
    };
    let given = [Data::F32(x.clone()), Data::F32(cos.clone()), Data::F32(sin.clone())];
    let Some(got) = run(&rotary.dispatch(), &given, x.len()) else { return };
    let want: Vec<f32> = (0..x.len())
        .map(|i| {
            let (feature, token) = (i % 4, i / 8);
            let (c, s) = (cos[token * 2 + feature % 2], sin[token * 2 + feature % 2]);
            if feature < 2 { x[i] * c - x[i + 2] * s } else { x[i] * c + x[i - 2] * s }
        })
        .collect();
    expect_close("rotary", &floats(&got), &tensor(&[x.len()], &want), 1.0);
}

#[test]
fn tables_pad_and_repeat() {
    let x: Vec<f32> = (1u8..=6).map(f32::from).collect();
    // Two rows of three: reflected along columns, a row of nothing in front.
    let rows = vec![None, Some(0), Some(3)];
    let columns = [1, 0, 1, 2, 1].map(Some).to_vec();
    let dispatch = remap(Elem::F32, 0, &[rows.clone(), columns.clone()], 9f32.to_bits());
    let Some(got) = run(&dispatch, &[Data::F32(x)], 15) else { return };
    let want = [9, 9, 9, 9, 9, 2, 1, 2, 3, 2, 5, 4, 5, 6, 5].map(|x: u8| f32::from(x));
    assert_eq!(floats(&got), want);
    let dispatch = remap(Elem::I32, 0, &[rows, columns], (-4i32).cast_unsigned());
    let got = run(&dispatch, &[Data::I32(vec![1, 2, 3, 4, 5, 6])], 15).unwrap();
    assert_eq!(ints(&got), [-4, -4, -4, -4, -4, 2, 1, 2, 3, 2, 5, 4, 5, 6, 5]);
}

#[test]
fn kernels_do_not_depend_on_sizes() {
    let sources = |count: usize| {
        let columns: Vec<Option<usize>> = (0..count).map(Some).collect();
        let view = View::whole(Elem::F32, &[count, 3]);
        let strides = vec![1, isize::try_from(count).unwrap()];
        let turned = View { elem: Elem::F32, offset: 0, strides };
        let moved = pointwise(&Expr::Input(0), &[count, 3], &view, &[turned]).unwrap();
        [
            remap(Elem::F32, 0, &[columns.clone(), columns], 0),
            gather(Elem::F32, [count, 4, 5], count),
            moved,
        ]
        .map(|dispatch| dispatch.kernel.source)
    };
    assert_eq!(sources(4), sources(9));
}
