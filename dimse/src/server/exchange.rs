//! The messages of one association (PS3.7).

use std::time::Instant;

use dicom_ul::pdu::Pdu;

use super::desk::{Desk, End, Event, Offer, Refusal, Sink, Who};
use super::negotiate::Context;
use super::settings::Settings;
use crate::command::{C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, Command, MAX_COMMAND, RESPONSE, SUCCESS};
use crate::part10::Meta;
use crate::pdu::{self, Fault, Value, WriteFault};
use crate::syntax::VERIFICATION;
use crate::transport::Line;

/// Statuses that any request may be answered with (PS3.7 annex C).
const INVALID_INSTANCE: u16 = 0x0117;
const CLASS_NOT_SUPPORTED: u16 = 0x0122;
const UNRECOGNIZED_OPERATION: u16 = 0x0211;

/// A request that is answered with an error, and why.
struct Decline {
    status: u16,
    comment: String,
}

impl Decline {
    fn new(status: u16, comment: &str) -> Self {
        Self {
            status,
            comment: comment.to_owned(),
        }
    }
}

impl From<Refusal> for Decline {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.comment())
    }
}

/// What becomes of a data set, and what is answered after it.
type Fate = Result<Box<dyn Sink>, Decline>;

/// Where in a message the peer is.
enum Place {
    Between,
    Command {
        context: u8,
        bytes: Vec<u8>,
    },
    Data {
        context: u8,
        request: Command,
        fate: Fate,
        received: u64,
    },
}

