//! Who may report to whom: certificates, tokens, and their exchange while reports go on.

use crate::Scene;
use crate::controller::Controller;
use crate::daemon::{Agent, equip};
use nix::sys::signal::Signal;
use tests::authority::Authority;
use tests::binary;
use tests::process::Process;
use wire::load::State;

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_and_another_authority_are_taken_at_sighup() {
    let scene = Scene::start().await;
    let old = scene.controller.newest();
    let next = Authority::new();
    equip(scene.agent.folder(), &next);
    scene.controller.move_to(&next);
    scene.agent.signal(Signal::SIGHUP);
    scene.agent.is_told("READY=1");
    let new = scene.controller.hears(|heard| heard.certificate != old.certificate).await;
    assert!(new.certificate.is_some() && new.report.epoch_ms == old.report.epoch_ms);

    // What can't be used changes nothing.
    std::fs::write(scene.agent.folder().join("certificate.pem"), "garbage").unwrap();
    scene.agent.signal(Signal::SIGHUP);
    scene.agent.is_told("READY=1");
    let still = scene.controller.hears(|it| it.report.sequence > new.report.sequence + 2).await;
    assert_eq!(still.certificate, new.certificate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_where_no_certificate_is_wanted_and_strangers_hear_nothing() {
    let zone = Authority::new();
    let router = Process::start("");
    let controller = Controller::start_at("127.0.0.1:0".parse().unwrap(), &zone, false).await;
    let strict = Controller::start(&zone).await;
    // Of another zone: the agent must not talk to it.
    let stranger = Controller::start(&Authority::new()).await;
    let all = [controller.address(), strict.address(), stranger.address()];
    let token = "token = \"token\"";
    let _agent = Agent::start_with(&zone, &router.admin_socket(), &all, token);
    let heard = controller.hears(|heard| heard.report.state == State::Serving).await;
    assert_eq!(heard.authorization.as_deref(), Some("Bearer of-the-agent"));
    controller.hears(|it| it.report.sequence > heard.report.sequence + 2).await;
    assert!(strict.all().is_empty(), "it has no certificate");
    assert!(stranger.all().is_empty());
}

#[test]
fn what_can_not_be_used_is_told_with_its_place_and_ends_with_78() {
    let zone = Authority::new();
    let agent = Agent::start(&zone, "/nowhere".as_ref(), &["127.0.0.1:1".parse().unwrap()]);
    let config = agent.folder().join("zc-agent.toml");
    let check = || {
        let mut command = std::process::Command::new(binary("zc-agent"));
        let output = command.args(["check", "--config"]).arg(&config).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check(), (0, String::new()));
    std::fs::write(agent.folder().join("zone-ca.pem"), "garbage").unwrap();
    let (code, said) = check();
    assert_eq!(code, 78);
    assert!(said.contains("zc-agent.toml:7: controllers.ca: "), "{said}");
    let usage = std::process::Command::new(binary("zc-agent")).arg("fly").output().unwrap();
    assert_eq!(usage.status.code(), Some(64));
}
