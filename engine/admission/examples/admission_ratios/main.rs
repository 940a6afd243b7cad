//! What admitting stores costs on one core, against what CRYPTO's model says it may cost, in one run:
//! `cargo run --release -p herald-admission --example admission_ratios`.
//!
//! Redemption is a stub here that takes as long as it is told; [`measure`] takes any other.

#![allow(clippy::print_stdout, reason = "an example's output is its purpose")]

mod measure;

use std::hint::black_box;
use std::time::{Duration, Instant};

use herald_admission::{Redemption, Suite};
use measure::{Figures, Redeemer, Scheme, secret_of};

/// Takes as long as the public-key work of a scheme.
struct Stub {
    name: &'static str,
    costs: Duration,
}

impl Redeemer for Stub {
    fn redeem(&self, redemption: &Redemption) -> Option<Vec<u8>> {
        let begin = Instant::now();
        while begin.elapsed() < self.costs {
            core::hint::spin_loop();
        }
        Some(secret_of(&redemption.token().input))
    }
}

fn main() {
    // What CRYPTO §4.2 measured: VOPRF(ristretto255); blind RSA with a committed key.
    let stubs = [
        Stub { name: "VOPRF 41.6 us", costs: Duration::from_nanos(41_600) },
        Stub { name: "RSA 17.7 us", costs: Duration::from_nanos(17_700) },
    ];
    for suite in Suite::ALL {
        let bare = measure::bare_mac_us(suite);
        println!(
            "{}: bare MAC of 632 B {:.2} us, of a store with its key {:.2} us",
            suite.name(),
            bare.0,
            bare.1
        );
        let check_us = measure::check_us(suite);
        println!("  whole check of a store, sessions at random: {check_us:.2} us in batches");
        for stub in &stubs {
            println!("  {}, tokens good for N stores:", stub.name);
            for stores in [1, 4, 16, 64, 256, 1024] {
                let scheme = Scheme { suite, stores };
                let Figures { per_second, redeem_us } = measure::stores_per_second(&scheme, stub);
                let model = 1e6 / (check_us + (redeem_us + 0.5) / f64::from(stores));
                println!(
                    "    N = {stores:4}: {:8.0} k stores/s, {:3.0} % of the model's {:.0} k",
                    per_second / 1e3,
                    100.0 * per_second / model,
                    model / 1e3
                );
            }
        }
    }
    black_box(());
}