/// An association that is open.
pub(super) struct Exchange<'a> {
    settings: &'a Settings,
    desk: &'a dyn Desk,
    who: Who,
    called: String,
    contexts: Vec<Context>,
    /// The greatest P-DATA that the peer takes; 0 is any.
    peer_max: u32,
    place: Place,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        desk: &'a dyn Desk,
        who: Who,
        called: String,
        contexts: Vec<Context>,
        peer_max: u32,
    ) -> Self {
        Self {
            settings,
            desk,
            who,
            called,
            contexts,
            peer_max,
            place: Place::Between,
        }
    }

    /// Until the association is over, which it is at `until` at the latest.
    pub(super) fn run(&mut self, line: &mut Line, until: Instant) -> End {
        let mut body = Vec::new();
        loop {
            match self.turn(line, until, &mut body) {
                Ok(()) => {}
                Err(End::Silent) if Instant::now() >= until => return End::Overlong,
                Err(end) => return end,
            }
        }
    }

    /// One PDU, and what it asks for.
    fn turn(&mut self, line: &mut Line, until: Instant, body: &mut Vec<u8>) -> Result<(), End> {
        line.set_deadline(until.min(Instant::now() + self.settings.silence));
        match pdu::read(line, self.settings.max_pdu, body)? {
            pdu::P_DATA => {
                for value in pdu::values(body) {
                    self.value(line, until, value.map_err(End::Broken)?)?;
                }
                Ok(())
            }
            pdu::RELEASE_RQ => {
                pdu::write(line, &Pdu::ReleaseRP).map_err(Fault::from)?;
                Err(End::Released)
            }
            pdu::ABORT => Err(End::Aborted),
            _ => Err(End::Broken(pdu::UNEXPECTED)),
        }
    }

    fn value(&mut self, line: &mut Line, until: Instant, value: Value<'_>) -> Result<(), End> {
        let wanted = match &self.place {
            Place::Between => {
                self.context(value.context)?;
                self.place = Place::Command {
                    context: value.context,
                    bytes: Vec::new(),
                };
                (value.context, true)
            }
            Place::Command { context, .. } => (*context, true),
            Place::Data { context, .. } => (*context, false),
        };
        if (value.context, value.command) != wanted {
            return Err(End::Broken("a piece of another message within one"));
        }
        match &mut self.place {
            Place::Between => {}
            Place::Command { bytes, .. } => {
                if bytes.len() + value.bytes.len() > MAX_COMMAND {
                    return Err(End::Broken("a command is longer than any command"));
                }
                bytes.extend(value.bytes);
            }
            Place::Data { fate, received, .. } => {
                *received += value.bytes.len() as u64;
                take(fate, value.bytes, *received, self.settings.max_object_bytes)?;
            }
        }
        if !value.last {
            return Ok(());
        }
        match std::mem::replace(&mut self.place, Place::Between) {
            Place::Between => Ok(()),
            Place::Command { context, bytes } => {
                let request = Command::read(&bytes).map_err(End::Broken)?;
                self.request(line, until, context, request)
            }
            Place::Data {
                context,
                request,
                fate,
                received,
            } => {
                let kept = fate.and_then(|sink| sink.finish().map_err(Decline::from));
                let done = Event::Stored(self.who.clone(), received);
                self.respond(line, until, context, &request, kept.map(|()| done))
            }
        }
    }

    /// The accepted context of this number.
    fn context(&self, id: u8) -> Result<&Context, End> {
        self.contexts
            .iter()
            .find(|context| context.id == id)
            .ok_or(End::Broken("a message in a context that was not accepted"))
    }

    /// A whole command is there.
    fn request(
        &mut self,
        line: &mut Line,
        until: Instant,
        context: u8,
        request: Command,
    ) -> Result<(), End> {
        if request.field == C_CANCEL_RQ {
            // There is nothing to cancel, and no answer to it.
            return Ok(());
        }
        if request.field & RESPONSE != 0 {
            return Err(End::Broken("a response, where nothing was asked"));
        }
        let fate = match (request.field, request.data) {
            (C_ECHO_RQ, false) => {
                let done = self
                    .echo(context, &request)
                    .map(|()| Event::Echoed(self.who.clone()));
                return self.respond(line, until, context, &request, done);
            }
            (C_ECHO_RQ, true) => return Err(End::Broken("an echo with a data set")),
            (C_STORE_RQ, true) => self.store(context, &request)?,
            (C_STORE_RQ, false) => Err(Decline::new(0xc000, "no data set follows")),
            _ => Err(Decline::new(
                UNRECOGNIZED_OPERATION,
                "only C-ECHO and C-STORE are served",
            )),
        };
        match fate {
            Err(decline) if !request.data => {
                self.respond(line, until, context, &request, Err(decline))
            }
            fate => {
                self.place = Place::Data {
                    context,
                    request,
                    fate,
                    received: 0,
                };
                Ok(())
            }
        }
    }

    fn echo(&self, context: u8, request: &Command) -> Result<(), Decline> {
        let class = self.context(context).map(|context| &context.class).ok();
        if class.map(String::as_str) == Some(VERIFICATION) && request.class.as_ref() == class {
            Ok(())
        } else {
            Err(Decline::new(
                CLASS_NOT_SUPPORTED,
                "an echo is of class Verification",
            ))
        }
    }

    /// Asks the desk for a place for an object.
    fn store(&self, context: u8, request: &Command) -> Result<Fate, End> {
        let context = self.context(context)?;
        if context.class == VERIFICATION || request.class.as_ref() != Some(&context.class) {
            return Ok(Err(Decline::new(
                CLASS_NOT_SUPPORTED,
                "the SOP class is not the context's",
            )));
        }
        let Some(instance) = &request.instance else {
            return Ok(Err(Decline::new(
                INVALID_INSTANCE,
                "the SOP instance is missing or no UID",
            )));
        };
        let Some(peer) = &self.who.name else {
            // Cannot be: storage contexts are accepted of listed peers alone.
            return Err(End::Broken("an object of somebody on no list"));
        };
        let offer = Offer {
            peer: peer.clone(),
            calling_ae_title: self.who.title.clone(),
            called_ae_title: self.called.clone(),
            sop_class_uid: context.class.clone(),
            sop_instance_uid: instance.clone(),
            transfer_syntax: context.transfer_syntax,
        };
        let meta = Meta {
            class: context.class.clone(),
            instance: instance.clone(),
            transfer_syntax: context.transfer_syntax.to_owned(),
        };
        let sink = self.desk.begin(&offer).and_then(|mut sink| {
            meta.to_bytes(&self.who.title)
                .and_then(|head| sink.write(&head))
                .map_err(|error| unkept(&error))?;
            Ok(sink)
        });
        Ok(sink.map_err(Decline::from))
    }

    /// Tells the desk first and the peer then, so that whoever has an answer finds it in the log.
    fn respond(
        &self,
        line: &mut Line,
        until: Instant,
        context: u8,
        request: &Command,
        done: Result<Event, Decline>,
    ) -> Result<(), End> {
        let response = match done {
            Ok(event) => {
                self.desk.event(event);
                request.response(SUCCESS, None)
            }
            Err(Decline { status, comment }) => {
                let response = request.response(status, Some(&comment));
                self.desk
                    .event(Event::Declined(self.who.clone(), status, comment));
                response
            }
        };
        // Storing may have taken its time, which is not the peer's silence.
        let left = until.saturating_duration_since(Instant::now());
        pdu::write_message(
            line,
            left.min(self.settings.silence),
            context,
            true,
            &mut response.to_bytes().as_slice(),
            self.peer_max,
        )
        .map(drop)
        .map_err(|(WriteFault::Content(error) | WriteFault::Line(error))| Fault::from(error).into())
    }
}

fn unkept(error: &std::io::Error) -> Refusal {
    Refusal::OutOfResources(format!("cannot be kept: {}", error.kind()))
}

/// Hands a piece on. What is not wanted is read away, up to twice the size that an object may have: a peer hears its status only after it
/// has sent everything.
fn take(fate: &mut Fate, bytes: &[u8], received: u64, max: u64) -> Result<(), End> {
    if received > max.saturating_mul(2) {
        return Err(End::Broken("a data set without end"));
    }
    let Ok(sink) = fate else {
        return Ok(());
    };
    let kept = if received > max {
        Err(Refusal::OutOfResources(format!(
            "the data set is larger than {max} bytes"
        )))
    } else {
        sink.write(bytes).map_err(|error| unkept(&error))
    };
    if let Err(refusal) = kept {
        *fate = Err(refusal.into());
    }
    Ok(())
}
