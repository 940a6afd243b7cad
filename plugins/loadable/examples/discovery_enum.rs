//! The plugin `discovery-enum`, to load.
herald_plugin_sdk::export!(herald_plugin_sdk::discovery_entry::<herald_discovery_enum::Enum>);
