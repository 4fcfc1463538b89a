//! The lines of a listing.

/// Lines, where a text between quotes (a comment, a log prefix) may have newlines of its own.
pub(crate) fn logical_lines(listing: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    listing.split(move |c: char| {
        quoted ^= c == '"';
        c == '\n' && !quoted
    })
}

/// Splits `tcp dport 22 accept # handle 7`.
pub(crate) fn split_handle(line: &str) -> (&str, Option<u64>) {
    match line.rsplit_once("# handle ") {
        Some((text, rest)) => {
            // A table with an owner says more behind its handle.
            let number = rest
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok());
            (text.trim_end(), number)
        }
        None => (line, None),
    }
}
