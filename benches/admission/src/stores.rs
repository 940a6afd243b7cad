//! Authorised stores per second and core, by how many a token is good for, beside the model of the design:
//! 1 / (check + (redemption + 0.5 µs) / N), its two costs measured in the same run.

use std::fmt::Write as _;

use herald_admission::Suite;
use herald_plugin_sdk::Token;

use crate::client::{Holder, Opening, bodies};
use crate::clock::{busy_us, median};
use crate::limits::{BATCH, OPEN_TOKENS};
use crate::results;
use crate::rig::Rig;
use crate::scheme::{AnyError, Scheme};

/// What the model gives for deriving a key and for the two tables, in microseconds.
const BOOKS_US: f64 = 0.5;
const STORES_OF_A_TOKEN: [u32; 4] = [256, 16, 4, 1];

/// What one token cost, in microseconds.
struct Costs {
    /// Its whole way, its first store kept.
    opening: Vec<f64>,
    redemption: Vec<f64>,
    /// Each of its other stores.
    check: Vec<f64>,
    store: Vec<f64>,
}

/// The table, and the rows that are judged.
pub(crate) fn measure(rounds: usize) -> Result<String, AnyError> {
    let mut text = String::from(
        "### Authorised stores per second and core\n\n\
         Tokens of the real plugins through their tables, redeemed, their sessions opened, stores judged in batches of \
         256 and kept in the log. Processor time of the thread, medians. The model is 1/(check + (redemption + 0.5 µs)/N), \
         check and redemption as measured in the same run.\n\n\
         | tokens | MAC | check | redemption | N | stores/s | model | of the model |\n|---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut best_mps: f64 = 0.0;
    for (row, scheme) in
        [("admission_voprf_of_model", Scheme::voprf()?), ("admission_blind_of_model", Scheme::blind_rsa()?)]
    {
        let tokens = scheme.tokens(rounds * OPEN_TOKENS)?;
        for suite in Suite::ALL {
            let mut shares = Vec::new();
            let mut check_us = f64::NAN;
            for stores in STORES_OF_A_TOKEN {
                let costs = run(&scheme, suite, stores, &tokens)?;
                let (opening, redemption) = (median(costs.opening), median(costs.redemption));
                let mut token_us = opening;
                if stores > 1 {
                    token_us += f64::from(stores - 1) * median(costs.store);
                }
                if stores == STORES_OF_A_TOKEN[0] {
                    // As it is where sessions are in use. With few stores a token the first use of its key weighs.
                    check_us = median(costs.check);
                }
                let mps = f64::from(stores) / token_us;
                let model_mps = 1.0 / (check_us + (redemption + BOOKS_US) / f64::from(stores));
                shares.push(mps / model_mps);
                if stores == STORES_OF_A_TOKEN[0] {
                    best_mps = best_mps.max(mps);
                }
                writeln!(
                    text,
                    "| {} | {} | {check_us:.2} µs | {redemption:.1} µs | {stores} | {:.0} k | {:.0} k | {:.0} % |",
                    scheme.name,
                    suite.name(),
                    mps * 1e3,
                    model_mps * 1e3,
                    100.0 * mps / model_mps
                )?;
            }
            if suite == Suite::HmacSha256 {
                let least = shares.iter().copied().fold(f64::MAX, f64::min);
                let most = shares.iter().copied().fold(0.0, f64::max);
                results::record(row, least, "x", least, most)?;
            }
        }
    }
    results::record("admission_256_mps", best_mps, "M/s", best_mps, best_mps)?;
    Ok(text)
}

fn run(scheme: &Scheme, suite: Suite, stores: u32, tokens: &[Token]) -> Result<Costs, AnyError> {
    let bodies = bodies();
    let mut rig = Rig::new(scheme, suite, stores)?;
    let mut costs =
        Costs { opening: Vec::new(), redemption: Vec::new(), check: Vec::new(), store: Vec::new() };
    let mut call = 0;
    for tokens in tokens.chunks_exact(OPEN_TOKENS) {
        let holders: Vec<_> = tokens.iter().map(|token| Holder::new(token, scheme.mode, suite)).collect();
        let mut next_call = || {
            call += 1;
            call
        };
        let openings = |next_call: &mut dyn FnMut() -> usize| -> Vec<Opening> {
            holders.iter().map(|holder| holder.opening(next_call(), &bodies)).collect()
        };
        let redemption_us = redemption_us(&mut rig, openings(&mut next_call), &bodies);
        let openings = openings(&mut next_call);
        let mut others = Vec::new();
        for counter in 1..stores {
            others.extend(holders.iter().map(|holder| holder.store(counter, next_call(), &bodies)));
        }
        let (opening_us, opened) = busy_us(|| rig.open(openings, &bodies));
        assert_eq!(opened, OPEN_TOKENS, "all are genuine and there is room");
        costs.opening.push(opening_us / OPEN_TOKENS as f64);
        costs.redemption.push(redemption_us);
        let (mut check_us, mut keep_us) = (0.0, 0.0);
        for batch in others.chunks(BATCH) {
            let (us, accepted) = busy_us(|| rig.judge(batch));
            check_us += us;
            let (us, kept) = busy_us(|| rig.keep_judged(batch));
            keep_us += us;
            assert_eq!((accepted, kept), (batch.len(), batch.len()), "all are genuine and there is room");
        }
        let others = others.len().max(1) as f64;
        costs.check.push(check_us / others);
        costs.store.push((check_us + keep_us) / others);
    }
    Ok(costs)
}

/// What the plugin takes for each token, in microseconds. Afterwards the tokens are as they were.
fn redemption_us(rig: &mut Rig<'_>, openings: Vec<Opening>, bodies: &[Vec<u8>]) -> f64 {
    let mut waiting = Vec::new();
    for Opening { credential, number, body } in openings {
        waiting.extend(rig.present(credential, number, body, bodies, true));
    }
    assert_eq!(waiting.len(), OPEN_TOKENS, "all are new");
    let (us, waiting) = busy_us(|| rig.redeem_alone(waiting));
    waiting.into_iter().for_each(|waiting| rig.turn_away(waiting));
    us / OPEN_TOKENS as f64
}
