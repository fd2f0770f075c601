//! Far more senders than the worker can serve, over every intake at once, at a box with hardly any room.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nephrobox_link::client::{Client, LinkError};
use nephrobox_link::message::Code;

use crate::arrivals::Arrivals;
use crate::clinic::free_port;
use crate::clinic::network::page;
use crate::process::{Vitals, figure};
use crate::site::{Site, Way, put, store_all};
use crate::support::{PATIENCE, long, status};

/// Room for three scans and their results: each is promised a quarter for these.
const SPOOL: &str = "max_bytes = \"40 MB\"\nmax_scan_bytes = \"5 MB\"";
/// How long a sender waits after a refusal. People wait longer, which is easier on the box.
const PAUSE: Duration = Duration::from_millis(100);

/// What a sender may hear instead of a yes, and what of it says what to do.
const REFUSALS: [(&str, &str); 4] = [
    (
        "the line cannot be opened: the box ended the connection at once",
        "while it serves as many clients as it can: try again later",
    ),
    (
        "the box is full: ",
        "fetch results, or send the scan again later",
    ),
    (
        "the archive answered with status A700: ",
        "no room now; send again later",
    ),
    ("the archive refused the association: ", "try again later"),
];

/// What senders of one way counted.
#[derive(Debug, Default)]
struct Tally {
    offered: u32,
    accepted: u32,
    /// By their words, numbers left out.
    refused: BTreeMap<String, u32>,
}

/// What everybody counted.
#[derive(Default)]
struct Tallies(Mutex<BTreeMap<Way, Tally>>);

impl Tallies {
    /// Counts an answer.
    fn count(&self, way: Way, answer: Result<(), String>) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(way).or_default();
        tally.offered += 1;
        match answer {
            Ok(()) => tally.accepted += 1,
            Err(words) => {
                let mut counted = words.replace(|c: char| c.is_ascii_digit(), "0");
                while counted.contains("00") {
                    counted = counted.replace("00", "0");
                }
                *tally.refused.entry(counted).or_default() += 1;
            }
        }
    }
}

/// Whether a refusal is one of those that are known, and says what to do.
fn is_clear(words: &str) -> bool {
    let known = REFUSALS.iter();
    let mut known = known.filter(|(what, _)| words.contains(what));
    known.any(|(_, remedy)| words.contains(remedy))
}

/// Offers a scan until it is taken.
fn insist(tallies: &Tallies, way: Way, mut offer: impl FnMut() -> Result<(), String>) {
    let until = Instant::now() + 5 * PATIENCE;
    loop {
        let answer = offer();
        let refused = answer.clone().err();
        tallies.count(way, answer);
        let Some(words) = refused else {
            return;
        };
        assert!(is_clear(&words), "{words}");
        assert!(Instant::now() < until, "never taken: {words}");
        std::thread::sleep(PAUSE);
    }
}

/// Sends the scans of one sender.
fn send(site: &Site, tallies: &Tallies, way: Way, numbers: &[u32], cable: Option<&mut Client>) {
    match way {
        Way::Folder => {
            for &number in numbers {
                site.drop_in(number);
            }
        }
        Way::Dicom => {
            for &number in numbers {
                let folder = site.series(number);
                insist(tallies, way, || store_all(&site.remote(), &folder));
            }
        }
        Way::Cable | Way::Tls => {
            let mut own = None;
            let client = if let Some(client) = cable {
                client
            } else {
                insist(tallies, way, || {
                    own = Some(site.tls().map_err(|error| error.to_string())?);
                    Ok(())
                });
                own.as_mut().expect("it is in")
            };
            for &number in numbers {
                insist(tallies, way, || match put(client, number) {
                    Ok(_) => Ok(()),
                    Err(LinkError::Refused(refused)) if refused.code == Code::Full => {
                        Err(refused.words.as_str().to_owned())
                    }
                    Err(error) => panic!("scan {number}: {error}"),
                });
            }
        }
    }
}

/// Every scan of a crowd, by the sender who has it.
fn senders() -> Vec<(Way, Vec<u32>)> {
    let crowds = [
        (Way::Cable, 1, 3),
        (Way::Tls, 10, 2),
        (Way::Folder, 1, 8),
        (Way::Dicom, 12, 1),
    ];
    let mut numbers = 0..;
    let mut senders = Vec::new();
    for (way, count, scans) in crowds {
        let scans = if long() { scans * 6 } else { scans };
        for _ in 0..count {
            senders.push((way, numbers.by_ref().take(scans).collect()));
        }
    }
    senders
}

