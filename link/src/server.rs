//! The box's end of the line.

use crate::message::{Hash, Item, Object, Refused, Reply, Request, Word};

/// What the box says of itself to whoever greets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Name and version of the program.
    pub software: String,
    /// The box's name.
    pub name: String,
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
/// Calls may block: they run in a thread of their own while the line is kept alive.
pub trait Desk: Send + 'static {
    /// Somebody wants to send an object.
    fn put(&mut self, object: &Object, bytes: u64, blake3: &Hash) -> Result<Announced, Refused>;

    /// The next bytes of the object that was announced last; they begin at `offset` and follow those before.
    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refused>;

    /// All bytes have come: check and keep it. Returns its id. Asked again, it answers the same.
    fn finish(&mut self) -> Result<Word, Refused>;

    /// The sender is gone; what has come is kept for later.
    fn pause(&mut self);

    /// The bytes of an object that somebody wants.
    fn get(&mut self, item: &Item) -> Result<Vec<u8>, Refused>;

    /// Answers one of the requests that move no bytes: scan, confirm, slots, rollback.
    fn answer(&mut self, request: &Request) -> Result<Reply, Refused>;
}
