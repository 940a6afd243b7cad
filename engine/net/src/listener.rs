//! Sockets that connections arrive on: bound once for each reactor (TCP) or shared by all (Unix).
//!
//! Knows nothing of what is spoken on them beyond whether TLS comes first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::{Interest, Registry, Token};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::NetError;
use crate::limits::{BACKLOG, PLACE_LOCK_TRIES_MAX, REACTORS_MAX};
use crate::stream::Stream;
use crate::tls::TlsSlot;

/// What to listen on.
#[derive(Clone, Debug)]
pub enum ListenSpec {
    /// HTTP over TLS on a TCP address; port 0 lets the kernel choose.
    Tls {
        /// The address.
        address: SocketAddr,
        /// The settings, replaceable later through a clone of the slot.
        tls: TlsSlot,
    },
    /// HTTP without TLS on a TCP address, for loopback only: metrics, health, tests.
    Plain {
        /// The address.
        address: SocketAddr,
    },
    /// HTTP without TLS on a Unix socket.
    Unix {
        /// Where the socket stands. A stale socket of a dead process is replaced.
        path: PathBuf,
        /// The permission bits of the socket, which decide who may connect.
        mode: u32,
    },
}

/// Where a listener can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address, with the port the kernel chose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// One reactor's share of a listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: ListeningSocket,
    tls: Option<TlsSlot>,
    address: Address,
    /// Removes the socket file when the last share is gone.
    _file: Option<Arc<SocketFile>>,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

impl Listener {
    /// A TLS listener for one reactor.
    ///
    /// # Errors
    /// [`NetError::Bind`] if the address is taken or not ours.
    pub fn tls(address: SocketAddr, tls: TlsSlot) -> Result<Self, NetError> {
        Ok(one(Listeners::bind(&[ListenSpec::Tls { address, tls }], 1)?))
    }

    /// A listener without TLS for one reactor.
    ///
    /// # Errors
    /// [`NetError::Bind`] if the address is taken or not ours.
    pub fn plain(address: SocketAddr) -> Result<Self, NetError> {
        Ok(one(Listeners::bind(&[ListenSpec::Plain { address }], 1)?))
    }

    /// A Unix socket listener for one reactor; see [`ListenSpec::Unix`].
    ///
    /// # Errors
    /// [`NetError::UnixInUse`], [`NetError::NotASocket`] or [`NetError::BindUnix`].
    pub fn unix(path: &Path, mode: u32) -> Result<Self, NetError> {
        Ok(one(Listeners::bind(&[ListenSpec::Unix { path: path.to_owned(), mode }], 1)?))
    }

