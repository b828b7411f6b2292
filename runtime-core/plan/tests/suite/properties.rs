//! The obligations.
