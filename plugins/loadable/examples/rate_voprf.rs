//! The plugin `rate-voprf`, to load.
herald_plugin_sdk::export!(herald_plugin_sdk::rate_control_entry::<herald_rate_voprf::RateVoprf>);
