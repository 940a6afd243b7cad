//! `herald demo`: the call flow of RFC 8816 §7.2 on this machine, with a real service that is killed on the way.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use herald_runtime::core::TelephoneNumber;
use herald_runtime::stir::services::{CpsSources, Credential, VerificationService, new_origid};
use herald_runtime::stir::{
    Attestation, ChainCache, Claims, ReplayMemory, SealingKey, SealingPublicKey, SigningKey, Suite, TnEntry,
    TrustStore, VerificationPolicy, open, seal,
};
use herald_runtime::{CpsClient, RetrievedItem, SystemRandom, check_plugin, wall_clock};
use serde_json::json;

use crate::calls::{inline_chain, read};
use crate::keygen;
use crate::output::{EXIT_NOT_GOOD, Failure, Output};
use crate::plugin;
use crate::services::{check_request, everybody_at, run as drive, verdict_text};

/// Numbers set aside for fiction.
const ALICE: &str = "+1 (202) 555-0100";
const BOB: &str = "+1 (202) 555-0123";
const CAROL: &str = "+1 (202) 555-0187";
const MALLORY: &str = "+1 (202) 555-0166";

pub(crate) fn run(output: &Output) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::unavailable)?;
    let mut stage = Stage { output, step: 0, good: true };
    let result = play(&mut stage, folder.path());
    result?;
    if !stage.good {
        return Ok(ExitCode::from(EXIT_NOT_GOOD));
    }
    output.answer(
        "\nThe proof of Alice's identity travelled beside the call, through a service that could not read it.",
        &json!({ "good": true }),
    );
    Ok(ExitCode::SUCCESS)
}

fn play(stage: &mut Stage<'_>, folder: &Path) -> Result<(), Failure> {
    let number = |text: &str| text.parse::<TelephoneNumber>().map_err(Failure::usage);
    let (alice, bob, carol, mallory) = (number(ALICE)?, number(BOB)?, number(CAROL)?, number(MALLORY)?);

    let began = Instant::now();
    let authority = folder.join("authority");
    keygen::make(&folder.join("alice"), &authority, vec![TnEntry::One(alice)], Suite::X25519)?;
    keygen::make(&folder.join("bob"), &authority, vec![TnEntry::One(bob)], Suite::X25519)?;
    stage.show(
        "Keys",
        "Alice's service has a certificate for her number; Bob's service has published a sealing key.",
        "certificates with TNAuthList (RFC 8226), P-256 for signing, X25519 for sealing",
        began,
    );

    let began = Instant::now();
    let data = folder.join("cps");
    let service = RunningService::start(&data)?;
    stage.show(
        "The Call Placement Service starts",
        "A separate process; every store is on disk before it is acknowledged.",
        &format!("herald serve --dev, {}", service.url),
        began,
    );

    discover(stage, folder, bob, &service)?;
    let (location, sealed) = place(stage, folder, alice, bob, &service)?;
    let seen = curious(stage, bob, carol, &service)?;

    let began = Instant::now();
    service.kill();
    let service = RunningService::start(&data)?;
    let again: BTreeSet<_> = service.client()?.retrieve(bob)?.into_iter().map(|item| item.href).collect();
    stage.require(again.contains(&location), "what was acknowledged is missing after the restart");
    stage.show(
        "The service is killed with -9 and started again",
        "Nothing that was acknowledged is lost, and the cover lives on beside it.",
        &format!("{} of {} items are there again", again.intersection(&seen).count(), seen.len()),
        began,
    );

    check(stage, folder, (alice, mallory, bob), &service, &sealed)
}

