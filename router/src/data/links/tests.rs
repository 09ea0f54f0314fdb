//! The tables of links.
