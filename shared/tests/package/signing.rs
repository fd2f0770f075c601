//! Keys, signatures and permits.

use nephrobox_shared::package::{
    KeyError, PackageView, PublicKey, SecretKey, SignatureError,
    permit::{self, Permit, PermitError},
    signing::{sign, verify},
};

use crate::{TRAILER_LEN, example, rehash};

/// Secret and public key of RFC 8032, section 7.1, test 1.
const RFC_SECRET: &str =
    "nephrobox-secret-1:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const RFC_PUBLIC: &str =
    "nephrobox-key-1:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

#[test]
fn a_key_goes_through_its_line_of_text() {
    let secret: SecretKey = format!("  {RFC_SECRET}\n").parse().expect("a secret key");
    assert_eq!(secret.public().to_string(), RFC_PUBLIC);
    assert_eq!(secret.text().as_bytes(), RFC_SECRET.as_bytes());
    let public: PublicKey = RFC_PUBLIC.parse().expect("a public key");
    assert_eq!(public, secret.public());
    // The identity is defined by the format: BLAKE3 of the 32 bytes.
    assert_eq!(public.id().0, blake3::hash(public.bytes()).as_bytes()[..16]);
    assert!(!format!("{secret:?}").contains(&RFC_SECRET[19..]));
}

#[test]
fn what_is_no_key_is_told_apart_without_quoting_it() {
    let public = |text: &str| text.parse::<PublicKey>().expect_err("no key");
    let secret = |text: &str| text.parse::<SecretKey>().expect_err("no key");
    assert_eq!(public(RFC_SECRET), KeyError::IsSecret);
    assert_eq!(secret(RFC_PUBLIC), KeyError::IsPublic);
    assert_eq!(public("ssh-ed25519 AAAA"), KeyError::NotPublic);
    assert_eq!(secret(""), KeyError::NotSecret);
    assert_eq!(public("nephrobox-key-2:00"), KeyError::Newer);
    assert_eq!(secret(&RFC_SECRET[..60]), KeyError::Digits);
    assert_eq!(public(&RFC_PUBLIC.replace('d', "x")), KeyError::Digits);
    // The neutral point: every message would have a signature that fits.
    let weak = format!("nephrobox-key-1:01{}", "0".repeat(62));
    assert_eq!(public(&weak), KeyError::Unusable);
    assert!(!secret(&RFC_SECRET[..60]).to_string().contains("9d61"));
}

#[test]
fn a_signed_package_names_its_key_and_keeps_its_identity() {
    let mut file = example();
    let before = *PackageView::open(&file).expect("whole").hash();
    let id = sign(&mut file, &key(1)).expect("signed");
    let view = PackageView::open(&file).expect("still whole");
    assert_eq!(*view.hash(), before);
    let trusted = [key(2).public(), key(1).public()];
    assert_eq!(verify(&view, &trusted), Ok(id));
    assert_eq!(id, key(1).public().id());
}

#[test]
fn signatures_that_prove_nothing() {
    let file = example();
    let view = PackageView::open(&file).expect("whole");
    let trusted = [key(1).public()];
    assert_eq!(verify(&view, &trusted), Err(SignatureError::Unsigned));

    let mut by_another = file.clone();
    let other = sign(&mut by_another, &key(9)).expect("signed");
    let view = PackageView::open(&by_another).expect("whole");
    assert_eq!(
        verify(&view, &trusted),
        Err(SignatureError::UnknownKey { key: other })
    );
    let told = verify(&view, &[]).expect_err("no keys").to_string();
    assert!(told.contains(&other.to_string()), "{told}");

    // A changed package with a true hash and the signature of the old one.
    let mut changed = file;
    let id = sign(&mut changed, &key(1)).expect("signed");
    let last_tensor_byte = changed.len() - TRAILER_LEN - 64;
    changed[last_tensor_byte] ^= 1;
    rehash(&mut changed);
    let view = PackageView::open(&changed).expect("whole, for its hash was made true");
    assert_eq!(
        verify(&view, &trusted),
        Err(SignatureError::Wrong { key: id })
    );
}

/// Every bit of the signature and of the key's name counts.
/// Shows RQ-37.
#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let mut file = example();
    sign(&mut file, &key(1)).expect("signed");
    let trailer = file.len() - TRAILER_LEN;
    for position in (trailer + 40..trailer + 56).chain(trailer + 64..trailer + 128) {
        file[position] ^= 1 << (position % 8);
        let view = PackageView::open(&file).expect("whole");
        verify(&view, &[key(1).public()]).expect_err("a flipped bit");
        file[position] ^= 1 << (position % 8);
    }
}

#[test]
fn a_permit_is_for_one_package_and_one_version() {
    let permit = permit::make(&[7; 32], 12, &key(1));
    let trusted = [key(1).public()];
    let id = trusted[0].id();
    assert_eq!(permit::check(&permit, &[7; 32], 12, &trusted), Ok(id));
    assert_eq!(
        permit::check(&permit, &[8; 32], 12, &trusted),
        Err(PermitError::OtherPackage)
    );
    assert_eq!(
        permit::check(&permit, &[7; 32], 13, &trusted),
        Err(PermitError::OtherVersion {
            permitted: 12,
            running: 13
        })
    );
    assert_eq!(
        permit::check(&permit, &[7; 32], 12, &[key(2).public()]),
        Err(PermitError::Signature(SignatureError::UnknownKey {
            key: id
        }))
    );
}

/// The offsets are those of `docs/formats/permit.md`.
#[test]
fn a_permits_bytes_are_where_its_specification_says() {
    let bytes = permit::make(&[7; 32], 0x0102, &key(1));
    assert_eq!(bytes[..8], *b"NBP1\x01\0\0\0");
    assert_eq!(bytes[8..40], [7; 32]);
    assert_eq!(bytes[40..48], [2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[48..64], key(1).public().id().0);
    let trusted = [key(1).public()];
    for position in 0..permit::LEN {
        let mut damaged = bytes;
        damaged[position] ^= 1;
        Permit::open(&damaged, &trusted).expect_err("a flipped bit");
    }
    for len in 0..permit::LEN {
        Permit::open(&bytes[..len], &trusted).expect_err("cut off");
    }
    assert_eq!(
        Permit::open(&[&bytes[..], &[0]].concat(), &trusted),
        Err(PermitError::Length { found: 129 })
    );
}
