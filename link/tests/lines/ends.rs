//! Both ends of the protocol against each other, over cables of pseudo-terminals.

use std::io::Cursor;
use std::time::Duration;

use crate::support::{Memory, bytes, serve};
use nephrobox_link::cable::{Cable, Quality};
use nephrobox_link::client::{Client, LinkError, Options, Progress};
use nephrobox_link::endpoint::Endpoint;
use nephrobox_link::message::{Code, Item, Object, Reply, Request, ScanState, cut};
use nephrobox_link::server::Speeds;

const SLOW: Speeds = Speeds {
    first: 115_200,
    fastest: 115_200,
};

fn scan() -> Object {
    Object::Scan {
        name: cut("scan.nii.gz"),
        fast: false,
    }
}

fn connect(cable: &Cable) -> Client {
    let endpoint = Endpoint::Serial(cable.tool_end().to_owned());
    let options = Options {
        patience: Duration::from_mins(1),
        ..Options::default()
    };
    Client::connect(&endpoint, &options).expect("a box")
}

#[test]
fn an_object_goes_to_the_box_and_comes_back() {
    let cable = Cable::lay().expect("a cable");
    let desk = Memory::default();
    let _box = serve(cable.box_end(), SLOW, desk.clone());
    let mut client = connect(&cable);
    assert_eq!(client.welcome().name, "bench");
    for len in [1, 255, 8192, 3_000_000] {
        let object = bytes(len);
        let mut last = None;
        let id = client
            .put(&scan(), &mut Cursor::new(&object), &mut |progress| {
                last = Some(progress);
            })
            .expect("kept");
        assert_eq!(last, Some(Progress::Checking));
        assert_eq!(desk.shelf().kept[id.as_str()], object);
        let item = Item::Result {
            scan: id.clone(),
            name: cut("x"),
        };
        assert_eq!(
            client.get(&item, 4 << 20, &mut |_| {}).expect("there"),
            object
        );
        let state = client.ask(&Request::Scan { scan: id }).expect("an answer");
        assert_eq!(state, Reply::Scan(ScanState::Finished));
    }
}

#[test]
fn what_the_box_has_is_not_sent_again() {
    let cable = Cable::lay().expect("a cable");
    let _box = serve(cable.box_end(), SLOW, Memory::default());
    let mut client = connect(&cable);
    let object = bytes(500_000);
    let first = client
        .put(&scan(), &mut Cursor::new(&object), &mut |_| {})
        .expect("kept");
    let before = cable.carried();
    let again = client
        .put(&scan(), &mut Cursor::new(&object), &mut |_| {})
        .expect("kept");
    assert_eq!(first, again);
    assert!(cable.carried() - before < 10_000);
}

#[test]
fn refusals_reach_the_caller_with_their_code() {
    let cable = Cable::lay().expect("a cable");
    let _box = serve(cable.box_end(), SLOW, Memory::default());
    let mut client = connect(&cable);
    let refused = client.put(&scan(), &mut Cursor::new(&[]), &mut |_| {});
    assert!(matches!(refused, Err(LinkError::Refused(refusal)) if refusal.code == Code::Size));
    let unknown = Item::Result {
        scan: cut("nobody"),
        name: cut("x"),
    };
    let refused = client.get(&unknown, 1, &mut |_| {});
    assert!(matches!(refused, Err(LinkError::Refused(refusal)) if refusal.code == Code::Unknown));
}

#[test]
fn a_transfer_survives_an_unplugged_cable_and_goes_on_where_it_was() {
    let cable = Cable::lay().expect("a cable");
    let desk = Memory::default();
    let _box = serve(cable.box_end(), SLOW, desk.clone());
    let mut client = connect(&cable);
    let object = bytes(8 << 20);
    let (mut pulled, mut lost, mut resumed) = (false, false, None);
    std::thread::scope(|scope| {
        let id = client.put(
            &scan(),
            &mut Cursor::new(&object),
            &mut |progress| match progress {
                Progress::Bytes { done, .. } if !pulled && done > 2 << 20 => {
                    pulled = true;
                    cable.unplug();
                    scope.spawn(|| {
                        std::thread::sleep(Duration::from_secs(7));
                        cable.plug();
                    });
                }
                Progress::Bytes { done, .. } if lost && resumed.is_none() => resumed = Some(done),
                Progress::Reconnecting => lost = true,
                _ => {}
            },
        );
        assert_eq!(desk.shelf().kept[id.expect("kept").as_str()], object);
    });
    assert!(lost, "the line was silent for longer than lines may be");
    assert!(
        resumed.is_some_and(|offset| offset > 2 << 20),
        "{resumed:?}"
    );
    assert!(desk.shelf().paused > 0);
}

#[test]
fn a_noisy_cable_costs_time_and_nothing_else() {
    let cable = Cable::of(Quality {
        one_in: 10_000,
        seed: 7,
        baud: 0,
    })
    .expect("a cable");
    let desk = Memory::default();
    let _box = serve(cable.box_end(), SLOW, desk.clone());
    let mut client = connect(&cable);
    let object = bytes(1 << 20);
    let id = client
        .put(&scan(), &mut Cursor::new(&object), &mut |_| {})
        .expect("kept");
    assert_eq!(desk.shelf().kept[id.as_str()], object);
    let item = Item::Result {
        scan: id,
        name: cut("x"),
    };
    assert_eq!(
        client.get(&item, 4 << 20, &mut |_| {}).expect("there"),
        object
    );
}

#[test]
fn the_speed_goes_up_as_far_as_both_sides_allow() {
    let cable = Cable::lay().expect("a cable");
    let _box = serve(
        cable.box_end(),
        Speeds {
            first: 115_200,
            fastest: 1_000_000,
        },
        Memory::default(),
    );
    let mut client = connect(&cable);
    assert_eq!(client.welcome().max_baud, 1_000_000);
    let object = bytes(100_000);
    client
        .put(&scan(), &mut Cursor::new(&object), &mut |_| {})
        .expect("kept");
}

#[test]
fn a_second_program_does_not_get_the_port() {
    let cable = Cable::lay().expect("a cable");
    let _box = serve(cable.box_end(), SLOW, Memory::default());
    let _first = connect(&cable);
    let endpoint = Endpoint::Serial(cable.tool_end().to_owned());
    let second = Client::connect(&endpoint, &Options::default());
    assert!(matches!(second, Err(LinkError::Open { .. })));
}

#[test]
fn a_port_without_a_box_is_said_to_have_none() {
    let cable = Cable::lay().expect("a cable");
    let endpoint = Endpoint::Serial(cable.tool_end().to_owned());
    let nobody = Client::connect(&endpoint, &Options::default());
    let nobody = nobody.err();
    assert!(
        matches!(nobody, Some(LinkError::NoBox { .. })),
        "{nobody:?}"
    );
    let nowhere = Endpoint::Serial("/dev/pts/of-no-cable".into());
    assert!(matches!(
        Client::connect(&nowhere, &Options::default()),
        Err(LinkError::Open { .. })
    ));
}
