//! pullproof: will the images of this Pod pull, and if not, why and what now?

pub mod credential;
pub mod image;
pub mod manifest;
pub mod text;
