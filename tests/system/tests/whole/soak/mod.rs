//! Many scans, and large ones: what the box holds of memory, files and threads, and that it comes out even in the end.

mod full;
mod line;
mod small;
