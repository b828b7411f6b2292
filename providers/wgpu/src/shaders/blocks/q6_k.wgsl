fn block4(row: u32, i: u32) -> vec4<f32> {
    let at = row + (i >> 8u) * 210u;
    let e = i & 255u;
    let low = word_at(at + (e >> 7u) * 64u + (e & 63u)) >> (((e >> 6u) & 1u) * 4u);
    let high = word_at(at + 128u + (e >> 7u) * 32u + (e & 31u)) >> (((e >> 5u) & 3u) * 2u);
    let quants = (low & 0x0f0f0f0fu) | ((high & 0x03030303u) << 4u);
    let scale = i32(byte_at(at + 192u + (e >> 4u)) << 24u) >> 24u;
    return (half_at(at + 208u) * f32(scale)) * (bytes_of(quants) - vec4<f32>(32.0));
}
