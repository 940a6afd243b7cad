//! `discovery-static` as a shared object.
herald_plugin_sdk::export!(herald_plugin_sdk::discovery_entry::<herald_discovery_static::DiscoveryStatic>);
