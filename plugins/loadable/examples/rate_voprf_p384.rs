//! The plugin `rate-voprf-p384`, to load.
herald_plugin_sdk::export!(herald_plugin_sdk::rate_control_entry::<herald_rate_voprf::RateVoprfP384>);
