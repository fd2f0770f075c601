//! What is stored, and who says so.

use dicom_dictionary_std::uids;

/// The transfer syntaxes that storage takes; all of them have a decoder in `imaging`.
pub const STORED: [&str; 10] = [
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::JPEG_LOSSLESS,
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEGLS_LOSSLESS,
    uids::JPEGLS_NEAR_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::RLE_LOSSLESS,
];

/// The transfer syntaxes of an echo, which has no data set.
pub const ECHOED: [&str; 2] = [
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
];

/// The SOP class of an echo.
pub const VERIFICATION: &str = uids::VERIFICATION;

/// The SOP class of a CT slice: what storage takes unless [`Settings::storage`](crate::server::Settings::storage) says otherwise.
pub const CT_IMAGE_STORAGE: &str = uids::CT_IMAGE_STORAGE;

/// The Implementation Class UID, the same as in the objects that the box makes.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.168471660129040875574225519303371205574";

/// The Implementation Version Name.
pub const IMPLEMENTATION_VERSION_NAME: &str = "NEPHROBOX";
