//! Whole-system tests: the three programs against each other and against their documents, as their users call them. See `tests/`;
//! `programs.rs` is all three programs in one, for tests that need them as processes.