/// A plugin of one C file says where Bob's service is.
fn discover(
    stage: &mut Stage<'_>,
    folder: &Path,
    bob: TelephoneNumber,
    service: &RunningService,
) -> Result<(), Failure> {
    let began = Instant::now();
    let line = plugin::write_c("finder", plugin::Kind::Discovery, folder)?;
    let mut words = line.split(' ');
    let compiler = words.next().unwrap_or("cc");
    let Ok(compiled) = Command::new(compiler).args(words).current_dir(folder).output() else {
        let fact = format!("skipped: there is no {compiler} on this machine");
        stage.show("A plugin finds the service", "Discovery is a plugin of one C file.", &fact, began);
        return Ok(());
    };
    stage.require(compiled.status.success(), "the plugin does not compile");
    let settings = [("uri", service.url.as_str()), ("prefix", "1202")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let checked = check_plugin(&folder.join("finder.so"), &settings, &[bob], Arc::new(|_, _| {}))?;
    let found = checked.trials.iter().find(|trial| trial.what.ends_with("calling side"));
    let found = found.and_then(|trial| trial.outcome.as_ref().ok());
    let fact = found.filter(|fact| fact.contains(&service.url));
    stage.require(fact.is_some(), "the plugin does not find the service");
    stage.show(
        "A plugin finds the service",
        "Where a number's service is, is a plugin's to say: this one is a C file, compiled just now and loaded.",
        &format!("{line}: {}", fact.map_or("nothing", String::as_str)),
        began,
    );
    Ok(())
}

/// Alice's authentication service: sign, seal, store.
fn place(
    stage: &mut Stage<'_>,
    folder: &Path,
    alice: TelephoneNumber,
    bob: TelephoneNumber,
    service: &RunningService,
) -> Result<(String, Vec<u8>), Failure> {
    let began = Instant::now();
    let alice_files = folder.join("alice");
    let key = String::from_utf8_lossy(&read(alice_files.join("signing.key"))?).into_owned();
    let key = SigningKey::from_pem(&key).map_err(Failure::usage)?;
    let chain = alice_files.join("signing.pem");
    let credential = Credential::new(key, inline_chain(&chain)?, &read(&chain)?).map_err(Failure::usage)?;
    let recipient = String::from_utf8_lossy(&read(folder.join("bob/sealing.pub.jwk"))?).into_owned();
    let recipient = SealingPublicKey::from_jwk(&recipient).map_err(Failure::usage)?;
    let now = wall_clock();
    let iat_s = i64::try_from(now.as_millis() / 1000).map_err(Failure::usage)?;
    let origid = new_origid(&SystemRandom);
    let claims = Claims::shaken(alice.into(), bob.into(), iat_s, Attestation::Full, origid);
    let passport = credential.sign(&claims, None, now).map_err(Failure::usage)?;
    stage.show(
        "Alice's service signs",
        "A PASSporT says who calls whom and when; whoever holds her certificate's key signed it (RFC 8225, 8588).",
        &format!("{} bytes: {}...", passport.len(), passport.get(..48).unwrap_or_default()),
        began,
    );

    let began = Instant::now();
    let sealed = seal(&passport, bob, &recipient, &SystemRandom).map_err(Failure::usage)?;
    stage.require(!contains(&sealed, alice.to_string().as_bytes()), "the sealed bytes show the caller");
    stage.show(
        "Alice's service seals",
        "Only Bob's service can open it; it is padded, so that its size tells nothing (HPKE, RFC 9180).",
        &format!("{} bytes: {}...", sealed.len(), hex(&sealed[..24])),
        began,
    );

    let began = Instant::now();
    let location = service.client()?.store(bob, &sealed)?;
    stage.show(
        "Alice's service stores",
        "The service keeps it under the called number and learns no caller (RFC 8816 section 9).",
        &format!("201 Created, Location: {location}"),
        began,
    );
    Ok((location, sealed))
}

/// Somebody else asks about Bob, who is being called, and Carol, who is not.
fn curious(
    stage: &mut Stage<'_>,
    bob: TelephoneNumber,
    carol: TelephoneNumber,
    service: &RunningService,
) -> Result<BTreeSet<String>, Failure> {
    let began = Instant::now();
    let client = service.client()?;
    let (called, quiet) = (client.retrieve(bob)?, client.retrieve(carol)?);
    let own_key = [SealingKey::generate(Suite::X25519, &SystemRandom)];
    let opened = called.iter().any(|item| open(&item.body, bob, &own_key).is_ok());
    stage.require(!opened, "a stranger opened an item");
    stage.require(!called.is_empty() && !quiet.is_empty(), "a number shows no items");
    let sizes = |items: &[RetrievedItem]| {
        let sizes: Vec<_> = items.iter().map(|item| item.body.len().to_string()).collect();
        sizes.join(", ")
    };
    stage.show(
        "A curious poller looks",
        "Every number shows items, called or not, and they open with nobody's key but the called side's.",
        &format!("Bob, being called: {} bytes; Carol, not called: {} bytes", sizes(&called), sizes(&quiet)),
        began,
    );
    Ok(called.into_iter().map(|item| item.href).collect())
}

/// Bob's verification service: retrieve, open, verify; and the same for a caller who lies.
fn check(
    stage: &mut Stage<'_>,
    folder: &Path,
    (alice, mallory, bob): (TelephoneNumber, TelephoneNumber, TelephoneNumber),
    service: &RunningService,
    sealed: &[u8],
) -> Result<(), Failure> {
    let began = Instant::now();
    let client = service.client()?;
    let items = client.retrieve(bob)?;
    stage.require(items.iter().any(|item| item.body == sealed), "what was stored is not what is retrieved");
    stage.show(
        "The call arrives; Bob's service retrieves",
        "One request brings everything that waits under his number.",
        &format!("{} items", items.len()),
        began,
    );

    let key = String::from_utf8_lossy(&read(folder.join("bob/sealing.jwk"))?).into_owned();
    let trust = TrustStore::from_pem(&read(folder.join("authority/roots.pem"))?).map_err(Failure::usage)?;
    let verification = Arc::new(VerificationService {
        policy: VerificationPolicy::new(trust),
        sealing_keys: vec![SealingKey::from_jwk(&key).map_err(Failure::usage)?],
        cps: Arc::new(CpsSources::only(Arc::new(everybody_at(&service.url, Vec::new())?))),
        certificates: None,
        chains: Arc::new(ChainCache::default()),
        seen: ReplayMemory::default().into(),
        witness: None,
    });
    let check = |orig| drive(verification.clone().check(check_request(orig, bob)), &service.ca);

    let began = Instant::now();
    let checked = check(alice)?;
    stage.require(checked.verdict.outcome().is_ok(), "Alice's call is not verified");
    stage.show(
        "Bob's service opens and verifies",
        "Signature, certificate, its authority over Alice's number, and freshness hold: it is Alice who calls.",
        &verdict_text(&checked),
        began,
    );

    let began = Instant::now();
    let checked = check(mallory)?;
    stage.require(
        checked.verdict.outcome().is_err() && checked.opened_count > 0,
        "a caller who is not Alice passes",
    );
    stage.show(
        "Somebody else calls Bob at the same time",
        "The proof is bound to Alice's number; it does not help another caller.",
        &verdict_text(&checked),
        began,
    );
    Ok(())
}

/// Prints the steps, and remembers whether all held.
struct Stage<'a> {
    output: &'a Output,
    step: u32,
    good: bool,
}

