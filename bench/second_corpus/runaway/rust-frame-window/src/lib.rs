//! Send window of a small datagram protocol; sequence numbers are 16 bits and wrap.
pub mod seq;

use seq::Seq;

#[derive(Default)]
pub struct Window {
    next: Seq,
    acked: Seq,
    step: u16,
    pub resent: u32,
}

impl Window {
    /// `step` is how many bytes' worth of sequence numbers a frame takes.
    pub fn new(first: u16, step: u16) -> Window {
        Window { next: Seq(first), acked: Seq(first), step, resent: 0 }
    }

    pub fn push(&mut self) -> Seq {
        let seq = self.next;
        self.next = seq.plus(self.step);
        seq
    }

    /// The peer has everything up to `upto`.
    pub fn ack(&mut self, upto: Seq) {
        self.acked = upto;
    }

    /// Sums up the frames that are still on their way.
    pub fn outstanding_digest(&mut self) -> (u32, u64) {
        let (mut frames, mut digest) = (0u32, 0u64);
        let mut seq = self.acked;
        while seq != self.next {
            frames = frames.wrapping_add(1);
            digest = digest.rotate_left(7) ^ u64::from(seq.0);
            seq = seq.plus(self.step);
        }
        self.resent = self.resent.wrapping_add(frames);
        (frames, digest)
    }
}
