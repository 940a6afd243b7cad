//! The property table itself.

use herald_core::PlacementClass;
use herald_journal::Durability;
use herald_stir::Suite;

use super::forms::{
    parse_duration, set_arena, set_deadline, set_journal_memory, set_list, set_mode, set_path, set_plugins,
    set_retention, set_size,
};
use super::{Config, LogFormat};
use crate::limits::REACTORS_MAX;
use crate::services::set_paths;

/// One setting.
#[derive(Debug)]
pub struct Property {
    /// Its name in files and in the C API.
    pub name: &'static str,
    /// Its name on the command line, without the leading dashes.
    pub option: &'static str,
    /// The form of its value.
    pub form: &'static str,
    /// Its default, in words where it is not a value.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
    pub(super) set: fn(&mut Config, &str) -> Result<(), &'static str>,
}
/// Every setting there is.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: "listen",
        option: "listen",
        form: "ADDRESS:PORT[,ADDRESS:PORT...]",
        default: "none",
        meaning: "where HTTPS is served; port 0 lets the kernel choose",
        set: |config, value| {
            set_list(&mut config.listen, value, "addresses as in 127.0.0.1:8443 or [::]:8443")
        },
    },
    Property {
        name: "unix_socket",
        option: "unix-socket",
        form: "PATH",
        default: "none",
        meaning: "where the same interface is served without TLS to processes of this machine",
        set: |config, value| set_path(&mut config.unix_socket, value),
    },
    Property {
        name: "unix_socket_mode",
        option: "unix-socket-mode",
        form: "OCTAL (600 to 777)",
        default: "660",
        meaning: "the permission bits of that socket: who may write to it may connect, and stores without tokens",
        set: |config, value| set_mode(&mut config.unix_socket_mode, value),
    },
    Property {
        name: "service",
        option: "service",
        form: "unix:PATH | https://HOST[:PORT]",
        default: "none: placements are here",
        meaning: "the engine elsewhere that this one is a client of: placements are there, calls are placed and checked                   here; over HTTPS its certificate chains to cps_authorities",
        set: |config, value| config.services.set_service(value),
    },
    Property {
        name: "service_deadline",
        option: "service-deadline",
        form: "DURATION (up to 60s)",
        default: "2s",
        meaning: "how long that service may take for a store or a retrieval",
        set: |config, value| config.services.set_service_deadline(value),
    },
    Property {
        name: "tls_certificate",
        option: "tls-certificate",
        form: "PATH",
        default: "none",
        meaning: "the certificate chain of the HTTPS listeners, PEM, own certificate first",
        set: |config, value| set_path(&mut config.tls_certificate, value),
    },
    Property {
        name: "tls_key",
        option: "tls-key",
        form: "PATH",
        default: "none",
        meaning: "the private key of that certificate, PEM",
        set: |config, value| set_path(&mut config.tls_key, value),
    },
    Property {
        name: "data",
        option: "data",
        form: "PATH",
        default: "none",
        meaning: "the folder of the journal; needed unless durability is memory",
        set: |config, value| set_path(&mut config.data, value),
    },
    Property {
        name: "durability",
        option: "durability",
        form: "memory | buffered | synced",
        default: "synced",
        meaning: "when a store is acknowledged: memory at once and a restart loses all; buffered at once and a \
                  killed process loses at most half a second of stores; synced when the disk has it",
        set: |config, value| {
            config.durability = match value {
                "memory" => Durability::Memory,
                "buffered" => Durability::Buffered,
                "synced" => Durability::Synced,
                _ => return Err("memory, buffered or synced"),
            };
            Ok(())
        },
    },
    Property {
        name: "retention",
        option: "retention",
        form: "DURATION (1s to 60s)",
        default: "60s",
        meaning: "how long a placement can be retrieved, the same for all",
        set: |config, value| {
            set_retention(&mut config.calls.retention, PlacementClass::Call, value, "1s to 60s")
        },
    },
    Property {
        name: "memory",
        option: "memory",
        form: "SIZE (at least 16MiB)",
        default: "256MiB",
        meaning: "memory for placements, taken and touched at start; live ones of one retention must fit, but for \
                  those that may live beyond it",
        set: |config, value| set_arena(&mut config.calls.arena_bytes, value),
    },
    Property {
        name: "beyond_memory",
        option: "beyond-memory",
        form: "SIZE",
        default: "0",
        meaning: "placements that may live on the disk alone when memory is full; a ninth of it is taken besides at \
                  start, and 7 % of memory, to find them again, and a retrieval of them may wait for the disk; 0 \
                  refuses stores instead",
        set: |config, value| set_size(&mut config.calls.beyond_bytes, value),
    },
    Property {
        name: "journal_memory",
        option: "journal-memory",
        form: "SIZE",
        default: "512MiB",
        meaning: "memory RocksDB may use for blocks not yet flushed; what expires within it is written once only",
        set: |config, value| set_journal_memory(&mut config.calls.journal_bytes, value),
    },
    Property {
        name: "message_retention",
        option: "message-retention",
        form: "none | DURATION (1s to 7d)",
        default: "none: no messages are kept",
        meaning: "how long a placement of class message (RFC 9475) can be retrieved; messages have memory, cover and a \
                  journal of their own, in the folder messages beside that of calls",
        set: |config, value| {
            config.keeps_messages = value != "none";
            match value {
                "none" => Ok(()),
                value => {
                    let place = &mut config.messages.retention;
                    set_retention(place, PlacementClass::Message, value, "1s to 7d as in 72h, or none")
                }
            }
        },
    },
    Property {
        name: "message_memory",
        option: "message-memory",
        form: "SIZE (at least 16MiB)",
        default: "64MiB",
        meaning: "memory for messages, as memory is for calls",
        set: |config, value| set_arena(&mut config.messages.arena_bytes, value),
    },
    Property {
        name: "message_beyond_memory",
        option: "message-beyond-memory",
        form: "SIZE",
        default: "0",
        meaning: "messages that may live on the disk alone, as beyond_memory for calls",
        set: |config, value| set_size(&mut config.messages.beyond_bytes, value),
    },
    Property {
        name: "message_journal_memory",
        option: "message-journal-memory",
        form: "SIZE",
        default: "64MiB",
        meaning: "memory RocksDB may use for blocks of messages not yet flushed; a start reads as much of its log again",
        set: |config, value| set_journal_memory(&mut config.messages.journal_bytes, value),
    },
    Property {
        name: "suite",
        option: "suite",
        form: "x25519 | p256",
        default: "x25519",
        meaning: "the HPKE suite of all placements of this service, that cover and published keys have: \
                  DHKEM(X25519 or P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM",
        set: |config, value| {
            config.suite = match value {
                "x25519" => Suite::X25519,
                "p256" => Suite::P256,
                _ => return Err("x25519 or p256"),
            };
            Ok(())
        },
    },
    Property {
        name: "key_roots",
        option: "key-roots",
        form: "PATH",
        default: "none: no key bundles are taken",
        meaning: "the roots, PEM, under which owners of numbers sign the key bundles they publish here",
        set: |config, value| set_path(&mut config.key_roots, value),
    },
    Property {
        name: "key_bundles",
        option: "key-bundles",
        form: "PATH",
        default: "none: published key bundles are gone after a restart",
        meaning: "the folder that published key bundles are kept in; files NAME.jws there are published at the start",
        set: |config, value| set_path(&mut config.key_bundles, value),
    },
    Property {
        name: "admission",
        option: "admission",
        form: "none | NAME",
        default: "none: everybody may store",
        meaning: "the rate control plugin whose tokens are needed to store over HTTPS; stores of this process and over \
                  unix_socket need none",
        set: |config, value| config.admission.set_plugin(value),
    },
    Property {
        name: "token_name",
        option: "token-name",
        form: "HOST[:PORT]",
        default: "none",
        meaning: "what storers know this service by: tokens are good for this name alone; needed for admission",
        set: |config, value| config.admission.set_name(value),
    },
    Property {
        name: "token_roots",
        option: "token-roots",
        form: "PATH",
        default: "none: no tokens are issued and no reports taken",
        meaning: "the roots, PEM, of the certificates by which holders of numbers ask for tokens and report items; \
                  clients may show theirs in TLS",
        set: |config, value| set_path(&mut config.admission.roots, value),
    },
    Property {
        name: "token_epoch",
        option: "token-epoch",
        form: "DURATION (1s to 1440m)",
        default: "10m",
        meaning: "how long a key issues tokens; they are taken one epoch longer and one earlier, then key, sessions and \
                  spent tokens are forgotten together",
        set: |config, value| config.admission.set_epoch(value),
    },
    Property {
        name: "token_epochs_ahead",
        option: "token-epochs-ahead",
        form: "COUNT (1 to 64)",
        default: "12",
        meaning: "epochs for which tokens can be had ahead",
        set: |config, value| config.admission.set_epochs_ahead(value),
    },
    Property {
        name: "token_classes",
        option: "token-classes",
        form: "NAME=STORES[:TOKENS][,...]",
        default: "handset=4,gateway=256",
        meaning: "the classes of tokens, up to 3, and how many stores a token of each is good for (1 to 1024), and how \
                  many tokens of it a holder may have of each epoch (handset: 8, gateway: 16); each class has keys of \
                  its own, so a token hides among those of its class; the first is for every holder, the others for \
                  those of a service provider code or a range",
        set: |config, value| config.admission.set_classes(value),
    },
    Property {
        name: "token_mac",
        option: "token-mac",
        form: "hmac-sha256-128 | aes-128-gmac",
        default: "hmac-sha256-128",
        meaning: "with what the stores of a token are authenticated",
        set: |config, value| config.admission.set_mac(value),
    },
    Property {
        name: "token_sessions",
        option: "token-sessions",
        form: "COUNT",
        default: "131072",
        meaning: "sessions that may be open at a time, some 200 bytes each",
        set: |config, value| config.admission.set_sessions(value),
    },
    Property {
        name: "token_spent",
        option: "token-spent",
        form: "COUNT",
        default: "20000000",
        meaning: "tokens of one epoch that may be spent, 30 to 70 bytes each; with more, stores need tokens of the next",
        set: |config, value| config.admission.set_spent(value),
    },
    Property {
        name: "redemption_share",
        option: "redemption-share",
        form: "PERCENT (1 to 100)",
        default: "25",
        meaning: "the share of a core that redeeming new tokens may take; open sessions have the rest",
        set: |config, value| config.admission.set_share(value),
    },
    Property {
        name: "reactors",
        option: "reactors",
        form: "COUNT",
        default: "one per core",
        meaning: "threads that serve the listeners",
        set: |config, value| {
            let count = value.parse().ok().filter(|count| (1..=REACTORS_MAX).contains(count));
            config.reactors = Some(count.ok_or("a count from 1 to 256")?);
            Ok(())
        },
    },
    Property {
        name: "drain_grace",
        option: "drain-grace",
        form: "DURATION",
        default: "10s",
        meaning: "how long requests under way may take to finish when the engine stops",
        set: |config, value| {
            config.drain_grace = parse_duration(value).ok_or("a duration as in 10s or 500ms")?;
            Ok(())
        },
    },
    Property {
        name: "metrics_listen",
        option: "metrics-listen",
        form: "ADDRESS:PORT",
        default: "none: no metrics are served",
        meaning: "where metrics for Prometheus and health are served, over plain HTTP, on a thread of their own; choose a \
                  loopback address or one that only those who watch can reach",
        set: |config, value| {
            config.metrics_listen =
                Some(value.parse().map_err(|_| "an address as in 127.0.0.1:9464 or [::1]:9464")?);
            Ok(())
        },
    },
    Property {
        name: "log_format",
        option: "log-format",
        form: "text | json",
        default: "text",
        meaning: "how the program writes what an operator should know to standard error: a line for people, or an object \
                  with time, level and message; a host that embeds the engine is told by its callback",
        set: |config, value| {
            config.log_format = match value {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("text or json"),
            };
            Ok(())
        },
    },
    Property {
        name: "signing_key",
        option: "signing-key",
        form: "PATH",
        default: "none",
        meaning: "the key that signs the PASSporTs of calls that are placed, PEM (PKCS#8 or SEC1, P-256)",
        set: |config, value| set_path(&mut config.services.signing_key, value),
    },
    Property {
        name: "signing_certificate",
        option: "signing-certificate",
        form: "PATH",
        default: "none",
        meaning: "the certificate chain of that key, PEM, own certificate first",
        set: |config, value| set_path(&mut config.services.signing_certificate, value),
    },
    Property {
        name: "x5u",
        option: "x5u",
        form: "URL",
        default: "none: the chain goes into each PASSporT (x5c)",
        meaning: "where verifiers find that chain; shorter PASSporTs",
        set: |config, value| config.services.set_x5u(value),
    },
    Property {
        name: "sealing_keys",
        option: "sealing-keys",
        form: "PATH[,PATH...]",
        default: "none",
        meaning: "the private keys that open what waits for calls to be checked, JWK, up to 8",
        set: |config, value| set_paths(&mut config.services.sealing_keys, value),
    },
    Property {
        name: "roots",
        option: "roots",
        form: "PATH",
        default: "none",
        meaning: "the authorities that signers' certificates chain to, PEM; needed to check calls",
        set: |config, value| set_path(&mut config.services.roots, value),
    },
    Property {
        name: "crls",
        option: "crls",
        form: "PATH[,PATH...]",
        default: "none",
        meaning: "certificate revocation lists, PEM",
        set: |config, value| set_paths(&mut config.services.crls, value),
    },
    Property {
        name: "crl_signers",
        option: "crl-signers",
        form: "PATH",
        default: "none",
        meaning: "certificates of those who may sign revocation lists about others' certificates, PEM: a country's policy \
                  administrator",
        set: |config, value| set_path(&mut config.services.crl_signers, value),
    },
    Property {
        name: "policy",
        option: "policy",
        form: "NAME=VALUE[,NAME=VALUE...]",
        default: "strict",
        meaning: "what a PASSporT must satisfy; the settings are in docs/POLICY.md",
        set: |config, value| config.services.set_policy(value),
    },
    Property {
        name: "directory",
        option: "directory",
        form: "PATH",
        default: "none: this engine is everybody's service",
        meaning: "the file that says which services and public sealing keys belong to which numbers, TOML",
        set: |config, value| set_path(&mut config.services.directory, value),
    },
    Property {
        name: "discovery",
        option: "discovery",
        form: "NAME[,NAME...] (up to 8)",
        default: "directory, bundles, then plugins in the order in which they are loaded",
        meaning: "which sources are asked for the services of a number, in order: directory (the file), bundles (of \
                  key_server) and discovery plugins by name",
        set: |config, value| config.services.set_discovery(value),
    },
    Property {
        name: "discovery_policy",
        option: "discovery-policy",
        form: "first | proven | agree",
        default: "first",
        meaning: "whose word counts: first the first source that finds something; proven the first that finds \
                  something proven, and what is not proven only if all other sources answer and none proves another; \
                  agree what all sources that find something have in common, else the number counts as unserved",
        set: |config, value| config.services.set_discovery_policy(value),
    },
    Property {
        name: "discovery_deadline",
        option: "discovery-deadline",
        form: "DURATION",
        default: "1500ms",
        meaning: "how long finding the services of a number may take, and never more than half of the call's time; a \
                  source that takes longer than its share of it is passed over",
        set: |config, value| set_deadline(&mut config.services.discovery_deadline, value),
    },
    Property {
        name: "discovery_own",
        option: "discovery-own",
        form: "NAME[,NAME...]",
        default: "none: what plugins find is asked over HTTPS at public addresses only",
        meaning: "plugins whose findings are the operator's own word, as a table of his is: they count as proven, and \
                  the services are asked wherever they are",
        set: |config, value| config.services.set_discovery_own(value),
    },
    Property {
        name: "key_server",
        option: "key-server",
        form: "URL",
        default: "none",
        meaning: "the server whose key bundles name services and sealing keys of numbers that the directory does not \
                  have; its host must be among fetch_hosts, and the bundles are verified under roots",
        set: |config, value| config.services.set_key_server(value),
    },
    Property {
        name: "key_prefetch",
        option: "key-prefetch",
        form: "PREFIX[,PREFIX...]",
        default: "none",
        meaning: "numbers that begin so are known before they are called: their key bundles are fetched from \
                  key_server at the start and kept fresh",
        set: |config, value| config.services.set_key_prefetch(value),
    },
    Property {
        name: "plugins",
        option: "plugins",
        form: "PATH[,PATH...]",
        default: "none",
        meaning: "plugins to load, by absolute path; a folder stands for all files NAME.so in it. A plugin has all rights \
                  of this process",
        set: |config, value| set_plugins(&mut config.plugins, value),
    },
    Property {
        name: "plugin_settings",
        option: "plugin-settings",
        form: "PATH",
        default: "none",
        meaning: "the settings of plugins: a TOML file with a table for each, by its name",
        set: |config, value| set_path(&mut config.plugin_settings, value),
    },
    Property {
        name: "place_deadline",
        option: "place-deadline",
        form: "DURATION",
        default: "4s",
        meaning: "how long placing a call may take, unless it says otherwise itself",
        set: |config, value| set_deadline(&mut config.services.place_deadline, value),
    },
    Property {
        name: "check_deadline",
        option: "check-deadline",
        form: "DURATION",
        default: "3s",
        meaning: "how long checking a call may take, unless it says otherwise itself",
        set: |config, value| set_deadline(&mut config.services.check_deadline, value),
    },
    Property {
        name: "cover_per_hour",
        option: "cover-per-hour",
        form: "COUNT (up to 36000)",
        default: "0",
        meaning: "stores an hour, at random moments, that look like those of calls and are for nobody",
        set: |config, value| config.services.set_cover_per_hour(value),
    },
    Property {
        name: "cover_numbers",
        option: "cover-numbers",
        form: "BLOCK[,BLOCK...]",
        default: "none",
        meaning: "the numbers that cover is stored under, as in 12225550100-100 or 1222555xxxx",
        set: |config, value| config.services.set_cover_numbers(value),
    },
    Property {
        name: "cps_authorities",
        option: "cps-authorities",
        form: "PATH",
        default: "none: no service elsewhere is asked over HTTPS",
        meaning: "the authorities that TLS certificates of services elsewhere chain to, PEM",
        set: |config, value| set_path(&mut config.services.cps_authorities, value),
    },
    Property {
        name: "token_class",
        option: "token-class",
        form: "handset | gateway",
        default: "handset",
        meaning: "which tokens calls are placed with where a service wants some: one for each call, or many open at once, \
                  of which each store takes one at random; needs a rate control plugin and signing_key",
        set: |config, value| config.services.wallet.set_class(value),
    },
    Property {
        name: "tokens_kept",
        option: "tokens-kept",
        form: "COUNT (0 to 1024)",
        default: "8",
        meaning: "tokens kept ahead for each service that wants them; 0: none are asked for, and such services refuse calls",
        set: |config, value| config.services.wallet.set_kept(value),
    },
    Property {
        name: "fetch_hosts",
        option: "fetch-hosts",
        form: "HOST[,HOST...]",
        default: "none: nothing is fetched",
        meaning: "hosts that certificates (x5u) and key bundles are fetched from: names, *.example.com for all below, \
                  with :PORT for another port than 443 and 8443, with =BLOCK for addresses that are not public",
        set: |config, value| config.services.set_fetch_hosts(value),
    },
    Property {
        name: "fetch_authorities",
        option: "fetch-authorities",
        form: "PATH",
        default: "none",
        meaning: "the authorities that TLS certificates of those hosts chain to, PEM",
        set: |config, value| set_path(&mut config.services.fetch_authorities, value),
    },
    Property {
        name: "worker_threads",
        option: "worker-threads",
        form: "COUNT (1 to 64)",
        default: "1",
        meaning: "threads that place and check calls; none is started if neither signing_key, roots nor discovery is set",
        set: |config, value| config.services.set_worker_threads(value),
    },
];

/// The property of this name; dashes count as underscores.
pub fn property(name: &str) -> Option<&'static Property> {
    let name = name.replace('-', "_");
    PROPERTIES.iter().find(|property| property.name == name)
}
