//! Images as PGM (`P5`, grey) and PPM (`P6`, colours), with 8 bits per value.

/// The largest width and height, in pixels.
const MAX_SIDE: usize = 8192;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Values per pixel: 1 or 3.
    pub(crate) channels: usize,
    pub(crate) values: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidImage {
    #[error("the body must begin with P5 or P6")]
    Magic,
    #[error("the header must have a width, a height and 255, as numbers")]
    Header,
    #[error("width and height must be in 1..={MAX_SIDE}")]
    Side,
    #[error("the header states {stated} bytes of pixels, got {got}")]
    Length { stated: usize, got: usize },
}

impl Image {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, InvalidImage> {
        let (channels, mut rest) = match body.split_first_chunk() {
            Some((b"P5", rest)) => (1, rest),
            Some((b"P6", rest)) => (3, rest),
            _ => return Err(InvalidImage::Magic),
        };
        let mut numbers = [0; 3];
        for number in &mut numbers {
            *number = header_number(&mut rest).ok_or(InvalidImage::Header)?;
        }
        let [width, height, most] = numbers;
        // One byte of white space ends the header.
        let (space, pixels) = rest.split_first().ok_or(InvalidImage::Header)?;
        if most != 255 || !space.is_ascii_whitespace() {
            return Err(InvalidImage::Header);
        }
        if ![width, height]
            .iter()
            .all(|side| (1..=MAX_SIDE).contains(side))
        {
            return Err(InvalidImage::Side);
        }
        let stated = width * height * channels;
        if stated != pixels.len() {
            let got = pixels.len();
            return Err(InvalidImage::Length { stated, got });
        }
        Ok(Self {
            width,
            height,
            channels,
            values: pixels.to_vec(),
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let magic = if self.channels == 1 { "P5" } else { "P6" };
        let mut bytes = format!("{magic}\n{} {}\n255\n", self.width, self.height).into_bytes();
        bytes.extend_from_slice(&self.values);
        bytes
    }

    pub(crate) fn content_type(&self) -> &'static str {
        if self.channels == 1 {
            "image/x-portable-graymap"
        } else {
            "image/x-portable-pixmap"
        }
    }

    /// A smaller image of every n-th pixel, with sides of at most `side` pixels. Reads only those
    /// pixels, so it is cheap.
    pub(crate) fn thumbnail(&self, side: usize) -> Self {
        let step = self.width.max(self.height).div_ceil(side).max(1);
        let (width, height) = (self.width.div_ceil(step), self.height.div_ceil(step));
        let mut values = Vec::with_capacity(width * height * self.channels);
        for y in (0..self.height).step_by(step) {
            for x in (0..self.width).step_by(step) {
                let at = (y * self.width + x) * self.channels;
                values.extend_from_slice(&self.values[at..at + self.channels]);
            }
        }
        Self {
            width,
            height,
            channels: self.channels,
            values,
        }
    }
}

/// The next number of a header, after white space and comments.
fn header_number(rest: &mut &[u8]) -> Option<usize> {
    loop {
        *rest = rest.trim_ascii_start();
        if rest.first() != Some(&b'#') {
            break;
        }
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        *rest = &rest[end..];
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_parsed_and_written_as_it_was() {
        let body = b"P6\n2 1\n255\nabcdef";
        let image = Image::parse(body).unwrap();
        assert_eq!((image.width, image.height, image.channels), (2, 1, 3));
        assert_eq!(image.to_bytes(), body);
        let commented = Image::parse(b"P5 # grey\n# by hand\n1\t1 255\n\n").unwrap();
        assert_eq!(commented.values, [b'\n']);
    }

    #[test]
    fn bad_images_have_an_error() {
        let cases: [(&[u8], InvalidImage); 8] = [
            (b"", InvalidImage::Magic),
            (b"P4\n1 1\n255\n.", InvalidImage::Magic),
            (b"P5", InvalidImage::Header),
            (b"P5 #", InvalidImage::Header),
            (b"P5\n1 99999999999999999999 255\n.", InvalidImage::Header),
            (b"P5\n1 1\n15\n.", InvalidImage::Header),
            (b"P5\n0 1\n255\n", InvalidImage::Side),
            (
                b"P5\n2 1\n255\n.",
                InvalidImage::Length { stated: 2, got: 1 },
            ),
        ];
        for (body, error) in cases {
            assert_eq!(Image::parse(body), Err(error), "{body:?}");
        }
    }

    #[test]
    fn a_thumbnail_has_every_nth_pixel() {
        let image = Image {
            width: 5,
            height: 3,
            channels: 1,
            values: (0..15).collect(),
        };
        let small = image.thumbnail(3);
        assert_eq!((small.width, small.height), (3, 2));
        assert_eq!(small.values, [0, 2, 4, 10, 12, 14]);
        assert_eq!(image.thumbnail(100), image);
    }
}
