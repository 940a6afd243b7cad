//! Bounds of the checks themselves, with unit and reason.

/// Requests of one input of `path_query`: a store and a few looks at it. More would make inputs long, not richer.
pub const REQUESTS_MAX: usize = 4;
/// Numbers of a block that are listed one by one to be compared.
pub const BLOCK_WALK_NUMBERS: usize = 300;
/// Turns of a reactor within which it must come to rest; an input is a few KiB, cut into a thousand pieces at most.
/// Beyond it the reactor counts as hanging.
pub const TURNS_MAX: usize = 20_000;
/// Times the clock is moved past every deadline before a connection that is still open counts as stuck.
pub const DEADLINE_ROUNDS_MAX: usize = 8;
/// Bytes of a frame's payload as `request` writes it: one length byte.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 255;
