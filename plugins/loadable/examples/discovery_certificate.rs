//! `discovery-certificate` as a shared object.
herald_plugin_sdk::export!(
    herald_plugin_sdk::discovery_entry::<herald_discovery_certificate::DiscoveryCertificate>
);