/// Lets everybody send at once, and takes what comes out until all of it is there. Returns for how long the last of them had to ask, in seconds,
/// and whether the page said that the box is full.
fn rush(
    site: &Site,
    senders: &[(Way, Vec<u32>)],
    cable: &mut Client,
    (tallies, arrivals): (&Tallies, &mut Arrivals),
    port: u16,
) -> (f64, bool) {
    let (began, over) = (Instant::now(), AtomicUsize::new(0));
    let (mut asking_s, mut shown_full) = (None, false);
    std::thread::scope(|scope| {
        let (over, mut cable) = (&over, Some(cable));
        for (way, numbers) in senders {
            let cable = cable.take_if(|_| *way == Way::Cable);
            scope.spawn(move || {
                send(site, tallies, *way, numbers, cable);
                over.fetch_add(1, Ordering::SeqCst);
            });
        }
        let mut last = Instant::now();
        while arrivals.seen.len() < arrivals.expected() {
            let before = arrivals.ids.len();
            arrivals.take();
            if arrivals.ids.len() > before {
                last = Instant::now();
            }
            if asking_s.is_none() && over.load(Ordering::SeqCst) == senders.len() {
                asking_s = Some(began.elapsed().as_secs_f64());
            }
            shown_full |= page(port, "/status.json").contains("the box is full");
            let (came, all) = (arrivals.seen.len(), arrivals.expected());
            assert!(last.elapsed() < 2 * PATIENCE, "{came} of {all} came");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    (asking_s.unwrap_or(seconds), shown_full)
}

/// Says what was counted.
fn tell(tallies: &BTreeMap<Way, Tally>) {
    for (way, tally) in tallies {
        let Tally {
            offered,
            accepted,
            refused,
        } = tally;
        let turned_away: u32 = refused.values().sum();
        // A client that gets in counts as well as a scan that does.
        figure(format_args!(
            "{way:?}: asked {offered} times, got in {accepted} times, refused {turned_away} times"
        ));
        for (words, count) in refused {
            figure(format_args!("    {count} x {words}"));
        }
    }
}

#[test]
fn a_crowd_at_every_intake_of_a_full_box_is_refused_in_words_and_loses_nothing() {
    let port = free_port();
    let more = format!("[status]\nlisten = \"127.0.0.1:{port}\"\n");
    let (site, mut cable) = Site::running(SPOOL, &more);
    let pid = site.home.rig.pid().expect("it runs");
    let before = Vitals::of(pid);
    let senders = senders();
    let sent = senders
        .iter()
        .flat_map(|(way, numbers)| numbers.iter().map(move |&number| (number, *way)));
    let mut arrivals = Arrivals::of(&site, sent);
    let (tallies, began) = (Tallies::default(), Instant::now());
    let counting = (&tallies, &mut arrivals);
    let (asking_s, shown_full) = rush(&site, &senders, &mut cable, counting, port);
    let seconds = began.elapsed().as_secs_f64();

    let until = Instant::now() + PATIENCE;
    let state = loop {
        let state = status(&mut cable);
        if state["queued"] == 0 && state["counters"]["delivered"] == arrivals.ids.len() {
            break state;
        }
        assert!(Instant::now() < until, "{state:#}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let tallies = tallies.0.into_inner().expect("no panic");
    tell(&tallies);
    let all = |of: fn(&Tally) -> u32| tallies.values().map(of).sum::<u32>();
    let reported = arrivals.seen.len();
    figure(format_args!(
        "{} senders asked {:.1} times a second; {reported} scans were taken and reported in {seconds:.0} s, {:.1} a second",
        senders.len(),
        f64::from(all(|tally| tally.offered)) / asking_s,
        reported as f64 / seconds,
    ));
    figure(format_args!(
        "{} series were taken before all of their slices were there, and again with them",
        arrivals.partial
    ));
    figure(format_args!("before:     {before}"));
    figure(format_args!("afterwards: {}", Vitals::of(pid)));

    // Accepted is reported, once; and what was refused got in when it came again.
    arrivals.take();
    assert_eq!(arrivals.seen.len(), arrivals.expected());
    let ended = arrivals.ids.len();
    for (count, of) in [("accepted", ended), ("finished", ended), ("failed", 0)] {
        assert_eq!(state["counters"][count], of, "{count}");
    }
    assert_eq!(state["aside"], 0);
    assert!(shown_full, "the page said that the box was full");
    let refused = all(|tally| tally.refused.values().sum());
    assert!(refused > 0, "it was a crowd: {tallies:?}");
    let left = fs::read_dir(site.inbox().join("refused"));
    let left = left.expect("a folder").count();
    assert_eq!(left, 0, "a full box refuses no file for good");
}
