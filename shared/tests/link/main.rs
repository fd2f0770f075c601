//! The link's protocol: frames, messages, transfers.

mod frames;
mod messages;
mod noise;
mod transfers;
