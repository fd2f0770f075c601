//! What the box's end of a line asks of the box.

use nephrobox_shared::link::message::{Hash, Item, Object, Refused, Reply, Request, Word};

/// What the box says of itself to whoever greets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Name and version of the program.
    pub software: String,
    /// The box's name.
    pub name: String,
}

/// The speeds of a line in bit/s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speeds {
    /// At which every session begins; 0 for lines that have no speed.
    pub first: u32,
    /// The fastest.
    pub fastest: u32,
}

/// The answer to an announced object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Its bytes are wanted from here on.
    From(u64),
    /// The box has it already, under this id.
    Have(Word),
}

/// Who answers on the box's side. One for every line; a line has one transfer in each direction at a time.
///
/// All calls but [`Desk::take`] and [`Desk::pause`] may take their time: they run in a thread of their own while the line is kept
/// alive. Those two should return within a second or two.
pub trait Desk: Send + 'static {
    /// Somebody wants to send an object. Ends a transfer that was there.
    ///
    /// # Errors
    /// Why it is not taken.
    fn put(&mut self, object: &Object, bytes: u64, blake3: &Hash) -> Result<Announced, Refused>;

    /// The next bytes of the object that was announced last; they begin at `offset` and follow those before.
    ///
    /// # Errors
    /// Why they cannot be kept; the transfer is over then.
    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refused>;

    /// All bytes have come: check and keep the object. Returns its id on the box.
    ///
    /// # Errors
    /// Why it is not kept.
    fn finish(&mut self) -> Result<Word, Refused>;

    /// The sender is gone; what has come is kept for later.
    fn pause(&mut self);

    /// The bytes of an object that somebody wants.
    ///
    /// # Errors
    /// Why they are not to be had.
    fn get(&mut self, item: &Item) -> Result<Vec<u8>, Refused>;

    /// Answers one of the requests that move no bytes: [`Request::Scan`], [`Request::Confirm`], [`Request::Slots`],
    /// [`Request::Rollback`], [`Request::Erase`].
    ///
    /// # Errors
    /// Why it is not done.
    fn answer(&mut self, request: &Request) -> Result<Reply, Refused>;
}
