//! All PASSporTs of one call, judged together (RFC 8224 §6.2, RFC 8946 §4.2).
//!
//! # What decides
//! Each PASSporT is judged by itself first. Then each `div` is linked to a good PASSporT that names who diverted
//! the call as called and has the same caller; a chain is whole when it ends at one whose signer stands for the
//! caller: neither a priority (`rph`) nor a response (`rsp`) begins one, and within a `div-o` neither. Order does
//! not matter. A *head* is a good PASSporT that names where the call goes now: the last `div` of a whole chain, or
//! one that no diversion is needed for. While the call has no `div`, a PASSporT for the party of `To` is a head
//! too.
//!
//! The call is accepted if there is a head that vouches for the caller (RFC 8224 §6.2.1: one valid PASSporT is
//! enough, whatever else is there), or if there are only priorities (`rph`) and one is good. Otherwise the fault
//! of the call is that of the PASSporT that matters most: a `div` before others (the call was diverted, so that is
//! what has to be proven), base and `shaken` before `rcd` and others, one whose credentials were at hand before
//! one whose were not (RFC 8224 §6.2.2 has 436 for calls where that failed for all), and the one that came
//! furthest.

use std::sync::Arc;

use herald_core::Timestamp;

use crate::certificate::{Authority, CertificateChain, CertificateSource};
use crate::context::{CallContext, IdentityValue, compact_of, type_of};
use crate::error::{Fault, Stage};
use crate::identity_header::IdentityHeader;
use crate::json::Json;
use crate::limits::{CALL_PASSPORTS_MAX, COMPACT_SECONDS_MAX, DIVERSION_DEPTH_MAX};
use crate::passport::{Attestation, CertificateReference, Identity, Passport, PassportType};
use crate::verify::{Accepted, Checked, Target, Verdict, VerificationPolicy};

/// What was found of one PASSporT.
#[derive(Clone, Debug)]
pub struct PassportReport {
    passport: Option<Passport>,
    ppi: Option<String>,
    /// The type that the header of a PASSporT names that could not be read.
    unread_ppt: Option<String>,
    outcome: Result<Authority, Fault>,
    /// The chain it was verified with, if it was good by itself.
    signer: Option<Arc<CertificateChain>>,
    within: Vec<Passport>,
    earlier_index: Option<usize>,
    /// Whether a good `div` leads on from it.
    is_inner: bool,
}

impl PassportReport {
    /// By what right it was signed, or why it is not to be believed.
    pub const fn outcome(&self) -> Result<&Authority, &Fault> {
        self.outcome.as_ref()
    }

    /// The chain that its signature, trust and authority were checked with; `None` if one of them failed.
    pub(crate) fn signer(&self) -> Option<&CertificateChain> {
        self.signer.as_deref()
    }

    /// The PASSporT, if it could be read. To be believed only if the outcome is good.
    pub const fn passport(&self) -> Option<&Passport> {
        self.passport.as_ref()
    }

    /// Its name in compact form, as the `ppi` of a `Reason` header field has it (RFC 9410 §3): never the full
    /// form, which would tell strangers who calls whom. `None` if there is no signature to be read.
    pub fn ppi(&self) -> Option<&str> {
        self.ppi.as_deref()
    }

    /// The value of the `Reason` header field that reports its fault upstream (RFC 9410 §3), if it has one:
    /// `STIR ;cause=436 ;text="Bad Identity Info" ;ppi="..c2ln"`. Whoever signed the PASSporT must take the field
    /// away before the response goes on.
    // rfc9410:4-2, rfc9410:5-1, rfc9410:5-2, rfc9410:5-3, rfc9410:5-4, rfc9410:5-5.
    pub fn reason(&self) -> Option<String> {
        let fault = self.outcome.as_ref().err()?;
        let ppi = self.ppi.as_ref().map_or_else(String::new, |ppi| format!(" ;ppi=\"{ppi}\""));
        Some(format!("STIR ;cause={} ;text=\"{}\"{ppi}", fault.sip_code(), fault.phrase()))
    }

    /// The PASSporTs within a good `div-o`, outermost first.
    pub fn within(&self) -> &[Passport] {
        &self.within
    }

