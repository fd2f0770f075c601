//! From a new pair of keys to a package that its holder vouches for, and every way in which that must not work.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_engine::package::Model;
use nephrobox_shared::package::{PublicKey, permit};
use nephroctl::failure::Exit;
use serde_json::Value;
use support::{call, save, save_version, text};
use tempfile::TempDir;

/// Makes a pair of keys and returns the files of its secret and its public half.
fn keygen(home: &Path, name: &str) -> (PathBuf, PathBuf) {
    let at = home.join(name);
    call(&["keygen", text(&at)]).expect("a pair of keys");
    let half = |ending| home.join(format!("{name}.{ending}"));
    (half("secret"), half("public"))
}

fn public(path: &Path) -> PublicKey {
    let line = fs::read_to_string(path).expect("a file");
    line.parse().expect("a public key")
}

#[test]
fn keygen_prints_what_the_boxs_configuration_takes() {
    let home = TempDir::new().expect("a folder");
    let words = call(&["keygen", text(&home.path().join("clinic"))]).expect("a pair of keys");
    let key = public(&home.path().join("clinic.public"));
    let trusted = format!("[model]\ntrusted_keys = [{{ key = \"{key}\" }}]\n");
    assert!(words.ends_with(&trusted), "{words}");
    // All lines before are comments, so that all of it can be appended to the configuration.
    let before = words.strip_suffix(&trusted).expect("as above");
    assert!(
        before.lines().all(|line| line.starts_with("# ")),
        "{before}"
    );
    assert!(!words.contains("nephrobox-secret-"), "{words}");
}

/// Shows RQ-74.
#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_secret_key_and_a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = TempDir::new().expect("a folder");
    let (secret, _) = keygen(home.path(), "clinic");
    let mode = fs::metadata(&secret).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let package = save(home.path());
    let before = fs::read(&package).expect("a package");
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("changed");
        let failure = call(&["sign", text(&package), "--key", text(&secret)]).expect_err("exposed");
        assert_eq!((failure.exit, failure.code), (Exit::Input, "key"));
        assert!(failure.told.what.contains("others can read"), "{failure}");
    }
    assert_eq!(fs::read(&package).expect("a package"), before);
}

#[test]
fn keys_are_never_overwritten_and_never_made_by_halves() {
    let home = TempDir::new().expect("a folder");
    let (secret, public) = keygen(home.path(), "clinic");
    let before = [&secret, &public].map(|path| fs::read(path).expect("a file"));
    let again = ["keygen", text(&home.path().join("clinic"))].map(str::to_owned);
    let again = again.each_ref().map(String::as_str);

    assert_eq!(call(&again).expect_err("taken").exit, Exit::Output);
    fs::rename(&public, home.path().join("away")).expect("moved");
    assert_eq!(call(&again).expect_err("the secret").exit, Exit::Output);
    assert!(!public.exists());
    assert_eq!(fs::read(&secret).expect("a file"), before[0]);

    fs::rename(home.path().join("away"), &public).expect("moved");
    fs::remove_file(&secret).expect("removed");
    assert_eq!(call(&again).expect_err("the public").exit, Exit::Output);
    assert!(!secret.exists());
    assert_eq!(fs::read(&public).expect("a file"), before[1]);
}

