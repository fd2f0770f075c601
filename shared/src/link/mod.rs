//! The protocol between the box and its tools, without any I/O.
//!
//! A line carries bytes both ways and may lose, flip or invent some. On it go frames ([`frame`]: COBS, CRC-32), in each frame
//! one message ([`message`]: postcard), and large objects as transfers of many messages ([`transfer`]: windowed, acknowledged,
//! resumable). Box and tools drive these with bytes and a clock of their own, so everything here runs in tests without a line,
//! and on a device without a heap. `docs/formats/link.md` is the written protocol.
//!
//! The tool asks and the box answers. Every request may be repeated: asked twice, it is done once.

pub mod frame;
pub mod message;
pub mod transfer;