    /// For a good `div` of a whole chain, the index of the report on the PASSporT it diverted.
    pub const fn earlier_index(&self) -> Option<usize> {
        self.earlier_index
    }

    pub(crate) fn into_verdict(self) -> Verdict {
        let (authority, mut within) = (self.outcome?, self.within);
        let passport = self.passport.ok_or(Fault::NoPassport)?;
        Ok(Accepted { passport, authority, original: within.pop() })
    }

    fn unread(value: IdentityValue<'_>, fault: Fault) -> Self {
        Self {
            passport: None,
            ppi: compact_of(value),
            unread_ppt: type_of(value),
            outcome: Err(fault),
            signer: None,
            within: Vec::new(),
            earlier_index: None,
            is_inner: false,
        }
    }

    fn kind(&self) -> Option<&PassportType> {
        self.passport.as_ref().map(|passport| &passport.claims().kind)
    }

    /// Whether it is a `div`, be it one that cannot be read: the call was diverted then too.
    fn is_div(&self) -> bool {
        self.unread_ppt.as_deref() == Some("div") || matches!(self.kind(), Some(PassportType::Div { .. }))
    }

    /// Whether a diversion may be one of its call.
    fn is_original(&self) -> bool {
        self.kind().is_some_and(|kind| kind.is_by_caller() || matches!(kind, PassportType::DivO { .. }))
    }

    /// How near it is to a statement about who calls: 0 the nearest.
    fn rank(&self) -> u8 {
        match self.kind() {
            None | Some(PassportType::Base | PassportType::Shaken { .. }) => 0,
            Some(PassportType::Div { .. } | PassportType::DivO { .. }) => 0,
            Some(PassportType::Rcd | PassportType::Msg | PassportType::Rsp) => 1,
            Some(PassportType::Rph) => RANK_PRIORITY,
            Some(PassportType::Unknown(_)) => RANK_UNKNOWN,
        }
    }
}

const RANK_PRIORITY: u8 = 2;
const RANK_UNKNOWN: u8 = 3;

/// What was found of a call.
#[derive(Clone, Debug)]
pub struct CallVerdict {
    reports: Vec<PassportReport>,
    outcome: Result<usize, Fault>,
    /// The index of the report that the verdict comes from, if there is any report.
    deciding_index: Option<usize>,
}

impl CallVerdict {
    /// The verdict on a call that nothing can be compared with: its signalling has `fault`.
    pub const fn refused(fault: Fault) -> Self {
        Self { reports: Vec::new(), outcome: Err(fault), deciding_index: None }
    }

    /// The verdict on a PASSporT that is judged alone.
    pub fn of_one(report: PassportReport) -> Self {
        let outcome = report.outcome.as_ref().map(|_| 0).map_err(Fault::clone);
        Self { reports: vec![report], outcome, deciding_index: Some(0) }
    }

    /// The report on the head that the call is accepted by, or the fault of the call.
    pub fn outcome(&self) -> Result<&PassportReport, &Fault> {
        self.outcome.as_ref().map(|&index| &self.reports[index])
    }

    /// A report for each PASSporT, in their order.
    pub fn reports(&self) -> &[PassportReport] {
        &self.reports
    }

    /// The report that the verdict comes from; `None` if the call came without PASSporTs.
    pub fn deciding(&self) -> Option<&PassportReport> {
        self.deciding_index.map(|index| &self.reports[index])
    }

    /// The PASSporTs from the deciding one back to the original, as far as they are linked.
    pub fn chain(&self) -> Vec<&Passport> {
        let mut chain = Vec::new();
        let mut next = self.deciding();
        // Links lead to PASSporTs that were linked before, so this ends.
        while let Some(report) = next {
            chain.extend(report.passport());
            chain.extend(&report.within);
            next = report.earlier_index.map(|index| &self.reports[index]);
        }
        chain
    }

    /// How well the signer of the original knows the caller, if it says so and the call is accepted.
    pub fn attestation(&self) -> Option<Attestation> {
        self.outcome.as_ref().ok()?;
        match self.chain().last()?.claims().kind {
            PassportType::Shaken { attest, .. } => Some(attest),
            _ => None,
        }
    }

