fn block4(row: u32, i: u32) -> vec4<f32> {
    let at = row + (i >> 5u) * 18u;
    let quants = word_at(at + 2u + (i & 15u)) >> ((i & 16u) >> 2u);
    return half_at(at) * (bytes_of(quants & 0x0f0f0f0fu) - vec4<f32>(8.0));
}
