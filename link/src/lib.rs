//! The link between a box and its tools over real lines: drives `nephrobox_shared::link`'s protocol over serial ports and TCP.
