//! The expensive job: a box blur.

use crate::pnm::Image;

/// Replaces each value by the mean of the square around it, `passes` times.
///
/// Squares are cut at the borders. Means are rounded down. Each pass costs the same for each
/// radius: a sum moves along the rows, and another one along the columns.
pub(crate) fn box_blur(mut image: Image, radius: usize, passes: usize) -> Image {
    for _ in 0..passes {
        let (width, height, channels) = (image.width, image.height, image.channels);
        for channel in 0..channels {
            for y in 0..height {
                let first = y * width * channels + channel;
                blur_line(&mut image.values, first, channels, width, radius);
            }
            for x in 0..width {
                let first = x * channels + channel;
                blur_line(&mut image.values, first, width * channels, height, radius);
            }
        }
    }
    image
}

/// Blurs the values at `first`, `first + step`, and so on.
fn blur_line(values: &mut [u8], first: usize, step: usize, length: usize, radius: usize) {
    let line: Vec<u8> = (0..length).map(|n| values[first + n * step]).collect();
    let mut end = radius.min(length - 1) + 1;
    let mut sum: usize = line[..end].iter().map(|value| usize::from(*value)).sum();
    let mut start = 0;
    for n in 0..length {
        values[first + n * step] = u8::try_from(sum / (end - start)).unwrap_or(u8::MAX);
        if end < length {
            sum += usize::from(line[end]);
            end += 1;
        }
        if n >= radius {
            sum -= usize::from(line[start]);
            start += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of each window, by its definition.
    fn slow_line(line: &[u8], radius: usize) -> Vec<u8> {
        let window = |n: usize| &line[n.saturating_sub(radius)..(n + radius + 1).min(line.len())];
        let mean = |window: &[u8]| {
            let sum: usize = window.iter().map(|value| usize::from(*value)).sum();
            u8::try_from(sum / window.len()).unwrap()
        };
        (0..line.len()).map(|n| mean(window(n))).collect()
    }

    #[test]
    fn a_line_is_blurred_as_by_definition() {
        let line: Vec<u8> = (0..23).map(|n: usize| (n * 89 % 256) as u8).collect();
        for radius in [0, 1, 2, 5, 22, 23, 100] {
            let mut values = line.clone();
            blur_line(&mut values, 0, 1, line.len(), radius);
            assert_eq!(values, slow_line(&line, radius), "radius {radius}");
        }
    }

    #[test]
    fn colours_are_blurred_apart() {
        let image = Image {
            width: 3,
            height: 2,
            channels: 3,
            values: [30, 0, 7].repeat(6),
        };
        assert_eq!(
            box_blur(image.clone(), 1, 3),
            image,
            "an even area stays as it is"
        );
    }
}
