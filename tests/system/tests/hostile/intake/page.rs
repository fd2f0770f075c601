//! What a program sends to the status page.

use super::site::{Site, told_to};
use crate::ground::Ground;
use crate::row::{Section, Told, Way};
use crate::run::unfit;

pub(crate) const SECTION: Section = Section {
    title: "The status page",
    command: "HTTP to a box that runs",
    way: Way::Service(all),
};

/// Bytes of a request, and the code that there must be; `closed` is an end without an answer.
struct Ask(&'static str, fn() -> Vec<u8>, &'static str);

/// A request of this path, otherwise sound.
fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}

/// A request with another first line and other heads.
fn raw(first: &str, heads: &str) -> Vec<u8> {
    format!("{first}\r\n{heads}Connection: close\r\n\r\n").into_bytes()
}

#[rustfmt::skip]
const ASKS: &[Ask] = &[
    Ask("a path upwards", || get("/../../../../etc/passwd"), "404"),
    Ask("the same, hidden in percent signs", || get("/studies/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), "404"),
    Ask("a study's file that is a path upwards", || get("/studies/00000001-00000000/..%2f..%2flock"), "404"),
    Ask("a study's file that nobody may have", || get("/studies/00000001-00000000/scan"), "404"),
    Ask("a study that is no id", || get("/studies/*"), "404"),
    Ask("percent signs that are no UTF-8", || get("/studies/%ff%fe"), "400|404"),
    Ask("a page of number 10^30", || get(&format!("/studies?page=1{}", "0".repeat(30))), "200"),
    Ask("a picture with commands to the terminal", || get("/overlay/%1b%5b2J"), "404"),
    Ask("a path of 10,000 letters", || get(&format!("/{}", "a".repeat(10_000))), "404|414"),
    Ask("a path of 1 MB", || get(&format!("/{}", "a".repeat(1 << 20))), "414|431|400|closed"),
    Ask("a head of 1 MB", || raw("GET / HTTP/1.1", &format!("Host: localhost\r\nX-A: {}\r\n", "a".repeat(1 << 20))), "431|400|closed"),
    Ask("10,000 heads", || raw("GET / HTTP/1.1", &format!("Host: localhost\r\n{}", "X-A: a\r\n".repeat(10_000))), "431|400|closed"),
    Ask("another machine's name", || raw("GET / HTTP/1.1", "Host: evil.example\r\n"), "421"),
    Ask("a name that begins like this machine's", || raw("GET /status.json HTTP/1.1", "Host: localhost.evil.example\r\n"), "421"),
    Ask("two names", || raw("GET / HTTP/1.1", "Host: localhost\r\nHost: evil.example\r\n"), "200|400|421"),
    Ask("something to be written", || raw("POST /studies HTTP/1.1", "Host: localhost\r\nContent-Length: 4\r\n"), "405"),
    Ask("something to be deleted", || raw("DELETE /studies/00000001-00000000 HTTP/1.1", "Host: localhost\r\n"), "405"),
    Ask("a body that says it has 2^64 bytes less one", || raw("POST / HTTP/1.1", "Host: localhost\r\nContent-Length: 18446744073709551615\r\n"), "400|405|413|431"),
    Ask("two lengths", || raw("POST / HTTP/1.1", "Host: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n"), "400|405"),
    Ask("a body in pieces of nonsense", || [raw("POST / HTTP/1.1", "Host: localhost\r\nTransfer-Encoding: chunked\r\n"), b"zzzz\r\n".to_vec()].concat(), "400|405"),
    Ask("a proxy's request", || raw("GET http://evil.example/ HTTP/1.1", "Host: evil.example\r\n"), "421|404"),
    Ask("a tunnel", || raw("CONNECT evil.example:443 HTTP/1.1", "Host: evil.example:443\r\n"), "400|404|405|421"),
    Ask("HTTP/2 at once", || b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "400|closed"),
    Ask("the first words of TLS", || [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &[7; 600]].concat(), "400|closed"),
    Ask("zeros", || vec![0; 4096], "400|closed"),
    Ask("a request that never ends", || b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ".to_vec(), "408|closed"),
];

fn all(ground: &Ground) -> Vec<Result<Told, String>> {
    let mut site = Site::running(ground);
    let mut told: Vec<_> = ASKS.iter().map(|row| ask(site.page, row)).collect();
    told.push(ask(
        site.page,
        &Ask(
            "and a sound request after all of these",
            || get("/health/live"),
            "200",
        ),
    ));
    if let Err(why) = site.is_well() {
        told.push(Err(why));
    }
    told
}

fn ask(port: u16, row: &Ask) -> Result<Told, String> {
    let Ask(name, bytes, wanted) = row;
    let failed = |why: String| format!("{name}: {why}");
    let answer = told_to(port, &bytes()).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&answer).replace('\r', "");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let code = head
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| head.strip_prefix("HTTP/1.0 "));
    let code = code.and_then(|rest| rest.get(..3)).unwrap_or("closed");
    if !wanted.split('|').any(|one| one == code) {
        return Err(failed(format!("{code} and not {wanted}: {body:.300}")));
    }
    // Pages for people have the length of a page, and may say whose a study is; there is none here.
    let told = if body.starts_with('<') { head } else { body };
    if let Some(why) = unfit(told).filter(|_| code != "200") {
        return Err(failed(why));
    }
    // Pages for people are no sentence of a table; and of several codes that will do, which it is may depend on who is faster.
    let what = match code {
        "200" => "",
        _ if body.starts_with('<') => "a page that says so",
        _ => body.trim(),
    };
    let answer = wanted.replace('|', " or ");
    Ok(Told {
        name: (*name).into(),
        answer,
        what: what.into(),
        remedy: String::new(),
    })
}
