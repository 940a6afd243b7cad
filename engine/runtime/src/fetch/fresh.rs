//! For how long a document may be kept (RFC 9111 §4.2.1), within our own bounds.

use herald_net::{HeaderMap, header};

use crate::limits::{FETCH_FRESH_MAX_MS, FETCH_FRESH_MIN_MS, FETCH_FRESH_UNSAID_MS};

/// Within our bounds: a document is not asked for with each call, nor kept for weeks, whatever its server says.
pub(super) fn bounded(fresh_ms: u64) -> u64 {
    fresh_ms.clamp(FETCH_FRESH_MIN_MS, FETCH_FRESH_MAX_MS)
}

/// What the answer says, in milliseconds: `max-age` less the `Age` it has already.
pub(super) fn said_ms(headers: &HeaderMap) -> u64 {
    let mut said_ms = FETCH_FRESH_UNSAID_MS;
    for line in headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok()) {
        for directive in line.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return 0,
                "max-age" => said_ms = seconds(value).saturating_mul(1000),
                _ => {}
            }
        }
    }
    let age_s = headers.get(header::AGE).and_then(|age| age.to_str().ok()).map_or(0, seconds);
    said_ms.saturating_sub(age_s.saturating_mul(1000))
}

/// What is no number is stale (RFC 9111 §4.2.1); what is too large for one is for ever.
fn seconds(text: &str) -> u64 {
    let digits = text.trim().trim_matches('"');
    let is_number = !digits.is_empty() && digits.bytes().all(|sign| sign.is_ascii_digit());
    if is_number { digits.parse().unwrap_or(u64::MAX) } else { 0 }
}

#[cfg(test)]
mod tests {
    use herald_net::header::HeaderValue;

    use super::*;

    #[test]
    fn max_age_less_age_counts_within_bounds() {
        let cases = [
            (&[][..], FETCH_FRESH_UNSAID_MS),
            (&[("cache-control", "max-age=600")][..], 600_000),
            (&[("cache-control", "public, Max-Age=\"600\"")], 600_000),
            (&[("cache-control", "max-age=600"), ("age", "100")], 500_000),
            (&[("cache-control", "max-age=600"), ("age", "601")], FETCH_FRESH_MIN_MS),
            (&[("cache-control", "max-age=0")], FETCH_FRESH_MIN_MS),
            (&[("cache-control", "max-age=x")], FETCH_FRESH_MIN_MS),
            (&[("cache-control", "max-age=600, no-store")], FETCH_FRESH_MIN_MS),
            (&[("cache-control", "max-age=99999999999999999999999")], FETCH_FRESH_MAX_MS),
        ];
        for (lines, expected_ms) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(bounded(said_ms(&headers)), expected_ms, "{lines:?}");
        }
    }
}
