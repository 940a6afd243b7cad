//! Tells a service manager how the daemon is: the protocol of `sd_notify(3)`, a datagram to the socket that the
//! variable NOTIFY_SOCKET names.
//!
//! It does not know what the daemon does. Who was not started by a manager has nobody to tell, and nothing happens; nor is
//! it a failure if the manager does not listen, the daemon serves all the same.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// The manager that started this process, if one did.
pub(crate) struct Manager {
    listener: Option<(UnixDatagram, SocketAddr)>,
}

impl Manager {
    /// The manager behind `socket`, the value of NOTIFY_SOCKET: a path, or a name that begins with `@`.
    ///
    /// # Errors
    /// If that is neither, or no socket can be made.
    pub(crate) fn new(socket: Option<&OsStr>) -> io::Result<Self> {
        let Some(name) = socket else { return Ok(Self { listener: None }) };
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("NOTIFY_SOCKET is neither an absolute path nor begins with @")),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold up the service.
        socket.set_nonblocking(true)?;
        Ok(Self { listener: Some((socket, address)) })
    }

    /// The daemon serves, and `status` says where.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The daemon reads its files again; ready follows.
    pub(crate) fn reloading(&self) {
        // Managers tell by the time whether it was begun after they asked for it.
        let now = clock_gettime(ClockId::Monotonic);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000));
    }

    /// The daemon ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, message: &str) {
        if let Some((socket, address)) = &self.listener {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}
