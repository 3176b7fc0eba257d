#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seq(pub u16);

impl Seq {
    pub fn plus(self, n: u16) -> Seq {
        Seq(self.0.wrapping_add(n))
    }

    /// Whether self comes before other on the circle.
    pub fn before(self, other: Seq) -> bool {
        (self.0.wrapping_sub(other.0) as i16) < 0
    }
}
