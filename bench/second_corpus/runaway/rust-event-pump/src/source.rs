//! A source sends its lines, and then that it closes.
use crate::Event;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

pub fn spawn_lines(text: &str, to: Sender<Event>) -> JoinHandle<usize> {
    let text = text.to_string();
    thread::spawn(move || {
        let mut sent = 0;
        for line in text.lines() {
            if line.starts_with("!abort") {
                return sent;
            }
            if to.send(Event::Line(line.to_string())).is_err() {
                return sent;
            }
            sent += 1;
        }
        let _ = to.send(Event::Close);
        sent
    })
}
