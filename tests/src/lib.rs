//! Whole-system tests: the three programs against each other, as their users call them. See `tests/`.
