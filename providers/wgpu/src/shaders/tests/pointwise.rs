//! Functions of elements, and how they are reached.

use super::*;

fn unary_of(expr: &Expr, elem: Elem, out: Elem, input: Data, count: usize) -> Option<Vec<u32>> {
    let dims = [count];
    let dispatch =
        pointwise(expr, &dims, &View::whole(out, &dims), &[View::whole(elem, &dims)]).unwrap();
    run(&dispatch, &[input], count)
}

fn expect_unary(op: &str, attrs: &[(&str, Attr)], expr: &Expr, values: &[f32]) {
    let want = reference(OpName::onnx(op), attrs, &[Tensor::vector(values.to_vec())]);
    let input = Data::F32(values.to_vec());
    let Some(got) = unary_of(expr, Elem::F32, Elem::F32, input, values.len()) else { return };
    expect_close(op, &floats(&got), &want, 1.0);
}

fn input() -> Expr {
    Expr::Input(0)
}

#[test]
fn functions_of_floats_are_those_of_the_operators() {
    use Unary::*;
    let functions = [
        (Neg, "Neg"),
        (Abs, "Abs"),
        (Sign, "Sign"),
        (Floor, "Floor"),
        (Ceil, "Ceil"),
        (Round, "Round"),
        (Sqrt, "Sqrt"),
        (Reciprocal, "Reciprocal"),
        (Exp, "Exp"),
        (Log, "Log"),
        (Asin, "Asin"),
        (Acos, "Acos"),
        (Atan, "Atan"),
        (Sinh, "Sinh"),
        (Cosh, "Cosh"),
        (Tanh, "Tanh"),
        (Asinh, "Asinh"),
        (Acosh, "Acosh"),
        (Atanh, "Atanh"),
        (Erf, "Erf"),
        (Sigmoid, "Sigmoid"),
        (Softplus, "Softplus"),
        (Softsign, "Softsign"),
        (Mish, "Mish"),
        (Gelu, "Gelu"),
    ];
    for (function, op) in functions {
        expect_unary(op, &[], &input().unary(function), &odd_numbers());
    }
    let tanh = [("approximate", Attr::Text("tanh".to_owned()))];
    expect_unary("Gelu", &tanh, &input().unary(GeluByTanh), &odd_numbers());
}

#[test]
fn angles_are_turned_back_exactly() {
    let mut values: Vec<f32> = numbers(300, 9).into_iter().map(|x| x * 10.0).collect();
    values.extend(numbers(300, 10).into_iter().map(|x| x * 30_000.0));
    values.extend([0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, std::f32::consts::PI]);
    expect_unary("Sin", &[], &input().unary(Unary::Sin), &values);
    expect_unary("Cos", &[], &input().unary(Unary::Cos), &values);
    expect_unary("Tan", &[], &input().unary(Unary::Tan), &numbers(300, 11));
}

#[test]
fn activations_with_numbers_are_expressions() {
    let alpha = |value: f32| vec![("alpha", Attr::Float(value))];
    let both = |a: f32, b: f32| vec![("alpha", Attr::Float(a)), ("beta", Attr::Float(b))];
    let values = odd_numbers();
    expect_unary("Relu", &[], &input().relu(), &values);
    expect_unary("LeakyRelu", &alpha(0.2), &input().leaky_relu(Expr::float(0.2)), &values);
    expect_unary("Elu", &alpha(1.3), &input().elu(1.3), &values);
    expect_unary("Celu", &alpha(1.3), &input().celu(1.3), &numbers(200, 2));
    let selu = [("alpha", Attr::Float(1.6)), ("gamma", Attr::Float(1.1))];
    expect_unary("Selu", &selu, &input().selu(1.6, 1.1), &values);
    expect_unary("HardSigmoid", &both(0.2, 0.5), &input().hard_sigmoid(0.2, 0.5), &values);
    expect_unary("HardSwish", &[], &input().hard_swish(), &values);
    expect_unary("Swish", &alpha(1.7), &input().swish(1.7), &values);
    expect_unary("ThresholdedRelu", &alpha(0.7), &input().thresholded_relu(0.7), &values);
    let shrink = [("lambd", Attr::Float(0.4)), ("bias", Attr::Float(0.3))];
    expect_unary("Shrink", &shrink, &input().shrink(0.4, 0.3), &values);
}

