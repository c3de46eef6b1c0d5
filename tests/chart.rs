//! The Helm chart as `helm` renders it: what it promises about admission, rights and Pods holds for
//! every file of values in its folder `ci`. Run by `make chart`; needs the `helm` of PATH or
//! PULLPROOF_HELM, no cluster and no network.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic where they broke")]

#[path = "chart/admission.rs"]
mod admission;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/pods.rs"]
mod pods;
#[path = "chart/rights.rs"]
mod rights;
#[path = "chart/values.rs"]
mod values;
