//! Seeded random order without a generator's state.
//!
//! A thing's rank is a hash of the seed and its name, and "k at random" means the k of lowest rank. So a choice
//! depends on nothing but the seed and the thing itself: not on threads, not on what else is in the folder, not on
//! the version of a random-number crate.

/// A hash to sort by. `purpose` keeps the choices of different decisions independent of each other.
pub fn rank(purpose: &str, seed: u64, name: &str, numbers: [u32; 2]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    hasher.update(&seed.to_le_bytes());
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(name.as_bytes()); // last, because it alone varies in length
    *hasher.finalize().as_bytes()
}
