{{functions}}
{{store}}
var<workgroup> a_tile: array<f32, 1040>;
var<workgroup> b_tile: array<f32, 1040>;

fn b_four(at: u32) -> vec4<f32> {
    return vec4<f32>(b_tile[at], b_tile[at + 1u], b_tile[at + 2u], b_tile[at + 3u]);
}

// A workgroup computes 64 rows by 64 columns, an invocation 4 by 4 of them.
{{main}} {
    let across = ({{n}} + 63u) / 64u;
    let tiles = across * (({{m}} + 63u) / 64u);
    let job = group.y * groups.x + group.x;
    let batch = job / max(tiles, 1u);
    if batch >= {{products}} {
        return;
    }
{{bases}}
    let first_row = ((job % tiles) / across) * 64u;
    let first_column = (job % across) * 64u;
    let own_row = (lane / 16u) * 4u;
    let own_column = (lane % 16u) * 4u;
    var sums0 = vec4<f32>();
    var sums1 = vec4<f32>();
    var sums2 = vec4<f32>();
    var sums3 = vec4<f32>();
    for (var first = 0u; first < {{k}}; first += 16u) {
{{load_a}}
{{load_b}}
        workgroupBarrier();
        for (var step = 0u; step < 16u; step += 1u) {
            let four = b_four(step * 65u + own_column);
            let origin = step * 65u + own_row;
            sums0 += a_tile[origin] * four;
            sums1 += a_tile[origin + 1u] * four;
            sums2 += a_tile[origin + 2u] * four;
            sums3 += a_tile[origin + 3u] * four;
        }
        workgroupBarrier();
    }
    var sums = array<vec4<f32>, 4>(sums0, sums1, sums2, sums3);
    for (var i = 0u; i < 4u; i += 1u) {
        for (var j = 0u; j < 4u; j += 1u) {
            let row = first_row + own_row + i;
            let column = first_column + own_column + j;
            if row < {{m}} && column < {{n}} {
                store({{given}}, row, column, sums[i][j]);
            }
        }
    }
}
