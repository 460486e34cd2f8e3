//! Bytes into a buffer that may be too short: what does not fit is counted, and left out.

/// More than the longest number takes: 20 digits and a point.
const CELLS: usize = 24;

pub(super) struct Writer<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Bytes so far, those that did not fit included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn byte(&mut self, byte: u8) {
        if let Some(cell) = self.buffer.get_mut(self.len) {
            *cell = byte;
        }
        self.len += 1;
    }

    pub(super) fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn spaces(&mut self, width: usize, taken: usize) {
        (taken..width).for_each(|_| self.byte(b' '));
    }

    /// A text, and spaces up to `width` behind it.
    pub(super) fn text_left(&mut self, text: &str, width: usize) {
        self.text(text);
        self.spaces(width, text.len());
    }

    /// A text, and spaces up to `width` before it.
    pub(super) fn text_right(&mut self, text: &str, width: usize) {
        self.spaces(width, text.len());
        self.text(text);
    }

    /// A number whose last `decimals` digits are behind the point.
    pub(super) fn number(&mut self, number: u64, decimals: usize) {
        self.number_right(number, decimals, 0);
    }

    /// The same, with spaces up to `width` before it.
    pub(super) fn number_right(&mut self, number: u64, decimals: usize, width: usize) {
        let mut cells = [0; CELLS];
        let len = digits(number, decimals, &mut cells);
        self.spaces(width, len);
        cells
            .iter()
            .rev()
            .take(len)
            .rev()
            .for_each(|&digit| self.byte(digit));
    }
}

/// Writes a number to the end of `cells`; returns its length.
fn digits(number: u64, decimals: usize, cells: &mut [u8; CELLS]) -> usize {
    // The place of the last digit before the point, counted from the right.
    let ones = if decimals == 0 { 0 } else { decimals + 1 };
    let (mut rest, mut len) = (number, 0);
    for (place, cell) in cells.iter_mut().rev().enumerate() {
        if place > ones && rest == 0 {
            break;
        }
        if decimals > 0 && place == decimals {
            *cell = b'.';
        } else {
            *cell = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        len = place + 1;
    }
    len
}
