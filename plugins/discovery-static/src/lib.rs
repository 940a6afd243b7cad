//! Discovery from a compiled table of numbers, prefixes and codes.
