//! Tokens between the plugins of rate-voprf and the crate `voprf` 0.5, each way, each with a flipped bit that must not
//! pass. One line for each thing that holds; ends with 1 at the first that does not.
//!
//! Without arguments it does that in one process. With them it is a client for the engine's HTTP interface, whose
//! requests and responses something else carries:
//!
//! - `request SUITE PUBLIC_KEY CHALLENGE_DIGEST COUNT` prints a request and a state;
//! - `finish SUITE PUBLIC_KEY STATE RESPONSE` prints the tokens, one a line.
//!
//! SUITE is `ristretto255` or `p384`; all values are hexadecimal.

mod each_way;
mod peer;

use std::process::ExitCode;

use peer::{P384, Peer, Ristretto255};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => each_way::both_suites(),
        ["request", "ristretto255", rest @ ..] => request::<Ristretto255>(rest),
        ["request", "p384", rest @ ..] => request::<P384>(rest),
        ["finish", "ristretto255", rest @ ..] => finish::<Ristretto255>(rest),
        ["finish", "p384", rest @ ..] => finish::<P384>(rest),
        _ => Err("request|finish ristretto255|p384 ...; see the top of main.rs".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("tests/interop/voprf: {why}");
            ExitCode::FAILURE
        }
    }
}

fn request<P: Peer>(arguments: &[&str]) -> Result<(), String> {
    let [public_key, challenge_digest, count] = arguments else {
        return Err("request SUITE PUBLIC_KEY CHALLENGE_DIGEST COUNT".to_owned());
    };
    let count = count.parse().map_err(|_| format!("{count} is no number"))?;
    let (request, state) = P::request(&from_hex(public_key)?, &from_hex(challenge_digest)?, count)?;
    println!("{}\n{}", hex(&request), hex(&state));
    Ok(())
}

fn finish<P: Peer>(arguments: &[&str]) -> Result<(), String> {
    let [public_key, state, response] = arguments else {
        return Err("finish SUITE PUBLIC_KEY STATE RESPONSE".to_owned());
    };
    for token in P::finish(&from_hex(public_key)?, &from_hex(state)?, &from_hex(response)?)? {
        println!("{}", hex(&token));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect::<Option<_>>().ok_or_else(|| format!("{text} is no hexadecimal"))
}
