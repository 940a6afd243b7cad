//! Discovery by ENUM (RFC 6116).
