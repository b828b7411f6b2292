{{shared}}
// A line has a stride: lines are `outer` times `inner`.
{{main}} {
    let line = {{line}};
    if line >= {{lines}} {
        return;
    }
    let size = {{size}};
    let inner = {{inner}};
    let origin = (line / inner) * size * inner + line % inner;
    var most = -infinity();
    for (var i = {{first}}; i < size; i += {{step}}) {
        most = greater(most, x_at(origin + i * inner));
    }
    most = {{all_greatest}};
    var sum = 0.0;
    for (var i = {{first}}; i < size; i += {{step}}) {
        sum += exp_of(x_at(origin + i * inner) - most);
    }
    sum = {{all_sum}};
{{log_sum}}    for (var i = {{first}}; i < size; i += {{step}}) {
        let at = origin + i * inner;
        let shifted = x_at(at) - most;
        y[at] = {{value}};
    }
}
