//! `spanlake demo`: a web shop whose every figure is known before it is sent.
//!
//! [`shop`] makes the requests and the truth about them, [`sender`] sends them to a URL and knows nothing else, and
//! [`report`] asks the lake and compares. Nothing here reaches into the process under demonstration.

mod export;
mod figures;
mod flows;
mod layout;
mod logs;
mod metrics;
mod report;
mod rng;
mod secrets;
mod sender;
mod shop;
mod spans;
mod truth;
mod values;

pub(crate) use report::{Lake, LedgerLine, State, TableSize, print};
pub(crate) use sender::{Sent, Target, send};
pub(crate) use shop::{SEED, Shop, Size, build};
