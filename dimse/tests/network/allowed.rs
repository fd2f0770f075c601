//! Who may do what.

use std::net::IpAddr;

use nephrobox_dimse::client::{Association, Context, OpenError, Remote};
use nephrobox_dimse::server::{Denial, Event, Peer};
use nephrobox_dimse::syntax::STORED;

use crate::support::{ct, run, settings};

/// What a caller may do.
#[derive(Debug, PartialEq, Eq)]
enum May {
    Store,
    Echo,
    Nothing,
}

fn peer(ae_title: &str, address: Option<&str>) -> Peer {
    Peer {
        name: format!("the {ae_title}"),
        ae_title: ae_title.into(),
        address: address.map(|address| address.parse().unwrap()),
    }
}

/// What `calling` may do who calls `called`.
fn may(peers: &[Peer], any_called_title: bool, calling: &str, called: &str) -> May {
    let mut settings = settings();
    settings.peers = peers.to_vec();
    settings.any_called_title = any_called_title;
    let running = run(settings);
    let remote = Remote::new("127.0.0.1", running.address().port(), called, calling);
    match Association::open(&remote, &[Context::echo(), ct(STORED[1])]) {
        Ok(mut association) => {
            association.echo().unwrap();
            let store = association.accepts(&ct(STORED[1]));
            association.release().unwrap();
            if store { May::Store } else { May::Echo }
        }
        Err(OpenError::Rejected(_)) => May::Nothing,
        Err(error) => panic!("{error}"),
    }
}

/// Shows RQ-66.
#[test]
fn only_a_listed_title_at_its_address_may_store() {
    // What it is about, the list, whether any title may be called, who calls whom, and what it may.
    type Row<'a> = (&'a str, &'a [Peer], bool, &'a str, &'a str, May);
    let here = "127.0.0.1";
    let table: [Row<'_>; 11] = [
        (
            "nobody is listed",
            &[],
            false,
            "SCANNER",
            "NEPHROBOX",
            May::Echo,
        ),
        (
            "title and address",
            &[peer("SCANNER", Some(here))],
            false,
            "SCANNER",
            "NEPHROBOX",
            May::Store,
        ),
        (
            "title, from anywhere",
            &[peer("SCANNER", None)],
            false,
            "SCANNER",
            "NEPHROBOX",
            May::Store,
        ),
        (
            "an IPv4 address as IPv6",
            &[peer("SCANNER", Some("::ffff:127.0.0.1"))],
            false,
            "SCANNER",
            "NEPHROBOX",
            May::Store,
        ),
        (
            "another address",
            &[peer("SCANNER", Some("192.0.2.1"))],
            false,
            "SCANNER",
            "NEPHROBOX",
            May::Echo,
        ),
        (
            "another title",
            &[peer("SCANNER", Some(here))],
            false,
            "OTHER",
            "NEPHROBOX",
            May::Echo,
        ),
        (
            "a title in other letters",
            &[peer("SCANNER", Some(here))],
            false,
            "scanner",
            "NEPHROBOX",
            May::Echo,
        ),
        (
            "a title that begins so",
            &[peer("SCANNER", Some(here))],
            false,
            "SCANNER2",
            "NEPHROBOX",
            May::Echo,
        ),
        (
            "the second of two",
            &[peer("A", None), peer("B", Some(here))],
            false,
            "B",
            "NEPHROBOX",
            May::Store,
        ),
        (
            "it calls another title",
            &[peer("SCANNER", None)],
            false,
            "SCANNER",
            "ARCHIVE",
            May::Nothing,
        ),
        (
            "it may call any title",
            &[peer("SCANNER", None)],
            true,
            "SCANNER",
            "ARCHIVE",
            May::Store,
        ),
    ];
    for (what, peers, any, calling, called, wanted) in table {
        assert_eq!(may(peers, any, calling, called), wanted, "{what}");
    }
}

#[test]
fn whoever_may_not_store_and_asks_for_nothing_else_is_told_that_its_title_is_unknown() {
    let mut settings = settings();
    settings.peers.clear();
    let running = run(settings);
    let Err(OpenError::Rejected(rejection)) =
        Association::open(&running.remote(), &[ct(STORED[1])])
    else {
        panic!("an unknown peer was let in");
    };
    assert!(rejection.permanent);
    assert!(
        rejection.reason.contains("does not know our title"),
        "{rejection}"
    );
    running.shelf.wait(|event| match event {
        Event::Refused(who, Denial::Unknown) => {
            assert_eq!((who.name.as_deref(), who.title.as_str()), (None, "SCANNER"));
            assert_eq!(who.address, "127.0.0.1".parse::<IpAddr>().unwrap());
            Some(())
        }
        _ => None,
    });
}

#[test]
fn storage_of_an_unknown_peer_is_refused_by_the_user_and_counted() {
    let mut settings = settings();
    settings.peers.clear();
    let running = run(settings);
    let contexts = [Context::echo(), ct(STORED[0]), ct(STORED[1]), ct("1.2.3")];
    Association::open(&running.remote(), &contexts)
        .unwrap()
        .release()
        .unwrap();
    let opened = running.shelf.wait(|event| match event {
        Event::Opened(_, opened) => Some(*opened),
        _ => None,
    });
    assert_eq!(
        (opened.storage, opened.not_allowed, opened.not_supported),
        (0, 3, 0)
    );
}
