use event_pump::{pump::Pump, source::spawn_lines};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn pump_all(text: &'static str) -> Option<usize> {
    let (done_tx, done) = mpsc::channel();
    thread::Builder::new()
        .name("pump".into())
        .spawn(move || {
            let (tx, rx) = mpsc::channel();
            let source = spawn_lines(text, tx);
            let total = Pump::new(rx, 4).run();
            source.join().unwrap();
            let _ = done_tx.send(total);
        })
        .unwrap();
    done.recv_timeout(Duration::from_secs(12)).ok()
}

#[test]
fn counts_the_lines() {
    assert_eq!(pump_all("a\nb\nc\nd\ne\n"), Some(5));
}

#[test]
fn ends_when_a_source_gives_up() {
    assert_eq!(pump_all("a\nb\n!abort: disk\n"), Some(2));
}
