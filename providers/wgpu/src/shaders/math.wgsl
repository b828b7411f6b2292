// Functions of floats that every device computes alike: built-in ones may differ by more than the bounds
// allow, or know no NaN. Each stands alone between blank lines, after those that it calls.

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_inf(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

fn float_of(bits: u32) -> f32 {
    var kept = bits;
    return bitcast<f32>(kept);
}

fn infinity() -> f32 {
    return float_of(0x7f800000u);
}

fn not_a_number() -> f32 {
    return float_of(0x7fc00000u);
}

fn greater(a: f32, b: f32) -> f32 {
    return select(b, a, is_nan(a) || a > b);
}

fn lesser(a: f32, b: f32) -> f32 {
    return select(b, a, is_nan(a) || a < b);
}

// 2^n for n from -252 on in two factors, as the exponent of one does not reach that far.
fn times_power_of_two(x: f32, n: i32) -> f32 {
    let half = n / 2;
    let rest = n - half;
    return x * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(rest + 127) << 23u);
}

fn exp_of(x: f32) -> f32 {
    let n = round(clamp(x, -150.0, 130.0) * 1.44269504088896341);
    let r = (x - n * 0.693359375) - n * -2.12194440e-4;
    var sum = 1.9875691500e-4;
    sum = sum * r + 1.3981999507e-3;
    sum = sum * r + 8.3334519073e-3;
    sum = sum * r + 4.1665795894e-2;
    sum = sum * r + 1.6666665459e-1;
    sum = sum * r + 5.0000001201e-1;
    let inside = times_power_of_two(sum * r * r + r + 1.0, i32(n));
    let bounded = select(select(inside, infinity(), x > 88.72284), 0.0, x < -104.0);
    return select(bounded, x, is_nan(x));
}

fn log_of(x: f32) -> f32 {
    let small = abs(x) < 1.17549435e-38;
    let scaled = select(x, x * 8388608.0, small);
    let bits = bitcast<u32>(scaled);
    var e = i32((bits >> 23u) & 0xffu) - 126 - select(0, 23, small);
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    if m < 0.707106781186547524 {
        e -= 1;
        m = m + m;
    }
    m -= 1.0;
    let z = m * m;
    var sum = 7.0376836292e-2;
    sum = sum * m - 1.1514610310e-1;
    sum = sum * m + 1.1676998740e-1;
    sum = sum * m - 1.2420140846e-1;
    sum = sum * m + 1.4249322787e-1;
    sum = sum * m - 1.6668057665e-1;
    sum = sum * m + 2.0000714765e-1;
    sum = sum * m - 2.4999993993e-1;
    sum = sum * m + 3.3333331174e-1;
    let n = f32(e);
    let y = m * z * sum + n * -2.12194440e-4 - 0.5 * z;
    var result = (m + y) + n * 0.693359375;
    if x == 0.0 {
        result = -infinity();
    } else if x < 0.0 {
        result = not_a_number();
    } else if is_inf(x) || is_nan(x) {
        result = x;
    }
    return result;
}

// The logarithm of 1 + x for x from 0 to 1.
fn log_of_one_and(x: f32) -> f32 {
    let sum = 1.0 + x;
    let lost = x - (sum - 1.0);
    return log_of(sum) + lost / sum;
}

fn sqrt_of(x: f32) -> f32 {
    let root = sqrt(max(x, 0.0));
    return select(select(root, not_a_number(), x < 0.0), x, is_nan(x) || x == 0.0 || (is_inf(x) && x > 0.0));
}

fn sign_of(x: f32) -> f32 {
    return select(select(select(0.0, -1.0, x < 0.0), 1.0, x > 0.0), x, is_nan(x));
}

// Halves go to the even neighbour.
fn round_of(x: f32) -> f32 {
    return select(round(x), x, is_nan(x) || abs(x) >= 8388608.0);
}

