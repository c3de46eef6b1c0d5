//! pullproof: will the images of this Pod pull, and if not, why and what now?
//!
//! One road: text becomes [`manifest`] trees, these become [`image::usage::ImageUse`]s, equal uses
//! become one [`diagnosis::Question`], the [`registry`] answers with facts, [`diagnosis`] reads them
//! into an outcome, the [`policy`] judges it, and the [`report`] tells it. Only [`pipeline`] joins
//! these steps. `image`, `manifest` (but `source`), `credential`, `diagnosis`, `policy` and `report`
//! are plain functions; HTTP is spoken in `registry` alone.

pub mod admission;
pub mod baseline;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod credential;
pub mod diagnosis;
pub mod image;
pub mod logins;
pub mod manifest;
pub mod pipeline;
pub mod policy;
pub mod registry;
pub mod report;
pub mod settings;
pub mod telemetry;
pub mod text;
pub mod waivers;
