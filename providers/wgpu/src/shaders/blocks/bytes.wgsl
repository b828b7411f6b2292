// Bytes of the array of words `b`, from an even byte on.

fn word_at(byte: u32) -> u32 {
    let at = byte >> 2u;
    if (byte & 2u) == 0u {
        return b[at];
    }
    return (b[at] >> 16u) | (b[at + 1u] << 16u);
}

fn half_at(byte: u32) -> f32 {
    return half_value((b[byte >> 2u] >> ((byte & 2u) * 8u)) & 0xffffu);
}

fn byte_at(byte: u32) -> u32 {
    return (b[byte >> 2u] >> ((byte & 3u) * 8u)) & 0xffu;
}

fn bytes_of(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<u32>(word & 0xffu, (word >> 8u) & 0xffu, (word >> 16u) & 0xffu, word >> 24u));
}
