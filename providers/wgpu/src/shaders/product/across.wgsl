{{functions}}
{{store}}
var<workgroup> partial: array<f32, {{held}}>;

// A workgroup computes 64 columns of all rows: neighbours read neighbouring columns, and what is summed is
// cut in four.
{{main}} {
    let across = ({{n}} + 63u) / 64u;
    let job = group.y * groups.x + group.x;
    let batch = job / max(across, 1u);
    if batch >= {{products}} {
        return;
    }
{{bases}}
    let side = lane % 64u;
    let column = (job % across) * 64u + side;
    let share = lane / 64u;
{{declare}}
    if column < {{n}} {
        for (var at = share; at < {{k}}; at += 4u) {
            let weight = {{b}};
{{accumulate}}        }
    }
{{keep}}
    workgroupBarrier();
    for (var row = share; row < {{kept}}; row += 4u) {
        let origin = row * {{threads}} + side;
        let sum = (partial[origin] + partial[origin + 64u]) + (partial[origin + 128u] + partial[origin + 192u]);
        if column < {{n}} {
            store({{given}}, row, column, sum);
        }
    }
}
