//! Discovery by ENUM (RFC 6116): the Call Placement Services of a number from NAPTR records in the DNS.
//!
//! A call's question is answered from the cache at once, or later by the plugin's own thread, which asks the configured
//! resolvers and nobody else. [`walk`] is the search for one number, [`naptr`] what one record says, [`regexp`] its
//! substitution, [`wire`] the messages, [`resolver`] what is sent when, [`cache`] what is known. Only `thread` and
//! `sockets` have clock and network. Who may be trusted with a number is not known here: an answer is never proven.

pub mod cache;
pub mod limits;
pub mod naptr;
pub mod regexp;
pub mod resolver;
mod servers;
pub mod settings;
mod sockets;
mod thread;
pub mod walk;
pub mod wire;

use core::ffi::CStr;
use std::sync::Arc;
use std::thread::JoinHandle;

use herald_core::TelephoneNumber;
use herald_plugin_sdk::{Answer, Discovery, Find, Host, Level, Question, Settings, Ticket};

use crate::settings::Config;
use crate::thread::{Command, Shared, Worker};
use crate::walk::{Outcome, is_e164};

/// The plugin.
pub struct Enum {
    host: Host,
    config: Config,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Discovery for Enum {
    const NAME: &'static CStr = c"discovery-enum";
    const VERSION: &'static CStr = c"0.1.0";
    const SUMMARY: &'static CStr = c"Call Placement Services from ENUM (RFC 6116): NAPTR records in the DNS";

    fn open(host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        let config = Config::read(settings)?;
        let servers = config.server_addresses()?;
        let (worker, shared) = Worker::new(host, config.clone(), servers)
            .map_err(|error| format!("cannot wait for the network: {error}"))?;
        let thread = std::thread::Builder::new().name("herald-enum".to_owned());
        let thread =
            thread.spawn(|| worker.run()).map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self { host, config, shared, thread: Some(thread) })
    }

    fn find(&self, question: &Question<'_>) -> Find {
        let Some(number) = TelephoneNumber::from_signs(question.number.as_bytes()) else {
            return Find::Failed("the number is not canonical".to_owned());
        };
        if !is_e164(number) {
            let note = "ENUM is for numbers of digits only".to_owned();
            return Find::Answer(Answer {
                fresh_s: self.config.cache_s_max.max(1),
                note,
                ..Answer::default()
            });
        }
        if let Some(finding) = self.shared.cache.lock().find(number, self.host.steady_ms()) {
            return Find::Answer(thread::answer(Outcome::Known(finding)));
        }
        let (ticket, deadline_ms) = (question.ticket, question.deadline_ms);
        match self.shared.send(Command::Ask { ticket, number, deadline_ms }) {
            true => Find::Pending,
            false if self.shared.is_over() => Find::Failed("the plugin's thread has ended".to_owned()),
            false => Find::Answer(thread::answer(Outcome::Unknown("too many questions wait"))),
        }
    }

    fn cancel(&self, ticket: Ticket) {
        // If it does not get there, the question's deadline ends it.
        self.shared.send(Command::Cancel(ticket));
    }

    fn reload(&self) -> Result<(), String> {
        let servers = self.config.server_addresses()?;
        match self.shared.send(Command::SetServers(servers)) {
            true => Ok(()),
            false => Err("the plugin is too busy, or its thread has ended; try again".to_owned()),
        }
    }
}

impl Drop for Enum {
    fn drop(&mut self) {
        self.shared.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            self.host.log(Level::Error, "the plugin's thread panicked");
        }
    }
}
