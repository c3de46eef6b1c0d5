//! From what was seen to what it means.

#![allow(clippy::unwrap_used)]

mod command;
mod kubelet;
