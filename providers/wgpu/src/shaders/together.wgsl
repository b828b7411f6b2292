// What the invocations of a workgroup do together. A text that calls these declares `shared_sums`, an array
// of as many floats as there are invocations, of which there are a power of two.

fn sum_together(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    shared_sums[lane] = value;
    workgroupBarrier();
    for (var half = {{threads}} / 2u; half > 0u; half >>= 1u) {
        if lane < half {
            shared_sums[lane] += shared_sums[lane + half];
        }
        workgroupBarrier();
    }
    return shared_sums[0];
}

fn greatest_together(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    shared_sums[lane] = value;
    workgroupBarrier();
    for (var half = {{threads}} / 2u; half > 0u; half >>= 1u) {
        if lane < half {
            shared_sums[lane] = greater(shared_sums[lane], shared_sums[lane + half]);
        }
        workgroupBarrier();
    }
    return shared_sums[0];
}
