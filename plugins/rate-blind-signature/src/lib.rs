//! Rate control by blind RSA signatures (RFC 9474).
