use frame_window::{seq::Seq, Window};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn within(limit: Duration, f: impl FnOnce() -> u32 + Send + 'static) -> Option<u32> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || tx.send(f()));
    rx.recv_timeout(limit).ok()
}

#[test]
fn order_wraps() {
    assert!(Seq(65_530).before(Seq(4)));
    assert!(!Seq(4).before(Seq(65_530)));
}

#[test]
fn whole_frames() {
    let mut w = Window::new(65_500, 8);
    for _ in 0..10 {
        w.push();
    }
    w.ack(Seq(65_516));
    assert_eq!(w.outstanding_digest().0, 8);
}

#[test]
fn partial_ack() {
    let frames = within(Duration::from_secs(12), || {
        let mut w = Window::new(1000, 8);
        for _ in 0..5 {
            w.push();
        }
        w.ack(Seq(1013));
        w.outstanding_digest().0
    });
    assert_eq!(frames, Some(4));
}
