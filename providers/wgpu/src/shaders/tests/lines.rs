//! What is computed along lines: softmax, norms, reductions.

use super::*;

#[test]
fn softmax_runs_along_any_axis() {
    for [outer, size, inner] in [[3, 5, 1], [2, 70, 3], [3, 40, 33], [1, 1000, 1], [4, 1, 2]] {
        let dims = [outer, size, inner];
        let mut x: Vec<f32> = numbers(outer * size * inner, 5).iter().map(|x| x * 90.0).collect();
        x[0] = f32::NEG_INFINITY;
        let axis = [("axis", Attr::Int(1))];
        for (logarithm, op) in [(false, "Softmax"), (true, "LogSoftmax")] {
            let dispatch = softmax(Elem::F32, dims, logarithm);
            let Some(got) = run(&dispatch, &[Data::F32(x.clone())], x.len()) else { return };
            let want = reference(OpName::onnx(op), &axis, &[tensor(&dims, &x)]);
            expect_close(&format!("{op} {dims:?}"), &floats(&got), &want, 1.0);
        }
    }
}

#[test]
fn softmax_of_no_numbers_is_none() {
    for wide in [6, 100] {
        let mut x = numbers(3 * wide, 6);
        x[1] = f32::NAN;
        x[wide] = f32::INFINITY;
        x[2 * wide..].fill(f32::NEG_INFINITY);
        let dispatch = softmax(Elem::F32, [3, wide, 1], false);
        let Some(got) = run(&dispatch, &[Data::F32(x.clone())], x.len()) else { return };
        let want = reference(OpName::onnx("Softmax"), &[], &[tensor(&[3, wide], &x)]);
        expect_close("softmax", &floats(&got), &want, 1.0);
    }
    assert!(softmax(Elem::F32, [3, 0, 2], false).launch.groups.contains(&0));
}

fn plain_norm(lines: usize, width: usize, centred: bool) -> Norm {
    Norm {
        elem: Elem::F32,
        lines,
        width,
        centred,
        epsilon: 1e-5,
        added: Vec::new(),
        keeps_sum: false,
        scale: Some(Elem::F32),
        bias: centred.then_some(Elem::F32),
        channels: Channels::EACH,
    }
}

#[test]
fn layers_are_normalised() {
    for (lines, width) in [(3, 7), (5, 130), (2, 768)] {
        let [x, scale, bias] = [numbers(lines * width, 1), numbers(width, 2), numbers(width, 3)];
        let inputs =
            [tensor(&[lines, width], &x), tensor(&[width], &scale), tensor(&[width], &bias)];
        for centred in [true, false] {
            let op = if centred { "LayerNormalization" } else { "RMSNormalization" };
            let count = if centred { 3 } else { 2 };
            let given = [Data::F32(x.clone()), Data::F32(scale.clone()), Data::F32(bias.clone())];
            let dispatch = plain_norm(lines, width, centred).dispatch();
            let Some(got) = run(&dispatch, &given[..count], lines * width) else { return };
            let want = reference(OpName::onnx(op), &[], &inputs[..count]);
            expect_close(op, &floats(&got), &want, 4.0);
        }
    }
}

#[test]
fn skipped_layers_are_added_and_kept() {
    let (lines, width) = (6, 70);
    let [x, skip, bias, scale] =
        [numbers(lines * width, 1), numbers(2 * width, 2), numbers(width, 3), numbers(width, 4)];
    let norm = Norm {
        added: vec![(Elem::F32, 2 * width), (Elem::F16, width)],
        keeps_sum: true,
        ..plain_norm(lines, width, false)
    };
    let given = [
        Data::F32(x.clone()),
        Data::F32(skip.clone()),
        Data::F16(bias.clone()),
        Data::F32(scale.clone()),
    ];
    let before = [Data::F32(vec![0.0; lines * width]), Data::F32(vec![0.0; lines * width])];
    let Some(got) = run_over(&norm.dispatch(), &given, &before) else { return };
    let sum: Vec<f32> = (0..x.len())
        .map(|i| x[i] + skip[i % (2 * width)] + f16::from_f32(bias[i % width]).to_f32())
        .collect();
    let sums = tensor(&[lines, width], &sum);
    expect_close("sum", &floats(&got[1]), &sums, 1.0);
    let want = reference(OpName::onnx("RMSNormalization"), &[], &[sums, tensor(&[width], &scale)]);
    expect_close("norm", &floats(&got[0]), &want, 4.0);
}