    /// Where the listener can be reached.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn tls_slot(&self) -> Option<&TlsSlot> {
        self.tls.as_ref()
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            ListeningSocket::Tcp(socket) => registry.register(socket, token, Interest::READABLE),
            ListeningSocket::Unix(socket) => registry.register(socket, token, Interest::READABLE),
        }
    }

    pub(crate) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.socket {
            ListeningSocket::Tcp(socket) => {
                let (stream, address) = socket.accept()?;
                // Answers are written whole; waiting to fill segments only adds delay. A peer that has gone
                // already shows itself at the first read.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Some(address)))
            }
            ListeningSocket::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

/// The listeners of every reactor: one list each, in the order of the specifications.
#[derive(Debug)]
pub struct Listeners {
    shares: Vec<Vec<Listener>>,
}

impl Listeners {
    /// Binds every specification for `reactor_count` reactors.
    ///
    /// TCP sockets are bound once for each reactor with SO_REUSEPORT, so the kernel spreads connections; with
    /// port 0 the first is given a port and the others join it. A Unix socket is bound once and shared.
    ///
    /// # Errors
    /// [`NetError::ReactorCount`], or the failure of the first specification that cannot be bound.
    pub fn bind(specs: &[ListenSpec], reactor_count: usize) -> Result<Self, NetError> {
        if reactor_count == 0 || reactor_count > REACTORS_MAX {
            return Err(NetError::ReactorCount { count: reactor_count });
        }
        let mut shares: Vec<Vec<Listener>> = (0..reactor_count).map(|_| Vec::new()).collect();
        for spec in specs {
            match spec {
                ListenSpec::Tls { address, tls } => bind_tcp(*address, Some(tls), &mut shares)?,
                ListenSpec::Plain { address } => bind_tcp(*address, None, &mut shares)?,
                ListenSpec::Unix { path, mode } => bind_unix(path, *mode, &mut shares)?,
            }
        }
        Ok(Self { shares })
    }

    /// Where the listeners can be reached, in the order of the specifications.
    pub fn addresses(&self) -> Vec<Address> {
        self.shares.first().into_iter().flatten().map(|listener| listener.address.clone()).collect()
    }

    /// One list of listeners for each reactor.
    pub fn into_shares(self) -> Vec<Vec<Listener>> {
        self.shares
    }
}

fn one(listeners: Listeners) -> Listener {
    let only = listeners.into_shares().into_iter().flatten().next();
    only.expect("one specification for one reactor makes one listener")
}

fn bind_tcp(
    address: SocketAddr,
    tls: Option<&TlsSlot>,
    shares: &mut [Vec<Listener>],
) -> Result<(), NetError> {
    let failed = |source| NetError::Bind { address, source };
    let mut bound = address;
    // SO_REUSEPORT would join another server's port without a word: ask for the address alone first.
    tcp_socket(bound, false).map_err(failed)?;
    for share in shares {
        let socket = tcp_socket(bound, true).map_err(failed)?;
        socket.listen(BACKLOG).map_err(failed)?;
        let socket = mio::net::TcpListener::from_std(socket.into());
        bound = socket.local_addr().map_err(failed)?;
        share.push(Listener {
            socket: ListeningSocket::Tcp(socket),
            tls: tls.cloned(),
            address: Address::Tcp(bound),
            _file: None,
        });
    }
    Ok(())
}

fn tcp_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(path: &Path, mode: u32, shares: &mut [Vec<Listener>]) -> Result<(), NetError> {
    let failed = |source| NetError::BindUnix { path: path.to_owned(), source };
    let _lock = PlaceLock::take(path)?;
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    socket.bind(&SockAddr::unix(path).map_err(failed)?).map_err(failed)?;
    let file = Arc::new(SocketFile::new(path).map_err(failed)?);
    // Before listen nobody can connect, so the permissions are never wider than asked for.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    for share in shares {
        let socket = socket.try_clone().map_err(failed)?;
        share.push(Listener {
            socket: ListeningSocket::Unix(mio::net::UnixListener::from_std(socket.into())),
            tls: None,
            address: Address::Unix(path.to_owned()),
            _file: Some(file.clone()),
        });
    }
    Ok(())
}

/// Held while a socket is put in its place: of two that begin at once, one would take the other's, which is bound and
/// does not listen yet, for stale.
struct PlaceLock {
    path: PathBuf,
    file: File,
}

impl PlaceLock {
    fn take(socket: &Path) -> Result<Self, NetError> {
        let mut name = socket.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let failed = |source| NetError::BindUnix { path: path.clone(), source };
        for _ in 0..PLACE_LOCK_TRIES_MAX {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = file.map_err(failed)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => break,
                Err(error) => return Err(failed(error.into())),
            }
            // Who had it before may have removed the file that was opened here.
            let locked = file.metadata().map(|metadata| (metadata.dev(), metadata.ino())).map_err(failed)?;
            if identity(&path).is_ok_and(|found| found == locked) {
                return Ok(Self { path, file });
            }
        }
        Err(NetError::UnixInUse { path: socket.to_owned() })
    }
}

impl Drop for PlaceLock {
    fn drop(&mut self) {
        // A file that stays behind is unlocked with its process and used again.
        let _ = fs::remove_file(&self.path);
        // Not only closed: a child that was forked meanwhile would keep it locked.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Removes a socket that nobody listens on. Anything else at `path` is left alone and refused.
fn remove_stale(path: &Path) -> Result<(), NetError> {
    let failed = |source| NetError::BindUnix { path: path.to_owned(), source };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(NetError::NotASocket { path: path.to_owned() });
    }
    match probe(path) {
        // No room among those that wait for its owner, who hangs.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(NetError::UnixInUse { path: path.to_owned() })
        }
        Ok(()) => Err(NetError::UnixInUse { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Connects, if somebody listens, and waits for nobody.
fn probe(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// The file of a bound Unix socket, removed on drop unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // A file that stays behind is stale and will be replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
