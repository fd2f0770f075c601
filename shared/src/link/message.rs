//! What is said on the line. One [`Packet`] a frame.
//!
//! [`Hello`], [`Welcome`] and [`Mismatch`] keep their layout for ever: programs of any age must be able to find out that they
//! do not understand each other. Everything else belongs to [`PROTOCOL`], and [`SCHEMA`] changes when any of it does.

use heapless::String;
use postcard_schema::Schema;
use postcard_schema::key::Key;
use serde::{Deserialize, Serialize};

use super::frame::FrameError;

/// The protocol's version. It rises when messages keep their form and change their meaning.
pub const PROTOCOL: u16 = 1;

/// A number for the form of all messages: another form, another number.
pub const SCHEMA: u64 =
    u64::from_le_bytes(Key::for_path::<Packet<'static>>("nephrobox/link").to_bytes());

/// A short word or name.
pub type Word = String<64>;
/// A sentence or two for a person.
pub type Sentence = String<400>;
/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// A text cut to what fits, at a character's end.
#[must_use]
pub fn cut<const N: usize>(text: &str) -> String<N> {
    let mut cut = String::new();
    for character in text.chars() {
        if cut.push(character).is_err() {
            break;
        }
    }
    cut
}

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put the large ones on, and only one at a time exists"
)]
pub enum Packet<'a> {
    /// Tool to box: the first word, repeated until there is an answer. It ends a session that was there.
    Hello(Hello),
    /// Box to tool: the session has begun.
    Welcome(Welcome),
    /// Box to tool: the two do not speak the same protocol.
    Mismatch(Mismatch),
    /// Sign of life; the other side answers with [`Packet::Pong`] at once. The number means nothing.
    Ping(u32),
    /// The answer to a ping, with its number.
    Pong(u32),
    /// Tool to box.
    Request {
        /// Which request; the answer bears it. A request that is repeated keeps it.
        id: u32,
        /// What is wanted.
        request: Request,
    },
    /// Box to tool.
    Reply {
        /// Which request is answered.
        id: u32,
        /// The answer.
        reply: Reply,
    },
    /// A piece of an object.
    Data {
        /// Which transfer.
        transfer: u32,
        /// Where the piece begins, in bytes from the object's beginning.
        offset: u64,
        /// How often the sender has gone back to an earlier offset, modulo 256.
        round: u8,
        /// The bytes; not empty.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// What the receiver has.
    Ack {
        /// Which transfer.
        transfer: u32,
        /// All bytes before this offset are there.
        next: u64,
        /// The round of the last piece that came.
        round: u8,
        /// That piece began after `next`: pieces between are missing.
        gap: bool,
    },
    /// A transfer cannot go on; either side.
    Abort {
        /// Which transfer.
        transfer: u32,
        /// Why.
        refusal: Refused,
    },
}

/// The tool's first word. This layout never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Hello {
    /// `NBLK`.
    pub magic: [u8; 4],
    /// [`PROTOCOL`] of the tool.
    pub protocol: u16,
    /// [`SCHEMA`] of the tool.
    pub schema: u64,
    /// Chosen anew for every session, so that what an earlier one left on the line is not taken for an answer.
    pub nonce: u32,
    /// Name and version of the tool.
    pub software: Word,
}

/// The first bytes of [`Hello`].
pub const MAGIC: [u8; 4] = *b"NBLK";

/// The box's answer. This layout never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Welcome {
    /// As in the hello.
    pub nonce: u32,
    /// Name and version of the box's program.
    pub software: Word,
    /// The box's name in its configuration.
    pub name: Word,
    /// The fastest speed of the line in bit/s; 0 where lines have none.
    pub max_baud: u32,
}

/// The box's answer to a tool that speaks otherwise. This layout never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Mismatch {
    /// As in the hello.
    pub nonce: u32,
    /// [`PROTOCOL`] of the box.
    pub protocol: u16,
    /// [`SCHEMA`] of the box.
    pub schema: u64,
    /// Name and version of the box's program.
    pub software: Word,
}