fn sigmoid_of(x: f32) -> f32 {
    let e = exp_of(-abs(x));
    let y = select(1.0, e, x < 0.0) / (1.0 + e);
    return select(y, x, is_nan(x));
}

fn hard_sigmoid_of(x: f32, alpha: f32, beta: f32) -> f32 {
    let y = alpha * x + beta;
    return select(clamp(y, 0.0, 1.0), y, is_nan(y));
}

fn tanh_of(x: f32) -> f32 {
    let size = abs(x);
    let z = x * x;
    var sum = -5.70498872745e-3;
    sum = sum * z + 2.06390887954e-2;
    sum = sum * z - 5.37397155531e-2;
    sum = sum * z + 1.33314422036e-1;
    sum = sum * z - 3.33332819422e-1;
    let near = sum * z * x + x;
    let far = select(1.0 - 2.0 / (exp_of(2.0 * min(size, 20.0)) + 1.0), 1.0, size > 9.1);
    let y = select(select(far, -far, x < 0.0), near, size < 0.625);
    return select(y, x, is_nan(x));
}

fn softplus_of(x: f32) -> f32 {
    let y = max(x, 0.0) + log_of_one_and(exp_of(-abs(x)));
    return select(y, x, is_nan(x));
}

fn mish_of(x: f32) -> f32 {
    return x * tanh_of(softplus_of(x));
}

// One less the error function.
fn erf_complement(x: f32) -> f32 {
    let size = abs(x);
    let z = x * x;
    var near = 7.853861353153693e-5;
    near = near * z - 8.010193625184903e-4;
    near = near * z + 5.188327685732524e-3;
    near = near * z - 2.685381193529856e-2;
    near = near * z + 1.128358514861418e-1;
    near = near * z - 3.761262582423300e-1;
    near = near * z + 1.128379165726710;
    let t = 1.0 / (1.0 + 0.5 * min(size, 20.0));
    var sum = 0.17087277;
    sum = sum * t - 0.82215223;
    sum = sum * t + 1.48851587;
    sum = sum * t - 1.13520398;
    sum = sum * t + 0.27886807;
    sum = sum * t - 0.18628806;
    sum = sum * t + 0.09678418;
    sum = sum * t + 0.37409196;
    sum = sum * t + 1.00002368;
    sum = sum * t - 1.26551223;
    let bounded = min(size, 20.0);
    let far = t * exp_of(sum - bounded * bounded);
    let y = select(select(far, 2.0 - far, x < 0.0), 1.0 - x * near, size < 1.0);
    return select(y, x, is_nan(x));
}

fn erf_of(x: f32) -> f32 {
    let z = x * x;
    var near = 7.853861353153693e-5;
    near = near * z - 8.010193625184903e-4;
    near = near * z + 5.188327685732524e-3;
    near = near * z - 2.685381193529856e-2;
    near = near * z + 1.128358514861418e-1;
    near = near * z - 3.761262582423300e-1;
    near = near * z + 1.128379165726710;
    return select(1.0 - erf_complement(x), x * near, abs(x) < 1.0);
}

fn gelu_of(x: f32) -> f32 {
    return 0.5 * x * erf_complement(x * -0.70710678118654752);
}

