//! Gathers the events of several sources, in batches.
pub mod pump;
pub mod source;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Line(String),
    Close,
}
