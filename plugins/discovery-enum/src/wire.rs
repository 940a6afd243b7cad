//! DNS messages: the one question that is asked, and what a reply to it says. hickory-proto reads names and numbers; the
//! records are walked here, so that one which cannot be read spoils only itself. rfc6116:5.2-1, rfc6116:5.2-2.

use hickory_proto::op::{Edns, Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::limits::{ALIASES_MAX, RECORDS_MAX, UDP_REPLY_BYTES};
use crate::naptr::Rule;

/// A question for the NAPTR records of a name.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Unpredictable.
    pub id: u16,
    /// In the case in which it is asked.
    pub name: Name,
    /// Whether the reply has to repeat that case.
    pub is_case_kept: bool,
    /// Whether EDNS0 is spoken (RFC 6891). Servers that know nothing of it are asked again without.
    pub has_edns: bool,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Records, for so many seconds.
    Rules(Vec<Rule>, u32),
    /// There are none, for so many seconds.
    Nothing(u32),
    /// The name is an alias of another one, of which the reply says nothing, for so many seconds.
    Alias(Name, u32),
    /// It did not fit: ask over TCP.
    Truncated,
    /// The server does not know EDNS0, or could not read the question.
    FormatError,
    /// The server could not or would not say.
    Failed,
}

/// A reply to what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub content: Content,
    /// Whether the resolver says that it has verified it (the AD bit, RFC 4035 §3.2.3).
    pub is_authentic: bool,
}

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// They answer something else, or come from somebody who guesses.
    Foreign,
    /// They answer what was asked and cannot be read.
    Malformed,
}

impl Asked {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        // RFC 6840 §5.7: says that the AD bit of the reply is of use.
        message.metadata.authentic_data = true;
        message.add_query(Query::query(self.name.clone(), RecordType::NAPTR));
        if self.has_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_REPLY_BYTES);
            message.set_edns(edns);
        }
        message.to_vec().expect("one question of a valid name fits")
    }

    /// What `bytes` reply.
    ///
    /// # Errors
    /// [`NoReply`].
    pub fn decode(&self, bytes: &[u8]) -> Result<Reply, NoReply> {
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder).map_err(|_| NoReply::Foreign)?;
        let head = &header.metadata;
        if head.id != self.id || head.message_type != MessageType::Response || head.op_code != OpCode::Query {
            return Err(NoReply::Foreign);
        }
        let is_format_error = matches!(head.response_code, ResponseCode::FormErr | ResponseCode::NotImp);
        match header.counts.queries {
            0 if is_format_error => {}
            1 => self.check_question(&mut decoder)?,
            _ => return Err(NoReply::Foreign),
        }
        let content = match head.response_code {
            _ if is_format_error => Content::FormatError,
            _ if head.truncation => Content::Truncated,
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let records = Records::read(&mut decoder, &header).ok_or(NoReply::Malformed)?;
                records.content(&self.name, head.response_code).ok_or(NoReply::Malformed)?
            }
            _ => Content::Failed,
        };
        Ok(Reply { content, is_authentic: head.authentic_data })
    }

    fn check_question(&self, decoder: &mut BinDecoder<'_>) -> Result<(), NoReply> {
        let query = Query::read(decoder).map_err(|_| NoReply::Foreign)?;
        let is_name = match self.is_case_kept {
            true => query.name.eq_case(&self.name),
            false => query.name == self.name,
        };
        let is_ours = is_name && query.query_type == RecordType::NAPTR && query.query_class == DNSClass::IN;
        is_ours.then_some(()).ok_or(NoReply::Foreign)
    }
}

/// What of a reply's records is of interest.
#[derive(Default)]
struct Records {
    rules: Vec<(Name, Rule, u32)>,
    aliases: Vec<(Name, Name, u32)>,
    /// For how many seconds the zone says that there is nothing (RFC 2308 §5).
    denied_s: Option<u32>,
    is_referral: bool,
}

