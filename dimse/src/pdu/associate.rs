//! Association requests and answers, read.
//!
//! They are read here and not by `dicom_ul::pdu::read_pdu`, which refuses items that it does not know (PS3.8 section 9.3.1 says: skip them),
//! refused contexts without a transfer syntax (their content is not to be tested), and reads some user items past their own length.

use std::collections::HashSet;

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, UserVariableItem,
};

use super::Malformed;
use crate::uid::{is_uid, plain};

/// Version, reserved bytes, two titles, reserved bytes.
const FIXED: usize = 68;
/// The least length of P-DATA that a peer may ask for: a command would need a PDU for every few bytes.
const MIN_DATA: u32 = 64;

const APPLICATION_CONTEXT: u8 = 0x10;
const PROPOSED: u8 = 0x20;
const RESULT: u8 = 0x21;
const ABSTRACT_SYNTAX: u8 = 0x30;
const TRANSFER_SYNTAX: u8 = 0x40;
const USER_INFORMATION: u8 = 0x50;
const MAX_LENGTH: u8 = 0x51;

/// Reads the content of an A-ASSOCIATE-RQ. Of the user items only the greatest length is kept.
///
/// # Errors
/// A length that is wrong, an item that is missing or comes twice, a text that is no UID.
pub(crate) fn read_request(body: &[u8]) -> Result<AssociationRQ, Malformed> {
    let (fixed, parts) = read_parts(body, PROPOSED)?;
    let presentation_contexts = parts.contexts.into_iter().map(proposed);
    Ok(AssociationRQ {
        protocol_version: fixed.protocol_version,
        calling_ae_title: fixed.calling,
        called_ae_title: fixed.called,
        application_context_name: parts.application,
        presentation_contexts: distinct(presentation_contexts, |context| context.id)?,
        user_variables: vec![UserVariableItem::MaxLength(parts.max_length)],
    })
}

/// Reads the content of an A-ASSOCIATE-AC, as [`read_request`].
pub(crate) fn read_accept(body: &[u8]) -> Result<AssociationAC, Malformed> {
    let (fixed, parts) = read_parts(body, RESULT)?;
    let presentation_contexts = parts.contexts.into_iter().map(result);
    Ok(AssociationAC {
        protocol_version: fixed.protocol_version,
        calling_ae_title: fixed.calling,
        called_ae_title: fixed.called,
        application_context_name: parts.application,
        presentation_contexts: distinct(presentation_contexts, |context| context.id)?,
        user_variables: vec![UserVariableItem::MaxLength(parts.max_length)],
    })
}

/// What a peer asks P-DATA to be at most; 0 is any length.
pub(crate) fn max_length(user: &[UserVariableItem]) -> u32 {
    user.iter()
        .find_map(|item| match item {
            UserVariableItem::MaxLength(length) => Some(*length),
            _ => None,
        })
        .unwrap_or(0)
}

struct Fixed {
    protocol_version: u16,
    called: String,
    calling: String,
}

struct Parts<'a> {
    application: String,
    contexts: Vec<&'a [u8]>,
    max_length: u32,
}

fn read_parts(body: &[u8], context: u8) -> Result<(Fixed, Parts<'_>), Malformed> {
    let (fixed, variable) = body
        .split_at_checked(FIXED)
        .ok_or("an association PDU is shorter than its fixed fields")?;
    let fixed = Fixed {
        protocol_version: u16::from_be_bytes([fixed[0], fixed[1]]),
        called: plain(&fixed[4..20]),
        calling: plain(&fixed[20..36]),
    };
    let (mut application, mut user, mut contexts) = (None, None, Vec::new());
    for item in items(variable) {
        let (kind, content) = item?;
        match kind {
            APPLICATION_CONTEXT => once(&mut application, content)?,
            USER_INFORMATION => once(&mut user, content)?,
            _ if kind == context => contexts.push(content),
            _ => {}
        }
    }
    if contexts.is_empty() {
        return Err("an association PDU has no presentation context");
    }
    let parts = Parts {
        application: uid(application.ok_or("an association PDU has no application context")?)?,
        contexts,
        max_length: user.map_or(Ok(0), user_length)?,
    };
    Ok((fixed, parts))
}

fn user_length(user: &[u8]) -> Result<u32, Malformed> {
    let mut length = None;
    for item in items(user) {
        if let (MAX_LENGTH, content) = item? {
            let content: [u8; 4] = content
                .try_into()
                .map_err(|_| "the greatest length is not a number of four bytes")?;
            once(&mut length, u32::from_be_bytes(content))?;
        }
    }
    match length.unwrap_or(0) {
        1..MIN_DATA => Err("the greatest length leaves no room for messages"),
        length => Ok(length),
    }
}

fn proposed(content: &[u8]) -> Result<PresentationContextProposed, Malformed> {
    let [id, _, _, _, rest @ ..] = content else {
        return Err("a presentation context has no head");
    };
    let (mut abstract_syntax, mut transfer_syntaxes) = (None, Vec::new());
    for item in items(rest) {
        match item? {
            (ABSTRACT_SYNTAX, content) => once(&mut abstract_syntax, uid(content)?)?,
            (TRANSFER_SYNTAX, content) => transfer_syntaxes.push(uid(content)?),
            _ => {}
        }
    }
    if transfer_syntaxes.is_empty() {
        return Err("a presentation context has no transfer syntax");
    }
    Ok(PresentationContextProposed {
        id: *id,
        abstract_syntax: abstract_syntax.ok_or("a presentation context has no abstract syntax")?,
        transfer_syntaxes,
    })
}

