//! The plugins as shared objects: each is an example target of this crate, as cargo makes one library a crate.
