//! Files to trees whose nodes know their places, and problems that are shown there.

pub(super) mod files;
pub(super) mod include;
pub(super) mod problem;
pub(super) mod source;
pub(super) mod tree;
pub(super) mod yaml;