/// What the tool may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Request {
    /// To send an object. Answered by [`Reply::Go`], or [`Reply::Have`] if the box has it.
    Put {
        /// What it is.
        object: Object,
        /// Its size.
        bytes: u64,
        /// Its hash.
        blake3: Hash,
    },
    /// That all bytes of a transfer were sent: check and keep the object. Answered by [`Reply::Have`].
    Finish {
        /// The transfer.
        transfer: u32,
    },
    /// To get an object. Answered by [`Reply::Coming`], then by pieces.
    Get {
        /// What.
        item: Item,
        /// Where to begin, in bytes.
        offset: u64,
        /// The hash of the object whose beginning the tool has; the box begins at 0 if it is another one by now.
        blake3: Option<Hash>,
    },
    /// What became of a scan. Answered by [`Reply::Scan`].
    Scan {
        /// The scan's id on the box.
        scan: Word,
    },
    /// That the tool has a scan's results, to stay. Answered by [`Reply::Done`].
    Confirm {
        /// The scan's id on the box.
        scan: Word,
    },
    /// How the box's slots are. Answered by [`Reply::Slots`].
    Slots,
    /// To go back to the model in the other slot. Answered by [`Reply::Done`]; how it goes on, [`Reply::Slots`] tells.
    Rollback {
        /// Hash of the package that is to be left, so that a repeated request does not go back twice.
        from: Hash,
    },
    /// To change the line's speed. After [`Reply::Done`] both sides change; a side that then hears nothing goes back.
    Baud {
        /// In bit/s.
        baud: u32,
    },
    /// To erase a scan and all that was made of it. Answered by [`Reply::Done`], also if it was erased before.
    Erase {
        /// The scan's id on the box.
        scan: Word,
    },
}

/// What can be sent to the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Object {
    /// A scan: a NIfTI file, compressed or not.
    Scan {
        /// Its name, for people.
        name: Word,
        /// Whether slices may be skipped.
        fast: bool,
    },
    /// A model package.
    Package {
        /// Its identity: the hash that its signature is over.
        hash: Hash,
        /// Its model's version.
        version: u64,
        /// The key that signed it.
        key: [u8; 16],
        /// The signed exception to the rule that versions rise, see `shared::package::permit`.
        permit: Option<heapless::Vec<u8, 128>>,
        /// Only say whether it would be taken.
        dry_run: bool,
    },
}

/// What can be fetched from the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Item {
    /// The box's state, JSON.
    Status,
    /// What the panel shows, PNG, 800 x 480.
    Screenshot,
    /// The log's last lines, text.
    Logs {
        /// How many.
        lines: u32,
    },
    /// The whole audit log.
    Audit,
    /// The scans on the box, JSON.
    Scans,
    /// The names and sizes of a scan's results, JSON.
    Results {
        /// The scan's id on the box.
        scan: Word,
    },
    /// One of them.
    Result {
        /// The scan's id on the box.
        scan: Word,
        /// Its name in the list.
        name: String<128>,
    },
    /// The speed of the network on the box, JSON; measured anew.
    Bench {
        /// For how long to measure.
        seconds: u16,
    },
    /// The names and sizes of a scan's results without whose they are, JSON.
    Exports {
        /// The scan's id on the box.
        scan: Word,
    },
    /// One of them.
    Export {
        /// The scan's id on the box.
        scan: Word,
        /// Its name in the list.
        name: String<128>,
    },
}

/// What the box answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put the large ones on, and only one at a time exists"
)]
pub enum Reply {
    /// Send the bytes of the object from `offset` on.
    Go {
        /// The transfer that they go by.
        transfer: u32,
        /// Bytes that the box has.
        offset: u64,
    },
    /// The box has the object, to stay.
    Have {
        /// The scan's id on the box, or the name of the slot.
        id: Word,
    },
    /// The object follows.
    Coming {
        /// The transfer that it comes by.
        transfer: u32,
        /// Where the pieces begin.
        offset: u64,
        /// The size of the whole object.
        bytes: u64,
        /// The hash of the whole object.
        blake3: Hash,
    },
    /// What became of a scan.
    Scan(ScanState),
    /// The slots.
    Slots(SlotsState),
    /// Done, and nothing to say.
    Done,
    /// It is not done.
    Refused(Refused),
}