    /// Who diverted the call, the last one first. To be believed if the call is accepted.
    pub fn diversions(&self) -> Vec<&Identity> {
        self.chain().iter().filter_map(|passport| passport.claims().kind.diverter()).collect()
    }

    /// A claim of a good PASSporT of the call, such as `rcd` or `crn` for what to show (RFC 9795): the first one
    /// that has it.
    pub fn claim(&self, name: &str) -> Option<&Json> {
        let good = self.reports.iter().filter(|report| report.outcome.is_ok());
        good.filter_map(PassportReport::passport).find_map(|passport| passport.claims().extra.get(name))
    }

    /// The values of the `Reason` header fields that report what is wrong upstream, one for each PASSporT with a
    /// fault (RFC 9410 §3).
    // rfc9410:5-1, rfc9410:6-1.
    pub fn reasons(&self) -> Vec<String> {
        self.reports.iter().filter_map(PassportReport::reason).collect()
    }
}

impl VerificationPolicy {
    /// Judges all PASSporTs of one call together; the module says how. `certificates` is asked from memory;
    /// [`certificate_urls`](Self::certificate_urls) says beforehand what it should have.
    ///
    /// Takes at most [`CALL_PASSPORTS_MAX`] PASSporTs of up to five signatures each.
    pub fn verify_call(
        &self,
        values: &[IdentityValue<'_>],
        context: &CallContext<'_>,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> CallVerdict {
        let read = |(index, &value)| match index {
            0..CALL_PASSPORTS_MAX => self.report(value, self.read(value, context, certificates, now)),
            _ => PassportReport::unread(value, Fault::TooManyPassports),
        };
        let mut reports: Vec<_> = values.iter().enumerate().map(read).collect();
        let is_diverted = reports.iter().any(PassportReport::is_div);
        for index in 0..reports.len() {
            let (before, rest) = reports.split_at_mut(index);
            let report = &mut rest[0];
            match same_token(before, report) {
                Some(same) => {
                    (report.outcome, report.within) = (same.outcome.clone(), same.within.clone());
                    report.signer = same.signer.clone();
                }
                None => self.judge(report, is_diverted, context, certificates, now),
            }
        }
        if is_diverted {
            link(&mut reports);
            self.judge_targets(&mut reports, context, now);
        }
        decide(reports)
    }

    /// Judges one PASSporT alone. A `div` is taken by itself: what it diverted is not asked for.
    pub fn verify_one(
        &self,
        value: IdentityValue<'_>,
        context: &CallContext<'_>,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> PassportReport {
        let mut report = self.report(value, self.read(value, context, certificates, now));
        self.judge(&mut report, false, context, certificates, now);
        report
    }

    /// The URLs of the certificates of a PASSporT and of those within it, for a fetcher that works ahead. What
    /// cannot be read has none.
    pub fn certificate_urls(&self, value: IdentityValue<'_>, context: &CallContext<'_>) -> Vec<String> {
        let read = match value {
            IdentityValue::Token(token) => Passport::parse(token, &self.leniency),
            IdentityValue::Header(header) => {
                // The certificate of a compact one does not depend on its date.
                let context = CallContext { date_s: context.date_s.or(Some(0)), ..*context };
                IdentityHeader::new(header).read(&context, self.compact_shaken.as_ref(), &self.leniency)
            }
        };
        let mut urls = Vec::new();
        let mut next = read.ok();
        for _ in 0..=DIVERSION_DEPTH_MAX {
            let Some(passport) = next else { break };
            if let CertificateReference::Url(url) = passport.certificate() {
                urls.push(url.clone());
            }
            next = match &passport.claims().kind {
                PassportType::DivO { opt, .. } => Passport::parse(opt.as_bytes(), &self.leniency).ok(),
                _ => None,
            };
        }
        urls
    }

    fn report(&self, value: IdentityValue<'_>, read: Result<Passport, Fault>) -> PassportReport {
        match read {
            Err(fault) => PassportReport::unread(value, fault),
            Ok(passport) => PassportReport {
                ppi: Some(passport.compact()),
                unread_ppt: None,
                passport: Some(passport),
                outcome: Err(Fault::NoPassport),
                signer: None,
                within: Vec::new(),
                earlier_index: None,
                is_inner: false,
            },
        }
    }

    fn read(
        &self,
        value: IdentityValue<'_>,
        context: &CallContext<'_>,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> Result<Passport, Fault> {
        let header = match value {
            IdentityValue::Token(token) => return Passport::parse(token, &self.leniency),
            IdentityValue::Header(header) => IdentityHeader::new(header),
        };
        if header.is_compact() && context.date_s.is_none() && self.compact_without_date {
            return self.find_moment(&header, context, certificates, now);
        }
        header.read(context, self.compact_shaken.as_ref(), &self.leniency)
    }

    /// The compact PASSporT of the moment at which its signature fits, from now backwards and then ahead.
    fn find_moment(
        &self,
        header: &IdentityHeader<'_>,
        context: &CallContext<'_>,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) -> Result<Passport, Fault> {
        let now_s = i64::try_from(now.as_millis() / 1000).map_err(|_| Fault::Iat)?;
        let at = |moment_s| {
            let context = CallContext { date_s: Some(moment_s), ..*context };
            header.read(&context, self.compact_shaken.as_ref(), &self.leniency)
        };
        let chain = self.chain(&at(now_s)?, certificates, now)?;
        let key = chain.signer_key()?;
        let back = (0..=self.freshness_s).map(|age_s| now_s.checked_sub_unsigned(age_s));
        let ahead = (1..=self.ahead_s).map(|ahead_s| now_s.checked_add_unsigned(ahead_s));
        for moment_s in back.chain(ahead).flatten().take(COMPACT_SECONDS_MAX as usize) {
            let passport = at(moment_s)?;
            if passport.verify_signature(key).is_ok() {
                return Ok(passport);
            }
        }
        Err(Fault::Signature)
    }

    /// Judges a PASSporT by itself. In a diverted call whom it names as called is compared later.
    // rfc8946:4.2-8.
    fn judge(
        &self,
        report: &mut PassportReport,
        is_diverted: bool,
        context: &CallContext<'_>,
        certificates: &dyn CertificateSource,
        now: Timestamp,
    ) {
        let Some(passport) = &report.passport else { return };
        if let Err(fault) = context.carrier.check(&passport.claims().kind) {
            report.outcome = Err(fault);
            return;
        }
        let target = if is_diverted { Target::Any } else { Target::of(passport, context) };
        let was_diverted = is_diverted && passport.claims().kind.diverter().is_none();
        let freshness_s = if was_diverted { self.diverted_freshness_s } else { self.freshness_s };
        match self.check(passport, target, freshness_s, certificates, context, now) {
            Ok(Checked { authority, signer, within }) => {
                (report.outcome, report.signer, report.within) = (Ok(authority), Some(signer), within);
            }
            Err(fault) => report.outcome = Err(fault),
        }
    }

    /// In a diverted call: which PASSporT is a head, and whether the others are part of the chain of one.
    // rfc8946:4.2-2.
    fn judge_targets(&self, reports: &mut [PassportReport], context: &CallContext<'_>, now: Timestamp) {
        let target = Target::OneOf([context.dest, None]);
        let heads: Vec<usize> =
            (0..reports.len()).filter(|&index| self.is_head(&reports[index], target, now)).collect();
        for &head in &heads {
            let mut later = head;
            while let Some(earlier) = reports[later].earlier_index {
                for index in 0..reports.len() {
                    // A div may divert what several originals are about, as a shaken and an rcd.
                    reports[index].is_inner |= index != later
                        && leads_to(&reports[index], &reports[later])
                        && !heads.contains(&index);
                }
                later = earlier;
            }
        }
        for (index, report) in reports.iter_mut().enumerate() {
            if report.outcome.is_ok() && !report.is_inner && !heads.contains(&index) {
                report.outcome = Err(Fault::DestMismatch);
            }
        }
    }

    /// Whether a PASSporT of a diverted call is good, names where the call goes now, and is fresh by itself.
    // rfc8946:4.2-7.
    fn is_head(&self, report: &PassportReport, target: Target<'_>, now: Timestamp) -> bool {
        report.outcome.is_ok()
            && report.passport.as_ref().is_some_and(|passport| {
                target.is_met(&passport.claims().dest)
                    && self.check_time(passport, self.freshness_s, now).is_ok()
            })
    }
}

/// The report before that is about the very same statement: judged once, and no replay of itself.
fn same_token<'a>(before: &'a [PassportReport], report: &PassportReport) -> Option<&'a PassportReport> {
    let passport = report.passport.as_ref()?;
    before.iter().find(|earlier| earlier.passport.as_ref() == Some(passport))
}

