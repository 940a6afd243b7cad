//! The plugin `rate-blind-signature`, to load.
herald_plugin_sdk::export!(
    herald_plugin_sdk::rate_control_entry::<herald_rate_blind_signature::BlindSignature>
);
