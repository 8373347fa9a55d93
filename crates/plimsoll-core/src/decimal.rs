//! Decimal numbers as header values.

use http::HeaderValue;

/// Writes a decimal header value. Performance: one or two digits, the usual case, borrow from a
/// constant.
pub(crate) fn decimal(value: u64) -> HeaderValue {
    const PAIRS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
                         5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    match usize::try_from(value) {
        Ok(one @ 0..10) => HeaderValue::from_static(&PAIRS[2 * one + 1..2 * one + 2]),
        Ok(two @ 10..100) => HeaderValue::from_static(&PAIRS[2 * two..2 * two + 2]),
        _ => {
            // Performance: one allocation; `HeaderValue::from(value)` makes two.
            let mut room = [0; 20];
            HeaderValue::from_bytes(written(value, &mut room))
                .unwrap_or_else(|_| HeaderValue::from(value))
        }
    }
}

/// Writes the digits of `value` to the end of `room` and returns them.
pub(crate) fn written(value: u64, room: &mut [u8; 20]) -> &[u8] {
    let (mut at, mut rest) = (room.len(), value);
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &room[at..];
        }
    }
}