#[test]
fn tests_and_casts_know_what_is_no_number() {
    let values = odd_numbers();
    let count = values.len();
    let given = || Data::F32(values.clone());
    type Test = fn(f32) -> bool;
    let cases: [(Expr, Test); 4] = [
        (input().unary(Unary::IsNan), f32::is_nan),
        (input().unary(Unary::IsInf), f32::is_infinite),
        (input().cast(Elem::Bool), |x| x != 0.0),
        (input().unary(Unary::IsNan).unary(Unary::Not), |x| !x.is_nan()),
    ];
    for (expr, want) in cases {
        let Some(got) = unary_of(&expr, Elem::F32, Elem::Bool, given(), count) else { return };
        let want: Vec<u32> = values.iter().map(|&x| u32::from(want(x))).collect();
        assert_eq!(got, want, "{expr:?}");
    }
    let Some(got) = unary_of(&input().cast(Elem::I32), Elem::F32, Elem::I32, given(), count) else {
        return;
    };
    #[expect(clippy::cast_possible_truncation, reason = "as the device")]
    let want: Vec<i32> = values.iter().map(|&x| x as i32).collect();
    assert_eq!(ints(&got), want);
}

#[test]
fn halves_are_read_and_rounded_like_halves() {
    let mut values = odd_numbers();
    values.extend([
        6e-8,
        3e-8,
        2.9e-8,
        65504.0,
        65519.9,
        65520.0,
        1e-40,
        0.099_975_586,
        2049.0,
        2051.0,
    ]);
    values.extend(numbers(64, 5).into_iter().map(|x| x * 1e-4));
    let count = values.len();
    let round =
        |expr: Expr| unary_of(&expr, Elem::F32, Elem::F32, Data::F32(values.clone()), count);
    let same = |got: &[u32], want: &dyn Fn(f32) -> f32| {
        for (&got, &x) in got.iter().zip(&values) {
            let (got, want) = (f32::from_bits(got), want(x));
            let equal = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            // A device may take numbers below the normal ones for zero.
            assert!(equal || (x.is_subnormal() && got == 0.0), "{x}: {got}, not {want}");
        }
    };
    let Some(got) = round(input().unary(Unary::ToHalf)) else { return };
    same(&got, &|x| f16::from_f32(x).to_f32());
    let got = round(input().unary(Unary::ToBfloat)).unwrap();
    same(&got, &|x| bf16::from_f32(x).to_f32());
    let got = unary_of(&input(), Elem::F16, Elem::F32, Data::F16(values.clone()), count).unwrap();
    same(&got, &|x| f16::from_f32(x).to_f32());
    let got = unary_of(&input(), Elem::BF16, Elem::F32, Data::BF16(values.clone()), count).unwrap();
    same(&got, &|x| bf16::from_f32(x).to_f32());
}

fn pairs() -> [Vec<f32>; 2] {
    let special =
        [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 7.25];
    let mut sides = [Vec::new(), Vec::new()];
    for a in special {
        for b in special {
            sides[0].push(a);
            sides[1].push(b);
        }
    }
    for (side, seed) in sides.iter_mut().zip([21, 22]) {
        side.extend(numbers(150, seed).into_iter().map(|x| x * 5.0));
    }
    sides
}

#[test]
fn functions_of_two_floats_are_those_of_the_operators() {
    use Binary::*;
    let [a, b] = pairs();
    let dims = [a.len()];
    let view = View::whole(Elem::F32, &dims);
    let run_both = |expr: &Expr, out: Elem| {
        let out = View::whole(out, &dims);
        let dispatch = pointwise(expr, &dims, &out, &[view.clone(), view.clone()]).unwrap();
        run(&dispatch, &[Data::F32(a.clone()), Data::F32(b.clone())], dims[0])
    };
    let inputs = [Tensor::vector(a.clone()), Tensor::vector(b.clone())];
    let numbers = [
        (Add, "Add"),
        (Sub, "Sub"),
        (Mul, "Mul"),
        (Div, "Div"),
        (Min, "Min"),
        (Max, "Max"),
        (Pow, "Pow"),
    ];
    for (function, op) in numbers {
        let expr = input().binary(function, Expr::Input(1));
        let Some(got) = run_both(&expr, Elem::F32) else { return };
        expect_close(op, &floats(&got), &reference(OpName::onnx(op), &[], &inputs), 1.0);
    }
    let comparisons = [
        (Equal, "Equal"),
        (Less, "Less"),
        (LessOrEqual, "LessOrEqual"),
        (Greater, "Greater"),
        (GreaterOrEqual, "GreaterOrEqual"),
    ];
    for (function, op) in comparisons {
        let got = run_both(&input().binary(function, Expr::Input(1)), Elem::Bool).unwrap();
        let want = reference(OpName::onnx(op), &[], &inputs).to_vec::<bool>().unwrap();
        assert_eq!(got, want.into_iter().map(u32::from).collect::<Vec<_>>(), "{op}");
    }
}

