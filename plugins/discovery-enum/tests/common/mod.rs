//! A DNS server on loopback that says what a test wants, over UDP and TCP on one port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NAPTR, SOA};
use hickory_proto::rr::{Name, RData, Record};

/// A question that came.
pub(crate) struct Asked {
    pub(crate) query: Message,
    pub(crate) is_tcp: bool,
}

impl Asked {
    /// The name in lower case, with its dot.
    pub(crate) fn name(&self) -> String {
        self.query.queries[0].name.to_ascii().to_lowercase()
    }

    /// A reply without records.
    pub(crate) fn reply(&self, code: ResponseCode) -> Message {
        let mut reply = Message::new(self.query.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.response_code = code;
        reply.metadata.recursion_available = true;
        reply.add_query(self.query.queries[0].clone());
        reply
    }
}

/// What the server sends for one question: datagrams, or messages on the connection.
pub(crate) type Says = Vec<Vec<u8>>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each question with what `says` makes of it. Its threads end with the test.
    pub(crate) fn start(says: impl Fn(&Asked) -> Says + Send + Sync + 'static) -> Self {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback");
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")) {
                break (udp, tcp);
            }
        };
        let server = Self { address: tcp.local_addr().expect("bound"), asked: Arc::default() };
        let says = Arc::new(says);
        let (asked, same) = (Arc::clone(&server.asked), Arc::clone(&says));
        thread::spawn(move || serve_udp(&udp, &asked, &*same));
        let asked = Arc::clone(&server.asked);
        thread::spawn(move || serve_tcp(&tcp, &asked, &*says));
        server
    }

    /// The names that were asked for, `tcp` before those that came over TCP.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test holds it").clone()
    }
}

fn serve_udp(socket: &UdpSocket, asked: &Mutex<Vec<String>>, says: &dyn Fn(&Asked) -> Says) {
    let mut buffer = [0; 4096];
    while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
        let question = Asked { query: Message::from_vec(&buffer[..len]).expect("a query"), is_tcp: false };
        asked.lock().expect("no test holds it").push(question.name());
        for datagram in says(&question) {
            let _ = socket.send_to(&datagram, peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, asked: &Mutex<Vec<String>>, says: &dyn Fn(&Asked) -> Says) {
    for stream in listener.incoming().flatten() {
        let _ = serve_stream(stream, asked, says);
    }
}

fn serve_stream(
    mut stream: TcpStream,
    asked: &Mutex<Vec<String>>,
    says: &dyn Fn(&Asked) -> Says,
) -> std::io::Result<()> {
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut query)?;
    let question = Asked { query: Message::from_vec(&query).expect("a query"), is_tcp: true };
    asked.lock().expect("no test holds it").push(format!("tcp {}", question.name()));
    for message in says(&question) {
        let len = u16::try_from(message.len()).expect("a message");
        stream.write_all(&[&len.to_be_bytes(), &*message].concat())?;
    }
    Ok(())
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// A record of `owner`: order, preference, flags, services, regexp, replacement.
pub(crate) fn naptr(owner: &str, fields: (u16, u16, &str, &str, &str, &str)) -> Record {
    let (order, preference, flags, services, regexp, replacement) = fields;
    let bytes = |text: &str| text.as_bytes().into();
    let data = NAPTR::new(order, preference, bytes(flags), bytes(services), bytes(regexp), name(replacement));
    Record::from_rdata(name(owner), TTL_S, RData::NAPTR(data))
}

/// The most usual record: everybody is at `uri`.
pub(crate) fn at(owner: &str, order: u16, uri: &str) -> Record {
    naptr(owner, (order, 10, "u", "E2U+X-stircps:https", &format!("!^.*$!{uri}!"), "."))
}

/// A record that refers to `target`.
pub(crate) fn refer(owner: &str, order: u16, target: &str) -> Record {
    naptr(owner, (order, 10, "", "", "", target))
}

pub(crate) fn alias(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), TTL_S, RData::CNAME(CNAME(name(target))))
}

/// A zone: the records of whatever is asked for and those of its aliases, or that there are none.
pub(crate) fn zone(records: Vec<Record>) -> impl Fn(&Asked) -> Says + Send + Sync + 'static {
    move |asked| {
        let mut owner = asked.query.queries[0].name.clone();
        let mut found: Vec<Record> = Vec::new();
        while found.len() < 20 {
            let here: Vec<_> = records.iter().filter(|record| record.name == owner).cloned().collect();
            let alias = here.iter().find_map(|record| match &record.data {
                RData::CNAME(CNAME(target)) => Some(target.clone()),
                _ => None,
            });
            found.extend(here);
            match alias {
                Some(target) => owner = target,
                None => break,
            }
        }
        let mut reply = asked.reply(ResponseCode::NoError);
        if found.is_empty() {
            reply.metadata.response_code = ResponseCode::NXDomain;
            let soa = SOA::new(name("ns.example."), name("host.example."), 1, 1, 1, 1, NEGATIVE_S);
            reply.add_authority(Record::from_rdata(name("arpa."), TTL_S, RData::SOA(soa)));
        }
        reply.add_answers(found);
        vec![reply.to_vec().expect("a reply")]
    }
}

/// The TTL of every record.
pub(crate) const TTL_S: u32 = 120;
/// The time for which a zone denies a name.
pub(crate) const NEGATIVE_S: u32 = 30;
