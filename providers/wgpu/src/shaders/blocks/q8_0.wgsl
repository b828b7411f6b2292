fn block4(row: u32, i: u32) -> vec4<f32> {
    let at = row + (i >> 5u) * 34u;
    // With the sign bits flipped they count from -128 on.
    let quants = word_at(at + 2u + (i & 31u)) ^ 0x80808080u;
    return half_at(at) * (bytes_of(quants) - vec4<f32>(128.0));
}
