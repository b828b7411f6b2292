fn block4(row: u32, i: u32) -> vec4<f32> {
    let at = row + (i >> 8u) * 144u;
    let e = i & 255u;
    let part = e >> 5u;
    var scale: u32;
    var least: u32;
    if part < 4u {
        scale = byte_at(at + 4u + part) & 63u;
        least = byte_at(at + 8u + part) & 63u;
    } else {
        let low = byte_at(at + 8u + part);
        scale = (low & 15u) | ((byte_at(at + part) >> 6u) << 4u);
        least = (low >> 4u) | ((byte_at(at + 4u + part) >> 6u) << 4u);
    }
    let quants = word_at(at + 16u + (e >> 6u) * 32u + (e & 31u)) >> ((part & 1u) * 4u);
    let lowest = half_at(at + 2u) * f32(least);
    return (half_at(at) * f32(scale)) * bytes_of(quants & 0x0f0f0f0fu) - vec4<f32>(lowest);
}