/// Links each good `div` to a PASSporT it diverted, from the originals outwards; refuses those that no chain
/// leads to (RFC 8946 §4.2). O(depth · reports²).
// rfc8946:4.2-1, rfc8946:4.2-9, rfc8946:4.2-10.
fn link(reports: &mut [PassportReport]) {
    let mut is_linked: Vec<bool> =
        reports.iter().map(|report| report.outcome.is_ok() && report.is_original()).collect();
    for _ in 0..DIVERSION_DEPTH_MAX {
        let before = is_linked.clone();
        for index in 0..reports.len() {
            if before[index] || !reports[index].is_div() || reports[index].outcome.is_err() {
                continue;
            }
            let earlier = (0..reports.len())
                .filter(|&earlier| before[earlier] && leads_to(&reports[earlier], &reports[index]))
                .min_by_key(|&earlier| reports[earlier].rank());
            if earlier.is_some() {
                (reports[index].earlier_index, is_linked[index]) = (earlier, true);
            }
        }
    }
    for index in 0..reports.len() {
        if reports[index].is_div() && reports[index].outcome.is_ok() && !is_linked[index] {
            let broken = reports.iter().find(|earlier| leads_to(earlier, &reports[index]));
            let fault = broken.and_then(|earlier| earlier.outcome.as_ref().err()).cloned();
            reports[index].outcome =
                Err(fault.map_or(Fault::Diversion, |fault| Fault::Nested(Box::new(fault))));
        }
    }
}

