//! Configurations as people write them: what is taken, what is refused in which words, and that the page names every key.

use proptest::prelude::*;

use super::*;

/// The public key of test 1 in RFC 8032, section 7.1.
const KEY: &str =
    "nephrobox-key-1:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn problems(text: &str) -> Vec<String> {
    Config::parse(text)
        .expect_err("it is wrong")
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn an_empty_file_listens_nowhere() {
    let config = Config::parse("").expect("defaults");
    assert_eq!(
        (config.serial, config.tcp, config.folder, config.status),
        (None, None, None, None)
    );
    assert_eq!(config.spool.max_bytes, 20_000_000_000);
    assert!(config.destinations.is_empty() && config.model.trusted_keys.is_empty());
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = "[box]\nnmae = \"a\"\n[serial]\nbaud = 10\n[status]\nlisten = \"0.0.0.0:9180\"\n\
                [spool]\nmax_bytes = \"1 GB\"\nmax_scan_bytes = \"2 GB\"\n[lgo]\n[compute]\nfast = 1\n";
    let told = problems(text);
    for (part, line) in [
        ("box.nmae is not a key; did you mean name?", 2),
        ("serial.device is missing", 3),
        ("serial.baud is 10", 4),
        ("status.listen is 0.0.0.0:9180, which others can reach", 6),
        ("spool.max_scan_bytes (2000000000) is above", 9),
        ("lgo is not a key; did you mean log?", 10),
        ("compute.fast is of type integer", 12),
    ] {
        assert!(
            told.iter()
                .any(|one| one.starts_with(&format!("line {line}: ")) && one.contains(part)),
            "{part}: {told:#?}"
        );
    }
    assert_eq!(told.len(), 7, "{told:#?}");
}

#[test]
fn contradictions_are_found() {
    for (text, part) in [
        ("[folder]\nwatch = \"/var/lib/nephrobox/in\"", "overlap"),
        (
            "[folder]\nwatch = \"/srv/a\"\n[[destination]]\nkind = \"folder\"\npath = \"/srv/a/out\"",
            "apart",
        ),
        (
            "[serial]\ndevice = \"/dev/ttyS0\"\nbaud = 9600\nmax_baud = 4800",
            "below serial.baud",
        ),
        (
            "[[destination]]\nkind = \"line\"\npath = \"/srv\"",
            "no meaning",
        ),
        ("[box]\nstate = \"../x\"", "absolute path"),
        (
            "[model]\ntrusted_keys = [{ key = \"ssh-rsa\" }]",
            "nephrobox-key-1:",
        ),
        (
            "[tcp]\nlisten = \"0.0.0.0:7000\"",
            "tcp.client_ca is missing",
        ),
        (
            "[dicom]\nlisten = \"0.0.0.0:104\"\ncertificate = \"/c\"",
            "belong together",
        ),
        (
            "[dicom]\nlisten = \"0.0.0.0:104\"\npeers = [{ ae_title = \"CT1\", address = \"ct1.local\" }]",
            "names are not looked up",
        ),
        (
            "[dicom]\nlisten = \"0.0.0.0:104\"\nae_title = \"A TITLE THAT IS TOO LONG\"",
            "1 to 16 letters",
        ),
        (
            "[[archive]]\naddress = \"pacs\"\nae_title = \"PACS\"",
            "host and port",
        ),
        (
            "[[archive]]\naddress = \"pacs:104\"\nae_title = \"PACS\"\nobjects = [\"scan\"]",
            "archive[0].objects[0] is no object",
        ),
        (
            "[[archive]]\naddress = \"pacs:104\"\nae_title = \"PACS\"\n[[archive]]\naddress = \"pacs:104\"\nae_title = \"PACS\"",
            "results go to dicom PACS at pacs:104 twice",
        ),
        (
            "[[dicomweb]]\nurl = \"https://me:secret@pacs/web\"",
            "without name and password",
        ),
        ("box = 3", "not a table"),
        ("[box", "TOML"),
    ] {
        assert!(
            problems(text).iter().any(|one| one.contains(part)),
            "{text}: {:?}",
            problems(text)
        );
    }
}

/// Each of them stands on the record of a scan that it has the results of, and in a line of the audit log.
#[test]
fn recipients_are_few_and_their_names_are_short_and_plain() {
    let folder = |path: &str| format!("[[destination]]\nkind = \"folder\"\npath = \"{path}\"\n");
    let folders =
        |count: usize| -> String { (0..count).map(|at| folder(&format!("/srv/{at}"))).collect() };
    let long = |bytes: usize| folder(&format!("/{}", "a".repeat(bytes - 1)));
    for fine in [folders(RECIPIENTS), long(NAME)] {
        assert!(Config::parse(&fine).is_ok(), "{fine}");
    }
    for (text, told) in [
        (
            folders(RECIPIENTS + 1),
            "17 recipients, and 16 are the most",
        ),
        (long(NAME + 1), "has 251 bytes, and 250 are the most"),
        (folder("/srv/a\\nb"), "control characters: \"/srv/a\\nb\""),
    ] {
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
    }
}

