//! Bits from the most significant on, and AV1's LEB128 numbers.

/// Reads bits; `None` past the end.
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// Starts at the first byte's highest bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// AV1 specification §4.10.2, `f(n)`, up to 32 bits.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// One bit.
    pub fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    /// AV1 specification §4.10.3, `uvlc()`.
    pub fn skip_uvlc(&mut self) -> Option<()> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        for _ in 0..if zeros < 32 { zeros } else { 0 } {
            self.flag()?;
        }
        Some(())
    }
}

/// AV1 specification §4.10.5, `leb128()`: the value and its length in bytes.
pub fn read_leb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Bytes the shortest form of `value` takes.
pub fn leb128_len(value: usize) -> usize {
    let bits = (usize::BITS - value.leading_zeros()).max(1) as usize;
    bits.div_ceil(7)
}

/// Appends `value` in `len` bytes, at least [`leb128_len`]: longer forms are allowed and mean the same.
pub fn write_leb128(value: usize, len: usize, out: &mut Vec<u8>) {
    assert!(len >= leb128_len(value), "a LEB128 number does not fit {len} bytes");
    for index in 0..len {
        let low = u8::try_from(value >> (7 * index) & 0x7f).unwrap_or(0);
        out.push(low | if index + 1 < len { 0x80 } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn leb128_is_read_as_written(value in 0_usize..1 << 40, extra in 0_usize..2) {
            let mut bytes = Vec::new();
            let len = leb128_len(value) + extra;
            write_leb128(value, len, &mut bytes);
            bytes.push(0xff);
            prop_assert_eq!(read_leb128(&bytes), Some((value as u64, len)));
        }
    }
}
