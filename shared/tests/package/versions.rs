//! Files of other versions, and signed ones.

use nephrobox_shared::package::{PackageError, PackageView, Signature, attach_signature};

use crate::{TRAILER_LEN, example, manifest, rehash};

/// A box that is older than the model says so, and says what to do.
#[test]
fn a_newer_major_version_is_refused_with_a_way_out() {
    let mut file = example();
    file[4] = 3;
    rehash(&mut file);
    let error = PackageView::open(&file).unwrap_err();
    assert_eq!(error, PackageError::Newer { major: 3, minor: 0 });
    assert!(
        error
            .to_string()
            .contains("update this program, or export the model again")
    );
}

/// Packages of the first version are laid out alike; there never was a version 0.
#[test]
fn the_first_major_version_is_still_read() {
    let mut file = example();
    file[4] = 1;
    rehash(&mut file);
    assert_eq!(PackageView::open(&file).unwrap().header().major, 1);
    file[4] = 0;
    rehash(&mut file);
    let error = PackageView::open(&file).unwrap_err();
    assert_eq!(error, PackageError::UnknownVersion { major: 0, minor: 0 });
}

/// A newer minor version may append to the manifest and use reserved fields; an old reader reads what it knows.
#[test]
fn a_newer_minor_version_is_read_as_far_as_it_is_known() {
    let mut file = example();
    let (manifest_len, gap) = {
        let view = PackageView::open(&file).unwrap();
        let len = view.manifest_bytes().len();
        (len, len.next_multiple_of(64) - len)
    };
    assert!(
        gap > 0,
        "the example's manifest must leave room for this test"
    );
    // One more byte of manifest, in a field that does not exist yet.
    file[16..24].copy_from_slice(&(manifest_len as u64 + 1).to_le_bytes());
    rehash(&mut file);
    let same_minor = PackageView::open(&file).unwrap().manifest();
    assert_eq!(same_minor, Err(PackageError::ManifestEncoding));
    file[6] = 1;
    file[63] = 9;
    rehash(&mut file);
    assert_eq!(
        PackageView::open(&file).unwrap().manifest().unwrap(),
        manifest()
    );
    file[6] = 0;
    rehash(&mut file);
    assert_eq!(
        PackageView::open(&file).unwrap_err(),
        PackageError::NotZero { offset: 63 }
    );
}

#[test]
fn a_signature_is_carried_and_its_field_checked() {
    let mut file = example();
    let unsigned = file.clone();
    let signature = Signature {
        key_id: [3; 16],
        bytes: [5; 64],
    };
    attach_signature(&mut file, signature).unwrap();
    let view = PackageView::open(&file).unwrap();
    assert_eq!(view.signature(), Some(&signature));
    assert_eq!(
        view.hash(),
        PackageView::open(&unsigned).unwrap().hash(),
        "signing does not change the identity"
    );

    let trailer = file.len() - TRAILER_LEN;
    let mut stripped = file.clone();
    stripped[trailer + 32] = 0;
    assert_eq!(
        PackageView::open(&stripped).unwrap_err(),
        PackageError::Signature
    );
    let mut unknown = file.clone();
    unknown[trailer + 32] = 2;
    assert_eq!(
        PackageView::open(&unknown).unwrap_err(),
        PackageError::SignatureKind { kind: 2 }
    );
    let nothing = Signature {
        key_id: [0; 16],
        bytes: [0; 64],
    };
    assert_eq!(
        attach_signature(&mut file, nothing),
        Err(PackageError::Signature)
    );
    file[100] ^= 1;
    assert_eq!(
        attach_signature(&mut file, signature),
        Err(PackageError::Hash)
    );
}
