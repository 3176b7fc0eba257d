use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use worker_keeper::{Keeper, StopSwitch};

fn keeper(settings: PathBuf) -> Keeper {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("libexec/worker");
    Keeper { program, settings, switch: StopSwitch::default() }
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("keeper-{}-{name}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn works_through_the_queue() {
    let dir = scratch("queue");
    let settings = dir.join("worker.env");
    fs::write(dir.join("queue"), "a\nb\n").unwrap();
    fs::write(&settings, format!("QUEUE={0}/queue OUTPUT={0}/out\n", dir.display())).unwrap();
    assert_eq!(keeper(settings).keep().unwrap(), 0);
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "done a\ndone b\n");
}

#[test]
fn waits_for_late_settings() {
    // The settings come from another service, which never writes them here.
    let keeper = keeper(scratch("late").join("worker.env"));
    let switch = keeper.switch.clone();
    let began = Instant::now();
    let handle = thread::spawn(move || keeper.keep());
    while !handle.is_finished() && began.elapsed() < Duration::from_secs(12) {
        thread::sleep(Duration::from_millis(100));
    }
    switch.stop();
    let restarts = handle.join().unwrap().unwrap();
    assert!(restarts < 50, "{restarts} restarts");
}
