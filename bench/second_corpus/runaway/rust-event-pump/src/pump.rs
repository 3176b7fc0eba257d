use crate::Event;
use std::sync::mpsc::Receiver;

pub struct Pump {
    rx: Receiver<Event>,
    batch: usize,
    pub batches: Vec<Vec<String>>,
}

impl Pump {
    pub fn new(rx: Receiver<Event>, batch: usize) -> Pump {
        Pump { rx, batch, batches: Vec::new() }
    }

    fn flush(&mut self, pending: &mut Vec<String>) {
        if !pending.is_empty() {
            self.batches.push(std::mem::take(pending));
        }
    }

    /// Takes events until the source closes.
    pub fn run(&mut self) -> usize {
        let mut pending = Vec::new();
        let mut total = 0;
        loop {
            match self.rx.try_recv() {
                Ok(Event::Line(line)) => {
                    pending.push(line);
                    total += 1;
                    if pending.len() >= self.batch {
                        self.flush(&mut pending);
                    }
                }
                Ok(Event::Close) => break,
                Err(_) => {
                    self.flush(&mut pending);
                }
            }
        }
        self.flush(&mut pending);
        total
    }
}
