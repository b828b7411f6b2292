{{shared}}
fn element(at: u32) -> f32 {
    return {{element}};
}

{{main}} {
    let line = {{line}};
    if line >= {{lines}} {
        return;
    }
    let width = {{width}};
    let origin = line * width;
    let inverse_width = 1.0 / f32(width);
    var sum = 0.0;
{{mean}}    sum = 0.0;
    for (var i = {{first}}; i < width; i += {{step}}) {
        let shifted = element(origin + i) - mean;
        sum += shifted * shifted;
    }
    sum = {{all_sum}};
    let inverse = 1.0 / sqrt(sum * inverse_width + bitcast<f32>({{epsilon}}));
    for (var i = {{first}}; i < width; i += {{step}}) {
        let x = element(origin + i);
{{keep}}        let channel = ((line % {{period}}) * width + i) / {{inner}};
        y[origin + i] = {{value}};
    }
}
