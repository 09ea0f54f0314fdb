//! mmr
