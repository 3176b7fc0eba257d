//! Keeps a worker process running until its work is done or it is told to stop.
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

#[derive(Clone, Default)]
pub struct StopSwitch(Arc<AtomicBool>);

impl StopSwitch {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pub struct Keeper {
    pub program: PathBuf,
    pub settings: PathBuf,
    pub switch: StopSwitch,
}

impl Keeper {
    fn worker(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.settings).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs the worker; if it dies, it is started anew. Returns how often that was.
    pub fn keep(&self) -> io::Result<u32> {
        let mut restarts = 0;
        while !self.switch.stopped() {
            let mut child = self.worker().spawn()?;
            let status = child.wait()?;
            if status.success() {
                break;
            }
            restarts += 1;
        }
        Ok(restarts)
    }
}
