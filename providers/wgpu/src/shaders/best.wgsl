{{main}} {
    let line = (group.y * groups.x + group.x) * {{threads}} + lane;
    if line >= {{lines}} {
        return;
    }
{{split_kept}}
    let origin = i32({{offset}}) + {{place_kept}};
    let size = {{size}};
    var best = x_at(u32(origin));
    var place = 0u;
    for (var i = 1u; i < size; i += 1u) {
{{split_reduced}}        let x = x_at(u32(origin + {{place_reduced}}));
        if {{taken}} {
            best = x;
            place = i;
        }
    }
    y[line] = i32(place);
}
