mod common;

use common::Daemon;

#[test]
fn keeps_a_value() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ask("SET colour green"), "OK");
    assert_eq!(daemon.ask("GET colour"), "green");
    daemon.stop();
}

#[test]
fn refuses_other_commands() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ask("DROP colour"), "ERROR");
    assert_eq!(daemon.ask("GET colour"), "NONE");
}
