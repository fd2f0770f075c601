//! What is answered to an association request: a function of the request and the settings alone.

use std::net::IpAddr;

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason,
    AssociationRJSource, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as Reason, UserVariableItem,
};

use super::desk::{Denial, Opened};
use super::settings::{Peer, Settings};
use crate::syntax::{
    ECHOED, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, STORED, VERIFICATION,
};

/// An accepted presentation context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) id: u8,
    /// Verification, or a storage class.
    pub(super) class: String,
    pub(super) transfer_syntax: &'static str,
}

/// The answer.
#[derive(Debug)]
pub(super) enum Answer {
    Reject(AssociationRJ, Denial),
    Accept {
        answer: AssociationAC,
        contexts: Vec<Context>,
        opened: Opened,
    },
}

/// The peer that calls itself so and is there.
pub(super) fn peer<'a>(settings: &'a Settings, title: &str, address: IpAddr) -> Option<&'a Peer> {
    settings
        .peers
        .iter()
        .find(|peer| peer.ae_title == title && peer.is_at(address))
}

/// Decides on a request from a peer that is on the list or not.
pub(super) fn answer(
    settings: &Settings,
    request: AssociationRQ,
    listed: bool,
    crowded: bool,
) -> Answer {
    if let Some(denial) = denial(settings, &request, listed, crowded) {
        return Answer::Reject(rejection(denial), denial);
    }
    let mut contexts = Vec::new();
    let mut opened = Opened {
        storage: 0,
        not_allowed: 0,
        not_supported: 0,
    };
    let results = request.presentation_contexts.iter().map(|proposed| {
        let (reason, transfer_syntax) = match judge(settings, proposed, listed) {
            Ok(transfer_syntax) => {
                contexts.push(Context {
                    id: proposed.id,
                    class: proposed.abstract_syntax.clone(),
                    transfer_syntax,
                });
                opened.storage += usize::from(proposed.abstract_syntax != VERIFICATION);
                (Reason::Acceptance, transfer_syntax)
            }
            Err(reason) => {
                match reason {
                    Reason::UserRejection => opened.not_allowed += 1,
                    _ => opened.not_supported += 1,
                }
                // Not significant where a context is refused, but there must be one.
                (reason, uids::IMPLICIT_VR_LITTLE_ENDIAN)
            }
        };
        PresentationContextResult {
            id: proposed.id,
            reason,
            transfer_syntax: transfer_syntax.to_owned(),
        }
    });
    let presentation_contexts = results.collect();
    let answer = AssociationAC {
        protocol_version: 1,
        // As they came, for so PS3.8 wants the reserved fields.
        calling_ae_title: request.calling_ae_title,
        called_ae_title: request.called_ae_title,
        application_context_name: uids::DICOM_APPLICATION_CONTEXT.to_owned(),
        presentation_contexts,
        user_variables: vec![
            UserVariableItem::MaxLength(settings.max_pdu),
            UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
            UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
        ],
    };
    Answer::Accept {
        answer,
        contexts,
        opened,
    }
}

/// The first accepted syntax that was proposed, or why there is none.
///
/// Storage for a peer on no list is refused by the user of the service (result 1): that the class is not supported (3) would send its
/// operator looking in the wrong place.
fn judge(
    settings: &Settings,
    proposed: &PresentationContextProposed,
    listed: bool,
) -> Result<&'static str, Reason> {
    let class = &proposed.abstract_syntax;
    let accepted: &[&'static str] = if class == VERIFICATION {
        &ECHOED
    } else if !settings.storage.contains(class) {
        return Err(Reason::AbstractSyntaxNotSupported);
    } else if !listed {
        return Err(Reason::UserRejection);
    } else {
        &STORED
    };
    proposed
        .transfer_syntaxes
        .iter()
        .find_map(|syntax| accepted.iter().copied().find(|known| known == syntax))
        .ok_or(Reason::TransferSyntaxesNotSupported)
}

fn denial(
    settings: &Settings,
    request: &AssociationRQ,
    listed: bool,
    crowded: bool,
) -> Option<Denial> {
    let echo = |context: &PresentationContextProposed| context.abstract_syntax == VERIFICATION;
    if request.protocol_version & 1 == 0
        || request.application_context_name != uids::DICOM_APPLICATION_CONTEXT
    {
        Some(Denial::Protocol)
    } else if crowded {
        Some(Denial::Crowded)
    } else if !settings.any_called_title && request.called_ae_title != settings.ae_title {
        Some(Denial::CalledTitle)
    } else if !listed && !request.presentation_contexts.iter().any(echo) {
        Some(Denial::Unknown)
    } else {
        None
    }
}

fn rejection(denial: Denial) -> AssociationRJ {
    use AssociationRJServiceUserReason::{CalledAETitleNotRecognized, CallingAETitleNotRecognized};
    let user = AssociationRJSource::ServiceUser;
    let (result, source) = match denial {
        Denial::Crowded => (
            AssociationRJResult::Transient,
            AssociationRJSource::ServiceProviderPresentation(
                AssociationRJServiceProviderPresentationReason::LocalLimitExceeded,
            ),
        ),
        Denial::Unknown => (
            AssociationRJResult::Permanent,
            user(CallingAETitleNotRecognized),
        ),
        Denial::CalledTitle => (
            AssociationRJResult::Permanent,
            user(CalledAETitleNotRecognized),
        ),
        Denial::Protocol | Denial::Tls => (
            AssociationRJResult::Permanent,
            AssociationRJSource::ServiceProviderASCE(
                AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported,
            ),
        ),
    };
    AssociationRJ { result, source }
}
