//! Content items of a structured report (PS3.3 C.17.3).

use dicom_core::PrimitiveValue;
use dicom_dictionary_std::tags;

use crate::{codes::Code, item::Item};

/// How an item stands to the one above it.
#[derive(Clone, Copy)]
pub(crate) enum Relation {
    Contains,
    Context,
    Modifier,
    InferredFrom,
}

impl Relation {
    const fn name(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::Context => "HAS OBS CONTEXT",
            Self::Modifier => "HAS CONCEPT MOD",
            Self::InferredFrom => "INFERRED FROM",
        }
    }
}

/// A content item without its relation.
pub(crate) struct Content {
    item: Item,
    children: Vec<Item>,
}

impl Content {
    fn new(kind: &str, name: Code) -> Self {
        let mut item = Item::new();
        item.text(tags::VALUE_TYPE, kind)
            .code(tags::CONCEPT_NAME_CODE_SEQUENCE, name);
        Self {
            item,
            children: Vec::new(),
        }
    }

    /// A container, with the number of the template of DCMR that it follows.
    pub(crate) fn container(name: Code, template: Option<&str>) -> Self {
        let mut content = Self::new("CONTAINER", name);
        content.item.text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
        if let Some(template) = template {
            let mut item = Item::new();
            item.text(tags::MAPPING_RESOURCE, "DCMR")
                .text(tags::TEMPLATE_IDENTIFIER, template);
            content
                .item
                .sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![item]);
        }
        content
    }

    pub(crate) fn code(name: Code, value: Code) -> Self {
        let mut content = Self::new("CODE", name);
        content.item.code(tags::CONCEPT_CODE_SEQUENCE, value);
        content
    }

    pub(crate) fn text(name: Code, text: &str) -> Self {
        let mut content = Self::new("TEXT", name);
        content.item.free(tags::TEXT_VALUE, text);
        content
    }

    pub(crate) fn uid(name: Code, uid: &str) -> Self {
        let mut content = Self::new("UIDREF", name);
        content.item.text(tags::UID, uid);
        content
    }

    /// A number with its unit: rounded in the decimal string, to the last bit beside it.
    pub(crate) fn number(name: Code, value: f64, unit: Code) -> Self {
        let mut measured = Item::new();
        measured
            .decimals(tags::NUMERIC_VALUE, &[value])
            .value(tags::FLOATING_POINT_VALUE, PrimitiveValue::from(value))
            .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
        let mut content = Self::new("NUM", name);
        content
            .item
            .sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
        content
    }

    /// `reference` names the instance, and the segment if only one is meant.
    pub(crate) fn image(name: Code, reference: Item) -> Self {
        let mut content = Self::new("IMAGE", name);
        content
            .item
            .sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
        content
    }

    pub(crate) fn with(mut self, relation: Relation, child: Content) -> Self {
        let mut item = child.finish();
        item.text(tags::RELATIONSHIP_TYPE, relation.name());
        self.children.push(item);
        self
    }

    pub(crate) fn finish(mut self) -> Item {
        if !self.children.is_empty() {
            self.item.sequence(tags::CONTENT_SEQUENCE, self.children);
        }
        self.item
    }
}
