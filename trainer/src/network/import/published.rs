//! The five published ImageNet encoders of the reference, by checksum.

use std::fmt;

use md5::{Digest, Md5};

use super::super::architecture::{Encoder, Family};
use super::Source;
use crate::fetch::hex;

/// Release 0.0.1 of `qubvel/classification_models`: encoder, and MD5 of `ENCODER_imagenet_1000_no_top.h5` as the
/// library pins it.
const MD5: [(Encoder, &str); 5] = [
    (Encoder::ResNet18, "318e3ac0cd98d51e917526c9f62f0b50"),
    (Encoder::ResNet34, "8caaa0ad39d927cb8ba5385bf945d582"),
    (Encoder::ResNet50, "db3b217156506944570ac220086f09b6"),
    (Encoder::ResNet101, "1016e7663980d5597a4e224d915c342d"),
    (Encoder::ResNet152, "5867b94098df4640918941115db93734"),
];

/// How a file compares with the published one of its encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is that file.
    Same(Encoder),
    /// It is not: its MD5, and the published one.
    Differs {
        /// The encoder it holds, or is named after.
        encoder: Encoder,
        /// MD5 of the file.
        found: String,
        /// MD5 of the published file.
        published: &'static str,
    },
}

impl Published {
    /// Compares a Keras file that holds a reference encoder without decoder, or is named like a published one.
    pub(super) fn check(source: &Source) -> Option<Self> {
        let found = source.md5.as_deref()?;
        if let Some((encoder, _)) = MD5.iter().find(|(_, md5)| *md5 == found) {
            return Some(Self::Same(*encoder));
        }
        let named = |encoder: Encoder| {
            let name = source.path.file_name().and_then(|n| n.to_str());
            name == Some(file_name(encoder).as_str())
        };
        let by_name = MD5.iter().find(|(encoder, _)| named(*encoder));
        let by_content = || {
            let encoder = source
                .encoder()
                .filter(|e| e.family() == Family::Reference)?;
            let alone = !source.has_decoder();
            MD5.iter().find(|(e, _)| alone && *e == encoder)
        };
        let (encoder, published) = by_name.or_else(by_content)?;
        Some(Self::Differs {
            encoder: *encoder,
            found: found.into(),
            published,
        })
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(encoder) => write!(
                f,
                "its MD5 is that of the published {}",
                file_name(*encoder)
            ),
            Self::Differs {
                encoder,
                found,
                published,
            } => write!(
                f,
                "its MD5 is {found}, not {published} of the published {}: other weights, or a damaged download",
                file_name(*encoder)
            ),
        }
    }
}

/// Name of the published file.
fn file_name(encoder: Encoder) -> String {
    format!("{encoder}_imagenet_1000_no_top.h5")
}

/// MD5 in lower-case hex.
pub(super) fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}
