//! Two clients at once, over the network.

use std::fs;
use std::io::Cursor;
use std::net::TcpListener;
use std::sync::mpsc;

use nephrobox_link::cable::Quality;
use nephrobox_link::client::{Client, LinkError, Options, Progress};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::message::Code;

use crate::certificates::certificates;
use crate::support::{
    Home, Kind, PATIENCE, active, ended, flash, package_object, scan_bytes, scan_object,
};

/// A rig whose box also listens on the network, and two clients there.
fn crowd() -> (Home, Client, Client) {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let (box_, tool) = certificates(&folder);
    // Free now, and for the moment until the box takes it.
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let more = format!(
        "[tcp]\nlisten = \"{free}\"\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
        box_.certificate.display(),
        box_.key.display(),
        box_.ca.display(),
    );
    let mut home = Home::with(Quality::default(), &more);
    home.rig.start().expect("a box");
    let mut line = home.rig.client().expect("a line");
    let package = home.model(1, Kind::Good);
    assert!(flash(&mut line, &package).is_ok_and(|good| good));
    let options = Options {
        patience: PATIENCE,
        tls: Some(tool),
        ..Options::default()
    };
    let endpoint = Endpoint::Tcp(format!("localhost:{}", free.port()));
    let connect = || Client::connect(&endpoint, &options).expect("in");
    let clients = (home, connect(), connect());
    // Read by then.
    fs::remove_dir_all(folder).expect("removed");
    clients
}

/// Shows RQ-11.
#[test]
fn two_clients_send_scans_at_once_and_each_gets_its_own() {
    let (_home, one, other) = crowd();
    std::thread::scope(|scope| {
        for (mut client, first) in [(one, 100), (other, 200)] {
            scope.spawn(move || {
                for number in first..first + 5 {
                    let scan = scan_bytes(number);
                    let hash = blake3::hash(&scan).to_hex();
                    let id = client
                        .put(&scan_object(), &mut Cursor::new(&scan), &mut |_| {})
                        .expect("accepted");
                    assert!(
                        id.ends_with(&hash[..8]),
                        "{id} is named by the scan's hash {hash}"
                    );
                    assert_eq!(format!("{:?}", ended(&mut client, &id)), "Finished");
                }
            });
        }
    });
}

#[test]
fn while_one_flashes_another_is_told_to_wait() {
    let (home, mut one, mut other) = crowd();
    let (second, third) = (home.model(2, Kind::Good), home.model(3, Kind::Good));
    let (begun, seen) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let second = &second;
        let flashing = scope.spawn(move || {
            let file = fs::read(second).expect("a package");
            let mut told = false;
            let result = one.put(
                &package_object(&file),
                &mut Cursor::new(&file),
                &mut |progress| {
                    if matches!(progress, Progress::Bytes { .. }) && !told {
                        told = true;
                        begun.send(()).expect("somebody waits");
                        gone.recv_timeout(std::time::Duration::from_secs(4)).ok();
                    }
                },
            );
            result.map(|_| one)
        });
        seen.recv().expect("it has begun");
        let refused = flash(&mut other, &third);
        assert!(
            matches!(&refused, Err(LinkError::Refused(refusal)) if refusal.code == Code::Busy),
            "{refused:?}"
        );
        go.send(()).expect("it waits");
        flashing.join().expect("no panic").expect("flashed");
    });
    let hash = nephrobox_shared::package::PackageView::open(&fs::read(&second).expect("a package"))
        .map(|view| *view.hash())
        .expect("a package");
    assert!(crate::support::verdict(&mut other, hash));
    assert_eq!(active(&mut other), Some(2));
}

#[test]
fn a_second_tool_on_the_same_cable_is_refused_the_port() {
    let (home, _client) = Home::running();
    let second = home.rig.try_tool(["status"]).expect("run");
    assert_eq!(second.status.code(), Some(5), "{second:?}");
}
