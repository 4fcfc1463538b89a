//! Users of the sandbox, whose sockets some probes are sent from.

use std::{fs, io};

use nix::unistd::{Uid, setfsuid};

/// Does something as a user, by name or number. Only files and sockets made meanwhile are that user's
/// (`setfsuid(2)`), which is what `meta skuid` looks at; the capabilities stay.
pub(crate) fn as_user<T>(user: &str, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let uid = number(user)?;
    let own = setfsuid(uid);
    // It says nothing of its success; asked again, it says who one is.
    let now = setfsuid(uid);
    let result = if now == uid {
        action()
    } else {
        Err(io::Error::other(format!(
            "the sandbox has no user {user} ({uid}): this machine grants it one user only (see \
             subuid(5), or run firedrill as root)"
        )))
    };
    setfsuid(own);
    result
}

/// The number of a user in the sandbox's `/etc/passwd` (passwd(5)).
fn number(user: &str) -> io::Result<Uid> {
    if let Ok(number) = user.parse() {
        return Ok(Uid::from_raw(number));
    }
    let known = fs::read_to_string("/etc/passwd")?;
    let found = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == user).then(|| fields.nth(1)?.parse().ok())?
    });
    found
        .map(Uid::from_raw)
        .ok_or_else(|| io::Error::other(format!("the sandbox has no user called {user}")))
}
