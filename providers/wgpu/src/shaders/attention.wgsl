var<workgroup> query: array<f32, {{key_dim}}>;
var<workgroup> weights: array<f32, 64>;
var<workgroup> shared_sums: array<f32, 64>;

{{pairs}}

// A workgroup computes one head of one token: positions in turns of 64, each of which an invocation
// weighs; then each invocation sums up its own features of all of them. What the earlier turns made is
// scaled down when a later one has a greater score.
{{main}} {
    let job = group.y * groups.x + group.x;
    if job >= {{jobs}} {
        return;
    }
    let head = job % {{heads}};
    let token = (job / {{heads}}) % {{tokens}};
    let batch = job / ({{heads}} * {{tokens}});
    let from_head = head / {{shared_by}};
    let q_base = i32({{q_offset}}) + i32(batch) * i32({{q_batch}}) + i32(head) * i32({{q_head}}) + i32(token) * i32({{q_row}});
    let k_base = i32({{k_offset}}) + i32(batch) * i32({{k_batch}}) + i32(from_head) * i32({{k_head}});
    let v_base = i32({{v_offset}}) + i32(batch) * i32({{v_batch}}) + i32(from_head) * i32({{v_head}});
    for (var i = lane; i < {{key_dim}}; i += {{threads}}) {
        query[i] = q_at(u32(q_base + i32(i))) * bitcast<f32>({{scale}});
    }
    workgroupBarrier();
    let first = {{first}};
    let end = {{end}};
    var most = -infinity();
    var total = 0.0;
{{declare}}
    for (var turn = first; turn < end; turn += {{threads}}) {
        let place = turn + lane;
        var score = -infinity();
        if place < end {
            let cell = {{cell}};
            let row = u32(k_base + i32(cell) * i32({{k_row}}));
            var sum = 0.0;
{{dot}}
{{softcap}}
{{mask}}            score = sum;
        }
        let greatest = greater(most, greatest_together(lane, score));
        // Where nothing counts so far, all weights are 0.
        let level = select(greatest, 0.0, greatest == -infinity());
        let factor = exp_of(most - level);
        let weight = select(0.0, exp_of(score - level), place < end);
        total = total * factor + sum_together(lane, weight);
        weights[lane] = weight;
        most = greatest;
        workgroupBarrier();
        let count = min({{threads}}, end - turn);
{{scale_down}}
        for (var i = 0u; i < count; i += 1u) {
            let place = turn + i;
            let row = u32(v_base + i32({{cell}}) * i32({{v_row}}));
            let weight = weights[i];
{{gather}}        }
        workgroupBarrier();
    }
    let to = i32(batch) * i32({{y_batch}}) + i32(head) * i32({{y_head}}) + i32(token) * i32({{y_row}});
{{store}}}