#[test]
fn the_same_port_twice_is_refused_whichever_sections_listen_there() {
    let tcp = |address: &str| {
        format!(
            "[tcp]\nlisten = \"{address}\"\ncertificate = \"/c\"\nkey = \"/k\"\nclient_ca = \"/a\"\n"
        )
    };
    let section = |name: &str, address: &str| format!("[{name}]\nlisten = \"{address}\"\n");
    let (dicom, status) = (
        |address: &str| section("dicom", address),
        |address: &str| section("status", address),
    );
    for (text, told) in [
        (
            tcp("0.0.0.0:9180") + &status("127.0.0.1:9180"),
            &["tcp.listen and status.listen"][..],
        ),
        (
            tcp("192.0.2.1:11112") + &dicom("0.0.0.0:11112"),
            &["tcp.listen and dicom.listen"],
        ),
        (
            dicom("127.0.0.1:9180") + &status("127.0.0.1:9180"),
            &["dicom.listen and status.listen"],
        ),
        (
            dicom("[::]:104") + &tcp("192.0.2.1:104") + &status("127.0.0.1:104"),
            &[
                "tcp.listen and dicom.listen",
                "dicom.listen and status.listen",
            ],
        ),
    ] {
        let expected: Vec<String> = told
            .iter()
            .map(|pair| format!("{pair} are the same port; give them different ports"))
            .collect();
        assert_eq!(problems(&text), expected, "{text}");
    }
    for text in [
        tcp("192.0.2.1:104") + &dicom("192.0.2.2:104") + &status("127.0.0.1:104"),
        tcp("0.0.0.0:7000") + &dicom("0.0.0.0:104") + &status("127.0.0.1:9180"),
    ] {
        Config::parse(&text).expect(&text);
    }
}

#[test]
fn what_show_prints_is_the_same_configuration() {
    let text = format!(
        "[serial]\ndevice = \"/dev/ttyGS0\"\n[[destination]]\nkind = \"line\"\n[[destination]]\nkind = \"folder\"\npath = \"/srv/r\"\n\
         [model]\ntrusted_keys = [{{ key = \"{KEY}\", retired = true }}]\n[panel]\ntargets = [{{ kind = \"png\", path = \"/run/p.png\" }}]\n\
         [status]\nlisten = \"[::1]:9180\"\n[log]\nformat = \"json\"\n[compute]\nthreads = 2\n\
         [dicom]\nlisten = \"0.0.0.0:104\"\npeers = [{{ ae_title = \"CT 1\" }}]\ncertificate = \"/c\"\nkey = \"/k\"\n\
         [[archive]]\naddress = \"pacs:104\"\nae_title = \"PACS\"\nobjects = [\"document\"]\n[[dicomweb]]\nurl = \"https://pacs/web/\"\n\
         [results]\nfhir = true\n"
    );
    let config = Config::parse(&text).expect("right");
    let shown = toml::to_string(&config).expect("as TOML");
    assert_eq!(Config::parse(&shown), Ok(config), "{shown}");
}

#[test]
fn the_example_parses_as_it_is_and_with_everything_on() {
    let example = keys::example();
    let quiet = Config::parse(&example).expect("the example");
    assert_eq!(quiet, Config::parse("[spool]").expect("defaults"));
    let on: String = example
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| !rest.starts_with(' '))
                .unwrap_or(line)
                .to_owned()
                + "\n"
        })
        .collect();
    let on = on.replace("nephrobox-key-1:PUT-YOUR-KEY-HERE", KEY);
    let config = Config::parse(&on).expect("everything on");
    assert!(config.tcp.is_some() && config.serial.is_some() && config.status.is_some());
    assert_eq!(config.model.trusted_keys[0].key.to_string(), KEY);
}

#[test]
fn the_page_lists_every_key() {
    let page = include_str!("../../../docs/config.md");
    for key in keys::KEYS {
        let row = format!("| `{}.{}` |", key.section, key.name);
        let line = page
            .lines()
            .find(|line| line.starts_with(&row))
            .unwrap_or_else(|| panic!("no {row}"));
        assert!(line.contains(key.meaning), "{line}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([a-z]{1,4}|[\\[\\]=\"{}#.\n]|box|serial|spool|[0-9é]){0,40}") {
        let _ = Config::parse(&text);
    }
}

/// What is installed with the program.
mod packaging {
    use clap::Parser;

    use super::*;

    const UNIT: &str = include_str!("../../packaging/nephrobox.service");

    #[test]
    fn the_default_configuration_is_valid_and_is_the_example() {
        let text = include_str!("../../packaging/nephrobox.toml");
        assert_eq!(
            text,
            keys::example(),
            "write it again: nephrobox config example"
        );
        Config::parse(text).expect("valid");
    }

    #[test]
    fn the_unit_checks_and_runs_one_configuration_with_commands_that_exist() {
        let mut configurations = Vec::new();
        for (key, command) in [("ExecStartPre=", "config"), ("ExecStart=", "run")] {
            let line = UNIT.lines().find_map(|line| line.strip_prefix(key));
            let words: Vec<_> = line.expect("a command").split(' ').collect();
            crate::cli::Cli::try_parse_from(&words).expect("a command line of nephrobox");
            assert_eq!(words[1], command, "{words:?}");
            configurations.push(words[words.len() - 1]);
        }
        assert_eq!(configurations[0], configurations[1]);
    }

    #[test]
    fn the_unit_watches_and_is_unprivileged() {
        for line in [
            "Type=notify",
            "User=nephrobox",
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "StateDirectory=nephrobox",
        ] {
            assert!(UNIT.lines().any(|one| one == line), "{line}");
        }
        assert!(UNIT.contains("\nWatchdogSec="));
    }
}
