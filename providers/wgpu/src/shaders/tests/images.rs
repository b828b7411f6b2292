//! Convolutions, pooling and resizing against their reference kernels.

use super::*;

fn ints_attr(values: &[usize]) -> Attr {
    Attr::Ints(values.iter().map(|&value| i64::try_from(value).unwrap()).collect())
}

struct Case {
    images: usize,
    groups: usize,
    channels: [usize; 2],
    image: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Above, left, below, right.
    pads: [usize; 4],
}

const CASES: [Case; 4] = [
    Case {
        images: 2,
        groups: 1,
        channels: [3, 20],
        image: [9, 7],
        kernel: [3, 3],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [1, 1, 1, 1],
    },
    Case {
        images: 1,
        groups: 2,
        channels: [4, 3],
        image: [8, 11],
        kernel: [3, 2],
        strides: [2, 3],
        dilations: [2, 1],
        pads: [1, 0, 2, 1],
    },
    Case {
        images: 2,
        groups: 6,
        channels: [1, 1],
        image: [10, 10],
        kernel: [5, 5],
        strides: [1, 2],
        dilations: [1, 1],
        pads: [2, 2, 2, 2],
    },
    Case {
        images: 1,
        groups: 1,
        channels: [5, 9],
        image: [1, 30],
        kernel: [1, 4],
        strides: [1, 2],
        dilations: [1, 3],
        pads: [0, 2, 0, 1],
    },
];

fn attrs_of(case: &Case) -> Vec<(&'static str, Attr)> {
    vec![
        ("group", ints_attr(&[case.groups])),
        ("strides", ints_attr(&case.strides)),
        ("dilations", ints_attr(&case.dilations)),
        ("pads", ints_attr(&case.pads)),
    ]
    .into_iter()
    .map(|(name, attr)| match (name, attr) {
        ("group", _) => (name, Attr::Int(i64::try_from(case.groups).unwrap())),
        other => other,
    })
    .collect()
}

fn patches(case: &Case, out: [usize; 2], spread: bool) -> Patches {
    Patches {
        image: case.image,
        kernel: case.kernel,
        out,
        strides: case.strides,
        dilations: case.dilations,
        pads: [case.pads[0], case.pads[1]].map(|pad| isize::try_from(pad).unwrap()),
        spread,
    }
}

fn expect_convolution(case: &Case, spread: bool) {
    let [inputs, outputs] = case.channels;
    let area = case.kernel[0] * case.kernel[1];
    let dims = [case.images, case.groups * inputs, case.image[0], case.image[1]];
    let x = numbers(dims.iter().product(), 1);
    let weights = numbers(case.groups * outputs * inputs * area, 2);
    let bias = numbers(case.groups * outputs, 3);
    let (op, [first, second]) = if spread {
        ("ConvTranspose", [case.groups * inputs, outputs])
    } else {
        ("Conv", [case.groups * outputs, inputs])
    };
    let of_weights = [first, second, case.kernel[0], case.kernel[1]];
    let tensors = [tensor(&dims, &x), tensor(&of_weights, &weights), tensor(&[bias.len()], &bias)];
    let want = reference(OpName::onnx(op), &attrs_of(case), &tensors);
    let want = reference(OpName::onnx("Relu"), &[], &[want]);
    let out = [want.dims()[2], want.dims()[3]];
    let product = convolution(&Convolution {
        images: case.images,
        groups: case.groups,
        channels: case.channels,
        patches: patches(case, out, spread),
        elem: Elem::F32,
        weights: Elem::F32,
        bias: Some(Elem::F32),
        epilogue: Expr::Input(0).plus(Expr::Input(1)).relu(),
    });
    let given = [Data::F32(weights), Data::F32(x), Data::F32(bias)];
    let Some(got) = run(&product.dispatch().unwrap(), &given, want.len()) else { return };
    expect_close(op, &floats(&got), &want, 4.0);
}

#[test]
fn convolutions_are_products_of_patches() {
    for case in &CASES {
        expect_convolution(case, false);
        expect_convolution(case, true);
    }
}

#[test]
fn windows_are_pooled() {
    let image = [9, 8];
    let mut x = numbers(2 * 3 * 72, 5);
    x[10] = f32::NAN;
    x[80..84].fill(f32::NEG_INFINITY);
    for (kernel, strides, dilations, pads, ceil) in [
        ([3, 3], [2, 2], [1, 1], [0, 0, 0, 0], false),
        ([2, 3], [1, 2], [2, 1], [1, 1, 0, 1], false),
        ([3, 3], [2, 3], [1, 1], [1, 1, 1, 1], true),
    ] {
        let mut attrs = vec![
            ("kernel_shape", ints_attr(&kernel)),
            ("strides", ints_attr(&strides)),
            ("dilations", ints_attr(&dilations)),
            ("pads", ints_attr(&pads)),
            ("ceil_mode", Attr::Int(i64::from(ceil))),
        ];
        let kinds = [
            (Pooling::Max, "MaxPool"),
            (Pooling::Average { padded: false }, "AveragePool"),
            (Pooling::Average { padded: true }, "AveragePool"),
        ];
        for (kind, op) in kinds {
            if kind == (Pooling::Average { padded: true }) {
                attrs.push(("count_include_pad", Attr::Int(1)));
            }
            let want = reference(OpName::onnx(op), &attrs, &[tensor(&[2, 3, 9, 8], &x)]);
            let of = |at: usize| isize::try_from(pads[at]).unwrap();
            let pool = Pool {
                kind,
                elem: Elem::F32,
                planes: 6,
                image,
                out: [want.dims()[2], want.dims()[3]],
                kernel,
                strides,
                dilations,
                pads: [[of(0), of(1)], [of(2), of(3)]],
            };
            let Some(got) = run(&pool.dispatch(), &[Data::F32(x.clone())], want.len()) else {
                return;
            };
            expect_close(&format!("{op} {kind:?} {kernel:?}"), &floats(&got), &want, 1.0);
        }
    }
}

#[test]
fn places_of_an_axis_are_sums_of_its_elements() {
    let [lines, size, inner] = [3, 5, 4];
    let x = numbers(lines * size * inner, 6);
    let places =
        [Some(vec![(0, 1.0)]), None, Some(vec![(1, 0.25), (4, -0.75), (2, 1.5)]), Some(Vec::new())];
    let count = lines * places.len() * inner;
    for (places, outside) in [(&places[..], 9.0), (&places[2..], 0.0)] {
        let dispatch = resize(Elem::F32, [lines, size, inner], places, 9.0);
        let Some(got) = run(&dispatch, &[Data::F32(x.clone())], count) else { return };
        let mut want = Vec::new();
        for line in x.chunks(size * inner) {
            for taps in places {
                want.extend((0..inner).map(|at| match taps.as_deref() {
                    None | Some([]) => outside,
                    Some(taps) => {
                        let terms = taps
                            .iter()
                            .map(|&(place, share)| share * f64::from(line[place * inner + at]));
                        terms.sum::<f64>() as f32
                    }
                }));
            }
        }
        let got = &floats(&got)[..want.len()];
        expect_close("resize", got, &tensor(&[want.len()], &want), 1.0);
    }
}