/// What became of a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum ScanState {
    /// It is not whole.
    Receiving {
        /// Bytes that are there.
        received: u64,
        /// Bytes of the scan.
        bytes: u64,
    },
    /// It waits.
    Waiting {
        /// Scans that come first.
        ahead: u32,
    },
    /// The network looks at it.
    Working {
        /// 1 for the first attempt.
        attempt: u32,
        /// Slices done.
        slice: u32,
        /// Slices in all; 0 if that is not known yet.
        slices: u32,
    },
    /// It has a report.
    Finished,
    /// It is unusable; there is an error report.
    Refused {
        /// Why, and what to do.
        reason: Sentence,
    },
    /// It stopped the worker twice and is kept aside; there is an error report.
    SetAside {
        /// How.
        reason: Sentence,
    },
}

/// The box's two slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SlotsState {
    /// A and B.
    pub slots: [SlotInfo; 2],
    /// Which of them runs, 0 or 1; `None` without a model.
    pub active: Option<u8>,
    /// What came of the last installation or rollback, if there was one.
    pub verdict: Option<VerdictInfo>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SlotInfo {
    /// Its state.
    pub state: SlotState,
    /// What is in it; `None` if nothing whole is.
    pub model: Option<ModelInfo>,
    /// Bytes received, while a package comes in.
    pub received: u64,
    /// Why it is bad, if it is.
    pub reason: Option<Sentence>,
}

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum SlotState {
    /// Nothing whole is in it.
    Empty,
    /// Written and checked, not yet tried.
    Written,
    /// On trial.
    Trial,
    /// Found good.
    Confirmed,
    /// Found bad.
    Bad,
}

/// A model on the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ModelInfo {
    /// Its name.
    pub name: Word,
    /// Its version.
    pub version: u64,
    /// Its package's identity.
    pub hash: Hash,
}

/// What came of an installation or a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct VerdictInfo {
    /// The package that was tried.
    pub hash: Hash,
    /// Whether it runs now.
    pub good: bool,
    /// What happened, and what to do if it is not good.
    pub words: Sentence,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Refused {
    /// A stable code for programs.
    pub code: Code,
    /// What is wrong and what to do, for people.
    pub words: Sentence,
}

impl Refused {
    /// A refusal with its sentence, which is cut if it is too long.
    #[must_use]
    pub fn new(code: Code, words: &str) -> Self {
        Self {
            code,
            words: cut(words),
        }
    }
}

/// Stable codes of what goes wrong. New ones are added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Code {
    /// The request makes no sense here and now.
    BadRequest,
    /// The box does not know the scan, transfer or file.
    Unknown,
    /// There is no room.
    Full,
    /// The object is too large, or empty.
    Size,
    /// What came is not what was announced.
    Hash,
    /// Nobody trusted signed the package, or its signature is wrong.
    Signature,
    /// The package's version is not above the one on the box, and no permit allows it.
    Version,
    /// The package cannot run on this box.
    Incompatible,
    /// The file is no package, or a damaged one.
    Package,
    /// Another client, transfer or installation is at it; try later.
    Busy,
    /// The box has no model, or not the one that is needed.
    NoModel,
    /// The box's disk refuses.
    Disk,
    /// A fault in the program.
    Internal,
}

impl Code {
    /// The code as it is shown: lower case, stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unknown => "unknown",
            Self::Full => "full",
            Self::Size => "size",
            Self::Hash => "hash",
            Self::Signature => "signature",
            Self::Version => "version",
            Self::Incompatible => "incompatible",
            Self::Package => "package",
            Self::Busy => "busy",
            Self::NoModel => "no_model",
            Self::Disk => "disk",
            Self::Internal => "internal",
        }
    }
}

impl<'a> Packet<'a> {
    /// Reads the content of a frame.
    ///
    /// # Errors
    /// [`FrameError::Message`] when it is no packet, or longer than one.
    pub fn read(content: &'a [u8]) -> Result<Self, FrameError> {
        match postcard::take_from_bytes(content) {
            Ok((packet, [])) => Ok(packet),
            _ => Err(FrameError::Message),
        }
    }

    /// Writes the content of a frame and returns its length.
    ///
    /// # Errors
    /// [`FrameError::Long`] when `into` is too small.
    pub fn write(&self, into: &mut [u8]) -> Result<usize, FrameError> {
        postcard::to_slice(self, into)
            .map(|written| written.len())
            .map_err(|_| FrameError::Long)
    }
}
