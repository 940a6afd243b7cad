//! A bare reactor answering a constant 600-byte body over TLS, the peer that benchmarks are compared with. What is
//! posted to a path that begins with `/cps/batch` is read piece by piece and dropped, and answered with one byte: the
//! peer of batches.
//!
//! `constant [REACTORS] [PORT] [CA_PATH]` prints one line with the address and the certificate to trust, then
//! serves until it is killed.
#![allow(clippy::print_stdout, reason = "the address on standard output is this program's interface")]

use std::error::Error;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::task::{Context, Poll};
use std::thread;

use herald_net::{
    Address, Bytes, ClientCertificates, Dialogue, InputEnd, Intake, ListenSpec, Parts, Peer, Refusal,
    Request, Response, Server, ServerConfig, Service, TlsSlot, tls_server_config,
};

const BODY: [u8; 600] = [b'h'; 600];

struct Constant;

/// Drops what it is told and says one byte at the end.
#[derive(Default)]
struct Drain {
    has_ended: bool,
    has_answered: bool,
}

impl Dialogue for Drain {
    fn has_room(&self) -> bool {
        true
    }

    fn take(&mut self, _: Bytes) {}

    fn end(&mut self, _: InputEnd) {
        self.has_ended = true;
    }

    fn poll_answer(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Response<Bytes>>> {
        match (self.has_ended, std::mem::replace(&mut self.has_answered, self.has_ended)) {
            (false, _) => Poll::Pending,
            (true, false) => Poll::Ready(Ok(Some(Bytes::from_static(b"h")))),
            (true, true) => Poll::Ready(Ok(None)),
        }
    }
}

impl Service for Constant {
    type Answer = Ready<Response<Bytes>>;

    fn intake(&self, _: &Peer, head: &Parts) -> Intake {
        if head.uri.path().starts_with("/cps/batch") {
            Intake::Dialogue(Response::new(Box::new(Drain::default())))
        } else {
            Intake::Whole
        }
    }

    fn answer(&self, _: &Peer, _: Request<Bytes>) -> Self::Answer {
        ready(Response::new(Bytes::from_static(&BODY)))
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = refusal.status();
        response
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let reactors = arguments.next().map(|text| text.parse()).transpose()?;
    let port: u16 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let default_path = std::env::temp_dir().join(format!("herald-constant-{}.pem", std::process::id()));
    let ca_path = arguments.next().map_or(default_path, PathBuf::from);

    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let chain = signed.cert.pem();
    std::fs::write(&ca_path, &chain)?;
    let key = signed.signing_key.serialize_pem();
    let tls = tls_server_config(chain.as_bytes(), key.as_bytes(), ClientCertificates::NotAsked)?;

    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listen = vec![ListenSpec::Tls { address, tls: TlsSlot::new(tls) }];
    let server = Server::start(ServerConfig { listen, reactors, ..ServerConfig::default() }, |_| Constant)?;
    let Some(Address::Tcp(address)) = server.addresses().first() else { return Err("no address".into()) };
    println!("listening https://{address} ca={}", ca_path.display());
    loop {
        thread::park();
    }
}
