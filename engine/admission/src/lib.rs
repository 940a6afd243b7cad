//! Admission: which stores a service takes from whom it does not know (RFC 8816 §7.5).