#[test]
fn two_pairs_of_keys_are_different() {
    let home = TempDir::new().expect("a folder");
    let keys = ["a", "b"].map(|name| public(&keygen(home.path(), name).1));
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_signed_package_keeps_its_hash_and_is_verified_with_the_public_half() {
    let home = TempDir::new().expect("a folder");
    let (secret, public_file) = keygen(home.path(), "clinic");
    let package = save(home.path());
    let hash = Model::load(&package).expect("a package").hash;
    let words = call(&["sign", text(&package), "--key", text(&secret)]).expect("signed");
    let key = public(&public_file);
    assert!(
        words.contains(&format!("signed by key {}", key.id())),
        "{words}"
    );
    assert_eq!(Model::load(&package).expect("a package").hash, hash);

    // The key may be given as a file or as its text, and beside others.
    let (_, other) = keygen(home.path(), "other");
    let state = format!("by key {}, verified", key.id());
    for command in ["inspect", "verify"] {
        for given in [text(&public_file), &key.to_string()] {
            let call = call(&[
                command,
                text(&package),
                "--key",
                text(&other),
                "--key",
                given,
            ]);
            let words = call.expect("verified");
            assert!(words.contains(&state), "{words}");
        }
    }
    let json = call(&[
        "inspect",
        text(&package),
        "--json",
        "--key",
        text(&public_file),
    ]);
    let json: Value = serde_json::from_str(&json.expect("verified")).expect("JSON");
    assert_eq!(json["signature"]["verified"], true);
    assert_eq!(json["signature"]["key_id"], key.id().to_string());
}

#[test]
fn signing_elsewhere_leaves_the_package_alone_and_signing_again_replaces_the_signature() {
    let home = TempDir::new().expect("a folder");
    let (first, first_public) = keygen(home.path(), "first");
    let (second, second_public) = keygen(home.path(), "second");
    let package = save(home.path());
    let unsigned = fs::read(&package).expect("a package");
    let signed = home.path().join("signed.nbx");
    call(&[
        "sign",
        text(&package),
        "--key",
        text(&first),
        "--out",
        text(&signed),
    ])
    .expect("signed");
    assert_eq!(fs::read(&package).expect("a package"), unsigned);

    let words = call(&["sign", text(&signed), "--key", text(&second)]).expect("signed again");
    let former = format!(
        "the signature by key {} is replaced",
        public(&first_public).id()
    );
    assert!(words.contains(&former), "{words}");
    call(&["verify", text(&signed), "--key", text(&second_public)]).expect("the second key");
    let failure = call(&["verify", text(&signed), "--key", text(&first_public)]);
    let failure = failure.expect_err("the first key no longer");
    assert_eq!((failure.exit, failure.code), (Exit::Model, "signature"));
}

#[test]
fn a_package_is_not_believed_unsigned_or_by_another_key_or_with_a_borrowed_name() {
    let home = TempDir::new().expect("a folder");
    let (secret, ours) = keygen(home.path(), "ours");
    let (_, others) = keygen(home.path(), "others");
    let package = save(home.path());
    let refused = |key: &Path, word: &str| {
        let failure = call(&["inspect", text(&package), "--key", text(key)]).expect_err(word);
        assert_eq!((failure.exit, failure.code), (Exit::Model, "signature"));
        assert!(failure.told.what.contains(word), "{failure}");
        assert!(!failure.told.remedy.is_empty(), "{failure}");
    };
    refused(&ours, "nobody has signed");
    call(&["sign", text(&package), "--key", text(&secret)]).expect("signed");
    refused(&others, "not among the trusted keys");
    // The signature is the last 64 bytes but for what pads them; one bit of it is enough.
    let mut bytes = fs::read(&package).expect("a package");
    let signature = Model::load(&package).expect("a package").signature;
    let signature = signature.expect("a signature").bytes;
    let at = bytes.windows(64).rposition(|window| window == signature);
    bytes[at.expect("the signature is in the file")] ^= 1;
    fs::write(&package, bytes).expect("written");
    refused(&ours, "not by key");
}

#[test]
fn a_damaged_package_is_neither_signed_nor_permitted() {
    let home = TempDir::new().expect("a folder");
    let (secret, _) = keygen(home.path(), "clinic");
    let package = save(home.path());
    let mut bytes = fs::read(&package).expect("a package");
    bytes[200] ^= 1;
    fs::write(&package, &bytes).expect("written");
    let permit = home.path().join("p.permit");
    let calls: [&[&str]; 2] = [
        &["sign", text(&package), "--key", text(&secret)],
        &[
            "permit",
            text(&package),
            "--replaces",
            "20",
            "--key",
            text(&secret),
            "--out",
            text(&permit),
        ],
    ];
    for arguments in calls {
        let failure = call(arguments).expect_err("damaged");
        assert_eq!(failure.exit, Exit::Model);
        assert!(failure.told.what.contains("damaged"), "{failure}");
    }
    assert_eq!(fs::read(&package).expect("a package"), bytes);
    assert!(!permit.exists());
}

/// Shows RQ-74.
#[test]
fn what_is_no_secret_key_is_named_and_never_quoted() {
    let home = TempDir::new().expect("a folder");
    let (secret, public) = keygen(home.path(), "clinic");
    let package = save(home.path());
    let line = fs::read_to_string(&secret).expect("a key");
    let odd = home.path().join("odd");
    let cases: [(&[u8], &str); 5] = [
        (&fs::read(&public).expect("a key"), "this is a public key"),
        (b"", "no secret key"),
        (&[0xFF; 40], "no secret key"),
        (&[b'x'; 4096], "no secret key"),
        (
            &line.as_bytes()[..40],
            "does not end with 64 hexadecimal digits",
        ),
    ];
    for (bytes, word) in cases {
        // Over the key's own file, which keeps its rights.
        fs::copy(&secret, &odd).expect("copied");
        fs::write(&odd, bytes).expect("written");
        let failure = call(&["sign", text(&package), "--key", text(&odd)]).expect_err(word);
        assert_eq!((failure.exit, failure.code), (Exit::Input, "key"));
        assert!(failure.told.what.contains(word), "{failure}");
        assert!(!failure.to_string().contains(&line[19..40]), "{failure}");
    }
    let failure = call(&["inspect", text(&package), "--key", text(&secret)]);
    let failure = failure.expect_err("a secret key where a public one is wanted");
    assert!(
        failure.told.what.contains("this is a secret key"),
        "{failure}"
    );
    assert!(!failure.to_string().contains(&line[19..40]), "{failure}");
}

#[test]
fn a_permit_lets_one_package_replace_one_version() {
    let home = TempDir::new().expect("a folder");
    let (secret, public_file) = keygen(home.path(), "clinic");
    let older = save_version(home.path(), "kidney-3.nbx", 3);
    call(&[
        "permit",
        text(&older),
        "--replaces",
        "5",
        "--key",
        text(&secret),
    ])
    .expect("a permit");
    let bytes = fs::read(home.path().join("kidney-3.permit")).expect("beside the package");
    let hash = Model::load(&older).expect("a package").hash.0;
    let trusted = [public(&public_file)];
    assert_eq!(
        permit::check(&bytes, &hash, 5, &trusted),
        Ok(trusted[0].id())
    );
    assert!(permit::check(&bytes, &hash, 4, &trusted).is_err());
    assert!(permit::check(&bytes, &[0; 32], 5, &trusted).is_err());
}

#[test]
fn a_permit_that_nobody_needs_is_not_made() {
    let home = TempDir::new().expect("a folder");
    let (secret, _) = keygen(home.path(), "clinic");
    let package = save(home.path());
    let failure = call(&[
        "permit",
        text(&package),
        "--replaces",
        "11",
        "--key",
        text(&secret),
    ]);
    let failure = failure.expect_err("12 is above 11");
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.told.what.contains("without a permit"), "{failure}");
    assert!(!home.path().join("example.permit").exists());
}
