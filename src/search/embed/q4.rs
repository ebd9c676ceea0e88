//! Numbers in 4 bits, the blocks that ggml calls Q4_0: 32 numbers share a scale (`f16`, little-endian), followed by 16
//! bytes; the low half of byte `j` is number `j`, the high half number `j + 16`; a half `h` stands for `(h - 8) · scale`.

/// Numbers per block.
pub(super) const BLOCK: usize = 32;

/// Bytes per block.
const BLOCK_BYTES: usize = 18;

/// How many bytes `count` numbers take; `count` is a multiple of [`BLOCK`].
pub(super) fn bytes_of(count: usize) -> usize {
    count / BLOCK * BLOCK_BYTES
}

/// Fills `numbers` from as many packed ones.
pub(super) fn unpack(packed: &[u8], numbers: &mut [f32]) {
    for (block, numbers) in packed.chunks_exact(BLOCK_BYTES).zip(numbers.chunks_exact_mut(BLOCK)) {
        let scale = half_to_f32(u16::from_le_bytes([block[0], block[1]]));
        let (low, high) = numbers.split_at_mut(BLOCK / 2);
        for ((byte, low), high) in block[2..].iter().zip(low).zip(high) {
            *low = (f32::from(byte & 0x0f) - 8.0) * scale;
            *high = (f32::from(byte >> 4) - 8.0) * scale;
        }
    }
}

/// IEEE 754 half precision to single, which holds all of its values.
fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_those_of_ieee_754() {
        let known = [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x7c00, f32::INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(half_to_f32(bits), value, "{bits:#06x}");
        }
        assert!(half_to_f32(0x7e00).is_nan());
    }

    #[test]
    fn a_block_holds_its_first_half_in_low_and_its_second_in_high_bits() {
        let mut block = vec![0x00, 0x38]; // 0.5
        block.extend((0..16).map(|j| (15 - j) << 4 | j));
        let mut numbers = [0.0; BLOCK];
        unpack(&block, &mut numbers);
        let expected: Vec<f32> = (0..16).chain((0..16).rev()).map(|half| (half as f32 - 8.0) * 0.5).collect();
        assert_eq!((numbers.as_slice(), bytes_of(BLOCK)), (expected.as_slice(), block.len()));
    }
}
