//! A data set as it is put together: tags in, value representations from the standard's dictionary.

use dicom_core::{
    DataDictionary, DataElement, PrimitiveValue, Tag, VR, dictionary::DataDictionaryEntry,
    value::DataSetSequence,
};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;

use crate::codes::Code;

/// One item of a sequence, or a whole data set.
#[derive(Clone, Debug)]
pub(crate) struct Item(pub(crate) InMemDicomObject);

impl Item {
    pub(crate) fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// Text that the caller knows to fit; several values are joined by backslashes.
    pub(crate) fn text(&mut self, tag: Tag, text: impl Into<String>) -> &mut Self {
        self.value(tag, PrimitiveValue::from(text.into()))
    }

    /// Free text, cut to what its representation holds, without what would end the value or break a line in it.
    pub(crate) fn free(&mut self, tag: Tag, text: &str) -> &mut Self {
        let (most, lines) = match representation(tag) {
            VR::SH => (16, false),
            VR::LO => (64, false),
            VR::ST => (1024, true),
            VR::LT => (10_240, true),
            _ => (usize::MAX, true),
        };
        // Only in texts of lines is a backslash an ordinary character.
        let kept = |c: &char| !c.is_control() && (lines || *c != '\\');
        let text: String = text.chars().filter(kept).take(most).collect();
        self.text(tag, text.trim())
    }

    /// Free text, if there is any.
    pub(crate) fn optional(&mut self, tag: Tag, text: &str) -> &mut Self {
        if !text.trim().is_empty() {
            self.free(tag, text);
        }
        self
    }

    pub(crate) fn number(&mut self, tag: Tag, number: u16) -> &mut Self {
        self.value(tag, PrimitiveValue::from(number))
    }

    /// Decimal strings.
    pub(crate) fn decimals(&mut self, tag: Tag, numbers: &[f64]) -> &mut Self {
        let texts: Vec<String> = numbers.iter().map(|&number| decimal(number)).collect();
        self.text(tag, texts.join("\\"))
    }

    pub(crate) fn value(&mut self, tag: Tag, value: PrimitiveValue) -> &mut Self {
        self.0
            .put(DataElement::new(tag, representation(tag), value));
        self
    }

    pub(crate) fn sequence(&mut self, tag: Tag, items: Vec<Item>) -> &mut Self {
        let element = if items.is_empty() {
            DataElement::empty(tag, VR::SQ)
        } else {
            let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.0).collect();
            DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
        };
        self.0.put(element);
        self
    }

    pub(crate) fn code(&mut self, tag: Tag, code: Code) -> &mut Self {
        self.sequence(tag, vec![code.into()])
    }
}

impl From<Code> for Item {
    fn from(Code(value, scheme, meaning): Code) -> Self {
        let mut item = Self::new();
        item.text(tags::CODE_VALUE, value)
            .text(tags::CODING_SCHEME_DESIGNATOR, scheme)
            .text(tags::CODE_MEANING, meaning);
        item
    }
}

/// The value representation that the dictionary gives a tag; unknown bytes for a tag it does not know.
fn representation(tag: Tag) -> VR {
    StandardDataDictionary
        .by_tag(tag)
        .map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// The decimal string nearest to a finite number; the representation has 16 characters.
///
/// A number that came from a decimal string goes back to one of the same value.
pub(crate) fn decimal(number: f64) -> String {
    const MOST: usize = 16;
    // Zero has a sign that no reader wants.
    let number = if number == 0.0 { 0.0 } else { number };
    let exact = [format!("{number}"), format!("{number:E}")];
    let rounded = (0..MOST).rev().flat_map(|digits| {
        let magnitude = number.abs();
        let plain = (1e-4..1e15)
            .contains(&magnitude)
            .then(|| format!("{number:.digits$}"));
        plain.into_iter().chain([format!("{number:.digits$E}")])
    });
    exact
        .into_iter()
        .chain(rounded)
        .find(|text| text.len() <= MOST)
        .unwrap_or_else(|| "0".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_strings_are_short_and_as_exact_as_they_can_be() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-312.5, "-312.5"),
            (0.976_562_5, "0.9765625"),
            (1.0 / 3.0, "0.33333333333333"),
            (-1.0 / 3.0, "-0.3333333333333"),
            (1e-10, "1E-10"),
            (123_456_789_012_345_680.0, "1.2345678901E17"),
        ] {
            let found = decimal(number);
            assert!(found.len() <= 16, "{found}");
            let (found, text): (f64, f64) = (found.parse().unwrap(), text.parse().unwrap());
            assert!((found - text).abs() <= text.abs() * 1e-9, "{found} {text}");
        }
    }

    #[test]
    fn free_text_cannot_end_its_value_early() {
        let mut item = Item::new();
        item.free(
            tags::SERIES_DESCRIPTION,
            &format!("a\\b\u{0}\n{}", "é".repeat(80)),
        );
        let text = item
            .0
            .element(tags::SERIES_DESCRIPTION)
            .unwrap()
            .to_str()
            .unwrap()
            .into_owned();
        assert!(text.starts_with("abé"));
        assert_eq!(text.chars().count(), 64);
    }

    proptest! {
        #[test]
        fn any_number_becomes_at_most_16_characters_near_it(number in proptest::num::f64::NORMAL) {
            let text = decimal(number);
            prop_assert!(text.len() <= 16, "{}", text);
            let back: f64 = text.parse().unwrap();
            prop_assert!((back - number).abs() <= number.abs() * 1e-7, "{} {}", number, text);
        }
    }
}
