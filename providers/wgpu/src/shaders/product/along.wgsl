{{functions}}
{{store}}
var<workgroup> partial: array<f32, {{held}}>;

// A workgroup computes some columns of all rows. Its invocations share out what is summed.
{{main}} {
    let across = ({{n}} + {{columns}} - 1u) / {{columns}};
    let job = group.y * groups.x + group.x;
    let batch = job / max(across, 1u);
    if batch >= {{products}} {
        return;
    }
{{bases}}
    let first_column = (job % across) * {{columns}};
{{declare}}
    for (var at = lane * {{width}}; at < {{k}}; at += {{threads}} * {{width}}) {
{{accumulate}}    }
{{keep}}
    workgroupBarrier();
    for (var half = {{threads}} / 2u; half > 0u; half >>= 1u) {
        if lane < half {
            for (var i = 0u; i < {{kept}}; i += 1u) {
                partial[i * {{threads}} + lane] += partial[i * {{threads}} + lane + half];
            }
        }
        workgroupBarrier();
    }
    if lane < {{kept}} {
        let row = lane / {{columns}};
        let column = first_column + lane % {{columns}};
        if column < {{n}} {
            store({{given}}, row, column, partial[lane * {{threads}}]);
        }
    }
}
