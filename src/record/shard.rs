//! Shards: parts of a run, on several machines at the same time. The name of a scenario alone decides which
//! part it belongs to, so a new scenario moves no other.

use std::{fmt, str::FromStr};

use firedrill_harness::protocol::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One of several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

/// A part of a run, and what is known of the whole in each of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which part.
    #[serde(flatten)]
    pub shard: Shard,
    /// How many scenarios the whole has.
    pub scenarios: usize,
    /// How many cases the whole has.
    pub cases: usize,
    /// SHA-256 of the names of all its cases, in order, a line each.
    pub names: String,
}

impl Shard {
    /// Whether what has this name belongs to this part: the first eight bytes of the name's SHA-256, as a
    /// number with the most significant byte first, modulo the number of shards.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        let digest = Sha256::digest(name);
        let first = digest.iter().take(8);
        let number = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.of) == u64::from(self.number - 1)
    }
}

/// SHA-256 of names, a line each.
#[derive(Default)]
pub struct Names(Sha256);

impl Names {
    /// The next name.
    pub fn add(&mut self, name: &str) {
        self.0.update(name);
        self.0.update("\n");
    }

    /// In hexadecimal.
    #[must_use]
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "it is `K/N`, the K-th of N shards: `2/5`".to_owned();
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let parse = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or_else(wrong)
        };
        let (number, of) = (parse(number)?, parse(of)?);
        match number {
            0 => Err(format!(
                "shards are counted from 1, the last is `{of}/{of}`"
            )),
            number if number > of => Err(format!("there are only {of} shards")),
            number => Ok(Self { number, of }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn shard_of(name: &str, of: u32) -> u32 {
        let mut mine = (1..=of).filter(|number| {
            Shard {
                number: *number,
                of,
            }
            .has(name)
        });
        let first = mine.next().expect("a shard");
        assert_eq!(mine.next(), None, "{name} is in two shards");
        first
    }

    /// Computed with sha256sum(1): `printf %s web | sha256sum`, the first 16 digits modulo N, plus 1.
    #[rstest]
    #[case("web", 4, 2)]
    #[case("outage/app-server", 7, 4)]
    fn a_name_belongs_to_the_shard_that_sha256sum_says(
        #[case] name: &str,
        #[case] of: u32,
        #[case] expected: u32,
    ) {
        assert_eq!(shard_of(name, of), expected);
    }

    proptest! {
        #[test]
        fn every_name_belongs_to_one_shard(name in ".{0,40}", of in 1..50_u32) {
            prop_assert!((1..=of).contains(&shard_of(&name, of)));
        }
    }

    #[test]
    fn shards_are_of_about_the_same_size() {
        let mut sizes = [0_u32; 4];
        for number in 0..4000 {
            sizes[shard_of(&format!("scenario-{number}"), 4) as usize - 1] += 1;
        }
        // Six standard deviations of a fair choice (27.4) around 1,000.
        assert!(
            sizes.iter().all(|size| (836..=1164).contains(size)),
            "{sizes:?}"
        );
    }

    #[rstest]
    #[case("1/1", Ok(()))]
    #[case("3/12", Ok(()))]
    #[case("0/3", Err("shards are counted from 1, the last is `3/3`"))]
    #[case("4/3", Err("there are only 3 shards"))]
    #[case("1/0", Err("there are only 0 shards"))]
    #[case("2", Err("it is `K/N`, the K-th of N shards: `2/5`"))]
    #[case("+1/2", Err("it is `K/N`, the K-th of N shards: `2/5`"))]
    #[case("/", Err("it is `K/N`, the K-th of N shards: `2/5`"))]
    fn a_shard_is_read_as_it_is_written(#[case] text: &str, #[case] expected: Result<(), &str>) {
        let shard = text.parse::<Shard>().map(|shard| shard.to_string());
        let expected = expected.map(|()| text.to_owned());
        assert_eq!(shard, expected.map_err(str::to_owned));
    }
}
