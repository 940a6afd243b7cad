//! A discovery plugin for Herald: one Call Placement Service for all numbers with a prefix.
//!
//! Settings: `uri`, where the service is (`https://...`); `prefix`, the digits that numbers begin with (none: all
//! numbers).

use core::ffi::CStr;

use herald_plugin_sdk::{Answer, Discovery, Find, Host, Question, Settings, discovery_entry};

struct Prefix {
    uri: String,
    prefix: String,
}

impl Discovery for Prefix {
    const NAME: &'static CStr = c"NAME";
    const VERSION: &'static CStr = c"1.0";
    const SUMMARY: &'static CStr = c"one service for all numbers with a prefix";

    fn open(_host: Host, settings: &Settings<'_>) -> Result<Self, String> {
        settings.only(&["uri", "prefix"])?;
        let prefix = settings.value("prefix").unwrap_or("");
        Ok(Self { uri: settings.require("uri")?.to_owned(), prefix: prefix.to_owned() })
    }

    fn find(&self, question: &Question<'_>) -> Find {
        let uris = if question.number.starts_with(&self.prefix) { vec![self.uri.clone()] } else { Vec::new() };
        Find::Answer(Answer { uris, fresh_s: 60, note: "by its prefix".to_owned(), ..Answer::default() })
    }
}

herald_plugin_sdk::export!(discovery_entry::<Prefix>);
