//! Both ends of the protocol against each other, over lines of every kind.

mod again;
mod ends;
mod greeting;
mod support;
mod tls;