#[test]
fn groups_and_instances_have_a_scale_per_channel() {
    let dims = [2, 6, 5, 3];
    let [x, scale, bias] = [numbers(180, 1), numbers(6, 2), numbers(6, 3)];
    let inputs = [tensor(&dims, &x), tensor(&[6], &scale), tensor(&[6], &bias)];
    let given = [Data::F32(x), Data::F32(scale), Data::F32(bias)];
    let instance = Norm { channels: Channels { period: 6, inner: 15 }, ..plain_norm(12, 15, true) };
    let Some(got) = run(&instance.dispatch(), &given, 180) else { return };
    let want = reference(OpName::onnx("InstanceNormalization"), &[], &inputs);
    expect_close("instance", &floats(&got), &want, 4.0);
    let group = Norm { channels: Channels { period: 2, inner: 15 }, ..plain_norm(4, 45, true) };
    let got = run(&group.dispatch(), &given, 180).unwrap();
    let groups = [("num_groups", Attr::Int(2))];
    let want = reference(OpName::onnx("GroupNormalization"), &groups, &inputs);
    expect_close("group", &floats(&got), &want, 4.0);
}

const REDUCTIONS: [(Reduction, &str); 10] = [
    (Reduction::Sum, "ReduceSum"),
    (Reduction::Prod, "ReduceProd"),
    (Reduction::Max, "ReduceMax"),
    (Reduction::Min, "ReduceMin"),
    (Reduction::Mean, "ReduceMean"),
    (Reduction::L1, "ReduceL1"),
    (Reduction::L2, "ReduceL2"),
    (Reduction::SumSquare, "ReduceSumSquare"),
    (Reduction::LogSum, "ReduceLogSum"),
    (Reduction::LogSumExp, "ReduceLogSumExp"),
];

fn axes(marked: &[bool]) -> Tensor {
    let axes = marked.iter().zip(0i64..).filter(|(marked, _)| **marked).map(|(_, axis)| axis);
    Tensor::vector(axes.collect::<Vec<i64>>())
}

#[test]
fn any_axes_are_reduced() {
    let dims = [3, 4, 9, 5];
    let count = dims.iter().product();
    let x: Vec<f32> = numbers(count, 8).iter().map(|x| x + 1.5).collect();
    let view = View::whole(Elem::F32, &dims);
    for marked in [
        [true, false, true, false],
        [false, false, false, true],
        [true; 4],
        [false, true, true, false],
    ] {
        let input = Reduced::of(&view, &dims, &marked);
        for (kind, op) in REDUCTIONS {
            let want = reference(OpName::onnx(op), &[], &[tensor(&dims, &x), axes(&marked)]);
            let dispatch = reduce(kind, &input);
            let Some(got) = run(&dispatch, &[Data::F32(x.clone())], want.len()) else { return };
            expect_close(&format!("{op} {marked:?}"), &floats(&got), &want, 2.0);
        }
    }
}

#[test]
fn integers_are_reduced_to_integers() {
    let dims = [7, 40];
    let x: Vec<i32> = numbers(280, 8).iter().map(|x| (x * 20.0) as i32).collect();
    for marked in [[false, true], [true, false]] {
        let input = Reduced::of(&View::whole(Elem::I32, &dims), &dims, &marked);
        for (kind, op) in REDUCTIONS.into_iter().filter(|(kind, _)| kind.takes_integers()) {
            let given: Vec<i32> = if kind == Reduction::Prod { vec![1; 280] } else { x.clone() };
            let want = reference(OpName::onnx(op), &[], &[tensor(&dims, &given), axes(&marked)]);
            let dispatch = reduce(kind, &input);
            let Some(got) = run(&dispatch, &[Data::I32(given)], want.len()) else { return };
            assert_eq!(ints(&got), want.to_vec::<i32>().unwrap(), "{op}");
        }
    }
}

#[test]
fn what_is_no_number_wins_and_nothing_has_a_sum() {
    for wide in [5, 90] {
        let mut x = numbers(2 * wide, 3);
        x[wide - 1] = f32::NAN;
        x[wide] = f32::INFINITY;
        let dims = [2, wide];
        let input = Reduced::of(&View::whole(Elem::F32, &dims), &dims, &[false, true]);
        for (kind, op) in REDUCTIONS {
            let inputs = [tensor(&dims, &x), axes(&[false, true])];
            let want = reference(OpName::onnx(op), &[], &inputs);
            let Some(got) = run(&reduce(kind, &input), &[Data::F32(x.clone())], 2) else { return };
            expect_close(op, &floats(&got), &want, 2.0);
        }
    }
    let empty = Reduced::of(&View::whole(Elem::F32, &[3, 0]), &[3, 0], &[false, true]);
    let given = [Data::F32(Vec::new())];
    let Some(got) = run(&reduce(Reduction::Sum, &empty), &given, 3) else { return };
    assert_eq!(floats(&got), [0.0; 3]);
    let got = run(&reduce(Reduction::Max, &empty), &given, 3).unwrap();
    assert_eq!(floats(&got), [f32::NEG_INFINITY; 3]);
}