fn result(content: &[u8]) -> Result<PresentationContextResult, Malformed> {
    let [id, _, reason, _, rest @ ..] = content else {
        return Err("a presentation context has no head");
    };
    let reason = match reason {
        0 => PresentationContextResultReason::Acceptance,
        1 => PresentationContextResultReason::UserRejection,
        3 => PresentationContextResultReason::AbstractSyntaxNotSupported,
        4 => PresentationContextResultReason::TransferSyntaxesNotSupported,
        _ => PresentationContextResultReason::NoReason,
    };
    let mut transfer_syntax = None;
    if reason == PresentationContextResultReason::Acceptance {
        for item in items(rest) {
            if let (TRANSFER_SYNTAX, content) = item? {
                once(&mut transfer_syntax, uid(content)?)?;
            }
        }
        if transfer_syntax.is_none() {
            return Err("an accepted presentation context has no transfer syntax");
        }
    }
    Ok(PresentationContextResult {
        id: *id,
        reason,
        transfer_syntax: transfer_syntax.unwrap_or_default(),
    })
}

/// Items of type, reserved byte, length and content; after one that is longer than what is left there are no more.
fn items(mut rest: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Malformed>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let item = rest.split_first_chunk().and_then(|(head, behind)| {
            let [kind, _, length @ ..]: [u8; 4] = *head;
            let (content, behind) = behind.split_at_checked(u16::from_be_bytes(length).into())?;
            Some((kind, content, behind))
        });
        let Some((kind, content, behind)) = item else {
            rest = &[];
            return Some(Err("an item is longer than what it lies in"));
        };
        rest = behind;
        Some(Ok((kind, content)))
    })
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("an item comes twice"),
    }
}

fn uid(content: &[u8]) -> Result<String, Malformed> {
    let text = plain(content);
    if is_uid(&text) {
        Ok(text)
    } else {
        Err("the name of a context or syntax is no UID")
    }
}

/// All contexts, where each has an odd number of its own.
fn distinct<T>(
    contexts: impl Iterator<Item = Result<T, Malformed>>,
    id: impl Fn(&T) -> u8,
) -> Result<Vec<T>, Malformed> {
    let mut seen = HashSet::new();
    contexts
        .map(|context| {
            let context = context?;
            match id(&context) {
                even if even % 2 == 0 => Err("a presentation context has an even number"),
                odd if !seen.insert(odd) => Err("two presentation contexts have one number"),
                _ => Ok(context),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_ul::pdu::{Pdu, write_pdu};
    use proptest::prelude::*;

    /// The content of a PDU as `dicom-ul` writes it.
    fn written(pdu: &Pdu) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).unwrap();
        bytes.split_off(6)
    }

    fn uid() -> impl Strategy<Value = String> {
        "[1-9][0-9]{0,5}(\\.[1-9][0-9]{0,5}){0,7}"
    }

    fn title() -> impl Strategy<Value = String> {
        "[A-Z][A-Z0-9_]{0,15}"
    }

    /// Distinct odd numbers.
    fn ids() -> impl Strategy<Value = Vec<u8>> {
        proptest::sample::subsequence((0..128_u8).map(|k| k * 2 + 1).collect::<Vec<_>>(), 1..128)
    }

    proptest! {
        #[test]
        fn requests_that_dicom_ul_writes_are_read_as_they_were(
            calling in title(), called in title(), ids in ids(), class in uid(),
            syntaxes in proptest::collection::vec(uid(), 1..5), max in prop_oneof![Just(0), 64..=u32::MAX],
        ) {
            let contexts = ids.into_iter().map(|id| PresentationContextProposed {
                id,
                abstract_syntax: class.clone(),
                transfer_syntaxes: syntaxes.clone(),
            });
            let request = AssociationRQ {
                protocol_version: 1,
                calling_ae_title: calling,
                called_ae_title: called,
                application_context_name: "1.2.840.10008.3.1.1.1".into(),
                presentation_contexts: contexts.collect(),
                user_variables: vec![UserVariableItem::MaxLength(max)],
            };
            let bytes = written(&Pdu::AssociationRQ(request.clone()));
            prop_assert_eq!(read_request(&bytes), Ok(request));
        }

        #[test]
        fn answers_that_dicom_ul_writes_are_read_as_they_were(ids in ids(), syntax in uid()) {
            let contexts = ids.into_iter().map(|id| PresentationContextResult {
                id,
                reason: PresentationContextResultReason::Acceptance,
                transfer_syntax: syntax.clone(),
            });
            let answer = AssociationAC {
                protocol_version: 1,
                calling_ae_title: "A".into(),
                called_ae_title: "B".into(),
                application_context_name: "1.2.840.10008.3.1.1.1".into(),
                presentation_contexts: contexts.collect(),
                user_variables: vec![UserVariableItem::MaxLength(16_384)],
            };
            let bytes = written(&Pdu::AssociationAC(answer.clone()));
            prop_assert_eq!(read_accept(&bytes), Ok(answer));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut fixed = vec![0; FIXED];
            fixed.extend(&bytes);
            let _ = (read_request(&bytes), read_accept(&bytes));
            let _ = (read_request(&fixed), read_accept(&fixed));
        }
    }
}
