//! Where files come from: a TOML file, of which the program carries one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::verify::Check;
use super::{FetchError, Item};

/// The addresses that the program carries.
pub const DEFAULT: &str = include_str!("sources.toml");

/// Addresses and checksums.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    kits19: Kits19,
    encoder: BTreeMap<String, EncoderFile>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kits19 {
    cases: u32,
    licence: String,
    files: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncoderFile {
    file: String,
    urls: Vec<String>,
    md5: Option<String>,
    sha256: Option<String>,
}

impl Sources {
    /// The addresses in `file`, or those the program carries.
    pub fn read(file: Option<&Path>) -> Result<Self, FetchError> {
        let (name, text) = match file {
            None => ("the built-in list".into(), DEFAULT.to_string()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| FetchError::Sources {
                    file: path.display().to_string(),
                    reason: e.to_string(),
                })?;
                (path.display().to_string(), text)
            }
        };
        toml::from_str(&text).map_err(|e| FetchError::Sources {
            file: name,
            reason: e.to_string().trim_end().to_string(),
        })
    }

    /// Names of the encoders there are.
    pub fn encoders(&self) -> impl Iterator<Item = &str> {
        self.encoder.keys().map(String::as_str)
    }

    /// Condition under which KiTS19 may be used.
    pub fn kits19_licence(&self) -> &str {
        &self.kits19.licence
    }

    /// Number of KiTS19's cases with labels; they count from 0.
    pub fn kits19_cases(&self) -> u32 {
        self.kits19.cases
    }

    /// The weights of one encoder.
    pub fn encoder(&self, name: &str) -> Result<Item, FetchError> {
        let unknown = || FetchError::Unknown {
            what: "encoder",
            name: name.into(),
            known: self.encoders().collect::<Vec<_>>().join(", "),
        };
        let entry = self.encoder.get(name).ok_or_else(unknown)?;
        let check = match (&entry.md5, &entry.sha256) {
            (Some(md5), _) => Check::Md5(md5.to_lowercase()),
            (None, Some(sha256)) => Check::Sha256(sha256.to_lowercase()),
            (None, None) => {
                return Err(FetchError::Sources {
                    file: format!("[encoder.{name}]"),
                    reason: "it needs `md5` or `sha256`: weights without a checksum are not taken"
                        .into(),
                });
            }
        };
        Ok(Item {
            path: entry.file.clone().into(),
            urls: entry.urls.clone(),
            check,
        })
    }

    /// The files of KiTS19 cases in the layout that `nephrotrain prepare` reads; `only` names one kind of file.
    pub fn kits19(&self, cases: &[u32], only: Option<&str>) -> Result<Vec<Item>, FetchError> {
        let kinds: Vec<&String> = (self.kits19.files.keys())
            .filter(|kind| only.is_none_or(|only| kind.starts_with(only)))
            .collect();
        if let Some(case) = cases.iter().find(|&&case| case >= self.kits19.cases) {
            return Err(FetchError::Unknown {
                what: "KiTS19 case",
                name: case.to_string(),
                known: format!("0 to {} have labels", self.kits19.cases.saturating_sub(1)),
            });
        }
        let items = cases.iter().flat_map(|case| {
            let number = format!("{case:05}");
            kinds.iter().map(move |kind| Item {
                path: Path::new(&format!("case_{number}")).join(kind),
                urls: (self.kits19.files[*kind].iter())
                    .map(|url| url.replace("{case}", &number))
                    .collect(),
                check: Check::NiftiGz,
            })
        });
        Ok(items.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Encoder;

    /// Every encoder of the program can be fetched by its name on the command line, the paper's by the MD5 that the
    /// library pins.
    #[test]
    fn the_built_in_list_has_every_encoder() {
        let sources = Sources::read(None).unwrap();
        for encoder in Encoder::ALL {
            let item = sources.encoder(encoder.name()).unwrap();
            assert!(item.urls[0].starts_with("https://"), "{encoder}");
        }
        let resnet34 = sources.encoder("resnet34").unwrap();
        assert_eq!(
            resnet34.check,
            Check::Md5("8caaa0ad39d927cb8ba5385bf945d582".into())
        );
        let error = sources.encoder("vgg16").unwrap_err().to_string();
        assert!(
            error.contains("vgg16") && error.contains("torchvision-resnet50"),
            "{error}"
        );
    }

    #[test]
    fn kits19_comes_case_by_case_in_its_own_layout() {
        let sources = Sources::read(None).unwrap();
        let items = sources.kits19(&[7, 209], None).unwrap();
        let paths: Vec<String> = items.iter().map(|i| i.path.display().to_string()).collect();
        assert_eq!(paths[0], "case_00007/imaging.nii.gz");
        assert_eq!(paths[3], "case_00209/segmentation.nii.gz");
        assert!(items[0].urls[0].ends_with("/master_00007.nii.gz"));
        assert_eq!(sources.kits19(&[7], Some("segmentation")).unwrap().len(), 1);
        assert!(sources.kits19(&[210], None).is_err());
    }

    #[test]
    fn a_list_with_a_mistake_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, DEFAULT.replace("md5 =", "md4 =")).unwrap();
        let error = Sources::read(Some(&path)).unwrap_err().to_string();
        assert!(
            error.contains("mine.toml") && error.contains("md4"),
            "{error}"
        );
    }
}
