//! What is left out of the JSON.

/// Whether a field has its default value.
pub(crate) fn is_usual<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}
