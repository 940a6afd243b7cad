//! Rate control by a verifiable oblivious pseudorandom function (RFC 9497).