#[test]
fn integers_wrap_and_divide_toward_zero() {
    use Binary::*;
    let a = vec![7, -7, 7, -7, 0, 100, i32::MIN, i32::MAX];
    let b = vec![2, 2, -2, -2, 5, -7, 3, -10];
    type Function = fn(i32, i32) -> i32;
    let cases: [(Binary, Function); 6] = [
        (Add, i32::wrapping_add),
        (Sub, i32::wrapping_sub),
        (Mul, i32::wrapping_mul),
        (Div, i32::wrapping_div),
        (Min, i32::min),
        (Max, i32::max),
    ];
    let dims = [a.len()];
    let view = View::whole(Elem::I32, &dims);
    for (function, want) in cases {
        let expr = input().binary(function, Expr::Input(1));
        let dispatch = pointwise(&expr, &dims, &view, &[view.clone(), view.clone()]).unwrap();
        let given = [Data::I32(a.clone()), Data::I32(b.clone())];
        let Some(got) = run(&dispatch, &given, dims[0]) else { return };
        let want: Vec<i32> = a.iter().zip(&b).map(|(&a, &b)| want(a, b)).collect();
        assert_eq!(ints(&got), want, "{function:?}");
    }
}

#[test]
fn a_chain_of_broadcast_tensors_is_one_kernel() {
    let (dims, wide) = ([2, 3, 1, 5], [2, 3, 4, 5]);
    let [a, b, c] = [numbers(30, 1), numbers(20, 2), numbers(4, 3)];
    let expr = Expr::Input(0)
        .plus(Expr::Input(1))
        .binary(Binary::Greater, Expr::Input(2))
        .select(Expr::Input(0).times(Expr::float(2.0)), Expr::Input(1).unary(Unary::Exp))
        .clip(Expr::float(-1.0), Expr::float(1.25));
    let inputs = [
        View::broadcast(Elem::F32, &dims, &wide),
        View::broadcast(Elem::F16, &[4, 5], &wide),
        View::broadcast(Elem::BF16, &[4, 1], &wide),
    ];
    let dispatch = pointwise(&expr, &wide, &View::whole(Elem::F32, &wide), &inputs).unwrap();
    let given = [Data::F32(a.clone()), Data::F16(b.clone()), Data::BF16(c.clone())];
    let Some(got) = run(&dispatch, &given, 120) else { return };
    let want: Vec<f32> = (0..120)
        .map(|i| {
            let (x, w, h) = (i % 5, i / 5 % 4, i / 20);
            let a = a[h * 5 + x];
            let b = f16::from_f32(b[w * 5 + x]).to_f32();
            let c = bf16::from_f32(c[w]).to_f32();
            (if a + b > c { a * 2.0 } else { b.exp() }).clamp(-1.0, 1.25)
        })
        .collect();
    expect_close("chain", &floats(&got), &tensor(&[120], &want), 1.0);
}

#[test]
fn strides_turn_slice_and_join() {
    // A transposed, backwards walked part goes into a part of the result.
    let x: Vec<f32> = (0u8..24).map(f32::from).collect();
    let from = View { elem: Elem::F32, offset: 23, strides: vec![-2, -6] };
    let to = View { elem: Elem::F32, offset: 2, strides: vec![8, 1] };
    let dispatch = pointwise(&input(), &[3, 4], &to, &[from]).unwrap();
    let Some(got) = run(&dispatch, &[Data::F32(x)], 26) else { return };
    let mut want = vec![0.0; 26];
    for row in 0..3 {
        for column in 0..4 {
            want[2 + row * 8 + column] = (23 - 2 * row - 6 * column) as f32;
        }
    }
    assert_eq!(floats(&got), want);
}

#[test]
fn nothing_and_very_much_are_launched_alike() {
    let none = pointwise(
        &input(),
        &[3, 0],
        &View::whole(Elem::F32, &[3, 0]),
        &[View::whole(Elem::F32, &[3, 0])],
    );
    assert!(none.unwrap().launch.groups.contains(&0));
    let dims = [5_000_001];
    let one = View::broadcast(Elem::F32, &[1], &dims);
    let dispatch = pointwise(&input(), &dims, &View::whole(Elem::F32, &dims), &[one]).unwrap();
    assert!(dispatch.launch.groups[1] > 1);
    let Some(got) = run(&dispatch, &[Data::F32(vec![4.0])], dims[0]) else { return };
    assert!(got.iter().all(|&word| word == 4f32.to_bits()));
}

#[test]
fn types_that_do_not_fit_are_an_error() {
    let view = View::whole(Elem::F32, &[4]);
    let mixed = input().plus(Expr::Int(1));
    let error = pointwise(&mixed, &[4], &view, std::slice::from_ref(&view)).unwrap_err();
    assert_eq!(error.to_string(), "`Add` expected two of one type, got `[F32, I32]`");
    let missing = pointwise(&Expr::Input(1), &[4], &view, std::slice::from_ref(&view)).unwrap_err();
    assert_eq!(missing, ExprError::Input(1));
}
