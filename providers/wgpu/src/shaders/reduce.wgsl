fn begin() -> {{type}} {
    return {{begin}};
}

fn combine(a: {{type}}, b: {{type}}) -> {{type}} {
    return {{combine}};
}
{{together}}
{{main}} {
    let line = {{line}};
    if line >= {{lines}} {
        return;
    }
{{split_kept}}
    let origin = i32({{offset}}) + {{place_kept}};
    let size = {{size}};
{{before}}    var all = begin();
    for (var i = {{first}}; i < size; i += {{step}}) {
{{split_reduced}}        let x = x_at(u32(origin + {{place_reduced}}));
        all = combine(all, {{element}});
    }
    all = {{all}};
    y[line] = {{finish}};
}