/// Whether `later` is a `div` of the call that `earlier` is about: the same caller, and diverted by one of those
/// called.
// rfc8946:4.2-1, rfc8946:4.2-4, rfc8946:4.2-5, rfc8946:4.2-6.
fn leads_to(earlier: &PassportReport, later: &PassportReport) -> bool {
    let (Some(earlier), Some(later)) = (&earlier.passport, &later.passport) else { return false };
    let (earlier, later) = (earlier.claims(), later.claims());
    earlier.orig == later.orig && later.kind.diverter().is_some_and(|from| earlier.dest.contains(from))
}

/// The verdict on the call, by the rules of the module.
fn decide(reports: Vec<PassportReport>) -> CallVerdict {
    let all = 0..reports.len();
    let matters = |index: usize| reports[index].rank() < RANK_PRIORITY;
    let faulty = all.clone().filter(|&index| reports[index].outcome.is_err());
    let worst = faulty.min_by_key(|&index| weight(&reports[index]));
    let heads = all.filter(|&index| reports[index].outcome.is_ok() && !reports[index].is_inner);
    let best = heads.min_by_key(|&index| reports[index].rank());
    let best = best.filter(|&index| matters(index) || !worst.is_some_and(matters));
    let fault = worst.and_then(|index| reports[index].outcome.as_ref().err()).cloned();
    let outcome = best.ok_or(fault.unwrap_or(Fault::NoPassport));
    CallVerdict { deciding_index: best.or(worst), outcome, reports }
}

/// Orders faults by how much they matter for the call, the one that matters most first.
fn weight(report: &PassportReport) -> (bool, u8, bool, core::cmp::Reverse<Option<Stage>>) {
    let fault = report.outcome.as_ref().err();
    let out_of_reach = fault.is_some_and(|fault| fault.sip_code() == 436);
    (!report.is_div(), report.rank(), out_of_reach, core::cmp::Reverse(fault.map(Fault::stage)))
}