impl Stage<'_> {
    fn show(&mut self, title: &str, proves: &str, fact: &str, began: Instant) {
        self.step += 1;
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        self.output.answer(
            format!("\n{}. {title}  [{ms:.1} ms]\n   {proves}\n   {fact}", self.step),
            &json!({ "step": self.step, "title": title, "proves": proves, "fact": fact, "ms": ms }),
        );
    }

    fn require(&mut self, holds: bool, fault: &str) {
        if !holds {
            self.good = false;
            self.output.answer(format!("\n   FAULT: {fault}"), &json!({ "fault": fault }));
        }
    }
}

/// A `herald serve` process, killed when dropped.
struct RunningService {
    process: Child,
    url: String,
    ca: Vec<u8>,
}

impl RunningService {
    fn start(data: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::unavailable)?;
        let mut process = Command::new(program)
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Failure::unavailable)?;
        let stdout = process.stdout.take();
        // From here on the process ends with this value, whatever fails.
        let mut service = Self { process, url: String::new(), ca: Vec::new() };
        let stdout = stdout.ok_or_else(|| Failure::unavailable("the service has no output"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(Failure::unavailable)?;
        let words: Vec<_> = line.split_whitespace().collect();
        let (url, ca) = match words[..] {
            ["listening", url, ca] => (url.to_owned(), ca.trim_start_matches("ca=").to_owned()),
            _ => return Err(Failure::unavailable("herald serve did not start; run it by itself to see why")),
        };
        (service.url, service.ca) = (url, read(ca)?);
        Ok(service)
    }

    fn client(&self) -> Result<CpsClient, Failure> {
        Ok(CpsClient::open(&self.url, &self.ca)?)
    }

    /// As `kill -9` does.
    fn kill(self) {}
}

impl Drop for RunningService {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