fn gelu_by_tanh(x: f32) -> f32 {
    return 0.5 * x * (1.0 + tanh_of(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

// An angle less quarter turns, and how many of these went, modulo 4.
fn quarter_turns(x: f32) -> vec2<f32> {
    let n = round(x * 0.636619772367581343);
    let r = ((x - n * 1.5703125) - n * 4.83751296997e-4) - n * 7.54978995489e-8;
    return vec2<f32>(r, n - 4.0 * floor(n * 0.25));
}

fn near_sin(r: f32) -> f32 {
    let z = r * r;
    return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
}

fn near_cos(r: f32) -> f32 {
    let z = r * r;
    return ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
}

fn sin_of(x: f32) -> f32 {
    let turned = quarter_turns(x);
    let swapped = turned.y == 1.0 || turned.y == 3.0;
    let y = select(near_sin(turned.x), near_cos(turned.x), swapped);
    return select(select(y, -y, turned.y >= 2.0), not_a_number(), is_nan(x) || is_inf(x));
}

fn cos_of(x: f32) -> f32 {
    let turned = quarter_turns(x);
    let swapped = turned.y == 1.0 || turned.y == 3.0;
    let y = select(near_cos(turned.x), near_sin(turned.x), swapped);
    return select(select(y, -y, turned.y == 1.0 || turned.y == 2.0), not_a_number(), is_nan(x) || is_inf(x));
}

fn tan_of(x: f32) -> f32 {
    return sin_of(x) / cos_of(x);
}

fn near_asin(x: f32) -> f32 {
    let z = x * x;
    var sum = 4.2163199048e-2;
    sum = sum * z + 2.4181311049e-2;
    sum = sum * z + 4.5470025998e-2;
    sum = sum * z + 7.4953002686e-2;
    sum = sum * z + 1.6666752422e-1;
    return sum * z * x + x;
}

fn asin_of(x: f32) -> f32 {
    let size = abs(x);
    let far = 1.5707963267948966 - 2.0 * near_asin(sqrt(max(0.5 * (1.0 - size), 0.0)));
    let y = select(select(far, -far, x < 0.0), near_asin(x), size <= 0.5);
    return select(y, not_a_number(), is_nan(x) || size > 1.0);
}

fn acos_of(x: f32) -> f32 {
    let size = abs(x);
    let far = 2.0 * near_asin(sqrt(max(0.5 * (1.0 - size), 0.0)));
    let y = select(select(far, 3.14159265358979324 - far, x < 0.0), 1.5707963267948966 - near_asin(x), size <= 0.5);
    return select(y, not_a_number(), is_nan(x) || size > 1.0);
}

fn atan_of(x: f32) -> f32 {
    let size = abs(x);
    let far = size > 2.414213562373095;
    let middle = size > 0.4142135623730950;
    let start = select(select(0.0, 0.7853981633974483, middle), 1.5707963267948966, far);
    let inverse = select(-1.0 / max(size, 1.0), 0.0, is_inf(x));
    let r = select(select(size, (size - 1.0) / (size + 1.0), middle), inverse, far);
    let z = r * r;
    var sum = 8.05374449538e-2;
    sum = sum * z - 1.38776856032e-1;
    sum = sum * z + 1.99777106478e-1;
    sum = sum * z - 3.33329491539e-1;
    let y = start + (sum * z * r + r);
    return select(select(y, -y, x < 0.0), x, is_nan(x));
}

fn sinh_of(x: f32) -> f32 {
    let size = abs(x);
    let z = x * x;
    let near = ((2.03721912945e-4 * z + 8.33028376239e-3) * z + 1.66667160211e-1) * z * x + x;
    let half = exp_of(size - 0.693147180559945);
    let far = half - 0.25 / half;
    let y = select(select(far, -far, x < 0.0), near, size < 1.0);
    return select(y, x, is_nan(x) || is_inf(x));
}

fn cosh_of(x: f32) -> f32 {
    let half = exp_of(abs(x) - 0.693147180559945);
    return select(half + 0.25 / half, abs(x), is_nan(x) || is_inf(x));
}

fn asinh_of(x: f32) -> f32 {
    let size = abs(x);
    let bounded = min(size, 1.0e9);
    let far = log_of(size) + 0.693147180559945;
    let y = select(log_of(bounded + sqrt(bounded * bounded + 1.0)), far, size > 1.0e9);
    let near = x - x * x * x * (1.0 / 6.0);
    return select(select(select(y, -y, x < 0.0), near, size < 0.02), x, is_nan(x) || is_inf(x));
}

fn acosh_of(x: f32) -> f32 {
    let bounded = clamp(x, 1.0, 1.0e9);
    let near = bounded - 1.0;
    let small = near + sqrt(near * (bounded + 1.0));
    let y = select(log_of(1.0 + small), log_of_one_and(small), small < 1.0);
    let far = log_of(x) + 0.693147180559945;
    return select(select(select(y, far, x > 1.0e9), not_a_number(), x < 1.0), x, is_nan(x));
}

fn atanh_of(x: f32) -> f32 {
    let size = abs(x);
    let y = 0.5 * log_of((1.0 + size) / (1.0 - min(size, 0.99999997)));
    let near = x + x * x * x * (1.0 / 3.0);
    let inside = select(select(y, -y, x < 0.0), near, size < 0.02);
    let edge = select(inside, select(infinity(), -infinity(), x < 0.0), size == 1.0);
    return select(edge, not_a_number(), is_nan(x) || size > 1.0);
}

// The base to a whole power whose size is at most 32.
fn whole_power(x: f32, n: i32) -> f32 {
    var rest = u32(abs(n));
    var base = x;
    var y = 1.0;
    while rest > 0u {
        if (rest & 1u) == 1u {
            y *= base;
        }
        base *= base;
        rest >>= 1u;
    }
    return select(y, 1.0 / y, n < 0);
}

fn power_of(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if is_nan(x) || is_nan(y) {
        return not_a_number();
    }
    let whole = abs(y) >= 8388608.0 || floor(y) == y;
    let odd = whole && abs(y) < 16777216.0 && (i32(y) & 1) == 1;
    let size = abs(x);
    var result: f32;
    if size == 1.0 {
        result = 1.0;
    } else if size == 0.0 || is_inf(x) {
        result = select(0.0, infinity(), (size == 0.0) == (y < 0.0));
    } else if is_inf(y) {
        result = select(0.0, infinity(), (size > 1.0) == (y > 0.0));
    } else if whole && abs(y) <= 32.0 {
        result = whole_power(size, i32(y));
    } else if y == 0.5 {
        result = sqrt(size);
    } else {
        result = exp_of(y * log_of(size));
    }
    let below = (bitcast<u32>(x) >> 31u) == 1u;
    if below && !whole && size != 0.0 && !is_inf(x) && !is_inf(y) {
        return not_a_number();
    }
    return select(result, -result, below && odd);
}

// The bits of a float as a half, rounded to the nearest, of two the even one.
fn half_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let sign = (bits >> 16u) & 0x8000u;
    let size = bits & 0x7fffffffu;
    if size > 0x7f800000u {
        return sign | 0x7e00u;
    }
    if size >= 0x477ff000u {
        return sign | 0x7c00u;
    }
    if size < 0x38800000u {
        // Below the normal halves these are multiples of 2^-24.
        return sign | u32(round(bitcast<f32>(size) * 16777216.0));
    }
    let moved = size - 0x38000000u;
    return sign | ((moved + 0xfffu + ((moved >> 13u) & 1u)) >> 13u);
}

fn half_value(bits: u32) -> f32 {
    let sign = (bits & 0x8000u) << 16u;
    let e = (bits >> 10u) & 31u;
    let m = bits & 0x3ffu;
    let small = bitcast<u32>(f32(m) * 5.9604644775390625e-8);
    let normal = ((e + 112u) << 23u) | (m << 13u);
    let special = 0x7f800000u | (m << 13u);
    return float_of(sign | select(select(normal, special, e == 31u), small, e == 0u));
}

fn bfloat_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
    return select(rounded, (bits >> 16u) | 0x40u, is_nan(x));
}

fn rounded_to_half(x: f32) -> f32 {
    return half_value(half_bits(x));
}

fn rounded_to_bfloat(x: f32) -> f32 {
    return float_of(bfloat_bits(x) << 16u);
}

// Toward zero; what has no place goes to the nearest that has, NaN to 0.
fn whole_number(x: f32) -> i32 {
    let inside = i32(clamp(x, -2147483648.0, 2147483520.0));
    return select(select(inside, 2147483647, x >= 2147483648.0), 0, is_nan(x));
}