impl Records {
    /// Answers and authorities; `None` if they cannot be read or are too many.
    fn read(decoder: &mut BinDecoder<'_>, header: &Header) -> Option<Self> {
        let (answers, authorities) =
            (usize::from(header.counts.answers), usize::from(header.counts.authorities));
        if answers + authorities > RECORDS_MAX {
            return None;
        }
        let mut records = Self::default();
        for index in 0..answers + authorities {
            records.read_one(decoder, index < answers)?;
        }
        Some(records)
    }

    fn read_one(&mut self, decoder: &mut BinDecoder<'_>, is_answer: bool) -> Option<()> {
        let owner = Name::read(decoder).ok()?;
        let kind = RecordType::from(decoder.read_u16().ok()?.unverified());
        let class = decoder.read_u16().ok()?.unverified();
        // RFC 2181 §8: a TTL with the highest bit set is 0.
        let ttl_s = u32::try_from(decoder.read_i32().ok()?.unverified()).unwrap_or(0);
        let len = usize::from(decoder.read_u16().ok()?.unverified());
        // Names inside may point to whatever stands before, so they are read from the whole message.
        let mut inside = decoder.clone(u16::try_from(decoder.index()).ok()?);
        decoder.read_slice(len).ok()?;
        if class != u16::from(DNSClass::IN) {
            return Some(());
        }
        let end = decoder.index();
        match (kind, is_answer) {
            (RecordType::NAPTR, true) => {
                let rule = read_rule(&mut inside).filter(|_| inside.index() == end);
                self.rules.extend(rule.map(|rule| (owner, rule, ttl_s)));
            }
            (RecordType::CNAME, true) => {
                let target = Name::read(&mut inside).ok().filter(|_| inside.index() == end)?;
                self.aliases.push((owner, target, ttl_s));
            }
            (RecordType::SOA, false) => {
                self.denied_s = Some(ttl_s.min(read_soa_minimum(&mut inside)?));
            }
            (RecordType::NS, false) => self.is_referral = true,
            _ => {}
        }
        Some(())
    }

    /// Follows the aliases from `asked`; `None` for a chain that is too long.
    fn content(self, asked: &Name, code: ResponseCode) -> Option<Content> {
        let (mut name, mut fresh_s) = (asked.clone(), u32::MAX);
        let mut followed = 0;
        while let Some((_, target, ttl_s)) = self.aliases.iter().find(|(owner, ..)| *owner == name) {
            followed += 1;
            if followed > ALIASES_MAX {
                return None;
            }
            fresh_s = fresh_s.min(*ttl_s);
            name = target.clone();
        }
        let mut rules = Vec::new();
        for (_, rule, ttl_s) in self.rules.into_iter().filter(|(owner, ..)| *owner == name) {
            fresh_s = fresh_s.min(ttl_s);
            rules.push(rule);
        }
        let is_denied = code == ResponseCode::NXDomain || self.denied_s.is_some();
        Some(match is_denied {
            _ if !rules.is_empty() => Content::Rules(rules, fresh_s),
            // Without an SOA it must not be remembered.
            true => Content::Nothing(self.denied_s.unwrap_or(0).min(fresh_s)),
            false if followed > 0 => Content::Alias(name, fresh_s),
            // A server that does not resolve for us refers us to others.
            false if self.is_referral => Content::Failed,
            false => Content::Nothing(0),
        })
    }
}

fn read_rule(decoder: &mut BinDecoder<'_>) -> Option<Rule> {
    let order = decoder.read_u16().ok()?.unverified();
    let preference = decoder.read_u16().ok()?.unverified();
    let mut text = || decoder.read_character_data().ok().map(|text| text.unverified().to_vec());
    let (flags, services, regexp) = (text()?, text()?, text()?);
    let replacement = Name::read(decoder).ok()?;
    Some(Rule { order, preference, flags, services, regexp, replacement })
}

fn read_soa_minimum(decoder: &mut BinDecoder<'_>) -> Option<u32> {
    Name::read(decoder).ok()?;
    Name::read(decoder).ok()?;
    for _ in 0..4 {
        decoder.read_u32().ok()?;
    }
    Some(decoder.read_u32().ok()?.unverified())
}
