//! Numbers of the kernel as types: enumerations and words of flags.

/// An enumeration of the kernel with the number of each variant. A number that is not here is not understood.
macro_rules! numbered {
    ($(#[$about:meta])* $name:ident { $($(#[$variant_about:meta])* $variant:ident = $number:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_about])* $variant,)+
        }

        impl $name {
            /// The variant with this number of the kernel; `None` if it is not understood.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The kernel's number.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }
        }
    };
}

/// A word of flags of the kernel, with all of its bits, also those without a name.
macro_rules! flags {
    ($(#[$about:meta])* $name:ident { $($(#[$flag_about:meta])* $flag:ident = $bit:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            $($(#[$flag_about])* pub const $flag: Self = Self($bit);)+

            /// Whether all flags of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The bits that have no name here.
            #[must_use]
            pub const fn unknown(self) -> u32 {
                self.0 $(& !$bit)+
            }
        }
    };
}

pub(super) use {flags, numbered};
