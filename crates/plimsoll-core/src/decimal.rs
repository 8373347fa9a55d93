//! Decimal numbers as header values.

use http::HeaderValue;

/// A decimal header value. Two digits, which is nearly all of them, are a piece of a constant.
pub(crate) fn decimal(value: u64) -> HeaderValue {
    const PAIRS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
                         5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    match usize::try_from(value) {
        Ok(one @ 0..10) => HeaderValue::from_static(&PAIRS[2 * one + 1..2 * one + 2]),
        Ok(two @ 10..100) => HeaderValue::from_static(&PAIRS[2 * two..2 * two + 2]),
        _ => {
            // One allocation; `HeaderValue::from(value)` makes two.
            let mut digits = [0; 20];
            let (mut at, mut rest) = (digits.len(), value);
            while rest > 0 {
                at -= 1;
                digits[at] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            HeaderValue::from_bytes(&digits[at..]).unwrap_or_else(|_| HeaderValue::from(value))
        }
    }
}

/// How many digits it takes to write `value`.
pub(crate) fn digits(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}
